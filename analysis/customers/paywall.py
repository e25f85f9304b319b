"""The paywall test, reduced to what its analysis needs.

A user's outcome is what happens within `HORIZON` days of the assignment, to the second: at or after
`assigned_at` and before `HORIZON` x 24 hours later. Outcomes are compared over users whose horizon
lies wholly in the period, so every user had the same time. Whoever was assigned counts, whether or
not the user saw a paywall again (intention to treat).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement

import ibis.expr.types as ir
import numpy as np
import pandas as pd

from analysis.customers import events
from analysis.customers.events import Period, attach, stated
from analysis.days import SECONDS_A_DAY, day_number, iso_day, seconds
from analysis.planned import planned_share
from analysis.sources import Tables

HORIZON = 28  # days
GROUPS = ("control", "test")
OUTCOMES = ("views", "paywall_purchases", "purchases", "revenue")
COVARIATES = ("age", "days_registered", "prior_views", "prior_purchases", "prior_revenue")
COMPLETE = COVARIATES[1:]  # known of every user
INTERACTIONS = ("device", "newcomer")  # by which the effect may differ, named in advance


@dataclass(frozen=True)
class Before:
    """What could be known when the test was planned: outcomes of users before it began.

    A window as long as the test's assignment, or what the tables hold of it, so early that every
    horizon ends before the first day of the test. Users count at their first paywall view in the
    window, as the test would have assigned them there, with the same outcomes over the same
    horizon.

    Attributes:
        first_day, last_day: of the window (ISO).
        days: its length.
        users: who saw a paywall in it.
        converters: of them, who bought at a paywall within the horizon.
        revenue: cents within the horizon, summed over users.
        revenue_variance: sample variance over users; nan for fewer than two.
        firsts: users by day of the window, of their first view, shape (days,).
    """

    first_day: str
    last_day: str
    days: int
    users: int
    converters: int
    revenue: int
    revenue_variance: float
    firsts: np.ndarray


@dataclass(frozen=True)
class PaywallTest:
    """The paywall test as counts and moments, control first.

    Attributes:
        horizon: days after assignment in which outcomes count.
        planned: the share of users that the test group was to get; None: the tables do not say.
        groups: one row a group. `assigned`: users assigned. `users`: of them, those whose horizon
            lies in the period, the denominator of the rest. `viewers`: who saw a paywall.
            `converters`: who bought at a paywall. `buyers`: who bought anywhere. Then the sums of
            `views`, `paywall_purchases`, `purchases` and `revenue` (cents), their sample variances
            over users (`views_variance` ...), and the sample covariances with a user's views that
            ratios of means need (`paywall_purchases_views_covariance`,
            `revenue_views_covariance`).
        by_day: one row a group and day since assignment (0 the first 24 hours), over the same
            users: `converters` and `buyers` whose first purchase came on that day, and the sums
            of the outcomes.
        by_date: one row a group and calendar day from the first assignment to the end of the last
            horizon in the period: `assigned`, and `converters` and `buyers` whose first purchase
            came on that day, over everybody assigned: summed up to a day, what a look at the
            running test would have seen.
        balance: users assigned by `dimension`, `value` and group (columns `control`, `test`);
            dimension "newcomer" tells who was assigned on the day of registration.
        covariates: one row a covariate known before the assignment and group, over `users`:
            `users` with a value, `mean`, `variance` (sample), and the sample covariances with two
            outcomes, `converted_covariance` and `revenue_covariance`, for an adjustment that uses
            them (CUPED). Prior views, purchases and revenue are of the `horizon` days before.
        covariances: one row a group and pair of covariates that everybody has, `covariate` and
            `other`: their sample `covariance` over `users`, each pair once.
        segments: one row a `dimension` and `value` of `INTERACTIONS` and group: `users` and
            `converters`, as in `groups`.
        before: the same app before the test; None if no horizon fits before it.
        revenue: for each group, users by revenue within the horizon in cents: the distribution
            that resampling, quantiles and trimmed means need.
    """

    horizon: int
    planned: float | None
    groups: pd.DataFrame
    by_day: pd.DataFrame
    by_date: pd.DataFrame
    balance: pd.DataFrame
    covariates: pd.DataFrame
    covariances: pd.DataFrame
    segments: pd.DataFrame
    before: Before | None
    revenue: dict[str, pd.Series]


def paywall_test(tables: Tables, period: Period) -> PaywallTest:
    """Reduces the paywall test."""
    # Most of what follows reads it: the backend keeps it for as long as that takes.
    with outcomes(tables, period).cache() as users:
        covariates, covariances = _covariates(users)
        return PaywallTest(
            horizon=HORIZON,
            planned=planned_share(tables, "group", GROUPS[1]),
            groups=_groups(users),
            by_day=_by_day(tables, period),
            by_date=_by_date(tables, period),
            balance=_balance(users),
            covariates=covariates,
            covariances=covariances,
            segments=_segments(users),
            before=_before_the_test(tables, period),
            revenue=_revenue(users),
        )


def assigned(tables: Tables, period: Period) -> ir.Table:
    """One row an assigned user: `uid`, `group`, `assigned` (second), `whole` (horizon observed)."""
    test = tables.table("paywall_test")
    return test.select(
        "uid", "group",
        assigned=seconds(test.assigned_at),
        assigned_day=day_number(test.assigned_at),
        whole=day_number(test.assigned_at) + HORIZON <= period.last,
    )


def _since_assignment(rows: ir.Table, test: ir.Table) -> ir.Table:
    """Rows of assigned users, with `elapsed` seconds since the assignment (negative before)."""
    joined = rows.join(test, "uid")
    return joined.mutate(elapsed=joined.second - joined.assigned)


def _within(rows: ir.Table) -> ir.BooleanValue:
    return (rows.elapsed >= 0) & (rows.elapsed < HORIZON * SECONDS_A_DAY)


def _before(rows: ir.Table) -> ir.BooleanValue:
    return (rows.elapsed < 0) & (rows.elapsed >= -HORIZON * SECONDS_A_DAY)


def outcomes(tables: Tables, period: Period) -> ir.Table:
    """One row an assigned user: group, covariates, and `OUTCOMES` within the horizon.

    Prior values are those of as many days before the assignment.
    """
    test = assigned(tables, period)
    seen = _since_assignment(events.views(tables), test)
    sold = _since_assignment(events.sales(tables), test)
    seen = seen.group_by("uid").aggregate(
        views=_within(seen).sum(),
        paywall_purchases=_within(seen).ifelse(seen.purchase, 0).sum(),
        prior_views=_before(seen).sum(),
    )
    sold = sold.group_by("uid").aggregate(
        purchases=_within(sold).sum(),
        revenue=_within(sold).ifelse(sold.price, 0).sum(),
        prior_purchases=_before(sold).sum(),
        prior_revenue=_before(sold).ifelse(sold.price, 0).sum(),
    )
    users = attach(test, events.people(tables))
    users = attach(users, seen, ("views", "paywall_purchases", "prior_views"))
    users = attach(users, sold, ("purchases", "revenue", "prior_purchases", "prior_revenue"))
    return users.mutate(
        days_registered=users.assigned_day - users.reg_day,
        converted=(users.paywall_purchases > 0).cast("int64"),
        bought=(users.purchases > 0).cast("int64"),
    )


def _groups(users: ir.Table) -> pd.DataFrame:
    whole = users.whole
    measures = {
        "assigned": users.count(),
        "users": whole.sum(),
        "viewers": (whole & (users.views > 0)).sum(),
        "converters": whole.ifelse(users.converted, 0).sum(),
        "buyers": whole.ifelse(users.bought, 0).sum(),
    }
    measures |= {name: whole.ifelse(users[name], 0).sum() for name in OUTCOMES}
    for name in OUTCOMES:
        measures[f"{name}_variance"] = users[name].var(how="sample", where=whole)
    for name in ("paywall_purchases", "revenue"):
        measures[f"{name}_views_covariance"] = users[name].cov(
            users.views, how="sample", where=whole)
    return _by_group(users.group_by("group").aggregate(**measures).to_pandas(), tuple(measures))


def _by_group(frame: pd.DataFrame, counts: tuple[str, ...]) -> pd.DataFrame:
    """Both groups, control first; a group without users has zeros."""
    frame = frame.set_index("group").reindex(GROUPS)
    whole = [name for name in counts if not name.endswith("variance")]
    frame[whole] = frame[whole].fillna(0).astype("int64")
    return frame.astype({name: float for name in counts if name not in whole}).reset_index()


def _firsts(rows: ir.Table, unit: ir.IntegerValue, name: str) -> ir.Table:
    """Users by the day, in `unit`, of their first row, and group."""
    firsts = rows.group_by(["uid", "group"]).aggregate(day=unit.min())
    return firsts.group_by(["group", "day"]).aggregate(**{name: firsts.count()})


def _grid(parts: list[ir.Table], days) -> pd.DataFrame:
    """Daily counts by group side by side, every day there."""
    index = pd.MultiIndex.from_product([GROUPS, days], names=["group", "day"])
    frames = [part.to_pandas().set_index(["group", "day"]).reindex(index) for part in parts]
    return pd.concat(frames, axis=1).fillna(0).astype("int64").reset_index()


def _by_day(tables: Tables, period: Period) -> pd.DataFrame:
    test = assigned(tables, period)
    test = test.filter(test.whole)
    seen = _since_assignment(events.views(tables), test)
    sold = _since_assignment(events.sales(tables), test)
    seen, sold = (
        rows.filter(_within(rows)).mutate(since=(rows.elapsed // SECONDS_A_DAY).cast("int64"))
        for rows in (seen, sold)
    )
    paid = seen.filter(seen.purchase == 1)
    return _grid([
        _firsts(paid, paid.since, "converters"),
        _firsts(sold, sold.since, "buyers"),
        seen.group_by("group", day="since").aggregate(
            views=seen.count(), paywall_purchases=seen.purchase.sum()),
        sold.group_by("group", day="since").aggregate(
            purchases=sold.count(), revenue=sold.price.sum()),
    ], range(HORIZON))


def _by_date(tables: Tables, period: Period) -> pd.DataFrame:
    test = assigned(tables, period)
    seen = _since_assignment(events.views(tables), test)
    sold = _since_assignment(events.sales(tables), test)
    seen, sold = (rows.filter(_within(rows)) for rows in (seen, sold))
    paid = seen.filter(seen.purchase == 1)
    ends = test.aggregate(first=test.assigned_day.min(), last=test.assigned_day.max()).to_pandas()
    days = range(0)
    if not ends["first"].isna()[0]:
        first, last = int(ends["first"][0]), int(ends["last"][0])
        days = range(first, min(last + HORIZON, period.last) + 1)
    frame = _grid([
        test.group_by("group", day="assigned_day").aggregate(assigned=lambda t: t.count()),
        _firsts(paid, paid.day, "converters"),
        _firsts(sold, sold.day, "buyers"),
    ], days)
    frame["day"] = iso_day(frame["day"])
    return frame


def _balance(users: ir.Table) -> pd.DataFrame:
    users = users.mutate(newcomer=_newcomer(users))
    frames = []
    for dimension in (*events.SEGMENTS, "newcomer"):
        counts = users.group_by(value=users[dimension]).aggregate(
            **{name: (users.group == name).sum() for name in GROUPS}).to_pandas()
        counts["value"] = stated(counts["value"])
        counts.insert(0, "dimension", dimension)
        frames.append(counts.sort_values("value"))
    return pd.concat(frames, ignore_index=True)


def _newcomer(users: ir.Table) -> ir.StringValue:
    """Whether a user was assigned on the day of registration."""
    return (users.assigned_day == users.reg_day).ifelse("yes", "no")


def _segments(users: ir.Table) -> pd.DataFrame:
    whole = users.filter(users.whole)
    whole = whole.mutate(newcomer=_newcomer(whole))
    cells = whole.group_by(["group", *INTERACTIONS]).aggregate(
        users=whole.count(), converters=whole.converted.sum()).to_pandas()
    frames = []
    for dimension in INTERACTIONS:
        counts = cells.assign(value=stated(cells[dimension]))
        counts = counts.groupby(["value", "group"])[["users", "converters"]].sum()
        values = sorted(set(counts.index.get_level_values("value")))
        index = pd.MultiIndex.from_product([values, GROUPS], names=["value", "group"])
        counts = counts.reindex(index, fill_value=0).astype("int64").reset_index()
        counts.insert(0, "dimension", dimension)
        frames.append(counts)
    return pd.concat(frames, ignore_index=True)


def _before_the_test(tables: Tables, period: Period) -> Before | None:
    test = tables.table("paywall_test")
    day = day_number(test.assigned_at)
    ends = test.aggregate(first=day.min(), last=day.max()).to_pandas()
    if ends["first"].isna()[0]:
        return None
    start, length = int(ends["first"][0]), int(ends["last"][0] - ends["first"][0]) + 1
    last = start - HORIZON - 1  # a view late on this day still has its horizon before the test
    first = max(period.first, last - length + 1)
    if first > last:
        return None
    seen, sold = events.views(tables), events.sales(tables)
    inside = seen.filter((seen.day >= first) & (seen.day <= last))
    users = inside.group_by("uid").aggregate(
        assigned=inside.second.min(), assigned_day=inside.day.min())
    seen, sold = _since_assignment(seen, users), _since_assignment(sold, users)
    paid = seen.group_by("uid").aggregate(
        paywall_purchases=_within(seen).ifelse(seen.purchase, 0).sum())
    spent = sold.group_by("uid").aggregate(revenue=_within(sold).ifelse(sold.price, 0).sum())
    users = attach(users, paid, ("paywall_purchases",))
    users = attach(users, spent, ("revenue",))
    totals = users.aggregate(
        users=users.count(), converters=(users.paywall_purchases > 0).sum(),
        revenue=users.revenue.sum(), variance=users.revenue.var(how="sample"),
    ).to_pandas().iloc[0]
    daily = users.group_by("assigned_day").aggregate(users=users.count()).to_pandas()
    if daily.empty:
        return None
    firsts = daily.set_index("assigned_day")["users"].reindex(range(first, last + 1), fill_value=0)
    first_day, last_day = iso_day([first, last])
    return Before(
        first_day=first_day, last_day=last_day, days=last - first + 1,
        users=int(totals["users"]), converters=int(totals["converters"]),
        revenue=int(totals["revenue"]), revenue_variance=float(totals["variance"]),
        firsts=firsts.to_numpy(dtype="int64"),
    )


def _covariates(users: ir.Table) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The covariates, and the covariances of those that everybody has."""
    measures = {}
    for name in COVARIATES:
        value = users[name]
        there = users.whole & value.notnull()
        measures[name, "users"] = there.sum()
        measures[name, "mean"] = value.mean(where=there)
        measures[name, "variance"] = value.var(how="sample", where=there)
        for outcome in ("converted", "revenue"):
            measures[name, f"{outcome}_covariance"] = value.cov(
                users[outcome], how="sample", where=there)
    pairs = list(combinations_with_replacement(COMPLETE, 2))
    for pair in pairs:
        a, b = (users[name] for name in pair)
        measures[pair] = a.cov(b, how="sample", where=users.whole)
    # One pass over the users; the columns are unfolded into rows here.
    wide = users.group_by("group").aggregate(
        **{f"m{i}": measure for i, measure in enumerate(measures.values())}
    ).to_pandas().set_index("group").reindex(GROUPS)
    rows: dict[tuple[str, str], dict] = {}
    for i, (name, measure) in enumerate(list(measures)[:-len(pairs)]):
        for group in GROUPS:
            row = rows.setdefault((name, group), {"covariate": name, "group": group})
            row[measure] = wide.loc[group, f"m{i}"]
    frame = pd.DataFrame([rows[name, group] for name in COVARIATES for group in GROUPS])
    moments = {column: "float64" for column in frame.columns[3:]}
    start = len(measures) - len(pairs)
    covariances = pd.DataFrame([
        {"group": group, "covariate": a, "other": b, "covariance": wide.loc[group, f"m{start + i}"]}
        for group in GROUPS for i, (a, b) in enumerate(pairs)
    ])
    return (frame.fillna({"users": 0}).astype({"users": "int64"} | moments),
            covariances.astype({"covariance": "float64"}))


def _revenue(users: ir.Table) -> dict[str, pd.Series]:
    whole = users.filter(users.whole)
    counts = whole.group_by(["group", "revenue"]).aggregate(users=whole.count())
    counts = counts.order_by(["group", "revenue"]).to_pandas().astype({"revenue": "int64"})
    return {name: counts[counts["group"] == name].set_index("revenue")["users"] for name in GROUPS}
