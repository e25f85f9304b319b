"""Regression from rows and from groups."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from r_scripts import made_by_r
from scipy import special, stats
from statsmodels.stats.diagnostic import het_breuschpagan
from statsmodels.stats.multitest import multipletests

from analysis.stats import effects, multiplicity
from analysis.stats import regression as reg

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "regression.json").read_text())


def designed(frame: pd.DataFrame) -> reg.Design:
    return reg.design([
        *reg.indicators(frame["device"], "device", "and"),
        (reg.Column("age", "ten years", "35", numeric=True), frame["age"].to_numpy(dtype=float)),
        *reg.indicators(frame["country"], "country", "A"),
    ], len(frame))


@pytest.fixture(scope="module")
def rows():
    return pd.DataFrame(R["customers"])


@pytest.fixture(scope="module")
def groups(rows):
    """The same customers, one row a combination of covariates."""
    powers = {f"y{k}": rows["revenue"].astype(float) ** k for k in (1, 2, 3, 4)}
    frame = rows.assign(n=1, **powers)
    return frame.groupby(["device", "country", "age"], as_index=False).sum(numeric_only=True)


def sums(groups) -> reg.Sums:
    return reg.Sums(*(groups[c].to_numpy(dtype=float) for c in ("n", "y1", "y2", "y3", "y4")))


@pytest.fixture(scope="module", params=["rows", "groups"])
def case(request, rows, groups):
    """Design, payers, users and revenue, from one row a customer and from groups."""
    if request.param == "rows":
        return designed(rows), rows["paid"], np.ones(len(rows)), reg.Sums.of(rows["revenue"])
    return designed(groups), groups["paid"], groups["n"], sums(groups)


def test_logit_as_r(case):
    x, y, n, _ = case
    fit = reg.logit(x, y, n)
    r = R["logit"]
    assert fit.params == pytest.approx(np.array(r["params"]), rel=1e-7)
    assert fit.covariance.ravel() == pytest.approx(np.array(r["covariance"]), rel=1e-6, abs=1e-10)
    assert fit.log_likelihood == pytest.approx(r["log_likelihood"], rel=1e-10)
    assert fit.tests["likelihood_ratio"].tolist() == pytest.approx(r["lr"], rel=1e-7)
    assert fit.tests["likelihood_ratio_p"].tolist() == pytest.approx(r["lr_p"], rel=1e-6)
    assert reg.generalised_vif(fit, x)["gvif"].tolist() == pytest.approx(r["gvif"], rel=1e-6)
    assert reg.link_test(fit, x, y, n).statistic == pytest.approx(r["link_z"], rel=1e-4)
    area = reg.auc(x.matrix @ fit.params, y, n)
    assert area.estimate == pytest.approx(r["auc"], rel=1e-10)
    z = (special.logit(area.high) - special.logit(area.estimate)) / stats.norm.isf(0.025)
    error = z * area.estimate * (1 - area.estimate)
    assert error**2 == pytest.approx(r["auc_variance"], rel=1e-8)


def test_least_squares_as_r(case):
    x, _, _, outcome = case
    fit = reg.least_squares(x, outcome)
    r = R["line"]
    assert fit.params == pytest.approx(np.array(r["params"]), rel=1e-9)
    assert fit.covariance.ravel() == pytest.approx(np.array(r["hc3"]), rel=1e-8)
    assert fit.r_squared == pytest.approx(r["r_squared"], rel=1e-9)
    assert fit.residual_sd == pytest.approx(r["sigma"], rel=1e-10)
    assert fit.breusch_pagan == pytest.approx(r["bp"], rel=1e-8)
    assert fit.breusch_pagan_p == pytest.approx(r["bp_p"], rel=1e-8)


def test_log_mean_as_r(case):
    x, _, _, outcome = case
    fit = reg.log_mean(x, outcome)
    r = R["quasi"]
    assert fit.params == pytest.approx(np.array(r["params"]), rel=1e-7)
    assert fit.covariance.ravel() == pytest.approx(np.array(r["hc1"]), rel=1e-6, abs=1e-10)
    assert fit.dispersion == pytest.approx(r["dispersion"], rel=1e-7)


def test_groups_equal_one_row_a_customer_in_statsmodels(rows, groups):
    """Groups on our side, rows on the library's: the same coefficients and robust errors."""
    x, wide = designed(groups), designed(rows).matrix
    ols = sm.OLS(rows["revenue"].to_numpy(float), wide).fit(cov_type="HC3")
    line = reg.least_squares(x, sums(groups))
    assert line.params == pytest.approx(ols.params, rel=1e-10)
    assert line.covariance == pytest.approx(ols.cov_params(), rel=1e-9)
    assert line.breusch_pagan == pytest.approx(het_breuschpagan(ols.resid, wide)[0], rel=1e-9)
    assert line.skewness == pytest.approx(stats.skew(ols.resid), rel=1e-9)
    assert line.excess_kurtosis == pytest.approx(stats.kurtosis(ols.resid), rel=1e-9)
    poisson = sm.GLM(rows["revenue"], wide, family=sm.families.Poisson()).fit(
        cov_type="HC1", tol=1e-12)
    ratio = reg.log_mean(x, sums(groups))
    assert ratio.params == pytest.approx(poisson.params.to_numpy(), rel=1e-8)
    # Its HC1 leaves out n / (n - parameters) for a GLM.
    free = len(rows) / (len(rows) - len(ratio.params))
    assert ratio.covariance == pytest.approx(free * poisson.cov_params().to_numpy(), rel=1e-7)
    assert ratio.n == line.n == len(rows)


