"""The MOOC project's claims: the shipped tables, what their columns hold, and other tables."""

from __future__ import annotations

from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest

from analysis.claims import MOOC, mooc
from analysis.claims.claim import Cause, Unseen, Verdict, judge
from analysis.mooc import segments
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments

SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict


@pytest.fixture(scope="module")
def shipped(mooc_study, mooc_tables):
    """As `mooc.measure`, from the analysis that other tests use, too."""
    s = mooc_study
    users, events, orders = (mooc_tables.table(name) for name in ("users", "events", "orders"))
    countries = s.geography.conversion.countries
    return mooc.Measured(
        funnel=s.funnel, value=s.value, durations=s.durations, segments=s.segments,
        products=s.products, rules=s.rules,
        stand_out=list(countries.index[countries.stands_out > 0]),
        learners=mooc.learners(users, events, orders, pd.Timestamp(s.scope.as_of).date()),
    )


def verdicts(measured) -> dict[str, Verdict]:
    return {f.claim.key: f.verdict for f in judge(MOOC.claims, measured)}


def test_shipped_verdicts(shipped):
    expected = {
        "rfm_targets": SUPPORTED, "date_of_first_course": SUPPORTED,
        "date_is_recency": CONTRADICTED,
        "courses_are_frequency": CONTRADICTED, "revenue_is_monetary": SUPPORTED,
        "revenue_predicts": SUPPORTED, "value_is_expected": NOT,
        "minutes_are_engagement": SUPPORTED, "quiz_is_engagement": SUPPORTED,
        "quiz_is_success": CONTRADICTED, "professions_differ": CONTRADICTED,
        "professions_watch": SUPPORTED,
        "pairs": SUPPORTED, "hot_spots": SUPPORTED, "enrolled_rate": SUPPORTED,
        "completed_rate": SUPPORTED, "best_source": SUPPORTED, "completers_pay": SUPPORTED,
        "average_time": CONTRADICTED,
    }
    found = verdicts(shipped)
    assert {key: found[key] for key in expected} == expected
    rest = {c.key for c in MOOC.claims} - set(expected)
    assert rest == {c.key for c in MOOC.claims if c.kind in (Cause, Unseen)}
    assert {found[key] for key in rest} == {UNTELLABLE}


def test_columns_are_what_pandas_makes_of_them(shipped, mooc_tables):
    users, events, orders = (
        mooc_tables.table(name).to_pandas() for name in ("users", "events", "orders"))
    x = shipped.learners
    paid = orders.groupby("user_id").amount.sum().reindex(users.user_id).fillna(0).to_numpy()
    made = orders.groupby("user_id").order_id.nunique().reindex(users.user_id)
    assert x.users == len(users) and x.customers == made.notna().sum()
    assert x.same_revenue == (abs(paid - users.total_revenue) < 0.005).sum()
    assert x.same_frequency == (made.to_numpy() == users.total_courses_enrolled).sum()
    taken = events[events.event_type == "enrolled_in_course"]
    ended = events[events.event_type == "completed_course"].merge(
        taken.groupby(["user_id", "course_id"]).event_timestamp.min().rename("began").reset_index())
    first = taken.groupby("user_id").event_timestamp.min().dt.normalize()
    dated = users.set_index("user_id").enrollment_date.reindex(first.index)
    assert (x.began, x.same_date) == (len(first), (pd.to_datetime(dated) == first).sum())
    done = users.user_id.isin(ended[ended.event_timestamp >= ended.began].user_id)
    rows = users.assign(done=done.astype(float), bought=made.notna().to_numpy())
    rows = rows[rows.total_courses_enrolled > 0]
    minutes = np.log1p(rows.total_time_watched_minutes)
    assert (x.enrolled, x.scored) == (len(rows), rows.quiz_score_average.notna().sum())
    for found, a, b in (
        (x.minutes_and_rate, minutes, rows.video_completion_rate),
        (x.minutes_and_courses, minutes, rows.total_courses_enrolled),
        (x.quiz_and_rate, rows.quiz_score_average, rows.video_completion_rate),
        (x.quiz_and_completed, rows.quiz_score_average, rows.done),
    ):
        assert found == pytest.approx(a.corr(b))
    for found, group in ((x.completers, 1.0), (x.others, 0.0)):
        revenue = rows.total_revenue[rows.done == group]
        assert (found.n, found.mean, found.variance) == pytest.approx(
            (len(revenue), revenue.mean(), revenue.var()))
    bought = users.assign(bought=made.notna().to_numpy()).groupby("user_occupation").bought.sum()
    pd.testing.assert_series_equal(x.bought.yes, bought, check_names=False)
    for job, rates in rows.groupby("user_occupation").video_completion_rate:
        m = x.watched[job]
        assert (m.n, m.mean, m.variance) == pytest.approx((len(rates), rates.mean(), rates.var()))


