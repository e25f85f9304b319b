"""Do the columns of a table go together: named pairs that have to, and all pairs as one picture.

Every association has one scale here. A correlation, a difference of group means and an association
of two categories each have a statistic that is about noncentral chi-squared with noncentrality
n w^2, where w is |r|, eta or Cohen's w. A w of 0.1 is small in each of them (Cohen 1988).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.forensics import pvalues
from analysis.stats import association, intervals
from analysis.stats._common import Record, check_count, check_fraction
from analysis.stats.intervals import Interval

MARGIN = 0.1
FEW = 0.25  # share of tied pairs up to which a table has few
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Tie(Record):
    """Two columns together.

    Attributes:
        measure: "r" (two numbers), "eta" (a number by groups) or "w" (two categories).
        n: Rows.
        statistic: About chi-squared where the columns are independent.
        df: Its degrees of freedom.
        size: The estimate, with its sign for r; the others less what chance puts there,
            sqrt(max(0, statistic - df) / n), and at most 1 for eta.
        p_value: Of independence.
        p_absent: Of the hypothesis that w is the margin or more: small if the columns are shown
            not to go together to speak of.
        margin: That w.
    """

    measure: str
    n: int
    statistic: float
    df: int
    size: float
    p_value: float
    p_absent: float
    margin: float

    def interval(self, confidence: float = 0.95) -> Interval:
        """Interval of the population's w, from 0 up, whatever the sign of r."""
        ends = association.noncentrality(self.statistic, self.df, confidence)
        low, high = (_from_noncentrality(end, self.n, self.measure) for end in ends)
        return Interval(abs(self.size), low, high, confidence, "noncentral chi-squared")


def _from_noncentrality(value: float, n: int, measure: str) -> float:
    """w; for r and eta n w^2 / (1 - w^2) is the noncentrality, so that they stay below 1."""
    return math.sqrt(value / n) if measure == "w" else math.sqrt(value / (n + value))


def _tie(measure: str, n: int, statistic: float, df: int, size: float, p: float, margin: float):
    check_fraction(margin, "margin")
    noncentrality = n * margin**2 / (1.0 if measure == "w" else 1 - margin**2)
    absent = float(stats.ncx2.cdf(statistic, df, noncentrality))
    return Tie(measure, n, float(statistic), df, float(size), p, absent, margin)


def between_numbers(r: float, n: int, margin: float = MARGIN) -> Tie | None:
    """The tie of two columns of numbers, from Pearson's correlation (Student's t).

    Returns:
        None with fewer than four rows, or where the correlation is missing.
    """
    n = check_count(n, "n", least=0)
    if n < 4 or not math.isfinite(r):
        return None
    if abs(r) >= 1:
        return _tie("r", n, n * 1e6, 1, math.copysign(1.0, r), 0.0, margin)
    statistic = (n - 2) * r**2 / (1 - r**2)
    p = float(2 * stats.t.sf(math.sqrt(statistic), n - 2))
    return _tie("r", n, float(statistic), 1, float(r), p, margin)


def between_number_and_groups(
    sizes: ArrayLike, totals: ArrayLike, squares: float, margin: float = MARGIN
) -> Tie | None:
    """The tie of a number and a category, from an analysis of variance (Fisher 1925).

    Independent columns have the same variance in every group, so no allowance is made for unequal
    ones: it is independence that is tested, not equal means.

    Args:
        sizes: Rows of each group; groups of none are left out.
        totals: Sum of the number in each group, best of the number less its mean.
        squares: Sum of its squares over all rows.
        margin: See `Tie`.

    Returns:
        None with fewer than two groups or than two rows more than groups, or without variation
        within groups.
    """
    size, total = np.asarray(sizes, dtype=float), np.asarray(totals, dtype=float)
    total, size = total[size > 0], size[size > 0]
    n, df = int(size.sum()), size.size - 1
    if df < 1 or n - df < 3:
        return None
    base = total.sum() ** 2 / n
    between = max(0.0, float((total**2 / size).sum() - base))
    within = float(squares) - base - between
    if not within > 1e-12 * float(squares):
        return None
    statistic = between / within * (n - df - 1)
    p = float(stats.f.sf(statistic / df, df, n - df - 1))
    gain = max(0.0, statistic - df)
    return _tie("eta", n, statistic, df, math.sqrt(gain / (gain + n)), p, margin)


