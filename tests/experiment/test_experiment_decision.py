"""The decision: its closed forms, its rule, and what it says in worlds whose truth is known."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.experiment import decision as study
from analysis.experiment.decision import ASSUMED, HARM, Action, decision, expected_positive, worth
from analysis.experiment.metrics import MATTERS, MOVES, metric
from analysis.experiment.reductions import COHORTS, CS
from analysis.simulate import trialers
from analysis.stats.two_proportions import Share

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "metrics.json").read_text())


def measured(engagement: tuple[Share, Share], conversion: tuple[Share, Share]) -> SimpleNamespace:
    """The metrics that the decision reads, Control first."""
    first = metric("engagement", *engagement, MOVES, tested=True)
    return SimpleNamespace(engagement=first, conversion=metric(
        "conversion", *conversion, MATTERS[0], tested=first.shown))


def in_world(world: str, seed: int, scale: float = 1) -> SimpleNamespace:
    """The metrics of tables from a world."""
    parts = list(trialers.parts(seed, scale, trialers.WORLDS[world]))
    frames = {name: pd.concat([part[name] for part in parts if name in part]) for name in parts[0]}
    rows = frames["test_cohorts"].merge(frames["conversion"])
    helped = frames["help_activity"]
    rows["cs"] = rows.customer_id.isin(helped.customer_id[helped.channel.isin(CS)])
    by = rows.groupby("cohort")[["cs", "converted"]].agg(["sum", "count"])
    return measured(*(
        tuple(Share(*map(int, by.loc[cohort, name])) for cohort in COHORTS)
        for name in ("cs", "converted")))


def counts(share: float, rise: float, customers: int = 12_000, test: float = 0.3):
    """Shares of Control and Test that differ by a rise."""
    sizes = round(customers * (1 - test)), round(customers * test)
    return tuple(Share(round(n * p), n) for n, p in zip(sizes, (share, share + rise), strict=True))


ENGAGED = counts(0.35, 0.2)


# Closed forms --------------------------------------------------------------------------------


def test_expected_gain_equals_quadrature_in_r():
    r = REFERENCE["positive"]
    for mean, sd, value in zip(r["mean"], r["sd"], r["value"], strict=True):
        assert expected_positive(mean, sd) == pytest.approx(value, rel=1e-7)
    np.testing.assert_allclose(expected_positive(0.3, [1e-9, 1e-3]), 0.3)
    assert expected_positive(-0.3, 1e-3) == 0


def test_posterior_equals_a_grid_in_r():
    r = REFERENCE["posterior"]
    mean, sd = study.posterior(r["difference"], r["error"], r["prior_sd"])
    assert (mean, sd) == pytest.approx((r["mean"], r["sd"]), rel=1e-8)
    w = worth(r["difference"], r["error"], 12_000, 0.3, ASSUMED)
    assert ASSUMED.prior_sd == r["prior_sd"]
    assert w.harm == pytest.approx(r["harm"], rel=1e-7)


def test_worth_of_more_days_equals_a_simulation_of_them():
    difference, error, n, share, days = 0.011, 0.0085, 12_000, 0.3, 7
    w = worth(difference, error, n, share, ASSUMED)
    rng = np.random.default_rng(1961)
    mean, sd = study.posterior(difference, error, ASSUMED.prior_sd)
    truth = rng.normal(mean, sd, 1_000_000)
    seen = rng.normal(truth, error / np.sqrt(days))
    # Posterior after both tests, from the two precisions.
    later = (mean / sd**2 + seen * days / error**2) / (1 / sd**2 + days / error**2)
    rolled = later > ASSUMED.cost
    gain = (days * n * (share * (truth - ASSUMED.cost) - ASSUMED.test_cost)
            + (ASSUMED.horizon - days) * n * rolled * (truth - ASSUMED.cost))
    assert w.week == pytest.approx(gain.mean(), abs=4 * gain.std() / 1_000)
    regret = np.maximum(truth - ASSUMED.cost, 0) - (truth - ASSUMED.cost)
    assert w.regret == pytest.approx(regret.mean() * ASSUMED.horizon * n, rel=0.01)


differences, errors = st.floats(-0.2, 0.2), st.floats(1e-3, 0.2)


@given(differences, errors, st.integers(4, 10**6), st.floats(0.05, 0.95))
def test_worths_are_consistent(difference, error, customers, share):
    w = worth(difference, error, customers, share, ASSUMED)
    scale = ASSUMED.horizon * customers
    best = max(w.roll_out, 0.0)
    # Data are worth something, and no more than to know; either error costs what the other saves.
    assert -1e-9 * scale <= w.information <= w.certainty + 1e-9 * scale
    assert w.certainty == pytest.approx(min(w.regret, w.regret_keeping), abs=1e-9 * scale)
    assert w.regret_keeping - w.regret == pytest.approx(w.roll_out, abs=1e-9 * scale)
    assert w.longer <= best + w.certainty + 1e-9 * scale
    assert w.longer >= max(w.day, w.week) - 1e-9 * scale
    assert w.effect.low < w.effect.estimate < w.effect.high
    assert abs(w.effect.estimate) <= abs(difference)


@given(differences, errors, st.sampled_from(["rises", "open", "unmoved", "falls"]))
def test_a_larger_difference_never_speaks_against_the_widget(difference, error, engagement):
    rank = {Action.PIVOT: 0, Action.LONGER: 1, Action.DOUBLE_DOWN: 2}
    e = study._Evidence(difference, error, difference + 1.96 * error, engagement, 12_000, 0.3)
    found = []
    for more in (0, 0.5 * error, error, 4 * error):
        moved = replace(e, difference=difference + more, high=e.high + more)
        found.append(rank[study.rule(moved, ASSUMED)[0]])
    assert found == sorted(found)
    if engagement != "rises":
        assert max(found) < 2


def test_thresholds_are_where_the_recommendation_turns():
    found = decision(measured(ENGAGED, counts(0.23, 0.01)))
    assert found.action is Action.LONGER and found.reason == "information"
    for border, beyond, action in ((found.least_difference, 1, Action.DOUBLE_DOWN),
                                   (found.most_pivot, -1, Action.PIVOT)):
        w = {side: study.rule(study._Evidence(
            border + side * beyond * 1e-6, found.error, border + side * beyond * 1e-6 + (
                1.96 * found.error), "rises", found.customers_a_day, found.test_share), ASSUMED)[0]
            for side in (-1, 1)}
        assert w[1] is action and w[-1] is Action.LONGER
    w = worth(found.least_difference, found.error, found.customers_a_day, found.test_share, ASSUMED)
    assert w.longer == pytest.approx(w.roll_out, rel=1e-5)


# The rule ------------------------------------------------------------------------------------


CASES = {
    "a clear win": (ENGAGED, counts(0.23, 0.04), Action.DOUBLE_DOWN, "gain"),
    "a thin hope": (ENGAGED, counts(0.23, 0.008), Action.LONGER, "information"),
    "below the cost": (ENGAGED, counts(0.23, -0.03), Action.PIVOT, "below"),
    "a win without CS": (counts(0.35, 0.0, 600), counts(0.23, 0.2, 600), Action.LONGER, "gate"),
    "CS not moved": (counts(0.35, 0.0), counts(0.23, 0.04), Action.PIVOT, "unmoved"),
    "CS falls": (counts(0.35, -0.1), counts(0.23, 0.04), Action.PIVOT, "falls"),
    "nobody uses CS": (counts(0.0, 0.0), counts(0.23, 0.04), Action.PIVOT, "unmoved"),
    "nobody converts": (ENGAGED, counts(0.0, 0.0), Action.UNKNOWN, "nothing"),
    "everybody converts": (ENGAGED, counts(1.0, 0.0), Action.UNKNOWN, "nothing"),
}


@pytest.mark.parametrize("case", list(CASES))
def test_the_rule(case):
    engagement, conversion, action, reason = CASES[case]
    found = decision(measured(engagement, conversion))
    assert (found.action, found.reason) == (action, reason)
    assert (found.worth is None) == (action is Action.UNKNOWN)
    if found.worth:
        first = found.sensitivity.iloc[0]
        assert first.action == action and first.roll_out == found.worth.roll_out
        assert len(found.sensitivity) == 1 + sum(map(len, study.ALTERNATIVES.values()))


def test_harm_and_keeping_lead_away_from_the_widget():
    e = study._Evidence(-0.02, 0.012, 0.004, "rises", 12_000, 0.3)
    assert worth(-0.02, 0.012, 12_000, 0.3, ASSUMED).harm < HARM
    likely = replace(e, difference=-0.024, error=0.0135)
    assert worth(-0.024, 0.0135, 12_000, 0.3, ASSUMED).harm < HARM
    wide = replace(ASSUMED, prior_sd=0.5)
    assert study.rule(likely, wide) == (Action.PIVOT, "harm")
    dear = replace(ASSUMED, test_cost=1.0)
    assert study.rule(e, dear) == (Action.PIVOT, "kept")


def test_a_distrusted_test_is_not_read():
    found = decision(measured(ENGAGED, counts(0.23, 0.04)), trusted=False)
    assert found.action is Action.DISTRUST
    assert found.worth is found.observed is found.least_difference is None
    assert found.sensitivity.empty


# Worlds --------------------------------------------------------------------------------------


def test_the_widget_that_works_is_kept():
    one = [decision(in_world("works", seed)).action for seed in (1, 2)]
    assert set(one) <= {Action.DOUBLE_DOWN, Action.LONGER}
    assert decision(in_world("works", 1, scale=3)).action is Action.DOUBLE_DOWN


def test_other_worlds_lead_elsewhere(seed=1):
    nothing = decision(in_world("nothing", seed))
    assert (nothing.action, nothing.reason) == (Action.PIVOT, "unmoved")
    harms = decision(in_world("harms", seed))
    assert harms.action is Action.PIVOT and harms.reason in ("below", "harm")
    m = in_world("engages", seed)
    assert m.engagement.shown and not m.conversion.shown
    assert decision(m).action is not Action.DOUBLE_DOWN


def test_the_shipped_day():
    m = in_world("works", trialers.SEED)
    control, test = trialers.EFFECTS["cohorts"]["converted"]
    found = decision(m)
    assert found.worth.effect.contains(test - control)
    # At the edge: the observed difference is near the border, and both choices are worth as much.
    assert abs(found.observed - found.least_difference) < found.error / 2
    assert found.worth.longer == pytest.approx(found.worth.roll_out, rel=0.02)
