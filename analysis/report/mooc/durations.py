"""How long it takes to complete a course, when many have not completed it yet."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.durations import HORIZONS, LEAST_AT_RISK, LEAST_COMPLETED, OTHERS
from analysis.mooc.funnels import ALPHA, EVERYBODY
from analysis.mooc.reduce import MISSING
from analysis.report import figures, text
from analysis.report.mooc.funnels import source_name
from analysis.report.tables import table
from analysis.report.text import (
    NBSP,
    Prose,
    count,
    escape,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
)
from analysis.stats.survival import KaplanMeier

DASH = Prose(text.MISSING)
SHOWN = 4  # courses at either end
MOST_POINTS = 60  # of a curve
MOST_LINES = len(figures.PALETTE)
NOTHING = Prose("Nobody is enrolled in a course, so there is no time to completion.")
NOBODY = Prose("Nobody has completed a course yet, so all that is known of the time it takes is that it is longer.")
ONE_SOURCE = Prose(
    f"There are no two sources with {LEAST_COMPLETED} completions each, so there is nothing to compare."
)


def _none(s: Study) -> Prose | None:
    """What to say where there is no time to completion."""
    if s.durations is None:
        return NOTHING
    return None if s.durations.times.loc[EVERYBODY, "completed"] else NOBODY


def _untimed(s: Study) -> Prose | None:
    """The same in few words; `naive` says why."""
    return None if _none(s) is None else Prose("There is no time to completion (@sec-mooc-durations).")


def _everybody(s: Study) -> pd.Series:
    return s.durations.times.loc[EVERYBODY]


def _days(days: float) -> Prose:
    return Prose(f"{number(days)}{NBSP}{'day' if days == 1 else 'days'}")


def _by(row: pd.Series, name: str) -> Prose:
    """A day with its interval for a table."""
    if not math.isfinite(row[name]):
        return Prose("not reached")
    limits = _range(row, name)
    return Prose(f"{number(row[name])} ({limits})" if limits else number(row[name]))


def _range(row: pd.Series, name: str, before: str = "") -> Prose:
    """The limits of a day; empty where there are none, as where all are completed on one day."""
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    if not math.isfinite(low):
        return Prose("")
    if not math.isfinite(high):
        return Prose(f"{before}{number(low)} or later")
    return Prose(f"{before}{interval(low, high, 0)}")


def _in_brackets(row: pd.Series, name: str, before: str = "") -> str:
    limits = _range(row, name, before)
    return f" ({limits})" if limits else ""


def _mean(row: pd.Series) -> Prose:
    if not math.isfinite(row["mean"]):
        return DASH
    return Prose(f"{number(row['mean'], 0)} ({interval(row['mean_low'], row['mean_high'], 0)})")


def _ordered(s: Study) -> list[str]:
    """Sources by enrolments, then the others, then those not given."""
    last, sizes = {OTHERS: 1, MISSING: 2}, s.durations.times["enrolments"].drop(EVERYBODY)
    return sorted(sizes.index, key=lambda name: (last.get(name, 0), -sizes[name]))


def naive(s: Study) -> Prose:
    """The naive average beside one that gives every enrolment the same time."""
    if (nothing := _none(s)) is not None:
        return nothing
    d, row = s.durations, _everybody(s)
    if row["completed"] == row["enrolments"]:
        return Prose(
            f"Every enrolment has been completed, so nothing is left out and the plain average is right: {number(row['naive_mean_days'], 1)} days."
        )
    start = (
        f"The average of the {count(int(row['completed']), 'completed enrolment')} is {number(row['naive_mean_days'], 1)} days. "
        "That is no answer to how long a course takes. It leaves out everybody who is still learning, and these are mostly the slow ones; and it is silent about those who never finish"
    )
    fair = d.fair[d.fair["completed"] > 0]
    if fair.empty:
        return Prose(f"{start}.")
    days, last = fair.index[-1], fair.iloc[-1]
    said = (
        f"{start}. Among the {count(int(last['followed']), 'enrolment')} that were followed for {days} days, those completed within them took "
        f"{number(last['mean_days'], 1)} days on average"
    )
    off = row["naive_mean_days"] / last["mean_days"] - 1 if last["mean_days"] else 0.0
    if off < -0.01:
        return Prose(f"{said}: the naive average is {percent(-off, 0)} shorter, because many enrolments are young.")
    if off > 0.01:
        return Prose(f"{said}; the naive average is longer because it also holds completions that took more than {days} days.")
    return Prose(f"{said}: here the two hardly differ.")


def median(s: Study) -> Prose:
    """By when a quarter and half of all enrolments are completed, if ever."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    row = _everybody(s)
    quarter, half = (math.isfinite(row[name]) for name in ("q25", "q50"))
    if not quarter:
        return Prose(
            f"Not even a quarter of all enrolments is completed while anybody is observed ({percent(row['last_completed'])} by day {number(row['last_day'])}), so there is no median, "
            "and none is made up."
        )
    first = f"A quarter of all enrolments is completed by day {number(row['q25'])}{_in_brackets(row, 'q25', '95% interval ')}"
    if not half:
        return Prose(
            f"{first}. Half of them never are while anybody is observed: the curve ends at {percent(row['last_completed'])} on day {number(row['last_day'])}. So the median does not exist, and none is made up."
        )
    lacking = [name for name in _named(s) if not math.isfinite(s.durations.times.loc[name, "q50"])]
    said = f"{first}, half by day {number(row['q50'])}{_in_brackets(row, 'q50')}, the Kaplan–Meier median"
    said += (
        f". It is {number(row['q50'] / row['naive_mean_days'], 1)} times the naive average"
        if row["naive_mean_days"] and row["q50"] > row["naive_mean_days"] else ""
    )
    if lacking:
        said += (
            f". For {listing(escape(source_name(name)) for name in lacking)} there is no median: fewer than half of "
            f"{'its' if len(lacking) == 1 else 'their'} enrolments are completed while anybody is observed"
        )
    return Prose(f"{said}.")


