"""What the chapter says about age and support queries follows from the counts."""

from __future__ import annotations

import inspect
import math
import re
from types import SimpleNamespace

import held
import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.churn import queries as study
from analysis.churn.queries import LINEAR
from analysis.churn.reductions import BANDS, CrossMoments, queries_by_age
from analysis.report.churn import queries as report
from analysis.report.text import Prose

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}
SENTENCES = ("linear", "shapes", "dispersion", "totals", "reported", "answer", "means", "limits")


def correlated(x, y) -> CrossMoments:
    dx, dy = (np.asarray(v, dtype=float) - np.mean(v) for v in (x, y))
    spread = math.sqrt(dx @ dx) * math.sqrt(dy @ dy)
    r = float(np.clip(dx @ dy / spread, -1, 1)) if spread > 1e-12 else math.nan
    return CrossMoments(len(dx), np.mean(x), np.mean(y), dx @ dx, dy @ dy, dx @ dy, r)


def made(age, queries, months=None) -> SimpleNamespace:
    """The study of subscribers of these ages with these queries."""
    age, queries = (np.asarray(x, dtype="int64") for x in (age, queries))
    n = len(age)
    months = np.arange(n) % 12 if months is None else np.asarray(months)
    table = held.subscribers(pd.DataFrame({"age": age, "support_queries": queries}))
    numbers = {
        name: SimpleNamespace(mean=x.mean(), sd=x.std(ddof=1) if n > 1 else math.nan,
                              low=x.min(), high=x.max(), distinct=len(set(x)))
        for name, x in (("age", age), ("support_queries", queries))
    }
    base = {
        "subscribers": n, "numbers": numbers, "queries_by_age": queries_by_age(table),
        "queries_by_age_band": queries_by_age(table, BANDS["age"]),
        "cross_moments": {("age", "support_queries"): correlated(age, queries),
                          ("subscription_months", "support_queries"): correlated(months, queries)},
    }
    return SimpleNamespace(**base, queries=study.queries(SimpleNamespace(**base), table))


def case(name):
    rng = np.random.default_rng(12)
    age = rng.integers(18, 71, 2_000)
    few = age[:40]
    return {
        "none": lambda: made(age, rng.integers(0, 11, 2_000)),
        "rising": lambda: made(age[:400], rng.poisson(age[:400] / 10)),
        "falling": lambda: made(age[:400], rng.poisson((90 - age[:400]) / 10)),
        "slightly rising": lambda: made(np.tile(age, 10), rng.poisson(3 + np.tile(age, 10) / 180)),
        "bowl": lambda: made(age, rng.poisson(1 + (age - 44.0) ** 2 / 150)),
        "few": lambda: made(few, rng.poisson(2, 40)),
        "one subscriber": lambda: made([30], [4]),
        "two subscribers": lambda: made([30, 40], [4, 1]),
        "three subscribers": lambda: made([30, 40, 41], [4, 0, 1]),
        "no queries": lambda: made(few, np.zeros(40)),
        "same queries": lambda: made(few, np.full(40, 3)),
        "one query each": lambda: made([20, 30], [1, 1]),
        "same age": lambda: made(np.full(40, 30), rng.poisson(2, 40)),
        "a line": lambda: made(np.arange(20, 60), np.arange(40)),
        "a falling line": lambda: made(np.arange(20, 60), np.arange(40)[::-1]),
        "poisson": lambda: made(age, rng.poisson(2, 2_000), rng.integers(0, 60, 2_000)),
        "narrow": lambda: made(age, rng.integers(7, 9, 2_000)),
        "with months": lambda: made(few, np.arange(40) % 8, np.arange(40) % 8 + few % 5),
        "against months": lambda: made(few, np.arange(40) % 8, 8 - np.arange(40) % 8 + few % 5),
        "totals of 70": lambda: made(np.repeat(np.arange(20, 50), 10), np.full(300, 7)
                                     + np.tile([-1, 1], 150)),
        "means of 70": lambda: made(np.repeat(np.arange(20, 50), 10), rng.poisson(70, 300)),
        "asking 70": lambda: made(np.repeat(np.arange(20, 30), 100),
                                  np.tile(np.repeat([0, 30], [30, 70]), 10)),
        "bands of 70": lambda: made(np.repeat([20, 30, 40], 10), np.full(30, 7)
                                    + np.tile([-1, 1], 15)),
        "equal heads": lambda: made(np.repeat([20, 30, 40], 10), rng.poisson(2, 30)),
        "equal totals": lambda: made(np.repeat([20, 30, 40], [5, 10, 15]),
                                     np.repeat([6, 3, 2], [5, 10, 15])),
    }[name]()


