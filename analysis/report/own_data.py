"""Tables of one's own, explained: their columns from the contracts, and what `check` says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd

from analysis import checks, templates
from analysis.contracts import CONTRACTS, TYPES, Column, TableContract, limits
from analysis.report.tables import Table, table
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


def columns(study: str) -> Prose:
    """What each table of a study holds: the contract itself, a table of columns a table."""
    contract = CONTRACTS[study]
    parts = [part for each in contract.tables for part in _table(each)]
    return Prose("\n\n".join(parts))


def shapes() -> Table:
    """The studies, with what one has to bring for each."""
    return table(pd.DataFrame([
        {
            "Study": study,
            "Tables": ", ".join(each.name for each in contract.tables if not each.optional),
            "May be missing": ", ".join(each.name for each in contract.tables if each.optional),
        }
        for study, contract in CONTRACTS.items()
    ]))


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


def _table(contract: TableContract) -> list[Prose]:
    head = f"**`{contract.name}`**: one row is {escape(contract.row)}."
    if contract.optional:
        head += " The table may be missing."
    rows = pd.DataFrame([_row(column) for column in contract.columns])
    if not any(column.aliases for column in contract.columns):
        rows = rows.drop(columns="Other headers")
    rules = [f"- `{rule.column}` {escape(rule.text)}." for rule in contract.rules]
    parts = [Prose(head), table(rows)]
    return [*parts, Prose("\n".join(rules))] if rules else parts


def _row(column: Column) -> dict[str, str]:
    kind = "text" if column.type == "text" else TYPES[column.type][1]
    kind = f"{kind}, in {column.unit}" if column.unit else kind
    return {
        "Column": column.name,
        "Meaning": column.description.replace("`", ""),
        "Values": "; ".join(limits(column) if column.allowed else [kind, *limits(column)]),
        "May be empty": "yes" if column.nullable else "no",
        "Other headers": ", ".join(column.aliases),
    }

