"""The rules that turn evidence into verdicts, and what holds for the claims of all sources."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from analysis.claims import SOURCES
from analysis.claims.claim import (
    ALPHA,
    KINDS,
    Arithmetic,
    CannotTell,
    Cause,
    Claim,
    Counted,
    Difference,
    Direction,
    Equality,
    Found,
    Printed,
    Source,
    Unseen,
    Verdict,
    judge,
)
from analysis.stats.intervals import Interval

ROOT = Path(__file__).resolve().parents[2]
SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict
unit = st.floats(0, 1)
real = st.floats(-5, 5)


def interval(low: float, high: float) -> Interval:
    return Interval((low + high) / 2, low, high, 0.95, "made up")


def direction(low, high, p=0.01, **more) -> Direction:
    return Direction(said="", estimate=interval(low, high), p_value=p, **more)


def difference(p, p_small) -> Difference:
    return Difference(said="", effect=interval(0, 1), p_value=p, p_small=p_small)


def equality(low, high, within=0.01, beyond=0.01) -> Equality:
    return Equality(said="", estimate=interval(low, high), low=-1, high=1, p_within=within,
                    p_beyond=beyond)


def claims(*evidence) -> list[Claim]:
    return [Claim(f"c{i}", "a quote", "A statement.", type(e), None, False, lambda s, e=e: e)
            for i, e in enumerate(evidence)]


def verdicts(*evidence) -> list[Verdict]:
    return [finding.verdict for finding in judge(claims(*evidence), None)]


# The rules.


@given(st.integers(-10**6, 10**6), st.integers(0, 3), st.integers(-2000, 2000))
def test_a_printed_number_holds_if_the_found_one_rounds_to_it(last, digits, thousandths):
    printed = last / 10**digits
    found = Decimal(last).scaleb(-digits) + Decimal(thousandths).scaleb(-3 - digits)
    assume(abs(thousandths) not in (499, 500, 501))
    rounded = found.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    verdict = Printed(said="", numbers=((printed, digits, float(found)),)).verdict(None)
    assert verdict is (SUPPORTED if rounded == Decimal(last).scaleb(-digits) else CONTRADICTED)


def test_of_several_printed_numbers_all_must_hold():
    assert Printed(said="", numbers=((7.2, 1, 7.16), (3, 0, 3.4))).verdict(None) is SUPPORTED
    assert Printed(said="", numbers=((7.2, 1, 7.16), (3, 0, 3.6))).verdict(None) is CONTRADICTED
    assert Printed(said="", numbers=((7.2, 1, 7.02),)).verdict(None) is CONTRADICTED


@given(real, real, real, unit, st.booleans())
def test_a_direction_needs_the_whole_interval_and_a_small_p(a, b, null, p, below):
    low, high = sorted((a, b))
    found = direction(low, high, p, null=null, below=below).verdict(p)
    if p > ALPHA or low <= null <= high:
        assert found is NOT
    else:
        assert found is (SUPPORTED if (high < null) == below else CONTRADICTED)
    # The opposite claim has the opposite verdict.
    opposite = direction(low, high, p, null=null, below=not below).verdict(p)
    assert {found, opposite} in ({NOT}, {SUPPORTED, CONTRADICTED})


@given(real, real, unit)
def test_equality_is_never_concluded_from_not_finding_a_difference(a, b, p):
    low, high = sorted((a, b))
    found = equality(low, high).verdict(p)
    if found is SUPPORTED:
        assert max(-low, high) < 1 and p <= ALPHA
    elif found is CONTRADICTED:
        assert (low > 1 or high < -1) and p <= ALPHA
    else:
        assert p > ALPHA or any(low <= margin <= high for margin in (-1, 1))


@given(unit, unit)
def test_groups_that_differ(p, p_small):
    found = verdicts(difference(p, p_small))[0]
    if p <= ALPHA:
        assert found is SUPPORTED
    elif p_small <= ALPHA:
        assert found is CONTRADICTED
    else:
        assert found is NOT


def test_what_needs_no_test():
    assert verdicts(
        Counted(said="", holds=True), Counted(said="", holds=False),
        Arithmetic(said="", holds=True), Arithmetic(said="", holds=False),
        Found(said="", found=2), Found(said="", found=0), Cause(said=""), Unseen(said=""),
    ) == [SUPPORTED, CONTRADICTED, SUPPORTED, CONTRADICTED, SUPPORTED, NOT, UNTELLABLE, UNTELLABLE]


# The family.


def step_down(p_values: list[float]) -> list[float]:
    """Holm's method, one p-value after another."""
    adjusted, worst = {}, 0.0
    for rank, i in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[i] * (len(p_values) - rank)))
        adjusted[i] = worst
    return [adjusted[i] for i in range(len(p_values))]


