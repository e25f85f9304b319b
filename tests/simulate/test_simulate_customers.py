"""The synthetic app: planted effects can be found, tables fit their contract, the same bytes."""

import hashlib

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy import stats

from analysis import simulate
from analysis.simulate import customers
from analysis.simulate.customers import DAYS, SECONDS, START, TRUTH, day_of
from analysis.sources import SHIPPED, check_study

TABLES = ["users", "purchases", "paywall_views", "paywall_test", "releases", "planned_split"]


def clean(tables, name):
    """Rows of an event table without the rows to clean, with `day` and `second` since the start."""
    registered = tables["users"].set_index("uid")["reg_date"]
    rows = tables[name].drop_duplicates(["uid", "date"])
    rows = rows[rows["uid"].isin(registered.index)]
    rows = rows[rows["date"] >= rows["uid"].map(registered)]
    second = (rows["date"].to_numpy() - START.astype("datetime64[s]")).astype(np.int64)
    return rows.assign(second=second, day=second // SECONDS)


def with_new_paywall(tables, views):
    test = tables["paywall_test"].query("group == 'test'").set_index("uid")["assigned_at"]
    return (views["date"] >= views["uid"].map(test)) & (
        views["day"] < day_of(TRUTH["test"]["effect_until"])
    )


@pytest.fixture(scope="module")
def shipped():
    return customers.generate()[0]


@pytest.fixture(scope="module")
def large():
    """Six times the shipped size, cleaned: the planted effects with small errors."""
    tables, truth = customers.generate(seed=7, scale=6)
    views = clean(tables, "paywall_views")
    views["new"] = with_new_paywall(tables, views)
    views = views.merge(tables["users"], on="uid")
    return tables, truth, views, clean(tables, "purchases")


def test_tables_fit_their_contract_and_the_rows_to_clean_are_counted(shipped, tmp_path):
    for name, frame in shipped.items():
        path = tmp_path / "customers" / f"{name}.csv"
        path.parent.mkdir(exist_ok=True)
        frame.to_csv(path, index=False, float_format="%.2f")
    opened, problems = check_study("customers", tmp_path)
    assert [p for p in problems if p.severity == "error"] == []
    found = {(p.file.split("/")[-1].split(".")[0], p.count) for p in problems}
    dirt = TRUTH["dirt"]
    assert found == {(table, count) for table, kinds in dirt.items() for count in kinds.values()}
    for table, kinds in dirt.items():
        assert sum(kinds.values()) < 0.02 * len(shipped[table])
        assert opened.table(table).count().execute() == len(clean(shipped, table))
    # Each kind is told from the others by the rule that it breaks.
    for table, kinds in dirt.items():
        rows = shipped[table]
        unknown = ~rows["uid"].isin(shipped["users"]["uid"])
        assert rows.duplicated(["uid", "date"]).sum() == kinds["duplicates"]
        assert (rows.duplicated() == rows.duplicated(["uid", "date"])).all()
        assert unknown.sum() == kinds["unknown"]
        registered = rows["uid"].map(shipped["users"].set_index("uid")["reg_date"])
        ahead = (registered - rows["date"]).dt.days  # whole days, so the day itself is -1
        assert (ahead >= 0).sum() == kinds["before_registration"]
        assert ahead.max() < 20


def test_values_are_possible(shipped):
    users, views = shipped["users"], clean(shipped, "paywall_views")
    assert list(shipped) == TABLES
    assert len(users) == customers.USERS and users["uid"].is_unique
    assert users["reg_date"].is_monotonic_increasing
    assert users["reg_date"].between("2023-01-01", "2024-12-31").all()
    assert users["age"].dropna().between(16, 80).all()
    assert set(users["device"]) == {"and", "iOS"}
    assert set(users["country"]) == set(customers.COUNTRIES)
    for name in ("purchases", "paywall_views"):
        rows = shipped[name]
        assert rows["date"].is_monotonic_increasing
        assert rows["date"].between("2023-01-01", "2024-12-31 23:59:59").all()
        assert not clean(shipped, name).duplicated(["uid", "second"]).any()
    bought = views["purchase"] == 1
    assert (views["sku"].notna() == bought).all() and (views["price"].notna() == bought).all()
    # Every sale at a paywall is in purchases, and others are too.
    key = ["uid", "date", "sku", "price"]
    there = views[bought].merge(clean(shipped, "purchases"), on=key)
    assert len(there) == bought.sum()
    prices = {sku: cents for sku, (cents, _) in TRUTH["skus"].items()}
    assert (shipped["purchases"]["sku"].map(prices) == shipped["purchases"]["price"]).all()
    assert len(set(prices.values())) == len(prices)


def test_views_of_a_day_follow_the_formula(large):
    _, _, views, _ = large
    expected = 6 * TRUTH["views"]["views_a_day"] * customers.day_factors(TRUTH["views"])
    seen = np.bincount(views["day"], minlength=DAYS)
    # Poisson: the dispersion is chi-squared, and no day is out of line.
    dispersion = ((seen - expected) ** 2 / expected).sum()
    assert 1e-4 < stats.chi2.sf(dispersion, DAYS) < 1 - 1e-4
    assert np.abs((seen - expected) / np.sqrt(expected)).max() < 5
    assert abs(seen.sum() - expected.sum()) < 4 * np.sqrt(expected.sum())


def test_day_factors_are_what_the_names_say():
    log = pd.Series(
        np.log(customers.day_factors(TRUTH["views"])), pd.date_range(str(START), periods=DAYS))
    week = log.groupby(log.index.strftime("%a")).mean()
    assert (week - week.mean()).to_dict() == pytest.approx(TRUTH["views"]["weekly"], abs=0.003)
    year_later = log["2024-03-03"] - log["2023-03-05"]  # two Sundays, 364 days apart
    assert year_later == pytest.approx(TRUTH["views"]["trend"], abs=0.01)
    smooth = (log - 0.25 * np.arange(DAYS) / 365.25).rolling(7, center=True).mean().dropna()
    assert smooth.idxmax().month == 12 and smooth.idxmin().month == 6
    assert (smooth.max() - smooth.min()) / 2 == pytest.approx(0.2, abs=0.001)


def test_registrations_follow_their_factors_after_the_launch(large):
    users = large[0]["users"]
    day = ((users["reg_date"].to_numpy() - START) / np.timedelta64(1, "D")).astype(int)
    seen = np.bincount(day, minlength=DAYS)
    launched = round(customers.USERS * customers.launch_share()) * 6
    factors = customers.day_factors(TRUTH["registrations"])
    expected = (len(users) - launched) * factors / factors.sum()
    expected[0] += launched
    assert stats.chisquare(seen, expected).pvalue > 1e-4


def test_conversion_release_and_test_factor(large):
    _, _, views, purchases = large
    after = views["day"] >= day_of(TRUTH["release"]["date"])
    groups = views.groupby([after.rename("after"), "new"])["purchase"].agg(["sum", "size"])
    rate, events = groups["sum"] / groups["size"], groups["sum"]

    def near(found, truth, *of):
        # Buyers repeat, so counts vary by more than Poisson's; twice its error is generous.
        assert abs(np.log(found / truth)) < 4 * 2 * np.sqrt(sum(1 / events[k] for k in of))

    average, release = TRUTH["conversion"]["average"], TRUTH["release"]["factor"]
    near(rate[False, False], average, (False, False))
    near(rate[True, False] / rate[False, False], release, (True, False), (False, False))
    window = after & (views["date"] >= TRUTH["test"]["start"]) & (
        views["date"] < TRUTH["test"]["effect_until"])
    tested = views[window].groupby("new")["purchase"].mean()
    near(tested[True] / tested[False], TRUTH["test"]["factor"], (True, True), (True, True))
    # The shop does as much business a visit, and half as often.
    at_paywall = views.loc[~views["new"], "purchase"].sum()
    elsewhere = len(purchases) - views["purchase"].sum()
    assert elsewhere / at_paywall == pytest.approx(
        TRUTH["shop"] * len(views) / (~views["new"]).sum(), rel=0.06)


def test_covariates_multiply_conversion(large):
    _, _, views, _ = large
    views = views.dropna(subset=["age"])
    cells = views.assign(gender=views["gender"].fillna("missing")).groupby(
        ["uid", "device", "country", "gender", "age"], as_index=False
    )["purchase"].agg(["sum", "size"])
    base = customers.COUNTRIES["USA"][1]
    design = pd.DataFrame({
        "const": 1.0,
        "iOS": (cells["device"] == "iOS") * 1.0,
        "age": (cells["age"].astype(float) - 35) / 10,
        "male": (cells["gender"] == "M") * 1.0,
    })
    for code in list(customers.COUNTRIES)[1:]:
        design[code] = (cells["country"] == code) * 1.0
    fit = sm.GLM(
        cells["sum"], design, offset=np.log(cells["size"]), family=sm.families.Poisson()
    ).fit(cov_type="HC1")  # a row is a user, so robust errors allow for users' own propensity
    truth = {"iOS": TRUTH["conversion"]["device"]["iOS"], "male": 1.0,
             "age": TRUTH["conversion"]["ten_years_of_age"]}
    truth |= {code: customers.COUNTRIES[code][1] / base for code in design.columns[4:]}
    z = (fit.params[list(truth)] - np.log(pd.Series(truth))) / fit.bse[list(truth)]
    assert z.abs().max() < 4.5, z
    assert fit.pvalues["iOS"] < 1e-6 and fit.pvalues["male"] > 1e-3
    # Devices differ by more than that where countries are left out.
    raw = views.groupby("device")["purchase"].mean()
    assert raw["iOS"] / raw["and"] > truth["iOS"] * 1.1


def test_retention_is_the_mixture_of_lifetimes(large):
    tables, _, views, _ = large
    age = (views["date"].dt.normalize() - views["reg_date"]).dt.days
    registered = tables["users"]["reg_date"]
    late = registered > "2023-01-01"  # the waiting list is more loyal
    seen = age[views["reg_date"] > "2023-01-01"].value_counts()
    edges = [(1, 8), (8, 29), (29, 91), (91, 182), (182, 365)]
    found, expected = [], []
    for low, high in edges:
        at_risk = [(registered[late] <= pd.Timestamp("2024-12-31") - pd.Timedelta(days=k)).sum()
                   for k in range(low, high)]
        found.append(seen.reindex(range(low, high)).sum() / sum(at_risk))
        # Both moments are anywhere in their days, so the age is k plus a triangular error.
        expected.append(np.average(
            sum(share * rate * np.exp(-np.arange(low, high) / days)
                * 2 * days**2 * (np.cosh(1 / days) - 1)
                for share, days, rate in TRUTH["lifetimes"].values()), weights=at_risk))
    found, expected = np.array(found), np.array(expected)
    assert found / found[0] == pytest.approx(expected / expected[0], rel=0.1)


def test_assignment_is_at_the_first_view_of_the_window(large):
    tables, _, views, _ = large
    test = tables["paywall_test"]
    assert test["uid"].is_unique and test["assigned_at"].is_monotonic_increasing is False
    inside = views[views["day"].between(
        day_of(TRUTH["test"]["start"]), day_of(TRUTH["test"]["last_day"]))]
    first = inside.groupby("uid")["date"].min()
    assert test.set_index("uid")["assigned_at"].sort_index().equals(
        first.sort_index().rename("assigned_at"))
    assert stats.binomtest((test["group"] == "test").sum(), len(test)).pvalue > 1e-3
    until = np.datetime64(TRUTH["test"]["effect_until"])
    horizon = pd.Timedelta(days=TRUTH["test"]["horizon_days"])
    assert test["assigned_at"].max() + horizon <= until
    assert until < START + DAYS


def test_outcomes_of_the_test_are_the_expected_ones(large):
    tables, truth, views, purchases = large
    test = tables["paywall_test"]
    horizon = pd.Timedelta(days=TRUTH["test"]["horizon_days"])

    def within(rows):
        rows = test.merge(rows, on="uid")
        return rows[(rows["date"] >= rows["assigned_at"])
                    & (rows["date"] < rows["assigned_at"] + horizon)]

    paid = within(views.loc[views["purchase"] == 1, ["uid", "date"]])
    sales = within(purchases)
    outcome = test.assign(
        converted=test["uid"].isin(sales["uid"]),
        converted_at_paywall=test["uid"].isin(paid["uid"]),
        revenue=test["uid"].map(sales.groupby("uid")["price"].sum()).fillna(0).astype(float),
    ).groupby("group")
    assert truth["assigned"]["users"] == len(test)
    for metric, expected in TRUTH["test"]["per_user"].items():
        for group, value in expected.items():
            got = outcome[metric].get_group(group).astype(float)
            error = got.std() / np.sqrt(len(got))
            made = truth["assigned"][metric][group]
            assert abs(got.mean() - made) < 4 * error
            # What these users were expected to do differs from what anybody is by sampling alone.
            assert abs(made - value) < 4 * error


def test_a_few_users_bring_most_of_the_revenue(shipped):
    spent = clean(shipped, "purchases").groupby("uid")["price"].sum().sort_values()[::-1].cumsum()
    top = spent.iloc[customers.USERS // 100] / spent.iloc[-1]
    assert 0.3 < top < 0.6
    assert 0.1 < len(spent) / customers.USERS < 0.3


def test_missing_values_come_at_their_rates(shipped):
    users = shipped["users"]
    n = len(users)
    for column, share in (("age", TRUTH["age"]["missing"]), ("gender", TRUTH["gender"][None])):
        assert stats.binomtest(int(users[column].isna().sum()), n, share).pvalue > 1e-3


def test_the_shipped_files_are_what_the_generator_writes(tmp_path):
    written = simulate.write("customers", tmp_path)
    assert [path.stem for path in written] == TABLES
    for path in written:
        assert path.read_bytes() == (SHIPPED / "customers" / path.name).read_bytes()
    assert sum(path.stat().st_size for path in written) < 6_000_000


def digest(seed, scale):
    lines = [frame.to_csv(index=False) for part in customers.parts(seed, scale)
             for frame in part.values()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def test_seed_and_scale_fix_the_bytes():
    assert digest(1, 0.05) == digest(1, 0.05)
    assert digest(1, 0.05) != digest(2, 0.05)
    assert digest(1, 0.05) != digest(1, 0.06)


@pytest.mark.parametrize("scale", [0.01, 0.3, 2.5])
def test_scale_multiplies_everything(scale):
    parts = list(customers.parts(seed=5, scale=scale))
    assert len(parts) == np.ceil(scale)
    tables = {name: pd.concat([part[name] for part in parts if name in part]) for name in TABLES}
    users = tables["users"]
    assert users["uid"].is_unique
    assert len(users) == pytest.approx(scale * customers.USERS, abs=len(parts))
    expected = scale * TRUTH["views"]["views_a_day"] * customers.day_factors(TRUTH["views"]).sum()
    views = clean(tables, "paywall_views")
    assert len(views) == pytest.approx(expected, abs=5 * np.sqrt(expected))
    assert max(len(part["paywall_views"]) for part in parts) < 140_000
    unknown = [set(rows["uid"]) - set(users["uid"]) for rows in
               (tables["purchases"], tables["paywall_views"])]
    count = [sum(round(kinds["unknown"] * len(part["users"]) / customers.USERS) for part in parts)
             for kinds in TRUTH["dirt"].values()]
    assert [len(uids) for uids in unknown] == count
    assert not unknown[0] & unknown[1]
