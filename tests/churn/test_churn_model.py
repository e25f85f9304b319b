"""The model of churn: what was planted is found, R agrees, and odd tables get a reason."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from threadpoolctl import threadpool_limits

sys.path.insert(0, str(Path(__file__).parent))
from r_scripts import made_by_r
from test_churn_reductions import assert_same, subscribers, tables

from analysis.churn import model as study
from analysis.churn import reductions
from analysis.churn.model import ABOVE, BELOW, CATEGORIES, NUMBERS, OTHERS, PER_UNIT, TRAITS
from analysis.results import flatten
from analysis.simulate import netflix
from analysis.stats import regression

ORACLE = Path(__file__).parent / "oracle" / "churn_model.json"
PLANTED = {"payment_history": "delayed", "promo_used": "promo_used",
           "satisfaction_score": "satisfaction_score", "engagement_rate": "engagement_rate"}


def made(seed: int, n: int = 600, odds=None, base: float = 0.0, **columns) -> pd.DataFrame:
    """Subscribers as `people` gives them, who churn with the log odds that `odds` says.

    Args:
        seed: Of everything.
        n: How many.
        odds: From the columns to log odds, infinite ones included; 0 without it.
        base: Added to the log odds.
        columns: In place of the drawn ones: a value for all, or one for each.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "genre": rng.choice(["News", "Sport"], n),
        "region": rng.choice(["North", "South"], n),
        "device": rng.choice(["Console", "Phone", "TV"], n),
        "plan": rng.choice(["A", "B"], n),
        "payment_history": rng.choice(["On-Time", "Delayed"], n, p=[0.7, 0.3]),
        "promo_used": rng.choice(["Yes", "No"], n),
        "subscription_months": rng.integers(1, 61, n).astype(float),
        "age": rng.integers(18, 71, n).astype(float),
        "monthly_income": rng.integers(100, 1000, n) * 10.0,
        "profiles": rng.integers(1, 6, n).astype(float),
        "daily_watch_hours": np.round(rng.uniform(1, 6, n), 1),
        "satisfaction_score": rng.integers(1, 11, n).astype(float),
        "engagement_rate": rng.integers(1, 11, n).astype(float),
        "support_queries": rng.integers(0, 11, n).astype(float),
    }).assign(**columns)
    score = np.full(n, base) + (0.0 if odds is None else odds(frame))
    churned = (rng.random(n) < special.expit(score)).astype(int)
    frame = frame.assign(subscribers=1, churned=churned)
    grouped = frame.groupby(list(TRAITS), as_index=False)[["subscribers", "churned"]].sum()
    return grouped.sort_values(list(TRAITS), ignore_index=True)


def planted(frame: pd.DataFrame) -> np.ndarray:
    """Three drivers, two of them strong."""
    return (
        2.0 * (frame["payment_history"] == "Delayed") - 1.5 * (frame["promo_used"] == "Yes")
        - 0.15 * (frame["satisfaction_score"] - 5))


def decided(frame: pd.DataFrame) -> np.ndarray:
    """The same, for the first 24 months only."""
    return np.where(frame["subscription_months"] > 24, -np.inf, planted(frame))


@pytest.fixture(scope="module")
def shipped(netflix_study):
    """The model of the shipped table."""
    return netflix_study.model


@pytest.fixture(scope="module")
def cliff():
    """The model of simulated subscribers who churn in their first 24 months only."""
    return study.from_people(made(3, 1500, decided))


# The shipped table: R, and what the generator planted.


