"""Queries against age: R, SciPy, error rates by simulation, and tables whose truth is known."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from test_churn_reductions import assert_same, subscribers, tables

from analysis.churn import queries as study
from analysis.churn.queries import BAND, LINEAR, MARGIN, MONOTONE, YEAR
from analysis.churn.reductions import BANDS, CrossMoments, queries_by_age, reduce
from analysis.results import flatten
from analysis.simulate import netflix
from analysis.stats.moments import Counts
from analysis.stats.multiplicity import holm

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "queries.json").read_text())


def analysed(frame: pd.DataFrame) -> study.Queries:
    """What comes of a table, with as many of the reductions as are needed."""
    frame = frame.reset_index(drop=True)
    table = ibis.memtable(frame[["age", "support_queries"]])
    months = frame.get("subscription_months", pd.Series(7, frame.index))
    queries = frame["support_queries"]
    pairs = {(name, "support_queries"): moments(x, queries)
             for name, x in (("age", frame["age"]), ("subscription_months", months))}
    return study.queries(SimpleNamespace(
        subscribers=len(frame),
        numbers={"support_queries": SimpleNamespace(mean=queries.mean(), sd=queries.std())},
        queries_by_age=queries_by_age(table),
        queries_by_age_band=queries_by_age(table, BANDS["age"]),
        cross_moments=pairs,
    ), table)


def moments(x, y) -> CrossMoments:
    """As the reductions give them, from the rows."""
    dx, dy = (np.asarray(v, dtype=float) - np.mean(v) for v in (x, y))
    spread = math.sqrt(dx @ dx) * math.sqrt(dy @ dy)
    r = float(np.clip(dx @ dy / spread, -1, 1)) if spread > 1e-12 else math.nan
    return CrossMoments(len(dx), np.mean(x), np.mean(y), dx @ dx, dy @ dy, dx @ dy, r)


def of(age, queries) -> study.Queries:
    return analysed(pd.DataFrame({"age": age, "support_queries": queries}))


def counts_of(age, queries) -> pd.DataFrame:
    frame = pd.DataFrame({"age": age, "queries": queries})
    return frame.groupby(["age", "queries"], as_index=False).size().rename(columns={"size": "n"})


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "queries.R", tmp_path)
    for case, values in REFERENCE.items():
        for name, expected in values.items():
            np.testing.assert_allclose(fresh[case][name], expected, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("case", list(REFERENCE))
def test_everything_equals_r(case):
    r = REFERENCE[case]
    found = of(r["age"], r["queries"])
    relations = found.relations
    correlation = ["effect", "low", "high", "p_value"]
    np.testing.assert_allclose(
        relations.loc[LINEAR, ["statistic", *correlation]], r["pearson"], rtol=1e-8)
    np.testing.assert_allclose(relations.loc[MONOTONE, correlation], r["spearman"], rtol=1e-7)
    np.testing.assert_allclose(
        relations.loc[BAND, ["statistic", "df", "df_denominator", "p_value"]], r["bands"],
        rtol=1e-8)
    equal = found.equivalence
    np.testing.assert_allclose(
        [equal.low, equal.high, equal.p_value], r["equivalence"], rtol=1e-8)
    assert found.head_counts.explained == pytest.approx(r["explained"], rel=1e-9)
    assert found.dispersion.ratio == pytest.approx(r["ratio"], rel=1e-10)


def test_the_cases_differ_in_what_they_show():
    p = {case: (of(r["age"], r["queries"]).relations["p_adjusted"], r["equivalence"][2])
         for case, r in REFERENCE.items()}
    assert p["none"][0].min() > 0.05 and p["none"][1] < 0.05
    assert p["rising"][0].max() < 0.001 and p["rising"][1] > 0.05
    assert p["few"][0].min() > 0.05 and p["few"][1] > 0.05


@settings(max_examples=60)
@given(pairs=st.lists(st.tuples(st.integers(18, 25), st.integers(0, 4)), min_size=4, max_size=60))
def test_spearman_of_counts_equals_scipy(pairs):
    age, queries = map(np.array, zip(*pairs, strict=True))
    found = study.spearman(counts_of(age, queries))
    if np.ptp(age) == 0 or np.ptp(queries) == 0:
        assert math.isnan(found)
        return
    assert found == pytest.approx(stats.spearmanr(age, queries).statistic, abs=1e-12)
    assert study.spearman(counts_of(age**2, -queries)) == pytest.approx(-found, abs=1e-12)


def test_p_of_spearman_equals_scipy():
    rng = np.random.default_rng(2)
    age = rng.integers(18, 71, 400)
    queries = rng.poisson(2 + age / 60)
    row = of(age, queries).relations.loc[MONOTONE]
    assert row["p_value"] == pytest.approx(stats.spearmanr(age, queries).pvalue, rel=1e-8)


# Error rates.


def drawn_correlations(rho, n, runs, seed):
    """Pearson's r of ages and counts whose correlation is rho: half of both is shared."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 71, (runs, n)).astype(float)
    scale = math.sqrt((53**2 - 1) / 12)
    noise = rng.integers(0, 11, (runs, n)) - 5.0
    noise *= math.sqrt(1 - rho**2) / math.sqrt(10)
    y = rho * (age - 44) / scale + noise
    age -= age.mean(axis=1, keepdims=True)
    y -= y.mean(axis=1, keepdims=True)
    return (age * y).sum(axis=1) / np.sqrt((age**2).sum(axis=1) * (y**2).sum(axis=1))


