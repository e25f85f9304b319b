"""The claims of the MOOC project: what each column and each analysis is said to be good for.

The project has no figures (its tables are hypothetical), so every verdict on the shipped ones is
about what their generator planted.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from analysis import mooc as study
from analysis.claims import compare
from analysis.claims.claim import (
    CannotTell,
    Cause,
    Counted,
    Difference,
    Direction,
    Equality,
    Found,
    Source,
    Unseen,
)
from analysis.mooc import rfm, segments
from analysis.mooc.durations import Durations, enrolments
from analysis.mooc.funnels import EVERYBODY, SOURCE, STAGES, Funnel
from analysis.mooc.products import Products
from analysis.mooc.reduce import collect
from analysis.mooc.rules import BESIDE, Rules
from analysis.mooc.segments import Prediction, Segments
from analysis.mooc.value import CENT, Value
from analysis.sources import Tables
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments

SIGNED_UP, ENROLLED, COMPLETED = STAGES
FORECAST_MARGIN = 1.10  # a forecast that is further off than by this factor is no forecast
OCCUPATION = "user_occupation"


@dataclass(frozen=True)
class Learners:
    """Users by what the claims ask of their columns.

    Attributes:
        users: Rows of the users table.
        same_revenue: Of them, those whose revenue is the sum of their orders, to the cent.
        began: Users with an enrolment among the events.
        same_date: Of them, those whose `enrollment_date` is the day of the first one.
        customers: Users with an order.
        same_frequency: Of them, those enrolled in as many courses as they made orders.
        enrolled: Users enrolled in a course.
        scored: Of them, those with a quiz score.
        minutes_and_rate: Correlation of the logarithm of minutes watched with the completion rate.
        minutes_and_courses: The same with the number of courses.
        quiz_and_rate, quiz_and_completed: Correlation of the quiz score with the completion rate,
            and with whether a course was completed (0 or 1). All of enrolled users; nan without
            variation.
        completers, others: Moments of the revenue of those enrolled who have completed a course,
            and of those who have not; None where there are none.
        bought: Users who bought and who did not, by occupation.
        watched: Moments of the completion rate (percent) of those enrolled, by occupation; of two
            users and more.
    """

    users: int
    same_revenue: int
    began: int
    same_date: int
    customers: int
    same_frequency: int
    enrolled: int
    scored: int
    minutes_and_rate: float
    minutes_and_courses: float
    quiz_and_rate: float
    quiz_and_completed: float
    completers: Moments | None
    others: Moments | None
    bought: pd.DataFrame
    watched: dict[str, Moments]


@dataclass(frozen=True)
class Measured:
    """What the claims need of the study; see `mooc` for the parts.

    Attributes:
        funnel, value, durations, segments, products, rules: See there.
        stand_out: Countries of which the share of users who bought is shown to lie above that of
            all others; None with too few countries to tell.
        learners: Users by what the claims ask of their columns.
    """

    funnel: Funnel
    value: Value
    durations: Durations | None
    segments: Segments
    products: Products
    rules: Rules
    stand_out: list[str] | None
    learners: Learners


def measure(tables: Tables, found: study.Headline | None = None) -> Measured:
    """What the claims need.

    Raises:
        ValueError: A table without a row.
    """
    found = found or study.headline(tables)
    # Where the whole study has been run, it has the parts.
    parts = vars(found) if isinstance(found, study.Study) else study.parts(tables, found)
    countries = parts["geography"].conversion
    return Measured(
        funnel=found.funnel,
        value=found.value,
        stand_out=None if countries is None else list(
            countries.countries.index[countries.countries.stands_out > 0]),
        learners=learners(
            *(tables.table(name) for name in ("users", "events", "orders")),
            dt.date.fromisoformat(found.scope.as_of)),
        **{name: parts[name] for name in ("durations", "segments", "products", "rules")},
    )


def learners(users: ir.Table, events: ir.Table, orders: ir.Table, as_of: dt.date) -> Learners:
    """See `Learners`."""
    bought = rfm.from_orders(orders, as_of).select(buyer="user_id", orders="frequency",
                                                   paid="monetary")
    done = enrolments(events).group_by("user_id").agg(
        done=_.completed.count() > 0, began=_.enrolled.min())
    done = done.rename(learner="user_id")
    rows = users.left_join(bought, users.user_id == bought.buyer)
    rows = rows.left_join(done, rows.user_id == done.learner)
    rows = rows.select(
        occupation=rows[OCCUPATION],
        buyer=rows.orders.notnull(),
        began=rows.began.notnull(),
        same_date=rows.enrollment_date.cast("date") == rows.began.date(),
        same_frequency=rows.orders == rows.total_courses_enrolled,
        same_revenue=(rows.total_revenue - rows.paid.fill_null(0)).abs() < CENT,
        enrolled=rows.total_courses_enrolled > 0,
        completed=rows.done.fill_null(False).cast("float64"),
        courses=rows.total_courses_enrolled.cast("float64"),
        minutes=(rows.total_time_watched_minutes.cast("float64") + 1).ln(),
        rate=rows.video_completion_rate.cast("float64"),
        quiz=rows.quiz_score_average.cast("float64"),
        revenue=rows.total_revenue.cast("float64"),
    )
    there = rows.filter(_.enrolled)
    counts = rows.agg(
        users=_.count(), same_revenue=_.same_revenue.sum(), began=_.began.sum(),
        same_date=(_.began & _.same_date).fill_null(False).sum(), customers=_.buyer.sum(),
        same_frequency=(_.buyer & _.same_frequency).fill_null(False).sum(),
    ).to_pandas().fillna(0).iloc[0]
    related = there.agg(
        enrolled=there.count(), scored=there.quiz.count(),
        minutes_and_rate=there.minutes.corr(there.rate, how="pop"),
        minutes_and_courses=there.minutes.corr(there.courses, how="pop"),
        quiz_and_rate=there.quiz.corr(there.rate, how="pop"),
        quiz_and_completed=there.quiz.corr(there.completed, how="pop"),
    ).to_pandas().iloc[0]
    revenue = collect(there.group_by("completed").agg(
        n=_.count(), mean=_.revenue.mean(), variance=_.revenue.var(how="sample")), ("completed",))
    by_job = collect(
        rows.filter(_.occupation.notnull()).group_by("occupation").agg(
            yes=_.buyer.sum(), no=(~_.buyer).sum()), ("occupation",))
    watched = collect(
        there.filter(_.occupation.notnull() & _.rate.notnull()).group_by("occupation").agg(
            n=_.count(), mean=_.rate.mean(), variance=_.rate.var(how="sample")), ("occupation",))
    return Learners(
        **{name: int(counts[name]) for name in counts.index},
        enrolled=int(related.enrolled), scored=int(related.scored),
        **{name: _number(related[name]) for name in related.index if "_and_" in name},
        completers=_moments(revenue, 1.0), others=_moments(revenue, 0.0),
        bought=by_job.astype("int64"),
        watched={str(name): _moments(watched, name) for name in watched.index[watched.n > 1]},
    )


def _number(value: object) -> float:
    return float("nan") if pd.isna(value) else float(value)


def _moments(frame: pd.DataFrame, group: float | str) -> Moments | None:
    if group not in frame.index:
        return None
    row = frame.loc[group]
    return Moments(int(row.n), float(row["mean"]), _number(row.variance))


MOOC = Source(study="mooc", name="MOOC", measure=measure, planted=True)


# Customer segmentation and lifetime value.


@MOOC.claim(
    Direction, "RFM … helps you target your most valuable customers",
    where="sec-mooc-segments-future")
def rfm_targets(s: Measured) -> Direction:
    """Customers in the best segment spend more in the half year after they were put there than all
    other customers do."""
    frame = _prediction(s).by_segment
    best = segments.RULES[0].name
    row = frame.loc[best] if best in frame.index else None
    if row is None or not math.isfinite(row.ratio_low):
        raise CannotTell("too few of the best customers, or of the others, spent anything after")
    ratio = Interval(row.ratio, row.ratio_low, row.ratio_high, 0.95, "log-scale delta method")
    return compare.against(
        ratio, 1, "{best} spend {estimate:2} times as much as the others", log=True, best=best)


def _prediction(s: Measured) -> Prediction:
    if s.segments.prediction is None:
        raise CannotTell("the orders do not reach back far enough to follow segments for so long")
    return s.segments.prediction


@MOOC.claim(
    Counted, "enrollment_date: The date the user enrolled in their first course",
    where="sec-mooc-segments-users")
def date_of_first_course(s: Measured) -> Counted:
    """It is the day of the first enrolment among the events, for every user who has one."""
    x = s.learners
    if not x.began:
        raise CannotTell("nobody has enrolled in a course")
    return Counted(said="for {same} of {n:user}", values={"same": x.same_date, "n": x.began},
                   holds=x.same_date == x.began)


@MOOC.claim(
    Direction, "enrollment_date … helps calculate Recency", where="sec-mooc-segments-users")
def date_is_recency(s: Measured) -> Direction:
    """Scored with that date, more than half of the customers come into the segment that their last
    order puts them in."""
    tenure = s.segments.tenure
    if tenure is None:
        raise CannotTell("users, or their orders, are too alike to be scored")
    return _customers_agree(
        tenure.same, tenure.customers,
        "the date says how long somebody has been here, not when they last bought")


def _customers_agree(same: int, customers: int, reason: str) -> Direction:
    """Whether a column does for most customers; the reason if it does not."""
    said = "{share:1%} of {n:customer}"
    return compare.share_against(
        compare.share(same, customers, "customers"), 0.5,
        said if 2 * same > customers else f"{said}: {reason}", n=customers)


@MOOC.claim(
    Direction, "total_courses_enrolled … helps calculate Frequency",
    where="sec-mooc-segments-users")
def courses_are_frequency(s: Measured) -> Direction:
    """More than half of the customers are enrolled in as many courses as they made orders."""
    return _customers_agree(
        s.learners.same_frequency, s.learners.customers,
        "an order may hold several courses, and some courses are free")


@MOOC.claim(
    Counted, "total_revenue … is essential for Monetary value", where="sec-mooc-segments-users")
def revenue_is_monetary(s: Measured) -> Counted:
    """It is the sum of the orders, for every user."""
    x = s.learners
    return Counted(
        said="for {same} of {n:user}", values={"same": x.same_revenue, "n": x.users},
        holds=x.same_revenue == x.users)


@MOOC.claim(
    Direction, "total_revenue … is essential for … Customer Lifetime Value",
    where="sec-mooc-segments-future")
def revenue_predicts(s: Measured) -> Direction:
    """What customers have spent tells who goes on to buy: of two, one of whom buys within the half
    year, it is more often than not the one who has spent more."""
    frame = _prediction(s).by_score
    if "monetary" not in frame.index or not frame.low["monetary"] < frame.high["monetary"]:
        raise CannotTell("all customers, or none, went on to buy")
    row = frame.loc["monetary"]
    area = Interval(row.area, row.low, row.high, 0.95, "DeLong")
    return compare.against(
        area, 0.5, "in {estimate:0%} of such pairs; by the date of the last order in {recency:0%}",
        recency=float(frame.area["recency"]))


@MOOC.claim(
    Equality, "This measures the total revenue a business can expect from a single customer",
    where="sec-mooc-value-check")
def value_is_expected(s: Measured) -> Equality:
    """What customers are expected to bring is what they bring: revenue in the last third of the
    days is within a tenth of what the model expects from the days before."""
    holdout = s.value.holdout
    ratio = None if holdout is None else holdout.value_ratio
    if ratio is None or not 0 < ratio.low < ratio.high:
        raise CannotTell("too few customers bought again for a model of what they will bring")
    return compare.ratio_near(ratio, FORECAST_MARGIN, "they brought {ratio:2} of what was expected")


@MOOC.claim(
    Unseen, "you can identify your most profitable customers and allocate marketing spend more "
    "effectively", where="sec-mooc-channels-cost")
def profitable(s: Measured) -> Unseen:
    """Customers of high value bring more than it costs to win and to serve them."""
    return Unseen(said="the tables hold revenue and no cost")


# Behavioural and demographic segmentation.


@MOOC.claim(
    Direction, "total_time_watched_minutes … a great proxy for engagement",
    where="sec-mooc-measures")
def minutes_are_engagement(s: Measured) -> Direction:
    """Minutes watched, on the log scale, go strongly with the share of videos completed: their
    correlation lies above 0.5."""
    x = s.learners
    courses = "" if math.isnan(x.minutes_and_courses) else (
        "; with the number of courses it is {courses:2}")
    return compare.correlation(
        x.minutes_and_rate, x.enrolled, "a correlation of {r:2}" + courses, null=compare.STRONG,
        **({"courses": x.minutes_and_courses} if courses else {}))


@MOOC.claim(
    Direction, "quiz_score_average … a strong indicator of user engagement",
    where="sec-mooc-measures")
def quiz_is_engagement(s: Measured) -> Direction:
    """Quiz scores go strongly with the share of videos completed: their correlation lies above
    0.5."""
    x = s.learners
    return compare.correlation(
        x.quiz_and_rate, x.scored, "a correlation of {r:2}", null=compare.STRONG)


@MOOC.claim(
    Direction, "quiz_score_average … a strong indicator of … learning success",
    where="sec-mooc-unseen")
def quiz_is_success(s: Measured) -> Direction:
    """Quiz scores go strongly with having completed a course: their correlation lies above 0.5."""
    x = s.learners
    return compare.correlation(
        x.quiz_and_completed, x.scored, "a correlation of {r:2}", null=compare.STRONG)


@MOOC.claim(
    Unseen, "video_completion_rate … the percentage of videos watched to the total number of "
    "videos in an enrolled course")
def rate_is_percentage(s: Measured) -> Unseen:
    """The rate is that percentage."""
    return Unseen(said="no table says how many videos a course has, or which were watched")


@MOOC.claim(
    Difference, "user_occupation … helps you identify which professions are most interested in "
    "your courses", where="sec-mooc-groups")
def professions_differ(s: Measured) -> Difference:
    """The share of users who bought is not the same in all occupations."""
    frame = s.learners.bought
    if len(frame) < 2:
        raise CannotTell("the table has fewer than two occupations")
    rate = frame.yes / frame.sum(axis=1)
    return compare.related(
        frame, "from {least:1%} to {most:1%} in {groups:occupation}; V, 0 without any relation, is "
        "{effect:3}", least=float(rate.min()), most=float(rate.max()), groups=len(frame))


@MOOC.claim(
    Difference, "user_occupation … helps you identify which professions are most interested in "
    "your courses", where="sec-mooc-groups")
def professions_watch(s: Measured) -> Difference:
    """The share of videos that enrolled users complete is not the same in all occupations."""
    groups = s.learners.watched
    means = [m.mean / 100 for m in groups.values()]
    return compare.unlike(
        groups, "from {least:1%} to {most:1%} in {groups:occupation}; omega squared, the share of "
        "the variance that lies between them, is {effect:3}",
        least=min(means, default=math.nan), most=max(means, default=math.nan), groups=len(groups))


@MOOC.claim(
    Unseen, "user_age_group … better for analysis than a raw age number", where="sec-mooc-age")
def groups_beat_ages(s: Measured) -> Unseen:
    """What goes with age is told better by groups of ages than by ages."""
    return Unseen(said="the table holds no age, and what grouping throws away cannot be seen in it")


# Products and channels.


@MOOC.claim(
    Cause, "identify your laggards … and decide whether to discontinue or promote them",
    where="sec-mooc-laggards")
def laggards(s: Measured) -> Cause:
    """A laggard that is promoted sells more."""
    judged = s.products.judged
    return Cause(
        said="laggards found: {n}; none has been promoted by lot",
        values={"n": int(judged.laggard.sum())})


@MOOC.claim(
    Found, "identifies products that are often purchased together", where="sec-mooc-pairs")
def pairs(s: Measured) -> Found:
    """Some pairs of courses share more orders than chance makes of how often each is bought, after
    correction for all pairs."""
    found = s.rules.pairs
    if not found.possible:
        raise CannotTell("a single course was sold")
    return Found(
        said="{n} of {possible:possible pair}",
        values={"n": len(found.found), "possible": found.possible}, found=len(found.found))


@MOOC.claim(
    Cause, "create targeted promotions to increase sales", where="sec-mooc-offers")
def promotions(s: Measured) -> Cause:
    """A course that is offered beside another is bought by customers who would not have bought
    it."""
    trial = s.rules.trial.get(BESIDE)
    if trial is None or trial.rate is None:
        raise CannotTell("the orders are too few to learn offers from")
    return Cause(
        said="no offer was made by lot; orders with a course held one of those that go with it in "
        "{rate:1%}, and one of the best-sellers in {popular:1%}, without any offer",
        values={"rate": trial.rate.estimate, "popular": trial.popular_rate.estimate})


@MOOC.claim(
    Unseen, "which channels are driving the most revenue, transactions, and profitability",
    where="sec-mooc-channels-cost")
def channels(s: Measured) -> Unseen:
    """The channel with most revenue is the most profitable."""
    return Unseen(said="the tables hold revenue and no cost of a channel")


@MOOC.claim(
    Found, "identify specific high-performing ‘hot spots’", where="sec-mooc-hot-spots")
def hot_spots(s: Measured) -> Found:
    """In some country the share of users who bought is shown to lie above that of all others, at a
    false discovery rate of 5%."""
    if s.stand_out is None:
        raise CannotTell("the table has too few countries")
    said = "shown for {names}" if s.stand_out else "shown for none"
    return Found(said=said, values={"names": ", ".join(s.stand_out)}, found=len(s.stand_out))


@MOOC.claim(Unseen, "‘hot spots’ within a country or city")
def cities(s: Measured) -> Unseen:
    """Some places within a country stand out."""
    return Unseen(said="the tables know countries and no smaller place")


# Funnels.


def _rate(s: Measured, first: str, then: str) -> Counted:
    counted, strict = s.funnel.stages.users, s.funnel.total.iloc[0]
    if not strict[first] or not counted.get(first, 0):
        raise CannotTell("nobody is at the stage before")
    naive, true = counted.get(then, 0) / counted[first], strict[then] / strict[first]
    return Counted(
        said="by counts {naive:1%}, by users who went that way {strict:1%}",
        values={"naive": float(naive), "strict": float(true)},
        holds=abs(naive - true) < 0.001)


@MOOC.claim(
    Counted, "% of users who enrolled = (Enrolled Count / Signed Up Count) * 100",
    where="sec-mooc-funnels-counts")
def enrolled_rate(s: Measured) -> Counted:
    """The ratio of the two counts is the share of those signed up who enrolled after it, to a tenth
    of a point."""
    return _rate(s, SIGNED_UP, ENROLLED)


@MOOC.claim(
    Counted, "calculate the conversion rate from one stage to the next",
    where="sec-mooc-funnels-counts")
def completed_rate(s: Measured) -> Counted:
    """The ratio of the two counts is the share of those enrolled who then completed a course they
    were enrolled in, to a tenth of a point."""
    return _rate(s, ENROLLED, COMPLETED)


@MOOC.claim(
    Cause, "conversion rates by user_country to see where your marketing is most effective",
    where="sec-mooc-funnels-countries")
def marketing_works(s: Measured) -> Cause:
    """Marketing brings more where more of those who sign up go on."""
    frame = s.funnel.rates
    rows = frame[frame.p_value.notna()].reset_index()
    rows = rows[(rows["by"] == "user_country") & (rows.step == "overall")]
    if rows.empty:
        raise CannotTell("the table has too few countries to compare")
    return Cause(
        said="no marketing is in the tables; from {least:1%} to {most:1%} complete a course in "
        "{n:country:countries}",
        values={"least": float(rows.share.min()), "most": float(rows.share.max()), "n": len(rows)})


@MOOC.claim(
    Direction, "Determine which referral_source brings in the most valuable users (those who "
    "complete courses)", where="sec-mooc-funnels-sources")
def best_source(s: Measured) -> Direction:
    """One source can be named: of its users a larger share completes a course than of all others,
    even if every source had been tried."""
    frame = s.funnel.rates
    rows = frame[frame.p_value.notna()].reset_index()
    rows = rows[(rows["by"] == SOURCE) & (rows.step == "overall")]
    if rows.empty:
        raise CannotTell("the table has too few sources to compare")
    best = rows.loc[rows.share.idxmax()]
    gap = Interval(best.difference, best.difference_low, best.difference_high, 0.95, "Newcombe")
    return Direction(
        said="{name}: {share:1%} against {rest:1%}; difference {gap:points}",
        values={"name": best.group, "share": float(best["share"]), "rest": float(best.rest),
                "gap": gap},
        estimate=gap, p_value=float(best.p_adjusted))


@MOOC.claim(
    Direction, "the most valuable users (those who complete courses)", where="sec-mooc-unseen")
def completers_pay(s: Measured) -> Direction:
    """Users who have completed a course have brought more revenue than other enrolled users."""
    x = s.learners
    if x.completers is None or x.others is None:
        raise CannotTell(f"{'nobody' if x.completers is None else 'everybody'} enrolled has "
                         "completed a course")
    return compare.gap_of_means(
        x.completers, x.others, "{a:2} against {b:2}; difference {gap:2}")


@MOOC.claim(
    Direction, "the average time it takes for a user to complete a course from the enrollment date",
    where="sec-mooc-durations")
def average_time(s: Measured) -> Direction:
    """That average, over the enrolments completed, tells how long it takes: by then at least half
    of all enrolments are completed."""
    d = s.durations
    if d is None or not np.isfinite(d.times.naive_mean_days[EVERYBODY]):
        raise CannotTell("nobody has completed a course")
    mean = float(d.times.naive_mean_days[EVERYBODY])
    horizons = d.horizons[d.horizons.index.get_level_values("source") == EVERYBODY]
    effect = float(horizons.design_effect.max()) if len(horizons) else 1.0
    curve = d.curve.widened(math.sqrt(max(effect, 1.0)))
    by_then = curve.share_at(math.floor(mean))
    if not by_then.high > by_then.low:
        raise CannotTell("too few enrolments are completed")
    return compare.against(
        by_then, 0.5, "after {days:1} days, the average, {estimate:1%} are", days=mean)
