"""Study 3: users, products, channels and funnels of a MOOC platform.

Users sign up, enrol in courses, buy some, complete some. Each module of this package reduces the
events, orders or users to small tables where they are (Ibis); `analyse` runs all of them once and
the chapter reads the result. Frames have their groups as index, so `study.funnel.by_course.loc[id]`
is a row, and `reset_index()` makes the table that a figure takes.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis import exploration
from analysis.mooc import (
    audience,
    baskets,
    channels,
    cohorts,
    durations,
    funnels,
    geography,
    products,
    rfm,
    transactions,
)
from analysis.mooc.baskets import Baskets, Sequences
from analysis.mooc.funnels import COURSE, STAGES
from analysis.mooc.rfm import Rfm
from analysis.mooc.transactions import Transactions
from analysis.results import Scalar, flatten
from analysis.sources import Tables

COUNTRY, SOURCE = "user_country", "referral_source"
MIGRATION_DAYS = 182  # between the two dates whose scores are compared
HOLDOUT_SHARE = 1 / 3  # of the days with orders, to check predictions of customer value against
MOST_COURSES = 100  # times to completion are kept by day for so many courses, the largest

# The columns that name the rows of frames without a named index.
KEYS = {
    "profile": ("table", "column"),
    "cleaning": ("table", "column", "rule"),
}

# Frames that models are fitted to: hundreds of rows a group, data rather than results.
MATERIAL = ("days", "days_by_course", "days_by_source", "histories", "values", "daily")


@dataclass(frozen=True)
class Scope:
    """What the tables hold.

    Attributes:
        users: Rows of mooc/users.
        courses: Rows of mooc/courses.
        events: Rows of mooc/events.
        items: Rows of mooc/orders, one a course bought.
        first_event, last_event: Days of the first and last event, ISO.
        first_order, last_order: Days of the first and last order, ISO.
        as_of: The day at whose end the study stands: the last of events and orders, ISO.
    """

    users: int
    courses: int
    events: int
    items: int
    first_event: str
    last_event: str
    first_order: str
    last_order: str
    as_of: str


@dataclass(frozen=True)
class Funnel:
    """The funnel of `funnels.STAGES`; columns are the stages, values unique users.

    Attributes:
        total: One row, everybody: the stages in order.
        any_order: One row: the stages in any order.
        stages: Events and unique users of each event type, each alone.
        by_country: By country at the user's first event.
        by_source: By referral source at the user's first event.
        by_country_and_source: By both.
        by_course: Users enrolled in a course, and who completed it after that.
    """

    total: pd.DataFrame
    any_order: pd.DataFrame
    stages: pd.DataFrame
    by_country: pd.DataFrame
    by_source: pd.DataFrame
    by_country_and_source: pd.DataFrame
    by_course: pd.DataFrame


@dataclass(frozen=True)
class Durations:
    """Time from enrolment to completion, censored at the last event.

    Attributes:
        total: One row; see `durations.summary`.
        by_course: The same by course, for the `MOST_COURSES` courses with most enrolments.
        by_source: The same by referral source at the user's first event.
        days, days_by_course, days_by_source: Their counts by day; see
            `durations.time_to_completion`.
    """

    total: pd.DataFrame
    by_course: pd.DataFrame
    by_source: pd.DataFrame
    days: pd.DataFrame
    days_by_course: pd.DataFrame
    days_by_source: pd.DataFrame


@dataclass(frozen=True)
class Study:
    """The whole study; see the modules of this package for what the frames hold.

    Attributes:
        origin: Where the tables are.
        fallback: Whether the shipped tables stand in for tables that were not there.
        shipped: Whether the tables are the shipped ones.
        profile: What the tables hold after cleaning; see `exploration.profile`.
        cleaning: What was at odds with other rows; see `exploration.cleaning`.
        scope: Rows and days of the tables.
        funnel: Signed up, enrolled, completed.
        durations: Time to completion.
        rfm: Scores by source of the values: "users" (the users table alone) and "orders".
        migration: Customers by their scores half a year before `as_of` and then, from orders;
            none where the orders don't reach back so far.
        transactions: For BG/NBD and Gamma-Gamma on all orders ("all"), and with the last third of
            the days held out ("calibration").
        baskets: Courses bought together, by "order" and by "customer".
        categories_together: The same for categories.
        sequences: Which course follows which.
        products: Every course.
        categories: Every category.
        channels: Where orders were sold.
        channels_by_month: The same by month.
        referrals: How users found the platform, and what they bought.
        countries: Countries of users.
        audience: Moments of spending and engagement, by column that makes the groups.
        cohorts: By month of the first event.
    """

    origin: str
    fallback: bool
    shipped: bool
    profile: pd.DataFrame
    cleaning: pd.DataFrame
    scope: Scope
    funnel: Funnel
    durations: Durations
    rfm: Mapping[str, Rfm]
    migration: pd.DataFrame
    transactions: Mapping[str, Transactions]
    baskets: Mapping[str, Baskets]
    categories_together: Mapping[str, Baskets]
    sequences: Sequences
    products: pd.DataFrame
    categories: pd.DataFrame
    channels: pd.DataFrame
    channels_by_month: pd.DataFrame
    referrals: pd.DataFrame
    countries: pd.DataFrame
    audience: Mapping[str, pd.DataFrame]
    cohorts: pd.DataFrame


def analyse(tables: Tables) -> Study:
    """Runs the study.

    Raises:
        ValueError: A table without a row.
    """
    users, events, courses, orders = (
        tables.table(name) for name in ("users", "events", "courses", "orders")
    )
    scope = _scope(users, events, courses, orders)
    as_of = dt.date.fromisoformat(scope.as_of)
    first_order, last_order = map(dt.date.fromisoformat, (scope.first_order, scope.last_order))
    held_out = round(HOLDOUT_SHARE * (last_order - first_order).days)
    before = as_of - dt.timedelta(days=MIGRATION_DAYS)

    funnel = _funnel(events)
    enrolled = funnel.by_course.set_axis(["enrolments", "completions"], axis=1)
    by_course = products.by_course(orders, courses, enrolled)
    sold = products.with_courses(orders, courses)
    profile = exploration.profile(tables)
    return Study(
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
        profile=profile,
        cleaning=exploration.cleaning(tables, profile),
        scope=scope,
        funnel=funnel,
        durations=_durations(events, funnel.by_course),
        rfm={
            "users": rfm.rfm(rfm.from_users(users, as_of), as_of),
            "orders": rfm.rfm(rfm.from_orders(orders, as_of), as_of),
        },
        migration=rfm.migration(orders, before, as_of) if first_order <= before else None,
        transactions={
            "all": transactions.transactions(orders, as_of),
            "calibration": transactions.transactions(
                orders, as_of, as_of - dt.timedelta(days=held_out)
            ),
        },
        baskets={
            "order": baskets.together(orders),
            "customer": baskets.together(orders, "user_id"),
        },
        categories_together={
            "order": baskets.together(sold, item="category"),
            "customer": baskets.together(sold, "user_id", "category"),
        },
        sequences=baskets.sequences(orders, by_course.price),
        products=by_course,
        categories=products.by_category(orders, courses, by_course),
        channels=channels.by_channel(orders),
        channels_by_month=channels.by_month(orders),
        referrals=channels.by_user_group(orders, users, "referral_channel"),
        countries=geography.by_country(users, orders, events),
        audience={column: audience.moments(users, column) for column in audience.GROUPS},
        cohorts=cohorts.by_month(events, orders),
    )


def _scope(users: ir.Table, events: ir.Table, courses: ir.Table, orders: ir.Table) -> Scope:
    counts = {
        "users": int(users.count().to_pandas()), "courses": int(courses.count().to_pandas())
    }
    spans = {}
    for name, table, moment in (
        ("events", events, "event_timestamp"), ("orders", orders, "order_timestamp")
    ):
        span = table.agg(
            rows=_.count(), first=_[moment].date().min(), last=_[moment].date().max()
        ).to_pandas().iloc[0]
        counts[name] = int(span.rows)
        spans[name] = span
    if empty := [name for name, rows in counts.items() if rows == 0]:
        raise ValueError(f"nothing to analyse: no row in {', '.join(empty)}")
    first_event, last_event, first_order, last_order = (
        pd.Timestamp(spans[name][end]).date().isoformat()
        for name in ("events", "orders") for end in ("first", "last")
    )
    return Scope(
        counts["users"], counts["courses"], counts["events"], counts["orders"],
        first_event, last_event, first_order, last_order, max(last_event, last_order),
    )


def _funnel(events: ir.Table) -> Funnel:
    # Every user is in one country and one source, so their sums are the other funnels.
    both = funnels.funnel(events, by=(COUNTRY, SOURCE))
    return Funnel(
        total=both.sum().to_frame().T,
        any_order=funnels.funnel(events, ordered=False),
        stages=funnels.stage_counts(events),
        by_country=both.groupby(COUNTRY).sum(),
        by_source=both.groupby(SOURCE).sum(),
        by_country_and_source=both,
        by_course=funnels.funnel(events, STAGES[1:], by=(COURSE,)),
    )


def _durations(events: ir.Table, by_course: pd.DataFrame) -> Durations:
    largest = by_course.sort_values(STAGES[1], ascending=False, kind="stable").head(MOST_COURSES)
    days_by_course = durations.time_to_completion(events, (COURSE,), only=sorted(largest.index))
    days_by_source = durations.time_to_completion(events, (SOURCE,))
    days = days_by_source.groupby(["days", "completed"]).sum()
    return Durations(
        total=durations.summary(days),
        by_course=durations.summary(days_by_course),
        by_source=durations.summary(days_by_source),
        days=days,
        days_by_course=days_by_course,
        days_by_source=days_by_source,
    )


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number of the study by name; rows of frames by the names of their groups.

    Left out are the frames that models are fitted to (`MATERIAL`).
    """
    return flatten(analyse(tables), KEYS, MATERIAL)
