"""Devices and engagement: whether the means by device are more than any division would show.

The same is done for genre, region and plan, which serve as a yardstick: a list of means always has
a highest and a lowest, and chance alone decides how far apart these are.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2, t

from analysis.churn.reductions import Reductions, moments_by_each, stacked
from analysis.stats import several_means, two_sample
from analysis.stats.decision import Finding
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm

SEED = 1967
RESAMPLES = 20_000  # random divisions of the subscribers
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
TRAITS = ("device", "genre", "region", "plan")
SCORE = "engagement_rate"
# Named before the means were looked at, in points: half of the least step that whole scores from 1
# to 10 can take and, against the published sd of 2.67, less than the 0.2 sd that Cohen (1988) calls
# small.
MARGIN = 0.5
LEAST_VALUES = 10  # subscribers of a value whose mean is compared
MOST_VALUES = 12  # values of a trait that are compared, the largest of them
ROUNDING = 1e-9  # points; a smaller sd is what a backend's rounding leaves of equal scores


@dataclass(frozen=True, slots=True)
class KruskalWallis:
    """A test that the values of several groups come from one distribution, by their ranks.

    Attributes:
        n: Number of values.
        groups: Number of groups.
        statistic: H, corrected for ties.
        df: Number of groups less 1.
        p_value: From the chi-squared distribution.
    """

    n: int
    groups: int
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True)
class Split:
    """The two values of the highest means against all others.

    Attributes:
        first, second: The two values.
        n, n_others: Subscribers with these, and with the others.
        mean, mean_others: Their means, in points.
        difference: The first less the second mean, in points.
        low, high: 95% interval of the difference as if the two had been named beforehand.
        wide_low, wide_high: The same for all ways of choosing two values together (Bonferroni).
        p_value: Welch's test as if the two had been named beforehand.
        expected: The mean difference where the two highest of groups of these sizes that were drawn
            at random are set against the others.
        p_selected: Share of such random divisions with a difference at least as large.
    """

    first: str
    second: str
    n: int
    n_others: int
    mean: float
    mean_others: float
    difference: float
    low: float
    high: float
    wide_low: float
    wide_high: float
    p_value: float
    expected: float
    p_selected: float


@dataclass(frozen=True)
class Devices:
    """Engagement (points, 1 to 10) by device, and by genre, region and plan beside it.

    Attributes:
        subscribers: All subscribers.
        mean, sd: Of their engagement.
        margin: `MARGIN`, in points; differences of means within it are too small to act on.
        groups: Index `trait`, `value`, within a trait the highest mean first: `n`, `mean` with its
            limits `low` and `high`; `compared`, whether it has at least `LEAST_VALUES` subscribers
            and is among the `MOST_VALUES` largest; and, for those, `band_low` and `band_high`,
            between which all means of the trait lie in 95% of random divisions.
        tests: Index `trait`: `groups` that are compared; Welch's test of equal means, `statistic`,
            `df`, `df_denominator`, `p_value`, `p_adjusted` (Holm over the traits); `omega`, the
            share of the variance between the groups less what chance puts there, with `omega_low`
            and `omega_high`; the test by ranks, `rank_statistic`, `rank_df`, `rank_p_value`,
            `rank_p_adjusted`; `range`, highest less lowest mean, `range_expected` of random
            divisions with `range_low` and `range_high` (95% of them), and `range_p_value`, the
            share of them with a range at least as large. Missing where it cannot be told.
        pairs: Index `first`, `second`, pairs of devices, the higher mean first: `difference`;
            `low`, `high`; `wide_low`, `wide_high` (for all pairs together, Bonferroni); `p_value`
            (Welch), `p_adjusted` (Holm); `equivalence_p_value` (two one-sided tests that the
            difference lies within the margin), `equivalence_p_adjusted` (Holm); `finding` (see
            `Finding`): "higher" if the first is, else "equivalent" or "inconclusive".
        split: The two highest devices against the others; None with fewer than three to compare or
            without spread.
    """

    subscribers: int
    mean: float
    sd: float
    margin: float
    groups: pd.DataFrame
    tests: pd.DataFrame
    pairs: pd.DataFrame
    split: Split | None


def devices(base: Reductions, table: ir.Table) -> Devices:
    """Compares mean engagement by device, and by the traits of the yardstick.

    Args:
        base: The reductions.
        table: netflix/subscribers, for what is by genre, region and plan, and for the ranks.
    """
    rng = np.random.default_rng(SEED)
    everybody = base.numbers[SCORE]
    by_trait = moments_by_each(table, TRAITS[1:], SCORE) | {"device": base.engagement_by_device}
    counts = score_counts(table, TRAITS)
    groups, tests = [], []
    compared: dict[str, dict[str, Moments]] = {}
    for trait in TRAITS:
        moments = by_trait[trait]
        # Backends differ in the last bits of a mean, which must not decide about an order.
        order = moments.assign(mean=moments["mean"].round(9)).sort_values(
            ["mean", "value"], ascending=[False, True]).index
        moments = moments.loc[order]
        found = compared[trait] = _compared(moments)
        chance = Chance.of(found, rng) if len(found) > 1 else None
        groups.append(_groups(moments, trait, found, chance))
        tests.append({"trait": trait} | _test(found, chance) | _rank_test(counts[trait], found))
        if trait == "device":
            split = _split(found, chance)
    frame = pd.DataFrame(tests).set_index("trait")
    for name in ("p_value", "rank_p_value"):
        adjusted = _holm(frame[name])
        frame.insert(frame.columns.get_loc(name) + 1, name.replace("_value", "_adjusted"), adjusted)
    return Devices(
        subscribers=base.subscribers,
        mean=everybody.mean,
        sd=everybody.sd,
        margin=MARGIN,
        groups=pd.concat(groups).set_index(["trait", "value"]),
        tests=frame,
        pairs=_pairs(compared["device"]),
        split=split,
    )


def kruskal_wallis(counts: pd.DataFrame) -> KruskalWallis:
    """The test of Kruskal and Wallis (1952) for ordinal values given as counts, with ties.

    Equal values share the mean of their ranks, and H is divided by 1 - sum(t^3 - t) / (n^3 - n),
    t being how often each value occurs; so a million values cost what the distinct ones cost.

    Args:
        counts: One row a distinct value, whose index gives their order; one column a group.

    Raises:
        ValueError: Fewer than two groups with values, or only one distinct value.
    """
    counts = counts.loc[:, counts.sum() > 0].sort_index().astype(float)
    counts = counts[counts.sum(axis=1) > 0]
    if counts.shape[1] < 2 or counts.shape[0] < 2:
        raise ValueError("counts: needs two groups and two distinct values")
    ties = counts.sum(axis=1).to_numpy()
    ranks = ties.cumsum() - (ties - 1) / 2
    size = counts.sum().to_numpy()
    n = size.sum()
    # Ranks from their mean, (n + 1) / 2, so that no digits are lost in a difference of large sums.
    sums = counts.to_numpy().T @ (ranks - (n + 1) / 2)
    spread = 1 - float((ties**3 - ties).sum()) / (n**3 - n)
    statistic = 12 / (n * (n + 1)) * float((sums**2 / size).sum()) / spread
    df = len(size) - 1
    return KruskalWallis(int(n), len(size), statistic, df, float(chi2.sf(statistic, df)))


@dataclass(frozen=True, eq=False)
class Chance:
    """Means of groups into which the subscribers were divided at random.

    Attributes:
        means: Less the mean of all, in points, shape (resamples, groups).
        size: Subscribers by group, shape (groups,).
        sd: Of all values, in points.
    """

    means: NDArray[np.float64]
    size: NDArray[np.float64]
    sd: float

    @classmethod
    def of(
        cls, groups: Mapping[str, Moments], rng: np.random.Generator, resamples: int = RESAMPLES
    ) -> Chance:
        """Draws the means of groups of these sizes from one distribution with the sd of all.

        The means are taken as normal. Their differences then have the variances and covariances
        that dividing the very same values at random gives them; ten values a group suffice for the
        shape, since a score with ends has no long tails.
        """
        size = np.array([m.n for m in groups.values()], dtype=float)
        sd = several_means.together(*groups.values()).sd
        sd = sd if sd > ROUNDING else 0.0
        drawn = rng.standard_normal((resamples, len(size))) * sd / np.sqrt(size)
        centred = drawn - (drawn @ size / size.sum())[:, np.newaxis]
        return cls(centred, size, sd)

    def ranges(self) -> NDArray[np.float64]:
        """Highest less lowest mean of each division, in points."""
        return np.ptp(self.means, axis=1)

    def reach(self) -> NDArray[np.float64]:
        """How far from the mean of all each group's mean may lie, in points, shape (groups,).

        In 95% of the divisions no group goes further (an analysis of means, Nelson, Wludyka &
        Copeland 2005).
        """
        error = self.sd * np.sqrt(1 / self.size - 1 / self.size.sum())
        furthest = np.abs(self.means / error).max(axis=1)
        return np.quantile(furthest, CONFIDENCE) * error

    def splits(self) -> NDArray[np.float64]:
        """Mean of the two highest groups less that of the others, of each division, in points."""
        highest = np.argsort(-self.means, axis=1)[:, :2]
        size = self.size[highest]
        total = (np.take_along_axis(self.means, highest, 1) * size).sum(axis=1)
        n = size.sum(axis=1)
        # The means are centred, so what the others add up to is what these lack.
        return total / n + total / (self.size.sum() - n)


def _compared(moments: pd.DataFrame) -> dict[str, Moments]:
    """The largest values with enough subscribers, in the order given."""
    kept = moments[moments["n"] >= LEAST_VALUES].nlargest(MOST_VALUES, "n", keep="first")["value"]
    return {
        row.value: Moments.published(row.n, row.mean, row.sd if row.sd > ROUNDING else 0.0)
        for row in moments[moments["value"].isin(kept)].itertuples()
    }


def _groups(
    moments: pd.DataFrame, trait: str, compared: Mapping[str, Moments], chance: Chance | None
) -> pd.DataFrame:
    frame = moments[["value", "n", "mean", "low", "high"]].assign(trait=trait)
    frame["compared"] = frame["value"].isin(list(compared))
    frame["band_low"] = frame["band_high"] = np.nan
    if chance is not None:
        centre = several_means.together(*compared.values()).mean
        reach = chance.reach() if chance.sd > 0 else np.zeros(len(compared))
        frame.loc[frame["compared"], "band_low"] = centre - reach
        frame.loc[frame["compared"], "band_high"] = centre + reach
    return frame


_NO_TEST = ("statistic", "df", "df_denominator", "p_value", "omega", "omega_low", "omega_high")
_NO_RANGE = ("range", "range_expected", "range_low", "range_high", "range_p_value")
_NO_RANKS = ("rank_statistic", "rank_df", "rank_p_value")


def _test(groups: Mapping[str, Moments], chance: Chance | None) -> dict:
    """Welch's test of equal means, and their range beside that of random divisions."""
    row: dict = {"groups": len(groups)} | dict.fromkeys((*_NO_TEST, *_NO_RANGE), np.nan)
    if chance is None:
        return row
    means = [m.mean for m in groups.values()]
    row["range"] = max(means) - min(means)
    if chance.sd > 0:
        ranges = chance.ranges()
        low, high = np.quantile(ranges, [ALPHA / 2, 1 - ALPHA / 2])
        row |= {"range_expected": float(ranges.mean()), "range_low": float(low),
                "range_high": float(high), "range_p_value": share(ranges, row["range"])}
    if all(m.variance > 0 for m in groups.values()):
        anova = several_means.welch_anova(groups, CONFIDENCE)
        row |= {"statistic": anova.statistic, "df": float(anova.df),
                "df_denominator": anova.df_denominator, "p_value": anova.p_value,
                "omega": anova.effect.value, "omega_low": anova.effect.low,
                "omega_high": anova.effect.high}
    return row


