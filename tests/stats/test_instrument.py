"""Two-stage least squares against R, statsmodels, its definition, a textbook and known truth."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from statsmodels.sandbox.regression.gmm import IV2SLS

from analysis.stats import instrument as study
from analysis.stats.regression import Column, design

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "instrument.json").read_text())
Z = stats.norm.isf(0.025)


def numbers(column):
    return design([(Column("x", "one", "0", numeric=True), np.asarray(column, float))], len(column))


def of(name):
    r = R[name]
    x = numbers(r["x"]) if "x" in r and name == "continuous" else None
    return study.two_stage(r["y"], r["d"], r["z"], covariates=x), r


def close(found, expected, **limits):
    np.testing.assert_allclose(found, expected, **({"rtol": 1e-9, "atol": 1e-11} | limits))


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "instrument.R", tmp_path)
    for name, values in R.items():
        assert fresh[name].keys() == values.keys()
        for key in values:
            close(fresh[name][key], values[key], rtol=1e-7)


@pytest.mark.parametrize("name", ["binary", "continuous", "cigarettes", "weak"])
def test_estimates_equal_r(name):
    found, r = of(name)
    for interval, (value, error) in ((found.first_stage, r["stage"]), (found.effect, r["effect"]),
                                     (found.reduced_form, r["form"])):
        close([interval.estimate, interval.low, interval.high],
              [value, value - Z * error, value + Z * error])
    close([found.standard_error, found.f], [r["effect"][1], r["f"]])
    close(found.p_value, 2 * stats.norm.sf(abs(r["form"][0] / r["form"][1])))
    assert found.weak == (r["f"] < 10)
    if "region" in r:
        assert found.region.shape == study.INTERVAL
        close([found.region.low, found.region.high], r["region"], rtol=1e-8)


def test_a_textbook_prints_the_same():
    """Stock & Watson's demand for cigarettes: -1.08 with an error of 0.32."""
    found, _ = of("cigarettes")
    assert (round(found.effect.estimate, 2), round(found.standard_error, 2)) == (-1.08, 0.32)
    assert not found.weak


@pytest.mark.parametrize("name", ["binary", "continuous"])
def test_estimates_equal_statsmodels(name):
    found, r = of(name)
    known = [np.ones(len(r["y"])), *([r["x"]] if name == "continuous" else [])]
    fit = IV2SLS(np.array(r["y"]), np.column_stack([*known, r["d"]]),
                 np.column_stack([*known, r["z"]])).fit()
    close(found.effect.estimate, fit.params[-1], rtol=1e-8)


def grid(found, values, y, d, z):
    """Effects that a robust regression of y - effect d on z does not reject."""
    kept = []
    for b in values:
        fit = sm.OLS(y - b * d, sm.add_constant(z)).fit(cov_type="HC1")
        kept.append((fit.params[1] / fit.bse[1]) ** 2 <= Z**2)
    return np.array(kept)


@pytest.mark.parametrize("seed", range(12))
def test_the_region_is_what_its_test_does_not_reject(seed):
    """Weak instruments too: an interval, all but an interval, or everything."""
    rng = np.random.default_rng(seed)
    u, z = rng.standard_normal((2, 60))
    d = (0.0, 0.2, 0.5)[seed % 3] * z + u + rng.standard_normal(60)
    y = d + 2 * u + rng.standard_normal(60)
    found = study.two_stage(y, d, z)
    values = np.linspace(-30, 30, 601)
    kept = grid(found, values, y, d, z)
    assert kept.tolist() == [found.region.contains(b) for b in values]
    assert found.region.contains(found.effect.estimate)
    assert found.region.contains(0) == (found.p_value >= 0.05)
    bounded = found.f > Z**2
    assert (found.region.shape == study.INTERVAL) == bounded
    assert math.isinf(found.region.high) == (found.region.shape == study.EVERYTHING)


def test_all_shapes_of_the_region_are_met():
    """The test above means something only if its samples have them."""
    shapes = set()
    for seed in range(12):
        rng = np.random.default_rng(seed)
        u, z = rng.standard_normal((2, 60))
        d = (0.0, 0.2, 0.5)[seed % 3] * z + u + rng.standard_normal(60)
        shapes.add(study.two_stage(d + 2 * u + rng.standard_normal(60), d, z).region.shape)
    assert shapes == {study.INTERVAL, study.OUTSIDE, study.EVERYTHING}


cells = st.lists(st.integers(1, 30), min_size=8, max_size=8)


def binary(counts):
    frame = pd.DataFrame([(z, d, y) for z in (0, 1) for d in (0, 1) for y in (0, 1)],
                         columns=["z", "d", "y"]).astype(float)
    return frame, np.array(counts)


@settings(max_examples=60)
@given(counts=cells)
def test_of_binary_counts_it_is_walds_ratio(counts):
    frame, n = binary(counts)
    mean = {(name, z): np.average(frame[name][frame.z == z], weights=n[frame.z == z])
            for name in "dy" for z in (0, 1)}
    moved = mean["d", 1] - mean["d", 0]
    assume(abs(moved) > 1e-9)
    found = study.two_stage(frame.y, frame.d, frame.z, n)
    close(found.first_stage.estimate, moved)
    close(found.reduced_form.estimate, mean["y", 1] - mean["y", 0])
    close(found.effect.estimate * moved, mean["y", 1] - mean["y", 0], atol=1e-10)
    assert found.n == sum(counts)


