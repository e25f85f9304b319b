"""Moments against NIST's certified values, R, and their own algebra."""

import json
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.stats.moments import Moments, as_moments

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "reference.json").read_text())
NIST = json.loads((ORACLE / "nist_univariate.json").read_text())

# Eighths are exact in binary, so that shifts and scalings by powers of two are exact too.
eighths = st.integers(-8_000, 8_000).map(lambda i: i / 8)
samples = st.lists(eighths, min_size=4, max_size=40).filter(lambda x: min(x) < max(x))


def numacc(centre: float, low: float, high: float) -> list[float]:
    """NIST's rule for NumAcc2 to NumAcc4: the centre, then 500 times low and high."""
    return [centre] + [low, high] * 500


@pytest.mark.parametrize(
    ("values", "mean", "sd", "digits"),
    [
        (NIST["Lew"]["values"], -177.435000000000, 277.332168044316, 14),
        (NIST["Lottery"]["values"], 518.958715596330, 291.699727470969, 14),
        (NIST["Mavro"]["values"], 2.00185600000000, 0.000429123454003053, 12),
        (REFERENCE["michelson"]["values"], 299.852400000000, 0.0790105478190518, 12),
        ([10000001, 10000003, 10000002], 10000002, 1, 14),
        (numacc(1.2, 1.1, 1.3), 1.2, 0.1, 14),
        (numacc(1000000.2, 1000000.1, 1000000.3), 1000000.2, 0.1, 9),
        (numacc(10000000.2, 10000000.1, 10000000.3), 10000000.2, 0.1, 8),
    ],
    ids=["Lew", "Lottery", "Mavro", "Michelso", "NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4"],
)
def test_nist_certified_values(values, mean, sd, digits):
    # The lost digits are those that the values themselves lose as binary numbers.
    moments = Moments.of(values)
    assert moments.mean == pytest.approx(mean, rel=2e-15)
    assert moments.sd == pytest.approx(sd, rel=10.0**-digits)


@pytest.mark.parametrize("name", sorted(REFERENCE["samples"]))
def test_moments_equal_r(name):
    moments, r = Moments.of(REFERENCE["samples"][name]), REFERENCE["describe"][name]
    assert moments.n == r["n"]
    assert moments.mean == pytest.approx(r["mean"], rel=1e-13)
    assert moments.sd == pytest.approx(r["sd"], rel=1e-13)
    assert moments.skewness == pytest.approx(r["skewness"], rel=1e-11)
    assert moments.excess_kurtosis == pytest.approx(r["excess_kurtosis"], rel=1e-11)


@given(samples, st.randoms())
def test_order_does_not_matter(sample, random):
    shuffled = random.sample(sample, len(sample))
    one, other = Moments.of(sample), Moments.of(shuffled)
    assert other.mean == pytest.approx(one.mean, rel=1e-13, abs=1e-10)
    assert other.variance == pytest.approx(one.variance, rel=1e-12)
    assert other.skewness == pytest.approx(one.skewness, rel=1e-9, abs=1e-9)


@given(samples, eighths, st.sampled_from([0.25, 2.0, -4.0]))
def test_shift_and_scale(sample, shift, scale):
    one, other = Moments.of(sample), Moments.of(np.array(sample) * scale + shift)
    assert other.mean == pytest.approx(one.mean * scale + shift, rel=1e-12, abs=1e-9)
    assert other.variance == pytest.approx(one.variance * scale**2, rel=1e-10)
    assert other.skewness == pytest.approx(one.skewness * np.sign(scale), rel=1e-8, abs=1e-8)
    assert other.excess_kurtosis == pytest.approx(one.excess_kurtosis, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(
    "sample",
    [
        [3, 1, 2],
        (3.0, 1.0, 2.0),
        np.array([3, 1, 2], dtype=np.uint8),
        np.array([3, 1, 2], dtype=np.float32),
        pd.Series([3, 1, 2], index=[7, 7, 9]),
        pd.Series([3, 1, 2], dtype="Int64"),
        pd.Series([Decimal(3), Decimal(1), Decimal(2)]),
    ],
    ids=lambda x: f"{type(x).__name__}-{getattr(x, 'dtype', '')}",
)
def test_any_column_of_numbers(sample):
    assert Moments.of(sample).mean == 2.0
    assert Moments.of(sample).variance == 1.0


def test_small_integers_do_not_overflow():
    assert Moments.of(np.full(1000, 255, dtype=np.uint8) - np.arange(1000) % 2).mean == 254.5


def test_few_and_constant_values():
    assert Moments.of([7]).mean == 7
    assert np.isnan(Moments.of([7]).variance)
    assert Moments.of([1, 2]).skewness is None
    assert Moments.of([1, 2, 4]).skewness == pytest.approx(0.93521953)  # 3 values: closed form
    assert Moments.of([1, 2, 4]).excess_kurtosis is None
    assert Moments.of([0.1] * 10) == Moments(10, 0.1, 0.0)  # no rounding dust


@pytest.mark.parametrize(
    ("sample", "rule"),
    [
        (
            [1.0, np.nan, 3.0],
            "minutes: every value must be a finite number; 1 of 3 are not "
            r"\(the first at position 1\)",
        ),
        ([1.0, np.inf], "minutes: every value must be a finite number"),
        (pd.Series([1, None], dtype="Int64"), "minutes: every value must be a finite number"),
        ([1, None], "minutes: every value must be a finite number"),
        (np.ma.masked_array([1, 2], [False, True]), "minutes: every value must be a finite"),
        ([], r"minutes: needs at least 1 value\(s\), got 0"),
        ([[1, 2], [3, 4]], "minutes: must be one column of numbers"),
        (5, "minutes: must be one column of numbers"),
        ("12", "minutes: must be one column of numbers"),
        (["1", "2"], "minutes: must hold numbers"),
        ([1, "2"], "minutes: must hold numbers"),
        ([1j, 2], "minutes: must hold numbers"),
        (pd.Series(["2022-01-01"], dtype="datetime64[ns]"), "minutes: must hold numbers"),
        ([1e61, 2], "minutes: magnitudes above 1e\\+60"),
    ],
)
def test_bad_samples_are_named(sample, rule):
    with pytest.raises(ValueError, match=rule):
        Moments.of(sample, "minutes")


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ((0, 1.0, 1.0), "n: must be a whole number of at least 1"),
        ((2.5, 1.0, 1.0), "n: must be a whole number"),
        ((5, np.nan, 1.0), "mean: must be finite"),
        ((5, 1.0, -1.0), "sd: must be at least 0"),
        ((5, 1.0, np.nan), "variance: must be finite"),
    ],
)
def test_bad_published_figures_are_named(values, rule):
    with pytest.raises(ValueError, match=rule):
        Moments.published(*values)


def test_too_few_values_for_a_method():
    with pytest.raises(ValueError, match=r"b: needs at least 2 value\(s\), got 1"):
        as_moments([1.0], "b")
    with pytest.raises(ValueError, match=r"b: needs at least 2 value\(s\), got 1"):
        as_moments(Moments(1, 3.0, np.nan), "b")


def test_frame():
    frame = Moments.published(4, 10.0, 2.0).to_frame()
    assert frame.loc[0, ["n", "mean", "variance"]].tolist() == [4, 10.0, 4.0]
    assert Moments.published(4, 10.0, 2.0).standard_error == 1.0
