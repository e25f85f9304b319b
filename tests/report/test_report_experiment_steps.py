"""What the chapter says about completions and conversion follows from the counts."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.experiment import steps as study
from analysis.experiment.steps import BOUNDED, EVERYTHING, OUTSIDE
from analysis.report.experiment import steps as report
from analysis.report.text import Prose
from analysis.stats.intervals import Interval

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
from test_experiment_steps import FAULTS, from_table, lived, paths_of

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}


def days(*rows) -> pd.DataFrame:
    """Decisions from (completions, converted, day or None, customers)."""
    frame = pd.DataFrame(rows, columns=["completions", "converted", "day", "customers"])
    return frame.assign(cohort="Test", day=frame.day.astype("Int64"))


def made(paths, decisions=None, faults=FAULTS) -> SimpleNamespace:
    """The study of these customers; without decisions, converts decide on days 0 to 9."""
    if decisions is None:
        won = paths[paths.converted == 1].groupby("completions").customers.sum()
        rows = [(k, 1, day, n // 10 + (day < n % 10)) for k, n in won.items() for day in range(10)]
        decisions = days(*(row for row in rows if row[3])) if rows else days().astype(
            {"completions": int, "converted": int, "customers": int})
    base = {"paths": paths, "decisions": decisions, "faults": faults}
    return SimpleNamespace(
        **base, steps=study.steps(SimpleNamespace(**base)), decision=SimpleNamespace(trusted=True))


def faults(cases, n):
    return FAULTS.assign(cases=[cases], of=[n])


CASES = {
    "planted": lambda: made(lived(3, 0.5), faults=faults(0, 900)),
    "flat": lambda: made(from_table([[300, 200, 100, 250], [120, 90, 80, 200]],
                                    [[70, 52, 21, 60], [30, 20, 22, 51]]), faults=faults(3, 100)),
    "falling": lambda: made(from_table([[450, 400, 350, 300], [200, 200, 250, 400]],
                                       [[250, 175, 100, 60], [110, 80, 70, 75]], "CS")),
    "cohorts differ": lambda: made(from_table([[300] * 4, [300] * 4],
                                              [[20, 60, 120, 220], [120, 110, 100, 130]])),
    "nobody finishes": lambda: made(from_table([[300, 300, 0, 0], [200, 300, 0, 0]],
                                               [[20, 90, 0, 0], [12, 80, 0, 0]])),
    "nobody converts": lambda: made(from_table([[30, 20, 10, 25]] * 2, [[0] * 4] * 2)),
    "everybody converts": lambda: made(from_table([[30, 20, 10, 25]] * 2, [[30, 20, 10, 25]] * 2)),
    "nobody completes": lambda: made(from_table([[40, 0, 0, 0]] * 2, [[9, 0, 0, 0]] * 2)),
    "everybody completes": lambda: made(from_table([[0, 0, 0, 40]] * 2, [[0, 0, 0, 9]] * 2)),
    "one each": lambda: made(paths_of([("Control", 3, "none", 3, 1, 1),
                                       ("Test", 1, "OTHER", 0, 0, 1)]), faults=faults(0, 1)),
    "two each": lambda: made(paths_of([("Control", 3, "none", 3, 0, 1),
                                       ("Control", 1, "none", 0, 0, 1),
                                       ("Test", 3, "CS", 1, 1, 1), ("Test", 1, "OTHER", 1, 0, 1)])),
    "forty": lambda: made(from_table([[8, 4, 3, 10], [5, 2, 2, 6]], [[1, 1, 1, 6], [0, 0, 1, 3]])),
    "separated": lambda: made(from_table([[50, 0, 0, 50], [50, 0, 0, 40]],
                                         [[0, 0, 0, 50], [0, 0, 0, 40]])),
}
_HELD = {}


@pytest.fixture(params=CASES)
def name(request):
    return request.param


def case(name) -> SimpleNamespace:
    if name not in _HELD:
        _HELD[name] = CASES[name]()
    return _HELD[name]


def told(s) -> dict[str, Prose]:
    return {key: found for key, f in FUNCTIONS.items() if isinstance(found := f(s), Prose)}


def check(said: dict[str, Prose]) -> None:
    for key, text in said.items():
        assert text.strip() and not re.search(r"\b(nan|inf|None|NaT)\b", text), (key, text)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|,,", text), (key, text)
        assert not re.search(r"(?<![\d.,])1 (customers|tasks|days|points)\b", text), (key, text)
        if "|--" not in text and "|:-" not in text:
            assert "  " not in text and text.endswith("."), (key, text)
            assert text.lstrip("*")[0].isupper(), (key, text)


def test_nothing_is_told_that_is_no_number(name):
    s = case(name)
    check(told(s))
    if name in ("planted", "two each", "forty"):
        for f in FUNCTIONS.values():
            if isinstance(found := f(s), p9.ggplot):
                found.draw()


def test_what_goes_together_is_not_told_as_cause():
    s = case("planted")
    said = told(s)
    assert said["answer"].startswith(
        "**Completing all 3 tasks and converting go together, and closely**: of those who")
    assert "*makes*" in said["answer"]
    assert "so the last counts for more than the first" in said["shape"]
    assert "the steps are not alike" in said["shape"]
    assert "the relation is there without any help" in said["same"]
    assert "all corrected" in said["jumps"] or "after correction for all" in said["jumps"]
    assert "none of the 900 customers" in said["order"] and "proves nothing" in said["order"]
    assert "lever" in said["means"] and "The step to look at first is the last" in said["means"]


def test_an_absent_relation_is_not_shown_instead_of_none():
    said = told(case("flat"))
    assert said["answer"].startswith("**That those who complete all 3 tasks convert more often")
    assert "So a difference is not shown; nor is its absence" in said["finishing"]
    assert said["shape"].startswith("That conversion rises or falls")
    assert "is not supported by these customers" in said["means"]
    assert "a relation is not shown" in said["same"]
    assert "difference is not shown" in said["jumps"]
    assert "of the 100 customers" in said["order"] and ", 3 (1.0%" in said["order"]


def test_a_contrary_relation_is_told_as_such():
    said = told(case("falling"))
    assert said["answer"].startswith("**Those who complete all 3 tasks convert less often**: of")
    assert said["shape"].startswith("Conversion falls with the number of completions")
    assert "contradicted by these customers" in said["means"]
    assert "less conversion" in said["jumps"]


def test_groups_that_differ():
    said = report.same(case("cohorts differ"))
    assert "so the relation differs between the cohorts." in said
    assert "is not shown" in report.same(case("planted"))


def test_why_there_is_nothing_to_compare():
    assert report.answer(case("nobody converts")).startswith("Nobody converted")
    assert report.answer(case("everybody converts")).startswith("Everybody converted")
    assert report.answer(case("nobody completes")).startswith("No customer completed a task")
    assert report.answer(case("everybody completes")).startswith("Every customer completed all 3")
    nobody = case("nobody finishes")
    assert report.answer(nobody).startswith("Nobody completed all 3 tasks, so")
    assert "Conversion rises" in report.answer(nobody)
    assert report.means(nobody).startswith("How many tasks a customer has completed tells early")
    for key in ("nobody converts", "everybody completes"):
        assert report.means(case(key)).startswith("There is nothing here to act on")
        assert report.shape(case(key)) == report.answer(case(key))
    assert "odds ratio of infinity (at least" in report.finishing(case("one each"))
    assert "did not do so before" in report.order(case("one each"))
    assert "it takes at least 10 customers" in report.shape(case("separated"))


def with_instrument(**changes) -> SimpleNamespace:
    s = case("planted")
    i = replace(s.steps.instrument, **changes)
    return SimpleNamespace(**{**vars(s), "steps": replace(s.steps, instrument=i,
                                                          instrument_trouble=None)})


def interval(estimate, low, high):
    return Interval(estimate, low, high, 0.95, "HC3")


SLOPE = interval(0.16, 0.155, 0.165)


@pytest.mark.parametrize(("changes", "answer", "against"), [
    ({"kind": BOUNDED, "estimate": 0.13, "low": 0.02, "high": 0.25, "slope_inside": True},
     "if it moves conversion through them alone, it supports that they convert more because they "
     "completed, by 13.0 points a completion",
     "how much of the relation is effect and how much is motive stays open"),
    ({"kind": BOUNDED, "estimate": -0.13, "low": -0.25, "high": -0.02, "slope_inside": False},
     "it supports that they convert less because", "lie outside"),
    ({"kind": BOUNDED, "estimate": 0.15, "low": 0.12, "high": 0.2, "slope_inside": True},
     "convert more because", "and half as much does not"),
    ({"kind": BOUNDED, "estimate": 0.1, "low": -0.05, "high": 0.3, "slope_inside": True},
     "agrees with it, and so does none at all", "half as large"),
    ({"kind": OUTSIDE, "estimate": 0.1, "low": -0.5, "high": 0.02, "slope_inside": True},
     "which leaves even the direction open", "stays open"),
    ({"kind": OUTSIDE, "estimate": 0.1, "low": 0.01, "high": 0.05, "slope_inside": True},
     "none at all among them", "stays open"),
    ({"kind": EVERYTHING, "estimate": 0.1, "low": np.nan, "high": np.nan, "slope_inside": True},
     "so uncertain that no value is ruled out", "can neither support nor deny"),
])
def test_what_the_lot_says(changes, answer, against):
    s = with_instrument(slope=SLOPE, **changes)
    check(told(s))
    assert answer in report.answer(s) and against in report.instrument(s)
    drawn = report.effects_figure(s)
    assert isinstance(drawn, p9.ggplot if changes["kind"] == BOUNDED else Prose)
    shown = changes["kind"] == BOUNDED and changes["low"] > 0
    assert ("bring" in report.means(s)) == shown
    assert ("unproven" in report.means(s)) != shown


def test_a_weak_instrument_and_a_thin_one_are_named():
    weak = with_instrument(f=3.0)
    assert "below 10, it is a weak instrument" in report.instrument(weak)
    assert "weak" not in report.instrument(with_instrument(f=40.0))
    s = with_instrument(kind=BOUNDED, estimate=0.13, low=0.02, high=0.25)
    open_ = replace(s.steps.instrument, low=-0.02, high=0.2, estimate=0.1)
    thin = SimpleNamespace(**{**vars(s), "steps": replace(s.steps, instrument_trouble=open_)})
    assert "the evidence is thin" in report.answer(thin)
    assert "Among these alone the ratio is 10.0 points" in report.instrument(thin)
    assert "the evidence" not in report.answer(s)


def test_decisions():
    paths = from_table([[50, 20, 20, 50]] * 2, [[5, 5, 10, 40]] * 2)
    early = made(paths, days((3, 1, 0, 60), (3, 1, 2, 30), (0, 1, 9, 2), (3, 1, 29, 8)))
    said = report.decisions(early)
    assert "60.0% did so on the day of the test, 90.0% within 3 days" in said
    assert "most make up their minds early" in said
    assert "A second, small wave comes on day 29, the last on which anybody converted: 8.0%" in said
    late = report.decisions(made(paths, days((3, 1, 0, 10), (3, 1, 20, 89), (3, 1, 21, 1))))
    assert "most take longer than that" in late and "wave" not in late
    assert "is open" in report.decisions(made(paths, days((3, 1, 0, 2), (3, 1, 9, 2))))
    before = report.decisions(made(paths, days((3, 1, -1, 5), (3, 1, 1, 5), (3, 1, None, 3))))
    assert "on the day of the test or before" in before and "For 3 more no time" in before
    none = made(paths, days((3, 1, None, 3)))
    assert report.decisions(none).startswith("Nobody converted at a known time")
    assert report.decisions_figure(none) == report.decisions_table(none) == report.decisions(none)
    one = made(paths, days((3, 1, 1, 3)))
    assert report.decisions_figure(one).startswith("All who converted at a known time did so")


def test_who_completes_nothing():
    paths = from_table([[50, 20, 20, 50]] * 2, [[5, 5, 10, 40]] * 2)
    assert "10 of 100" in report.without(made(paths))
    assert report.without(case("everybody completes")) == "Every customer completed a task."
    assert "none of 100" in report.without(case("separated"))


def test_the_table_holds_the_levels():
    rows = report.levels_table(case("flat")).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["0", "1", "2", "3"]
    assert sum(int(row.split("|")[2].replace(",", "")) for row in rows) == 1_340
    groups = report.groups_table(case("flat"))
    assert "in trouble at least once" not in groups and "never in trouble" in groups


def test_a_lot_that_is_not_trusted_moves_nothing():
    s = with_instrument(kind=BOUNDED, estimate=0.13, low=0.02, high=0.25)
    distrusted = SimpleNamespace(**{**vars(s), "decision": SimpleNamespace(trusted=False)})
    assert "moved completions by lot" in report.answer(s)
    assert "moved completions by lot" not in report.answer(distrusted)
    assert "such a comparison can't say" in report.answer(distrusted)
    for said in (report.instrument(distrusted), report.effects_figure(distrusted)):
        assert said == ("Here the cohorts can't say it, since the test is not trusted "
                        "(@sec-trialers-trust).")
    assert "by the test’s own measure" in report.means(s)
    assert "by the test’s own measure" not in report.means(distrusted)
