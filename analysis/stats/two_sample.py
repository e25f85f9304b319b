"""Tests of two samples, independent or paired, each with its effect sizes.

Every hypothesis is about a against b: "less" means that a lies below b, so a before/after
comparison (a before, b after) tests an increase with "less". Samples are raw values, or
`Moments` where the signature says so.

All raise ValueError for samples that `as_sample` refuses, fewer than two values in a sample, no
variation to test against, an unknown alternative, and alpha outside (0, 0.5). The paired tests
also do for samples of different lengths.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.stats import effects
from analysis.stats._common import (
    Alternative,
    Record,
    Values,
    as_sample,
    check_alternative,
    check_fraction,
)
from analysis.stats.intervals import Interval, proportion
from analysis.stats.moments import Counts, Moments, PairMoments, as_moments
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
    error, df = welch_error(ma, mb)
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
    error, df = welch_error(ma, mb)
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
    error, _ = welch_error(ma, mb)
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


def mann_whitney_of_counts(a: Counts, b: Counts, *, alpha: float = 0.05) -> TestResult:
    """The two-sided `mann_whitney` of samples given as counts, always by the normal approximation.

    Without the Hodges-Lehmann shift, which among many ties is 0 whatever happens.
    """
    check_fraction(alpha, "alpha", below=0.5)
    interval, error = effects.superiority(a, b, 1 - alpha)
    n = a.n + b.n
    ties = Counts.of(
        np.concatenate((a.values, b.values)), np.concatenate((a.counts, b.counts))
    ).counts.astype(float)
    u = interval.estimate * a.n * b.n
    variance = a.n * b.n / 12 * (n + 1 - float((ties**3 - ties).sum()) / (n * (n - 1)))
    z = max(abs(u - a.n * b.n / 2) - 0.5, 0.0) / np.sqrt(variance)
    return TestResult(
        name="Mann-Whitney test",
        alternative="two-sided",
        alpha=alpha,
        n_a=a.n,
        n_b=b.n,
        statistic_name="U",
        statistic=float(u),
        p_value=float(min(1.0, 2 * stats.norm.sf(z))),
        interval=interval,
        estimate_name="probability of superiority",
        null_value=0.5,
        standard_error=error,
    )


def yuen_of_counts(
    a: Counts, b: Counts, *, cut: float = 0.2, alpha: float = 0.05
) -> TestResult:
    """Yuen's two-sided test of equal trimmed means, of samples given as counts (Yuen 1974).

    floor(cut n) values are dropped from each end of a sample; the variances are winsorised, as
    in `intervals.trimmed_mean`. It is Welch's test where nothing is trimmed. For skewed values
    the trimmed mean is another quantity than the mean.

    Raises:
        ValueError: The cut is not within (0, 0.5), fewer than two values left in a sample, or no
            variation within the middle part of either.
    """
    check_fraction(alpha, "alpha", below=0.5)
    check_fraction(cut, "cut", below=0.5)
    means, squared, df = [], [], []
    for sample, name in ((a, "a"), (b, "b")):
        middle = sample.trimmed(cut)
        left = middle.n
        if left < 2:
            raise ValueError(f"{name}: {sample.n} values leave fewer than 2 after trimming {cut:g}")
        means.append(middle.moments.mean)
        winsorised = Counts.of(
            np.clip(sample.values, middle.values[0], middle.values[-1]), sample.counts)
        squared.append(winsorised.moments.variance * (sample.n - 1) / (left * (left - 1)))
        df.append(left - 1)
    if not sum(squared) > 0:
        raise ValueError("a, b: Yuen's test needs variation within the middle part of a sample")
    total = sum(squared)
    return _t_result(
        name=f"Yuen's test, {cut:.0%} trimmed",
        n_a=a.n,
        n_b=b.n,
        alternative="two-sided",
        alpha=alpha,
        estimate_name="difference of trimmed means",
        difference=means[0] - means[1],
        error=float(np.sqrt(total)),
        df=total**2 / sum(s**2 / d for s, d in zip(squared, df, strict=True)),
    )


def ratio_of_sums(a: PairMoments, b: PairMoments, *, alpha: float = 0.05) -> TestResult:
    """Two-sided z test of a ratio metric, such as purchases per view, by the delta method.

    The units that were drawn or assigned are users; a ratio of two of their sums is not a mean
    of independent values, so its variance needs the covariance of both (Deng, Knoblich & Lu
    2018). The effect is the ratio of the two ratios, with an interval on the log scale.

    Raises:
        ValueError: A mean of denominators that is not above 0, or no variation in either sample.
    """
    check_fraction(alpha, "alpha", below=0.5)
    for m, name in ((a, "a"), (b, "b")):
        if not m.denominator > 0:
            raise ValueError(f"{name}: a ratio needs a mean of the denominators above 0")
    error = float(np.sqrt(a.variance + b.variance))
    if not error > 0:
        raise ValueError("a, b: a test of ratios needs variation within at least one sample")
    z = stats.norm.isf(alpha / 2)
    difference = a.ratio - b.ratio
    further: tuple[effects.Effect, ...] = ()
    if a.ratio > 0 and b.ratio > 0:
        log_error = float(np.sqrt(a.variance / a.ratio**2 + b.variance / b.ratio**2))
        quotient = a.ratio / b.ratio
        low, high = (float(quotient * np.exp(side * z * log_error)) for side in (-1, 1))
        further = (effects.Effect("ratio of ratios", quotient, low, high, 1 - alpha),)
    p, critical = _tails(stats.norm, difference / error, "two-sided", alpha)
    return _result(
        name="z test of ratios, delta method",
        n_a=a.n,
        n_b=b.n,
        alternative="two-sided",
        alpha=alpha,
        statistic_name="z",
        statistic=difference / error,
        p_value=p,
        estimate_name="difference of ratios",
        estimate=difference,
        limits=lambda confidence: (
            difference - stats.norm.isf((1 - confidence) / 2) * error,
            difference + stats.norm.isf((1 - confidence) / 2) * error,
        ),
        method="delta method",
        standard_error=error,
        critical_value=critical,
        effects=further,
    )


@dataclass(frozen=True, slots=True)
class Covariates:
    """What an adjustment needs to know of covariates measured before the assignment, a group.

    Attributes:
        means: Of the covariates, shape (k,).
        covariance: Their sample covariance matrix, shape (k, k).
        with_outcome: Their sample covariances with the outcome, shape (k,).
    """

    means: Values
    covariance: Values
    with_outcome: Values


@dataclass(frozen=True, slots=True)
class Omnibus(Record):
    """One test of several means at once.

    Attributes:
        statistic: Hotelling's T squared as F.
        df: Number of measures that are not combinations of others.
        df_denominator: n_a + n_b - df - 1.
        p_value: Probability of an F at least this large if all means are equal.
    """

    statistic: float
    df: int
    df_denominator: int
    p_value: float


def hotelling(n_a: int, n_b: int, a: Covariates, b: Covariates) -> Omnibus:
    """Hotelling's test that two groups have the same means of several measures (Hotelling 1931).

    With one covariance matrix for both groups; for large groups of about equal size neither that
    nor normal values matter much.

    Raises:
        ValueError: No measure varies, or too few units for so many measures.
    """
    within = (n_a - 1) * a.covariance + (n_b - 1) * b.covariance
    varies = np.diag(within) > 0
    within, gap = within[np.ix_(varies, varies)], (a.means - b.means)[varies]
    rank = int(np.linalg.matrix_rank(_correlations(within), 1e-10)) if varies.any() else 0
    rest = n_a + n_b - rank - 1
    if rank == 0 or rest < 1:
        raise ValueError("a, b: a test of several means needs measures that vary, and enough units")
    scale = np.sqrt(np.diag(within))
    distance = gap / scale @ np.linalg.pinv(_correlations(within), 1e-10) @ (gap / scale)
    f = float(n_a * n_b / (n_a + n_b) * distance * rest / rank)
    return Omnibus(f, rank, rest, float(stats.f.sf(f, rank, rest)))


def _correlations(within: Values) -> Values:
    scale = np.sqrt(np.diag(within))
    return within / np.outer(scale, scale)


def adjusted(
    a: Moments, b: Moments, before_a: Covariates, before_b: Covariates, *, alpha: float = 0.05
) -> TestResult:
    """Welch's test of means adjusted for covariates from before a randomised assignment.

    The difference is (y_a - y_b) - theta'(x_a - x_b) with the slopes theta of the regression
    within groups, so it is the coefficient of an analysis of covariance; in an experiment this
    is CUPED (Deng, Xu, Kohavi & Walker 2013). Each group's variance is that of y - theta'x.
    It estimates the same difference with less noise, as long as nothing in x can be an effect of
    the assignment. The slopes' own error is left out, which is small when n is large against k.

    Raises:
        ValueError: As `welch`; also for a covariate that varies in neither group.
    """
    check_fraction(alpha, "alpha", below=0.5)
    ma, mb = _varying(a, b, "an adjusted test")
    within = (ma.n - 1) * before_a.covariance + (mb.n - 1) * before_b.covariance
    if not (np.diag(within) > 0).all():
        raise ValueError("before_a, before_b: every covariate must vary within a group")
    scale = np.sqrt(np.diag(within))  # so that units do not decide what is singular
    outcome = (ma.n - 1) * before_a.with_outcome + (mb.n - 1) * before_b.with_outcome
    theta = np.linalg.pinv(_correlations(within), 1e-10) @ (outcome / scale) / scale

    def left(m: Moments, before: Covariates) -> float:
        explained = 2 * theta @ before.with_outcome - theta @ before.covariance @ theta
        return float(max(0.0, m.variance - explained))

    shift = float(theta @ (before_a.means - before_b.means))
    rest_a = Moments(ma.n, ma.mean - shift, left(ma, before_a))
    rest_b = Moments(mb.n, mb.mean, left(mb, before_b))
    return replace(
        welch(rest_a, rest_b, alpha=alpha),
        name="Welch's t test, adjusted for covariates",
        estimate_name="adjusted difference of means",
        effects=(),
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


def welch_error(a: Moments, b: Moments) -> tuple[float, float]:
    """Standard error of the difference of means and its degrees of freedom (Welch 1947)."""
    squared = a.variance / a.n + b.variance / b.n
    share = a.variance / a.n / squared
    return float(np.sqrt(squared)), 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))


def _mean_effects(a: Moments, b: Moments, alpha: float) -> tuple[effects.Effect, ...]:
    ratio = effects.ratio_of_means(a, b, 1 - alpha)
    return effects.standardised_difference(a, b, 1 - alpha) + ((ratio,) if ratio else ())


def _tails(null: Any, statistic: float, alternative: str, alpha: float) -> tuple[float, float]:
    """p-value and (upper, unless "less") critical value under a distribution."""
    p = {"less": null.cdf(statistic), "greater": null.sf(statistic)}
    p["two-sided"] = min(1.0, 2 * min(p.values()))
    critical = {"less": null.ppf(alpha), "greater": null.isf(alpha)}
    critical["two-sided"] = null.isf(alpha / 2)
    return float(p[alternative]), float(critical[alternative])


@dataclass(frozen=True, slots=True)
class _StudentT:
    """Student's t distribution, with the methods of SciPy's frozen one, which is slow to make."""

    df: float

    def cdf(self, t: float) -> float:
        return special.stdtr(self.df, t)

    def sf(self, t: float) -> float:
        return special.stdtr(self.df, -t)

    def ppf(self, p: float) -> float:
        return special.stdtrit(self.df, p)

    def isf(self, p: float) -> float:
        return -special.stdtrit(self.df, p)


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
    t = _StudentT(df)
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
