"""Empirical Bayes against R, published tables, definitions and known truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import integrate, stats

from analysis.stats import shrinkage

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "shrinkage.json").read_text())
# Efron & Morris (1975), table 1: hits in the first 45 at bats of 1970, and the average of the rest
# of the season (table 2 of Efron & Morris 1977).
HITS = (18, 17, 16, 15, 14, 14, 13, 12, 11, 11, 10, 10, 10, 10, 10, 9, 8, 7)
SEASON = (0.346, 0.298, 0.276, 0.222, 0.273, 0.270, 0.263, 0.210, 0.269, 0.230, 0.264, 0.256,
          0.303, 0.264, 0.226, 0.286, 0.316, 0.200)
# Rubin (1981): eight schools; Gelman et al. (2013), table 5.3, gives medians and 95% limits from
# 200 simulations.
EFFECTS, ERRORS = (28, 8, -3, 7, -1, 1, 18, 12), (15, 10, 16, 11, 9, 11, 10, 18)
SCHOOLS = {"median": (10, 8, 7, 7, 5, 6, 10, 8), "low": (-2, -5, -11, -7, -9, -7, -1, -6),
           "high": (31, 23, 19, 21, 18, 28, 26, 33)}


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "shrinkage.R", tmp_path)
    for part in ("beta_binomial", "mixed"):
        for name, value in REFERENCE[part].items():
            if not isinstance(value, dict) and name != "g":
                np.testing.assert_allclose(fresh[part][name], value, rtol=1e-5)


def test_beta_binomial_equals_vgam():
    r = REFERENCE["beta_binomial"]
    found = shrinkage.beta_binomial(r["successes"], r["trials"])
    assert found.mean == pytest.approx(r["mean"], rel=1e-4)
    assert 1 / (found.weight + 1) == pytest.approx(r["rho"], rel=1e-3)
    # At least as high a maximum.
    assert found.log_likelihood == pytest.approx(r["log_likelihood"], abs=1e-5)
    assert found.log_likelihood > r["log_likelihood"] - 1e-7


def test_smoothed_batting_averages_foretell_the_season():
    """They come out nearer to the rest of the season than the raw ones, as in 1975."""
    found = shrinkage.beta_binomial(HITS, [45] * 18)
    raw, season = np.array(HITS) / 45, np.array(SEASON)
    error, smoothed = (np.square(values - season).sum() for values in (raw, found.rates))
    # Efron & Morris give 0.077 for the raw averages and 0.022 for theirs.
    assert error == pytest.approx(0.077, abs=0.002)
    assert smoothed == pytest.approx(0.022, abs=0.003)
    assert (np.diff(found.rates) <= 0).all() and np.ptp(found.rates) < 0.3 * np.ptp(raw)


def test_a_smoothed_rate_is_what_integration_over_all_priors_gives():
    """Posterior mean, limits and probability, by brute force over mean and root of rho."""
    x, n = np.array([2, 9, 30, 11]), np.array([20, 30, 60, 50])
    found = shrinkage.beta_binomial(x, n)
    means, roots = np.linspace(0.01, 0.99, 120), np.linspace(0.001, 0.999, 150)
    m, r = (part.ravel() for part in np.meshgrid(means, roots))
    a, b = m * (1 / r**2 - 1), (1 - m) * (1 / r**2 - 1)
    log = sum(stats.betabinom.logpmf(k, size, a, b) for k, size in zip(x, n, strict=True))
    w = np.exp(log - log.max())
    w /= w.sum()
    rates = np.array([w @ ((a + k) / (a + b + size)) for k, size in zip(x, n, strict=True)])
    np.testing.assert_allclose(found.rates, rates, atol=5e-4)
    above = [w @ stats.beta.sf(m, a + k, b + size - k) for k, size in zip(x, n, strict=True)]
    np.testing.assert_allclose(found.above, above, atol=3e-3)
    # The limits are those of one beta in place of the mixture: near, not equal.
    for i in range(4):
        inside = w @ (stats.beta.cdf(found.highs[i], a + x[i], b + n[i] - x[i])
                      - stats.beta.cdf(found.lows[i], a + x[i], b + n[i] - x[i]))
        assert inside == pytest.approx(0.95, abs=0.012)


def test_limits_hold_the_true_rates_as_often_as_they_say():
    rng = np.random.default_rng(3)
    inside, spreads = [], []
    for spread, worlds in ((0.0, 3), (0.02, 12), (0.06, 12)):
        for _ in range(worlds):
            n = np.maximum(5, rng.lognormal(4.6, 1.3, 50).astype(int))
            size = np.inf if spread == 0 else 0.4 * 0.6 / spread**2 - 1
            p = np.full(50, 0.4) if spread == 0 else rng.beta(0.4 * size, 0.6 * size, 50)
            found = shrinkage.beta_binomial(rng.binomial(n, p), n)
            inside.append(((found.lows <= p) & (p <= found.highs)).mean())
            spreads.append((spread, found.spread, found.spread_low <= spread <= found.spread_high))
    assert 0.92 < np.mean(inside) < 0.98
    wide = [found for spread, found, _ in spreads if spread == 0.06]
    assert np.mean(wide) == pytest.approx(0.06, abs=0.006)
    assert np.mean([held for spread, _, held in spreads if spread > 0]) > 0.8  # of 24


def test_no_spread_where_groups_are_alike():
    found = shrinkage.beta_binomial([20, 40, 10], [100, 200, 50])
    assert found.spread == 0 and found.p_value == 1 and found.weight == np.inf
    assert found.mean == found.pooled == 0.2
    assert (found.highs > found.lows).all()  # the data can't rule a spread out


def test_half_of_the_p_values_of_equal_groups_are_one():
    """And few are below 5%: the border of the parameter space is seen to."""
    rng = np.random.default_rng(8)
    p = [shrinkage.beta_binomial(rng.binomial(80, 0.3, 20), np.full(20, 80)).p_value
         for _ in range(25)]
    assert 0.3 < np.mean(np.array(p) == 1) < 0.75
    assert np.mean(np.array(p) < 0.05) < 0.12


@settings(max_examples=12)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=2, max_size=12)
       .filter(lambda rows: sum(a + b for a, b in rows) > 0))
def test_rates_are_drawn_together(rows):
    x = np.array([a for a, _ in rows])
    n = np.array([a + b for a, b in rows])
    found = shrinkage.beta_binomial(x, n)
    assert ((found.lows >= 0) & (found.lows <= found.rates) & (found.rates <= found.highs)
            & (found.highs <= 1)).all()
    order = np.random.default_rng(1).permutation(len(n))
    again = shrinkage.beta_binomial(x[order], n[order])
    np.testing.assert_allclose(again.rates, found.rates[order], atol=1e-12)
    # Failures for successes.
    other = shrinkage.beta_binomial(n - x, n)
    np.testing.assert_allclose(other.rates, 1 - found.rates, atol=2e-3)
    # Under every prior groups of one size keep the same part of what they differ by.
    first, second = np.nonzero((n[:, None] == n) & (n > 0))
    apart = (x[first] - x[second]) / n[first]
    left = found.rates[first] - found.rates[second]
    assert (np.abs(left) <= np.abs(apart) + 1e-12).all()
    assert (left * apart >= 0).all()


def test_eight_schools():
    found = shrinkage.normal(EFFECTS, ERRORS)
    # Medians of skewed distributions of 200 draws, against means: within two points of each other.
    assert np.abs(found.means - SCHOOLS["median"]).max() < 2
    assert np.abs(found.lows - SCHOOLS["low"]).mean() < 3
    assert np.abs(found.highs - SCHOOLS["high"]).mean() < 4
    y, e = np.array(EFFECTS), np.array(ERRORS)

    def posterior(tau, power):
        """Unnormalised density of the spread times E(first school | spread) to a power."""
        w = 1 / (e**2 + tau**2)
        mu = w @ y / w.sum()
        density = np.sqrt(1 / w.sum() * w.prod()) * np.exp(-(w @ (y - mu) ** 2) / 2)
        return density * (mu + tau**2 / (tau**2 + e[0] ** 2) * (y[0] - mu)) ** power

    one, first = (integrate.quad(posterior, 0, np.inf, args=(k,))[0] for k in (0, 1))
    assert found.means[0] == pytest.approx(first / one, abs=0.05)


def test_normal_equals_metafor():
    r = REFERENCE["mixed"]
    found = shrinkage.normal(r["y"], np.sqrt(r["v"]))
    only = r["only"]
    assert found.spread == pytest.approx(only["spread"], rel=1e-6)
    assert found.mean == pytest.approx(only["mean"], rel=1e-6)
    assert found.standard_error == pytest.approx(only["se"], rel=1e-6)
    assert (found.q, found.p_value) == pytest.approx((only["q"], only["p"]), rel=1e-8)
    scaled = shrinkage.normal(100 * np.array(r["y"]), 100 * np.sqrt(r["v"]))
    np.testing.assert_allclose(scaled.means, 100 * found.means, rtol=1e-6)


def test_mixed_equals_metafor():
    r = REFERENCE["mixed"]
    design = np.column_stack([np.ones(15), r["x"]])
    found = shrinkage.mixed(r["y"], r["v"], design, r["g"])
    assert found.between == pytest.approx(r["between"], rel=1e-4)
    assert found.between_groups == pytest.approx(r["between_groups"], rel=1e-4)
    np.testing.assert_allclose(found.coefficients, r["coefficients"], rtol=1e-5)
    np.testing.assert_allclose(found.standard_errors, r["standard_errors"], rtol=1e-5)
    flat = shrinkage.mixed(r["y"], r["v"], design)
    assert flat.between == pytest.approx(r["flat"]["between"], rel=1e-6)
    np.testing.assert_allclose(flat.coefficients, r["flat"]["coefficients"], rtol=1e-6)
    np.testing.assert_allclose(flat.deviation, r["flat"]["deviation"], rtol=1e-5)


def test_what_is_expected_comes_from_the_others_alone():
    """By leaving each item out and predicting it from the joint normal distribution."""
    rng = np.random.default_rng(5)
    groups = np.repeat(list("abcdef"), (6, 1, 4, 3, 5, 5))
    x = np.column_stack([np.ones(24), rng.normal(size=24)])
    v = rng.uniform(0.02, 0.3, 24)
    y = x @ [1, -0.5] + rng.normal(size=6)[np.unique(groups, return_inverse=True)[1]]
    y += rng.normal(size=24) * np.sqrt(v + 0.2)
    found = shrinkage.mixed(y, v, x, groups)
    cov = found.between_groups**2 * (groups[:, None] == groups) + np.diag(v + found.between**2)
    for i in range(24):
        rest = np.arange(24) != i
        inverse = np.linalg.inv(cov[np.ix_(rest, rest)])
        error = np.linalg.inv(x[rest].T @ inverse @ x[rest])
        beta = error @ x[rest].T @ inverse @ y[rest]
        pull = cov[i, rest] @ inverse
        expected = x[i] @ beta + pull @ (y[rest] - x[rest] @ beta)
        gap = x[i] - pull @ x[rest]
        variance = cov[i, i] - pull @ cov[rest, i] + gap @ error @ gap
        assert found.expected[i] == pytest.approx(expected, abs=1e-9)
        assert found.prediction_se[i] == pytest.approx(np.sqrt(variance), rel=1e-9)
    np.testing.assert_allclose(found.prediction_se**2 - found.deviation_se**2, found.between**2)
    assert (np.abs(found.shrunk) < np.abs(found.deviation)).all()


def test_limits_are_spiegelhalters():
    """Between them lies the share of groups that they name; inflated, a normal interval."""
    for n in (40, 300, 5_000):
        for confidence in (0.95, 0.998):
            low, high = (float(v[0]) for v in shrinkage.limits(0.3, [n], confidence))
            # His interpolation: the cumulative probability, linear between whole numbers, is met.
            for limit, p in ((low, (1 - confidence) / 2), (high, (1 + confidence) / 2)):
                k = np.ceil(limit * n - 1e-9)
                below, at = stats.binom.cdf([k - 1, k], n, 0.3)
                assert below + (at - below) * (limit * n - (k - 1)) == pytest.approx(p, abs=1e-6)
    low, high = shrinkage.limits(0.3, [400], 0.95, inflation=4)
    assert (high - low)[0] == pytest.approx(2 * 2 * stats.norm.isf(0.025) * np.sqrt(0.21 / 400))


def test_over_dispersion_ignores_a_few_far_off():
    rng = np.random.default_rng(2)
    z = rng.normal(size=500)
    plain = shrinkage.over_dispersion(z)
    assert plain == 1  # winsorised values scatter less than all
    wide = shrinkage.over_dispersion(2 * z)
    z[:10] = 30
    assert wide == pytest.approx(shrinkage.over_dispersion(2 * z), rel=0.1)
    assert 2 < wide < 4


@pytest.mark.parametrize(("call", "what"), [
    (lambda: shrinkage.beta_binomial([3], [2]), "successes"),
    (lambda: shrinkage.beta_binomial([0.5], [2]), "successes"),
    (lambda: shrinkage.beta_binomial([0, 0], [0, 0]), "trials"),
    (lambda: shrinkage.beta_binomial([1], [2, 3]), "successes"),
    (lambda: shrinkage.normal([1, 2], [1, 1]), "means"),
    (lambda: shrinkage.normal([1, 2, 3], [1, 0, 1]), "errors"),
    (lambda: shrinkage.mixed([1, 2], [1, 1], np.ones((2, 1))), "y"),
    (lambda: shrinkage.mixed([1, 2, 4, 5], [1] * 4, np.ones((4, 2))), "design"),
    (lambda: shrinkage.mixed([1, 2, 4], [1, -1, 1], np.ones((3, 1))), "variances"),
    (lambda: shrinkage.limits(0.3, [10.5], 0.95), "sizes"),
    (lambda: shrinkage.limits(1.0, [10], 0.95), "target"),
])
def test_bad_input_is_named(call, what):
    with pytest.raises(ValueError, match=f"^{what}"):
        call()
