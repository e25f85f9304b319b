"""Success by the hour of the day and from task to task, and what a single day can't show.

Rates by task compare ever fewer, ever more selected customers, and everybody meets the tasks in the
same order. So three things are told apart here: the rates as they come; what the completion of a
later task could be for all who attempted the first, by bounds; and trouble, restarts and time of
customers who completed all three tasks, each compared with himself or herself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiment.reductions import PART_OF_DAY, TASKS, Durations, Reductions
from analysis.experiment.steps import (
    ALPHA,
    CONFIDENCE,
    LEAST_EXPECTED,
    compare,
    logistic,
    trend,
    with_rates,
)
from analysis.stats import association, intervals, regression
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Column, Sums
from analysis.stats.survival import KaplanMeier, kaplan_meier
from analysis.stats.two_proportions import Share

SPAN = 12  # hours over which a change is told, from morning to evening
# Outcomes by the hour of the first start: column of `Reductions.starts`.
OUTCOMES = ("completed_all", "converted")
FIRST_TASK = "completed_first"  # of task 1, by the hour of its start
TROUBLE, RESTART, TIME = "trouble", "restart", "time"
MARKS = (15, 60, 24 * 60)  # minutes since the start of a task
PAIRS = tuple(combinations(TASKS, 2))  # earlier and later task


@dataclass(frozen=True)
class Experience:
    """Success by hour and by task.

    Attributes:
        started: Customers whose first start is known; `same_day` of them on the day of the test,
            who are all that is compared by hour.
        same_day: See `started`.
        hours: Index `hour` (of the first start, those that occur): `customers`, and for each
            outcome its share with `_low`, `_high` (Wilson): `completed_all` (three tasks),
            `converted`.
        parts: The same by `part` of the day (0 night to 3 evening).
        by_hour: Index `outcome` (`OUTCOMES` by hour of the first start, "completed_first": task 1
            by hour of its start, any day): `n`, `rate`, `slope` (change of the share an hour, of
            the straight line) with `slope_low`, `slope_high` (HC3), `odds_ratio` an hour with
            `low`, `high` (logit), `z`, `p_value` (Cochran-Armitage); `bend`, `bend_low`,
            `bend_high` (the odds in the middle of `SPAN` hours over those on the straight line of
            log odds between their ends, Wald) and `bend_p`, of a square of the hour in the logit
            (likelihood ratio); `parts`, `parts_low`, `parts_high` (Cramér's V, bias-corrected, of
            the outcome and the part of the day) and `parts_p` (chi-squared); and `p_adjusted`,
            `bend_adjusted`, `parts_adjusted` (Holm, each over the outcomes). Missing where it
            cannot be told.
        by_task: Index `task`: `attempted`, `completed`, `rate` of them with `low`, `high` (Wilson);
            `trouble` and `restart` (shares of those attempted, with `_low`, `_high`); of all who
            attempted task 1, what share would complete it if all of them attempted it: `least`
            (none who did not get there would), `most` (all would; Manski 1989), with the limits
            `least_low`, `most_high`; `no_better` (the rate of those who got there: the most if
            the others would do no better); `standardised`, with `standardised_low` and `_high`:
            the rate with the shares of trouble and restart in task 1 that all who attempted it
            have; and `median` minutes from start to completion of all who started (Kaplan-Meier),
            with `median_low`, `median_high`, infinite where half never complete.
        elapsed: Index `task`, `minutes` since its start (of `MARKS`): `share` of all who started
            it that have completed it by then, with `low`, `high` (Kaplan-Meier).
        naive: Index `later`, `earlier` (tasks): `difference` of the completion rates with `low`,
            `high` (Newcombe), `p_value`, `p_adjusted` (Holm). Under a strict series the attempts at
            different tasks count as independent, as in a continuation-ratio model.
        finishers: Customers who completed all three tasks.
        same: Index `what` ("trouble", "restart", "time"), `later`, `earlier`: later task against
            earlier of the same finishers: `n`, `more` and `less` (how many have it only in the
            later, only in the earlier task; or took longer, shorter), `effect` (difference of
            shares; ratio of times, geometric mean) with `low`, `high` (Agresti & Min 2005;
            Student on logs), `p_value` (McNemar, exact where few differ; t), `p_adjusted` (Holm
            over all). Missing where there are fewer than two.
        typical: Index `task`: geometric mean `minutes` of the finishers whose times are known, and
            their shares with `trouble` and `restart`.
        timed: How many of the finishers have all three times.
    """

    started: int
    same_day: int
    hours: pd.DataFrame
    parts: pd.DataFrame
    by_hour: pd.DataFrame
    by_task: pd.DataFrame
    elapsed: pd.DataFrame
    naive: pd.DataFrame
    finishers: int
    same: pd.DataFrame
    typical: pd.DataFrame
    timed: int


def experience(base: Reductions, customers: ir.Table) -> Experience:
    """Success by hour and by task.

    Args:
        base: The reductions; `starts`, `tasks`, `window` and `from_start` are read.
        customers: One row a customer, from `reductions.per_customer`.
    """
    starts = base.starts[base.starts.date == base.window.day]
    found = patterns(customers)
    times = log_times(customers)
    finishers = found[np.logical_and.reduce([found[f"completed_{k}"] == 1 for k in TASKS])]
    return Experience(
        started=int(base.starts.customers.sum()),
        same_day=int(starts.customers.sum()),
        hours=_shares(starts, starts.hour).rename_axis("hour"),
        parts=_shares(starts, starts.hour // PART_OF_DAY).rename_axis("part"),
        by_hour=_by_hour(starts, base.tasks),
        by_task=_tasks(found, base.from_start),
        elapsed=_elapsed(base.from_start),
        naive=_naive(found),
        finishers=int(finishers.n.sum()),
        same=_same(finishers, times),
        typical=_typical(finishers, times),
        timed=int(times["n"]),
    )


# Reductions in the backend.


def patterns(customers: ir.Table) -> pd.DataFrame:
    """How many customers went through the three tasks in which way.

    Returns:
        One row a pattern that occurs: for each task k 0/1 `attempted_k`, `trouble_k`,
        `completed_k`, `restart_k` (started again before any help), and `n` customers.
    """
    flags = {}
    for k in TASKS:
        started, completed, asked = (customers[f"{name}_{k}"].notnull()
                                     for name in ("started", "completed", "asked"))
        flags |= {f"attempted_{k}": started | completed | asked, f"trouble_{k}": asked,
                  f"completed_{k}": completed, f"restart_{k}": customers[f"restarts_{k}"] > 0}
    keys = {name: flag.fill_null(False).cast("int64") for name, flag in flags.items()}
    frame = customers.group_by(**keys).aggregate(n=customers.count()).to_pandas()
    return frame.astype("int64").sort_values(list(keys), ignore_index=True)


def log_times(customers: ir.Table) -> dict[str, float]:
    """Sums over the customers who completed all three tasks at known times.

    A task's time runs from its first start to its first completion, in seconds and at least one.

    Returns:
        `n`; `log_k`, the sum of the log seconds of task k; for each pair of tasks j < k, of the log
        of the ratio of k's time to j's: `sum_jk`, `square_jk` (of its squares), `more_jk` and
        `less_jk` (how many took longer, or shorter, over k).
    """
    seconds = {
        k: (customers[f"completed_{k}"].epoch_seconds() - customers[f"started_{k}"].epoch_seconds()
            ).cast("int64")
        for k in TASKS
    }
    timed = customers.select(**{f"s{k}": value for k, value in seconds.items()})
    # An unknown time compares as null, which keeps its row out.
    timed = timed.filter(*(timed[f"s{k}"] >= 0 for k in TASKS))
    logs = {k: ibis.greatest(timed[f"s{k}"], 1).cast("float64").ln() for k in TASKS}
    sums = {"n": timed.count(), **{f"log_{k}": logs[k].sum() for k in TASKS}}
    for j, k in PAIRS:
        gap = logs[k] - logs[j]
        sums |= {f"sum_{j}{k}": gap.sum(), f"square_{j}{k}": (gap * gap).sum(),
                 f"more_{j}{k}": (timed[f"s{k}"] > timed[f"s{j}"]).cast("int64").sum(),
                 f"less_{j}{k}": (timed[f"s{k}"] < timed[f"s{j}"]).cast("int64").sum()}
    row = timed.aggregate(**sums).to_pandas().fillna(0).iloc[0]
    return {name: float(row[name]) for name in sums}


# By hour.


def _shares(starts: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    counts = starts.groupby(by)[["customers", *OUTCOMES]].sum()
    shown = counts[["customers"]]
    for outcome in OUTCOMES:
        found = with_rates(counts, outcome)[["rate", "low", "high"]]
        shown = shown.join(found.set_axis(
            [outcome, f"{outcome}_low", f"{outcome}_high"], axis="columns"))
    return shown


_HOURLY = ["n", "rate", "slope", "slope_low", "slope_high", "odds_ratio", "low", "high", "z",
           "p_value"]
_SHAPES = [f"{shape}{of}" for shape in ("bend", "parts") for of in ("", "_low", "_high", "_p")]


def _by_hour(starts: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    first = tasks[(tasks.task == TASKS[0]) & tasks.hour.notna()].astype({"hour": "int64"})
    counted = {
        FIRST_TASK: first.groupby("hour")[["completed", "tasks"]].sum(),
        **{outcome: starts.groupby("hour")[[outcome, "customers"]].sum() for outcome in OUTCOMES},
    }
    rows, shapes = {}, {}
    for name, frame in counted.items():
        hours, (good, n) = frame.index.to_numpy(), frame.to_numpy().T
        line, model = trend(good, n, hours), logistic(good, n, hours)
        ratio = (model.odds_ratio.estimate, model.odds_ratio.low, model.odds_ratio.high) if (
            model) else (math.nan,) * 3
        told = (line.slope, *_slope_limits(good, n, hours), *ratio, line.z, line.p_value) if (
            line) else (math.nan,) * 8
        rows[name] = (int(n.sum()), good.sum() / n.sum() if n.sum() else math.nan, *told)
        shapes[name] = (*(_bend(good, n, hours) if model else (math.nan,) * 4),
                        *_parts(good, n, hours))
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=_HOURLY).astype(
        {name: float for name in _HOURLY[1:]})
    frame = frame.join(pd.DataFrame.from_dict(shapes, orient="index", columns=_SHAPES))
    return frame.assign(
        p_adjusted=_corrected(frame.p_value), bend_adjusted=_corrected(frame.bend_p),
        parts_adjusted=_corrected(frame.parts_p)).rename_axis("outcome")


def _corrected(p_values: pd.Series) -> pd.Series:
    """Holm's correction of those that there are."""
    there = p_values.notna()
    return pd.Series(holm(p_values[there]), p_values.index[there]).reindex(p_values.index)


