"""CS against OTHER: as they come, who asks for which, adjusted, and by the widget, in words."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9
from mizani.breaks import breaks_extended

from analysis.experiment import Study
from analysis.experiment.helped import ALPHA, COHORTS, HOUR, LEAST_LEVEL, OTHER, TRAITS, Moved
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
    paragraph,
    percent,
    percents,
)
from analysis.stats.instrument import OUTSIDE, WEAK, Region, TwoStage
from analysis.stats.intervals import Interval

EMPTY = Prose("")  # a sentence that has nothing to say
NOTHING = Prose("Too few were in trouble, or too much alike, to tell.")
STEP = 5  # minutes between the points of a drawn curve
QUARTERS = ("shortest quarter", "second quarter", "third quarter", "longest quarter")
TRAIT_HEADS = {
    "task": "Task", "part_of_day": "Part of the day", "restarted": "Restarted",
    "onset": "Start to trouble", "earlier_time": "Time for the task before",
    "earlier_troubles": "Tasks in trouble before",
}
TRAIT_NAMES = {
    "task": "the task", "part_of_day": "the part of the day", "restarted": "a restart",
    "onset": "the time from start to trouble", "earlier_time": "the time that the task before took",
    "earlier_troubles": "trouble in earlier tasks",
}
READINGS = {"naive": "As they come", "adjusted": "Adjusted", "moved": "Moved by the widget"}
GROUPS = {"OTHER": "OTHER", "CS": "CS"}


# Words shared by the sentences


def _nothing(s: Study) -> Prose | None:
    """What to say where there is nothing to compare."""
    row = s.helped.complete.loc[("all", "CS")]
    if not s.helped.tasks:
        return Prose("Nobody was in trouble with a task, so there is no help to compare.")
    if not row["tasks"]:
        return Prose("Nobody in trouble chose CS, so there is nothing to compare with OTHER.")
    if not row["other_tasks"]:
        return Prose("Everybody in trouble chose CS, so there is nothing to compare it with.")
    return None


def _outcome(s: Study) -> Prose | None:
    """The same, or what to say where all fared alike."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    row = s.helped.complete.loc[("all", "CS")]
    done, tasks = row["completed"] + row["other_completed"], row["tasks"] + row["other_tasks"]
    if not done:
        return Prose("No task in trouble was completed after the help, so neither kind of help comes off better.")
    if done == tasks:
        return Prose("Every task in trouble was completed after the help, so neither kind of help comes off better.")
    return None


def _points(value: float, low: float, high: float, more: str = "more", less: str = "less") -> str:
    """A difference of shares: "8.2 points less (95% interval 6.2 to 10.3)"."""
    digits = digits_of_ends(100 * low, 100 * high)
    if low > 0 or high < 0:
        ends = interval(*sorted((abs(100 * low), abs(100 * high))), digits)
        return f"{number(100 * abs(value), digits)} points {more if value > 0 else less} (95% interval {ends})"
    return f"a difference of {number(100 * value, digits)} points (95% interval {interval(100 * low, 100 * high, digits)})"


def _minutes(value: float, low: float, high: float) -> str:
    """A difference of minutes: "18 minutes more (95% interval 14 to 22)"."""
    if low > 0 or high < 0:
        ends = sorted((abs(low), abs(high)))
        return f"{number(abs(value), 1)} minutes {'more' if value > 0 else 'less'} (95% interval {interval(*ends)})"
    return f"a difference of {number(value, 1)} minutes (95% interval {interval(low, high)})"


