"""Countries: what is planted comes out, small ones are drawn in, nothing is made of nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from mooc_logs import as_tables, random_frames
from scipy import stats

from analysis.mooc import geography
from analysis.mooc.geography import MISSING, by_country, rates
from analysis.simulate import mooc as generator


@pytest.fixture(scope="module")
def truth(mooc_tables):
    """True share of each country's users who buy in time, from the generator's parameters.

    P(buy | ever enrols, source) is the same in every country; it comes from all of them together.
    """
    users, orders = mooc_tables.table("users"), mooc_tables.table("orders")
    frame = users.select("user_id", "referral_channel", "user_country").to_pandas().dropna()
    bought = frame.user_id.isin(orders.select("user_id").distinct().to_pandas().user_id)
    enrol = generator.enrol_probability()
    chance = enrol.stack().reindex(
        pd.MultiIndex.from_frame(frame[["referral_channel", "user_country"]])).to_numpy()
    buys = bought.groupby(frame.referral_channel).sum() / pd.Series(chance).groupby(
        frame.referral_channel.to_numpy()).sum()
    return pd.Series({
        code: float((generator.SOURCES[region] / generator.SOURCES[region].sum()
                     * enrol[code] * buys).sum())
        for code, region in generator.REGION.items()
    })


def test_smoothed_rates_hold_what_is_planted(mooc_study, truth):
    found = mooc_study.geography.conversion
    frame = found.countries.join(truth.rename("true"))
    assert set(truth.index) == set(frame.index)  # Namibia is no missing value
    assert ((frame.low <= frame.true) & (frame.true <= frame.high)).mean() > 0.92
    raw, smoothed = (np.square(frame[name] - frame.true) for name in ("rate", "smoothed"))
    assert smoothed.mean() < 0.5 * raw.mean()
    # Countries truly differ by so much:
    assert found.prior.spread_low < truth.std() < found.prior.spread_high
    assert found.prior.p_value < 1e-6 and found.dispersion > 1.3


def test_planted_countries_stand_out(mooc_study, truth):
    frame = mooc_study.geography.conversion.countries
    assert frame.stands_out["PT"] == 1 and frame.stands_out["JP"] == -1
    # Kenya's own factor makes up for its region's and its channels': it is no hot spot.
    common = np.average(truth[frame.index], weights=frame.trials)
    assert abs(truth["KE"] - common) < 0.03 and frame.stands_out["KE"] == 0
    shown = frame[frame.stands_out != 0]
    right = np.sign(truth[shown.index] - common) == shown.stands_out
    assert len(shown) >= 5 and right.mean() >= 0.8
    # Corrected over all countries, as statsmodels and SciPy do.
    np.testing.assert_allclose(frame.p_adjusted, stats.false_discovery_control(frame.p_value))


def test_intervals_hold_the_planted_rates_in_other_worlds(mooc_study, truth):
    users = mooc_study.geography.conversion.countries.trials
    rng = np.random.default_rng(11)
    covered = []
    for _ in range(6):
        bought = pd.Series(rng.binomial(users, truth[users.index]), users.index)
        found = rates(bought, users)
        frame = found.countries.assign(true=truth)
        covered.append(((frame.low <= frame.true) & (frame.true <= frame.high)).mean())
    assert 0.93 < np.mean(covered) < 0.99


def test_raw_ranking_picks_small_countries(mooc_study):
    frame = mooc_study.geography.conversion.countries
    small = frame.trials < frame.trials.median()
    raw, smoothed = (frame.sort_values(name).tail(10).index for name in ("rate", "smoothed"))
    assert small[raw].sum() > small[smoothed].sum()


def test_revenue_is_that_of_the_orders(mooc_study, mooc_tables):
    found = mooc_study.geography
    frame = found.countries
    paid = mooc_tables.table("orders").group_by("user_id").agg(
        spent=lambda t: t.amount.sum()).to_pandas().set_index("user_id").spent
    users = mooc_tables.table("users").select("user_id", "user_country").to_pandas()
    spent = users.user_id.map(paid).fillna(0.0).astype(float)
    groups = spent.groupby(users.user_country)
    means = found.revenue.countries["mean"]
    np.testing.assert_allclose(means, groups.mean()[means.index])
    assert found.revenue.sd == pytest.approx(np.sqrt(
        ((groups.var() * (groups.size() - 1)).sum()) / (groups.size() - 1).sum()))
    assert frame.revenue.sum() == pytest.approx(paid.sum())
    c = found.concentration
    shares = groups.sum().sort_values(ascending=False) / groups.sum().sum()
    assert c.first == shares.index[0] and c.first_share == pytest.approx(shares.iloc[0])
    assert c.top_share == pytest.approx(shares.head(10).sum())
    assert shares.head(c.half).sum() >= 0.5 > shares.head(c.half - 1).sum()


def analysed(frames):
    tables = as_tables(frames)
    return geography.geography(*(tables.table(n) for n in ("users", "orders", "events")))


def test_countries_count_what_the_tables_hold():
    frames = random_frames(4, users=120)
    tables = as_tables(frames)
    found = by_country(*(tables.table(n) for n in ("users", "orders", "events")))
    users = frames["users"].assign(user_country=frames["users"].user_country.fillna(MISSING))
    merged = frames["orders"].merge(users[["user_id", "user_country"]], on="user_id")
    spent = merged.groupby(["user_country", "user_id"]).amount.sum()
    squares = (spent**2).groupby("user_country").sum()
    np.testing.assert_allclose(found.revenue_squares, squares.reindex(found.index).fillna(0))
    assert (found.users == users.user_country.value_counts()[found.index]).all()
    log = frames["events"]
    enrolled = set(log[(log.event_type == "enrolled_in_course") & log.course_id.notna()].user_id)
    expected = users[users.user_id.isin(enrolled)].user_country.value_counts()
    assert (found.enrolled_users == expected.reindex(found.index).fillna(0)).all()


def test_nothing_is_told_of_too_little():
    frames = random_frames(6)
    users = frames["users"]
    alone = analysed(frames | {"users": users.assign(user_country="US")})
    assert alone.conversion is None and alone.completion is None and alone.revenue is None
    assert alone.concentration.first == "US" and alone.concentration.first_share == 1
    missing = analysed(frames | {"users": users.assign(
        user_country=pd.Series([None] * len(users), dtype=object))})
    assert missing.concentration is None and missing.conversion is None
    free = analysed(frames | {"orders": frames["orders"].assign(amount=0.0)})
    assert free.concentration is None and free.revenue is None and free.conversion is not None
    log = frames["events"]
    none = analysed(frames | {"events": log[log.event_type != "completed_course"]})
    assert none.completion is None


def test_a_country_without_a_trial_is_left_out():
    trials = pd.Series({"AA": 10, "BB": 0, "CC": 30, "DD": 50}).rename_axis("user_country")
    found = rates(pd.Series({"AA": 4, "BB": 0, "CC": 10, "DD": 20}), trials)
    assert list(found.countries.index) == ["AA", "CC", "DD"]
    assert rates(trials * 0, trials) is None and rates(trials, trials) is None
