"""How large an experiment has to be, what it can see, and with what chance.

Each function leaves out one of size, effect and power (as None) and gets it from the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

from analysis.stats._common import Record, check_count, check_fraction

Sides = Literal["two-sided", "one-sided"]
MOST = 1e12  # customers a group; beyond that the effect is taken as too small to plan for


@dataclass(frozen=True, slots=True)
class Plan(Record):
    """The design of an experiment with two independent groups.

    Attributes:
        n_a, n_b: Sizes of the groups, whole numbers.
        difference: The effect to be seen, b less a, above 0: in the unit of the values, or of
            shares.
        power: Chance of a significant result if the effect is that large. When the size was
            asked for, that of the rounded size, so slightly more than asked for.
        alpha: Significance level.
        alternative: "two-sided", or "one-sided" in the direction of the effect.
        baseline: Mean, or share, in group a; None where it plays no role.
        lift: difference / baseline; None without a baseline or with one of 0.
    """

    n_a: int
    n_b: int
    difference: float
    power: float
    alpha: float
    alternative: str
    baseline: float | None = None
    lift: float | None = None


def means(
    *,
    sd: float,
    difference: float | None = None,
    n_a: int | None = None,
    power: float | None = None,
    ratio: float = 1.0,
    alpha: float = 0.05,
    alternative: Sides = "two-sided",
    baseline: float | None = None,
) -> Plan:
    """Plans a t test of two means with one sd, by the noncentral t distribution (Cohen 1988).

    For skewed values it holds once the means are about normal (`smallest_n_for_normal_mean`).

    Args:
        sd: Standard deviation within either group, in the unit of the values.
        difference: Difference of the means to be seen, above 0.
        n_a: Size of group a.
        power: Chance of seeing it.
        ratio: n_b / n_a.
        alpha: Significance level.
        alternative: "two-sided" or "one-sided".
        baseline: Mean of group a, only to state the lift.

    Raises:
        ValueError: Not exactly one of difference, n_a and power left out, or values out of range.
    """
    if not 0 < sd < np.inf:
        raise ValueError(f"sd: must be finite and above 0, got {sd!r}")
    tail = _tail(alpha, alternative)

    def power_of(effect: float, n: float, allocation: float) -> float:
        df = n * (1 + allocation) - 2
        shift = effect / sd * np.sqrt(n * allocation / (1 + allocation))
        critical = -special.stdtrit(df, tail)
        power = stats.nct.sf(critical, df, shift)
        if alternative == "one-sided":
            return float(power)
        # The other tail is nan where it is below what can be computed (about 1e-14).
        return float(power + np.nan_to_num(stats.nct.cdf(-critical, df, shift)))

    # A thousand sds can be seen in any two groups of two.
    return _solve(power_of, difference, n_a, power, ratio, alpha, alternative, baseline, 1e3 * sd)


def lift(
    *,
    mean: float,
    sd: float,
    lift: float | None = None,
    n_a: int | None = None,
    power: float | None = None,
    ratio: float = 1.0,
    alpha: float = 0.05,
    alternative: Sides = "two-sided",
) -> Plan:
    """As `means`, with the effect as a share of the mean of group a (0.05 is 5% more).

    Raises:
        ValueError: As for `means`; also if the mean is not above 0.
    """
    if not 0 < mean < np.inf:
        raise ValueError(f"mean: must be finite and above 0, got {mean!r}")
    if lift is not None and not lift > 0:
        raise ValueError(f"lift: must be above 0, got {lift!r}")
    difference = None if lift is None else lift * mean
    return means(
        sd=sd,
        difference=difference,
        n_a=n_a,
        power=power,
        ratio=ratio,
        alpha=alpha,
        alternative=alternative,
        baseline=mean,
    )


def proportions(
    *,
    share_a: float,
    share_b: float | None = None,
    n_a: int | None = None,
    power: float | None = None,
    ratio: float = 1.0,
    alpha: float = 0.05,
    alternative: Sides = "two-sided",
) -> Plan:
    """Plans a z test of two proportions, pooled under the null hypothesis (Fleiss et al. 2003).

    Args:
        share_a: Share of successes in group a, within (0, 1).
        share_b: The larger share to be seen in group b. (For a decrease, plan with failures.)
        n_a, power, ratio, alpha, alternative: As for `means`.

    Raises:
        ValueError: Not exactly one of share_b, n_a and power left out, or values out of range.
    """
    check_fraction(share_a, "share_a")
    if share_b is not None and not share_a < share_b < 1:
        raise ValueError(f"share_b: must lie between share_a = {share_a} and 1, got {share_b!r}")
    tail = _tail(alpha, alternative)

    def power_of(effect: float, n: float, allocation: float) -> float:
        b, n_b = share_a + effect, n * allocation
        pooled = (share_a + allocation * b) / (1 + allocation)
        error = np.sqrt(share_a * (1 - share_a) / n + b * (1 - b) / n_b)
        critical = -special.ndtri(tail) * np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / n_b))
        power = special.ndtr((effect - critical) / error)
        if alternative == "two-sided":
            power += special.ndtr((-effect - critical) / error)
        return float(power)

    difference = None if share_b is None else share_b - share_a
    most = (1 - share_a) * (1 - 1e-9)
    return _solve(power_of, difference, n_a, power, ratio, alpha, alternative, share_a, most)


def smallest_n_for_normal_mean(skewness: float) -> int:
    """Values a group so that a mean is normal enough for a 95% t interval: 355 skewness^2.

    A rule of thumb that keeps either tail's error between 2% and 3% (Kohavi, Deng, Longbotham &
    Xu 2014, "Seven Rules of Thumb for Web Site Experimenters", rule 7).
    """
    return int(np.ceil(355 * skewness**2))


def _tail(alpha: float, alternative: str) -> float:
    """Probability beyond the critical value if there is no effect."""
    tails = {"two-sided": alpha / 2, "one-sided": alpha}
    if alternative not in tails:
        raise ValueError(f"alternative: must be one of {sorted(tails)}, got {alternative!r}")
    return tails[alternative]


def _solve(
    power_of: Callable[[float, float, float], float],
    difference: float | None,
    n_a: int | None,
    power: float | None,
    ratio: float,
    alpha: float,
    alternative: str,
    baseline: float | None,
    largest: float,
) -> Plan:
    """Finds what is left out; power_of(effect, n_a, n_b / n_a) rises in effect and n_a."""
    if [difference, n_a, power].count(None) != 1:
        raise ValueError("effect, n_a, power: leave out exactly one of the three")
    check_fraction(alpha, "alpha", below=0.5)
    if not 0 < ratio < np.inf:
        raise ValueError(f"ratio: must be finite and above 0, got {ratio!r}")
    if difference is not None and not 0 < difference < np.inf:
        raise ValueError(f"difference: must be finite and above 0, got {difference!r}")
    if power is not None and not alpha < power < 1:
        raise ValueError(f"power: must lie between alpha = {alpha} and 1, got {power!r}")
    fewest = max(2.0, 2 / ratio)  # both groups need two values
    if n_a is not None:
        check_count(n_a, "n_a", least=int(np.ceil(fewest)))
        n_b = int(np.ceil(n_a * ratio * (1 - 1e-9)))
    else:
        assert difference is not None and power is not None  # see the count above
        effect, goal = difference, power
        n = _rise(lambda n: power_of(effect, n, ratio) - goal, fewest, MOST)
        if n is None:
            raise ValueError(f"difference: {difference!r} needs more than {MOST:g} a group")
        n_a, n_b = (int(np.ceil(size * (1 - 1e-9))) for size in (n, n * ratio))
    if difference is None:
        assert power is not None
        goal, sizes, smallest = power, (n_a, n_b / n_a), largest * 1e-12
        seen = _rise(lambda effect: power_of(effect, *sizes) - goal, smallest, largest)
        if seen is None:
            raise ValueError(f"n_a: {n_a} is too small to see any effect with power {power}")
        difference = seen
    return Plan(
        n_a=n_a,
        n_b=n_b,
        difference=difference,
        power=power_of(difference, n_a, n_b / n_a),
        alpha=alpha,
        alternative=alternative,
        baseline=baseline,
        lift=difference / baseline if baseline else None,
    )


def _rise(f: Callable[[float], float], low: float, most: float) -> float | None:
    """Where a rising function reaches 0, looked for by doubling; `low` if it is there already."""
    if f(low) >= 0:
        return low
    high = min(2 * low, most)
    while not f(high) >= 0:
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    return float(optimize.brentq(f, low, high, xtol=1e-13 * high, rtol=1e-13))
