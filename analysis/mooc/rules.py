"""Cross-selling and upselling: what to offer beside a course, and what after it.

Pairs of courses are mined by order, not by customer: see `analysis.stats.rules` for why, and for
the null hypothesis. `steps` is the part on what leads to what. Both are mined once more on the
first part of the days, to see how often the offers that they suggest would have been taken in the
rest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from analysis.days import day_number, day_of
from analysis.mooc import baskets
from analysis.mooc.baskets import Baskets, Sequences
from analysis.mooc.products import with_courses
from analysis.mooc.steps import Purchases, Steps, purchases, steps, until
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import benjamini_hochberg
from analysis.stats.rules import (
    ALPHA,
    Null,
    by_independence,
    lift_interval,
    measures,
    more_than_pairs,
    outstanding_pairs,
    share_limits,
)

HELD_OUT = 1 / 3  # of the days, to try the offers on
MOST_OFFERS = 3  # recommended for a course, of each kind
BESIDE, AFTER = "beside", "after"  # kinds of offers: in the same order, in a later one
RULES, POPULAR = "rules", "popular"  # lists of offers that are compared


@dataclass(frozen=True)
class Pairs:
    """Pairs of items in baskets, tested.

    Attributes:
        baskets: The counts.
        null: What is usual, and how many pairs were found.
        possible: Pairs that there could be.
        by_independence: Pairs that would be found with independence as the null hypothesis.
        found: Pairs found: index `first`, `second`; columns `baskets`, `expected` (if the lift were
            the usual one), `support`, `lift` with its exact limits `low` and `high`, `times_usual`
            (lift over the usual one), `p_value`, `p_adjusted`.
    """

    baskets: Baskets
    null: Null
    possible: int
    by_independence: int
    found: pd.DataFrame


@dataclass(frozen=True)
class Triples:
    """Sets of three courses, tested for being more than their pairs.

    Attributes:
        possible: Sets that there could be.
        least: Orders that a set must be in to be listed.
        listed: Sets listed.
        found: Sets found: index `first`, `second`, `third`; columns `baskets`, `lift_first`,
            `lift_second`, `lift_third` (of the other two, among orders with this one),
            `p_value` (the largest of the three), `p_adjusted`.
    """

    possible: int
    least: int
    listed: int
    found: pd.DataFrame


@dataclass(frozen=True)
class Trial:
    """How often offers would have been taken on days that they were not learned from.

    An occasion is a course in an order (beside), or a later purchase of somebody who has a course
    (after), for which there are offers. It is a hit if one of the offers is in the order. The
    best-selling other courses, as many, are the yardstick.

    Attributes:
        offers: Pairs of a course and an offer that were learned.
        occasions: Occasions, of `customers` different customers.
        hits, popular_hits: Hits of the offers and of the yardstick.
        rate, popular_rate, difference: Shares of the occasions, and the first less the second, each
            with an interval that takes the customers, not the occasions, as drawn. None without an
            occasion of two customers.
    """

    offers: int
    occasions: int
    customers: int
    hits: int
    popular_hits: int
    rate: Interval | None
    popular_rate: Interval | None
    difference: Interval | None


@dataclass(frozen=True)
class Rules:
    """What sells together, and what leads to what.

    Attributes:
        pairs: Courses in one order.
        by_customer: The same for all that a customer bought: not for offers, but to show why.
        categories: Categories in one order.
        triples: Sets of three courses in one order.
        pair_rules: One row a rule "who takes `antecedent` takes `consequent`", two from each pair
            found: `baskets`, `support`, `confidence` (`confidence_low` and `confidence_high`:
            Wilson), `lift` (exact limits `lift_low`, `lift_high`), `leverage`, `conviction`,
            `p_adjusted` (of the pair).
        set_rules: The same with a course `also` on the left, three from each set found.
        steps: From course to dearer course; None where nobody bought twice or all prices are equal.
        sequences: What plain sequences say.
        offers: Recommended for a course: `course`, `kind` ("beside" in the same order, "after" in a
            later one), `place` (1 is the best), `offer`, `share` of the orders that take it, `low`,
            `high` (Wilson), `strength` (lift, or odds ratio at equal value), `p_adjusted`.
        courses: Every course sold: index `course`; columns `orders`, `beside`, `after`: how many
            offers there are.
        split: Last day that the trial learned from, ISO; None if the period has no two days.
        trial: By kind; no entry where nothing was learned.
    """

    pairs: Pairs
    by_customer: Pairs
    categories: Pairs
    triples: Triples
    pair_rules: pd.DataFrame
    set_rules: pd.DataFrame
    steps: Steps | None
    sequences: Sequences
    offers: pd.DataFrame
    courses: pd.DataFrame
    split: str | None
    trial: Mapping[str, Trial]


def rules(
    orders: ir.Table, courses: ir.Table, price: pd.Series, first: dt.date, last: dt.date
) -> Rules:
    """Finds what sells together and what leads to what.

    Args:
        orders: mooc/orders.
        courses: mooc/courses.
        price: List price by `course_id`.
        first, last: Days of the first and the last order.
    """
    held_out = round(HELD_OUT * (last - first).days)
    split = last - dt.timedelta(days=held_out) if held_out else None
    pairs = find_pairs(baskets.together(orders, k=3))
    triples = find_triples(orders, pairs)
    sequences = baskets.sequences(orders, price)
    with purchases(orders) as bought:
        found = steps(bought, price, sequences)
        offers = _offers(pairs, found)
        trial = _trials(orders, bought, price, split) if split else {}
    sold = pairs.baskets.items.baskets.rename_axis("course").to_frame("orders")
    for kind in (BESIDE, AFTER):
        count = offers[offers.kind == kind].groupby("course").size()
        sold[kind] = count.reindex(sold.index, fill_value=0).astype("int64")
    return Rules(
        pairs=pairs,
        by_customer=find_pairs(baskets.together(orders, "user_id")),
        categories=find_pairs(baskets.together(with_courses(orders, courses), item="category")),
        triples=triples,
        pair_rules=pair_rules(pairs),
        set_rules=set_rules(pairs, triples),
        steps=found,
        sequences=sequences,
        offers=offers,
        courses=sold.sort_values("orders", ascending=False, kind="stable"),
        split=split.isoformat() if split else None,
        trial=trial,
    )


def find_pairs(counted: Baskets) -> Pairs:
    """Tests the pairs of `baskets.together` for standing out."""
    items, pairs = counted.items.baskets, counted.pairs
    first, second = (items.reindex(pairs.index.get_level_values(i)).to_numpy() for i in (0, 1))
    both, n = pairs.baskets.to_numpy(), counted.baskets
    possible = len(items) * (len(items) - 1) // 2
    tested = outstanding_pairs(
        both, first, second, n, together=counted.sets(2), items=float(items.sum()),
        squares=float((items.astype(float) ** 2).sum()), tests=possible, least=counted.least,
    )
    frame = measures(both, first, second, n)[["support", "lift"]].set_axis(pairs.index)
    frame.insert(0, "baskets", both)
    frame.insert(1, "expected", tested.null.usual * first * second / n)
    frame["times_usual"] = frame.lift / tested.null.usual
    frame["p_value"], frame["p_adjusted"] = tested.p_value, tested.p_adjusted
    frame = frame[tested.found]
    limits = [
        lift_interval(int(b), int(items[one]), int(items[other]), n)
        for (one, other), b in frame.baskets.items()
    ]
    frame.insert(4, "low", [limit.low for limit in limits])
    frame.insert(5, "high", [limit.high for limit in limits])
    return Pairs(
        baskets=counted,
        null=tested.null,
        possible=possible,
        by_independence=int((by_independence(both, first, second, n, possible) <= ALPHA).sum()),
        found=frame.sort_values("lift", ascending=False, kind="stable"),
    )


def find_triples(orders: ir.Table, pairs: Pairs) -> Triples:
    """Tests sets of three courses for being more than their pairs explain."""
    items, counts = pairs.baskets.items.baskets, pairs.baskets.pairs.baskets
    least, sets = baskets.threes(orders, pairs.baskets)
    a, b, c = (sets.index.get_level_values(i) for i in range(3))
    inside = np.column_stack([
        counts.reindex(pd.MultiIndex.from_arrays(two)).to_numpy()
        for two in ((a, b), (a, c), (b, c))
    ])
    alone = np.column_stack([items.reindex(one).to_numpy() for one in (a, b, c)])
    # Where all pairs go together, the third of a set does too: the usual lift is the yardstick.
    p, lifts = more_than_pairs(sets.baskets.to_numpy(), inside, alone, max(1.0, pairs.null.usual))
    n = len(items)
    possible = n * (n - 1) * (n - 2) // 6
    frame = sets.assign(
        lift_first=lifts[:, 0], lift_second=lifts[:, 1], lift_third=lifts[:, 2],
        p_value=p, p_adjusted=benjamini_hochberg(p, possible),
    )
    found = frame[frame.p_adjusted <= ALPHA]
    return Triples(possible, least, len(sets), found.sort_values("p_value", kind="stable"))


def pair_rules(pairs: Pairs) -> pd.DataFrame:
    """The rules that follow from the pairs found; see `Rules.pair_rules`."""
    items = pairs.baskets.items.baskets
    rows = [
        (one, other, int(row.baskets), int(items[one]), int(items[other]), row.low, row.high,
         row.p_adjusted)
        for (first, second), row in pairs.found.iterrows()
        for one, other in ((first, second), (second, first))
    ]
    return _rules(rows, ["antecedent", "consequent"], pairs.baskets.baskets)


def set_rules(pairs: Pairs, triples: Triples) -> pd.DataFrame:
    """The rules that follow from the sets of three found; see `Rules.set_rules`."""
    items, counts = pairs.baskets.items.baskets, pairs.baskets.pairs.baskets
    rows = []
    for names, row in triples.found.iterrows():
        for k, third in enumerate(names):
            one, other = (name for i, name in enumerate(names) if i != k)
            table = int(row.baskets), int(counts[one, other]), int(items[third])
            limits = lift_interval(*table, pairs.baskets.baskets)
            rows.append((one, other, third, *table, limits.low, limits.high, row.p_adjusted))
    return _rules(rows, ["antecedent", "also", "consequent"], pairs.baskets.baskets)


def _rules(rows: list[tuple], names: list[str], n: int) -> pd.DataFrame:
    counts = ["baskets", "left", "right"]
    frame = pd.DataFrame(rows, columns=[*names, *counts, "lift_low", "lift_high", "p_adjusted"])
    both, left, right = (frame[name].to_numpy("int64") for name in counts)
    low, high = share_limits(both, left)
    frame = pd.concat([frame, measures(both, left, right, n)], axis=1).assign(
        confidence_low=low, confidence_high=high)
    return frame[[
        *names, "baskets", "support", "confidence", "confidence_low", "confidence_high",
        "lift", "lift_low", "lift_high", "leverage", "conviction", "p_adjusted",
    ]].sort_values(["lift", "confidence", *names], ascending=[False, False, *([True] * len(names))],
                   kind="stable", ignore_index=True)


def _offers(pairs: Pairs, found: Steps | None) -> pd.DataFrame:
    """The best few offers of each kind for each course; see `Rules.offers`."""
    columns = ["course", "kind", "offer", "share", "low", "high", "strength", "p_adjusted"]
    items, together = pairs.baskets.items.baskets, pairs.found
    parts = []
    for course, offer in (("first", "second"), ("second", "first")):
        frame = together.reset_index().rename(
            columns={course: "course", offer: "offer", "lift": "strength"}
        ).drop(columns=["low", "high"])
        trials = items.reindex(frame.course).to_numpy()
        low, high = share_limits(frame.baskets, trials)
        parts.append(frame.assign(
            kind=BESIDE, share=frame.baskets / trials, low=low, high=high)[columns])
    if found is not None:
        parts.append(found.found.reset_index().rename(columns={
            "lower": "course", "upper": "offer", "odds_ratio": "strength",
        }).assign(kind=AFTER)[columns])
    # Ranked by what the share is at least, so that a few lucky orders don't come before many.
    offers = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    offers = offers.sort_values(
        ["course", "kind", "low", "offer"], ascending=[True, False, False, True], kind="stable"
    )
    offers.insert(2, "place", offers.groupby(["course", "kind"]).cumcount() + 1)
    return offers[offers.place <= MOST_OFFERS].reset_index(drop=True)


def _trials(
    orders: ir.Table, bought: Purchases, price: pd.Series, split: dt.date
) -> dict[str, Trial]:
    """Learns from the days up to the split, and tries the offers in the rest; see `Trial`."""
    early = orders.filter(day_number(_.order_timestamp) <= day_of(split))
    pairs = find_pairs(baskets.together(early))
    with until(bought, split) as known:
        found = steps(known, price)
    offers = _offers(pairs, found)
    sold = pairs.baskets.items.baskets.sort_values(ascending=False, kind="stable").index
    cost = price.reindex(sold)

    def popular(course: str, kind: str, k: int) -> Iterable[str]:
        others = (other for other in sold if other != course)
        if kind == AFTER:
            others = (other for other in others if cost[other] > cost[course])
        return [other for other, _ in zip(others, range(k), strict=False)]

    trials = {}
    for kind, occasions in ((BESIDE, _beside), (AFTER, _after)):
        of_kind = offers[offers.kind == kind]
        if of_kind.empty:
            continue
        lists = [(row.course, row.offer, RULES) for row in of_kind.itertuples()]
        for course, rows in of_kind.groupby("course"):
            lists += [(course, other, POPULAR) for other in popular(course, kind, len(rows))]
        shown = ibis.memtable(pd.DataFrame(lists, columns=["at", "offer", "list"]))
        at = sorted(set(of_kind.course))
        trials[kind] = _trial(occasions(orders, bought, split, at, shown), len(of_kind))
    return trials


def _beside(
    orders: ir.Table, bought: Purchases, split: dt.date, at: list[str], shown: ir.Table
) -> ir.Table:
    """Courses in orders after the split, and whether an offer of each list is in the order."""
    late = orders.filter(day_number(_.order_timestamp) > day_of(split))
    held = late.select("order_id", "user_id", "course_id").distinct()
    occasions = held.filter(_.course_id.isin(at)).rename(at="course_id").join(shown, "at")
    others = held.view().select("order_id", "course_id")
    found = occasions.left_join(
        others, [occasions.order_id == others.order_id, occasions.offer == others.course_id]
    ).mutate(hit=others.course_id.notnull())
    return found.group_by("user_id", "order_id", "at").agg(**_hits())


def _after(
    orders: ir.Table, bought: Purchases, split: dt.date, at: list[str], shown: ir.Table
) -> ir.Table:
    """Later purchases after the split of who has a course, and whether they hold an offer.

    Left out are purchases of those who have one of the offers, of either list, already.
    """
    late = bought.moments.filter(
        (_.place > 0) & (day_number(_.order_timestamp) > day_of(split))
    ).select("user_id", now="place")
    had = bought.owned.filter(_.course_id.isin(at)).select("user_id", "place", at="course_id")
    met = late.join(had, ["user_id", late.now > had.place])
    occasions = met.select("user_id", "now", "at").join(shown, "at")
    got = bought.owned.view().select(who="user_id", what="course_id", then="place")
    found = occasions.left_join(
        got, [occasions.user_id == got.who, occasions.offer == got.what]
    ).mutate(hit=(_.then == _.now).fill_null(False), had=(_.then < _.now).fill_null(False))
    each = found.group_by("user_id", "now", "at").agg(**_hits(), had=_.had.any())
    return each.filter(~_.had)


def _hits() -> dict[str, ibis.Deferred]:
    return {name: (_.hit & (_.list == name)).any().cast("int64") for name in (RULES, POPULAR)}


def _trial(occasions: ir.Table, offers: int) -> Trial:
    """Counts the hits, with customers as units."""
    people = occasions.group_by("user_id").agg(
        n=_.count(), h=_[RULES].sum(), g=_[POPULAR].sum()
    )
    names = [("n", "n"), ("h", "h"), ("g", "g"), ("n", "h"), ("n", "g"), ("h", "g")]
    sums = people.agg(
        customers=_.count(), **{one: _[one].sum() for one in "nhg"},
        **{one + other: (_[one] * _[other]).sum() for one, other in names},
    ).to_pandas().iloc[0].fillna(0)
    customers, n, h, g = (int(sums[name]) for name in ("customers", "n", "h", "g"))

    def interval(total: int, squares: float, product: float, least: float) -> Interval | None:
        if customers < 2 or not n:
            return None
        # Sums of whole numbers, so these are exact before the division.
        rate = total / n
        residual = squares - 2 * rate * product + rate**2 * float(sums.nn)
        error = np.sqrt(max(0.0, residual) * customers / (customers - 1)) / n
        reach = float(stats.norm.isf(ALPHA / 2)) * float(error)
        return Interval(rate, max(least, rate - reach), min(1.0, rate + reach), 1 - ALPHA,
                        "linearised ratio")

    return Trial(
        offers=offers, occasions=n, customers=customers, hits=h, popular_hits=g,
        rate=interval(h, float(sums.hh), float(sums.nh), 0.0),
        popular_rate=interval(g, float(sums.gg), float(sums.ng), 0.0),
        difference=interval(h - g, float(sums.hh - 2 * sums.hg + sums.gg),
                            float(sums.nh - sums.ng), -1.0),
    )
