"""What the chapter says about the success metrics follows from the counts."""

from __future__ import annotations

import functools
import inspect
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.experiment import metrics as study
from analysis.experiment.decision import decision
from analysis.experiment.metrics import KEYS
from analysis.report.experiment import metrics as report
from analysis.report.text import Prose

sys.path.insert(0, str(Path(__file__).parents[1]))
from every_sentence import check

DAY = "2021-05-05"
FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}


def people(seed=1, n=4_000, *, trouble=0.7, cs=(0.4, 0.7), help_=0.1, sold=(0.1, 0.4), moved=0.0,
           test=0.3) -> pd.DataFrame:
    """Customers one a row: of those in trouble, shares `cs` of Control and Test choose CS, which
    adds `help_` to completion; of those who complete nothing and all, shares `sold` convert, and
    `moved` more of Test's in trouble."""
    rng = np.random.default_rng(seed)
    in_test = rng.random(n) < test if n > 10 else np.arange(n) % 2 == 1
    part = rng.choice([-1, 0, 1, 2, 3], n, p=[0.1, 0.1, 0.3, 0.3, 0.2])
    first = np.where((rng.random(n) < trouble) & (part >= 0), rng.choice([1, 2, 3], n), 0)
    used = (first > 0) & (rng.random(n) < np.where(in_test, cs[1], cs[0]))
    completions = np.where(part >= 0, rng.binomial(3, 0.5 + help_ * used), 0)
    chance = sold[0] + (sold[1] - sold[0]) * completions / 3 + moved * (in_test & (first > 0))
    return pd.DataFrame({
        "cohort": np.where(in_test, "Test", "Control"), "part_of_day": part, "first_task": first,
        "restarted": (rng.random(n) < 0.1).astype(int), "completions": completions,
        "converted": (rng.random(n) < chance).astype(int), "hour": part * 6 + rng.integers(0, 6, n),
        "cs": used.astype(int), "cs_first": used.astype(int),
        "finished": (first > 0) & (completions >= first), "day": rng.geometric(0.3, n) - 1.0,
    })


def studied(rows: pd.DataFrame, exact: int = 0) -> SimpleNamespace:
    """The study of such customers; exact tests only up to so many, since they take long."""
    rows = rows.assign(customers=1, day=rows.day.where(rows.converted == 1))
    cells = rows.groupby(list(KEYS), as_index=False)[list(study.COUNTED)].sum()
    begun = rows[rows.part_of_day >= 0].assign(date=DAY)
    starts = begun.groupby(["date", "hour", "cohort"], as_index=False)[
        ["customers", "cs", "converted"]].sum()
    keys = ["cohort", "completions", "converted", "day"]
    decisions = rows.groupby(keys, as_index=False, dropna=False).customers.sum()
    usual, study.EXACT_UP_TO = study.EXACT_UP_TO, exact
    try:
        found = study.of_cells(cells.astype(dict.fromkeys(study.COUNTED, int)), starts,
                               decisions.astype({"day": "Int64"}), DAY)
    finally:
        study.EXACT_UP_TO = usual
    return SimpleNamespace(metrics=found, decision=decision(found))


