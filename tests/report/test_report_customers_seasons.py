"""What the chapter says of trend, seasons, releases and the forecast is true of other data too."""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.customers import seasons
from analysis.customers.lift import Action
from analysis.report.customers import seasons as report
from analysis.report.text import Prose
from analysis.stats import time_series as ts
from analysis.stats.decision import Finding

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
    return SimpleNamespace(daily=daily, seasons=seasons.seasons(daily, given, by_date), lift=LIFT)


def lifts(**told: tuple[float, float, float]) -> SimpleNamespace:
    """A read test with these lifts of its secondary metrics."""
    rows = [(name, *lift) for name, lift in told.items()]
    frame = pd.DataFrame(rows, columns=["metric", "lift", "lift_low", "lift_high"])
    return SimpleNamespace(action=Action.SHIP, secondary=SimpleNamespace(metric_values=frame))


LIFT = lifts(bought=(0.2, 0.0, 0.4), revenue=(0.23, -0.12, 0.71), purchases=(0.34, 0.08, 0.66))


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
    (1.5, 1.0, r"purchases \(.*\) and revenue \(.*\) are above what", "decision to buy"),
    (0.6, 1.0, r"purchases \(.*\) and revenue \(.*\) are below what", "decision to buy"),
    (1.5, 1.5, r"paywall views \(.*\), purchases .* are above what", "Views changed as well as"),
    (1.0, 1.0, r"paywall views \(.*\) are within 10% of", "Neither views nor purchases"),
])
def test_release_is_told_by_what_is_different_since(step, views_step, said, works):
    s = study(300, releases=(150,), step=step, views_step=views_step, rate=60, wave=0)
    told = report.release(s)
    assert re.search(said, told) and f"out on {report.day(s.daily['day'][150])}" in told
    # There is no year in so few days.
    assert "what trend and weekdays led to expect" in told and "season" not in told
    assert works in report.release_mechanism(s)
    money = report.release_money(s)
    assert (") above what" in money, ") below what" in money) == (step > 1, step < 1)
    answer = report.answer(s)
    r = s.seasons.release_effects.set_index("measure").loc["purchases"]
    ends = [abs(round(100 * np.expm1(r[end]))) for end in ("estimate", "low", "high")]
    if step == 1:
        assert "within 10% of what" in answer or "is open, " in answer
    else:
        ends = ends[0], *sorted(ends[1:])
        side = "above" if step > 1 else "below"
        assert "{}% ({}% to {}%) {} what".format(*ends, side) in answer.replace("\xa0", " ")
        assert "with no control group" in answer
    for text in (told, answer, report.release_mechanism(s), money, report.slope(s)):
        assert not re.search(r"\b(raise|lower|brought|cost|moved|work|effect|no difference)", text)


def test_what_a_trend_is_apart_from_is_what_the_model_has():
    assert "eason" not in report.trend(study(180)).removesuffix("season together.")
    assert report.trend(study(180)).startswith("Paywall views change by")
    half, two = world("half a year"), world("two years")
    assert report.trend(half).startswith("Releases and paywall test apart, paywall views change by")
    assert report.answer(half).startswith(
        "Trend and season together, releases and paywall test apart, **revenue** changes by")
    assert report.answer(two).startswith(
        "Season, release and paywall test apart, **revenue** changes by")


def test_the_row_of_the_new_paywall_is_no_effect_of_it():
    s = world("two years")
    assert report.paywall_term(study(180)) == ""  # without a test there is no such row
    said = report.paywall_term(s).replace("\xa0", " ")
    assert "its lift is +34% (+8% to +66%) for purchases a user and +23% (−12% to +71%) for" in said
    # No row is shown to differ from 1 here; where one is and the test's lift is not, it is said.
    assert "leaves out" not in said
    terms = s.seasons.terms
    sure = (terms["term"] == "test") & terms["measure"].isin(["purchases", "revenue"])
    terms = terms.assign(low=terms["low"].where(~sure, 0.1), high=terms["high"].where(~sure, 0.8))

    def seen(lift):
        return report.paywall_term(SimpleNamespace(
            seasons=replace(s.seasons, terms=terms), lift=lift))
    assert "For revenue the interval of the row leaves out ×1" in seen(LIFT)
    assert "For purchases and revenue" in seen(
        lifts(purchases=(0.1, -0.1, 0.3), revenue=(0.2, -0.1, 0.7)))
    assert "leaves out" not in seen(lifts(purchases=(0.1, 0.02, 0.3)))
    assert "revenue" not in seen(lifts(purchases=(0.1, 0.02, 0.3)))
    nothing = lifts(revenue=(np.nan, np.nan, np.nan))
    for lift in (nothing, SimpleNamespace(action=Action.UNKNOWN, secondary=None)):
        assert "has no lift of purchases or revenue" in seen(lift)
    nothing.action = Action.DISTRUST
    assert "whose split of users is broken" in seen(nothing)


