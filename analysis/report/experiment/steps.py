"""Conversion by tasks completed: tables, figures and sentences."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment.reductions import COHORTS, HELP, TASKS
from analysis.experiment.steps import (
    ALPHA,
    BOUNDED,
    COMPLETIONS,
    DEADLINES,
    EVERYTHING,
    LEAST_CUSTOMERS,
    LEAST_EVENTS,
    NO_TROUBLE,
    TROUBLE,
    WEAK,
    Comparison,
    Instrument,
    tally,
    with_rates,
)
from analysis.report import figures
from analysis.report.experiment import labels
from analysis.report.sentences import digits_of_ends
from analysis.report.tables import table, with_interval
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    p_cell,
    p_value,
    percent,
    percents,
)
from analysis.stats.intervals import Interval

ALL = labels.tasks(len(TASKS))
NEVER = labels.help_name(HELP[0])
GROUPS = {**{c: labels.cohort(c) for c in COHORTS}, NO_TROUBLE: capital(NEVER),
          TROUBLE: "In trouble at least once"}
PER = 100  # completions, for the gain told in customers
EARLY = DEADLINES[-1]


def _points(value: float, digits: int = 1) -> str:
    """A difference of shares in points: "43.9 points"."""
    return f"{number(100 * value, digits)} points"


def _digits(low: float, high: float) -> int:
    return digits_of_ends(100 * low, 100 * high)


def _ends(low: float, high: float) -> Prose:
    """The ends of an interval of a difference of shares, in points."""
    return interval(100 * low, 100 * high, _digits(low, high))


def _estimate(i: Interval, said: str = "") -> str:
    """A difference of shares in points, with its interval."""
    return f"{_points(i.estimate, _digits(i.low, i.high))} ({said}{_ends(i.low, i.high)})"


def _gap(i: Interval) -> str:
    return _estimate(i, "95% interval ")


def _odds(i: Interval) -> str:
    """An odds ratio with its interval, whose ends may be 0 or infinite."""
    if not math.isfinite(i.estimate):
        return f"infinity (at least {number(i.low, 2)})"
    if not math.isfinite(i.high):
        return f"{number(i.estimate, 2)} (at least {number(i.low, 2)})"
    return f"{number(i.estimate, 2)} ({interval(i.low, i.high, 2)})"


def _nothing(s: Study) -> Prose | None:
    """Why conversion can't be compared by completions; None where it can."""
    d = s.steps
    if not d.converted:
        return Prose("Nobody converted, so there is no conversion to compare.")
    if d.converted == d.customers:
        return Prose("Everybody converted, so there is nothing in which those who completed more could differ.")
    if len(d.levels) == 1:
        k = int(d.levels.index[0])
        who = f"Every customer completed {labels.tasks(k)}" if k else "No customer completed a task"
        return Prose(f"{who}, so there are no numbers of completions to compare.")
    return None


def _shares(c: Comparison, good: int) -> str:
    rest = round(c.b.estimate * c.n_b)
    return (f"of those who completed {ALL}, {percent(c.a.estimate)} converted ({number(good)} of {number(c.n_a)}); "
            f"of those who completed fewer, {percent(c.b.estimate)} ({number(rest)} of {number(c.n_b)})")


def _finished(s: Study) -> str:
    d = s.steps
    return _shares(d.finishing, int(d.levels.converted.get(len(TASKS), 0)))


# The relation.


def answer(s: Study) -> Prose:
    """The result in a few words."""
    if said := _nothing(s):
        return said
    d = s.steps
    c = d.finishing
    if c is None:
        return Prose(f"Nobody completed {ALL}, so those who do can't be compared with others. {_rise(s)}")
    said = f"{_finished(s)}: a difference of {_gap(c.difference)}, {p_value(c.p_value)}."
    if c.p_value > ALPHA:
        return Prose(f"**That those who complete {ALL} convert more often is not shown**: {said} {_effect(s)}")
    if c.difference.estimate < 0:
        return Prose(f"**Those who complete {ALL} convert less often**: {said} {_effect(s)}")
    closely = ", and closely" if c.ratio and c.ratio.low > 2 else ""
    return Prose(f"**Completing {ALL} and converting go together{closely}**: {said} {_effect(s)}")


