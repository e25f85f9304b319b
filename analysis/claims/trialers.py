"""The claims and assumptions of the brief for the trialer test.

The brief publishes no results, so every verdict on the shipped tables is about what their generator
planted. What a customer does at the first trouble is compared over customers: each has one.
"""

from __future__ import annotations

import math

import pandas as pd

from analysis.claims import compare
from analysis.claims.claim import (
    CannotTell,
    Cause,
    Counted,
    Direction,
    Printed,
    Source,
    Unseen,
)
from analysis.experiment.reductions import CS, TASKS, Durations, Reductions, reduced
from analysis.experiment.steps import BOUNDED, COMPLETIONS, CONFIDENCE, instrument, tally
from analysis.stats.intervals import Interval
from analysis.stats.stratified import mantel_haenszel
from analysis.stats.survival import log_rank
from analysis.stats.two_proportions import Share

EARLY = 10  # days of the thirty: a decision within them is called early
MOST = 0.8  # of those who convert: what is called overwhelming
TRIAL = 30  # days
RARE = 0.01

TRIALERS = Source(
    study="trialers",
    name="Trialers",
    measure=lambda tables, study: study or reduced(tables),
    planted=True,
)


def _customers(s: Reductions, stage: str, cohort: str, task: int = 0) -> int:
    frame = s.flow
    rows = (frame.stage == stage) & (frame.task == task) & (frame.cohort == cohort)
    return int(frame.customers[rows].sum())


def _first_troubles(s: Reductions) -> pd.DataFrame:
    """First troubles by `cohort` and `cs` (True: CS chosen): `tasks`, `completed`, `converted`."""
    rows = s.help[s.help["first"] == 1]
    keys = [rows.cohort, (rows.channel != "OTHER").rename("cs")]
    return rows.groupby(keys)[["tasks", "completed", "converted"]].sum()


def _completed(frame: pd.DataFrame, level: str, value: object, who: str) -> Share:
    """Completed among the first troubles of a group."""
    rows = frame[frame.index.get_level_values(level) == value]
    return compare.share(rows.completed.sum(), rows.tasks.sum(), who)


def _conversion(s: Reductions, rows: pd.Series, who: str) -> Share:
    """Converted among the customers in some rows of `paths`."""
    frame = s.paths[rows]
    converted = frame.customers[frame.converted == 1].sum()
    return compare.share(converted, frame.customers.sum(), who)


# The test and its tables.


@TRIALERS.claim(
    Printed, "broken out into ‘Test’ and ‘Control’; 30% and 70% respectively",
    where="sec-trialers-trust-split")
def cohorts(s: Reductions) -> Printed:
    """The cohorts' shares round to that."""
    total = sum(s.customers.values())
    shares = {name: n / total for name, n in s.customers.items()}
    return Printed(
        said="{test:1%} and {control:1%} of {n:customer}",
        values={"test": shares["Test"], "control": shares["Control"], "n": total},
        numbers=((30, 0, 100 * shares["Test"]), (70, 0, 100 * shares["Control"])))


@TRIALERS.claim(
    Counted, "all the customers who joined as ‘trialers’ on 5/5 … (for one day)",
    where="sec-trialers-trust-before")
def one_day(s: Reductions) -> Counted:
    """Most customers who start do so on a fifth of May."""
    by_day = s.starts.groupby("date").customers.sum()
    n, of = int(by_day[s.window.day]), int(by_day.sum())
    return Counted(
        said="{n} of {of} first started on {day:day}",
        values={"n": n, "of": of, "day": s.window.day},
        holds=2 * n > of and s.window.day.endswith("-05-05"))


@TRIALERS.claim(
    Counted, "Conversion – This contains the conversion outcomes for all customers",
    where="sec-trialers-flow")
