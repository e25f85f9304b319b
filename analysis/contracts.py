"""What each table must look like, and the errors that a person gets when it does not.

`CONTRACTS` is data: studies, their tables, their columns. Everything else here reads it: header
matching, the checks (Ibis expressions, so they run where the table is), the types that the analysis
sees, and the data dictionary `data/README.md` (`python -m analysis.contracts` prints it).
"""

import functools
import operator
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd

# ISO 3166-1 alpha-2, the officially assigned codes, and XK (user-assigned, in wide use for Kosovo).
COUNTRY_CODES = tuple(
    """AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ
    BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO
    DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU
    GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW
    KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU
    MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW
    PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT
    ZA ZM ZW""".split()
)

# Contract type -> the Ibis type that the analysis sees, and how an error names it.
TYPES = {
    "text": ("string", "text"),
    "whole number": ("int64", "a whole number"),
    "number": ("float64", "a finite number such as 1234.5"),
    "date": ("date", "an ISO date (YYYY-MM-DD)"),
    "timestamp": ("timestamp", "an ISO date and time (YYYY-MM-DD HH:MM:SS)"),
}


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: canonical name, as the analysis uses it.
        type: a key of `TYPES`.
        description: what it means, for the data dictionary.
        unit: unit of a measurement.
        nullable: whether a value may be missing (an empty CSV field).
        unique: whether no value may repeat.
        low, high: inclusive bounds.
        allowed: the only values.
        allowed_as: how an error and the dictionary name `allowed` where a list would be too long.
        aliases: other headers accepted.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = False
    unique: bool = False
    low: float | None = None
    high: float | None = None
    allowed: tuple = ()
    allowed_as: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """A rule over several columns of a row.

    Attributes:
        column: the column that an error names.
        text: what must hold.
        broken: where it does not, from the row's typed values by canonical name.
    """

    column: str
    text: str
    broken: Callable[[Mapping[str, ir.Value]], ir.BooleanValue]


@dataclass(frozen=True)
class TableContract:
    """A table: its columns, rules over several columns, and what one row is."""

    name: str
    row: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class StudyContract:
    """The tables of a study, and where the shipped ones come from."""

    tables: tuple[TableContract, ...]
    origin: str


CONTRACTS = {
    "engagement": StudyContract(
        origin=(
            "Calibrated to the published aggregates of an e-learning platform, Q4 2021 against "
            "Q4 2022: per plan and quarter the number of students, mean, sd, median and "
            "quartiles of the minutes watched after the values above the 99th percentile of the "
            "group are dropped; the same for the free plan's students from the US and from India "
            "in 2022; and, before trimming, for the students of both quarters who watched 1 to "
            "100 minutes in 2021. Everything else (the shape between those figures, the other "
            "countries, who returned) is chosen to be plausible; "
            "`analysis/simulate/engagement.py` says how."
        ),
        tables=(
            TableContract(
                name="students",
                row="one student who was on the platform in Q4 2021, in Q4 2022, or in both",
                columns=(
                    Column("student_id", "text", "Identifies the student", unique=True),
                    Column("student_country", "text", "Country of the student", nullable=True,
                           allowed=COUNTRY_CODES,
                           allowed_as="an ISO 3166-1 alpha-2 code in capitals, for example US"),
                    Column("paid", "whole number", "1 on a paid plan, 0 on the free plan",
                           allowed=(0, 1)),
                    Column("minutes_watched_21", "number",
                           "Watched in Q4 2021; missing: not on the platform in that quarter",
                           unit="minutes", nullable=True, low=0),
                    Column("minutes_watched_22", "number",
                           "Watched in Q4 2022; missing: not on the platform in that quarter",
                           unit="minutes", nullable=True, low=0),
                ),
            ),
        ),
    ),
}


@dataclass(frozen=True)
class Problem:
    """One broken rule in one column.

    Attributes:
        file: the file, or the table of a database.
        column: canonical name of the column; None: the whole table.
        row: first row at fault as a spreadsheet counts (the header is row 1); None where rows have
            no order (a database) or the rule is not about a row.
        value: the value there.
        rule: what must hold.
        count: how many rows are at fault.
    """

    file: str
    rule: str
    column: str | None = None
    row: int | None = None
    value: object = None
    count: int = 1

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
    text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


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