def _lot(s: Study) -> Instrument | None:
    """The test as an instrument, if its lot can be trusted."""
    return s.steps.instrument if s.decision.trusted else None


def _effect(s: Study) -> str:
    """Whether completing is also shown to make customers convert."""
    i = _lot(s)
    if i is None:
        return "Whether completing *makes* anybody convert, such a comparison can't say."
    if _shown(i):
        more = "more" if i.estimate > 0 else "less"
        reached = s.steps.instrument_trouble
        thin = ("; and the evidence is thin, for among those in trouble, whom alone the widget can reach, an effect of nought agrees with it, too"
                if reached is not None and not _shown(reached) else "")
        return (f"On whether completing *makes* them convert the test can say a little, since it moved completions by lot: if it moves conversion through them alone, "
                f"it supports that they convert {more} because they completed, by {_points(abs(i.estimate))} a completion, though anything {_region(i)} points agrees with it{thin}.")
    return ("Whether completing *makes* anybody convert, the test, which moved completions by lot, "
            f"can't tell: {_why_open(i)}.")


def _shown(i: Instrument) -> bool:
    """Whether the instrument's interval is one, and leaves out 0."""
    return i.kind == BOUNDED and (i.low > 0 or i.high < 0)


def _region(i: Instrument) -> str:
    if i.kind == BOUNDED:
        return f"from {_ends(i.low, i.high)}"
    low, high = (number(100 * end, _digits(i.low, i.high)) for end in (i.low, i.high))
    return f"below {low} or above {high}"


def _why_open(i: Instrument) -> str:
    if i.kind == EVERYTHING:
        return "its effect on completions is so uncertain that no value is ruled out"
    if i.kind == BOUNDED:
        return f"an effect of a completion {_region(i)} points agrees with it, and so does none at all"
    what = "none at all among them" if i.low >= 0 or i.high <= 0 else "which leaves even the direction open"
    return f"any effect of a completion {_region(i)} points agrees with it, {what}"


def levels_table(s: Study) -> Prose:
    """Conversion by number of completions, and what each further one goes with."""
    d = s.steps
    rows = []
    for k, level in d.levels.iterrows():
        step = d.jumps.loc[k] if k in d.jumps.index else None
        rows.append({
            "Tasks completed": int(k), "Customers": level.customers,
            "Converted": Prose(f"{percent(level.rate)} ({percents(level.low, level.high)})"),
            "Step, points": _cell(step, "difference", "low", "high"),
            "Step, held equal": _cell(step, "adjusted", "adjusted_low", "adjusted_high"),
            "p, corrected": MISSING if step is None else p_cell(step.p_adjusted),
        })
    return table(pd.DataFrame(rows), {"Tasks completed": number, "Customers": number, **dict.fromkeys(
        ("Converted", "Step, points", "Step, held equal", "p, corrected"), Prose)})


def _cell(row: pd.Series | None, value: str, low: str, high: str) -> str:
    if row is None or not math.isfinite(row[value]):
        return MISSING
    return f"{number(100 * row[value], _digits(row[low], row[high]))} ({_ends(row[low], row[high])})"


