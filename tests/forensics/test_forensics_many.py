"""Many p-values, ties, digits: SciPy and R, simulated error rates, and two recorded tables."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.forensics import digits, pvalues, ties, uniformity

R = json.loads((Path(__file__).parent / "oracle" / "forensics.json").read_text())


# p-values.


def test_combinations_equal_scipy_and_r():
    p = [0.01, 0.2, 0.5, 0.03, 0.9]
    found = pvalues.spread(p)
    assert found.p_small == pytest.approx(R["fisher"][0], rel=1e-9)
    assert found.p_large == pytest.approx(
        stats.combine_pvalues([1 - x for x in p], "fisher").pvalue)
    z = stats.combine_pvalues(p, "stouffer")
    assert found.stouffer == pytest.approx(z.statistic)
    assert found.p_uniform == pytest.approx(stats.kstest(p, "uniform").pvalue)


def test_too_balanced_baselines_show_on_the_large_side():
    rng = np.random.default_rng(1)
    assert pvalues.spread(1 - rng.random(30) ** 3 * 0.4).p_large < 0.001
    assert pvalues.spread(rng.random(30) ** 3).p_small < 0.001
    fair = pvalues.spread(rng.random(30))
    assert min(fair.p_small, fair.p_large, fair.p_uniform) > 0.01
    assert pvalues.spread([0.0, 1.0]).p_small >= 0
    with pytest.raises(ValueError):
        pvalues.spread([0.5, 1.2])


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_partial_conjunction_goes_from_bonferroni_to_the_largest(p):
    assert pvalues.partial_conjunction(p, 1) == pytest.approx(min(1, min(p) * len(p)))
    assert pvalues.partial_conjunction(p, len(p)) == pytest.approx(max(p))
    shuffled = list(reversed(p))
    for least in range(1, len(p) + 1):
        assert pvalues.partial_conjunction(p, least) == pvalues.partial_conjunction(shuffled, least)


def test_partial_conjunction_keeps_its_level():
    """With two true effects of five, three are claimed in at most 5%, with three in most cases."""
    rng = np.random.default_rng(2)

    def claimed(effects):
        z = rng.normal(0, 1, (2_000, 5)) + np.array([6.0] * effects + [0.0] * (5 - effects))
        p = stats.norm.sf(z)
        return np.mean([pvalues.partial_conjunction(row, 3) <= 0.05 for row in p])

    assert claimed(2) <= 0.06
    assert claimed(3) > 0.9
    assert pvalues.partial_conjunction([0.001, np.nan], 2) == 1.0
    with pytest.raises(ValueError):
        pvalues.partial_conjunction([0.1], 2)


# Ties.


def test_ties_equal_scipy():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 80))
    r = stats.pearsonr(x, y)
    found = ties.between_numbers(r.statistic, 80)
    assert found.p_value == pytest.approx(r.pvalue) and found.size == r.statistic
    table = np.array([[30, 12, 9], [25, 20, 14]])
    fit = stats.chi2_contingency(table, correction=False)
    found = ties.between_categories(table)
    assert (found.statistic, found.p_value, found.df) == pytest.approx((*fit[:2], 2))


def test_groups_are_as_in_r():
    groups = [  # warpbreaks, by tension L, M, H
        [26, 30, 54, 25, 70, 52, 51, 26, 67, 27, 14, 29, 19, 29, 31, 41, 20, 44],
        [18, 21, 29, 17, 12, 18, 35, 30, 36, 42, 26, 19, 16, 39, 28, 21, 39, 29],
        [36, 21, 24, 18, 10, 43, 28, 15, 26, 20, 21, 24, 17, 13, 15, 15, 16, 28],
    ]
    sizes, totals = [18] * 3, [sum(group) for group in groups]
    squares = sum(value**2 for group in groups for value in group)
    found = ties.between_number_and_groups(sizes, totals, squares)
    assert found.df == 2
    assert [found.statistic / 2, found.p_value] == pytest.approx(R["anova"], rel=1e-9)
    shifted = [[value - 40 for value in group] for group in groups]
    again = ties.between_number_and_groups(
        [*sizes, 0], [*(sum(group) for group in shifted), 0],
        sum(value**2 for group in shifted for value in group))
    assert again.statistic == pytest.approx(found.statistic)


def test_ties_that_cannot_be_tested():
    assert ties.between_numbers(math.nan, 50) is None and ties.between_numbers(0.2, 3) is None
    assert ties.between_number_and_groups([10], [3.0], 9.0) is None
    assert ties.between_number_and_groups([3, 3], [0.0, 0.0], 0.0) is None
    assert ties.between_categories([[5, 5]]) is None
    assert ties.between_categories([[1, 4], [3, 2]]) is None  # too few
    same = ties.between_numbers(1.0, 50)
    assert same.p_value == 0 and same.p_absent == pytest.approx(1) and same.interval().high > 0.99


def test_intervals_hold_the_tie():
    """Of a population r of 0.2, on 400 rows: 95% of the intervals, and never shown to be absent."""
    rng = np.random.default_rng(4)
    held, absent = 0, 0
    for _ in range(300):
        x = rng.normal(size=400)
        y = 0.2 * x + math.sqrt(1 - 0.04) * rng.normal(size=400)
        tie = ties.between_numbers(np.corrcoef(x, y)[0, 1], 400)
        held += tie.interval().contains(0.2)
        absent += tie.p_absent <= 0.05
    assert held >= 0.91 * 300 and absent <= 3


def all_pairs(frame: pd.DataFrame) -> list[ties.Tie]:
    """The ties of all columns of numbers."""
    r = frame.corr()
    found = [ties.between_numbers(r.loc[a, b], len(frame))
             for a, b in itertools.combinations(frame.columns, 2)]
    return [tie for tie in found if tie is not None]


def test_independent_columns_are_few_ties_and_recorded_tables_many():
    """Two recorded tables that come with statsmodels: a survey of 1974, the RAND experiment."""
    rng = np.random.default_rng(5)
    made = ties.picture(all_pairs(pd.DataFrame(rng.random((3_000, 12)))))
    assert made.pairs == 66 and made.p_few < 1e-4 and made.p_many > 0.5
    assert made.spread.p_uniform > 0.01
    for data in (sm.datasets.fair, sm.datasets.randhie):
        frame = data.load_pandas().data
        found = ties.picture(all_pairs(frame.select_dtypes("number")))
        assert found.p_many < 1e-6 and found.p_few > 0.5, data
        assert found.spread.p_uniform < 1e-6 and found.largest_low > 0.2
    age = sm.datasets.fair.load_pandas().data["age"].value_counts()
    assert uniformity.evenness(age.tolist()).p_even > 0.99


def test_small_tables_are_not_said_to_have_few_ties():
    rng = np.random.default_rng(6)
    found = ties.picture(all_pairs(pd.DataFrame(rng.random((60, 8)))))
    assert found.power < 0.2 and found.p_few > 0.05
    assert ties.picture([]) is None


# Digits.


def test_heaping_is_as_in_r():
    found = digits.heaping(261, [185, 184, 185, 185])
    assert found.n == 1_000 and found.ratio == pytest.approx(1.305)
    assert [found.p_heaped, found.p_smooth] == pytest.approx(R["heaping"], rel=1e-9)
    assert found.low < 1.305 < found.high
    assert digits.heaping(0, [0, 0]) is None and digits.heaping(4, []) is None
    with pytest.raises(ValueError):
        digits.heaping(1, [1], margin=1.0)


def by_distance(values: np.ndarray, every: int) -> digits.Heaping:
    half = (every - 1) // 2
    distance = (values + half) % every - half
    return digits.heaping(int((distance == 0).sum()),
                          [int((distance == d).sum()) for d in range(-half, half + 1) if d])


def test_stated_ages_heap_and_smooth_ones_do_not():
    rng = np.random.default_rng(7)
    age = rng.normal(42, 13, 4_000)
    smooth = by_distance(np.round(age).astype(int), 5)
    assert smooth.p_smooth < 1e-6 and smooth.p_heaped > 0.01
    some = np.where(rng.random(4_000) < 0.2, 5 * np.round(age / 5), np.round(age)).astype(int)
    heaped = by_distance(some, 5)
    assert heaped.p_heaped < 1e-10 and heaped.ratio == pytest.approx(1 + 0.2 * 4, abs=0.1)


def test_grid():
    assert digits.grid({10.0: 5, 1.0: 5, 0.1: 5}, 5) == 10.0
    assert digits.grid({10.0: 4, 1.0: 5}, 5) == 1.0
    assert digits.grid({1.0: 4}, 5) is None and digits.grid({}, 0) is None


def test_benford_fits_powers_of_two_and_not_numbers_between_limits():
    first = [int(str(2**k)[0]) for k in range(1_000)]
    powers = digits.first_digits([first.count(d) for d in range(1, 10)], 1, 2.0**999)
    assert powers.applies and powers.fit.p_even < 1e-3
    between = np.random.default_rng(8).integers(1_010, 9_990, 3_000)
    flat = digits.first_digits(
        [int((between // 1_000 == d).sum()) for d in range(1, 10)], 1_010, 9_990)
    assert not flat.applies and flat.fit.p_even > 0.99 and flat.fit.w > 0.5
    assert sum(digits.BENFORD) == pytest.approx(1)
    assert digits.first_digits([0] * 9, 1, 2) is None
    with pytest.raises(ValueError):
        digits.first_digits([1] * 8, 1, 2)


def test_numbering():
    export = digits.numbering(100, 1, 100, 0.05)
    assert export.consecutive and export.used == 1 and export.p_ordered > 0.3
    rng = np.random.default_rng(9)
    number = np.cumsum(rng.geometric(0.3, 400))
    months = 60 - number / number.max() * 50 + rng.normal(0, 6, 400)
    r = np.corrcoef(number, months)[0, 1]
    register = digits.numbering(400, number.min(), number.max(), r)
    assert register.used < 0.5 and register.r < -0.8 and register.p_ordered < 1e-20
    assert register.p_ordered == pytest.approx(stats.pearsonr(number, months).pvalue, rel=1e-6)
    assert digits.numbering(1, 5, 5) is None
    assert math.isnan(digits.numbering(3, 1, 3).p_ordered)
    with pytest.raises(ValueError):
        digits.numbering(10, 1, 5)
