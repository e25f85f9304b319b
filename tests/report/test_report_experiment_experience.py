"""What the chapter says about hours and experience follows from the counts."""

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

from analysis.experiment import experience as study
from analysis.report.experiment import experience as report
from analysis.report.text import Prose
from analysis.simulate import trialers

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
from test_experiment_experience import analysed
from test_experiment_reductions import as_seen, messy

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}
OUTCOMES = ("completed_first", "completed_all", "converted")


def only(frames, keep_activity, keep_help=lambda a: a.task > 0):
    """Tables with some of their events."""
    activity, asked = frames["product_activity"], frames["help_activity"]
    return {**frames, "product_activity": activity[keep_activity(activity)].reset_index(drop=True),
            "help_activity": asked[keep_help(asked)].reset_index(drop=True)}


def first(frames, each):
    """The first customers of each cohort."""
    ids = frames["test_cohorts"].groupby("cohort").customer_id.head(each)
    return {name: frame[frame.customer_id.isin(ids)].reset_index(drop=True)
            for name, frame in frames.items() if "customer_id" in frame}


def simulated(customers, seed=3, world=trialers.WORKS):
    return as_seen(trialers.generate(seed, customers / trialers.CUSTOMERS, world)[0])


CASES = {
    "planted": lambda: simulated(9_000),
    "forty": lambda: first(simulated(300), 20),
    "two each": lambda: first(simulated(300), 2),
    "messy": lambda: as_seen(messy(2, 90)),
    "nobody converts": lambda: (lambda f: {**f, "conversion": f["conversion"].assign(
        converted=0, converted_at=pd.NaT)})(simulated(300)),
    "no completion": lambda: only(simulated(300), lambda a: a.action == "start"),
    "task 1 only": lambda: only(simulated(300), lambda a: a.task == 1, lambda a: a.task == 1),
    "task 2 only": lambda: only(simulated(300), lambda a: a.task == 2, lambda a: a.task == 2),
    "no trouble": lambda: only(simulated(600), lambda a: a.task > 0, lambda a: a.task > 9),
}
_HELD = {}


def case(name) -> SimpleNamespace:
    if name not in _HELD:
        frames = CASES[name]()
        start = frames["product_activity"].query("action == 'start'").timestamp.min()
        _HELD[name] = SimpleNamespace(experience=analysed(frames), window=SimpleNamespace(
            day=start.date().isoformat()))
    return _HELD[name]


def changed(name="planted", **changes) -> SimpleNamespace:
    s = case(name)
    return SimpleNamespace(**{**vars(s), "experience": replace(s.experience, **changes)})


def told(s) -> dict[str, Prose]:
    return {key: found for key, f in FUNCTIONS.items() if isinstance(found := f(s), Prose)}


def check(said: dict[str, Prose]) -> None:
    for key, text in said.items():
        assert text.strip() and not re.search(r"\b(nan|inf|None|NaT)\b", text), (key, text)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|,,", text), (key, text)
        assert not re.search(r"(?<![\d.,])1 (customers|tasks|hours|minutes)\b", text), (key, text)
        if "|--" not in text and "|:-" not in text:
            assert "  " not in text and text.endswith(".") and text[0].isupper(), (key, text)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_told_that_is_no_number(name):
    s = case(name)
    check(told(s))
    if name in ("planted", "two each"):
        for f in FUNCTIONS.values():
            if isinstance(found := f(s), p9.ggplot):
                found.draw()


