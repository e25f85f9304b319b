"""What goes with paying: recovery of the truth, the models' rules, other people's data."""

from __future__ import annotations

import json
from pathlib import Path

import drivers_frames as made
import numpy as np
import pandas as pd
import pytest
import scripts
from scipy import stats

from analysis import results
from analysis.customers import KEYS, drivers, events, kpis
from analysis.simulate import customers as simulated

HERE = Path(__file__).parent
TRUTH = json.loads((HERE / "oracle" / "drivers_truth.json").read_text())


def _script():
    return scripts.load(HERE / "oracle" / "drivers_truth.py")


@pytest.fixture(scope="module")
def shipped(customers_tables):
    return kpis.profiles(customers_tables, events.period(customers_tables), drivers.WINDOW)


@pytest.fixture(scope="module")
def found(customers_study):
    return customers_study.drivers


def errors_from_truth(fit, truth) -> pd.DataFrame:
    """Estimates less truth, and its standard errors, for the levels that both have."""
    frame = fit.coefficients.set_index(fit.coefficients["factor"] + "." + fit.coefficients["level"])
    both = [name for name in frame.index if name in truth and "intercept" not in name]
    planted = pd.DataFrame([truth[name] for name in both], index=both, columns=["truth", "error"])
    joined = frame.loc[both].join(planted)
    joined["z"] = (joined["estimate"] - joined["truth"]) / np.hypot(
        joined["standard_error"], joined["error"])
    return joined


