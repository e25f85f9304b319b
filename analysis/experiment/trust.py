"""Who is lost where, and whether the test can be trusted before any result of it is read.

A comparison of two cohorts is worth what their assignment is worth. So the split is held against
the plan first, where the tables name one (Fabijan et al. 2019; Kohavi, Tang & Xu 2020, chapter 21),
then the cohorts against each other in everything that happens before the widget can show, where
they must be alike, and then the log against itself. A rule that is stated beforehand makes a
verdict of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from analysis import exploration
from analysis.experiment.reductions import COHORTS, TASKS, Reductions, cases, faults_of
from analysis.forensics import closeness, rates
from analysis.planned import planned_share
from analysis.sources import Tables
from analysis.stats import association, intervals, two_proportions
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.two_proportions import Share

MISMATCH = 0.001  # a split less probable than this stops the reading (Kohavi, Tang & Xu 2020)
ALPHA = 0.05
CONFIDENCE = 1 - ALPHA
POWER = 0.8
MOST_FAULTY = 0.05  # share of cases of one fault, or of rows left out, that is a reservation
MOST_HIDDEN = 0.25  # share of a cohort whose loss must not escape the check of the split
LEAST_DRIFT = 5  # customers of each cohort, for a trend over the hours
SEED = 2020
CONTROL, TEST = COHORTS

Stage = tuple[str, int]
# How customers go through the trial: each stage with the one that it is compared with.
ASSIGNED: Stage = ("assigned", 0)
STEPS: Mapping[Stage, Stage] = {
    ("attempted", 1): ASSIGNED,
    ("trouble", 0): ("attempted", 1),
    ("CS", 0): ("trouble", 0),
    ("OTHER", 0): ("trouble", 0),
    ("completed", 1): ("attempted", 1),
    ("attempted", 2): ("completed", 1),
    ("completed", 2): ("attempted", 2),
    ("attempted", 3): ("completed", 2),
    ("completed", 3): ("attempted", 3),
    ("converted", 0): ASSIGNED,
}
# The series of tasks, at each step of which customers can be lost.
SERIES = tuple((name, task) for task in TASKS for name in ("attempted", "completed"))


class Verdict(StrEnum):
    """Whether the test may be read."""

    TRUSTED = "trusted"
    """Nothing speaks against it."""
    RESERVED = "with reservations"
    """It may be read, but something has to be kept in mind or looked into."""
    REFUSED = "not to be read"
    """The split is not that of the plan."""


@dataclass(frozen=True)
class Split:
    """Whether the customers were split as planned.

    Attributes:
        control, test: Customers.
        share: Their share in Test, with its Wilson interval.
        lost: Customers left out because they have no row in conversion; of unknown cohort.
        planned: The share that the plan gives to Test. None: the tables name no plan; then there is
            nothing to hold the split against, and all that follows is None as well.
        chi_squared, p_chi_squared: Pearson's test of the split (Pearson 1900), 1 degree of freedom.
        p_exact: The exact binomial test's; the one that decides.
        p_closer: Probability that lots come as near to the plan as this, or nearer.
        p_closest: The same for the nearest split that there can be with so many customers.
        seen_low, seen_high: The largest true share below, and the smallest above, the planned one
            that the exact test at `MISMATCH` (half of it in each tail) finds with probability
            `POWER`; None where it finds none.
        hidden_test, hidden_control: The shares of a cohort's customers that would have to be lost
            for that; None where the test can't find any loss.
        p_worst: The smallest exact p if all of the `lost` belonged to one cohort.
    """

    control: int
    test: int
    share: Interval
    lost: int
    planned: float | None = None
    chi_squared: float | None = None
    p_chi_squared: float | None = None
    p_exact: float | None = None
    p_closer: float | None = None
    p_closest: float | None = None
    seen_low: float | None = None
    seen_high: float | None = None
    hidden_test: float | None = None
    hidden_control: float | None = None
    p_worst: float | None = None

    @property
    def mismatch(self) -> bool:
        """Whether the split is not that of the plan."""
        return self.p_exact is not None and self.p_exact < MISMATCH

    @property
    def hides(self) -> bool:
        """Whether the lost could hide that the split is not that of the plan."""
        return self.p_worst is not None and self.p_worst < MISMATCH

    @property
    def too_exact(self) -> bool:
        """Whether the split is nearer to the plan than lots would easily bring it."""
        return self.p_closer is not None and self.p_closer < ALPHA

    @property
    def blind(self) -> bool:
        """Whether the loss of `MOST_HIDDEN` of a cohort could escape the check."""
        hidden = (self.hidden_test, self.hidden_control)
        return self.planned is not None and any(
            share is None or share > MOST_HIDDEN for share in hidden)


@dataclass(frozen=True)
class Trust:
    """The way of the customers through the trial, and whether their test can be trusted.

    Attributes:
        stages: Index `stage`, `task`, `cohort`; the stages of `ASSIGNED` and `STEPS`, in order:
            `customers`; `before` (customers of the stage before) and `both` (those of them who
            reached this one), `skipped` (who reached this one without that); `share`, `low`,
            `high` of the stage before (both / before, Wilson); `of_all`, `of_all_low`,
            `of_all_high` of the customers assigned. Missing where there is nobody to be a share of.
        losses: Index `stage`, `task`, those of `SERIES`; both cohorts together: `customers` who
            reached the stage before and not this one, `share` of all with `low`, `high` (Wilson).
        finished: Share of all customers who completed each of the tasks.
        converted_unfinished: Share of the converted who did not.
        split: The check of the split.
        hours: Index `hour` of the first start, on the day of the test: customers of `control` and
            `test`, `share` in Test with `low`, `high` (Wilson).
        before_day, after_day: Share of those who started whose first start is on a day before, or
            after, that of the test.
        checks: Comparisons of the cohorts before the widget can show. Index `check`: `hours` (of
            the first start, on the day of the test), `drift` (the share in Test along the hours),
            `attempted` (any task), `later` (first start on another day than that of the test, of
            those who started), `trouble` (any, of those who attempted), `first_task` (that of the
            first trouble, where it was not complete by then), `untouched` (conversion of those
            never in trouble). Columns: `control_n`, `test_n` customers; `control`, `test` (shares;
            missing for `hours`, `drift`, `first_task`); `measure` of the `value` with `low`,
            `high`: "V" (Cramér's, bias-corrected), "slope" (share in Test an hour) or "difference"
            (Test less Control, Newcombe); `p_value`, `p_adjusted` (Holm, over these and the
            faults), `method`, `failed` (p_adjusted at most `ALPHA`). Missing where it can't be
            told.
        disorder: What is out of order in the log and stays in it. Index `fault`, as in
            `Reductions.faults`: `cases`, `of`, `share`, `share_low`, `share_high` (Wilson), and
            the columns of `checks`, where the numbers of a cohort are those in which the fault
            could happen.
        cleaning: What was at odds with other rows; see `exploration.cleaning`.
        profile: What the tables hold after cleaning; see `exploration.profile`.
        unknown, repeated: Rows left out as of unknown customers, and as repeating another.
        left_out: Largest share of a table's rows that was left out.
        reasons: What keeps the test from being trusted, by name: `mismatch` (of the split),
            `blind` (`Split.blind`), `unbalanced` (a check failed), `faults` (a fault in more than
            `MOST_FAULTY` of the cases, or so many first starts before the day of the test),
            `uneven` (a fault that differs between the cohorts), `losses` (a table without more than
            `MOST_FAULTY` of its rows, or so many customers without a row in conversion that they
            could hide a mismatch).
        trusted: The verdict: refused with a mismatch, reserved with any other reason.
    """

    stages: pd.DataFrame
    losses: pd.DataFrame
    finished: Interval
    converted_unfinished: Interval | None
    split: Split
    hours: pd.DataFrame
    before_day: Interval
    after_day: Interval
    checks: pd.DataFrame
    disorder: pd.DataFrame
    cleaning: pd.DataFrame
    profile: pd.DataFrame
    unknown: int
    repeated: int
    left_out: float
    reasons: Mapping[str, bool]
    trusted: Verdict


def trust(base: Reductions, customers: ir.Table, tables: Tables) -> Trust:
    """Follows the customers and checks the test.

    Args:
        base: The reductions of the tables.
        customers: One row a customer; see `reductions.per_customer`.
        tables: The tables of the study `trialers`.
    """
    stages, losses = _stages(customers)
    profile = exploration.profile(tables)
    cleaning = exploration.cleaning(tables, profile)
    gone = cleaning[~cleaning["handling"].str.startswith("kept")]
    repeats = gone["handling"] == "counted once"
    of_customers = gone["table"] == "test_cohorts"
    assigned, lost = sum(base.customers.values()), base.without_outcome
    found = split(base.customers[CONTROL], base.customers[TEST],
                  planned_share(tables, "cohort", TEST), lost)

    checks, disorder = _checks(base), _disorder(customers)
    p = pd.concat([checks["p_value"], disorder["p_value"]])
    told = p.notna().to_numpy()
    adjusted = np.full(len(p), np.nan)
    if told.any():
        adjusted[told] = holm(p[told])
    for frame, values in ((checks, adjusted[:len(checks)]), (disorder, adjusted[len(checks):])):
        frame.insert(frame.columns.get_loc("p_value") + 1, "p_adjusted", values)
        frame["failed"] = values <= ALPHA

    rows = gone.groupby("table")["share"].sum()
    left_out = max([*rows.drop("test_cohorts", errors="ignore"), lost / (assigned + lost)])
    paths, starts = base.paths, base.starts
    begun = int(starts["customers"].sum())
    before, after = (
        intervals.proportion(int(starts.loc[days, "customers"].sum()), begun, CONFIDENCE)
        for days in (starts["date"] < base.window.day, starts["date"] > base.window.day)
    )
    reasons = {
        "mismatch": found.mismatch,
        "blind": found.blind,
        "unbalanced": bool(checks["failed"].any()),
        "faults": bool(max(disorder["share"].max(), before.estimate) > MOST_FAULTY),
        "uneven": bool(disorder["failed"].any()),
        "losses": bool(left_out > MOST_FAULTY or found.hides),
    }
    done = paths["completions"] == len(TASKS)
    yes = paths["converted"] == 1
    return Trust(
        stages=stages,
        losses=losses,
        finished=intervals.proportion(int(paths.loc[done, "customers"].sum()), assigned,
                                      CONFIDENCE),
        converted_unfinished=_share(paths.loc[yes & ~done, "customers"].sum(),
                                    paths.loc[yes, "customers"].sum()),
        split=found,
        hours=_hours(base),
        before_day=before,
        after_day=after,
        checks=checks,
        disorder=disorder,
        cleaning=cleaning,
        profile=profile,
        unknown=int(gone.loc[~repeats & ~of_customers, "count"].sum()),
        repeated=int(gone.loc[repeats, "count"].sum()),
        left_out=float(left_out),
        reasons=reasons,
        trusted=verdict(reasons),
    )


def verdict(reasons: Mapping[str, bool]) -> Verdict:
    """The verdict by the rule; see `Trust.reasons`."""
    if reasons["mismatch"]:
        return Verdict.REFUSED
    return Verdict.RESERVED if any(reasons.values()) else Verdict.TRUSTED


# The way through the trial -------------------------------------------------------------------


def _stages(customers: ir.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See `Trust.stages` and `Trust.losses`."""
    reached: dict[Stage, ir.BooleanValue] = {
        ASSIGNED: customers.cohort.notnull(),
        ("trouble", 0): customers.troubles > 0,
        ("CS", 0): customers.help == "CS",
        ("OTHER", 0): customers.help == "OTHER",
        ("converted", 0): customers.converted == 1,
    }
    for task in TASKS:
        started, completed, asked = (customers[f"{name}_{task}"]
                                     for name in ("started", "completed", "asked"))
        reached |= {
            ("attempted", task): started.notnull() | completed.notnull() | asked.notnull(),
            ("completed", task): completed.notnull(),
        }
    order = (ASSIGNED, *STEPS)
    measures = {}
    for i, stage in enumerate(order):
        measures[f"n_{i}"] = _number(reached[stage])
        measures[f"both_{i}"] = _number(reached[stage] & reached[STEPS.get(stage, stage)])
    counts = customers.group_by("cohort").aggregate(**measures).to_pandas()
    counts = counts.set_index("cohort").loc[list(COHORTS)].astype("int64")
    rows = []
    for i, (name, task) in enumerate(order):
        before = order.index(STEPS.get((name, task), ASSIGNED))
        for cohort in COHORTS:
            found = counts.loc[cohort]
            n, both, earlier = (int(found[key]) for key in (f"n_{i}", f"both_{i}", f"n_{before}"))
            rows.append({
                "stage": name, "task": task, "cohort": cohort, "customers": n, "before": earlier,
                "both": both, "skipped": n - both, **_limits("share", both, earlier),
                **_limits("of_all", n, int(found["n_0"])),
            })
    frame = pd.DataFrame(rows).set_index(["stage", "task", "cohort"])
    frame = frame.rename(columns={"share_low": "low", "share_high": "high"})
    total = counts.sum()
    losses = []
    for stage in SERIES:
        gone = int(total[f"n_{order.index(STEPS[stage])}"] - total[f"both_{order.index(stage)}"])
        found = intervals.proportion(gone, int(total["n_0"]), CONFIDENCE)
        losses.append({"stage": stage[0], "task": stage[1], "customers": gone,
                       "share": found.estimate, "low": found.low, "high": found.high})
    return frame, pd.DataFrame(losses).set_index(["stage", "task"])


def _number(condition: ir.BooleanValue) -> ir.IntegerValue:
    return ibis.ifelse(condition.fill_null(False), 1, 0).sum()


def _share(successes: int, n: int) -> Interval | None:
    return intervals.proportion(int(successes), int(n), CONFIDENCE) if n else None


def _limits(name: str, successes: int, n: int) -> dict[str, float]:
    """A share with its Wilson interval as columns; missing for a share of nobody."""
    found = _share(successes, n)
    values = (math.nan,) * 3 if found is None else (found.estimate, found.low, found.high)
    return dict(zip((name, f"{name}_low", f"{name}_high"), values, strict=True))


# The split -----------------------------------------------------------------------------------


def split(control: int, test: int, planned: float | None, lost: int = 0) -> Split:
    """Holds a split against the plan.

    Args:
        control, test: Customers of each cohort.
        planned: The share that Test was to get; None: nobody says.
        lost: Further ones, of unknown cohort.

    Raises:
        ValueError: Counts that are not whole numbers of at least 0, or nobody in the cohorts.
    """
    n = control + test
    counted = Split(control, test, intervals.proportion(test, n, CONFIDENCE), lost)
    if planned is None:
        return counted
    shares = (1 - planned, planned)
    fit = association.goodness_of_fit((control, test), shares)
    nearest = round(n * planned)
    low, high = seen(n, planned)
    odds = planned / (1 - planned)
    extremes = {exact_p(test, n + lost, planned), exact_p(test + lost, n + lost, planned)}
    return replace(
        counted,
        planned=planned,
        chi_squared=fit.statistic,
        p_chi_squared=fit.p_asymptotic,
        p_exact=exact_p(test, n, planned),
        p_closer=closeness.allocation((control, test), shares).p_closer,
        p_closest=closeness.allocation((n - nearest, nearest), shares).p_closer,
        seen_low=low,
        seen_high=high,
        hidden_test=None if low is None else 1 - low / (1 - low) / odds,
        hidden_control=None if high is None else 1 - odds / (high / (1 - high)),
        p_worst=min(extremes),
    )


def exact_p(test: int, n: int, planned: float) -> float:
    """Two-sided exact binomial p-value of `test` of n customers against the plan."""
    return float(stats.binomtest(test, n, planned).pvalue)


def seen(n: int, planned: float) -> tuple[float | None, float | None]:
    """The shares nearest to the planned one that the check of the split finds among n customers.

    Of the exact binomial test at `MISMATCH` with half of it in either tail, with probability
    `POWER`; by the relation of the binomial to the beta distribution. None: it finds none on that
    side, as not even a cohort without a customer is improbable enough.
    """
    fewest = int(stats.binom.ppf(MISMATCH / 2, n, planned)) - 1  # so few, or fewer, are a mismatch
    most = int(stats.binom.isf(MISMATCH / 2, n, planned)) + 1  # so many, or more
    low = float(stats.beta.isf(POWER, fewest + 1, n - fewest)) if fewest >= 0 else None
    high = float(stats.beta.ppf(POWER, most, n - most + 1)) if most <= n else None
    return low, high


# The cohorts before the widget ---------------------------------------------------------------


def _by_hour(base: Reductions) -> pd.DataFrame:
    """Customers of both cohorts by the hour of their first start, on the day of the test."""
    on_day = base.starts[base.starts["date"] == base.window.day]
    return on_day.pivot_table(index="hour", columns="cohort", values="customers", aggfunc="sum",
                              fill_value=0).reindex(columns=COHORTS, fill_value=0).astype("int64")


def _hours(base: Reductions) -> pd.DataFrame:
    """See `Trust.hours`."""
    rows = [
        {"hour": int(hour), "control": int(row[CONTROL]), "test": int(row[TEST]),
         **_limits("share", int(row[TEST]), int(row.sum()))}
        for hour, row in _by_hour(base).iterrows()
    ]
    frame = pd.DataFrame(rows).set_index("hour")
    return frame.rename(columns={"share_low": "low", "share_high": "high"})


_NOTHING = {"control": math.nan, "test": math.nan, "measure": None, "value": math.nan,
            "low": math.nan, "high": math.nan, "p_value": math.nan, "method": None}


def _checks(base: Reductions) -> pd.DataFrame:
    """See `Trust.checks`; without the correction."""
    flow = base.flow.set_index(["stage", "task", "cohort"])["customers"]
    starts, paths, first = base.starts, base.paths, base.help[base.help["first"] == 1]

    def pair(stage: str) -> dict[str, int]:
        return {cohort: int(flow[stage, 0, cohort]) for cohort in COHORTS}

    def among(frame: pd.DataFrame) -> dict[str, int]:
        found = frame.groupby("cohort")["customers"].sum()
        return {cohort: int(found.get(cohort, 0)) for cohort in COHORTS}

    unhelped = paths[paths["help"] == "none"]
    by_task = first.pivot_table(index="task", columns="cohort", values="tasks", aggfunc="sum",
                                fill_value=0).reindex(columns=COHORTS, fill_value=0)
    by_hour = _by_hour(base)
    rows = {
        "hours": _association(by_hour),
        "drift": _drift(by_hour),
        "attempted": _difference(pair("attempted"), pair("assigned")),
        "later": _difference(among(starts[starts["date"] != base.window.day]), among(starts)),
        "trouble": _difference(pair("trouble"), pair("attempted")),
        "first_task": _association(by_task),
        "untouched": _difference(among(unhelped[unhelped["converted"] == 1]), among(unhelped)),
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("check")


def _sizes(counts: Mapping[str, int]) -> dict[str, int]:
    return {"control_n": int(counts[CONTROL]), "test_n": int(counts[TEST])}


def _association(table: pd.DataFrame) -> dict:
    """Whether the cohorts, the columns of a table of counts, differ over its rows."""
    row = _sizes(table.sum()) | _NOTHING
    try:
        found = association.association(table.astype("int64"), confidence=CONFIDENCE, seed=SEED)
    except ValueError:  # one row, or one cohort, without anything to compare it with
        return row
    v = found.effect
    return row | {"measure": "V", "value": v.value, "low": v.low, "high": v.high,
                  "p_value": found.p_value, "method": found.method}


def _drift(by_hour: pd.DataFrame) -> dict:
    """Whether the share in Test rises or falls with the hour (Armitage 1955)."""
    row = _sizes(by_hour.sum()) | _NOTHING
    trials, hour = by_hour.sum(axis=1).to_numpy(), by_hour.index.to_numpy(dtype=float)
    found = rates.trend(by_hour[TEST].tolist(), trials.tolist(), hour)
    if found is None or min(by_hour.sum()) < LEAST_DRIFT:
        return row
    centred = hour - np.average(hour, weights=trials)
    error = math.sqrt(found.rate * (1 - found.rate) / float(trials @ centred**2))
    reach = float(stats.norm.isf(ALPHA / 2)) * error
    return row | {"measure": "slope", "value": found.slope, "low": found.slope - reach,
                  "high": found.slope + reach, "p_value": found.p_trend,
                  "method": "Cochran-Armitage"}


def _difference(yes: Mapping[str, int], n: Mapping[str, int]) -> dict:
    """Whether a share differs between the cohorts."""
    row = _sizes(n) | _NOTHING
    if not (n[CONTROL] and n[TEST]):
        return row
    control, test = Share(yes[CONTROL], n[CONTROL]), Share(yes[TEST], n[TEST])
    gap = two_proportions.difference(test, control, CONFIDENCE)
    row |= {"control": control.value, "test": test.value, "measure": "difference",
            "value": gap.estimate, "low": gap.low, "high": gap.high}
    if sum(yes.values()) in (0, sum(n.values())):
        return row  # alike in all, so there is nothing to test
    found = association.association(
        [[yes[cohort], n[cohort] - yes[cohort]] for cohort in COHORTS], seed=SEED)
    return row | {"p_value": found.p_value, "method": found.method}


# The log -------------------------------------------------------------------------------------


def _disorder(customers: ir.Table) -> pd.DataFrame:
    """See `Trust.disorder`; without the correction."""
    found = {}
    for cohort in COHORTS:
        of = customers.filter(customers.cohort == cohort)
        found[cohort] = faults_of(of, cases(of)).set_index("fault")
    rows = {}
    for fault in found[CONTROL].index:
        yes, n = ({cohort: int(found[cohort].loc[fault, name]) for cohort in COHORTS}
                  for name in ("cases", "of"))
        total = {"cases": sum(yes.values()), "of": sum(n.values())}
        rows[fault] = total | _limits("share", *total.values()) | _difference(yes, n)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fault")
