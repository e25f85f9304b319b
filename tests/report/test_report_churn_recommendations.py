"""Every reason for every verdict is told, and is the one that was found."""

import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
import held
from test_churn_reductions import subscribers

from analysis.churn import devices, lengths, mix, model, offers, plans, reductions, retention
from analysis.churn import recommendations as study
from analysis.churn import traits as alone
from analysis.churn.recommendations import Verdict
from analysis.report import text
from analysis.report.churn import recommendations as report

REASONS = {
    "first_months": ("higher", "lower", "ends", "alike"), "genres": ("differs", "alike"),
    "after_year": ("ends", "ended", "none", "lower", "higher", "alike"),
    "inactive": ("lower", "higher", "mixed", "alike"),
    "devices": ("lower", "higher", "churn", "unnamed", "alike"),
    "support": ("more", "fewer", "alike"), "profiles": ("lower", "higher", "alike"),
    "markets": ("differs", "alike"), "offers": ("fewer", "more", "open"),
    "test": ("planned", "gone"), "watch": ("planned", "gone"), "feedback": ("behind", "everybody"),
}


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


def judged(frame):
    """The study of a table, as far as recommendations go: without queries and the table's origin.

    Those are a quarter of a study's work, and what is said here reads none of them.
    """
    table = held.subscribers(frame)
    base = reductions.reduce(table)
    parts = {
        "traits": alone.traits(base, table), "lengths": lengths.lengths(base),
        "offers": offers.offers(base, table), "devices": devices.devices(base, table),
        "model": model.model(table, base), "plans": plans.plans(base)}
    return SimpleNamespace(
        **vars(base), **parts, mix=mix.mix(base), retention=retention.retention(parts["model"]),
        recommendations=study.recommendations(base, **parts))


def with_(s, advice, verdict, reason):
    judged = s.recommendations.judged.copy()
    judged.loc[advice] = [verdict, reason]
    return replace(s, recommendations=replace(s.recommendations, judged=judged))


def test_every_reason_has_a_sentence_of_its_own(shipped):
    assert set(REASONS) == set(report.ADVICE) == set(shipped.recommendations.judged.index)
    for advice, reasons in REASONS.items():
        said = {report.why(with_(shipped, advice, Verdict.KEEP, r), advice) for r in reasons}
        assert len(said) == len(reasons)
        for sentence in said:
            assert isinstance(sentence, text.Prose)
            assert not re.search(r"\b(nan|inf|None)\b", sentence), sentence


def test_the_list_says_each_verdict_once(shipped):
    lines = report.judged(shipped).splitlines()
    assert len(lines) == len(report.ADVICE)
    for line, (advice, row) in zip(
        lines, shipped.recommendations.judged.iterrows(), strict=True
    ):
        assert line.startswith(f"- **{report.ADVICE[advice]}.** *{report.VERDICTS[row.verdict]}.* ")
    said = report.verdicts(shipped)
    rows = shipped.recommendations.judged.verdict
    # By the source's headings: two lines stand for two each, and one for none.
    weight = {"genres": 2, "markets": 2, "offers": 0}
    counts = {v: sum(weight.get(a, 1) for a in rows.index[rows == v]) for v in Verdict}
    assert sum(counts.values()) == 13
    assert said.startswith("Of the source’s 10 recommendations and 3 next steps ")
    for verdict, word in (("KEEP", "kept"), ("CHANGE", "changed"), ("DROP", "dropped")):
        assert f"{counts[Verdict[verdict]]} are {word}" in said
    other = with_(shipped, "offers", Verdict.DROP, "more")
    assert report.verdicts(other) == said
    other = with_(shipped, "genres", Verdict.KEEP, "alike")
    assert f"{counts[Verdict.DROP] - 2} are dropped" in report.verdicts(other)
    one = with_(with_(shipped, "test", Verdict.OPEN, "gone"), "devices", Verdict.CHANGE, "churn")
    assert "1 is kept, 4 are changed, 7 are dropped and 1 is left open" in report.verdicts(one)


def test_numbers_are_the_results(shipped):
    row = shipped.offers.effects.loc["promo_used"]
    assert text.percent(row.exposed_rate) in report.why(shipped, "offers")
    test = shipped.recommendations.profiles
    assert text.p_value(test.p_value) in report.why(shipped, "profiles")
    assert text.number(2 * shipped.plans.sizes.group.iloc[1]) in report.why(shipped, "test")
    tail = shipped.lengths.tail
    assert f"month {tail.month}" in report.why(shipped, "after_year")
    said = report.unaddressed(shipped)
    assert "No recommendation speaks of payment history or satisfaction score" in said
    direction = shipped.traits.direction
    hours, rate = (
        text.percent(direction.loc[c, "superiority"])
        for c in ("daily_watch_hours", "engagement_rate"))
    said = report.why(shipped, "inactive")
    assert f"is {hours} by hours watched a day (" in said
    assert f"and {rate} by engagement rate (" in said


def test_two_rates_stand_in_the_order_of_the_words(shipped):
    """After a year first, since the sentence is about that, against the first year."""
    rows = shipped.lengths.comparisons.copy()
    rows.loc["first_year_less_later", ["rate_a", "rate_b", "difference", "low", "high"]] = (
        0.25, 0.588, -0.338, -0.5, -0.1)
    other = replace(shipped, lengths=replace(shipped.lengths, comparisons=rows))
    order = (
        "(58.8% against 25.0%, difference 33.8 points, 95% interval 10.0\xa0to\xa050.0; corrected")
    for reason in ("lower", "higher", "alike"):
        said = report.why(with_(other, "after_year", Verdict.KEEP, reason), "after_year")
        assert order in said and "of more than 12 months have churned" in said.split(order)[0]
    rows.loc["first_year_less_later", ["rate_a", "rate_b", "difference", "low", "high"]] = (
        0.4, 0.1, 0.3, 0.2, 0.45)
    lower = report.why(with_(other, "after_year", Verdict.CHANGE, "lower"), "after_year")
    order = "(10.0% against 40.0%, difference −30.0 points, 95% interval −45.0\xa0to\xa0−20.0;"
    assert order in lower


