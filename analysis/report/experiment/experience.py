"""Success by hour and from task to task: tables, figures and sentences."""

from __future__ import annotations

import math

import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment.experience import (
    FIRST_TASK,
    MARKS,
    OUTCOMES,
    RESTART,
    SPAN,
    TIME,
    TROUBLE,
)
from analysis.experiment.reductions import PART_OF_DAY, TASKS
from analysis.experiment.steps import ALPHA, LEAST_EVENTS
from analysis.report import figures
from analysis.report.experiment import labels
from analysis.report.sentences import digits_of_ends
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    day,
    interval,
    listing,
    number,
    p_cell,
    p_value,
    percent,
    percents,
)

ALL = labels.tasks(len(TASKS))
FIRST, LAST = TASKS[0], TASKS[-1]
# Each outcome as what customers do, and as the head of a column.
DO = {FIRST_TASK: f"complete {labels.task(FIRST)}", "completed_all": f"complete {ALL}", "converted": "convert"}
HEADS = {FIRST_TASK: f"Completed {labels.task(FIRST)}", "completed_all": f"Completed {ALL}", "converted": "Converted"}
MOST_INFINITE = "never"


def _points(value: float, digits: int = 1) -> str:
    return f"{number(100 * value, digits)} points"


def _digits(low: float, high: float) -> int:
    return digits_of_ends(100 * low, 100 * high)


def _ends(low: float, high: float) -> Prose:
    return interval(100 * low, 100 * high, _digits(low, high))


def _share(value: float, low: float, high: float) -> str:
    return MISSING if not math.isfinite(value) else f"{percent(value)} ({percents(low, high)})"


# The answer.


def answer(s: Study) -> Prose:
    """The result in a few words."""
    return Prose(f"{_time_answer(s)} {_task_answer(s)}")


def _shown(s: Study) -> dict[str, list[str]]:
    """Outcomes by what is shown of them along the day: "more", "less", "open"."""
    found = {"more": [], "less": [], "open": []}
    for name, row in s.experience.by_hour.iterrows():
        if math.isfinite(row.p_adjusted):
            found["open" if row.p_adjusted > ALPHA else "more" if row.slope > 0 else "less"].append(str(name))
    return found


def _time_answer(s: Study) -> str:
    found, rows = _shown(s), s.experience.by_hour

    def told(names: list[str]) -> Prose:
        return listing(f"{DO[n]} ({_change(rows.loc[n])}; corrected {p_value(rows.p_adjusted[n])})" for n in names)

    if not any(found.values()):
        return "Whether success changes with the hour can't be told here."
    parts = [f"{how} often {told(found[how])}" for how in ("more", "less") if found[how]]
    if not parts:
        return (f"That customers who start later in the day {listing((DO[n] for n in found['open']), 'or')} more or less often is not shown.")
    start = "Success does not grow over the day, it falls" if found["less"] and not found["more"] else (
        "Success grows over the day" if not found["less"] else "Success moves both ways over the day")
    text = f"{start}: customers who start later {', and '.join(parts)}."
    if found["open"]:
        text += f" That they {listing((DO[n] for n in found['open']), 'or')} more or less often is not shown."
    return text


def _change(row: pd.Series) -> str:
    """How a share changes along the straight line, with its interval where there is one."""
    value, low, high = (SPAN * end for end in (row.slope, row.slope_low, row.slope_high))
    said = f"{_points(value, _digits(low, high))} in {SPAN} hours"
    return f"{said}, {_ends(low, high)}" if math.isfinite(low) else said


def _pair(s: Study) -> pd.Series | None:
    """The completion rates of the last task against the first."""
    naive = s.experience.naive
    return naive.loc[(LAST, FIRST)] if (LAST, FIRST) in naive.index else None


def _same(s: Study, what: str, later: int = LAST, earlier: int = FIRST) -> pd.Series | None:
    row = s.experience.same.loc[(what, later, earlier)]
    return row if math.isfinite(row.p_value) else None