def levels_figure(s: Study) -> p9.ggplot | Prose:
    """Conversion by number of completions, in each cohort."""
    if len(s.steps.levels) < 2:
        return _nothing(s) or Prose("There is one number of completions, so there is nothing to draw.")
    names = [str(labels.cohort(c)) for c in COHORTS]
    rows = with_rates(tally(s.paths, "cohort", COMPLETIONS)).reset_index()
    rows["cohort"] = pd.Categorical([str(labels.cohort(c)) for c in rows.cohort], names)
    beside = p9.position_dodge(0.3)
    return (
        figures.Plot(rows, p9.aes(COMPLETIONS, "rate", color="cohort", shape="cohort"))
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), position=beside, size=0.7)
        + p9.geom_point(position=beside, size=2.4)
        + p9.scale_x_continuous(breaks=range(len(TASKS) + 1))
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + figures.colours(names)
        + p9.labs(x="Tasks completed", y="Converted")
        + figures.theme(height=3.0)
    )


def finishing(s: Study) -> Prose:
    """All three tasks against fewer, in points, as a ratio and in odds."""
    if said := _nothing(s):
        return said
    c = s.steps.finishing
    if c is None:
        return Prose(f"Nobody completed {ALL}, so there is no such comparison.")
    ratio = (f"a ratio of {number(c.ratio.estimate, 2)} ({interval(c.ratio.low, c.ratio.high, 2)}), " if c.ratio else "")
    text = (f"{capital(_finished(s))}. That is a difference of {_gap(c.difference)}, {ratio}an odds ratio of {_odds(c.odds_ratio)}, and {p_value(c.p_value)}.")
    if c.p_value > ALPHA:
        return Prose(f"{text} So a difference is not shown; nor is its absence, as far as the interval reaches.")
    return Prose(f"{text} Odds ratios look larger than ratios of shares wherever the shares are not small; the points are what a plan can use.")


def _rise(s: Study) -> str:
    t = s.steps.trend
    how = ", from outcomes dealt at random, as there are few" if t.exact else ""
    said = f"Cochran and Armitage’s z = {number(t.z, 1)}, {p_value(t.p_value)}{how}"
    if t.p_value > ALPHA:
        return f"That conversion rises or falls with the number of completions is not shown ({said})."
    return f"Conversion {'rises' if t.slope > 0 else 'falls'} with the number of completions, by {_points(abs(t.slope))} for each on average ({said})."


def shape(s: Study) -> Prose:
    """Trend, odds, and whether the steps are alike."""
    if said := _nothing(s):
        return said
    d, parts = s.steps, [_rise(s)]
    m = d.logistic
    if m is None:
        parts.append(f"For a model of the odds it takes at least {LEAST_EVENTS} customers who converted and {LEAST_EVENTS} who did not, and numbers of completions "
                     "that do not settle the outcome.")
        return Prose(" ".join(parts))
    parts.append(f"A logit that is linear in the number multiplies the odds of converting by {_odds(m.odds_ratio)} for each completion.")
    if math.isfinite(m.curvature_p):
        said = f"likelihood ratio {number(m.curvature, 1)}, df {m.curvature_df}, {p_value(m.curvature_p)}"
        parts.append(f"But even on that scale the steps are not alike ({said})." if m.curvature_p <= ALPHA else
                     f"That the steps differ on that scale is not shown ({said}).")
    parts.append(_last_step(s))
    return Prose(" ".join(part for part in parts if part))


def _last_step(s: Study) -> str:
    d = s.steps
    if d.last_first is None:
        return ""
    first, last = (d.jumps.difference[k] for k in (TASKS[0], TASKS[-1]))
    odds = d.last_first_odds
    said = (f"The first completion goes with {_points(first)}, the last with {_points(last)}: {_points(d.last_first.estimate)} apart "
            f"({_ends(d.last_first.low, d.last_first.high)}; {p_value(d.last_first_p)}), and the odds ratio of the last is {number(odds.estimate, 2)} times "
            f"that of the first ({interval(odds.low, odds.high, 2)})")
    if d.last_first_p > ALPHA:
        return f"{said}; that the last counts for more or less than the first is not shown."
    return f"{said}; so the last counts for {'more' if d.last_first.estimate > 0 else 'less'} than the first."


