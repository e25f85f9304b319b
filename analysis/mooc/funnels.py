"""Funnels: how many users reach each stage, counted where the events are."""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.mooc.reduce import collect, count_units, first_touch, groups

STAGES = ("signed_up", "enrolled_in_course", "completed_course")
USER_STAGES = ("signed_up",)  # the stages that belong to a user, not to a user in a course
COURSE = "course_id"


def funnel(
    events: ir.Table,
    stages: Sequence[str] = STAGES,
    by: Sequence[str] = (),
    *,
    ordered: bool = True,
    within: int | None = None,
    user_stages: Sequence[str] = USER_STAGES,
) -> pd.DataFrame:
    """Unique users at each stage of a funnel.

    Ordered: a user is at a stage with one event for each stage so far, none before the one before
    it (events of the same moment count as in order, whatever their rows' order), and all those
    that carry a course in the same course. A user has completed if *some* course was enrolled in
    after sign-up and completed after that. Not ordered: a user is at a stage with an event of each
    stage so far, in any order and any course. Either way a stage never has more users than the one
    before it, repeated events count once, and users without the first stage do not count.

    Args:
        events: mooc/events.
        stages: Event types, none twice.
        by: Groups: columns of `events`, as they were at the user's first event (see
            `reduce.first_touch`). With `course_id` among them the unit is a user in a course
            instead of a user, and every stage must carry a course.
        ordered: Whether the stages must follow one another in time.
        within: Only stages reached in so many days from the start count. The start is the user's
            (in the course, if the first stage carries one) first event of the first stage; not
            ordered, of any of the stages. An event exactly so many days later counts.
        user_stages: Those of the stages that carry no course.

    Returns:
        Index `by` (missing values as "(not given)"), a column of counts a stage. Groups that nobody
        of the first stage is in are not there. Without `by`, one row.

    Raises:
        ValueError: No stage, one twice, an unknown column, days below 0, or a stage without a
            course in a funnel by course.
    """
    stages, by = tuple(stages), tuple(by)
    if not stages or len(set(stages)) < len(stages):
        raise ValueError(f"stages: must be event types, none twice, not {stages!r}")
    if unknown := set(by) - set(events.columns):
        raise ValueError(f"by: no column {sorted(unknown)} in the events")
    if within is not None and within < 0:
        raise ValueError(f"within: must be 0 days or more, not {within}")
    if COURSE in by and (without := set(stages) & set(user_stages)):
        raise ValueError(f"by: {sorted(without)} carries no course, so it has no place by course")

    touch = tuple(column for column in by if column != COURSE)
    unit = ("user_id", COURSE) if COURSE in by else ("user_id",)
    if ordered:
        reached = _ordered(events, stages, touch, unit, within, user_stages)
    else:
        reached = _any_order(events, stages, touch, unit, within)
    if touch:
        reached = reached.join(groups(events, touch), "group")
    frame = collect(reached, (*by, "stage"))["users"]
    if not by:
        return frame.reindex(range(len(stages)), fill_value=0).to_frame().T.set_axis(
            list(stages), axis=1
        ).reset_index(drop=True)
    wide = frame.unstack("stage", fill_value=0).reindex(columns=range(len(stages)), fill_value=0)
    wide = wide[wide[0] > 0].set_axis(list(stages), axis=1)
    return wide.astype("int64")


