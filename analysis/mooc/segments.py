"""Segments of customers by recency, frequency and monetary value, and whether they mean anything.

Names are given to the scores of `rfm`: to recency, r, and to value, v, the mean of the scores of
frequency and monetary value, halves rounded up. `RULES` is the one place that says which scores
make which segment; every pair of r and v, and so each of the 125 cells of r, f and m, is in exactly
one. Whether the names say anything about the future is tested on what customers buy in the half
year after they were given.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from analysis.days import day_number, day_of
from analysis.mooc import rfm
from analysis.mooc.channels import (
    ALPHA,
    CONFIDENCE,
    LEAST_CUSTOMERS,
    adjusted,
    against,
    an_order,
    limits,
    mean,
    moments,
    pooled,
    share_of_total,
    spending,
)
from analysis.mooc.rfm import QUINTILES, SCORES, VALUES, Rfm
from analysis.stats import discrimination, intervals, regression, two_proportions
from analysis.stats.association import association
from analysis.stats.multiplicity import holm
from analysis.stats.two_proportions import Share

BETWEEN = 182  # days between the two dates that are compared: half a year
EARLIER = (7, 30)  # days by which the date is moved to see whether segments are stable
TOP = 0.2  # of customers, by a score, whose share of the later revenue is told
NEW = "not yet a customer"


@dataclass(frozen=True)
class Rule:
    """A segment: a rectangle of scores.

    Attributes:
        name: What the trade calls it.
        r: Lowest and highest score of recency, 1 to 5.
        v: Lowest and highest score of value, 1 to 5.
        who: In words.
    """

    name: str
    r: tuple[int, int]
    v: tuple[int, int]
    who: str


# From the best to the least: a customer who goes to a segment further up has moved up.
RULES = (
    Rule("Champions", (5, 5), (4, 5), "bought just now, often, for much"),
    Rule("Loyal", (3, 4), (4, 5), "buy often, for much"),
    Rule("Potential Loyalists", (4, 5), (2, 3), "bought recently, for a middling sum"),
    Rule("New", (5, 5), (1, 1), "bought just now, once, for little"),
    Rule("Promising", (4, 4), (1, 1), "bought recently, once, for little"),
    Rule("Needs Attention", (3, 3), (3, 3), "middling in everything"),
    Rule("About to Sleep", (3, 3), (1, 2), "some time ago, for little"),
    Rule("Cannot Lose Them", (1, 2), (5, 5), "were among the best, long ago"),
    Rule("At Risk", (1, 2), (3, 4), "bought for more than a little, long ago"),
    Rule("Hibernating", (2, 2), (1, 2), "long ago, for little"),
    Rule("Lost", (1, 1), (1, 2), "longest ago, for little"),
)
NAMES = tuple(rule.name for rule in RULES)
MOVES = ("moved up", "stayed", "slipped")


@dataclass(frozen=True)
class Tenure:
    """What the users table's recency, the days since the *first* course, does to customers.

    Attributes:
        customers: Users with an order who are in the users table too.
        same: Of them, those whose segment is the same by the users table and by orders.
        share, low, high: Their share, with Wilson's interval.
        kappa: Cohen's (1960) kappa: 0 is what chance would give, 1 is agreement.
        rank_correlation: Spearman's, of the two scores of recency; None without variation.
        recent: Customers with a recency score of 4 or 5 by orders.
        called_old: Of these, those with 1 or 2 by the users table.
        old_share, old_low, old_high: Their share, with Wilson's interval; None without any.
    """

    customers: int
    same: int
    share: float
    low: float
    high: float
    kappa: float | None
    rank_correlation: float | None
    recent: int
    called_old: int
    old_share: float | None
    old_low: float | None
    old_high: float | None


@dataclass(frozen=True)
class Prediction:
    """What customers bought in the half year after they were segmented.

    Attributes:
        customers, buyers: Customers at the earlier date; those who bought in the days after.
        revenue: What they spent then, currency.
        by_segment: Index `segment`; `customers`, `buyers`, `revenue`; `share` who bought (Wilson's
            interval) and `value`, revenue a customer (Hall 1992), with `_low`, `_high`;
            `difference` of the share to all other customers (Newcombe 1998), `ratio` of the value
            to theirs, with limits of each alone; `share_p`, `value_p`: of the differences, Holm's
            over the segments; `side`, `value_side`: "above" or "below" the others where that p is
            at most 0.05, else "".
        p_value: Chi-squared test that all segments are alike in the share who bought; None where
            it can't be told.
        v, v_low, v_high: Cramér's V of it, corrected for its bias (Bergsma 2013).
        by_score: Index `score`: "recency", "frequency", "monetary", "segment" (its place in
            `RULES`) and "sum" (r + f + m); `area`, the probability that a buyer had a higher score
            than another customer, ties half (area under the ROC curve), `low`, `high` (DeLong et
            al. 1988); `top`: share of the later revenue that the fifth of customers with the
            highest scores brought.
        area_differences: Index `first`, `second`: `difference` of the areas, `low`, `high`,
            `p_value`, `p_adjusted` (Holm), allowing for the scores being of the same customers.
    """

    customers: int
    buyers: int
    revenue: float
    by_segment: pd.DataFrame
    p_value: float | None
    v: float | None
    v_low: float | None
    v_high: float | None
    by_score: pd.DataFrame
    area_differences: pd.DataFrame


@dataclass(frozen=True)
class Segments:
    """Who the customers are, at `as_of` and half a year before; limits are of 95% intervals.

    Attributes:
        as_of: The day at whose end they are looked at, ISO.
        before: The earlier date, ISO; None where orders don't reach back so far.
        between: Days from `before` to `as_of`.
        rfm: Scores by source of the values: "users" (the users table alone) and "orders".
        ties: Index `base` ("users", "orders"), `value`: `users` scored, the `commonest` value,
            `share` of the users who have it, `least` and `most`, users by score (`score_1` to
            `score_5`).
        value_by: What the score of value is made of at `as_of`: "both" scores, or the one of
            "frequency" and "monetary" that varies; None where recency doesn't vary or neither
            does, so that there is nothing to tell customers apart by. Then all that follows is
            None.
        sizes: Index `segment` of customers by orders: `customers`, `share`, `recency` (mean days),
            `orders`, `revenue`, `share_of_revenue`, `value` (revenue a customer), `order_value`
            (revenue an order), the last three with `_low` and `_high` where they can be told.
        users_sizes: Index `segment` by the users table alone: `users`, `share`, `courses`,
            `revenue`, `share_of_revenue`; None where it can't be told.
        tenure: What the users table alone gets wrong; None where it can't be told.
        migration: Index `before`, `now` (segments at the two dates; `NEW` before the first order):
            `customers`, `buyers` (in the days between) and `revenue` (of these days); a row a pair
            of segments.
        moves: Index `before`: `customers` and how many `moved_up`, `stayed`, `slipped`, each with
            its `_share`, `_low` and `_high` (Wilson).
        revenue_of_moves: Index `move` (those of `MOVES` and "newly came"): `customers`, `buyers`,
            `revenue` between the dates, `share_of_revenue`, `value` (revenue a customer) with
            limits.
        stability: Index `change` (of date or rule): `customers` in both, `same` segment, `share`
            with limits, `kappa`.
        prediction: Whether segments predict.
    """

    as_of: str
    before: str | None
    between: int
    rfm: Mapping[str, Rfm]
    ties: pd.DataFrame
    value_by: str | None
    sizes: pd.DataFrame | None
    users_sizes: pd.DataFrame | None
    tenure: Tenure | None
    migration: pd.DataFrame | None
    moves: pd.DataFrame | None
    revenue_of_moves: pd.DataFrame | None
    stability: pd.DataFrame | None
    prediction: Prediction | None


def segments(orders: ir.Table, users: ir.Table, as_of: dt.date) -> Segments:
    """Scores and names users and customers, follows them for half a year and checks the names.

    Args:
        orders: mooc/orders, of known users.
        users: mooc/users.
        as_of: The day at whose end the study stands.

    Raises:
        ValueError: No user, or no order, up to `as_of`.
    """
    values = {"users": rfm.from_users(users, as_of), "orders": rfm.from_orders(orders, as_of)}
    scores = {base: rfm.rfm(table, as_of) for base, table in values.items()}
    ties = pd.concat([
        _ties(table, scores[base], base) for base, table in values.items()
    ]).set_index(["base", "value"])
    value_by = {base: _value_by(ties.loc[base]) for base in values}
    first = orders.agg(day=day_number(_.order_timestamp).min()).to_pandas().day.iloc[0]
    before = as_of - dt.timedelta(days=BETWEEN)
    reaches = int(first) <= day_of(before)
    found = dict.fromkeys(("sizes", "users_sizes", "tenure", "migration", "moves",
                           "revenue_of_moves", "stability", "prediction"))
    now = None
    if value_by["users"]:
        found["users_sizes"] = _users_sizes(scores["users"].cells, value_by["users"])
    if value_by["orders"]:
        now = _named(values["orders"], scores["orders"].quintiles, value_by["orders"])
        found["sizes"] = _sizes(now, scores["orders"].cells, value_by["orders"])
        found["stability"] = _stability(orders, now, as_of, int(first))
        if value_by["users"]:
            known = _named(values["users"], scores["users"].quintiles, value_by["users"])
            found["tenure"] = _tenure(now, known)
    if now is not None and reaches and (then := customers_at(orders, before)) is not None:
        after = _bought(orders, before, as_of)
        centre = float(found["sizes"].revenue.sum() / found["sizes"].customers.sum())
        found["prediction"] = _prediction(then, after, centre)
        found["migration"], found["revenue_of_moves"] = _migration(now, then, after, centre)
        found["moves"] = _moves(found["migration"])
    return Segments(
        as_of=as_of.isoformat(), before=before.isoformat() if reaches else None, between=BETWEEN,
        rfm=scores, ties=ties, value_by=value_by["orders"], **found,
    )


# Scores and names


def value_score(f, m, by: str = "both"):
    """The score of value, 1 to 5: the mean of two scores, halves rounded up, or one of them.

    Args:
        f, m: Scores of frequency and monetary value: numbers, arrays or Ibis columns.
        by: "both", "frequency" or "monetary".
    """
    return {"both": (f + m + 1) // 2, "frequency": f, "monetary": m}[by]


def segment_of(r: int, v: int) -> int:
    """The place in `RULES` of a pair of scores."""
    return next(
        place for place, rule in enumerate(RULES)
        if rule.r[0] <= r <= rule.r[1] and rule.v[0] <= v <= rule.v[1]
    )


def _value_by(ties: pd.DataFrame) -> str | None:
    """By which scores customers can be told apart; see `Segments`."""
    varies = ties.most > ties.least + rfm.TOLERANCE
    if not varies["recency"] or not (varies["frequency"] or varies["monetary"]):
        return None
    return next(
        name for name, told in (
            ("both", varies["frequency"] and varies["monetary"]),
            ("frequency", varies["frequency"]), ("monetary", True),
        ) if told
    )


def _named(values: ir.Table, cuts: pd.DataFrame, by: str) -> ir.Table:
    """`values` with the scores, and `segment`, the place in `RULES`."""
    return _with_segment(rfm.scored(values, cuts), by)


def _with_segment(scored: ir.Table, by: str) -> ir.Table:
    scored = scored.mutate(v=value_score(_.f, _.m, by).cast("int64"))
    inside = [
        (scored.r.between(*rule.r) & scored.v.between(*rule.v), ibis.literal(place, "int64"))
        for place, rule in enumerate(RULES)
    ]
    return scored.mutate(segment=ibis.cases(*inside))


def customers_at(orders: ir.Table, date: dt.date) -> ir.Table | None:
    """Customers of a date with their values, scores and segments, each among the date's customers.

    None where nobody had ordered yet, or customers can't be told apart.
    """
    values = rfm.from_orders(orders, date)
    span = values.agg(**{
        f"{end}__{value}": getattr(values[value].cast("float64"), how)()
        for value in VALUES for end, how in (("least", "min"), ("most", "max"))
    }).to_pandas().iloc[0]
    if span.isna().any():
        return None
    ties = pd.DataFrame({
        end: {value: span[f"{end}__{value}"] for value in VALUES} for end in ("least", "most")})
    by = _value_by(ties)
    return _named(values, rfm.quintiles(values), by) if by else None


def _ties(values: ir.Table, scored: Rfm, base: str) -> pd.DataFrame:
    rows = []
    for score, value in zip(SCORES, VALUES, strict=True):
        column = values[value].cast("float64").round(2)  # cents: sums leave smaller differences
        counts = values.group_by(value=column).agg(users=_.count())
        span = counts.agg(least=_.value.min(), most=_.value.max(), top=_.users.max())
        commonest = counts.join(span, counts.users == span.top).agg(
            value=_.value.min(), users=_.users.max(), least=_.least.min(), most=_.most.max()
        ).to_pandas().iloc[0]
        by_score = scored.cells.users.groupby(level=score).sum()
        rows.append({
            "base": base, "value": value, "users": scored.users,
            "commonest": float(commonest.value), "share": float(commonest.users) / scored.users,
            "least": float(commonest.least), "most": float(commonest.most),
        } | {f"score_{i}": int(by_score.get(i, 0)) for i in range(1, len(QUINTILES) + 2)})
    return pd.DataFrame(rows)


# Size and value


def _by_name(frame: pd.DataFrame, level: str = "segment") -> pd.DataFrame:
    """Numbers of segments as their names, all of them, in order; segments without anybody are 0."""
    frame = frame.reindex(range(len(RULES)), fill_value=0)
    return frame.set_axis(pd.Index(NAMES, name=level))


def _of_cells(cells: pd.DataFrame, by: str) -> pd.Series:
    """The segment of each cell of scores."""
    return pd.Series([segment_of(r, value_score(f, m, by)) for r, f, m in cells.index], cells.index)


def _sizes(now: ir.Table, cells: pd.DataFrame, by: str) -> pd.DataFrame:
    centre = float(cells.monetary.sum() / cells.users.sum())
    sums = _by_name(spending(
        now.select("segment", amount=_.monetary, orders=_.frequency), ("segment",), centre)
    ).assign(centre=centre)
    days = _by_name((cells.recency * cells.users).groupby(_of_cells(cells, by)).sum().to_frame("d"))
    everybody = pooled(sums)
    frame = pd.DataFrame({
        "customers": sums.people.astype("int64"), "share": sums.people / everybody.people,
        "recency": days.d / sums.people.where(sums.people > 0),
        "orders": sums.orders.astype("int64"), "revenue": sums.revenue.astype("float64"),
        "share_of_revenue": sums.revenue / everybody.revenue if everybody.revenue > 0 else np.nan,
        "value": sums.revenue / sums.people.where(sums.people > 0),
        "order_value": sums.revenue / sums.orders.where(sums.orders > 0),
    })
    rows = [sums.loc[name] for name in frame.index]
    return frame.join([
        limits([share_of_total(row, everybody) for row in rows], "share_of_revenue", frame.index),
        limits([mean(row) for row in rows], "value", frame.index),
        limits([an_order(row) for row in rows], "order_value", frame.index),
    ])


def _users_sizes(cells: pd.DataFrame, by: str) -> pd.DataFrame:
    sums = _by_name(cells[["users", "frequency", "monetary"]].groupby(_of_cells(cells, by)).sum())
    revenue = sums.monetary.sum()
    return pd.DataFrame({
        "users": sums.users, "share": sums.users / sums.users.sum(),
        "courses": sums.frequency.astype("int64"), "revenue": sums.monetary.astype("float64"),
        "share_of_revenue": sums.monetary / revenue if revenue > 0 else np.nan,
    })


def _tenure(now: ir.Table, known: ir.Table) -> Tenure | None:
    both = known.select("user_id", tenure=_.r, called=_.segment).join(
        now.select("user_id", "r", "segment"), "user_id")
    counts = both.group_by("tenure", "called", "r", "segment").agg(users=_.count()).to_pandas()
    if not len(counts):
        return None
    counts = counts.sort_values(["tenure", "called", "r", "segment"])
    agreement = _agreement(counts, "called", "segment")
    recent = counts[counts.r >= 4]
    old = int(recent.users[recent.tenure <= 2].sum())
    found = intervals.proportion(old, int(recent.users.sum())) if len(recent) else None
    return Tenure(
        **agreement, rank_correlation=_spearman(counts.tenure, counts.r, counts.users),
        recent=int(recent.users.sum()), called_old=old,
        old_share=found.estimate if found else None, old_low=found.low if found else None,
        old_high=found.high if found else None,
    )


def _agreement(counts: pd.DataFrame, first: str, second: str) -> dict[str, float | int | None]:
    """How many of the users have the same segment twice; Cohen's (1960) kappa."""
    n = int(counts.users.sum())
    if n == 0:
        return {"customers": 0, "same": 0, "share": np.nan, "low": np.nan, "high": np.nan,
                "kappa": None}
    same = int(counts.users[counts[first] == counts[second]].sum())
    found = intervals.proportion(same, n, CONFIDENCE)
    a, b = (counts.groupby(c).users.sum().reindex(range(len(RULES)), fill_value=0) / n
            for c in (first, second))
    chance = float((a * b).sum())
    kappa = (same / n - chance) / (1 - chance) if chance < 1 - 1e-12 else None
    return {"customers": n, "same": same, "share": found.estimate, "low": found.low,
            "high": found.high, "kappa": kappa}


