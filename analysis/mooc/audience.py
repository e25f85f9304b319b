"""Who the users are, and how they engage and spend: moments by group from the users table."""

from __future__ import annotations

import ibis.expr.types as ir
import pandas as pd

from analysis.mooc.reduce import collect

GROUPS = ("user_occupation", "user_age_group", "referral_channel", "user_country")
METRICS = (
    "total_revenue", "total_time_watched_minutes", "video_completion_rate", "quiz_score_average",
)


def moments(users: ir.Table, by: str) -> pd.DataFrame:
    """Number, mean and standard deviation of the metrics by group.

    Args:
        users: mooc/users.
        by: A column of `users`.

    Returns:
        Index `by` and `metric`; columns `n` (values there), `missing`, `mean` and `sd` (sample,
        missing for fewer than two values; in the metric's unit).
    """
    reductions = {}
    for metric in METRICS:
        value = users[metric].cast("float64")
        reductions |= {
            f"n__{metric}": value.count(),
            f"missing__{metric}": value.isnull().sum(),
            f"mean__{metric}": value.mean(),
            f"sd__{metric}": value.std(how="sample"),
        }
    wide = collect(users.group_by(by).agg(**reductions), (by,))
    wide.columns = pd.MultiIndex.from_tuples(name.split("__") for name in wide.columns)
    frame = wide.stack(future_stack=True).rename_axis([by, "metric"])
    frame = frame.reindex(columns=["n", "missing", "mean", "sd"])
    return frame.astype({"n": "int64", "missing": "int64"}).sort_index()
