"""Tables with a fault: `check` names it, and nothing else; none passes, none is a traceback.

Every fault is put into small tables that fit (`small_tables.good`). A fault of a single row among
others is a warning where the book has a way to handle it, and an error where too many rows have it.
Faults in different tables, or columns, of a study are put into the same tables: each is named.
"""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest
import small_tables

from analysis import __main__ as cli
from analysis import sources
from analysis.contracts import CONTRACTS

NUMBER = "must be a finite number such as 1234.5"
WHOLE = "must be a whole number"
FLAG = "must be 0 or 1 (or no or yes, false or true)"
DATE = "must be an ISO date (YYYY-MM-DD)"
TIME = "must be an ISO date and time (YYYY-MM-DD HH:MM:SS)"
EMPTY = "must not be empty"
REPEAT = "must not repeat"
AGAIN = "must not be in a row that repeats another"
FEW = "at most 5% may"


@dataclass(frozen=True)
class Fault:
    """What is changed in a table, and the one line that `check` must print about it.

    `touches` tells what of the table is changed: a "cell", its "rows" or the whole "file".
    """

    study: str
    table: str
    change: object  # takes the rows, returns rows or the file's content
    column: str = ""
    row: int | str = ""
    value: object = ""
    rule: str = ""
    severity: str = "error"
    count: int = 1
    says: tuple[str, ...] = field(default=())
    touches: str = "file"


def cell(study, table, column, value, rule, at=6, shown=None, **more):
    """A fault of one value, in the file's row 8 unless another is named."""
    def change(rows):
        rows[at][column] = value
        return rows

    shown = (repr(value) if value != "" else "(empty)") if shown is None else shown
    return Fault(study, table, change, column, at + 2, shown, rule, touches="cell", **more)


def missing(study, table, column):
    """A column that is not there."""
    def change(rows):
        return [{name: value for name, value in row.items() if name != column} for row in rows]

    return Fault(study, table, change, column, rule="column is missing; the header has")


def again(study, table, column, rule, at=6, **more):
    """A row that stands there twice."""
    def change(rows):
        return [*rows, rows[at]]

    return Fault(study, table, change, column, rule=rule, touches="rows", **more)


def row(study, table, values, column, value, rule, at=6, severity="warning", **more):
    """A further row: the one at `at`, with other values; it comes last."""
    def change(rows):
        return [*rows, rows[at] | values]

    length = len(small_tables.good(study)[table])
    shown = repr(value) if value != "" else "(empty)"
    return Fault(study, table, change, column, length + 2, shown, rule, severity=severity,
                 touches="rows", **more)


def file(study, table, content, rule, column="", row="", value="", **more):
    """A file with content of its own."""
    return Fault(study, table, content, column, row, value, rule, **more)


def all_unknown(rows):
    return [row | {"uid": f"x{row['uid']}"} for row in rows]


