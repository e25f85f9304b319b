"""The churn reductions: slow references, invariances, odd tables, and the published figures."""

import json
import math
import re

import held
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis import churn
from analysis.churn import reductions
from analysis.simulate import netflix
from analysis.sources import Tables, open_study

ORIGINAL_HEADERS = {
    "customer_id": "Customer ID",
    "subscription_months": "Subscription Length (Months)",
    "satisfaction_score": "Customer Satisfaction Score (1-10)",
    "daily_watch_hours": "Daily Watch Time (Hours)",
    "engagement_rate": "Engagement Rate (1-10)",
    "device": "Device Used Most Often",
    "genre": "Genre Preference",
    "region": "Region",
    "payment_history": "Payment History (On-Time/Delayed)",
    "plan": "Subscription Plan",
    "churned": "Churn Status (Yes/No)",
    "support_queries": "Support Queries Logged",
    "age": "Age",
    "monthly_income": "Monthly Income ($)",
    "promo_used": "Promotional Offers Used",
    "profiles": "Number of Profiles Created",
}


def tables(frame: pd.DataFrame) -> Tables:
    """A table of subscribers of a test, typed as the study gets it from any source."""
    return Tables("netflix", "a test", False, False, {"subscribers": held.subscribers(frame)})


def subscribers(seed: int, n: int = 60, **columns) -> pd.DataFrame:
    """Subscribers unlike the shipped ones: other categories, decimals, ties, gaps."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "customer_id": [f"s{i}" for i in range(n)],
        "subscription_months": rng.integers(0, rng.choice([5, 90]), n),
        "satisfaction_score": rng.integers(2, 21, n) / 2,
        "daily_watch_hours": np.round(rng.uniform(0, 24, n), rng.integers(0, 3)),
        "engagement_rate": np.round(rng.uniform(1, 10, n), 1),
        "device": rng.choice(["Console", "phone", "été", "TV, big"], n),
        "genre": rng.choice(["News", "Sport"], n),
        "region": rng.choice(["North", "South", "-"], n),
        "payment_history": rng.choice(["On-Time", "Delayed"], n),
        "plan": rng.choice(["A", "B"], n),
        "churned": (rng.random(n) < rng.random()).astype(np.int64),
        "support_queries": rng.poisson(2, n),
        "age": rng.integers(15, 100, n),
        "monthly_income": np.round(rng.lognormal(8, 1, n), 2),
        "promo_used": rng.integers(0, 2, n),
        "profiles": 1 + rng.poisson(1, n),
    })
    return frame.assign(**columns)


def reduced(frame: pd.DataFrame) -> reductions.Reductions:
    """The reductions of a table held in memory."""
    return reductions.reduce(tables(frame).table("subscribers"))


def wilson(count, n):
    """Share and interval, from statsmodels."""
    if n == 0:
        return (math.nan,) * 3
    return (count / n, *proportion_confint(count, n, method="wilson"))


def student(values):
    """Mean, sd and the limits of the mean's t interval, from SciPy by way of pandas."""
    mean, sd = values.mean(), values.std()
    if len(values) < 2 or sd == 0:
        return mean, sd, math.nan, math.nan
    return mean, sd, *stats.t.interval(0.95, len(values) - 1, mean, sd / math.sqrt(len(values)))


def close(found, expected):
    found, expected = np.asarray(found, dtype=float), np.asarray(expected, dtype=float)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9, equal_nan=True)


def assert_same(first: dict, second: dict):
    """Equal results: the same names, numbers equal but for rounding."""
    assert list(first) == list(second)
    for name, value in first.items():
        if isinstance(value, float) and second[name] is not None:
            assert value == pytest.approx(second[name], rel=1e-9, abs=1e-9), name
        else:
            assert value == second[name], name


# Every reduction against a slow one.

CASES = {
    **{str(n): subscribers(seed, n) for seed, n in enumerate((1, 2, 3, 12, 60, 400))},
    "nobody churned": subscribers(10, churned=0),
    "all churned": subscribers(11, churned=1),
    "one device": subscribers(
        12, device="TV", payment_history="On-Time", promo_used=0, age=30
    ),
    "one month": subscribers(
        13, n=200, subscription_months=7, satisfaction_score=10.0, profiles=1
    ),
}


@pytest.fixture(scope="module", params=CASES)
def case(request):
    """A table and its study."""
    frame = CASES[request.param]
    return frame, reduced(frame)


def test_churn_by_category(case):
    frame, study = case
    found = study.churn_by_category
    assert list(found) == list(reductions.CATEGORIES)
    for column, table in found.items():
        values = frame[column].map({0: "No", 1: "Yes"}) if column == "promo_used" else frame[column]
        assert table.value.tolist() == sorted(set(values))
        for row in table.itertuples():
            part = frame[values == row.value]
            assert (row.subscribers, row.churned) == (len(part), part.churned.sum())
            close((row.rate, row.low, row.high), wilson(part.churned.sum(), len(part)))


