"""The next steps, planned: a test of offers, a chart of churn, a survey."""

from __future__ import annotations

from functools import partial

import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.plans import (
    DIFFERENCE,
    MARGINS,
    PARTS,
    POWER,
    QUARTER,
    REDUCTIONS,
    RESPONSES,
    RISES,
)
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    count,
    escape,
    listing,
    number,
    percent,
    percents,
    significant,
)

_percent0 = partial(percent, digits=0)


def _no_rate(s: Study) -> Prose:
    """Why nothing can be planned."""
    who = "Nobody has" if s.plans.churned == 0 else "All have"
    return Prose(f"{who} churned, so there is no rate that could change.")


def at_risk(s: Study) -> Prose:
    """For whom to plan, and at what rate."""
    p = s.plans
    if not 0 < p.rate.estimate < 1:
        return _no_rate(s)
    who = (
        "All subscribers are at risk" if p.at_risk == s.subscribers else
        f"At risk are the {count(p.at_risk, 'subscriber')} in their first {p.last_month} months, "
        "since later nobody in the table has churned"
    )
    return Prose(
        f"{who}; {percent(p.rate.estimate)} of them have churned (95% interval "
        f"{percents(p.rate.low, p.rate.high)})."
    )


def sizes_table(s: Study) -> Prose:
    """How many subscribers a test of an offer needs."""
    if s.plans.sizes.empty:
        return _no_rate(s)
    rows = [
        {"Churn without": row.rate, "Prevented": fewer, "Churn with": row.with_offer,
         "Each group": row.group, "Both": 2 * row.group,
         "At risk here": "enough" if row.enough else "too few"}
        for (_, fewer), row in s.plans.sizes.iterrows()
    ]
    return table(pd.DataFrame(rows), {
        "Churn without": percent, "Prevented": _percent0, "Churn with": percent,
        "Each group": number, "Both": number, "At risk here": escape,
    })


def sizes(s: Study) -> Prose:
    """What a test with those at risk could show, and how long it would take otherwise."""
    p = s.plans
    if p.sizes.empty:
        return _no_rate(s)
    power = percent(POWER, 0)
    if p.seen is None:
        return Prose(
            f"With only {count(p.at_risk, 'subscriber')} at risk, halved, no effect of an offer would "
            f"be seen with a power of {power}."
        )
    small, most = p.sizes.loc[(PARTS[0], REDUCTIONS[0])], p.sizes.loc[(PARTS[-1], REDUCTIONS[0])]
    return Prose(
        f"If a rate as in the table fell into the time of the test, the {number(p.at_risk)} at risk, "
        f"halved, would show an offer that prevents {percent(p.seen, 0)} of the churn with a power of "
        f"{power}. To see one that prevents {percent(REDUCTIONS[0], 0)}, each group needs "
        f"{number(small.group)}, and {number(most.group)} if only a quarter of that rate falls into "
        "the time of the test."
    )


def chart_figure(s: Study) -> p9.ggplot | Prose:
    """Churn by month of subscription within control limits."""
    frame = s.plans.chart.reset_index()
    if frame.empty:
        return _no_rate(s)
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
        return _no_rate(s)
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
    """How soon a chart would notice a rise."""
    if s.plans.watch.empty:
        return _no_rate(s)
    frame = s.plans.watch.reset_index()
    shown = pd.DataFrame({
        "Churn rises by": frame["rise"], "Seen in a month": frame["month"],
        f"In one of {QUARTER}": frame["quarter"], "Months until seen": frame["run"],
    })
    return table(shown, {
        "Churn rises by": _percent0, "Seen in a month": percent, f"In one of {QUARTER}": percent,
        "Months until seen": partial(significant, figures=2),
    })


def watch(s: Study) -> Prose:
    """The limits of a coming month, and what they would notice."""
    p = s.plans
    if p.limits is None:
        return _no_rate(s)
    n = p.limits.n
    text = (
        f"In a month with {count(n, 'subscriber')} at risk and the table's rate, "
        f"{number(p.limits.low)} to {number(p.limits.high)} may churn "
        f"({percents(p.limits.low / n, p.limits.high / n)}) without meaning anything; a month outside "
        f"comes by chance once in {significant(1 / p.limits.false_alarm, 2)} months."
        if p.limits.false_alarm > 0 else
        f"With {count(n, 'subscriber')} at risk, no count of a month would be a signal: any can come by "
        "chance."
    )
    if len(p.watch):
        sure = p.watch[p.watch["quarter"] >= POWER]
        text += (
            f" A rise by {percent(sure.index[0], 0)} would be noticed within {QUARTER} months with a "
            f"probability of {percent(sure['quarter'].iloc[0], 0)}." if len(sure) else
            f" Not even a rise by {percent(p.watch.index[-1], 0)} would be noticed reliably within "
            f"{QUARTER} months: with so few subscribers, add up several months to one point."
        )
    return Prose(text)


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
    """The plans in a sentence."""
    p = s.plans
    if p.sizes.empty:
        return _no_rate(s)
    row = p.sizes.loc[(PARTS[0], REDUCTIONS[1])]
    return Prose(
        f"A randomised test of an offer that prevents {percent(REDUCTIONS[1], 0)} of the churn needs "
        f"{number(2 * row.group)} subscribers at risk; here there are {number(p.at_risk)}."
    )


def assumptions(s: Study) -> Prose:
    """What the plans take for granted."""
    rises = listing(percent(rise, 0) for rise in RISES)
    return Prose(
        "All sizes are for two equal groups drawn at random, a two-sided test at 5% and a power of "
        f"{percent(POWER, 0)}; the chart's rises ({rises}) are of the rate. The table has no dates, so "
        "what part of its churn falls into the weeks of a test is an assumption: run the first weeks "
        "without an offer and put the rate seen in its place."
    )
