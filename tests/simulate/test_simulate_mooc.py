"""The synthetic MOOC platform: its tables agree with each other, and hold what was planted."""

import functools
import hashlib

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.cluster.vq import kmeans2
from scipy.optimize import minimize
from scipy.special import gammaln, hyp2f1, ndtr

from analysis import simulate
from analysis.simulate import mooc
from analysis.sources import SHIPPED, check_study

TABLES = ["users", "events", "courses", "orders"]
END = pd.Timestamp("2025-01-01")
SURE = 1e-5  # a true hypothesis is refused this often: there are many tests and three seeds


@functools.cache
def generated(seed):
    """The tables of a seed and their truth."""
    return mooc.generate(seed=seed)


@pytest.fixture(scope="module", params=[mooc.SEED, 1, 77])
def made(request):
    """The shipped tables and those of other seeds, each with its truth."""
    return generated(request.param)


@pytest.fixture(scope="module")
def tables(made):
    return made[0]


@pytest.fixture(scope="module")
def truth(made):
    return made[1]


@pytest.fixture(scope="module")
def events(tables):
    """Events without what a contract leaves out: those of unknown users and exact duplicates."""
    rows = tables["events"].drop_duplicates()
    return rows[rows["user_id"].isin(tables["users"]["user_id"])]


@pytest.fixture(scope="module")
def items(tables):
    """Order items of known users."""
    rows = tables["orders"]
    return rows[rows["user_id"].isin(tables["users"]["user_id"])]


@pytest.fixture(scope="module")
def orders(items):
    """One row an order, by user and time: `user_id`, `time`, `value`."""
    whole = items.groupby("order_id", as_index=False).agg(
        user_id=("user_id", "first"), time=("order_timestamp", "first"), value=("amount", "sum")
    )
    return whole.sort_values(["user_id", "time"], ignore_index=True)


@pytest.fixture(scope="module")
def customers(orders):
    """Per customer: orders, repeat orders x, recency t_x and age T in weeks, mean value."""
    frame = orders.groupby("user_id").agg(
        n=("time", "size"), first=("time", "min"), last=("time", "max"), mean=("value", "mean")
    )
    week = pd.Timedelta(weeks=1)
    return frame.assign(
        x=frame["n"] - 1.0, t_x=(frame["last"] - frame["first"]) / week,
        T=(END - frame["first"]) / week,
    )


@pytest.fixture(scope="module")
def enrolments(events, truth):
    """The truth of each enrolment beside what the tables say: `took` days (NaN: not completed)."""
    key = ["user_id", "course_id"]
    begun = events[events["event_type"] == "enrolled_in_course"].set_index(key)["event_timestamp"]
    done = events[events["event_type"] == "completed_course"].set_index(key)["event_timestamp"]
    assert begun.index.is_unique and done.index.is_unique
    frame = truth["enrolments"].set_index(key)
    assert frame.index.sort_values().equals(begun.index.sort_values())
    took = (done.reindex(frame.index) - begun.reindex(frame.index)) / pd.Timedelta(days=1)
    return frame.assign(took=took).reset_index()


def assert_counts(observed, expected, most):
    """Independent counts with these expectations, each the sum of at most `most` yes-or-no."""
    variance = expected * (1 - expected / most)  # the largest they can have
    usable = variance > 5
    assert usable.sum() > 1
    z = ((observed - expected) / np.sqrt(variance))[usable]
    assert np.abs(z).max() < stats.norm.isf(SURE / 2 / len(z))
    assert np.sum(z**2) < stats.chi2.isf(SURE, len(z))


def drawn_from(observed, shares):
    """Whether counts (a Series) fit shares (dict), by chi-squared."""
    expected = pd.Series(shares) / sum(shares.values()) * observed.sum()
    assert set(observed.index) <= set(expected.index)
    observed = observed.reindex(expected.index).fillna(0)
    return stats.chisquare(observed, expected).pvalue > SURE


# The tables -------------------------------------------------------------------------------------