def typed(contract: TableContract, raw: ir.Table) -> ir.Table:
    """The table as the analysis sees it: the contract's columns, in its order, in its types."""
    return raw.select(**_values(contract, raw))


def _values(contract: TableContract, raw: ir.Table) -> dict[str, ir.Value]:
    """The columns in the contract's types; what cannot be converted is null."""
    return {c.name: _convert(c, raw[c.name]) for c in contract.columns if c.name in raw.columns}


def _convert(column: Column, value: ir.Value) -> ir.Value:
    cast = value.try_cast if value.type().is_string() else value.cast
    if column.type not in ("whole number", "number"):
        return cast(TYPES[column.type][0])
    number = cast("float64")
    usable = ~(number.isnan() | number.isinf())
    if value.type().is_string():  # some backends read 1_000 as a number, others do not
        usable &= ~value.contains("_")
    if column.type == "number":
        return usable.ifelse(number, ibis.null("float64"))
    usable &= (number % 1 == 0) & (number.abs() < 2**53)  # beyond, float64 skips whole numbers
    return usable.ifelse(number, ibis.null("float64")).cast("int64")


def _readable(column: Column, dtype: dt.DataType, can_parse: bool) -> bool:
    """Whether values of a column's type in the source can stand for the contract's type."""
    if dtype.is_string():
        return can_parse or column.type == "text"
    return {
        "text": dtype.is_integer() or dtype.is_uuid(),
        "whole number": dtype.is_numeric() or dtype.is_boolean(),
        "number": dtype.is_numeric(),
        "date": dtype.is_date() or dtype.is_timestamp(),
        "timestamp": dtype.is_date() or dtype.is_timestamp(),
    }[column.type]


def _allowed(column: Column) -> str:
    return column.allowed_as or "one of " + ", ".join(map(str, column.allowed))


def _range(column: Column) -> str:
    if column.low is not None and column.high is not None:
        return f"from {column.low:g} to {column.high:g}"
    return f"{column.low:g} or more" if column.high is None else f"{column.high:g} or less"


def _outside(column: Column, value: ir.Value) -> ir.BooleanValue:
    bounds = [value < column.low] if column.low is not None else []
    bounds += [value > column.high] if column.high is not None else []
    return functools.reduce(operator.or_, bounds)


def _row_rules(contract: TableContract, present: Iterable[str]) -> list[Rule]:
    """Every rule about single rows, for the columns present; `broken` takes the raw table."""
    rules = []

    def add(column: Column, text: str, broken: Callable[[ir.Value, ir.Value], ir.BooleanValue]):
        def on_table(raw):
            return broken(raw[column.name], _convert(column, raw[column.name]))

        rules.append(Rule(column.name, f"must {text}", on_table))

    for column in contract.columns:
        if column.name not in present:
            continue
        if not column.nullable:
            add(column, "not be empty", lambda raw, value: raw.isnull())
        if column.type != "text":
            add(column, f"be {TYPES[column.type][1]}",
                lambda raw, value: raw.notnull() & value.isnull())
        if column.low is not None or column.high is not None:
            add(column, f"be {_range(column)}", lambda raw, value, c=column: _outside(c, value))
        if column.allowed:
            add(column, f"be {_allowed(column)}",
                lambda raw, value, c=column: value.notin(c.allowed))
    if all(column.name in present for column in contract.columns):
        rules += [
            Rule(rule.column, rule.text, lambda raw, rule=rule: rule.broken(_values(contract, raw)))
            for rule in contract.rules
        ]
    return rules


