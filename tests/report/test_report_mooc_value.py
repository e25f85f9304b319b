"""What the chapter says about customer value follows from the results, on any tables."""

from __future__ import annotations

import datetime as dt
import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "mooc"))
from held import held
from mooc_logs import START, random_frames

from analysis.mooc import value
from analysis.report import text
from analysis.report.mooc import value as report
from analysis.results import flatten
from analysis.stats.intervals import Interval

FUNCTIONS = {
    name: function for name, function in inspect.getmembers(report, inspect.isfunction)
    if function.__module__ == report.__name__ and not name.startswith("_")
}


def study(orders: pd.DataFrame, users: pd.DataFrame, end: dt.date | None = None):
    first, last = (orders.order_timestamp.agg(name).date() for name in ("min", "max"))
    types = {"user_id": "string", "order_id": "string", "course_id": "string",
             "order_timestamp": "timestamp(6)", "amount": "float64", "channel": "string"}
    columns = {"orders": types, "users": {"user_id": "string", "referral_channel": "string"}}
    tables = held({"orders": orders[list(types)], "users": users[list(columns["users"])]}, columns)
    return SimpleNamespace(
        value=value.value(tables["orders"], tables["users"], first, end or last))


def said(s) -> dict[str, str]:
    """All that the chapter says; figures as what they would be drawn from."""
    found = {name: function(s) for name, function in FUNCTIONS.items()}
    for name, shown in found.items():
        if isinstance(shown, p9.ggplot):
            assert name.endswith("_figure")
            shown.draw()
        else:
            assert isinstance(shown, text.Prose), name
            assert shown or name == "recommendation"
            assert not re.search(r"\bnan\b|\binf\b|None|NaT", shown), (name, shown)
    return {name: shown for name, shown in found.items() if isinstance(shown, str)}


@pytest.fixture(scope="module")
def frames():
    return random_frames(5, users=300)


def one_day(orders):
    return orders.assign(order_timestamp=START)


def once(orders):
    return orders.groupby("user_id", as_index=False).head(1)


CASES = {
    "a day": lambda o, u: (one_day(o), u),
    "a week": lambda o, u: (o.assign(order_timestamp=START + pd.to_timedelta(
        np.arange(len(o)) % 7, "D")), u),
    "all free": lambda o, u: (o.assign(amount=0.0), u),
    "one customer": lambda o, u: (o[o.user_id == o.user_id.iloc[0]], u),
    "nobody again": lambda o, u: (once(o), u),
    "one order": lambda o, u: (o.head(1), u),
    "no channel": lambda o, u: (o, u.assign(referral_channel=None)),
    "one channel": lambda o, u: (o, u.assign(referral_channel="ads")),
    "one price": lambda o, u: (o.drop_duplicates("order_id").assign(amount=5.0), u),
    "markup": lambda o, u: (o, u.assign(referral_channel=np.resize(
        ["<b>=| `x`", "= @fig-a", "# 2.0 [now](x)"], len(u)))),
    "six months": lambda o, u: (o.assign(order_timestamp=START + (
        o.order_timestamp - START) * 1.5), u),
    "unknown users": lambda o, u: (o, u.head(1)),
}


@pytest.mark.parametrize("case", CASES)
def test_any_tables_are_told(case, frames):
    s = study(*CASES[case](frames["orders"], frames["users"]))
    found = said(s)
    numbers = flatten(s.value, without=("histories", "values", "daily"))
    assert not any(isinstance(n, float) and not np.isfinite(n) for n in numbers.values())
    v = s.value
    if v.purchases is None:
        assert v.no_purchases in found["how_often"] and v.no_purchases in found["forecast"]
        assert isinstance(report.matrix_figure(s), str)
    if v.forecast is None:
        assert found["recommendation"] == ""
    if case in ("nobody again", "a day", "one order"):
        assert v.purchases is None
    if case == "all free":
        assert "nobody has paid" in found["history"] and v.history.revenue == 0
    if case == "markup":
        assert "<b>" not in found["channels_table"] and "[now](" not in found["channels_table"]


def test_orders_end_long_before_the_events(frames):
    """The holdout is then silent, and nobody is said to have come back."""
    last = frames["orders"].order_timestamp.max().date()
    s = study(frames["orders"], frames["users"], last + dt.timedelta(days=700))
    assert s.value.holdout is None or s.value.holdout.actual == 0
    said(s)


@pytest.fixture(scope="module")
def shipped(mooc_study):
    return mooc_study


