"""Time from enrolment to completion against loops over each user's events."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from mooc_logs import START, event_table, or_missing, random_events, spells
from scipy.special import ndtr

from analysis.mooc import durations
from analysis.mooc.durations import (
    EVERYBODY,
    HORIZONS,
    by_user,
    enrolments,
    summary,
    time_to_completion,
)
from analysis.simulate import mooc as generator
from analysis.stats import survival


@pytest.mark.parametrize("seed", range(4))
def test_enrolments_are_those_of_the_loops(seed):
    log = random_events(seed)
    frame = enrolments(event_table(log)).to_pandas()
    found = {
        (r.user_id, r.course_id, r.enrolled, None if pd.isna(r.completed) else r.completed)
        for r in frame.itertuples()
    }
    assert len(found) == len(frame)
    assert found == set(spells(log))


@pytest.mark.parametrize("by", [(), ("course_id",), ("referral_source",)])
@pytest.mark.parametrize("seed", range(2))
def test_counts_by_day_are_those_of_the_loops(seed, by):
    log = random_events(seed).drop_duplicates(["user_id", "event_timestamp"])
    first = log.sort_values("event_timestamp").groupby("user_id").nth(0)
    source = dict(zip(first.user_id, first.referral_source, strict=True))
    end = log.event_timestamp.max()
    counts = {}
    for user, course, enrolled, completed in spells(log):
        days = ((completed or end) - enrolled) / pd.Timedelta(days=1)
        group = {(): (), ("course_id",): (course,), ("referral_source",): (source[user],)}[by]
        key = (*map(or_missing, group), math.floor(days), completed is not None)
        n, total = counts.get(key, (0, 0.0))
        counts[key] = (n + 1, total + days)
    frame = time_to_completion(event_table(log), by)
    assert list(frame.index.names) == [*by, "days", "completed"]
    assert set(frame.index) == set(counts)
    for key, row in zip(frame.index, frame.itertuples(), strict=True):
        assert (row.enrolments, row.total_days) == (counts[key][0], pytest.approx(counts[key][1]))


def test_only_some_courses_and_summary():
    log = random_events(5)
    everything = time_to_completion(event_table(log), ("course_id",))
    some = time_to_completion(event_table(log), ("course_id",), only=["C1", "C3"])
    pd.testing.assert_frame_equal(some, everything.loc[["C1", "C3"]])

    for course, row in summary(everything).iterrows():
        of = [s for s in spells(log) if s[1] == course]
        days = [(s[3] - s[2]) / pd.Timedelta(days=1) for s in of if s[3]]
        assert (row.enrolments, row.completed, row.censored) == (
            len(of), len(days), len(of) - len(days),
        )
        assert row.naive_mean_days == pytest.approx(sum(days) / len(days))
    total = summary(time_to_completion(event_table(log)))
    assert total.enrolments.item() == len(spells(log))


def test_nobody_completed():
    log = random_events(6)
    log = log[log.event_type != "completed_course"]
    total = summary(time_to_completion(event_table(log))).iloc[0]
    assert total.completed == 0 and total.censored == total.enrolments > 0
    assert math.isnan(total.naive_mean_days)


def test_a_day_is_whole_only_when_it_has_passed():
    day = pd.Timedelta(days=1)
    rows = [("a", START, "enrolled_in_course", "x"), ("b", START, "enrolled_in_course", "x"),
            ("a", START + day - pd.Timedelta(seconds=1), "completed_course", "x"),
            ("b", START + day, "completed_course", "x")]  # fmt: skip
    log = pd.DataFrame(rows, columns=["user_id", "event_timestamp", "event_type", "course_id"])
    log = log.assign(user_country=None, referral_source=None)
    assert list(time_to_completion(event_table(log)).index) == [(0, True), (1, True)]


@pytest.mark.parametrize("seed", range(2))
def test_sums_by_user_are_those_of_the_loops(seed):
    log = random_events(seed).drop_duplicates(["user_id", "event_timestamp"])
    first = log.sort_values("event_timestamp").groupby("user_id").nth(0)
    source = dict(zip(first.user_id, map(or_missing, first.referral_source), strict=True))
    index = time_to_completion(event_table(log), ("referral_source",)).index
    values = pd.DataFrame(
        {"a": np.arange(len(index)) - 7.0, "b b": np.cos(np.arange(len(index)))}, index)
    end, sums = log.event_timestamp.max(), {}
    for user, _course, enrolled, completed in spells(log):
        days = math.floor(((completed or end) - enrolled) / pd.Timedelta(days=1))
        row = values.loc[(source[user], days, completed is not None)]
        sums[user] = sums.get(user, 0) + row.to_numpy()
    found = by_user(event_table(log), values)
    assert list(found.columns) == ["a", "b b"]
    for name, row in found.iterrows():
        expected = sum(total**2 for user, total in sums.items() if source[user] == name)
        np.testing.assert_allclose(row, expected)


@pytest.fixture(scope="module")
def truth(mooc_truth):
    """Planted enrolments by source; `EVERYBODY` holds them all."""
    rows = mooc_truth["enrolments"]
    return {EVERYBODY: rows} | dict(iter(rows.groupby("source")))


def planted_share(rows, days):
    """Share of enrolments completed within days: who ever does, times the log-normal of when."""
    sigma = generator.DURATION_SIGMA
    ever, median = (rows[name].to_numpy() for name in ("probability", "median_days"))
    return float((ever * ndtr(np.log(days / median) / sigma)).mean())


def test_curves_hold_the_planted_ones(mooc_study, truth):
    d = mooc_study.durations
    held, rows = 0, d.horizons.drop("(not given)", level="source")
    for (source, days), row in rows.iterrows():
        # A day is over when it has passed, so day 30 ends 31 days after enrolment.
        held += row.low <= planted_share(truth[source], days + 1) <= row.high
    assert len(rows) == 7 * len(HORIZONS)
    assert held >= len(rows) - 2
    textbook = d.curve.share_at(90)
    wide = d.horizons.loc[(EVERYBODY, 90)]
    assert wide.completed == textbook.estimate
    # A user's enrolments go together, which the planted clusters of users make sure of.
    assert wide.design_effect > 1.5 and wide.high - wide.low > textbook.high - textbook.low


def test_mean_days_hold_the_planted_ones_and_the_naive_average_does_not(mooc_study, truth):
    d = mooc_study.durations
    spread = math.exp(generator.DURATION_SIGMA**2 / 2)  # mean over median of a log-normal
    for source, row in d.times.drop("(not given)").iterrows():
        rows = truth[source]
        planted = sum(1 - planted_share(rows, day) for day in range(1, d.until + 1))
        assert row.mean_low <= planted <= row.mean_high
        weights = rows.probability * rows.median_days
        true_mean = spread * weights.sum() / rows.probability.sum()
        assert row.naive_mean_days < 0.95 * true_mean


def test_a_median_is_told_only_where_half_complete(mooc_study, truth):
    times = mooc_study.durations.times
    for source, row in times.drop("(not given)").iterrows():
        half = planted_share(truth[source], 500)
        if half < 0.45:
            assert math.isnan(row.q50)
        if half > 0.55:
            day = next(d for d in range(500) if planted_share(truth[source], d + 1) >= 0.5)
            assert row.q50_low <= day <= row.q50_high
    assert math.isnan(times.q50["Social Media"]) and times.q50["Friend"] < 40


def test_slow_sources_and_courses_are_those_planted(mooc_study):
    d = mooc_study.durations
    order = d.times["mean"].drop([EVERYBODY, "(not given)"]).sort_values()
    assert order.index[0] == "Friend" and order.index[-2:].tolist() == [
        "Paid Search", "Social Media"]
    assert d.pairs.loc[("Friend", "Social Media")].p_adjusted < 1e-6
    # Allowing for users with several enrolments makes the test less sure of itself.
    assert (d.pairs.p_value > d.pairs.p_textbook).all()
    courses = generator.COURSES.set_index("course_id").median_days[d.course_times.index]
    assert d.course_times.q25.corr(courses, method="spearman") > 0.9
    assert d.course_times.side[courses >= 60].eq("slower").mean() > 0.7
    # Friends are quicker at first; that those who finish finish anyway makes up for it later.
    row = d.proportional.loc["Friend"]
    assert row.p_adjusted < 0.001 and row.early > row.late


def platforms(rng, users=150, slow=1.0):
    """Curves and scores of two groups whose users have two enrolments of one fate each."""
    parts = {}
    for name, factor in (("a", 1.0), ("b", slow)):
        never = np.repeat(rng.random(users) > 0.6, 2)
        took = np.where(never, np.inf, factor * np.repeat(rng.lognormal(3, 0.7, users), 2))
        left = rng.uniform(10, 200, 2 * users)
        day = np.floor(np.minimum(took, left))
        parts[name] = (np.repeat(np.arange(users), 2), day, took <= left)
    return parts


def frames(parts):
    """The same as `durations` takes them: counts by day, and the users to sum over."""
    counts, rows = {}, []
    for name, (user, day, done) in parts.items():
        frame = pd.DataFrame({"days": day, "completed": done, "user": user, "source": name})
        counts[name] = durations._counts(
            frame.groupby(["days", "completed"]).size().to_frame("enrolments"))
        rows.append(frame)
    return counts, pd.concat(rows, ignore_index=True)


def test_the_test_between_sources_keeps_its_level_where_the_textbook_does_not():
    rng = np.random.default_rng(5)
    rejected = np.zeros(2)
    for _ in range(120):
        counts, rows = frames(platforms(rng))
        curves = {name: survival.kaplan_meier(*c) for name, c in counts.items()}
        index = pd.MultiIndex.from_frame(
            rows[["source", "days", "completed"]].drop_duplicates(),
            names=["referral_source", "days", "completed"])
        values = durations._values(
            index, {"a": "a", "b": "b"}, counts, curves, ["a", "b"], {"mean": 90, "split": 20})
        each = values.loc[list(rows[["source", "days", "completed"]].itertuples(index=False))]
        sums = each.reset_index(drop=True).groupby([rows["source"], rows["user"]]).sum()
        squares = (sums**2).groupby("source").sum()
        own = squares.filter(like="own_").set_axis(["mean", "split"], axis=1)
        pair = durations._pairs(counts, curves, own, squares.filter(like="against_"), 90).iloc[0]
        rejected += [pair.p_value <= 0.05, pair.p_textbook <= 0.05]
    error = math.sqrt(0.05 * 0.95 / 120)
    assert abs(rejected[0] / 120 - 0.05) < 3.3 * error, rejected
    assert rejected[1] / 120 > 0.12


def test_a_log_without_enrolments_has_no_durations(mooc_tables):
    events = mooc_tables.table("events")
    funnel = durations.Funnel(**{
        name: pd.DataFrame() for name in durations.Funnel.__dataclass_fields__})
    assert durations.durations(events, funnel) is None


def test_counts_are_split_by_a_day_without_loss():
    counts = (np.array([1.0, 5, 9]), np.array([2, 3, 4]), np.array([1, 0, 6]))
    early, late = durations._parts(counts, 5)
    whole = survival.kaplan_meier(*counts)
    assert survival.kaplan_meier(*early).survival_at(5).estimate == whole.survival_at(5).estimate
    assert early[1].sum() + late[1].sum() == 9
    assert early[2].sum() == 1 + 10 and late[2].sum() == 6
    # What follows is the curve of those who were still there.
    left = survival.kaplan_meier(*late)
    assert left.survival_at(9).estimate * whole.survival_at(5).estimate == pytest.approx(
        whole.survival_at(9).estimate)