def _span(minutes: float) -> str:
    """A time: "1 hour", "4 hours", "35 minutes"."""
    if minutes >= HOUR and minutes % HOUR == 0:
        return str(count(int(minutes) // HOUR, "hour"))
    return str(count(int(minutes), "minute"))


def _within(s: Study) -> str:
    return f"the first {_span(s.helped.horizon)}".replace("first 1 ", "first ")


def _ratio(value: float, low: float, high: float) -> str:
    """A ratio with its limits, as far as anything bounds it."""
    if not math.isfinite(value):
        return f"above {number(low, 2)}" if value == math.inf and math.isfinite(low) else str(MISSING)
    if not math.isfinite(high):
        return f"{number(value, 2)} ({number(low, 2)} or more)"
    return f"{number(value, 2)} ({interval(low, high, 2)})"


def _region(region: Region, factor: float, digits: int = 1) -> str:
    """The effects that a test allows, as they stand after "95% interval"."""
    if math.isinf(region.high):
        return "without any limit"
    ends = interval(factor * region.low, factor * region.high, digits)
    return f"all but {ends}" if region.shape == OUTSIDE else str(ends)


def _strong(s: Study) -> Moved | None:
    """The widget as an instrument, if its lot can be trusted, is strong and moves enough customers."""
    m = s.helped.moved if s.decision.trusted else None
    return m if m is not None and m.enough and not m.effects["completed"].weak else None


def _shown(found: TwoStage) -> int:
    """The direction that an effect is shown to have: 1, -1, or 0 where none is shown."""
    return int(np.sign(found.effect.estimate)) if found.p_value <= ALPHA else 0


def _naive(s: Study) -> int:
    """The same of the plain comparison of first troubles."""
    row = s.helped.complete.loc[("first", "CS")]
    return int(np.sign(row["difference"])) if row["p_value"] <= ALPHA else 0


# Completion, as they come


def complete_table(s: Study) -> Prose:
    """Shares completed after the help: CS, its channels and tasks, each against OTHER."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    rows = []
    for (by, value), row in s.helped.complete.iterrows():
        if by == "first_channel" or not (row["tasks"] and row["other_tasks"]):
            continue
        head = {"all": "CS, all troubles", "first": "CS, first troubles"}.get(by)
        if by == "task":
            head = f"CS, {labels.task(int(value))}"
        rows.append({
            "Help": head or labels.channel_head(value),
            "Tasks": number(row["tasks"]),
            "Completed": percent(row["rate"]),
            "With OTHER": percent(row["other_rate"]),
            "Difference, points": with_interval(
                lambda v: number(100 * v, 1), lambda a, b: interval(100 * a, 100 * b), row, "difference"),
            "Odds ratio": Prose(_ratio(*row[["odds_ratio", "odds_ratio_low", "odds_ratio_high"]])),
            "p": p_cell(row["p_adjusted"]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def complete(s: Study) -> Prose:
    """The plain comparison of all tasks in trouble."""
    if (nothing := _outcome(s)) is not None:
        return nothing
    row = s.helped.complete.loc[("all", "CS")]
    odds = _ratio(row["odds_ratio"], row["odds_ratio_low"], row["odds_ratio_high"])
    text = (
        f"Of {count(int(row['tasks']), 'task')} helped by CS, {percent(row['rate'])} {'was' if row['tasks'] == 1 else 'were'} completed afterwards; of {number(row['other_tasks'])} with OTHER, "
        f"{percent(row['other_rate'])}: {_points(row['difference'], row['difference_low'], row['difference_high'])}, "
        f"an odds ratio of {odds}.".replace("of above", "above")
    )
    if row["p_value"] > ALPHA:
        return Prose(f"{text} That the two differ is not shown ({p_value(row['p_value'])}).")
    return Prose(f"{text} As they come, then, CS looks {'better' if row['difference'] > 0 else 'worse'} ({p_value(row['p_value'])}).")


def independent(s: Study) -> Prose:
    """Whether the comparison holds where every customer counts once."""
    if _outcome(s) is not None:
        return EMPTY
    text = "These are tasks, and a customer can be in trouble with several; rows of one customer are alike, which makes such intervals too narrow."
    row, whole = s.helped.complete.loc[("first", "CS")], s.helped.complete.loc[("all", "CS")]
    if not math.isfinite(row["p_value"]):
        return Prose(f"{text} With each customer's first trouble alone there is nothing to compare.")
    alike = (row["p_value"] <= ALPHA) == (whole["p_value"] <= ALPHA) and row["difference"] * whole["difference"] > 0
    same = "the picture is the same" if alike else "the picture differs"
    return Prose(
        f"{text} With the first trouble of each of {count(s.helped.customers, 'customer')} alone, where rows are independent, {same}: "
        f"{percent(row['rate'])} with CS against {percent(row['other_rate'])}, {_points(row['difference'], row['difference_low'], row['difference_high'])}, {p_value(row['p_value'])}."
    )


def by_task(s: Study) -> Prose:
    """Whether the same is seen in every task."""
    if _outcome(s) is not None:
        return EMPTY
    rows = s.helped.complete.loc["task"]
    return _sorted(rows, {name: labels.task(int(name)) for name in rows.index}, "Customers who chose CS", "in", "those who chose OTHER")


def channels(s: Study) -> Prose:
    """Each channel against OTHER, as they come."""
    if _outcome(s) is not None:
        return EMPTY
    rows = s.helped.complete.loc["channel"]
    text = _sorted(rows, {name: labels.channel(name) for name in rows.index}, "Customers", "with", "with OTHER")
    first = s.helped.complete.loc["first_channel"]
    known = (rows["p_adjusted"] <= ALPHA) & first["difference"].notna()
    if not known.any():
        return text
    turned = [labels.channel(name) for name in rows.index[known]
              if rows.loc[name, "difference"] * first.loc[name, "difference"] <= 0]
    return paragraph(text, (
        f"Among first troubles alone this is not so with {listing(turned, 'or')}." if turned else
        "Among first troubles alone the differences point the same way."))


def _sorted(rows: pd.DataFrame, names: dict[str, str], who: str, where: str, others: str) -> Prose:
    """Rows against OTHER by what is shown of them."""
    rows = rows[rows["p_adjusted"].notna()]
    shown = rows["p_adjusted"] <= ALPHA
    parts = []
    for said, kept in (("more often", shown & (rows["difference"] > 0)), ("less often", shown & (rows["difference"] < 0))):
        if kept.any():
            parts.append(f"{said} {where} {listing(f'{names[i]} ({number(100 * rows.loc[i].difference, 1)} points)' for i in rows.index[kept])}")
    text = f"{who} complete {listing(parts)} than {others}{_tests(len(rows))}." if parts else ""
    if rest := [names[i] for i in rows.index[~shown]]:
        text += f"{' ' if text else ''}{capital(where)} {listing(rest, 'or')} a difference is not shown."
    return Prose(text)


def _tests(n: int) -> str:
    """That so many tests were corrected for."""
    return f" (corrected for {number(n)} tests)" if n > 1 else ""


# Speed


def curves_figure(s: Study) -> p9.ggplot | Prose:
    """The share of first troubles not yet completed, by time since the help."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    curves = s.helped.curves["first"]
    if not s.helped.horizon or len(curves) < 2:
        return Prose("The first troubles were not followed long enough with both kinds of help for a curve.")
    parts = []
    for name, curve in curves.items():
        times = np.unique([*np.arange(0, s.helped.horizon, STEP), s.helped.horizon])
        found = [curve.survival_at(time) for time in times]
        parts.append(pd.DataFrame({
            "help": GROUPS[name], "hours": times / HOUR, "share": [f.estimate for f in found],
            "low": [f.low for f in found], "high": [f.high for f in found]}))
    rows = pd.concat(parts)
    # Where everybody is done the limits are missing.
    rows[["low", "high"]] = rows[["low", "high"]].fillna({"low": 0.0, "high": 0.0})
    rows["help"] = pd.Categorical(rows["help"], [GROUPS["CS"], GROUPS["OTHER"]])
    return (
        figures.Plot(rows, p9.aes("hours", "share", color="help", fill="help"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), alpha=0.2, color="none")
        + p9.geom_line(size=0.8)
        + figures.colours(rows["help"].cat.categories)
        + figures.fills(rows["help"].cat.categories)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, 1))
        + p9.labs(x="Hours since the help", y="Not yet completed")
        + figures.theme(height=3.0)
    )


