"""Trend, seasons, releases and forecasts of the app's days."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.customers import KEYS, events, paywall, seasons, series
from analysis.days import iso_day
from analysis.results import flatten
from analysis.simulate.customers import TRUTH
from analysis.sources import Tables
from analysis.stats import time_series as ts

NO_RELEASES = pd.DataFrame({"day": [], "name": []}, dtype=object)
NO_TEST = pd.DataFrame({"group": [], "day": [], "assigned": []})


def days(
    n: int, seed: int = 1, *, rate: float = 20.0, step: tuple[int, float] = (0, 1.0),
    wave: float = 0.2, start: str = "2022-05-04",
) -> pd.DataFrame:
    """Made-up days: views, a share of them bought, prices; a step at a position by a factor."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)
    factor = np.where(t >= step[0], step[1], 1.0)
    level = np.exp(0.1 * t / ts.YEAR + wave * np.cos(2 * np.pi * (t - 200) / ts.YEAR)
                   + 0.2 * (t % 7 == 2))
    purchases = rng.poisson(rate * level * factor)
    revenue = np.array([rng.choice([99, 299, 999], k).sum() for k in purchases], dtype=int)
    return pd.DataFrame({
        "day": (np.datetime64(start) + t).astype(str), "views": rng.poisson(10 * rate * level),
        "views_test_group": 0, "purchases": purchases, "revenue": revenue,
    })


def released(*positions: int, start: str = "2022-05-04") -> pd.DataFrame:
    """Releases at positions within the days."""
    return pd.DataFrame({"day": [str(np.datetime64(start) + p) for p in positions],
                         "name": [f"v{i}" for i in range(len(positions))]}, dtype=object)


