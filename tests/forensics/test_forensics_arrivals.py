"""Arrivals: published critical values, R, statsmodels, known processes, simulated error rates."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from statsmodels.stats.diagnostic import lilliefors

from analysis.forensics import arrivals

R = json.loads((Path(__file__).parent / "oracle" / "forensics.json").read_text())
DAY = 86_400.0


def poisson(rng, n: int, peak: float = 0.0) -> np.ndarray:
    """Arrivals of a day in whole seconds; the rate swings by the share `peak`, highest at noon."""
    kept = np.empty(0)
    while kept.size < n:
        t = rng.uniform(0, DAY, 4 * n)
        rate = 1 - peak * np.cos(2 * np.pi * t / DAY)
        kept = np.concatenate([kept, t[rng.random(t.size) < rate / (1 + peak)]])
    return np.sort(np.floor(kept[:n]))


def test_dispersion_is_as_in_r():
    found = arrivals.dispersion([3, 5, 1, 0, 4, 7, 2, 2, 6, 3])
    assert [found.statistic, found.p_over, found.p_under] == pytest.approx(
        R["dispersion"], rel=1e-9)
    assert found.low < found.index < found.high


def test_a_rhythm_is_no_burst_within_its_hours():
    rng = np.random.default_rng(1)
    hours = rng.poisson(np.repeat(10 * (1.2 - np.cos(np.arange(24) / 24 * 2 * np.pi)), 60))
    whole, within = arrivals.dispersion(hours), arrivals.dispersion(hours.reshape(24, 60))
    assert whole.p_over < 1e-10 and whole.index > 2
    assert within.p_over > 0.01 and within.df == 24 * 59
    bursts = hours.reshape(24, 60) * rng.choice([0, 2], (24, 60))
    assert arrivals.dispersion(bursts).p_over < 1e-10
    clockwork = np.full((24, 60), 5) + rng.integers(0, 2, (24, 60))
    assert arrivals.dispersion(clockwork).p_under < 1e-10


def test_dispersion_of_nothing():
    assert arrivals.dispersion([0, 0]) is None and arrivals.dispersion([7]) is None
    assert arrivals.dispersion([[0, 0], [3, 1]]).df == 1
    for bad in ([-1, 2], [0.5, 1], [[[1]]]):
        with pytest.raises(ValueError):
            arrivals.dispersion(bad)


@pytest.mark.parametrize(("statistic", "p"), [
    (1.248, 0.25), (1.933, 0.10), (2.492, 0.05), (3.070, 0.025), (3.880, 0.01)])
def test_anderson_darling_at_the_tabled_points(statistic, p):
    """D'Agostino & Stephens (1986), table 4.2, a fully specified distribution."""
    assert arrivals.anderson_darling_p(statistic, 1_000) == pytest.approx(p, rel=0.02)


