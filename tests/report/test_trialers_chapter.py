"""The chapter on the widget: every sentence of it on other people's tables."""

from __future__ import annotations

import copy
from pathlib import Path

import every_sentence
import pytest
import small_tables

CHAPTER = Path("chapters/trialer-ab-test.qmd")


def tiny():
    """Some dozens of customers."""
    return small_tables.good("trialers")


def nobody_converts():
    """Nobody in trouble asks, completes or converts."""
    tables = small_tables.good("trialers")
    tables["conversion"] = [
        row | {"converted": 0, "converted_at": ""} for row in tables["conversion"]]
    tables["product_activity"] = [
        row for row in tables["product_activity"] if row["action"] == "start"]
    return tables


def everybody_converts():
    """Everybody converts, and all help is OTHER."""
    tables = small_tables.good("trialers")
    when = small_tables.START.replace(hour=23)
    tables["conversion"] = [
        row | {"converted": 1, "converted_at": when} for row in tables["conversion"]]
    tables["help_activity"] = [row | {"channel": "OTHER"} for row in tables["help_activity"]]
    return tables


def no_other():
    """All help is from Customer Success, and by an agent."""
    tables = small_tables.good("trialers")
    tables["help_activity"] = [row | {"channel": "AGENT"} for row in tables["help_activity"]]
    return tables


def no_plan():
    """Nobody says how the test was to be split."""
    tables = small_tables.good("trialers")
    del tables["planned_split"]
    return tables


def all_in_test():
    """All but two customers are in Test, where 30% were planned."""
    tables = small_tables.good("trialers")
    tables["test_cohorts"] = [
        row | {"cohort": "Test" if i > 1 else "Control"}
        for i, row in enumerate(tables["test_cohorts"])]
    return tables


WORLDS = (no_plan, all_in_test, tiny, nobody_converts, everybody_converts, no_other)


@pytest.mark.parametrize("world", WORLDS)
def test_every_sentence_table_and_figure_on_other_tables(world, tmp_path):
    small_tables.write(tmp_path, "trialers", copy.deepcopy(world()))
    names, _ = every_sentence.run(CHAPTER, tmp_path, draw=world is tiny)
    assert not names["s"].shipped