def _task_answer(s: Study) -> str:
    row = _pair(s)
    if row is None:
        return f"Nobody attempted {labels.task(LAST)}, so success from task to task can't be followed to the end."
    rate = s.experience.by_task.rate
    moved = f"from {percent(rate[FIRST])} of those who attempt {labels.task(FIRST)} to {percent(rate[LAST])} of those who attempt {labels.task(LAST)}"
    sure = f"{_points(row.difference, _digits(row.low, row.high))}, {_ends(row.low, row.high)}; corrected {p_value(row.p_adjusted)}"
    if row.p_adjusted > ALPHA:
        text = f"That the completion rate rises or falls from the first task to the last is not shown: it goes {moved} ({sure})."
    else:
        text = f"From task to task the completion rate {'rises' if row.difference > 0 else 'falls'}, {moved} ({sure})."
    return f"{text} {_people(s, row.difference > 0 and row.p_adjusted <= ALPHA)}"


def _people(s: Study, rose: bool) -> str:
    """What the times of the same people show, after what the rates show."""
    time = _same(s, TIME)
    if time is None:
        return "There are too few who completed everything to compare the times of the same people."
    who = f"customers who completed {ALL},"
    where = f"{labels.task(LAST)} than over {labels.task(FIRST)}"
    if time.p_adjusted > ALPHA:
        return f"That the same people, {who} took longer or less long over {where} is not shown ({_times_as_long(time)})."
    if time.effect < 1:
        return f"The same people, {who} took less long over {where} ({_times_as_long(time)})."
    link = "But those who get there are a selection: the same people," if rose else "The same people,"
    return f"{link} {who} took longer over {where} ({_times_as_long(time)})."


def _times_as_long(row: pd.Series) -> str:
    return f"{number(row.effect, 2)} times as long, {interval(row.low, row.high, 2)}; corrected {p_value(row.p_adjusted)}"


# Over the day.


def base(s: Study) -> Prose:
    """Whose hours are compared."""
    d = s.experience
    text = f"The comparison is of the {count(d.same_day, 'customer')} whose first start was on the day of the test, {day(s.window.day)}"
    rest = d.started - d.same_day
    return Prose(f"{text}; {number(rest)} started on another day and {'is' if rest == 1 else 'are'} left out." if rest else f"{text}, which is everybody whose start is known.")


def parts_table(s: Study) -> Prose:
    """Success by part of the day."""
    rows = pd.DataFrame([{
        "First start": f"{capital(labels.part_of_day(part))}, {labels.hour(PART_OF_DAY * part)} to {labels.hour(PART_OF_DAY * (part + 1))}",
        "Customers": row.customers,
        **{HEADS[o]: _share(row[o], row[f"{o}_low"], row[f"{o}_high"]) for o in OUTCOMES},
    } for part, row in s.experience.parts.iterrows()])
    return table(rows, {"Customers": number, **{HEADS[o]: Prose for o in OUTCOMES}})


def hours_table(s: Study) -> Prose:
    """The trends over the day."""
    shown = []
    for name, row in s.experience.by_hour.iterrows():
        slope = [100 * SPAN * end for end in (row.slope, row.slope_low, row.slope_high)]
        measures = (
            (f"Line, points in {SPAN} hours", slope, digits_of_ends(*slope[1:]), row.p_adjusted),
            (f"Bend over {SPAN} hours, ratio of odds", (row.bend, row.bend_low, row.bend_high), 3, row.bend_adjusted),
            ("Parts of the day, V", (row.parts, row.parts_low, row.parts_high), 2, row.parts_adjusted),
        )
        shown += [{
            "Outcome": f"{HEADS[name]}, {percent(row.rate)}" if math.isfinite(row.rate) else HEADS[name],
            "Measure": measure, "Size": _size(*values, digits), "p, corrected": p_cell(p),
        } for measure, values, digits, p in measures]
    rows = pd.DataFrame(shown)
    return table(rows, dict.fromkeys(("Size", "p, corrected"), Prose))


def _size(value: float, low: float, high: float, digits: int) -> str:
    """A size with its interval, where there are such."""
    return f"{number(value, digits)} ({interval(low, high, digits)})" if math.isfinite(low) else number(value, digits)