@pytest.mark.parametrize(("n", "rho"), [(300, MARGIN), (1_500, MARGIN), (1_500, -MARGIN)])
def test_correlations_at_the_margin_are_called_equivalent_as_seldom_as_said(n, rho):
    runs = 2_000
    r = drawn_correlations(rho, n, runs, 4)
    called = np.mean([study.equivalence(x, n).p_value <= 0.05 for x in r])
    assert called < 0.05 + 3.1 * math.sqrt(0.05 * 0.95 / runs)
    if n > 1_000:  # where the test can reject at all, its level is used
        assert called > 0.05 - 3.1 * math.sqrt(0.05 * 0.95 / runs)


def test_no_correlation_is_called_equivalent_in_a_large_table():
    r = drawn_correlations(0.0, 3_500, 300, 5)
    assert np.mean([study.equivalence(x, 3_500).p_value <= 0.05 for x in r]) > 0.99
    assert study.equivalence(0.0, 30).p_value > 0.05


def test_intervals_of_correlations_hold_the_truth_as_often_as_they_say():
    runs = 2_000
    for rho in (0.0, 0.4):
        held = np.mean([
            low <= rho <= high
            for low, high in (study.fisher_interval(r, 200)
                              for r in drawn_correlations(rho, 200, runs, 6))])
        assert abs(held - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / runs) + 0.005


@settings(max_examples=60)
@given(r=st.floats(-0.95, 0.95), n=st.integers(4, 5_000))
def test_equivalence_is_the_inclusion_of_its_interval(r, n):
    found = study.equivalence(r, n)
    assert found.low <= r <= found.high
    inside = found.low > -MARGIN and found.high < MARGIN
    assert inside == (found.p_value < 0.05)
    mirrored = study.equivalence(-r, n)
    assert mirrored.p_value == pytest.approx(found.p_value, abs=1e-12)
    assert mirrored.low == pytest.approx(-found.high)


def test_the_ratio_of_variance_and_mean_is_covered():
    rng = np.random.default_rng(8)
    held, runs = 0, 150
    for _ in range(runs):
        values = Counts.of(rng.poisson(3.0, 250))
        counts = pd.DataFrame({"age": 30, "queries": values.values.astype(int),
                               "n": values.counts})
        found = study.dispersion(counts, rng, 999)
        held += found.low <= 1 <= found.high
    assert abs(held / runs - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / runs)


def test_totals_of_ages_that_ask_alike_lie_where_they_are_said_to():
    rng = np.random.default_rng(9)
    size = rng.integers(40, 90, 53)
    inside, runs = 0, 120
    for _ in range(runs):
        queries = rng.integers(0, 11, size.sum())
        total = np.add.reduceat(queries, np.concatenate([[0], np.cumsum(size)[:-1]]))
        ages = pd.DataFrame({"subscribers": size, "queries": total})
        found = study.head_counts(ages, queries.mean(), queries.std(ddof=1), rng, 999)
        inside += found.low <= found.explained <= found.high
    assert abs(inside / runs - 0.95) < 3.3 * math.sqrt(0.95 * 0.05 / runs)


# Known truth.


def test_a_relation_that_is_no_line_is_found_by_bands_only():
    rng = np.random.default_rng(3)
    age = rng.integers(20, 69, 3_000)  # about their middle the queries lie even
    queries = rng.poisson(1 + (age - 44.0) ** 2 / 150)
    found = of(age, queries).relations
    assert found.loc[[LINEAR, MONOTONE], "p_adjusted"].min() > 0.05
    assert found.loc[[BAND, YEAR], "p_adjusted"].max() < 1e-10
    assert found.loc[YEAR, "low"] > 0.2
    np.testing.assert_allclose(found["p_adjusted"], holm(found["p_value"]))


def test_dispersion_of_known_counts():
    rng = np.random.default_rng(4)
    poisson = of(rng.integers(20, 60, 4_000), rng.poisson(2, 4_000)).dispersion
    assert poisson.low < 1 < poisson.high and poisson.even_p_value < 1e-10
    assert poisson.none.low < poisson.poisson_none < poisson.none.high
    even = of(rng.integers(20, 60, 4_000), rng.integers(0, 11, 4_000)).dispersion
    assert even.ratio == pytest.approx(2, abs=0.1) and even.low > 1.5
    assert even.even_p_value > 0.01 and (even.least, even.most, even.kinds) == (0, 10, 11)
    alike = of(rng.integers(20, 60, 400), rng.integers(7, 9, 400)).dispersion
    assert alike.high < 1 and alike.none.estimate == 0
    # A number that nobody has between the least and the most is one of them.
    gap = of(rng.integers(20, 60, 300), rng.choice([0, 2], 300)).dispersion
    assert gap.even_p_value < 1e-10 and gap.kinds == 2
    wide = of(rng.integers(20, 60, 300), rng.integers(0, 2, 300) * 500).dispersion
    assert math.isnan(wide.even_p_value)