def _named(s: Study) -> list[str]:
    """The sources that stand for themselves, the largest first."""
    return [name for name in _ordered(s) if name not in (OTHERS, MISSING)]


def plateau(s: Study) -> Prose:
    """Where the curve ends, and what that says of those who never complete."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    rows = s.durations.horizons
    rows = rows[rows.index.get_level_values("source") == EVERYBODY].droplevel("source")
    if len(rows) < 2:
        return Prose("The period is too short to tell whether the curve flattens.")
    last, before = rows.iloc[-1], rows.iloc[-2]
    gain = last["completed"] - before["completed"]
    said = (
        f"{percent(before['completed'])} of enrolments are completed by day {rows.index[-2]} and {percent(last['completed'])} "
        f"({_shares(last)}) by day {rows.index[-1]}"
    )
    if gain < 0.02:
        return Prose(
            f"The curve flattens: {said}. Who has not finished by then hardly ever does; about {percent(1 - last['completed'], 0)} of enrolments look like never being completed. "
            "How many of these have given up, and when, the table does not say: nobody reports giving up."
        )
    return Prose(f"The curve still rises: {said}. Where it will end cannot be told yet.")


def _shares(row: pd.Series) -> Prose:
    return interval(100 * row["low"], 100 * row["high"], 1, "%")


def clusters(s: Study) -> Prose:
    """How far users with several enrolments widen the intervals."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    rows = s.durations.horizons
    rows = rows[rows.index.get_level_values("source") == EVERYBODY]
    if rows.empty:
        return Prose(f"Fewer than {LEAST_AT_RISK} enrolments were observed for {HORIZONS[0]} days, so no curve is read off.")
    effect = rows["design_effect"].iloc[-1]
    if effect > 1.1:
        return Prose(
            f"This matters here: at day {rows.index[-1][1]} the variance is {number(effect, 1)} times what it would be if enrolments were independent, so the intervals are {number(math.sqrt(effect), 2)} times as wide "
            "as the textbook’s, and its p-values would be far too small."
        )
    return Prose(
        f"Here it hardly matters: at day {rows.index[-1][1]} the variance is {number(effect, 2)} times what it would be if enrolments were independent."
    )