def speed_table(s: Study) -> Prose:
    """How long it takes from the help to completion."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    h = s.helped
    rows = []
    for (by, value), row in h.speed.iterrows():
        if by == "channel" and value == OTHER:
            continue
        told = {"Help": f"{value}, {'all' if by == 'all' else 'first'} troubles" if by != "channel" else labels.channel_head(value),
                "Within the hour": percent(row["hour"]), "Median, minutes": _median(row),
                "Mean, minutes": with_interval(number, lambda a, b: interval(a, b, 0), row, "mean"),
                "Hazard ratio": Prose(MISSING)}
        if (by, value) in h.faster.index:
            told["Hazard ratio"] = Prose(_ratio(*h.faster.loc[(by, value), ["ratio", "ratio_low", "ratio_high"]]))
        rows.append(told)
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _median(row: pd.Series) -> Prose:
    value, low, high = row[["median", "median_low", "median_high"]]
    if not math.isfinite(value):
        return Prose("not reached")
    if not math.isfinite(low):
        return number(value)
    return Prose(f"{number(value)} ({interval(low, high, 0)})" if math.isfinite(high) else f"{number(value)} ({number(low)} or more)")


def faster(s: Study) -> Prose:
    """The plain comparison of speed."""
    if (nothing := _outcome_of_speed(s)) is not None:
        return nothing
    by = "first" if ("first", "CS") in s.helped.faster.index else "all"
    row, speed = s.helped.faster.loc[(by, "CS")], s.helped.speed.loc[by]
    what = "first troubles" if by == "first" else "troubles"
    parts = []
    if math.isfinite(row["difference"]):
        parts.append(
            f"Within {_within(s)} after the help, {what} with CS take {number(speed.loc['CS', 'mean'], 1)} minutes on average and those with OTHER "
            f"{number(speed.loc['OTHER', 'mean'], 1)}, where whoever is not done by then counts with all of that time: "
            f"{_minutes(row['difference'], row['difference_low'], row['difference_high'])} with CS.")
    if math.isfinite(row["log_rank_p"]):
        seen = row["log_rank_p"] <= ALPHA
        text = f"The log-rank test {'finds the curves to differ' if seen else 'does not show that the curves differ'} ({p_value(row['log_rank_p'])})"
        if math.isfinite(row["ratio"]):
            text += f"; at any moment, those with CS are completing at {_ratio(row['ratio'], row['ratio_low'], row['ratio_high'])} times the rate of those with OTHER (Cox's hazard ratio)"
        parts.append(f"{text}.")
    if not parts:
        parts.append("The tables follow too few tasks for long enough to compare how fast they were completed.")
    return paragraph(*parts)


def _outcome_of_speed(s: Study) -> Prose | None:
    """What to say where nobody was seen to be faster."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    if not s.helped.speed["completed"].sum():
        return Prose("No task in trouble was completed after the help, so nobody was faster.")
    if not len(s.helped.faster):
        return Prose("The times of the help leave nobody with OTHER to compare with.")
    return None


def fast_channels(s: Study) -> Prose:
    """Which channels are slower or faster than OTHER, as they come."""
    if _outcome_of_speed(s) is not None:
        return EMPTY
    rows = s.helped.faster[s.helped.faster.index.get_level_values("by") == "channel"].droplevel("by")
    rows = rows[rows["p_adjusted"].notna()]
    if rows.empty:
        return EMPTY
    kinds = [("faster", (rows["p_adjusted"] <= ALPHA) & (rows["ratio"] > 1)),
             ("slower", (rows["p_adjusted"] <= ALPHA) & (rows["ratio"] < 1))]
    parts = [f"{said} with {listing(f'{labels.channel(n)} ({number(rows.loc[n].ratio, 2)})' for n in rows.index[kept])}"
             for said, kept in kinds if kept.any()]
    text = f"By channel, completion is {listing(parts)} than with OTHER, by hazard ratios{_tests(len(rows))}." if parts else ""
    rest = [labels.channel(n) for n in rows.index[rows["p_adjusted"] > ALPHA]]
    if rest:
        text += f"{' ' if text else ''}With {listing(rest, 'or')} it is not shown to be faster or slower than with OTHER."
    return Prose(text)


def proportional(s: Study) -> Prose:
    """Whether one hazard ratio tells it all."""
    if _outcome_of_speed(s) is not None:
        return EMPTY
    by = "first" if ("first", "CS") in s.helped.faster.index else "all"
    row = s.helped.faster.loc[(by, "CS")]
    if not math.isfinite(row["changes_p"]):
        return EMPTY
    split = ""
    if math.isfinite(row["early"]) and math.isfinite(row["late"]):
        split = (f" it is {_ratio(row['early'], row['early_low'], row['early_high'])} within the first hour and "
                 f"{_ratio(row['late'], row['late_low'], row['late_high'])} after it")
    if row["changes_p"] <= ALPHA:
        tail = f":{split}." if split else "."
        return Prose(f"One ratio for all times is a simplification, as it changes with time (score test on Schoenfeld residuals, {p_value(row['changes_p'])}){tail} The difference of the means does not depend on it.")
    tail = f";{split}" if split else ""
    return Prose(f"That the ratio changes with time is not shown (score test on Schoenfeld residuals, {p_value(row['changes_p'])}){tail}.")


