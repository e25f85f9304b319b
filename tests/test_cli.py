"""`python -m analysis`: what it prints, where, and its exit codes."""

import json
import math
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import small_tables

from analysis import __main__ as cli
from analysis import simulate, sources
from analysis.contracts import CONTRACTS
from analysis.experiment.reductions import reduced

ROOT = Path(__file__).parents[1]
HEADER = "student_id,student_country,paid,minutes_watched_21,minutes_watched_22\n"


@pytest.fixture(autouse=True)
def shipped_by_default(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "engagement").mkdir()
    path = tmp_path / "engagement" / "students.csv"
    path.write_text(HEADER + "1,US,0,,2.5\n2,US,1,1,\n", encoding="utf-8")
    return tmp_path


def run_alone(*arguments, **environment):
    """The command in a process of its own: (exit code, standard output, standard error)."""
    done = subprocess.run(
        [sys.executable, "-m", "analysis", *map(str, arguments)], cwd=ROOT, capture_output=True,
        encoding="utf-8", env=os.environ | environment, check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def run(capsys):
    """The command in this process: (exit code, standard output, standard error)."""
    return lambda *arguments: (cli.main([*map(str, arguments)]), *capsys.readouterr())


def test_check_of_the_shipped_tables(run):
    code, out, err = run("check")
    assert code == 0
    assert "engagement/students: 158,638 rows fit the contract" in out
    assert "netflix/subscribers: 3,500 rows fit the contract" in out
    assert "synthetic" in err
    # Rows that the book handles are told, and are no fault.
    problems = out[out.index("severity"):].splitlines()[2:]
    assert problems and all(line.startswith("warning") for line in problems)


def test_check_prints_every_problem(folder, run):
    file = folder / "engagement" / "students.csv"
    file.write_text(HEADER + "1,US,7,,2.5\n1,<b>|\x1b[1m,0,,x\n", encoding="utf-8")
    code, out, err = run("check", "--data", folder, "engagement")
    assert code == 1
    assert "Traceback" not in err
    lines = out.splitlines()
    assert lines[0].split() == [
        "severity", "file", "column", "row", "value", "rule", "count", "handling"
    ]
    assert len(lines) == 2 + 4
    assert all(line.startswith(f"error       {file}") for line in lines[2:])
    (paid,) = [line for line in lines if " paid " in line]
    assert paid.split()[3:9] == ["2", "'7'", "must", "be", "0", "or"]
    assert r"'<b>|\x1b[1m'" in out


def test_a_study_that_is_named_must_be_there(folder, run):
    """The shipped tables never stand in where somebody asks about tables of their own."""
    (folder / "subscribers.csv").write_text("")
    for command in ("check", "results"):
        code, out, err = run(command, "netflix", "--data", folder)
        assert (code, out) == (1, "")
        assert f"no {folder / 'netflix' / 'subscribers.csv'} (or .parquet)" in err
        assert "the folder holds 'engagement', 'subscribers.csv'" in err
    code, _, err = run("check", "engagement", "netflix", "--data", folder)
    assert code == 1 and "error: netflix" in err and "error: engagement" not in err


def test_check_without_a_name_looks_at_what_is_there(folder, tmp_path, run):
    code, out, err = run("check", "--data", folder)
    assert (code, out) == (0, "engagement/students: 2 rows fit the contract\n")
    assert "nothing for customers, mooc, netflix, trialers" in err
    (tmp_path / "empty").mkdir()
    code, out, err = run("check", "--data", tmp_path / "empty")
    assert (code, out) == (1, "") and "nothing for engagement" in err


def test_book_data_is_used(folder):
    code, out, _ = run_alone("check", "engagement", BOOK_DATA=str(folder))
    assert (code, out) == (0, "engagement/students: 2 rows fit the contract\n")


@pytest.fixture
def study(monkeypatch):
    """A study module whose results the test sets."""
    module = types.ModuleType("a_study")
    monkeypatch.setitem(sys.modules, "a_study", module)
    monkeypatch.setitem(cli.STUDIES, "engagement", "a_study")
    return module


def test_results_are_strict_json_and_nothing_else(study, folder, capsys):
    study.results = lambda tables: {
        "students.n": np.int64(tables.table("students").count().to_pyarrow().as_py()),
        "mean": np.float64(0.1), "undefined": math.nan, "endless": np.float32("inf"),
        "verdict": "no «difference» shown", "significant": np.bool_(True),
    }
    assert cli.main(["results", "engagement", "--data", str(folder)]) == 0
    out, err = capsys.readouterr()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    assert json.loads(out, parse_constant=refuse) == {
        "students.n": 2, "mean": 0.1, "undefined": None, "endless": None,
        "verdict": "no «difference» shown", "significant": True,
    }
    assert err == ""


def test_results_as_a_table(study, folder, capsys):
    study.results = lambda tables: {"a.b": 1234567.125, "c": "007"}
    assert cli.main(["results", "engagement", "--data", str(folder), "--format", "table"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["name", "value"]
    assert rows[2:] == [["a.b", "1234567.125"], ["c", "007"]]


def test_results_of_tables_at_fault(study, folder, capsys):
    (folder / "engagement" / "students.csv").write_text(HEADER + "1,US,0,,-1\n")
    assert cli.main(["results", "engagement", "--data", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    file = folder / "engagement" / "students.csv"
    assert err == (
        f"error: {file}, column minutes_watched_22, row 2, value '-1': must be 0 or more; "
        f"run `python -m analysis check --data {folder} engagement` for all\n"
    )


def test_results_of_too_little_data(study, folder, capsys):
    def results(tables):
        raise ValueError("sample must have at least 2 values, got 1")

    study.results = results
    assert cli.main(["results", "engagement", "--data", str(folder)]) == 1
    err = capsys.readouterr().err
    assert err == "error: engagement: sample must have at least 2 values, got 1\n"


def test_results_of_an_original_file_alone_in_its_folder(tmp_path):
    (tmp_path / "netflix").mkdir()
    rows = [
        {small_tables.NETFLIX_HEADERS[name]: value for name, value in row.items()}
        for row in small_tables.good("netflix")["subscribers"]
    ]
    (tmp_path / "netflix" / "subscribers.csv").write_text(small_tables.text(rows, ";", "\r\n"))
    code, out, err = run_alone("results", "netflix", "--data", tmp_path)
    assert (code, err) == (0, "")
    found = json.loads(out)
    churned = [row["churned"] for row in small_tables.good("netflix")["subscribers"]].count("Yes")
    assert (found["subscribers"], found["churned"]) == (40, churned)
    assert found["origin"] == str(tmp_path / "netflix")


def test_results_tell_what_was_left_out(tmp_path, run, monkeypatch):
    module = types.ModuleType("a_study")
    module.results = lambda tables: {"test": reduced(tables).customers["Test"]}
    monkeypatch.setitem(sys.modules, "a_study", module)
    monkeypatch.setitem(cli.STUDIES, "trialers", "a_study")
    tables = small_tables.good("trialers")
    tables["help_activity"].append(tables["help_activity"][0] | {"customer_id": "nobody"})
    code, out, err = run(
        "results", "trialers", "--data", small_tables.write(tmp_path, "trialers", tables)
    )
    assert code == 0
    assert err == (
        f"warning: {tmp_path / 'trialers' / 'help_activity.csv'}, column customer_id, row 62, "
        "value 'nobody': must be a customer_id of test_cohorts; left out\n"
    )
    assert json.loads(out)["test"] == 14


@pytest.mark.parametrize("study", simulate.GENERATORS)
@pytest.mark.parametrize("file_format", simulate.FORMATS)
def test_simulate_writes_what_check_accepts(study, file_format, tmp_path, capsys):
    call = ["simulate", study, "--out", str(tmp_path), "--seed", "4", "--scale", "0.02"]
    assert cli.main([*call, "--format", file_format]) == 0
    out, err = capsys.readouterr()
    assert out == ""
    for table in CONTRACTS[study].tables:
        assert str(tmp_path / study / f"{table.name}.{file_format}") in err
    assert cli.main(["check", "--data", str(tmp_path), study]) == 0
    fit = re.findall(r"\brows? fits? the contract", capsys.readouterr().out)
    assert len(fit) == len(CONTRACTS[study].tables)


def test_simulate_leaves_the_old_tables_when_it_is_interrupted(tmp_path, monkeypatch):
    simulate.write("netflix", tmp_path, seed=1, scale=0.1)
    before = (tmp_path / "netflix" / "subscribers.csv").read_bytes()

    def watch(parts):
        yield next(parts)
        raise KeyboardInterrupt

    for file_format in simulate.FORMATS:
        with pytest.raises(KeyboardInterrupt):
            simulate.write("netflix", tmp_path, 2, 3, file_format, watch)
    assert [path.name for path in (tmp_path / "netflix").iterdir()] == ["subscribers.csv"]
    assert (tmp_path / "netflix" / "subscribers.csv").read_bytes() == before


def test_too_little_memory_is_one_clear_error(monkeypatch, capsys):
    monkeypatch.setattr(sources, "MEMORY", "1MB")
    assert cli.main(["results", "netflix"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: Out of Memory Error") and "it may need free memory" in err
    assert err.count("\n") == 1


def test_simulate_does_not_replace_the_shipped_tables_by_others():
    before = (sources.SHIPPED / "engagement" / "students.csv").stat().st_mtime_ns
    for option in (["--seed", "1"], ["--scale", "0.5"]):
        assert cli.main(["simulate", "engagement", *option]) == 2
    assert (sources.SHIPPED / "engagement" / "students.csv").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["nope"], "nope"),
        (["results", "nope"], "choose from"),
        (["results", "engagement", "--format", "xml"], "xml"),
        (["results", "engagement", "--data", "/no/where"], "/no/where, does not exist"),
        (["check", "nope"], "there is engagement"),
        (["check", "--data", "nosuch://x"], "nosuch://x"),
        (["simulate", "nope"], "engagement"),
        (["simulate", "engagement", "--seed", "x"], "--seed"),
        (["simulate", "engagement", "--out", "{}", "--seed", "-1"], "seed must be 0 or more"),
        (["simulate", "engagement", "--out", "{}", "--scale", "0"], "scale must be a number of"),
        (["simulate", "engagement", "--out", __file__], "test_cli.py"),
        (["simulate", "engagement", "--out", "{}", "--format", "xml"], "xml"),
        (["simulate", "engagement", "--format", "parquet"], "name --out DIR"),
    ],
)
def test_a_wrong_call(arguments, says, tmp_path, capsys):
    try:
        code = cli.main([argument.format(tmp_path) for argument in arguments])
    except SystemExit as leaving:  # argparse
        code = leaving.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert says in err
    assert "Traceback" not in err


def test_help_names_every_command_and_study(capsys):
    for command in ([], ["template"], ["check"], ["results"], ["simulate"]):
        with pytest.raises(SystemExit) as leaving:
            cli.main([*command, "--help"])
        assert leaving.value.code == 0
        out = capsys.readouterr().out
        commands = ["template", "check", "results", "simulate", "exit code"]
        expected = list(CONTRACTS) if command else commands
        assert all(word in out for word in expected)


def test_a_closed_pipe_is_no_error():
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m analysis check netflix | true"], cwd=ROOT,
        capture_output=True, encoding="utf-8", check=False,
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
