"""Study 3: users, products, channels and funnels of a MOOC platform.

Users sign up, enrol in courses, buy some, complete some. Each module of this package reduces the
events, orders or users to small tables where they are (Ibis); `analyse` runs all of them once and
the chapter reads the result. Frames have their groups as index, so `study.funnel.by_course.loc[id]`
is a row, and `reset_index()` makes the table that a figure takes.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis import exploration
from analysis.kept import kept, or_kept
from analysis.mooc import (
    audience,
    behaviour,
    channels,
    cohorts,
    durations,
    funnels,
    geography,
    products,
    rules,
    segments,
    value,
)
from analysis.mooc.audience import Audience
from analysis.mooc.behaviour import Behaviour
from analysis.mooc.channels import Channels
from analysis.mooc.durations import Durations
from analysis.mooc.funnels import Funnel
from analysis.mooc.geography import Geography
from analysis.mooc.products import Products
from analysis.mooc.rules import Rules
from analysis.mooc.segments import Segments
from analysis.mooc.value import Value
from analysis.results import Scalar, flatten
from analysis.sources import Tables

# The columns that name the rows of frames without a named index.
KEYS = {
    "offers": ("course", "kind", "place"),
    "pair_rules": ("antecedent", "consequent"),
    "set_rules": ("antecedent", "also", "consequent"),
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
class Headline:
    """What answers the study's first questions.

    Attributes:
        origin: Where the tables are.
        fallback: Whether the shipped tables stand in for tables that were not there.
        shipped: Whether the tables are the shipped ones.
        scope: Rows and days of the tables.
        funnel: Signed up, enrolled, completed: who goes on, by source, country and course.
        value: What customers have paid, and what they are expected to pay.
    """

    origin: str
    fallback: bool
    shipped: bool
    scope: Scope
    funnel: Funnel
    value: Value


@dataclass(frozen=True)
class Study(Headline):
    """The whole study; see the modules of this package for what the frames hold.

    Attributes:
        profile: What the tables hold after cleaning; see `exploration.profile`.
        cleaning: What was at odds with other rows; see `exploration.cleaning`.
        durations: Time to completion; None where nobody is enrolled.
        segments: Recency, frequency and monetary value; named segments, and what they go on to do.
        rules: What sells together, what leads to what, and what to offer with each course.
        products: What sells, and what sells less than it should.
        channels: Where orders were sold; how users found the platform, and what they are worth.
        geography: Countries of users, and which of them stand out.
        behaviour: Clusters of users by how they learn.
        audience: Value and engagement by occupation, age group and referral channel.
        cohorts: By month of the first event.
    """

    profile: pd.DataFrame
    cleaning: pd.DataFrame
    durations: Durations | None
    segments: Segments
    rules: Rules
    products: Products
    channels: Channels
    geography: Geography
    behaviour: Behaviour
    audience: Audience
    cohorts: pd.DataFrame


@or_kept
def headline(tables: Tables) -> Headline:
    """Answers the study's first questions; see `analyse`."""
    return _headline(tables)


def _headline(tables: Tables) -> Headline:
    users, events, courses, orders = _tables(tables)
    scope = _scope(users, events, courses, orders)
    return Headline(
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
        scope=scope,
        funnel=funnels.funnels(events, courses),
        value=value.value(orders, users, _day(scope.first_order), _day(scope.as_of)),
    )


@kept
def analyse(tables: Tables) -> Study:
    """Runs the study.

    Raises:
        ValueError: A table without a row.
    """
    first = _headline(tables)
    users, events, _, orders = _tables(tables)
    profile = exploration.profile(tables)
    return Study(
        **vars(first),
        **parts(tables, first),
        profile=profile,
        cleaning=exploration.cleaning(tables, profile),
        channels=channels.channels(orders, users),
        behaviour=behaviour.behaviour(users, events),
        audience=audience.audience(users),
        cohorts=cohorts.by_month(events, orders),
    )


def parts(tables: Tables, first: Headline) -> dict[str, Any]:
    """Those parts that the sources' claims rest on as well, by the name of their field."""
    users, events, courses, orders = _tables(tables)
    as_of = _day(first.scope.as_of)
    enrolled = first.funnel.by_course.set_axis(["enrolments", "completions"], axis=1)
    sold = products.products(orders, events, courses, enrolled, as_of)
    return {
        "durations": durations.durations(events, first.funnel),
        "segments": segments.segments(orders, users, as_of),
        "rules": rules.rules(
            orders, courses, sold.by_course.price,
            _day(first.scope.first_order), _day(first.scope.last_order),
        ),
        "products": sold,
        "geography": geography.geography(users, orders, events),
    }


def _tables(tables: Tables) -> tuple[ir.Table, ...]:
    return tuple(tables.table(name) for name in ("users", "events", "courses", "orders"))


def _day(iso: str) -> dt.date:
    return dt.date.fromisoformat(iso)


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


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number of the study by name; rows of frames by the names of their groups.

    Left out are the frames that models are fitted to (`MATERIAL`).
    """
    return flatten(analyse(tables), KEYS, MATERIAL)
