"""From counts, moments and correlations to evidence: the tests that claims of all sources share.

All are two-sided, with 95% intervals. What cannot be compared (nobody in a group, no variation)
raises `CannotTell`. Each takes the sentence of the evidence, `said`, and further values for its
places; what it adds itself is said in its docstring.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from analysis.claims.claim import ALPHA, CannotTell, Difference, Direction, Equality
from analysis.stats import intervals, several_means, two_proportions, two_sample
from analysis.stats.association import (
    Association,
    GoodnessOfFit,
    association,
    goodness_of_fit,
)
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments
from analysis.stats.two_proportions import Share

# Cohen's (1988) conventions for correlations.
SMALL, STRONG = 0.1, 0.5
# Of w and V, half of what he calls small: equal groups that are 5% apart, shares of a tenth that
# are 1.5 points apart.
NEGLIGIBLE = 0.05
LEAST_EXPECTED = 5  # successes and failures in each group, for the normal approximation
SEED = 1988
_ALIKE = "it is the same for all, so there is nothing to compare"
_FEW = "there are too few to compare"

Value = float | int | str | Interval


def share(successes: int, n: int, who: str) -> Share:
    """A share of a group.

    Args:
        successes, n: Counts.
        who: The group in the plural, for the reason why nothing can be told.
    """
    if n == 0:
        raise CannotTell("the table has no {who}", who=who)
    return Share(int(successes), int(n))


def gap_of_shares(
    a: Share, b: Share, said: str, *, below: bool = False, **values: Value
) -> Direction:
    """Share a less share b: pooled z test, or Fisher's where counts are small; Newcombe's limits.

    Adds `a` and `b`, the shares, and `gap`, their difference.
    """
    pooled = (a.successes + b.successes) / (a.n + b.n)
    if pooled in (0, 1):
        raise CannotTell(_ALIKE)
    rule = min(a.n, b.n) * min(pooled, 1 - pooled) >= LEAST_EXPECTED
    test = (two_proportions.pooled_z if rule else two_proportions.fisher)(a, b)
    gap = two_proportions.difference(a, b)
    return Direction(
        said=said, values={"a": a.value, "b": b.value, "gap": gap, **values},
        estimate=gap, p_value=test.p_value, below=below,
    )


def share_against(
    share: Share, null: float, said: str, *, below: bool = False, **values: Value
) -> Direction:
    """A share against a limit: exact binomial test, Wilson's limits. Adds `share` and `null`."""
    found = intervals.proportion(share.successes, share.n)
    return Direction(
        said=said, values={"share": found, "null": null, **values}, estimate=found,
        p_value=float(stats.binomtest(share.successes, share.n, null).pvalue), null=null,
        below=below,
    )


def share_near(share: Share, target: float, margin: float, said: str, **values: Value) -> Equality:
    """A share within a margin of a target: exact binomial tests. Adds `share` and `target`."""
    found = intervals.proportion(share.successes, share.n)
    low, high = target - margin, target + margin

    def p(limit: float, alternative: str) -> float:
        return float(stats.binomtest(share.successes, share.n, limit, alternative).pvalue)

    return Equality(
        said=said, values={"share": found, "target": target, **values}, estimate=found,
        low=low, high=high,
        p_within=max(p(low, "greater"), p(high, "less")),
        p_beyond=min(1.0, 2 * min(p(low, "less"), p(high, "greater"))),
    )


def gap_of_means(
    a: Moments, b: Moments, said: str, *, below: bool = False, **values: Value
) -> Direction:
    """Mean a against mean b: Welch's test. Adds `a` and `b`, the means, and `gap`."""
    if min(a.n, b.n) < 2:
        raise CannotTell(_FEW)
    if not a.variance + b.variance > 0:
        raise CannotTell(_ALIKE)
    test = two_sample.welch(a, b, alpha=ALPHA)
    return Direction(
        said=said, values={"a": a.mean, "b": b.mean, "gap": test.interval, **values},
        estimate=test.interval, p_value=test.p_value, below=below,
    )


def correlation(
    r: float, n: int, said: str, *, null: float = 0.0, below: bool = False, **values: Value
) -> Direction:
    """A correlation against a limit, on Fisher's (1921) z scale. Adds `r` and `null`."""
    found, error = _fisher(r, n)
    z = (math.atanh(found.estimate) - math.atanh(null)) / error
    return Direction(
        said=said, values={"r": found, "null": null, **values}, estimate=found,
        p_value=float(2 * stats.norm.sf(abs(z))), null=null, below=below,
    )


def unrelated(r: float, n: int, said: str, *, margin: float = SMALL, **values: Value) -> Equality:
    """A correlation too small to matter, on Fisher's (1921) z scale. Adds `r` and `margin`."""
    found, error = _fisher(r, n)
    return _near(
        found, error, -margin, margin, said, {"r": found, "margin": margin, **values},
        scale=math.atanh,
    )


