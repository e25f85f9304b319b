"""What the chapter says of the next steps follows from the plans, on any table."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
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
    "gone": subscribers(7, 300).pipe(
        lambda f: f.assign(churned=(f.subscription_months <= 5).astype(int))),
    "last one": subscribers(8, 40, churned=1).pipe(
        lambda f: f.assign(churned=(np.arange(40) > 0).astype(int))),
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
        assert not re.search(r"(?<![\d.,])1 (subscribers|months)\b", said), said
    figure = report.chart_figure(s)
    if isinstance(figure, p9.ggplot):
        figure.draw()
    if case in ("nobody", "everybody"):
        assert s.plans.churned in (0, 60)
        who = "Nobody has" if case == "nobody" else "All have"
        assert report.sizes(s).startswith(who) and report.answer(s).startswith(who)
    if case == "gone":
        for function in (report.at_risk, report.sizes, report.watch, report.answer):
            assert function(s) == (
                "Everybody in the first 5 months has churned, and nobody later, so nobody at risk "
                "is left who could be enrolled or watched.")
    if case == "last one":
        assert "Only the other 1, who is still there" in report.at_risk(s)
        assert "the 1 subscriber still there, halved, would show no effect" in report.sizes(s)
        assert report.answer(s).endswith("1 is still there (@sec-netflix-next-test).")
        assert "enough" not in report.sizes_table(s)
    if case == "alike":
        assert "difference" not in report.survey(s)


def test_numbers_are_the_plans(shipped):
    p = shipped.plans
    assert f"first {p.last_month} months" in report.at_risk(shipped)
    assert "Only the other 1,003, who are still there" in report.at_risk(shipped)
    said = report.sizes(shipped)
    assert "the 1,003 still there, halved" in said and "1,400" not in said
    assert f"prevents {text.percent(p.seen, 0)} of it" in said
    said = report.watch(shipped)
    ends = f"{p.limits.low} to {p.limits.high}"
    assert f"{ends} of the 1,003 still there may churn in a month" in said
    assert f"it is {text.percent(p.monthly.estimate, 2)} of those at risk" in said
    assert "28.4% is the share who have churned at whatever time" in said and "1,400" not in said
    said = report.answer(shipped)
    whole, quarter = (p.sizes.loc[(part, 0.2)].group for part in (1.0, 0.25))
    assert (
        f"takes {text.number(2 * whole)} subscribers at risk, in two groups drawn at random, if as "
        "much churn as in the table (28.4%) falls into the test, and "
        f"{text.number(2 * quarter)} if a quarter of that does; 1,003 are still there") in said
    rows = report.watch_table(shipped).splitlines()[2:]
    assert len(rows) == len(p.watch) and sum("assumed" in row for row in rows) == 3
    assert sum("if lengths are lifetimes" in row for row in rows) == 1
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
    assert "Not even a rise by 100%" in said and "add up several months" in said
    assert "with a probability of 10%" in said
    keen = p.watch.assign(quarter=0.999)
    said = report.watch(replace(shipped, plans=replace(p, watch=keen)))
    assert "A rise by 20% would be noticed within 3 months with a probability of over 99%" in said
    quiet = replace(p.limits, false_alarm=0.0)
    assert "any can come" in report.watch(replace(shipped, plans=replace(p, limits=quiet)))
    unseen = replace(shipped, plans=replace(p, seen=None))
    assert "would show no effect of an offer" in report.sizes(unseen)
