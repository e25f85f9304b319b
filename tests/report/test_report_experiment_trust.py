"""What the chapter says about lost customers and the trust in the test follows from the checks."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "experiment"))
from test_experiment_reductions import Frames, as_seen, messy, tables

from analysis.experiment import trust as study
from analysis.experiment.reductions import per_customer, reduce
from analysis.experiment.trust import Verdict
from analysis.report.experiment import labels
from analysis.report.experiment import trust as report
from analysis.report.text import Prose
from analysis.simulate import trialers
from analysis.stats import intervals

PLANNED = 0.3
PLAN = pd.DataFrame({"cohort": ["Test", "Control"], "share": [PLANNED, 1 - PLANNED]})
FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}


def made(frames: Frames) -> SimpleNamespace:
    held = tables({"planned_split": PLAN} | frames)
    with per_customer(held).cache() as customers:
        base = reduce(held, customers)
        return SimpleNamespace(**vars(base), trust=study.trust(base, customers, held))


def few(*, finish: bool = False, converted: int = 1) -> Frames:
    """Two customers in each cohort; all go all the way, or one is in trouble in task 1."""
    ids = [f"c{i}" for i in range(4)]
    start = pd.Timestamp("2021-05-05 10:00")
    later = start + pd.Timedelta(hours=2)
    tasks = (1, 2, 3) if finish else (1,)
    activity = pd.DataFrame([
        {"customer_id": who, "task": task, "action": action,
         "timestamp": start + pd.Timedelta(minutes=20 * task + 9 * (action == "complete"))}
        for who in (ids if finish else ids[:3]) for task in tasks
        for action in (("start", "complete") if finish else ("start",))])
    return {
        "test_cohorts": pd.DataFrame({"customer_id": ids, "cohort": ["Test", "Control"] * 2}),
        "product_activity": activity,
        "help_activity": pd.DataFrame({
            "customer_id": ids if finish else ids[:1], "task": 1, "channel": "VIDEO",
            "timestamp": start + pd.Timedelta(minutes=25)}),
        "conversion": pd.DataFrame({
            "customer_id": ids, "converted": [1] * converted + [0] * (4 - converted),
            "converted_at": [later] * converted + [pd.NaT] * (4 - converted)}),
    }


@pytest.fixture(scope="module")
def simulated() -> SimpleNamespace:
    (part,) = trialers.parts(seed=6, scale=0.25)
    return made(as_seen(part))


@pytest.fixture(scope="module")
def small() -> dict[str, SimpleNamespace]:
    without = messy(1)
    without["help_activity"] = without["help_activity"].assign(customer_id="nobody")
    return {"messy": made(messy(2)), "no trouble": made(without), "few": made(few()),
            "all the way": made(few(finish=True, converted=4))}


def changed(s: SimpleNamespace, **fields) -> SimpleNamespace:
    """The same study with other fields of its trust, judged anew."""
    t = replace(s.trust, **fields)
    base = {name: value for name, value in vars(s).items() if name != "trust"}
    if "split" in fields:
        base["customers"] = {"Control": t.split.control, "Test": t.split.test}
    reasons = dict(t.reasons) | {
        "mismatch": t.split.mismatch, "blind": t.split.blind,
        "unbalanced": bool(t.checks["failed"].any()),
        "faults": bool(
            max(t.disorder["share"].max(), t.before_day.estimate) > study.MOST_FAULTY),
        "uneven": bool(t.disorder["failed"].any()),
        "losses": t.left_out > study.MOST_FAULTY or t.split.hides,
    }
    t = replace(t, reasons=reasons, trusted=study.verdict(reasons))
    return SimpleNamespace(**base, trust=t)


def failing(s: SimpleNamespace, *names: str, value: float | None = None) -> SimpleNamespace:
    """With these checks, or faults, failed."""
    frames = {}
    for field in ("checks", "disorder"):
        frame = getattr(s.trust, field).copy()
        mine = [name for name in names if name in frame.index]
        frame.loc[mine, ["p_value", "p_adjusted"]] = 1e-5
        frame.loc[mine, "failed"] = True
        if value is not None:
            frame.loc[mine, "value"] = value
        frames[field] = frame
    return changed(s, **frames)


def common(s: SimpleNamespace, **shares: float) -> SimpleNamespace:
    """With these shares of faults, named with underscores."""
    disorder = s.trust.disorder.copy()
    for name, share in shares.items():
        disorder.loc[name.replace("_", " "), ["cases", "share"]] = round(share * 1000), share
    return changed(s, disorder=disorder)


def told(s: SimpleNamespace, name: str, silent: tuple[str, ...] = ()) -> None:
    """All that is said is whole: no gap, no wrong number of a noun; `silent` say nothing."""
    for function, f in FUNCTIONS.items():
        found = f(s)
        if function in silent:
            assert found == "", function
            continue
        if isinstance(found, p9.ggplot):
            continue
        assert isinstance(found, Prose) and found.strip(), (name, function)
        plain = re.sub(r"\\", "", found)
        assert not re.search(r"\b(nan|inf|None(?! of)|NaT)\b", plain), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        for wrong in (r"1 (customers|rows|cases|comparisons|kinds)",
                      r"([02-9]|\d\d+) (customer|row|case|comparison|kind)"):
            assert not re.search(rf"(?<![\d.,]){wrong}\b", found), (name, function, found)
        if "|:--" not in plain:
            assert "  " not in found, (name, function, found)
            assert found.endswith("."), (name, function, found)
            assert found.lstrip("*")[0].isupper() or found[0].isdigit(), (name, function, found)


def test_nothing_is_told_that_is_no_number(simulated, small):
    for name, s in {"simulated": simulated, **small}.items():
        told(s, name)
    for name in ("few", "messy"):
        for f in (report.flow_figure, report.hours_figure):
            f(small[name]).draw()


def test_every_variant_is_whole(simulated):
    every = [*simulated.trust.checks.index, "completion before start", "help before start"]
    told(failing(simulated, *every), "all failed")
    told(common(simulated, help_before_start=0.4), "one common fault")
    told(changed(simulated, split=study.split(30, 900, PLANNED, 40)), "mismatch")
    told(changed(simulated, split=study.split(6, 3, PLANNED)), "nine customers")
    told(changed(simulated, split=study.split(1, 1, PLANNED, 1)), "two customers")


def test_the_flow_on_simulated_tables(simulated):
    t = simulated.trust
    most = t.losses["share"].idxmax()
    assert most == ("completed", 1)
    text = report.flow_answer(simulated)
    assert "never attempt the first task" in text and "complete all 3 tasks" in text
    assert text.endswith(f"within task 1, {100 * t.losses['share'].max():.1f}% of all.")
    assert report.lost(simulated).index("within task 1") < report.lost(simulated).index(
        "before task 1")
    assert "had not completed all 3 tasks" in report.unfinished(simulated)
    rows = report.flow_table(simulated).splitlines()[2:]
    assert len(rows) == 2 * (1 + len(study.STEPS))
    bars = report.flow_figure(simulated).data
    ends = bars.groupby(["cohort", "ymin"], observed=True)["xmax"].max()
    expected = sorted(t.stages.loc[[(*bar, "Test") for bar in report.BARS], "of_all"])
    assert sorted(ends.loc["Test"]) == pytest.approx(expected)


def test_the_flow_at_its_ends(small):
    s = small["all the way"]
    assert report.flow_answer(s) == (
        "Everybody attempts the first task, and everybody completes all 3 tasks.")
    assert report.lost(s).startswith("Nobody is lost") and "there are none" in report.never(s)
    assert report.unfinished(s) == "All 4 customers who subscribed had completed all 3 tasks."
    assert "reach every customer" in report.flow_means(s)
    assert report.unfinished(changed(s, converted_unfinished=None)) == "Nobody subscribed."
    assert report.unfinished(small["few"]) == "Nobody who subscribed had completed all 3 tasks."
    assert "nobody completes all 3 tasks" in report.flow_answer(small["few"])
    assert "1 of 4 customers has no row of the first task" in report.never(small["few"])
    assert "Nobody came into trouble" in report.flow_means(small["no trouble"])
    assert report.skipped(small["few"]) == "Nobody reached a stage without the one before."
    assert re.match(r"In \d+ cases a customer reached", report.skipped(small["messy"]))
    one = changed(small["few"], losses=small["few"].trust.losses.assign(
        customers=[1, 1, 0, 0, 0, 0], share=[0.25, 0.25, 0, 0, 0, 0]))
    assert report.flow_answer(one).endswith(
        "The largest losses are before task 1 and within task 1, 25.0% of all each.")


def test_what_the_join_loses(simulated, small):
    assert "leaves nobody out, and no row." in report.joined(small["few"])
    one = study.split(800, 350, PLANNED, 1)
    s = changed(simulated, split=one, unknown=2, repeated=1, left_out=0.0009)
    assert report.joined(s) == (
        "The join leaves out 1 customer without a row in conversion and 2 rows of customers whom "
        "the table of cohorts does not know. 1 row that repeats another is counted once. "
        "Together that is at most 0.09% of any table.")
    assert "The one customer without a row in conversion can’t change that" in report.split(s)
    assert "Rows that the join leaves out" in report.limits(s)
    assert "Rows that the join leaves out" not in report.limits(small["few"])


def test_verdicts(simulated, small):
    s = simulated
    assert s.trust.trusted is Verdict.TRUSTED
    assert report.answer(s).startswith("**The test can be trusted:**")
    assert "any of 7 comparisons" in report.answer(s) and "effect of the widget" in report.means(s)
    refused = changed(s, split=study.split(2500, 900, PLANNED))
    assert "not to be read as effects" in report.answer(refused)
    assert "Chance does not give such a split" in report.split(refused)
    assert "customers of Test were lost" in report.split(refused)
    other = changed(s, split=study.split(1500, 900, PLANNED))
    assert "customers of Control were lost" in report.split(other)
    assert "no decision should rest on them" in report.means(refused)
    assert "needs no test" in report.exact(refused)
    blind = report.answer(small["few"])
    assert "with reservations" in blind and "with 4 customers the check" in blind
    assert "test more customers" in report.means(small["few"])


@pytest.mark.parametrize("name", list(report.CHECKS))
def test_each_failed_check_has_its_meaning(simulated, name):
    s = failing(simulated, name, value=0.02)
    assert s.trust.trusted is Verdict.RESERVED
    assert report.CHECKS[name] in report.answer(s)
    text = report.checks(s)
    assert report.FAILED[name][1:] in text and "of 7 comparisons" in text
    assert sum(meaning[1:] in text for meaning in report.FAILED.values()) == 1
    assert "how customers were assigned" in report.means(s)
    assert ("are shown to come at different hours" in report.hours(s)) == (name == "hours")
    assert ("rises over the day" in report.hours(s)) == (name == "drift")
    assert ("That is shown to differ" in report.days(s)) == (name == "later")


def test_hours_in_every_combination(simulated, small):
    assert "Nor does the share in Test drift" in report.hours(simulated)
    assert "falls over the day" in report.hours(failing(simulated, "drift", value=-0.02))
    one_way = report.hours(failing(simulated, "hours"))
    assert "A drift in one direction is not shown" in one_way and "Nor does" not in one_way
    assert "can’t be compared" in report.hours(small["few"])
    checks = simulated.trust.checks.copy()
    checks.loc["drift", ["p_value", "p_adjusted"]] = float("nan")
    assert "too few first starts" in report.hours(changed(simulated, checks=checks))


def test_days(simulated, small):
    assert report.days(small["few"]).replace("\u00a0", " ") == (
        "All first starts are on 5 May 2021, the day of the test.")
    some, none = (intervals.proportion(x, 100) for x in (30, 0))
    early = changed(simulated, before_day=some, after_day=none)
    assert "of those who started did so on an earlier day, before the test had begun" in (
        report.days(early))
    assert "30.0% of those who started did so before the day of the test" in report.answer(early)
    both = report.days(changed(simulated, before_day=some, after_day=some))
    assert both.startswith("No day has more first starts than") and "on an earlier one" in both


def test_faults(simulated, small):
    assert "None of the 9 faults" in report.faults(small["few"])
    lone = common(small["few"], help_before_start=1.0)
    assert "9 faults that were looked for, 1 is in the log: help before" in report.faults(lone)
    assert "That is above 5%." in report.faults(lone)
    assert "nothing to list" in report.faults_table(small["few"])
    found = simulated.trust.disorder
    assert len(report.faults_table(simulated).splitlines()) == 2 + (found["cases"] > 0).sum()
    assert "None of them is shown" in report.faults(simulated)
    one = common(simulated, help_before_start=0.3)
    assert "1 of them lies above 5%." in report.faults(one)
    assert "help before the start in 30.0% of the cases" in report.answer(one)
    two = common(simulated, help_before_start=0.3, completion_before_start=0.2)
    assert "2 of them lie above 5%." in report.faults(two)
    assert "2 kinds of fault are each in more than 5%" in report.answer(two)
    uneven = failing(simulated, "completion before start", value=-0.01)
    assert "completion before the start (in Control)" in report.faults(uneven)
    assert "one cohort has more of completion before the start" in report.answer(uneven)
    assert "depends on the cohort" in report.means(uneven)
    # What is done about a fault is told of every fault that there is a name for.
    assert set(report.HANDLED) == set(found.index) == set(labels.FAULTS)


def test_losses_that_could_hide_a_mismatch(simulated):
    hidden = changed(simulated, split=study.split(2100, 900, PLANNED, 400))
    assert "if all of them belonged to one cohort, the split would be a mismatch" in (
        report.split(hidden))
    assert "could hide a mismatch" in report.answer(hidden)
    many = changed(simulated, left_out=0.08)
    assert "leaves out 8.0% of a table" in report.answer(many)
    assert "find out who was left out" in report.means(many)


def test_the_split_in_words(simulated):
    def said(*sizes):
        s = changed(simulated, split=study.split(*sizes, PLANNED))
        return report.split(s), report.seen(s), report.exact(s)

    near = said(7000, 3000)
    assert "such a split is what chance gives" in near[0] and "Dealing customers" in near[2]
    assert "fewer than one of 20 tests" in said(7130, 2870)[0]
    assert "too good to be true" in said(7060, 2940)[2]
    tiny = said(2, 2)
    assert "χ²" not in tiny[0] and "can find nothing" in tiny[1] and "of so few" in tiny[2]
    one_sided = said(6, 3)[1]
    assert "No loss in Test, however large" in one_sided
    assert "of the customers of Control" in one_sided
    assert "or less, or of" in near[1] and "No loss in" not in near[1]


UNCHECKED = ("threshold", "seen", "exact")  # have nothing to say without a plan


def test_without_a_planned_split_the_sizes_are_not_judged(simulated):
    # Far from halves, and a loss that could hide anything: nothing of it is judged.
    s = changed(simulated, split=study.split(3300, 260, None, 90))
    assert s.trust.trusted is Verdict.TRUSTED
    assert report.split(s).startswith("Control has 3,300 customers and Test 260, 7.3% of all (")
    assert report.split(s).endswith(
        ". The tables do not say what split was planned, so whether one cohort lost people can’t "
        "be told from its size; the table `trialers/planned_split` would say it "
        "(@sec-your-data-trialers).")
    assert report.answer(s).startswith("**The test can be trusted:** the cohorts are not shown to")
    untold = "The sizes of the cohorts are not judged, since the tables do not say what split was"
    for verdict in (s, failing(s, "trouble", value=0.02)):
        assert untold in report.answer(verdict) and "were planned" not in report.answer(verdict)
    assert "with reservations" in report.answer(failing(s, "trouble", value=0.02))
    text = report.rule(s)
    assert "planned split" in text and "5%" in text
    assert "mismatch" not in text and "25%" not in text and "0.001" not in text
    lines = [type(layer.geom).__name__ for layer in report.hours_figure(s).layers]
    planned = [type(layer.geom).__name__ for layer in report.hours_figure(simulated).layers]
    assert planned == ["geom_hline", *lines]
    report.hours_figure(s).draw()
    told(s, "no plan", silent=UNCHECKED)


def test_the_plan_of_the_tables_is_the_one_that_is_named(simulated):
    half = changed(simulated, split=study.split(250, 250, 0.5))
    for text in (report.rule(half), report.split(half), report.answer(half)):
        assert "50%" in text and "30%" not in text
    eighth = changed(simulated, split=study.split(2620, 380, 0.125))
    assert "where 12.5% were planned" in report.answer(eighth)
    # The dashed line is drawn at it.
    (line,) = [layer for layer in report.hours_figure(eighth).layers
               if type(layer.geom).__name__ == "geom_hline"]
    assert line.geom.data.yintercept.tolist() == [0.125]


def test_the_rule_names_its_limits(simulated):
    text = report.rule(simulated)
    for limit in ("30%", "0.001", "5%", "25%"):
        assert limit in text
