"""Synthetic users of an app with in-app purchases: registrations, purchases, paywall views, a test.

No row is a real person. The app opened on `START`; the tables end with day `DAYS`. Everything that
an analysis should recover is in `TRUTH`.

**Registrations.** A share of the users, `launch_share()` (6%), were on a waiting list and
registered on the first day; they are more loyal than later users. The others come at a rate with
the same trend as activity and weekly and yearly factors of its own (`TRUTH["registrations"]`).

**Lifetimes.** A user is a visitor, a regular or a loyal user; the time until the last visit is
exponential with the mean of the type, `TRUTH["lifetimes"]`. So retention is a mixture of
exponentials: it falls fast, then ever more slowly. The waiting list holds as many of each type as
an app that had always grown like this would have kept, so the app's activity is level from the
first day and no ramp-up hides the trend.

**Paywall views.** The expected number on day t (0 is `START`) is exactly

    views_a_day x exp(trend t / 365.25) x weekly x exp(amplitude cos(2 pi (t - peak) / 365.25))

(`TRUTH["views"]`; `trend` is a year's growth of the log, so the factor of a year is exp(trend)). It
is shared among the users who are alive in proportion to their activity: the type's visits a day
times a gamma factor of mean 1, `TRUTH["activity_shape"]`. Within the day, visits follow `HOURS`.

**Conversion.** A view ends in a purchase with probability

    average x (device x country x age x propensity, over its mean that day) x release x test

Everything is multiplicative, so ratios of purchases per view are the true factors whatever else
varies: `TRUTH["conversion"]` has the factors of a device and of ten years of age (also of those
whose age is not recorded, which is left to chance), `COUNTRIES` has the countries'. Gender has no
effect. Propensity is a user's own, a scaled beta of mean 1. Because the four are taken relative to
all who are alive that day, weighted by activity, `"average"` is exactly the expected conversion of
the day's views. From `TRUTH["release"]["date"]` on it is multiplied by the release's factor; the
number of views does not change. Countries differ in the share of iOS, so the raw gap between
devices is not the device's factor.

**Purchases.** Users also meet the shop without a paywall, `TRUTH["shop"]` times as often as with
one; such a visit is not recorded unless it ends in a purchase, with the same probability (but not
the test's factor). So expected purchases a day follow the formula of the views, times average x
(1 + shop) and the release's factor; and while the test runs, times 1 + (factor - 1) / (1 + shop) x
(share of the day's views that show the new paywall), which comes to 15% at most. What is bought
depends on `TRUTH["skus"]` (price in cents, weight) and the user's taste for larger items: weights
are multiplied by exp(taste x rank), taste normal with mean 0 and sd `TRUTH["taste_sd"]`. Activity,
lifetime, propensity and taste together make a few users bring in most of the revenue. Passes do not
renew by themselves.

**The paywall test.** Whoever sees a paywall between `TRUTH["test"]["start"]` and `"last_day"` is
assigned at that view, control or test with equal chance. Until `"effect_until"` (`"horizon_days"`
after the last assignment, so every horizon is whole) a view by a user of the test group converts
`"factor"` times as often; the shop, the number of views and the prices stay as they are. What that
means for a user within the horizon depends on how often users come; `"per_user"` holds the
expected outcomes of both groups, from six million simulated users of whom a million were assigned:
the share who buy at least once (anywhere, and at a paywall) and the revenue a user in cents. So the
lift of the primary metric, bought at a paywall, is 4.4 percentage points or 29%. `generate` adds
the same of the very users that it made.

**Rows to clean**, `TRUTH["dirt"]`, numbers at scale 1: purchases and views sent twice (exact
duplicates to the second), of uids that are not in `users` (accounts of the app's testers, "qa..."),
and dated one to twenty days before the user's registration. No view among the latter two ended in a
purchase. No other rows repeat user and second.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import betaincinv, gammaincinv, ndtri

SEED = 2037  # a draw in which estimates come out near the truth
START = np.datetime64("2023-01-01")  # a Sunday
DAYS = 731  # to 2024-12-31
YEAR = 365.25
SECONDS = 86_400
USERS = 15_000

TRUTH = {
    "views": {
        "views_a_day": 130.0,  # at scale 1, on a day with factors of 1 at the start
        "trend": 0.25,
        "weekly": {"Mon": -0.10, "Tue": -0.12, "Wed": -0.08, "Thu": -0.04, "Fri": 0.06,
                   "Sat": 0.16, "Sun": 0.12},  # logs of the factors, which add up to 0
        "amplitude": 0.20,
        "peak": 349,  # mid-December
    },
    "registrations": {
        "trend": 0.25,
        "weekly": {"Mon": 0.04, "Tue": 0.00, "Wed": -0.02, "Thu": -0.06, "Fri": -0.08, "Sat": 0.02,
                   "Sun": 0.10},
        "amplitude": 0.15,
        "peak": 10,
    },
    # Share of new users, mean days until the last visit, relative visits a day.
    "lifetimes": {"visitor": (0.50, 1, 3.0), "regular": (0.33, 30, 0.40),
                  "loyal": (0.17, 365, 0.16)},
    "activity_shape": 1.5,
    "conversion": {
        "average": 0.035,
        "device": {"and": 1.0, "iOS": 1.4},
        "ten_years_of_age": 1.08,
        "propensity": (0.35, 1.925),  # beta, divided by its mean
    },
    "release": {"date": "2024-03-11", "name": "Version 4.0", "factor": 1.30},
    "shop": 0.5,
    "skus": {"coins_100": (99, 0.34), "pass_week": (299, 0.22), "coins_600": (499, 0.20),
             "pass_month": (999, 0.15), "coins_2500": (1999, 0.06), "pass_year": (4999, 0.03)},
    "taste_sd": 0.6,
    "test": {
        "start": "2024-08-26",
        "last_day": "2024-11-17",
        "effect_until": "2024-12-16",  # the first day without
        "horizon_days": 28,
        "share": 0.5,  # of the users assigned, in the group test
        "factor": 1.45,
        # Standard errors of the expectations: 0.0002, 0.0002 and 0.9.
        "per_user": {
            "converted": {"control": 0.1853, "test": 0.2226},
            "converted_at_paywall": {"control": 0.1506, "test": 0.1947},
            "revenue": {"control": 271.6, "test": 359.1},
        },
    },
    "gender": {"F": 0.46, "M": 0.43, "other": 0.03, None: 0.08},
    "age": {"least": 16, "most": 80, "gamma": (2.2, 8.0), "missing": 0.12},
    "dirt": {
        "purchases": {"duplicates": 45, "unknown": 30, "before_registration": 25},
        "paywall_views": {"duplicates": 600, "unknown": 350, "before_registration": 300},
    },
}

# Country: share of users in per mille, factor of conversion, share of iOS.
COUNTRIES = {
    "USA": (215, 1.35, 0.58), "BRA": (88, 0.70, 0.18), "DEU": (72, 1.10, 0.36),
    "FRA": (62, 1.00, 0.36), "CAN": (56, 1.20, 0.56), "MEX": (55, 0.75, 0.26),
    "GBR": (54, 1.20, 0.52), "TUR": (50, 0.80, 0.20), "IND": (48, 0.50, 0.06),
    "ITA": (40, 0.90, 0.30), "ESP": (36, 0.90, 0.24), "JPN": (32, 1.30, 0.66),
    "POL": (28, 0.80, 0.14), "AUS": (26, 1.25, 0.57), "NLD": (20, 1.10, 0.42),
    "ARG": (17, 0.60, 0.12), "COL": (15, 0.65, 0.16), "IDN": (15, 0.50, 0.10),
    "PHL": (13, 0.50, 0.12), "KOR": (12, 1.15, 0.30), "SWE": (10, 1.15, 0.56),
    "CHE": (9, 1.30, 0.56), "ZAF": (8, 0.70, 0.18), "PRT": (7, 0.85, 0.26),
    "CHL": (6, 0.75, 0.24), "NZL": (6, 1.20, 0.50),
}

# Relative frequency of visits in each hour of the day.
HOURS = (20, 12, 8, 6, 5, 7, 14, 24, 32, 36, 38, 42, 50, 48, 44, 42, 44, 50, 58, 68, 76, 74, 58, 36)


def day_factors(truth: dict) -> np.ndarray:
    """Expected value on each day, relative to a day with factors of 1 at the start; shape (DAYS,).

    Args:
        truth: an entry of `TRUTH` with `trend`, `weekly`, `amplitude` and `peak`.
    """
    t = np.arange(DAYS)
    weekly = np.array(list(truth["weekly"].values()))[(t + 6) % 7]
    yearly = truth["amplitude"] * np.cos(2 * np.pi * (t - truth["peak"]) / YEAR)
    return np.exp(truth["trend"] * t / YEAR + weekly + yearly)


def day_of(date: str) -> int:
    """Days from `START` to an ISO date."""
    return int((np.datetime64(date) - START).astype(int))


def launch_share() -> float:
    """Share of all users who were on the waiting list."""
    growth = TRUTH["registrations"]["trend"] / YEAR
    return _stock().sum() / (_stock().sum() + math.expm1(growth * DAYS) / growth)


def _stock() -> np.ndarray:
    """Users of each type alive in an app that always grew, as days' worth of registrations."""
    growth = TRUTH["registrations"]["trend"] / YEAR
    return np.array([share / (1 / days + growth) for share, days, _ in TRUTH["lifetimes"].values()])