def hours_figure(s: Study) -> p9.ggplot | Prose:
    """Success by hour of the first start."""
    frame = s.experience.hours
    if len(frame) < 2:
        return Prose("All customers whose start is known began in one hour, so there is nothing to compare over the day.")
    rows = pd.concat([pd.DataFrame({
        "hour": frame.index + 0.5, "what": HEADS[o], "share": frame[o].to_numpy(), "low": frame[f"{o}_low"].to_numpy(), "high": frame[f"{o}_high"].to_numpy(),
    }) for o in OUTCOMES])
    names = [HEADS[o] for o in OUTCOMES]
    rows["what"] = pd.Categorical(rows.what, names)
    return (
        figures.Plot(rows, p9.aes("hour", "share", color="what", shape="what"))
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), alpha=0.6)
        + p9.geom_point(size=1.8)
        + p9.scale_x_continuous(breaks=range(0, 25, PART_OF_DAY), limits=(0, 24))
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + figures.colours(names)
        + p9.labs(x="Hour of the first start", y="Of those who started")
        + figures.theme(height=3.1)
    )


def by_hour(s: Study) -> Prose:
    """What changes over the day, and in what shape."""
    found, rows = _shown(s), s.experience.by_hour
    missing = [str(n) for n in rows.index if not math.isfinite(rows.p_adjusted[n])]
    parts = []
    for how in ("more", "less"):
        if found[how]:
            told = listing(f"{DO[n]} ({_hourly(rows.loc[n])})" for n in found[how])
            parts.append(f"The later they start, the {how} often customers {told}.")
    if found["open"]:
        told = listing((f"{DO[n]} ({_change(rows.loc[n])}; z = {number(rows.z[n], 1)}, corrected {p_value(rows.p_adjusted[n])})" for n in found["open"]), "or")
        parts.append(f"That customers who start later {told} more or less often is not shown.")
    if missing:
        parts.append(f"How often they {listing((DO[n] for n in missing), 'or')} can't be compared over the day: all do, or none, or all start in one hour.")
    bends = rows.bend_adjusted.dropna()
    if len(bends):
        bent = [f"How often they {DO[str(n)]} does not change in a straight line: in the middle of {SPAN} hours the odds are {_bent(rows.loc[n])} those on the line of log odds between their ends."
                for n in bends.index[bends <= ALPHA]]
        parts += bent or ["That a curve fits better than a straight line on the scale of log odds is not shown."]
    elif not missing:
        parts.append(f"A model of the odds takes at least {LEAST_EVENTS} customers with the outcome and {LEAST_EVENTS} without.")
    return Prose(" ".join(parts))


def _bent(row: pd.Series) -> str:
    return f"{number(row.bend, 3)} times ({interval(row.bend_low, row.bend_high, 3)}; corrected {p_value(row.bend_adjusted)})"


def _hourly(row: pd.Series) -> str:
    """The test of a trend, with its size; the odds ratio where there is one."""
    ratio = f"odds ratio an hour {number(row.odds_ratio, 3)}, {interval(row.low, row.high, 3)}; " if math.isfinite(row.odds_ratio) else ""
    return f"{_change(row)}; {ratio}Cochran and Armitage’s z = {number(row.z, 1)}, corrected {p_value(row.p_adjusted)}"


# From task to task.


def tasks_table(s: Study) -> Prose:
    """Each task: as it comes, and within bounds for all who attempted the first."""
    rows = pd.DataFrame([{
        "Task": int(k), "Attempted": row.attempted,
        "Completed": _share(row.rate, row.low, row.high),
        "Bounds": MISSING if not math.isfinite(row.least) else percent(row.least) if row.least == row.most else percents(row.least, row.most),
        "Trouble": _plain(row.trouble), "Restarted": _plain(row.restart),
        "Median, minutes": _minutes(row["median"], row.median_low, row.median_high),
    } for k, row in s.experience.by_task.iterrows()])
    return table(rows, {"Task": number, "Attempted": number, **dict.fromkeys(rows.columns[2:], Prose)})


def _plain(share: float) -> str:
    return percent(share)


