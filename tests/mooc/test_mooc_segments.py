"""Segments: a partition, the same customer by customer, and what was planted comes out."""

from __future__ import annotations

import datetime as dt
from itertools import product

import ibis
import numpy as np
import pandas as pd
import pytest
from mooc_logs import as_tables, random_frames, random_users, user_table
from scipy.special import hyp2f1
from test_mooc_rfm import loop_scores, loop_values

from analysis.mooc import segments
from analysis.mooc.segments import NAMES, NEW, RULES
from analysis.results import flatten
from analysis.simulate.mooc import BGNBD

AS_OF = dt.date(2024, 5, 1)


def loop_segments(orders, date):
    """Customers of a date by segment, as the module's docstring says it."""
    found = {}
    for user, (r, f, m) in loop_scores(loop_values(orders, date)).items():
        v = int(np.floor((f + m) / 2 + 0.5))
        found[user] = next(rule.name for rule in RULES
                           if rule.r[0] <= r <= rule.r[1] and rule.v[0] <= v <= rule.v[1])
    return found


@pytest.fixture(scope="module")
def small():
    frames = random_frames(0)
    tables = as_tables(frames)
    after = pd.Timestamp(AS_OF - dt.timedelta(days=segments.BETWEEN))
    # Some of the orders half a year and more earlier, so that customers can be followed.
    early = frames["orders"].index % 3 == 0
    frames["orders"].loc[early, "order_timestamp"] -= pd.Timedelta(days=200)
    orders = frames["orders"]
    return orders, after, segments.segments(
        ibis.memtable(orders), tables.table("users"), AS_OF)


def test_every_cell_is_in_exactly_one_segment():
    for r, f, m in product(range(1, 6), repeat=3):
        v = segments.value_score(f, m)
        inside = [i for i, rule in enumerate(RULES)
                  if rule.r[0] <= r <= rule.r[1] and rule.v[0] <= v <= rule.v[1]]
        assert inside == [segments.segment_of(r, v)]
        assert v == int(np.floor((f + m) / 2 + 0.5))
        assert 1 <= segments.value_score(f, m, "frequency") == f
        assert segments.value_score(f, m, "monetary") == m
    assert len(set(NAMES)) == len(RULES) == 11
    assert segments.segment_of(5, 5) == 0 and NAMES[segments.segment_of(1, 1)] == "Lost"


def test_sizes_are_those_of_the_customers_one_by_one(small):
    orders, _, found = small
    values, named = loop_values(orders, AS_OF), loop_segments(orders, AS_OF)
    revenue = sum(v[2] for v in values.values())
    for name, row in found.sizes.iterrows():
        mine = [values[u] for u in named if named[u] == name]
        assert (row.customers, row.orders) == (len(mine), sum(v[1] for v in mine))
        assert row.revenue == pytest.approx(sum(v[2] for v in mine))
        if mine:
            assert row.recency == pytest.approx(np.mean([v[0] for v in mine]))
            assert row.share_of_revenue == pytest.approx(row.revenue / revenue)
            assert not row.share_of_revenue > 0 or (
                row.share_of_revenue_low < row.share_of_revenue < row.share_of_revenue_high)
    assert found.sizes.share.sum() == pytest.approx(1)


def test_migration_and_what_was_bought_in_between(small):
    orders, before, found = small
    then, now = loop_segments(orders, before.date()), loop_segments(orders, AS_OF)
    day = orders.order_timestamp.dt.normalize()
    later = orders[(day > before) & (day <= pd.Timestamp(AS_OF))].groupby("user_id").amount.sum()
    counts, money, buyers = {}, {}, {}
    for user, name in now.items():
        key = then.get(user, NEW), name
        counts[key] = counts.get(key, 0) + 1
        money[key] = money.get(key, 0) + later.get(user, 0)
        buyers[key] = buyers.get(key, 0) + (user in later.index)
    assert found.migration.customers.to_dict() == counts
    assert found.migration.buyers.to_dict() == buyers
    assert found.migration.revenue.to_dict() == pytest.approx(money)
    place = {name: i for i, name in enumerate(NAMES)}
    moved = found.moves
    up = sum(n for (a, b), n in counts.items() if a != NEW and place[b] < place[a])
    assert moved.moved_up.sum() == up
    assert (moved[["moved_up", "stayed", "slipped"]].sum(axis=1) == moved.customers).all()
    assert found.revenue_of_moves.customers["newly came"] == len(now) - len(then)
    assert found.revenue_of_moves.revenue.sum() == pytest.approx(later[list(
        set(later.index) & set(now))].sum())

    p = found.prediction
    assert p.customers == len(then)
    for name, row in p.by_segment.iterrows():
        mine = [u for u in then if then[u] == name]
        assert (row.customers, row.buyers) == (len(mine), sum(u in later.index for u in mine))
        assert row.revenue == pytest.approx(sum(later.get(u, 0) for u in mine))
    scores = loop_scores(loop_values(orders, before.date()))
    bought = np.array([u in later.index for u in scores])
    for column, name in enumerate(("recency", "frequency", "monetary")):
        x = np.array([score[column] for score in scores.values()])
        gaps = np.sign(x[bought][:, None] - x[~bought])
        assert p.by_score.area[name] == pytest.approx((gaps.mean() + 1) / 2)