@settings(max_examples=40)
@given(counts=cells, seed=st.integers(0, 99))
def test_counts_order_and_units_do_not_matter(counts, seed):
    frame, n = binary(counts)
    try:
        found = study.two_stage(frame.y, frame.d, frame.z, n)
    except ValueError:
        return
    rows = frame.loc[np.repeat(frame.index, n)].sample(frac=1, random_state=seed)
    single = study.two_stage(rows.y, rows.d, rows.z)
    ends = ["low", "high"]
    close([getattr(single.effect, e) for e in ends], [getattr(found.effect, e) for e in ends])
    assert single.f == pytest.approx(found.f, rel=1e-8)
    # Hours in minutes, treatments counted from another zero, an instrument turned round.
    other = study.two_stage(5 + 60 * frame.y, 3 - frame.d, 10 - 2 * frame.z, n)
    close(other.effect.estimate, -60 * found.effect.estimate, rtol=1e-6, atol=1e-8)
    close([other.p_value, other.f], [found.p_value, found.f], rtol=1e-6)
    if found.region.shape != study.EVERYTHING:
        close([other.region.low, other.region.high],
              [-60 * found.region.high, -60 * found.region.low], rtol=1e-4, atol=1e-6)
        assert other.region.shape == found.region.shape


def test_covariates_can_be_spread_over_counts():
    r = R["continuous"]
    half = np.array(r["x"]) > 0
    frame = pd.DataFrame({"y": np.round(r["y"]), "d": np.round(r["d"]),
                          "z": np.array(r["z"]) > 0.2, "x": half}).astype(float)
    grouped = frame.groupby(list(frame), as_index=False).size()
    a = study.two_stage(frame.y, frame.d, frame.z, covariates=numbers(frame.x))
    b = study.two_stage(grouped.y, grouped.d, grouped.z, grouped["size"],
                        covariates=numbers(grouped.x))
    close([a.effect.low, a.effect.high, a.region.low, a.f],
          [b.effect.low, b.effect.high, b.region.low, b.f], rtol=1e-8)


def drawn(rng, n, strength):
    """A binary treatment that a hidden cause drives as well; its effect is 0.5 for everybody."""
    u = rng.standard_normal(n)
    z = (rng.random(n) < 0.3).astype(float)
    d = (u + strength * z + rng.standard_normal(n) > 0.8).astype(float)
    return 0.5 * d - u + rng.standard_normal(n), d, z


def test_truth_is_covered_where_plain_regression_misses_it():
    rng = np.random.default_rng(4)
    wald = region = plain = 0
    for _ in range(300):
        y, d, z = drawn(rng, 600, 1.5)
        found = study.two_stage(y, d, z)
        wald += found.effect.contains(0.5)
        region += found.region.contains(0.5)
        low, high = sm.OLS(y, sm.add_constant(d)).fit(cov_type="HC1").conf_int()[1]
        plain += low <= 0.5 <= high
    error = math.sqrt(300 * 0.05 * 0.95)
    assert abs(region - 285) < 3 * error and abs(wald - 285) < 3.5 * error
    assert plain == 0


def test_the_region_keeps_its_level_where_the_instrument_is_weak():
    """And the usual interval does not: it sits at the confounded value."""
    rng = np.random.default_rng(5)
    covered = wald = 0
    for _ in range(400):
        u, z = rng.standard_normal((2, 100))
        d = 0.05 * z + u
        found = study.two_stage(0.5 * d - 3 * u, d, z)
        covered += found.region.contains(0.5)
        wald += found.effect.contains(0.5)
    assert abs(covered - 380) < 3.5 * math.sqrt(400 * 0.05 * 0.95)
    assert wald < covered - 40


def test_perfect_compliance_is_a_plain_comparison():
    z = np.repeat([0.0, 1.0], 20)
    y = np.random.default_rng(1).random(40)
    found = study.two_stage(y, z, z)
    assert found.f == math.inf and not found.weak
    close([found.effect.low, found.effect.high, found.region.low, found.region.high],
          2 * [found.reduced_form.low, found.reduced_form.high])


def test_what_cannot_be_estimated_is_refused():
    y, d, z = [0, 1, 1, 0, 1], [0, 1, 0, 0, 1], [0, 1, 0, 1, 1]
    same = [1] * 5
    for name, data in (("outcome", (same, d, z)), ("treatment", (y, same, z)),
                       ("instrument", (y, d, same))):
        with pytest.raises(ValueError, match=f"{name}: does not vary"):
            study.two_stage(*data)
    with pytest.raises(ValueError, match="not at all"):
        study.two_stage([0, 1, 0, 1, 1], [0, 1, 0, 1, 0.5], [0, 0, 1, 1, 0.5])
    with pytest.raises(ValueError, match="equal lengths"):
        study.two_stage(y, d, [0, 1])
    with pytest.raises(ValueError, match="whole"):
        study.two_stage(y, d, z, [1, 1, 1, 1, 0.5])
    with pytest.raises(ValueError, match="more than 2"):
        study.two_stage([0, 1], [0, 1], [0, 1])
    with pytest.raises(ValueError, match="instrument: does not vary"):
        study.two_stage(y, d, z, covariates=numbers(z))
    with pytest.raises(ValueError, match="told apart"):
        study.two_stage(y, d, z, covariates=numbers(same))
