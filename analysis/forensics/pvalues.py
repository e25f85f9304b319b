"""Many p-values at once: are they as chance makes them, and how many effects do they show?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, Values, as_sample, check_count

SMALLEST = 1e-300  # p-values of 0, as arithmetic leaves them, have no logarithm


@dataclass(frozen=True, slots=True)
class Spread(Record):
    """p-values against the uniform distribution that they have where nothing is there.

    Attributes:
        n: How many.
        ks: Kolmogorov's distance of their distribution function from the uniform one.
        p_uniform: Of it, two-sided: small if they are not uniform in any way.
        p_small: Fisher's (1932) combination: small if they are too small together, so that
            something is there.
        p_large: The same of 1 - p: small if they are too large together, so that everything is
            nearer to chance's mean than chance brings it.
        stouffer, p_stouffer: Stouffer's z (above 0 if they are small) and its two-sided p.
    """

    n: int
    ks: float
    p_uniform: float
    p_small: float
    p_large: float
    stouffer: float
    p_stouffer: float


def spread(p_values: ArrayLike) -> Spread:
    """Whether p-values are uniform, as those of true null hypotheses are.

    For the baseline of a randomised trial, whose groups differ by chance only, they must be
    uniform: small ones point to failed randomisation, large ones to a baseline that is more
    balanced than lots make it (Carlisle 2017). For all pairs of columns of a table they must *not*
    be: in a recorded table many things go together. The tests take the p-values to be independent
    and continuous, which those of pairs of columns are only nearly.

    Raises:
        ValueError: None, or any that is not between 0 and 1.
    """
    p = _p_values(p_values)
    ks = stats.kstest(p, "uniform")
    z = stats.norm.isf(np.clip(p, SMALLEST, 1 - 1e-16)).sum() / np.sqrt(p.size)
    return Spread(
        n=p.size, ks=float(ks.statistic), p_uniform=float(ks.pvalue),
        p_small=_fisher(p), p_large=_fisher(1 - p),
        stouffer=float(z), p_stouffer=float(2 * stats.norm.sf(abs(z))),
    )


def _fisher(p: Values) -> float:
    return float(stats.chi2.sf(-2 * np.log(np.maximum(p, SMALLEST)).sum(), 2 * p.size))


def partial_conjunction(p_values: ArrayLike, least: int) -> float:
    """p-value of the hypothesis that fewer than so many of the effects are there.

    If it is rejected, at least `least` of the effects are shown, without saying which (Benjamini &
    Heller 2008): of m ordered p-values, (m - least + 1) times the one of that rank. Valid however
    the tests depend on each other.

    Args:
        p_values: One an effect; missing ones (nan) count as 1, tests that could not be made.
        least: From 1 to their number.

    Raises:
        ValueError: None, p-values out of 0 to 1, or `least` out of 1 to their number.
    """
    p = np.asarray(p_values, dtype=float)
    p = _p_values(np.where(np.isnan(p), 1.0, p))
    least = check_count(least, "least")
    if least > p.size:
        raise ValueError(f"least: there are {p.size} p-values, got {least!r}")
    return min(1.0, float((p.size - least + 1) * np.sort(p)[least - 1]))


def _p_values(p_values: ArrayLike) -> Values:
    p = as_sample(p_values, "p_values")
    if ((p < 0) | (p > 1)).any():
        raise ValueError("p_values: must be between 0 and 1")
    return p


def some(p_values: ArrayLike, part: float) -> float:
    """p-value of the hypothesis that fewer than a part of the effects, or than two, are there.

    Args:
        p_values: One an effect; missing ones are nan.
        part: Share of the effects.

    Returns:
        nan where fewer than two could be tested.
    """
    p = np.asarray(p_values, dtype=float)
    if np.isfinite(p).sum() < 2:
        return math.nan
    return partial_conjunction(p, max(2, math.ceil(part * p.size - 1e-9)))
