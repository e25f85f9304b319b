"""Where a study's tables come from: a folder of CSV or Parquet files, or any Ibis backend.

`BOOK_DATA` (or the argument `where`) names a folder with a sub-folder a study, `STUDY/TABLE.csv` or
`STUDY/TABLE.parquet`, or an Ibis connection URL (`duckdb://file.ddb`, `postgres://...`,
`pyspark://...`) where the tables are named `STUDY_TABLE`. What is handed out are Ibis tables, typed
by the contract, without the rows that a contract's cross rules leave out.

Tables in a database and Parquet files stay where they are. CSV is text, so it is parsed once, into
a temporary DuckDB file that lives as long as its tables; the pages of a build do that once for all
(`kept`). DuckDB is held to `MEMORY`; what needs more goes through the disk.

Every file looked for, there or not, and every URL is announced as the audit event `analysis.read`
(`sys.addaudithook`), so that a cache can know what a computation depends on.
"""

import csv
import functools
import itertools
import logging
import operator
import os
import pickle
import re
import shlex
import shutil
import sys
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from analysis import checks, kept
from analysis.checks import ContractError, Problem
from analysis.contracts import CONTRACTS, TYPES, TableContract

SHIPPED = Path(__file__).resolve().parent.parent / "data"
SUFFIXES = (".csv", ".parquet")
DELIMITERS = ",;\t|"
_MISSING = "table is missing"
SMALL = 100_000_000  # bytes of tables for which DuckDB uses one thread
MEMORY = "2GB"  # of DuckDB; Python and the statistics come on top
csv.field_size_limit(2**31 - 1)
log = logging.getLogger(__name__)


class SourceError(Exception):
    """The place named for the tables can't be used: it is not there or can't be reached."""


@dataclass(frozen=True)
class Tables:
    """A study's tables, checked and typed.

    Attributes:
        study: name of the study.
        origin: where the tables are, for people; a password in a URL is masked.
        shipped: whether they are the synthetic tables of this project.
        fallback: whether that is because the place named has nothing for this study.
        tables: the tables by name.
        warnings: rows at odds with other rows, and what was done with them.
    """

    study: str
    origin: str
    shipped: bool
    fallback: bool
    tables: dict[str, ir.Table]
    warnings: tuple[Problem, ...] = ()

    def table(self, name: str) -> ir.Table:
        """A table by its name in the contract, with canonical column names."""
        return self.tables[name]


def open_study(study: str, where: str | Path | None = None) -> Tables:
    """Open a study's tables, checked against their contracts.

    Args:
        study: a key of `CONTRACTS`.
        where: a folder or an Ibis connection URL; None is `BOOK_DATA`, or else the shipped tables.

    Raises:
        ContractError: a table breaks its contract; names file, column, row, value and rule.
        SourceError: `where` can't be used.
    """
    where = _where(where)
    path = None if _url(where) else kept.place(f"{study}-tables", str(Path(where).absolute()))
    if path is None:
        return _opened(study, where)
    with kept.alone(path):
        if path.exists():
            return _found_again(study, where, path)
        tables = _opened(study, where)
        _keep(tables, where, path)
        return tables


def _opened(study: str, where: str | Path) -> Tables:
    tables, problems = check_study(study, where)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        data = "" if tables.shipped else f" --data {shlex.quote(_mask(str(where)))}"
        raise ContractError(errors, f"run `python -m analysis check{data} {study}` for all")
    return tables


def check_study(study: str, where: str | Path | None = None) -> tuple[Tables, list[Problem]]:
    """Like `open_study`, but returns the problems, errors and warnings.

    Where there are errors, the tables are those that have all columns, whatever is in them.
    """
    return check_own(study, where) or _check_folder(study, SHIPPED, fallback=True)


def check_own(
    study: str, where: str | Path | None = None
) -> tuple[Tables, list[Problem]] | None:
    """Like `check_study`, but None where the place has nothing for the study; see `lacking`."""
    if study not in CONTRACTS:
        raise SourceError(f"no study {study!r}; there is {', '.join(CONTRACTS)}")
    where = _where(where)
    return (_check_backend if _url(where) else _check_folder)(study, where)