def test_a_second_wave_is_told_with_its_size_and_never_as_absent():
    s = world("two years")
    fits = s.seasons.fits.set_index("measure")
    said = report.yearly(s).replace("\xa0", " ")
    assert (fits["second_wave_p"] > 0.05).all()
    for r in fits.itertuples():
        size, low, high = (report.change(np.exp(x)) for x in (
            r.second_wave, r.second_wave_low, r.second_wave_high))
        p = f"p = {r.second_wave_p:.3f}"
        assert f" {size} ({low} to {high}; {p}) for {report.NAMES[r.Index]}" in said
    assert "half a year long, is not shown to be needed: its peaks would be at" in said
    clear = s.seasons.fits.assign(
        second_wave_p=s.seasons.fits["second_wave_p"].where(
            s.seasons.fits["measure"] != "purchases", 0.01))
    said = report.yearly(SimpleNamespace(seasons=replace(s.seasons, fits=clear)))
    assert re.search(
        r"half a year long, is shown, with peaks at \S+ \(.*p.=.0\.010\) for purchases; "
        r"for the rest it is not shown to be needed", said)


def test_days_hang_together_only_if_the_corrected_tests_say_so():
    s = world("two years")
    fits = s.seasons.fits

    def told(p, corrected):
        found = fits.assign(
            ljung_box_7=p[0], ljung_box_28=p[1], ljung_box_7_adjusted=corrected[0],
            ljung_box_28_adjusted=corrected[1])
        return report.diagnostics(SimpleNamespace(
            seasons=replace(s.seasons, fits=found))).replace("\xa0", " ")

    one = [0.5, 0.5, 0.04]
    said = told((0.6, one), (1.0, 0.24))
    assert "is not shown: of 6 Ljung–Box tests" in said and "p = 0.240" in said
    assert "on its own 1 would be significant, in revenue" in said
    assert "on their own 2 would be significant, in revenue)" in told((one, one), (1.0, 0.2))
    assert "would be" not in told((0.6, 0.6), (1.0, 1.0))
    left = told((0.6, [0.5, 0.001, 0.5]), (1.0, [1.0, 0.006, 1.0]))
    assert "not wholly independent" in left and "left in purchases, which" in left
    assert "p = 0.006" in left
    r = max(fits.itertuples(), key=lambda r: abs(r.autocorrelation))
    for text in (said, left):  # with the size beside the p
        sign = "−" if r.autocorrelation < 0 else ""
        assert f"day before is {sign}{abs(r.autocorrelation):.2f} (95% interval" in text
    assert "of 3 Ljung–Box tests" in told((0.6, np.nan), (1.0, np.nan))
    only = [0.6, np.nan, np.nan]
    assert "not shown: the Ljung–Box test has p = 0.600" in told((only, np.nan), (only, np.nan))
    assert "cannot be tested" in told((np.nan, np.nan), (np.nan, np.nan))


def test_strengths_are_told_by_measure():
    s = world("two years")
    said = report.strengths(s)
    for m, d in s.seasons.decomposition.items():
        trend, week = (f"{100 * x:.0f}%" for x in (d.trend_strength, d.week_strength))
        between = "(, and of week .* the week is| and)"
        assert re.search(rf"{trend}{between} {week},? for {report.NAMES[m]}", said), (m, said)


