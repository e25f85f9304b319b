"""A study's result object as named numbers: what `python -m analysis results` prints."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

import numpy as np
import pandas as pd

Scalar = float | int | str | bool | None


def flatten(result: object) -> dict[str, Scalar]:
    """Every number in a result object, by its path.

    Fields of dataclasses, keys of mappings, places in tuples and the rows of data frames (by
    number, from 0) make the path, joined by dots: `groups.paid.q4_2021.summary.mean`. Samples
    (arrays) are left out; they are data, not results. Numbers that are not finite become None,
    which JSON can hold.
    """
    return dict(_walk(result, ()))


def _walk(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, Scalar]]:
    if is_dataclass(value):
        for field in fields(value):
            yield from _walk(getattr(value, field.name), (*path, field.name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            parts = key if isinstance(key, tuple) else (key,)
            yield from _walk(item, (*path, *(_slug(part) for part in parts)))
    elif isinstance(value, pd.DataFrame):
        for position, row in enumerate(value.to_dict("records")):
            yield from _walk(row, (*path, str(position)))
    elif isinstance(value, (tuple, list)):
        named = all(hasattr(item, "name") for item in value)
        for position, item in enumerate(value):
            yield from _walk(item, (*path, _slug(item.name) if named else str(position)))
    elif not isinstance(value, (np.ndarray, pd.Series)):
        yield ".".join(path), scalar(value)


def _slug(key: object) -> str:
    return re.sub(r"\W+", "_", str(key).lower()).strip("_")


def scalar(value: object) -> Scalar:
    """A value as JSON can hold it: NumPy's as Python's, what is not finite as None."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return str(value.value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    raise TypeError(f"a result holds a {type(value).__name__}, which has no name and number")
