"""Tests of two samples, independent or paired, each with its effect sizes.

Every hypothesis is about a against b: "less" means that a lies below b, so a before/after
comparison (a before, b after) tests an increase with "less". Samples are raw values, or
`Moments` where the signature says so.

All raise ValueError for samples that `as_sample` refuses, fewer than two values in a sample, no
variation to test against, an unknown alternative, and alpha outside (0, 0.5). The paired tests
also do for samples of different lengths.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats import effects
from analysis.stats._common import Alternative, as_sample, check_alternative, check_fraction
from analysis.stats.intervals import Interval, proportion
from analysis.stats.moments import Moments, as_moments
from analysis.stats.resampling import permuted_t
from analysis.stats.results import TestResult

DIFFERENCE = "difference of means"


def f_test(
    a: ArrayLike | Moments,
    b: ArrayLike | Moments,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> TestResult:
    """F test of equal variances; the estimate is var(a) / var(b) (Snedecor & Cochran 1989).

    It takes the values as normal and is badly off for skewed or heavy-tailed ones, whatever
    their number (Box 1953); `brown_forsythe` is the robust companion. Both samples must vary.
    """
    _check(alternative, alpha)
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    for m, name in ((ma, "a"), (mb, "b")):
        if not m.variance > 0:
            raise ValueError(f"{name}: the F test needs values that are not all equal")
    ratio = ma.variance / mb.variance
    f = stats.f(ma.n - 1, mb.n - 1)
    p, critical = _tails(f, ratio, alternative, alpha)

    def limits(confidence: float) -> tuple[float, float]:
        tail = (1 - confidence) / 2
        return ratio / f.isf(tail), ratio / f.ppf(tail)

    return _result(
        name="F test of variances",
        n_a=ma.n,
        n_b=mb.n,
        alternative=alternative,
        alpha=alpha,
        statistic_name="F",
        statistic=ratio,
        p_value=p,
        estimate_name="ratio of variances",
        estimate=ratio,
        limits=limits,
        method="F",
        support=(0.0, np.inf),
        null_value=1.0,
        df=ma.n - 1,
        df_denominator=mb.n - 1,
        critical_value=critical,
        critical_low=float(f.ppf(alpha / 2)) if alternative == "two-sided" else None,
    )


def brown_forsythe(a: ArrayLike, b: ArrayLike, *, alpha: float = 0.05) -> TestResult:
    """Test of equal spread by absolute deviations from the medians (Brown & Forsythe 1974).

    Two-sided; the statistic is F on 1 and n - 2 degrees of freedom. The estimate is the
    difference of the mean absolute deviations from the median, the effect is their ratio.
    """
    x, y = as_sample(a, "a", least=2), as_sample(b, "b", least=2)
    deviations = np.abs(x - np.median(x)), np.abs(y - np.median(y))
    t = student(*_varying(*deviations, "the Brown-Forsythe test of the deviations"), alpha=alpha)
    return replace(
        t,
        name="Brown-Forsythe test of spread",
        statistic_name="F",
        statistic=t.statistic**2,
        estimate_name="difference of mean absolute deviations from the median",
        df=1,
        df_denominator=t.df,
        critical_value=float(stats.f.isf(alpha, 1, t.df)),
        effects=tuple(
            replace(effect, name="ratio of mean absolute deviations") for effect in t.effects[2:]
        ),
    )


def student(
    a: ArrayLike | Moments,
    b: ArrayLike | Moments,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> TestResult:
    """Student's t test of equal means, with one variance for both (Student 1908).

    With unequal variances and sizes its level is wrong; `welch` has no such condition.
    """
    _check(alternative, alpha)
    ma, mb = _varying(a, b, "Student's t test")
    df = ma.n + mb.n - 2
    pooled = ((ma.n - 1) * ma.variance + (mb.n - 1) * mb.variance) / df
    error = float(np.sqrt(pooled * (1 / ma.n + 1 / mb.n)))
    return _two_means("Student's t test", ma, mb, error, df, alternative, alpha)


def welch(
    a: ArrayLike | Moments,
    b: ArrayLike | Moments,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
) -> TestResult:
    """Welch's t test of equal means, with a variance for each sample (Welch 1947).

    The means must be about normal, which large samples ensure unless they are very skewed (see
    `power.smallest_n_for_normal_mean`).
    """
    _check(alternative, alpha)
    ma, mb = _varying(a, b, "Welch's t test")
    error, df = _welch_error(ma, mb)
    return _two_means("Welch's t test", ma, mb, error, df, alternative, alpha)


def equivalence(
    a: ArrayLike | Moments,
    b: ArrayLike | Moments,
    *,
    low: float,
    high: float,
    alpha: float = 0.05,
) -> TestResult:
    """Two one-sided Welch tests that low < mean(a) - mean(b) < high (Schuirmann 1987).

    Rejecting shows equivalence: p is the larger of the two, and the interval, at confidence
    1 - 2 alpha, then lies within the margins. The statistic, critical value and null value are
    those of the margin that binds. `low` and `high` are in the unit of the values, low < high.
    """
    _check("two-sided", alpha)
    if not low < high:
        raise ValueError(f"low, high: the margins must be in order, got {low!r} and {high!r}")
    ma, mb = _varying(a, b, "an equivalence test")
    error, df = _welch_error(ma, mb)
    difference = ma.mean - mb.mean
    above, below = (difference - low) / error, (difference - high) / error
    p_above, p_below = float(stats.t.sf(above, df)), float(stats.t.cdf(below, df))
    from_low = p_above >= p_below
    critical = float(stats.t.isf(alpha, df))
    interval = Interval(
        difference, difference - critical * error, difference + critical * error, 1 - 2 * alpha, "t"
    )
    return TestResult(
        name="equivalence of means (two one-sided Welch tests)",
        n_a=ma.n,
        n_b=mb.n,
        alternative="equivalence",
        alpha=alpha,
        statistic_name="t",
        statistic=above if from_low else below,
        p_value=max(p_above, p_below),
        estimate_name=DIFFERENCE,
        interval=interval,
        null_value=low if from_low else high,
        standard_error=error,
        df=df,
        critical_value=critical if from_low else -critical,
        effects=_mean_effects(ma, mb, alpha),
    )


def permutation(
    a: ArrayLike,
    b: ArrayLike,
    *,
    alternative: Alternative = "two-sided",
    alpha: float = 0.05,
    resamples: int = 9_999,
    seed: int | np.random.Generator,
) -> TestResult:
    """Monte-Carlo permutation test of equal means.

    The statistic is Welch's t: exact when the two distributions are equal, and valid in large
    samples when only the means are, which the bare difference of means isn't (Janssen 1997;
    Chung & Romano 2013). p is (b + 1) / (m + 1), never 0 (Phipson & Smyth 2010). The interval
    takes its quantiles from the permuted statistics. Needs at least 5 / alpha resamples.
    """
    _check(alternative, alpha)
    x, y = as_sample(a, "a"), as_sample(b, "b")
    ma, mb = _varying(x, y, "a permutation test")
    if resamples < 5 / alpha:
        raise ValueError(f"resamples: needs at least 5 / alpha = {5 / alpha:.0f}, got {resamples}")
    error, _ = _welch_error(ma, mb)
    difference = ma.mean - mb.mean
    observed = difference / error
    null = np.sort(permuted_t(x, y, resamples, np.random.default_rng(seed)))
    sides = {"two-sided": np.sort(np.abs(null)), "greater": null, "less": -null[::-1]}
    value = {"two-sided": abs(observed), "greater": observed, "less": -observed}[alternative]
    rounding = 1e-10 * max(1.0, abs(observed))  # between relabellings that are equal
    extreme = int(np.count_nonzero(sides[alternative] >= value - rounding))
    p = (extreme + 1) / (resamples + 1)
    # The statistic that has to be exceeded for p <= alpha.
    last = resamples - int(alpha * (resamples + 1) * (1 + 1e-12))
    critical = {side: float(ordered[last]) for side, ordered in sides.items()}

    def limits(confidence: float) -> tuple[float, float]:
        if confidence == 1 - alpha:
            lower = upper = critical["two-sided"]
        else:
            lower, upper = critical["greater"], critical["less"]
        return difference - lower * error, difference + upper * error

    return _result(
        name="permutation test of means",
        n_a=ma.n,
        n_b=mb.n,
        alternative=alternative,
        alpha=alpha,
        statistic_name="t",
        statistic=observed,
        p_value=p,
        estimate_name=DIFFERENCE,
        estimate=difference,
        limits=limits,
        method="permuted t",
        standard_error=error,
        critical_value=critical[alternative] * (-1 if alternative == "less" else 1),
        p_standard_error=float(np.sqrt(p * (1 - p) / (resamples + 1))),
        effects=_mean_effects(ma, mb, alpha),
    )


def mann_whitney(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Mann-Whitney (Wilcoxon rank-sum) test; the estimate is the probability of superiority.

    p is exact below 50 values a sample without ties, otherwise normal with corrections for ties
    and continuity (Mann & Whitney 1947). The null hypothesis is that the distributions are
    equal: with unequal spreads p can be small although neither sample tends to be larger, and
    then the interval of the estimate (see `effects.superiority`) is the better guide. The
    effect is the Hodges-Lehmann shift, in the unit of the values.
    """
    _check(alternative, alpha)
    x, y = as_sample(a, "a", least=2), as_sample(b, "b", least=2)
    interval, error = effects.superiority(x, y, 1 - alpha)
    ties = np.unique(np.concatenate((x, y))).size < x.size + y.size
    method = "exact" if max(x.size, y.size) < 50 and not ties else "asymptotic"
    test = stats.mannwhitneyu(x, y, alternative=alternative, method=method)

    def limits(confidence: float) -> tuple[float, float]:
        other, _ = effects.superiority(x, y, confidence)
        return other.low, other.high

    name, p = "probability of superiority", float(test.pvalue)
    return _result(
        name="Mann-Whitney test",
        n_a=x.size,
        n_b=y.size,
        alternative=alternative,
        alpha=alpha,
        statistic_name="U",
        statistic=float(test.statistic),
        p_value=p,
        estimate_name=name,
        estimate=interval.estimate,
        limits=limits,
        method=interval.method,
        support=(0.0, 1.0),
        null_value=0.5,
        standard_error=error,
        effects=(effects.hodges_lehmann_shift(x, y, 1 - alpha),),
    )


