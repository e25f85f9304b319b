"""Who is lost where, and whether the test can be trusted: tables, figures and sentences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment.reductions import COHORTS, TASKS
from analysis.experiment.trust import (
    ALPHA,
    CONTROL,
    MISMATCH,
    MOST_FAULTY,
    MOST_HIDDEN,
    POWER,
    SERIES,
    TEST,
    Verdict,
)
from analysis.report import figures
from analysis.report.experiment import labels
from analysis.report.sentences import digits_of_ends, planned, untold_split
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
    paragraph,
    percent,
    percents,
    significant,
)
from analysis.stats.intervals import Interval

UNPLANNED = ("The sizes of the cohorts are not judged, since the tables do not say what split was "
             "planned (@sec-trialers-trust-split).")
FINE = 0.01  # shares below it are told with a further digit
LEAST_EXPECTED = 5  # customers of a cohort, for the chi-squared test of the split (Cochran 1954)
# The checks, as what is compared.
CHECKS = {
    "hours": "the hour of the first start",
    "drift": "the share in Test along the hours",
    "attempted": "attempting a task at all",
    "later": "a first start on another day",
    "trouble": "trouble among those who attempted",
    "first_task": "the task of the first trouble",
    "untouched": "the conversion of those never in trouble",
}
# What a check that fails means for the rest of the chapter.
FAILED = {
    "hours": "the cohorts came at different hours, so whatever depends on the hour differs between them without any widget",
    "drift": "the share in Test moved with the hours, so whatever depends on the hour differs between the cohorts without any widget",
    "attempted": "one cohort attempted more than the other before it could see a widget, so comparisons of all customers do not show its effect alone",
    "later": "one cohort started on another day more often than the other, before it could see a widget, so comparisons over time are in doubt",
    "trouble": "one cohort came into trouble more often than the other, though the widget shows only after that, so comparisons of those in trouble are not comparisons of like with like",
    "first_task": "the first trouble came in other tasks in one cohort than in the other, so comparisons of those in trouble are not comparisons of like with like",
    "untouched": "the cohorts convert differently even among those who never saw a widget, so a difference in conversion is not the widget’s alone",
}
# What the analysis does with each fault.
HANDLED = {
    "task out of series": "counts as any other start",
    "completion without start": "counts as completed, without a time",
    "completion before start": "counts as completed, without a time",
    "help without start": "counts as trouble, without a time to it",
    "help before start": "counts as trouble, without a time to it",
    "help after completion": "counts as trouble; left out where help is judged",
    "conversion without time": "counts as converted, without a day",
    "conversion before first start": "counts as converted",
    "conversion before last completion": "counts as converted",
}
# The bars of the flow, and what a bar is made of.
BARS = (("assigned", 0), *SERIES, ("converted", 0))
PARTS = ("reached this stage", "no trouble in the task", "trouble, chose CS", "trouble, chose OTHER")


def _percent(share: float) -> Prose:
    """A share, the small ones with a further digit."""
    return percent(share, 2 if 0 < share < FINE else 1)


def _share(i: Interval | pd.Series) -> Prose:
    """A share with its interval, in a sentence."""
    value = i.estimate if isinstance(i, Interval) else i["share"]
    digits = 2 if 0 < i.high < FINE else 1
    return Prose(f"{percent(value, digits)} ({percents(i.low, i.high, digits)})")


def _points(value: float, low: float, high: float, digits: int = 1) -> Prose:
    """A difference of shares with its interval, in percentage points."""
    digits = digits_of_ends(100 * low, 100 * high, digits)
    return Prose(f"{number(100 * value, digits)} ({interval(100 * low, 100 * high, digits)})")


def _customers(s: Study) -> int:
    return sum(s.customers.values())


def _stage(s: Study, stage: str, task: int) -> pd.DataFrame:
    """A stage of the flow, one row a cohort."""
    return s.trust.stages.xs((stage, task), level=("stage", "task"))


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


# Who is lost where ---------------------------------------------------------------------------


def _place(stage: str, task: int) -> str:
    """Where a customer was lost who did not reach a stage of the series."""
    if stage == "completed":
        return f"within {labels.task(task)}"
    return f"before {labels.task(task)}" if task == TASKS[0] else (
        f"between {labels.task(task - 1)} and {labels.task(task)}")


def flow_answer(s: Study) -> Prose:
    """How many go all the way, and where most are lost."""
    t = s.trust
    n = _customers(s)
    never = t.losses.loc[SERIES[0]]
    start = "Everybody attempts the first task" if never["customers"] == 0 else (
        f"{_percent(never['share'])} of the {number(n)} customers never attempt the first task")
    everyone = {0.0: "nobody completes", 1.0: "everybody completes"}
    finish = everyone.get(t.finished.estimate, f"{_percent(t.finished.estimate)} complete")
    text = f"{start}, and {finish} {labels.tasks(len(TASKS))}."
    if t.losses["customers"].max() == 0:
        return Prose(text)
    most = t.losses[t.losses["customers"] == t.losses["customers"].max()]
    one = len(most) == 1
    return Prose(
        f"{text} The largest {'loss is' if one else 'losses are'} {listing(_place(*key) for key in most.index)}, "
        f"{_percent(most['share'].iloc[0])} of all{'' if one else ' each'}."
    )


def joined(s: Study) -> Prose:
    """What is lost as the four tables become one."""
    t = s.trust
    parts = []
    if t.split.lost:
        n = t.split.lost
        parts.append(f"{count(n, 'customer')} without a row in conversion")
    if t.unknown:
        parts.append(f"{count(t.unknown, 'row')} of customers whom the table of cohorts does not know")
    text = (f"The join leaves out {listing(parts)}." if parts
            else "The join leaves nobody out, and no row.")
    if t.repeated:
        text += (f" {capital(count(t.repeated, 'row'))} that {'repeats' if t.repeated == 1 else 'repeat'} "
                 f"another {'is' if t.repeated == 1 else 'are'} counted once.")
    if t.left_out > 0:
        text += f" Together that is at most {_percent(t.left_out)} of any table."
    return Prose(text)


def never(s: Study) -> Prose:
    """Who never attempts the first task."""
    t = s.trust
    found = t.losses.loc[SERIES[0]]
    n = int(found["customers"])
    if n == 0:
        return Prose("The source says that some customers do not even attempt their first task; "
                     "in these tables there are none.")
    rows = _stage(s, *SERIES[0])
    by = listing(
        f"{_percent(1 - rows.loc[cohort, 'share'])} in {labels.cohort(cohort)}" for cohort in COHORTS)
    return Prose(
        f"{number(n)} of {count(_customers(s), 'customer')} {'has' if n == 1 else 'have'} "
        f"no row of the first task, {_share(found)}: {by}. No widget can have a part in that, for it "
        "shows only within a task."
    )


def flow_table(s: Study) -> Prose:
    """Every stage, by cohort, as a share of the stage before and of all."""
    rows = []
    for (name, task, cohort), row in s.trust.stages.iterrows():
        first = name == "assigned"
        rows.append((
            labels.stage(name, task), labels.COHORT_NAMES[cohort], number(row["customers"]),
            MISSING if first or not np.isfinite(row["share"]) else
            f"{number(100 * row['share'], 1)} ({interval(100 * row['low'], 100 * row['high'])})",
            MISSING if first else f"{number(100 * row['of_all'], 1)} "
            f"({interval(100 * row['of_all_low'], 100 * row['of_all_high'])})",
        ))
    columns = ["Stage", "Cohort", "Customers", "Of the stage before, %", "Of all, %"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[2:], Prose))


def flow_figure(s: Study) -> p9.ggplot:
    """How the cohorts narrow from task to task, with the trouble within each."""
    flow = s.flow.set_index(["stage", "task", "cohort"])["customers"]
    bars, ribbons, ends = [], [], []
    for cohort in COHORTS:
        n, last = s.customers[cohort], None
        for i, (stage, task) in enumerate(BARS):
            width = _stage(s, stage, task).loc[cohort, "of_all"]
            if stage == "attempted":
                cs, other = (flow[kind, task, cohort] / n for kind in ("CS", "OTHER"))
                parts = zip(PARTS[1:], (width - cs - other, cs, other), strict=True)
            else:
                parts = [(PARTS[0], width)]
            at = 0.0
            for part, size in parts:
                bars.append((cohort, part, -i - 0.32, -i + 0.32, at, at + size))
                at += size
            ends.append((cohort, -i, width, f" {100 * width:.0f}%"))
            # Converting is no step after the last task: nothing leads there from it alone.
            if last is not None and stage != "converted":
                ribbons += [(cohort, i, x, y) for x, y in (
                    (0.0, -i + 0.68), (last, -i + 0.68), (width, -i + 0.32), (0.0, -i + 0.32))]
            last = width
    columns = ["cohort", "part", "ymin", "ymax", "xmin", "xmax"]

    def panel(rows: list[tuple], names: list[str]) -> pd.DataFrame:
        frame = pd.DataFrame(rows, columns=names)
        return frame.assign(cohort=pd.Categorical(
            frame["cohort"].map(labels.COHORT_NAMES), [labels.COHORT_NAMES[c] for c in COHORTS]))

    shown = panel(bars, columns)
    shown["part"] = pd.Categorical(shown["part"], PARTS)
    colours = (figures.GREY, figures.SKY, figures.BLUE, figures.ORANGE)
    return (
        figures.Plot(shown)
        + p9.geom_polygon(p9.aes("x", "y", group="step"),
                          data=panel(ribbons, ["cohort", "step", "x", "y"]), fill="#e4e8ec")
        + p9.geom_rect(p9.aes(xmin="xmin", xmax="xmax", ymin="ymin", ymax="ymax", fill="part"))
        + p9.geom_text(p9.aes("x", "y", label="label"), data=panel(ends, ["cohort", "y", "x", "label"]),
                       ha="left", size=8, color=figures.INK)
        + p9.facet_wrap("cohort", ncol=2)
        + p9.scale_fill_manual(dict(zip(PARTS, colours, strict=True)))
        + p9.scale_x_continuous(labels=figures.percents, breaks=[0, 0.5, 1], limits=(0, 1.22))
        + p9.scale_y_continuous(breaks=[-i for i in range(len(BARS))],
                                labels=[labels.stage(*bar) for bar in BARS])
        + p9.guides(fill=p9.guide_legend(nrow=2))
        + p9.labs(x="Share of the cohort’s customers", y="")
        + figures.theme(height=3.9)
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def lost(s: Study) -> Prose:
    """Where the customers are lost, the largest losses first."""
    losses = s.trust.losses
    gone = losses[losses["customers"] > 0].sort_values("customers", ascending=False, kind="stable")
    if gone.empty:
        return Prose("Nobody is lost on the way: who was assigned went through all tasks.")
    parts = [f"{_share(row)} {_place(*key)}" for key, row in gone.iterrows()]
    within = sum(row["customers"] for key, row in gone.iterrows() if key[0] == "completed")
    text = f"Of all customers, the trial loses {listing(parts)}."
    total = gone["customers"].sum()
    if 0 < within < total:
        text += (f" So {percent(within / total, 0)} of the losses are within a task, where help could "
                 "change something; the others are of customers who did not begin the next task.")
    elif within:
        text += " All losses are within a task, where help could change something."
    else:
        text += " All losses are between tasks, where no help is offered."
    return Prose(text)


def unfinished(s: Study) -> Prose:
    """Whether subscribing takes all tasks."""
    found = s.trust.converted_unfinished
    if found is None:
        return Prose("Nobody subscribed.")
    converted = int(_stage(s, "converted", 0)["customers"].sum())
    if found.estimate == 0:
        return Prose(f"All {count(converted, 'customer')} who subscribed had completed "
                     f"{labels.tasks(len(TASKS))}." if converted > 1 else
                     f"The one customer who subscribed had completed {labels.tasks(len(TASKS))}.")
    if found.estimate == 1:
        return Prose(f"Nobody who subscribed had completed {labels.tasks(len(TASKS))}.")
    return Prose(
        f"Subscribing is not the end of that way: {_share(found)} of those who subscribed had not "
        f"completed {labels.tasks(len(TASKS))}."
    )


def skipped(s: Study) -> Prose:
    """How many reached a stage of the series without the one before."""
    rows = s.trust.stages
    n = int(rows.loc[rows.index.get_level_values("task") > 0, "skipped"].sum())
    if n == 0:
        return Prose("Nobody reached a stage without the one before.")
    return Prose(
        f"In {count(n, 'case')} a customer reached a stage without a trace of the one before; "
        f"{'it is' if n == 1 else 'they are'} in the counts, and not in the shares of the stage before."
    )


def flow_means(s: Study) -> Prose:
    """What the flow means for a widget that shows in trouble only."""
    trouble, n = int(_stage(s, "trouble", 0)["customers"].sum()), _customers(s)
    if trouble == 0:
        return Prose("Nobody came into trouble, so nobody can have seen the widget, and there is no "
                     "effect of it to find.")
    share = trouble / n
    if trouble == n:
        return Prose("Everybody came into trouble, so the widget could reach every customer in Test.")
    return Prose(
        f"The widget can reach those only who come into trouble: {percent(share)} of the customers. "
        f"An effect on them is only {number(share, 2)} times as large among all customers. So those in "
        "trouble are where to look for how the widget works, and all customers are whom the decision "
        "is about."
    )


# The split -----------------------------------------------------------------------------------


def rule(s: Study) -> Prose:
    """The rule by which the verdict is chosen."""
    share = s.trust.split.planned
    reserved = (
        "read with reservations if the cohorts are shown to differ before the widget can "
        f"show (at {percent(ALPHA, 0)} after Holm’s correction for all comparisons of this section); "
        f"if a fault is in more than {percent(MOST_FAULTY, 0)} of the cases in which it could be, or "
        "is shown to be more common in one cohort;"
    )
    if share is None:
        return Prose(
            f"The results are {reserved} or if the join leaves out more than "
            f"{percent(MOST_FAULTY, 0)} of a table. Otherwise the test is trusted. The sizes of the "
            "cohorts have no part in that, since the tables name no planned split to hold them against."
        )
    return Prose(
        f"If chance gives a split as far from the planned {planned(share)} in Test with a "
        f"probability below {MISMATCH:g}, the results are not to be read. "
        f"They are {reserved} if the join leaves out more than "
        f"{percent(MOST_FAULTY, 0)} of a table, or so many customers that they could hide a "
        f"mismatch; or if the loss of {percent(MOST_HIDDEN, 0)} of a cohort could escape the check. "
        "Otherwise the test is trusted."
    )


def split(s: Study) -> Prose:
    """Whether the customers were split as planned."""
    a = s.trust.split
    n = a.control + a.test
    sizes = (
        f"{labels.cohort(CONTROL)} has {count(a.control, 'customer')} and {labels.cohort(TEST)} "
        f"{number(a.test)}, {percent(a.share.estimate)} of all (95% interval "
        f"{percents(a.share.low, a.share.high)})"
    )
    if a.planned is None:
        return Prose(f"{sizes}. {untold_split('trialers', 'cohort')}")
    chi_squared = ""
    if min(a.planned, 1 - a.planned) * n >= LEAST_EXPECTED:
        chi_squared = f"; χ² = {number(a.chi_squared, 2)}, {p_value(a.p_chi_squared)}"
    told = (
        f"{sizes}, where {planned(a.planned)} were planned (exact binomial test {p_value(a.p_exact)}{chi_squared})"
    )
    if a.mismatch:
        fewer = labels.cohort(TEST if a.share.estimate < a.planned else CONTROL)
        return Prose(
            f"{told}. **Chance does not give such a split.** Either customers of {fewer} were lost "
            "on the way to these tables, or the assignment was not what the plan says; and whoever "
            "is missing may be just those who matter."
        )
    lost = ""
    if a.lost and not a.hides:
        lost = (f" The {count(a.lost, 'customer')} without a row in conversion can’t change that: "
                f"had all belonged to one cohort, p would still be at least {significant(a.p_worst, 2)}."
                if a.lost > 1 else
                " The one customer without a row in conversion can’t change that: in whichever "
                f"cohort, p would still be at least {significant(a.p_worst, 2)}.")
    elif a.lost:
        lost = (f" But {count(a.lost, 'customer')} without a row in conversion {_were(a.lost)} left "
                "out, and if all of them belonged to one cohort, the split would be a mismatch "
                f"({p_value(a.p_worst)}): to which they belonged has to be looked up.")
    if a.p_exact < ALPHA:
        return Prose(f"{told}: chance gives a split as far off in fewer than one of {number(1 / ALPHA)} "
                     f"tests, which is rare, and not so rare as to stop the reading.{lost}")
    return Prose(f"{told}: such a split is what chance gives.{lost}")


def threshold(s: Study) -> Prose:
    """Why the threshold of the check is low; empty where there is no check."""
    if s.trust.split.planned is None:
        return Prose("")
    return Prose(
        "The threshold is low because this check is made in every test, and a "
        "[false alarm](glossary.qmd#gl-type-i-error) costs the whole of it."
    )


def seen(s: Study) -> Prose:
    """What mismatch the check could have seen; empty where there is no check."""
    a = s.trust.split
    if a.planned is None:
        return Prose("")
    chance = f"with a probability of {percent(POWER, 0)}"
    if a.seen_low is None and a.seen_high is None:
        return Prose(f"With {count(a.control + a.test, 'customer')} the check can find nothing: no "
                     "split at all would be improbable enough.")
    shares, losses = [], []
    if a.seen_low is not None:
        shares.append(f"of {percent(a.seen_low)} or less")
        losses.append(f"{percent(a.hidden_test)} of the customers of {labels.cohort(TEST)}")
    if a.seen_high is not None:
        shares.append(f"of {percent(a.seen_high)} or more")
        losses.append(f"{percent(a.hidden_control)} of those of {labels.cohort(CONTROL)}"
                      if losses else
                      f"{percent(a.hidden_control)} of the customers of {labels.cohort(CONTROL)}")
    text = (
        f"{capital(chance)} the check finds a true share {', or '.join(shares)}; in other words, it "
        f"would find that {listing(losses, 'or')} had been lost."
    )
    for end, cohort in ((a.seen_low, TEST), (a.seen_high, CONTROL)):
        if end is None:
            text += f" No loss in {labels.cohort(cohort)}, however large, would be found so surely."
    return Prose(f"{text} Smaller losses can escape it.")


def exact(s: Study) -> Prose:
    """Whether the split is too near to the plan; empty where there is none."""
    a = s.trust.split
    if a.planned is None:
        return Prose("")
    if a.mismatch:
        return Prose("That such a split is not too near to the plan needs no test.")
    if a.too_exact:
        return Prose(
            "The split is nearer to the plan than lots would easily bring it: as near or nearer with "
            f"a probability of {significant(a.p_closer, 2)}. Dealing customers out in blocks does "
            "that, and harms nothing; so does a table that was made from its shares. It is no reason "
            "against the test, but one to ask how customers were assigned."
        )
    if a.p_closest >= ALPHA:
        return Prose(
            "Whether the split is too exact can’t be asked of so few customers: lots hit the plan as "
            f"nearly as can be with a probability of {significant(a.p_closest, 2)}."
        )
    return Prose(
        "Nor is the split too good to be true: lots come as near to the plan, or nearer, with a "
        f"probability of {significant(a.p_closer, 2)}."
    )


# Before the widget ---------------------------------------------------------------------------


def hours_figure(s: Study) -> p9.ggplot:
    """The share in Test by the hour of the first start."""
    rows = s.trust.hours.reset_index()
    share = s.trust.split.planned
    plan = [] if share is None else [
        p9.geom_hline(yintercept=share, color=figures.VERMILION, linetype="dashed")]
    return (
        figures.Plot(rows, p9.aes("hour", "share"))
        + plan
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1.7)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, None))
        + p9.scale_x_continuous(breaks=range(0, 24, 6), limits=(-0.5, 23.5),
                                labels=[labels.hour(h) for h in range(0, 24, 6)])
        + p9.labs(x="Hour of the first start", y="Share in Test")
        + figures.theme(height=2.6, legend="none")
    )


def hours(s: Study) -> Prose:
    """Whether the cohorts came at the same hours."""
    checks = s.trust.checks
    spread, drift = checks.loc["hours"], checks.loc["drift"]
    if not np.isfinite(spread["p_value"]):
        return Prose("All first starts on the day of the test fall into one hour or one cohort, so "
                     "hours can’t be compared.")
    v = (f"Cramér’s V {number(spread['value'], 2)}, {interval(spread['low'], spread['high'], 2)}; "
         f"corrected {p_value(spread['p_adjusted'])}")
    text = (f"The cohorts are shown to come at different hours ({v})." if spread["failed"] else
            f"The cohorts are not shown to come at different hours ({v}).")
    if not np.isfinite(drift["p_value"]):
        return Prose(f"{text} For a drift over the day there are too few first starts.")
    slope = f"{_points(drift['value'], drift['low'], drift['high'], 2)} percentage points an hour"
    if drift["failed"]:
        way = "rises" if drift["value"] > 0 else "falls"
        return Prose(f"{text} The share in Test {way} over the day, by {slope} "
                     f"(corrected {p_value(drift['p_adjusted'])}).")
    return Prose(f"{text} Nor does the share in Test drift over the day as far as can be shown: it "
                 f"changes by {slope} (corrected {p_value(drift['p_adjusted'])})."
                 if not spread["failed"] else
                 f"{text} A drift in one direction is not shown: the share in Test changes by {slope} "
                 f"(corrected {p_value(drift['p_adjusted'])}).")


def _size(row: pd.Series) -> Prose:
    """The size of a difference between the cohorts, in a table."""
    value, low, high = row["value"], row["low"], row["high"]
    if not np.isfinite(value):
        return Prose(MISSING)
    if row["measure"] == "V":
        return Prose(f"V = {number(value, 2)} ({interval(low, high, 2)})")
    if row["measure"] == "slope":
        return Prose(f"{_points(value, low, high, 2)} points an hour")
    return Prose(f"{_points(value, low, high)} points")


def checks_table(s: Study) -> Prose:
    """The cohorts before the widget: shares, differences, p-values."""
    rows = []
    for name, row in s.trust.checks.iterrows():
        cells = [number(row[f"{cohort}_n"]) if not np.isfinite(row[cohort]) else
                 f"{_percent(row[cohort])} of {number(row[f'{cohort}_n'])}"
                 for cohort in ("control", "test")]
        rows.append((capital(CHECKS[name]), *cells, _size(row), p_cell(row["p_value"]),
                     p_cell(row["p_adjusted"])))
    columns = ["Compared", "Control", "Test", "Size of the difference", "p", "Corrected"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], Prose))


def checks(s: Study) -> Prose:
    """Whether the cohorts are alike before the widget can show."""
    frame = s.trust.checks
    told = frame[frame["p_value"].notna()]
    if told.empty:
        return Prose("There is too little in these tables to compare the cohorts before the widget "
                     "shows.")
    failed = told[told["failed"]]
    if failed.empty:
        text = (
            f"In none of the {number(len(told))} comparisons that can be made are the cohorts shown to "
            f"differ (the smallest {p_value(told['p_value'].min())}, and corrected "
            f"{p_value(told['p_adjusted'].min())})."
            if len(told) > 1 else
            "In the one comparison that can be made the cohorts are not shown to differ "
            f"({p_value(told['p_value'].min())})."
        )
        if "trouble" in told.index:
            row = told.loc["trouble"]
            text += (
                " Trouble, after which all that follows is compared, came to "
                f"{_percent(row['control'])} of those who attempted in {labels.cohort(CONTROL)} and to "
                f"{_percent(row['test'])} in {labels.cohort(TEST)}, a difference of "
                f"{_points(row['value'], row['low'], row['high'])} percentage points."
            )
        return Prose(text)
    parts = [f"{CHECKS[name]} (corrected {p_value(row['p_adjusted'])})"
             for name, row in failed.iterrows()]
    return Prose(
        f"The cohorts are shown to differ in {listing(parts)}, of {count(len(told), 'comparison')}. "
        f"{paragraph(*(f'{capital(FAILED[name])}.' for name in failed.index))}"
    )


def days(s: Study) -> Prose:
    """How many start on other days than that of the test."""
    t = s.trust
    the_day = f"{day(s.window.day)}, the day of the test"
    on_day = 1 - t.after_day.estimate - t.before_day.estimate
    if on_day == 1:
        return Prose(f"All first starts are on {the_day}.")
    text = (f"Most first starts are on {the_day}" if on_day > 0.5 else
            f"No day has more first starts than {the_day}")
    parts = []
    if t.after_day.estimate > 0:
        parts.append(f"{_share(t.after_day)} of those who started did so on a later day")
    if t.before_day.estimate > 0:
        parts.append(f"{_share(t.before_day)} {'' if parts else 'of those who started '}"
                     f"{'on an earlier one' if parts else 'did so on an earlier day'}, before the "
                     "test had begun")
    text += f"; {listing(parts)}."
    row = t.checks.loc["later"]
    if np.isfinite(row["p_value"]):
        text += (" That is shown to differ between the cohorts." if row["failed"] else
                 " That is not shown to differ between the cohorts "
                 f"(corrected {p_value(row['p_adjusted'])}).")
    return Prose(f"{text} All stay in the counts; only the comparison of hours is made within the day.")


# The log -------------------------------------------------------------------------------------


def _found(s: Study) -> pd.DataFrame:
    return s.trust.disorder[s.trust.disorder["cases"] > 0]


def faults_table(s: Study) -> Prose:
    """What is out of order in the log, how often, in which cohort, and what is done about it."""
    found = _found(s)
    if found.empty:
        return Prose("Nothing in the log is out of order, so there is nothing to list.")
    rows = [
        (capital(labels.fault(name)), number(row["cases"]),
         f"{number(100 * row['share'], 2)} "
         f"({interval(100 * row['share_low'], 100 * row['share_high'], 2)})",
         _points(row["value"], row["low"], row["high"], 2) if np.isfinite(row["value"]) else MISSING,
         p_cell(row["p_adjusted"]), HANDLED[name])
        for name, row in found.iterrows()
    ]
    columns = ["Fault", "Cases", "Share, %", "Test less Control, points", "p, corrected",
               "What is done"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:5], Prose))


def faults(s: Study) -> Prose:
    """How common the faults are, and whether the cohorts share them alike."""
    disorder, found = s.trust.disorder, _found(s)
    looked = [f"no {labels.fault(name)}" for name in disorder.index if name not in found.index]
    if found.empty:
        return Prose(f"None of the {number(len(disorder))} faults that were looked for is in the log: "
                     f"{listing(looked)}.")
    worst = found["share"].idxmax()
    row = found.loc[worst]
    where = (f"in {number(row['cases'])} of {count(int(row['of']), 'case')} in which it could be "
             f"({_percent(row['share'])})")
    text = f"Of the {number(len(disorder))} faults that were looked for, {number(len(found))} "
    text += (f"is in the log: {labels.fault(worst)}, {where}." if len(found) == 1 else
             f"are in the log. The one with the largest share, {labels.fault(worst)}, is {where}.")
    many = int((disorder["share"] > MOST_FAULTY).sum())
    if many:
        text += (f" That is above {percent(MOST_FAULTY, 0)}." if len(found) == 1 else
                 f" {number(many)} of them {'lies' if many == 1 else 'lie'} above {percent(MOST_FAULTY, 0)}.")
    uneven = disorder.index[disorder["failed"]]
    told = disorder["p_value"].notna().any()
    if len(uneven):
        where = {name: labels.cohort(TEST if disorder.loc[name, "value"] > 0 else CONTROL)
                 for name in uneven}
        text += (" Shown to be more common in one cohort than in the other: "
                 f"{listing(f'{labels.fault(name)} (in {where[name]})' for name in uneven)}.")
    elif told:
        text += (" None of them is shown to be more common in one cohort."
                 if len(found) > 1 else " It is not shown to be more common in one cohort.")
    return Prose(text)


# The verdict ---------------------------------------------------------------------------------


def _reservations(s: Study) -> Mapping[str, str]:
    """What each reason against the test is, as a clause."""
    t = s.trust
    failed = t.checks.index[t.checks["failed"]]
    many = t.disorder[t.disorder["share"] > MOST_FAULTY]
    uneven = t.disorder.index[t.disorder["failed"]]
    common = [f"{labels.fault(name)} in {_percent(row['share'])} of the cases in which it could be"
              for name, row in many.iterrows()]
    if len(many) > 1:
        common = [f"{number(len(many))} kinds of fault are each in more than {percent(MOST_FAULTY, 0)} of the "
                  f"cases in which they could be, the most common, {labels.fault(many['share'].idxmax())}, "
                  f"in {_percent(many['share'].max())}"]
    if t.before_day.estimate > MOST_FAULTY:
        common.append(f"{_percent(t.before_day.estimate)} of those who started did so before the day "
                      "of the test")
    losses = (f"the join leaves out {_percent(t.left_out)} of a table" if t.left_out > MOST_FAULTY
              else "the customers without a row in conversion could hide a mismatch")
    said = {
        "blind": f"with {count(_customers(s), 'customer')} the check of the split could miss the loss "
                 f"of {percent(MOST_HIDDEN, 0)} of a cohort",
        "unbalanced": f"the cohorts differ in {listing(CHECKS[name] for name in failed)}, before the "
                      "widget can show",
        "faults": listing(common),
        "uneven": f"one cohort has more of {listing(labels.fault(name) for name in uneven)}",
        "losses": losses,
    }
    return {name: said[name] for name in said if t.reasons[name]}


def answer(s: Study) -> Prose:
    """Whether the test can be trusted."""
    t = s.trust
    a = t.split
    if a.planned is not None:
        shares = (f"{percent(a.share.estimate)} of the customers are in Test, where {planned(a.planned)} "
                  "were planned")
    if t.trusted is Verdict.REFUSED:
        return Prose(
            f"**The results of the test are not to be read as effects of the widget:** {shares}, which "
            f"chance does not bring about ({p_value(a.p_exact)})."
        )
    if t.trusted is Verdict.RESERVED:
        parts = list(_reservations(s).values())
        return Prose(
            f"**The test can be read with reservations:** {'; '.join(parts)}. " + (
                UNPLANNED if a.planned is None else
                f"The split as it is raises no alarm: {shares} ({p_value(a.p_exact)}).")
        )
    told = int(t.checks["p_value"].notna().sum())
    worst = t.disorder["share"].max()
    log = ("the log is without the faults that were looked for" if not worst > 0 else
           f"no fault of the log is in more than {_percent(worst)} of the cases")
    if a.planned is None:
        return Prose(
            f"**The test can be trusted:** the cohorts are not shown to differ in any of "
            f"{count(told, 'comparison')} from before the widget shows, and {log}. {UNPLANNED}"
        )
    return Prose(
        f"**The test can be trusted:** {shares} ({p_value(a.p_exact)}), the cohorts are not shown to "
        f"differ in any of {count(told, 'comparison')} from before the widget shows, and {log}."
    )


def means(s: Study) -> Prose:
    """What the verdict means for the rest of the chapter."""
    t = s.trust
    if t.trusted is Verdict.REFUSED:
        return Prose(
            "The sections that follow describe the two cohorts as they are in the tables. Their "
            "differences are not effects of the widget until it is known who is missing and why, and "
            "no decision should rest on them. Look for the cause first: customers dropped by a "
            "filter, a redirect or an error of the widget itself, or another share than the plan’s."
        )
    if t.trusted is Verdict.RESERVED:
        do = {
            "blind": "take the randomisation on trust or test more customers",
            "unbalanced": "look into how customers were assigned and logged, and hold what differs "
                          "equal where that is possible",
            "faults": "have the log repaired where the faults arise, and see whether conclusions hold "
                      "without the customers concerned",
            "uneven": "ask what in the log depends on the cohort",
            "losses": "find out who was left out",
        }
        parts = [do[name] for name in _reservations(s)]
        return Prose(
            "The differences between the cohorts may be read as effects of the widget, with what was "
            f"found here in mind. Before a decision: {'; '.join(parts)}."
        )
    return Prose(
        "So the cohorts may be compared as they were assigned, and a difference between them that "
        "chance does not explain is an effect of the widget. That holds for all customers, and for "
        "those in trouble at their first trouble; it does not hold for groups that the widget itself "
        "may have made, such as those who reached the last task."
    )


def limits(s: Study) -> Prose:
    """What the checks cannot see."""
    texts = [
        "No check proves a randomisation: losses that are alike in both cohorts, or small, leave no "
        "trace, and the tables do not tell whether what the customers in Test saw was the widget.",
    ]
    if s.trust.split.lost or s.trust.unknown:
        texts.append("Rows that the join leaves out are of no known cohort, so whether they are alike "
                     "in both can’t be asked.")
    if not _found(s).empty:
        texts.append("Faults are counted by task, and the tests take tasks for independent; faults "
                     "of one customer’s clock would make their p-values a little too small.")
    texts.append("A comparison that shows no difference leaves room for one as large as its interval.")
    return paragraph(*texts)
