"""Sequential tests against published tables, rpact, simulation and each other."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.stats import sequential

ORACLE = Path(__file__).parent / "oracle"
RPACT = json.loads((ORACLE / "sequential.json").read_text())
FIFTHS = np.arange(1, 6) / 5

information_times = (
    st.lists(st.floats(0.02, 1.0), min_size=1, max_size=8)
    .map(lambda steps: np.cumsum(steps) / np.sum(steps))
)
spendings = st.sampled_from(["O'Brien-Fleming", "Pocock"])


@pytest.mark.parametrize(
    # Armitage, McPherson & Rowe (1969), normal responses of known variance.
    ("looks", "published"),
    [(1, 0.05), (2, 0.083), (3, 0.107), (4, 0.126), (5, 0.142), (10, 0.193), (20, 0.248),
     (50, 0.320)],
)
def test_peeking_costs_what_armitage_published(looks, published):
    assert sequential.peeking(looks) == pytest.approx(published, abs=0.0006)


@pytest.mark.parametrize(
    # Jennison & Turnbull (2000), tables 2.1 and 2.3: constants for 5%, two-sided.
    ("looks", "pocock", "obrien_fleming"),
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (5, 2.413, 2.040), (10, 2.555, 2.087),
     (20, 2.672, 2.126)],
)
def test_the_constants_of_classic_designs_keep_the_level(looks, pocock, obrien_fleming):
    times = np.arange(1, looks + 1) / looks
    assert sequential.crossings(np.full(looks, pocock), times).sum() == pytest.approx(
        0.05, abs=1e-4)
    falling = obrien_fleming / np.sqrt(times)
    assert sequential.crossings(falling, times).sum() == pytest.approx(0.05, abs=1e-4)


def test_the_boundary_of_lan_and_demets():
    # As printed by their program and in the packages that follow it.
    z = sequential.boundary(FIFTHS).z
    np.testing.assert_allclose(z, [4.8769, 3.3569, 2.6803, 2.2898, 2.0310], atol=2e-4)


@pytest.mark.parametrize("case", RPACT["designs"], ids=lambda case: case["spending"])
def test_boundaries_and_sizes_equal_rpact(case):
    design = sequential.boundary(case["information"], case["spending"])
    published = np.array(case["z"], dtype=float)
    known = np.isfinite(published)
    # rpact's boundaries meet probabilities to about 1e-8, so far out they have fewer digits.
    apart = np.abs(np.array(design.z)[known] - published[known])
    assert (apart * stats.norm.pdf(published[known]) < 2e-8).all()
    np.testing.assert_allclose(design.spent, case["spent"], atol=2e-8)
    plan = sequential.plan(design, case["power"][0])
    assert plan.inflation == pytest.approx(case["inflation"][0], abs=1e-6)
    assert plan.expected_effect == pytest.approx(case["expected_effect"][0], abs=1e-6)
    assert plan.expected_none == pytest.approx(case["expected_none"][0], abs=1e-6)


@pytest.mark.parametrize("case", RPACT["stops"])
def test_results_at_the_stop_equal_rpact(case):
    design = sequential.boundary(case["information"])
    z = [*case["z"], *[0.0] * (len(case["information"]) - len(case["z"]))]
    end = sequential.stopped(design, z, case["n"][0])
    assert end.look == len(case["z"])
    assert end.p_value / 2 == pytest.approx(case["p_value"][0], abs=1e-7)
    assert end.interval.estimate == pytest.approx(case["estimate"][0], abs=1e-6)
    assert end.interval.low == pytest.approx(case["low"][0], abs=1e-6)
    assert end.interval.high == pytest.approx(case["high"][0], abs=1e-6)


def test_rpact_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "sequential.R", tmp_path)
    for part in ("designs", "stops"):
        for now, then in zip(fresh[part], RPACT[part], strict=True):
            for name, values in then.items():
                same = values if isinstance(values, str) else pytest.approx(values, rel=1e-5)
                assert now[name] == same, (part, name)


@settings(max_examples=25)
@given(information_times, spendings, st.floats(0.001, 0.2))
def test_all_of_the_error_is_spent_as_stated(times, spending, alpha):
    design = sequential.boundary(times, spending, alpha)
    stops = sequential.crossings(design.z, times)
    np.testing.assert_allclose(np.cumsum(stops.sum(axis=1)), design.spent, atol=1e-8)
    assert design.spent[-1] == pytest.approx(alpha)
    np.testing.assert_allclose(stops[:, 0], stops[:, 1], atol=1e-12)


@settings(max_examples=25)
@given(information_times, st.floats(-4, 4), st.floats(0.01, 1e6))
def test_crossings_are_those_of_a_mirror_and_of_any_unit(times, effect, unit):
    bounds = np.linspace(2.8, 1.9, times.size)
    stops = sequential.crossings(bounds, times, effect)
    np.testing.assert_allclose(
        sequential.crossings(bounds, times, -effect), stops[:, ::-1], atol=1e-10)
    np.testing.assert_allclose(
        sequential.crossings(bounds, times * unit, effect / math.sqrt(unit)), stops, atol=1e-9)
    # A look that cannot stop the test changes nothing.
    assume(times[0] > 0.01)
    more, free = np.append(times[0] / 2, times), np.append(math.inf, bounds)
    np.testing.assert_allclose(
        sequential.crossings(free, more, effect)[1:], stops, atol=1e-9)


@pytest.mark.parametrize("effect", [0.0, 2.0, 2.9])
def test_a_simulation_of_the_plan_agrees(effect):
    times = np.array([0.1, 0.25, 0.4, 0.8, 1.0])
    design = sequential.boundary(times)
    rng, runs = np.random.default_rng(1983), 100_000
    steps = rng.normal(effect * np.diff(times, prepend=0), np.sqrt(np.diff(times, prepend=0)),
                       (runs, times.size))
    z = np.cumsum(steps, axis=1) / np.sqrt(times)
    beyond = np.abs(z) >= np.array(design.z)
    first = np.where(beyond.any(axis=1), beyond.argmax(axis=1), times.size - 1)
    stops = sequential.crossings(design.z, times, effect)
    for look in range(times.size):
        share = (beyond.any(axis=1) & (first == look)).mean()
        expected = stops[look].sum()
        error = math.sqrt(max(expected * (1 - expected), 1e-6) / runs)
        assert share == pytest.approx(expected, abs=4 * error)
    mean = times[first]
    assert sequential.expected_information(design, effect) == pytest.approx(
        mean.mean(), abs=4 * mean.std() / math.sqrt(runs))


def test_the_interval_at_the_stop_covers_and_its_estimate_is_median_unbiased():
    times, effect, n = np.array([0.3, 0.6, 1.0]), 2.0, 100.0
    design = sequential.boundary(times, "Pocock")
    rng, runs = np.random.default_rng(1984), 600
    steps = rng.normal(effect * np.diff(times, prepend=0), np.sqrt(np.diff(times, prepend=0)),
                       (runs, 3))
    ends = [sequential.stopped(design, row, n) for row in np.cumsum(steps, axis=1) / np.sqrt(times)]
    truth = effect / math.sqrt(n)
    error = 4 * math.sqrt(0.25 / runs)
    assert np.mean([end.interval.estimate < truth for end in ends]) == pytest.approx(0.5, abs=error)
    covered = np.mean([end.interval.contains(truth) for end in ends])
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))
    # p, interval and boundary say the same.
    for end in ends:
        assert end.crossed == (end.p_value <= 0.05) == (not end.interval.contains(0.0))
    # Read as if there had been one look, early stops tell too large an effect.
    assert np.mean([end.naive.estimate for end in ends]) > truth + 0.01


def test_with_one_look_it_is_the_ordinary_test():
    design = sequential.boundary([7.0])
    assert design.z[0] == pytest.approx(stats.norm.isf(0.025))
    end = sequential.stopped(design, [-2.2], 4.0)
    assert end.p_value == pytest.approx(2 * stats.norm.sf(2.2))
    for field in ("estimate", "low", "high"):
        assert getattr(end.interval, field) == pytest.approx(getattr(end.naive, field))
    assert end.interval.estimate == pytest.approx(-1.1)
    plan = sequential.plan(design, 0.9)
    assert (plan.inflation, plan.expected_none) == pytest.approx((1.0, 1.0), abs=1e-4)


def test_no_effect_at_all_has_no_side():
    end = sequential.stopped(sequential.boundary(FIFTHS), [0.0] * 5)
    assert end.p_value == pytest.approx(1.0, abs=1e-6)
    assert end.interval.estimate == pytest.approx(0.0, abs=1e-6)


def test_an_always_valid_boundary_may_be_watched_at_every_step():
    # Ville's inequality holds for any number of looks; at a thousand some error is still unspent.
    times = np.linspace(1, 1_000, 500)
    bounds = sequential.always_valid(times, effect_sd=0.2)
    total = sequential.crossings(bounds, times).sum()
    assert 0.02 < total < 0.05
    # Its formula, from the likelihood ratio that it bounds: normal effects against none.
    for z, known in zip(bounds[::100], times[::100], strict=True):
        mixture = stats.norm.pdf(z, 0, math.sqrt(1 + known * 0.2**2)) / stats.norm.pdf(z)
        assert mixture == pytest.approx(1 / 0.05)


def test_the_frame_of_a_boundary_has_a_row_a_look():
    frame = sequential.boundary(FIFTHS).to_frame()
    assert frame["look"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(frame["p_value"], 2 * stats.norm.sf(frame["z"]))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: sequential.crossings([2.0], [1, 2]), "z: must have one value above 0"),
        (lambda: sequential.crossings([2.0, -1], [1, 2]), "z: must have one value above 0"),
        (lambda: sequential.crossings([2.0, 2], [2, 1]), "information: must be above 0 and rise"),
        (lambda: sequential.crossings([2.0, 2], [0, 1]), "information: must be above 0 and rise"),
        (lambda: sequential.crossings([2.0], [math.nan]), "information: every value must be"),
        (lambda: sequential.boundary([1, 2], "Haybittle"), "spending: must be"),
        (lambda: sequential.boundary([1, 2], alpha=0.7), "alpha: must lie strictly"),
        (lambda: sequential.peeking(0), "looks: must be a whole number"),
        (lambda: sequential.plan(sequential.boundary([1.0]), 0.01), "power: must lie between"),
        (lambda: sequential.stopped(sequential.boundary([1.0]), [1, 2]), "z: needs a value for"),
        (lambda: sequential.stopped(sequential.boundary([1.0]), [1], 0), "information: must be"),
        (lambda: sequential.always_valid([1.0], 0), "effect_sd: must be"),
        (lambda: sequential.always_valid([0.0], 1), "information: must be above 0"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