def test_coefficients_and_tests_are_those_of_r(shipped):
    r = json.loads(ORACLE.read_text())
    c, tests = shipped.fit.coefficients, shipped.fit.tests
    assert shipped.fit.params == pytest.approx(np.array(r["params"]), rel=1e-7, abs=1e-9)
    assert np.sqrt(np.diag(shipped.fit.covariance)) == pytest.approx(r["errors"], rel=1e-7)
    for name in ("low", "high"):
        assert c[name].tolist() == pytest.approx(r[name][1:], rel=1e-7, abs=1e-8)
        assert np.log(c[f"odds_{name}"]).tolist() == pytest.approx(r[name][1:], rel=1e-7, abs=1e-8)
        # Wald's limits are as good as those of the profile likelihood here.
        gap = np.abs(np.array(r[f"profile_{name}"][1:]) - c[name])
        assert (gap < 0.08 * c["standard_error"]).all()
    assert list(tests.index) == r["traits"]
    assert tests["likelihood_ratio"].tolist() == pytest.approx(r["lr"], rel=1e-7, abs=1e-9)
    assert tests["p_value"].tolist() == pytest.approx(r["lr_p"], rel=1e-7)
    assert shipped.fit.link.statistic == pytest.approx(r["link_z"], rel=1e-5)
    curvature, products = shipped.fit.curvature, shipped.fit.interactions
    for name, value in r["squares"].items():
        assert curvature.loc[name, "statistic"] == pytest.approx(value, rel=1e-6, abs=1e-8)
    for name, value in r["products"].items():
        assert products.loc[tuple(name.split(":")), "statistic"] == pytest.approx(value, rel=1e-6)


def test_effects_in_points_are_those_of_r(shipped):
    r = json.loads(ORACLE.read_text())
    z = stats.norm.isf(0.025)
    for (trait, level), row in shipped.fit.coefficients.iterrows():
        _, _, difference, error = r["effects"][f"{trait} {level}"]
        assert row["difference"] == pytest.approx(difference, rel=1e-7, abs=1e-10)
        for name, sign in (("low", -1), ("high", 1)):
            assert row[f"difference_{name}"] == pytest.approx(
                difference + sign * z * error, rel=1e-6, abs=1e-9)
    assert set(shipped.fit.ranking.index) == set(r["spreads"]) == set(TRAITS)
    for trait, row in shipped.fit.ranking.iterrows():
        low, high, spread, error, pairs = r["spreads"][trait]
        assert (row["risk_from"], row["risk_to"], row["spread"]) == pytest.approx(
            (low, high, spread), rel=1e-7, abs=1e-10)
        margin = stats.norm.isf(0.025 / pairs) * error
        assert (row["spread_low"], row["spread_high"]) == pytest.approx(
            (spread - margin, spread + margin), rel=1e-6, abs=1e-9)


def test_bounds_are_those_of_the_model_fitted_to_those_at_risk(shipped, netflix_study):
    """From the coefficients alone, by moving everybody at risk and differences in the slope."""
    f = shipped.fit
    assert list(f.bounds) == list(f.tests.index)
    assert all(0 < bound < 1 for bound in f.bounds.values())
    # An offer is one pair of values, so its bound is where the interval of its effect in points
    # ends, but for the average over those at risk, which both have.
    row = f.coefficients.loc[("promo_used", "Yes")]
    assert f.bounds["promo_used"] == pytest.approx(-row["difference_low"], rel=0.02)
    # What is averaged over all is less than what is averaged over those at risk alone.
    share = shipped.at_risk / shipped.subscribers
    offer = f.ranking.loc["promo_used"]
    assert f.bounds["promo_used"] * share == pytest.approx(
        max(abs(offer["spread_low"]), abs(offer["spread_high"])), rel=1e-9)


def test_bounds_where_everybody_is_at_risk_end_where_the_spreads_do():
    f = study.from_people(made(2, 900, planted)).fit
    for trait, row in f.ranking.iterrows():
        ends = max(abs(row["spread_low"]), abs(row["spread_high"]))
        pairs = len(f.coefficients.loc[[trait]]) > 1  # another pair may have the wider interval
        assert f.bounds[trait] == pytest.approx(ends) or (pairs and f.bounds[trait] > ends)


