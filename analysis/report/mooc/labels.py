"""What the chapter calls stages, countries and groups without a value: plain text, not Markdown."""

from __future__ import annotations

import pycountry

from analysis.mooc.reduce import MISSING
from analysis.report import text

NOT_GIVEN = "not given"


def group(value: str) -> str:
    """A group by its value: a channel, an occupation, a category."""
    return NOT_GIVEN if value == MISSING else str(value)


def country(code: str) -> str:
    """A country by its ISO 3166-1 alpha-2 code, as people call it; other codes as they are."""
    found = pycountry.countries.get(alpha_2=code)
    if found is None:
        return {"XK": "Kosovo"}.get(code, group(code))
    return text.country(found.alpha_3)


def stage(event_type: str) -> str:
    """A stage of a funnel: "enrolled_in_course" is "enrolled in course"."""
    return str(event_type).replace("_", " ")