def test_columns_and_values_are_possible(tables):
    users, events, courses, orders = (tables[name] for name in TABLES)
    assert list(users) == [
        "user_id", "enrollment_date", "total_courses_enrolled", "total_revenue",
        "total_time_watched_minutes", "video_completion_rate", "quiz_score_average",
        "user_occupation", "user_age_group", "referral_channel", "user_country",
    ]
    assert list(events) == [
        "user_id", "event_timestamp", "event_type", "course_id", "user_country", "referral_source",
    ]
    assert list(courses) == ["course_id", "title", "category", "price"]
    assert list(orders) == [
        "order_id", "user_id", "course_id", "order_timestamp", "amount", "channel",
    ]
    assert len(users) > 20_000 and users["user_id"].is_unique
    assert len(courses) >= 40 and courses["category"].nunique() >= 8
    assert courses["course_id"].is_unique and courses["title"].is_unique
    assert (courses["price"] == 0).sum() >= 5 and (courses["price"] > 0).sum() >= 40
    known = set(courses["course_id"])
    assert set(orders["course_id"]) <= known and set(events["course_id"].dropna()) <= known
    assert (events["course_id"].isna() == (events["event_type"] == "signed_up")).all()
    for frame, column in ((events, "event_timestamp"), (orders, "order_timestamp")):
        assert frame[column].is_monotonic_increasing
        assert pd.Timestamp("2023-07-01") <= frame[column].min()
        assert frame[column].max() < END
        assert frame[column].dt.second.nunique() == 60
    assert orders["amount"].min() > 0
    assert users["video_completion_rate"].between(0, 100).all()
    assert users["quiz_score_average"].dropna().between(0, 100).all()
    assert users["user_country"].nunique() > 60 and "NA" in set(users["user_country"])
    assert users["user_country"].dropna().str.fullmatch("[A-Z]{2}").all()
    # Nobody watches more than there was time for.
    hours_left = (END - users["enrollment_date"]).dt.total_seconds() / 3600
    assert (users["total_time_watched_minutes"] <= hours_left * 60 / 4).all()
    cents = 100 * np.concatenate([users.select_dtypes("float").to_numpy().ravel(),
                                  orders["amount"]])
    assert np.allclose(cents, np.round(cents), rtol=0, atol=1e-6, equal_nan=True)


def test_the_tables_agree(tables, events, items):
    users = tables["users"].set_index("user_id")
    revenue = items.groupby("user_id")["amount"].sum().reindex(users.index, fill_value=0)
    assert (np.rint(100 * revenue) == np.rint(100 * users["total_revenue"])).all()

    enrolled = events[events["event_type"] == "enrolled_in_course"]
    courses = enrolled.groupby("user_id")["course_id"].nunique().reindex(users.index, fill_value=0)
    assert (courses == users["total_courses_enrolled"]).all()
    signed_up = events[events["event_type"] == "signed_up"].set_index("user_id")["event_timestamp"]
    assert signed_up.index.is_unique
    signed_up = signed_up.reindex(users.index)
    assert signed_up.notna().all()
    first = enrolled.groupby("user_id")["event_timestamp"].min().reindex(users.index)
    assert (first.fillna(signed_up).dt.normalize() == users["enrollment_date"]).all()
    assert (users[courses == 0][["total_time_watched_minutes", "video_completion_rate"]] == 0).all(
        axis=None
    )
    assert users.loc[courses == 0, "quiz_score_average"].isna().all()
    finished = events.loc[events["event_type"] == "completed_course", "user_id"]
    passed = users.index.isin(finished) & (courses > 0)
    assert users.loc[passed, "quiz_score_average"].notna().mean() > 0.998

    for column, of_user in (("user_country", "user_country"),
                            ("referral_source", "referral_channel")):
        expected = events["user_id"].map(users[of_user])
        assert (expected.fillna("?") == events[column].fillna("?")).all()
    assert (events["event_timestamp"] >= events["user_id"].map(signed_up)).all()
    assert (items["order_timestamp"] >= items["user_id"].map(signed_up)).all()

    # The first purchase of a paid course is the enrolment in it; free courses are not bought.
    price = tables["courses"].set_index("course_id")["price"]
    bought = items.groupby(["user_id", "course_id"])["order_timestamp"].min()
    assert (bought.index.get_level_values("course_id").map(price) > 0).all()
    paid = enrolled[enrolled["course_id"].map(price) > 0]
    paid = paid.set_index(["user_id", "course_id"])["event_timestamp"]
    pd.testing.assert_series_equal(paid.sort_index(), bought.sort_index(), check_names=False)