def test_churn_by_number(case):
    frame, study = case
    found = study.churn_by_number
    assert list(found) == list(reductions.NUMBERS)
    for column, table in found.items():
        values = frame[column]
        assert table.subscribers.sum() == len(frame)
        assert table.churned.sum() == frame.churned.sum()
        # The groups follow each other without overlap, so their limits say who is in them.
        assert (table.from_value <= table.to_value).all()
        assert (table.to_value[:-1].to_numpy() < table.from_value[1:].to_numpy()).all()
        for row in table.itertuples():
            part = frame[(values >= row.from_value) & (values <= row.to_value)]
            assert (row.subscribers, row.churned) == (len(part), part.churned.sum())
            assert (row.from_value, row.to_value) == (part[column].min(), part[column].max())
            close((row.rate, row.low, row.high), wilson(part.churned.sum(), len(part)))
        if values.nunique() <= 12:
            assert table.from_value.tolist() == sorted(set(values))
        elif column == "age":
            band = np.searchsorted((24, 34, 44, 54, 64), values)
            assert table.from_value.tolist() == values.groupby(band).min().tolist()
        elif column == "subscription_months":
            year = np.minimum(np.ceil(values / 12).clip(lower=1), 6)
            assert table.from_value.tolist() == values.groupby(year).min().tolist()
        else:  # fifths, as even as ties allow
            assert 2 <= len(table) <= 5
            most = values.value_counts().iloc[0]
            assert (table.subscribers <= len(frame) / 5 + most + 1).all()


def test_summaries(case):
    frame, study = case
    parts = {None: frame} | {
        status: frame[frame.churned == flag] for status, flag in (("Yes", 1), ("No", 0))
    }
    for status, part in parts.items():
        for column in reductions.NUMBERS:
            if status is None:
                found = study.numbers[column]
            elif len(part):
                found = study.numbers_by_churn[column, status]
            else:
                assert (column, status) not in study.numbers_by_churn
                continue
            x = part[column]
            close(
                (found.n, found.mean, found.sd, found.median, found.low, found.high,
                 found.distinct),
                (len(x), x.mean(), x.std(), x.median(), x.min(), x.max(), x.nunique()),
            )


def test_readings(case):
    frame, study = case
    found = study.readings
    assert set(found) == {"promo_used", "payment_history"}
    labelled = frame.assign(promo_used=frame.promo_used.map({0: "No", 1: "Yes"}))
    for column, table in found.items():
        assert len(table) == 2 * labelled[column].nunique()
        for row in table.itertuples():
            of_value = labelled[column] == row.value
            of_status = labelled.churned == (1 if row.churned == "Yes" else 0)
            both = (of_value & of_status).sum()
            assert row.subscribers == both
            close((row.of_value, row.of_value_low, row.of_value_high),
                  wilson(both, of_value.sum()))
            close((row.of_status, row.of_status_low, row.of_status_high),
                  wilson(both, of_status.sum()))


def test_churn_by_month(case):
    frame, study = case
    table = study.months
    assert table.month.tolist() == sorted(set(frame.subscription_months))
    for row in table.itertuples():
        there = frame[frame.subscription_months == row.month]
        at_risk = (frame.subscription_months >= row.month).sum()
        assert (row.subscribers, row.churned) == (len(there), there.churned.sum())
        assert row.at_risk == at_risk
        close((row.rate, row.low, row.high), wilson(row.churned, len(there)))
        close((row.hazard, row.hazard_low, row.hazard_high), wilson(row.churned, at_risk))


def test_engagement_by_device(case):
    frame, study = case
    table = study.engagement_by_device
    assert table.value.tolist() == sorted(set(frame.device))
    for row in table.itertuples():
        values = frame.engagement_rate[frame.device == row.value]
        assert row.n == len(values)
        close((row.mean, row.sd, row.low, row.high), student(values))


def test_queries_by_age(case):
    frame, study = case
    bands = np.searchsorted((24, 34, 44, 54, 64), frame.age)
    for table, key in ((study.queries_by_age, frame.age), (study.queries_by_age_band, bands)):
        assert len(table) == len(set(key))
        for row, (_, part) in zip(table.itertuples(), frame.groupby(key), strict=True):
            assert (row.from_age, row.to_age) == (part.age.min(), part.age.max())
            assert (row.n, row.queries) == (len(part), part.support_queries.sum())
            close((row.mean, row.sd, row.low, row.high), student(part.support_queries))