def misleading_mean(s: Study) -> Prose:
    """Why the mean time of those who completed is the wrong one."""
    if _outcome_of_speed(s) is not None:
        return EMPTY
    by = "first" if ("first", "CS") in s.helped.faster.index else "all"
    speed, row = s.helped.speed.loc[by], s.helped.faster.loc[(by, "CS")]
    a, b = (speed.loc[name, "mean_completed"] for name in ("CS", "OTHER"))
    if not (math.isfinite(a) and math.isfinite(b)):
        return Prose("A mean over those who completed is not to be had for both kinds of help.")
    never = (1 - speed["completed"] / speed["tasks"]).loc[["CS", "OTHER"]]
    text = (
        f"The mean time of those who completed, {number(a, 1)} minutes with CS and {number(b, 1)} with OTHER, is the wrong comparison: "
        f"{percent(never['CS'], 0)} of the one group and {percent(never['OTHER'], 0)} of the other were never seen to complete, and such a mean leaves them out as if they had never been in trouble")
    if math.isfinite(row["difference"]) and (a - b) * row["difference"] < 0:
        text += f". Here it would even turn the direction round: among those who completed CS is the {'faster' if a < b else 'slower'}, over all the {'faster' if row['difference'] < 0 else 'slower'}"
    return Prose(f"{text}.")


# Who asks


def _value(trait: str, value: int) -> str:
    """A value of a trait in the figure."""
    if trait == "task":
        return labels.task_head(value)
    if trait == "part_of_day":
        return str(capital(labels.part_of_day(value)))
    if trait == "restarted":
        return ("No", "Yes")[value]
    if trait == "earlier_troubles":
        return ("None", "One", "Two")[value]
    return str(capital(QUARTERS[value - 1]))


def who_figure(s: Study) -> p9.ggplot | Prose:
    """The share choosing CS, and the share completing with OTHER, by what is known before."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    rows = s.helped.who.reset_index()
    if rows.empty:
        return Prose("Nothing is known before the help of those in trouble.")
    panels = {"cs": "Chose CS", "done": "Completed with OTHER"}
    parts = [rows.assign(panel=panel, share=rows[name], low=rows[f"{name}_low"], high=rows[f"{name}_high"])
             for name, panel in panels.items()]
    frame = pd.concat(parts).dropna(subset=["share"])
    frame["panel"] = pd.Categorical(frame["panel"], list(panels.values()))
    # A trait's name is a row of its own above its values: beside them it would take half a panel.
    text = {}
    for trait in (t for t in TRAITS if t in set(frame["trait"])):
        head = f"{TRAIT_HEADS[trait]}:"
        text[head] = head
        for value in sorted(set(frame.loc[frame["trait"] == trait, "value"])):
            text[f"{head} {_value(trait, value)}"] = _value(trait, value)
    frame["row"] = [f"{TRAIT_HEADS[r.trait]}: {_value(r.trait, r.value)}" for r in frame.itertuples()]
    return (
        figures.Plot(frame, p9.aes("share", "row", color="panel"))
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="row"), size=0.7)
        + p9.geom_point(size=1.8)
        + p9.facet_wrap("panel", ncol=2, scales="free_x")
        + figures.colours(list(panels.values()))
        + p9.scale_x_continuous(labels=figures.percents, breaks=breaks_extended(n=3))
        + p9.scale_y_discrete(
            limits=list(text)[::-1], labels=lambda keys: [text[key] for key in keys])
        + p9.labs(x="", y="")
        + figures.theme(height=5.4, legend="none")
    )


def _ends_of(s: Study, trait: str) -> str:
    """The share choosing CS at the lowest and highest value of a trait."""
    rows = s.helped.who.loc[trait]
    low, high = rows.iloc[0], rows.iloc[-1]
    who = {
        "task": ("whose trouble was in task {}", "in task {}"),
        "restarted": ("who had not restarted the task", "who had"),
        "onset": ("whose trouble came soonest after the start", "whose came latest"),
        "earlier_time": ("who had been quickest in the task before", "who had been slowest"),
        "earlier_troubles": ("without trouble in an earlier task", "with trouble in {} of them"),
    }[trait]
    first, last = (said.format(value) for said, value in zip(who, (rows.index[0], rows.index[-1]), strict=True))
    return f"{percent(low['cs'], 0)} of those {first} and {percent(high['cs'], 0)} of those {last}"


def _traces(s: Study) -> pd.DataFrame:
    """Ordered traits that are shown to go with choosing CS; `sign` as they bear on the comparison.

    -1: those who choose CS more complete less with OTHER, so CS looks worse than it is; 1: they
    complete more; 0: that they complete more or less is not shown.
    """
    rows = s.helped.choice
    rows = rows[(rows["p_adjusted"] <= ALPHA) & (rows["step_p_adjusted"] <= ALPHA)]
    sign = np.sign((rows["step"] - 1) * (rows["done"] - 1)).where(rows["done_p_adjusted"] <= ALPHA, 0.0)
    return rows.assign(sign=sign)


def traces(s: Study) -> Prose:
    """Whether those who ask for CS had the harder cases."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found = _traces(s).sort_values("step_p")
    if found.empty:
        return Prose("Nothing that is known before the help is shown to go, step by step, with choosing CS. That does not make the choice random: what is not known may decide it.")
    strongest = list(found.index[:2])
    text = f"Who chooses CS is not a matter of chance: it was chosen by {'; by '.join(_ends_of(s, t) for t in strongest)}."
    worse, better = (listing(TRAIT_NAMES[t] for t in found.index[found["sign"] == sign]) for sign in (-1, 1))
    if worse:
        text += (
            f" Sorted by {worse}, those who choose CS more often complete less often where they choose OTHER: traces of harder cases. "
            "Whoever compares CS with OTHER as they come compares harder cases with easier ones.")
    if better:
        text += f" Sorted by {better}, those who choose CS more often also complete more often where they choose OTHER, which flatters CS."
    if not worse and not better:
        text += " That these customers complete more or less often where they choose OTHER is not shown."
    return Prose(text)


