"""Counts and moments of the subscribers, reduced where the table is; `reduce` makes them all.

Columns of one kind are counted by one query, since each costs a warehouse about the same, however
little it asks; what is of a single column of numbers follows from how often each value occurs.

Shares come with 95% Wilson intervals, means with 95% t intervals (missing where a group has fewer
than two subscribers or no spread).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.stats import intervals
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments

CATEGORIES = ("genre", "region", "device", "plan", "payment_history", "promo_used")
NUMBERS = (
    "subscription_months", "age", "monthly_income", "profiles", "daily_watch_hours",
    "satisfaction_score", "engagement_rate", "support_queries",
)
# A number with so many different values or fewer is grouped value by value.
FEW_VALUES = 12
# Upper ends of the groups of numbers that have customary ones; the last group is open.
BANDS = {"age": (24, 34, 44, 54, 64), "subscription_months": (12, 24, 36, 48, 60)}
# All other numbers are cut here, into fifths.
QUANTILES = (0.2, 0.4, 0.6, 0.8)


@dataclass(frozen=True, eq=False)
class Values:
    """How often each value of a column of numbers occurs.

    Attributes:
        value: The values that occur, as floats, ascending, shape (k,).
        subscribers: Subscribers with each, shape (k,).
        churned: Those of them who have churned, shape (k,).
    """

    value: NDArray[np.float64]
    subscribers: NDArray[np.int64]
    churned: NDArray[np.int64]

    def of(self, status: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """The values of those who churned ("Yes") or stayed ("No"), and how often each occurs."""
        times = self.churned if status == "Yes" else self.subscribers - self.churned
        return self.value[times > 0], times[times > 0]


@dataclass(frozen=True)
class Summary:
    """A column of numbers, over all subscribers or over a part of them.

    Attributes:
        n: Subscribers.
        mean, sd, median: Of the values, in their unit; the sd (divisor n - 1) of one subscriber
            is nan.
        low, high: Least and largest value.
        distinct: How many different values there are.
    """

    n: int
    mean: float
    sd: float
    median: float
    low: float
    high: float
    distinct: int


@dataclass(frozen=True)
class CrossMoments:
    """Two columns of numbers together: all that covariance, correlation and a regression need.

    Attributes:
        n: Subscribers.
        mean_x, mean_y: Means.
        ss_x, ss_y: Sums of squared deviations from the means.
        sp: Sum of the products of both deviations.
        r: Pearson's correlation; nan where a column has no spread.
    """

    n: int
    mean_x: float
    mean_y: float
    ss_x: float
    ss_y: float
    sp: float
    r: float


@dataclass(frozen=True)
class Reductions:
    """What tests of subscribers rest on.

    Attributes:
        subscribers: Subscribers in the table.
        churned: Those of them who have churned.
        churn_rate: Their share, with its interval.
        values: How often each value of each column of numbers occurs.
        numbers: Each column of numbers over all subscribers.
        numbers_by_churn: The same over those who churned ("Yes") and those who stayed ("No");
            the key is the column and the status. A status that nobody has is not there.
        churn_by_category: Churn by each value of a column of categories; see `churn_by_category`.
        churn_by_number: Churn by groups of each column of numbers; see `churn_by_number`.
        readings: The table of churn against offers and against payment, read both ways; see
            `readings`.
        months: Churn by month of subscription; see `churn_by_month`.
        engagement_by_device: Engagement by device; see `moments_by`.
        queries_by_age: Support queries by year of age; see `queries_by_age`.
        queries_by_age_band: Support queries by band of ages.
        cross_moments: Every pair of numbers, offers used and churn among them as 0 and 1.
    """

    subscribers: int
    churned: int
    churn_rate: Interval
    values: Mapping[str, Values]
    numbers: Mapping[str, Summary]
    numbers_by_churn: Mapping[tuple[str, str], Summary]
    churn_by_category: Mapping[str, pd.DataFrame]
    churn_by_number: Mapping[str, pd.DataFrame]
    readings: Mapping[str, pd.DataFrame]
    months: pd.DataFrame
    engagement_by_device: pd.DataFrame
    queries_by_age: pd.DataFrame
    queries_by_age_band: pd.DataFrame
    cross_moments: Mapping[tuple[str, str], CrossMoments]


def reduce(table: ir.Table) -> Reductions:
    """Reduces netflix/subscribers."""
    values = number_values(table)
    numbers = {name: summary(v.value, v.subscribers) for name, v in values.items()}
    by_category = churn_by_categories(table, CATEGORIES)
    genres = by_category["genre"]
    subscribers, churned = int(genres.subscribers.sum()), int(genres.churned.sum())
    there = [status for status, n in (("No", subscribers - churned), ("Yes", churned)) if n]
    return Reductions(
        subscribers=subscribers,
        churned=churned,
        churn_rate=intervals.proportion(churned, subscribers),
        values=values,
        numbers=numbers,
        numbers_by_churn={
            (name, status): summary(*v.of(status)) for name, v in values.items() for status in there
        },
        churn_by_category=by_category,
        churn_by_number={
            name: churn_by_number(v, group_ends(name, v)) for name, v in values.items()
        },
        readings={name: readings(by_category[name]) for name in ("promo_used", "payment_history")},
        months=churn_by_month(values["subscription_months"]),
        engagement_by_device=moments_by(table, "device", "engagement_rate"),
        queries_by_age=queries_by_age(table),
        queries_by_age_band=queries_by_age(table, BANDS["age"]),
        cross_moments=cross_moments(table, {name: s.mean for name, s in numbers.items()}),
    )


def stacked(table: ir.Table, columns: Mapping[str, ir.Value], **kept: ir.Value) -> ir.Table:
    """Columns of one type below each other, so that one query counts them all.

    Returns:
        One row a row of the table and column: `column`, its name, `value` and what is kept.
    """
    wide = table.select(**columns, **kept)
    return wide.pivot_longer(list(columns), names_to="column", values_to="value")


def _by_column(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """What was grouped by `column` and `value`, by column, in the order of the values."""
    parts = dict(iter(frame.sort_values("value").groupby("column")))
    return {name: parts[name].drop(columns="column").reset_index(drop=True) for name in columns}


def number_values(table: ir.Table) -> dict[str, Values]:
    """How often each value of each column of numbers occurs, by name."""
    rows = stacked(table, {name: table[name].cast("float64") for name in NUMBERS},
                   churned=table.churned)
    counts = churn_counts(rows, column=rows.column, value=rows.value).to_pandas()
    return {
        name: Values(*(part[key].to_numpy() for key in ("value", "subscribers", "churned")))
        for name, part in _by_column(counts, NUMBERS).items()
    }


def summary(value: NDArray[np.float64], times: NDArray[np.int64]) -> Summary:
    """Mean, spread and ends of values, ascending, that occur so many times."""
    n, mean, sd = int(times.sum()), float(value[0]), 0.0
    if value.size > 1:
        mean = float(times @ value / n)
        mean += float(times @ (value - mean) / n)  # what rounding left
        sd = math.sqrt(times @ (value - mean) ** 2 / (n - 1))
    return Summary(
        n=n, mean=mean, sd=sd if n > 1 else math.nan, median=quantile(value, times, 0.5),
        low=float(value[0]), high=float(value[-1]), distinct=value.size,
    )


def quantile(value: NDArray[np.float64], times: NDArray[np.int64], level: float) -> float:
    """The quantile, interpolated between the two values next to it."""
    place = (int(times.sum()) - 1) * level
    around = (math.floor(place), math.ceil(place))
    low, high = value[np.searchsorted(np.cumsum(times), around, "right")]
    return float(low + (high - low) * (place - around[0]))


def churn_counts(table: ir.Table, **group: ir.Value) -> ir.Table:
    """Subscribers and churned ones by any expression over the table."""
    return table.group_by(**group).aggregate(
        subscribers=table.count(), churned=table.churned.sum()
    )


def churn_by_categories(table: ir.Table, columns: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Churn by the values of each of some columns of categories.

    Returns:
        By column one row a value, in alphabetical order: `value` (offers used are Yes or No),
        `subscribers`, `churned`, `rate` with its interval `low` to `high`.
    """
    rows = stacked(table, {name: labels(table, name) for name in columns}, churned=table.churned)
    counts = churn_counts(rows, column=rows.column, value=rows.value).to_pandas()
    return {name: _with_rates(part) for name, part in _by_column(counts, columns).items()}


