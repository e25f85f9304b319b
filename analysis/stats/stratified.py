"""Odds ratios in 2x2 tables, alone or in strata: Mantel-Haenszel and exact conditional inference.

A table crosses two properties of `total` units: `row` of them have the first, `column` the second,
`both` have both. Given these margins, the number with both follows Fisher's noncentral
hypergeometric distribution with the odds ratio as its only parameter (Fisher 1935), and over strata
with a common odds ratio the sum of such numbers is all that the tables say about it (Gart 1970).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from analysis.stats._common import Record, Values, check_fraction
from analysis.stats.intervals import Interval

# Above this many units with both, over strata, their number is normal for any purpose.
MOST_EXACT = 1_000
# The distribution is followed so many standard deviations beyond its mean and the observed number.
REACH = 10


@dataclass(frozen=True, slots=True, eq=False)
class MantelHaenszel(Record):
    """Common odds ratios of stratified tables.

    Attributes:
        estimate: The Mantel-Haenszel estimate (1959); nan where no stratum says anything, infinite
            where no unit contradicts the association.
        low, high: Limits by the variance of Robins, Breslow & Greenland (1986); nan where the
            estimate is 0, infinite or nan.
    """

    estimate: Values
    low: Values
    high: Values


def _cells(both: ArrayLike, row: ArrayLike, column: ArrayLike, total: ArrayLike) -> list[Values]:
    counts = (np.asarray(x, dtype=float) for x in (both, row, column, total))
    a, r, c, n = np.broadcast_arrays(*counts)
    cells = [a, r - a, c - a, n - r - c + a]
    if any((cell < 0).any() for cell in cells) or not all(np.isfinite(x).all() for x in cells):
        raise ValueError("both, row, column, total: no such table, a cell would be below 0")
    return cells


def mantel_haenszel(
    both: ArrayLike, row: ArrayLike, column: ArrayLike, total: ArrayLike, confidence: float = 0.95
) -> MantelHaenszel:
    """The common odds ratio over strata, for many tables at once.

    Args:
        both, row, column, total: Counts, shape (..., strata).
        confidence: Of the limits.

    Raises:
        ValueError: Counts that no table can have, or a confidence outside (0, 1).
    """
    check_fraction(confidence, "confidence")
    a, b, c, d = _cells(both, row, column, total)
    n = np.maximum(a + b + c + d, 1)
    r, s, p, q = a * d / n, b * c / n, (a + d) / n, (b + c) / n
    sum_r, sum_s = r.sum(axis=-1), s.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = sum_r / sum_s
        variance = (
            (p * r).sum(axis=-1) / (2 * sum_r**2)
            + (p * s + q * r).sum(axis=-1) / (2 * sum_r * sum_s)
            + (q * s).sum(axis=-1) / (2 * sum_s**2)
        )
        reach = np.exp(stats.norm.isf((1 - confidence) / 2) * np.sqrt(variance))
        low, high = estimate / reach, estimate * reach
    known = (sum_r > 0) & (sum_s > 0)
    return MantelHaenszel(estimate, np.where(known, low, np.nan), np.where(known, high, np.nan))


def expected(
    row: ArrayLike, column: ArrayLike, total: ArrayLike, odds_ratio: float = 1.0
) -> tuple[Values, Values]:
    """Mean and variance of the number with both, given the margins, in large samples.

    The mean is the number that gives the table this odds ratio (Breslow & Day 1980, 4.4); with an
    odds ratio of 1 it is exact, and so is then the variance.

    Returns:
        Two arrays of the shape of the arguments.
    """
    r, c, n = np.broadcast_arrays(*(np.asarray(x, dtype=float) for x in (row, column, total)))
    size = np.maximum(n, 2)
    if odds_ratio == 1:
        mean = r * c / np.maximum(n, 1)
        return mean, mean * (n - r) * (n - c) / (size * (size - 1))
    # (1 - OR) m^2 + (n - r - c + OR (r + c)) m - OR r c = 0, the root that is a possible count.
    linear = n - r - c + odds_ratio * (r + c)
    root = np.sqrt(np.maximum(linear**2 + 4 * (1 - odds_ratio) * odds_ratio * r * c, 0))
    mean = 2 * odds_ratio * r * c / np.maximum(linear + root, 1e-300)
    with np.errstate(divide="ignore"):
        cells = (mean, r - mean, c - mean, n - r - c + mean)
        parts = sum(1 / np.maximum(cell, 0) for cell in cells)
    return mean, 1 / parts


def _mean(row: float, column: float, total: float, odds_ratio: float) -> float:
    """As `expected`, for one table."""
    linear = total - row - column + odds_ratio * (row + column)
    root = math.sqrt(max(linear**2 + 4 * (1 - odds_ratio) * odds_ratio * row * column, 0.0))
    return 2 * odds_ratio * row * column / max(linear + root, 1e-300)


def odds_ratio_of(expected_both: float, row: float, column: float, total: float) -> float:
    """The odds ratio of a table whose number with both is this; infinite beyond the largest."""
    m = expected_both
    others = (row - m) * (column - m)
    free = total - row - column + m
    if free <= 0:
        return 0.0
    return m * free / others if m < min(row, column) else np.inf


@dataclass(frozen=True, slots=True, eq=False)
class Conditional:
    """The distribution of the number with both, given the margins of all strata.

    Attributes:
        observed: The number with both, summed over strata.
        counts: Numbers that it can take, ascending; those too far off to matter are left out.
        log_weights: Log of their probabilities with odds ratio 1, but for a constant.
    """

    observed: int
    counts: Values = field(repr=False)
    log_weights: Values = field(repr=False)

    @classmethod
    def of(
        cls, both: ArrayLike, row: ArrayLike, column: ArrayLike, total: ArrayLike,
        odds_ratio: float = 1.0,
    ) -> "Conditional":
        """The distribution for tables, one or several strata.

        Args:
            both, row, column, total: Counts, numbers or shape (strata,).
            odds_ratio: About which the distribution will be asked, beside the observed one.

        Raises:
            ValueError: Counts that no table can have.
        """
        a = _cells(both, row, column, total)[0]
        x, r, c, n = (
            np.atleast_1d(v).astype(np.int64) for v in np.broadcast_arrays(a, row, column, total)
        )
        first, weights = 0, np.ones(1)
        for table in zip(*(v.tolist() for v in (x, r, c, n)), strict=True):
            low, steps = _stratum(*table, odds_ratio)
            if x.size == 1:
                return cls(table[0], np.arange(low, low + steps.size, dtype=float), steps)
            # Tilted to the odds ratio, where sums of weights keep their digits.
            counts = np.arange(steps.size)
            tilted = steps + counts * np.log(odds_ratio)
            weights = np.convolve(weights, np.exp(tilted - tilted.max()))
            weights /= weights.max()
            first += low
        counts = np.arange(weights.size, dtype=float)
        with np.errstate(divide="ignore"):
            log = np.log(weights) - counts * np.log(odds_ratio)
        return cls(int(x.sum()), first + counts, log)

    def _log_tail(self, odds_ratio: float, least: int | None, most: int | None) -> float:
        tilted = self.log_weights + (self.counts - self.observed) * np.log(odds_ratio)
        inside = np.ones(self.counts.size, dtype=bool)
        if least is not None:
            inside &= self.counts >= least
        if most is not None:
            inside &= self.counts <= most
        if not inside.any():
            return -np.inf
        top = tilted.max()
        tail = tilted[inside]
        return float(_log_sum(tail) - (top + np.log(np.exp(tilted - top).sum())))

    def log_p_greater(self, odds_ratio: float = 1.0, mid: bool = False) -> float:
        """Log of the probability of the observed number or more.

        Args:
            odds_ratio: Under the null hypothesis.
            mid: Count half of the observed number's own probability (Lancaster 1961).
        """
        tail = self._log_tail(odds_ratio, self.observed, None)
        if not mid:
            return tail
        own = self._log_tail(odds_ratio, self.observed, self.observed)
        return tail + float(np.log1p(-0.5 * np.exp(own - tail)))

    def mean(self, odds_ratio: float = 1.0) -> float:
        """The expected number with both."""
        if odds_ratio <= 0 or np.isinf(odds_ratio):
            return float(self.counts[-1] if odds_ratio > 0 else self.counts[0])
        tilted = self.log_weights + (self.counts - self.observed) * np.log(odds_ratio)
        weights = np.exp(tilted - tilted.max())
        return float(self.counts @ weights / weights.sum())

    def interval(self, confidence: float = 0.95) -> Interval:
        """The conditional maximum-likelihood estimate of the odds ratio and its exact limits.

        Each limit has the observed number just in a tail of (1 - confidence) / 2, as Clopper and
        Pearson's of a share do; R's `fisher.test` and `mantelhaen.test(exact = TRUE)` give them.
        """
        check_fraction(confidence, "confidence")
        tail = np.log((1 - confidence) / 2)
        x = self.observed
        at_low, at_high = x <= self.counts[0], x >= self.counts[-1]
        low = 0.0 if at_low else _solve(lambda t: self._log_tail(np.exp(t), x, None) - tail)
        high = np.inf if at_high else _solve(lambda t: tail - self._log_tail(np.exp(t), None, x))
        estimate = (
            0.0 if at_low else np.inf if at_high else _solve(lambda t: self.mean(np.exp(t)) - x)
        )
        return Interval(estimate, low, high, confidence, "exact conditional")


def _log_sum(values: Values) -> float:
    top = values.max()
    return top + np.log(np.exp(values - top).sum()) if np.isfinite(top) else -np.inf


def _solve(increasing) -> float:
    """exp of the root of a function that increases with its argument."""
    low, high = -1.0, 1.0
    while increasing(low) > 0 and low > -600:
        low *= 2
    while increasing(high) < 0 and high < 600:
        high *= 2
    return float(np.exp(optimize.brentq(increasing, low, high, xtol=1e-12, rtol=1e-13)))


def _stratum(
    x: int, row: int, column: int, total: int, odds_ratio: float
) -> tuple[int, Values]:
    """The first count that matters and the log weights from there on."""
    least, most = max(0, row + column - total), min(row, column)
    middle = row * column / max(total, 1)
    mean = middle if odds_ratio == 1 else _mean(row, column, total, odds_ratio)
    reach = 40 + REACH * math.sqrt(max(x, mean, middle))
    low = max(least, int(min(x, mean, middle) - reach))
    high = min(most, int(max(x, mean, middle) + reach))
    k = np.arange(low, high, dtype=float)
    ratios = np.log((row - k) * (column - k)) - np.log((k + 1) * (total - row - column + k + 1))
    log = np.concatenate([[0.0], np.cumsum(ratios)])
    return low, log - log.max()


def log_p_greater(
    both: ArrayLike, row: ArrayLike, column: ArrayLike, total: ArrayLike, odds_ratio: float = 1.0,
    mid: bool = False,
) -> float:
    """Log of the one-sided p-value that the common odds ratio is above one of the null hypothesis.

    Exact (see `Conditional`) up to `MOST_EXACT` units with both; with more, and several
    strata, by the normal distribution with a correction for continuity.

    Args:
        both, row, column, total: Counts, numbers or shape (strata,).
        odds_ratio: Under the null hypothesis.
        mid: Count half of the observed number's own probability.
    """
    if np.size(row) > 1 and np.sum(both) > MOST_EXACT:
        means, variances = expected(row, column, total, odds_ratio)
        z = (np.sum(both) - (0 if mid else 0.5) - means.sum()) / np.sqrt(variances.sum())
        return float(special.log_ndtr(-z))
    return Conditional.of(both, row, column, total, odds_ratio).log_p_greater(odds_ratio, mid)
