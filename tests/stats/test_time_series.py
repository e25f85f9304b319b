"""Averages, log-linear regression with robust errors, STL and forecasts of daily series."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.simulate.customers import TRUTH, YEAR
from analysis.stats import time_series as ts

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "time_series.json").read_text())
DAYS = 731
CENTS, WEIGHTS = np.array(list(TRUTH["skus"].values())).T
AVERAGES = (ts.rolling(7), ts.rolling(28), ts.exponential(7), ts.exponential(28))

series = st.lists(st.floats(0, 1e6), min_size=1, max_size=80)


# --- Averages -------------------------------------------------------------------------------------

@given(series, st.sampled_from(AVERAGES))
def test_averages_equal_pandas(values, average):
    y = pd.Series(values)
    span = int(average.name.split()[-1 if average.half_life else 1])
    expected = (y.ewm(span=span) if average.half_life else y.rolling(span)).mean()
    np.testing.assert_allclose(average.of(values), expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("window", [2, 7, 28])
def test_averages_of_a_span_share_lag_and_noise(window):
    for average in (ts.rolling(window), ts.exponential(window)):
        assert average.lag == pytest.approx((window - 1) / 2)
        assert average.noise == pytest.approx(1 / math.sqrt(window))


@pytest.mark.parametrize("average", AVERAGES, ids=lambda average: average.name)
def test_properties_of_an_average_are_what_it_does_to_series(average):
    start, n = 600, 1000
    t = np.arange(n)
    line = average.of(t)[start:]
    assert line == pytest.approx(t[start:] - average.lag)
    step = average.of((t >= start) * 1.0)[start:]
    assert int(np.argmax(step >= 0.5 - 1e-12)) + 1 == average.half
    assert int(np.argmax(step >= 0.9 - 1e-12)) + 1 == average.most
    assert average.of((t == start) * 1.0)[start] == pytest.approx(average.newest)
    wave = average.of(1 + np.cos(2 * np.pi * t / 7))[start : start + 7 * 50] - 1
    assert math.sqrt(2 * np.mean(wave**2)) == pytest.approx(average.wave(7), abs=1e-9)
    noise = average.of(100 + np.random.default_rng(1).normal(size=200_000))[start:]
    assert noise.std() == pytest.approx(average.noise, rel=0.03)
    if average.half_life:
        weight = average.weights[0] * 0.5 ** (np.arange(20) / average.half_life)
        assert average.weights[:20] == pytest.approx(weight)


def test_only_averages_of_whole_weeks_hide_the_week():
    assert [average.wave(7) < 1e-9 for average in AVERAGES] == [True, True, False, False]


@pytest.mark.parametrize("make, window", [(ts.rolling, 0), (ts.rolling, 1.5), (ts.exponential, 1)])
def test_bad_windows_are_refused(make, window):
    with pytest.raises(ValueError, match="whole number"):
        make(window)


# --- Regression -----------------------------------------------------------------------------------

def small_fit(lags: int = 7) -> ts.LogLinear:
    t = np.arange(len(R["y"]))
    design = pd.DataFrame({"const": 1.0, "trend": t / YEAR, "step": (t >= 70) * 1.0,
                           "sine": np.sin(2 * np.pi * t / 7)})
    return ts.log_linear(R["y"], design, lags)


def test_regression_equals_r():
    fit = small_fit()
    factor = fit.n / (fit.n - 4) * ts.fixed_b(7, fit.n) ** 2
    np.testing.assert_allclose(fit.estimates, R["estimates"], rtol=1e-6)
    np.testing.assert_allclose(fit.robust / factor, R["hac"], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(fit.naive, R["naive"], rtol=1e-5, atol=1e-9)
    assert fit.dispersion == pytest.approx(R["dispersion"], rel=1e-6)
    np.testing.assert_allclose(ts.autocorrelation(fit.residuals, 10), R["acf"], atol=1e-6)
    assert ts.ljung_box(fit.residuals, 7) == pytest.approx(R["ljung_box"], rel=1e-5)


def test_covariance_equals_statsmodels():
    fit = small_fit()
    reference = sm.GLM(R["y"], fit.design, family=sm.families.Poisson()).fit(
        cov_type="HAC", cov_kwds={"maxlags": 7})
    factor = fit.n / (fit.n - 4) * ts.fixed_b(7, fit.n) ** 2
    np.testing.assert_allclose(fit.robust / factor, reference.cov_params(), rtol=1e-6)


def test_decomposition_equals_r():
    parts = ts.decompose(np.sqrt(R["y"]), trend_days=29)
    np.testing.assert_allclose(parts.trend, R["trend"], atol=1e-6)
    np.testing.assert_allclose(parts.week, R["week"], atol=1e-6)


def test_r_still_gives_the_values_for_time_series(tmp_path):
    fresh = made_by_r(ORACLE / "time_series.R", tmp_path)
    assert fresh.keys() == R.keys()
    for name, values in R.items():
        np.testing.assert_allclose(fresh[name], values, rtol=1e-6, atol=1e-9)


def test_fixed_b_is_the_quantile_of_the_statistic():
    """The mean of white noise over its Newey-West error, at two widths of the kernel."""
    rng = np.random.default_rng(4)
    n, runs = 300, 6000
    noise = rng.normal(size=(n, runs))
    centred = noise - noise.mean(axis=0)
    for lags in (29, 89):
        total = (centred**2).sum(axis=0)
        for lag in range(1, lags + 1):
            total += 2 * (1 - lag / (lags + 1)) * (centred[lag:] * centred[:-lag]).sum(axis=0)
        t = np.abs(noise.sum(axis=0)) / np.sqrt(total)
        outside = (t > 1.96 * ts.fixed_b(lags, n)).mean()
        assert abs(outside - 0.05) < 3 * math.sqrt(0.05 * 0.95 / runs)


@given(st.floats(0.01, 1e5), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_units_move_the_constant_only(scale, seed):
    y = np.random.default_rng(seed).poisson(20, 60).astype(float)
    design = pd.DataFrame({"const": np.ones(60), "x": np.arange(60) / 60})
    one, other = ts.log_linear(y, design), ts.log_linear(y * scale, design)
    assert other.estimates["x"] == pytest.approx(one.estimates["x"], abs=1e-6)
    assert other.error("x") == pytest.approx(one.error("x"), rel=1e-5)
    shift = other.estimates["const"] - one.estimates["const"]
    assert shift == pytest.approx(math.log(scale), abs=1e-6)
    assert other.dispersion == pytest.approx(one.dispersion * scale, rel=1e-5)


def test_what_cannot_be_told_is_none():
    t = np.arange(60)
    design = pd.DataFrame({"const": np.ones(60), "half": (t >= 30) * 1.0})
    y = np.random.default_rng(0).poisson(5, 60)
    assert ts.log_linear(np.zeros(60), design) is None
    assert ts.log_linear(y * (t >= 30), design) is None  # nothing at all before
    assert ts.log_linear(y, design.assign(same=design["half"])) is None
    assert ts.log_linear(y[:8], design[:8]) is None
    with pytest.raises(ValueError, match="negative"):
        ts.log_linear(-1.0 * y - 1, design)


def test_wald_test_of_one_term_is_that_of_its_interval():
    fit = small_fit()
    for name in ("trend", "step"):
        interval = fit.combine({name: 1.0}, 1 - fit.p_value([name]))
        assert min(abs(interval.low), abs(interval.high)) == pytest.approx(0, abs=1e-9)


def test_step_scan_is_what_refits_give():
    """One Newton step against full fits, whose estimates are R's."""
    fit = small_fit()
    base = ts.log_linear(R["y"], fit.design.drop(columns="step"))
    days = [30, 50, 70, 90]
    z = ts.step_scan(base, days)
    t = np.arange(base.n)
    for day, score, estimate in zip(days, z, R["scan"], strict=True):
        refit = ts.log_linear(R["y"], base.design.assign(step=(t >= day) * 1.0))
        assert refit.estimates["step"] == pytest.approx(estimate, rel=1e-5)
        wald = refit.estimates["step"] / refit.error("step")
        assert score == pytest.approx(wald, rel=0.1, abs=0.1)
    # A step that the model has already leaves nothing to test.
    assert np.isnan(ts.step_scan(fit, [70])).all()


