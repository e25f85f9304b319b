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
from pathlib import Path

import pandas as pd

from analysis import checks
from analysis.customers import cohorts, events, exploration, kpis, paywall, series
from analysis.customers.kpis import Concentration, Totals
from analysis.customers.paywall import PaywallTest
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
}


@dataclass(frozen=True)
class Study:
    """The study's reductions.

    Attributes:
        origin: Where the tables are.
        fallback: Whether the shipped tables stand in for tables that were not there.
        shipped: Whether the tables are the shipped ones.
        cleaning: What was at odds with other rows and what was done: columns `table`, `column`,
            `rule`, `count` (rows), `share` (of the rows that were there before) and `handling`.
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
        test: The paywall test.
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
    test: PaywallTest


def analyse(tables: Tables) -> Study:
    """Runs the study on the tables of `customers`."""
    period = events.period(tables)
    profile = exploration.profile(tables)
    return Study(
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
        cleaning=_cleaning(tables, profile),
        profile=profile,
        totals=kpis.totals(tables, period),
        daily=series.daily(tables, period),
        monthly=series.monthly(tables, period),
        conversion=kpis.conversion(tables, period),
        cohorts=cohorts.cohorts(tables, period),
        retention=kpis.retention(tables, period),
        first_purchase=kpis.first_purchase(tables, period),
        concentration=kpis.concentration(tables),
        skus=kpis.skus(tables),
        country_by_device=kpis.country_by_device(tables),
        test=paywall.paywall_test(tables, period),
    )


def _cleaning(tables: Tables, profile: pd.DataFrame) -> pd.DataFrame:
    frame = checks.to_frame(tables.warnings)
    # Files and tables of a database are told by different names, of which this is common.
    names = [Path(file).stem.removeprefix(f"{tables.study}_") for file in frame["file"]]
    frame = frame.assign(table=names)
    dropped = frame[~frame["handling"].str.startswith("kept")].groupby("table")["count"].sum()
    rows = profile.groupby("table")["rows"].first().add(dropped, fill_value=0)
    frame["share"] = frame["count"] / frame["table"].map(rows)
    return frame[["table", "column", "rule", "count", "share", "handling"]]


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number that the chapter reports, by name."""
    return flatten(analyse(tables), KEYS)
