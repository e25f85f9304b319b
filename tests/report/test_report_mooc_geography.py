"""What the chapter says about countries follows from the results, on any tables; the map."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pycountry
import pytest

from analysis.mooc import geography
from analysis.report import world
from analysis.report.mooc import geography as say
from analysis.report.text import Prose
from analysis.simulate.mooc import REGION

SENTENCES = ("concentration", "spread", "completion", "dispersion", "rankings", "stand_outs",
             "revenue", "answer", "recommendation")
MAYBE = ("not_given", "unplaced")
TABLES = ("countries_table", "rankings_table", "stand_outs_table")
FIGURES = ("sales_figure", "hot_spot_figure", "funnel_figure")
ODD = ("= @fig-a", "<b>=| `x`", "# 2.0 [now](x)", "US", "NA")


def study(users, bought, codes, revenue=None, missing=0):
    """Countries with so many users and customers; who enrolled completed."""
    index = pd.Index(codes, name="user_country")
    users, bought = (np.asarray(v, dtype="int64") for v in (users, bought))
    money = bought * 50.0 if revenue is None else np.asarray(revenue, dtype=float)
    frame = pd.DataFrame({
        "users": users, "customers": bought, "orders": bought, "units": bought, "revenue": money,
        "value_per_user": money / users, "revenue_squares": money * 60.0,
        "enrolments": users, "completions": bought, "enrolled_users": users,
        "completed_users": bought}, index)
    known = frame
    if missing:
        frame = pd.concat([frame, frame.iloc[:1].set_axis(["(not given)"], axis=0)])
    found = {
        "conversion": geography.rates(known.customers, known.users),
        "completion": geography.rates(known.completed_users, known.enrolled_users),
        "revenue": geography._revenue(known)}
    return SimpleNamespace(geography=geography.Geography(
        countries=frame,
        concentration=geography._concentration(known, float(frame.revenue.sum())),
        **found, spreads=geography.spreads(found)))


def everything(s):
    return {name: getattr(say, name)(s) for name in (*SENTENCES, *MAYBE, *TABLES, *FIGURES)}


def test_every_country_of_the_standard_is_on_the_map():
    places = world.places()
    codes = {country.alpha_2 for country in pycountry.countries} - {"AQ"}
    assert codes <= set(places.index) and "XK" in places.index
    shapes = world.shapes()
    # The pitfalls: no code in the source, parts with a code of their own, and "NA" is Namibia.
    assert {"FR", "NO", "XK", "TW", "NA", "GF", "SO", "CY", "RU", "FJ"} <= set(shapes.country)
    assert set(shapes.country) <= codes | {"XK"}
    assert set(REGION) <= set(places.index)
    assert places.small[["SG", "HK", "MT", "LU"]].all() and not places.small[["FR", "PT"]].any()


@pytest.mark.parametrize(("code", "area"), [  # land and inland water, thousand km²
    ("US", 9_500), ("RU", 17_100), ("BR", 8_500), ("AU", 7_700), ("GL", 2_170), ("CD", 2_340),
    ("DZ", 2_380), ("FR", 545), ("IN", 3_290), ("EG", 1_000),
])
def test_areas_on_the_map_are_those_on_the_globe(code, area):
    shapes = world.shapes()
    total = sum(
        world._area(ring.x.to_numpy(), ring.y.to_numpy())
        for _, ring in shapes[shapes.country == code].groupby("part"))
    assert total / 1_000 == pytest.approx(area, rel=0.07)


def test_the_projection_keeps_areas_and_is_the_published_one():
    """Area of a cell of the graticule on the sphere and on the map; and PROJ's values."""
    lon, lat = np.meshgrid(np.linspace(-170, 170, 9), np.linspace(-80, 80, 17))
    h = 1e-4
    (x1, y1), (x2, y2) = world.equal_earth(lon - h, lat), world.equal_earth(lon + h, lat)
    (x3, y3), (x4, y4) = world.equal_earth(lon, lat - h), world.equal_earth(lon, lat + h)
    flat = np.abs((x2 - x1) * (y4 - y3) - (x4 - x3) * (y2 - y1))
    sphere = (2 * h * np.pi / 180 * world.EARTH_RADIUS) ** 2 * np.cos(np.radians(lat))
    np.testing.assert_allclose(flat, sphere, rtol=1e-5)
    # Šavrič et al. (2018): the equator is 2.05458 times as long as the central meridian,
    # and the pole 0.59247 times as long as the equator.
    equator = 2 * world.equal_earth(180, 0)[0]
    assert equator / (2 * world.equal_earth(0, 90)[1]) == pytest.approx(2.05458, abs=1e-5)
    assert 2 * world.equal_earth(180, 90)[0] / equator == pytest.approx(0.59247, abs=1e-4)