def test_numbers_in_sentences_are_the_results(shipped):
    v = shipped.value
    f, h = v.forecast, v.history
    assert text.number(f.value.estimate, 2) in report.answer(shipped)
    assert text.number(h.revenue) in report.history(shipped)
    row = v.formula.iloc[-1]
    made = row.purchases * row.order_value / row.churn
    assert f"that is {text.number(made, 2)}, of which" in report.formula(shipped)
    ceiling = report.ceilings(shipped)
    assert text.number(value.MARGIN * f.new.estimate, 2) in ceiling
    table = report.ceilings_table(shipped)
    assert text.number(0.25 * f.new.estimate, 2) in table
    assert text.number(f.tenths["value"].iloc[0], 2) in table


def with_(s, **changes):
    return SimpleNamespace(value=replace(s.value, **changes))


def test_conclusions_turn_with_the_results(shipped):
    v = shipped.value

    def sure(low, high):
        return Interval((low + high) / 2, low, high, 0.95, "made up")

    for r, expected in ((sure(-0.02, 0.03), "small enough"), (sure(0.12, 0.2), "spend more"),
                        (sure(-0.3, -0.2), "spend less"), (sure(-0.2, 0.3), "neither shown")):
        assert expected in report.independent(with_(shipped, independence=r))
    h = v.holdout
    for ratio, expected in ((sure(0.9, 1.1), "no more than"), (sure(1.1, 1.2), "too few"),
                            (sure(0.7, 0.8), "too many")):
        assert expected in report.holdout(with_(shipped, holdout=replace(h, ratio=ratio)))
    groups = h.by_frequency.assign(p_adjusted=[0.01] + [1.0] * (len(h.by_frequency) - 1))
    changed = with_(shipped, holdout=replace(h, by_frequency=groups))
    assert "In 1 of" in report.holdout_groups(changed)
    fit = v.purchases.repeats
    for p_low, p, expected in (
        (0.3, 0.8, "as near"), (0.01, 0.2, "is open"), (0.0, 0.01, "differ"),
    ):
        changed = replace(v.purchases, repeats=replace(fit, p_value=p), p_low=p_low)
        assert expected in report.fit(with_(shipped, purchases=changed))
    test = v.forecast.channel_test
    rest = v.forecast.against_rest
    changed = replace(v.forecast, channel_test=replace(test, p_value=0.001),
                      against_rest=rest.assign(p_adjusted=[0.01] + [1.0] * (len(rest) - 1)))
    assert "stands out" in report.channels(with_(shipped, forecast=changed))
    assert "is not shown" in report.channels(shipped)
    frame = v.formula.assign(year_value=v.forecast.by_period["value"])
    assert "agree" in report.formula_against_model(with_(shipped, formula=frame))
    less = with_(shipped, formula=frame.assign(year_value=1.0))
    assert "less" in report.formula_against_model(less)
    assert "simple formula" not in report.recommendation(less)
    assert "simple formula" in report.recommendation(shipped)


def test_what_is_said_of_first_purchases_and_segments_turns_with_the_results(shipped):
    v = shipped.value
    assert "counts like any other" in report.first(shipped)
    later = {"all": replace(v.transactions["all"], with_first=False)}
    other = with_(shipped, transactions=later, first_like=Interval(2.0, 1.9, 2.1, 0.95, "x"))
    assert "another matter" in report.first(other) and "2.00 times" in report.first(other)
    assert "A repeat purchase brings" in report.how_much(other)
    assert "can't be told" in report.first(with_(shipped, first_like=None))

    def segments(frame=v.forecast.by_segment, **pairs):
        """With other columns of the pairs, or other values of the furthest."""
        found = v.forecast.segment_pairs.copy()
        for name, other in pairs.items():
            found.loc[found.index[-1] if name.startswith("last_") else slice(None),
                      name.removeprefix("last_")] = other
        return report.segments(with_(
            shipped, forecast=replace(v.forecast, by_segment=frame, segment_pairs=found)))

    pairs = v.forecast.segment_pairs
    shown = (pairs.p_adjusted < 0.05).sum()
    said = segments()
    assert f"worth more in {shown} and the one below in none" in said
    assert "the order is not shown. Nearest to the opposite is this: Hibernating" in said
    row = pairs.loc[("At Risk", "Hibernating")]
    assert f"{row.difference:.2f} more" in said
    assert f"corrected p\u00a0=\u00a0{row.p_adjusted:.3f}" in said
    above, below = pairs.index[-1]
    said = segments(last_difference=50.0, last_p_value=1e-9, last_p_adjusted=1e-7)
    assert f"not the order of value: {below} stands below {above}" in said and "50.00 more" in said
    said = segments(difference=-5.0, p_adjusted=0.01)
    assert said.endswith("the order of the names is the order of the value to come.")
    said = segments(difference=-5.0, p_adjusted=0.5)
    assert "in none and the one below in none" in said and said.endswith("the order is not shown.")
    assert "nothing to compare" in segments(v.forecast.by_segment.head(1))
    assert segments(None) == report.NO_SEGMENTS