def _spearman(x: pd.Series, y: pd.Series, n: pd.Series) -> float | None:
    """Rank correlation of values that occur `n` times, ties with their mean rank."""

    def ranks(values: pd.Series) -> pd.Series:
        by_value = n.groupby(values).sum()
        return values.map(by_value.cumsum() - by_value / 2)

    a, b = ranks(x), ranks(y)
    a, b = a - np.average(a, weights=n), b - np.average(b, weights=n)
    scale = (n * a**2).sum() * (n * b**2).sum()
    return float((n * a * b).sum() / np.sqrt(scale)) if scale > 0 else None


# Another date, another rule


def _stability(orders: ir.Table, now: ir.Table, as_of: dt.date, first: int) -> pd.DataFrame:
    rows = {}
    for days in EARLIER:
        date = as_of - dt.timedelta(days=days)
        if first > day_of(date) or (table := customers_at(orders, date)) is None:
            continue
        pair = now.select("user_id", "segment").join(
            table.select("user_id", other=_.segment), "user_id")
        counts = pair.group_by("segment", "other").agg(users=_.count()).to_pandas()
        rows[f"{days} days earlier"] = _agreement(counts, "segment", "other")
    counted = _with_segment(now.mutate(kept=_.segment, f=ibis.least(_.frequency, 5)), "both")
    both = _with_segment(counted.mutate(counted=_.segment), "monetary")
    counts = both.group_by("kept", "counted", money=_.segment).agg(users=_.count()).to_pandas()
    rows["orders counted"] = _agreement(counts, "kept", "counted")
    rows["money alone"] = _agreement(counts, "kept", "money")
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("change")
    return frame.astype({"kappa": "float64"})


