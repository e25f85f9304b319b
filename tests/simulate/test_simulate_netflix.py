"""The shipped subscribers: published figures to the digit at any seed, a churn model to recover."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis import simulate
from analysis.simulate import netflix
from analysis.sources import SHIPPED

# Typed from the published figures, not read from the generator.
COUNTS = {
    "genre": {"Comedy": 733, "Sci-Fi": 704, "Action": 697, "Drama": 685, "Romance": 681},
    "region": {"Oceania": 607, "Europe": 604, "North America": 600, "Asia": 568,
               "South America": 561, "Africa": 560},
    "device": {"Smart TV": 892, "Tablet": 877, "Laptop": 876, "Mobile": 855},
    "plan": {"Basic": 1714, "Standard": 1069, "Premium": 717},
    "churned": {"No": 3103, "Yes": 397},
}
BY_CHURN = {
    "payment_history": {("Delayed", "Yes"): 302, ("Delayed", "No"): 469,
                        ("On-Time", "Yes"): 95, ("On-Time", "No"): 2634},
    "promo_used": {("Yes", "No"): 1982, ("No", "No"): 1121, ("Yes", "Yes"): 172,
                   ("No", "Yes"): 225},
}
# column -> printed mean, its digits, least and largest value, and the sd where one is printed.
NUMBERS = {
    "subscription_months": (30.5, 1, 1, 60, None),
    "satisfaction_score": (6.93, 2, 1, 10, 2.67),
    "engagement_rate": (6.95, 2, 1, 10, 2.67),
    "daily_watch_hours": (3.51, 2, 1, 6, None),
    "support_queries": (5.02, 2, 0, 10, None),
    "age": (43.9, 1, 18, 70, None),
    "monthly_income": (5492, 0, 1010, 9990, None),
    "profiles": (3, 0, 1, 5, None),
}
DEVICE_ENGAGEMENT = {"Smart TV": 7.02, "Laptop": 7.00, "Mobile": 6.93, "Tablet": 6.87}
COLUMNS = [
    "customer_id", "subscription_months", "satisfaction_score", "daily_watch_hours",
    "engagement_rate", "device", "genre", "region", "payment_history", "plan", "churned",
    "support_queries", "age", "monthly_income", "promo_used", "profiles",
]


def assert_published(subscribers):
    """Every published figure, as printed."""
    assert len(subscribers) == 3500
    for column, counts in COUNTS.items():
        assert subscribers[column].value_counts().to_dict() == counts
    for column, counts in BY_CHURN.items():
        assert subscribers.groupby([column, "churned"]).size().to_dict() == counts
    for column, (mean, digits, low, high, sd) in NUMBERS.items():
        values = subscribers[column]
        assert f"{values.mean():.{digits}f}" == f"{mean:.{digits}f}", column
        assert (values.min(), values.max()) == (low, high), column
        if sd:
            assert f"{values.std():.2f}" == f"{sd:.2f}", column
    by_device = subscribers.groupby("device").engagement_rate.mean()
    assert {name: round(mean, 2) for name, mean in by_device.items()} == DEVICE_ENGAGEMENT
    assert round(subscribers.age.corr(subscribers.support_queries), 2) == -0.01
    churned = subscribers[subscribers.churned == "Yes"]
    assert churned.subscription_months.max() == 24
    early = subscribers[subscribers.subscription_months <= 24]
    rates = (early.churned == "Yes").groupby(early.subscription_months).mean()
    assert len(rates) == 24
    assert round((early.churned == "Yes").mean(), 2) == 0.28
    assert rates.between(0.22, 0.34).all()


@given(seed=st.integers(0, 2**63 - 1))
@settings(max_examples=25)
def test_every_published_figure_holds_at_any_seed(seed):
    assert_published(netflix.generate(seed=seed)[0]["subscribers"])


def test_published_figures_agree_with_each_other():
    # What the docstring says of them: sums, and what the device means leave for the overall mean.
    for counts in (*COUNTS.values(), *BY_CHURN.values()):
        assert sum(counts.values()) == 3500
    sizes = COUNTS["device"]
    mean = sum(sizes[device] * DEVICE_ENGAGEMENT[device] for device in sizes) / 3500
    assert mean - 0.005 < 6.955 < mean  # 6.95 is possible, in the lower half only
    # Were delays unrelated to months and offers, nearly all early ones would have churned, and
    # among them alone more offer users than did in all.
    assert 302 / (771 * 0.4) > 0.97
    assert 302 * 2154 / 3500 > 185 > 172


@pytest.fixture(scope="module")
def many():
    """Sixteen times as many subscribers, for what one table is too small to show."""
    return netflix.generate(seed=11, scale=16)[0]["subscribers"]


def early_design(subscribers):
    early = subscribers[subscribers.subscription_months <= 24]
    design = pd.DataFrame({
        "intercept": 1.0,
        "delayed": (early.payment_history == "Delayed").astype(float),
        "promo_used": (early.promo_used == "Yes").astype(float),
        "satisfaction_score": early.satisfaction_score - 7.0,
        "engagement_rate": early.engagement_rate - 7.0,
    })
    return early, design


def test_logistic_regression_recovers_the_true_churn_model(many):
    early, design = early_design(many)
    fit = sm.Logit((early.churned == "Yes").astype(float), design).fit(disp=0)
    truth = netflix.TRUTH["churn"]
    z = {name: (fit.params[name] - truth[name]) / fit.bse[name] for name in design}
    assert max(map(abs, z.values())) < 3.5, z
    # The effects are far from 0, so the test could fail.
    assert (np.abs(fit.params / fit.bse) > 10).all()


def test_nothing_else_moves_churn(many):
    early, design = early_design(many)
    names = list(design)[1:]
    for column in NUMBERS:
        if column not in ("satisfaction_score", "engagement_rate", "subscription_months"):
            design[column] = (early[column] - early[column].mean()) / early[column].std()
    for column in ("device", "genre", "region", "plan"):
        dummies = pd.get_dummies(early[column], prefix=column, dtype=float, drop_first=True)
        design = design.join(dummies)
    for pair in (("delayed", "promo_used"), ("delayed", "satisfaction_score"),
                 ("promo_used", "satisfaction_score")):
        design[" x ".join(pair)] = design[pair[0]] * design[pair[1]]
    fit = sm.Logit((early.churned == "Yes").astype(float), design).fit(disp=0)
    nulls = [name for name in design if name not in ("intercept", *names)]
    assert len(nulls) == 5 + 3 + 4 + 5 + 2 + 3
    wald = fit.wald_test(np.eye(design.shape[1])[[list(design).index(n) for n in nulls]],
                         scalar=True)
    assert wald.pvalue > 0.001


def test_in_a_single_table_the_effects_average_to_the_truth():
    # One table's effects of delay and offer hang on fixed counts; the others vary as they should.
    truth, z = netflix.TRUTH["churn"], []
    for seed in range(30):
        early, design = early_design(netflix.generate(seed=seed)[0]["subscribers"])
        fit = sm.Logit((early.churned == "Yes").astype(float), design).fit(disp=0)
        z.append([(fit.params[n] - truth[n]) / fit.bse[n] for n in design])
    z = np.array(z)
    assert (np.abs(z.mean(axis=0)) < 4 / np.sqrt(30)).all()
    sd = dict(zip(design, z.std(axis=0), strict=True))
    assert all(0.6 < sd[name] < 1.5 for name in ("satisfaction_score", "engagement_rate")), sd


def test_columns_are_what_the_truth_says(many):
    truth = netflix.TRUTH
    for column, (low, high, step) in truth["uniform"].items():
        places = np.round((many[column] - low) / step).astype(int)
        assert np.allclose(low + places * step, many[column])
        seen = np.bincount(places, minlength=round((high - low) / step) + 1)
        assert stats.chisquare(seen).pvalue > 1e-4, column
    for column, parameters in truth["scores"].items():
        expected = netflix.score_probabilities(*parameters) * len(many)
        seen = many[column].value_counts().sort_index().to_numpy()
        assert stats.chisquare(seen, expected).pvalue > 1e-4, column
    early = many.subscription_months <= 24
    delayed = many.payment_history == "Delayed"
    assert delayed[early].mean() == pytest.approx(truth["delayed"]["early"], abs=1e-3)
    assert delayed[~early].mean() == pytest.approx(truth["delayed"]["late"], abs=1e-3)
    assert (many.promo_used == "Yes").mean() == pytest.approx(truth["promo_used"], abs=1e-3)


def test_columns_are_independent_where_they_should_be(many):
    p_values = {}
    cut = many.assign(**{c: pd.qcut(many[c], 5, labels=False, duplicates="drop") for c in NUMBERS})
    columns = [*NUMBERS, "device", "genre", "region", "plan", "promo_used"]
    for i, x in enumerate(columns):
        for y in columns[:i]:
            p_values[x, y] = stats.chi2_contingency(pd.crosstab(cut[x], cut[y])).pvalue
    # Conditioning on the published device means leaves a trace of theirs, and that is all.
    conditioned = {("device", "engagement_rate"), ("support_queries", "age"),
                   ("age", "support_queries")}
    rest = np.array([p for pair, p in p_values.items() if pair not in conditioned])
    assert rest.min() > 0.05 / len(rest) / 10
    assert stats.kstest(rest, "uniform").pvalue > 1e-3


def test_row_order_and_id_tell_nothing(many):
    order = np.arange(len(many))
    assert (many.customer_id == order + 1).all()
    for column in (*NUMBERS, "churned", "device", "payment_history", "promo_used"):
        values = many[column] if column in NUMBERS else pd.Series(pd.factorize(many[column])[0])
        assert abs(values.corr(pd.Series(order), method="spearman")) < 4.5 / np.sqrt(len(many))


def test_the_table_fits_its_file():
    tables, truth = netflix.generate()
    assert list(tables) == ["subscribers"] and truth is netflix.TRUTH
    subscribers = tables["subscribers"]
    assert list(subscribers) == COLUMNS
    assert subscribers.notna().all().all() and subscribers.customer_id.is_unique
    hours = subscribers.daily_watch_hours
    assert np.array_equal(hours, hours.round(2))  # what "%.2f" writes


def test_the_shipped_file_is_what_the_generator_writes(tmp_path):
    shipped = (SHIPPED / "netflix" / "subscribers.csv").read_bytes()
    (written,) = simulate.write("netflix", tmp_path)
    assert written == tmp_path / "netflix" / "subscribers.csv"
    assert written.read_bytes() == shipped
    assert b"\r" not in shipped and shipped.endswith(b"\n")
    assert len(shipped) < 500_000
    assert_published(pd.read_csv(written))


def test_same_seed_same_bytes_another_seed_another_table():
    def digest(seed):
        table = netflix.generate(seed=seed, scale=0.1)[0]["subscribers"]
        return hashlib.sha256(table.to_csv().encode()).hexdigest()

    assert digest(1) == digest(1) != digest(2)


@pytest.mark.parametrize("scale", [0.01, 0.013, 0.4, 1.5, 2.25, 3])
def test_counts_scale(scale):
    parts = [part["subscribers"] for part in netflix.parts(seed=5, scale=scale)]
    assert len(parts) == np.ceil(scale)
    assert max(map(len, parts)) <= 3500
    subscribers = pd.concat(parts, ignore_index=True)
    assert len(subscribers) == round(3500 * scale)
    assert (subscribers.customer_id == np.arange(len(subscribers)) + 1).all()
    for column, counts in COUNTS.items():
        seen = subscribers[column].value_counts()
        assert all(abs(seen[value] - n * scale) <= 1 for value, n in counts.items())
    for column, counts in BY_CHURN.items():
        seen = subscribers.groupby([column, "churned"]).size()
        assert all(abs(seen[key] - n * scale) <= 1.5 for key, n in counts.items())
    for column, (mean, digits, low, high, sd) in NUMBERS.items():
        values = subscribers[column]
        assert low <= values.min() and values.max() <= high, column
        assert scale < 0.4 or (values.min(), values.max()) == (low, high), column
        near = 0.5 * 10**-digits + (high - low) / len(values)
        assert abs(values.mean() - mean) <= near, column
        assert sd is None or abs(values.std() - sd) <= 0.005 + 1 / len(values)
    assert subscribers[subscribers.churned == "Yes"].subscription_months.max() <= 24


def test_the_smallest_table_is_made_at_any_seed():
    for seed in range(40):
        subscribers = netflix.generate(seed=seed, scale=simulate.SMALLEST_SCALE)[0]["subscribers"]
        assert subscribers.groupby(["promo_used", "churned"]).size().to_dict() == {
            ("No", "No"): 11, ("No", "Yes"): 2, ("Yes", "No"): 20, ("Yes", "Yes"): 2,
        }
        assert subscribers.device.nunique() == 4


@pytest.mark.parametrize("scale", [0.001, 0.0099, 0, -1, float("nan"), float("inf")])
def test_a_table_too_small_for_its_published_figures_is_refused(scale):
    """Four subscribers, one of each device, have no spread: drawing them would never end."""
    with pytest.raises(ValueError, match=r"scale must be a number of 0\.01 or more, not"):
        netflix.generate(scale=scale)
    with pytest.raises(ValueError, match=r"scale must be a number of 0\.01 or more, not"):
        simulate.parts("netflix", scale=scale)


@given(
    counts=st.lists(st.integers(1, 5000), min_size=1, max_size=8), n=st.integers(0, 100_000)
)
def test_apportioned_counts_sum_and_are_nearest(counts, n):
    found = netflix.apportion(tuple(counts), n)
    exact = np.array(counts) * n / sum(counts)
    assert found.sum() == n
    assert (np.abs(found - exact) < 1 + 1e-9).all()


def test_truth_is_what_the_calibration_solves():
    from analysis.simulate import netflix_calibration

    solved = netflix_calibration.solve()
    truth = netflix.TRUTH
    for name, parameters in solved["scores"].items():
        assert parameters == pytest.approx(truth["scores"][name], rel=1e-3)
    for name, value in solved["churn"].items():
        assert value == pytest.approx(truth["churn"][name], rel=1e-3)
    # What solving means, checked on the truth itself.
    assert netflix_calibration.expected_churned(truth["churn"], truth["scores"]) == pytest.approx(
        (302, 95, 172), abs=0.1
    )
