"""The paywall test as it was planned: baseline, sample size, power, duration."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers import design as study
from analysis.customers.design import Design
from analysis.report import figures
from analysis.report.customers.app import money
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    count,
    day,
    digits_of_points,
    interval,
    number,
    percent,
)

NOTHING = Prose(
    "The tables hold no days before the test in which somebody could have been followed for its "
    "whole horizon and bought, so the test cannot be planned from them."
)
NO_PLAN = Prose("The test cannot be planned from these tables (@sec-customers-metrics).")
NO_REVENUE = Prose("There was no revenue before the test to plan with.")


def _week_count(weeks: float | None) -> Prose:
    if weeks is None or not math.isfinite(weeks):
        return Prose(MISSING)
    return number(math.ceil(weeks - 1e-9))


def _weeks(weeks: float | None) -> Prose:
    if weeks is None or not math.isfinite(weeks):
        return Prose("more weeks than can be told, because users stopped coming")
    return count(math.ceil(weeks - 1e-9), "week")


def _points(difference: float, digits: int = 1) -> Prose:
    """A difference of shares in percentage points."""
    return Prose(f"{number(100 * difference, digits)} percentage points")


def _hand(d: Design) -> tuple[int, int]:
    """Sizes of the groups that a picture or a simulation is about: the test's own or the plan's."""
    if min(d.control, d.test) > 1 or d.primary is None:
        return d.control, d.test
    return d.primary.planned.n_a, d.primary.planned.n_b


def horizon(s: Study) -> Prose:
    """The days after assignment that count."""
    return count(s.design.horizon, "day")


def source(s: Study) -> Prose:
    """What the plan is computed from."""
    if s.design.primary is None:
        return Prose("What takes no days before the test stands here: what is measured, and the rule "
                     "of decision.")
    return Prose("It is computed from days before the test and, where it says what the test at hand "
                 "can find, from the number of its users.")


def relevant_lift(s: Study) -> Prose:
    """The smallest lift worth having, as a percentage."""
    return percent(s.design.relevant_lift, 0)


def _base(s: Study) -> str:
    """What the smallest lift worth having is a lift on."""
    return ("the baseline from before the test" if s.design.primary is not None
            else "the old paywall's share in the test, for want of a baseline from before it")


def practical(s: Study) -> Prose:
    """The smallest lift worth having, and on what."""
    return Prose(f"{relevant_lift(s)} on {_base(s)}")


def mark(s: Study) -> Prose:
    """The smallest difference worth having, as the rule of decision takes it."""
    d, p = s.design.primary, s.lift.primary
    if d is None and p is None:
        return Prose(f"a lift of {practical(s)}")
    if d is None and not p.control.estimate:
        return Prose(f"{_points(p.relevant_difference)}, {relevant_lift(s)} of the new paywall's "
                     "share, since nobody bought at the old one")
    points = d.planned.difference if d is not None else p.relevant_difference
    return Prose(f"{_points(points)}, a lift of {practical(s)}")


def baseline(s: Study) -> Prose:
    """What the metrics were before the test."""
    d, before = s.design, s.design.before
    if before is None or d.primary is None:
        return NOTHING
    share = d.primary.baseline
    told = (
        f"From {day(before.first_day)} to {day(before.last_day)}, "
        f"{count(before.days, 'day')} that end so early that everybody's {horizon(s)} were over "
        f"when the test began, {count(before.users, 'user')} saw a paywall; "
        f"{percent(share.estimate)} of them bought at one within {horizon(s)} of the first view "
        f"(95% interval {interval(100 * share.low, 100 * share.high, 1, '%')})"
    )
    if d.revenue is None:
        return Prose(f"{told}. {NO_REVENUE}")
    spent = d.revenue.baseline
    return Prose(
        f"{told}, and a user brought {money(spent.estimate)} ({money(spent.low)} to "
        f"{money(spent.high)}), with a standard deviation of {money(d.revenue.sd)}."
    )


def shorter(s: Study) -> Prose:
    """Whether the baseline's window is as long as the test's."""
    d, before = s.design, s.design.before
    if before is None:
        return Prose("")
    if before.days < d.assignment_days:
        return Prose(
            f"The tables allow no longer window; the test assigned users for "
            f"{count(d.assignment_days, 'day')}, so the baseline holds fewer of those who come "
            "rarely than the test does."
        )
    return Prose("The window is as long as the one in which the test assigned its users.")


def relevant(s: Study) -> Prose:
    """The practical effect in percentage points."""
    p = s.design.primary
    if p is None:
        return NOTHING
    share = p.baseline.estimate
    raised = share + p.planned.difference
    digits = digits_of_points(share, raised)
    return Prose(
        f"On a baseline of {percent(share, digits)} a lift of {relevant_lift(s)} is "
        f"{_points(p.planned.difference, digits)}: from {percent(share, digits)} to "
        f"{percent(raised, digits)} of users."
    )


def requirement(s: Study) -> Prose:
    """How large the test should be, and how large it is."""
    d, p = s.design, s.design.primary
    if p is None:
        return NO_PLAN
    told = (
        f"To see the practical effect with a power of {percent(d.target_power, 0)} takes "
        f"{count(p.planned.n_a, 'user')} in each group, {number(p.planned.n_a + p.planned.n_b)} "
        f"in all, and {_weeks(p.weeks)} of assignment at the pace of before the test, "
        f"plus the {horizon(s)} until the last of them is observed."
    )
    if p.at_hand is None:
        return Prose(f"{told} The test itself has no two groups of users to compare yet.")
    enough = min(d.control, d.test) >= p.planned.n_a
    have = (
        f"The test assigned users for {count(d.assignment_days, 'day')} and has "
        f"{number(d.control)} and {number(d.test)} with a whole horizon: "
    )
    chance = percent(p.at_hand.power, 0)
    if enough:
        return Prose(f"{told} {have}enough, with a power of {chance}.")
    part = (d.control + d.test) / (p.planned.n_a + p.planned.n_b)
    return Prose(
        f"{told} {have}{percent(part, 0)} of what it needs, so that a lift just worth having would "
        f"be found with a chance of only {chance}. Whoever runs such a test must know "
        "beforehand that not finding anything will not mean that there is nothing."
    )


def detectable(s: Study) -> Prose:
    """The smallest lift that the groups at hand see."""
    d, p = s.design, s.design.primary
    if p is None or p.at_hand is None:
        return NO_PLAN if p is None else Prose("Without two groups there is nothing to detect.")
    if p.detectable is None or p.detectable.lift is None:
        return Prose(
            f"No lift at all would be found with a power of {percent(d.target_power, 0)} by groups "
            "so small."
        )
    return Prose(
        f"The smallest lift that groups of {number(d.control)} and {number(d.test)} find with a "
        f"power of {percent(d.target_power, 0)} is {percent(p.detectable.lift, 0)}, or "
        f"{_points(p.detectable.difference)}."
    )


def traffic(s: Study) -> Prose:
    """Why weeks and users are not in proportion."""
    weeks = s.design.users_a_week
    if len(weeks) < 3 or weeks[0] == 0:
        return Prose("There are too few weeks before the test to tell how its users would come in.")
    first, last = weeks[0], weeks[-1]
    if last < 0.8 * first:
        return Prose(
            f"Time is not in proportion to size: a user is assigned once, so the first week brings "
            f"the regulars, {count(first, 'user')}, and the last of {count(len(weeks), 'week')} "
            f"only {number(last)} who had not come before. Doubling a test more than doubles its "
            "duration."
        )
    if last > 1.25 * first:
        return Prose(
            f"More and more users came, {number(first)} in the first week and {number(last)} in the "
            f"last of {count(len(weeks), 'week')}; a plan that takes the pace of the last days to go "
            "on is cautious if they keep coming.")
    return Prose(
        f"Users came in evenly, {number(first)} in the first week and {number(last)} in the last of "
        f"{count(len(weeks), 'week')}, so duration grows in proportion to size."
    )


def size_table(s: Study) -> Prose:
    """Users a group by baseline and lift, with weeks."""
    frame = s.design.size_table
    if frame.empty:
        return NO_PLAN
    rows = []
    for factor, part in frame.groupby("baseline", sort=True):
        row = {"Baseline": percent(part["share"].iloc[0])
               + ("" if factor == 1 else f" (×{number(factor, 1)})")}
        for cell in part.itertuples():
            size = None if pd.isna(cell.per_group) else int(cell.per_group)
            row[f"+{percent(cell.lift, 0)}"] = MISSING if size is None else number(size)
        rows.append(row)
    shown = pd.DataFrame(rows)
    return table(shown, {name: Prose for name in shown.columns})


def weeks_table(s: Study) -> Prose:
    """Users a group and weeks for both metrics, by lift."""
    frame = s.design.metric_table
    if frame.empty:
        return NO_PLAN
    whole = partial(_optional, number)
    shown = pd.DataFrame({
        "Lift": [f"+{percent(lift, 0)}" for lift in frame["lift"]],
        "Users a group, conversion": [whole(n) for n in frame["converted"]],
        "Weeks, conversion": [_week_count(w) for w in frame["converted_weeks"]],
        "Users a group, revenue": [whole(n) for n in frame["revenue"]],
        "Weeks, revenue": [_week_count(w) for w in frame["revenue_weeks"]],
    })
    return table(shown, {name: Prose for name in shown.columns})


def _optional(show, value) -> Prose:
    return Prose(MISSING) if pd.isna(value) else show(value)


def revenue(s: Study) -> Prose:
    """How much larger a test on revenue has to be."""
    d = s.design
    if d.revenue is None or d.primary is None:
        return NO_REVENUE if d.primary else NO_PLAN
    r, p = d.revenue, d.primary
    times = r.planned.n_a / p.planned.n_a
    same = number(times, 1) == "1.0"
    larger = "about as many" if same else f"{number(times, 1)} times as many" if times > 1 else "fewer"
    told = (
        f"A test on revenue a user needs {larger} users for the same lift of {relevant_lift(s)}, "
        f"{number(r.planned.n_a)} a group: revenue varies {number(r.sd / r.baseline.estimate, 1)} "
        f"times its mean from user to user, conversion "
        f"{number(p.sd / p.baseline.estimate, 1)} times"
    )
    if r.detectable is None or r.detectable.lift is None or r.at_hand is None:
        return Prose(f"{told}.")
    return Prose(
        f"{told}. With the groups at hand the power is {percent(r.at_hand.power, 0)}, and "
        f"revenue would have to rise by {percent(r.detectable.lift, 0)} to be seen with "
        f"{percent(d.target_power, 0)}."
    )


def metric(s: Study) -> Prose:
    """Why the primary metric is the share of buyers."""
    d = s.design
    if d.revenue is None or d.primary is None:
        return NO_REVENUE if d.primary else NO_PLAN
    if d.revenue.planned.n_a > d.primary.planned.n_a:
        return Prose(
            "This is why the share who buy was named as the primary metric and revenue as a "
            "secondary one: money is what counts, but the share tells the paywalls apart sooner."
        )
    return Prose(
        "On these data revenue would have been the better primary metric: it needs fewer users."
    )


def power_figure(s: Study) -> p9.ggplot | Prose:
    """Power by the true lift, for the test as it is and as planned; and power by size."""
    d, p = s.design, s.design.primary
    if p is None:
        return NO_PLAN
    share = p.baseline.estimate
    planned = (p.planned.n_a, p.planned.n_b)
    sizes = {"as planned": planned}
    if min(d.control, d.test) > 1:
        sizes = {"this test": (d.control, d.test)} | sizes
    lifts = [lift for lift in np.linspace(0, 0.5, 26) if share * (1 + lift) < 1]
    frame = pd.DataFrame(
        [(name, lift, study.power_of_share(share, float(lift), *size))
         for name, size in sizes.items() for lift in lifts],
        columns=["test", "lift", "power"])
    names = list(sizes)
    frame["test"] = pd.Categorical(frame["test"], names)
    return (
        figures.Plot(frame, p9.aes("lift", "power", color="test", linetype="test"))
        + p9.geom_hline(yintercept=d.target_power, color=figures.GREY, linetype="dotted")
        + p9.geom_vline(xintercept=d.relevant_lift, color=figures.GREY, linetype="dotted")
        + p9.geom_line(size=0.9)
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, 1))
        + figures.colours(names)
        + p9.labs(x="True lift", y="Chance of a significant result")
        + figures.theme(height=3.0)
    )


def simulation_table(s: Study) -> Prose:
    """Power as computed and as simulated."""
    frame = s.design.simulation
    if frame.empty:
        return NO_PLAN
    shown = pd.DataFrame({
        "True lift": [percent(lift, 0) for lift in frame["lift"]],
        "Power, computed": [percent(p) for p in frame["power"]],
        "Power, simulated": [
            f"{percent(row.simulated)}{NBSP}±{NBSP}{percent(1.96 * row.error)}"
            for row in frame.itertuples()],
        "Mean lift found where significant": [
            MISSING if pd.isna(row.exaggeration) else percent(row.lift * row.exaggeration, 0)
            for row in frame.itertuples()],
    })
    return table(shown, {name: Prose for name in shown.columns})


def simulation(s: Study) -> Prose:
    """Whether simulation and formula agree."""
    frame = s.design.simulation
    if frame.empty:
        return NO_PLAN
    gap = (frame["simulated"] - frame["power"]).abs()
    apart = frame[gap > 4 * frame["error"]]
    runs = number(study.SIMULATIONS)
    if apart.empty:
        return Prose(
            f"Formula and simulation ({runs} tests each) agree within the simulation's own error, "
            f"which leaves {_points(gap.max(), 2)} at most between them."
        )
    return Prose(
        f"In {number(len(apart))} of {count(len(frame), 'case')} the simulation ({runs} tests "
        f"each) departs from the formula by more than its own error, by up to "
        f"{_points(gap.max(), 2)}: with groups this small the normal approximation is rough, and "
        "the simulation is the one to read."
    )


def exaggeration(s: Study) -> Prose:
    """What a significant result of a small test does to the estimate."""
    frame = s.design.simulation
    row = frame[np.isclose(frame["lift"], s.design.relevant_lift)].dropna()
    if row.empty:
        return Prose("")
    times, chance = float(row["exaggeration"].iloc[0]), float(row["power"].iloc[0])
    if times < 1.1:
        return Prose(
            "With this power a significant estimate is about right on average: the last column is "
            "close to the truth."
        )
    return Prose(
        f"The last column is the price of low power: where the true lift is {relevant_lift(s)} and "
        f"the chance to find it {percent(chance, 0)}, the tests that do find it overstate it "
        f"{number(times, 1)} times on average, because a smaller estimate would not have been "
        "significant [@gelman2014]."
    )
