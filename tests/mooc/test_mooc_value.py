"""Customer value: sums of what the models expect customer by customer; the planted truth."""

from __future__ import annotations

import datetime as dt

import ibis
import numpy as np
import pandas as pd
import pytest
from mooc_logs import or_missing, random_frames
from scipy import stats

from analysis.mooc import segments
from analysis.mooc import value as study
from analysis.mooc.transactions import customers
from analysis.simulate import mooc as generator

AHEAD = study.HORIZON / study.WEEK


def of(frames, end):
    orders, users = ibis.memtable(frames["orders"]), ibis.memtable(frames["users"])
    return study.value(orders, users, frames["orders"].order_timestamp.min().date(), end)


@pytest.fixture(scope="module")
def valued(mooc_tables, mooc_study):
    """The shipped customers one by one, with what the models expect of them."""
    v = mooc_study.value
    orders, users = mooc_tables.table("orders"), mooc_tables.table("users")
    frame = customers(orders, dt.date.fromisoformat(mooc_study.scope.as_of)).to_pandas()
    model = v.purchases.fitted
    history = frame.frequency, frame.recency / 7, frame.age / 7
    frame["alive"] = model.alive(*history)
    frame["purchases"] = model.expected(AHEAD, *history)
    frame["worth"] = frame.purchases * v.spending.expected(frame.frequency + 1, frame.spent)
    channel = users.select("user_id", "referral_channel").to_pandas().set_index("user_id")
    named = segments.customers_at(orders, dt.date.fromisoformat(mooc_study.scope.as_of))
    place = named.select("user_id", "segment").to_pandas().set_index("user_id").segment
    frame["segment"] = frame.user_id.map(place).map(dict(enumerate(segments.NAMES)))
    frame["channel"] = frame.user_id.map(channel.referral_channel).map(or_missing)
    # A tenth ends where its least expectation does, to the width of a step.
    steps = np.floor(np.log(frame.worth * (1 + 1e-9)) * study.STEPS_A_LOG_UNIT)
    ends = np.round(np.log(v.forecast.tenths["least"].to_numpy()) * study.STEPS_A_LOG_UNIT)
    frame["tenth"] = 1 + (steps.to_numpy()[:, None] < ends[:-1]).sum(axis=1)
    return frame


@pytest.fixture(scope="module")
def truth(valued, mooc_truth):
    """What the generator knows of them."""
    hidden = mooc_truth["customers"].set_index("user_id")
    return hidden.loc[valued.user_id].reset_index(drop=True)


def test_groups_are_sums_over_customers(mooc_study, valued):
    f = mooc_study.value.forecast
    for name, frame in (
        ("tenth", f.tenths), ("channel", f.by_channel), ("segment", f.by_segment),
    ):
        means = valued.groupby(name)[["spent", "alive", "purchases", "worth"]].mean()
        assert (valued[name].value_counts()[frame.index] == frame.customers).all()
        found = frame[["spent", "alive", "purchases", "value"]]
        np.testing.assert_allclose(found, means.loc[frame.index], rtol=1e-9)
    assert f.value.estimate == pytest.approx(valued.worth.mean(), rel=1e-9)
    assert f.total.estimate == pytest.approx(valued.worth.sum(), rel=1e-9)
    assert f.alive == pytest.approx(valued.alive.sum(), rel=1e-9)
    assert f.tenths["share"].sum() == pytest.approx(1)
    assert f.by_segment["share"].sum() == pytest.approx(1)
    # The segments are those of the section on segments, in their order.
    sizes = mooc_study.segments.sizes.customers
    pd.testing.assert_series_equal(f.by_segment.customers, sizes[sizes > 0])
    recent = valued[valued.age - valued.recency < 91]
    assert f.by_period.loc[91, "customers"] == len(recent)
    assert f.by_period.loc[91, "value"] == pytest.approx(recent.worth.mean(), rel=1e-9)
    start = pd.Timestamp(mooc_study.scope.as_of) - pd.to_timedelta(valued.age, "D")
    quarters = valued.worth.groupby(start.dt.to_period("Q").astype(str)).mean()
    np.testing.assert_allclose(f.by_start["value"], quarters.loc[f.by_start.index], rtol=1e-9)
    # Tenths are tenths, but for customers of equal expectation.
    assert f.tenths.customers.between(0.09 * len(valued), 0.11 * len(valued)).all()


