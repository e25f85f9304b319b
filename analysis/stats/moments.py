"""The sufficient statistics of one sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.stats._common import Record, Values, as_sample, check_count, check_fraction


@dataclass(frozen=True, slots=True)
class Moments(Record):
    """Size, mean and variance of a sample: all that the t and F tests need.

    Attributes:
        n: Number of values.
        mean: Arithmetic mean, in the unit of the values.
        variance: Sample variance (divisor n - 1), in the squared unit; nan when n is 1.
        skewness: Bias-corrected skewness G1; None where it is not known or not defined.
        excess_kurtosis: Bias-corrected excess kurtosis G2 (0 for a normal distribution); None
            where it is not known or not defined.

    Raises:
        ValueError: n is not a positive whole number, the mean is not finite, or the variance
            is negative, infinite, or missing although n > 1.
    """

    n: int
    mean: float
    variance: float
    skewness: float | None = None
    excess_kurtosis: float | None = None

    def __post_init__(self) -> None:
        check_count(self.n, "n")
        if not np.isfinite(self.mean):
            raise ValueError(f"mean: must be finite, got {self.mean!r}")
        if self.n > 1 and not 0 <= self.variance < np.inf:
            raise ValueError(f"variance: must be finite and at least 0, got {self.variance!r}")

    @property
    def sd(self) -> float:
        """Sample standard deviation, in the unit of the values."""
        return float(np.sqrt(self.variance))

    @property
    def standard_error(self) -> float:
        """Standard error of the mean, in the unit of the values."""
        return float(np.sqrt(self.variance / self.n))

    @classmethod
    def of(cls, sample: ArrayLike, name: str = "sample") -> "Moments":
        """The moments of raw values.

        The mean and the variance are computed in two passes with a correction for rounding
        (Chan, Golub & LeVeque 1983). Skewness G1 needs three values and excess kurtosis G2
        four (Joanes & Gill 1998), and both need variation.

        Raises:
            ValueError: See `as_sample`; `name` names the parameter.
        """
        x = as_sample(sample, name)
        n = x.size
        if n == 1:
            return cls(1, float(x[0]), float("nan"))
        if x.min() == x.max():
            return cls(n, float(x[0]), 0.0)
        rough = x.mean()
        deviations = x - rough
        correction = deviations.mean()
        deviations -= correction
        variance = float(deviations @ deviations) / (n - 1)
        if variance == 0.0:  # differences so small that their squares underflow
            return cls(n, float(rough + correction), 0.0)
        deviations /= np.sqrt(variance)
        squares = deviations**2
        m2, m3, m4 = squares.sum() / n, squares @ deviations / n, squares @ squares / n
        return cls(n, float(rough + correction), variance, *_shape(n, m2, m3, m4))

    @classmethod
    def published(cls, n: int, mean: float, sd: float) -> "Moments":
        """The moments from the three figures that reports print.

        Raises:
            ValueError: See `Moments`; also if the standard deviation is negative.
        """
        if sd < 0:
            raise ValueError(f"sd: must be at least 0, got {sd!r}")
        return cls(n, mean, sd**2)


def _shape(n: int, m2: float, m3: float, m4: float) -> tuple[float | None, float | None]:
    """Skewness G1 and excess kurtosis G2 (Joanes & Gill 1998) from central moments (divisor n)."""
    skewness = kurtosis = None
    if n > 2:
        skewness = float(np.sqrt(n * (n - 1)) / (n - 2) * m3 / m2**1.5)
    if n > 3:
        kurtosis = float((n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * (m4 / m2**2 - 3) + 6))
    return skewness, kurtosis


def as_moments(data: "ArrayLike | Moments", name: str, least: int = 2) -> Moments:
    """Moments as they are, or those of a raw sample, of at least `least` values.

    Raises:
        ValueError: Too few values, or see `as_sample`; `name` names the parameter.
    """
    moments = data if isinstance(data, Moments) else Moments.of(data, name)
    if moments.n < least:
        raise ValueError(f"{name}: needs at least {least} value(s), got {moments.n}")
    return moments


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """A sample as its distinct values and how often each occurs.

    However many values there are, their moments, quantiles and resamples cost what the distinct
    ones cost.

    Attributes:
        values: Distinct values, ascending, shape (k,).
        counts: How often each occurs, whole numbers of at least 1, shape (k,).

    Raises:
        ValueError: No values, different lengths, values that are not ascending and finite, or
            counts that are not whole numbers of at least 1.
    """

    values: Values
    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        values, counts = as_sample(self.values, "values"), as_sample(self.counts, "counts")
        if values.size != counts.size:
            raise ValueError(f"values, counts: differ in length, {values.size} and {counts.size}")
        if (np.diff(values) <= 0).any():
            raise ValueError("values: must be distinct and ascending")
        if counts.min() < 1 or (counts != np.floor(counts)).any():
            raise ValueError("counts: must be whole numbers of at least 1")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "counts", counts.astype(np.int64))

    @classmethod
    def of(cls, sample: ArrayLike, counts: ArrayLike | None = None) -> "Counts":
        """Counts of values in any order; with `counts`, of values that occur so often.

        Values that occur 0 times are left out, equal ones are put together.
        """
        values = as_sample(sample)
        times = np.ones(values.size) if counts is None else as_sample(counts, "counts")
        distinct, position = np.unique(values, return_inverse=True)
        total = np.bincount(position, times, distinct.size)
        return cls(distinct[total != 0], total[total != 0])

    @property
    def n(self) -> int:
        """Number of values."""
        return int(self.counts.sum())

    @property
    def shares(self) -> Values:
        """Share of the values that each distinct one has, shape (k,)."""
        return self.counts / self.n

    @property
    def moments(self) -> Moments:
        """The moments, as `Moments.of` gives for the values one by one."""
        n = self.n
        mean = float(self.counts @ self.values / n)
        if self.values.size == 1:
            return Moments(n, mean, 0.0 if n > 1 else float("nan"))
        mean += float(self.counts @ (self.values - mean) / n)  # what rounding left
        m2, m3, m4 = (self.central(k) for k in (2, 3, 4))
        return Moments(n, mean, m2 * n / (n - 1), *_shape(n, m2, m3, m4))

    def quantiles(self, levels: ArrayLike) -> Values:
        """Smallest values at or below which at least `levels` (shares) of the values lie."""
        reached = np.cumsum(self.counts) / self.n
        last = self.values.size - 1
        position = np.searchsorted(reached, np.asarray(levels, dtype=float) - 1e-12, "left")
        return self.values[np.minimum(position, last)]

    def central(self, order: int) -> float:
        """Central moment of an order from 2 up, divisor n."""
        mean = float(self.counts @ self.values / self.n)
        mean += float(self.counts @ (self.values - mean) / self.n)
        return float(self.counts @ (self.values - mean) ** order / self.n)

    @property
    def jarque_bera(self) -> float:
        """Statistic of the test of normality by skewness and kurtosis (Jarque & Bera 1980).

        About chi-squared with 2 degrees of freedom for many normal values; nan without variation.
        """
        m2 = self.central(2)
        if m2 == 0:
            return float("nan")
        skewness, kurtosis = self.central(3) / m2**1.5, self.central(4) / m2**2
        return self.n / 6 * (skewness**2 + (kurtosis - 3) ** 2 / 4)

    def trimmed(self, cut: float) -> "Counts":
        """The values without floor(cut n) of them at each end.

        Raises:
            ValueError: The cut is not within (0, 0.5).
        """
        check_fraction(cut, "cut", below=0.5)
        dropped = int(cut * self.n)
        left = np.diff(np.clip(np.cumsum(self.counts), dropped, self.n - dropped), prepend=dropped)
        return Counts(self.values[left > 0], left[left > 0])

    def trimmed_mean(self, cut: float) -> float:
        """Mean of what `trimmed` leaves."""
        return self.trimmed(cut).moments.mean

    def above(self, limit: float) -> "Counts | None":
        """The values above a limit; None if there are none."""
        kept = self.values > limit
        return Counts(self.values[kept], self.counts[kept]) if kept.any() else None

    def capped(self, cap: float) -> "Counts":
        """The values with those above `cap` set to it (winsorised at the top)."""
        return Counts.of(np.minimum(self.values, cap), self.counts)


def expanded(sample: Counts) -> Values:
    """The values one by one, ascending, shape (n,)."""
    return np.repeat(sample.values, sample.counts)


@dataclass(frozen=True, slots=True)
class PairMoments(Record):
    """Means, variances and covariance of two measures of the same units: all a ratio needs.

    Attributes:
        n: Number of units.
        numerator, denominator: Means over the units.
        numerator_variance, denominator_variance: Sample variances.
        covariance: Sample covariance of the two.
    """

    n: int
    numerator: float
    denominator: float
    numerator_variance: float
    denominator_variance: float
    covariance: float

    @property
    def ratio(self) -> float:
        """Sum of the numerators over the sum of the denominators."""
        return self.numerator / self.denominator

    @property
    def variance(self) -> float:
        """Variance of the ratio by the delta method (Deng, Knoblich & Lu 2018).

        The unit, not the denominator, is what was drawn: for purchases per view, views of one
        user may be as alike as they are.
        """
        r = self.ratio
        spread = self.numerator_variance + r**2 * self.denominator_variance
        return max(0.0, spread - 2 * r * self.covariance) / (self.n * self.denominator**2)

    @property
    def standard_error(self) -> float:
        """Standard error of the ratio."""
        return float(np.sqrt(self.variance))
