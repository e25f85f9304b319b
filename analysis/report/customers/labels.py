"""What the chapter calls the groups of users."""

from __future__ import annotations

from analysis.report.text import country

DEVICES = {"and": "Android", "iOS": "iOS"}
GENDERS = {"F": "women", "M": "men"}


def group(dimension: str, value: str) -> str:
    """A group of users, by a column of the table of users and a value of it: plain text."""
    if dimension == "country":
        return country(value)
    return {"device": DEVICES, "gender": GENDERS}.get(dimension, {}).get(value, value)
