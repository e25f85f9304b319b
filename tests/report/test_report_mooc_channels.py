"""What the chapter says of channels follows from the results, on any tables."""

from __future__ import annotations

import inspect
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest
from held import held

from analysis.mooc import channels
from analysis.mooc.value import MARGIN
from analysis.report.mooc import channels as say
from analysis.report.text import Prose

SAID = [f for name, f in inspect.getmembers(say, inspect.isfunction)
        if not name.startswith("_") and f.__module__ == say.__name__]
HOSTILE = ("<b>=| `x`", "= @fig-a", "# 2.0 [now](x)", "$a$ *b*")


def of(users=60, *, sold=("web",), found=("ads",), days=200, amount=10.0, buyers=0.5, country="US"):
    """A study of users of whom a share bought once or twice."""
    people = pd.DataFrame({
        "user_id": [f"U{i}" for i in range(users)],
        "referral_channel": [found[i % len(found)] for i in range(users)],
        "user_country": country})
    rows = [
        (f"O{i}-{j}", f"U{i}", "C1",
         pd.Timestamp("2024-01-01") + pd.Timedelta(days=(37 * i + 11 * j) % days),
         amount * (1 + i % 7), sold[(i + j) % len(sold)])
        for i in range(max(1, round(users * buyers))) for j in range(1 + i % 2)]
    names = ["order_id", "user_id", "course_id", "order_timestamp", "amount", "channel"]
    orders = pd.DataFrame(rows, columns=names)

    types = {"orders": {**dict.fromkeys(names, "string"), "order_timestamp": "timestamp(6)",
                        "amount": "float64"},
             "people": dict.fromkeys(people, "string")}
    tables = held({"orders": orders, "people": people.astype(object)}, types)
    return SimpleNamespace(channels=channels.channels(tables["orders"], tables["people"]))


WORLDS = {
    "one of each": {},
    "not given": {"sold": (None,), "found": (None,), "country": None},
    "one customer": {"users": 1, "buyers": 1},
    "a day": {"days": 1, "sold": ("web", "app"), "found": ("ads", "blog")},
    "all free": {"amount": 0.0, "sold": ("web", "app"), "found": ("ads", "blog")},
    "everybody buys": {"buyers": 1, "found": ("ads", "blog"), "sold": ("web", "app")},
    "markup": {"sold": HOSTILE, "found": HOSTILE, "users": 400},
    "many": {"users": 900, "sold": [f"a long name of channel {i}" for i in range(40)],
             "found": [f"a long name of source {i}" for i in range(40)]},
}


@pytest.mark.parametrize("world", WORLDS)
def test_every_table_and_sentence_says_something(world):
    s = of(**WORLDS[world])
    for function in SAID:
        said = function(s)
        if isinstance(said, p9.ggplot):
            said.draw()
            continue
        assert isinstance(said, Prose), function.__name__
        assert function.__name__ == "recommendation" or said.strip(), function.__name__
        assert "nan" not in said and "None" not in said, function.__name__
        assert "<b>" not in said and " @fig" not in said and "[now]" not in said
        if function.__name__.endswith("_table") and said.startswith("|"):
            assert len(said.splitlines()) <= 2 + say.MOST + 1


def cells(markdown):
    return [[c.strip() for c in line.split("|")[1:-1]] for line in markdown.splitlines()[2:]]


def test_numbers_are_those_of_the_results(mooc_study):
    c = mooc_study.channels
    rows = {r[0]: r for r in cells(say.referrals_table(mooc_study))}
    friend = c.referrals.loc["Friend"]
    assert rows["Friend"][1] == f"{friend.users:,.0f}"
    assert rows["Friend"][3] == (f"{friend.value_per_user:.2f} ({friend.value_per_user_low:.2f}"
                                 f"\u00a0to\u00a0{friend.value_per_user_high:.2f})")
    ceiling = {r[0]: r for r in cells(say.ceiling_table(mooc_study))}
    assert ceiling["Friend"][1:3] == [f"{friend.value_per_user:.2f}",
                                      f"{friend.value_per_user_low:.2f}"]
    app = c.trends.loc["Mobile App"]
    assert f"Mobile App from {100 * app['first']:.0f}% to {100 * app['last']:.0f}%" in say.trends(
        mooc_study)
    assert f"{c.halves.by_channel_and_half.growth['Website']:,.0f}" in say.halves(mooc_study)
    for f in (say.mix_figure(mooc_study), say.referral_figure(mooc_study)):
        assert len(f._repr_mimebundle_()[0]["image/svg+xml"]) < 46_000
    assert set(say.referral_figure(mooc_study).data.side[:6]) > {"below the others"}


def with_referrals(s, differences=(), **columns):
    c = s.channels
    return SimpleNamespace(channels=replace(
        c, referrals=c.referrals.assign(**columns),
        differences=replace(c.differences, **dict(differences))))