CASES = (
    "none", "rising", "falling", "slightly rising", "bowl", "few", "one subscriber",
    "two subscribers", "three subscribers", "no queries", "same queries", "one query each",
    "same age", "a line", "a falling line", "poisson", "narrow", "with months", "against months",
    "totals of 70", "means of 70", "asking 70", "bands of 70", "equal heads", "equal totals",
)
DRAWN = ("none", "three subscribers", "few", "no queries")


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = case(name)
        return found[name]

    return get


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_told_that_is_no_number(name, cases):
    s = cases(name)
    assert set(SENTENCES) < set(FUNCTIONS)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose) and found.strip(), (name, function)
        assert not re.search(r"\b(nan|inf|None|NaT)\b", found), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        assert not re.search(r"(?<![\d.,])1 (subscribers|queries|groups|years)\b", found), found
        if "|:--" not in found:
            assert "  " not in found and found.endswith("."), (name, function, found)
            assert found[0].isupper(), (name, function, found)


def test_an_absent_correlation_is_shown_or_left_open(cases):
    none = report.linear(cases("none"))
    assert none.startswith("Queries are not shown to rise or fall with age")
    assert "And more than that: the correlation is shown to lie within ±0.1" in none
    few = report.linear(cases("few"))
    assert "Nor is it shown that they do not: a correlation beyond ±0.1 is not excluded" in few
    assert "neither to rise nor to fall with age by more" in report.answer(cases("none"))
    assert "are not shown to go with age" in report.answer(cases("few"))
    assert "nor shown not to: the correlation" in report.answer(cases("few"))
    assert "Plan the support by the number of subscribers" in report.means(cases("none"))
    assert "too few subscribers to say" in report.means(cases("few"))


def test_a_correlation_is_told_with_its_direction(cases):
    assert report.linear(cases("rising")).startswith("Older subscribers log more queries")
    assert report.linear(cases("falling")).startswith("Older subscribers log fewer queries")
    assert report.answer(cases("rising")).startswith("Support queries rise with age")
    assert report.answer(cases("falling")).startswith("Support queries fall with age")
    assert "goes with its ages as well as with its size" in report.means(cases("rising"))
    small = cases("slightly rising")
    assert "but the correlation is shown to lie within ±0.1" in report.linear(small)
    assert "which is shown to lie within ±0.1" in report.answer(small)
    row = small.queries.relations.loc[LINEAR]
    assert row["p_adjusted"] < 0.05 and small.queries.equivalence.p_value < 0.05
    assert "it does" in report.shapes(cases("rising"))


def test_other_shapes(cases):
    assert report.shapes(cases("none")).endswith("; none is shown.")
    assert [report._between(x) for x in (0.0, 0.0004, 0.021)] == [
        "", ", at most 0.04% of the variance between them",
        ", at most 2.1% of the variance between them"]
    bowl = report.shapes(cases("bowl"))
    assert "it does by band of ages and by year of age, and not by ranks" in bowl
    assert "though not in a straight line" in report.answer(cases("bowl"))
    assert "goes with its ages" in report.means(cases("bowl"))
    assert report.shapes(cases("two subscribers")) == (
        "Other shapes of a relation cannot be tested here.")