CASES = {
    "works": lambda: people(2, 12_000, help_=0.25, sold=(0.0, 0.9)),
    "nothing": lambda: people(3, cs=(0.5, 0.5)),
    "engages": lambda: people(4, help_=0.0),
    "harms": lambda: people(5, moved=-0.1, sold=(0.2, 0.4)),
    "helps and harms": lambda: people(5, moved=-0.2, sold=(0.2, 0.4), help_=0.3),
    "falls": lambda: people(6, cs=(0.7, 0.4), help_=0.4, sold=(0.0, 0.9)),
    "no trouble": lambda: people(7, 600, trouble=0.0),
    "all in trouble": lambda: people(8, 600, trouble=1.0),
    "nobody sold": lambda: people(9, 600, sold=(0.0, 0.0)),
    "everybody sold": lambda: people(10, 600, sold=(1.0, 1.0)),
    "only CS": lambda: people(11, 600, trouble=1.0, cs=(1.0, 1.0)).assign(cs=1),
    "four": lambda: people(12, 4),
    "forty": lambda: people(13, 40),
    "late": lambda: people(14, 600).assign(day=40.0),
    "undated": lambda: people(15, 600).assign(day=np.nan),
    "halves": lambda: people(16, 2_000, test=0.5),
    "nobody completes in Control": lambda: people(17, 400).pipe(
        lambda f: f.assign(completions=f.completions.where(f.cohort == "Test", 0))),
    "broken lots": lambda: people(18, 2_000).pipe(lambda f: f.assign(
        converted=np.where((f.first_task == 0) & (f.cohort == "Test"), 1, f.converted))),
}


@functools.cache
def case(name: str) -> SimpleNamespace:
    return studied(CASES[name](), exact=50)


def all_of(found: SimpleNamespace, functions, draw: bool) -> None:
    for name, function in functions.items():
        shown = function(found)
        assert isinstance(shown, Prose | p9.ggplot), name
        if isinstance(shown, p9.ggplot):
            if draw:
                shown.draw()
            continue
        check(shown, name)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|, [.,;]", shown), (name, shown)
        assert not re.search(r"(?<![\d.,])1 (points|days|customers|conversions|tests)\b", shown), (
            name, shown)
        assert "|" in shown or shown.endswith("."), (name, shown)


@pytest.mark.parametrize("name", list(CASES))
def test_everything_can_be_said_of_any_customers(name):
    all_of(case(name), FUNCTIONS, draw=name in ("works", "forty", "nobody sold"))


def said(name: str, function: str) -> str:
    return str(FUNCTIONS[function](case(name)))


def test_yes_no_and_not_shown():
    for function in ("engagement", "conversion"):
        assert said("works", function).startswith("Yes. ")
    assert said("nothing", "engagement").startswith(("That is not shown", "No."))
    assert "not tested" in said("nothing", "conversion")
    assert "engagement is not shown to rise" in said("nothing", "conversion")
    assert said("falls", "engagement").startswith("No, the reverse is shown.")
    assert said("harms", "conversion").startswith("No, the reverse is shown.")
    assert said("engages", "conversion").startswith("That is not shown")
    assert said("nobody sold", "conversion").startswith("Nobody converted")
    assert said("everybody sold", "conversion").startswith("Everybody converted")
    assert said("no trouble", "engagement").startswith("Nobody used CS")
    assert said("only CS", "engagement").startswith("Everybody used CS")


def test_the_question_of_significance():
    assert said("works", "significant").startswith("Yes, both primary metrics rise")
    assert said("engages", "significant").startswith("No: engagement rises")
    assert "conversion is shown to fall" in said("harms", "significant")
    assert "engagement is shown to fall" in said("falls", "significant")
    assert "that engagement rises is not shown" in said("nothing", "significant")
    assert said("no trouble", "significant").startswith("No: nobody used CS")
    assert "nothing can be said: nobody converted" in said("nobody sold", "significant")
    rows = said("nothing", "tests_table").split("\n")
    assert sum("not tested" in row for row in rows) == 1


READ = ("answer", "engagement", "conversion", "significant", "means")


