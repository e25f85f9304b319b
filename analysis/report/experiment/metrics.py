"""Did the test work? Tables, figures and sentences of the success metrics and their tests."""

from __future__ import annotations

import math

import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment import metrics as study
from analysis.experiment.metrics import Metric, Metrics
from analysis.report import figures
from analysis.report.experiment import labels
from analysis.report.sentences import digits_of_ends
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    change,
    count,
    interval,
    listing,
    low_to_high,
    number,
    p_cell,
    p_value,
    paragraph,
    percent,
    percents,
)
from analysis.stats.decision import Finding, Relevance
from analysis.stats.intervals import Interval

DID = {"engagement": "used CS at least once", "conversion": "converted"}
OF = {"engagement": "use of CS", "conversion": "conversion"}
FAMILIES = {
    "primary": "Primary", "secondary": "Secondary", "mechanism": "Mechanism",
    "guardrail": "Guardrail",
}
TESTS = {
    ("primary", "engagement"): "Used CS at least once",
    ("primary", "conversion"): "Converted",
    ("secondary", "completed_all"): "Completed all three tasks",
    ("secondary", "completions"): "Tasks completed",
    ("secondary", "time_to_convert"): "Time to convert, of converts",
    ("mechanism", "cs"): "In trouble: CS at the first trouble",
    ("mechanism", "finished"): "In trouble: completed that task",
    ("mechanism", "completed_all"): "In trouble: completed all three",
    ("mechanism", "converted"): "In trouble: converted",
    ("guardrail", "never_in_trouble"): "Never in trouble: converted",
}
SECONDARY = {
    "completed_all": "the share completing all three tasks",
    "completions": "the number of tasks completed",
    "time_to_convert": "the time to convert",
}
LINKS = {
    "cs": "chose CS", "finished": "completed that task", "completed_all": "completed all three",
    "converted": "converted", "everybody": "converted, of all assigned",
}
SHARES = {
    "cs": "who chose CS at their first trouble", "finished": "who completed that task",
    "completed_all": "who completed all three", "converted": "who converted",
}
DIMENSIONS = {
    "part_of_day": "part of day", "first_task": "task of the first trouble",
    "restarted": "having restarted a task",
}
UNTRUSTED = "the test is not trusted (@sec-trialers-trust)"
READINGS = {"ever": "In trouble: at least once", "first": "In trouble: at the first trouble"}


def _effect(value: float, low: float, high: float) -> str:
    """A difference of shares in points with its interval: "2.0 points (95% interval 0.1 to 3.9)"."""
    digits = digits_of_ends(100 * low, 100 * high)
    return (f"{number(100 * value, digits)} points (95% interval "
            f"{interval(100 * low, 100 * high, digits)})")


def _range(i: Interval) -> Prose:
    """The ends of a difference in points: "0.04 to 3.40"."""
    low, high = 100 * i.low, 100 * i.high
    return interval(low, high, digits_of_ends(low, high))


def _cell(value: float, low: float, high: float) -> Prose:
    """The same in a table, where the head says what it is."""
    digits = digits_of_ends(100 * low, 100 * high)
    return Prose(f"{number(100 * value, digits)} ({interval(100 * low, 100 * high, digits)})")


def _goal(share: float) -> str:
    """A named difference, in points: "5 points", "1 point"."""
    value = f"{100 * share:g}"
    return f"{value} point{'' if value == '1' else 's'}"


def _chance(p: float) -> str:
    """A probability that may lie beyond what can be told: "97.8%", "more than 99.9%"."""
    if p > 0.999:
        return "more than 99.9%"
    return "less than 0.1%" if p < 0.001 else str(percent(p))


def _shares(i: Interval) -> Prose:
    return Prose(f"{percent(i.estimate)} ({percents(i.low, i.high)})")


def _nothing(m: Metric) -> str:
    """Why a metric can't be tested."""
    who = "Nobody" if m.control.successes + m.test.successes == 0 else "Everybody"
    did = "used CS" if m.name == "engagement" else DID[m.name]
    return f"{who} {did}, in either cohort, so there is nothing to compare."


def _rates(m: Metric) -> str:
    return (
        f"{percent(m.test_rate.estimate)} of the customers in Test {DID[m.name]} and "
        f"{percent(m.control_rate.estimate)} in Control, a difference of "
        f"{_effect(m.z.estimate, m.z.interval.low, m.z.interval.high)}, {p_value(m.p_value)}"
    )


def _size(m: Metric) -> str:
    """How a shown rise lies to the smallest one that matters."""
    goal = _goal(m.smallest_effect)
    return {
        Relevance.RELEVANT: f"All of the interval lies beyond the {goal} that would be worth having.",
        Relevance.NEGLIGIBLE: f"But all of the interval lies below the {goal} that would be worth having.",
    }.get(m.decision.relevance,
          f"That there is a rise is shown; whether it reaches the {goal} that would be worth having is not.")


