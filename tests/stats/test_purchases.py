"""BG/NBD and Gamma-Gamma: published parameters, lifetimes, known truth, numeric integrals."""

from __future__ import annotations

import importlib.resources

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifetimes import BetaGeoFitter, GammaGammaFitter
from scipy import integrate, optimize, special, stats

from analysis.stats import purchases, spending
from analysis.stats.likelihood import NoFit
from analysis.stats.purchases import BgNbd, bg_nbd
from analysis.stats.spending import gamma_gamma, independence

BG_WORLDS = [(0.8, 18.0, 0.7, 2.2), (0.3, 2.0, 3.0, 1.0), (2.0, 6.0, 1.5, 4.0)]
VALUES = {"p": 4.0, "q": 6.0, "gamma": 90.0}


def model(r, alpha, a, b):
    return BgNbd(r, alpha, a, b, 0.0, 1, np.eye(4))


def simulated(n, r, alpha, a, b, rng, longest=78):
    """Histories of customers first seen up to `longest` weeks ago, day by day left out."""
    age = rng.integers(1, longest * 7, n) / 7
    rate, leave = rng.gamma(r, 1 / alpha, n), rng.beta(a, b, n)
    frequency, recency, now = np.zeros(n), np.zeros(n), np.zeros(n)
    active = np.full(n, True)
    while active.any():
        now[active] += rng.exponential(1 / rate[active])
        active &= now <= age
        frequency[active] += 1
        recency[active] = now[active]
        active &= rng.random(n) >= leave
    return frequency, recency, age


def amounts(frequency, p, q, gamma, rng):
    """Mean values of so many purchases."""
    nu = rng.gamma(q, 1 / gamma, len(frequency))
    return rng.gamma(p * frequency, 1 / (nu * frequency))


def dataset(name):
    return pd.read_csv(importlib.resources.files("lifetimes") / "datasets" / name)


@pytest.fixture(scope="module")
def cdnow():
    frame = dataset("cdnow_customers_summary.csv")
    return frame.frequency, frame.recency, frame["T"]


@pytest.fixture(scope="module")
def histories():
    rng = np.random.default_rng(3)
    return [simulated(2_000, *world, rng) for world in BG_WORLDS]


def test_published_parameters_of_cdnow(cdnow):
    """Fader, Hardie & Lee (2005), table 2."""
    fitted = bg_nbd(*cdnow)
    for name, published in (("r", 0.243), ("alpha", 4.414), ("a", 0.793), ("b", 2.426)):
        assert round(getattr(fitted, name), 3) == published
    assert round(fitted.log_likelihood, 1) == -9582.4
    assert fitted.customers == 2357


def test_published_parameters_of_spending():
    """Fader & Hardie (2013): p = 6.25, q = 3.74, gamma = 15.44 (a spreadsheet's maximum)."""
    frame = dataset("cdnow_customers_summary_with_transactions.csv").query("x > 0")
    fitted = gamma_gamma(frame.x, frame.zbar)
    assert (round(fitted.p, 2), round(fitted.q, 2)) == (6.25, 3.74)
    assert fitted.gamma == pytest.approx(15.44, abs=0.01)
    assert fitted.customers == 946


@pytest.mark.parametrize("world", range(len(BG_WORLDS)))
def test_equals_lifetimes_on_simulated_customers(histories, world):
    compare(histories[world])


def test_equals_lifetimes_on_cdnow(cdnow):
    compare(cdnow)


def compare(history):
    mine, other = bg_nbd(*history), BetaGeoFitter().fit(*history)
    for name in mine.NAMES:
        assert getattr(mine, name) == pytest.approx(other.params_[name], rel=1e-3)
        assert mine.standard_error(name) == pytest.approx(other.standard_errors_[name], rel=1e-2)
    later = other.conditional_expected_number_of_purchases_up_to_time(39, *history)
    np.testing.assert_allclose(mine.expected(39, *history), later, atol=1e-3)
    np.testing.assert_allclose(
        mine.alive(*history), other.conditional_probability_alive(*history), atol=1e-3)
    for span in (1, 39, 200):
        ever = other.expected_number_of_purchases_up_to_time(span)
        assert mine.expected_of_new(span) == pytest.approx(ever, abs=1e-3)
    for count in range(6):
        chance = other.probability_of_n_purchases_up_to_time(30, count)
        assert mine.probability(count, 30) == pytest.approx(chance, abs=1e-4)


