"""Tests of two samples, independent or paired, each with its effect sizes.

Every hypothesis is about a against b: "less" means that a lies below b, so a before/after
comparison (a before, b after) tests an increase with "less". Samples are raw values; where a
parameter says so, `Moments` do as well.
"""

from collections.abc import Callable

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
    their number (Box 1953); `brown_forsythe` is the robust companion.

    Raises:
        ValueError: Fewer than two values, a constant sample, or bad parameters.
    """
    _check(alternative, alpha)
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    for m, name in ((ma, "a"), (mb, "b")):
        if not m.variance > 0:
            raise ValueError(f"{name}: the F test needs values that are not all equal")
    ratio = ma.variance / mb.variance
    f = stats.f(ma.n - 1, mb.n - 1)
    tails = {"less": f.cdf(ratio), "greater": f.sf(ratio)}
    tails["two-sided"] = min(1.0, 2 * min(tails.values()))
    critical = {"less": f.ppf(alpha), "greater": f.isf(alpha), "two-sided": f.isf(alpha / 2)}

    def limits(confidence: float) -> tuple[float, float]:
        tail = (1 - confidence) / 2
        return ratio / f.isf(tail), ratio / f.ppf(tail)

    interval, bound = _intervals(ratio, limits, alternative, alpha, "F", (0.0, np.inf))
    return TestResult(
        name="F test of variances",
        alternative=alternative,
        alpha=alpha,
        n_a=ma.n,
        n_b=mb.n,
        statistic_name="F",
        statistic=ratio,
        p_value=float(tails[alternative]),
        interval=interval,
        estimate_name="ratio of variances",
        null_value=1.0,
        bound=bound,
        df=ma.n - 1,
        df_denominator=mb.n - 1,
        critical_value=float(critical[alternative]),
        critical_low=float(f.ppf(alpha / 2)) if alternative == "two-sided" else None,
    )


def brown_forsythe(a: ArrayLike, b: ArrayLike, *, alpha: float = 0.05) -> TestResult:
    """Test of equal spread by absolute deviations from the medians (Brown & Forsythe 1974).

    Two-sided; the statistic is F on 1 and n - 2 degrees of freedom. The estimate is the
    difference of the mean absolute deviations from the median, with their ratio as effect.

    Raises:
        ValueError: Fewer than two values, no variation in the deviations, or bad parameters.
    """
    x, y = as_sample(a, "a", least=2), as_sample(b, "b", least=2)
    x, y = np.abs(x - np.median(x)), np.abs(y - np.median(y))
    t = student(x, y, alpha=alpha)
    ratio = t.effects[2:]
    return TestResult(
        name="Brown-Forsythe test of spread",
        alternative="two-sided",
        alpha=alpha,
        n_a=x.size,
        n_b=y.size,
        statistic_name="F",
        statistic=t.statistic**2,
        p_value=t.p_value,
        interval=t.interval,
        estimate_name="difference of mean absolute deviations from the median",
        standard_error=t.standard_error,
        df=1,
        df_denominator=t.df,
        critical_value=float(stats.f.isf(alpha, 1, t.df)),
        effects=tuple(
            effects.Effect("ratio of mean absolute deviations", r.value, r.low, r.high, 1 - alpha)
            for r in ratio
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

    Raises:
        ValueError: Fewer than two values, both samples constant, or bad parameters.
    """
    _check(alternative, alpha)
    ma, mb = _varying(a, b, "Student's t test")
    df = ma.n + mb.n - 2
    pooled = ((ma.n - 1) * ma.variance + (mb.n - 1) * mb.variance) / df
    error = np.sqrt(pooled * (1 / ma.n + 1 / mb.n))
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

    Raises:
        ValueError: Fewer than two values, both samples constant, or bad parameters.
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
    1 - 2 alpha, then lies within the margins. The statistic, the critical value and the null
    value are those of the margin that binds.

    Args:
        a, b: Samples or moments.
        low, high: Margins of the difference, in the unit of the values.
        alpha: Level of either one-sided test.

    Raises:
        ValueError: low >= high, fewer than two values, both samples constant.
    """
    _check("two-sided", alpha)
    if not low < high:
        raise ValueError(f"low, high: the margins must be in order, got {low!r} and {high!r}")
    ma, mb = _varying(a, b, "an equivalence test")
    error, df = _welch_error(ma, mb)
    difference = ma.mean - mb.mean
    t, margin = stats.t(df), stats.t.isf(alpha, df)
    above, below = (difference - low) / error, (difference - high) / error
    p_above, p_below = t.sf(above), t.cdf(below)
    from_low = p_above >= p_below
    return TestResult(
        name="equivalence of means (two one-sided Welch tests)",
        alternative="equivalence",
        alpha=alpha,
        n_a=ma.n,
        n_b=mb.n,
        statistic_name="t",
        statistic=float(above if from_low else below),
        p_value=float(max(p_above, p_below)),
        interval=Interval(
            difference,
            float(difference - margin * error),
            float(difference + margin * error),
            1 - 2 * alpha,
            "t",
        ),
        estimate_name=DIFFERENCE,
        null_value=low if from_low else high,
        standard_error=float(error),
        df=float(df),
        critical_value=float(margin if from_low else -margin),
        effects=effects.standardised_difference(ma, mb, 1 - alpha),
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
    takes its quantiles from the permuted statistics.

    Raises:
        ValueError: Fewer than two values, both samples constant, fewer than 5 / alpha
            resamples, or bad parameters.
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
    absolute = np.sort(np.abs(null))
    side = {"two-sided": (absolute, abs(observed)), "greater": (null, observed)}
    ordered, value = side.get(alternative, (-null[::-1], -observed))
    tie = 1e-10 * max(1.0, abs(observed))  # equal relabellings differ by rounding
    p = (np.count_nonzero(ordered >= value - tie) + 1) / (resamples + 1)

    def largest(level: float) -> int:  # index of the value that is exceeded when p <= level
        return resamples - int(level * (resamples + 1) * (1 + 1e-12))

    def limits(confidence: float) -> tuple[float, float]:
        if confidence == 1 - alpha:
            margin = absolute[largest(alpha)] * error
            return difference - margin, difference + margin
        upper, lower = null[largest(alpha)], -null[::-1][largest(alpha)]
        return difference - upper * error, difference - lower * error

    interval, bound = _intervals(difference, limits, alternative, alpha, "permuted t")
    critical = ordered[largest(alpha)]
    return TestResult(
        name="permutation test of means",
        alternative=alternative,
        alpha=alpha,
        n_a=ma.n,
        n_b=mb.n,
        statistic_name="t",
        statistic=float(observed),
        p_value=float(p),
        interval=interval,
        estimate_name=DIFFERENCE,
        bound=bound,
        standard_error=float(error),
        critical_value=float(-critical if alternative == "less" else critical),
        p_standard_error=float(np.sqrt(p * (1 - p) / (resamples + 1))),
        effects=_mean_effects(ma, mb, alpha),
    )


def mann_whitney(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Mann-Whitney (Wilcoxon rank-sum) test; the estimate is the probability of superiority.

    p is exact below 50 values a sample without ties, otherwise normal with corrections for ties
    and continuity. The null hypothesis is that the two distributions are equal: with unequal
    spreads p can be small although neither sample tends to be larger, and then the interval of
    the estimate (see `effects.superiority`) is the better guide. The effect is the
    Hodges-Lehmann shift, in the unit of the values.

    Raises:
        ValueError: Fewer than two values, all values equal, or bad parameters.
    """
    _check(alternative, alpha)
    x, y = as_sample(a, "a", least=2), as_sample(b, "b", least=2)
    interval, error = effects.superiority(x, y, 1 - alpha)
    ties = np.unique(np.concatenate((x, y))).size < x.size + y.size
    method = "exact" if max(x.size, y.size) < 50 and not ties else "asymptotic"
    test = stats.mannwhitneyu(x, y, alternative=alternative, method=method)

    def limits(confidence: float) -> tuple[float, float]:
        other = effects.superiority(x, y, confidence)[0]
        return other.low, other.high

    _, bound = _intervals(
        interval.estimate, limits, alternative, alpha, interval.method, (0.0, 1.0)
    )
    return TestResult(
        name="Mann-Whitney test",
        alternative=alternative,
        alpha=alpha,
        n_a=x.size,
        n_b=y.size,
        statistic_name="U",
        statistic=float(test.statistic),
        p_value=float(test.pvalue),
        interval=interval,
        estimate_name="probability of superiority",
        null_value=0.5,
        bound=bound,
        standard_error=error,
        effects=(effects.hodges_lehmann_shift(x, y, 1 - alpha),),
    )