def test_segments_are_compared_with_the_parameters_that_they_share(mooc_study, valued):
    """Against draws of the parameters, and what customers of the same history differ by."""
    v = mooc_study.value
    rng = np.random.default_rng(14)
    models = v.purchases.fitted, v.spending
    logs = [rng.multivariate_normal(m.logs, m.covariance, 300) for m in models]
    history = valued.frequency, valued.recency / 7, valued.age / 7
    cells, of = np.unique(np.column_stack(history), axis=0, return_inverse=True)
    orders, spent = valued.frequency.to_numpy() + 1, valued.spent.to_numpy()
    drawn = [
        buys.expected(AHEAD, *cells.T)[of] * pays.expected(orders, spent)
        for buys, pays in zip(*([m.at(row) for row in rows]
                                for m, rows in zip(models, logs, strict=True)), strict=True)
    ]
    means = pd.DataFrame(np.transpose(drawn)).groupby(valued.segment.to_numpy()).mean()
    buys, pays = models
    each = (buys.expected_square(AHEAD, *cells.T)[of] * pays.expected_square(valued.frequency + 1)
            * (valued.spent + pays.gamma) ** 2 - valued.worth**2)
    by = each.groupby(valued.segment)
    scatter = by.sum() / by.size() ** 2
    pairs = v.forecast.segment_pairs
    values = v.forecast.by_segment["value"]
    assert list(pairs.index) == [
        (a, b) for i, a in enumerate(values.index) for b in values.index[i + 1:]]
    z = stats.norm.ppf(0.975)
    for (above, below), row in pairs.iterrows():
        assert row.difference == pytest.approx(values[below] - values[above], rel=1e-9)
        error = np.sqrt((means.loc[below] - means.loc[above]).var() + scatter[[above, below]].sum())
        assert (row.high - row.low) / 2 / z == pytest.approx(error, rel=0.12)
        assert row.p_value == pytest.approx(
            2 * stats.norm.sf(abs(row.difference) / ((row.high - row.low) / 2 / z)))
    ordered = np.sort(pairs.p_value)
    assert pairs.p_adjusted.min() == pytest.approx(len(pairs) * ordered[0])
    # The shared parameters cancel in part: apart, the two intervals would seem to say less.
    row, alone = pairs.loc[("At Risk", "Hibernating")], v.forecast.by_segment
    assert alone.low["Hibernating"] < alone.high["At Risk"] and row.low > 0


def test_true_expected_value_lies_in_the_intervals(mooc_study, valued, truth):
    """Of tenths of expected value: the mean of what customers are truly expected to bring."""
    f = mooc_study.value.forecast
    true = truth.expected_value.groupby(valued.tenth).mean()
    inside = f.tenths["value"].index[(f.tenths.low <= true) & (true <= f.tenths.high)]
    assert len(inside) >= 9
    # And the intervals are no wider than they need be.
    assert (f.tenths.high / f.tenths.low).max() < 1.5
    assert f.value.contains(truth.expected_value.mean())
    share = truth.expected_value[valued.tenth == 1].sum() / truth.expected_value.sum()
    assert f.top_share.contains(share)
    true = truth.expected_value.groupby(valued.channel).mean()[f.by_channel.index]
    assert ((f.by_channel.low <= true) & (true <= f.by_channel.high)).all()
    true = truth.expected_value.groupby(valued.segment).mean()[f.by_segment.index]
    assert ((f.by_segment.low <= true) & (true <= f.by_segment.high)).sum() >= len(true) - 1
    # No channel brings better customers: nothing is planted.
    assert f.channel_test.p_value > 0.05


