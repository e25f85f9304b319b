"""Plans against R's power.t.test and power.prop.test, statsmodels, and by simulation."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import samplesize_proportions_2indep_onetail

from analysis.stats import intervals, power, two_sample

R = json.loads((Path(__file__).parent / "oracle" / "reference.json").read_text())["power"]


def test_sizes_equal_r():
    plan = power.means(sd=25, difference=3.5, power=0.8)
    assert plan.n_a == plan.n_b == int(np.ceil(R["n_means"]))
    plan = power.means(sd=25, difference=3.5, power=0.8, alternative="one-sided")
    assert plan.n_a == int(np.ceil(R["n_means_one"]))
    plan = power.proportions(share_a=0.1, share_b=0.12, power=0.8)
    assert plan.n_a == plan.n_b == int(np.ceil(R["n_shares"]))
    plan = power.proportions(share_a=0.1, share_b=0.12, power=0.8, alternative="one-sided")
    assert plan.n_a == int(np.ceil(R["n_shares_one"]))


def test_power_and_effects_equal_r():
    plan = power.means(sd=25, difference=10, n_a=40)
    assert plan.power == pytest.approx(R["power_means"], rel=1e-9)
    plan = power.means(sd=25, n_a=500, power=0.9)
    assert plan.difference == pytest.approx(R["difference_means"], rel=1e-9)
    plan = power.means(sd=1, difference=0.3, n_a=100, ratio=4)
    assert plan.n_b == 400 and plan.power == pytest.approx(R["power_unequal"], rel=1e-9)
    plan = power.means(sd=1, difference=0.3, n_a=100, ratio=4, alpha=0.01, alternative="one-sided")
    assert plan.power == pytest.approx(R["power_unequal_one"], rel=1e-9)
    plan = power.proportions(share_a=0.1, share_b=0.12, n_a=1000)
    assert plan.power == pytest.approx(R["power_shares"], rel=1e-9)
    plan = power.proportions(share_a=0.1, n_a=2000, power=0.8)
    assert plan.baseline + plan.difference == pytest.approx(R["share_b"], rel=1e-9)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 3.75])
def test_sizes_equal_statsmodels(ratio):
    other = TTestIndPower().solve_power(effect_size=0.02, power=0.9, alpha=0.01, ratio=ratio)
    plan = power.means(sd=50, difference=1.0, power=0.9, alpha=0.01, ratio=ratio)
    assert (plan.n_a, plan.n_b) == (int(np.ceil(other)), int(np.ceil(other * ratio)))


def test_a_lift_is_a_share_of_the_mean():
    plan = power.lift(mean=69.15, sd=255.62, lift=0.05, power=0.8)
    assert plan.difference == pytest.approx(0.05 * 69.15)
    assert plan == power.means(sd=255.62, difference=plan.difference, power=0.8, baseline=69.15)
    hours = power.lift(mean=69.15 / 60, sd=255.62 / 60, lift=0.05, power=0.8)
    assert hours.n_a == plan.n_a  # the unit does not matter
    back = power.lift(mean=69.15, sd=255.62, n_a=plan.n_a, power=0.8)
    assert back.lift == pytest.approx(0.05, rel=1e-5)


@settings(max_examples=30)
@given(
    st.floats(0.02, 2.0),
    st.floats(0.3, 0.99),
    st.floats(0.2, 5.0),
    st.sampled_from(["two-sided", "one-sided"]),
)
def test_the_size_is_the_smallest_that_will_do(difference, wanted, ratio, alternative):
    options = {"sd": 1.0, "ratio": ratio, "alternative": alternative}
    plan = power.means(difference=difference, power=wanted, **options)
    assert plan.power >= wanted - 1e-9
    if min(plan.n_a, plan.n_b) > 3:
        side = {"two-sided": "two-sided", "one-sided": "larger"}[alternative]
        fewer = TTestIndPower().power(difference, plan.n_a - 1, 0.05, ratio, alternative=side)
        assert fewer < wanted
    seen = power.means(n_a=plan.n_a, power=wanted, **options)
    assert seen.difference <= difference * (1 + 1e-6)


def test_the_planned_power_is_reached():
    plan = power.means(sd=2.0, difference=1.5, power=0.8, ratio=2.0, alternative="one-sided")
    rng, runs = np.random.default_rng(51), 1_500
    hits = sum(
        two_sample.student(
            rng.normal(10, 2, plan.n_a), rng.normal(11.5, 2, plan.n_b), alternative="less"
        ).reject
        for _ in range(runs)
    )
    error = np.sqrt(plan.power * (1 - plan.power) / runs)
    assert hits / runs == pytest.approx(plan.power, abs=3 * error)


def test_extremes_stay_computable():
    assert power.means(sd=1, difference=1e3, power=0.9).n_a == 2
    assert power.means(sd=1, difference=40, n_a=2_000).power == 1.0
    assert power.means(sd=1, n_a=2, power=0.9).difference == pytest.approx(6.796, abs=0.001)
    assert power.means(sd=1, difference=1e-4, power=0.8).n_a == pytest.approx(1.57e9, rel=0.01)
    assert power.proportions(share_a=1e-4, share_b=2e-4, power=0.8).n_a > 100_000


def test_the_rule_of_thumb_keeps_the_level():
    # Exponential values have skewness 2: 355 * 4 = 1,420 values.
    n = power.smallest_n_for_normal_mean(2)
    assert n == 1_420
    rng, runs = np.random.default_rng(52), 3_000
    low = high = 0
    for _ in range(runs):
        interval = intervals.mean_t(rng.exponential(size=n))
        low, high = low + (interval.high < 1), high + (interval.low > 1)
    error = 3 * np.sqrt(0.025 * 0.975 / runs)
    assert 0.02 - error < high / runs and low / runs < 0.03 + error


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: power.means(sd=1, difference=1), "leave out exactly one of the three"),
        (lambda: power.means(sd=1, difference=1, n_a=5, power=0.8), "leave out exactly one"),
        (lambda: power.means(sd=0, difference=1, n_a=5), "sd: must be finite and above 0"),
        (lambda: power.means(sd=1, difference=-1, n_a=5), "difference: must be finite and above"),
        (lambda: power.means(sd=1, difference=1, n_a=1), "n_a: must be a whole number of at least"),
        (lambda: power.means(sd=1, difference=1, n_a=5.5), "n_a: must be a whole number"),
        (lambda: power.means(sd=1, difference=1, power=0.01), "power: must lie between alpha"),
        (lambda: power.means(sd=1, difference=1, power=80), "power: must lie between alpha"),
        (lambda: power.means(sd=1, difference=1, n_a=9, ratio=0), "ratio: must be finite"),
        (lambda: power.means(sd=1, difference=1, n_a=9, alternative="less"), "alternative: must"),
        (lambda: power.means(sd=1, difference=1e-9, power=0.8), "needs more than 1e"),
        (lambda: power.lift(mean=0, sd=1, lift=0.1, n_a=9), "mean: must be finite and above 0"),
        (lambda: power.lift(mean=1, sd=1, lift=-0.1, n_a=9), "lift: must be above 0"),
        (lambda: power.proportions(share_a=0, share_b=0.1, n_a=9), "share_a: must lie strictly"),
        (lambda: power.proportions(share_a=0.2, share_b=0.1, n_a=9), "share_b: must lie between"),
        (lambda: power.proportions(share_a=0.5, n_a=2, power=0.99), "n_a: 2 is too small"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()


GRID = json.loads((Path(__file__).parent / "oracle" / "experiments.json").read_text())
SIDES = {1: "one-sided", 2: "two-sided"}


def cases(part):
    return [dict(zip(GRID[part], values, strict=True))
            for values in zip(*GRID[part].values(), strict=True)]


def test_a_grid_of_shares_equals_r_and_statsmodels():
    for case in cases("shares"):
        options = {"share_a": case["p1"], "share_b": case["p2"], "alpha": case["alpha"],
                   "alternative": SIDES[case["sides"]]}
        assert power.proportions(power=case["power"], **options).n_a == np.ceil(case["n"])
        found = power.proportions(n_a=case["size"], **options).power
        assert found == pytest.approx(case["chance"], rel=1e-9, abs=1e-12)
        other = samplesize_proportions_2indep_onetail(
            case["p2"] - case["p1"], case["p1"], case["power"], alpha=case["alpha"],
            alternative={1: "larger", 2: "two-sided"}[case["sides"]])
        # statsmodels leaves the other tail out: a millionth of power at 80%.
        assert case["n"] == pytest.approx(other, rel={1: 1e-9, 2: 1e-5}[case["sides"]])


def test_a_grid_of_means_equals_r_and_statsmodels():
    compared = 0
    for case in cases("means"):
        side = SIDES[case["sides"]]
        options = {"sd": case["sd"], "difference": case["delta"], "alpha": case["alpha"],
                   "alternative": side}
        assert power.means(power=case["power"], **options).n_a == max(2, np.ceil(case["n"]))
        found = power.means(n_a=case["size"], **options).power
        assert found == pytest.approx(case["chance"], rel=1e-9, abs=1e-12)
        other = TTestIndPower().power(
            case["delta"] / case["sd"], case["size"], case["alpha"],
            alternative={"two-sided": "two-sided", "one-sided": "larger"}[side])
        if np.isfinite(other):  # it is nan in statsmodels where the other tail underflows
            compared += 1
            assert found == pytest.approx(other, rel=1e-9)
    assert compared >= 30
