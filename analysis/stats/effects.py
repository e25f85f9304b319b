"""Sizes of effects, each with a confidence interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from analysis.stats._common import Record, Values, as_sample, check_fraction
from analysis.stats.intervals import Interval, quantile
from analysis.stats.moments import Counts, Moments, as_moments
from analysis.stats.resampling import resampled


@dataclass(frozen=True, slots=True)
class Effect(Record):
    """The size of an effect.

    Attributes:
        name: The measure's usual name.
        value: The estimate; standardised differences in standard deviations, ratios and shares
            without unit, shifts in the unit of the values.
        low, high: Limits of its two-sided confidence interval.
        confidence: The interval's nominal confidence.
    """

    name: str
    value: float
    low: float
    high: float
    confidence: float = 0.95


def _normal(name: str, value: float, error: float, confidence: float) -> Effect:
    margin = -special.ndtri((1 - confidence) / 2) * error
    return Effect(name, float(value), float(value - margin), float(value + margin), confidence)


def standardised_difference(
    a: ArrayLike | Moments, b: ArrayLike | Moments, confidence: float = 0.95
) -> tuple[Effect, Effect]:
    """Cohen's d (difference of means over the pooled sd; Cohen 1988) and Hedges' g.

    g is d times the exact correction for small samples (Hedges 1981). The interval is normal
    with the delta-method variance that allows for unequal variances (as Bonett 2008, for the
    pooled sd) and, where the moments hold skewness and kurtosis, for those too. With equal
    variances and normal values it is Hedges & Olkin's (1985) large-sample interval. Below about
    20 values a group it is rough.

    Raises:
        ValueError: Fewer than two values in a sample, both samples constant, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    df = ma.n + mb.n - 2
    pooled = np.sqrt(((ma.n - 1) * ma.variance + (mb.n - 1) * mb.variance) / df)
    if not pooled > 0:
        raise ValueError("a, b: a standardised difference needs values that are not all equal")
    d = (ma.mean - mb.mean) / pooled
    error = 0.0
    for m, sign in ((ma, 1), (mb, -1)):
        weight = (m.n - 1) / df
        error += _delta_variance(m, m.sd / pooled, sign * d * weight * m.variance / pooled**2 / 2)
    return _cohen_and_hedges("", d, np.sqrt(error), df, confidence)


def standardised_mean(
    differences: ArrayLike | Moments, confidence: float = 0.95
) -> tuple[Effect, Effect]:
    """Cohen's d_z of pairs (mean over sd of the differences; Cohen 1988) and Hedges' g_z.

    The interval is made as in `standardised_difference`. g_z is nan for two differences.

    Raises:
        ValueError: Fewer than two differences, no variation, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    m = as_moments(differences, "differences")
    if not m.variance > 0:
        raise ValueError("differences: a standardised mean needs values that are not all equal")
    d = m.mean / m.sd
    return _cohen_and_hedges("_z", d, np.sqrt(_delta_variance(m, 1.0, d / 2)), m.n - 1, confidence)


def _delta_variance(m: Moments, by_mean: float, by_variance: float) -> float:
    """Variance of a smooth function of one sample's mean and variance.

    `by_mean` and `by_variance` are its derivatives in units of the sample's sd: by_mean * mean/sd
    - by_variance * variance/sd^2. Without known shape the values are taken as normal.
    """
    skewness = m.skewness or 0.0
    # A population's kurtosis is at least its squared skewness + 1; estimates can fall below.
    kurtosis = max(m.excess_kurtosis or 0.0, skewness**2 - 2)
    spread = 2 * m.n / (m.n - 1) + kurtosis
    return (by_mean**2 + by_variance**2 * spread - 2 * by_mean * by_variance * skewness) / m.n


def _cohen_and_hedges(
    suffix: str, d: float, error: float, df: int, confidence: float
) -> tuple[Effect, Effect]:
    log_gamma = special.gammaln(df / 2) - special.gammaln((df - 1) / 2)
    correction = np.exp(log_gamma - np.log(df / 2) / 2) if df > 1 else np.nan
    return (
        _normal(f"Cohen's d{suffix}", d, error, confidence),
        _normal(f"Hedges' g{suffix}", correction * d, correction * error, confidence),
    )


def ratio_of_means(
    a: ArrayLike | Moments, b: ArrayLike | Moments, confidence: float = 0.95
) -> Effect | None:
    """mean(a) / mean(b) of independent samples, with a log-scale delta-method interval.

    log(ratio) has the squared standard error var(a) / (n_a mean(a)^2) + var(b) / (n_b
    mean(b)^2) (Hedges, Gurevitch & Curtis 1999). None unless both means are above 0.

    Raises:
        ValueError: Fewer than two values in a sample, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    return _log_ratio(ma, mb, 0.0, confidence)


