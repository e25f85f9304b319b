"""Offers and late payment: R's and statsmodels' values, what was planted, odd tables."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.proportion import confint_proportions_2indep
from test_churn_reductions import subscribers, tables

from analysis.churn import offers as study
from analysis.churn import reductions
from analysis.churn.offers import FACTORS, LENGTH, OFFER, PAYMENT, PLAN, TOGETHER, offers
from analysis.results import flatten
from analysis.simulate import netflix
from analysis.sources import open_study

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "offers.json").read_text())


def studied(table):
    """The study of a table, with no more reductions than it rests on."""
    used = reductions.churn_by_categories(table, [OFFER])[OFFER]
    base = SimpleNamespace(
        subscribers=int(used["subscribers"].sum()), churned=int(used["churned"].sum()),
        readings={OFFER: reductions.readings(used)})
    return offers(base, table)


def analysed(frame):
    """The study of subscribers in memory."""
    return studied(tables(frame).table("subscribers"))


def counts(a, n1, c, n2):
    """Strata as `offers` holds them."""
    return pd.DataFrame({"exposed": n1, "exposed_churned": a, "others": n2, "others_churned": c})


@pytest.fixture(scope="module")
def shipped(netflix_study):
    return netflix_study.offers


# Against R.


@pytest.mark.parametrize("case", REFERENCE)
def test_strata_are_joined_as_in_r(case):
    r = REFERENCE[case]
    strata = counts(r["a"], r["n1"], r["c"], r["n2"])
    found = study._odds(strata)
    assert found == pytest.approx([r["odds"], r["odds_low"], r["odds_high"]], rel=1e-9)
    exact = study._odds(strata, exact=True)
    # R stops its search at a tolerance of about 1e-4.
    assert exact == pytest.approx([r["exact_odds"], r["exact_low"], r["exact_high"]], rel=2e-3)
    assert study.common_ratio(strata) == pytest.approx(
        [r["ratio"], r["ratio_low"], r["ratio_high"]], rel=1e-9)
    equal = study.homogeneity(strata)
    assert equal["homogeneity"] == pytest.approx(r["tarone"], rel=1e-9)
    p, method = study.null_odds_test(strata)
    if case == "sparse":
        assert equal["homogeneity_method"] == "Monte Carlo"
    else:
        assert (p, method) == (pytest.approx(r["p"], rel=1e-9), "Cochran-Mantel-Haenszel")
        assert equal["homogeneity_p"] == pytest.approx(r["tarone_p"], rel=1e-9)


def test_r_still_gives_the_committed_values(tmp_path):
    for case, values in made_by_r(ORACLE / "offers.R", tmp_path).items():
        # Those of metafor are left out where R has no such package.
        assert set(values) >= {"p", "odds", "exact_odds"}
        for name, value in values.items():
            np.testing.assert_allclose(value, REFERENCE[case][name], rtol=1e-7, err_msg=name)


# Against other ways.


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_strata_are_joined_as_in_statsmodels(seed):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 6))
    n1, n2 = rng.integers(40, 90, k), rng.integers(40, 90, k)
    a, c = rng.binomial(n1, 0.35), rng.binomial(n2, 0.5)
    both = [[[a[i], n1[i] - a[i]], [c[i], n2[i] - c[i]]] for i in range(k)]
    other = StratifiedTable([np.array(t) for t in both])
    strata = counts(a, n1, c, n2)
    assert study._odds(strata)[0] == pytest.approx(other.oddsratio_pooled)
    assert study._odds(strata)[1:] == pytest.approx(other.oddsratio_pooled_confint())
    assert study.null_odds_test(strata)[0] == pytest.approx(other.test_null_odds().pvalue)
    found = study.homogeneity(strata)
    assert found["homogeneity"] == pytest.approx(other.test_equal_odds(adjust=True).statistic)
    assert study.common_ratio(strata)[0] == pytest.approx(other.riskratio_pooled)


def test_drawn_tables_agree_with_the_large_sample_test(monkeypatch):
    """Where both may be used, the Monte-Carlo p is the chi-squared one."""
    r = REFERENCE["alike"]
    strata = counts(r["a"], r["n1"], r["c"], r["n2"]).assign(others_churned=[25, 60, 16])
    usual = study.homogeneity(strata)
    monkeypatch.setattr(study, "LEAST_EXPECTED", 1e9)
    again = study.homogeneity(strata)
    assert (usual["homogeneity_method"], again["homogeneity_method"]) == (
        "chi-squared approximation", "Monte Carlo")
    assert again["homogeneity_p"] == pytest.approx(usual["homogeneity_p"], abs=0.02)
    assert 0.02 < usual["homogeneity_p"] < 0.98


def test_small_strata_are_tested_exactly():
    """Of one stratum it is the one-sided Fisher test doubled; turned round it is the same."""
    strata = counts([1], [7], [6], [9])
    p, method = study.null_odds_test(strata)
    less = stats.fisher_exact([[1, 6], [6, 3]], alternative="less").pvalue
    assert (p, method) == (pytest.approx(2 * less), "exact conditional")
    assert study.null_odds_test(counts([6], [9], [1], [7]))[0] == pytest.approx(p)


def test_the_whole_table_is_compared_as_elsewhere(shipped):
    for factor, (a, n1, c, n2) in {
        OFFER: (172, 2154, 225, 1346), PAYMENT: (302, 771, 95, 2729)
    }.items():
        row = shipped.effects.loc[factor]
        assert row[["exposed_churned", "exposed", "others_churned", "others"]].tolist() == [
            a, n1, c, n2]
        assert row["odds_ratio"] == pytest.approx(a * (n2 - c) / (c * (n1 - a)))
        reach = math.exp(stats.norm.isf(0.025) * math.sqrt(
            sum(1 / cell for cell in (a, n1 - a, c, n2 - c))))
        assert row["odds_ratio_high"] == pytest.approx(row["odds_ratio"] * reach)
        for name, compare, method in (("difference", "diff", "newcomb"), ("ratio", "ratio", "log")):
            ends = confint_proportions_2indep(a, n1, c, n2, compare=compare, method=method)
            assert [row[f"{name}_low"], row[f"{name}_high"]] == pytest.approx(list(ends), rel=1e-6)
        table = [[a, n1 - a], [c, n2 - c]]
        assert row["p_value"] == pytest.approx(
            stats.chi2_contingency(table, correction=False).pvalue, rel=1e-6)


def test_e_values_are_those_of_the_paper():
    """VanderWeele & Ding (2017): 3.9 (1.8 to 8.7) has E-values 7.26 and 3.0."""
    e, limit = study.e_value(3.9, 1.8, 8.7)
    assert (round(e, 2), round(limit, 1)) == (7.26, 3.0)
    assert study.e_value(1 / 3.9, 1 / 8.7, 1 / 1.8) == pytest.approx((e, limit))
    assert study.e_value(1.5, 0.9, 2.4)[1] == 1 and study.e_value(1, 0.9, 1.1) == (1, 1)
    assert all(math.isnan(value) for value in study.e_value(math.nan, math.nan, math.nan))
    # A cause that goes with both by exactly E can make all of the ratio, and none weaker can.
    bias = e * e / (2 * e - 1)
    assert bias == pytest.approx(3.9)


# What the figures of the source are.


def test_the_claimed_figures_are_named_for_what_they_are(shipped):
    assert not shipped.possible and not shipped.claims["same"].any()
    assert shipped.matches.index.tolist() == [
        ("No", "of_status", "Yes", "No"), ("Yes", "of_status", "Yes", "Yes")]
    assert shipped.matches["share"].tolist() == pytest.approx([1982 / 3103, 172 / 397])
    assert shipped.implied_rate == pytest.approx((0.43 * 2154 + 0.64 * 1346) / 3500)
    assert shipped.claims["actual"].to_dict() == pytest.approx(
        {"No": 225 / 1346, "Yes": 172 / 2154})


def test_claims_that_are_true_are_called_so():
    frame = subscribers(1, 200, promo_used=[0, 1] * 100)
    churned = np.zeros(200, dtype=int)
    churned[0:128:2], churned[1:86:2] = 1, 1
    found = analysed(frame.assign(churned=churned))
    assert found.possible and found.claims["same"].all()
    assert ("No", "of_value", "No", "Yes") in found.matches.index
    assert ("Yes", "of_value", "Yes", "Yes") in found.matches.index


@settings(max_examples=25)
@given(offered=st.integers(1, 200), others=st.integers(1, 200), data=st.data())
def test_an_average_is_never_beyond_its_parts(offered, others, data):
    """The arithmetic of the claim: rates as printed and impossible never are a table's rates."""
    a, c = data.draw(st.integers(0, offered)), data.draw(st.integers(0, others))
    row = pd.Series({"exposed": offered, "exposed_churned": a, "others": others,
                     "others_churned": c})
    claims, implied, possible = study._claims(row)
    if claims["same"].all():
        assert possible
        assert implied == pytest.approx((a + c) / (offered + others), abs=study.PRINTED / 2 + 1e-9)


