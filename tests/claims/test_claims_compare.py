"""From counts, moments and correlations to evidence: other implementations, and consistency."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.proportion import proportions_ztest
from statsmodels.stats.weightstats import ttost_ind

from analysis.claims import compare
from analysis.claims.claim import CannotTell, Verdict, judge
from analysis.stats import two_sample
from analysis.stats.association import association, goodness_of_fit
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments
from analysis.stats.two_proportions import Share

SUPPORTED, NOT, CONTRADICTED, _ = Verdict
moments = st.builds(
    Moments.published, st.integers(2, 5000), st.integers(-1000, 1000).map(lambda m: m / 100),
    st.floats(0.1, 10))


def verdict(evidence) -> Verdict:
    """Of a claim that stands alone."""
    return evidence.verdict(evidence.tested)


def test_shares():
    found = compare.gap_of_shares(Share(172, 2154), Share(225, 1346), "{gap}", below=True)
    assert found.p_value == pytest.approx(proportions_ztest([172, 225], [2154, 1346])[1])
    assert found.values["a"] == 172 / 2154 and found.values["gap"] is found.estimate
    assert verdict(found) is SUPPORTED
    assert verdict(compare.gap_of_shares(Share(225, 1346), Share(172, 2154), "", below=True)) is (
        CONTRADICTED)
    few = compare.gap_of_shares(Share(3, 4), Share(1, 6), "")
    assert few.p_value == pytest.approx(stats.fisher_exact([[3, 1], [1, 5]]).pvalue)


@pytest.mark.parametrize("a, b", [((0, 5), (0, 9)), ((5, 5), (9, 9))])
def test_shares_without_variation_cannot_be_compared(a, b):
    with pytest.raises(CannotTell):
        compare.gap_of_shares(Share(*a), Share(*b), "")
    with pytest.raises(CannotTell, match="no \\{who\\}"):
        compare.share(0, 0, "dogs")


@given(st.integers(1, 400), st.data())
def test_a_share_against_a_limit(n, data):
    k = data.draw(st.integers(0, n))
    found = compare.share_against(Share(k, n), 0.5, "")
    assert found.p_value == pytest.approx(stats.binomtest(k, n, 0.5).pvalue)
    mirrored = compare.share_against(Share(n - k, n), 0.5, "", below=True)
    assert verdict(found) is verdict(mirrored)


def test_a_share_near_a_target():
    near = compare.share_near(Share(9500, 10_000), 0.95, 0.01, "")
    wide = compare.share_near(Share(95, 100), 0.95, 0.01, "")
    far = compare.share_near(Share(9000, 10_000), 0.95, 0.01, "")
    assert [verdict(x) for x in (near, wide, far)] == [SUPPORTED, NOT, CONTRADICTED]


@given(moments, moments)
def test_means(a, b):
    found = compare.gap_of_means(a, b, "")
    expected = stats.ttest_ind_from_stats(
        a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False)
    assert found.p_value == pytest.approx(expected.pvalue, abs=1e-12)
    # The interval leaves out 0 exactly where p is at most 5%.
    assert (found.p_value <= 0.05) == (not found.estimate.contains(0))


def means_alike(a: Moments, b: Moments, margin: float):
    error, df = two_sample.welch_error(a, b)
    gap = two_sample.welch(a, b).interval
    return compare.near(gap, error, -margin, margin, "", df=df)


def test_near_is_two_one_sided_tests():
    rng = np.random.default_rng(3)
    a, b = rng.normal(10, 2, 400), rng.normal(10.1, 3, 300)
    found = means_alike(Moments.of(a), Moments.of(b), 0.9)
    expected = ttost_ind(a, b, -0.9, 0.9, usevar="unequal")[0]
    assert found.p_within == pytest.approx(expected)
    assert found.p_beyond == 1 and verdict(found) is SUPPORTED
    far = means_alike(Moments.of(a + 2), Moments.of(b), 0.9)
    assert verdict(far) is CONTRADICTED
    assert verdict(means_alike(Moments.of(a[:9]), Moments.of(b[:9]), 0.9)) is NOT


@given(moments, moments, st.floats(0.01, 20))
def test_equality_is_symmetric_and_its_ps_exclude_each_other(a, b, margin):
    found, other = (means_alike(*pair, margin) for pair in ((a, b), (b, a)))
    assert found.p_within == pytest.approx(other.p_within)
    assert found.p_beyond == pytest.approx(other.p_beyond)
    assert max(found.p_within, found.p_beyond) > 0.05
    assert verdict(found) is verdict(other)
    beyond = found.estimate.low > margin or found.estimate.high < -margin
    assert beyond == (found.p_beyond < 0.05)


@pytest.mark.parametrize("a, b", [
    (Moments(1, 3.0, math.nan), Moments(5, 2.0, 1.0)), (Moments(4, 3.0, 0.0), Moments(5, 2.0, 0.0)),
])
def test_means_that_cannot_be_compared(a, b):
    with pytest.raises(CannotTell):
        compare.gap_of_means(a, b, "")


def test_correlations():
    rng = np.random.default_rng(7)
    x = rng.normal(size=500)
    y = 0.6 * x + rng.normal(size=500)
    expected = stats.pearsonr(x, y)
    found = compare.correlation(float(expected.statistic), 500, "")
    interval = expected.confidence_interval(0.95)
    assert (found.estimate.low, found.estimate.high) == pytest.approx(tuple(interval))
    strong = compare.correlation(0.7, 500, "", null=0.5)
    weak = compare.correlation(0.3, 500, "", null=0.5)
    some = compare.correlation(0.52, 500, "", null=0.5)
    assert [verdict(c) for c in (strong, weak, some)] == [SUPPORTED, CONTRADICTED, NOT]
    for r, n in ((math.nan, 100), (0.5, 3)):
        with pytest.raises(CannotTell):
            compare.correlation(r, n, "")
        with pytest.raises(CannotTell):
            compare.unrelated(r, n, "")
    assert verdict(compare.correlation(1.0, 20, "")) is SUPPORTED


def test_no_correlation_takes_equivalence():
    assert verdict(compare.unrelated(-0.008, 3500, "")) is SUPPORTED
    assert verdict(compare.unrelated(-0.008, 100, "")) is NOT
    assert verdict(compare.unrelated(0.11, 3500, "")) is NOT
    assert verdict(compare.unrelated(-0.2, 3500, "")) is CONTRADICTED


def test_ratios_and_normal_intervals():
    def ratio(low, high):
        return Interval(math.sqrt(low * high), low, high, 0.95, "")

    assert [verdict(compare.ratio_near(ratio(*ends), 1.1, "")) for ends in (
        (0.96, 1.05), (0.87, 1.01), (0.7, 0.8))] == [SUPPORTED, NOT, CONTRADICTED]
    odds = compare.against(ratio(1.2, 2.4), 1, "", log=True)
    z = math.log(math.sqrt(1.2 * 2.4)) / ((math.log(2.4) - math.log(1.2)) / 2 / 1.959964)
    assert odds.p_value == pytest.approx(2 * stats.norm.sf(z), rel=1e-5)
    assert verdict(odds) is SUPPORTED
    assert verdict(compare.against(ratio(0.2, 0.4), 1, "", log=True)) is CONTRADICTED
    with pytest.raises(CannotTell):
        compare.against(Interval(0.5, 0.5, 0.5, 0.95, ""), 0.5, "")


def test_unequal_counts():
    found = compare.unequal({"a": 733, "b": 704, "c": 697, "d": 685, "e": 681}, "")
    assert found.p_value == pytest.approx(stats.chisquare([733, 704, 697, 685, 681]).pvalue)
    assert found.effect.low <= found.effect.estimate <= found.effect.high
    # The same effect has one size and one interval in the whole book.
    fit = goodness_of_fit([733, 704, 697, 685, 681], [0.2] * 5)
    assert found.effect == compare.interval_of(fit.effect)
    assert verdict(compare.unequal({"a": 900, "b": 600}, "")) is SUPPORTED
    assert verdict(compare.unequal({"a": 50_010, "b": 50_000}, "")) is CONTRADICTED
    for few in ({"a": 11, "b": 10}, {"a": 10, "b": 10}, {"a": 1, "b": 1, "c": 1}):
        assert verdict(compare.unequal(few, "")) is NOT
    with pytest.raises(CannotTell):
        compare.unequal({"a": 9}, "")


@given(st.lists(st.tuples(st.integers(20, 5000), st.integers(20, 5000)), min_size=2, max_size=5))
def test_related_counts(rows):
    table = pd.DataFrame(rows, columns=["yes", "no"])
    found = compare.related(table, "")
    expected = stats.chi2_contingency(table, correction=False)
    if expected.expected_freq.min() >= 5:
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.effect == compare.interval_of(association(table, seed=compare.SEED).effect)
    # The whole interval is below the margin exactly where p against the margin is below 5%.
    margin = compare.NEGLIGIBLE
    assert (found.effect.high < margin) == (found.p_small < 0.05) or (
        abs(found.effect.high - margin) < 1e-6)


def test_means_of_several_groups():
    rng = np.random.default_rng(4)
    for shift, k in ((0.5, 3), (0.05, 4), (0.0, 3)):
        samples = [rng.normal(shift * i, 1 + i, 400) for i in range(k)]
        found = compare.unlike({str(i): Moments.of(x) for i, x in enumerate(samples)}, "")
        expected = anova_oneway(samples, use_var="unequal")
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        # The whole interval is below the margin exactly where p against the margin is below 5%.
        if expected.statistic > 1:
            margin = compare.NEGLIGIBLE**2
            assert (found.effect.high < margin) == (found.p_small < 0.05)
    apart = {"a": Moments(900, 0.0, 1.0), "b": Moments(900, 0.5, 1.0)}
    assert verdict(compare.unlike(apart, "")) is SUPPORTED
    alike = {"a": Moments(20_000, 0.0, 1.0), "b": Moments(20_000, 0.001, 1.0)}
    assert verdict(compare.unlike(alike, "")) is CONTRADICTED
    few = {"a": Moments(20, 0.0, 1.0), "b": Moments(20, 0.0, 1.0)}
    assert verdict(compare.unlike(few, "")) is NOT
    with pytest.raises(CannotTell):
        compare.unlike({"a": Moments(20, 0.0, 1.0)}, "")


def test_a_table_of_one_row_relates_to_nothing():
    with pytest.raises(CannotTell):
        compare.related(pd.DataFrame({"yes": [3], "no": [4]}), "")


def test_false_verdicts_are_rare():
    """Where nothing is there, and ten claims say so and ten say the opposite."""
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(200):
        k = rng.binomial(300, 0.3, (10, 2))
        found = [compare.gap_of_shares(Share(int(a), 300), Share(int(b), 300), "") for a, b in k]
        claims = [_Claim(e) for e in found]
        wrong += any(f.verdict is not NOT for f in judge(claims, None))
    assert wrong <= stats.binom.isf(0.001, 200, 0.05)


class _Claim:
    """A claim that is its evidence."""

    def __init__(self, evidence):
        self.kind, self.key = type(evidence), "made up"
        self.test = lambda s: evidence