def _verdict(s: Study, m: Metric) -> Prose:
    """What a primary metric shows, beginning with yes or no, where the test may be read."""
    if m.z is None:
        return Prose(_nothing(m))
    if not s.decision.trusted:
        return Prose(
            f"That can’t be told, since {UNTRUSTED}. {capital(_rates(m))}: a difference between the "
            "groups, which is not to be read as the widget’s effect.")
    if not m.tested:
        return Prose(
            f"By the order of the tests this is not tested, because engagement is not shown to rise. "
            f"For the record: {_rates(m)}; no claim may rest on it.")
    finding, goal = m.decision.finding, _goal(m.smallest_effect)
    if finding is Finding.HIGHER:
        return Prose(f"Yes. {capital(_rates(m))}. {_size(m)}")
    if finding is Finding.LOWER:
        return Prose(f"No, the reverse is shown. {capital(_rates(m))}.")
    if finding is Finding.EQUIVALENT:
        return Prose(f"No. {capital(_rates(m))}: whatever difference there is, it is smaller than "
                     f"the {goal} that would be worth having.")
    bound = (f"A rise of {goal} is ruled out, though." if m.z.interval.high < m.smallest_effect else
             f"Nor is a rise of {goal}, which would be worth having, ruled out.")
    return Prose(f"That is not shown. {capital(_rates(m))}. {bound}")


# Engagement ----------------------------------------------------------------------------------


def engagement(s: Study) -> Prose:
    """Whether more customers of Test used CS."""
    return _verdict(s, s.metrics.engagement)


def engagement_table(s: Study) -> Prose:
    """The use of CS in three readings."""
    m = s.metrics
    e = m.engagement
    shown = [{
        "Used CS": "All assigned: at least once", "Control": percent(e.control.value),
        "Test": percent(e.test.value),
        "Difference, points": _cell(e.difference.estimate, e.difference.low, e.difference.high), "Lift": _lift(e),
    }]
    for reading, row in m.troubled.iterrows():
        shown.append({
            "Used CS": READINGS[reading], "Control": percent(row.control),
            "Test": percent(row.test), "Difference, points": _cell(row.difference, row.low, row.high),
            "Lift": change(row.test / row.control) if row.control > 0 else Prose(MISSING),
        })
    frame = pd.DataFrame(shown)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _lift(m: Metric) -> Prose:
    if m.lift is None:
        return Prose(MISSING)
    ends = (m.lift.low, m.lift.high)
    digits = 1 if any(0 < abs(end - 1) < 0.005 for end in ends) else 0
    low, high = (change(end, digits) for end in ends)
    return Prose(f"{change(m.lift.value, digits)} ({low_to_high(low, high)})")


def engagement_size(s: Study) -> Prose:
    """The size of the difference on other scales, and the Bayesian reading."""
    return _other_scales(s.metrics.engagement)


def _other_scales(m: Metric) -> Prose:
    if m.z is None:
        return Prose(_nothing(m))
    h, b = m.z.effect("Cohen's h"), m.belief
    parts = [f"Cohen’s h, which puts differences of small and of middling shares on one scale, is "
             f"{number(h.value, 2)} ({interval(h.low, h.high, 2)})."]
    if m.fisher is not None:
        same = (m.fisher.p_value <= study.ALPHA) == (m.z.p_value <= study.ALPHA)
        parts.append(
            f"Fisher’s exact test agrees ({p_value(m.fisher.p_value)})." if same else
            f"Fisher’s exact test ({p_value(m.fisher.p_value)}) and the z test "
            f"({p_value(m.z.p_value)}) fall on different sides of 5%: the evidence is at the very edge.")
    parts.append(
        f"Read with Bayes’ theorem and a prior that knows nothing, the share is larger in Test with a "
        f"probability of {_chance(b.better)}, and the difference lies in the "
        f"range {_range(b.difference)} points with one of {percent(b.difference.confidence, 0)}.")
    return Prose(" ".join(parts))


def troubled(s: Study) -> Prose:
    """The use of CS of those in trouble, and why the first trouble is the one to read."""
    t = s.metrics.troubled
    if t.empty:
        return Prose("In one cohort nobody was in trouble, so there is no other reading.")
    first, ever = t.loc["first"], t.loc["ever"]
    return Prose(
        f"Of the customers in trouble, {percent(first.test)} in Test chose CS at their first trouble and "
        f"{percent(first.control)} in Control, a difference of {_effect(first.difference, first.low, first.high)}; "
        f"at any trouble it is {_effect(ever.difference, ever.low, ever.high)}. The first trouble is the one "
        "to read: it comes before any widget, so those who meet it are alike in both cohorts, while later "
        "troubles are reached by different people, since help at the first decides who gets there.")


