"""Empty forms for tables of one's own: each table of a study as CSV, with two example rows.

The examples fit the contracts and each other, so that a template passes `python -m analysis check`
before the first row of one's own is in it. Everybody in them is called EXAMPLE, so that no row can
be taken for a real one.
"""

import csv
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from analysis.contracts import CONTRACTS
from analysis.sources import SUFFIXES

# Study -> table -> two rows, in the order of the contract's columns; "" is a missing value.
EXAMPLES = {
    "engagement": {
        "students": [
            ("EXAMPLE-1", "US", 1, "120.5", "150"),
            ("EXAMPLE-2", "IN", 0, "", "12.25"),
        ],
    },
    "customers": {
        "users": [
            ("EXAMPLE-1", "2024-01-01", "and", "F", "USA", 34),
            ("EXAMPLE-2", "2024-01-02", "iOS", "", "IND", ""),
        ],
        "purchases": [
            ("EXAMPLE-1", "2024-01-03 10:05:00", "example_month", 999),
            ("EXAMPLE-2", "2024-01-04 18:30:00", "example_coins", 199),
        ],
        "paywall_views": [
            ("EXAMPLE-1", "2024-01-03 10:05:00", 1, "example_month", 999),
            ("EXAMPLE-2", "2024-01-03 09:00:00", 0, "", ""),
        ],
        "paywall_test": [
            ("EXAMPLE-1", "control", "2024-01-03 10:00:00"),
            ("EXAMPLE-2", "test", "2024-01-03 08:59:00"),
        ],
        "releases": [
            ("2024-01-02", "EXAMPLE 1.0"),
            ("2024-01-04", "EXAMPLE 1.1"),
        ],
        "planned_split": [
            ("control", "0.5"),
            ("test", "0.5"),
        ],
    },
    "mooc": {
        "users": [
            ("EXAMPLE-1", "2024-01-01", 1, "49.90", "310.5", "80", "75", "Example job", "25-34",
             "Example channel", "US"),
            ("EXAMPLE-2", "2024-01-02", 1, "19.90", "0", "0", "", "", "", "", ""),
        ],
        "events": [
            ("EXAMPLE-1", "2024-01-01 09:00:00", "signed_up", "", "US", "Example source"),
            ("EXAMPLE-1", "2024-01-01 09:05:00", "enrolled_in_course", "EXAMPLE-A", "US", ""),
        ],
        "courses": [
            ("EXAMPLE-A", "Example course A", "Example category", "49.90"),
            ("EXAMPLE-B", "Example course B", "Example category", "19.90"),
        ],
        "orders": [
            ("EXAMPLE-O1", "EXAMPLE-1", "EXAMPLE-A", "2024-01-01 09:04:00", "49.90",
             "Example channel"),
            ("EXAMPLE-O2", "EXAMPLE-2", "EXAMPLE-B", "2024-01-02 12:00:00", "19.90", ""),
        ],
    },
    "netflix": {
        "subscribers": [
            ("EXAMPLE-1", 12, 8, "3.5", 7, "Example device", "Example genre", "Example region",
             "On-Time", "Example plan", "No", 1, 34, 4200, "No", 2),
            ("EXAMPLE-2", 3, 4, "1.25", 2, "Example device", "Example genre", "Example region",
             "Delayed", "Example plan", "Yes", 5, 51, 3100, "Yes", 1),
        ],
    },
    "trialers": {
        "test_cohorts": [
            ("EXAMPLE-1", "Test"),
            ("EXAMPLE-2", "Control"),
        ],
        "product_activity": [
            ("EXAMPLE-1", 1, "start", "2024-01-01 09:00:00"),
            ("EXAMPLE-1", 1, "complete", "2024-01-01 09:20:00"),
        ],
        "help_activity": [
            ("EXAMPLE-1", 1, "2024-01-01 09:10:00", "ARTICLE"),
            ("EXAMPLE-1", 1, "2024-01-01 09:12:00", "OTHER"),
        ],
        "conversion": [
            ("EXAMPLE-1", 1, "2024-01-20 12:00:00"),
            ("EXAMPLE-2", 0, ""),
        ],
        "planned_split": [
            ("Test", "0.5"),
            ("Control", "0.5"),
        ],
    },
}


def write(folder: Path, studies: Iterable[str] = ()) -> list[Path]:
    """Writes the templates of studies to `folder/STUDY/TABLE.csv`.

    All files are written aside and moved in when they are whole.

    Args:
        folder: Where to; made if it is not there.
        studies: Keys of `CONTRACTS`; none: all.

    Returns:
        The files written.

    Raises:
        ValueError: There is no such study.
        FileExistsError: A table is there already; nothing was written.
    """
    studies = list(dict.fromkeys(studies)) or list(CONTRACTS)
    for study in studies:
        if study not in CONTRACTS:
            raise ValueError(f"no study {study!r}; there is {', '.join(CONTRACTS)}")
    tables = [(study, table) for study in studies for table in CONTRACTS[study].tables]
    for study, table in tables:
        for suffix in SUFFIXES:
            path = folder / study / f"{table.name}{suffix}"
            if os.path.lexists(path):
                raise FileExistsError(f"{path} is there already, so nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / study / f"{table.name}.csv" for study, table in tables]
    with tempfile.TemporaryDirectory(prefix=".template-", dir=folder) as aside:
        written = [Path(aside) / f"{study}-{table.name}" for study, table in tables]
        for path, (study, table) in zip(written, tables, strict=True):
            with path.open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file, lineterminator="\n")
                rows.writerow(column.name for column in table.columns)
                rows.writerows(EXAMPLES[study][table.name])
        for source, path in zip(written, paths, strict=True):
            path.parent.mkdir(exist_ok=True)
            source.rename(path)
    return paths