def test_sentences_follow_the_tests(mooc_study):
    s = mooc_study
    assert "no channel is shown to differ" in say.customer_value(s)
    assert "whether" in say.why(s) and "hardly the countries" in say.countries(s)
    other = with_referrals(s, {"customer_p": 0.001}, customer_p=0.01, customer_ratio=1.5)
    assert "differs as well" in say.customer_value(other)
    none = with_referrals(s, {"user_p": 0.5, "conversion_p": 0.5})
    assert "is not shown" in say.user_value(none) and "is not shown" in say.conversion(none)
    assert say.recommendation(none) == "" and "is not shown" in say.answer(none)
    assert "random" not in say.recommendation(s)
    # A ceiling of what is left, as the one for sign-ups is, not of revenue.
    lower = s.channels.referrals.value_per_user_low
    assert f"up to {MARGIN * lower['Friend']:.2f} for one from Friend" in say.recommendation(s)
    assert f"not above {MARGIN * lower['Social Media']:.2f} for one" in say.recommendation(s)
    assert f"At a margin of {MARGIN:.0%}" in say.recommendation(s)
    swapped = with_referrals(s, relative_conversion=s.channels.referrals.relative_customer,
                             relative_customer=s.channels.referrals.relative_conversion)
    assert "*how much* a customer spends" in say.why(swapped)


def test_trends_and_order_values_follow_the_tests(mooc_study):
    c = mooc_study.channels
    flat = SimpleNamespace(channels=replace(c, trends=c.trends.assign(p_adjusted=1.0)))
    assert "No channel's share of the orders is shown" in say.trends(flat)
    only = SimpleNamespace(channels=replace(
        c, trends=c.trends[c.trends.odds_ratio < 1].assign(p_adjusted=0.01)))
    assert say.trends(only).startswith("Losing:") and "Gaining" not in say.trends(only)
    assert "leave little room" in say.order_value(mooc_study)
    wide = SimpleNamespace(channels=replace(
        c, sold=c.sold.assign(order_value_ratio_low=0.5)))
    assert "still allow" in say.order_value(wide)
    apart = SimpleNamespace(channels=replace(
        c, sold=c.sold.assign(order_value_p=np.where(c.sold.index == "Partner", 0.01, 1.0))))
    assert say.order_value(apart).startswith("An order through Partner brings")


def test_a_difference_is_split_only_where_it_is_shown(mooc_study):
    s = mooc_study
    assert "that channels differ in the value a customer alone is not shown." in say.why(s)
    both = with_referrals(s, {"customer_p": 0.001})
    assert "is not shown" not in say.why(both) and say.why(both).endswith("on average.")
    neither = with_referrals(s, {"customer_p": None, "conversion_p": 0.5})
    assert "in conversion or the value a customer alone is not shown." in say.why(neither)
    none = with_referrals(s, {"user_p": 0.786})
    assert "not shown to differ in value" in say.why(none) and "10%" not in say.why(none)
    half = np.sqrt(s.channels.referrals.relative_value)
    split = with_referrals(s, relative_conversion=half, relative_customer=half)
    assert "one both in whether" in say.why(split) and "5.0 points come" in say.why(split)


def test_countries_explain_only_what_is_shown(mooc_study):
    none = say.countries(with_referrals(mooc_study, {"conversion_p": 0.786}))
    assert "no difference is shown that countries could explain" in none and "times" not in none
    assert "hardly the countries" not in none and "@tbl-mooc-referral-parts" in none
    free = with_referrals(mooc_study, revenue=0.0)
    assert "@tbl" not in say.countries(free) and "times as well" in say.countries(free)


def test_users_may_differ_without_a_channel_to_name(mooc_study):
    said = say.user_value(with_referrals(mooc_study, {"user_p": 0.01}, user_p=0.5))
    assert "differ in what they are worth" in said and "no single channel" in said
    assert "is not shown" not in said
    alone = with_referrals(
        mooc_study, {"user_p": 0.5, "customer_p": 0.01}, customer_p=0.01, customer_ratio=1.5)
    assert "value differs (" in say.customer_value(alone)


def test_the_mix_is_announced_where_it_is_shown(mooc_study):
    said = say.mix(mooc_study)
    assert "@fig-mooc-mix" in said and "@tbl-mooc-trends" in said
    c = mooc_study.channels
    untested = SimpleNamespace(channels=replace(c, trends=c.trends.iloc[:0]))
    assert "@fig-mooc-mix" in say.mix(untested) and "@tbl" not in say.mix(untested)
    assert say.trends(untested) == say.trends_table(untested) == say.NO_TREND
    assert say.mix(of(**WORLDS["a day"])) == say.mix(of(**WORLDS["not given"])) == say.NO_MONTHS
    assert "single day" in say.halves(of(**WORLDS["a day"]))


def test_that_no_channel_is_known_is_not_called_free():
    unknown, free = of(**WORLDS["not given"]), of(**WORLDS["all free"])
    for function in (say.ceiling, say.ceiling_table, say.relative_table):
        assert function(unknown) == say.NO_REFERRALS
        assert function(free) == say.NOTHING_PAID
