"""Tables of one's own, explained: their columns from the contracts, and what `check` says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from analysis import checks, templates
from analysis.contracts import CONTRACTS, TYPES, Column, TableContract, limits
from analysis.report.tables import Table, table, typeset
from analysis.report.text import Prose, count, escape, listing
from analysis.sources import check_study

# A table with the faults that exports have most often.
FAULTY = """\
Student ID,country,paid,minutes_watched_21,minutes_watched_22
1,US,yes,12.5,30
2,USA,no,,4
2,IN,maybe,"1,200",8
3,DE,no,5,-1
"""


def row(study: str, name: str) -> Prose:
    """What one row of a table is."""
    contract = _contract(study, name)
    optional = " The table may be missing." if contract.optional else ""
    return Prose(f"In `{name}`, one row is {escape(contract.row.replace('`', ''))}.{optional}")


def columns(study: str, name: str) -> Table:
    """What each column of a table holds, as its contract says it."""
    contract = _contract(study, name)
    rows = pd.DataFrame([_row(contract, column) for column in contract.columns])
    aliases = any(column.aliases for column in contract.columns)
    shown = rows if aliases else rows.drop(columns="Other headers")
    return table(shown, {"Values": str}, left=["Values"])


def check_example() -> Table:
    """What `check` says of `FAULTY`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "engagement" / "students.csv"
        file.parent.mkdir()
        file.write_text(FAULTY, encoding="utf-8")
        problems = checks.to_frame(check_study("engagement", folder)[1])
    shown = problems[["column", "row", "value", "rule", "count"]]
    return table(shown.rename(columns=str.capitalize), {"Row": str, "Count": str})


def template_example(study: str) -> Prose:
    """What `template` writes for a study, as a list of files."""
    names = [f"`{study}/{name}.csv`" for name in templates.EXAMPLES[study]]
    return Prose(f"{count(len(names), 'file')}: {listing(names)}")


def _contract(study: str, name: str) -> TableContract:
    return next(each for each in CONTRACTS[study].tables if each.name == name)


def _row(contract: TableContract, column: Column) -> dict[str, str]:
    kind = "text" if column.type == "text" else TYPES[column.type][1]
    kind = f"{kind}, in {column.unit}" if column.unit else kind
    values = [] if column.allowed else [kind]
    values += limits(column) + [r.text for r in contract.rules if r.column == column.name]
    values = [escape(value) for value in values]
    if column.allowed and not column.allowed_as:  # "and" is a value, not a word
        values[0] = Prose(f"one of {', '.join(f'`{value}`' for value in column.allowed)}")
    return {
        "Column": column.name,
        "Meaning": typeset(column.description.replace("`", "")),
        "Values": "; ".join(values),
        "May be empty": "yes" if column.nullable else "no",
        "Other headers": ", ".join(column.aliases),
    }