def test_the_planted_day():
    s = case("planted")
    said = told(s)
    assert "From task to task the completion rate rises" in said["answer"]
    assert "But those who get there are a selection: the same people" in said["answer"]
    assert "took longer over task 3 than over task 1 (" in said["answer"]
    row = s.experience.same.loc[("time", 3, 1)]
    assert f"{row.effect:.2f} times as long, {row.low:.2f}\u00a0to" in said["answer"]
    assert "trouble" not in said["answer"]  # a selection, whatever it does
    assert "neither a rise nor a fall can be shown" in said["bounds"]
    assert "done no better than those who did, it would be at most" in said["bounds"]
    assert "it takes the same people longer, and fewer are left in it" in said["means"]
    assert "a Wednesday" in said["limits"] and "one order" in said["limits"]
    assert "the later task takes the same people longer" in said["same"]
    assert "that there is more of it in the later task may be selection" in said["same"]
    assert "a rise of trouble may be selection altogether" in said["limits"]
    assert "instead of" in said["standardised"]


# The conclusions on the hours.


def by_hour(**slopes) -> pd.DataFrame:
    """Trends: for each outcome its direction, or 0 for one not shown; the rest can't be told."""
    frame = case("planted").experience.by_hour.copy()
    for outcome in OUTCOMES:
        sign = slopes.get(outcome)
        if sign is None:
            frame.loc[outcome, frame.columns[2:]] = np.nan
        else:
            frame.loc[outcome, ["slope", "z", "p_adjusted"]] = (
                0.004 * (sign or 1), 4.0 * (sign or 1), 0.001 if sign else 0.4)
    return frame


@pytest.mark.parametrize(("slopes", "answer", "means"), [
    (dict.fromkeys(OUTCOMES, -1), "Success does not grow over the day, it falls: customers who "
     "start later less often complete task 1", "Late starters are worth a closer look"),
    (dict.fromkeys(OUTCOMES, 1), "Success grows over the day: customers who start later more often",
     "Those who start early do worse"),
    ({"completed_first": -1, "completed_all": 1, "converted": 0},
     "Success moves both ways over the day", "no rule for the whole day follows"),
    (dict.fromkeys(OUTCOMES, 0), "complete task 1, complete all 3 tasks or convert more or less "
     "often is not shown", "Nothing here asks for other help"),
    ({}, "Whether success changes with the hour can't be told here", "Nothing here asks"),
    ({"converted": -1}, "it falls: customers who start later less often convert (−4.8 points",
     "Late starters"),
])
def test_hours(slopes, answer, means):
    s = changed(by_hour=by_hour(**slopes))
    check(told(s))
    assert answer in report.answer(s) and means in report.means(s)
    for sign in slopes.values():
        often = {1: "the more often customers", -1: "the less often customers", 0: "not shown"}
        assert often[sign] in report.by_hour(s)
    if any(slopes.values()):
        assert re.search(r"points in 12 hours, −?\d+\.\d+\u00a0to\u00a0", report.answer(s))
    if len(slopes) < len(OUTCOMES):
        assert "can't be compared over the day" in report.by_hour(s)


def test_a_bend_is_told():
    frame = by_hour(**dict.fromkeys(OUTCOMES, -1))
    frame["bend_adjusted"] = [0.01, 0.5, 0.5]
    frame[["bend", "bend_low", "bend_high"]] = 1.12, 1.03, 1.22
    said = report.by_hour(changed(by_hour=frame))
    assert said.count("does not change in a straight line") == 1
    assert ("complete task 1 does not change in a straight line: in the middle of 12 hours the "
            "odds are 1.120 times (1.030\u00a0to\u00a01.220; corrected p\u00a0=\u00a00.010) "
            "those") in said
    frame["bend_adjusted"] = 0.5
    assert "fits better than a straight line on the scale of log odds is not shown" in (
        report.by_hour(changed(by_hour=frame)))


def test_who_is_compared_over_the_day():
    assert "9 started on another day and are left out" in report.base(
        changed(started=109, same_day=100))
    assert "1 started on another day and is left out" in report.base(
        changed(started=101, same_day=100))
    assert report.base(changed(started=1, same_day=1)).startswith("The comparison is of the 1 cust")


# The conclusions on the tasks.