def test_who_is_at_risk_is_found(shipped):
    r = json.loads(ORACLE.read_text())
    assert len(shipped.decided) == 1
    rule = shipped.decided.loc[1]
    assert (rule["trait"], rule["group"], rule["cut"], rule["churned"], rule["subscribers"]) == (
        "subscription_months", ABOVE, 24, False, 2100)
    assert rule["log10_p"] == pytest.approx(r["log_p_exact"] / math.log(10), rel=1e-10)
    assert rule["expected"] == pytest.approx(r["expected"], rel=1e-5)
    assert math.log(rule["p_curve"]) == pytest.approx(r["log_p_curve"], rel=1e-5)
    assert rule["p_adjusted"] < 1e-100
    assert (shipped.at_risk, shipped.at_risk_churned) == (1400, 397)
    assert (shipped.events, shipped.parameters, shipped.left_out) == (397, 24, {})


def test_drivers_are_those_that_were_planted(shipped):
    """All but one, whose effect is too small for this table; the months decide who is at risk."""
    assert shipped.fit.drivers == (
        "subscription_months", "payment_history", "promo_used", "satisfaction_score")
    ranking = shipped.fit.ranking
    assert ranking.index[0] == "subscription_months" and ranking["first"].iloc[0] > 0.99
    assert ranking["decides"].tolist() == [True] + 13 * [False]
    assert ranking["spread"].abs().idxmax() == "subscription_months"
    assert shipped.fit.tests.loc["subscription_months", "p_adjusted"] > 0.5
    assert shipped.fit.validation.area.low > 0.8
    assert shipped.fit.validation.slope.contains(1) and shipped.fit.validation.intercept.contains(0)


def test_planted_odds_are_recovered(shipped):
    """In the shipped table as far as one draw goes, in a larger one within 95% intervals."""
    truth = netflix.TRUTH["churn"]
    large = netflix.generate(2, 2.5)[0]["subscribers"].assign(
        churned=lambda f: (f["churned"] == "Yes").astype(int),
        promo_used=lambda f: (f["promo_used"] == "Yes").astype(int))
    large = study.from_people(study.people(tables(large).table("subscribers")))
    assert large.decided["trait"].tolist() == ["subscription_months"]
    assert set(PLANTED) | {"subscription_months"} == set(large.fit.drivers)
    for found, sure in ((shipped, stats.norm.isf(0.001 / 4 / 2)), (large, stats.norm.isf(0.025))):
        for trait, name in PLANTED.items():
            row = found.fit.coefficients.xs(trait, level="trait").iloc[0]
            assert abs(row["estimate"] - truth[name]) < sure * row["standard_error"], trait
        rest = found.fit.coefficients.drop(index=list(PLANTED), level="trait")
        assert (rest["z"].abs() < 3.5).all()
    narrow, wide = (f.fit.coefficients["standard_error"].mean() for f in (large, shipped))
    assert narrow < 0.7 * wide


# Who is at risk.


def test_the_exact_probability_is_that_of_chance():
    """Churned dealt at random: how often is the tail as long, wherever it begins?"""
    values = np.array([1, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5, 6])  # ties
    rng = np.random.default_rng(5)
    tails = []
    for _ in range(20_000):
        highest = values[rng.permutation(12)[:3]].max()
        tails.append((values > highest).sum())
    tails = np.array(tails)
    counts = pd.DataFrame({"subscribers": 1, "churned": [1] * 3 + [0] * 9})
    for size in sorted(set(tails) - {0}):
        p = 10 ** study._by_chance({"subscribers": size, "churned": False}, counts)
        assert p == pytest.approx(stats.hypergeom.pmf(0, 12, size, 3), rel=1e-9)
        assert (tails >= size).mean() == pytest.approx(p, abs=4 * np.sqrt(p / 20_000) + 1e-4)