def _choose(shares, u: np.ndarray) -> np.ndarray:
    """Positions drawn in proportion to `shares`, from uniform numbers."""
    edges = np.cumsum(np.array(list(shares), dtype=float))
    return np.searchsorted(edges[:-1], u * edges[-1], side="right")


def _sku_probabilities(taste: np.ndarray) -> np.ndarray:
    """Probability of each sku for users of a taste, shape (users, skus)."""
    weights = np.array([weight for _, weight in TRUTH["skus"].values()])
    tilted = weights * np.exp(np.outer(taste, np.arange(len(weights))))
    return tilted / tilted.sum(axis=1, keepdims=True)


def _times(day: np.ndarray) -> np.ndarray:
    """Whole seconds since `START` of moments given as days, with fractions spread over `HOURS`."""
    edges = np.concatenate([[0], np.cumsum(HOURS)]) / sum(HOURS)
    whole = np.floor(day)
    hour = np.interp(day - whole, edges, np.arange(25))
    second = np.minimum((hour * 3600).astype(np.int64), SECONDS - 1)
    return whole.astype(np.int64) * SECONDS + second


def _timestamps(seconds: np.ndarray) -> np.ndarray:
    return START.astype("datetime64[s]") + seconds.astype("timedelta64[s]")


def _registrations(n: int, rng) -> tuple[np.ndarray, np.ndarray]:
    """When users register (days, ascending) and their types."""
    launched = round(n * launch_share())
    cumulative = np.concatenate([[0], np.cumsum(day_factors(TRUTH["registrations"]))])
    later = np.interp(rng.random(n - launched) * cumulative[-1], cumulative, np.arange(DAYS + 1))
    start = np.concatenate([rng.random(launched), later])
    shares = [share for share, *_ in TRUTH["lifetimes"].values()]
    kind = np.concatenate([
        _choose(_stock(), rng.random(launched)), _choose(shares, rng.random(n - launched))
    ])
    order = np.argsort(start, kind="stable")
    return start[order], kind[order]


