"""Simulates the app's tables again and again, and asks whether the study finds what was planted.

Run as `python bench/recovery.py [--runs N] [--workers N]`; writes `bench/recovery/customers.csv`,
which the methods appendix shows, one row a world, seed and quantity. Two hundred runs of both
worlds take about half an hour on two cores. The same seeds give the same file.

Worlds: `planted`, the generator as it is; `null`, in which neither the new paywall nor the release
does anything, so that every effect found is a false alarm.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd
from rich.progress import track

from analysis import simulate
from analysis.customers import belief, design, events, lift, paywall, seasons, series
from analysis.simulate.customers import TRUTH
from analysis.sources import open_study
from analysis.stats import time_series as ts

FILE = Path(__file__).parent / "recovery" / "customers.csv"
WORLDS = ("planted", "null")
RUNS = 200


def truths(world: str) -> dict[str, float]:
    """What the generator plants, by the name of the quantity.

    Terms of the daily series are logs of factors, but the day of the peak. The test changes what a
    paywall sells; the shop, `TRUTH["shop"]` times as large, and views stay as they are.
    """
    views, test = TRUTH["views"], TRUTH["test"]
    factor, release = test["factor"], TRUTH["release"]["factor"]
    if world == "null":
        factor = release = 1.0
    found = {}
    for measure in seasons.MEASURES:
        sold = measure != "views"
        whole = 1 + (factor - 1) / (1 + TRUTH["shop"])
        terms = {
            "trend": views["trend"], "amplitude": views["amplitude"], "peak": views["peak"],
            **views["weekly"], f"release {TRUTH['release']['date']}": sold * math.log(release),
            "test": sold * math.log(whole),
        }
        found |= {f"{measure}: {term}": value for term, value in terms.items()}
    users = test["per_user"]
    named = {"converted": "converted_at_paywall", "bought": "converted", "revenue": "revenue"}
    for name, of in named.items():
        old, new = users[of]["control"], users[of]["test"]
        if world == "null":
            new = old
        found[f"test: {name}.difference"] = new - old
        found[f"test: {name}.ratio"] = new / old
    found["test: revenue.difference.bootstrap"] = found["test: revenue.difference"]
    found["test: converted.difference.adjusted"] = found["test: converted.difference"]
    found["test: paywall_purchases_per_view.ratio"] = factor
    found["belief: lift"] = found["test: converted.ratio"] - 1
    return found


def estimates(world: str, seed: int) -> pd.DataFrame:
    """The study's estimates of `truths` from tables simulated with a seed."""
    # Each worker is a process of its own, and so is the generator's truth that it reads.
    planted = TRUTH["test"]["factor"], TRUTH["release"]["factor"]
    if world == "null":
        TRUTH["test"]["factor"] = TRUTH["release"]["factor"] = 1.0
    try:
        with tempfile.TemporaryDirectory() as folder:
            simulate.write("customers", Path(folder), seed=seed, file_format="parquet")
            tables = open_study("customers", folder)
            period = events.period(tables)
            test = paywall.paywall_test(tables, period)
            daily = seasons.seasons(
                series.daily(tables, period), series.releases(tables), test.by_date)
    finally:
        TRUTH["test"]["factor"], TRUTH["release"]["factor"] = planted
    result = lift.lift(test, design.design(test))
    of_test = {row.name: row for row in lift.estimates(result).itertuples(index=False)}
    believed = belief.belief(test)
    rows = []
    for quantity, truth in truths(world).items():
        source, name = quantity.split(": ")
        if source == "test":
            found = of_test[name]
        elif source == "belief":
            found = believed.main.lift
        else:
            found = daily.effect(source, name)
        # A peak in January is one of the year before, a few days after December's.
        years = ts.YEAR * round((truth - found.estimate) / ts.YEAR) if name == "peak" else 0.0
        ends = (found.estimate + years, found.low + years, found.high + years)
        rows.append((world, seed, quantity, truth, *ends))
    rows += [(world, seed, f"decision: {action}", math.nan, float(result.action is action),
              math.nan, math.nan) for action in lift.Action]
    return pd.DataFrame(
        rows, columns=["world", "seed", "quantity", "truth", "estimate", "low", "high"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=RUNS, help=f"of each world (default: {RUNS})")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: all cores")
    options = parser.parse_args()
    tasks = list(product(WORLDS, range(1, options.runs + 1)))
    with ProcessPoolExecutor(options.workers) as pool:
        done = pool.map(estimates, *zip(*tasks, strict=True))
        frames = list(track(done, "simulating", total=len(tasks)))
    aside = FILE.with_suffix(".new")
    # Six digits, so that the last bits of another machine make no other file.
    pd.concat(frames).to_csv(aside, index=False, float_format="%.6g", lineterminator="\n")
    aside.replace(FILE)


if __name__ == "__main__":
    main()
