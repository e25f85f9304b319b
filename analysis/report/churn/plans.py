"""The next steps, planned: a test of offers, a chart of churn, a survey."""

from __future__ import annotations

from functools import partial

import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.plans import (
    ASSUMED,
    DIFFERENCE,
    LIFETIMES,
    MARGINS,
    PARTS,
    POWER,
    QUARTER,
    REDUCTIONS,
    RESPONSES,
    RISES,
    Plans,
)
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    count,
    escape,
    interval,
    listing,
    number,
    percent,
    percents,
    significant,
)

_percent0 = partial(percent, digits=0)


def no_plan(s: Study) -> Prose:
    """Why nothing can be planned."""
    p = s.plans
    if p.churned == 0:
        return Prose("Nobody has churned, so there is no rate that could change.")
    who = (
        "All have churned" if p.at_risk == s.subscribers else
        f"Everybody in the {_first(p)} has churned, and nobody later"
    )
    return Prose(f"{who}, so nobody at risk is left who could be enrolled or watched.")


def _first(p: Plans) -> str:
    """The months in which subscribers are at risk."""
    return f"first {p.last_month} months" if p.last_month > 1 else "first month"


def at_risk(s: Study) -> Prose:
    """For whom to plan, how many have churned, and how many are still there."""
    p = s.plans
    if p.sizes.empty:
        return no_plan(s)
    who = (
        "All subscribers are at risk" if p.at_risk == s.subscribers else
        f"At risk are the {number(p.at_risk)} subscribers in their {_first(p)}, since later nobody "
        "in the table has churned"
    )
    return Prose(
        f"{who}; {percent(p.rate.estimate)} of them have churned (95% interval "
        f"{percents(p.rate.low, p.rate.high)}), at whatever time. Only the other "
        f"{number(p.still_here)}, who {_are(p.still_here)} still there, can be enrolled in a test, "
        "or leave in a month to come."
    )


def _are(n: int) -> str:
    return "is" if n == 1 else "are"


def sizes_table(s: Study) -> Prose:
    """How many subscribers a test of an offer needs."""
    if s.plans.sizes.empty:
        return no_plan(s)
    rows = [
        {"Churn without": row.rate, "Prevented": fewer, "Churn with": row.with_offer,
         "Each group": row.group, "Both": 2 * row.group,
         "Still there": "enough" if row.enough else "too few"}
        for (_, fewer), row in s.plans.sizes.iterrows()
    ]
    return table(pd.DataFrame(rows), {
        "Churn without": percent, "Prevented": _percent0, "Churn with": percent,
        "Each group": number, "Both": number, "Still there": escape,
    })


def sizes(s: Study) -> Prose:
    """What a test with those still there could show, and what it would take otherwise."""
    p = s.plans
    if p.sizes.empty:
        return no_plan(s)
    power = percent(POWER, 0)
    whole = f"as much churn as in the table ({percent(p.rate.estimate)})"
    if p.seen is None:
        return Prose(
            f"Even if {whole} fell into the time of the test, the "
            f"{count(p.still_here, 'subscriber')} still there, halved, would show no effect of an "
            f"offer with a power of {power}."
        )
    small, most = p.sizes.loc[(PARTS[0], REDUCTIONS[0])], p.sizes.loc[(PARTS[-1], REDUCTIONS[0])]
    return Prose(
        f"If {whole} fell into the time of the test, the {number(p.still_here)} still there, halved, "
        f"would show an offer that prevents {percent(p.seen, 0)} of it with a power of {power}. To "
        f"see one that prevents {percent(REDUCTIONS[0], 0)}, each group needs {number(small.group)}, "
        f"and {number(most.group)} if only a quarter of that churn falls into the time of the test."
    )