def _visits(start, kind, factor, rng) -> tuple[np.ndarray, ...]:
    """Every visit to a paywall or to the shop, by user and time.

    Args:
        start: when users register, in days.
        kind: their types.
        factor: what they multiply conversion with.
        rng: source of randomness.

    Returns:
        The visitor's position, the second since `START`, whether a paywall was shown, and the
        user's factor relative to the day's mean.
    """
    days, rate = (
        np.array([of[i] for of in TRUTH["lifetimes"].values()])[kind] for i in (1, 2)
    )
    end = np.minimum(start - days * np.log1p(-rng.random(len(start))), DAYS)
    shape = TRUTH["activity_shape"]
    rate = rate * gammaincinv(shape, rng.random(len(start))) / shape

    expected = (
        TRUTH["views"]["views_a_day"] * len(start) / USERS * (1 + TRUTH["shop"])
        * day_factors(TRUTH["views"])
    )
    alive = _alive(start, end, rate)
    hazard = np.divide(expected, alive, out=np.zeros(DAYS), where=alive > 0)
    mean_factor = np.divide(
        _alive(start, end, rate * factor), alive, out=np.ones(DAYS), where=alive > 0
    )
    operational = np.concatenate([[0], np.cumsum(hazard)])  # the clock on which visits are even

    low, high = (np.interp(moment, np.arange(DAYS + 1), operational) for moment in (start, end))
    count = stats.poisson.ppf(rng.random(len(start)), rate * (high - low)).astype(int)
    user = np.repeat(np.arange(len(start)), count)
    clock = low[user] + (high - low)[user] * rng.random(len(user))
    moment = np.interp(clock, operational, np.arange(DAYS + 1))
    second = _times(np.clip(moment, start[user], np.nextafter(DAYS, 0)))
    paywall = rng.random(len(user)) < 1 / (1 + TRUTH["shop"])
    # One visit a user and second, so that a repeated row is always a duplicate.
    _, first = np.unique(user * (DAYS * SECONDS) + second, return_index=True)
    user, second, paywall = user[first], second[first], paywall[first]
    return user, second, paywall, factor[user] / mean_factor[second // SECONDS]


def _alive(start, end, weight) -> np.ndarray:
    """Weights of the users alive, summed and averaged over each day; shape (DAYS,)."""
    total = np.zeros(DAYS + 2)
    for moment, sign in ((start, 1), (end, -1)):
        day = moment.astype(int)
        total += sign * np.bincount(day, weight * (day + 1 - moment), DAYS + 2)
        total += sign * np.bincount(day + 1, weight * (moment - day), DAYS + 2)
    total = np.cumsum(total)[:DAYS]
    # Where nobody is alive, which happens in tiny samples, rounding leaves a little.
    return np.where(total > 1e-9, total, 0)


def _people(n: int, rng) -> dict[str, np.ndarray]:
    """Covariates of users; `factor` is what they do to conversion, `age` before some go missing."""
    shares, factor, ios = np.array(list(COUNTRIES.values())).T
    country = _choose(shares, rng.random(n))
    iphone = rng.random(n) < ios[country]
    gender = _choose(TRUTH["gender"].values(), rng.random(n))
    ages = TRUTH["age"]
    shape, width = ages["gamma"]
    age = ages["least"] + np.floor(width * gammaincinv(shape, rng.random(n))).astype(int)
    age = np.minimum(age, ages["most"])
    conversion = TRUTH["conversion"]
    a, b = conversion["propensity"]
    propensity = betaincinv(a, b, rng.random(n)) * (a + b) / a
    return {
        "country": np.array(list(COUNTRIES), dtype=object)[country],
        "device": np.where(iphone, "iOS", "and").astype(object),
        "gender": np.array(list(TRUTH["gender"]), dtype=object)[gender],
        "age": age,
        "age_missing": rng.random(n) < ages["missing"],
        "factor": (
            factor[country]
            * np.array(list(conversion["device"].values()))[iphone.astype(int)]
            * conversion["ten_years_of_age"] ** ((age - 35) / 10)
            * propensity
        ),
        # Normal scores of uniform numbers: NumPy's stream of `random` is stabler than `normal`'s.
        "taste": TRUTH["taste_sd"] * ndtri(np.maximum(rng.random(n), 1e-12)),
    }


def _expected_outcomes(chance, user, paywall, factor, price) -> np.ndarray:
    """Sums over assigned users of what to expect within the horizon with one paywall.

    Args:
        chance: probability that a visit ends in a purchase with the old paywall.
        user: the visitor's position among the assigned.
        paywall: whether a paywall was shown.
        factor: the factor of the paywall.
        price: expected cents of a purchase, by user.

    Returns:
        Users who buy, users who buy at a paywall, and revenue in cents.
    """
    chance = np.where(paywall, chance * factor, chance)
    none = np.log1p(-chance)
    n = len(price)
    return np.array([
        n - np.exp(np.bincount(user, none, n)).sum(),
        n - np.exp(np.bincount(user, none * paywall, n)).sum(),
        (chance * price[user]).sum(),
    ])


def _with_dirt(
    clean: pd.DataFrame, users: pd.DataFrame, items, counts: dict, first_qa: int, rng
) -> pd.DataFrame:
    """The clean rows of a table and those to clean, ordered by time.

    Args:
        clean: the rows of the table.
        users: the users.
        items: gives the columns beside `uid` and `date` of a number of made-up rows.
        counts: how many rows of each kind, an entry of `TRUTH["dirt"]`.
        first_qa: number of the first unknown uid.
        rng: source of randomness.
    """
    n = counts["unknown"]
    unknown = pd.DataFrame({
        "uid": [f"qa{first_qa + i:06d}" for i in range(n)],
        "date": _timestamps(_times(DAYS * rng.random(n))),
    })
    registered = ((users["reg_date"].to_numpy() - START) / np.timedelta64(1, "D")).astype(int)
    late = _draw(np.flatnonzero(registered >= 20), counts["before_registration"], rng)
    before = pd.DataFrame({
        "uid": users["uid"].to_numpy()[late],
        "date": _timestamps(_times(registered[late] - 20 * (1 - rng.random(len(late))))),
    })
    made_up = pd.concat([unknown, before], ignore_index=True)
    made_up = made_up.assign(**items(len(made_up)))
    twice = clean.iloc[_draw(np.arange(len(clean)), counts["duplicates"], rng)]
    # A stable sort leaves duplicates, which are last here, behind the rows that they repeat.
    rows = pd.concat([clean, made_up, twice], ignore_index=True)
    return rows.iloc[np.argsort(rows["date"].to_numpy(), kind="stable")].reset_index(drop=True)


def _draw(values: np.ndarray, n: int, rng) -> np.ndarray:
    """`n` of the values, without repetition."""
    return values[np.argsort(rng.random(len(values)), kind="stable")[:n]]


def _whole(values: np.ndarray, missing: np.ndarray) -> pd.arrays.IntegerArray:
    return pd.arrays.IntegerArray(values.astype(np.int64), missing)


def _part(n: int, next_id: int, next_qa: int, rng) -> tuple[dict[str, pd.DataFrame], np.ndarray]:
    """Tables of `n` users, and sums over the assigned users of what was to be expected."""
    start, kind = _registrations(n, rng)
    people = _people(n, rng)
    user, second, paywall, factor = _visits(start, kind, people["factor"], rng)
    uid = np.array([f"u{next_id + i:07d}" for i in range(n)], dtype=object)
    users = pd.DataFrame({
        "uid": uid,
        "reg_date": (START + np.floor(start).astype(int)).astype("datetime64[s]"),
        "device": people["device"],
        "gender": people["gender"],
        "country": people["country"],
        "age": _whole(people["age"], people["age_missing"]),
    })

    # The test: whoever sees a paywall in its weeks is assigned at the first one.
    test, day = TRUTH["test"], second // SECONDS
    running = paywall & (day >= day_of(test["start"])) & (day <= day_of(test["last_day"]))
    assigned, first = np.unique(user[running], return_index=True)
    assigned_at = np.full(n, DAYS * SECONDS)
    assigned_at[assigned] = second[running][first]
    treated = np.zeros(n, dtype=bool)
    treated[assigned] = rng.random(len(assigned)) < test["share"]
    paywall_test = pd.DataFrame({
        "uid": uid[assigned],
        "group": np.where(treated[assigned], "test", "control").astype(object),
        "assigned_at": _timestamps(assigned_at[assigned]),
    })
    paywall_test = paywall_test.iloc[np.argsort(assigned_at[assigned], kind="stable")]

    release = TRUTH["release"]
    chance = TRUTH["conversion"]["average"] * factor
    chance = chance * np.where(day >= day_of(release["date"]), release["factor"], 1.0)
    # No chance comes near 1 at the shipped size; a tiny sample's few users could.
    chance = np.minimum(chance, 0.99 / test["factor"])
    sees_new = (
        paywall & treated[user] & (second >= assigned_at[user])
        & (day < day_of(test["effect_until"]))
    )
    bought = rng.random(len(user)) < chance * np.where(sees_new, test["factor"], 1.0)

    skus = np.array(list(TRUTH["skus"]), dtype=object)
    cents, weights = np.array(list(TRUTH["skus"].values())).T
    buyer = user[bought]
    edges = np.cumsum(_sku_probabilities(people["taste"][buyer]), axis=1)[:, :-1]
    item = np.zeros(len(user), dtype=int)
    item[bought] = (rng.random(len(buyer))[:, None] >= edges).sum(axis=1)
    visits = pd.DataFrame({
        "uid": uid[user],
        "date": _timestamps(second),
        "purchase": bought.astype(int),
        "sku": np.where(bought, skus[item], None),
        "price": _whole(cents[item], ~bought),
    })

    def sold(count):
        item = _choose(weights, rng.random(count))
        return {"sku": skus[item], "price": _whole(cents[item], np.zeros(count, dtype=bool))}

    def not_sold(count):
        price = _whole(np.zeros(count), np.ones(count, dtype=bool))
        return {"purchase": 0, "sku": None, "price": price}

    dirt = {
        table: {kind: round(count * n / USERS) for kind, count in kinds.items()}
        for table, kinds in TRUTH["dirt"].items()
    }
    purchases = _with_dirt(
        visits[bought].drop(columns="purchase"), users, sold, dirt["purchases"], next_qa, rng
    )
    next_qa += dirt["purchases"]["unknown"]
    views = _with_dirt(visits[paywall], users, not_sold, dirt["paywall_views"], next_qa, rng)

    within = (second >= assigned_at[user]) & (
        second < assigned_at[user] + test["horizon_days"] * SECONDS
    )
    position = np.searchsorted(assigned, user[within])
    price = _sku_probabilities(people["taste"][assigned]) @ cents
    outcomes = [
        _expected_outcomes(chance[within], position, paywall[within], factor, price)
        for factor in (1.0, test["factor"])
    ]
    tables = {
        "users": users, "purchases": purchases, "paywall_views": views,
        "paywall_test": paywall_test.reset_index(drop=True),
    }
    return tables, np.array([len(assigned), *np.concatenate(outcomes)])


def _parts(seed: int, scale: float) -> Iterator[tuple[dict[str, pd.DataFrame], np.ndarray]]:
    count = math.ceil(scale)
    n = round(USERS * scale / count)
    qa = math.ceil(sum(kinds["unknown"] for kinds in TRUTH["dirt"].values()) * n / USERS) + 1
    for part in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, part]))
        tables, sums = _part(n, 1 + part * n, 1 + part * qa, rng)
        if part == 0:
            release = TRUTH["release"]
            tables["releases"] = pd.DataFrame({
                "date": np.array([release["date"]], dtype="datetime64[s]"),
                "name": [release["name"]],
            })
            share = TRUTH["test"]["share"]
            tables["planned_split"] = pd.DataFrame({
                "group": ["control", "test"], "share": [1 - share, share],
            })
        yield tables, sums


