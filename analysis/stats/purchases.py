"""How often customers will buy: the BG/NBD model (Fader, Hardie & Lee 2005).

A customer buys at a rate of his own and, after each repeat purchase, may leave for good without
telling anybody. Rates lambda differ as Gamma(r, rate alpha) between customers, the probabilities p
of leaving as Beta(a, b), independently of each other. What has to be known of a customer are three
numbers, in one unit of time: `frequency` x, the repeat purchases; `recency` t_x, when the last of
them was; `age` T, how long the customer has been observed, both since the first purchase.

Customers with the same three numbers are one row with a count, so a million customers cost what
their distinct histories do. Expectations over the unknown probability of leaving are Gauss
quadratures with the Beta density as weight (Golub & Welsch 1969), sums of terms above 0. The closed
forms with a hypergeometric function are 0/0 at a = 1 and overflow for many purchases, and SciPy's
function is infinite where whole-numbered parameters meet a long span.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import linalg, special

from analysis.stats._common import Values, as_sample
from analysis.stats.likelihood import Fitted, Likelihood, NoFit, maximise

_CELLS = 2**18  # of a quadrature, held at once


@dataclass(frozen=True, slots=True)
class BgNbd(Fitted):
    """A fitted BG/NBD model.

    Attributes:
        r: Shape of the rates; the smaller, the more customers differ.
        alpha: Their rate parameter, in units of time: a mean customer buys r / alpha times a unit.
        a, b: Of the probability of leaving after a repeat purchase, a / (a + b) on average.
        log_likelihood: At the maximum.
        customers: Number of customers.
        covariance: Of the logarithms of the four, shape (4, 4).
    """

    NAMES: ClassVar[tuple[str, ...]] = ("r", "alpha", "a", "b")

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customers: int
    covariance: Values = field(repr=False, compare=False)

    def alive(self, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike) -> Values:
        """Probability that a customer has not left yet (Fader, Hardie & Lee 2008).

        Somebody without a repeat purchase has had no occasion to leave: 1.
        """
        x, t_x, age = _arrays(frequency, recency, age)
        log_odds = np.log(self.a / (self.b + np.maximum(x, 1) - 1)) + (self.r + x) * np.log(
            (self.alpha + age) / (self.alpha + t_x)
        )
        return np.where(x > 0, special.expit(-log_odds), 1.0)

    def expected(
        self, span: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Values:
        """Expected purchases in a coming span of time, given the history (equation 10)."""
        return self.alive(frequency, recency, age) * self._while_alive(span, frequency, age)

    def expected_of_new(self, span: ArrayLike) -> Values:
        """Expected repeat purchases in a span from the first purchase on (equation 9)."""
        return self._while_alive(span, 0.0, 0.0)

    def expected_square(
        self, span: ArrayLike, frequency: ArrayLike, recency: ArrayLike, age: ArrayLike
    ) -> Values:
        """Mean square, given the history, of the purchases expected if rate and leaving were known.

        With Y = (1 - exp(-lambda p span)) / p for who has not left and 0 for who has, `expected` is
        the mean of Y over what is unknown of a customer, and this that of Y^2. So this less the
        squared mean is the variance of Y between customers with the same history.
        """
        return self.alive(frequency, recency, age) * self._while_alive(
            span, frequency, age, square=True)

    def _while_alive(
        self, span: ArrayLike, frequency: ArrayLike, age: ArrayLike, square: bool = False
    ) -> Values:
        """Mean of Y, or of Y^2 (see `expected_square`), of customers who have not left.

        Given p, Y^k is averaged over lambda ~ Gamma(r + x, rate alpha + T) in closed form, as a sum
        of terms above 0; then over p ~ Beta(a, b + x).
        """
        span, x, age = np.broadcast_arrays(*_arrays(span, frequency, age))
        form, x, time = x.shape, x.ravel(), (span / (self.alpha + age)).ravel()
        # The integrand falls off like exp(-time x p); so many nodes are exact to ten digits.
        with np.errstate(divide="ignore"):
            nodes = 2 ** np.ceil(np.log2(np.clip(12.5 / np.log1p(2 / time), 16, 512))).astype(int)
        found = np.empty(x.size)
        for count in np.unique(nodes):
            cells = np.flatnonzero(nodes == count)
            distinct, position = np.unique(x[cells], return_inverse=True)
            leaving, weight = self._leaving(distinct, count)
            rows = max(1, _CELLS // count)
            for start in range(0, cells.size, rows):
                part, of = cells[start : start + rows], position[start : start + rows]
                p, shape = leaving[of], self.r + x[part, None]
                moved = p * time[part, None]
                y = -np.expm1(-shape * np.log1p(moved)) / p
                if square:
                    both = np.exp(-shape * np.log1p(2 * moved))
                    y = y**2 - both * np.expm1(-shape * np.log1p(moved**2 / (1 + 2 * moved))) / p**2
                found[part] = np.einsum("ij,ij->i", y, weight[of])
        return found.reshape(form)

    def _leaving(self, x: Values, nodes: int) -> tuple[Values, Values]:
        """Probabilities of leaving after `x` repeat purchases, and their weights, one row an x.

        The nodes and weights of Gauss and Jacobi, from the eigenvalues of the tridiagonal matrix of
        the recurrence of the orthogonal polynomials.
        """
        k, a = np.arange(1, nodes), self.a
        p, weight = np.empty((2, x.size, nodes))
        for i, b in enumerate(self.b + x):
            both = 2 * k + a + b
            diagonal = np.empty(nodes)
            diagonal[0] = (a - b) / (a + b)
            diagonal[1:] = (a - b) * (a + b - 2) / ((both - 2) * both)
            beside = np.empty(nodes - 1)
            beside[0] = 4 * a * b / ((a + b) ** 2 * (a + b + 1))
            n = k[1:]
            beside[1:] = 4 * n * (n + a - 1) * (n + b - 1) * (n + a + b - 2) / (
                (both[1:] - 2) ** 2 * (both[1:] - 1) * (both[1:] - 3))
            place, vectors = linalg.eigh_tridiagonal(diagonal, np.sqrt(beside))
            # Rounding can leave a node at the end itself, where the integrands are level.
            p[i], weight[i] = np.maximum((1 + place) / 2, 1e-15), vectors[0] ** 2
        return p, weight

    def probability(self, count: ArrayLike, span: ArrayLike) -> Values:
        """Probability of so many repeat purchases in a span from the first on (equation 8)."""
        x, span = _arrays(count, span)
        r, a, b = self.r, self.a, self.b
        z = span / (self.alpha + span)
        log_negative_binomial = (
            special.gammaln(r + x) - special.gammaln(r) - special.gammaln(x + 1)
            + r * np.log1p(-z) + special.xlogy(x, z)
        )
        stays = special.betaln(a, b + x) - special.betaln(a, b)
        after = np.maximum(x, 1)
        leaves = np.exp(special.betaln(a + 1, b + after - 1) - special.betaln(a, b))
        more = special.betainc(after, r, z)  # so many or more, had nobody left
        return np.exp(stays + log_negative_binomial) + np.where(x > 0, leaves * more, 0.0)


def bg_nbd(
    frequency: ArrayLike, recency: ArrayLike, age: ArrayLike, customers: ArrayLike | None = None
) -> BgNbd:
    """Fits the model by maximum likelihood.

    Args:
        frequency, recency, age: Of each distinct history, see the module; shape (k,).
        customers: How many customers have it; None: one each.

    Raises:
        NoFit: Nobody bought again, or the likelihood has no maximum: rates that do not differ
            (r and alpha without limit), nobody leaves (a goes to 0), and so on.
        ValueError: Lengths that differ, numbers of purchases or customers that are not whole, a
            recency above the age, or above 0 without a repeat purchase.
    """
    x, t_x, age, n = _histories(frequency, recency, age, customers)
    total = int(n.sum())
    if not (n * (x > 0)).sum():
        raise NoFit("nobody bought again")
    start = np.array([1.0, float(n @ age) / float(n @ x), 1.0, 3.0])
    likelihood = _likelihood(x, t_x, age, n)
    theta, value, covariance = maximise(likelihood, start, BgNbd.NAMES, total)
    r, alpha, a, b = map(float, theta)
    return BgNbd(r, alpha, a, b, value, total, covariance)


def _likelihood(x: Values, t_x: Values, age: Values, n: Values) -> Likelihood:
    """The log-likelihood of r, alpha, a, b (equation 6), with gradient and Hessian."""
    total = n.sum()
    again = x > 0
    ages, weights_never = age[~again], n[~again]
    x_again, t_again, age_again, n_again = x[again], t_x[again], age[again], n[again]
    # What depends on the number of purchases alone is summed over its distinct values.
    counts, position = np.unique(x, return_inverse=True)
    times = np.bincount(position, n, counts.size)

    def likelihood(theta: Values) -> tuple[float, Values, Values]:
        r, alpha, a, b = theta
        value = times @ (
            special.gammaln(r + counts) - special.gammaln(r) + r * np.log(alpha)
            + special.betaln(a, b + counts) - special.betaln(a, b)
        )
        ab, abx = (special.digamma(a + b), special.digamma(a + b + counts))
        gradient = np.array([
            times @ (special.digamma(r + counts) - special.digamma(r) + np.log(alpha)),
            total * r / alpha,
            times @ (ab - abx),
            times @ (ab - abx + special.digamma(b + counts) - special.digamma(b)),
        ])
        both = times @ (_trigamma(a + b) - _trigamma(a + b + counts))
        hessian = np.zeros((4, 4))
        hessian[0, 0] = times @ (_trigamma(r + counts) - _trigamma(r))
        hessian[0, 1] = hessian[1, 0] = total / alpha
        hessian[1, 1] = -total * r / alpha**2
        hessian[2:, 2:] = both
        hessian[3, 3] += times @ (_trigamma(b + counts) - _trigamma(b))

        def still_here(x: Values, n: Values, upto: Values) -> None:
            """Adds n times the term -(r + x) log(alpha + upto)."""
            nonlocal value
            logs, inverse = np.log(alpha + upto), 1 / (alpha + upto)
            value -= n @ ((r + x) * logs)
            gradient[:2] -= n @ logs, n @ ((r + x) * inverse)
            hessian[0, 1] -= n @ inverse
            hessian[1, 0] -= n @ inverse
            hessian[1, 1] += n @ ((r + x) * inverse**2)

        still_here(0.0, weights_never, ages)
        # Who bought again is either still here (silent since t_x) or left at t_x, by log odds.
        stayed, left = np.log(alpha + age_again), np.log(alpha + t_again)
        odds = np.log(a) - np.log(b + x_again - 1) + (r + x_again) * (stayed - left)
        gone = special.expit(odds)
        value += n_again @ np.logaddexp(0.0, odds)
        still_here(x_again, n_again, age_again)
        by = np.column_stack([  # derivatives of the log odds
            stayed - left,
            (r + x_again) * (1 / (alpha + age_again) - 1 / (alpha + t_again)),
            np.full(x_again.size, 1 / a),
            -1 / (b + x_again - 1),
        ])
        weight = n_again * gone
        gradient += weight @ by
        hessian += (by * (weight * (1 - gone))[:, None]).T @ by
        cross = weight @ (1 / (alpha + age_again) - 1 / (alpha + t_again))
        hessian[0, 1] += cross
        hessian[1, 0] += cross
        hessian[1, 1] += weight @ (
            (r + x_again) * (1 / (alpha + t_again) ** 2 - 1 / (alpha + age_again) ** 2)
        )
        hessian[2, 2] -= weight.sum() / a**2
        hessian[3, 3] += weight @ (1 / (b + x_again - 1) ** 2)
        return float(value), gradient, hessian

    return likelihood


def _histories(frequency, recency, age, customers) -> tuple[Values, Values, Values, Values]:
    x, t_x, age = (
        as_sample(values, name)
        for values, name in ((frequency, "frequency"), (recency, "recency"), (age, "age"))
    )
    n = np.ones(x.size) if customers is None else as_sample(customers, "customers")
    if not x.size == t_x.size == age.size == n.size:
        raise ValueError("frequency, recency, age, customers: must have one length")
    for values, name, least in ((x, "frequency", 0), (n, "customers", 1)):
        if (values != np.floor(values)).any() or values.min() < least:
            raise ValueError(f"{name}: must hold whole numbers of at least {least}")
    if (t_x < 0).any() or (t_x > age).any():
        raise ValueError("recency: must lie between 0 and the age")
    if ((x == 0) & (t_x > 0)).any():
        raise ValueError("recency: must be 0 without a repeat purchase")
    return x, t_x, age, n


def _arrays(*values: ArrayLike) -> list[NDArray[np.float64]]:
    return [np.asarray(value, dtype=float) for value in values]


def _trigamma(values: ArrayLike) -> Values:
    return special.polygamma(1, values)
