"""Small random tables of the MOOC study with the dirt that the analysis has to cope with."""

from __future__ import annotations

import functools
from collections import defaultdict

import ibis
import numpy as np
import pandas as pd

from analysis.sources import Tables

START = pd.Timestamp("2024-01-30")
TYPES = ("signed_up", "enrolled_in_course", "completed_course", "watched_preview")
COURSES = ("C1", "C2", "C3")
CATEGORIES = ("Data", "Art", "Art")
PRICES = (10.0, 20.0, 0.0)
EVENT_COLUMNS = (
    "user_id", "event_timestamp", "event_type", "course_id", "user_country", "referral_source"
)


def made_once(make):
    """Drawn once for the same seed and users; whoever asks gets a frame of their own."""
    drawn = functools.cache(make)
    return lambda seed, users=150: drawn(seed, users).copy()


@made_once
def random_events(seed: int, users: int) -> pd.DataFrame:
    """Events in any order, repeated, simultaneous, with stages missing, in several courses."""
    rng = np.random.default_rng(seed)
    n = users * 6
    kind = rng.choice(TYPES, n, p=[0.25, 0.35, 0.3, 0.1])
    course = rng.choice(COURSES, n).astype(object)
    course[(kind == "signed_up") | ((kind == "watched_preview") & (rng.random(n) < 0.3))] = None
    frame = pd.DataFrame(
        {
            "user_id": [f"U{i}" for i in rng.integers(0, users, n)],
            # Half-days, so that many events are simultaneous.
            "event_timestamp": START + pd.to_timedelta(rng.integers(0, 180, n) * 12, unit="h"),
            "event_type": kind,
            "course_id": course,
            "user_country": rng.choice(np.array(["US", "IN", "DE", None], dtype=object), n),
            "referral_source": rng.choice(np.array(["ads", "blog", None], dtype=object), n),
        }
    )
    again = frame.sample(n // 10, random_state=seed)
    return pd.concat([frame, again], ignore_index=True)


@made_once
def random_orders(seed: int, users: int) -> pd.DataFrame:
    """Orders of one to three courses, some on one day, some of the same course again."""
    rng = np.random.default_rng(seed + 1)
    rows = []
    for order in range(2 * users):
        user = f"U{int(rng.integers(0, users) ** 2 / users)}"  # some buy a lot
        moment = START + pd.Timedelta(hours=12 * int(rng.integers(0, 240)))
        channel = rng.choice(np.array(["web", "app", None], dtype=object))
        for course in rng.choice(COURSES, rng.integers(1, 4), replace=False):
            amount = float(rng.choice([0.0, 9.99, 19.99, 49.5]))
            rows.append((f"O{order}", user, course, moment, amount, channel))
    names = ["order_id", "user_id", "course_id", "order_timestamp", "amount", "channel"]
    return pd.DataFrame(rows, columns=names)


@made_once
def random_users(seed: int, users: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed + 2)
    score = np.where(rng.random(users) < 0.4, np.nan, rng.uniform(0, 100, users).round(1))

    def pick(*values: str | None) -> np.ndarray:
        return rng.choice(np.array(values, dtype=object), users)

    return pd.DataFrame(
        {
            "user_id": [f"U{i}" for i in range(users)],
            "enrollment_date": START.normalize() + pd.to_timedelta(rng.integers(0, 90, users), "D"),
            "total_courses_enrolled": rng.poisson(1.5, users),
            "total_revenue": (rng.gamma(1, 40, users) * (rng.random(users) < 0.5)).round(2),
            "total_time_watched_minutes": rng.gamma(1, 300, users).round(2),
            "video_completion_rate": rng.uniform(0, 100, users).round(2),
            "quiz_score_average": score,
            "user_occupation": pick("Student", "C++ Developer", "C# Developer", None),
            "user_age_group": pick("18-24", "25-34", None),
            "referral_channel": pick("ads", "blog", None),
            "user_country": pick("US", "IN", "DE", None),
        }
    )


def courses() -> pd.DataFrame:
    columns = {"course_id": COURSES, "title": COURSES, "category": CATEGORIES, "price": PRICES}
    never_sold = {"course_id": ["C9"], "title": ["C9"], "category": ["Law"], "price": [5.0]}
    return pd.concat([pd.DataFrame(columns), pd.DataFrame(never_sold)], ignore_index=True)


def random_frames(seed: int, users: int = 150) -> dict[str, pd.DataFrame]:
    return {
        "users": random_users(seed, users), "events": random_events(seed, users),
        "courses": courses(), "orders": random_orders(seed, users),
    }


def event_table(frame: pd.DataFrame) -> ibis.Table:
    """Events as a typed table, also where a column has no value at all."""
    types = dict.fromkeys(EVENT_COLUMNS, "string") | {"event_timestamp": "timestamp(6)"}
    return ibis.memtable(frame[list(EVENT_COLUMNS)], schema=types)


def user_table(frame: pd.DataFrame) -> ibis.Table:
    """Users with the day of their first enrolment, as any source gives it."""
    table = ibis.memtable(frame)
    return table.mutate(enrollment_date=table.enrollment_date.cast("date"))


def as_tables(frames: dict[str, pd.DataFrame]) -> Tables:
    """Tables as the study gets them from any source."""
    typed = {"users": user_table, "events": event_table}
    tables = {name: typed.get(name, ibis.memtable)(frame) for name, frame in frames.items()}
    return Tables("mooc", "a test", False, False, tables)


def or_missing(value: object) -> object:
    """The label of a missing value."""
    return "(not given)" if pd.isna(value) else value


def spells(log):
    """Enrolments as (user, course, first enrolment, first completion from then on or None)."""
    starts, ends = defaultdict(list), defaultdict(list)
    moments = {"enrolled_in_course": starts, "completed_course": ends}
    for row in log.dropna(subset=["course_id"]).itertuples():
        if row.event_type in moments:
            moments[row.event_type][row.user_id, row.course_id].append(row.event_timestamp)
    return [
        (*of, min(began), min((end for end in ends[of] if end >= min(began)), default=None))
        for of, began in sorted(starts.items())
    ]
