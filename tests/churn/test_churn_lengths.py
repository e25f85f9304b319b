"""Churn by length: R's values, brute force, what was planted, and odd tables."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from analysis.churn import lengths as study
from analysis.churn.lengths import lengths
from analysis.results import flatten
from analysis.simulate import netflix

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "lengths.json").read_text())


def analysed(month, n, churned):
    """The study of counts by month."""
    return lengths(SimpleNamespace(
        months=pd.DataFrame({"month": month, "subscribers": n, "churned": churned})))


def drawn(seed, rates, least=15, most=45):
    """Counts of months 1, 2, ... with these churn rates."""
    rng = np.random.default_rng(seed)
    n = rng.integers(least, most, len(rates))
    return np.arange(1, len(rates) + 1), n, rng.binomial(n, rates)


@pytest.fixture(scope="module")
def shipped(netflix_study):
    return netflix_study, netflix_study.lengths


@pytest.fixture
def few_draws(monkeypatch):
    """Fewer tables drawn, where many studies are made."""
    monkeypatch.setattr(study, "RESAMPLES", 499)


# Against R.


@pytest.mark.parametrize("case", REFERENCE)
def test_everything_is_as_in_r(case):
    r = REFERENCE[case]
    found = analysed(r["month"], r["n"], r["churned"])
    w = found.within
    assert w.z**2 == pytest.approx(r["z_squared"], rel=1e-9)
    assert (w.chi_squared, w.df) == (pytest.approx(r["chi_squared"], rel=1e-9), r["df"])
    slope = (w.slope.estimate, w.slope.low, w.slope.high)
    assert slope == pytest.approx([r["slope"], r["slope_low"], r["slope_high"]], rel=1e-8)
    splits = study.split_statistics(np.array(r["n"]), np.array(r["churned"]))
    np.testing.assert_allclose(splits, r["splits"], rtol=1e-7)
    assert found.change.statistic == pytest.approx(max(r["splits"]), rel=1e-7)
    better = max(r["splits"]) - r["slope_ratio"] - 2
    assert found.change.advantage == pytest.approx(better, rel=1e-7)
    assert found.change.month == r["month"][int(np.argmax(r["splits"]))]
    read = found.survival
    np.testing.assert_allclose(read["survival"], r["survival"], rtol=1e-12)
    np.testing.assert_allclose(read["low"], r["survival_low"], rtol=1e-9)
    np.testing.assert_allclose(read["high"], r["survival_high"], rtol=1e-9)
    if found.tail is None:
        assert r["after"] == 0 and found.constant is None
    else:
        assert found.tail.log10_p == pytest.approx(r["tail_log10"], rel=1e-9)
        assert (found.constant.before, found.constant.after) == (r["before"], r["after"])
        assert found.constant.log10_p == pytest.approx(r["hazard_log10"], rel=1e-9)


def test_r_still_gives_the_committed_values(tmp_path):
    for case, values in made_by_r(ORACLE / "lengths.R", tmp_path).items():
        for name, value in values.items():
            np.testing.assert_allclose(value, REFERENCE[case][name], rtol=1e-6, err_msg=name)


# Against slow or other ways.


def test_windows_and_comparisons_follow_from_the_counts():
    month, n, churned = (np.array(v) for v in ([0, 2, 3, 7, 12, 13, 24, 25, 40],
                                               [9, 40, 30, 60, 20, 35, 30, 50, 26],
                                               [3, 12, 12, 15, 4, 9, 5, 1, 0]))
    found = analysed(month, n, churned)
    rows = found.windows
    assert rows.index.tolist() == ["up_to_3", "4_to_12", "13_to_24", "over_24"]
    assert rows["subscribers"].tolist() == [79, 80, 65, 76]
    assert rows["churned"].tolist() == [27, 19, 14, 1]
    low, high = proportion_confint(19, 80, alpha=0.05 / 4, method="wilson")
    assert rows.loc["4_to_12", ["low", "high"]].tolist() == pytest.approx([low, high])
    row = found.comparisons.loc["first_year_less_later"]
    assert (row["churned_a"], row["subscribers_a"], row["churned_b"], row["subscribers_b"]) == (
        46, 159, 15, 141)
    ends = confint_proportions_2indep(46, 159, 15, 141, method="newcomb", compare="diff")
    assert [row["low"], row["high"]] == pytest.approx(list(ends))
    p = stats.chi2_contingency([[46, 113], [15, 126]], correction=False).pvalue
    assert row["p_value"] == pytest.approx(p) and row["finding"] == "higher"
    assert (found.comparisons["p_adjusted"] >= found.comparisons["p_value"]).all()


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000))
def test_months_at_risk_are_counted(seed):
    """Against a loop over every month of every subscriber; spans add up to the whole."""
    rng = np.random.default_rng(seed)
    month = np.unique(rng.integers(0, 40, 12))
    n = rng.integers(1, 5, month.size)
    start = min(1, month[0])
    lived = [k for m, size in zip(month, n, strict=True) for _ in range(size)
             for k in range(start, m + 1)]
    for span in ((None, 3), (3, 12), (12, 24), (24, None)):
        above, up_to = span
        slow = sum((above is None or k > above) and (up_to is None or k <= up_to) for k in lived)
        assert study.months_at_risk(month, n, span) == slow
    assert study.months_at_risk(month, n, (None, None)) == len(lived)


def test_the_empty_tail_is_as_probable_as_dealing_makes_it():
    """Counted out: 3 churned among 2 + 2 + 3, none of them among the last 3."""
    found = analysed([1, 2, 5], [2, 2, 3], [1, 2, 0]).tail
    assert (found.month, found.subscribers, found.months) == (2, 3, 1)
    assert 10**found.log10_p == pytest.approx(math.comb(4, 3) / math.comb(7, 3))


def test_trend_and_spread_agree_with_their_large_sample_tests():
    month, n, churned = drawn(3, np.linspace(0.35, 0.2, 12), 200, 400)
    w = analysed(month, n, churned).within
    assert w.p_trend == pytest.approx(2 * stats.norm.sf(abs(w.z)), abs=0.005)
    assert w.p_uneven == pytest.approx(stats.chi2.sf(w.chi_squared, w.df), abs=0.02)
    assert w.p_even == pytest.approx(stats.chi2.cdf(w.chi_squared, w.df), abs=0.02)
    tables = np.column_stack([churned, n - churned])
    assert w.chi_squared == pytest.approx(
        stats.chi2_contingency(tables, correction=False).statistic)


def test_survivors_are_counted_out():
    """Everybody who ever joined, month by month: the share that a table of today shows."""
    h, longest = 0.04, 30
    for kept in (None, 1, 7):
        stay, left = np.zeros(longest + 1), np.zeros(longest + 1)
        for age in range(1, longest + 1):
            stay[age] += (1 - h) ** age
            for length in range(1, age + 1):
                if kept is None or age - length < kept:
                    left[length] += h * (1 - h) ** (length - 1)
        shown = study.shown_shares(h, longest, kept)
        np.testing.assert_allclose(shown["stay"], stay[1:], rtol=1e-12)
        np.testing.assert_allclose(shown["left"], left[1:], rtol=1e-12)
        later = study.shown_shares(h, longest, kept, first=11)
        np.testing.assert_allclose(
            later["left"] / later["stay"], left[11:] / stay[11:], rtol=1e-12)
    share = left / np.where(stay + left > 0, stay + left, 1)
    assert share[5] == pytest.approx(share[20])
    assert study.implied_hazard(share[5], 7) == pytest.approx(h)


def test_survivors_fall_without_loyalty(shipped):
    _, found = shipped
    shares = found.survivors["all_kept"].to_numpy()
    assert (np.diff(shares) < 0).all() and shares[0] > 2 * shares[-1]
    for hazard, kept in ((found.all_kept_hazard, None), (found.year_kept_hazard, study.YEAR)):
        shown = study.shown_shares(hazard, 60, kept)
        assert shown["left"].sum() / shown.to_numpy().sum() == pytest.approx(397 / 3500)
    assert found.implied["hazard"].iloc[0] == pytest.approx(found.within.rate.estimate)


# What was planted.


def test_the_planted_edge_and_flat_rate_are_recovered(shipped):
    _, found = shipped
    edge = netflix.TRUTH["churn"]["last_month"]
    change = found.change
    assert (change.month, change.low, change.high, change.places) == (edge, edge, edge, 1)
    assert change.p_value == 1 / (1 + study.RESAMPLES) and change.after.estimate == 0
    assert change.before.contains(netflix.CHURNED["Yes"] / netflix.EARLY[0])
    assert (found.tail.month, found.tail.subscribers, found.tail.months) == (edge, 2100, 36)
    assert found.tail.log10_p < -100 and found.constant.log10_p < -50
    # The generator deals churn evenly over the months, more so than chance would.
    assert found.within.p_trend > 0.5 and found.within.slope.contains(0)
    assert found.within.p_even < 0.001 < found.within.p_uneven
    c = found.comparisons["finding"]
    assert c["early_less_year"] == c["first_year_less_second"] == "inconclusive"
    assert c["first_year_less_later"] == c["two_years_less_later"] == "higher"


def test_a_planted_change_is_found_and_its_set_holds_it(few_draws):
    """30% up to month 9, 15% beyond: found in most tables, and in the set in nearly all."""
    rates = np.where(np.arange(1, 21) <= 9, 0.3, 0.15)
    inside = [
        change.low <= 9 <= change.high
        for change in (study.change_point(*drawn(seed, rates)) for seed in range(40))
        if change.p_value <= 0.05
    ]
    assert len(inside) >= 30 and sum(inside) >= 0.85 * len(inside)


def test_the_search_for_a_change_keeps_its_level(few_draws):
    """Looking everywhere is paid for: without a change few tables show one."""
    p = [study.change_point(*drawn(seed, np.full(15, 0.25))).p_value for seed in range(60)]
    assert sum(value <= 0.05 for value in p) <= 7
    assert np.quantile(p, 0.25) < 0.5 < np.quantile(p, 0.75)


def test_a_planted_slope_and_a_planted_early_rise_are_found():
    month, n, churned = drawn(8, np.linspace(0.45, 0.05, 20), 60, 90)
    w = analysed(month, n, churned).within
    assert w.p_trend < 0.001 and w.slope.contains(-0.4 / 19) and w.p_even > 0.01
    rates = np.where(np.arange(1, 31) <= 3, 0.5, 0.2)
    found = analysed(*drawn(9, rates, 80, 120))
    assert found.comparisons.loc["early_less_year", "finding"] == "higher"
    assert found.hazards.loc["early_less_year", "finding"] == "higher"
    assert found.change.low <= 3 <= found.change.high


# What must not matter, and odd tables.


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_twice_the_subscribers_keep_places_and_shares(seed):
    month, n, churned = drawn(seed, np.full(8, 0.3))
    churned[0] = max(churned[0], 1)
    churned[1] = min(churned[1], n[1] - 1)
    once, twice = analysed(month, n, churned), analysed(month, 2 * n, 2 * churned)
    assert once.change.month == twice.change.month
    assert twice.change.statistic == pytest.approx(2 * once.change.statistic)
    assert twice.within.z**2 == pytest.approx(2 * once.within.z**2)
    np.testing.assert_allclose(once.curve.survival, twice.curve.survival)
    np.testing.assert_allclose(once.comparisons["difference"], twice.comparisons["difference"])
    assert once.all_kept_hazard == pytest.approx(twice.all_kept_hazard, rel=1e-6)


def test_churn_turned_round_turns_the_change_round():
    month, n, churned = drawn(2, np.where(np.arange(15) < 6, 0.1, 0.4))
    found, other = (study.change_point(month, n, y) for y in (churned, n - churned))
    assert (found.month, found.statistic) == (other.month, pytest.approx(other.statistic))
    assert found.before.estimate == pytest.approx(1 - other.before.estimate)


@pytest.mark.parametrize("month, n, churned", [
    ([1, 2, 3], [4, 5, 6], [0, 0, 0]), ([1, 2, 3], [4, 5, 6], [4, 5, 6]), ([7], [9], [3]),
    ([0], [5], [2]), ([4], [1], [1]), ([4], [1], [0]), ([3, 30], [1, 1], [1, 0]),
    ([3, 30], [1, 1], [0, 1]), ([1, 2, 5], [3, 4, 9], [3, 4, 0]), ([0, 1], [3, 4], [1, 0]),
])
def test_odd_tables_give_results_that_json_can_hold(month, n, churned):
    found = analysed(month, n, churned)
    named = flatten({"lengths": found})
    assert json.loads(json.dumps(named, allow_nan=False)) == named
    total = sum(churned)
    assert (found.change is None) == (len(month) < 2 or total in (0, sum(n)))
    assert (found.tail is None) == (total == 0 or churned[-1] > 0)
    if found.within is not None:
        assert 0 < found.within.p_trend <= 1 and 0 < found.within.churned < found.within.subscribers


def test_very_long_subscriptions_are_grouped_for_the_eye_only(few_draws):
    month = np.arange(0, 900, 3)
    found = analysed(month, np.full(300, 5), np.full(300, 1))
    assert found.width == 8 and len(found.by_month) <= study.MOST_MONTHS
    assert found.by_month["subscribers"].sum() == 1500 and found.by_month["churned"].sum() == 300
    assert (found.by_month.index[1:] == found.by_month["to_month"][:-1] + 1).all()
    assert 0 < found.all_kept_hazard < 1 and found.survivors.notna().all(axis=None)


def test_the_shipped_counts_are_those_of_the_table(shipped):
    base, found = shipped
    assert found.by_month["churned"].tolist() == base.months["churned"].tolist()
    np.testing.assert_allclose(found.curve.hazard, base.months["hazard"])
    # Limits for all months together hold the limits for each alone.
    assert (found.by_month["low"].to_numpy() <= base.months["low"]).all()
    assert (found.by_month["high"].to_numpy() >= base.months["high"]).all()
