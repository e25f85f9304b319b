"""Who stays and who pays, as told: true on the shipped tables, and on odd and empty ones."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis import customers
from analysis.customers import events, indicators
from analysis.report.customers import kpis as report
from analysis.report.text import Prose
from analysis.sources import Tables

SCHEMAS = {
    "users": {"uid": "string", "reg_date": "date", "device": "string", "gender": "string",
              "country": "string", "age": "int64"},
    "purchases": {"uid": "string", "date": "timestamp", "sku": "string", "price": "int64"},
    "paywall_views": {"uid": "string", "date": "timestamp", "purchase": "int64", "sku": "string",
                      "price": "int64"},
    "paywall_test": {"uid": "string", "group": "string", "assigned_at": "timestamp"},
}
FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}


def study(opened: Tables) -> SimpleNamespace:
    """What this topic's functions read of a study."""
    period = events.period(opened)
    found = customers.reductions(opened, period)
    return SimpleNamespace(
        **found, indicators=indicators.indicators(opened, period, **found))


def made(days=200, n=150, seed=1, *, buy=0.1, price=(99, 499, 4999), devices=("and", "iOS"),
         countries=("USA", "DEU", "IND"), ages=True, view=0.6) -> Tables:
    """Users who register over a period, see paywalls for a while, and buy at some."""
    rng = np.random.default_rng(seed)
    start = pd.Timestamp("2024-01-01")
    registered = np.sort(rng.integers(0, days, n))
    registered[[0, -1]] = 0, days - 1  # the period is as long as asked for
    uid = np.array([f"u{i}" for i in range(n)], dtype=object)
    users = pd.DataFrame({
        "uid": uid, "reg_date": (start + pd.to_timedelta(registered, "D")).date,
        "device": rng.choice(devices, n),
        "gender": rng.choice(np.array(["F", "M", None], dtype=object), n),
        "country": rng.choice(countries, n),
        "age": pd.array(rng.integers(15, 70, n) if ages else [pd.NA] * n, dtype="Int64"),
    })
    count = rng.poisson(4, n) * (rng.random(n) < view)
    who = np.repeat(np.arange(n), count)
    day = registered[who] + rng.geometric(0.1, who.size) - 1
    who, day = who[day < days], day[day < days]
    at = (start + pd.to_timedelta(day * 86_400 + rng.integers(0, 86_400, day.size), "s")).as_unit(
        "us")
    bought = rng.random(who.size) < buy
    cents = rng.choice(price, who.size)
    views = pd.DataFrame({
        "uid": uid[who], "date": at, "purchase": bought.astype(int),
        "sku": np.where(bought, "coins", None), "price": pd.array(cents, dtype="Int64"),
    })
    views.loc[~bought, "price"] = pd.NA
    frames = {
        "users": users, "paywall_views": views,
        "purchases": views.loc[bought, ["uid", "date", "sku", "price"]],
        "paywall_test": pd.DataFrame(
            {"uid": [], "group": [], "assigned_at": pd.to_datetime([]).as_unit("us")}),
    }
    return Tables("customers", "a test", False, False, held(frames, SCHEMAS))


CASES = {
    "a week": {"days": 7},
    "five weeks": {"days": 35},
    "no purchases": {"buy": 0.0, "ages": False},
    "free of charge": {"price": (0,), "countries": ("*a*|b", "<i>")},
    "everybody buys": {"buy": 1.0, "view": 1.0, "price": (499,)},
    "no views": {"view": 0.0},
    "one device and country": {"devices": ("iOS",), "countries": ("USA",)},
    "two users": {"n": 2, "buy": 1.0},
    "three years": {"days": 1100, "n": 900, "countries": tuple(f"C{i:02d}" for i in range(60))},
}


DRAWN = ("five weeks", "two users", "one device and country", "three years")


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = study(made(**CASES[name]))
        return found[name]

    return get


@pytest.fixture(scope="module")
def shipped(customers_study):
    return customers_study


def told(s) -> dict[str, str]:
    """Every sentence, with plain spaces."""
    return {name: FUNCTIONS[name](s).replace("\xa0", " ") for name in FUNCTIONS
            if not name.endswith(("_figure", "_table"))}


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.filterwarnings("ignore:geom_path")  # one month has no line
def test_nothing_is_told_that_is_no_number(name, cases):
    """No table breaks a sentence: no "nan", no empty interval, no figure that can't be drawn."""
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose) and found, (name, function)
        assert not re.search(r"\b(nan|inf|None|NaT)\b", found), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        assert not re.search(r"(?<![\d.])1 (users|days|months|cohorts|purchases|steps)\b", found), (
            name, function, found)
        if "|" not in found:
            assert found.endswith("."), (name, function, found)
            assert "–" not in found, (name, function, found)


