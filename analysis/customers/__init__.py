"""Study 2: an app with in-app purchases and a paywall. Who stays, who pays, what changed it?

Event tables stay in their backend: what `analyse` returns are reductions, from counts to the
sufficient statistics of the paywall test. The terms, each defined where it is computed:

- *active*: saw a paywall or bought (`events.activity`);
- *payer*: bought at least once, at a paywall or elsewhere; *converter*: bought at a paywall;
- *revenue*: cents, from the table of purchases only (a sale at a paywall is there too);
- *within w days of registration*: on the day of registration or the w - 1 days after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from analysis import exploration
from analysis.customers import (
    belief,
    cohorts,
    design,
    drivers,
    events,
    indicators,
    kpis,
    lift,
    looks,
    paywall,
    seasons,
    series,
)
from analysis.customers.belief import Belief
from analysis.customers.design import Design
from analysis.customers.drivers import Drivers
from analysis.customers.events import Period
from analysis.customers.indicators import Indicators
from analysis.customers.kpis import Concentration, Totals
from analysis.customers.lift import Lift
from analysis.customers.looks import Looks
from analysis.customers.paywall import PaywallTest
from analysis.customers.seasons import Seasons
from analysis.kept import kept
from analysis.results import Scalar, flatten
from analysis.sources import Tables

# The columns that name the rows of the study's frames.
KEYS = {
    "profile": ("table", "column"),
    "cleaning": ("table", "column", "rule"),
    "daily": ("day",),
    "monthly": ("month",),
    "conversion": ("dimension", "value", "window"),
    "cohorts": ("cohort", "months_since"),
    "retention": ("day",),
    "first_purchase": ("days",),
    "shares": ("base", "top"),
    "skus": ("sku",),
    "country_by_device": ("country", "device"),
    "groups": ("group",),
    "by_day": ("group", "day"),
    "by_date": ("group", "day"),
    "balance": ("dimension", "value"),
    "covariates": ("covariate", "group"),
    "covariances": ("group", "covariate", "other"),
    "segments": ("dimension", "value", "group"),
    "size_table": ("baseline", "lift"),
    "metric_table": ("lift",),
    "simulation": ("lift",),
    "standardised": ("covariate", "level"),
    "balance_tests": ("covariate",),
    "cumulative": ("group", "day"),
    "metric_values": ("metric",),
    "corrected": ("test",),
    "t_steps": ("step",),
    "t_levels": ("level",),
    "shapes": ("group",),
    "sampling": ("statistic", "size"),
    "answers": ("question",),
    "parts": ("part",),
    "adjusted": ("outcome", "covariates"),
    "by_segment": ("dimension", "value"),
    "interactions": ("dimension",),
    "kpis": ("indicator",),
    "lifetime_value": ("blocks",),
    "retention_days": ("day",),
    "retention_blocks": ("block",),
    "horizons": ("window",),
    "group_horizons": ("group", "window"),
    "differences": ("window",),
    "odd_cohorts": ("cohort",),
    "pivot": ("country", "device"),
    "inequality": ("base", "measure"),
    "averages": ("average",),
    "fits": ("measure",),
    "terms": ("measure", "term"),
    "yearly_curve": ("measure", "year_day"),
    "releases": ("day", "name"),
    "release_effects": ("release", "measure"),
    "placebo": ("measure", "day"),
    "placebo_checks": ("measure",),
    "residual_acf": ("measure", "lag"),
    "forecast_days": ("measure", "day"),
    "forecast_totals": ("measure",),
    "backtest_origins": ("measure", "origin"),
    "backtest": ("measure",),
    "associations": ("row_factor", "column_factor"),
    "association_cells": ("row_factor", "column_factor", "row", "column"),
    "pooled": ("factor", "level"),
    "left_out": ("factor",),
    "coefficients": ("factor", "level"),
    "tests": ("factor",),
    "effects": ("factor", "level"),
    "alone": ("factor", "level"),
    "calibration": ("bin",),
    "inflation": ("factor",),
    "without": ("left_out",),
    "spread": ("tenth",),
    "repeated": ("looks",),
    "running": ("day",),
    "weekly": ("week",),
    "rules": ("rule",),
}


@dataclass(frozen=True)
class Study:
    """The study's reductions.

    Attributes:
        origin: Where the tables are.
        fallback: Whether the shipped tables stand in for tables that were not there.
        shipped: Whether the tables are the shipped ones.
        cleaning: What was at odds with other rows; see `exploration.cleaning`.
        profile: What the tables hold after cleaning; see `exploration.profile`.
        totals: Everything in the period.
        daily: See `series.daily`.
        monthly: See `series.monthly`.
        conversion: Within 7 and 28 days of registration; see `kpis.conversion`.
        cohorts: Month of registration by months since; see `cohorts.cohorts`.
        retention: By day since registration; see `kpis.retention`.
        first_purchase: Time to the first purchase; see `kpis.first_purchase`.
        concentration: How unevenly revenue is spread.
        skus: What was bought; see `kpis.skus`.
        country_by_device: See `kpis.country_by_device`.
        indicators: What the indicators say and how sure they are.
        drivers: What goes with paying.
        test: The paywall test.
        design: The test as it is planned, from data of before it.
        lift: The test as it is read.
        belief: The test read with Bayes' theorem; None if a group is empty.
        looks: The test looked at while it ran; None if there is too little to look at.
        seasons: What moves the daily numbers: trend, seasons, releases; and a forecast.
    """

    origin: str
    fallback: bool
    shipped: bool
    cleaning: pd.DataFrame
    profile: pd.DataFrame
    totals: Totals
    daily: pd.DataFrame
    monthly: pd.DataFrame
    conversion: pd.DataFrame
    cohorts: pd.DataFrame
    retention: pd.DataFrame
    first_purchase: pd.DataFrame
    concentration: Concentration
    skus: pd.DataFrame
    country_by_device: pd.DataFrame
    indicators: Indicators
    drivers: Drivers
    test: PaywallTest
    design: Design
    lift: Lift
    belief: Belief | None
    looks: Looks | None
    seasons: Seasons


def reductions(tables: Tables, period: Period) -> dict[str, Any]:
    """What the indicators rest on, by the name of its field in `Study`."""
    return {
        "totals": kpis.totals(tables, period),
        "daily": series.daily(tables, period),
        "monthly": series.monthly(tables, period),
        "conversion": kpis.conversion(tables, period),
        "cohorts": cohorts.cohorts(tables, period),
        "retention": kpis.retention(tables, period),
        "concentration": kpis.concentration(tables),
        "country_by_device": kpis.country_by_device(tables),
    }


@kept
def analyse(tables: Tables) -> Study:
    """Runs the study on the tables of `customers`."""
    period = events.period(tables)
    profile = exploration.profile(tables)
    reduced = reductions(tables, period)
    test = paywall.paywall_test(tables, period)
    plan = design.design(test)
    return Study(
        **reduced,
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
        cleaning=exploration.cleaning(tables, profile),
        profile=profile,
        first_purchase=kpis.first_purchase(tables, period),
        skus=kpis.skus(tables),
        indicators=indicators.indicators(tables, period, **reduced),
        drivers=drivers.drivers(tables, period),
        test=test,
        design=plan,
        lift=lift.lift(test, plan),
        belief=belief.belief(test, plan),
        looks=looks.looks(test, looks.conversions(tables, period)),
        seasons=seasons.seasons(reduced["daily"], series.releases(tables), test.by_date),
    )


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number that the chapter reports, by name."""
    return flatten(analyse(tables), KEYS)