# Conversion ----------------------------------------------------------------------------------


def conversion(s: Study) -> Prose:
    """Whether more customers of Test converted."""
    return _verdict(s, s.metrics.conversion)


def conversion_table(s: Study) -> Prose:
    """Conversion of all assigned: rates, difference, tests, Bayesian reading."""
    m = s.metrics.conversion
    if m.z is None:
        return Prose(_nothing(m))
    z, b = m.z, m.belief
    h = z.effect("Cohen's h")
    rows = [
        ("Customers", number(m.control.n), number(m.test.n)),
        ("Converted", number(m.control.successes), number(m.test.successes)),
        ("Share", _shares(m.control_rate), _shares(m.test_rate)),
        ("Difference, points", "", _cell(z.estimate, z.interval.low, z.interval.high)),
        ("Lift", "", _lift(m)),
        ("Cohen’s h", "", f"{number(h.value, 3)} ({interval(h.low, h.high, 3)})"),
        ("Pooled z test", "", f"z = {number(z.statistic, 2)}, {p_value(z.p_value)}"),
        ("Fisher’s exact test", "", p_value(m.fisher.p_value) if m.fisher else MISSING),
        ("Probability that Test is better", "", _chance(b.better)),
        ("Expected loss of choosing Control, points", number(100 * b.loss_control, 2), ""),
        ("Expected loss of choosing Test, points", "", number(100 * b.loss_test, 2)),
    ]
    frame = pd.DataFrame(rows, columns=["Measure", "Control", "Test"])
    return table(frame, {"Control": Prose, "Test": Prose})


def believed(s: Study) -> Prose:
    """The Bayesian reading of conversion, and what p does not say."""
    return _other_scales(s.metrics.conversion)


def reached(s: Study) -> Prose:
    """Where the difference of conversion comes from: those whom the widget could reach, or others."""
    m = s.metrics
    g, links = m.guardrails, m.mechanism.links
    if m.conversion.z is None:
        return Prose(_nothing(m.conversion))
    if "converted" not in links.index or g.placebo is None:
        return Prose("The customers in trouble and those never in trouble cannot both be compared, "
                     "so where the difference comes from cannot be told.")
    row, placebo = links.loc["converted"], g.placebo
    test = m.tests.loc["mechanism"].p_value.get("converted", math.nan)
    told = (
        f"Only customers in trouble can have seen the widget. Among them the difference is "
        f"{_effect(row.difference, row.low, row.high)}; among those never in trouble, where it can only be "
        f"chance or a fault of the split, {_effect(placebo.estimate, placebo.interval.low, placebo.interval.high)}.")
    if not m.conversion.shown or not s.decision.trusted:
        return Prose(told)
    if test <= m.alpha:
        return Prose(f"{told} So the rise is shown where it should be, among those whom the widget "
                     f"could reach ({p_value(test)}).")
    return Prose(
        f"{told} Taken by themselves, those whom the widget could reach do not show a rise "
        f"({p_value(test)}): the test that was named in advance stands, but a part of what it found lies "
        "where the widget cannot have been, and the margin is thin.")


def counted(s: Study) -> Prose:
    """Which conversions count."""
    m = s.metrics
    parts = []
    if m.undated:
        parts.append(f"{count(m.undated, 'conversion')} without a time")
    if m.late:
        parts.append(f"{count(m.late, 'conversion')} dated later than {study.TRIAL_DAYS} days after the test")
    if not parts:
        total = m.conversion.control.successes + m.conversion.test.successes
        return Prose(f"All conversions lie within the trial’s {study.TRIAL_DAYS} days." if total else
                     "There is no conversion in the table.")
    return Prose(f"{capital(listing(parts))} {'counts' if m.undated + m.late == 1 else 'count'} as the table has "
                 f"{'it' if m.undated + m.late == 1 else 'them'}.")


# Significance --------------------------------------------------------------------------------


def tests_table(s: Study) -> Prose:
    """Every test in order."""
    m = s.metrics
    rows = []
    for (family, name), row in m.tests.iterrows():
        rows.append({
            "Family": FAMILIES[family], "Test": TESTS[family, name],
            "Difference": Prose(f"{number(row.difference, 2)} ({interval(row.low, row.high, 2)})")
            if row.unit == "tasks" else _cell(row.difference, row.low, row.high),
            "p": p_cell(row.p_value), "Corrected": p_cell(row.p_adjusted),
            "Shown": "yes" if row.shown else "no" if row.tested else "not tested",
        })
    for (outcome, dimension), row in m.interactions.iterrows():
        rows.append({
            "Family": "Subgroups", "Test": f"{capital(OF[outcome])} differs by {DIMENSIONS[dimension]}",
            "Difference": Prose(MISSING), "p": p_cell(row.p_value), "Corrected": p_cell(row.p_adjusted),
            "Shown": "yes" if row.p_adjusted <= m.alpha else "no",
        })
    if not rows:
        return Prose("Nothing varies between the customers, so there is nothing to test.")
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(("Difference", "p", "Corrected"), Prose))