def labels(table: ir.Table, column: str) -> ir.StringValue:
    """A column of categories as text: offers used are Yes or No."""
    value = table[column]
    return (value == 1).ifelse("Yes", "No") if value.type().is_integer() else value


def group_ends(column: str, values: Values) -> tuple[float, ...] | None:
    """Where a column of numbers is cut into groups, as their upper ends; None: every value.

    Columns of few values are taken value by value, others by their customary bands, the rest by
    fifths of the subscribers.
    """
    if values.value.size <= FEW_VALUES:
        return None
    if column in BANDS:
        return BANDS[column]
    found = (quantile(values.value, values.subscribers, level) for level in QUANTILES)
    # The last bits of an interpolated quantile are rounding; a value may sit there.
    return tuple(sorted({float(f"{end:.9g}") for end in found}))


def churn_by_number(values: Values, ends: tuple[float, ...] | None = None) -> pd.DataFrame:
    """Churn by groups of a column of numbers.

    Args:
        values: How often each of its values occurs.
        ends: Upper ends of the groups, ascending, each belonging to the group below it; None makes
            a group of every value.

    Returns:
        One row a group that has subscribers, ascending: `from_value` and `to_value` (the least and
        largest value in it), `subscribers`, `churned`, `rate`, `low`, `high`.
    """
    group = values.value if ends is None else np.searchsorted(ends, values.value)
    first = np.flatnonzero(np.diff(group, prepend=-np.inf))
    return _with_rates(pd.DataFrame({
        "from_value": values.value[first],
        "to_value": values.value[np.append(first[1:], group.size) - 1],
        "subscribers": np.add.reduceat(values.subscribers, first),
        "churned": np.add.reduceat(values.churned, first),
    }))


