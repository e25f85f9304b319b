"""How much a purchase will bring: the Gamma-Gamma model (Fader, Hardie & Lee 2005).

What a customer spends varies from purchase to purchase as Gamma(p, rate nu), and nu between
customers as Gamma(q, rate gamma), independently of how often they buy. A customer's mean so far,
over few purchases, is pulled towards the mean of all, the less the more there are. The likelihood
and the expectations are those of Fader & Hardie (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from analysis.stats._common import Values, as_sample, check_fraction
from analysis.stats.intervals import Interval
from analysis.stats.likelihood import Fitted, Likelihood, NoFit, maximise


@dataclass(frozen=True, slots=True)
class GammaGamma(Fitted):
    """A fitted Gamma-Gamma model.

    Attributes:
        p: Shape of one customer's purchases; the larger, the more they are alike.
        q: Shape between customers; the larger, the more these are alike.
        gamma: Scale, in currency.
        log_likelihood: At the maximum.
        customers: Number of customers.
        covariance: Of the logarithms of the three, shape (3, 3).
    """

    NAMES: ClassVar[tuple[str, ...]] = ("p", "q", "gamma")

    p: float
    q: float
    gamma: float
    log_likelihood: float
    customers: int
    covariance: Values = field(repr=False, compare=False)

    @property
    def mean(self) -> float:
        """Mean value of a purchase over all customers; infinite unless q > 1."""
        return self.p * self.gamma / (self.q - 1) if self.q > 1 else float("inf")

    def expected(self, frequency: ArrayLike, spent: ArrayLike) -> Values:
        """Expected value of a customer's coming purchases.

        Args:
            frequency: Purchases so far whose value counts.
            spent: What they brought together; 0 without any.
        """
        fixed, share = self.expectation(frequency)
        return fixed + share * np.asarray(spent, dtype=float)

    def expectation(self, frequency: ArrayLike) -> tuple[Values, Values]:
        """`expected` as a straight line in what was spent: intercept and slope."""
        below = self.p * np.asarray(frequency, dtype=float) + self.q - 1
        with np.errstate(divide="ignore"):
            weight = np.where(below > 0, self.p / np.abs(below), np.inf)
        return weight * self.gamma, weight

    def expected_square(self, frequency: ArrayLike) -> Values:
        """Of the square of a customer's mean value: the factor of (gamma + spent)^2.

        Infinite unless p frequency + q > 2.
        """
        shape = self.p * np.asarray(frequency, dtype=float) + self.q
        below = (shape - 1) * (shape - 2)
        with np.errstate(divide="ignore"):
            return np.where(shape > 2, self.p**2 / np.abs(below), np.inf)


def gamma_gamma(
    frequency: ArrayLike, mean_value: ArrayLike, customers: ArrayLike | None = None
) -> GammaGamma:
    """Fits the model by maximum likelihood.

    Args:
        frequency: Purchases of each customer, or each group of like ones; at least 1, shape (k,).
        mean_value: Mean value of these purchases, above 0, in currency.
        customers: How many customers each stands for; None: one.

    Raises:
        NoFit: The likelihood has no maximum: all spend the same, a customer's purchases do not
            vary, or customers do not differ.
        ValueError: Lengths that differ, numbers that are not whole, or values not above 0.
    """
    x, m, n = _values(frequency, mean_value, customers)
    if m.min() == m.max():
        raise NoFit("all customers spend the same")
    total = int(n.sum())
    start = np.array([2.0, 3.0, float(n @ m) / total])
    theta, value, covariance = maximise(_likelihood(x, m, n), start, GammaGamma.NAMES, total)
    p, q, gamma = map(float, theta)
    return GammaGamma(p, q, gamma, value, total, covariance)


def _likelihood(x: Values, m: Values, n: Values) -> Likelihood:
    """The log-likelihood of p, q, gamma (Fader & Hardie 2013), with gradient and Hessian."""
    total = n.sum()
    counts, position = np.unique(x, return_inverse=True)
    times = np.bincount(position, n, counts.size)
    spent = x * m
    constant = -float(n @ np.log(m))

    def likelihood(theta: Values) -> tuple[float, Values, Values]:
        p, q, gamma = theta
        shape, log_all, inverse = p * x + q, np.log(gamma + spent), 1 / (gamma + spent)
        value = (
            constant
            + times @ (special.gammaln(p * counts + q) - special.gammaln(p * counts))
            + total * (q * np.log(gamma) - special.gammaln(q))
            + n @ (p * x * np.log(spent) - shape * log_all)
        )
        of_all, of_own = special.digamma(p * counts + q), special.digamma(p * counts)
        gradient = np.array([
            times @ (counts * (of_all - of_own)) + n @ (x * (np.log(spent) - log_all)),
            times @ of_all + total * (np.log(gamma) - special.digamma(q)) - n @ log_all,
            total * q / gamma - n @ (shape * inverse),
        ])
        second, own = (special.polygamma(1, p * counts + q), special.polygamma(1, p * counts))
        hessian = np.empty((3, 3))
        hessian[0, 0] = times @ (counts**2 * (second - own))
        hessian[0, 1] = hessian[1, 0] = times @ (counts * second)
        hessian[1, 1] = times @ second - total * special.polygamma(1, q)
        hessian[0, 2] = hessian[2, 0] = -(n @ (x * inverse))
        hessian[1, 2] = hessian[2, 1] = total / gamma - n @ inverse
        hessian[2, 2] = -total * q / gamma**2 + n @ (shape * inverse**2)
        return float(value), gradient, hessian

    return likelihood


def independence(
    frequency: ArrayLike, mean_value: ArrayLike, customers: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval | None:
    """Correlation of how often and how much: 0 if the model's assumption holds.

    Pearson's, of the two as they are, since under the model the *mean* of a customer's mean value
    is the same at every frequency, while its median and its spread are not. The interval takes no
    distribution for granted: Fisher's transformation, with the error from the sample's fourth
    moments (Steiger & Hakstian 1982).

    Returns:
        None without variation in either.
    """
    check_fraction(confidence, "confidence")
    x, m, n = _values(frequency, mean_value, customers)
    share = n / n.sum()
    if x.min() == x.max() or m.min() == m.max():
        return None
    u, v = ((values - share @ values) for values in (x, m))
    u, v = u / np.sqrt(share @ u**2), v / np.sqrt(share @ v**2)
    r = float(share @ (u * v))
    error = float(np.sqrt(share @ (u * v - r * (u**2 + v**2) / 2) ** 2 / n.sum()))
    centre = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    reach = special.ndtri((1 + confidence) / 2) * error / max(1 - r**2, 1e-12)
    low, high = map(float, np.tanh([centre - reach, centre + reach]))
    return Interval(r, low, high, confidence, "Fisher, distribution-free error")


def _values(frequency, mean_value, customers) -> tuple[Values, Values, Values]:
    x = as_sample(frequency, "frequency", least=0)
    m = as_sample(mean_value, "mean_value", least=0)
    n = np.ones(x.size) if customers is None else as_sample(customers, "customers", least=0)
    if not x.size == m.size == n.size:
        raise ValueError("frequency, mean_value, customers: must have one length")
    if not x.size:
        raise NoFit("nobody paid for what they bought")
    for values, name in ((x, "frequency"), (n, "customers")):
        if (values != np.floor(values)).any() or values.min() < 1:
            raise ValueError(f"{name}: must hold whole numbers of at least 1")
    if not (m > 0).all():
        raise ValueError("mean_value: must be above 0")
    return x, m, n
