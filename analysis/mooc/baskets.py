"""What is bought together and one after the other: counts from self-joins where the orders are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.mooc.reduce import collect

# A pair in fewer baskets is counted, but not listed: a table of thousands of courses has millions
# of such pairs, and nothing can be concluded from them.
LEAST = 10
LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Baskets:
    """How often items share a basket.

    Attributes:
        baskets: Baskets in all, those of one item included.
        sizes: Index `size` (distinct items in a basket); column `baskets`.
        items: Index `item`; column `baskets` that hold it.
        pairs_seen: Different pairs of items that share a basket at least once.
        least: Baskets that a pair must be in to be listed.
        pairs: Index `first`, `second` (in alphabetical order); column `baskets` that hold both.
    """

    baskets: int
    sizes: pd.DataFrame
    items: pd.DataFrame
    pairs_seen: int
    least: int
    pairs: pd.DataFrame


@dataclass(frozen=True)
class Sequences:
    """From what customers bought first to what they bought next.

    All courses of a customer's first moment of buying are firsts, all of the second moment nexts;
    a course bought again is no next.

    Attributes:
        customers: Customers with an order.
        went_on: Those of them who bought at a second moment.
        firsts: Index `first`; columns `customers` whose first moment held it and `went_on`.
        nexts: Index `next`; column `customers` whose second moment held it.
        least: Customers that a sequence must have to be listed.
        pairs: Index `first`, `next`; columns `customers` and `price_ratio`: list price of the next
            course by that of the first (missing where the first costs nothing), so above 1 the
            customer went up.
    """

    customers: int
    went_on: int
    firsts: pd.DataFrame
    nexts: pd.DataFrame
    least: int
    pairs: pd.DataFrame


def least_support(baskets: int) -> int:
    """Baskets that a pair must be in to be listed: 10, or one in 10,000 if that is more."""
    return max(LEAST, math.ceil(LEAST_SHARE * baskets))


def together(
    orders: ir.Table, basket: str = "order_id", item: str = "course_id", least: int | None = None
) -> Baskets:
    """Counts items and pairs of items in baskets; an item counts once in a basket.

    Args:
        orders: mooc/orders, for categories joined to mooc/courses.
        basket: What makes a basket: `order_id`, or `user_id` for all that a customer bought.
        item: `course_id` or `category`.
        least: Baskets that a pair must be in to be listed; None: see `least_support`.
    """
    held = orders.filter(orders[item].notnull()).select(
        basket=orders[basket], item=orders[item]
    ).distinct()
    sized = held.group_by("basket").agg(size=_.count())
    sizes = collect(sized.group_by("size").agg(baskets=_.count()), ("size",))
    items = collect(held.group_by("item").agg(baskets=_.count()), ("item",))
    total = int(sizes.baskets.sum())
    least = least or least_support(total)

    several = held.join(sized.filter(_.size > 1), "basket").select("basket", "item")
    # Two views, so that the table can be joined to itself.
    left, right = several.rename(first="item"), several.view().rename(second="item")
    both = left.join(right, ["basket", left.first < right.second])
    counted = both.group_by("first", "second").agg(baskets=_.count())
    pairs = counted.filter(_.baskets >= least)
    return Baskets(
        baskets=total,
        sizes=sizes,
        items=items,
        pairs_seen=int(counted.count().to_pandas()),
        least=least,
        pairs=collect(pairs, ("first", "second")),
    )


def sequences(orders: ir.Table, price: pd.Series, least: int | None = None) -> Sequences:
    """Counts which course follows which; see `Sequences`.

    Args:
        orders: mooc/orders.
        price: List price by `course_id`.
        least: Customers that a sequence must have to be listed; None: see `least_support`.
    """
    bought = orders.select("user_id", "course_id", "order_timestamp").distinct()
    window = ibis.window(group_by="user_id", order_by="order_timestamp")
    early = bought.mutate(place=ibis.dense_rank().over(window)).filter(_.place <= 1)
    firsts = early.filter(_.place == 0).select("user_id", first="course_id")
    seconds = early.filter(_.place == 1).select("user_id", next="course_id")
    seconds = seconds.anti_join(
        firsts, [seconds.user_id == firsts.user_id, seconds.next == firsts.first]
    )
    on = seconds.select("user_id").distinct().mutate(went_on=ibis.literal(1, "int64"))
    marked = firsts.left_join(on, "user_id").select("user_id", "first", "went_on")
    people = marked.group_by("user_id").agg(went_on=_.went_on.max())
    totals = people.agg(customers=_.count(), went_on=_.went_on.count()).to_pandas().iloc[0]
    least = least or least_support(int(totals.customers))

    pairs = firsts.join(seconds, "user_id").group_by("first", "next").agg(customers=_.count())
    listed = collect(pairs.filter(_.customers >= least), ("first", "next"))
    first, following = (price.reindex(listed.index.get_level_values(i)).array for i in (0, 1))
    listed["price_ratio"] = following / pd.Series(first, listed.index).where(lambda p: p > 0)
    return Sequences(
        customers=int(totals.customers),
        went_on=int(totals.went_on),
        firsts=collect(
            marked.group_by("first").agg(customers=_.count(), went_on=_.went_on.count()),
            ("first",),
        ),
        nexts=collect(
            seconds.group_by("next").agg(customers=_.count()), ("next",)
        ),
        least=least,
        pairs=listed,
    )