def test_share_of_revenue_agrees_with_a_bootstrap_of_customers(small):
    orders, _, found = small
    values, named = loop_values(orders, AS_OF), loop_segments(orders, AS_OF)
    amount = np.array([values[u][2] for u in named])
    name = found.sizes.revenue.idxmax()
    inside = np.array([named[u] == name for u in named])
    rng = np.random.default_rng(1)
    drawn = rng.integers(0, len(amount), (4000, len(amount)))
    shares = (amount * inside)[drawn].sum(1) / amount[drawn].sum(1)
    row = found.sizes.loc[name]
    low, high = np.quantile(shares, [0.025, 0.975])
    assert (row.share_of_revenue_low, row.share_of_revenue_high) == pytest.approx(
        (low, high), abs=0.15 * (high - low))


def test_ties_are_counted(small):
    orders, _, found = small
    values = pd.DataFrame(loop_values(orders, AS_OF).values())
    for column, name in enumerate(("recency", "frequency", "monetary")):
        row = found.ties.loc[("orders", name)]
        counts = values[column].round(2).value_counts()
        assert row.share == pytest.approx(counts.max() / len(values))
        assert counts[round(row.commonest, 2)] == counts.max()
        assert sum(row[f"score_{i}"] for i in range(1, 6)) == len(values)


def test_order_of_rows_and_ids_do_not_matter(small):
    orders, _, found = small
    mixed = orders.sample(frac=1, random_state=5)
    mixed["order_id"] = mixed.order_id.str[::-1]
    users = user_table(random_users(0))
    again = flatten(segments.segments(ibis.memtable(mixed), users, AS_OF))
    assert again == {k: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v
                     for k, v in flatten(found).items()}


def test_unit_of_money_does_not_matter(small):
    orders, _, found = small
    users = user_table(random_users(0))
    dear = segments.segments(
        ibis.memtable(orders.assign(amount=orders.amount * 100)), users, AS_OF)
    assert (dear.sizes.customers == found.sizes.customers).all()
    for name in ("share_of_revenue_low", "share_of_revenue_high"):
        assert dear.sizes[name].to_numpy() == pytest.approx(
            found.sizes[name].to_numpy(), nan_ok=True)
    assert dear.prediction.by_segment.value_high.to_numpy() == pytest.approx(
        100 * found.prediction.by_segment.value_high.to_numpy(), nan_ok=True)


# The shipped tables


def expected_repeats(frequency, recency, age, weeks):
    """Fader, Hardie & Lee 2005, equation 10, with the planted parameters; time in weeks."""
    r, alpha, a, b = (BGNBD[name] for name in ("r", "alpha", "a", "b"))
    x, t, total = frequency, recency, age
    f = hyp2f1(r + x, b + x, a + b + x - 1, weeks / (alpha + total + weeks))
    first = (a + b + x - 1) / (a - 1) * (
        1 - ((alpha + total) / (alpha + total + weeks)) ** (r + x) * f)
    dead = np.where(x > 0, a / (b + np.maximum(x, 1) - 1) * (
        (alpha + total) / (alpha + t)) ** (r + x), 0.0)
    return first / (1 + dead)


