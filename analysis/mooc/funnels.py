"""Funnels: how many users reach each stage, who is lost where, and whether groups differ in that.

The first half counts where the events are; the second, from `funnels` on, works on those counts.
A user is in one group, that of the first event, and counts once, so users are independent trials
and shares of them have binomial intervals.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import special, stats

from analysis.days import SECONDS_A_DAY, seconds
from analysis.mooc.reduce import MISSING, collect, count_units, first_touch, groups
from analysis.stats import regression, two_proportions
from analysis.stats.association import association
from analysis.stats.intervals import proportion
from analysis.stats.multiplicity import holm
from analysis.stats.two_proportions import Share

STAGES = ("signed_up", "enrolled_in_course", "completed_course")
USER_STAGES = ("signed_up",)  # the stages that belong to a user, not to a user in a course
COURSE, COUNTRY, SOURCE = "course_id", "user_country", "referral_source"
STEPS = {"enrolled": (0, 1), "completed": (1, 2), "overall": (0, 2)}  # from which stage to which

ALPHA = 0.05
WINDOW = 30  # days of the funnel with a time window
WAITS = (7, 30, 90)  # days since sign-up within which users enrol
FOLLOW_UPS = (7, 30, 90, 180, 365)  # days since enrolment within which courses are completed
LEAST_USERS = {SOURCE: 100, COUNTRY: 300}  # sign-ups of a group that stands for itself
MOST_GROUPS = {SOURCE: 6, COUNTRY: 20}
LEAST_EXPECTED = 5  # with fewer successes or failures expected, a group or cell is not tested
LEAST_OUTCOMES = 10  # successes and failures of a country that is a level of its own in a model
MOST_COURSES = 100  # compared with each other, the largest
MOST_FOUND = 5  # cells of source and country that get a term of their own
EVERYBODY, OTHERS = "(everybody)", "(others)"
RATES = ("share", "low", "high")


@dataclass(frozen=True)
class Funnel:
    """The funnel of `STAGES`; columns of the first frames are the stages, values unique users.

    Attributes:
        total: One row, everybody: the stages in order.
        any_order: One row: the stages in any order.
        windowed: One row: in order, and within `window` days from sign-up.
        window: These days.
        stages: Events and unique users of each event type, each alone.
        by_country: By country at the user's first event.
        by_source: By referral source at the user's first event.
        by_country_and_source: By both.
        by_course: Users enrolled in a course, and who completed it after that.
        steps: By stage: `users`; of the users at the first stage and of those at the stage before
            (`of_first`, `of_previous`) the share with Wilson limits `..._low`, `..._high`; `lost`
            since the stage before; and what one percentage point more of the stage before would
            bring, in users at this stage (`one_point`) and at the last (`one_point_last`), if they
            went on as the others do.
        waits: By `source` ("(everybody)" too) and `within` days from sign-up: users `followed` so
            long, those who enrolled by then (`reached`), their `share`, `low`, `high`.
        rates: By `by` (the column of the groups), `group` and `step` of `STEPS`: `users` at the
            step's first stage, `reached`, `share`, `low`, `high` (Wilson); of all other named
            groups together `rest`; the `difference` from it with `difference_low`,
            `difference_high` (Newcombe 1998) and `ratio`, `ratio_low`, `ratio_high` (Katz et al.
            1978); `p_value` (pooled z) and `p_adjusted` (Holm 1979, over the groups and steps of
            one `by`); `side`: "above", "below" or "" (not shown). Groups that are too small are
            "(others)", which like "(not given)" is not tested.
        homogeneity: By `by` and `step`: `groups`, `statistic` (chi-squared), `df`, `p_value`,
            `p_adjusted` (Holm, over the rows), Cramér's `v` (bias-corrected) with `v_low`,
            `v_high`. For courses the steps are "naive" and "fair".
        adjusted: By `step` and `source`: the share as it is, `crude`, and `adjusted` to the
            countries of all users, with `low`, `high`; pairs found in `together` have terms of
            their own. None where no model can be fitted.
        adjustment: By `step`: of the logit with source and country, the likelihood-ratio tests of
            source: `statistic`, `df`, `p_value`, `p_adjusted` (Holm, over the steps); the
            difference between the largest and smallest share, `crude_range` (with `..._low`,
            `..._high`, Newcombe) and `adjusted_range` (with the same by the delta method, from
            what both shares have in common); `countries`, its levels. None where `adjusted` is.
        interaction: By `step`: whether sources differ in the same way in all countries: Pearson's
            `statistic` of the logit without interaction, `df`, `p_value`; of the `cells` tested one
            by one those `found` to differ, at most `MOST_FOUND` in all; `p_left`, of the same test
            once these have terms of their own. None where no such model can be fitted.
        together: The cells found, and of each step the furthest one that is not, by `step`,
            `source`, `country`: `users`, `reached`, `share`; the share `without` the interaction;
            the odds ratio of the cell against that, `odds`, `odds_low`, `odds_high`; the
            standardised `residual` when it was looked at, its `p_value` and `p_adjusted` (Holm,
            over the cells of both steps); `found`. None where `interaction` is.
        followed: By `course_id` and `within` days: enrolments `followed` so long, those completed
            by then (`reached`), and `total_days` these took together.
        course_window: Days after which courses are compared: the most that half of all enrolments
            were followed for; None where no enrolment was followed.
        courses: The `MOST_COURSES` courses with most enrolments, by `course_id`: `title`; of all
            enrolments (`enrolled`) those `completed`, the naive `share`, `low`, `high`; of those
            `followed` for `course_window` days those completed `within` them, `fair`, `fair_low`,
            `fair_high`; the difference from all other courses together, `difference`,
            `difference_low`, `difference_high`, `p_value`, `p_adjusted` (Holm, over the courses)
            and `side`.
    """

    total: pd.DataFrame
    any_order: pd.DataFrame
    windowed: pd.DataFrame
    window: int
    stages: pd.DataFrame
    by_country: pd.DataFrame
    by_source: pd.DataFrame
    by_country_and_source: pd.DataFrame
    by_course: pd.DataFrame
    steps: pd.DataFrame
    waits: pd.DataFrame
    rates: pd.DataFrame
    homogeneity: pd.DataFrame
    adjusted: pd.DataFrame | None
    adjustment: pd.DataFrame | None
    interaction: pd.DataFrame | None
    together: pd.DataFrame | None
    followed: pd.DataFrame
    course_window: int | None
    courses: pd.DataFrame


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
        ValueError: No stage, one twice, no list of names, an unknown column, days that are not
            whole or below 0, or a stage without a course in a funnel by course.
    """
    for name, given in (("stages", stages), ("by", by)):
        if isinstance(given, str) or not all(isinstance(one, str) for one in given):
            raise ValueError(f"{name}: must be a list of names, not {given!r}")
    stages, by = tuple(stages), tuple(by)
    if not stages or len(set(stages)) < len(stages):
        raise ValueError(f"stages: must be event types, none twice, not {stages!r}")
    if unknown := set(by) - set(events.columns):
        raise ValueError(f"by: no column {sorted(unknown)} in the events")
    if within is not None and (within < 0 or within != int(within)):
        raise ValueError(f"within: must be whole days, 0 or more, not {within!r}")
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