# Confounding, and what only looks like it.


def made(n, seed, share_late, offer, effect, base=(0.1, 0.5)):
    """Subscribers whose churn depends on payment and, by a ratio, on offers; `offer` by payment."""
    rng = np.random.default_rng(seed)
    late = rng.random(n) < share_late
    used = rng.random(n) < np.where(late, *offer)
    p = np.where(late, base[1], base[0]) * np.where(used, effect, 1)
    return subscribers(
        seed, n, payment_history=np.where(late, "Delayed", "On-Time"),
        promo_used=used.astype(np.int64), churned=(rng.random(n) < p).astype(np.int64),
        subscription_months=5, plan="A")


def test_what_payment_makes_alone_goes_when_it_is_held_alike():
    """Late payers get the offers and churn; offers do nothing: the whole table turns it round."""
    found = analysed(made(6_000, 3, 0.4, (0.8, 0.2), 1.0))
    crude, common = found.effects.loc[OFFER], found.common.loc[(OFFER, PAYMENT)]
    assert crude["ratio_low"] > 1.5
    assert common["ratio_low"] < 1 < common["ratio_high"]
    assert common["odds_ratio_low"] < 1 < common["odds_ratio_high"] and common["p_value"] > 0.05
    assert found.tied.loc[(OFFER, PAYMENT), "v_low"] > 0.5
    assert common["e_value_limit"] == 1


