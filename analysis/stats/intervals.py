"""Confidence intervals of means, ratios of means, medians, proportions and concentration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from analysis.stats._common import Record, as_sample, check_count, check_fraction
from analysis.stats.moments import Counts, Moments, PairMoments, as_moments
from analysis.stats.resampling import DRAWS, bootstrap_means


@dataclass(frozen=True, slots=True)
class Interval(Record):
    """A confidence interval.

    Attributes:
        estimate: The point estimate.
        low, high: The limits, in the unit of the estimate; infinite where there is no limit.
        confidence: The nominal confidence, for example 0.95.
        method: The method's usual name.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    method: str

    def contains(self, value: float) -> bool:
        """Whether a value lies within the limits."""
        return self.low <= value <= self.high


def mean_t(data: ArrayLike | Moments, confidence: float = 0.95) -> Interval:
    """Student's t interval of the mean (Student 1908).

    It rests on the mean being about normal: true for normal values, and for others when n is
    large against the squared skewness (see `power.smallest_n_for_normal_mean`).

    Raises:
        ValueError: Fewer than two values, no variation, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    m = as_moments(data, "data")
    _need_variation(m.variance, "data", "a t interval")
    margin = -float(special.stdtrit(m.n - 1, (1 - confidence) / 2)) * m.standard_error
    return Interval(m.mean, m.mean - margin, m.mean + margin, confidence, "t")


def mean_bootstrap(
    sample: ArrayLike,
    confidence: float = 0.95,
    *,
    method: Literal["bca", "percentile"] = "bca",
    resamples: int = 9_999,
    seed: int | np.random.Generator,
) -> Interval:
    """Bootstrap interval of the mean.

    "percentile" takes the quantiles of the resampled means (Efron 1979). "bca" shifts them for
    bias and skewness, with the acceleration from the jackknife, which for a mean has a closed
    form (Efron 1987): second-order accurate, so better than t for a skewed sample, yet still
    too short when n is small or the tail that matters was not sampled.

    Raises:
        ValueError: Fewer than two values, no variation, an unknown method, fewer than five
            resamples beyond either limit, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    x = as_sample(sample, least=2)
    m = Moments.of(x)
    _need_variation(m.variance, "sample", "a bootstrap interval")
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if resamples * tails[0] < 5:
        raise ValueError(
            f"resamples: {resamples} leave fewer than 5 beyond each limit at {confidence:g}"
        )
    if method not in ("bca", "percentile"):
        raise ValueError(f"method: must be 'bca' or 'percentile', got {method!r}")
    means = bootstrap_means(x, resamples, np.random.default_rng(seed))
    if method == "bca":
        tie = 1e-12 * m.sd  # means that are equal differ by rounding
        below = ((means < m.mean - tie).mean() + (means <= m.mean + tie).mean()) / 2
        bias = stats.norm.ppf(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
        d = (x - m.mean) / m.sd
        acceleration = (d**3).sum() / (6 * (d @ d) ** 1.5)
        shifted = bias + stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(means, tails)
    name = {"bca": "BCa bootstrap", "percentile": "percentile bootstrap"}[method]
    return Interval(m.mean, float(low), float(high), confidence, name)


def mean_skewed(data: ArrayLike | Moments, confidence: float = 0.95) -> Interval:
    """Interval of the mean of a skewed sample, from its moments alone (Hall 1992).

    A cubic transformation of the t statistic takes out its skewness; it is monotone, so its
    inverse gives the limits in closed form. As accurate as a bootstrap that corrects for
    skewness, yet without resampling. Student's quantiles stand in place of Hall's normal ones, so
    that without skewness this is `mean_t`. Where the tail that matters was not sampled, the
    sample's skewness is too small and the interval too short, as any other would be; where a
    sample is small and very skewed, its limit on the side of the tail lies far out.

    Raises:
        ValueError: The skewness is not known, fewer than three values, no variation, or see
            `as_sample`.
    """
    check_fraction(confidence, "confidence")
    m = as_moments(data, "data", least=3)
    _need_variation(m.variance, "data", "an interval of the mean")
    if m.skewness is None:
        raise ValueError("data: the interval for a skewed sample needs the moments' skewness")
    quantile = -float(special.stdtrit(m.n - 1, (1 - confidence) / 2))
    ends = np.array([quantile, -quantile])
    root, g = np.sqrt(m.n), m.skewness
    if abs(g) > 1e-6:  # below, the inverse differs from the quantile by rounding only
        ends = 3 * root / g * (np.cbrt(1 + g * (ends / root - g / (6 * m.n))) - 1)
    low, high = map(float, m.mean - ends * m.standard_error)
    return Interval(m.mean, low, high, confidence, "Hall")


def ratio_of_means(pair: PairMoments, confidence: float = 0.95) -> Interval:
    """Interval of a ratio of two means over the same units, log-scale delta method.

    The units (users, say) are independent; within one, numerator and denominator may go together
    as they like, so purchases per view need no independence of a user's views (Deng, Knoblich &
    Lu 2018).

    Raises:
        ValueError: Fewer than two units, or means that are not both above 0.
    """
    check_fraction(confidence, "confidence")
    if pair.n < 2:
        raise ValueError(f"pair: needs at least 2 units, got {pair.n}")
    if not (pair.numerator > 0 and pair.denominator > 0):
        raise ValueError("pair: both means must be above 0")
    reach = np.exp(stats.norm.isf((1 - confidence) / 2) * pair.standard_error / pair.ratio)
    low, high = float(pair.ratio / reach), float(pair.ratio * reach)
    return Interval(pair.ratio, low, high, confidence, "delta method")


def trimmed_mean(sample: ArrayLike, cut: float = 0.2, confidence: float = 0.95) -> Interval:
    """Interval of the trimmed mean (Tukey & McLaughlin 1963; Yuen 1974).

    floor(cut * n) values are dropped from each end; the standard error is the winsorised
    standard deviation over (1 - 2 cut) sqrt(n), with t on n - 2 floor(cut * n) - 1 degrees of
    freedom. For a skewed population the estimand is the trimmed mean, not the mean.

    Raises:
        ValueError: The cut is not within (0, 0.5), no variation within the middle part, fewer
            than two values left, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    check_fraction(cut, "cut", below=0.5)
    x = np.sort(as_sample(sample, least=2))
    dropped = int(cut * x.size)
    middle = x[dropped : x.size - dropped]
    if middle.size < 2:
        raise ValueError(f"sample: {x.size} values leave fewer than 2 after trimming {cut:g}")
    winsorised = Moments.of(np.clip(x, middle[0], middle[-1]))
    _need_variation(winsorised.variance, "sample", "a trimmed-mean interval", "in its middle part")
    error = winsorised.sd / ((1 - 2 * cut) * np.sqrt(x.size))
    margin = float(stats.t.isf((1 - confidence) / 2, middle.size - 1) * error)
    mean = float(middle.mean())
    return Interval(mean, mean - margin, mean + margin, confidence, f"{cut:.0%} trimmed, Yuen")


def median(sample: ArrayLike, confidence: float = 0.95) -> Interval:
    """Distribution-free interval of the median; see `quantile`.

    Raises:
        ValueError: See `as_sample`.
    """
    return quantile(sample, 0.5, confidence)


def quantile(sample: ArrayLike, level: float, confidence: float = 0.95) -> Interval:
    """Distribution-free interval of a quantile between two order statistics.

    The ranks come from the binomial distribution of the number of values below the quantile, so
    the coverage is at least the nominal one (Thompson 1936; David & Nagaraja 2003, section
    7.1). Where there are too few values on a side for the confidence (for the median 5 or fewer
    in all at 95%, for the 95% quantile 71 or fewer) that limit is infinite.

    Raises:
        ValueError: The level is not within (0, 1), or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    check_fraction(level, "level")
    x = np.sort(as_sample(sample))
    tail = (1 - confidence) / 2
    below = int(stats.binom.ppf(tail, x.size, level))
    above = x.size - int(stats.binom.ppf(tail, x.size, 1 - level))
    low = x[below - 1] if below else -np.inf
    high = x[above] if above < x.size else np.inf
    estimate = float(np.quantile(x, level))
    return Interval(estimate, float(low), float(high), confidence, "order statistics")


def proportion(
    successes: int,
    n: int,
    confidence: float = 0.95,
    *,
    method: Literal["wilson", "clopper-pearson"] = "wilson",
) -> Interval:
    """Interval of a proportion, as shares within [0, 1].

    "wilson" (Wilson 1927) covers at about the nominal rate; "clopper-pearson" (Clopper &
    Pearson 1934) never below it, and is wider.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= n and n >= 1, or an
            unknown method.
    """
    check_fraction(confidence, "confidence")
    n, successes = check_count(n, "n"), check_count(successes, "successes", least=0)
    if successes > n:
        raise ValueError(f"successes: must not exceed n = {n}, got {successes}")
    names = {"wilson": "Wilson", "clopper-pearson": "Clopper-Pearson"}
    if method not in names:
        raise ValueError(f"method: must be one of {sorted(names)}, got {method!r}")
    share, tail = successes / n, (1 - confidence) / 2
    if method == "wilson":
        z = -special.ndtri(tail)
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        margin = z * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
        low, high = centre - margin, centre + margin
    else:
        low = special.betaincinv(successes, n - successes + 1, tail)
        high = special.betainccinv(successes + 1, n - successes, tail)
    # Where nobody or everybody counts the end is exact; arithmetic leaves 1e-19 there.
    low = 0.0 if successes == 0 else float(low)
    high = 1.0 if successes == n else float(high)
    return Interval(share, low, high, confidence, names[method])


def gini(
    sample: Counts, confidence: float = 0.95, *, resamples: int = 1_999,
    seed: int | np.random.Generator,
) -> Interval:
    """Percentile bootstrap interval of the Gini coefficient (Efron 1979); see `descriptive.gini`.

    Raises:
        ValueError: Fewer than two values, a value below 0, a total of 0, or fewer than five
            resamples beyond either limit.
    """
    return _concentration(sample, _gini, confidence, resamples, seed)


def top_share(
    sample: Counts, fraction: float, confidence: float = 0.95, *, resamples: int = 1_999,
    seed: int | np.random.Generator,
) -> Interval:
    """Percentile bootstrap interval of the share of the total that the top `fraction` holds.

    See `descriptive.top_share`. Where few values make up the top of a long tail, the interval is
    too short, and so is the share itself.

    Raises:
        ValueError: The fraction is not within (0, 1), or see `gini`.
    """
    check_fraction(fraction, "fraction")

    def share(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
        n = counts.sum(axis=-1, keepdims=True)
        above = n - counts.cumsum(axis=-1)
        taken = np.clip(fraction * n - above, 0, counts)
        return (taken @ values) / (counts @ values)

    return _concentration(sample, share, confidence, resamples, seed)


def _gini(values: NDArray[np.float64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of rows of counts of ascending values: twice the area between Lorenz curve and equality."""
    n = counts.sum(axis=-1, keepdims=True)
    below = counts.cumsum(axis=-1) - counts
    ranks = counts * (2 * below + counts - n).astype(float)
    return (ranks @ values) / (n[..., 0] * (counts @ values))


def _concentration(
    sample: Counts,
    measure: Callable[[NDArray[np.float64], NDArray[np.int64]], NDArray[np.float64]],
    confidence: float,
    resamples: int,
    seed: int | np.random.Generator,
) -> Interval:
    """A measure of counts of ascending values, with multinomial resamples of the counts."""
    check_fraction(confidence, "confidence")
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if resamples * tails[0] < 5:
        raise ValueError(
            f"resamples: {resamples} leave fewer than 5 beyond each limit at {confidence:g}"
        )
    if sample.n < 2 or sample.values[0] < 0 or sample.values[-1] == 0:
        raise ValueError("sample: needs two values of at least 0 with a total above 0")
    rng = np.random.default_rng(seed)
    found = np.empty(resamples)
    rows = max(1, DRAWS // sample.values.size)
    for start in range(0, resamples, rows):
        drawn = rng.multinomial(sample.n, sample.shares, size=min(rows, resamples - start))
        with np.errstate(invalid="ignore"):  # a resample without any revenue has no measure
            found[start : start + len(drawn)] = measure(sample.values, drawn)
    low, high = map(float, np.nanquantile(found, tails))
    estimate = float(measure(sample.values, sample.counts))
    return Interval(estimate, low, high, confidence, "percentile bootstrap")


def _need_variation(variance: float, name: str, what: str, where: str = "") -> None:
    if not variance > 0:
        raise ValueError(f"{name}: {what} needs values that are not all equal {where}".rstrip())