def associations(s: Study) -> Prose:
    """How closely each trait goes with the choice."""
    if _nothing(s) is not None or s.helped.choice.empty:
        return EMPTY
    rows = s.helped.choice.sort_values("v", ascending=False)
    shown = rows[rows["p_adjusted"] <= ALPHA]
    if shown.empty:
        if len(rows) == 1:
            return Prose(f"The one thing known before the help, {TRAIT_NAMES[rows.index[0]]}, is not shown to be associated with the choice (chi-squared, {p_value(rows['p_value'].iloc[0])}).")
        return Prose(f"Of {number(len(rows))} things known before the help, none is shown to be associated with the choice (chi-squared, smallest corrected {p_value(rows['p_adjusted'].min())}).")
    parts = [f"{TRAIT_NAMES[name]} ({number(row['v'], 2)}; {interval(row['v_low'], row['v_high'], 2)})" for name, row in shown.iterrows()]
    rest = [TRAIT_NAMES[name] for name in rows.index[rows["p_adjusted"] > ALPHA]]
    tail = f"; for {listing(rest, 'or')} it is not shown" if rest else ""
    return Prose(f"By Cramér's V, with its 95% interval, the choice goes with {listing(parts)}{tail}{_tests(len(rows))}.")


def agent(s: Study) -> Prose:
    """Whether agents get those in trouble again."""
    if _nothing(s) is not None:
        return EMPTY
    shares, p = s.helped.agent, s.helped.agent_p
    text = "Whether agents, within CS, get the hardest cases can't be seen here: what is known before the help is counted for CS as a whole."
    if p is None:
        return Prose(text)
    first, later = (f"{percent(shares[name].estimate)} ({percents(shares[name].low, shares[name].high)})" for name in ("first", "later"))
    text += f" At a first trouble {first} of those in CS went to an agent, at later ones {later}"
    if p > ALPHA:
        return Prose(f"{text}: that people in trouble again turn to agents more, or less, is not shown ({p_value(p)}).")
    more = shares["later"].estimate > shares["first"].estimate
    return Prose(f"{text}: people in trouble again turn to agents {'more' if more else 'less'} ({p_value(p)}).")


# Adjusted


def adjusted(s: Study) -> Prose:
    """The comparison with all that is known before the help held equal."""
    if (nothing := _outcome(s)) is not None:
        return nothing
    found = s.helped.adjusted.get("first")
    if found is None:
        return Prose("With so few first troubles, or outcomes that one group alone has, no model can be fitted, so there is no adjusted comparison.")
    d = found.difference
    text = (
        f"If all {count(found.tasks, 'first trouble')} had been helped by CS, {percent(found.share_cs)} would have been completed by this model, and {percent(found.share_other)} with OTHER: "
        f"{_points(d.estimate, d.low, d.high)}, a ratio of {_ratio(found.ratio.estimate, found.ratio.low, found.ratio.high)}. "
        f"As they come the difference was {number(100 * found.naive.estimate, 1)} points.")
    if (whole := s.helped.adjusted.get("all")) is not None and whole.tasks > found.tasks:
        w = whole.difference
        text += f" Over all {count(whole.tasks, 'task')} in trouble it is {number(100 * w.estimate, 1)} points ({interval(100 * w.low, 100 * w.high)})."
    return Prose(text)


def overlap_table(s: Study) -> Prose:
    """How chances of choosing CS are spread in both groups."""
    found = s.helped.overlap
    if found is None:
        return _nothing(s) or Prose("Nothing that is known before the help tells chances of choosing CS apart, or there are too few first troubles to see it.")
    rows = pd.DataFrame([{
        "Chance of choosing CS": percents(low, low + 0.1, 0), "Chose CS": percent(row["share_cs"]), "Chose OTHER": percent(row["share_other"]),
    } for low, row in found.bins.iterrows()])
    return table(rows, dict.fromkeys(rows.columns, Prose))


def overlap(s: Study) -> Prose:
    """Whether like can be compared with like."""
    found = s.helped.overlap
    if found is None:
        return EMPTY
    outside = (
        "no first trouble lies outside" if found.outside == 0 else
        f"{percent(found.outside, 2)} of the first troubles {'lies' if found.outside * s.helped.customers < 1.5 else 'lie'} outside")
    a = found.area
    return Prose(
        f"Both kinds of help occur at chances from {percent(found.low, 0)} to {percent(found.high, 0)}; {outside}. "
        f"All that is known puts somebody who chose CS above somebody who chose OTHER in {percent(a.estimate, 0)} of pairs ({percents(a.low, a.high, 0)}), where a coin would in 50%: "
        + ("it says little about who asks for CS, and so can take away little of what makes them differ." if a.estimate < 0.7 else "it says a good deal about who asks for CS."))