def jumps(s: Study) -> Prose:
    """Which single steps go with a difference."""
    d = s.steps
    if _nothing(s) or d.jumps.empty:
        return Prose("Single steps can't be compared here.")
    sides = {side: [int(k) for k in d.jumps.index[shown]] for side, shown in (
        ("more", (d.jumps.p_adjusted <= ALPHA) & (d.jumps.difference > 0)),
        ("less", (d.jumps.p_adjusted <= ALPHA) & (d.jumps.difference < 0)),
        ("open", d.jumps.p_adjusted > ALPHA))}
    if len(sides["more"]) == len(TASKS):
        text = "Each of the steps, from one number of completions to the next, goes with more conversion, after correction for all of them."
    else:
        parts = [f"{_steps(found)} {'goes' if len(found) == 1 else 'go'} with {side} conversion" for side, found in sides.items() if found and side != "open"]
        if sides["open"]:
            parts.append(f"for {_steps(sides['open'])} a difference is not shown")
        text = f"{capital('; '.join(parts))} (all corrected for the number of steps)."
    told = d.jumps[d.jumps.adjusted.notna()]
    if told.empty or (d.jumps.p_adjusted > ALPHA).all():
        return Prose(text)
    moved = float(np.abs(told.adjusted - told.difference).max())
    return Prose(f"{text} With cohort and help held equal, no step changes by more than {_points(moved)}, so neither of the two explains the relation." if moved < 0.02 else
                 f"{text} With cohort and help held equal, steps change by up to {_points(moved)}.")


def _steps(found: list[int]) -> str:
    return f"the {'step' if len(found) == 1 else 'steps'} to {listing(labels.tasks(k) for k in found)}"


# The same everywhere?


def groups_table(s: Study) -> Prose:
    """The relation in each cohort, and without and with trouble."""
    frame = s.steps.groups
    frame = frame[frame.customers > 0]
    rows = pd.DataFrame({
        "Customers who were": [GROUPS[name] if name not in COHORTS else f"in {GROUPS[name]}" for name in frame.index],
        "Number": frame.customers.to_numpy(),
        "Fewer completed": [percent(v) for v in frame.fewer],
        f"{capital(ALL)}": [percent(v) for v in frame.all_three],
        "Odds ratio a completion": [with_interval(_two, _two_ends, row.rename({"low": "odds_ratio_low", "high": "odds_ratio_high"}), "odds_ratio")
                                    for _, row in frame.iterrows()],
    })
    rows["Customers who were"] = [name[:1].lower() + name[1:] for name in rows["Customers who were"]]
    return table(rows, {"Number": number, **dict.fromkeys(rows.columns[2:], Prose)})


def _two(value: float) -> Prose:
    return number(value, 2)


def _two_ends(low: float, high: float) -> Prose:
    return interval(low, high, 2)


def same(s: Study) -> Prose:
    """Whether the relation is the same in both cohorts, and where help played no part."""
    d = s.steps
    if said := _nothing(s):
        return said
    parts = []
    if "cohort" in d.interactions.index:
        row = d.interactions.loc["cohort"]
        parts.append(f"The odds ratio a completion in {labels.cohort(COHORTS[1])} is {_times(row)} that in {labels.cohort(COHORTS[0])}"
                     + (", so the relation differs between the cohorts." if row.p_adjusted <= ALPHA else
                        ", so that the relation differs between the cohorts is not shown, and no ratio beyond that interval is supported."))
    calm = d.groups.loc[NO_TROUBLE]
    if math.isfinite(calm.odds_ratio):
        said = f"Among the {count(int(calm.customers), 'customer')} {NEVER}, for whom no help and no widget can have played a part, it is {number(calm.odds_ratio, 2)} ({interval(calm.low, calm.high, 2)})"
        parts.append(f"{said}: the relation is there without any help." if calm.low > 1 else
                     f"{said}: there, those who complete more convert less." if calm.high < 1 else
                     f"{said}: there, a relation is not shown.")
    if "trouble" in d.interactions.index:
        row = d.interactions.loc["trouble"]
        parts.append(f"That is {_times(row)} the one of customers who were in trouble" + (
            "; the two differ." if row.p_adjusted <= ALPHA else "; that the two differ is not shown."))
    return Prose(" ".join(parts)) if parts else Prose("There are too few customers to compare the relation between groups of them.")


