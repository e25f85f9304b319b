"""What a study finds in tables simulated again and again, against what was planted in them.

The runs are stored, `bench/recovery/STUDY.csv`, with the script that makes them,
`bench/recovery.py`: a row a world, seed and quantity, with the planted `truth`, the `estimate` and
its 95% interval, `low` to `high`. In the world "null" nothing was planted, so that an interval
that leaves the truth out is a false alarm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from analysis.stats import intervals

RUNS = Path(__file__).resolve().parents[1] / "bench" / "recovery"
DECISION = "decision: "


def runs(study: str) -> pd.DataFrame:
    """The stored runs of a study."""
    path = RUNS / f"{study}.csv"
    sys.audit("analysis.read", str(path))
    return pd.read_csv(path, keep_default_na=False, na_values=[""])  # "null" is a world


def coverage(runs: pd.DataFrame) -> pd.DataFrame:
    """How often intervals hold the truth, and where estimates lie.

    Returns:
        One row a world and quantity: `runs`; `truth`; `mean` of the estimates with its standard
        error, `error`; `covered`, the share of intervals that hold the truth, with its own 95%
        interval (Wilson 1927), `covered_low` and `covered_high`.
    """
    estimated = runs[~runs["quantity"].str.startswith(DECISION)]
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
