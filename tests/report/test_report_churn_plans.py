"""What the chapter says of the next steps follows from the plans, on any table."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
import held
from test_churn_reductions import subscribers

from analysis.churn import plans as study
from analysis.churn import reductions
from analysis.report import text
from analysis.report.churn import plans as report

SENTENCES = (
    report.at_risk, report.sizes_table, report.sizes, report.chart, report.watch_table,
    report.watch, report.survey, report.silence_table, report.silence, report.answer,
    report.assumptions,
)


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


CASES = {
    "one": subscribers(1, 1), "two": subscribers(2, 2), "nobody": subscribers(3, 60, churned=0),
    "everybody": subscribers(4, 60, churned=1), "forty": subscribers(5, 40),
    "alike": subscribers(6, 60, satisfaction_score=5.0, engagement_rate=5.0,
                         subscription_months=3),
}


@pytest.mark.parametrize("case", CASES)
def test_every_sentence_on_odd_tables(case):
    base = reductions.reduce(held.subscribers(CASES[case]))
    s = SimpleNamespace(**vars(base), plans=study.plans(base))
    for function in SENTENCES:
        said = function(s)
        assert isinstance(said, text.Prose) and said
        assert not re.search(r"\b(nan|inf|None)\b", said), (function.__name__, said)
        assert "1 subscribers" not in said and "1 months" not in said
    figure = report.chart_figure(s)
    if isinstance(figure, p9.ggplot):
        figure.draw()
    if case in ("nobody", "everybody"):
        assert s.plans.churned in (0, 60)
        who = "Nobody has" if case == "nobody" else "All have"
        assert report.sizes(s).startswith(who) and report.answer(s).startswith(who)
    if case == "alike":
        assert "difference" not in report.survey(s)


def test_numbers_are_the_plans(shipped):
    p = shipped.plans
    assert f"first {p.last_month} months" in report.at_risk(shipped)
    assert text.percent(p.seen, 0) in report.sizes(shipped)
    assert text.number(p.limits.high) in report.watch(shipped)
    assert text.number(2 * p.sizes.group.iloc[1]) in report.answer(shipped)
    assert text.number(p.survey.answers.iloc[1]) in report.survey(shipped)


def test_conclusions_turn_with_the_results(shipped):
    p = shipped.plans
    everybody = replace(shipped, plans=replace(p, at_risk=shipped.subscribers))
    assert report.at_risk(everybody).startswith("All subscribers")
    assert "within the limits" in report.chart(shipped)
    chart = p.chart.copy()
    chart.loc[[3, 5], "side"] = ["above", "below"]
    said = report.chart(replace(shipped, plans=replace(p, chart=chart)))
    assert "month 3" in said and "above" in said and "Outside the limits are" in said
    deaf = p.watch.assign(quarter=0.1)
    said = report.watch(replace(shipped, plans=replace(p, watch=deaf)))
    assert "Not even a rise" in said and "add up several months" in said
    quiet = replace(p.limits, false_alarm=0.0)
    assert "any can come" in report.watch(replace(shipped, plans=replace(p, limits=quiet)))
    unseen = replace(shipped, plans=replace(p, seen=None))
    assert "no effect of an offer would be seen" in report.sizes(unseen)
