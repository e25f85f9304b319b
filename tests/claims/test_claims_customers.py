"""The customer analytics project's claims, and worlds in which they fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from analysis.claims import CUSTOMERS, customers
from analysis.claims.claim import Verdict, judge
from analysis.customers import events, kpis
from analysis.customers.lift import Action

SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict


@pytest.fixture(scope="module")
def tables(customers_tables):
    return customers_tables


@pytest.fixture(scope="module")
def shipped(tables, customers_study):
    return customers.measure(tables, customers_study)


def findings(measured):
    return {f.claim.key: f for f in judge(CUSTOMERS.claims, measured)}


def verdict(measured, key) -> Verdict:
    return findings(measured)[key].verdict


def test_shipped_verdicts_agree_with_the_study(shipped):
    found = findings(shipped)
    assert {key: f.verdict for key, f in found.items()} == {
        "predicts": SUPPORTED, "segments_differ": SUPPORTED, "months_differ": SUPPORTED,
        "seasonal": SUPPORTED, "decides": SUPPORTED, "value": SUPPORTED, "profit": UNTELLABLE,
        "check_needed": SUPPORTED, "central_limit": SUPPORTED,
        "libraries_agree": SUPPORTED, "uses": UNTELLABLE, "satisfied": UNTELLABLE,
    }
    z = shipped.lift.primary.z
    assert found["value"].evidence.p_value == pytest.approx(z.p_value)
    assert found["value"].evidence.estimate.estimate == pytest.approx(z.estimate)


def test_an_audit_is_the_same_without_the_study_at_hand(tables, shipped):
    alone = findings(customers.measure(tables))
    for key, finding in findings(shipped).items():
        assert alone[key].verdict is finding.verdict, key
        assert repr(alone[key].evidence) == repr(finding.evidence), key


def test_prediction_is_made_from_the_first_half_for_the_second(tables, shipped):
    """The same area from one row a user, by scikit-learn."""
    period = events.period(tables)
    users = kpis.spending(tables).to_pandas()
    users = users[users.reg_day + customers.WINDOW - 1 <= period.last]
    bought = users[f"purchases_{customers.WINDOW}"] > 0
    later = users.reg_day * 2 > period.first + period.last
    early = users[~later].assign(bought=bought[~later])
    overall = early.bought.mean()
    score = early.groupby(["device", "country"]).bought.agg(
        lambda b: (b.sum() + overall) / (len(b) + 1))
    keys = pd.MultiIndex.from_frame(users[later][["device", "country"]])
    area = roc_auc_score(bought[later], score.reindex(keys).fillna(overall).to_numpy())
    evidence = findings(shipped)["predicts"].evidence
    assert evidence.estimate.estimate == pytest.approx(area)
    assert shipped.buyers.users.sum() == len(users)


def buyers(first, second):
    """Devices a and b: of 400 users each, so many buy in the first and the second half."""
    return pd.DataFrame([
        {"device": device, "country": "US", "later": later, "users": 400, "buyers": n}
        for later, half in enumerate((first, second))
        for device, n in zip("ab", half, strict=True)
    ])


@pytest.mark.parametrize("first, second, expected", [
    ((40, 160), (40, 160), SUPPORTED), ((40, 160), (160, 40), CONTRADICTED),
    ((40, 160), (100, 101), NOT), ((40, 160), (0, 0), UNTELLABLE),
    ((100, 100), (40, 160), UNTELLABLE),
])
def test_prediction_turns_with_the_tables(shipped, first, second, expected):
    assert verdict(replace(shipped, buyers=buyers(first, second)), "predicts") is expected


def test_groups_that_do_not_differ(shipped):
    frame = shipped.conversion
    rows = frame.dimension.isin(["country", "cohort"])
    alike = frame.assign(payers=frame.payers.where(~rows, frame.users // 5))
    found = findings(replace(shipped, conversion=alike))
    assert found["segments_differ"].verdict is found["months_differ"].verdict is CONTRADICTED
    few = frame.assign(
        users=frame.users.where(~rows, 20), payers=frame.payers.where(~rows, 4))
    assert verdict(replace(shipped, conversion=few), "segments_differ") is NOT


def converters(shipped, control, treated):
    groups = shipped.test.groups.set_index("group")
    groups.loc[["control", "test"], "converters"] = control, treated
    return replace(shipped, test=replace(shipped.test, groups=groups.reset_index()))


def test_the_paywall_may_win_lose_or_leave_it_open(shipped):
    assert verdict(converters(shipped, 195, 300), "value") is SUPPORTED
    assert verdict(converters(shipped, 195, 120), "value") is CONTRADICTED
    assert verdict(converters(shipped, 195, 200), "value") is NOT
    assert verdict(converters(shipped, 0, 0), "value") is UNTELLABLE


@pytest.mark.parametrize("action, expected", [
    (Action.SHIP, SUPPORTED), (Action.KEEP, SUPPORTED), (Action.LONGER, CONTRADICTED),
    (Action.DISTRUST, CONTRADICTED), (Action.UNKNOWN, UNTELLABLE),
])
def test_the_rule_decides_or_does_not(shipped, action, expected):
    assert verdict(replace(shipped, lift=replace(shipped.lift, action=action)), "decides") is (
        expected)


def revenue(shipped, values):
    counts = pd.Series(values).value_counts().sort_index()
    return replace(shipped, test=replace(
        shipped.test, revenue=shipped.test.revenue | {"control": counts}))


def test_symmetric_revenue_needs_no_check_of_normality(shipped):
    rng = np.random.default_rng(2)
    values = np.round(rng.normal(500, 100, 4_000), -1)
    assert verdict(revenue(shipped, values), "check_needed") is CONTRADICTED
    assert verdict(revenue(shipped, values[:20]), "check_needed") is NOT
    assert verdict(revenue(shipped, [5, 5, 5]), "check_needed") is UNTELLABLE


def test_revenue_skewed_to_either_side_needs_the_check(shipped):
    values = np.round(np.random.default_rng(6).gamma(1, 100, 4_000), -1)
    right, left = (findings(revenue(shipped, v))["check_needed"] for v in (values, 2_000 - values))
    assert right.verdict is left.verdict is SUPPORTED
    assert left.evidence.values["skewness"].estimate < -0.5 < 0.5 < left.evidence.estimate.low
    assert left.evidence.estimate.estimate == pytest.approx(right.evidence.estimate.estimate)


def test_skewness_and_its_error(shipped):
    """The bootstrap's error is that of skewness in samples from the same distribution."""
    rng = np.random.default_rng(5)
    values = np.round(rng.gamma(4, 10, 3_000))
    found, error = customers._skewness(customers._revenue(revenue(shipped, values)))
    assert found.estimate == pytest.approx(pd.Series(values).skew())
    drawn = pd.DataFrame(np.round(rng.gamma(4, 10, (3_000, 300)))).skew()
    assert error == pytest.approx(drawn.std(), rel=0.25)
    assert found.low < 1 < found.high and math.isclose(drawn.mean(), 1, abs_tol=0.05)


