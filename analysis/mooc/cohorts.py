"""Cohorts: who signed up in a month, and what they did in the months after."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.days import iso_month, month_number
from analysis.mooc.channels import SOLD
from analysis.mooc.reduce import collect, sales, whole


def by_month(events: ir.Table, orders: ir.Table) -> pd.DataFrame:
    """Activity and sales by cohort and month.

    A user's cohort is the month of the first event, which is the sign-up where the log is clean.
    Orders before that month and orders of users without any event are left out.

    Returns:
        Index `cohort` ("2024-03") and `months` (0: the month of the cohort itself); columns `size`
        (users in the cohort), `active_users` (with an event), `revenue` (currency), `units`,
        `orders`, `customers`. A month in which nobody did anything is not there.
    """
    active = events.select("user_id", month=month_number(events.event_timestamp)).distinct()
    cohort = active.group_by("user_id").agg(cohort=_.month.min())
    keys = ("cohort", "months")
    seen = active.join(cohort, "user_id").mutate(months=_.month - _.cohort)
    counts = collect(seen.group_by(*keys).agg(active_users=_.count()), keys)
    sold = orders.mutate(month=month_number(orders.order_timestamp)).join(cohort, "user_id")
    sold = sold.mutate(months=_.month - _.cohort).filter(_.months >= 0)
    frame = counts.join(collect(sales(sold, keys), keys), how="outer").sort_index()
    frame = whole(frame, ("active_users", *SOLD)).reset_index()
    size = counts.active_users.xs(0, level="months")
    frame.insert(2, "size", frame.cohort.map(size))
    frame = frame.assign(cohort=iso_month(frame.cohort), revenue=frame.revenue.fillna(0.0))
    return frame.set_index(list(keys))
