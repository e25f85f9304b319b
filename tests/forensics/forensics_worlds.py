"""Tables of subscribers whose origin is known, to measure how often the verdict is right.

`recorded` imitates how such tables come about, with everything that a simple generator forgets:
skewed and bounded numbers, ties, people who round, people who come in seasons and leave at a rate
that falls. It is a program, too; what is measured with it is whether tables that *look* recorded
are left alone. The other functions make tables as simple generators do, and one that is not simple.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from analysis.simulate import netflix

COLUMNS = (
    "customer_id", "subscription_months", "satisfaction_score", "daily_watch_hours",
    "engagement_rate", "device", "genre", "region", "payment_history", "plan", "churned",
    "support_queries", "age", "monthly_income", "promo_used", "profiles",
)


def _choice(rng, weights: np.ndarray) -> np.ndarray:
    """One place a row, with the row's weights."""
    share = weights / weights.sum(axis=1, keepdims=True)
    return (rng.random(len(share))[:, None] > share.cumsum(axis=1)).sum(axis=1).clip(
        0, share.shape[1] - 1)


def recorded(seed: int, n: int, *, rounds: bool | None = None) -> pd.DataFrame:
    """A table with the marks of a recorded one, of a service whose parameters the seed draws.

    Args:
        seed: Of the service and its subscribers.
        n: Subscribers.
        rounds: Whether ages and incomes are stated by people, who round; drawn if it is None.
    """
    rng = np.random.default_rng([1, seed, n])
    rounds = bool(rng.random() < 0.6) if rounds is None else rounds
    strength = rng.uniform(0.3, 1.2)  # of all ties
    # Who they are: a young and a settled group, in regions of unlike size and wealth.
    young = rng.random(n) < rng.uniform(0.3, 0.6)
    age = np.where(young, rng.gamma(6, 1.9, n) + 16, rng.normal(46, 11, n)).clip(16, 92)
    size = np.sort(rng.dirichlet(np.full(6, 2.5)))[::-1]
    region = rng.choice(6, n, p=size)
    wealth = rng.normal(0, 0.45, 6)[region] * strength
    log_income = (
        8.1 + wealth + strength * (0.022 * (age - 40) - 0.0009 * (age - 45) ** 2)
        + rng.normal(0, 0.5, n))
    household = 1 + rng.poisson(np.where((age > 28) & (age < 58), 1.9, 0.8))
    # What they use.
    rich = (log_income - log_income.mean()) / log_income.std()
    cost = strength * (0.7 * rich + 0.5 * (household > 2))
    plan = np.digitize(cost + rng.logistic(0, 1, n), rng.uniform((-0.2, 1.0), (0.4, 1.8)))
    profiles = np.minimum(1 + rng.binomial(household, 0.7), np.array([2, 3, 5])[plan])
    young_taste = strength * (40 - age) / 14
    device = _choice(rng, np.exp(np.column_stack(
        [0.6 - 0.4 * young_taste, 0.5 * young_taste, 0.2 + 0.2 * rich, 0.9 * young_taste])))
    genre = _choice(rng, np.exp(np.column_stack(
        [0.9 + 0 * age, 0.5 * young_taste, 0.3 * young_taste + 0.3, -0.4 * young_taste, -0.2 - 0.3
         * young_taste])))
    keen = rng.normal(0.25 * young_taste + 0.2 * np.log(household), 1, n)
    idle = rng.random(n) < stats.norm.cdf(-1.7 - 0.6 * keen)
    hours = np.where(idle, 0, np.exp(0.35 + 0.55 * strength * keen + rng.normal(0, 0.45, n)))
    engagement = np.clip(np.round(5.8 + 1.6 * strength * keen + rng.normal(0, 1.2, n)), 1, 10)
    trouble = rng.gamma(0.6, 1 / 0.6, n)  # unlike from one to the next
    queries = rng.poisson(0.9 * trouble * (1 + 0.01 * (age - 40).clip(0)))
    satisfied = 8.4 + strength * (0.7 * keen - 0.55 * trouble) + rng.normal(0, 1.3, n)
    satisfaction = np.clip(np.round(satisfied), 1, 10)
    # When they came, and whether and when they left: each month less likely than the last.
    history = int(rng.integers(30, 90))
    month = np.arange(history)
    entries = np.exp(rng.uniform(0, 0.03) * month + 0.25 * np.cos(2 * np.pi * month / 12)
                     + rng.normal(0, 0.15, history))
    entries[rng.random(history) < 0.04] *= 0.2  # outages, pauses in advertising
    came = rng.choice(history, n, p=entries / entries.sum())
    elapsed = history - came
    late = rng.random(n) < stats.norm.cdf(-1.2 - 0.5 * strength * rich)
    offer = rng.random(n) < stats.norm.cdf(-0.1 + 0.3 * strength * young_taste - 0.3 * rich)
    leaving = (rng.uniform(-4.6, -3.6) - strength * (0.45 * keen + 0.35 * (satisfied - 8)
               - 0.9 * late + 0.4 * offer) + rng.normal(0, 0.8, n))
    stayed = np.zeros(n, dtype=int)
    here = np.ones(n, dtype=bool)
    for age_of in range(1, history + 1):
        watched = here & (elapsed >= age_of)
        stayed[watched] = age_of
        hazard = 1 / (1 + np.exp(-(leaving - 0.25 * np.log(age_of))))
        here &= ~(watched & (rng.random(n) < hazard))
    # Numbers as the register gave them out, with the gaps of those who never paid.
    number = 1000 + np.cumsum(rng.geometric(rng.uniform(0.2, 0.9), n))
    order = np.argsort(came + rng.random(n))
    ids = np.empty(n, dtype="int64")
    ids[order] = number
    income = np.exp(log_income)
    stated_age = np.floor(age)
    if rounds:
        to_five = rng.random(n) < rng.uniform(0.1, 0.35)
        stated_age = np.where(to_five, 5 * np.round(age / 5), stated_age)
        step = rng.choice([10, 100, 500, 1000], n, p=[0.3, 0.35, 0.2, 0.15])
        income = np.maximum(step * np.round(income / step), 10)
    frame = pd.DataFrame({
        "customer_id": ids if rng.random() < 0.7 else rng.permutation(ids),
        "subscription_months": stayed,
        "satisfaction_score": satisfaction.astype(int),
        "daily_watch_hours": np.round(hours.clip(0, 20), 2),
        "engagement_rate": engagement.astype(int),
        "device": np.array(["Smart TV", "Laptop", "Tablet", "Mobile"])[device],
        "genre": np.array(["Comedy", "Action", "Sci-Fi", "Drama", "Romance"])[genre],
        "region": np.array(["North America", "Europe", "Asia", "South America", "Africa",
                            "Oceania"])[region],
        "payment_history": np.where(late, "Delayed", "On-Time"),
        "plan": np.array(["Basic", "Standard", "Premium"])[plan],
        "churned": (~here).astype(int),
        "support_queries": queries,
        "age": stated_age.astype(int),
        "monthly_income": np.round(income, 0),
        "promo_used": offer.astype(int),
        "profiles": profiles,
    })
    return _typed(frame.sort_values("customer_id", ignore_index=True))


