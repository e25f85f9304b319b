"""The next steps: sizes hold the power they promise, on simulated tests and surveys."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
from test_churn_reductions import subscribers, tables

from analysis.churn import plans
from analysis.churn.reductions import reduce
from analysis.stats import intervals


@pytest.fixture
def shipped(netflix_study):
    return netflix_study.plans


def of(frame):
    return plans.plans(reduce(tables(frame).table("subscribers")))


def test_those_at_risk_are_those_up_to_the_last_month_with_churn(shipped):
    assert (shipped.last_month, shipped.at_risk, shipped.churned) == (24, 1400, 397)
    assert shipped.still_here == 1003
    assert list(shipped.chart.index) == list(range(1, 25))
    frame = subscribers(4, 300, churned=0)
    frame.loc[frame.subscription_months.nsmallest(40).index, "churned"] = 1
    last = frame.subscription_months[frame.churned == 1].max()
    found = of(frame)
    assert found.last_month == last
    assert found.at_risk == (frame.subscription_months <= last).sum()


@pytest.mark.parametrize("place", [(1.0, 0.2), (0.25, 0.3)])
def test_a_test_of_the_planned_size_has_the_planned_power(shipped, place):
    row = shipped.sizes.loc[place]
    rng, runs = np.random.default_rng(11), 20_000
    a, b = (rng.binomial(int(row.group), share, runs) for share in (row.rate, row.with_offer))
    pooled = (a + b) / (2 * row.group)
    z = (a - b) / row.group / np.sqrt(2 * pooled * (1 - pooled) / row.group)
    found = (np.abs(z) > stats.norm.isf(0.025)).mean()
    assert found == pytest.approx(plans.POWER, abs=4 * np.sqrt(0.16 / runs) + 0.01)


def test_what_the_subscribers_here_would_show(shipped):
    """Just enough of those still here for the least reduction, and too few for a per cent less."""
    halves, rate = shipped.still_here // 2, shipped.rate.estimate
    for fewer, enough in ((shipped.seen, True), (shipped.seen - 0.01, False)):
        low = rate * (1 - fewer)
        pooled = (rate + low) / 2
        error = np.sqrt((rate * (1 - rate) + low * (1 - low)) / halves)
        null = np.sqrt(2 * pooled * (1 - pooled) / halves)
        power = stats.norm.sf((stats.norm.isf(0.025) * null - (rate - low)) / error)
        assert (power >= plans.POWER) == enough
    assert (shipped.sizes.enough == (2 * shipped.sizes.group <= 1003)).all()


def test_who_has_left_can_neither_be_enrolled_nor_leave():
    """With more of those at risk gone, the share is larger, but fewer are there for a test."""
    frame = subscribers(8, 1200, churned=0).assign(subscription_months=5)
    some, most = (of(frame.assign(churned=(np.arange(1200) < k).astype(int))) for k in (600, 1190))
    assert (some.at_risk, some.still_here) == (1200, 600)
    assert some.limits.n == 600 and (some.sizes.enough == (2 * some.sizes.group <= 600)).all()
    assert (most.still_here, most.limits.n) == (10, 10)
    # At a share of 99%, 60 would do to see a reduction by 20%, and 1,200 are at risk.
    assert 10 < 2 * most.sizes.loc[(1.0, 0.2)].group < 100
    assert not most.sizes.enough.any()


def test_a_month_loses_what_a_month_loses(netflix_study, shipped):
    """The monthly rate is that of lengths read as lifetimes, not the share who ever churned."""
    hazard = netflix_study.lengths.constant.hazard
    assert shipped.monthly.estimate == pytest.approx(hazard)
    assert shipped.limits.centre == pytest.approx(hazard) and shipped.limits.n == 1003
    # Simulated: at a monthly risk, lengths that end where somebody leaves, or at the table's day.
    rng, risk = np.random.default_rng(12), 0.03
    lives, seen = rng.geometric(risk, 20_000), rng.integers(1, 61, 20_000)
    frame = subscribers(9, 20_000).assign(
        subscription_months=np.minimum(lives, seen), churned=(lives <= seen).astype(int))
    found = of(frame)
    assert found.monthly.low < risk < found.monthly.high
    assert found.rate.estimate > 10 * risk


def test_the_chart_is_for_monthly_rates_that_are_named(shipped):
    rates = shipped.watch.rate.groupby("case", sort=False).first()
    assert list(rates.index) == [plans.LIFETIMES, *plans.ASSUMED]
    assert list(rates) == pytest.approx([shipped.monthly.estimate, *plans.ASSUMED.values()])
    rng, runs = np.random.default_rng(13), 40_000
    for (_, rise), row in shipped.watch.iterrows():
        months = rng.binomial(1003, row.rate * (1 + rise), (runs, plans.QUARTER))
        seen = ((months < row.low) | (months > row.high)).any(axis=1).mean()
        assert seen == pytest.approx(row.quarter, abs=4 * np.sqrt(0.25 / runs))
        quiet = rng.binomial(1003, row.rate, runs)
        assert ((quiet < row.low) | (quiet > row.high)).mean() < 2 * 0.00135 + 0.001


def test_a_survey_of_the_planned_size_is_as_precise_as_planned(shipped):
    for margin, row in shipped.survey.iterrows():
        n = int(row.answers)
        half = [max(i.estimate - i.low, i.high - i.estimate) for i in (
            intervals.proportion(k, n) for k in (n // 20, n // 3, n // 2, n - 1))]
        ends = [(i.high - i.low) / 2 for i in (intervals.proportion(n // 2, m) for m in (n, n - 2))]
        assert max(half) <= margin * 1.02 and ends[0] <= margin + 1e-9 < ends[1] + 2e-4


def test_silence_bounds_hold_whatever_the_silent_think(shipped):
    for response, row in shipped.silence.iterrows():
        for silent in (0.0, 0.3, 1.0):
            of_all = response * 0.5 + (1 - response) * silent
            assert row.low - 1e-12 <= of_all <= row.high + 1e-12
        assert row.high - row.low == pytest.approx(1 - response)


@pytest.mark.parametrize("churned", [0, 1])
def test_without_a_rate_that_can_change_there_is_no_plan(churned):
    found = of(subscribers(5, 50, churned=churned))
    assert found.sizes.empty and found.chart.empty and found.watch.empty
    assert found.limits is None and found.seen is None and found.monthly is None
    assert found.still_here == 50 * (1 - churned)
    assert len(found.survey) == len(plans.MARGINS)


def test_without_anybody_left_at_risk_there_is_no_plan():
    """All of up to five months have churned, and nobody later."""
    frame = subscribers(7, 300)
    frame["churned"] = (frame.subscription_months <= 5).astype(int)
    found = of(frame)
    assert 0 < found.at_risk == found.churned < 300 and found.still_here == 0
    assert found.sizes.empty and found.watch.empty and found.limits is None and found.chart.empty
