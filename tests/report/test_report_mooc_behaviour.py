"""What the chapter says about ways of learning follows from the clusters, whatever the users."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis.mooc import behaviour as study
from analysis.report.mooc import behaviour as report
from analysis.report.text import Prose
from analysis.stats import clusters

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
CHOOSE, STABILITY = clusters.choose, clusters.stability
USERS = {"user_id": "string", "total_courses_enrolled": "int64", "total_revenue": "float64",
         "total_time_watched_minutes": "float64", "video_completion_rate": "float64",
         "quiz_score_average": "float64"}
EVENTS = {"user_id": "string", "event_timestamp": "timestamp(6)", "event_type": "string",
          "course_id": "string"}


def made(n=600, kinds=2, seed=1, *, quiz=1.0, revenue=(0.0, 40.0), completed=(0.2, 0.9),
         never=0.2) -> study.Behaviour:
    """Users of some kinds of learning, equally many of each; kind 0 watches least."""
    rng = np.random.default_rng(seed)
    kind = np.arange(n) % kinds
    level = kind / max(1, kinds - 1)
    courses = np.where(rng.random(n) < never, 0, rng.integers(1, 4, n))
    score = np.clip(rng.normal(50 + 40 * level, 3), 0, 100)
    users = pd.DataFrame({
        "user_id": [f"U{i}" for i in range(n)],
        "total_courses_enrolled": courses,
        "total_revenue": np.where(rng.random(n) < 0.5, revenue[0], revenue[1]) * (courses > 0),
        "total_time_watched_minutes": courses * np.exp(rng.normal(3 + 3 * level, 0.2)),
        "video_completion_rate": np.clip(rng.normal(10 + 75 * level, 4), 0, 100) * (courses > 0),
        "quiz_score_average": np.where((rng.random(n) < quiz) & (courses > 0), score, np.nan),
    })
    share = completed[0] + (completed[1] - completed[0]) * level
    day = pd.Timestamp("2024-01-01")
    rows = []
    for i in np.flatnonzero(courses):
        rows.append((f"U{i}", day, "enrolled_in_course", "C1"))
        if rng.random() < share[i]:
            rows.append((f"U{i}", day + pd.Timedelta(days=9), "completed_course", "C1"))
    events = pd.DataFrame(rows or [("U0", day, "signed_up", None)], columns=list(EVENTS))
    tables = held({"users": users, "events": events}, {"users": USERS, "events": EVENTS})
    return study.behaviour(tables["users"], tables["events"])


CASES = {
    "two clusters": {},
    "no quiz": {"quiz": 0.0},
    "some without a score": {"quiz": 0.7},
    "free and nobody completed": {"revenue": (0.0, 0.0), "completed": (0.0, 0.0)},
    "everybody completed": {"n": 300, "completed": (1.0, 1.0), "never": 0.0},
    "one kind": {"kinds": 1},
    "nobody enrolled": {"never": 1.1},
    "few": {"n": 40},
    "one user": {"n": 1, "kinds": 1, "never": 0.0},
}


@pytest.fixture(scope="module")
def cases():
    """The made-up studies, with fewer resamples: what is told of them is tested, not they."""
    found = {}

    def get(name):
        if name not in found:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(study.clusters, "choose", partial(
                    CHOOSE, references=5, splits=1))
                patch.setattr(study.clusters, "stability", partial(
                    STABILITY, resamples=8))
                found[name] = SimpleNamespace(behaviour=made(**CASES[name]))
        return found[name]

    return get


@pytest.fixture(scope="module")
def shipped(mooc_tables):
    users, events = (mooc_tables.table(name) for name in ("users", "events"))
    return SimpleNamespace(behaviour=study.behaviour(users, events))


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_is_told_that_is_no_number(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name == "two clusters":
                found.draw()
            continue
        assert isinstance(found, Prose), (name, function)
        if not found:
            assert function == "recommendation", (name, function)
            assert s.behaviour.found is None or name == "everybody completed"
            continue
        assert not re.search(r"\b(nan|inf|None|NaT)\b", found), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        assert not re.search(r"(?<![\d.,])1 (users|cells|clusters)\b", found), (name, found)
        if "|" not in found:
            assert found.endswith("."), (name, function, found)


def test_no_clusters_are_said_to_be_none(cases):
    """And no table, figure or advice is made up where there are none."""
    s = cases("one kind")
    assert s.behaviour.reason == "none"
    for name in ("stability", "segments", "completion", "revenue", "actions_table",
                 "unseen_figure"):
        assert "no clear clusters" in FUNCTIONS[name](s), name
    assert "no clear clusters" in report.answer(s) and "no clear clusters" in report.choice(s)
    assert report.recommendation(s) == ""
    assert "too few" in report.answer(cases("few"))
    assert "1 user has enrolled" in report.answer(cases("one user"))
    assert "Nobody has enrolled" in report.answer(cases("nobody enrolled"))


def test_sentences_follow_the_result(cases):
    two = cases("two clusters")
    assert "chooses 2 clusters" in report.choice(two)
    assert "tell who gets to the end" in report.completion(two)
    assert "not shown to differ" in report.revenue(two)
    assert "Nobody enrolled has completed" in report.completion(cases("free and nobody completed"))
    assert "Everybody enrolled has completed" in report.completion(cases("everybody completed"))
    assert "cannot be made" in report.revenue(cases("free and nobody completed"))
    assert "none has a quiz score" in report.base(cases("no quiz"))
    assert "no part in these clusters" in report.without_quiz(cases("no quiz"))
    assert "join the nearest cluster" in report.base(cases("some without a score"))
    assert "all have a quiz score" in report.base(two)


def test_other_revenue_gives_another_sentence(cases):
    b = cases("two clusters").behaviour
    differ = SimpleNamespace(behaviour=replace(b, revenue_p=0.001))
    assert "They differ in revenue as well" in report.revenue(differ)
    assert "revenue the clusters differ too" in report.answer(differ)
    wide = SimpleNamespace(behaviour=replace(b, margin=0.001))
    assert "Nor are they shown to be alike" in report.revenue(wide)
    near = SimpleNamespace(behaviour=replace(b, margin=1e6))
    assert "shown to be alike for practical purposes" in report.revenue(near)
    assert "alike for practical purposes" in report.answer(near)


def test_unstable_clusters_are_not_trusted(cases):
    b = cases("two clusters").behaviour
    for value, said in ((0.9, "come back nearly whole"), (0.7, "borders that are not sure"),
                        (0.4, "should not be trusted")):
        segments = b.segments.assign(stability=[value, 0.95, np.nan])
        assert said in report.stability(SimpleNamespace(behaviour=replace(b, segments=segments)))


def test_a_gap_that_still_rises_is_said(cases):
    b = cases("two clusters").behaviour
    rising = SimpleNamespace(behaviour=replace(b, choice=replace(b.choice, settled=False)))
    assert "still rises" in report.choice(rising)


def test_shipped_chapter_says_what_was_planted(shipped):
    assert "chooses 4 clusters" in report.choice(shipped)
    assert "In revenue they are alike for practical purposes" in report.answer(shipped)
    begin = report.recommendation(shipped)
    assert begin.startswith("**Begin with those who watch far less, finish few and score far lower")
    b = shipped.behaviour
    largest = report._clusters(shipped)["users"].max() / b.enrolled
    assert report.segments(shipped).startswith(
        "Of the enrolled, the largest cluster is that of those who watch")
    assert f"({largest:.0%}); then come" in report.segments(shipped)
    table = report.segments_table(shipped)
    assert table.count("\n") == 6 and "Never enrolled" in table
    actions = report.actions_table(shipped).splitlines()[2:]
    assert len({row.split("|")[4] for row in actions}) == 4  # each cluster has advice of its own


@pytest.mark.parametrize(("total", "each", "said"), [
    (0.83, 0.04, "the total would have sorted users"),
    (-0.25, -0.70, "the minutes per course that hang more on how much users bought"),
    (0.04, -0.40, "the minutes per course that hang more on how much users bought"),
    (0.40, -0.42, "neither hangs on how much users bought much more than the other"),
])
def test_the_choice_of_minutes_per_course_follows_the_correlations(cases, total, each, said):
    b = cases("two clusters").behaviour
    text = report.measured(SimpleNamespace(behaviour=replace(
        b, courses_with_total=total, courses_with_minutes=each)))
    assert said in text and "matters little" not in text
    assert f"{total:.2f}, and" in text.replace("\u2212", "-")
    assert f"per course {each:.2f}:" in text.replace("\u2212", "-")


def test_a_correlation_that_is_not_defined_is_no_number(cases):
    for name in ("one user", "nobody enrolled"):
        said = report.measured(cases(name))
        assert "can't be checked" in said and not re.search(r"\d", said)


def test_one_user_is_told_of_as_one(cases):
    one = cases("one user").behaviour
    told = {scored: report.base(SimpleNamespace(behaviour=replace(one, scored=scored)))
            for scored in (0, 1)}
    assert told == {0: "The only user enrolled, and has no quiz score.",
                    1: "The only user enrolled, and has a quiz score."}
    two = report.base(SimpleNamespace(behaviour=replace(one, users=2, scored=1)))
    assert two == ("Of 2 users 1 never enrolled: this one has nothing to watch and is a group by "
                   "definition. The one who did has a quiz score.")
    all_of_them = report.base(cases("everybody completed"))
    assert all_of_them.startswith("All 300 users enrolled. Of the 300 who did, ")


def test_why_there_are_no_clusters_is_said_once(cases):
    for name, short in (("one kind", "There are no clear clusters (@sec-mooc-clusters)."),
                        ("few", "No clusters could be looked for (@sec-mooc-clusters).")):
        s = cases(name)
        why = str(report._none(s))
        said = {f: str(FUNCTIONS[f](s)) for f in FUNCTIONS}
        assert sorted(f for f in said if why in said[f]) == ["answer", "choice"]
        assert said["meaning"] == said["revenue"] == said["actions_table"] == short
    assert "@tbl-mooc-actions" in report.meaning(cases("two clusters"))
