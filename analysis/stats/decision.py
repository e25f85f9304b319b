"""What a test shows, as data; the sentences are made elsewhere."""

from dataclasses import dataclass
from enum import StrEnum

from analysis.stats._common import Record
from analysis.stats.results import TestResult


class Finding(StrEnum):
    """What a test shows about a against b."""

    HIGHER = "higher"
    """Significant: a lies above b."""
    LOWER = "lower"
    """Significant: a lies below b."""
    CONTRARY = "contrary"
    """A one-sided test did not reject, and its two-sided interval lies wholly on the other side."""
    EQUIVALENT = "equivalent"
    """Not significant, and every value in the interval is too small to matter."""
    INCONCLUSIVE = "inconclusive"
    """No clear difference: neither a difference nor its absence is shown."""


class Relevance(StrEnum):
    """How the interval lies to the smallest effect of interest."""

    RELEVANT = "relevant"
    """Wholly beyond it."""
    NEGLIGIBLE = "negligible"
    """Wholly within it: a significant difference too small to matter, or equivalence."""
    UNCERTAIN = "uncertain"
    """On both sides of it."""
    NOT_STATED = "not stated"
    """No smallest effect of interest was given."""


@dataclass(frozen=True, slots=True)
class Decision(Record):
    """What a test shows.

    Attributes:
        finding: The direction, if any is shown. For a one-sided test "higher" and "lower" can
            only be the alternative.
        relevance: Whether the size matters.
        significant: Whether the p-value is at most alpha.
        p_value: The p-value that was used (corrected, where one was given).
        smallest_effect: The smallest effect of interest, if given.
    """

    finding: Finding
    relevance: Relevance
    significant: bool
    p_value: float
    smallest_effect: float | None = None


def decide(
    test: TestResult, *, smallest_effect: float | None = None, p_value: float | None = None
) -> Decision:
    """Chooses the finding from significance and interval together.

    Not significant is never "no difference": that takes an interval within the smallest effect
    of interest (Lakens, Scheel & Isager 2018). The test's interval at 1 - alpha serves for
    that, which asks more than two one-sided tests at alpha do; a result of
    `two_sample.equivalence` is taken at its own word.

    Args:
        test: The result.
        smallest_effect: Smallest effect of interest, as a distance of the estimate from the
            null value, in the estimate's unit. Not for a test of equivalence, which has margins.
        p_value: p after correction for other tests; without it the test's own.

    Raises:
        ValueError: The smallest effect is not above 0, or is given for a test of equivalence.
    """
    if smallest_effect is not None and not smallest_effect > 0:
        raise ValueError(f"smallest_effect: must be above 0, got {smallest_effect!r}")
    p = test.p_value if p_value is None else p_value
    significant = bool(p <= test.alpha)
    if test.alternative == "equivalence":
        if smallest_effect is not None:
            raise ValueError("smallest_effect: a test of equivalence has its own margins")
        if significant:
            return Decision(Finding.EQUIVALENT, Relevance.NEGLIGIBLE, True, p)
        return Decision(Finding.INCONCLUSIVE, Relevance.UNCERTAIN, False, p)

    low, high = test.interval.low - test.null_value, test.interval.high - test.null_value
    if smallest_effect is None:
        relevance = Relevance.NOT_STATED
    elif -smallest_effect < low and high < smallest_effect:
        relevance = Relevance.NEGLIGIBLE
    elif low >= smallest_effect or high <= -smallest_effect:
        relevance = Relevance.RELEVANT
    else:
        relevance = Relevance.UNCERTAIN

    if significant:
        finding = Finding.HIGHER if test.estimate > test.null_value else Finding.LOWER
    elif relevance is Relevance.NEGLIGIBLE:
        finding = Finding.EQUIVALENT
    elif (test.alternative == "less" and low > 0) or (test.alternative == "greater" and high < 0):
        finding = Finding.CONTRARY
    else:
        finding = Finding.INCONCLUSIVE
    return Decision(finding, relevance, significant, p, smallest_effect)
