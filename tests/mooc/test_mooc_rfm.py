"""RFM: values order by order, scores against NumPy's percentiles."""

from __future__ import annotations

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mooc_logs import random_orders, random_users, user_table

from analysis.mooc import rfm

AS_OF = dt.date(2024, 5, 1)


def loop_values(orders, as_of):
    """Recency, frequency and monetary value of each customer, order by order."""
    values = {}
    for row in orders.itertuples():
        day = row.order_timestamp.date()
        if day <= as_of:
            days, baskets, amounts = values.setdefault(row.user_id, (set(), set(), []))
            days.add((as_of - day).days)
            baskets.add(row.order_id)
            amounts.append(row.amount)
    return {u: (min(d), len(b), sum(a)) for u, (d, b, a) in values.items()}


def loop_scores(values):
    """Scores as the module's docstring says them, one value at a time."""
    columns = list(zip(*values.values(), strict=True))
    cuts = [np.percentile(np.array(column, float), [20, 40, 60, 80]) for column in columns]
    return {
        user: (
            1 + sum(v[0] < cut - 1e-6 for cut in cuts[0]),
            1 + sum(v[1] > cut + 1e-6 for cut in cuts[1]),
            1 + sum(v[2] > cut + 1e-6 for cut in cuts[2]),
        )
        for user, v in values.items()
    }


@pytest.mark.parametrize("seed", range(4))
def test_values_scores_and_cells_of_orders(seed):
    orders = random_orders(seed)
    table = rfm.from_orders(ibis.memtable(orders), AS_OF)
    values = loop_values(orders, AS_OF)
    got = table.to_pandas().set_index("user_id")
    assert set(got.index) == set(values)
    for user, row in got.iterrows():
        assert tuple(row[list(rfm.VALUES)]) == pytest.approx(values[user])

    scores = loop_scores(values)
    scored = rfm.scored(table, rfm.quintiles(table)).to_pandas().set_index("user_id")
    assert {u: (row.r, row.f, row.m) for u, row in scored.iterrows()} == scores

    result = rfm.rfm(table, AS_OF)
    assert result.users == len(values) == result.cells.users.sum()
    for cell, row in result.cells.iterrows():
        of = [values[user] for user, score in scores.items() if score == cell]
        assert row.users == len(of)
        assert row.recency == pytest.approx(np.mean([v[0] for v in of]))
        assert row.frequency == sum(v[1] for v in of)
        assert row.monetary == pytest.approx(sum(v[2] for v in of))


def test_values_of_the_users_table():
    users = user_table(random_users(2))
    got = rfm.from_users(users, dt.date(2024, 3, 1)).to_pandas().set_index("user_id")
    frame = users.to_pandas().set_index("user_id")
    day = pd.to_datetime(frame.enrollment_date)
    frame = frame[day <= "2024-03-01"]
    assert set(got.index) == set(frame.index) and len(got) < users.count().to_pandas()
    recency = (pd.Timestamp("2024-03-01") - day[frame.index]).dt.days
    assert (got.recency[frame.index] == recency).all()
    assert (got.frequency[frame.index] == frame.total_courses_enrolled).all()
    assert (got.monetary[frame.index] == frame.total_revenue).all()


@settings(max_examples=40)
@given(st.lists(st.sampled_from([0, 1, 1, 1, 2, 3, 10]), min_size=1, max_size=40))
def test_ties_share_a_score_and_scores_keep_the_order(values):
    frame = pd.DataFrame({"user_id": [str(i) for i in range(len(values))], "recency": values,
                          "frequency": values, "monetary": np.array(values, float)})  # fmt: skip
    table = ibis.memtable(frame)
    scored = rfm.scored(table, rfm.quintiles(table)).to_pandas().sort_values("frequency")
    assert scored.groupby("frequency")[["r", "f", "m"]].nunique().eq(1).all(axis=None)
    assert scored.f.is_monotonic_increasing and scored.r.is_monotonic_decreasing
    assert (scored.f == scored.m).all() and scored.f.between(1, 5).all()
    # At most a fifth of the users (and those tied with them) get less than 2, and so on.
    for score in range(1, 5):
        above = scored.frequency[scored.f > score]
        if len(above):
            assert (scored.frequency < above.min()).mean() >= score / 5 - 1 / len(scored)


def test_dates_without_customers_are_refused():
    orders = ibis.memtable(random_orders(3))
    early = dt.date(2020, 1, 1)
    with pytest.raises(ValueError, match="2020-01-01"):
        rfm.rfm(rfm.from_orders(orders, early), early)