def test_marginal_effects_against_statsmodels_and_by_hand(rows, groups):
    x = designed(groups)
    fit = reg.logit(x, groups["paid"], groups["n"])
    found = reg.marginal_effects(fit, x, groups["n"]).set_index(["factor", "level"])
    library = sm.Logit(rows["paid"], designed(rows).matrix).fit(disp=0).get_margeff(dummy=True)
    device = found.loc[("device", "iOS")]
    assert device["difference"] == pytest.approx(library.margeff[0], rel=1e-6)
    half = (device["difference_high"] - device["difference_low"]) / 2 / stats.norm.isf(0.025)
    assert half == pytest.approx(library.margeff_se[0], rel=1e-5)

    # A level against the reference with every customer moved, and its error by simulation.
    def average(params, level):
        moved = designed(rows.assign(country=level).pipe(
            lambda f: pd.concat([f, pd.DataFrame([  # keeps all columns there
                {"device": d, "country": c, "age": 0} for d in ("and", "iOS") for c in "ABC"])])))
        return special.expit(moved.matrix[: len(rows)] @ params).mean(axis=0)

    row = found.loc[("country", "C")]
    assert row["share"] == pytest.approx(average(fit.params, "C"), rel=1e-9)
    assert row["share_reference"] == pytest.approx(average(fit.params, "A"), rel=1e-9)
    draws = np.random.default_rng(1).multivariate_normal(fit.params, fit.covariance, 4000).T
    ratios = np.log(average(draws, "C") / average(draws, "A"))
    half = np.log(row["ratio_high"] / row["ratio"]) / stats.norm.isf(0.025)
    assert half == pytest.approx(ratios.std(), rel=0.06)
    # A number: one unit more for everybody.
    more = special.expit(designed(rows.assign(age=rows["age"] + 1)).matrix @ fit.params).mean()
    assert found.loc[("age", "ten years"), "share"] == pytest.approx(more, rel=1e-9)


def test_auc_equals_the_probability_of_superiority():
    rng = np.random.default_rng(3)
    score = np.round(rng.normal(size=300), 1)  # ties
    y = rng.random(300) < special.expit(score)
    expected, _ = effects.superiority(score[y], score[~y])
    found = reg.auc(score, y.astype(int))
    assert (found.estimate, found.low, found.high) == pytest.approx(
        (expected.estimate, expected.low, expected.high), rel=1e-10)


