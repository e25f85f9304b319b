"""Association rules: how much a rule says, and which pairs stand out from what is usual.

A rule "who takes A also takes C" rests on four counts: units (baskets) in all, those that hold A,
those that hold C, those that hold both (Agrawal, Imielinski & Swami 1993).

With independence as null hypothesis everything or nothing stands out, since the baskets that can be
seen are no random sample. Nobody sees the empty ones, so where most baskets hold one item all pairs
have a lift below 1; and some customers buy much and others little, which lifts all pairs above 1.
So the null hypothesis is learned from the pairs themselves, most of which are taken to be no more
than usual: Efron's (2004) empirical null, here a usual lift and a spread.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import special
from statsmodels.stats.proportion import proportion_confint

from analysis.stats import stratified
from analysis.stats._common import Record, Values, check_count, check_fraction
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import benjamini_hochberg

ALPHA = 0.05  # false discovery rate
ROUNDS = 50
LEAST_EXPECTED = 10.0  # baskets that a pair must be expected in for its z to be about normal
LEAST_PAIRS = 30  # such pairs that a spread can be read from
QUARTILES = 1.3489795  # between the quartiles of a normal distribution, in standard deviations
Z_EXACT = 1.5  # below, p-values are far from any decision, and those of the normal distribution


def measures(
    both: ArrayLike, antecedent: ArrayLike, consequent: ArrayLike, baskets: int
) -> pd.DataFrame:
    """What rules say.

    Args:
        both, antecedent, consequent: Baskets that hold both sides of the rule, its left side, its
            right side; shape (rules,).
        baskets: Baskets in all.

    Returns:
        One row a rule: `support` (share of baskets with both), `confidence` (of those with the
        antecedent, the share with the consequent), `lift` (confidence over the consequent's share
        of all baskets), `leverage` (support less what independence gives; Piatetsky-Shapiro 1991)
        and `conviction` (how much more often the rule would be wrong if both were independent;
        infinite if it never is; Brin et al. 1997).

    Raises:
        ValueError: Counts that no baskets can have.
    """
    n = check_count(baskets, "baskets")
    both, a, c = (np.asarray(x, dtype=float) for x in (both, antecedent, consequent))
    if (both < 0).any() or (both > np.minimum(a, c)).any() or (a + c - both > n).any():
        raise ValueError("both, antecedent, consequent: no baskets hold such numbers")
    with np.errstate(divide="ignore", invalid="ignore"):
        confidence = both / a
        return pd.DataFrame({
            "support": both / n,
            "confidence": confidence,
            "lift": both * n / (a * c),
            "leverage": both / n - a * c / n**2,
            "conviction": np.where(confidence == 1, np.inf, (1 - c / n) / (1 - confidence)),
        })


def lift_interval(
    both: int, antecedent: int, consequent: int, baskets: int, confidence: float = 0.95
) -> Interval:
    """The lift with exact limits.

    They are those of the table's odds ratio (`stratified.Conditional.interval`), each turned into
    the lift that a table with these margins has on average at this odds ratio.
    """
    table = stratified.Conditional.of(both, antecedent, consequent, baskets)
    odds = table.interval(confidence)
    independent = antecedent * consequent / baskets
    low, high = (table.mean(limit) / independent for limit in (odds.low, odds.high))
    # Where every basket holds one side, the margins leave the lift no choice.
    lift = both / independent
    return Interval(lift, min(low, lift), max(high, lift), confidence, odds.method)


@dataclass(frozen=True, slots=True)
class Null(Record):
    """What is usual among the pairs.

    Attributes:
        usual: Their lift, or odds ratio: the sum over all pairs that were not found, so that large
            pairs count most, seen or not.
        spread: Standard deviation of their z-values around it, from the quartiles, at least 1;
            chance alone gives 1.
        reference: Pairs that the spread was read from; with fewer than `LEAST_PAIRS` it is 1.
        tests: Tests that the false discovery rate is for: all pairs that could be, also those that
            were too rare to be looked at (which count as not found).
        found: Pairs found.
    """

    usual: float
    spread: float
    reference: int
    tests: int
    found: int


@dataclass(frozen=True, slots=True, eq=False)
class Outstanding:
    """Pairs tested against the empirical null.

    Attributes:
        null: What is usual.
        p_value: One-sided, of each pair; shape (pairs,).
        p_adjusted: After Benjamini and Hochberg's correction for all `null.tests`.
        found: Whether the pair stands out.
    """

    null: Null
    p_value: Values = field(repr=False)
    p_adjusted: Values = field(repr=False)
    found: NDArray[np.bool_] = field(repr=False)


def outstanding(
    both: ArrayLike,
    tail: Callable[[int, float], float],
    usual: Callable[[NDArray[np.bool_]], float],
    expected: Callable[[float], tuple[Values, Values]],
    *,
    least: int,
    tests: int,
    alpha: float = ALPHA,
) -> Outstanding:
    """Finds pairs above an empirical null, and learns the null from the pairs not found, in turns.

    Args:
        both: How often each pair was seen together.
        tail: Log of the one-sided p-value of pair i, given what is usual.
        usual: What is usual among all pairs but those marked.
        expected: Mean and variance of `both`, given what is usual.
        least: How often a pair must have been seen together to be tested. The others help to tell
            the spread, where they are expected often enough, and count as tests with p = 1.
        tests: All pairs that could be.
        alpha: The false discovery rate.

    Raises:
        ValueError: alpha outside (0, 1).
    """
    check_fraction(alpha, "alpha")
    both = np.asarray(both, dtype=float)
    eligible = both >= least
    left_out = found = np.zeros(both.size, dtype=bool)
    p = adjusted = np.ones(both.size)
    null = Null(float(usual(left_out)), 1.0, 0, tests, 0)
    for _ in range(ROUNDS):
        centre = float(usual(left_out))
        if not np.isfinite(centre) or centre <= 0:
            break
        mean, variance = expected(centre)
        z = (both - mean) / np.sqrt(np.maximum(variance, 1e-12))
        large = (mean >= LEAST_EXPECTED) & ~left_out
        spread = 1.0
        if large.sum() >= LEAST_PAIRS:
            q1, q3 = np.quantile(z[large], (0.25, 0.75))
            spread = max(1.0, float(q3 - q1) / QUARTILES)
        logs = special.log_ndtr(-z)
        for i in np.flatnonzero(eligible & (z > Z_EXACT)):
            logs[i] = tail(i, centre)
        p = np.where(eligible, np.exp(widened(logs, spread)), 1.0)
        adjusted = benjamini_hochberg(p, tests)
        found = eligible & (adjusted <= alpha)
        null = Null(centre, spread, int(large.sum()), tests, int(found.sum()))
        if not (found & ~left_out).any():
            break
        left_out = left_out | found
    return Outstanding(null, p, adjusted, found)


def widened(log_p: ArrayLike, spread: float) -> Values:
    """Logs of one-sided p-values whose z-values are divided by a spread."""
    log_p = np.minimum(np.asarray(log_p, dtype=float), 0.0)
    if spread == 1:
        return log_p
    with np.errstate(divide="ignore"):
        return special.log_ndtr(special.ndtri_exp(log_p) / spread)


def outstanding_pairs(
    both: ArrayLike, first: ArrayLike, second: ArrayLike, baskets: int, *,
    together: float, squares: float, items: float, tests: int, least: int, alpha: float = ALPHA,
) -> Outstanding:
    """Which pairs of items share more baskets than is usual for items as popular.

    The usual lift is baskets with both over what independence gives, each summed over all pairs
    but those found. The test is Fisher's exact one with, as null hypothesis, the odds ratio of a
    table that has the usual lift.

    Args:
        both, first, second: Baskets that hold both items, the first, the second; shape (pairs,).
        baskets: Baskets in all.
        together: Baskets with both, summed over all pairs, those not given included.
        items, squares: Baskets that hold an item, and their squares, summed over all items.
        tests: All pairs of items.
        least: Baskets with both that a pair must be in to be tested.
        alpha: The false discovery rate.
    """
    n, a, b = (np.asarray(x, dtype=float) for x in (both, first, second))
    independent = a * b / baskets
    all_independent = (items**2 - squares) / (2 * baskets)

    def usual(left_out):
        rest = all_independent - independent[left_out].sum()
        # Sums of whole numbers over baskets: what is left of nothing is no expectation.
        return (together - n[left_out].sum()) / rest if rest > 1e-9 * baskets else np.nan

    def odds(lift, i):
        return stratified.odds_ratio_of(lift * independent[i], a[i], b[i], baskets)

    def tail(i, lift):
        ratio = odds(lift, i)
        if ratio == 0 or not np.isfinite(ratio):
            return 0.0  # the usual lift is more than these items can have
        return stratified.log_p_greater(n[i], a[i], b[i], baskets, ratio)

    def expected(lift):
        mean = lift * independent
        with np.errstate(divide="ignore", invalid="ignore"):
            cells = (mean, a - mean, b - mean, baskets - a - b + mean)
            return mean, 1 / sum(1 / np.maximum(cell, 0) for cell in cells)

    return outstanding(n, tail, usual, expected, least=least, tests=tests, alpha=alpha)


def by_independence(
    both: ArrayLike, first: ArrayLike, second: ArrayLike, baskets: ArrayLike, tests: int
) -> Values:
    """Adjusted p-values with independence as the null hypothesis, to compare with.

    Fisher's exact test, one-sided, and Benjamini and Hochberg's correction.

    Args:
        both, first, second: As for `outstanding_pairs`.
        baskets: In all, for every pair or one for each.
        tests: As for `outstanding_pairs`.
    """
    counts = (np.asarray(x, dtype=float) for x in (both, first, second, baskets))
    n, a, b, total = np.broadcast_arrays(*counts)
    mean, variance = stratified.expected(a, b, total)
    z = (n - mean) / np.sqrt(np.maximum(variance, 1e-12))
    logs = special.log_ndtr(-z)
    for i in np.flatnonzero(z > Z_EXACT):
        logs[i] = stratified.log_p_greater(n[i], a[i], b[i], total[i])
    return benjamini_hochberg(np.exp(logs), tests)


def more_than_pairs(
    triple: ArrayLike, pairs: ArrayLike, singles: ArrayLike, odds_ratio: float = 1.0
) -> tuple[Values, Values]:
    """Whether three items go together more than their pairs explain.

    For each of the three: among the baskets that hold it, do the other two go together? A set
    whose three tables all say so is more than a pair and a bystander (the test for productive
    rules of Webb 2007; Fisher's exact test within the baskets). A basket that holds one item is
    seen whatever else it holds, so here independence is the right null hypothesis.

    Args:
        triple: Baskets that hold all three, shape (sets,).
        pairs: Baskets that hold items 0 and 1, 0 and 2, 1 and 2, shape (sets, 3).
        singles: Baskets that hold item 0, 1, 2, shape (sets, 3).
        odds_ratio: Of the null hypothesis.

    Returns:
        The largest of the three one-sided p-values, shape (sets,), and the three lifts of the
        other two among the baskets with item 0, 1, 2, shape (sets, 3).
    """
    triple, pairs, singles = (np.asarray(x, dtype=float) for x in (triple, pairs, singles))
    of_item = np.array([[0, 1], [0, 2], [1, 2]])  # the two pairs that hold item 0, 1, 2
    logs, lifts = np.empty((triple.size, 3)), np.empty((triple.size, 3))
    for item, (one, other) in enumerate(of_item):
        a, b, n = pairs[:, one], pairs[:, other], singles[:, item]
        lifts[:, item] = triple * n / (a * b)
        logs[:, item] = [
            stratified.log_p_greater(*table, odds_ratio)
            for table in zip(triple, a, b, n, strict=True)
        ]
    return np.exp(logs.max(axis=1, initial=-np.inf)), lifts


def share_limits(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[Values, Values]:
    """Wilson's (1927) limits of many shares at once; 0 and 1 where there was no trial."""
    low, high = proportion_confint(
        np.asarray(successes, dtype=float), np.maximum(trials, 1), 1 - confidence, "wilson"
    )
    none = np.asarray(trials) == 0
    return np.where(none, 0.0, low), np.where(none, 1.0, high)
