"""Channels: sums and intervals against customers one by one, trends against R, what was planted."""

from __future__ import annotations

import json
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from mooc_logs import as_tables, random_frames

from analysis.mooc import channels
from analysis.mooc.channels import MISSING
from analysis.results import flatten
from analysis.simulate.mooc import ENROL_SOURCE, LATER_PAID, PAID_FIRST, SALES_CHANNELS
from analysis.stats.moments import Moments

ORACLE = json.loads((Path(__file__).parents[1] / "stats" / "oracle" / "discrimination.json")
                    .read_text())["trend"]


@pytest.fixture(scope="module")
def frames():
    return random_frames(4, users=400)


@pytest.fixture(scope="module")
def found(frames):
    tables = as_tables(frames)
    return channels.channels(tables.table("orders"), tables.table("users"))


def by_customer(orders, channel):
    """Amount and orders of each customer in a channel, and in all."""
    same = orders.channel.fillna(MISSING) == channel
    each = pd.DataFrame({
        "y": orders[same].groupby("user_id").amount.sum(),
        "n": orders[same].groupby("user_id").order_id.nunique(),
    })
    each = each.reindex(orders.user_id.unique(), fill_value=0).fillna(0)
    each["total"] = orders.groupby("user_id").amount.sum()
    by = [orders.user_id, orders.channel.fillna(MISSING), orders.order_id]
    each["all"] = orders.groupby(by).size().groupby("user_id").size()
    return each


def test_sales_channels_against_a_bootstrap_of_customers(frames, found):
    orders = frames["orders"]
    rng = np.random.default_rng(2)
    for name, row in found.sold.iterrows():
        each = by_customer(orders, name).to_numpy()
        drawn = rng.multinomial(len(each), np.full(len(each), 1 / len(each)), 4000) @ each
        y, n, total, every = drawn.T
        for column, value, sample in (
            ("order_value", each[:, 0].sum() / each[:, 1].sum(), y / n),
            ("share_of_orders", each[:, 1].sum() / each[:, 3].sum(), n / every),
            ("share_of_revenue", each[:, 0].sum() / each[:, 2].sum(), y / total),
            ("order_value_ratio", None, y / n / ((total - y) / (every - n))),
        ):
            low, high = np.quantile(sample, [0.025, 0.975])
            assert (row[f"{column}_low"], row[f"{column}_high"]) == pytest.approx(
                (low, high), abs=0.1 * (high - low)), (name, column)
            assert value is None or row[column] == pytest.approx(value)
    named = found.sold.drop(MISSING).order_value_p
    assert named.notna().all() and np.isnan(found.sold.order_value_p[MISSING])


def test_power_sums_are_the_moments_of_the_values():
    rng = np.random.default_rng(6)
    amount = rng.gamma(0.7, 90, 500).round(2) + 1e5  # far from 0
    group = rng.choice(["a", "b", "c"], 500)
    frame = pd.DataFrame({"group": group, "amount": amount, "orders": rng.poisson(2, 500) + 1})
    sums = channels.spending(ibis.memtable(frame), ("group",), amount.mean())
    for chosen in (["a"], ["b", "c"], ["a", "b", "c"]):
        values = amount[np.isin(group, chosen)]
        got, expected = channels.moments(channels.pooled(sums.loc[chosen])), Moments.of(values)
        assert (got.n, got.mean) == (expected.n, pytest.approx(expected.mean, rel=1e-12))
        assert got.variance == pytest.approx(expected.variance, rel=1e-8)
        assert got.skewness == pytest.approx(expected.skewness, rel=1e-8)
    equal = channels.spending(ibis.memtable(frame.assign(amount=0.1)), ("group",), 0.3)
    assert channels.moments(channels.pooled(equal)).variance == 0
    assert channels.mean(channels.pooled(equal)) is None


def test_referral_channels_user_by_user(frames, found):
    users, orders = frames["users"], frames["orders"]
    spent = orders.groupby("user_id").amount.sum().reindex(users.user_id).to_numpy()
    channel = users.referral_channel.fillna(MISSING).to_numpy()
    country = users.user_country.fillna(MISSING).to_numpy()
    bought = ~np.isnan(spent)
    rate = pd.Series(bought).groupby(country).mean()
    for name, row in found.referrals.iterrows():
        mine = channel == name
        assert (row.users, row.customers) == (mine.sum(), bought[mine].sum())
        assert row.conversion == pytest.approx(bought[mine].mean())
        assert row.value_per_user == pytest.approx(np.nansum(spent[mine]) / mine.sum())
        assert row.value_per_customer == pytest.approx(np.nanmean(spent[mine]))
        assert row.relative_value == pytest.approx(
            row.relative_conversion * row.relative_customer)
        values = spent[mine & bought], spent[~mine & bought]
        assert row.customer_ratio == pytest.approx(values[0].mean() / values[1].mean())
        assert row.adjusted_conversion == pytest.approx(
            bought[mine].sum() / rate[country[mine]].sum())
        assert row.value_per_user_low < row.value_per_user < row.value_per_user_high


def test_trend_is_that_of_r():
    got = channels._trend(*(np.array(ORACLE[name], float) for name in ("sold", "total", "months")))
    ratio, low, high, first, last, dispersion, p = got
    assert ratio == pytest.approx(np.exp(ORACLE["slope"]), rel=1e-7)
    assert (first, last) == pytest.approx((ORACLE["fitted"][0], ORACLE["fitted"][-1]), rel=1e-7)
    assert dispersion == pytest.approx(ORACLE["dispersion"], rel=1e-6) and dispersion > 1
    assert p == pytest.approx(ORACLE["p_value"], rel=1e-5)
    error = np.log(high / low) / 2 / 2.228138851964939  # t at 97.5% on 10 degrees of freedom
    assert error == pytest.approx(ORACLE["error"], rel=1e-6)