def significant(s: Study) -> Prose:
    """The source's question: are all of these results significant at 95%?"""
    m = s.metrics
    e, c = m.engagement, m.conversion
    if e.z is None:
        return Prose(f"No: {_nothing(e)[0].lower()}{_nothing(e)[1:]}")
    if not s.decision.trusted:
        return Prose(
            f"There is no result to judge, since {UNTRUSTED}: a small p would speak of a difference "
            "between the groups, whatever brought it about, and not of the widget’s effect.")
    if e.shown and c.shown:
        lead = (f"Yes, both primary metrics rise, and each is significant at {percent(1 - m.alpha, 0)} in its turn, "
                f"engagement ({p_value(e.p_value)}) and then conversion ({p_value(c.p_value)})")
        lead += "; but not by the same margin." if c.p_value > 0.01 >= e.p_value else "."
        if c.p_value > 0.01:
            lead += (f" A {p_value(c.p_value)} is thin: if there were no effect, about one such test in "
                     f"{number(1 / c.p_value)} would show a difference as large.")
    elif e.shown:
        lead = f"No: engagement rises ({p_value(e.p_value)}), and " + (
            f"conversion is shown to fall ({p_value(c.p_value)})." if c.decision and c.decision.finding is Finding.LOWER
            else f"a rise of conversion is not shown ({p_value(c.p_value)})." if c.z is not None
            else f"of conversion nothing can be said: {_nothing(c)[0].lower()}{_nothing(c)[1:]}")
    else:
        lead = ("No: engagement is shown to fall" if e.decision.finding is Finding.LOWER else
                "No: that engagement rises is not shown")
        lead += f" ({p_value(e.p_value)}), so by the order of the tests conversion is not tested."
    return paragraph(lead, _families(m))


def _families(m: Metrics) -> str:
    """How many tests of each family are shown after correction."""
    parts = []
    for family, name in (("secondary", "secondary tests"), ("mechanism", "links of the mechanism")):
        if family in m.tests.index.get_level_values("family"):
            rows = m.tests.loc[family]
            parts.append(f"{number(int(rows.shown.sum()))} of {number(len(rows))} {name}")
    if not parts:
        return ""
    return f"Shown to differ, after Holm’s correction within each family: {listing(parts)}."


def secondary(s: Study) -> Prose:
    """The secondary metrics."""
    m = s.metrics
    if "secondary" not in m.tests.index.get_level_values("family"):
        return Prose("None of the secondary metrics varies.")
    rows = m.tests.loc["secondary"]
    up, down, still = [], [], []
    for name, row in rows.iterrows():
        said = f"{SECONDARY[name]} ({_secondary_size(row)}, corrected {p_value(row.p_adjusted)})"
        (still if not row.shown else up if row.difference > 0 else down).append(said)
    parts = [f"{capital(listing(up))} {'is' if len(up) == 1 else 'are'} shown to be higher in Test."] if up else []
    if down:
        parts.append(f"{capital(listing(down))} {'is' if len(down) == 1 else 'are'} shown to be lower in Test.")
    if still:
        parts.append(f"A difference is not shown in {listing(still)}.")
    if "time_to_convert" in rows.index:
        parts.append("The time to convert compares converts, whom the widget itself may have made converts; it describes.")
    return paragraph(*parts)


def _secondary_size(row: pd.Series) -> str:
    if row.unit == "share":
        return f"{percent(row.control)} in Control, {percent(row.test)} in Test"
    if row.unit == "tasks":
        return (f"{number(row.control, 2)} in Control, {number(row.test, 2)} in Test, difference "
                f"{number(row.difference, 2)}, 95% interval {interval(row.low, row.high, 2)}")
    return f"on average {number(row.control, 1)} days in Control, {number(row.test, 1)} in Test"


