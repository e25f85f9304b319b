"""Decisions: significance, direction and relevance are told apart."""

from dataclasses import replace

import pytest

from analysis.stats import two_sample
from analysis.stats.decision import Finding, Relevance, decide
from analysis.stats.moments import Moments


def compare(difference, n=100, sd=10.0, alternative="two-sided"):
    """A Welch test of two samples that differ by that much; its margin is about 2.8 at n = 100."""
    a, b = Moments.published(n, 50 + difference, sd), Moments.published(n, 50.0, sd)
    return two_sample.welch(a, b, alternative=alternative)


@pytest.mark.parametrize(
    ("difference", "smallest", "finding", "relevance", "significant"),
    [
        (9.0, None, Finding.HIGHER, Relevance.NOT_STATED, True),
        (-9.0, None, Finding.LOWER, Relevance.NOT_STATED, True),
        (9.0, 5.0, Finding.HIGHER, Relevance.RELEVANT, True),
        (-9.0, 5.0, Finding.LOWER, Relevance.RELEVANT, True),
        (4.0, 5.0, Finding.HIGHER, Relevance.UNCERTAIN, True),
        (4.0, 8.0, Finding.HIGHER, Relevance.NEGLIGIBLE, True),  # significant, yet too small
        (1.0, None, Finding.INCONCLUSIVE, Relevance.NOT_STATED, False),  # never "no difference"
        (1.0, 2.0, Finding.INCONCLUSIVE, Relevance.UNCERTAIN, False),
        (1.0, 5.0, Finding.EQUIVALENT, Relevance.NEGLIGIBLE, False),
        (-1.0, 5.0, Finding.EQUIVALENT, Relevance.NEGLIGIBLE, False),
    ],
)
def test_two_sided(difference, smallest, finding, relevance, significant):
    decision = decide(compare(difference), smallest_effect=smallest)
    assert (decision.finding, decision.relevance) == (finding, relevance)
    assert decision.significant is significant


@pytest.mark.parametrize(
    ("alternative", "difference", "smallest", "finding"),
    [
        ("less", -9.0, None, Finding.LOWER),
        ("less", 9.0, None, Finding.CONTRARY),
        ("less", 9.0, 20.0, Finding.EQUIVALENT),
        ("less", 1.0, None, Finding.INCONCLUSIVE),
        ("greater", 9.0, None, Finding.HIGHER),
        ("greater", -9.0, None, Finding.CONTRARY),
        ("greater", -9.0, 5.0, Finding.CONTRARY),
    ],
)
def test_one_sided(alternative, difference, smallest, finding):
    test = compare(difference, alternative=alternative)
    assert decide(test, smallest_effect=smallest).finding is finding


def test_swapping_the_samples_swaps_the_direction():
    swapped = {Finding.HIGHER: Finding.LOWER, Finding.LOWER: Finding.HIGHER}
    for difference in (-9, -4, -1, 1, 4, 9):
        for smallest in (None, 2.0, 5.0, 20.0):
            one = decide(compare(difference), smallest_effect=smallest)
            other = decide(compare(-difference), smallest_effect=smallest)
            assert other.finding is swapped.get(one.finding, one.finding)
            assert other.relevance is one.relevance


def test_a_corrected_p_value_decides():
    test = compare(4.0)
    assert decide(test).finding is Finding.HIGHER
    corrected = decide(test, p_value=0.06)
    assert corrected.finding is Finding.INCONCLUSIVE
    assert corrected.p_value == 0.06 and not corrected.significant


def test_ratios_and_probabilities_have_their_own_null_value():
    a, b = [1, 9, 2, 8, 0, 10, 30, -20], [4, 5, 6, 5, 4, 6, 5, 5]
    assert decide(two_sample.f_test(a, b)).finding is Finding.HIGHER
    assert decide(two_sample.f_test(b, a)).finding is Finding.LOWER
    low, high = [1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]
    assert decide(two_sample.mann_whitney(low, high)).finding is Finding.LOWER
    assert decide(two_sample.sign_test(high, low)).finding is Finding.HIGHER
    narrow = two_sample.f_test(Moments.published(90_000, 0.0, 1.0), Moments.published(90_000, 0, 1))
    assert decide(narrow, smallest_effect=0.1).finding is Finding.EQUIVALENT


def test_equivalence_tests_decide_by_themselves():
    a, b = Moments.published(400, 10.0, 3.0), Moments.published(400, 10.1, 3.0)
    shown = decide(two_sample.equivalence(a, b, low=-1, high=1))
    assert (shown.finding, shown.relevance) == (Finding.EQUIVALENT, Relevance.NEGLIGIBLE)
    open_ = decide(two_sample.equivalence(a, b, low=-0.2, high=0.2))
    assert (open_.finding, open_.significant) == (Finding.INCONCLUSIVE, False)


def test_p_exactly_alpha_is_significant():
    assert decide(replace(compare(4.0), p_value=0.05)).significant


def test_frame_and_strings():
    decision = decide(compare(9.0), smallest_effect=5.0)
    assert decision.to_frame().loc[0, "finding"] == "higher"
    assert f"{decision.relevance}" == "relevant"


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="smallest_effect: must be above 0"):
        decide(compare(1.0), smallest_effect=0)
    equivalence = two_sample.equivalence([1, 2], [1, 3], low=-1, high=1)
    with pytest.raises(ValueError, match="smallest_effect: a test of equivalence has its own"):
        decide(equivalence, smallest_effect=1)
