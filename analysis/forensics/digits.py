"""What digits and identifiers tell: the grid of the values, heaping, first digits, numbering."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import stats

from analysis.forensics.uniformity import Evenness, evenness
from analysis.stats import intervals
from analysis.stats._common import Record, check_count

MARGIN = 1.25  # the United Nations' limit of Whipple's index beyond which ages are rough
LEAST_ORDERS = 2.0
BENFORD = tuple(math.log10(1 + 1 / digit) for digit in range(1, 10))


def grid(multiples: Mapping[float, int], n: int) -> float | None:
    """The coarsest step of which all values are multiples; None if they are of none.

    Args:
        multiples: For each step, how many values are multiples of it.
        n: Number of values.
    """
    steps = [step for step, count in multiples.items() if count == n]
    return max(steps) if steps and n else None


@dataclass(frozen=True, slots=True)
class Heaping(Record):
    """How much more often round values occur than their neighbours.

    Attributes:
        n: Values at round places and their neighbours.
        ratio, low, high: Frequency of round values over the mean frequency of all of these, with
            its interval (Wilson): 1 without heaping. For ages in fives it is Whipple's index over
            100, up to 5 if all are round.
        p_heaped: Of the hypothesis that they are not more frequent: small if they are.
        p_smooth: Of the hypothesis that they are so by the margin or more: small if values are
            shown not to heap (exact binomial, both).
        margin: That ratio.
    """

    n: int
    ratio: float
    low: float
    high: float
    p_heaped: float
    p_smooth: float
    margin: float


def heaping(
    at: int, around: Sequence[int], *, margin: float = MARGIN, confidence: float = 0.95
) -> Heaping | None:
    """Whether people have rounded: ages in fives and tens, incomes in hundreds and thousands.

    Where the frequency of values changes evenly, a round value is as frequent as the mean of its
    neighbours at equal distances on both sides, so that no smooth distribution looks like heaping
    (the idea of Whipple's index; Myers 1940). What people say heaps; what is counted, measured or
    derived from a date of birth does not, and neither does what a program draws.

    Args:
        at: Values at round places.
        around: Values at each distance from the nearest round place, in steps of the grid; as many
            below as above, and equally many places of each.
        margin: The smallest ratio that counts as heaping.
        confidence: Of the interval.

    Returns:
        None without any value or neighbour.

    Raises:
        ValueError: Counts that are not whole numbers of at least 0, or a margin not above 1.
    """
    at = check_count(at, "at", least=0)
    counts = [check_count(count, "around", least=0) for count in around]
    if not margin > 1:
        raise ValueError(f"margin: must be above 1, got {margin!r}")
    n, places = at + sum(counts), 1 + len(counts)
    if n == 0 or places == 1:
        return None
    found = intervals.proportion(at, n, confidence)
    return Heaping(
        n=n, ratio=places * found.estimate, low=places * found.low, high=places * found.high,
        p_heaped=float(stats.binom.sf(at - 1, n, 1 / places)),
        p_smooth=float(stats.binom.cdf(at, n, min(1.0, margin / places))), margin=margin,
    )


@dataclass(frozen=True, slots=True)
class FirstDigits(Record):
    """First digits against Benford's law.

    Attributes:
        orders: Orders of magnitude that the values span, log10(largest / least).
        applies: Whether they are enough for the law to be expected of recorded amounts.
        fit: The counts of 1 to 9 against the law's shares.
    """

    orders: float
    applies: bool
    fit: Evenness


def first_digits(
    counts: Sequence[int], low: float, high: float, *, least_orders: float = LEAST_ORDERS
) -> FirstDigits | None:
    """Whether first digits follow Benford's (1938) law, and whether that could be asked.

    Amounts that arise from many factors and span orders of magnitude begin with 1 in 30% of all
    cases and with 9 in 5% (Hill 1995 shows when). Numbers between two fixed limits do not, recorded
    or not, so without that span the digits tell nothing.

    Args:
        counts: Values that begin with 1, 2, ..., 9.
        low, high: The least value above 0, and the largest.
        least_orders: Orders of magnitude that the law needs.

    Returns:
        None without any value above 0.

    Raises:
        ValueError: Not nine counts, or not 0 < low <= high.
    """
    if len(counts) != 9:
        raise ValueError(f"counts: need one for each digit from 1 to 9, got {len(counts)}")
    if sum(counts) == 0:
        return None
    if not 0 < low <= high:
        raise ValueError(f"low: need 0 < low <= high, got {low!r} and {high!r}")
    orders = math.log10(high / low)
    return FirstDigits(orders, orders >= least_orders, evenness(counts, BENFORD))


@dataclass(frozen=True, slots=True)
class Numbering(Record):
    """How units are numbered.

    Attributes:
        n: Units with a whole number for an identifier.
        low, high: The least and the largest.
        used: Share of the numbers between them that are in use: 1 if there is no gap.
        consecutive: Whether there is none.
        r: Correlation of the number with the time that the unit has been there; below 0 where
            numbers were given out in order of arrival. nan if it is not known.
        p_ordered: Of no such correlation, two-sided; nan if it is not known.
    """

    n: int
    low: float
    high: float
    used: float
    consecutive: bool
    r: float
    p_ordered: float


def numbering(n: int, low: float, high: float, r: float = math.nan) -> Numbering | None:
    """Whether identifiers bear the marks of a register: gaps, and an order in time.

    A register numbers units as they come and loses some, so that its numbers have gaps and go with
    time. Numbers without a gap are no sign of anything: an export is numbered again in a moment.

    Args:
        n: Units whose identifier is a whole number, all different.
        low, high: The least and the largest of these.
        r: Their correlation with the time that the units have been there.

    Returns:
        None with fewer than two units.

    Raises:
        ValueError: high - low leaves no room for n different numbers.
    """
    n = check_count(n, "n", least=0)
    if n < 2:
        return None
    room = high - low + 1
    if room < n:
        raise ValueError(f"high: {n} different numbers do not fit between {low} and {high}")
    p = math.nan
    if n > 3 and math.isfinite(r):
        r = min(max(r, -1.0), 1.0)
        rest = max(1 - r**2, 1e-300)
        p = float(2 * stats.t.sf(abs(r) * math.sqrt((n - 2) / rest), n - 2))
    return Numbering(n, float(low), float(high), n / room, room == n, float(r), p)
