"""Counts and moments of the subscribers, reduced where the table is; `reduce` makes them all.

Shares come with 95% Wilson intervals, means with 95% t intervals (missing where a group has fewer
than two subscribers or no spread).
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

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
    numbers = summaries(table)
    by_category = {column: churn_by_category(table, column) for column in CATEGORIES}
    ends = group_ends(table, numbers)
    genres = by_category["genre"]
    subscribers, churned = int(genres.subscribers.sum()), int(genres.churned.sum())
    return Reductions(
        subscribers=subscribers,
        churned=churned,
        churn_rate=intervals.proportion(churned, subscribers),
        numbers=numbers,
        numbers_by_churn=summaries_by_churn(table),
        churn_by_category=by_category,
        churn_by_number={name: churn_by_number(table, name, ends[name]) for name in NUMBERS},
        readings={name: readings(by_category[name]) for name in ("promo_used", "payment_history")},
        months=churn_by_month(table),
        engagement_by_device=moments_by(table, "device", "engagement_rate"),
        queries_by_age=queries_by_age(table),
        queries_by_age_band=queries_by_age(table, BANDS["age"]),
        cross_moments=cross_moments(table, {name: s.mean for name, s in numbers.items()}),
    )


def summaries(table: ir.Table) -> dict[str, Summary]:
    """Every column of numbers over all subscribers, in one pass."""
    row = table.aggregate(**_summary_measures(table)).to_pandas().iloc[0]
    return {column: _summary(row, column) for column in NUMBERS}


def summaries_by_churn(table: ir.Table) -> dict[tuple[str, str], Summary]:
    """Every column of numbers over those who churned and over those who stayed."""
    grouped = table.group_by("churned").aggregate(**_summary_measures(table)).to_pandas()
    return {
        (column, _yes_no(row.churned)): _summary(row, column)
        for column in NUMBERS
        for _, row in grouped.sort_values("churned").iterrows()
    }


def _summary_measures(table: ir.Table) -> dict[str, ir.Scalar]:
    measures = {"n": table.count()}
    for column in NUMBERS:
        value = table[column].cast("float64")
        measures |= {
            f"{column}_mean": value.mean(), f"{column}_sd": value.std(how="sample"),
            f"{column}_median": value.quantile(0.5), f"{column}_low": value.min(),
            f"{column}_high": value.max(), f"{column}_distinct": value.nunique(),
        }
    return measures


def _summary(row: pd.Series, column: str) -> Summary:
    parts = {part: float(row[f"{column}_{part}"]) for part in ("mean", "median", "low", "high")}
    n = int(row["n"])
    sd = float(row[f"{column}_sd"]) if n > 1 else np.nan
    return Summary(n=n, sd=sd, distinct=int(row[f"{column}_distinct"]), **parts)


def _yes_no(flag: int) -> str:
    return "Yes" if flag else "No"


def churn_counts(table: ir.Table, **group: ir.Value) -> ir.Table:
    """Subscribers and churned ones by any expression over the table."""
    return table.group_by(**group).aggregate(
        subscribers=table.count(), churned=table.churned.sum()
    )


def churn_by_category(table: ir.Table, column: str) -> pd.DataFrame:
    """Churn by the values of a column of categories.

    Returns:
        One row a value, in alphabetical order: `value` (offers used are Yes or No),
        `subscribers`, `churned`, `rate` with its interval `low` to `high`.
    """
    value = table[column]
    if value.type().is_integer():
        value = (value == 1).ifelse("Yes", "No")
    return _with_rates(churn_counts(table, value=value).to_pandas().sort_values("value"))


def group_ends(
    table: ir.Table, numbers: Mapping[str, Summary]
) -> dict[str, tuple[float, ...] | None]:
    """Where each column of numbers is cut into groups, as their upper ends; None: every value.

    Columns of few values are taken value by value, others by their customary bands, the rest by
    fifths of the subscribers.
    """
    ends = {
        column: None if numbers[column].distinct <= FEW_VALUES else BANDS.get(column, ())
        for column in NUMBERS
    }
    cut = [column for column in NUMBERS if ends[column] == ()]
    if cut:
        measures = {
            f"{column}_{i}": table[column].cast("float64").quantile(quantile)
            for column in cut
            for i, quantile in enumerate(QUANTILES)
        }
        row = table.aggregate(**measures).to_pandas().iloc[0]
        for column in cut:
            # Backends differ in the last bits of an interpolated quantile; a value may sit there.
            found = (float(f"{row[f'{column}_{i}']:.9g}") for i in range(len(QUANTILES)))
            ends[column] = tuple(sorted(set(found)))
    return ends


def churn_by_number(
    table: ir.Table, column: str, ends: tuple[float, ...] | None = None
) -> pd.DataFrame:
    """Churn by groups of a column of numbers.

    Args:
        table: The subscribers.
        column: The column.
        ends: Upper ends of the groups, ascending, each belonging to the group below it; None makes
            a group of every value.

    Returns:
        One row a group that has subscribers, ascending: `from_value` and `to_value` (the least and
        largest value in it), `subscribers`, `churned`, `rate`, `low`, `high`.
    """
    value = table[column].cast("float64")
    grouped = table.group_by(group=_group(value, ends)).aggregate(
        from_value=value.min(), to_value=value.max(),
        subscribers=table.count(), churned=table.churned.sum(),
    )
    return _with_rates(grouped.to_pandas().sort_values("group").drop(columns="group"))


def _group(value: ir.NumericValue, ends: tuple[float, ...] | None) -> ir.NumericValue:
    """The number of the group (how many ends the value is above), or the value itself."""
    if ends is None:
        return value
    above = [(value > end).ifelse(1, 0) for end in ends]
    return functools.reduce(operator.add, above, ibis.literal(0))


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


def churn_by_month(table: ir.Table) -> pd.DataFrame:
    """Churn by month of subscription, read in two ways; see `with_hazards`."""
    counts = churn_counts(table, month=table.subscription_months).to_pandas().sort_values("month")
    return with_hazards(counts)


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


def moments_by(table: ir.Table, column: str, of: str) -> pd.DataFrame:
    """Moments of a column of numbers by the values of another column.

    Returns:
        One row a value, in order: `value`, `n`, `mean`, `sd` (divisor n - 1; nan for one
        subscriber), and the mean's interval `low` to `high`.
    """
    value = table[of].cast("float64")
    grouped = table.group_by(value=table[column]).aggregate(
        n=table.count(), mean=value.mean(), sd=value.std(how="sample")
    )
    return _with_mean_intervals(grouped.to_pandas().sort_values("value"))


def queries_by_age(table: ir.Table, ends: tuple[int, ...] | None = None) -> pd.DataFrame:
    """Support queries by age, year by year, or in bands with these upper ends.

    Returns:
        One row an age or band, ascending: `from_age`, `to_age` (the youngest and oldest in it),
        `n` subscribers, `queries` in all, their `mean` a subscriber and `sd`, and the mean's
        interval `low` to `high`.
    """
    queries = table.support_queries
    grouped = table.group_by(group=_group(table.age, ends)).aggregate(
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
    d = {column: table[column].cast("float64") - centre[column] for column in columns}
    pairs = list(itertools.combinations_with_replacement(columns, 2))
    measures = {f"sum{i}": d[column].sum() for i, column in enumerate(columns)}
    measures |= {f"product{i}": (d[x] * d[y]).sum() for i, (x, y) in enumerate(pairs)}
    row = table.aggregate(n=table.count(), **measures).to_pandas().iloc[0]

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
            float(np.clip(sp[x, y] / spread, -1, 1)) if spread else np.nan,
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
        return np.nan, np.nan, np.nan
    interval = intervals.proportion(int(n), int(total))
    return interval.estimate, interval.low, interval.high


def _with_mean_intervals(moments: pd.DataFrame) -> pd.DataFrame:
    """`n`, `mean` and `sd` with the mean's interval, `low` to `high`."""
    limits = []
    for n, mean, sd in zip(moments.n, moments["mean"], moments.sd, strict=True):
        found = intervals.mean_t(Moments.published(n, mean, sd)) if n > 1 and sd > 0 else None
        limits.append((found.low, found.high) if found else (np.nan, np.nan))
    low, high = zip(*limits, strict=True)
    return moments.assign(low=low, high=high).reset_index(drop=True)