def test_a_flat_year_has_no_season(shipped):
    s = shipped.seasons
    curve = s.yearly_curve.assign(estimate=0.01, low=-0.1, high=0.12)
    fits = s.fits.assign(yearly_p=0.8)
    flat = replace(s, yearly_curve=curve, fits=fits)
    assert verdict(replace(shipped, seasons=flat), "seasonal") is NOT
    short = replace(s, fits=s.fits.assign(yearly=False))
    assert verdict(replace(shipped, seasons=short), "seasonal") is UNTELLABLE


def test_coverage_and_libraries(shipped):
    n = shipped.lift.normality
    for coverage, expected in ((0.951, SUPPORTED), (0.941, NOT), (0.90, CONTRADICTED)):
        lift = replace(shipped.lift, normality=replace(
            n, sampling=n.sampling.assign(coverage=coverage)))
        assert verdict(replace(shipped, lift=lift), "central_limit") is expected
    apart = replace(shipped.lift, t_test=replace(shipped.lift.t_test, gap=1e-3))
    assert verdict(replace(shipped, lift=apart), "libraries_agree") is CONTRADICTED


def test_nobody_seen_for_four_weeks_is_counted(tables):
    """Users who registered too late for the window are left out."""
    period = events.period(tables)
    found = customers.buyers(tables, period)
    users = tables.table("users")
    late = (events.people(tables).reg_day > period.last - customers.WINDOW + 1).sum().to_pandas()
    assert found.users.sum() == users.count().to_pandas() - late