def all_outcomes(s: Reductions) -> Counted:
    """Every customer of the cohorts has an outcome."""
    n, without = sum(s.customers.values()), s.without_outcome
    if not without:
        return Counted(said="{n:customer}, and an outcome for each", values={"n": n}, holds=True)
    return Counted(
        said="{n:outcome} for {customers:customer}; {without} "
        + ("has none" if without == 1 else "have none"),
        values={"n": n, "customers": n + without, "without": without}, holds=False)


@TRIALERS.claim(
    Counted, "some customers do not even attempt their first task",
    where="sec-trialers-flow")
def not_attempted(s: Reductions) -> Counted:
    """There are such customers."""
    n = sum(s.customers.values())
    without = n - sum(_customers(s, "attempted", cohort, TASKS[0]) for cohort in s.customers)
    return Counted(said="{without} of {n:customer}", values={"without": without, "n": n},
                   holds=without > 0)


@TRIALERS.claim(
    Counted, "This help can come in the form of articles, videos, chatbots and calls to an agent",
    where="sec-trialers-help-complete")
def four_channels(s: Reductions) -> Counted:
    """Each of the four is chosen by some customer in trouble."""
    tasks = s.help.groupby("channel").tasks.sum().reindex(CS, fill_value=0)
    return Counted(
        said="tasks in trouble: with an article {article}, a video {video}, the chatbot {chatbot}, "
        "an agent {agent}",
        values={name.lower(): int(n) for name, n in tasks.items()}, holds=bool((tasks > 0).all()))


@TRIALERS.claim(Direction, "3 distinct tasks (in series)", where="sec-trialers-trust-faults")
def in_series(s: Reductions) -> Direction:
    """Fewer than one in a hundred of the second and third tasks was started before the task before
    it was complete."""
    row = s.faults.set_index("fault").loc["task out of series"]
    found = compare.share(row.cases, row["of"], "second or third tasks")
    return compare.share_against(
        found, RARE, "{k} of {n}, {share:2%}", below=True, k=found.successes, n=found.n)


@TRIALERS.claim(
    Counted, "some will not choose Customer Success (CS) and will opt to figure it out on their "
    "own (OTHER)",
    where="sec-trialers-flow")
def some_other(s: Reductions) -> Counted:
    """There are such customers."""
    frame = _first_troubles(s)
    other = int(frame.tasks[~frame.index.get_level_values("cs")].sum())
    return Counted(
        said="{other} of {n:customer} in trouble, the first time",
        values={"other": other, "n": int(frame.tasks.sum())}, holds=other > 0)


@TRIALERS.claim(
    Unseen, "whenever the system is confident that the customer is running into trouble",
    where="sec-trialers-limits")
def confident(s: Reductions) -> Unseen:
    """Who is noticed would not complete without help, and who is not noticed does not need it."""
    return Unseen(said="the tables hold the troubles that were noticed, and no others")


# CS against OTHER.


@TRIALERS.claim(
    Direction, "CS is a better option than OTHER … Are customers more likely to complete when they "
    "opt for CS?",
    where="sec-trialers-help-complete")
def cs_completes(s: Reductions) -> Direction:
    """As they come: at their first trouble, customers who choose CS complete the task more often
    than those who choose OTHER."""
    frame = _first_troubles(s)
    return compare.gap_of_shares(
        _completed(frame, "cs", True, "customers who chose CS"),
        _completed(frame, "cs", False, "customers who chose OTHER"),
        "{a:1%} against {b:1%}; difference {gap:points}")


@TRIALERS.claim(
    Direction, "CS is a better option than OTHER … Are customers more likely to complete when they "
    "opt for CS?",
    where="sec-trialers-help-adjusted")
