"""The claims of the engagement project and of the published analysis that it follows.

The published figures are those of each group without its extreme top, as in `engagement.group`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from analysis import engagement as study
from analysis.claims import compare
from analysis.claims.claim import (
    CannotTell,
    Cause,
    Counted,
    Direction,
    Equality,
    Printed,
    Source,
    Unseen,
)
from analysis.engagement import Comparison, Group, Pairs, Turnover
from analysis.sources import Tables
from analysis.stats.moments import Moments
from analysis.stats.power import smallest_n_for_normal_mean

BEFORE, AFTER = study.QUARTERS
SIMILAR = study.RELEVANT_LIFT  # of the first country's mean: what still counts as similar


@dataclass(frozen=True)
class Measured:
    """What the claims need of the study; see `engagement` for the parts.

    Attributes:
        groups: By plan and quarter.
        comparisons: First against second quarter, by plan.
        countries: Two countries in the free plan's second quarter; None where there are no two.
        turnover: Who left, stayed and came, by plan.
        low, mirror: Students of both quarters with a low first quarter, and with a low second one,
            by plan.
    """

    groups: Mapping[tuple[str, str], Group]
    comparisons: Mapping[str, Comparison]
    countries: Comparison | None
    turnover: Mapping[str, Turnover]
    low: Mapping[str, Pairs]
    mirror: Mapping[str, Pairs]


def measure(tables: Tables, found: study.Headline | None = None) -> Measured:
    """What the claims need.

    Raises:
        engagement.TooFewStudents: See there.
    """
    found, students = found or study.headline(tables), study.load(tables)
    return Measured(
        groups=found.groups,
        comparisons=found.comparisons,
        countries=found.countries,
        turnover=found.turnover,
        low={plan: study.low_pairs(students, plan) for plan in study.PLANS},
        mirror={plan: study.low_pairs(students, plan, mirror=True) for plan in study.PLANS},
    )


ENGAGEMENT = Source(study="engagement", name="Engagement", measure=measure)


def _moments(s: Measured, plan: str, quarter: str) -> Moments:
    d = s.groups[plan, quarter].summary
    return Moments.published(d.n, d.mean, d.sd)


# Published descriptions: students, mean, standard deviation, quartiles.
PUBLISHED = {
    ("paid", BEFORE): (3433, 332.50, 485.86, 26.65, 133.43, 411.70),
    ("paid", AFTER): (5104, 368.35, 596.41, 25.34, 131.81, 427.38),
    ("free", BEFORE): (32171, 133.93, 367.26, 3.05, 16.92, 80.65),
    ("free", AFTER): (120658, 69.15, 255.62, 0.52, 3.40, 30.92),
}


def _description(plan: str, quarter: str) -> Callable[[Measured], Printed]:
    printed = PUBLISHED[plan, quarter]

    def test(s: Measured) -> Printed:
        d = s.groups[plan, quarter].summary
        found = (d.n, d.mean, d.sd, d.p25, d.median, d.p75)
        return Printed(
            said="{n:student}, mean {mean:2}, sd {sd:2}, median {median:2} ({p25:2} to {p75:2})",
            values={name: getattr(d, name) for name in ("n", "mean", "sd", "p25", "median", "p75")},
            numbers=tuple((p, 0, f) for p, f in zip(printed, found, strict=True)))

    test.__name__ = f"described_{plan}_{quarter[-4:]}"
    return test


for (_plan, _quarter), (_n, _mean, _sd, _, _median, _) in PUBLISHED.items():
    ENGAGEMENT.claim(
        Printed,
        f"{_plan} plan, {_quarter}: {_n:,} students, mean {_mean:.2f} minutes, standard deviation "
        f"{_sd:.2f}, median {_median:.2f}",
        where="sec-engagement-shape",
        statement="Without the extreme top, the group has that many students, and mean, standard "
        "deviation and quartiles are these, to the minute.",
        verbatim=False,
    )(_description(_plan, _quarter))


def _country(s: Measured, code: str) -> tuple[int, float, float]:
    """Students, mean and median of a country's free-plan students."""
    name = study.COUNTRY_NAMES[code]
    if s.countries is None or name not in s.countries.labels:
        raise CannotTell("the table has too few free-plan students from {name}", name=name)
    place = s.countries.labels.index(name)
    n = (s.countries.welch.n_a, s.countries.welch.n_b)[place]
    return n, s.countries.means[place], s.countries.medians[place]


def _printed_country(s: Measured, code: str, printed: tuple[float, ...]) -> Printed:
    found = _country(s, code)
    return Printed(
        said="{n:student}, mean {mean:2}, median {median:2}",
        values=dict(zip(("n", "mean", "median"), found, strict=True)),
        numbers=tuple((p, 0, f) for p, f in zip(printed, found, strict=True)))


