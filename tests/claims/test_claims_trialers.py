"""The trialer brief's claims in simulated worlds whose truth is known."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from held import held

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
from test_experiment_reductions import messy

from analysis.claims import TRIALERS, trialers
from analysis.claims.claim import Cause, Unseen, Verdict, judge
from analysis.experiment.reductions import Reductions, reduced
from analysis.experiment.steps import COMPLETIONS, instrument, tally
from analysis.report.claims import evidence
from analysis.report.text import interval, number
from analysis.simulate import trialers as simulated
from analysis.sources import Tables, open_study

SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict


def verdicts(study: Reductions) -> dict[str, Verdict]:
    return {f.claim.key: f.verdict for f in judge(TRIALERS.claims, study)}


def studied(frames) -> Reductions:
    return reduced(Tables("trialers", "a test", False, False, held(frames)))


@pytest.fixture(scope="module")
def shipped():
    return reduced(open_study("trialers", "data"))


@pytest.fixture(scope="module")
def null():
    """Customers are all alike and nothing depends on anything."""
    parts = list(simulated.parts(3, 0.5, simulated.NULL))
    return studied({name: pd.concat([p[name] for p in parts]) for name in parts[0]})


def test_the_planted_world(shipped):
    expected = {
        "cohorts": SUPPORTED, "one_day": SUPPORTED, "all_outcomes": CONTRADICTED,
        "not_attempted": SUPPORTED, "four_channels": SUPPORTED, "in_series": SUPPORTED,
        "some_other": SUPPORTED,
        # As they come the hard cases choose CS; the widget, which is dealt out, shows what it does.
        "cs_completes": CONTRADICTED, "cs_completes_adjusted": CONTRADICTED,
        "cs_helps": SUPPORTED, "cs_is_faster": CONTRADICTED, "widget_is_faster": SUPPORTED,
        "completers_convert": SUPPORTED, "each_completion": SUPPORTED,
        "later_is_better": CONTRADICTED, "later_tasks": SUPPORTED,
        "early_minds": SUPPORTED, "thirty_days": SUPPORTED, "widget_engages": SUPPORTED,
        "widget_completes": SUPPORTED, "widget_converts": SUPPORTED,
    }
    found = verdicts(shipped)
    assert {key: found[key] for key in expected} == expected
    rest = {c.key for c in TRIALERS.claims} - set(expected)
    assert rest == {c.key for c in TRIALERS.claims if c.kind in (Cause, Unseen)}
    assert {found[key] for key in rest} == {UNTELLABLE}


def test_where_nothing_is_there_nothing_is_found(null):
    found = verdicts(null)
    for key in ("cs_completes", "cs_completes_adjusted", "cs_helps", "cs_is_faster",
                "widget_is_faster", "later_is_better", "widget_engages", "widget_completes",
                "widget_converts"):
        assert found[key] is NOT, key


def test_a_widget_that_puts_people_off(shipped):
    """The cohorts with their names exchanged: what the widget did, Control now does."""
    other = {"Test": "Control", "Control": "Test"}
    flow, help_, paths = (
        f.assign(cohort=f.cohort.map(other)) for f in (shipped.flow, shipped.help, shipped.paths))
    d = shipped.from_first_help
    turned = replace(
        shipped, flow=flow, help=help_, paths=paths,
        customers={other[name]: n for name, n in shipped.customers.items()},
        from_first_help=replace(
            d, groups=d.groups | {"cohort": pd.Series(d.groups["cohort"]).map(other).to_numpy()}))
    found = verdicts(turned)
    for key in ("cs_helps", "widget_is_faster", "widget_engages", "widget_completes",
                "widget_converts", "cohorts"):
        assert found[key] is CONTRADICTED, key


def test_cs_that_looks_better(shipped):
    """Exchange CS and OTHER."""
    c, d = shipped.cells, shipped.from_first_help
    channel = shipped.help.channel.where(shipped.help.channel != "OTHER", "other")
    turned = replace(
        shipped, cells=replace(c, cs=1 - c.cs),
        from_first_help=replace(d, groups=d.groups | {"cs": 1 - d.groups["cs"]}),
        help=shipped.help.assign(
            channel=channel.where(channel == "other", "OTHER").replace("other", "AGENT")))
    found = verdicts(turned)
    for key in ("cs_completes", "cs_completes_adjusted", "cs_is_faster"):
        assert found[key] is SUPPORTED, key


def test_conversion_that_falls_with_completion(shipped):
    paths = shipped.paths.assign(converted=1 - shipped.paths.converted)
    found = verdicts(replace(shipped, paths=paths))
    assert found["completers_convert"] is found["each_completion"] is CONTRADICTED
    assert found["completion_converts"] is UNTELLABLE
    nobody = shipped.paths.assign(converted=0)
    found = verdicts(replace(shipped, paths=nobody))
    assert found["completers_convert"] is found["each_completion"] is UNTELLABLE


def test_later_hours_and_tasks(shipped):
    turned = replace(
        shipped, starts=shipped.starts.assign(hour=23 - shipped.starts.hour),
        tasks=shipped.tasks.assign(task=4 - shipped.tasks.task))
    found = verdicts(turned)
    assert found["later_is_better"] is SUPPORTED and found["later_tasks"] is CONTRADICTED
    assert found["experience_helps"] is UNTELLABLE


def test_late_decisions(shipped):
    late = shipped.decisions.assign(day=shipped.decisions.day + 20)
    found = verdicts(replace(shipped, decisions=late))
    assert found["early_minds"] is found["thirty_days"] is CONTRADICTED
    unknown = shipped.decisions.assign(day=pd.Series(pd.NA, shipped.decisions.index, "Int64"))
    found = verdicts(replace(shipped, decisions=unknown))
    assert found["early_minds"] is found["thirty_days"] is UNTELLABLE


def test_other_facts(shipped):
    w = shipped.window
    starts = shipped.starts.assign(date=shipped.starts.date.str.replace("-05-0", "-06-0"))
    faults = shipped.faults.assign(cases=shipped.faults["of"] // 2)
    found = verdicts(replace(
        shipped, starts=starts, faults=faults,
        window=replace(w, day=w.day.replace("-05-0", "-06-0")),
        help=shipped.help.replace({"channel": {"VIDEO": "AGENT"}})))
    for key in ("one_day", "in_series", "four_channels"):
        assert found[key] is CONTRADICTED, key


def said(study: Reductions, key: str) -> str:
    found, = (f for f in judge(TRIALERS.claims, study) if f.claim.key == key)
    return evidence(found)


def test_outcomes_are_counted_before_the_join(shipped):
    assert said(shipped, "all_outcomes") == "11,996 outcomes for 12,000 customers; 4 have none."
    one = replace(shipped, without_outcome=1)
    assert said(one, "all_outcomes") == "11,996 outcomes for 11,997 customers; 1 has none."
    every = replace(shipped, without_outcome=0)
    assert said(every, "all_outcomes") == "11,996 customers, and an outcome for each."
    assert verdicts(every)["all_outcomes"] is SUPPORTED


def test_customers_whom_nothing_has_checked_are_counted_too():
    frames = messy(1)
    frames["conversion"] = frames["conversion"].iloc[3:]
    joined = frames["test_cohorts"].customer_id.isin(frames["conversion"].customer_id)
    assert studied(frames).without_outcome == (~joined).sum() > 0


def test_the_cause_of_conversion_says_what_the_lots_say(shipped):
    """The widget was dealt out and moves completions: the chapter's instrument is told."""
    found = instrument(tally(shipped.paths, "cohort", COMPLETIONS))
    text = said(shipped, "completion_converts")
    ends = interval(100 * found.low, 100 * found.high)
    assert f"a completion brings {number(100 * found.estimate, 1)} points" in text and ends in text
    assert "through completions alone, which no table shows" in text
    # Both cohorts alike: the widget moves nothing.
    half = shipped.paths.groupby(["completions", "converted", "help", "attempted"]).customers.sum()
    alike = pd.concat([half.reset_index().assign(cohort=c) for c in ("Test", "Control")])
    open_ = replace(shipped, paths=alike, customers=dict.fromkeys(("Test", "Control"), 11_996))
    text = said(open_, "completion_converts")
    assert text.endswith("and the widget, which was, moves too little to tell.")
    assert verdicts(open_)["completion_converts"] is UNTELLABLE


def test_the_trend_is_that_of_the_rows(shipped):
    """Correlations from counts equal those of one row a customer."""
    rows = shipped.paths.loc[shipped.paths.index.repeat(shipped.paths.customers)]
    r, n = trialers._weighted_r(
        shipped.paths.completions, shipped.paths.converted, shipped.paths.customers)
    assert n == len(rows) and r == pytest.approx(rows.completions.corr(rows.converted))
    flat, _ = trialers._weighted_r(*(pd.Series(v) for v in ([1, 1], [0, 1], [5, 6])))
    assert np.isnan(flat)


@pytest.mark.parametrize("seed", range(3))
def test_messy_tables(seed):
    found = verdicts(studied(messy(seed)))
    assert len(found) == len(TRIALERS.claims)
