"""Each trait against churn: planted effects found and no others, equal to R, and what must hold."""

from __future__ import annotations

import functools
import json
import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from r_scripts import made_by_r
from test_churn_reductions import close, subscribers, tables

from analysis.churn import reductions
from analysis.churn import traits as study
from analysis.churn.reductions import CATEGORIES, NUMBERS
from analysis.results import flatten
from analysis.simulate import netflix

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "traits.json").read_text())
PLANTED = {"payment_history", "promo_used", "subscription_months"}
SMALL = {"satisfaction_score", "engagement_rate"}


def analysed(frame: pd.DataFrame) -> study.Traits:
    table = tables(frame).table("subscribers")
    return study.traits(reductions.reduce(table), table)


@pytest.fixture(scope="module")
def shipped(netflix_study):
    return netflix_study.traits


@pytest.fixture(scope="module")
def many():
    """Six times as many subscribers as are shipped, of another seed."""
    frame = netflix.generate(seed=5, scale=6)[0]["subscribers"]
    flags = {column: (frame[column] == "Yes").astype(int) for column in ("churned", "promo_used")}
    return analysed(frame.assign(**flags))


# What was planted.


def test_planted_traits_are_found_and_no_others(many):
    """All that churn depends on in the generator, even its small effects; and nothing else."""
    found = many.tests["found"]
    assert set(found[found].index) == PLANTED | SMALL
    assert set(many.direction.index[many.direction["found"]]) == SMALL | {"subscription_months"}
    # Both scores lower the risk of churn, as the months do.
    assert (many.direction.loc[many.direction["found"], "superiority_high"] < 0.5).all()
    assert (many.direction.loc[many.direction["found"], "difference_high"] < 0).all()
    # Late payment depends on the months, and on nothing else.
    related = many.related["p_adjusted"] <= 0.05
    assert set(related[related].index) == {("payment_history", "subscription_months")}
    assert many.correlations["p_adjusted"].min() > 0.05 and len(many.correlations) == 36


def test_the_shipped_table_shows_the_large_effects(shipped):
    found = shipped.tests["found"]
    assert set(found[found].index) == PLANTED
    assert list(shipped.tests.index[:3]) == ["payment_history", "subscription_months", "promo_used"]
    groups = shipped.groups["finding"]
    assert groups["payment_history"].to_dict() == {"Delayed": "higher", "On-Time": "lower"}
    assert groups["promo_used"].to_dict() == {"No": "higher", "Yes": "lower"}
    months = groups["subscription_months"]
    assert months.tolist() == ["higher", "higher", "lower", "lower", "lower"]
    # Of traits that are not found, no group is said to stand out, though one would alone.
    assert groups.drop(list(PLANTED), level="trait").isna().all()
    assert shipped.groups.loc[("plan", "Premium"), "p_adjusted"] < 0.05
    # What is not there lies within what the intervals leave open: nothing.
    rest = shipped.tests[~found]
    assert (rest["left_open"] > 0).all() and rest.loc[["genre", "region"], "left_open"].max() < 0.06


# Independent implementations.


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "traits.R", tmp_path, "data/netflix/subscribers.csv")
    np.testing.assert_allclose(fresh["holm"], R["holm"], rtol=1e-9)
    for column, values in R["direction"].items():
        for name, value in values.items():
            np.testing.assert_allclose(fresh["direction"][column][name], value, rtol=1e-9)


def test_tests_of_groups_equal_r(shipped):
    assert list(R["tests"]) == list(study.ALL)
    for (column, r), holm in zip(R["tests"].items(), R["holm"], strict=True):
        row, groups = shipped.tests.loc[column], shipped.groups.loc[column]
        assert row["statistic"] == pytest.approx(r["statistic"], rel=1e-9)
        assert row["df"] == r["df"] == len(groups) - 1 == row["groups"] - 1
        assert row["p_value"] == pytest.approx(r["p"], rel=1e-9)
        assert row["p_adjusted"] == pytest.approx(holm, rel=1e-9)
        close(groups["difference"], r["differences"])
        np.testing.assert_allclose(groups["p_value"], r["p_rest"], rtol=1e-8)


