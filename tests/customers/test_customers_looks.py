"""The running paywall test: what was seen when, what peeking costs, where the plan stops."""

from __future__ import annotations

import math
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.customers import events, looks, paywall
from analysis.customers.looks import ALWAYS, NAIVE_DAILY, NAIVE_WEEKLY, ONCE, POCOCK, SPENT
from analysis.simulate.customers import TRUTH
from analysis.stats import sequential, two_proportions
from analysis.stats.two_proportions import Share


@pytest.fixture(scope="module")
def test(customers_study):
    return customers_study.test


@pytest.fixture(scope="module")
def conversions(customers_tables):
    return looks.conversions(customers_tables, events.period(customers_tables))


@pytest.fixture(scope="module")
def seen(customers_study):
    return customers_study.looks


def made(assigned, converters, start=None, horizon=28) -> tuple[SimpleNamespace, pd.DataFrame]:
    """A test from counts a day, each shape (days, 2), control first.

    Users buy on the day of their assignment, unless `start` tells the days of assignment of those
    who bought, by day of purchase.
    """
    days = pd.date_range("2024-03-01", periods=len(assigned)).strftime("%Y-%m-%d")
    by_date = pd.concat([
        pd.DataFrame({"group": name, "day": days, "assigned": np.asarray(assigned)[:, i],
                      "converters": np.asarray(converters)[:, i]})
        for i, name in enumerate(paywall.GROUPS)
    ], ignore_index=True)
    if start is None:
        start = [[i] * n for i, n in enumerate(np.sum(converters, axis=1))]
    pairs = [(days[i], days[j]) for j, starts in enumerate(start) for i in starts]
    cells = pd.DataFrame(pairs, columns=["assigned", "day"]).value_counts(sort=False)
    return (SimpleNamespace(by_date=by_date, horizon=horizon),
            cells.rename("converters").reset_index())


def steady(days, users, share, lift=0.0, seed=0) -> tuple[SimpleNamespace, pd.DataFrame]:
    """A test whose users decide on the day of their assignment."""
    rng = np.random.default_rng(seed)
    assigned = rng.binomial(users, 0.5, (days, 2)) + 1
    return made(assigned, rng.binomial(assigned, [share, share * (1 + lift)]))


def test_the_last_look_is_the_test_itself(test, seen):
    groups = test.groups.set_index("group")
    control, treated = (Share(int(groups.loc[g, "converters"]), int(groups.loc[g, "users"]))
                        for g in paywall.GROUPS)
    whole = two_proportions.pooled_z(treated, control)
    last = seen.weekly.iloc[-1]
    assert (last["z"], last["p_value"]) == pytest.approx((whole.statistic, whole.p_value))
    assert seen.running["p_value"].iloc[-1] == seen.peeks.last_p == last["p_value"]
    assert last["users"] == control.n + treated.n
    assert last["lift"] == pytest.approx(treated.value / control.value - 1)
    # At a stop too, the plain estimate is the ratio of the shares on that day.
    until = test.by_date[test.by_date["day"] <= seen.stop.day]
    sums = until.groupby("group")[["assigned", "converters"]].sum()
    shares = sums["converters"] / sums["assigned"]
    assert seen.stop.naive.estimate == pytest.approx(shares["test"] / shares["control"] - 1)
    assert seen.ended and seen.last_day == "2024-12-15"


def test_the_days_are_counted_from_the_rows(test, seen):
    frame = test.by_date.pivot(index="day", columns="group", values=["assigned", "converters"])
    sums = frame.cumsum()
    p = {}
    for day, row in sums.iterrows():
        if row["converters"].sum() >= 10:
            p[day] = two_proportions.pooled_z(
                *(Share(int(row["converters", g]), int(row["assigned", g]))
                  for g in ("test", "control"))).p_value
    assert dict(zip(seen.running["day"], seen.running["p_value"], strict=True)) == pytest.approx(p)
    low = [day for day, value in p.items() if value <= 0.05]
    assert (seen.peeks.significant, seen.peeks.first) == (len(low), low[0])
    flags = [value <= 0.05 for value in p.values()]
    assert seen.peeks.changes == sum(a != b for a, b in pairwise(flags))


def test_the_planted_lift_is_within_every_interval(seen):
    shares = TRUTH["test"]["per_user"]["converted_at_paywall"]
    lift = shares["test"] / shares["control"] - 1
    assert seen.stop.crossed and seen.stop.lift.contains(lift)
    # Repeated intervals hold at all looks together. Those of the first weeks are about a ratio
    # that is larger still, since nobody has had time to buy twice.
    assert ((seen.weekly["low"] < lift) & (lift < seen.weekly["high"])).all()
    assert seen.stop.naive.estimate > seen.stop.lift.estimate > 0


