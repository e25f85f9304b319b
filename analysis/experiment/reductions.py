"""The tables of the test, reduced to counts; `reduce` makes them all.

From the four tables one row a customer is made (`per_customer`), from that one row a customer and
task (`cases`); both stay expressions in the backend. Everything else is a reduction of the two to
counts: small frames, and samples as counts of equal members (`Durations`, `Cells`), on which tests,
survival curves and models can stand.

"CS" is help from Customer Success: an article, a video, the chatbot or an agent. "OTHER" is any
other way out. What counts as a customer's choice in a task is the channel of the first help row.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from operator import add, or_

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from analysis import exploration
from analysis.days import SECONDS_A_DAY
from analysis.sources import Tables

TASKS = (1, 2, 3)
COHORTS = ("Control", "Test")
CS = ("ARTICLE", "VIDEO", "CHATBOT", "AGENT")
CHANNELS = (*CS, "OTHER")
HELP = ("none", "OTHER", "CS")  # how a customer was helped, or who was never in trouble

HORIZON = 48 * 60  # minutes for which a task is followed
PART_OF_DAY = 6  # hours: night, morning, afternoon, evening
QUARTERS = (0.25, 0.5, 0.75)


class TooFewCustomers(ValueError):
    """The tables have too few customers, or events, for the study's comparisons."""


@dataclass(frozen=True)
class Window:
    """What the tables span.

    Attributes:
        day: Day of the test (ISO): that on which most customers started their first task.
        first, last: First and last time in product and help activity (ISO). A task that is not
            complete at `last` is censored there.
        rows: Rows of each table.
    """

    day: str
    first: str
    last: str
    rows: Mapping[str, int]


@dataclass(frozen=True)
class Durations:
    """Times to completion as counts: how many tasks were completed, or censored, in each minute.

    Minute m holds the times from m - 1 up to, not including, m minutes. Tasks are followed for
    `HORIZON` minutes at most, or until the log ends. One entry of the arrays is a group and minute,
    sorted.

    Attributes:
        origin: What the time is counted from.
        groups: The columns that make a group, each as an array of shape (k,).
        minutes: Minute after the origin, shape (k,).
        completed: Tasks completed in that minute, shape (k,).
        censored: Tasks last seen without a completion in that minute, shape (k,).
        tasks: Tasks in all.
        without_time: Tasks left out, because their origin is missing or after the completion.
    """

    origin: str
    groups: Mapping[str, np.ndarray]
    minutes: np.ndarray
    completed: np.ndarray
    censored: np.ndarray
    tasks: int
    without_time: int

    def to_frame(self) -> pd.DataFrame:
        """One row a group and minute: the groups' columns, `minutes`, `completed`, `censored`."""
        return pd.DataFrame({**self.groups, "minutes": self.minutes, "completed": self.completed,
                             "censored": self.censored})


@dataclass(frozen=True)
class Cells:
    """Tasks in trouble, counted by all that is known before the help: the input of adjusted models.

    One entry of the arrays, shape (k,), is a cell, sorted. Quarters are those of the task's own
    distribution, 1 the shortest; 0 is unknown.

    Attributes:
        task: 1 to 3.
        cohort: "Control" or "Test".
        cs: 1 if the help was CS, 0 if OTHER.
        first: 1 if it was the customer's first trouble (the cohort is an instrument only there).
        part_of_day: Of the trouble: 0 night (from 0 h), 1 morning, 2 afternoon, 3 evening.
        restarted: 1 if the task had been started more than once before the trouble.
        onset: Quarter of the time from start to trouble.
        earlier_troubles: Tasks before this one that were in trouble.
        earlier_time: Quarter of the time that the task before took.
        n: Tasks in the cell.
        completed: Those of them completed after the help.
        converted: Those of them whose customer converted.
    """

    task: np.ndarray
    cohort: np.ndarray
    cs: np.ndarray
    first: np.ndarray
    part_of_day: np.ndarray
    restarted: np.ndarray
    onset: np.ndarray
    earlier_troubles: np.ndarray
    earlier_time: np.ndarray
    n: np.ndarray
    completed: np.ndarray
    converted: np.ndarray

    def to_frame(self) -> pd.DataFrame:
        """One row a cell."""
        return pd.DataFrame(vars(self))


