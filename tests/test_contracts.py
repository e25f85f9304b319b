"""Contracts: every kind of rule is found where it is broken; the dictionary has not drifted."""

import datetime as dt
from pathlib import Path

import ibis
import pytest

from analysis import checks, contracts
from analysis.checks import Problem
from analysis.contracts import Column, Rule, TableContract

VIEWS = TableContract(
    name="views",
    row="one view",
    columns=(
        Column("uid", "text", "user"),
        Column("on", "date", "day", nullable=True),
        Column("at", "timestamp", "moment", nullable=True),
        Column("kind", "text", "what", nullable=True, allowed=("a", "b")),
        Column("age", "whole number", "years", nullable=True, low=13, high=120),
        Column("share", "number", "part", nullable=True, high=1),
        Column("bought", "flag", "whether", nullable=True),
        Column("price", "number", "paid", nullable=True, aliases=("Price ($)",)),
    ),
    rules=(
        Rule("price", "must be there exactly when bought = 1",
             lambda row: (row["bought"] == 1) != row["price"].notnull()),
    ),
)
GOOD = {"uid": "u", "on": "2024-02-29", "at": "2024-02-29 10:11:12", "kind": "a", "age": "13",
        "share": "-0.5", "bought": "1", "price": "2"}


def raw(*changes):
    """Rows of text, as from a CSV file: the good row, changed."""
    columns = {name: [(GOOD | change)[name] for change in changes] for name in GOOD}
    columns["_row"] = list(range(2, len(changes) + 2))
    return ibis.memtable(columns, schema=dict.fromkeys(GOOD, "string") | {"_row": "int64"})


def find(*changes):
    return checks.find_problems(VIEWS, checks.stage(VIEWS, raw(*changes)), "views.csv")


def test_a_good_row_fits_and_is_typed():
    assert find({}, {"kind": None, "bought": "0", "price": None, "on": None}) == []
    row = checks.typed(VIEWS, checks.stage(VIEWS, raw({}))).to_pyarrow().to_pylist()[0]
    assert row == {
        "uid": "u", "on": dt.date(2024, 2, 29), "at": dt.datetime(2024, 2, 29, 10, 11, 12),
        "kind": "a", "age": 13, "share": -0.5, "bought": 1, "price": 2.0, "_row": 2,
    }


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("uid", None, "must not be empty"),
        ("on", "2023-02-29", "must be an ISO date (YYYY-MM-DD)"),
        ("on", "29/02/2024", "must be an ISO date (YYYY-MM-DD)"),
        ("at", "noon", "must be an ISO date and time (YYYY-MM-DD HH:MM:SS)"),
        ("kind", "c", "must be one of a, b"),
        ("age", "12", "must be from 13 to 120"),
        ("age", "121", "must be from 13 to 120"),
        ("age", "13.5", "must be a whole number"),
        ("age", "1e300", "must be a whole number"),
        ("share", "1.01", "must be 1 or less"),
        ("share", "nan", "must be a finite number such as 1234.5"),
        ("price", None, "must be there exactly when bought = 1"),
    ],
)
def test_one_fault_is_one_problem_at_its_row(column, value, rule):
    assert find({}, {}, {column: value}, {}) == [Problem("views.csv", rule, column, 4, value, 1)]


def test_every_fault_is_found_and_counted():
    found = find({"age": "7"}, {"age": "8", "kind": "c"}, {"age": "x"})
    assert [(p.column, p.row, p.value, p.count) for p in found] == [
        ("kind", 3, "c", 1), ("age", 4, "x", 1), ("age", 2, "7", 2),
    ]
    frame = checks.to_frame(found)
    assert frame.columns.tolist() == [
        "severity", "file", "column", "row", "value", "rule", "count", "handling"
    ]
    assert frame["value"].tolist() == ["'c'", "'x'", "'7'"]


def test_a_rule_over_columns_waits_for_all_its_columns():
    partly = raw({"price": None}).drop("bought")
    assert checks.find_problems(VIEWS, checks.stage(VIEWS, partly), "views.csv") == []


def test_rows_without_order_have_no_row_number():
    unordered = raw({"age": "7"}).mutate(_row=ibis.null("int64"))
    (found,) = checks.find_problems(VIEWS, checks.stage(VIEWS, unordered), "db")
    assert (found.row, found.value) == (None, "7")
    assert str(found) == "db, column age, value '7': must be from 13 to 120"


@pytest.mark.parametrize(
    ("header", "column"),
    [(" UID ", "uid"), ("price-($)", "price"), ("PRICE", "price"), ("Price ($)", "price")],
)
def test_header_spelling(header, column):
    found, problems = checks.match_header(VIEWS, ["x", header], "f")
    assert found == {column: 1}
    assert {p.column for p in problems} == {c.name for c in VIEWS.columns} - {column}


def test_a_column_twice_is_refused():
    _, problems = checks.match_header(VIEWS, [*GOOD, "Price ($)"], "f")
    assert [str(p) for p in problems] == [
        "f, column price: must be in the header once, not as 'price', 'Price ($)'"
    ]


def test_shown_values_are_safe_and_short():
    assert checks.show("\x1b[31m\n") == r"'\x1b[31m\n'"
    assert checks.show("é|<b>") == "'é|<b>'"
    assert len(checks.show("x" * 1000)) == 60


def test_error_names_the_first_problem_and_how_many_more():
    problems = [Problem("f.csv", "must be 0 or more", "m", 3, "-5", 1200)] * 3
    error = checks.ContractError(problems, "look")
    assert str(error) == (
        "f.csv, column m, row 3, value '-5': must be 0 or more (1,200 rows break this rule); "
        "2 more problems; look"
    )
    assert error.problems == tuple(problems)


def test_every_contract_is_coherent():
    for study in contracts.CONTRACTS.values():
        for table in study.tables:
            names = [c.name for c in table.columns]
            assert len(set(names)) == len(names)
            for column in table.columns:
                assert column.type in contracts.TYPES
                assert column.description
            assert {rule.column for rule in table.rules} <= set(names)
        columns = {(t.name, c.name) for t in study.tables for c in t.columns}
        assert {(rule.table, rule.column) for rule in study.cross_rules} <= columns
        for rule in study.cross_rules:
            assert rule.handling or not rule.kept


def test_country_codes_are_the_assigned_ones():
    codes, codes_3 = contracts.COUNTRY_CODES, contracts.COUNTRY_CODES_3
    assert len(set(codes)) == len(set(codes_3)) == 249 + 1  # and Kosovo
    assert {"US", "IN", "GB", "NA", "XK"} <= set(codes)
    assert {"USA", "IND", "GBR", "NAM", "XKX"} <= set(codes_3)
    assert not {"UK", "EU", "EN", "SU", "YU"} & set(codes)


def test_data_dictionary_has_not_drifted():
    readme = Path(__file__).parents[1] / "data" / "README.md"
    assert readme.read_text(encoding="utf-8") == contracts.data_dictionary(), (
        "run: python -m analysis.contracts > data/README.md"
    )