def test_tests_of_direction_equal_r(shipped):
    assert list(R["direction"]) == list(NUMBERS) == list(shipped.direction.index)
    for (column, r), holm in zip(R["direction"].items(), R["direction_holm"], strict=True):
        row = shipped.direction.loc[column]
        assert row["superiority"] == pytest.approx(r["superiority"], rel=1e-12)
        assert row["p_value"] == pytest.approx(r["p"], rel=1e-8)
        assert row["p_adjusted"] == pytest.approx(holm, rel=1e-8)
        close(row[["mean_churned", "mean_stayed"]], r["means"])
        np.testing.assert_allclose(
            row[["difference_low", "difference_high"]].astype(float), r["limits"], rtol=1e-8)
    ours = shipped.correlations.loc[("profiles", "daily_watch_hours"),
                                    ["r", "r_low", "r_high", "p_value"]]
    np.testing.assert_allclose(ours.astype(float), R["profiles_with_hours"], rtol=1e-8)


def test_corrections_are_holms(shipped):
    """By the definition: the largest of the steps up to a p-value, each times what is left."""
    families = [shipped.tests, shipped.direction, shipped.correlations, shipped.related]
    families += [rows for _, rows in shipped.groups.groupby(level="trait") if len(rows) > 2]
    for frame in families:
        p = np.sort(frame["p_value"])
        expected = [min(1.0, max(p[i] * (len(p) - i) for i in range(len(p)) if p[i] <= value))
                    for value in frame["p_value"]]
        close(frame["p_adjusted"], expected)
    # Two groups make one comparison.
    pair = shipped.groups.loc["payment_history"]
    assert (pair["p_adjusted"] == pair["p_value"]).all()


# Sizes and power.


@pytest.mark.parametrize(("sizes", "rate", "alpha"), [
    ((700, 900, 1900), 0.113, 0.05 / 14), ((400, 600), 0.4, 0.05), ((300,) * 10, 0.25, 0.01),
])
def test_the_detectable_difference_is_found_with_that_power(sizes, rate, alpha):
    """Among simulated tables in which the largest group differs by so much."""
    sizes = np.array(sizes)
    share = sizes.max() / sizes.sum()
    gap = study.detectable(int(sizes.sum()), len(sizes), share, rate, alpha)
    rates = np.full(len(sizes), rate - share * gap)
    rates[sizes.argmax()] += gap
    assert (sizes @ rates) / sizes.sum() == pytest.approx(rate)
    churned = np.random.default_rng(7).binomial(sizes, rates, (20_000, len(sizes)))
    overall = churned.sum(axis=1, keepdims=True) / sizes.sum()
    statistic = ((churned - sizes * overall) ** 2 / (sizes * overall * (1 - overall))).sum(axis=1)
    power = (stats.chi2.sf(statistic, len(sizes) - 1) <= alpha).mean()
    assert power == pytest.approx(study.POWER, abs=0.03)


def test_too_small_a_table_detects_nothing():
    assert math.isnan(study.detectable(10, 3, 0.5, 0.2, 0.01))
    # A larger table, a milder level and a larger group all make smaller differences seen.
    at = functools.partial(study.detectable, groups=4, rate=0.2)
    base = at(1000, share=0.3, alpha=0.01)
    assert at(2000, share=0.3, alpha=0.01) == pytest.approx(base / math.sqrt(2))
    assert at(1000, share=0.3, alpha=0.05) < base and at(1000, share=0.4, alpha=0.01) < base


def test_spread_holds_for_all_pairs(shipped):
    """The interval of the extremes is wider than that of two groups chosen before."""
    row, groups = shipped.tests.loc["device"], shipped.groups.loc["device"]
    assert row["highest"] == groups["rate"].idxmax() and row["lowest"] == groups["rate"].idxmin()
    assert row["spread"] == pytest.approx(groups["rate"].max() - groups["rate"].min())
    high, low = groups.loc[row["highest"]], groups.loc[row["lowest"]]
    single = math.hypot(high["high"] - high["rate"], low["rate"] - low["low"])  # Newcombe's
    widened = row["spread_high"] - row["spread"]
    assert widened / single == pytest.approx(
        stats.norm.isf(0.025 / math.comb(len(groups), 2)) / stats.norm.isf(0.025), rel=0.05)
    assert (shipped.groups["wide_low"] <= shipped.groups["difference_low"] + 1e-12).all()


