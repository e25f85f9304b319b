"""Products, channels, countries, audience and cohorts against plain pandas."""

from __future__ import annotations

import numpy as np
import pytest
from mooc_logs import as_tables, or_missing, random_frames, spells

from analysis.mooc import audience, channels, cohorts, geography, products
from analysis.mooc.funnels import STAGES, funnel


@pytest.fixture(scope="module", params=range(2))
def frames(request):
    return random_frames(request.param)


@pytest.fixture(scope="module")
def tables(frames):
    return as_tables(frames)


def sales_of(rows):
    return {
        "revenue": pytest.approx(rows.amount.sum()), "units": len(rows),
        "orders": rows.order_id.nunique(), "customers": rows.user_id.nunique(),
    }


def same_sales(row, rows):
    for name, value in sales_of(rows).items():
        assert row[name] == value, name


def test_products(frames, tables):
    orders, courses = tables.table("orders"), tables.table("courses")
    enrolled = funnel(tables.table("events"), STAGES[1:], ("course_id",))
    enrolled = enrolled.set_axis(["enrolments", "completions"], axis=1)
    frame = products.by_course(orders, courses, enrolled)
    sold = frames["orders"].merge(frames["courses"], on="course_id")
    taken = spells(frames["events"])
    assert list(frame.index) == sorted(frames["courses"].course_id)
    for course, row in frame.iterrows():
        same_sales(row, sold[sold.course_id == course])
        assert row.enrolments == sum(s[1] == course for s in taken)
        assert row.completions == sum(s[1] == course and s[3] is not None for s in taken)
    by_category = products.by_category(orders, courses, frame)
    assert set(by_category.index) == set(frames["courses"].category)
    for category, row in by_category.iterrows():
        same_sales(row, sold[sold.category == category])
        of = frame[frame.category == category]
        assert (row.courses, row.enrolments) == (len(of), of.enrolments.sum())
    assert by_category.loc["Law", ["revenue", "units", "customers"]].eq(0).all()


def test_channels(frames, tables):
    orders = frames["orders"].assign(
        channel=frames["orders"].channel.map(or_missing),
        month=frames["orders"].order_timestamp.dt.strftime("%Y-%m"),
    )
    frame = channels.by_channel(tables.table("orders"))
    groups = dict(list(orders.groupby("channel")))
    assert set(frame.index) == set(groups)
    for channel, row in frame.iterrows():
        same_sales(row, groups[channel])
        assert row.value_per_customer == pytest.approx(row.revenue / row.customers)
    frame = channels.by_month(tables.table("orders"))
    groups = dict(list(orders.groupby(["month", "channel"])))
    assert set(frame.index) == set(groups)
    for key, row in frame.iterrows():
        same_sales(row, groups[key])


@pytest.mark.parametrize("column", ["referral_channel", "user_country"])
def test_user_groups(frames, tables, column):
    frame = channels.by_user_group(tables.table("orders"), tables.table("users"), column)
    users = frames["users"].assign(group=frames["users"][column].map(or_missing))
    orders = frames["orders"].merge(users, on="user_id")
    assert set(frame.index) == set(users.group)
    for group, row in frame.iterrows():
        same_sales(row, orders[orders.group == group])
        assert row.users == (users.group == group).sum()
        assert row.value_per_user == pytest.approx(row.revenue / row.users)


def test_countries(frames, tables):
    frame = geography.by_country(*(tables.table(name) for name in ("users", "orders", "events")))
    users = frames["users"].set_index("user_id")
    taken = [(or_missing(users.user_country[s[0]]), *s) for s in spells(frames["events"])]
    for country, row in frame.iterrows():
        of = [s for s in taken if s[0] == country]
        done = [s for s in of if s[4] is not None]
        assert (row.enrolments, row.completions) == (len(of), len(done))
        assert row.enrolled_users == len({s[1] for s in of})
        assert row.completed_users == len({s[1] for s in done})


@pytest.mark.parametrize("column", audience.FACTORS)
def test_audience(frames, tables, column):
    frame = audience.moments(tables.table("users"), column)
    users = frames["users"].assign(group=frames["users"][column].map(or_missing))
    groups = users.groupby("group")
    assert set(frame.index) == {(g, m) for g in groups.groups for m in audience.METRICS}
    for (group, metric), row in frame.iterrows():
        values = groups.get_group(group)[metric]
        assert (row.n, row.missing) == (values.count(), values.isna().sum())
        assert row["mean"] == pytest.approx(values.mean())
        assert row.sd == pytest.approx(values.std(ddof=1))


def test_moments_of_one_value_and_of_none(frames):
    frames = dict(frames)
    one, two = frames["users"].iloc[:2].index
    users = frames["users"].assign(user_age_group="rest", quiz_score_average=50.0)
    users.loc[one, ["user_age_group", "quiz_score_average"]] = ["lonely", 70.0]
    users.loc[two, ["user_age_group", "quiz_score_average"]] = ["silent", np.nan]
    frames["users"] = users
    frame = audience.moments(as_tables(frames).table("users"), "user_age_group")
    lonely, silent = (frame.loc[(g, "quiz_score_average")] for g in ("lonely", "silent"))
    assert (lonely.n, lonely["mean"]) == (1, 70.0) and np.isnan(lonely.sd)
    assert (silent.n, silent.missing) == (0, 1) and np.isnan(silent["mean"])


def test_cohorts(frames, tables):
    frame = cohorts.by_month(tables.table("events"), tables.table("orders"))

    def number(moments):
        return moments.dt.year * 12 + moments.dt.month

    events = frames["events"].assign(month=number(frames["events"].event_timestamp))
    first = events.groupby("user_id").month.min()
    orders = frames["orders"].assign(
        months=number(frames["orders"].order_timestamp) - frames["orders"].user_id.map(first),
        cohort=frames["orders"].user_id.map(first),
    )
    events = events.assign(cohort=events.user_id.map(first))
    events["months"] = events.month - events.cohort
    seen = 0
    for (cohort, months), row in frame.iterrows():
        year, month = map(int, cohort.split("-"))
        at = year * 12 + month
        here = events[(events.cohort == at) & (events.months == months)]
        assert row["size"] == (first == at).sum()
        assert row.active_users == here.user_id.nunique()
        same_sales(row, orders[(orders.cohort == at) & (orders.months == months)])
        seen += len(here)
    assert seen == len(events)
    assert frame.units.sum() == (orders.months >= 0).sum()
