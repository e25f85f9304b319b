"""Funnels against a slow, obvious count over all chains of a user's events."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mooc_logs import EVENT_COLUMNS, START, event_table, or_missing, random_events
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from analysis.mooc import funnels
from analysis.mooc.funnels import (
    COUNTRY,
    SOURCE,
    STAGES,
    funnel,
    reached_within,
    stage_counts,
    steps,
    waits,
)
from analysis.simulate import mooc as generator
from analysis.stats import two_proportions
from analysis.stats.two_proportions import Share

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
    of_user = defaultdict(list)
    for event in frame.itertuples():
        of_user[event.user_id].append(event)
    for events in of_user.values():
        group = dict(zip(touch, first_group(events, touch), strict=True))
        units = {None: events}
        if "course_id" in by:
            # The unit of a funnel by course is the user in the course.
            courses = {e.course_id for e in events if pd.notna(e.course_id)}
            units = {c: [e for e in events if e.course_id == c] for c in courses}
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
    course_id=st.sampled_from(["x", "y", None]),
    user_country=st.sampled_from(["US", "IN", None]),
    referral_source=st.sampled_from(["ads", None]),
)
logs = st.lists(events_of_anyone, min_size=1, max_size=24).map(
    lambda rows: pd.DataFrame(rows, columns=EVENT_COLUMNS, dtype=object).astype(
        {"event_timestamp": "datetime64[us]"}
    )
)


@settings(max_examples=60)
@given(
    logs, st.permutations([*STAGES, "watched_preview"]), st.integers(1, 4), st.booleans(),
    st.none() | st.integers(0, 4), st.sampled_from([(), GROUPS[:1], GROUPS]),
)
def test_any_funnel_of_any_log(log, stages, length, ordered, within, by):
    stages = tuple(stages[:length])
    options = {"ordered": ordered, "within": within}
    assert found(log, stages, by, **options) == expected(log, stages, by, **options)


@settings(max_examples=30)
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
        (STAGES, {"within": 1.5}, "whole days"),
        (SIGNED, {}, "stages: must be a list of names, not 'signed_up'"),
        ((SIGNED, None), {}, "stages: must be a list"),
        (STAGES, {"by": "user_country"}, "by: must be a list"),
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


@settings(max_examples=40)
@given(
    logs, st.permutations([*STAGES, "watched_preview"]), st.integers(1, 4), st.booleans(),
    st.sampled_from([(), ("watched_preview",), (SIGNED, "watched_preview"), (SIGNED, ENROLLED)]),
    st.none() | st.integers(0, 4),
)
def test_any_stage_may_belong_to_the_user(log, stages, length, ordered, user_stages, within):
    stages = tuple(stages[:length])
    options = {"ordered": ordered, "user_stages": user_stages, "within": within}
    assert found(log, stages, **options) == expected(log, stages, **options)


@settings(max_examples=15)
@given(logs, events_of_anyone, st.booleans())
def test_more_events_more_stages(log, event, ordered):
    """One event more takes nobody back, and any order is at least as far as in order."""
    more = pd.concat([log, pd.DataFrame([event])], ignore_index=True)
    loose, strict = found(log, STAGES, ordered=False), found(log, STAGES)
    before, after = strict if ordered else loose, found(more, STAGES, ordered=ordered)
    assert all(a >= b for a, b in zip(after, before, strict=True))
    assert before == sorted(before, reverse=True)
    assert all(a >= b for a, b in zip(loose, strict, strict=True))
    wide, narrow = (found(log, STAGES, within=days) for days in (3, 1))
    assert all(a >= b for a, b in zip(wide, narrow, strict=True))


def test_order_is_to_the_fraction_of_a_second():
    log = log_of((0, SIGNED, None), (0, ENROLLED, "x"), (1, COMPLETED, "x"))
    log["event_timestamp"] = log.event_timestamp.astype("datetime64[us]")
    for shift, reached_stages in ((-1, [1, 0, 0]), (0, [1, 1, 1]), (1, [1, 1, 1])):
        moved = log.copy()
        moved.loc[1, "event_timestamp"] += pd.Timedelta(microseconds=shift)
        assert found(moved, STAGES) == reached_stages
        assert found(moved, STAGES, ordered=False) == [1, 1, 1]


def test_groups_are_those_of_the_first_event_whatever_comes_later():
    log = log_of((1, SIGNED, None), (2, ENROLLED, "x"), (3, COMPLETED, "x"),
                 (0, "watched_preview", "x"))
    log["user_country"] = ["IN", "IN", "IN", "US"]
    assert found(log, STAGES, ("user_country",)) == {("US",): [1, 1, 1]}


def test_a_course_that_was_not_recorded_goes_nowhere():
    log = log_of((0, SIGNED, None), (1, ENROLLED, None), (2, COMPLETED, None))
    assert found(log, STAGES) == [1, 0, 0]
    assert found(pd.concat([log, log_of((3, COMPLETED, "x"))]), STAGES) == [1, 0, 0]


def slow_waits(log, first, second):
    """Units, when they began and when they went on, by loops."""
    out = set()
    course = first != SIGNED
    rows = log.dropna(subset=["course_id"]) if course else log
    units = defaultdict(list)
    for event in rows.itertuples():
        units[(event.user_id, event.course_id) if course else (event.user_id,)].append(event)
    for key, events in units.items():
        starts = [e.event_timestamp for e in events if e.event_type == first]
        if not starts:
            continue
        ends = [
            e.event_timestamp for e in events
            if e.event_type == second and e.event_timestamp >= min(starts)
            and (second == SIGNED or pd.notna(e.course_id))
        ]
        out.add((*key, min(starts), min(ends, default=None)))
    return out


@pytest.mark.parametrize(("first", "second"), [(SIGNED, ENROLLED), (ENROLLED, COMPLETED)])
@pytest.mark.parametrize("seed", range(2))
def test_waits_and_who_was_followed_are_those_of_the_loops(seed, first, second):
    log = random_events(seed)
    slow = slow_waits(log, first, second)
    rows = waits(event_table(log), first, second).to_pandas()
    fast = {(*r[:-2], r[-2], None if pd.isna(r[-1]) else r[-1])
            for r in rows.itertuples(index=False)}
    assert fast == slow and len(rows) == len(slow)

    day, last = pd.Timedelta(days=1), log.event_timestamp.max()
    by = "course_id" if first == ENROLLED else SOURCE
    counts = reached_within(event_table(log), first, second, (0, 5, 30), (by,))
    for days, part in counts.groupby(level="within"):
        followed = [unit for unit in slow if last - unit[-2] >= days * day]
        taken = [unit[-1] - unit[-2] for unit in followed if unit[-1] is not None]
        taken = [wait for wait in taken if wait <= days * day]
        assert part.followed.sum() == len(followed)
        assert part.reached.sum() == len(taken)
        assert part.total_days.sum() == pytest.approx(sum(wait / day for wait in taken))


def test_steps_by_their_definition():
    found = steps(pd.Series({"a": 400, "b": 100, "c": 40}))
    assert found.lost.tolist() == [0, 300, 60]
    assert found.of_previous.tolist() == [1, 0.25, 0.4]
    low, high = proportion_confint(40, 400, method="wilson")
    assert (found.of_first_low["c"], found.of_first_high["c"]) == pytest.approx((low, high))
    # One point more of 400 is 4 users at "b", of whom 40% go on; one point of 100 is 1 at "c".
    assert found.one_point.tolist()[1:] == [4, 1]
    assert found.one_point_last.tolist()[1:] == pytest.approx([1.6, 1])
    nobody = steps(pd.Series({"a": 0, "b": 0}))
    assert nobody.of_first.isna().all() and nobody.lost.sum() == 0


def counts_of(rows):
    """Counts by country and source, from (country, source, three stages)."""
    frame = pd.DataFrame(rows, columns=[COUNTRY, SOURCE, *STAGES])
    return frame.set_index([COUNTRY, SOURCE]).sort_index()


def chances(enrol, complete, sizes, rng=None):
    """Counts by country and source with chances that depend on both; expected ones without rng."""
    rows = []
    for (country, source), n in sizes.items():
        p, q = enrol(country, source), complete(country, source)
        if rng is None:
            rows.append((country, source, n, round(n * p), round(n * p * q)))
        else:
            enrolled = rng.binomial(n, p)
            rows.append((country, source, n, enrolled, rng.binomial(enrolled, q)))
    return counts_of(rows)


COUNTRIES, SOURCES = ("AA", "BB", "CC", "DD"), ("ads", "blog", "mail")
SIZES = {(c, s): 600 for c in COUNTRIES for s in SOURCES}


def test_rates_against_scipy_and_statsmodels(mooc_study):
    rates = mooc_study.funnel.rates.xs(SOURCE)
    counts = mooc_study.funnel.by_source.drop("(not given)")
    p_values = []
    for (group, step), row in rates.iterrows():
        if group == "(not given)":
            assert np.isnan(row.p_value) and row.side == ""
            continue
        start, end = funnels.STEPS[step]
        mine = counts.loc[group].to_numpy()[[start, end]]
        rest = counts.drop(group).sum().to_numpy()[[start, end]]
        table = np.array([[m[1], m[0] - m[1]] for m in (mine, rest)])
        assert row.p_value == pytest.approx(
            stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)
        assert row.difference == pytest.approx(mine[1] / mine[0] - rest[1] / rest[0])
        assert row.difference_low < row.difference < row.difference_high
        limits = proportion_confint(*mine[::-1], method="wilson")
        assert (row.low, row.high) == pytest.approx(limits)
        p_values.append(row.p_value)
    known = rates.p_adjusted.dropna()
    np.testing.assert_allclose(known, multipletests(p_values, method="holm")[1], rtol=1e-9)
    for step, (start, end) in funnels.STEPS.items():
        table = np.array([counts.iloc[:, end], counts.iloc[:, start] - counts.iloc[:, end]])
        test = stats.chi2_contingency(table, correction=False)
        row = mooc_study.funnel.homogeneity.loc[(SOURCE, step)]
        assert (row.statistic, row.df) == pytest.approx((test.statistic, test.dof))


def test_planted_rates_by_source_lie_within_their_intervals(mooc_study, mooc_truth):
    """The planted chances of the users that there are, to enrol in the end."""
    known = mooc_truth["funnel"]
    known = known.groupby("source").apply(
        lambda g: np.average(g.enrol_probability, weights=g.users), include_groups=False)
    rows = mooc_study.funnel.waits.xs(90, level="within")
    inside = [rows.low[s] <= known[s] <= rows.high[s] for s in known.index]
    assert sum(inside) >= len(inside) - 1


def test_adjusted_shares_are_those_with_everybody_s_countries(mooc_study):
    """What the generator would give if each source had everybody's mix of countries."""
    planted = generator.enrol_probability()
    users = mooc_study.funnel.by_country[SIGNED].drop("(not given)")
    truth = (planted[users.index] * users).sum(axis=1) / users.sum()
    adjusted = mooc_study.funnel.adjusted.loc["enrolled"]
    assert (truth - adjusted.adjusted).abs().max() < 0.02
    z = (adjusted.adjusted - truth) / ((adjusted.high - adjusted.low) / 3.92)
    assert z.abs().max() < 2.5


