"""Upselling: which course leads its customers to which dearer one, at equal order value.

Customers who spend much buy one dear course after another, so in plain sequences every dear course
leads to every other. The question is what a course adds to that: of two later purchases of about
the same value, one by a customer who has the course and one by a customer who has not, which is
more likely to hold the dearer course?

A purchase is all that a customer buys at one moment. Later purchases are those after a customer's
first. For a step from course A to a dearer course B, later purchases of customers who don't have B
yet are crossed by whether the customer has A already and whether the purchase holds B, in strata of
equal value. The counts come from one self-join of what each customer bought first when.
"""

from __future__ import annotations

import datetime as dt
import itertools
import math
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from analysis.days import day_number, day_of
from analysis.mooc.baskets import Sequences, largest_basket, least_support
from analysis.mooc.reduce import collect
from analysis.stats import rules, stratified
from analysis.stats.multiplicity import benjamini_hochberg
from analysis.stats.rules import ALPHA, Null, Outstanding

# Of the value of later purchases, between the strata; close at the top, where values differ most.
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
MOST_COURSES = 200  # steps are looked for among the courses that most customers bought
MOST_CRUDE = 10  # steps listed that value alone makes
MOST_RIVALS = 6  # courses that lead to the same one, held against each other
# Float sums differ between backends in the last digits; see `analysis.mooc.rfm`.
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Steps:
    """Steps up from course to dearer course.

    Attributes:
        purchases: Later purchases (moments after a customer's first).
        customers: Customers who made them.
        left_out: Customers with too many courses to count their pairs; not in these.
        edges: Values (currency) that separate the strata.
        least: Later purchases with the dearer course, by customers who have the cheaper one, that
            a step must have to be tested.
        null: What is usual among all steps up: `usual` is an odds ratio.
        found: Steps found: index `lower`, `upper`; columns `purchases` (later ones of customers
            with the lower course), `with_upper` (of these, holding the upper one), `share`, `low`
            and `high` of that share (Wilson), `odds_ratio`, `odds_low`, `odds_high`
            (Mantel-Haenszel at equal value), `crude` (odds ratio at any value), `price_lower`,
            `price_upper`, `p_value`, `p_adjusted`.
        explained: Steps that stood out, but not among customers alike in who has the other courses
            that lead to the same one: index and columns as `found`; `rival`, the strongest of those
            courses; and the odds ratio among customers alike in them, `direct` with its limits
            `direct_low` and `direct_high`.
        only_crude: Steps that would be found without strata, and are in neither: index and columns
            as `found`, the `MOST_CRUDE` with the least p; `crude` is what misleads.
        crude_found: Steps that would be found without strata.
        naive: What plain sequences say of steps up (first purchase to second): index `lower`,
            `upper`; columns `customers`, `lift` against other customers who went on, `p_adjusted`,
            `found`; and `odds_ratio` and `holds` (whether it is in `found` of the strata).
    """

    purchases: int
    customers: int
    left_out: int
    edges: tuple[float, ...]
    least: int
    null: Null
    found: pd.DataFrame
    explained: pd.DataFrame
    only_crude: pd.DataFrame
    crude_found: int
    naive: pd.DataFrame


@dataclass(frozen=True)
class Purchases:
    """What those who bought more than once bought when; tables where the orders are.

    Attributes:
        moments: `user_id`, `order_timestamp`, `place` (0 is the first), `bin` of its value (-1 for
            the first), and `after_0`, ...: the customer's purchases after it, by bin.
        owned: `user_id`, `course_id`, and the moment's columns of the first purchase of it.
        edges: Values that separate the bins.
        left_out: Customers left out.
    """

    moments: ir.Table
    owned: ir.Table
    edges: tuple[float, ...]
    left_out: int

    @property
    def bins(self) -> range:
        """The numbers of the strata."""
        return range(len(self.edges) + 1)


