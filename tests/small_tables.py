"""Small tables that fit every contract, for tests that then break one thing in them."""

import csv
import io
from datetime import datetime, timedelta
from pathlib import Path

Rows = list[dict[str, object]]
START = datetime(2024, 3, 1, 9, 30, 15)
COUNTRIES = (("US", "USA"), ("IN", "IND"), ("DE", "DEU"), ("BR", "BRA"))


def good(study: str) -> dict[str, Rows]:
    """A study's tables, those with cross rules of 40 rows or more: an odd one is below 5%."""
    return {
        "engagement": _engagement, "customers": _customers, "mooc": _mooc, "netflix": _netflix,
        "trialers": _trialers,
    }[study]()


def text(rows: Rows, delimiter: str = ",", line_end: str = "\n") -> str:
    """The rows as a CSV file."""
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0], delimiter=delimiter, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def write(folder: Path, study: str, tables: dict[str, Rows]) -> Path:
    """Writes `folder/STUDY/TABLE.csv` for every table; returns `folder`."""
    (folder / study).mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / study / f"{name}.csv").write_text(text(rows), encoding="utf-8")
    return folder


def _engagement():
    return {"students": [
        {"student_id": i, "student_country": COUNTRIES[i % 4][0], "paid": i % 2,
         "minutes_watched_21": 1.5 * i if i % 3 else "", "minutes_watched_22": 2.25 * i}
        for i in range(40)
    ]}


def _customers():
    day = timedelta(days=1)
    users = [
        {"uid": f"u{i}", "reg_date": (START + i * day).date(), "device": ("and", "iOS")[i % 2],
         "gender": ("F", "M", "other", "")[i % 4], "country": COUNTRIES[i % 4][1],
         "age": 20 + i if i % 5 else ""}
        for i in range(40)
    ]
    views = [
        {"uid": f"u{i}", "date": START + (i + 1) * day + timedelta(seconds=i), "purchase": i % 2,
         "sku": "monthly" if i % 2 else "", "price": 999 if i % 2 else ""}
        for i in range(40)
    ]
    bought = [
        {name: view[name] for name in ("uid", "date", "sku", "price")}
        for view in views if view["purchase"]
    ]
    coins = [
        {"uid": f"u{i}", "date": START + (i + 2) * day, "sku": "coins", "price": 199}
        for i in range(40)
    ]
    test = [
        {"uid": f"u{i}", "group": ("control", "test")[i % 2], "assigned_at": START + i * day}
        for i in range(40)
    ]
    releases = [{"date": (START + 20 * day).date(), "name": "2.0"}]
    split = [{"group": group, "share": 0.5} for group in ("control", "test")]
    return {"users": users, "purchases": bought + coins, "paywall_views": views,
            "paywall_test": test, "releases": releases, "planned_split": split}


def _mooc():
    hour = timedelta(hours=1)
    users = [
        {"user_id": f"u{i}", "enrollment_date": START.date(), "total_courses_enrolled": 1,
         "total_revenue": 10 + i, "total_time_watched_minutes": 60 * i,
         "video_completion_rate": 2 * i, "quiz_score_average": 100 - i if i % 3 else "",
         "user_occupation": "nurse", "user_age_group": "25-34", "referral_channel": "blog",
         "user_country": COUNTRIES[i % 4][0]}
        for i in range(40)
    ]
    steps = ("signed_up", "enrolled_in_course", "completed_course")
    events = [
        {"user_id": f"u{i}", "event_timestamp": START + i * hour + k * timedelta(minutes=5),
         "event_type": step, "course_id": f"c{i % 4}" if k else "",
         "user_country": COUNTRIES[i % 4][0], "referral_source": "blog"}
        for i in range(40) for k, step in enumerate(steps[: 1 + i % 3])
    ]
    courses = [
        {"course_id": f"c{i}", "title": f"Course {i}", "category": "AB"[i % 2], "price": 10.5 * i}
        for i in range(40)
    ]
    orders = [
        {"order_id": f"o{i // 2}", "user_id": f"u{i // 2}", "course_id": f"c{i % 4}",
         "order_timestamp": START + (i // 2 + 1) * hour, "amount": 9.99, "channel": "web"}
        for i in range(60)
    ]
    return {"users": users, "events": events, "courses": courses, "orders": orders}


NETFLIX_HEADERS = {
    "customer_id": "Customer ID", "subscription_months": "Subscription Length (Months)",
    "satisfaction_score": "Customer Satisfaction Score (1-10)",
    "daily_watch_hours": "Daily Watch Time (Hours)", "engagement_rate": "Engagement Rate (1-10)",
    "device": "Device Used Most Often", "genre": "Genre Preference", "region": "Region",
    "payment_history": "Payment History (On-Time/Delayed)", "plan": "Subscription Plan",
    "churned": "Churn Status (Yes/No)", "support_queries": "Support Queries Logged", "age": "Age",
    "monthly_income": "Monthly Income ($)", "promo_used": "Promotional Offers Used",
    "profiles": "Number of Profiles Created",
}


def _netflix():
    return {"subscribers": [
        {"customer_id": f"C{i}", "subscription_months": 1 + i, "satisfaction_score": 1 + i % 10,
         "daily_watch_hours": 1 + i / 10, "engagement_rate": 10 - i % 10,
         "device": ("Smart TV", "Mobile")[i % 2], "genre": ("Drama", "Comedy", "Sci-Fi")[i % 3],
         "region": ("Europe", "Asia")[i // 3 % 2], "payment_history": ("On-Time", "Delayed")[i % 2],
         "plan": ("Basic", "Premium")[i // 2 % 2], "churned": ("Yes", "No")[i // 5 % 2],
         "support_queries": i % 11, "age": 18 + i, "monthly_income": 1010 + 100 * i,
         "promo_used": ("No", "Yes")[i // 7 % 2], "profiles": 1 + i % 5}
        for i in range(40)
    ]}


def _trialers():
    minute = timedelta(minutes=1)
    cohorts = [
        {"customer_id": f"t{i}", "cohort": "Test" if i % 3 == 0 else "Control"} for i in range(40)
    ]
    activity, asked = [], []
    for i in range(40):
        for task in range(1, 1 + i % 4):
            at = START + i * minute + task * timedelta(hours=1)
            activity.append({"customer_id": f"t{i}", "task": task, "action": "start",
                             "timestamp": at})
            activity.append({"customer_id": f"t{i}", "task": task, "action": "complete",
                             "timestamp": at + 20 * minute})
            asked.append({"customer_id": f"t{i}", "task": task, "timestamp": at + minute,
                          "channel": ("ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER")[i % 5]})
    conversion = [
        {"customer_id": f"t{i}", "converted": i % 2,
         "converted_at": START + timedelta(days=1 + i / 2) if i % 2 else ""}
        for i in range(40)
    ]
    split = [{"cohort": "Test", "share": 0.3}, {"cohort": "Control", "share": 0.7}]
    return {"test_cohorts": cohorts, "product_activity": activity, "help_activity": asked,
            "conversion": conversion, "planned_split": split}