def cs_completes_adjusted(s: Reductions) -> Direction:
    """Among customers alike in all that is known before the help, those who choose CS complete the
    task more often: the common odds ratio lies above 1."""
    c = s.cells
    frame = c.to_frame()[c.first == 1]
    keys = [name for name in frame if name not in ("cs", "n", "completed", "converted")]
    wide = frame.pivot_table(
        index=keys, columns="cs", values=["n", "completed"], aggfunc="sum", fill_value=0)
    if 1 not in wide["n"] or 0 not in wide["n"]:
        raise CannotTell("everybody in trouble chose alike")
    n, done = wide["n"], wide["completed"]
    odds = mantel_haenszel(
        done[1].to_numpy(), n[1].to_numpy(), done.sum(axis=1).to_numpy(), n.sum(axis=1).to_numpy())
    if not 0 < float(odds.low) < float(odds.high) < math.inf:
        raise CannotTell("too few customers in trouble are alike in all else")
    interval = Interval(float(odds.estimate), float(odds.low), float(odds.high), 0.95,
                        "Mantel-Haenszel")
    return compare.against(
        interval, 1, "an odds ratio of {estimate:2} over {strata:stratum:strata}", log=True,
        strata=len(wide))


@TRIALERS.claim(
    Direction, "CS is a better option than OTHER … Are customers more likely to complete when they "
    "opt for CS?",
    where="sec-trialers-help-moved")
def cs_helps(s: Reductions) -> Direction:
    """CS helps: customers who see the widget, which was dealt out by lot and moves them to CS,
    complete the task of their first trouble more often."""
    frame = _first_troubles(s)
    chose = {cohort: frame.tasks.get((cohort, True), 0) / frame.tasks[cohort].sum()
             for cohort in frame.index.get_level_values("cohort").unique()}
    test, control = (_completed(frame, "cohort", cohort, f"customers in trouble in {cohort}")
                     for cohort in ("Test", "Control"))
    return compare.gap_of_shares(
        test, control,
        "CS was chosen by {moved:0%} with the widget and by {unmoved:0%} without; {a:1%} against "
        "{b:1%} complete; difference {gap:points}",
        moved=float(chose["Test"]), unmoved=float(chose["Control"]))


def _hazard_ratio(d: Durations, group: str, first: object, second: object, who: str) -> Direction:
    """How much sooner the first group completes, after the help at the first trouble."""
    frame = d.to_frame().groupby([group, "minutes"])[["completed", "censored"]].sum()
    parts = {}
    for value in (first, second):
        if value not in frame.index.get_level_values(group):
            raise CannotTell("everybody in trouble is in one of the groups")
        rows = frame.loc[value].reset_index()
        parts[str(value)] = (rows.minutes, rows.completed, rows.censored)
    try:
        test = log_rank(parts)
    except ValueError:
        raise CannotTell("nobody in trouble completed a task") from None
    ratio = compare.interval_of(test.hazard_ratio)
    return Direction(
        said="at any moment " + who + " complete {ratio:2} times as often", values={"ratio": ratio},
        estimate=ratio, p_value=test.p_value, null=1.0)


@TRIALERS.claim(Direction, "Are they able to complete faster?", where="sec-trialers-help-faster")
def cs_is_faster(s: Reductions) -> Direction:
    """As they come: after their first trouble, customers who choose CS complete the task sooner
    than those who choose OTHER."""
    return _hazard_ratio(s.from_first_help, "cs", 1, 0, "those with CS")


@TRIALERS.claim(Direction, "Are they able to complete faster?", where="sec-trialers-help-moved")
def widget_is_faster(s: Reductions) -> Direction:
    """CS makes it faster: customers who see the widget complete the task of their first trouble
    sooner than those who do not."""
    return _hazard_ratio(s.from_first_help, "cohort", "Test", "Control", "those with the widget")


# Completion and conversion.


@TRIALERS.claim(
    Direction, "being able to complete all 3 tasks makes someone more likely to convert",
    where="sec-trialers-steps-relation")
def completers_convert(s: Reductions) -> Direction:
    """Customers who complete all three tasks convert more often than the others."""
    every = s.paths.completions == len(TASKS)
    return compare.gap_of_shares(
        _conversion(s, every, "customers with all tasks complete"),
        _conversion(s, ~every, "customers without all tasks complete"),
        "{a:1%} against {b:1%}; difference {gap:points}")