@contextmanager
def purchases(orders: ir.Table) -> Iterator[Purchases]:
    """Puts the purchases of those who bought more than once in order, and in bins of value.

    The tables are kept for the time of the context, since several queries read them.
    """
    sized = orders.group_by("user_id").agg(
        size=_.course_id.nunique(), moments=_.order_timestamp.nunique()
    ).filter(_.moments > 1)
    sizes = collect(sized.group_by("size").agg(baskets=_.count()), ("size",)).baskets
    largest = largest_basket(sizes) if len(sizes) else 0
    left_out = int(sizes[sizes.index > largest].sum())
    orders = orders.semi_join(sized.filter(_.size <= largest), "user_id")
    valued = orders.group_by("user_id", "order_timestamp").agg(value=_.amount.sum())
    by_time = ibis.window(group_by="user_id", order_by="order_timestamp")
    placed = valued.mutate(place=ibis.row_number().over(by_time))
    later = placed.filter(_.place > 0).value.cast("float64")
    cuts = later.as_table().agg(
        **{f"q{i}": later.quantile(q) for i, q in enumerate(QUANTILES)}
    ).to_pandas().iloc[0]
    # Values that many share would make empty bins.
    edges: list[float] = []
    for cut in cuts.dropna():
        if not edges or cut > edges[-1] + TOLERANCE:
            edges.append(float(cut))
    number = ibis.literal(0, "int16")
    for edge in edges:
        number = number + (placed.value > edge + TOLERANCE).cast("int16")
    # The first purchase is in no bin.
    binned = placed.select(
        "user_id", "order_timestamp", "place",
        bin=(placed.place > 0).ifelse(number, -1).cast("int16"),
    )
    with _followed(binned, len(edges) + 1).cache() as moments:
        firsts = orders.group_by("user_id", "course_id").agg(
            order_timestamp=_.order_timestamp.min()
        )
        with firsts.join(moments, ["user_id", "order_timestamp"]).cache() as owned:
            yield Purchases(moments, owned, tuple(edges), left_out)


@contextmanager
def until(bought: Purchases, last: dt.date) -> Iterator[Purchases]:
    """The same purchases as they were known at the end of a day, in the same strata of value."""
    early = bought.moments.filter(day_number(_.order_timestamp) <= day_of(last))
    placed = early.select("user_id", "order_timestamp", "place", "bin")
    with _followed(placed, len(bought.bins)).cache() as moments:
        firsts = bought.owned.select("user_id", "order_timestamp", "course_id")
        with firsts.join(moments, ["user_id", "order_timestamp"]).cache() as owned:
            yield Purchases(moments, owned, bought.edges, bought.left_out)


def _followed(placed: ir.Table, bins: int) -> ir.Table:
    """Purchases with how many of the customer come after, by bin."""
    reached = ibis.window(
        group_by="user_id", order_by="order_timestamp", preceding=None, following=0
    )
    everything = ibis.window(group_by="user_id")
    after = {}
    for k in range(bins):
        here = (_.bin == k).cast("int64")
        # What there is less what has been.
        after[f"after_{k}"] = (
            here.sum().over(everything) - here.sum().over(reached)
        ).cast("int16")
    return placed.mutate(**after)


@dataclass(frozen=True)
class Tables2x2:
    """The four counts of each possible step in each bin; arrays of shape (steps, bins).

    Attributes:
        steps: Pairs of courses, the dearer one last.
        both: Later purchases that hold the upper course, by customers who have the lower one.
        row: Later purchases by customers who have the lower one and not yet the upper.
        column: Later purchases with which customers get the upper one.
        total: Later purchases by customers who don't have the upper one yet.
        purchases, customers: Later purchases, and who made them.
    """

    steps: list[tuple[str, str]]
    both: np.ndarray
    row: np.ndarray
    column: np.ndarray
    total: np.ndarray
    purchases: int
    customers: int