def curve_figure(s: Study) -> p9.ggplot | Prose:
    """Share completed by days since enrolment, by source."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d, named = s.durations, _named(s)[:MOST_LINES]
    curves = {source_name(name): d.curves[name] for name in named} if len(named) > 1 else {
        "everybody": d.curve}
    frames = [_steps(curve).assign(source=figures.short(name, 18)) for name, curve in curves.items()]
    names = [frame["source"].iloc[0] for frame in frames]
    frame = pd.concat(frames, ignore_index=True)
    # The order of the legend is that of the curves' ends.
    ends = frame.groupby("source")["completed"].max()
    names = sorted(dict.fromkeys(names), key=lambda name: -ends[name])
    frame["source"] = pd.Categorical(frame["source"], names)
    kinds = ("solid", "dashed", "dashdot", "dotted")
    lines = {name: kinds[i % len(kinds)] for i, name in enumerate(names)}
    most = float(frame["completed"].max())
    return (
        figures.Plot(frame, p9.aes("day", "completed", color="source", linetype="source"))
        + p9.geom_hline(yintercept=0.5, color=figures.GREY, size=0.4)
        + p9.geom_step(size=0.8)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, max(0.55, most * 1.05)))
        + p9.scale_linetype_manual(lines)
        + figures.colours(names)
        + p9.labs(x="Days since enrolment", y="Share completed")
        + figures.theme(height=3.4, legend="right" if len(names) > 1 else "none")
    )


def _steps(curve: KaplanMeier) -> pd.DataFrame:
    """A curve as few steps: evenly spaced in what they rise, while enough are observed."""
    end = curve.time[curve.at_risk >= min(LEAST_AT_RISK, curve.n)][-1]
    day, completed = np.append(0.0, curve.time), np.append(0.0, 1 - curve.survival)
    day, completed = day[day <= end], completed[: int((day <= end).sum())]
    levels = np.linspace(0, completed[-1], MOST_POINTS)
    places = np.unique(np.append(np.searchsorted(completed, levels - 1e-12), len(day) - 1))
    return pd.DataFrame({"day": day[places], "completed": completed[places]})


def times_table(s: Study) -> Prose:
    """Days to completion, for everybody and by source."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    rows = []
    for name in (EVERYBODY, *_ordered(s)):
        row = d.times.loc[name]
        shown = {
            "Source": source_name(name),
            "Enrolments": number(row["enrolments"]),
            "A quarter by day": _by(row, "q25"),
            "Half by day": _by(row, "q50"),
            "By the end of the curve": percent(row["last_completed"]),
        }
        if d.until:
            shown[f"Mean days not completed, of {d.until}"] = _mean(row)
        shown["Naive average"] = number(row["naive_mean_days"], 1)
        rows.append(shown)
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def pairs_table(s: Study) -> Prose:
    """Every source against every other."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    if d.pairs.empty:
        return Prose("There are no two sources to compare.")
    order = d.pairs.assign(far=d.pairs["statistic"]).sort_values("far", ascending=False, kind="stable")
    rows = []
    for (a, b), row in order.iterrows():
        # The one that completes sooner stands first.
        swap = row["hazard_ratio"] < 1
        sign = -1 if swap else 1
        ratio = [row[f"hazard_ratio{end}"] for end in ("", "_low", "_high")]
        if swap:
            ratio = [1 / ratio[0], 1 / ratio[2], 1 / ratio[1]]
        shown = {
            "Sooner": source_name(b if swap else a), "Later": source_name(a if swap else b),
            "Hazard ratio": Prose(f"{number(ratio[0], 2)} ({interval(*ratio[1:], 2)})"),
        }
        if d.until:
            gap = sorted(-sign * row[f"difference{end}"] for end in ("_low", "_high"))
            shown[f"Days sooner, of {d.until}"] = Prose(
                f"{number(-sign * row['difference'])} ({interval(*gap, 0)})")
        shown["p, corrected"] = Prose("< 0.001") if row["p_adjusted"] < 0.001 else number(row["p_adjusted"], 3)
        rows.append(shown)
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def sources(s: Study) -> Prose:
    """Whether sources differ in time to completion, and by how much."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    if d.pairs.empty:
        return ONE_SOURCE
    shown = d.pairs["p_adjusted"] <= ALPHA
    textbook = ""
    if d.log_rank is not None:
        textbook = (
            f"The textbook log-rank test over {number(len(d.log_rank.groups))} sources gives χ²{NBSP}={NBSP}{number(d.log_rank.statistic, 1)} ({count(d.log_rank.df, 'degree')} of freedom, {p_value(d.log_rank.p_value)}), "
            "but takes enrolments of one user as independent. "
        )
    if len(d.pairs) == 1:
        pairs = "Allowing for that, the two differ" if shown.all() else "Allowing for that, the two are not shown to differ"
    else:
        pairs = f"Allowing for that, and corrected for {count(len(d.pairs), 'pair')}, {'one of them differs' if shown.sum() == 1 else f'{number(shown.sum())} of them differ'}"
    only = f" ({p_value(d.pairs['p_adjusted'].iloc[0])})" if len(d.pairs) == 1 else ""
    if not shown.any():
        return Prose(f"{textbook}{pairs}{only}, so no difference between two sources is shown; the intervals of @tbl-mooc-durations-pairs say how large one could be.")
    said = f"{textbook}{pairs}{only}."
    open_pairs = d.pairs[~shown]
    if len(open_pairs):
        names = listing(
            f"{escape(source_name(a))} from {escape(source_name(b))}" for a, b in open_pairs.index[:3]
        )
        said += f" Not shown to differ: {names}{' and others' if len(open_pairs) > 3 else ''}; their intervals do not rule a difference out."
    if d.until:
        gaps = d.pairs[shown]
        a, b = gaps["difference"].abs().idxmax()
        row = gaps.loc[(a, b)]
        fast, slow = (a, b) if row["difference"] < 0 else (b, a)
        ends = sorted(abs(row[f"difference_{end}"]) for end in ("low", "high"))
        said += (
            f" The largest gap lies between {escape(source_name(fast))} and {escape(source_name(slow))}: in the first {d.until} days an enrolment from the former is completed "
            f"{_days(abs(row['difference']))} sooner on average (95% interval {interval(*ends, 0)}), those never completed counted as {d.until}."
        )
    return Prose(said)


