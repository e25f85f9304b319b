"""Are the values of a column evenly spread between its ends, as a simple generator makes them?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.stats import association, intervals
from analysis.stats._common import Record, check_count, check_fraction

MARGIN = 0.1  # Cohen's (1988) small w: a spread nearer to even is even for practical purposes
END_MARGIN = 0.25
MIDDLE_MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Evenness(Record):
    """Counts against an even spread, or against other given shares.

    Attributes:
        n: Total count.
        cells: Number of cells.
        statistic: Pearson's chi-squared.
        df: Number of cells less 1.
        p_uneven: Its right tail: small if the counts are further from the shares than chance.
        p_closer: Its left tail: small if they are nearer to them than chance would bring them; nan
            where Cochran's rule does not hold.
        w, low, high: Cohen's w = sqrt(statistic / n), with the interval of the population's w. The
            plain w is biased upwards and may lie above its interval.
        bits: Kullback and Leibler's (1951) divergence of the observed shares from the given ones.
        bits_by_chance: What chance alone puts there on average, df / (2 n log 2).
        margin: The largest w that still counts as even.
        p_even: Of the hypothesis that the population's w is the margin or more: small if the
            counts are shown to be even; nan where Cochran's rule does not hold.
        confidence: Of the interval.
    """

    n: int
    cells: int
    statistic: float
    df: int
    p_uneven: float
    p_closer: float
    w: float
    low: float
    high: float
    bits: float
    bits_by_chance: float
    margin: float
    p_even: float
    confidence: float = 0.95


def evenness(
    counts: Sequence[int],
    shares: Sequence[float] | None = None,
    *,
    margin: float = MARGIN,
    confidence: float = 0.95,
) -> Evenness:
    """Whether counts are even, uneven, or more even than chance (Pearson 1900; Fisher 1936).

    Equivalence inverts the test of the noncentral chi-squared distribution: `p_even` is the
    probability of a statistic as small as this where the population's w is the margin, as the
    interval of w does (Steiger & Fouladi 1997; Wellek 2010).

    Args:
        counts: Of the cells.
        shares: Expected shares of the cells, above 0 and adding up to 1; equal ones without them.
        margin: The largest w that still counts as even.
        confidence: Of the interval of w.

    Raises:
        ValueError: A margin that is not above 0, or see `association.goodness_of_fit`.
    """
    if not margin > 0:
        raise ValueError(f"margin: must be above 0, got {margin!r}")
    cells = len(counts)
    expected = [1 / cells] * cells if shares is None else list(shares)
    fit = association.goodness_of_fit(list(counts), expected, confidence=confidence)
    observed = fit.cells["share"].to_numpy()
    there = observed > 0
    ratio = observed[there] / np.asarray(expected)[there]
    closer, even = math.nan, math.nan
    if fit.rule_holds:
        closer = float(stats.chi2.cdf(fit.statistic, fit.df))
        even = float(stats.ncx2.cdf(fit.statistic, fit.df, fit.n * margin**2))
    return Evenness(
        n=fit.n, cells=cells, statistic=fit.statistic, df=fit.df, p_uneven=fit.p_value,
        p_closer=closer, w=fit.effect.value, low=fit.effect.low, high=fit.effect.high,
        bits=max(0.0, float(observed[there] @ np.log2(ratio))),
        bits_by_chance=fit.df / (2 * fit.n * math.log(2)),
        margin=margin, p_even=even, confidence=confidence,
    )


@dataclass(frozen=True, slots=True)
class Ends(Record):
    """How densely the values lie at both ends of their range, against the average over all of it.

    Attributes:
        low, high: Density at the lower and at the upper end over the average density: 1 if the
            values lie as densely there as elsewhere, less if they thin out.
        low_from, low_to, high_from, high_to: Their intervals (Wilson).
        p_full: Of the hypothesis that one of both is off 1 by the margin or more: small if the
            values are shown to be there in full up to both ends.
        margin: The largest distance from 1 that counts as full.
    """

    low: float
    high: float
    low_from: float
    low_to: float
    high_from: float
    high_to: float
    p_full: float
    margin: float


def ends(
    first: int, last: int, n: int, first_share: float, last_share: float, *,
    margin: float = END_MARGIN, confidence: float = 0.95,
) -> Ends:
    """Whether values go on in full number to both ends of their range, where real ones thin out.

    Four exact binomial tests, each end against more and against less, all of which must reject
    (intersection-union, Berger 1982).

    Args:
        first, last: Values in the lowest and in the highest part of the range.
        n: Values in all.
        first_share, last_share: The parts, as shares of the range.
        margin: The largest distance of a relative density from 1 that counts as full.
        confidence: Of the intervals.

    Raises:
        ValueError: Counts that are not whole numbers, more in the parts than in all, no values,
            or shares or a margin that are not between 0 and 1.
    """
    n = check_count(n, "n")
    check_fraction(margin, "margin")
    p, found = 0.0, []
    for name, count, share in (("first", first, first_share), ("last", last, last_share)):
        check_fraction(share, f"{name}_share")
        count = check_count(count, name, least=0)
        interval = intervals.proportion(count, n, confidence)
        found.append([value / share for value in (interval.estimate, interval.low, interval.high)])
        more = stats.binom.cdf(count, n, min(1.0, share * (1 + margin)))
        less = stats.binom.sf(count - 1, n, share * (1 - margin))
        p = max(p, float(more), float(less))
    (low, low_from, low_to), (high, high_from, high_to) = found
    return Ends(low, high, low_from, low_to, high_from, high_to, p, margin)


@dataclass(frozen=True, slots=True)
class Middle(Record):
    """A mean against the middle of the range of its values.

    Attributes:
        offset: Mean less middle, as a share of the range.
        low, high: Its interval.
        p_off: Of the hypothesis that the mean is the middle: small if it is not.
        p_middle: Of the hypothesis that it is off by the margin or more: small if it is shown to
            be in the middle.
        margin: Share of the range.
    """

    offset: float
    low: float
    high: float
    p_off: float
    p_middle: float
    margin: float


def middle(
    mean: float, low: float, high: float, n: int, *, sd: float | None = None, rounding: float = 0.0,
    margin: float = MIDDLE_MARGIN, confidence: float = 0.95,
) -> Middle:
    """Whether a mean lies in the middle of the range, where an even spread puts it.

    It can be judged from published figures alone. Normal tests of a mean and, for equivalence, two
    one-sided ones (Schuirmann 1987).

    Args:
        mean: Mean of the values.
        low, high: The ends of the range.
        n: Number of values.
        sd: Their standard deviation; without it that of an even spread, range / sqrt(12).
        rounding: The most by which the printed mean may be off; the mean is taken to be that much
            further from the middle for `p_middle`, nearer for `p_off`, and the interval that much
            wider.
        margin: The largest offset that counts as none, as a share of the range.
        confidence: Of the interval.

    Raises:
        ValueError: Ends that are no range, a mean outside it, fewer than two values, or a standard
            deviation that is not above 0.
    """
    n = check_count(n, "n", least=2)
    if not low <= mean <= high or not low < high:
        raise ValueError(f"mean: must lie between low < high, got {low!r}, {mean!r}, {high!r}")
    reach = high - low
    sd = reach / math.sqrt(12) if sd is None else sd
    if not sd > 0:
        raise ValueError(f"sd: must be above 0, got {sd!r}")
    error = sd / math.sqrt(n) / reach
    offset, blur = (mean - (low + high) / 2) / reach, rounding / reach
    p_middle = float(stats.norm.cdf((abs(offset) + blur - margin) / error))
    p_off = float(2 * stats.norm.sf(max(0.0, abs(offset) - blur) / error))
    width = float(stats.norm.isf((1 - confidence) / 2)) * error + blur
    return Middle(offset, offset - width, offset + width, p_off, p_middle, margin)
