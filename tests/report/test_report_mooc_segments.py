"""What the chapter says of segments follows from the results, on any tables."""

from __future__ import annotations

import copy
import datetime as dt
import inspect
from dataclasses import replace
from types import SimpleNamespace

import ibis
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis.mooc import segments
from analysis.mooc.segments import NAMES, RULES
from analysis.report.mooc import segments as say
from analysis.report.text import Prose

AS_OF = dt.date(2024, 5, 1)
SAID = [f for name, f in inspect.getmembers(say, inspect.isfunction)
        if not name.startswith("_") and f.__module__ == say.__name__]


def cells(markdown):
    return [[c.strip() for c in line.split("|")[1:-1]] for line in markdown.splitlines()[2:]]


def of(rows):
    orders = pd.DataFrame(rows, columns=["order_id", "user_id", "order_timestamp", "amount"])
    people = pd.DataFrame({
        "user_id": sorted(set(orders.user_id)), "enrollment_date": pd.Timestamp("2023-06-01"),
        "total_courses_enrolled": 1, "total_revenue": 0.0})
    tables = held({"orders": orders, "people": people})
    people = tables["people"].mutate(enrollment_date=ibis._.enrollment_date.cast("date"))
    return SimpleNamespace(segments=segments.segments(tables["orders"], people, AS_OF))


def moment(days):
    return pd.Timestamp("2024-05-01 10:00") - pd.Timedelta(days=days)