def test_who_watches_is_judged_as_in_the_chapter(shipped, mooc_study):
    """One effect has one size in the book."""
    row = mooc_study.audience.tests.loc[("user_occupation", "completion_rate")]
    found, = (f for f in judge(MOOC.claims, shipped) if f.claim.key == "professions_watch")
    effect = found.evidence.effect
    assert (effect.estimate, effect.low, effect.high) == pytest.approx(
        (row.explained, row.explained_low, row.explained_high), abs=1e-9)
    assert found.evidence.p_value == pytest.approx(row.p_value)


def test_professions_that_watch_alike(shipped):
    same = {name: Moments(n, 50.0, 400.0) for name, n in (("Nurse", 9_000), ("Clerk", 11_000))}
    assert with_learners(shipped, watched=same)["professions_watch"] is CONTRADICTED
    few = {name: Moments(30, 50.0, 400.0) for name in ("Nurse", "Clerk")}
    assert with_learners(shipped, watched=few)["professions_watch"] is NOT
    for nothing in ({}, {"Nurse": Moments(30, 50.0, 400.0)},
                    {"Nurse": Moments(30, 50.0, 0.0), "Clerk": Moments(30, 50.0, 1.0)}):
        assert with_learners(shipped, watched=nothing)["professions_watch"] is UNTELLABLE


def with_learners(shipped, **changes):
    return verdicts(replace(shipped, learners=replace(shipped.learners, **changes)))


def test_columns_that_are_what_is_said_of_them(shipped):
    found = with_learners(
        shipped, same_frequency=shipped.learners.customers, quiz_and_completed=0.8,
        quiz_and_rate=0.2, minutes_and_rate=0.3, same_revenue=7,
        same_date=shipped.learners.began - 1,
        bought=pd.DataFrame({"yes": [500, 100], "no": [500, 900]}, index=["Nurse", "Clerk"]),
        completers=Moments(50, 10.0, 4.0), others=Moments(60, 20.0, 4.0))
    assert found["courses_are_frequency"] is found["quiz_is_success"] is SUPPORTED
    for key in ("quiz_is_engagement", "minutes_are_engagement", "completers_pay",
                "revenue_is_monetary", "date_of_first_course"):
        assert found[key] is CONTRADICTED, key
    assert found["professions_differ"] is SUPPORTED


def test_columns_without_variation_tell_nothing(shipped):
    found = with_learners(
        shipped, minutes_and_rate=float("nan"), minutes_and_courses=float("nan"),
        quiz_and_rate=float("nan"), quiz_and_completed=float("nan"), completers=None,
        bought=shipped.learners.bought.head(1), customers=0, same_frequency=0, began=0)
    for key in ("minutes_are_engagement", "quiz_is_engagement", "quiz_is_success",
                "completers_pay", "professions_differ", "courses_are_frequency",
                "date_of_first_course"):
        assert found[key] is UNTELLABLE, key


