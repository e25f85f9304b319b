"""Shares, ranks and majorities: R, statsmodels, slow definitions, simulated truth."""

import itertools
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
from scipy.stats import binomtest
from statsmodels.stats.proportion import multinomial_proportions_confint
from test_churn_reductions import assert_same, subscribers, tables

from analysis.churn import mix as study
from analysis.churn.mix import FACTORS, Majority
from analysis.churn.reductions import reduce
from analysis.results import flatten
from analysis.stats.multiplicity import holm

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "mix.json").read_text())


def analysed(frame: pd.DataFrame) -> study.Mix:
    """What comes of the counts of a table, as the reductions give them."""
    counts = {
        factor: frame.groupby(factor, as_index=False).size().set_axis(
            ["value", "subscribers"], axis=1)
        for factor in FACTORS
    }
    return study.mix(SimpleNamespace(subscribers=len(frame), churn_by_category=counts))


def of_counts(counts, names="abcdefghijkl") -> study.Mix:
    """Subscribers whose genres have these counts."""
    genre = np.repeat(list(names[:len(counts)]), counts)
    return analysed(pd.DataFrame({"genre": genre, "region": "r", "device": "d", "plan": "p"}))


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "mix.R", tmp_path)
    for case, values in REFERENCE.items():
        for name, expected in values.items():
            np.testing.assert_allclose(fresh[case][name], expected, rtol=1e-9)


@pytest.mark.parametrize("case", list(REFERENCE))
def test_intervals_tests_and_ranks_equal_r(case):
    r = REFERENCE[case]
    found = of_counts(r["counts"])
    shares, test = found.shares.loc["genre"], found.tests.loc["genre"]
    assert shares["subscribers"].tolist() == r["counts"]
    np.testing.assert_allclose(shares["low"], r["low"], rtol=1e-8)
    np.testing.assert_allclose(shares["high"], r["high"], rtol=1e-8)
    assert test["statistic"] == pytest.approx(r["statistic"], rel=1e-12)
    assert test["p_value"] == pytest.approx(r["p"], rel=1e-8)
    assert test["w"] == pytest.approx(math.sqrt(r["statistic"] / sum(r["counts"])))
    assert shares["rank_low"].tolist() == r["best"]
    assert shares["rank_high"].tolist() == r["worst"]
    assert test["pairs_shown"] == sum(rank - 1 for rank in r["best"])


@pytest.mark.parametrize("counts", [[56, 72, 73, 59, 62, 87, 58], [1027, 5], [300, 200, 7]])
def test_intervals_are_goodmans(counts):
    counts = sorted(counts, reverse=True)
    shares = of_counts(counts).shares.loc["genre"]
    alpha = 0.05 * (2 if len(counts) == 2 else 1)  # of two shares one tells the other
    expected = multinomial_proportions_confint(counts, alpha=alpha, method="goodman")
    np.testing.assert_allclose(shares[["low", "high"]], expected, rtol=1e-9)


def test_intervals_hold_together_as_often_as_they_say():
    """Of all values at once, and of the largest two, whichever these are."""
    rng = np.random.default_rng(3)
    truth = np.array([0.28, 0.27, 0.2, 0.15, 0.1])
    every, leaders, runs = 0, 0, 800
    for counts in rng.multinomial(400, truth, size=runs):
        order = np.argsort(-counts, kind="stable")
        ends = np.array([(i.low, i.high) for i in (
            study.simultaneous(int(n), 400, 5) for n in counts)])
        every += bool(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).all())
        two = study.leading(pd.Series(counts[order]), 2)
        leaders += two.low <= truth[order[:2]].sum() <= two.high
    # One-sided 99.9% limits of a share of 95% in so many runs.
    assert every / runs > 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / runs)
    assert leaders / runs > 0.95 - 3.1 * math.sqrt(0.95 * 0.05 / runs)
    assert every / runs < 0.99


@pytest.mark.parametrize(
    "truth", [[0.2] * 5, [0.3, 0.3, 0.2, 0.1, 0.1], [0.6, 0.2, 0.1, 0.06, 0.04]])
def test_no_order_that_is_shown_is_wrong_more_often_than_said(truth):
    rng = np.random.default_rng(5)
    truth = np.array(truth)
    wrong, held, shown, runs = 0, 0, 0, 600
    for counts in rng.multinomial(1_000, truth, size=runs):
        order = np.argsort(-counts, kind="stable")
        larger = study.shown_larger(counts[order])
        p = truth[order]
        wrong += bool((larger & (p[:, None] <= p[None, :])).any())
        best, worst = study.ranks(larger)
        rank = 1 + (p[None, :] > p[:, None]).sum(axis=1)
        held += bool(((best <= rank) & (rank <= worst)).all())
        shown += int(larger.sum())
    assert wrong / runs < 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / runs)
    assert held >= runs - wrong
    # Where there are clear orders most of them are found.
    apart = sum(a != b for a, b in itertools.combinations(truth, 2))
    assert shown / runs > 0.75 * apart


def slow_larger(counts, alpha=0.05):
    """All ordered pairs, tested one by one and corrected together."""
    pairs = list(itertools.permutations(range(len(counts)), 2))
    p = [binomtest(int(counts[a]), int(counts[a] + counts[b]), alternative="greater").pvalue
         for a, b in pairs]
    return {pair for pair, q in zip(pairs, holm(p), strict=True) if q <= alpha}


@settings(max_examples=40)
@given(counts=st.lists(st.integers(1, 400), min_size=2, max_size=7))
def test_shown_orders_equal_the_slow_definition(counts):
    counts = np.array(sorted(counts, reverse=True))
    larger = study.shown_larger(counts)
    assert {tuple(map(int, pair)) for pair in np.argwhere(larger)} == slow_larger(counts)


