"""The beta-binomial model against closed forms, Fisher's test, simulation and a published case."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from analysis.stats import bayes
from analysis.stats.bayes import Beta

betas = st.builds(Beta, st.floats(0.5, 2e3), st.floats(0.5, 2e3))
least_one = st.builds(Beta, st.floats(1, 2e3), st.floats(1, 2e3))


def test_the_published_case_of_placenta_previa():
    # Gelman et al. (2013), Bayesian Data Analysis, section 2.4: 437 girls among 980 births.
    girls = Beta(1, 1).after(437, 980)
    assert girls.mean == pytest.approx(0.446, abs=5e-4)
    assert math.sqrt(girls.variance) == pytest.approx(0.016, abs=5e-4)
    interval = girls.interval()
    assert (interval.low, interval.high) == pytest.approx((0.415, 0.477), abs=5e-4)


def test_successes_without_a_failure_leave_the_prior_s_share_of_failures():
    assert Beta(0.1, 0.1).after(10**9, 10**9).failures == 0.1


def counted(a: Beta, b: Beta) -> float:
    """P(b > a) for whole parameters, as a finite sum of exact fractions (Miller 2015)."""
    total = Fraction(0)

    def factorial_beta(x: int, y: int) -> Fraction:
        return Fraction(math.factorial(x - 1) * math.factorial(y - 1), math.factorial(x + y - 1))

    aa, ab, ba, bb = (int(v) for v in (a.successes, a.failures, b.successes, b.failures))
    for i in range(ba):
        total += factorial_beta(aa + i, ab + bb) / (
            (bb + i) * factorial_beta(1 + i, bb) * factorial_beta(aa, ab))
    return float(total)


@pytest.mark.parametrize(
    ("a", "b"),
    [((1, 1), (1, 1)), ((1, 11), (1, 8)), ((13, 88), (20, 90)), ((121, 881), (146, 856)),
     ((3, 4), (40, 8)), ((196, 1066), (235, 1010))],
)
def test_the_probability_to_be_better_equals_the_finite_sum(a, b):
    first, second = Beta(*a), Beta(*b)
    assert bayes.exceeds(first, second) == pytest.approx(counted(first, second), rel=1e-11)


@pytest.mark.parametrize(
    ("control", "test"),
    [((3, 20), (9, 25)), ((195, 1260), (234, 1243)), ((5, 900_000), (9, 800_000))],
)
def test_with_opposite_priors_it_is_fishers_exact_p(control, test):
    # Altham (1969): the one-sided exact p is a posterior probability, with one success more for
    # the control group and one failure more for the other.
    (x, n), (y, m) = control, test
    p = stats.fisher_exact([[x, n - x], [y, m - y]], "less").pvalue
    assert 1 - bayes.exceeds(Beta(x + 1, n - x), Beta(y, m - y + 1)) == pytest.approx(p, rel=1e-8)


@pytest.mark.parametrize(
    ("a", "b", "difference", "ratio"),
    [((1, 11), (1, 8), 0.01, 1.0), ((1, 11), (1, 8), -0.01, 1.0), ((0.5, 11), (1, 8), 0.01, 1.2),
     ((1, 1001), (1, 5), 0.03, 1.0), ((196, 1066), (235, 1010), 0.0, 1.2),
     ((3, 4), (4, 8), 0.3, 0.5), ((1, 101), (1, 51), 0.0, 3.0)],
)
def test_any_margin_equals_adaptive_quadrature(a, b, difference, ratio):
    first, second = stats.beta(*a), stats.beta(*b)

    def integrand(x):
        return first.pdf(x) * second.sf(ratio * x + difference)

    ends = sorted({0.0, 1.0, *np.clip([-difference / ratio, (1 - difference) / ratio], 0, 1),
                   *first.ppf([1e-9, 0.5, 1 - 1e-9])})
    total = sum(integrate.quad(integrand, *pair, epsabs=1e-13, limit=400)[0]
                for pair in pairwise(ends))
    assert bayes.exceeds(Beta(*a), Beta(*b), difference, ratio) == pytest.approx(total, abs=1e-9)


@settings(max_examples=60)
@given(betas, betas)
def test_the_two_sides_add_up(a, b):
    assert bayes.exceeds(a, b) + bayes.exceeds(b, a) == pytest.approx(1, abs=1e-9)
    # The two losses differ by the difference of the means, whichever is better.
    gain = bayes.expected_loss(a, b) - bayes.expected_loss(b, a)
    assert gain == pytest.approx(b.mean - a.mean, abs=1e-9)
    # Failures for successes turns everything around.
    mirrored = Beta(a.failures, a.successes), Beta(b.failures, b.successes)
    assert bayes.exceeds(*mirrored) == pytest.approx(bayes.exceeds(b, a), abs=1e-9)
    assert bayes.difference(*mirrored).low == pytest.approx(-bayes.difference(a, b).high, abs=1e-8)


@settings(max_examples=30)
@given(betas, betas, st.floats(0.5, 0.999))
def test_intervals_hold_what_they_say(a, b, confidence):
    tail = (1 - confidence) / 2
    gap, lift = bayes.difference(a, b, confidence), bayes.lift(a, b, confidence)
    assert bayes.exceeds(a, b, difference=gap.low) == pytest.approx(1 - tail, abs=1e-7)
    assert bayes.exceeds(a, b, difference=gap.high) == pytest.approx(tail, abs=1e-7)
    assert bayes.exceeds(a, b, ratio=1 + lift.low) == pytest.approx(1 - tail, abs=1e-7)
    assert bayes.exceeds(a, b, ratio=1 + lift.high) == pytest.approx(tail, abs=1e-7)
    assert bayes.exceeds(a, b, ratio=1 + lift.estimate) == pytest.approx(0.5, abs=1e-7)


@settings(max_examples=15)
@given(least_one, least_one)
def test_the_density_of_the_lift_adds_up(a, b):
    lift = bayes.lift(a, b, 0.9)
    ratios = np.geomspace(1 + lift.low, 1 + lift.high, 601)
    logs, density = np.log(ratios), bayes.lift_density(a, b, ratios - 1)
    assert integrate.simpson(density * ratios, logs) == pytest.approx(0.9, abs=1e-3)


@pytest.mark.parametrize(
    ("a", "b"),
    [((196, 1066), (235, 1010)), ((1, 1001), (3, 997)), ((1, 1), (30, 2)), ((2, 3), (4e6, 6e6))],
)
def test_draws_agree(a, b):
    rng, n = np.random.default_rng(2015), 400_000
    x, y = rng.beta(*a, n), rng.beta(*b, n)
    first, second = Beta(*a), Beta(*b)
    p = bayes.exceeds(first, second)
    assert (y > x).mean() == pytest.approx(p, abs=4.5 * math.sqrt(p * (1 - p) / n) + 1e-6)
    lost = np.maximum(x - y, 0)
    assert bayes.expected_loss(second, first) == pytest.approx(
        lost.mean(), abs=4.5 * lost.std() / math.sqrt(n))
    gap = bayes.difference(first, second)
    assert ((y - x > gap.low) & (y - x < gap.high)).mean() == pytest.approx(0.95, abs=0.0016)


def test_millions_of_users_behave_as_the_normal_distribution():
    a, b = Beta(1, 1).after(1_000_000, 6_000_000), Beta(1, 1).after(1_001_500, 6_000_000)
    error = math.sqrt(a.variance + b.variance)
    z = (b.mean - a.mean) / error
    assert bayes.exceeds(a, b) == pytest.approx(stats.norm.cdf(z), abs=1e-6)
    loss = error * (stats.norm.pdf(z) - z * stats.norm.sf(z))
    assert bayes.expected_loss(b, a) == pytest.approx(loss, rel=1e-3)
    assert bayes.difference(a, b).low == pytest.approx(b.mean - a.mean - 1.959964 * error, rel=1e-3)


def test_no_success_at_all_is_no_obstacle():
    a, b = Beta(1, 1).after(0, 1_000), Beta(1, 1).after(0, 2_000)
    # P(b > a) of two of them is the share of a's failures and one in the sum.
    assert bayes.exceeds(a, b) == pytest.approx(1001 / 3002, abs=1e-12)
    assert a.interval().low > 0
    lift = bayes.lift(a, b)
    assert -1 < lift.low < lift.estimate < 0 < lift.high < math.inf


def test_what_is_true_lies_evenly_in_the_posterior():
    # Simulation-based calibration (Cook, Gelman & Rubin 2006): with truths drawn from the prior,
    # the posterior probability of less than the truth is uniform.
    rng, prior, runs = np.random.default_rng(2006), Beta(3.0, 12.0), 1_500
    ranks = {"control": [], "difference": [], "lift": []}
    covered = 0
    for _ in range(runs):
        p, q = rng.beta(prior.successes, prior.failures, 2)
        n, m = rng.integers(1, 200, 2)
        a = prior.after(int(rng.binomial(n, p)), int(n))
        b = prior.after(int(rng.binomial(m, q)), int(m))
        ranks["control"].append(a.below(p))
        ranks["difference"].append(bayes.exceeds(a, b, difference=q - p))
        ranks["lift"].append(bayes.exceeds(a, b, ratio=q / p))
        covered += a.interval().contains(p)
    for name, found in ranks.items():
        assert stats.kstest(found, "uniform").pvalue > 0.001, name
    assert covered / runs == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / runs))


def test_a_prior_of_the_baseline_is_worth_its_weight():
    prior = bayes.baseline_prior(0.15, 200)
    assert (prior.mean, prior.successes + prior.failures) == pytest.approx((0.15, 200))
    x = np.linspace(0.01, 0.99, 25)
    np.testing.assert_allclose(prior.density(x), stats.beta(30, 170).pdf(x), rtol=1e-9)
    np.testing.assert_allclose(prior.below(x) + prior.above(x), 1)
    assert prior.below(-0.5) == 0 and prior.above(1.5) == 0
    assert special.betainc(30, 170, 0.2) == pytest.approx(prior.below(0.2))


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: Beta(0, 1), "successes: must be finite and at least 0.1"),
        (lambda: Beta(1, math.inf), "failures: must be finite and at least 0.1"),
        (lambda: Beta(1, 1).after(3, 2), "successes: must not exceed n = 2"),
        (lambda: Beta(1, 1).after(-1, 2), "successes: must be a whole number"),
        (lambda: Beta(1, 1).after(1, 2.5), "n: must be a whole number"),
        (lambda: Beta(1, 1).interval(1.0), "confidence: must lie strictly"),
        (lambda: bayes.exceeds(Beta(1, 1), Beta(1, 1), ratio=0), "ratio: must be finite"),
        (lambda: bayes.difference(Beta(1, 1), Beta(1, 1), 2), "confidence: must lie strictly"),
        (lambda: bayes.lift_density(Beta(1, 0.5), Beta(1, 1), [0.1]), "parameters of at least 1"),
        (lambda: bayes.baseline_prior(0, 10), "share: must lie strictly"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
