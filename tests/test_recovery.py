"""The stored simulations: one is run again, and their intervals keep their promise."""

import numpy as np
import pandas as pd
import pytest
import scripts
from scipy import stats

from analysis import recovery
from analysis.report import methods


@pytest.fixture(scope="module")
def script():
    return scripts.load(scripts.BENCH / "recovery.py")


@pytest.fixture(scope="module")
def stored():
    return recovery.runs("customers")


def test_a_stored_run_is_what_the_study_finds_today(script, stored):
    again = script.estimates("null", 7)
    kept = stored[(stored["world"] == "null") & (stored["seed"] == 7)]
    assert again["quantity"].tolist() == kept["quantity"].tolist()
    numbers = ["truth", "estimate", "low", "high"]
    np.testing.assert_allclose(again[numbers], kept[numbers], rtol=1e-5, atol=1e-9)


def test_truths_are_those_of_the_generator(script, stored):
    for world in script.WORLDS:
        part = stored[(stored["world"] == world) & stored["truth"].notna()]
        truths = part.groupby("quantity", sort=False)["truth"]
        assert (truths.nunique() == 1).all() and (truths.size() == script.RUNS).all()
        assert dict(truths.first()) == pytest.approx(script.truths(world), rel=1e-5)


def test_intervals_hold_the_truth_at_their_nominal_rate(stored):
    """Each within what chance gives exact intervals, their number allowed for (Bonferroni)."""
    frame = recovery.coverage(stored)
    limit = 0.05 / len(frame)
    for row in frame.itertuples():
        held = round(row.covered * row.runs)
        p = stats.binomtest(held, row.runs, 0.95).pvalue
        assert p > limit, (row.world, row.quantity, row.covered)
    assert frame["covered"].mean() == pytest.approx(0.95, abs=0.01)


def test_estimates_lie_around_the_truth(stored):
    frame = recovery.coverage(stored).set_index("quantity")
    # Ratios and amplitudes are biased upwards in small samples by their nature; logs are not.
    straight = frame[frame.index.str.contains("trend|release|difference|Mon|Sat")]
    z = (straight["mean"] - straight["truth"]) / straight["error"]
    assert z.abs().max() < 4, z


def test_no_effect_is_seldom_found_and_seldom_shipped(stored):
    shares = recovery.decisions(stored)
    assert shares.sum().tolist() == pytest.approx([1, 1])
    assert shares.loc["ship", "null"] < 0.06
    assert shares.loc["ship", "planted"] > 0.5


def test_coverage_counts_intervals():
    frame = pd.DataFrame({
        "world": "w", "seed": range(10), "quantity": "q", "truth": 1.0,
        "estimate": np.arange(10.0), "low": [0.0] * 8 + [2.0] * 2, "high": 3.0,
    })
    (row,) = recovery.coverage(frame).itertuples()
    assert (row.runs, row.covered, row.mean) == (10, 0.8, 4.5)
    assert row.covered_low == pytest.approx(0.4901625)  # Wilson, 8 of 10
    said = methods.coverage_sentence({"customers": pd.concat([
        frame.assign(world=world, quantity="views: trend") for world in ("planted", "null")])})
    assert "Over 2 quantities" in said and "80.0% to 80.0%" in said