CUSTOMERS, MOOC, NETFLIX, TRIALERS = "customers", "mooc", "netflix", "trialers"
FAULTS = {
    # engagement (tests/test_sources.py has many more of this table)
    "student twice": again("engagement", "students", "student_id", REPEAT, row=42, value="'6'"),
    "plan is a word": cell("engagement", "students", "paid", "gold", FLAG),
    "minutes negative": cell("engagement", "students", "minutes_watched_21", "-1",
                             "must be 0 or more"),
    "country of three letters": cell("engagement", "students", "student_country", "USA",
                                     "must be an ISO 3166-1 alpha-2 code"),
    "minutes with a unit": cell("engagement", "students", "minutes_watched_22", "12 min", NUMBER),
    "no students": file("engagement", "students", lambda rows: small_tables.text(rows[:1])
                        .splitlines()[0] + "\n", "must have at least one row of data"),
    "no minutes of 2022": missing("engagement", "students", "minutes_watched_22"),

    # customers
    "user twice": again(CUSTOMERS, "users", "uid", REPEAT, row=42, value="'u6'"),
    "user twice, spelled with space": row(CUSTOMERS, "users", {"uid": " u6 "}, "uid", " u6 ",
                                          REPEAT, severity="error"),
    "no user id": cell(CUSTOMERS, "users", "uid", "", EMPTY, at=39, says=(
        "warning", "must be a uid of users")),
    "day that is not there": cell(CUSTOMERS, "users", "reg_date", "2023-02-29", DATE),
    "day with the month in the middle or first": cell(CUSTOMERS, "users", "reg_date", "05/06/2024",
                                                      DATE),
    "day without a year": cell(CUSTOMERS, "users", "reg_date", "5 March", DATE),
    "day in the year 24": cell(CUSTOMERS, "users", "reg_date", "0024-03-01", DATE),
    "day as a number of a spreadsheet": cell(CUSTOMERS, "users", "reg_date", "45352", DATE),
    "no day of registration": cell(CUSTOMERS, "users", "reg_date", "", EMPTY),
    "device of another kind": cell(CUSTOMERS, "users", "device", "web",
                                   "must be one of and, iOS"),
    "gender of one letter more": cell(CUSTOMERS, "users", "gender", "FM",
                                      "must be one of F, M, other"),
    "country of two letters": cell(CUSTOMERS, "users", "country", "US",
                                   "must be an ISO 3166-1 alpha-3 code"),
    "no country": cell(CUSTOMERS, "users", "country", "", EMPTY),
    "age of 12": cell(CUSTOMERS, "users", "age", "12", "must be from 13 to 120"),
    "age of 121": cell(CUSTOMERS, "users", "age", "121", "must be from 13 to 120"),
    "age with half a year": cell(CUSTOMERS, "users", "age", "20.5", WHOLE),
    "price negative": cell(CUSTOMERS, "purchases", "price", "-199", "must be 0 or more", at=30),
    "price in dollars": cell(CUSTOMERS, "purchases", "price", "1.99", WHOLE, at=30),
    "price with a currency": cell(CUSTOMERS, "purchases", "price", "$199", WHOLE, at=30),
    "no price": cell(CUSTOMERS, "purchases", "price", "", EMPTY, at=30),
    "no sku": cell(CUSTOMERS, "purchases", "sku", "", EMPTY, at=30),
    "purchase of nobody known": row(CUSTOMERS, "purchases", {"uid": "ghost"}, "uid", "ghost",
                                    "must be a uid of users"),
    "purchases of nobody known": Fault(
        CUSTOMERS, "purchases", all_unknown, "uid", 2, "'xu1'", FEW, count=60,
        says=("warning", "must be in purchases too")),
    "purchase before registration": row(
        CUSTOMERS, "purchases", {"date": "2020-01-01 10:00:00"}, "date", "2020-01-01 10:00:00",
        "must not be before the user's reg_date"),
    "purchase twice in a second": again(CUSTOMERS, "purchases", "date", AGAIN, row=62,
                                        severity="warning"),
    "view without an answer": cell(CUSTOMERS, "paywall_views", "purchase", "", EMPTY),
    "view with purchase = 2": cell(CUSTOMERS, "paywall_views", "purchase", "2", FLAG),
    "sku without purchase": cell(CUSTOMERS, "paywall_views", "sku", "monthly",
                                 "must be there exactly when purchase = 1"),
    "price without purchase": cell(CUSTOMERS, "paywall_views", "price", "999",
                                   "must be there exactly when purchase = 1"),
    "purchase without price": cell(CUSTOMERS, "paywall_views", "price", "",
                                   "must be there exactly when purchase = 1", at=7,
                                   says=("warning", "must be in purchases too")),
    "hour 25": cell(CUSTOMERS, "paywall_views", "date", "2024-03-05 25:00:00", TIME),
    "purchase at a paywall only": row(
        CUSTOMERS, "paywall_views", {"price": 998}, "uid", "u7", "must be in purchases too", at=7),
    "group of another kind": cell(CUSTOMERS, "paywall_test", "group", "B",
                                  "must be one of control, test"),
    "assigned twice": again(CUSTOMERS, "paywall_test", "uid", REPEAT, row=42, value="'u6'"),
    "assigned, nobody known": row(CUSTOMERS, "paywall_test", {"uid": "ghost"}, "uid", "ghost",
                                  "must be a uid of users"),
    "release without a name": cell(CUSTOMERS, "releases", "name", "", EMPTY, at=0),
    "release of a month": cell(CUSTOMERS, "releases", "date", "2024-03", DATE, at=0),
    "planned group of another kind": cell(CUSTOMERS, "planned_split", "group", "B",
                                          "must be one of control, test", at=0),
    "planned shares of more than all": Fault(
        CUSTOMERS, "planned_split", lambda rows: [row | {"share": 0.6} for row in rows], "share", 2,
        "0.6", "must add up to 1, in one row for control and one for test", count=2,
        touches="rows"),
    "no table of the test": Fault(CUSTOMERS, "paywall_test", lambda rows: None,
                                  rule="file is missing (.csv or .parquet); the folder holds"),

    # mooc
    "rate above 100": cell(MOOC, "users", "video_completion_rate", "100.5",
                           "must be from 0 to 100"),
    "rate with a sign": cell(MOOC, "users", "video_completion_rate", "50%", NUMBER),
    "revenue negative": cell(MOOC, "users", "total_revenue", "-0.01", "must be 0 or more"),
    "half a course": cell(MOOC, "users", "total_courses_enrolled", "1.5", WHOLE),
    "quiz score above 100": cell(MOOC, "users", "quiz_score_average", "101",
                                 "must be from 0 to 100"),
    "event at noon": cell(MOOC, "events", "event_timestamp", "noon", TIME),
    "event of no kind": row(MOOC, "events", {"event_type": ""}, "event_type", "", EMPTY,
                            severity="error"),
    "enrolled in nothing": row(MOOC, "events", {"course_id": ""}, "course_id", "",
                               "must be there unless the event is signed_up", at=2,
                               severity="error"),
    "event of another kind": row(MOOC, "events", {"event_type": "looked"}, "event_type", "looked",
                                 "must be one of signed_up"),
    "event of nobody known": row(MOOC, "events", {"user_id": "ghost"}, "user_id", "ghost",
                                 "must be a user_id of users", at=0),
    "event in no course known": row(MOOC, "events", {"course_id": "c99"}, "course_id", "c99",
                                    "must be a course_id of courses", at=2),
    "event twice": again(MOOC, "events", "event_timestamp", AGAIN, severity="warning", row=81),
    "enrolled before sign-up": row(
        MOOC, "events", {"event_timestamp": "2024-02-01 10:00:00"}, "event_timestamp",
        "2024-02-01 10:00:00", "must not be before the user's sign-up", at=2),
    "course with two rows": again(MOOC, "courses", "course_id", REPEAT, row=42, value="'c6'"),
    "course without a title": cell(MOOC, "courses", "title", "", EMPTY),
    "course price in words": cell(MOOC, "courses", "price", "free", NUMBER),
    "order of nobody known": row(MOOC, "orders", {"order_id": "o99", "user_id": "ghost"},
                                 "user_id", "ghost", "must be a user_id of users"),
    "order of no course known": row(MOOC, "orders", {"course_id": "c99"}, "course_id", "c99",
                                    "must be a course_id of courses"),
    "order of two users": row(MOOC, "orders", {"user_id": "u1"}, "order_id", "o3",
                              "must be of one user", severity="error"),
    "order before sign-up": row(
        MOOC, "orders", {"order_timestamp": "2024-02-01 10:00:00"}, "order_timestamp",
        "2024-02-01 10:00:00", "must not be before the user's sign-up"),
    "order line twice": again(MOOC, "orders", "order_timestamp", AGAIN, severity="warning",
                              row=62),
    "amount negative": cell(MOOC, "orders", "amount", "-9.99", "must be 0 or more"),

    # netflix
    "subscriber twice": again(NETFLIX, "subscribers", "customer_id", REPEAT, row=42,
                              value="'C6'"),
    "churn unknown": cell(NETFLIX, "subscribers", "churned", "Maybe", FLAG),
    "paid sometimes": cell(NETFLIX, "subscribers", "payment_history", "Sometimes",
                           "must be one of On-Time, Delayed"),
    "satisfaction of 11": cell(NETFLIX, "subscribers", "satisfaction_score", "11",
                               "must be from 1 to 10"),
    "engagement of 0": cell(NETFLIX, "subscribers", "engagement_rate", "0",
                            "must be from 1 to 10"),
    "25 hours a day": cell(NETFLIX, "subscribers", "daily_watch_hours", "25",
                           "must be from 0 to 24"),
    "months negative": cell(NETFLIX, "subscribers", "subscription_months", "-1",
                            "must be 0 or more"),
    "no profile": cell(NETFLIX, "subscribers", "profiles", "0", "must be 1 or more"),
    "income with a comma": cell(NETFLIX, "subscribers", "monthly_income", "5,492", NUMBER),
    "income infinite": cell(NETFLIX, "subscribers", "monthly_income", "inf", NUMBER),
    "three offers": cell(NETFLIX, "subscribers", "promo_used", "3", FLAG),
    "no region": cell(NETFLIX, "subscribers", "region", " ", EMPTY),
    "age of 200": cell(NETFLIX, "subscribers", "age", "200", "must be from 0 to 120"),
    "not UTF-8": file(NETFLIX, "subscribers", lambda rows: small_tables.text(
        [*rows, rows[0] | {"customer_id": "Cx", "genre": "Comédie"}]).encode("latin-1"),
        "must be UTF-8 text; save the file as UTF-8", "genre", 42),
    "a field too many": file(NETFLIX, "subscribers", lambda rows: small_tables.text(rows) + "1,2\n",
                             "must have 16 fields like the header, not 2", row=42),
    "a quote that stays open": file(
        NETFLIX, "subscribers", lambda rows: small_tables.text(rows) + '"C99,1\n',
        "must close every quoted field", row=42),

    # trialers
    "customer in both cohorts": row(TRIALERS, "test_cohorts", {"cohort": "Control"}, "customer_id",
                                    "t6", REPEAT, severity="error"),
    "cohort of another kind": cell(TRIALERS, "test_cohorts", "cohort", "Placebo",
                                   "must be one of Test, Control"),
    "task 4": cell(TRIALERS, "product_activity", "task", "4", "must be from 1 to 3", says=(
        "warning", "must have been started")),
    "action of another kind": row(TRIALERS, "product_activity", {"action": "pause"}, "action",
                                  "pause", "must be one of start, complete", severity="error"),
    "clock of twelve hours": row(TRIALERS, "product_activity", {"timestamp": "2024-03-01 9:30 PM"},
                                 "timestamp", "2024-03-01 9:30 PM", TIME, severity="error"),
    "activity of nobody known": row(TRIALERS, "product_activity", {"customer_id": "ghost"},
                                    "customer_id", "ghost", "must be a customer_id of test_cohorts",
                                    at=0),
    "action twice": again(TRIALERS, "product_activity", "timestamp", AGAIN, severity="warning",
                          row=122),
    "completed before the start": row(
        TRIALERS, "product_activity", {"timestamp": "2024-03-01 01:00:00"}, "timestamp",
        "2024-03-01 01:00:00", "a task must not be completed before its start", at=1),
    "completed without a start": row(
        TRIALERS, "product_activity", {"customer_id": "t0"}, "task", 1,
        "a task completed must have been started", at=1),
    "task out of series": row(
        TRIALERS, "product_activity", {"task": 3}, "task", 3,
        "a task must not be started before the one before it is completed", at=0),
    "help before the start": row(
        TRIALERS, "help_activity", {"timestamp": "2024-03-01 01:00:00"}, "timestamp",
        "2024-03-01 01:00:00", "help must not be asked before the task's start", at=0),
    "channel of another kind": cell(TRIALERS, "help_activity", "channel", "FAX",
                                    "must be one of ARTICLE, VIDEO, CHATBOT, AGENT, OTHER"),
    "converted later, and not": cell(TRIALERS, "conversion", "converted_at", "2024-03-05",
                                     "must be empty unless converted = 1"),
    "planned share in percent": Fault(
        TRIALERS, "planned_split",
        lambda rows: [row | {"share": 100 * row["share"]} for row in rows], "share", 2, "'30.0'",
        "must be above 0 and below 1", count=2, touches="rows"),
    "planned share of everybody": cell(TRIALERS, "planned_split", "share", "1",
                                       "must be above 0 and below 1", at=1),
    "planned share in words": cell(TRIALERS, "planned_split", "share", "half", NUMBER, at=1),
    "planned shares of less than all": Fault(
        TRIALERS, "planned_split", lambda rows: [rows[0], rows[1] | {"share": 0.69}], "share", 2,
        "0.3", "must add up to 1, in one row for Test and one for Control", count=2,
        touches="rows"),
    "planned share of one cohort": Fault(
        TRIALERS, "planned_split", lambda rows: rows[:1], "share", 2, "0.3",
        "must add up to 1, in one row for Test and one for Control", touches="rows"),
    "planned share of a cohort twice": Fault(
        TRIALERS, "planned_split", lambda rows: [rows[1], rows[1] | {"share": 0.3}], "cohort", 3,
        "'Control'", REPEAT, touches="rows"),
    "decided twice": again(TRIALERS, "conversion", "customer_id", REPEAT, row=42, value="'t6'"),
    "no decision": Fault(TRIALERS, "conversion", lambda rows: rows[:-1],
                         rule="must have a row in conversion", severity="warning",
                         column="customer_id", row=41, value="'t39'", says=("test_cohorts",)),
    "no decisions": Fault(TRIALERS, "conversion", lambda rows: rows[:20], "customer_id", 22,
                          "'t20'", FEW, count=20, says=("test_cohorts",)),
}


