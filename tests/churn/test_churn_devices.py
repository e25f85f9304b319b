"""Engagement by device against R, SciPy, slow definitions, and tables whose truth is known."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from test_churn_reductions import assert_same, subscribers, tables

from analysis.churn import devices as study
from analysis.churn.devices import ALPHA, MARGIN, TRAITS
from analysis.churn.reductions import moments_by, reduce
from analysis.results import flatten
from analysis.simulate import netflix
from analysis.stats import several_means
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "devices.json").read_text())


def analysed(frame: pd.DataFrame) -> study.Devices:
    """What comes of a table, with as many of the reductions as are needed."""
    frame = frame.reset_index(drop=True)
    for trait in TRAITS:
        if trait not in frame:
            frame[trait] = "same"
    table = ibis.memtable(frame)
    score = frame["engagement_rate"]
    base = SimpleNamespace(
        subscribers=len(frame),
        numbers={"engagement_rate": SimpleNamespace(mean=score.mean(), sd=score.std())},
        engagement_by_device=moments_by(table, "device", "engagement_rate"),
    )
    return study.devices(base, table)


def of_groups(groups: dict) -> study.Devices:
    return analysed(pd.DataFrame(
        [(device, score) for device, scores in groups.items() for score in scores],
        columns=["device", "engagement_rate"]))


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "devices.R", tmp_path)
    for case, values in REFERENCE.items():
        for name in ("ranks", "welch", "holm", "within"):
            np.testing.assert_allclose(fresh[case][name], values[name], rtol=1e-9)
        for pair, expected in values["pairs"].items():
            np.testing.assert_allclose(fresh[case]["pairs"][pair], expected, rtol=1e-9)


@pytest.mark.parametrize("case", list(REFERENCE))
def test_tests_and_pairs_equal_r(case):
    r = REFERENCE[case]
    found = of_groups(r["groups"])
    test = found.tests.loc["device"]
    np.testing.assert_allclose(
        test[["rank_statistic", "rank_df", "rank_p_value"]].astype(float), r["ranks"], rtol=1e-9)
    np.testing.assert_allclose(
        test[["statistic", "df", "df_denominator", "p_value"]].astype(float), r["welch"], rtol=1e-9)
    assert ["-".join(pair) for pair in found.pairs.index] == list(r["pairs"])
    columns = ["difference", "low", "high", "wide_low", "wide_high", "p_value",
               "equivalence_p_value"]
    np.testing.assert_allclose(
        found.pairs[columns].astype(float), list(r["pairs"].values()), rtol=1e-8)
    np.testing.assert_allclose(found.pairs["p_adjusted"], r["holm"], rtol=1e-8)
    np.testing.assert_allclose(found.pairs["equivalence_p_adjusted"], r["within"], rtol=1e-8)
    for row in found.pairs.itertuples():
        expected = ("higher" if row.p_adjusted <= 0.05 else
                    "equivalent" if row.equivalence_p_adjusted <= 0.05 else "inconclusive")
        assert row.finding == expected


def test_the_cases_differ_in_what_they_show():
    findings = {case: set(of_groups(r["groups"]).pairs["finding"]) for case, r in REFERENCE.items()}
    assert findings["near"] == {"equivalent"} and "higher" in findings["apart"]
    assert "inconclusive" in findings["alike"]


@settings(max_examples=40)
@example(groups=[[1] * 16 + [2] * 4] * 2)
@given(groups=st.lists(
    st.lists(st.integers(1, 6), min_size=1, max_size=30), min_size=2, max_size=5))
def test_ranks_of_counts_equal_scipy(groups):
    counts = pd.DataFrame({i: pd.Series(g).value_counts() for i, g in enumerate(groups)}).fillna(0)
    if len(counts) < 2:
        with pytest.raises(ValueError, match="two distinct values"):
            study.kruskal_wallis(counts)
        return
    found, expected = study.kruskal_wallis(counts), stats.kruskal(*groups)
    assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    # Near no difference at all, p differs by the root of what rounding leaves of the statistic.
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-6)
    assert (found.n, found.df) == (sum(map(len, groups)), len(groups) - 1)
    # Only the order of the values counts, and groups without a value are none.
    moved = counts.assign(empty=0).set_axis(counts.index**3 + 10).sample(frac=1, random_state=1)
    assert study.kruskal_wallis(moved) == found


def test_score_counts_are_those_of_the_rows():
    frame = subscribers(4, 300)
    counts = study.score_counts(ibis.memtable(frame), ["device"])["device"]
    slow = pd.crosstab((frame["engagement_rate"] * 100).round().astype(int), frame["device"])
    np.testing.assert_array_equal(counts.to_numpy(), slow.to_numpy())
    assert counts.index.tolist() == slow.index.tolist()
    assert list(counts.columns) == list(slow.columns)


# What chance does.


def random_ranges(scores, sizes, rng, resamples):
    """Range, highest pair less the rest, by shuffling the very scores: slow."""
    ranges, splits = np.empty(resamples), np.empty(resamples)
    ends = np.cumsum(sizes)[:-1]
    for i in range(resamples):
        parts = sorted(np.split(rng.permutation(scores), ends), key=np.mean, reverse=True)
        ranges[i] = parts[0].mean() - parts[-1].mean()
        splits[i] = np.concatenate(parts[:2]).mean() - np.concatenate(parts[2:]).mean()
    return ranges, splits


@pytest.mark.parametrize("sizes", [(90, 80, 85, 88), (20, 150, 60)])
def test_random_groups_are_as_shuffling_makes_them(sizes):
    rng = np.random.default_rng(8)
    scores = rng.choice([1, 2, 9, 10], sum(sizes), p=[0.2, 0.1, 0.2, 0.5])
    parts = np.split(scores, np.cumsum(sizes)[:-1])
    chance = study.Chance.of({str(i): Moments.of(p) for i, p in enumerate(parts)}, rng)
    ranges, splits = random_ranges(scores, sizes, rng, 3_000)
    for ours, slow in ((chance.ranges(), ranges), (chance.splits(), splits)):
        assert ours.mean() == pytest.approx(slow.mean(), rel=0.03)
        np.testing.assert_allclose(
            np.quantile(ours, [0.1, 0.5, 0.9]), np.quantile(slow, [0.1, 0.5, 0.9]), rtol=0.07)


@pytest.mark.parametrize(("k", "d2"), [(2, 1.128), (3, 1.693), (4, 2.059), (5, 2.326), (6, 2.534)])
def test_expected_range_is_the_published_one(k, d2):
    """Control-chart constants d2: the mean range of k standard normal values (Tippett 1925)."""
    groups = {str(i): Moments(100, 5.0, 4.0) for i in range(k)}
    chance = study.Chance.of(groups, np.random.default_rng(1))
    sd = several_means.together(*groups.values()).sd
    assert chance.ranges().mean() * 10 / sd == pytest.approx(d2, rel=0.012)


def test_bands_hold_all_means_as_often_as_they_say():
    rng = np.random.default_rng(6)
    sizes, inside, runs = (50, 80, 30, 40), 0, 200
    for _ in range(runs):
        scores = rng.integers(1, 11, sum(sizes)).astype(float)
        split = np.split(scores, np.cumsum(sizes)[:-1])
        parts = {str(i): Moments.of(part) for i, part in enumerate(split)}
        chance = study.Chance.of(parts, rng, 600)
        means = np.array([m.mean for m in parts.values()])
        inside += bool((np.abs(means - scores.mean()) <= chance.reach()).all())
    assert abs(inside / runs - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / runs)


def test_p_values_of_the_range_and_of_the_split_are_even_where_nothing_differs():
    """Also of the split, whose two devices are chosen because they are highest."""
    rng = np.random.default_rng(7)
    p_range, p_split, naive = [], [], []
    for _ in range(200):
        scores = rng.integers(1, 11, 240).astype(float)
        parts = sorted(map(Moments.of, np.split(scores, 4)), key=lambda m: -m.mean)
        groups = {str(i): m for i, m in enumerate(parts)}
        chance = study.Chance.of(groups, rng, 600)
        split = study._split(groups, chance)
        p_range.append(study.share(chance.ranges(), parts[0].mean - parts[-1].mean))
        p_split.append(split.p_selected)
        naive.append(split.p_value)
    for p in (p_range, p_split):
        assert stats.kstest(p, "uniform").pvalue > 0.001
    # As if they had been named beforehand, the two would differ far too often.
    assert np.mean(np.array(naive) <= 0.05) > 0.1
    assert np.mean(np.array(p_split) <= 0.05) < 0.1


def test_the_margin_keeps_its_level_and_has_power():
    """Devices exactly a margin apart are seldom called equivalent, equal ones mostly."""
    rng = np.random.default_rng(9)

    def called(shift, runs):
        found = 0
        for _ in range(runs):
            a, b = (Moments.of(rng.normal(6 + d, 2.5, 700)) for d in (shift, 0.0))
            pairs = study._pairs({"a": a, "b": b} if a.mean >= b.mean else {"b": b, "a": a})
            found += bool((pairs["equivalence_p_adjusted"] <= ALPHA).all())
        return found / runs

    assert called(MARGIN, 100) < 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / 100)
    assert called(0.0, 25) > 0.8


# Known truth.


def test_a_planted_difference_is_found():
    rng = np.random.default_rng(11)
    device = rng.choice(["A", "B", "C", "D"], 2_000)
    frame = pd.DataFrame({
        "device": device, "genre": rng.choice(["x", "y", "z"], 2_000),
        "engagement_rate": np.clip(
            np.round(rng.normal(6, 2, 2_000) + 1.5 * (device == "A")), 1, 10),
    })
    found = analysed(frame)
    assert found.tests.loc["device", ["p_adjusted", "rank_p_adjusted"]].max() < 1e-10
    assert found.tests.loc["genre", "p_adjusted"] > 0.05
    assert found.pairs.loc["A", "finding"].tolist() == ["higher"] * 3
    assert found.tests.loc["device", "range_p_value"] < 1e-4
    assert found.tests.loc["device", "omega_low"] > 0.03
    top = found.groups.loc["device"].iloc[0]
    assert top.name == "A" and top["mean"] > top["band_high"]
    assert found.split.first == "A" and found.split.p_selected < 0.001
    rest = frame[~frame["device"].isin([found.split.first, found.split.second])]
    assert found.split.mean_others == pytest.approx(rest["engagement_rate"].mean())
    assert found.split.n_others == len(rest)


def test_the_shipped_table_has_no_difference_and_shows_that(netflix_study):
    assert netflix.TRUTH["difference_of_engagement_by_device"] == 0
    found = netflix_study.devices
    assert found.tests["p_adjusted"].min() > 0.05 and found.tests["range_p_value"].min() > 0.05
    assert found.pairs["finding"].tolist() == ["equivalent"] * 6
    assert found.split.p_selected > 0.05 and found.split.wide_low < 0 < found.split.wide_high
    assert found.groups.loc["device", "mean"].round(2).tolist() == [7.02, 7.0, 6.93, 6.87]
    assert found.margin / found.sd < 0.2


def test_corrected_p_values():
    found = analysed(subscribers(5, 400, region="one"))
    told = found.tests["p_value"].dropna()
    assert list(told.index) == ["device", "genre", "plan"]
    np.testing.assert_allclose(found.tests.loc[told.index, "p_adjusted"], holm(told))
    ranks = found.tests["rank_p_value"].dropna()
    np.testing.assert_allclose(found.tests.loc[ranks.index, "rank_p_adjusted"], holm(ranks))


# Odd tables and invariances.


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_few_subscribers(n):
    found = flatten(analysed(subscribers(n, n)))
    assert found["subscribers"] == n
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_one_score_for_all():
    found = analysed(subscribers(3, 200, engagement_rate=7.3))
    assert found.tests[["p_value", "rank_p_value", "range_p_value"]].isna().all().all()
    assert found.pairs.empty and found.split is None and (found.tests["range"] < 1e-9).all()


def test_a_device_whose_users_all_agree():
    frame = subscribers(3, 400)
    frame.loc[frame["device"] == "phone", "engagement_rate"] = 5.0
    found = analysed(frame)
    assert math.isnan(found.tests.loc["device", "p_value"])
    assert found.tests.loc["device", "rank_p_value"] < 1 and len(found.pairs) == 6


def test_small_devices_and_the_smallest_of_many_are_not_compared():
    rng = np.random.default_rng(1)
    sizes = {f"d{i:02d}": 60 - i for i in range(16)} | {"rare": 9}
    frame = pd.DataFrame({"device": np.repeat(list(sizes), list(sizes.values()))})
    frame["engagement_rate"] = rng.integers(1, 11, len(frame)).astype(float)
    found = analysed(frame)
    compared = found.groups.loc["device"]["compared"]
    assert set(compared[compared].index) == {f"d{i:02d}" for i in range(study.MOST_VALUES)}
    assert len(compared) == 17
    assert len(found.pairs) == study.MOST_VALUES * (study.MOST_VALUES - 1) / 2
    assert found.groups.loc[("device", "rare"), "band_low"] != found.groups.loc[
        ("device", "d00"), "band_low"]


def test_order_and_units_of_nothing_matter():
    frame = subscribers(12, 300)
    other = frame.sample(frac=1, random_state=2)
    other["customer_id"] = "other " + other["customer_id"]
    assert_same(flatten(analysed(frame)), flatten(analysed(other)))
    shifted = analysed(frame.assign(engagement_rate=11 - frame["engagement_rate"]))
    first = analysed(frame)
    np.testing.assert_allclose(first.tests["p_value"], shifted.tests["p_value"], rtol=1e-9)
    np.testing.assert_allclose(
        first.tests["rank_p_value"], shifted.tests["rank_p_value"], rtol=1e-9)
    np.testing.assert_allclose(first.tests["range"], shifted.tests["range"], rtol=1e-9)


def test_the_study_gives_the_same_as_its_parts():
    frame = subscribers(13, 200)
    table = tables(frame).table("subscribers")
    found = study.devices(reduce(table), table)
    assert_same(flatten(found), flatten(analysed(frame)))