def waits(
    events: ir.Table, first: str, second: str, user_stages: Sequence[str] = USER_STAGES
) -> ir.Table:
    """From the first event of one stage to the first of another at or after it, in each unit.

    Returns:
        One row a user, or a user and course where the first stage carries one: `user_id`
        (`course_id`), `started`, `ended` (missing: not yet). Repeated events, and events of the
        second stage before the first or without one, leave no trace.
    """
    rows = _of_stage(events, first, first not in user_stages)
    unit = [column for column in rows.columns if column != "event_timestamp"]
    started = rows.group_by(*unit).agg(started=_.event_timestamp.min())
    later = _of_stage(events, second, second not in user_stages)
    shared = [key for key in unit if key in later.columns]
    ended = (
        later.join(started, [*shared, later.event_timestamp >= started.started])
        .group_by(*unit)
        .agg(ended=_.event_timestamp.min())
    )
    return started.left_join(ended, unit).select(*unit, "started", "ended")


def reached_within(
    events: ir.Table, first: str, second: str, windows: Sequence[int], by: Sequence[str]
) -> pd.DataFrame:
    """Units that go from one stage to another in some days, of those followed for so long.

    Who had less time is left out, so that a late start counts neither for nor against a group.

    Args:
        events: mooc/events. Units are followed to the last of them.
        first, second: Event types; see `waits`.
        windows: Days. An event exactly so many days later counts.
        by: Groups: `course_id`, or columns of `events` as they were at the user's first event.

    Returns:
        Index `by`, `within` (days); columns `followed`, `reached` and `total_days` (that those who
        reached it took together).
    """
    by = tuple(by)
    touch = tuple(column for column in by if column != COURSE)
    rows = waits(events, first, second)
    if touch:
        rows = rows.join(first_touch(events, touch), "user_id")
    rows = rows.cross_join(events.agg(last=seconds(_.event_timestamp).max()))
    rows = rows.mutate(
        seen=_.last - seconds(_.started), taken=seconds(_.ended) - seconds(_.started)
    )
    sums = {}
    for days in windows:
        whole = days * SECONDS_A_DAY
        inside = (rows.seen >= whole) & rows.taken.fill_null(whole + 1).between(0, whole)
        sums[f"followed_{days}"] = (rows.seen >= whole).ifelse(1, 0).sum()
        sums[f"reached_{days}"] = inside.ifelse(1, 0).sum()
        sums[f"seconds_{days}"] = inside.ifelse(rows.taken, 0).sum()
    keys = (("group",) if touch else ()) + ((COURSE,) if COURSE in by else ())
    reduced = rows.group_by(*keys).agg(**sums)
    if touch:
        reduced = reduced.join(groups(events, touch), "group").drop("group")
    wide = collect(reduced, by)
    frames = {
        days: pd.DataFrame({
            "followed": wide[f"followed_{days}"].astype("int64"),
            "reached": wide[f"reached_{days}"].astype("int64"),
            "total_days": wide[f"seconds_{days}"].astype(float) / SECONDS_A_DAY,
        })
        for days in windows
    }
    long = pd.concat(frames, names=["within"])
    return long.reorder_levels([*by, "within"]).sort_index()