def _slope_limits(good: np.ndarray, n: np.ndarray, hours: np.ndarray) -> tuple[float, float]:
    """Ends of the interval of a straight line's slope an hour, by least squares (HC3)."""
    column = Column("hour", "one", "0", numeric=True), hours.astype(float)
    won = good.astype(float)
    try:
        fit = regression.least_squares(
            regression.design([column], len(hours)), Sums(n.astype(float), won, won), CONFIDENCE)
    except ValueError:  # too few customers for an error
        return math.nan, math.nan
    row = fit.coefficient("hour", "one")
    return float(row.low), float(row.high)


def _bend(
    good: np.ndarray, n: np.ndarray, hours: np.ndarray
) -> tuple[float, float, float, float]:
    """How far the log odds bow from a straight line, as a square of the hour in their logit tells.

    Returns:
        The odds in the middle of `SPAN` hours over those on the straight line of log odds between
        their ends, with Wald's limits, and p by the likelihood ratio.
    """
    # From the middle of a parabola to the chord over `SPAN` it is its square term times half of
    # that, squared: in halves of `SPAN`, the square term itself.
    at = (hours - np.average(hours, weights=n)) / (SPAN / 2)
    columns = [(Column("line", "one", "0", numeric=True), at),
               (Column("square", "one", "0", numeric=True), at**2)]
    both = regression.design(columns, len(at))
    try:
        fit = regression.logit(both, good, n, CONFIDENCE)
    except ValueError:  # columns that cannot be told apart, or no finite estimate
        return (math.nan,) * 4
    line = regression.refit_logit(both.without("square"), good, n)
    p = float(stats.chi2.sf(max(0.0, 2 * (fit.log_likelihood - line.log_likelihood)), 1))
    row = fit.coefficient("square", "one")
    return (*(math.exp(-value) for value in (row.estimate, row.high, row.low)), p)