def between_categories(counts: ArrayLike, margin: float = MARGIN) -> Tie | None:
    """The tie of two categories, from Pearson's chi-squared.

    Args:
        counts: Their table; empty rows and columns are left out.
        margin: See `Tie`.

    Returns:
        None where one of them has a single value, or where expected counts are too small for the
        approximation (Cochran 1954: one below 1, or more than a fifth below 5; in a 2x2 table one
        below 5).
    """
    table = np.asarray(counts, dtype=float)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return None
    n = int(table.sum())
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    least = 5 if table.shape == (2, 2) else 1
    if expected.min() < least or (expected < 5).mean() > 0.2:
        return None
    statistic = float(((table - expected) ** 2 / expected).sum())
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    size = math.sqrt(max(0.0, statistic - df) / n)
    return _tie("w", n, statistic, df, size, float(stats.chi2.sf(statistic, df)), margin)


@dataclass(frozen=True, slots=True)
class Picture(Record):
    """All pairs of columns together.

    Attributes:
        pairs: How many could be tested.
        tied: Of them, those that go together at level 5%, each taken alone.
        by_chance: How many would if none did.
        share: `tied` as a share, with its interval.
        spread: The p-values against the uniform distribution.
        power: The probability, on average over the pairs, that one whose w is the margin shows.
        few: The share of tied pairs up to which a table has few.
        p_few: Of the hypothesis that a larger share is tied by the margin or more: small if few
            pairs are shown to be tied.
        p_many: Of the hypothesis that at most that share is tied: small if many are.
        largest: Which of the pairs has the largest w, by its place; -1 without pairs.
        largest_low, largest_high: Interval of its w at 95% for all pairs together (Bonferroni).
    """

    pairs: int
    tied: int
    by_chance: float
    share: Interval
    spread: pvalues.Spread
    power: float
    few: float
    p_few: float
    p_many: float
    largest: int
    largest_low: float
    largest_high: float


def picture(ties: Sequence[Tie], *, few: float = FEW, level: float = LEVEL) -> Picture | None:
    """How many pairs of columns go together, against the few that a simple generator ties.

    In recorded tables of people everything goes with everything to some extent, the "crud factor"
    (Meehl 1990); in a table whose columns were drawn one by one, p-values are uniform. The number
    of pairs that show at a level is binomial if pairs are independent, which those of independent
    columns nearly are. A small table shows few ties whatever there are, so `p_few` allows for its
    power.

    Args:
        ties: Of all pairs, those without a test left out.
        few: Share of tied pairs up to which a table has few.
        level: At which a pair shows.

    Returns:
        None without pairs.

    Raises:
        ValueError: A share or level out of 0 to 1.
    """
    check_fraction(few, "few")
    check_fraction(level, "level")
    if not ties:
        return None
    p = np.array([tie.p_value for tie in ties])
    n, df, margin = (np.array([getattr(tie, name) for tie in ties], dtype=float)
                     for name in ("n", "df", "margin"))
    m, tied = p.size, int(np.count_nonzero(p <= level))
    power = float(stats.ncx2.sf(stats.chi2.isf(level, df), df, n * margin**2).mean())
    shown = few * power + (1 - few) * level
    largest = int(np.argmax([abs(tie.size) for tie in ties]))
    simultaneous = ties[largest].interval(1 - LEVEL / m)
    return Picture(
        pairs=m, tied=tied, by_chance=m * level, share=intervals.proportion(tied, m),
        spread=pvalues.spread(p), power=power, few=few,
        p_few=float(stats.binom.cdf(tied, m, shown)),
        p_many=float(stats.binom.sf(tied - 1, m, few + (1 - few) * level)),
        largest=largest, largest_low=simultaneous.low, largest_high=simultaneous.high,
    )
