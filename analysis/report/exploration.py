"""What a study's tables hold and what was cleaned, the same way in every chapter."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import pandas as pd

from analysis.contracts import CONTRACTS, TableContract
from analysis.report.tables import table, typeset
from analysis.report.text import (
    MISSING,
    Prose,
    count,
    day,
    escape,
    listing,
    number,
    percent,
    significant,
)

MOMENTS = ("date", "timestamp")


class Study(Protocol):
    """A study that says what its tables hold; see `analysis.exploration`."""

    profile: pd.DataFrame
    cleaning: pd.DataFrame


def _contracts(study: str) -> dict[str, TableContract]:
    return {contract.name: contract for contract in CONTRACTS[study].tables}


def tables_table(s: Study, study: str) -> Prose:
    """The tables: what a row is, how many there are, and the days that they cover."""
    rows = []
    contracts = _contracts(study)
    for name, part in s.profile.groupby("table", sort=False):
        dated = [c.name for c in contracts[name].columns if c.type in MOMENTS]
        known = part[part["column"].isin(dated) & part["lowest"].notna()]
        covers = MISSING
        if not known.empty:
            first, last = known.iloc[0][["lowest", "highest"]]
            covers = day(first) if first[:10] == last[:10] else f"{day(first)} to {day(last)}"
        rows.append({"Table": name, "One row is": typeset(contracts[name].row.replace("`", "")),
                     "Rows": part["rows"].iloc[0], "Days": covers})
    return table(pd.DataFrame(rows), {"Rows": number, "Days": Prose})


def columns_table(s: Study, study: str, of: str) -> Prose:
    """What a table knows of its rows: the columns, their values and gaps."""
    part = s.profile[s.profile["table"] == of]
    meanings = {c.name: typeset(c.description) for c in _contracts(study)[of].columns}
    frame = pd.DataFrame({
        "Column": part["column"],
        "Meaning": part["column"].map(meanings),
        "Values": part["distinct"],
        "Range": [_range(row) for row in part.itertuples()],
        "Missing": part["missing"] / part["rows"],
    })
    return table(frame, {"Values": number, "Range": Prose, "Missing": percent})


def _range(row) -> Prose:
    if not isinstance(row.lowest, str):
        return Prose(MISSING)
    if row.column.endswith("date"):
        return Prose(f"{day(row.lowest)} to {day(row.highest)}")
    # Two decimals where a number has any, more where it would be 0 with them.
    low, high = (
        number(value) if value.is_integer() else
        number(value, 2).rstrip("0").rstrip(".") if abs(value) >= 0.01 else significant(value, 2)
        for value in (float(row.lowest), float(row.highest)))
    return Prose(low if row.lowest == row.highest else f"{low} to {high}")


def _gaps(s: Study) -> pd.DataFrame:
    return s.profile[(s.profile["table"] == "users") & (s.profile["missing"] > 0)]


def incomplete(s: Study) -> set[str]:
    """The columns of the users that have gaps."""
    return set(_gaps(s)["column"])


def gaps(s: Study) -> Prose:
    """Which columns of the users have gaps, and how large; what is done about them, a study says."""
    part = _gaps(s)
    if part.empty:
        return Prose("Nothing is missing in the table of users.")
    shares = listing(
        f"no {escape(row.column)} for {percent(row.missing / row.rows)}"
        for row in part.itertuples()
    )
    return Prose(f"There is {shares} of the users.")


def cleaning_table(s: Study) -> Prose:
    """Every rule that rows broke, how many rows, and what was done with them."""
    if s.cleaning.empty:
        return Prose("No row broke a rule, and nothing was dropped.")
    frame = pd.DataFrame({
        "Table": s.cleaning["table"],
        "Rule": [
            typeset(f"{column} {rule}" if rule.startswith("must ") else rule)
            for column, rule in zip(s.cleaning["column"], s.cleaning["rule"], strict=True)
        ],
        "Rows that break it": s.cleaning["count"],
        "Of the table": s.cleaning["share"],
        "What was done": s.cleaning["handling"],
    })
    return table(frame, {"Rows that break it": number, "Of the table": partial(percent, digits=2)})


def cleaning(s: Study) -> Prose:
    """How many rows went, and whether that can matter."""
    gone = s.cleaning[~s.cleaning["handling"].str.startswith("kept")]
    if gone.empty:
        return Prose("No row had to be dropped.")
    rows = s.profile.groupby("table")["rows"].first()
    dropped, total = int(gone["count"].sum()), int(rows.sum() + gone["count"].sum())
    worst = gone.groupby("table")["share"].sum()
    return Prose(
        f"Altogether {count(dropped, 'row')} of {number(total)} "
        f"{'was' if dropped == 1 else 'were'} dropped, at most {percent(worst.max(), 1)} of a table."
    )


