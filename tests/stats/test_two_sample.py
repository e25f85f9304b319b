"""Tests of two samples against R, SciPy, statsmodels and NIST, and by their properties."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import ttost_ind

from analysis.stats import two_sample
from analysis.stats.moments import Moments

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "reference.json").read_text())
SAMPLES = REFERENCE["samples"]
SIDES = ["two-sided", "less", "greater"]
INDEPENDENT = ["skewed", "tied", "small"]
PAIRS = {
    "pair": ("pair_a", "pair_b"),
    "before": ("before", "after"),
    "smooth": ("smooth_a", "smooth_b"),
}

eighths = st.integers(-400, 400).map(lambda i: i / 8)
samples = st.lists(eighths, min_size=4, max_size=25).filter(lambda x: min(x) < max(x))
pairs = st.lists(st.tuples(eighths, eighths), min_size=4, max_size=25).filter(
    lambda p: len({a - b for a, b in p}) > 1
)


def both(name):
    return SAMPLES[name + "_a"], SAMPLES[name + "_b"]


def check_against_r(result, r, alternative):
    """Statistic, df, p and interval; R's interval of a one-sided test is our bound."""
    assert result.statistic == pytest.approx(r["statistic"], rel=1e-10)
    assert result.p_value == pytest.approx(r["p"], rel=1e-9)
    interval = result.interval if alternative == "two-sided" else result.bound
    assert [interval.low, interval.high] == pytest.approx(r["interval"], rel=1e-9)
    assert (result.bound is None) == (alternative == "two-sided")


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("name", INDEPENDENT)
def test_means_and_variances_equal_r(name, alternative):
    (a, b), r = both(name), REFERENCE["mean_tests"][name]
    for test, key in ((two_sample.student, "student"), (two_sample.welch, "welch")):
        result = test(a, b, alternative=alternative)
        check_against_r(result, r[key][alternative], alternative)
        assert result.df == pytest.approx(r[key][alternative]["df"], rel=1e-10)
        assert result.estimate == pytest.approx(np.mean(a) - np.mean(b))
        assert result.statistic == pytest.approx(result.estimate / result.standard_error)
    f = two_sample.f_test(a, b, alternative=alternative)
    check_against_r(f, r["variances"][alternative], alternative)
    assert [f.df, f.df_denominator] == r["variances"][alternative]["df"]


@pytest.mark.parametrize("name", INDEPENDENT)
def test_critical_values_equal_r(name):
    (a, b), r = both(name), REFERENCE["mean_tests"][name]
    f = two_sample.f_test(a, b)
    assert [f.critical_low, f.critical_value] == pytest.approx(r["critical_f"], rel=1e-10)
    t = [two_sample.welch(a, b, alternative=side).critical_value for side in SIDES]
    assert t == pytest.approx(r["critical_t"], rel=1e-10)
    assert two_sample.f_test(a, b, alternative="less").critical_low is None


@pytest.mark.parametrize("name", INDEPENDENT)
def test_brown_forsythe_equals_r_and_scipy(name):
    a, b = both(name)
    result = two_sample.brown_forsythe(a, b)
    r = REFERENCE["mean_tests"][name]["brown_forsythe"]
    assert [result.statistic, result.p_value] == pytest.approx(r, rel=1e-9)
    assert (result.df, result.df_denominator) == (1, len(a) + len(b) - 2)
    assert result.p_value == pytest.approx(stats.levene(a, b, center="median").pvalue, rel=1e-9)
    assert (result.statistic > result.critical_value) == result.reject
    deviations = [np.abs(x - np.median(x)).mean() for x in (a, b)]
    assert result.estimate == pytest.approx(deviations[0] - deviations[1])
    ratio = result.effect("ratio of mean absolute deviations")
    assert ratio.value == pytest.approx(deviations[0] / deviations[1])


