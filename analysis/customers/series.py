"""What happened each day and month: registrations, active users, views, purchases, revenue."""

from __future__ import annotations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from analysis.customers import events
from analysis.customers.events import Period
from analysis.customers.kpis import with_rates
from analysis.days import day_number, iso_day, iso_month, seconds
from analysis.sources import Tables

WINDOWS = {"wau": 7, "mau": 28}  # trailing days, the day itself included


def daily(tables: Tables, period: Period) -> pd.DataFrame:
    """One row a day of the period, days on which nothing happened included.

    Columns:
        day: ISO date.
        registrations: users who registered.
        views: paywall views.
        views_test_group: those by users whom the paywall test had put into group "test".
        paid_views: views that ended in a purchase.
        purchasers: unique users who bought.
        purchases, revenue: purchases anywhere; revenue in cents.
        dau, wau, mau: unique users active on the day, in the 7 and in the 28 days up to it; active
            is who saw a paywall or bought. Missing until the period holds a whole window.
        stickiness: dau / mau.
    """
    seen, sold = events.views(tables), events.sales(tables)
    parts = [
        events.people(tables).group_by(day="reg_day").aggregate(registrations=lambda t: t.count()),
        seen.group_by("day").aggregate(views=seen.count(), paid_views=seen.purchase.sum()),
        _by_test_group(tables, seen).group_by("day").aggregate(
            views_test_group=lambda t: t.count()),
        sold.group_by("day").aggregate(
            purchasers=sold.uid.nunique(), purchases=sold.count(), revenue=sold.price.sum()),
    ]
    frames = [part.order_by("day").to_pandas().set_index("day") for part in parts]
    frame = pd.concat([f.reindex(period.days) for f in frames], axis=1).fillna(0).astype("int64")
    frame = frame[["registrations", "views", "views_test_group", "paid_views", "purchasers",
                   "purchases", "revenue"]].join(active_users(tables, period))
    frame["stickiness"] = frame["dau"] / frame["mau"].where(frame["mau"] > 0)
    frame.insert(0, "day", iso_day(frame.index))
    return frame.reset_index(drop=True)


def _by_test_group(tables: Tables, seen: ir.Table) -> ir.Table:
    """Views after assignment to group "test"."""
    test = tables.table("paywall_test")
    test = test.filter(test.group == "test").select(
        "uid", assigned=seconds(test.assigned_at))
    return seen.join(test, "uid").filter(lambda t: t.second >= t.assigned)


def active_users(tables: Tables, period: Period) -> pd.DataFrame:
    """Unique users active on each day and in the windows that end with it; indexed by day number.

    A user active on day d is in every window of w days that ends from d to d + w - 1, unless the
    user's next active day takes over before. So each user and day adds 1 on d and takes it away on
    min(next active day, d + w), and a running sum of these changes is the number of unique users:
    one pass over the user-days instead of w copies of each.
    """
    active = events.active_days(tables)
    active = active.mutate(
        following=active.day.lead().over(group_by="uid", order_by="day"))
    starts = _daily_counts(active, "day", period)
    frame = pd.DataFrame({"dau": starts})
    for name, days in WINDOWS.items():
        gone = active.mutate(gone=ibis.least(
            active.following.fill_null(active.day + days), active.day + days))
        frame[name] = (starts - _daily_counts(gone, "gone", period)).cumsum().astype(float)
        frame.iloc[: days - 1, frame.columns.get_loc(name)] = np.nan
    return frame


def _daily_counts(table: ir.Table, column: str, period: Period) -> pd.Series:
    counts = table.group_by(day=table[column]).aggregate(rows=lambda t: t.count())
    counts = counts.order_by("day").to_pandas()
    return counts.set_index("day")["rows"].reindex(period.days, fill_value=0)


def monthly(tables: Tables, period: Period) -> pd.DataFrame:
    """One row a calendar month: the KPIs of the users who were active in it.

    Columns:
        month: ISO month.
        complete: whether the period covers the whole month.
        registrations: users who registered.
        users: unique users who saw a paywall or bought, the denominator of what follows.
        payers: of them, unique users who bought.
        purchases, revenue: purchases anywhere; revenue in cents.
        revenue_variance: sample variance of the revenue of an active user, cents squared.
        payer_variance: sample variance of the revenue of a payer, cents squared.
        conversion, arpu, arppu: see `kpis.with_rates`.
    """
    people = events.people(tables)
    of_user = events.activity(tables).group_by(["uid", "month"]).aggregate(
        purchases=lambda t: t.purchases.sum(), revenue=lambda t: t.revenue.sum())
    bought = of_user.purchases > 0
    months = of_user.group_by("month").aggregate(
        users=of_user.count(),
        payers=bought.sum(),
        purchases=of_user.purchases.sum(),
        revenue=of_user.revenue.sum(),
        revenue_variance=of_user.revenue.var(how="sample"),
        payer_variance=of_user.revenue.var(how="sample", where=bought),
    )
    registered = people.group_by(month="cohort").aggregate(registrations=lambda t: t.count())
    frame = pd.concat([
        part.order_by("month").to_pandas().set_index("month").reindex(period.months)
        for part in (registered, months)
    ], axis=1)
    counts = ["registrations", "users", "payers", "purchases", "revenue"]
    frame[counts] = frame[counts].fillna(0).astype("int64")
    frame.insert(0, "complete", [period.has_whole(month) for month in frame.index])
    frame.insert(0, "month", iso_month(frame.index))
    return with_rates(frame.reset_index(drop=True))


def releases(tables: Tables) -> pd.DataFrame:
    """The releases in order: `day`, the first day with the release (ISO date), and its `name`.

    No rows where the tables have no list of releases.
    """
    if "releases" not in tables.tables:
        return pd.DataFrame({"day": [], "name": []}, dtype=object)
    table = tables.table("releases")
    frame = table.select(day=day_number(table.date), name=table["name"]).to_pandas()
    frame = frame.sort_values(["day", "name"])
    names = frame["name"].astype(object).tolist()
    return pd.DataFrame({"day": iso_day(frame["day"]), "name": names}, dtype=object)