def lacking(study: str, where: str | Path | None = None) -> str:
    """What a place that has nothing for a study would have to hold."""
    where, table = _where(where), CONTRACTS[study].tables[0].name
    if _url(where):
        return f"{_mask(str(where))} has nothing for this study: no table {study}_{table}"
    names = sorted(path.name for path in Path(where).glob("*"))
    holds = ", ".join(map(checks.show, names[:10])) or "nothing"
    missing = Path(where, study, f"{table}.csv")
    return (f"{where} has nothing for this study: no {missing} (or .parquet); the folder holds "
            f"{holds}")


def _where(where: str | Path | None) -> str | Path:
    return where or os.environ.get("BOOK_DATA") or SHIPPED


def _url(where: str | Path) -> bool:
    return "://" in str(where)


def _mask(url: str) -> str:
    """A connection URL without its secrets."""
    url = re.sub(r"(://[^/@:]*):.*@", r"\1:***@", url)  # a password may hold any sign
    secret = r"([^?&]*(?:pass|pwd|token|secret|key|credential)[^=&]*=)[^&]*"
    return re.sub(secret, r"\1***", url, flags=re.IGNORECASE)


def _check_folder(
    study: str, where: str | Path, fallback: bool = False
) -> tuple[Tables, list[Problem]] | None:
    """The tables in a folder and what is wrong; None: nothing for this study."""
    where = Path(where)
    folder = where / study
    shipped = where.resolve() == SHIPPED
    candidates = _candidates(study, folder)
    if not where.is_dir():
        what = "is not a folder" if where.exists() else "does not exist"
        raise SourceError(f"the folder for the tables, {where}, {what}")
    if not folder.is_dir() and not shipped:
        return None

    connection = _embedded(_size(candidates))
    shown = Path("data", study) if shipped else folder
    found = {}
    for contract, paths in candidates.items():
        there = [path for path in paths if path.is_file()]
        file = str(shown / (there[0].name if len(there) == 1 else contract.name))
        if len(there) == 1:
            log.info("reading and checking %s", file)
            read = _read_csv if there[0].suffix == ".csv" else _read_parquet
            data, problems = read(connection, contract, there[0], file)
        elif any(path.is_dir() for path in paths):
            rule = "must be one file, not a folder; join its parts into one Parquet file"
            data, problems = None, [Problem(file, rule)]
        elif there:
            rule = "the table must be there once, not as .csv and as .parquet"
            data, problems = None, [Problem(file, rule)]
        elif contract.optional:
            continue
        else:
            names = sorted(path.name for path in folder.glob("*"))
            holds = ", ".join(map(checks.show, names[:10])) or "nothing"
            rule = f"file is missing (.csv or .parquet); the folder holds {holds}"
            data, problems = None, [Problem(file, rule)]
        found[contract.name] = _Found(file, data, problems)
    origin = f"the shipped synthetic tables, {shown}" if shipped else str(folder)
    tables, problems = _compared(study, found, connection)
    return Tables(study, origin, shipped, fallback, tables, _warnings(problems)), problems


def _candidates(study: str, folder: Path) -> dict[TableContract, list[Path]]:
    """The files in which each table of a study may be, there or not; announced."""
    candidates = {
        contract: [folder / f"{contract.name}{suffix}" for suffix in SUFFIXES]
        for contract in CONTRACTS[study].tables
    }
    for path in itertools.chain(*candidates.values()):
        sys.audit("analysis.read", str(path.absolute()))
    return candidates


def _size(candidates: dict[TableContract, list[Path]]) -> int:
    """Bytes of the files that are there."""
    paths = itertools.chain(*candidates.values())
    return sum(path.stat().st_size for path in paths if path.is_file())


def _keep(tables: Tables, where: str | Path, path: Path) -> None:
    """Keeps tables that were made of text for the other pages of a build."""
    folder = SHIPPED if tables.fallback else Path(where)
    candidates = _candidates(tables.study, folder / tables.study)
    if any(file.is_file() for _, file in candidates.values()):
        return  # Parquet files stay where they are
    aside = path.with_suffix(f".{os.getpid()}")
    aside.mkdir()
    for name, table in tables.tables.items():
        table.to_parquet(aside / f"{name}.parquet")
    schemas = {name: table.schema() for name, table in tables.tables.items()}
    (aside / "about.pickle").write_bytes(pickle.dumps((replace(tables, tables={}), schemas)))
    aside.rename(path)