def test_pairs_that_differ_by_what_a_table_resolves_are_about_told_apart():
    """The first step: two values about `resolves` apart are shown, half of that is not."""
    base = of_counts([700] * 5)
    apart = base.tests.loc["genre", "resolves"]
    assert 100 < apart < 110
    for factor, shown in ((1.1, True), (0.5, False)):
        half = round(factor * apart / 2)
        found = of_counts([700 + half, 700, 700, 700, 700 - half])
        assert bool(found.tests.loc["genre", "pairs_shown"]) is shown


def test_values_beyond_those_compared_are_left_open():
    counts = np.array([10_000] + [9_999] * study.COMPARED + [1])
    larger = study.shown_larger(counts)
    best, worst = study.ranks(larger)
    assert not larger.any() and (best == 1).all() and (worst == len(counts)).all()
    clear = np.array([10**6] + [1_000] * study.COMPARED)
    best, worst = study.ranks(study.shown_larger(clear))
    assert (best[1:-1] == 2).all() and best[-1] == 1 and worst[0] == 2


@settings(max_examples=25)
@given(counts=st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_what_always_holds(counts):
    found = of_counts(counts)
    shares, test = found.shares.loc["genre"], found.tests.loc["genre"]
    assert shares["share"].sum() == pytest.approx(1)
    assert shares["subscribers"].is_monotonic_decreasing
    assert (shares["low"] <= shares["share"]).all() and (shares["share"] <= shares["high"]).all()
    assert (shares["rank_low"] <= shares["rank_high"]).all()
    position = np.arange(1, len(shares) + 1)
    assert (shares["rank_low"] <= position).all() and (position <= shares["rank_high"]).all()
    half = int(test["half"])
    total = sum(counts)
    assert shares["subscribers"].iloc[:half].sum() * 2 > total
    assert shares["subscribers"].iloc[:half - 1].sum() * 2 <= total
    for m in (1, 2):
        if m < len(counts):
            row = found.leaders.loc[("genre", m)]
            assert row["share"] == pytest.approx(shares["share"].iloc[:m].sum())
            assert row["low"] <= row["share"] <= row["high"]
            expected = "shown" if row["low"] > 0.5 else "excluded" if row["high"] < 0.5 else "open"
            assert row["majority"] == expected
    if len(counts) > 1:
        assert test["deviation"] <= test["deviation_high"]
        assert test["equal"] == 1 / len(counts)
    else:
        assert math.isnan(test["p_value"]) and pd.isna(test["method"])


def test_majorities():
    def verdicts(counts):
        return of_counts(counts).leaders["majority"].loc["genre"].tolist()

    assert verdicts([900, 50, 50]) == [Majority.SHOWN, Majority.SHOWN]
    assert verdicts([400, 350, 250]) == [Majority.EXCLUDED, Majority.SHOWN]
    assert verdicts([260, 250, 250, 240]) == [Majority.EXCLUDED, Majority.OPEN]
    assert verdicts([210, 200, 200, 200, 190]) == [Majority.EXCLUDED, Majority.EXCLUDED]
    assert verdicts([600, 400]) == [Majority.SHOWN]
    assert verdicts([505, 495]) == [Majority.OPEN]
    assert "genre" not in of_counts([500]).leaders.index


def test_p_values_are_corrected_over_the_factors():
    rng = np.random.default_rng(2)
    frame = subscribers(2, 900, plan=rng.choice(["A", "B"], 900, p=[0.6, 0.4]), device="one")
    tests = analysed(frame).tests
    assert list(tests.index) == list(FACTORS)
    told = tests["p_value"].dropna()
    assert list(told.index) == ["genre", "region", "plan"]
    np.testing.assert_allclose(tests.loc[told.index, "p_adjusted"].astype(float), holm(told))
    assert math.isnan(tests.loc["device", "p_adjusted"])


def test_order_and_names_do_not_matter():
    frame = subscribers(7, 300)
    renamed = frame.sample(frac=1, random_state=1).assign(
        genre=lambda f: "x" + f["genre"], region=lambda f: f["region"].map(
            {"North": "a", "South": "b", "-": "c"}))
    first, second = analysed(frame), analysed(renamed)
    for name in ("tests", "leaders"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    np.testing.assert_allclose(first.shares.drop(columns="subscribers").to_numpy(dtype=float),
                               second.shares.drop(columns="subscribers").to_numpy(dtype=float))


@pytest.mark.parametrize("n", [1, 40])
def test_results_have_names(n):
    """And the reductions of a table give what its counts give."""
    frame = subscribers(n, n)
    found = flatten(study.mix(reduce(tables(frame).table("subscribers"))))
    assert found["subscribers"] == n
    assert_same(found, flatten(analysed(frame)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_the_shipped_table(netflix_study):
    """Even by genre, region and device in truth; by plan far from it."""
    found = netflix_study.mix
    tests = found.tests
    assert tests.loc["plan", "p_adjusted"] < 1e-50 and tests.loc["plan", "pairs_shown"] == 3
    for factor in ("genre", "region", "device"):
        assert tests.loc[factor, "p_adjusted"] > 0.5 and tests.loc[factor, "pairs_shown"] == 0
        assert tests.loc[factor, "deviation_high"] < 0.03
        assert (found.shares.loc[factor, "rank_low"] == 1).all()
    assert found.leaders.loc[("region", 2), "share"] == pytest.approx((607 + 604) / 3500)
    assert found.leaders["majority"].loc["region"].tolist() == ["excluded", "excluded"]
    assert tests.loc["region", "half"] == 3
