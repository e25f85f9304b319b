"""Rules, steps up and their trial: what was planted is found, counts are those of plain loops."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter, defaultdict
from dataclasses import asdict

import ibis
import numpy as np
import pandas as pd
import pytest
from mooc_logs import random_frames

from analysis.mooc import KEYS, rules
from analysis.mooc import steps as steps_module
from analysis.mooc.rules import AFTER, BESIDE
from analysis.mooc.steps import purchases, steps, tables, until
from analysis.results import flatten
from analysis.simulate.mooc_courses import BUNDLES, COURSES, LADDERS
from analysis.stats import rules as stats_rules
from analysis.stats import stratified

PLANTED = {tuple(sorted(two)) for bundle in BUNDLES for two in itertools.combinations(bundle, 2)}
PRICE = pd.Series({"A": 10.0, "B": 20.0, "C": 40.0, "D": 40.0, "E": 0.0})
# Two courses, free ones, many at 20, and two dear ones.
SHOP = pd.Series({"A": 10.0, "B": 20.0, "C": 0.0, "D": 0.0} | dict.fromkeys("EFGHIJ", 20.0)
                 | {"K": 30.0, "L": 30.0})


# The shipped tables


def test_all_planted_pairs_are_found_and_at_most_five_percent_others(mooc_study):
    pairs = mooc_study.rules.pairs
    found = set(pairs.found.index)
    assert not PLANTED - found
    assert len(found - PLANTED) <= 0.05 * len(found)
    assert pairs.possible == 44 * 43 // 2 == pairs.null.tests
    # 1 - exp(-BASKET), the lift of any other pair.
    assert pairs.null.usual == pytest.approx(-np.expm1(-0.7), rel=0.03)
    assert (pairs.found.low < pairs.found.lift).all()
    assert (pairs.found.lift < pairs.found.high).all()
    # Mined by customer, with independence, nearly all pairs would be found.
    assert mooc_study.rules.by_customer.null.usual > 1
    assert mooc_study.rules.by_customer.by_independence > 0.7 * pairs.possible


def test_the_planted_set_of_three_is_found_and_no_other(mooc_study):
    three = [bundle for bundle in BUNDLES if len(bundle) == 3]
    assert list(mooc_study.rules.triples.found.index) == three
    rules_ = mooc_study.rules.set_rules
    assert set(rules_.consequent) == set(three[0])
    counts = mooc_study.rules.pairs.baskets
    for row in rules_.itertuples():
        pair = counts.pairs.baskets[tuple(sorted((row.antecedent, row.also)))]
        assert row.confidence == row.baskets / pair
        share = counts.items.baskets[row.consequent] / counts.baskets
        assert row.lift == pytest.approx(row.confidence / share)
        assert row.lift_low < row.lift < row.lift_high


def test_categories_that_stand_out_are_those_of_planted_pairs(mooc_study):
    category = COURSES.set_index("course_id").category
    planted = {tuple(sorted((category[a], category[b]))) for a, b in PLANTED}
    across = {pair for pair in planted if pair[0] != pair[1]}
    assert set(mooc_study.rules.categories.found.index) == across


def test_all_ladders_are_found_and_at_most_five_percent_others(mooc_study):
    found = mooc_study.rules.steps
    assert set(found.found.index) == set(LADDERS)
    # What bundles with a ladder's first course make is told apart, and so is plain dearness.
    for (lower, upper), row in found.explained.iterrows():
        assert (row.rival, upper) in LADDERS
        assert tuple(sorted((lower, row.rival))) in PLANTED
        assert row.direct < row.odds_ratio
    assert found.crude_found > 5 * len(LADDERS)
    assert not set(found.only_crude.index) & set(LADDERS)
    assert (found.only_crude.odds_ratio < found.only_crude.crude).mean() > 0.8
    assert (found.found.odds_low > 1).all()
    assert found.null.usual == pytest.approx(1.05, abs=0.06)


def test_offers_beat_best_sellers_on_later_days(mooc_study):
    found = mooc_study.rules
    assert set(found.trial) == {BESIDE, AFTER}
    for trial in found.trial.values():
        assert trial.difference.low > 0
        assert trial.rate.estimate == trial.hits / trial.occasions
    beside = found.offers[found.offers.kind == BESIDE]
    assert set(map(tuple, map(sorted, zip(beside.course, beside.offer, strict=True)))) == PLANTED
    after = found.offers[found.offers.kind == AFTER]
    assert set(zip(after.course, after.offer, strict=True)) == set(LADDERS)
    # Courses about which nothing is known have no offer.
    assert (found.courses[["beside", "after"]].sum(axis=1) == 0).sum() > 10
    assert found.courses[["beside", "after"]].sum().sum() == len(found.offers)


# Against plain loops


def random_orders(seed, users=120):
    """Customers who buy again, some of them the same course; some orders at one moment."""
    rng = np.random.default_rng(seed)
    rows = []
    for order in range(4 * users):
        user = f"U{int(rng.integers(0, users) ** 2 / users)}"
        moment = pd.Timestamp("2024-01-01") + pd.Timedelta(hours=24 * int(rng.integers(0, 60)))
        for course in rng.choice(list(PRICE.index), rng.integers(1, 3), replace=False):
            paid = float(rng.choice([0.0, 5.0, 9.99, 30.0]))
            rows.append((f"O{order}", user, course, moment, paid))
    names = ["order_id", "user_id", "course_id", "order_timestamp", "amount"]
    return pd.DataFrame(rows, columns=names)


def histories(orders):
    """For each customer the purchases in order: value, and courses bought at that moment."""
    out = defaultdict(lambda: defaultdict(list))
    for row in orders.itertuples():
        out[row.user_id][row.order_timestamp].append(row)
    return {
        user: [
            (moment, round(sum(row.amount for row in rows), 2), {row.course_id for row in rows})
            for moment, rows in sorted(past.items())
        ]
        for user, past in out.items()
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("last", [None, dt.date(2024, 2, 5)])
def test_counts_of_steps_are_those_of_loops(seed, last):
    orders = random_orders(seed)
    with purchases(ibis.memtable(orders)) as bought:
        edges = bought.edges
        if last is None:
            found = tables(bought, PRICE)
        else:
            with until(bought, last) as known:
                found = tables(known, PRICE)
    values = [v for past in histories(orders).values() for _, v, _ in past[1:]]
    np.testing.assert_allclose(edges, sorted(set(np.quantile(values, steps_module.QUANTILES))))
    cells = defaultdict(lambda: np.zeros((4, len(edges) + 1), dtype=int))
    later = customers = 0
    for past in histories(orders).values():
        past = [p for p in past if last is None or p[0].date() <= last]
        later += len(past[1:])
        customers += len(past) > 1
        for place, (_, value, held) in enumerate(past[1:], start=1):
            had = set().union(*(courses for *_, courses in past[:place]))
            stratum = sum(value > edge + 1e-6 for edge in edges)
            for lower, upper in itertools.permutations(PRICE.index, 2):
                if PRICE[upper] > PRICE[lower] and upper not in had:
                    hit, has = upper in held, lower in had
                    cells[lower, upper][:, stratum] += (hit and has, has, hit, 1)
    assert set(found.steps) == set(cells)
    assert (found.purchases, found.customers) == (later, customers)
    for i, step in enumerate(found.steps):
        for counts, expected in zip(
            (found.both, found.row, found.column, found.total), cells[step], strict=True
        ):
            np.testing.assert_array_equal(counts[i], expected)


def test_free_or_single_purchases_have_no_steps():
    orders = random_orders(1)
    for frame, price in ((orders.drop_duplicates("user_id"), PRICE), (orders, 0 * PRICE)):
        with purchases(ibis.memtable(frame)) as bought:
            assert steps(bought, price) is None
    with purchases(ibis.memtable(orders.assign(amount=0.0))) as bought:
        found = steps(bought, PRICE)
    assert found.edges == (0.0,) or found.edges == ()


def shop(seed=0, customers=1_500):
    """A leads to L, A and B are a bundle, K is as dear as L and nothing leads to it."""
    rng = np.random.default_rng(seed)
    courses = list(SHOP.index)
    rows, order = [], 0
    for user in range(customers):
        had = set()
        for k in range(min(5, rng.geometric(0.4))):
            new = set()
            while not new:
                new = {c for c in courses if rng.random() < 0.06} - had
            if new & {"A", "B"} and rng.random() < 0.4:
                new |= {"A", "B"} - had
            if "A" in had and "L" not in had and len(new) == 1 and rng.random() < 0.3:
                new = {"L"}
            order += 1
            day = pd.Timestamp("2024-01-01") + pd.Timedelta(days=int(rng.integers(0, 10)) + 10 * k)
            rows += [(f"O{order}", f"U{user}", c, day, SHOP[c]) for c in sorted(new)]
            had |= new
    names = ["order_id", "user_id", "course_id", "order_timestamp", "amount"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def catalogue():
    return pd.DataFrame({
        "course_id": SHOP.index, "title": SHOP.index, "category": list("XXYYZZXXYYZZ"),
        "price": SHOP})


def analysed(orders, catalogue, price=None):
    days = orders.order_timestamp.dt.date
    price = SHOP if price is None else price
    return rules.rules(
        ibis.memtable(orders), ibis.memtable(catalogue), price, days.min(), days.max())


@pytest.fixture(scope="module")
def small(catalogue):
    orders = shop()
    return orders, analysed(orders, catalogue)


def test_a_step_lost_to_the_correction_alone_is_not_called_explained(small, monkeypatch):
    """The p-values of others rise when held against each other, and its own counts less."""
    orders, whole = small
    assert ("A", "L") in whole.steps.found.index

    def direct(bought, t, tested):
        p = np.ones(len(t.steps))
        p[t.steps.index(("A", "L"))] = 0.04
        return p, {}

    monkeypatch.setattr(steps_module, "_direct", direct)
    with purchases(ibis.memtable(orders)) as bought:
        found = steps(bought, SHOP)
    assert found.found.empty and found.explained.empty
    assert ("A", "L") not in found.only_crude.index


def test_the_trial_is_that_of_loops(small):
    """Learned and tried as the docstring says, with loops over each occasion."""
    orders, found = small
    split = dt.date.fromisoformat(found.split)
    early = orders[orders.order_timestamp.dt.date <= split]
    learned = analysed(early, pd.DataFrame({
        "course_id": SHOP.index, "category": "X"})).offers
    trial = {}
    sold = Counter()
    for _, rows in early.groupby("order_id"):
        sold.update(set(rows.course_id))
    ranked = sorted(sold, key=lambda course: (-sold[course], course))
    for kind in (BESIDE, AFTER):
        offers = learned[learned.kind == kind].groupby("course").offer.apply(list).to_dict()
        popular = {
            course: [
                other for other in ranked
                if other != course and (kind == BESIDE or SHOP[other] > SHOP[course])
            ][:len(offered)]
            for course, offered in offers.items()
        }
        per_customer = defaultdict(lambda: np.zeros(3))
        if kind == BESIDE:
            late = orders[orders.order_timestamp.dt.date > split]
            for (user, _), rows in late.groupby(["user_id", "order_id"]):
                held = set(rows.course_id)
                for course in held & set(offers):
                    per_customer[user] += (
                        1, bool(held & set(offers[course])), bool(held & set(popular[course])))
        else:
            for user, past in histories(orders).items():
                for place, (moment, _, held) in enumerate(past[1:], start=1):
                    had = set().union(*(courses for *_, courses in past[:place]))
                    for course in had & set(offers):
                        shown = set(offers[course]), set(popular[course])
                        if moment.date() > split and not had & (shown[0] | shown[1]):
                            per_customer[user] += (1, *(bool(held & some) for some in shown))
        trial[kind] = np.array(list(per_customer.values()))
    assert set(found.trial) == {BESIDE, AFTER}
    for kind, t in found.trial.items():
        units = trial[kind]
        n, hits, popular_hits = units.sum(axis=0)
        assert (t.occasions, t.hits, t.popular_hits, t.customers) == (
            n, hits, popular_hits, len(units))
        # The interval of a ratio of sums over customers, by its textbook formula.
        gain = units[:, 1] - units[:, 2]
        residual = gain - gain.sum() / n * units[:, 0]
        error = np.sqrt(len(units) / (len(units) - 1) * (residual**2).sum()) / n
        assert t.difference.estimate == pytest.approx((hits - popular_hits) / n)
        assert t.difference.high - t.difference.low == pytest.approx(2 * 1.959964 * error)


def test_the_planted_step_and_pair_of_the_small_shop(small):
    _, found = small
    assert list(found.pairs.found.index) == [("A", "B")]
    assert ("A", "L") in found.steps.found.index
    # B is bought with A, and so seems to lead to L; K costs as much, and nothing leads to it.
    assert ("B", "L") not in found.steps.found.index
    assert "K" not in found.steps.found.index.get_level_values("upper")
    offers = found.offers[(found.offers.course == "A") & (found.offers.kind == AFTER)]
    assert list(offers.offer) == ["L"]


def test_the_unit_of_money_does_not_matter(small, catalogue):
    orders, found = small
    cents = analysed(orders.assign(amount=100 * orders.amount), catalogue, 100 * SHOP)
    plain, other = (flatten(r, KEYS) for r in (found, cents))
    money = ("edges", "price_lower", "price_upper")
    assert {name: v for name, v in plain.items() if not any(m in name for m in money)} == {
        name: pytest.approx(v) if isinstance(v, float) else v
        for name, v in other.items() if not any(m in name for m in money)
    }


def test_rivals_are_compared_among_customers_alike_in_each_other(small):
    """The strata of a rival are those of loops over later purchases."""
    orders, _ = small
    with purchases(ibis.memtable(orders)) as bought:
        states = steps_module._states(bought, "L", ["A", "B"])
        edges = bought.edges
    expected = Counter()
    for past in histories(orders).values():
        for place, (_, value, held) in enumerate(past[1:], start=1):
            had = set().union(*(courses for *_, courses in past[:place]))
            if "L" not in had:
                stratum = sum(value > edge + 1e-6 for edge in edges)
                expected[stratum, int("A" in had), int("B" in had), int("L" in held)] += 1
    keys = states[["bin", "has_0", "has_1", "hit"]].itertuples(index=False, name=None)
    assert dict(zip(keys, states.purchases, strict=True)) == expected
    both, row, column, total = steps_module._strata(states, "has_1", ["has_0"])
    assert total.sum() == sum(expected.values())
    assert both.sum() == sum(n for (_, _, b, hit), n in expected.items() if b and hit)
    odds = stratified.mantel_haenszel(both, row, column, total)
    assert odds.low < 1 < odds.high


def test_rules_are_told_by_both_sides(small):
    _, found = small
    there, back = found.pair_rules.itertuples()
    assert {there.antecedent, back.antecedent} == {"A", "B"}
    assert there.lift == back.lift and there.baskets == back.baskets
    measured = stats_rules.measures(
        [there.baskets], [found.pairs.baskets.items.baskets[there.antecedent]],
        [found.pairs.baskets.items.baskets[there.consequent]], found.pairs.baskets.baskets,
    ).iloc[0]
    assert measured.confidence == there.confidence and measured.conviction == there.conviction


FEW = {
    "one row": lambda o: o.head(1),
    "one course": lambda o: o[o.course_id == "C1"],
    "one day": lambda o: o.assign(order_timestamp=o.order_timestamp.min()),
    "nobody twice": lambda o: o.drop_duplicates("user_id"),
}


@pytest.mark.parametrize("few", FEW)
def test_few_orders_show_nothing_and_break_nothing(few):
    frames = random_frames(3, users=60)
    orders = FEW[few](frames["orders"])
    price = frames["courses"].set_index("course_id").price
    found = analysed(orders, frames["courses"], price)
    assert found.pairs.found.empty and found.offers.empty
    assert found.trial == {}
    printed = flatten(found, KEYS)
    assert printed["pairs.baskets.baskets"] == orders.order_id.nunique()
    assert asdict(found)["pair_rules"].empty
