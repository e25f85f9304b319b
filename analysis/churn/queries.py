"""Support queries against age: correlation and its absence, other shapes, totals and head counts.

A total of an age group mixes two things, how many subscribers it has and how much each asks; the
totals by year of age are taken apart here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri
from scipy.stats import t

from analysis.churn.reductions import BANDS, CrossMoments, Reductions
from analysis.stats import association, intervals, several_means
from analysis.stats.intervals import Interval
from analysis.stats.moments import Counts, Moments
from analysis.stats.multiplicity import holm
from analysis.stats.resampling import resampled

SEED = 1915
RESAMPLES = 9_999
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
# Named before the correlation was looked at: at 0.1, age would account for a hundredth of the
# variance of the queries; Cohen (1988) calls that small.
MARGIN = 0.1
LEAST_VALUES = 10  # subscribers of an age or a band whose mean is compared
LEAST_AGES = 3  # ages whose totals are set against their head counts
MOST_KINDS = 20  # numbers of queries that are compared with an even spread
# The published report: "most age groups log between 60-80 queries".
REPORTED = (60, 80)
LINEAR, MONOTONE, BAND, YEAR = "linear", "monotone", "bands", "years"
# What may have been read off a chart for a group of ages, and how ages may have been grouped.
QUANTITIES = ("queries", "mean", "subscribers", "asking")
GROUPINGS = ("years", "five_years", "bands")


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided tests that a correlation lies within a margin.

    Attributes:
        margin: Of the correlation, either way.
        low, high: Its interval at confidence 1 - 2 alpha, within the margin exactly where p is
            below alpha.
        p_value: The larger of the two tests'.
    """

    margin: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True)
class Dispersion:
    """How many queries subscribers log, beside queries that come at random.

    Attributes:
        mean, variance: Of the queries of a subscriber.
        ratio: Variance over mean; 1 if all subscribers have queries at one and the same rate, at
            random (Poisson).
        low, high: Its 95% interval, by bootstrap.
        none: Share of the subscribers without a query, with its interval.
        poisson_none: What that share would be with Poisson counts of the same mean.
        kinds: How many different numbers of queries occur.
        least, most: Smallest and largest of them.
        even_p_value, even_w, even_w_high: Test that every number from the least to the most is
            equally common, with Cohen's w and the upper limit of its 95% interval; missing where
            there is one number only, or more than `MOST_KINDS`.
    """

    mean: float
    variance: float
    ratio: float
    low: float
    high: float
    none: Interval
    poisson_none: float
    kinds: int
    least: int
    most: int
    even_p_value: float
    even_w: float
    even_w_high: float


@dataclass(frozen=True)
class HeadCounts:
    """Total queries by year of age, against the number of subscribers of that age.

    Attributes:
        ages: How many years of age occur.
        explained: Share of the variance of the totals that goes with the head counts (the square
            of their correlation).
        expected: What it would be on average if every age asked alike.
        low, high: Where it would lie in 95% of such tables.
    """

    ages: int
    explained: float
    expected: float
    low: float
    high: float


@dataclass(frozen=True)
class Queries:
    """Support queries by age.

    Attributes:
        subscribers: All subscribers.
        queries: All queries.
        relations: Index `relation`: "linear" (Pearson's correlation of age and queries),
            "monotone" (Spearman's), "bands" and "years" (Welch's test of equal means by band and
            by year of age, those with at least `LEAST_VALUES` subscribers): `n` subscribers,
            `groups`, `statistic` (t or F), `df`, `df_denominator`, `effect` (the correlation, or
            omega squared) with `low` and `high`, `p_value`, `p_adjusted` (Holm over the
            relations). Missing where it cannot be told.
        equivalence: Whether Pearson's correlation is shown to lie within `MARGIN`; None where there
            is none.
        months: Pearson's correlation of the queries with the months of subscription, over which
            they might have been logged; None where there is none.
        dispersion: Of the queries of a subscriber; None without two subscribers who differ.
        ages: Index `age`: `subscribers`, `queries`, `expected` queries if every age asked alike.
        head_counts: What the totals owe to head counts; None with fewer than `LEAST_AGES` ages,
            or if all have as many subscribers or as many queries.
        reported: Index `grouping` (years of age, five years, bands) and `quantity` (queries in
            all, mean queries a subscriber, subscribers, subscribers with a query): `groups` that
            there are, `within` the published range of 60 to 80, their `share`, and the `least`,
            `median` and `largest` value of the groups.
    """

    subscribers: int
    queries: int
    relations: pd.DataFrame
    equivalence: Equivalence | None
    months: Interval | None
    dispersion: Dispersion | None
    ages: pd.DataFrame
    head_counts: HeadCounts | None
    reported: pd.DataFrame


