"""What is bought together and one after the other: counts from self-joins where the orders are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.mooc.reduce import collect

# A set in fewer baskets is counted, but not listed: a table of thousands of courses has millions of
# such pairs, and nothing can be concluded from them. Of more than so many, the most frequent are.
LEAST = 10
LEAST_SHARE = 1e-4
MOST_LISTED = 20_000

# A basket of 300 items holds 44,850 pairs and 4,455,100 sets of three, and says little about any.
# The largest baskets are left out where all baskets would hold more sets than this.
MOST_SETS = 200_000_000
ALWAYS_KEPT = 10  # items that a basket may hold in any case


@dataclass(frozen=True)
class Baskets:
    """How often items share a basket.

    Attributes:
        baskets: Baskets in all, those of one item included.
        largest: Items that a basket may hold; larger ones are left out of everything here.
        left_out: Baskets left out.
        sizes: Index `size` (distinct items in a basket); column `baskets`.
        items: Index `item`; column `baskets` that hold it.
        pairs_seen: Different pairs of items that share a basket at least once.
        least: Baskets that a pair must be in to be listed.
        pairs: Index `first`, `second` (in alphabetical order); column `baskets` that hold both.
    """

    baskets: int
    largest: int
    left_out: int
    sizes: pd.DataFrame
    items: pd.DataFrame
    pairs_seen: int
    least: int
    pairs: pd.DataFrame

    def sets(self, k: int) -> int:
        """Sets of k items in a basket, summed over baskets."""
        return sum(n * math.comb(size, k) for size, n in self.sizes.baskets.items())


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
    """Baskets that a set must be in to be listed: 10, or one in 10,000 if that is more."""
    return max(LEAST, math.ceil(LEAST_SHARE * baskets))


def largest_basket(sizes: pd.Series, k: int = 2) -> int:
    """Items that a basket may hold for all up to that size to hold at most `MOST_SETS` sets.

    Args:
        sizes: Baskets by size.
        k: Items in a set.
    """
    sets = 0
    if sizes.empty:
        return ALWAYS_KEPT
    for size, baskets in sizes.sort_index().items():
        sets += int(baskets) * math.comb(int(size), k)
        if size > ALWAYS_KEPT and sets > MOST_SETS:
            return max(ALWAYS_KEPT, int(size) - 1)
    return max(ALWAYS_KEPT, int(sizes.index.max()))


def _held(orders: ir.Table, basket: str, item: str) -> tuple[ir.Table, ir.Table]:
    """Each item of a basket once, and the baskets with their sizes."""
    held = orders.filter(orders[item].notnull()).select(
        basket=orders[basket], item=orders[item]
    ).distinct()
    return held, held.group_by("basket").agg(size=_.count())


def _several(orders: ir.Table, basket: str, item: str, largest: int) -> ir.Table:
    """Items of the baskets with more than one of them, and not too many."""
    held, sized = _held(orders, basket, item)
    kept = sized.filter((_.size > 1) & (_.size <= largest))
    return held.join(kept, "basket").select("basket", "item")


def together(
    orders: ir.Table, basket: str = "order_id", item: str = "course_id", least: int | None = None,
    k: int = 2,
) -> Baskets:
    """Counts items and pairs of items in baskets; an item counts once in a basket.

    Args:
        orders: mooc/orders, for categories joined to mooc/courses.
        basket: What makes a basket: `order_id`, or `user_id` for all that a customer bought.
        item: `course_id` or `category`.
        least: Baskets that a pair must be in to be listed; None: see `least_support`.
        k: Items of the largest sets that are to be counted in these baskets, 3 if `threes` is to
            follow; baskets too large for that are left out.
    """
    held, sized = _held(orders, basket, item)
    sizes = collect(sized.group_by("size").agg(baskets=_.count()), ("size",))
    largest = largest_basket(sizes.baskets, k)
    kept = sizes[sizes.index <= largest]
    total, left_out = int(kept.baskets.sum()), int(sizes.baskets.sum() - kept.baskets.sum())
    if left_out:
        held = held.semi_join(sized.filter(_.size <= largest), "basket")
    items = collect(held.group_by("item").agg(baskets=_.count()), ("item",))
    least = least or least_support(total)

    several = _several(orders, basket, item, largest)
    # Two views, so that the table can be joined to itself.
    left, right = several.rename(first="item"), several.view().rename(second="item")
    both = left.join(right, ["basket", left.first < right.second])
    counted = both.group_by("first", "second").agg(baskets=_.count())
    # How many there are comes with each row: a second query would join the table again.
    seen = counted.mutate(seen=_.count().over())
    least, pairs = _listed(seen, least, ("first", "second"))
    pairs_seen = int(pairs.seen.max()) if len(pairs) else int(counted.count().to_pandas())
    return Baskets(
        baskets=total,
        largest=largest,
        left_out=left_out,
        sizes=kept,
        items=items,
        pairs_seen=pairs_seen,
        least=least,
        pairs=pairs[["baskets"]],
    )


def threes(
    orders: ir.Table, found: Baskets, basket: str = "order_id", item: str = "course_id"
) -> tuple[int, pd.DataFrame]:
    """Counts sets of three items, of which each pair is listed in `found`.

    A set can't be in more baskets than its rarest pair, so no other needs to be counted (Agrawal &
    Srikant 1994).

    Args:
        orders, basket, item: As for `together`.
        found: What that found.

    Returns:
        Baskets that a set must be in to be listed, and the sets: index `first`, `second`, `third`
        in alphabetical order, column `baskets` that hold all three.
    """
    names = ["first", "second", "third"]
    index = found.pairs.index
    if found.sizes.index.max() < 3 or len(index) < 3:
        none = pd.MultiIndex.from_tuples([], names=names)
        return found.least, pd.DataFrame({"baskets": pd.Series(dtype="int64")}, index=none)
    several = _several(orders, basket, item, found.largest)
    # One text a pair: a condition on both items at once, which no planner can use before it has
    # joined each basket with itself, the cheaper way round. Should two pairs make the same text,
    # a rare one is counted in vain.
    texts = index.get_level_values(0).astype(str) + "|" + index.get_level_values(1).astype(str)
    frequent = ibis.memtable(pd.DataFrame({"pair": texts.unique()}))
    left, right = several.rename(first="item"), several.view().rename(second="item")
    both = left.join(right, ["basket", left.first < right.second])
    listed = both.mutate(pair=both.first + "|" + both.second).semi_join(frequent, "pair")
    # The frequent pairs of each basket, ...
    pairs = listed.select("basket", "first", "second")
    # ... two of them with the same first item, whose other items are a frequent pair, too.
    more = pairs.view().select("basket", "first", third="second")
    sets = pairs.join(more, ["basket", "first", pairs.second < more.third])
    sets = sets.mutate(pair=sets.second + "|" + sets.third).semi_join(frequent, "pair")
    return _listed(sets.group_by(*names).agg(baskets=_.count()), found.least, names)


def _listed(counted: ir.Table, least: int, names: Sequence[str]) -> tuple[int, pd.DataFrame]:
    """The sets in at least so many baskets, or in more where these would be too many."""
    rows = counted.filter(_.baskets >= least).order_by(ibis.desc("baskets")).limit(MOST_LISTED + 1)
    frame = collect(rows, names)
    if len(frame) > MOST_LISTED:
        # Those as frequent as the first one beyond the limit are listed all or none: none.
        least = int(frame.baskets.min()) + 1
        frame = frame[frame.baskets >= least]
    return least, frame


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
