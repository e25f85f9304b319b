"""Holds a study's tables against their contracts, in the backend where they are.

Everything that looks at rows is an Ibis expression. One pass over a table counts what breaks each
rule; only rules that are broken cost a second query, for the first row at fault.
"""

import datetime
import functools
import operator
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.contracts import (
    MOST_LEFT_OUT,
    TYPES,
    Column,
    CrossRule,
    StudyContract,
    TableContract,
    allowed_text,
    range_text,
    values_text,
)

# Character classes are spelled out: \d and its like are escaped differently by backends.
_NUMBER = "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$"
_DATE = "(1[89]|2[01])[0-9][0-9]-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
_TIME = "([01]?[0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]{1,9})?)?"
_ISO = f"^{_DATE}([T ]{_TIME})?$"
_ZONED = f"^({_DATE}[T ]{_TIME})[ ]?(Z|UTC|GMT|[+-][01][0-9](:?[0-5][0-9])?)$"
_OFFSET = "[0-9][ ]?([+-])([0-9][0-9]):?([0-9]*)$"
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_NAME = ("(JAN(?:UARY)?|FEB(?:RUARY)?|MAR(?:CH)?|APR(?:IL)?|MAY|JUNE?|JULY?|AUG(?:UST)?|"
         "SEPT?(?:EMBER)?|OCT(?:OBER)?|NOV(?:EMBER)?|DEC(?:EMBER)?)[.]?")
_YEAR = "((?:1[89]|2[01])[0-9][0-9])"
_DAY_FIRST = f"^([0-9]{{1,2}})[ -]{_NAME}[ -]{_YEAR}([ ]{_TIME})?$"
_MONTH_FIRST = f"^{_NAME}[ ]([0-9]{{1,2}}),?[ ]{_YEAR}([ ]{_TIME})?$"
_FLAGS = {"yes": 1, "no": 0, "y": 1, "n": 0, "true": 1, "false": 0, "t": 1, "f": 0}


@dataclass(frozen=True)
class Problem:
    """One broken rule in one column.

    Attributes:
        file: the file, or the table of a database.
        rule: what must hold.
        column: canonical name of the column; None: the whole table.
        row: first row at fault as a spreadsheet counts (the header is row 1); None where rows have
            no order (a database) or the rule is not about a row.
        value: the value there.
        count: how many rows are at fault.
        handling: what the book does with such rows: a warning. Empty: the table can't be used.
    """

    file: str
    rule: str
    column: str | None = None
    row: int | None = None
    value: object = None
    count: int = 1
    handling: str = ""

    @property
    def severity(self) -> str:
        """`"error"` or `"warning"`."""
        return "warning" if self.handling else "error"

    def shown_value(self) -> str | None:
        """The value at fault, safe to print; None where the rule is not about a value."""
        about_value = self.value is not None or (self.column and self.row)
        return show(self.value) if about_value else None

    def __str__(self) -> str:
        where = [self.file]
        where += [f"column {self.column}"] if self.column else []
        where += [f"row {self.row}"] if self.row else []
        where += [f"value {shown}"] if (shown := self.shown_value()) else []
        more = f" ({self.count:,} rows break this rule)" if self.count > 1 else ""
        return f"{', '.join(where)}: {self.rule}{more}"


class ContractError(Exception):
    """A table that breaks its contract.

    Attributes:
        problems: every broken rule, as far as the table could be read.
        hint: what shows them all.
    """

    def __init__(self, problems: Sequence[Problem], hint: str = ""):
        self.problems = tuple(problems)
        more = len(self.problems) - 1
        also = f"; {more} more problem{'s' if more > 1 else ''}" if more else ""
        super().__init__(f"{self.problems[0]}{also}{f'; {hint}' if hint else ''}")


def show(value: object) -> str:
    """A value from a table: quoted, escaped and cut, safe on one line of a terminal."""
    if value is None:
        return "(empty)"
    value = str(value) if isinstance(value, datetime.date) else value
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def to_frame(problems: Sequence[Problem]) -> pd.DataFrame:
    """The problems as a table: one row each, errors first, values quoted."""
    columns = ["severity", "file", "column", "row", "value", "rule", "count", "handling"]
    found = sorted(problems, key=lambda problem: problem.severity)
    records = [asdict(problem) | {"severity": problem.severity} for problem in found]
    frame = pd.DataFrame(records, columns=columns)
    frame["row"] = frame["row"].astype("Int64")
    frame["value"] = [problem.shown_value() for problem in found]
    return frame


