"""Figures, tables and sentences of the engagement chapter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis import engagement as study
from analysis.report import figures
from analysis.report.sentences import decision, effect_text, increase_sentence
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    change,
    count,
    interval,
    listing,
    number,
    p_value,
    percent,
    significant,
)
from analysis.stats import descriptive, power

PLAN_NAMES = {"paid": "Paid plan", "free": "Free plan"}
PLAN_STUDENTS = {"paid": "paying students", "free": "free-plan students"}
BEFORE, AFTER = study.QUARTERS
LOG_BREAKS = [0.1, 1, 10, 100, 1000, 10000]
LOG_LABELS = ["0.1", "1", "10", "100", "1,000", "10,000"]


def _plans(frame: pd.DataFrame) -> pd.DataFrame:
    """Plan names as the reader knows them, paid first, so that panels keep their order."""
    names = pd.Categorical(frame["plan"].map(PLAN_NAMES), list(PLAN_NAMES.values()))
    return frame.assign(plan=names)


# --- figures ---------------------------------------------------------------------------------


def fig_distribution(s: study.Study) -> p9.ggplot:
    """Minutes per active student on a log scale, one curve a quarter."""
    edges = np.linspace(np.log10(0.05), np.log10(20000), 61)
    parts = []
    for (plan, quarter), g in s.groups.items():
        shares, _ = np.histogram(np.log10(np.maximum(g.minutes, 0.05)), bins=edges)
        middle = 10 ** ((edges[1:] + edges[:-1]) / 2)
        parts.append(
            pd.DataFrame(
                {"plan": plan, "quarter": quarter, "minutes": middle,
                 "share": shares / len(g.minutes)}
            )
        )
    frame = _plans(pd.concat(parts))
    return (
        p9.ggplot(frame, p9.aes("minutes", "share", fill="quarter", color="quarter"))
        + p9.geom_area(alpha=0.22, position="identity")
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_x_log10(breaks=LOG_BREAKS[1:4], labels=LOG_LABELS[1:4])
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:.0f}%" for y in ys])
        + figures.colours(study.QUARTERS)
        + figures.fills(study.QUARTERS)
        + p9.labs(x="Minutes watched in the quarter (log scale)", y="Share of students")
        + figures.theme()
    )


def fig_ecdf(s: study.Study) -> p9.ggplot:
    """Share of students who watched at most so many minutes."""
    parts = []
    for (plan, quarter), g in s.groups.items():
        curve = descriptive.ecdf(g.minutes, points=240)
        parts.append(curve[curve.value > 0].assign(plan=plan, quarter=quarter))
    return (
        p9.ggplot(_plans(pd.concat(parts)), p9.aes("value", "share", color="quarter"))
        + p9.geom_hline(yintercept=0.5, color=figures.GREY, linetype="dotted")
        + p9.geom_step()
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_x_log10(breaks=LOG_BREAKS[1:4], labels=LOG_LABELS[1:4])
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:.0f}%" for y in ys])
        + figures.colours(study.QUARTERS)
        + p9.labs(x="Minutes watched (log scale)", y="Share of students at or below")
        + figures.theme()
    )


def fig_lorenz(s: study.Study) -> p9.ggplot:
    """Share of all minutes held by the students who watch least."""
    parts = [
        descriptive.lorenz(g.minutes, points=120).assign(plan=plan, quarter=quarter)
        for (plan, quarter), g in s.groups.items()
    ]
    frame = _plans(pd.concat(parts))
    return (
        p9.ggplot(frame, p9.aes("population_share", "value_share", color="quarter"))
        + p9.geom_abline(slope=1, intercept=0, color=figures.GREY, linetype="dotted")
        + p9.geom_line()
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_x_continuous(labels=lambda xs: [f"{100 * x:.0f}%" for x in xs])
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:.0f}%" for y in ys])
        + figures.colours(study.QUARTERS)
        + p9.labs(x="Students, least active first", y="Share of all minutes")
        + figures.theme()
    )


def fig_intervals(s: study.Study) -> p9.ggplot:
    """Mean minutes with both kinds of interval."""
    rows = [
        {"plan": plan, "quarter": quarter, "kind": kind, "mean": g.summary.mean,
         "low": i.low, "high": i.high}
        for (plan, quarter), g in s.groups.items()
        for kind, i in (("t interval", g.t_interval), ("bootstrap BCa", g.bca_interval))
    ]
    frame = _plans(pd.DataFrame(rows))
    frame["quarter"] = pd.Categorical(frame.quarter, study.QUARTERS[::-1])
    dodge = p9.position_dodge(width=0.5)
    return (
        p9.ggplot(frame, p9.aes("quarter", "mean", ymin="low", ymax="high", color="kind"))
        + p9.geom_errorbar(position=dodge, width=0.2)
        + p9.geom_point(position=dodge, size=2)
        + p9.facet_wrap("plan", ncol=2, scales="free_x")
        + p9.coord_flip()
        + figures.colours(("t interval", "bootstrap BCa"))
        + p9.labs(x="", y="Mean minutes per active student")
        + figures.theme(height=2.7)
    )


def fig_turnover(s: study.Study) -> p9.ggplot:
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
        p9.ggplot(frame, p9.aes("quarter", "hours", fill="who"))
        + p9.geom_col(width=0.62)
        + p9.facet_wrap("plan", ncol=2)
        + p9.scale_y_continuous(labels=lambda ys: [f"{y:,.0f}" for y in ys])
        + figures.fills(order)
        + p9.labs(x="", y="Hours watched by all students")
        + figures.theme(height=3.2)
    )


def fig_sensitivity(s: study.Study) -> p9.ggplot:
    """The ratio of the means under other rules for the extreme top."""
    frame = _plans(s.sensitivity)
    labels = [_kept(k) for k in study.TRIMS]
    frame["rule"] = pd.Categorical([_kept(k) for k in frame.kept], labels[::-1])
    return (
        p9.ggplot(frame, p9.aes("rule", "ratio", ymin="ratio_low", ymax="ratio_high"))
        + p9.geom_hline(yintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_errorbar(width=0.2, color=figures.BLUE)
        + p9.geom_point(size=2, color=figures.BLUE)
        + p9.facet_wrap("plan", ncol=2, scales="free_x")
        + p9.coord_flip()
        + p9.labs(x="Dropped from the top", y=f"Mean minutes, {AFTER} as a multiple of {BEFORE}")
        + figures.theme(height=2.9)
    )


def _kept(quantile: float) -> str:
    return "nothing" if quantile == 1 else f"{100 * (1 - quantile):g}%"


def fig_sample_size(s: study.Study) -> p9.ggplot:
    """Students an arm that an experiment needs, by the lift that it must be able to see."""
    lifts = np.geomspace(0.03, 0.5, 40)
    parts = [
        pd.DataFrame(
            {
                "plan": plan,
                "lift": lifts,
                "n": [
                    power.sample_size_means(
                        difference=lift * e.mean, sd=e.sd, alpha=study.ALPHA, power=study.POWER
                    )
                    for lift in lifts
                ],
            }
        )
        for plan, e in s.experiments.items()
    ]
    frame = _plans(pd.concat(parts))
    return (
        p9.ggplot(frame, p9.aes("lift", "n", color="plan"))
        + p9.geom_vline(xintercept=study.RELEVANT_LIFT, color=figures.GREY, linetype="dotted")
        + p9.geom_line()
        + p9.scale_x_log10(
            breaks=[0.03, 0.05, 0.1, 0.2, 0.5], labels=["3%", "5%", "10%", "20%", "50%"]
        )
        + p9.scale_y_log10(labels=lambda ns: [f"{n:,.0f}" for n in ns])
        + figures.colours(PLAN_NAMES.values())
        + p9.labs(x="Lift of mean minutes to be seen", y="Students in each arm")
        + figures.theme(height=3.0)
    )


# --- tables ----------------------------------------------------------------------------------


def _group_rows(s: study.Study, columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"Plan": plan, "Quarter": quarter} | columns(g) for (plan, quarter), g in s.groups.items()
    )


def tbl_trimming(s: study.Study) -> Prose:
    """What the outlier rule drops."""
    frame = _group_rows(
        s,
        lambda g: {
            "Students": g.raw_summary.n,
            "Longest": g.raw_summary.maximum,
            "Dropped above": g.threshold,
            "Dropped": g.raw_summary.n - g.summary.n,
            "Kept": g.summary.n,
            "Mean before": g.raw_summary.mean,
            "Mean after": g.summary.mean,
        },
    )
    one = lambda v: number(v, 1)  # noqa: E731
    return table(
        frame,
        {"Students": number, "Longest": number, "Dropped above": one, "Dropped": number,
         "Kept": number, "Mean before": one, "Mean after": one},
    )


def tbl_description(s: study.Study) -> Prose:
    """Centre and spread of minutes by plan and quarter."""
    frame = _group_rows(
        s,
        lambda g: {
            "Students": g.summary.n,
            "Mean": g.summary.mean,
            "SD": g.summary.sd,
            "25%": g.summary.p25,
            "Median": g.summary.median,
            "75%": g.summary.p75,
            "Trimmed mean": g.summary.trimmed_mean_20,
        },
    )
    formats = {name: (lambda v: number(v, 1)) for name in frame.columns[3:]}
    return table(frame, {"Students": number} | formats)


def tbl_shape(s: study.Study) -> Prose:
    """Skewness, kurtosis and concentration."""
    frame = _group_rows(
        s,
        lambda g: {
            "Skewness": g.summary.skewness,
            "Excess kurtosis": g.summary.excess_kurtosis,
            "Mean / median": g.summary.mean / g.summary.median,
            "Top 1% holds": g.summary.top_01_share,
            "Top 10% holds": g.summary.top_10_share,
            "Gini": g.summary.gini,
        },
    )
    two = lambda v: number(v, 2)  # noqa: E731
    return table(
        frame,
        {"Skewness": two, "Excess kurtosis": two, "Mean / median": lambda v: number(v, 1),
         "Top 1% holds": percent, "Top 10% holds": percent, "Gini": two},
    )


def tbl_intervals(s: study.Study) -> Prose:
    """Both 95% intervals of the mean and how far each end lies from it."""
    frame = _group_rows(
        s,
        lambda g: {
            "Mean": number(g.summary.mean, 1),
            "t interval": interval(g.t_interval.low, g.t_interval.high),
            "BCa interval": interval(g.bca_interval.low, g.bca_interval.high),
            "BCa reach below": number(g.summary.mean - g.bca_interval.low, 1),
            "BCa reach above": number(g.bca_interval.high - g.summary.mean, 1),
        },
    )
    return table(frame, {name: Prose for name in frame.columns[2:]})


def tbl_variances(comparisons: list[study.Comparison]) -> Prose:
    """Tests of equal spread."""
    rows = [
        {
            "Comparison": c.name,
            "Test": label,
            "Statistic": significant(t.statistic),
            "df": _df(t.df),
            "Critical": number(t.critical_value, 3),
            "p": p_value(t.p_value),
        }
        for c in comparisons
        for label, t in (("F", c.f_test), ("Brown–Forsythe", c.brown_forsythe))
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def _df(df) -> Prose:
    if isinstance(df, tuple):
        return Prose(", ".join(number(d) for d in df))
    return number(df) if float(df).is_integer() else number(df, 1)


def tbl_steps(comparisons: list[study.Comparison]) -> Prose:
    """Welch's test, one line a step."""
    steps: dict[str, list[str]] = {}
    for c in comparisons:
        w = c.welch
        for name, value in (
            ("Mean of the first group", number(c.means[0], 2)),
            ("Mean of the second group", number(c.means[1], 2)),
            ("Difference (first − second)", number(w.estimate, 2)),
            ("Standard error of the difference", number(w.standard_error, 3)),
            ("t", number(w.statistic, 3)),
            ("Degrees of freedom", number(w.df, 1)),
            ("Critical value at 5%", number(w.critical_value, 3)),
            ("p", p_value(w.p_value)),
            ("Decision", decision(w)),
        ):
            steps.setdefault(name, []).append(value)
    frame = pd.DataFrame(
        [[name, *values] for name, values in steps.items()],
        columns=["Step", *(c.name for c in comparisons)],
    )
    return table(frame, {c.name: Prose for c in comparisons})


