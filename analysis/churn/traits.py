"""Every trait of a subscriber, alone, against churn; and the key metrics.

One family of tests asks of each trait whether the churn rates of its groups differ, a second of
each number whether those who churned have larger or smaller values than those who stayed. Nothing
is held equal here: a trait may borrow from another that it goes with; `related` says which do.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from analysis.churn.reductions import CATEGORIES, NUMBERS, Reductions
from analysis.stats import intervals, two_proportions, two_sample
from analysis.stats.association import association, noncentrality
from analysis.stats.decision import Finding
from analysis.stats.moments import Counts, Moments
from analysis.stats.multiplicity import holm
from analysis.stats.two_proportions import Share

ALL = (*CATEGORIES, *NUMBERS)
SEED = 1979
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
POWER = 0.8
MOST_GROUPS = 12  # of a category; the smallest of more values stand together
OTHERS = "all other"
# Why a test could not be made.
ONE_GROUP, NOBODY, EVERYBODY = "one group", "nobody churned", "everybody churned"
TOO_FEW = "too few on either side"


@dataclass(frozen=True)
class Traits:
    """Each trait against churn; rates and their differences are shares, within [-1, 1].

    Attributes:
        key: The columns of numbers over all subscribers: index `trait`; `mean` with its 95% t
            interval `low` to `high` (missing for one subscriber, or without spread), `median`,
            `sd`, `least`, `largest`, in the column's unit.
        tests: Whether the churn rates of a trait's groups differ: index `trait`, the closest
            association first; `groups` (how many), `statistic` (chi-squared), `df`, `p_value`,
            `p_adjusted` (Holm over all rows), `method` and `smallest_expected` (see
            `association.Association`), `found` (`p_adjusted` at most `ALPHA`); bias-corrected
            Cramér's `v`, `v_low`, `v_high`; `highest` and `lowest`, the groups with the largest and
            smallest rate, and `spread`, the difference of these rates, with `spread_low` and
            `spread_high`, widened for all pairs of groups from which it was picked (Bonferroni);
            `largest`, the group with most subscribers, and `detectable`, the difference of its rate
            from the rest's that the test would have found with probability `POWER` (see
            `detectable`; missing if none); `left_open`, the largest difference of a group's rate
            from the rest's within the group's widened interval.
        groups: The groups of every trait, in order: index `trait`, `group` (a category's value, or
            the least value of a group of numbers); `from_value`, `to_value` (missing for
            categories), `pooled` (how many values stand together as `OTHERS`, otherwise 0),
            `subscribers`, `churned`, `rate` with its Wilson interval `low` to `high`. Of traits
            that were tested, the group less all others together: `difference` with Newcombe's
            interval `difference_low` to `difference_high`, the same widened for the number of the
            trait's groups (Bonferroni) `wide_low` to `wide_high`, `p_value`, `p_adjusted` (Holm
            within the trait; two groups make one comparison) and, of traits that were found,
            `finding` ("higher", "lower" or "inconclusive"; see `Finding`).
        left_out: Why a trait was not tested: `ONE_GROUP`, `NOBODY` or `EVERYBODY`.
        direction: Whether those who churned have larger or smaller values than those who stayed:
            index `trait`; `superiority`, the probability that of one of each the churned one has
            the larger value (ties count half), with `superiority_low`, `superiority_high`;
            `p_value` (Mann-Whitney), `p_adjusted` (Holm over all rows), `found`; `mean_churned`,
            `mean_stayed` and their `difference` (churned less stayed) with Welch's interval
            `difference_low` to `difference_high`, in the column's unit (missing where neither
            varies).
        undirected: Why a number is not in `direction`: `NOBODY`, `EVERYBODY`, `TOO_FEW` (fewer
            than two churned, or stayed) or `ONE_GROUP` (one value).
        related: Pairs of the traits that either family found and that have groups: index `first`,
            `second`; Cramér's `v` (bias-corrected) of their groups with `v_low`, `v_high`;
            `p_value`, `p_adjusted` (Holm).
        correlations: Pairs of numbers, offers used among them as 0 and 1: index `first`,
            `second`; Pearson's `r` with Fisher's interval `r_low` to `r_high`; `p_value`,
            `p_adjusted` (Holm).
    """

    key: pd.DataFrame
    tests: pd.DataFrame
    groups: pd.DataFrame
    left_out: Mapping[str, str]
    direction: pd.DataFrame
    undirected: Mapping[str, str]
    related: pd.DataFrame
    correlations: pd.DataFrame


def traits(base: Reductions, table: ir.Table) -> Traits:
    """Tests every trait against churn.

    Args:
        base: The reductions of the table.
        table: netflix/subscribers.
    """
    groups = {column: _groups(base, column) for column in ALL}
    left_out = {column: why for column in ALL if (why := _why_not(base, len(groups[column])))}
    tested = [column for column in ALL if column not in left_out]
    compared = {column: _against_rest(groups[column]) for column in tested}
    tests = _tests(compared)
    for column, frame in compared.items():
        if tests.loc[column, "found"]:
            frame["finding"] = [_finding(row) for row in frame.itertuples()]
    direction, undirected = _direction(base)
    found = dict.fromkeys([*tests.index[tests["found"]], *direction.index[direction["found"]]])
    return Traits(
        key=_key(base),
        tests=tests,
        groups=_together(groups | compared),
        left_out=left_out,
        direction=direction,
        undirected=undirected,
        related=_related(table, {c: groups[c] for c in found if len(groups[c]) > 1}),
        correlations=_correlations(base),
    )


def _why_not(base: Reductions, groups: int) -> str | None:
    """Why churn cannot be compared between so many groups, or values; None if it can."""
    if base.churned == 0:
        return NOBODY
    if base.churned == base.subscribers:
        return EVERYBODY
    return ONE_GROUP if groups < 2 else None


def _key(base: Reductions) -> pd.DataFrame:
    rows = []
    for column in NUMBERS:
        found = base.numbers[column]
        low = high = math.nan
        if found.n > 1 and found.distinct > 1 and found.sd > 0:
            mean = intervals.mean_t(Moments.published(found.n, found.mean, found.sd), CONFIDENCE)
            low, high = mean.low, mean.high
        rows.append({"trait": column, "mean": found.mean, "low": low, "high": high,
                     "median": found.median, "sd": found.sd, "least": found.low,
                     "largest": found.high})
    return pd.DataFrame(rows).set_index("trait")


# Groups


def _groups(base: Reductions, column: str) -> pd.DataFrame:
    """The groups of a trait with their churn; index `group`."""
    if column in NUMBERS:
        frame = base.churn_by_number[column]
        names = [repr(float(value)).removesuffix(".0") for value in frame["from_value"]]
        return frame.assign(pooled=0).set_index(pd.Index(names, name="group", dtype=object))
    frame = base.churn_by_category[column].assign(from_value=math.nan, to_value=math.nan, pooled=0)
    frame = frame.set_index(pd.Index(frame.pop("value"), name="group", dtype=object))
    if len(frame) <= MOST_GROUPS:
        return frame
    # A value that is called as the pool is has to go into it.
    apart = frame.drop(index=OTHERS, errors="ignore")
    largest = apart["subscribers"].sort_values(ascending=False, kind="stable").index
    kept = frame.index.isin(largest[: MOST_GROUPS - 1])
    rest = frame[~kept]
    rate = intervals.proportion(int(rest["churned"].sum()), int(rest["subscribers"].sum()))
    pool = pd.DataFrame(
        {"subscribers": rest["subscribers"].sum(), "churned": rest["churned"].sum(),
         "rate": rate.estimate, "low": rate.low, "high": rate.high, "from_value": math.nan,
         "to_value": math.nan, "pooled": len(rest)},
        index=pd.Index([OTHERS], name="group", dtype=object),
    )
    return pd.concat([frame[kept], pool])


_COMPARED = ("difference", "difference_low", "difference_high", "wide_low", "wide_high", "p_value",
             "p_adjusted", "finding")


def _together(groups: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    frame = pd.concat([frame.reset_index().assign(trait=column)
                       for column, frame in groups.items()])
    columns = ["from_value", "to_value", "pooled", "subscribers", "churned", "rate", "low", "high"]
    frame = frame.set_index(["trait", "group"]).reindex(columns=[*columns, *_COMPARED])
    frame["finding"] = frame["finding"].astype(object).where(frame["finding"].notna(), None)
    return frame


def _against_rest(frame: pd.DataFrame) -> pd.DataFrame:
    """Each group's rate less that of all other groups together."""
    n, churned = int(frame["subscribers"].sum()), int(frame["churned"].sum())
    # Of two groups, one is the rest of the other: there is one comparison.
    comparisons = len(frame) if len(frame) > 2 else 1
    rows = []
    for group in frame.itertuples():
        mine = Share(int(group.churned), int(group.subscribers))
        rest = Share(churned - mine.successes, n - mine.n)
        plain = two_proportions.difference(mine, rest, CONFIDENCE)
        wide = two_proportions.difference(mine, rest, 1 - ALPHA / comparisons)
        table = [[share.successes, share.n - share.successes] for share in (mine, rest)]
        rows.append((plain.estimate, plain.low, plain.high, wide.low, wide.high,
                     association(table, seed=SEED).p_value))
    found = frame.copy()
    found[list(_COMPARED[:6])] = np.array(rows)
    found["p_adjusted"] = found["p_value"] if comparisons == 1 else holm(found["p_value"])
    return found


