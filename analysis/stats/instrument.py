"""The effect of a treatment that people choose, found with an instrument that they do not choose.

An instrument Z (a randomised encouragement, say) moves the treatment D, and the outcome Y only
through it. Then the effect of D is the effect of Z on Y over that of Z on D, whatever else drives
both D and Y. With a binary instrument and a treatment that it moves one way only, it is the mean
effect among those whose treatment the instrument changes (Imbens & Angrist 1994).

Equal rows are given once, with their count. Errors allow for unequal variances (HC1); intervals
and tests are those of large samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, Values, as_sample, check_fraction
from analysis.stats.intervals import Interval
from analysis.stats.regression import Design, aliased

WEAK = 10.0  # first-stage F below which the usual interval is not to be trusted
INTERVAL, OUTSIDE, EVERYTHING = "interval", "outside", "everything"


@dataclass(frozen=True, slots=True)
class Region(Record):
    """The effects that the Anderson-Rubin test does not reject.

    Attributes:
        shape: "interval": those from `low` to `high`; "outside": all but those between `low` and
            `high`; "everything": any effect at all, so the limits are infinite.
        low, high: The limits, in units of the outcome per unit of the treatment.
        confidence: Nominal confidence.
    """

    shape: str
    low: float
    high: float
    confidence: float

    def contains(self, value: float) -> bool:
        """Whether an effect is among those not rejected."""
        inside = self.low <= value <= self.high
        if self.shape == OUTSIDE:
            return not self.low < value < self.high
        return inside or self.shape == EVERYTHING


@dataclass(frozen=True, slots=True)
class TwoStage(Record):
    """The effect of a treatment by one instrument.

    Attributes:
        n: Observations.
        first_stage: What one unit of the instrument does to the treatment. For binary Z and D
            whose effect goes one way only, the share of people whose treatment it changes.
        reduced_form: What it does to the outcome ("intention to treat").
        f: First-stage F, robust: with one instrument also the effective F of Montiel Olea &
            Pflueger (2013). Infinite where the treatment is a function of the instrument.
        effect: Outcome per unit of treatment, by two-stage least squares, with the interval of
            the delta method. It is too short, and off centre, where the instrument is weak.
        standard_error: Of the effect.
        region: Effects that agree with the data, by Anderson & Rubin (1949): right however weak
            the instrument.
        p_value: Anderson-Rubin test of no effect, which is the test of the reduced form.
    """

    n: int
    first_stage: Interval
    reduced_form: Interval
    f: float
    effect: Interval
    standard_error: float
    region: Region
    p_value: float

    @property
    def weak(self) -> bool:
        """Whether the first-stage F is below 10 (Staiger & Stock 1997)."""
        return self.f < WEAK


def two_stage(
    outcome: ArrayLike, treatment: ArrayLike, instrument: ArrayLike, n: ArrayLike | None = None, *,
    covariates: Design | None = None, confidence: float = 0.95,
) -> TwoStage:
    """Two-stage least squares with one treatment and one instrument (Wald 1940; Theil 1953).

    Without covariates and with a binary instrument it is Wald's ratio of two differences of means.
    The Anderson-Rubin region inverts the test that the instrument has no effect on outcome less
    treatment times effect, with the same robust errors, in closed form (it is then Fieller's 1954
    interval of a ratio).

    Args:
        outcome, treatment, instrument: Values of each row, binary or not.
        n: How many observations a row stands for; 1 each without it.
        covariates: A design, one row a row, whose columns are held equal; None: only an intercept.
        confidence: Of the intervals.

    Raises:
        ValueError: Rows that do not fit together, counts that are not whole numbers from 0 up,
            columns that cannot be told apart, an outcome, treatment or instrument that does not
            vary (beyond the covariates), no more observations than coefficients, or an instrument
            that goes with the treatment not at all.
    """
    check_fraction(confidence, "confidence")
    y, d, z = (as_sample(values, name) for values, name in (
        (outcome, "outcome"), (treatment, "treatment"), (instrument, "instrument")))
    w = np.ones_like(y) if n is None else as_sample(n, "n")
    matrix = np.ones((y.size, 1)) if covariates is None else covariates.matrix
    if not y.size == d.size == z.size == w.size == len(matrix):
        raise ValueError("outcome, treatment, instrument, n, covariates: need equal lengths")
    if w.min() < 0 or (w != np.floor(w)).any():
        raise ValueError("n: must be whole numbers of at least 0")
    there = w > 0
    if covariates is not None and aliased(covariates.take(there)):
        raise ValueError("covariates: columns cannot be told apart")
    y, d, z, w, matrix = y[there], d[there], z[there], w[there], matrix[there]
    total, parameters = float(w.sum()), matrix.shape[1] + 1
    if total <= parameters:
        raise ValueError(f"n: needs more than {parameters} observations, got {total:g}")
    y, d, z = (
        _left(values, matrix, w, name)
        for values, name in ((y, "outcome"), (d, "treatment"), (z, "instrument")))
    spread = float(w @ z**2)
    on_y, on_d = float(w @ (z * y)) / spread, float(w @ (z * d)) / spread
    left_y, left_d = y - on_y * z, d - on_d * z
    # The variances of the two coefficients, and their covariance.
    scale = total / (total - parameters) / spread**2
    v_y, v_d, v_yd = (
        scale * float((w * z**2) @ product)
        for product in (left_y**2, left_d**2, left_y * left_d))
    if on_d**2 <= 1e-24 * float(w @ d**2) / spread:
        raise ValueError("instrument: goes with the treatment not at all")
    effect = on_y / on_d
    # The residual of the structural equation is left_y - effect * left_d: of the delta method.
    error = math.sqrt(max(0.0, v_y - 2 * effect * v_yd + effect**2 * v_d)) / abs(on_d)
    quantile = float(stats.norm.isf((1 - confidence) / 2))

    def wald(value: float, standard_error: float, method: str) -> Interval:
        margin = quantile * standard_error
        return Interval(value, value - margin, value + margin, confidence, method)

    return TwoStage(
        n=int(total),
        first_stage=wald(on_d, math.sqrt(v_d), "least squares, HC1"),
        reduced_form=wald(on_y, math.sqrt(v_y), "least squares, HC1"),
        f=on_d**2 / v_d if v_d > 0 else math.inf,
        effect=wald(effect, error, "two-stage least squares, HC1"),
        standard_error=error,
        region=_region(on_y, on_d, v_y, v_d, v_yd, quantile**2, confidence),
        p_value=_two_sided(on_y, v_y),
    )


def _left(values: Values, matrix: Values, w: Values, name: str) -> Values:
    """What the covariates leave of values."""
    root = np.sqrt(w)
    fitted, *_ = np.linalg.lstsq(matrix * root[:, None], values * root, rcond=None)
    left = values - matrix @ fitted
    centred = values - np.average(values, weights=w)
    if not float(w @ left**2) > 1e-18 * max(float(w @ values**2), float(w @ centred**2)):
        raise ValueError(f"{name}: does not vary (beyond the covariates)")
    return left


def _two_sided(value: float, variance: float) -> float:
    if variance > 0:
        return float(2 * stats.norm.sf(abs(value) / math.sqrt(variance)))
    return float(value == 0)


def _region(
    on_y: float, on_d: float, v_y: float, v_d: float, v_yd: float, most: float, confidence: float
) -> Region:
    """Effects b with (on_y - b on_d)^2 <= most (v_y - 2 b v_yd + b^2 v_d): a quadratic."""
    square = on_d**2 - most * v_d
    half = on_y * on_d - most * v_yd
    constant = on_y**2 - most * v_y
    root = half**2 - square * constant
    # The estimate itself is never rejected, so the set is never empty: without roots, it is all.
    if square == 0 or (square < 0 and root <= 0):
        return Region(EVERYTHING, -math.inf, math.inf, confidence)
    ends = sorted((half + side * math.sqrt(max(root, 0.0))) / square for side in (-1, 1))
    return Region(INTERVAL if square > 0 else OUTSIDE, *ends, confidence)
