"""The methods appendix: how the book's statistics agree with other programs and printed results.

What is shown was stored by `bench/agreement.py`.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pandas as pd

from analysis.report.tables import table, typeset
from analysis.report.text import MINUS, Prose, count, escape, listing, number

STORED = Path(__file__).resolve().parents[2] / "bench"


def _read(name: str) -> pd.DataFrame:
    path = STORED / name
    sys.audit("analysis.read", str(path))
    return pd.read_csv(path, dtype={"published": str})


CERTIFIED = "NIST StRD"  # a source


def methods() -> pd.DataFrame:
    """The comparisons with other programs, a row a method."""
    return _read("agreement.csv")


def published() -> pd.DataFrame:
    """The comparisons with printed results, a row a value."""
    return _read("published.csv")


def power_of_ten(value: float) -> Prose:
    """The power of ten that a deviation stays below; 0 where there is none."""
    if value == 0:
        return Prose("0")
    # Deviations below this are those of rounding, and of no machine but one.
    exponent = max(math.ceil(math.log10(value)), -12)
    return Prose(f"10^{str(exponent).replace('-', MINUS)}^")


def methods_table(frame: pd.DataFrame) -> Prose:
    """Each method against an independent implementation."""
    shown = pd.DataFrame({
        "Method": frame["method"].map(typeset),
        "Ours": frame["module"].str.replace(r"^analysis/(stats/)?|\.py$", "", regex=True),
        "Against": frame["against"], "Values": frame["values"],
        "Apart by less than": frame["deviation"], "Allowed": frame["tolerance"],
    })
    return table(shown, {"Values": number, "Apart by less than": power_of_ten,
                         "Allowed": lambda value: escape(f"{value:.0%}") if value >= 0.01
                         else power_of_ten(value)})


def methods_sentence(frame: pd.DataFrame) -> Prose:
    """How many values were compared, and how near they are."""
    close = int((frame["deviation"] <= 1e-8).sum())
    far = frame[frame["deviation"] > frame["tolerance"]]
    text = (
        f"{count(len(frame), 'comparison')} of {number(frame['values'].sum())} values: in "
        f"{number(close)} of them every value agrees to eight digits or more"
    )
    if far.empty:
        return Prose(f"{text}, and in the others to as many as the two programs' own searches for "
                     "a maximum or a root, or their random numbers, leave.")
    return Prose(f"{text}. Further apart than allowed: {listing(map(escape, far['method']))}.")


def _as_printed(row) -> str:
    """Ours to the digits of the published value."""
    digits = len(row.published.partition(".")[2])
    return f"{row.ours:.{digits}f}"


def _off(frame: pd.DataFrame) -> list[float]:
    """How far ours lies from each published value, relative to it; 0 where it prints the same."""
    return [
        0.0 if float(_as_printed(row)) == float(row.published)
        else abs(row.ours - float(row.published)) / abs(float(row.published))
        for row in frame.itertuples()
    ]


def published_table(frame: pd.DataFrame) -> Prose:
    """Printed values, ours to as many digits, and the power of ten that they are within."""
    shown = pd.DataFrame({
        "Quantity": frame["quantity"].map(typeset),
        "Source": [Prose(f"@{source}") if " " not in source else escape(source)
                   for source in frame["source"]],
        "Published": [Prose(value.replace("-", MINUS)) for value in frame["published"]],
        "Ours": [Prose(_as_printed(row).replace("-", MINUS)) for row in frame.itertuples()],
        "Relative difference": [power_of_ten(value) for value in _off(frame)],
    })
    return table(shown, {name: Prose for name in shown.columns[1:]}, left=("Source",))


def certified(frame: pd.DataFrame) -> Prose:
    """How far ours lie from the certified values at most, as the end of a sentence."""
    off = _off(frame[frame["source"] == CERTIFIED])
    if not any(off):
        return Prose("ours are the same to the last digit")
    return Prose(f"ours lie within {power_of_ten(max(off))} of every value")


def published_sentence(frame: pd.DataFrame) -> Prose:
    """How many come out as printed, and how far off the others are."""
    off = _off(frame)
    equal = off.count(0.0)
    text = f"{number(equal)} of {number(len(frame))} printed values come out to the last digit"
    if equal == len(frame):
        return Prose(f"{text}.")
    return Prose(f"{text}; the others differ by less than {power_of_ten(max(off))} of the value.")