def funnels(events: ir.Table, courses: ir.Table) -> Funnel:
    """The funnel of `STAGES`, its groups compared.

    Args:
        events: mooc/events.
        courses: mooc/courses.
    """
    # Every user is in one country and one source, so their sums are the other funnels.
    both = funnel(events, by=(COUNTRY, SOURCE))
    total = both.sum().reindex(STAGES).fillna(0).astype("int64")
    by_course = funnel(events, STAGES[1:], by=(COURSE,))
    followed = reached_within(events, STAGES[1], STAGES[2], FOLLOW_UPS, (COURSE,))
    window = _course_window(followed, int(by_course.iloc[:, 0].sum()))
    compared = _courses(by_course, followed, window, _titles(courses, by_course))
    rates = pd.concat([_rates(both, by) for by in (SOURCE, COUNTRY)]).sort_index()
    interaction, together = _interaction(both)
    adjusted, adjustment = _adjusted(both, together)
    return Funnel(
        total=total.to_frame().T,
        any_order=funnel(events, ordered=False),
        windowed=funnel(events, within=WINDOW),
        window=WINDOW,
        stages=stage_counts(events),
        by_country=both.groupby(COUNTRY).sum(),
        by_source=both.groupby(SOURCE).sum(),
        by_country_and_source=both,
        by_course=by_course,
        steps=steps(total),
        waits=_waits(reached_within(events, STAGES[0], STAGES[1], WAITS, (SOURCE,)), both),
        rates=rates,
        homogeneity=_homogeneity(both, compared),
        adjusted=adjusted,
        adjustment=adjustment,
        interaction=interaction,
        together=together,
        followed=followed,
        course_window=window,
        courses=compared,
    )


