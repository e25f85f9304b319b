"""Logs of other people's platforms, and the funnel and the durations of each."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
from held import held

from analysis.mooc import durations, funnels
from analysis.report.text import Prose

COLUMNS = ("user_id", "event_timestamp", "event_type", "course_id", "user_country",
           "referral_source")
START = pd.Timestamp("2024-01-01")
SIGNED, ENROLLED, COMPLETED = funnels.STAGES
MARKUP = ("<b>=| `x`", "= @fig-a", "# 2.0 [now](x)", "1. *a*_b_", "$x^2$ ![i](j)", "- <script>")


def log(*events: tuple) -> pd.DataFrame:
    """Events from (user, days since the start, type, course, country, source)."""
    frame = pd.DataFrame(events, columns=COLUMNS)
    seconds = np.floor(86_400 * frame["event_timestamp"].astype(float))
    frame["event_timestamp"] = START + pd.to_timedelta(seconds, unit="s")
    return frame


def platform(
    users: int = 600, days: float = 400, enrol=0.6, complete=0.5, median: float = 20,
    countries=("US", "IN"), sources=("ads", "blog"), courses=("C1", "C2", "C3"), seed: int = 1,
    enrolments: int = 2,
) -> pd.DataFrame:
    """A platform whose chances depend on nothing, or on the source where they are mappings."""
    rng = np.random.default_rng(seed)

    def of(chance, source):
        return chance[source] if isinstance(chance, dict) else chance

    events = []
    for i in range(users):
        user, day = f"U{i}", days * rng.random()
        country, source = (values[rng.integers(len(values))] for values in (countries, sources))
        who = (country, source)
        events.append((user, day, SIGNED, None, *who))
        if rng.random() >= of(enrol, source):
            continue
        taken = rng.choice(len(courses), min(len(courses), rng.integers(1, enrolments + 1)), False)
        keen = rng.random() < of(complete, source)  # all of a user's courses or none
        for course in taken:
            begun = day + rng.exponential(1)
            events.append((user, begun, ENROLLED, courses[course], *who))
            if keen:
                end = begun + of(median, source) * np.exp(0.7 * rng.normal())
                events.append((user, end, COMPLETED, courses[course], *who))
    return log(*(event for event in events if event[1] < days))


def worlds() -> dict[str, pd.DataFrame]:
    """Logs at the edges of what a reader may bring."""
    many = [f"{a}{b}" for a in "ABCDEFGHIJKLMNOP" for b in "ABCDEFGHIJKLMNOP"][:250]
    return {
        "a day": platform(40, 0.9),
        "a week": platform(60, 7),
        "six months": platform(200, 180),
        "one user": log(("a", 0, SIGNED, None, "US", "ads")),
        "one who enrolled": log(("a", 0, SIGNED, None, "US", "ads"),
                                ("a", 0, ENROLLED, "C1", "US", "ads")),
        "one who completed": log(("a", 0, SIGNED, None, "US", "ads"),
                                 ("a", 1, ENROLLED, "C1", "US", "ads"),
                                 ("a", 9, COMPLETED, "C1", "US", "ads")),
        "all in a second": log(*((u, 0, kind, None if kind == SIGNED else "C1", None, None)
                                 for u in "abc" for kind in funnels.STAGES)),
        "no sign-ups": platform(300)[lambda rows: rows["event_type"] != SIGNED],
        "only previews": log(("a", 0, "watched_preview", "C1", "US", "ads")),
        "nobody enrolled": platform(300, enrol=0.0),
        "nobody completed": platform(300, complete=0.0),
        "everybody completed": platform(400, enrol=1.0, complete=1.0, median=0.001),
        "a thousand courses": platform(400, courses=[f"C{i}" for i in range(1000)]),
        "nothing given": platform(300, countries=(None,), sources=(None,)),
        "one of each": platform(300, countries=("US",), sources=("ads",), courses=("C1",)),
        "250 countries": platform(500, countries=many, sources=[f"s{i}" for i in range(40)]),
        "markup": platform(1_500, countries=MARKUP[:2], sources=MARKUP, courses=MARKUP),
        "alike": platform(2_000),
        "apart": platform(
            3_000, 500, enrol={"ads": 0.3, "blog": 0.8}, complete={"ads": 0.3, "blog": 0.8},
            median={"ads": 40, "blog": 10}),
    }


def study(frame: pd.DataFrame) -> SimpleNamespace:
    """What the chapter's functions take, as far as the funnel and the durations go."""
    types = dict.fromkeys(COLUMNS, "string") | {"event_timestamp": "timestamp(6)"}
    known = sorted(set(frame["course_id"].dropna()) | {"never taken"})
    titles = [course if course in MARKUP else f"About {course}" for course in known]
    courses = pd.DataFrame(
        {"course_id": known, "title": titles, "category": "all", "price": 9.0})
    tables = held(
        {"events": frame[list(COLUMNS)], "courses": courses},
        {"events": types, "courses": dict.fromkeys(courses, "string") | {"price": "float64"}})
    funnel = funnels.funnels(tables["events"], tables["courses"])
    return SimpleNamespace(
        funnel=funnel, durations=durations.durations(tables["events"], funnel))


def reads_well(said: object) -> bool:
    """Whether a text holds nothing that a person would take for a mistake."""
    assert isinstance(said, Prose) and said.strip(), said
    text = re.sub(r"\|[-:|]+\||\[\]\{\.underline\}| *\| *", "|", said)
    assert not re.search(r"\b(nan|None|inf|NaN|True|False)\b|  |\.\.|\{|\}", text), said
    several = "users|courses|enrolments|sign-ups|pairs|sources|days|comparisons|degrees"
    assert not re.search(rf"(?<![\d.,])1 ({several})\b", text), said
    # Nothing of the data acts as markup.
    assert not any(name in said for name in MARKUP), said
    return True