def test_cross_moments(case):
    frame, study = case
    found = study.cross_moments
    columns = [*reductions.NUMBERS, "promo_used", "churned"]
    assert len(found) == len(columns) * (len(columns) - 1) / 2
    for (x, y), moments in found.items():
        a, b = frame[x].to_numpy(float), frame[y].to_numpy(float)
        da, db = a - a.mean(), b - b.mean()
        spread = math.sqrt((da @ da) * (db @ db))
        assert moments.n == len(frame)
        close((moments.mean_x, moments.mean_y), (a.mean(), b.mean()))
        np.testing.assert_allclose(
            (moments.ss_x, moments.ss_y, moments.sp), (da @ da, db @ db, da @ db),
            rtol=1e-9, atol=1e-9 * (1 + spread),
        )
        if spread > 1e-9:
            assert moments.r == pytest.approx(np.corrcoef(a, b)[0, 1], abs=1e-9)
        else:
            assert math.isnan(moments.r)


def test_cross_moments_keep_their_digits_far_from_zero():
    frame = subscribers(3, n=300)
    shifted = frame.assign(monthly_income=frame.age / 8 + 2.0**40)
    found = reduced(shifted).cross_moments["age", "monthly_income"]
    assert found.r == pytest.approx(1, abs=1e-12)
    assert found.ss_y == pytest.approx(found.ss_x / 64, rel=1e-9)
    # The means only centre: poor ones change nothing but rounding.
    table = tables(frame).table("subscribers")
    good = reductions.cross_moments(table, {c: frame[c].mean() for c in reductions.NUMBERS})
    poor = reductions.cross_moments(table, {})
    for pair, moments in good.items():
        assert moments.sp == pytest.approx(poor[pair].sp, rel=1e-9, abs=1e-6), pair


# Properties.


@settings(max_examples=3)  # each is two whole studies
@given(seed=st.integers(0, 10_000), n=st.integers(1, 80))
def test_order_and_ids_of_subscribers_do_not_matter(seed, n):
    frame = subscribers(seed, n)
    other = frame.sample(frac=1, random_state=seed)
    other["customer_id"] = [f"renamed {i}" for i in range(n)]
    assert_same(churn.results(tables(frame)), churn.results(tables(other)))


@settings(max_examples=5)
@given(seed=st.integers(0, 10_000))
def test_twice_the_same_subscribers_keep_every_share_and_mean(seed):
    frame = subscribers(seed, 40)
    once, twice = (reduced(f) for f in (frame, pd.concat([frame, frame])))
    assert twice.subscribers == 2 * once.subscribers
    assert twice.churn_rate.estimate == once.churn_rate.estimate
    for column in reductions.CATEGORIES:
        a, b = once.churn_by_category[column], twice.churn_by_category[column]
        close(a.rate, b.rate)
        assert (b.subscribers == 2 * a.subscribers).all()
        assert (b.high - b.low < a.high - a.low).all()
    for pair, moments in once.cross_moments.items():
        close(twice.cross_moments[pair].r, moments.r)
        close(twice.cross_moments[pair].sp, 2 * moments.sp)


@pytest.mark.parametrize("factor", [12.0, 0.25])
def test_units_of_income_do_not_matter(factor):
    frame = subscribers(5, 300)
    other = frame.assign(monthly_income=frame.monthly_income * factor)
    a, b = (reduced(f) for f in (frame, other))
    for pair in a.cross_moments:
        close(a.cross_moments[pair].r, b.cross_moments[pair].r)
    first, second = (study.churn_by_number["monthly_income"] for study in (a, b))
    close(first.drop(columns=["from_value", "to_value"]),
          second.drop(columns=["from_value", "to_value"]))
    close(first.from_value * factor, second.from_value)


def test_readings_are_tied_by_bayes_rule():
    study = reduced(subscribers(8, 400))
    rate = study.churn_rate.estimate
    for column, table in study.readings.items():
        shares = study.churn_by_category[column].set_index("value").subscribers / 400
        for row in table.itertuples():
            status = rate if row.churned == "Yes" else 1 - rate
            assert row.of_value * shares[row.value] == pytest.approx(row.of_status * status)


@pytest.mark.parametrize("frame", [subscribers(1, 1), subscribers(2, churned=0),
                                   subscribers(3, device="TV")])
def test_results_are_numbers_by_name_that_json_can_hold(frame):
    found = churn.results(tables(frame))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert all(re.fullmatch(r"[\w.]+", name) for name in found)
    assert found["subscribers"] == len(frame)
    assert found["churned"] == frame.churned.sum()
    assert found["churn_rate.estimate"] == frame.churned.mean()


# The shipped kind of table.


@pytest.fixture(scope="module")
def shipped_kind():
    return netflix.generate()[0]["subscribers"]


