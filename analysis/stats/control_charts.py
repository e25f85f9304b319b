"""Charts that tell chance from change while a share is watched (Shewhart 1931; Montgomery 2009).

Limits are exact binomial ones rather than three standard errors either way: for small shares these
would lie below 0 and raise too many false alarms (Montgomery 2009, section 7.2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, as_sample, check_count, check_fraction

# Of one side, as three standard errors of a normal distribution leave it.
TAIL = float(stats.norm.sf(3))


@dataclass(frozen=True, slots=True)
class Limits(Record):
    """Control limits of one period.

    Attributes:
        n: Units of the period.
        centre: Share expected while nothing changes.
        low, high: Least and largest count that is no signal; a count outside is one.
        false_alarm: Probability of a signal while nothing changes.
    """

    n: int
    centre: float
    low: int
    high: int
    false_alarm: float

    def signal(self, share: float) -> float:
        """Probability that a period signals when the true share is this.

        Raises:
            ValueError: The share is outside [0, 1].
        """
        if not 0 <= share <= 1:
            raise ValueError(f"share: must lie between 0 and 1, got {share!r}")
        null = self.n, share
        return float(stats.binom.cdf(self.low - 1, *null) + stats.binom.sf(self.high, *null))

    def run_length(self, share: float) -> float:
        """Periods until the first signal on average when the true share is this; infinite if never.

        Raises:
            ValueError: The share is outside [0, 1].
        """
        chance = self.signal(share)
        return 1 / chance if chance > 0 else float("inf")


def limits(n: int, centre: float, tail: float = TAIL) -> Limits:
    """The widest counts that either side leaves with at most `tail` probability.

    Args:
        n: Units of the period, at least 1.
        centre: Share expected while nothing changes, within (0, 1).
        tail: Probability of a count beyond either limit, at most.

    Raises:
        ValueError: Values out of range.
    """
    n = check_count(n, "n")
    check_fraction(centre, "centre")
    check_fraction(tail, "tail", below=0.5)
    binom, null = stats.binom, (n, centre)  # a frozen distribution is slow to make
    # Least count with P(X <= count) > tail: below it, chance leaves at most `tail`.
    low = int(binom.ppf(tail, *null))
    while binom.cdf(low, *null) <= tail:
        low += 1
    while low > 0 and binom.cdf(low - 1, *null) > tail:
        low -= 1
    high = int(binom.isf(tail, *null))
    while binom.sf(high, *null) > tail:
        high += 1
    while high > 0 and binom.sf(high - 1, *null) <= tail:
        high -= 1
    return Limits(n, centre, low, high, float(binom.cdf(low - 1, *null) + binom.sf(high, *null)))


def p_chart(successes: ArrayLike, n: ArrayLike, tail: float = TAIL) -> pd.DataFrame:
    """A chart of shares by period around their common share.

    Args:
        successes, n: Counts of each period, shape (k,); periods without units are not allowed.
        tail: See `limits`.

    Returns:
        One row a period: `n`, `successes`, `share`, `centre`, `low` and `high` (limits as shares:
        of the least and largest count that is no signal), `side` ("above", "below" or "").

    Raises:
        ValueError: Lengths that differ, counts that do not fit, or shares that are all 0 or all 1.
    """
    k = as_sample(successes, "successes")
    sizes = as_sample(n, "n")
    if k.size != sizes.size:
        raise ValueError("successes, n: must have one length")
    if (k > sizes).any() or (k < 0).any() or (sizes < 1).any():
        raise ValueError("successes, n: must hold 0 <= successes <= n and n >= 1")
    centre = float(k.sum() / sizes.sum())
    found = [limits(int(size), centre, tail) for size in sizes]
    low, high = (np.array([getattr(f, end) for f in found]) for end in ("low", "high"))
    return pd.DataFrame({
        "n": sizes.astype(int), "successes": k.astype(int), "share": k / sizes, "centre": centre,
        "low": low / sizes, "high": high / sizes,
        "side": np.select([k > high, k < low], ["above", "below"], ""),
    })
