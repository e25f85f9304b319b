"""Funnels against a slow, obvious count over all chains of a user's events."""

from __future__ import annotations

import itertools

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mooc_logs import EVENT_COLUMNS, START, event_table, or_missing, random_events

from analysis.mooc.funnels import STAGES, funnel, stage_counts

SIGNED, ENROLLED, COMPLETED = STAGES
GROUPS = ("user_country", "referral_source")


def is_chain(chain, stages, user_stages):
    """Whether events are of the stages in turn, in time, and in one course where they carry one."""
    in_time = all(
        a.event_timestamp <= b.event_timestamp for a, b in itertools.pairwise(chain)
    )
    in_courses = {e.course_id for e in chain if e.event_type not in user_stages}
    return in_time and len(in_courses) <= 1 and not any(pd.isna(c) for c in in_courses)


def reached(events, stages, ordered, within, user_stages):
    """How many stages the events of one unit reach, by trying every combination of events."""
    of_stage = [[e for e in events if e.event_type == stage] for stage in stages]
    limit = pd.Timedelta(days=within) if within is not None else None
    if not ordered:
        starts = [e.event_timestamp for e in itertools.chain(*of_stage)]
        count = 0
        for of in of_stage:
            if not any(limit is None or e.event_timestamp - min(starts) <= limit for e in of):
                break
            count += 1
        return count
    for k in range(len(stages), 0, -1):
        for chain in itertools.product(*of_stage[:k]):
            if not is_chain(chain, stages, user_stages):
                continue
            same = stages[0] in user_stages
            start = min(
                e.event_timestamp for e in of_stage[0] if same or e.course_id == chain[0].course_id
            )
            if limit is None or chain[-1].event_timestamp - start <= limit:
                return k
    return 0


def first_group(events, by):
    """The group of the earliest event; of several in that second the first, missing ones last."""
    first = min(int(e.event_timestamp.timestamp()) for e in events)
    groups = [
        tuple(getattr(e, column) for column in by)
        for e in events if int(e.event_timestamp.timestamp()) == first
    ]
    return min(groups, key=lambda g: [(pd.isna(v), "" if pd.isna(v) else v) for v in g])


def expected(frame, stages, by=(), ordered=True, within=None, user_stages=(SIGNED,)):
    counts = {}
    touch = [column for column in by if column != "course_id"]
    for _, rows in frame.groupby("user_id"):
        events = list(rows.itertuples())
        group = dict(zip(touch, first_group(events, touch), strict=True))
        units = {None: events}
        if "course_id" in by:
            # The unit of a funnel by course is the user in the course.
            units = {
                c: [e for e in events if e.course_id == c] for c in rows.course_id.dropna().unique()
            }
        for course, of_unit in units.items():
            group["course_id"] = course
            key = tuple(or_missing(group[column]) for column in by)
            n = reached(of_unit, stages, ordered, within, user_stages)
            tally = counts.setdefault(key, [0] * len(stages))
            for stage in range(n):
                tally[stage] += 1
    if not by:
        return counts.get((), [0] * len(stages))
    return {key: tally for key, tally in counts.items() if tally[0]}


def found(frame, stages, by=(), **options):
    result = funnel(event_table(frame), stages, by, **options)
    assert list(result.columns) == list(stages)
    if not by:
        return result.iloc[0].tolist()
    assert list(result.index.names) == list(by)
    assert result.index.is_monotonic_increasing and result.index.is_unique
    keys = [key if isinstance(key, tuple) else (key,) for key in result.index]
    return dict(zip(keys, result.to_numpy().tolist(), strict=True))


events_of_anyone = st.builds(
    dict,
    user_id=st.sampled_from("abc"),
    event_timestamp=st.integers(0, 12).map(lambda h: START + pd.Timedelta(hours=12 * h)),
    event_type=st.sampled_from([*STAGES, "watched_preview"]),
    course_id=st.sampled_from("xy"),
    user_country=st.sampled_from(["US", "IN", None]),
    referral_source=st.sampled_from(["ads", None]),
)
logs = st.lists(events_of_anyone, min_size=1, max_size=24).map(
    lambda rows: pd.DataFrame(rows, columns=EVENT_COLUMNS, dtype=object).astype(
        {"event_timestamp": "datetime64[us]"}
    )
)


@settings(max_examples=60, deadline=None)
@given(
    logs, st.permutations([*STAGES, "watched_preview"]), st.integers(1, 4), st.booleans(),
    st.none() | st.integers(0, 4), st.sampled_from([(), GROUPS[:1], GROUPS]),
)
def test_any_funnel_of_any_log(log, stages, length, ordered, within, by):
    stages = tuple(stages[:length])
    options = {"ordered": ordered, "within": within}
    assert found(log, stages, by, **options) == expected(log, stages, by, **options)


@settings(max_examples=30, deadline=None)
@given(
    logs, st.permutations([ENROLLED, COMPLETED, "watched_preview"]), st.integers(1, 3),
    st.booleans(), st.none() | st.integers(0, 4),
    st.sampled_from([("course_id",), ("course_id", "user_country")]),
)
def test_any_funnel_by_course(log, stages, length, ordered, within, by):
    stages = tuple(stages[:length])
    options = {"ordered": ordered, "within": within}
    assert found(log, stages, by, **options) == expected(log, stages, by, **options)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("within", [None, 0, 20])