def unharmed(s: Study) -> Prose:
    """The guardrails: completion, and conversion of those whom the widget could not reach."""
    g = s.metrics.guardrails
    i, margin = g.completion, _goal(g.margin)
    if not s.decision.trusted:
        first = (f"Whether completion is harmed can’t be told, since {UNTRUSTED}: the share completing "
                 f"all three tasks differs between the groups by {_effect(i.estimate, i.low, i.high)}.")
    elif i.low > -g.margin:
        first = (f"Completion is not harmed: the share completing all three tasks differs by "
                 f"{_effect(i.estimate, i.low, i.high)}, which rules out a fall of {margin}.")
    elif i.high < 0:
        first = (f"Completion is harmed: the share completing all three tasks falls, by a difference of "
                 f"{_effect(i.estimate, i.low, i.high)}.")
    else:
        first = (f"That completion is unharmed is not shown: the share completing all three tasks differs by "
                 f"{_effect(i.estimate, i.low, i.high)}, and a fall of {margin} is not ruled out.")
    z = g.placebo
    if z is None:
        return Prose(f"{first} Among those never in trouble there is nothing to compare.")
    said = (f"Those never in trouble cannot have seen the widget: their conversion differs by "
            f"{_effect(z.estimate, z.interval.low, z.interval.high)}, {p_value(z.p_value)}")
    if z.p_value <= s.metrics.alpha:
        second = (f"{said}. They should not differ, so either this is one of the false alarms that such a check "
                  "gives in one test of twenty, or the cohorts were not alike.")
    elif g.alike is not None and g.alike.reject:
        second = f"{said}; they are shown to be alike to within {margin} ({p_value(g.alike.p_value)})."
    else:
        second = (f"{said}. A difference is not shown, and neither is it shown to be smaller than {margin}: "
                  "they are too few for that.")
    return Prose(f"{first} {second}")


# Mechanism -----------------------------------------------------------------------------------


def mechanism(s: Study) -> Prose:
    """The links from widget to conversion, told in a row."""
    m = s.metrics.mechanism
    reach = (f"{percent(m.reach.estimate)} of the customers were in trouble at some time "
             f"(95% interval {percents(m.reach.low, m.reach.high)}); the widget cannot reach the others.")
    if "cs" not in m.links.index:
        return Prose(f"{reach} In one cohort nobody was in trouble, so the links cannot be compared.")
    said = listing(f"{SHARES[name]} by {_effect(row.difference, row.low, row.high)}"
                   for name, row in m.links.iterrows() if name != "everybody")
    end = (_broken(m.links) if s.decision.trusted else
           f"Since {UNTRUSTED}, these are differences between the groups, and no chain of effects.")
    return Prose(f"{reach} Among those in trouble, Test differs from Control in the share {said}. {end}")


def _broken(links: pd.DataFrame) -> str:
    """Up to which link the chain is seen to hold."""
    names = [name for name in links.index if name != "everybody"]
    held = []
    for name in names:
        if not links.low[name] > 0:
            break
        held.append(name)
    if len(held) == len(names):
        return "Each link by itself is seen to hold."
    missing = LINKS[names[len(held)]]
    falls = links.high[names[len(held)]] < 0
    if falls:
        return f"The chain breaks at “{missing}”, where Test lies below Control."
    if not held:
        return f"Already the first link, “{missing}”, is not seen to hold."
    end = " At its end Test lies below Control." if links.high["converted"] < 0 else ""
    return (f"The chain is seen to hold up to “{LINKS[held[-1]]}”; the next link, “{missing}”, is not shown by "
            f"itself.{end}")


def mechanism_figure(s: Study) -> p9.ggplot | Prose:
    """The chain of effects with intervals."""
    links = s.metrics.mechanism.links
    if "cs" not in links.index:
        return Prose("In one cohort nobody was in trouble, so there is no chain of effects to draw.")
    shown = (100 * links[["difference", "low", "high"]]).assign(
        label=[capital(LINKS[name]) for name in links.index],
        who=["all assigned" if name == "everybody" else "in trouble" for name in links.index])
    shown["label"] = pd.Categorical(shown["label"], list(shown["label"])[::-1])
    shown["who"] = pd.Categorical(shown["who"], ["in trouble", "all assigned"])
    return (
        figures.Plot(shown, p9.aes("difference", "label", color="who"))
        + p9.geom_vline(xintercept=0, color=figures.GREY)
        + p9.geom_errorbarh(p9.aes(xmin="low", xmax="high"), height=0.18, size=0.8)
        + p9.geom_point(size=2.4)
        + figures.colours(["in trouble", "all assigned"])
        + p9.labs(x="Test less Control, percentage points", y="")
        + figures.theme(height=2.5)
    )


