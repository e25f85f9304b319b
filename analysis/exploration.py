"""What a study's tables hold, before any question is asked of them: rows, gaps, ranges, dirt."""

from __future__ import annotations

from pathlib import Path

import ibis.expr.types as ir
import pandas as pd

from analysis import checks
from analysis.sources import Tables


def profile(tables: Tables) -> pd.DataFrame:
    """One row a column of each table, after cleaning; one query a table.

    Columns:
        table, column: which.
        rows: rows of the table.
        missing: of them, those without a value.
        distinct: different values.
        lowest, highest: smallest and largest value of a number or a day, as text; missing for text.
    """
    frames = [_profile(name, table) for name, table in tables.tables.items()]
    return pd.concat(frames, ignore_index=True)


def _profile(called: str, table: ir.Table) -> pd.DataFrame:
    measures = {"rows": table.count()}
    for i, name in enumerate(table.columns):
        column = table[name]
        measures[f"missing_{i}"] = column.isnull().sum().fill_null(0)
        measures[f"distinct_{i}"] = column.nunique()
        if not column.type().is_string():
            days = column.cast("date") if column.type().is_timestamp() else column
            measures[f"lowest_{i}"] = days.min().cast("string")
            measures[f"highest_{i}"] = days.max().cast("string")
    found = table.aggregate(**measures).to_pandas().astype(object).iloc[0]
    return pd.DataFrame([
        {
            "table": called,
            "column": name,
            "rows": int(found["rows"]),
            "missing": int(found[f"missing_{i}"]),
            "distinct": int(found[f"distinct_{i}"]),
            "lowest": found.get(f"lowest_{i}"),
            "highest": found.get(f"highest_{i}"),
        }
        for i, name in enumerate(table.columns)
    ])


def table_of(file: str, study: str) -> str:
    """The table that a problem is about: files and tables of a database are told by different
    names, of which this is common."""
    return Path(file).stem.removeprefix(f"{study}_")


def cleaning(tables: Tables, profile: pd.DataFrame) -> pd.DataFrame:
    """What was at odds with other rows, and what was done with it.

    Args:
        tables: The tables.
        profile: Of them, from `profile`.

    Returns:
        Columns `table`, `column`, `rule`, `count` (rows), `share` (of the table's rows before) and
        `handling`.
    """
    frame = checks.to_frame(tables.warnings)
    frame = frame.assign(table=[table_of(file, tables.study) for file in frame["file"]])
    dropped = frame[~frame["handling"].str.startswith("kept")].groupby("table")["count"].sum()
    rows = profile.groupby("table")["rows"].first().add(dropped, fill_value=0)
    frame["share"] = frame["count"] / frame["table"].map(rows)
    return frame[["table", "column", "rule", "count", "share", "handling"]]
