"""What the chapter says about lengths of subscription follows from the counts by month."""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.churn import lengths as study
from analysis.churn import reductions
from analysis.report.churn import lengths as report
from analysis.report.text import Prose

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
    and list(inspect.signature(f).parameters) == ["s"]
}


def made(month, n, churned):
    """The study of counts by month."""
    frame = pd.DataFrame({"month": month, "subscribers": n, "churned": churned})
    months = reductions.with_hazards(frame)
    return SimpleNamespace(lengths=study.lengths(SimpleNamespace(months=months)), months=months)


def drawn(rates, seed=1, n=60, first=1):
    month = np.arange(first, first + len(rates))
    return made(month, np.full(len(rates), n), np.random.default_rng(seed).binomial(n, rates))


months = np.arange(1, 49)
CASES = {
    "nobody": lambda: made([1, 5, 30], [9, 8, 7], [0, 0, 0]),
    "everybody": lambda: made([1, 5, 30], [9, 8, 7], [9, 8, 7]),
    "one length": lambda: made([7], [9], [3]),
    "one month": lambda: made([1], [9], [3]),
    "one subscriber": lambda: made([4], [1], [1]),
    "one who stays": lambda: made([0], [1], [0]),
    "two": lambda: made([3, 30], [1, 1], [1, 0]),
    "two, late": lambda: made([3, 30], [1, 1], [0, 1]),
    "three": lambda: made([0, 1, 13], [1, 1, 1], [1, 0, 1]),
    "all up to a month": lambda: made([1, 2, 9, 30], [4, 5, 40, 40], [4, 5, 0, 0]),
    "churn at one length": lambda: made([5, 9, 30], [6, 7, 80], [3, 0, 0]),
    "short": lambda: made([0, 1, 2], [30, 30, 30], [9, 8, 7]),
    "only old": lambda: made([30, 31, 40], [30, 30, 30], [9, 8, 7]),
    "no second year": lambda: made([1, 5, 10, 30], [90, 90, 90, 90], [40, 40, 40, 2]),
    "flat": lambda: drawn(np.full(48, 0.2), 5),
    "falling": lambda: drawn(np.linspace(0.5, 0.05, 48)),
    "early": lambda: drawn(np.where(months <= 3, 0.6, 0.15)),
    "early only": lambda: drawn(np.where(months <= 3, 0.3, 0.0)),
    "late": lambda: drawn(np.where(months > 30, 0.6, 0.15)),
    "second year worse": lambda: drawn(np.select([months <= 12, months <= 24], [0.3, 0.6], 0.02)),
    "first months better": lambda: drawn(np.where(months <= 3, 0.02, 0.3)),
    "after a year": lambda: drawn(np.where(months <= 12, 0.4, 0.1)),
    "uneven": lambda: made(np.arange(1, 21), np.full(20, 60), np.tile([2, 30], 10)),
    "hardly any": lambda: made([2, 20, 30], [500_000] * 3, [1, 0, 0]),
    "in days": lambda: made(np.arange(0, 1500, 5), np.full(300, 9), np.full(300, 2)),
}
DRAWN = ("in days", "two", "late")


@pytest.fixture(scope="module")
def cases():
    """Each study once, with fewer tables drawn than for the chapter: the sentences are the same."""

    @functools.cache
    def get(name):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(study, "RESAMPLES", 999)
            return CASES[name]()

    return get


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


@pytest.mark.parametrize("name", CASES)
def test_every_sentence_is_whole(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose) and found, (name, function)
        assert not re.search(r"\b(nan|inf|None(?! of)|NaT)\b", found), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|−−", found), (name, function, found)
        assert not re.search(r"(?<![\d.,−])1 (subscribers|months|lengths|others)\b", found), (
            name, function, found)
        if "|" not in found:
            assert found.endswith(".") and "  " not in found, (name, function, found)
            assert re.match(r"[A-Z\d*]", found), (name, function, found)


def test_without_churn_or_lengths_it_says_so(cases):
    told = ("early", "year", "cliff", "tail", "flat", "constant", "survivors", "answer", "means",
            "months_figure", "implied", "risks", "survivors_table")
    for name, said in (("nobody", report.NOBODY), ("everybody", report.EVERYBODY)):
        for function in told:
            assert getattr(report, function)(cases(name)) == said
    assert report.answer(cases("one length")) == (
        "All subscriptions are 7 months long, so there are no lengths to compare.")
    assert "1 month long" in report.answer(cases("one month"))
    assert report.survival(cases("nobody")) == report.NOBODY
    assert "Nobody stays for longer than 30 months" in report.survival(cases("everybody"))
    assert "could not say when anybody leaves" in report.limits(cases("nobody"))
    assert "the length of the one subscriber who churned" in report.limits(cases("two"))


def test_early_months_in_each_direction(cases):
    assert "as the source says" in report.early(cases("early"))
    assert "the opposite of what the source says" in report.early(cases("first months better"))
    assert "That more churn within the first 3 months is not shown." in report.early(cases("flat"))
    assert "Nobody has been subscribed for 4 to 24 months" in report.early(cases("short"))
    assert "Nobody has been subscribed for up to 3 months" in report.early(cases("only old"))
    assert "The first 3 months are worse than the following" in report.answer(cases("early"))
    assert "are better than the following" in report.answer(cases("first months better"))
    assert "the table is with it" in report.means(cases("early"))
    assert "nothing here shows that a programme does more there" in report.means(cases("flat"))
    # What it depends on, said of findings that point in two directions.
    s = cases("early")
    rows = s.lengths.comparisons.copy()
    rows.loc["early_less_two_years", "finding"] = "lower"
    mixed = SimpleNamespace(lengths=replace(s.lengths, comparisons=rows))
    assert "depends on whom they are compared with" in report.early(mixed)
    assert "depends on what they are compared with" in report.answer(mixed)


