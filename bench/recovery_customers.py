"""The app simulated again and again, for `bench/recovery.py`.

Worlds: `planted`, the generator as it is; `null`, in which neither the new paywall nor the release
does anything, so that every effect found is a false alarm.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from analysis import recovery, simulate
from analysis.customers import belief, design, events, lift, paywall, seasons, series
from analysis.simulate.customers import TRUTH
from analysis.sources import open_study
from analysis.stats import time_series as ts

WORLDS = {"planted": 200, "null": 200}


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


def estimates(world: str, seed: int) -> list[tuple]:
    """The study's estimates of `truths` from tables of a seed; see `recovery.COLUMNS`."""
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
    plan = design.design(test)
    result = lift.lift(test, plan)
    of_test = {row.name: row for row in lift.estimates(result).itertuples(index=False)}
    believed = belief.belief(test, plan)
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
        rows.append((quantity, truth, *ends))
    return rows + recovery.decided(lift.Action, result.action)