def _ordered(
    events: ir.Table, stages: Sequence[str], touch: Sequence[str], unit: Sequence[str],
    within: int | None, user_stages: Sequence[str],
) -> ir.Table:
    """Counts by group (and course): each stage's events joined to the earliest stage before it.

    The earliest moment at which a stage can have been reached decides about the next one, so one
    row a user (from the first stage with a course on: a user and course) is all that is kept.
    """
    first, *later = stages
    if first in user_stages:
        # One pass: who is in which group, and since when at the first stage.
        rows = events if touch else events.filter(_.event_type == first)
        moment = _.event_timestamp.min(where=_.event_type == first)
        state = first_touch(rows, touch, time=moment).filter(_.time.notnull())
        keys = ("user_id",)
    else:
        rows = _of_stage(events, first, course=True)
        if touch:
            rows = rows.join(first_touch(events, touch), "user_id")
        else:
            rows = rows.mutate(group=ibis.literal(0, "int64"))
        keys = ("user_id", COURSE)
        state = rows.group_by(*keys, "group").agg(time=_.event_timestamp.min())
    start = () if within is None else ("start",)
    if start:
        state = state.mutate(start=_.time)

    counts = [_count(state, unit, stage=0, distinct=unit != keys)]
    for place, stage in enumerate(later, start=1):
        course = stage not in user_stages
        rows = _of_stage(events, stage, course)
        shared = [key for key in keys if key in rows.columns]
        in_order = rows.event_timestamp >= state.time
        found = rows.join(state, [*shared, in_order])
        if start:
            found = found.filter(_.event_timestamp <= _.start + ibis.interval(days=within))
        if course and COURSE not in keys:
            keys = (*keys, COURSE)
        if stage == stages[-1]:
            counts.append(_count(found, unit, place))
        else:
            state = found.group_by(*keys, "group", *start).agg(time=_.event_timestamp.min())
            counts.append(_count(state, unit, place, distinct=unit != keys))
    return ibis.union(*counts) if later else counts[0]


def _of_stage(events: ir.Table, stage: str, course: bool) -> ir.Table:
    """Who had an event of a stage and when; where it carries one, in which course."""
    rows = events.filter(events.event_type == stage)
    if not course:
        return rows.select("user_id", "event_timestamp")
    return rows.filter(_[COURSE].notnull()).select("user_id", COURSE, "event_timestamp")


def _count(rows: ir.Table, unit: Sequence[str], stage: int, distinct: bool = True) -> ir.Table:
    """Units by group (and course), as rows of the result of a funnel."""
    keys = ("group", *unit[1:])
    if distinct:
        counted = count_units(rows, unit, keys, "users")
    else:
        counted = rows.group_by(*keys).agg(users=_.count())
    return counted.mutate(stage=ibis.literal(stage, "int64"))


def _any_order(
    events: ir.Table, stages: Sequence[str], touch: Sequence[str], unit: Sequence[str],
    within: int | None,
) -> ir.Table:
    """Counts by group (and course) of units that have events of all stages so far."""
    firsts = {
        f"first_{i}": _.event_timestamp.min(where=_.event_type == stage)
        for i, stage in enumerate(stages)
    }
    firsts["start"] = _.event_timestamp.min(where=_.event_type.isin(stages))
    rows = events.filter(_.event_type.isin(stages))
    if len(unit) == 1:
        units = first_touch(events if touch else rows, touch, **firsts)
    else:
        units = rows.filter(_[COURSE].notnull()).group_by(*unit).agg(**firsts)
        if touch:
            units = units.join(first_touch(events, touch), "user_id")
        else:
            units = units.mutate(group=ibis.literal(0, "int64"))
    counts = []
    for i in range(len(stages)):
        column = units[f"first_{i}"]
        here = column.notnull()
        if within is not None:
            here &= column <= units.start + ibis.interval(days=within)
        units = units.filter(here)
        counts.append(_count(units, unit, i, distinct=False))
    return ibis.union(*counts) if len(counts) > 1 else counts[0]


def stage_counts(events: ir.Table) -> pd.DataFrame:
    """Events and unique users of every event type, each counted alone, as the source defines.

    Nothing ties one type to another here, so these can't be read as a funnel where users lack a
    stage or have stages out of order; `funnel` does that.

    Returns:
        Index `event_type`; columns `events`, `users`.
    """
    users = events.group_by("event_type", "user_id").agg(events=_.count())
    return collect(
        users.group_by("event_type").agg(events=_.events.sum(), users=_.count()), ("event_type",)
    )
