"""Intervals of skewed means, ratios of means and concentration, from moments and counts."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.stats import descriptive, effects, intervals
from analysis.stats.moments import Counts, Moments, PairMoments

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "survival.json").read_text())["hall"]


@pytest.mark.parametrize("name", list(REFERENCE))
def test_halls_interval_is_where_its_statistic_reaches_the_quantiles(name):
    r = REFERENCE[name]
    found = intervals.mean_skewed(r["sample"])
    np.testing.assert_allclose([found.low, found.high], [r["low"], r["high"]], rtol=1e-9)


def test_without_skewness_halls_interval_is_students():
    x = np.array([1.0, 2, 4, 5, 6, 8, 9])
    hall, t = intervals.mean_skewed(x), intervals.mean_t(x)
    assert abs(Moments.of(x).skewness) < 1e-12
    assert (hall.low, hall.high) == pytest.approx((t.low, t.high))
    nearly = Moments(40, 3.0, 2.0, skewness=2e-6, excess_kurtosis=0.0)
    t = intervals.mean_t(nearly)
    assert intervals.mean_skewed(nearly).low == pytest.approx(t.low, rel=1e-5)


@settings(max_examples=60)
@given(st.lists(st.floats(-100, 100), min_size=5, max_size=30, unique=True),
       st.floats(0.5, 20), st.floats(-50, 50))
def test_halls_interval_moves_with_the_unit(values, scale, shift):
    x = np.round(values, 3)
    if np.unique(x).size < 3:
        return
    plain, moved = intervals.mean_skewed(x), intervals.mean_skewed(scale * x + shift)
    mirrored = intervals.mean_skewed(-x)
    size = 1e-6 * (1 + np.abs(x).max()) * scale
    assert plain.low < plain.estimate < plain.high
    assert abs(moved.low - (scale * plain.low + shift)) < size + 1e-6 * abs(moved.low)
    assert abs(mirrored.high + plain.low) < size + 1e-6 * abs(plain.low)


def test_halls_interval_misses_both_sides_alike_where_students_does_not():
    """Means of 150 log-normal values: t misses the truth above far more often than below."""
    rng = np.random.default_rng(11)
    runs, truth = 2_000, math.exp(0.5)
    missed = {"mean_t": np.zeros(2), "mean_skewed": np.zeros(2)}
    for _ in range(runs):
        moments = Moments.of(rng.lognormal(0, 1, 150))
        for name, misses in missed.items():
            i = getattr(intervals, name)(moments)
            misses += [truth < i.low, truth > i.high]
    t, hall = (missed[name] / runs for name in ("mean_t", "mean_skewed"))
    assert hall.sum() < t.sum()
    assert abs(hall[1] - hall[0]) < 0.5 * abs(t[1] - t[0])
    assert hall.sum() < 0.075


def pair(x, y):
    return PairMoments(len(x), x.mean(), y.mean(), x.var(ddof=1), y.var(ddof=1),
                       float(np.cov(x, y)[0, 1]))


def test_ratio_of_means_equals_poisson_regression_with_clustered_errors():
    rng = np.random.default_rng(4)
    views = 1 + rng.geometric(0.1, 400)
    paid = rng.binomial(views, rng.beta(0.5, 8, 400))
    found = intervals.ratio_of_means(pair(paid, views))
    # One row a view: the share of views that are paid, errors clustered in users.
    user = np.repeat(np.arange(400), views)
    first = np.concatenate([np.arange(v) < p for v, p in zip(views, paid, strict=True)])
    fit = sm.GLM(first.astype(float), np.ones(user.size), family=sm.families.Poisson()).fit(
        cov_type="cluster", cov_kwds={"groups": user, "use_correction": False})
    reach = 1.959963984540054 * fit.bse[0] * math.sqrt(400 / 399)
    assert found.estimate == pytest.approx(paid.sum() / views.sum())
    assert math.log(found.high / found.estimate) == pytest.approx(reach, rel=1e-6)
    assert math.log(found.estimate / found.low) == pytest.approx(reach, rel=1e-6)
    # and the package's own interval from raw pairs
    raw = effects.ratio_of_paired_means(paid, views)
    assert (found.low, found.high) == pytest.approx((raw.low, raw.high))
    # Counting views would claim more than there is.
    naive = intervals.proportion(int(paid.sum()), int(views.sum()))
    assert found.high - found.low > 1.3 * (naive.high - naive.low)


def test_ratio_of_means_needs_means_above_0():
    with pytest.raises(ValueError, match="above 0"):
        intervals.ratio_of_means(PairMoments(9, 0.0, 1.0, 0.0, 1.0, 0.0))
    with pytest.raises(ValueError, match="at least 2"):
        intervals.ratio_of_means(PairMoments(1, 1.0, 1.0, math.nan, math.nan, math.nan))


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=40).filter(any))
def test_concentration_of_counts_is_that_of_the_values(values):
    sample = Counts.of(values)
    g = intervals.gini(sample, resamples=199, confidence=0.9, seed=1)
    assert g.estimate == pytest.approx(descriptive.gini(values), abs=1e-12)
    for fraction in (0.01, 0.1, 0.35):
        top = intervals.top_share(sample, fraction, resamples=199, confidence=0.9, seed=1)
        assert top.estimate == pytest.approx(descriptive.top_share(values, fraction), abs=1e-12)


def test_concentration_resamples_as_a_bootstrap_of_the_values_does():
    x = np.random.default_rng(6).lognormal(0, 1, 300).round(1)
    rng = np.random.default_rng(7)
    drawn = [descriptive.gini(rng.choice(x, 300)) for _ in range(1_999)]
    found = intervals.gini(Counts.of(x), seed=8)
    low, high = np.quantile(drawn, [0.025, 0.975])
    # Two simulations of the same limits: within their Monte-Carlo error of about 0.0015.
    assert abs(found.low - low) < 0.006 and abs(found.high - high) < 0.006
    again = intervals.gini(Counts.of(np.random.default_rng(1).permutation(x)), seed=8)
    assert again == found  # the order of the rows is gone in the counts


def test_gini_covers_the_truth():
    """Exponential values have a Gini coefficient of 1/2."""
    rng = np.random.default_rng(9)
    covered = sum(
        intervals.gini(Counts.of(rng.exponential(1, 400).round(2)), resamples=399,
                       seed=int(rng.integers(1e9))).contains(0.5)
        for _ in range(200)
    )
    assert abs(covered / 200 - 0.95) < 3.5 * math.sqrt(0.05 * 0.95 / 200)


def test_equal_values_and_nothing_at_all():
    same = intervals.gini(Counts.of([5, 5, 5]), seed=1)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    with pytest.raises(ValueError, match="total above 0"):
        intervals.gini(Counts.of([0, 0, 0]), seed=1)
    with pytest.raises(ValueError, match="resamples"):
        intervals.gini(Counts.of([1, 2]), resamples=50, seed=1)
    with pytest.raises(ValueError, match="fraction"):
        intervals.top_share(Counts.of([1, 2]), 1.0, seed=1)
    with pytest.raises(ValueError, match="skewness"):
        intervals.mean_skewed(Moments(5, 1.0, 1.0))


def test_frames_and_series_are_samples_too():
    assert intervals.mean_skewed(pd.Series([1, 2, 9])).estimate == 4
