"""Two shares read with Bayes' theorem: the beta-binomial model.

Each group's share of successes has a beta distribution before the data (the prior) and, the beta
being conjugate, again a beta after them (the posterior). Groups are independent. Everything about
two groups, a and b, comes from integrals over the narrower of the two distributions, computed by
Gauss-Legendre quadrature on the log-odds scale, where a beta density is smooth even with no success
at all or with millions: no simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from analysis.stats._common import Record, Values, check_count, check_fraction
from analysis.stats.intervals import Interval

EQUAL_TAILED = "equal-tailed credible interval"
TAIL = 1e-15  # probability on either side of what the quadrature covers
NODES, WEIGHTS = special.roots_legendre(300)


@dataclass(frozen=True, slots=True)
class Beta(Record):
    """A beta distribution of a share, prior or posterior.

    As a prior it is worth `successes + failures` users of whom `successes` succeeded; (1, 1) is the
    uniform distribution, (0.5, 0.5) Jeffreys' prior.

    Attributes:
        successes, failures: The two parameters, often called alpha and beta, at least 0.1 (below
            that nearly all of the distribution lies at 0 or 1).

    Raises:
        ValueError: A parameter is not finite or below 0.1.
    """

    successes: float
    failures: float

    def __post_init__(self) -> None:
        for name in ("successes", "failures"):
            value = getattr(self, name)
            if not 0.1 <= value < math.inf:
                raise ValueError(f"{name}: must be finite and at least 0.1, got {value!r}")

    @property
    def mean(self) -> float:
        """The expected share."""
        return self.successes / (self.successes + self.failures)

    @property
    def variance(self) -> float:
        """The variance of the share."""
        size = self.successes + self.failures
        return self.successes * self.failures / (size**2 * (size + 1))

    def after(self, successes: int, n: int) -> Beta:
        """The posterior once `successes` of `n` have been seen.

        Raises:
            ValueError: Counts that are not whole numbers with 0 <= successes <= n.
        """
        check_count(n, "n", least=0)
        check_count(successes, "successes", least=0)
        if successes > n:
            raise ValueError(f"successes: must not exceed n = {n}, got {successes}")
        return Beta(self.successes + successes, self.failures + (n - successes))

    def interval(self, confidence: float = 0.95) -> Interval:
        """The equal-tailed credible interval around the mean."""
        check_fraction(confidence, "confidence")
        tail = (1 - confidence) / 2
        low = special.betaincinv(self.successes, self.failures, tail)
        high = special.betainccinv(self.successes, self.failures, tail)
        return Interval(self.mean, float(low), float(high), confidence, EQUAL_TAILED)

    def density(self, share: ArrayLike) -> Values:
        """The density at shares strictly between 0 and 1."""
        x = np.asarray(share, dtype=float)
        log = (special.xlogy(self.successes - 1, x) + special.xlog1py(self.failures - 1, -x)
               - special.betaln(self.successes, self.failures))
        return np.exp(log)

    def below(self, share: ArrayLike) -> Values:
        """Probability that the share is at most so large; any number is allowed."""
        return special.betainc(self.successes, self.failures, np.clip(share, 0, 1))

    def above(self, share: ArrayLike) -> Values:
        """Probability that the share is larger than this; any number is allowed."""
        return special.betaincc(self.successes, self.failures, np.clip(share, 0, 1))

    def nodes(self, low: float = 0.0, high: float = 1.0) -> tuple[Values, Values]:
        """Shares and weights for an integral over the part of the distribution within limits."""
        a, b = self.successes, self.failures
        norm = special.betaln(a, b)
        # Quantiles can be too small to tell from 0 (and 1); there the distribution is a power.
        start = _log_odds(float(special.betaincinv(a, b, TAIL)), (math.log(TAIL * a) + norm) / a)
        end = -_log_odds(float(special.betaincinv(b, a, TAIL)), (math.log(TAIL * b) + norm) / b)
        if low > 0:
            start = max(start, float(special.logit(low)))
        if high < 1:
            end = min(end, float(special.logit(high)))
        if start >= end:
            return np.array([0.5]), np.zeros(1)
        y = start + (end - start) * (NODES + 1) / 2
        log = -a * np.logaddexp(0, -y) - b * np.logaddexp(0, y) - norm
        weights = np.exp(log) * WEIGHTS * (end - start) / 2
        if low <= 0 and high >= 1:
            weights /= weights.sum()  # for millions of users the norm has lost some digits
        return special.expit(y), weights


def _log_odds(share: float, log_share: float) -> float:
    return math.log(share) - math.log1p(-share) if share > 1e-290 else log_share


def baseline_prior(share: float, weight: float) -> Beta:
    """A prior that is worth `weight` users with this share of successes.

    Raises:
        ValueError: The share is not within (0, 1), or see `Beta`.
    """
    check_fraction(share, "share")
    return Beta(weight * share, weight * (1 - share))


def exceeds(a: Beta, b: Beta, difference: float = 0.0, ratio: float = 1.0) -> float:
    """Probability that b is larger than ratio x a + difference.

    Raises:
        ValueError: The ratio is not above 0.
    """
    if not 0 < ratio < math.inf:
        raise ValueError(f"ratio: must be finite and above 0, got {ratio!r}")
    # Integrate over the narrower one, where the other one's probability is strictly within 0 and 1.
    if ratio * math.sqrt(a.variance) < math.sqrt(b.variance):
        low, high = -difference / ratio, (1 - difference) / ratio
        shares, weights = a.nodes(low, high)
        within = weights @ b.above(ratio * shares + difference)
        return min(1.0, float(within + a.below(low)))
    low, high = difference, ratio + difference
    shares, weights = b.nodes(low, high)
    within = weights @ a.below((shares - difference) / ratio)
    return min(1.0, float(within + b.above(high)))


def expected_loss(chosen: Beta, other: Beta) -> float:
    """What choosing one of two groups is expected to cost: the mean of max(other - chosen, 0).

    The share of successes that is lost on average over all that may be true, counting 0 where the
    choice is right (Stucchio 2015). Since x times a beta density is the density with one success
    more, it takes two probabilities.
    """
    lost = other.mean * exceeds(chosen, Beta(other.successes + 1, other.failures))
    kept = chosen.mean * exceeds(Beta(chosen.successes + 1, chosen.failures), other)
    return max(0.0, lost - kept)


def difference(a: Beta, b: Beta, confidence: float = 0.95) -> Interval:
    """b - a: its posterior mean and equal-tailed credible interval."""
    low, high = _quantiles(lambda x: exceeds(a, b, difference=x), -1.0, 1.0, confidence)
    return Interval(b.mean - a.mean, low, high, confidence, EQUAL_TAILED)


def lift(a: Beta, b: Beta, confidence: float = 0.95) -> Interval:
    """b / a - 1: its posterior median and equal-tailed credible interval.

    The median, because the mean is infinite where a's share may be 0.
    """
    def above(log_ratio: float) -> float:
        return exceeds(a, b, ratio=math.exp(log_ratio))

    low, high = _quantiles(above, -600.0, 600.0, confidence)
    middle, _ = _quantiles(above, -600.0, 600.0, 0.0)
    return Interval(*(math.expm1(x) for x in (middle, low, high)), confidence, EQUAL_TAILED)


def lift_density(a: Beta, b: Beta, lifts: ArrayLike) -> Values:
    """Density of b / a - 1 at lifts above -1.

    Raises:
        ValueError: A parameter below 1, with which a beta density is infinite at 0 or 1.
    """
    if min(a.successes, a.failures, b.successes, b.failures) < 1:
        raise ValueError("a, b: a density of the lift needs parameters of at least 1")
    found = []
    for ratio in 1 + np.asarray(lifts, dtype=float):
        # As in `exceeds`, over the narrower one, where the other one's density is above 0.
        if ratio * math.sqrt(a.variance) < math.sqrt(b.variance):
            shares, weights = a.nodes(high=1 / ratio)
            found.append(weights @ (shares * b.density(ratio * shares)))
        else:
            shares, weights = b.nodes(high=ratio)
            found.append(weights @ (shares * a.density(shares / ratio)) / ratio**2)
    return np.array(found)


def _quantiles(
    above: Callable[[float], float], low: float, high: float, confidence: float
) -> tuple[float, float]:
    """Where a falling probability passes (1 + confidence) / 2 and (1 - confidence) / 2."""
    if confidence:
        check_fraction(confidence, "confidence")
    ends = []
    for goal in ((1 + confidence) / 2, (1 - confidence) / 2):
        found = optimize.brentq(lambda x, goal=goal: above(x) - goal, low, high, xtol=1e-13)
        ends.append(float(found))
    return ends[0], ends[1]