def chart_figure(s: Study) -> p9.ggplot | Prose:
    """Churn by month of subscription within control limits."""
    frame = s.plans.chart.reset_index()
    if frame.empty:
        return no_plan(s)
    frame["left"], frame["right"] = frame["month"] - 0.5, frame["month"] + 0.5
    names = {"": "within the limits", "above": "above", "below": "below"}
    frame["where"] = pd.Categorical(frame["side"].map(names), list(names.values()))
    marks = dict(zip(names.values(), (figures.BLUE, figures.VERMILION, figures.ORANGE), strict=True))
    shapes = dict(zip(names.values(), ("o", "^", "v"), strict=True))
    return (
        figures.Plot(frame, p9.aes("month", "share"))
        + p9.geom_segment(p9.aes("left", "low", xend="right", yend="low"), color=figures.GREY)
        + p9.geom_segment(p9.aes("left", "high", xend="right", yend="high"), color=figures.GREY)
        + p9.geom_hline(yintercept=frame["centre"].iloc[0], linetype="dashed", color=figures.GREY)
        + p9.geom_path(color=figures.SKY, size=0.5)
        + p9.geom_point(p9.aes(color="where", shape="where"), size=2.2)
        + p9.scale_color_manual(marks)
        + p9.scale_shape_manual(shapes)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + p9.labs(x="Month of subscription", y="Have churned")
        + figures.theme(height=3.0, legend="none" if (frame["side"] == "").all() else "top")
    )


def chart(s: Study) -> Prose:
    """Whether a month stands out."""
    frame = s.plans.chart
    if frame.empty:
        return no_plan(s)
    out = frame[frame["side"] != ""]
    if out.empty:
        return Prose(
            f"All {count(len(frame), 'month lies', 'months lie')} within the limits: where one month "
            "lies above another, there is nothing to explain."
        )
    told = listing(
        f"month {month} ({percent(row.share, 0)}, {row.side})" for month, row in out.head(6).iterrows())
    more = f" and {number(len(out) - 6)} more" if len(out) > 6 else ""
    return Prose(
        f"Outside the limits {'is' if len(out) == 1 else 'are'} {told}{more} of "
        f"{count(len(frame), 'month')}: there the rate itself is another one, and a reason worth "
        "looking for."
    )


def watch_table(s: Study) -> Prose:
    """How soon a chart would notice a rise of a monthly rate."""
    if s.plans.watch.empty:
        return no_plan(s)
    rows, before = [], None
    for (case, rise), row in s.plans.watch.iterrows():
        new = case != before
        named = percent(row["rate"], 2 if case == LIFETIMES else 0)
        told = f"{named} {'if lengths are lifetimes' if case == LIFETIMES else 'assumed'}"
        rows.append({
            "Churn in a month": told if new else "",
            "No signal": interval(row["low"], row["high"], 0) if new else Prose(""),
            "Rises by": percent(rise, 0), f"Seen in {QUARTER} months": percent(row["quarter"]),
            "Months until seen": significant(row["run"], 2),
        })
        before = case
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def watch(s: Study) -> Prose:
    """The limits of a coming month, and what they would notice."""
    p = s.plans
    if p.limits is None:
        return no_plan(s)
    n, found = p.limits.n, p.monthly
    text = (
        f"Such counts the table does not hold: {percent(p.rate.estimate)} is the share who have churned "
        "at whatever time, and how many do in a month is not known. If lengths are lifetimes "
        f"(@sec-netflix-lengths-survival), it is {percent(found.estimate, 2)} of those at risk (95% "
        f"interval {percents(found.low, found.high, 2)}), and "
    )
    text += (
        f"{within(s)} without meaning anything; a month outside comes by chance once in "
        f"{significant(1 / p.limits.false_alarm, 2)} months."
        if p.limits.false_alarm > 0 else
        f"with the {number(n)} still there no count of a month would be a signal: any can come by "
        "chance."
    )
    rows = p.watch.loc[LIFETIMES]
    if len(rows):
        sure = rows[rows["quarter"] >= POWER]
        text += (
            f" A rise by {percent(sure.index[0], 0)} would be noticed within {QUARTER} months with a "
            f"probability of {_chance(sure['quarter'].iloc[0])}." if len(sure) else
            f" Not even a rise by {percent(rows.index[-1], 0)} would be noticed reliably within "
            f"{QUARTER} months (with a probability of {_chance(rows['quarter'].iloc[-1])}): with so "
            "few who leave, add up several months to one point."
        )
    return Prose(text)


