"""The kernels: right distribution, bounded memory, numbers that don't depend on the chunks."""

import tracemalloc
from itertools import combinations
from math import comb

import numpy as np
import pytest
from scipy import stats

from analysis.stats import resampling
from analysis.stats.moments import Counts


@pytest.fixture(params=[1, resampling.MANY], ids=["counts", "values"])
def either_way(request, monkeypatch):
    """Drawn as counts of distinct values, as of many, and value by value, as of fewer."""
    monkeypatch.setattr(resampling, "MANY", request.param)


@pytest.mark.parametrize("draws", [1, 1_000, 2**16])
def test_chunks_do_not_change_the_numbers(draws, monkeypatch):
    x = np.random.default_rng(1).lognormal(size=101)
    expected = resampling.bootstrap_means(x, 200, np.random.default_rng(7))
    monkeypatch.setattr(resampling, "DRAWS", draws)
    assert (resampling.bootstrap_means(x, 200, np.random.default_rng(7)) == expected).all()


def test_memory_is_bounded():
    x = np.random.default_rng(1).lognormal(size=120_000)
    y = np.random.default_rng(2).lognormal(size=32_000)
    tracemalloc.start()
    resampling.bootstrap_means(x, 100, np.random.default_rng(1))
    resampling.permuted_t(x, y, 50, np.random.default_rng(1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * 2**20  # 100 resamples at once would take 138 MiB


def test_bootstrap_draws_every_value_equally_often(either_way):
    # With one value at 1 and the others at 0 the mean counts how often that value was drawn.
    for position in (0, 6, 12):
        x = np.zeros(13)
        x[position] = 1
        counts = resampling.bootstrap_means(x, 40_000, np.random.default_rng(3)) * 13
        assert counts.mean() == pytest.approx(1, abs=4 * np.sqrt(12 / 13 / 40_000))
        assert counts.var() == pytest.approx(12 / 13, rel=0.05)


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 6), (6, 4), (5, 5)])
def test_permuted_statistics_are_those_of_all_relabellings(either_way, n_a, n_b):
    pooled = np.array([1.0, 2.5, 4.1, 7.3, 8.2, 9.9, 12.4, 15.0, 21.7, 30.3])
    every = []
    for chosen in combinations(range(10), n_a):
        a, b = pooled[list(chosen)], np.delete(pooled, chosen)
        every.append((a.mean() - b.mean()) / np.sqrt(a.var(ddof=1) / n_a + b.var(ddof=1) / n_b))
    exact, ways = np.unique(np.round(every, 9), return_counts=True)
    runs = 20_000
    drawn = resampling.permuted_t(pooled[:n_a], pooled[n_a:], runs, np.random.default_rng(4))
    seen, counts = np.unique(np.round(drawn, 9), return_counts=True)
    assert seen == pytest.approx(exact, abs=2e-9)
    assert stats.chisquare(counts, runs * ways / ways.sum()).pvalue > 1e-4


def test_a_relabelling_without_spread_is_infinitely_far(either_way):
    # Rounding must leave neither nan nor a large finite statistic.
    for low, high in ((0.0, 1.0), (0.1, 0.7), (1e6, 1e6 + 0.3), (-0.2, 5.55)):
        for n_a, n_b in ((2, 3), (3, 3), (4, 3)):
            a, b = np.full(n_a, low), np.full(n_b, high)
            t = resampling.permuted_t(a, b, 800, np.random.default_rng(5))
            assert not np.isnan(t).any()
            apart = 1 / comb(n_a + n_b, n_a)  # chance of the separation
            separated = np.isinf(t).mean() / (2 if n_a == n_b else 1)
            assert separated == pytest.approx(apart, abs=4 * np.sqrt(apart / 800))
            assert np.abs(t[np.isfinite(t)]).max() < 10