def readings(counts: pd.DataFrame) -> pd.DataFrame:
    """Both readings of a table of churn: the churn rate of a value is not its share of the churned.

    Args:
        counts: `value`, `subscribers` and `churned`, as from `churn_by_category`.

    Returns:
        One row a value and churn status ("Yes", "No"): `subscribers`; `of_value`, their share of
        the subscribers with that value, P(status | value), and `of_status`, their share of those
        with that status, P(value | status), each with `_low` and `_high`; missing where nobody has
        the status.
    """
    rows = []
    for status in ("Yes", "No"):
        cells = counts.churned if status == "Yes" else counts.subscribers - counts.churned
        for value, n, all_of_value in zip(counts.value, cells, counts.subscribers, strict=True):
            row = {"value": value, "churned": status, "subscribers": int(n)}
            for name, total in (("of_value", all_of_value), ("of_status", cells.sum())):
                share, low, high = _share(n, total)
                row |= {name: share, f"{name}_low": low, f"{name}_high": high}
            rows.append(row)
    return pd.DataFrame(rows).sort_values(
        ["value", "churned"], ascending=[True, False], ignore_index=True
    )


def churn_by_month(months: Values) -> pd.DataFrame:
    """Churn by month of subscription, read in two ways; see `with_hazards`."""
    return with_hazards(pd.DataFrame({
        "month": months.value.astype("int64"), "subscribers": months.subscribers,
        "churned": months.churned,
    }))