@ENGAGEMENT.claim(
    Printed, "free plan, US, Q4 2022: 6,459 students, mean 73.07 minutes, median 9.47",
    where="sec-engagement-countries", verbatim=False)
def described_us(s: Measured) -> Printed:
    """There are that many of them, and their mean and median are these, to the minute."""
    return _printed_country(s, "US", (6459, 73.07, 9.47))


@ENGAGEMENT.claim(
    Printed, "free plan, India, Q4 2022: 21,210 students, mean 78.42 minutes, median 3.57",
    where="sec-engagement-countries", verbatim=False)
def described_india(s: Measured) -> Printed:
    """There are that many of them, and their mean and median are these, to the minute."""
    return _printed_country(s, "IN", (21210, 78.42, 3.57))


@ENGAGEMENT.claim(
    Printed, "smallest value: 0.05 minutes", where="sec-engagement-shape", verbatim=False)
def smallest(s: Measured) -> Printed:
    """No active student watched less."""
    least = min(g.raw_summary.minimum for g in s.groups.values())
    return Printed(said="{least:2} minutes", values={"least": least}, numbers=((0.05, 2, least),))


# Students of both quarters with a low first one: how many, and for each quarter mean and median.
PUBLISHED_LOW = {
    "paid": (457, 33.80, 273.02, 26.33, 40.28),
    "free": (2065, 25.39, 117.64, 14.17, 11.83),
}
LOW = "students who were active in both quarters and watched 1 to 100 minutes in Q4 2021"


def _printed_low(plan: str) -> Callable[[Measured], Printed]:
    printed = PUBLISHED_LOW[plan]

    def test(s: Measured) -> Printed:
        low = s.low[plan]
        found = (len(low.before), *(
            float(of(minutes)) for of in (np.mean, np.median)
            for minutes in (low.before, low.after)))
        return Printed(
            said="{n:student}, mean {mean:2}, then {mean_after:2}, median {median:2}, then "
            "{median_after:2}",
            values=dict(zip(
                ("n", "mean", "mean_after", "median", "median_after"), found, strict=True)),
            numbers=tuple((p, 0, f) for p, f in zip(printed, found, strict=True)))

    test.__name__ = f"described_low_{plan}"
    return test


for _plan, (_n, _mean, _then, _median, _median_then) in PUBLISHED_LOW.items():
    ENGAGEMENT.claim(
        Printed,
        f"{_plan} plan, {LOW}: {_n:,}, mean {_mean:.2f}, then {_then:.2f} minutes, median "
        f"{_median:.2f}, then {_median_then:.2f}",
        where="sec-engagement-pairs",
        statement="There are that many of them, and their means and medians are these, to the "
        "minute.",
        verbatim=False,
    )(_printed_low(_plan))


# What was expected of the features.


def _rise(s: Measured, plan: str) -> Direction:
    return compare.gap_of_means(
        _moments(s, plan, AFTER), _moments(s, plan, BEFORE),
        "a mean of {b:1}, then {a:1} minutes; difference {gap:1}")


@ENGAGEMENT.claim(
    Direction, "… contribute to the increase of minutes watched on the platform for both free-plan "
    "and paying students", where="sec-engagement-increase")
def paid_rise(s: Measured) -> Direction:
    """Paying students watched more minutes on average in the second quarter than in the first."""
    return _rise(s, "paid")


@ENGAGEMENT.claim(
    Direction, "… contribute to the increase of minutes watched on the platform for both free-plan "
    "and paying students", where="sec-engagement-increase")
def free_rise(s: Measured) -> Direction:
    """Free-plan students watched more minutes on average in the second quarter than in the
    first."""
    return _rise(s, "free")


def _typical(s: Measured, plan: str) -> Direction:
    """The chance that a student of the second quarter watched more than one of the first."""
    c = s.comparisons[plan]
    i = c.mann_whitney.interval
    if not i.high > i.low:
        raise CannotTell("all students of a quarter watched equally long")
    chance = replace(i, estimate=1 - i.estimate, low=1 - i.high, high=1 - i.low)
    return Direction(
        said="{before:1} minutes for the student in the middle, then {after:1}; a student of the "
        "second quarter watched more than one of the first with probability {chance:2}",
        values={"before": c.medians[0], "after": c.medians[1], "chance": chance},
        estimate=chance, null=0.5,
        # The study's test is one-sided.
        p_value=float(2 * min(c.mann_whitney.p_value, 1 - c.mann_whitney.p_value)))


@ENGAGEMENT.claim(
    Direction, "increased student engagement", where="sec-engagement-hidden")
def paid_typical(s: Measured) -> Direction:
    """Typical paying students watched more, too: one of the second quarter more often than not
    watched longer than one of the first."""
    return _typical(s, "paid")


@ENGAGEMENT.claim(
    Direction, "increased student engagement", where="sec-engagement-hidden")
def free_typical(s: Measured) -> Direction:
    """Typical free-plan students watched more, too: one of the second quarter more often than not
    watched longer than one of the first."""
    return _typical(s, "free")


