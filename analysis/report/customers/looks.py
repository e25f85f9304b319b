"""The paywall test looked at while it runs: what peeking costs, and a plan that allows it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers.design import ALPHA, POWER
from analysis.customers.looks import (
    ALWAYS,
    LEAST_CONVERTERS,
    NAIVE_DAILY,
    NAIVE_WEEKLY,
    ONCE,
    POCOCK,
    SPENT,
    Looks,
)
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    NBSP,
    Prose,
    count,
    day,
    interval,
    number,
    p_value,
    percent,
)
from analysis.stats.intervals import Interval
from analysis.stats.sequential import fixed_bound

RULES = {
    ONCE: "once, at the end, at 5%",
    NAIVE_WEEKLY: "every week, at 5% each",
    NAIVE_DAILY: "every day, at 5% each",
    SPENT: "every week, O’Brien–Fleming boundary",
    POCOCK: "every week, Pocock boundary",
    ALWAYS: "every day, always-valid boundary",
}
HIGHEST = 5.0  # |z| that the figure shows at least
NOTHING = Prose(
    f"A group of the test is empty, or fewer than {LEAST_CONVERTERS} users have bought at a paywall, so there is nothing to look at day by day."
)


NO_LOOKS = Prose("There are no days of this test to look at (@sec-customers-looks).")


def repeated_table(s: Study) -> Prose:
    """The chance of a false alarm by the number of looks."""
    if s.looks is None:
        return NOTHING
    chances = s.looks.repeated
    row = {"Looks": "False alarms"} | {
        str(looks): percent(error)
        for looks, error in zip(chances["looks"], chances["error"], strict=True)
    }
    return table(pd.DataFrame([row]), {name: Prose for name in list(row)[1:]})


def p_figure(s: Study) -> p9.ggplot | Prose:
    """p on each day of the test, and the line at 5%."""
    if s.looks is None:
        return NO_LOOKS
    running = s.looks.running.assign(
        day=pd.to_datetime(s.looks.running["day"]),
        p_value=s.looks.running["p_value"].clip(lower=1e-6))
    crossed = running[running["p_value"] <= ALPHA]
    breaks = [1, 0.2, ALPHA, 0.01, 0.001, 1e-4, 1e-5, 1e-6]
    return (
        figures.Plot(running, p9.aes("day", "p_value"))
        + p9.geom_hline(yintercept=ALPHA, color=figures.VERMILION, linetype="dashed")
        + p9.geom_line(color=figures.BLUE)
        + p9.geom_point(data=crossed, color=figures.VERMILION, size=1.4)
        + figures.log_y(breaks=breaks, labels=lambda values: [f"{value:g}" for value in values])
        + p9.scale_x_datetime(date_labels="%-d %b", breaks=_dates(s.looks))
        + p9.labs(x="", y="p-value of the day (log scale)")
        + figures.theme(height=2.8)
    )


def z_figure(s: Study) -> p9.ggplot | Prose:
    """The statistic at each weekly look, the boundary of O'Brien and Fleming and the naive line."""
    if s.looks is None:
        return NO_LOOKS
    weekly = s.looks.weekly
    top = _top(weekly)
    fixed = fixed_bound(ALPHA)
    names = ("z of this test", "O’Brien–Fleming boundary", f"{fixed:.2f} at every look")
    shown = weekly[np.isfinite(weekly["bound"])]
    lines = [
        pd.DataFrame({"week": rows["week"], "z": z, "line": name, "part": part})
        for part, (name, rows, z) in enumerate((
            (names[0], weekly, weekly["z"]),
            (names[1], shown, shown["bound"]), (names[1], shown, -shown["bound"]),
            (names[2], weekly, fixed), (names[2], weekly, -fixed),
        ))
    ]
    frame = pd.concat(lines, ignore_index=True)
    frame["line"] = pd.Categorical(frame["line"], names)
    stop = weekly[weekly["week"] == s.looks.stop.week] if s.looks.stop.crossed else weekly[:0]
    return (
        figures.Plot(frame, p9.aes("week", "z"))
        + p9.geom_hline(yintercept=0, color=figures.GREY, size=0.4)
        + p9.geom_line(p9.aes(color="line", linetype="line", group="part"), size=0.8)
        + p9.geom_point(data=frame[frame["part"] == 0], color=figures.BLUE, size=1.6)
        + p9.geom_point(data=stop, color=figures.INK, fill="none", shape="o", size=4.5)
        + p9.coord_cartesian(ylim=(-top, top))
        + p9.scale_x_continuous(breaks=_whole(weekly["week"].max()))
        + p9.scale_linetype_manual(dict(zip(names, ("solid", "solid", "dashed"), strict=True)))
        + figures.colours(names)
        + p9.labs(x="End of week", y="z, new against old")
        + figures.theme(height=3.3)
    )


