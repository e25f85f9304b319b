"""What each table must look like: `CONTRACTS`, a study's tables, columns and rules as data.

`analysis/checks.py` holds tables against it; `analysis/sources.py` hands out those that fit. The
data dictionary `data/README.md` is printed from here (`python -m analysis.contracts`).

A table that breaks a rule about a column or a row is an error. A row that breaks a rule between
rows or tables (`CrossRule`) is a warning where the book has a way to handle it, which the rule
names.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd
import pycountry
from ibis import _

# ISO 3166-1, and Kosovo's user-assigned code, which is in wide use.
COUNTRY_CODES = (*(country.alpha_2 for country in pycountry.countries), "XK")
COUNTRY_CODES_3 = (*(country.alpha_3 for country in pycountry.countries), "XKX")

# Contract type -> the Ibis type that the analysis sees, and how an error names it.
TYPES = {
    "text": ("string", "text"),
    "whole number": ("int64", "a whole number"),
    "number": ("float64", "a finite number such as 1234.5"),
    "flag": ("int64", "0 or 1 (or no or yes, false or true)"),
    "date": ("date", "an ISO date (YYYY-MM-DD)"),
    "timestamp": ("timestamp", "an ISO date and time (YYYY-MM-DD HH:MM:SS)"),
}

# How far the shares of a planned split may be from adding up to 1, since they may be rounded.
ROUNDED = 0.001

# Rows that the book leaves out are dirt up to this share of a table; more is a fault of the table.
MOST_LEFT_OUT = 0.05

Tables = Mapping[str, ir.Table]


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
        allowed: the only values; spelled in any case.
        allowed_as: how an error and the dictionary name `allowed` where a list would be too long.
        aliases: other headers accepted.
        most_values: how many different values it may hold at most.
    """

    name: str
    type: str
    description: str
    unit: str = ""
    nullable: bool = False
    unique: bool = False
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    allowed_as: str = ""
    aliases: tuple[str, ...] = ()
    most_values: int | None = None


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
class CrossRule:
    """A rule between the rows of a table, or between tables.

    The functions take the study's typed tables, each with a column `_row` (its row, null where rows
    have no order).

    Attributes:
        table, column: what an error or a warning names.
        text: what must hold.
        at_fault: the rows of `table` that break it, with at least `column` and `_row`. A column
            `_rows` says for how many rows a row stands.
        handling: what the book does with such rows. Empty: nothing, it is an error.
        kept: `table` without the rows at fault, where the book leaves them out. None: they stay.
            It is for backends where rows have no number; elsewhere they are left out by theirs.
    """

    table: str
    column: str
    text: str
    at_fault: Callable[[Tables], ir.Table]
    handling: str = ""
    kept: Callable[[Tables], ir.Table] | None = None