def share(drawn: NDArray[np.float64], observed: float) -> float:
    """Monte-Carlo p-value: the share of draws at least as large, the observed one among them."""
    return float((1 + np.count_nonzero(drawn >= observed)) / (1 + len(drawn)))


def score_counts(table: ir.Table, traits: Sequence[str]) -> dict[str, pd.DataFrame]:
    """How many subscribers have which score, by each of some traits.

    Scores are counted by hundredths of a point, so that there are at most 901 of them, however
    exactly they are recorded.

    Args:
        table: netflix/subscribers.
        traits: Columns of it.

    Returns:
        By trait one row a score (index `score`, hundredths of a point), one column a value.
    """
    score = (table[SCORE].cast("float64") * 100).round().cast("int64")
    rows = stacked(table, {trait: table[trait] for trait in traits}, score=score)
    counts = rows.group_by("column", "value", "score").aggregate(n=rows.count()).to_pandas()
    return {
        trait: part.pivot_table(
            index="score", columns="value", values="n", aggfunc="sum", fill_value=0)
        for trait, part in counts.groupby("column")
    }


def _rank_test(counts: pd.DataFrame, groups: Mapping[str, Moments]) -> dict:
    nothing = dict.fromkeys(_NO_RANKS, np.nan)
    if len(groups) < 2:
        return nothing
    try:
        found = kruskal_wallis(counts[list(groups)])
    except ValueError:  # everybody has the same score
        return nothing
    return dict(zip(_NO_RANKS, (found.statistic, float(found.df), found.p_value), strict=True))