def test_what_came_is_held_against_both_predictions_in_the_same_way(shipped):
    h = shipped.value.holdout
    said = report.holdout_groups(shipped).replace("\u2212", "-")
    naive, model = (100 * (h.actual / expected - 1) for expected in (h.naive, h.predicted))
    assert f"what came is {naive:.1f}% instead of {model:.1f}%" in said
    assert "takes no account" in said
    assert text.change(h.actual / h.predicted, 1) in report.holdout(shipped)
    better = with_(shipped, holdout=replace(h, naive=float(h.actual)))
    assert "the simple rule does no worse" in report.holdout_groups(better)


def test_customers_so_far_are_worth_what_counts_their_having_left(shipped):
    v = shipped.value
    said = report.ceilings(shipped)
    worth = value.MARGIN * v.forecast.value.estimate
    assert f"worth {worth:.2f} on average, counting the chance" in said
    assert "known to be still there" in said and "the most" not in said
    everybody = with_(shipped, forecast=replace(v.forecast, alive=float(v.history.customers)))
    assert "known to be still there" not in report.ceilings(everybody)
    assert "to keep" not in report.ceilings_table(shipped).lower()
    last = value.MARGIN * v.forecast.tenths["value"].iloc[-1]
    assert f"worth between {last:.2f} and" in report.recommendation(shipped)


def test_what_is_not_there_is_not_announced(shipped, frames):
    assert "in @fig-mooc-value-matrix rest" in report.matrix(shipped)
    assert "@tbl-mooc-value-segments holds" in report.against_segments(shipped)
    assert "@fig-mooc-value-tracking" in report.held_out(shipped)
    assert "@tbl-mooc-value-ceilings shows" in report.margins(shipped)
    assert "All channels share the parameters" in report.channels(shipped)
    assert report.fit(shipped).startswith("A chi-squared test compares the two columns")
    found = said(study(*CASES["one order"](frames["orders"], frames["users"])))
    for sentence in ("matrix", "against_segments", "held_out", "margins", "channels", "fit"):
        assert not re.search("@(fig|tbl)-|chi-squared|parameters", found[sentence]), sentence
    assert found["matrix"] == found["fit"] == found["parameters_table"] == report.NO_MODEL
    assert found["holdout"] == found["tracking"] == report.NO_HOLDOUT
    assert found["formula_depends"] == found["formula_table"] == report.NO_FORMULA
    assert found["history_uneven"] == "Nobody has bought on a second day."
    no_segments = with_(shipped, forecast=replace(shipped.value.forecast, by_segment=None))
    assert report.against_segments(no_segments) == report.NO_SEGMENTS


def test_why_nothing_can_be_told_is_said_where_it_belongs(frames):
    s = study(*CASES["one order"](frames["orders"], frames["users"]))
    for why, where in ((s.value.no_holdout, {"held_out"}), ("over two periods", {"formula"}),
                       (s.value.no_purchases, {"how_often", "how_much", "forecast"})):
        assert {name for name, text in said(s).items() if why in text} == where


def test_a_prediction_that_is_not_made_is_not_said_to_rest_on_anything(shipped):
    assert "the prediction rests on" in report.limits(shipped) or (
        "takes for granted" in report.limits(shipped))
    without = report.limits(with_(shipped, forecast=None))
    assert "would" in without and "the prediction rests" not in without
    ages = shipped.value.transactions["all"].histories.index.get_level_values("age")
    assert f"{max(ages) + 1:,} days" in without


def test_one_definition_of_who_is_lost_or_none(shipped):
    v = shipped.value
    assert "depends on a definition" in report.formula_depends(shipped)
    one = with_(shipped, formula=v.formula.head(1))
    assert "No two definitions" in report.formula_depends(one)
    none = with_(shipped, formula=v.formula.iloc[:0])
    assert report.formula_depends(none) == report.NO_FORMULA
    assert "gives no value" in report.formula_against_model(none)
    assert report.formula_against_model(with_(shipped, forecast=None)) == report.NO_FORECAST


def test_one_customer_with_a_single_purchase_counts(shipped):
    v = shipped.value
    one = replace(v.history, customers=v.transactions["all"].repeat_customers + 1)
    told = report.forecast(with_(shipped, history=one))
    assert "The one with a single purchase counts as" in told
    assert "with a single purchase all count as" in report.forecast(shipped)