def test_nist_atomic_weight_of_silver():
    # Two groups: the certified F of the analysis of variance is Student's t squared.
    nist = json.loads((ORACLE / "nist_atmwtag.json").read_text())
    result = two_sample.student(nist["instrument_1"], nist["instrument_2"])
    # The values agree in 7 leading digits, which double precision pays for.
    assert result.statistic**2 == pytest.approx(nist["f"], rel=1e-9)
    assert result.df == nist["df"][1]


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("name", INDEPENDENT)
def test_mann_whitney_equals_r(name, alternative):
    a, b = both(name)
    result, r = (
        two_sample.mann_whitney(a, b, alternative=alternative),
        REFERENCE["rank_tests"][name],
    )
    assert result.statistic == r["tests"][alternative]["statistic"]
    assert result.p_value == pytest.approx(r["tests"][alternative]["p"], rel=1e-9)
    assert result.estimate == pytest.approx(result.statistic / len(a) / len(b))


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("name", sorted(PAIRS))
def test_pairs_equal_r(name, alternative):
    a, b = (SAMPLES[sample] for sample in PAIRS[name])
    r = REFERENCE["pair_tests"][name]
    t = two_sample.paired_t(a, b, alternative=alternative)
    check_against_r(t, r["t"][alternative], alternative)
    assert t.df == r["t"][alternative]["df"]
    sign = two_sample.sign_test(a, b, alternative=alternative)
    check_against_r(sign, r["sign"][alternative], alternative)
    signed = two_sample.wilcoxon(a, b, alternative=alternative)
    assert signed.statistic == r["wilcoxon"][alternative]["statistic"]
    assert signed.p_value == pytest.approx(r["wilcoxon"][alternative]["p"], rel=1e-9)
    assert signed.estimate == pytest.approx(r["pseudomedian"], rel=1e-9)


def test_students_sleep_data():
    # Student (1908): the mean of the ten differences is 1.58, t = 4.06 on 9 degrees of freedom.
    result = two_sample.paired_t(SAMPLES["pair_b"], SAMPLES["pair_a"])
    assert result.estimate == pytest.approx(1.58)
    assert result.statistic == pytest.approx(4.0621, abs=1e-4)
    assert result.df == 9


@pytest.mark.parametrize("name", INDEPENDENT)
def test_equivalence_equals_r_and_statsmodels(name):
    (a, b), r = both(name), REFERENCE["mean_tests"][name]
    result = two_sample.equivalence(a, b, low=-5, high=25)
    assert result.p_value == pytest.approx(max(r["tost"]), rel=1e-9)
    p, lower, upper = ttost_ind(np.array(a), np.array(b), -5, 25, usevar="unequal")
    assert result.p_value == pytest.approx(p, rel=1e-9)
    binding = lower if lower[1] >= upper[1] else upper
    assert result.statistic == pytest.approx(binding[0], rel=1e-9)
    assert [result.interval.low, result.interval.high] == pytest.approx(r["welch_90"], rel=1e-10)
    assert result.interval.confidence == pytest.approx(0.9)
    within = result.interval.low > -5 and result.interval.high < 25
    assert result.reject == within


def test_equivalence_can_be_shown_and_refused():
    a, b = Moments.published(900, 10.0, 3.0), Moments.published(900, 10.1, 3.0)
    assert two_sample.equivalence(a, b, low=-1, high=1).reject
    assert not two_sample.equivalence(a, b, low=-0.2, high=0.2).reject
    few = Moments.published(9, 10.0, 3.0)  # no difference seen, but none excluded either
    assert not two_sample.welch(few, few).reject
    assert not two_sample.equivalence(few, few, low=-1, high=1).reject


@pytest.mark.parametrize("alternative", SIDES)
def test_permutation_equals_complete_enumeration(alternative):
    a, b = SAMPLES["pair_a"][:6], SAMPLES["pair_b"][:7]

    def welch(x, y, axis):
        error = x.var(axis=axis, ddof=1) / x.shape[axis] + y.var(axis=axis, ddof=1) / y.shape[axis]
        return (x.mean(axis=axis) - y.mean(axis=axis)) / np.sqrt(error)

    def absolute(x, y, axis):
        return np.abs(welch(x, y, axis))

    # SciPy doubles the smaller tail where we take the absolute value: enumerate that instead.
    statistic = absolute if alternative == "two-sided" else welch
    side = "greater" if alternative == "two-sided" else alternative
    exact = stats.permutation_test(
        (np.array(a), np.array(b)), statistic, vectorized=True, n_resamples=np.inf, alternative=side
    )
    result = two_sample.permutation(a, b, alternative=alternative, seed=8, resamples=19_999)
    assert result.p_value == pytest.approx(exact.pvalue, abs=4 * result.p_standard_error)
    assert result.statistic == pytest.approx(stats.ttest_ind(a, b, equal_var=False).statistic)
    assert result.p_standard_error == pytest.approx(
        np.sqrt(result.p_value * (1 - result.p_value) / 20_000)
    )


