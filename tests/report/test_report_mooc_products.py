"""What the chapter says about products follows from the results, on any tables."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis.mooc import funnels, products
from analysis.mooc.products import KEEP, PROMOTE, RETIRE, WAIT
from analysis.report.mooc import products as say
from analysis.report.text import Prose

SENTENCES = ("mix", "pareto", "borders", "shift", "expectation", "regression_to_the_mean",
             "laggards", "rule", "laggards_meaning", "free_courses", "answer")
MAYBE = ("not_compared", "recommendation")
TABLES = ("categories_table", "courses_table", "classes_table", "laggards_table")
ODD = ["<b>=| `x`", "= @fig-a", "# 2.0 [now](x)"]


def everything(s):
    return {name: getattr(say, name)(s)
            for name in (*SENTENCES, *MAYBE, *TABLES, "pareto_figure")}


def study(rates, price=20.0, titles=None, categories="all", free=0, days=400, seed=1):
    """Courses that sell so many units a day; the last `free` of them are only enrolled in."""
    rng = np.random.default_rng(seed)
    n = len(rates)
    ids = [f"C{i:03d}" for i in range(n)]
    prices = np.where(np.arange(n) < n - free, price, 0.0)
    courses = pd.DataFrame({"course_id": ids, "title": titles or ids, "category": categories,
                            "price": prices})
    course = np.repeat(ids, rng.poisson(np.asarray(rates) * days))
    start = pd.Timestamp("2024-01-01")
    events = pd.DataFrame({
        "user_id": [f"U{i}" for i in rng.integers(0, 5_000, len(course))],
        "event_timestamp": start + pd.to_timedelta(
            np.concatenate([np.zeros(1), rng.integers(0, days, len(course) - 1)]), "D"),
        "event_type": "enrolled_in_course", "course_id": course})
    events.loc[events.index % 7 == 0, "event_timestamp"] = start
    done = events.sample(frac=0.5, random_state=1).assign(event_type="completed_course")
    paid = events[events.course_id.map(dict(zip(ids, prices, strict=True))) > 0]
    paid = paid if len(paid) else events.head(3)
    orders = pd.DataFrame({
        "order_id": [f"O{i}" for i in range(len(paid))], "user_id": paid.user_id,
        "course_id": paid.course_id, "order_timestamp": paid.event_timestamp,
        "amount": paid.course_id.map(dict(zip(ids, prices, strict=True)))})
    events, orders, courses = held({
        "events": pd.concat([events, done]), "orders": orders, "courses": courses}).values()
    enrolled = funnels.funnel(events, funnels.STAGES[1:], by=("course_id",)).set_axis(
        ["enrolments", "completions"], axis=1)
    return SimpleNamespace(products=products.products(
        orders, events, courses, enrolled, dt.date(2024, 1, 1) + dt.timedelta(days=days)))


def test_the_shipped_products(mooc_study):
    said = everything(mooc_study)
    p = mooc_study.products
    for course in ("C018", "C034", "C050"):
        assert p.by_course.title[course] in said["laggards"]
        assert p.by_course.title[course] in said["laggards_table"]
    assert "3 of the 50 courses compared are laggards" in said["laggards"]
    assert f"{100 * p.concentration.top_20_share:.1f}%" in said["pareto"]
    assert "far from the 80%" in said["pareto"]
    assert f"{p.concentration.border} courses lie near a border" in said["borders"]
    assert len(said["classes_table"].splitlines()) == 2 + 4
    assert "not shown to differ" in said["shift"]
    assert "stayed where they were" in said["regression_to_the_mean"]
    decisions = p.judged.decision[p.judged.laggard.astype(bool)]
    assert decisions.to_dict() == {"C018": PROMOTE, "C034": PROMOTE, "C050": RETIRE}
    assert "Promote Responsible AI" in said["recommendation"]
    assert "retire Sleep and Recovery.**" in said["recommendation"]
    assert ("corrected for the 44 courses with a price and the 6 free courses among themselves"
            in said["rule"])
    moves = p.shift.categories
    for category in ("Finance", "Programming"):
        row = moves.loc[category]
        assert (f"{category} ({100 * row.change:.1f} percentage points, 95% interval for all 10 "
                f"categories {100 * row.low:.1f}\u00a0to\u00a0{100 * row.high:.1f})") in (
                    said["shift"].replace("\u2212", "-"))
    v = p.shift.cramers_v
    assert f"V {v.value:.2f}, 95% interval {v.low:.2f}\u00a0to\u00a0{v.high:.2f}" in said["shift"]
    assert len(said["pareto_figure"]._repr_mimebundle_()[0]["image/svg+xml"]) < 45_000
    curve = said["pareto_figure"].data
    assert curve.revenue.iloc[-1] == pytest.approx(1) and curve["rank"].iloc[-1] == 44


@pytest.mark.parametrize(("change", "words"), [
    ({"decision": WAIT, "days_on_sale": 60.0}, "on sale for 60 days only"),
    ({"decision": KEEP}, "go on to buy more"),
    ({"decision": RETIRE, "completion_finding": -1}, "completed less than"),
    ({"decision": RETIRE, "completion_finding": 0}, "too little to win"),
    ({"decision": PROMOTE, "completion_finding": 0}, "not shown to be completed less"),
    ({"decision": PROMOTE, "completion_finding": 1}, "completed more than"),
])
def test_reasons(mooc_study, change, words):
    judged = mooc_study.products.judged.copy()
    for name, value in change.items():
        judged[name] = judged[name].astype(object)
        judged.loc["C018", name] = value
    s = SimpleNamespace(products=replace(mooc_study.products, judged=judged))
    assert words in say.laggards_table(s)
    assert f"{change['decision']} " in f"{say.laggards_meaning(s)} "


def test_repair_is_for_courses_that_are_completed_less(mooc_study):
    judged = mooc_study.products.judged
    for worse, words in (
        ([], "retire Responsible AI and Sleep and Recovery.**"),
        (["C018"], "retire Responsible AI and Sleep and Recovery, or repair Responsible AI.**"),
        (["C018", "C050"], "retire Responsible AI and Sleep and Recovery, or repair them.**"),
    ):
        frame = judged.copy()
        frame.loc[["C018", "C050"], "decision"] = RETIRE
        frame.loc[worse, "completion_finding"] = -1
        s = SimpleNamespace(products=replace(mooc_study.products, judged=frame))
        assert words in say.recommendation(s)
    frame.loc["C018", "decision"] = PROMOTE
    assert "retire Sleep and Recovery, or repair it.**" in say.recommendation(s)


def test_a_changed_mix_is_told_by_what_moved_most(mooc_study):
    shift = mooc_study.products.shift

    def told(**changes):
        found = replace(shift, **changes)
        return say.shift(SimpleNamespace(products=replace(mooc_study.products, shift=found)))

    assert "changed, but little" in told(p_value=0.01)
    large = replace(shift.cramers_v, high=0.3)
    assert "and perhaps not little" in told(p_value=0.01, cramers_v=large)
    assert "no category's share of the units moved" in told(
        categories=shift.categories.assign(change=0.0))
    assert "too few units for a test" in told(p_value=None, statistic=None)


def test_no_laggards():
    s = study([1.0] * 12)
    assert "None of the 12 courses compared is a laggard" in say.laggards(s)
    assert say.recommendation(s) == "" and "nothing to promote or retire" in say.laggards_meaning(s)


def test_one_laggard():
    rates = np.random.default_rng(3).lognormal(0, 0.3, 16)
    rates[3] = 0.05
    s = study(rates)
    assert "1 of the 16 courses compared is a laggard: C003." in say.laggards(s)
    assert "It sells less than half" in say.recommendation(s)


def test_few_courses_and_one():
    for rates in ([1.0, 0.2, 0.5], [1.0]):
        s = study(rates)
        said = everything(s)
        assert said["laggards"] == say.FEW == said["expectation"]
        assert "p at most 0.05)" in said["rule"]
        for name, text in said.items():
            if not isinstance(text, p9.ggplot):
                assert isinstance(text, Prose) and "nan" not in text and "None" not in text, name


def test_everything_free():
    s = study([1.0, 0.5, 0.4, 0.8, 0.7, 0.6], price=0.0)
    said = everything(s)
    assert said["mix"] == said["pareto"] == said["pareto_figure"] == say.NOTHING
    assert "6 free courses earn nothing by design" in said["free_courses"]
    assert "corrected for the 6 free courses among themselves" in said["rule"]


def test_a_free_course_that_lags_is_promoted():
    s = study([1.0] * 9 + [0.9, 1.2, 0.8, 1.1, 1.0, 0.04], free=6)
    assert s.products.judged.decision["C014"] == PROMOTE
    assert "In enrolments, C014 lags" in say.free_courses(s)


def test_titles_that_would_be_markup_stay_text():
    titles = [ODD[i % 3] for i in range(12)]
    s = study([1.0] * 11 + [0.05], titles=titles, categories=titles)
    for name, said in everything(s).items():
        if isinstance(said, p9.ggplot):
            said._repr_mimebundle_()
        else:
            assert "<b>" not in said and "= @fig" not in said and "[now](" not in said, name


def test_thousands_of_courses():
    """A figure of few dots, tables of few rows, names of few courses."""
    rng = np.random.default_rng(1)
    s = study(rng.lognormal(-4, 1.2, 1_000), categories=[f"K{i % 40}" for i in range(1_000)])
    said = everything(s)
    assert len(said["pareto_figure"]._repr_mimebundle_()[0]["image/svg+xml"]) < 45_000
    assert all(len(said[name].splitlines()) <= 14 for name in TABLES)
    assert all(len(said[name]) < 1_500 for name in SENTENCES)


def test_what_a_test_takes_for_granted_is_said_where_there_is_one(mooc_study):
    p = mooc_study.products
    assert "takes units as independent" in say.shift(mooc_study)
    for shift in (None, replace(p.shift, p_value=None)):
        untested = SimpleNamespace(products=replace(p, shift=shift))
        assert "independent" not in say.shift(untested)
    changed = SimpleNamespace(products=replace(p, shift=replace(p.shift, p_value=0.001)))
    assert "changed" in say.shift(changed) and "takes units as independent" in say.shift(changed)
    two = SimpleNamespace(products=replace(
        p, shift=replace(p.shift, categories=p.shift.categories.head(2))))
    assert "for both categories" in say.shift(two) and "all 2" not in say.shift(two)


def test_why_laggards_cannot_be_told_is_the_true_reason(mooc_study):
    few = study([1.0, 0.2, 0.5])
    assert "without an expectation" in say.regression_to_the_mean(few)
    assert say.laggards_table(few) == "There is no laggard to show."
    p = mooc_study.products
    short = SimpleNamespace(products=replace(p, demand=replace(p.demand, halves=None)))
    assert "too few to be halved" in say.regression_to_the_mean(short)
    assert say.pareto_figure(study([1.0])) == "A single course makes no curve."