def test_key_metrics_are_those_of_the_dashboard(shipped):
    printed = shipped.key.loc[["satisfaction_score", "support_queries", "profiles"], "mean"]
    assert printed.round(1).tolist() == [6.9, 5.0, 3.0]
    frame = pd.read_csv("data/netflix/subscribers.csv")
    for column, row in shipped.key.iterrows():
        values = frame[column]
        low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
        close(row, [values.mean(), low, high, values.median(), values.std(), values.min(),
                    values.max()])


# One trait behind another.


def test_a_trait_that_goes_with_a_cause_is_found_and_their_tie_is_told():
    """Churn depends on the payment; the device goes with the payment only."""
    rng = np.random.default_rng(2)
    n = 1_500
    late = rng.random(n) < 0.3
    frame = subscribers(2, n, payment_history=np.where(late, "Delayed", "On-Time"),
                        device=np.where(rng.random(n) < np.where(late, 0.8, 0.2), "TV", "phone"))
    found = analysed(frame.assign(churned=(rng.random(n) < np.where(late, 0.6, 0.1)).astype(int)))
    assert found.tests.loc[["payment_history", "device"], "found"].all()
    assert found.tests.index[0] == "payment_history"
    tie = found.related.loc[("payment_history", "device")]
    assert tie["p_adjusted"] < 1e-20
    table = pd.crosstab(frame["payment_history"], frame["device"])
    plain = math.sqrt(stats.chi2_contingency(table, correction=False).statistic / n)
    assert tie["v"] == pytest.approx(plain, abs=0.005) and tie["v_low"] < plain < tie["v_high"]


def test_ties_are_of_the_groups_that_were_compared():
    """Bands and pooled values are told apart in the query as they are in the groups."""
    rng = np.random.default_rng(8)
    n = 900
    kind = rng.integers(0, 40, n)
    frame = subscribers(8, n, genre=[f"g{k}" for k in kind], age=18 + kind + rng.integers(0, 9, n))
    frame["churned"] = (rng.random(n) < 0.1 + 0.6 * (kind > 25)).astype(int)
    found = analysed(frame)
    pair = found.related.loc[("age", "genre") if ("age", "genre") in found.related.index
                             else ("genre", "age")]
    genre = found.groups.loc["genre"]
    named = frame["genre"].where(frame["genre"].isin(genre.index), study.OTHERS)
    age = found.groups.loc["age"]
    band = np.searchsorted(age["to_value"].to_numpy()[:-1], frame["age"])
    assert named.value_counts().to_dict() == genre["subscribers"].to_dict()
    assert pd.Series(band).value_counts().sort_index().tolist() == age["subscribers"].tolist()
    table = pd.crosstab(named, band)
    statistic = stats.chi2_contingency(table, correction=False).statistic
    assert pair["v_low"] < math.sqrt(statistic / n / (min(table.shape) - 1)) < pair["v_high"] + 0.05


def test_small_values_of_a_category_stand_together():
    frame = subscribers(3, 700, genre=["all other"] * 30 + [f"g{i % 25:02d}" for i in range(670)])
    rows = analysed(frame).groups.loc["genre"]
    assert len(rows) == study.MOST_GROUPS and rows.index[-1] == study.OTHERS
    # A value that is called like the pool is part of it, though it has most subscribers.
    assert rows["pooled"].tolist() == [0] * 11 + [15] and rows["subscribers"].sum() == 700
    pooled = frame[~frame["genre"].isin(rows.index[:-1])]
    assert rows.loc[study.OTHERS, ["subscribers", "churned"]].tolist() == [
        len(pooled), pooled["churned"].sum()]


# What must hold.


def assert_alike(a: study.Traits, b: study.Traits):
    first, second = flatten(a), flatten(b)
    assert list(first) == list(second)
    for name, value in first.items():
        if isinstance(value, float) and second[name] is not None:
            assert value == pytest.approx(second[name], rel=1e-7, abs=1e-9), name
        else:
            assert value == second[name], name


