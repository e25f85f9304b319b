"""Made-up apps with a paywall test whose truth is known, small enough to make in a moment."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pandas as pd
from test_customers_reductions import tables

from analysis.customers import design, events, lift, paywall

START = datetime(2024, 1, 1)


def app(
    control: float = 0.15, test: float = 0.15, users: tuple[int, int] = (1500, 1500), *,
    before: int = 1500, test_day: int = 80, days: int = 150, seed: int = 1,
    devices: tuple[str, ...] = ("and", "iOS"), price: tuple[int, ...] = (99, 499, 4999),
    ages: bool = True, planned: float | None = 0.5,
) -> dict[str, pd.DataFrame]:
    """Tables of an app.

    Args:
        control, test: shares of a group's users who buy at their first view.
        users: assigned to control and test, in the 30 days from `test_day`.
        before: users of the days before, who buy as the control group does.
        test_day: first day of the test.
        days: until the last registration, which nothing follows.
        seed: of everything random.
        devices, price: what occurs.
        ages: whether ages are recorded.
        planned: the share of the test group by plan; None: the tables name no plan.
    """
    rng = np.random.default_rng(seed)
    groups = np.repeat(["before", "control", "test"], [before, *users])
    n = len(groups)
    if not n:
        groups, n = np.array(["before"]), 1
    day = np.where(groups == "before", rng.integers(0, max(test_day - 29, 1), n),
                   test_day + rng.integers(0, 30, n))
    at = [START + timedelta(int(d), int(s)) for d, s in zip(
        day, rng.integers(0, 86_400, n), strict=True)]
    bought = rng.random(n) < np.select(
        [groups == "test", groups == "control"], [test, control], control)
    uids = np.array([f"u{i}" for i in range(n)])
    cents = rng.choice(price, n)
    views = pd.DataFrame({
        "uid": uids, "date": pd.to_datetime(at).astype("datetime64[us]"), "purchase": bought * 1,
        "sku": np.where(bought, "coins", None),
        "price": pd.array(np.where(bought, cents, -1), dtype="Int64"),
    })
    views.loc[~bought, "price"] = pd.NA
    inside = groups != "before"
    plan = {} if planned is None else {"planned_split": pd.DataFrame({
        "group": ["control", "test"], "share": [1 - planned, planned]})}
    return {
        "users": pd.DataFrame({
            "uid": np.append(uids, "last"),
            "reg_date": [*((START + timedelta(int(d * f))).date()
                           for d, f in zip(day, rng.random(n).round(), strict=True)),
                         (START + timedelta(days)).date()],
            "device": rng.choice(devices, n + 1), "gender": rng.choice(["F", "M"], n + 1),
            "country": rng.choice(["USA", "B|R*"], n + 1),
            "age": pd.array(rng.integers(18, 60, n + 1), dtype="Int64") if ages
            else pd.array([pd.NA] * (n + 1), dtype="Int64"),
        }),
        "paywall_views": views,
        "purchases": views.loc[bought, ["uid", "date", "sku", "price"]].reset_index(drop=True),
        "paywall_test": pd.DataFrame({
            "uid": uids[inside], "group": groups[inside],
            "assigned_at": views["date"][inside].reset_index(drop=True)}),
    } | plan


def study(frames: dict[str, pd.DataFrame]) -> SimpleNamespace:
    """The parts of the study that read the paywall test."""
    opened = tables(frames)
    found = paywall.paywall_test(opened, events.period(opened))
    plan = design.design(found)
    return SimpleNamespace(test=found, design=plan, lift=lift.lift(found, plan))
