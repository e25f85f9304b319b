"""What the chapter says about occupations, ages and channels follows from the comparisons."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis.mooc import audience as study
from analysis.mooc.audience import FACTORS, MEASURES, RATE
from analysis.report.mooc import audience as report
from analysis.report.text import Prose

JOB, AGE, CHANNEL = FACTORS
FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
USERS = dict.fromkeys(FACTORS, "string") | {
    "total_courses_enrolled": "int64", "total_revenue": "float64",
    "total_time_watched_minutes": "float64", "video_completion_rate": "float64",
    "quiz_score_average": "float64"}
MARKUP = ("<b>=| `x`", "= @fig-a", "# 2.0 [now](x)")


def made(n=600, seed=1, *, jobs=("Clerk", "Teacher"), ages=("18-24", "25-34"),
         channels=("ads", "blog"), effect=0.0, spread=1.0, quiz=1.0, free=False):
    """Users whose completion rate is higher by `effect` sd for each further job."""
    rng = np.random.default_rng(seed)
    job = rng.integers(0, len(jobs), n)
    courses = rng.integers(0, 4, n)
    there = courses > 0
    users = pd.DataFrame({
        JOB: np.array(jobs, dtype=object)[job],
        AGE: rng.choice(np.array(ages, dtype=object), n),
        CHANNEL: rng.choice(np.array(channels, dtype=object), n),
        "total_courses_enrolled": courses,
        "total_revenue": np.zeros(n) if free else np.round(
            20 + spread * rng.gamma(1, 40, n), 2) * (rng.random(n) < 0.6),
        "total_time_watched_minutes": courses * (60 + spread * rng.gamma(2, 60, n)),
        "video_completion_rate": np.clip(
            50 + spread * rng.normal(15 * effect * job, 15), 0, 100) * there,
        "quiz_score_average": np.where(
            (rng.random(n) < quiz) & there, np.clip(70 + spread * rng.normal(0, 9, n), 0, 100),
            np.nan),
    })
    return study.audience(held({"users": users}, {"users": USERS})["users"])


CASES = {
    "no difference": {},
    "jobs differ": {"effect": 0.6},
    "nothing given": {"jobs": (None,), "ages": (None,), "channels": (None,)},
    "one group": {"jobs": ("Clerk",), "ages": ("65+",), "channels": ("ads",)},
    "one factor": {"jobs": ("Clerk", None, "Teacher"), "ages": (None,), "channels": ("ads",)},
    "free and no quiz": {"free": True, "quiz": 0.0},
    "odd names": {"jobs": MARKUP, "channels": MARKUP, "effect": 0.8,
                  "ages": tuple("Head of a very long name " * 3 + str(i) for i in range(4))},
    "many groups": {"n": 2_500, "jobs": tuple(f"job {i}" for i in range(40)), "effect": 0.05},
    "one user": {"n": 1},
    "thirty users": {"n": 30},
}
DRAWN = ("odd names",)


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = SimpleNamespace(audience=made(**CASES[name]))
        return found[name]

    return get


@pytest.fixture(scope="module")
def shipped(mooc_tables):
    return SimpleNamespace(audience=study.audience(mooc_tables.table("users")))


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_is_told_that_is_no_number(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose), (name, function)
        if not found:
            assert function == "recommendation", (name, function)
            continue
        plain = re.sub(r"\\", "", found)
        assert not re.search(r"\b(nan|inf|None|NaT)\b", plain), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        assert not re.search(r"(?<![\d.,])1 (users|groups|comparisons)\b", found), (name, found)
        if "|" not in found:
            assert found.endswith("."), (name, function, found)


def test_without_groups_it_says_so(cases):
    for name in ("nothing given", "one group", "one user"):
        s = cases(name)
        assert report.value(s) == report.engagement(s) == report.alike(s) == report.ALONE
        assert report.differences_figure(s) == report.tests_table(s) == report.ALONE
        assert str(report.ALONE) in report.answer(s) and report.recommendation(s) == ""
    assert "the occupation of none" in report.who(cases("nothing given"))
    assert "cannot be held equal" in report.carries(cases("one factor"))


def test_sentences_follow_the_result(cases):
    none, some = cases("no difference"), cases("jobs differ")
    assert "is not shown to go with" in report.answer(none) and report.recommendation(none) == ""
    assert "none of the factors is shown to make a difference" in report.carries(none)
    assert "Occupations differ in videos completed" in report.engagement(some)
    assert "Occupations are not shown to differ in value" in report.value(some)
    assert "differences remain by occupation for how users learn" in report.carries(some)
    assert "How users learn goes, the other factors held equal, with occupation;" in report.answer(
        some)
    assert report.recommendation(some).startswith("**Help users whose occupation is Clerk to learn")
    assert "cannot be tested here" in report.value(cases("free and no quiz"))


def test_not_shown_is_never_no_difference(cases, shipped):
    for s in (cases("no difference"), shipped):
        text = " ".join((report.value(s), report.engagement(s), report.alike(s)))
        assert "not shown to differ" in text and "leave it open" in text
        assert "no difference" not in text.replace("which is not the same as no difference", "")


def test_groups_closer_than_chance_are_not_called_equal(shipped):
    a = shipped.audience
    close = SimpleNamespace(audience=replace(a, tests=a.tests.assign(
        explained=0.0, explained_high=0.0, p_adjusted=1.0)))
    for said in (report.value(close), report.engagement(close)):
        assert "closer together than chance would bring them" in said and "none of any" not in said
    assert "at most" in report.value(shipped) and "closer together" not in report.value(shipped)


def test_comparisons_are_counted(shipped):
    found = shipped.audience.comparisons["adjusted_finding"].value_counts()
    text = report.alike(shipped)
    assert f"Of {len(shipped.audience.comparisons)} comparisons" in text
    assert f"{found['higher'] + found['lower']} show a difference" in text
    assert f"{found['equivalent']} show that there is none above 0.1" in text


def test_age_is_said_to_be_what_comes_with_occupation(shipped):
    assert "What looked like an effect of age group is what comes with occupation." in (
        report.carries(shipped))
    assert "Age group is not shown to matter beside the others." in report.answer(shipped)
    assert "what they are worth goes with referral channel" in report.answer(shipped)
    # Without that association the sentence is not there.
    a = shipped.audience
    apart = replace(a, tied=a.tied.assign(p_adjusted=1.0))
    assert "What looked like" not in report.carries(SimpleNamespace(audience=apart))


def test_data_values_stay_text(cases):
    s = cases("odd names")
    for f in (report.groups_table, report.engagement, report.recommendation):
        text = f(s)
        assert "<b>" not in text and "](x)" not in text and not re.search(r"(?<!\\)@fig", text)


def test_figure_keeps_its_labels_apart(cases):
    """Names that are cut to the same letters are not drawn into one row."""
    data = report.differences_figure(cases("odd names")).data
    rows = data[data["factor"] == AGE]
    assert rows["label"].nunique() == 4 and rows["label"].astype(str).str.len().max() < 30


def test_table_shows_every_group(cases):
    rows = report.groups_table(cases("many groups")).splitlines()[2:]
    assert len(rows) == study.MOST_GROUPS + 1 + 2 + 2
    assert "all other" in report.groups_table(cases("many groups"))
    assert "28 small groups" in report.who(cases("many groups"))


def test_the_figure_shows_value_and_engagement(shipped):
    assert set(report.differences_figure(shipped).data["measure"]) <= set(MEASURES) and RATE in set(
        report.differences_figure(shipped).data["measure"])


def factors(markdown):
    return [[cell.strip() for cell in row.split("|")[1:4]] for row in markdown.splitlines()[2:]]


def test_rows_and_counts_tell_their_factor(cases):
    s = cases("thirty users")
    pooled = s.audience.pooled["users"]
    said = report.who(s)
    for factor in FACTORS:
        mine = pooled[pooled.index.get_level_values("factor") == factor]
        assert f"{len(mine)} small groups by {report.NAMES[factor]} ({mine.sum()} users)" in said
        assert mine.sum() <= s.audience.users
    assert f"{pooled.sum()} users" not in said
    rows = factors(report.groups_table(s))
    assert [row[0] for row in rows] == ["Occupation", "Age group", "Referral channel"]
    assert {row[1] for row in rows} == {"all other"}
    rows = factors(report.groups_table(cases("no difference")))
    assert rows[0][:2] == ["Occupation", "Clerk"] and rows[-1][0] == "Referral channel"
    assert "stands for" not in report.who(cases("no difference"))
    one = report.who(cases("one user"))
    assert "of the only user." in one and "1 small group by occupation (1 user)" in one


def test_nobody_is_left_out_where_all_is_known(cases):
    assert "of all 600 users." in report.who(cases("no difference"))
    assert "left out" not in report.who(cases("no difference"))
    assert "left out where that factor is compared" in report.who(cases("one factor"))


def test_why_nothing_is_compared_is_said_once(cases):
    s = cases("one group")
    why = "every occupation, age group and referral channel"
    assert [name for name, f in FUNCTIONS.items() if why in str(f(s))] == ["who"]
    assert why not in report.who(cases("no difference"))


def test_small_groups_together_are_named_and_not_advised(cases):
    labels = report.differences_figure(cases("many groups")).data["label"].astype(str)
    assert "all other occupations" in set(labels) and "all other" not in set(labels)
    a = cases("jobs differ").audience
    renamed = {name: frame.rename(index={"Clerk": study.OTHERS}, level="group")
               for name, frame in (("comparisons", a.comparisons), ("groups", a.groups))}
    assert report.recommendation(SimpleNamespace(audience=replace(a, **renamed))) == ""


def test_what_is_not_shown_to_go_together_is_told_in_a_sentence(cases):
    a = cases("no difference").audience
    apart = replace(a, tied=a.tied.assign(p_adjusted=1.0))
    assert "go together is not shown" in report.tied(SimpleNamespace(audience=apart))