def test_permutation_is_seeded_and_never_zero():
    a, b = np.arange(30.0), np.arange(30.0) + 100
    one = two_sample.permutation(a, b, seed=1, resamples=999)
    assert one == two_sample.permutation(a, b, seed=1, resamples=999)
    assert one == two_sample.permutation(a, b, seed=np.random.default_rng(1), resamples=999)
    assert one.p_value == 1 / 1000
    a, b = both("skewed")
    assert two_sample.permutation(a, b, seed=1) != two_sample.permutation(a, b, seed=2)


def test_permutation_of_many_values_agrees_with_welch():
    rng = np.random.default_rng(31)
    a, b = rng.gamma(0.5, 200, 3_000), rng.gamma(0.5, 215, 5_000)
    welch = two_sample.welch(a, b, alternative="less")
    permuted = two_sample.permutation(a, b, alternative="less", seed=1, resamples=4_999)
    assert permuted.p_value == pytest.approx(welch.p_value, abs=5 * permuted.p_standard_error)
    assert permuted.critical_value == pytest.approx(welch.critical_value, abs=0.1)
    assert permuted.bound.high == pytest.approx(welch.bound.high, abs=0.1 * welch.standard_error)


def test_a_two_sided_permutation_interval_excludes_zero_when_it_rejects():
    rng = np.random.default_rng(32)
    rejected = 0
    for _ in range(60):
        a, b = rng.exponential(1.0, 12), rng.exponential(2.2, 15)
        for side in SIDES:
            result = two_sample.permutation(a, b, alternative=side, seed=rng, resamples=199)
            interval = result.bound or result.interval
            assert result.reject == (not interval.contains(0))
            rejected += result.reject
    assert 30 < rejected < 150  # both answers occur


def test_level_with_unequal_variances():
    # The small sample has the large spread: Student's level is wrong, the other two hold.
    rng, runs = np.random.default_rng(33), 1_000
    rejected = {"student": 0, "welch": 0, "permutation": 0}
    for i in range(runs):
        a, b = rng.normal(5, 4, 15), rng.normal(5, 1, 60)
        rejected["student"] += two_sample.student(a, b).reject
        rejected["welch"] += two_sample.welch(a, b).reject
        if i < 300:
            test = two_sample.permutation(a, b, seed=rng, resamples=199)
            rejected["permutation"] += test.reject
    error = np.sqrt(0.05 * 0.95 / runs)
    assert rejected["welch"] / runs == pytest.approx(0.05, abs=3 * error)
    assert rejected["student"] / runs > 0.2
    # Studentised permutations are only valid in large samples here; 15 is not far off.
    assert 0.02 < rejected["permutation"] / 300 < 0.10


def test_f_test_is_no_good_for_skewed_values_but_brown_forsythe_is():
    # The F test's level for skewed values stays wrong, as its docstring says.
    rng, runs = np.random.default_rng(34), 400
    f = brown_forsythe = 0
    for _ in range(runs):
        a, b = rng.exponential(size=(2, 80))
        f += two_sample.f_test(a, b).reject
        brown_forsythe += two_sample.brown_forsythe(a, b).reject
    assert f / runs > 0.15
    assert brown_forsythe / runs == pytest.approx(0.05, abs=0.03)


FROM_MOMENTS = [two_sample.student, two_sample.welch, two_sample.f_test]
FROM_VALUES = [*FROM_MOMENTS, two_sample.mann_whitney]


@pytest.mark.parametrize("test", FROM_MOMENTS)
@settings(max_examples=40)
@given(a=samples, b=samples, alternative=st.sampled_from(SIDES))
def test_moments_are_as_good_as_values(test, a, b, alternative):
    assert test(a, b, alternative=alternative) == test(
        Moments.of(a), Moments.of(b), alternative=alternative
    )
    # The published figures give everything but the shape that the interval of d uses.
    ma, mb = Moments.of(a), Moments.of(b)
    raw = test(a, b, alternative=alternative)
    printed = test(
        Moments.published(ma.n, ma.mean, ma.sd),
        Moments.published(mb.n, mb.mean, mb.sd),
        alternative=alternative,
    )
    for field in ("statistic", "p_value", "df", "critical_value", "estimate"):
        assert getattr(printed, field) == pytest.approx(getattr(raw, field), rel=1e-10)
    assert printed.interval.low == pytest.approx(raw.interval.low, rel=1e-10, abs=1e-10)
    assert [e.value for e in printed.effects] == pytest.approx([e.value for e in raw.effects])