def test_there_are_enough_faults_in_every_study():
    studies = [fault.study for fault in FAULTS.values()]
    assert len(studies) >= 60
    assert all(studies.count(study) >= 7 for study in set(studies)) and len(set(studies)) == 5


def apart(fault, other):
    """Whether two faults can be in the same tables without one hiding or changing the other.

    Tables are not compared with each other where one can't be read, and a rule about several
    columns sees the faults of all of them.
    """
    if fault.study != other.study or {"file"} & {fault.touches, other.touches}:
        return False
    if fault.says or other.says:
        return False
    if fault.table != other.table:
        return True
    (rules,) = [t.rules for t in CONTRACTS[fault.study].tables if t.name == fault.table]
    cells = fault.touches == other.touches == "cell"
    return cells and fault.column != other.column and not rules


def together():
    """The names of the faults that are put into the same tables."""
    runs = []
    for name, fault in FAULTS.items():
        fits = (run for run in runs if all(apart(fault, FAULTS[other]) for other in run))
        run = next(fits, None)
        if run is None:
            runs.append(run := [])
        run.append(name)
    return runs


@pytest.mark.parametrize("names", together(), ids="; ".join)
def test_faults_are_named(names, tmp_path, capsys):
    faults = [FAULTS[name] for name in names]
    study = faults[0].study
    tables = small_tables.good(study)
    for fault in faults:
        tables[fault.table] = fault.change(tables[fault.table])
    (tmp_path / study).mkdir()
    for name, changed in tables.items():
        path = tmp_path / study / f"{name}.csv"
        if isinstance(changed, bytes):
            path.write_bytes(changed)
        elif changed is not None:
            path.write_text(changed if isinstance(changed, str) else small_tables.text(changed))

    code = cli.main(["check", study, "--data", str(tmp_path)])
    out = capsys.readouterr().out
    assert code == (1 if any(fault.severity == "error" for fault in faults) else 0)
    lines = out[out.index("severity"):].splitlines()[2:]
    told = [line_of(fault, lines, tmp_path) for fault in faults]
    others = [line for line in lines if line not in told]
    assert len(set(told)) == len(faults) and len(lines) == len(told) + len(others)
    if len(says := faults[0].says) == 2:  # the same fault seen from another table
        assert others and all(other.split()[0] == says[0] for other in others)
        assert any(says[1] in other for other in others)
    else:
        assert not others or says, out