def test_spending_equals_lifetimes(histories):
    rng = np.random.default_rng(4)
    for frequency, _, _ in histories:
        x = frequency[frequency > 0]
        m = amounts(x, rng=rng, **VALUES)
        mine, other = gamma_gamma(x, m), GammaGammaFitter().fit(x, m)
        for name, called in (("p", "p"), ("q", "q"), ("gamma", "v")):
            assert getattr(mine, name) == pytest.approx(other.params_[called], rel=1e-3)
            assert mine.standard_error(name) == pytest.approx(
                other.standard_errors_[called], rel=1e-2)
        np.testing.assert_allclose(
            mine.expected(x, x * m), other.conditional_expected_average_profit(x, m), rtol=1e-3)


def numeric(function, theta, step=1e-5):
    """Central differences of a function of parameters."""
    columns = []
    for move in np.diag(step * theta):
        columns.append((function(theta + move) - function(theta - move)) / (2 * move.sum()))
    return np.array(columns)


def likelihoods(histories):
    rng = np.random.default_rng(5)
    for history in histories:
        x, t_x, age = (values[:300] for values in history)
        n = rng.integers(1, 5, x.size).astype(float)
        theta = np.exp(rng.normal(0, 0.7, 4))
        yield purchases._likelihood(x, t_x, age, n), theta
        again = x > 0
        m = amounts(x[again], rng=rng, **VALUES)
        yield spending._likelihood(x[again], m, n[again]), np.exp(rng.normal(0, 0.7, 3))


def test_gradient_and_hessian_are_those_of_numeric_differences(histories):
    for likelihood, theta in likelihoods(histories):
        _, gradient, hessian = likelihood(theta)
        differences = numeric(lambda at: likelihood(at)[0], theta)  # noqa: B023
        np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-3)
        differences = numeric(lambda at: likelihood(at)[1], theta)  # noqa: B023
        scale = np.abs(hessian).max()
        np.testing.assert_allclose(hessian, differences, rtol=1e-5, atol=1e-6 * scale)


def test_errors_are_those_of_an_independent_optimiser(histories):
    """A simplex search on a likelihood written anew, and its numeric Hessian."""
    x, t_x, age = histories[0]

    def loss(logs):
        r, alpha, a, b = np.exp(logs)
        never = stats.nbinom.logpmf(0, r, alpha / (alpha + age))  # no purchase in a span of `age`
        k = np.arange(x.max())
        steps = np.log(k + r) + np.log((b + k) / (a + b + k))
        lead = np.append(0.0, np.cumsum(steps))[x.astype(int)]
        base = lead + r * np.log(alpha)
        here = np.exp(base - (r + x) * np.log(alpha + age))
        gone = np.exp(base + np.log(a / (b + x - 1 + (x == 0))) - (r + x) * np.log(alpha + t_x))
        return -np.where(x > 0, np.log(here + gone * (x > 0)), never).sum()

    found = optimize.minimize(
        loss, np.log([0.5, 10, 1, 2]), method="Nelder-Mead",
        options={"xatol": 1e-6, "fatol": 1e-7, "maxiter": 4000, "maxfev": 4000})
    fitted = bg_nbd(x, t_x, age)
    np.testing.assert_allclose(found.x, fitted.logs, atol=1e-3)
    assert -found.fun == pytest.approx(fitted.log_likelihood, abs=1e-4)
    step = 1e-3
    moves = step * np.eye(4)
    hessian = np.array([[
        (loss(fitted.logs + u + v) - loss(fitted.logs + u - v) - loss(fitted.logs - u + v)
         + loss(fitted.logs - u - v)) / (4 * step**2) for u in moves] for v in moves])
    np.testing.assert_allclose(np.linalg.inv(hessian), fitted.covariance, rtol=0.01, atol=1e-5)


def test_counts_are_as_good_as_customers(histories):
    """Histories in days, counted, shuffled: the same model; another unit of time scales alpha."""
    frame = pd.DataFrame(np.transpose(histories[0]), columns=["x", "t_x", "age"])
    frame[["t_x", "age"]] = np.ceil(frame[["t_x", "age"]] / 4)
    rows = bg_nbd(frame.x, frame.t_x, frame.age)
    counted = frame.value_counts().sample(frac=1, random_state=1).reset_index()
    assert len(counted) < 0.5 * len(frame)
    counts = bg_nbd(counted.x, counted.t_x, counted.age, counted["count"])
    np.testing.assert_allclose(counts.logs, rows.logs, rtol=0, atol=1e-10)
    np.testing.assert_allclose(counts.covariance, rows.covariance, rtol=1e-9, atol=1e-12)
    days = bg_nbd(counted.x, 7 * counted.t_x, 7 * counted.age, counted["count"])
    np.testing.assert_allclose(days.logs - np.log([1, 7, 1, 1]), rows.logs, atol=1e-9)
    np.testing.assert_allclose(
        days.expected(365, frame.x, 7 * frame.t_x, 7 * frame.age),
        rows.expected(365 / 7, frame.x, frame.t_x, frame.age), rtol=1e-8)