def paired_t(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Student's t test of the mean of the differences a - b of pairs (Student 1908)."""
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    m = Moments.of(x - y)
    if not m.variance > 0:
        raise ValueError("a, b: the paired t test needs differences that are not all equal")
    ratio = effects.ratio_of_paired_means(x, y, 1 - alpha)
    return _t_result(
        name="paired t test",
        n_a=m.n,
        n_b=m.n,
        alternative=alternative,
        alpha=alpha,
        estimate_name="mean of the differences",
        difference=m.mean,
        error=m.standard_error,
        df=m.n - 1,
        effects=effects.standardised_mean(m, 1 - alpha) + ((ratio,) if ratio else ()),
    )


def wilcoxon(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Wilcoxon's signed-rank test of pairs; the estimate is the pseudomedian of a - b.

    Pairs without a difference are dropped (Wilcoxon 1945). p is exact below 50 pairs without
    ties, otherwise normal with corrections for ties and continuity. The differences are taken
    as symmetric about their centre; `sign_test` needs no symmetry. The statistic is the sum of
    the ranks of the positive differences.
    """
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    d = (x - y)[x != y]
    if not d.size:
        raise ValueError("a, b: the signed-rank test needs pairs that differ")
    exact = x.size == d.size < 50 and np.unique(np.abs(d)).size == d.size
    method = "exact" if exact else "asymptotic"
    test = stats.wilcoxon(d, alternative=alternative, correction=True, method=method)

    def limits(confidence: float) -> tuple[float, float]:
        centre = effects.pseudomedian(d, confidence)
        return centre.low, centre.high

    name, estimate = "pseudomedian of the differences", effects.pseudomedian(d).value
    rank_sum = float(stats.rankdata(np.abs(d))[d > 0].sum())
    return _result(
        name="Wilcoxon signed-rank test",
        n_a=x.size,
        n_b=x.size,
        alternative=alternative,
        alpha=alpha,
        statistic_name="W+",
        statistic=rank_sum,
        p_value=float(test.pvalue),
        estimate_name=name,
        estimate=estimate,
        limits=limits,
        method="Walsh averages",
    )


def sign_test(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Sign test of pairs: exact binomial test of how many of those that differ have a > b.

    The estimate is that share, with its Clopper-Pearson interval; the effects are the shares of
    all pairs where a is larger, b is larger and both are equal (Wilson intervals).
    """
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    larger, smaller = int((x > y).sum()), int((x < y).sum())
    differing = larger + smaller
    if not differing:
        raise ValueError("a, b: the sign test needs pairs that differ")
    p = float(stats.binomtest(larger, differing, alternative=alternative).pvalue)

    def limits(confidence: float) -> tuple[float, float]:
        exact = proportion(larger, differing, confidence, method="clopper-pearson")
        return exact.low, exact.high

    def share(name: str, count: int) -> effects.Effect:
        s = proportion(count, x.size, 1 - alpha)
        return effects.Effect(f"share of pairs, {name}", s.estimate, s.low, s.high, s.confidence)

    name, estimate = "share with a > b among pairs that differ", larger / differing
    return _result(
        name="sign test",
        n_a=x.size,
        n_b=x.size,
        alternative=alternative,
        alpha=alpha,
        statistic_name="pairs with a > b",
        statistic=float(larger),
        p_value=p,
        estimate_name=name,
        estimate=estimate,
        limits=limits,
        method="Clopper-Pearson",
        support=(0.0, 1.0),
        null_value=0.5,
        effects=(
            share("a larger", larger),
            share("b larger", smaller),
            share("equal", x.size - differing),
        ),
    )


def _check(alternative: str, alpha: float) -> None:
    check_alternative(alternative)
    check_fraction(alpha, "alpha", below=0.5)


def _varying(a: ArrayLike | Moments, b: ArrayLike | Moments, test: str) -> tuple[Moments, Moments]:
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    if not ma.variance + mb.variance > 0:
        raise ValueError(f"a, b: {test} needs variation within at least one of the samples")
    return ma, mb


def _welch_error(a: Moments, b: Moments) -> tuple[float, float]:
    """Standard error of the difference of means and its degrees of freedom (Welch 1947)."""
    squared = a.variance / a.n + b.variance / b.n
    share = a.variance / a.n / squared
    return float(np.sqrt(squared)), 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))


