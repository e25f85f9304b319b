"""Chi-squared tests of counts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from analysis.stats import association as assoc

R = json.loads((Path(__file__).parent / "oracle" / "regression.json").read_text())

tables = hnp.arrays(
    np.int64, st.tuples(st.integers(2, 5), st.integers(2, 5)), elements=st.integers(1, 400))


def test_hair_and_eyes_as_r():
    r = R["hair"]
    found = assoc.association(np.reshape(r["counts"], (4, 4)))
    assert found.statistic == pytest.approx(r["statistic"], rel=1e-12)
    assert found.p_value == pytest.approx(r["p"], rel=1e-9)
    assert found.cells["expected"].tolist() == pytest.approx(r["expected"], rel=1e-12)
    assert found.cells["residual"].tolist() == pytest.approx(r["residuals"], rel=1e-12)
    # V of this table is printed as 0.279 in many texts (vcd::assocstats).
    assert found.v == pytest.approx(0.279, abs=5e-4)
    assert found.df == 9 and found.rule_holds and found.method == assoc.ASYMPTOTIC


def test_mendels_peas_as_r():
    r = R["mendel"]
    names = ("round yellow", "round green", "wrinkled yellow", "wrinkled green")
    counts = dict(zip(names, (315, 108, 101, 32), strict=True))
    shares = dict(zip(names, (9 / 16, 3 / 16, 3 / 16, 1 / 16), strict=True))
    found = assoc.goodness_of_fit(counts, shares)
    assert found.statistic == pytest.approx(r["statistic"], rel=1e-12)
    assert found.p_value == pytest.approx(r["p"], rel=1e-12)
    expected = [r["residuals"][i] for i in (0, 2, 1, 3)]
    assert found.cells["residual"].tolist() == pytest.approx(expected, rel=1e-10)
    # The order of the categories is the counts', whatever that of the shares.
    assert assoc.goodness_of_fit(counts, dict(reversed(shares.items()))) == found


def test_small_tables_get_an_exact_or_simulated_p():
    tea = assoc.association([[3, 1], [1, 3]])
    assert tea.method == "Fisher's exact" and not tea.rule_holds
    assert tea.p_value == pytest.approx(R["tea"]["p"], rel=1e-9)

    r = R["sparse"]
    sparse = assoc.association(np.reshape(r["counts"], (3, 3)), resamples=99_999)
    assert sparse.method == assoc.MONTE_CARLO
    assert abs(sparse.p_value - r["simulated_p"]) < 4 * sparse.p_standard_error
    assert sparse.p_asymptotic != sparse.p_value

    coin = assoc.goodness_of_fit([7, 1], [0.5, 0.5])
    assert coin.p_value == pytest.approx(stats.binomtest(7, 8).pvalue)
    dice = assoc.goodness_of_fit([3, 0, 0, 1], [0.1, 0.2, 0.3, 0.4], resamples=99_999)
    # All outcomes of four throws, by brute force.
    outcomes = [np.bincount(t, minlength=4) for t in np.ndindex(4, 4, 4, 4)]
    expected = 4 * np.array([0.1, 0.2, 0.3, 0.4])
    chance = sum(
        np.prod(np.array([0.1, 0.2, 0.3, 0.4]) ** o) for o, t in
        zip(outcomes, np.ndindex(4, 4, 4, 4), strict=True)
        if ((o - expected) ** 2 / expected).sum() >= dice.statistic - 1e-9)
    assert abs(dice.p_value - chance) < 4 * dice.p_standard_error


@given(tables)
def test_agrees_with_scipy_and_ignores_order_and_empty_groups(counts):
    found = assoc.association(counts, resamples=99)
    scipys = stats.chi2_contingency(counts, correction=False)
    assert found.statistic == pytest.approx(scipys.statistic, rel=1e-9, abs=1e-9)
    assert found.p_asymptotic == pytest.approx(scipys.pvalue, rel=1e-9)
    assert found.df == scipys.dof
    assert 0 <= found.effect.low <= found.effect.value <= found.effect.high <= 1
    assert found.effect.value <= found.v + 1e-3 or counts.sum() < 200
    shuffled = np.insert(counts.T[::-1], 1, 0, axis=0)  # turned, reversed, with an empty row
    again = assoc.association(shuffled, resamples=99)
    assert again.statistic == pytest.approx(found.statistic, rel=1e-9, abs=1e-9)
    assert again.effect.high == pytest.approx(found.effect.high, rel=1e-6, abs=1e-9)


@given(st.floats(0.01, 500), st.integers(1, 60), st.floats(0.5, 0.99))
def test_noncentrality_puts_the_statistic_at_the_tails(statistic, df, confidence):
    low, high = assoc.noncentrality(statistic, df, confidence)
    tail = (1 - confidence) / 2
    for limit, share in ((low, 1 - tail), (high, tail)):
        if limit > 0:
            assert stats.ncx2.cdf(statistic, df, limit) == pytest.approx(share, abs=1e-7)
        else:
            assert stats.chi2.cdf(statistic, df) <= share + 1e-12
    assert low <= max(0.0, statistic - df) + 1e-6 <= high + 1e-5 or statistic < df


def test_interval_of_v_covers_and_the_correction_removes_the_bias():
    rng = np.random.default_rng(5)
    shares = np.array([[0.20, 0.10, 0.10], [0.10, 0.15, 0.05], [0.05, 0.10, 0.15]])
    independent = np.outer(shares.sum(axis=1), shares.sum(axis=0))
    truth = np.sqrt(((shares - independent) ** 2 / independent).sum() / 2)
    drawn = rng.multinomial(400, shares.ravel(), size=300)
    found = [assoc.association(t.reshape(3, 3)) for t in drawn]
    covered = np.mean([f.effect.low <= truth <= f.effect.high for f in found])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 300)
    nothing = rng.multinomial(400, independent.ravel(), size=300)
    found = [assoc.association(t.reshape(3, 3)) for t in nothing]
    assert np.mean([f.v**2 for f in found]) == pytest.approx(4 / 800, rel=0.1)
    assert np.mean([f.effect.value for f in found]) < 0.5 * np.mean([f.v for f in found])
    rejected = np.mean([f.p_value <= 0.05 for f in found])
    assert abs(rejected - 0.05) < 4 * np.sqrt(0.05 * 0.95 / 300)


def test_counts_more_alike_than_chance_makes_them_are_not_known_the_better():
    """A statistic below df has the upper limit of df: for one degree of freedom, that of z = 1."""
    limit = 1 + stats.norm.isf(0.025)  # its other tail is nearly empty
    for even in ([[100, 100], [100, 100]], [[101, 99], [100, 100]], [[102, 98], [100, 100]]):
        found = assoc.association(even)
        assert found.statistic < 1 and found.effect.low == 0
        assert found.effect.high == pytest.approx(limit / np.sqrt(400), rel=1e-3)
    halves = assoc.goodness_of_fit([200, 200], [0.5, 0.5])
    assert halves.effect.value == 0
    assert halves.effect.high == pytest.approx(limit / np.sqrt(400), rel=1e-3)
    # From df on the limits are those of the distribution.
    assert assoc.limits(9.3, 4) == assoc.noncentrality(9.3, 4)
    uppers = [assoc.limits(x, 4)[1] for x in np.linspace(0, 12, 60)]
    assert (np.diff(uppers) >= 0).all() and uppers[0] == assoc.noncentrality(4, 4)[1]


def test_the_interval_of_w_holds_w_however_many_categories():
    rng = np.random.default_rng(3)
    for k in (2, 5, 40):
        found = assoc.goodness_of_fit(rng.multinomial(3_000, [1 / k] * k).tolist(), [1 / k] * k)
        assert 0 <= found.effect.low <= found.effect.value <= found.effect.high
        assert found.effect.value == pytest.approx(np.sqrt(found.statistic / 3_000))


def test_labels_and_seed():
    frame = pd.DataFrame({"yes": [1, 2, 9], "no": [5, 0, 3]}, index=["a", "b", "c"])
    found = assoc.association(frame, seed=1)
    cell = found.cells.set_index(["row", "column"]).loc[("c", "yes")]
    assert cell["observed"] == 9 and cell["expected"] == pytest.approx(12 * 12 / 20)
    assert found.cells["contribution"].sum() == pytest.approx(found.statistic)
    assert assoc.association(frame, seed=1).p_value == found.p_value
    row = found.to_frame()
    assert row["statistic"].tolist() == [found.statistic] and "cells" not in row


@pytest.mark.parametrize("table, message", [
    ([[1, 2], [3, -1]], "whole numbers"),
    ([[1, 2.5], [3, 1]], "whole numbers"),
    ([[1, np.nan], [3, 1]], "whole numbers"),
    ([[1, 2], [0, 0]], "at least 2 rows"),
    ([[0, 0], [0, 0]], "at least 2 rows"),
])
def test_bad_tables(table, message):
    with pytest.raises(ValueError, match=message):
        assoc.association(table)


@pytest.mark.parametrize("counts, shares, message", [
    ([1, 2], [0.5, 0.6], "add up to 1"),
    ([1, 2], [0.0, 1.0], "above 0"),
    ([1, 2], [0.2, 0.3, 0.5], "same categories"),
    ({"a": 1, "b": 2}, {"a": 0.5, "c": 0.5}, "same categories"),
    ([3], [1.0], "at least 2 categories"),
    ([0, 0], [0.5, 0.5], "all are 0"),
    ([1, -2], [0.5, 0.5], "counts"),
])
def test_bad_goodness_of_fit(counts, shares, message):
    with pytest.raises(ValueError, match=message):
        assoc.goodness_of_fit(counts, shares)


def test_noncentrality_of_huge_statistics_goes_on_where_the_distribution_ends():
    """On either side of the change of method the limits agree, in standard deviations."""
    for df in (1, 40):
        below, above = (
            np.subtract(assoc.noncentrality(x, df), x) / np.sqrt(4 * x)
            for x in (0.999 * assoc.HUGE, 1.001 * assoc.HUGE)
        )
        np.testing.assert_allclose(below, above, atol=1e-3)
        low, high = assoc.noncentrality(1e17, df)
        assert 0 < low < 1e17 < high
