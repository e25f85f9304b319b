"""Evenness, closeness, edges and rates: R and SciPy, enumeration, simulated error rates."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.forensics import closeness, edges, rates, uniformity

ORACLE = Path(__file__).parent / "oracle"
R = json.loads((ORACLE / "forensics.json").read_text())
LEFT, THERE, PLACE = [20, 15, 12, 9, 4], [80, 75, 90, 85, 60], [1, 2, 3, 5, 8]


def test_r_still_gives_the_committed_values(tmp_path):
    assert made_by_r(ORACLE / "forensics.R", tmp_path) == R


# Evenness.


def test_evenness_is_as_in_r():
    found = uniformity.evenness([733, 704, 697, 685, 681])
    assert [found.statistic, found.p_uneven, found.p_closer, found.p_even] == pytest.approx(
        R["evenness"], rel=1e-7)
    assert found.w == pytest.approx(math.sqrt(found.statistic / 3500))
    share = np.array([733, 704, 697, 685, 681]) / 3500
    assert found.bits == pytest.approx(stats.entropy(share, [0.2] * 5, base=2))


def test_unequal_shares_and_order_of_cells():
    counts, shares = [50, 30, 120, 8], [0.25, 0.15, 0.55, 0.05]
    found = uniformity.evenness(counts, shares)
    assert found.statistic == pytest.approx(stats.chisquare(counts, np.array(shares) * 208)[0])
    again = uniformity.evenness(counts[::-1], shares[::-1])
    assert again.p_even == pytest.approx(found.p_even) and again.bits == pytest.approx(found.bits)


def test_equivalence_rejects_at_its_level_and_no_more():
    """At the margin evenness is claimed in some 5% of samples, of even spreads nearly always."""
    rng = np.random.default_rng(1)
    n, cells = 3_000, 8
    shift = np.array([1, -1] * (cells // 2)) * uniformity.MARGIN
    at_margin = (1 + shift) / cells
    assert math.sqrt(((at_margin - 1 / cells) ** 2 * cells).sum()) == pytest.approx(0.1)

    def claimed(shares):
        drawn = rng.multinomial(n, shares, size=3_000)
        statistic = ((drawn - n / cells) ** 2 / (n / cells)).sum(axis=1)
        return (stats.ncx2.cdf(statistic, cells - 1, n * 0.01) <= 0.05).mean(), drawn[0]

    rate, one = claimed(at_margin)
    assert rate == pytest.approx(0.05, abs=0.015)
    even, _ = claimed(np.full(cells, 1 / cells))
    assert even > 0.9
    row = uniformity.evenness(one.tolist())
    assert row.p_even == pytest.approx(stats.ncx2.cdf(row.statistic, 7, 30))


def test_small_counts_claim_nothing():
    found = uniformity.evenness([1, 0, 1])
    assert math.isnan(found.p_even) and math.isnan(found.p_closer)
    for bad in ({"counts": [3]}, {"counts": [0, 0]}, {"counts": [4, 5], "margin": 0.0},
                {"counts": [4, 5], "shares": [0.5, 0.6]}):
        with pytest.raises(ValueError):
            uniformity.evenness(**bad)


def test_ends_full_thin_and_piled_up():
    full = uniformity.ends(100, 104, 1_000, 0.1, 0.1)
    assert full.low == pytest.approx(1.0) and full.high == pytest.approx(1.04)
    assert full.p_full == pytest.approx(max(
        stats.binom.cdf(104, 1_000, 0.125), stats.binom.sf(99, 1_000, 0.075)))
    assert full.p_full < 0.05
    for first, last in ((100, 20), (20, 100), (100, 300)):
        assert uniformity.ends(first, last, 1_000, 0.1, 0.1).p_full > 0.9
    with pytest.raises(ValueError):
        uniformity.ends(10, 10, 100, 0.0, 0.1)


def test_middle():
    found = uniformity.middle(5492, 1010, 9990, 3500)
    error = 1 / math.sqrt(12 * 3500)
    assert found.offset == pytest.approx(-8 / 8980)
    assert found.p_off == pytest.approx(2 * stats.norm.sf(8 / 8980 / error))
    assert found.p_middle == pytest.approx(stats.norm.cdf((8 / 8980 - 0.02) / error))
    # A rounded mean is judged as if it were as far off as it may be.
    assert uniformity.middle(5492, 1010, 9990, 3500, rounding=50).p_middle > found.p_middle
    skewed = stats.lognorm(0.5, scale=3_000).rvs(3500, random_state=1)
    off = uniformity.middle(skewed.mean(), skewed.min(), skewed.max(), 3500, sd=skewed.std())
    assert off.p_middle > 0.99 and off.p_off < 1e-10
    with pytest.raises(ValueError):
        uniformity.middle(11, 0, 10, 100)


# Closeness.


@settings(max_examples=25)
@given(st.integers(1, 60), st.floats(0.05, 0.95), st.data())
def test_allocation_of_two_groups_is_exact(n, share, data):
    x = data.draw(st.integers(0, n))
    found = closeness.allocation([x, n - x], [share, 1 - share])
    weight = [math.comb(n, k) * share**k * (1 - share) ** (n - k) for k in range(n + 1)]
    near = [abs(k - n * share) <= abs(x - n * share) + 1e-9 for k in range(n + 1)]
    assert found.p_closer == pytest.approx(sum(w for w, is_near in zip(weight, near, strict=True)
                                               if is_near))
    same = sum(w for k, w in enumerate(weight)
               if abs(abs(k - n * share) - abs(x - n * share)) < 1e-9)
    assert found.p_closer + found.p_further == pytest.approx(1 + same)


def test_an_exact_split_is_not_yet_suspicious():
    found = closeness.allocation([3_600, 8_400], [0.3, 0.7])
    assert found.exact and found.p_further == pytest.approx(1)
    assert found.p_closer == pytest.approx(1 / math.sqrt(2 * math.pi * 12_000 * 0.21), rel=0.01)
    assert 0.005 < found.p_closer < 0.01
    lots = closeness.allocation([3_650, 8_350], [0.3, 0.7])
    assert lots.p_closer > 0.5


def test_allocation_of_several_groups_is_simulated():
    even = closeness.allocation([100, 100, 101, 99], [0.25] * 4)
    assert not even.exact and even.p_closer == pytest.approx(
        stats.chi2.cdf(even.statistic, 3), abs=0.01)
    for bad in ({"counts": [1], "shares": [1.0]}, {"counts": [0, 0], "shares": [0.5, 0.5]},
                {"counts": [1, 2], "shares": [0.5, 0.6]}):
        with pytest.raises(ValueError):
            closeness.allocation(**bad)


# Edges.


def test_cliff_equals_the_hypergeometric_distribution():
    successes, trials = [98, 0, 0], [352, 346, 50]
    found = edges.cliff(successes, trials, window=1)
    assert found.place == 0 and found.places == 2 and found.trials_beyond == 396
    assert found.p_window == pytest.approx(2 * R["all_within"][0], rel=1e-9)
    assert found.p_chance == pytest.approx(2 * stats.hypergeom(748, 352, 98).pmf(98), rel=1e-6)
    assert math.isnan(found.p_edge)  # one cell has no course


@pytest.mark.parametrize(
    ("counts", "margin"), [((9, 4, 0), 0.5), ((3, 7, 0), 0.25), ((1, 1, 0), 0.9)])
def test_edge_equals_enumeration(counts, margin):
    """All tables of three cells with the same total and slope, each with its binomial weight."""
    trials = (12, 11, 10)
    found = edges.cliff(counts, trials, window=2, margin=margin)
    weights = {}
    for x in itertools.product(*(range(n + 1) for n in trials)):
        if sum(x) == sum(counts) and x[1] + 2 * x[2] == counts[1] + 2 * counts[2]:
            weights[x] = math.prod(map(math.comb, trials, x)) * margin ** x[2]
    assert found.p_edge == pytest.approx(min(1, 2 * weights[counts] / sum(weights.values())))


def test_no_cliff_without_an_end():
    assert edges.cliff([0, 0], [5, 5], 1) is None
    assert edges.cliff([0, 2], [5, 5], 1) is None
    assert edges.cliff([2, 0], [5, 0], 1) is None
    with pytest.raises(ValueError):
        edges.cliff([6, 0], [5, 5], 1)


def test_rates_that_taper_off_are_no_cliff():
    """Of services whose rate falls smoothly, however fast, none is shown to have a cliff."""
    rng = np.random.default_rng(3)
    months = np.arange(60)
    ended = 0
    for decay in np.linspace(0.03, 0.5, 200):
        for rate in (0.4 * np.exp(-decay * months), 0.3 * np.exp(-(decay * months / 4) ** 2)):
            trials = rng.poisson(150, 60) + 1
            found = edges.cliff(rng.binomial(trials, rate), trials, 12)
            ended += found is not None
            assert found is None or not found.p_edge <= 0.05
    assert ended > 300
    trials = rng.poisson(60, 60) + 1
    real = edges.cliff(rng.binomial(trials, np.where(months < 24, 0.28, 0)), trials, 12)
    assert real.place == 23 and real.p_edge < 1e-6
    assert real.rate.contains(0.28)


def test_extremes_against_simulation():
    rng = np.random.default_rng(5)
    found = edges.extremes(3.0, 98.5, 100, 0, 100)
    drawn = rng.uniform(0, 100, (20_000, 100))
    low, high = drawn.min(axis=1), drawn.max(axis=1)
    assert found.p_as_far == pytest.approx(((low >= 3) & (high <= 98.5)).mean(), abs=0.01)
    assert found.p_as_near == pytest.approx(((low <= 3) & (high >= 98.5)).mean(), abs=0.01)
    assert found.spacing == pytest.approx(100 / 101)
    # Bell-shaped values stay away from round limits in which even ones would lie.
    normal = rng.normal(50, 12, 3_000)
    far = edges.extremes(normal.min(), normal.max(), 3_000, 0, 100)
    assert far.p_as_far < 1e-10
    with pytest.raises(ValueError):
        edges.extremes(-1, 5, 10, 0, 10)


# Rates.


def test_trend_and_homogeneity_are_as_in_r():
    trend = rates.trend(LEFT, THERE, PLACE)
    assert [trend.statistic**2, trend.p_trend] == pytest.approx(R["trend"], rel=1e-9)
    assert trend.slope < 0 and trend.p_falling == pytest.approx(trend.p_trend / 2)
    same = rates.homogeneity(LEFT, THERE)
    assert [same.statistic, same.p_heterogeneous] == pytest.approx(R["homogeneity"], rel=1e-9)
    assert same.p_closer == pytest.approx(1 - same.p_heterogeneous)


def test_size_of_a_trend_is_that_of_its_line():
    """The rate one standard deviation above the mean month is below the mean rate by the size."""
    at = np.arange(50)
    rate = 0.3 - 0.004 * (at - at.mean())
    found = rates.trend(np.round(1e5 * rate), [100_000] * 50, at)
    assert found.slope == pytest.approx(-0.004, rel=1e-3)
    assert found.size == pytest.approx(-0.004 * at.std() / 0.3, rel=1e-3)
    # The complement has the same size, as it is of the rarer outcome.
    other = rates.trend(100_000 - np.round(1e5 * rate), [100_000] * 50, at)
    assert other.size == pytest.approx(-found.size)
    assert other.p_flat == pytest.approx(found.p_flat)


@settings(max_examples=20)
@given(st.floats(-50, 50), st.floats(0.1, 20))
def test_the_scale_of_a_trend_does_not_matter(shift, unit):
    a = rates.trend(LEFT, THERE, PLACE)
    b = rates.trend(LEFT, THERE, shift + unit * np.array(PLACE))
    assert (a.size, a.p_trend, a.p_flat) == pytest.approx((b.size, b.p_trend, b.p_flat), rel=1e-6)
    assert b.slope * unit == pytest.approx(a.slope, rel=1e-6)


def test_flat_is_claimed_only_where_there_is_room_for_it():
    rng = np.random.default_rng(8)
    at, n = np.arange(24), np.full(24, 60)
    flat = [rates.trend(rng.binomial(n, 0.28), n, at).p_flat for _ in range(200)]
    assert np.mean(np.array(flat) <= 0.05) > 0.9
    # At the margin it is claimed in 5% of the tables.
    steep = 0.28 * (1 - 0.2 * (at - at.mean()) / at.std())
    wrong = [rates.trend(rng.binomial(n, steep), n, at).p_flat for _ in range(600)]
    assert np.mean(np.array(wrong) <= 0.05) < 0.08
    assert rates.trend([1, 2], [40, 40], [0, 1]).p_flat > 0.3


def test_too_constant_rates_are_found_and_binomial_ones_are_not():
    n = [60] * 24
    dealt = rates.homogeneity([17] * 12 + [16] * 12, n)
    assert dealt.dispersion < 0.1 and dealt.p_closer < 1e-6 and dealt.cv == 0
    rng = np.random.default_rng(2)
    p = [rates.homogeneity(rng.binomial(n, 0.28), n).p_closer for _ in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    spread = rates.homogeneity(rng.binomial(n, rng.beta(2, 5, 24)), n)
    assert spread.p_heterogeneous < 1e-6 and spread.low > 0.2 and spread.cv > 0.3


def test_small_rates_are_simulated():
    found = rates.homogeneity([1, 0, 0, 2], [3, 4, 2, 3])
    assert found.exact and 0 < found.p_heterogeneous <= 1
    assert rates.homogeneity([0, 0], [3, 4]) is None
    assert rates.homogeneity([3, 4], [3, 4]) is None
    assert rates.trend([3, 4], [9, 9], [1, 1]) is None
    with pytest.raises(ValueError):
        rates.homogeneity([4], [3])


def test_additivity_is_as_in_r():
    factors = pd.DataFrame({"device": [0, 0, 0, 0, 1, 1, 1, 1], "plan": list("aabbaabb"),
                            "offer": [0, 1] * 4})
    found = rates.additivity(factors, [12, 20, 9, 31, 14, 22, 18, 40],
                             [60, 70, 55, 90, 50, 65, 60, 85])
    assert [found.statistic, found.p_interplay] == pytest.approx(R["additivity"], rel=1e-6)
    assert found.df == 4 and found.p_closer == pytest.approx(1 - found.p_interplay)


def test_interplay_is_found():
    factors = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]})
    # Each raises the rate alone, together they do not.
    assert rates.additivity(factors, [50, 150, 150, 60], [500] * 4).p_interplay < 1e-10
    assert rates.additivity(factors.iloc[:2], [5, 9], [50, 50]) is None
    assert rates.additivity(factors, [0, 0, 20, 20], [50] * 4) is None
    assert rates.additivity(factors, [1, 0, 1, 1], [2] * 4) is None