def test_figures_within_the_published_range_are_counted_as_by_hand():
    rng = np.random.default_rng(5)
    frame = subscribers(5, 1_500, age=rng.integers(18, 40, 1_500))
    found = analysed(frame).reported
    groups = {
        "years": frame["age"], "five_years": frame["age"] // 5,
        "bands": np.searchsorted((24, 34, 44, 54, 64), frame["age"]),
    }
    for grouping, key in groups.items():
        parts = frame["support_queries"].groupby(np.asarray(key))
        slow = {"queries": parts.sum(), "mean": parts.mean(), "subscribers": parts.size(),
                "asking": parts.apply(lambda q: (q > 0).sum())}
        for quantity, values in slow.items():
            row = found.loc[(grouping, quantity)]
            assert row["groups"] == len(values)
            assert row["within"] == ((values >= 60) & (values <= 80)).sum()
            assert row["share"] == row["within"] / len(values)
            np.testing.assert_allclose(
                [row["least"], row["median"], row["largest"]],
                [values.min(), values.median(), values.max()])


def test_the_shipped_table(netflix_study):
    """No correlation in truth; the figures of the report are heads, not queries."""
    assert netflix.TRUTH["correlation_age_support_queries"] == 0
    found = netflix_study.queries
    assert round(found.relations.loc[LINEAR, "effect"], 2) == -0.01
    assert found.relations["p_adjusted"].min() > 0.05 and found.equivalence.p_value < 1e-6
    reported = found.reported
    assert reported["within"].xs("queries", level="quantity").sum() == 0
    assert reported.loc[("years", "subscribers"), "share"] > 0.7
    assert reported["share"].idxmax() == ("years", "subscribers")
    heads = found.head_counts
    assert heads.low <= heads.explained <= heads.high and heads.explained > 0.6
    assert found.dispersion.even_p_value > 0.05 and found.dispersion.low > 1
    assert found.queries == found.ages["queries"].sum() == 17_563
    assert found.ages["expected"].sum() == pytest.approx(found.queries)


# Odd tables and invariances.


@pytest.mark.parametrize("columns", [
    {}, {"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}, {"support_queries": 0}, {"support_queries": 5},
    {"age": 30}])
def test_odd_tables_give_numbers_by_name(columns):
    frame = subscribers(3, **({"n": 40} | columns))
    found = flatten(analysed(frame))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["subscribers"] == len(frame)
    if columns.get("n", 40) < 4 or "age" in columns or "support_queries" in columns:
        assert found["equivalence"] is None and found["relations.linear.p_value"] is None
    if "support_queries" in columns:
        assert found["dispersion"] is None


def test_a_perfect_line_has_no_interval():
    found = of(np.arange(20, 60), np.arange(40))
    row = found.relations.loc[LINEAR]
    assert row["effect"] == pytest.approx(1) and math.isnan(row["low"])
    assert found.equivalence is None


def test_totals_without_anything_to_explain():
    age = np.repeat([20, 30, 40], 10)
    assert of(age, np.arange(30)).head_counts is None  # as many subscribers
    uneven = np.repeat([20, 30, 40], [5, 10, 15])
    same_total = np.concatenate([np.full(5, 6), np.full(10, 3), np.full(15, 2)])
    assert of(uneven, same_total).head_counts is None
    assert of(uneven[:15], same_total[:15]).head_counts is None  # two ages
    every = of(uneven, np.full(30, 2)).head_counts
    assert every.explained == pytest.approx(1) and every.low == pytest.approx(1)


def test_order_ids_and_the_unit_of_age_do_not_matter():
    frame = subscribers(6, 500)
    other = frame.sample(frac=1, random_state=3)
    other["customer_id"] = "renamed " + other["customer_id"]
    first, second = analysed(frame), analysed(other)
    assert_same(flatten(first), flatten(second))
    later = analysed(frame.assign(age=frame["age"] + 20)).relations
    np.testing.assert_allclose(
        first.relations.loc[[LINEAR, MONOTONE, YEAR]].astype(float),
        later.loc[[LINEAR, MONOTONE, YEAR]].astype(float), rtol=1e-7, atol=1e-9)


def test_the_study_gives_the_same_as_its_parts():
    frame = subscribers(13, 200)
    table = tables(frame).table("subscribers")
    found = study.queries(reduce(table), table)
    assert_same(flatten(found), flatten(analysed(frame)))


def test_counts_are_those_of_the_rows():
    frame = subscribers(9, 300)
    found = study.age_query_counts(ibis.memtable(frame))
    slow = counts_of(frame["age"], frame["support_queries"])
    np.testing.assert_array_equal(found.to_numpy(), slow.to_numpy())