def _minutes(value: float, low: float, high: float) -> str:
    """A median time with its interval; one that is not reached is told so."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return MOST_INFINITE if math.isinf(low) else f"{MOST_INFINITE} (at least {number(low)})"
    if not math.isfinite(low):
        return number(value)
    return f"{number(value)} (at least {number(low)})" if not math.isfinite(high) else f"{number(value)} ({interval(low, high, 0)})"


def bounds_figure(s: Study) -> p9.ggplot | Prose:
    """The completion rates as they come, within what is possible for all who attempted the first."""
    frame = s.experience.by_task
    frame = frame[frame.least.notna()].reset_index()
    if not frame.attempted.sum() or frame.empty:
        return Prose(f"Nobody attempted {labels.task(FIRST)}, so there are no bounds to draw.")
    names = ["of those who attempt it", "same start as task 1"]
    points = pd.concat([
        pd.DataFrame({"task": frame.task, "share": frame.rate, "what": names[0]}),
        pd.DataFrame({"task": frame.task, "share": frame.standardised, "what": names[1]}),
    ])
    points["what"] = pd.Categorical(points.what, names)
    points = points[points.share.notna()]
    return (
        figures.Plot(points, p9.aes("task", "share"))
        + p9.geom_linerange(p9.aes("task", ymin="least", ymax="most"), data=frame, inherit_aes=False, size=7, color="#c9d3dc")
        + p9.geom_point(p9.aes(color="what", shape="what"), size=2.6, position=p9.position_dodge(0.12))
        + p9.scale_x_continuous(breaks=list(TASKS), limits=(FIRST - 0.5, LAST + 0.5))
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, 1))
        + figures.colours(names)
        + p9.labs(x="Task", y="Completed")
        + figures.theme(height=3.0)
    )


def naive(s: Study) -> Prose:
    """The completion rates as they come."""
    d = s.experience
    rate = d.by_task.rate.dropna()
    if len(rate) < 2:
        return Prose("Only one task was attempted by anybody, so rates by task can't be compared." if len(rate) else "Nobody attempted a task.")
    told = [f"{percent(v)}{'' if i else ' completed'} {labels.task(int(k))}" for i, (k, v) in enumerate(rate.items())]
    text = f"Of those who attempted the task, {listing(told)}."
    parts = [
        f"{labels.task(later)} is completed {'more' if row.difference > 0 else 'less'} often than {labels.task(earlier)}, by {_points(abs(row.difference), _digits(row.low, row.high))} ({_sorted_ends(row)})"
        for (later, earlier), row in d.naive.iterrows() if row.p_adjusted <= ALPHA
    ]
    if not parts:
        return Prose(f"{text} That these rates differ is not shown, after correction for all pairs of them.")
    return Prose(f"{text} {capital('; '.join(parts))} (corrected for all pairs of tasks).")


def _sorted_ends(row: pd.Series) -> Prose:
    """The ends of a difference told without its sign."""
    return _ends(row.low, row.high) if row.difference > 0 else _ends(-row.high, -row.low)


def bounds(s: Study) -> Prose:
    """What the later tasks' rates could be for everybody who attempted the first."""
    frame = s.experience.by_task
    first = frame.loc[FIRST]
    if not math.isfinite(first.least):
        return Prose(f"Nobody attempted {labels.task(FIRST)}, so there is nobody for whom later tasks could be bounded.")
    told, verdicts = [], {"fall": [], "rise": [], "open": []}
    for k in TASKS[1:]:
        row = frame.loc[k]
        told.append(f"between {percent(row.least)} and {percent(row.most)} for {labels.task(k)}" if row.least < row.most else f"{percent(row.least)} for {labels.task(k)}")
        verdicts["fall" if row.most_high < first.low else "rise" if row.least_low > first.high else "open"].append(labels.task(k))
    text = (f"Had everybody who attempted {labels.task(FIRST)} attempted the others too, the completion rate would be {listing(told)}, "
            f"against {percent(first.rate)} for {labels.task(FIRST)}.")
    if all(frame.least[k] == frame.most[k] for k in TASKS[1:]):
        return Prose(f"{text} Nobody dropped out on the way, so nothing has to be guessed.")
    guessed = [k for k in TASKS[1:] if frame.least[k] < frame.no_better[k] < frame.most[k]]
    if guessed:
        text += (f" If those who never got there would have done no better than those who did, it would be at most {listing(percent(frame.no_better[k]) for k in guessed)} "
                 f"for {listing(labels.task(k) for k in guessed)}.")
    if len(verdicts["open"]) == len(TASKS) - 1:
        return Prose(f"{text} So from completion alone neither a rise nor a fall can be shown: a guess about those who never got there decides it.")
    parts = [f"{listing(found)} {'is' if len(found) == 1 else 'are'} shown to be completed {how} often, whatever those would do who never got there"
             for found, how in ((verdicts["fall"], "less"), (verdicts["rise"], "more")) if found]
    if verdicts["open"]:
        parts.append(f"for {listing(verdicts['open'])} it stays open")
    return Prose(f"{text} {capital('; '.join(parts))}.")


