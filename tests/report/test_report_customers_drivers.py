"""What the chapter says about who pays, on data that it was not written for."""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import replace
from types import SimpleNamespace

import drivers_frames as made
import numpy as np
import plotnine as p9
import pytest

from analysis.customers import drivers
from analysis.report.customers import drivers as say
from analysis.report.text import Prose
from analysis.stats.intervals import Interval

ODD = made.odd()
SHOWN = {name: f for name, f in vars(say).items()
         if inspect.isfunction(f) and f.__module__ == say.__name__ and not name.startswith("_")}


def study(frame):
    return SimpleNamespace(drivers=drivers.from_profiles(frame))


@functools.cache
def odd(name):
    return study(ODD[name])


@pytest.fixture(scope="module")
def usual():
    return study(made.profiles(made.users(n=20_000)))


@pytest.mark.parametrize("name", ODD)
def test_everything_can_be_said_of_other_peoples_data(name):
    s = odd(name)
    for what, function in SHOWN.items():
        shown = function(s)
        assert isinstance(shown, Prose | p9.ggplot), what
        if isinstance(shown, Prose):
            text = shown.replace("None of this is cause", "")
            assert not re.search(r"\b(nan|inf|None)\b", text), (what, shown)
            assert "<b>" not in shown and not re.search(r"(?<!\\)\$x", shown)
        # Drawing takes long, and only these differ in what is drawn.
        if isinstance(shown, p9.ggplot) and name in ("200 countries", "one country", "markup"):
            shown.draw(show=False)


def test_what_is_missing_is_told_why():
    told = {
        "nobody": "lie wholly in the period", "no payers": "Nobody paid",
        "everybody pays": "Everybody paid", "one payer": "no factor has two groups",
        "a country without payers": "cannot be fitted",
    }
    for name, words in told.items():
        s = odd(name)
        # The reason stands where models are made and in the conclusion; other places refer to it.
        for function in (say.gap, say.conclusion, say.answer):
            assert words in function(s), (name, function.__name__)
        for function in (say.odds_table, say.odds_figure, say.factors, say.factors_table,
                         say.prediction, say.checks_table, say.calibration_figure):
            assert function(s) == say.NO_MODEL, (name, function.__name__)
        assert say.gap_table(s) == "There is no gap to show."
        assert say.tried_on_others(s) == "" and "in several ways" in say.four_numbers(s)
    assert "Devices cannot be compared" in say.gap(odd("one device"))
    assert "cannot be told apart" in say.pooling(odd("device is country"))
    assert "free of charge" in say.money_ratio(odd("free purchases"))
    assert "nobody, or everybody" in say.gap(odd("a country without payers"))


def test_figures_and_trials_are_announced_where_there_are_some(usual):
    assert "The rows of @tbl-customers-gap differ" in say.four_numbers(usual)
    assert "fitted ten times" in say.tried_on_others(usual)
    assert "in several ways" in say.four_numbers(odd("one device"))
    assert "This pair does not mention paying" in say.devices_by_country(usual)
    assert "This pair" not in say.devices_by_country(odd("one country"))
    for name in ("nobody", "no payers", "everybody pays"):
        assert say.first_look(odd(name)) == say.money_ratio(odd(name)) == say.NOTHING_TO_EXPLAIN
        assert say.pooling(odd(name)) == say.NO_MODEL
    assert say.NOTHING_TO_EXPLAIN not in (say.first_look(usual), say.money_ratio(usual))
    for f, words in ((say.devices_by_country, "users of two countries"), (say.rule, "no table")):
        assert words in f(odd("nobody")) and words not in f(usual)
    kept = usual.drivers.models.ratio.tests.assign(p_adjusted=0.9)
    ratio = replace(usual.drivers.models.ratio, tests=kept)
    s = SimpleNamespace(drivers=replace(
        usual.drivers, models=replace(usual.drivers.models, ratio=ratio)))
    assert "That revenue differs by " in say.money_ratio(s)
    assert "no model of revenue" in say.money_table(odd("no payers"))
    assert say.money_table(usual).startswith("|")


@pytest.mark.parametrize("area, slope, ranks, points", [
    ((0.2, 0.1, 0.4), (-8.0, -14.0, -2.0), "apart worse than a coin", "point the wrong way"),
    ((0.5, 0.4, 0.6), (0.4, -0.1, 0.8), "apart no better than a coin", "somewhat too extreme"),
    ((0.65, 0.6, 0.7), (1.0, 0.8, 1.2), "apart somewhat better than a coin", "not shown to be too"),
    ((0.65, 0.6, 0.7), (2.0, 1.8, 2.2), "apart somewhat better than a coin", "not extreme enough"),
])
def test_ranks_and_slopes_are_told_by_their_side(usual, area, slope, ranks, points):
    area, slope = (Interval(*ends, 0.95, "") for ends in (area, slope))
    s = SimpleNamespace(drivers=replace(
        usual.drivers, models=replace(usual.drivers.models, area=area, slope=slope)))
    assert ranks in say.prediction(s)
    assert points in say.optimism(s)
    assert ("point the wrong way" in say.optimism(s)) == (slope.high < 0)


def test_one_user_is_told_as_one(usual):
    cells = usual.drivers.association_cells
    mine = cells["row_factor"].eq("device") & cells["column_factor"].eq("paying")
    few = cells.assign(observed=cells["observed"].where(~mine, 0))
    few.loc[mine & cells["row"].eq("iOS") & cells["column"].eq("paid"), "observed"] = 1
    s = SimpleNamespace(drivers=replace(usual.drivers, association_cells=few))
    assert "of the 1 user in group iOS" in say.expected(s)