def within(s: Study) -> Prose:
    """How many may churn in a month by chance, if lengths are lifetimes; the end of a sentence."""
    found = s.plans.limits
    return Prose(
        f"{number(found.low)} to {number(found.high)} of the {number(found.n)} still there may churn "
        "in a month")


def _chance(probability: float) -> Prose:
    if probability > 0.995:
        return Prose("over 99%")
    return Prose("less than 1%") if probability < 0.005 else percent(probability, 0)


def survey(s: Study) -> Prose:
    """How many answers, and of whom."""
    answers = s.plans.survey["answers"]
    wide, close = MARGINS[0], MARGINS[1]
    text = (
        f"For a share to within {percent(close, 0)} either way, {number(answers[close])} answers are "
        f"enough, whatever it is; to within {percent(wide, 0)}, {number(answers[wide])}."
    )
    score = s.plans.score
    if len(score):
        told = listing(
            f"{number(row.answers)} of either group for the {labels.trait(name)}"
            for name, row in score.iterrows())
        text += (
            f" To see a difference of {number(DIFFERENCE, 1)} points between users of one device and "
            f"others takes more: {told}."
        )
    return Prose(text)


def silence_table(s: Study) -> Prose:
    """What those who do not answer may hide."""
    frame = s.plans.silence.reset_index()
    shown = pd.DataFrame({
        "Answer": frame["response"], "Yes among answers": 0.5,
        "Yes among all, at least": frame["low"], "At most": frame["high"],
    })
    return table(shown, dict.fromkeys(shown.columns, _percent0))


def silence(s: Study) -> Prose:
    """Why response matters more than the number of answers."""
    row = s.plans.silence.loc[RESPONSES[0]]
    return Prose(
        f"If {percent(RESPONSES[0], 0)} answer and half of them say yes, anything from "
        f"{percent(row.low, 0)} to {percent(row.high, 0)} of all may agree [@manski1989], however many "
        "answers that is: a small random sample that is asked three times tells more than an open "
        "link."
    )


def answer(s: Study) -> Prose:
    """What a test of offers takes, under which condition, and who is there."""
    p = s.plans
    if p.sizes.empty:
        return no_plan(s)
    rows = [p.sizes.loc[(part, REDUCTIONS[1])] for part in (PARTS[0], PARTS[-1])]
    need = [number(2 * row.group) for row in rows]
    return Prose(
        f"To see an offer that prevents {percent(REDUCTIONS[1], 0)} of the churn takes {need[0]} "
        "subscribers at risk, in two groups drawn at random, if as much churn as in the table "
        f"({percent(p.rate.estimate)}) falls into the test, and {need[1]} if a quarter of that does; "
        f"{number(p.still_here)} {_are(p.still_here)} still there (@sec-netflix-next-test)."
    )


def assumptions(s: Study) -> Prose:
    """What the plans take for granted."""
    rises, rates = (listing(percent(share, 0) for share in shares)
                    for shares in (RISES, ASSUMED.values()))
    return Prose(
        "All sizes are for two equal groups drawn at random, a two-sided test at 5% and a power of "
        f"{percent(POWER, 0)}; the chart's rises ({rises}) are of the monthly rate. The table has no "
        "dates, so what part of its churn falls into the weeks of a test is an assumption, and so "
        f"are monthly rates of {rates}: run the first weeks without an offer, count, and put the "
        "rate seen in their place."
    )