def _times(row: pd.Series) -> str:
    return f"{number(row.ratio, 2)} times ({interval(row.low, row.high, 2)}; corrected {p_value(row.p_adjusted)})"


# Cause.


def order(s: Study) -> Prose:
    """Whether conversion comes after completion, and what that is worth."""
    row = s.faults.set_index("fault").loc["conversion before last completion"]
    n, cases = int(row["of"]), int(row["cases"])
    if not n:
        return Prose("Nobody completed a task and converted at a known time, so which of the two came first can't be seen.")
    share = s.steps.decisions.before_completing
    if not cases:
        who = "the one customer" if n == 1 else f"none of the {number(n)} customers"
        did = "did not do so" if n == 1 else "did so"
        return Prose(f"The order of events would allow it: {who} who completed a task and converted at a known time {did} before the last completion. But "
                     "that proves nothing, for people who have made up their minds to subscribe complete the tasks first and pay then.")
    return Prose(f"Completion does not even always come first: of the {count(n, 'customer')} who completed a task and converted at a known time, {number(cases)} "
                 f"({percents(share.low, share.high)}) converted before the last completion.")


def instrument(s: Study) -> Prose:
    """What the test says of the effect of a completion."""
    i = _lot(s)
    if not s.decision.trusted:
        return Prose("Here the cohorts can't say it, since the test is not trusted (@sec-trialers-trust).")
    if i is None:
        return Prose(f"Here the cohorts can't say it: that takes at least {LEAST_CUSTOMERS} customers in each, and in each some who convert, some who do not, and different numbers of completions.")
    text = (f"The test changed the mean number of completions by {number(i.completions.estimate, 3)} ({interval(i.completions.low, i.completions.high, 3)}) "
            f"and conversion by {_estimate(i.conversion)}.")
    if i.f < WEAK:
        text += f" With F = {number(i.f, 1)} on completions, below {WEAK}, it is a weak instrument, so that the ratio of the two is hardly an estimate at all; the interval holds all the same."
    if math.isfinite(i.estimate):
        text += f" Their ratio is {number(100 * i.estimate, 1)} points of conversion a completion gained."
    region = {EVERYTHING: "No value of it is ruled out", BOUNDED: f"Anderson and Rubin’s interval runs {_region(i)} points"}.get(
        i.kind, f"Anderson and Rubin’s interval is all {_region(i)} points")
    text += f" {region} (of no effect: {p_value(i.p_value)})."
    return Prose(f"{text} {_against_slope(i)} {_reached(s.steps.instrument_trouble)}".rstrip())


def _reached(i: Instrument | None) -> str:
    """The same of those whom the widget can reach."""
    if i is None:
        return ""
    text = "The widget can only reach customers in trouble, and it can't change who is, since the first trouble comes before it. "
    if i.kind == EVERYTHING:
        return f"{text}Among these alone no value is ruled out."
    value = f" the ratio is {number(100 * i.estimate, 1)} points, and" if math.isfinite(i.estimate) else ""
    return f"{text}Among these alone{value} the interval {'runs' if i.kind == BOUNDED else 'is all'} {_region(i)} points (of no effect: {p_value(i.p_value)})."