@pytest.mark.parametrize(("n_a", "n_b"), [(4, 6), (7, 3)])
def test_ties_are_relabelled_like_other_values(either_way, n_a, n_b):
    pooled = np.array([0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 5.0, 5.0, 5.0, 40.0])
    every = [
        pooled[list(chosen)].mean() - np.delete(pooled, chosen).mean()
        for chosen in combinations(range(10), n_a)
    ]
    t = resampling.permuted_t(pooled[:n_a], pooled[n_a:], 20_000, np.random.default_rng(6))
    share = np.mean(np.array(every) > 1e-9)
    assert np.mean(t > 1e-9) == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 20_000))


def test_many_values_are_resampled_as_theory_says():
    x = np.round(np.random.default_rng(1).lognormal(size=resampling.MANY), 2)
    means = resampling.bootstrap_means(x, 400, np.random.default_rng(2))
    error = x.std() / np.sqrt(x.size)
    assert means.mean() == pytest.approx(x.mean(), abs=4 * error / np.sqrt(400))
    assert means.std() == pytest.approx(error, rel=4 / np.sqrt(800))
    t = resampling.permuted_t(x[::5], np.delete(x, np.s_[::5]), 400, np.random.default_rng(3))
    assert stats.kstest(t, "norm").pvalue > 1e-4


def some_counts():
    return Counts.of([0.0, 1.0, 2.5, 40.0], [70, 15, 10, 5])


@pytest.mark.parametrize("size", [2, 3, 30, 100])  # one value at a time, and multinomial
def test_resamples_of_counts_have_the_moments_of_the_sample(size):
    sample, runs = some_counts(), 60_000
    means, variances = resampling.resampled(sample, size, runs, np.random.default_rng(8))
    spread = sample.central(2)
    assert means.mean() == pytest.approx(sample.moments.mean, abs=4 * np.sqrt(spread / size / runs))
    assert means.var() == pytest.approx(spread / size, rel=0.05)
    assert variances.mean() == pytest.approx(spread, rel=0.06)
    skewness = sample.central(3) / spread**1.5 / np.sqrt(size)
    assert stats.skew(means) == pytest.approx(skewness, rel=0.12)


def test_both_ways_to_resample_have_one_distribution():
    # Of 5 distinct values and 5 draws each value comes up by both kernels as often.
    sample = Counts.of([0.0, 1.0, 10.0, 100.0, 1000.0], [5, 4, 3, 2, 1])
    one, _ = resampling.resampled(sample, 5, 20_000, np.random.default_rng(9))  # value by value
    x = np.repeat(sample.values, sample.counts)
    rng = np.random.default_rng(10)
    many, _ = resampling.resampled(sample, 6, 20_000, np.random.default_rng(11))  # multinomial
    for means, size in ((one, 5), (many, 6)):
        other = x[rng.integers(0, x.size, (20_000, size))].mean(axis=1)
        # Rounded, so that equal means are ties.
        assert stats.ks_2samp(np.round(means, 6), np.round(other, 6)).pvalue > 1e-3


@pytest.mark.parametrize("size", [3, 50])
def test_chunks_do_not_change_resamples_of_counts(size, monkeypatch):
    expected = resampling.resampled(some_counts(), size, 300, np.random.default_rng(7))
    monkeypatch.setattr(resampling, "DRAWS", 64)
    found = resampling.resampled(some_counts(), size, 300, np.random.default_rng(7))
    assert (found[0] == expected[0]).all() and (found[1] == expected[1]).all()


def test_ten_million_values_are_not_drawn_one_by_one():
    sample = Counts.of([0.0, 99.0, 4999.0], [8_000_000, 1_500_000, 500_000])
    tracemalloc.start()
    means, variances = resampling.resampled(sample, sample.n, 500, np.random.default_rng(1))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**21
    assert means.std() == pytest.approx(sample.moments.standard_error, rel=0.15)
    assert variances == pytest.approx(np.full(500, sample.moments.variance), rel=0.02)