def standardised(s: Study) -> Prose:
    """How much of the rise is explained by what is known of the first task."""
    frame = s.experience.by_task
    row = frame.loc[LAST]
    if not math.isfinite(row.standardised):
        return Prose("There are too few customers to give the later tasks the mix of trouble and restarts of the first.")
    moved = row.standardised - row.rate
    return Prose(f"Given the mix of trouble and restarts in {labels.task(FIRST)} of all who attempted it, the rate of {labels.task(LAST)} "
                 f"becomes {percent(row.standardised)} ({percents(row.standardised_low, row.standardised_high)}) instead of {percent(row.rate)}, a change of {_points(moved)}; what else "
                 "tells those who go on from those who leave, motive above all, is in no table.")


def same_table(s: Study) -> Prose:
    """Later tasks against earlier ones of the same people."""
    names = {TROUBLE: "Trouble, points", RESTART: "Restarts, points", TIME: "Time, ratio"}
    rows = []
    for what, head in names.items():
        for later, earlier in sorted({(k, j) for _, k, j in s.experience.same.index}):
            row = s.experience.same.loc[(what, later, earlier)]
            if what == TIME:
                value = f"{number(row.effect, 2)} ({interval(row.low, row.high, 2)})" if math.isfinite(row.low) else number(row.effect, 2)
            else:
                value = f"{number(100 * row.effect, _digits(row.low, row.high))} ({_ends(row.low, row.high)})" if math.isfinite(row.low) else MISSING
            rows.append({"What": head, "Task": f"{later} against {earlier}", "More": row.more, "Less": row.less,
                         "Effect": value, "p, corrected": p_cell(row.p_adjusted)})
    return table(pd.DataFrame(rows), {"More": number, "Less": number, "Effect": Prose, "p, corrected": Prose})


def same(s: Study) -> Prose:
    """What the same people show."""
    d = s.experience
    if d.finishers < 2:
        return Prose(f"{'Nobody' if not d.finishers else 'One customer'} completed {ALL}, so people can't be compared with themselves.")
    typical, parts = d.typical, []
    trouble, time = _same(s, TROUBLE), _same(s, TIME)
    if trouble is not None:
        parts.append(f"{percent(typical.trouble[FIRST])} of them were in trouble in {labels.task(FIRST)} and {percent(typical.trouble[LAST])} in {labels.task(LAST)}"
                     f" ({_points(trouble.effect, _digits(trouble.low, trouble.high))}, {_ends(trouble.low, trouble.high)}; corrected {p_value(trouble.p_adjusted)})")
    if time is not None:
        parts.append(f"the typical time (geometric mean) was {number(typical.minutes[FIRST], 1)} minutes for {labels.task(FIRST)} and {number(typical.minutes[LAST], 1)} for {labels.task(LAST)}"
                     f" ({_times_as_long(time)})")
    if not parts:
        return Prose(f"Of the {count(d.finishers, 'customer')} who completed {ALL}, too little is known to compare people with themselves.")
    text = f"The {count(d.finishers, 'customer')} who completed {ALL} are compared with themselves: {listing(parts)}."
    restart = _same(s, RESTART)
    if restart is not None:
        text += (f" That they restarted {labels.task(LAST)} more or less often than {labels.task(FIRST)} is not shown (corrected {p_value(restart.p_adjusted)})." if restart.p_adjusted > ALPHA else
                 f" They restarted {labels.task(LAST)} {'more' if restart.effect > 0 else 'less'} often than {labels.task(FIRST)} (corrected {p_value(restart.p_adjusted)}).")
    return Prose(" ".join(filter(None, (text, _practice(time), _screened(trouble)))))


