"""Baskets, pairs and sequences against loops over each basket and customer."""

from __future__ import annotations

import itertools
from collections import Counter

import ibis
import numpy as np
import pandas as pd
import pytest
from mlxtend.frequent_patterns import apriori
from mooc_logs import COURSES, PRICES, courses, random_orders

from analysis.mooc import baskets
from analysis.mooc.baskets import largest_basket, least_support, sequences, threes, together
from analysis.mooc.products import with_courses


def contents(orders, basket, item):
    held = {}
    for row in orders.to_dict("records"):
        held.setdefault(row[basket], set()).add(row[item])
    return held.values()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("basket", ["order_id", "user_id"])
@pytest.mark.parametrize("item", ["course_id", "category"])
def test_pairs_are_those_of_the_loops(seed, basket, item):
    orders = random_orders(seed)
    table = with_courses(ibis.memtable(orders), ibis.memtable(courses()))
    held = contents(orders.merge(courses(), on="course_id"), basket, item)
    items = Counter(itertools.chain(*held))
    pairs = Counter(itertools.chain(*(itertools.combinations(sorted(h), 2) for h in held)))
    found = together(table, basket, item, least=1)
    assert found.baskets == len(held)
    assert found.sizes.baskets.to_dict() == Counter(map(len, held))
    assert found.items.baskets.to_dict() == items
    assert found.pairs.baskets.to_dict() == pairs
    assert found.pairs_seen == len(pairs)

    least = sorted(pairs.values())[len(pairs) // 2]
    found = together(table, basket, item, least=least)
    assert found.pairs.baskets.to_dict() == {p: n for p, n in pairs.items() if n >= least}
    assert (found.pairs_seen, found.least) == (len(pairs), least)


def test_support_grows_with_the_table():
    assert least_support(50) == least_support(100_000) == 10
    assert least_support(1_000_001) == 101


@pytest.mark.parametrize("seed", range(3))
def test_sequences_are_those_of_the_loops(seed):
    orders = random_orders(seed)
    firsts, went_on, nexts, pairs = Counter(), Counter(), Counter(), Counter()
    customers = goers = 0
    for _, rows in orders.groupby("user_id"):
        moments = sorted(set(rows.order_timestamp))
        first = set(rows.course_id[rows.order_timestamp == moments[0]])
        second = set()
        if len(moments) > 1:
            second = set(rows.course_id[rows.order_timestamp == moments[1]]) - first
        customers += 1
        goers += bool(second)
        firsts.update(first)
        nexts.update(second)
        went_on.update(first if second else ())
        pairs.update(itertools.product(first, second))
    price = pd.Series(PRICES, COURSES)
    found = sequences(ibis.memtable(orders), price, least=2)
    assert (found.customers, found.went_on) == (customers, goers)
    assert found.firsts.customers.to_dict() == firsts
    assert found.firsts.went_on[found.firsts.went_on > 0].to_dict() == went_on
    assert found.nexts.customers.to_dict() == nexts
    assert found.pairs.customers.to_dict() == {p: n for p, n in pairs.items() if n >= 2}
    for (first, following), ratio in found.pairs.price_ratio.items():
        if price[first] == 0:
            assert pd.isna(ratio)
        else:
            assert ratio == price[following] / price[first]


def random_baskets(seed, items=9, n=120):
    """Baskets of which some items go together, some of them listed twice."""
    rng = np.random.default_rng(seed)
    held = rng.random((n, items)) < rng.uniform(0.05, 0.5, items)
    held[rng.random(n) < 0.2, :3] = True
    frame = pd.DataFrame(held[held.any(axis=1)], columns=[f"C{i:02d}" for i in range(items)])
    rows = frame.stack()
    lines = rows[rows].index.to_frame(index=False).set_axis(["order_id", "course_id"], axis=1)
    lines["order_id"] = "O" + lines.order_id.astype(str)
    lines["user_id"] = lines.order_id
    return frame, pd.concat([lines, lines.sample(20, random_state=seed)], ignore_index=True)


@pytest.mark.parametrize("seed", range(4))
def test_sets_are_those_of_mlxtend(seed):
    held, lines = random_baskets(seed)
    least = 8
    frequent = apriori(held, min_support=least / len(held) - 1e-9, use_colnames=True, max_len=3)
    expected = {
        tuple(sorted(items)): round(support * len(held))
        for items, support in zip(frequent.itemsets, frequent.support, strict=True)
    }
    found = together(ibis.memtable(lines), least=least)
    assert found.baskets == len(held)
    assert found.pairs.baskets.to_dict() == {s: n for s, n in expected.items() if len(s) == 2}
    at, sets = threes(ibis.memtable(lines), found)
    triples = {s: n for s, n in expected.items() if len(s) == 3}
    assert len(triples) > 3
    assert (at, sets.baskets.to_dict()) == (least, triples)
    assert found.sets(3) == sum(size * (size - 1) * (size - 2) // 6 for size in held.sum(axis=1))


def test_huge_baskets_are_left_out_of_everything(monkeypatch):
    """One order of hundreds changes nothing but the number of orders left out."""
    _, lines = random_baskets(5)
    huge = pd.DataFrame({"order_id": "X", "user_id": "X",
                         "course_id": [f"C{i:02d}" for i in range(300)]})
    monkeypatch.setattr(baskets, "MOST_SETS", 100_000)
    found, plain = (
        together(ibis.memtable(frame), least=3, k=3)
        for frame in (pd.concat([lines, huge], ignore_index=True), lines)
    )
    assert (found.left_out, plain.left_out) == (1, 0)
    assert found.baskets == plain.baskets and found.pairs_seen == plain.pairs_seen
    for name in ("sizes", "items", "pairs"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(plain, name))
    everything = ibis.memtable(pd.concat([lines, huge], ignore_index=True))
    sets = [threes(everything, found)[1], threes(ibis.memtable(lines), plain)[1]]
    pd.testing.assert_frame_equal(*sets)


def test_the_largest_basket_depends_on_how_many_there_are(monkeypatch):
    monkeypatch.setattr(baskets, "MOST_SETS", 10_000)
    assert largest_basket(pd.Series({1: 10**6, 10: 10**6, 11: 5}), 3) == 10  # kept in any case
    assert largest_basket(pd.Series({3: 100, 20: 5}), 3) == 20  # 100 + 5 x 1,140
    assert largest_basket(pd.Series({3: 100, 20: 5, 50: 1}), 3) == 49  # 19,600 more
    assert largest_basket(pd.Series({3: 100, 20: 5, 50: 1}), 2) == 50  # 300 + 950 + 1,225
    assert largest_basket(pd.Series(dtype="int64")) == 10


def test_of_very_many_pairs_the_most_frequent_are_listed(monkeypatch):
    _, lines = random_baskets(6)
    full = together(ibis.memtable(lines), least=1)
    monkeypatch.setattr(baskets, "MOST_LISTED", 12)
    few = together(ibis.memtable(lines), least=1)
    assert 0 < len(few.pairs) <= 12
    # Pairs that are as frequent are listed all or none, and none that is listed is rarer.
    baskets_of = full.pairs.baskets
    assert few.pairs.baskets.to_dict() == baskets_of[baskets_of >= few.least].to_dict()
    assert (baskets_of >= few.least - 1).sum() > 12
    assert few.pairs_seen == full.pairs_seen
