"""Stored simulations: one is run again; intervals, tests and decisions keep their promise."""

import numpy as np
import pandas as pd
import pytest
import scripts
from scipy import stats

from analysis import recovery
from analysis.experiment.decision import Action
from analysis.report import methods
from analysis.simulate import trialers

NUMBERS = ["truth", "estimate", "low", "high"]


@pytest.fixture(scope="module")
def script():
    return scripts.load(scripts.BENCH / "recovery.py")


@pytest.fixture(scope="module")
def stored(script):
    return {study: recovery.runs(study) for study in script.STUDIES}


@pytest.mark.parametrize(("study", "world"), [("customers", "null"), ("trialers", "works")])
def test_a_stored_run_is_what_the_study_finds_today(script, stored, study, world):
    again = script.run(study, world, 7)
    runs = stored[study]
    kept = runs[(runs["world"] == world) & (runs["seed"] == 7)]
    assert again["quantity"].tolist() == kept["quantity"].tolist()
    np.testing.assert_allclose(again[NUMBERS], kept[NUMBERS], rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("study", ["customers", "trialers"])
def test_truths_are_those_of_the_generator(script, stored, study):
    for world, times in script.worlds(study).items():
        part = stored[study][(stored[study]["world"] == world) & stored[study]["truth"].notna()]
        truths = part.groupby("quantity", sort=False)["truth"]
        assert (truths.nunique() == 1).all() and (truths.size() == times).all()
        if study == "customers" or world == "works":  # for the others half a minute each
            assert dict(truths.first()) == pytest.approx(script.truths(study, world), rel=1e-5)


def test_worlds_of_the_widget_are_what_they_are_called(stored):
    """Differences that a world has by its making, and shares where nobody differs from another."""
    truth = recovery.coverage(stored["trialers"]).set_index(["world", "quantity"])["truth"]
    alike = ["engagement", "conversion", "all three tasks", "completions"]
    assert (truth.loc["null", alike] == 0).all() and (truth.loc["nothing", alike] == 0).all()
    engages = truth["engages"]
    assert engages["engagement"] > 0.15
    assert (engages[alike[1:]] == 0).all()
    assert engages["first trouble: CS by the lot, completed"] == 0
    assert truth["works", "conversion"] > 0.015 > 0 > truth["harms", "conversion"]
    flat = 1 / (1 + np.exp(-trialers.NULL.conversion[0]))
    assert truth["null"].filter(like="converted after").tolist() == pytest.approx([flat] * 4)
    with_help = truth["null"].filter(like="completed with")
    assert len(with_help) == 5 and np.ptp(with_help) == 0
    assert (truth["null"].filter(like="as it comes") == 0).all()


@pytest.mark.parametrize("study", ["customers", "trialers"])
def test_intervals_hold_the_truth_at_their_nominal_rate(stored, study):
    """Each within what chance gives exact intervals, their number allowed for (Bonferroni)."""
    frame = recovery.coverage(stored[study])
    limit = 0.05 / len(frame)
    for row in frame.itertuples():
        held = round(row.covered * row.runs)
        p = stats.binomtest(held, row.runs, 0.95).pvalue
        assert p > limit, (row.world, row.quantity, row.covered)
    assert frame["covered"].mean() == pytest.approx(0.95, abs=0.01)


def test_estimates_lie_around_the_truth(stored):
    # Ratios and amplitudes are biased upwards in small samples by their nature; logs are not. The
    # app's truths are exact; the widget's are those of a million people, off by up to 0.001.
    for study, straight, off in (
        ("customers", "trend|release|difference|Mon|Sat", 0.0), ("trialers", "", 0.001)
    ):
        frame = recovery.coverage(stored[study])
        frame = frame[frame["quantity"].str.contains(straight)]
        z = (frame["mean"] - frame["truth"]) / np.hypot(frame["error"], off)
        assert z.abs().max() < 4, frame[z.abs() >= 4]


def test_the_plain_comparison_of_help_is_biased_and_the_lot_is_not(stored):
    frame = recovery.readings(stored["trialers"]).set_index(["world", "quantity"])
    for world in ("works", "harms"):
        naive, adjusted, lot = (frame.loc[world, name] for name in ("naive", "adjusted", "moved"))
        assert naive["covered"] == adjusted["covered"] == 0
        assert naive["mean"] < adjusted["mean"] < 0 < naive["truth"]
        assert abs(lot["mean"] - lot["truth"]) < 4 * lot["error"]
        held = round(lot["covered"] * lot["runs"])
        assert stats.binomtest(held, int(lot["runs"]), 0.95).pvalue > 0.05 / 3  # three worlds
    # Where CS does nothing, the plain comparison says that it harms, every time.
    assert frame.loc[("engages", "naive"), "truth"] == 0
    assert frame.loc[("engages", "naive"), "covered"] == 0


def test_tests_reject_where_there_is_nothing_as_often_as_they_say(stored):
    """Each at 5%, their number allowed for; all of them together not more often than that."""
    runs = stored["trialers"]
    null = runs[(runs["world"] == "null") & runs["quantity"].str.startswith(recovery.TEST)]
    rejected = null.groupby("quantity", sort=False)["estimate"].agg(["sum", "size"])
    assert len(rejected) > 70 and (rejected["size"] >= 195).all()
    for name, row in rejected.iterrows():
        p = stats.binomtest(int(row["sum"]), int(row["size"]), 0.05).pvalue
        assert p > 0.05 / len(rejected), (name, row["sum"] / row["size"])
    # Within two standard errors, but for as many as chance puts beyond them.
    share = rejected["sum"] / rejected["size"]
    off = (share - 0.05).abs() > 2 * np.sqrt(0.05 * 0.95 / rejected["size"])
    outside = 1 - np.diff(stats.binom.cdf([3, 16], 200, 0.05)).item()  # 4 to 16 of 200
    assert stats.binomtest(int(off.sum()), len(off), outside, "greater").pvalue > 0.01
    primary = share.filter(like="primary")
    assert len(primary) == 2 and (abs(primary - 0.05) <= 2 * np.sqrt(0.05 * 0.95 / 200)).all()
    by_run = null.groupby("seed")["estimate"].mean()
    assert by_run.mean() < 0.05 + 2 * by_run.sem()


def test_no_effect_is_seldom_found_and_seldom_shipped(stored):
    shares = recovery.decisions(stored["customers"])
    assert shares.sum().tolist() == pytest.approx([1, 1])
    assert shares.loc["ship", "null"] < 0.06
    assert shares.loc["ship", "planted"] > 0.5


def test_the_recommendation_follows_the_world(stored):
    shares = recovery.decisions(stored["trialers"])
    assert shares.sum().tolist() == pytest.approx([1] * 5)
    double, longer, pivot = Action.DOUBLE_DOWN, Action.LONGER, Action.PIVOT
    assert shares["works"].idxmax() == double
    assert shares["harms"].idxmax() == pivot and shares.loc[double, "harms"] == 0
    for world in ("nothing", "null"):  # nobody notices it: there is nothing to build on
        assert shares[world].idxmax() == pivot and shares.loc[double, world] < 0.05
    # It brings people to CS, where nothing is better: more days, or none, but no roll-out.
    assert shares.loc[double, "engages"] < 0.1
    assert shares.loc[[longer, pivot], "engages"].sum() > 0.9
    assert shares.loc["distrust"].max() < 0.05


def test_coverage_counts_intervals():
    frame = pd.DataFrame({
        "world": "w", "seed": range(10), "quantity": "q", "truth": 1.0,
        "estimate": np.arange(10.0), "low": [0.0] * 8 + [2.0] * 2, "high": 3.0,
    })
    others = [frame.assign(quantity=f"{prefix}x")
              for prefix in (recovery.TEST, recovery.READING, recovery.DECISION)]
    (row,) = recovery.coverage(pd.concat([frame, *others])).itertuples()
    assert (row.runs, row.covered, row.mean) == (10, 0.8, 4.5)
    assert row.covered_low == pytest.approx(0.4901625)  # Wilson, 8 of 10
    assert recovery.readings(pd.concat([frame, *others]))["quantity"].tolist() == ["x"]
    said = methods.coverage_sentence({"customers": pd.concat([
        frame.assign(world=world, quantity="views: trend") for world in ("planted", "null")])})
    assert "Over 2 quantities" in said and "80.0% to 80.0%" in said
