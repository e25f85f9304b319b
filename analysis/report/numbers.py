"""The numbers of a table or a figure as CSV, for whoever wants to reckon with them.

Where a table prints a number that it holds, the CSV has it unrounded; where a cell holds text that
was printed before ("7.3% (6.1% to 8.5%)"), the numbers are read off it, rounded as they are there.
"""

from __future__ import annotations

import csv as _csv
import datetime as dt
import io
import math
import numbers
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import pandas as pd

from analysis.report.text import MINUS, MISSING, plain

# Of a number. The rest differs from run to run, with the order in which a database adds.
DIGITS = 12

_NUMBER = rf"[+{MINUS}-]?\$?(?:0|[1-9]\d*|[1-9]\d{{0,2}}(?:,\d{{3}})+)(?:\.\d+)?%?"
_PRINTED = re.compile(
    rf"(?:(?:p = |×)?(?P<value>{_NUMBER})"
    rf"(?: \((?P<low>{_NUMBER}) to (?P<high>{_NUMBER})\)| \((?P<share>{_NUMBER}%)\)"
    rf"| ± (?P<error>{_NUMBER})| of (?P<of>{_NUMBER}))?"
    rf"|(?P<least>{_NUMBER}) to (?P<most>{_NUMBER})"
    rf"|(?P<before>{_NUMBER}) → (?P<after>{_NUMBER}))(?: (?P<mark>[▲▼]))?"
)
# Of a cell, in the order of columns.
_PARTS = ("value", "before", "after", "low", "high", "error", "of", "share", "mark")
_BOUND = re.compile(rf"[<>]\s*{_NUMBER}")
# How a table may print what it holds: shares as points, cents as money, and the other way round.
_SCALES = (1, 100, 0.01, 1000, 0.001)


def csv(frame: pd.DataFrame) -> str:
    """A frame as CSV (RFC 4180): a header, numbers to `DIGITS`, nothing for what is missing.

    Text that a spreadsheet would take for a formula gets an apostrophe in front; numbers, negative
    ones too, stay as they are.
    """
    text = io.StringIO(newline="")
    writer = _csv.writer(text, lineterminator="\r\n")
    writer.writerow([_harmless(str(name)) for name in frame.columns])
    columns = [_fields(list(frame.iloc[:, i])) for i in range(frame.shape[1])]
    writer.writerows(zip(*columns, strict=True))
    return text.getvalue()


def _fields(values: list) -> list[str]:
    """A column; counts that stand beside missing values are floats, and whole all the same."""
    floats = [value for value in values if isinstance(value, float) and math.isfinite(value)]
    if all(value.is_integer() and abs(value) < 2**53 for value in floats):
        values = [
            int(value) if isinstance(value, float) and math.isfinite(value) else value
            for value in values
        ]
    return [_field(value) for value in values]


def _field(value: object) -> str:
    if _missing(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, (numbers.Number, dt.date)):
        return _harmless(str(value))
    if isinstance(value, dt.date):
        return value.isoformat().removesuffix("T00:00:00")
    return f"{value:.{DIGITS}g}" if isinstance(value, float) else str(value)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def _missing(value: object) -> bool:
    return value is None or bool(pd.api.types.is_scalar(value) and pd.isna(value))


# Tables --------------------------------------------------------------------------------------


def of_table(frame: pd.DataFrame, formats: Mapping[str, Callable[[object], str]]) -> pd.DataFrame:
    """What a table shows (`report.tables.table`), as numbers.

    A column whose cells hold more than a number becomes several: the value, the "low" and "high"
    ends of its interval, and so on.
    """
    columns: dict[str, list] = {}
    for name in frame.columns:
        values = list(frame[name])
        if name not in formats:
            columns[str(name)] = values
            continue
        cells = [_cell(value, formats[name]) for value in values]
        scale = _scale(cells)
        read = [cell.parts(scale) for cell in cells]
        found = [part for part in _PARTS if any(part in parts for parts in read)]
        for part in found or ["value"]:
            title = str(name) if part == "value" else f"{name}, {part}"
            columns[title] = [parts.get(part) for parts in read]
    return pd.DataFrame(columns, index=frame.index, dtype=object)


@dataclass(frozen=True)
class _Cell:
    """A cell of a table: what it holds (None: text that was printed before), and prints."""

    held: object
    printed: str

    def parts(self, scale: float | None) -> dict[str, object]:
        """What there is of `_PARTS`; a text stands where the value would."""
        read = _read(self.printed)
        if isinstance(self.held, dt.date):
            return {"value": self.held}
        if self._is_number and scale and (read or _BOUND.fullmatch(self.printed)):
            return {"value": self.held if scale == 1 else float(self.held) * scale}
        return read or ({"value": self.printed} if self.printed else {})

    @property
    def _is_number(self) -> bool:
        return isinstance(self.held, numbers.Real) and not isinstance(self.held, bool)


