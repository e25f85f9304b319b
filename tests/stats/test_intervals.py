"""Intervals against R, SciPy and statsmodels, and by how often they cover the truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from analysis.stats import intervals, resampling
from analysis.stats.moments import Moments

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "reference.json").read_text())
SAMPLES = REFERENCE["samples"]


def limits(interval):
    return [interval.low, interval.high]


def within(coverage, nominal, runs):
    """Whether a simulated coverage lies within three binomial standard errors."""
    return abs(coverage - nominal) <= 3 * np.sqrt(nominal * (1 - nominal) / runs)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_t_and_trimmed_equal_r(name):
    x = SAMPLES[name]
    t = intervals.mean_t(x)
    assert limits(t) == pytest.approx(REFERENCE["mean_t"][name], rel=1e-12)
    assert t.estimate == pytest.approx(np.mean(x))
    assert intervals.mean_t(Moments.of(x)) == t
    trimmed = intervals.trimmed_mean(x)
    assert limits(trimmed) == pytest.approx(REFERENCE["trimmed"][name], rel=1e-10)
    assert trimmed.estimate == pytest.approx(REFERENCE["describe"][name]["trimmed_mean_20"])


def test_trimmed_equals_scipy():
    x = SAMPLES["skewed_a"]
    other = stats.mstats.trimmed_mean_ci(np.ma.array(x), limits=(0.1, 0.1), alpha=0.1)
    ours = intervals.trimmed_mean(x, cut=0.1, confidence=0.9)
    assert limits(ours) == pytest.approx(list(other), rel=1e-10)


def test_median_ranks_equal_r():
    ranks = REFERENCE["median_ranks"]
    for n, rank in zip(ranks["n"], ranks["rank"], strict=True):
        interval = intervals.median(np.arange(1, n + 1)[::-1])
        if rank == 0:
            assert limits(interval) == [-np.inf, np.inf]
        else:
            assert limits(interval) == [rank, n + 1 - rank]


@pytest.mark.parametrize("name", ["skewed_a", "before", "tied_a"])
def test_median_equals_scipy(name):
    other = stats.quantile_test(SAMPLES[name], p=0.5).confidence_interval(0.95)
    assert limits(intervals.median(SAMPLES[name])) == [other.low, other.high]


@pytest.mark.parametrize("level", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("n", [5, 71, 72, 400])
def test_quantiles_equal_scipy(n, level):
    x = np.random.default_rng(n).lognormal(size=n)
    other = stats.quantile_test(x, q=1, p=level).confidence_interval(0.95)
    expected = [-np.inf if np.isnan(other.low) else other.low,
                np.inf if np.isnan(other.high) else other.high]
    assert limits(intervals.quantile(x, level)) == expected


def test_proportions_equal_r():
    for (k, n), suffix in (((7, 45), ""), ((0, 20), "_none")):
        wilson = intervals.proportion(k, n)
        exact = intervals.proportion(k, n, method="clopper-pearson")
        assert limits(wilson) == pytest.approx(REFERENCE["wilson" + suffix], abs=1e-12)
        assert limits(exact) == pytest.approx(REFERENCE["clopper" + suffix], abs=1e-12)
        assert wilson.estimate == k / n
    assert intervals.proportion(20, 20).high == 1.0
    mirrored = intervals.proportion(38, 45)
    assert limits(mirrored) == pytest.approx([1 - x for x in REFERENCE["wilson"][::-1]])


@pytest.mark.parametrize("name", ["skewed_a", "small_a"])
def test_percentile_bootstrap_equals_scipy(name):
    x, resamples = np.array(SAMPLES[name]), 60_000
    other = stats.bootstrap(
        (x,), np.mean, n_resamples=resamples, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = intervals.mean_bootstrap(x, method="percentile", resamples=resamples, seed=2)
    # Both are simulated: a 2.5% quantile has the Monte-Carlo error sqrt(q (1 - q) / resamples)
    # / density, here about 0.011 standard errors of the mean. Four of the difference's.
    tolerance = 4 * np.sqrt(2) * 0.011 * Moments.of(x).standard_error
    assert limits(ours) == pytest.approx(list(other), abs=tolerance)


@pytest.mark.parametrize("method", ["percentile", "bca"])
@pytest.mark.parametrize("name", ["skewed_a", "small_b", "tied_b"])
def test_bootstrap_from_the_same_means_equals_scipy(name, method, monkeypatch):
    # With the same resampled means there is no Monte-Carlo error left between the two.
    x = np.array(SAMPLES[name])
    other = stats.bootstrap(
        (x,), np.mean, n_resamples=2_000, method=method, rng=np.random.default_rng(1)
    )
    monkeypatch.setattr(intervals, "bootstrap_means", lambda *_: other.bootstrap_distribution)
    ours = intervals.mean_bootstrap(x, method=method, resamples=2_000, seed=0)
    assert limits(ours) == pytest.approx(list(other.confidence_interval), rel=1e-9)


def test_bootstrap_is_seeded_and_its_means_have_the_right_spread():
    x = np.array(SAMPLES["skewed_a"])
    assert intervals.mean_bootstrap(x, seed=3) == intervals.mean_bootstrap(x, seed=3)
    assert intervals.mean_bootstrap(x, seed=3) != intervals.mean_bootstrap(x, seed=4)
    means = resampling.bootstrap_means(x, 20_000, np.random.default_rng(1))
    assert means.mean() == pytest.approx(x.mean(), abs=4 * x.std() / np.sqrt(x.size * 20_000))
    assert means.std() == pytest.approx(x.std() / np.sqrt(x.size), rel=0.02)


def test_bootstrap_shift_and_scale():
    x = np.array(SAMPLES["skewed_a"])
    one = intervals.mean_bootstrap(x, seed=3, resamples=999)
    other = intervals.mean_bootstrap(60 * x + 7, seed=3, resamples=999)
    assert limits(other) == pytest.approx([60 * v + 7 for v in limits(one)], rel=1e-9)


def test_t_covers_the_mean_of_normal_values():
    rng, runs = np.random.default_rng(11), 4_000
    covered = sum(intervals.mean_t(rng.normal(3, 2, 8)).contains(3) for _ in range(runs))
    assert within(covered / runs, 0.95, runs)


def test_median_covers_at_least_at_the_nominal_rate():
    rng, runs = np.random.default_rng(12), 2_000
    covered = sum(
        intervals.median(rng.exponential(size=15)).contains(np.log(2)) for _ in range(runs)
    )
    exact = stats.binom.cdf(11, 15, 0.5) - stats.binom.cdf(3, 15, 0.5)  # ranks 4 and 12
    assert exact >= 0.95
    assert within(covered / runs, exact, runs)


def test_bca_misses_a_skewed_mean_less_lopsidedly_than_t():
    rng, runs = np.random.default_rng(13), 1_000
    truth = np.exp(0.5)
    t_misses, bca_misses = np.zeros(2), np.zeros(2)  # interval too low, too high
    for _ in range(runs):
        x = rng.lognormal(size=30)
        t = intervals.mean_t(x)
        bca = intervals.mean_bootstrap(x, resamples=499, seed=rng)
        t_misses += [t.high < truth, t.low > truth]
        bca_misses += [bca.high < truth, bca.low > truth]
    # t is too low far more often than 2.5%, hardly ever too high; BCa mends a part of that.
    assert t_misses[0] / runs > 0.07 and t_misses[1] / runs < 0.01
    assert bca_misses[0] < 0.9 * t_misses[0]
    assert bca_misses.sum() <= t_misses.sum()


def test_t_and_bca_agree_on_many_symmetric_values():
    x = np.random.default_rng(14).normal(10, 3, 20_000)
    t, bca = intervals.mean_t(x), intervals.mean_bootstrap(x, resamples=4_999, seed=1)
    assert limits(bca) == pytest.approx(limits(t), abs=0.1 * Moments.of(x).standard_error)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: intervals.mean_t([1.0]), r"data: needs at least 2 value\(s\), got 1"),
        (lambda: intervals.mean_t([2, 2, 2]), "data: a t interval needs values that are not all"),
        (lambda: intervals.mean_t([1, 2], 95), "confidence: must lie strictly between 0 and 1"),
        (lambda: intervals.mean_t([1, np.nan]), "data: every value must be a finite number"),
        (lambda: intervals.mean_bootstrap([3, 3], seed=1), "sample: a bootstrap interval needs"),
        (lambda: intervals.mean_bootstrap([3, 4], resamples=150, seed=1), "resamples: 150 leave"),
        (lambda: intervals.mean_bootstrap([3, 4], method="basic", seed=1), "method: must be"),
        (lambda: intervals.trimmed_mean([1, 2, 3], cut=0.5), "cut: must lie strictly between"),
        (lambda: intervals.trimmed_mean([0, 2, 2, 2, 9]), "not all equal in its middle part"),
        (lambda: intervals.trimmed_mean([0, 2, 5], cut=0.4), "leave fewer than 2"),
        (lambda: intervals.median([]), "sample: needs at least 1"),
        (lambda: intervals.proportion(5, 4), "successes: must not exceed n = 4, got 5"),
        (lambda: intervals.proportion(0, 0), "n: must be a whole number of at least 1"),
        (lambda: intervals.proportion(0.5, 4), "successes: must be a whole number"),
        (lambda: intervals.proportion(1, 4, method="wald"), "method: must be one of"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
