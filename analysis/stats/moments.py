"""The sufficient statistics of one sample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, as_sample, check_count


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
        return cls(
            n=n,
            mean=float(rough + correction),
            variance=variance,
            skewness=float(stats.skew(deviations, bias=False)) if n > 2 else None,
            excess_kurtosis=float(stats.kurtosis(deviations, bias=False)) if n > 3 else None,
        )

    @classmethod
    def published(cls, n: int, mean: float, sd: float) -> "Moments":
        """The moments from the three figures that reports print.

        Raises:
            ValueError: See `Moments`; also if the standard deviation is negative.
        """
        if sd < 0:
            raise ValueError(f"sd: must be at least 0, got {sd!r}")
        return cls(n, mean, sd**2)


def as_moments(data: "ArrayLike | Moments", name: str, least: int = 2) -> Moments:
    """Moments as they are, or those of a raw sample, of at least `least` values.

    Raises:
        ValueError: Too few values, or see `as_sample`; `name` names the parameter.
    """
    moments = data if isinstance(data, Moments) else Moments.of(data, name)
    if moments.n < least:
        raise ValueError(f"{name}: needs at least {least} value(s), got {moments.n}")
    return moments
