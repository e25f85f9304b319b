"""Means of several groups: whether they differ, by how much, and each against the rest."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import optimize, stats

from analysis.stats._common import Record, check_count, check_fraction
from analysis.stats.effects import Effect
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm
from analysis.stats.two_sample import welch_error

# A variance below this share of the mean square is what rounding leaves of equal values.
ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Anova(Record):
    """A test that the means of several groups are equal.

    Attributes:
        n: Number of values.
        groups: Number of groups.
        statistic: F.
        df, df_denominator: Degrees of freedom.
        p_value: Probability of an F at least as large with equal means.
        effect: Omega squared, the share of the variance that lies between the groups, less what
            chance puts there, with its interval.
    """

    n: int
    groups: int
    statistic: float
    df: int
    df_denominator: float
    p_value: float
    effect: Effect


def moments_of_sums(
    n: int, total: float, squares: float, cubes: float | None = None
) -> Moments | None:
    """The moments of values from their number, sum, and sums of squares and of third powers.

    The skewness is there with third powers, three values and variation. Sums lose digits where the
    mean is large against the spread; what is left of equal values is set to 0.

    Returns:
        None without a value.
    """
    n = check_count(n, "n", least=0)
    if n == 0:
        return None
    mean = float(total) / n
    if n == 1:
        return Moments(1, mean, float("nan"))
    spread = float(squares) / n - mean**2
    if not spread > ROUNDING * float(squares) / n:
        return Moments(n, mean, 0.0)
    skewness = None
    if cubes is not None and n > 2:
        third = float(cubes) / n - 3 * mean * float(squares) / n + 2 * mean**3
        skewness = float(np.sqrt(n * (n - 1)) / (n - 2) * third / spread**1.5)
    return Moments(n, mean, spread * n / (n - 1), skewness)


def together(*parts: Moments) -> Moments:
    """The moments of several groups put together (Chan, Golub & LeVeque 1983), without shape."""
    n = sum(part.n for part in parts)
    mean = sum(part.n * part.mean for part in parts) / n
    if n == 1:
        return Moments(1, mean, float("nan"))
    within = sum((part.n - 1) * part.variance for part in parts if part.n > 1)
    between = sum(part.n * (part.mean - mean) ** 2 for part in parts)
    return Moments(n, mean, (within + between) / (n - 1))


def welch_anova(groups: Mapping[str, Moments], confidence: float = 0.95) -> Anova:
    """Welch's (1951) test of equal means of several groups, each with a variance of its own.

    For two groups F is the square of Welch's t. Omega squared is df (F - 1) / (df (F - 1) + n), at
    least 0; its interval comes from the values of the noncentrality whose F distribution has the
    observed F at either tail (Steiger 2004), approximate where variances differ much.

    Raises:
        ValueError: Fewer than two groups, a group of fewer than two values, or one without
            variation.
    """
    check_fraction(confidence, "confidence")
    found = list(groups.values())
    if len(found) < 2:
        raise ValueError(f"groups: needs at least 2, got {len(found)}")
    if bad := [name for name, m in groups.items() if m.n < 2 or not m.variance > 0]:
        raise ValueError(f"groups: {bad[0]!r} needs two values that are not all equal")
    size, mean, variance = (np.array([getattr(m, name) for m in found], dtype=float)
                            for name in ("n", "mean", "variance"))
    weight = size / variance
    share = weight / weight.sum()
    k = len(found)
    between = float(weight @ (mean - share @ mean) ** 2) / (k - 1)
    spread = float(((1 - share) ** 2 / (size - 1)).sum())
    statistic = between / (1 + 2 * (k - 2) / (k**2 - 1) * spread)
    df, df_denominator = k - 1, (k**2 - 1) / (3 * spread)
    n = int(size.sum())
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(statistic, df, df_denominator, q) for q in (1 - tail, tail))
    gain = max(0.0, df * (statistic - 1))
    effect = Effect("omega squared", gain / (gain + n), low / (low + n), high / (high + n),
                    confidence)
    p = float(stats.f.sf(statistic, df, df_denominator))
    return Anova(n, k, float(statistic), df, float(df_denominator), p, effect)


def against_rest(groups: Mapping[str, Moments], confidence: float = 0.95) -> pd.DataFrame:
    """Each group's mean less the mean of all other groups together (Welch's t).

    Returns:
        Index `group`; `difference`, `low`, `high`, `p_value`, `p_adjusted` (Holm over the groups),
        `wide_low`, `wide_high` (limits widened for their number, Bonferroni), and the same in
        standard deviations of all values: `standardised`, `standardised_low`,
        `standardised_high`. Missing where a group or its rest has fewer than two values, or neither
        varies.
    """
    check_fraction(confidence, "confidence")
    rows, names = [], list(groups)
    for name, mine in groups.items():
        rest = [m for other, m in groups.items() if other != name]
        if not rest:
            continue
        others = together(*rest)
        if min(mine.n, others.n) < 2 or not mine.variance + others.variance > 0:
            continue
        error, df = welch_error(mine, others)
        rows.append((name, mine.mean - others.mean, error, df, together(mine, others).sd))
    columns = ["group", "difference", "error", "df", "sd"]
    found = pd.DataFrame(rows, columns=columns).set_index("group").astype(float)
    difference, error, df = found["difference"], found["error"], found["df"]
    tail = (1 - confidence) / 2
    reach, wide = (stats.t.isf(q, df) * error for q in (tail, tail / max(1, len(names))))
    p = 2 * stats.t.sf(np.abs(difference / error), df)
    frame = pd.DataFrame({
        "difference": difference, "low": difference - reach, "high": difference + reach,
        "p_value": p, "p_adjusted": holm(p), "wide_low": difference - wide,
        "wide_high": difference + wide, "standardised": difference / found["sd"],
        "standardised_low": (difference - reach) / found["sd"],
        "standardised_high": (difference + reach) / found["sd"],
    })
    return frame.reindex(pd.Index(names, name="group"))


def _noncentrality(statistic: float, df: float, df_denominator: float, quantile: float) -> float:
    """The noncentrality at which F lies at a quantile of its distribution; 0 if none is so low."""

    def excess(value: float) -> float:
        return float(stats.ncf.cdf(statistic, df, df_denominator, value)) - quantile

    if stats.f.cdf(statistic, df, df_denominator) <= quantile:
        return 0.0
    reach = df * statistic + 10
    while excess(reach) > 0:
        reach *= 2
    return float(optimize.brentq(excess, 0.0, reach, xtol=1e-10))
