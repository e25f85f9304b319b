"""Who the subscribers are: how they divide by genre, region, device and plan.

Rests on the counts of `reductions` alone. A list of shares always has a first and a last; what is
asked here is whether the shares differ from equal ones at all, which values are shown to be larger
than which, and whether one or two of them make a majority.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binom, norm

from analysis.churn.reductions import Reductions
from analysis.stats import association, intervals
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
FACTORS = ("genre", "region", "device", "plan")
# Values of a factor that are compared with each other, the largest of them: the pairs of more than
# these would not fit into memory, and nobody reads them.
COMPARED = 200
LEADERS = (1, 2)  # how many of the largest values are asked whether they hold a majority


class Majority(StrEnum):
    """How a share lies to a half."""

    SHOWN = "shown"
    """Its interval lies above a half."""
    EXCLUDED = "excluded"
    """Its interval lies below a half."""
    OPEN = "open"
    """A half lies within its interval."""


@dataclass(frozen=True)
class Mix:
    """How the subscribers divide.

    Attributes:
        subscribers: All subscribers.
        shares: Index `factor`, `value`, within a factor the largest first: `subscribers`; `share`
            with its limits `low` and `high`, which hold for all values of the factor together;
            `rank_low` and `rank_high`, the ranks (1 is the largest) that the data leave open to
            it, for all values together.
        tests: Index `factor`: `values` (how many there are); `equal` (a value's share, were all
            equal); the test of equal shares, `statistic`, `df`, `p_value`, `p_adjusted` (Holm over
            the factors), `method`, and its size, Cohen's `w` with `w_low` and `w_high`;
            `deviation` (of the share furthest from the equal one, its distance) and
            `deviation_high` (how far any share may be from it, by the limits); `resolves`, by how
            many subscribers two values of about the equal share have to differ to be told apart
            (normal approximation); `pairs` of values,
            and `pairs_shown`, those of which it is shown which is the larger; `half`, how few
            values hold more than half of the subscribers. Missing where there is one value only.
        leaders: Index `factor`, `leaders` (how many of the largest values, together): `share`,
            `low`, `high` (for all choices of so many values together), `majority` (see
            `Majority`). Only of factors with more values than that.
    """

    subscribers: int
    shares: pd.DataFrame
    tests: pd.DataFrame
    leaders: pd.DataFrame


def mix(base: Reductions) -> Mix:
    """Compares the shares of the values of each factor.

    Args:
        base: The reductions of netflix/subscribers.
    """
    shares, tests, leaders = [], [], []
    for factor in FACTORS:
        counts = sizes(base.churn_by_category[factor])
        found = _shares(counts)
        above = shown_larger(counts.to_numpy())
        found["rank_low"], found["rank_high"] = ranks(above)
        shares.append(found.reset_index().assign(factor=factor))
        tests.append({"factor": factor} | _test(counts, found) | {
            "pairs": math.comb(len(counts), 2), "pairs_shown": int(above.sum()),
            "half": int((counts.cumsum() * 2 <= counts.sum()).sum()) + 1,
        })
        for m in LEADERS:
            if m < len(counts):
                share = leading(counts, m)
                leaders.append({
                    "factor": factor, "leaders": m, "share": share.estimate, "low": share.low,
                    "high": share.high, "majority": majority(share).value,
                })
    frame = pd.DataFrame(tests).set_index("factor")
    adjusted = pd.Series(np.nan, frame.index)
    told = frame["p_value"].notna()
    if told.any():
        adjusted[told] = holm(frame.loc[told, "p_value"])
    frame.insert(frame.columns.get_loc("p_value") + 1, "p_adjusted", adjusted)
    return Mix(
        subscribers=base.subscribers,
        shares=pd.concat(shares).set_index(["factor", "value"]),
        tests=frame,
        leaders=pd.DataFrame(
            leaders, columns=["factor", "leaders", "share", "low", "high", "majority"]
        ).set_index(["factor", "leaders"]),
    )


def sizes(table: pd.DataFrame) -> pd.Series:
    """Subscribers by value, the largest first; equal ones in alphabetical order."""
    counts = table.set_index("value")["subscribers"].astype("int64").sort_index()
    return counts.sort_values(ascending=False, kind="stable")


def simultaneous(count: int, n: int, choices: int, confidence: float = CONFIDENCE) -> Interval:
    """Interval of one of several shares which holds for all of them together (Goodman 1965).

    It is Wilson's interval at a confidence that Bonferroni's inequality raises for their number.

    Args:
        count: Units with that value.
        n: All units.
        choices: How many shares there are to look at.
        confidence: That all of the intervals hold.
    """
    return intervals.proportion(count, n, 1 - (1 - confidence) / choices)


def leading(counts: pd.Series, m: int) -> Interval:
    """The share of the m largest values together, which were chosen because they are the largest.

    The interval holds for all choices of m values at once, so also for the one that the data made.

    Args:
        counts: Units by value, the largest first; more than m of them.
        m: How many.
    """
    k = len(counts)
    # The share of all values but one is known with that of the one.
    choices = 1 if k == 2 else math.comb(k, m)
    return simultaneous(int(counts.iloc[:m].sum()), int(counts.sum()), choices)


def majority(share: Interval) -> Majority:
    """Whether a share is shown to be, or not to be, more than a half."""
    if share.low > 0.5:
        return Majority.SHOWN
    return Majority.EXCLUDED if share.high < 0.5 else Majority.OPEN


def shown_larger(counts: NDArray[np.int64], alpha: float = ALPHA) -> NDArray[np.bool_]:
    """Which of several shares are shown to be larger than which.

    Of units that have one of two values, about half have each if both shares are equal; so the
    exact binomial test of a half compares them, whatever the others are. Each pair is tested in
    both directions, and all these tests are corrected together (Holm 1979), so that with
    probability 1 - alpha no order that is shown is wrong.

    Args:
        counts: Units by value, descending, shape (k,). Beyond the first `COMPARED` none is shown.
        alpha: Probability that any order shown is wrong.

    Returns:
        Shape (k, k): whether the row's share is shown to be larger than the column's.
    """
    k = len(counts)
    larger = np.zeros((k, k), dtype=bool)
    first, second = np.triu_indices(min(k, COMPARED), 1)
    if not len(first):
        return larger
    # Towards the value with fewer units p is at least a half, which is never rejected and, coming
    # last in Holm's order, changes nothing for the others.
    p = binom.sf(counts[first] - 1, counts[first] + counts[second], 0.5)
    order = np.argsort(p, kind="stable")
    factor = k * (k - 1) - np.arange(len(p))
    rejected = order[np.cumprod(p[order] * factor <= alpha).astype(bool)]
    larger[first[rejected], second[rejected]] = True
    return larger


def ranks(larger: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ranks that each of several values may have, from what is shown to be larger than what.

    A value's rank is one more than the number of values with a larger share. Where no order shown
    is wrong, all these ranges hold together (Mogstad, Romano, Shaikh & Wilhelm 2024).

    Args:
        larger: As from `shown_larger`, shape (k, k).

    Returns:
        The best and the worst rank of each, shape (k,) both.
    """
    k = len(larger)
    return 1 + larger.sum(axis=0), k - larger.sum(axis=1)