def find_problems(
    contract: TableContract, raw: ir.Table, file: str, ordered: bool, can_parse: bool = True
) -> list[Problem]:
    """Check a table inside its backend.

    Args:
        contract: what the table must look like.
        raw: the columns found, under their canonical names, in the types of the source.
        file: how problems name the table.
        ordered: whether the rows have an order, so that a row can be named.
        can_parse: whether the backend can try to read text as a number or a date.

    Returns:
        One problem a broken rule, with its first row; rows are counted from 2 (the header is 1).
    """
    problems = [
        Problem(file, f"must be {TYPES[c.type][1]}; the column's type is {dtype}", c.name)
        for c in contract.columns
        if (dtype := raw.schema().get(c.name)) and not _readable(c, dtype, can_parse)
    ]
    raw = raw.drop(*(problem.column for problem in problems))
    rules = _row_rules(contract, raw.columns)
    unique = [c.name for c in contract.columns if c.unique and c.name in raw.columns]
    measures = {"rows": raw.count()}
    for i, rule in enumerate(rules):
        measures[f"rule{i}"] = rule.broken(raw).fill_null(False).sum()
    for i, name in enumerate(unique):
        measures[f"unique{i}"] = raw[name].count() - raw[name].nunique()
    counts = raw.aggregate(**measures).to_pyarrow().to_pylist()[0]
    if not counts["rows"]:
        return [*problems, Problem(file, "must have at least one row of data")]

    numbered = raw.mutate(_row=ibis.row_number().over() + 2 if ordered else ibis.null("int64"))
    for i, rule in enumerate(rules):
        if counts[f"rule{i}"]:
            at_fault = numbered.filter(rule.broken(numbered))
            problems.append(_first(at_fault, file, rule.column, rule.text, counts[f"rule{i}"]))
    for i, name in enumerate(unique):
        if counts[f"unique{i}"]:
            present = numbered.filter(numbered[name].notnull())
            seen = ibis.row_number().over(group_by=name, order_by="_row")
            at_fault = present.mutate(_seen=seen).filter(lambda t: t["_seen"] > 0)
            problems.append(_first(at_fault, file, name, "must not repeat", counts[f"unique{i}"]))
    return problems


def _first(at_fault: ir.Table, file: str, column: str, rule: str, count: int) -> Problem:
    row = at_fault.order_by("_row").limit(1).select("_row", column).to_pyarrow().to_pylist()[0]
    return Problem(file, rule, column, row["_row"], row[column], count)


def to_frame(problems: Sequence[Problem]) -> pd.DataFrame:
    """The problems as a table: file, column, row, value (quoted), rule, count of rows at fault."""
    columns = ["file", "column", "row", "value", "rule", "count"]
    frame = pd.DataFrame([asdict(problem) for problem in problems], columns=columns)
    frame["row"] = frame["row"].astype("Int64")
    frame["value"] = [problem.shown_value() for problem in problems]
    return frame


def data_dictionary() -> str:
    """The text of `data/README.md`."""
    parts = [_DICTIONARY_HEAD]
    for study, contract in CONTRACTS.items():
        parts.append(f"## {study}\n\n{contract.origin}\n")
        for table in contract.tables:
            parts.append(f"### {study}/{table.name}\n\nOne row: {table.row}.\n")
            columns = pd.DataFrame([_entry(column) for column in table.columns])
            parts.append(columns.to_markdown(index=False) + "\n")
            parts += [f"- `{rule.column}`: {rule.text}." for rule in table.rules]
    return "\n".join(parts)


def _entry(column: Column) -> dict[str, str]:
    limits = [_allowed(column)] if column.allowed else []
    limits += [_range(column)] if column.low is not None or column.high is not None else []
    limits += ["no repeats"] if column.unique else []
    return {
        "column": f"`{column.name}`",
        "type": column.type,
        "unit": column.unit,
        "may be missing": "yes" if column.nullable else "no",
        "rule": "; ".join(limits),
        "meaning": column.description,
        "other headers": ", ".join(f"`{alias}`" for alias in column.aliases),
    }


_DICTIONARY_HEAD = """\
# The shipped tables

**All data here is synthetic.** No row describes a real person or a real purchase. The tables are
made by `python -m analysis simulate STUDY`, which writes the same bytes every time; another
`--seed` makes another population of the same kind. This page is generated from
`analysis/contracts.py` (`python -m analysis.contracts > data/README.md`).

To use tables of your own, put them in a folder laid out like this one, `STUDY/TABLE.csv` or
`STUDY/TABLE.parquet`, or in a database as tables named `STUDY_TABLE`, and name it in `BOOK_DATA`.
`python -m analysis check` tells what in them does not fit.

- CSV: UTF-8 with a header row; separated by comma, semicolon, tab or `|`; ISO dates; an empty field
  is a missing value.
- The header match ignores case and the choice of space, `-` or `_`. The order of the columns does
  not matter, further columns are ignored.
"""

if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