def steps(users: pd.Series) -> pd.DataFrame:
    """Conversion and drop-off at each stage of a funnel; see `Funnel.steps`.

    Args:
        users: Users at each stage, by stage in order.
    """
    counts = users.to_numpy()
    rows = []
    for place, (stage, n) in enumerate(users.items()):
        row = {"stage": stage, "users": int(n)}
        previous = counts[max(place - 1, 0)]
        for name, base in (("of_first", counts[0]), ("of_previous", previous)):
            share, low, high = _wilson(n, base)
            row |= {name: share, f"{name}_low": low, f"{name}_high": high}
        onwards = [b / a if a else np.nan for a, b in pairwise(counts[place:])]
        first = place == 0
        row["lost"] = 0 if first else int(previous - n)
        row["one_point"] = np.nan if first else previous / 100
        row["one_point_last"] = row["one_point"] * float(np.prod(onwards))
        rows.append(row)
    return pd.DataFrame(rows).set_index("stage")


def _wilson(reached: float, base: float) -> tuple[float, float, float]:
    """A share with its Wilson limits; missing where nobody could reach it."""
    if base <= 0:
        return (np.nan,) * 3
    found = proportion(int(reached), int(base), 1 - ALPHA)
    return found.estimate, found.low, found.high


def _shares(reached: Iterable[int], base: Iterable[int], names: Sequence[str] = RATES) -> dict:
    """Columns of shares with their limits."""
    found = [_wilson(*pair) for pair in zip(reached, base, strict=True)]
    return dict(zip(names, zip(*found, strict=True), strict=True)) if found else dict.fromkeys(
        names, ())


def _waits(counts: pd.DataFrame, both: pd.DataFrame) -> pd.DataFrame:
    counts = counts.reset_index()
    label = _labels(both, SOURCE)
    counts["source"] = counts[SOURCE].map(lambda source: label.get(source, OTHERS))
    counts = pd.concat([counts, counts.assign(source=EVERYBODY)])
    frame = counts.groupby(["source", "within"])[["followed", "reached"]].sum()
    frame = frame[frame["followed"] > 0]
    return frame.assign(**_shares(frame["reached"], frame["followed"]))


def _labels(both: pd.DataFrame, by: str) -> dict[str, str]:
    """What each group is called: itself where it is large, otherwise "(others)"."""
    users = both.groupby(by)[STAGES[0]].sum()
    known = users.drop(MISSING, errors="ignore").sort_values(ascending=False, kind="stable")
    large = known[known >= LEAST_USERS[by]].index[:MOST_GROUPS[by]]
    # A single one beside them is called by its name.
    named = set(known.index if len(known) <= len(large) + 1 else large)
    return {group: group if group in named or group == MISSING else OTHERS for group in users.index}


def _pooled(both: pd.DataFrame, by: str) -> pd.DataFrame:
    """The funnel by `by`, small groups together."""
    return both.groupby(both.index.get_level_values(by).map(_labels(both, by))).sum()


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.drop([MISSING, OTHERS], errors="ignore")


def _rates(both: pd.DataFrame, by: str) -> pd.DataFrame:
    """Each group's conversions, and its difference from all other known ones; see `Funnel`."""
    counts = _pooled(both, by)
    known = counts.drop(MISSING, errors="ignore").sum()
    rows = []
    for group, row in counts.iterrows():
        for step, (start, end) in STEPS.items():
            n, reached = int(row.iloc[start]), int(row.iloc[end])
            found = dict(zip(RATES, _wilson(reached, n), strict=True))
            rest = Share(0, 1), 0
            if group not in (MISSING, OTHERS):
                rest = known.iloc[end] - reached, known.iloc[start] - n
                found |= against(reached, n, *map(int, rest))
            rows.append({"by": by, "group": group, "step": step, "users": n, "reached": reached}
                        | found)
    keys = ["by", "group", "step"]
    frame = pd.DataFrame(rows, columns=[*keys, "users", "reached", *RATES, *AGAINST])
    return _with_sides(frame.set_index(keys))