def parts(seed: int, scale: float) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield the tables in equal parts of at most the shipped size, each ordered by time.

    The list of releases and the planned split are in the first part.
    """
    for tables, _ in _parts(seed, scale):
        yield tables


def generate(seed: int = SEED, scale: float = 1) -> tuple[dict[str, pd.DataFrame], dict]:
    """The tables in memory, and the true parameters that made them.

    Args:
        seed: a whole number >= 0.
        scale: multiplies the number of users (15,000 at 1); at least 0.01.

    Returns:
        The tables by name; and `TRUTH` with the settings, where `"assigned"` has what to expect of
        the users who were assigned here, given their visits: their number, and in each group the
        means of `TRUTH["test"]["per_user"]`.
    """
    made = list(_parts(seed, scale))
    tables = {
        name: pd.concat([part[name] for part, _ in made if name in part], ignore_index=True)
        for name in made[0][0]
    }
    assigned, *sums = sum(sums for _, sums in made)
    names = ("converted", "converted_at_paywall", "revenue")
    means = np.reshape(sums, (2, 3)) / max(assigned, 1)
    expected = {
        name: {"control": float(old), "test": float(new)}
        for name, old, new in zip(names, *means, strict=True)
    }
    return tables, TRUTH | {
        "countries": COUNTRIES, "hours": HOURS, "start": str(START), "days": DAYS,
        "launch_share": launch_share(), "assigned": {"users": int(assigned)} | expected,
    }
