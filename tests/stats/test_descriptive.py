"""Descriptions against R and against the algebra of quantiles, shares and curves."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats import descriptive

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "reference.json").read_text())
QUANTILES = ["minimum", "p01", "p05", "p10", "p25", "p75", "p90", "p95", "p99", "maximum"]

positive = st.lists(st.integers(0, 5_000), min_size=2, max_size=60).filter(lambda x: sum(x) > 0)


@pytest.fixture(scope="module")
def skewed():
    """120,000 values with ties and a long tail, like minutes watched."""
    return np.random.default_rng(5).lognormal(1.2, 2.3, 120_000).round(2) + 0.05


@pytest.mark.parametrize("name", sorted(REFERENCE["samples"]))
def test_equals_r(name):
    d, r = descriptive.describe(REFERENCE["samples"][name]), REFERENCE["describe"][name]
    for field in ("n", "mean", "median", "sd", "skewness", "excess_kurtosis", "total",
                  "trimmed_mean_05", "trimmed_mean_20"):  # fmt: skip
        assert getattr(d, field) == pytest.approx(r[field], rel=1e-11), field
    assert [getattr(d, q) for q in QUANTILES] == pytest.approx(r["quantiles"], rel=1e-12)
    if min(REFERENCE["samples"][name]) < 0:
        assert np.isnan([d.gini, d.top_01_share, d.top_10_share]).all()
    else:
        assert d.gini == pytest.approx(r["gini"], rel=1e-11)


def test_known_distribution():
    # Evenly spaced quantiles of a Pareto distribution with tail index 3.
    n, index = 200_000, 3.0
    x = (1 - (np.arange(n) + 0.5) / n) ** (-1 / index)
    d = descriptive.describe(x)
    assert d.gini == pytest.approx(1 / (2 * index - 1), abs=1e-3)
    assert d.top_01_share == pytest.approx(0.01 ** (1 - 1 / index), abs=1e-3)
    assert d.top_10_share == pytest.approx(0.10 ** (1 - 1 / index), abs=1e-3)
    assert d.median == pytest.approx(2 ** (1 / index), rel=1e-4)


def test_shares_of_a_small_sample_count_in_part():
    x = [0, 0, 0, 0, 10]
    assert descriptive.top_share(x, 0.2) == pytest.approx(1.0)
    assert descriptive.top_share(x, 0.1) == pytest.approx(0.5)
    assert descriptive.gini(x) == pytest.approx(1 - 1 / 5)
    assert descriptive.gini([3, 3, 3]) == 0.0


@given(positive, st.integers(2, 4), st.randoms())
def test_shares_ignore_order_unit_and_copies(sample, copies, random):
    one = descriptive.describe(sample)
    other = descriptive.describe(np.repeat(random.sample(sample, len(sample)), copies) * 60.0)
    for field in ("gini", "top_01_share", "top_10_share"):
        assert getattr(other, field) == pytest.approx(getattr(one, field), rel=1e-9, abs=1e-12)
    assert other.maximum == one.maximum * 60
    assert other.total == pytest.approx(one.total * 60 * copies)


@given(positive)
def test_gini_is_the_area_of_the_lorenz_curve(sample):
    curve = descriptive.lorenz(sample, points=1_000)
    area = np.trapezoid(curve["value_share"], curve["population_share"])
    assert descriptive.gini(sample) == pytest.approx(1 - 2 * area, abs=1e-12)


def test_thinned_lorenz_curve_stays_on_the_curve(skewed):
    curve = descriptive.lorenz(skewed)
    assert len(curve) <= 200
    assert curve.iloc[0].tolist() == [0, 0]
    assert curve.iloc[-1].tolist() == [1, 1]
    for share in curve["population_share"].iloc[1:-1:20]:
        assert 1 - np.interp(share, curve["population_share"], curve["value_share"]) == (
            pytest.approx(descriptive.top_share(skewed, 1 - share), abs=1e-9)
        )
    # Nobody can see the difference: the areas agree to three digits, the steep end included.
    area = np.trapezoid(curve["value_share"], curve["population_share"])
    assert 1 - 2 * area == pytest.approx(descriptive.gini(skewed), abs=1e-3)
    assert np.diff(curve["value_share"]).max() < 0.05


def test_thinned_ecdf_stays_on_the_steps(skewed):
    curve = descriptive.ecdf(skewed)
    assert len(curve) <= 400
    assert curve["value"].iloc[[0, -1]].tolist() == [skewed.min(), skewed.max()]
    assert curve["share"].iloc[-1] == 1
    assert curve["share"].is_monotonic_increasing and curve["value"].is_monotonic_increasing
    for value, share in curve.iloc[::25].itertuples(index=False):
        assert share == pytest.approx((skewed <= value).mean(), abs=1e-12)
    # Fine along the log axis: 5 decades of minutes without a visible gap.
    assert np.diff(np.log10(curve["value"])).max() < 0.4


def test_ecdf_with_zeros_and_ties():
    curve = descriptive.ecdf([0, 0, 1, 5, 5])
    assert curve["value"].tolist() == [0, 1, 5]
    assert curve["share"].tolist() == pytest.approx([0.4, 0.6, 1.0])
    many = np.concatenate((-np.arange(600.0), np.arange(600.0)))
    thinned = descriptive.ecdf(many)
    assert thinned["value"].iloc[[0, -1]].tolist() == [-599, 599]
    assert len(thinned) <= 400


def test_trim_upper(skewed):
    trimmed = descriptive.trim_upper(skewed, 0.99)
    assert trimmed.threshold == pd.Series(skewed).quantile(0.99)
    assert trimmed.kept.max() <= trimmed.threshold
    assert trimmed.kept.size + trimmed.dropped == trimmed.n == skewed.size
    assert trimmed.dropped == (skewed > trimmed.threshold).sum() == pytest.approx(1200, abs=1)
    assert (trimmed.kept == skewed[skewed <= trimmed.threshold]).all()  # the order is kept
    assert "kept" not in trimmed.to_frame()
    assert descriptive.trim_upper([1, 1, 1, 1], 0.5).dropped == 0  # ties at the threshold stay


def test_one_and_constant_values():
    one = descriptive.describe([4])
    assert (one.n, one.mean, one.median, one.p99, one.total) == (1, 4, 4, 4, 4)
    assert np.isnan([one.sd, one.skewness, one.excess_kurtosis]).all()
    constant = descriptive.describe([2.5] * 6)
    assert constant.sd == 0 and np.isnan(constant.skewness)
    zeros = descriptive.describe([0, 0, 0])
    assert zeros.mean == 0 and np.isnan(zeros.gini)


def test_frame_has_a_column_for_every_number():
    frame = descriptive.describe([1, 2, 3, 4]).to_frame()
    assert frame.shape == (1, 22)
    assert frame.loc[0, "median"] == 2.5


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: descriptive.describe([1, np.nan]), "sample: every value must be a finite number"),
        (lambda: descriptive.describe([]), "sample: needs at least 1"),
        (lambda: descriptive.gini([-1, 2]), "sample: shares of a total need values of at least 0"),
        (lambda: descriptive.lorenz([0, 0]), "with a total above 0"),
        (lambda: descriptive.lorenz([1, 2], points=3), "points: needs at least 4"),
        (lambda: descriptive.top_share([1, 2], 0), "fraction: must lie strictly between"),
        (lambda: descriptive.trim_upper([1, 2], 99), "quantile: must lie strictly between"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