@pytest.fixture(scope="module", params=["canonical", "original"])
def study(request, shipped_kind, tmp_path_factory):
    """The study on a file with the canonical and with the original headers."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "netflix").mkdir()
    frame = shipped_kind
    if request.param == "original":
        frame = frame.rename(columns=ORIGINAL_HEADERS)
        assert list(frame) != list(shipped_kind)
    frame.to_csv(folder / "netflix" / "subscribers.csv", index=False, float_format="%.2f")
    return reductions.reduce(open_study("netflix", folder).table("subscribers"))


def test_published_key_figures(study):
    assert (study.subscribers, study.churned) == (3500, 397)
    assert f"{study.churn_rate.estimate:.1%}" == "11.3%"
    printed = {
        "subscription_months": "30.5", "satisfaction_score": "6.93", "engagement_rate": "6.95",
        "daily_watch_hours": "3.51", "support_queries": "5.02", "age": "43.9",
        "monthly_income": "5492", "profiles": "3",
    }
    for column, mean in printed.items():
        digits = len(mean.partition(".")[2])
        assert f"{study.numbers[column].mean:.{digits}f}" == mean, column
    assert {f"{study.numbers[c].sd:.2f}" for c in ("satisfaction_score", "engagement_rate")} == {
        "2.67"
    }
    ranges = {column: (s.low, s.high) for column, s in study.numbers.items()}
    assert ranges == {
        "subscription_months": (1, 60), "satisfaction_score": (1, 10), "engagement_rate": (1, 10),
        "daily_watch_hours": (1, 6), "support_queries": (0, 10), "age": (18, 70),
        "monthly_income": (1010, 9990), "profiles": (1, 5),
    }


def test_published_counts(study):
    def counts(column):
        table = study.churn_by_category[column]
        return dict(zip(table.value, table.subscribers, strict=True))

    assert counts("genre") == {
        "Comedy": 733, "Sci-Fi": 704, "Action": 697, "Drama": 685, "Romance": 681
    }
    assert counts("region") == {
        "Oceania": 607, "Europe": 604, "North America": 600, "Asia": 568, "South America": 561,
        "Africa": 560,
    }
    assert counts("device") == {"Smart TV": 892, "Tablet": 877, "Laptop": 876, "Mobile": 855}
    assert counts("plan") == {"Basic": 1714, "Standard": 1069, "Premium": 717}
    payment = study.churn_by_category["payment_history"].set_index("value")
    assert payment.subscribers.to_dict() == {"Delayed": 771, "On-Time": 2729}
    assert payment.churned.to_dict() == {"Delayed": 302, "On-Time": 95}


def test_the_published_64_and_43_percent_are_shares_within_a_status(study):
    offers = study.readings["promo_used"].set_index(["value", "churned"])
    assert offers.subscribers.to_dict() == {
        ("Yes", "No"): 1982, ("No", "No"): 1121, ("Yes", "Yes"): 172, ("No", "Yes"): 225
    }
    assert f"{offers.of_status['Yes', 'No']:.0%} {offers.of_status['Yes', 'Yes']:.0%}" == "64% 43%"
    # As churn rates: 8% of those who used an offer, 17% of those who did not.
    assert offers.of_value["Yes", "Yes"] == pytest.approx(172 / 2154)
    assert offers.of_value["No", "Yes"] == pytest.approx(225 / 1346)


def test_published_relations(study):
    devices = study.engagement_by_device.set_index("value")
    assert devices["mean"].round(2).to_dict() == {
        "Smart TV": 7.02, "Laptop": 7.00, "Mobile": 6.93, "Tablet": 6.87
    }
    assert round(study.cross_moments["age", "support_queries"].r, 2) == -0.01
    early = study.months[study.months.month <= 24]
    assert len(early) == 24 and early.rate.between(0.22, 0.34).all()
    assert not study.months.churned[study.months.month > 24].any()
    # Read as lifetimes, the same table has a monthly hazard of about half a percent.
    assert early.hazard.between(0.003, 0.011).all()


def test_original_headers_change_nothing(shipped_kind, tmp_path):
    """The same table is read, of which every result is made."""
    found = []
    for name, headers in (("a", {}), ("b", ORIGINAL_HEADERS)):
        folder = tmp_path / name / "netflix"
        folder.mkdir(parents=True)
        frame = shipped_kind.rename(columns=headers)
        frame.to_csv(folder / "subscribers.csv", index=False, float_format="%.2f")
        study = open_study("netflix", tmp_path / name)
        assert study.origin and not study.warnings and not study.shipped and not study.fallback
        found.append(study.table("subscribers"))
    assert found[0].schema() == found[1].schema()
    pd.testing.assert_frame_equal(*(table.to_pandas() for table in found))
    assert len(found[0].to_pandas()) == len(shipped_kind)