def test_the_range_of_adjusted_shares_has_the_interval_that_draws_give(monkeypatch):
    """Of other users like these: the range of the same two sources varies by as much."""
    # The steps are adjusted one by one, all in the same way.
    monkeypatch.setattr(funnels, "STEPS", {"enrolled": funnels.STEPS["enrolled"]})
    rng = np.random.default_rng(7)
    truth = (
        lambda c, s: 0.3 + 0.1 * SOURCES.index(s) + 0.05 * COUNTRIES.index(c), lambda c, s: 0.6)
    found = [funnels._adjusted(chances(*truth, SIZES, rng), None) for _ in range(150)]
    ends = SOURCES[-1], SOURCES[0]
    gaps = [shares.adjusted["enrolled", ends[0]] - shares.adjusted["enrolled", ends[1]]
            for shares, _ in found]
    rows = pd.DataFrame([adjustment.loc["enrolled"] for _, adjustment in found])
    assert rows.adjusted_range.to_numpy() == pytest.approx(gaps)
    width = (rows.adjusted_range_high - rows.adjusted_range_low) / 2 / 1.96
    assert width.mean() == pytest.approx(np.std(gaps), rel=0.2)


def test_confounding_by_country_is_taken_away():
    """Sources that differ only by the countries of their users do not differ once adjusted."""
    chance = {"AA": 0.2, "BB": 0.4, "CC": 0.6, "DD": 0.8}
    sizes = {(c, s): 200 + 800 * ((i + j) % 3) for i, c in enumerate(COUNTRIES)
             for j, s in enumerate(SOURCES)}
    both = chances(lambda c, s: chance[c], lambda c, s: 0.5, sizes)
    _shares, adjustment = funnels._adjusted(both, None)
    row = adjustment.loc["enrolled"]
    assert row.crude_range > 0.03 > 0.002 > row.adjusted_range
    assert row.p_value > 0.99
    assert row.adjusted_range_low < 0 < row.adjusted_range_high
    best = both.groupby("referral_source").sum()
    shares = (best.iloc[:, 1] / best.iloc[:, 0]).sort_values()
    textbook = two_proportions.difference(*(
        Share(*map(int, best.loc[name].iloc[[1, 0]])) for name in shares.index[[-1, 0]]))
    assert (row.crude_range, row.crude_range_low, row.crude_range_high) == pytest.approx(
        (textbook.estimate, textbook.low, textbook.high))
    # Without another country to compare with there is nothing to adjust for.
    assert funnels._adjusted(both.loc[["AA"]], None) == (None, None)