# Half a year later


def _bought(orders: ir.Table, before: dt.date, until: dt.date) -> ir.Table:
    """What users bought after `before` up to `until`: `user_id`, `amount`, `orders`."""
    day = day_number(_.order_timestamp)
    later = orders.filter((day > day_of(before)) & (day <= day_of(until)))
    baskets = later.group_by("user_id", "order_id").agg(amount=_.amount.sum())
    return baskets.group_by("user_id").agg(amount=_.amount.sum(), orders=_.count())


def _migration(
    now: ir.Table, then: ir.Table, after: ir.Table, centre: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Customers by segment at two dates, and what those who moved bought in between."""
    both = now.select("user_id", now=_.segment).left_join(
        then.select("user_id", before=_.segment), "user_id").drop("user_id_right")
    both = both.left_join(after, "user_id").mutate(
        before=_.before.fill_null(-1), bought=_.orders.notnull().cast("int64"),
        amount=_.amount.cast("float64").fill_null(0.0), orders=_.orders.fill_null(0),
    ).drop("user_id_right")
    sums = spending(both, ("before", "now", "bought"), centre)
    frame = sums.reset_index()
    frame["buyers"] = frame.people * frame.bought
    table = frame.groupby(["before", "now"])[["people", "buyers", "revenue"]].sum()
    names = dict(enumerate(NAMES)) | {-1: NEW}
    table.index = pd.MultiIndex.from_tuples(
        [(names[a], names[b]) for a, b in table.index], names=["before", "now"])
    table = table.rename(columns={"people": "customers"}).astype(
        {"customers": "int64", "buyers": "int64", "revenue": "float64"})

    frame["move"] = np.select(
        [frame.before < 0, frame.now < frame.before, frame.now == frame.before],
        ["newly came", *MOVES[:2]], MOVES[2])
    total = frame.revenue.sum()
    rows = {}
    for move in (*MOVES, "newly came"):
        part = frame[frame.move == move]
        row = pooled(part)
        found = mean(row) if len(part) else None
        rows[move] = {
            "customers": int(row.people), "buyers": int(part.buyers.sum()),
            "revenue": float(row.revenue),
            "share_of_revenue": row.revenue / total if total > 0 else np.nan,
            "value": row.revenue / row.people if row.people else np.nan,
            "value_low": found.low if found else np.nan,
            "value_high": found.high if found else np.nan,
        }
    moved = pd.DataFrame.from_dict(rows, orient="index").rename_axis("move")
    return table, moved.astype({"customers": "int64", "buyers": "int64"})


def _moves(migration: pd.DataFrame) -> pd.DataFrame:
    place = {name: i for i, name in enumerate(NAMES)}
    rows = {}
    for name in NAMES:
        if name not in migration.index.get_level_values("before"):
            continue
        part = migration.customers.loc[name]
        n = int(part.sum())
        gone = np.array([place[other] for other in part.index])
        row: dict[str, float] = {"customers": n}
        for move, where in zip(
            ("moved_up", "stayed", "slipped"),
            (gone < place[name], gone == place[name], gone > place[name]), strict=True,
        ):
            found = intervals.proportion(int(part[where].sum()), n, CONFIDENCE)
            row |= {move: int(part[where].sum()), f"{move}_share": found.estimate,
                    f"{move}_low": found.low, f"{move}_high": found.high}
        rows[name] = row
    frame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("before")
    return frame.astype({name: "int64" for name in ("customers", "moved_up", "stayed", "slipped")})


def _prediction(then: ir.Table, after: ir.Table, centre: float) -> Prediction | None:
    each = then.left_join(after, "user_id").mutate(
        bought=_.orders.notnull().cast("int64"),
        amount=_.amount.cast("float64").fill_null(0.0), orders=_.orders.fill_null(0),
    )
    keys = (*SCORES, "segment", "bought")
    sums = spending(each.select(*keys, "amount", "orders"), keys, centre).reset_index()
    customers = int(sums.people.sum())
    if customers < 2:
        return None
    sums["buyers"] = sums.people * sums.bought
    by_segment = _by_segment(sums)
    frame = by_segment[["buyers", "customers"]].assign(others=lambda t: t.customers - t.buyers)
    p = v = low = high = None
    table = frame.loc[frame.customers > 0, ["buyers", "others"]]
    if len(table) > 1 and (table.sum() > 0).all():
        found = association(table)
        p, v, low, high = found.p_value, found.effect.value, found.effect.low, found.effect.high
    by_score, differences = _by_score(sums)
    return Prediction(customers, int(sums.buyers.sum()), float(sums.revenue.sum()), by_segment,
                      p, v, low, high, by_score, differences)


def _by_segment(sums: pd.DataFrame) -> pd.DataFrame:
    """What each segment went on to buy, against all others; see `Prediction`."""
    parts = {i: pooled(sums[sums.segment == i]) for i in range(len(RULES))}
    everybody, all_buyers = int(sums.people.sum()), int(sums.buyers.sum())
    rows, shares, values = [], [], []
    for i, part in parts.items():
        n = int(part.people)
        bought = int(sums.buyers[sums.segment == i].sum())
        rest = Share(all_buyers - bought, everybody - n) if everybody > n else None
        shares.append(intervals.proportion(bought, n, CONFIDENCE) if n else None)
        values.append(mean(part) if n else None)
        row = {"customers": n, "buyers": bought, "revenue": float(part.revenue),
               "share": bought / n if n else np.nan, "value": part.revenue / n if n else np.nan}
        gap = (np.nan,) * 4
        if n and rest and 0 < all_buyers < everybody:
            found = two_proportions.pooled_z(Share(bought, n), rest, alpha=ALPHA)
            small = min(n, rest.n) < LEAST_CUSTOMERS
            p = two_proportions.fisher(Share(bought, n), rest).p_value if small else found.p_value
            gap = (found.estimate, found.interval.low, found.interval.high, p)
        row |= dict(zip(("difference", "difference_low", "difference_high", "share_p"), gap,
                        strict=True))
        others = pooled(sums[sums.segment != i])
        ratio = against(moments(part), moments(others))
        row |= dict(zip(("ratio", "ratio_low", "ratio_high", "value_p"), ratio, strict=True))
        rows.append(row)
    index = pd.Index(NAMES, name="segment")
    frame = pd.DataFrame(rows, index).join([
        limits(shares, "share", index), limits(values, "value", index)])
    for p, side, gap, none in (("share_p", "side", "difference", 0.0),
                               ("value_p", "value_side", "ratio", 1.0)):
        frame[p] = adjusted(frame[p])
        frame[side] = np.select(
            [(frame[p] <= ALPHA) & (frame[gap] > none), (frame[p] <= ALPHA) & (frame[gap] < none)],
            ["above", "below"], "")
    return frame


def _by_score(sums: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How well each score puts those first who go on to buy; see `Prediction`."""
    cells = sums.groupby([*SCORES, "segment"])[["people", "buyers", "revenue"]].sum().reset_index()
    scores = {value: cells[score] for score, value in zip(SCORES, VALUES, strict=True)}
    scores |= {"segment": -cells.segment, "sum": cells.r + cells.f + cells.m}
    names = pd.Index(list(scores), name="score")
    columns = ["first", "second", "difference", "low", "high", "p_value", "p_adjusted"]
    empty = pd.DataFrame(columns=columns).set_index(["first", "second"]).astype("float64")
    won, lost = cells.buyers, cells.people - cells.buyers
    if min(won.sum(), lost.sum()) < 2:
        nothing = pd.DataFrame(np.nan, names, ["area", "low", "high", "top"])
        return nothing, empty
    rows = []
    for score in scores.values():
        found = regression.auc(score, won, cells.people, CONFIDENCE)
        top = (discrimination.top_share(score, cells.people, cells.revenue, TOP)
               if cells.revenue.sum() > 0 else np.nan)
        rows.append((found.estimate, found.low, found.high, top))
    frame = pd.DataFrame(rows, names, ["area", "low", "high", "top"], dtype="float64")
    gaps = discrimination.auc_differences(scores, won, lost, CONFIDENCE)
    gaps["p_adjusted"] = holm(gaps.p_value)
    return frame, gaps.set_index(["first", "second"])