@dataclass(frozen=True)
class TableContract:
    """A table: its columns, rules over several columns, and what one row is.

    An optional table that is not there is an empty one to the analysis.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    rules: tuple[Rule, ...] = ()
    optional: bool = False


@dataclass(frozen=True)
class StudyContract:
    """The tables of a study, the rules between them, and where the shipped ones come from.

    The cross rules apply in their order: each sees the tables without what those before left out.
    One about an optional table applies where the table is there.
    """

    tables: tuple[TableContract, ...]
    origin: str
    cross_rules: tuple[CrossRule, ...] = ()


def _known(table: str, column: str, of: str, key: str) -> CrossRule:
    """Every `column` must be a `key` in the table `of`."""
    def unknown(tables: Tables) -> ir.Table:
        given = tables[table].filter(tables[table][column].notnull())
        return given.anti_join(tables[of], given[column] == tables[of][key])

    def kept(tables: Tables) -> ir.Table:
        rows = tables[table]
        known = tables[of].select(_key=key).distinct()
        joined = rows.left_join(known, rows[column] == known["_key"])
        fits = joined["_key"].notnull() | joined[column].isnull()
        return joined.filter(fits).select(rows.columns)

    return CrossRule(table, column, f"must be a {key} of {of}", unknown, "left out", kept)


def _not_repeated(table: str, column: str, only_with_time: bool = False) -> CrossRule:
    """No row may repeat another in every column; `column` holds the moment.

    Args:
        table: the table.
        column: a timestamp.
        only_with_time: a day alone does not tell a repeated row from a second purchase that day.
    """
    def has_time(rows: ir.Table) -> ir.BooleanValue:
        return rows[column] != rows[column].truncate("D")

    def repeats(tables: Tables) -> ir.Table:
        rows = tables[table]
        rows = rows.filter(has_time(rows)) if only_with_time else rows
        equal = rows.group_by([name for name in rows.columns if name != "_row"])
        copies = equal.aggregate(_row=_["_row"].max(), _rows=_.count() - 1)
        return copies.filter(copies["_rows"] > 0)

    def kept(tables: Tables) -> ir.Table:
        rows = tables[table]
        if only_with_time:
            return rows.filter(has_time(rows)).distinct().union(rows.filter(~has_time(rows)))
        return rows.distinct()

    text = "must not be in a row that repeats another" + (" to the second" * only_with_time)
    return CrossRule(table, column, text, repeats, "counted once", kept)


def _not_before_registration(table: str) -> CrossRule:
    """Customers do nothing before the day on which they register."""
    def with_day(tables: Tables) -> ir.Table:
        rows = tables[table]
        users = tables["users"].select(_uid="uid", _registered="reg_date").distinct(
            on="_uid", keep="first"
        )
        return rows.left_join(users, rows["uid"] == users["_uid"])

    def before(joined: ir.Table) -> ir.BooleanValue:
        return (joined["date"].date() < joined["_registered"]).fill_null(False)

    def at_fault(tables: Tables) -> ir.Table:
        joined = with_day(tables)
        return joined.filter(before(joined)).select(tables[table].columns)

    def kept(tables: Tables) -> ir.Table:
        joined = with_day(tables)
        return joined.filter(~before(joined)).select(tables[table].columns)

    text = "must not be before the user's reg_date"
    return CrossRule(table, "date", text, at_fault, "left out", kept)


def _planned_split(column: str, groups: tuple[str, str]) -> TableContract:
    """The table of how a randomised test was to be split between two groups, named in `column`."""
    return TableContract(
        name="planned_split",
        row=f"one {column} of the test, with the share of customers that it was to get",
        columns=(
            Column(column, "text", f"Which {column}", unique=True, allowed=groups),
            Column("share", "number", "Planned share of the test's customers, for example 0.5"),
        ),
        rules=(
            Rule("share", "must be above 0 and below 1",
                 lambda row: (row["share"] <= 0) | (row["share"] >= 1)),
        ),
        optional=True,
    )


def _whole_split(groups: tuple[str, str]) -> CrossRule:
    """A planned split must be that of all customers."""
    def at_fault(tables: Tables) -> ir.Table:
        rows = tables["planned_split"]
        # A share that is none, such as 30 for 30%, is at fault by itself.
        shares = rows["share"].count(where=(rows["share"] > 0) & (rows["share"] < 1))
        split = rows.aggregate(_groups=rows.count(), _shares=shares, _all=rows["share"].sum())
        whole = ((_["_all"] - 1).abs() <= ROUNDED) & (_["_groups"] == len(groups))
        return rows.cross_join(split).filter((_["_shares"] == _["_groups"]) & ~whole)

    text = f"must add up to 1, in one row for {groups[0]} and one for {groups[1]}"
    return CrossRule("planned_split", "share", text, at_fault)


def _paid_views_without_purchase(tables: Tables) -> ir.Table:
    views = tables["paywall_views"]
    same = [views[name] == tables["purchases"][name] for name in ("uid", "date", "sku", "price")]
    return views.filter(views["purchase"] == 1).anti_join(tables["purchases"], same)


def _orders_of_several_users(tables: Tables) -> ir.Table:
    orders = tables["orders"].group_by("order_id").aggregate(
        _row=_["_row"].max(), _users=_["user_id"].nunique()
    )
    return orders.filter(orders["_users"] > 1)


def _users_without_sign_up(tables: Tables) -> ir.Table:
    events = tables["events"]
    signed_up = events.filter(events["event_type"] == "signed_up")
    rows = events.anti_join(signed_up, "user_id")
    return rows.group_by("user_id").aggregate(_row=_["_row"].min(), _rows=_.count())


def _before_sign_up(table: str, column: str) -> Callable[[Tables], ir.Table]:
    def at_fault(tables: Tables) -> ir.Table:
        rows, events = tables[table], tables["events"]
        sign_ups = events.filter(events["event_type"] == "signed_up").group_by("user_id")
        sign_ups = sign_ups.aggregate(_signed_up=_["event_timestamp"].min())
        joined = rows.inner_join(sign_ups, "user_id")
        return joined.filter(joined[column] < joined["_signed_up"])

    return at_fault


def _completions(tables: Tables) -> ir.Table:
    """A row a user and course completed: first completion, first enrolment (null: none)."""
    events = tables["events"]
    enrolled = _["event_type"] == "enrolled_in_course"
    completed = _["event_type"] == "completed_course"
    pairs = events.filter(enrolled | completed).group_by("user_id", "course_id").aggregate(
        _enrolled=_["event_timestamp"].min(where=enrolled),
        event_timestamp=_["event_timestamp"].min(where=completed),
        _row=_["_row"].argmin(_["event_timestamp"], where=completed),
    )
    return pairs.filter(_["event_timestamp"].notnull())


def _first_actions(tables: Tables) -> ir.Table:
    """A row a customer and task: first start and first completion (null: none)."""
    started, completed = _["action"] == "start", _["action"] == "complete"
    return tables["product_activity"].group_by("customer_id", "task").aggregate(
        _started=_["timestamp"].min(where=started),
        timestamp=_["timestamp"].min(where=completed),
        _row=_["_row"].argmin(_["timestamp"], where=completed),
        _row_started=_["_row"].argmin(_["timestamp"], where=started),
    )


def _out_of_series(tables: Tables) -> ir.Table:
    tasks = _first_actions(tables).select(
        "customer_id", "task", timestamp="_started", _row="_row_started"
    )
    done = _first_actions(tables).select(
        _customer="customer_id", _next=_["task"] + 1, _completed="timestamp"
    )
    joined = tasks.left_join(
        done, [tasks["customer_id"] == done["_customer"], tasks["task"] == done["_next"]]
    )
    # Missing in the table, or later: both are out of series.
    late = joined["_completed"].isnull() | (joined["_completed"] > joined["timestamp"])
    return joined.filter((joined["task"] > 1) & joined["timestamp"].notnull() & late)


def _help_before_start(tables: Tables) -> ir.Table:
    asked = tables["help_activity"]
    starts = _first_actions(tables).select(_customer="customer_id", _task="task", _at="_started")
    joined = asked.inner_join(
        starts, [asked["customer_id"] == starts["_customer"], asked["task"] == starts["_task"]]
    )
    return joined.filter(joined["timestamp"] < joined["_at"])


def _without_conversion(tables: Tables) -> ir.Table:
    return tables["test_cohorts"].anti_join(tables["conversion"], "customer_id")


def _with_conversion(tables: Tables) -> ir.Table:
    return tables["test_cohorts"].semi_join(tables["conversion"], "customer_id")


COUNTRY_2 = {"allowed": COUNTRY_CODES,
             "allowed_as": "an ISO 3166-1 alpha-2 code, for example US"}
COUNTRY_3 = {"allowed": COUNTRY_CODES_3,
             "allowed_as": "an ISO 3166-1 alpha-3 code, for example USA"}
GROUPS_OF_TEST = ("control", "test")
COHORTS = ("Test", "Control")
CHANNELS = ("ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER")
# Of a column that names groups. What has more values names none that a decision could be about: it
# is an id, or a free text, and tests and tables of each value would never end.
GROUPS = {"most_values": 1000}
STAGES = ("signed_up", "enrolled_in_course", "completed_course")
NOT_ORDERED = "kept; the ordered funnel does not count it"

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
                           **COUNTRY_2),
                    Column("paid", "flag", "1 on a paid plan, 0 on the free plan"),
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
    "customers": StudyContract(
        origin=(
            "Nothing is published about such an app; the tables are made up so that the analyses "
            "have a truth to find: weekly and yearly seasons, a trend, a release that raises the "
            "conversion of a paywall view, users who differ by device, country and age, buyers of "
            "very different appetite, and a test of a new paywall of known effect. A few rows are "
            "dirty, as in a real export; `analysis/simulate/customers.py` says how many, and every "
            "true value."
        ),
        tables=(
            TableContract(
                name="users",
                row="one registered user of the app",
                columns=(
                    Column("uid", "text", "Identifies the user", unique=True),
                    Column("reg_date", "date", "Day of registration"),
                    Column("device", "text", "Android or iOS", allowed=("and", "iOS")),
                    Column("gender", "text", "As the user stated it", nullable=True,
                           allowed=("F", "M", "other")),
                    Column("country", "text", "Country of the user", **COUNTRY_3),
                    Column("age", "whole number", "Age at registration", unit="years",
                           nullable=True, low=13, high=120),
                ),
            ),
            TableContract(
                name="purchases",
                row="one purchase in the app, at a paywall or elsewhere",
                columns=(
                    Column("uid", "text", "Who bought"),
                    Column("date", "timestamp", "When; a day alone will do"),
                    Column("sku", "text", "What was bought", **GROUPS),
                    Column("price", "whole number", "Paid", unit="cents", low=0),
                ),
            ),
            TableContract(
                name="paywall_views",
                row="one time that a user saw a paywall",
                columns=(
                    Column("uid", "text", "Who saw it"),
                    Column("date", "timestamp", "When; a day alone will do"),
                    Column("purchase", "flag",
                           "1 if the user bought there; the purchase is in `purchases` too"),
                    Column("sku", "text", "What was bought", nullable=True, **GROUPS),
                    Column("price", "whole number", "Paid", unit="cents", nullable=True, low=0),
                ),
                rules=tuple(
                    Rule(name, "must be there exactly when purchase = 1",
                         lambda row, name=name: (row["purchase"] == 1) != row[name].notnull())
                    for name in ("sku", "price")
                ),
            ),
            TableContract(
                name="paywall_test",
                row="one user in the test of a new paywall",
                columns=(
                    Column("uid", "text", "Who", unique=True),
                    Column("group", "text", "Which paywall the user was to see",
                           allowed=GROUPS_OF_TEST),
                    Column("assigned_at", "timestamp",
                           "When the user was assigned; what follows is the outcome"),
                ),
            ),
            TableContract(
                name="releases",
                row="one release of the app whose effect is to be measured",
                columns=(
                    Column("date", "date", "First day with the release", unique=True,
                           most_values=50),
                    Column("name", "text", "What the release is called"),
                ),
                optional=True,
            ),
            _planned_split("group", GROUPS_OF_TEST),
        ),
        cross_rules=(
            *(_known(name, "uid", "users", "uid")
              for name in ("purchases", "paywall_views", "paywall_test")),
            *(_not_repeated(name, "date", only_with_time=True)
              for name in ("purchases", "paywall_views")),
            *(_not_before_registration(name) for name in ("purchases", "paywall_views")),
            CrossRule("paywall_views", "uid", "must be in purchases too where purchase = 1",
                      _paid_views_without_purchase,
                      "kept; it counts as a conversion, not as revenue"),
            _whole_split(GROUPS_OF_TEST),
        ),
    ),
    "mooc": StudyContract(
        origin=(
            "Nothing is published about such a platform but the columns; the tables are made up so "
            "that the analyses have a truth to find: a funnel by country and source, times to "
            "completion cut off by the end of the window, orders by a BG/NBD process with "
            "Gamma-Gamma values, pairs of courses bought together, cheaper courses that lead to "
            "dearer ones, and groups of learners. A few rows are dirty, as in a real export; "
            "`analysis/simulate/mooc.py` says how all of it is made."
        ),
        tables=(
            TableContract(
                name="users",
                row="one user of the platform, summed up",
                columns=(
                    Column("user_id", "text", "Identifies the user", unique=True),
                    Column("enrollment_date", "date",
                           "Day of the first enrolment; of a user without one, of the sign-up"),
                    Column("total_courses_enrolled", "whole number", "Courses enrolled in", low=0),
                    Column("total_revenue", "number", "Spent on courses", unit="currency", low=0),
                    Column("total_time_watched_minutes", "number", "Watched in all",
                           unit="minutes", low=0),
                    Column("video_completion_rate", "number",
                           "Videos completed, of those in the courses enrolled in",
                           unit="percent", low=0, high=100),
                    Column("quiz_score_average", "number", "Mean score in quizzes; missing: none",
                           unit="percent", nullable=True, low=0, high=100),
                    Column("user_occupation", "text", "Job or field of study", nullable=True,
                           **GROUPS),
                    Column("user_age_group", "text", "Age group, for example 25-34",
                           nullable=True, **GROUPS),
                    Column("referral_channel", "text", "How the user found the platform",
                           nullable=True, **GROUPS),
                    Column("user_country", "text", "Country of the user", nullable=True,
                           **COUNTRY_2),
                ),
            ),
            TableContract(
                name="events",
                row="one step of a user's way",
                columns=(
                    Column("user_id", "text", "Who"),
                    Column("event_timestamp", "timestamp", "When"),
                    Column("event_type", "text",
                           f"What: {', '.join(f'`{stage}`' for stage in STAGES)}, or another",
                           **GROUPS),
                    Column("course_id", "text", "In which course", nullable=True),
                    Column("user_country", "text", "Country of the user", nullable=True,
                           **COUNTRY_2),
                    Column("referral_source", "text", "How the user found the course",
                           nullable=True, **GROUPS),
                ),
                rules=(
                    Rule("course_id", "must be there unless the event is signed_up",
                         lambda row: row["event_type"].isin(STAGES[1:])
                         & row["course_id"].isnull()),
                ),
            ),
            TableContract(
                name="courses",
                row="one course",
                columns=(
                    Column("course_id", "text", "Identifies the course", unique=True),
                    Column("title", "text", "Its title"),
                    Column("category", "text", "Its category", **GROUPS),
                    Column("price", "number", "List price", unit="currency", low=0),
                ),
            ),
            TableContract(
                name="orders",
                row="one course in an order; courses bought together share `order_id`",
                columns=(
                    Column("order_id", "text", "Identifies the order"),
                    Column("user_id", "text", "Who ordered"),
                    Column("course_id", "text", "What"),
                    Column("order_timestamp", "timestamp", "When"),
                    Column("amount", "number", "Paid for the course", unit="currency", low=0),
                    Column("channel", "text", "Where it was sold", nullable=True, **GROUPS),
                ),
            ),
        ),
        cross_rules=(
            _known("events", "user_id", "users", "user_id"),
            _known("orders", "user_id", "users", "user_id"),
            _known("events", "course_id", "courses", "course_id"),
            _known("orders", "course_id", "courses", "course_id"),
            _not_repeated("events", "event_timestamp"),
            _not_repeated("orders", "order_timestamp"),
            CrossRule("orders", "order_id", "must be of one user", _orders_of_several_users),
            CrossRule("events", "event_type",
                      f"must be one of {', '.join(STAGES)} to count in the book's funnel",
                      lambda tables: tables["events"].filter(
                          _["event_type"].notin(STAGES)),
                      "kept, and counted by itself"),
            CrossRule("events", "user_id", "must have a signed_up event", _users_without_sign_up,
                      NOT_ORDERED),
            CrossRule("events", "event_timestamp", "must not be before the user's sign-up",
                      _before_sign_up("events", "event_timestamp"), NOT_ORDERED),
            CrossRule("orders", "order_timestamp", "must not be before the user's sign-up",
                      _before_sign_up("orders", "order_timestamp"), "kept"),
            CrossRule("events", "event_timestamp",
                      "a course must not be completed before the enrolment in it",
                      lambda tables: _completions(tables).filter(
                          _["event_timestamp"] < _["_enrolled"]), NOT_ORDERED),
            CrossRule("events", "course_id", "a course completed must have been enrolled in",
                      lambda tables: _completions(tables).filter(
                          _["_enrolled"].isnull()), NOT_ORDERED),
        ),
    ),
    "netflix": StudyContract(
        origin=(
            "Calibrated to the published figures of a dashboard on 3,500 subscribers of a video "
            "service: every count (genre, region, device, plan; churn by payment history and by "
            "offers) is exact, and every mean, sd and correlation rounds to what was printed. "
            "Churn follows a logistic model within the first 24 months. Chosen, because nothing "
            "published fixes them: how late payment depends on the months subscribed, the small "
            "effects of satisfaction and engagement, the shapes of the scores, and that all else "
            "is independent; `analysis/simulate/netflix.py` says how."
        ),
        tables=(
            TableContract(
                name="subscribers",
                row="one subscriber",
                columns=(
                    Column("customer_id", "text", "Identifies the subscriber", unique=True,
                           aliases=("Customer ID",)),
                    Column("subscription_months", "whole number", "How long subscribed so far",
                           unit="months", low=0, aliases=("Subscription Length (Months)",)),
                    Column("satisfaction_score", "number", "Satisfaction", unit="points", low=1,
                           high=10, aliases=("Customer Satisfaction Score (1-10)",)),
                    Column("daily_watch_hours", "number", "Watched a day", unit="hours", low=0,
                           high=24, aliases=("Daily Watch Time (Hours)",)),
                    Column("engagement_rate", "number", "Engagement", unit="points", low=1,
                           high=10, aliases=("Engagement Rate (1-10)",)),
                    Column("device", "text", "Device used most often",
                           aliases=("Device Used Most Often",), **GROUPS),
                    Column("genre", "text", "Genre preferred", aliases=("Genre Preference",),
                           **GROUPS),
                    Column("region", "text", "Region of the world", **GROUPS),
                    Column("payment_history", "text", "How the subscriber has paid",
                           allowed=("On-Time", "Delayed"),
                           aliases=("Payment History (On-Time/Delayed)",)),
                    Column("plan", "text", "Subscription plan", aliases=("Subscription Plan",),
                           **GROUPS),
                    Column("churned", "flag", "1 if the subscriber has left",
                           aliases=("Churn Status (Yes/No)", "Churn Status")),
                    Column("support_queries", "whole number", "Queries to the support", low=0,
                           aliases=("Support Queries Logged",)),
                    Column("age", "whole number", "Age", unit="years", low=0, high=120),
                    Column("monthly_income", "number", "Income a month", unit="dollars", low=0,
                           aliases=("Monthly Income ($)",)),
                    Column("promo_used", "flag", "1 if the subscriber has used a promotional offer",
                           aliases=("Promotional Offers Used",)),
                    Column("profiles", "whole number", "Profiles in the account", low=1,
                           aliases=("Number of Profiles Created",)),
                ),
            ),
        ),
    ),
    "trialers": StudyContract(
        origin=(
            "No results of the test are published; only its design is: one day, 30% test and 70% "
            "control, three tasks in series, help from Customer Success or elsewhere, 30 days to "
            "convert. Everything else is chosen: harder cases ask for help more and turn to "
            "Customer Success more, so that comparing those who did with those who did not "
            "misleads; the widget raises its use, its use raises completion, and each completion "
            "raises conversion, by known amounts. A few rows are dirty, as in a real export; "
            "`analysis/simulate/trialers.py` says how many, and every true effect."
        ),
        tables=(
            TableContract(
                name="test_cohorts",
                row="one customer who began a trial on the day of the test",
                columns=(
                    Column("customer_id", "text", "Identifies the customer", unique=True),
                    Column("cohort", "text", "Whether the customer could see the widget",
                           allowed=COHORTS),
                ),
            ),
            TableContract(
                name="product_activity",
                row="one start or completion of a task",
                columns=(
                    Column("customer_id", "text", "Who"),
                    Column("task", "whole number", "Which of the three tasks", low=1, high=3),
                    Column("action", "text", "What", allowed=("start", "complete")),
                    Column("timestamp", "timestamp", "When"),
                ),
            ),
            TableContract(
                name="help_activity",
                row="one time that the system saw a customer in trouble",
                columns=(
                    Column("customer_id", "text", "Who"),
                    Column("task", "whole number", "In which of the three tasks", low=1, high=3),
                    Column("timestamp", "timestamp", "When"),
                    Column("channel", "text",
                           "Help chosen; all but OTHER are Customer Success (CS)",
                           allowed=CHANNELS),
                ),
            ),
            TableContract(
                name="conversion",
                row="one customer's decision at the end of the trial",
                columns=(
                    Column("customer_id", "text", "Who", unique=True),
                    Column("converted", "flag", "1 if the customer subscribed"),
                    Column("converted_at", "timestamp", "When", nullable=True),
                ),
                rules=(
                    Rule("converted_at", "must be empty unless converted = 1",
                         lambda row: (row["converted"] == 0) & row["converted_at"].notnull()),
                ),
            ),
            _planned_split("cohort", COHORTS),
        ),
        cross_rules=(
            *(_known(name, "customer_id", "test_cohorts", "customer_id")
              for name in ("product_activity", "help_activity", "conversion")),
            *(_not_repeated(name, "timestamp") for name in ("product_activity", "help_activity")),
            CrossRule("test_cohorts", "customer_id", "must have a row in conversion",
                      _without_conversion, "left out", _with_conversion),
            CrossRule("product_activity", "timestamp",
                      "a task must not be completed before its start",
                      lambda tables: _first_actions(tables).filter(
                          _["timestamp"] < _["_started"]),
                      "kept; it counts as completed, without a time to complete"),
            CrossRule("product_activity", "task", "a task completed must have been started",
                      lambda tables: _first_actions(tables).filter(
                          _["timestamp"].notnull() & _["_started"].isnull()),
                      "kept; it counts as completed, without a time to complete"),
            CrossRule("product_activity", "task",
                      "a task must not be started before the one before it is completed",
                      _out_of_series, "kept"),
            CrossRule("help_activity", "timestamp",
                      "help must not be asked before the task's start",
                      _help_before_start, "kept"),
            _whole_split(COHORTS),
        ),
    ),
}


def allowed_text(column: Column) -> str:
    """How an error and the dictionary name the values allowed."""
    return column.allowed_as or "one of " + ", ".join(column.allowed)


def range_text(column: Column) -> str:
    """How an error and the dictionary name the bounds."""
    if column.low is not None and column.high is not None:
        return f"from {column.low:g} to {column.high:g}"
    return f"{column.low:g} or more" if column.high is None else f"{column.high:g} or less"


def limits(column: Column) -> list[str]:
    """What the dictionary says of a column's values beyond their type."""
    found = [allowed_text(column)] if column.allowed else []
    found += [range_text(column)] if column.low is not None or column.high is not None else []
    found += ["no repeats"] * column.unique
    return found + ([values_text(column)] if column.most_values else [])


