"""What one sample looks like: location, spread, shape, concentration."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, Values, as_sample, check_fraction
from analysis.stats.moments import Moments


@dataclass(frozen=True, slots=True)
class Description(Record):
    """A sample in numbers; all but the shapes and shares are in the unit of the values.

    Attributes:
        n: Number of values.
        mean: Arithmetic mean.
        median: 50% quantile.
        sd: Standard deviation (divisor n - 1); nan for one value.
        skewness: Bias-corrected G1 (Joanes & Gill 1998); nan below 3 values or if constant.
        excess_kurtosis: Bias-corrected G2 (same source), 0 for a normal distribution; nan
            below 4 values or if constant.
        minimum, p01, p05, p10, p25, p75, p90, p95, p99, maximum: Quantiles by linear
            interpolation between order statistics (Hyndman & Fan 1996, type 7).
        trimmed_mean_05, trimmed_mean_20: Mean after floor(0.05 n) or floor(0.20 n) values are
            dropped from each end.
        total: Sum of the values.
        top_01_share, top_10_share: Share (0..1) of the total held by the largest 1% and 10% of
            the values; nan if a value is negative or the total is 0.
        gini: Gini coefficient, from 0 (all equal) to 1 - 1/n (one value holds all); nan as for
            the shares.
    """

    n: int
    mean: float
    median: float
    sd: float
    skewness: float
    excess_kurtosis: float
    minimum: float
    p01: float
    p05: float
    p10: float
    p25: float
    p75: float
    p90: float
    p95: float
    p99: float
    maximum: float
    trimmed_mean_05: float
    trimmed_mean_20: float
    total: float
    top_01_share: float
    top_10_share: float
    gini: float


def describe(sample: ArrayLike) -> Description:
    """Describes a sample.

    Raises:
        ValueError: The sample is empty or holds a missing value; see `as_sample`.
    """
    x = np.sort(as_sample(sample))
    moments = Moments.of(x)
    levels = (0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1)
    names = ("minimum", "p01", "p05", "p10", "p25", "median", "p75", "p90", "p95", "p99", "maximum")
    shares = x[0] >= 0 and x[-1] > 0
    return Description(
        n=x.size,
        mean=moments.mean,
        sd=moments.sd,
        skewness=np.nan if moments.skewness is None else moments.skewness,
        excess_kurtosis=np.nan if moments.excess_kurtosis is None else moments.excess_kurtosis,
        trimmed_mean_05=float(stats.trim_mean(x, 0.05)),
        trimmed_mean_20=float(stats.trim_mean(x, 0.20)),
        total=float(x.sum()),
        top_01_share=top_share(x, 0.01) if shares else np.nan,
        top_10_share=top_share(x, 0.10) if shares else np.nan,
        gini=gini(x) if shares else np.nan,
        **dict(zip(names, map(float, np.quantile(x, levels)), strict=True)),
    )


def _lorenz(sample: ArrayLike) -> tuple[Values, Values]:
    """Cumulative shares of the values, smallest first, and of their total, both from 0 to 1."""
    x = np.sort(as_sample(sample))
    if x[0] < 0 or x[-1] == 0:
        raise ValueError("sample: shares of a total need values of at least 0 with a total above 0")
    cumulated = np.concatenate(([0.0], np.cumsum(x)))
    return np.linspace(0, 1, x.size + 1), cumulated / cumulated[-1]


def top_share(sample: ArrayLike, fraction: float) -> float:
    """Share (0..1) of the total that the largest `fraction` of the values holds.

    It is 1 - L(1 - fraction) on the Lorenz curve, so a value on the border counts in part.

    Raises:
        ValueError: A value is negative, the total is 0, or the fraction is not within (0, 1).
    """
    check_fraction(fraction, "fraction")
    population, value = _lorenz(sample)
    return float(1 - np.interp(1 - fraction, population, value))


def gini(sample: ArrayLike) -> float:
    """Gini coefficient: twice the area between the Lorenz curve and equality.

    It is the population form (no small-sample correction): copying every value leaves it as
    it is (Gini 1912; Cowell 2011, "Measuring Inequality").

    Raises:
        ValueError: A value is negative or the total is 0.
    """
    _, value = _lorenz(sample)
    return max(0.0, float(1 - (value[1:] + value[:-1]).mean()))  # rounding can fall below 0


def lorenz(sample: ArrayLike, points: int = 200) -> pd.DataFrame:
    """The Lorenz curve for a plot.

    Returns:
        Columns `population_share` (of the values, smallest first) and `value_share` (of the
        total), from (0, 0) to (1, 1): exact points of the curve, at most `points` of them,
        half spread along either axis so that a steep end stays visible.

    Raises:
        ValueError: A value is negative, the total is 0, or fewer than 4 points are asked for.
    """
    population, value = _lorenz(sample)
    keep = _thin(population.size, points, value)
    return pd.DataFrame({"population_share": population[keep], "value_share": value[keep]})


def ecdf(sample: ArrayLike, points: int = 400) -> pd.DataFrame:
    """The empirical distribution function for a plot with a logarithmic axis of values.

    Returns:
        Columns `value` and `share` (of the sample at or below the value): exact points of the
        step function at observed values, at most `points` of them, from the smallest to the
        largest value, half spread evenly in rank and half evenly in log(value). Values of 0 or
        less can't be drawn on a log axis; the caller drops those rows, the shares stay right.

    Raises:
        ValueError: See `as_sample`; also if fewer than 4 points are asked for.
    """
    value, counts = np.unique(as_sample(sample), return_counts=True)
    share = np.cumsum(counts) / counts.sum()
    positive = value[value > 0]
    smallest = positive[0] if positive.size else 1.0
    keep = _thin(value.size, points, np.log(np.maximum(value, smallest)))
    return pd.DataFrame({"value": value[keep], "share": share[keep]})


def _thin(size: int, points: int, scale: Values) -> np.ndarray:
    """Indices of at most `points` of `size` points, half even in index and half along `scale`."""
    if points < 4:
        raise ValueError(f"points: needs at least 4, got {points}")
    if size <= points:
        return np.arange(size)
    even = np.linspace(0, size - 1, points // 2).round().astype(int)
    along = np.searchsorted(scale, np.linspace(scale[0], scale[-1], points // 2))
    return np.unique(np.concatenate((even, np.minimum(along, size - 1))))


@dataclass(frozen=True, slots=True)
class Trimmed(Record):
    """A sample without its extreme top.

    Attributes:
        quantile: The quantile that sets the threshold.
        threshold: The sample quantile, in the unit of the values.
        n: Number of values before.
        dropped: Number of values above the threshold.
        kept: The values at or below the threshold, in their order (not in `to_frame`).
    """

    quantile: float
    threshold: float
    n: int
    dropped: int
    kept: Values = field(repr=False, compare=False)


def trim_upper(sample: ArrayLike, quantile: float = 0.99) -> Trimmed:
    """Drops the values above a sample quantile (type 7, as in `Description`).

    Raises:
        ValueError: See `as_sample`; also if the quantile is not within (0, 1).
    """
    check_fraction(quantile, "quantile")
    x = as_sample(sample)
    threshold = float(np.quantile(x, quantile))
    kept = x[x <= threshold]
    return Trimmed(quantile, threshold, x.size, x.size - kept.size, kept)