@TRIALERS.claim(
    Cause, "being able to complete all 3 tasks makes someone more likely to convert",
    where="sec-trialers-steps-cause")
def completion_converts(s: Reductions) -> Cause:
    """They convert because they have completed."""
    found = completers_convert(s)
    said = ("who is keen completes and converts, and the difference of {gap:points} holds both; "
            "completions were not dealt out by lot")
    moved = instrument(tally(s.paths, "cohort", COMPLETIONS))
    if moved is None or moved.kind != BOUNDED:
        return Cause(said=f"{said}, and the widget, which was, moves too little to tell",
                     values=found.values)
    each = Interval(moved.estimate, moved.low, moved.high, CONFIDENCE, "Anderson-Rubin")
    return Cause(
        said=said + ". The widget was: if it moves conversion through completions alone, which no "
        "table shows, a completion brings {each:points}", values=found.values | {"each": each})


@TRIALERS.claim(
    Direction, "a relationship between completion (number of completions) and conversion",
    where="sec-trialers-steps-relation")
def each_completion(s: Reductions) -> Direction:
    """The more tasks a customer completes, the likelier a conversion: their correlation is
    positive."""
    r, n = _weighted_r(s.paths.completions, s.paths.converted, s.paths.customers)
    by = s.paths.groupby("completions").apply(
        lambda f: f.customers[f.converted == 1].sum() / f.customers.sum(), include_groups=False)
    return compare.correlation(
        r, n, "a correlation of {r:2}; from {least:1%} with {fewest} to {most:1%} with "
        "{highest:completed task}",
        least=float(by.iloc[0]), most=float(by.iloc[-1]), fewest=int(by.index[0]),
        highest=int(by.index[-1]))


def _weighted_r(x: pd.Series, y: pd.Series, counts: pd.Series) -> tuple[float, int]:
    """Pearson's correlation of two numbers that occur together so often, and how often in all."""
    w = counts.to_numpy(dtype=float)
    n = int(w.sum())
    if n == 0:
        raise CannotTell("there is nobody to compare")
    d = [v.to_numpy(dtype=float) - w @ v.to_numpy(dtype=float) / n for v in (x, y)]
    xx, yy, xy = (w @ (a * b) for a, b in ((d[0], d[0]), (d[1], d[1]), (d[0], d[1])))
    spread = math.sqrt(xx * yy)
    return (float(xy / spread) if spread > 1e-12 * n else math.nan), n


@TRIALERS.claim(
    Direction, "customer success increases with time",
    where="sec-trialers-experience-hours")
def later_is_better(s: Reductions) -> Direction:
    """The later in the day customers start, the more of them complete all three tasks: the
    correlation is positive."""
    frame = s.starts[s.starts.date == s.window.day]
    done = frame.assign(success=1, n=frame.completed_all)
    rest = frame.assign(success=0, n=frame.customers - frame.completed_all)
    both = pd.concat([done, rest])
    r, n = _weighted_r(both.hour, both.success, both.n)
    return compare.correlation(
        r, n, "a correlation of {r:3} over {customers:customer}", customers=n)


def _by_task(s: Reductions) -> pd.DataFrame:
    """Tasks attempted and completed, by task."""
    return s.tasks.groupby("task")[["tasks", "completed"]].sum()


@TRIALERS.claim(
    Direction, "customer success increases … with experience",
    where="sec-trialers-experience-tasks")
def later_tasks(s: Reductions) -> Direction:
    """Of the customers who attempt a task, more complete it the more tasks came before: the
    correlation of task and completion is positive."""
    frame = _by_task(s)
    both = pd.concat([
        frame.assign(success=1, n=frame.completed),
        frame.assign(success=0, n=frame.tasks - frame.completed),
    ]).reset_index()
    # Tasks come in series, so what is left of the customers from one to the next makes the shares
    # of successive tasks uncorrelated, as those of a life table are.
    r, n = _weighted_r(both.task, both.success, both.n)
    share = frame.completed / frame.tasks
    return compare.correlation(
        r, n,
        "a correlation of {r:3}; {first:1%} of the first, {last:1%} of the last task attempted",
        first=float(share.iloc[0]), last=float(share.iloc[-1]))