@given(st.lists(unit, min_size=1, max_size=8), st.integers(0, 3))
def test_p_values_are_corrected_as_one_family(p_values, others):
    evidence = [direction(1, 2, p) for p in p_values]
    findings = judge(claims(*evidence, *[Counted(said="", holds=True)] * others), None)
    expected = step_down(p_values)
    assert [f.p_adjusted for f in findings[:len(p_values)]] == pytest.approx(expected)
    assert all(f.p_adjusted is None for f in findings[len(p_values):])
    assert [f.verdict is SUPPORTED for f in findings[:len(p_values)]] == [
        p <= ALPHA for p in expected]


def test_a_claim_that_holds_alone_may_not_hold_among_many():
    assert verdicts(direction(1, 2, 0.03)) == [SUPPORTED]
    assert verdicts(direction(1, 2, 0.03), direction(-1, 2, 0.6)) == [NOT, NOT]
    assert verdicts(equality(-0.5, 0.5, 0.03, 0.9), direction(-1, 2, 0.6)) == [NOT, NOT]
    assert verdicts(difference(0.9, 0.03), direction(-1, 2, 0.6)) == [NOT, NOT]


def test_evidence_that_interval_and_p_disagree_on_decides_nothing():
    assert verdicts(direction(-0.1, 2, 0.01), direction(0.1, 2, 0.2)) == [NOT, NOT]


def test_what_a_table_lacks_cannot_be_told():
    def test(s):
        raise CannotTell("there is no {what}", what="such thing")

    claim = Claim("c", "q", "S.", Direction, None, False, test)
    finding, other = judge([claim, *claims(direction(1, 2, 0.04))], None)
    assert finding.verdict is UNTELLABLE and finding.claim.kind is Direction
    assert finding.evidence.values == {"what": "such thing"} and finding.p_adjusted is None
    assert other.verdict is SUPPORTED  # it is not corrected for a test that was not made


def test_a_test_must_return_what_its_claim_names():
    claim = Claim("c", "q", "S.", Direction, None, False, lambda s: Cause(said=""))
    with pytest.raises(TypeError, match="c: Cause is no Direction"):
        judge([claim], None)


def test_a_function_becomes_a_claim():
    source = Source(study="netflix", name="N", measure=lambda t, s: t, planted=True)

    @source.claim(Counted, "we are many", where="sec-x")
    def many(s):
        """There are more
        than one."""
        return Counted(said="{n}", values={"n": s}, holds=s > 1)

    @source.claim(Unseen, "and happy", planted=False, statement="All of them.")
    def happy(s):
        return Unseen(said="nobody asked")

    first, second = source.claims
    assert (first.key, first.quote, first.statement, first.where, first.planted) == (
        "many", "we are many", "There are more than one.", "sec-x", True)
    assert (second.statement, second.where, second.planted) == ("All of them.", None, False)
    assert [f.verdict for f in judge(source.claims, 2)] == [SUPPORTED, UNTELLABLE]
    assert many(1).verdict(None) is CONTRADICTED


# All sources.


def test_every_source_has_its_claims():
    counts = {source.study: len(source.claims) for source in SOURCES}
    assert list(counts) == ["engagement", "customers", "mooc", "netflix", "trialers"]
    assert counts["netflix"] >= 25 and sum(counts.values()) >= 40
    assert {claim.kind for source in SOURCES for claim in source.claims} == set(KINDS)


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.study)
def test_claims_are_complete(source):
    keys = [claim.key for claim in source.claims]
    assert len(set(keys)) == len(keys)
    pairs = [(claim.quote, claim.statement) for claim in source.claims]
    assert len(set(pairs)) == len(pairs)
    for claim in source.claims:
        assert claim.quote.strip() == claim.quote != "" and "“" not in claim.quote
        assert re.fullmatch(r"[A-Z].*[^ .]\.", claim.statement), claim.statement


@pytest.mark.parametrize("source", SOURCES, ids=lambda s: s.study)
def test_claims_lead_to_sections_of_the_book(source):
    chapters = "".join(p.read_text(encoding="utf-8") for p in ROOT.glob("chapters/*.qmd"))
    sections = set(re.findall(r"\{#(sec-[\w-]+)\}", chapters))
    named = {claim.where for claim in source.claims} - {None}
    assert all(re.fullmatch(f"sec-{source.study}-[a-z-]+", name) for name in named)
    if f"sec-{source.study}" in sections:  # its chapter is written
        assert named <= sections