def values_text(column: Column) -> str:
    """How an error and the dictionary name the most values."""
    return f"at most {column.most_values:,} different values"


def data_dictionary() -> str:
    """The text of `data/README.md`."""
    parts = [_DICTIONARY_HEAD]
    for study, contract in CONTRACTS.items():
        parts.append(f"## {study}\n\n{contract.origin}\n")
        for table in contract.tables:
            optional = " The table may be missing." * table.optional
            parts.append(f"### {study}/{table.name}\n\nOne row: {table.row}.{optional}\n")
            columns = pd.DataFrame([_entry(column) for column in table.columns])
            parts.append(columns.to_markdown(index=False) + "\n")
            if table.rules:
                parts.append("\n".join(f"- `{r.column}` {r.text}." for r in table.rules) + "\n")
        if contract.cross_rules:
            parts.append(f"### Between the rows and tables of {study}\n")
            parts.append(pd.DataFrame(map(_cross_entry, contract.cross_rules))
                         .to_markdown(index=False) + "\n")
    return "\n".join(parts)


def _entry(column: Column) -> dict[str, str]:
    return {
        "column": f"`{column.name}`",
        "type": column.type,
        "unit": column.unit,
        "may be missing": "yes" if column.nullable else "no",
        "rule": "; ".join(limits(column)),
        "meaning": column.description,
        "other headers": ", ".join(f"`{alias}`" for alias in column.aliases),
    }


