"""The reductions of the study give on Spark what they give on DuckDB."""

from __future__ import annotations

import datetime as dt

import ibis
import pytest
from mooc_logs import as_tables, random_frames

from analysis import mooc
from analysis.mooc import durations, funnels, transactions
from analysis.sources import Tables

pyspark_sql = pytest.importorskip("pyspark.sql")


@pytest.fixture(scope="module")
def connection():
    session = (
        pyspark_sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    yield ibis.pyspark.connect(session)
    session.stop()


@pytest.mark.slow
def test_spark_and_duckdb_agree(connection):
    frames = random_frames(21, users=60)
    here = as_tables(frames)
    there = {}
    for name, table in here.tables.items():
        connection.create_view(f"mooc_{name}", ibis.memtable(table.to_pyarrow()))
        there[name] = connection.table(f"mooc_{name}")
    there = Tables("mooc", "Spark", False, False, there)

    assert mooc.results(there) == {
        name: pytest.approx(value, rel=1e-9, abs=1e-9) if isinstance(value, float) else value
        for name, value in mooc.results(here).items()
    }
    # What the results leave out, and what the study does not ask for.
    for reduce in (
        lambda t: durations.time_to_completion(t.table("events"), ("course_id",)),
        lambda t: durations.time_to_completion(t.table("events"), ("referral_source",), ["C1"]),
        lambda t: funnels.funnel(t.table("events"), by=("user_country",), within=20),
        lambda t: funnels.funnel(
            t.table("events"), funnels.STAGES[1:], ("course_id", "user_country"), ordered=False,
            within=9,
        ),
        lambda t: _customers(t).histories,
        lambda t: _customers(t).values,
    ):
        found, expected = reduce(there), reduce(here)
        assert found.index.tolist() == expected.index.tolist()
        for column in expected:
            assert found[column].tolist() == pytest.approx(expected[column].tolist(), rel=1e-9)


def _customers(tables: Tables) -> transactions.Transactions:
    return transactions.transactions(
        tables.table("orders"), dt.date(2024, 5, 20), dt.date(2024, 3, 31),
        users=tables.table("users"), by=("referral_channel",),
    )