def line_of(fault, lines, folder):
    """The line that tells of a fault: severity, file, column, row, value, rule and count."""
    place = fault.says[0] if fault.says[:1] == ("test_cohorts",) else fault.table
    start = f"{fault.severity} ", str(folder / fault.study / place)
    (line,) = [
        line for line in lines if fault.rule in line
        and line.startswith(start[0]) and line.split()[1].removesuffix(".csv") == start[1]
        and f" {fault.column} " in line
    ]
    assert f" {fault.row} " in line
    assert str(fault.value) in line
    assert f" {fault.count} " in f"{line} "
    return line


@pytest.mark.parametrize("study", ["engagement", CUSTOMERS, MOOC, NETFLIX, TRIALERS])
def test_without_a_fault_nothing_is_said(study, tmp_path):
    small_tables.write(tmp_path, study, small_tables.good(study))
    tables, problems = sources.check_study(study, tmp_path)
    assert problems == []
    assert not tables.warnings


IDS = {"student_id", "uid", "user_id", "customer_id", "course_id", "order_id"}
NAMED_EACH = {"title", "name"}  # of courses and of releases
GROUPED = [
    (study, table.name, column.name)
    for study, contract in CONTRACTS.items() for table in contract.tables
    for column in table.columns
    if column.type == "text" and not column.allowed and column.name not in IDS | NAMED_EACH
]


