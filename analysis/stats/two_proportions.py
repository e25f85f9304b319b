"""Tests of two independent shares, a against b, from counts; all of them two-sided.

Each group is a number of successes among n independent trials, so a person counts once. All raise
ValueError for counts that are not whole numbers with 0 <= successes <= n and n >= 1, for shares
that are both 0 or both 1 where the method needs variation, and for alpha outside (0, 0.5).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, Values, check_count, check_fraction
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval, proportion
from analysis.stats.results import TestResult
from analysis.stats.stratified import Conditional

DIFFERENCE = "difference of shares"


@dataclass(frozen=True, slots=True)
class Share(Record):
    """Successes among independent trials.

    Attributes:
        successes: Number of successes.
        n: Number of trials, at least 1.

    Raises:
        ValueError: Not whole numbers with 0 <= successes <= n and n >= 1.
    """

    successes: int
    n: int

    def __post_init__(self) -> None:
        n, successes = check_count(self.n, "n"), check_count(self.successes, "successes", least=0)
        if successes > n:
            raise ValueError(f"successes: must not exceed n = {n}, got {successes}")
        object.__setattr__(self, "n", n)
        object.__setattr__(self, "successes", successes)

    @property
    def value(self) -> float:
        """The share of successes."""
        return self.successes / self.n


def difference(a: Share, b: Share, confidence: float = 0.95) -> Interval:
    """Interval of share(a) - share(b): Newcombe's hybrid score (Newcombe 1998, method 10).

    It joins the Wilson intervals of both shares, stays within [-1, 1], and covers at about the
    nominal rate for small counts too.
    """
    check_fraction(confidence, "confidence")
    of_a, of_b = (proportion(share.successes, share.n, confidence) for share in (a, b))
    gap = a.value - b.value
    low = gap - math.hypot(a.value - of_a.low, of_b.high - b.value)
    high = gap + math.hypot(of_a.high - a.value, b.value - of_b.low)
    return Interval(gap, max(-1.0, low), min(1.0, high), confidence, "Newcombe hybrid score")


def ratio(a: Share, b: Share, confidence: float = 0.95) -> Effect | None:
    """share(a) / share(b) with a log-scale interval (Katz, Baptista, Azen & Pike 1978).

    None where either has no success: a ratio to or from nothing has no log.
    """
    check_fraction(confidence, "confidence")
    if not (a.successes and b.successes):
        return None
    squared = (1 - a.value) / a.successes + (1 - b.value) / b.successes
    margin = stats.norm.isf((1 - confidence) / 2) * np.sqrt(squared)
    value = a.value / b.value
    low, high = (float(value * np.exp(side * margin)) for side in (-1, 1))
    return Effect("ratio of shares", value, low, high, confidence)


def pooled_z(a: Share, b: Share, *, alpha: float = 0.05) -> TestResult:
    """z test of two shares with the variance pooled under the null hypothesis.

    It is the square root of Pearson's chi-squared without a continuity correction (Fleiss, Levin
    & Paik 2003, section 3.1), right when every expected count is at least about 5. The interval of
    the difference is Newcombe's, so at the border it and the test can disagree. The effects are
    the ratio of the shares, where there is one, and Cohen's h, the difference of their arcsines.
    """
    check_fraction(alpha, "alpha", below=0.5)
    pooled = (a.successes + b.successes) / (a.n + b.n)
    if pooled in (0.0, 1.0):
        raise ValueError("a, b: a z test needs both successes and failures")
    statistic = float(z_statistics(a.successes, a.n, b.successes, b.n))
    return TestResult(
        name="pooled z test of shares",
        alternative="two-sided",
        alpha=alpha,
        n_a=a.n,
        n_b=b.n,
        statistic_name="z",
        statistic=statistic,
        p_value=float(min(1.0, 2 * stats.norm.sf(abs(statistic)))),
        interval=difference(a, b, 1 - alpha),
        estimate_name=DIFFERENCE,
        standard_error=float(np.sqrt(pooled * (1 - pooled) * (1 / a.n + 1 / b.n))),
        critical_value=float(stats.norm.isf(alpha / 2)),
        effects=tuple(filter(None, (ratio(a, b, 1 - alpha), _cohen_h(a, b, 1 - alpha)))),
    )


def z_statistics(
    successes_a: ArrayLike, n_a: int, successes_b: ArrayLike, n_b: int
) -> Values | float:
    """The statistic of `pooled_z`, also for arrays of counts; 0 where there is no variation."""
    x, y = np.asarray(successes_a, dtype=float), np.asarray(successes_b, dtype=float)
    pooled = (x + y) / (n_a + n_b)
    error = np.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    gap = x / n_a - y / n_b
    return np.divide(gap, error, out=np.zeros_like(gap), where=error > 0)[()]


def _cohen_h(a: Share, b: Share, confidence: float) -> Effect:
    """Difference of 2 arcsin(sqrt(share)), whose variance is 1/n each (Cohen 1988, chapter 6)."""
    value = float(2 * (np.arcsin(np.sqrt(a.value)) - np.arcsin(np.sqrt(b.value))))
    margin = float(stats.norm.isf((1 - confidence) / 2) * np.sqrt(1 / a.n + 1 / b.n))
    return Effect("Cohen's h", value, value - margin, value + margin, confidence)


def fisher(a: Share, b: Share, *, alpha: float = 0.05) -> TestResult:
    """Fisher's exact test; the estimate is the conditional odds ratio (Fisher 1935).

    p sums the tables with the same margins that are no more probable than the one seen; the
    interval inverts two one-sided exact tests (Cornfield 1956). It keeps its level for any counts
    and is conservative for small ones.
    """
    check_fraction(alpha, "alpha", below=0.5)
    table = [
        [a.successes, a.n - a.successes],
        [b.successes, b.n - b.successes],
    ]
    if 0 in np.sum(table, axis=0):
        raise ValueError("a, b: an odds ratio needs both successes and failures")
    margins = a.successes, a.n, a.successes + b.successes, a.n + b.n
    return TestResult(
        name="Fisher's exact test",
        alternative="two-sided",
        alpha=alpha,
        n_a=a.n,
        n_b=b.n,
        statistic_name="successes in a",
        statistic=float(a.successes),
        p_value=float(stats.fisher_exact(table).pvalue),
        interval=Conditional.of(*margins).interval(1 - alpha),
        estimate_name="odds ratio",
        null_value=1.0,
    )


def ratio_of_ratios(
    pair: tuple[Share, Share], other: tuple[Share, Share], confidence: float = 0.95
) -> Effect | None:
    """How many times as large share(a) / share(b) is in one stratum as in another.

    With a log-scale interval, of the variances of Katz et al. (1978): the effect size that goes
    with `homogeneity` of the two strata, whose Q is the square of its z. None where one of the
    ratios has no log.
    """
    sizes = [ratio(*stratum, confidence) for stratum in (pair, other)]
    if None in sizes:
        return None
    of_pair, of_other = sizes
    margin = math.hypot(math.log(of_pair.high / of_pair.value),
                        math.log(of_other.high / of_other.value))
    value = of_pair.value / of_other.value
    low, high = (float(value * math.exp(side * margin)) for side in (-1, 1))
    return Effect("ratio of ratios", float(value), low, high, confidence)


@dataclass(frozen=True, slots=True)
class Homogeneity(Record):
    """Whether a ratio of shares is the same in several strata.

    Attributes:
        statistic: Cochran's Q.
        df: Its degrees of freedom, one fewer than strata.
        p_value: Probability of a Q at least this large if the ratios are equal.
        ratio: The common ratio, strata weighted by precision.
    """

    statistic: float
    df: int
    p_value: float
    ratio: float


def homogeneity(pairs: Sequence[tuple[Share, Share]]) -> Homogeneity:
    """Cochran's Q test that share(a) / share(b) is equal in all strata (Cochran 1954).

    On the log scale with the variance of Katz et al. (1978): a test of interaction for effects
    that multiply. It asks for about five successes in every group and stratum.

    Args:
        pairs: For each stratum, groups a and b.

    Raises:
        ValueError: Fewer than two strata, or a group without successes or, in both groups of a
            stratum, without failures.
    """
    if len(pairs) < 2:
        raise ValueError(f"pairs: needs at least two strata, got {len(pairs)}")
    if any(not (a.successes and b.successes) for a, b in pairs):
        raise ValueError("pairs: every group in every stratum needs a success")
    logs = np.array([np.log(a.value / b.value) for a, b in pairs])
    squared = np.array([(1 - a.value) / a.successes + (1 - b.value) / b.successes
                        for a, b in pairs])
    if not (squared > 0).all():
        raise ValueError("pairs: every stratum needs a failure in one of its groups")
    common = float(np.average(logs, weights=1 / squared))
    q = float(((logs - common) ** 2 / squared).sum())
    df = len(pairs) - 1
    return Homogeneity(q, df, float(stats.chi2.sf(q, df)), float(np.exp(common)))
