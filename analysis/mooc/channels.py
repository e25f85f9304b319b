"""Channels, in both senses: where an order was sold, and how a user found the platform."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.mooc.reduce import collect, sales, whole

SOLD = ("units", "orders", "customers")


def by_channel(orders: ir.Table) -> pd.DataFrame:
    """What each channel sold.

    Returns:
        Index `channel`; columns `revenue` (currency), `units`, `orders`, `customers` (distinct in
        the channel) and `value_per_customer`.
    """
    frame = collect(sales(orders, ("channel",)), ("channel",))
    return frame.assign(value_per_customer=frame.revenue / frame.customers)


def by_month(orders: ir.Table) -> pd.DataFrame:
    """What each channel sold in each month.

    Returns:
        Index `month` ("2024-03") and `channel`; columns as in `by_channel`, customers distinct in
        channel and month.
    """
    months = orders.mutate(month=_.order_timestamp.truncate("M").date())
    frame = collect(sales(months, ("month", "channel")), ("month", "channel"))
    labels = [pd.Timestamp(month).strftime("%Y-%m") for month in frame.index.levels[0]]
    frame.index = frame.index.set_levels(labels, level="month")
    return frame.assign(value_per_customer=frame.revenue / frame.customers)


def by_user_group(orders: ir.Table, users: ir.Table, column: str) -> pd.DataFrame:
    """Users by a column of theirs, and what they bought.

    Args:
        orders: mooc/orders.
        users: mooc/users.
        column: For example `referral_channel` or `user_country`.

    Returns:
        Index `column`; columns `users`, `customers` (users with an order), `orders`, `units`,
        `revenue` (currency) and `value_per_user`.
    """
    people = collect(users.group_by(column).agg(users=_.count()), (column,))
    sold = collect(sales(orders.join(users.select("user_id", column), "user_id"), (column,)),
                   (column,))
    frame = whole(people.join(sold), SOLD)
    frame = frame.assign(revenue=frame.revenue.fillna(0.0))
    frame = frame[["users", "customers", "orders", "units", "revenue"]]
    return frame.assign(value_per_user=frame.revenue / frame.users)
