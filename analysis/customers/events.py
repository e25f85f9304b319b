"""What every question about the app starts from: users, purchases and views with their days.

Seconds, days and months are the whole numbers of `analysis.days`.
"""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from analysis.days import day_number, month_number, seconds
from analysis.sources import Tables

NOT_STATED = "not stated"
AGE_BANDS = ((17, "13-17"), (24, "18-24"), (34, "25-34"), (44, "35-44"), (54, "45-54"))
OLDEST_BAND = "55+"
# What users are told apart by: the column of `users`.
SEGMENTS = ("country", "device", "gender", "age_band")


@dataclass(frozen=True)
class Period:
    """The days that the tables cover; the first and the last are taken to be covered wholly.

    Attributes:
        first: day number of the first registration, view, purchase or assignment.
        last: day number of the last one.
    """

    first: int
    last: int

    @property
    def days(self) -> range:
        """Every day number of the period, in order."""
        return range(self.first, self.last + 1)

    @property
    def months(self) -> range:
        """Every month number of the period, in order."""
        first, last = (np.datetime64(day, "D").astype("M8[M]").astype(int) + 1970 * 12
                       for day in (self.first, self.last))
        return range(first, last + 1)

    def has_whole(self, month: int) -> bool:
        """Whether the period covers every day of a month (by its number)."""
        start, end = (np.datetime64(m - 1970 * 12, "M").astype("M8[D]").astype(int)
                      for m in (month, month + 1))
        return self.first <= start and end - 1 <= self.last


def period(tables: Tables) -> Period:
    """The days that the tables cover, one query."""
    columns = (("users", "reg_date"), ("purchases", "date"), ("paywall_views", "date"),
               ("paywall_test", "assigned_at"))
    ends = ibis.union(*(
        tables.table(name).select(day=day_number(tables.table(name)[column])).aggregate(
            first=lambda t: t.day.min(), last=lambda t: t.day.max()
        )
        for name, column in columns
    ))
    found = ends.aggregate(first=ends["first"].min(), last=ends["last"].max()).to_pandas()
    return Period(int(found["first"][0]), int(found["last"][0]))


def people(tables: Tables) -> ir.Table:
    """One row a user: `uid`, `reg_day`, `cohort` (month number), `age` and the `SEGMENTS`."""
    users = tables.table("users")
    bands = [(users.age <= oldest, band) for oldest, band in AGE_BANDS]
    return users.select(
        "uid", "device", "gender", "country", "age",
        reg_day=day_number(users.reg_date),
        cohort=month_number(users.reg_date),
        age_band=ibis.cases((users.age.isnull(), ibis.null("string")), *bands, else_=OLDEST_BAND),
    )


def sales(tables: Tables) -> ir.Table:
    """One row a purchase: `uid`, `day`, `month`, `second` (since 1970), `sku`, `price` (cents)."""
    return _dated(tables.table("purchases"), "sku", "price")


def views(tables: Tables) -> ir.Table:
    """One row a paywall view: `uid`, `day`, `month`, `second` (since 1970), `purchase`, `sku`."""
    return _dated(tables.table("paywall_views"), "purchase", "sku")


def _dated(table: ir.Table, *columns: str) -> ir.Table:
    return table.select(
        "uid", *columns, day=day_number(table.date), month=month_number(table.date),
        second=seconds(table.date),
    )


def activity(tables: Tables) -> ir.Table:
    """Views and purchases alike, one row each: `uid`, `day`, `month`, `purchases`, `revenue`.

    A purchase at a paywall is there twice, as a view (with no purchase) and as a purchase: what
    happened is for counting who was active, and `purchases` and `revenue` (cents) add up.
    """
    seen, sold = views(tables), sales(tables)
    return ibis.union(
        seen.select("uid", "day", "month", purchases=ibis.literal(0, "int64"),
                    revenue=ibis.literal(0, "int64")),
        sold.select("uid", "day", "month", purchases=ibis.literal(1, "int64"), revenue="price"),
    )


def active_days(tables: Tables) -> ir.Table:
    """One row a user and day with a paywall view or a purchase: `uid`, `day`."""
    return activity(tables).select("uid", "day").distinct()


def attach(left: ir.Table, right: ir.Table, fill: tuple[str, ...] = ()) -> ir.Table:
    """Left join on `uid`; columns in `fill` are 0 where the right side has no row."""
    joined = left.left_join(right, "uid").drop("uid_right")
    return joined.mutate(**{name: joined[name].fill_null(0) for name in fill})


def stated(values: pd.Series) -> pd.Series:
    """A key of reduced results as text, missing ones named."""
    return values.astype(object).where(values.notna(), NOT_STATED).astype(str)
