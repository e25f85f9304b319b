"""Tests that are looked at more than once while the data come in.

After look k a test has gathered the information I_k (one over the variance of the estimate) and
has the statistic Z_k. Throughout, Z_1, Z_2, ... are jointly normal with mean effect x sqrt(I_k) and
correlation sqrt(I_j / I_k) for j < k: the canonical distribution (Jennison & Turnbull 2000, chapter
3), which holds, exactly or for large samples, for all the usual estimates. With information as a
fraction of the last look's, the effect is the mean of the last Z.

The probabilities are exact up to rounding: the density of Z among the tests still running is
carried from look to look by numerical integration (Armitage, McPherson & Rowe 1969).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize, special

from analysis.stats._common import Record, Values, as_sample, check_count, check_fraction
from analysis.stats.intervals import Interval

Spending = Literal["O'Brien-Fleming", "Pocock"]
FAR = 9.0  # standard errors beyond which a normal distribution has nothing left (1e-19)
NEVER = 1e-12  # error per side that is too little to spend: the boundary is infinite there
LEAST_STEP = 1e-5  # least information that a look adds, as a share of what is there


@dataclass(frozen=True, slots=True)
class Boundary(Record):
    """When a two-sided test stops early: at look k, if |Z_k| is at least z[k].

    Attributes:
        spending: Name of the function that spends the error.
        alpha: Error rate of all looks together, both sides.
        information: Of each look, as a fraction of the last one's.
        z: The boundary; infinite where the look cannot stop the test.
        spent: Error spent up to each look, both sides.
    """

    spending: str
    alpha: float
    information: tuple[float, ...]
    z: tuple[float, ...]
    spent: tuple[float, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row a look, with `p_value`: the two-sided p-value that the boundary asks for."""
        z = np.array(self.z)
        return pd.DataFrame({
            "look": np.arange(1, z.size + 1),
            "information": self.information,
            "z": z,
            "p_value": 2 * special.ndtr(-z),
            "spent": self.spent,
        })


@dataclass(frozen=True, slots=True)
class SequentialPlan(Record):
    """What a boundary costs and saves, beside a test with one look, of equal level and power.

    Attributes:
        looks: Number of looks.
        alpha: Error rate, both sides.
        power: Chance to stop for the effect that the test is planned for.
        effect: That effect, in standard errors at the last look.
        inflation: Largest size, as a multiple of the size with one look.
        expected_none: Mean size if there is no effect, as such a multiple.
        expected_effect: Mean size under the planned effect.
    """

    looks: int
    alpha: float
    power: float
    effect: float
    inflation: float
    expected_none: float
    expected_effect: float


@dataclass(frozen=True, slots=True)
class Stopped(Record):
    """What a sequential test shows once it has stopped.

    Attributes:
        look: The look at which it stopped, from 1.
        crossed: Whether the boundary was reached; if not, it was the last look.
        z: The statistic there.
        p_value: Two-sided, allowing for the looks before.
        interval: Of the effect, allowing for them too; the estimate is median-unbiased.
        naive: The interval as if this had been the only look.
    """

    look: int
    crossed: bool
    z: float
    p_value: float
    interval: Interval
    naive: Interval


def crossings(z: ArrayLike, information: ArrayLike, effect: float = 0.0) -> Values:
    """Probability that a test stops at each look, below and above.

    Args:
        z: The boundary for |Z| at each look, above 0; may be infinite.
        information: At each look, ascending; see the module.
        effect: Mean of Z_k over sqrt(information).

    Returns:
        Shape (looks, 2): first reaches -z[k], first reaches z[k]. What is missing to 1 is the
        probability that no look stops the test.

    Raises:
        ValueError: Lengths that differ, boundaries not above 0, or information that does not rise
            by at least one part in 100,000 at every look.
    """
    known = _information(information)
    bounds = np.asarray(z, dtype=float)
    if bounds.shape != known.shape or not (bounds > 0).all():
        raise ValueError("z: must have one value above 0 for each look")
    walk = _Walk(known, effect)
    stops = []
    for bound in bounds:
        stops.append(walk.tails(bound))
        walk.step(bound)
    return np.array(stops)


def peeking(looks: int, alpha: float = 0.05) -> float:
    """Chance that one of so many equally spaced looks at level alpha is significant by chance.

    Raises:
        ValueError: No look, or alpha out of range.
    """
    check_count(looks, "looks")
    z = fixed_bound(alpha)
    return float(crossings(np.full(looks, z), np.arange(1, looks + 1)).sum())


def fixed_bound(alpha: float = 0.05) -> float:
    """The two-sided critical value of a test with one look: 1.96 at 5%.

    Raises:
        ValueError: alpha out of range.
    """
    check_fraction(alpha, "alpha")
    return float(-special.ndtri(alpha / 2))


