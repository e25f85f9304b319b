"""Welch's test of several means and groups against the rest, against R and definitions."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.stats import several_means, two_sample
from analysis.stats.moments import Moments

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "several_means.json").read_text())


def samples(case):
    return {name: Moments.of(values) for name, values in REFERENCE[case]["groups"].items()}


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "several_means.R", tmp_path)
    for case, values in REFERENCE.items():
        for name in ("statistic", "df", "p", "noncentrality", "holm"):
            np.testing.assert_allclose(fresh[case][name], values[name], rtol=1e-7)


@pytest.mark.parametrize("case", list(REFERENCE))
def test_welch_equals_r(case):
    found, r = several_means.welch_anova(samples(case)), REFERENCE[case]
    np.testing.assert_allclose(found.statistic, r["statistic"], rtol=1e-10)
    np.testing.assert_allclose([found.df, found.df_denominator], r["df"], rtol=1e-10)
    np.testing.assert_allclose(found.p_value, r["p"], rtol=1e-8)
    lambdas = np.array(r["noncentrality"])
    np.testing.assert_allclose(
        [found.effect.low, found.effect.high], lambdas / (lambdas + found.n), atol=1e-7)


@pytest.mark.parametrize("case", list(REFERENCE))
def test_against_the_rest_equals_r(case):
    r = REFERENCE[case]
    found = several_means.against_rest(samples(case))
    for name, (difference, low, high, p) in r["rest"].items():
        row = found.loc[name]
        np.testing.assert_allclose(
            row[["difference", "low", "high", "p_value"]].astype(float), [difference, low, high, p],
            rtol=1e-8)
        assert row["wide_low"] < row["low"] < row["high"] < row["wide_high"]
        everybody = np.concatenate(list(r["groups"].values()))
        assert row["standardised"] == pytest.approx(difference / everybody.std(ddof=1))
    np.testing.assert_allclose(found["p_adjusted"], r["holm"], rtol=1e-8)


def test_two_groups_are_welchs_t():
    rng = np.random.default_rng(1)
    a, b = Moments.of(rng.normal(0, 1, 30)), Moments.of(rng.normal(0.5, 3, 12))
    anova, t = several_means.welch_anova({"a": a, "b": b}), two_sample.welch(a, b)
    assert anova.statistic == pytest.approx(t.statistic**2)
    assert anova.df_denominator == pytest.approx(t.df)
    assert anova.p_value == pytest.approx(t.p_value)


values = st.lists(st.floats(-1e3, 1e3).map(lambda v: round(v, 3)), min_size=1, max_size=30)


@settings(max_examples=60)
@given(st.lists(values, min_size=1, max_size=5))
def test_parts_put_together_are_the_whole(parts):
    found = several_means.together(*(Moments.of(part) for part in parts))
    whole = Moments.of(np.concatenate(parts))
    assert found.n == whole.n
    assert found.mean == pytest.approx(whole.mean, abs=1e-9)
    assert found.variance == pytest.approx(whole.variance, abs=1e-6, nan_ok=True)


@settings(max_examples=60)
@given(values)
def test_moments_of_sums_are_those_of_the_values(sample):
    x = np.array(sample)
    found = several_means.moments_of_sums(len(x), x.sum(), (x**2).sum(), (x**3).sum())
    expected = Moments.of(x)
    assert found.mean == pytest.approx(expected.mean, abs=1e-9)
    assert found.variance == pytest.approx(expected.variance, abs=1e-5, rel=1e-6, nan_ok=True)
    if expected.n > 2 and expected.sd > 0.1 * np.abs(x).max():
        assert found.skewness == pytest.approx(expected.skewness, abs=1e-5)


def test_equal_values_have_no_spread_left():
    n, value = 12_345, 199.99
    found = several_means.moments_of_sums(n, n * value, n * value**2, n * value**3)
    assert found.variance == 0 and found.skewness is None
    assert several_means.moments_of_sums(0, 0, 0) is None


def test_omega_squared_covers_the_truth():
    """Over simulated studies the interval holds the share that the group means truly explain."""
    rng = np.random.default_rng(5)
    means, size = np.array([0.0, 0.1, 0.4]), 80
    truth = means.var() / (means.var() + 1)
    held = 0
    for _ in range(150):
        groups = {i: Moments.of(rng.normal(m, 1, size)) for i, m in enumerate(means)}
        effect = several_means.welch_anova(groups).effect
        held += effect.low <= truth <= effect.high
    # The interval is for lambda / (lambda + n), whose expectation is the truth.
    assert stats.binomtest(held, 150, 0.95).pvalue > 0.001


def test_bad_input_is_named():
    fine = Moments(10, 1.0, 2.0)
    with pytest.raises(ValueError, match="at least 2"):
        several_means.welch_anova({"a": fine})
    with pytest.raises(ValueError, match="'b'"):
        several_means.welch_anova({"a": fine, "b": Moments(5, 1.0, 0.0)})
    assert several_means.against_rest({"a": fine})["difference"].isna().all()
    assert several_means.against_rest({}).empty