def test_devices_of_other_names_are_not_called_equal():
    frame = subscribers(9, 300, device=["Phone", "TV", "PC"] * 100)
    s = judged(frame)
    assert tuple(s.recommendations.judged.loc["devices"]) == (Verdict.OPEN, "unnamed")
    assert "called mobile or tablet, as the source has it" in report.why(s, "devices")
    named = judged(frame.assign(device=["mobile", "TV", "PC"] * 100))
    assert tuple(named.recommendations.judged.loc["devices"]) == (Verdict.DROP, "alike")
    assert "that mobile or tablet lie behind is not shown" in report.why(named, "devices")


def test_where_no_trait_is_found_no_recommendation_is_said_to_speak_of_it(shipped):
    s = judged(subscribers(45, 45, churned=[0, 0, 1] * 15))
    assert s.model.fit is None and not s.traits.tests["found"].any()
    assert report.unaddressed(s) == (
        "No trait is found to go with churn, so there is none that the recommendations leave out.")
    # Without a model the evidence is in the section on single traits.
    found = SimpleNamespace(**vars(s) | {
        "recommendations": replace(s.recommendations, unaddressed=("age",))})
    assert "though the evidence does (@sec-netflix-traits)" in report.unaddressed(found)
    assert "speaks of it (@sec-netflix-traits)" in report.own(found)
    assert "though the evidence does (@sec-netflix-model)" in report.unaddressed(shipped)
    assert "speaks of it (@sec-netflix-model)" in report.own(shipped)


def test_pairs_of_genres_none_of_which_differ(shipped):
    tests = shipped.mix.tests.copy()
    for shown, said in ((0, "none is"), (1, "1 is"), (2, "2 are")):
        tests.loc["genre", "pairs_shown"] = shown
        other = replace(shipped, mix=replace(shipped.mix, tests=tests))
        assert f"pairs of genres, {said} shown to differ" in report.why(other, "genres")


def test_what_to_do_names_whom_it_can_reach(shipped):
    said = report.own(shipped)
    assert "Find out what lies behind late payment, whether" in said
    called = int(shipped.retention.policies.loc["model", "called"])
    assert (
        f"The rule names {called} subscribers of 3,500; {shipped.retention.still_here} of them are "
        "still there to be called") in said
    assert "1,003 are still there" in said and "28.4%" in said
    gone = replace(shipped, retention=replace(shipped.retention, still_here=0))
    assert "nobody of them is still there to be called" in report.own(gone)
    policies = shipped.retention.policies.assign(net_low=-1.0)
    poor = replace(shipped, retention=replace(shipped.retention, policies=policies))
    assert "Call by risk" not in report.own(poor)
    scores = replace(shipped, recommendations=replace(
        shipped.recommendations, unaddressed=("satisfaction_score",)))
    assert "lies behind the differences by satisfaction score" in report.own(scores)
    tests = shipped.traits.tests.copy()
    tests.loc["payment_history", "highest"] = "On-Time"
    other = replace(shipped, traits=replace(shipped.traits, tests=tests))
    assert "late payment" not in report.own(other)


def test_a_month_is_not_told_by_the_share_who_ever_churned(shipped):
    limits = shipped.plans.limits
    said = report.why(shipped, "watch")
    assert f"{limits.low} to {limits.high} of the 1,003 still there" in said
    assert "if lengths are lifetimes" in said and "1,400" not in said and "448" not in said


def test_without_anything_unaddressed_that_is_said(shipped):
    none = replace(
        shipped, recommendations=replace(shipped.recommendations, unaddressed=()))
    assert "some recommendation speaks" in report.unaddressed(none)
    assert "Begin with" not in report.own(none) and report.own(none).startswith("1. ")
    assert "mentioned in none" not in report.answer(none)


CASES = {
    "one": subscribers(1, 1), "two": subscribers(2, 2), "nobody": subscribers(3, 60, churned=0),
    "everybody": subscribers(4, 60, churned=1), "forty": subscribers(5, 40),
    "gone": subscribers(7, 300).pipe(
        lambda f: f.assign(churned=(f.subscription_months <= 5).astype(int))),
    "markup": subscribers(6, 400, genre="<b>=| `x` $a_$", device="# 2.0 [now](x)"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_sentence_on_odd_tables(case):
    s = judged(CASES[case])
    for function in (report.judged, report.verdicts, report.unaddressed, report.own, report.answer):
        said = function(s)
        assert isinstance(said, text.Prose) and said
        assert not re.search(r"\b(nan|inf|None)\b", said), (function.__name__, said)
        assert "<b>" not in said and "[now](" not in said
    if case in ("nobody", "everybody"):
        who = "Nobody" if case == "nobody" else "Everybody"
        assert who in report.judged(s) and who in report.own(s) and who in report.unaddressed(s)
    if case == "gone":
        gone = "Everybody in the first 5 months has churned, and nobody later, so nobody at risk is"
        for line in ("test", "watch"):
            assert report.why(s, line).startswith(gone)
        assert "Test offers" not in report.own(s) and "are left open" in report.verdicts(s)