def ratio_of_paired_means(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Effect | None:
    """mean(a) / mean(b) of pairs: as `ratio_of_means`, less twice the covariance.

    Raises:
        ValueError: Different lengths, fewer than two pairs, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    x, y = as_pairs(a, b)
    covariance = float((x - x.mean()) @ (y - y.mean())) / (x.size - 1) / x.size
    return _log_ratio(Moments.of(x), Moments.of(y), covariance, confidence)


def _log_ratio(a: Moments, b: Moments, covariance: float, confidence: float) -> Effect | None:
    if a.mean <= 0 or b.mean <= 0:
        return None
    # A mean barely above 0 leaves the ratio without a limit.
    with np.errstate(over="ignore"):
        relative = np.array([a.standard_error / a.mean, b.standard_error / b.mean])
        squared = float(np.square(relative).sum())
        error = np.sqrt(max(0.0, squared - 2 * (covariance / a.mean) / b.mean))
        log = _normal("ratio of means", np.log(a.mean) - np.log(b.mean), error, confidence)
        low, high = map(float, np.exp([log.low, log.high]))
    return Effect(log.name, a.mean / b.mean, low, high, confidence)


def superiority(
    a: ArrayLike | Counts, b: ArrayLike | Counts, confidence: float = 0.95
) -> tuple[Interval, float]:
    """Probability of superiority P(a > b) + P(a = b) / 2, its interval and standard error.

    The common-language effect size (McGraw & Wong 1992), which is the area under the ROC
    curve. The variance is that of the placements, computed from ranks (DeLong, DeLong &
    Clarke-Pearson 1988; Brunner & Munzel 2000), so it holds with ties and unequal spreads; the
    interval is normal on the logit scale. Where one sample lies wholly above the other that
    variance is 0, and the interval is Newcombe's (2006) method 5.

    Raises:
        ValueError: Fewer than two values in a sample, all values equal, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    x, y = _as_counts(a, "a"), _as_counts(b, "b")
    (p, spread_x), (_, spread_y) = _placements(x, y), _placements(y, x)
    error = float(np.sqrt(spread_x / x.n + spread_y / y.n))
    if x.values[0] > y.values[-1] or x.values[-1] < y.values[0]:
        p = float(x.values[0] > y.values[-1])  # without what rounding left
        low, high = _newcombe(p, x.n, y.n, confidence)
        return Interval(p, low, high, confidence, "Newcombe method 5"), error
    if error == 0:
        raise ValueError("a, b: a probability of superiority needs values that are not all equal")
    margin = stats.norm.isf((1 - confidence) / 2) * error / (p * (1 - p))
    low, high = map(float, special.expit(special.logit(p) + np.array([-margin, margin])))
    return Interval(p, low, high, confidence, "logit, DeLong variance"), error


def _as_counts(sample: ArrayLike | Counts, name: str) -> Counts:
    """A sample of at least two values."""
    if not isinstance(sample, Counts):
        return Counts.of(as_sample(sample, name, least=2))
    if sample.n < 2:
        raise ValueError(f"{name}: needs at least 2 value(s), got {sample.n}")
    return sample


def _placements(x: Counts, y: Counts) -> tuple[float, float]:
    """Mean and variance over x of the share of y below each value, ties counting half."""
    reached = np.concatenate(([0], np.cumsum(y.counts)))
    twice = (reached[np.searchsorted(y.values, x.values, "left")]
             + reached[np.searchsorted(y.values, x.values, "right")])
    placements = twice / (2 * y.n)
    mean = float(x.counts @ placements / x.n)
    return mean, float(x.counts @ (placements - mean) ** 2 / (x.n - 1))


def _newcombe(p: float, m: int, n: int, confidence: float) -> tuple[float, float]:
    """Newcombe's (2006) method 5 at p = 0 or 1: where the score statistic reaches z."""
    z = stats.norm.isf((1 - confidence) / 2)
    half = (m + n) / 2 - 1

    def excess(q: float) -> float:  # of the squared distance from 0 over z^2 times the variance
        scale = 1 + half * (1 - q) / (2 - q) + half * q / (1 + q)
        return q**2 - z**2 * q * (1 - q) * scale / (m * n)

    limit = float(optimize.brentq(excess, 1e-12, 1.0))
    return (0.0, limit) if p == 0 else (1 - limit, 1.0)


def bootstrap_difference(
    a: Counts,
    b: Counts,
    confidence: float = 0.95,
    *,
    resamples: int = 9_999,
    seed: int | np.random.Generator,
) -> Interval:
    """BCa bootstrap interval of mean(a) - mean(b), for samples given as counts (Efron 1987).

    Each sample is resampled on its own. The acceleration comes from the influence of each value
    on the difference, which for means has a closed form (Davison & Hinkley 1997, section 5.3).

    Raises:
        ValueError: Fewer than two values in a sample, no variation at all, or fewer than five
            resamples beyond either limit.
    """
    check_fraction(confidence, "confidence")
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if min(a.n, b.n) < 2:
        raise ValueError("a, b: a bootstrap interval needs two values in each sample")
    if a.values.size + b.values.size < 3:
        raise ValueError("a, b: a bootstrap interval needs variation within a sample")
    if resamples * tails[0] < 5:
        raise ValueError(
            f"resamples: {resamples} leave fewer than 5 beyond each limit at {confidence:g}"
        )
    rng = np.random.default_rng(seed)
    differences = (
        resampled(a, a.n, resamples, rng)[0] - resampled(b, b.n, resamples, rng)[0]
    )
    estimate = a.moments.mean - b.moments.mean
    squares = cubes = 0.0
    for sample, sign in ((a, 1), (b, -1)):
        influence = sign * (sample.values - sample.moments.mean) / sample.n
        squares += float(sample.counts @ influence**2)
        cubes += float(sample.counts @ influence**3)
    acceleration = cubes / (6 * squares**1.5)
    tie = 1e-12 * np.abs(differences).max()
    below = ((differences < estimate - tie).mean() + (differences <= estimate + tie).mean()) / 2
    bias = stats.norm.ppf(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    shifted = bias + stats.norm.ppf(tails)
    tails = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = map(float, np.quantile(differences, tails))
    return Interval(estimate, low, high, confidence, "BCa bootstrap")


def quantile_difference(
    a: ArrayLike, b: ArrayLike, level: float, confidence: float = 0.95
) -> Effect:
    """The quantile of a minus that of b, without an assumption about the distributions.

    Each quantile has its interval of order statistics; they are joined by the distances of the
    limits from the estimates, squared and added (Zou & Donner 2008). Too few values beyond the
    quantile leave a limit infinite; see `intervals.quantile`.

    Raises:
        ValueError: The level is not within (0, 1), or see `as_sample`.
    """
    x, y = (quantile(sample, level, confidence) for sample in (a, b))
    value = x.estimate - y.estimate
    low = value - float(np.hypot(x.estimate - x.low, y.high - y.estimate))
    high = value + float(np.hypot(x.high - x.estimate, y.estimate - y.low))
    return Effect(f"difference of {100 * level:g}% quantiles", value, low, high, confidence)


def hodges_lehmann_shift(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> Effect:
    """Median of all differences between a value of a and one of b (Hodges & Lehmann 1963).

    The interval lies between two of the ordered differences, at the ranks that the normal
    approximation of the Mann-Whitney statistic gives (Hollander & Wolfe 1999, section 4.3),
    which in small samples can be one rank off the exact ones; ties make it wider than needed. The
    n_a * n_b differences are counted, never listed.

    Raises:
        ValueError: See `as_sample`.
    """
    check_fraction(confidence, "confidence")
    x, y = np.sort(as_sample(a, "a")), np.sort(-as_sample(b, "b"))
    x, y = (x, y) if x.size <= y.size else (y, x)
    pairs = x.size * y.size
    error = np.sqrt(pairs * (x.size + y.size + 1) / 12)
    limits = _ordered_sums(x, y, pairs, error, confidence, walsh=False)
    return Effect("Hodges-Lehmann shift", *limits, confidence)


def pseudomedian(differences: ArrayLike, confidence: float = 0.95) -> Effect:
    """Median of the means of all pairs of differences, each with itself too (same source).

    The interval lies at the ranks that the normal approximation of Wilcoxon's signed-rank
    statistic gives (Hollander & Wolfe 1999, section 3.3), as in `hodges_lehmann_shift`.

    Raises:
        ValueError: See `as_sample`.
    """
    check_fraction(confidence, "confidence")
    x = np.sort(as_sample(differences, "differences")) / 2
    n = x.size
    error = np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    limits = _ordered_sums(x, x, n * (n + 1) // 2, error, confidence, walsh=True)
    return Effect("pseudomedian", *limits, confidence)


def _ordered_sums(
    x: Values, y: Values, pairs: int, error: float, confidence: float, walsh: bool
) -> tuple[float, float, float]:
    """Median, low and high of the pairwise sums; infinite limits where there are too few."""
    rank = round(pairs / 2 - stats.norm.isf((1 - confidence) / 2) * error)
    middle = [_kth_sum(x, y, k, walsh) for k in {(pairs + 1) // 2, pairs // 2 + 1}]
    if rank < 1:
        return float(np.mean(middle)), -np.inf, np.inf
    low, high = (_kth_sum(x, y, k, walsh) for k in (rank, pairs + 1 - rank))
    return float(np.mean(middle)), low, high


def _kth_sum(x: Values, y: Values, k: int, walsh: bool) -> float:
    """k-th smallest x_i + y_j, or (walsh, y = x) x_i + x_j with i <= j; x and y sorted."""

    def count(limit: float) -> int:
        below = int(np.searchsorted(y, limit - x, "right").sum())
        return (below + int(np.searchsorted(2 * x, limit, "right"))) // 2 if walsh else below

    low, high = x[0] + y[0], x[-1] + y[-1]
    if count(low) >= k:
        return float(low)
    rounding = 4 * np.finfo(float).eps * (np.abs(x[[0, -1]]).max() + np.abs(y[[0, -1]]).max())
    while high - low > rounding:
        middle = (low + high) / 2
        low, high = (low, middle) if count(middle) >= k else (middle, high)
    # The smallest sum that occurs above `low`; `high` itself need not occur.
    following = np.searchsorted(y, low - x, "right")
    inside = following < y.size
    sums = x[inside] + y[following[inside]]
    return float(sums.min() if sums.size else high)


def as_pairs(a: ArrayLike, b: ArrayLike) -> tuple[Values, Values]:
    """Two samples of one length, at least two pairs.

    Raises:
        ValueError: Different lengths, fewer than two pairs, or see `as_sample`.
    """
    x, y = as_sample(a, "a", least=2), as_sample(b, "b", least=2)
    if x.size != y.size:
        raise ValueError(f"a, b: pairs need equal lengths, got {x.size} and {y.size}")
    return x, y