def test_the_stop_is_the_first_look_beyond_the_boundary(seen):
    weekly = seen.weekly
    beyond = weekly[weekly["z"].abs() >= weekly["bound"]].iloc[0]
    assert (seen.stop.week, seen.stop.day) == (beyond["week"], beyond["day"])
    days = pd.to_datetime([seen.stop.day, seen.last_day])
    assert seen.stop.days_saved == (days[1] - days[0]).days
    excludes = (weekly["low"] > 0) | (weekly["high"] < 0)
    assert (excludes == (weekly["z"].abs() >= weekly["bound"])).all()
    assert weekly["spent"].iloc[-1] == pytest.approx(0.05)


def test_peeking_breaks_the_promise_and_the_plan_keeps_it(seen):
    rules = seen.rules.set_index("rule")
    sure = 4 * rules["error_se"]
    for rule in (ONCE, SPENT, POCOCK):
        assert rules["error"][rule] == pytest.approx(0.05, abs=1e-6)
        assert rules["error_simulated"][rule] == pytest.approx(0.05, abs=sure[rule])
    assert 0.15 < rules["error"][NAIVE_WEEKLY] < rules["error"][NAIVE_DAILY] < 0.35
    # Integration takes the looks as normal; the simulation tosses the coin for every user.
    for rule in (NAIVE_WEEKLY, NAIVE_DAILY, ALWAYS):
        assert rules["error_simulated"][rule] == pytest.approx(rules["error"][rule], abs=sure[rule])
    assert rules["error_simulated"][ALWAYS] < 0.05
    assert rules["power"][ONCE] == pytest.approx(0.8, abs=1e-5)
    for rule in (ONCE, SPENT, POCOCK, ALWAYS):
        assert rules["power_simulated"][rule] == pytest.approx(
            rules["power"][rule], abs=4 * rules["power_se"][rule])
    assert rules["power"][[NAIVE_WEEKLY, NAIVE_DAILY]].isna().all()
    assert rules["days_effect"][SPENT] < rules["days_none"][SPENT] < rules["days_none"][ONCE] == 112


def test_every_conversion_is_in_a_cell(test, conversions):
    days = test.by_date.groupby("day")["converters"].sum()
    cells = conversions.groupby("day")["converters"].sum()
    assert cells.to_dict() == days[days > 0].to_dict()
    waited = pd.to_datetime(conversions["day"]) - pd.to_datetime(conversions["assigned"])
    assert waited.dt.days.between(0, 28).all()