def _finding(row) -> str:
    if row.p_adjusted > ALPHA:
        return Finding.INCONCLUSIVE.value
    return (Finding.HIGHER if row.difference > 0 else Finding.LOWER).value


# The family of tests of groups


_TESTS = ["trait", "groups", "statistic", "df", "p_value", "method", "smallest_expected", "v",
          "v_low", "v_high", "highest", "lowest", "spread", "spread_low", "spread_high", "largest",
          "detectable", "left_open"]


def _tests(compared: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for column, frame in compared.items():
        stayed = frame["subscribers"] - frame["churned"]
        result = association(
            pd.DataFrame({"churned": frame["churned"], "stayed": stayed}),
            confidence=CONFIDENCE, seed=SEED)
        largest = frame["subscribers"].idxmax()
        rows.append({
            "trait": column, "groups": len(frame), "statistic": result.statistic,
            "df": result.df, "p_value": result.p_value, "method": result.method,
            "smallest_expected": result.smallest_expected, "v": result.effect.value,
            "v_low": result.effect.low, "v_high": result.effect.high, **_spread(frame),
            "largest": largest,
            "detectable": detectable(
                result.n, len(frame), frame.loc[largest, "subscribers"] / result.n,
                frame["churned"].sum() / result.n, ALPHA / len(compared)),
            "left_open": float(frame[["wide_low", "wide_high"]].abs().to_numpy().max()),
        })
    frame = pd.DataFrame(rows, columns=_TESTS)
    frame.insert(5, "p_adjusted", holm(frame["p_value"]) if rows else frame["p_value"])
    frame.insert(6, "found", (frame["p_adjusted"] <= ALPHA).astype(bool))
    # The bias-corrected V of many a trait is 0; there the p-value decides.
    frame = frame.sort_values(["v", "p_value"], ascending=[False, True], kind="stable")
    return frame.set_index("trait")


def _spread(frame: pd.DataFrame) -> dict:
    """The largest less the smallest rate, with an interval that holds for all pairs of groups."""
    highest, lowest = frame["rate"].idxmax(), frame["rate"].idxmin()
    ends = [Share(int(frame.loc[group, "churned"]), int(frame.loc[group, "subscribers"]))
            for group in (highest, lowest)]
    found = two_proportions.difference(*ends, 1 - ALPHA / math.comb(len(frame), 2))
    return {"highest": highest, "lowest": lowest, "spread": found.estimate,
            "spread_low": found.low, "spread_high": found.high}


def detectable(n: int, groups: int, share: float, rate: float, alpha: float) -> float:
    """The difference of one group's rate from all others' that a chi-squared test would find.

    With a group that holds a `share` q of all n and has a rate that differs from the rest's by d,
    the overall rate being p, the test's statistic has a noncentral chi-squared distribution with
    noncentrality n q (1 - q) d^2 / (p (1 - p)) (Cohen 1988, chapter 7).

    Args:
        n: Subscribers.
        groups: How many groups the test compares.
        share: Of the subscribers who are in that group, within (0, 1).
        rate: The overall rate, within (0, 1).
        alpha: Level of the test.

    Returns:
        The difference that is found with probability `POWER`; nan if no difference that leaves the
        overall rate as it is would be.
    """
    df = groups - 1
    # The noncentrality that puts the critical value at the lower quantile 1 - POWER.
    needed = noncentrality(float(stats.chi2.isf(alpha, df)), df, 2 * POWER - 1)[1]
    gap = math.sqrt(needed * rate * (1 - rate) / (n * share * (1 - share)))
    above = min((1 - rate) / (1 - share), rate / share)
    below = min(rate / (1 - share), (1 - rate) / share)
    return gap if gap <= max(above, below) else math.nan


# The family of tests of direction


_DIRECTION = ["trait", "superiority", "superiority_low", "superiority_high", "p_value",
              "mean_churned", "mean_stayed", "difference", "difference_low", "difference_high"]


def _direction(base: Reductions) -> tuple[pd.DataFrame, dict[str, str]]:
    rows, undirected = [], {}
    for column in NUMBERS:
        why = _why_not(base, base.numbers[column].distinct)
        if not why and min(base.churned, base.subscribers - base.churned) < 2:
            why = TOO_FEW
        if why:
            undirected[column] = why
            continue
        churned, stayed = (
            Counts(*base.values[column].of(status)) for status in ("Yes", "No"))
        test = two_sample.mann_whitney_of_counts(churned, stayed, alpha=ALPHA)
        a, b = churned.moments, stayed.moments
        low = high = math.nan
        if a.variance + b.variance > 0:
            means = two_sample.welch(a, b, alpha=ALPHA).interval
            low, high = means.low, means.high
        rows.append({
            "trait": column, "superiority": test.estimate, "superiority_low": test.interval.low,
            "superiority_high": test.interval.high, "p_value": test.p_value,
            "mean_churned": a.mean, "mean_stayed": b.mean, "difference": a.mean - b.mean,
            "difference_low": low, "difference_high": high,
        })
    frame = pd.DataFrame(rows, columns=_DIRECTION)
    frame.insert(5, "p_adjusted", holm(frame["p_value"]) if rows else frame["p_value"])
    frame.insert(6, "found", (frame["p_adjusted"] <= ALPHA).astype(bool))
    return frame.set_index("trait"), undirected


# How traits go with each other


def _related(table: ir.Table, groups: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    rows = []
    for first, second in itertools.combinations(groups, 2):
        keys = {"first": _in_group(table, first, groups[first]),
                "second": _in_group(table, second, groups[second])}
        cells = table.group_by(**keys).aggregate(n=table.count()).to_pandas()
        counts = cells.pivot(index="first", columns="second", values="n").fillna(0)
        result = association(counts, confidence=CONFIDENCE, seed=SEED)
        rows.append({"first": first, "second": second, "v": result.effect.value,
                     "v_low": result.effect.low, "v_high": result.effect.high,
                     "p_value": result.p_value})
    frame = pd.DataFrame(rows, columns=["first", "second", "v", "v_low", "v_high", "p_value"])
    frame["p_adjusted"] = holm(frame["p_value"]) if rows else frame["p_value"]
    return frame.set_index(["first", "second"])


def _in_group(table: ir.Table, column: str, groups: pd.DataFrame) -> ir.Value:
    """What tells a trait's groups apart in a query."""
    if column in NUMBERS:
        value = table[column].cast("float64")
        above = [(value > end).ifelse(1, 0) for end in groups["to_value"].iloc[:-1]]
        return functools.reduce(operator.add, above)
    value = table[column]
    if not groups["pooled"].any():
        return value
    kept = [str(group) for group in groups.index if group != OTHERS]
    return ibis.ifelse(value.isin(kept), value, OTHERS)


def _correlations(base: Reductions) -> pd.DataFrame:
    """Pearson's r of every pair, with the t test and Fisher's (1921) interval."""
    columns = ["first", "second", "r", "r_low", "r_high", "p_value"]
    rows = []
    reach = stats.norm.isf(ALPHA / 2)
    for (first, second), moments in base.cross_moments.items():
        # Fisher's interval needs four subscribers.
        if second == "churned" or not math.isfinite(moments.r) or moments.n < 4:
            continue
        r, df = moments.r, moments.n - 2
        with np.errstate(divide="ignore"):
            t, z = abs(r) * np.sqrt(df / np.maximum(1 - r**2, 0)), np.arctanh(r)
        low, high = (float(np.tanh(z + side * reach / math.sqrt(moments.n - 3)))
                     for side in (-1, 1))
        rows.append((first, second, r, low, high, float(min(1.0, 2 * stats.t.sf(t, df)))))
    frame = pd.DataFrame(rows, columns=columns)
    frame["p_adjusted"] = holm(frame["p_value"]) if rows else frame["p_value"]
    return frame.set_index(["first", "second"])
