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
    """Just enough of them for the least reduction, and too few for a per cent less."""
    halves, rate = shipped.at_risk // 2, shipped.rate.estimate
    for fewer, enough in ((shipped.seen, True), (shipped.seen - 0.01, False)):
        low = rate * (1 - fewer)
        pooled = (rate + low) / 2
        error = np.sqrt((rate * (1 - rate) + low * (1 - low)) / halves)
        null = np.sqrt(2 * pooled * (1 - pooled) / halves)
        power = stats.norm.sf((stats.norm.isf(0.025) * null - (rate - low)) / error)
        assert (power >= plans.POWER) == enough
    assert (shipped.sizes.enough == (2 * shipped.sizes.group <= 1400)).all()


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
    assert found.limits is None and found.seen is None
    assert len(found.survey) == len(plans.MARGINS)
