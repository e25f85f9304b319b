"""What the chapter says of the model of churn follows from the model, whatever it found."""

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

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
import held
from test_churn_model import decided, made, planted
from test_churn_reductions import subscribers

from analysis.churn import model as study
from analysis.churn.model import CATEGORIES, TRAITS
from analysis.report.churn import model as say
from analysis.report.text import Prose

FUNCTIONS = {name: f for name, f in vars(say).items()
             if inspect.isfunction(f) and f.__module__ == say.__name__ and name[0] != "_"}
EMPTY = {"no_model", "inside"}  # may have nothing to say
PHRASES = {"level"}  # stand within a sentence
TOLD_ANYWAY = {"level", "at_risk", "decided_by", "inside", "means", "limits"}  # without a model
HOSTILE = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")
ONE = {t: ("x" if t in CATEGORIES else 1.0) for t in TRAITS}


def both(frame):
    """Late payers who used an offer leave, as if the offer drove them away."""
    late, used = frame["payment_history"] == "Delayed", frame["promo_used"] == "Yes"
    return 2 * late - used - 2.5 * (late & used)


CASES = {
    "nothing matters": lambda: made(1, 600),
    "three matter": lambda: made(2, 900, planted),
    "months decide": lambda: made(3, 1500, decided),
    "a plan decides": lambda: made(
        4, 1000, lambda f: np.where(f["plan"] == "B", -np.inf, planted(f))),
    "low scores all leave": lambda: made(
        5, 1000, lambda f: np.where(f["satisfaction_score"] < 3, np.inf, planted(f))),
    "two decide": lambda: made(8, 2000, lambda f: np.where(f["plan"] == "B", -np.inf, decided(f))),
    "months decide all": lambda: made(
        7, 600, lambda f: np.where(f["subscription_months"] > 24, -np.inf, np.inf)),
    "late payers all leave": lambda: made(
        6, 900, lambda f: np.where(f["payment_history"] == "Delayed", np.inf, -1)),
    "one trait": lambda: made(
        9, 500, planted, **{k: v for k, v in ONE.items() if k != "payment_history"}),
    "no trait": lambda: made(9, 200, None, **ONE),
    "curved": lambda: made(12, 1200, lambda f: ((f["age"] - 44) / 15) ** 2 * 1.2 - 1.5),
    "interaction": lambda: made(13, 1800, both),
    "strong": lambda: made(15, 900, lambda f: 9.0 * ((f["payment_history"] == "Delayed") - 0.5)
                           + 1.5 * (f["satisfaction_score"] - 5)),
    "most leave": lambda: made(16, 900, planted, 2.5),
    "few leave": lambda: made(17, 300, planted, -3.0),
    "markup": lambda: made(10, 900, lambda f: 2.0 * (f["device"] == HOSTILE[0]),
                           device=np.random.default_rng(0).choice(HOSTILE, 900)),
    "many values": lambda: made(
        14, 900, lambda f: 2 * (f["device"].str[1].astype(int) > 4) - 1,
        device=np.random.default_rng(0).choice([f"d{i}" for i in range(10)], 900)),
    **{f"{n} subscribers": lambda n=n, seed=seed: study.people(
        held.subscribers(subscribers(seed, n)))
       for seed, n in enumerate((1, 2, 3, 12, 60))},
}
DRAWN = ("markup", "one trait")


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = SimpleNamespace(model=study.from_people(CASES[name]()))
        return found[name]

    return get


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


def without(s, what):
    """Why there is no model is said where it would be, and in short; the rest refers to it."""
    if what in ("no_model", "enters", "answer"):
        return say.no_model(s)
    if what.endswith(("_table", "_figure")):
        return "Not made, for want of a model."
    return "There is no model here to tell it (@sec-netflix-model)."


@pytest.mark.parametrize("name", list(CASES))
def test_everything_can_be_said_of_any_table(name, cases):
    s = cases(name)
    assert say.drivers(s) == (list(s.model.fit.drivers) if s.model.fit else [])
    for what, function in FUNCTIONS.items():
        shown = function(s)
        if what == "drivers":
            continue
        assert isinstance(shown, Prose | p9.ggplot), what
        if isinstance(shown, p9.ggplot):
            if name in DRAWN:
                shown.draw()
            continue
        assert shown or what in EMPTY, (name, what)
        plain = re.sub(r"\\", "", shown)
        assert not re.search(r"\b(nan|inf|NaT|None(?! of))\b", plain), (name, what, shown)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", shown), (name, what, shown)
        assert not re.search(
            r"(?<![\d.,])1 (subscribers|traits|coefficients|pairs|values)\b", shown), (name, shown)
        assert not re.search(r"<b>|(?<!\\)\$|(?<!\\)@fig", shown), (name, what, shown)
        whole = "|" in shown or not shown or shown.endswith(".") or what in PHRASES
        assert whole, (name, what, shown)
        if s.model.fit is None and what not in TOLD_ANYWAY:
            assert shown == without(s, what), what