def with_hazards(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts by month of subscription with rates and hazards.

    Args:
        counts: One row a month that occurs, ascending: `month`, `subscribers` whose subscription
            has lasted that long so far (or had, when they churned), `churned` among them.

    Returns:
        The same with `rate`, `low` and `high`. And, if lengths of those who stay are read as
        censored lifetimes, `at_risk`: subscribers whose subscription lasted that month or longer,
        and the `hazard`, the share of them that churned in it, with `hazard_low` and
        `hazard_high`.
    """
    frame = _with_rates(counts)
    frame["at_risk"] = frame.subscribers[::-1].cumsum()
    hazards = _shares(frame.churned, frame.at_risk)
    frame["hazard"], frame["hazard_low"], frame["hazard_high"] = hazards
    return frame


def moments_by_each(table: ir.Table, columns: Sequence[str], of: str) -> dict[str, pd.DataFrame]:
    """Moments of a column of numbers by the values of each of some columns of categories.

    Returns:
        By column one row a value, in order: `value`, `n`, `mean`, `sd` (divisor n - 1; nan for one
        subscriber), and the mean's interval `low` to `high`.
    """
    rows = stacked(table, {name: table[name] for name in columns}, of=table[of].cast("float64"))
    grouped = rows.group_by("column", "value").aggregate(
        n=rows.count(), mean=rows.of.mean(), sd=rows.of.std(how="sample"))
    parts = _by_column(grouped.to_pandas(), columns)
    return {name: _with_mean_intervals(part) for name, part in parts.items()}


def moments_by(table: ir.Table, column: str, of: str) -> pd.DataFrame:
    """The same of one column."""
    return moments_by_each(table, [column], of)[column]


def queries_by_age(table: ir.Table, ends: tuple[int, ...] | None = None) -> pd.DataFrame:
    """Support queries by age, year by year, or in bands with these upper ends.

    Returns:
        One row an age or band, ascending: `from_age`, `to_age` (the youngest and oldest in it),
        `n` subscribers, `queries` in all, their `mean` a subscriber and `sd`, and the mean's
        interval `low` to `high`.
    """
    queries = table.support_queries
    group = table.age
    if ends is not None:
        group = sum(((table.age > end).ifelse(1, 0) for end in ends), ibis.literal(0))
    grouped = table.group_by(group=group).aggregate(
        from_age=table.age.min(), to_age=table.age.max(), n=table.count(), queries=queries.sum(),
        mean=queries.cast("float64").mean(), sd=queries.cast("float64").std(how="sample"),
    )
    return _with_mean_intervals(grouped.to_pandas().sort_values("group").drop(columns="group"))


def cross_moments(
    table: ir.Table, means: Mapping[str, float]
) -> dict[tuple[str, str], CrossMoments]:
    """Every pair of numbers, with `promo_used` and `churned` as 0 and 1, in one pass.

    Values are centred before they are multiplied, and the rounding of the centre is corrected
    (Chan, Golub & LeVeque 1983), so large values with little spread lose no digits.

    Args:
        table: The subscribers.
        means: The means of `NUMBERS`, or values near them; they only decide about rounding.
    """
    columns = (*NUMBERS, "promo_used", "churned")
    centre = {column: float(means.get(column, 0.5)) for column in columns}
    d = table.select(**{c: table[c].cast("float64") - centre[c] for c in columns})
    pairs = list(itertools.combinations_with_replacement(columns, 2))
    measures = {f"sum{i}": d[column].sum() for i, column in enumerate(columns)}
    measures |= {f"product{i}": (d[x] * d[y]).sum() for i, (x, y) in enumerate(pairs)}
    row = d.aggregate(n=d.count(), **measures).to_pandas().iloc[0]

    n = int(row["n"])
    offset = {column: float(row[f"sum{i}"]) / n for i, column in enumerate(columns)}
    sp = {
        (x, y): float(row[f"product{i}"]) - n * offset[x] * offset[y]
        for i, (x, y) in enumerate(pairs)
    }

    def moments(x: str, y: str) -> CrossMoments:
        ss_x, ss_y = max(sp[x, x], 0.0), max(sp[y, y], 0.0)
        spread = np.sqrt(ss_x) * np.sqrt(ss_y)
        return CrossMoments(
            n, centre[x] + offset[x], centre[y] + offset[y], ss_x, ss_y, sp[x, y],
            float(np.clip(sp[x, y] / spread, -1, 1)) if spread else math.nan,
        )

    return {(x, y): moments(x, y) for x, y in pairs if x != y}


def _with_rates(counts: pd.DataFrame) -> pd.DataFrame:
    """Counts of `subscribers` and `churned` with `rate`, `low` and `high`."""
    rate, low, high = _shares(counts.churned, counts.subscribers)
    return counts.assign(rate=rate, low=low, high=high).reset_index(drop=True)


def _shares(counts: pd.Series, totals: pd.Series) -> np.ndarray:
    """Shares and the limits of their intervals, three rows."""
    shares = [_share(n, total) for n, total in zip(counts, totals, strict=True)]
    return np.array(shares, dtype=float).reshape(-1, 3).T


def _share(n: int, total: int) -> tuple[float, float, float]:
    if not total:
        return math.nan, math.nan, math.nan
    interval = intervals.proportion(int(n), int(total))
    return interval.estimate, interval.low, interval.high


def _with_mean_intervals(moments: pd.DataFrame) -> pd.DataFrame:
    """`n`, `mean` and `sd` with the mean's interval, `low` to `high`."""
    limits = []
    for n, mean, sd in zip(moments.n, moments["mean"], moments.sd, strict=True):
        found = intervals.mean_t(Moments.published(n, mean, sd)) if n > 1 and sd > 0 else None
        limits.append((found.low, found.high) if found else (math.nan, math.nan))
    low, high = zip(*limits, strict=True)
    return moments.assign(low=low, high=high).reset_index(drop=True)