def test_planted_pair_of_source_and_country_is_found(mooc_study):
    together, tests = mooc_study.funnel.together, mooc_study.funnel.interaction
    row = together.loc[("enrolled", "Social Media", "IN")]
    assert row.found and row.p_adjusted < 1e-6
    # Planted: 1.35 times as many as source and country on their own would give.
    p = generator.ENROL_SOURCE["Social Media"] * generator.ENROL_REGION["South Asia"]
    planted = (1.35 * p / (1 - 1.35 * p)) / (p / (1 - p))
    assert row.odds_low < planted < row.odds_high
    # Nothing else was planted in large countries that is as strong; no other pair is named.
    assert tests.found.to_dict() == {"enrolled": 1, "completed": 0}


def test_pairs_are_seldom_found_where_none_is_planted():
    """Of 40 platforms whose odds of source and country multiply, 5% may name a pair."""
    rng = np.random.default_rng(7)
    by_country = dict(zip(COUNTRIES, (-0.5, 0.0, 0.4, 1.0), strict=True))
    by_source = dict(zip(SOURCES, (-0.6, 0.0, 0.7), strict=True))

    def chance(country, source):
        return 1 / (1 + np.exp(-by_country[country] - by_source[source]))

    named = 0
    for _ in range(40):
        tests, _together = funnels._interaction(chances(chance, chance, SIZES, rng))
        named += tests.found.sum() > 0
    assert named <= stats.binom.isf(0.001, 40, 0.05)