def predicted(s: Study) -> Prose:
    """What the chain predicts for conversion, against what is seen."""
    m = s.metrics.mechanism
    if s.metrics.conversion.z is None:
        return Prose(_nothing(s.metrics.conversion))
    # As everywhere else: Newcombe's interval.
    d = s.metrics.conversion.difference
    seen = _effect(d.estimate, d.low, d.high)
    if m.predicted is None or m.remainder is None:
        return Prose("Control has nobody with a number of completions that some of Test have, so what "
                     "the chain predicts for conversion cannot be told.")
    p, r = m.predicted, m.remainder
    told = (
        f"If Test’s customers converted as Control’s with as many completions do, the changed numbers of "
        f"completions alone would move conversion by {_effect(p.estimate, p.low, p.high)}. Seen is "
        f"{seen}, which leaves {_effect(r.estimate, r.low, r.high)} between customers with equally many completions.")
    if r.low > 0:
        return Prose(f"{told} So the widget moves conversion by more than completions explain.")
    if r.high < 0:
        return Prose(
            f"{told} So at equal completions Test converts less: either those whom the widget helped over a "
            "task are less inclined to buy than those who managed alone, or the widget puts people off.")
    return Prose(
        f"{told} Another way than through completions is not shown. The prediction is no proof of the way: who "
        "completes more is more motivated and has the easier case, so it takes from completing what partly "
        "belongs to the person, and lies, if anything, too far from 0.")


# Subgroups -----------------------------------------------------------------------------------


def _group(dimension: str, value: int) -> str:
    if dimension == "part_of_day":
        return f"started in the {labels.part_of_day(value)}" if labels.part_of_day(value) != "night" else "started at night"
    if dimension == "first_task":
        return f"first trouble in {labels.task(value)}"
    return "restarted a task" if value else "never restarted"


