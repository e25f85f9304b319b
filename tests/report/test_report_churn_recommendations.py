"""Every reason for every verdict is told, and is the one that was found."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
from test_churn_reductions import subscribers, tables

from analysis import churn
from analysis.churn.recommendations import Verdict
from analysis.report import text
from analysis.report.churn import recommendations as report

REASONS = {
    "first_months": ("higher", "lower", "alike"), "genres": ("differs", "alike"),
    "after_year": ("ends", "ended", "lower", "higher", "alike"),
    "inactive": ("lower", "higher", "alike"), "devices": ("lower", "churn", "alike"),
    "support": ("more", "fewer", "alike"), "profiles": ("lower", "higher", "alike"),
    "markets": ("differs", "alike"), "offers": ("fewer", "more", "open"), "test": ("planned",),
    "watch": ("planned",), "feedback": ("planned",),
}


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


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
    counts = shipped.recommendations.judged.verdict.value_counts()
    assert f"{counts[Verdict.DROP]} are dropped" in said
    assert f"{counts[Verdict.KEEP]} are kept" in said


def test_numbers_are_the_results(shipped):
    row = shipped.offers.effects.loc["promo_used"]
    assert text.percent(row.exposed_rate) in report.why(shipped, "offers")
    test = shipped.recommendations.profiles
    assert text.p_value(test.p_value) in report.why(shipped, "profiles")
    assert text.number(2 * shipped.plans.sizes.group.iloc[1]) in report.why(shipped, "test")
    tail = shipped.lengths.tail
    assert f"month {tail.month}" in report.why(shipped, "after_year")
    assert "payment history" in report.unaddressed(shipped) and "payment" in report.own(shipped)


def test_without_anything_unaddressed_that_is_said(shipped):
    none = replace(
        shipped, recommendations=replace(shipped.recommendations, unaddressed=()))
    assert "some recommendation speaks" in report.unaddressed(none)
    assert "Begin with" not in report.own(none) and report.own(none).startswith("1. ")
    assert "mentioned in none" not in report.answer(none)


CASES = {
    "one": subscribers(1, 1), "two": subscribers(2, 2), "nobody": subscribers(3, 60, churned=0),
    "everybody": subscribers(4, 60, churned=1), "forty": subscribers(5, 40),
    "markup": subscribers(6, 400, genre="<b>=| `x` $a_$", device="# 2.0 [now](x)"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_sentence_on_odd_tables(case):
    s = churn.analyse(tables(CASES[case]))
    for function in (report.judged, report.verdicts, report.unaddressed, report.own, report.answer):
        said = function(s)
        assert isinstance(said, text.Prose) and said
        assert not re.search(r"\b(nan|inf|None)\b", said), (function.__name__, said)
        assert "<b>" not in said and "[now](" not in said
    if case in ("nobody", "everybody"):
        who = "Nobody" if case == "nobody" else "Everybody"
        assert who in report.judged(s) and who in report.own(s) and who in report.unaddressed(s)
