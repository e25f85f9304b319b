"""Countries: users, customers, revenue, completions."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.mooc.channels import by_user_group
from analysis.mooc.durations import enrolments
from analysis.mooc.reduce import collect, whole

COUNTRY = "user_country"


def by_country(users: ir.Table, orders: ir.Table, events: ir.Table) -> pd.DataFrame:
    """Countries as the users table gives them.

    Returns:
        Index `user_country` (ISO 3166-1 alpha-2); columns as in `channels.by_user_group`, and
        `enrolments`, `completions` (courses, of `durations.enrolments`), `enrolled_users` and
        `completed_users`.
    """
    courses = enrolments(events).group_by("user_id").agg(
        enrolments=_.count(), completions=_.completed.count()
    )
    learned = (
        courses.join(users.select("user_id", COUNTRY), "user_id")
        .group_by(COUNTRY)
        .agg(
            enrolments=_.enrolments.sum(),
            completions=_.completions.sum(),
            enrolled_users=_.count(),
            completed_users=_.count(where=_.completions > 0),
        )
    )
    frame = by_user_group(orders, users, COUNTRY).join(collect(learned, (COUNTRY,)))
    return whole(frame, ("enrolments", "completions", "enrolled_users", "completed_users"))