@pytest.mark.parametrize("name", list(CASES))
def test_a_test_that_is_not_trusted_has_no_result(name):
    s = case(name)
    untrusted = SimpleNamespace(metrics=s.metrics, decision=decision(s.metrics, trusted=False))
    all_of(untrusted, FUNCTIONS, draw=False)
    m = s.metrics
    for function in READ:
        told, trusted = FUNCTIONS[function](untrusted), FUNCTIONS[function](s)
        nothing = m.engagement.z is None if function != "conversion" else m.conversion.z is None
        if nothing or (function == "means" and m.conversion.z is None):
            assert told == trusted  # nobody, or everybody: true of any test
            continue
        assert "the test is not trusted (@sec-trialers-trust)" in told, function
        for result in ("Yes", "brought more customers to CS", "rises as well", "is shown to",
                       "is not shown", "does what it was built", "works against"):
            assert result not in told, (function, told)
    if m.engagement.z is not None:
        size = f"{100 * m.engagement.test_rate.estimate:.1f}% of the customers in Test used CS"
        assert size in report.answer(untrusted)
        assert "to be read as the widget’s effect" in report.answer(untrusted)
        assert "not to be read as the widget’s effect." in report.engagement(untrusted)
        both = "Both are differences" in report.answer(untrusted)
        assert both == (m.conversion.z is not None)
    assert "Completion is" not in report.unharmed(untrusted)
    assert "seen to hold" not in report.mechanism(untrusted)
    assert "So the rise is shown" not in report.reached(untrusted)


def test_numbers_are_those_of_the_result():
    m = case("works").metrics
    e = m.engagement
    text = report.engagement(case("works"))
    assert f"{100 * e.test.value:.1f}% of the customers in Test used CS" in text
    assert f"{100 * e.z.estimate:.1f} points (95% interval {100 * e.z.interval.low:.1f}" in text
    assert len(report.tests_table(case("works")).split("\n")) == 2 + len(m.tests) + len(
        m.interactions)
    assert f"{100 * m.mechanism.reach.estimate:.1f}% of the customers" in report.mechanism(
        case("works"))
    assert str(round(m.days.customers.iloc[0] / 1_000)) in report.days_table(case("works"))


def test_links_break_where_they_break():
    assert "Each link by itself is seen to hold" in said("works", "mechanism")
    assert "up to “chose CS”" in said("engages", "mechanism")
    assert "At its end Test lies below Control." in said("harms", "mechanism")
    assert "breaks at “converted”" in said("helps and harms", "mechanism")
    assert "breaks at “chose CS”" in said("falls", "mechanism")
    assert "Already the first link" in said("nothing", "mechanism")
    assert "cannot be compared" in said("no trouble", "mechanism")
    assert "at equal completions Test converts less" in said("harms", "predicted")
    # The difference seen has the interval that it has elsewhere, Newcombe's.
    for name in ("works", "harms"):
        z = case(name).metrics.conversion.z
        assert f"Seen is {report._effect(z.estimate, z.interval.low, z.interval.high)}," in (
            said(name, "predicted"))
    assert "Control has nobody with a number" in said("nobody completes in Control", "predicted")
    assert "Nobody converted" in said("nobody sold", "predicted")


def test_guardrails_and_the_placebo():
    assert "Completion is not harmed" in said("works", "unharmed")
    assert "Completion is harmed" in said("falls", "unharmed")
    assert "They should not differ" in said("broken lots", "unharmed")
    assert "nothing to compare" in said("nobody sold", "unharmed")
    assert "rise is shown where it should be" in said("works", "reached")


def test_a_thin_margin_is_called_thin():
    """A rise of all, which is not one of those whom the widget could reach."""
    s = case("works")
    m = s.metrics
    thin = m.tests.copy()
    thin.loc[("mechanism", "converted"), "p_value"] = 0.2
    told = report.reached(SimpleNamespace(
        metrics=SimpleNamespace(**{**vars(m), "tests": thin}), decision=s.decision))
    assert "do not show a rise" in told and "margin is thin" in told


def test_time_power_and_days():
    assert "600 customers" in said("late", "power")
    assert "dated later than 30 days" in said("late", "counted")
    assert "without a time" in said("undated", "counted")
    assert said("nobody sold", "counted") == "There is no conversion in the table."
    assert "save no time" in said("halves", "longer")
    assert "would save" in said("works", "longer")
    assert "too few hours" in said("four", "drift")
    assert "not shown" in said("nothing", "drift")
