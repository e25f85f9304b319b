"""Templates hold every column of the contracts, fit them, and never replace a table."""

import csv

import pytest

from analysis import __main__ as cli
from analysis import templates
from analysis.contracts import CONTRACTS
from analysis.sources import check_study

TABLES = [(study, table) for study, of in CONTRACTS.items() for table in of.tables]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*")
            if path.is_file()}


@pytest.fixture(scope="module")
def all_of_them(tmp_path_factory):
    folder = tmp_path_factory.mktemp("templates") / "a" / "b"
    assert cli.main(["template", str(folder)]) == 0
    return folder


def test_every_table_and_column_of_the_contracts_is_there(all_of_them):
    assert sorted(map(str, content(all_of_them))) == sorted(
        f"{study}/{table.name}.csv" for study, table in TABLES)
    for study, table in TABLES:
        with (all_of_them / study / f"{table.name}.csv").open(encoding="utf-8") as file:
            header, *rows = csv.reader(file)
        assert header == [column.name for column in table.columns]
        assert [len(row) for row in rows] == [len(header)] * 2
        # A table of groups and numbers alone has no place for the word.
        words = any(c.type == "text" and not c.allowed for c in table.columns)
        assert [words] * 2 == ["example" in ",".join(row).lower() for row in rows]


def test_examples_have_no_table_that_no_contract_knows():
    assert {(study, name) for study, tables in templates.EXAMPLES.items() for name in tables} == {
        (study, table.name) for study, table in TABLES}


@pytest.mark.parametrize("study", CONTRACTS)
def test_it_fits_without_a_single_warning(study, all_of_them):
    tables, problems = check_study(study, all_of_them)
    assert (tables.shipped, problems) == (False, [])


def test_check_accepts_it(all_of_them, capsys):
    assert cli.main(["check", "--data", str(all_of_them)]) == 0
    assert capsys.readouterr().out.count(": 2 rows fit the contract") == len(TABLES)


def test_a_second_call_changes_nothing(all_of_them, capsys):
    students = all_of_them / "engagement" / "students.csv"
    before = content(all_of_them)
    assert cli.main(["template", str(all_of_them)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: {students} is there already, so nothing was written\n"
    assert content(all_of_them) == before


@pytest.mark.parametrize("taken", ["conversion.csv", "conversion.parquet"])
def test_one_table_that_is_there_stops_all(taken, tmp_path, capsys):
    (tmp_path / "trialers").mkdir()
    (tmp_path / "trialers" / taken).write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(["template", str(tmp_path), "netflix", "trialers"]) == 2
    assert taken in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_studies_can_be_chosen_and_others_added_later(tmp_path, capsys):
    assert cli.main(["template", str(tmp_path), "netflix", "netflix"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'netflix' / 'subscribers.csv'}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["netflix"]
    assert cli.main(["template", str(tmp_path), "engagement"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engagement", "netflix"]


def test_a_failure_midway_leaves_no_table(tmp_path, monkeypatch):
    monkeypatch.delitem(templates.EXAMPLES["trialers"], "conversion")
    with pytest.raises(KeyError):
        templates.write(tmp_path, ["netflix", "trialers"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("arguments", "says"), [
    (["{}/new", "netflix", "nope"], "there is engagement"),
    ([__file__], "test_templates.py"),
])
def test_a_wrong_call(arguments, says, tmp_path, capsys):
    assert cli.main(["template", *(part.format(tmp_path) for part in arguments)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert list(tmp_path.iterdir()) == []
