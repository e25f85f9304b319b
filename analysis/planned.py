"""How a randomised test was to be split, where the tables say it (`planned_split`)."""

from __future__ import annotations

from analysis.sources import Tables


def planned_share(tables: Tables, column: str, group: str) -> float | None:
    """The share of customers that a group of the test was to get; None: the tables do not say.

    Args:
        tables: The tables of a study of a test.
        column: The column that names the groups.
        group: One of them.
    """
    table = tables.tables.get("planned_split")
    if table is None:
        return None
    shares = table.to_pandas().set_index(column)["share"]
    return float(shares[group]) if group in shares.index else None