def fixed_effect(alpha: float = 0.05, power: float = 0.8) -> float:
    """The effect that a test with one look finds with this power, in standard errors: 2.80.

    Raises:
        ValueError: alpha out of range, or the power not between alpha and 1.
    """
    if not alpha < power < 1:
        raise ValueError(f"power: must lie between alpha = {alpha} and 1, got {power!r}")
    return fixed_bound(alpha) + float(special.ndtri(power))


def boundary(
    information: ArrayLike, spending: Spending = "O'Brien-Fleming", alpha: float = 0.05
) -> Boundary:
    """The boundary that spends the error as information comes in (Lan & DeMets 1983).

    Neither the number of looks nor their times need to be fixed in advance, as long as they do not
    depend on the results. "O'Brien-Fleming" spends almost nothing early, so that the last look is
    nearly that of an ordinary test; "Pocock" spends evenly.

    Args:
        information: At each look, ascending; at the last one all of the error is spent.
        spending: The function.
        alpha: Error rate of all looks together; either side has half of it.

    Raises:
        ValueError: See `crossings`; an unknown function; alpha out of range.
    """
    check_fraction(alpha, "alpha", below=0.5)
    known = _information(information)
    spend = _spending(spending, alpha / 2)
    fractions = known / known[-1]
    spent = np.array([spend(float(t)) for t in fractions])
    walk, bounds = _Walk(known, 0.0), []
    for share in np.diff(spent, prepend=0.0):
        bound = math.inf if share < NEVER else walk.bound(float(share))
        walk.step(bound)
        bounds.append(bound)
    return Boundary(spending, alpha, tuple(fractions.tolist()), tuple(bounds),
                    tuple((2 * spent).tolist()))


def plan(design: Boundary, power: float = 0.8) -> SequentialPlan:
    """Size of a sequential test, against a test with one look of the same power.

    Raises:
        ValueError: The power is not between alpha and 1.
    """
    alone = fixed_effect(design.alpha, power)

    def missing(effect: float) -> float:
        return float(crossings(design.z, design.information, effect)[:, 1].sum()) - power

    effect = float(optimize.brentq(missing, 0.0, 20.0, xtol=1e-10))
    inflation = (effect / alone) ** 2
    none, planned = (
        inflation * expected_information(design, at) for at in (0.0, effect))
    return SequentialPlan(
        looks=len(design.z), alpha=design.alpha, power=power, effect=effect,
        inflation=inflation, expected_none=none, expected_effect=planned)


def expected_information(design: Boundary, effect: float) -> float:
    """Mean information when the test stops, as a fraction of the last look's."""
    stops = crossings(design.z, design.information, effect).sum(axis=1)
    stops[-1] += 1 - stops.sum()  # whoever has not stopped ends at the last look
    return float(stops @ np.array(design.information))


def stopped(design: Boundary, z: ArrayLike, information: float = 1.0) -> Stopped:
    """What the test shows when it stops: at the first look beyond the boundary, else at the last.

    Results are ordered by how early they crossed, then by Z (stage-wise ordering: Fairbanks &
    Madsen 1982; Tsiatis, Rosner & Mehta 1984), so p is at most alpha exactly if the boundary
    was reached, and the interval at 1 - alpha leaves out 0 in the same cases.

    Args:
        design: The boundary.
        z: The statistic at each look; those after the stop play no role.
        information: That of the last look; it sets the unit of the effect.

    Raises:
        ValueError: Not one finite value for each look, or information not above 0.
    """
    seen = as_sample(z, "z")
    if seen.size != len(design.z):
        raise ValueError(f"z: needs a value for each of the {len(design.z)} looks, got {seen.size}")
    if not 0 < information < math.inf:
        raise ValueError(f"information: must be finite and above 0, got {information!r}")
    beyond = np.flatnonzero(np.abs(seen) >= np.array(design.z))
    at = int(beyond[0]) if beyond.size else seen.size - 1
    value, side = abs(float(seen[at])), math.copysign(1.0, seen[at])
    # At the look of the stop, "at least as extreme" begins at Z itself; a Z of 0 has no place as a
    # boundary, but stands between the two sides.
    known = np.array(design.information[: at + 1])
    bounds = np.array([*design.z[:at], max(value, 1e-12)])

    def above(effect: float) -> float:
        return float(crossings(bounds, known, effect)[:, 1].sum())

    reach = FAR / math.sqrt(known[0]) + value / math.sqrt(known[-1])

    def root(probability: float) -> float:
        found = optimize.brentq(lambda effect: above(effect) - probability, -reach, reach)
        return float(found) / math.sqrt(information)

    tail = design.alpha / 2
    low, middle, high = (root(probability) for probability in (tail, 0.5, 1 - tail))
    error = 1 / math.sqrt(known[-1] * information)
    margin = fixed_bound(design.alpha) * error
    naive = float(seen[at]) * error
    if side < 0:
        low, middle, high = -high, -middle, -low
    confidence = 1 - design.alpha
    chance = above(0.0)
    return Stopped(
        look=at + 1, crossed=bool(beyond.size), z=float(seen[at]),
        p_value=2 * min(chance, 1 - chance),
        interval=Interval(middle, low, high, confidence, "stage-wise ordering"),
        naive=Interval(naive, naive - margin, naive + margin, confidence, "one look"))