def _found_again(study: str, where: str | Path, path: Path) -> Tables:
    """Tables that another page of the build has read and checked."""
    candidates = _candidates(study, Path(where, study))
    about, schemas = pickle.loads((path / "about.pickle").read_bytes())
    if about.fallback:
        candidates = _candidates(study, SHIPPED / study)
    connection = _embedded(_size(candidates))
    tables = {
        name: _stored(
            connection, name, connection.read_parquet(path / f"{name}.parquet")).cast(schema)
        for name, schema in schemas.items()
    }
    return replace(about, tables=tables)


def _embedded(size: int) -> ibis.BaseBackend:
    """A DuckDB on a temporary file that goes with the connection.

    Args:
        size: Bytes that are to be read.
    """
    folder = tempfile.mkdtemp(prefix="tables-")
    # Threads that wait for each other cost more than they bring; and chapters run side by side.
    threads = {"threads": 1} if size < SMALL else {}
    connection = ibis.duckdb.connect(
        Path(folder, "tables.ddb"), memory_limit=MEMORY,
        temp_directory=str(Path(folder, "spill")), **threads,
    )
    weakref.finalize(connection, shutil.rmtree, folder, ignore_errors=True)
    return connection


@dataclass(frozen=True)
class _Found:
    """A table as it was found: how problems name it, its typed rows with `_row`, its problems."""

    file: str
    data: ir.Table | None
    problems: list[Problem]


def _compared(
    study: str, found: dict[str, _Found], connection: ibis.BaseBackend | None = None
) -> tuple[dict[str, ir.Table], list[Problem]]:
    """The tables without `_row` and without what is left out, and all problems.

    Args:
        study: the study.
        found: its tables by name.
        connection: the embedded DuckDB; None: another backend, where rows have no number.
    """
    problems = list(itertools.chain.from_iterable(table.problems for table in found.values()))
    typed = {name: table.data for name, table in found.items() if table.data is not None}
    cleaned = typed
    if len(typed) == len(found):
        log.info("comparing the tables of %s", study)
        files = {name: table.file for name, table in found.items()}
        number = itertools.count()
        store = connection and (
            lambda rows: _stored_if_any(connection, f"at_fault_{next(number)}", rows)
        )
        more, cleaned = checks.find_cross_problems(CONTRACTS[study], typed, files, store)
        problems += more
    tables = {name: table.drop("_row") for name, table in cleaned.items()}
    for name, table in tables.items():
        if cleaned[name] is not typed[name]:
            tables[name] = _written(table, f"{name}_left", connection)
    for contract in CONTRACTS[study].tables:
        if contract.optional and contract.name not in found:
            schema = {column.name: TYPES[column.type][0] for column in contract.columns}
            tables[contract.name] = ibis.memtable([], schema=schema)
    return tables, problems


def _written(table: ir.Table, name: str, connection: ibis.BaseBackend | None) -> ir.Table:
    """The rows of an expression, worked out once for the many queries to come."""
    if connection is not None:
        written = _stored(connection, name, table)
    else:
        try:
            written = table.cache()
        except Exception:  # not every database, or user of one, may store tables
            return table
    # What is written has types of its own, such as timestamp(6).
    return written.cast(table.schema())


def _stored(connection: ibis.BaseBackend, name: str, rows: ir.Table) -> ir.Table:
    """The rows of an expression as a table of the embedded DuckDB, in the place of one before.

    One statement, where `create_table` of Ibis takes six.
    """
    _store(connection, name, rows)
    return connection.table(name)


def _stored_if_any(connection: ibis.BaseBackend, name: str, rows: ir.Table) -> ir.Table | None:
    """The same, but None where the expression has no rows: then nobody has to look at the table."""
    return connection.table(name) if _store(connection, name, rows) else None


def _store(connection: ibis.BaseBackend, name: str, rows: ir.Table) -> int:
    """Stores the rows of an expression; how many they are, DuckDB tells by itself."""
    done = connection.raw_sql(f'CREATE OR REPLACE TABLE "{name}" AS {connection.compile(rows)}')
    return done.fetchone()[0]


def _warnings(problems: list[Problem]) -> tuple[Problem, ...]:
    return tuple(problem for problem in problems if problem.severity == "warning")