def test_no_outline_runs_across_the_map():
    for _, ring in world.shapes().groupby("part"):
        steps = np.abs(np.diff(ring.x, append=ring.x.iloc[0]))
        assert steps.max() < 2_500


def test_places_lie_in_their_countries():
    from matplotlib.path import Path

    shapes, places = world.shapes(), world.places()
    for code in ("US", "CL", "NO", "FR", "IN", "CA", "RU", "JP", "NZ", "KE"):
        inside = [
            Path(ring[["x", "y"]].to_numpy()).contains_point(
                places.loc[code, ["x", "y"]].to_numpy(dtype=float))
            for _, ring in shapes[shapes.country == code].groupby("part")]
        assert any(inside), code


def test_the_shipped_countries(mooc_study):
    said = everything(mooc_study)
    found = mooc_study.geography.conversion
    frame = found.countries
    for code in frame.index[frame.stands_out != 0]:
        assert str(say.name(code)) in said["stand_outs"]
        assert said["stand_outs_table"].count("|") > 20
    assert "higher in" in said["stand_outs"] and "lower in" in said["stand_outs"]
    assert f"{100 * found.prior.spread:.1f}" in said["spread"]
    assert "the United States" in said["concentration"]
    assert "112 users" in said["not_given"] and said["unplaced"] == ""
    assert "69 countries" in said["stand_outs"]
    drawn = said["hot_spot_figure"]
    assert set(drawn.data.kind.unique()) >= {say.NO_DATA}
    greys = drawn.data[drawn.data.kind == say.NO_DATA].country.unique()
    assert not set(greys) & set(frame.index)
    marks = drawn.layers[2]._data if hasattr(drawn.layers[2], "_data") else drawn.layers[2].data
    assert set(marks.country) == set(frame.index[frame.stands_out != 0])
    size = {name: len(said[name]._repr_mimebundle_()[0]["image/svg+xml"]) for name in FIGURES}
    assert max(size.values()) < 120_000 and sum(size.values()) < 215_000


def test_limits_of_the_figure_are_those_of_chance(mooc_study):
    found = mooc_study.geography.conversion
    curves = say.funnel_figure(mooc_study).data
    wide = curves[curves.limits == "95% limits of chance"]
    ends = wide[wide.trials == wide.trials.max()].rate
    n, p = wide.trials.max(), found.prior.pooled
    half = 1.96 * np.sqrt(p * (1 - p) / n)
    assert sorted(ends) == pytest.approx([p - half, p + half], abs=0.002)


def test_nothing_is_said_of_nothing():
    nothing = SimpleNamespace(geography=geography.Geography(
        countries=pd.DataFrame(
            {"users": [3], "revenue": [0.0]}, pd.Index(["(not given)"], name="user_country")),
        concentration=None, conversion=None, completion=None, revenue=None,
        spreads=geography.spreads({})))
    for name, said in everything(nothing).items():
        assert isinstance(said, Prose) and "None" not in said and "nan" not in said, name
        if name not in ("recommendation", *MAYBE):
            assert said.endswith("."), name
    assert "3 users" in say.not_given(nothing)


def test_one_country():
    s = study([100], [30], ["PT"])
    assert say.concentration(s) == "All users whose country is known are in Portugal."
    assert say.hot_spot_figure(s) == say.FEW


def test_no_country_stands_out():
    s = study([100, 120, 80, 90], [30, 36, 24, 27], ["PT", "ES", "FR", "DE"])
    assert "No single country is shown to differ" in say.stand_outs(s)
    assert "that is not to say that none does" in say.stand_outs(s)
    assert "are not shown to differ" in say.spread(s)
    assert "Treat countries alike" in say.recommendation(s)
    assert "no more than chance" in say.dispersion(s)
    assert len(say.hot_spot_figure(s).layers) == 2  # nothing is marked


