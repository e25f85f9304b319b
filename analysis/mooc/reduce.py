"""What the reductions of this study share: missing groups, first touch, sales, small frames.

Everything that looks at events, orders or users row by row is an Ibis expression and runs where the
tables are; only its reduced result comes to Python, through `collect`.
"""

from __future__ import annotations

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.days import seconds

MISSING = "(not given)"  # the label of a group whose value is missing

# A moment and the number of a group in one whole number, so that the least of them is the first
# moment and, of several groups at that moment, the first. Seconds count from the year 1, so they
# are not negative; up to the year 9999 the number fits 64 bits.
_GROUPS = 2**24
_SECONDS_TO_1970 = 62_135_596_800


def collect(reduced: ir.Table, keys: Sequence[str]) -> pd.DataFrame:
    """The rows of a reduction, with its group columns as a sorted index; missing ones labelled."""
    frame = reduced.to_pandas()
    for key in keys:
        if frame[key].isna().any():
            frame[key] = frame[key].astype(object).where(frame[key].notna(), MISSING)
    return frame.set_index(list(keys)).sort_index() if keys else frame


def groups(table: ir.Table, by: Sequence[str]) -> ir.Table:
    """The distinct values of columns `by`, numbered in order (missing ones last) as `group`."""
    order = [ibis.asc(column, nulls_first=False) for column in by]
    return table.select(*by).distinct().mutate(group=ibis.row_number().over(order_by=order))


def first_touch(events: ir.Table, by: Sequence[str], **more: ibis.Deferred) -> ir.Table:
    """For each user the group of the first event, as a number in `groups(events, by)`.

    The first event is the one with the least time, to the second; if a user's events in that
    second differ, the group that comes first in order counts, missing values last.

    Args:
        events: mooc/events.
        by: Columns that make the groups; none: everybody is in group 0.
        more: Further reductions of a user's events, by name.
    """
    if not by:
        return events.group_by("user_id").agg(**more).mutate(group=ibis.literal(0, "int64"))
    table = groups(events, by).rename({f"_{column}": column for column in by})
    same = [events[column].identical_to(table[f"_{column}"]) for column in by]
    numbered = events.join(table, same)
    first = ((seconds(_.event_timestamp) + _SECONDS_TO_1970) * _GROUPS + _.group).min() % _GROUPS
    return numbered.group_by("user_id").agg(group=first, **more)


def count_units(rows: ir.Table, unit: Sequence[str], keys: Sequence[str], name: str) -> ir.Table:
    """How many distinct units there are by `keys`."""
    distinct = rows.select(*dict.fromkeys((*unit, *keys))).distinct()
    return distinct.group_by(*keys).agg(**{name: _.count()})


def sales(orders: ir.Table, by: Sequence[str]) -> ir.Table:
    """What was sold, by columns of `orders` (or of what was joined to it).

    Returns:
        The columns `by`; `revenue` (currency), `units` (courses sold), `orders` and `customers`
        (distinct in the group: an order of two courses is one in the group of each).
    """
    order = orders.group_by(*by, "user_id", "order_id").agg(
        revenue=_.amount.sum(), units=_.count()
    )
    customer = order.group_by(*by, "user_id").agg(
        revenue=_.revenue.sum(), units=_.units.sum(), orders=_.count()
    )
    return customer.group_by(*by).agg(
        revenue=_.revenue.sum(), units=_.units.sum(), orders=_.orders.sum(), customers=_.count()
    )


def whole(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Counts that a join left out are 0, and counts are whole numbers."""
    return frame.assign(**{column: frame[column].fillna(0).astype("int64") for column in columns})