def _practice(time: pd.Series | None) -> str:
    """What the times say of practice and of the tasks."""
    if time is None or time.p_adjusted > ALPHA:
        return "So neither practice nor a longer task shows in their times."
    if time.effect > 1:
        return ("So the later task takes the same people longer, whatever practice does for them: it asks more of them, or those who are slow at it "
                "give up less often than at the first.")
    return ("So they did get faster: by practice, or since the later task asks less, or since those who are slow at it give up more often. As everybody takes the tasks "
            "in one order, these can't be told apart.")


def _screened(trouble: pd.Series | None) -> str:
    """Why a change of trouble says nothing of the tasks."""
    if trouble is None or trouble.p_adjusted > ALPHA:
        return ""
    return (f"Their trouble says less. Who completes {ALL} is screened harder for trouble in the task where trouble stops more people, so that there is "
            f"{'more' if trouble.effect > 0 else 'less'} of it in the later task may be selection, even with tasks that are equally hard.")


def elapsed(s: Study) -> Prose:
    """Success with time in the sense of minutes and hours after the start."""
    frame = s.experience.elapsed.loc[FIRST]
    frame = frame[frame.share.notna()]
    if frame.empty:
        return Prose(f"How long {labels.task(FIRST)} takes can't be followed here.")
    told = listing(f"{percent(v)} within {_span(int(m))}" for m, v in frame.share.items())
    text = f"In the sense of time since the start, success can only grow: of those who start {labels.task(FIRST)}, the share that has completed it is {told}."
    if {MARKS[-2], MARKS[-1]} <= set(frame.index) and frame.share[MARKS[-2]] < 1:
        left = 1 - frame.share[MARKS[-2]]
        text += f" Of those not done within {_span(MARKS[-2])}, {percent((frame.share[MARKS[-1]] - frame.share[MARKS[-2]]) / left)} are done within {_span(MARKS[-1])}."
    return Prose(text)


def _span(minutes: int) -> str:
    hours = minutes / 60
    return count(minutes, "minute") if hours < 1 else count(int(hours), "hour")


def means(s: Study) -> Prose:
    """What it means, and what to do."""
    found, parts = _shown(s), []
    if found["less"] and not found["more"]:
        parts.append("Late starters are worth a closer look: see which help is open at their hour before asking anything of them.")
    elif found["more"] and not found["less"]:
        parts.append("Those who start early do worse: see what they find missing at that hour.")
    elif not any((found["less"], found["more"])):
        parts.append("Nothing here asks for other help at one hour than at another.")
    else:
        parts.append("The hour matters, but not to all outcomes alike, so no rule for the whole day follows.")
    row, time = _pair(s), _same(s, TIME)
    longer = time is not None and time.p_adjusted <= ALPHA and time.effect > 1
    rose = row is not None and row.p_adjusted <= ALPHA and row.difference > 0
    if longer:
        parts.append(("Do not read the rising rates as a workflow that gets easier: it takes the same people longer, and fewer are left in it. " if rose else
                      "The later task takes the same people longer. ")
                     + "See what makes the later tasks long, and offer help in them as readily as in the first.")
    elif rose:
        parts.append("The rising rates must not be read as learning, for they compare ever more selected customers.")
    else:
        parts.append("Ask for no change of the tasks’ order or of their help on this account.")
    parts.append("To see experience grow, follow customers over weeks, and give some of them the tasks in another order.")
    return Prose(" ".join(parts))


def limits(s: Study) -> Prose:
    """What one day can't show."""
    date = pd.Timestamp(s.window.day).day_name()
    return Prose(
        f"The test took in the customers of one day, a {date}. So nothing here speaks of other days of the week, of seasons, of learning over weeks or of whether a novelty wears off. "
        "The hour is the hour at which somebody chose to start, and those who start at night differ from those who start at ten in more than the hour; it is no effect of the clock. "
        "Task and order are one and the same thing, since the workflow puts the tasks in one order. And those who completed everything are a selection themselves. In each of their tasks, the times that "
        "were too long to bear are missing, and more of them are missing where more give up, so a difference of times may be selection in part. "
        "And who completes all three is screened harder for trouble in the task where trouble stops more people, so a rise of trouble may be selection altogether.")