def _fisher(r: float, n: int) -> tuple[Interval, float]:
    """A correlation with its interval, and the standard error of atanh(r)."""
    if n < 4:
        raise CannotTell(_FEW)
    if math.isnan(r):
        raise CannotTell(_ALIKE)
    r = float(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    error = 1 / math.sqrt(n - 3)
    margin = stats.norm.isf(ALPHA / 2) * error
    low, high = np.tanh([math.atanh(r) - margin, math.atanh(r) + margin])
    return Interval(r, float(low), float(high), 1 - ALPHA, "Fisher z"), error


def ratio_near(
    ratio: Interval, margin: float, said: str, **values: Value
) -> Equality:
    """A ratio within 1 / margin and margin, from an interval that is normal for its logarithm.

    Adds `ratio`.
    """
    error = (math.log(ratio.high) - math.log(ratio.low)) / (2 * _quantile(ratio))
    return _near(
        ratio, error, 1 / margin, margin, said, {"ratio": ratio, **values}, scale=math.log)


def against(
    estimate: Interval | Effect, null: float, said: str, *, log: bool = False, below: bool = False,
    **values: Value,
) -> Direction:
    """An estimate against a limit, from an interval that is normal (for its logarithm).

    Adds `estimate`.
    """
    if isinstance(estimate, Effect):
        estimate = interval_of(estimate)
    scale = math.log if log else float
    low, centre, high = map(scale, (estimate.low, estimate.estimate, estimate.high))
    if not high > low:
        raise CannotTell(_FEW)
    error = (high - low) / (2 * _quantile(estimate))
    return Direction(
        said=said, values={"estimate": estimate, **values}, estimate=estimate,
        p_value=float(2 * stats.norm.sf(abs(centre - scale(null)) / error)), null=null, below=below,
    )


def interval_of(effect: Effect) -> Interval:
    """An effect size as an interval."""
    return Interval(effect.value, effect.low, effect.high, effect.confidence, effect.name)


def _quantile(interval: Interval) -> float:
    return float(stats.norm.isf((1 - interval.confidence) / 2))


def near(
    estimate: Interval, error: float, low: float, high: float, said: str, *,
    df: float = math.inf, **values: Value,
) -> Equality:
    """An estimate between two margins, from its standard error: t with `df` degrees of freedom.

    Adds `estimate`.
    """
    return _near(estimate, error, low, high, said, {"estimate": estimate, **values}, df)


def _near(
    estimate: Interval, error: float, low: float, high: float, said: str,
    values: Mapping[str, Value], df: float = math.inf,
    scale: Callable[[float], float] = float,
) -> Equality:
    """An estimate between two margins, t distributed on a scale with a standard error."""
    centre = scale(estimate.estimate)
    from_low, from_high = (centre - scale(low)) / error, (centre - scale(high)) / error
    outside = max(-from_low, from_high)  # how far it lies beyond the nearer margin
    return Equality(
        said=said, values=values, estimate=estimate, low=low, high=high,
        p_within=float(stats.t.sf(min(from_low, -from_high), df)),
        p_beyond=float(min(1.0, 2 * stats.t.sf(outside, df))),
    )


def unequal(
    counts: Mapping[str, int], said: str, *, margin: float = NEGLIGIBLE, **values: Value
) -> Difference:
    """Counts against equal shares: chi-squared goodness of fit. Adds `effect`, Cohen's w."""
    if len(counts) < 2:
        raise CannotTell(_FEW)
    found = goodness_of_fit(counts, dict.fromkeys(counts, 1 / len(counts)), seed=SEED)
    return _differ(found, found.n, margin, said, values)


def related(
    table: pd.DataFrame, said: str, *, margin: float = NEGLIGIBLE, **values: Value
) -> Difference:
    """A table of counts: chi-squared test of association.

    Adds `effect`, Cramér's V, less what chance puts there (Bergsma 2013).
    """
    try:
        found = association(table, seed=SEED)
    except ValueError:  # a single row or column with counts
        raise CannotTell(_ALIKE) from None
    scale = found.n * (min(found.rows, found.columns) - 1)
    return _differ(found, scale, margin, said, values)


def unlike(
    means: Mapping[str, Moments], said: str, *, margin: float = NEGLIGIBLE, **values: Value
) -> Difference:
    """Means of several groups: Welch's test.

    Adds `effect`, omega squared, the share of the variance that lies between them, less what chance
    puts there. The margin is one of its root, the correlation ratio.
    """
    try:
        found = several_means.welch_anova(means, 1 - ALPHA)
    except ValueError:  # a single group, or one without variation
        raise CannotTell(_ALIKE) from None
    effect = interval_of(found.effect)
    # As for counts, an F below its mean without any effect, about 1, says nothing in favour of one.
    p_small = 2 * stats.ncf.cdf(
        max(found.statistic, 1.0), found.df, found.df_denominator,
        found.n * margin**2 / (1 - margin**2))
    return Difference(
        said=said, values={"effect": effect, **values}, effect=effect, p_value=found.p_value,
        p_small=float(min(1.0, p_small)),
    )


def _differ(
    found: Association | GoodnessOfFit, scale: int, margin: float, said: str,
    values: Mapping[str, Value],
) -> Difference:
    """Evidence from a chi-squared test, of which `scale` times the effect squared is the size.

    A statistic below its mean without any effect counts as that mean, as in the interval of the
    effect (see `association.limits`), which keeps small tables from showing anything.
    """
    effect = interval_of(found.effect)
    p_small = 2 * stats.ncx2.cdf(max(found.statistic, found.df), found.df, scale * margin**2)
    return Difference(
        said=said, values={"effect": effect, **values}, effect=effect, p_value=found.p_value,
        p_small=float(min(1.0, p_small)),
    )