def test_an_order_is_one_basket(tables, items):
    orders = tables["orders"]
    per_order = orders.groupby("order_id")
    for column in ("user_id", "order_timestamp"):
        assert (per_order[column].nunique() == 1).all()
    assert (per_order["channel"].nunique(dropna=False) == 1).all()
    assert not orders.duplicated(["order_id", "course_id"]).any()
    assert items.duplicated(["user_id", "course_id"]).mean() < 0.007


def test_dirt_is_light_and_what_is_documented(tables, truth):
    users, events, orders = (tables[name] for name in ("users", "events", "orders"))
    found, shares = truth["dirt_found"], truth["dirt"]
    assert events.duplicated().sum() == found["duplicate"]
    assert (events["event_type"] == "watched_preview").sum() >= found["preview"]
    once = events.drop_duplicates()
    assert (once["event_type"] == "watched_preview").sum() == found["preview"]
    unknown = set(once["user_id"]) - set(users["user_id"])
    assert len(unknown) == found["deleted_account"]
    key = ["user_id", "course_id"]
    begun = once[once["event_type"] == "enrolled_in_course"].set_index(key)["event_timestamp"]
    done = once[once["event_type"] == "completed_course"].join(begun.rename("begun"), on=key)
    assert done["begun"].isna().sum() == found["completed_without"]
    early = (done["event_timestamp"] < done["begun"]).sum()
    assert found["completed_before"] - 2 <= early <= found["completed_before"]  # in one second
    everybody = len(users) + len(unknown)
    of = {"deleted_account": everybody, "preview": len(begun), "completed_before": len(done),
          "completed_without": (users["total_courses_enrolled"] > 0).sum(),
          "duplicate": len(once)}
    for kind, count in found.items():
        assert stats.binomtest(count, of[kind], shares[kind]).pvalue > SURE
        assert 0 < count < 0.01 * len(events)
    for column, kind in (("user_country", "no_country"), ("referral_channel", "no_source"),
                         ("user_occupation", "no_occupation"), ("user_age_group", "no_age_group")):
        missing = users[column].isna().sum()
        assert stats.binomtest(missing, len(users), shares[kind]).pvalue > SURE
    channel = orders.drop_duplicates("order_id")["channel"]
    share = shares["no_sales_channel"]
    assert stats.binomtest(channel.isna().sum(), len(channel), share).pvalue > SURE


# The people -------------------------------------------------------------------------------------


def test_people_are_drawn_from_the_documented_shares(tables, truth, items):
    users = tables["users"]
    weights = {code: w for codes in truth["countries"].values() for code, w in codes.items()}
    assert drawn_from(users["user_country"].value_counts(), weights)
    assert drawn_from(users["user_occupation"].value_counts(), truth["occupations"])
    region = users["user_country"].map(truth["region"])
    for name, shares in truth["sources"].items():
        counts = users.loc[region == name, "referral_channel"].value_counts()
        assert drawn_from(counts, shares.to_dict())
    for occupation, shares in truth["ages"].items():
        counts = users.loc[users["user_occupation"] == occupation, "user_age_group"].value_counts()
        assert drawn_from(counts, dict(zip(mooc.AGE_GROUPS, shares, strict=True)))
    people = truth["people"].merge(users, on="user_id")
    for occupation, shares in truth["cluster_shares"].items():
        counts = people.loc[people["user_occupation"] == occupation, "cluster"].value_counts()
        assert drawn_from(counts, dict(zip(mooc.CLUSTERS.index, shares, strict=True)))
    whole = items.drop_duplicates("order_id")
    late = (whole["order_timestamp"] - pd.Timestamp(truth["start"])) / pd.Timedelta(days=mooc.DAYS)
    for channel, (start, end) in truth["sales_channels"].items():
        chosen = (whole["channel"] == channel)[whole["channel"].notna()]
        for half in (late < 0.5, late >= 0.5):
            expected = start + (end - start) * late[half].mean()
            count, n = chosen[half].sum(), half[chosen.index].sum()
            assert stats.binomtest(int(count), int(n), expected).pvalue > SURE