def subgroups_figure(s: Study) -> p9.ggplot | Prose:
    """The effects in subgroups, both metrics."""
    frame = s.metrics.subgroups.reset_index()
    if frame.empty:
        return Prose("No subgroup has customers in both cohorts.")
    frame["label"] = [capital(_group(row.dimension, row.value)) for row in frame.itertuples()]
    frame["label"] = pd.Categorical(frame["label"], list(dict.fromkeys(frame["label"]))[::-1])
    names = {"engagement": "Used CS", "conversion": "Converted"}
    frame["metric"] = pd.Categorical(frame["outcome"].map(names), list(names.values()))
    frame[["difference", "low", "high"]] *= 100
    whole = pd.DataFrame([
        {"metric": names[m.name], "all": 100 * (m.test.value - m.control.value)}
        for m in (s.metrics.engagement, s.metrics.conversion)])
    whole["metric"] = pd.Categorical(whole["metric"], list(names.values()))
    return (
        figures.Plot(frame, p9.aes("difference", "label"))
        + p9.geom_vline(xintercept=0, color=figures.GREY)
        + p9.geom_vline(p9.aes(xintercept="all"), data=whole, color=figures.VERMILION, linetype="dotted")
        + p9.geom_errorbarh(p9.aes(xmin="low", xmax="high"), height=0.2, color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.facet_wrap("metric", scales="free_x")
        + p9.labs(x="Test less Control, percentage points", y="")
        + figures.theme(height=3.4, legend="none")
    )


def subgroups(s: Study) -> Prose:
    """In which subgroups an effect is shown, and whether effects differ."""
    m = s.metrics
    parts = []
    for metric in (m.engagement, m.conversion):
        if metric.name not in m.subgroups.index.get_level_values("outcome"):
            continue
        rows = m.subgroups.loc[metric.name]
        shown = rows[rows.p_adjusted <= m.alpha]
        parts.append(
            f"for {OF[metric.name]} in {'none' if shown.empty else 'all' if len(shown) == len(rows) else number(len(shown))}"
            f"{'' if shown.empty or len(shown) == len(rows) else f' of {number(len(rows))}'}")
    if not parts:
        return Prose("No subgroup has customers in both cohorts.")
    lead = f"A difference is shown, after correction for all subgroups of a metric, {listing(parts)}."
    if m.interactions.empty:
        return Prose(f"{lead} Whether it differs between subgroups cannot be told with so few.")
    found = m.interactions[m.interactions.p_adjusted <= m.alpha]
    smallest = float(m.interactions.p_adjusted.min())
    if found.empty:
        return Prose(
            f"{lead} That the relative change differs between subgroups is not shown (smallest corrected "
            f"{p_value(smallest)}), and that it is the same is not shown either: an interaction takes several "
            "times the customers that the effect itself does. A row that happens to stand out is no reason to "
            "show the widget to some only.")
    names = listing(
        f"that of {OF[outcome]} by {DIMENSIONS[dimension]} (corrected {p_value(row.p_adjusted)})"
        for (outcome, dimension), row in found.iterrows())
    return Prose(
        f"{lead} The relative change is shown to differ: {names}. {_ranges(m, found)} Before groups are treated "
        "differently, that deserves a test of its own.")


def _ranges(m: Metrics, found: pd.DataFrame) -> str:
    """Between which groups an effect that differs is smallest and largest, in points."""
    parts = []
    for outcome, dimension in found.index:
        rows = m.subgroups.loc[outcome].loc[dimension].difference
        parts.append(
            f"In points, the difference in {OF[outcome]} runs from {number(100 * rows.min(), 1)} "
            f"({_group(dimension, rows.idxmin())}) to {number(100 * rows.max(), 1)} ({_group(dimension, rows.idxmax())}).")
    return " ".join(parts)


# One day -------------------------------------------------------------------------------------


def drift(s: Study) -> Prose:
    """Whether the effects change over the hours of the one day."""
    d = s.metrics.drift
    if d.empty:
        return Prose("There are too few hours with customers in both cohorts for a trend over the day.")
    said = listing(
        f"{OF[name]} by {number(100 * row.slope, 2)} points an hour (95% interval "
        f"{interval(100 * row.low, 100 * row.high, 2)}, corrected {p_value(row.p_adjusted)})" for name, row in d.iterrows())
    found = [OF[name] for name, row in d.iterrows() if row.p_adjusted <= s.metrics.alpha]
    lead = f"Over the hours of the first start the difference changes in {said}: "
    if not found:
        return Prose(f"{lead}that it wears off, or grows, within the day is not shown.")
    return Prose(f"{lead}a trend is shown in {listing(found)}. Who starts early is another person than who starts late, so it need not be wear.")


def power(s: Study) -> Prose:
    """What the test as run could see."""
    m = s.metrics.conversion
    if m.power is None or m.detectable is None:
        return Prose("With so few customers, or such shares, what the test could see cannot be told.")
    text = (f"With {count(m.control.n + m.test.n, 'customer')} the test sees a rise of conversion of {_goal(m.smallest_effect)}, "
            f"if there is one, in {percent(m.power, 0)} of cases; the smallest rise that it sees in "
            f"{percent(study.POWER, 0)} is {number(100 * m.detectable, 1)} points")
    few = m.power < study.POWER
    if not few:
        return Prose(f"{text}. It was large enough for what matters.")
    tail = ""
    if m.shown:
        tail = (" That it found one all the same is no proof that it was large enough: tests with too little power that do "
                "find something tend to find too much of it [@gelman2014].")
    return Prose(f"{text}. A power of {percent(m.power, 0)} is less than a test needs.{tail}")


def days_table(s: Study) -> Prose:
    """Days of such traffic for the effects that matter."""
    d = s.metrics.days
    if d.empty:
        return Prose("How many days a test would take cannot be told from such shares.")
    frame = pd.DataFrame([{
        "Rise to be seen": Prose(_goal(effect)), "Power of the day": percent(row.power, 0),
        "Customers needed": number(row.customers), "Days, this split": _days(row.days),
        "Days, in halves": _days(row.even_days), "Days, in trouble only": _days(row.reached_days),
    } for effect, row in d.iterrows()])
    return table(frame, dict.fromkeys(frame.columns, Prose))


def _days(value: float) -> Prose:
    if 100 <= value < math.inf:
        return number(math.ceil(value))
    return number(value, 1)


def longer(s: Study) -> Prose:
    """How long a test would have to run, and how much faster halves would be."""
    d = s.metrics.days
    if d.empty:
        return Prose("How many days a test would take cannot be told from such shares.")
    said = listing(
        f"{number(math.ceil(row.days))} {'day' if math.ceil(row.days) == 1 else 'days'} for a rise of {_goal(effect)}"
        for effect, row in d.iterrows())
    saved = 1 - d.even_days.iloc[0] / d.days.iloc[0]
    halves = (f" Halves instead of this split would save {percent(saved, 0)} of the time."
              if saved >= 0.005 else " Halves would save no time, since the split is near to that.")
    less = 1 - d.reached_days.iloc[0] / d.days.iloc[0]
    reached = (
        f" Better still is to compare only customers in trouble, who can be told before the widget shows: the others "
        f"cannot be helped and only add noise, and without them it takes {percent(less, 0)} less time. That has to be named "
        "in advance, in the next test, not found out in this one." if less >= 0.005 else "")
    return Prose(f"With {percent(study.POWER, 0)} power and such traffic it takes {said}.{halves}{reached}")


def detectable_figure(s: Study) -> p9.ggplot | Prose:
    """The smallest rise that so many days see."""
    d = s.metrics.detectable
    if len(d) < 2:
        return Prose("What a longer test would see cannot be told from such shares.")
    test = s.metrics.conversion.test.n / s.metrics.customers
    names = {"split": f"{100 * test:.0f}% in Test", "even": "50% in Test, in halves"}
    rows = (100 * d).rename(columns=names).reset_index().melt("days", var_name="plan", value_name="rise")
    rows["plan"] = pd.Categorical(rows["plan"], list(names.values()))
    goals = pd.DataFrame({"y": [100 * effect for effect in study.MATTERS]})
    return (
        figures.Plot(rows, p9.aes("days", "rise", color="plan", linetype="plan"))
        + p9.geom_hline(p9.aes(yintercept="y"), data=goals, color=figures.GREY, linetype="dotted")
        + p9.geom_line(size=0.9)
        + figures.log_x(breaks=list(d.index), labels=figures.thousands)
        + p9.scale_y_continuous(limits=(0, None))
        + figures.colours(list(names.values()))
        + p9.labs(x="Days of such traffic", y="Smallest rise seen, points")
        + figures.theme(height=2.8)
    )


# The answer ----------------------------------------------------------------------------------


def answer(s: Study) -> Prose:
    """Did the test work, in a sentence or two."""
    m = s.metrics
    e, c = m.engagement, m.conversion
    if e.z is None:
        return Prose(_nothing(e))
    if not s.decision.trusted:
        return _difference_only(e, c)
    head = {
        Finding.HIGHER: "**The widget brought more customers to CS**",
        Finding.LOWER: "**In Test fewer customers used CS**",
        Finding.EQUIVALENT: "**The widget did not bring customers to CS in any number that matters**",
    }.get(e.decision.finding, "**That the widget brought customers to CS is not shown**")
    told = f"{head}: {_rates(e)}."
    if c.z is None:
        return Prose(f"{told} {_nothing(c)}")
    if not c.tested:
        return Prose(f"{told} So conversion is not tested; it differs by {_effect(c.z.estimate, c.z.interval.low, c.z.interval.high)}.")
    finding = c.decision.finding
    tail = {
        Finding.HIGHER: "Conversion rises as well",
        Finding.LOWER: "But conversion is shown to fall",
        Finding.EQUIVALENT: "Conversion does not change by what would matter",
    }.get(finding, "A change of conversion is not shown")
    thin = (", and thinly" if finding is Finding.HIGHER and c.p_value > 0.01 else "")
    return Prose(f"{told} {tail}{thin}: {_rates(c)}.")


def _difference_only(e: Metric, c: Metric) -> Prose:
    """What the groups differ by, where the test is not trusted."""
    told = (f"**Whether the widget brought customers to CS can’t be told**, since {UNTRUSTED}: "
            f"{_rates(e)}.")
    if c.z is None:
        return Prose(f"{told} That is a difference between the groups, which is not to be read as the "
                     f"widget’s effect. {_nothing(c)}")
    i = c.z.interval
    return Prose(f"{told} Conversion differs by {_effect(c.z.estimate, i.low, i.high)}. Both are "
                 "differences between the groups, which are not to be read as the widget’s effects.")


def means(s: Study) -> Prose:
    """What the result means for the experience."""
    m = s.metrics
    e, c = m.engagement, m.conversion
    if e.z is None or c.z is None:
        return Prose("Without both outcomes among the customers, the test says nothing about the experience.")
    if not s.decision.trusted:
        return Prose(f"As {UNTRUSTED}, the differences say nothing about the experience until it is known "
                     "what brought them about.")
    if e.shown and c.shown:
        return Prose(
            "The widget does what it was built for, and more customers subscribe. How many more is known only "
            f"roughly: anything from {_range(c.z.interval)} points is compatible with this test, "
            "and plans should not rest on the middle of that.")
    if e.shown and c.decision.finding is Finding.LOWER:
        return Prose("The widget moves people to CS and costs subscriptions: engagement was the wrong thing to be pleased about.")
    if e.shown:
        return Prose(
            "The widget does what it was built for. That it earns anything is another question, and this test leaves it "
            f"open: its effect on conversion may be anything from {_range(c.z.interval)} points. More use of CS is a cost until conversion follows.")
    if e.decision.finding is Finding.LOWER:
        return Prose("The widget works against its purpose: fewer customers use CS with it than without.")
    return Prose(
        "Without a rise in the use of CS the widget has no way to help anybody, so a difference in conversion, large or "
        "small, would be chance.")


def limits(s: Study) -> Prose:
    """What the tests can't tell."""
    m = s.metrics
    g = m.guardrails.placebo
    placebo = "" if g is None else (
        " The check on those never in trouble can find a gross fault only: a difference of less than about "
        f"{number(100 * (g.interval.high - g.interval.low) / 2, 1)} points would pass it unseen.")
    return Prose(
        "All intervals are those of one day’s customers as a sample of customers like them; another weekday or season may have "
        f"other customers, and no interval covers that.{placebo} The uniform prior of the Bayesian reading treats every "
        "difference as equally plausible beforehand, which is kinder to large effects than experience is.")