def test_one_country_stands_out():
    s = study([2_000, 1_200, 800, 900], [600, 600, 240, 270], ["PT", "US", "FR", "DE"])
    said = say.stand_outs(s)
    assert "higher in the United States" in said
    t = say.stand_outs_table(s)
    assert "United States" in t and "p, corrected" in t.replace("\\", "")
    assert s.geography.conversion.countries.stands_out["US"] == 1


def test_markup_in_codes_stays_text():
    s = study([300, 200, 900, 100, 70], [200, 20, 300, 30, 20], ODD)
    for name, said in everything(s).items():
        if isinstance(said, p9.ggplot):
            continue
        assert "<b>" not in said and "= @fig" not in said and "[now](" not in said, name
    assert "Not on the maps" in say.unplaced(s)


def test_250_countries():
    places = world.places().index
    rng = np.random.default_rng(1)
    users = rng.integers(1, 400, len(places))
    s = study(users, rng.binomial(users, 0.3), list(places), missing=1)
    size = len(say.hot_spot_figure(s)._repr_mimebundle_()[0]["image/svg+xml"])
    assert size < 120_000
    assert "more countries" in say.recommendation(s) or "Treat" in say.recommendation(s)


def test_a_country_that_completes_less_is_told_with_its_size(mooc_study):
    frame = mooc_study.geography.completion.countries
    row = frame[frame.stands_out != 0].iloc[0]
    said = say.completion(mooc_study).replace("\u00a0", " ")
    assert f"{100 * row.rate:.1f}% of {row.trials:.0f}, smoothed {100 * row.smoothed:.1f}%" in said
    assert (f"{-100 * row.difference:.1f} points below the others, 95% interval "
            f"{-100 * row.difference_high:.1f} to {-100 * row.difference_low:.1f}, corrected "
            f"p = {row.p_adjusted:.3f}") in said
    up = study([2_000, 1_200, 800, 900], [600, 600, 240, 270], ["PT", "US", "FR", "DE"])
    assert "points above the others" in say.completion(up).replace("\u00a0", " ")


def test_spreads_between_countries_are_corrected_together(mooc_study):
    g = mooc_study.geography
    names = ("conversion", "completion", "revenue")
    alone = {name: getattr(g, name).prior.p_value for name in names}
    assert g.spreads.p_value.to_dict() == alone
    low, middle, high = sorted(alone.values())
    expected = sorted([3 * low, max(3 * low, 2 * middle), max(3 * low, 2 * middle, high)])
    assert sorted(g.spreads.p_adjusted) == pytest.approx(expected)
    shown = {"conversion": say.spread, "completion": say.completion, "revenue": say.revenue}
    for name, function in shown.items():
        p = g.spreads.p_adjusted[name]
        told = "\\<\u00a00.001" if p < 0.001 else f"=\u00a0{p:.3f}"
        assert f"corrected p\u00a0{told}" in function(mooc_study)
        # The corrected one decides.
        weak = SimpleNamespace(geography=replace(g, spreads=g.spreads.assign(p_adjusted=0.06)))
        assert "are not shown to differ" in function(weak)


def test_without_revenue_the_rates_are_still_told(mooc_study):
    s = SimpleNamespace(geography=replace(
        mooc_study.geography, concentration=None, revenue=None))
    assert say.sales_figure(s) == say.countries_table(s) == say.NO_SALES
    assert "higher in" in say.answer(s) and say.revenue(s).endswith("alike.")


def test_how_many_lie_outside_is_counted_in_words_that_fit():
    calm = study([100, 120, 80, 90], [30, 36, 24, 27], ["PT", "ES", "FR", "DE"])
    assert say.dispersion(calm).startswith("None of 4 countries lies outside")
    assert say.stand_outs_table(calm) == "No country is shown to stand out."
    assert "could be chance alone" in say.recommendation(calm)
    one = study([2_000, 2_000, 2_000, 100], [600, 600, 600, 60], ["PT", "US", "FR", "DE"])
    assert say.dispersion(one).startswith("1 of 4 countries lies outside")
    some = study([2_000, 1_200, 800, 900], [600, 700, 100, 270], ["PT", "US", "FR", "DE"])
    assert re.match(r"[2-4] of 4 countries lie outside", say.dispersion(some))


def test_why_countries_are_not_compared_is_said_once():
    s = study([100], [30], ["PT"])
    said = {name: str(text) for name, text in everything(s).items()}
    assert [name for name in said if str(say.WHY_FEW) in said[name]] == ["spread"]
    assert said["dispersion"] == said["stand_outs"] == say.FEW