def test_sign_ups_grow_and_follow_day_week_and_year(events):
    when = events.loc[events["event_type"] == "signed_up", "event_timestamp"]
    by_hour = when.dt.hour.value_counts()
    assert by_hour.idxmax() in (19, 20, 21) and by_hour.idxmin() in (2, 3, 4, 5)
    by_weekday = when.dt.day_of_week.value_counts()
    assert by_weekday[5] < by_weekday[[0, 1, 2, 3]].min()
    by_month = when.dt.to_period("M").value_counts()
    assert by_month["2024-01"] > 1.3 * by_month["2023-12"]
    assert by_month["2024-09"] > 1.2 * by_month["2023-09"]


# The funnel -------------------------------------------------------------------------------------


def test_funnel_is_the_planted_one(tables, truth, events):
    expected = truth["funnel"]
    assert expected["users"].sum() == len(tables["users"])
    people = truth["people"].merge(tables["users"])
    enrolled = people["user_id"].isin(
        events.loc[events["event_type"] == "enrolled_in_course", "user_id"]
    )
    # What the tables say: users whose country and source were recorded.
    people = people.assign(
        enrolled=enrolled, region=people["user_country"].map(truth["region"])
    ).dropna(subset=["user_country", "referral_channel"])
    expected = expected.assign(region=expected["country"].map(truth["region"]))
    counts = ["users", "expected_enrolled", "expected_completed"]
    for keys in ("region", "country", "source"):
        cells = expected.groupby(keys)[counts].sum()
        column = {"region": "region", "country": "user_country", "source": "referral_channel"}[keys]
        seen = people.groupby(column)["enrolled"].agg(["size", "sum"]).reindex(cells.index)
        rate = cells["expected_enrolled"] / cells["users"]
        assert_counts(seen["sum"], rate * seen["size"], seen["size"])
    cells = expected.groupby(["source", "region"])[counts].sum()
    seen = people.groupby(["referral_channel", "region"])["enrolled"].agg(["size", "sum"])
    seen = seen.reindex(cells.index)
    assert_counts(seen["sum"], cells["expected_enrolled"] / cells["users"] * seen["size"],
                  seen["size"])
    # Nearly all who will enrol have done so; the table of probabilities is what counts.
    eventually = (expected["enrol_probability"] * expected["users"]).sum()
    assert 0.985 < expected["expected_enrolled"].sum() / eventually < 1

    # An interaction: the rate is not the product of its margins.
    rates = (seen["sum"] / seen["size"]).unstack()
    ratio = rates["South Asia"] / rates["Europe"]
    assert ratio["Social Media"] > 1.15 * ratio.drop("Social Media").mean()
    # A country of its own: Kenya against the rest of its region.
    own = people[people["region"] == "Africa and Middle East"]
    kenya = own["user_country"] == "KE"
    assert own.loc[kenya, "enrolled"].mean() > 1.08 * own.loc[~kenya, "enrolled"].mean()


def test_users_who_complete_are_as_many_as_expected(truth, enrolments, tables):
    by_user = enrolments.assign(
        none=np.log1p(-enrolments["completed_by_end"]), done=enrolments["took"].notna()
    ).groupby("user_id").agg(none=("none", "sum"), done=("done", "any"))
    users = tables["users"].set_index("user_id").loc[by_user.index]
    chance = -np.expm1(by_user["none"])
    for column in ("referral_channel", "user_country"):
        group = users[column].fillna("?")
        observed, expected = by_user["done"].groupby(group).sum(), chance.groupby(group).sum()
        assert_counts(observed, expected, group.value_counts().reindex(expected.index))
    assert chance.sum() == pytest.approx(truth["funnel"]["expected_completed"].sum(), rel=1e-9)


# Completion -------------------------------------------------------------------------------------


def test_completions_are_as_many_as_expected_by_course_and_source(enrolments):
    done = enrolments["took"].notna()
    for keys in ("course_id", "source"):
        cells = enrolments.groupby(keys)["completed_by_end"].agg(["size", "sum"])
        assert_counts(done.groupby(enrolments[keys]).sum(), cells["sum"], cells["size"])
    assert 0.4 < done.mean() < 0.6


def kaplan_meier(took, left, at):
    """Share not yet completed after `at` days, and its standard error (Greenwood)."""
    day = took.fillna(np.inf).clip(lower=0)
    time = np.minimum(day, left)
    event = day <= left
    survival, variance = 1.0, 0.0
    times, deaths = np.unique(time[event & (time <= at)], return_counts=True)
    ordered = np.sort(time)
    for t, d in zip(times, deaths, strict=True):
        at_risk = len(ordered) - np.searchsorted(ordered, t)
        survival *= 1 - d / at_risk
        variance += d / (at_risk * (at_risk - d))
    return survival, survival * np.sqrt(variance)


