"""What the chapter says about CS against OTHER follows from the counts, whatever they are."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.experiment import helped as study
from analysis.experiment.reductions import Reductions, reduced
from analysis.report.experiment import helped as report
from analysis.report.text import Prose
from analysis.simulate import trialers
from analysis.stats.instrument import EVERYTHING, OUTSIDE, Region

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("experiment", ".")]
from every_sentence import check  # noqa: E402
from test_experiment_helped import ODD, few, kept  # noqa: E402
from test_experiment_reductions import as_seen, messy, tables  # noqa: E402

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
RESULTS = ("help", "cells", "from_help", "from_first_help")


def simulated(world, seed=1, scale=0.25):
    return reduced(tables(as_seen(next(trialers.parts(seed, scale, world)))))


def turned(base):
    """The cohorts' names exchanged: the widget takes customers away from CS."""
    flip = np.vectorize({"Test": "Control", "Control": "Test"}.get, otypes=[object])
    times = base.from_first_help
    return replace(
        base, customers=dict(zip(base.customers, reversed(base.customers.values()), strict=True)),
        help=base.help.assign(cohort=flip(base.help.cohort)),
        flow=base.flow.assign(cohort=flip(base.flow.cohort)),
        cells=replace(base.cells, cohort=flip(base.cells.cohort)),
        from_first_help=replace(times, groups={
            **times.groups, "cohort": flip(times.groups["cohort"])}))


def failing(base):
    """Completed and given up exchanged: CS does harm, and looks good."""
    table, cells = base.help, base.cells
    times = {name: getattr(base, name) for name in ("from_help", "from_first_help")}
    return replace(
        base, help=table.assign(completed=table.tasks - table.completed),
        cells=replace(cells, completed=cells.n - cells.completed),
        # Whoever gave up is done in the first minute, the others never.
        **{name: replace(part, completed=part.censored, censored=part.completed,
                         minutes=np.where(part.censored > 0, 1 + part.minutes % 7, 2880))
           for name, part in times.items()})


def short(base):
    """Followed for less than an hour."""
    parts = {}
    for name in ("from_help", "from_first_help"):
        part = getattr(base, name)
        late = part.minutes > 40
        parts[name] = replace(
            part, minutes=np.minimum(part.minutes, 40),
            completed=np.where(late, 0, part.completed),
            censored=part.censored + np.where(late, part.completed, 0))
    return replace(base, **parts)


def two_each():
    frames = messy(3, 60)
    ids = frames["test_cohorts"].customer_id[10:14]
    frames["test_cohorts"] = pd.DataFrame({
        "customer_id": ids, "cohort": ["Control", "Control", "Test", "Test"]})
    return frames


CASES = {
    **{name: lambda base, options=options: kept(base, **options) for name, options in ODD.items()},
    **{f"{n} first troubles": lambda base, n=n: few(base, n, seed=n) for n in (1, 3, 9, 40)},
    "turned": turned,
    "failing": failing,
    "short": short,
    "messy": lambda base: reduced(tables(as_seen(messy(1)))),
    "two each": lambda base: reduced(tables(as_seen(two_each()))),
    "40 customers": lambda base: simulated(trialers.WORKS, 2, 40 / 12_000),
    "nothing": lambda base: simulated(trialers.NOTHING),
    "engages": lambda base: simulated(trialers.ENGAGES),
    "null": lambda base: simulated(trialers.NULL, 2),
}


@pytest.fixture(scope="module")
def cases(trialers_study):
    base = Reductions(**{f.name: getattr(trialers_study, f.name) for f in fields(Reductions)})
    found = {"shipped": trialers_study}

    def get(name):
        if name not in found:
            made = CASES[name](base)
            found[name] = SimpleNamespace(
                **vars(made), helped=study.helped(made), decision=SimpleNamespace(trusted=True))
        return found[name]

    return get


