"""The published decisions come out of the published sizes, means and standard deviations alone."""

import pytest
from scipy import stats

from analysis.stats import decision, multiplicity, two_sample
from analysis.stats.decision import Finding
from analysis.stats.moments import Moments

PAID_21 = Moments.published(3_433, 332.50, 485.86)
PAID_22 = Moments.published(5_104, 368.35, 596.41)
FREE_21 = Moments.published(32_171, 133.93, 367.26)
FREE_22 = Moments.published(120_658, 69.15, 255.62)
FREE_US = Moments.published(6_459, 73.07, 308.56)
FREE_INDIA = Moments.published(21_210, 78.42, 319.34)


@pytest.mark.parametrize(
    ("a", "b", "alternative"),
    [(PAID_21, PAID_22, "less"), (FREE_21, FREE_22, "less"), (FREE_US, FREE_INDIA, "two-sided")],
)
def test_welch_equals_scipy(a, b, alternative):
    test = two_sample.welch(a, b, alternative=alternative)
    other = stats.ttest_ind_from_stats(
        a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False, alternative=alternative
    )
    assert (test.statistic, test.p_value) == pytest.approx(other, rel=1e-9)


def test_paying_students_watched_more():
    test = two_sample.welch(PAID_21, PAID_22, alternative="less")
    assert test.reject
    assert test.statistic == pytest.approx(-3.047, abs=0.001)
    assert test.statistic < test.critical_value == pytest.approx(-1.645, abs=0.001)
    assert test.p_value == pytest.approx(0.00116, abs=0.00001)
    assert (test.interval.low, test.interval.high) == pytest.approx((-58.92, -12.78), abs=0.01)
    assert decision.decide(test).finding is Finding.LOWER  # 2021 below 2022
    # An increase by a tenth, and a small one in standard deviations.
    assert test.effect("ratio of means").value == pytest.approx(332.50 / 368.35)
    assert abs(test.effect("Cohen's d").low) < 0.2


def test_free_students_did_not():
    test = two_sample.welch(FREE_21, FREE_22, alternative="less")
    assert not test.reject
    assert test.p_value > 0.999
    # Not "no change": the interval shows a clear decrease.
    assert test.interval.low > 60
    assert decision.decide(test).finding is Finding.CONTRARY
    assert two_sample.welch(FREE_21, FREE_22, alternative="greater").reject


def test_us_and_india_do_not_differ_significantly():
    test = two_sample.welch(FREE_US, FREE_INDIA)
    assert not test.reject
    assert 0.2 < test.p_value < 0.25
    assert test.interval.contains(0)
    assert decision.decide(test).finding is Finding.INCONCLUSIVE
    # Whether that is "similar" depends on what would matter: 15 minutes can be excluded, 5 can't.
    assert decision.decide(test, smallest_effect=15).finding is Finding.EQUIVALENT
    assert decision.decide(test, smallest_effect=5).finding is Finding.INCONCLUSIVE
    assert two_sample.equivalence(FREE_US, FREE_INDIA, low=-15, high=15).reject


def test_variances_differ_in_both_plans():
    for before, after in ((PAID_21, PAID_22), (FREE_21, FREE_22)):
        test = two_sample.f_test(before, after)
        assert test.reject
        assert test.p_value < 1e-20


def test_the_decisions_survive_holm():
    family = {
        "paid": two_sample.welch(PAID_21, PAID_22, alternative="less"),
        "free": two_sample.welch(FREE_21, FREE_22, alternative="less"),
        "US and India": two_sample.welch(FREE_US, FREE_INDIA),
    }
    frame = multiplicity.adjust(family).set_index("test")
    assert frame["reject"].to_dict() == {"paid": True, "free": False, "US and India": False}
