"""A study's result object as named numbers: what `python -m analysis results` prints."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum

import numpy as np
import pandas as pd

Scalar = float | int | str | bool | None
NOT_GIVEN = "not_given"  # the name of a row whose group is missing


def flatten(
    result: object, keys: Mapping[str, Sequence[str]] | None = None, without: Collection[str] = ()
) -> dict[str, Scalar]:
    """Every number in a result object, by its path.

    Fields of dataclasses, keys of mappings, places in tuples and rows of data frames make the path,
    joined by dots: `groups.paid.q4_2021.summary.mean`. Samples (arrays) are left out; they are
    data, not results. Numbers that are not finite become None, which JSON can hold.

    Args:
        result: a dataclass, a mapping, or what they may hold.
        keys: for a field that holds a frame, or a mapping of frames: the columns that name its
            rows. Frames with a named index are named by it, whatever their field is called, and
            others by number, from 0.
        without: fields left out.

    Raises:
        ValueError: the columns do not tell the rows of a frame apart.
        TypeError: a value that is no number, text or container of such.
    """
    return dict(_walk(result, (), _Options(keys or {}, without)))


@dataclass(frozen=True)
class _Options:
    keys: Mapping[str, Sequence[str]]
    without: Collection[str]


def _walk(
    value: object, path: tuple[str, ...], options: _Options, field: str = ""
) -> Iterator[tuple[str, Scalar]]:
    if is_dataclass(value):
        for item in fields(value):
            if item.name not in options.without:
                yield from _walk(
                    getattr(value, item.name), (*path, item.name), options, item.name
                )
    elif isinstance(value, pd.DataFrame):
        for names, row in _rows(value, options.keys.get(field, ())):
            yield from _walk(row, (*path, *names), options)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            parts = key if isinstance(key, tuple) else (key,)
            yield from _walk(item, (*path, *(_slug(part) for part in parts)), options, field)
    elif isinstance(value, (tuple, list)):
        named = all(hasattr(item, "name") for item in value)
        for position, item in enumerate(value):
            name = _slug(item.name) if named else str(position)
            yield from _walk(item, (*path, name), options)
    elif not isinstance(value, (np.ndarray, pd.Series)):
        yield ".".join(path), scalar(value)


def _rows(frame: pd.DataFrame, keys: Sequence[str]) -> Iterator[tuple[tuple[str, ...], dict]]:
    """The rows of a frame with their names; a row without a name of its own has its number."""
    if keys and frame.index.names == [None]:
        frame = frame.set_index(list(keys))
    if frame.index.names == [None]:
        names = [(str(position),) for position in range(len(frame))]
    else:
        levels = [frame.index.get_level_values(i) for i in range(frame.index.nlevels)]
        called = [_names(level.unique()) for level in levels]
        names = list(zip(
            *([call[_plain(v)] for v in level] for call, level in zip(called, levels, strict=True)),
            strict=True,
        ))
    if len(set(names)) < len(names):
        raise ValueError(f"{', '.join(keys or map(str, frame.index.names))}: rows have equal names")
    # One row is the result itself, where nothing tells it from others.
    if frame.index.names == [None] and len(frame) == 1:
        names = [()]
    return zip(names, frame.to_dict("records"), strict=True)


def _names(values: Iterable[object]) -> dict[object, str]:
    """A name for each value; values that differ only in signs, as C# and C++ do, get numbers."""
    names: dict[object, str] = {}
    taken: set[str] = set()
    for value in map(_plain, values):
        name = stem = _slug(value)
        number = 1
        while name in taken:
            number += 1
            name = f"{stem}_{number}"
        names[value] = name
        taken.add(name)
    return names


def _plain(value: object) -> object:
    """A group's value as it is named: missing ones as such, whole numbers without a point."""
    if pd.isna(value):
        return NOT_GIVEN
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return int(value) if whole else value


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