def proportional(s: Study) -> Prose:
    """Whether the hazards are proportional, and whether curves cross."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    if d.proportional.empty:
        return Prose("Whether the hazards of sources are proportional cannot be told from so few completions.")
    bent = d.proportional[d.proportional["p_adjusted"] <= ALPHA]
    crossed = (
        f"At the days looked at ({listing(map(str, HORIZONS))}) no two curves are shown to cross."
        if not d.crossings else
        f"The curves of {count(d.crossings, 'pair')} of sources cross, so which completes sooner depends on the day at which one looks, and a single ratio misleads."
    )
    if bent.empty:
        return Prose(f"Between the first {number(d.split)} days and later, no source’s hazard ratio is shown to change. {crossed}")
    edge = (np.log(bent["early"]) - np.log(bent["late"])).abs().idxmax()
    row = bent.loc[edge]
    return Prose(
        f"That is not so here. Against all others, the hazard ratio of {escape(source_name(edge))} is {number(row['early'], 2)} ({interval(row['early_low'], row['early_high'], 2)}) up to day {number(d.split)} "
        f"and {number(row['late'], 2)} ({interval(row['late_low'], row['late_high'], 2)}) after it; of {count(len(d.proportional), 'source')}, {'one is' if len(bent) == 1 else f'{number(len(bent))} are'} "
        f"shown to change so. A hazard ratio is therefore an average over time, and the mean days, which assume nothing of the kind, are the effect to quote. {crossed}"
    )


def courses_table(s: Study) -> Prose:
    """The quickest and the slowest courses."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    rows = d.course_times
    rows = rows[rows["completed"] >= LEAST_COMPLETED].copy()
    if rows.empty:
        return Prose(f"No course was completed {LEAST_COMPLETED} times.")
    by = ["q25", "last_completed"]
    rows = rows.sort_values(by, ascending=[True, False], kind="stable", na_position="last")
    if len(rows) > 2 * SHOWN:
        rows = pd.concat([rows.head(SHOWN), rows.tail(SHOWN)])
    shown = []
    for _, row in rows.iterrows():
        line = {
            "Course": row["title"],
            "Enrolments": number(row["enrolments"]),
            "A quarter by day": _by(row, "q25"),
            "Half by day": _by(row, "q50"),
            "By the end of the curve": percent(row["last_completed"]),
        }
        if d.course_until:
            line[f"Mean days not completed, of {d.course_until}"] = _mean(row)
        line["Naive average"] = number(row["naive_mean_days"], 1)
        shown.append(line)
    frame = pd.DataFrame(shown)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def courses(s: Study) -> Prose:
    """Whether courses differ in time to completion."""
    if (nothing := _untimed(s)) is not None:
        return nothing
    d = s.durations
    rows = d.course_times[d.course_times["p_value"].notna()]
    if d.course_log_rank is None or rows.empty:
        return Prose(f"There are no two courses with {LEAST_COMPLETED} completions each, so there is nothing to compare.")
    test = d.course_log_rank
    told = f"log-rank χ²{NBSP}={NBSP}{number(test.statistic, 1)}, {count(test.df, 'degree')} of freedom, {p_value(test.p_value)}"
    if test.p_value > ALPHA:
        return Prose(f"Differences between the {number(len(rows))} courses in time to completion are not shown ({told}).")
    faster, slower = (int((rows["side"] == side).sum()) for side in ("faster", "slower"))
    lacking = int(d.course_times["q50"].isna().sum())
    said = (
        f"Courses differ in how soon they are completed ({told}). Each against all others, corrected for {count(len(rows), 'comparison')}, {number(faster)} {'is' if faster == 1 else 'are'} completed sooner and {number(slower)} later."
    )
    if d.course_until and (rows["side"] != "").any():
        there = rows[(rows["side"] != "") & rows["difference"].notna()]
        if len(there):
            row = there.loc[there["difference"].abs().idxmax()]
            ends = sorted(abs(row[f"difference_{end}"]) for end in ("low", "high"))
            said += (
                f" Furthest off is “{escape(row['title'])}”, completed {_days(abs(row['difference']))} {'sooner' if row['difference'] < 0 else 'later'} in the first {d.course_until} days (95% interval {interval(*ends, 0)})."
            )
    if lacking:
        said += f" {number(lacking)} of {count(len(d.course_times), 'course')} {'has' if lacking == 1 else 'have'} no median: fewer than half of their enrolments are completed while anybody is observed." if lacking > 1 else (
            f" One of {count(len(d.course_times), 'course')} has no median: fewer than half of its enrolments are completed while anybody is observed.")
    return Prose(said)


