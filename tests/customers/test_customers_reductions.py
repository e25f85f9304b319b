"""The reductions of the app's study against slow, obvious loops over the rows."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from datetime import date, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from held import held

from analysis import customers
from analysis.customers import cohorts, events, kpis, paywall, series
from analysis.days import iso_day, iso_month
from analysis.sources import Tables

FIRST, DAYS = date(2024, 1, 20), 75  # over a leap day and three turns of the month
SEEDS = range(7)


def world(seed: int) -> dict[str, pd.DataFrame]:
    """Small random tables with everything that is allowed to happen.

    Users without rows, missing covariates, views without time of day, several rows in a second,
    paid views without a purchase, prices of 0, assigned users who never come back, horizons that
    the period cuts off; some worlds have no purchases, or nobody in one of the groups.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 40))
    uids = rng.permutation(1000)[:n].astype(str)
    registered = rng.integers(0, DAYS, n)
    users = pd.DataFrame({
        "uid": uids,
        "reg_date": [FIRST + timedelta(int(day)) for day in registered],
        "device": rng.choice(["and", "iOS"], n),
        "gender": rng.choice(np.array(["F", "M", "other", None], dtype=object), n),
        "country": rng.choice(["USA", "BRA", "DEU"], n, p=[0.6, 0.3, 0.1]),
        "age": pd.array(rng.choice([13, 17, 18, 24, 25, 34, 35, 44, 45, 54, 55, 99, -1], n),
                        dtype="Int64"),
    })
    users.loc[users["age"] == -1, "age"] = pd.NA

    def moments(size, favourite=0):
        who = rng.integers(0, n, size) // (1 + favourite)
        day = registered[who] + np.floor((DAYS - registered[who]) * rng.random(size) ** 2)
        second = rng.choice([0, 0, 3600, 40_000, 86_399], size)
        return uids[who], [datetime.combine(FIRST, datetime.min.time()) + timedelta(int(d), int(s))
                           for d, s in zip(day, second, strict=True)]

    seen, at = moments(int(rng.integers(1, 400)))
    paid = rng.random(len(seen)) < 0.15
    price = rng.choice([99, 299, 1999, 0], len(seen))
    views = pd.DataFrame({
        "uid": seen, "date": pd.to_datetime(at).astype("datetime64[us]"), "purchase": paid * 1,
        "sku": np.where(paid, np.array(["a", "b", "c", "free"])[price % 7 % 4], None),
        "price": pd.array(np.where(paid, price, -1), dtype="Int64"),
    })
    views.loc[~paid, "price"] = pd.NA
    elsewhere, at = moments(0 if seed % 6 == 5 else int(rng.integers(0, 60)), favourite=1)
    cents = rng.choice([99, 299, 1999, 0], len(elsewhere))
    purchases = pd.concat([
        views.loc[paid & (rng.random(len(paid)) < 0.9) & (seed % 6 != 5),
                  ["uid", "date", "sku", "price"]],
        pd.DataFrame({
            "uid": elsewhere, "date": pd.to_datetime(at).astype("datetime64[us]"),
            "sku": np.array(["a", "b", "c", "free"], dtype=object)[cents % 7 % 4],
            "price": pd.array(cents, dtype="Int64"),
        }),
    ], ignore_index=True)
    in_test = rng.permutation(n)[: max(1, n // 2)]
    when = [datetime.combine(FIRST, datetime.min.time())
            + timedelta(int(rng.integers(registered[i], DAYS)), int(rng.choice([0, 3600, 50_000])))
            for i in in_test]
    test = pd.DataFrame({
        "uid": uids[in_test],
        "group": rng.choice(["control", "test"] if seed % 5 else ["test"], len(in_test)),
        "assigned_at": pd.to_datetime(when).astype("datetime64[us]"),
    })
    return {"users": users, "purchases": purchases, "paywall_views": views, "paywall_test": test}


def tables(frames: dict[str, pd.DataFrame]) -> Tables:
    """Tables typed as the study gets them from any source."""
    schemas = {
        "users": {"uid": "string", "reg_date": "date", "device": "string", "gender": "string",
                  "country": "string", "age": "int64"},
        "purchases": {"uid": "string", "date": "timestamp", "sku": "string", "price": "int64"},
        "paywall_views": {"uid": "string", "date": "timestamp", "purchase": "int64",
                          "sku": "string", "price": "int64"},
        "paywall_test": {"uid": "string", "group": "string", "assigned_at": "timestamp"},
        "planned_split": {"group": "string", "share": "float64"},
    }
    return Tables("customers", "a test", False, False, held(frames, schemas))


class Log:
    """A world as plain Python: lists of rows, and the rules of the study as loops."""

    def __init__(self, frames: dict[str, pd.DataFrame]):
        def rows(name):
            return [
                {k: None if pd.isna(v) else v for k, v in row.items()}
                for row in frames[name].to_dict("records")
            ]

        self.users = {row["uid"]: row for row in rows("users")}
        self.sales, self.views = rows("purchases"), rows("paywall_views")
        self.test = rows("paywall_test")
        dates = [row["reg_date"] for row in self.users.values()]
        dates += [row["date"].date() for row in self.sales + self.views]
        dates += [row["assigned_at"].date() for row in self.test]
        self.first, self.last = min(dates), max(dates)
        self.calendar = [self.first + timedelta(k)
                         for k in range((self.last - self.first).days + 1)]
        self.active = {(row["uid"], row["date"].date()) for row in self.sales + self.views}

    def has_whole(self, month):
        there = sum(day.isoformat()[:7] == month for day in self.calendar)
        return there == pd.Period(month).days_in_month

    def bought(self, uid, below=10**6):
        """A user's purchases within so many days of registration."""
        registered = self.users[uid]["reg_date"]
        return [row for row in self.sales if row["uid"] == uid
                and (row["date"].date() - registered).days < below]

    def spent(self, uid, below=10**6):
        return sum(row["price"] for row in self.bought(uid, below))

    def segment(self, uid, dimension):
        user = self.users[uid]
        if dimension == "all":
            return "all"
        if dimension == "cohort":
            return user["reg_date"].isoformat()[:7]
        if dimension == "age_band":
            age = user["age"]
            if age is None:
                return "not stated"
            for oldest, band in ((17, "13-17"), (24, "18-24"), (34, "25-34"), (44, "35-44"),
                                 (54, "45-54"), (999, "55+")):
                if age <= oldest:
                    return band
        return user[dimension] or "not stated"


def variance(values):
    return statistics.variance(values) if len(values) > 1 else math.nan


def covariance(x, y):
    return float(np.cov(np.array(x, float), np.array(y, float))[0, 1]) if len(x) > 1 else math.nan


def ratio(a, b):
    return a / b if b else math.nan


def same(frame: pd.DataFrame, rows: list[dict]) -> None:
    """Asserts that a result has these rows, in this order, with these columns."""
    expected = pd.DataFrame(rows, columns=frame.columns)
    pd.testing.assert_frame_equal(
        frame.reset_index(drop=True), expected, check_dtype=False, rtol=1e-9, atol=1e-7)


@pytest.fixture(scope="module", params=SEEDS)
def both(request):
    frames = world(request.param)
    opened = tables(frames)
    return Log(frames), opened, events.period(opened)


@pytest.fixture(scope="module")
def tested(both):
    _, opened, period = both
    return paywall.paywall_test(opened, period)


def test_period(both):
    log, _, period = both
    assert iso_day(period.days) == [day.isoformat() for day in log.calendar]
    months = sorted({day.isoformat()[:7] for day in log.calendar})
    assert iso_month(period.months) == months
    assert list(map(period.has_whole, period.months)) == list(map(log.has_whole, months))


def test_daily(both):
    log, opened, period = both
    assigned = {row["uid"]: row["assigned_at"] for row in log.test if row["group"] == "test"}
    rows = []
    for i, day in enumerate(log.calendar):
        views = [row for row in log.views if row["date"].date() == day]
        sales = [row for row in log.sales if row["date"].date() == day]

        def unique(days, day=day):
            return len({uid for uid, on in log.active if 0 <= (day - on).days < days})

        mau = unique(28) if i >= 27 else math.nan
        rows.append({
            "day": day.isoformat(),
            "registrations": sum(user["reg_date"] == day for user in log.users.values()),
            "views": len(views),
            "views_test_group": sum(row["uid"] in assigned and row["date"] >= assigned[row["uid"]]
                                    for row in views),
            "paid_views": sum(row["purchase"] for row in views),
            "purchasers": len({row["uid"] for row in sales}),
            "purchases": len(sales),
            "revenue": sum(row["price"] for row in sales),
            "dau": unique(1),
            "wau": unique(7) if i >= 6 else math.nan,
            "mau": mau,
            "stickiness": ratio(unique(1), mau),
        })
    same(series.daily(opened, period), rows)


def test_monthly(both):
    log, opened, period = both
    rows = []
    for month in sorted({day.isoformat()[:7] for day in log.calendar}):
        users = {uid for uid, day in log.active if day.isoformat()[:7] == month}
        sales = [row for row in log.sales if row["date"].date().isoformat()[:7] == month]
        spent = {uid: sum(row["price"] for row in sales if row["uid"] == uid) for uid in users}
        payers = {row["uid"] for row in sales}
        revenue = sum(row["price"] for row in sales)
        rows.append({
            "month": month,
            "complete": log.has_whole(month),
            "registrations": sum(user["reg_date"].isoformat()[:7] == month
                                 for user in log.users.values()),
            "users": len(users), "payers": len(payers), "purchases": len(sales),
            "revenue": revenue,
            "revenue_variance": variance(list(spent.values())),
            "payer_variance": variance([spent[uid] for uid in payers]),
            "conversion": ratio(len(payers), len(users)), "arpu": ratio(revenue, len(users)),
            "arppu": ratio(revenue, len(payers)),
        })
    same(series.monthly(opened, period), rows)


def test_totals(both):
    log, opened, period = both
    viewers = {row["uid"] for row in log.views}
    payers = {row["uid"] for row in log.sales}
    spent = [log.spent(uid) for uid in log.users]
    found = kpis.totals(opened, period)
    assert found == pytest.approx(kpis.Totals(
        first_day=log.first.isoformat(), last_day=log.last.isoformat(), days=len(log.calendar),
        users=len(log.users), active_users=len(viewers | payers), viewers=len(viewers),
        paywall_buyers=len({row["uid"] for row in log.views if row["purchase"]}),
        payers=len(payers), repeat_payers=sum(len(log.bought(uid)) > 1 for uid in log.users),
        views=len(log.views), paid_views=sum(row["purchase"] for row in log.views),
        purchases=len(log.sales), revenue=sum(spent), revenue_variance=found.revenue_variance,
        payer_variance=found.payer_variance,
    ))
    assert found.revenue_variance == pytest.approx(variance(spent), nan_ok=True)
    assert found.payer_variance == pytest.approx(
        variance([log.spent(uid) for uid in payers]), nan_ok=True)
    assert found.arpu == sum(spent) / len(log.users)
    assert found.arppu == pytest.approx(ratio(sum(spent), len(payers)), nan_ok=True)


def test_conversion_counts_only_whole_windows(both):
    log, opened, period = both
    rows = []
    for dimension in ("all", "cohort", "country", "device", "gender", "age_band"):
        for days in (7, 28):
            whole = defaultdict(list)
            for uid, user in log.users.items():
                if user["reg_date"] + timedelta(days - 1) <= log.last:
                    whole[log.segment(uid, dimension)].append(uid)
            for value, uids in sorted(whole.items()):
                spent = [log.spent(uid, days) for uid in uids]
                payers = [uid for uid in uids if log.bought(uid, days)]
                rows.append({
                    "dimension": dimension, "value": value, "window": days, "users": len(uids),
                    "payers": len(payers),
                    "purchases": sum(len(log.bought(uid, days)) for uid in uids),
                    "revenue": sum(spent), "revenue_variance": variance(spent),
                    "payer_variance": variance([log.spent(uid, days) for uid in payers]),
                    "conversion": len(payers) / len(uids), "arpu": sum(spent) / len(uids),
                    "arppu": ratio(sum(spent), len(payers)),
                })
    same(kpis.conversion(opened, period), rows)


def test_profiles_add_up_to_the_conversion(both):
    log, opened, period = both
    profiles = kpis.profiles(opened, period, 28)
    cells = defaultdict(list)
    for uid, user in log.users.items():
        if user["reg_date"] + timedelta(27) <= log.last:
            cells[tuple(log.segment(uid, name) for name in events.SEGMENTS)].append(uid)
    same(profiles, [
        dict(zip(events.SEGMENTS, key, strict=True)) | {
            "users": len(uids), "payers": sum(bool(log.bought(uid, 28)) for uid in uids),
            "revenue": sum(log.spent(uid, 28) for uid in uids),
            "revenue_variance": variance([log.spent(uid, 28) for uid in uids]),
            "age_total": sum(log.users[uid]["age"] or 0 for uid in uids),
            "revenue_squares": sum(log.spent(uid, 28) ** 2 for uid in uids),
            "revenue_cubes": sum(log.spent(uid, 28) ** 3 for uid in uids),
            "revenue_fourths": sum(log.spent(uid, 28) ** 4 for uid in uids),
        } for key, uids in sorted(cells.items())
    ])


def test_first_purchase_counts_every_user_once(both):
    log, opened, period = both
    counts = defaultdict(lambda: [0, 0])
    for uid, user in log.users.items():
        days = [(row["date"].date() - user["reg_date"]).days for row in log.bought(uid)]
        counts[min(days) if days else (log.last - user["reg_date"]).days][not days] += 1
    same(kpis.first_purchase(opened, period), [
        {"days": days, "purchased": a, "censored": b} for days, (a, b) in sorted(counts.items())
    ])


def test_retention(both):
    log, opened, period = both
    rows = []
    for k in range(len(log.calendar)):
        at_risk = [uid for uid, user in log.users.items()
                   if user["reg_date"] + timedelta(k) <= log.last]
        active = sum((uid, log.users[uid]["reg_date"] + timedelta(k)) in log.active
                     for uid in at_risk)
        if at_risk:
            rows.append({"day": k, "at_risk": len(at_risk), "active": active,
                         "retention": active / len(at_risk)})
    same(kpis.retention(opened, period), rows)


def test_concentration(both):
    log, opened, _ = both
    found = kpis.concentration(opened)
    spent = sorted((log.spent(uid) for uid in log.users), reverse=True)
    paid = [cents for cents in spent if cents]
    assert (found.users, found.payers) == (len(spent), len(paid))
    assert found.counts.to_dict() == {cents: spent.count(cents) for cents in spent}
    shares = found.shares.set_index(["base", "top"])["revenue_share"]
    for base, values, gini in (("users", spent, found.gini_users),
                               ("payers", paid, found.gini_payers)):
        for top in (0.01, 0.05, 0.1, 0.2, 0.5, 1.0):
            left, taken = top * len(values), 0.0
            for cents in values:
                taken += cents * min(max(left, 0), 1)
                left -= 1
            assert shares[base, top] == pytest.approx(ratio(taken, sum(values)), nan_ok=True)
        # Half the mean absolute difference over the mean.
        differences = sum(abs(a - b) for a in values for b in values)
        assert gini == pytest.approx(
            ratio(differences, 2 * len(values) * sum(values)), abs=1e-12, nan_ok=True)


def test_skus(both):
    log, opened, _ = both
    total = sum(row["price"] for row in log.sales)
    rows = []
    for sku in {row["sku"] for row in log.sales}:
        sold = [row for row in log.sales if row["sku"] == sku]
        revenue = sum(row["price"] for row in sold)
        rows.append({
            "sku": sku, "price_low": min(row["price"] for row in sold),
            "price_high": max(row["price"] for row in sold), "purchases": len(sold),
            "paywall_purchases": sum(row["sku"] == sku for row in log.views),
            "buyers": len({row["uid"] for row in sold}), "revenue": revenue,
            "revenue_share": revenue / max(total, 1),
        })
    same(kpis.skus(opened), sorted(rows, key=lambda row: (-row["revenue"], row["sku"])))


def test_country_by_device(both):
    log, opened, _ = both
    cells = defaultdict(list)
    for uid, user in log.users.items():
        cells[user["country"], user["device"]].append(uid)
    same(kpis.country_by_device(opened), [
        {"country": country, "device": device, "users": len(uids),
         "payers": (payers := sum(bool(log.bought(uid)) for uid in uids)),
         "purchases": sum(len(log.bought(uid)) for uid in uids),
         "revenue": (revenue := sum(map(log.spent, uids))),
         "conversion": payers / len(uids), "arpu": revenue / len(uids),
         "arppu": ratio(revenue, payers)}
        for (country, device), uids in sorted(cells.items())
    ])


def test_cohorts(both):
    log, opened, period = both
    months = sorted({day.isoformat()[:7] for day in log.calendar})
    rows = []
    for cohort in sorted({log.segment(uid, "cohort") for uid in log.users}):
        uids = {uid for uid in log.users if log.segment(uid, "cohort") == cohort}
        so_far = 0
        for k, month in enumerate(months[months.index(cohort):]):
            sales = [row for row in log.sales
                     if row["uid"] in uids and row["date"].date().isoformat()[:7] == month]
            active = {uid for uid, day in log.active
                      if uid in uids and day.isoformat()[:7] == month}
            so_far += sum(row["price"] for row in sales)
            rows.append({
                "cohort": cohort, "months_since": k,
                "complete": log.has_whole(month),
                "users": len(uids), "active": len(active),
                "payers": len({row["uid"] for row in sales}), "purchases": len(sales),
                "revenue": sum(row["price"] for row in sales),
                "retention": len(active) / len(uids), "revenue_per_user": so_far / len(uids),
            })
    same(cohorts.cohorts(opened, period), rows)


def outcome(log: Log, row: dict) -> dict:
    """What happened to an assigned user within the horizon and as long before."""
    horizon, at, uid = timedelta(paywall.HORIZON), row["assigned_at"], row["uid"]

    def within(rows):
        return [r for r in rows if r["uid"] == uid and at <= r["date"] < at + horizon]

    def before(rows):
        return [r for r in rows if r["uid"] == uid and at - horizon <= r["date"] < at]

    views, sales = within(log.views), within(log.sales)
    paid = [r for r in views if r["purchase"]]
    return {
        "group": row["group"], "at": at, "user": log.users[uid],
        "whole": at.date() + horizon <= log.last,
        "rows": {"views": views, "paid": paid, "sales": sales},
        "views": len(views), "paywall_purchases": len(paid), "purchases": len(sales),
        "revenue": sum(r["price"] for r in sales),
        "age": log.users[uid]["age"],
        "days_registered": (at.date() - log.users[uid]["reg_date"]).days,
        "prior_views": len(before(log.views)), "prior_purchases": len(before(log.sales)),
        "prior_revenue": sum(r["price"] for r in before(log.sales)),
    }


def test_paywall_groups(both, tested):
    log, found = both[0], tested
    everybody = [outcome(log, row) for row in log.test]
    rows = []
    for group in ("control", "test"):
        assigned = [o for o in everybody if o["group"] == group]
        users = [o for o in assigned if o["whole"]]
        row = {
            "group": group, "assigned": len(assigned), "users": len(users),
            "viewers": sum(o["views"] > 0 for o in users),
            "converters": sum(o["paywall_purchases"] > 0 for o in users),
            "buyers": sum(o["purchases"] > 0 for o in users),
        }
        for name in paywall.OUTCOMES:
            row[name] = sum(o[name] for o in users)
            row[f"{name}_variance"] = variance([o[name] for o in users])
        for name in ("paywall_purchases", "revenue"):
            row[f"{name}_views_covariance"] = covariance(
                [o[name] for o in users], [o["views"] for o in users])
        rows.append(row)
        spent = [o["revenue"] for o in users]
        assert found.revenue[group].to_dict() == {cents: spent.count(cents) for cents in spent}
    same(found.groups, rows)

    rows = []
    for name in paywall.COVARIATES:
        for group in ("control", "test"):
            users = [o for o in everybody
                     if o["group"] == group and o["whole"] and o[name] is not None]
            values = [int(o[name]) for o in users]
            rows.append({
                "covariate": name, "group": group, "users": len(users),
                "mean": ratio(sum(values), len(values)), "variance": variance(values),
                "converted_covariance": covariance(
                    values, [o["paywall_purchases"] > 0 for o in users]),
                "revenue_covariance": covariance(values, [o["revenue"] for o in users]),
            })
    same(found.covariates, rows)


def test_paywall_days(both, tested):
    log, found = both[0], tested
    everybody = [outcome(log, row) for row in log.test]
    rows = []
    for group in ("control", "test"):
        users = [o for o in everybody if o["group"] == group and o["whole"]]
        for k in range(paywall.HORIZON):
            on = {name: [[r for r in o["rows"][name] if (r["date"] - o["at"]).days == k]
                         for o in users] for name in ("views", "paid", "sales")}
            rows.append({
                "group": group, "day": k,
                "converters": sum(
                    (min(r["date"] for r in o["rows"]["paid"]) - o["at"]).days == k
                    for o in users if o["rows"]["paid"]),
                "buyers": sum((min(r["date"] for r in o["rows"]["sales"]) - o["at"]).days == k
                              for o in users if o["rows"]["sales"]),
                "views": sum(map(len, on["views"])),
                "paywall_purchases": sum(map(len, on["paid"])),
                "purchases": sum(map(len, on["sales"])),
                "revenue": sum(r["price"] for some in on["sales"] for r in some),
            })
    same(found.by_day, rows)

    first = min(o["at"].date() for o in everybody)
    last = min(max(o["at"].date() for o in everybody) + timedelta(paywall.HORIZON), log.last)
    rows = []
    for group in ("control", "test"):
        for k in range((last - first).days + 1):
            day = first + timedelta(k)
            rows.append({"group": group, "day": day.isoformat(), "assigned": sum(
                o["at"].date() == day for o in everybody if o["group"] == group)} | {
                name: sum(min(r["date"] for r in o["rows"][of]).date() == day
                          for o in everybody if o["group"] == group and o["rows"][of])
                for name, of in (("converters", "paid"), ("buyers", "sales"))
            })
    same(found.by_date, rows)


def test_paywall_balance(both, tested):
    log = both[0]
    counts = defaultdict(lambda: [0, 0])
    for row in log.test:
        for i, dimension in enumerate((*events.SEGMENTS, "newcomer")):
            value = ("yes" if row["assigned_at"].date() == log.users[row["uid"]]["reg_date"]
                     else "no") if dimension == "newcomer" else log.segment(row["uid"], dimension)
            counts[i, dimension, value][row["group"] == "test"] += 1
    same(tested.balance, [
        {"dimension": dimension, "value": value, "control": a, "test": b}
        for (_, dimension, value), (a, b) in sorted(counts.items())
    ])


@pytest.fixture(scope="module")
def numbers():
    """Every number of a world."""
    return customers.results(tables(world(1)))


def test_results_know_every_number_and_only_numbers(numbers):
    found, held = numbers, tables(world(1))
    assert found["totals.users"] == len(world(1)["users"])
    first = series.daily(held, events.period(held))["day"].iloc[0].replace("-", "_")
    expected = {f"daily.{first}.dau", "test.groups.test.converters", "concentration.gini_users"}
    assert expected <= set(found)
    assert all(value is None or isinstance(value, (int, str)) or math.isfinite(value)
               for value in found.values())


def test_order_and_ids_of_rows_do_not_matter(numbers):
    frames = world(1)
    rng = np.random.default_rng(99)
    names = rng.permutation(len(frames["users"]))
    renamed = dict(zip(frames["users"]["uid"], (f"x{i:05d}" for i in names), strict=True))
    mixed = {
        name: frame.iloc[rng.permutation(len(frame))].assign(
            uid=lambda f: f["uid"].map(renamed)).reset_index(drop=True)
        for name, frame in frames.items()
    }
    assert customers.results(tables(mixed)) == pytest.approx(numbers, nan_ok=True)


def reduced(opened: Tables) -> SimpleNamespace:
    """What the study counts, without what it makes of the counts."""
    period = events.period(opened)
    return SimpleNamespace(
        **customers.reductions(opened, period), skus=kpis.skus(opened),
        first_purchase=kpis.first_purchase(opened, period),
        test=paywall.paywall_test(opened, period),
    )


def test_prices_in_another_unit_scale_money_and_nothing_else():
    frames = world(3)
    tenfold = {name: frame.assign(price=frame["price"] * 10) if "price" in frame else frame
               for name, frame in frames.items()}
    one, ten = (reduced(tables(f)) for f in (frames, tenfold))
    money = dict.fromkeys(("revenue", "arpu", "arppu", "revenue_per_user", "price_low",
                           "price_high", "revenue_views_covariance"), 10)
    money |= dict.fromkeys(("revenue_variance", "payer_variance"), 100)
    for frame in ("daily", "monthly", "conversion", "cohorts", "retention", "first_purchase",
                  "skus", "country_by_device"):
        a, b = (getattr(study, frame) for study in (one, ten))
        pd.testing.assert_frame_equal(
            a.assign(**{c: a[c] * money[c] for c in a if c in money}), b, check_dtype=False)
    for a, b in ((one.test.groups, ten.test.groups), (one.test.by_day, ten.test.by_day)):
        pd.testing.assert_frame_equal(
            a.assign(**{c: a[c] * money[c] for c in a if c in money}), b, check_dtype=False)
    pd.testing.assert_frame_equal(one.concentration.shares, ten.concentration.shares)
    assert one.concentration.gini_payers == pytest.approx(ten.concentration.gini_payers)


def test_a_month_is_whole_from_its_first_to_its_last_day():
    def day(text):
        return int(np.datetime64(text, "D").astype(int))

    january = 2024 * 12
    assert events.Period(day("2024-01-01"), day("2024-01-31")).has_whole(january)
    assert not events.Period(day("2024-01-02"), day("2024-01-31")).has_whole(january)
    assert not events.Period(day("2024-01-01"), day("2024-01-30")).has_whole(january)
    leap = events.Period(day("2024-02-01"), day("2024-02-28"))
    assert not leap.has_whole(january + 1) and list(leap.months) == [january + 1]


def test_horizons_include_their_first_second_and_not_the_one_after_their_last():
    at, second = pd.Timestamp("2024-03-01 12:00:00"), pd.Timedelta(seconds=1)
    horizon = pd.Timedelta(days=paywall.HORIZON)
    moments = {
        "before": [at - horizon - second],
        "prior": [at - horizon, at - second],
        "within": [at, at + pd.Timedelta(days=5), at + horizon - second],
        "after": [at + horizon],
    }
    dates = pd.Series([moment for some in moments.values() for moment in some])
    frames = world(1)
    nothing = {"gender": None, "country": "USA", "age": 30, "device": "and"}
    frames["users"] = pd.DataFrame([{"uid": "a", "reg_date": date(2024, 1, 1)} | nothing])
    frames["paywall_views"] = pd.DataFrame(
        {"uid": "a", "date": dates, "purchase": 1, "sku": "x", "price": 100})
    frames["purchases"] = frames["paywall_views"].drop(columns="purchase")
    frames["paywall_test"] = pd.DataFrame([{"uid": "a", "group": "test", "assigned_at": at}])
    opened = tables(frames)
    row = paywall.outcomes(opened, events.period(opened)).to_pandas().iloc[0]
    assert row["whole"]  # the last row is on the day on which the horizon ends
    assert (row["views"], row["paywall_purchases"], row["revenue"]) == (3, 3, 300)
    assert (row["prior_views"], row["prior_purchases"], row["prior_revenue"]) == (2, 2, 200)
    later = events.period(opened).last - 1
    cut = paywall.outcomes(opened, events.Period(events.period(opened).first, later))
    assert not cut.to_pandas().iloc[0]["whole"]
    by_day = paywall.paywall_test(opened, events.period(opened)).by_day
    seen = by_day[(by_day["group"] == "test") & (by_day["views"] > 0)]
    assert seen["day"].tolist() == [0, 5, 27] and seen["converters"].tolist() == [1, 0, 0]


def test_a_day_more_at_the_end_opens_the_windows_it_completes():
    """Whoever registered w - 1 days before the last day is in; a day less, and not."""
    frames = world(4)
    last = max(frames["users"]["reg_date"].max(), frames["paywall_views"]["date"].max().date(),
               frames["paywall_test"]["assigned_at"].max().date(),
               frames["purchases"]["date"].max().date())
    newcomer = frames["users"].iloc[:1].assign(uid="new", reg_date=last - timedelta(6))
    with_newcomer = frames | {"users": pd.concat([frames["users"], newcomer])}
    later = newcomer.assign(reg_date=last - timedelta(5))
    with_later = frames | {"users": pd.concat([frames["users"], later])}

    def denominator(frames):
        opened = tables(frames)
        found = kpis.conversion(opened, events.period(opened))
        return found.query("dimension == 'all' and window == 7")["users"].item()

    assert denominator(with_newcomer) == denominator(frames) + 1
    assert denominator(with_later) == denominator(frames)
