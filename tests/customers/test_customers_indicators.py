"""The app's indicators: their reductions against loops, what was planted, odd and empty tables."""

from __future__ import annotations

import math
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from test_customers_reductions import Log, tables, world

from analysis import customers
from analysis.customers import events, indicators, kpis
from analysis.results import flatten
from analysis.simulate import customers as simulated
from analysis.simulate.customers import TRUTH
from analysis.sources import Tables
from analysis.stats import survival

KEYS = {
    "kpis": ("indicator",), "monthly": ("month",), "conversion": ("dimension", "value", "window"),
    "lifetime_value": ("blocks",), "retention_days": ("day",), "retention_blocks": ("block",),
    "horizons": ("window",), "group_horizons": ("group", "window"), "differences": ("window",),
    "odd_cohorts": ("cohort",), "pivot": ("country", "device"), "inequality": ("base", "measure"),
    "groups": ("group",),
}


def reduced(opened: Tables) -> SimpleNamespace:
    """The reductions that the indicators rest on, and these; no other part of the study."""
    period = events.period(opened)
    found = customers.reductions(opened, period)
    return SimpleNamespace(
        **found, indicators=indicators.indicators(opened, period, **found), period=period)


@pytest.fixture(scope="module", params=(3, 5))
def both(request):
    frames = world(request.param)
    opened = tables(frames)
    return Log(frames), opened, events.period(opened)


def counted(values) -> dict:
    values = list(values)
    return {value: values.count(value) for value in sorted(set(values))}


def as_dict(counts) -> dict:
    return {} if counts is None else dict(zip(counts.values, counts.counts, strict=True))


