"""Cox's regression against R, statsmodels, its own definition and known truth."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg

from analysis.stats import cox as study
from analysis.stats import survival
from analysis.stats.regression import Column, design, indicators

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "cox.json").read_text())
TRT, KARNO = (np.array(R[name], dtype=float) for name in ("trt", "karno"))
STATUS = np.array(R["status"])
TYPES = ("squamous", "smallcell", "adeno", "large")  # in R's order


def numbers(*columns):
    """A design of plain numbers."""
    named = [(Column(f"x{i}", "one", "0", numeric=True), np.asarray(c, dtype=float))
             for i, c in enumerate(columns)]
    return design(named, len(columns[0]))


def veterans():
    types = np.array(R["celltype"])
    kinds = [(Column("celltype", name, TYPES[0]), (types == name).astype(float))
             for name in TYPES[1:]]
    return design([(Column("trt", "one", "0", numeric=True), TRT), *kinds,
                   (Column("karno", "one", "0", numeric=True), KARNO)], len(TRT))


def close(found, expected, **limits):
    np.testing.assert_allclose(found, expected, **({"rtol": 1e-8, "atol": 1e-11} | limits))


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "cox.R", tmp_path)
    assert fresh["celltype"] == R["celltype"] and fresh["months"] == R["months"]
    for name, fit in R["fits"].items():
        for key, values in fit.items():
            close(fresh["fits"][name][key], values, rtol=1e-6)


@pytest.mark.parametrize("unit", ["days", "months"])
@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_fit_and_check_equal_r(unit, ties):
    data = veterans(), R[unit], STATUS, 1 - STATUS
    fit, r = study.cox(*data, ties=ties), R["fits"][f"{unit}_{ties}"]
    close(fit.params, r["params"])
    close(fit.coefficients.standard_error, r["error"])
    close(fit.covariance.ravel(), r["covariance"], rtol=1e-7)
    close([fit.log_likelihood_null, fit.log_likelihood], [r["null"], r["loglik"]])
    check = study.proportional_hazards(fit, *data)
    close([*check.columns.statistic, check.statistic], r["zph"], rtol=1e-6)
    close([*check.columns.p_value, check.p_value], r["zph_p"], rtol=1e-6)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_fit_equals_statsmodels(ties):
    x = veterans()
    fit = study.cox(x, R["months"], STATUS, 1 - STATUS, ties=ties)
    other = PHReg(R["months"], x.matrix[:, 1:], STATUS, ties=ties).fit(disp=0)
    close(fit.params, other.params, rtol=1e-6)
    close(fit.coefficients.standard_error, other.bse, rtol=1e-6)


counted = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)),
    min_size=6, max_size=14)


def fitted(x, *counts, **options):
    """The fit, or None where there is none."""
    try:
        return study.cox(x, *counts, **options)
    except ValueError:
        return None


@settings(max_examples=40)
@given(rows=counted, seed=st.integers(0, 99))
def test_counts_order_and_units_do_not_matter(rows, seed):
    t, group, d, c = map(np.array, zip(*rows, strict=True))
    fit = fitted(numbers(group), t, d, c)
    if fit is None:
        return
    # One row a subject, shuffled; times on another scale.
    people = [(u, g, e) for u, g, n, m in rows for e, k in ((1, n), (0, m)) for _ in range(k)]
    np.random.default_rng(seed).shuffle(people)
    u, g, e = map(np.array, zip(*people, strict=True))
    single = study.cox(numbers(g), 7.5 * u, e, 1 - e)
    close(single.params, fit.params, rtol=1e-6, atol=1e-8)
    close(single.log_likelihood, fit.log_likelihood)
    assert (single.n, single.events) == (fit.n, fit.events)
    # A covariate in other units, and counted from elsewhere.
    moved = study.cox(numbers(1000 - 10 * group), t, d, c)
    close(-10 * moved.params, fit.params, rtol=1e-5, atol=1e-7)
    close(moved.coefficients.p_value, fit.coefficients.p_value, rtol=1e-5, atol=1e-9)


@settings(max_examples=30)
@given(rows=counted)
def test_the_likelihood_is_that_of_its_definition_and_highest_there(rows):
    t, group, d, c = map(np.array, zip(*rows, strict=True))
    fit = fitted(numbers(group), t, d, c)
    if fit is None:
        return

    def likelihood(beta):
        total = 0.0
        for u in np.unique(t[d > 0]):
            dead = [beta * g for v, g, n, _ in rows if v == u for _ in range(n)]
            risk = sum((n + m) * np.exp(beta * g) for v, g, n, m in rows if v >= u)
            share = np.exp(dead).sum() / len(dead)
            total += sum(dead) - sum(np.log(risk - k * share) for k in range(len(dead)))
        return total

    best = fit.params[0]
    close(fit.log_likelihood, likelihood(best))
    close(fit.log_likelihood_null, likelihood(0))
    assert likelihood(best) >= max(likelihood(best - 1e-3), likelihood(best + 1e-3)) - 1e-12
    step = 1e-4
    curvature = -(likelihood(best + step) - 2 * likelihood(best) + likelihood(best - step))
    close(1 / fit.covariance[0, 0], curvature / step**2, rtol=1e-3, atol=1e-5)


def test_without_ties_the_score_test_is_the_log_rank_test():
    """With a hazard ratio near 1 the likelihood ratio is close to it, and ties do not matter."""
    rng = np.random.default_rng(3)
    group = np.repeat([0, 1], 500)
    t = rng.exponential(1 / (1 + 0.1 * group))
    d = (rng.random(1000) < 0.8).astype(int)
    x = numbers(group)
    fits = [study.cox(x, t, d, 1 - d, ties=ties) for ties in ("efron", "breslow")]
    close(fits[0].params, fits[1].params)
    test = survival.log_rank({g: (t[group == g], d[group == g], 1 - d[group == g]) for g in (0, 1)})
    assert fits[0].likelihood_ratio == pytest.approx(test.statistic, rel=0.01)


def sample(rng, n, log_ratio, late=None):
    """Times of two groups, censored, in whole units; `late`: another log hazard ratio from 1 on."""
    group = np.repeat([0, 1], n)
    early = rng.exponential(1 / np.exp(log_ratio * group))
    t = early if late is None else np.where(
        early > 1, 1 + rng.exponential(1 / np.exp(late * group)), early)
    c = rng.exponential(3, 2 * n)
    minutes = np.floor(40 * np.minimum(t, c)) + 1
    return numbers(group), minutes, (t <= c).astype(int), (t > c).astype(int)


def test_truth_is_covered_and_level_kept():
    rng = np.random.default_rng(8)
    covered = rejected = changed = 0
    for _ in range(160):
        data = sample(rng, 60, 0.7)
        fit = study.cox(*data)
        row = fit.coefficients.iloc[0]
        covered += row.low <= 0.7 <= row.high
        rejected += study.proportional_hazards(fit, *data).p_value < 0.05
        changed += study.cox(*sample(rng, 60, 0.0)).p_value < 0.05
    error = (160 * 0.05 * 0.95) ** 0.5
    assert abs(covered - 152) < 3 * error and abs(rejected - 8) < 3 * error
    assert abs(changed - 8) < 3 * error


def test_a_ratio_that_changes_is_noticed():
    data = sample(np.random.default_rng(2), 2_000, 1.0, late=-1.5)
    fit = study.cox(*data)
    check = study.proportional_hazards(fit, *data)
    assert check.p_value < 1e-6 and check.columns.slope[0] < -1
    close(check.p_value, stats.chi2.sf(check.statistic, 1))
    close(check.columns.statistic[0], check.statistic)


def test_what_cannot_be_fitted_is_refused():
    x = numbers([0, 0, 1, 1])
    with pytest.raises(ValueError, match="no finite estimate"):
        study.cox(x, [1, 2, 3, 4], [1, 1, 0, 0], [0, 0, 1, 1])
    with pytest.raises(ValueError, match="there are none"):
        study.cox(x, [1, 2, 3, 4], [0, 0, 0, 0], [1, 1, 1, 1])
    with pytest.raises(ValueError, match="told apart"):
        study.cox(numbers([0, 1, 0], [0, 2, 0]), [1, 2, 3], [1, 1, 1], [0, 0, 0])
    with pytest.raises(ValueError, match="at least 0"):
        study.cox(x, [-1, 2, 3, 4], [1, 1, 1, 1], [0] * 4)
    with pytest.raises(ValueError, match="whole"):
        study.cox(x, [1, 2, 3, 4], [0.5, 1, 1, 1], [0] * 4)
    with pytest.raises(ValueError, match="one value a row"):
        study.cox(x, [1, 2, 3], [1, 1, 1], [0] * 3)
    with pytest.raises(ValueError, match="ties"):
        study.cox(x, [1, 2, 3, 4], [1, 1, 1, 1], [0] * 4, ties="exact")
    with pytest.raises(ValueError, match="at least one column"):
        study.cox(design([], 2), [1, 2], [1, 1], [0, 0])
    data = x, [1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 0]
    with pytest.raises(ValueError, match="two times"):
        study.proportional_hazards(study.cox(*data), *data)


def test_levels_are_named():
    x = design(indicators(["a", "b", "c"] * 3, "kind", "b"), 9)
    fit = study.cox(x, [1, 2, 3, 4, 5, 6, 7, 8, 9], [1] * 9, [0] * 9)
    assert fit.coefficients[["level", "reference"]].values.tolist() == [["a", "b"], ["c", "b"]]
    close(fit.coefficients.ratio, np.exp(fit.params))
    reach = stats.norm.isf(0.025) * fit.coefficients.standard_error
    close(fit.coefficients.high, fit.params + reach)
