"""Is something nearer to its expectation than chance would have brought it?

Fisher (1936) asked it of Mendel's peas. Nearness is judged by the left tail of the distribution
whose right tail judges distance; a small left tail says that the counts were dealt, trimmed or
made up so as to fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.stats._common import Record, check_count

SEED = 1936
RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Allocation(Record):
    """How near groups are to the shares that lots were to give them.

    Attributes:
        n: Units in all.
        statistic: Pearson's chi-squared of the counts against the shares.
        df: Number of groups less 1.
        p_closer: Probability that independent lots come as near as this, or nearer.
        p_further: Probability that they come as far from it as this, or further.
        exact: Whether both are exact (two groups); otherwise they are simulated.
    """

    n: int
    statistic: float
    df: int
    p_closer: float
    p_further: float
    exact: bool


def allocation(
    counts: Sequence[int], shares: Sequence[float], *, resamples: int = RESAMPLES, seed: int = SEED
) -> Allocation:
    """Whether an allocation is as near to its shares as independent lots would be.

    Groups that are off by more than chance point to units lost on the way (a sample ratio
    mismatch); groups that are exactly right, again and again, to dealing in blocks, or to a table
    made from its shares. One allocation with two groups hardly tells: being exactly right has a
    probability of about 0.8 / sqrt(2 n p (1 - p)).

    Args:
        counts: Units in each group.
        shares: What the lots were to give each, above 0 and adding up to 1.
        resamples: Simulated allocations, with more than two groups.
        seed: Of these.

    Raises:
        ValueError: Fewer than two groups, other shares than groups, shares that are not above 0 or
            do not add up to 1, counts that are not whole numbers of at least 0, or all 0.
    """
    found = np.array([check_count(count, "counts", least=0) for count in counts])
    share = np.asarray(shares, dtype=float)
    if found.size < 2 or share.shape != found.shape:
        raise ValueError("shares: need one for each of at least two groups")
    if not (share > 0).all() or abs(share.sum() - 1) > 1e-9:
        raise ValueError(f"shares: must be above 0 and add up to 1, got {share.tolist()}")
    n = int(found.sum())
    if n == 0:
        raise ValueError("counts: all are 0")
    expected = n * share
    statistic = float(((found - expected) ** 2 / expected).sum())
    if found.size == 2:
        possible = np.arange(n + 1)
        distance = np.abs(possible - expected[0])
        mine = abs(found[0] - expected[0])
        weight = stats.binom.pmf(possible, n, share[0])
        tie = 1e-9 * max(1.0, expected[0])
        closer = float(weight[distance <= mine + tie].sum())
        further = float(weight[distance >= mine - tie].sum())
        return Allocation(n, statistic, 1, min(closer, 1.0), min(further, 1.0), True)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(n, share / share.sum(), size=resamples)
    null = ((drawn - expected) ** 2 / expected).sum(axis=1)
    tie = 1e-9 * (1 + statistic)
    closer, further = (
        (1 + int(np.count_nonzero(near))) / (resamples + 1)
        for near in (null <= statistic + tie, null >= statistic - tie)
    )
    return Allocation(n, statistic, found.size - 1, closer, further, False)


@dataclass(frozen=True, slots=True)
class Runs(Record):
    """The order in which two groups take turns.

    Attributes:
        n: Units.
        changes: Neighbours of different groups.
        expected: How many independent lots bring about.
        ratio, low, high: Their quotient, with its 95% interval: 1 for lots, up to 2 where the
            groups alternate or are dealt in small blocks, near 0 where one comes after the other.
        p_more: Small if they take turns more often than lots.
        p_fewer: Small if they do less often.
    """

    n: int
    changes: int
    expected: float
    ratio: float
    low: float
    high: float
    p_more: float
    p_fewer: float


def runs(first: int, second: int, changes: int, *, confidence: float = 0.95) -> Runs | None:
    """Whether two groups follow each other as lots do (Wald & Wolfowitz 1940).

    Args:
        first, second: Units in each group.
        changes: Neighbours, in order, that are in different groups.
        confidence: Of the interval.

    Returns:
        None where a group has fewer than ten units, too few for the normal distribution.

    Raises:
        ValueError: More changes than neighbours.
    """
    first, second = (check_count(n, "units", least=0) for n in (first, second))
    changes = check_count(changes, "changes", least=0)
    n = first + second
    if changes >= max(n, 1):
        raise ValueError(f"changes: {n} units have at most {max(n - 1, 0)}, got {changes}")
    if min(first, second) < 10:
        return None
    expected = 2 * first * second / n
    error = (expected * (expected - 1) / (n - 1)) ** 0.5
    reach = float(stats.norm.isf((1 - confidence) / 2)) * error
    z = (changes - expected) / error
    return Runs(
        n=n, changes=changes, expected=expected, ratio=changes / expected,
        low=max(0.0, (changes - reach) / expected), high=(changes + reach) / expected,
        p_more=float(stats.norm.sf(z)), p_fewer=float(stats.norm.cdf(z)),
    )
