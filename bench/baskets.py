"""Which courses are bought together: ours, mlxtend and pandas, side by side on the shipped orders.

Run as `python bench/baskets.py [--copies N] [--runs N]`; prints a Markdown table of median seconds.
All start from one row a course in an order, and must count the same pairs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from pathlib import Path

import ibis
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth
from mlxtend.preprocessing import TransactionEncoder

from analysis.mooc import baskets
from analysis.sources import open_study

ROOT = Path(__file__).resolve().parent.parent
Counts = dict[tuple[str, str], int]


def ours(orders: ibis.Table) -> Counts:
    found = baskets.together(orders).pairs
    return found.baskets.to_dict()


def with_mlxtend(orders: pd.DataFrame) -> Counts:
    sets = orders.groupby("order_id").course_id.agg(set)
    encoder = TransactionEncoder()
    table = pd.DataFrame(encoder.fit_transform(sets), columns=encoder.columns_)
    found = fpgrowth(table, min_support=1 / len(table), use_colnames=True, max_len=2)
    pairs = found[found.itemsets.map(len) == 2]
    return {tuple(sorted(pair)): round(support * len(table))
            for pair, support in zip(pairs.itemsets, pairs.support, strict=True)}


def with_pandas(orders: pd.DataFrame) -> Counts:
    held = orders[["order_id", "course_id"]].drop_duplicates()
    both = held.merge(held, on="order_id")
    both = both[both.course_id_x < both.course_id_y]
    return both.groupby(["course_id_x", "course_id_y"]).size().to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--copies", type=int, default=20, help="of the orders (default: 20)")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    shipped = open_study("mooc", ROOT / "data").table("orders").to_pandas()
    frame = pd.concat([shipped.assign(order_id=shipped.order_id + f"-{i}")
                       for i in range(options.copies)], ignore_index=True)
    table = ibis.duckdb.connect().create_table("orders", frame)
    ways = {"this project": lambda: ours(table), "mlxtend (FP-growth)": lambda: with_mlxtend(frame),
            "pandas (self-join)": lambda: with_pandas(frame)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(options.runs):
        for name, way in ways.items():
            began = time.perf_counter()
            found[name] = way()
            seconds[name].append(time.perf_counter() - began)
    first = found["this project"]
    for name, counts in found.items():
        if any(counts.get(pair) != n for pair, n in first.items()):
            raise SystemExit(f"{name} counts other pairs")
    base = statistics.median(seconds["this project"])
    print(f"{len(frame):,} order lines, {len(first):,} pairs; {os.cpu_count()} cores, "
          f"{options.runs} runs; median seconds (least to most)\n")
    print("| way | seconds | times as long |\n|:--|--:|--:|")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        print(f"| {name} | {middle:.2f} ({min(taken):.2f} to {max(taken):.2f}) | "
              f"{middle / base:.1f} |")


if __name__ == "__main__":
    main()