@pytest.mark.parametrize("at", [15, 45, 120])
def test_time_to_completion_is_the_planted_log_normal(enrolments, at):
    sigma = mooc.DURATION_SIGMA
    assert mooc.COURSES["median_days"].max() > 10 * mooc.COURSES["median_days"].min()
    for keys in ("course_id", "source"):
        z = []
        for _, group in enrolments.groupby(keys):
            by_then = ndtr(np.log(at / group["median_days"]) / sigma) * group["probability"]
            if by_then.sum() < 50:
                continue
            estimate, error = kaplan_meier(group["took"], group["days_left"], at)
            z.append((estimate - (1 - by_then.mean())) / error)
        assert len(z) >= 6
        # Durations move by hours at most when times of day are stretched: half a percent here.
        assert np.max(np.abs(z)) < 5
        assert np.sum(np.square(z)) < stats.chi2.isf(SURE, len(z))


def test_naive_average_of_completion_times_misleads(enrolments):
    """Late enrolments are complete only where it went fast."""
    late = enrolments[enrolments["days_left"] < 60]
    early = enrolments[enrolments["days_left"] > 365]
    assert late["took"].mean() < 0.6 * early["took"].mean()


# Purchases --------------------------------------------------------------------------------------


def bgnbd_loss(theta, x, t_x, age):
    """Minus the log-likelihood of the BG/NBD (Fader, Hardie & Lee 2005); log parameters."""
    r, alpha, a, b = np.exp(theta)
    both = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
    both += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
    alive = -(r + x) * np.log(alpha + age)
    left = np.log(a) - np.log(b + np.maximum(x, 1) - 1) - (r + x) * np.log(alpha + t_x)
    return -np.sum(both + np.where(x > 0, np.logaddexp(alive, left), alive))


def gamma_gamma_loss(theta, x, mean):
    """Minus the log-likelihood of the mean value of x orders; log parameters."""
    p, q, gamma = np.exp(theta)
    return -np.sum(
        gammaln(p * x + q) - gammaln(p * x) - gammaln(q) + q * np.log(gamma)
        + (p * x - 1) * np.log(mean) + p * x * np.log(x) - (p * x + q) * np.log(gamma + mean * x)
    )


def assert_likely(loss, parameters, data):
    """The truth is within the likelihood-ratio region of the fit, and the region is small."""
    true = np.log(list(parameters.values()))
    fit = minimize(loss, true, args=data, method="Nelder-Mead",
                   options={"xatol": 1e-3, "fatol": 1e-2, "maxiter": 2000})
    assert fit.success
    assert 2 * (loss(true, *data) - fit.fun) < stats.chi2.isf(SURE, len(true))
    for i in range(len(true)):
        for change in (-0.35, 0.35):
            elsewhere = true + change * (np.arange(len(true)) == i)
            assert 2 * (loss(elsewhere, *data) - fit.fun) > stats.chi2.isf(0.01, len(true))


def test_purchases_are_bg_nbd(customers, truth):
    data = tuple(customers[name].to_numpy() for name in ("x", "t_x", "T"))
    assert_likely(bgnbd_loss, truth["bgnbd"], data)
    assert 0.9 < customers["x"].mean() < 1.3 and customers["x"].max() >= 15


def test_order_values_are_gamma_gamma(customers, orders, truth):
    p, q, gamma = truth["gamma_gamma"].values()
    data = (customers["n"].to_numpy(dtype=float), customers["mean"].to_numpy())
    assert_likely(gamma_gamma_loss, truth["gamma_gamma"], data)
    # First orders are like the later ones, so either choice of orders recovers the parameters.
    first = orders.drop_duplicates("user_id")["value"]
    variance = (p * gamma / (q - 1)) ** 2 * ((1 + 1 / p) * (1 + 1 / (q - 2)) - 1)
    for values in (first, orders["value"][orders.duplicated("user_id")]):
        error = (values.mean() - p * gamma / (q - 1)) / np.sqrt(variance / len(values))
        assert abs(error) < 6  # later orders of a customer go together
    test = stats.kstest(first / gamma, stats.betaprime(p, q).cdf)
    assert test.pvalue > SURE
    # The value of an order has nothing to do with how many follow.
    r = stats.spearmanr(customers["x"], first.set_axis(customers.index))
    assert abs(r.statistic) < 4.5 / np.sqrt(len(customers))


