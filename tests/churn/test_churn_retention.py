"""What calls earn: sums by hand, the decision curve, equal risks, and the shipped table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

sys.path.insert(0, str(Path(__file__).parent))
from test_churn_model import decided, made

from analysis.churn import model as models
from analysis.churn import retention as study
from analysis.churn.model import HeldOut
from analysis.churn.retention import EVERYBODY, MODEL, SINGLE
from analysis.results import flatten
from analysis.stats import intervals


def held(seed: int, n: int = 300, levels: int = 40) -> SimpleNamespace:
    """A stand-in for a model: subscribers with some risk, and one trait that knows less."""
    rng = np.random.default_rng(seed)
    risk = rng.choice(np.linspace(0.02, 0.9, levels), n)
    size = rng.integers(1, 4, n).astype(float)
    churned = rng.binomial(size.astype(int), risk).astype(float)
    churned[0] = max(churned[0], 1.0)
    alone = {"plan": np.where(risk > 0.5, 0.7, 0.2), "age": np.full(n, 0.3)}
    return SimpleNamespace(
        subscribers=int(size.sum()), churned=int(churned.sum()),
        fit=SimpleNamespace(held_out=HeldOut(risk, risk, size, churned, alone)))


@pytest.fixture(scope="module")
def shipped(netflix_study):
    return netflix_study.model


def test_groups_are_those_of_one_row_a_subscriber():
    m = held(1)
    h = m.fit.held_out
    found = study.retention(m, value=8.0, success=0.25, cost=1.0).tenths
    risk, who = np.repeat(h.risk, h.subscribers.astype(int)), []
    for y, n in zip(h.churned.astype(int), h.subscribers.astype(int), strict=True):
        who += [1] * y + [0] * (n - y)
    order = np.argsort(-risk, kind="stable")
    risk, who = risk[order], np.array(who)[order]
    start = caught = 0
    for row in found.itertuples():
        part = slice(start, start + row.subscribers)
        churned = who[part].sum()
        # Whoever has the same risk stands in the same group.
        assert start == 0 or risk[start - 1] > risk[start]
        assert (row.churned, row.predicted) == (churned, pytest.approx(risk[part].mean()))
        low, high = proportion_confint(churned, row.subscribers, method="wilson")
        assert (row.rate, row.low, row.high) == pytest.approx(
            (churned / row.subscribers, low, high), abs=1e-12)
        net = [row.subscribers * (0.25 * 8 * r - 1) for r in (row.rate, low, high)]
        assert [row.net, row.net_low, row.net_high] == pytest.approx(net)
        caught += churned
        assert row.caught == pytest.approx(caught / who.sum())
        assert row.lift == pytest.approx(row.rate / who.mean())
        assert row.from_share == pytest.approx(start / len(who))
        start += row.subscribers
        assert row.to_share == pytest.approx(start / len(who))
        assert row.subscribers >= len(who) / study.GROUPS / 2
    assert start == len(who) and caught == who.sum()
    assert found["net_so_far"].iloc[-1] == pytest.approx(0.25 * 8 * who.sum() - len(who))


def test_lift_covers_that_of_the_true_risks():
    rng = np.random.default_rng(8)
    risk = np.repeat(np.linspace(0.05, 0.7, 10), 30)
    inside = []
    for _ in range(60):
        churned = (rng.random(300) < risk).astype(float)
        m = SimpleNamespace(subscribers=300, churned=int(churned.sum()), fit=SimpleNamespace(
            held_out=HeldOut(risk, risk, np.ones(300), churned, {"age": risk})))
        frame = study._tenths(m.fit.held_out, 2.4, 1.0)
        assert frame["subscribers"].tolist() == 10 * [30]
        expected = np.unique(risk)[::-1] / risk.mean()
        inside.append((frame["lift_low"] <= expected) & (expected <= frame["lift_high"]))
    assert 0.92 < np.mean(inside) <= 1


def test_policies_are_sums_over_the_called():
    m = held(2)
    h = m.fit.held_out
    r = study.retention(m, value=10.0, success=0.3, cost=2.0)
    assert r.break_even == pytest.approx(2 / 3)
    for policy, risk in ((MODEL, h.risk), (SINGLE, h.alone["plan"]),
                         (EVERYBODY, np.ones_like(h.risk))):
        called = risk >= 2 / 3
        n, y = h.subscribers[called].sum(), h.churned[called].sum()
        row = r.policies.loc[policy]
        assert (row["called"], row["churned"], row["kept"]) == (n, y, pytest.approx(0.3 * y))
        assert row["net"] == pytest.approx(0.3 * 10 * y - 2 * n)
        earned = np.concatenate([
            np.repeat(called * 1.0, h.churned.astype(int)),
            np.repeat(called * -2.0, (h.subscribers - h.churned).astype(int))])
        margin = 1.959964 * np.sqrt(len(earned)) * earned.std()
        assert (row["net_low"], row["net_high"]) == pytest.approx(
            (row["net"] - margin, row["net"] + margin), rel=1e-5)
    for other in (SINGLE, EVERYBODY):
        gap = r.advantage.loc[other]
        assert gap["difference"] == pytest.approx(
            r.policies.loc[MODEL, "net"] - r.policies.loc[other, "net"])
        assert gap["low"] <= gap["difference"] <= gap["high"]
    assert r.single == "plan"
    called = h.risk >= 2 / 3
    assert r.still_here == (h.subscribers - h.churned)[called].sum()


def test_net_value_is_net_benefit_in_another_unit():
    """Vickers and Elkin's curve at the break-even risk, times what one churned is worth."""
    m = held(3)
    for threshold in (0.1, 0.42, 0.74):
        value, cost = 15.0, 1.5
        success = cost / value / threshold
        r = study.retention(m, value=value, success=success, cost=cost)
        at = r.curve.loc[threshold]
        unit = (success * value - cost) * r.subscribers
        assert r.policies.loc[MODEL, "net"] == pytest.approx(unit * at["model"])
        assert r.policies.loc[EVERYBODY, "net"] == pytest.approx(unit * at["everybody"])