def test_estimates_cover_the_truth_and_tests_keep_their_level():
    rng = np.random.default_rng(11)
    frame = pd.DataFrame([{"device": d, "country": c, "age": a} for d in ("and", "iOS")
                          for c in "ABC" for a in (-1, 0, 1)])
    x = designed(frame)
    truth = np.array([-2.0, 0.4, 0.0, -0.3, 0.2])
    n = rng.integers(50, 200, len(frame))
    p = special.expit(x.matrix @ truth)
    inside, rejected = [], []
    for _ in range(150):
        fit = reg.logit(x, rng.binomial(n, p), n)
        c = fit.coefficients
        inside.append((c["low"] <= truth) & (truth <= c["high"]))
        rejected.append(fit.tests.set_index("factor")["likelihood_ratio_p"]["age"] <= 0.05)
    margin = 4 * np.sqrt(0.95 * 0.05 / 150)
    assert (np.abs(np.mean(inside, axis=0) - 0.95) < margin).all()
    assert abs(np.mean(rejected) - 0.05) < margin


def test_robust_errors_cover_where_variances_differ():
    rng = np.random.default_rng(12)
    device = np.repeat(["and", "iOS"], [900, 300])
    x = reg.design(reg.indicators(device, "device", "and"), 1200)
    hits = {"line": 0, "naive": 0, "ratio": 0}
    for _ in range(200):
        y = np.where(device == "iOS", rng.exponential(30, 1200), rng.exponential(10, 1200))
        outcome = reg.Sums.of(y)
        line = reg.least_squares(x, outcome)
        row = line.coefficient("device", "iOS")
        hits["line"] += row["low"] <= 20 <= row["high"]
        bread = np.linalg.inv(x.matrix.T @ x.matrix)
        naive = 1.96 * line.residual_sd * np.sqrt(bread[1, 1])
        hits["naive"] += abs(row["estimate"] - 20) <= naive
        ratio = reg.log_mean(x, outcome).coefficient("device", "iOS")
        hits["ratio"] += ratio["ratio_low"] <= 3 <= ratio["ratio_high"]
    margin = 4 * np.sqrt(0.95 * 0.05 / 200)
    assert abs(hits["line"] / 200 - 0.95) < margin
    assert abs(hits["ratio"] / 200 - 0.95) < margin
    assert hits["naive"] / 200 < 0.95 - margin  # the data would show errors that are wrong


def test_cross_validation_sees_through_noise():
    rng = np.random.default_rng(13)
    n = 400
    noise = [(reg.Column(f"x{i}", "one", "0", numeric=True), rng.normal(size=n)) for i in range(20)]
    x = reg.design(noise, n)
    y = (rng.random(n) < 0.3).astype(int)
    fit = reg.logit(x, y)
    held = reg.cross_validated(x, y, folds=10, seed=1)
    fitted, honest = reg.auc(x.matrix @ fit.params, y), reg.auc(held["score"], held["successes"])
    assert fitted.low > 0.5 > honest.low  # only the look at its own data flatters
    assert reg.calibration_slope(x.matrix @ fit.params, y).estimate == pytest.approx(1, abs=1e-6)
    assert reg.calibration_slope(held["score"], held["successes"]).high < 1
    assert held["trials"].sum() == n and sorted(held["group"]) == list(range(n))
    pd.testing.assert_frame_equal(held, reg.cross_validated(x, y, folds=10, seed=1))


def test_cross_validation_deals_out_every_customer_of_a_group_once(groups):
    x = designed(groups)
    held = reg.cross_validated(x, groups["paid"], groups["n"], folds=5)
    dealt = held.groupby("group")[["successes", "trials"]].sum()
    assert dealt["trials"].tolist() == groups["n"].tolist()
    assert dealt["successes"].tolist() == groups["paid"].tolist()