def test_amounts_are_believable_beside_list_prices(items, tables):
    price = tables["courses"].set_index("course_id")["price"]
    listed = items["course_id"].map(price)
    total = items.groupby("order_id")["amount"].sum() / listed.groupby(items["order_id"]).sum()
    assert 0.7 < total.median() < 0.85
    assert total.quantile([0.05, 0.95]).between(0.5, 1.1).all()
    assert total.quantile(0.999) < 1.6 and total.max() < 2.5 and total.min() > 0.03
    # Items share the order's value in proportion: to a cent.
    share = items["amount"] - items["order_id"].map(total) * listed
    assert share.abs().max() < 0.0101


def test_future_of_customers_is_what_the_model_says(customers, truth):
    """Fader, Hardie & Lee (2005), equation 10: the expectation given x, t_x and T."""
    future = truth["customers"].set_index("user_id").loc[customers.index]
    assert len(future) == len(truth["customers"])
    r, alpha, a, b = truth["bgnbd"].values()
    x, t_x, age = (customers[name] for name in ("x", "t_x", "T"))
    weeks = truth["future_days"] / 7
    expected = 1 - ((alpha + age) / (alpha + age + weeks)) ** (r + x) * hyp2f1(
        r + x, b + x, a + b + x - 1, weeks / (alpha + age + weeks)
    )
    expected *= (a + b + x - 1) / (a - 1)
    gone = (x > 0) * a / (b + np.maximum(x, 1) - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x)
    expected /= 1 + gone
    alive = 1 / (1 + gone)
    p, q, gamma = truth["gamma_gamma"].values()
    mean = p * (gamma + customers["n"] * customers["mean"]) / (p * customers["n"] + q - 1)
    # By tenth of what a model that knows the parameters predicts.
    for predicted, drawn, certain in (
        (alive, None, future["active"].astype(float)),
        (expected, future["future_purchases"], future["expected_purchases"]),
        (expected * mean, future["future_value"], future["expected_value"]),
    ):
        tenth = pd.qcut(predicted.rank(method="first"), 10, labels=False)
        for actual in (drawn, certain):
            if actual is not None:
                off = (actual - predicted).groupby(tenth).agg(["mean", "sem"])
                assert (off["mean"].abs() <= 5 * off["sem"] + 1e-9).all()
    assert future.loc[~future["active"], "future_purchases"].sum() == 0
    surprise = future["future_purchases"] - future["expected_purchases"]
    assert abs(surprise.mean()) < 4.5 * surprise.sem()


# Baskets ----------------------------------------------------------------------------------------


def test_planted_pairs_are_found_and_no_others(items, truth):
    baskets = pd.crosstab(items["order_id"], items["course_id"])
    together = (baskets.T @ baskets).to_numpy()
    n, single = len(baskets), np.diag(together)
    first, second = np.triu_indices(len(single), 1)
    both = together[first, second]
    p = stats.hypergeom.sf(both - 1, n, single[first], single[second])
    found = stats.false_discovery_control(p) < 0.05
    names = baskets.columns.to_numpy()
    planted = set(zip(truth["pairs"]["course_a"], truth["pairs"]["course_b"], strict=True))
    assert len(planted) >= 12
    known = np.array([pair in planted for pair in zip(names[first], names[second], strict=True)])
    assert known.sum() == len(planted)
    assert found[known].all()
    assert found[~known].sum() <= 0.05 * found.sum()
    lift = both * n / (single[first] * single[second])
    assert lift[known].min() > 2.5
    expected = single[first] * single[second] / n
    others = both[~known].sum() / expected[~known].sum()
    assert others == pytest.approx(truth["lift_of_other_pairs"], abs=0.025)
    # The others are independent: their counts scatter around that lift as by chance.
    usable = ~known & (expected > 10)
    chi2 = np.sum((both - others * expected)[usable] ** 2 / (others * expected)[usable])
    assert stats.chi2.isf(1 - SURE, usable.sum()) < chi2 < stats.chi2.isf(SURE, usable.sum())