def _against_slope(i: Instrument) -> str:
    slope = _estimate(i.slope)
    if i.kind == EVERYTHING:
        return f"So it can neither support nor deny the {slope} of the plain relation."
    if not i.slope_inside:
        return f"The {slope} of the plain relation lie outside: they are not what a completion gained by the test adds."
    wide = (i.high - i.low) / (i.slope.high - i.slope.low) if i.kind == BOUNDED else math.nan
    much = f", {number(wide, 0)} times as wide as the one of the plain relation," if wide >= 2 else ""
    if i.kind == BOUNDED and not (i.low < i.slope.estimate / 2 < i.high):
        return f"The {slope} of the plain relation lie within, and half as much does not."
    return (f"That is wide{much} and holds both the {slope} of the plain relation and effects half as large: how much of the relation is effect and how much "
            "is motive stays open.")


def effects_figure(s: Study) -> p9.ggplot | Prose:
    """The plain relation and the test's answer, on one scale."""
    i = _lot(s)
    if i is None:
        return instrument(s)
    if i.kind != BOUNDED:
        return Prose("The test's interval has no two ends between which it lies, so there is nothing to draw.")
    names = ["By lot: moved\nby the test", "As it comes:\nplain relation"]
    rows = pd.DataFrame({
        "label": pd.Categorical(names, names), "value": [i.estimate, i.slope.estimate],
        "low": [i.low, i.slope.low], "high": [i.high, i.slope.high],
    })
    return (
        figures.Plot(rows, p9.aes("label", "value", color="label", shape="label"))
        + p9.geom_hline(yintercept=0, color=figures.GREY)
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), size=0.8)
        + p9.geom_point(size=2.6)
        + p9.coord_flip()
        + p9.scale_y_continuous(labels=lambda values: [f"{100 * v:g}" for v in values])
        + figures.colours(names)
        + p9.labs(x="", y="Points of conversion a completion")
        + figures.theme(height=1.7, legend="none")
    )


# When they decide.


def decisions(s: Study) -> Prose:
    """How early those who convert do so."""
    d = s.steps.decisions
    if not d.dated:
        return Prose("Nobody converted at a known time, so when customers decide can't be seen.")
    shares = d.deadlines.share
    same_day, week = shares[DEADLINES[0]], shares[EARLY]
    row = d.deadlines.loc[EARLY]
    verdict = "most make up their minds early" if row.low > 0.5 else (
        "most take longer than that" if row.high < 0.5 else "whether most decide so early is open")
    middle = ", ".join(f"{percent(shares[days])} within {count(days, 'day')}" for days in DEADLINES[1:-1])
    text = (f"Of the {count(d.dated, 'customer')} who converted at a known time, {percent(same_day)} did so on the day of the test{' or before' if d.curve.index[0] < 0 else ''}, {middle} and "
            f"{percent(week)} ({percents(row.low, row.high)}) within {count(EARLY, 'day')}: {verdict}.")
    curve = d.curve
    if d.last > EARLY and len(curve) > 2:
        tail = curve.decided[(curve.index > EARLY) & (curve.index < d.last)]
        last = int(curve.decided.iloc[-1])
        if len(tail) and last > 2 * tail.max():
            text += f" A second, small wave comes on day {d.last}, the last on which anybody converted: {percent(last / d.dated)}."
    if d.dated < d.converted:
        text += f" For {count(d.converted - d.dated, 'more', 'more')} no time is known."
    return Prose(text)


def decisions_table(s: Study) -> Prose:
    """How early, by number of completions."""
    frame = s.steps.decisions.by_completions
    if frame.empty:
        return decisions(s)
    rows = pd.DataFrame({
        "Tasks completed": frame.index, "Converted": frame.dated.to_numpy(),
        "On the day itself": [Prose(f"{percent(r.share)} ({percents(r.low, r.high)})") for r in frame.itertuples()],
        f"Within {EARLY} days": [percent(v) for v in frame.within],
        "Median day": frame["median"].to_numpy(),
    })
    return table(rows, {"Tasks completed": number, "Converted": number, "On the day itself": Prose,
                        f"Within {EARLY} days": Prose, "Median day": number})


