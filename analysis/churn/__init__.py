"""Study 4: who leaves a video service?

The unit is a subscriber; the outcome is whether he or she has churned. `reductions` reduces the
table where it is, to counts and moments on which the other modules, one a topic, rest; `analyse`
runs all of them once and the chapter reads the result.
"""

from __future__ import annotations

from dataclasses import dataclass

from analysis.churn.reductions import Reductions, reduce
from analysis.results import Scalar, flatten
from analysis.sources import Tables

# The columns that name the rows of frames without a named index.
KEYS = {
    "churn_by_category": ("value",),
    "churn_by_number": ("from_value",),
    "readings": ("value", "churned"),
    "months": ("month",),
    "engagement_by_device": ("value",),
    "queries_by_age": ("from_age",),
    "queries_by_age_band": ("from_age",),
}


@dataclass(frozen=True)
class Study(Reductions):
    """The whole study; see the modules of this package for what each part holds.

    Attributes:
        origin: Where the table is, for people.
        fallback: Whether it is the shipped one because the place named has none.
        shipped: Whether it is the shipped one.
    """

    origin: str
    fallback: bool
    shipped: bool


def analyse(tables: Tables) -> Study:
    """Runs the study."""
    base = reduce(tables.table("subscribers"))
    return Study(
        **vars(base),
        origin=tables.origin,
        fallback=tables.fallback,
        shipped=tables.shipped,
    )


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number that the chapter reports, by name."""
    return flatten(analyse(tables), KEYS)