AGAINST = ("rest", "difference", "difference_low", "difference_high", "ratio", "ratio_low",
           "ratio_high", "p_value")


def against(reached: int, n: int, rest_reached: int, rest: int) -> dict[str, float]:
    """A group's share against that of the rest; nothing where there are too few for a test."""
    if min(n, rest) < 1:
        return {}
    a, b = Share(reached, n), Share(rest_reached, rest)
    pooled = (reached + rest_reached) / (n + rest)
    found = {"rest": b.value}
    if min(pooled, 1 - pooled) * min(n, rest) < LEAST_EXPECTED:
        return found
    test = two_proportions.pooled_z(a, b, alpha=ALPHA)
    ratio = two_proportions.ratio(a, b, 1 - ALPHA)
    found |= {
        "difference": test.estimate, "difference_low": test.interval.low,
        "difference_high": test.interval.high, "p_value": test.p_value,
    }
    if ratio:
        found |= {"ratio": ratio.value, "ratio_low": ratio.low, "ratio_high": ratio.high}
    return found


def _with_sides(frame: pd.DataFrame) -> pd.DataFrame:
    """Corrects the p-values of a family and says on which side of the rest a row is shown to be."""
    p = frame["p_value"].astype(float)
    frame = frame.assign(p_adjusted=np.nan, side="")
    frame.loc[p.notna(), "p_adjusted"] = holm(p.dropna())
    shown = frame["p_adjusted"] <= ALPHA
    frame.loc[shown, "side"] = np.where(frame.loc[shown, "difference"] > 0, "above", "below")
    return frame


def _homogeneity(both: pd.DataFrame, courses: pd.DataFrame) -> pd.DataFrame:
    tables = {
        (by, step): _pooled(both, by).drop(MISSING, errors="ignore").iloc[:, [start, end]]
        for by in (SOURCE, COUNTRY) for step, (start, end) in STEPS.items()
    }
    tables[COURSE, "naive"] = courses[["enrolled", "completed"]]
    tables[COURSE, "fair"] = courses[["followed", "within"]]
    rows = []
    for (by, step), table in tables.items():
        table = table.set_axis(["users", "reached"], axis=1).assign(
            lost=lambda t: t["users"] - t["reached"])
        table = table.loc[table["users"] > 0, ["reached", "lost"]]
        if len(table) < 2 or (table.sum() == 0).any():
            continue
        test = association(table, confidence=1 - ALPHA)
        rows.append({
            "by": by, "step": step, "groups": test.rows, "statistic": test.statistic,
            "df": test.df, "p_value": test.p_value, "v": test.effect.value,
            "v_low": test.effect.low, "v_high": test.effect.high,
        })
    columns = ["by", "step", "groups", "statistic", "df", "p_value", "v", "v_low", "v_high"]
    frame = pd.DataFrame(rows, columns=columns).set_index(["by", "step"])
    return frame.assign(p_adjusted=holm(frame["p_value"].astype(float)))


def _cells(both: pd.DataFrame, step: str, countries: dict[str, str]) -> pd.DataFrame:
    """Users and successes of a step by known source and country, those that hold anybody."""
    start, end = STEPS[step]
    flat = both.reset_index()
    cells = pd.DataFrame({
        "source": flat[SOURCE].map(_labels(both, SOURCE)), "country": flat[COUNTRY].map(countries),
        "users": flat[STAGES[start]], "reached": flat[STAGES[end]],
    })
    cells = cells[cells["source"] != MISSING].groupby(["source", "country"], as_index=False).sum()
    return cells[cells["users"] > 0].reset_index(drop=True)


def _main_effects(cells: pd.DataFrame) -> regression.Design:
    """Source and country, each against its largest."""
    columns = []
    for factor in ("source", "country"):
        largest = cells.groupby(factor)["users"].sum().sort_values(kind="stable").index[-1]
        columns += regression.indicators(cells[factor], factor, largest)
    return regression.design(columns, len(cells))


