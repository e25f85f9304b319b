"""Tables of the engagement chapter."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from analysis import engagement as study
from analysis.report.engagement import AFTER, BEFORE, PLAN_CELLS, PLAN_NAMES
from analysis.report.sentences import decision, effect_text, rise
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    interval,
    number,
    p_value,
    percent,
    quotient,
    significant,
)
from analysis.stats.results import TestResult

NOTHING = Prose("There are no two countries to compare.")
_one, _two = partial(number, digits=1), partial(number, digits=2)


def _group_rows(s: study.Study, columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"Plan": PLAN_CELLS[plan], "Quarter": quarter} | columns(g)
        for (plan, quarter), g in s.groups.items()
    )


def trimming(s: study.Study) -> Prose:
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
    return table(
        frame,
        {
            "Students": number,
            "Longest": number,
            "Dropped above": _one,
            "Dropped": number,
            "Kept": number,
            "Mean before": _one,
            "Mean after": _one,
        },
    )


def description(s: study.Study) -> Prose:
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
    formats = {name: _one for name in frame.columns[3:]}
    return table(frame, {"Students": number} | formats)


def shape(s: study.Study) -> Prose:
    """Skewness, kurtosis and concentration."""
    frame = _group_rows(
        s,
        lambda g: {
            "Skewness": g.summary.skewness,
            "Excess kurtosis": g.summary.excess_kurtosis,
            "Mean / median": quotient(g.summary.mean, g.summary.median),
            "Top 1% holds": g.raw_summary.top_01_share,
            "Top 10% holds": g.raw_summary.top_10_share,
            "Gini": g.raw_summary.gini,
        },
    )
    return table(
        frame,
        {
            "Skewness": _two,
            "Excess kurtosis": _two,
            "Mean / median": _one,
            "Top 1% holds": percent,
            "Top 10% holds": percent,
            "Gini": _two,
        },
    )


def intervals(s: study.Study) -> Prose:
    """Both 95% intervals of the mean and how far each end lies from it."""
    frame = pd.DataFrame(
        {
            "Plan": PLAN_CELLS[plan],
            "Quarter": quarter,
            "Mean": number(bca.estimate, 1),
            "t interval": interval(t.low, t.high),
            "BCa interval": interval(bca.low, bca.high),
            "BCa reach below": number(bca.estimate - bca.low, 1),
            "BCa reach above": number(bca.high - bca.estimate, 1),
        }
        for (plan, quarter), bca in s.bca.items()
        for t in (s.groups[plan, quarter].t_interval,)
    )
    return table(frame, {name: Prose for name in frame.columns[2:]})


def variances(comparisons: list[study.Comparison], later: bool = True) -> Prose:
    """Tests of equal spread.

    Args:
        comparisons: Of two groups each.
        later: Whether the ratio is of the second group over the first, as of a later quarter; else
            of the first over the second.
    """
    if not comparisons:
        return NOTHING
    rows = [
        {
            "Comparison": c.name,
            "Test": label,
            "Statistic": significant(t.statistic),
            "df": _df(t),
            "Critical": critical,
            "Ratio of spreads": ratio,
            "p": p_value(t.p_value),
        }
        for c in comparisons
        for label, t, critical, ratio in (
            ("F", c.f_test, _outside(c.f_test), _ratio_of_sds(c.f_test, later)),
            (
                "Brown–Forsythe",
                c.brown_forsythe,
                Prose(f"above {number(c.brown_forsythe.critical_value, 3)}"),
                effect_text(c.brown_forsythe.effects[0], inverse=later)
                if c.brown_forsythe.effects
                else MISSING,
            ),
        )
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def _df(t) -> Prose:
    both = (t.df,) if t.df_denominator is None else (t.df, t.df_denominator)
    return Prose(", ".join(number(df, 0 if float(df).is_integer() else 1) for df in both))


def _outside(f: TestResult) -> Prose:
    """Where the F test rejects."""
    return Prose(f"below {number(f.critical_low, 3)} or above {number(f.critical_value, 3)}")


def _ratio_of_sds(f: TestResult, later: bool) -> Prose:
    """Second group's standard deviation over the first's, or the other way round."""
    power = -0.5 if later else 0.5
    value = f.estimate**power
    low, high = sorted(end**power for end in (f.interval.low, f.interval.high))
    return Prose(f"{number(value, 2)} ({interval(low, high, 2)})")


def steps(comparisons: list[study.Comparison]) -> Prose:
    """Welch's test, one line a step."""
    if not comparisons:
        return NOTHING
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
            ("Decision", decision(w.reject)),
        ):
            steps.setdefault(name, []).append(value)
    frame = pd.DataFrame(
        [[name, *values] for name, values in steps.items()],
        columns=["Step", *(c.name for c in comparisons)],
    )
    return table(frame, {c.name: Prose for c in comparisons})


