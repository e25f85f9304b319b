"""Study 4: who leaves a video service?

The unit is a subscriber; the outcome is whether he or she has churned. `reductions` reduces the
table where it is, to counts and moments on which the other modules, one a topic, rest; `analyse`
runs all of them once and the chapter reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis import exploration
from analysis.churn import (
    devices,
    lengths,
    mix,
    model,
    offers,
    plans,
    queries,
    real,
    recommendations,
    retention,
    traits,
)
from analysis.churn.devices import Devices
from analysis.churn.lengths import Lengths
from analysis.churn.mix import Mix
from analysis.churn.model import Model
from analysis.churn.offers import Offers
from analysis.churn.plans import Plans
from analysis.churn.queries import Queries
from analysis.churn.real import Real
from analysis.churn.recommendations import Recommendations
from analysis.churn.reductions import Reductions, reduce
from analysis.churn.retention import Retention
from analysis.churn.traits import Traits
from analysis.kept import kept
from analysis.results import Scalar, flatten
from analysis.sources import Tables

# The columns that name the rows of frames without a named index.
KEYS = {
    "churn_by_category": ("value",),
    "churn_by_number": ("from_value",),
    "readings": ("value", "churned"),
    "months": ("month",),
    "engagement_by_device": ("value",),
    "queries_by_age": ("from_age",),
    "queries_by_age_band": ("from_age",),
    "profile": ("table", "column"),
    "cleaning": ("table", "column", "rule"),
}


@dataclass(frozen=True)
class Study(Reductions):
    """The whole study; see the modules of this package for what each part holds.

    Attributes:
        origin: Where the table is, for people.
        fallback: Whether it is the shipped one because the place named has none.
        shipped: Whether it is the shipped one.
        profile: What the table holds after cleaning; see `exploration.profile`.
        cleaning: What was at odds with other rows; see `exploration.cleaning`.
        traits: Every trait alone against churn.
        lengths: Churn by length of subscription.
        offers: Offers and late payment against churn, read both ways.
        mix: Who the subscribers are.
        devices: Engagement by device.
        queries: Support queries by age.
        model: Churn by all traits together.
        retention: Whom to call first; None without a model.
        plans: What the next steps need: a test of offers, a chart, a survey.
        recommendations: The source's recommendations, judged.
        real: Whether the table looks recorded or made.
    """

    origin: str
    fallback: bool
    shipped: bool
    profile: pd.DataFrame
    cleaning: pd.DataFrame
    traits: Traits
    lengths: Lengths
    offers: Offers
    mix: Mix
    devices: Devices
    queries: Queries
    model: Model
    retention: Retention | None
    plans: Plans
    recommendations: Recommendations
    real: Real


@kept
def analyse(tables: Tables) -> Study:
    """Runs the study."""
    table = tables.table("subscribers")
    base = reduce(table)
    profile = exploration.profile(tables)
    parts = {
        "traits": traits.traits(base, table),
        "lengths": lengths.lengths(base),
        "offers": offers.offers(base, table),
        "devices": devices.devices(base, table),
        "model": model.model(table, base),
        "plans": plans.plans(base),
    }
    return Study(
        **vars(base),
        **parts,
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
        profile=profile,
        cleaning=exploration.cleaning(tables, profile),
        mix=mix.mix(base),
        queries=queries.queries(base, table),
        retention=retention.retention(parts["model"]),
        recommendations=recommendations.recommendations(base, **parts),
        real=real.real(table, base),
    )


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number that the chapter reports, by name."""
    return flatten(analyse(tables), KEYS)