def paired_t(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Student's t test of the mean of the differences a - b of pairs (Student 1908).

    Raises:
        ValueError: Different lengths, fewer than two pairs, all differences equal, or bad
            parameters.
    """
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    m = Moments.of(x - y)
    if not m.variance > 0:
        raise ValueError("a, b: the paired t test needs differences that are not all equal")
    ratio = effects.ratio_of_paired_means(x, y, 1 - alpha)
    sizes = effects.standardised_mean(m, 1 - alpha) + ((ratio,) if ratio else ())
    return _t_result(
        "paired t test", m.mean, m.standard_error, m.n - 1, (m.n, m.n), alternative, alpha, sizes
    )


def wilcoxon(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Wilcoxon's signed-rank test of pairs; the estimate is the pseudomedian of a - b.

    Pairs without a difference are dropped (Wilcoxon 1945). p is exact below 50 other pairs
    without ties, otherwise normal with corrections for ties and continuity. The differences
    are taken as symmetric about their centre; `sign_test` needs no symmetry. The statistic is
    the sum of the ranks of the positive differences.

    Raises:
        ValueError: Different lengths, fewer than two pairs, no differences, or bad parameters.
    """
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    differences = (x - y)[x != y]
    if not differences.size:
        raise ValueError("a, b: the signed-rank test needs pairs that differ")
    size = np.abs(differences)
    exact = x.size == differences.size < 50 and np.unique(size).size == size.size
    test = stats.wilcoxon(
        differences,
        alternative=alternative,
        correction=True,
        method="exact" if exact else "asymptotic",
    )
    shift = effects.pseudomedian(differences, 1 - alpha)

    def limits(confidence: float) -> tuple[float, float]:
        other = effects.pseudomedian(differences, confidence)
        return other.low, other.high

    interval, bound = _intervals(shift.value, limits, alternative, alpha, "Walsh averages")
    return TestResult(
        name="Wilcoxon signed-rank test",
        alternative=alternative,
        alpha=alpha,
        n_a=x.size,
        n_b=x.size,
        statistic_name="W+",
        statistic=float(stats.rankdata(size)[differences > 0].sum()),
        p_value=float(test.pvalue),
        interval=interval,
        estimate_name="pseudomedian of the differences",
        bound=bound,
    )


def sign_test(
    a: ArrayLike, b: ArrayLike, *, alternative: Alternative = "two-sided", alpha: float = 0.05
) -> TestResult:
    """Sign test of pairs: exact binomial test of how many of those that differ have a > b.

    The estimate is that share, with its Clopper-Pearson interval; the effects are the shares of
    all pairs where a is larger, b is larger and both are equal (Wilson intervals).

    Raises:
        ValueError: Different lengths, fewer than two pairs, no differences, or bad parameters.
    """
    _check(alternative, alpha)
    x, y = effects.as_pairs(a, b)
    larger, smaller = int((x > y).sum()), int((x < y).sum())
    differing = larger + smaller
    if not differing:
        raise ValueError("a, b: the sign test needs pairs that differ")

    def limits(confidence: float) -> tuple[float, float]:
        exact = proportion(larger, differing, confidence, method="clopper-pearson")
        return exact.low, exact.high

    interval, bound = _intervals(
        larger / differing, limits, alternative, alpha, "Clopper-Pearson", (0.0, 1.0)
    )
    counts = {"a larger": larger, "b larger": smaller, "equal": x.size - differing}
    shares = {name: proportion(count, x.size, 1 - alpha) for name, count in counts.items()}
    return TestResult(
        name="sign test",
        alternative=alternative,
        alpha=alpha,
        n_a=x.size,
        n_b=x.size,
        statistic_name="pairs with a > b",
        statistic=float(larger),
        p_value=float(stats.binomtest(larger, differing, alternative=alternative).pvalue),
        interval=interval,
        estimate_name="share with a > b among pairs that differ",
        null_value=0.5,
        bound=bound,
        effects=tuple(
            effects.Effect(f"share of pairs, {name}", s.estimate, s.low, s.high, s.confidence)
            for name, s in shares.items()
        ),
    )


def _check(alternative: str, alpha: float) -> None:
    check_alternative(alternative)
    check_fraction(alpha, "alpha", below=0.5)


def _varying(
    a: ArrayLike | Moments, b: ArrayLike | Moments, test: str
) -> tuple[Moments, Moments]:
    ma, mb = as_moments(a, "a"), as_moments(b, "b")
    if not ma.variance + mb.variance > 0:
        raise ValueError(f"a, b: {test} needs variation within at least one of the samples")
    return ma, mb


def _welch_error(a: Moments, b: Moments) -> tuple[float, float]:
    """Standard error of the difference of means and its degrees of freedom (Welch 1947)."""
    squared = a.variance / a.n + b.variance / b.n
    share = a.variance / a.n / squared
    return float(np.sqrt(squared)), 1 / (share**2 / (a.n - 1) + (1 - share) ** 2 / (b.n - 1))


def _two_means(
    name: str, a: Moments, b: Moments, error: float, df: float, alternative: str, alpha: float
) -> TestResult:
    sizes = _mean_effects(a, b, alpha)
    return _t_result(name, a.mean - b.mean, error, df, (a.n, b.n), alternative, alpha, sizes)


def _mean_effects(a: Moments, b: Moments, alpha: float) -> tuple[effects.Effect, ...]:
    ratio = effects.ratio_of_means(a, b, 1 - alpha)
    return effects.standardised_difference(a, b, 1 - alpha) + ((ratio,) if ratio else ())


def _t_result(
    name: str,
    difference: float,
    error: float,
    df: float,
    sizes: tuple[int, int],
    alternative: str,
    alpha: float,
    effect_sizes: tuple[effects.Effect, ...],
) -> TestResult:
    t = stats.t(df)
    statistic = difference / error
    p = {"less": t.cdf(statistic), "greater": t.sf(statistic)}
    p["two-sided"] = 2 * t.sf(abs(statistic))
    critical = {"less": t.ppf(alpha), "greater": t.isf(alpha), "two-sided": t.isf(alpha / 2)}

    def limits(confidence: float) -> tuple[float, float]:
        margin = t.isf((1 - confidence) / 2) * error
        return difference - margin, difference + margin

    interval, bound = _intervals(difference, limits, alternative, alpha, "t")
    return TestResult(
        name=name,
        alternative=alternative,
        alpha=alpha,
        n_a=sizes[0],
        n_b=sizes[1],
        statistic_name="t",
        statistic=float(statistic),
        p_value=float(p[alternative]),
        interval=interval,
        estimate_name="mean of the differences" if name.startswith("paired") else DIFFERENCE,
        bound=bound,
        standard_error=float(error),
        df=float(df),
        critical_value=float(critical[alternative]),
        effects=effect_sizes,
    )


def _intervals(
    estimate: float,
    limits: Callable[[float], tuple[float, float]],
    alternative: str,
    alpha: float,
    method: str,
    support: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[Interval, Interval | None]:
    """The two-sided interval and, for a one-sided test, the bound.

    A one-sided bound at 1 - alpha is a limit of the two-sided interval at 1 - 2 alpha.
    """
    low, high = map(float, limits(1 - alpha))
    interval = Interval(float(estimate), low, high, 1 - alpha, method)
    if alternative == "two-sided":
        return interval, None
    low, high = map(float, limits(1 - 2 * alpha))
    low, high = (support[0], high) if alternative == "less" else (low, support[1])
    return interval, Interval(float(estimate), low, high, 1 - alpha, method)
