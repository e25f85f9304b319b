"""What the chapter says about pairs, steps and offers follows from the results."""

from __future__ import annotations

import inspect
import math
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.mooc.rules import AFTER, BESIDE
from analysis.report.mooc import rules as report
from analysis.report.text import Prose
from analysis.stats.intervals import Interval

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
MAY_BE_EMPTY = {"not_shown", "explained", "recommendation"}
MARKUP = ("<b>=| `x`", "= @fig-a", "# 2.0 [now](x)", "+", "-", "  ", "1.")


@pytest.fixture(scope="module")
def s(mooc_study):
    return SimpleNamespace(
        rules=mooc_study.rules, products=SimpleNamespace(by_course=mooc_study.products.by_course))


def without(frame):
    return frame.iloc[:0]


def changed(s, **fields):
    return SimpleNamespace(rules=replace(s.rules, **fields), products=s.products)


def nothing_found(s):
    r = s.rules
    return changed(
        s,
        pairs=replace(r.pairs, found=without(r.pairs.found)),
        categories=replace(r.categories, found=without(r.categories.found)),
        triples=replace(r.triples, found=without(r.triples.found)),
        pair_rules=without(r.pair_rules), set_rules=without(r.set_rules), offers=without(r.offers),
        courses=r.courses.assign(beside=0, after=0), trial={},
        steps=replace(r.steps, found=without(r.steps.found), explained=without(r.steps.explained),
                      only_crude=without(r.steps.only_crude), crude_found=0),
    )


def no_pairs(s):
    """One course only, each order of one; nobody bought twice."""
    r = nothing_found(s).rules
    b = replace(r.pairs.baskets, sizes=r.pairs.baskets.sizes.iloc[:1], pairs_seen=0,
                pairs=without(r.pairs.baskets.pairs), items=r.pairs.baskets.items.iloc[:1])
    none = replace(r.pairs, baskets=b, possible=0, null=replace(r.pairs.null, usual=math.nan))
    return changed(
        SimpleNamespace(rules=r, products=s.products), pairs=none, by_customer=none,
        categories=none, triples=replace(r.triples, possible=0, listed=0), steps=None,
        courses=r.courses.iloc[:1], split=None)


def one_of_each(s):
    r = s.rules
    return changed(
        s, pairs=replace(r.pairs, found=r.pairs.found.head(1)),
        categories=replace(r.categories, found=r.categories.found.head(1)),
        steps=replace(r.steps, found=r.steps.found.head(1),
                      explained=r.steps.explained.head(1)),
        courses=r.courses.head(1).assign(beside=1, after=0))


def markup(s):
    """Titles and categories that would be markup; two titles alike."""
    products = s.products.by_course.copy()
    products["title"] = [MARKUP[i % len(MARKUP)] for i in range(len(products))]
    return SimpleNamespace(rules=s.rules, products=SimpleNamespace(by_course=products))


def unknown_courses(s):
    products = s.products.by_course.iloc[:0]
    return SimpleNamespace(rules=s.rules, products=SimpleNamespace(by_course=products))


CASES = {
    "shipped": lambda s: s, "nothing found": nothing_found, "no pairs": no_pairs,
    "one of each": one_of_each, "markup": markup, "unknown courses": unknown_courses,
}


@pytest.mark.parametrize("case", CASES)
def test_everything_is_said_of_any_result(s, case):
    made = CASES[case](s)
    for name, function in FUNCTIONS.items():
        found = function(made)
        if name.endswith("_figure") and not isinstance(found, str):
            assert isinstance(found, p9.ggplot)
            continue
        assert isinstance(found, Prose), name
        assert found or name in MAY_BE_EMPTY, name
        assert not re.search(r"\bnan\b|\bNone\b(?! of)|\binf\b", found), (name, found)
        if case == "markup":
            assert not re.search(r"(?<!\\)(<b>|`x`|@fig|\[now\])", found), (name, found)
            rows = [line for line in found.splitlines() if line.startswith("|")]
            assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) <= 1, name


@pytest.mark.parametrize(("case", "figure"), [
    ("one of each", "pairs_figure"), ("one of each", "steps_figure"), ("markup", "steps_figure"),
])
def test_figures_are_drawn_and_light(s, case, figure):
    drawing = FUNCTIONS[figure](CASES[case](s))._repr_mimebundle_()[0]["image/svg+xml"]
    assert 5_000 < len(drawing) < 90_000