def test_ladders_lead_from_a_course_to_a_dearer_one(items, orders, truth, tables):
    """Among later orders of the same value (twentieths), by Mantel and Haenszel (1959)."""
    price = tables["courses"].set_index("course_id")["price"]
    ladders = truth["ladders"]
    assert (ladders["lower"].map(price) < ladders["upper"].map(price)).all()
    position = pd.Series(orders.index, index=orders["order_id"])
    holds = pd.crosstab(items["order_id"].map(position), items["course_id"])
    names, holds = holds.columns, holds.to_numpy()
    before = holds.cumsum(axis=0) - holds
    begins = ~orders["user_id"].duplicated().to_numpy()
    start = np.maximum.accumulate(np.where(begins, np.arange(len(orders)), 0))
    owned = (before - before[start] > 0)[~begins]
    holds, values = holds[~begins] > 0, orders["value"].to_numpy()[~begins]
    seen = expected = variance = 0
    stratum = pd.qcut(values, 20, labels=False)
    for twentieth in range(20):
        of = stratum == twentieth
        has, lacks, buys = (m[of].astype(float) for m in (owned, ~owned, holds & ~owned))
        n, exposed, bought = lacks.sum(axis=0), has.T @ lacks, buys.sum(axis=0)
        seen = seen + has.T @ buys
        expected = expected + exposed * bought / n
        variance = variance + exposed * (n - exposed) * bought * (n - bought) / n**2 / (n - 1)
    z = pd.DataFrame((seen - expected) / np.sqrt(np.maximum(variance, 1e-9)), names, names)
    ratio = pd.DataFrame(seen / np.maximum(expected, 1e-9), names, names)
    at = list(zip(ladders["lower"], ladders["upper"], strict=True))
    assert len(at) >= 8
    assert min(z.loc[pair] for pair in at) > 4
    assert min(ratio.loc[pair] for pair in at) > 1.5
    others = z.where(~np.eye(len(names), dtype=bool)).stack().drop(at)
    assert abs(others.median()) < 0.6
    assert (others > min(z.loc[pair] for pair in at)).sum() <= 6


# Behaviour --------------------------------------------------------------------------------------


def test_behaviour_has_the_planted_clusters(tables, truth, enrolments):
    users = tables["users"].merge(truth["people"], on="user_id")
    users = users[users["total_courses_enrolled"] > 0].dropna(subset=["quiz_score_average"])
    users = users[users["enrollment_date"] < "2024-12-01"]
    features = pd.DataFrame({
        "minutes": np.log(users["total_time_watched_minutes"] / users["total_courses_enrolled"]),
        "rate": users["video_completion_rate"], "quiz": users["quiz_score_average"],
    })
    scaled = (features - features.mean()) / features.std()

    def fitted(k, start):
        centres, label = kmeans2(scaled.to_numpy(), k, minit="++", rng=start, iter=50)
        return label, np.sum((scaled.to_numpy() - centres[label]) ** 2)

    loss = {
        k: min((fitted(k, start) for start in range(8)), key=lambda fit: fit[1]) for k in (3, 4, 5)
    }
    # Four clusters: a fourth explains much, a fifth little.
    assert loss[4][1] < 0.75 * loss[3][1]
    assert loss[5][1] > 0.80 * loss[4][1]
    label = loss[4][0]
    matched = pd.crosstab(label, users["cluster"])
    assert matched.max(axis=1).sum() > 0.95 * len(users)
    assert matched.idxmax(axis=1).nunique() == 4
    for name, group in features.groupby(matched.idxmax(axis=1).loc[label].to_numpy()):
        centre = truth["clusters"].loc[name]
        assert group["minutes"].median() == pytest.approx(np.log(centre["minutes"]), abs=0.06)
        assert group["rate"].median() == pytest.approx(centre["rate"], abs=1)
        assert group["quiz"].median() == pytest.approx(centre["quiz"], abs=1)
    completes = enrolments.merge(truth["people"])
    completes = completes["took"].notna().groupby(completes["cluster"]).mean()
    assert completes["Finisher"] > completes["Steady Learner"] > completes["Selective Expert"]
    assert completes["Selective Expert"] > 3 * completes["Sampler"]