def tbl_effects(comparisons: list[study.Comparison]) -> Prose:
    """Effect sizes with their 95% intervals, second group against first."""
    rows = []
    for c in comparisons:
        low, high = -c.welch.interval.high, -c.welch.interval.low
        rows.append(
            {
                "Comparison": c.name,
                "Difference, minutes": f"{number(-c.welch.estimate, 1)} ({interval(low, high)})",
                "Ratio of means": effect_text(c.welch.effect("ratio of means"), inverse=True),
                "Hedges' g": effect_text(c.welch.effect("Hedges' g"), negate=True),
                "Chance to watch more": effect_text(
                    c.mann_whitney.effect("probability of superiority"), complement=True
                ),
            }
        )
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def tbl_methods(comparisons: list[study.Comparison]) -> Prose:
    """The same question put to four tests."""
    rows = [
        {
            "Test of": label,
            "Method": method,
            **{c.name: f"{p_value(getattr(c, field).p_value)}" for c in comparisons},
        }
        for label, method, field in (
            ("means", "Welch", "welch"),
            ("means", "Student, pooled variance", "student"),
            ("means", "permutation", "permutation"),
            ("ranks", "Mann–Whitney", "mann_whitney"),
        )
    ]
    return table(pd.DataFrame(rows), {c.name: Prose for c in comparisons})