def test_numbers_in_sentences_are_those_of_the_results(s):
    r = s.rules
    top = r.pairs.found.iloc[0]
    said = report.pairs(s)
    assert f"{len(r.pairs.found)} pairs stand out" in said
    assert f"{int(top.baskets):,} orders" in said and f"lift {top.lift:.1f}" in said
    said = report.usual(s)
    assert f"{r.by_customer.by_independence} among customers" in said
    assert "which says that some customers buy much" in said
    assert f"{r.pairs.null.usual:.2f}" in said and "fewer orders" in said
    best = r.steps.found.odds_ratio.max()
    assert f"{best:.1f}\u00a0times" in report.steps(s)
    assert f"{r.steps.crude_found} of {r.steps.null.tests} possible steps" in report.why_equal(s)
    assert f"not the {r.steps.crude_found} steps" in report.answer(s)
    assert len(report.pairs_table(s).splitlines()) == 2 + len(r.pairs.found)
    assert len(report.steps_table(s).splitlines()) == 2 + len(r.steps.found)
    assert len(report.offers_table(s).splitlines()) == 2 + report.MOST_ROWS


def test_offers_are_those_of_the_course_or_none(s):
    r = s.rules
    rows = report.offers_table(s).splitlines()[2:]
    for course, row in zip(r.courses.index, rows, strict=False):
        for kind, place in ((BESIDE, 2), (AFTER, 3)):
            cell = re.split(r"(?<!\\)\|", row)[place]
            offers = r.offers[(r.offers.course == course) & (r.offers.kind == kind)]
            for offer in offers.offer:
                assert re.escape(s.products.by_course.title[offer])[:5] in re.escape(cell)
            assert ("nothing beyond chance" in cell) == offers.empty


def test_a_usual_lift_above_one_is_said(s):
    r = s.rules
    more = changed(s, pairs=replace(r.pairs, null=replace(r.pairs.null, usual=1.4, spread=1.0)))
    assert "share more orders than independence says" in report.usual(more)
    assert "no more than chance makes them" in report.spread(more)
    few = changed(s, pairs=replace(
        r.pairs, null=replace(r.pairs.null, spread=1.0, reference=3)))
    assert "Too few pairs" in report.spread(few)


def difference(s, low, high):
    trial = s.rules.trial[BESIDE]
    mid = (low + high) / 2
    found = replace(trial, difference=Interval(mid, low, high, 0.95, "made"))
    return changed(s, trial={BESIDE: found})


@pytest.mark.parametrize(("low", "high", "said"), [
    (0.01, 0.03, "bought more often than as many"),
    (-0.03, -0.01, "bought less often than as many"),
    (-0.01, 0.02, "not shown to be bought more or less often"),
])
def test_the_trial_is_told_as_it_came_out(s, low, high, said):
    assert said in report.trial(difference(s, low, high))


def test_a_trial_with_too_few_occasions_says_so(s):
    trial = replace(s.rules.trial[AFTER], occasions=1, customers=1, rate=None, popular_rate=None,
                    difference=None)
    few = changed(s, trial={AFTER: trial})
    assert "too few occasions" in report.trial(few)
    assert "–" in report.trial_table(few)


def test_categories_are_told_from_courses(s):
    """The excess is that of a few course pairs, or it is not."""
    assert "a few courses that go together, not their categories" in report.categories(s)
    r = s.rules
    apart = changed(s, pairs=replace(r.pairs, found=without(r.pairs.found)))
    assert "here it is the categories that go together" in report.categories(apart)
    half = r.categories.found.assign(expected=r.categories.found.expected - 1_000)
    mixed = changed(s, categories=replace(r.categories, found=half))
    assert "the rest goes beyond these courses" in report.categories(mixed)


def test_large_orders_left_out_are_said(s):
    r = s.rules
    baskets = replace(r.pairs.baskets, left_out=1, largest=40)
    said = report.sizes(changed(s, pairs=replace(r.pairs, baskets=baskets)))
    assert "1 order of more than 40 courses is left out" in said
    assert "left out" not in report.sizes(s)


def test_plain_sequences_are_judged_by_what_holds(s):
    r = s.rules
    said = report.naive(s)
    claims = r.steps.naive[r.steps.naive.found]
    assert f"{len(claims)} steps up, of which {claims.holds.sum()} hold" in said
    none = replace(r.steps, naive=r.steps.naive.assign(found=False))
    assert "find no step up" in report.naive(changed(s, steps=none))
    wrong = replace(r.steps, naive=claims.head(1).assign(holds=False))
    assert "1 step up, of which none holds" in report.naive(changed(s, steps=wrong))