def _countries_to_adjust_for(both: pd.DataFrame) -> dict[str, str]:
    """Countries with successes and failures enough at both steps; the others are one level."""
    counts = both.groupby(COUNTRY).sum()
    lost = -counts.diff(axis=1).iloc[:, 1:]
    enough = counts.iloc[:, -1].ge(LEAST_OUTCOMES) & lost.ge(LEAST_OUTCOMES).all(axis=1)
    return {country: country if enough[country] else OTHERS for country in counts.index}


def _adjusted(
    both: pd.DataFrame, together: pd.DataFrame | None
) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Shares by source as if all sources brought users of the same countries.

    Direct standardisation with the shares that a logit of source and country gives: each source's
    share is averaged over the countries of all users at the step's first stage (Lane & Nelder
    1982). Errors by the delta method. Pairs of source and country that were found to differ have
    terms of their own, so that a source's success in one country is not taken for one in all.

    Args:
        together: See `Funnel`.
    """
    countries, tests, rows = _countries_to_adjust_for(both), [], []
    found = [] if together is None else list(together.index[together["found"]])
    z = stats.norm.isf(ALPHA / 2)
    for step in STEPS:
        cells = _cells(both, step, countries)
        pairs = [pair for at, *pair in found if at == step or step == "overall"]
        fit = _fitted(cells, pairs=pairs)
        if fit is None:
            return None, None
        x, model = fit
        mine, weight = x.positions("source"), cells["users"] / cells["users"].sum()
        level_of = {x.columns[i - 1].level: i for i in mine}
        sums, slopes = cells.groupby("source")[["users", "reached"]].sum(), []
        for source, row in sums.iterrows():
            matrix = x.matrix.copy()
            matrix[:, mine] = 0
            if source in level_of:
                matrix[:, level_of[source]] = 1
            for place, pair in zip(x.positions("pair"), pairs, strict=True):
                matrix[:, place] = (pair[0] == source) & (cells["country"] == pair[1])
            p = special.expit(matrix @ model.params)
            slopes.append((weight.to_numpy() * p * (1 - p)) @ matrix)
            share = float(weight @ p)
            margin = z * _error(slopes[-1], model.covariance)
            rows.append({"step": step, "source": source, "crude": row["reached"] / row["users"],
                         "adjusted": share, "low": share - margin, "high": share + margin})
        test = model.tests.set_index("factor").loc["source"]
        shown = pd.DataFrame(rows[-len(sums):])
        best, worst = (getattr(np, end)(shown["adjusted"]) for end in ("argmax", "argmin"))
        margin = z * _error(slopes[best] - slopes[worst], model.covariance)
        between = np.ptp(shown["adjusted"])
        crude = two_proportions.difference(*(
            Share(*map(int, sums.iloc[getattr(np, end)(shown["crude"])][["reached", "users"]]))
            for end in ("argmax", "argmin")), 1 - ALPHA)
        tests.append({
            "step": step, "statistic": test["likelihood_ratio"], "df": int(test["df"]),
            "p_value": test["likelihood_ratio_p"], "countries": cells["country"].nunique(),
            "crude_range": crude.estimate, "crude_range_low": crude.low,
            "crude_range_high": crude.high, "adjusted_range": between,
            "adjusted_range_low": between - margin, "adjusted_range_high": between + margin,
        })
    adjustment = pd.DataFrame(tests).set_index("step")
    adjustment["p_adjusted"] = holm(adjustment["p_value"])
    return pd.DataFrame(rows).set_index(["step", "source"]), adjustment


def _error(slope: np.ndarray, covariance: np.ndarray) -> float:
    """Of a quantity by its derivatives by the parameters (the delta method)."""
    return float(np.sqrt(max(0.0, slope @ covariance @ slope)))


def _interaction(both: pd.DataFrame) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Sources and countries whose users convert otherwise than both on their own would say.

    One cell that differs pulls the effects of its source and country along, and with them the other
    cells. So the cell furthest from the model, where it is shown to differ, is left out (as good as
    giving it a term of its own) before the others are looked at again.
    """
    countries, cells = _labels(both, COUNTRY), {}
    for step in ("enrolled", "completed"):
        rows = _cells(both, step, countries)
        rows = rows[~rows["country"].isin([MISSING, OTHERS]) & (rows["source"] != OTHERS)]
        cells[step] = rows.reset_index(drop=True)
    out: dict[str, list[int]] = {step: [] for step in cells}
    first = left = _residuals(cells, out)
    if left is None:
        return None, None
    told = []
    while len(told) < MOST_FOUND and (left["p_adjusted"] <= ALPHA).any():
        step, cell = left.loc[left["p_adjusted"] <= ALPHA, "residual"].abs().idxmax()
        out[step].append(cell)
        told.append(_told(cells[step], out[step], step, cell, left, found=True))
        left_then = _residuals(cells, out)
        if left_then is None:
            break
        left = left_then
    far = left[left["p_value"].notna()].assign(far=lambda rows: rows["residual"].abs())
    far = far.sort_values("far", ascending=False, kind="stable").groupby("step").head(1)
    told += [
        _told(cells[step], [*out[step], cell], step, cell, left, found=False)
        for step, cell in sorted(far.index) if cell not in out[step]
    ]
    tests = []
    for step, rows in cells.items():
        df = len(rows) - _main_effects(rows).matrix.shape[1]
        whole, rest = (float((part.loc[step, "distance"] ** 2).sum()) for part in (first, left))
        tests.append({
            "step": step, "statistic": whole, "df": df, "p_value": float(stats.chi2.sf(whole, df)),
            "cells": int(first.loc[step, "p_value"].notna().sum()), "found": len(out[step]),
            "p_left": float(stats.chi2.sf(rest, df - len(out[step]))),
        })
    columns = ["step", "source", "country", "users", "reached", "share", "without", "odds",
               "odds_low", "odds_high", "residual", "p_value", "p_adjusted", "found"]
    frame = pd.DataFrame(told, columns=columns).set_index(["step", "source", "country"])
    return pd.DataFrame(tests).set_index("step"), frame