def test_nobody_is_taken_out_of_the_model_by_chance_or_by_a_gradient():
    steep = lambda f: 1.2 * (5 - f["satisfaction_score"])  # noqa: E731
    bent = lambda f: ((f["age"] - 44) / 15) ** 2 * 1.2 - 1.5  # noqa: E731
    for seed in range(8):
        for odds, base in ((None, -2.0), (steep, -1.0), (bent, 0.0)):
            rows = made(seed, 500, odds, base)
            assert study._decided(rows)[0] == [], (seed, base)


@pytest.mark.parametrize("name, odds, found", [
    ("tail", decided, [("subscription_months", ABOVE, 24.0, False)]),
    ("head", lambda f: np.where(f["age"] < 30, -np.inf, planted(f)), [("age", BELOW, 30.0, False)]),
    ("all", lambda f: np.where(f["satisfaction_score"] < 3, np.inf, planted(f)),
     [("satisfaction_score", BELOW, 3.0, True)]),
    ("value", lambda f: np.where(f["plan"] == "B", -np.inf, planted(f)),
     [("plan", "B", None, False)]),
    ("leavers", lambda f: np.where(f["payment_history"] == "Delayed", np.inf, -1),
     [("payment_history", "Delayed", None, True)]),
    ("two", lambda f: np.where(f["plan"] == "B", -np.inf, decided(f)),
     [("subscription_months", ABOVE, 24.0, False), ("plan", "B", None, False)]),
])
def test_what_decides_is_found(name, odds, found):
    rules, _ = study._decided(made(4, 1500, odds))
    assert [(r.trait, r.group, r.cut, r.churned) for r in rules] == found


