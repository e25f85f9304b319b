"""Sources: what a reader's own tables may look like, and what is said when they do not fit."""

import csv
import functools
import io
import sys

import duckdb
import ibis
import pandas as pd
import pytest
import small_tables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis import sources
from analysis.checks import ContractError, Problem

COLUMNS = ["student_id", "student_country", "paid", "minutes_watched_21", "minutes_watched_22"]
HEADER = ",".join(COLUMNS) + "\n"
GOOD = "1,US,0,,2.5\n"
STUDENTS = {
    "student_id": ["a", "b"], "student_country": ["US", None], "paid": [1, 0],
    "minutes_watched_21": [None, 3.5], "minutes_watched_22": [2.5, None],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for tables; calling it with bytes or text writes them as engagement/students.csv."""
    monkeypatch.delenv("BOOK_DATA", raising=False)
    (tmp_path / "engagement").mkdir()

    class Folder(type(tmp_path)):
        def __call__(self, content, name="students.csv"):
            content = content if isinstance(content, bytes) else content.encode()
            (self / "engagement" / name).write_bytes(content)
            return self

    return Folder(tmp_path)


def students(where):
    return sources.open_study("engagement", where).table("students").to_pyarrow().to_pylist()


def problems(where):
    with pytest.raises(ContractError) as caught:
        sources.open_study("engagement", where)
    assert "\n" not in str(caught.value)
    return caught.value.problems


# What is accepted.


def test_shipped_tables_are_the_default(monkeypatch):
    monkeypatch.delenv("BOOK_DATA", raising=False)
    tables = sources.open_study("engagement")
    assert (tables.shipped, tables.fallback) == (True, False)
    assert "synthetic" in tables.origin
    schema = tables.table("students").schema()
    assert {name: str(dtype) for name, dtype in schema.items()} == {
        "student_id": "string", "student_country": "string", "paid": "int64",
        "minutes_watched_21": "float64", "minutes_watched_22": "float64",
    }


def test_book_data_names_the_folder(folder, monkeypatch):
    monkeypatch.setenv("BOOK_DATA", str(folder(HEADER + GOOD)))
    tables = sources.open_study("engagement")
    assert (tables.shipped, tables.fallback) == (False, False)
    assert tables.origin == str(folder / "engagement")
    assert tables.table("students").count().to_pyarrow().as_py() == 1


def test_a_study_that_is_not_there_falls_back_to_the_shipped_tables(tmp_path):
    tables = sources.open_study("engagement", tmp_path)
    assert (tables.shipped, tables.fallback) == (True, True)


@pytest.mark.parametrize(
    "content",
    [
        HEADER + GOOD,
        (HEADER + GOOD).rstrip("\n"),
        b"\xef\xbb\xbf" + (HEADER + GOOD).encode(),
        (HEADER + GOOD).replace("\n", "\r\n"),
        (HEADER + GOOD).replace("\n", "\r"),
        HEADER.replace("\n", "\r\n") + GOOD,
        (HEADER + GOOD).replace(",", ";"),
        (HEADER + GOOD).replace(",", "\t"),
        (HEADER + GOOD).replace(",", "|"),
        HEADER + GOOD + "\n" * 5000,
        "\n\n" + HEADER + "\n" + GOOD,
        HEADER + '"1","US","0","","2.5"\n',
        HEADER + GOOD.replace("2.5", "2.5,"),
        " Student ID ,STUDENT-COUNTRY,Paid,minutes watched 21,Minutes_Watched_22,\n1,US,0,,2.5,x\n",
        '"extra\nname",' + HEADER + '"é\n;",' + GOOD,
        HEADER + " 1 ,us,no,  , 2.5 \n",
        HEADER + ",,,,\n" + GOOD + ",,,,\n" * 5000,
    ],
    ids=["plain", "no last line end", "BOM", "CRLF", "CR", "mixed line ends", "semicolon", "tab",
         "bar", "empty lines below", "empty lines above", "quoted", "delimiter at the end",
         "header spelling", "extra column with line breaks", "spaces and spelling",
         "lines of delimiters"],
)
def test_csv_dialects_read_the_same(folder, content):
    assert students(folder(content)) == [
        {"student_id": "1", "student_country": "US", "paid": 0, "minutes_watched_21": None,
         "minutes_watched_22": 2.5}
    ]


def test_strange_text_survives(folder):
    ids = ["=cmd()", "|", "<script>alert(1)</script>", 'a"b', "two\nlines", "a,b", "007", "NULL",
           "é漢🎓", "'; drop table x; --", "#1"]
    out = io.StringIO()
    csv.writer(out).writerows([COLUMNS, *([i, "NA", 1, 1, ""] for i in ids)])
    read = students(folder(out.getvalue()))
    assert [row["student_id"] for row in read] == ids
    assert {row["student_country"] for row in read} == {"NA"}  # Namibia is not a missing value


def test_parquet_and_a_database_read_the_same_as_csv(folder):
    frame = pd.DataFrame(STUDENTS)
    frame.to_csv(folder / "engagement" / "students.csv", index=False)
    expected = students(folder)
    assert [row["minutes_watched_21"] for row in expected] == [None, 3.5]
    (folder / "engagement" / "students.csv").unlink()

    frame.rename(columns={"paid": "Paid"}).to_parquet(folder / "engagement" / "students.parquet")
    assert students(folder) == expected

    file = folder / "own.ddb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table engagement_students as select * from frame")
    assert students(f"duckdb://{file}") == expected
    # Chapters run in parallel: a second reader must not be locked out.
    readers = [sources.open_study("engagement", f"duckdb://{file}") for _ in range(2)]
    assert [len(reader.table("students").to_pyarrow()) for reader in readers] == [2, 2]


minutes = st.none() | st.floats(0, 1e6).map(lambda x: round(x, 2))
rows = st.lists(
    st.tuples(
        st.text(
            st.characters(codec="utf-8", exclude_characters="\r\n\0\ufeff"), min_size=1, max_size=5
        ).filter(lambda text: text == text.strip()),
        st.sampled_from([None, "US", "IN", "NA"]), st.sampled_from([0, 1]), minutes, minutes,
    ),
    min_size=1, max_size=16, unique_by=lambda row: row[0],
)


# An example costs most by its file: rather more rows than more files.
@settings(
    max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows, st.permutations(range(5)), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_is_written_is_what_is_read(folder, rows, order, delimiter, line_end, quoting):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    writer.writerows([row[i] for i in order] for row in [COLUMNS, *rows])
    read = students(folder(out.getvalue()))
    assert [tuple(row.values()) for row in read] == rows


# What is refused, with file, column, row, value and rule.

QUOTE = 'must close every quoted field with " before the next delimiter or line'
NUMBER = "must be a finite number such as 1234.5"
COUNTRY = "must be an ISO 3166-1 alpha-2 code, for example US"
FLAG = "must be 0 or 1 (or no or yes, false or true)"
FAULTS = {
    "duplicate id": (HEADER + GOOD + "2,US,0,,1\n1,IN,1,3,\n", "student_id", 4, "1",
                     "must not repeat"),
    "no id": (HEADER + GOOD + ",US,0,,1\n", "student_id", 3, None, "must not be empty"),
    "negative": (HEADER + GOOD + "2,US,0,-5,\n", "minutes_watched_21", 3, "-5",
                 "must be 0 or more"),
    "text": (HEADER + "1,US,0,,abc\n", "minutes_watched_22", 2, "abc", NUMBER),
    "NaN": (HEADER + "1,US,0,,NaN\n", "minutes_watched_22", 2, "NaN", NUMBER),
    "inf": (HEADER + "1,US,0,-inf,\n", "minutes_watched_21", 2, "-inf", NUMBER),
    "overflow": (HEADER + "1,US,0,1e999,\n", "minutes_watched_21", 2, "1e999", NUMBER),
    "thousands": (HEADER + '1,US,0,"1,234",\n', "minutes_watched_21", 2, "1,234", NUMBER),
    "underscore": (HEADER + "1,US,0,1_000,\n", "minutes_watched_21", 2, "1_000", NUMBER),
    "hexadecimal": (HEADER + "1,US,0,0x1F,\n", "minutes_watched_21", 2, "0x1F", NUMBER),
    "decimal comma": ((HEADER + GOOD).replace(",", ";").replace(".", ","),
                      "minutes_watched_22", 2, "2,5", NUMBER),
    "NUL": (HEADER + "1,US,0,\0,\n", "minutes_watched_21", 2, "\0", NUMBER),
    "paid = 2": (HEADER + GOOD + "2,US,2,,1\n", "paid", 3, "2", FLAG),
    "paid = 0.5": (HEADER + "1,US,0.5,,1\n", "paid", 2, "0.5", FLAG),
    "paid = 1e300": (HEADER + "1,US,1e300,,1\n", "paid", 2, "1e300", FLAG),
    "paid = maybe": (HEADER + "1,US,maybe,,1\n", "paid", 2, "maybe", FLAG),
    "no plan": (HEADER + "1,US,,,1\n", "paid", 2, None, "must not be empty"),
    "three letters": (HEADER + "1,USA,0,,1\n", "student_country", 2, "USA", COUNTRY),
    "no such country": (HEADER + "1,XX,0,,1\n", "student_country", 2, "XX", COUNTRY),
    "an id of space": (HEADER + " ,US,0,,1\n", "student_id", 2, " ", "must not be empty"),
    "below a quoted newline": (HEADER + '"1\nx",US,0,,\n2,US,0,-1,\n', "minutes_watched_21", 3,
                               "-1", "must be 0 or more"),
    "below blank lines": ("\n" + HEADER + GOOD + "\n\n2,US,0,-1,\n", "minutes_watched_21", 6, "-1",
                          "must be 0 or more"),
    "below a BOM": (b"\xef\xbb\xbf" + (HEADER + "1,US,3,,\n").encode(), "paid", 2, "3",
                    FLAG),
    "not UTF-8": ((HEADER + GOOD + "2é,US,0,,1\n").encode("latin-1"), "student_id", 3, "2é",
                  "must be UTF-8 text; save the file as UTF-8"),
    "header not UTF-8": (("é," + HEADER + GOOD).encode("latin-1"), None, 1, "é",
                         "must be UTF-8 text; save the file as UTF-8"),
    "UTF-16": ((HEADER + GOOD).encode("utf-16"), None, None, None,
               "must be UTF-8; the file is UTF-16"),
    "empty": ("", None, None, None, "must have a header row; the file is empty"),
    "line ends only": ("\n\r\n", None, None, None, "must have a header row; the file is empty"),
    "header only": (HEADER, None, None, None, "must have at least one row of data"),
    "field too few": (HEADER + GOOD + "2,US,0,\n", None, 3, "2,US,0,",
                      "must have 5 fields like the header, not 4"),
    "field too many": (HEADER + GOOD + "2,US,0,,1,9\n", None, 3, "2,US,0,,1,9",
                       "must have 5 fields like the header, not 6"),
    "quote not closed": (HEADER + GOOD + '"2,US,0,,1\n', None, 3, None, QUOTE),
    "text after a quote": (HEADER + '"1"x,US,0,,1\n', None, 2, None, QUOTE),
    "missing column": (HEADER.replace("paid,", "") + "1,US,,2\n", "paid", None, None,
                       "column is missing; the header has 'student_id', 'student_country', "
                       "'minutes_watched_21', 'minutes_watched_22'"),
    "column twice": (HEADER.replace("\n", ",Paid\n") + "1,US,0,,2,0\n", "paid", None, None,
                     "must be in the header once, not as 'paid', 'Paid'"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(folder, fault):
    content, column, row, value, rule = FAULTS[fault]
    (problem,) = problems(folder(content))
    file = str(folder / "engagement" / "students.csv")
    assert problem == Problem(file, rule, column, row, value)
    message = str(problem)
    assert message.startswith(file) and rule in message
    assert message.isprintable()


def test_all_problems_are_found_at_once(folder):
    content = HEADER + "1,XX,7,-1,abc\n1,US,0,,\n1,ZZ,0,,\n"
    found = problems(folder(content))
    assert {(p.column, p.row, p.count) for p in found} == {
        ("student_country", 2, 2), ("paid", 2, 1), ("minutes_watched_21", 2, 1),
        ("minutes_watched_22", 2, 1), ("student_id", 3, 2),
    }
    with pytest.raises(ContractError, match="; 4 more problems; run `python -m analysis check "):
        sources.open_study("engagement", folder)


def test_columns_present_are_checked_though_another_is_missing(folder):
    found = problems(folder("student_id,paid,minutes_watched_21,minutes_watched_22\n1,5,,1\n"))
    assert {(p.column, p.row) for p in found} == {("student_country", None), ("paid", 2)}


def test_rows_are_counted_right_in_a_file_read_in_parallel(folder, monkeypatch):
    monkeypatch.setattr(sources, "SMALL", 0)
    # Tests have DuckDB use one thread.
    connect = functools.partial(ibis.duckdb.connect, threads=4)
    monkeypatch.setattr(ibis.duckdb, "connect", connect)
    n = 400_000
    body = "".join(f"{i},US,0,,1.25\n" for i in range(n))
    content = HEADER + body + "x,US,0,,-1\n" + body.replace("\n", "b\n", 1)
    found = {p.rule: p for p in problems(folder(content))}
    assert found["must be 0 or more"].row == n + 2
    assert found["must not repeat"].row == n + 3
    assert found["must not repeat"].count == n
    assert found["must be a finite number such as 1234.5"].row == n + 3


def test_the_table_is_not_there(folder):
    (folder / "engagement" / "student.csv").write_text(HEADER + GOOD)
    (problem,) = problems(folder)
    assert problem.rule == "file is missing (.csv or .parquet); the folder holds 'student.csv'"


def test_an_optional_table_that_is_not_there_is_empty(tmp_path, customers_tables):
    tables = small_tables.good("customers")
    small_tables.write(tmp_path, "customers", tables)
    optional = {"releases", "planned_split"}
    for name in optional:
        (tmp_path / "customers" / f"{name}.csv").unlink()
    with duckdb.connect(str(tmp_path / "own.ddb")) as connection:
        for name in set(tables) - optional:
            path = tmp_path / "customers" / f"{name}.csv"
            connection.execute(f"create table customers_{name} as from read_csv('{path}')")
    for where in (tmp_path, f"duckdb://{tmp_path / 'own.ddb'}"):
        opened, found = sources.check_study("customers", where)
        assert found == []
        for name in optional:
            assert opened.table(name).schema() == customers_tables.table(name).schema()
            assert opened.table(name).to_pandas().empty


def test_the_table_is_there_twice(folder):
    folder(HEADER + GOOD)
    pd.DataFrame(STUDENTS).to_parquet(folder / "engagement" / "students.parquet")
    assert problems(folder)[0].rule == "the table must be there once, not as .csv and as .parquet"


def test_a_folder_of_parts_is_no_table(folder):
    (folder / "engagement" / "students.parquet").mkdir()
    (problem,) = problems(folder)
    assert problem.rule.startswith("must be one file, not a folder")


def test_parquet_faults_are_named(folder):
    frame = pd.DataFrame(STUDENTS)
    path = folder / "engagement" / "students.parquet"
    frame.assign(paid=[0, 2]).to_parquet(path)
    (problem,) = problems(folder)
    assert (problem.file, problem.column, problem.row, problem.value) == (str(path), "paid", 2, 2)
    frame.assign(minutes_watched_21=pd.Timestamp("2024-01-01")).to_parquet(path)
    (problem,) = problems(folder)
    assert problem.column == "minutes_watched_21"
    assert "the column's type is timestamp" in problem.rule
    path.write_bytes(b"no Parquet")
    assert problems(folder)[0].rule.startswith("must be a Parquet file")


def test_database_faults_are_named(tmp_path):
    file = tmp_path / "own.ddb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table engagement_students as select 'a' student_id, 'US' "
                           "student_country, 3 paid, 'nan'::double minutes_watched_21, 1 "
                           "minutes_watched_22")
    found = problems(f"duckdb://{file}")
    assert [(p.file, p.column, p.row) for p in found] == [
        ("engagement_students", "paid", None), ("engagement_students", "minutes_watched_21", None)
    ]


def test_a_database_without_the_study_falls_back(tmp_path):
    file = tmp_path / "own.ddb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("create table other as select 1")
    assert sources.open_study("engagement", f"duckdb://{file}").fallback


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("{}/nowhere", "does not exist"),
        (__file__, "is not a folder"),
        ("duckdb://{}/none.ddb", "database does not exist"),
        ("nosuch://server/base", "can't read nosuch://server/base"),
    ],
)
def test_a_place_that_is_not_there(tmp_path, where, message):
    with pytest.raises(sources.SourceError, match=message):
        sources.open_study("engagement", where.format(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_password_is_not_repeated():
    with pytest.raises(sources.SourceError) as caught:
        sources.open_study("engagement", "nosuch://me:s3cret@server/base?token=t0ken&a=b")
    assert "s3cret" not in str(caught.value) and "t0ken" not in str(caught.value)
    assert "nosuch://me:***@server/base?token=***&a=b" in str(caught.value)


@pytest.mark.parametrize(("url", "shown"), [
    ("postgres://bob:a/b@localhost:1/x", "postgres://bob:***@localhost:1/x"),
    ("postgres://bob:a@b/c@server/x", "postgres://bob:***@server/x"),
    ("mysql://server/x?passwd=hunter&a=b", "mysql://server/x?passwd=***&a=b"),
    ("s://h/x?private_key=K&aws_secret_access_key=K&Credential=K",
     "s://h/x?private_key=***&aws_secret_access_key=***&Credential=***"),
    ("duckdb://a.ddb?threads=2", "duckdb://a.ddb?threads=2"),
])
def test_secrets_of_every_kind_are_masked(url, shown):
    assert sources._mask(url) == shown


def test_an_unknown_study():
    with pytest.raises(sources.SourceError, match="no study 'nope'; there is engagement"):
        sources.open_study("nope")


# What a cache is told.

_announced: list[str] = []
sys.addaudithook(lambda event, args: event == "analysis.read" and _announced.append(args[0]))


def test_every_file_looked_for_is_announced(folder, monkeypatch):
    folder(HEADER + GOOD)
    monkeypatch.chdir(folder)
    _announced.clear()
    sources.open_study("engagement", ".")
    own = [str(folder / "engagement" / f"students{suffix}") for suffix in (".csv", ".parquet")]
    assert _announced == own

    _announced.clear()
    sources.open_study("engagement", folder / "engagement")  # nothing there: the shipped ones
    own = [str(folder / "engagement" / "engagement" / f"students{s}") for s in (".csv", ".parquet")]
    shipped = [str(sources.SHIPPED / "engagement" / f"students{s}") for s in (".csv", ".parquet")]
    assert _announced == own + shipped


def test_an_optional_table_that_may_come_is_announced(tmp_path):
    """So that a chapter is executed again as soon as it is there."""
    tables = small_tables.good("trialers")
    del tables["planned_split"]
    small_tables.write(tmp_path, "trialers", tables)
    _announced.clear()
    sources.open_study("trialers", tmp_path)
    assert str(tmp_path / "trialers" / "planned_split.csv") in _announced


def test_a_connection_url_is_announced(tmp_path):
    file = tmp_path / "own.ddb"
    duckdb.connect(str(file)).close()
    _announced.clear()
    sources.open_study("engagement", f"duckdb://{file}")
    assert _announced[0] == f"duckdb://{file}"