def match_header(
    contract: TableContract, header: Sequence[str], file: str
) -> tuple[dict[str, int], list[Problem]]:
    """Find the contract's columns in a header, whatever the case and the choice of space, `-`, `_`.

    Returns:
        Position of each column found, by canonical name, and what is wrong with the header.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(header):
        positions.setdefault(_plain(name), []).append(position)
    found, problems = {}, []
    for column in contract.columns:
        names = dict.fromkeys(_plain(name) for name in (column.name, *column.aliases))
        at = [position for name in names for position in positions.get(name, ())]
        if len(at) == 1:
            found[column.name] = at[0]
            continue
        named = ", ".join(show(header[i]) for i in (at or range(min(len(header), 20))))
        rule = f"must be in the header once, not as {named}" if at else (
            f"column is missing; the header has {named or 'no names'}"
        )
        problems.append(Problem(file, rule, column.name))
    return found, problems


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()


def stage(contract: TableContract, raw: ir.Table, can_parse: bool = True) -> ir.Table:
    """Converts every value once: `raw` with a column beside each of the contract's, in its type.

    Args:
        contract: what the table must look like.
        raw: the columns found, under their canonical names, in the types of the source. Others stay
            as they are.
        can_parse: whether the backend can try to read text as a number or a date.

    Returns:
        `raw` and the converted columns; a value that can't be converted is null there. A column
        whose type in the source can't stand for the contract's has none.
    """
    columns = [c for c in contract.columns if c.name in raw.columns]
    readable = [c for c in columns if _readable(c, raw[c.name].type(), can_parse)]
    return raw.mutate(**{_converted(c.name): _convert(c, raw[c.name]) for c in readable})


def typed(contract: TableContract, staged: ir.Table) -> ir.Table:
    """The table as the analysis sees it: the contract's columns, in its types, and `_row`."""
    return staged.select(**_values(contract, staged), _row="_row")


def _converted(name: str) -> str:
    return f"{name} converted"


def _values(contract: TableContract, staged: ir.Table) -> dict[str, ir.Value]:
    """The converted columns by their canonical names."""
    # Cast, because columns come with finer types than the contract's: timestamp(6) for timestamp.
    return {
        c.name: staged[_converted(c.name)].cast(TYPES[c.type][0])
        for c in contract.columns if _converted(c.name) in staged.columns
    }


@ibis.udf.scalar.builtin(name="trim")
def _trim(text: str) -> str:
    """The text without the spaces around it.

    Every backend has it. `strip` of Ibis asks Spark to trim \\f and \\v, for which Spark takes the
    letters f and v.
    """


def _given(value: ir.Value) -> ir.Value:
    """A value of the source without the spaces around it; null where nothing is left."""
    return _trim(value).nullif("") if value.type().is_string() else value


def _convert(column: Column, value: ir.Value) -> ir.Value:
    value = _given(value)
    text = value.type().is_string()
    match column.type:
        case "text":
            return _spelled(column, value if text else value.cast("string"))
        case "date":
            return _moment(value).date() if text else value.cast("timestamp").date()
        case "timestamp":
            return _moment(value) if text else value.cast("timestamp")
        case "number":
            return _number(value)
        case "flag":
            number = _number(value)
            number = number.isin((0, 1)).ifelse(number, ibis.null("float64")).cast("int64")
            return ibis.coalesce(value.lower().cases(*_FLAGS.items()), number) if text else number
        case "whole number":
            number = _number(value)
            # Beyond 2**53 float64 skips whole numbers.
            whole = (number % 1 == 0) & (number.abs() < 2**53)
            return whole.ifelse(number, ibis.null("float64")).cast("int64")
    raise AssertionError(column.type)


def _spelled(column: Column, text: ir.StringValue) -> ir.StringValue:
    """Allowed values as the contract spells them; null where it has no such value."""
    if not column.allowed:
        return text
    if all(value == value.upper() for value in column.allowed):
        return text.upper().isin(column.allowed).ifelse(text.upper(), ibis.null("string"))
    return text.lower().cases(*((value.lower(), value) for value in column.allowed))


def _number(value: ir.Value) -> ir.FloatingValue:
    """Finite numbers; null for everything else."""
    if value.type().is_string():
        # Backends differ in what they take for a number: 1_000, 0x1F, 1d, Infinity.
        value = value.re_search(_NUMBER).ifelse(value, ibis.null("string")).try_cast("float64")
    else:
        value = value.cast("float64")
    # Everywhere NaN is above all numbers; `isinf` is not everywhere right.
    return (value.abs() <= sys.float_info.max).ifelse(value, ibis.null("float64"))