def test_anderson_darling_p_is_uniform_in_small_samples():
    rng = np.random.default_rng(2)
    p = [arrivals.even_times(rng.random(6), 0, 1).p_ad for _ in range(1_500)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert arrivals.anderson_darling_p(0.0, 9) == 1.0
    values = [arrivals.anderson_darling_p(z, 50) for z in np.linspace(0.05, 12, 200)]
    assert all(0 <= p <= 1 for p in values) and values == sorted(values, reverse=True)


def test_even_times_are_as_in_r():
    gaps = [0.31, 0.02, 1.7, 0.44, 0.9, 0.08, 0.13, 2.2, 0.6, 0.05, 0.77, 1.3]
    found = arrivals.even_times(np.cumsum(gaps), 0, 10)
    assert [found.ks, found.p_ks] == pytest.approx(R["ks"], rel=1e-6)
    again = arrivals.even_times(100 + 3 * np.cumsum(gaps), 100, 130)
    assert again.ad == pytest.approx(found.ad)
    with pytest.raises(ValueError):
        arrivals.even_times([1, 11], 0, 10)


def test_a_day_with_a_night_is_not_even():
    rng = np.random.default_rng(3)
    flat = arrivals.even_times(arrivals.spread_within(poisson(rng, 3_000), 1.0), 0, DAY)
    assert min(flat.p_ks, flat.p_ad) > 0.01
    day = arrivals.even_times(poisson(rng, 3_000, 0.5), 0, DAY)
    assert max(day.p_ks, day.p_ad) < 1e-6


def test_gaps_equal_statsmodels():
    rng = np.random.default_rng(4)
    between = rng.exponential(size=200)
    found = arrivals.gaps(np.concatenate([[0], np.cumsum(between)]))
    expected = lilliefors(between, dist="exp", pvalmethod="approx")
    assert found.distance == pytest.approx(expected[0])
    assert found.p_exponential == pytest.approx(expected[1], abs=0.05)
    u = (between[:-1] - between[1:]) / (between[:-1] + between[1:])
    assert found.local == pytest.approx(3 * (u**2).mean())


def test_constants_of_the_local_variation():
    def given_middle(y):
        return integrate.quad(lambda x: ((x - y) / (x + y)) ** 2 * math.exp(-x), 0, np.inf)[0]

    both = integrate.quad(lambda y: given_middle(y) ** 2 * math.exp(-y), 0, np.inf)[0]
    assert 9 * (both - 1 / 9) == pytest.approx(arrivals._LOCAL_COVARIANCE, rel=1e-6)
    assert pytest.approx(9 * (1 / 5 - 1 / 9)) == arrivals._LOCAL_VARIANCE


def test_local_variation_keeps_its_level_and_overlooks_the_day():
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(200):
        t = np.cumsum(rng.exponential(size=300))
        found = arrivals.gaps(t, resamples=1)
        wrong += found.p_local <= 0.05
    assert wrong <= 20
    day = arrivals.gaps(arrivals.spread_within(poisson(rng, 4_000, 0.8), 1.0), resamples=99)
    assert day.p_local > 0.01 and day.p_exponential <= 0.02
    bursts = np.sort(np.repeat(rng.uniform(0, DAY, 600), 5) + rng.exponential(20, 3_000))
    assert arrivals.gaps(bursts, resamples=1).local > 1.3
    clockwork = arrivals.gaps(np.arange(500) + rng.uniform(0, 0.2, 500), resamples=1)
    assert clockwork.local < 0.1 and clockwork.p_local < 1e-10


def test_a_coarse_clock_does_not_look_like_bursts():
    rng = np.random.default_rng(6)
    cut = np.floor(poisson(rng, 3_000) / 60) * 60
    raw = arrivals.gaps(cut, resamples=99)
    put_back = arrivals.gaps(arrivals.spread_within(cut, 60.0), resamples=99)
    assert raw.p_exponential <= 0.01 < 0.05 < put_back.p_exponential
    assert put_back.p_local > 0.01
    np.testing.assert_array_equal(arrivals.spread_within([3, 1], 0.0), [1, 3])
    assert arrivals.gaps([1, 1, 1, 1, 1]) is None and arrivals.gaps([1, 2]) is None
    with pytest.raises(ValueError):
        arrivals.spread_within([1], -1.0)


def test_cycle_of_a_known_rate():
    rng = np.random.default_rng(7)
    hours = np.bincount((poisson(rng, 20_000, 0.6) // 3_600).astype(int), minlength=24)
    found = arrivals.cycle(hours)
    assert found.low < 0.3 < found.high and found.resultant == pytest.approx(0.3, abs=0.02)
    assert found.peak == pytest.approx(0.5, abs=0.02)  # noon
    assert found.p_cycle < 1e-100 and found.p_absent > 0.99
    flat = arrivals.cycle(np.bincount((poisson(rng, 4_000) // 3_600).astype(int), minlength=24))
    assert flat.p_cycle > 0.01 and flat.p_absent < 0.01
    assert arrivals.cycle([0] * 24) is None
    with pytest.raises(ValueError):
        arrivals.cycle([1, 2])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 50), min_size=5, max_size=24), st.integers(0, 23))
def test_the_beginning_of_the_cycle_does_not_matter(counts, turn):
    turned = counts[turn % len(counts):] + counts[: turn % len(counts)]
    a, b = arrivals.cycle(counts), arrivals.cycle(turned)
    if a is None:
        assert b is None
    else:
        assert (a.resultant, a.p_cycle) == pytest.approx((b.resultant, b.p_cycle), abs=1e-9)


def test_seconds():
    rng = np.random.default_rng(8)
    fine = np.bincount(rng.integers(0, 60, 12_000), minlength=60).tolist()
    found = arrivals.seconds(fine)
    assert found.fit.p_even < 0.05 and found.p_rounded > 0.01
    assert found.on_the_minute.estimate == fine[0] / 12_000
    assert found.p_rounded == pytest.approx(
        stats.binomtest(fine[0], 12_000, 1 / 60, alternative="greater").pvalue)
    rounded = [fine[0] + 900, *fine[1:]]
    assert arrivals.seconds(rounded).p_rounded < 1e-10
    assert arrivals.seconds([0] * 60) is None
    with pytest.raises(ValueError):
        arrivals.seconds([1] * 59)