def test_recommendations_ask_for_an_experiment(s):
    assert "random half" in report.recommendation(s)
    assert report.recommendation(nothing_found(s)) == ""
    assert report.recommendation(one_of_each(s)).startswith("**Offer the pair at the checkout")
    only_steps = changed(s, pairs=replace(s.rules.pairs, found=without(s.rules.pairs.found)))
    assert report.recommendation(only_steps).startswith("**Offer the 9 steps up after a purchase")


def test_figure_labels_alike_are_numbered():
    assert report._unlike(["a", "b", "a"]) == ["a", "b", "a (2)"]


def test_pairs_of_the_figure_hold_the_interval(s):
    rows = report.pairs_figure(s).data
    assert isinstance(rows, pd.DataFrame)
    np.testing.assert_allclose(rows["lift"], s.rules.pairs.found["lift"].head(len(rows)))


def test_why_there_is_nothing_is_said_once(s):
    none = no_pairs(s)
    said = {name: str(function(none)) for name, function in FUNCTIONS.items()}
    for why, where in ((report.NO_PAIRS, {"usual", "answer"}), (report.NO_STEPS, {"purchases"}),
                       (report.NO_TRIAL, {"trial"})):
        assert {name for name in said if str(why) in said[name]} == where
    assert said["pairs"] == said["spread"] == report.PAIRLESS
    assert said["steps"] == said["naive"] == report.STEPLESS


def test_one_of_a_kind_is_told_as_one(s):
    r = s.rules
    sizes = r.pairs.baskets.sizes.head(1).assign(baskets=r.pairs.baskets.baskets)
    alone = changed(s, pairs=replace(r.pairs, baskets=replace(r.pairs.baskets, sizes=sizes)))
    assert f"All {r.pairs.baskets.baskets:,} orders hold a single course." in report.sizes(alone)
    assert "more than one" in report.sizes(s) and "single course" not in report.sizes(s)
    baskets = replace(r.pairs.baskets, baskets=1, sizes=sizes.assign(baskets=1))
    one = changed(s, pairs=replace(r.pairs, baskets=baskets))
    assert report.sizes(one).startswith("The only order holds a single course")
    nothing = nothing_found(s)
    assert re.search(r"none of the \d+ courses sold is an offer shown", report.coverage(nothing))
    assert "For the only course sold no offer is shown" in report.coverage(no_pairs(s))
    assert "as good an offer as any" not in report.coverage(nothing)
    pair = replace(nothing.rules.categories, possible=1)
    assert "The only pair of categories is not shown" in report.categories(
        changed(nothing, categories=pair))
    assert re.search(r"None of \d+ pairs of categories is shown", report.categories(nothing))
    for listed, expected in ((1, "is in"), (0, "is not in")):
        triple = changed(nothing, triples=replace(
            nothing.rules.triples, possible=1, listed=listed))
        assert f"The only possible set of three {expected}" in report.sets(triple)
    triples = replace(r.triples, possible=1, listed=1, found=r.triples.found.head(1))
    found = changed(s, triples=triples)
    assert "orders or more, and is more than its pairs explain: “" in report.sets(found)
    assert "none of" in report.why_equal(nothing) and "none stands out" in report.why_equal(nothing)


@pytest.mark.parametrize(("usual", "said"), [
    (0.98, "share fewer orders than"), (1.02, "share more orders than"),
    (0.998, "share about as many orders as"), (1.002, "share about as many orders as")])
def test_a_usual_lift_of_one_is_neither_more_nor_fewer(s, usual, said):
    p = s.rules.pairs
    assert f"{said} independence says" in report.usual(
        changed(s, pairs=replace(p, null=replace(p.null, usual=usual))))


def test_courses_without_an_offer_are_counted_where_there_are_any(s):
    full = changed(s, courses=s.rules.courses.assign(beside=1, after=1))
    assert report.coverage(full).endswith("one for a later order, 44 of them both.")
    one = full.rules.courses.copy()
    one.loc[one.index[0], ["beside", "after"]] = 0
    said = report.coverage(changed(s, courses=one))
    assert "later order, 43 of them both. For the other one the tables" in said
