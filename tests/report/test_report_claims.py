"""The audit in words: numbers in their places, counts that agree, the chapter on other tables."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import every_sentence
import plotnine as p9
import pytest
import small_tables

from analysis import claims
from analysis.claims.claim import (
    KINDS,
    Arithmetic,
    Audit,
    CannotTell,
    Cause,
    Direction,
    Printed,
    Source,
    Unseen,
    Verdict,
    judge,
)
from analysis.report import claims as report
from analysis.report.text import Prose
from analysis.sources import open_study
from analysis.stats.intervals import Interval

CHAPTER = Path("chapters/claims.qmd")
SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict
OF_ALL = (report.counts_table, report.kinds_table, report.counts_sentence, report.answer,
          report.printed, report.own_figures, report.comparisons, report.causes, report.advice,
          report.planted)


def audited(*evidence, shipped=True, fallback=False, planted=False, where=None, quote="so it is",
            name="Films"):
    """An audit of made-up claims."""
    source = Source(study="netflix", name=name, measure=lambda tables, study: None)
    for i, found in enumerate(evidence):
        def test(s, found=found):
            return found
        test.__name__ = f"claim_{i}"
        source.claim(type(found), f"{quote} {i}", where=where, planted=planted,
                     statement="It must be so.")(test)
    return Audit(source, judge(source.claims, None), "a place", shipped, fallback)


def direction(low, high, p):
    return Direction(
        said="{gap:2}", values={"gap": Interval((low + high) / 2, low, high, 0.95, "")},
        estimate=Interval((low + high) / 2, low, high, 0.95, ""), p_value=p)


RIGHT, WRONG = (
    Printed(said="{n:film}", values={"n": n}, numbers=((3, 0, n),)) for n in (3, 4))


# Numbers in their places.


@pytest.mark.parametrize("form, value, printed", [
    ("", 12345, "12,345"), (":2", -0.5, "−0.50"), (":1%", 0.1234, "12.3%"), (":0%", 0.64, "64%"),
    (":student", 1, "1 student"), (":student", 2, "2 students"),
    (":query:queries", 3, "3 queries"), ("", "Champions", "Champions"),
    (":day", "2021-05-05", "5\u00a0May\u00a02021"), (":1", float("nan"), "–"),
])
def test_places_print_their_values(form, value, printed):
    assert report.filled(f"{{x{form}}}", {"x": value}) == printed


@pytest.mark.parametrize("form, printed", [
    ("points", "−8.7 points (95% interval −11.1\u00a0to\u00a0−6.5)"),
    ("1%", "−8.7% (95% interval −11.1%\u00a0to\u00a0−6.5%)"),
    ("2", "−0.09 (95% interval −0.11\u00a0to\u00a0−0.07)"),
])
def test_intervals_print_their_ends(form, printed):
    gap = Interval(-0.087, -0.111, -0.065, 0.95, "")
    assert report.filled(f"{{gap:{form}}}", {"gap": gap}) == printed


@pytest.mark.parametrize("form, low, high, printed", [
    ("points", 0.0004, 0.0340, "0.04\u00a0to\u00a03.40"),
    ("points", -0.0340, -0.00002, "−3.400\u00a0to\u00a0−0.002"),
    ("points", 0.0, 0.0340, "0.0\u00a0to\u00a03.4"),
    ("points", 0.0006, 0.02, "0.1\u00a0to\u00a02.0"),
    ("2", -0.001, 0.5, "−0.001\u00a0to\u00a00.500"),
    ("1%", -0.2, 0.0001, "−20.00%\u00a0to\u00a00.01%"),
    ("3", 0.0, 0.057, "0.000\u00a0to\u00a00.057"),
    ("points", -1e-17, 0.03, "0.0\u00a0to\u00a03.0"),
])
def test_an_end_beside_0_does_not_look_like_0(form, low, high, printed):
    gap = Interval((low + high) / 2, low, high, 0.95, "")
    assert report.filled(f"{{gap:{form}}}", {"gap": gap}).endswith(f"(95% interval {printed})")


def test_evidence_is_a_sentence_with_its_corrected_p():
    first, second = audited(
        direction(1, 2, 0.01), Unseen(said="nobody {who}", values={"who": "asked"})).findings
    assert report.evidence(first) == (
        "1.50 (95% interval 1.00\u00a0to\u00a02.00); corrected p\u00a0=\u00a00.010.")
    assert report.evidence(second) == "Nobody asked."


# Tables.


def cells(table: Prose) -> list[list[str]]:
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
            for row in table.splitlines()[2:]]


def test_a_row_says_what_was_claimed_found_and_where():
    audit = audited(RIGHT, planted=True, where="sec-netflix-offers")
    (claim, verdict, evidence, where), = cells(report.claims_table(audit))
    assert claim == "*“so it is 0”*. It must be so\\." and evidence == "3 films\\."
    assert verdict == "Supported°" and where == "@sec-netflix-offers"
    assert "-:" not in report.claims_table(audit).splitlines()[1]  # all of it is text, set left
    (_, verdict, _, where), = cells(report.claims_table(audited(RIGHT, planted=False)))
    assert verdict == "Supported" and where == "–"
    # On other tables nothing was planted, and what cannot be told rests on nothing.
    (_, verdict, _, _), = cells(report.claims_table(audited(RIGHT, planted=True, shipped=False)))
    assert verdict == "Supported"
    (_, verdict, _, _), = cells(report.claims_table(audited(Unseen(said="no"), planted=True)))
    assert verdict == "Cannot be told"


def test_only_the_sources_words_stand_in_quotation_marks():
    audit = audited(WRONG)
    told = replace(audit, findings=tuple(
        replace(f, claim=replace(f.claim, verbatim=False)) for f in audit.findings))
    (claim, *_), = cells(report.claims_table(told))
    assert claim == "*so it is 0*. It must be so\\."
    assert report.printed([told]).endswith("that which cannot: *so it is 0*.")
    assert report.printed([audit]).endswith("that which cannot: “so it is 0”.")


def test_names_in_the_tables_stay_text():
    for name in every_sentence.HOSTILE:
        audit = audited(Cause(said="{name}", values={"name": name}), quote=name)
        for text in (report.claims_table(audit), report.own_figures([audit])):
            every_sentence.check(text, name)


def test_counts_add_up():
    audits = [
        audited(RIGHT, WRONG, direction(1, 2, 0.001), Unseen(said="no")),
        audited(direction(-1, 2, 0.5), Cause(said="no"), Arithmetic(said="no", holds=False),
                name="Series"),
    ]
    first, second, total = cells(report.counts_table(audits))
    assert first[1:] == ["4", "2", "0", "1", "1"] and second[1:] == ["3", "0", "1", "1", "1"]
    assert total == ["All", "7", "2", "1", "2", "2"]
    kinds = cells(report.kinds_table(audits))
    assert [sum(int(row[i]) for row in kinds) for i in range(1, 6)] == [7, 2, 1, 2, 2]
    assert len(kinds) == 5  # a kind without a claim has no row
    assert set(report.KIND_NAMES) == set(KINDS)
    assert report.counts_sentence(audits) == (
        "Of 7 published claims, 2 are supported, 1 is not supported, 2 are contradicted and "
        "2 cannot be told.")
    figure = report.counts_figure(audits)
    assert isinstance(figure, p9.ggplot) and figure.data.claims.sum() == 7
    figure.draw()


# Sentences.


def test_whose_tables():
    assert report.held_against(audited(RIGHT)).startswith("The claims are held against the shipped")
    assert "rests on what their generator planted" in report.held_against(
        audited(RIGHT, planted=True))
    own = report.held_against(audited(RIGHT, planted=True, shipped=False))
    assert "made about other tables than those of a place" in own and "planted" not in own
    assert own.endswith("Of 1 claim, 1 is supported.")
    fallback = report.held_against(audited(RIGHT, planted=True, fallback=True))
    assert fallback.startswith("Your data hold no tables for this study") and "°" in fallback
    assert "1 verdicts" not in report.planted([audited(RIGHT, planted=True)])
    assert "synthetic" in report.planted([audited(RIGHT, RIGHT, planted=True)])
    assert "their own tables" in report.planted([audited(RIGHT, shipped=False)])


def test_printed_numbers_and_own_figures():
    assert report.printed([audited(RIGHT, RIGHT)]) == "2 of 2 can be recomputed from these tables."
    assert report.printed([audited(RIGHT, WRONG)]).endswith("that which cannot: “so it is 1”.")
    both = report.printed([audited(WRONG, WRONG)])
    assert both.endswith("those which cannot: “so it is 0” and “so it is 1”.")
    fine, broken = (Arithmetic(said="", holds=holds) for holds in (True, False))
    assert report.own_figures([audited(fine)]).endswith("and it agrees.")
    assert report.own_figures([audited(fine, fine)]).endswith("and all agree with it.")
    assert "1 of them fails: “so it is 1”" in report.own_figures([audited(fine, broken)])
    assert "2 of them fail:" in report.own_figures([audited(broken, broken)])


def test_comparisons():
    assert "decide none" in report.comparisons([audited(RIGHT)])
    sure = report.comparisons([audited(direction(1, 2, 0.001))])
    assert sure == "Of 1 that could be tested, 1 is supported."
    assert "neither the claim nor its opposite" in report.comparisons(
        [audited(direction(-1, 2, 0.5))])


def test_causes_are_those_that_nobody_dealt_out():
    """Of a cause lots may say something all the same; what they dealt out was something else."""
    one = [audited(Cause(said="no"), Unseen(said="no"))]
    one_thing = "that one thing, which nobody dealt out by lot, brings another about"
    assert report.causes(one).startswith(f"1 claim says {one_thing}")
    assert "1 more speaks" in report.causes(one)
    two = [audited(Cause(said="no"), Cause(said="no"))]
    assert report.causes(two).startswith(f"2 claims say {one_thing}")
    assert f"of the 2 claims {one_thing}, no table" in report.answer(two)


def test_a_claim_that_these_tables_cannot_test_is_not_counted_as_tested():
    def test(s):
        raise CannotTell("there is no {what}", what="such thing")

    source = Source(study="netflix", name="Films", measure=lambda tables, study: None)
    source.claim(Direction, "more", statement="More.")(test)
    audit = Audit(source, judge(source.claims, None), "a place", True, False)
    assert "decide none" in report.comparisons([audit])
    assert "There is no such thing\\." in report.claims_table(audit)
    assert cells(report.kinds_table([audit])) == [["More, or less", "1", "0", "0", "0", "1"]]


# All sources, on small tables of other people.


def odd_subscribers():
    """Nobody has churned, all values of most columns are alike, and names are markup."""
    tables = small_tables.good("netflix")
    device, genre, region = every_sentence.HOSTILE
    alike = {"churned": "No", "device": device, "genre": genre, "region": region, "age": 30}
    tables["subscribers"] = [row | alike for row in tables["subscribers"]]
    return tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All five studies, small."""
    found = tmp_path_factory.mktemp("own")
    for source in claims.SOURCES:
        small_tables.write(found, source.study, small_tables.good(source.study))
    return found


def test_the_chapter_on_small_tables(folder):
    names, _ = every_sentence.run(CHAPTER, folder, draw=True)
    audits = names["audits"]
    assert not any(audit.shipped for audit in audits)
    for f in OF_ALL:
        text = f(audits)
        assert isinstance(text, Prose), f
        every_sentence.check(text, f.__name__)
        plain = re.sub(r"\\|\|", "", text)
        assert not re.search(r"(?<![\d.,])1 (claims|verdicts|subscribers|customers)\b", plain), f
        assert not re.search(r"[({]\s*[)}]|\.\.", plain), f
    for audit in audits:
        for finding in audit.findings:
            said = report.evidence(finding)
            assert "{" not in said and said.endswith(".") and ".." not in said, said
            assert not re.search(r"\b(nan|inf|None)\b", said), said


def test_an_odd_table(tmp_path):
    small_tables.write(tmp_path, "netflix", odd_subscribers())
    audit = claims.audit(claims.NETFLIX, open_study("netflix", tmp_path))
    table = report.claims_table(audit)
    every_sentence.check(table, "netflix")
    assert "Nobody in the table has churned\\." in table
    assert replace(audit, shipped=True).findings == audit.findings