def _check_backend(study: str, url: str | Path) -> tuple[Tables, list[Problem]] | None:
    """The tables behind a connection URL and what is wrong; None: nothing for this study."""
    url = str(url)
    masked = _mask(url)
    sys.audit("analysis.read", masked)
    found = {}
    try:
        connection = _connect(url)
        can_parse = connection.has_operation(ops.TryCast)
        for contract in CONTRACTS[study].tables:
            name = f"{study}_{contract.name}"
            log.info("checking %s", name)
            try:
                table = connection.table(name)
            except TableNotFound:
                if not contract.optional:
                    found[contract.name] = _Found(name, None, [Problem(name, _MISSING)])
                continue
            data, problems = _in_place(contract, table, ibis.null("int64"), name, can_parse)
            found[contract.name] = _Found(name, data, problems)
        if all([p.rule for p in table.problems] == [_MISSING] for table in found.values()):
            return None
        tables, problems = _compared(study, found)
    # Every driver raises errors of its own.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SourceError(f"can't read {masked}: {reason[0].replace(url, masked)}") from error
    return Tables(study, masked, False, False, tables, _warnings(problems)), problems


def _connect(url: str) -> ibis.BaseBackend:
    if url.startswith("duckdb://"):
        # DuckDB would make a missing file, and lock it against other readers of a parallel build.
        spill = Path(tempfile.gettempdir(), f"tables-{os.getpid()}-spill")
        options = {"read_only": True, "memory_limit": MEMORY, "temp_directory": str(spill)}
        named = dict(parse_qsl(urlsplit(url).query))
        return ibis.connect(url, **{k: v for k, v in options.items() if k not in named})
    if url.startswith("pyspark://"):
        return _connect_spark(url)
    return ibis.connect(url)


def _connect_spark(url: str) -> ibis.BaseBackend:
    """Spark by `pyspark://[/WAREHOUSE][?OPTION=VALUE&...]`.

    Ibis would set the options again on the running session, which Spark refuses for the static ones
    (the warehouse, the catalog, the master).
    """
    from pyspark.sql import SparkSession  # the extra `spark`

    parts = urlsplit(url)
    builder = SparkSession.builder.config("spark.sql.session.timeZone", "UTC")
    if parts.path:
        builder = builder.config("spark.sql.warehouse.dir", parts.path)
    for name, value in parse_qsl(parts.query):
        builder = builder.config(name, value)
    return ibis.pyspark.connect(builder.getOrCreate())


def _in_place(
    contract: TableContract, table: ir.Table, row: ir.IntegerValue, file: str,
    can_parse: bool = True,
) -> tuple[ir.Table | None, list[Problem]]:
    """A table with types of its own, read where it is; `row` numbers its rows."""
    at, problems = checks.match_header(contract, table.columns, file)
    if not at:
        return None, problems
    raw = table.select(**{column: table[i] for column, i in at.items()}, _row=row)
    staged = checks.stage(contract, raw, can_parse)
    problems += checks.find_problems(contract, staged, file)
    return _typed(contract, staged), problems


def _read_parquet(
    connection: ibis.BaseBackend, contract: TableContract, path: Path, file: str
) -> tuple[ir.Table | None, list[Problem]]:
    try:
        table = connection.read_parquet(path, file_row_number=True)
        # No header row is counted in Parquet.
        return _in_place(contract, table, table["file_row_number"] + 1, file)
    except duckdb.Error as error:
        return None, [Problem(file, f"must be a Parquet file ({str(error).splitlines()[0]})")]