def test_a_paradox_is_counted():
    """Offers lower churn in every stratum and seem to raise it in all together."""
    found = analysed(made(6_000, 4, 0.4, (0.9, 0.1), 0.6))
    row = found.common.loc[(OFFER, PAYMENT)]
    assert found.effects.loc[OFFER, "ratio_low"] > 1 > row["ratio_high"]
    assert (row["same_side"], row["other_side"], row["other_side_shown"]) == (0, 2, 2)
    assert row["ratio"] == pytest.approx(0.6, abs=0.06)


def test_odds_ratios_move_without_confounding_and_ratios_do_not():
    """Offers by lot: the common ratio is the crude one, the common odds ratio lies further out."""
    found = analysed(made(20_000, 5, 0.5, (0.5, 0.5), 0.5, base=(0.05, 0.9)))
    crude, common = found.effects.loc[OFFER], found.common.loc[(OFFER, PAYMENT)]
    assert common["ratio"] == pytest.approx(crude["ratio"], rel=0.03)
    assert common["odds_ratio"] < 0.75 * crude["odds_ratio"] < 1


def test_planted_effects_are_recovered():
    """The generator's odds ratios, alike in months; the scores, not held alike, draw them to 1."""
    truth = netflix.TRUTH["churn"]
    frame = netflix.generate(seed=3)[0]["subscribers"]
    frame["promo_used"] = (frame["promo_used"] == "Yes").astype(np.int64)
    frame["churned"] = (frame["churned"] == "Yes").astype(np.int64)
    found = analysed(frame)
    for factor, name in ((OFFER, "promo_used"), (PAYMENT, "delayed")):
        row = found.common.loc[(factor, TOGETHER)]
        assert row["odds_ratio_low"] < math.exp(truth[name]) < row["odds_ratio_high"]
        assert row["homogeneity_p"] > 0.01
    # Late payment was planted to go with length, offers with nothing.
    assert found.tied.loc[(PAYMENT, LENGTH), "v_low"] > 0.2
    assert found.tied.drop(index=(PAYMENT, LENGTH))["p_adjusted"].min() > 0.05
    alike, crude = found.common.loc[(PAYMENT, LENGTH)], found.effects.loc[PAYMENT]
    assert alike["ratio_high"] < crude["ratio_low"]


# What must not matter, and odd tables.


def test_strata_hold_everybody_once(shipped):
    strata = shipped.strata
    for (factor, by), rows in strata.groupby(level=["factor", "by"]):
        assert by != factor
        assert rows[["exposed", "others"]].to_numpy().sum() == 3500
        assert rows[["exposed_churned", "others_churned"]].to_numpy().sum() == 397
    rows = strata.loc[OFFER].xs(LENGTH, level="by")
    assert rows.index.tolist() == ["up_to_3", "4_to_12", "13_to_24", "over_24"]
    assert not rows.loc["over_24", "informative"] and rows["informative"].sum() == 3