def tables(bought: Purchases, price: pd.Series) -> Tables2x2:
    """Counts every step up between the most-sold courses.

    Args:
        bought: From `purchases`.
        price: List price by `course_id`.
    """
    bins = bought.bins
    after = [f"after_{k}" for k in bins]
    later = collect(bought.moments.filter(_.place > 0).group_by("bin").agg(n=_.count()), ("bin",))
    people = bought.moments.filter(_.place > 0).user_id.nunique()
    all_later = later.n.reindex(bins, fill_value=0).to_numpy()

    had = collect(bought.owned.group_by("course_id").agg(
        customers=_.count(), **{name: _[name].sum() for name in after}
    ), ("course_id",))
    most = had.customers.sort_values(ascending=False, kind="stable").index[:MOST_COURSES]
    had = had.loc[sorted(most)]
    got = collect(
        bought.owned.filter(_.place > 0).group_by("course_id", "bin").agg(n=_.count()),
        ("course_id", "bin"),
    ).n.unstack(fill_value=0)
    got = got.reindex(index=had.index, columns=bins, fill_value=0)

    known = price.reindex(had.index)
    steps = [
        (a, b) for a, b in itertools.product(had.index, repeat=2) if known[b] > known[a] + TOLERANCE
    ]
    left = bought.owned
    if len(most) == MOST_COURSES:
        left = left.filter(_.course_id.isin(list(had.index)))
    right = left.view().select(
        "user_id", other="course_id",
        **{f"other_{name}": name for name in ("place", "bin", *after)},
    )
    pairs = left.join(right, ["user_id", left.course_id != right.other])
    sums = {}
    for k, name in zip(bins, after, strict=True):
        got_it = (_.place < _.other_place) & (_.other_bin == k)
        sums[f"both_{k}"] = got_it.cast("int64").sum()
        # Nobody who has both can get the second: purchases after the later of the two.
        sums[f"done_{k}"] = (_.place >= _.other_place).ifelse(_[name], _[f"other_{name}"]).sum()
    counted = collect(pairs.group_by("course_id", "other").agg(**sums), ("course_id", "other"))
    counted = counted.reindex(pd.MultiIndex.from_tuples(steps, names=["lower", "upper"]),
                              fill_value=0)
    both, done = (
        counted[[f"{name}_{k}" for k in bins]].to_numpy("int64") for name in ("both", "done")
    )
    lower, upper = ([step[i] for step in steps] for i in (0, 1))
    having = had[after].to_numpy("int64")
    at = {course: i for i, course in enumerate(had.index)}
    a, b = ([at[course] for course in side] for side in (lower, upper))
    return Tables2x2(
        steps=steps,
        both=both,
        row=having[a] - done,
        column=got.to_numpy("int64")[b],
        total=all_later - having[b],
        purchases=int(all_later.sum()),
        customers=int(people.to_pandas()),
    )


def _test(t: Tables2x2, least: int) -> Outstanding:
    """Which steps stand out from what is usual among steps up."""
    b, c = t.row - t.both, t.column - t.both
    d = t.total - t.row - c
    size = np.maximum(t.total, 1)
    agree, differ = (t.both * d / size).sum(axis=1), (b * c / size).sum(axis=1)

    def usual(left_out: np.ndarray) -> float:
        against = differ[~left_out].sum()
        return float(agree[~left_out].sum() / against) if against > 0 else math.nan

    def tail(i: int, odds: float) -> float:
        return stratified.log_p_greater(t.both[i], t.row[i], t.column[i], t.total[i], odds)

    def expected(odds: float) -> tuple[np.ndarray, np.ndarray]:
        means, variances = stratified.expected(t.row, t.column, t.total, odds)
        return means.sum(axis=1), variances.sum(axis=1)

    return rules.outstanding(
        t.both.sum(axis=1), tail, usual, expected, least=least, tests=len(t.steps)
    )


