"""The Bayesian reading of the paywall test."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from analysis.customers import belief, paywall
from analysis.customers.belief import Choice
from analysis.customers.design import RELEVANT_LIFT
from analysis.simulate.customers import TRUTH
from analysis.stats.two_proportions import Share


def made(control, test, before=(150, 1_000), revenue=10_000) -> SimpleNamespace:
    """A test from (converters, users) of both groups and of before."""
    groups = pd.DataFrame({
        "group": paywall.GROUPS, "users": [control[1], test[1]],
        "converters": [control[0], test[0]], "buyers": [control[0], test[0]],
        "revenue": [revenue, revenue]})
    known = None if before is None else SimpleNamespace(converters=before[0], users=before[1])
    return SimpleNamespace(groups=groups, before=known)


NO_PLAN = SimpleNamespace(primary=None)  # no baseline from before the test


@pytest.fixture(scope="module")
def shipped(customers_study):
    return customers_study.belief


def test_the_planted_effect_is_believed(shipped):
    shares = TRUTH["test"]["per_user"]["converted_at_paywall"]
    for reading in shipped.readings[:2]:  # the sceptic's knowledge outweighs a third of the data
        assert reading.control.contains(shares["control"])
        assert reading.test.contains(shares["test"])
        assert reading.lift.contains(shares["test"] / shares["control"] - 1)
    assert shipped.main.better > 0.95 and shipped.main.choice is Choice.TEST
    assert [r.name for r in shipped.readings] == ["uniform", "history", "sceptic"]


def test_draws_from_the_posteriors_say_the_same(shipped):
    rng, n = np.random.default_rng(11), 400_000
    for reading, weight in zip(shipped.readings, (2, 100, 1_000), strict=True):
        prior = reading.prior
        assert prior.successes + prior.failures == pytest.approx(weight)
        a, b = (
            rng.beta(prior.successes + share.successes,
                     prior.failures + share.n - share.successes, n)
            for share in (shipped.control, shipped.test)
        )
        for probability, event in ((reading.better, b > a),
                                   (reading.worthwhile, b - a > shipped.relevant_difference)):
            error = math.sqrt(probability * (1 - probability) / n)
            assert event.mean() == pytest.approx(probability, abs=4.5 * error)
        for loss, lost in ((reading.loss_test, np.maximum(a - b, 0)),
                           (reading.loss_control, np.maximum(b - a, 0))):
            assert loss == pytest.approx(lost.mean(), abs=4.5 * lost.std() / math.sqrt(n))
        for interval, values in ((reading.difference, b - a), (reading.lift, b / a - 1)):
            inside = (values > interval.low) & (values < interval.high)
            assert inside.mean() == pytest.approx(0.95, abs=0.002)


def test_the_mark_is_that_of_the_rule_of_decision(customers_study):
    found, s = customers_study.belief, customers_study
    assert found.relevant_difference == s.lift.primary.relevant_difference
    before = s.design.primary.baseline.estimate
    assert found.relevant_difference == pytest.approx(RELEVANT_LIFT * before)
    assert before != pytest.approx(found.control.value, rel=0.05)  # of the test it is another


def test_without_a_baseline_the_mark_is_of_the_test_s_own_share():
    for control, test, share in (((30, 200), (45, 210), 0.15), ((0, 200), (42, 210), 0.2),
                                 ((0, 200), (0, 210), 0.0)):
        found = belief.belief(made(control, test, before=None), NO_PLAN)
        assert found.relevant_difference == pytest.approx(RELEVANT_LIFT * share)
    plan = SimpleNamespace(primary=SimpleNamespace(baseline=SimpleNamespace(estimate=0.1)))
    found = belief.belief(made((30, 200), (45, 210)), plan)
    assert found.relevant_difference == pytest.approx(0.02)


def test_with_many_users_half_of_p_is_the_chance_to_be_worse(shipped):
    assert shipped.p_value / 2 == pytest.approx(1 - shipped.main.better, rel=0.02)


def test_a_sceptic_believes_in_less(shipped):
    lifts = [reading.lift.estimate for reading in shipped.readings]
    assert lifts[0] > lifts[1] > lifts[2] > 0
    losses = [reading.loss_test for reading in shipped.readings]
    assert losses[0] < losses[1] < losses[2]


@pytest.mark.parametrize(
    ("control", "test", "choice"),
    [
        ((150, 1_000), (220, 1_000), Choice.TEST),
        ((220, 1_000), (150, 1_000), Choice.CONTROL),
        ((150_000, 1_000_000), (150_010, 1_000_000), Choice.EITHER),
        ((15, 100), (15, 100), Choice.OPEN),
    ],
)
def test_the_choice_follows_the_losses(control, test, choice):
    read = belief.belief(made(control, test), NO_PLAN).main
    assert read.choice is choice
    assert (read.loss_test <= belief.THRESHOLD) == (choice in (Choice.TEST, Choice.EITHER))
    assert (read.loss_control <= belief.THRESHOLD) == (choice in (Choice.CONTROL, Choice.EITHER))


def test_swapped_groups_swap_everything():
    one, other = (belief.belief(made(*pair), NO_PLAN).main
                  for pair in (((30, 200), (45, 210)), ((45, 210), (30, 200))))
    assert one.better + other.better == pytest.approx(1)
    assert one.loss_test == pytest.approx(other.loss_control)
    assert one.difference.low == pytest.approx(-other.difference.high)
    assert 1 + one.lift.low == pytest.approx(1 / (1 + other.lift.high))


def test_nobody_converted_leaves_the_prior_and_no_p_value():
    read = belief.belief(made((0, 900), (0, 1_000), before=(0, 5_000), revenue=0), NO_PLAN)
    assert read.p_value is None and read.value is None
    assert [r.name for r in read.readings] == ["uniform"]
    assert read.main.better == pytest.approx(901 / 1902)
    assert read.main.choice is Choice.EITHER and read.main.lift.contains(0)
    rare = belief.belief(made((0, 900), (0, 1_000), before=(1, 1_000_000)), NO_PLAN)
    assert [r.prior.successes for r in rare.readings[1:]] == pytest.approx([0.1, 0.1])
    everybody = belief.belief(made((9, 9), (8, 8), before=(5, 5)), NO_PLAN)
    assert everybody.p_value is None and 0 < everybody.main.better < 1


def test_what_is_not_there_is_none():
    assert belief.belief(made((0, 0), (5, 10)), NO_PLAN) is None
    assert belief.belief(made((5, 10), (0, 0)), NO_PLAN) is None
    assert len(belief.belief(made((5, 10), (6, 10), before=None), NO_PLAN).readings) == 1


def test_a_converter_is_worth_what_a_buyer_brings():
    test = made((20, 100), (30, 100), revenue=40_000)
    assert belief.belief(test, NO_PLAN).value == pytest.approx(80_000 / 50)
    assert belief.belief(test, NO_PLAN).control == Share(20, 100)