def test_planted_parameters_lie_in_their_intervals(mooc_study):
    found = mooc_study.value.parameters
    for name, planted in (generator.BGNBD | generator.GAMMA_GAMMA).items():
        assert found.low[name] <= planted <= found.high[name], name
    assert mooc_study.value.independence.contains(0.0)
    planted = mooc_study.value.purchases.fitted.at(np.log(list(generator.BGNBD.values())))
    mean = generator.GAMMA_GAMMA["p"] * generator.GAMMA_GAMMA["gamma"] / (
        generator.GAMMA_GAMMA["q"] - 1)
    new = mean * (1 + planted.expected_of_new(AHEAD))
    assert mooc_study.value.forecast.new.contains(new)


def test_customers_still_there_are_told(valued, truth):
    """The probability of being there agrees with who is, over groups of like probability."""
    again = valued.frequency > 0
    group = pd.qcut(valued.alive[again], 8)
    expected = valued.alive[again].groupby(group, observed=True).agg(["mean", "size"])
    actual = truth.active[again].groupby(group, observed=True).mean()
    error = np.sqrt(expected["mean"] * (1 - expected["mean"]) / expected["size"])
    assert ((actual - expected["mean"]).abs() / error).max() < 3.5


def test_the_formula_promises_too_much_of_these_customers(mooc_study, valued, truth):
    recent = (valued.age - valued.recency) < 182
    true = truth.expected_value[recent].mean()
    found = mooc_study.value
    row = found.forecast.by_period.loc[182]
    assert row.low <= true <= row.high
    assert found.formula.year_value[182] > 1.3 * true


def test_holdout_is_predicted(mooc_study, valued):
    """What came later lies in the interval of what was predicted, purchases and revenue."""
    h = mooc_study.value.holdout
    assert h.ratio.contains(1) and h.value_ratio.contains(1)
    assert abs(h.naive / h.actual - 1) > 4 * abs(h.predicted / h.actual - 1)
    groups = h.by_frequency
    assert (groups.p_adjusted > 0.05).all()
    assert (groups.customers * groups.actual).sum() == pytest.approx(h.actual)
    assert (groups.customers * groups.predicted).sum() == pytest.approx(h.predicted)
    split = dt.date.fromisoformat(h.split)
    daily = mooc_study.value.transactions["all"].daily
    assert h.tracking.actual.iloc[-1] == daily["repeat"].sum()
    # Expected by a day: customers first seen before, each for as long as seen.
    day = h.tracking.index[40]
    firsts = daily["first"][daily.index <= day]
    weeks = (pd.Timestamp(day) - pd.to_datetime(firsts.index)).days / 7
    expected = firsts.to_numpy() @ h.fitted.expected_of_new(weeks)
    assert h.tracking.expected[day] == pytest.approx(expected, rel=1e-9)
    assert (dt.date.fromisoformat(h.end) - split).days == h.days


@pytest.mark.parametrize("seed", range(2))
def test_history_and_formula_are_those_of_the_loops(seed):
    frames = random_frames(seed)
    orders = frames["orders"]
    end = orders.order_timestamp.max().date()
    v = of(frames, end)
    spent = orders.groupby("user_id").amount.sum()
    assert v.history.revenue == pytest.approx(spent.sum())
    assert v.history.per_customer.estimate == pytest.approx(spent.mean())
    assert v.history.per_user.estimate == pytest.approx(spent.sum() / len(frames["users"]))
    assert v.history.median == pytest.approx(spent.median(), rel=0.05)
    by_day = orders.assign(day=orders.order_timestamp.dt.date).groupby(["user_id", "day"])
    days = by_day.amount.sum()
    assert v.history.purchases == len(days)
    first = days.reset_index().sort_values("day").groupby("user_id").amount.first()
    assert v.history.first_mean == pytest.approx(first.mean())
    assert list(v.formula.index) == [30]
    ago = np.array([(end - day).days for day in days.index.get_level_values("day")])
    last = days[ago < 30]
    users = days.index.get_level_values("user_id")
    before = set(users[(ago >= 30) & (ago < 60)])
    row = v.formula.loc[30]
    lost = before - set(last.index.get_level_values("user_id"))
    assert row.active == len(before)
    assert row.churn == pytest.approx(len(lost) / len(before))
    assert row.purchases == pytest.approx(
        len(last) / last.index.get_level_values("user_id").nunique())
    assert row.order_value == pytest.approx(last.mean())
    assert row.value == pytest.approx(row.purchases * row.order_value / row.churn)
    kept, months = 1.0, 0.0
    for _ in range(12):  # a month after another, each with those who were not lost in it
        months += kept
        kept *= 1 - row.churn
    rest = kept * (365 / 30 - 12)
    year = row.purchases * row.order_value * (months + rest)
    assert row.year_value == pytest.approx(year, rel=0.02)