def steps(
    bought: Purchases, price: pd.Series, sequences: Sequences | None = None,
    least: int | None = None,
) -> Steps | None:
    """Finds the steps up; None where nobody bought twice or no course is dearer than another.

    Args:
        bought: From `purchases`.
        price: List price by `course_id`.
        sequences: From `baskets.sequences`, to compare with; without them `naive` is empty.
        least: See `Steps`; None: see `baskets.least_support`.
    """
    t = tables(bought, price)
    if not t.purchases or not t.steps:
        return None
    least = least or least_support(t.purchases)
    tested = _test(t, least)
    index = pd.MultiIndex.from_tuples(t.steps, names=["lower", "upper"])
    frame = _described(t, index, price)
    frame["p_value"] = tested.p_value
    direct, against = _direct(bought, t, tested)
    frame["p_value"] = direct
    frame["p_adjusted"] = benjamini_hochberg(direct, tested.null.tests)
    found = tested.found & (frame.p_adjusted <= ALPHA).to_numpy()
    # A step that none was held against may drop out as well: others' p-values, which have risen,
    # count in its correction. Nothing explains that one.
    explained = ~found & np.isin(np.arange(len(t.steps)), list(against))
    together = (counts.sum(axis=1) for counts in (t.both, t.row, t.column, t.total))
    crude = rules.by_independence(*together, len(t.steps))
    wrong = (crude <= ALPHA) & ~tested.found & (t.both.sum(axis=1) >= least)
    order = ["p_adjusted", "odds_ratio"]
    held = pd.DataFrame([against[i] for i in np.flatnonzero(explained)], frame.index[explained],
                        columns=["rival", "direct", "direct_low", "direct_high"])
    return Steps(
        purchases=t.purchases,
        customers=t.customers,
        left_out=bought.left_out,
        edges=bought.edges,
        least=least,
        null=Null(tested.null.usual, tested.null.spread, tested.null.reference,
                  tested.null.tests, int(found.sum())),
        found=frame[found].sort_values(order, ascending=[True, False], kind="stable"),
        explained=frame[explained].join(held).sort_values(order, kind="stable"),
        only_crude=frame[wrong].iloc[np.argsort(crude[wrong], kind="stable")[:MOST_CRUDE]],
        crude_found=int(((crude <= ALPHA) & (t.both.sum(axis=1) >= least)).sum()),
        naive=_naive(sequences, frame.assign(holds=found)),
    )


def _described(t: Tables2x2, index: pd.MultiIndex, price: pd.Series) -> pd.DataFrame:
    """What is known of each step but for its test."""
    adjusted = stratified.mantel_haenszel(t.both, t.row, t.column, t.total)
    together = [counts.sum(axis=1, keepdims=True) for counts in (t.both, t.row, t.column, t.total)]
    crude = stratified.mantel_haenszel(*together)
    hits, trials = t.both.sum(axis=1), t.row.sum(axis=1)
    low, high = rules.share_limits(hits, trials)
    prices = [price.reindex(index.get_level_values(i)).to_numpy() for i in (0, 1)]
    return pd.DataFrame({
        "purchases": trials, "with_upper": hits,
        "share": hits / np.maximum(trials, 1), "low": low, "high": high,
        "odds_ratio": adjusted.estimate, "odds_low": adjusted.low, "odds_high": adjusted.high,
        "crude": crude.estimate, "price_lower": prices[0], "price_upper": prices[1],
    }, index=index)