def _cell(value: object, show: Callable[[object], str]) -> _Cell:
    if _missing(value):
        return _Cell(None, "")
    text = plain(show(value))
    return _Cell(None if isinstance(value, str) else value, "" if text == MISSING else text)


def _scale(cells: Sequence[_Cell]) -> float | None:
    """By what the numbers that cells hold are multiplied to give those printed; None: unknown."""
    pairs = [
        (float(cell.held), read["value"])
        for cell in cells
        if cell._is_number and "value" in (read := _read(cell.printed))
    ]
    for scale in _SCALES:
        if all(
            math.isclose(held * scale, printed, rel_tol=0.01, abs_tol=_last_digit(printed))
            for held, printed in pairs
        ):
            return scale
    return None


def _last_digit(value: float) -> float:
    """Half a unit of the last digit of a number that was read off a text."""
    return 0.5001 * 10.0 ** Decimal(repr(value)).normalize().as_tuple().exponent


def _read(text: str) -> dict[str, float | str]:
    """The parts of a printed number or interval; none where it is another text."""
    found = _PRINTED.fullmatch(text)
    parts = found.groupdict() if found else {}
    read = {name: _value(part) for name, part in parts.items() if part and name != "mark"}
    for end, name in (("least", "low"), ("most", "high")):
        if end in read:
            read[name] = read.pop(end)
    if parts.get("mark"):
        read["mark"] = parts["mark"]
    return read


def _value(text: str) -> float | int:
    digits = re.sub(r"[^\d.-]", "", text.replace(MINUS, "-"))
    if text.endswith("%"):
        return float(Decimal(digits) / 100)
    return float(digits) if "." in digits else int(digits)


# Figures -------------------------------------------------------------------------------------


def of_plot(plot) -> pd.DataFrame:
    """The data that a plotnine plot draws: of every layer, the columns that say what is seen.

    Layers of the same data share rows; where there are others, a column "layer" names the geometry.
    Columns on an axis are called as the axis, the rest as in the data.
    """
    drawn: dict[int, tuple[pd.DataFrame, list[str], dict[str, str]]] = {}
    for layer in plot.layers:
        data = plot.data if layer._data is None else layer._data
        data = data(plot.data) if callable(data) else data
        if not isinstance(data, pd.DataFrame):
            continue
        _, geometries, names = drawn.setdefault(id(data), (data, [], {}))
        geometries.append(type(layer.geom).__name__.removeprefix("geom_"))
        for column, name in _mapped(plot, layer, data):
            if column not in names and name in names.values():
                name = column  # two columns on one axis
            names.setdefault(column, name)
    parts = [
        data[list(names)].rename(columns=names).assign(layer=" + ".join(dict.fromkeys(geometries)))
        for data, geometries, names in drawn.values()
        if names
    ]
    if not parts:
        return pd.DataFrame()
    stacked = pd.concat([part.astype(object) for part in parts], ignore_index=True)
    layers = stacked.pop("layer")
    if len(parts) > 1:
        stacked.insert(0, "layer", layers)
    return stacked.map(_label)


def _mapped(plot, layer, data: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """The columns of its data that a layer draws, with what to call them."""
    facet = plot.facet
    for column in [
        *getattr(facet, "vars", ()),
        *getattr(facet, "rows", ()),
        *getattr(facet, "cols", ()),
    ]:
        if column in data:
            yield column, column
    mapping = {**(plot.mapping if layer.inherit_aes else {}), **(layer.mapping or {})}
    # An annotation's columns are called as what they are for, and come in the order of a set, which
    # is another in every run.
    ordered = sorted(mapping.items(), key=lambda pair: pair[0] if pair[0] == pair[1] else "")
    for aesthetic, column in ordered:
        if isinstance(column, str) and column in data and aesthetic not in layer.geom.aes_params:
            axis = {"xintercept": "x", "yintercept": "y"}.get(aesthetic, aesthetic)
            # Where a segment begins is no value of its own.
            is_end = mapping.get(f"{axis}end", column) != column
            if axis in ("x", "y") and not is_end:
                title = getattr(plot.labels, axis, None) or plot.mapping.get(axis) or column
                yield column, " ".join(str(title).split()).removesuffix(" (log scale)")
            else:
                yield column, column


def _label(value: object) -> object:
    """A label without what serves only its drawing: breaks of lines, escaped dollar signs."""
    return " ".join(value.split()).replace("\\$", "$") if isinstance(value, str) else value