def shipped(seed: int, n: int) -> pd.DataFrame:
    """The generator of the shipped table."""
    frame = netflix.generate(seed, n / netflix.SUBSCRIBERS)[0]["subscribers"]
    for flag in ("churned", "promo_used"):
        frame[flag] = (frame[flag] == "Yes").astype(int)
    return _typed(frame)


def uniform(seed: int, n: int) -> pd.DataFrame:
    """Every column by itself, every value between two ends equally likely."""
    rng = np.random.default_rng([2, seed, n])
    return _typed(pd.DataFrame({
        "customer_id": np.arange(n) + 1,
        "subscription_months": rng.integers(1, 37, n),
        "satisfaction_score": rng.integers(1, 11, n),
        "daily_watch_hours": np.round(rng.uniform(0, 8, n), 1),
        "engagement_rate": rng.integers(1, 11, n),
        "churned": (rng.random(n) < 0.25).astype(int),
        "support_queries": rng.integers(0, 8, n),
        "age": rng.integers(18, 66, n),
        "monthly_income": rng.integers(1_500, 12_000, n),
        "profiles": rng.integers(1, 7, n),
        **_categories(rng, n),
    }))


def bells(seed: int, n: int) -> pd.DataFrame:
    """Every column by itself, numbers from normal, log-normal and Poisson distributions."""
    rng = np.random.default_rng([3, seed, n])

    def score(mean):
        return np.clip(np.round(rng.normal(mean, 1.6, n)), 1, 10).astype(int)

    return _typed(pd.DataFrame({
        "customer_id": np.arange(n) + 1,
        "subscription_months": np.clip(np.round(rng.normal(24, 9, n)), 1, 60).astype(int),
        "satisfaction_score": score(7),
        "daily_watch_hours": np.round(np.clip(rng.normal(3, 1, n), 0, 12), 2),
        "engagement_rate": score(6),
        "churned": (rng.random(n) < 0.2).astype(int),
        "support_queries": rng.poisson(2, n),
        "age": np.clip(np.round(rng.normal(40, 12, n)), 18, 90).astype(int),
        "monthly_income": np.round(rng.lognormal(8.3, 0.4, n), 0),
        "profiles": 1 + rng.binomial(4, 0.4, n),
        **_categories(rng, n),
    }))