def test_the_shipped_profiles_are_those_of_an_independent_count(shipped):
    tables, _ = simulated.generate()
    counted = _script().profiles(tables)
    columns = [*events.SEGMENTS, "users", "age_total", "payers", "revenue", "revenue_squares",
               "revenue_cubes", "revenue_fourths"]
    keys = list(events.SEGMENTS)
    pd.testing.assert_frame_equal(
        shipped[columns], counted[columns].sort_values(keys, ignore_index=True),
        check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize("model", ["paying", "ratio", "mean"])
def test_shipped_estimates_agree_with_what_millions_of_users_give(found, model):
    fit = getattr(found.models, model)
    joined = errors_from_truth(fit, TRUTH[model])
    assert len(joined) == 29
    mine = [fit.coefficients.index[(fit.coefficients["factor"] == f) & (
        fit.coefficients["level"] == level)][0] for f, level in zip(
        joined["factor"], joined["level"], strict=True)]
    off = (joined["estimate"] - joined["truth"]).to_numpy()
    # All together, errors of estimates being related.
    squared = off @ np.linalg.solve(fit.covariance[np.ix_(mine, mine)], off)
    assert stats.chi2.sf(squared, len(off)) > 0.01
    assert abs(joined.loc["device.iOS", "z"]) < 1.96
    assert joined.loc["device.iOS", "low"] > 0  # and the device is seen to matter
    gender = joined[joined["factor"] == "gender"]
    assert (gender["z"].abs() < 1.96).all()


def test_the_truth_holds_the_generators_factors_where_it_should(found):
    """Ratios of revenue keep the planted factors; odds ratios within 28 days are nearer to 1."""
    planted = simulated.TRUTH["conversion"]
    factors = {
        "device.iOS": planted["device"]["iOS"], "age.ten years": planted["ten_years_of_age"],
        "gender.M": 1.0, "gender.not stated": 1.0, "gender.other": 1.0,
        **{f"country.{c}": f / simulated.COUNTRIES["USA"][1]
           for c, (_, f, _) in simulated.COUNTRIES.items() if c != "USA"},
    }
    z = [(TRUTH["ratio"][name][0] - np.log(factor)) / TRUTH["ratio"][name][1]
         for name, factor in factors.items()]
    assert max(np.abs(z)) < 4 and np.sqrt(np.mean(np.square(z))) < 1.5
    odds = np.exp(TRUTH["paying"]["device.iOS"][0])
    assert 1 < odds < planted["device"]["iOS"]
    # Devices keep company with countries: as users come, the gap is wider than the factor.
    assert np.exp(TRUTH["ratio_alone"]["device.iOS"][0]) > 1.1 * planted["device"]["iOS"]
    assert TRUTH["alone"]["device.iOS"][3] > 1.1 * TRUTH["effects"]["device.iOS"][3]


def test_the_gap_as_users_come_is_wider_than_with_countries_held_equal(found):
    equal, come = (frame[frame["level"] == "iOS"].iloc[0]
                   for frame in (found.models.effects, found.models.alone))
    for row, name in ((equal, "effects"), (come, "alone")):
        difference, *_, ratio, _, _ = TRUTH[name]["device.iOS"]
        assert row["difference_low"] < difference < row["difference_high"]
        assert row["ratio_low"] < ratio < row["ratio_high"]
    assert come["difference"] > 1.3 * equal["difference"]
    table = found.associations.set_index(["row_factor", "column_factor"])
    strong = table.loc[("country", "device")]
    assert strong["v_low"] < TRUTH["v"]["country.device"] < strong["v_high"]
    assert table.loc[("gender", "paying"), "p_adjusted"] > 0.05


@pytest.fixture
def without_checks(monkeypatch):
    """Only what the models are fitted to, and the models: no checks of them, nor refits."""
    monkeypatch.setattr(drivers, "_of_paying", lambda *_: {})
    monkeypatch.setattr(drivers, "_validated", lambda *_: {})


def test_intervals_keep_their_rate_over_new_samples(without_checks):
    """Eight more draws of the generator: intervals hold the truth.

    Of money, those of countries are left out: with a dozen payers and so skewed amounts they are
    too narrow (in 60 draws they held the truth 90 times in 100), which the chapter says.
    """
    count = _script().profiles
    inside = {"paying": [], "ratio": []}
    for tables in simulated.parts(5150, 8):
        models = drivers.from_profiles(count(tables)).models
        for name, hits in inside.items():
            joined = errors_from_truth(getattr(models, name), TRUTH[name])
            if name == "ratio":
                joined = joined[joined["factor"] != "country"]
            hits += list(joined["z"].abs() < stats.norm.isf(0.025))
    for hits in inside.values():
        assert abs(np.mean(hits) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(hits))


def test_who_pays_is_hardly_predicted_and_the_model_flatters_itself(found):
    m = found.models
    assert m.area_fitted.estimate > m.area.estimate
    assert m.area.low < TRUTH["area"] + 0.02 and 0.5 < m.area.low < m.area.high < 0.65
    assert m.slope.high < 1 and m.paying.mcfadden < 0.03
    assert m.mean.skewness > 5  # money: least squares is a first look
    assert m.spread["sd"].iloc[-1] > 2 * m.spread["sd"].iloc[0]


def test_order_and_names_of_groups_do_not_matter(shipped, found):
    shuffled = drivers.from_profiles(shipped.sample(frac=1, random_state=3))
    assert shuffled.models.paying.params == pytest.approx(found.models.paying.params, rel=1e-9)
    assert shuffled.models.slope.estimate == pytest.approx(found.models.slope.estimate, rel=0.3)
    names = {"and": "iOS", "iOS": "and"}
    swapped = drivers.from_profiles(shipped.assign(device=shipped["device"].map(names)))
    a, b = (d.models.paying.coefficients.query("factor == 'device'").iloc[0]
            for d in (found, swapped))
    assert b["estimate"] == pytest.approx(a["estimate"], rel=1e-9)
    assert (a["level"], b["level"]) == ("iOS", "and")


def test_a_gap_that_is_only_company_goes_away():
    """iOS does nothing here, but is commoner where more pay."""
    d = drivers.from_profiles(made.profiles(made.users(
        n=40_000, device=0.0, country=1.6, gap=0.35)))
    equal, come = (frame[frame["factor"] == "device"].iloc[0]
                   for frame in (d.models.effects, d.models.alone))
    assert come["difference_low"] > 0.02
    assert equal["difference_low"] < 0 < equal["difference_high"]


def test_small_groups_are_pooled_by_their_size_alone(without_checks):
    rows = made.users(n=4000)
    rows.loc[rows.index[:30], "country"] = "XAA"
    rows.loc[rows.index[30:45], "country"] = "XBB"
    d = drivers.from_profiles(made.profiles(rows))
    rate = d.payers / d.users
    assert d.least_users == int(np.ceil(10 / min(rate, 1 - rate)))
    assert d.least_users > 30
    pooled = d.pooled[d.pooled["factor"] == "country"]
    assert {"XAA", "XBB"} <= set(pooled["level"])
    # What is pooled has enough users together, if need be with the smallest of the others.
    assert pooled["users"].sum() >= d.least_users
    assert (pooled["reason"] == "small").all()
    levels = set(d.models.paying.coefficients["level"])
    assert drivers.OTHERS in levels and "XAA" not in levels
    # Outcomes have no say in it.
    rows["paid"] = rows["paid"].sample(frac=1, random_state=1).to_numpy()
    again = drivers.from_profiles(made.profiles(rows))
    pd.testing.assert_frame_equal(again.pooled, d.pooled)


def test_of_too_few_small_groups_and_of_too_many_large_ones(without_checks):
    rows = made.users(n=4000)
    rows.loc[rows.index[:20], "country"] = "XAA"
    few = drivers.from_profiles(made.profiles(rows))
    by_reason = few.pooled[few.pooled["factor"] == "country"].set_index("reason")
    assert by_reason.loc["small", "level"] == "XAA" and by_reason.loc["small", "users"] == 20
    assert by_reason.loc["joined", "users"] >= few.least_users > 20 and len(by_reason) == 2
    many = drivers.from_profiles(made.profiles(made.users(n=40_000, countries=200)))
    of_countries = many.pooled[many.pooled["factor"] == "country"]
    assert len(of_countries) == 200 - drivers.MOST_LEVELS
    large = of_countries["users"] >= many.least_users
    assert large.any() and (of_countries["reason"] == np.where(large, "many", "small")).all()


def test_age_enters_as_a_line_whose_misfit_is_seen():
    rows = made.users(n=30_000, seed=8)
    bent = rows["age_band"].map({"18-24": 0.3, "25-34": 0.1, "35-44": 0.3}).fillna(0.2)
    rng = np.random.default_rng(2)
    rows["paid"] = (rng.random(len(rows)) < bent).astype(int)
    d = drivers.from_profiles(made.profiles(rows))
    assert d.models.age_bands.df == 1 and d.models.age_bands.p_value < 1e-6
    age = d.models.paying.coefficients.query("factor == 'age'")
    assert list(age["level"]) == ["ten years", "not stated"]
    rising = rows["age_band"].map(made.AGES).where(rows["age_band"] != "not stated", 30)
    rows["paid"] = (rng.random(len(rows)) < 1 / (1 + np.exp(2 - 0.05 * (rising - 30)))).astype(int)
    d = drivers.from_profiles(made.profiles(rows))
    assert d.models.age_bands.p_value > 0.001
    row = d.models.paying.coefficient("age", "ten years")
    assert row["low"] < 0.5 < row["high"]  # 0.05 a year


@pytest.mark.parametrize("name, frame", made.odd().items())
def test_other_peoples_data(name, frame):
    d = drivers.from_profiles(frame)
    assert d.users == frame["users"].sum() and d.payers == frame["payers"].sum()
    # Whatever is missing has a reason, and what is there is finite.
    for what in ("paying", "mean", "ratio"):
        fit = getattr(d.models, what)
        assert (fit is None) == (what in d.reasons)
        if fit is not None:
            assert np.isfinite(fit.coefficients.select_dtypes("number")).all(axis=None)
    flat = results.flatten(d, KEYS)
    assert flat["users"] == d.users
    gone = dict(zip(d.left_out["factor"], d.left_out["reason"], strict=True))
    expected = {
        "nobody": ("paying", "no factor"), "no payers": ("paying", "no factor"),
        "one user": ("paying", "no factor"), "everybody pays": ("paying", "no factor"),
        "one payer": ("paying", "no factor"), "one of each": ("paying", "no factor"),
    }
    if name in expected:
        what, reason = expected[name]
        assert d.reasons[what] == reason
    elif name == "free purchases":
        assert d.models.paying is not None and {"mean", "ratio"} <= set(d.reasons)
    elif name == "one device":
        assert gone == {"device": "one group"} and d.models.without is None
    elif name == "one country":
        assert gone == {"country": "one group"}
    elif name == "ages missing":
        assert gone == {"age": "one group"} and d.models.age_bands is None
    elif name == "device is country":
        assert gone == {"country": "not told apart"}
    elif name == "200 countries":
        kept = d.models.paying.coefficients.query("factor == 'country'")
        assert len(kept) <= drivers.MOST_LEVELS
    elif name == "a country without payers":
        assert "C00" in d.reasons["paying"] and "C00" in d.reasons["ratio"]
        assert d.models.mean is not None