def test_numbers_are_those_of_the_model(shipped):
    m, f = shipped.model, shipped.model.fit
    text = say.at_risk(shipped)
    assert "of the 2,100 subscribers of more than 24 months nobody has churned" in text
    assert "Of the 1,400 other subscribers 28.4% have churned (397)" in text
    row = f.coefficients.loc[("payment_history", "Delayed")]
    odds = f"{row['odds_ratio']:.1f} (" if row["odds_ratio"] >= 10 else f"{row['odds_ratio']:.2f} ("
    assert odds in say.odds_table(shipped)
    assert f"{row['odds_ratio']:.1f} times the odds" in say.effects(shipped)
    assert f"{100 * row['difference']:.1f} points more" in say.effects(shipped)
    assert f"{m.events / m.parameters:.1f} for each" in say.enters(shipped)
    first = f.ranking.iloc[0]
    lost = f"without months of subscription: {100 * first['lost']:.1f} points"
    assert lost in say.ranking(shipped)
    assert f"{f.validation.area_all.estimate:.0%} of pairs" in say.answer(shipped)
    assert f"slope is {f.validation.slope.estimate:.2f}" in say.optimism(shipped)
    for table in (say.tests_table, say.ranking_table):
        assert table(shipped).count("\n") == 1 + 14


def test_the_shipped_table_is_told_by_its_drivers(shipped):
    assert say.drivers(shipped) == [
        "subscription_months", "payment_history", "promo_used", "satisfaction_score"]
    assert say.answer(shipped).startswith("**Churn goes most with months of subscription** (of the")
    assert "they decide who can churn, not who does" in say.inside(shipped)
    assert "comes first is settled" in say.ranking(shipped).replace("come first", "comes first")
    assert "That engagement rate, support queries" in say.not_shown(shipped)
    assert "those who have used an offer have" in say.effects(shipped)
    assert "A late payment may be the first sign" in say.limits(shipped)
    assert "Nothing in these checks" in say.form(shipped)
    assert say.level(shipped) == "0.1%"
    assert "not shown to be too extreme" in say.optimism(shipped)


def test_what_is_not_shown_is_bounded_among_those_it_is_told_of(shipped, cases):
    f = shipped.model.fit
    rest = f.ranking.index[~f.ranking["found"]]
    most = max(f.bounds[trait] for trait in rest)
    # No narrower than what the tables beside it say of those at risk, and of all subscribers.
    told = f.coefficients.loc[[t for t in rest if t not in study.NUMBERS]]
    assert most > told[["difference_low", "difference_high"]].abs().to_numpy().max()
    assert most > f.ranking.loc[rest, ["spread_low", "spread_high"]].abs().to_numpy().max()
    said = say.not_shown(shipped)
    assert (
        "from the tenth to the ninetieth percentile of a number or between two values of a "
        "category it moves the average risk of those at risk by at most "
        f"{100 * most:.1f} points") in said
    everybody = say.not_shown(cases("three matter"))
    assert "it moves the average risk by at most" in everybody and "category" in everybody
    few = SimpleNamespace(model=replace(shipped.model, fit=replace(
        f, ranking=f.ranking.loc[["age", "monthly_income"]], bounds={"age": 0.5, "region": 0.9,
                                                                     "monthly_income": 0.25})))
    said = say.not_shown(few)
    assert "by at most 50.0 points" in said and "two values" not in said and "pairs" not in said
    one = SimpleNamespace(model=replace(shipped.model, fit=replace(
        f, ranking=f.ranking.loc[["region"]])))
    assert say.not_shown(one).startswith(
        "That region matters is not shown; if it does, then between two values of a category")


def test_lengths_that_decide_are_told_in_months():
    rule = pd.Series({"trait": "subscription_months", "group": study.BELOW, "cut": 3.0,
                      "churned": True, "subscribers": 40})
    assert say._outcome(rule) == "all 40 subscribers of less than 3 months have churned"
    one = pd.Series({"trait": "subscription_months", "group": study.ABOVE, "cut": 1.0,
                     "churned": False, "subscribers": 1})
    assert say._outcome(one) == "the one subscriber of more than 1 month has not churned"