def _fitted(
    cells: pd.DataFrame, out: Sequence[int] = (), pairs: Sequence[Sequence[str]] = ()
) -> tuple[regression.Design, regression.Logit] | None:
    """The logit of source and country, if it can be fitted.

    Args:
        out: Cells left out.
        pairs: Of source and country, with terms of their own.
    """
    if cells["source"].nunique() < 2 or cells["country"].nunique() < 2:
        return None
    x, kept = _main_effects(cells), ~cells.index.isin(out)
    own = [(cells["source"] == source) & (cells["country"] == country) for source, country in pairs]
    x = regression.Design(
        (*x.columns, *(regression.Column("pair", "/".join(pair), "others") for pair in pairs)),
        np.column_stack([x.matrix, *(column.astype(float) for column in own)]),
    )
    try:
        return x, regression.logit(x, cells["reached"] * kept, cells["users"] * kept, 1 - ALPHA)
    except ValueError:  # separated, or everybody went the same way
        return None


def _residuals(
    cells: dict[str, pd.DataFrame], out: dict[str, list[int]]
) -> pd.DataFrame | None:
    """How far each cell is from the logit of its step; None where none can be fitted or tested.

    By `step` and `cell`: Pearson's `distance`; the standardised `residual`, about standard normal
    where the model holds (McCullagh & Nelder 1989, section 12.5); `p_value` where enough are
    expected; `p_adjusted` (Holm, over the cells of both steps).
    """
    parts = {}
    for step, rows in cells.items():
        fit = _fitted(rows, out[step])
        if fit is None or len(rows) - len(out[step]) <= fit[0].matrix.shape[1]:
            return None
        x, model = fit
        n, p = rows["users"].to_numpy() * ~rows.index.isin(out[step]), model.fitted
        variance = n * p * (1 - p)
        leverage = variance * np.einsum("ij,jk,ik->i", x.matrix, model.covariance, x.matrix)
        distance = (rows["reached"].to_numpy() - n * p) / np.sqrt(np.where(n, variance, np.nan))
        # A cell that alone decides a coefficient has no residual of its own.
        residual = distance / np.sqrt(np.where(1 - leverage > 1e-6, 1 - leverage, np.nan))
        enough = n * np.minimum(p, 1 - p) >= LEAST_EXPECTED
        p_value = np.where(enough, 2 * stats.norm.sf(np.abs(residual)), np.nan)
        parts[step] = pd.DataFrame(
            {"distance": distance, "residual": residual, "p_value": p_value})
    every = pd.concat(parts, names=["step", "cell"])
    tested = every["p_value"].notna()
    every["p_adjusted"] = np.nan
    every.loc[tested, "p_adjusted"] = holm(every.loc[tested, "p_value"])
    return every