def decisions_figure(s: Study) -> p9.ggplot | Prose:
    """The share of conversions by day, with a band for the whole curve."""
    curve = s.steps.decisions.curve
    if len(curve) < 2:
        return decisions(s) if curve.empty else Prose("All who converted at a known time did so on one day, so there is no curve to draw.")
    # As stairs: each share holds until the next day with a conversion.
    days = np.repeat(curve.index.to_numpy(), 2)[1:]
    rows = pd.DataFrame({"day": days, **{name: np.repeat(curve[name].to_numpy(), 2)[:-1] for name in ("share", "low", "high")}})
    return (
        figures.Plot(rows, p9.aes("day", "share"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill="#c9dceb")
        + p9.geom_line(color=figures.BLUE, size=0.9)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, 1))
        + p9.labs(x="Days after the day of the test", y="Of those who convert")
        + figures.theme(height=2.8)
    )


def without(s: Study) -> Prose:
    """Those who convert without having completed anything."""
    d = s.steps
    if 0 not in d.levels.index:
        return Prose("Every customer completed a task.")
    if not d.converted:
        return Prose("Nobody converted, with or without completing a task.")
    row = d.levels.loc[0]
    if not row.converted:
        return Prose(f"Nobody converted without completing a task: none of {number(row.customers)}, so at most {percent(row.high)} of such customers do, where the interval ends.")
    return Prose(f"Completing is no condition, either: {percent(row.rate)} ({percents(row.low, row.high)}) of those who completed no task converted all the same, {number(row.converted)} "
                 f"of {number(row.customers)}, and {percent(row.converted / d.converted)} of all conversions are theirs.")


def means(s: Study) -> Prose:
    """What it means, and what to do."""
    if _nothing(s):
        return Prose("There is nothing here to act on: without differences in conversion and in completions there is no relation to use.")
    c, i, t = s.steps.finishing, _lot(s), s.steps.trend
    p, up = (c.p_value, c.difference.estimate > 0) if c else (t.p_value, t.slope > 0)
    if p > ALPHA:
        return Prose("The assumption on which the workflow rests, that completing drives conversion, is not supported by these customers; ask for more of them before building on it.")
    if not up:
        return Prose("The assumption on which the workflow rests is contradicted by these customers: find out why those who complete more turn away before bringing more of them there.")
    what = f"Whether a customer has completed {ALL}" if c else "How many tasks a customer has completed"
    text = f"{what} tells early who will probably subscribe; a team can forecast with it and see whom to call."
    if i is not None and _shown(i) and i.estimate > 0:
        low, high = (PER * end for end in (i.low, i.high))
        text += (f" As a lever, count on less certainty: {PER} completions that would not have happened otherwise bring {number(PER * i.estimate)} conversions by the test’s own measure, "
                 f"and {number(low)} to {number(high)} agree with it.")
    else:
        gain = f"{_points(c.difference.estimate)} for each customer who is brought to the end" if c else f"{_points(t.slope)} for each completion"
        text += f" As a lever it is unproven: do not book {gain}, for those who go there on their own may differ in motive."
    last = s.steps.last_first
    if last is not None and s.steps.last_first_p <= ALPHA and last.estimate > 0:
        text += " The step to look at first is the last one: customers who are about to leave with one task to go stand before the largest difference in conversion."
    return Prose(text)


def limits(s: Study) -> Prose:
    """What can't be said."""
    text = ("The ratio of the two effects is one of a completion only if the test acts on conversion through completions alone. A widget that annoys, or an agent who sells, "
            "would break that, and no test of these tables can exclude it. It also speaks of the customers whom the test moved, weighted by how far it moved "
            "them, and takes every completion for equal")
    m = s.steps.logistic
    if m is not None and m.curvature_p <= ALPHA:
        text += ", which the steps above are not"
    return Prose(f"{text}. Who never converts leaves no date, so when those made up their minds is unknown; the days of decision are those of converts only.")
