"""Does something stop at a point: a rate that falls to nothing at once, values at a round limit?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from analysis.stats import intervals
from analysis.stats._common import Record, check_count, check_fraction
from analysis.stats.intervals import Interval

MARGIN = 0.25


@dataclass(frozen=True, slots=True)
class Cliff(Record):
    """A point beyond which a rate is nothing.

    Attributes:
        place: The last cell with any success, counted from 0.
        places: How many cells it could have been.
        before, trials_before: Successes and trials in the window up to it.
        rate: Their rate.
        trials_after: Trials in the window beyond, all without success.
        trials_beyond: Trials in all cells beyond.
        p_chance: Probability that chance leaves all cells beyond empty, had every trial the same
            rate, for all places together (Bonferroni).
        p_window: The same of the window beyond against the one before.
        p_edge: Of the hypothesis that the odds just beyond are the margin times those to which
            their course up to there leads, or more, for all places together: small if the rate is
            shown to break off instead of tapering off; nan where a single cell makes no course.
        margin: That share of the odds.
    """

    place: int
    places: int
    before: int
    trials_before: int
    rate: Interval
    trials_after: int
    trials_beyond: int
    p_chance: float
    p_window: float
    p_edge: float
    margin: float


def cliff(
    successes: Sequence[int], trials: Sequence[int], window: int, *, margin: float = MARGIN
) -> Cliff | None:
    """Whether a rate falls to exactly nothing at some point of an ordered scale.

    A rate that declines smoothly also ends in a last success, but it has tapered off by then. So
    the half of the window just beyond, without success, is compared with the two halves before,
    x1 of n1 and x2 of n2: if the log odds run on in a straight line, however steep, the number
    beyond has, given x1 + x2 and the slope, the exact conditional distribution with weights
    C(n1, x1 + k) C(n2, x2 - 2 k) C(n3, k) for k = 0, 1, ... (Cox 1958). For `p_edge` the odds
    beyond may be as low as the margin times that. All p-values are multiplied by the number of
    places where the edge could have been found.

    Args:
        successes, trials: By cell, in order.
        window: How many cells are taken on either side; two or more for a course.
        margin: The largest share of the odds to be expected that still counts as nothing.

    Returns:
        None without any success, or where no cell with trials follows the last one.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials, columns of
            unequal length, or a window of less than one cell.
    """
    check_fraction(margin, "margin")
    window = check_count(window, "window")
    x, n = _counts(successes, trials)
    there = np.flatnonzero(x)
    if there.size == 0:
        return None
    place = int(there[-1])
    beyond = int(n[place + 1 :].sum())
    if beyond == 0:
        return None
    first = max(0, place + 1 - window)
    before, at_risk = int(x[first : place + 1].sum()), int(n[first : place + 1].sum())
    after = int(n[place + 1 : place + 1 + window].sum())
    places = int(np.count_nonzero(n) - 1)
    return Cliff(
        place=place, places=places, before=before, trials_before=at_risk,
        rate=intervals.proportion(before, at_risk), trials_after=after, trials_beyond=beyond,
        p_chance=_all_within(int(x.sum()), int(n[: place + 1].sum()), beyond, places),
        p_window=_all_within(before, at_risk, after, places),
        p_edge=_breaks_off(x, n, place, window // 2, margin, places), margin=margin,
    )


def _breaks_off(x, n, place: int, half: int, margin: float, places: int) -> float:
    """p of no success beyond, if the log odds of two halves before lead on in a straight line."""
    half = min(half, (place + 1) // 2)
    if half == 0:
        return math.nan
    first, second, beyond = (
        slice(start, start + half) for start in (place + 1 - 2 * half, place + 1 - half, place + 1))
    k = np.arange(min(int(x[second].sum()) // 2, int(n[beyond].sum())) + 1)
    weight = k * math.log(margin)
    for part, taken in ((first, k), (second, -2 * k), (beyond, k)):
        done, tried = int(x[part].sum()) + taken, int(n[part].sum())
        with np.errstate(invalid="ignore"):
            ways = gammaln(tried + 1) - gammaln(done + 1) - gammaln(tried - done + 1)
        weight = weight + np.where(done <= tried, ways, -np.inf)
    return min(1.0, places * math.exp(weight[0] - logsumexp(weight)))


def _all_within(successes: int, within: int, beyond: int, places: int) -> float:
    """Probability that all successes fall within, of as many trials there and beyond."""
    def log_choose(n: int) -> float:
        return float(gammaln(n + 1) - gammaln(n - successes + 1))

    return min(1.0, places * math.exp(min(0.0, log_choose(within) - log_choose(within + beyond))))


def _counts(successes: Sequence[int], trials: Sequence[int]):
    x = np.array([check_count(value, "successes", least=0) for value in successes])
    n = np.array([check_count(value, "trials", least=0) for value in trials])
    if x.shape != n.shape or (x > n).any():
        raise ValueError("successes: need one for each of the trials, and no more than these")
    return x, n


@dataclass(frozen=True, slots=True)
class Extremes(Record):
    """The least and the largest value against the limits between which they may have been drawn.

    Attributes:
        gap_low, gap_high: How far they stay from the limits.
        spacing: The mean distance of neighbouring values, had all been drawn evenly.
        p_as_far: Probability that even draws stay so far from both limits together, or further:
            small if these limits are not the generator's.
        p_as_near: Probability that they come so near to both.
    """

    gap_low: float
    gap_high: float
    spacing: float
    p_as_far: float
    p_as_near: float


def extremes(low: float, high: float, n: int, start: float, stop: float) -> Extremes:
    """Whether the extremes of values lie as near to two limits as those of even draws do.

    Even draws come within about a mean spacing of both limits. Values that thin out towards their
    ends stay further away, and stop where they stop, not at round numbers.

    Args:
        low, high: Least and largest value.
        n: Number of values.
        start, stop: The limits, for example the round numbers next to the extremes. For values in
            whole steps the limits lie half a step beyond the first and the last possible value.

    Raises:
        ValueError: Fewer than two values, or not start <= low <= high <= stop with start < stop.
    """
    n = check_count(n, "n", least=2)
    if not start <= low <= high <= stop or not start < stop:
        raise ValueError("limits: need start <= low <= high <= stop and start < stop")
    reach = stop - start
    a, b = (low - start) / reach, (stop - high) / reach
    # Inclusion and exclusion: neither extreme beyond its gap.
    near = 1 - (1 - a) ** n - (1 - b) ** n + max(0.0, 1 - a - b) ** n
    return Extremes(
        float(low - start), float(stop - high), reach / (n + 1),
        float(max(0.0, 1 - a - b) ** n), float(min(1.0, max(0.0, near))),
    )