@dataclass(frozen=True)
class Reductions:
    """The test as counts.

    Attributes:
        window: What the tables span.
        customers: Customers in each cohort.
        without_outcome: Customers of the cohorts who have no row in conversion, and are left out.
        flow: Who gets how far: columns `stage` (assigned, attempted, trouble, CS, OTHER, completed,
            converted), `task` (0: any of the three), `cohort`, `customers`. In a task, CS and OTHER
            split those in trouble by their first choice; over all tasks, CS has those who chose it
            at least once.
        paths: Customers by `cohort`, `attempted` (tasks, 0 to 3), `help` (of `HELP`), `completions`
            (0 to 3) and `converted` (0/1): `customers`. Conversion by number of completions, and
            the links from widget to CS to completion to conversion, are sums of it.
        starts: Customers who started, by `date` and `hour` (0 to 23) of their first start and
            `cohort`: `customers`, `trouble`, `cs`, `completed_all`, `converted` (customers), and
            `completions` (tasks).
        tasks: Tasks attempted, by `cohort`, `task` and `hour` of its start (missing: no start
            known): `tasks`, `trouble`, `completed`.
        help: Tasks in trouble, by `cohort`, `task`, `channel` and `first` (1: the customer's first
            trouble): `tasks`, `completed` (after the help), `converted`.
        cells: The same by everything known before the help.
        from_start: Time from the first start to completion, by task, cohort and help.
        from_help: Time from the first help to completion, by task and channel.
        from_first_help: The same for each customer's first trouble, by cohort and CS (0/1).
        decisions: Customers by `cohort`, `completions`, `converted` (0/1) and `day` of conversion
            (whole days after the day of the test; missing: not converted, or at an unknown time):
            `customers`.
        faults: What is out of order and stays in the tables: `fault`, `cases` (tasks, or customers
            for conversions), `of` (those in which it could happen).
    """

    window: Window
    customers: Mapping[str, int]
    without_outcome: int
    flow: pd.DataFrame
    paths: pd.DataFrame
    starts: pd.DataFrame
    tasks: pd.DataFrame
    help: pd.DataFrame
    cells: Cells
    from_start: Durations
    from_help: Durations
    from_first_help: Durations
    decisions: pd.DataFrame
    faults: pd.DataFrame


def reduced(tables: Tables) -> Reductions:
    """Reduces the tables of the test, without the rest of the study; see `reduce`."""
    with per_customer(tables).cache() as customers:
        return reduce(tables, customers)


def reduce(tables: Tables, customers: ir.Table) -> Reductions:
    """Reduces the tables of the test.

    Args:
        tables: The tables of the study `trialers`.
        customers: Their customers, from `per_customer`; it is read many times.

    Raises:
        TooFewCustomers: A cohort is empty, or nobody started a task.
    """
    tried = cases(customers)
    flow = flow_of(customers)
    assigned = flow[(flow.stage == "assigned")].set_index("cohort").customers
    sizes = {cohort: int(assigned.get(cohort, 0)) for cohort in COHORTS}
    if not all(sizes.values()):
        raise TooFewCustomers(
            f"trialers/test_cohorts: {sizes['Control']} customers in Control and {sizes['Test']} in"
            " Test with a row in conversion; the test compares the two"
        )
    starts = starts_of(customers)
    window = window_of(tables, starts)
    return Reductions(
        window=window,
        customers=sizes,
        without_outcome=without_outcome_of(
            tables, window.rows["test_cohorts"] - sum(sizes.values())),
        flow=flow,
        paths=paths_of(customers),
        starts=starts,
        tasks=tasks_of(tried),
        help=help_of(tried),
        cells=cells_of(tried),
        from_start=durations(tried, "start", ("task", "cohort", "help"), window.last),
        from_help=durations(tried, "help", ("task", "channel"), window.last),
        from_first_help=durations(
            tried.filter(tried.first == 1), "help", ("cohort", "cs"), window.last
        ),
        decisions=decisions_of(customers, window.day),
        faults=faults_of(customers, tried),
    )


def without_outcome_of(tables: Tables, unjoined: int) -> int:
    """Customers of the cohorts without a row in conversion.

    Args:
        tables: The tables; what reading them has left out of the cohorts is among their warnings.
        unjoined: Customers whom the join leaves out, where nothing has checked the tables.
    """
    return unjoined + sum(
        problem.count for problem in tables.warnings
        if exploration.table_of(problem.file, tables.study) == "test_cohorts"
        and not problem.handling.startswith("kept")
    )