def _mean_effects(a: Moments, b: Moments, alpha: float) -> tuple[effects.Effect, ...]:
    ratio = effects.ratio_of_means(a, b, 1 - alpha)
    return effects.standardised_difference(a, b, 1 - alpha) + ((ratio,) if ratio else ())


def _tails(null: Any, statistic: float, alternative: str, alpha: float) -> tuple[float, float]:
    """p-value and (upper, unless "less") critical value under a frozen SciPy distribution."""
    p = {"less": null.cdf(statistic), "greater": null.sf(statistic)}
    p["two-sided"] = min(1.0, 2 * min(p.values()))
    critical = {"less": null.ppf(alpha), "greater": null.isf(alpha)}
    critical["two-sided"] = null.isf(alpha / 2)
    return float(p[alternative]), float(critical[alternative])


def _two_means(
    name: str, a: Moments, b: Moments, error: float, df: float, alternative: str, alpha: float
) -> TestResult:
    return _t_result(
        name=name,
        n_a=a.n,
        n_b=b.n,
        alternative=alternative,
        alpha=alpha,
        estimate_name=DIFFERENCE,
        difference=a.mean - b.mean,
        error=error,
        df=df,
        effects=_mean_effects(a, b, alpha),
    )


def _t_result(
    *, difference: float, error: float, df: float, alternative: str, alpha: float, **fields: Any
) -> TestResult:
    t = stats.t(df)
    statistic = difference / error
    p, critical = _tails(t, statistic, alternative, alpha)

    def limits(confidence: float) -> tuple[float, float]:
        margin = t.isf((1 - confidence) / 2) * error
        return difference - margin, difference + margin

    return _result(
        alternative=alternative,
        alpha=alpha,
        statistic_name="t",
        statistic=statistic,
        p_value=p,
        estimate=difference,
        limits=limits,
        method="t",
        standard_error=error,
        df=df,
        critical_value=critical,
        **fields,
    )


def _result(
    *,
    estimate: float,
    limits: Callable[[float], tuple[float, float]],
    method: str,
    alternative: str,
    alpha: float,
    support: tuple[float, float] = (-np.inf, np.inf),
    **fields: Any,
) -> TestResult:
    """The result with its interval and, for a one-sided test, its bound.

    `limits` gives the two-sided limits at a confidence; `fields` are those of TestResult.

    A one-sided bound at 1 - alpha is a limit of the two-sided interval at 1 - 2 alpha; its other
    end is that of the estimate's support.
    """
    low, high = map(float, limits(1 - alpha))
    interval, bound = Interval(float(estimate), low, high, 1 - alpha, method), None
    if alternative != "two-sided":
        low, high = map(float, limits(1 - 2 * alpha))
        low, high = (support[0], high) if alternative == "less" else (low, support[1])
        bound = replace(interval, low=low, high=high)
    return TestResult(
        alternative=alternative, alpha=alpha, interval=interval, bound=bound, **fields
    )
