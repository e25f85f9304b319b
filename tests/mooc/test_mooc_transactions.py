"""What BG/NBD and Gamma-Gamma need, against loops over each customer's order days."""

from __future__ import annotations

import datetime as dt
import functools
import math

import ibis
import pandas as pd
import pytest
from mooc_logs import or_missing, random_frames, random_orders

from analysis.mooc.transactions import transactions

END, SPLIT = dt.date(2024, 5, 20), dt.date(2024, 3, 31)


frames_of = functools.cache(random_frames)


@functools.cache
def histories(seed, end, split):
    """Per customer: frequency, recency, age, values of the days, holdout transactions and value."""
    out = {}
    for user, rows in frames_of(seed)["orders"].groupby("user_id"):
        days = {}
        for row in rows.itertuples():
            day = row.order_timestamp.date()
            if day <= end:
                days[day] = days.get(day, 0.0) + row.amount
        seen = sorted(day for day in days if day <= split)
        if seen:
            later = [days[day] for day in days if day > split]
            out[user] = (
                len(seen) - 1, (seen[-1] - seen[0]).days, (split - seen[0]).days,
                [days[day] for day in seen], len(later), sum(later),
            )
    return out


def expected(customers, with_first, group=lambda user: ()):
    cells, values, free = {}, {}, 0
    for user, (x, t_x, age, amounts, held, held_value) in customers.items():
        counted = amounts[0 if with_first else 1:]
        value = sum(counted)
        free += bool(counted) and value < 0.005
        key = (*group(user), x, t_x, age)
        row = cells.get(key, (0, 0.0, 0, 0.0, 0, 0.0))
        cells[key] = tuple(
            a + b for a, b in zip(
                row, (1, value, held, held_value, held**2, held_value**2), strict=True)
        )
        if counted and value > 0.005:
            mean = value / len(counted)
            step = math.floor(math.log(mean * (1 + 1e-9)) * 200)
            values.setdefault((*group(user), len(counted), step), []).append(mean)
    return cells, values, free


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("split", [None, SPLIT])
@pytest.mark.parametrize("with_first", [False, True])
@pytest.mark.parametrize("by", [(), ("referral_channel",)])
def test_counts_are_those_of_the_loops(seed, split, with_first, by):
    frames = frames_of(seed)
    users = frames["users"].set_index("user_id")
    customers = histories(seed, END, split or END)
    cells, values, free = expected(
        customers, with_first,
        lambda user: tuple(or_missing(users.loc[user, column]) for column in by),
    )
    found = transactions(
        ibis.memtable(frames["orders"]), END, split, with_first=with_first,
        users=ibis.memtable(frames["users"]), by=by,
    )
    assert (found.end, found.split) == (END.isoformat(), (split or END).isoformat())
    assert found.customers == len(customers) == found.histories.customers.sum()
    assert found.repeat_customers == sum(c[0] > 0 for c in customers.values())
    assert found.free == free
    assert set(found.histories.index) == set(cells)
    for key, row in found.histories.iterrows():
        assert tuple(row) == pytest.approx(cells[key])
    assert set(found.values.index) == set(values)
    for key, row in found.values.iterrows():
        assert (row.customers, row.mean_value) == pytest.approx(
            (len(values[key]), sum(values[key]) / len(values[key]))
        )
        # Within a step the means differ by less than half a per cent.
        assert max(values[key]) / min(values[key]) < 1.0051


def test_first_and_repeat_transactions_by_day():
    orders = random_orders(4)
    firsts, repeats = {}, {}
    for _, rows in orders.groupby("user_id"):
        days = sorted({t.date() for t in rows.order_timestamp if t.date() <= END})
        for place, day in enumerate(days):
            tally = repeats if place else firsts
            tally[day.isoformat()] = tally.get(day.isoformat(), 0) + 1
    daily = transactions(ibis.memtable(orders), END, SPLIT).daily
    assert daily["first"][daily["first"] > 0].to_dict() == firsts
    assert daily["repeat"][daily["repeat"] > 0].to_dict() == repeats
    assert (daily.sum(axis=1) > 0).all() and daily.index.is_monotonic_increasing


def test_several_orders_a_day_are_one_transaction():
    at = pd.Timestamp("2024-02-01 00:00:00")
    hours = [0, 23, 24, 49]
    orders = pd.DataFrame(
        {"order_id": list("abcd"), "user_id": "u", "course_id": list("abcd"), "channel": "web",
         "order_timestamp": [at + pd.Timedelta(hours=h) for h in hours],
         "amount": [1.0, 2.0, 4.0, 8.0]}
    )  # fmt: skip
    found = transactions(ibis.memtable(orders), dt.date(2024, 2, 10))
    assert found.histories.reset_index().iloc[0].tolist() == [2, 2, 9, 1, 12.0, 0, 0.0, 0, 0.0]


def test_impossible_periods_are_refused():
    orders = ibis.memtable(random_orders(4))
    with pytest.raises(ValueError, match="split"):
        transactions(orders, SPLIT, END)
    with pytest.raises(ValueError, match="2020-01-01"):
        transactions(orders, dt.date(2020, 1, 1))
    with pytest.raises(ValueError, match="users"):
        transactions(orders, END, by=("referral_channel",))