def test_segments_buy_what_the_planted_model_expects_of_them(mooc_tables, mooc_study):
    """Days with orders in the half year after, by segment, against BG/NBD with its true values."""
    g = mooc_study.segments
    before = dt.date.fromisoformat(g.before)
    orders = mooc_tables.table("orders")
    named = segments.customers_at(orders, before).select("user_id", "segment").to_pandas()
    days = orders.to_pandas()[["user_id", "order_timestamp"]]
    days["day"] = days.order_timestamp.dt.normalize()
    days = days.drop_duplicates(["user_id", "day"])
    cut, end = pd.Timestamp(before), pd.Timestamp(g.as_of)
    past = days[days.day <= cut].groupby("user_id").day.agg(["min", "max", "size"])
    later = days[(days.day > cut) & (days.day <= end)].groupby("user_id").size()
    frame = named.set_index("user_id").join(past)
    frame["later"] = later.reindex(frame.index, fill_value=0)
    weeks = 7.0
    frame["expected"] = expected_repeats(
        frame["size"] - 1, (frame["max"] - frame["min"]).dt.days / weeks,
        (cut - frame["min"]).dt.days / weeks, g.between / weeks)
    sums = frame.groupby("segment")[["later", "expected"]].sum()
    error = frame.groupby("segment").later.agg(lambda x: np.sqrt(x.var() * len(x)))
    assert len(sums) == len(RULES)
    assert ((sums.later - sums.expected).abs() / error).max() < 3
    # The order that the model expects is the order that was seen, nearly.
    means = frame.groupby("segment")[["later", "expected"]].mean()
    assert means.corr("spearman").iloc[0, 1] > 0.85


def test_what_the_shipped_customers_show(mooc_study):
    g = mooc_study.segments
    p = g.prediction
    assert p.p_value < 1e-6
    assert p.by_segment.side["Champions"] == "above" and p.by_segment.side["Lost"] == "below"
    # In the model, who dropped out tells most, and that shows in recency.
    assert p.by_score.area["recency"] > p.by_score.area[["frequency", "monetary"]].max()
    assert p.area_differences.p_adjusted[("recency", "frequency")] < 0.01
    assert g.ties.score_2[("orders", "frequency")] == 0  # nearly half bought once
    assert g.tenure.share < 0.5 and 0 < g.tenure.rank_correlation < 1
    assert g.stability["share"]["7 days earlier"] > g.stability["share"]["30 days earlier"]


# Other people's tables


def tables_of(rows, users=None):
    orders = pd.DataFrame(rows, columns=["order_id", "user_id", "order_timestamp", "amount"])
    orders = orders.assign(course_id="C1", channel="web")
    ids = sorted(set(orders.user_id)) if users is None else users
    people = pd.DataFrame({
        "user_id": ids, "enrollment_date": pd.Timestamp("2024-01-01"),
        "total_courses_enrolled": 1, "total_revenue": 0.0})
    people = ibis.memtable(people).mutate(enrollment_date=ibis._.enrollment_date.cast("date"))
    return ibis.memtable(orders), people


def test_nobody_is_named_where_nothing_tells_customers_apart():
    moment = pd.Timestamp("2024-04-30 10:00")
    for rows in (
        [("O1", "A", moment, 10.0)],  # one customer
        [(f"O{i}", f"U{i}", moment, 10.0 * i) for i in range(9)],  # all on one day
        [(f"O{i}", f"U{i}", moment - pd.Timedelta(days=i), 5.0) for i in range(9)],  # one price
    ):
        found = segments.segments(*tables_of(rows), AS_OF)
        assert found.value_by is None and found.sizes is None and found.prediction is None
        assert found.ties.loc["orders"].users.eq(len(rows)).all()
        flatten(found)


def test_a_score_that_all_share_is_left_out():
    moment = pd.Timestamp("2024-04-30 10:00")
    free = [(f"O{i}-{j}", f"U{i}", moment - pd.Timedelta(days=20 * i + j), 0.0)
            for i in range(20) for j in range(1 + i % 3)]
    found = segments.segments(*tables_of(free), AS_OF)
    assert found.value_by == "frequency"
    assert found.sizes.share_of_revenue.isna().all() and found.sizes.customers.sum() == 20
    assert found.prediction.revenue == 0
    once = [(f"O{i}", f"U{i}", moment - pd.Timedelta(days=20 * i), 5.0 + i) for i in range(20)]
    found = segments.segments(*tables_of(once), AS_OF)
    assert found.value_by == "monetary"
    # Nobody bought twice, so nobody who could be followed bought again.
    assert found.prediction.buyers == 0 and found.prediction.p_value is None
    assert found.prediction.by_score.area.isna().all()
    flatten(found)


def test_a_short_period_has_no_earlier_date():
    moment = pd.Timestamp("2024-04-30 10:00")
    rows = [(f"O{i}", f"U{i}", moment - pd.Timedelta(days=i), 5.0 + i) for i in range(20)]
    found = segments.segments(*tables_of(rows), AS_OF)
    assert found.before is None and found.migration is None and found.prediction is None
    assert found.sizes.customers.sum() == 20
    assert list(found.stability.index) == ["7 days earlier", "orders counted", "money alone"]