def _moment(text: ir.StringValue) -> ir.TimestampValue:
    """Dates and times that can mean one moment only, in UTC; null for everything else.

    Backends differ in what they take for a date and in what they do with a zone, so what they are
    given to cast is always `YYYY-MM-DD` or `YYYY-MM-DD HH:MM[:SS[.F]]`.
    """
    plain = text.re_search(_ISO)
    other = text.upper().replace("/", "-")

    def by_name(pattern: str, day: int, month: int) -> ir.StringValue:
        name = other.re_extract(pattern, month).left(3)
        number = name.cases(*((m, f"-{i:02}-") for i, m in enumerate(_MONTHS, start=1)))
        return (other.re_extract(pattern, 3) + number + other.re_extract(pattern, day)
                + other.re_extract(pattern, 4))

    local = ibis.cases(
        (other.re_search(_ISO), other),
        (other.re_search(_DAY_FIRST), by_name(_DAY_FIRST, 1, 2)),
        (other.re_search(_MONTH_FIRST), by_name(_MONTH_FIRST, 2, 1)),
    ).try_cast("timestamp")
    zoned = other.re_extract(_ZONED, 1).nullif("").try_cast("timestamp")
    sign = other.re_extract(_OFFSET, 1)
    hours = (sign + other.re_extract(_OFFSET, 2)).try_cast("int64").fill_null(0)
    minutes = (sign + other.re_extract(_OFFSET, 3)).try_cast("int64").fill_null(0)
    in_utc = zoned - (hours * 60 + minutes).as_interval("m")
    # Nearly all tables have the first, which costs least.
    return ibis.cases((plain, text.try_cast("timestamp")), else_=ibis.coalesce(local, in_utc))


def _readable(column: Column, dtype: dt.DataType, can_parse: bool) -> bool:
    """Whether values of a column's type in the source can stand for the contract's type."""
    if dtype.is_string():
        return can_parse or column.type == "text"
    return {
        "text": dtype.is_integer() or dtype.is_uuid(),
        "whole number": dtype.is_numeric() or dtype.is_boolean(),
        "flag": dtype.is_numeric() or dtype.is_boolean(),
        "number": dtype.is_numeric(),
        "date": dtype.is_date() or dtype.is_timestamp(),
        "timestamp": dtype.is_date() or dtype.is_timestamp(),
    }[column.type]


def _outside(column: Column, value: ir.Value) -> ir.BooleanValue:
    bounds = [value < column.low] if column.low is not None else []
    bounds += [value > column.high] if column.high is not None else []
    return functools.reduce(operator.or_, bounds)


def _row_rules(contract: TableContract, staged: ir.Table) -> list[tuple[str, str, ir.BooleanValue]]:
    """Every rule about single rows, for the columns present: column, text, where it is broken."""
    values, rules = _values(contract, staged), []
    for column in contract.columns:
        if column.name not in values:
            continue
        given, value = _given(staged[column.name]), values[column.name]
        broken = {}
        if not column.nullable:
            broken["not be empty"] = given.isnull()
        if column.type != "text" or column.allowed:
            text = allowed_text(column) if column.allowed else TYPES[column.type][1]
            broken[f"be {text}"] = given.notnull() & value.isnull()
        if column.low is not None or column.high is not None:
            broken[f"be {range_text(column)}"] = _outside(column, value)
        rules += [(column.name, f"must {text}", where) for text, where in broken.items()]
    if len(values) == len(contract.columns):
        rules += [(rule.column, rule.text, rule.broken(values)) for rule in contract.rules]
    return rules