@pytest.mark.parametrize("ordered", [True, False])
def test_larger_logs_by_country_and_source(seed, ordered, within):
    log = random_events(seed)
    options = {"ordered": ordered, "within": within}
    both = found(log, STAGES, GROUPS, **options)
    assert both == expected(log, STAGES, GROUPS, **options)
    # Everybody is in one group, so the groups add up to the whole.
    assert [sum(column) for column in zip(*both.values(), strict=True)] == found(
        log, STAGES, **options
    )


def log_of(*events):
    """A log of one user, from (hours, stage, course)."""
    rows = [
        ("u", START + pd.Timedelta(hours=hours), stage, course, "US", "ads")
        for hours, stage, course in events
    ]
    return pd.DataFrame(rows, columns=EVENT_COLUMNS)


@pytest.mark.parametrize(
    ("events", "stages"),
    [
        ([(0, SIGNED, None), (1, ENROLLED, "x"), (2, COMPLETED, "x")], 3),
        ([(0, SIGNED, None), (1, ENROLLED, "x"), (2, COMPLETED, "y")], 2),
        ([(0, SIGNED, None), (2, ENROLLED, "x"), (1, COMPLETED, "x")], 2),
        ([(0, SIGNED, None), (2, COMPLETED, "x")], 1),
        ([(1, ENROLLED, "x"), (2, COMPLETED, "x")], 0),
        ([(3, SIGNED, None), (1, ENROLLED, "x"), (4, COMPLETED, "x")], 1),
        ([(0, SIGNED, None), (0, ENROLLED, "x"), (0, COMPLETED, "x")], 3),
        # Enrolled before sign-up and again after it: the second counts.
        ([(2, SIGNED, None), (1, ENROLLED, "x"), (3, ENROLLED, "x"), (4, COMPLETED, "x")], 3),
        # Completed between the two enrolments, the first of which was before sign-up.
        ([(2, SIGNED, None), (1, ENROLLED, "x"), (3, COMPLETED, "x"), (4, ENROLLED, "x")], 2),
        # Completed, enrolled again, not completed again: the first round counts.
        ([(0, SIGNED, None), (1, ENROLLED, "x"), (2, COMPLETED, "x"), (3, ENROLLED, "x")], 3),
        # One course completed out of order, the other in order.
        ([(0, SIGNED, None), (2, ENROLLED, "x"), (1, COMPLETED, "x"), (3, ENROLLED, "y"),
          (4, COMPLETED, "y")], 3),
        ([(0, SIGNED, None), (5, SIGNED, None), (3, ENROLLED, "x"), (4, COMPLETED, "x")], 3),
    ],
)  # fmt: skip
def test_cases_told_in_words(events, stages):
    log = log_of(*events)
    counts = [1] * stages + [0] * (3 - stages)
    assert found(log, STAGES) == counts
    assert found(pd.concat([log, log[::-1]]), STAGES) == counts


def test_window_includes_its_last_second():
    log = log_of((0, SIGNED, None), (48, ENROLLED, "x"), (49, COMPLETED, "x"))
    assert found(log, STAGES, within=2) == [1, 1, 0]
    assert found(log, STAGES, within=1) == [1, 0, 0]
    assert found(log, STAGES, within=3) == [1, 1, 1]


def test_user_stage_after_a_course_stage():
    stages = (ENROLLED, SIGNED, COMPLETED)
    log = log_of((0, ENROLLED, "x"), (3, ENROLLED, "y"), (1, SIGNED, None), (2, COMPLETED, "x"))
    assert found(log, stages) == [1, 1, 1]
    log = log_of((0, ENROLLED, "x"), (3, ENROLLED, "y"), (1, SIGNED, None), (4, COMPLETED, "y"))
    assert found(log, stages) == [1, 1, 0]


@pytest.mark.parametrize(
    ("stages", "options", "named"),
    [
        ((), {}, "stages"),
        ((SIGNED, SIGNED), {}, "none twice"),
        (STAGES, {"by": ("planet",)}, "planet"),
        (STAGES, {"by": ("course_id",)}, "carries no course"),
        (STAGES, {"within": -1}, "within"),
    ],
)
def test_impossible_funnels_are_refused(stages, options, named):
    with pytest.raises(ValueError, match=named):
        funnel(event_table(random_events(1, 5)), stages, **options)


def test_order_of_rows_and_names_do_not_matter():
    log = random_events(8)
    mixed = log.sample(frac=1, random_state=1)
    mixed["user_id"] = "user " + mixed.user_id.str[1:].astype(int).rsub(10_000).astype(str)
    mixed["course_id"] = mixed.course_id.map({"C1": "Z", "C2": "A", "C3": "M"})
    assert found(mixed, STAGES, GROUPS) == found(log, STAGES, GROUPS)


def test_stage_counts_are_of_each_type_alone():
    log = random_events(9)
    counts = stage_counts(event_table(log))
    groups = log.groupby("event_type").user_id
    assert counts.users.to_dict() == groups.nunique().to_dict()
    assert counts.events.to_dict() == groups.size().to_dict()