def test_another_currency_changes_money_alone(mooc_tables, mooc_study):
    orders, users = mooc_tables.table("orders"), mooc_tables.table("users")
    one = mooc_study.value
    dear = study.value(
        orders.mutate(amount=orders.amount * 100), users,
        dt.date.fromisoformat(mooc_study.scope.first_order),
        dt.date.fromisoformat(mooc_study.scope.as_of))
    assert dear.purchases.fitted.r == pytest.approx(one.purchases.fitted.r, rel=1e-9)
    # Steps of half a per cent lie elsewhere.
    value = dear.forecast.value.estimate
    assert value == pytest.approx(100 * one.forecast.value.estimate, rel=1e-3)
    assert dear.forecast.top_share.estimate == pytest.approx(
        one.forecast.top_share.estimate, rel=0.03)
    assert dear.history.per_customer.estimate == pytest.approx(
        100 * one.history.per_customer.estimate)


def test_fit_of_repeat_purchases_is_chi_squared(mooc_study):
    p = mooc_study.value.purchases
    cells = p.repeats.cells
    statistic = ((cells.observed - cells.expected) ** 2 / cells.expected).sum()
    assert p.repeats.statistic == pytest.approx(statistic)
    assert p.p_low == pytest.approx(stats.chi2.sf(statistic, len(cells) - 5))
    assert p.p_low < p.repeats.p_value
    counts = mooc_study.value.transactions["all"].histories.groupby("frequency").customers.sum()
    assert cells.observed.tolist() == [*counts.loc[:6], counts.loc[7:].sum()]


def test_first_purchases_count_if_they_are_like_later_ones(mooc_tables, mooc_study):
    """Planted: they are. Twice as dear, they are set aside, and the later ones tell the same."""
    v = mooc_study.value
    assert v.first_like.contains(1.0) and v.transactions["all"].with_first
    end = dt.date.fromisoformat(mooc_study.scope.as_of)
    orders = mooc_tables.table("orders")
    rows = customers(orders, end).filter(ibis._.frequency > 0).to_pandas()
    later = rows.value / rows.frequency
    assert v.first_like.estimate == pytest.approx(rows.first_value.mean() / later.mean())
    gap = rows.first_value / rows.first_value.mean() - later / later.mean()
    reach = np.exp(stats.norm.ppf(0.975) * gap.std() / np.sqrt(len(rows)))
    assert v.first_like.high / v.first_like.estimate == pytest.approx(reach)

    day = orders.order_timestamp.date()
    first = ibis.ifelse(day == day.min().over(ibis.window(group_by="user_id")), 2.0, 1.0)
    dear = orders.mutate(amount=orders.amount * first)
    assert study.like_first(dear, end).estimate == pytest.approx(2 * v.first_like.estimate)
    start = dt.date.fromisoformat(mooc_study.scope.first_order)
    other = study.value(dear, mooc_tables.table("users"), start, end)
    assert not other.transactions["all"].with_first
    planted = generator.GAMMA_GAMMA
    mean = planted["p"] * planted["gamma"] / (planted["q"] - 1)
    assert other.spending.mean == pytest.approx(mean, rel=0.05)
    assert other.history.first_mean == pytest.approx(2 * v.history.first_mean)