@settings(max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_order_of_subscribers_does_not_matter(seed):
    frame = subscribers(seed, 120)
    a, b = (flatten({"offers": analysed(f)}) for f in (
        frame, frame.sample(frac=1, random_state=seed)))
    assert list(a) == list(b)
    for name, value in a.items():
        assert value == (pytest.approx(b[name], rel=1e-9) if isinstance(value, float) else b[name])


def test_swapping_churned_and_stayed_turns_the_odds_ratio_over():
    frame = subscribers(4, 400, churned=np.random.default_rng(1).integers(0, 2, 400))
    found, other = analysed(frame), analysed(frame.assign(churned=1 - frame.churned))
    for factor in FACTORS:
        assert found.effects.loc[factor, "odds_ratio"] == pytest.approx(
            1 / other.effects.loc[factor, "odds_ratio"])
        assert found.common.loc[(factor, TOGETHER), "odds_ratio"] == pytest.approx(
            1 / other.common.loc[(factor, TOGETHER), "odds_ratio"])
        assert found.effects.loc[factor, "difference"] == pytest.approx(
            -other.effects.loc[factor, "difference"])


def test_small_plans_stand_together():
    frame = subscribers(6, 300)
    plan = ["big"] * 100 + [f"plan {i % 40:02d}" for i in range(200)]
    found = analysed(frame.assign(plan=plan))
    names = found.strata.loc[OFFER].xs(PLAN, level="by").index.tolist()
    assert len(names) == study.MOST_PLANS + 1 and study.OTHER_PLANS in names and "big" in names
    assert found.pooled_plans == 41 - study.MOST_PLANS


@pytest.mark.parametrize("frame", [
    *(subscribers(seed, n) for seed, n in enumerate((1, 2, 3, 12, 40))),
    subscribers(10, churned=0), subscribers(11, churned=1), subscribers(12, promo_used=1),
    subscribers(13, promo_used=0, payment_history="On-Time"),
    subscribers(14, churned=[0, 1] * 30, promo_used=[0, 1] * 30),
], ids=["1", "2", "3", "12", "40", "nobody", "everybody", "all offers", "one of each", "separated"])
def test_odd_tables_give_results_that_json_can_hold(frame):
    found = analysed(frame)
    named = flatten({"offers": found})
    assert json.loads(json.dumps(named, allow_nan=False)) == named
    for factor, column in ((OFFER, "promo_used"), (PAYMENT, "payment_history")):
        assert (factor in found.effects.index) == (frame[column].nunique() == 2)
    if frame.churned.nunique() < 2:
        assert found.common.empty and not found.strata["informative"].any()
    if len(frame) == 60 and (frame.churned == frame.promo_used).all():
        row = found.effects.loc[OFFER]
        assert row["odds_ratio"] == math.inf and row["odds_ratio_low"] > 10
        assert math.isnan(row["ratio"]) and row["p_value"] < 1e-10


def test_counts_are_those_of_the_rows():
    """The one query against a loop over the rows, in every stratum."""
    frame = subscribers(9, 150, subscription_months=np.random.default_rng(2).integers(0, 40, 150))
    found = analysed(frame)
    window = pd.cut(frame.subscription_months, [-1, 3, 12, 24, np.inf], labels=[
        "up_to_3", "4_to_12", "13_to_24", "over_24"]).astype(str)
    offer = frame.promo_used.map({1: "Yes", 0: "No"})
    values = {OFFER: offer, PAYMENT: frame.payment_history, PLAN: frame.plan, LENGTH: window}
    for (factor, by, stratum), row in found.strata.iterrows():
        part = values[by] == stratum
        for value, name in zip(FACTORS[factor], ("exposed", "others"), strict=True):
            mine = frame[part & (values[factor] == value)]
            assert row[[name, f"{name}_churned"]].tolist() == [len(mine), mine.churned.sum()]
    # Windows up to the last that anybody is in, plans and the rest as they come.
    assert len(found.strata) == 2 * (2 + frame.plan.nunique() + window.nunique())


def test_the_table_may_be_any_expression():
    table = open_study("netflix", "data").table("subscribers")
    found = studied(table.filter(table[PLAN] == "Basic"))
    assert found.subscribers == netflix.DEALT[PLAN]["Basic"]
    assert (OFFER, PLAN) not in found.tied.index
    assert found.common.loc[(OFFER, PLAN), "strata"] == 1
