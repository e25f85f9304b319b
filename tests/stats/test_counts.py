"""Samples as counts of their distinct values: everything as for the values one by one."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.stats import effects, two_sample
from analysis.stats.moments import Counts, Moments, PairMoments, expanded
from analysis.stats.two_sample import Covariates


def spending(n, seed, payers=0.3):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < payers, rng.choice([99.0, 299.0, 499.0, 4999.0], n), 0.0)


samples = st.lists(st.sampled_from([-5.0, 0.0, 0.1, 1.0, 3.0, 1e4]), min_size=1, max_size=60)


@settings(max_examples=150)
@given(samples, st.randoms())
def test_moments_and_quantiles_are_those_of_the_values(sample, random):
    shuffled = sample[:]
    random.shuffle(shuffled)
    counts = Counts.of(shuffled)
    assert (expanded(counts) == np.sort(sample)).all()
    found, expected = counts.moments, Moments.of(sample)
    for name in ("n", "mean", "variance", "skewness", "excess_kurtosis"):
        value = getattr(expected, name)
        if value is None and name in ("skewness", "excess_kurtosis"):
            continue
        assert getattr(found, name) == pytest.approx(value, rel=1e-8, abs=1e-9, nan_ok=True), name
    levels = [0.01, 0.25, 0.5, 0.9, 1]
    assert (counts.quantiles(levels) == np.quantile(sample, levels, method="inverted_cdf")).all()
    assert counts.trimmed_mean(0.2) == pytest.approx(stats.trim_mean(sample, 0.2), abs=1e-9)
    assert (expanded(counts.capped(1)) == np.sort(np.minimum(sample, 1))).all()
    above = [x for x in sample if x > 0]
    assert (counts.above(0) is None) == (not above)


def test_normality_is_tested_as_scipy_does():
    x = spending(500, 1)
    assert Counts.of(x).jarque_bera == pytest.approx(stats.jarque_bera(x).statistic)
    assert np.isnan(Counts.of([2, 2, 2]).jarque_bera)


def test_ranks_and_trimmed_means_equal_the_tests_of_the_values():
    x, y = spending(300, 2, 0.4), spending(240, 3, 0.5)
    a, b = Counts.of(x), Counts.of(y)
    found, expected = two_sample.mann_whitney_of_counts(a, b), two_sample.mann_whitney(x, y)
    assert found.p_value == pytest.approx(expected.p_value, rel=1e-12)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-12)
    for name in ("estimate", "low", "high"):
        assert getattr(found.interval, name) == pytest.approx(getattr(expected.interval, name))
    yuen, scipy = two_sample.yuen_of_counts(a, b), stats.ttest_ind(x, y, trim=0.2, equal_var=False)
    assert (yuen.statistic, yuen.p_value, yuen.df) == pytest.approx(
        (scipy.statistic, scipy.pvalue, scipy.df), rel=1e-10)
    assert (yuen.interval.low, yuen.interval.high) == pytest.approx(scipy.confidence_interval())


def test_superiority_where_the_samples_do_not_overlap():
    a, b = Counts.of([5, 6, 6]), Counts.of([1, 1, 2, 4])
    expected = effects.superiority([5, 6, 6], [1, 1, 2, 4])
    assert effects.superiority(a, b) == expected


def test_bootstrap_difference_is_scipys():
    x, y = spending(400, 4), spending(300, 5)
    found = effects.bootstrap_difference(Counts.of(x), Counts.of(y), seed=1)
    scipy = stats.bootstrap(
        (x, y), lambda a, b, axis: a.mean(axis=axis) - b.mean(axis=axis), n_resamples=9_999,
        rng=np.random.default_rng(2)).confidence_interval
    width = scipy.high - scipy.low
    # Two bootstraps of 9,999 resamples differ by about a hundredth of the width.
    assert (found.low, found.high) == pytest.approx((scipy.low, scipy.high), abs=0.04 * width)
    assert found.estimate == pytest.approx(x.mean() - y.mean())


def visits(n, factor, rng):
    """Views and purchases of users who differ in how readily they buy."""
    views = rng.poisson(rng.gamma(0.7, 5, n)) + 1
    bought = rng.binomial(views, np.minimum(factor * rng.beta(0.35, 6, n), 1))
    return bought, views


def pair(x, y):
    return PairMoments(len(x), x.mean(), y.mean(), x.var(ddof=1), y.var(ddof=1),
                       float(np.cov(x, y)[0, 1]))


def test_ratio_metrics_have_the_bootstraps_error():
    rng = np.random.default_rng(6)
    a, b = visits(900, 1.4, rng), visits(1000, 1.0, rng)
    found = two_sample.ratio_of_sums(pair(*a), pair(*b))
    assert found.estimate == pytest.approx(a[0].sum() / a[1].sum() - b[0].sum() / b[1].sum())
    draws = []
    for x, y in (a, b):
        i = rng.integers(0, len(x), (4_000, len(x)))
        draws.append(x[i].sum(axis=1) / y[i].sum(axis=1))
    assert found.standard_error == pytest.approx((draws[0] - draws[1]).std(), rel=0.06)
    logs = np.log(draws[0] / draws[1])
    effect = found.effect("ratio of ratios")
    assert np.log(effect.high / effect.low) / 2 / 1.959964 == pytest.approx(logs.std(), rel=0.06)


def test_ratio_metrics_keep_their_level_and_the_naive_test_does_not():
    rng, runs = np.random.default_rng(7), 1_500
    false = naive = 0
    for _ in range(runs):
        a, b = visits(300, 1.0, rng), visits(300, 1.0, rng)
        false += two_sample.ratio_of_sums(pair(*a), pair(*b)).reject
        rates = [x.sum() / y.sum() for x, y in (a, b)]
        pooled = (a[0].sum() + b[0].sum()) / (a[1].sum() + b[1].sum())
        error = np.sqrt(pooled * (1 - pooled) * (1 / a[1].sum() + 1 / b[1].sum()))
        naive += abs(rates[0] - rates[1]) > 1.96 * error
    assert false / runs == pytest.approx(0.05, abs=0.02)
    assert naive / runs > 0.10


def before(x, y):
    cov = np.cov(np.column_stack((x, y)), rowvar=False)
    return Covariates(x.mean(axis=0), cov[:-1, :-1], cov[:-1, -1])


def randomised(n_a, n_b, seed):
    rng = np.random.default_rng(seed)
    x = np.column_stack((rng.exponential(2, n_a + n_b), rng.poisson(1, n_a + n_b)))
    treated = np.repeat([1.0, 0.0], [n_a, n_b])
    y = 1.0 * x[:, 0] - 0.5 * x[:, 1] + rng.standard_normal(n_a + n_b) + 0.3 * treated
    return x, y, treated


def test_adjustment_is_an_analysis_of_covariance():
    x, y, treated = randomised(400, 350, 8)
    a, b = treated == 1, treated == 0
    found = two_sample.adjusted(Moments.of(y[a]), Moments.of(y[b]), before(x[a], y[a]),
                                before(x[b], y[b]))
    fit = sm.OLS(y, sm.add_constant(np.column_stack((treated, x)))).fit(cov_type="HC3")
    assert found.estimate == pytest.approx(fit.params[1], rel=1e-9)
    assert found.standard_error == pytest.approx(fit.bse[1], rel=0.02)
    plain = two_sample.welch(Moments.of(y[a]), Moments.of(y[b]))
    assert found.standard_error < 0.6 * plain.standard_error
    # Neither the covariates' units nor a copy of one of them make a difference.
    double = np.column_stack((1e6 * x, x[:, :1]))
    again = two_sample.adjusted(Moments.of(y[a]), Moments.of(y[b]), before(double[a], y[a]),
                                before(double[b], y[b]))
    assert (again.estimate, again.standard_error) == pytest.approx(
        (found.estimate, found.standard_error), rel=1e-6)


def test_hotelling_is_the_manova_of_two_groups():
    x, _, treated = randomised(90, 70, 9)
    found = two_sample.hotelling(90, 70, before(x[:90], x[:90, 0]), before(x[90:], x[90:, 0]))
    frame = pd.DataFrame({"u": x[:, 0], "v": x[:, 1], "g": treated})
    table = sm.multivariate.MANOVA.from_formula("u + v ~ g", frame).mv_test().results["g"]["stat"]
    row = table.loc["Hotelling-Lawley trace"]
    assert (found.statistic, found.df, found.p_value) == pytest.approx(
        (float(row["F Value"]), float(row["Num DF"]), float(row["Pr > F"])), rel=1e-9)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: Counts([1, 2], [1]), "differ in length"),
        (lambda: Counts([2, 1], [1, 1]), "distinct and ascending"),
        (lambda: Counts([1, 2], [1, 0]), "whole numbers of at least 1"),
        (lambda: Counts([1, 2], [1, 1.5]), "whole numbers of at least 1"),
        (lambda: Counts.of([]), "needs at least 1 value"),
        (lambda: Counts.of([1, 2]).trimmed_mean(0.5), "cut: must lie strictly"),
        (lambda: two_sample.yuen_of_counts(Counts.of([0] * 9 + [1]), Counts.of([0, 0, 0])),
         "variation within the middle part"),
        (lambda: effects.superiority(Counts.of([1, 1]), Counts.of([1, 1])),
         "not all equal"),
        (lambda: effects.bootstrap_difference(Counts.of([1, 1]), Counts.of([2, 2]), seed=1),
         "needs variation"),
        (lambda: effects.bootstrap_difference(Counts.of([1, 2]), Counts.of([2, 3]), resamples=50,
                                              seed=1), "fewer than 5 beyond each limit"),
        (lambda: two_sample.ratio_of_sums(
            PairMoments(3, 1, 0, 1, 0, 0), PairMoments(3, 1, 1, 1, 1, 0)),
         "a: a ratio needs a mean of the denominators above 0"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
