"""Whose tables these are, what it all means, what to do about it, and what cannot be told."""

from __future__ import annotations

from analysis.mooc import Study
from analysis.report import exploration, sentences
from analysis.report.mooc import (
    audience,
    behaviour,
    channels,
    durations,
    funnels,
    geography,
    products,
    rules,
    segments,
    value,
)
from analysis.report.text import Prose, count, day, paragraph, percent

# In the order in which they are recommended: what is known best, first.
TOPICS = (
    funnels, durations, segments, value, rules, products, behaviour, audience, channels, geography,
)


def provenance(s: Study) -> Prose:
    """Whose tables these are."""
    return sentences.provenance(
        s, "so that an analysis has planted effects to find; no row is a real person, course or order"
    )


def gaps(s: Study) -> Prose:
    """Which columns of the users have gaps, and what is done about them."""
    said, gaps = [exploration.gaps(s)], exploration.incomplete(s)
    if gaps:
        said.append(
            "They stay in every count of all users, and nothing is filled in, which would invent data.")
    if gaps - {"quiz_score_average"}:
        said.append(
            "Where groups are compared, users who lack the value that makes them are left out, or "
            "listed as “not given” without a test."
        )
    if "quiz_score_average" in gaps:
        said.append(
            "Means of quiz scores are of those who have one; who has enrolled without one is "
            "placed by the other two measures (@sec-mooc-behaviour)."
        )
    return paragraph(*said)


def as_of(s: Study) -> Prose:
    """The day at whose end the study stands."""
    return day(s.scope.as_of)


def conclusion(s: Study) -> Prose:
    """What kind of business this is, in a paragraph."""
    signed_up, enrolled, completed = s.funnel.total.iloc[0]
    said = [
        f"Of {count(s.scope.users, 'user')}, {percent(s.value.history.customers / s.scope.users, 0)} "
        f"{'has' if s.scope.users == 1 else 'have'} bought a course."
    ]
    if signed_up:
        said.append(
            f"Of those who signed up, {percent(enrolled / signed_up, 0)} have enrolled in a course "
            f"and {percent(completed / signed_up, 0)} have completed one."
        )
    moves = s.segments.revenue_of_moves
    if moves is not None and moves["revenue"].sum() > 0:
        new = moves.loc["newly came", "share_of_revenue"]
        said.append(
            f"Customers who came in the last {s.segments.between} days brought {percent(new, 0)} of "
            "the revenue of these days, "
            + ("so the business lives by new customers more than by old ones: " if new > 0.5 else
               "so the business lives by its old customers more than by new ones: ")
            + ("whatever helps more users to a first purchase weighs most."
               if new > 0.5 else "whatever makes customers come back weighs most.")
        )
    return paragraph(*said, audience.answer(s))


def recommendations(s: Study) -> Prose:
    """What to do, each item with the result that it rests on."""
    items = [item for topic in TOPICS if (item := topic.recommendation(s))]
    if not items:
        return Prose("These tables are too small to recommend anything.")
    return Prose("\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)))


def limit_of_data(s: Study) -> Prose:
    """What the origin of the tables limits."""
    if s.shipped:
        return Prose(
            "**Made tables.** The shipped tables are synthetic, made with planted effects: what the "
            "chapter finds holds for them, and for no platform."
        )
    return Prose(
        "**The tables are taken as they are.** An event that was not logged, or an order that was "
        "refunded later, cannot be seen in them."
    )
