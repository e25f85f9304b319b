"""The engagement project's claims on tables that bear them out, and on others."""

from __future__ import annotations

from dataclasses import replace

import ibis
import numpy as np
import pandas as pd
import pytest

from analysis.claims import ENGAGEMENT, engagement
from analysis.claims.claim import Cause, Unseen, Verdict, judge
from analysis.sources import Tables, open_study

SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict
SCHEMA = {
    "student_id": "int64", "student_country": "string", "paid": "int64",
    "minutes_watched_21": "float64", "minutes_watched_22": "float64",
}


def verdicts(frame: pd.DataFrame) -> dict[str, Verdict]:
    table = ibis.memtable(frame[list(SCHEMA)], schema=SCHEMA)
    measured = engagement.measure(Tables("engagement", "a test", False, False, {"students": table}))
    return {f.claim.key: f.verdict for f in judge(ENGAGEMENT.claims, measured)}


def students(
    seed=1, n=1500, *, paid=1.0, free=1.0, india=1.0, came=1.0, stay=0.2, tail=0.3
) -> pd.DataFrame:
    """Students whose minutes, or whose number, change by a factor from one quarter to the next.

    `india` multiplies the second quarter's minutes there, `tail` is the sd of the logarithms.
    """
    rng = np.random.default_rng(seed)
    parts = []
    for plan, factor in ((1, paid), (0, free)):
        after = round(n * came)
        before, later, both = (
            30 * np.exp(rng.normal(0, tail, (2, size))) for size in (n, after, round(n * stay)))
        country = rng.choice(["US", "IN"], after)
        there = np.where((country == "IN") & (plan == 0), india, 1)
        parts += [
            pd.DataFrame({"paid": plan, "minutes_watched_21": before[0]}),
            pd.DataFrame({"paid": plan, "minutes_watched_22": factor * there * later[0],
                          "student_country": country}),
            pd.DataFrame({"paid": plan, "minutes_watched_21": both[0],
                          "minutes_watched_22": factor * both[1], "student_country": "DE"}),
        ]
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(student_id=range(len(frame)))


@pytest.fixture(scope="module")
def measured():
    return engagement.measure(open_study("engagement", "data"))


@pytest.fixture(scope="module")
def published(measured):
    return {f.claim.key: f for f in judge(ENGAGEMENT.claims, measured)}


def test_every_published_figure_holds(published):
    printed = {c.key for c in ENGAGEMENT.claims if c.kind.__name__ == "Printed"}
    assert len(printed) == 9
    # The synthetic free plan comes near to the published mean of those with a low first quarter,
    # but not to the minute.
    wrong = {"described_low_free"}
    assert {key for key in printed if published[key].verdict is CONTRADICTED} == wrong
    assert all(published[key].verdict is SUPPORTED for key in printed - wrong)


def test_printed_numbers_of_low_quarters_are_counted_and_averaged(measured, published):
    for plan in ("paid", "free"):
        low, found = measured.low[plan], published[f"described_low_{plan}"].evidence
        pairs = pd.DataFrame({"before": low.before, "after": low.after})
        assert [f for _, _, f in found.numbers] == pytest.approx(
            [len(pairs), *pairs.mean(), *pairs.median()])
    few = replace(measured, low={plan: replace(p, before=p.before[1:], after=p.after[1:])
                                 for plan, p in measured.low.items()})
    assert all(f.verdict is CONTRADICTED for f in judge(ENGAGEMENT.claims, few)
               if f.claim.key.startswith("described_low"))


def test_rows_of_tables_do_not_pass_for_quotations():
    told = {c.key for c in ENGAGEMENT.claims if not c.verbatim}
    assert told == {c.key for c in ENGAGEMENT.claims if c.kind.__name__ == "Printed"} | {"low_rise"}


def test_verdicts_agree_with_the_study(measured, published):
    for plan, key in (("paid", "paid_rise"), ("free", "free_rise")):
        test = measured.comparisons[plan].welch
        evidence = published[key].evidence
        assert evidence.estimate.estimate == pytest.approx(-test.estimate)
        assert evidence.p_value == pytest.approx(2 * min(test.p_value, 1 - test.p_value))
    alike = published["countries_alike"].evidence
    assert alike.p_within == pytest.approx(measured.countries.equivalence.p_value)
    assert {key: published[key].verdict for key in (
        "paid_rise", "free_rise", "paid_typical", "free_typical", "countries_alike")} == {
        "paid_rise": SUPPORTED, "free_rise": CONTRADICTED, "paid_typical": NOT,
        "free_typical": CONTRADICTED, "countries_alike": NOT}


def test_nothing_tells_what_the_features_did(published):
    kinds = [c for c in ENGAGEMENT.claims if c.kind in (Cause, Unseen)]
    assert len(kinds) == 8
    assert all(published[c.key].verdict is UNTELLABLE for c in kinds)


def test_where_all_watch_more_and_the_countries_are_alike():
    found = verdicts(students(paid=1.3, free=1.3, came=1.5))
    for key in ("paid_rise", "free_rise", "paid_typical", "free_typical", "larger_audience",
                "countries_alike", "enough_for_means"):
        assert found[key] is SUPPORTED, key
    assert found["described_paid_2021"] is CONTRADICTED
    assert found["features_increase"] is UNTELLABLE


def test_where_all_watch_less_and_the_countries_differ():
    found = verdicts(students(paid=0.7, free=0.7, came=0.6, india=2.0))
    for key in ("paid_rise", "paid_typical", "larger_audience", "countries_alike"):
        assert found[key] is CONTRADICTED, key


def test_where_nothing_changes():
    found = verdicts(students(n=300))
    for key in ("paid_rise", "free_rise", "paid_typical", "free_typical", "larger_audience"):
        assert found[key] is NOT, key


def test_few_students_with_a_long_tail_have_no_normal_mean():
    assert verdicts(students(n=60, tail=2.0))["enough_for_means"] is CONTRADICTED


def test_other_countries_are_not_these():
    frame = students(n=300).replace({"student_country": {"IN": "FR", "US": "BR"}})
    found = verdicts(frame)
    for key in ("countries_alike", "described_us", "described_india"):
        assert found[key] is UNTELLABLE, key


def test_a_larger_audience_counts_those_who_left():
    frame = students(n=200)
    only_left = frame.minutes_watched_22.isna()
    assert verdicts(frame[~only_left | (frame.index % 4 == 0)])["larger_audience"] is SUPPORTED