def _told(
    cells: pd.DataFrame, out: Sequence[int], step: str, cell: int, residuals: pd.DataFrame,
    found: bool,
) -> dict[str, object]:
    """A cell against what a model without it (and without those found before) makes of it."""
    row = cells.loc[cell].to_dict()
    seen = residuals.loc[(step, cell)]
    row |= {"step": step, "share": row["reached"] / row["users"], "found": found} | {
        name: float(seen[name]) for name in ("residual", "p_value", "p_adjusted")}
    fit = _fitted(cells, out)
    lost = row["users"] - row["reached"]
    if fit is None or not row["reached"] or not lost:
        return row
    x, model = fit
    expected = float(x.matrix[cell] @ model.params)
    log = math.log(row["reached"] / lost) - expected
    error = math.sqrt(1 / row["reached"] + 1 / lost
                      + float(x.matrix[cell] @ model.covariance @ x.matrix[cell]))
    margin = float(stats.norm.isf(ALPHA / 2)) * error
    return row | {"without": float(special.expit(expected)), "odds": math.exp(log),
                  "odds_low": math.exp(log - margin), "odds_high": math.exp(log + margin)}


def _titles(courses: ir.Table, by_course: pd.DataFrame) -> pd.Series:
    largest = by_course.sort_values(STAGES[1], ascending=False, kind="stable").head(MOST_COURSES)
    shown = courses.filter(courses[COURSE].isin(sorted(largest.index))) if len(largest) else (
        courses.limit(0))
    known = shown.select(COURSE, "title").to_pandas().set_index(COURSE)["title"]
    return known.reindex(largest.index).where(lambda t: t.notna(), largest.index.to_series())


def _course_window(followed: pd.DataFrame, enrolments: int) -> int | None:
    """The longest of `FOLLOW_UPS` through which half of all enrolments were followed."""
    by_window = followed.groupby("within")["followed"].sum()
    some = by_window[by_window > 0]
    if some.empty:
        return None
    enough = some[some >= enrolments / 2]
    return int(enough.index.max() if len(enough) else some.index.min())


def _courses(
    by_course: pd.DataFrame, followed: pd.DataFrame, window: int | None, titles: pd.Series
) -> pd.DataFrame:
    frame = by_course.loc[titles.index].set_axis(["enrolled", "completed"], axis=1)
    frame.insert(0, "title", titles)
    frame = frame.assign(**_shares(frame["completed"], frame["enrolled"]))
    every = followed.xs(window, level="within") if window else followed.iloc[:0].droplevel(1)
    here = every.reindex(frame.index, fill_value=0)
    frame["followed"], frame["within"] = here["followed"], here["reached"]
    names = [f"fair{end}" for end in ("", "_low", "_high")]
    frame = frame.assign(**_shares(frame["within"], frame["followed"], names))
    all_followed, all_within = int(every["followed"].sum()), int(every["reached"].sum())
    found = [
        against(within, n, all_within - within, all_followed - n)
        for within, n in zip(frame["within"], frame["followed"], strict=True)
    ]
    columns = ["rest", "difference", "difference_low", "difference_high", "p_value"]
    tests = pd.DataFrame(found, index=frame.index).reindex(columns=columns).astype(float)
    return _with_sides(frame.join(tests)).rename_axis(COURSE)