def test_intervals_of_the_net_value_cover_it():
    rng = np.random.default_rng(4)
    risk = np.repeat([0.1, 0.3, 0.6], [400, 300, 100])
    inside = []
    for _ in range(300):
        drawn = rng.choice(risk, 800)  # subscribers like these, and others
        churned = (rng.random(800) < drawn).astype(float)
        h = HeldOut(drawn, drawn, np.ones(800), churned, {})
        called = drawn >= 0.5
        _, low, high = study._net((called * 1.4, called * -1.0), h)
        inside.append(low <= 100 * (0.6 * 1.4 - 0.4) <= high)
    assert 0.92 < np.mean(inside) < 0.98


def test_other_assumptions_only_move_the_stop():
    m = held(5)
    r = study.retention(m)
    assert r.sensitivity.index.names == ["success", "value"]
    assert len(r.sensitivity) == len(study.SUCCESSES) * len(study.VALUES)
    for (success, value), row in r.sensitivity.iterrows():
        again = study.retention(m, success=success, value=value)
        assert row["called"] == again.policies.loc[MODEL, "called"]
        assert (row["net"], row["net_low"]) == pytest.approx(
            tuple(again.policies.loc[MODEL, ["net", "net_low"]]))
        assert row["everybody"] == pytest.approx(again.policies.loc[EVERYBODY, "net"])
        assert again.tenths["churned"].tolist() == r.tenths["churned"].tolist()
    calls = r.sensitivity.sort_values("break_even")["called"]
    assert calls.is_monotonic_decreasing
    # In another currency everything is the same.
    twice = study.retention(m, value=2 * study.VALUE, cost=2 * study.COST)
    assert twice.policies["called"].tolist() == r.policies["called"].tolist()
    assert twice.policies["net"].tolist() == pytest.approx((2 * r.policies["net"]).tolist())