def test_refits_are_the_fit(groups):
    x, y, n = designed(groups), groups["paid"], groups["n"]
    fit = reg.logit(x, y, n)
    for start in (None, fit.params, -3 * fit.params):
        found = reg.refit_logit(x, y, n, start)
        assert found.params == pytest.approx(fit.params, rel=1e-8, abs=1e-9)
        assert found.log_likelihood == pytest.approx(fit.log_likelihood, rel=1e-12)
        assert np.linalg.inv(found.information) == pytest.approx(fit.covariance, rel=1e-6)
    for row in fit.tests.itertuples():
        smaller = reg.refit_logit(x.without(row.factor), y, n)
        assert found.ratio(smaller) == pytest.approx(row.likelihood_ratio, rel=1e-8)
        assert smaller.ratio(found) == 0
    # Columns of very different size.
    scaled = reg.Design(x.columns, x.matrix * np.array([1, 1e6, 1e-6, 1, 1]))
    again = reg.refit_logit(scaled, y, n)
    assert again.params * np.array([1, 1e6, 1e-6, 1, 1]) == pytest.approx(fit.params, rel=1e-7)
    with pytest.raises(ValueError, match="at most trials"):
        reg.refit_logit(x, n + 1, n)


def test_refits_take_what_a_fit_refuses(groups):
    x, y, n = designed(groups), groups["paid"], groups["n"]
    whole = reg.refit_logit(x, y, n)
    twice = reg.Design((*x.columns, x.columns[0]), np.column_stack([x.matrix, x.matrix[:, 1]]))
    found = reg.refit_logit(twice, y, n)
    assert twice.matrix @ found.params == pytest.approx(x.matrix @ whole.params, abs=1e-8)
    nothing = reg.Design(twice.columns, np.column_stack([x.matrix, 0 * x.matrix[:, 1]]))
    found = reg.refit_logit(nothing, y, n, np.append(np.zeros(5), 0.7))
    assert found.params[:5] == pytest.approx(whole.params, rel=1e-8)
    assert found.params[5] == 0.7
    line = np.arange(20.0)
    x = reg.design([(reg.Column("age", "year", "0", numeric=True), line)], 20)
    found = reg.refit_logit(x, (line > 9).astype(int))
    assert found.log_likelihood > -1e-9 and np.abs(x.matrix @ found.params).min() > reg.FAR
    everybody = reg.refit_logit(x, np.ones(20))
    assert (x.matrix @ everybody.params > reg.FAR).all()


def test_stratified_folds_are_alike_and_lose_nobody(groups):
    y, n = groups["paid"].to_numpy(), groups["n"].to_numpy()
    for folds in (2, 7, 10):
        won, lost = reg.stratified_folds(y, n, folds, seed=3)
        assert (won.sum(axis=1) == y).all() and (lost.sum(axis=1) == n - y).all()
        assert np.ptp(won.sum(axis=0)) <= 1 and np.ptp((won + lost).sum(axis=0)) <= 1
    a, b = (reg.stratified_folds(y, n, seed=3) for _ in range(2))
    assert (a[0] == b[0]).all() and (a[1] == b[1]).all()
    assert (a[0] != reg.stratified_folds(y, n, seed=4)[0]).any()
    # Each observation is as likely in one fold as in another.
    first = [reg.stratified_folds([1, 0, 0, 1, 0], np.ones(5), 2, s)[0][0] for s in range(1000)]
    assert np.mean(first, axis=0) == pytest.approx([0.5, 0.5], abs=0.06)
    with pytest.raises(ValueError, match="folds"):
        reg.stratified_folds(y, n, 1)


