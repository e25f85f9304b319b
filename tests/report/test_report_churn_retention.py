"""What the chapter says about whom to call first follows from what calls earn."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
from test_churn_model import decided, made, planted

from analysis.churn import model as models
from analysis.churn import retention as study
from analysis.churn.model import CATEGORIES, TRAITS
from analysis.churn.retention import EVERYBODY, MODEL
from analysis.report.churn import retention as say
from analysis.report.churn.model import NOT_MADE
from analysis.report.text import Prose

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = {name: f for name, f in vars(say).items()
             if inspect.isfunction(f) and f.__module__ == say.__name__ and name[0] != "_"}
ONE = {t: ("x" if t in CATEGORIES else 1.0) for t in TRAITS if t != "payment_history"}
TABLES = {
    "cliff": lambda: made(3, 1500, decided),
    "nothing": lambda: made(1, 600),
    "three": lambda: made(2, 900, planted),
    "most": lambda: made(16, 900, planted, 2.5),
    "two values": lambda: made(9, 500, planted, **ONE),
    "few": lambda: made(17, 300, planted, -3.0),
    "nobody": lambda: made(1, 40, None, -50.0),
}
# A table of subscribers, and the assumptions.
CASES = {
    "usual": ("cliff", {}),
    "nothing matters": ("nothing", {}),
    "never pays": ("cliff", {"value": 2.0, "success": 0.1}),
    "nobody risky enough": ("three", {"value": 1.02, "success": 0.99}),
    "always pays": ("three", {"value": 100.0, "success": 0.9}),
    "most leave": ("most", {}),
    "two groups": ("two values", {}),
    "open": ("nothing", {"success": 0.17}),
    "few leave": ("few", {}),
    "nobody left": ("nobody", {}),
    "large amounts": ("cliff", {"value": 1234567.0, "cost": 99999.0}),
}
DRAWN = ("usual", "two groups")


@pytest.fixture(scope="module")
def cases():
    found, fits = {}, {}

    def get(name):
        if name not in found:
            table, assumed = CASES[name]
            if table not in fits:
                fits[table] = models.from_people(TABLES[table]())
            found[name] = SimpleNamespace(
                model=fits[table], retention=study.retention(fits[table], **assumed))
        return found[name]

    return get


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


def without(what):
    """What is said where there is no model, whose section says why."""
    if what.endswith(("_table", "_figure")):
        return NOT_MADE
    told = {"answer": "**Whom to call first** cannot be told without a model (@sec-netflix-model).",
            "means": say.NO_CALLS, "limits": say.NO_CALLS}
    return told.get(what, "Without a model there is no order of risk (@sec-netflix-model).")


@pytest.mark.parametrize("name", list(CASES))
def test_everything_can_be_said_of_any_list(name, cases):
    s = cases(name)
    for what, function in FUNCTIONS.items():
        shown = function(s)
        assert isinstance(shown, Prose | p9.ggplot), what
        if isinstance(shown, p9.ggplot):
            if name in DRAWN:
                shown.draw()
            continue
        assert shown, (name, what)
        plain = re.sub(r"\\", "", shown)
        assert not re.search(r"\b(nan|inf|NaT|None(?! of))\b", plain), (name, what, shown)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", shown), (name, what, shown)
        assert not re.search(r"(?<![\d.,])1 (subscribers|calls)\b", shown), (name, shown)
        assert "|" in shown or shown.endswith("."), (name, what, shown)
        if s.retention is None:
            assert shown == without(what), what


def test_numbers_are_those_of_the_result(shipped):
    r = shipped.retention
    top, row = r.tenths.iloc[0], r.policies.loc[MODEL]
    assert "1 / (0.2 × 12) = 41.7%" in say.assumptions(shipped)
    assert "41.7%" in say.assumptions_table(shipped)
    assert say.tenths_table(shipped).count("\n") == 1 + len(r.tenths)
    assert f"{100 * top['rate']:.1f}% have churned" in say.order(shipped)
    assert f"{top['lift']:.1f} times the share of all" in say.order(shipped)
    assert "nobody who churned is left among the other 2,100" in say.order(shipped)
    text = say.policy(shipped)
    assert f"{row['called']:,.0f} subscribers" in text and f"earn {row['net']:.0f} offers" in text
    assert f"{r.advantage.loc[EVERYBODY, 'difference']:,.0f} more than calling everybody" in text
    assert "By payment history alone nobody would be called" in text
    assert f"would reach {r.single_caught:.0%}" in say.single(shipped)
    assert f"{r.still_here} are still there" in say.still_here(shipped)
    assert "Calling pays in the group at 0–10% of the order" in say.pays(shipped)
    assert "most of it would go to those who stay anyway" in say.means(shipped)
    assert (
        "among as many subscribers like these, before any has left, calling those whose risk is "
        f"high enough would take {row['called']:,.0f} calls and earn {row['net']:.0f} offers net"
    ) in say.answer(shipped)
    assert say.answer(shipped).endswith(
        f"of those who are named today, {r.still_here} are still there.")
    assert "Among as many subscribers like these, before any has left, the offers" in text


def test_the_answer_says_who_of_them_is_left(shipped, cases):
    def with_(**changes):
        return SimpleNamespace(model=shipped.model, retention=replace(shipped.retention, **changes))

    assert "named today, nobody is still there." in say.answer(with_(still_here=0))
    assert "named today, 1 is still there." in say.answer(with_(still_here=1))
    called = int(shipped.retention.policies.loc[MODEL, "called"])
    assert "named today, everybody is still there." in say.answer(with_(still_here=called))
    poor = shipped.retention.policies.assign(net_low=-3.0)
    said = say.answer(with_(policies=poor))
    net = "233 offers net (95% interval −3\xa0to\xa0281)"
    assert f"{called} calls, which is not shown to earn anything: {net}" in said
    always = cases("always pays")
    assert f"would take {always.retention.subscribers:,} calls and earn" in say.answer(always)


def test_other_assumptions_give_other_sentences(cases):
    never = cases("never pays")
    assert "the offer never pays" in say.assumptions(never)
    assert "No group pays" in say.pays(never) and "no call on it pays" in say.means(never)
    assert "calls nobody; calling everybody earns less than nothing" in say.policy(never)
    assert "nobody to call today" in say.still_here(never)
    assert "under the assumptions made no call pays" in say.answer(never)
    always = cases("always pays")
    assert "everybody is worth a call" in say.means(always)
    assert "every call pays" in say.answer(always)
    assert "That is what calling everybody would earn." in say.policy(always)
    assert "it costs more" not in say.pays(always)
    most = cases("most leave")
    assert "not shown to differ from what calling everybody" in say.policy(most)
    assert "not shown to pay better than calling everybody" in say.means(most)
    none = cases("nothing matters")
    assert "whether it pays is open" in say.pays(none).lower()
    assert "costs 99,999 (" in say.assumptions(cases("large amounts"))
    assert "calls nobody" in say.policy(cases("nobody risky enough"))


def test_a_list_of_two_groups_says_so(cases):
    two = cases("two groups")
    assert len(two.retention.tenths) == 2
    assert "the other traits add nothing to it here" in say.single(two)
    assert "At no break-even risk does the model earn more" in say.curve(two)


def test_all_alike(cases):
    s = cases("two groups")
    one = SimpleNamespace(model=s.model, retention=SimpleNamespace(
        **{**vars(s.retention), "tenths": s.retention.tenths.head(1)}))
    assert "no order in which to call them" in say.order(one)
    assert "all subscribers have the same risk" in say.answer(one)


def test_a_model_that_always_helps_is_told_without_an_exception(cases):
    s = cases("usual")
    best = s.retention.curve.assign(model=1.0, single=0.0, everybody=0.0)
    whole = SimpleNamespace(model=s.model, retention=SimpleNamespace(
        **{**vars(s.retention), "curve": best}))
    assert say.curve(whole).endswith("at every break-even risk from 2% to 98%.")
    best.loc[best.index[10:12], "model"] = -1.0
    assert "at 47 of the 49 break-even risks drawn" in say.curve(whole)
    best["model"] = np.where(best.index == best.index[20], 1.0, -1.0)
    assert "at a break-even risk of 42%" in say.curve(whole)
