"""The app's study finds in the synthetic tables what their generator planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from analysis.simulate import customers as simulated
from analysis.simulate.customers import DAYS, TRUTH, YEAR, day_of
from analysis.stats import intervals


@pytest.fixture(scope="module")
def planted_tables():
    """The tables as the generator makes them, byte for byte the shipped ones, and their truth."""
    return simulated.generate()


@pytest.fixture(scope="module")
def study(customers_study):
    return customers_study


def test_rows_to_clean_are_told_and_left_out(study, planted_tables):
    tables, _ = planted_tables
    dirt = TRUTH["dirt"]
    told = study.cleaning.groupby("table")["count"]
    for name, kinds in dirt.items():
        assert sorted(told.get_group(name)) == sorted(kinds.values())
    left = {"purchases": study.totals.purchases, "paywall_views": study.totals.views}
    for name, rows in left.items():
        assert rows == len(tables[name]) - sum(dirt[name].values())
    assert study.totals.users == len(tables["users"])
    assert (study.totals.first_day, study.totals.last_day) == ("2023-01-01", "2024-12-31")


def design(daily: pd.DataFrame, *, release: bool, test: bool) -> pd.DataFrame:
    """Trend, yearly wave and weekly factors; the release; the share of views of the new paywall."""
    t = np.arange(DAYS)
    angle = 2 * np.pi * t / YEAR
    x = pd.DataFrame({"const": 1.0, "trend": t / YEAR, "cos": np.cos(angle), "sin": np.sin(angle)})
    weekday = pd.to_datetime(daily["day"]).dt.strftime("%a")
    for name in list(TRUTH["views"]["weekly"])[:-1]:  # the last is minus the sum of the others
        x[name] = (weekday == name).astype(float) - (weekday == "Sun")
    if release:
        x["release"] = (t >= day_of(TRUTH["release"]["date"])).astype(float)
    if test:
        running = t < day_of(TRUTH["test"]["effect_until"])
        x["test"] = daily["views_test_group"] / daily["views"] * running
    return x


def planted() -> pd.Series:
    views = TRUTH["views"]
    peak = 2 * np.pi * views["peak"] / YEAR
    return pd.Series({
        "trend": views["trend"],
        "cos": views["amplitude"] * np.cos(peak), "sin": views["amplitude"] * np.sin(peak),
        **dict(list(views["weekly"].items())[:-1]),
        "release": np.log(TRUTH["release"]["factor"]),
    })


@pytest.mark.parametrize("measure", ["views", "purchases", "revenue"])
def test_season_trend_and_release_come_out(study, measure):
    after = measure != "views"
    x = design(study.daily, release=after, test=after)
    fit = sm.GLM(study.daily[measure], x, family=sm.families.Poisson()).fit(
        cov_type="HAC", cov_kwds={"maxlags": 7})
    truth = planted()[[name for name in planted().index if name in x]]
    z = (fit.params[truth.index] - truth) / fit.bse[truth.index]
    # Within 95% intervals at the shipped seed, each of them.
    assert z.abs().max() < 1.96, z
    assert fit.bse["trend"] < 0.15


def test_release_shows_in_the_conversion_of_views_and_not_in_their_number(study):
    daily = study.daily.iloc[: day_of(TRUTH["test"]["start"])]
    after = np.arange(len(daily)) >= day_of(TRUTH["release"]["date"])
    paid, seen = (daily[name].groupby(after).sum() for name in ("paid_views", "views"))
    before = intervals.proportion(int(paid[False]), int(seen[False]), 0.999)
    now = intervals.proportion(int(paid[True]), int(seen[True]), 0.999)
    average, factor = TRUTH["conversion"]["average"], TRUTH["release"]["factor"]
    assert before.contains(average) and not before.contains(average * factor)
    assert now.contains(average * factor) and not now.contains(average)


def test_lift_of_the_test_comes_out(study, planted_tables):
    _, seen = planted_tables
    groups = study.test.groups.set_index("group")
    control, test = groups.loc["control"], groups.loc["test"]
    assert (groups["assigned"] == groups["users"]).all()  # every horizon ends in the period
    assert groups["assigned"].sum() == seen["assigned"]["users"]
    for metric, column in (("converted_at_paywall", "converters"), ("converted", "buyers")):
        shares = groups[column] / groups["users"]
        error = np.sqrt((shares * (1 - shares) / groups["users"]).sum())
        for truth in (TRUTH["test"]["per_user"][metric], seen["assigned"][metric]):
            lift = truth["test"] - truth["control"]
            assert abs(shares["test"] - shares["control"] - lift) < 1.96 * error
    error = np.sqrt((groups["revenue_variance"] / groups["users"]).sum())
    lift = np.subtract(*(TRUTH["test"]["per_user"]["revenue"][g] for g in ("test", "control")))
    found = test["revenue"] / test["users"] - control["revenue"] / control["users"]
    assert abs(found - lift) < 1.96 * error

    def log_ratio(row):
        """Purchases a view and the variance of its log, by the delta method."""
        n, v, p = row["users"], row["views"] / row["users"], row["paywall_purchases"] / row["users"]
        variance = (row["paywall_purchases_variance"] / p**2 + row["views_variance"] / v**2
                    - 2 * row["paywall_purchases_views_covariance"] / (p * v)) / n
        return np.log(p / v), variance

    (low, a), (high, b) = log_ratio(control), log_ratio(test)
    assert abs(high - low - np.log(TRUTH["test"]["factor"])) < 1.96 * np.sqrt(a + b)


def test_tables_agree_with_each_other(study):
    totals, daily, test = study.totals, study.daily, study.test
    assert len(daily) == totals.days == DAYS
    for name in ("views", "paid_views", "purchases", "revenue"):
        assert daily[name].sum() == getattr(totals, name)
    assert daily["registrations"].sum() == totals.users
    for frame in (study.monthly, study.cohorts):
        assert frame["revenue"].sum() == totals.revenue
        assert frame["purchases"].sum() == totals.purchases
    assert study.skus["revenue"].sum() == study.country_by_device["revenue"].sum() == totals.revenue
    assert study.skus["paywall_purchases"].sum() == totals.paid_views
    assert study.first_purchase["purchased"].sum() == totals.payers
    assert study.first_purchase[["purchased", "censored"]].sum().sum() == totals.users
    first = study.retention.iloc[0]
    assert first["at_risk"] == totals.users
    assert (daily["dau"] <= daily["wau"].fillna(1e9)).all()
    assert (daily["wau"].fillna(0) <= daily["mau"].fillna(1e9)).all()
    counts = study.concentration.counts
    assert (counts.index * counts).sum() == totals.revenue and counts.sum() == totals.users
    by_segment = study.conversion.groupby(["dimension", "window"])["payers"].sum().unstack()
    assert (by_segment.nunique() == 1).all()
    assert (test.balance.groupby("dimension")[["control", "test"]].sum()
            == test.groups["assigned"].to_numpy()).all(axis=None)
    by_day = test.by_day.groupby("group").sum(numeric_only=True)
    for name in ("converters", "buyers", "views", "paywall_purchases", "purchases", "revenue"):
        assert by_day[name].tolist() == test.groups[name].tolist()
    assert test.by_date.groupby("group")["converters"].sum().tolist() == (
        test.groups["converters"].tolist())


def test_groups_of_the_test_were_alike_before(study):
    """Randomised, so standardised differences before the assignment are noise."""
    wide = study.test.covariates.pivot(index="covariate", columns="group")
    pooled = (wide["variance"]["control"] + wide["variance"]["test"]) / 2
    size = 1 / wide["users"]["control"] + 1 / wide["users"]["test"]
    z = (wide["mean"]["test"] - wide["mean"]["control"]) / np.sqrt(pooled * size)
    assert z.abs().max() < 4