def test_who_is_at_risk_is_told_first(cases):
    text = say.at_risk(cases("a plan decides"))
    assert text.startswith("The first thing that decides is subscription plan: of the")
    assert "whose subscription plan is B nobody has churned" in text
    low = cases("low scores all leave")
    assert re.search(r"all \d+ subscribers with satisfaction score below 3 points have churned",
                     say.at_risk(low))
    assert "nobody who has stayed" in say.decided_by(low)
    assert "satisfaction score matters as well" in say.inside(low)
    assert "Among the others, of the" in say.at_risk(cases("two decide"))
    assert "not told apart by subscription plan any more" in say.inside(cases("two decide"))
    none = cases("three matter")
    assert "Here no trait does" in say.at_risk(none) and say.inside(none) == ""
    assert "No trait has a group" in say.decided_by(none)
    late = cases("late payers all leave")
    assert "whose payment history is Delayed have churned" in say.answer(late)
    assert "None of the traits in the model is shown" in say.effects(late)
    assert "hardly overlap" in say.decided_by(cases("months decide all"))


def test_reasons_are_told():
    told = {
        "months decide all": "months of subscription decide the outcome of every subscriber",
        "no trait": "are not told apart by any trait",
        "few leave": "With fewer than 5 for each of them",
    }
    for name, words in told.items():
        s = SimpleNamespace(model=study.from_people(CASES[name]()))
        for function in (say.answer, say.enters):
            assert words in function(s), (name, function.__name__)
        for function in (say.effects, say.means, say.odds_table, say.calibration_figure):
            assert words not in function(s), (name, function.__name__)
        assert say.means(s) == (
            "Without a model nothing is learnt here beyond what single traits tell.")
    nobody = SimpleNamespace(model=study.from_people(made(1, 5, None, -50.0)))
    assert "None of the 5 subscribers has churned" in say.answer(nobody)
    assert say.at_risk(nobody) == "Where there is one outcome only, that cannot be asked."
    one = SimpleNamespace(model=study.from_people(made(1, 1, None, 50.0)))
    assert say.answer(one) == "The only subscriber has churned, so there is nothing to model."
    assert say.limits(nobody).endswith("so any model of it tells of associations only.")


def test_other_tables_give_other_sentences(cases):
    none = cases("nothing matters")
    assert "none of them is shown to matter" in say.answer(none)
    assert "No trait is shown to move churn" in say.ranking(none)
    assert "predict no better than the overall churn rate" in say.ranking(none)
    assert "no better than a coin" in say.prediction(none)
    assert "not shown to mean anything" in say.optimism(none) or "too extreme" in say.optimism(none)
    assert "no handle on who leaves" in say.means(none)
    assert "fewer than two traits" in say.interactions(none)
    one = cases("one trait")
    assert "Payment history, the only trait in the model, explains" in say.ranking(one)
    assert "The model does without preferred genre" in say.enters(one)
    assert say.not_shown(one) == "Every trait in the model is shown to matter."
    curved = cases("curved")
    assert say.answer(curved) == (
        "**Churn goes with age** in a curve; that any other trait matters is not shown.")
    assert "a straight line is too simple for age" in say.form(curved)
    assert "or age matter is not shown" not in say.not_shown(curved)
    for function in (say.effects, say.not_shown, say.ranking):
        assert "churn is shown to follow age" in function(curved)
    pair = cases("interaction")
    assert "One changes what the other does" in say.interactions(pair)
    assert "one trait changes what another does" in say.form(pair)
    strong = cases("strong")
    assert "is not settled" in say.ranking(strong)
    assert "By this measure satisfaction score comes first" in say.moves(strong)
    assert "have over 1,000 times the odds" in say.effects(strong)
    assert "fewer than the 10 that are customary" in say.enters(cases("most leave"))
    many = cases("many values")
    assert "most sure to differ are those whose main device is" in say.effects(many)


def test_names_of_values_do_not_act(cases):
    s = cases("markup")
    assert "\\<b\\>\\=\\| \\`x\\` \\$a\\_\\$" in say.effects(s)
    assert say.drivers(s) == ["device"]
    found = say._labels(["a" * 50, "a" * 60, "b $c$"])
    assert len(set(found)) == 3 and found[2] == "b \\$c\\$" and len(found[0]) == say.MOST_LABEL