def test_currency_scales_gamma_alone(histories):
    x = histories[0][0]
    x = x[x > 0]
    m = amounts(x, rng=np.random.default_rng(6), **VALUES)
    dollars, cents = gamma_gamma(x, m), gamma_gamma(x[::-1], 100 * m[::-1])
    np.testing.assert_allclose(cents.logs - np.log([1, 1, 100]), dollars.logs, atol=1e-9)
    np.testing.assert_allclose(cents.covariance, dollars.covariance, rtol=1e-7)


# a = 1 and a + b = 1 (without repeat purchases) are 0/0 in the closed form; many purchases overflow
# the usual one.
@pytest.mark.parametrize("a, b", [
    (0.7, 2.2), (1.0, 2.0), (1.0 + 1e-7, 2.0), (0.4, 0.6), (0.4, 0.3), (3.0, 0.8), (8.0, 20.0)])
def test_expectations_are_the_integrals(a, b):
    """Mean and mean square over rate and leaving, as integrals over the density of leaving."""
    m = model(0.8, 18.0, a, b)
    for x, t_x, age, span in ((0, 0, 0, 52), (0, 0, 70, 52), (3, 20, 30, 8), (900, 77, 78, 52)):
        # The density of the log odds of p, on a grid far finer than it is smooth.
        odds, step = np.linspace(-120, 60, 200_001, retstep=True)
        p = special.expit(odds)
        density = np.exp(a * special.log_expit(odds) + (b + x) * special.log_expit(-odds)
                         - special.betaln(a, b + x)) * step
        shape, moved = m.r + x, p * span / (m.alpha + age)
        once = -np.expm1(-shape * np.log1p(moved)) / p
        twice = np.where(  # as it stands in the books, or its limit where that has lost its digits
            shape * moved < 1e-4, shape * (shape + 1) * moved**2,
            1 - 2 * (1 + moved) ** -shape + (1 + 2 * moved) ** -shape) / p**2
        alive = m.alive(x, t_x, age)
        found = m.expected(span, x, t_x, age), m.expected_square(span, x, t_x, age)
        assert found[0] == pytest.approx(alive * (density @ once), rel=1e-7)
        assert found[1] == pytest.approx(alive * (density @ twice), rel=1e-3)


positive = st.floats(0.05, 20)


@settings(max_examples=60)
@given(positive, positive, positive, positive, st.integers(0, 400), st.floats(0, 1),
       st.floats(0.1, 300), st.floats(0.01, 500))
def test_predictions_keep_to_their_laws(r, alpha, a, b, x, part, age, span):
    m = model(r, alpha, a, b)
    t_x = part * age if x else 0.0
    alive = m.alive(x, t_x, age).item()
    assert 0 <= alive <= 1
    if x:
        # The longer the silence, the less likely.
        assert m.alive(x, 0.9 * t_x, age).item() <= alive + 1e-12
    expected = m.expected([0.5 * span, span], x, t_x, age)
    # Who goes on at a rate known from x purchases in `age` would make so many, had nobody left.
    most = alive * (r + x) / (alpha + age) * span
    assert -1e-8 * most <= expected[0] <= expected[1] * (1 + 1e-8) <= most * (1 + 1e-6)
    square = m.expected_square(span, x, t_x, age).item()
    assert square >= expected[1] ** 2 * (1 - 1e-8)


@pytest.mark.parametrize("world", BG_WORLDS)
def test_probabilities_of_counts_add_up(world):
    m = model(*world)
    counts = np.arange(600)
    for span in (0.0, 3.0, 80.0):
        chance = m.probability(counts, span)
        assert (chance >= 0).all()
        assert chance.sum() == pytest.approx(1, abs=1e-6)
        assert counts @ chance == pytest.approx(m.expected_of_new(span), abs=1e-4)


def test_intervals_hold_the_truth():
    """Of 40 intervals at 95%, fewer than 33 hold by chance about once in 1,000 times."""
    rng, held = np.random.default_rng(8), []
    for _ in range(40):
        x, t_x, age = simulated(1_500, *BG_WORLDS[0], rng)
        fitted = bg_nbd(x, t_x, age)
        truth = dict(zip(fitted.NAMES, BG_WORLDS[0], strict=True))
        found = [fitted.interval(name).contains(value) for name, value in truth.items()]
        again = x > 0
        values = gamma_gamma(x[again], amounts(x[again], rng=rng, **VALUES))
        found += [values.interval(name).contains(value) for name, value in VALUES.items()]
        held.append(found)
    assert np.mean(held, axis=0).min() >= 33 / 40


