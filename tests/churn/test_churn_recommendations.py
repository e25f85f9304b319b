"""Recommendations follow the evidence: worlds in which each is kept, changed and dropped."""

import functools
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from test_churn_reductions import subscribers, tables

from analysis.churn import devices, lengths, offers, plans, traits
from analysis.churn.recommendations import (
    HEADINGS,
    RULE,
    STEPS,
    Evidence,
    Verdict,
    many_profiles,
    recommendations,
)
from analysis.churn.reductions import reduce

PARTS = {
    "traits": traits.traits, "lengths": lambda base, _: lengths.lengths(base),
    "devices": devices.devices, "offers": offers.offers, "plans": lambda base, _: plans.plans(base),
}


@pytest.fixture(autouse=True, scope="module")
def few_draws():
    """Of what is drawn along the months (where churn changes, how even it is) nothing is judged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "RESAMPLES", 99)
        yield


def evidence(frame, *names):
    """The parts of the study on which the verdicts on a table rest."""
    table = tables(frame).table("subscribers")
    base = reduce(table)
    return {"base": base} | {name: PARTS[name](base, table) for name in names}


@functools.cache
def of_all_alike():
    """The evidence of a table in which everybody is alike."""
    return evidence(world()[0], *PARTS)


def verdicts(parts):
    """The verdicts; which traits the model finds plays no part in them."""
    found = recommendations(**parts, model=SimpleNamespace(fit=None)).judged
    return dict(zip(found.index, zip(found.verdict, found.reason, strict=True), strict=True))


def judged(frame):
    """The verdicts on a table."""
    return verdicts(evidence(frame, *PARTS))


def judged_by(frame, *names):
    """The verdicts on a table if only some parts of its study, those named, are looked at.

    Each recommendation rests on one part or two. What the others would find takes long.
    """
    return verdicts(of_all_alike() | evidence(frame, *names))


def test_the_shipped_table_has_other_answers_than_its_source(netflix_study):
    found = netflix_study.recommendations
    verdict = found.judged.verdict
    # Planted: churn is flat over the first 24 months and ends there; genre, region, device and
    # profiles do not matter; offers go with less churn; late payment matters most.
    nothing = ["genres", "markets", "devices", "profiles", "inactive", "support"]
    assert (verdict[nothing] == Verdict.DROP).all()
    assert (verdict[["first_months", "after_year", "feedback"]] == Verdict.CHANGE).all()
    assert (verdict[["test", "watch", "offers"]] == Verdict.KEEP).all()
    assert found.unaddressed[0] == "payment_history"


def test_the_rule_is_the_one_that_the_chapter_prints():
    chapter = (Path(__file__).parents[2] / "chapters/netflix-churn.qmd").read_text("utf-8")
    assert "is *kept* if what it rests on is shown." in chapter
    assert "It is *changed* if that is not shown as the source has it, but the same" in chapter
    assert "*dropped* if the contrary is shown, and also if nothing of the kind is." in chapter
    assert "right whatever the evidence: they are kept, and changed where" in chapter
    assert {evidence for evidence, verdict in RULE.items() if verdict == Verdict.KEEP} == {
        Evidence.SHOWN, Evidence.NOT_NEEDED}
    assert RULE[Evidence.ELSEWHERE] == Verdict.CHANGE
    assert RULE[Evidence.CONTRARY] == RULE[Evidence.NOT_SHOWN] == Verdict.DROP
    assert set(RULE) == set(Evidence)


@pytest.mark.parametrize("seed", range(20, 26))
def test_what_is_not_shown_is_dropped_and_never_kept(seed):
    """Where nothing goes with churn, nothing that rests on it stays, whatever it is."""
    frame, _ = world(seed, n=1500)
    found = judged_by(frame, *PARTS.keys() - {"plans"})  # only the steps rest on those
    for advice, (verdict, reason) in found.items():
        if advice not in (*STEPS, "after_year") and reason in ("alike", "open", "none"):
            assert verdict == Verdict.DROP, advice


def test_the_headings_are_those_of_the_source(netflix_study):
    """Its ten recommendations and three next steps, by what is judged together."""
    lines = netflix_study.recommendations.judged.index
    count = {line: HEADINGS.get(line, 1) for line in lines}
    assert set(STEPS) < set(lines) and all(count[step] == 1 for step in STEPS)
    assert sum(count[line] for line in lines if line not in STEPS) == 10
    assert count["genres"] == count["markets"] == 2 and count["offers"] == 0


def world(seed=2, n=4000, **columns):
    """Two devices of the source among four, up to 60 months, everybody alike."""
    rng = np.random.default_rng(seed)
    frame = subscribers(
        seed, n, device=rng.choice(["Mobile", "Tablet", "Laptop", "TV"], n),
        subscription_months=rng.integers(1, 61, n), engagement_rate=rng.integers(1, 11, n),
        region=rng.choice(["North", "South"], n), genre=rng.choice(["News", "Sport"], n),
        profiles=rng.integers(1, 6, n), support_queries=rng.poisson(3, n),
        promo_used=rng.integers(0, 2, n),
    ).assign(**columns)
    return frame.assign(churned=(rng.random(n) < 0.2).astype(int)), rng


def raised(frame, rng, where, rate=0.45):
    """Those marked churn more."""
    churned = np.where(where, rng.random(len(frame)) < rate, frame.churned == 1)
    return frame.assign(churned=churned.astype(int))


def test_what_is_planted_is_what_is_recommended():
    frame, rng = world()
    alike = verdicts(of_all_alike())
    assert alike["first_months"] == (Verdict.DROP, "alike")
    assert alike["after_year"] == (Verdict.KEEP, "alike")
    assert alike["genres"] == alike["markets"] == alike["devices"] == (Verdict.DROP, "alike")
    assert alike["support"] == (Verdict.DROP, "alike")
    assert alike["offers"] == (Verdict.DROP, "open")
    assert alike["test"] == alike["watch"] == (Verdict.KEEP, "planned")
    assert alike["feedback"] == (Verdict.CHANGE, "everybody")

    early = judged_by(raised(frame, rng, frame.subscription_months <= 3), "lengths")
    assert early["first_months"] == (Verdict.KEEP, "higher")
    later = judged_by(raised(frame, rng, frame.subscription_months > 3), "lengths")
    assert later["first_months"] == (Verdict.DROP, "lower")
    year = judged_by(raised(frame, rng, frame.subscription_months <= 12), "lengths")
    assert year["after_year"] == (Verdict.CHANGE, "lower")
    late = judged_by(raised(frame, rng, frame.subscription_months > 12), "lengths")
    assert late["after_year"] == (Verdict.KEEP, "higher")
    some = judged_by(
        raised(frame, rng, (frame.genre == "News") | (frame.profiles >= 3), 0.35), "traits")
    assert some["genres"] == (Verdict.CHANGE, "differs")
    assert some["profiles"] == (Verdict.DROP, "higher")
    few = judged_by(
        raised(frame, rng, (frame.profiles < 3) | (frame.region == "North"), 0.35), "traits")
    assert few["profiles"] == (Verdict.KEEP, "lower")
    assert few["markets"] == (Verdict.CHANGE, "differs")
    asked = judged_by(
        raised(frame, rng, (frame.support_queries > 3) | (frame.promo_used == 1)),
        "traits", "offers")
    assert asked["support"] == (Verdict.KEEP, "more")
    assert asked["offers"] == (Verdict.DROP, "more")
    quiet = judged_by(
        raised(frame, rng, (frame.support_queries < 3) | (frame.promo_used == 0)),
        "traits", "offers")
    assert quiet["support"] == (Verdict.DROP, "fewer")
    assert quiet["offers"] == (Verdict.KEEP, "fewer")


def test_devices_and_inactivity():
    frame, rng = world(3)
    behind = frame.assign(engagement_rate=np.where(
        frame.device.isin(["Mobile"]), rng.integers(1, 8, len(frame)), frame.engagement_rate))
    found = judged_by(behind, "devices")
    assert found["devices"] == (Verdict.KEEP, "lower")
    assert found["feedback"] == (Verdict.KEEP, "behind")
    ahead = frame.assign(engagement_rate=np.where(
        frame.device.isin(["Mobile", "Tablet"]), rng.integers(4, 11, len(frame)),
        frame.engagement_rate))
    found = judged_by(ahead, "devices")
    assert found["devices"] == (Verdict.DROP, "higher")
    assert found["feedback"] == (Verdict.CHANGE, "everybody")
    leaving = judged_by(raised(ahead, rng, frame.device == "TV"), "devices", "traits")
    assert leaving["devices"] == (Verdict.DROP, "higher")
    leaving = judged_by(raised(frame, rng, frame.device == "TV"), "devices", "traits")
    assert leaving["devices"] == (Verdict.CHANGE, "churn")
    idle = judged_by(raised(frame, rng, frame.engagement_rate < 4), "traits")
    assert idle["inactive"] == (Verdict.KEEP, "lower")
    busy = judged_by(raised(frame, rng, frame.engagement_rate > 7), "traits")
    assert busy["inactive"] == (Verdict.DROP, "higher")
    both = judged_by(
        raised(frame, rng, (frame.engagement_rate > 7) | (frame.daily_watch_hours < 2)), "traits")
    assert both["inactive"] == (Verdict.DROP, "mixed")


def test_an_end_of_churn_moves_the_reward():
    frame, _ = world(4)
    for last, expected in ((24, (Verdict.CHANGE, "ends")), (9, (Verdict.DROP, "ended"))):
        ended = frame.assign(churned=frame.churned * (frame.subscription_months <= last))
        found = judged_by(ended, "lengths")
        assert found["after_year"] == expected
        if last == 24:  # the first months are not shown to be worse, but when churn ends is
            assert found["first_months"] == (Verdict.CHANGE, "ends")


def test_a_reward_needs_somebody_who_leaves_after_a_year():
    """Few have been there for longer than a year and none of them has left: chance, perhaps."""
    frame = subscribers(7, 200).assign(
        subscription_months=np.r_[np.full(197, 5), np.full(3, 20)], churned=0)
    frame.loc[:19, "churned"] = 1
    assert judged_by(frame, "lengths")["after_year"] == (Verdict.DROP, "none")


@pytest.mark.parametrize("churned", [0, 1])
def test_without_leavers_or_stayers_nothing_can_be_judged(churned):
    found = judged(subscribers(5, 60, churned=churned))
    assert {found[k] for k in ("genres", "markets", "support", "profiles", "offers",
                                "first_months", "after_year", "inactive")} == {
        (Verdict.OPEN, "untold")}
    assert found["test"] == found["watch"] == (Verdict.OPEN, "gone" if churned else "untold")
    assert many_profiles(
        reduce(tables(subscribers(6, 30, churned=churned)).table("subscribers"))) is None


def test_where_nobody_at_risk_is_left_nothing_can_be_tested_or_watched():
    frame = subscribers(8, 300)
    frame = frame.assign(churned=(frame.subscription_months <= 5).astype(int))
    found = judged_by(frame, "plans")
    assert found["test"] == found["watch"] == (Verdict.OPEN, "gone")
