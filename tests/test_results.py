"""Results by name: every number once, rows by what tells them apart."""

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import pandas as pd
import pytest

from analysis.results import flatten, scalar


@dataclass(frozen=True)
class Part:
    mean: float
    sample: np.ndarray = field(default_factory=lambda: np.arange(3))


@dataclass(frozen=True)
class Whole:
    parts: dict
    by_group: pd.DataFrame
    plain: pd.DataFrame


FRAME = pd.DataFrame({"group": ["C#", "C++", None], "hour": [1.0, 1.0, np.nan],
                      "n": [3, 4, 5], "share": [0.5, np.inf, np.nan]})


def test_every_number_has_its_path():
    whole = Whole({("Paid plan", 2021): Part(1.5), "free": Part(np.float64(2))}, FRAME, FRAME)
    assert flatten(whole, {"by_group": ("group", "hour")}) == {
        "parts.paid_plan.2021.mean": 1.5, "parts.free.mean": 2.0,
        "by_group.c.1.n": 3, "by_group.c.1.share": 0.5,
        "by_group.c_2.1.n": 4, "by_group.c_2.1.share": None,
        "by_group.not_given.not_given.n": 5, "by_group.not_given.not_given.share": None,
        **{f"plain.{i}.{c}": scalar(FRAME[c].iloc[i]) if c != "group" or i < 2 else None
           for i in range(3) for c in FRAME},
    }


def test_a_named_index_names_the_rows():
    assert flatten({"f": FRAME[["group", "n"]].set_index("group")}) == {
        "f.c.n": 3, "f.c_2.n": 4, "f.not_given.n": 5,
    }


def test_a_single_row_is_the_result_itself():
    assert flatten({"total": pd.DataFrame({"n": [7]})}) == {"total.n": 7}


def test_fields_are_left_out_by_name():
    whole = Whole({"a": Part(1.0)}, FRAME, FRAME)
    assert list(flatten(whole, without=("by_group", "plain"))) == ["parts.a.mean"]


def test_names_that_do_not_tell_rows_apart_are_refused():
    with pytest.raises(ValueError, match="hour: rows have equal names"):
        flatten(Whole({}, FRAME, FRAME), {"plain": ("hour",)})


def test_what_has_no_number_is_refused():
    class Colour(Enum):
        RED = "red"

    assert scalar(Colour.RED) == "red"
    with pytest.raises(TypeError, match="Timestamp"):
        flatten({"when": pd.Timestamp("2024-01-05")})
