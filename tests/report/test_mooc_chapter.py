"""The chapter on the MOOC: what its source asks for, and every sentence on others' tables."""

from __future__ import annotations

import copy
import functools
import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import every_sentence
import pytest
import small_tables

from analysis.report.text import plain
from render import qmd
from render.qmd import Cell

CHAPTER = Path("chapters/mooc-segmentation.qmd")
# What the source asks for, in its words.
ASKED = (
    "Customer Segmentation", "RFM", "Customer Lifetime Value", "Behavioral Segmentation",
    "Demographic & Psychographic Segmentation", "Product Performance and Mix", "Laggards",
    "Cross-Selling and Upselling", "Channel Performance Analysis", "Geographic Hot Spots",
    "Funnel analysis", "Geographic Segmentation", "Source Analysis", "Time-to-Completion",
)


def test_all_that_the_source_asks_for_has_a_section():
    assert tuple(every_sentence.techniques(CHAPTER)) == ASKED


# Tables of other people, from small ones that fit. Each has what could break something.


def tiny():
    """Forty users in two days, with names that would be markup."""
    tables = small_tables.good("mooc")
    first, second, third = every_sentence.HOSTILE
    for row in tables["users"]:
        row |= {"user_occupation": first, "user_age_group": second, "referral_channel": third}
    for row in tables["events"]:
        row["referral_source"] = third
    for row in tables["orders"]:
        row["channel"] = second
    for row in tables["courses"]:
        row |= {"title": f"{first} {row['course_id']}", "category": third}
    return tables


def nothing_paid():
    """Everything is free, nobody has completed anything, and nobody has taken a quiz."""
    tables = small_tables.good("mooc")
    tables["orders"] = [row | {"amount": 0} for row in tables["orders"]]
    tables["courses"] = [row | {"price": 0} for row in tables["courses"]]
    tables["users"] = [row | {"total_revenue": 0, "quiz_score_average": ""}
                       for row in tables["users"]]
    tables["events"] = [row for row in tables["events"]
                        if row["event_type"] != "completed_course"]
    return tables


def nothing_known():
    """No occupation, age, channel, country or source of anybody."""
    tables = small_tables.good("mooc")
    unknown = dict.fromkeys(
        ("user_occupation", "user_age_group", "referral_channel", "user_country"), "")
    tables["users"] = [row | unknown for row in tables["users"]]
    tables["events"] = [row | {"user_country": "", "referral_source": ""}
                        for row in tables["events"]]
    tables["orders"] = [row | {"channel": ""} for row in tables["orders"]]
    return tables


def one_of_each():
    """One user, one course, one order, one day."""
    tables = small_tables.good("mooc")
    one = tables["users"][2]["user_id"]
    return {
        "users": [row for row in tables["users"] if row["user_id"] == one],
        "events": [row for row in tables["events"] if row["user_id"] == one],
        "courses": [row for row in tables["courses"] if row["course_id"] == "c2"],
        "orders": [tables["orders"][4] | {"user_id": one, "course_id": "c2"}],
    }


def three_years():
    """The same customers buy every few weeks for three years, always at one price."""
    tables = small_tables.good("mooc")
    tables["orders"] = [
        row | {"order_id": f"{row['order_id']}-{k}",
               "order_timestamp": row["order_timestamp"] + k * timedelta(days=37 + i % 20)}
        for k in range(25) for i, row in enumerate(tables["orders"]) if i % (k + 2)
    ]
    return tables


WORLDS = (tiny, nothing_paid, nothing_known, one_of_each, three_years)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The chapter on one of the worlds: its study, and all that it says."""
    @functools.cache  # two tests look at what one run says
    def ran(world):
        folder = tmp_path_factory.mktemp(world.__name__)
        small_tables.write(folder, "mooc", copy.deepcopy(world()))
        names, told = every_sentence.run(CHAPTER, folder, draw=world is tiny)
        return names["s"], told

    return ran


@pytest.mark.parametrize("world", WORLDS)
def test_every_sentence_table_and_figure_on_other_tables(world, ran):
    s, _ = ran(world)
    assert not s.shipped


SHORT = 80  # letters of a sentence that only refers to another place
HEAD = 2  # a reason may stand in the chapter's head and where it belongs


@pytest.mark.parametrize("world", [one_of_each, nothing_known, nothing_paid])
def test_a_reason_is_given_once_and_then_referred_to(world, ran):
    _, told = ran(world)
    said = Counter(
        sentence for text, _ in told if "|" not in text
        for sentence in re.split(r"(?<=[.;]) ", plain(text)))
    assert len(said) > 100
    assert {sentence: n for sentence, n in said.items() if n > HEAD and len(sentence) > SHORT} == {}


def test_alternative_texts_say_what_is_drawn_and_not_how_it_came_out():
    alts = {
        block.options["label"]: block.options["fig-alt"]
        for block in qmd.read(every_sentence.ROOT, CHAPTER).blocks
        if isinstance(block, Cell) and "fig-alt" in block.options
    }
    assert len(alts) > 15
    result = re.compile(r"\ba few\b|\bmost\b|throughout|\brise|\brising|\bfall|flatten|shorter|"
                        r"three (panels|groups)", re.IGNORECASE)
    assert [label for label, alt in alts.items() if result.search(alt)] == []