def test_why_there_is_no_correlation(cases):
    said = {name: report.linear(cases(name)) for name in CASES}
    assert said["one subscriber"].startswith("There is only one subscriber")
    assert said["three subscribers"] == "With 3 subscribers a correlation says nothing."
    assert said["no queries"].startswith("Nobody has logged a query")
    assert said["same queries"].startswith("Each subscriber has logged 3 queries")
    assert said["one query each"].startswith("Each subscriber has logged 1 query,")
    assert said["same age"].startswith("All subscribers have the same age")
    assert "rising in a straight line" in said["a line"]
    assert "falling in a straight line" in said["a falling line"]
    for name in ("one subscriber", "no queries", "same age", "a line"):
        assert report.answer(cases(name)) == said[name]
        assert report.means(cases(name)).startswith("What the queries are about cannot be read")


def test_no_topic_is_ever_read_from_a_correlation(cases):
    for name in CASES:
        assert "The table holds no topic" in report.means(cases(name))


def test_dispersion(cases):
    even = report.dispersion(cases("none"))
    assert "by more than chance" in even and "drawn by lot between two ends" in even
    assert "Every number from 0 to 10 is about equally common" in even
    assert "so that they differ from chance is not shown." in report.dispersion(cases("poisson"))
    narrow = report.dispersion(cases("narrow"))
    assert "more alike than chance would make them" in narrow and "by lot" not in narrow
    assert "their spread is nought" in report.dispersion(cases("same queries"))
    assert report.dispersion(cases("one subscriber")) == "With one subscriber there is no spread."


def test_what_the_published_range_counts(cases):
    said = {name: report.reported(cases(name)) for name in CASES}
    assert said["totals of 70"] == (
        "For most groups of ages, queries do come to 60 to 80: the queries in all of a year of age "
        "(in 30 of 30).")
    assert "the mean queries of a subscriber of a year of age (in 30 of 30)" in said["means of 70"]
    assert "A chart that counts" not in said["means of 70"]
    asking = said["asking 70"]
    assert "the number of subscribers with a query of a year of age (in 10 of 10)" in asking
    assert "A chart that counts who has asked" in asking
    assert "the number of subscribers with a query, not with queries" in report.answer(
        cases("asking 70"))
    assert "what the report counted cannot be told from here" in said["few"]
    assert "agree with" not in report.answer(cases("totals of 70"))
    assert "agree with" not in report.answer(cases("few"))


def test_the_shipped_figure_is_told_as_heads(netflix_study):
    s = netflix_study
    text = report.reported(s)
    within = int(s.queries.reported.loc[("years", "subscribers"), "within"])
    assert f"is the number of subscribers of a year of age (in {within} of 53)" in text
    assert "would have to be divided among 220 to 292 groups" in text
    assert "A chart that counts the rows of the table" in text
    assert "agree with the number of subscribers, not with queries" in report.answer(s)
    assert "So these totals count heads" in report.totals(s)
    figure = report.totals_figure(s)
    assert len(figure.data) == 53


def test_totals(cases):
    assert "There is only 1 year of age" in report.totals(cases("same age"))
    assert "There are only 2 years of age" in report.totals(cases("two subscribers"))
    assert "have as many subscribers" in report.totals(cases("equal heads"))
    assert "have as many queries in all" in report.totals(cases("equal totals"))
    assert "That is less than head counts alone would give" in report.totals(cases("bowl"))
    assert "So these totals count heads" in report.totals(cases("none"))
    assert report.totals(cases("same queries")).startswith("Each subscriber has logged as many")
    assert isinstance(report.totals_figure(cases("same age")), Prose)
    assert isinstance(report.bands_figure(cases("same age")), Prose)


def test_time_over_which_queries_were_logged(cases):
    assert "and they do (correlation" in report.limits(cases("with months"))
    assert "but they fall (correlation" in report.limits(cases("against months"))
    assert "which is not shown" in report.limits(cases("poisson"))
    assert "would grow" not in report.limits(cases("same queries"))


def test_tables(cases):
    rows = report.reported_table(cases("none")).splitlines()[2:]
    assert len(rows) == 12 and rows[0].split("|")[-2].strip().endswith("of 53")
    bands = report.bands_table(cases("none")).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in bands] == [
        "18 to 24", "25 to 34", "35 to 44", "45 to 54", "55 to 64", "65 to 70"]
    counted = sum(int(row.split("|")[2].replace(",", "")) for row in bands)
    assert counted == cases("none").subscribers