_PAIRS = ["first", "second", "difference", "low", "high", "wide_low", "wide_high", "p_value",
          "p_adjusted", "equivalence_p_value", "equivalence_p_adjusted", "finding"]


def _pairs(groups: Mapping[str, Moments]) -> pd.DataFrame:
    """Every pair of groups that can be tested; `groups` by descending mean."""
    rows = []
    every = list(itertools.combinations(groups, 2))
    for first, second in every:
        a, b = groups[first], groups[second]
        if not a.variance + b.variance > 0:
            continue
        test = two_sample.welch(a, b, alpha=ALPHA)
        within = two_sample.equivalence(a, b, low=-MARGIN, high=MARGIN, alpha=ALPHA)
        wide = float(t.isf(ALPHA / 2 / len(every), test.df)) * test.standard_error
        rows.append({
            "first": first, "second": second, "difference": test.estimate,
            "low": test.interval.low, "high": test.interval.high,
            "wide_low": test.estimate - wide, "wide_high": test.estimate + wide,
            "p_value": test.p_value, "equivalence_p_value": within.p_value,
        })
    frame = pd.DataFrame(rows, columns=_PAIRS).set_index(["first", "second"])
    frame["p_adjusted"] = _holm(frame["p_value"])
    frame["equivalence_p_adjusted"] = _holm(frame["equivalence_p_value"])
    frame["finding"] = [
        (Finding.HIGHER if row.p_adjusted <= ALPHA else
         Finding.EQUIVALENT if row.equivalence_p_adjusted <= ALPHA else
         Finding.INCONCLUSIVE).value
        for row in frame.itertuples()
    ]
    return frame


def _split(groups: Mapping[str, Moments], chance: Chance | None) -> Split | None:
    """The two highest groups against the others; `groups` by descending mean."""
    if chance is None or len(groups) < 3 or not chance.sd > 0:
        return None
    (first, a), (second, b), *others = groups.items()
    top, rest = several_means.together(a, b), several_means.together(*(m for _, m in others))
    if not top.variance + rest.variance > 0:
        return None
    test = two_sample.welch(top, rest, alpha=ALPHA)
    choices = math.comb(len(groups), 2)
    wide = float(t.isf(ALPHA / 2 / choices, test.df)) * test.standard_error
    drawn = chance.splits()
    return Split(
        first, second, top.n, rest.n, top.mean, rest.mean, test.estimate, test.interval.low,
        test.interval.high, test.estimate - wide, test.estimate + wide, test.p_value,
        float(drawn.mean()), share(drawn, test.estimate),
    )


def _holm(p_values: pd.Series) -> pd.Series:
    """Holm's adjusted p-values of those that there are."""
    adjusted = pd.Series(np.nan, p_values.index, dtype=float)
    there = p_values.notna()
    if there.any():
        adjusted[there] = holm(p_values[there].astype(float))
    return adjusted