def same(trouble, time, p=0.001) -> pd.DataFrame:
    """Comparisons of the same people: the sign of each effect, 0 for one not shown."""
    frame = case("planted").experience.same.copy()
    for what, sign in (("trouble", trouble), ("time", time)):
        effect = (0.08 if what == "trouble" else 0.3) * (sign or 1) + (what == "time")
        frame.loc[(what, 3, 1), ["effect", "p_adjusted"]] = effect, p if sign else 0.5
    return frame


@pytest.mark.parametrize(("trouble", "time", "answer", "practice"), [
    (1, 1, "took longer over task 3 than over task 1", "the later task takes the same people long"),
    (-1, -1, "took less long over task 3 than over task 1", "So they did get faster: by practice"),
    (1, -1, "took less long over", "So they did get faster"),
    (0, 0, "took longer or less long over task 3 than over task 1 is not shown",
     "So neither practice nor a longer task shows in their times."),
    (1, 0, "is not shown", "So neither practice nor a longer task shows in their times."),
    (0, 1, "the same people, customers who completed all 3 tasks, took longer", "takes the same"),
])
def test_the_same_people(trouble, time, answer, practice):
    s = changed(same=same(trouble, time))
    check(told(s))
    assert answer in report.answer(s) and report.same(s).endswith(".")
    assert practice in report.same(s)
    # Times speak, and trouble does not.
    assert ("See what makes the later tasks long" in report.means(s)) == (time == 1)
    assert ("must not be read as learning" in report.means(s)) != (time == 1)
    said = {1: "more of it in the later task may be selection",
            -1: "less of it in the later task may be selection", 0: "compared with themselves"}
    assert said[trouble] in report.same(s)
    assert ("may be selection" in report.same(s)) == bool(trouble)


def test_trouble_that_rises_by_selection_is_not_read_as_harder_tasks():
    """Tasks equally hard, and practice that helps: of those who complete all three more were in
    trouble in the last task, since trouble in the first is what stopped the others."""
    rng, n, flags, done = np.random.default_rng(12), 20_000, {}, np.ones(20_000, dtype=bool)
    logs = rng.normal(7, 1, (n, 3)) + np.log([1, 0.95, 0.9])
    for k, (risk, survives) in enumerate(((0.50, 0.2), (0.47, 0.5), (0.44, 0.8)), start=1):
        trouble = rng.random(n) < risk
        flags |= {f"trouble_{k}": trouble.astype(int), f"restart_{k}": np.zeros(n, dtype=int)}
        done &= ~trouble | (rng.random(n) < survives)
    finishers = pd.DataFrame(flags)[done].assign(n=1)
    logs = logs[done]
    times = {"n": len(logs)}
    for j, k in ((1, 2), (1, 3), (2, 3)):
        gap = logs[:, k - 1] - logs[:, j - 1]
        times |= {f"sum_{j}{k}": gap.sum(), f"square_{j}{k}": gap @ gap,
                  f"more_{j}{k}": (gap > 0).sum(), f"less_{j}{k}": (gap < 0).sum()}
    found = study._same(finishers, times)
    row = found.loc[("trouble", 3, 1)]
    assert row.low > 0.2 and row.p_adjusted < 0.001
    s = changed(same=found)
    check(told(s))
    said = " ".join(told(s).values())
    assert "harder one" not in said and "takes the same people longer" not in said
    assert "So they did get faster" in report.same(s)
    assert "more of it in the later task may be selection" in report.same(s)
    assert "took less long over task 3" in report.answer(s)


def naive(difference, p) -> pd.DataFrame:
    frame = case("planted").experience.naive.copy()
    frame["difference"], frame["low"], frame["high"] = (
        difference, difference - 0.01, difference + 0.01)
    frame["p_adjusted"] = p
    return frame