def test_sensitivity_is_the_delta_method(histories):
    """The error of the mean rate r / alpha from its derivatives is that of the logs' difference."""
    fitted = bg_nbd(*histories[0])
    slope = fitted.sensitivity(lambda m: np.array([m.r / m.alpha, m.a]))
    assert slope.shape == (2, 4)
    rate = fitted.r / fitted.alpha
    np.testing.assert_allclose(slope, [[rate, -rate, 0, 0], [0, 0, fitted.a, 0]], atol=1e-7)


@pytest.mark.parametrize("history, reason", [
    (([0, 0], [0, 0], [3, 4]), "nobody bought again"),
    (([1] * 50 + [0] * 50, [5] * 50 + [0] * 50, [10] * 100), "no maximum"),
    (([1], [1], [2]), "no maximum|flat"),
])
def test_what_no_model_fits_is_said(history, reason):
    with pytest.raises(NoFit, match=reason):
        bg_nbd(*history)


def test_one_rate_for_all_has_no_maximum():
    x = np.random.default_rng(9).poisson(3, 3_000)
    with pytest.raises(NoFit, match=r"r grows without limit and alpha grows"):
        bg_nbd(x, np.where(x > 0, 9.5, 0), np.full(3_000, 10.0))
    with pytest.raises(NoFit, match="spend the same"):
        gamma_gamma([1, 2], [5.0, 5.0])
    with pytest.raises(NoFit, match="nobody paid"):
        gamma_gamma([], [])


@pytest.mark.parametrize("history, message", [
    (([1, 2], [1], [2, 2]), "one length"),
    (([1.5], [1], [2]), "frequency"),
    (([1], [3], [2]), "recency"),
    (([0], [1], [2]), "recency"),
    (([1], [1], [2], [0]), "customers"),
])
def test_impossible_histories_are_refused(history, message):
    with pytest.raises(ValueError, match=message):
        bg_nbd(*history)


def test_impossible_amounts_are_refused():
    with pytest.raises(ValueError, match="mean_value"):
        gamma_gamma([1, 2], [5.0, 0.0])
    with pytest.raises(ValueError, match="frequency"):
        gamma_gamma([1, 0], [5.0, 1.0])


def test_correlation_is_pearsons_with_an_honest_interval():
    """Under the model, with values that vary less the more purchases they are the mean of."""
    rng, held = np.random.default_rng(10), []
    for _ in range(200):
        x = rng.geometric(0.4, 400).astype(float)
        m = amounts(x, rng=rng, **VALUES)
        found = independence(x, m)
        held.append(found.contains(0.0))
    assert found.estimate == pytest.approx(np.corrcoef(x, m)[0, 1])
    # 95% less four standard errors of a share of 200.
    assert np.mean(held) >= 0.88
    counted = independence(np.repeat(x, 2), np.repeat(m, 2))
    doubled = independence(x, m, np.full(400, 2))
    assert (counted.low, counted.high) == pytest.approx((doubled.low, doubled.high))
    assert independence([1, 1], [3.0, 4.0]) is None


def test_expected_value_lies_between_own_and_everybodys_mean():
    m = spending.GammaGamma(4.0, 6.0, 90.0, 0.0, 1, np.eye(3))
    assert m.mean == pytest.approx(72)
    assert m.expected(0, 0.0) == pytest.approx(72)
    own = m.expected([1, 5, 500], [200.0, 1000.0, 100_000.0])
    assert (np.diff(own) > 0).all() and own[0] > 72 and own[2] == pytest.approx(200, rel=1e-2)
    # Posterior of nu: Gamma(p x + q, gamma + spent); the mean value is p / nu.
    nu = stats.gamma(4 * 5 + 6, scale=1 / (90 + 1000.0))
    mean = integrate.quad(lambda v: 4 / v * nu.pdf(v), 0, 1)[0]
    square = integrate.quad(lambda v: (4 / v) ** 2 * nu.pdf(v), 0, 1)[0]
    assert own[1] == pytest.approx(mean, rel=1e-6)
    assert m.expected_square(5) * (90 + 1000) ** 2 == pytest.approx(square, rel=1e-6)
    wild = spending.GammaGamma(4.0, 0.9, 90.0, 0.0, 1, np.eye(3))
    assert wild.mean == np.inf and wild.expected_square(0) == np.inf
