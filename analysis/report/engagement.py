"""Figures, tables and sentences of the engagement chapter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis import engagement as study
from analysis.report import figures
from analysis.report.sentences import (
    decision,
    difference_sentence,
    effect_text,
    equivalence_sentence,
    increase_sentence,
)
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    change,
    count,
    escape,
    interval,
    listing,
    number,
    p_value,
    percent,
    significant,
)
from analysis.stats import descriptive
from analysis.stats.decision import Finding, decide

PLAN_NAMES = {"paid": "Paid plan", "free": "Free plan"}
PLAN_CELLS = {"paid": "Paid", "free": "Free"}  # in tables, where the column says "Plan"
PLAN_STUDENTS = {"paid": "paying students", "free": "free-plan students"}
BEFORE, AFTER = study.QUARTERS
LOG_BREAKS = [0.1, 1, 10, 100, 1000]
LOG_LABELS = ["0.1", "1", "10", "100", "1,000"]


def _plans(frame: pd.DataFrame) -> pd.DataFrame:
    """Plan names as the reader knows them, paid first, so that panels keep their order."""
    names = pd.Categorical(frame["plan"].map(PLAN_NAMES), list(PLAN_NAMES.values()))
    return frame.assign(plan=names)


# --- figures ---------------------------------------------------------------------------------


def fig_distribution(s: study.Study) -> p9.ggplot:
    """Minutes per active student on a log scale, one curve a quarter."""
    # A fifth of a decade a bin: finer ones would show that minutes are kept to two decimals.
    edges = np.arange(np.log10(0.05), np.log10(20000), 0.2)
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
        + p9.scale_x_log10(breaks=LOG_BREAKS, labels=LOG_LABELS)
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:g}%" for y in ys])
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
        + p9.scale_x_log10(breaks=LOG_BREAKS, labels=LOG_LABELS)
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:g}%" for y in ys])
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
        + p9.scale_x_continuous(breaks=[0.25, 0.5, 0.75], labels=["25%", "50%", "75%"])
        + p9.scale_y_continuous(labels=lambda ys: [f"{100 * y:g}%" for y in ys])
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
                    study.students_per_arm(e.mean, e.sd, lift) for lift in lifts
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
        {"Plan": PLAN_CELLS[plan], "Quarter": quarter} | columns(g) for (plan, quarter), g in s.groups.items()
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
            "df": _df(t),
            "Critical": number(t.critical_value, 3),
            "p": p_value(t.p_value),
        }
        for c in comparisons
        for label, t in (("F", c.f_test), ("Brown–Forsythe", c.brown_forsythe))
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def _df(t) -> Prose:
    both = (t.df,) if t.df_denominator is None else (t.df, t.df_denominator)
    return Prose(", ".join(number(df, 0 if float(df).is_integer() else 1) for df in both))


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
            ("t statistic", number(w.statistic, 3)),
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
                "Chance to watch more": effect_text(c.mann_whitney.interval, complement=True),
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
            "Plan": PLAN_CELLS[plan],
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
            "Plan": PLAN_CELLS[plan],
            "Change of the mean": t.mean_after - t.mean_before,
            "Same students": t.from_stayers,
            "Newcomers against leavers": t.from_exchange,
            "Share of stayers": t.from_weights,
        }
        for plan, t in s.turnover.items()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: (lambda v: number(v, 1)) for name in frame.columns[1:]})


def _then(before: float, after: float) -> Prose:
    return Prose(f"{number(before, 1)} → {number(after, 1)}")


def tbl_pairs(pairs: list[study.Pairs]) -> Prose:
    """Students of both quarters, each against himself or herself."""
    rows = [
        {
            "Plan": PLAN_CELLS[p.plan],
            "Chosen by": p.selection,
            "Students": number(len(p.before)),
            "Means": _then(p.before.mean(), p.after.mean()),
            "Medians": _then(np.median(p.before), np.median(p.after)),
            "Watched more": f"{percent(p.watched_more.estimate, 0)} "
            f"({interval(100 * p.watched_more.low, 100 * p.watched_more.high, 0)})",
            "Wilcoxon": p_value(p.wilcoxon.p_value),
        }
        for p in pairs
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def tbl_family(s: study.Study) -> Prose:
    """The study's three questions, corrected for being three."""
    frame = pd.DataFrame(
        {
            "Question": s.family.test,
            "Alternative": s.family.alternative.map({"less": "increase"}).fillna("difference"),
            "p alone": [p_value(p) for p in s.family.p_value],
            "p corrected": [p_value(p) for p in s.family.p_adjusted],
            "Decision": ["reject" if r else "do not reject" for r in s.family.reject],
        }
    )
    return table(frame, {"p alone": Prose, "p corrected": Prose, "Decision": Prose})