# Files and scale --------------------------------------------------------------------------------


def digests(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()
    }


def written(folder, parts):
    """The parts as `simulate.write` has them."""
    folder.mkdir()
    for part in parts:
        for name, frame in part.items():
            path = folder / f"{name}.csv"
            frame.to_csv(path, mode="a", header=not path.exists(), index=False,
                         lineterminator="\n", encoding="utf-8", float_format="%.2f")
    return folder


def test_the_shipped_files_are_what_the_generator_writes(tmp_path):
    files = simulate.write("mooc", tmp_path)
    assert {path.stem for path in files} == set(TABLES)
    assert digests(tmp_path / "mooc") == digests(SHIPPED / "mooc")


def test_shipped_tables_are_small_and_break_no_contract(tmp_path):
    folder = written(tmp_path / "mooc", mooc.parts(mooc.SEED, 1))
    content = [path.read_bytes() for path in folder.iterdir()]
    assert sum(map(len, content)) < 12_000_000
    assert all(b"\r" not in text and text.endswith(b"\n") for text in content)
    _, problems = check_study("mooc", tmp_path)
    assert [str(problem) for problem in problems if problem.severity == "error"] == []
    broken = {(problem.file.split("/")[-1], problem.column) for problem in problems}
    assert broken == {("events.csv", "user_id"), ("orders.csv", "user_id"),
                      ("events.csv", "event_timestamp"), ("events.csv", "event_type"),
                      ("events.csv", "course_id")}
    again = pd.read_csv(folder / "users.csv", keep_default_na=False, na_values=[""])
    users = generated(mooc.SEED)[0]["users"].assign(
        enrollment_date=lambda t: t["enrollment_date"].dt.strftime("%Y-%m-%d")
    )
    pd.testing.assert_frame_equal(again, users, check_dtype=False)


def test_same_seed_same_bytes_another_seed_other_bytes(tmp_path):
    once, twice, other = (
        digests(written(tmp_path / str(i), mooc.parts(seed, 0.05)))
        for i, seed in enumerate((1, 1, 2))
    )
    assert once == twice
    assert {name for name in once if once[name] == other[name]} == {"courses.csv"}


@pytest.mark.parametrize("scale", [simulate.SMALLEST_SCALE, 0.5, 2.25])
def test_scale_multiplies_users_in_parts_of_at_most_the_shipped_size(scale):
    parts = list(mooc.parts(3, scale))
    assert len(parts) == np.ceil(scale)
    assert ["courses" in part for part in parts] == [True] + [False] * (len(parts) - 1)
    size = [len(part["users"]) for part in parts]
    assert max(size) <= mooc.USERS and max(size) - min(size) < 0.01 * max(size) + 1
    assert sum(size) == pytest.approx(scale * mooc.USERS, rel=0.01)
    whole = {name: pd.concat([part[name] for part in parts]) for name in ("users", "orders")}
    assert whole["users"]["user_id"].is_unique
    numbers = whole["orders"]["order_id"].drop_duplicates().str[1:].astype(int)
    assert (numbers.to_numpy() == np.arange(1, len(numbers) + 1)).all()
    assert (whole["orders"].groupby("order_id")["user_id"].nunique() == 1).all()
    for part in parts:  # rates do not depend on scale, and each part covers the window
        signed_up = part["events"].query("event_type == 'signed_up'")["event_timestamp"]
        assert signed_up.min() < pd.Timestamp("2023-08-01")
        assert signed_up.max() > pd.Timestamp("2024-12-01")
        enrolled = (part["users"]["total_courses_enrolled"] > 0).mean()
        assert abs(enrolled - 0.55) < 4.5 * 0.5 / np.sqrt(len(part["users"]))


def test_tables_agree_at_every_scale():
    for scale in (simulate.SMALLEST_SCALE, 1.5):
        tables, truth = mooc.generate(seed=8, scale=scale)
        known = tables["orders"][tables["orders"]["user_id"].isin(tables["users"]["user_id"])]
        assert known["amount"].sum() == pytest.approx(tables["users"]["total_revenue"].sum())
        assert set(known["user_id"]) == set(truth["customers"]["user_id"])
        assert len(truth["people"]) == len(tables["users"])
        assert len(truth["enrolments"]) == tables["users"]["total_courses_enrolled"].sum()
