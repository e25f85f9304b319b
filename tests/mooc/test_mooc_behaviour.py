"""The planted ways of learning come out, by what they are; and data without any have none."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from mooc_logs import event_table, random_events, random_frames, random_users, user_table
from scipy import stats
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from analysis.mooc import behaviour as study
from analysis.mooc.behaviour import LOG_MINUTES, MEASURES, MINUTES, NEVER, QUIZ, RATE
from analysis.simulate import mooc as generator
from analysis.stats import clusters
from analysis.stats.moments import Moments

CHOOSE, STABILITY = clusters.choose, clusters.stability


def analysed(users: pd.DataFrame, events: pd.DataFrame | None = None) -> study.Behaviour:
    """The analysis of made-up users, with fewer resamples than the study takes."""
    events = random_events(3, 40) if events is None else events
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study.clusters, "choose", partial(CHOOSE, references=8, splits=1))
        patch.setattr(study.clusters, "stability", partial(STABILITY, resamples=8))
        return study.behaviour(user_table(users), event_table(events))


def made(minutes, rate, quiz, courses=1) -> pd.DataFrame:
    """Users with these minutes per course, rates and scores."""
    n = len(minutes)
    users = random_users(5, n)
    return users.assign(
        total_courses_enrolled=courses, total_time_watched_minutes=np.multiply(minutes, courses),
        video_completion_rate=rate, quiz_score_average=quiz)


@pytest.fixture(scope="module")
def planted(mooc_tables, mooc_truth):
    truth = mooc_truth["people"].set_index("user_id")["cluster"]
    users = mooc_tables.table("users").to_pandas().set_index("user_id")
    return users, truth


@pytest.fixture(scope="module")
def found(mooc_study):
    return mooc_study.behaviour


def test_planted_clusters_are_recovered(planted, found, mooc_tables):
    """As many as were planted, with nearly the same members: adjusted Rand index above 0.9."""
    users, truth = planted
    assert found.choice.k == len(generator.CLUSTERS) and found.choice.settled
    segment = study.segment_of(mooc_tables.table("users"), found).to_pandas()
    segment = segment.set_index("user_id")["segment"]
    never = users.index[users.total_courses_enrolled == 0]
    assert (segment[never] == NEVER).all() and (segment == NEVER).sum() == len(never)
    enrolled = users.index.difference(never)
    assert adjusted_rand_score(truth[enrolled], segment[enrolled]) > 0.9
    # The clusters' means are those of the law that they were drawn from.
    counts = pd.crosstab(truth[enrolled], segment[enrolled])
    for name, law in generator.CLUSTERS.iterrows():
        row = found.segments.loc[counts.loc[name].idxmax()]
        assert row[RATE] == pytest.approx(law["rate"], abs=2)
        assert row[QUIZ] == pytest.approx(law["quiz"], abs=1.5)
        assert row[MINUTES] == pytest.approx(
            law["minutes"] * np.exp(law["minutes_sigma"] ** 2 / 2), rel=0.08)
        assert row["stability"] > 0.95


def test_grid_changes_nothing(planted, found, mooc_tables):
    """k-means on every user gives the same centres and, but for borders, the same clusters."""
    users = planted[0]
    scored = users[users.quiz_score_average.notna() & (users.total_courses_enrolled > 0)]
    minutes = scored.total_time_watched_minutes.astype(float) / scored.total_courses_enrolled
    x = pd.DataFrame({
        LOG_MINUTES: np.log1p(minutes), RATE: scored.video_completion_rate.astype(float),
        QUIZ: scored.quiz_score_average.astype(float)})[list(MEASURES)]
    assert found.lost < 0.01
    np.testing.assert_allclose(found.scale["mean"], x.mean(), rtol=1e-9)
    np.testing.assert_allclose(found.scale["sd"], x.std(ddof=0), rtol=1e-9)
    rows = KMeans(found.found.k, n_init=10, random_state=1).fit((x - x.mean()) / x.std(ddof=0))
    order = np.argsort(-rows.cluster_centers_.sum(axis=1))
    np.testing.assert_allclose(found.found.centres, rows.cluster_centers_[order], atol=0.01)
    segment = study.segment_of(mooc_tables.table("users"), found).to_pandas()
    segment = segment.set_index("user_id")["segment"][scored.index]
    assert adjusted_rand_score(segment, rows.labels_) > 0.98


def test_what_the_clusters_did_not_see(found):
    """Completion depends on the planted cluster, revenue does not."""
    assert found.completion_p < 1e-6 and found.completion.effect.low > 0.4
    shares = found.segments["completed"]
    # Ranked as the planted logits: most active first.
    clusters = shares[list(found.centres.index)]
    assert clusters.is_monotonic_decreasing
    assert found.revenue_p > 0.05 and found.revenue.effect.high < 0.002
    against = found.revenue_against_rest
    assert (against[["wide_low", "wide_high"]].abs() < found.margin).all(axis=None)
    assert shares[NEVER] == 0 and found.segments.loc[NEVER, "total_revenue"] == 0


def test_profile_equals_pandas(planted, found, mooc_tables):
    """Means of the cells' sums are the users' means."""
    users = planted[0]
    enrolled = users[users.total_courses_enrolled > 0]
    clusters = found.segments.loc[list(found.centres.index)]
    for name in (RATE, "total_revenue"):
        mean = (clusters[name] * clusters["users"]).sum() / clusters["users"].sum()
        assert mean == pytest.approx(enrolled[name].astype(float).mean())
    quiz = (clusters[QUIZ] * clusters["scored"]).sum() / clusters["scored"].sum()
    assert quiz == pytest.approx(enrolled[QUIZ].astype(float).mean())
    never = found.segments.loc[NEVER]
    assert never["users"] + clusters["users"].sum() == len(users)
    total = np.log1p(enrolled.total_time_watched_minutes.astype(float))
    courses = enrolled.total_courses_enrolled.astype(float)
    assert found.courses_with_total == pytest.approx(np.corrcoef(total, courses)[0, 1])
    assert found.places["users"].sum() == len(enrolled)


def test_structureless_users_have_no_clusters():
    rng = np.random.default_rng(6)
    n = 1_000
    found = analysed(made(
        np.exp(rng.normal(5, 0.8, n)), np.clip(rng.normal(50, 12, n), 0, 100),
        np.clip(rng.normal(70, 9, n), 0, 100)))
    assert found.choice.k == 1 and found.reason == "none" and found.found is None
    assert list(found.segments.index) == ["enrolled"]
    assert found.revenue is None and found.completion is None


def test_users_without_a_score_join_by_what_they_have():
    """Two clusters that differ in all measures; some of either have no score."""
    rng = np.random.default_rng(7)
    kind = np.repeat([0, 1], 300)
    minutes = np.exp(rng.normal(np.where(kind, 6, 3), 0.2))
    rate = np.clip(rng.normal(np.where(kind, 85, 15), 4), 0, 100)
    quiz = np.clip(rng.normal(np.where(kind, 90, 50), 3), 0, 100)
    quiz[::3] = np.nan
    found = analysed(made(minutes, rate, quiz, rng.integers(1, 5, 600)))
    assert found.choice.k == 2 and found.scored == 400
    clusters = found.segments.loc[list(found.centres.index)]
    assert clusters["users"].tolist() == [300, 300] and clusters["scored"].tolist() == [200, 200]
    assert found.agreement == 1
    # Few scores: the quiz is left out, and reported all the same.
    quiz[np.arange(600) % 10 > 0] = np.nan
    few = analysed(made(minutes, rate, quiz))
    assert QUIZ not in few.measures and few.choice.k == 2 and few.agreement is None
    assert few.segments[QUIZ].notna().any()


def test_names_say_what_sets_clusters_apart():
    centres = pd.DataFrame({
        LOG_MINUTES: [1.2, -0.5, 0.1, 0.1, -0.5], RATE: [1.1, -0.4, 0.0, 0.0, -0.4],
        QUIZ: [0.6, 0.9, 0.0, 0.1, 0.6]})
    called = study.names(centres, [90.0, 30.0, 50.0, 50.0, 30.0])
    assert called[0] == "watch far longer, finish nearly all and score higher"
    assert called[1] == ("watch less and finish about a third, but score higher "
                         "(1 of 2 by quiz score)")
    assert called[2].startswith("average in all (") and len(set(called)) == 5
    assert study.names(centres[[RATE]].iloc[:1], [3.0]) == ["finish hardly any"]


@pytest.mark.parametrize("case", ["never", "alike", "few", "one", "nothing watched"])
def test_odd_users(case):
    n = 200
    users = {
        "never": made(np.zeros(n), 0.0, np.nan, 0),
        "alike": made(np.full(n, 60.0), 50.0, 80.0),
        "few": made(np.arange(30.0), np.arange(30.0), np.arange(30.0)),
        "one": made([10.0], [5.0], [np.nan]),
        "nothing watched": made(np.zeros(n), 0.0, np.linspace(0, 100, n)),
    }[case]
    found = analysed(users)
    assert found.found is None
    assert found.reason == {"never": "few", "alike": "alike", "few": "few", "one": "few",
                            "nothing watched": "none"}[case]
    assert found.segments["users"].sum() == len(users)


def test_order_and_ids_do_not_matter():
    frames = random_frames(9, users=400)
    users = frames["users"]
    again = users.sample(frac=1, random_state=1).assign(user_id=lambda u: "x" + u.user_id)
    events = frames["events"].assign(user_id="x" + frames["events"].user_id)
    a, b = analysed(users, frames["events"]), analysed(again, events)
    pd.testing.assert_frame_equal(a.segments, b.segments)
    pd.testing.assert_frame_equal(a.choice.criteria, b.choice.criteria)


def test_intervals_hold_the_planted_means():
    """Of the measures' 95% intervals about 95 in 100 hold the mean that users were drawn with."""
    rng = np.random.default_rng(12)
    held = []
    for _ in range(60):
        values = rng.gamma(0.5, 200, 300)
        _, low, high = study._mean(Moments.of(values), skewed=True)
        held.append(low <= 100 <= high)
    assert stats.binomtest(sum(held), len(held), 0.95).pvalue > 0.001


@pytest.mark.parametrize(("minutes", "courses"), [
    ([10.0], 2), ([10.0, 30.0], np.array([1, 2])), (np.arange(1.0, 9.0), 3),
    (np.arange(1.0, 9.0), 0)])
def test_correlations_that_are_not_defined_are_none(minutes, courses):
    n = len(minutes)
    found = analysed(made(minutes, np.zeros(n), np.full(n, np.nan), courses))
    assert found.courses_with_total is None and found.courses_with_minutes is None


def test_a_correlation_of_three_is_a_number():
    found = analysed(made([10.0, 30.0, 20.0], np.zeros(3), np.full(3, np.nan),
                          np.array([1, 2, 3])))
    want = np.corrcoef(np.log1p([10.0, 60.0, 60.0]), [1, 2, 3])[0, 1]
    assert found.courses_with_total == pytest.approx(want) and want != 0