def test_without_purchases_the_sentences_say_so(cases):
    s = cases("no purchases")
    for name in ("marketing", "naive_share", "waiting_figure"):
        assert FUNCTIONS[name](s) == report.NO_PURCHASES
    assert "no averages to compare" in report.two_averages(s)
    assert "no revenue" in report.inequality(s) and "no revenue" in report.lorenz_figure(s)
    assert "No user has brought any revenue" in report.lifetime_value(s)
    assert "0.0% buy within 7 days (0.0% to" in told(s)["conversion"]


@pytest.mark.parametrize("name", ["five weeks", "no views"])
def test_no_wait_is_told_that_was_not_watched(name, cases):
    """Windows stop where nobody was seen any more."""
    horizons = cases(name).indicators.waiting.horizons["window"].tolist()
    assert horizons == ([7, 28] if name == "five weeks" else [7, 28, 90])


def test_a_median_is_told_where_there_is_one(cases, shipped):
    assert "no median time" in report.median(shipped)
    assert report.median(cases("no views")) == report.NO_PURCHASES
    everybody = cases("everybody buys")
    median = everybody.indicators.waiting.median.estimate
    assert np.isfinite(median)
    assert f"Half of all users have bought by day {median:.0f}" in report.median(everybody)


def test_short_periods_tell_what_they_can(cases):
    week = cases("a week")
    assert report.lifetime_value(week) == report.TOO_FEW
    assert report.countries_figure(week) == report.TOO_SHORT
    assert report.monthly(week) == report.NO_MONTH
    assert "shorter than 28 days" in report.usage(week)
    assert "within 7 days" in report.conversion(week) and "28" not in report.conversion(week)
    assert "MAU" not in report.indicators_table(week)
    assert "MAU" in report.indicators_table(cases("five weeks"))


def test_one_group_is_not_compared(cases):
    s = cases("one device and country")
    assert "one device only" in report.devices(s)
    assert "fewer than two countries" in report.countries(s)
    assert report.pivot_table(s).count("|:") <= 5  # no margin over one device


def test_many_countries_are_cut_and_counted(cases):
    s = cases("three years")
    assert "With 60 countries" in report.countries(s)
    assert f"the {report.MOST_COUNTRIES} with the most users" in report.countries(s)
    assert len(report.countries_figure(s).data) == report.MOST_COUNTRIES
    assert "all others" in report.pivot_table(s)


def test_shipped_sentences_say_what_was_planted(shipped):
    said = told(shipped)
    assert "That of January 2023" in said["odd_cohorts"]
    assert "on a single day, 1 January 2023" in said["odd_cohorts"]
    assert "percentage points more" in said["odd_cohorts"]
    assert "minus iOS \u2212" in said["devices"]  # iOS converts 1.4 times as often
    assert "does not quite hold" in said["late_users"]  # the release came in between
    assert "turns up" in said["retention_tail"]  # the waiting list stays
    assert "too low" in said["naive_share"]
    assert "By gender and age no group can be told" in said["segments"]
    assert "iOS lies above it and Android lies below it" in said["segments"]


def test_numbers_in_sentences_are_those_of_the_results(shipped):
    i = shipped.indicators
    row = i.kpis.set_index("indicator").loc["stickiness"]
    assert f"a stickiness of {100 * row['value']:.1f}%" in report.usage(shipped)
    year = i.waiting.horizons.set_index("window").loc[365]
    assert f"{100 * year['share']:.1f}% (95% interval {100 * year['low']:.1f}%" in (
        told(shipped)["naive_share"])
    top = i.inequality.set_index(["base", "measure"]).loc[("users", "top_1"), "value"]
    assert f"bring {100 * top:.0f}% of revenue" in report.inequality(shipped)
    # Of the users who are left: 1% fewer people share what is left of revenue.
    levels = shipped.concentration.counts
    spent = np.repeat(levels.index.to_numpy(), levels.to_numpy())  # ascending
    without = spent[: round(0.99 * spent.size)].mean() / 100
    assert f"would be {without:.2f} instead" in report.inequality(shipped)


def test_shares_and_their_difference_add_up_in_sentences(shipped):
    said = told(shipped)["late_users"]
    found = re.search(
        r"days ([\d.]+)% of .* bought and ([\d.]+)% of .* so ([\d.]+) percentage", said)
    old, new, gap = map(float, found.groups())
    assert new - old == pytest.approx(gap)
    said = told(shipped)["devices"]
    found = re.search(
        r"([\d.]+)% on Android and ([\d.]+)% on iOS .* iOS \u2212([\d.]+) percentage", said)
    android, ios, gap = map(float, found.groups())
    assert ios - android == pytest.approx(gap)


