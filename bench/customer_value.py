"""Times BG/NBD on many customers, side by side with `lifetimes`, in one run.

Run as `python bench/customer_value.py [--customers N] [--runs N]`; prints Markdown tables of median
seconds. A million customers take about five minutes and 4 GB. What is fitted: histories in whole
days of customers simulated with the parameters of the MOOC's generator, first seen within its
window. Both sides start from one row a customer (frequency, recency, age), or from one row an
order; reducing to counts is part of this project's time.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import ibis
import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter
from lifetimes.utils import summary_data_from_transaction_data

from analysis.mooc.transactions import transactions
from analysis.simulate.mooc import BGNBD, DAYS, START
from analysis.stats.purchases import BgNbd, bg_nbd

WEEK = 7
SEED = 1


def simulated(customers: int) -> pd.DataFrame:
    """One row a purchase: `customer` and `day` since the start of the window."""
    rng = np.random.default_rng(SEED)
    first = rng.random(customers) * DAYS
    rate = rng.gamma(BGNBD["r"], 1 / BGNBD["alpha"], customers) / WEEK
    leave = rng.beta(BGNBD["a"], BGNBD["b"], customers)
    who, when, now = np.arange(customers), first, first.copy()
    rows = [(who, when)]
    while who.size:
        now = now + rng.exponential(1 / rate[who])
        kept = now < DAYS
        who, now = who[kept], now[kept]
        rows.append((who, now))
        stays = rng.random(who.size) >= leave[who]
        who, now = who[stays], now[stays]
    customer, day = (np.concatenate(column) for column in zip(*rows, strict=True))
    return pd.DataFrame({"customer": customer, "day": day.astype(np.int64)})


def histories(orders: pd.DataFrame) -> pd.DataFrame:
    """One row a customer: `frequency`, `recency` and `age` in weeks."""
    days = orders.drop_duplicates().groupby("customer").day.agg(["size", "min", "max"])
    return pd.DataFrame({
        "frequency": days["size"] - 1, "recency": (days["max"] - days["min"]) / WEEK,
        "age": (DAYS - 1 - days["min"]) / WEEK,
    })


def counted(rows: pd.DataFrame) -> BgNbd:
    counts = rows.groupby(["frequency", "recency", "age"], sort=False).size().reset_index(name="n")
    return bg_nbd(counts.frequency, counts.recency, counts.age, counts.n)


def lifetimes_rows(rows: pd.DataFrame) -> BetaGeoFitter:
    return BetaGeoFitter().fit(rows.frequency, rows.recency, rows.age)


def lifetimes_counts(rows: pd.DataFrame) -> BetaGeoFitter:
    counts = rows.groupby(["frequency", "recency", "age"], sort=False).size().reset_index(name="n")
    return BetaGeoFitter().fit(counts.frequency, counts.recency, counts.age, weights=counts.n)


def from_orders(orders: ibis.Table) -> BgNbd:
    last = (START.astype("M8[D]") + DAYS - 1).item()
    frame = transactions(orders, last).histories.reset_index()
    return bg_nbd(frame.frequency, frame.recency / WEEK, frame.age / WEEK, frame.customers)


def lifetimes_orders(orders: pd.DataFrame) -> BetaGeoFitter:
    frame = summary_data_from_transaction_data(
        orders, "user_id", "order_timestamp", freq="D",
        observation_period_end=pd.Timestamp(START) + pd.Timedelta(days=DAYS - 1))
    return BetaGeoFitter().fit(frame.frequency, frame.recency / WEEK, frame["T"] / WEEK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--customers", type=int, default=1_000_000, help="default: 1,000,000")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    purchases = simulated(options.customers)
    rows = histories(purchases)
    orders = pd.DataFrame({
        "user_id": purchases.customer.to_numpy(),
        "order_timestamp": pd.Timestamp(START) + pd.to_timedelta(purchases.day, unit="D"),
        "amount": 1.0,
    })
    table = ibis.duckdb.connect().create_table("orders", orders)
    distinct = len(rows.drop_duplicates())
    print(f"{len(rows):,} customers, {len(purchases):,} purchases, {distinct:,} distinct "
          f"histories; {os.cpu_count()} cores, {options.runs} runs; "
          "median seconds (least to most)\n")
    compare("one row a customer", options.runs, {
        "this project: to counts, fit": lambda: counted(rows),
        "lifetimes: fit": lambda: lifetimes_rows(rows),
        "lifetimes: to counts, fit with weights": lambda: lifetimes_counts(rows),
    })
    compare("one row an order", options.runs, {
        "this project: to counts in DuckDB, fit": lambda: from_orders(table),
        "lifetimes: to customers in pandas, fit": lambda: lifetimes_orders(orders),
    })


def compare(start: str, runs: int, ways: dict[str, Callable[[], object]]) -> None:
    """Times each way in turn, as often as there are runs."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    found = {}
    for _ in range(runs):
        for name, way in ways.items():
            began = time.perf_counter()
            found[name] = way()
            seconds[name].append(time.perf_counter() - began)
    base = statistics.median(next(iter(seconds.values())))
    print(f"| from {start} | seconds | times as long | r, alpha, a, b |\n|:--|--:|--:|:--|")
    for name, taken in seconds.items():
        fitted = found[name]
        values = (getattr(fitted, n) if isinstance(fitted, BgNbd) else fitted.params_[n]
                  for n in BgNbd.NAMES)
        middle = statistics.median(taken)
        print(f"| {name} | {middle:.2f} ({min(taken):.2f} to {max(taken):.2f}) | "
              f"{middle / base:.1f} | {', '.join(f'{value:.4f}' for value in values)} |")
    print()


if __name__ == "__main__":
    main()