def not_enough(s: Study) -> Prose:
    """How far adjustment goes, against what the widget shows."""
    found = s.helped.adjusted.get("first")
    if found is None or _outcome(s) is not None:
        return EMPTY
    step = found.difference.estimate - found.naive.estimate
    text = (
        (f"Holding equal what is known moves the difference by {number(100 * abs(step), 1)} points, in favour of {'CS' if step > 0 else 'OTHER'}. "
         if abs(step) >= 0.0005 else "Holding equal what is known hardly moves the difference. ") +
        "It cannot be known from this comparison how far there is left to go: how hard a case is was never recorded, only its traces.")
    m = _strong(s)
    if m is None:
        return Prose(text)
    e, r = m.effects["completed"].effect, m.effects["completed"].region
    apart = found.difference.high < r.low or found.difference.low > r.high
    said = f"the widget's answer below, {number(100 * e.estimate, 1)} points ({_region(r, 100)})"
    return Prose(f"{text} Compared with {said}, " + (
        "it falls short by more than chance explains: what was never recorded still misleads, or CS does something else for those whom the widget moves than for the rest."
        if apart and step * (e.estimate - found.difference.estimate) > 0 else
        "it goes past it, or the wrong way: what is known is not what misleads." if apart else
        "it may have gone far enough: the intervals overlap."))


# Moved by the widget