def test_calibration_in_the_large_is_an_intercept_with_an_offset():
    rng = np.random.default_rng(16)
    score = rng.normal(size=300)
    n = rng.integers(1, 5, 300)
    y = rng.binomial(n, special.expit(score - 0.7))
    found = reg.calibration_in_the_large(score, y, n)
    glm = sm.GLM(np.column_stack([y, n - y]), np.ones(300), offset=score,
                 family=sm.families.Binomial()).fit(tol=1e-12)
    assert found.estimate == pytest.approx(glm.params[0], rel=1e-8)
    assert [found.low, found.high] == pytest.approx(glm.conf_int()[0].tolist(), rel=1e-6)
    assert found.contains(-0.7)
    x = reg.design([(reg.Column("score", "one", "0", numeric=True), score)], 300)
    fit = reg.logit(x, y, n)
    assert reg.calibration_in_the_large(x.matrix @ fit.params, y, n).estimate == pytest.approx(
        0, abs=1e-8)
    with pytest.raises(ValueError, match="both"):
        reg.calibration_in_the_large(score, n, n)


def test_calibration_bins_are_of_equal_size_and_keep_equal_predictions_together():
    p = np.repeat(np.linspace(0.05, 0.6, 23), 4)
    rng = np.random.default_rng(14)
    n = rng.integers(20, 60, p.size)
    y = rng.binomial(n, p)
    found = reg.calibration(p, y, n)
    assert found["trials"].sum() == n.sum() and found["successes"].sum() == y.sum()
    assert (found["trials"] / n.sum()).between(0.04, 0.16).all()
    inside = (found["low"] <= found["predicted"]) & (found["predicted"] <= found["high"])
    assert inside.mean() >= 0.7
    assert found["predicted"].is_monotonic_increasing
    order = rng.permutation(p.size)
    pd.testing.assert_frame_equal(found, reg.calibration(p[order], y[order], n[order]))


def test_leave_out_is_the_fit_of_the_rest(groups):
    x = designed(groups)
    fit = reg.logit(x, groups["paid"], groups["n"])
    found = reg.leave_out(fit, x, groups["paid"], groups["n"], groups["country"])
    assert set(found["factor"]) == {"device", "age"}
    for country in "ABC":
        rest = groups[groups["country"] != country]
        again = reg.logit(reg.design([
            *reg.indicators(rest["device"], "device", "and"),
            (reg.Column("age", "ten years", "35", numeric=True), rest["age"].to_numpy(float)),
            *reg.indicators(rest["country"], "country"),
        ], len(rest)), rest["paid"], rest["n"])
        mine = found[found["left_out"] == country].set_index("factor")["estimate"]
        assert mine["device"] == pytest.approx(again.params[1], rel=1e-7)
        assert mine["age"] == pytest.approx(again.params[2], rel=1e-7)


def test_currency_and_order_do_not_matter(groups):
    x, outcome = designed(groups), sums(groups)
    cents = reg.Sums(outcome.n, outcome.total * 100, outcome.squares * 1e4,
                     outcome.cubes * 1e6, outcome.fourths * 1e8)
    a, b = reg.log_mean(x, outcome), reg.log_mean(x, cents)
    assert b.params[1:] == pytest.approx(a.params[1:], rel=1e-8)
    assert b.params[0] == pytest.approx(a.params[0] + math.log(100), rel=1e-9)
    assert b.covariance == pytest.approx(a.covariance, rel=1e-6, abs=1e-12)
    c, d = reg.least_squares(x, outcome), reg.least_squares(x, cents)
    assert d.params == pytest.approx(100 * c.params, rel=1e-9)
    assert d.breusch_pagan == pytest.approx(c.breusch_pagan, rel=1e-7)
    mixed = groups.sample(frac=1, random_state=1)
    shuffled = reg.logit(designed(mixed), mixed["paid"], mixed["n"])
    assert shuffled.params == pytest.approx(
        reg.logit(x, groups["paid"], groups["n"]).params, rel=1e-8)