def test_recent_use(both):
    log, opened, period = both
    for days in (5, 7, 28):
        use = {}
        for uid, day in log.active:
            ago = (log.last - day).days
            if ago < days:
                active, weeks = use.setdefault(uid, (set(), set()))
                active.add(ago)
                if ago // 7 < days // 7:
                    weeks.add(ago // 7)
        expected = counted((len(active), len(weeks)) for active, weeks in use.values())
        found = kpis.recent_use(opened, period, days)
        assert {(r.active_days, r.active_weeks): r.users for r in found.itertuples()} == expected


def test_distributions_of_revenue_and_purchases(both):
    log, opened, period = both
    for days in kpis.WINDOWS:
        seen = [uid for uid, user in log.users.items()
                if user["reg_date"] + timedelta(days - 1) <= log.last]
        assert as_dict(kpis.revenue_within(opened, period, days)) == counted(
            log.spent(uid, days) for uid in seen)
    bought = [len(log.bought(uid)) for uid in log.users]
    assert as_dict(kpis.purchases_a_payer(opened)) == counted(n for n in bought if n)
    found = kpis.revenue_by_month(opened)
    spent: dict = {}
    for uid, day in log.active:
        spent.setdefault((day.isoformat()[:7], uid), 0)
    for row in log.sales:
        spent[row["date"].date().isoformat()[:7], row["uid"]] += row["price"]
    expected = counted((month, cents) for (month, _), cents in spent.items())
    assert {(r.month, r.revenue): r.users for r in found.itertuples()} == expected


def test_ratios_have_the_user_as_the_unit(both):
    log, opened, period = both
    rows = []
    for uid, user in log.users.items():
        views = [row for row in log.views if row["uid"] == uid]
        rows.append({"paid": sum(row["purchase"] for row in views), "views": len(views),
                     "revenue": log.spent(uid), "purchases": len(log.bought(uid)),
                     "tenure": (log.last - user["reg_date"]).days + 1})
    users = pd.DataFrame(rows)
    found = kpis.ratios(opened, period)
    for name, x, y in (("view_conversion", "paid", "views"),
                       ("order_value", "revenue", "purchases"),
                       ("revenue_per_day", "revenue", "tenure")):
        part = users[users[y] > 0]
        if len(part) < 2:
            assert found[name] is None
            continue
        pair = found[name]
        assert pair.n == len(part)
        assert pair.ratio == pytest.approx(part[x].sum() / part[y].sum())
        residual = part[x] - pair.ratio * part[y]
        error = math.sqrt((residual**2).sum() / (len(part) - 1) / len(part)) / part[y].mean()
        assert pair.standard_error == pytest.approx(error, abs=1e-12)


def test_revenue_blocks(both):
    log, opened, period = both
    at_risk, carried, products = kpis.revenue_blocks(opened, period)
    spans = {uid: ((log.last - user["reg_date"]).days + 1) // kpis.BLOCK
             for uid, user in log.users.items()}
    k = max(spans.values())
    amounts = {uid: np.zeros(k) for uid in spans}
    for uid, user in log.users.items():
        for row in log.bought(uid):
            block = (row["date"].date() - user["reg_date"]).days // kpis.BLOCK
            if block < spans[uid]:
                amounts[uid][block] += row["price"]
    assert list(at_risk) == [sum(s > j for s in spans.values()) for j in range(k)]
    for i in range(k):
        for j in range(i, k):
            there = [amounts[uid] for uid, s in spans.items() if s > j]
            assert carried[i, j] == sum(x[i] for x in there)
            assert products[i, j] == sum(x[i] * x[j] for x in there)


def test_first_purchase_by_group_adds_up(both):
    log, opened, period = both
    whole = kpis.first_purchase(opened, period)
    parts = kpis.first_purchase(opened, period, ("device", "registered"))
    pd.testing.assert_frame_equal(
        parts.groupby("days")[["purchased", "censored"]].sum().reset_index(), whole)
    middle = log.first + (log.last - log.first) / 2
    expected = counted(
        (user["device"], "later" if user["reg_date"] > middle
         or (user["reg_date"] == middle and (log.last - log.first).days % 2) else "earlier")
        for user in log.users.values())
    sizes = parts.groupby(["device", "registered"])[["purchased", "censored"]].sum().sum(axis=1)
    assert sizes.to_dict() == expected


def test_indicators_are_their_numerators_over_their_denominators(both):
    log, opened, _ = both
    s = reduced(opened)
    rows = s.indicators.kpis.set_index("indicator")
    last = [log.last - timedelta(k) for k in range(28)]
    dau = [len({uid for uid, on in log.active if on == day}) for day in last]
    assert rows.loc["dau", "value"] == pytest.approx(np.mean(dau))
    mau = len({uid for uid, on in log.active if on in last})
    assert rows.loc["mau", "value"] == mau == s.daily["mau"].iloc[-1]
    assert rows.loc["stickiness", "value"] == pytest.approx(np.mean(dau) / mau)
    weeks = [s.daily["wau"].iloc[-1 - 7 * k] for k in range(4)]
    assert rows.loc["wau", "value"] == pytest.approx(np.mean(weeks))
    for row in rows.itertuples():
        inside = row.low <= row.value <= row.high
        assert inside or math.isnan(row.low)
    flatten(s.indicators, KEYS)  # every row has a name of its own


@pytest.fixture(scope="module")
def shipped(customers_study):
    return customers_study


def test_view_conversion_is_the_planted_one(shipped):
    daily = shipped.daily
    row = shipped.indicators.kpis.set_index("indicator").loc["view_conversion"]
    test = TRUTH["test"]
    treated = daily["views_test_group"] * (daily["day"] < test["effect_until"])
    planted = TRUTH["conversion"]["average"] * np.where(
        daily["day"] >= TRUTH["release"]["date"], TRUTH["release"]["factor"], 1.0)
    expected = (planted * (daily["views"] + (test["factor"] - 1) * treated)).sum()
    assert row["low"] <= expected / daily["views"].sum() <= row["high"]
    naive = shipped.indicators.view_conversion_by_views
    assert row["high"] - row["low"] > 1.5 * (naive.high - naive.low)


def test_kaplan_meier_agrees_with_whole_windows_and_beats_the_naive_share(shipped):
    waiting = shipped.indicators.waiting
    whole = shipped.conversion[shipped.conversion["dimension"] == "all"].set_index("window")
    at = waiting.horizons.set_index("window")
    for window in kpis.WINDOWS:
        assert at.loc[window, "low"] <= whole.loc[window, "conversion"] <= at.loc[window, "high"]
        assert at.loc[window, "followed"] == whole.loc[window, "users"]
    # Of the users of the first year, all seen for a year: a plain share, which needs no method.
    first_year = shipped.cohorts[shipped.cohorts["cohort"] < "2024"]
    assert at.loc[365, "followed"] >= first_year.drop_duplicates("cohort")["users"].sum()
    assert waiting.naive_share < at.loc[365, "low"]
    assert math.isinf(waiting.median.estimate)
    assert at["mean_wait"].is_monotonic_increasing


def test_cutting_the_period_censors_but_does_not_bend_the_curve():
    """Half of the days give the same shares of the same users; the naive share moves."""
    frames, _ = simulated.generate(scale=0.3)
    typed = clean(frames)
    cut = pd.Timestamp("2023-12-31")
    early = {name: frame[frame[column] <= cut] for name, frame, column in (
        ("users", typed["users"], "reg_date"), ("purchases", typed["purchases"], "date"),
        ("paywall_views", typed["paywall_views"], "date"),
        ("paywall_test", typed["paywall_test"], "assigned_at"))}
    registered = early["users"]["uid"]
    later = typed | {"users": early["users"]} | {
        name: typed[name][typed[name]["uid"].isin(registered)]
        for name in ("purchases", "paywall_views", "paywall_test")}
    short, long = (opened(x) for x in (early, later))
    curve = {name: survival_of(t) for name, t in (("short", short), ("long", long))}
    for window in (7, 28, 90):
        a, b = (c.share_at(window - 1) for c in curve.values())
        assert abs(a.estimate - b.estimate) < (b.high - b.low) / 2
    naive = [1 - c.censored.sum() / c.n for c in curve.values()]
    assert naive[0] < naive[1]


def survival_of(t):
    waits = kpis.first_purchase(t, events.period(t))
    return survival.kaplan_meier(waits["days"], waits["purchased"], waits["censored"])


def clean(frames):
    """Simulated tables without the rows that the contract leaves out."""
    users = frames["users"].set_index("uid")["reg_date"]
    kept = {"users": frames["users"], "paywall_test": frames["paywall_test"]}
    for name in ("purchases", "paywall_views"):
        frame = frames[name].drop_duplicates()
        registered = frame["uid"].map(users)
        kept[name] = frame[registered.notna() & (frame["date"] >= registered)]
    return kept


def opened(frames) -> Tables:
    return tables({
        name: frame.assign(**{
            column: frame[column].astype("datetime64[us]")
            for column in ("date", "assigned_at") if column in frame
        } | ({"reg_date": pd.to_datetime(frame["reg_date"]).dt.date} if name == "users" else {}))
        for name, frame in frames.items()
    })


@pytest.fixture(scope="module")
def small():
    return clean(simulated.generate(seed=5, scale=0.1)[0])


@pytest.fixture(scope="module")
def reduced_small(small):
    return reduced(opened(small))


def test_the_waiting_list_is_found_and_nothing_else(shipped, small):
    odd = shipped.indicators.odd_cohorts
    assert odd["cohort"].tolist() == ["2023-01"]
    row = odd.iloc[0]
    assert row["busiest_day"] == "2023-01-01"
    assert row["busiest_users"] == pytest.approx(0.06 * shipped.totals.users, rel=0.1)
    assert row["low"] > 0.1  # they stay
    # Without those who registered on the first day no cohort stands out.
    users = small["users"]
    later = users[users["reg_date"] > users["reg_date"].min()]
    kept = {name: frame[frame["uid"].isin(later["uid"])] for name, frame in small.items()}
    assert reduced(opened(kept | {"users": later})).indicators.odd_cohorts.empty


def test_order_of_rows_and_names_of_users_do_not_matter(small, reduced_small):
    shuffled = {
        name: frame.sample(frac=1, random_state=3).assign(uid=lambda f: "x" + f["uid"].str[::-1])
        for name, frame in small.items()
    }
    a, b = (flatten(s.indicators, KEYS) for s in (reduced_small, reduced(opened(shuffled))))
    assert a.keys() == b.keys() and len(a) > 300
    for name, value in a.items():
        assert value == b[name] or math.isclose(value, b[name], rel_tol=1e-9, abs_tol=1e-12), name


def test_prices_in_another_unit_scale_what_is_money_and_nothing_else(small, reduced_small):
    sold = small["purchases"]
    tenfold = small | {"purchases": sold.assign(price=sold["price"] * 10)}
    a, b = reduced_small.indicators, reduced(opened(tenfold)).indicators
    one, ten = (i.kpis.set_index("indicator")[["value", "low", "high"]] for i in (a, b))
    money = [name for name in one.index if name.startswith(("arp", "order", "revenue"))]
    assert len(money) == 6
    np.testing.assert_allclose(ten.loc[money], 10 * one.loc[money], rtol=1e-9)
    rest = one.index.difference(money)
    np.testing.assert_allclose(ten.loc[rest], one.loc[rest], rtol=1e-12)
    pd.testing.assert_frame_equal(a.inequality, b.inequality)
    np.testing.assert_allclose(10 * a.lifetime_value["high"], b.lifetime_value["high"])


def test_lifetime_value_starts_at_the_arpu_of_the_first_block(shipped):
    i = shipped.indicators
    first = i.lifetime_value.iloc[0]
    arpu = i.kpis.set_index("indicator").loc["arpu_28"]
    assert first["users"] == arpu["denominator"]
    assert first["value"] == pytest.approx(arpu["value"])
    assert i.lifetime_value["value"].is_monotonic_increasing


def test_pivot_margins_are_sums_of_the_cells(shipped):
    pivot = shipped.indicators.pivot
    countries = pivot[pivot["device"] == "all"].set_index("country")
    assert countries.index[-2:].tolist() == ["others", "all"]
    inside = countries.index.drop("all")
    for column, total in (("users", shipped.totals.users), ("payers", shipped.totals.payers),
                          ("revenue", shipped.totals.revenue)):
        assert countries.loc[inside, column].sum() == countries.loc["all", column] == total
        cells = pivot[(pivot["country"] != "all") & (pivot["device"] != "all")]
        assert cells[column].sum() == total
    shown = countries.drop(index=["others", "all"])["users"]
    assert shown.is_monotonic_decreasing and len(shown) == indicators.PIVOT_COUNTRIES


def test_families_of_intervals_are_widened(shipped):
    """By Bonferroni: what is told apart from the rate of all is told apart at 0.05 / k."""
    frame = shipped.indicators.conversion
    part = frame[(frame["dimension"] == "country") & (frame["window"] == 28)]
    overall = frame[(frame["dimension"] == "all") & (frame["window"] == 28)]["rate"].item()
    z = (part["rate"] - overall) / np.sqrt(overall * (1 - overall) / part["users"])
    # A Wilson interval holds what a score test does not reject.
    critical = stats.norm.isf(0.025 / len(part))
    expected = np.where(z > critical, "above", np.where(z < -critical, "below", ""))
    assert part["side"].tolist() == expected.tolist()
    assert {"USA", "IND"} <= set(part.loc[part["side"] != "", "value"])