def test_who_was_never_active_was_not_until_the_end_of_the_period(shipped, cases):
    t = shipped.totals
    never = t.users - t.active_users
    assert f"and {never:,} users ({100 * never / t.users:.0f}%) had not been by the end of the" in (
        told(shipped)["day_zero"])
    assert "had not been" not in told(cases("everybody buys"))["day_zero"] or (
        cases("everybody buys").totals.active_users < cases("everybody buys").totals.users)


def test_tables_hold_a_row_for_each_and_fit(shipped):
    rows = {name: f(shipped).split("\n") for name, f in FUNCTIONS.items()
            if name.endswith("_table")}
    assert len(rows["indicators_table"]) == 2 + len(report.INDICATORS)
    assert len(rows["cohort_table"]) == 2 + 24
    assert len(rows["pivot_table"]) == 2 + indicators.PIVOT_COUNTRIES + 2
    assert rows["cohort_table"][0].count("|") <= 11
    for line in rows["cohort_table"][2:]:
        values = [float(cell) for cell in line.split("|")[3:-1] if "–" not in cell]
        assert values == sorted(values)  # cumulative


def test_what_short_tables_lack_is_named_as_what_it_is(cases):
    """Nobody followed for long is not nobody who bought."""
    week, none, free = cases("a week"), cases("no purchases"), cases("free of charge")
    assert week.totals.purchases and "Nobody was seen for 28 days" in report.two_averages(week)
    assert "No revenue within 28 days" in report.two_averages(none) == report.two_averages(free)
    for f in (report.countries, report.segments):
        assert f(week) == report.TOO_SHORT != f(none)
    nobody = SimpleNamespace(conversion=week.indicators.conversion[:0])
    assert report.not_stated(SimpleNamespace(indicators=nobody)) == report.TOO_SHORT
    assert "group of their own" in report.not_stated(week)
    alone = SimpleNamespace(
        totals=SimpleNamespace(revenue=999), indicators=cases("no purchases").indicators)
    for f in (report.unequal, report.inequality, report.inequality_table):
        assert "single user" in f(alone) and "no revenue" in f(none)
    assert "lines people up" in report.unequal(week)


@pytest.mark.parametrize("value, low, users, said", [
    (0.0, np.nan, 3, "No view ended in a purchase, and so"),
    (1.0, np.nan, 3, "Every view ended in a purchase, and so"),
    (0.5, np.nan, 1, "Too few users saw a paywall, and so"),
    (0.5, 0.1, 3, "with the user as the unit"),
])
def test_why_conversion_of_views_has_no_interval_is_told_as_it_is(cases, value, low, users, said):
    kpis = pd.DataFrame([{"indicator": "view_conversion", "value": value, "low": low,
                          "high": low + 0.5, "denominator": 6}])
    s = SimpleNamespace(
        totals=SimpleNamespace(viewers=users),
        indicators=SimpleNamespace(kpis=kpis, view_conversion_by_views=SimpleNamespace(
            low=0.1, high=0.6)))
    assert said in report.views_clustered(s)
    assert "Nobody saw a paywall" in report.views_clustered(cases("no views"))


def test_how_long_users_were_watched_is_told_from_the_tables(cases):
    week, years = cases("a week"), cases("three years")
    assert "watched for 6 days and those who registered last for 0 days" in report.watched(week)
    assert "watched for 1,099 days and" in report.watched(years)
    one = SimpleNamespace(
        totals=SimpleNamespace(users=2, last_day="2024-03-02"),
        retention=pd.DataFrame({"day": [0, 1], "at_risk": [2, 2]}))
    assert report.watched(one).replace("\xa0", " ") == (
        "The tables end on 2 March 2024, and by then every user had been watched for 1 day.")


def test_a_curve_of_retention_is_announced_where_there_is_one(cases):
    for name in ("no views", "five weeks"):
        drawn = isinstance(report.retention_figure(cases(name)), p9.ggplot)
        assert drawn == ("@fig-customers-retention" in report.follows(cases(name)))
        assert drawn == (name == "five weeks")
    for name in ("five weeks", "everybody buys"):
        zero = cases(name).retention["retention"].iloc[0]
        assert f"By that measure {100 * zero:.1f}% were active" in report.day_zero(cases(name))
        assert "curve" not in report.day_zero(cases(name))
    once = cases("five weeks").retention.assign(
        active=lambda frame: (frame["day"] == 3).astype(int))
    assert "on one day after that of registration" in report.retention_figure(
        SimpleNamespace(retention=once))


def test_names_from_the_tables_are_escaped(cases):
    s = cases("free of charge")
    for name in ("pivot_table", "countries"):
        assert "*a*|b" not in FUNCTIONS[name](s) and "<i>" not in FUNCTIONS[name](s)
