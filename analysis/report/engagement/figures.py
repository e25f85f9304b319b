"""Figures of the engagement chapter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis import engagement as study
from analysis.report import figures
from analysis.report.engagement import AFTER, BEFORE, PLAN_NAMES
from analysis.report.text import dropped
from analysis.stats import descriptive

LOG_BREAKS = [0.1, 1, 10, 100, 1000]
LOG_LABELS = ["0.1", "1", "10", "100", "1,000"]


def _plans(frame: pd.DataFrame) -> pd.DataFrame:
    """Plan names as the reader knows them, paid first, so that panels keep their order."""
    names = pd.Categorical(frame["plan"].map(PLAN_NAMES), list(PLAN_NAMES.values()))
    return frame.assign(plan=names)


def distribution(s: study.Study) -> p9.ggplot:
    """Minutes per active student on a log scale, one curve a quarter."""
    # A fifth of a decade a bin: finer ones would show that minutes are kept to two decimals.
    edges = np.arange(np.log10(0.05), np.log10(20000), 0.2)
    parts = []
    for (plan, quarter), g in s.groups.items():
        shares, _ = np.histogram(np.log10(np.maximum(g.minutes, 0.05)), bins=edges)
        middle = 10 ** ((edges[1:] + edges[:-1]) / 2)
        parts.append(
            pd.DataFrame(
                {
                    "plan": plan,
                    "quarter": quarter,
                    "minutes": middle,
                    "share": shares / len(g.minutes),
                }
            )
        )
    frame = _plans(pd.concat(parts))
    return (
        figures.Plot(frame, p9.aes("minutes", "share", fill="quarter", color="quarter"))
        + p9.geom_area(alpha=0.22, position="identity")
        + p9.facet_wrap("plan", ncol=2)
        + figures.log_x(breaks=LOG_BREAKS, labels=LOG_LABELS)
        + p9.scale_y_continuous(labels=figures.percents)
        + figures.colours(study.QUARTERS)
        + figures.fills(study.QUARTERS)
        + p9.labs(x="Minutes watched in the quarter (log scale)", y="Share of students")
        + figures.theme()
    )


def ecdf(s: study.Study) -> p9.ggplot:
    """Share of students who watched at most so many minutes."""
    parts = []
    for (plan, quarter), g in s.groups.items():
        curve = descriptive.ecdf(g.minutes, points=240)
        parts.append(curve[curve.value > 0].assign(plan=plan, quarter=quarter))
    return (
        figures.Plot(_plans(pd.concat(parts)), p9.aes("value", "share", color="quarter"))
        + p9.geom_hline(yintercept=0.5, color=figures.GREY, linetype="dotted")
        + p9.geom_step()
        + p9.facet_wrap("plan", ncol=2)
        + figures.log_x(breaks=LOG_BREAKS, labels=LOG_LABELS)
        + p9.scale_y_continuous(labels=figures.percents)
        + figures.colours(study.QUARTERS)
        + p9.labs(x="Minutes watched (log scale)", y="Share of students at or below")
        + figures.theme()
    )


def lorenz(s: study.Study) -> p9.ggplot:
    """Share of all minutes, nothing trimmed, held by the students who watch least."""
    parts = [
        descriptive.lorenz(g.raw, points=120).assign(plan=plan, quarter=quarter)
        for (plan, quarter), g in s.groups.items()
    ]
    frame = _plans(pd.concat(parts))
    return (
        figures.Plot(frame, p9.aes("population_share", "value_share", color="quarter"))
        + p9.geom_abline(slope=1, intercept=0, color=figures.GREY, linetype="dotted")
        + p9.geom_line()
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_x_continuous(breaks=[0.25, 0.5, 0.75], labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents)
        + figures.colours(study.QUARTERS)
        + p9.labs(x="Students, least active first", y="Share of all minutes")
        + figures.theme()
    )


def intervals(s: study.Study) -> p9.ggplot:
    """Mean minutes with both kinds of interval."""
    rows = [
        {
            "plan": plan,
            "quarter": quarter,
            "kind": kind,
            "mean": g.summary.mean,
            "low": i.low,
            "high": i.high,
        }
        for (plan, quarter), g in s.groups.items()
        for kind, i in (("t interval", g.t_interval), ("bootstrap BCa", s.bca[plan, quarter]))
    ]
    frame = _plans(pd.DataFrame(rows))
    frame["quarter"] = pd.Categorical(frame.quarter, study.QUARTERS[::-1])
    dodge = p9.position_dodge(width=0.5)
    return (
        figures.Plot(frame, p9.aes("quarter", "mean", ymin="low", ymax="high", color="kind"))
        + p9.geom_errorbar(position=dodge, width=0.2)
        + p9.geom_point(position=dodge, size=2)
        + p9.facet_wrap("plan", ncol=2, scales="free_x")
        + p9.coord_flip()
        + figures.colours(("t interval", "bootstrap BCa"))
        + p9.labs(x="", y="Mean minutes per active student")
        + figures.theme(height=2.7)
    )


def turnover(s: study.Study) -> p9.ggplot:
    """All minutes watched, by whether the student was there in one quarter or in both."""
    rows = []
    for plan, t in s.turnover.items():
        for row in t.students.itertuples():
            for quarter, total in ((BEFORE, row.total_before), (AFTER, row.total_after)):
                if total > 0:
                    who = "in both quarters" if row.who == "stayed" else "in this quarter only"
                    rows.append({"plan": plan, "quarter": quarter, "who": who, "hours": total / 60})
    frame = _plans(pd.DataFrame(rows))
    order = ("in this quarter only", "in both quarters")
    frame["who"] = pd.Categorical(frame.who, order)
    return (
        figures.Plot(frame, p9.aes("quarter", "hours", fill="who"))
        + p9.geom_col(width=0.62)
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_y_continuous(labels=figures.thousands)
        + figures.fills(order)
        + p9.labs(x="", y="Hours watched by all students")
        + figures.theme(height=3.2)
    )


def sensitivity(s: study.Study) -> p9.ggplot:
    """The ratio of the means under other rules for the extreme top."""
    frame = _plans(s.sensitivity)
    labels = [dropped(k) for k in study.TRIMS]
    frame["rule"] = pd.Categorical([dropped(k) for k in frame.kept], labels[::-1])
    return (
        figures.Plot(frame, p9.aes("rule", "ratio", ymin="ratio_low", ymax="ratio_high"))
        + p9.geom_hline(yintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_errorbar(width=0.2, color=figures.BLUE)
        + p9.geom_point(size=2, color=figures.BLUE)
        + p9.facet_wrap("plan", ncol=2, scales="free_x")
        + p9.coord_flip()
        + p9.labs(x="Dropped from the top", y=f"Mean minutes, {AFTER} as a multiple of {BEFORE}")
        + figures.theme(height=2.9)
    )


def sample_size(s: study.Study) -> p9.ggplot:
    """Students an arm that an experiment needs, by the lift that it must be able to see."""
    lifts = np.geomspace(0.03, 0.5, 40)
    parts = [
        pd.DataFrame(
            {
                "plan": plan,
                "lift": lifts,
                "n": [study.students_per_arm(e.mean, e.sd, lift) for lift in lifts],
            }
        )
        for plan, e in s.experiments.items()
    ]
    frame = _plans(pd.concat(parts))
    return (
        figures.Plot(frame, p9.aes("lift", "n", color="plan"))
        + p9.geom_vline(xintercept=study.RELEVANT_LIFT, color=figures.GREY, linetype="dotted")
        + p9.geom_line()
        + figures.log_x(breaks=[0.03, 0.05, 0.1, 0.2, 0.5], labels=figures.percents)
        + figures.log_y(labels=figures.thousands)
        + figures.colours(PLAN_NAMES.values())
        + p9.labs(x="Lift of mean minutes to be seen", y="Students in each arm")
        + figures.theme(height=3.0)
    )
