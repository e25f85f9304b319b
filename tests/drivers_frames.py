"""Made-up user profiles, as `kpis.profiles` gives them, for the tests of the app's regressions."""

from __future__ import annotations

import numpy as np
import pandas as pd

AGES = {"18-24": 21, "25-34": 29, "35-44": 39, "not stated": 0}


def users(n=6000, seed=1, device=0.5, country=1.0, gap=0.35, base=-1.6, countries=4):
    """One row a user: iOS is commoner in later countries, where more pay.

    Args:
        n: users.
        seed: of the random numbers.
        device: log odds ratio of iOS.
        country: log odds ratio of the last country against the first.
        gap: difference in the share of iOS between the last and the first country.
        base: log odds of paying of the others.
        countries: how many there are.
    """
    rng = np.random.default_rng(seed)
    place = rng.integers(0, countries, n)
    rank = place / max(countries - 1, 1)
    ios = rng.random(n) < 0.3 + gap * rank
    odds = base + device * ios + country * rank
    paid = rng.random(n) < 1 / (1 + np.exp(-odds))
    return pd.DataFrame({
        "country": np.array([f"C{i:02d}" for i in range(countries)])[place],
        "device": np.where(ios, "iOS", "and"),
        "gender": rng.choice(["F", "M", "not stated"], n, p=[0.45, 0.45, 0.1]),
        "age_band": rng.choice(list(AGES), n),
        "paid": paid.astype(int),
        "revenue": np.where(paid, np.round(np.exp(rng.normal(6 + 0.3 * ios, 1.0, n))), 0),
    })


def profiles(rows: pd.DataFrame) -> pd.DataFrame:
    """The users by combination of covariates."""
    frame = rows.assign(
        users=1, age_total=rows["age_band"].map(AGES), payers=rows["paid"],
        **{name: rows["revenue"] ** power for power, name in
           ((2, "revenue_squares"), (3, "revenue_cubes"), (4, "revenue_fourths"))})
    keys = ["country", "device", "gender", "age_band"]
    return frame.drop(columns="paid").groupby(keys, as_index=False).sum()


def odd() -> dict[str, pd.DataFrame]:
    """Other people's tables: what must neither crash nor be told wrongly, by name."""
    rows = users()
    nobody = rows.iloc[:0]
    return {
        "nobody": profiles(nobody),
        "no payers": profiles(rows.assign(paid=0, revenue=0.0)),
        "everybody pays": profiles(rows.assign(paid=1, revenue=500.0)),
        "free purchases": profiles(rows.assign(revenue=0.0)),
        "one user": profiles(rows.iloc[:1]),
        "a dozen users": profiles(rows.iloc[:12]),
        "one payer": profiles(rows.assign(paid=(rows.index == 7) * 1,
                                          revenue=(rows.index == 7) * 99.0)),
        "one device": profiles(rows.assign(device="iOS")),
        "one country": profiles(rows.assign(country="USA")),
        "ages missing": profiles(rows.assign(age_band="not stated")),
        "one of each": profiles(rows.assign(
            device="and", country="USA", gender="F", age_band="25-34")),
        "device is country": profiles(rows.assign(
            country=np.where(rows["device"] == "iOS", "USA", "IND"))),
        "200 countries": profiles(users(n=8000, countries=200)),
        "a country without payers": profiles(rows.assign(
            paid=rows["paid"].where(rows["country"] != "C00", 0),
            revenue=rows["revenue"].where(rows["country"] != "C00", 0))),
        "equal prices": profiles(rows.assign(revenue=rows["paid"] * 100.0)),
        "few": profiles(users(n=300)),
        "unrelated": profiles(users(n=6000, device=0.0, country=0.0, gap=0.0, seed=5)),
        "markup": profiles(rows.assign(country=rows["country"].map(
            lambda c: f"<b>|*{c}*\n$x$</b>"))),
    }