@pytest.mark.parametrize("test", FROM_VALUES)
@settings(max_examples=30)
@given(a=samples, b=samples, alternative=st.sampled_from(SIDES), random=st.randoms())
def test_order_and_type_do_not_matter(test, a, b, alternative, random):
    one = test(a, b, alternative=alternative)
    shuffled = pd.Series(random.sample(a, len(a)), dtype="Float64")
    other = test(shuffled, random.sample(b, len(b)), alternative=alternative)
    assert other.p_value == pytest.approx(one.p_value, rel=1e-8, abs=1e-12)
    assert other.statistic == pytest.approx(one.statistic, rel=1e-8, abs=1e-9)
    assert other.interval.low == pytest.approx(one.interval.low, rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("test", FROM_VALUES)
@settings(max_examples=30)
@given(a=samples, b=samples, shift=eighths, scale=st.sampled_from([0.5, 2.0, 64.0]))
def test_unit_and_origin_do_not_matter(test, a, b, shift, scale):
    one = test(a, b, alternative="less")
    other = test(np.array(a) * scale + shift, np.array(b) * scale + shift, alternative="less")
    assert other.p_value == pytest.approx(one.p_value, rel=1e-6, abs=1e-12)
    assert other.statistic == pytest.approx(one.statistic, rel=1e-8, abs=1e-8)
    unit = scale if one.null_value == 0 else 1  # a difference has the unit, a ratio has none
    assert other.interval.high == pytest.approx(one.interval.high * unit, rel=1e-7, abs=1e-7)
    assert other.bound.high == pytest.approx(one.bound.high * unit, rel=1e-7, abs=1e-7)


@pytest.mark.parametrize("test", [two_sample.student, two_sample.welch, two_sample.mann_whitney])
@settings(max_examples=30)
@given(a=samples, b=samples)
def test_swapping_the_samples_mirrors_the_result(test, a, b):
    for side, mirrored in (("less", "greater"), ("two-sided", "two-sided")):
        one, other = test(a, b, alternative=side), test(b, a, alternative=mirrored)
        assert other.p_value == pytest.approx(one.p_value, rel=1e-9)
        assert other.estimate == pytest.approx(2 * one.null_value - one.estimate, abs=1e-12)
        assert other.interval.high == pytest.approx(2 * one.null_value - one.interval.low)
        if test is not two_sample.mann_whitney:
            assert other.statistic == -one.statistic
            assert other.effect("Cohen's d").high == pytest.approx(-one.effect("Cohen's d").low)
    f, swapped = two_sample.f_test(a, b), two_sample.f_test(b, a)
    assert swapped.interval.low == pytest.approx(1 / f.interval.high)
    assert swapped.p_value == pytest.approx(f.p_value)


@pytest.mark.parametrize("test", [two_sample.paired_t, two_sample.wilcoxon, two_sample.sign_test])
@settings(max_examples=30)
@given(values=pairs, shift=eighths, random=st.randoms())
def test_pairs_may_be_reordered_shifted_and_swapped(test, values, shift, random):
    a, b = np.array(values).T
    one = test(a, b, alternative="less")
    c, d = np.array(random.sample(values, len(values))).T + shift
    other = test(c, d, alternative="less")
    assert other.p_value == pytest.approx(one.p_value, rel=1e-8, abs=1e-12)
    assert other.estimate == pytest.approx(one.estimate, abs=1e-9)
    mirrored = test(b, a, alternative="greater")
    assert mirrored.p_value == pytest.approx(one.p_value, rel=1e-8, abs=1e-12)
    assert mirrored.interval.high == pytest.approx(2 * one.null_value - one.interval.low)


@settings(max_examples=60)
@given(samples, samples, st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_bounds_and_critical_values_agree_with_p(a, b, alpha):
    for test in FROM_MOMENTS:
        p = {}
        for side in SIDES:
            result = test(a, b, alternative=side, alpha=alpha)
            p[side] = result.p_value
            interval = result.bound or result.interval
            if abs(result.p_value - alpha) < 1e-9:
                continue
            assert result.reject == (not interval.contains(result.null_value))
            below = result.statistic < result.critical_value
            beyond = abs(result.statistic) > result.critical_value
            if result.critical_low is not None:
                beyond = beyond or result.statistic < result.critical_low
            assert result.reject == {"less": below, "greater": not below, "two-sided": beyond}[side]
        assert p["less"] + p["greater"] == pytest.approx(1)
        assert p["two-sided"] == pytest.approx(2 * min(p["less"], p["greater"]))


def test_sign_split():
    result = two_sample.sign_test([3, 3, 3, 5, 1, 2, 2, 2], [1, 1, 1, 1, 2, 2, 2, 2])
    shares = [
        result.effect(f"share of pairs, {k}").value for k in ("a larger", "b larger", "equal")
    ]
    assert shares == [0.5, 0.125, 0.375]
    assert result.estimate == 0.8
    assert result.statistic == 4


def test_effects_come_with_the_means():
    a, b = both("skewed")
    result = two_sample.welch(a, b, alpha=0.01)
    assert [e.name for e in result.effects] == ["Cohen's d", "Hedges' g", "ratio of means"]
    assert {e.confidence for e in result.effects} == {0.99}
    assert result.effects_frame().shape == (3, 5)
    with pytest.raises(KeyError, match=r"odds ratio.* is not among"):
        result.effect("odds ratio")
    negative = two_sample.welch([-1.0, -2, -4], [-3.0, -5, -9])
    assert [e.name for e in negative.effects] == ["Cohen's d", "Hedges' g"]


def test_frame_is_flat():
    for result in (
        two_sample.welch([1, 2, 4], [2, 5, 6], alternative="less"),
        two_sample.f_test([1, 2, 4], [2, 5, 6]),
        two_sample.mann_whitney([1, 2, 4], [2, 5, 6]),
    ):
        row = result.to_frame().iloc[0]
        assert row["estimate"] == result.estimate
        assert (row["low"], row["high"]) == (result.interval.low, result.interval.high)
        assert row["reject"] == result.reject
        assert all(np.isscalar(value) or value is None for value in row)


def test_one_constant_sample_is_enough_for_welch_but_not_two():
    result = two_sample.welch([5, 5, 5], [1, 2, 6])
    assert result.df == pytest.approx(2)  # all uncertainty is b's
    assert result.p_value == pytest.approx(stats.ttest_1samp([1, 2, 6], 5).pvalue)


CONSTANT = [4.0, 4.0, 4.0]


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: two_sample.welch(CONSTANT, CONSTANT), "a, b: Welch's t test needs variation"),
        (lambda: two_sample.student(CONSTANT, [1, 1]), "a, b: Student's t test needs variation"),
        (lambda: two_sample.f_test(CONSTANT, [1, 2]), "a: the F test needs values that are not"),
        (lambda: two_sample.f_test([1, 2], CONSTANT), "b: the F test needs values that are not"),
        (lambda: two_sample.brown_forsythe([1, 2], [3, 5]), "a, b: the Brown-Forsythe test of"),
        (lambda: two_sample.mann_whitney(CONSTANT, CONSTANT), "a, b: a probability of superiority"),
        (lambda: two_sample.permutation(CONSTANT, CONSTANT, seed=1), "a, b: a permutation test"),
        (lambda: two_sample.permutation([1, 2], [3, 4], seed=1, resamples=99), "resamples: needs"),
        (lambda: two_sample.paired_t([1, 2, 3], [0, 1, 2]), "needs differences that are not all"),
        (lambda: two_sample.paired_t([1, 2, 3], [0, 1]), "a, b: pairs need equal lengths"),
        (lambda: two_sample.wilcoxon([1, 2], [1, 2]), "a, b: the signed-rank test needs pairs"),
        (lambda: two_sample.sign_test([1, 2], [1, 2]), "a, b: the sign test needs pairs"),
        (lambda: two_sample.equivalence([1, 2], [1, 3], low=1, high=1), "low, high: the margins"),
        (lambda: two_sample.welch([1, np.nan], [1, 2]), "a: every value must be a finite number"),
        (lambda: two_sample.welch([1, 2], [1]), r"b: needs at least 2 value\(s\), got 1"),
        (lambda: two_sample.mann_whitney([1], [1, 2]), r"a: needs at least 2 value\(s\), got 1"),
        (lambda: two_sample.welch([1, 2], [1, 3], alternative="larger"), "alternative: must be"),
        (lambda: two_sample.welch([1, 2], [1, 3], alpha=0.5), "alpha: must lie strictly between"),
        (lambda: two_sample.permutation([1, 2], [1, 3], alpha=5, seed=1), "alpha: must lie"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
