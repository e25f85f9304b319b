"""The front page's numbers are those of the chapters, and none is made up."""

from __future__ import annotations

from types import SimpleNamespace

import pandas as pd

from analysis.claims.claim import Verdict
from analysis.customers.lift import Action
from analysis.report import front
from analysis.report.text import MINUS


def effect(estimate, low, high):
    return SimpleNamespace(
        estimate=estimate, interval=SimpleNamespace(estimate=estimate, low=low, high=high))


def test_signs_and_ends():
    # The test is of the first quarter less the second.
    s = SimpleNamespace(comparisons={"paid": SimpleNamespace(welch=effect(5.04, -1.26, 11.34))})
    assert front.minutes(s).startswith(f"**{MINUS}5.0 minutes** [")
    assert f"(95% interval {MINUS}11.3\u00a0to\u00a01.3)" in front.minutes(s)
    s = SimpleNamespace(comparisons={"paid": SimpleNamespace(welch=effect(0.01, -1.0, 1.0))})
    assert front.minutes(s).startswith("**0.0 minutes**")
    primary = SimpleNamespace(z=effect(.0331, .004, .06))
    app = SimpleNamespace(lift=SimpleNamespace(primary=primary, action=Action.SHIP))
    told = front.buyers(app)
    assert told.startswith("**+3.3 points** [")
    assert told.endswith("(chapters/customer-analytics.qmd) (95% interval 0.4\u00a0to\u00a06.0)")
    widget = SimpleNamespace(
        metrics=SimpleNamespace(conversion=SimpleNamespace(z=effect(-.0171, -.034, -.0004))),
        decision=SimpleNamespace(trusted=True))
    # An end beside 0 does not look like 0.
    told = front.converts(widget)
    assert told.startswith(f"**{MINUS}1.71 points** [")
    assert told.endswith(f"(95% interval {MINUS}3.40\u00a0to\u00a0{MINUS}0.04)")
    # A difference that is not to be read as an effect is no number of the strip.
    app.lift.action, widget.decision.trusted = Action.DISTRUST, False
    assert front.buyers(app) == front.converts(widget) == ""


def test_what_cannot_be_told_is_left_out(netflix_study, mooc_study):
    none = SimpleNamespace(primary=None, z=None)
    app = SimpleNamespace(lift=none)
    widget = SimpleNamespace(metrics=SimpleNamespace(conversion=none))
    s = SimpleNamespace(
        comparisons={"paid": SimpleNamespace(welch=effect(*[float("nan")] * 3))})
    told = front.key_figures(s, app, mooc_study, netflix_study, widget, []).splitlines()
    assert len(told) == 3 and all(line.startswith("- **") for line in told)
    nobody = SimpleNamespace(funnel=SimpleNamespace(steps=pd.DataFrame({
        "of_first": [float("nan")], "of_first_low": [float("nan")],
        "of_first_high": [float("nan")]})))
    service = SimpleNamespace(retention=None)
    found = [SimpleNamespace(verdict=v) for v in (*[Verdict.SUPPORTED] * 2, Verdict.CONTRADICTED)]
    audits = [SimpleNamespace(findings=found)] * 2
    told = front.key_figures(s, app, nobody, service, widget, audits)
    assert told == "- **4 of 6** [claims of the sources are supported](chapters/claims.qmd)"


def test_the_shipped_shares(netflix_study, mooc_study):
    steps = mooc_study.funnel.steps.users
    share = steps.iloc[-1] / steps.iloc[0]
    assert front.completions(mooc_study).startswith(f"**{100 * share:.0f}%**")
    tenths = netflix_study.retention.tenths
    first = tenths.churned.iloc[0] / tenths.churned.sum()
    assert front.caught(netflix_study).startswith(f"**{100 * first:.0f}%**")
