"""Baskets, pairs and sequences against loops over each basket and customer."""

from __future__ import annotations

import itertools
from collections import Counter

import ibis
import pandas as pd
import pytest
from mooc_logs import COURSES, PRICES, courses, random_frames

from analysis.mooc.baskets import least_support, sequences, together
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
    orders = random_frames(seed)["orders"]
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
    orders = random_frames(seed)["orders"]
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