def test_segments_and_forecasts_turned_over(shipped):
    prediction = shipped.segments.prediction
    frame = prediction.by_segment.copy()
    best = segments.RULES[0].name
    frame.loc[best, ["ratio", "ratio_low", "ratio_high"]] = 0.5, 0.4, 0.625
    scores = prediction.by_score.copy()
    scores.loc["monetary", ["area", "low", "high"]] = 0.4, 0.38, 0.42
    tenure = replace(shipped.segments.tenure, same=shipped.segments.tenure.customers - 10)
    holdout = replace(
        shipped.value.holdout, value_ratio=Interval(1.0, 0.97, 1 / 0.97, 0.95, ""))
    found = verdicts(replace(
        shipped,
        segments=replace(shipped.segments, tenure=tenure, prediction=replace(
            prediction, by_segment=frame, by_score=scores)),
        value=replace(shipped.value, holdout=holdout)))
    assert found["rfm_targets"] is found["revenue_predicts"] is CONTRADICTED
    assert found["date_is_recency"] is found["value_is_expected"] is SUPPORTED
    off = replace(holdout, value_ratio=Interval(1.5, 1.4, 1.5**2 / 1.4, 0.95, ""))
    bare = replace(shipped.segments, tenure=None, prediction=None)
    found = verdicts(replace(
        shipped, segments=bare, value=replace(shipped.value, holdout=off), durations=None))
    assert found["value_is_expected"] is CONTRADICTED
    for key in ("rfm_targets", "revenue_predicts", "date_is_recency", "average_time"):
        assert found[key] is UNTELLABLE, key


def test_searches_that_find_nothing_leave_it_open(shipped):
    pairs = shipped.rules.pairs
    found = verdicts(replace(
        shipped, stand_out=[],
        rules=replace(shipped.rules, pairs=replace(pairs, found=pairs.found.head(0)), trial={})))
    assert found["pairs"] is found["hot_spots"] is NOT
    assert found["promotions"] is UNTELLABLE
    assert verdicts(replace(shipped, stand_out=None))["hot_spots"] is UNTELLABLE


def test_counts_that_are_no_funnel(shipped):
    stages = shipped.funnel.stages.copy()
    stages.loc["completed_course", "users"] = 2 * stages.loc["enrolled_in_course", "users"]
    rates = shipped.funnel.rates.copy()
    rates["p_adjusted"], rates["difference_low"] = 0.5, -0.5
    found = verdicts(replace(shipped, funnel=replace(
        shipped.funnel, stages=stages, rates=rates)))
    assert found["completed_rate"] is CONTRADICTED and found["enrolled_rate"] is SUPPORTED
    assert found["best_source"] is NOT


def test_a_course_that_all_complete_at_once(shipped):
    d = shipped.durations
    times = d.times.copy()
    times.loc["(everybody)", "naive_mean_days"] = 400.0
    assert verdicts(replace(shipped, durations=replace(d, times=times)))["average_time"] is (
        SUPPORTED)


def test_users_without_anything():
    users = pd.DataFrame({
        "user_id": ["a", "b"], "user_occupation": pd.array([None, None], "string"),
        "enrollment_date": pd.to_datetime(["2023-01-01", "2023-01-02"]),
        "total_courses_enrolled": [0, 0], "total_revenue": [0.0, 0.0],
        "total_time_watched_minutes": [0.0, 0.0], "video_completion_rate": [0.0, 0.0],
        "quiz_score_average": [np.nan, np.nan],
    })
    events = ibis.memtable([], schema={
        "user_id": "string", "event_timestamp": "timestamp", "event_type": "string",
        "course_id": "string"})
    orders = ibis.memtable([], schema={
        "user_id": "string", "order_id": "string", "order_timestamp": "timestamp",
        "amount": "float64"})
    x = mooc.learners(ibis.memtable(users), events, orders, pd.Timestamp("2024-01-01").date())
    assert (x.users, x.same_revenue, x.customers, x.same_frequency, x.enrolled, x.scored) == (
        2, 2, 0, 0, 0, 0)
    assert (x.began, x.same_date, x.watched) == (0, 0, {})
    assert np.isnan(x.minutes_and_rate) and x.completers is x.others is None and x.bought.empty