def answer(s: Study) -> Prose:
    """The topic's result in a sentence or two."""
    if (nothing := _none(s)) is not None:
        return nothing
    row = _everybody(s)
    if not math.isfinite(row["q25"]):
        return median(s)
    half = (
        f"half by **day {number(row['q50'])}**{_in_brackets(row, 'q50')}" if math.isfinite(row["q50"])
        else f"half never while anybody is observed ({percent(row['last_completed'], 0)} in the end)"
    )
    return Prose(
        f"A quarter of all enrolments is completed by **day {number(row['q25'])}**{_in_brackets(row, 'q25', '95% interval ')}, {half}"
        + (
            f"; the average of those completed so far, {count(round(row['naive_mean_days']), 'day')}, leaves out all who are not."
            if row["completed"] < row["enrolments"] else "."
        )
    )


def recommendation(s: Study) -> Prose:
    """What to do about time."""
    if _none(s) is not None:
        return Prose("")
    rows = s.durations.horizons
    rows = rows[rows.index.get_level_values("source") == EVERYBODY].droplevel("source")
    if len(rows) < 2:
        return Prose("")
    last = rows.iloc[-1]
    # By then nine tenths of all that will be completed are.
    late = rows.index[(rows["completed"] >= 0.9 * last["completed"]).to_numpy().argmax()]
    if late == rows.index[-1]:
        return Prose("")
    return paragraph(
        f"**Remind learners before day {late}.** {percent(rows.loc[late, 'completed'])} of enrolments are completed by then and only {percent(last['completed'])} by day {rows.index[-1]}, so what comes later reaches hardly anybody who still finishes (@sec-mooc-durations).",
        "Whether a reminder helps, a test would have to show.",
    )
