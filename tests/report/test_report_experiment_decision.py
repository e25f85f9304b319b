"""What the chapter recommends follows from the rule."""

from __future__ import annotations

import functools
import inspect
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from test_report_experiment_metrics import CASES, all_of, case

from analysis.experiment import decision as study
from analysis.experiment.decision import ASSUMED, Action, decision
from analysis.report.experiment import decision as report

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}


@functools.cache
def decided(name: str, trusted: bool = True, **assumed) -> SimpleNamespace:
    m = case(name).metrics
    return SimpleNamespace(
        metrics=m, decision=decision(m, trusted, replace(ASSUMED, **assumed)))


@pytest.mark.parametrize("name", list(CASES))
def test_everything_can_be_said_of_any_customers(name):
    all_of(case(name), FUNCTIONS, draw=name in ("works", "forty"))


@pytest.mark.parametrize("assumed", [
    {"cost": 0.0}, {"horizon": 2}, {"test_cost": 1.0}, {"prior_sd": 0.001}, {"cost": 0.2}])
def test_everything_can_be_said_under_any_assumption(assumed):
    for name in ("works", "engages"):
        all_of(decided(name, **assumed), FUNCTIONS, draw=False)


def test_the_recommendation_is_that_of_the_rule():
    heads = {
        "works": "**Double down", "nothing": "**Pivot away", "engages": "**Run the test longer",
        "harms": "**Pivot away", "falls": "**Pivot away", "nobody sold": "**There is nothing",
    }
    for name, head in heads.items():
        assert report.recommendation(case(name)).startswith(head), name
    assert "fewer customers use CS" in report.recommendation(case("falls"))
    assert "engagement alone is a cost" in report.recommendation(case("engages"))
    assert "shown to lie below" in report.recommendation(case("harms"))
    assert "Customers do take up the offer" in report.recommendation(case("harms"))
    kept = decided("engages", test_cost=1.0)
    assert kept.decision.action in (Action.PIVOT, Action.DOUBLE_DOWN)


def test_a_distrusted_test_is_not_read():
    s = decided("works", trusted=False)
    all_of(s, FUNCTIONS, draw=False)
    assert report.recommendation(s).startswith("**Do not decide on this test.**")
    assert "not trusted" in report.answer(s)
    for function in (report.worth_table, report.posterior, report.thresholds, report.errors):
        assert "is not weighed" in function(s)


def test_numbers_are_those_of_the_result():
    s = case("works")
    d = s.decision
    assert f"{d.worth.roll_out:,.0f}" in report.worth_table(s)
    customers = d.assumed.horizon * d.customers_a_day
    low, high = (customers * (end - d.assumed.cost)
                 for end in (d.worth.effect.low, d.worth.effect.high))
    unit = 10 ** (math.floor(math.log10(max(abs(low), high))) - 2)  # three figures of the largest
    value, low, high = (f"{unit * round(x / unit):,.0f}".replace("-", "−")
                        for x in (d.worth.roll_out, low, high))
    for text in (report.recommendation(s), report.answer(s)):
        assert (f"about {value} conversions (95% credible interval {low}\u00a0to\u00a0{high}) over "
                "365 days like that of the test, its cost taken off") in text
    assert f"{100 * d.observed:.1f} points" in report.posterior(s)
    rows = report.sensitivity_table(s).split("\n")
    assert len(rows) == 2 + len(d.sensitivity)
    assert sum("As assumed" in row for row in rows) == 1
    assert f"{100 * d.least_difference:.2f} points" in report.thresholds(s)
    assert f"{365 * d.customers_a_day:,} customers" in report.assumptions(s)


def test_the_rule_is_told_with_its_constants():
    text = report.rule(case("works"))
    assert len(text.split("\n")) == 5
    for said in ("rise of 5 points", "what pays (0.2 points)", "at least 95%"):
        assert said in text
    assert "The widget costs nothing" in report.assumptions(decided("works", cost=0.0))


def test_near_the_border_it_says_so():
    s = case("engages")
    m = s.metrics.conversion
    d = s.decision
    e = study._Evidence(d.least_difference + 1e-5, d.error, 1.0, "rises", d.customers_a_day,
                        d.test_share)
    near = replace(d, action=Action.DOUBLE_DOWN, reason="gain", observed=e.difference,
                   worth=study.worth(e.difference, e.error, e.customers, e.test_share, ASSUMED))
    told = SimpleNamespace(metrics=s.metrics, decision=near)
    assert "It is a near thing" in report.recommendation(told)
    days = near.worth.best_days
    head = (f"but it is a near thing: {days} more day{'s' if days > 1 else ''} of testing "
            f"{'are' if days > 1 else 'is'} worth nearly as much")
    others = near.sensitivity.drop(index="assumed", level="assumption")
    longer = (others.action == "run longer").sum()
    assert longer > 0
    assert report.answer(told).endswith(
        f"{head}, and under {longer} of {len(others)} other assumptions the rule says “run "
        "longer”.")
    alone = replace(near, sensitivity=near.sensitivity.assign(action="double down"))
    assert report.answer(SimpleNamespace(decision=alone)).endswith(f"{head}.")
    clear = replace(near, worth=replace(near.worth, longer=0.5 * near.worth.roll_out))
    for say in (report.answer, report.recommendation):
        assert "near thing" not in say(SimpleNamespace(metrics=s.metrics, decision=clear))
    assert "hangs on a difference far smaller than the standard error" in report.thresholds(told)
    assert m.shown is False


def test_what_would_change_it():
    assert "the use of CS decides here" in report.thresholds(case("falls"))
    assert "between the two it says" in report.thresholds(case("engages"))
    none = SimpleNamespace(**vars(case("works")))
    none.decision = replace(none.decision, least_difference=None, most_pivot=None)
    assert "no difference of conversion" in report.thresholds(none)
    same = report.sensitivity(case("falls"))
    assert same.startswith("Under none of the")