def always_valid(information: ArrayLike, effect_sd: float, alpha: float = 0.05) -> Values:
    """A boundary for |Z| that may be watched after every single observation, without an end.

    The mixture sequential probability ratio test (Robbins 1970; Johari et al. 2022): the
    likelihood ratio of effects that are normal around 0 against no effect exceeds 1 / alpha with
    probability alpha at most, whenever one looks and however long.

    Args:
        information: In absolute terms, above 0.
        effect_sd: Standard deviation of the effects that are to be found soon, in the effect's
            unit.
        alpha: Error rate over all time, both sides.

    Raises:
        ValueError: Values out of range.
    """
    check_fraction(alpha, "alpha")
    known = as_sample(information, "information")
    if not (known > 0).all():
        raise ValueError("information: must be above 0")
    if not 0 < effect_sd < math.inf:
        raise ValueError(f"effect_sd: must be finite and above 0, got {effect_sd!r}")
    ratio = known * effect_sd**2
    return np.sqrt((1 + 1 / ratio) * (np.log1p(ratio) - 2 * math.log(alpha)))


def _spending(name: str, side: float) -> Callable[[float], float]:
    """Error of one side spent by a fraction of the information."""
    if name == "O'Brien-Fleming":
        z = -special.ndtri(side / 2)
        return lambda t: 2 * float(special.ndtr(-z / math.sqrt(t)))
    if name == "Pocock":
        return lambda t: side * math.log1p((math.e - 1) * t)
    raise ValueError(f"spending: must be \"O'Brien-Fleming\" or 'Pocock', got {name!r}")


def _information(information: ArrayLike) -> Values:
    known = as_sample(information, "information")
    steps = np.diff(known, prepend=0.0)
    if not (steps >= LEAST_STEP * known).all() or known[0] <= 0:
        raise ValueError(
            "information: must be above 0 and rise at each look by at least "
            f"{LEAST_STEP:g} of itself"
        )
    return known


class _Walk:
    """The distribution of Z among the tests that no look so far has stopped."""

    def __init__(self, information: Values, effect: float) -> None:
        self.information, self.effect, self.look = information, effect, 0
        # Before the first look: at 0 with information 0.
        self.points, self.mass = np.zeros(1), np.ones(1)

    def _from(self) -> tuple[float, float, float]:
        """Information now and at the next look, and the sd of what comes in between."""
        now = self.information[self.look - 1] if self.look else 0.0
        after = self.information[self.look]
        return now, after, math.sqrt(after - now)

    def tails(self, bound: float) -> tuple[float, float]:
        """Probability that the next look is the first beyond -bound, or beyond bound."""
        now, after, sd = self._from()
        middle = self.points * math.sqrt(now) + self.effect * (after - now)
        edge = bound * math.sqrt(after)
        below = self.mass @ special.ndtr((-edge - middle) / sd)
        return float(below), float(self.mass @ special.ndtr((middle - edge) / sd))

    def bound(self, probability: float) -> float:
        """The boundary that the next look is first to reach with this probability, above."""
        def excess(bound: float) -> float:
            return math.log(max(self.tails(bound)[1], 1e-300) / probability)

        return float(optimize.brentq(excess, 1e-9, 40.0, xtol=1e-12))

    def step(self, bound: float) -> None:
        """Passes the next look; those within +-bound go on."""
        now, after, sd = self._from()
        at = self.effect * math.sqrt(after)
        low, high = max(-bound, at - FAR), min(bound, at + FAR)
        self.look += 1
        if self.look == self.information.size:
            return
        if low >= high:  # the effect is so large that nothing goes on
            self.points, self.mass = np.array([bound]), np.zeros(1)
            return
        # Gauss-Legendre nodes close enough for the narrower of the two kernels around this look.
        narrow = min(sd, math.sqrt(self.information[self.look] - after)) / math.sqrt(after)
        nodes, weights = _legendre(40 + 8 * math.ceil((high - low) / narrow / 4))
        points = low + (high - low) * (nodes + 1) / 2
        middle = self.points * math.sqrt(now) + self.effect * (after - now)
        distance = (points[:, None] * math.sqrt(after) - middle) / sd
        density = np.exp(-(distance**2) / 2) @ self.mass * math.sqrt(after / (2 * math.pi)) / sd
        self.points, self.mass = points, density * weights * (high - low) / 2


@lru_cache(maxsize=512)
def _legendre(n: int) -> tuple[Values, Values]:
    return special.roots_legendre(n)