@ENGAGEMENT.claim(
    Cause, "evaluate whether these new additions to the platform have indeed increased student "
    "engagement", where="sec-engagement-meaning")
def features_increase(s: Measured) -> Cause:
    """Students watch more than they would have without the features."""
    growth = s.turnover["free"].growth
    return Cause(
        said="nobody was without the features in the second quarter, when {growth:1} times as many "
        "free-plan students were active as in the first",
        values={"growth": growth})


@ENGAGEMENT.claim(
    Cause, f"{LOW}: paid plan, a mean of 33.80, then 273.02 minutes; free plan, 25.39, then "
    "117.64", where="sec-engagement-pairs", verbatim=False)
def low_rise(s: Measured) -> Cause:
    """Students with little engagement were brought to watch more by the features."""
    low, mirror = s.low["free"], s.mirror["free"]
    return Cause(
        said="who is chosen for a low quarter tends to look better in any other: among free-plan "
        "students the mean went from {before:1} to {after:1} minutes, and for those with a low "
        "second quarter from {first:1} to {second:1}",
        values={"before": float(np.mean(low.before)), "after": float(np.mean(low.after)),
                "first": float(np.mean(mirror.before)), "second": float(np.mean(mirror.after))})


@ENGAGEMENT.claim(
    Direction, "expanded its course library … and attract a larger audience",
    where="sec-engagement-people")
def larger_audience(s: Measured) -> Direction:
    """More students came than left: of those active in only one of the quarters, more than half
    were in the second."""
    left, _, came = (sum(int(t.students.students[i]) for t in s.turnover.values())
                     for i in range(3))
    return compare.share_against(
        compare.share(came, left + came, "students who left or came"), 0.5,
        "{came} came, {left} left; share of newcomers {share:1%}", came=came, left=left)


@ENGAGEMENT.claim(
    Unseen, "expanded its course library … and attract a larger audience")
def library(s: Measured) -> Unseen:
    """They came for the new courses."""
    return Unseen(said="the table does not say which courses anybody watched")


@ENGAGEMENT.claim(
    Unseen, "covering a broader range of topics to provide its students with a richer set of "
    "skills")
def skills(s: Measured) -> Unseen:
    """Students can do more for the new courses."""
    return Unseen(said="the table does not say what anybody learned")


@ENGAGEMENT.claim(
    Unseen, "an XP system …, in-app coins …, a leaderboard")
def used(s: Measured) -> Unseen:
    """Students who use these features watch more than those who do not."""
    return Unseen(said="the table does not say who used a feature")


@ENGAGEMENT.claim(
    Unseen, "streaks to motivate students to maintain consistent learning habits")
def streaks(s: Measured) -> Unseen:
    """Students watch on more days in a row than before."""
    return Unseen(said="the table holds minutes a quarter, not days")


@ENGAGEMENT.claim(
    Unseen, "These enhancements were anticipated to positively impact the student experience")
def experience(s: Measured) -> Unseen:
    """Students like the platform better than before."""
    return Unseen(said="nobody was asked; the table holds minutes")


@ENGAGEMENT.claim(
    Unseen, "contribute to the company's success in the coming year")
def success(s: Measured) -> Unseen:
    """The company earns more than it would have without the features."""
    return Unseen(said="no table holds what the company earns")


# What the analysis rests on.


@ENGAGEMENT.claim(
    Counted, "a confidence interval for the average engagement time",
    where="sec-engagement-intervals")
def enough_for_means(s: Measured) -> Counted:
    """Each group is large enough for its mean to be near to normal: 355 times the square of the
    skewness."""
    needed = {key: smallest_n_for_normal_mean(g.summary.skewness) for key, g in s.groups.items()}
    short = [key for key, g in s.groups.items() if g.summary.n < needed[key]]
    worst = max(s.groups, key=lambda key: needed[key] / s.groups[key].summary.n)
    return Counted(
        said="the tightest group, {plan} plan in {quarter}, has {n} and needs {needed}",
        values={"plan": worst[0], "quarter": worst[1], "n": s.groups[worst].summary.n,
                "needed": needed[worst]},
        holds=not short)


@ENGAGEMENT.claim(
    Equality, "whether the average number of minutes watched in the US is similar to that in India",
    where="sec-engagement-countries")
def countries_alike(s: Measured) -> Equality:
    """The two means lie within a tenth of the first of each other."""
    for code in study.COUNTRY_NAMES:
        _country(s, code)  # there must be enough of both
    c = s.countries
    margin = SIMILAR * c.means[0]
    return compare.near(
        c.welch.interval, c.welch.standard_error, -margin, margin,
        "{a:1} and {b:1} minutes; difference {estimate:1}, where {margin:1} would be a tenth",
        df=c.welch.df, a=c.means[0], b=c.means[1], margin=margin)

