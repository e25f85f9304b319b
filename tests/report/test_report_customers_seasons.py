"""What the chapter says of trend, seasons, releases and the forecast is true of other data too."""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.customers import seasons
from analysis.report.customers import seasons as report
from analysis.report.text import Prose
from analysis.stats import time_series as ts

NAME = "v2 <b>|*new*_$x$"
NO_TEST = pd.DataFrame({"group": [], "day": [], "assigned": []})


def study(
    n: int, *, step: float = 1.0, releases: tuple[int, ...] = (), rate: float = 40.0,
    views_step: float = 1.0, wave: float = 0.2, zero: tuple[str, ...] = (),
    seed: int = 1, test: bool = False,
) -> SimpleNamespace:
    """A study of made-up days; the first release steps purchases and views by factors."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    after = t >= (releases[0] if releases else n)
    level = np.exp(wave * np.cos(2 * np.pi * (t - 200) / ts.YEAR) + 0.2 * (t % 7 == 2))
    purchases = rng.poisson(rate * level * np.where(after, step, 1))
    daily = pd.DataFrame({
        "day": (np.datetime64("2022-05-04") + t).astype(str),
        "views": rng.poisson(20 * rate * level * np.where(after, views_step, 1)),
        "views_test_group": 0, "purchases": purchases,
        "revenue": [int(rng.choice([99, 299, 999], k).sum()) for k in purchases],
    })
    daily.loc[:, list(zero)] = 0
    given = pd.DataFrame({"day": [str(np.datetime64("2022-05-04") + p) for p in releases],
                          "name": [f"{NAME} {i}" for i in range(len(releases))]}, dtype=object)
    by_date = NO_TEST
    if test:
        daily["views_test_group"] = np.where(t >= n - 90, daily["views"] // 2, 0)
        by_date = pd.DataFrame({"group": "test", "day": daily["day"][n - 90 : n - 50],
                                "assigned": 1})
    return SimpleNamespace(daily=daily, seasons=seasons.seasons(daily, given, by_date))


@cache
def world(name: str) -> SimpleNamespace:
    """One of the worlds, made once."""
    return WORLDS[name]()


WORLDS = {
    "a week": lambda: study(7, releases=(3,)),
    "five weeks": lambda: study(35, releases=(14,)),
    "half a year": lambda: study(180, releases=(60, 70, 120), test=True),
    "two years": lambda: study(740, releases=(400,), step=1.4, test=True),
    "no purchases": lambda: study(180, zero=("purchases", "revenue")),
    "no revenue": lambda: study(180, releases=(90,), zero=("revenue",)),
    "rare purchases": lambda: study(120, rate=0.1, releases=(60,)),
    "nothing": lambda: study(70, zero=("views", "purchases", "revenue")),
}


def shown() -> dict:
    """Every public function that shows something of a study."""
    return {
        name: f for name, f in inspect.getmembers(report, inspect.isfunction)
        if f.__module__ == report.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("name", WORLDS)
def test_everything_has_something_true_to_show(name):
    s = world(name)
    for name, f in shown().items():
        out = f(s)
        if isinstance(out, p9.ggplot):
            assert name.endswith("_figure")
            continue
        assert isinstance(out, Prose), name
        assert "nan" not in out.replace("finance", "") and "inf" not in out.split(), (name, out)
        assert "<b>" not in out and "*new*" not in out, name
        if out and not out.startswith("|") and name != "lags":
            assert out.endswith("."), (name, out)
            assert out[0].isupper() or out[0].isdigit() or out.startswith("v2"), (name, out)


@pytest.mark.parametrize("name", ["five weeks", "two years"])
def test_figures_can_be_drawn(name):
    import matplotlib.pyplot as plt

    s = world(name)
    drawn = [f(s) for name, f in shown().items() if name.endswith("_figure")]
    drawn = [plot for plot in drawn if isinstance(plot, p9.ggplot)]
    assert len(drawn) == (9 if name == "two years" else 4)
    for plot in drawn:
        plt.close(plot.draw())


@pytest.mark.parametrize("step, views_step, said, works", [
    (1.5, 1.0, "raised purchases", "worked on the decision to buy"),
    (0.6, 1.0, "lowered purchases", "worked on the decision to buy"),
    (1.5, 1.5, "raised paywall views (", "Views moved as well as purchases"),
    (1.0, 1.0, "moved paywall views (", "Neither views nor purchases"),
])
def test_release_is_told_by_what_it_did(step, views_step, said, works):
    s = study(300, releases=(150,), step=step, views_step=views_step, rate=60, wave=0)
    assert said in report.release(s)
    assert works in report.release_mechanism(s)
    money = report.release_money(s)
    assert ("brought" in money, "cost" in money) == (step > 1, step < 1)
    assert "no effect" not in report.release(s) and "no difference" not in report.release(s)


def test_no_release_is_said_and_releases_left_out_are_named():
    none = study(180)
    assert "name no release" in report.release(none) == report.release_money(none)
    s = study(180, releases=(60, 70, 170))
    text = report.releases_left_out(s)
    assert text.count("v2") == 2 and "after another" in text and "fewer than 28 days" in text
    early = study(40, releases=(20,))
    assert "needs 56 days" in report.release(early)


def test_year_is_not_told_from_less_than_two():
    s = world("half a year")
    for f in (report.yearly, report.yearly_figure, report.next_peak):
        assert "cannot be told from fewer than 724" in f(s)
    assert "trend and season together" in report.trend(s)
    assert "not to be read as growth" in report.model_terms(s)
    assert "trend and season together" not in report.trend(world("two years"))


def test_forecast_names_its_days_and_its_measures():
    s = world("half a year")
    text = report.forecast(s)
    last = np.datetime64("2022-05-04") + 180
    assert f"{last.item().day} {last.item():%B}".replace(" ", "\u00a0") in text
    totals = s.seasons.forecast_totals.set_index("measure")
    assert f"{totals.loc['purchases', 'total']:,.0f}" in text
    assert f"{totals.loc['revenue', 'total'] / 100:,.0f}" in text


@pytest.mark.parametrize("covered, kept", [(12, True), (11, True), (5, False)])
def test_backtest_tells_a_rate_that_was_not_kept(covered, kept):
    s = study(500)
    told = s.seasons.backtest.assign(covered=covered, changed=1)
    text = report.backtest(SimpleNamespace(seasons=replace(s.seasons, backtest=told)))
    assert f"{covered} had what came" in text
    assert ("fewer than promised" in text) is not kept
    assert ("1 of the 7 missed came when" in text) is not kept


def test_test_is_said_to_be_in_the_model_only_if_it_is():
    assert "No paywall test" in report.confounder(study(180))
    assert "is a term, up to" in report.confounder(world("half a year"))