def per_customer(tables: Tables) -> ir.Table:
    """One row a customer of the test who has a conversion row.

    Columns: `customer_id`, `cohort`, `converted` (0/1), `converted_at`; for each task k
    `started_k` (first start), `restarts_k` (further starts, before the help if there was any),
    `completed_k` (first completion), `finished_k` (first completion not before the help), `asked_k`
    and `channel_k` (first help; of two in the same second the first in `CHANNELS`); and over the
    tasks `attempted` (tasks with any row), `troubles`, `completions` (tasks), `help` (of `HELP`),
    `first_started`, `first_asked`, `last_completed`. Times are timestamps, null: never.
    """
    activity, asked = tables.table("product_activity"), tables.table("help_activity")
    events = ibis.union(
        activity.select("customer_id", "task", "timestamp", kind=activity.action),
        asked.select("customer_id", "task", "timestamp", kind=asked.channel),
    )
    in_task = ibis.window(group_by=["customer_id", "task"])
    events = events.mutate(
        asked=events.timestamp.min(where=events.kind.isin(CHANNELS)).over(in_task)
    )
    started, completed = events.kind == "start", events.kind == "complete"
    before_help = events.asked.isnull() | (events.timestamp < events.asked)
    after_help = events.asked.isnull() | (events.timestamp >= events.asked)
    at_help = events.kind.isin(CHANNELS) & (events.timestamp == events.asked)
    per_task = events.group_by("customer_id", "task").aggregate(
        started=events.timestamp.min(where=started),
        starts=(started & before_help).cast("int64").sum(),
        completed=events.timestamp.min(where=completed),
        finished=events.timestamp.min(where=completed & after_help),
        asked=events.asked.max(),
        # Text has no order of preference: the position in CHANNELS has.
        channel=_position(events.kind, CHANNELS).min(where=at_help),
    )
    wide = per_task.group_by("customer_id").aggregate(
        **{
            f"{name}_{task}": per_task[name].max(where=per_task.task == task)
            for task in TASKS
            for name in ("started", "starts", "completed", "finished", "asked", "channel")
        },
        attempted=per_task.count(),
        troubles=per_task.asked.count(),
        cs_uses=(per_task.channel < len(CS)).cast("int64").sum(),
        completions=per_task.completed.count(),
        first_started=per_task.started.min(),
        first_asked=per_task.asked.min(),
        last_completed=per_task.completed.max(),
    )
    cohorts, conversion = tables.table("test_cohorts"), tables.table("conversion")
    joined = cohorts.join(conversion, "customer_id").left_join(wide, "customer_id")
    counts = {name: joined[name].fill_null(0) for name in ("attempted", "troubles", "completions")}
    return joined.select(
        "customer_id", "cohort", "converted", "converted_at",
        **{f"{name}_{task}": joined[f"{name}_{task}"]
           for task in TASKS for name in ("started", "completed", "finished", "asked")},
        **{f"restarts_{task}": ibis.greatest(joined[f"starts_{task}"].fill_null(0) - 1, 0)
           for task in TASKS},
        **{f"channel_{task}": _name(joined[f"channel_{task}"], CHANNELS) for task in TASKS},
        **counts,
        help=_name((counts["troubles"] > 0).cast("int64")
                   + (joined.cs_uses.fill_null(0) > 0).cast("int64"), HELP),
        first_started=joined.first_started,
        first_asked=joined.first_asked,
        last_completed=joined.last_completed,
    )


def _position(value: ir.StringValue, names: tuple[str, ...]) -> ir.IntegerValue:
    return ibis.cases(*((value == name, i) for i, name in enumerate(names)), else_=len(names))


def _name(position: ir.IntegerValue, names: tuple[str, ...]) -> ir.StringValue:
    return ibis.cases(*((position == i, name) for i, name in enumerate(names)))


def _flag(condition: ir.BooleanValue) -> ir.IntegerValue:
    return condition.fill_null(False).cast("int64")