def _shares(counts: pd.Series) -> pd.DataFrame:
    """Shares with simultaneous limits; index `value`."""
    n, k = int(counts.sum()), len(counts)
    # Of two shares one tells the other.
    found = [simultaneous(int(count), n, 1 if k == 2 else k) for count in counts]
    frame = pd.DataFrame({"subscribers": counts, "share": counts / n})
    frame["low"] = [share.low for share in found]
    frame["high"] = [share.high for share in found]
    return frame.rename_axis("value")


_SIZES = ("w", "w_low", "w_high", "deviation", "deviation_high", "resolves")


def _test(counts: pd.Series, shares: pd.DataFrame) -> dict:
    """The test of equal shares, and how far from equal they are and may be."""
    k = len(counts)
    equal = 1 / k
    if k == 1:
        return {"values": k, "equal": equal, "statistic": np.nan, "df": np.nan, "p_value": np.nan,
                "method": None} | dict.fromkeys(_SIZES, np.nan)
    n = int(counts.sum())
    fit = association.goodness_of_fit(list(map(int, counts)), [equal] * k, confidence=CONFIDENCE)
    ends = shares[["low", "high"]] - equal
    return {
        "values": k, "equal": equal, "statistic": fit.statistic, "df": float(fit.df),
        "p_value": fit.p_value, "method": fit.method, "w": fit.effect.value,
        "w_low": fit.effect.low, "w_high": fit.effect.high,
        "deviation": float((shares["share"] - equal).abs().max()),
        "deviation_high": float(ends.abs().max().max()),
        # The first step of Holm's procedure, for two values that have 1/k of the subscribers each.
        "resolves": float(norm.isf(ALPHA / (k * (k - 1))) * np.sqrt(2 * n / k)),
    }