def test_numbers_are_those_of_the_result(usual):
    m = usual.drivers.models
    equal, come = (f[f["factor"] == "device"].iloc[0] for f in (m.effects, m.alone))
    gap = say.gap(usual)
    shares = [100 * come[name] for name in ("share", "share_reference")]
    more, less, apart, left = map(float, re.search(
        r"iOS, ([\d.]+)% pay, .* Android ([\d.]+)%: ([\d.]+) points apart .* "
        r"equal, ([\d.]+) points \(95% interval", gap).groups())
    digits = 1 if abs(round(shares[0], 1) - round(shares[1], 1)
                      - round(shares[0] - shares[1], 1)) < 1e-9 else 2
    assert (more, less) == (round(shares[0], digits), round(shares[1], digits))
    assert more - less == pytest.approx(apart)
    assert (apart, left) == tuple(round(100 * e["difference"], digits) for e in (come, equal))
    odds = m.paying.coefficient("device", "iOS")["ratio"]
    assert f"{odds:.2f} (" in say.odds_table(usual) and f"{odds:.2f} (" in say.gap_table(usual)
    assert f"{100 * m.area.estimate:.0f}% of such pairs" in say.prediction(usual)
    row = usual.drivers.associations.set_index(["row_factor", "column_factor"]).loc[
        ("device", "paying")]
    assert f"{row.statistic:,.1f} ({row.df})" in say.associations_table(usual)
    expected = usual.drivers.association_cells.query(
        "row_factor == 'device' and row == 'iOS' and column == 'paid'")["expected"].iloc[0]
    assert f"= {expected:,.1f}" in say.expected(usual) and f"{expected:,.1f}" in say.expected_table(
        usual)


def test_other_data_give_other_sentences(usual):
    unrelated = odd("unrelated")
    assert "Paying goes with country" in say.associated(usual)
    assert "is not shown" in say.associated(unrelated)
    assert "Paying goes with" not in say.associated(unrelated)
    assert "Nothing that is known at registration" in say.conclusion(unrelated)
    assert "no better than a coin" in say.prediction(unrelated)
    assert "may be chance" in say.gap_left(unrelated)
    assert "tell something about who will pay" in say.conclusion(usual)
    assert "those on iOS pay more often than those on Android" in say.gap_left(usual)

    # iOS users pay less, and countries with more of them pay more: the other way round.
    opposite = study(made.profiles(made.users(n=20_000, device=-0.6, country=0.0, seed=4)))
    assert "those on Android pay more often than those on iOS" in say.gap_left(opposite)
    masked = study(made.profiles(made.users(n=40_000, device=-0.35, country=2.5, seed=6)))
    assert ("the plain comparison points the wrong way" in say.gap(masked)
            or "had hidden part of it" in say.gap(masked))
    alike = study(made.profiles(made.users(n=20_000, device=0.5, country=0.0, gap=0.0, seed=7)))
    assert "hardly a change" in say.gap(alike)
    assert "not shown to differ in their devices" in say.devices_by_country(alike)
    assert "the share of iOS runs from" in say.devices_by_country(usual)

    small = study(made.profiles(made.users(n=60, base=-2.5)))
    assert "Here it fails for" in say.rule(small)
    assert "it holds in every table" in say.rule(usual)
    assert say.first_look(odd("equal prices")) != say.first_look(usual)


def test_who_is_pooled_is_told_with_the_reason():
    rows = made.users(n=4000)
    rows.loc[rows.index[:12], "country"] = "XAA"
    rows.loc[rows.index[12:20], "country"] = "<b>"
    s = study(made.profiles(rows))
    pooled = s.drivers.pooled
    row = pooled[pooled["reason"] == "joined"].iloc[0]
    said = say.pooling(s)
    assert (f"{row['level']}, with {row['users']:,} users, is among them, because what is smaller "
            "comes to 20 only.") in said
    assert "No more than" not in said and "<b>" not in said
    assert "is among them" not in say.pooling(study(made.profiles(made.users(n=4000))))
    many = say.pooling(study(made.profiles(made.users(n=12_000, countries=60))))
    assert "30 groups (country" in many and "small groups" not in many
    assert f"No more than {drivers.MOST_LEVELS} groups of a factor" in many and "(country)" in many


def test_the_company_of_devices_is_only_claimed_where_countries_bear_it_out():
    rows = made.users(n=40_000, device=0.0, country=1.6, gap=0.35)
    claim = "are countries where more of them pay"
    assert claim in say.gap(study(made.profiles(rows)))
    # The same gap by age instead: iOS users are older, and older users pay more.
    rng = np.random.default_rng(3)
    rows["age_band"] = np.where(rng.random(len(rows)) < np.where(rows["device"] == "iOS", 0.8, 0.2),
                                "35-44", "18-24")
    rows["country"] = rng.choice(["A", "B"], len(rows))
    chance = np.where(rows["age_band"] == "35-44", 0.3, 0.1)
    rows["paid"] = (rng.random(len(rows)) < chance).astype(int)
    found = study(made.profiles(rows))
    assert "the company that the devices keep" in say.gap(found)
    if not say._same_countries(found, "iOS", 1.0):
        assert claim not in say.gap(found)
