"""Time from enrolment to completion against loops over each user's events."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from mooc_logs import START, event_table, or_missing, random_events, spells

from analysis.mooc.durations import enrolments, summary, time_to_completion


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
