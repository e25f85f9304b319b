"""What the chapter calls the traits of subscribers, their units, groups and values."""

from __future__ import annotations

from analysis.report.text import Prose, escape

# As they stand within a sentence.
TRAITS = {
    "subscription_months": "months of subscription",
    "age": "age",
    "monthly_income": "monthly income",
    "profiles": "number of profiles",
    "daily_watch_hours": "hours watched a day",
    "satisfaction_score": "satisfaction score",
    "engagement_rate": "engagement rate",
    "support_queries": "support queries",
    "genre": "preferred genre",
    "region": "region",
    "device": "main device",
    "plan": "subscription plan",
    "payment_history": "payment history",
    "promo_used": "use of promotional offers",
    "churned": "churn",
}
# What one more of a number is: singular and plural.
UNITS = {
    "subscription_months": ("month", "months"),
    "age": ("year", "years"),
    "monthly_income": ("dollar", "dollars"),
    "profiles": ("profile", "profiles"),
    "daily_watch_hours": ("hour", "hours"),
    "satisfaction_score": ("point", "points"),
    "engagement_rate": ("point", "points"),
    "support_queries": ("query", "queries"),
}
# Flags, whose values are Yes and No or 1 and 0.
FLAGS = {
    "promo_used": {"Yes": "offer used", "No": "no offer used"},
    "churned": {"Yes": "churned", "No": "stayed"},
}
# The units that a trait's name does not tell.
_UNTOLD = ("age", "monthly_income")


def trait(column: str) -> str:
    """A column as it stands within a sentence: "months of subscription"."""
    return TRAITS[column]


def heading(column: str) -> str:
    """A column as the head of a table's column or of an axis: "Age (years)"."""
    name = TRAITS[column]
    unit = f" ({UNITS[column][1]})" if column in _UNTOLD else ""
    return f"{name[:1].upper()}{name[1:]}{unit}"


def figure(value: float) -> str:
    """A value of a number, to two decimals at most and without needless ones: "6.9", "1,010"."""
    text = f"{float(value):,.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "\u2212")


def group(column: str, from_value: float, to_value: float) -> str:
    """A group of a number by its least and largest value: "25 to 34", "5"; plain text.

    Raises:
        KeyError: The column holds no number.
    """
    if column not in UNITS:
        raise KeyError(f"{column!r} is not among {sorted(UNITS)}")
    low, high = figure(from_value), figure(to_value)
    return low if low == high else f"{low} to {high}"


def name(column: str, value: object) -> str:
    """A value of a category as people call it, for figures: plain text, not yet Markdown."""
    called = {1: "Yes", 0: "No"}.get(value, value) if column in FLAGS else value
    return FLAGS.get(column, {}).get(str(called), str(value))


def value(column: str, value: object) -> Prose:
    """A value of a category in a sentence or a table: escaped."""
    return escape(name(column, value))