def cases(customers: ir.Table) -> ir.Table:
    """One row a customer and task that the customer attempted (has any row of).

    Columns: `customer_id`, `cohort`, `converted`, `task`; `started`, `completed`, `finished`,
    `asked`, `channel`, `restarts` of the task (see `per_customer`); `help` (of `HELP`) and `cs`
    (0/1; null without trouble) in the task; `first` (1: the customer's first trouble is in it);
    `earlier_completed` (0/1: the task before was completed no later than this one was started; 1
    for task 1); `earlier_troubles` (tasks before it in trouble), `earlier_seconds` (that the task
    before took from start to completion; null if unknown).
    """
    return ibis.union(*(_case(customers, task) for task in TASKS))


def _case(customers: ir.Table, task: int) -> ir.Table:
    started, completed, asked = (customers[f"{name}_{task}"]
                                 for name in ("started", "completed", "asked"))
    channel = customers[f"channel_{task}"]
    # Two tasks can go wrong in the same second: the earlier one is the first.
    same_moment = [customers[f"asked_{k}"] == asked for k in TASKS if k < task]
    first = (asked == customers.first_asked) & ~functools.reduce(
        or_, (same.fill_null(False) for same in same_moment), ibis.literal(False)
    )
    if task == TASKS[0]:
        series, seconds = ibis.literal(1, "int64"), ibis.null("int64")
    else:
        ended = customers[f"completed_{task - 1}"]
        series = _flag(ended <= started)
        seconds = _seconds(customers[f"started_{task - 1}"], ended)
        seconds = (seconds >= 0).ifelse(seconds, ibis.null("int64"))
    rows = customers.select(
        "customer_id", "cohort", "converted",
        task=ibis.literal(task, "int64"),
        started=started,
        completed=completed,
        finished=customers[f"finished_{task}"],
        asked=asked,
        channel=channel,
        restarts=customers[f"restarts_{task}"],
        help=ibis.cases((asked.isnull(), HELP[0]), (channel == HELP[1], HELP[1]), else_=HELP[2]),
        cs=asked.notnull().ifelse((channel != "OTHER").cast("int64"), ibis.null("int64")),
        first=_flag(first),
        earlier_completed=series,
        earlier_troubles=functools.reduce(
            add, (_flag(customers[f"asked_{k}"].notnull()) for k in TASKS if k < task),
            ibis.literal(0, "int64"),
        ),
        earlier_seconds=seconds,
    )
    return rows.filter(rows.started.notnull() | rows.completed.notnull() | rows.asked.notnull())


def _seconds(begin: ir.TimestampValue, end: ir.TimestampValue) -> ir.IntegerValue:
    return (end.epoch_seconds() - begin.epoch_seconds()).cast("int64")


def _hour(moment: ir.TimestampValue) -> ir.IntegerValue:
    return moment.hour().cast("int64")


def _counts(table: ir.Table, keys: tuple[str, ...], **measures: ir.IntegerValue) -> pd.DataFrame:
    """A reduction as a frame sorted by its keys, every measure a whole number."""
    frame = table.group_by(*keys).aggregate(**measures).to_pandas()
    frame = frame.astype(dict.fromkeys(measures, "int64"))
    return frame.sort_values(list(keys), ignore_index=True)


def flow_of(customers: ir.Table) -> pd.DataFrame:
    """Who gets how far; see `Reductions.flow`."""
    stages = {
        ("assigned", 0): customers.cohort.notnull(),
        ("attempted", 0): customers.attempted > 0,
        ("trouble", 0): customers.troubles > 0,
        ("CS", 0): customers.help == "CS",
        ("OTHER", 0): customers.help == "OTHER",
        ("completed", 0): customers.completions > 0,
        ("converted", 0): customers.converted == 1,
    }
    for task in TASKS:
        started, completed, asked = (customers[f"{name}_{task}"]
                                     for name in ("started", "completed", "asked"))
        channel = customers[f"channel_{task}"]
        stages |= {
            ("attempted", task): started.notnull() | completed.notnull() | asked.notnull(),
            ("trouble", task): asked.notnull(),
            ("CS", task): channel.isin(CS),
            ("OTHER", task): channel == "OTHER",
            ("completed", task): completed.notnull(),
        }
    counts = _counts(customers, ("cohort",), **{
        f"{stage} {task}": _flag(reached).sum() for (stage, task), reached in stages.items()
    }).set_index("cohort")
    return pd.DataFrame([
        {"stage": stage, "task": task, "cohort": cohort,
         "customers": int(counts.loc[cohort, f"{stage} {task}"])}
        for stage, task in stages
        for cohort in counts.index
    ])


