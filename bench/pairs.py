"""Time and memory of the pairs, sets of three and steps up on a large table of orders.

Run as `python bench/pairs.py [--lines N] [--courses N] [--memory 2GB]`; prints a Markdown table.
The orders are made in DuckDB: long-tailed courses, one to some ten of them an order, and one order
in 10,000 of hundreds, as a reseller's would be. Linux and macOS: memory is the peak resident size.
"""

from __future__ import annotations

import argparse
import datetime as dt
import resource
import sys
import tempfile
import time
from pathlib import Path

import ibis
import pandas as pd

from analysis.mooc import baskets, rules
from analysis.mooc.steps import purchases, steps

MADE = """
create table orders as
with order_ as (
    select i as o, 1 + floor(-2.0 * ln(hash(i) % 1000003 / 1000003.0 + 1e-9))::int
        + case when i % 10000 = 0 then 300 else 0 end as size
    from range({orders}) t(i)
), line as (
    select o, unnest(range(size)) as k from order_
)
select distinct
    'O' || o as order_id, 'U' || (hash(o // 2, 7) % ({orders} * 2 // 5)) as user_id,
    'C' || floor(pow(hash(o, k) % 1000003 / 1000003.0, 2.5) * {courses})::int as course_id,
    timestamp '2023-01-01' + to_seconds((o * 37)::bigint % 47304000) as order_timestamp,
    (5 + hash(o, k, 3) % 9500 / 100.0)::double as amount
from line
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--lines", type=int, default=8_000_000, help="about (default: 8,000,000)")
    parser.add_argument("--courses", type=int, default=3_000, help="default: 3,000")
    parser.add_argument("--memory", default="2GB", help="limit of DuckDB (default: 2GB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        backend = ibis.duckdb.connect(
            str(Path(folder) / "orders.ddb"), memory_limit=options.memory, temp_directory=folder)
        backend.raw_sql(MADE.format(orders=round(options.lines / 2.5), courses=options.courses))
        orders = backend.table("orders")
        lines = int(orders.count().to_pandas())
        prices = pd.Series({f"C{i}": 10.0 + (i * 7919) % 200 for i in range(options.courses)})
        print(f"{lines:,} lines, {options.courses:,} courses, DuckDB limit {options.memory}\n")
        print("| what | wall s | peak GiB | result |\n|:--|--:|--:|:--|")
        counted = timed("pairs by order", lambda: baskets.together(orders, k=3),
                        told=lambda b: f"{b.pairs_seen:,} seen, {len(b.pairs):,} listed, "
                                       f"{b.left_out:,} orders of more than {b.largest} left out")
        pairs = timed("tests of the pairs", rules.find_pairs, counted,
                      told=lambda p: f"{p.possible:,} possible, {p.null.found:,} found")
        timed("sets of three", rules.find_triples, orders, pairs,
              told=lambda t: f"{t.listed:,} listed")
        timed("pairs by customer", baskets.together, orders, "user_id",
              told=lambda b: f"{b.pairs_seen:,} seen, {b.left_out:,} customers left out")
        timed("steps up", up, orders, prices,
              told=lambda s: f"{s.purchases:,} purchases, {s.null.tests:,} steps")
        courses = backend.create_table("courses", pd.DataFrame({
            "course_id": prices.index, "category": [f"K{i % 20}" for i in range(len(prices))]}))
        timed("all of `rules`", rules.rules, orders, courses, prices, dt.date(2023, 1, 1),
              dt.date(2024, 7, 1), told=lambda r: f"{len(r.offers):,} offers")


def up(orders: ibis.Table, prices: pd.Series):
    """The steps up."""
    with purchases(orders) as bought:
        return steps(bought, prices)


def timed(name, function, *arguments, told):
    """The result of a call; prints how long it took."""
    started = time.perf_counter()
    result = function(*arguments)
    wall = time.perf_counter() - started
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    print(f"| {name} | {wall:.1f} | {peak:.2f} | {told(result)} |", flush=True)
    return result


if __name__ == "__main__":
    main()
