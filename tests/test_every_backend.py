"""Each study gives the same numbers on CSV, on Parquet, in a DuckDB file and on Spark.

The tables are simulated small ones with their dirt, and a few spellings that backends read
differently when left to themselves.
"""

import importlib
import importlib.util
import math
import shutil

import duckdb
import pytest

from analysis import __main__ as cli
from analysis import simulate, sources
from analysis.contracts import CONTRACTS

SCALES = {"engagement": 0.02, "customers": 0.1, "mooc": 0.05, "netflix": 0.2, "trialers": 0.1}
STUDIES = list(CONTRACTS)


def numbers(study, where):
    """Every number of a study, without what names the place of the tables."""
    tables = sources.open_study(study, where)
    assert not tables.fallback
    found = importlib.import_module(cli.STUDIES[study]).results(tables)
    return {name: value for name, value in found.items() if name not in ("origin", "shipped")}


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


def test_every_study_has_numbers(expected):
    for study, values in expected.items():
        measured = [v for v in values.values() if isinstance(v, (int, float))]
        assert len(measured) > 100, study


@pytest.mark.parametrize("study", STUDIES)
def test_parquet(study, expected, tmp_path):
    simulate.write(study, tmp_path, seed=11, scale=SCALES[study], file_format="parquet")
    same(numbers(study, tmp_path), expected[study])


@pytest.mark.parametrize("study", STUDIES)
def test_duckdb_file_of_text(study, folder, expected, tmp_path):
    """A database into which somebody loaded the CSV files as they are, every column as text."""
    file = tmp_path / "own.ddb"
    with duckdb.connect(str(file)) as connection:
        for table in CONTRACTS[study].tables:
            path = folder / study / f"{table.name}.csv"
            connection.execute(
                f"create table {study}_{table.name} as "
                f"select * from read_csv('{path}', all_varchar = true)"
            )
    same(numbers(study, f"duckdb://{file}"), expected[study])


@pytest.fixture(scope="module")
def spark():
    if importlib.util.find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed (the extra `spark`)")
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java 17, and there is no `java` on the PATH")
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    builder = builder.config("spark.sql.shuffle.partitions", "2")
    # A zone far from UTC: results must not depend on it.
    session = builder.config("spark.sql.session.timeZone", "America/New_York").getOrCreate()
    yield session
    session.stop()


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_spark(study, spark, folder, expected):
    for table in CONTRACTS[study].tables:
        path = str(folder / study / f"{table.name}.csv")
        frame = spark.read.csv(path, header=True, inferSchema=False)
        frame.createOrReplaceTempView(f"{study}_{table.name}")
    same(numbers(study, "pyspark://"), expected[study])
