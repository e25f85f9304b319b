"""Is the log recorded or made? The signs that `analysis.forensics` knows, asked of trialers.

Everything is reduced where the tables are: events by second, minute and hour, gaps between events,
durations in units of the clock, identifiers as moments of numbers, and one row for each combination
of what is known of a customer in the first task. Pairs of columns are those of that task, so that
every customer counts once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiment.reductions import COHORTS, PART_OF_DAY, TASKS, Reductions
from analysis.forensics import arrivals, closeness, digits, rates, shapes, ties
from analysis.forensics.arrivals import Bursts, Coincidences, Cycle, Regularity, Seconds
from analysis.forensics.closeness import Allocation, Runs
from analysis.forensics.digits import Heaping, Numbering
from analysis.forensics.pvalues import some
from analysis.forensics.rates import Additivity, Homogeneity, Trend
from analysis.forensics.shapes import Shape
from analysis.forensics.ties import Picture, Tie
from analysis.forensics.verdict import Sign, Verdict, judge
from analysis.sources import Tables
from analysis.stats import intervals
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm

ALPHA = 0.05
MINUTES = 24 * 60
MOST_DAYS = 1_200
WIDTHS = (1, 5)  # minutes of the spans in which bursts are looked for
STRETCH = 10  # minutes over which the rate of arrivals is taken to be constant
SESSION = 6 * 3600  # seconds; what takes longer was left and taken up again
QUARTER = 15  # minutes: people, and schedulers, like the quarters of an hour
RETRY, REPEAT = 5, 60  # seconds within which an action is done twice, or again
RETRY_MARGIN = 2.0  # how much more often than evenly repeats fall into `RETRY`
FEW_FAULTS, MANY_FAULTS = 1e-4, 0.2  # shares: above the first some clock was wrong, or above both
ROUND_SHARE = 0.05  # allotted shares are multiples of it
CENTRE = 7.0  # log of seconds; near it sums of squares keep their digits
DURATIONS = ("onset", "pause", "time")
# Of two numbers: rows that have both, their sums, sums of squares, and sum of products.
MOMENTS = ("both", "sx", "sy", "qx", "qy", "xy")
CATEGORIES = ("hour", "restart", "trouble", "choice", "completed", "converted")
NUMBERS = ("onset", "time")
# Columns that one follows from the other, or exists through the other only.
STRUCTURAL = {("trouble", "choice"), ("trouble", "onset"), ("completed", "time")}
# Pairs that go together in the world; why, is told in the chapter.
EXPECTED = (
    ("hour", "agent"), ("trouble", "time"), ("trouble", "completed"), ("restart", "trouble"),
    ("completions", "converted"),
)
INTERPLAY = ("task", "cs", "restarted")


@dataclass(frozen=True)
class Retries:
    """Actions that a customer does again in the same task, within a minute.

    Attributes:
        repeats: Within `REPEAT` seconds.
        retries: Of them, those within `RETRY`: double clicks, and a program that tries again.
        share: Of these, with its interval.
        p_more: Of the hypothesis that they are at most `RETRY_MARGIN` times as frequent as if
            repeats were spread evenly over the minute.
    """

    repeats: int
    retries: int
    share: Interval
    p_more: float


@dataclass(frozen=True)
class Faults:
    """Events that are lost or contradict each other.

    Attributes:
        cases: How many.
        of: In how many places they could be.
        share: `cases` of these, with its interval.
        disorder: Of the events that have an order, the share out of it; None without any.
        p_some: Of the hypothesis that the share is at most `FEW_FAULTS`, or the disorder
            `MANY_FAULTS` or more: small if there are some faults, as a log has and a program does
            not make, and few.
        p_many: Of the hypothesis that the disorder is at most `MANY_FAULTS`: small if it is more
            than a clock can be responsible for; nan without it.
    """

    cases: int
    of: int
    share: Interval
    disorder: Interval | None
    p_some: float
    p_many: float


@dataclass(frozen=True)
class Real:
    """The signs in the tables, what each says, and the verdict.

    Attributes:
        events: Rows of product and help activity.
        clock: Seconds in a unit of the clock: 1, or 60 where all times are at a full minute.
        arrived: First starts on the day of the test, by minute of the day, shape (1440,).
        rhythm: Their spread over the hours of the day; None without any.
        profile: Their minutes of the day against simple distributions; None with too few.
        bursts: Index `minutes` (width of the spans): first starts against a Poisson process,
            columns of `arrivals.Bursts`; empty with too few.
        gaps: Gaps between them against exponential ones; None with too few.
        coincidences: First starts of different customers in the same second; None with too few.
        seconds: Seconds of all timestamps; None where the clock shows minutes only.
        quarters: Timestamps at the full, quarter, half and three-quarter hour against the minutes
            around them.
        retries: Actions done again at once; None without repeats within a minute, or where the
            clock shows minutes only.
        faults: Lost and contradictory events; None where there are no events that could be.
        people: Index `what`, `tasks`: how alike a customer's tasks are: `measure`, `n`, `size`,
            `low`, `high`, `p_value` (one-sided: alike), `p_absent` (see `ties.Tie`).
        pairs: Index `first`, `second`: all pairs of columns of task 1 that could be tested:
            `measure`, `n`, `size`, `low`, `high`, `p_value`, `p_absent`.
        picture: These together; None if there are none.
        largest: The most closely tied of them; None if there are none.
        named: Index `first`, `second`: `EXPECTED` pairs that could be tested; columns as `pairs`,
            both p-values also corrected (Holm, each), `adjusted_value`, `adjusted_absent`.
        shapes: By duration (of `DURATIONS`; those of which there are enough): seconds from start to
            trouble in task 1, from completing it to starting task 2, and from start to completion
            in task 1 without trouble, all up to `SESSION`.
        decisions: Conversions a day among all who have not converted yet, along the days: level if
            they are spread evenly over the trial.
        deciders: The same among those alone who ever convert, the last day left out: level if each
            of them decides at a constant rate.
        interplay: Completion after help by `INTERPLAY` against a logistic model without
            interactions.
        share: The share of Test that was to be dealt: the multiple of `ROUND_SHARE` nearest to it.
        allocation: The cohorts' sizes against it; None where it is 0 or 1.
        turns: How the cohorts follow each other in order of the identifiers.
        constant: The share of Test by the hour of the first start.
        numbering: Identifiers that end in a number, and whether these rise with the first start.
        verdict: The signs and what follows from them.
    """

    events: int
    clock: int
    arrived: np.ndarray = field(repr=False, compare=False)
    rhythm: Cycle | None
    profile: Shape | None
    bursts: pd.DataFrame
    gaps: Regularity | None
    coincidences: Coincidences | None
    seconds: Seconds | None
    quarters: Heaping | None
    retries: Retries | None
    faults: Faults | None
    people: pd.DataFrame
    pairs: pd.DataFrame
    picture: Picture | None
    largest: tuple[str, str] | None
    named: pd.DataFrame
    shapes: Mapping[str, Shape]
    decisions: Trend | None
    deciders: Trend | None
    interplay: Additivity | None
    share: float
    allocation: Allocation | None
    turns: Runs | None
    constant: Homogeneity | None
    numbering: Numbering | None
    verdict: Verdict


def real(base: Reductions, customers: ir.Table, tables: Tables) -> Real:
    """Looks for the signs.

    Args:
        base: The reductions of the tables.
        customers: Their customers, from `reductions.per_customer`; it is read several times.
        tables: The tables of the study `trialers`.
    """
    events = _events(tables)
    by_clock = _by_clock(events)
    clock = 60 if by_clock["second"].eq(0).all() else 1
    arrived, pairs_met, gaps = _arrivals(base, customers)
    first_task = _first_task(customers)
    found, named_ties = _ties(first_task, customers, base)
    picture = ties.picture(list(found.values()))
    share, allocation = _allocation(base)
    starts = base.starts.pivot_table(
        index="hour", columns="cohort", values="customers", aggfunc="sum", fill_value=0
    ).reindex(columns=list(COHORTS), fill_value=0)
    decisions, deciders = _decisions(base)
    fine = clock == 1
    second, minute = (by_clock.groupby(unit)["n"].sum().reindex(range(60), fill_value=0)
                      for unit in ("second", "minute"))
    whole = minute[minute.index % QUARTER == 0].sum()
    evidence = {
        "rhythm": arrivals.cycle(arrived.reshape(24, 60).sum(axis=1).tolist()),
        "profile": shapes.shape(at := np.flatnonzero(arrived), arrived[at]),
        "bursts": _bursts(arrived),
        "gaps": arrivals.regularity(gaps["stretch"], gaps["gap"], gaps["n"]) if fine else None,
        "coincidences": arrivals.coincidences(
            pairs_met, arrived.tolist(), 60) if fine else None,
        "seconds": arrivals.seconds(second.astype(int).tolist()) if fine else None,
        "quarters": digits.heaping(int(whole), [
            int(minute[minute.index % QUARTER == d].sum()) for d in range(1, QUARTER)]),
        "retries": _retries(events) if fine else None,
        "faults": _faults(base),
        "people": _people(customers),
        "pairs": _frame(found),
        "picture": picture,
        "named": _named(named_ties),
        "shapes": _shapes(customers, clock),
        "decisions": decisions,
        "deciders": deciders,
        "interplay": _interplay(base),
        "allocation": allocation,
        "turns": _turns(customers),
        "constant": rates.homogeneity(starts["Test"], starts.sum(axis=1)),
        "numbering": _numbering(base, customers),
    }
    return Real(
        events=int(by_clock["n"].sum()), clock=clock, arrived=arrived, share=share,
        largest=list(found)[picture.largest] if picture else None, **evidence,
        verdict=judge(_signs(**evidence)),
    )


# What is reduced where the tables are.


def _events(tables: Tables) -> ir.Table:
    """Every row of both logs: who, in which task, what, when."""
    activity, asked = tables.table("product_activity"), tables.table("help_activity")
    return ibis.union(
        activity.select("customer_id", "task", "timestamp", kind=activity.action),
        asked.select("customer_id", "task", "timestamp", kind=asked.channel),
    )


def _by_clock(events: ir.Table) -> pd.DataFrame:
    """Events by minute of the hour and second of the minute: `minute`, `second`, `n`."""
    return events.group_by(
        minute=events.timestamp.minute().cast("int64"),
        second=events.timestamp.second().cast("int64"),
    ).aggregate(n=events.count()).to_pandas()


def _arrivals(
    base: Reductions, customers: ir.Table
) -> tuple[np.ndarray, int, pd.DataFrame]:
    """First starts on the day: by minute, pairs in one second, and gaps by stretch of time."""
    since = (customers.first_started.epoch_seconds()
             - ibis.timestamp(base.window.day).epoch_seconds()).cast("int64")
    began = customers.select(second=since)
    began = began.filter((began.second >= 0) & (began.second < MINUTES * 60))
    by_second = began.group_by("second").aggregate(n=began.count())
    met = by_second.n * (by_second.n - 1)
    minutes = by_second.group_by(minute=(by_second.second // 60).cast("int64")).aggregate(
        n=by_second.n.sum(), pairs=met.sum()).to_pandas()
    arrived = np.zeros(MINUTES, dtype="int64")
    arrived[minutes["minute"].to_numpy(dtype="int64")] = minutes["n"].to_numpy(dtype="int64")
    before = by_second.second.lag().over(ibis.window(order_by=by_second.second))
    apart = by_second.select(
        stretch=(before // (60 * STRETCH)).cast("int64"), gap=by_second.second - before)
    apart = apart.filter(apart.gap.notnull())
    gaps = apart.group_by("stretch", "gap").aggregate(n=apart.count()).to_pandas()
    return arrived, int(minutes["pairs"].sum()) // 2, gaps.sort_values(["stretch", "gap"])


def _retries(events: ir.Table) -> Retries | None:
    """Actions that are repeated at once; see `Retries`."""
    before = events.timestamp.epoch_seconds().lag().over(ibis.window(
        group_by=["customer_id", "task", "kind"], order_by="timestamp"))
    apart = events.select(gap=(events.timestamp.epoch_seconds() - before).cast("int64"))
    row = apart.aggregate(
        retries=(apart.gap <= RETRY).ifelse(1, 0).sum(),
        repeats=(apart.gap <= REPEAT).ifelse(1, 0).sum(),
    ).to_pandas().fillna(0).iloc[0]
    retries, repeats = int(row["retries"]), int(row["repeats"])
    if repeats == 0:
        return None
    return Retries(
        repeats=repeats, retries=retries, share=intervals.proportion(retries, repeats),
        p_more=float(stats.binom.sf(retries - 1, repeats, RETRY_MARGIN * RETRY / REPEAT)))


def _apart(begin: ir.TimestampValue, end: ir.TimestampValue) -> ir.IntegerValue:
    """Seconds from begin to end, null unless there are from 1 to `SESSION` of them."""
    seconds = (end.epoch_seconds() - begin.epoch_seconds()).cast("int64")
    return seconds.between(1, SESSION).ifelse(seconds, ibis.null("int64"))


def _shapes(customers: ir.Table, clock: int) -> dict[str, Shape]:
    """Durations by seconds against simple distributions; see `Real.shapes`."""
    untroubled = customers.asked_1.isnull().ifelse(
        customers.completed_1, ibis.null(customers.completed_1.type()))
    spans = {
        "onset": _apart(customers.started_1, customers.asked_1),
        "pause": _apart(customers.completed_1, customers.started_2),
        "time": _apart(customers.started_1, untroubled),
    }
    parts = []
    for name, seconds in spans.items():
        units = customers.select(units=(seconds // clock).cast("int64"))
        units = units.filter(units["units"] > 0)
        parts.append(units.group_by("units").aggregate(n=units.count())
                     .mutate(duration=ibis.literal(name)))
    counts = ibis.union(*parts).to_pandas().sort_values("units")
    found = {name: shapes.shape(rows["units"], rows["n"])
             for name in DURATIONS if len(rows := counts[counts["duration"] == name])}
    return {name: shape for name, shape in found.items() if shape is not None}


def _flag(condition: ir.BooleanValue) -> ir.IntegerValue:
    return condition.fill_null(False).cast("int64")


def _log(seconds: ir.IntegerValue) -> ir.FloatingValue:
    return seconds.cast("float64").ln() - CENTRE


def _first_task(customers: ir.Table) -> pd.DataFrame:
    """Customers who started task 1 by all that is known of it; see `_ties`.

    `hour` is the part of the day, `choice` 1 for CS, 0 for OTHER, -1 without trouble. Of the logs
    of `onset` and `time`: their number `n_`, sums `s_` and sums of squares `q_`; of both, of those
    who have both, `both`, and the sums `sx`, `sy`, `qx`, `qy`, `xy`.
    """
    begun = customers.filter(customers.started_1.notnull())
    rows = begun.select(
        hour=(begun.started_1.hour() // PART_OF_DAY).cast("int64"),
        restart=_flag(begun.restarts_1 > 0),
        trouble=_flag(begun.asked_1.notnull()),
        choice=ibis.cases((begun.asked_1.isnull(), -1), (begun.channel_1 == "OTHER", 0), else_=1),
        completed=_flag(begun.completed_1.notnull()),
        converted=begun.converted.cast("int64"),
        onset=_log(_apart(begun.started_1, begun.asked_1)),
        time=_log(_apart(begun.started_1, begun.completed_1)),
    )
    x = rows.time.isnull().ifelse(ibis.null("float64"), rows.onset)
    y = rows.onset.isnull().ifelse(ibis.null("float64"), rows.time)
    measures = {"n": rows.count(), "both": x.count(), "sx": x.sum(), "sy": y.sum(),
                "qx": (x * x).sum(), "qy": (y * y).sum(), "xy": (x * y).sum()}
    for name in NUMBERS:
        measures |= {f"n_{name}": rows[name].count(), f"s_{name}": rows[name].sum(),
                     f"q_{name}": (rows[name] * rows[name]).sum()}
    frame = rows.group_by(*CATEGORIES).aggregate(**measures).to_pandas().fillna(0.0)
    return frame.sort_values(list(CATEGORIES), ignore_index=True)


def _people(customers: ir.Table) -> pd.DataFrame:
    """How alike the tasks of one customer are; see `Real.people`."""
    parts = [_neighbours(customers, first, second) for first, second in itertools.pairwise(TASKS)]
    counts = ibis.union(*parts).to_pandas().fillna(0.0)
    keys = ["tasks", "cohort", "help_a", "help_b"]
    counts = counts.sort_values(keys, ignore_index=True)
    found: dict[tuple[str, str], Tie | None] = {}
    for tasks, rows in counts.groupby("tasks"):
        trouble = [rows[f"help_{end}"] >= 0 for end in "ab"]
        found["time", tasks] = _within(
            rows.groupby(["help_a", "help_b"])[list(MOMENTS)].sum())
        found["trouble", tasks] = _alike(rows, *(flag.astype(int) for flag in trouble))
        helped = rows[trouble[0] & trouble[1]]
        found["choice", tasks] = _within(_moments(helped, "cohort", "help_a", "help_b"))
    frame = _frame({pair: tie for pair, tie in found.items() if tie}, ["what", "tasks"])
    one_sided = np.where(frame["size"] > 0, frame["p_value"] / 2, 1 - frame["p_value"] / 2)
    frame["p_value"] = one_sided.astype(float)
    return frame.sort_index()


def _neighbours(customers: ir.Table, first: int, second: int) -> ir.Table:
    """Customers who started both of two tasks, by what happened in them."""
    began = customers.filter(
        customers[f"started_{first}"].notnull() & customers[f"started_{second}"].notnull())
    columns = {}
    for end, task in (("a", first), ("b", second)):
        asked, channel = began[f"asked_{task}"], began[f"channel_{task}"]
        columns |= {
            f"help_{end}": ibis.cases((asked.isnull(), -1), (channel == "OTHER", 0), else_=1),
            f"time_{end}": _log(_apart(began[f"started_{task}"], began[f"completed_{task}"])),
        }
    rows = began.select("cohort", **columns)
    x = rows.time_b.isnull().ifelse(ibis.null("float64"), rows.time_a)
    y = rows.time_a.isnull().ifelse(ibis.null("float64"), rows.time_b)
    counts = rows.group_by("cohort", "help_a", "help_b").aggregate(
        n=rows.count(), both=x.count(), sx=x.sum(), sy=y.sum(), qx=(x * x).sum(),
        qy=(y * y).sum(), xy=(x * y).sum())
    return counts.mutate(tasks=ibis.literal(f"{first}-{second}"))


def _turns(customers: ir.Table) -> Runs | None:
    """How the cohorts take turns in order of the identifiers."""
    number = _number(customers)
    order = ibis.window(order_by=[number, customers.customer_id])
    rows = customers.select(cohort=customers.cohort, before=customers.cohort.lag().over(order))
    row = rows.aggregate(
        **{cohort: (rows.cohort == cohort).ifelse(1, 0).sum() for cohort in COHORTS},
        changes=_flag(rows.cohort != rows.before).sum(),
    ).to_pandas().iloc[0]
    return closeness.runs(*(int(row[cohort]) for cohort in COHORTS), int(row["changes"]))


def _number(customers: ir.Table) -> ir.FloatingValue:
    """The number at the end of an identifier without other digits; null for others."""
    text = customers.customer_id
    whole = text.re_search(r"^[^0-9]*[0-9]{1,15}$")
    digits_only = text.re_extract(r"([0-9]+)$", 1)
    return whole.ifelse(digits_only, ibis.null("string")).cast("float64")


def _numbering(base: Reductions, customers: ir.Table) -> Numbering | None:
    """The numbers in identifiers, and how they go with the first start on the day."""
    since = (customers.first_started.epoch_seconds()
             - ibis.timestamp(base.window.day).epoch_seconds()).cast("float64")
    on_day = (since >= 0) & (since < MINUTES * 60)
    rows = customers.select(number=_number(customers),
                            since=on_day.ifelse(since / 3600, ibis.null("float64")))
    row = rows.aggregate(n=rows.number.nunique(), low=rows.number.min(), high=rows.number.max(),
                         mean=rows.number.mean()).to_pandas().iloc[0]
    if int(row["n"]) < 2:
        return None
    x = rows.since.isnull().ifelse(ibis.null("float64"), rows.number - float(row["mean"]))
    y = rows.number.isnull().ifelse(ibis.null("float64"), rows.since - 12.0)
    m = rows.aggregate(both=x.count(), sx=x.sum(), sy=y.sum(), qx=(x * x).sum(), qy=(y * y).sum(),
                       xy=(x * y).sum()).to_pandas().fillna(0.0)
    _, r = _correlation(m)
    return digits.numbering(int(row["n"]), float(row["low"]), float(row["high"]), r)


# Statistics of what was reduced.


def _bursts(arrived: np.ndarray) -> pd.DataFrame:
    rows = {width: arrivals.bursts(arrived.reshape(-1, width).sum(axis=1).tolist())
            for width in WIDTHS}
    columns = list(Bursts.__dataclass_fields__)
    return pd.DataFrame(
        [[getattr(found, name) for name in columns] for found in rows.values() if found],
        columns=columns,
        index=pd.Index([width for width, found in rows.items() if found], name="minutes"))


def _faults(base: Reductions) -> Faults | None:
    """Lost and contradictory events of the tasks; see `Faults`.

    Conversions are left out: who makes them up apart from the tasks gets contradictions, too.
    """
    counts = base.faults.set_index("fault")[["cases", "of"]]
    counts = counts[~counts.index.str.startswith("conversion")]
    ordered = counts[~counts.index.str.contains("without")]
    (cases, of), (wrong, places) = (map(int, rows.sum()) for rows in (counts, ordered))
    if of == 0:
        return None
    some_faults = float(stats.binom.sf(cases - 1, of, FEW_FAULTS))
    few, many = 0.0, math.nan
    if places:
        few = float(stats.binom.cdf(wrong, places, MANY_FAULTS))
        many = float(stats.binom.sf(wrong - 1, places, MANY_FAULTS))
    return Faults(
        cases=cases, of=of, share=intervals.proportion(cases, of),
        disorder=intervals.proportion(wrong, places) if places else None,
        p_some=max(some_faults, few), p_many=many)


def _ties(
    rows: pd.DataFrame, customers: ir.Table, base: Reductions
) -> tuple[dict[tuple[str, str], Tie], dict[tuple[str, str], Tie]]:
    """All pairs of columns of task 1, and the pairs that have to go together."""
    found: dict[tuple[str, str], Tie | None] = {}
    for first, second in itertools.combinations(CATEGORIES, 2):
        helped = rows[rows["choice"] >= 0] if "choice" in (first, second) else rows
        found[first, second] = ties.between_categories(
            helped.pivot_table(index=first, columns=second, values="n", aggfunc="sum",
                               fill_value=0).to_numpy())
    for category, number in itertools.product(CATEGORIES, NUMBERS):
        helped = rows[rows["choice"] >= 0] if category == "choice" else rows
        sums = helped.groupby(category)[[f"{part}_{number}" for part in "nsq"]].sum()
        n, total = sums[f"n_{number}"], sums[f"s_{number}"]
        # Less the mean, so that sums of squares keep their digits.
        mean = total.sum() / n.sum() if n.sum() else 0.0
        squares = float(sums[f"q_{number}"].sum() - n.sum() * mean**2)
        found[category, number] = ties.between_number_and_groups(n, total - n * mean, squares)
    n, r = _correlation(_whole(rows))
    found["onset", "time"] = ties.between_numbers(r, n)
    inner = {pair: tie for pair, tie in found.items() if tie and pair not in STRUCTURAL}

    paths = base.paths.pivot_table(
        index="completions", columns="converted", values="customers", aggfunc="sum", fill_value=0)
    named = {
        **found, ("hour", "agent"): _agents(customers), ("restart", "trouble"):
        found["restart", "trouble"], ("completions", "converted"):
        ties.between_categories(paths.to_numpy()),
    }
    return inner, {pair: tie for pair in EXPECTED if (tie := named.get(pair)) is not None}


def _agents(customers: ir.Table) -> Tie | None:
    """Part of the day against AGENT, among those who chose CS in task 1."""
    helped = customers.filter(customers.asked_1.notnull() & (customers.channel_1 != "OTHER"))
    helped = helped.mutate(hour=(helped.asked_1.hour() // PART_OF_DAY).cast("int64"),
                           agent=_flag(helped.channel_1 == "AGENT"))
    counts = helped.group_by("hour", "agent").aggregate(n=helped.count()).to_pandas()
    if counts.empty:
        return None
    return ties.between_categories(
        counts.pivot_table(index="hour", columns="agent", values="n", aggfunc="sum",
                           fill_value=0).to_numpy())


def _alike(rows: pd.DataFrame, first: pd.Series, second: pd.Series) -> Tie | None:
    """The tie of two flags, with a sign: positive if both come together."""
    counts = np.zeros((2, 2))
    np.add.at(counts, (first.to_numpy(dtype=int), second.to_numpy(dtype=int)), rows["n"].to_numpy())
    if ties.between_categories(counts) is None:
        return None
    (a, b), (c, d) = counts
    r = (a * d - b * c) / math.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    return ties.between_numbers(r, int(counts.sum()))


def _moments(rows: pd.DataFrame, stratum: str, first: str, second: str) -> pd.DataFrame:
    """Moments of two flags within each stratum, as `_within` takes them."""
    x, y, n = (rows[name].astype(float) for name in (first, second, "n"))
    sums = pd.DataFrame({stratum: rows[stratum], "both": n, "sx": n * x, "sy": n * y,
                         "qx": n * x * x, "qy": n * y * y, "xy": n * x * y})
    return sums.groupby(stratum).sum()


def _within(strata: pd.DataFrame) -> Tie | None:
    """The tie of two numbers within strata, each with means of its own."""
    n, r = _correlation(strata[strata["both"] > 1])
    return ties.between_numbers(r, n)


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    """All rows as one stratum."""
    return rows[list(MOMENTS)].sum().to_frame().T


def _correlation(strata: pd.DataFrame) -> tuple[int, float]:
    """Rows, less the means but one, and pooled correlation; nan without variation."""
    sums = strata[strata["both"] > 0].astype(float)
    n = sums["both"]
    xx, yy, xy = (
        float((sums[square] - sums[a] * sums[b] / n).sum())
        for square, a, b in (("qx", "sx", "sx"), ("qy", "sy", "sy"), ("xy", "sx", "sy")))
    rows = max(0, int(n.sum()) - max(0, len(sums) - 1))
    # What is left of a sum of squares without variation is rounding.
    if not (xx > 1e-9 * sums["qx"].sum() and yy > 1e-9 * sums["qy"].sum()):
        return rows, math.nan
    return rows, max(-1.0, min(1.0, xy / math.sqrt(xx * yy)))


def _frame(
    found: Mapping[tuple[str, str], Tie], names: Sequence[str] = ("first", "second")
) -> pd.DataFrame:
    rows = []
    for pair, tie in found.items():
        ends = tie.interval()
        rows.append((*pair, tie.measure, tie.n, tie.size, ends.low, ends.high, tie.p_value,
                     tie.p_absent))
    columns = [*names, "measure", "n", "size", "low", "high", "p_value", "p_absent"]
    return pd.DataFrame(rows, columns=columns).set_index(list(names))


def _named(found: Mapping[tuple[str, str], Tie]) -> pd.DataFrame:
    frame = _frame(found)
    for name in ("value", "absent"):
        frame[f"adjusted_{name}"] = holm(frame[f"p_{name}"].astype(float)) if len(frame) else []
    return frame.astype({"adjusted_value": float, "adjusted_absent": float})


def _decisions(base: Reductions) -> tuple[Trend | None, Trend | None]:
    """Conversions along the days, among all and among those who convert; see `Real`."""
    dated = base.decisions[base.decisions["day"].notna() & (base.decisions["converted"] == 1)]
    days = dated.groupby("day")["customers"].sum()
    days = days[days.index >= 0].astype(int)
    if days.empty:
        return None, None
    last = int(days.index[-1])
    if last < MOST_DAYS:  # beyond, days are taken as they come, without the empty ones
        days = days.reindex(range(last + 1), fill_value=0)
    at = days.index.to_numpy(dtype=float)
    before, done = (days.cumsum() - days).to_numpy(), days.to_numpy()
    left, undecided = sum(base.customers.values()) - before, done.sum() - before
    return (rates.trend(done.tolist(), left.tolist(), at),
            # On the last day all that are left decide, by definition.
            rates.trend(done[:-1].tolist(), undecided[:-1].tolist(), at[:-1]))


def _interplay(base: Reductions) -> Additivity | None:
    cells = base.cells.to_frame().groupby(list(INTERPLAY))[["completed", "n"]].sum().reset_index()
    if cells.empty:
        return None
    varied = [name for name in INTERPLAY if cells[name].nunique() > 1]
    if len(varied) < 2:
        return None
    return rates.additivity(cells[varied], cells["completed"], cells["n"])


def _allocation(base: Reductions) -> tuple[float, Allocation | None]:
    control, test = (base.customers[cohort] for cohort in COHORTS)
    share = round(round(test / (control + test) / ROUND_SHARE) * ROUND_SHARE, 10)
    if not 0 < share < 1:
        return share, None
    return share, closeness.allocation([control, test], [1 - share, share])


def _signs(
    *, rhythm: Cycle | None, profile: Shape | None, bursts: pd.DataFrame, gaps: Regularity | None,
    coincidences: Coincidences | None, seconds: Seconds | None, quarters: Heaping | None,
    retries: Retries | None, faults: Faults | None, people: pd.DataFrame, pairs: pd.DataFrame,
    picture: Picture | None, named: pd.DataFrame, shapes: Mapping[str, Shape],
    decisions: Trend | None, deciders: Trend | None, interplay: Additivity | None,
    allocation: Allocation | None, turns: Runs | None, constant: Homogeneity | None,
    numbering: Numbering | None,
) -> list[Sign]:
    """Everything that was looked at, as signs for either origin."""
    widths = _there(shape.w for shape in shapes.values())
    # Where all times are at second 0, the clock has no seconds, and nobody has rounded them.
    return [
        Sign("rhythm", "arrivals", rhythm.p_absent if rhythm else math.nan,
             **_size(rhythm, "resultant")),
        Sign("profile", "arrivals", *_p(profile, "p_simple", "p_other"), **_size(profile, "w")),
        Sign("bursts", "arrivals", _least(bursts["p_under"]), _least(bursts["p_over"]),
             size=float(bursts["index"].max())),
        Sign("gaps", "arrivals", *_p(gaps, "p_under", "p_over"), **_size(gaps, "index")),
        Sign("coincidences", "arrivals", *_p(coincidences, "p_under", "p_over"),
             **_size(coincidences, "ratio")),
        Sign("seconds", "log", p_recorded=seconds.p_rounded if seconds else math.nan,
             **_size(seconds.on_the_minute if seconds else None, "estimate")),
        Sign("quarters", "log", p_recorded=quarters.p_heaped if quarters else math.nan,
             **_size(quarters, "ratio")),
        Sign("retries", "log", p_recorded=retries.p_more if retries else math.nan,
             **_size(retries.share if retries else None, "estimate")),
        Sign("faults", "log", *_p(faults, "p_many", "p_some"),
             **_size(faults.share if faults else None, "estimate")),
        Sign("same_person", "people", some(people["p_absent"], 1 / 2),
             some(people["p_value"], 1 / 2), size=float(people["size"].median())),
        # A simple generator ties some of these, too; all of them it does not.
        Sign("named_ties", "ties", some(named["p_absent"], 1 / 2),
             some(named["p_value"].reindex(EXPECTED), 1.0),
             size=float(named["size"].abs().median())),
        Sign("all_pairs", "ties", *_p(picture, "p_few", "p_many"),
             **_size(picture.share if picture else None, "estimate")),
        Sign("simple_shapes", "shapes", some([shape.p_simple for shape in shapes.values()], 1 / 2),
             some([shape.p_other for shape in shapes.values()], 1 / 2),
             size=float(widths.median())),
        Sign("decisions", "rate", _least(_there(
                trend.p_flat for trend in (decisions, deciders) if trend)),
             deciders.p_falling if deciders else math.nan, **_size(deciders, "size")),
        Sign("interplay", "rate", p_recorded=interplay.p_interplay if interplay else math.nan,
             size=interplay.statistic / interplay.df if interplay else math.nan),
        Sign("allocation", "closeness", allocation.p_closer if allocation else math.nan),
        Sign("turns", "closeness", turns.p_more if turns else math.nan, **_size(turns, "ratio")),
        Sign("constant", "closeness", constant.p_closer if constant else math.nan,
             size=constant.dispersion if constant else math.nan),
        Sign("even_seconds", "closeness", seconds.fit.p_closer if seconds else math.nan,
             size=seconds.fit.w if seconds else math.nan),
        Sign("numbering", "habits", p_recorded=_ordered(numbering),
             size=numbering.r if numbering else math.nan),
    ]


def _p(found: object, simulated: str, recorded: str) -> tuple[float, float]:
    if found is None:
        return math.nan, math.nan
    return getattr(found, simulated), getattr(found, recorded)


def _size(found: object, name: str) -> dict[str, float]:
    if found is None:
        return {}
    return {"size": getattr(found, name), "low": found.low, "high": found.high}


def _there(p_values: Iterable[float]) -> pd.Series:
    return pd.Series(list(p_values), dtype=float)


def _least(p_values: pd.Series) -> float:
    """The smallest p-value, corrected for their number (Bonferroni); nan without any."""
    return min(1.0, float(p_values.min()) * len(p_values)) if len(p_values) else math.nan


def _ordered(numbering: Numbering | None) -> float:
    """p of no rise of the numbers with time; without gaps they may have been given out later."""
    if numbering is None or numbering.consecutive or not math.isfinite(numbering.p_ordered):
        return math.nan
    return numbering.p_ordered / 2 if numbering.r > 0 else 1 - numbering.p_ordered / 2
