"""Maximum likelihood of models whose parameters are all above 0, on the scale of their logarithms.

There a positive parameter has no edge to run into, its likelihood is nearer to a normal shape, and
intervals stay above 0. Newton's method with the exact Hessian (in a trust region, so that it also
goes uphill where the likelihood is not concave) ends at the maximum to the last digits: the same
counts give the same parameters wherever they come from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from scipy import linalg, optimize, special

from analysis.stats._common import Record, Values, check_fraction
from analysis.stats.intervals import Interval

# A parameter this many times larger or smaller than the data suggest is on its way to no limit.
RUNAWAY = 1e5
STEP = 1e-4  # of a logarithm, for numeric derivatives

# Log-likelihood, its gradient (k,) and its Hessian (k, k) at natural parameters (k,).
Likelihood = Callable[[Values], tuple[float, Values, Values]]


class NoFit(ValueError):
    """A model that these data do not determine; the message says why."""


class Fitted(Record):
    """What the fitted models share. The parameters are the first fields, in the order of `NAMES`.

    A model also has `covariance`, of the estimates of the parameters' logarithms, shape (k, k).
    """

    __slots__ = ()
    NAMES: ClassVar[tuple[str, ...]]

    @property
    def logs(self) -> Values:
        """Logarithms of the parameters, shape (k,)."""
        return np.log([getattr(self, name) for name in self.NAMES])

    def at(self, logs: Values) -> Self:
        """The model with other parameters, given by their logarithms."""
        return replace(self, **dict(zip(self.NAMES, map(float, np.exp(logs)), strict=True)))

    def standard_error(self, name: str) -> float:
        """Of a parameter, from the observed information by the delta method."""
        i = self.NAMES.index(name)
        return float(getattr(self, name) * np.sqrt(self.covariance[i, i]))

    def interval(self, name: str, confidence: float = 0.95) -> Interval:
        """Of a parameter: normal on the scale of its logarithm (Wald)."""
        check_fraction(confidence, "confidence")
        i, value = self.NAMES.index(name), getattr(self, name)
        reach = np.exp(special.ndtri((1 + confidence) / 2) * np.sqrt(self.covariance[i, i]))
        return Interval(value, float(value / reach), float(value * reach), confidence, "Wald")

    def sensitivity(self, quantity: Callable[[Self], Values]) -> Values:
        """Derivatives of a quantity by the logarithms of the parameters, by central differences.

        Args:
            quantity: What is computed from a model, of any shape.

        Returns:
            Shape (..., k). With J this and C the covariance, J C J' is the quantity's variance
            (the delta method).
        """
        logs, columns = self.logs, []
        for step in STEP * np.eye(logs.size):
            above, below = (np.asarray(quantity(self.at(logs + sign * step))) for sign in (1, -1))
            columns.append((above - below) / (2 * STEP))
        return np.stack(columns, axis=-1)


def maximise(likelihood: Likelihood, start: Values, names: tuple[str, ...], n: int) -> tuple[
    Values, float, Values
]:
    """The maximum of a likelihood.

    Args:
        likelihood: See `Likelihood`.
        start: Parameters to start from, shape (k,), of the right size.
        names: What they are called, for the error.
        n: Number of observations, which scales the log-likelihood.

    Returns:
        The parameters (k,), the log-likelihood, and the covariance (k, k) of the estimates of the
        parameters' logarithms: the inverse of the observed information.

    Raises:
        NoFit: There is no maximum near the start, or it is flat.
    """
    origin = np.log(start)
    seen: dict[bytes, tuple[float, Values, Values]] = {}

    def mean_loss(logs: Values) -> tuple[float, Values, Values]:
        key = logs.tobytes()
        if key not in seen:
            away = logs - origin
            if np.abs(away).max() > np.log(RUNAWAY):
                moved = [
                    f"{name} {'grows without limit' if far > 0 else 'goes to 0'}"
                    for name, far in zip(names, away, strict=True)
                    if abs(far) > 0.8 * np.log(RUNAWAY)
                ]
                raise NoFit(
                    f"the likelihood has no maximum ({' and '.join(moved)}), as where customers "
                    "hardly differ"
                )
            theta = np.exp(logs)
            value, gradient, hessian = likelihood(theta)
            hessian = hessian * np.outer(theta, theta) + np.diag(gradient * theta)
            seen.clear()  # only the last point is asked for again
            seen[key] = (-value / n, -gradient * theta / n, -hessian / n)
        return seen[key]

    found = optimize.minimize(
        lambda logs: mean_loss(logs)[0], origin, method="trust-exact",
        jac=lambda logs: mean_loss(logs)[1], hess=lambda logs: mean_loss(logs)[2],
        options={"gtol": 1e-7, "maxiter": 500, "max_trust_radius": 2.0},
    )
    logs = found.x
    # From here each step doubles the correct digits.
    for _ in range(3):
        _, gradient, hessian = mean_loss(logs)
        try:
            factor = linalg.cho_factor(hessian)
        except linalg.LinAlgError:
            raise NoFit("the likelihood is flat: too few customers tell the parameters") from None
        step = linalg.cho_solve(factor, gradient)
        if not np.abs(step).max() < 0.1:
            raise NoFit("the likelihood is flat: too few customers tell the parameters")
        logs = logs - step
    loss, _, hessian = mean_loss(logs)
    covariance = linalg.inv(hessian) / n
    if not (np.diag(covariance) > 0).all():
        raise NoFit("the likelihood is flat: too few customers tell the parameters")
    return np.exp(logs), -loss * n, (covariance + covariance.T) / 2
