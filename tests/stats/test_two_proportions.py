"""Two shares against R, published examples and by simulation."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.stats import two_proportions as tp
from analysis.stats.two_proportions import Share
from analysis.stats.two_sample import student

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "experiments.json").read_text())

# Newcombe (1998), table II, method 10: x/n, y/m, limits as printed.
NEWCOMBE = [
    (56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062), (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775), (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000), (10, 10, 0, 10, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("x", "n", "y", "m", "low", "high"), NEWCOMBE)
def test_newcombes_published_intervals(x, n, y, m, low, high):
    found = tp.difference(Share(x, n), Share(y, m))
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


def rows():
    table = R["tables"]
    return [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]


@pytest.mark.parametrize("row", rows(), ids=lambda r: f"{r['x']}/{r['n']}-{r['y']}/{r['m']}")
def test_tests_and_intervals_equal_r(row):
    a, b = Share(row["x"], row["n"]), Share(row["y"], row["m"])
    z = tp.pooled_z(a, b)
    assert z.statistic**2 == pytest.approx(row["chi"], rel=1e-9)
    assert z.p_value == pytest.approx(row["p"], rel=1e-9)
    assert z.interval.low == pytest.approx(row["low"], abs=1e-9)
    assert z.interval.high == pytest.approx(row["high"], abs=1e-9)
    exact = tp.fisher(a, b)
    assert exact.p_value == pytest.approx(row["fisher"], rel=1e-6)
    exact_odds = (exact.estimate, exact.interval.low, exact.interval.high)
    for found, name in zip(exact_odds, ("odds", "odds_low", "odds_high"), strict=True):
        infinite = row[name] == -1
        assert found == (np.inf if infinite else pytest.approx(row[name], rel=1e-6))
    ratio = tp.ratio(a, b)
    if ratio is None:
        assert row["ratio_high"] == -1
    else:
        assert (ratio.low, ratio.high) == pytest.approx((row["ratio_low"], row["ratio_high"]))
        assert z.effect("ratio of shares") == ratio


def test_interaction_equals_a_weighted_regression():
    pairs = [(Share(122, 781), Share(114, 786)), (Share(112, 462), Share(81, 474))]
    found, reference = tp.homogeneity(pairs), R["homogeneity"]
    assert (found.statistic, found.p_value, found.ratio) == pytest.approx(
        (reference["q"], reference["p"], reference["ratio"]), rel=1e-9)
    assert tp.homogeneity(pairs[::-1]).statistic == pytest.approx(found.statistic)


def test_a_ratio_of_ratios_is_the_effect_of_the_interaction():
    ios, android = (Share(112, 462), Share(81, 474)), (Share(122, 781), Share(114, 786))
    found = tp.ratio_of_ratios(ios, android)
    assert found.value == pytest.approx(tp.ratio(*ios).value / tp.ratio(*android).value)
    error = math.log(found.high / found.low) / (2 * stats.norm.isf(0.025))
    assert (math.log(found.value) / error) ** 2 == pytest.approx(
        tp.homogeneity([ios, android]).statistic)
    turned = tp.ratio_of_ratios(android, ios)
    assert (1 / turned.high, 1 / turned.value, 1 / turned.low) == pytest.approx(
        (found.low, found.value, found.high))
    narrow = tp.ratio_of_ratios(ios, android, confidence=0.5)
    assert found.low < narrow.low < found.value < narrow.high < found.high
    assert tp.ratio_of_ratios(ios, (Share(0, 9), Share(3, 9))) is None


def test_a_ratio_of_ratios_covers_the_truth():
    rng = np.random.default_rng(12)
    sizes, shares = (400, 500, 700, 600), (0.24, 0.16, 0.15, 0.125)
    truth, draws = (0.24 / 0.16) / (0.15 / 0.125), 2_000
    made = rng.binomial(sizes, shares, (draws, 4))
    held = 0
    for row in made:
        a, b, c, d = (Share(int(x), n) for x, n in zip(row, sizes, strict=True))
        effect = tp.ratio_of_ratios((a, b), (c, d))
        held += effect.low <= truth <= effect.high
    assert abs(held / draws - 0.95) < 4 * math.sqrt(0.95 * 0.05 / draws)


def test_equal_ratios_show_no_interaction():
    pairs = [(Share(60, 1000), Share(40, 1000)), (Share(600, 2000), Share(400, 2000))]
    found = tp.homogeneity(pairs)
    assert found.statistic == pytest.approx(0) and found.ratio == pytest.approx(1.5)


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "experiments.R", tmp_path)
    assert fresh.keys() == R.keys()
    for part, columns in R.items():
        assert fresh[part].keys() == columns.keys()
        for name, values in columns.items():
            assert fresh[part][name] == pytest.approx(values, rel=1e-6, abs=1e-9), (part, name)


shares = st.integers(1, 400).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.just(n))).map(lambda pair: Share(*pair))


@settings(max_examples=150)
@given(shares, shares)
def test_what_swapping_groups_and_outcomes_does(a, b):
    there, back = tp.difference(a, b), tp.difference(b, a)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)
    failures = tp.difference(Share(a.n - a.successes, a.n), Share(b.n - b.successes, b.n))
    assert (there.low, there.high) == pytest.approx((-failures.high, -failures.low), abs=1e-9)
    assert -1 <= there.low <= there.estimate <= there.high <= 1
    if 0 < a.successes + b.successes < a.n + b.n:
        z, reverse = tp.pooled_z(a, b), tp.pooled_z(b, a)
        assert z.statistic == pytest.approx(-reverse.statistic, abs=1e-12)
        assert z.p_value == pytest.approx(reverse.p_value)
        # The chi-squared test of the table is its square.
        table = [[a.successes, a.n - a.successes], [b.successes, b.n - b.successes]]
        chi = stats.chi2_contingency(table, correction=False)
        assert z.statistic**2 == pytest.approx(chi.statistic, abs=1e-9)
    ratio, inverse = tp.ratio(a, b), tp.ratio(b, a)
    if ratio is not None:
        assert (ratio.low, ratio.high) == pytest.approx((1 / inverse.high, 1 / inverse.low))


def test_many_tests_at_once_are_the_test():
    x, y = np.array([0, 50, 3, 20, 50]), np.array([0, 60, 9, 20, 50])
    z = tp.z_statistics(x, 50, y, 60)
    assert z[0] == z[1] == 0  # nobody, and everybody
    for i in range(2, 5):
        assert z[i] == tp.pooled_z(Share(x[i], 50), Share(y[i], 60)).statistic


def test_pooled_z_is_close_to_the_t_test_of_zeros_and_ones():
    a, b = Share(234, 1243), Share(195, 1260)
    t = student(np.repeat([1, 0], [234, 1009]), np.repeat([1, 0], [195, 1065]))
    assert tp.pooled_z(a, b).p_value == pytest.approx(t.p_value, rel=0.01)


def test_intervals_cover_at_about_their_rate():
    rng, runs = np.random.default_rng(71), 1_500
    x, y = rng.binomial(60, 0.10, runs), rng.binomial(80, 0.25, runs)
    found = [tp.difference(Share(i, 60), Share(j, 80)) for i, j in zip(x, y, strict=True)]
    assert np.mean([i.contains(-0.15) for i in found]) == pytest.approx(0.95, abs=0.02)
    x, y = rng.binomial(1200, 0.15, runs), rng.binomial(1300, 0.19, runs)
    ratios = [tp.ratio(Share(j, 1300), Share(i, 1200)) for i, j in zip(x, y, strict=True)]
    covered = np.mean([r.low <= 0.19 / 0.15 <= r.high for r in ratios])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: Share(3, 0), "n: must be a whole number of at least 1"),
        (lambda: Share(4, 3), "successes: must not exceed n = 3"),
        (lambda: Share(-1, 3), "successes: must be a whole number"),
        (lambda: Share(0.5, 3), "successes: must be a whole number"),
        (lambda: tp.pooled_z(Share(0, 3), Share(0, 4)), "needs both successes and failures"),
        (lambda: tp.pooled_z(Share(3, 3), Share(4, 4)), "needs both successes and failures"),
        (lambda: tp.fisher(Share(0, 3), Share(0, 4)), "needs both successes and failures"),
        (lambda: tp.pooled_z(Share(1, 3), Share(1, 4), alpha=0.5), "alpha: must lie"),
        (lambda: tp.homogeneity([(Share(1, 3), Share(1, 4))]), "at least two strata"),
        (lambda: tp.homogeneity([(Share(0, 3), Share(1, 4))] * 2), "needs a success"),
        (lambda: tp.homogeneity([(Share(3, 3), Share(4, 4))] * 2), "needs a failure"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