def effects(comparisons: list[study.Comparison], later: bool = True) -> Prose:
    """Effect sizes with their 95% intervals.

    Args:
        comparisons: Of two groups each.
        later: Whether the second group is held against the first, as a later quarter is; else the
            first against the second.
    """
    if not comparisons:
        return NOTHING
    rows = []
    for c in comparisons:
        w = c.welch
        value, low, high = (
            rise(w) if later else (w.estimate, w.interval.low, w.interval.high)
        )
        rows.append(
            {
                "Comparison": c.name,
                "Difference, minutes": f"{number(value, 1)} ({interval(low, high)})",
                "Ratio of means": effect_text(w.effect("ratio of means"), inverse=later),
                "Hedges’ g": effect_text(w.effect("Hedges' g"), negate=later),
                "Chance to watch more": effect_text(c.mann_whitney.interval, complement=later),
            }
        )
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def methods(s: study.Study) -> Prose:
    """The same question put to four tests."""
    rows = {
        ("means", "Welch"): {p: c.welch for p, c in s.comparisons.items()},
        ("means", "Student, pooled variance"): {p: c.student for p, c in s.comparisons.items()},
        ("means", "permutation"): s.permutations,
        ("ranks", "Mann–Whitney"): {p: c.mann_whitney for p, c in s.comparisons.items()},
    }
    frame = pd.DataFrame(
        {"Test of": subject, "Method": method}
        | {PLAN_NAMES[plan]: p_value(test.p_value) for plan, test in tests.items()}
        for (subject, method), tests in rows.items()
    )
    return table(frame, {name: Prose for name in PLAN_NAMES.values()})


def turnover(s: study.Study) -> Prose:
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
    return table(
        pd.DataFrame(rows), {"Students": number, f"Mean {BEFORE}": _one, f"Mean {AFTER}": _one}
    )


def decomposition(s: study.Study) -> Prose:
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
    # With a digit more than the text, so that the parts are seen to add up.
    return table(frame, {name: _two for name in frame.columns[1:]})


def _then(before: float, after: float) -> Prose:
    return Prose(f"{number(before, 1)}{NBSP}→{NBSP}{number(after, 1)}")


def pairs(pairs: list[study.Pairs | None]) -> Prose:
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
        if p
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def family(s: study.Study) -> Prose:
    """The study's three questions, corrected for being three."""
    frame = pd.DataFrame(
        {
            "Question": s.family.test,
            "Alternative": s.family.alternative.map({"less": "increase"}).fillna("difference"),
            "p alone": [p_value(p) for p in s.family.p_value],
            "p corrected": [p_value(p) for p in s.family.p_adjusted],
            "Decision": [decision(r) for r in s.family.reject],
        }
    )
    return table(frame, {"p alone": Prose, "p corrected": Prose, "Decision": Prose})


def experiments(s: study.Study) -> Prose:
    """Sample sizes of the experiment that would answer the question."""
    rows = [
        {
            "Plan": PLAN_CELLS[plan],
            "Mean": number(e.mean, 1),
            "SD": number(e.sd, 1),
            "Students an arm": number(e.per_arm),
            "nobody dropped": number(e.per_arm_untrimmed),
            "with earlier minutes as covariate": number(e.per_arm_adjusted),
            "Lift that one quarter can show": percent(e.detectable_lift),
        }
        for plan, e in s.experiments.items()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})