def _parts(
    good: np.ndarray, n: np.ndarray, hours: np.ndarray
) -> tuple[float, float, float, float]:
    """Whether the shares of the parts of the day differ: V with its limits, and chi-squared p."""
    table = pd.DataFrame({"good": good, "rest": n - good}).groupby(hours // PART_OF_DAY).sum()
    try:
        found = association.association(table)
    except ValueError:  # one part, or only one kind of customer
        return (math.nan,) * 4
    return found.effect.value, found.effect.low, found.effect.high, found.p_value


# By task.


def _tasks(found: pd.DataFrame, times: Durations) -> pd.DataFrame:
    """Each task as it comes, and within bounds for all who attempted the first."""
    n = found.n
    first = found[f"attempted_{TASKS[0]}"]
    base = int(n @ first)
    rows = {}
    for k in TASKS:
        tried, done = found[f"attempted_{k}"], found[f"completed_{k}"]
        row = {"attempted": int(n @ tried), "completed": int(n @ done)}
        of = {"": done, "trouble_": found[f"trouble_{k}"], "restart_": found[f"restart_{k}"]}
        for name, flag in of.items():
            share = _share(int(n @ (tried * flag)), row["attempted"])
            row |= {(name or "rate_").rstrip("_"): share.estimate, f"{name}low": share.low,
                    f"{name}high": share.high}
        good = int(n @ (first * tried * done))
        unknown = int(n @ (first * (1 - tried)))
        least, most = _share(good, base), _share(good + unknown, base)
        row |= {"least": least.estimate, "least_low": least.low, "most": most.estimate,
                "most_high": most.high}
        reached = _share(good, int(n @ (first * tried)))
        row["no_better"] = reached.estimate
        row |= dict(zip(("standardised", "standardised_low", "standardised_high"),
                        _standardised(found, k), strict=True))
        row |= dict(zip(("median", "median_low", "median_high"), _median(times, k), strict=True))
        rows[k] = row
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("task")
    return frame.astype({"attempted": "int64", "completed": "int64"})


def _share(good: int, n: int) -> Interval:
    """A share with Wilson's interval; missing of nobody."""
    if not n:
        return Interval(math.nan, math.nan, math.nan, CONFIDENCE, "none")
    found = intervals.proportion(good, n, CONFIDENCE)
    return Interval(float(found.estimate), found.low, found.high, CONFIDENCE, found.method)


def _standardised(found: pd.DataFrame, task: int) -> tuple[float, float, float]:
    """Completion of a task with the mix of trouble and restarts in task 1 of all who attempted it.

    Direct standardisation (Lane & Nelder 1982). The weights count as known in the normal interval.
    """
    base = found[found[f"attempted_{TASKS[0]}"] == 1]
    tried = base[base[f"attempted_{task}"] == 1]
    keys = [f"{what}_{TASKS[0]}" for what in (TROUBLE, RESTART)]
    weight = base.groupby(keys).n.sum()
    n = tried.groupby(keys).n.sum().reindex(weight.index, fill_value=0)
    good = tried[tried[f"completed_{task}"] == 1].groupby(keys).n.sum().reindex(
        weight.index, fill_value=0)
    if weight.empty or (n < LEAST_EXPECTED).any():
        return (math.nan,) * 3
    rate, weight = good / n, weight / weight.sum()
    value = float(weight @ rate)
    reach = stats.norm.isf(ALPHA / 2) * math.sqrt((weight**2 * rate * (1 - rate) / n).sum())
    return value, value - reach, value + reach


def _curve(times: Durations, task: int) -> KaplanMeier | None:
    """Time to completion of all who started a task; who gives up is followed to the end."""
    of = times.groups["task"] == task
    if not of.any():
        return None
    return kaplan_meier(times.minutes[of], times.completed[of], times.censored[of], CONFIDENCE)


def _median(times: Durations, task: int) -> tuple[float, float, float]:
    curve = _curve(times, task)
    if curve is None:
        return (math.nan,) * 3
    found = curve.quantile(0.5)
    return found.estimate, found.low, found.high


def _elapsed(times: Durations) -> pd.DataFrame:
    rows = {}
    for task in TASKS:
        curve = _curve(times, task)
        for minutes in MARKS:
            try:
                found = curve and curve.share_at(minutes)
            except ValueError:  # nobody was followed so long
                found = None
            rows[task, minutes] = (found.estimate, found.low, found.high) if found else (
                math.nan,) * 3
    return pd.DataFrame(list(rows.values()), columns=["share", "low", "high"],
                        index=_pairs(list(rows), ("task", "minutes")))


def _naive(found: pd.DataFrame) -> pd.DataFrame:
    """Completion rates of a later task less an earlier one's, as they come."""
    shares = {}
    for k in TASKS:
        tried = found[found[f"attempted_{k}"] == 1]
        if len(tried):
            shares[k] = Share(int(tried.n @ tried[f"completed_{k}"]), int(tried.n.sum()))
    rows = {}
    for j, k in PAIRS:
        if j in shares and k in shares:
            c = compare(shares[k], shares[j])
            rows[k, j] = (c.difference.estimate, c.difference.low, c.difference.high, c.p_value)
    frame = pd.DataFrame(list(rows.values()), columns=["difference", "low", "high", "p_value"],
                         index=_pairs(list(rows), ("later", "earlier")), dtype=float)
    return frame.assign(p_adjusted=holm(frame.p_value))


# The same people.


_SAME = ["n", "more", "less", "effect", "low", "high", "p_value"]


def _same(finishers: pd.DataFrame, times: dict[str, float]) -> pd.DataFrame:
    rows = {}
    for j, k in PAIRS:
        for what in (TROUBLE, RESTART):
            later, earlier = finishers[f"{what}_{k}"], finishers[f"{what}_{j}"]
            more, less = (int(finishers.n @ (a * (1 - b))) for a, b in ((later, earlier),
                                                                         (earlier, later)))
            rows[what, k, j] = paired(more, less, int(finishers.n.sum()))
        rows[TIME, k, j] = _times(times, j, k)
    index = _pairs(list(rows), ("what", "later", "earlier"))
    frame = pd.DataFrame(list(rows.values()), columns=_SAME, index=index).astype(
        {name: "int64" if name in _SAME[:3] else float for name in _SAME})
    frame["p_adjusted"] = _corrected(frame.p_value).to_numpy()
    return frame.sort_index()


def paired(more: int, less: int, n: int) -> tuple[int, int, int, float, float, float, float]:
    """A difference of two shares of the same people, later less earlier.

    The interval is that of Agresti & Min (2005), Wald's with half a person added to each cell; p is
    McNemar's (1947), exact where fewer than 25 differ.

    Args:
        more: People with the property in the later only.
        less: In the earlier only.
        n: All people.

    Returns:
        n, more, less, the difference with its ends, and p; missing with fewer than two people.
    """
    if n < 2:
        return (n, more, less, *[math.nan] * 4)
    a, b, total = more + 0.5, less + 0.5, n + 2
    middle = (a - b) / total
    reach = stats.norm.isf(ALPHA / 2) * math.sqrt((a + b) - (a - b) ** 2 / total) / total
    if more + less < 25:
        p = float(stats.binomtest(more, more + less).pvalue) if more + less else 1.0
    else:
        p = float(stats.chi2.sf((more - less) ** 2 / (more + less), 1))
    return n, more, less, (more - less) / n, middle - reach, middle + reach, p


def _times(times: dict[str, float], j: int, k: int) -> tuple:
    """The ratio of the times of two tasks, from the sums of its log."""
    n, pair = int(times["n"]), f"{j}{k}"
    more, less = int(times[f"more_{pair}"]), int(times[f"less_{pair}"])
    if n < 2:
        return (n, more, less, *[math.nan] * 4)
    mean = times[f"sum_{pair}"] / n
    variance = max(0.0, times[f"square_{pair}"] - n * mean**2) / (n - 1)
    # Squares of logs carry rounding of about 1e-15 each.
    if variance <= 1e-12:
        return (n, more, less, math.exp(mean), *[math.nan] * 3)
    gap = intervals.mean_t(Moments(n, mean, variance), CONFIDENCE)
    t = mean / math.sqrt(variance / n)
    return (n, more, less, *np.exp([mean, gap.low, gap.high]), 2 * stats.t.sf(abs(t), n - 1))


def _typical(finishers: pd.DataFrame, times: dict[str, float]) -> pd.DataFrame:
    n, timed = int(finishers.n.sum()), times["n"]
    rows = [(
        math.exp(times[f"log_{k}"] / timed) / 60 if timed else math.nan,
        *(float(finishers.n @ finishers[f"{what}_{k}"]) / n if n else math.nan
          for what in (TROUBLE, RESTART)),
    ) for k in TASKS]
    return pd.DataFrame(rows, columns=["minutes", TROUBLE, RESTART],
                        index=pd.Index(TASKS, name="task"))


def _pairs(keys: list[tuple], names: tuple[str, ...]) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples(keys, names=names) if keys else pd.MultiIndex.from_arrays(
        [[] for _ in names], names=names)