def queries(base: Reductions, table: ir.Table) -> Queries:
    """Compares queries by age.

    Args:
        base: The reductions.
        table: netflix/subscribers, for counts by age and number of queries.
    """
    rng = np.random.default_rng(SEED)
    counts = age_query_counts(table)
    pair = base.cross_moments["age", "support_queries"]
    rho = spearman(counts)
    rows = {
        LINEAR: _correlation(pair.r, pair.n, pearson_error),
        MONOTONE: _correlation(rho, pair.n, spearman_error),
        BAND: _means(base.queries_by_age_band),
        YEAR: _means(base.queries_by_age),
    }
    relations = pd.DataFrame.from_dict(rows, orient="index", columns=_RELATION)
    relations = relations.rename_axis("relation").astype(float)
    there = relations["p_value"].notna()
    relations["p_adjusted"] = np.nan
    if there.any():
        relations.loc[there, "p_adjusted"] = holm(relations.loc[there, "p_value"])
    by_age = base.queries_by_age
    total = int(by_age["queries"].sum())
    ages = pd.DataFrame({
        "subscribers": by_age["n"].astype("int64"), "queries": by_age["queries"].astype("int64"),
        "expected": by_age["n"] * (total / base.subscribers),
    }).set_axis(pd.Index(by_age["from_age"].astype("int64"), name="age"))
    number = base.numbers["support_queries"]
    return Queries(
        subscribers=base.subscribers,
        queries=total,
        relations=relations,
        equivalence=equivalence(pair.r, pair.n),
        months=_interval(base.cross_moments["subscription_months", "support_queries"]),
        dispersion=dispersion(counts, rng),
        ages=ages,
        head_counts=head_counts(ages, number.mean, number.sd, rng),
        reported=reported(counts),
    )


def age_query_counts(table: ir.Table) -> pd.DataFrame:
    """How many subscribers of which age have logged how many queries.

    Args:
        table: netflix/subscribers.

    Returns:
        One row an age and number that occur: `age`, `queries`, `n`.
    """
    counts = table.group_by(age=table.age, queries=table.support_queries).aggregate(
        n=table.count())
    return counts.to_pandas().astype("int64").sort_values(["age", "queries"], ignore_index=True)


# Correlation.


def pearson_error(r: float, n: int) -> float:
    """Standard error of Fisher's (1921) z of Pearson's correlation."""
    return 1 / math.sqrt(n - 3)


def spearman_error(rho: float, n: int) -> float:
    """Standard error of Fisher's z of Spearman's correlation (Bonett & Wright 2000)."""
    return math.sqrt((1 + rho**2 / 2) / (n - 3))


def fisher_interval(
    r: float, n: int, confidence: float = CONFIDENCE,
    error: Callable[[float, int], float] = pearson_error,
) -> tuple[float, float]:
    """Interval of a correlation on the scale of Fisher's z = artanh r, where it is about normal.

    Args:
        r: The correlation, between -1 and 1.
        n: Number of pairs, at least 4.
        confidence: Of the interval.
        error: Standard error of z; `pearson_error` or `spearman_error`.
    """
    reach = -float(ndtri((1 - confidence) / 2)) * error(r, n)
    z = math.atanh(r)
    return math.tanh(z - reach), math.tanh(z + reach)


def equivalence(
    r: float, n: int, margin: float = MARGIN, alpha: float = ALPHA
) -> Equivalence | None:
    """Whether a correlation is shown to lie within a margin of 0.

    Two one-sided tests (Schuirmann 1987) on the scale of Fisher's z (Goertzen & Cribbie 2010).

    Returns:
        None with fewer than 4 pairs, or where the correlation is missing or perfect.
    """
    if not _usable(r, n):
        return None
    z, limit, error = math.atanh(r), math.atanh(margin), pearson_error(r, n)
    p = max(float(ndtr(-(z + limit) / error)), float(ndtr((z - limit) / error)))
    return Equivalence(margin, *fisher_interval(r, n, 1 - 2 * alpha), p)


def spearman(counts: pd.DataFrame) -> float:
    """Spearman's (1904) correlation of ranks from counts; equal values share their mean rank.

    Args:
        counts: As from `age_query_counts`.

    Returns:
        nan where a column has no spread.
    """
    n = counts["n"].to_numpy(dtype=float)
    total = n.sum()
    deviations = []
    for name in ("age", "queries"):
        size = counts.groupby(name)["n"].sum().astype(float)
        # From the mean rank of all, (n + 1) / 2.
        rank = size.cumsum() - (size - 1) / 2 - (total + 1) / 2
        deviations.append(counts[name].map(rank).to_numpy())
    x, y = deviations
    spread = math.sqrt(n @ x**2) * math.sqrt(n @ y**2)
    return float(np.clip(n @ (x * y) / spread, -1, 1)) if spread > 0 else math.nan


def _interval(pair: CrossMoments) -> Interval | None:
    if not _usable(pair.r, pair.n):
        return None
    return Interval(pair.r, *fisher_interval(pair.r, pair.n), CONFIDENCE, "Fisher z")


def _usable(r: float, n: int) -> bool:
    return n > 3 and abs(r) < 1 - 1e-12


_RELATION = ["n", "groups", "statistic", "df", "df_denominator", "effect", "low", "high",
             "p_value"]


