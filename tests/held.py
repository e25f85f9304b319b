"""Tables of a test in a database of their own, which many queries read faster than frames."""

from __future__ import annotations

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd


def held(
    frames: Mapping[str, pd.DataFrame], schemas: Mapping[str, Mapping[str, str]] | None = None
) -> dict[str, ir.Table]:
    """The frames as tables of one new database.

    Args:
        frames: By name.
        schemas: The types of the columns, by name of the table; else those of the frames.
    """
    connection = ibis.duckdb.connect()
    return {
        name: connection.create_table(
            name, ibis.memtable(frame, schema=schemas[name] if schemas else None))
        for name, frame in frames.items()
    }


def subscribers(frame: pd.DataFrame) -> ir.Table:
    """The table of the study of churn."""
    return held({"subscribers": frame})["subscribers"]
