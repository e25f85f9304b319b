"""Cohorts: users by month of registration, followed from month to month."""

from __future__ import annotations

import pandas as pd

from analysis.customers import events
from analysis.customers.events import Period
from analysis.days import iso_month
from analysis.sources import Tables


def cohorts(tables: Tables, period: Period) -> pd.DataFrame:
    """What each month's newcomers did in every calendar month since: one row a cohort and month.

    Columns:
        cohort: month of registration, ISO.
        months_since: calendar months since; 0 is the month of registration, in which users were
            there from their day of registration only.
        complete: whether the period covers that calendar month wholly.
        users: size of the cohort, the denominator.
        active: of them, who saw a paywall or bought in that month.
        payers: of them, who bought.
        purchases, revenue: theirs in that month; revenue in cents.
        retention: active / users.
        revenue_per_user: cumulative revenue of the cohort up to that month / users, cents.
    """
    people = events.people(tables)
    sizes = people.group_by("cohort").aggregate(users=people.count()).order_by("cohort").to_pandas()
    monthly = events.activity(tables).group_by(["uid", "month"]).aggregate(
        purchases=lambda t: t.purchases.sum(), revenue=lambda t: t.revenue.sum())
    monthly = monthly.join(people.select("uid", "cohort"), "uid")
    cells = monthly.group_by(
        "cohort", months_since=monthly.month - monthly.cohort
    ).aggregate(
        active=monthly.count(),
        payers=(monthly.purchases > 0).sum(),
        purchases=monthly.purchases.sum(),
        revenue=monthly.revenue.sum(),
    ).order_by(["cohort", "months_since"]).to_pandas().set_index(["cohort", "months_since"])

    last = period.months[-1]
    index = pd.MultiIndex.from_tuples(
        [(cohort, k) for cohort in sizes["cohort"] for k in range(last - cohort + 1)],
        names=["cohort", "months_since"],
    )
    frame = cells.reindex(index, fill_value=0).astype("int64").reset_index()
    frame.insert(2, "users", frame["cohort"].map(sizes.set_index("cohort")["users"]))
    frame.insert(2, "complete", [
        period.has_whole(month) for month in frame["cohort"] + frame["months_since"]])
    frame["retention"] = frame["active"] / frame["users"]
    frame["revenue_per_user"] = frame.groupby("cohort")["revenue"].cumsum() / frame["users"]
    frame["cohort"] = iso_month(frame["cohort"])
    return frame