def tbl_experiments(s: study.Study) -> Prose:
    """Sample sizes of the experiment that would answer the question."""
    rows = [
        {
            "Plan": PLAN_CELLS[plan],
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


# --- sentences -------------------------------------------------------------------------------


def _mean_change(s: study.Study, plan: str) -> float:
    first, second = s.comparisons[plan].means
    return second / first


def answer_plan(s: study.Study, plan: str) -> Prose:
    """One plan's answer in a sentence."""
    c = s.comparisons[plan]
    who = PLAN_STUDENTS[plan].capitalize()
    low, high = -c.welch.interval.high, -c.welch.interval.low
    size = f"{change(_mean_change(s, plan))} (95% interval of the change {interval(low, high)} minutes)"
    moved = f"from {number(c.means[0], 1)} to {number(c.means[1], 1)} minutes a quarter"
    if c.welch.reject:
        return Prose(f"**{who}** watched more on average, {moved}, {size}.")
    if high < 0:
        return Prose(f"**{who}** watched less on average, {moved}, {size}.")
    return Prose(f"For **{PLAN_STUDENTS[plan]}** no increase is shown: the mean went {moved}, {size}.")


def answer_countries(s: study.Study) -> Prose:
    """The answer to the third question in a sentence."""
    c = s.countries
    first, second = c.labels
    if c.welch.reject:
        more, less = (first, second) if c.welch.estimate > 0 else (second, first)
        return Prose(
            f"In the free plan, students in **{more}** watch longer on average than those in "
            f"**{less}** ({p_value(c.welch.p_value)})."
        )
    gap = c.medians[0] - c.medians[1]
    tail = ""
    if c.mann_whitney.reject:
        more, less = (first, second) if gap > 0 else (second, first)
        tail = f", although the typical student in {more} watches longer than the one in {less}"
    return Prose(
        f"In the free plan, the means of **{first}** and **{second}** are not shown to differ "
        f"({p_value(c.welch.p_value)}){tail}."
    )


def answer_cause(s: study.Study) -> Prose:
    """Why none of it is the features' doing, as far as anybody can tell."""
    n = s.turnover["free"].students.students
    growth = n[1:].sum() / n[:2].sum()
    crowd = ""
    if abs(growth - 1) > 0.05:
        crowd = (
            ", and in the same time the number of active free-plan students changed by a factor "
            f"of {number(growth, 1)}"
        )
    return Prose(f"None of this shows what the features did: there was no group without them{crowd}.")


def provenance(s: study.Study) -> Prose:
    """Whose tables these are."""
    if s.fallback:
        return Prose(
            "**Your data hold no tables for this study, so it is shown on the shipped ones.** "
            "They are synthetic: made by a seeded generator to agree with the published figures."
        )
    if s.shipped:
        return Prose(
            "The table is synthetic: made by a seeded generator so that it agrees with the "
            "figures that the source published; no row is a real student."
        )
    return Prose(f"The table comes from {escape(s.origin)}.")


def sizes(s: study.Study) -> Prose:
    """How many students there are, by plan and quarter."""
    parts = [
        f"{number(s.groups[plan, BEFORE].raw_summary.n)} {PLAN_STUDENTS[plan]} were active in {BEFORE} "
        f"and {number(s.groups[plan, AFTER].raw_summary.n)} in {AFTER}"
        for plan in study.PLANS
    ]
    return Prose(f"Of {count(s.registered, 'student')} in the table, {parts[0]}; {parts[1]}.")


def mean_against_median(s: study.Study) -> Prose:
    """By how much the mean exceeds the median."""
    ratios = [g.summary.mean / g.summary.median for g in s.groups.values() if g.summary.median > 0]
    least, most = min(ratios), max(ratios)
    if least > 1.2:
        return Prose(
            f"In every group the mean is far above the median, {number(least, 1)} to "
            f"{number(most, 1)} times as large."
        )
    return Prose(
        f"The mean is {number(least, 1)} to {number(most, 1)} times the median, depending on the group."
    )


def shape_sentence(s: study.Study, plan: str) -> Prose:
    """How the typical student and the tail of a plan moved."""
    a, b = (s.groups[plan, q].summary for q in study.QUARTERS)
    who = PLAN_STUDENTS[plan]
    middle = b.median / a.median
    top = b.p90 / a.p90
    if abs(middle - 1) < 0.05 and top > 1.05:
        return Prose(
            f"Among {who} the middle hardly moved (median {number(a.median, 1)}, then "
            f"{number(b.median, 1)} minutes) while the busiest tenth reached further "
            f"(90th percentile {number(a.p90)}, then {number(b.p90)} minutes)."
        )
    direction = "to the left, towards fewer minutes" if middle < 1 else "to the right, towards more minutes"
    whole = (middle < 1) == (top < 1)
    return Prose(
        f"Among {who} {'the whole curve' if whole else 'the middle of the curve'} moved {direction}: the "
        f"median went from {number(a.median, 1)} to {number(b.median, 1)} minutes and the 90th "
        f"percentile from {number(a.p90)} to {number(b.p90)}."
    )


def concentration(s: study.Study) -> Prose:
    """How much of the watching the top tenth does."""
    parts = [
        f"{percent(s.groups[plan, AFTER].summary.top_10_share, 0)} of all minutes among {PLAN_STUDENTS[plan]}"
        for plan in study.PLANS
    ]
    return Prose(f"In {AFTER} the most active tenth of students watched {listing(parts)}.")


def interval_sentence(s: study.Study) -> Prose:
    """Whether the two kinds of interval disagree."""
    leans = []
    for g in s.groups.values():
        half = g.t_interval.high - g.summary.mean
        shift = ((g.bca_interval.low + g.bca_interval.high) / 2 - g.summary.mean) / half
        leans.append(shift)
    most = max(leans, key=abs)
    n = min(g.summary.n for g in s.groups.values())
    side = "up" if most > 0 else "down"
    if abs(most) < 0.1:
        return Prose(
            "The two kinds hardly differ: the middle of the BCa interval lies at most "
            f"{percent(abs(most), 0)} of a half-width away from the mean. "
            f"With {number(n)} students and more in a group, the mean of even so skewed a sample is "
            "close to normal (the central limit theorem); with a few dozen it would not be."
        )
    return Prose(
        f"The BCa intervals lean {side} by as much as {percent(abs(most), 0)} of a half-width: with "
        f"as few as {number(n)} students in a group, the long tail still shows in the mean."
    )


def variance_sentence(comparisons: list[study.Comparison]) -> Prose:
    """What the tests of the spreads decide."""
    unequal = [c.name for c in comparisons if c.brown_forsythe.reject]
    disagree = [c.name for c in comparisons if c.f_test.reject != c.brown_forsythe.reject]
    if len(unequal) == len(comparisons):
        told = "The spreads differ in both plans"
    elif unequal:
        told = f"The spreads differ in the {listing(n.lower() for n in unequal)} only"
    else:
        told = "The spreads are not shown to differ"
    caution = (
        f" The two tests disagree about the {listing(n.lower() for n in disagree)}; with such "
        "tails the F test is the one to distrust."
        if disagree
        else ""
    )
    return Prose(
        f"{told}.{caution} Either way Welch's test, which does not assume equal variances, is the "
        "one to read; choosing between tests by a preliminary test would spoil the error rate."
    )


def increase(s: study.Study, plan: str) -> Prose:
    """The verdict on a plan's increase."""
    c = s.comparisons[plan]
    return increase_sentence(c.welch, c.means, PLAN_STUDENTS[plan])


def effect_meaning(s: study.Study, plan: str) -> Prose:
    """An effect size in plain words."""
    c = s.comparisons[plan]
    d = abs(c.welch.effect("Hedges' g").value)
    size = "tiny" if d < 0.1 else "small" if d < 0.35 else "medium" if d < 0.65 else "large"
    p = 1 - c.mann_whitney.estimate
    hours = (c.means[1] - c.means[0]) / 60 * 60
    more = "more" if hours >= 0 else "less"
    return Prose(
        f"Among {PLAN_STUDENTS[plan]} the average student watched {number(abs(hours))} minutes {more} "
        f"a quarter, a {size} difference beside how much students differ from each other; pick one "
        f"student from each quarter at random, and the later one watched longer in "
        f"{percent(p, 0)} of such pairs."
    )


def median_sentence(s: study.Study, plan: str) -> Prose:
    """Whether the typical student moved as the mean did."""
    c = s.comparisons[plan]
    a, b = c.medians
    who = PLAN_STUDENTS[plan]
    medians = f"the median went from {number(a, 1)} to {number(b, 1)} minutes"
    mean_up, ranks_up = c.welch.reject, c.mann_whitney.reject
    if mean_up and not ranks_up:
        return Prose(
            f"Among {who} the mean rose but the typical student did not watch more: {medians}, "
            f"and the ranks show no increase ({p_value(c.mann_whitney.p_value)}). "
            "The rise sits in the upper tail."
        )
    if mean_up:
        return Prose(f"Among {who} mean and ranks agree on an increase; {medians}.")
    if ranks_up:
        return Prose(
            f"Among {who} the typical student watched more although the mean shows no increase: {medians}."
        )
    return Prose(f"Among {who} neither mean nor ranks show an increase; {medians}.")


def sensitivity_sentence(s: study.Study, plan: str) -> Prose:
    """Whether the outlier rule decides the verdict."""
    rows = s.sensitivity[s.sensitivity.plan == plan]
    significant_at = rows[rows.p_value < study.ALPHA]
    who = PLAN_STUDENTS[plan]
    span = f"(ratio of the means {number(rows.ratio.min(), 2)} to {number(rows.ratio.max(), 2)})"
    if len(significant_at) == len(rows):
        return Prose(f"Among {who} the increase is found under every rule {span}.")
    if significant_at.empty:
        return Prose(f"Among {who} no rule finds an increase {span}.")
    yes = listing(_rule(k) for k in significant_at.kept)
    no = listing(_rule(k) for k in rows[rows.p_value >= study.ALPHA].kept)
    return Prose(
        f"Among {who} the verdict depends on the tail: an increase is found when one drops {yes} of "
        f"the top, and none when one drops {no} {span}."
    )


def _rule(kept: float) -> str:
    return _kept(kept)


def growth_sentence(s: study.Study) -> Prose:
    """How the number of students and the total minutes changed."""
    parts = []
    for plan, t in s.turnover.items():
        n = t.students.students
        students = n[1:].sum() / n[:2].sum()
        parts.append(
            f"{PLAN_STUDENTS[plan]} went from {number(n[:2].sum())} to {number(n[1:].sum())} "
            f"({change(students)}), and the time they watched altogether from "
            f"{number(t.total_before / 60)} to {number(t.total_after / 60)} hours "
            f"({change(t.total_after / t.total_before)})"
        )
    return Prose(f"The crowd itself changed: {parts[0]}; {parts[1]}.")


def decomposition_sentence(s: study.Study, plan: str) -> Prose:
    """Which part of the change of the mean is the largest."""
    t = s.turnover[plan]
    total = t.mean_after - t.mean_before
    parts = {
        "the same students watching {}": t.from_stayers,
        "newcomers watching {} than those who had left": t.from_exchange,
        "a shift between stayers and the rest that made the average student watch {}": t.from_weights,
    }
    cause, largest = max(parts.items(), key=lambda item: abs(item[1]))
    words = cause.format("more" if largest > 0 else "less")
    direction = "rise" if total > 0 else "fall"
    if largest * total < 0:
        return Prose(
            f"Among {PLAN_STUDENTS[plan]} the mean's {direction} of {number(abs(total), 1)} minutes hides "
            f"opposite moves; the largest is {words} ({number(largest, 1)} minutes)."
        )
    return Prose(
        f"Among {PLAN_STUDENTS[plan]} the largest part of the {direction} of {number(abs(total), 1)} minutes "
        f"is {words} ({number(largest, 1)} minutes)."
    )


def pairs_sentence(s: study.Study, plan: str) -> Prose:
    """How the students of both quarters changed."""
    p = s.pairs[plan]
    diff = p.paired_t
    more = p.watched_more
    if more.low > 0.5:
        who = "most of them watched more"
    elif more.high < 0.5:
        who = "most of them watched less"
    else:
        who = "about as many watched more as watched less"
    mean_told = (
        "a change that the paired test supports" if diff.reject else "which the paired test does not support as a change"
    )
    return Prose(
        f"Of the {number(len(p.before))} {PLAN_STUDENTS[plan]} active in both quarters, {who} "
        f"({percent(more.estimate, 0)}, 95% interval {interval(100 * more.low, 100 * more.high, 0)}%); "
        f"their mean moved by {number(diff.estimate, 1)} minutes "
        f"(95% interval {interval(diff.interval.low, diff.interval.high)}), {mean_told} "
        f"({p_value(diff.p_value)})."
    )


def low_sentence(s: study.Study) -> Prose:
    """What the source's subset seems to show."""
    parts = [
        f"the mean of the {number(len(p.before))} {PLAN_STUDENTS[plan]} goes from "
        f"{number(p.before.mean(), 1)} to {number(p.after.mean(), 1)} minutes"
        for plan, p in s.low_pairs.items()
    ]
    return Prose(f"There {listing(parts)}.")


def mirror_sentence(s: study.Study) -> Prose:
    """Whether the mirror shows regression to the mean."""
    told = []
    for plan, p in s.mirror_pairs.items():
        told.append(p.before.mean() > p.after.mean())
    parts = [
        f"{number(p.before.mean(), 1)} to {number(p.after.mean(), 1)} minutes among {PLAN_STUDENTS[plan]}"
        for plan, p in s.mirror_pairs.items()
    ]
    if all(told):
        return Prose(
            f"Seen that way, the same data show a steep *fall*, from {listing(parts)}. "
            "Both cannot be the features' doing; what they share is the choice of a low quarter. "
            "A subset chosen by its outcome says nothing about a change."
        )
    return Prose(
        f"Seen that way, the means go from {listing(parts)}: choosing by the other quarter does not "
        "simply turn the picture around here, but the choice still bends both comparisons."
    )


def countries_difference(s: study.Study) -> Prose:
    c = s.countries
    return difference_sentence(c.welch, "The means", c.labels)


def countries_equivalence(s: study.Study) -> Prose:
    c = s.countries
    if c.welch.reject:
        return Prose(
            f"The difference amounts to {percent(abs(c.welch.estimate) / c.means[0], 0)} of the first mean."
        )
    return equivalence_sentence(
        c.equivalence, f"{percent(study.RELEVANT_LIFT, 0)} of the first country's mean either way"
    )


def countries_medians(s: study.Study) -> Prose:
    """What the ranks say about the two countries."""
    c = s.countries
    p = c.mann_whitney.estimate
    first, second = c.labels
    medians = f"{number(c.medians[0], 1)} minutes in {first} and {number(c.medians[1], 1)} in {second}"
    if c.mann_whitney.reject:
        more, less = (first, second) if p > 0.5 else (second, first)
        return Prose(
            f"The typical students do differ: the medians are {medians}, and a random student in "
            f"{more} watches longer than one in {less} in {percent(max(p, 1 - p), 0)} of "
            f"pairs (Mann–Whitney, {p_value(c.mann_whitney.p_value)}). "
            "A question about means has one answer, and a question about students another."
        )
    return Prose(
        f"The medians are {medians}, and the ranks do not tell the countries apart either "
        f"({p_value(c.mann_whitney.p_value)})."
    )


def false_alarm(s: study.Study) -> Prose:
    """Chance of at least one false alarm among the study's tests, were they independent."""
    return percent(1 - (1 - study.ALPHA) ** len(s.family), 0)


def family_sentence(s: study.Study) -> Prose:
    """What is left after the correction."""
    before = int((s.family.p_value < study.ALPHA).sum())
    after = int(s.family.reject.sum())
    if before == after:
        return Prose(
            f"The correction changes no decision: {count(after, 'result')} of {len(s.family)} "
            f"{'is' if after == 1 else 'are'} significant before and after it."
        )
    return Prose(
        f"Of {count(before, 'result')} significant alone, {number(after)} "
        f"{'remains' if after == 1 else 'remain'} after the correction."
    )


def conclusion(s: study.Study) -> Prose:
    """The study's conclusion in a paragraph."""
    sentences = []
    for plan in study.PLANS:
        c = s.comparisons[plan]
        who = PLAN_STUDENTS[plan]
        if c.welch.reject and c.mann_whitney.reject:
            told = f"{who} watched more, the typical one as well as the average"
        elif c.welch.reject:
            told = f"{who} watched more on average, but the typical one did not: the heavy users watched more"
        elif c.welch.interval.low > 0:
            told = f"{who} watched less on average"
        else:
            told = f"for {who} neither an increase nor its absence is shown"
        sentences.append(told)
    text = f"{sentences[0][0].upper()}{sentences[0][1:]}; {sentences[1]}."
    t = s.turnover["free"]
    total = t.total_after / t.total_before
    if t.mean_after < t.mean_before and total > 1:
        text += (
            f" Yet the free plan as a whole is watched more than before ({change(total)} in hours): "
            "a platform that draws a larger and more casual crowd gains minutes and loses "
            "minutes *per student* at once, and no single average can report both."
        )
    return Prose(text)


def experiment_sentence(s: study.Study) -> Prose:
    """What the experiment asks for and whether one quarter suffices."""
    parts = []
    for plan, e in s.experiments.items():
        active = len(s.groups[plan, AFTER].minutes)
        enough = "has" if 2 * e.per_arm <= active else "does not have"
        parts.append(
            f"the {plan} plan needs {number(e.per_arm)} students an arm and, with {number(active)} "
            f"active in a quarter, {enough} them"
        )
    return Prose(
        f"To see a lift of {percent(study.RELEVANT_LIFT, 0)}, {'; '.join(parts)}. "
        "Where they are too few, there are three ways out: run longer, look for a larger effect "
        "only, or measure something less skewed, such as the share of students who come back each week."
    )


def recommendations(s: study.Study) -> Prose:
    """What to do, each item with the result that it rests on."""
    items = [
        "**Do not credit the features yet.** Hold back a random part of new students from the next "
        "feature and compare within the quarter; @tbl-engagement-experiments has the numbers."
    ]
    paid, free = s.comparisons["paid"], s.comparisons["free"]
    if paid.welch.reject and not paid.mann_whitney.reject:
        items.append(
            "**Ask the heavy users.** The rise among paying students sits in the upper tail "
            f"(90th percentile {number(s.groups['paid', BEFORE].summary.p90)}, then "
            f"{number(s.groups['paid', AFTER].summary.p90)} minutes): find out which feature they use, "
            "before building more for everybody."
        )
    elif paid.welch.reject:
        items.append(
            "**Keep what paying students have.** They watch more, and not only the keenest do; make "
            "sure that the next change does not take that away."
        )
    else:
        items.append(
            "**Look at the paying students first.** They pay, and no increase is shown; interview "
            "those who watched less."
        )
    if free.medians[1] < free.medians[0]:
        items.append(
            "**Look at the first lesson.** The typical free-plan student now watches "
            f"{number(free.medians[1], 1)} minutes in a quarter, against {number(free.medians[0], 1)} "
            "before; watch where in that time they leave, and test changes there."
        )
    else:
        items.append(
            "**Build on the free plan.** Its typical student watches "
            f"{number(free.medians[1], 1)} minutes, against {number(free.medians[0], 1)} before; test "
            "what turns that into subscriptions."
        )
    items.append(
        "**Report two numbers, always.** Active students and median minutes beside the mean, so that "
        "growth in numbers is not mistaken for a loss of interest, nor a loud minority for the crowd."
    )
    if s.countries.mann_whitney.reject and not s.countries.welch.reject:
        items.append(
            f"**Do not treat {s.countries.labels[0]} and {s.countries.labels[1]} as one market.** Their "
            "means are not shown to differ; their typical students are."
        )
    return Prose("\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)))


def limit_of_data(s: study.Study) -> Prose:
    """What the origin of the tables limits."""
    if s.shipped:
        return Prose(
            "The shipped table is synthetic. It agrees with the published counts, means, spreads and "
            "medians; what was not published, such as how many students were active in both quarters, "
            "is a plausible choice of the generator, and conclusions that rest on it illustrate the method."
        )
    return Prose(
        "The tables are taken as they are; whether a missing minute means absence or a lost log "
        "cannot be seen from them."
    )