def test_no_release_is_said_and_releases_left_out_are_named():
    none = study(180)
    assert "name no release" in report.release(none)
    s = study(180, releases=(60, 70, 170))
    text = report.releases_left_out(s)
    assert text.count("v2") == 2 and "after another" in text and "fewer than 28 days" in text
    early = study(40, releases=(20,))
    assert "needs 56 days" in report.release(early)


@pytest.mark.parametrize("releases, why", [((), "name no release"), ((20,), "fewer than 28 days")])
def test_why_no_release_is_told_is_said_once_and_referred_to(releases, why):
    s = study(180, releases=releases)
    assert report.release(s).count(why) == 1
    assert report.releases_left_out(s) == report.release_mechanism(s) == report.slope(s) == ""
    assert report.before_and_after(s) == report.tried(s) == ""
    for f in (report.releases_table, report.placebo_figure, report.release_money,
              report.not_an_experiment):
        assert f(s) == report.NO_STEP and why not in f(s) and "@sec-customers-release" in f(s)
    assert "none to try on another date" in report.placebo(s)
    assert "The last days are shown" in report.around(s)
    told = study(180, releases=(90,))
    assert "How does a release look" in report.around(told)
    assert "tried on every date that has 28 days" in report.tried(told)
    long = replace(told.seasons, days=seasons.DAILY_SCAN + 1)
    assert "tried on one date a week that" in report.tried(SimpleNamespace(seasons=long))
    for f in (report.release_money, report.not_an_experiment, report.releases_table):
        assert f(told) != report.NO_STEP


def test_forecasts_and_their_trials_are_announced_where_there_are_some():
    none, young, old = world("a week"), study(70), world("two years")
    assert "A forecast cannot be told from fewer than 56 days" in report.ahead(none)
    assert report.forecast_table(none) == report.forecast_figure(none) == report.NO_FORECAST
    assert "Without a forecast there is none" in report.backtest(none)
    assert "The same model looks ahead" in report.ahead(young) == report.ahead(old)
    assert report.earlier(young) == "" and "fitted again" in report.earlier(old)
    assert report.backtest_table(young) == report.backtest_figure(young) == report.NO_EARLIER
    assert "too short to try" in report.backtest(young)


def test_a_trend_is_told_a_year_only_where_there_is_one():
    for n, per, years in ((180, "in 28 days", 28 / ts.YEAR), (366, "a year", 1.0)):
        s = study(n, releases=(90,))
        found = s.seasons.effect("revenue", "trend")
        size, low, high = (report.change(np.exp(years * x))
                           for x in (found.estimate, found.low, found.high))
        assert f"by {size} ({low} to {high}) {per};" in report.trend(s)
        assert f"by {size} ({low} to {high}) {per}" in report.answer(s)
        table = report.terms_table(s).replace("\xa0", " ")
        assert f"Trend, {per}" in table.replace("\\", "")
        row = next(line for line in table.split("\n") if "Trend," in line)
        assert row.count(f"×{np.exp(years * found.estimate):.2f} (") == 1
        effects = s.seasons.release_effects.set_index("measure")
        assert f"Change of trend, {per}" in report.releases_table(s)
        for r in effects.itertuples():
            assert f"×{np.exp(years * r.slope):.2f} ({np.exp(years * r.slope_low):.2f} to" in (
                report.releases_table(s).replace("\xa0", " "))
        if (effects["slope_p"] > 0.05).all():
            assert f"{per}, so a step that fades" in report.slope(s)
        other = "a year" if years < 1 else "in 28 days"
        for f in (report.trend, report.answer, report.slope, report.terms_table,
                  report.releases_table):
            assert other not in f(s)
    assert report.answer(world("a week")).startswith("The tables cover 7 days. A trend cannot")


