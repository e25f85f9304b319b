"""Where a study's tables come from: a folder of CSV or Parquet files, or any Ibis backend.

`BOOK_DATA` (or the argument `where`) names a folder with a sub-folder a study, `STUDY/TABLE.csv` or
`STUDY/TABLE.parquet`, or an Ibis connection URL (`duckdb://file.ddb`, `postgres://...`,
`pyspark://...`) where the tables are named `STUDY_TABLE`. Tables stay where they are: what is
handed out are Ibis tables, typed by the contract; files are read by an in-memory DuckDB when a
query runs.

Every file looked for, there or not, and every URL is announced as the audit event `analysis.read`
(`sys.addaudithook`), so that a cache can know what a computation depends on.
"""

import csv
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import ibis
import ibis.expr.operations as ops
import ibis.expr.types as ir
from ibis.common.exceptions import TableNotFound

from analysis import contracts
from analysis.contracts import CONTRACTS, ContractError, Problem, TableContract

SHIPPED = Path(__file__).resolve().parent.parent / "data"
SUFFIXES = (".csv", ".parquet")
DELIMITERS = ",;\t|"
csv.field_size_limit(2**31 - 1)


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
    """

    study: str
    origin: str
    shipped: bool
    fallback: bool
    tables: dict[str, ir.Table]

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
    tables, problems = check_study(study, where)
    if problems:
        data = "" if tables.shipped else f" --data {shlex.quote(_mask(str(where)))}"
        raise ContractError(problems, f"run `python -m analysis check{data} {study}` for all")
    return tables


def check_study(study: str, where: str | Path | None = None) -> tuple[Tables, list[Problem]]:
    """Like `open_study`, but returns the problems; the tables are those that have all columns."""
    if study not in CONTRACTS:
        raise SourceError(f"no study {study!r}; there is {', '.join(CONTRACTS)}")
    where = _where(where)
    check = _check_backend if "://" in str(where) else _check_folder
    return check(study, where) or _check_folder(study, SHIPPED, fallback=True)


def _where(where: str | Path | None) -> str | Path:
    return where or os.environ.get("BOOK_DATA") or SHIPPED


def _mask(url: str) -> str:
    """A connection URL without its secrets."""
    url = re.sub(r"(://[^/@:]*):[^/]*@", r"\1:***@", url)
    return re.sub(r"((?:password|token|secret)=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def _check_folder(
    study: str, where: str | Path, fallback: bool = False
) -> tuple[Tables, list[Problem]] | None:
    """The tables in a folder and what is wrong; None: nothing for this study."""
    where = Path(where)
    folder = where / study
    shipped = where.resolve() == SHIPPED
    candidates = {
        contract: [folder / f"{contract.name}{suffix}" for suffix in SUFFIXES]
        for contract in CONTRACTS[study].tables
    }
    for path in itertools.chain(*candidates.values()):
        sys.audit("analysis.read", str(path.absolute()))
    if not where.is_dir():
        what = "is not a folder" if where.exists() else "does not exist"
        raise SourceError(f"the folder for the tables, {where}, {what}")
    if not folder.is_dir() and not shipped:
        return None

    connection = ibis.duckdb.connect()
    shown = Path("data", study) if shipped else folder
    tables, problems = {}, []
    for contract, paths in candidates.items():
        there = [path for path in paths if path.is_file()]
        if len(there) == 1:
            read = _read_csv if there[0].suffix == ".csv" else _read_parquet
            data, found = read(connection, contract, there[0], str(shown / there[0].name))
            problems += found
            tables |= {contract.name: data} if data is not None else {}
        elif there:
            rule = "the table must be there once, not as .csv and as .parquet"
            problems.append(Problem(str(shown / contract.name), rule))
        else:
            names = sorted(path.name for path in folder.glob("*"))
            holds = ", ".join(map(contracts.show, names[:10])) or "nothing"
            rule = f"file is missing (.csv or .parquet); the folder holds {holds}"
            problems.append(Problem(str(shown / contract.name), rule))
    origin = f"the shipped synthetic tables, {shown}" if shipped else str(folder)
    return Tables(study, origin, shipped, fallback, tables), problems


def _check_backend(study: str, url: str | Path) -> tuple[Tables, list[Problem]] | None:
    """The tables behind a connection URL and what is wrong; None: nothing for this study."""
    url = str(url)
    masked = _mask(url)
    sys.audit("analysis.read", masked)
    # DuckDB would make a missing file, and lock it against the other readers of a parallel build.
    options = {"read_only": True} if url.startswith("duckdb://") else {}
    tables, problems = {}, []
    try:
        connection = ibis.connect(url, **options)
        can_parse = connection.has_operation(ops.TryCast)
        for contract in CONTRACTS[study].tables:
            name = f"{study}_{contract.name}"
            try:
                table = connection.table(name)
            except TableNotFound:
                problems.append(Problem(name, "table is missing"))
                continue
            at, found = contracts.match_header(contract, table.columns, name)
            raw = table.select(**{column: table[i] for column, i in at.items()}) if at else None
            data, more = _checked(contract, raw, name, found, ordered=False, can_parse=can_parse)
            problems += more
            tables |= {contract.name: data} if data is not None else {}
    # Every driver raises errors of its own.
    except Exception as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SourceError(f"can't read {masked}: {reason[0].replace(url, masked)}") from error
    if not tables and all(problem.rule == "table is missing" for problem in problems):
        return None
    return Tables(study, masked, False, False, tables), problems


def _checked(
    contract: TableContract, raw: ir.Table | None, file: str, header: list[Problem],
    ordered: bool, can_parse: bool = True,
) -> tuple[ir.Table | None, list[Problem]]:
    """The typed table (None where columns lack) and every problem, those of the header first."""
    if raw is None:
        return None, header
    problems = header + contracts.find_problems(contract, raw, file, ordered, can_parse)
    return (None if header else contracts.typed(contract, raw)), problems


def _read_parquet(
    connection: ibis.BaseBackend, contract: TableContract, path: Path, file: str
) -> tuple[ir.Table | None, list[Problem]]:
    try:
        table = connection.read_parquet(path)
        at, header = contracts.match_header(contract, table.columns, file)
        raw = table.select(**{column: table[i] for column, i in at.items()}) if at else None
        data, problems = _checked(contract, raw, file, header, ordered=True)
    except duckdb.Error as error:
        return None, [Problem(file, f"must be a Parquet file ({str(error).splitlines()[0]})")]
    # No header row is counted in Parquet.
    return data, [replace(p, row=p.row and p.row - 1) for p in problems]


def _read_csv(
    connection: ibis.BaseBackend, contract: TableContract, path: Path, file: str
) -> tuple[ir.Table | None, list[Problem]]:
    """Every field is read as text: what is a number, a date or a code, the contract says."""
    with path.open("rb") as stream:
        if stream.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return None, [Problem(file, "must be UTF-8; the file is UTF-16")]
    dialects = [_dialect(path, delimiter) for delimiter in DELIMITERS]
    matches = [contracts.match_header(contract, dialect.header, file) for dialect in dialects]
    best = max(range(len(matches)), key=lambda i: len(matches[i][0]))
    dialect, (at, header) = dialects[best], matches[best]
    if not dialect.header:
        return None, [Problem(file, "must have a header row; the file is empty")]
    width = len(dialect.header)
    fault = _first_fault(dialect, at, file, last=dialect.above + 1)
    if fault:
        return None, [fault]
    if not at:
        return None, header

    def read(strict: bool):
        table = connection.read_csv(
            path, auto_detect=False, delim=dialect.delimiter, quote='"', escape='"', header=False,
            skip=dialect.above + 1, columns={f"c{i}": "VARCHAR" for i in range(width)},
            strict_mode=strict,
        )
        raw = table.select(**{column: table[i] for column, i in at.items()})
        return _checked(contract, raw, file, header, ordered=True)

    try:
        data, problems = read(strict=True)
    except duckdb.Error:
        fault = _first_fault(dialect, at, file)
        if fault:
            return None, [*header, fault]
        try:  # DuckDB is stricter than RFC 4180 asks, on mixed line ends for example.
            data, problems = read(strict=False)
        except duckdb.Error as error:
            lines = str(error).split("Possible")[0].strip().splitlines()
            reason = " ".join(dict.fromkeys((lines[0], lines[-1])))[:200]
            return None, [*header, Problem(file, f"must be a CSV file ({reason})")]
    rows = _spreadsheet_rows(dialect, {p.row for p in problems if p.row})
    return data, [replace(p, row=rows.get(p.row)) for p in problems]


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