@settings(max_examples=3)
@given(seed=st.integers(0, 10_000), n=st.integers(4, 60))
def test_whatever_the_table(seed, n):
    frame = subscribers(seed, n)
    found = analysed(frame)
    again = frame.sample(frac=1, random_state=seed)
    assert_alike(found, analysed(again.assign(customer_id=[f"x{i}" for i in range(n)])))
    groups = found.groups
    for column in study.ALL:
        rows = groups.loc[column]
        assert rows["subscribers"].sum() == n and rows["churned"].sum() == frame["churned"].sum()
        assert (column in found.tests.index) != (column in found.left_out)
        if column in found.left_out:
            assert rows["difference"].isna().all()
            continue
        row, rate = found.tests.loc[column], frame["churned"].mean()
        # A group lies as far from the rest as its share of them moves the overall rate.
        share = rows["subscribers"] / n
        close(rows["rate"] - rate, (1 - share) * rows["difference"])
        assert (rows["wide_low"] <= rows["difference"]).all()
        assert row["left_open"] >= rows["difference"].abs().max()
        assert row["spread_low"] <= row["spread"] <= row["spread_high"] and row["spread"] >= 0
        assert row["p_adjusted"] >= row["p_value"] and row["v_low"] <= row["v"] <= row["v_high"]
        if len(rows) == 2:
            assert rows["difference"].iloc[0] == pytest.approx(-rows["difference"].iloc[1])
            assert rows["p_value"].iloc[0] == pytest.approx(rows["p_value"].iloc[1])
    assert found.tests["v"].is_monotonic_decreasing
    named = flatten(found)
    assert json.loads(json.dumps(named, allow_nan=False)) == named


def test_units_and_the_direction_of_a_scale():
    frame = subscribers(5, 500, engagement_rate=np.random.default_rng(5).integers(1, 11, 500) * 1.0)
    a = analysed(frame)
    b = analysed(frame.assign(monthly_income=frame["monthly_income"] * 12,
                              engagement_rate=11 - frame["engagement_rate"]))
    monthly, yearly = (found.direction.loc["monthly_income"] for found in (a, b))
    unit_free = ["superiority", "superiority_low", "superiority_high", "p_value"]
    close(monthly[unit_free], yearly[unit_free])
    assert yearly["difference"] == pytest.approx(12 * monthly["difference"])
    turned, row = b.direction.loc["engagement_rate"], a.direction.loc["engagement_rate"]
    assert turned["superiority"] == pytest.approx(1 - row["superiority"])
    assert turned["difference_low"] == pytest.approx(-row["difference_high"])
    numbers = ["statistic", "p_value", "v", "spread", "left_open"]
    close(a.tests.sort_index()[numbers], b.tests.sort_index()[numbers])


@pytest.mark.parametrize(("frame", "why"), [
    (subscribers(1, 1, churned=0), study.NOBODY),
    (subscribers(1, 30, churned=0), study.NOBODY),
    (subscribers(2, 3, churned=1), study.EVERYBODY),
])
def test_without_two_fates_there_is_no_test(frame, why):
    found = analysed(frame)
    assert set(found.left_out.values()) == set(found.undirected.values()) == {why}
    assert found.tests.empty and found.direction.empty and found.related.empty
    assert len(found.groups.index.unique("trait")) == len(study.ALL)
    assert found.key["mean"].notna().all() and found.key["low"].isna().all() == (len(frame) == 1)


def test_traits_without_groups_are_left_out():
    frame = subscribers(6, 300, device="TV", profiles=1, age=np.arange(300) % 30 + 65)
    frame["churned"] = (frame["age"] > 85).astype(int)
    found = analysed(frame)
    # All ages lie in the last band; yet their direction is seen.
    assert found.left_out == dict.fromkeys(("device", "age", "profiles"), study.ONE_GROUP)
    assert found.undirected == {"profiles": study.ONE_GROUP}
    row = found.direction.loc["age"]
    assert row["found"] and row["superiority"] == 1.0 and row["superiority_high"] == 1.0
    assert len(found.tests) == len(CATEGORIES) + len(NUMBERS) - 3
    one = analysed(frame.assign(churned=(np.arange(300) == 0).astype(int)))
    assert set(one.undirected.values()) == {study.TOO_FEW, study.ONE_GROUP}
    assert set(one.tests["method"]) <= {"Fisher's exact", "Monte Carlo"}