def test_rates_by_task():
    falls = changed(naive=naive(-0.05, 0.001))
    assert "the completion rate falls" in report.answer(falls)
    assert "But those who get there" not in report.answer(falls)
    assert "task 3 is completed less often than task 1, by 5.0 points (4.0" in report.naive(falls)
    assert "The later task takes the same people longer. See what" in report.means(falls)
    still = changed(naive=naive(0.01, 0.3), same=same(0, 0))
    assert "rises or falls from the first task to the last is not shown" in report.answer(still)
    assert "That these rates differ is not shown" in report.naive(still)
    assert "Ask for no change of the tasks’ order" in report.means(still)
    assert "Nobody attempted task 3" in report.answer(case("task 1 only"))
    assert report.naive(case("task 1 only")).startswith("Only one task was attempted")
    assert report.bounds(case("task 2 only")).startswith("Nobody attempted task 1")
    assert isinstance(report.bounds_figure(case("task 2 only")), Prose)
    assert report.same(case("no completion")).startswith("Nobody completed all 3 tasks")


def bounds(least, most, no_better=None) -> pd.DataFrame:
    """Bounds of tasks 2 and 3 beside 70% (68% to 72%) of task 1."""
    frame = case("planted").experience.by_task.copy()
    frame.loc[1, ["rate", "low", "high"]] = 0.7, 0.68, 0.72
    for k, low, high in zip((2, 3), least, most, strict=True):
        frame.loc[k, ["least", "least_low", "most", "most_high", "no_better"]] = (
            low, low - 0.01, high, high + 0.01, no_better or low)
    return frame


def test_what_bounds_can_show():
    open_ = report.bounds(changed(by_task=bounds((0.5, 0.4), (0.8, 0.9), 0.75)))
    assert "neither a rise nor a fall can be shown" in open_ and "at most 75.0% and 75.0%" in open_
    fall = report.bounds(changed(by_task=bounds((0.5, 0.4), (0.6, 0.9))))
    assert "Task 2 is shown to be completed less often" in fall
    assert "for task 3 it stays open" in fall
    both = report.bounds(changed(by_task=bounds((0.5, 0.4), (0.6, 0.5))))
    assert "Task 2 and task 3 are shown to be completed less often" in both
    rise = report.bounds(changed(by_task=bounds((0.8, 0.8), (0.9, 0.9))))
    assert "Task 2 and task 3 are shown to be completed more often" in rise
    stayed = report.bounds(changed(by_task=bounds((0.8, 0.8), (0.8, 0.8))))
    assert stayed.endswith("Nobody dropped out on the way, so nothing has to be guessed.")


def test_medians_that_are_not_reached():
    assert report._minutes(np.inf, np.inf, np.inf) == "never"
    assert report._minutes(np.inf, 90.0, np.inf) == "never (at least 90)"
    assert report._minutes(30.0, 28.0, np.inf) == "30 (at least 28)"
    assert report._minutes(30.0, np.nan, np.nan) == "30"
    assert report._minutes(30.0, 28.0, 33.0).startswith("30 (28")
    assert "never" in report.tasks_table(case("no completion"))


def test_elapsed():
    s = case("planted")
    share = s.experience.elapsed.share[1]
    text = report.elapsed(s)
    assert "within 15 minutes" in text and "within 1 hour and" in text
    later = (share[1440] - share[60]) / (1 - share[60])
    assert f"Of those not done within 1 hour, {100 * later:.1f}% are done within 24 hours." in text
    none = s.experience.elapsed.assign(share=np.nan)
    assert report.elapsed(changed(elapsed=none)).endswith("can't be followed here.")


def test_tables():
    s = case("planted")
    assert len(report.same_table(s).splitlines()) == 2 + 9
    rows = report.hours_table(s).splitlines()[2:]
    assert len(rows) == 3 * len(OUTCOMES)
    assert all("to" in row.split("|")[3] for row in rows)  # each size has its interval
    rows = report.parts_table(s).splitlines()[2:]
    counted = sum(int(row.split("|")[2].replace(",", "")) for row in rows)
    assert counted == s.experience.same_day
    assert isinstance(report.hours_figure(case("two each")), (Prose, p9.ggplot))
