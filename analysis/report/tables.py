"""Tables as Markdown, so that one cell serves website and PDF."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping

import pandas as pd

from analysis.report import numbers
from analysis.report.text import MISSING, Prose, escape

Formatter = Callable[[object], str]


class Table(Prose):
    """A table in Markdown that gives its numbers as CSV to whoever asks."""

    def __new__(cls, markdown: str, frame: pd.DataFrame, formats: Mapping[str, Formatter]):
        table = super().__new__(cls, markdown)
        table._frame, table._formats = frame, formats
        return table

    def _repr_csv_(self) -> str:
        return numbers.csv(numbers.of_table(self._frame, self._formats))


def table(
    frame: pd.DataFrame,
    formats: Mapping[str, Formatter] | None = None,
    left: Collection[str] = (),
) -> Table:
    """A data frame as a pipe table, its index left out.

    Args:
        frame: Rows to show; the column names are the head.
        formats: For a column, the function that prints its values (`report.text`). Columns
            without one hold text, which is escaped and set left; formatted ones are set right.
        left: Formatted columns that are set left all the same: those of text.

    Returns:
        Markdown made by `DataFrame.to_markdown` (tabulate).

    Raises:
        KeyError: `formats` names a column that the frame does not have.
    """
    formats = dict(formats or {})
    if unknown := set(formats) - set(frame.columns):
        raise KeyError(f"no column {', '.join(sorted(unknown))} in the table")
    shown = pd.DataFrame(
        {
            escape(name): [_cell(value, formats.get(name, escape)) for value in frame[name]]
            for name in frame.columns
        },
        dtype=object,
    )
    align = [
        "right" if name in formats and name not in left else "left" for name in frame.columns
    ]
    markdown = shown.to_markdown(
        index=False, tablefmt="pipe", colalign=align, disable_numparse=True
    )
    return Table(markdown, frame, formats)


def typeset(words: str) -> str:
    """The book's own words for a cell, with the apostrophes that its prose has.

    Values of a table stay as they are.
    """
    return re.sub(r"(?<=\w)'(?=\w)|(?<=s)'(?=\s)", "’", words)


def with_interval(
    show: Formatter, ends: Callable[[float, float], str], row: pd.Series, name: str
) -> Prose:
    """A value of a row and its interval, `name_low` to `name_high`, as far as they can be told.

    Args:
        show: Prints the value.
        ends: Prints the two ends of the interval.
        row: Of a frame.
        name: The column of the value.
    """
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not math.isfinite(value):
        return Prose(MISSING)
    sure = f" ({ends(low, high)})" if math.isfinite(low) else ""
    return Prose(f"{show(value)}{sure}")


def _cell(value: object, show: Formatter) -> str:
    if value is None or (pd.api.types.is_scalar(value) and pd.isna(value)):
        return MISSING
    # Pandoc writes a cell's text as it is, so Typst would take "= x" for a heading, "- x" for a
    # list; an empty span, of a kind that Pandoc writes, keeps the sign from being the first.
    return re.sub(r"^(?=(\\?[-=+/]|\d+\\?\.)+(\s|$))", "[]{.underline}", show(value))