@TRIALERS.claim(
    Cause, "customer success increases … with experience",
    where="sec-trialers-experience-same")
def experience_helps(s: Reductions) -> Cause:
    """A customer does better at a task for having done the ones before."""
    frame = _by_task(s)
    return Cause(
        said="only who completes a task comes to the next: {first:customer} attempted the first "
        "task and {last} the last, and those are the more able",
        values={"first": int(frame.tasks.iloc[0]), "last": int(frame.tasks.iloc[-1])})


@TRIALERS.claim(
    Direction, "Customers have 30 days … but overwhelmingly they make up their minds early on",
    where="sec-trialers-steps-decisions")
def early_minds(s: Reductions) -> Direction:
    """Of those who convert at a known time, more than four in five do so within the first ten days;
    when the others make up their minds is in no table."""
    days = s.decisions[(s.decisions.converted == 1) & s.decisions.day.notna()]
    n, early = int(days.customers.sum()), int(days.customers[days.day < EARLY].sum())
    return compare.share_against(
        compare.share(early, n, "conversions at a known time"), MOST,
        "{early} of {n}, {share:1%}", early=early, n=n)


@TRIALERS.claim(
    Counted, "Customers have 30 days to try out the product",
    where="sec-trialers-steps-decisions")
def thirty_days(s: Reductions) -> Counted:
    """Nobody converts more than thirty days after the day of the test."""
    days = s.decisions.day.dropna()
    if days.empty:
        raise CannotTell("nobody converted at a known time")
    last = int(days.max())
    return Counted(said="the last conversion came {last:day:days} after it", values={"last": last},
                   holds=last <= TRIAL)


# What the test was meant to bring.


@TRIALERS.claim(
    Direction, "Was the test experience successful in increasing engagement with CS?",
    where="sec-trialers-metrics-engagement")
def widget_engages(s: Reductions) -> Direction:
    """At their first trouble more customers choose CS with the widget than without."""
    frame = _first_troubles(s)
    shares = []
    for cohort in ("Test", "Control"):
        n = frame.tasks[frame.index.get_level_values("cohort") == cohort].sum()
        shares.append(compare.share(
            frame.tasks.get((cohort, True), 0), n, f"customers in trouble in {cohort}"))
    return compare.gap_of_shares(*shares, "{a:1%} against {b:1%}; difference {gap:points}")


@TRIALERS.claim(
    Direction, "Customers should be better able to complete the ‘getting started’ workflow which "
    "consists of 3 distinct tasks", where="sec-trialers-metrics")
def widget_completes(s: Reductions) -> Direction:
    """Of all customers, more complete all three tasks in the cohort with the widget than in the
    other."""
    every = s.paths.completions == len(TASKS)
    return compare.gap_of_shares(
        *(Share(int(s.paths.customers[every & (s.paths.cohort == cohort)].sum()),
                s.customers[cohort]) for cohort in ("Test", "Control")),
        "{a:1%} against {b:1%}; difference {gap:points}")


@TRIALERS.claim(
    Direction, "Was the test experience able to deliver on a higher conversion of customers?",
    where="sec-trialers-metrics-conversion")
def widget_converts(s: Reductions) -> Direction:
    """More customers convert in the cohort with the widget than in the other."""
    return compare.gap_of_shares(
        *(Share(_customers(s, "converted", cohort), s.customers[cohort])
          for cohort in ("Test", "Control")),
        "{a:1%} against {b:1%}; difference {gap:points}")


@TRIALERS.claim(
    Unseen, "set themselves up for success in the weeks, months and years to come",
    where="sec-trialers-limits")
def years(s: Reductions) -> Unseen:
    """Who completes the tasks stays a customer for longer."""
    return Unseen(said="the tables end with the trial")