def _correlation(r: float, n: int, error: Callable[[float, int], float]) -> list[float]:
    """A correlation with its interval and its t test."""
    missing = [math.nan] * 3
    if not _usable(r, n):
        return [n, *missing, math.nan, r if n > 3 else math.nan, *missing]
    statistic = r * math.sqrt((n - 2) / (1 - r**2))
    low, high = fisher_interval(r, n, error=error)
    return [n, math.nan, statistic, n - 2, math.nan, r, low, high,
            2 * float(t.sf(abs(statistic), n - 2))]


def _means(groups: pd.DataFrame) -> list[float]:
    """Welch's test of equal mean queries of groups of ages, those of one value left out."""
    found = {
        row.from_age: Moments.published(row.n, row.mean, row.sd)
        for row in groups.itertuples() if row.n >= LEAST_VALUES and row.sd > 0
    }
    n = sum(m.n for m in found.values())
    if len(found) < 2:
        return [n, len(found)] + [math.nan] * 7
    anova = several_means.welch_anova(found, CONFIDENCE)
    effect = anova.effect
    return [n, anova.groups, anova.statistic, anova.df, anova.df_denominator, effect.value,
            effect.low, effect.high, anova.p_value]


# Dispersion.


def dispersion(
    counts: pd.DataFrame, rng: np.random.Generator, resamples: int = RESAMPLES
) -> Dispersion | None:
    """Variance and mean of the queries, and how common each number of them is.

    Args:
        counts: As from `age_query_counts`.
        rng: For the bootstrap.
        resamples: How many samples it draws.
    """
    size = counts.groupby("queries")["n"].sum()
    sample = Counts.of(size.index.to_numpy(dtype=float), size.to_numpy(dtype=float))
    if sample.values.size < 2:
        return None
    n, m = sample.n, sample.moments
    means, variances = resampled(sample, n, resamples, rng)
    # Of a few subscribers some resamples hold those without a query only, whose ratio is none.
    ratios = variances[means > 0] / means[means > 0]
    low, high = np.quantile(ratios, [ALPHA / 2, 1 - ALPHA / 2])
    least, most = int(size.index.min()), int(size.index.max())
    even = (math.nan,) * 3
    if most - least < MOST_KINDS:
        every = size.reindex(range(least, most + 1), fill_value=0)
        fit = association.goodness_of_fit(
            every.astype(int).tolist(), [1 / len(every)] * len(every), confidence=CONFIDENCE)
        even = (fit.p_value, fit.effect.value, fit.effect.high)
    return Dispersion(
        m.mean, m.variance, m.variance / m.mean, float(low), float(high),
        intervals.proportion(int(size.get(0, 0)), n, CONFIDENCE), math.exp(-m.mean), len(size),
        least, most, *even)


# Totals.


def head_counts(
    ages: pd.DataFrame, mean: float, sd: float, rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> HeadCounts | None:
    """How much of what tells the totals apart are the numbers of subscribers.

    Args:
        ages: `subscribers` and `queries`, one row a year of age.
        mean, sd: Queries of a subscriber, over all.
        rng: For totals of ages that ask alike: normal, with these subscribers, mean and sd.
        resamples: How many tables of such totals.
    """
    n, total = (ages[name].to_numpy(dtype=float) for name in ("subscribers", "queries"))
    if len(ages) < LEAST_AGES or np.ptp(n) == 0 or np.ptp(total) == 0:
        return None
    noise = sd * np.sqrt(n) * rng.standard_normal((resamples, len(n)))
    alike = _squared_correlations(mean * n + noise, n)
    low, high = np.quantile(alike, [ALPHA / 2, 1 - ALPHA / 2])
    explained = float(_squared_correlations(total[np.newaxis], n)[0])
    return HeadCounts(len(ages), explained, float(alike.mean()), float(low), float(high))


def _squared_correlations(rows: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of each row with x, shape (rows,)."""
    x = x - x.mean()
    rows = rows - rows.mean(axis=1, keepdims=True)
    return (rows @ x) ** 2 / ((rows**2).sum(axis=1) * (x @ x))


def reported(counts: pd.DataFrame) -> pd.DataFrame:
    """Which figures of groups of ages lie within the published range of 60 to 80.

    Args:
        counts: As from `age_query_counts`.

    Returns:
        See `Queries.reported`.
    """
    age = counts["age"]
    keys: Mapping[str, np.ndarray] = {
        "years": age.to_numpy(),
        "five_years": age.to_numpy() // 5,
        "bands": np.searchsorted(BANDS["age"], age),
    }
    low, high = REPORTED
    parts = pd.DataFrame({
        "queries": counts["queries"] * counts["n"], "subscribers": counts["n"],
        "asking": counts["n"].where(counts["queries"] > 0, 0),
    })
    rows = []
    for grouping in GROUPINGS:
        sums = parts.groupby(keys[grouping]).sum()
        sums["mean"] = sums["queries"] / sums["subscribers"]
        for quantity in QUANTITIES:
            values = sums[quantity].astype(float)
            within = int(values.between(low, high).sum())
            rows.append({
                "grouping": grouping, "quantity": quantity, "groups": len(values),
                "within": within, "share": within / len(values), "least": values.min(),
                "median": values.median(), "largest": values.max(),
            })
    return pd.DataFrame(rows).set_index(["grouping", "quantity"])