def tbl_turnover(s: study.Study) -> Prose:
    """Who left, stayed and came, and what they watched."""
    names = {"left": f"{BEFORE} only", "stayed": "both quarters", "came": f"{AFTER} only"}
    rows = [
        {
            "Plan": PLAN_NAMES[plan],
            "Students active in": names[row.who],
            "Students": row.students,
            f"Mean {BEFORE}": row.mean_before,
            f"Mean {AFTER}": row.mean_after,
        }
        for plan, t in s.turnover.items()
        for row in t.students.itertuples()
    ]
    one = lambda v: number(v, 1)  # noqa: E731
    return table(
        pd.DataFrame(rows), {"Students": number, f"Mean {BEFORE}": one, f"Mean {AFTER}": one}
    )


def tbl_decomposition(s: study.Study) -> Prose:
    """Kitagawa's decomposition of the change of the mean."""
    rows = [
        {
            "Plan": PLAN_NAMES[plan],
            "Change of the mean": t.mean_after - t.mean_before,
            "Same students": t.from_stayers,
            "Newcomers against leavers": t.from_exchange,
            "Share of stayers": t.from_weights,
        }
        for plan, t in s.turnover.items()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: (lambda v: number(v, 1)) for name in frame.columns[1:]})


def tbl_pairs(pairs: list[study.Pairs]) -> Prose:
    """Students of both quarters, each against himself or herself."""
    rows = [
        {
            "Plan": PLAN_NAMES[p.plan],
            "Chosen by": p.selection,
            "Students": number(len(p.before)),
            f"Mean {BEFORE}": number(p.before.mean(), 1),
            f"Mean {AFTER}": number(p.after.mean(), 1),
            f"Median {BEFORE}": number(np.median(p.before), 1),
            f"Median {AFTER}": number(np.median(p.after), 1),
            "Watched more": f"{percent(p.watched_more.estimate, 0)} "
            f"({interval(100 * p.watched_more.low, 100 * p.watched_more.high, 0)})",
        }
        for p in pairs
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def tbl_family(s: study.Study) -> Prose:
    """The study's three questions, corrected for being three."""
    return table(
        s.family,
    )


def tbl_experiments(s: study.Study) -> Prose:
    """Sample sizes of the experiment that would answer the question."""
    rows = [
        {
            "Plan": PLAN_NAMES[plan],
            "Mean": number(e.mean, 1),
            "SD": number(e.sd, 1),
            "Students an arm": number(e.per_arm),
            "with earlier minutes as covariate": number(e.per_arm_adjusted),
            "Lift that one quarter can show": percent(e.detectable_lift),
        }
        for plan, e in s.experiments.items()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})