def _categories(rng, n: int) -> dict[str, np.ndarray]:
    return {
        "device": rng.choice(["Smart TV", "Laptop", "Tablet", "Mobile"], n),
        "genre": rng.choice(["Comedy", "Action", "Sci-Fi", "Drama", "Romance"], n),
        "region": rng.choice(["Europe", "Asia", "Africa", "Americas"], n),
        "payment_history": rng.choice(["On-Time", "Delayed"], n, p=[0.8, 0.2]),
        "plan": rng.choice(["Basic", "Standard", "Premium"], n, p=[0.5, 0.3, 0.2]),
        "promo_used": (rng.random(n) < 0.5).astype(int),
    }


def shuffled(seed: int, n: int) -> pd.DataFrame:
    """The columns of `recorded`, each as it is, but dealt to the subscribers at random."""
    rng = np.random.default_rng([4, seed, n])
    frame = recorded(seed, n)
    for column in frame.columns:
        frame[column] = rng.permutation(frame[column].to_numpy())
    return frame


def copied(seed: int, n: int) -> pd.DataFrame:
    """A careful imitation of `recorded`: its columns, tied to each other as they are there.

    A Gaussian copula: normal scores of every column, their correlations, new normal numbers with
    these, and back to the values of the column. Nothing that is not simple is left out but the
    course of time and the order of the identifiers.
    """
    rng = np.random.default_rng([5, seed, n])
    frame = recorded(seed, n)
    columns = [column for column in COLUMNS if column != "customer_id"]
    codes = pd.DataFrame({c: pd.Categorical(frame[c]).codes for c in columns})
    # Ties of ranks are broken at random, so that the scores are normal.
    ranks = (codes + rng.random(codes.shape)).rank(method="first")
    correlation = np.corrcoef(stats.norm.ppf((ranks - 0.5) / n).T)
    drawn = rng.multivariate_normal(np.zeros(len(columns)), correlation, n)
    new = {"customer_id": np.arange(n) + 1}
    for place, column in enumerate(columns):
        values = frame[column].to_numpy()[np.argsort(codes[column], kind="stable")]
        new[column] = values[stats.rankdata(drawn[:, place], method="ordinal") - 1]
    return _typed(pd.DataFrame(new))


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    """As any source gives the table to the study."""
    frame = frame.assign(customer_id=frame["customer_id"].astype(str))
    for column in ("satisfaction_score", "daily_watch_hours", "engagement_rate", "monthly_income"):
        frame[column] = frame[column].astype(float)
    for column in ("subscription_months", "churned", "support_queries", "age", "promo_used",
                   "profiles"):
        frame[column] = frame[column].astype("int64")
    return frame[list(COLUMNS)]


# By name: whether the table is to be told as made, and what makes it.
WORLDS = {
    "recorded": recorded, "shipped": shipped, "uniform": uniform, "bells": bells,
    "shuffled": shuffled, "copied": copied,
}
