"""Each study gives the same numbers on CSV, on Parquet, in a DuckDB file and on Spark.

The tables are simulated small ones with their dirt. Where DuckDB analyses them, the rows that it
reads from CSV, Parquet and a database are compared; on Spark, every number. What backends, left to
themselves, read differently in text is compared value by value.
"""

import datetime as dt
import importlib
import importlib.util
import math
import shutil

import duckdb
import ibis
import pandas as pd
import pytest

from analysis import __main__ as cli
from analysis import checks, simulate, sources
from analysis.contracts import CONTRACTS, Column, TableContract
from analysis.mooc import durations, funnels, transactions

SCALES = {"engagement": 0.02, "customers": 0.1, "mooc": 0.05, "netflix": 0.2, "trialers": 0.1}
STUDIES = list(CONTRACTS)


def numbers(study, where):
    """Every number of a study and every warning, without what names the place of the tables."""
    tables = sources.open_study(study, where)
    assert not tables.fallback
    found = importlib.import_module(cli.STUDIES[study]).results(tables)
    found = {name: value for name, value in found.items() if name not in ("origin", "shipped")}
    return found | {(w.column, w.rule, w.handling): w.count for w in tables.warnings}


def same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, float) and isinstance(found[name], float):
            assert math.isclose(found[name], value, rel_tol=1e-9, abs_tol=1e-12), name
        else:
            assert found[name] == value, name


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Every study as CSV."""
    folder = tmp_path_factory.mktemp("csv")
    for study in STUDIES:
        simulate.write(study, folder, seed=11, scale=SCALES[study])
    return folder


@pytest.fixture(scope="module")
def expected(folder):
    return {study: numbers(study, folder) for study in STUDIES}


def rows(study, where):
    """What a study reads, each table in the order of all its columns, and every warning."""
    tables = sources.open_study(study, where)
    assert not tables.fallback
    read = {contract.name: tables.table(contract.name).to_pandas()
            for contract in CONTRACTS[study].tables}
    return {name: frame.sort_values(list(frame), ignore_index=True)
            for name, frame in read.items()}, tables.warnings


@pytest.fixture(scope="module")
def read(folder):
    return {study: rows(study, folder) for study in STUDIES}


def as_read(study, where, read):
    found, warnings = rows(study, where)
    expected, expected_warnings = read[study]
    for name, frame in expected.items():
        assert len(frame), name
        pd.testing.assert_frame_equal(found[name], frame, obj=name)
    told = [[(w.column, w.rule, w.handling, w.count) for w in all_of]
            for all_of in (warnings, expected_warnings)]
    assert told[0] == told[1]


def test_every_study_has_numbers(expected):
    for study, values in expected.items():
        measured = [v for v in values.values() if isinstance(v, (int, float))]
        assert len(measured) > 100, study
    assert all(any(isinstance(name, tuple) for name in expected[study])
               for study in ("customers", "mooc", "trialers"))  # there is dirt to leave out


@pytest.mark.parametrize("study", STUDIES)
def test_parquet(study, read, tmp_path):
    simulate.write(study, tmp_path, seed=11, scale=SCALES[study], file_format="parquet")
    as_read(study, tmp_path, read)


@pytest.mark.parametrize("study", STUDIES)
def test_duckdb_file_of_text(study, folder, read, tmp_path):
    """A database into which somebody loaded the CSV files as they are, every column as text."""
    file = tmp_path / "own.ddb"
    with duckdb.connect(str(file)) as connection:
        for table in CONTRACTS[study].tables:
            path = folder / study / f"{table.name}.csv"
            connection.execute(
                f"create table {study}_{table.name} as "
                f"select * from read_csv('{path}', all_varchar = true)"
            )
    as_read(study, f"duckdb://{file}", read)


@pytest.fixture(scope="module")
def spark():
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed (the extra `spark`)")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17, and there is no `java` on the PATH")
    from pyspark.sql import SparkSession

    # On small tables most of the time would go into compiling queries and into Java's own compiler.
    options = {
        "spark.ui.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        # A small table would be sent to every worker before each join, by a job of its own.
        "spark.sql.autoBroadcastJoinThreshold": "-1",
        # The default cache of this compiler fills up, and then everything is interpreted. A heap
        # that starts small is collected again and again before it has grown.
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions":
            "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:+UseSerialGC "
            "-Xms1g -Xmn600m -XX:MetaspaceSize=400m",
    }
    builder = SparkSession.builder.master("local[2]").config(map=options)
    # A zone far from UTC: results must not depend on it.
    session = builder.config("spark.sql.session.timeZone", "America/New_York").getOrCreate()
    yield session
    session.stop()


def show_to_spark(spark, study, folder):
    """Makes views of a study's Parquet files, named as tables of a database; each is read once.

    Joins and groups of what Spark knows to be in one piece need no shuffle.
    """
    for table in CONTRACTS[study].tables:
        frame = spark.read.parquet(str(folder / study / f"{table.name}.parquet"))
        frame.coalesce(1).cache().createOrReplaceTempView(f"{study}_{table.name}")


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_spark(study, spark, expected, tmp_path):
    simulate.write(study, tmp_path, seed=11, scale=SCALES[study], file_format="parquet")
    show_to_spark(spark, study, tmp_path)
    same(numbers(study, "pyspark://"), expected[study])


@pytest.mark.slow
def test_spark_on_what_the_mooc_study_leaves_out(spark, tmp_path):
    """Reductions with options that the study does not use, or too long for its results."""
    simulate.write("mooc", tmp_path, seed=12, scale=0.01, file_format="parquet")
    here = sources.open_study("mooc", tmp_path)
    show_to_spark(spark, "mooc", tmp_path)
    there = sources.open_study("mooc", "pyspark://")
    end, split = dt.date(2024, 12, 31), dt.date(2024, 6, 30)

    def reductions(tables):
        events, orders, users = (tables.table(name) for name in ("events", "orders", "users"))
        by_channel = transactions.transactions(
            orders, end, split, users=users, by=("referral_channel",)
        )
        yield durations.time_to_completion(events, ("course_id",))
        yield funnels.funnel(events, by=("user_country",), within=20)
        yield funnels.funnel(events, funnels.STAGES[1:], ("course_id", "user_country"),
                             ordered=False, within=9)
        yield by_channel.histories
        yield by_channel.values

    for found, expected in zip(reductions(there), reductions(here), strict=True):
        pd.testing.assert_frame_equal(found, expected, rtol=1e-9, check_dtype=False)


# Text, what it means as a date, a moment (in UTC), a number, a flag; None: refused.
SPELLINGS = [
    ("2024-01-05", "2024-01-05", "2024-01-05 00:00:00", None, None),
    (" 2024-1-5 ", "2024-01-05", "2024-01-05 00:00:00", None, None),
    ("2024/01/05", "2024-01-05", "2024-01-05 00:00:00", None, None),
    ("2024-01-05 10:00", "2024-01-05", "2024-01-05 10:00:00", None, None),
    ("2024-01-05T10:00:00.25", "2024-01-05", "2024-01-05 10:00:00.250000", None, None),
    ("2024-01-05T10:00:00Z", "2024-01-05", "2024-01-05 10:00:00", None, None),
    ("2024-01-05 10:00:00 UTC", "2024-01-05", "2024-01-05 10:00:00", None, None),
    ("2024-01-05 10:00:00+02", "2024-01-05", "2024-01-05 08:00:00", None, None),
    ("2024-01-05 10:00:00 -02:30", "2024-01-05", "2024-01-05 12:30:00", None, None),
    ("2024-12-31T23:30:00-0100", "2025-01-01", "2025-01-01 00:30:00", None, None),
    ("5 Jan 2024", "2024-01-05", "2024-01-05 00:00:00", None, None),
    ("05-january-2024 9:30", "2024-01-05", "2024-01-05 09:30:00", None, None),
    ("Sept. 5, 2024", "2024-09-05", "2024-09-05 00:00:00", None, None),
    *((text, None, None, None, None) for text in (
        "2024-01", "05/06/2024", "13/05/2024", "01-02-03", "0024-01-05",
        "99999-01-01", "2023-02-29", "2024-13-01", "March 32, 2024", "Marble 3, 2024", "5 March",
        "2024-01-05 25:00", "2024-01-05 24:00:00", "2024-01-05 10:00:60", "2024-01-05 9:30 PM",
        "2024-01-05 10:00:00 Europe/Berlin", "2024-01-05BC", "infinity", "epoch", "today",
        "nan", "-inf", "1e999", "1_000", "0x1F", "1d", "1f", "1,5", "1 000", ".", "+-1", "oui",
    )),
    ("2024", None, None, 2024.0, None),
    ("20240105", None, None, 20240105.0, None),
    (" -.5e-1 ", None, None, -0.05, None),
    ("+3", None, None, 3.0, None),
    ("1.", None, None, 1.0, 1),
    ("0.0", None, None, 0.0, 0),
    ("2", None, None, 2.0, None),
    ("YES", None, None, None, 1),
    ("False", None, None, None, 0),
    (" vivid leaf ", None, None, None, None),
    ("  ", None, None, None, None),
    (None, None, None, None, None),
]


@pytest.mark.parametrize("backend", ["duckdb", "spark"])
def test_text_means_the_same_everywhere(backend, request):
    if backend == "spark":
        connection = ibis.pyspark.connect(request.getfixturevalue("spark"))
    else:
        connection = ibis.duckdb.connect()
    kinds = ("date", "timestamp", "number", "flag", "text")
    contract = TableContract("spellings", "a row", tuple(Column(k, k, "") for k in kinds))
    rows = pd.DataFrame({kind: [row[0] for row in SPELLINGS] for kind in kinds})
    schema = dict.fromkeys(kinds, "string") | {"_row": "int64"}
    rows = ibis.memtable(rows.assign(_row=range(len(rows))), schema=schema)
    connection.create_view("spellings", rows, overwrite=True)
    staged = checks.stage(contract, connection.table("spellings"))
    read = checks.typed(contract, staged).order_by("_row").to_pyarrow().to_pylist()
    for (text, *meant), row in zip(SPELLINGS, read, strict=True):
        found = [None if row[k] is None else str(row[k]) for k in kinds]
        meant.append((text or "").strip(" ") or None)
        assert found == [None if value is None else str(value) for value in meant], repr(text)
