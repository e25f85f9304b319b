"""Courses and categories: what sells, what is taken up, what is completed, and what lags behind.

**Laggards.** A course that sells little may be dear, new, or one of a kind that few look for. So
units a day on sale are compared with what the other courses lead one to expect at its price and in
its category (`shrinkage.mixed`): a laggard sells at most half of that (`LAG`), even when the part
of its distance that chance makes is taken off, and is shown to sell less than expected (p
corrected over the courses compared with one another). Free courses earn
nothing by design: they are judged in the same way by enrolments, among themselves. What to do with
a laggard is decided by `decide`, a rule that can be read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from analysis.days import seconds
from analysis.mooc.durations import COMPLETED, ENROLLED
from analysis.mooc.reduce import collect, sales, whole
from analysis.stats import association, descriptive, shrinkage
from analysis.stats.effects import Effect
from analysis.stats.multiplicity import holm
from analysis.stats.shrinkage import Mixed

SEED = 5
COUNTS = ("units", "orders", "customers", "enrolments", "completions")

A_TO, B_TO = 0.80, 0.95  # cumulative shares of revenue that classes A and B reach
CLASSES = ("A", "B", "C")
STEADY = 0.9  # share of resamples in its class from which a course's class is said to be sure
RESAMPLES = 2_000
DRAWS = 4_000_000  # at most so many numbers are drawn: with thousands of courses fewer resamples

LAG = 0.5  # of what is expected
NEW_DAYS = 180  # on sale for less, a course is not judged
WORTH = 0.005  # of all revenue: a promotion that could win less at most is not worth its effort
LEAST_COURSES = 8  # to say what a course of a price and category is expected to sell
LEAST_FREE = 4  # free courses, to compare them with one another
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE

PROMOTE, RETIRE, KEEP, WAIT = "promote", "retire", "keep", "wait"

JUDGED = (
    "free", "units", "expected", "ratio", "ratio_low", "ratio_high", "p_value", "p_adjusted",
    "shrunk", "among",
    "completion", "completion_expected", "completion_low", "completion_high",
    "completion_finding", "went_on", "went_on_expected", "went_on_low", "went_on_high",
    "went_on_finding", "gain", "days_on_sale", "laggard", "decision",
)


@dataclass(frozen=True)
class Concentration:
    """How few courses the revenue comes from, of those with a price or with revenue.

    Attributes:
        courses: How many there are.
        top_20_share: Share of the revenue of the fifth with most revenue.
        gini: Of revenue between courses (0: all alike).
        to_a: Courses in class A.
        border: Courses whose class is not sure; see `STEADY`.
        curve: The Pareto curve: index `rank` (1: most revenue); `courses` (share of courses up to
            it) and `revenue` (share of revenue up to it), from 0 on.
    """

    courses: int
    top_20_share: float
    gini: float
    to_a: int
    border: int
    curve: pd.DataFrame


@dataclass(frozen=True)
class Shift:
    """Whether the mix of categories in the second half of the time with orders is another.

    Attributes:
        split: First day of the second half, ISO.
        units: Units in all.
        statistic, df, p_value: Chi-square test of equal shares of units; None where expected
            counts are too small for it (below 5 in more than a fifth of the cells, or below 1).
        cramers_v: Size of the difference, 0 to 1, bias-corrected, with its interval.
        categories: Index `category`; `first` and `second`: share of units in each half; `change`
            and its 95% limits, which hold for all categories together (Bonferroni), `low` and
            `high`.
    """

    split: str
    units: int
    statistic: float | None
    df: int
    p_value: float | None
    cramers_v: Effect
    categories: pd.DataFrame


@dataclass(frozen=True)
class Demand:
    """What courses with a price are expected to sell.

    Attributes:
        courses: Courses that the expectation rests on.
        elasticity, elasticity_low, elasticity_high: Percent more units at a list price 1% higher,
            between courses, with 95% limits; None where all prices are alike.
        between: Standard deviation of log units a day between courses of a price and category,
            beyond chance.
        between_categories: The same between categories.
        halves: Correlation of the deviations from what is expected in the first and in the second
            half of the time with orders; None where a half is too small.
        lowest, first, second: How many courses make the lowest fifth by the first half, and their
            mean log deviation in the first and in the second half; None likewise.
    """

    courses: int
    elasticity: float | None
    elasticity_low: float | None
    elasticity_high: float | None
    between: float
    between_categories: float
    halves: float | None
    lowest: int | None
    first: float | None
    second: float | None


@dataclass(frozen=True)
class Products:
    """Attributes:
        by_course: See `by_course`, with `revenue_share`, `abc` (class; "free" where neither price
            nor revenue), `same_class` (share of resamples in which it is in that class; missing for
            free ones) and `days_on_sale` (since its first order or enrolment; missing: had none).
        by_category: See `by_category`, with `revenue_share` and `unit_share`.
        concentration: None without any revenue.
        shift: None where orders have one day or one category only.
        demand: None with fewer than `LEAST_COURSES` courses to compare.
        judged: Courses compared with what is expected of them; see `judge`.
        untouched: Courses that nobody bought or enrolled in: how long they have been on sale, the
            tables don't say.
    """

    by_course: pd.DataFrame
    by_category: pd.DataFrame
    concentration: Concentration | None
    shift: Shift | None
    demand: Demand | None
    judged: pd.DataFrame
    untouched: int


def products(
    orders: ir.Table, events: ir.Table, courses: ir.Table, enrolled: pd.DataFrame, as_of: dt.date
) -> Products:
    """What is told of products.

    Args:
        orders: mooc/orders.
        events: mooc/events.
        courses: mooc/courses.
        enrolled: Index `course_id`; columns `enrolments` and `completions`.
        as_of: The day at whose end the study stands.
    """
    frame = by_course(orders, courses, enrolled)
    span = orders.agg(
        first=_.order_timestamp.date().min(), last=_.order_timestamp.date().max()
    ).to_pandas().iloc[0]
    first, last = (pd.Timestamp(span[end]).date() for end in ("first", "last"))
    split = first + dt.timedelta(days=((last - first).days + 1) // 2)
    frame = frame.join(collect(_history(orders, split), ("course_id",)))
    frame = whole(frame, ("late_units",)).assign(
        revenue_squares=frame.revenue_squares.fillna(0.0))
    frame = frame.join(collect(_starts(orders, events), ("course_id",)))
    frame = frame.join(collect(_went_on(orders, events), ("course_id",)))
    frame = whole(frame, ("takers", "went_on"))
    ages = pd.Timestamp(as_of) - pd.to_datetime(frame.pop("start")).astype("datetime64[s]")
    frame["days_on_sale"] = ages.dt.days + 1.0

    total = float(frame.revenue.sum())
    frame["revenue_share"] = frame.revenue / total if total > 0 else 0.0
    classes, same = abc(frame)
    frame = frame.assign(abc=classes, same_class=same)
    demand, judged = judge(frame, split, first, last)
    categories = by_category(orders, courses, frame)
    units = int(categories.units.sum())
    return Products(
        by_course=frame,
        by_category=categories.assign(
            revenue_share=categories.revenue / total if total > 0 else 0.0,
            unit_share=categories.units / units,
        ),
        concentration=_concentration(frame),
        shift=_shift(frame, split) if split <= last and first < last else None,
        demand=demand,
        judged=judged,
        untouched=int((frame.takers == 0).sum()),
    )


def by_course(orders: ir.Table, courses: ir.Table, enrolled: pd.DataFrame) -> pd.DataFrame:
    """Every course, sold or not.

    Args:
        orders: mooc/orders.
        courses: mooc/courses.
        enrolled: Index `course_id`; columns `enrolments` and `completions`.

    Returns:
        Index `course_id`; columns `title`, `category`, `price`, `revenue` (currency), `units`,
        `orders`, `customers`, `enrolments` and `completions`.
    """
    listed = collect(courses.select("course_id", "title", "category", "price"), ("course_id",))
    sold = collect(sales(orders, ("course_id",)), ("course_id",))
    frame = whole(listed.join(sold).join(enrolled), COUNTS)
    return frame.assign(revenue=frame.revenue.fillna(0.0))


def by_category(orders: ir.Table, courses: ir.Table, products: pd.DataFrame) -> pd.DataFrame:
    """Every category, sold or not; orders and customers are distinct in it.

    Args:
        orders: mooc/orders.
        courses: mooc/courses.
        products: From `by_course`.

    Returns:
        Index `category`; columns `courses`, `revenue`, `units`, `orders`, `customers`,
        `enrolments` and `completions`.
    """
    summed = products.groupby("category").agg(
        courses=("price", "size"), enrolments=("enrolments", "sum"),
        completions=("completions", "sum"),
    )
    sold = collect(sales(with_courses(orders, courses), ("category",)), ("category",))
    frame = whole(summed.join(sold), COUNTS)
    order = ["courses", "revenue", "units", "orders", "customers", "enrolments", "completions"]
    return frame.assign(revenue=frame.revenue.fillna(0.0))[order]


def with_courses(orders: ir.Table, courses: ir.Table) -> ir.Table:
    """Orders with the category of the course."""
    return orders.join(courses.select("course_id", "category"), "course_id")


def _history(orders: ir.Table, split: dt.date) -> ir.Table:
    """By course: units from a day on, and the sum of the squared revenue of each customer."""
    late = _.order_timestamp.date() >= ibis.literal(split)
    customer = orders.group_by("course_id", "user_id").agg(
        revenue=_.amount.cast("float64").sum(), late_units=late.ifelse(1, 0).sum()
    )
    return customer.group_by("course_id").agg(
        revenue_squares=(_.revenue * _.revenue).sum(), late_units=_.late_units.sum()
    )


def _touches(orders: ir.Table, events: ir.Table) -> ir.Table:
    """Who came to have which course when (to the second): enrolments, and orders."""
    bought = orders.select("user_id", "course_id", moment=seconds(_.order_timestamp))
    enrolled = events.filter(_.event_type == ENROLLED, _.course_id.notnull())
    return bought.union(
        enrolled.select("user_id", "course_id", moment=seconds(_.event_timestamp))
    )


def _starts(orders: ir.Table, events: ir.Table) -> ir.Table:
    """By course: the first day of anything about it (`start`)."""
    seen = events.filter(_.event_type.isin([ENROLLED, COMPLETED]), _.course_id.notnull())
    days = orders.select("course_id", day=_.order_timestamp.date()).union(
        seen.select("course_id", day=_.event_timestamp.date())
    )
    return days.group_by("course_id").agg(start=_.day.min())


def _went_on(orders: ir.Table, events: ir.Table) -> ir.Table:
    """By course: `takers` (users who bought it or enrolled), and those who later bought something.

    Later is after the first moment that a user had the course.
    """
    last = orders.group_by("user_id").agg(last=seconds(_.order_timestamp).max())
    had = _touches(orders, events).group_by("user_id", "course_id").agg(first=_.moment.min())
    had = had.left_join(last, "user_id").select("course_id", "first", "last")
    return had.group_by("course_id").agg(
        takers=_.count(), went_on=_.count(where=_.last > _.first)
    )


def abc(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Class of each course by its place in the revenue, and how steady it is.

    Courses in order of revenue: those up to the one that reaches 80% of it are A, up to the one
    that reaches 95% B, the others C. The steadiness answers: would other customers like these have
    put it in the same class? Each course's revenue is drawn again from a gamma distribution with
    its mean and the variance that a Poisson number of customers gives (the sum of the squares of
    what each paid; Hanley & MacGibbon 2006, "Poisson bootstrap"), independently of the others.

    Args:
        frame: Columns `price`, `revenue` and `revenue_squares`.

    Returns:
        `abc` ("A", "B", "C" or "free": neither price nor revenue), and the share of resamples in
        which a course has its class (missing for free ones; all missing without any revenue).
    """
    sold = frame[(frame.price > 0) | (frame.revenue > 0)].sort_index()
    classes = pd.Series("free", frame.index, dtype=object)
    same = pd.Series(np.nan, frame.index)
    if sold.empty:
        return classes, same
    revenue, squares = sold.revenue.to_numpy(), sold.revenue_squares.to_numpy()
    if not revenue.sum() > 0:
        classes[sold.index] = "C"
        return classes, same
    found = _class_numbers(revenue[None, :])[0]
    classes[sold.index] = np.array(CLASSES, dtype=object)[found]
    rng = np.random.default_rng(SEED)
    earning = revenue > 0
    shape = revenue[earning] ** 2 / squares[earning]
    draws = int(np.clip(DRAWS // max(len(sold), 1), 100, RESAMPLES))
    agreed = np.zeros(len(sold))
    for start in range(0, draws, 100):
        rows = min(100, draws - start)
        drawn = np.zeros((rows, len(sold)))
        drawn[:, earning] = rng.gamma(shape, size=(rows, earning.sum())) * (
            revenue[earning] / shape)
        agreed += (_class_numbers(drawn) == found).sum(axis=0)
    same[sold.index] = agreed / draws
    return classes, same


def _class_numbers(revenue: np.ndarray) -> np.ndarray:
    """0, 1 or 2 for A, B or C; a row is a catalogue. What earns nothing is C."""
    order = np.argsort(-revenue, axis=1, kind="stable")
    ranked = np.take_along_axis(revenue, order, axis=1)
    total = ranked.sum(axis=1, keepdims=True)
    total[total == 0] = 1  # where nothing earns, all are C
    before = (np.cumsum(ranked, axis=1) - ranked) / total  # reached without it
    # Sums of shares are off by rounding in the last place.
    number = (before >= A_TO - 1e-12).astype(int) + (before >= B_TO - 1e-12)
    number[ranked <= 0] = 2
    out = np.empty_like(number)
    np.put_along_axis(out, order, number, axis=1)
    return out


def _concentration(frame: pd.DataFrame) -> Concentration | None:
    sold = frame[frame.abc != "free"]
    if not sold.revenue.sum() > 0:
        return None
    ranked = sold.revenue.sort_values(ascending=False, kind="stable").to_numpy()
    place = np.arange(len(ranked) + 1)
    shares = np.concatenate([[0.0], np.cumsum(ranked) / ranked.sum()])
    # Thousands of courses make no better curve than hundreds.
    kept = np.unique(np.linspace(0, len(ranked), min(len(ranked), 200) + 1).round().astype(int))
    return Concentration(
        courses=len(sold),
        top_20_share=descriptive.top_share(ranked, 0.2),
        gini=descriptive.gini(ranked),
        to_a=int((sold.abc == "A").sum()),
        border=int((sold.same_class < STEADY).sum()),
        curve=pd.DataFrame({
            "rank": place[kept], "courses": place[kept] / len(ranked), "revenue": shares[kept],
        }).set_index("rank"),
    )


def _shift(frame: pd.DataFrame, split: dt.date) -> Shift | None:
    halves = frame.assign(early=frame.units - frame.late_units).groupby("category")[
        ["early", "late_units"]].sum()
    halves = halves[halves.sum(axis=1) > 0]
    totals = halves.sum()
    if len(halves) < 2 or (totals == 0).any():
        return None
    table = halves.to_numpy().T
    found = association.association(table, confidence=CONFIDENCE, seed=SEED)
    shares = halves / totals
    error = np.sqrt((shares * (1 - shares) / totals).sum(axis=1))
    margin = stats.norm.isf((1 - CONFIDENCE) / 2 / len(halves)) * error
    change = shares.late_units - shares.early
    return Shift(
        split=split.isoformat(),
        units=int(table.sum()),
        statistic=found.statistic if found.rule_holds else None,
        df=found.df,
        p_value=found.p_value if found.rule_holds else None,
        cramers_v=found.effect,
        categories=pd.DataFrame({
            "first": shares.early, "second": shares.late_units, "change": change,
            "low": change - margin, "high": change + margin,
        }),
    )


def judge(
    frame: pd.DataFrame, split: dt.date, first: dt.date, last: dt.date
) -> tuple[Demand | None, pd.DataFrame]:
    """Courses against what is expected of them.

    Three comparisons, each with what the other courses say (`shrinkage.mixed`, log or logit scale,
    half a count added; courses with a price: by the logarithm of the list price and the category;
    free ones: with one another):

    - demand: units a day on sale (free courses: enrolments);
    - completion: share of the enrolments completed so far;
    - going on: share of the takers who bought something later.

    Returns:
        The model of demand of the courses with a price; and a frame with index `course_id`:
        `free`, `units` (free: enrolments), `expected` (as many days at what is expected), `ratio`
        of both with 95% limits `ratio_low` and `ratio_high` (how the course's true demand compares
        to an average one of its kind), `p_value` of a ratio of 1 and `p_adjusted` (Holm over
        the courses compared with one another), `shrunk` (the ratio without the part that chance
        makes), `among` (probability that a course of its kind sells as little or less),
        `completion`, `completion_expected`, `completion_low`, `completion_high` (95% limits of the
        course's own true share), `completion_finding` (1: above what is expected, -1: below, 0:
        not shown), `went_on`, `went_on_expected`, `went_on_finding` likewise, `gain` (revenue if it
        sold what is expected and each unit brought what it does, less what it earns: at most to be
        won), `laggard` and `decision` (see `decide`; "" for those that don't lag).
    """
    sold = (frame.units > 0) | (frame.enrolments > 0)
    free = frame.abc == "free"
    total = float(frame.revenue.sum())
    paid, given = (
        frame[sold & kind & frame.days_on_sale.notna()] for kind in (~free, free)
    )
    parts = []
    demand = None
    for rows, count, least, design, groups in (
        (paid, "units", LEAST_COURSES, _price_design(paid), paid.category),
        (given, "enrolments", LEAST_FREE, np.ones((len(given), 1)), None),
    ):
        # A course that has not been on sale for long tells little about others.
        if len(rows) < max(least, design.shape[1] + 2):
            continue
        part, model = _compared(rows, count, design, groups)
        parts.append(part.assign(free=count == "enrolments"))
        if count == "units":
            demand = _demand(rows, model, design, groups, split, first, last)
    if parts:
        judged = pd.concat(parts).sort_index()
        each = frame.revenue.reindex(judged.index) / judged.units.where(judged.units > 0)
        judged["gain"] = ((judged.expected - judged.units) * each).clip(lower=0).fillna(0.0)
        judged.loc[judged.free, "gain"] = 0.0
        judged["days_on_sale"] = frame.days_on_sale.reindex(judged.index)
        judged["laggard"] = (judged.shrunk <= LAG) & (judged.ratio < 1) & (
            judged.p_adjusted <= ALPHA)
        judged["decision"] = [decide(row, total) for row in judged.itertuples()]
        judged = judged[list(JUDGED)]
    else:
        judged = pd.DataFrame(columns=list(JUDGED), index=pd.Index([], name="course_id"))
    return demand, judged


def _price_design(rows: pd.DataFrame) -> np.ndarray:
    """A constant and the logarithm of the list price, where it varies.

    Of a course that lists no price, but was paid for: of what was paid on average.
    """
    one = np.ones(len(rows))
    price = rows.price.astype(float).where(rows.price > 0, rows.revenue / rows.units)
    if price.nunique() < 3:
        return one[:, None]
    log = np.log(price.to_numpy(dtype=float))
    return np.column_stack([one, log - log.mean()])


def _log_rate(count: pd.Series, days: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """log of counts a day, and its sampling variance where counts are Poisson."""
    more = count.to_numpy(dtype=float) + 0.5
    return np.log(more / days.to_numpy(dtype=float)), 1 / more


def _logit(yes: pd.Series, n: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Empirical logit and its sampling variance (Haldane 1956; Anscombe 1956)."""
    a = yes.to_numpy(dtype=float) + 0.5
    b = n.to_numpy(dtype=float) - yes.to_numpy(dtype=float) + 0.5
    return np.log(a / b), 1 / a + 1 / b


def _compared(rows, count, design, groups) -> tuple[pd.DataFrame, Mixed]:
    y, v = _log_rate(rows[count], rows.days_on_sale)
    model = shrinkage.mixed(y, v, design, groups)
    t = stats.t.isf((1 - CONFIDENCE) / 2, model.items - design.shape[1])
    expected = np.exp(model.expected) * rows.days_on_sale
    frame = pd.DataFrame({
        "units": rows[count],
        "expected": expected,
        "ratio": np.exp(model.deviation),
        "ratio_low": np.exp(model.deviation - t * model.deviation_se),
        "ratio_high": np.exp(model.deviation + t * model.deviation_se),
        "p_value": 2 * stats.t.sf(np.abs(model.deviation / model.deviation_se),
                                  model.items - design.shape[1]),
        "shrunk": np.exp(model.shrunk),
        "among": stats.t.cdf(model.deviation / model.prediction_se,
                             model.items - design.shape[1]),
    }, index=rows.index)
    frame["p_adjusted"] = holm(frame.p_value)
    for name, yes, n in (("completion", rows.completions, rows.enrolments),
                         ("went_on", rows.went_on, rows.takers)):
        y, v = _logit(yes, n)
        other = shrinkage.mixed(y, v, design, groups)
        low, high = (other.deviation + sign * t * other.deviation_se for sign in (-1, 1))
        frame[name] = yes / n.where(n > 0)
        frame[f"{name}_expected"] = 1 / (1 + np.exp(-other.expected))
        frame[f"{name}_low"], frame[f"{name}_high"] = (
            1 / (1 + np.exp(-(other.expected + end))) for end in (low, high)
        )
        frame[f"{name}_finding"] = (low > 0).astype(int) - (high < 0).astype(int)
    return frame, model


def decide(course, revenue: float) -> str:
    """What to do with a laggard. The first that holds:

    1. on sale for less than `NEW_DAYS` days: wait;
    2. those who take it complete it less often than expected: retire (or repair) it;
    3. those who take it go on to buy more often than expected: keep it, it earns elsewhere;
    4. free, or a promotion could win more than `WORTH` of all revenue: promote it;
    5. retire it: there is too little to win.

    Args:
        course: A row of what `judge` returns; only one that lags gets a decision.
        revenue: Of all courses.
    """
    if not course.laggard:
        return ""
    if course.days_on_sale < NEW_DAYS:
        return WAIT
    if course.completion_finding < 0:
        return RETIRE
    if course.went_on_finding > 0:
        return KEEP
    return PROMOTE if course.free or course.gain >= WORTH * revenue else RETIRE


def _demand(rows, model: Mixed, design, groups, split, first, last) -> Demand:
    slope = design.shape[1] > 1
    t = stats.t.isf((1 - CONFIDENCE) / 2, model.items - design.shape[1])
    margin = t * model.standard_errors[-1]
    return Demand(
        courses=model.items,
        elasticity=float(model.coefficients[1]) if slope else None,
        elasticity_low=float(model.coefficients[1] - margin) if slope else None,
        elasticity_high=float(model.coefficients[1] + margin) if slope else None,
        between=model.between,
        between_categories=model.between_groups,
        **_halves(rows, design, groups, split, first, last),
    )


def _halves(rows, design, groups, split, first, last) -> dict:
    """Whether the courses that fell short in the first half did so in the second."""
    none = dict.fromkeys(("halves", "lowest", "first", "second"))
    late = rows.late_units
    early = rows.units - late
    if min(early.sum(), late.sum()) < 10 * len(rows):
        return none
    deviations = []
    for count, days in ((early, (split - first).days), (late, (last - split).days + 1)):
        y, v = _log_rate(count, pd.Series(float(max(days, 1)), rows.index))
        deviations.append(shrinkage.mixed(y, v, design, groups).deviation)
    one, two = deviations
    lowest = max(1, len(rows) // 5)
    worst = np.argsort(one, kind="stable")[:lowest]
    return {
        "halves": float(np.corrcoef(one, two)[0, 1]),
        "lowest": lowest,
        "first": float(one[worst].mean()),
        "second": float(two[worst].mean()),
    }
