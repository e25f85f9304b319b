"""Signs in subscribers: slow references, invariances, odd tables, planted truth, the source."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats
from test_churn_reductions import subscribers, tables

from analysis.churn import real as study
from analysis.churn import reductions
from analysis.churn.real import real
from analysis.churn.reductions import CATEGORIES, NUMBERS
from analysis.forensics import digits, rates
from analysis.forensics.verdict import Reading
from analysis.results import flatten
from analysis.simulate import netflix


def analysed(frame: pd.DataFrame) -> study.Real:
    table = tables(frame).table("subscribers")
    return real(table, reductions.reduce(table))


def made(seed: int = 1, scale: float = 1.0) -> pd.DataFrame:
    """A table of the shipped kind, typed as a source gives it."""
    frame = netflix.generate(seed, scale)[0]["subscribers"]
    for flag in ("churned", "promo_used"):
        frame[flag] = (frame[flag] == "Yes").astype("int64")
    return frame.astype({"customer_id": str, "monthly_income": float})


@pytest.fixture(scope="module")
def shipped_kind():
    frame = made()
    return frame, analysed(frame)


# What the generator of the shipped table has planted.


def test_what_was_planted_is_found(shipped_kind):
    _, found = shipped_kind
    assert found.verdict.reading == Reading.SIMULATED
    uniform = set(netflix.TRUTH["uniform"])
    even = found.spread.index[found.spread["even"]]
    assert uniform | {"genre", "region", "device"} == set(even)
    assert not found.spread.loc[["satisfaction_score", "engagement_rate", "plan"], "even"].any()
    assert (found.edge, found.last) == (netflix.LAST_CHURN_MONTH,) * 2
    assert found.cliff.p_edge < 1e-4
    signs = found.verdict.signs["reading"]
    for sign in ("all_pairs", "named_ties", "trend", "too_constant", "heaping"):
        assert signs[sign] == "simulated", sign
    assert "recorded" not in set(signs)
    # The one tie among traits that the generator has.
    assert found.largest == ("subscription_months", "payment_history")
    for column, (low, high, step) in netflix.TRUTH["uniform"].items():
        row = found.spread.loc[column]
        assert (row["from_value"], row["to_value"], row["step"]) == (low, high, step)


def test_a_tie_people_who_round_and_a_register_are_found(shipped_kind):
    frame, before = shipped_kind
    rng = np.random.default_rng(2)
    n = len(frame)
    dearer = np.where(frame["plan"] == "Premium", 1_500, 0) + 10 * rng.integers(0, 700, n)
    rounds = rng.random(n) < 0.25
    order = np.argsort(-frame["subscription_months"] + rng.random(n))
    number = np.empty(n, dtype=int)
    number[order] = np.cumsum(rng.geometric(0.4, n))
    found = analysed(frame.assign(
        monthly_income=1_010.0 + dearer,
        age=np.where(rounds, 5 * np.round(frame["age"] / 5), frame["age"]).astype("int64"),
        customer_id=number.astype(str)))
    pair = ("monthly_income", "plan")
    assert before.named.loc[pair, "finding"] == "absent"
    assert found.named.loc[pair, "finding"] == "present" and found.named.loc[pair, "low"] > 0.1
    assert found.heaping.loc["age", "ratio"] == pytest.approx(1 + 0.25 * 4, abs=0.15)
    assert found.numbering.r < -0.9 and found.numbering.used < 0.5
    signs = found.verdict.signs["reading"]
    assert signs["heaping"] == signs["numbering"] == "recorded"
    assert found.verdict.kinds.loc["habits", "reading"] == "recorded"
    # One kind for a recorded table, and still more for a made one.
    assert found.verdict.reading == Reading.SIMULATED and found.verdict.recorded == 1


def test_churn_that_tapers_off_is_no_cliff(shipped_kind):
    frame, _ = shipped_kind
    rng = np.random.default_rng(3)
    rate = 0.6 * np.exp(-0.12 * frame["subscription_months"])
    found = analysed(frame.assign(churned=(rng.random(len(frame)) < rate).astype("int64")))
    assert found.edge is None and found.last < 60
    assert found.verdict.signs.loc["trend", "reading"] == "recorded"
    assert found.verdict.signs.loc["cliff", "reading"] == "nothing"


def test_churn_whose_causes_act_on_each_other(shipped_kind):
    frame, _ = shipped_kind
    rng = np.random.default_rng(4)
    late, offer = frame["payment_history"] == "Delayed", frame["promo_used"] == 1
    rate = np.where(late & ~offer, 0.6, np.where(late, 0.05, np.where(offer, 0.2, 0.1)))
    found = analysed(frame.assign(churned=(rng.random(len(frame)) < rate).astype("int64")))
    assert set(found.factors) >= {"payment_history", "promo_used"}
    assert found.verdict.signs.loc["interplay", "reading"] == "recorded"


# Reductions against slow references.


def test_cells_equal_pandas(shipped_kind):
    frame, found = shipped_kind
    for column in NUMBERS:
        cells = found.cells.loc[column]
        assert cells["n"].sum() == len(frame)
        assert cells["expected"].sum() == pytest.approx(1)
        for row in cells.itertuples():
            inside = frame[column].between(row.from_value - 1e-9, row.to_value + 1e-9)
            assert inside.sum() == row.n
    assert len(found.cells.loc["profiles"]) == 5 and len(found.cells.loc["age"]) == study.CELLS
    # The share of the 53 ages that a cell holds.
    first = found.cells.loc[("age", 0)]
    assert first["expected"] == (first["to_value"] - 18 + 1) / 53


def test_cells_without_a_grid():
    rng = np.random.default_rng(5)
    frame = subscribers(5, 400, daily_watch_hours=rng.uniform(0, 12, 400))
    found = analysed(frame)
    cells = found.cells.loc["daily_watch_hours"]
    expected = np.histogram(frame["daily_watch_hours"], bins=study.CELLS)[0]
    assert math.isnan(found.spread.loc["daily_watch_hours", "step"])
    assert cells["n"].tolist() == expected.tolist()


def test_the_two_ends_do_not_count_as_evidence(shipped_kind):
    """The least and the largest value are there by definition."""
    _, found = shipped_kind
    row = found.spread.loc["age"]
    cells = found.cells.loc["age"]
    counts = cells["n"].to_numpy() - np.array([1] + [0] * 8 + [1])
    assert row["n"] == counts.sum() == 3_498
    assert row["statistic"] == pytest.approx(
        stats.chisquare(counts, cells["expected"] * 3_498).statistic)


def test_all_pairs_equal_scipy_on_rows(shipped_kind):
    frame, found = shipped_kind
    assert len(found.pairs) == 15 * 14 / 2 and found.picture.pairs == 91
    labelled = frame.assign(promo_used=frame["promo_used"].astype(str))
    for (first, second), row in found.pairs.iterrows():
        if first in NUMBERS and (second in NUMBERS or second == "churned"):
            expected = stats.pearsonr(frame[first], frame[second]).pvalue
        elif first in NUMBERS:
            groups = [part[first] for _, part in labelled.groupby(second)]
            expected = stats.f_oneway(*groups).pvalue
        else:
            table = pd.crosstab(labelled[first], labelled[second])
            expected = stats.chi2_contingency(table, correction=False).pvalue
        assert row["p_value"] == pytest.approx(expected, rel=1e-6, abs=1e-300), (first, second)


def test_rates_by_month_equal_pandas(shipped_kind):
    frame, found = shipped_kind
    early = frame[frame["subscription_months"] <= 24]
    by_month = early.groupby("subscription_months")["churned"].agg(["sum", "size"])
    assert found.homogeneity == rates.homogeneity(by_month["sum"], by_month["size"])
    assert found.flat == rates.trend(by_month["sum"], by_month["size"], by_month.index)
    factors = list(found.factors)
    cells = early.groupby(factors)["churned"].agg(["sum", "size"]).reset_index()
    design = pd.get_dummies(cells[factors].astype(str), drop_first=True, dtype=float)
    fit = sm.GLM(np.column_stack([cells["sum"], cells["size"] - cells["sum"]]),
                 sm.add_constant(design), family=sm.families.Binomial()).fit()
    assert found.interplay.statistic == pytest.approx(fit.pearson_chi2, rel=1e-6)
    assert found.interplay.df == fit.df_resid


def test_heaping_and_digits_equal_pandas(shipped_kind):
    frame, found = shipped_kind
    # Ages 18 to 67 are whole cycles of five about 20, 25, ..., 65; the cycle about 70 is not.
    within = frame["age"][frame["age"].between(18, 67)]
    expected = digits.heaping(
        int((within % 5 == 0).sum()), [int((within % 5 == d).sum()) for d in range(1, 5)])
    row = found.heaping.loc["age"]
    assert (row["round"], row["n"]) == (5, expected.n)
    assert row["ratio"] == expected.ratio and row["p_smooth"] == expected.p_smooth
    tens = (frame["monthly_income"] // 10).astype(int)
    tens = tens[tens.between(106, 994)] % 10
    row = found.heaping.loc["monthly_income"]
    assert row["round"] == 100 and row["n"] == (tens != 5).sum()
    assert row["ratio"] == pytest.approx(9 * (tens == 0).sum() / (tens != 5).sum())
    first = frame["monthly_income"].astype(int).astype(str).str[0]
    assert found.first_digits.fit.n == len(frame)
    assert found.first_digits.fit.statistic == pytest.approx(stats.chisquare(
        first.value_counts().sort_index(), np.array(digits.BENFORD) * len(frame)).statistic)


# Invariances.


def same(a: study.Real, b: study.Real, without: tuple[str, ...] = ()) -> None:
    first, second = flatten(a, without=without), flatten(b, without=without)
    assert list(first) == list(second)
    for name, value in first.items():
        if isinstance(value, float) and second[name] is not None:
            assert value == pytest.approx(second[name], rel=1e-7, abs=1e-9), name
        else:
            assert value == second[name], name


def test_order_names_and_the_unit_of_income_do_not_matter():
    frame = made(3, 0.2)
    mine = analysed(frame)
    again = frame.sample(frac=1, random_state=1)
    for column in ("genre", "region", "device", "plan"):
        again[column] = "a " + again[column]
    same(mine, analysed(again))
    other = analysed(frame.assign(monthly_income=frame["monthly_income"] * 10))
    assert other.spread.loc["monthly_income", "step"] == 100
    pd.testing.assert_series_equal(
        mine.spread["p_even"], other.spread["p_even"], rtol=1e-9)
    pd.testing.assert_frame_equal(mine.pairs, other.pairs, rtol=1e-7, atol=1e-12)
    assert mine.heaping["ratio"].tolist() == other.heaping["ratio"].tolist()
    assert mine.first_digits.fit == other.first_digits.fit
    assert mine.verdict.reading == other.verdict.reading


# Odd tables.

RNG = np.random.default_rng(0)
CASES = {
    **{str(n): subscribers(n, n) for n in (1, 3)},
    "40": subscribers(40, 40, subscription_months=RNG.integers(0, 10**6, 40)),
    "nobody churned": subscribers(1, 300, churned=0),
    "all churned": subscribers(2, 300, churned=1),
    "one value": subscribers(3, 300, device="TV", payment_history="On-Time", promo_used=0, age=30,
                             genre="a", region="b", plan="c"),
    "constants": subscribers(4, 200, subscription_months=7, satisfaction_score=10.0, profiles=1,
                             age=30, monthly_income=0.0, daily_watch_hours=0.0,
                             engagement_rate=1.0, support_queries=0),
    "large numbers": subscribers(5, 200, monthly_income=RNG.choice([1e100, 1.0, 2e90], 200),
                                 support_queries=RNG.integers(0, 10**15, 200)),
    "many values": subscribers(7, 400, genre=[f"g{i}" for i in range(400)],
                               region=[f"r'{i % 25}" for i in range(400)]),
    "equal numbers": subscribers(6, 200, customer_id=[f"{i:04d}" for i in range(100)]
                                 + [str(i) for i in range(100)]),
}


@pytest.mark.parametrize("case", CASES)
def test_odd_tables(case):
    frame = CASES[case]
    found = analysed(frame)
    assert found.subscribers == len(frame)
    # Identifiers such as "s12" are no numbers.
    assert (found.numbering is None) == (case != "equal numbers")
    values = flatten(found)
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert set(found.spread.index) <= {*NUMBERS, *CATEGORIES}
    if len(frame) <= 40:
        assert found.verdict.reading == Reading.NOTHING
    if case in ("nobody churned", "all churned"):
        assert found.cliff is None and found.flat is None and found.homogeneity is None
        assert found.interplay is None
        assert "churned" not in set(found.named.index.get_level_values("second"))
    elif case == "constants":
        assert found.cells.empty and found.heaping.empty and found.first_digits is None
        assert found.picture.pairs <= 15
    elif case == "one value":
        assert set(found.spread.index) <= set(NUMBERS) - {"age"}
    elif case == "many values":
        # The values of a category that few have stand together, and then there is only one.
        assert not any("genre" in pair for pair in found.pairs.index)
        assert "genre" not in found.spread.index and found.spread.loc["region", "cells"] == 25
    elif case == "equal numbers":
        assert found.numbering.n == 100


# The source.


def test_the_published_figures_are_those_of_the_generator():
    assert study.PUBLISHED_COUNTS == netflix.DEALT
    for trait, (mean, rounding, low, high) in study.PUBLISHED_MEANS.items():
        if trait != "engagement_rate":
            assert netflix.MEANS[trait] == (mean, rounding)
        if trait in netflix.TRUTH["uniform"]:
            assert netflix.TRUTH["uniform"][trait][:2] == (low, high)
    assert study.PUBLISHED_ENGAGEMENT == netflix.DEVICE_ENGAGEMENT
    assert netflix.SCORE_SD[0] == study.PUBLISHED_SD
    assert netflix.AGE_QUERIES_R[0] == study.PUBLISHED_R
    assert netflix.SUBSCRIBERS == study.PUBLISHED_SUBSCRIBERS
    assert netflix.CHURNED["Yes"] == study.PUBLISHED_CHURNED
    assert netflix.LAST_CHURN_MONTH == study.PUBLISHED_EDGE


def test_what_the_published_figures_tell():
    found = study.published()
    assert found.counts["even"].to_dict() == {
        "genre": True, "region": True, "device": True, "plan": False}
    assert found.counts.loc["genre", "statistic"] == pytest.approx(
        stats.chisquare([733, 704, 697, 685, 681]).statistic)
    middle = found.means.index[found.means["p_middle"] < 0.01]
    assert set(middle) == set(study.PUBLISHED_MEANS) - {"satisfaction_score", "engagement_rate"}
    # Engagement by device from its printed moments: the between-group variance of rows.
    sizes = np.array(list(study.PUBLISHED_COUNTS["device"].values()))
    order = [study.PUBLISHED_ENGAGEMENT[name] for name in study.PUBLISHED_COUNTS["device"]]
    between = sizes @ (np.array(order) - sizes @ order / 3500) ** 2
    within = 3499 * 2.67**2 - between
    assert found.device.statistic == pytest.approx(between / within * (3500 - 4))
    assert found.queries.p_value == pytest.approx(
        2 * stats.t.sf(0.01 * math.sqrt(3498 / (1 - 0.0001)), 3498))
    assert found.cliff.place == 23 and found.cliff.p_edge < 1e-3
    # The printed rate comes out of the counts that follow from it, whatever the window.
    assert found.cliff.rate.estimate == pytest.approx(study.PUBLISHED_RATE, abs=0.002)
    for total, cells in ((397, 24), (1418, 24), (2082, 36), (5, 7), (0, 3)):
        dealt = study._dealt(total, cells)
        assert sum(dealt) == total and len(dealt) == cells and max(dealt) - min(dealt) <= 1
    assert found.verdict.reading == Reading.SIMULATED and found.verdict.recorded == 0