def test_intervals_are_said_to_stand_in_brackets_only_where_they_do():
    s = world("two years")
    for p in (0.5, 0.01):
        fits = s.seasons.fits.assign(weekly_p=p)
        said = report.weekly(SimpleNamespace(seasons=replace(s.seasons, fits=fits)))
        assert ("95% intervals in brackets" in said) == ("are highest on" in said) == (p < 0.05)
    terms = s.seasons.terms
    flat = terms.assign(low=terms["low"].mask(terms["term"] == "peak", -np.inf))
    fits = s.seasons.fits.assign(second_wave_p=np.nan)
    said = report.yearly(SimpleNamespace(seasons=replace(s.seasons, terms=flat, fits=fits)))
    assert "no yearly wave is shown for revenue" in said and "in brackets" not in said
    assert "; 95% intervals in brackets." in report.yearly(s)


@pytest.mark.parametrize("finding, said, unsaid", [
    ("higher", "credible because the date was known", "not shown"),
    ("lower", "credible because the date was known", "not shown"),
    ("inconclusive", "that there is a step at it is not shown", "credible"),
    ("equivalent", "its step is within 10% either way", "credible"),
])
def test_a_step_is_called_credible_only_where_it_is_shown(finding, said, unsaid):
    s = study(300, releases=(150,))
    effects = s.seasons.release_effects.assign(finding=Finding(finding))
    for stronger in (3, 0):
        checks = s.seasons.placebo_checks.assign(stronger=stronger)
        told = report.placebo(SimpleNamespace(
            daily=s.daily,
            seasons=replace(s.seasons, release_effects=effects, placebo_checks=checks)))
        assert (said in told) == (stronger > 0) and unsaid not in told.split("With the release")[0]


def test_what_to_hold_a_month_against_is_told_with_what_there_is():
    assert report.against_the_model(study(180)).startswith("Two months differ by trend")
    both = report.against_the_model(world("two years"))
    assert "In the 28 days from the release on" in both and "Plan for the peak" in both
    assert "Plan for" not in report.against_the_model(study(180, releases=(90,)))
    assert "When to expect the next peak cannot be said" in report.next_peak(study(180))


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


@pytest.mark.parametrize("stretch, said", [
    ((1.8, 1.08), "root mean squares, 1.8 (purchases) and 1.1 (revenue) times as large as"),
    ((1.04, 1.3), "root mean squares, 1.3 (revenue) times as large as"),
    ((1.0, 1.04), ""), ((np.nan, np.nan), ""),
])
def test_past_errors_are_told_as_what_they_are(stretch, said):
    s = study(500)
    found = s.seasons.backtest.assign(stretch=stretch, covered=s.seasons.backtest["origins"])
    text = report.backtest(SimpleNamespace(seasons=replace(s.seasons, backtest=found)))
    # That all totals were in their intervals is no contradiction, since nothing else is claimed.
    assert "all 12 had what came" in text
    assert (said in text and "times as large" in text) if said else "times as large" not in text


def test_models_of_earlier_dates_are_told_by_what_they_had():
    assert "have no yearly wave" in report.backtest_wave(study(500))
    assert report.backtest_wave(world("a week")) == ""
    s = world("two years").seasons
    first = np.datetime64(s.first_day)
    have = sorted({int((np.datetime64(day) - first).astype(int))
                   for day in s.backtest_origins["origin"]})

    def said(earlier):
        """As if the tables began so many days earlier."""
        return report.backtest_wave(SimpleNamespace(
            seasons=replace(s, first_day=str(first - earlier))))

    assert "all 12 dates have fewer than the 724 days" in said(0)
    assert f"{have[0]} to {have[-1]}: it is the form" in said(0)
    assert "all have the 724 days that it takes" in said(724 - have[0])
    assert "1 of the 12 dates has fewer" in said(723 - have[0]) and ", 723: it is" in (
        said(723 - have[0]))
    assert "5 of the 12 dates have fewer" in said(724 - have[5])


def test_test_is_said_to_be_in_the_model_only_if_it_is():
    assert "No paywall test" in report.confounder(study(180))
    s = world("half a year")
    said = report.confounder(s)
    assert "is a term, up to" in said and "28 days after the last assignment" in said
    cut = report.confounder(SimpleNamespace(
        seasons=replace(s.seasons, test_end=s.seasons.last_day)))
    assert f"up to {report.day(s.seasons.last_day)}: the end of the tables" in cut
    assert "after the last assignment" not in cut and "old paywall came back" not in cut