def _no_instrument(s: Study) -> Prose | None:
    """Why the widget tells nothing here; None where it does."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    m = s.helped.moved
    if m is None:
        return Prose("Among first troubles the choice of help, or the outcome, is the same for all of a kind, so the widget can't tell what CS does.")
    return None


def first_stage(s: Study) -> Prose:
    """How far the widget moves people to CS."""
    if (nothing := _no_instrument(s)) is not None:
        return nothing
    m = s.helped.moved
    found = m.effects["completed"]
    d = found.first_stage
    control, test = COHORTS
    text = (
        f"Of the first troubles in Control {percent(m.used[control].estimate)} went to CS, of those in Test {percent(m.used[test].estimate)}: "
        f"{_points(d.estimate, d.low, d.high)}.")
    strength = f"an F of {number(found.f, 1)}" if math.isfinite(found.f) else "an F without limit"
    if found.weak:
        return Prose(
            f"{text} With {strength}, below the customary {number(WEAK)}, the widget is too weak an instrument: an effect of CS estimated with it would be mostly noise, "
            "so the figures that follow are shown for completeness and none of them is a finding.")
    if not m.enough:
        return Prose(
            f"{text} But in one of the cohorts fewer than {number(LEAST_LEVEL)} of these customers completed the task, or fewer did not, and the errors of this method are those of large samples: "
            "the figures that follow are shown for completeness and none of them is a finding.")
    who = "to CS" if d.estimate > 0 else "away from CS"
    return Prose(f"{text} With {strength}, where less than {number(WEAK)} would be weak, the instrument is strong. The widget moves {percent(abs(d.estimate), 0)} of those at a first trouble {who}; "
                 f"{percent(m.always, 0)} choose CS whether reminded or not, and {percent(m.never, 0)} choose OTHER either way.")


def effect_table(s: Study) -> Prose:
    """By outcome: both cohorts' difference, and the effect of CS on those moved."""
    if (nothing := _no_instrument(s)) is not None:
        return nothing
    names = {"completed": "Completed, points", "hour": "Within the hour, points", "horizon": f"Within {_span(s.helped.horizon)}, points",
             "minutes": f"Minutes of {_within(s)}"}
    rows = []
    for name, found in s.helped.moved.effects.items():
        factor = 1 if name == "minutes" else 100
        form, effect = found.reduced_form, found.effect
        rows.append({
            "Outcome": names[name],
            "Test less Control": _cell(form, factor), "CS, for those moved": _cell(effect, factor),
            "Anderson–Rubin": Prose(_region(found.region, factor)), "p": p_cell(found.p_value),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _cell(found: Interval, factor: float) -> Prose:
    low, high = factor * found.low, factor * found.high
    digits = digits_of_ends(low, high)
    return Prose(f"{number(factor * found.estimate, digits)} ({interval(low, high, digits)})")


def _effect_said(found: TwoStage, factor: float, unit: str) -> str:
    """An effect with its Anderson-Rubin interval."""
    return f"{number(factor * found.effect.estimate, 1)} {unit} (95% interval {_region(found.region, factor)})"


def effect(s: Study) -> Prose:
    """What CS does to completion for those whom the widget moved to it."""
    if (nothing := _no_instrument(s)) is not None:
        return nothing
    if (m := _strong(s)) is None:
        return Prose(f"What CS does for those whom it would help remains open: {_missing(s)}.")
    found = m.effects["completed"]
    form = found.reduced_form
    control, test = map(labels.cohort, COHORTS)
    said = _points(form.estimate, form.low, form.high, "more often", "less often")
    said = (f"In the shares of first troubles completed, {test} less {control}, there is {said}." if said.startswith("a ") else
            f"Customers in {test} complete the task of their first trouble {said} than those in {control}.")
    text = (
        f"{said} As the widget does this through those whom it moves, the effect of CS on them is "
        f"{_effect_said(found, 100, 'points')}, {p_value(found.p_value)}.")
    verdict = {1: "For them CS is the better option.", -1: "For them CS is the worse option.", 0: "That CS is better for them than OTHER, or worse, is not shown."}
    text += f" {verdict[_shown(found)]}"
    if m.known is not None:
        k = m.known
        close = abs(k.effect.estimate - found.effect.estimate) <= found.standard_error
        text += f" With all that is known before the help held equal as well, it is {_effect_said(k, 100, 'points')}{', much the same, as it should be where chance deals the cohorts' if close else ''}."
    return Prose(text)


def without(s: Study) -> Prose:
    """How many of those moved complete with and without CS."""
    m = _strong(s)
    if m is None or m.with_cs is None or m.without_cs is None:
        return EMPTY
    a, b = m.with_cs, m.without_cs
    return Prose(
        f"Of those moved, {percent(_bounded(a.estimate), 0)} complete with CS ({_shares(a)}) and {percent(_bounded(b.estimate), 0)} would with OTHER ({_shares(b)}).")


def _bounded(share: float) -> float:
    return min(1.0, max(0.0, share))


def _shares(found: Interval) -> Prose:
    """An interval of a share, as far as a share can go."""
    return percents(_bounded(found.low), _bounded(found.high), 0)


def speed_moved(s: Study) -> Prose:
    """What CS does to speed for those whom the widget moved to it."""
    m = _strong(s)
    if m is None or "minutes" not in m.effects:
        return EMPTY
    found = m.effects["minutes"]
    text = f"CS changes the time that they need of {_within(s)} by {_effect_said(found, 1, 'minutes')}, {p_value(found.p_value)}"
    shares = [
        f"within {_span(minutes)} by {_effect_said(m.effects[name], 100, 'points')}"
        for name, minutes in (("hour", HOUR), ("horizon", s.helped.horizon))
        if name in m.effects and (name == "hour" or minutes != HOUR)]
    if shares:
        text += f", and the share done {listing(shares)}"
    said = {-1: "For them CS is the faster way.", 1: "For them CS is the slower way.", 0: "That CS is faster for them, or slower, is not shown."}
    return Prose(f"{text}. {said[_shown(found)]}")


def assumptions(s: Study) -> Prose:
    """What the table can check of the assumptions."""
    if _no_instrument(s) is not None:
        return EMPTY
    m = s.helped.moved
    parts = []
    if len(m.alike):
        unlike = m.alike[m.alike["p_adjusted"] <= ALPHA]
        names = {"trouble": "the share in trouble", **TRAIT_NAMES}
        parts.append(
            f"Before any widget the cohorts are not shown to differ {f'in any of {number(len(m.alike))} things (smallest corrected' if len(m.alike) > 1 else 'in the one thing that can be compared ('}{' ' if len(m.alike) > 1 else ''}{p_value(m.alike['p_adjusted'].min())}), as it has to be where chance deals them."
            if unlike.empty else
            f"Before any widget the cohorts already differ in {listing(names[n] for n in unlike.index)} ({p_value(unlike['p_adjusted'].min())}), which speaks against the draw and so against all that follows from it.")
    if _strong(s) is None:
        return paragraph(*parts)
    control, test = COHORTS
    up = m.effects["completed"].first_stage.estimate > 0
    way = "to CS" if up else "away from CS"
    against = m.implications[m.implications["p_adjusted"] <= ALPHA]
    if against.empty:
        parts.append(f"If the widget does nothing but move people {way}, then in {labels.cohort(test)} each outcome, completed or not, can only be {'more' if up else 'less'} common together with CS than in {labels.cohort(control)}, and {'less' if up else 'more'} common together with OTHER; none of the four shares is shown to go against that. The assumptions might have been refuted here and were not, which is no proof.")
    else:
        told = listing(f"{'completed' if done else 'not completed'} with {help_}" for help_, done in against.index)
        parts.append(f"If the widget does nothing but move people {way}, then in {labels.cohort(test)} each outcome, completed or not, can only be {'more' if up else 'less'} common together with CS than in {labels.cohort(control)}, and {'less' if up else 'more'} common together with OTHER; {told} {'goes' if len(against) == 1 else 'go'} against that ({p_value(against['p_adjusted'].min())}). An assumption fails, and the effect must not be read as one of CS.")
    return paragraph(*parts)


# All three


def readings_figure(s: Study) -> p9.ggplot | Prose:
    """The three readings of completion, side by side."""
    frame = s.helped.readings
    if _strong(s) is None:
        frame = frame.drop(index="moved", errors="ignore")
    if frame.empty:
        return _outcome(s) or Prose("None of the readings can be had from these tables.")
    frame = frame.assign(name=pd.Categorical([READINGS[r] for r in frame.index], list(READINGS.values())[::-1]))
    return (
        figures.Plot(frame, p9.aes("estimate", "name"))
        + p9.geom_vline(xintercept=0, color=figures.GREY, linetype="dashed")
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="name"), color=figures.BLUE, size=0.8)
        + p9.geom_point(size=2.6, color=figures.BLUE)
        + p9.scale_x_continuous(labels=lambda values: [f"{100 * v:+g}".replace("+0", "0") for v in values])
        + p9.labs(x="Completed with CS less with OTHER, percentage points", y="")
        + figures.theme(height=2.0, legend="none")
    )


def readings(s: Study) -> Prose:
    """What the three readings say together."""
    if (nothing := _outcome(s)) is not None:
        return nothing
    rows = s.helped.readings
    parts = [f"{READINGS[name].lower()} {number(100 * row['estimate'], 1)} points ({interval(100 * row['low'], 100 * row['high'])})"
             for name, row in rows.iterrows() if name != "moved" or _strong(s) is not None]
    if not parts:
        return Prose("None of the readings can be had from these tables.")
    text = f"CS less OTHER, in completion: {listing(parts)}."
    m = _strong(s)
    if m is None:
        return Prose(f"{text} None of this is a comparison of like with like, and the widget, which could make one, moved too few people, or there were too few to move.")
    naive, moved = _naive(s), _shown(m.effects["completed"])
    if naive * moved < 0:
        return Prose(f"{text} The plain comparison is not only off, it has the wrong sign.")
    row = rows.loc["moved"]
    if "naive" in rows.index and not row["low"] <= rows.loc["naive", "estimate"] <= row["high"]:
        return Prose(f"{text} The plain comparison lies outside of what the widget allows for those moved.")
    return Prose(f"{text} The plain comparison lies within what the widget allows for those moved, which may be luck.")