# --- Simulated series -----------------------------------------------------------------------------

def calendar(n: int) -> pd.DataFrame:
    """The design of the app's series: trend, year, week, and the release as a step."""
    t = np.arange(n)
    angle = 2 * np.pi * t / YEAR
    x = pd.DataFrame({"const": 1.0, "trend": t / YEAR, "cos": np.cos(angle), "sin": np.sin(angle)})
    for i, name in enumerate(ts.WEEKDAYS[:-1]):
        x[name] = ((t + 6) % 7 == i) * 1.0 - ((t + 6) % 7 == 6)
    return x.assign(release=(t >= 435) * 1.0)


def planted() -> pd.Series:
    views = TRUTH["views"]
    peak = 2 * np.pi * views["peak"] / YEAR
    return pd.Series({
        "trend": views["trend"], "cos": views["amplitude"] * np.cos(peak),
        "sin": views["amplitude"] * np.sin(peak), **dict(list(views["weekly"].items())[:-1]),
        "release": math.log(TRUTH["release"]["factor"]),
    })


def simulated(n: int, rng, drift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Purchases and revenue of n days by the generator's formula.

    `drift` is the sd of a level that wanders with correlation 0.6 from day to day.
    """
    x = calendar(n)
    truth = planted()
    log_mean = math.log(6.8) + x[truth.index].to_numpy() @ truth.to_numpy()
    level = np.zeros(n)
    if drift:
        steps = rng.normal(size=n) * drift
        level[0] = steps[0]
        for i in range(1, n):
            level[i] = 0.6 * level[i - 1] + 0.8 * steps[i]
    purchases = rng.poisson(np.exp(log_mean + level - drift**2 / 2))
    price = rng.choice(CENTS, purchases.sum(), p=WEIGHTS / WEIGHTS.sum())
    revenue = np.bincount(np.repeat(np.arange(n), purchases), price, n)
    return purchases.astype(float), revenue


def near(share: float, nominal: float, runs: int) -> bool:
    """Whether a share is within the binomial error of the nominal rate (three standard errors)."""
    return abs(share - nominal) < 3 * math.sqrt(nominal * (1 - nominal) / runs)


def z_values(
    runs: int, lags: int, drift: float = 0.0, errors_of: str = "covariance"
) -> pd.DataFrame:
    """Errors of the terms over their standard errors, a row a simulated series."""
    rng = np.random.default_rng(11)
    x, truth, rows = calendar(DAYS), planted(), []
    for _ in range(runs):
        fit = ts.log_linear(simulated(DAYS, rng, drift)[0], x, lags)
        errors = pd.Series(np.sqrt(np.diag(getattr(fit, errors_of))), index=fit.terms)
        rows.append((fit.estimates - truth) / errors)
    return pd.DataFrame(rows)[truth.index]


@pytest.mark.parametrize("drift", [0.0, 0.15])
def test_intervals_of_terms_cover(drift):
    """At 95% within 2 points, also where days depend on one another."""
    runs = 150
    covered = (z_values(runs, 7, drift).abs() < 1.96).mean()
    assert abs(covered.mean() - 0.95) < 0.02
    assert all(near(covered[name], 0.95, runs) for name in ("trend", "release"))


def test_more_lags_make_robust_errors_too_small():
    """Of trend and release, on the same series: the reason to stop at a week."""
    week, month = (
        np.sqrt((z_values(75, lags, errors_of="robust")[["trend", "release"]] ** 2).mean())
        for lags in (7, 28))
    assert (month > 1.03 * week).all()


@pytest.mark.parametrize("measure", [0, 1], ids=["purchases", "revenue"])
def test_forecast_intervals_cover(measure):
    """28 days ahead, of the total and of days, for whole numbers and for heavy-tailed payments."""
    rng = np.random.default_rng(5)
    ahead, runs = 28, 100
    x = calendar(DAYS + ahead)
    days, totals, widths, misses = [], [], [], []
    for run in range(runs):
        y = simulated(DAYS + ahead, rng)[measure]
        fit = ts.log_linear(y[:DAYS], x[:DAYS])
        f = ts.forecast(fit, x[DAYS:], whole=measure == 0, paths=500, seed=run)
        future = y[DAYS:]
        days.append(((f.low <= future) & (future <= f.high)).mean())
        totals.append(f.total_low <= future.sum() <= f.total_high)
        widths.append(f.total_high - f.total_low)
        misses.append(future.sum() - f.total)
    assert near(np.mean(totals), 0.95, runs)
    # Days of one forecast share its error, so their standard error is that between forecasts.
    error = np.std(days) / math.sqrt(runs)
    assert abs(np.mean(days) - 0.95) < 0.015 + 2 * error
    assert np.mean(widths) == pytest.approx(2 * 1.96 * np.std(misses), rel=0.15)
    assert abs(np.mean(misses)) < 3 * np.std(misses) / math.sqrt(runs)


def test_forecast_is_repeatable_and_ordered():
    y = simulated(200, np.random.default_rng(2))[0]
    x = calendar(228).drop(columns=["cos", "sin", "release"])
    fit = ts.log_linear(y, x[:200])
    one, same, other = (ts.forecast(fit, x[200:], seed=seed) for seed in (1, 1, 2))
    assert one.total_low == same.total_low != other.total_low
    assert (one.low <= one.mean).all() and (one.mean <= one.high).all()
    assert one.total == pytest.approx(one.mean.sum())
    wide = ts.forecast(fit, x[200:], seed=1, confidence=0.99)
    assert wide.total_low < one.total_low and one.total_high < wide.total_high


def test_a_forecast_does_not_depend_on_how_a_machine_signs_eigenvectors(monkeypatch):
    y = simulated(200, np.random.default_rng(2))[0]
    x = calendar(228).drop(columns=["cos", "sin", "release"])
    fit = ts.log_linear(y, x[:200])
    one = ts.forecast(fit, x[200:], seed=1)
    eigh = np.linalg.eigh

    def signed(matrix):
        values, vectors = eigh(matrix)
        return values, vectors * np.resize([-1, 1], len(values))

    monkeypatch.setattr(np.linalg, "eigh", signed)
    other = ts.forecast(fit, x[200:], seed=1)
    np.testing.assert_allclose(other.low, one.low)
    assert (other.total_low, other.total_high) == pytest.approx((one.total_low, one.total_high))


def test_decomposition_adds_up_and_finds_the_parts():
    t = np.arange(400)
    week = np.array([0, -1, -1, 0, 1, 2, -1.0])
    noise = 0.3 * np.random.default_rng(1).normal(size=400)
    y = 10 + 3 * np.sin(2 * np.pi * t / 400) + week[t % 7] + noise
    parts = ts.decompose(y)
    np.testing.assert_allclose(parts.trend + parts.week + parts.remainder, y)
    assert np.abs(parts.week - week[t % 7]).mean() < 0.15
    assert parts.trend_strength > 0.95 and parts.week_strength > 0.9
    assert ts.decompose(np.ones(60), 29).week_strength == 0


@given(st.lists(st.floats(0, 1e3), min_size=28, max_size=60), st.integers(1, 40))
def test_seasonal_naive_repeats_weekdays(values, days):
    last = ts.seasonal_naive(values, days)
    assert last.tolist() == [values[len(values) - 7 + i % 7] for i in range(days)]
    month = ts.seasonal_naive(values, days, 4)
    assert month[0] == pytest.approx(np.mean([values[len(values) - 7 * k] for k in (1, 2, 3, 4)]))


def test_residuals_of_the_right_model_show_no_autocorrelation():
    """Ljung-Box rejects white noise at its nominal rate."""
    rng = np.random.default_rng(8)
    p = np.array([ts.ljung_box(rng.normal(size=200), 7) for _ in range(300)])
    assert near((p < 0.05).mean(), 0.05, 300)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_errors_are_those_of_independent_days_or_larger():
    t = np.arange(200)
    y = np.random.default_rng(2).poisson(9 * np.exp(0.15 * np.sin(t / 9)))
    x = pd.DataFrame({"const": 1.0, "trend": t / 100, "odd": (t % 2) * 1.0})
    fit = ts.log_linear(y, x)
    robust, naive = (np.sqrt(np.diag(matrix)) for matrix in (fit.robust, fit.naive))
    assert (robust < naive).any() and (robust > naive).any()
    np.testing.assert_allclose([fit.error(name) for name in x], np.maximum(robust, naive))
    # Correlations stay the robust ones.
    np.testing.assert_allclose(
        fit.covariance / np.outer(*2 * [np.sqrt(np.diag(fit.covariance))]),
        fit.robust / np.outer(robust, robust))