WORLDS = {
    "one customer": [("O1", "A", moment(3), 10.0)],
    "a day": [(f"O{i}", f"U{i}", moment(0), 5.0 + i) for i in range(9)],
    "a week": [(f"O{i}", f"U{i}", moment(i % 7), 5.0 + i) for i in range(9)],
    "all free": [(f"O{i}-{j}", f"U{i}", moment(20 * i + j), 0.0)
                 for i in range(20) for j in range(1 + i % 3)],
    "nobody twice": [(f"O{i}", f"U{i}", moment(20 * i), 5.0 + i) for i in range(20)],
    "everybody again": [(f"O{i}-{j}", f"U{i}", moment(300 * j + i), 5.0 + i + j)
                        for i in range(20) for j in range(2)],
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_table_and_sentence_says_something_true_to_say(world):
    s = of(WORLDS[world])
    for function in SAID:
        said = function(s)
        if isinstance(said, p9.ggplot):
            said.draw()
            continue
        assert isinstance(said, Prose), function.__name__
        assert function.__name__ == "recommendation" or said.strip(), function.__name__
        assert "nan" not in said.lower().replace("finance", "") and "None" not in said


def test_rules_table_is_the_rules(mooc_study):
    rows = cells(say.rules_table(mooc_study))
    assert [row[0] for row in rows] == list(NAMES)
    for row, rule in zip(rows, RULES, strict=True):
        ends = [tuple(int(x) for x in cell.split(" to ")) for cell in row[1:3]]
        assert [(e[0], e[-1]) for e in ends] == [rule.r, rule.v]


def test_numbers_are_those_of_the_results(mooc_study):
    s, g = mooc_study, mooc_study.segments
    champions = g.sizes.loc["Champions"]
    row = dict((r[0], r) for r in cells(say.sizes_table(s)))["Champions"]
    assert row[1] == f"{champions.customers:,.0f}"
    assert row[3].startswith(f"{100 * champions.share_of_revenue:.1f}% (")
    p = g.prediction.by_segment
    assert f"{100 * p['share'].max():.0f}%" in say.prediction(s)
    table = {r[0]: r for r in cells(say.prediction_table(s))}
    assert table["Loyal"][4].startswith(f"{p.value['Loyal']:.2f} (")
    shown = cells(say.migration_table(s))
    assert len(shown) == len(NAMES) + 1 and len(shown[0]) == 2 + len(NAMES)
    lost = g.migration.customers.loc["Lost"]
    assert shown[NAMES.index("Lost")][-1] == f"{100 * lost['Lost'] / lost.sum():.0f}"
    assert len(cells(say.ties_table(s))) == 6
    figure = say.grid_figure(s)
    assert len(figure.data) == 11
    area = ((figure.data.x1 - figure.data.x0) * (figure.data.y1 - figure.data.y0)).sum()
    assert area == 25


def changed(s, **columns):
    """The study with other columns in the prediction by segment."""
    p = s.segments.prediction
    frame = p.by_segment.assign(**columns)
    other = copy.copy(s.segments)
    return SimpleNamespace(segments=replace(
        other, prediction=replace(p, by_segment=frame)))


def test_advice_and_names_are_chosen_from_what_customers_did(mooc_study):
    assert "easiest to misread" in say.names(mooc_study)
    assert "well named:" in say.names(changed(mooc_study, side="above"))
    assert "is open" in say.names(changed(mooc_study, side=""))
    p = mooc_study.segments.prediction
    shares = [p.by_segment["share"][name] for name in ("Cannot Lose Them", "At Risk")]
    assert (f"less than the others ({shares[0]:.0%} and {shares[1]:.0%} bought in the half year "
            f"after, of all customers {p.buyers / p.customers:.0%}).") in (
                say.recommendation(mooc_study))
    dearer = changed(mooc_study, side=p.by_segment.side.where(p.by_segment.side == "above", ""))
    assert "brought less than the others in the half year after." in say.recommendation(dearer)
    none = changed(mooc_study, side="", value_side="")
    assert say.recommendation(none) == ""
    assert {row[-1] for row in cells(say.actions_table(none))} == {
        "offer the next course, and to a random half only, to see whether it helps"}
    advice = {row[0]: row[-1] for row in cells(say.actions_table(mooc_study))}
    assert advice["Champions"].startswith("keep") and "win back" in advice["Cannot Lose Them"]
    few = changed(mooc_study, customers=5)
    assert {row[-1] for row in cells(say.actions_table(few))} == {"too few to say"}


def test_not_shown_is_not_called_equal(mooc_study):
    p = mooc_study.segments.prediction
    s = SimpleNamespace(segments=replace(
        mooc_study.segments, prediction=replace(p, p_value=0.4)))
    assert "is not shown" in say.prediction(s) and "is not shown" in say.answer(s)
    assert say.recommendation(s) == ""
    gaps = p.area_differences.assign(p_adjusted=1.0)
    s = SimpleNamespace(segments=replace(
        mooc_study.segments, prediction=replace(p, area_differences=gaps)))
    assert "can't be told apart" in say.scores(s)
    better = p.area_differences.copy()
    better.loc[("recency", "segment"), ["difference", "low", "high", "p_adjusted"]] = (
        -0.05, -0.06, -0.04, 0.001)
    s = SimpleNamespace(segments=replace(
        mooc_study.segments, prediction=replace(p, area_differences=better)))
    assert "The segments, taken in their order, do better" in say.scores(s)
    assert "difference 0.050, 95% interval 0.040 to 0.060" in say.scores(s).replace("\u00a0", " ")


def test_nobody_called_old_is_said_in_a_sentence(mooc_study):
    t = mooc_study.segments.tenure

    def said(**fields):
        return say.tenure(SimpleNamespace(segments=replace(
            mooc_study.segments, tenure=replace(t, **fields))))

    some = said()
    assert f"Of {t.recent:,} customers who bought recently" in some and "come early" in some
    assert f"{t.old_share:.0%}" in some and "none is" not in some
    none = said(called_old=0, old_share=0.0)
    assert none.endswith("none is called long gone (1 and 2) by the users table.")
    assert "early" not in none and ": none" not in none
    assert "Of 1 customer who bought recently" in said(recent=1, called_old=1, old_share=1.0)
    assert "early" not in said(old_share=None) and said(old_share=None).endswith(".")


def test_why_there_are_no_segments_is_said_once(mooc_study):
    untold = of(WORLDS["one customer"])
    told = [f.__name__ for f in SAID if f(untold) == say.UNTOLD]
    assert sorted(told) == ["answer", "value_score"]
    assert say.firm(untold) == say.prediction(untold) == (
        "There are no segments (@sec-mooc-segments-names).")
    unfollowed = of(WORLDS["a week"])
    told = [f.__name__ for f in SAID if "don't reach back" in str(f(unfollowed))]
    assert told == ["prediction"]
    assert say.moves(unfollowed) == "Nobody could be followed (@sec-mooc-segments-future)."
    assert say.firm(unfollowed).startswith("@tbl-mooc-stability names the same customers")
    assert "in money is in @tbl-mooc-moves-revenue: the newcomers brought" in say.moves(mooc_study)
