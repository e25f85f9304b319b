"""What a study finds in tables simulated again and again, against what was planted in them.

The runs are stored, `bench/recovery/STUDY.csv`, with the script that makes them,
`bench/recovery.py`: a row a world, seed and quantity, with the planted `truth`, the `estimate` and
its 95% interval, `low` to `high`. In the world "null" nothing was planted, so that an interval
that leaves the truth out is a false alarm.

Three kinds of rows are no estimates, and told by how their quantity begins: a test (`TEST`, 1 where
it rejects at 5%), a decision (`DECISION`, 1 where it was taken) and a reading of an effect that may
be biased (`READING`, with an interval that need not hold the truth).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from analysis.stats import intervals

RUNS = Path(__file__).resolve().parents[1] / "bench" / "recovery"
COLUMNS = ("quantity", "truth", "estimate", "low", "high")
DECISION, TEST, READING = "decision: ", "rejects: ", "reading: "


def runs(study: str) -> pd.DataFrame:
    """The stored runs of a study."""
    path = RUNS / f"{study}.csv"
    sys.audit("analysis.read", str(path))
    return pd.read_csv(path, keep_default_na=False, na_values=[""])  # "null" is a world


def decided(actions: Iterable, taken: object) -> list[tuple]:
    """The rows (`COLUMNS`) of a decision: one for each of the actions that could be taken."""
    return [(f"{DECISION}{action}", math.nan, float(action is taken), math.nan, math.nan)
            for action in actions]


def coverage(runs: pd.DataFrame) -> pd.DataFrame:
    """How often intervals hold the truth, and where estimates lie, of the rows that are estimates.

    Returns:
        One row a world and quantity: `runs`; `truth`; `mean` of the estimates with its standard
        error, `error`; `covered`, the share of intervals that hold the truth, with its own 95%
        interval (Wilson 1927), `covered_low` and `covered_high`.
    """
    return _held(runs[~runs["quantity"].str.startswith((DECISION, TEST, READING))])


def readings(runs: pd.DataFrame) -> pd.DataFrame:
    """The same of readings that may be biased, under their names."""
    read = runs[runs["quantity"].str.startswith(READING)]
    return _held(read.assign(quantity=read["quantity"].str.removeprefix(READING)))


def _held(estimated: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (world, quantity), part in estimated.groupby(["world", "quantity"], sort=False):
        held = part["truth"].between(part["low"], part["high"])
        share = intervals.proportion(int(held.sum()), len(part))
        rows.append({
            "world": world, "quantity": quantity, "runs": len(part),
            "truth": part["truth"].iloc[0], "mean": part["estimate"].mean(),
            "error": part["estimate"].sem(), "covered": share.estimate,
            "covered_low": share.low, "covered_high": share.high,
        })
    return pd.DataFrame(rows)


def decisions(runs: pd.DataFrame) -> pd.DataFrame:
    """How often each decision was taken: index `decision`, a column a world, shares of the runs."""
    taken = runs[runs["quantity"].str.startswith(DECISION)]
    taken = taken.assign(decision=taken["quantity"].str.removeprefix(DECISION))
    return taken.pivot_table(
        index="decision", columns="world", values="estimate", aggfunc="mean", sort=False)