def test_after_a_year_in_each_direction(cases):
    assert "The drop shows in the second year already" in report.year(cases("after a year"))
    assert "But the second year is worse than the first" in report.year(cases("second year worse"))
    assert "retention is better after 12 months is not shown" in report.year(cases("flat"))
    assert "worse after 12 months" in report.year(cases("late"))
    assert "Nobody has been subscribed for 13 to 24 months" in report.year(cases("no second year"))
    assert "Nobody has been subscribed for more than 12 months" in report.year(cases("short"))


def test_the_change_in_each_direction(cases):
    assert "the rate drops after month 12" in report.cliff(cases("after a year"))
    assert "That is the source’s month 12." in report.cliff(cases("after a year"))
    wide = cases("after a year").lengths
    wide = replace(wide, change=replace(wide.change, low=3, high=14, places=12, advantage=0.5))
    wide = report.cliff(SimpleNamespace(lengths=wide))
    assert "holds 12 months, from 3 to 14" in wide and "about as well as one step" in wide
    assert "Of the source’s two, month 3 and month 12 are within that range." in wide
    assert "One step describes the months better" in report.cliff(cases("early only"))
    assert "a steady slope describes the months better" in report.cliff(cases("falling"))
    assert "the rate rises after month 30" in report.cliff(cases("late"))
    assert "is not shown" in report.cliff(cases("flat"))
    assert "Neither month 3 nor month 12 comes into question" in report.cliff(cases("late"))
    assert "look there first" in report.means(cases("late"))
    assert "don’t choose whom to address by length" in report.means(cases("flat"))
    assert "treat months up to it alike" in report.means(cases("early only"))
    assert "among whom churn is low already" in report.means(cases("early only"))


def test_the_tail_and_the_steady_risk(cases, shipped):
    assert "there is no length beyond which churn ends" in report.tail(cases("late"))
    assert "no sudden end" in report.constant(cases("late"))
    assert "often enough to need no explanation" in report.tail(cases("two"))
    assert "does not rule out that the risk is the same" in report.constant(cases("two"))
    assert "1 subscriber has been subscribed for longer, and has not" in report.tail(cases("two"))
    for f in (report.tail, report.constant):
        assert re.search(r"one in a number of \d+ digits", f(shipped))
    digits = int(re.search(r"number of (\d+) digits", report.tail(shipped))[1])
    assert digits - 1 <= -shipped.lengths.tail.log10_p < digits


def test_flat_trend_and_scatter(cases, shipped):
    assert "it falls, more steadily" in report.flat(cases("falling"))
    assert "it rises, more steadily" in report.flat(cases("late"))
    assert "a trend is not shown" in report.flat(shipped)
    assert "too much alike" in report.flat(shipped) and "@sec-netflix-real" in report.flat(shipped)
    assert "differ by more than chance" in report.flat(cases("uneven"))
    assert "scatter as chance would have it" in report.flat(cases("flat"))
    assert "All churn is at one length, 5 months" in report.flat(cases("churn at one length"))
    assert "Everybody of up to 2 months has churned" in report.flat(cases("all up to a month"))
    assert "up to the last churn has churned" in report.implied(cases("all up to a month"))


def test_lifetimes(cases):
    assert "Nobody has been observed for more than 2 months" in report.survival(cases("short"))
    assert "Nobody has been observed for as long" in report.survival_table(cases("short"))
    assert "The curve falls up to its last month, 48" in report.survival(cases("late"))
    assert "the curve is level at" in report.survival(cases("early only"))
    assert "it is higher than in months 4 to 12" in report.risks(cases("early"))
    assert "is not shown to differ" in report.risks(cases("second year worse"))
    assert "it is lower than in months 13 to 24" in report.risks(cases("second year worse"))
    assert "Nobody was subscribed in month 4 or later" in report.risks(cases("short"))


def test_survivors_without_loyalty(cases, shipped):
    assert "a fall that looks like loyalty and is none" in report.survivors(shipped)
    assert "the digits do not show it" in report.survivors(cases("hardly any"))
    assert "lie in one window" in report.survivors(cases("only old"))
    rows = report.survivors_table(shipped).splitlines()
    assert len(rows) == 2 + 4


def test_the_shipped_table_s_verdicts(shipped):
    said = report.answer(shipped)
    assert "none of the 2,100 subscribers of more than 24 months has churned" in said
    assert "That the first 3 months are worse than the following is not shown" in said
    assert "month 12 is not shown to be where churn drops" in report.year(shipped)
    assert "50 of the 397 churned (12.6%)" in report.means(shipped)
    assert "beyond month 24, where nobody has churned" in report.means(shipped)
    figure = report.months_figure(shipped)
    assert len(figure.data) == 60 and len(figure._repr_mimebundle_()[0]["image/svg+xml"]) < 60_000
    # Not shown is never told as no difference.
    for f in FUNCTIONS.values():
        if not isinstance(said := f(shipped), p9.ggplot):
            assert "no difference" not in said and "significant" not in said


def test_survival_of_all_has_no_interval_of_nothing(cases):
    """Before the first churn Greenwood's interval is a point, which would feign certainty."""
    assert "(100.0%" not in report.survival_table(cases("nobody"))
    assert "100.0%" in report.survival_table(cases("nobody"))
    assert "% (" in report.survival_table(cases("late"))