def with_test(daily: pd.DataFrame, first: int, last: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The days with half of the views in the test group from `first` on, and `by_date`."""
    position = np.arange(len(daily))
    daily = daily.assign(views_test_group=np.where(position >= first, daily["views"] // 2, 0))
    end = min(last + seasons.HORIZON, len(daily) - 1)
    on = [(g, daily["day"][p], int(p <= last)) for g in ("control", "test")
          for p in range(first, end + 1)]
    return daily, pd.DataFrame(on, columns=["group", "day", "assigned"])


@pytest.fixture(scope="module")
def tables(customers_tables) -> Tables:
    return customers_tables


@pytest.fixture(scope="module")
def shipped(tables) -> seasons.Seasons:
    period = events.period(tables)
    release = pd.DataFrame({"day": [TRUTH["release"]["date"]], "name": ["new"]})
    assigned = paywall.assigned(tables, period).to_pandas().groupby(["group", "assigned_day"])
    by_date = assigned.size().rename("assigned").reset_index()
    by_date["day"] = iso_day(by_date["assigned_day"])
    return seasons.seasons(series.daily(tables, period), release, by_date)


# --- The shipped tables ---------------------------------------------------------------------------

@pytest.mark.parametrize("measure", seasons.MEASURES)
def test_planted_effects_are_recovered(shipped, measure):
    truth = TRUTH["views"]
    bought = measure != "views"
    shop, paywall_factor = TRUTH["shop"], TRUTH["test"]["factor"]
    planted = {
        "trend": truth["trend"], "amplitude": truth["amplitude"], "peak": truth["peak"],
        **truth["weekly"],
        f"release {TRUTH['release']['date']}": math.log(TRUTH["release"]["factor"]) * bought,
        "test": math.log1p((paywall_factor - 1) / (1 + shop)) * bought,
    }
    for term, value in planted.items():
        found = shipped.effect(measure, term)
        assert found.contains(value), (measure, term, found, value)
    # So narrow that another truth would have been told apart.
    assert shipped.effect("views", "peak").high - shipped.effect("views", "peak").low < 10
    assert not shipped.effect("purchases", "release 2024-03-11").contains(0)
    assert abs(shipped.effect("views", "release 2024-03-11").estimate) < math.log(1.05)


def test_test_is_over_28_days_after_the_last_assignment(shipped):
    last = np.datetime64(TRUTH["test"]["effect_until"]) - 1
    assert shipped.test_end == str(last)
    assert shipped.test_days == int((last - np.datetime64(TRUTH["test"]["start"])).astype(int)) + 1


def test_expected_purchases_of_the_next_weeks_are_within_the_forecast(shipped):
    """What the generator would have gone on to make, without the test."""
    views, t = TRUTH["views"], np.arange(731, 759)
    weekly = np.array(list(views["weekly"].values()))[(t + 6) % 7]
    yearly = views["amplitude"] * np.cos(2 * np.pi * (t - views["peak"]) / ts.YEAR)
    a_day = views["views_a_day"] * np.exp(views["trend"] * t / ts.YEAR + weekly + yearly)
    expected = (a_day * TRUTH["conversion"]["average"] * (1 + TRUTH["shop"])
                * TRUTH["release"]["factor"]).sum()
    found = shipped.forecast_totals.set_index("measure").loc["purchases"]
    assert found["low"] < expected < found["high"]


def test_release_stands_out_from_steps_beside_it(shipped):
    checks = shipped.placebo_checks.set_index("measure")
    assert checks.loc["purchases", "as_strong"] == 0
    assert abs(checks.loc["views", "release_z"]) < 1.96 < checks.loc["purchases", "release_z"]
    finding = shipped.release_effects.set_index("measure")["finding"]
    assert finding.to_dict() == {"views": "equivalent", "purchases": "higher", "revenue": "higher"}


def test_measures_of_a_release_are_tested_in_order(shipped):
    """A fixed sequence: a measure is significant only if those before it are."""
    effects = shipped.release_effects
    assert effects["measure"].tolist() == ["purchases", "revenue", "views"]
    np.testing.assert_allclose(effects["p_adjusted"], effects["p"].cummax())


# --- The model ------------------------------------------------------------------------------------

@pytest.mark.parametrize("n, weekly, trend, yearly, reason", [
    (1, 0, 0, 0, "short"), (27, 0, 0, 0, "short"), (28, 1, 0, 0, ""), (55, 1, 0, 0, ""),
    (56, 1, 1, 0, ""), (723, 1, 1, 0, ""), (724, 1, 1, 1, ""),
])
def test_terms_need_their_days(n, weekly, trend, yearly, reason):
    s = seasons.seasons(days(n), released(n // 2), NO_TEST)
    fits = s.fits.set_index("measure").loc["purchases"]
    assert fits["reason"] == reason
    assert [fits[name] for name in ("weekly", "trend", "yearly")] == [weekly, trend, yearly]
    assert s.releases["reason"].tolist() == ["" if n >= 56 else "edge"]
    assert len(s.forecast_totals) == (2 if trend else 0)
    assert len(s.yearly_curve) == 3 * 53 * yearly
    flatten(s, KEYS)


def test_releases_need_data_on_both_sides_and_room_between():
    at = (-5, 0, 27, 28, 40, 56, 200, 227, 228, 300, 273)
    s = seasons.seasons(days(300), released(*at).sample(frac=1, random_state=3), NO_TEST)
    reasons = dict(zip(s.releases["day"], s.releases["reason"], strict=True))
    first = np.datetime64("2022-05-04")
    assert {p: reasons[str(first + p)] for p in at} == {
        -5: "outside", 0: "edge", 27: "edge", 28: "", 40: "close", 56: "", 200: "", 227: "close",
        228: "", 273: "edge", 300: "outside"}
    assert set(s.release_effects["release"]) == {str(first + p) for p in (28, 56, 200, 228)}


def test_other_dates_are_not_tried_next_to_another_release():
    """There, a day or two between two steps would decide."""
    s = seasons.seasons(days(400, wave=0), released(100, 300), NO_TEST)
    start = np.datetime64("2022-05-04")
    tried = (s.placebo["day"].unique().to_numpy(dtype="M8[D]") - start).astype(int)
    assert np.abs(tried - 100).min() >= seasons.SIDE and 300 in tried
    assert s.placebo["beside"].isna().sum() == 3 * 7  # within 28 days of 300, a week apart
    assert s.placebo[["instead", "beside"]].abs().max().max() < 4


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.4])
def test_step_is_found_with_what_it_brought(factor):
    daily = days(800, step=(500, factor), rate=60)
    s = seasons.seasons(daily, released(500), NO_TEST)
    effects = s.release_effects.set_index("measure")
    assert math.exp(effects.loc["purchases", "low"]) < factor < math.exp(
        effects.loc["purchases", "high"])
    expected = {0.7: "lower", 1.0: ("inconclusive", "equivalent"), 1.4: "higher"}[factor]
    assert effects.loc["purchases", "finding"] in expected
    row = effects.loc["revenue"]
    assert row["since"] == daily["revenue"][500:].sum()
    # What is left is what there would have been: the ratio is that of the step.
    assert row["since"] / (row["since"] - row["extra"]) == pytest.approx(math.exp(row["estimate"]))
    assert row["extra_low"] < row["extra"] < row["extra_high"]


def test_test_is_a_confounder_unless_it_is_in_the_model():
    """A new paywall that sells more, on half of the views, is not laid to the release."""
    daily, by_date = with_test(days(740, rate=80), 600, 680)
    shown = (np.arange(740) >= 600) & (np.arange(740) <= 680 + seasons.HORIZON)
    more = np.random.default_rng(3).poisson(0.4 * daily["purchases"] * shown)
    daily["purchases"] = daily["purchases"] + more
    held, ignored = (
        seasons.seasons(daily, released(560), test).effect("purchases", "release 2023-11-15")
        for test in (by_date, NO_TEST)
    )
    assert held.contains(0) and not ignored.contains(0)
    s = seasons.seasons(daily, NO_RELEASES, by_date)
    assert s.effect("purchases", "test").contains(math.log(1.4) / 0.5)
    assert (s.test_days, s.test_end) == (81 + seasons.HORIZON, daily["day"][708])


def test_short_test_has_no_term():
    daily, by_date = with_test(days(200), 180, 190)
    s = seasons.seasons(daily, NO_RELEASES, by_date)
    assert s.test_end is None and s.test_days == 0
    assert "test" not in set(s.terms["term"])


def test_sunday_is_what_the_others_leave():
    s = seasons.seasons(days(300), NO_RELEASES, NO_TEST)
    week = s.terms[s.terms["term"].isin(ts.WEEKDAYS)].set_index(["measure", "term"])["estimate"]
    assert week.groupby("measure").sum().abs().max() < 1e-9
    # The busy day of the made-up week is a Friday: 2022-05-04 + 2.
    assert week["views"].idxmax() == "Fri"


def test_flat_year_has_no_date_of_its_peak():
    s = seasons.seasons(days(760, wave=0.0), NO_RELEASES, NO_TEST)
    assert s.fits.set_index("measure").loc["purchases", "yearly_p"] > 0.05
    assert math.isinf(s.effect("purchases", "peak").low)


@pytest.mark.parametrize("size", [0.0, 0.3])
def test_a_second_wave_has_the_size_that_it_was_given(size):
    daily = days(760, rate=80)
    t = np.arange(760)
    more = np.random.default_rng(5).poisson(
        daily["purchases"] * np.expm1(size * (1 + np.cos(4 * np.pi * t / ts.YEAR))))
    s = seasons.seasons(daily.assign(purchases=daily["purchases"] + more), NO_RELEASES, NO_TEST)
    row = s.fits.set_index("measure").loc["purchases"]
    assert 0 <= row["second_wave_low"] < row["second_wave"] < row["second_wave_high"]
    if size:
        assert row["second_wave_low"] <= size <= row["second_wave_high"] < size + 0.1
        assert row["second_wave_p"] < 0.001
    else:
        assert row["second_wave_high"] < 0.05 < row["second_wave_p"]
    short = seasons.seasons(days(400), NO_RELEASES, NO_TEST).fits
    assert short[["second_wave", "second_wave_low", "second_wave_p"]].isna().all(axis=None)


def test_autocorrelation_is_tested_with_correction_and_has_an_interval(shipped):
    fits = shipped.fits
    p, corrected = (fits[[f"ljung_box_{n}{end}" for n in (7, 28)]].to_numpy().ravel()
                    for end in ("", "_adjusted"))
    order = np.argsort(p)
    expected = np.minimum(np.maximum.accumulate(p[order] * np.arange(6, 0, -1)), 1)
    np.testing.assert_allclose(corrected[order], expected)
    reach = stats.norm.isf(0.025) / math.sqrt(shipped.days - 3)
    for end, sign in (("low", -1), ("high", 1)):
        np.testing.assert_allclose(np.arctanh(fits[f"autocorrelation_{end}"]),
                                   np.arctanh(fits["autocorrelation"]) + sign * reach)
    one = seasons.seasons(days(40), NO_RELEASES, NO_TEST).fits  # too short for 28 days apart
    assert one["ljung_box_28_adjusted"].isna().all()
    assert one["ljung_box_7_adjusted"].min() == pytest.approx(min(1, 3 * one["ljung_box_7"].min()))


@pytest.mark.parametrize("broken, reason", [
    (lambda d: d * 0, "empty"),
    (lambda d: d * (d.index % 7 != 3), "sparse"),
    (lambda d: d * (d.index % 60 == 0), "sparse"),
    (lambda d: d * (d.index > 100), "sparse"),
])
def test_measure_that_cannot_be_modelled_is_left_out(broken, reason):
    daily = days(200)
    daily[["purchases", "revenue"]] = daily[["purchases", "revenue"]].apply(broken)
    s = seasons.seasons(daily, released(101), NO_TEST)
    assert s.fits.set_index("measure")["reason"].to_dict() == {
        "views": "", "purchases": reason, "revenue": reason}
    assert set(s.terms["measure"]) == {"views"}
    assert s.forecast_totals.empty and s.backtest.empty
    flatten(s, KEYS)


def test_nothing_at_all():
    daily = days(100)
    daily.loc[:, daily.columns != "day"] = 0
    s = seasons.seasons(daily, released(50), NO_TEST)
    assert (s.fits["reason"] == "empty").all()
    assert (s.largest_revenue, len(s.terms), len(s.placebo)) == (0, 0, 0)
    flatten(s, KEYS)


def test_calendar_date_of_the_first_day_does_not_matter():
    """The same days a year and a half later: same model, another phase of the year."""
    one, other = (seasons.seasons(days(760, start=start), NO_RELEASES, NO_TEST)
                  for start in ("2021-03-01", "2022-09-05"))  # both Mondays
    for term in ("trend", "amplitude", "Mon", "Sat"):
        assert one.effect("purchases", term).estimate == pytest.approx(
            other.effect("purchases", term).estimate, abs=1e-6)
    shift = (np.datetime64("2022-09-05") - np.datetime64("2022-01-01")
             - (np.datetime64("2021-03-01") - np.datetime64("2021-01-01"))).astype(int)
    gap = other.effect("purchases", "peak").estimate - one.effect("purchases", "peak").estimate
    assert (gap - shift + 180) % ts.YEAR == pytest.approx(180, abs=0.01)


# --- Forecast -------------------------------------------------------------------------------------

def test_backtest_does_not_look_ahead():
    """Another last month changes no forecast that was made before it."""
    daily, by_date = with_test(days(500), 400, 460)
    changed = daily.copy()
    changed.loc[472:, ["purchases", "revenue", "views"]] *= 3
    one, other = (seasons.seasons(d, released(200), by_date).backtest_origins
                  for d in (daily, changed))
    same = ["measure", "origin", "total", "low", "high", "scale"]
    pd.testing.assert_frame_equal(one[same], other[same])
    last = one["origin"] == one["origin"].max()
    assert (one.loc[last, "actual"] * 3).tolist() == other.loc[last, "actual"].tolist()


def test_backtest_summary_is_that_of_its_origins():
    s = seasons.seasons(days(500), released(300), NO_TEST)
    origins, summary = s.backtest_origins, s.backtest.set_index("measure")
    assert len(origins) == 2 * seasons.ORIGINS
    part = origins[origins["measure"] == "purchases"]
    assert summary.loc["purchases", "covered"] == (
        (part["low"] <= part["actual"]) & (part["actual"] <= part["high"])).sum()
    assert summary.loc["purchases", "mase"] == pytest.approx(
        (part["error"] / part["scale"]).mean())
    errors = (part["total"] - part["actual"]) / ((part["high"] - part["low"]) / 3.92)
    stretch = summary.loc["purchases", "stretch"]
    assert stretch == pytest.approx(max(1, math.sqrt((errors**2).mean())), rel=1e-3)
    total = s.forecast_totals.set_index("measure").loc["purchases"]
    assert total["wide_high"] - total["wide_low"] == pytest.approx(
        stretch * (total["high"] - total["low"]))
    start = np.datetime64("2022-05-04")
    near = [abs((np.datetime64(day) - start).astype(int) - 300) < 28 for day in part["origin"]]
    assert part["changed"].tolist() == near and sum(near) == 2


def test_forecast_takes_a_running_test_to_go_on():
    """The share of new-paywall views holds while users are being assigned, and ends with it."""
    daily, by_date = with_test(days(300, rate=60), 200, 299)
    calendar = seasons._calendar(daily, NO_RELEASES, by_date)
    assert calendar.shares(300, 28)[300:] == pytest.approx(np.full(28, 0.5), abs=0.01)
    over, by_date = with_test(days(300, rate=60), 200, 280)
    ahead = seasons._calendar(over, NO_RELEASES, by_date).shares(300, 28)[300:]
    assert (ahead > 0).tolist() == [day <= 280 + seasons.HORIZON for day in range(300, 328)]


def test_order_of_the_releases_does_not_matter():
    daily, listed = days(400), released(100, 180, 300)
    one, other = (seasons.seasons(daily, frame, NO_TEST) for frame in (listed, listed[::-1]))
    assert flatten(one, KEYS) == flatten(other, KEYS)


def test_releases_are_read_or_there_are_none(tables):
    assert series.releases(tables).to_dict("records") == [
        {"day": TRUTH["release"]["date"], "name": TRUTH["release"]["name"]}]
    without = {name: table for name, table in tables.tables.items() if name != "releases"}
    assert series.releases(replace(tables, tables=without)).columns.tolist() == ["day", "name"]