def test_a_factor_alone_is_the_plain_comparison(groups):
    """With the device only, the logit gives the odds ratio of the 2x2 table."""
    counts = groups.groupby("device")[["paid", "n"]].sum()
    odds = counts["paid"] / (counts["n"] - counts["paid"])
    x = reg.design(reg.indicators(groups["device"], "device", "and"), len(groups))
    row = reg.logit(x, groups["paid"], groups["n"]).coefficient("device", "iOS")
    assert row["ratio"] == pytest.approx(odds["iOS"] / odds["and"], rel=1e-9)
    woolf = np.sqrt((1 / counts["paid"] + 1 / (counts["n"] - counts["paid"])).sum())
    assert row["standard_error"] == pytest.approx(woolf, rel=1e-6)
    mean = reg.log_mean(x, sums(groups)).coefficient("device", "iOS")
    means = groups.groupby("device")[["y1", "n"]].sum()
    means = means["y1"] / means["n"]
    assert mean["ratio"] == pytest.approx(means["iOS"] / means["and"], rel=1e-9)


def test_holm_as_statsmodels():
    rng = np.random.default_rng(15)
    for size in (1, 2, 7, 30):
        p = np.round(rng.random(size) ** 3, 2)  # ties
        assert multiplicity.holm(p) == pytest.approx(multipletests(p, method="holm")[1], rel=1e-12)
    assert multiplicity.holm([]).size == 0


def test_separation_is_found_and_named():
    frame = pd.DataFrame({"country": ["A", "B", "C"] * 2, "device": ["and"] * 3 + ["iOS"] * 3})
    x = reg.design([*reg.indicators(frame["device"], "device", "and"),
                    *reg.indicators(frame["country"], "country", "A")], 6)
    payers, users = [30, 40, 0, 35, 45, 0], [100] * 6
    with pytest.raises(ValueError, match="separated by country 'C'"):
        reg.logit(x, payers, users)
    with pytest.raises(ValueError, match="separated by country 'C'"):
        total = np.array(payers, dtype=float)
        reg.log_mean(x, reg.Sums(np.array(users, float), total, total))
    # Complete separation by a number.
    line = np.arange(20.0)
    x = reg.design([(reg.Column("age", "year", "0", numeric=True), line)], 20)
    with pytest.raises(ValueError, match="separated by age"):
        reg.logit(x, (line > 9).astype(int))
    # A single payer is enough for an estimate.
    assert reg.logit(x, np.r_[(line[:-1] > 9).astype(int), 0]).params.shape == (2,)


def test_what_cannot_be_fitted_says_why(groups):
    x, n = designed(groups), groups["n"]
    with pytest.raises(ValueError, match="both successes and failures"):
        reg.logit(x, n, n)
    with pytest.raises(ValueError, match="at most trials"):
        reg.logit(x, n + 1, n)
    with pytest.raises(ValueError, match="one value a row"):
        reg.logit(x, [1], [2])
    twice = reg.Design((*x.columns, x.columns[0]), np.column_stack([x.matrix, x.matrix[:, 1]]))
    assert reg.aliased(twice) and not reg.aliased(x)
    with pytest.raises(ValueError, match="cannot be told apart"):
        reg.logit(twice, groups["paid"], n)
    with pytest.raises(ValueError, match="all equal"):
        reg.least_squares(x, reg.Sums.of(np.full(len(groups), 5.0)))
    with pytest.raises(ValueError, match="0 throughout"):
        reg.log_mean(x, reg.Sums.of(np.zeros(len(groups))))
    with pytest.raises(ValueError, match="alone decides"):
        alone = reg.design(reg.indicators(["a"] * 9 + ["b"], "f", "a"), 10)
        reg.least_squares(alone, reg.Sums.of(np.arange(10.0)))
    with pytest.raises(ValueError, match="not a level"):
        reg.indicators(["a"], "f", "b")
    with pytest.raises(KeyError, match="no coefficient"):
        reg.logit(x, groups["paid"], n).coefficient("device", "Palm")


def test_r_still_gives_the_committed_values_of_regression(tmp_path):
    fresh = made_by_r(ORACLE / "regression.R", tmp_path)
    assert fresh["customers"] == R["customers"]
    for part in ("logit", "line", "quasi", "hair", "mendel"):
        for name, value in R[part].items():
            assert fresh[part][name] == pytest.approx(value, rel=1e-6, abs=1e-9), (part, name)
