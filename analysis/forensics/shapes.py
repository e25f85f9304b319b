"""Has a duration the shape of one simple distribution, as durations that a program draws have?

Times that people take are mixtures: of those who know and those who don't, of work and breaks, of
trying and giving up. A simple generator draws them from one distribution of two parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, stats
from scipy.special import gammaincc, ndtr

from analysis.forensics.uniformity import MARGIN
from analysis.stats import association
from analysis.stats._common import Record, Values

CELLS = 20
LEAST = 10 * CELLS  # durations


def _lognormal(x: Values, p: Values) -> Values:
    with np.errstate(divide="ignore"):
        return ndtr((np.log(np.maximum(x, 0)) - p[0]) / math.exp(p[1]))


def _normal(x: Values, p: Values) -> Values:
    return ndtr((x - p[0]) / math.exp(p[1]))


def _weibull(x: Values, p: Values) -> Values:
    return -np.expm1(-((np.maximum(x, 0) / math.exp(p[0])) ** math.exp(p[1])))


def _gamma(x: Values, p: Values) -> Values:
    return 1 - gammaincc(math.exp(p[1]), np.maximum(x, 0) / math.exp(p[0]))


def _uniform(x: Values, p: Values) -> Values:
    # The span is that of the cells: nothing is left to be fitted.
    return x


# Distribution functions and their number of parameters. The exponential is a Weibull one.
FAMILIES = {"log-normal": (_lognormal, 2), "normal": (_normal, 2), "Weibull": (_weibull, 2),
            "gamma": (_gamma, 2), "uniform": (_uniform, 0)}


@dataclass(frozen=True, slots=True)
class Shape(Record):
    """A duration against the nearest of some simple distributions.

    Attributes:
        n: Durations.
        family: The nearest, of `FAMILIES`.
        statistic: Pearson's chi-squared of its fit.
        df: Cells less 1 and less its parameters.
        w, low, high: sqrt(statistic / n), with the interval of the population's w.
        p_simple: Of the hypothesis that all families are off by the margin or more: small if the
            duration is shown to have one of these simple shapes (Bonferroni over the families).
        p_other: Of the hypothesis that one of the families is right: small if the duration is shown
            to have none of these shapes (the largest p-value of their fits).
        margin: That w.
        cells: `from_value`, `to_value` (seconds, the cell ends before it), `n`, `expected`.
    """

    n: int
    family: str
    statistic: float
    df: int
    w: float
    low: float
    high: float
    p_simple: float
    p_other: float
    margin: float
    cells: Mapping[str, np.ndarray] = field(repr=False, compare=False)


def shape(values: ArrayLike, counts: ArrayLike, *, margin: float = MARGIN) -> Shape | None:
    """Whether durations have the shape of a simple distribution.

    Each family is fitted by maximum likelihood to counts in cells of about equal size, within the
    span from the least to the largest value (the durations may have been cut off on either side),
    and compared by Pearson's chi-squared; equivalence as in `uniformity.evenness`.

    Args:
        values: Different durations in whole units of the clock, ascending.
        counts: How often each occurs.
        margin: The largest w that counts as having the shape.

    Returns:
        None with fewer than `LEAST` durations, or where so few different ones occur that there are
        less than half as many cells as wanted.

    Raises:
        ValueError: A margin that is not above 0.
    """
    if not margin > 0:
        raise ValueError(f"margin: must be above 0, got {margin!r}")
    value, count = np.asarray(values, dtype=float), np.asarray(counts, dtype=float)
    n = int(count.sum())
    if n < LEAST:
        return None
    # A cell ends where its share of the durations is reached: between two values of the clock.
    place = np.minimum(np.floor(CELLS * (np.cumsum(count) - count / 2) / n), CELLS - 1).astype(int)
    cell = np.unique(place, return_inverse=True)[1]
    cells = int(cell[-1]) + 1
    if cells < CELLS / 2:
        return None
    starts = value[np.searchsorted(cell, np.arange(cells))]
    edges = np.append(starts, value[-1] + 1) - 0.5
    observed = np.bincount(cell, weights=count)
    fits = {}
    for name, (function, parameters) in FAMILIES.items():
        expected = n * _fit(function, parameters, edges, observed, value, count)
        statistic = float(((observed - expected) ** 2 / expected).sum())
        fits[name] = statistic, cells - 1 - parameters, expected
    tails = {name: float(stats.chi2.sf(statistic, df)) for name, (statistic, df, _) in fits.items()}
    near = {name: float(stats.ncx2.cdf(statistic, df, n * margin**2))
            for name, (statistic, df, _) in fits.items()}
    family = min(fits, key=lambda name: fits[name][0] - fits[name][1])
    statistic, df, expected = fits[family]
    low, high = association.noncentrality(statistic, df)
    return Shape(
        n=n, family=family, statistic=statistic, df=df, w=math.sqrt(statistic / n),
        low=math.sqrt(low / n), high=math.sqrt(high / n),
        p_simple=min(1.0, len(fits) * min(near.values())), p_other=max(tails.values()),
        margin=margin, cells={"from_value": edges[:-1] + 0.5, "to_value": edges[1:] + 0.5,
                              "n": observed, "expected": expected},
    )


def _fit(function, parameters: int, edges, observed, value, count) -> Values:
    """Probabilities of the cells under the fitted family, within the span of the cells."""

    def shares(p: Values) -> Values:
        with np.errstate(all="ignore"):
            at = function(edges, p)
            share = np.diff(at) / (at[-1] - at[0])
        return np.where(np.isfinite(share), np.maximum(share, 1e-12), 1e-12)

    if not parameters:
        return shares(np.empty(0))
    mean = float(count @ value / count.sum())
    sd = math.sqrt(float(count @ (value - mean) ** 2 / count.sum()))
    logs = np.log(np.maximum(value, 0.5))
    log_mean = float(count @ logs / count.sum())
    log_sd = math.sqrt(float(count @ (logs - log_mean) ** 2 / count.sum()))
    start = {
        _lognormal: (log_mean, math.log(log_sd)), _normal: (mean, math.log(sd)),
        _weibull: (math.log(mean), math.log(mean / sd)),
        _gamma: (math.log(sd**2 / mean), 2 * math.log(mean / sd)),
    }[function]
    # In units in which all parameters are of the order of 1.
    scale = np.array([sd if function is _normal else 1.0, 1.0])

    def loss(p: Values) -> float:
        share = shares(p * scale)
        return -float(observed @ np.log(share)) / count.sum()

    found = optimize.minimize(loss, np.array(start) / scale, method="Nelder-Mead",
                              options={"xatol": 1e-6, "fatol": 1e-10, "maxiter": 2_000})
    share = shares(found.x * scale)
    return share / share.sum()