def paths_of(customers: ir.Table) -> pd.DataFrame:
    """Customers by what they went through; see `Reductions.paths`."""
    keys = ("cohort", "attempted", "help", "completions", "converted")
    return _counts(customers, keys, customers=customers.count())


def starts_of(customers: ir.Table) -> pd.DataFrame:
    """Customers by date and hour of their first start; see `Reductions.starts`.

    Raises:
        TooFewCustomers: nobody started a task.
    """
    begun = customers.filter(customers.first_started.notnull())
    begun = begun.mutate(date=begun.first_started.date(), hour=_hour(begun.first_started))
    frame = _counts(
        begun, ("date", "hour", "cohort"),
        customers=begun.count(),
        trouble=_flag(begun.troubles > 0).sum(),
        cs=_flag(begun.help == "CS").sum(),
        completions=begun.completions.sum(),
        completed_all=_flag(begun.completions == len(TASKS)).sum(),
        converted=begun.converted.sum(),
    )
    if frame.empty:
        raise TooFewCustomers("trialers/product_activity: no customer of the test started a task")
    return frame.assign(date=frame.date.astype(str))


def tasks_of(tried: ir.Table) -> pd.DataFrame:
    """Tasks attempted by hour of their start; see `Reductions.tasks`."""
    tried = tried.mutate(hour=_hour(tried.started))
    frame = _counts(
        tried, ("cohort", "task", "hour"),
        tasks=tried.count(),
        trouble=_flag(tried.asked.notnull()).sum(),
        completed=_flag(tried.completed.notnull()).sum(),
    )
    return frame.astype({"hour": "Int64"})


def in_trouble(tried: ir.Table) -> ir.Table:
    """The tasks that were in trouble and not yet complete: those whose help can matter."""
    return tried.filter(
        tried.asked.notnull() & ~(tried.completed < tried.asked).fill_null(False)
    )


def help_of(tried: ir.Table) -> pd.DataFrame:
    """Tasks in trouble by the help chosen; see `Reductions.help`."""
    helped = in_trouble(tried)
    return _counts(
        helped, ("cohort", "task", "channel", "first"),
        tasks=helped.count(),
        completed=_flag(helped.finished.notnull()).sum(),
        converted=helped.converted.sum(),
    )