def test_one_odd_pair_does_not_make_others_odd():
    def chance(country, source):
        return 0.75 if (country, source) == ("AA", "ads") else 0.45

    both = chances(chance, lambda c, s: 0.5, SIZES)
    tests, together = funnels._interaction(both)
    assert tests.found.to_dict() == {"enrolled": 1, "completed": 0}
    row = together[together.found].iloc[0]
    assert row.name == ("enrolled", "ads", "AA")
    assert row.without == pytest.approx(0.45, abs=0.001)
    assert row.odds == pytest.approx((0.75 / 0.25) / (0.45 / 0.55), rel=0.01)
    assert tests.p_value["enrolled"] < 0.001 < 0.9 < tests.p_left["enrolled"]


def test_courses_are_compared_at_equal_follow_up(mooc_study, mooc_truth):
    f = mooc_study.funnel
    assert f.course_window == 180
    rows, sigma = mooc_truth["enrolments"], generator.DURATION_SIGMA
    by_then = rows.probability * stats.norm.cdf(np.log(180 / rows.median_days) / sigma)
    known = by_then[rows.days_left >= 180].groupby(rows.course_id).mean()
    known = known[f.courses.index]
    inside = (f.courses.fair_low <= known) & (known <= f.courses.fair_high)
    # Completions with a wrong clock or of deleted accounts are missing, 3 in 1,000.
    assert inside.mean() >= 0.88
    # The naive share misses the truth of courses that take long.
    ever = rows.groupby("course_id").probability.mean()[f.courses.index]
    naive = (f.courses.low <= ever) & (ever <= f.courses.high)
    assert naive.mean() < 0.7
    pooled = f.followed.xs(180, level="within")
    assert f.courses.followed.sum() == pooled.followed.sum()


def test_numbers_of_groups_do_not_depend_on_rows_or_names():
    both = chances(lambda c, s: 0.3 + 0.1 * len(s), lambda c, s: 0.5, SIZES)
    turned = both[::-1].rename(index={"ads": "zzz", "AA": "ZZ"})
    one, other = (funnels._rates(b, SOURCE).loc[SOURCE] for b in (both, turned))
    pd.testing.assert_frame_equal(
        one.rename(index={"ads": "zzz"}).sort_index(), other.sort_index())


def test_small_groups_stand_together():
    sizes = {(c, s): 600 for c in ("AA", "BB") for s in SOURCES} | {
        (f"X{i}", "ads"): 20 for i in range(9)} | {("(not given)", "mail"): 900}
    both = chances(lambda c, s: 0.5, lambda c, s: 0.5, sizes)
    rates = funnels._rates(both, COUNTRY).loc[COUNTRY]
    assert set(rates.index.get_level_values("group")) == {"AA", "BB", "(others)", "(not given)"}
    assert rates.users["(others)", "enrolled"] == 180
    for group in ("(others)", "(not given)"):
        assert rates.loc[group].p_value.isna().all()