def test_halves_add_up(found):
    h = found.halves
    f = h.by_channel_and_half
    change = f.orders_second - f.orders_first
    assert (f.growth + f.mix).to_numpy() == pytest.approx(change.to_numpy(), abs=1e-9)
    assert f.mix.sum() == pytest.approx(0, abs=1e-9)
    assert h.within + h.mix == pytest.approx(h.order_value_second - h.order_value_first)


def test_order_of_rows_and_ids_do_not_matter(frames, found):
    orders = frames["orders"].sample(frac=1, random_state=3)
    orders["order_id"] = orders.order_id.str[::-1]
    users = as_tables(frames | {"users": frames["users"].sample(frac=1, random_state=3)})
    again = flatten(channels.channels(ibis.memtable(orders), users.table("users")))
    assert again == {k: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v
                     for k, v in flatten(found).items()}


# The shipped tables


def test_planted_shares_of_sales_channels_are_found(mooc_study):
    """Straight lines of the shares at both ends of the window; the logit bends them a little."""
    t = mooc_study.channels.trends
    for name, (start, end) in SALES_CHANNELS.items():
        row = t.loc[name]
        assert row["first"] == pytest.approx(start, abs=0.02)
        assert row["last"] == pytest.approx(end, abs=0.02)
        steep = abs(end - start) > 0.02
        assert (row.p_adjusted < 0.05) == steep or not steep
        odds = end / (1 - end) / (start / (1 - start))
        # The window is 550 days, its months' middles 17 months apart.
        assert row.odds_ratio_low < odds ** (365.25 / 550) < row.odds_ratio_high
    # Nothing sets orders of one channel apart but how many there are.
    assert mooc_study.channels.sold.order_value_p.min() > 0.05


def test_users_differ_by_conversion_only_as_planted(mooc_study):
    c = mooc_study.channels
    named = c.referrals.drop(MISSING)
    assert c.differences.conversion_p < 1e-50 and c.differences.user_p < 1e-20
    assert c.differences.customer_p > 0.05 and (named.customer_p > 0.05).all()
    assert named.relative_customer.between(0.93, 1.07).all()
    # In the generator nothing else than first purchases differs by source.
    planted = pd.Series({name: ENROL_SOURCE[name] * (PAID_FIRST[name] + (
        1 - PAID_FIRST[name]) * LATER_PAID) for name in named.index})
    # The planted shares of two of the six differ by 0.001.
    assert named.conversion.corr(planted, "spearman") > 0.9
    relative = (named.conversion / planted) / (named.conversion / planted).mean()
    assert relative.between(0.9, 1.1).all()
    # 5 of 6 intervals of value a customer hold the value of all, or more.
    overall = c.referrals.revenue.sum() / c.referrals.customers.sum()
    held = (named.value_per_customer_low < overall) & (overall < named.value_per_customer_high)
    assert held.sum() >= 5


# Other people's tables


def one_kind(frames, **changes):
    changed = {name: frame.copy() for name, frame in frames.items()}
    for column, value in changes.items():
        table = "users" if column in changed["users"] else "orders"
        changed[table][column] = value
    schema = ibis.memtable(changed["orders"]).schema()
    types = {name: "string" if name == "channel" else kind for name, kind in schema.items()}
    orders = ibis.memtable(changed["orders"], schema=types)
    users = ibis.memtable(changed["users"])
    return orders, users.mutate(**{
        name: users[name].cast("string") for name in ("referral_channel", "user_country")})


def test_channels_that_are_not_given(frames):
    got = channels.channels(*one_kind(frames, channel=None, referral_channel=None))
    assert list(got.sold.index) == list(got.referrals.index) == [MISSING]
    assert got.trends.empty and got.differences.groups == 0
    assert got.differences.conversion_p is None and got.differences.customer_p is None
    assert got.sold.order_value_p.isna().all()
    flatten(got)


def test_everything_free(frames):
    got = channels.channels(*one_kind(frames, amount=0.0))
    assert got.sold.share_of_revenue.isna().all() and got.sold.order_value_p.isna().all()
    assert got.referrals.relative_value.isna().all() and got.differences.customer_p is None
    assert (got.referrals.conversion > 0).all() and got.differences.conversion_p is not None
    flatten(got)


def test_one_day_has_no_halves(frames):
    got = channels.channels(*one_kind(frames, order_timestamp=pd.Timestamp("2024-03-01 10:00")))
    assert got.halves is None and got.trends.empty
    flatten(got)
    two = frames["orders"].order_timestamp.where(
        frames["orders"].index % 2 == 0, pd.Timestamp("2024-03-01")).dt.normalize()
    assert channels.channels(*one_kind(frames, order_timestamp=two)).halves is not None


def test_one_customer(frames):
    one = frames | {"orders": frames["orders"].iloc[:1], "users": frames["users"][
        frames["users"].user_id == frames["orders"].user_id.iloc[0]]}
    got = channels.channels(*one_kind(one))
    assert len(got.sold) == len(got.referrals) == 1 and got.differences.customer_p is None
    assert np.isnan(got.sold.order_value_low.iloc[0])
    flatten(got)


def test_a_channel_that_appears_midway_has_no_infinite_trend(frames):
    day = frames["orders"].order_timestamp
    late = day > day.min() + pd.Timedelta(days=100)
    got = channels.channels(*one_kind(frames, channel=np.where(late, "new", "old")))
    assert np.isfinite(got.trends.to_numpy()).all()
    h = got.halves.by_channel_and_half
    assert (h.growth + h.mix).to_numpy() == pytest.approx(
        (h.orders_second - h.orders_first).to_numpy())
