"""How long enrolments take to completion, counted where the events are.

An enrolment that is not completed when the table ends is censored there: it may still be. The
counts by whole days that come out are all that Kaplan-Meier and log-rank need.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.days import SECONDS_A_DAY, seconds
from analysis.mooc.funnels import COURSE
from analysis.mooc.reduce import collect, first_touch, groups

ENROLLED, COMPLETED = "enrolled_in_course", "completed_course"
UNIT = ("user_id", COURSE)


def enrolments(events: ir.Table) -> ir.Table:
    """Every enrolment: one row a user and course.

    Returns:
        `user_id`, `course_id`, `enrolled` (the first time), `completed` (the first time at or after
        it; missing: not yet). Enrolling again, completing again, and completions before the
        enrolment or without one leave no trace.
    """
    started = (
        events.filter(_.event_type == ENROLLED, _[COURSE].notnull())
        .group_by(*UNIT)
        .agg(enrolled=_.event_timestamp.min())
    )
    ended = events.filter(_.event_type == COMPLETED).select(*UNIT, "event_timestamp")
    ended = (
        ended.join(started, [*UNIT, ended.event_timestamp >= started.enrolled])
        .group_by(*UNIT)
        .agg(completed=_.event_timestamp.min())
    )
    return started.left_join(ended, UNIT).select(*UNIT, "enrolled", "completed")


def time_to_completion(
    events: ir.Table, by: Sequence[str] = (), only: Sequence[str] | None = None
) -> pd.DataFrame:
    """Enrolments by whole days to completion, or to the table's last event where censored.

    Args:
        events: mooc/events.
        by: Groups: `course_id`, or columns of `events` as they were at the user's first event.
        only: The courses to count; None: all.

    Returns:
        Index `by`, `days` (whole days passed, cut) and `completed` (False: censored); columns
        `enrolments` and `total_days` (sum of the exact durations in days).
    """
    by = tuple(by)
    touch = tuple(column for column in by if column != COURSE)
    end = events.agg(end=seconds(_.event_timestamp).max())
    rows = enrolments(events)
    if only is not None:
        rows = rows.filter(_[COURSE].isin(list(only)))
    if touch:
        rows = rows.join(first_touch(events, touch), "user_id")
    rows = rows.cross_join(end)
    passed = ibis.coalesce(seconds(rows.completed), rows.end) - seconds(rows.enrolled)
    rows = rows.mutate(passed=passed, done=rows.completed.notnull())
    keys = ("group",) if touch else ()
    keys += (COURSE,) if COURSE in by else ()
    reduced = (
        rows.mutate(days=_.passed // SECONDS_A_DAY)
        .group_by(*keys, "days", completed=_.done)
        .agg(enrolments=_.count(), total_days=_.passed.sum() / SECONDS_A_DAY)
    )
    if touch:
        reduced = reduced.join(groups(events, touch), "group").drop("group")
    return collect(reduced, (*by, "days", "completed"))


def summary(counts: pd.DataFrame) -> pd.DataFrame:
    """Totals of `time_to_completion` by group.

    Returns:
        Its group columns as index (one row without any); `enrolments`, `completed`, `censored`,
        and `naive_mean_days`: the mean duration of those completed. It leaves out the enrolments
        that take long, because they are not completed yet, so it is too short.
    """
    levels = [name for name in counts.index.names if name not in ("days", "completed")]
    flat = counts.reset_index()
    flat["completions"] = flat.enrolments.where(flat.completed, 0)
    flat["completed_days"] = flat.total_days.where(flat.completed, 0.0)
    columns = ["enrolments", "completions", "completed_days"]
    by = flat.groupby(levels)[columns].sum() if levels else flat[columns].sum().to_frame().T
    return pd.DataFrame(
        {
            "enrolments": by.enrolments.astype("int64"),
            "completed": by.completions.astype("int64"),
            "censored": (by.enrolments - by.completions).astype("int64"),
            "naive_mean_days": by.completed_days / by.completions.where(by.completions > 0),
        }
    )