def test_tossing_the_coin_again_is_what_is_simulated():
    # The same by hand: forty users with a day of assignment and, some of them, one of purchase.
    rng, runs = np.random.default_rng(7), 6_000
    day = np.sort(rng.integers(0, 6, 40))
    bought = np.where(rng.random(40) < 0.6, day + rng.integers(0, 4, 40), 99)
    counts = np.array([(day == d).sum() for d in range(9)])
    converted = np.array([(bought == d).sum() for d in range(9)])
    half = counts // 2
    test, cells = made(
        np.stack([counts - half, half], axis=1), np.stack([converted, 0 * converted], axis=1),
        [day[bought == d] for d in range(9)])
    days = looks._days(test.by_date, cells)
    simulated = looks.simulate(days, 0.0, np.random.default_rng(8), runs)
    coin = rng.random((runs, 40)) < days.share
    by_hand = np.empty((runs, 9))
    for d in range(9):
        in_test, buys = coin[:, day <= d], (bought[day <= d] <= d)
        users = np.stack([(~in_test).sum(axis=1), in_test.sum(axis=1)], axis=1)
        buyers = np.stack([(~in_test[:, buys]).sum(axis=1), in_test[:, buys].sum(axis=1)], axis=1)
        by_hand[:, d] = looks._z(users, buyers)[0]
    simulated, by_hand = simulated[:, 2:], by_hand[:, 2:]  # before, a group may be empty
    np.testing.assert_allclose(simulated.mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(simulated.std(axis=0), by_hand.std(axis=0), atol=0.05)
    np.testing.assert_allclose(np.corrcoef(simulated.T), np.corrcoef(by_hand.T), atol=0.05)


def test_the_simulated_effect_is_the_one_asked_for(test, conversions):
    days = looks._days(test.by_date, conversions)
    users, converters = days.assigned.sum(axis=0), days.converters.sum(axis=0)
    information = looks._z(users, converters)[1]
    for effect in (-0.4, 0.25):
        z = looks.simulate(days, effect, np.random.default_rng(3), 2_000)[:, -1]
        assert z.mean() / math.sqrt(information) == pytest.approx(effect, rel=0.03)


def test_the_order_of_rows_is_no_matter_and_swapped_groups_turn_the_sign(
    test, conversions
):
    # Made here: the study may be of another process, which stores text in another way.
    seen = looks.looks(SimpleNamespace(by_date=test.by_date, horizon=test.horizon), conversions)
    shuffled = test.by_date.sample(frac=1, random_state=1).reset_index(drop=True)
    again = looks.looks(SimpleNamespace(by_date=shuffled, horizon=test.horizon), conversions)
    for name in ("running", "weekly", "rules", "repeated"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(seen, name))
    assert again.stop == seen.stop
    swapped = test.by_date.assign(
        group=test.by_date["group"].map({"control": "test", "test": "control"}))
    other = looks.looks(SimpleNamespace(by_date=swapped, horizon=test.horizon), conversions)
    np.testing.assert_allclose(other.weekly["z"], -seen.weekly["z"])
    assert other.stop.p_value == pytest.approx(seen.stop.p_value)
    assert 1 + other.stop.lift.low == pytest.approx(1 / (1 + seen.stop.lift.high))


def test_without_a_difference_the_plan_runs_to_its_end():
    counts = np.full((40, 2), 50)
    seen = looks.looks(*made(counts, np.full((40, 2), 5)))
    assert not seen.stop.crossed and seen.stop.days_saved == 0
    assert seen.stop.lift.contains(0) and seen.stop.p_value == pytest.approx(1, abs=1e-6)
    assert (seen.peeks.significant, seen.peeks.first, seen.peeks.first_lift) == (0, None, None)
    assert not seen.ended  # the last were assigned on the last day
    # Weeks end on day 7, 14, ...; the last look is on the last day.
    assert seen.weekly["week"].tolist() == [1, 2, 3, 4, 5, 6]
    assert seen.weekly["day"].iloc[[0, -1]].tolist() == ["2024-03-07", "2024-04-09"]


def test_a_large_effect_stops_the_test_early():
    seen = looks.looks(*steady(70, 100, 0.1, lift=1.5))
    assert seen.stop.crossed and seen.stop.week <= 4 and seen.stop.lift.contains(1.5)
    assert seen.always_valid_day is not None
    never = looks.looks(*made(np.full((30, 2), 20), np.full((30, 2), [0, 4])))
    assert never.stop.naive.estimate == never.peeks.first_lift == math.inf
    assert 0 < never.stop.lift.low < math.inf
    worse = looks.looks(*steady(70, 100, 0.3, lift=-0.5))
    assert worse.stop.crossed and worse.stop.lift.high < 0 and worse.peeks.first_lift < 0


@pytest.mark.parametrize(
    "test",
    [
        made(np.zeros((0, 2), int), np.zeros((0, 2), int)),
        made([[5, 0], [6, 0]], [[5, 0], [5, 0]]),
        made([[50, 50]] * 9, [[0, 0]] * 9),
        made([[50, 50]] * 9, [[1, 0]] + [[0, 1]] * 8),
        made([[6, 6], [6, 6]], [[6, 6], [6, 6]]),
    ],
    ids=["nobody", "one group", "no purchase", "nine purchases", "everybody"],
)
def test_too_little_to_look_at_is_no_result(test):
    assert looks.looks(*test) is None


@settings(max_examples=15)
@given(st.integers(1, 60), st.integers(0, 30), st.floats(0.02, 0.9), st.integers(0, 999))
def test_any_test_can_be_looked_at(days, users, share, seed):
    seen = looks.looks(*steady(days, users, share, seed=seed))
    if seen is None:
        return
    fractions = seen.weekly["information"]
    assert fractions.is_monotonic_increasing and fractions.iloc[-1] == 1
    assert seen.weekly["week"].is_unique and len(seen.rules) == 6
    assert seen.stop.crossed == (seen.stop.p_value <= 0.05)
    # The error that is spent at each look is that of its boundary.
    bounds = seen.weekly["bound"].to_numpy()
    spent = sequential.crossings(bounds, fractions.to_numpy()).sum(axis=1).cumsum()
    np.testing.assert_allclose(spent, seen.weekly["spent"], atol=1e-8)


def test_ten_million_users_are_no_more_work():
    days, horizon = 84, 28
    assigned = np.full((days + horizon, 2), 60_000)
    assigned[days:] = 0
    cells = [(i, i + k) for i in range(days) for k in range(horizon)]
    buyers = np.bincount([end for _, end in cells], minlength=days + horizon) * 500
    test, _ = made(assigned, np.stack([buyers // 2, buyers // 2 + buyers % 2], axis=1), start=[])
    names = sorted(set(test.by_date["day"]))
    frame = pd.DataFrame({"assigned": [names[i] for i, _ in cells],
                          "day": [names[j] for _, j in cells], "converters": 500})
    seen = looks.looks(test, frame)
    rules = seen.rules.set_index("rule")
    assert seen.weekly["users"].iloc[-1] == days * 120_000
    assert rules["error_simulated"][SPENT] == pytest.approx(0.05, abs=4 * rules["error_se"][SPENT])
    assert seen.lift < 0.01
