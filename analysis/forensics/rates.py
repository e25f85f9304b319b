"""Is a rate the same over groups, or nearer to constant than chance, and do its causes add up?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats import association, regression
from analysis.stats._common import Record, Values, as_sample, check_count, check_fraction

MARGIN = 0.2
SEED = 1954
RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Homogeneity(Record):
    """Rates of several groups against one rate for all.

    Attributes:
        groups: Groups with trials.
        n: Trials.
        rate: Successes over trials.
        statistic: Pearson's chi-squared.
        df: Groups less 1.
        dispersion: statistic / df: about 1 if chance alone makes the rates differ, less if they are
            closer to each other than that.
        p_heterogeneous: Right tail of the statistic: small if the rates differ.
        p_closer: Left tail: small if they are closer than binomial chance would have them.
        exact: Whether both are simulated with both margins fixed, as counts are too small for the
            chi-squared distribution (Cochran 1954).
        cv, low, high: Standard deviation of the true rates over their mean, less what chance puts
            there, with its 95% interval.
    """

    groups: int
    n: int
    rate: float
    statistic: float
    df: int
    dispersion: float
    p_heterogeneous: float
    p_closer: float
    exact: bool
    cv: float
    low: float
    high: float


def homogeneity(
    successes: Sequence[int], trials: Sequence[int], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Homogeneity | None:
    """Whether rates differ by more, or by less, than binomial chance (Lexis 1879; Cochran 1954).

    Chance alone makes rates of groups differ. If they differ by less, successes were not the
    outcome of independent trials: somebody, or a program, spread them evenly.

    Args:
        successes, trials: By group; groups without trials are left out.
        resamples: Simulated tables, where counts are small.
        seed: Of these.

    Returns:
        None with fewer than two groups, or with only successes or none.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials.
    """
    x, n = _counts(successes, trials)
    total, done = int(n.sum()), int(x.sum())
    if n.size < 2 or done in (0, total):
        return None
    rate = done / total
    variance = n * rate * (1 - rate)
    statistic, df = float(((x - n * rate) ** 2 / variance).sum()), n.size - 1
    expected = np.concatenate([n * rate, n * (1 - rate)])
    exact = bool(expected.min() < 1 or (expected < 5).mean() > 0.2)
    right, left = stats.chi2.sf(statistic, df), stats.chi2.cdf(statistic, df)
    if exact:
        rng = np.random.default_rng(seed)
        drawn = rng.multivariate_hypergeometric(n, done, size=resamples, method="marginals")
        null = ((drawn - n * rate) ** 2 / variance).sum(axis=1)
        tie = 1e-9 * (1 + statistic)
        right, left = (
            (1 + np.count_nonzero(side)) / (resamples + 1)
            for side in (null >= statistic - tie, null <= statistic + tie)
        )
    scale = (1 - rate) / (total * rate)
    low, high = (math.sqrt(end * scale) for end in association.noncentrality(statistic, df))
    return Homogeneity(
        groups=n.size, n=total, rate=rate, statistic=statistic, df=df, dispersion=statistic / df,
        p_heterogeneous=float(right), p_closer=float(left), exact=exact,
        cv=math.sqrt(max(0.0, statistic - df) * scale), low=low, high=high,
    )


@dataclass(frozen=True, slots=True)
class Trend(Record):
    """How a rate changes along a scale.

    Attributes:
        n: Trials.
        rate: Successes over trials.
        slope: Change of the rate a unit of the scale.
        size, low, high: Standard deviation of the rate along its straight line over the mean rate
            (of successes or failures, whichever are rarer), with the sign of the slope, and its
            interval: -0.3 is a rate of rare successes that is 30% below its mean where the scale
            is one standard deviation above its own.
        statistic: z, Cochran (1954) and Armitage (1955).
        p_trend: Two-sided.
        p_falling: One-sided: small if the rate falls.
        p_flat: Of the hypothesis that the size is the margin or more, either way: small if the
            rate is shown not to change along the scale.
        margin: That size.
    """

    n: int
    rate: float
    slope: float
    size: float
    low: float
    high: float
    statistic: float
    p_trend: float
    p_falling: float
    p_flat: float
    margin: float


def trend(
    successes: Sequence[int], trials: Sequence[int], scale: ArrayLike, *, margin: float = MARGIN,
    confidence: float = 0.95,
) -> Trend | None:
    """Whether a rate rises or falls along a scale, or is shown to do neither.

    The rate at which people leave falls with the time they have stayed, if only because those who
    are likely to leave leave first (Fader & Hardie 2007).

    Args:
        successes, trials: By group.
        scale: Where each group stands.
        margin: The largest size that counts as flat.
        confidence: Of the interval.

    Returns:
        None where the groups with trials stand in one place, or with only successes or none.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials, or places that
            are not finite.
    """
    check_fraction(margin, "margin")
    at = as_sample(scale, "scale", least=0)
    x, n = _counts(successes, trials, at)
    at = at[np.asarray(trials) > 0]
    total, done = int(n.sum()), int(x.sum())
    if n.size < 2 or np.ptp(at) == 0 or done in (0, total):
        return None
    rate = done / total
    centred = at - n @ at / total
    spread = float(n @ centred**2)
    slope = float(centred @ x) / spread
    z = slope * math.sqrt(spread / (rate * (1 - rate)))
    # Of the size, for one of z. A rate near 1 can't change much: its complement can.
    unit = math.sqrt(max(rate, 1 - rate) / (total * min(rate, 1 - rate)))
    reach = float(stats.norm.isf((1 - confidence) / 2)) * unit
    flat = stats.ncx2.cdf(z**2, 1, (margin / unit) ** 2)
    return Trend(
        n=total, rate=rate, slope=slope, size=z * unit, low=z * unit - reach, high=z * unit + reach,
        statistic=z, p_trend=float(2 * stats.norm.sf(abs(z))), p_falling=float(stats.norm.cdf(z)),
        p_flat=float(flat), margin=margin,
    )


@dataclass(frozen=True, slots=True)
class Additivity(Record):
    """Rates of combinations of factors against a logistic model without any interaction.

    Attributes:
        n: Trials.
        combinations: Those with trials.
        statistic: Pearson's chi-squared of the fit.
        df: Combinations less parameters.
        p_interplay: Right tail: small if the factors do not just add up.
        p_closer: Left tail: small if the model fits better than chance allows.
    """

    n: int
    combinations: int
    statistic: float
    df: int
    p_interplay: float
    p_closer: float


def additivity(
    factors: pd.DataFrame, successes: Sequence[int], trials: Sequence[int]
) -> Additivity | None:
    """Whether the log odds of a rate are sums of one term a factor, as in simple generators.

    Args:
        factors: One row a combination, one column a factor.
        successes, trials: Of each combination.

    Returns:
        None where no combination is left to test it with, where there are no finite terms, or where
        counts are too small for the chi-squared distribution (Cochran 1954).

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials, or not one of
            each a combination.
    """
    x, n = _counts(successes, trials, factors.index)
    factors = factors[np.asarray(trials) > 0]
    columns = [pair for name in factors for pair in regression.indicators(factors[name], name)]
    design = regression.design(columns, len(factors))
    df = len(factors) - design.matrix.shape[1]
    if df < 1:
        return None
    try:
        fit = regression.logit(design, x, n)
    except ValueError:  # factors that cannot be told apart, or that separate
        return None
    expected = n * fit.fitted
    both = np.concatenate([expected, n - expected])
    if both.min() < 1 or (both < 5).mean() > 0.2:
        return None
    statistic = float(((x - expected) ** 2 / (expected * (1 - fit.fitted))).sum())
    return Additivity(
        n=int(n.sum()), combinations=len(factors), statistic=statistic, df=df,
        p_interplay=float(stats.chi2.sf(statistic, df)),
        p_closer=float(stats.chi2.cdf(statistic, df)),
    )


def _counts(successes: Sequence[int], trials: Sequence[int], places=None) -> tuple[Values, Values]:
    x = np.array([check_count(value, "successes", least=0) for value in successes], dtype="int64")
    n = np.array([check_count(value, "trials", least=0) for value in trials], dtype="int64")
    if x.shape != n.shape or (x > n).any() or (places is not None and len(places) != n.size):
        raise ValueError("successes: need one for each of the trials, and no more than these")
    return x[n > 0], n[n > 0]