def test_gains_are_monotone_and_end_with_all():
    r = study.retention(held(6))
    assert r.gains["model"].is_monotonic_increasing and r.gains["model"].iloc[-1] <= 1
    assert (r.gains["model"] >= r.gains.index - 1e-9).all()  # never worse than chance here
    assert (r.gains["model"] >= r.gains["single"] - 1e-9).mean() > 0.9
    for row in r.gains.itertuples():
        limits = intervals.proportion(round(row.model * r.churned), r.churned)
        assert (row.model_low, row.model_high) == pytest.approx((limits.low, limits.high))


def test_without_a_model_there_is_no_list():
    assert study.retention(models.from_people(made(1, 30))) is None
    m = held(1)
    for wrong in ({"value": 0.0}, {"cost": -1.0}, {"success": 0.0}, {"success": 1.2}):
        with pytest.raises(ValueError, match="above 0"):
            study.retention(m, **wrong)
    # An offer that never pays.
    r = study.retention(m, value=2.0, success=0.3)
    assert r.break_even > 1 and r.policies.loc[MODEL, "called"] == 0 == r.still_here
    assert r.policies.loc[MODEL, ["net", "net_low", "net_high"]].tolist() == [0, 0, 0]


def test_nobody_is_flattered_by_his_own_fit():
    """Where traits tell nothing, the list holds no more churned on top than anywhere else."""
    r = study.retention(models.from_people(made(1, 900)))
    top = r.tenths.iloc[0]
    assert top["lift_low"] < 1 and top["lift_high"] < 1.4
    assert r.gains["model"].sub(r.gains.index.to_numpy()).abs().max() < 0.08


def test_the_shipped_table(shipped):
    r = study.retention(shipped)
    assert (r.subscribers, r.churned) == (3500, 397)
    assert r.tenths["subscribers"].tolist() == [350, 350, 350, 350, 2100]
    assert r.tenths["churned"].iloc[-1] == 0 and r.tenths["rate"].is_monotonic_decreasing
    assert r.single == "payment_history" and r.model_caught > 1.5 * r.single_caught
    assert r.policies.loc[MODEL, "net_low"] > 0 > r.policies.loc[EVERYBODY, "net_high"]
    assert r.advantage["low"].min() > 0
    assert 0 < r.still_here < r.policies.loc[MODEL, "called"]
    assert ((r.tenths["predicted"] - r.tenths["rate"]).abs() < 0.05).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80), levels=st.integers(1, 30),
       value=st.floats(0.5, 50), success=st.floats(0.01, 1))
def test_any_list_adds_up(seed, n, levels, value, success):
    m = held(seed, n, levels)
    r = study.retention(m, value=value, success=success)
    assert r.tenths["subscribers"].sum() == r.subscribers
    assert r.tenths["churned"].sum() == r.churned
    assert r.tenths["caught"].iloc[-1] == pytest.approx(1)
    assert r.tenths["to_share"].iloc[-1] == pytest.approx(1)
    assert (r.tenths["low"] <= r.tenths["rate"]).all()
    assert (r.tenths["rate"] <= r.tenths["high"]).all()
    assert json.dumps(flatten(r), allow_nan=False)
    shuffled = np.random.default_rng(seed).permutation(n)
    h = m.fit.held_out
    other = HeldOut(*(a[shuffled] for a in (h.risk, h.order, h.subscribers, h.churned)),
                    {k: v[shuffled] for k, v in h.alone.items()})
    again = study.retention(
        SimpleNamespace(subscribers=m.subscribers, churned=m.churned,
                        fit=SimpleNamespace(held_out=other)), value=value, success=success)
    a, b = flatten(r), flatten(again)
    assert a.keys() == b.keys()
    for name, x in a.items():
        same = pytest.approx(x, rel=1e-9, abs=1e-9) if isinstance(x, float) else x
        assert b[name] == same, name


def test_those_whose_outcome_is_decided_stand_together_at_the_end():
    m = models.from_people(made(3, 1500, decided))
    last = study.retention(m).tenths.iloc[-1]
    assert last["subscribers"] >= m.decided.loc[1, "subscribers"]
    assert last["predicted"] < 0.01