@pytest.mark.parametrize("study", [CUSTOMERS, MOOC, NETFLIX])
def test_an_id_where_a_group_should_be_is_one_clear_error(study, tmp_path):
    """A hundred thousand values are refused at once, not tested and drawn for ever."""
    groups = 100_000 if study == NETFLIX else 1_001  # one more than may be
    tables, of_table = small_tables.good(study), {}
    for _, table, column in (entry for entry in GROUPED if entry[0] == study):
        of_table.setdefault(table, []).append(column)
        # A view without a purchase has no sku.
        tables[table] = [row for row in tables[table] if column != "sku" or row["sku"] != ""]
    small_tables.write(tmp_path, study, tables)
    for table, columns in of_table.items():
        path = tmp_path / study / f"{table}.csv"
        made = ", ".join(f"'{c} ' || row_number() over () as {c}" for c in columns)
        duckdb.sql(
            f"select * replace ({made}) "
            f"from read_csv('{path}', all_varchar = true), range({groups}) limit {groups}"
        ).write_parquet(str(path.with_suffix(".parquet")))
        path.unlink()
    _, problems = sources.check_study(study, tmp_path)
    rule = f"must have at most 1,000 different values; it has {groups:,}"
    told = {(Path(p.file).stem, p.column) for p in problems if p.rule == rule}
    assert told == {(table, column) for table, columns in of_table.items() for column in columns}
    assert all(p.severity == "error" for p in problems if p.rule == rule)


def test_as_many_groups_as_may_be(tmp_path):
    """The limit itself is allowed; one more is not."""
    row = small_tables.good("netflix")["subscribers"][0]
    for groups, told in ((1000, 0), (1001, 1)):
        rows = [row | {"customer_id": f"C{i}", "genre": f"G{i % groups}"} for i in range(2002)]
        small_tables.write(tmp_path, "netflix", {"subscribers": rows})
        _, problems = sources.check_study("netflix", tmp_path)
        assert len(problems) == told


@pytest.mark.parametrize("study", list(CONTRACTS))
def test_an_empty_table_is_one_clear_error(study, tmp_path):
    """Headers only, in all tables: every one is named, and nothing else is said."""
    names = []
    for table, rows in small_tables.good(study).items():
        path = tmp_path / study / f"{table}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(small_tables.text(rows).split("\n")[0] + "\n", encoding="utf-8")
        names.append(str(path))
    _, problems = sources.check_study(study, tmp_path)
    assert [(p.file, p.rule) for p in problems] == [
        (name, "must have at least one row of data") for name in names]