@pytest.mark.parametrize("name", ("shipped", *CASES))
def test_every_sentence_is_whole(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in ("shipped", "40 first troubles"):
                found.draw()
            continue
        assert isinstance(found, Prose), function
        if not found:
            assert function not in ("answer", "means", "limits", "complete", "faster", "traces",
                                    "adjusted", "first_stage", "effect", "readings"), function
            continue
        check(found, f"{name}, {function}")
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|−−|–%|\b0 test", found), (function, found)
        plural = r"(?<![\d.,−])1 (tasks|minutes|hours|customers|tests|things|first troubles)\b"
        assert not re.search(plural, found), found
        assert not re.search(r"of above|a difference of [^;:.]* than", found), found
        if "|" not in found:
            assert found.endswith(".") and "  " not in found, (function, found)
            assert re.match(r"[A-Z\d*\\]", found), (function, found)


def test_the_shipped_table_has_the_planted_story(cases):
    s = cases("shipped")
    assert report.answer(s).startswith("**CS is the better help** for those whom the widget brings")
    assert "says the opposite, as the harder cases choose CS" in report.answer(s)
    assert "CS looks worse" in report.complete(s)
    assert "the picture is the same" in report.independent(s)
    assert "less often in task 1" in report.by_task(s)
    assert "more often" not in report.channels(s)
    assert "finds the curves to differ" in report.faster(s)
    assert "minutes more" in report.faster(s)
    assert "it changes with time" in report.proportional(s)
    assert "the slower" in report.misleading_mean(s)
    assert "traces of harder cases" in report.traces(s) and "flatters" not in report.traces(s)
    assert "is not shown" in report.agent(s)
    assert "falls short by more than chance explains" in report.not_enough(s)
    assert "the instrument is strong" in report.first_stage(s)
    assert "For them CS is the better option." in report.effect(s)
    assert "much the same" in report.effect(s)
    assert "For them CS is the faster way." in report.speed_moved(s)
    assert "not shown to differ" in report.assumptions(s)
    assert "against that. The assumptions might" in report.assumptions(s)
    assert "it has the wrong sign" in report.readings(s)
    assert report.means(s).startswith("Bring customers in trouble to CS: of 100")
    assert len(report.readings_figure(s).data) == 3


def test_without_anything_to_compare_it_says_so(cases):
    for name, said in (
        ("nobody", "Nobody was in trouble"), ("no CS", "Nobody in trouble chose CS"),
        ("only CS", "Everybody in trouble chose CS"), ("only CS, all done", "Everybody in trouble"),
        ("none done", "No task in trouble was completed"),
        ("all done", "Every task in trouble was completed"),
    ):
        s = cases(name)
        assert said in report.answer(s) and report.complete(s).startswith(said)
        assert report.means(s).startswith(said) and report.adjusted(s).startswith(said)
        assert report.independent(s) == ""
    assert report.faster(cases("none done")).startswith("No task in trouble was completed")
    assert "minutes" in report.faster(cases("all done"))  # all complete, and some sooner
    assert report.first_stage(cases("none done")).startswith("Among first troubles")


def test_a_weak_instrument_is_told_and_its_estimate_is_no_finding(cases):
    for name in ("nothing", "null"):
        s = cases(name)
        assert s.helped.moved.effects["completed"].weak
        assert "too weak an instrument" in report.first_stage(s)
        assert "remains open" in report.effect(s)
        assert report.without(s) == report.speed_moved(s) == ""
        assert "can't be told here" in report.answer(s)
        assert "the widget moved too few to CS" in report.answer(s)
        assert report.means(s).startswith("Decide nothing about CS on these tables.")
        assert "moved by the widget" not in report.readings(s)
        assert "no figure of this section is an effect" in report.limits(s)
        assert report.readings_figure(s).data.index.tolist() == ["naive", "adjusted"]
    assert "the harder cases" not in report.answer(cases("null"))
    assert "Nothing that is known before the help" in report.traces(cases("null"))
    assert "is not shown" in report.complete(cases("null"))


def test_too_few_customers_are_told_whatever_their_numbers_say(cases):
    for name in ("3 first troubles", "two each", "40 customers", "messy"):
        s = cases(name)
        assert not s.helped.moved.enough
        assert "there are too few customers" in report.answer(s)
        assert "option" not in report.effect(s)
        assert report.assumptions(s).count("If the widget does nothing") == 0
    s = cases("3 first troubles")  # where all errors are 0
    assert not s.helped.moved.effects["completed"].weak
    assert "fewer than 10 of these customers completed" in report.first_stage(s)


def test_an_effect_that_is_not_there_is_not_shown_nor_denied(cases):
    s = cases("engages")
    assert report.answer(s).startswith("**That CS is better help than OTHER is not shown**")
    assert "CS is better for them than OTHER, or worse, is not shown." in report.effect(s)
    assert "there is a difference of" in report.effect(s)
    assert "is not shown." in report.speed_moved(s)
    assert report.means(s).startswith("These tables are no ground for bringing more customers to")
    assert "lies outside of what the widget allows" in report.readings(s)


def test_harm_is_told_as_harm(cases):
    s = cases("failing")
    assert report.answer(s).startswith("**CS is the worse help**")
    assert "points less often" in report.answer(s) and "says the opposite" in report.answer(s)
    assert "CS looks better" in report.complete(s) and "more often in task 1" in report.by_task(s)
    assert "flatters CS" in report.traces(s) or "traces of harder cases" in report.traces(s)
    assert "For them CS is the worse option." in report.effect(s)
    assert report.means(s).startswith("Do not bring customers in trouble to CS as it is")


def test_a_widget_that_takes_people_from_cs_still_tells_its_effect(cases):
    s = cases("turned")
    assert "points less" in report.first_stage(s) and "away from CS" in report.first_stage(s)
    assert "For them CS is the better option." in report.effect(s)
    assert "whom the widget takes from CS to OTHER" in report.means(s)
    assert "move people away from CS, then in Test" in report.assumptions(s)


def test_a_short_log_shortens_the_horizon(cases):
    s = cases("short")
    assert s.helped.horizon == 39
    assert "the first 39 minutes" in report.faster(s)
    assert "Within 39 minutes" in report.effect_table(s)
    assert "hour" not in s.helped.moved.effects and "–" in report.speed_table(s)
    assert report.curves_figure(s).data["hours"].max() == pytest.approx(39 / 60)


def test_broken_assumptions_and_unlike_cohorts_are_told(cases):
    s = cases("shipped")
    m = s.helped.moved
    against = m.implications.copy()
    against.loc[("CS", 1), "p_adjusted"] = 0.001
    alike = m.alike.copy()
    alike.loc["onset", "p_adjusted"] = 0.01
    broken = SimpleNamespace(**vars(s) | {"helped": replace(
        s.helped, moved=replace(m, implications=against, alike=alike))})
    said = report.assumptions(broken)
    assert "already differ in the time from start to trouble" in said
    assert "completed with CS goes against that" in said and "An assumption fails" in said


@pytest.mark.parametrize(("region", "said"), [
    (Region(EVERYTHING, -np.inf, np.inf, 0.95), "without any limit"),
    (Region(OUTSIDE, -0.1, 0.2, 0.95), "all but −10.0\u00a0to\u00a020.0"),
])
def test_regions_without_limits_have_words(region, said):
    assert report._region(region, 100) == said


def test_differences_are_told_by_their_interval():
    assert report._points(0.08, 0.02, 0.14) == (
        "8.0 points more (95% interval 2.0\u00a0to\u00a014.0)")
    assert report._points(-0.08, -0.14, -0.02).startswith("8.0 points less (95% interval 2.0")
    assert report._points(0.01, -0.02, 0.04).startswith("a difference of 1.0 points")
    assert report._minutes(-5, -9, -1).startswith("5.0 minutes less (95% interval 1.0")
    assert report._ratio(np.inf, 2.5, np.inf) == "above 2.50"
    assert report._ratio(3, 2.5, np.inf) == "3.00 (2.50 or more)"
    assert [report._span(minutes) for minutes in (60, 240, 35, 1)] == [
        "1 hour", "4 hours", "35 minutes", "1 minute"]


def test_a_lot_that_is_not_trusted_moves_nobody(cases):
    s = cases("shipped")
    distrusted = SimpleNamespace(**{
        **{name: getattr(s, name) for name in ("helped", *(f.name for f in fields(Reductions)))},
        "decision": SimpleNamespace(trusted=False)})
    assert "**CS is the better help**" in report.answer(s)
    said = report.answer(distrusted)
    assert said.startswith("**Whether CS is the better help can't be told here**")
    assert "the test is not trusted (@sec-trialers-trust)" in said
    assert "whom the widget" not in said
    assert "the test is not trusted" in report.effect(distrusted)
    assert "no figure of this section is an effect" in report.limits(distrusted)
