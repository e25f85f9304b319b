"""The claims of the customer analytics project: what its techniques are said to be good for.

The project publishes no figures, so the shipped tables hold nothing of its customers, and every
verdict on them is about what their generator planted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.stats import norm

from analysis.claims import compare
from analysis.claims.claim import (
    CannotTell,
    Counted,
    Difference,
    Direction,
    Equality,
    Source,
    Unseen,
)
from analysis.customers import Study, design, events, kpis, lift, paywall, seasons, series
from analysis.customers.events import Period
from analysis.customers.kpis import Totals
from analysis.customers.lift import SAMPLES, SIZES, Action, Lift
from analysis.customers.paywall import PaywallTest
from analysis.customers.seasons import Seasons
from analysis.kept import or_kept
from analysis.sources import Tables
from analysis.stats import effects
from analysis.stats.intervals import Interval
from analysis.stats.moments import Counts
from analysis.stats.two_proportions import Share

WINDOW = kpis.WINDOWS[-1]  # days since registration within which a user buys, or not
SYMMETRIC = 0.5  # skewness up to which a distribution is usually called about symmetric
AGREES = 1e-9  # relative difference of a statistic worked out by hand and by a library
COVERAGE, COVERAGE_MARGIN = 0.95, 0.01
RESAMPLES = 999
SEED = 1908


@dataclass(frozen=True)
class Measured:
    """What the claims need of the study.

    Attributes:
        totals: Everything in the period.
        conversion: See `kpis.conversion`.
        buyers: Users and those of them who bought within `WINDOW` days, by `device`, `country`,
            and `later`: whether they registered in the second half of the period (0 or 1); over
            users who were seen so long.
        test, lift: The paywall test, and as it is read.
        seasons: What moves the daily numbers.
    """

    totals: Totals
    conversion: pd.DataFrame
    buyers: pd.DataFrame
    test: PaywallTest
    lift: Lift
    seasons: Seasons


def measure(tables: Tables, study: Study | None = None) -> Measured:
    """What the claims need."""
    found = vars(study or _parts(tables))
    shared = [each.name for each in fields(Measured) if each.name != "buyers"]
    return Measured(
        buyers=buyers(tables, events.period(tables)), **{name: found[name] for name in shared})


@or_kept
def _parts(tables: Tables) -> SimpleNamespace:
    """The parts of the study that the claims need."""
    period = events.period(tables)
    test = paywall.paywall_test(tables, period)
    return SimpleNamespace(
        totals=kpis.totals(tables, period),
        conversion=kpis.conversion(tables, period),
        test=test,
        lift=lift.lift(test, design.design(test)),
        seasons=seasons.seasons(
            series.daily(tables, period), series.releases(tables), test.by_date),
    )


def buyers(tables: Tables, period: Period) -> pd.DataFrame:
    """See `Measured.buyers`."""
    users = kpis.spending(tables)
    users = users.filter(users.reg_day + (WINDOW - 1) <= period.last)
    users = users.mutate(
        later=(users.reg_day * 2 > period.first + period.last).cast("int64"),
        bought=(users[f"purchases_{WINDOW}"] > 0).cast("int64"),
    )
    keys = ["device", "country", "later"]
    frame = users.group_by(keys).aggregate(
        users=users.count(), buyers=users.bought.sum()).to_pandas()
    return frame.sort_values(keys, ignore_index=True).astype({"users": "int64", "buyers": "int64"})


CUSTOMERS = Source(
    study="customers", name="Customer analytics", measure=measure, planted=True)


@CUSTOMERS.claim(
    Direction, "Customer analytics plays an important role in the prediction of customer behavior",
    where="sec-customers-prediction")
def predicts(s: Measured) -> Direction:
    """Who will buy is told better than by chance: users of the second half of the period who buy
    come before those who do not, when both are ordered by how users of the same device and country
    did in the first half."""
    early, late = (s.buyers[s.buyers.later == half] for half in (0, 1))
    if not len(early):
        raise CannotTell("nobody registered in the first half of the period")
    keys = ["device", "country"]
    seen = early.groupby(keys, dropna=False)[["users", "buyers"]].sum()
    overall = seen.buyers.sum() / seen.users.sum()
    # One user more, who buys like all others, keeps small groups from the ends of the order.
    score = ((seen.buyers + overall) / (seen.users + 1)).rename("score")
    scored = late.merge(score.reset_index(), how="left", on=keys).fillna({"score": overall})
    bought = Counts.of(scored.score, scored.buyers) if scored.buyers.sum() > 1 else None
    rest = scored.users - scored.buyers
    if bought is None or rest.sum() < 2:
        raise CannotTell("too few users of the second half of the period bought, or did not")
    try:
        area, _ = effects.superiority(bought, Counts.of(scored.score, rest))
    except ValueError:
        raise CannotTell("all users of the second half of the period come out alike") from None
    return compare.against(
        area, 0.5, "right of two such users in {estimate:0%} of the cases")


@CUSTOMERS.claim(
    Difference, "help make key business decisions via market segmentation",
    where="sec-customers-conversion")
def segments_differ(s: Measured) -> Difference:
    """Segments differ: the share of users who buy within four weeks is not the same in all
    countries."""
    return _conversion_differs(s, "country", "countries")


@CUSTOMERS.claim(
    Difference, "observe customer behavior, understand it over time periods",
    where="sec-customers-conversion")
def months_differ(s: Measured) -> Difference:
    """Behaviour changes over time: the share of users who buy within four weeks is not the same for
    all months of registration."""
    return _conversion_differs(s, "cohort", "months")


def _conversion_differs(s: Measured, dimension: str, what: str) -> Difference:
    frame = s.conversion
    frame = frame[(frame.dimension == dimension) & (frame.window == WINDOW)].set_index("value")
    if frame.empty:
        raise CannotTell("no user was seen for so long")
    return compare.related(
        pd.DataFrame({"bought": frame.payers, "not": frame.users - frame.payers}),
        "from {least:1%} to {most:1%} in {groups} {what}; V, 0 without any relation, is {effect:3}",
        least=float(frame.conversion.min()), most=float(frame.conversion.max()),
        groups=len(frame), what=what)


@CUSTOMERS.claim(Direction, "identifying seasonal trends", where="sec-customers-trend")
def seasonal(s: Measured) -> Direction:
    """Revenue has a time of the year: at the top of its yearly wave it lies above the middle."""
    fit = s.seasons.fits.set_index("measure").loc["revenue"]
    if not fit.yearly:
        raise CannotTell("two years of revenue on most days would be needed")
    curve = s.seasons.yearly_curve
    curve = curve[curve.measure == "revenue"]
    top = curve.loc[curve.estimate.idxmax()]
    ratio = Interval(*np.exp([top.estimate, top.low, top.high]).tolist(), 0.95, "HAC")
    return Direction(
        said="{ratio:2} times the middle of the year", values={"ratio": ratio}, estimate=ratio,
        p_value=float(fit.yearly_p), null=1.0)


@CUSTOMERS.claim(
    Counted, "The techniques … make proactive, data-driven business decisions",
    where="sec-customers-decision")
def decides(s: Measured) -> Counted:
    """The rule of decision, fixed before the paywall test, names a paywall."""
    said = {
        Action.SHIP: "give the new one to everybody", Action.KEEP: "keep the old one",
        Action.LONGER: "go on with the test", Action.DISTRUST: "mend the assignment first",
    }
    if s.lift.action is Action.UNKNOWN:
        raise CannotTell("the test has no result to decide by")
    return Counted(
        said="the rule says: {action}", values={"action": said[s.lift.action]},
        holds=s.lift.action in (Action.SHIP, Action.KEEP))


@CUSTOMERS.claim(
    Direction, "which generate customer value", where="sec-customers-primary")
def value(s: Measured) -> Direction:
    """The randomised paywall test shows that more users buy at the new paywall."""
    groups = s.test.groups.set_index("group")
    return compare.gap_of_shares(
        *(compare.share(groups.converters[name], groups.users[name], "users in one of the groups")
          for name in paywall.GROUPS[::-1]),
        "{a:1%} against {b:1%}; difference {gap:points}")


@CUSTOMERS.claim(Unseen, "and financial profit", where="sec-customers-limits")
def profit(s: Measured) -> Unseen:
    """The decisions earn more than they cost."""
    return Unseen(said="the tables hold revenue and no cost")


@CUSTOMERS.claim(
    Direction, "checking assumption of normality … skewness", where="sec-customers-normality")
def check_needed(s: Measured) -> Direction:
    """The check is needed: revenue a user, which the t-test compares, is far from symmetric, as
    normal values are; its skewness, to whichever side, lies above 0.5."""
    skewness, error = _skewness(_revenue(s))
    if not error > 0:
        raise CannotTell("too few users of the test paid different amounts")
    side = math.copysign(1.0, skewness.estimate)
    low, high = sorted((side * skewness.low, side * skewness.high))
    size = replace(skewness, estimate=abs(skewness.estimate), low=low, high=high)
    return Direction(
        said="a skewness of {skewness:1}", values={"skewness": skewness}, estimate=size,
        p_value=float(2 * norm.sf(abs(size.estimate - SYMMETRIC) / error)), null=SYMMETRIC)


def _revenue(s: Measured) -> Counts:
    """Revenue of the users of the old paywall, where it varies."""
    counts = s.test.revenue["control"]
    if counts.sum() < 3 or (counts > 0).sum() < 2:
        raise CannotTell("too few users of the test paid different amounts")
    return Counts.of(counts.index, counts.to_numpy())


def _skewness(sample: Counts) -> tuple[Interval, float]:
    """Skewness with its percentile bootstrap interval (Efron 1979), and its standard error."""
    drawn = np.random.default_rng(SEED).multinomial(sample.n, sample.shares, RESAMPLES)
    drawn = drawn[(drawn > 0).sum(axis=1) > 1]  # where all are alike there is none
    d = sample.values - sample.moments.mean
    first, second, third = (drawn @ d**power / sample.n for power in (1, 2, 3))
    spread = second - first**2
    values = (third - 3 * first * second + 2 * first**3) / spread**1.5
    low, high = np.quantile(values, [0.025, 0.975])
    return (Interval(sample.moments.skewness, float(low), float(high), 0.95, "bootstrap"),
            float(values.std(ddof=1)))


@CUSTOMERS.claim(
    Equality, "Center limit theorem", where="sec-customers-normality")
def central_limit(s: Measured) -> Equality:
    """With a thousand users a group the t interval of the difference holds the truth in 95% of
    simulated tests, give or take one point."""
    if s.lift.normality is None:
        raise CannotTell("revenue is the same for all users of the test")
    frame = s.lift.normality.sampling.set_index(["statistic", "size"])
    held = round(float(frame.coverage["difference", SIZES[-1]]) * SAMPLES)
    return compare.share_near(
        Share(held, SAMPLES), COVERAGE, COVERAGE_MARGIN, "it holds it in {share:1%}")


@CUSTOMERS.claim(
    Counted, "doing a T-test step-by-step … T-test with scipy.stats import ttest_ind",
    where="sec-customers-t-test")
def libraries_agree(s: Measured) -> Counted:
    """Both give the same: by hand and by the libraries, every statistic agrees to nine digits."""
    if s.lift.t_test is None:
        raise CannotTell("revenue is the same for all users of the test")
    same = s.lift.t_test.gap < AGREES
    return Counted(
        said="the t statistic is {t:3} by hand, and {others} by both libraries",
        values={"t": s.lift.t_test.welch.statistic,
                "others": "the same" if same else "not the same"},
        holds=same)


@CUSTOMERS.claim(
    Unseen, "used by businesses for direct marketing, site selection, and customer relationship "
    "management")
def uses(s: Measured) -> Unseen:
    """Decisions of these kinds get better by it."""
    return Unseen(said="no such decision is in the tables")


@CUSTOMERS.claim(Unseen, "Marketing provides services in order to satisfy customers")
def satisfied(s: Measured) -> Unseen:
    """Customers are more satisfied with more marketing."""
    return Unseen(said="nobody was asked how satisfied they are")