def _direct(
    bought: Purchases, t: Tables2x2, tested: Outstanding
) -> tuple[np.ndarray, dict[int, dict[str, object]]]:
    """p-values of the steps, with those found held against others to the same course.

    Where courses are bought together, all of them seem to lead where one does. So, of the courses
    that lead to the same one, the strongest is taken first, and each next one is tested among
    customers alike in the ones taken before.

    Returns:
        The larger of both p-values, and for each step so tested, by its number: `rival`, the
        strongest course before, and the odds ratio `direct` with `direct_low`, `direct_high`.
    """
    p, against = tested.p_value.copy(), {}
    by_upper: dict[str, list[int]] = defaultdict(list)
    for i in np.flatnonzero(tested.found):
        by_upper[t.steps[i][1]].append(i)
    for upper, candidates in sorted(by_upper.items()):
        candidates = sorted(candidates, key=lambda i: (tested.p_value[i], t.steps[i]))[:MOST_RIVALS]
        if len(candidates) < 2:
            continue
        lowers = [t.steps[i][0] for i in candidates]
        counts = _states(bought, upper, lowers)
        taken = ["has_0"]
        for k, i in enumerate(candidates[1:], start=1):
            strata = _strata(counts, f"has_{k}", taken)
            log_p = stratified.log_p_greater(*strata, tested.null.usual)
            p[i] = max(p[i], float(np.exp(rules.widened(log_p, tested.null.spread))))
            odds = stratified.mantel_haenszel(*strata)
            against[i] = {
                "rival": lowers[0], "direct": float(odds.estimate),
                "direct_low": float(odds.low), "direct_high": float(odds.high),
            }
            if p[i] <= ALPHA:
                taken.append(f"has_{k}")
    return p, against


def _states(bought: Purchases, upper: str, lowers: list[str]) -> pd.DataFrame:
    """Later purchases of who lacks `upper`, by bin, which of `lowers` they have, and hit or not."""
    places = {"upper": _.place.min(where=_.course_id == upper)} | {
        f"lower_{k}": _.place.min(where=_.course_id == lower) for k, lower in enumerate(lowers)
    }
    of_these = bought.owned.filter(_.course_id.isin([upper, *lowers]))
    people = of_these.group_by("user_id").agg(**places)
    later = bought.moments.filter(_.place > 0).select("user_id", "place", "bin")
    rows = later.left_join(people, "user_id")
    open_ = rows.filter(rows.upper.isnull() | (rows.upper >= rows.place))
    has = {
        f"has_{k}": (_[f"lower_{k}"] < _.place).fill_null(False).cast("int64")
        for k in range(len(lowers))
    }
    marked = open_.mutate(hit=(_.upper == _.place).fill_null(False).cast("int64"), **has)
    keys = ("bin", *has, "hit")
    return collect(marked.group_by(*keys).agg(purchases=_.count()), keys).reset_index()


def _strata(counts: pd.DataFrame, having: str, taken: list[str]) -> tuple[np.ndarray, ...]:
    """The tables of one course among customers alike in the others taken, in bins of value."""
    cells = counts.groupby(["bin", *taken, having, "hit"]).purchases.sum()
    cells = cells.unstack([having, "hit"], fill_value=0)
    cells = cells.reindex(columns=pd.MultiIndex.from_product([(0, 1), (0, 1)]), fill_value=0)
    both, row = cells[(1, 1)], cells[1].sum(axis=1)
    column, total = cells[(1, 1)] + cells[(0, 1)], cells.sum(axis=1)
    return tuple(part.to_numpy() for part in (both, row, column, total))


def _naive(sequences: Sequences | None, tested: pd.DataFrame) -> pd.DataFrame:
    """Steps up as plain sequences have them: the second purchase after the first."""
    if sequences is None:
        return pd.DataFrame()
    seen = sequences.pairs[sequences.pairs.index.isin(tested.index)]
    first, following = (seen.index.get_level_values(i) for i in (0, 1))
    went_on = sequences.firsts.went_on.reindex(first).to_numpy()
    got = sequences.nexts.customers.reindex(following).to_numpy()
    hits = seen.customers.to_numpy()
    others = sequences.went_on - went_on
    with np.errstate(divide="ignore", invalid="ignore"):
        lift = (hits / went_on) / ((got - hits) / others)
    adjusted = rules.by_independence(hits, went_on, got, sequences.went_on, len(tested))
    index = pd.MultiIndex.from_arrays([first, following], names=["lower", "upper"])
    frame = pd.DataFrame({
        "customers": hits, "lift": lift, "p_adjusted": adjusted, "found": adjusted <= ALPHA,
    }, index=index)
    return frame.join(tested[["odds_ratio", "holds"]]).sort_values(
        ["p_adjusted", "lift"], ascending=[True, False], kind="stable")
