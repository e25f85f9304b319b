"""Recency, frequency and monetary value of customers, scored 1 to 5 where the tables are.

A score says how many of the four quintiles (the 20th, 40th, 60th and 80th percentile of all users
in the reduction, interpolated linearly as NumPy does) a value exceeds, plus one. So equal values
have equal scores, and where many share a value some scores are empty: if 60% of the customers
bought once, buying once scores 1 and nobody scores 2 or 3. For recency fewer days are better, so
it counts the quintiles that the value is below.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.days import day_number, day_of
from analysis.mooc.reduce import collect

VALUES = ("recency", "frequency", "monetary")
SCORES = ("r", "f", "m")
QUINTILES = (0.2, 0.4, 0.6, 0.8)
# Float sums and interpolations differ between backends in the last digits; a value that is less
# than this above a quintile (days, courses or orders, currency) is equal to it.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Rfm:
    """Recency, frequency, monetary value.

    Attributes:
        as_of: The day at whose end it is looked at, ISO.
        users: Users scored.
        quintiles: Index `value` (recency in days, frequency, monetary in currency); columns `q20`,
            `q40`, `q60`, `q80`.
        cells: Index `r`, `f`, `m` (scores 1 to 5, 5 is best; at most 125 rows); columns `users`,
            `recency` (mean days), `frequency` and `monetary` (totals).
    """

    as_of: str
    users: int
    quintiles: pd.DataFrame
    cells: pd.DataFrame


def from_users(users: ir.Table, as_of: dt.date) -> ir.Table:
    """The values as the source defines them, on the users table alone.

    Returns:
        `user_id`; `recency`: days from `enrollment_date` to `as_of`; `frequency`:
        `total_courses_enrolled`; `monetary`: `total_revenue`. Users enrolled later are left out.
    """
    recency = day_of(as_of) - _.enrollment_date.epoch_days().cast("int64")
    return users.select(
        "user_id", recency=recency, frequency=_.total_courses_enrolled, monetary=_.total_revenue
    ).filter(_.recency >= 0)


def from_orders(orders: ir.Table, as_of: dt.date) -> ir.Table:
    """The values from orders up to and with the day `as_of`, of users who have any.

    Returns:
        `user_id`; `recency`: days from the last order to `as_of`; `frequency`: orders (baskets);
        `monetary`: amount of all.
    """
    items = orders.mutate(day=day_number(_.order_timestamp)).filter(_.day <= day_of(as_of))
    baskets = items.group_by("user_id", "order_id").agg(day=_.day.max(), amount=_.amount.sum())
    return baskets.group_by("user_id").agg(
        recency=day_of(as_of) - _.day.max(),
        frequency=_.count(),
        monetary=_.amount.sum(),
    )


def quintiles(values: ir.Table) -> pd.DataFrame:
    """The quintiles of recency, frequency and monetary value; see `Rfm`."""
    rows = {}
    for value in VALUES:  # one after another: a quantile keeps a column in memory
        column = values[value].cast("float64")
        cuts = {f"q{round(100 * q)}": column.quantile(q) for q in QUINTILES}
        rows[value] = values.agg(**cuts).to_pandas().iloc[0]
    return pd.DataFrame(rows).T.rename_axis("value").astype("float64")


def scored(values: ir.Table, cuts: pd.DataFrame) -> ir.Table:
    """`values` with the scores `r`, `f`, `m`, from 1 to 5, 5 is best."""
    scores = {}
    for score, value in zip(SCORES, VALUES, strict=True):
        points = ibis.literal(1, "int64")
        for cut in cuts.loc[value]:
            column = values[value]
            above = column < cut - TOLERANCE if score == "r" else column > cut + TOLERANCE
            points = points + above.cast("int64")
        scores[score] = points
    return values.mutate(**scores)


def rfm(values: ir.Table, as_of: dt.date) -> Rfm:
    """Scores users and counts them by score.

    Args:
        values: From `from_users` or `from_orders`.
        as_of: The date given there.

    Raises:
        ValueError: No user.
    """
    users = int(values.count().to_pandas())
    if users == 0:
        raise ValueError(f"no user to score by recency, frequency and monetary value at {as_of}")
    cuts = quintiles(values)
    cells = scored(values, cuts).group_by(*SCORES).agg(
        users=_.count(),
        recency=_.recency.mean(),
        frequency=_.frequency.sum(),
        monetary=_.monetary.sum(),
    )
    return Rfm(as_of.isoformat(), users, cuts, collect(cells, SCORES))