def _read_csv(
    connection: ibis.BaseBackend, contract: TableContract, path: Path, file: str
) -> tuple[ir.Table | None, list[Problem]]:
    """Every field is read as text: what is a number, a date or a code, the contract says."""
    with path.open("rb") as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return None, [Problem(file, "must be UTF-8; the file is UTF-16")]
    dialects = [_dialect(path, delimiter) for delimiter in DELIMITERS]
    matches = [checks.match_header(contract, dialect.header, file) for dialect in dialects]
    best = max(range(len(matches)), key=lambda i: len(matches[i][0]))
    dialect, (at, header) = dialects[best], matches[best]
    if not dialect.header:
        return None, [Problem(file, "must have a header row; the file is empty")]
    fault = _first_fault(dialect, at, file, last=dialect.above + 1)
    if fault:
        return None, [fault]
    if not at:
        return None, header

    names, text = [f"c{i}" for i in range(len(dialect.header))], f"{contract.name}_text"

    def load(strict: bool) -> ir.Table:
        fields = connection.read_csv(
            path, auto_detect=False, delim=dialect.delimiter, quote='"', escape='"', header=False,
            skip=dialect.above + 1, columns=dict.fromkeys(names, "VARCHAR"), strict_mode=strict,
        )
        # First as it stands: rows that are numbered, or compared, while they are read are read by
        # one thread, or stored out of order.
        return _stored(connection, text, fields)

    try:
        lines = load(strict=True)
    except duckdb.InvalidInputException:
        fault = _first_fault(dialect, at, file)
        if fault:
            return None, [*header, fault]
        try:  # DuckDB is stricter than RFC 4180 asks, on mixed line ends for example.
            lines = load(strict=False)
        except duckdb.InvalidInputException as error:
            reasons = str(error).split("Possible")[0].strip().splitlines()
            reason = " ".join(dict.fromkeys((reasons[0], reasons[-1])))[:200]
            return None, [*header, Problem(file, f"must be a CSV file ({reason})")]
    lines = lines.mutate(_row=lines.rowid() + 2)
    # Spreadsheets export rows that were once used as lines of delimiters.
    filled = functools.reduce(operator.or_, (lines[name].notnull() for name in names))
    raw = lines.filter(filled).select("_row", **{column: names[i] for column, i in at.items()})
    staged = _stored(connection, contract.name, checks.stage(contract, raw))
    connection.drop_table(text)
    problems = checks.find_problems(contract, staged, file)
    rows = _spreadsheet_rows(dialect, {p.row for p in problems if p.row})
    return _typed(contract, staged), header + [replace(p, row=rows.get(p.row)) for p in problems]


def _typed(contract: TableContract, staged: ir.Table) -> ir.Table | None:
    """The typed table; None where a column lacks."""
    data = checks.typed(contract, staged)
    return data if len(data.columns) == len(contract.columns) + 1 else None


@dataclass(frozen=True)
class _Dialect:
    """How a CSV file is to be read: its delimiter, header, and the blank rows above the header."""

    path: Path
    delimiter: str
    header: list[str]
    above: int

    def records(self, encoding: str, **options) -> Iterator[list[str]]:
        """The records of the file, blank ones as empty lists."""
        with self.path.open(encoding=encoding, errors="surrogateescape", newline="") as stream:
            yield from csv.reader(stream, delimiter=self.delimiter, **options)


def _dialect(path: Path, delimiter: str) -> _Dialect:
    records = _Dialect(path, delimiter, [], 0).records("utf-8-sig")
    for above, record in enumerate(records):
        if record:
            return _Dialect(path, delimiter, record, above)
    return _Dialect(path, delimiter, [], 0)


def _first_fault(
    dialect: _Dialect, at: dict[str, int], file: str, last: int | None = None
) -> Problem | None:
    """What keeps a CSV file from being read, found by reading it record by record up to `last`."""
    names = {i: name for name, i in at.items()}
    width = len(dialect.header)
    row = 0
    try:
        records = itertools.islice(dialect.records("latin-1", strict=True), last)
        for row, record in enumerate(records, start=1):
            for i, field in enumerate(record):
                try:
                    field.encode("latin-1").decode("utf-8")
                except UnicodeDecodeError:
                    rule = "must be UTF-8 text; save the file as UTF-8"
                    return Problem(file, rule, names.get(i), row, field)
            # An empty field too many is a delimiter at the end of the line, and harmless.
            if record and len(record) != width and record[width:] != [""]:
                rule = f"must have {width} fields like the header, not {len(record)}"
                return Problem(file, rule, None, row, dialect.delimiter.join(record))
    except csv.Error:
        rule = 'must close every quoted field with " before the next delimiter or line'
        return Problem(file, rule, None, row + 1)
    return None


def _spreadsheet_rows(dialect: _Dialect, rows: set[int]) -> dict[int | None, int | None]:
    """Row numbers as a spreadsheet shows them, from numbers that leave blank rows out."""
    found: dict[int | None, int | None] = {None: None}
    if rows:
        filled = (row for row, record in enumerate(dialect.records("utf-8"), start=1) if record)
        for number, row in enumerate(filled, start=1):
            if number in rows:
                found[number] = row
            if number >= max(rows):
                break
    return found