def answer(s: Study) -> Prose:
    """The question's answer."""
    if (nothing := _outcome(s)) is not None:
        return Prose(f"**Is CS the better help?** {nothing}")
    row = s.helped.complete.loc[("first", "CS")]
    plain = ""
    if math.isfinite(row["difference"]):
        how = {1: "more often", -1: "less often"}.get(_naive(s))
        plain = f"customers who chose CS at their first trouble completed {percent(row['rate'], 0)} of these tasks, those who chose OTHER {percent(row['other_rate'], 0)}"
        plain += "" if how else ", a difference that may be chance"
    m = _strong(s)
    if m is None:
        tail = f" As they come, {plain}; but they chose for themselves." if plain else ""
        return Prose(f"**Whether CS is the better help can't be told here**: {_missing(s)}.{tail}")
    found, minutes = m.effects["completed"], m.effects.get("minutes")
    size = found.effect.estimate
    verdict = {1: "**CS is the better help**", -1: "**CS is the worse help**", 0: "**That CS is better help than OTHER is not shown**"}[_shown(found)]
    if _shown(found):
        text = f"{verdict} for those whom the widget brings to it: they complete the task {number(100 * abs(size), 1)} points {'more' if size > 0 else 'less'} often than with OTHER (95% interval {_away(found.region, 100)})"
        if minutes is not None and _shown(minutes):
            text += f" and need {number(abs(minutes.effect.estimate), 0)} minutes {'less' if minutes.effect.estimate < 0 else 'more'} of {_within(s)} ({_away(minutes.region, 1, 0)})"
        elif minutes is not None:
            text += "; that they are faster, or slower, is not shown"
    else:
        text = f"{verdict}: for those whom the widget brings to it, it changes completion by {_effect_said(found, 100, 'points')}"
        if minutes is not None and _shown(minutes):
            text += f"; but they need {number(abs(minutes.effect.estimate), 0)} minutes {'less' if minutes.effect.estimate < 0 else 'more'} of {_within(s)} ({_away(minutes.region, 1, 0)})"
    if not plain:
        return Prose(f"{text}.")
    if _naive(s) * _shown(found) >= 0:
        return Prose(f"{text}. As they come, {plain}.")
    hard = _naive(s) < 0 and (_traces(s)["sign"] < 0).any()
    return Prose(f"{text}. A plain comparison says the opposite{', as the harder cases choose CS' if hard else ''}: {plain}.")


def _missing(s: Study) -> str:
    """Why there is no comparison of like with like."""
    m = s.helped.moved
    if not s.decision.trusted:
        return "the test is not trusted (@sec-trialers-trust), and nothing else compares like with like"
    if m is None:
        return "there is no comparison of like with like"
    return "the widget moved too few to CS to compare like with like" if m.enough else "there are too few customers for a comparison of like with like"


def _away(region: Region, factor: float, digits: int = 1) -> str:
    """An interval that leaves out 0, as sizes."""
    return str(interval(*sorted(abs(factor * end) for end in (region.low, region.high)), digits))


def means(s: Study) -> Prose:
    """What follows."""
    if (nothing := _outcome(s)) is not None:
        return nothing
    ranking = "Don't rank the channels, or judge their staff, by the share of their users who complete: nobody was dealt a channel at random, and whoever gets the hard cases looks worst."
    m = _strong(s)
    if m is None:
        return Prose(f"Decide nothing about CS on these tables. They compare people who chose; what is needed is an encouragement, dealt by chance, that moves more of them. {ranking}")
    found = m.effects["completed"]
    size = abs(100 * found.effect.estimate)
    who = "whom the widget takes from OTHER to CS" if found.first_stage.estimate > 0 else "whom the widget takes from CS to OTHER"
    said = {
        1: f"Bring customers in trouble to CS: of 100 {who}, {number(size, 0)} more complete the task (at least {number(_least(found.region), 0)}, at most {number(_most(found.region), 0)}).",
        -1: f"Do not bring customers in trouble to CS as it is: of 100 {who}, {number(size, 0)} fewer complete the task (at least {number(_least(found.region), 0)}, at most {number(_most(found.region), 0)}).",
        0: f"These tables are no ground for bringing more customers to CS, nor for ending it: of 100 {who}, the change in how many complete lies anywhere from {_region(found.region, 100, 0)}.",
    }[_shown(found)]
    return Prose(f"{said} {ranking} To learn which channel helps most, let the widget offer channels at random.")


def _least(region: Region) -> float:
    return 100 * min(abs(region.low), abs(region.high))


def _most(region: Region) -> float:
    return 100 * max(abs(region.low), abs(region.high))


def limits(s: Study) -> Prose:
    """What the comparison can't say."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    m = _strong(s)
    text = "That the widget does nothing but remind of CS, and puts nobody off, is assumed; the tables can refute some of it and prove none. "
    if m is None:
        return Prose(f"{text}Here that does not matter, since {_missing(s)}: no figure of this section is an effect.")
    rest = (f"The {percent(m.always, 0)} who choose CS anyway and the {percent(m.never, 0)} who never do may gain more, or less, and later"
            if m.always + m.never > 0.005 else "Later")
    return Prose(
        f"{text}The effect is that on the {percent(abs(m.effects['completed'].first_stage.estimate), 0)} whom it moves at their first trouble, of all channels of CS as they happen to choose them, on one day. "
        f"{rest} troubles are met by other people in the two cohorts.")