def cells_of(tried: ir.Table) -> Cells:
    """Tasks in trouble by all that is known before the help."""
    helped = in_trouble(tried)
    onset = _seconds(helped.started, helped.asked)
    helped = helped.mutate(
        part_of_day=(_hour(helped.asked) // PART_OF_DAY).cast("int64"),
        restarted=_flag(helped.restarts > 0),
        onset=(onset >= 0).ifelse(onset, ibis.null("int64")),
    )
    helped = helped.mutate(
        onset=_quarter(helped, "onset"), earlier_time=_quarter(helped, "earlier_seconds")
    )
    keys = ("task", "cohort", "cs", "first", "part_of_day", "restarted", "onset",
            "earlier_troubles", "earlier_time")
    frame = _counts(
        helped, keys,
        n=helped.count(),
        completed=_flag(helped.finished.notnull()).sum(),
        converted=helped.converted.sum(),
    )
    return Cells(**{name: frame[name].to_numpy() for name in frame})


def _quarter(table: ir.Table, column: str) -> ir.IntegerValue:
    """The quarter of its task's distribution in which each value lies, 1 to 4; 0 for null."""
    known = table.filter(table[column].notnull())
    limits = known.group_by("task").aggregate(
        **{f"q{i}": known[column].quantile(q) for i, q in enumerate(QUARTERS)}
    ).to_pandas()
    above = [
        _flag((table.task == int(row.task)) & (table[column] > float(limit)))
        for row in limits.sort_values("task").itertuples()
        for limit in (row.q0, row.q1, row.q2)
    ]
    return functools.reduce(add, above, _flag(table[column].notnull()))


def durations(
    tried: ir.Table, origin: str, keys: tuple[str, ...], last: str
) -> Durations:
    """Times from `origin`, "start" or "help", to completion, as counts by `keys` and minute.

    Args:
        tried: See `cases`.
        origin: "start" or "help".
        keys: Columns of `tried` that make the groups.
        last: When the log ends (ISO).
    """
    if origin == "help":
        tried, begin = tried.filter(tried.asked.notnull()), "asked"
    else:
        begin = "started"
    end = _seconds(tried[begin], tried.completed)
    watched = _seconds(tried[begin], ibis.timestamp(last))
    timed = tried.mutate(end=end, watched=watched)
    timed = timed.filter(timed[begin].notnull() & (timed.end.isnull() | (timed.end >= 0)))
    minute = (timed.end // 60 + 1).cast("int64")
    done = _flag(minute <= HORIZON)
    watched_minute = ibis.least((timed.watched // 60 + 1).cast("int64"), HORIZON)
    timed = timed.mutate(done=done, minutes=(done == 1).ifelse(minute, watched_minute))
    frame = _counts(timed, (*keys, "minutes"), completed=timed.done.sum(),
                    censored=(1 - timed.done).sum())
    followed = int(frame.completed.sum() + frame.censored.sum())
    every = int(tried.count().to_pandas())
    return Durations(
        origin=origin,
        groups={key: frame[key].to_numpy() for key in keys},
        minutes=frame.minutes.to_numpy(),
        completed=frame.completed.to_numpy(),
        censored=frame.censored.to_numpy(),
        tasks=followed,
        without_time=every - followed,
    )


def decisions_of(customers: ir.Table, day: str) -> pd.DataFrame:
    """Customers by the day of their conversion; see `Reductions.decisions`."""
    since = _seconds(ibis.timestamp(day), customers.converted_at)
    decided = customers.mutate(day=(since // SECONDS_A_DAY).cast("int64"))
    frame = _counts(
        decided, ("cohort", "completions", "converted", "day"), customers=decided.count()
    )
    return frame.astype({"day": "Int64"})


def faults_of(customers: ir.Table, tried: ir.Table) -> pd.DataFrame:
    """What is out of order in the tables that the analysis sees; see `Reductions.faults`."""
    both = tried.started.notnull() & tried.completed.notnull()
    helped = tried.asked.notnull()
    series = tried.started.notnull() & (tried.task > TASKS[0])
    in_tasks = {
        "task out of series": (series & (tried.earlier_completed == 0), series),
        "completion without start": (tried.completed.notnull() & tried.started.isnull(),
                                     tried.completed.notnull()),
        "completion before start": (tried.completed < tried.started, both),
        "help without start": (helped & tried.started.isnull(), helped),
        "help before start": (tried.asked < tried.started, helped & tried.started.notnull()),
        "help after completion": (tried.completed < tried.asked,
                                  helped & tried.completed.notnull()),
    }
    converted = customers.converted == 1
    dated = converted & customers.converted_at.notnull()
    in_conversions = {
        "conversion without time": (converted & customers.converted_at.isnull(), converted),
        "conversion before first start": (customers.converted_at < customers.first_started,
                                          dated & customers.first_started.notnull()),
        "conversion before last completion": (customers.converted_at < customers.last_completed,
                                              dated & customers.last_completed.notnull()),
    }
    rows = []
    for table, faults in ((tried, in_tasks), (customers, in_conversions)):
        measures = {f"f{i}": _flag(fault).sum() for i, (fault, _) in enumerate(faults.values())}
        measures |= {f"n{i}": _flag(of).sum() for i, (_, of) in enumerate(faults.values())}
        counted = table.aggregate(**measures).to_pandas().fillna(0).iloc[0]
        rows += [{"fault": name, "cases": int(counted[f"f{i}"]), "of": int(counted[f"n{i}"])}
                 for i, name in enumerate(faults)]
    return pd.DataFrame(rows)


def window_of(tables: Tables, starts: pd.DataFrame) -> Window:
    """What the tables span; `starts` as in `Reductions`."""
    spans = [
        table.aggregate(first=table.timestamp.min(), last=table.timestamp.max()).to_pandas()
        for table in (tables.table("product_activity"), tables.table("help_activity"))
    ]
    span = pd.concat(spans)
    by_date = starts.groupby("date").customers.sum()
    return Window(
        day=by_date.idxmax(),
        first=span["first"].min().isoformat(),
        last=span["last"].max().isoformat(),
        rows={name: int(tables.table(name).count().to_pandas())
              for name in ("test_cohorts", "product_activity", "help_activity", "conversion")},
    )
