"""Association rules and odds ratios in strata against mlxtend, R, SciPy, statsmodels and truth."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.frequent_patterns import apriori, association_rules
from r_scripts import made_by_r
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests

from analysis.stats import rules, stratified
from analysis.stats.multiplicity import benjamini_hochberg

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "stratified.json").read_text())


def test_r_still_gives_the_committed_values(tmp_path):
    assert made_by_r(ORACLE / "stratified.R", tmp_path) == REFERENCE


@pytest.mark.parametrize("case", REFERENCE["single"])
def test_one_table_is_as_in_r(case):
    table = stratified.Conditional.of(*case["table"], case["odds_ratio"])
    assert math.exp(table.log_p_greater(case["odds_ratio"])) == pytest.approx(
        case["p_greater"], rel=1e-9)
    found = table.interval()
    # R stops its search at a tolerance of about 1e-4.
    for name in ("estimate", "low", "high"):
        assert getattr(found, name) == pytest.approx(case[name], rel=2e-3)


@pytest.mark.parametrize("case", REFERENCE["strata"])
def test_strata_are_as_in_r(case):
    columns = np.array(case["tables"]).T
    table = stratified.Conditional.of(*columns)
    assert math.exp(table.log_p_greater()) == pytest.approx(case["p_greater"], rel=1e-9)
    exact, usual = table.interval(), stratified.mantel_haenszel(*columns)
    for name in ("estimate", "low", "high"):
        assert getattr(exact, name) == pytest.approx(case[name], rel=2e-3)
    assert float(usual.estimate) == pytest.approx(case["mh"], rel=1e-9)
    assert float(usual.low) == pytest.approx(case["mh_low"], rel=1e-9)
    assert float(usual.high) == pytest.approx(case["mh_high"], rel=1e-9)


def test_mantel_haenszel_is_as_in_statsmodels():
    rng = np.random.default_rng(3)
    n = rng.integers(50, 500, (20, 4))
    row, column = (rng.integers(10, n - 10) for _ in "ab")
    both = rng.hypergeometric(row, n - row, column)
    found = stratified.mantel_haenszel(both, row, column, n)
    for i in range(20):
        cells = [
            [[a, r - a], [c - a, t - r - c + a]]
            for a, r, c, t in zip(both[i], row[i], column[i], n[i], strict=True)
        ]
        if min(map(min, itertools.chain(*cells))) < 0:
            continue
        other = StratifiedTable([np.array(cell, dtype=float) for cell in cells])
        assert found.estimate[i] == pytest.approx(other.oddsratio_pooled)
        low, high = other.oddsratio_pooled_confint()
        assert (found.low[i], found.high[i]) == pytest.approx((low, high))


tables = st.tuples(
    st.integers(1, 60), st.integers(1, 60), st.integers(0, 80), st.floats(0, 1), st.floats(0.1, 10)
)


@settings(max_examples=60)
@given(tables)
def test_one_table_is_as_in_scipy(drawn):
    row, column, more, where, odds = drawn
    total = max(row, column) + more
    least, most = max(0, row + column - total), min(row, column)
    both = least + round(where * (most - least))
    table = stratified.Conditional.of(both, row, column, total, odds)
    law = stats.nchypergeom_fisher(total, row, column, odds)
    counts = np.arange(least, most + 1)
    p = law.pmf(counts)
    assert math.exp(table.log_p_greater(odds)) == pytest.approx(
        p[counts >= both].sum() / p.sum(), rel=1e-6)
    assert table.mean(odds) == pytest.approx(counts @ p / p.sum(), rel=1e-6, abs=1e-9)
    # The mid-p counts half of the observed number's own probability.
    mid = (p[counts > both].sum() + 0.5 * p[counts == both].sum()) / p.sum()
    assert math.exp(table.log_p_greater(odds, mid=True)) == pytest.approx(mid, rel=1e-6)
    if least < both < most:
        limits = table.interval(0.9)
        for limit, tail in ((limits.low, counts >= both), (limits.high, counts <= both)):
            q = stats.nchypergeom_fisher(total, row, column, limit).pmf(counts)
            assert q[tail].sum() / q.sum() == pytest.approx(0.05, rel=1e-5)
    # The odds ratio that gives the expected count, and the expected count of that odds ratio.
    mean, _ = stratified.expected(row, column, total, odds)
    if least + 0.01 < mean < most - 0.01:
        again = stratified.odds_ratio_of(float(mean), row, column, total)
        assert again == pytest.approx(odds, rel=1e-4)


def test_strata_convolve():
    rng = np.random.default_rng(8)
    total = rng.integers(20, 60, 3)
    row, column = rng.integers(4, 15, 3), rng.integers(4, 15, 3)
    both = np.minimum(row, column) // 2
    ways = itertools.product(*(range(min(r, c) + 1) for r, c in zip(row, column, strict=True)))
    p = above = 0.0
    laws = [stats.hypergeom(t, r, c) for t, r, c in zip(total, row, column, strict=True)]
    for way in ways:
        weight = np.prod([law.pmf(k) for law, k in zip(laws, way, strict=True)]) * 1.7 ** sum(way)
        p += weight
        above += weight * (sum(way) >= both.sum())
    found = stratified.log_p_greater(both, row, column, total, 1.7)
    assert math.exp(found) == pytest.approx(above / p, rel=1e-9)


def test_large_strata_are_normal_and_agree_with_the_exact(monkeypatch):
    row, column, total = np.array([900, 800]), np.array([1_000, 700]), np.array([9_000, 7_000])
    both = np.array([115, 95])
    exact = stratified.log_p_greater(both, row, column, total, 1.1)
    monkeypatch.setattr(stratified, "MOST_EXACT", 10)
    normal = stratified.log_p_greater(both, row, column, total, 1.1)
    assert normal == pytest.approx(exact, rel=0.03)
    assert normal != exact


def test_far_tails_keep_their_digits():
    """A million baskets, and p far below what a float holds."""
    found = stratified.log_p_greater(40_000, 100_000, 90_000, 1_000_000)
    mean, variance = stratified.expected(100_000, 90_000, 1_000_000)
    z = (40_000 - mean) / math.sqrt(variance)
    assert -z**2 < found < -1_000


@pytest.mark.parametrize("table", [(5, 4, 6, 10), (2, 3, 4, 2), (-1, 3, 4, 20)])
def test_impossible_tables_are_refused(table):
    with pytest.raises(ValueError, match="no such table"):
        stratified.Conditional.of(*table)


def drawn_baskets(seed, items=7, baskets=200):
    rng = np.random.default_rng(seed)
    held = rng.random((baskets, items)) < rng.uniform(0.1, 0.6, items)
    held[rng.random(baskets) < 0.3, :2] = True
    return pd.DataFrame(held, columns=[f"C{i}" for i in range(items)])


@pytest.mark.parametrize("seed", range(4))
def test_measures_are_those_of_mlxtend(seed):
    """Support, confidence, lift, leverage, conviction of all rules on up to three items."""
    held = drawn_baskets(seed)
    frequent = apriori(held, min_support=0.005, use_colnames=True, max_len=3)
    listed = association_rules(frequent, metric="support", min_threshold=0.0)
    listed = listed[listed.consequents.map(len) == 1]
    assert {2, 1} == set(listed.antecedents.map(len))

    column = {name: held[name].to_numpy() for name in held}

    def count(items):
        return int(np.logical_and.reduce([column[item] for item in items]).sum())

    found = rules.measures(
        [count(a | c) for a, c in zip(listed.antecedents, listed.consequents, strict=True)],
        listed.antecedents.map(count), listed.consequents.map(count), len(held),
    )
    for name in found:
        np.testing.assert_allclose(found[name], listed[name], rtol=1e-12, err_msg=name)


def test_lift_interval_holds_the_lift_and_covers_it():
    """Drawn from tables of a known odds ratio, the limits miss on either side at most 2.5%."""
    found = rules.lift_interval(30, 100, 90, 1_000)
    assert found.low < found.estimate < found.high
    assert found.estimate == pytest.approx(30 * 1_000 / 9_000)
    rng = np.random.default_rng(2)
    odds = 2.5
    truth = stratified.Conditional.of(10, 100, 90, 1_000, odds).mean(odds) / 9
    draws = stats.nchypergeom_fisher.rvs(1_000, 100, 90, odds, size=400, random_state=rng)
    limits = [rules.lift_interval(int(n), 100, 90, 1_000) for n in draws]
    assert np.mean([i.low > truth for i in limits]) < 0.025 + 0.016
    assert np.mean([i.high < truth for i in limits]) < 0.025 + 0.016
    # Where every basket holds one side, there is nothing to vary.
    sure = rules.lift_interval(40, 40, 100, 100)
    assert (sure.estimate, sure.low, sure.high) == (1, 1, 1)


def counted(held):
    """Counts of all pairs of a table of baskets without empty ones."""
    held = held[held.any(axis=1)]
    both = held.T.astype(float) @ held
    first, second = np.triu_indices(held.shape[1], 1)
    items = np.diag(both)
    return {
        "both": both[first, second], "first": items[first], "second": items[second],
        "baskets": len(held), "together": both[first, second].sum(), "items": items.sum(),
        "squares": (items**2).sum(), "tests": len(first), "least": 10,
    }, list(zip(first, second, strict=True))


def orders(rng, n=12_000, items=30, rate=0.7, planted=((0, 1), (2, 3), (4, 5)), uneven=0.0):
    """Baskets of independent items, some pairs taken together; empty ones are not seen."""
    share = rng.dirichlet(np.full(items, 3.0))
    much = rng.gamma(1 / uneven, uneven, n) if uneven else np.ones(n)
    held = rng.random((n, items)) < -np.expm1(-rate * much[:, None] * share)
    for a, b in planted:
        whole = (held[:, a] | held[:, b]) & (rng.random(n) < 0.25)
        held[whole, a] = held[whole, b] = True
    return held


@pytest.mark.parametrize("uneven", [0.0, 2.0])
def test_planted_pairs_are_found_and_few_others(uneven):
    """Unseen empty baskets put the usual lift below 1, uneven customers above: both are learned."""
    missed, false = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        counts, pairs = counted(orders(rng, uneven=uneven, rate=3.0 if uneven else 0.7))
        tested = rules.outstanding_pairs(**counts)
        found = {pair for pair, is_found in zip(pairs, tested.found, strict=True) if is_found}
        missed.append(3 - len(found & {(0, 1), (2, 3), (4, 5)}))
        false.append(len(found - {(0, 1), (2, 3), (4, 5)}) / max(len(found), 1))
        if uneven:
            assert tested.null.usual > 1.3
            assert (rules.by_independence(
                counts["both"], counts["first"], counts["second"], counts["baskets"],
                counts["tests"]) <= 0.05).sum() > 100
        else:
            assert tested.null.usual == pytest.approx(-math.expm1(-0.7), rel=0.06)
    assert sum(missed) == 0
    assert np.mean(false) < 0.1


def test_without_planted_pairs_hardly_any_set_of_orders_has_one():
    """False discovery rate with nothing to discover is the chance of any find."""
    finds = 0
    for seed in range(40):
        counts, _ = counted(orders(np.random.default_rng(seed), n=5_000, items=15, planted=()))
        finds += rules.outstanding_pairs(**counts).found.any()
    assert stats.binomtest(finds, 40, 0.05, "greater").pvalue > 0.01


def test_pairs_that_all_differ_widen_the_null():
    """Where lifts vary from pair to pair, standing out takes more."""
    rng = np.random.default_rng(6)
    first = second = np.full(400, 2_000.0)
    lifts = rng.lognormal(0, 0.3, 400)
    both = rng.poisson(lifts * first * second / 20_000)
    arguments = {"together": float(both.sum()), "squares": 0.0, "tests": 400, "least": 10,
                 "items": math.sqrt(2 * 400 * 2_000 * 2_000)}
    tested = rules.outstanding_pairs(both, first, second, 20_000, **arguments)
    spread = np.sqrt(1 + 0.3**2 * 200 / 0.81)  # variance of a count over that of chance alone
    assert tested.null.spread == pytest.approx(spread, rel=0.25)
    assert tested.found.sum() <= 10
    assert (rules.by_independence(both, first, second, 20_000, 400) <= 0.05).sum() > 60


def test_tests_that_were_not_made_count():
    p = np.array([0.001, 0.004, 0.03])
    every = multipletests(np.append(p, np.ones(97)), method="fdr_bh")[1][:3]
    np.testing.assert_allclose(benjamini_hochberg(p, 100), every)
    np.testing.assert_allclose(benjamini_hochberg(p), multipletests(p, method="fdr_bh")[1])
    with pytest.raises(ValueError, match="at least the 3 p-values"):
        benjamini_hochberg(p, 2)


def test_more_than_pairs_needs_all_three():
    """A pair with a bystander is explained by the pair; three bought as one are not."""
    rng = np.random.default_rng(4)
    held = rng.random((8_000, 6)) < 0.1
    whole = rng.random(8_000) < 0.02
    held[np.ix_(whole, [0, 1, 2])] = True
    held[rng.random(8_000) < 0.05, 3:5] = True
    held = held.astype(float)
    sets = [(0, 1, 2), (3, 4, 5), (0, 3, 5)]
    triple = [np.prod(held[:, s], axis=1).sum() for s in map(list, sets)]
    pairs = [
        [(held[:, s[i]] * held[:, s[j]]).sum() for i, j in ((0, 1), (0, 2), (1, 2))] for s in sets
    ]
    singles = [held[:, list(s)].sum(axis=0) for s in sets]
    p, lifts = rules.more_than_pairs(triple, pairs, singles)
    assert p[0] < 1e-10
    assert p[1] > 0.01 and p[2] > 0.01
    # The least of the three tests, made by SciPy, and the lifts among baskets with each.
    for k, (s, n) in enumerate(zip(sets, triple, strict=True)):
        alone = []
        for item in s:
            one, other = (held[held[:, item] > 0][:, x] for x in s if x != item)
            cells = pd.crosstab(one, other).to_numpy()
            alone.append(stats.fisher_exact(cells, "greater").pvalue)
            assert lifts[k, s.index(item)] == pytest.approx(
                n * len(one) / (one.sum() * other.sum()))
        assert p[k] == pytest.approx(max(alone), rel=1e-6)


def test_wilson_limits():
    low, high = rules.share_limits([3, 0, 0], [10, 7, 0])
    for i, (k, n) in enumerate([(3, 10), (0, 7)]):
        interval = stats.binomtest(k, n).proportion_ci(method="wilson")
        assert (low[i], high[i]) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert (low[2], high[2]) == (0, 1)


def test_counts_that_no_baskets_hold_are_refused():
    with pytest.raises(ValueError, match="no baskets hold"):
        rules.measures([5], [4], [6], 20)
    with pytest.raises(ValueError, match="no baskets hold"):
        rules.measures([1], [15], [16], 20)