def _cross_entry(rule: CrossRule) -> dict[str, str]:
    return {
        "column": f"`{rule.table}.{rule.column}`",
        "rule": rule.text,
        "rows that break it": rule.handling or "an error",
    }


_DICTIONARY_HEAD = f"""\
# The shipped tables

**All data here is synthetic.** No row describes a real person or a real purchase. The tables are
made by `python -m analysis simulate STUDY`, which writes the same bytes every time; another
`--seed` makes another population of the same kind. This page is generated from
`analysis/contracts.py` (`python -m analysis.contracts > data/README.md`).

To use tables of your own, put them in a folder laid out like this one, `STUDY/TABLE.csv` or
`STUDY/TABLE.parquet`, or in a database as tables named `STUDY_TABLE`, and name it in `BOOK_DATA`.
`python -m analysis check` tells what in them does not fit.

- CSV: UTF-8 with a header row; separated by comma, semicolon, tab or `|`. An empty field is a
  missing value; lines without any value are skipped.
- The header match ignores case and the choice of space, `-` or `_`. The order of the columns does
  not matter, further columns are ignored.
- Space around a value is ignored, and so is case where only certain values are allowed.
- Dates are ISO (`2024-03-05`, `2024-03-05 14:30:00`), or name the month (`5 Mar 2024`,
  `March 5, 2024`). `05/03/2024` is refused: it may mean May. A time with a zone
  (`2024-03-05T14:30:00+01:00`, `... UTC`) is turned into UTC.
- A table that breaks a rule about its columns is refused. Single rows at odds with other rows are
  reported as a warning and handled as said below; when more than {MOST_LEFT_OUT:.0%} of a table
  would be left out, the table is refused.
"""

if __name__ == "__main__":
    sys.stdout.write(data_dictionary())