def _top(weekly: pd.DataFrame) -> float:
    """The largest z that the figure has room for."""
    return max(HIGHEST, weekly["z"].abs().max() + 0.5)


def unseen(s: Study) -> Prose:
    """Where the figure has no room for the boundary."""
    if s.looks is None:
        return NO_LOOKS
    weekly = s.looks.weekly
    weeks = weekly.loc[weekly["bound"] > _top(weekly), "week"]
    if weeks.empty:
        return Prose("")
    told = f"week {weeks.iloc[0]}" if len(weeks) == 1 else f"the first {count(len(weeks), 'week')}"
    return Prose(f"The boundary of {told} lies outside @fig-customers-z-by-week.")


def rules_table(s: Study) -> Prose:
    """Error, power and length of each way to look at this test."""
    if s.looks is None:
        return NO_LOOKS
    rows = [
        {
            "The test is read": RULES[row.rule],
            "Looks": number(row.looks),
            "False alarms": percent(row.error),
            "Simulated": _share(row.error_simulated, row.error_se),
            "Finds the lift": _share(row.power_simulated, row.power_se),
            "Days, no lift": number(row.days_none),
            "Days, lift": number(row.days_effect),
        }
        for row in s.looks.rules.itertuples()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def day_by_day(s: Study) -> Prose:
    """What is looked at; empty where there is nothing."""
    if s.looks is None:
        return Prose("")
    return Prose(
        "Now this very test, day by day: users assigned so far, and who of them had bought at a paywall "
        "so far. Those assigned lately have had less time to buy, but in both groups alike, so each "
        "day's comparison is a fair one."
    )


def peeking(s: Study) -> Prose:
    """What somebody who looked every day would have seen of this test."""
    if s.looks is None:
        return NO_LOOKS
    k, p = s.looks, s.looks.peeks
    last = f"on the last day it is {number(p.last_p, 3)}" if p.last_p >= 0.001 else "on the last day it is below 0.001"
    start = f"Looked at on each of {count(p.days, 'day')}, from the {LEAST_CONVERTERS}th converter on,"
    if p.first is None:
        return Prose(f"{start} the p-value was never at most 5%; {last}.")
    return Prose(
        f"{start} the p-value was at most 5% on {count(p.significant, 'day')}, for the first time on {day(p.first)}, "
        f"and it {_crossings(p.changes)}; {last}. "
        f"Whoever had stopped on {day(p.first)} would have announced {_a_lift(p.first_lift)}; "
        f"the whole test says {_lift(_last_lift(k), 0)}."
    )


def exaggeration(s: Study) -> Prose:
    """Whether an early stop would have told a larger lift than the whole test."""
    if s.looks is None:
        return NO_LOOKS
    first, last = s.looks.peeks.first_lift, _last_lift(s.looks)
    general = "The first crossing is by its nature a moment when chance helped, so lifts read off at it are too large on average."
    if first is not None and abs(first) > abs(last):
        return Prose(f"That is not just bad luck. {general}")
    return Prose(general)


def cost(s: Study) -> Prose:
    """What repeated looks do to the error rate of this very test."""
    if s.looks is None:
        return NO_LOOKS
    k = s.looks
    naive_day, naive_week = _rule(k, NAIVE_DAILY), _rule(k, NAIVE_WEEKLY)
    return Prose(
        "How often would a useless paywall have passed such a reading? That can be tried out without a "
        "model: everybody is assigned, and buys, on the day that they did, and only the coin that chose "
        f"the group is tossed anew, again and again. With no difference at all, somebody who looks at a test like this one every day and stops at the first p of at most 5% "
        f"finds one in {_share(naive_day.error_simulated, naive_day.error_se)} of {number(k.runs)} simulated tests, "
        f"and every week in {_share(naive_week.error_simulated, naive_week.error_se)}, where 5% were promised. "
        f"Integration over the same looks gives {percent(naive_day.error)} and {percent(naive_week.error)}."
    )


def agreement(s: Study) -> Prose:
    """Whether the sequential plan keeps its promise in the simulation."""
    if s.looks is None:
        return NO_LOOKS
    row = _rule(s.looks, SPENT)
    off = (row.error_simulated - ALPHA) / max(row.error_se, 1e-9)
    told = f"The weekly plan raises a false alarm in {_share(row.error_simulated, row.error_se)} of the simulated tests"
    if abs(off) <= 2:
        return Prose(f"{told}, which agrees with the 5% that it promises.")
    return Prose(
        f"{told}, {'more' if off > 0 else 'less'} than the 5% that it promises: with so few converters z is not quite normal at the early looks."
    )


def stop(s: Study) -> Prose:
    """Where the weekly plan ends on this test, and with what interval."""
    if s.looks is None:
        return NO_LOOKS
    k, e = s.looks, s.looks.stop
    row = k.weekly.set_index("week").loc[e.week]
    said = (
        f"Allowing for the looks before, the lift is {_lift(e.lift.estimate)} (95% interval {_ends(e.lift)}, {p_value(e.p_value)}); "
        f"read as if nobody had looked before, it would be {_lift(e.naive.estimate)} ({_ends(e.naive)})."
    )
    if not e.crossed:
        state = "the plan ran to its last look" if k.ended else "the test is still open"
        return Prose(
            f"The weekly plan would not have stopped this test: z never reached the boundary, and {state}, {day(e.day)}, "
            f"with z{NBSP}={NBSP}{number(e.z, 2)} against {number(row.bound, 2)}. "
            f"That shows no effect, and no absence of one. {said}"
        )
    saved = f"{count(e.days_saved, 'day')} before the last look" if e.days_saved else "at the last look"
    return Prose(
        f"The weekly plan would have stopped this test at the end of week {e.week}, on {day(e.day)}, {saved}: "
        f"z{NBSP}={NBSP}{number(e.z, 2)} had reached the boundary of {number(row.bound, 2)}, with {count(e.users, 'user')} assigned. "
        f"{said}"
    )


def after_the_stop(s: Study) -> Prose:
    """Whether z stayed beyond the boundary, and that it does not matter."""
    if s.looks is None:
        return NO_LOOKS
    k = s.looks
    later = k.weekly[k.weekly["week"] > k.stop.week]
    back = int((later["z"].abs() < later["bound"]).sum())
    if not k.stop.crossed:
        return Prose("The rule leaves nothing to argue about: before the boundary is reached, no week's p-value is a result.")
    if later.empty:
        return Prose("Until then the rule left nothing to argue about: before the boundary is reached, no week's p-value is a result.")
    if back:
        return Prose(
            f"At {number(back)} of the {count(len(later), 'later look')} z was below the boundary again. "
            "A rule stated in advance settles that before it can be argued about: the first crossing counts, and the interval has already paid for it."
        )
    return Prose("At every later look z was beyond the boundary as well.")


def plan(s: Study) -> Prose:
    """What the weekly plan costs and saves."""
    if s.looks is None:
        return NO_LOOKS
    k, p = s.looks, s.looks.plan
    spent = _rule(k, SPENT)
    return Prose(
        f"The price is small. To keep a power of {percent(p.power, 0)} with {count(p.looks, 'look')}, the largest size grows by {percent(p.inflation - 1)}. "
        f"If the lift that it is planned for is there, the plan stops on average with {percent(p.expected_effect, 0)} of the information that a test with one look needs; "
        f"if there is none, it takes {percent(p.expected_none, 0)}. "
        f"In the simulation of this test with {_planned(k)}, which one look at the end finds with a power of {percent(POWER, 0)}, "
        f"it finds the lift in {percent(spent.power_simulated, 0)} and ends after {count(round(spent.days_effect), 'day')} on average instead of {number(_rule(k, ONCE).days_effect)}."
    )


def two_lifts(s: Study) -> Prose:
    """Why the lift of the simulation is not the plan's; empty where both are printed alike."""
    planned = s.design.primary.detectable if s.design.primary else None
    if s.looks is None or planned is None or not math.isfinite(s.looks.lift):
        return Prose("")
    if percent(planned.lift, 0) == percent(s.looks.lift, 0):
        return Prose("")
    last, users = s.looks.weekly.iloc[-1], planned.n_a + planned.n_b
    expected = planned.baseline + planned.difference * planned.n_b / users
    seen = last["converters"] / last["users"]
    text = (
        f"In @sec-customers-size that lift is {percent(planned.lift, 0)}: there {percent(expected)} of "
        f"{count(users, 'user')} are expected to buy, by the baseline from before the test and that lift, "
        f"while the simulation takes the {percent(seen)} of {number(last['users'])} who did"
    )
    if last["users"] == users and (seen - expected) * (planned.lift - s.looks.lift) > 0:
        text += "; the larger the share who buy, the smaller the lift that so many users find"
    return Prose(f"{text}.")


def always(s: Study) -> Prose:
    """What a boundary that may be watched at any time costs."""
    if s.looks is None:
        return NO_LOOKS
    k, row, spent = s.looks, _rule(s.looks, ALWAYS), _rule(s.looks, SPENT)
    reached = (
        f"On this test it was reached on {day(k.always_valid_day)}."
        if k.always_valid_day else "On this test it was never reached."
    )
    return Prose(
        "The last row of @tbl-customers-rules goes further: a boundary that holds at every moment, however "
        "long one looks, from the mixture of likelihood ratios of @robbins1970, as used for online tests by "
        f"@johari2022. It allows looks at any moment and without an end, and pays for that: within the {count(int(_rule(k, ONCE).days_none), 'day')} of this test it finds the lift in "
        f"{percent(row.power_simulated, 0)} of the simulated tests, where the weekly plan finds it in {percent(spent.power_simulated, 0)}. {reached}"
    )


def recommendation(s: Study) -> Prose:
    """How to run the next test."""
    if s.looks is None:
        return Prose("State in advance how often the next test will be looked at, and by which boundary.")
    k = s.looks
    return Prose(
        f"**Run the next test with weekly looks, an O’Brien–Fleming boundary and a last day, all written down before it starts.** "
        f"Plan for {percent(k.plan.inflation - 1, 0)} more users than for a single look; "
        f"a p-value between the looks, or below 5% but short of the boundary, is not a result. "
        f"Looking every day at 5% would turn {percent(_rule(k, NAIVE_DAILY).error_simulated, 0)} of useless paywalls into winners."
    )


def _rule(k: Looks, rule: str):
    return next(row for row in k.rules.itertuples() if row.rule == rule)


def _lift(lift: float, digits: int = 1) -> Prose:
    """A lift, which is infinite where nobody bought with the old paywall."""
    return percent(lift, digits) if math.isfinite(lift) else Prose("infinite")


def _a_lift(lift: float) -> str:
    return f"a lift of {_lift(lift, 0)}" if math.isfinite(lift) else "an infinite lift"


def _planned(k: Looks) -> str:
    """The lift of the simulated tests."""
    return f"a lift of {percent(k.lift, 0)}" if math.isfinite(k.lift) else "the largest lift there can be"


def _last_lift(k: Looks) -> float:
    return float(k.weekly["lift"].iloc[-1])


def _crossings(changes: int) -> str:
    times = {0: "never crossed the line after that", 1: "crossed the line once"}
    return times.get(changes, f"crossed the line {number(changes)} times")


def _share(share: float, error: float) -> Prose:
    """A simulated share with its standard error."""
    return Prose(f"{percent(share)}{NBSP}±{NBSP}{number(100 * error, 1)}")


def _ends(i: Interval) -> Prose:
    if not math.isfinite(i.high):
        return Prose(f"{percent(i.low)} or more")
    return interval(100 * i.low, 100 * i.high, 1, "%")


def _whole(most: int) -> list[int]:
    """About eight whole numbers up to the largest."""
    step = max(1, math.ceil(most / 8))
    return list(range(step, most + 1, step))


def _dates(k: Looks) -> pd.DatetimeIndex:
    """About five days to label, evenly spaced."""
    first, last = pd.to_datetime([k.running["day"].iloc[0], k.running["day"].iloc[-1]])
    return pd.date_range(first, last, periods=min(5, (last - first).days + 1)).normalize()
