"""Effect sizes against R, definitions over all pairs, and by how often they cover the truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from analysis.stats import effects
from analysis.stats.moments import Moments

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "reference.json").read_text())
SAMPLES = REFERENCE["samples"]

eighths = st.integers(-400, 400).map(lambda i: i / 8)
samples = st.lists(eighths, min_size=3, max_size=25).filter(lambda x: min(x) < max(x))


def published(x):
    """The moments without the shape, as a report prints them."""
    m = Moments.of(x)
    return Moments.published(m.n, m.mean, m.sd)


@pytest.mark.parametrize("name", ["skewed", "tied", "small"])
def test_cohens_d_equals_r(name):
    a, b = SAMPLES[name + "_a"], SAMPLES[name + "_b"]
    d, g = effects.standardised_difference(a, b)
    df = len(a) + len(b) - 2
    assert d.value == pytest.approx(REFERENCE["mean_tests"][name]["d"], rel=1e-10)
    assert g.value == pytest.approx(d.value * (1 - 3 / (4 * df - 1)), rel=1e-4)  # Hedges' approx.


def test_large_sample_interval_is_near_the_exact_one():
    # Equal variances and no shape: what the noncentral t interval assumes, too.
    exact = REFERENCE["mean_tests"]["tied"]["d_exact"]
    d = REFERENCE["mean_tests"]["tied"]["d"]
    ours, _ = effects.standardised_difference(
        Moments.published(80, d, 1.0), Moments.published(64, 0.0, 1.0)
    )
    assert [ours.low, ours.high] == pytest.approx(exact, abs=0.004)
    # And Hedges & Olkin's (1985) variance, but for their n where the delta method has n - 2.
    error = (ours.high - ours.low) / 2 / stats.norm.isf(0.025)
    assert error**2 == pytest.approx(1 / 80 + 1 / 64 + d**2 / 2 / 144, rel=1e-3)


def test_d_with_unequal_variances_agrees_with_welch():
    # With d near 0 the interval is that of the difference over the pooled sd.
    a, b = Moments.published(50, 10.0, 8.0), Moments.published(400, 10.0, 2.0)
    d, _ = effects.standardised_difference(a, b)
    pooled = np.sqrt((49 * 64 + 399 * 4) / 448)
    margin = stats.norm.isf(0.025) * np.sqrt(64 / 50 + 4 / 400) / pooled
    assert [d.low, d.high] == pytest.approx([-margin, margin], rel=1e-9)


def test_d_covers_for_skewed_values_when_the_shape_is_known():
    rng, runs, n = np.random.default_rng(21), 1_000, 400
    sd = np.sqrt(np.expm1(1) * np.e)
    covered = np.zeros(2)
    for _ in range(runs):
        a, b = rng.lognormal(size=n) + sd, rng.lognormal(size=n)  # the true d is 1
        known, _ = effects.standardised_difference(a, b)
        normal, _ = effects.standardised_difference(published(a), published(b))
        covered += [known.low <= 1 <= known.high, normal.low <= 1 <= normal.high]
    # In so heavy a tail the sample understates its own kurtosis: the nominal rate isn't reached.
    assert covered[0] / runs > 0.85
    assert covered[1] / runs < 0.70


def test_paired_d_equals_its_definition():
    differences = np.array(SAMPLES["before"]) - np.array(SAMPLES["after"])
    d, g = effects.standardised_mean(differences)
    assert d.value == pytest.approx(differences.mean() / differences.std(ddof=1))
    df = differences.size - 1
    correction = special.gamma(df / 2) / (np.sqrt(df / 2) * special.gamma((df - 1) / 2))
    assert g.value == pytest.approx(d.value * correction)
    normal, _ = effects.standardised_mean(published(differences))
    error = (normal.high - normal.low) / 2 / stats.norm.isf(0.025)
    assert error**2 == pytest.approx(1 / 70 + d.value**2 / 2 / df)


def test_errors_of_d_equal_the_jackknife():
    # Skewness moves mean and sd together, which helps the d of one sample and not of the other.
    rng = np.random.default_rng(25)
    a, b = rng.gamma(2, 1, 3_000), rng.gamma(2, 1, 900) * 3
    z = stats.norm.isf(0.025)

    def jackknife(x, estimate):
        left_out = np.array([estimate(np.delete(x, i)) for i in range(x.size)])
        return (x.size - 1) * left_out.var()

    d, _ = effects.standardised_mean(a)
    expected = jackknife(a, lambda x: x.mean() / x.std(ddof=1))
    assert ((d.high - d.low) / 2 / z) ** 2 == pytest.approx(expected, rel=0.02)
    assert expected < 0.8 * (1 + d.value**2 / 2) / a.size  # normal theory is far off

    def cohen(x, y):
        squares = (x.size - 1) * x.var(ddof=1) + (y.size - 1) * y.var(ddof=1)
        return (x.mean() - y.mean()) / np.sqrt(squares / (x.size + y.size - 2))

    d, _ = effects.standardised_difference(a, b)
    expected = jackknife(a, lambda x: cohen(x, b)) + jackknife(b, lambda y: cohen(a, y))
    assert ((d.high - d.low) / 2 / z) ** 2 == pytest.approx(expected, rel=0.02)


@settings(max_examples=60)
@given(samples, samples, st.sampled_from([0.5, 60.0, -1.0]), eighths)
def test_d_ignores_unit_and_origin(a, b, scale, shift):
    one, _ = effects.standardised_difference(a, b)
    other, _ = effects.standardised_difference(
        np.array(a) * scale + shift, np.array(b) * scale + shift
    )
    sign = np.sign(scale)
    assert other.value == pytest.approx(sign * one.value, rel=1e-7, abs=1e-9)
    width, scaled = one.high - one.low, other.high - other.low
    assert 0 < scaled == pytest.approx(width, rel=1e-6)


def test_ratio_of_means():
    a, b = SAMPLES["skewed_a"], SAMPLES["skewed_b"]
    ratio = effects.ratio_of_means(a, b)
    assert ratio.value == pytest.approx(np.mean(a) / np.mean(b))
    back = effects.ratio_of_means(b, a)
    assert [1 / back.high, 1 / back.low] == pytest.approx([ratio.low, ratio.high])
    assert effects.ratio_of_means([-1, 1, 0], b) is None  # no positive mean, no ratio
    assert effects.ratio_of_means([-100, 100.001], b).high == np.inf  # a mean of nearly 0
    assert effects.ratio_of_means(np.array(a) * 60, np.array(b) * 60).low == pytest.approx(
        ratio.low
    )


def test_ratio_of_means_covers():
    rng, runs = np.random.default_rng(22), 1_500
    covered = paired = 0
    for _ in range(runs):
        a, b = rng.gamma(2, 3, 150), rng.gamma(2, 2, 100)
        ratio = effects.ratio_of_means(Moments.of(a), Moments.of(b))
        covered += ratio.low <= 1.5 <= ratio.high
        common = rng.gamma(2, 2, 100)
        pairs = effects.ratio_of_paired_means(common + rng.gamma(2, 1, 100), common)
        paired += pairs.low <= 1.5 <= pairs.high
    error = np.sqrt(0.95 * 0.05 / runs)
    assert covered / runs == pytest.approx(0.95, abs=3 * error)
    assert paired / runs == pytest.approx(0.95, abs=3 * error + 0.005)


def test_paired_ratio_without_covariance_is_the_independent_one():
    a, b = np.array([1.0, 3, 1, 3]), np.array([2.0, 2, 4, 4])  # uncorrelated
    assert effects.ratio_of_paired_means(a, b) == effects.ratio_of_means(a, b)
    exact = effects.ratio_of_paired_means(2 * b, b)  # every pair has the same ratio
    assert [exact.low, exact.high] == pytest.approx([2, 2], abs=1e-6)


@pytest.mark.parametrize("name", ["skewed", "tied", "small"])
def test_superiority_equals_the_count_over_all_pairs(name):
    a, b = SAMPLES[name + "_a"], SAMPLES[name + "_b"]
    interval, error = effects.superiority(a, b)
    assert interval.estimate == pytest.approx(
        REFERENCE["rank_tests"][name]["superiority"], rel=1e-12
    )
    assert error == pytest.approx(REFERENCE["rank_tests"][name]["error"], rel=1e-10)
    # SciPy's Brunner-Munzel statistic is the same distance in the same standard errors.
    other = stats.brunnermunzel(a, b).statistic
    assert (0.5 - interval.estimate) / error == pytest.approx(other, rel=1e-9)
    mirrored, _ = effects.superiority(b, a)
    assert [1 - mirrored.high, 1 - mirrored.low] == pytest.approx([interval.low, interval.high])


def test_superiority_covers_with_unequal_spreads_and_sizes():
    rng, runs = np.random.default_rng(23), 2_000
    truth = stats.norm.cdf(1 / np.sqrt(1 + 9))
    covered = 0
    for _ in range(runs):
        interval, _ = effects.superiority(rng.normal(1, 3, 60), rng.normal(0, 1, 30))
        covered += interval.contains(truth)
    assert covered / runs == pytest.approx(0.95, abs=3 * np.sqrt(0.95 * 0.05 / runs))


def test_superiority_of_separated_samples_stays_uncertain():
    interval, error = effects.superiority([5, 6, 7, 8], [1, 2, 3])
    assert (interval.estimate, interval.high, error) == (1.0, 1.0, 0.0)
    assert interval.method == "Newcombe method 5"
    # The limit solves (1 - q)^2 = z^2 var(q) with Newcombe's variance in its printed form.
    q, m, n = interval.low, 4, 3
    middle = (m + n) / 2
    variance = q * (1 - q) / (m * n) * (2 * middle - 1 - 3 * (middle - 1) / ((2 - q) * (1 + q)))
    assert (1 - q) ** 2 == pytest.approx(stats.norm.isf(0.025) ** 2 * variance, rel=1e-9)
    mirrored, _ = effects.superiority([1, 2, 3], [5, 6, 7, 8])
    assert (mirrored.low, mirrored.high) == (0.0, pytest.approx(1 - q))


@settings(max_examples=80)
@given(samples, samples)
def test_shift_is_the_median_of_all_differences(a, b):
    differences = np.sort(np.subtract.outer(a, b).ravel())
    shift = effects.hodges_lehmann_shift(a, b)
    assert shift.value == np.median(differences)
    rank = round(
        differences.size / 2
        - stats.norm.isf(0.025) * np.sqrt(differences.size * (len(a) + len(b) + 1) / 12)
    )
    if rank < 1:
        assert (shift.low, shift.high) == (-np.inf, np.inf)
    else:
        assert (shift.low, shift.high) == (differences[rank - 1], differences[-rank])


@settings(max_examples=80)
@given(samples)
def test_pseudomedian_is_the_median_of_all_walsh_averages(x):
    n = len(x)
    averages = np.sort((np.add.outer(x, x) / 2)[np.triu_indices(n)])
    centre = effects.pseudomedian(x)
    assert centre.value == np.median(averages)
    error = np.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    rank = round(averages.size / 2 - stats.norm.isf(0.025) * error)
    expected = (averages[rank - 1], averages[-rank]) if rank >= 1 else (-np.inf, np.inf)
    assert (centre.low, centre.high) == expected


@pytest.mark.parametrize("name", ["skewed", "tied", "small"])
def test_shift_equals_r(name):
    a, b = SAMPLES[name + "_a"], SAMPLES[name + "_b"]
    r = REFERENCE["rank_tests"][name]
    shift = effects.hodges_lehmann_shift(a, b)
    assert shift.value == pytest.approx(r["shift"], rel=1e-9)
    # R takes exact ranks in small samples and a root of the z statistic in large ones.
    differences = np.subtract.outer(a, b).ravel()
    for ours, theirs in zip((shift.low, shift.high), r["shift_interval"], strict=True):
        between = (differences > min(ours, theirs) + 1e-4) & (
            differences < max(ours, theirs) - 1e-4
        )
        assert between.sum() <= 1


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("pair", "pair_a", "pair_b"),
        ("before", "before", "after"),
        ("smooth", "smooth_a", "smooth_b"),
    ],
)
def test_pseudomedian_equals_r(name, a, b):
    d = np.array(SAMPLES[a]) - np.array(SAMPLES[b])
    d = d[d != 0]
    r = REFERENCE["pair_tests"][name]
    centre = effects.pseudomedian(d)
    assert centre.value == pytest.approx(r["pseudomedian"], rel=1e-9)
    averages = (np.add.outer(d, d) / 2)[np.triu_indices(d.size)]
    for ours, theirs in zip((centre.low, centre.high), r["pseudomedian_interval"], strict=True):
        between = (averages > min(ours, theirs) + 1e-4) & (averages < max(ours, theirs) - 1e-4)
        assert between.sum() <= 1


def test_shift_is_counted_not_listed():
    # 4e9 pairs: listing them would take 31 GB.
    rng = np.random.default_rng(24)
    a, b = rng.normal(3, 1, 32_000), rng.normal(1, 1, 120_000)
    shift = effects.hodges_lehmann_shift(a, b)
    assert shift.low < 2 < shift.high
    assert shift.high - shift.low < 0.05


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: effects.standardised_difference([1, 1], [1, 1]), "a, b: a standardised differ"),
        (lambda: effects.standardised_difference([1], [1, 2]), r"a: needs at least 2 value\(s\)"),
        (lambda: effects.standardised_mean([2, 2, 2]), "differences: a standardised mean needs"),
        (lambda: effects.superiority([1, 1], [1, 1]), "a, b: a probability of superiority needs"),
        (lambda: effects.superiority([1, 2], [1]), r"b: needs at least 2 value\(s\)"),
        (lambda: effects.ratio_of_paired_means([1, 2], [1, 2, 3]), "pairs need equal lengths"),
        (lambda: effects.ratio_of_means([1, 2], [1, 2], 2), "confidence: must lie strictly"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


def test_a_mean_barely_above_nought_leaves_the_ratio_without_a_limit():
    found = effects.ratio_of_means([1.0, 2.0, 3.0], [-1.0, 1.0, 3e-200])
    assert found.value > 1e200
    assert (found.low, found.high) == (0, np.inf)


def test_difference_of_quantiles_covers_the_true_one():
    rng, runs = np.random.default_rng(31), 2_000
    true = np.log(20) * (3 - 1)  # of exponential values with means 3 and 1
    covered = 0
    for _ in range(runs):
        a, b = rng.exponential(3, 400), rng.exponential(1, 900)
        effect = effects.quantile_difference(a, b, 0.95)
        covered += effect.low < true < effect.high
    assert 0.94 < covered / runs < 0.98  # order statistics cover a little more than asked for


def test_difference_of_quantiles_turns_round_and_scales():
    rng = np.random.default_rng(32)
    a, b = rng.lognormal(size=200), rng.lognormal(size=300)
    there, back = (effects.quantile_difference(*pair, 0.9) for pair in ((a, b), (b, a)))
    scaled = effects.quantile_difference(60 * a, 60 * b, 0.9)
    assert (back.value, back.low, back.high) == pytest.approx(
        (-there.value, -there.high, -there.low))
    assert (scaled.value, scaled.low, scaled.high) == pytest.approx(
        (60 * there.value, 60 * there.low, 60 * there.high))
    few = effects.quantile_difference(a[:20], b, 0.95)
    assert few.high == np.inf and np.isfinite(few.low)
