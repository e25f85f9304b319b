"""Seconds, days and months as whole numbers, so that differences are the same sum everywhere.

Seconds and days count from 1970-01-01, months from January of year 0. `iso_day` and `iso_month`
turn the numbers of a reduced result into text.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

import ibis.expr.types as ir
import numpy as np

SECONDS_A_DAY = 86_400


def seconds(moment: ir.TimestampValue) -> ir.IntegerValue:
    """Whole seconds since 1970 of a timestamp; the fraction is cut."""
    return moment.epoch_seconds().floor().cast("int64")


def day_number(moment: ir.DateValue | ir.TimestampValue) -> ir.IntegerValue:
    """Days since 1970 of a date, or of a timestamp's calendar day."""
    return moment.cast("date").epoch_days().cast("int64")


def month_number(moment: ir.DateValue | ir.TimestampValue) -> ir.IntegerValue:
    """Months since January of year 0."""
    return moment.year().cast("int64") * 12 + moment.month().cast("int64") - 1


def day_of(date: dt.date) -> int:
    """Days since 1970 of a date; see `day_number`."""
    return (date - dt.date(1970, 1, 1)).days


def iso_day(days: Iterable[int]) -> list[str]:
    """Day numbers as text: 2024-02-29."""
    return np.asarray(days, dtype="int64").astype("M8[D]").astype(str).tolist()


def iso_month(months: Iterable[int]) -> list[str]:
    """Month numbers as text: 2024-02."""
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in months]
