"""Signs in events: exact under their null hypothesis, and powerful where a process is not it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "forensics")]

from trialer_measure import SIZES, verdict  # noqa: E402
from trialer_worlds import WORLDS  # noqa: E402

from analysis.forensics import arrivals, closeness, measured, pvalues, shapes  # noqa: E402


def uniform(p_values) -> float:
    return stats.kstest(p_values, "uniform").pvalue


def test_bursts_are_unmoved_by_a_steep_course_and_found_where_there_are_any():
    rng = np.random.default_rng(1)
    slope = np.concatenate([np.linspace(1, 40, 300), np.linspace(40, 1, 300)])
    found = [arrivals.bursts(rng.poisson(slope).tolist()) for _ in range(150)]
    assert uniform([f.p_over for f in found]) > 0.01
    assert np.mean([f.index for f in found]) == pytest.approx(1, abs=0.02)
    assert np.mean([f.low < 1 < f.high for f in found]) > 0.9
    # The plain index of dispersion takes the slope for bursts.
    assert arrivals.dispersion(rng.poisson(slope).reshape(-1, 60)).p_over < 1e-6
    mailing = slope + 60 * (np.arange(600) % 150 < 10) * (np.arange(600) % 2)
    assert arrivals.bursts(rng.poisson(mailing).tolist()).p_over < 1e-6
    assert arrivals.bursts(np.round(slope).astype(int).tolist()).p_under < 1e-6
    assert arrivals.bursts([1] * 12) is None and arrivals.bursts([9, 9]) is None


def gaps_of(seconds: np.ndarray) -> pd.DataFrame:
    at = np.unique(seconds)
    rows = pd.DataFrame({"row": at[:-1] // 600, "gap": np.diff(at)})
    return rows.groupby(["row", "gap"]).size().reset_index(name="n")


def test_regularity_is_exact_for_poisson_and_sees_clockworks_and_clusters():
    rng = np.random.default_rng(2)

    def of(times) -> arrivals.Regularity:
        rows = gaps_of(np.floor(times).astype(int))
        return arrivals.regularity(rows["row"], rows["gap"], rows["n"])

    found = [of(rng.uniform(0, 86_400, n)) for n in np.repeat([3_000, 20_000], 60)]
    assert np.mean([f.index for f in found]) == pytest.approx(1, abs=0.01)
    assert uniform([f.p_over for f in found]) > 0.01
    assert np.mean([f.low < 1 < f.high for f in found]) > 0.9
    assert of(np.arange(0, 86_400, 20) + rng.uniform(0, 4, 4_320)).p_under < 1e-9
    centres = rng.uniform(0, 86_400, 600)
    assert of(np.repeat(centres, 6) + rng.exponential(30, 3_600)).p_over < 1e-9
    assert arrivals.regularity([0] * 2, [1, 1], [5, 7]) is None
    assert arrivals.regularity([], [], []) is None
    with pytest.raises(ValueError):
        arrivals.regularity([0], [0], [1])


def test_coincidences_count_as_poisson_and_see_draws_without_replacement():
    rng = np.random.default_rng(3)

    def of(seconds) -> arrivals.Coincidences:
        minutes = np.bincount(seconds // 60, minlength=1_440)
        n = np.unique(seconds, return_counts=True)[1]
        return arrivals.coincidences(int((n * (n - 1) // 2).sum()), minutes.tolist(), 60)

    found = [of(rng.integers(0, 86_400, 4_000)) for _ in range(150)]
    # Discrete p-values lie a little high.
    assert np.mean([f.p_over < 0.05 for f in found]) < 0.1
    assert np.mean([f.low < 1 < f.high for f in found]) > 0.9
    assert of(rng.choice(86_400, 4_000, replace=False)).p_under < 1e-9
    assert of(np.repeat(rng.integers(0, 86_400, 2_000), 2)).p_over < 1e-9
    assert arrivals.coincidences(0, [1, 1], 60) is None


@settings(max_examples=25)
@given(st.integers(10, 400), st.integers(10, 400), st.integers(0, 2**31))
def test_runs_equal_wald_and_wolfowitz(first, second, seed):
    order = np.random.default_rng(seed).permutation(np.repeat([0, 1], [first, second]))
    changes = int((order[1:] != order[:-1]).sum())
    found = closeness.runs(first, second, changes)
    n = first + second
    mean = 2 * first * second / n + 1
    variance = (mean - 1) * (mean - 2) / (n - 1)
    z = (changes + 1 - mean) / variance**0.5
    assert found.p_more == pytest.approx(stats.norm.sf(z))
    assert found.p_more + found.p_fewer == pytest.approx(1)
    assert closeness.runs(second, first, changes) == found


def test_runs_see_blocks_and_sorted_cohorts():
    assert closeness.runs(50, 50, 99).p_more < 1e-9
    assert closeness.runs(50, 50, 1).p_fewer < 1e-9
    assert closeness.runs(9, 50, 5) is None
    with pytest.raises(ValueError):
        closeness.runs(20, 20, 40)


DRAWS = {
    "log-normal": lambda rng, n: np.exp(rng.normal(6, 0.9, n)),
    "normal": lambda rng, n: rng.normal(900, 150, n),
    "Weibull": lambda rng, n: 900 * rng.weibull(0.6, n),
    "gamma": lambda rng, n: rng.gamma(4, 200, n),
    "uniform": lambda rng, n: rng.uniform(60, 3_000, n),
}


def shape_of(seconds: np.ndarray, **options) -> shapes.Shape:
    """The shape of durations between two times of a clock of seconds."""
    start = np.random.default_rng(0).random(len(seconds))
    values, counts = np.unique(np.floor(start + seconds).astype(int), return_counts=True)
    there = values > 0
    return shapes.shape(values[there], counts[there], **options)


@pytest.mark.parametrize("family", DRAWS)
def test_simple_shapes_are_recognised_even_cut_off(family):
    rng = np.random.default_rng(4)
    drawn = DRAWS[family](rng, 12_000)
    for values in (drawn, drawn[drawn < np.quantile(drawn, 0.93)]):
        found = shape_of(values)
        assert found.p_simple < 1e-6 and found.p_other > 1e-3
        assert found.high < 0.06 and found.cells["n"].sum() == found.n <= len(values)
        assert found.cells["expected"].sum() == pytest.approx(found.n)
    if family in ("log-normal", "uniform"):  # others resemble each other
        assert shape_of(drawn).family == family


def test_mixtures_have_none_of_the_shapes():
    rng = np.random.default_rng(5)
    quick, slow = rng.gamma(2, 8, 4_000), np.exp(rng.normal(7, 0.6, 4_000))
    found = shape_of(np.concatenate([quick, slow]))
    assert found.p_simple > 0.99 and found.p_other < 1e-9 and found.low > 0.1
    timer = np.concatenate([rng.exponential(500, 3_000), np.full(1_500, 300) + rng.random(1_500)])
    assert shape_of(timer).p_other < 1e-9
    assert shape_of(quick[:150]) is None
    assert shape_of(rng.integers(1, 4, 5_000)) is None  # too few different values
    with pytest.raises(ValueError):
        shape_of(quick, margin=0)


def test_p_values_of_true_shapes_are_those_of_chi_squared():
    rng = np.random.default_rng(6)
    found = [shape_of(DRAWS["log-normal"](rng, 2_000)) for _ in range(40)]
    assert np.mean([f.p_other < 0.05 for f in found]) <= 0.125
    assert np.mean([f.statistic / f.df for f in found]) == pytest.approx(1, abs=0.2)


def test_some_is_a_partial_conjunction_of_two_or_more():
    assert np.isnan(pvalues.some([0.01], 0.5)) and np.isnan(pvalues.some([0.01, np.nan], 1.0))
    assert pvalues.some([0.01, 0.02, 0.9, 0.9], 0.5) == pvalues.partial_conjunction(
        [0.01, 0.02, 0.9, 0.9], 2)
    assert pvalues.some([0.01, 0.02, np.nan], 1.0) == 1.0


# Logs of known origin.


def test_worlds_are_tables_of_the_contract():
    for make in WORLDS.values():
        frames = make(1, 240)
        known = set(frames["test_cohorts"]["customer_id"])
        assert frames["test_cohorts"]["customer_id"].is_unique
        assert frames["test_cohorts"]["cohort"].isin(["Test", "Control"]).all()
        conversion = frames["conversion"]
        assert (conversion["converted_at"].notna() == (conversion["converted"] == 1)).all()
        for name, column in (("product_activity", "action"), ("help_activity", "channel")):
            rows = frames[name]
            assert set(rows["customer_id"]) <= known and set(rows["task"]) <= {1, 2, 3}
            assert not rows.duplicated().any() and rows.notna().all().all()
            allowed = {"start", "complete"} if column == "action" else {
                "ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER"}
            assert set(rows[column]) <= allowed
        again = make(1, 240)
        assert all(frames[name].equals(again[name]) for name in frames)
        assert not frames["product_activity"].equals(make(2, 240)["product_activity"])


@pytest.mark.parametrize(("world", "expected"), [
    ("recorded", {"recorded", "nothing"}), ("uniform", {"simulated"}),
])
def test_new_logs_are_judged_as_the_stored_ones(world, expected):
    assert verdict(world, 1_000, 4_000) in expected


def test_stored_run_is_of_these_worlds_and_keeps_its_promise():
    found = measured.confusion(measured.TRIALERS)
    assert set(found.index) == {(world, n) for world in WORLDS for n in SIZES}
    recorded = found.loc["recorded"]
    assert (recorded["high"] <= 0.05).all() and (recorded["runs"] >= 100).all()
    for world in ("uniform", "bells"):
        assert found.loc[(world, max(SIZES)), "simulated"] >= 0.9 * found.loc[
            (world, max(SIZES)), "runs"]
    # Careful imitations are not found out, as the book says.
    assert found.loc[["shipped", "copied"], "simulated"].sum() == 0