def find_problems(contract: TableContract, staged: ir.Table, file: str) -> list[Problem]:
    """Check a table by itself, inside its backend.

    Args:
        contract: what the table must look like.
        staged: what `stage` made of it, with `_row`: the row that a problem names, null where rows
            have no order.
        file: how problems name the table.

    Returns:
        One problem a broken rule, with its first row.
    """
    problems = [
        Problem(file, f"must be {TYPES[c.type][1]}; the column's type is {staged[c.name].type()}",
                c.name)
        for c in contract.columns
        if c.name in staged.columns and _converted(c.name) not in staged.columns
    ]
    rules = _row_rules(contract, staged)
    values = _values(contract, staged)
    unique = [c.name for c in contract.columns if c.unique and c.name in values]
    named = [c for c in contract.columns if c.most_values and c.name in values]
    measures = {"rows": staged.count()}
    for i, (_column, _text, broken) in enumerate(rules):
        measures[f"rule{i}"] = broken.fill_null(False).sum()
    for i, name in enumerate(unique):
        measures[f"unique{i}"] = values[name].count() - values[name].nunique()
    for i, column in enumerate(named):
        measures[f"values{i}"] = values[column.name].nunique()
    counts = staged.aggregate(**measures).to_pyarrow().to_pylist()[0]
    if not counts["rows"]:
        return [*problems, Problem(file, "must have at least one row of data")]

    for i, (column, text, broken) in enumerate(rules):
        if counts[f"rule{i}"]:
            found = Problem(file, text, column, count=counts[f"rule{i}"])
            problems.append(_with_first(found, staged.filter(broken)))
    for i, name in enumerate(unique):
        if counts[f"unique{i}"]:
            seen = ibis.row_number().over(group_by=_converted(name), order_by="_row")
            at_fault = staged.filter(values[name].notnull()).mutate(_seen=seen)
            found = Problem(file, "must not repeat", name, count=counts[f"unique{i}"])
            problems.append(_with_first(found, at_fault.filter(_._seen > 0)))
    for i, column in enumerate(named):
        if counts[f"values{i}"] > column.most_values:
            rule = f"must have {values_text(column)}; it has {counts[f'values{i}']:,}"
            problems.append(Problem(file, rule, column.name))
    return problems


def _with_first(problem: Problem, at_fault: ir.Table) -> Problem:
    """The problem with its first row and the value there."""
    first = at_fault.order_by("_row").limit(1).select("_row", problem.column)
    row = first.to_pyarrow().to_pylist()[0]
    return replace(problem, row=row["_row"], value=row[problem.column])


def find_cross_problems(
    contract: StudyContract,
    tables: Mapping[str, ir.Table],
    files: Mapping[str, str],
    store: Callable[[ir.Table], ir.Table | None] | None = None,
) -> tuple[list[Problem], dict[str, ir.Table]]:
    """Check the tables of a study against each other, inside their backend.

    Args:
        contract: the study's.
        tables: all its tables by name, typed, each with `_row`; an optional one may be missing.
        files: how problems name each table.
        store: keeps the rows of an expression in the backend, where rows are numbered; gives None
            where there are none. Rows at fault are then found once, and left out by number. None:
            rows have no number; what is left out is worked out again at every use.

    Returns:
        One problem a broken rule, and the tables without the rows that the book leaves out.
    """
    whole, tables, problems = tables, dict(tables), []
    for rule in contract.cross_rules:
        if rule.table not in tables:  # an optional one
            continue
        at_fault, count = _at_fault(rule, tables, store)
        if not count:
            continue
        problem = Problem(files[rule.table], rule.text, rule.column, count=count)
        rows = whole[rule.table].count().to_pyarrow().as_py()
        problems.append(_with_first(_judged(rule, problem, rows), at_fault))
        if rule.kept and store is None:
            tables[rule.table] = rule.kept(tables)
        while rule.kept and store and count:
            tables[rule.table] = tables[rule.table].anti_join(at_fault, "_row")
            # A row may stand for several, as of rows that repeat each other three times.
            if at_fault.count().to_pyarrow().as_py() == count:
                break
            at_fault, count = _at_fault(rule, tables, store)
    return problems, tables


def _at_fault(
    rule: CrossRule, tables: Mapping[str, ir.Table],
    store: Callable[[ir.Table], ir.Table | None] | None,
) -> tuple[ir.Table | None, int]:
    """The rows that break a rule, None where `store` finds none, and how many they stand for."""
    rows = rule.at_fault(tables)
    stands_for = rows["_rows"] if "_rows" in rows.columns else ibis.literal(1)
    rows = rows.select("_row", rule.column, _rows=stands_for)
    rows = store(rows) if store else rows
    return rows, 0 if rows is None else rows["_rows"].sum().to_pyarrow().as_py() or 0


def _judged(rule: CrossRule, problem: Problem, rows: int) -> Problem:
    """An error where the book has no way to handle the rows, or would leave out too many."""
    if rule.kept and problem.count > MOST_LEFT_OUT * rows:
        share = f"{problem.count / rows:.0%} of the rows break this"
        return replace(problem, rule=f"{rule.text}; {share}, at most {MOST_LEFT_OUT:.0%} may")
    return replace(problem, handling=rule.handling)