def test_outcomes_turned_round_turn_the_rules_and_the_odds():
    rows = made(5, 1200, lambda f: np.where(f["satisfaction_score"] < 3, np.inf, planted(f)))
    turned = rows.assign(churned=rows["subscribers"] - rows["churned"])
    a, b = study.from_people(rows), study.from_people(turned)
    assert a.decided["churned"].tolist() == [True] and b.decided["churned"].tolist() == [False]
    assert a.at_risk == b.at_risk
    np.testing.assert_allclose(a.fit.params, -b.fit.params, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(a.fit.ranking["spread"].abs().sort_index(),
                               b.fit.ranking["spread"].abs().sort_index(), rtol=1e-6, atol=1e-9)
    for rule, risk in ((a, 1), (b, 0)):
        n = int(rule.decided.loc[1, "subscribers"])
        held = rule.fit.held_out.risk
        assert (np.abs(held - abs(risk - 0.5 / (n + 1))) < 1e-12).sum() == n


# The ranking and the validation.


@threadpool_limits.wrap(limits=1)
def test_losses_are_those_of_models_without_the_trait(cliff):
    """Recomputed fold by fold with statsmodels and other columns."""
    rows = made(3, 1500, decided)
    y, n = (rows[c].to_numpy(float) for c in ("churned", "subscribers"))
    won, lost = regression.stratified_folds(y, n, study.FOLDS, study.SEED)

    def loss(columns, restricted):
        values = [pd.get_dummies(rows[c], dtype=float).iloc[:, 1:] if c in CATEGORIES
                  else (rows[[c]] - rows[c].mean()) / rows[c].std() for c in columns]
        x = regression.design(
            [(regression.Column(str(i), "", "", numeric=True), v) for i, v in enumerate(
                pd.concat(values, axis=1).to_numpy().T)], len(rows))
        total = 0.0
        late = rows["subscription_months"].to_numpy() > 24
        for k in range(study.FOLDS):
            held = won[:, k] + lost[:, k]
            train_y, train_n = y - won[:, k], n - held
            kept = (train_n > 0) & ~(late & restricted)
            outcome = np.column_stack([train_y, train_n - train_y])[kept]
            fit = sm.GLM(outcome, x.matrix[kept], family=sm.families.Binomial()).fit(tol=1e-12)
            p = special.expit(x.matrix @ fit.params)
            p = np.where(late & restricted, 0.5 / (n[late].sum() + 1), p)
            total -= (won[:, k] * np.log(p) + lost[:, k] * np.log1p(-p)).sum()
        return total / n.sum()

    null = stats.entropy([y.sum() / n.sum(), 1 - y.sum() / n.sum()])
    full = loss(TRAITS, True)
    assert cliff.fit.validation.explained == pytest.approx(1 - full / null, rel=1e-6)
    for trait in ("payment_history", "subscription_months", "region"):
        without = loss([t for t in TRAITS if t != trait], trait != "subscription_months")
        found = cliff.fit.ranking.loc[trait, "lost"]
        assert found == pytest.approx((without - full) / null, abs=1e-7)


def test_ranking_is_of_all_traits_and_sure_of_the_strong(cliff):
    ranking = cliff.fit.ranking
    assert sorted(ranking.index) == sorted(TRAITS)
    assert ranking["rank"].is_monotonic_increasing and ranking["lost"].is_monotonic_decreasing
    assert (ranking["rank_low"] <= ranking["rank"]).all()
    assert (ranking["rank"] <= ranking["rank_high"]).all()
    assert ranking["first"].sum() == pytest.approx(1)
    assert cliff.fit.drivers[:2] == ("subscription_months", "payment_history")
    assert not {"region", "device", "genre", "plan"} & set(cliff.fit.drivers)
    # Of what is lost, the interval is about the estimate; of equal traits none is sure.
    assert (ranking["lost_low"] < ranking["lost"]).all()
    rest = ranking[~ranking["found"]]
    assert (rest["rank_high"] - rest["rank_low"]).min() >= 2


def test_rank_limits_are_those_of_a_bootstrap_of_the_subscribers():
    rng = np.random.default_rng(6)
    losses = rng.normal([[0.3], [0.25], [0.0]], 1.0, (3, 400))
    mean = losses.mean(axis=1)
    covariance = np.cov(losses, ddof=0) / 400
    ranks = study._ranks(mean, covariance)
    resampled = losses[:, rng.integers(0, 400, (4000, 400))].mean(axis=2)
    slow = (-resampled).argsort(axis=0).argsort(axis=0) + 1
    for place in (1, 2, 3):
        np.testing.assert_allclose((ranks == place).mean(axis=0), (slow == place).mean(axis=1),
                                   atol=0.03)


def test_nothing_is_learnt_by_heart_where_there_is_nothing_to_learn():
    fit = study.from_people(made(1, 600)).fit
    v = fit.validation
    assert fit.drivers == () and v.area_fitted.estimate > 0.54 and v.area.low < 0.5
    assert v.explained < 0 < v.explained_fitted and v.brier > v.brier_base > v.brier_fitted
    assert not v.slope.contains(1)
    assert abs(fit.ranking["lost"]).max() < 0.02


def test_held_out_risks_are_for_everybody_once(cliff):
    held = cliff.fit.held_out
    assert held.subscribers.sum() == 1500 and held.churned.sum() == cliff.churned
    late = held.risk == held.risk.min()
    assert held.subscribers[late].sum() == cliff.decided.loc[1, "subscribers"]
    assert held.churned[late].sum() == 0
    assert cliff.fit.validation.calibration["trials"].sum() == cliff.at_risk
    # Where one trait is all there is, equal subscribers keep together.
    alone = study.from_people(made(9, 500, planted, **{
        t: ("x" if t in CATEGORIES else 1.0) for t in TRAITS
        if t not in ("payment_history", "promo_used")}, promo_used="No"))
    assert len(set(alone.fit.held_out.order)) == 2 < len(set(alone.fit.held_out.risk))
    assert alone.fit.validation.area.estimate == pytest.approx(
        alone.fit.validation.area_fitted.estimate, abs=1e-3)
    assert set(alone.left_out.values()) == {study.ONE_VALUE} and len(alone.left_out) == 13


def test_the_last_one_to_churn_is_no_secret_of_his_own_fold():
    """Held out, those who churned with the longest subscription lie beyond the training cut."""
    rows = made(3, 1500, decided)
    rules, _ = study._decided(rows)
    y, n = (rows[c].to_numpy(float) for c in ("churned", "subscribers"))
    last = (rows["subscription_months"] == 24) & (y > 0)
    cut = study._cut(rules, rows, np.where(last, 0.0, y), np.where(last, 0.0, n))
    assert [rule.cut for rule in cut] == [23.0]
    assert [rule.cut for rule in study._cut(rules, rows, y, n)] == [24.0]


def test_interaction_and_curvature_are_found_where_they_were_planted():
    def both(f):
        late, used = f["payment_history"] == "Delayed", f["promo_used"] == "Yes"
        return 2 * late - used - 2.5 * (late & used) + ((f["age"] - 44) / 15) ** 2 - 1.5

    fit = study.from_people(made(13, 3000, both)).fit
    row = fit.interactions.loc[("payment_history", "promo_used")] if (
        "payment_history", "promo_used") in fit.interactions.index else fit.interactions.loc[
        ("promo_used", "payment_history")]
    assert row["p_adjusted"] < 1e-6 and row["ratio_low"] < math.exp(-2.5) < row["ratio_high"]
    assert fit.curvature.loc["age", "p_adjusted"] < 1e-6
    assert (fit.curvature["p_adjusted"].drop("age") > 0.05).all()


# What cannot be modelled, and odd traits.


@pytest.mark.parametrize("rows, reason", [
    (made(1, 50, None, -50.0), study.NOBODY),
    (made(1, 50, None, 50.0), study.EVERYBODY),
    (made(7, 600, lambda f: np.where(f["subscription_months"] > 24, -np.inf, np.inf)),
     study.DECIDED),
    (made(17, 300, planted, -3.0), study.FEW),
    (made(9, 300, None, **{t: ("x" if t in CATEGORIES else 1.0) for t in TRAITS}), study.NO_TRAIT),
])
def test_reasons(rows, reason):
    found = study.from_people(rows)
    assert (found.reason, found.fit) == (reason, None)
    assert json.dumps(flatten(found), allow_nan=False)


def test_separation_leaves_out_what_separates_and_says_so():
    """Two traits that together, but neither alone, tell who churned."""
    def odds(f):
        return np.where(f["satisfaction_score"] + f["engagement_rate"] > 11, np.inf, -np.inf)

    found = study.from_people(made(3, 800, odds))
    if found.fit is None:
        assert found.reason in (study.SEPARATED, study.FEW, study.DECIDED)
    rows = made(3, 800, planted)
    x = study._design(study._codings(rows, 10)[0], rows)
    score = x.matrix @ np.linspace(-1, 1, x.matrix.shape[1])
    rows["churned"] = (score > np.median(score)).astype(int)
    codings, _, _ = study._codings(rows, 10)
    kept, separated = study._not_separating(codings, rows)
    assert separated and not {c.trait for c in kept} & set(separated)


def test_small_values_stand_together_and_twins_are_told():
    rng = np.random.default_rng(0)
    half = np.arange(900) % 2 == 0
    rows = made(14, 900, planted, device=rng.choice([f"d{i}" for i in range(99)], 900),
                genre=np.where(half, "a", "b"), region=np.where(half, "N", "S"),
                plan=rng.choice(["A", "B", "rare", "rarer"], 900, p=[0.5, 0.46, 0.03, 0.01]))
    found = study.from_people(rows)
    assert found.left_out == {"region": study.NOT_TOLD, "device": study.SMALL}
    plan = found.fit.coefficients.xs("plan", level="trait")
    assert plan.index.tolist() == ["B", OTHERS] and (plan["reference"] == "A").all()
    assert set(found.pooled.xs("plan", level="trait").index) == {"rare", "rarer"}
    assert (found.pooled["subscribers"] < found.least).all()
    assert "region" not in found.fit.ranking.index


def test_columns_are_compared_with_what_is_usual(cliff):
    c = cliff.fit.coefficients
    assert c.loc[("payment_history", "Delayed"), "reference"] == "On-Time"
    assert c.loc[("promo_used", "Yes"), "reference"] == "No"
    row = c.loc[("age", PER_UNIT)]
    assert row["unit"] == 10 and math.log(row["contrast"]) == pytest.approx(
        row["estimate"] * (row["to_value"] - row["from_value"]) / 10)


# Invariance.


def test_order_names_and_backend_types_do_not_matter():
    frame = subscribers(2, 400, churned=np.random.default_rng(1).integers(0, 2, 400))
    base = reductions.reduce(tables(frame).table("subscribers"))
    other = frame.sample(frac=1, random_state=3).assign(customer_id=lambda f: "x" + f.customer_id)
    a, b = (study.model(tables(f).table("subscribers"), base) for f in (frame, other))
    assert a.fit is not None
    assert_same(flatten(a), flatten(b))


@pytest.mark.parametrize("factor", [12.0, 0.01])
def test_units_do_not_matter(cliff, factor):
    rows = made(3, 1500, decided)
    other = study.from_people(rows.assign(monthly_income=rows["monthly_income"] * factor))
    assert_same(flatten(cliff.fit.validation), flatten(other.fit.validation))
    for name in ("lost", "spread", "spread_low", "risk_from"):
        np.testing.assert_allclose(cliff.fit.ranking[name], other.fit.ranking[name], atol=1e-9)
    a, b = (f.fit.coefficients.loc[("monthly_income", PER_UNIT)] for f in (cliff, other))
    assert b["estimate"] * factor == pytest.approx(a["estimate"], rel=1e-6)
    assert (b["contrast"], b["p_value"]) == pytest.approx((a["contrast"], a["p_value"]), rel=1e-6)


def test_counts_of_equal_subscribers_are_the_same_as_one_row_each(cliff):
    rows = made(3, 1500, decided)
    twice = pd.concat([rows, rows])
    found = study.from_people(
        twice.groupby(list(TRAITS), as_index=False)[["subscribers", "churned"]].sum())
    np.testing.assert_allclose(found.fit.params, cliff.fit.params, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(2 * found.fit.covariance, cliff.fit.covariance, rtol=1e-6,
                               atol=1e-12)
    assert found.subscribers == 2 * cliff.subscribers


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 250))
def test_any_table_has_a_model_or_a_reason(seed, n):
    table = tables(subscribers(seed, n)).table("subscribers")
    rows = study.people(table)
    assert rows["subscribers"].sum() == n
    assert set(rows.columns) == {*TRAITS, "subscribers", "churned"}
    assert rows["promo_used"].isin(["Yes", "No"]).all()
    assert all(rows[name].dtype.kind == "f" for name in NUMBERS)
    found = study.from_people(rows)
    assert (found.fit is None) == (found.reason is not None)
    assert json.dumps(flatten(found), allow_nan=False)
    if found.fit is not None:
        assert found.events >= study.LEAST_EVENTS * found.parameters
        assert np.isfinite(found.fit.params).all()
        assert found.fit.held_out.subscribers.sum() == n
        assert set(found.fit.drivers) <= set(found.fit.ranking.index)


def test_r_still_gives_the_committed_values_of_the_model(tmp_path):
    fresh, r = made_by_r(ORACLE.with_suffix(".R"), tmp_path), json.loads(ORACLE.read_text())
    assert fresh.keys() == r.keys()
    for name in ("params", "errors", "profile_low", "lr", "log_p_exact", "expected"):
        assert fresh[name] == pytest.approx(r[name], rel=1e-6, abs=1e-9), name
    for name in ("effects", "spreads"):
        for key, value in r[name].items():
            assert fresh[name][key] == pytest.approx(value, rel=1e-6, abs=1e-9), key
