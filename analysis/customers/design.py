"""The paywall test as it is planned, from data of before it: how large, how long, what it can see.

The primary metric is the share of assigned users who buy at a paywall within the horizon. What is
planned rests on `paywall.Before`, users of the months before the test, so nothing here is chosen
from the result. Only the sizes of the groups are the test's own, to say what it could see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.customers.paywall import HORIZON, Before, PaywallTest
from analysis.stats import intervals, power
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments
from analysis.stats.power import Plan
from analysis.stats.two_proportions import z_statistics

ALPHA = 0.05  # two-sided: a paywall that does harm must be found as well
POWER = 0.80
# The smallest relative rise of the primary metric that is worth having: two paywalls have to be
# kept up, translated and tested while they run side by side, and a new one is new to support.
RELEVANT_LIFT = 0.20
LIFTS = (0.1, 0.2, 0.3, 0.4, 0.5)
BASELINES = (0.8, 1.0, 1.2)  # multiples of the measured baseline
SIMULATED_LIFTS = (0.0, 0.1, 0.2, 0.3, 0.4)
SIMULATIONS = 20_000
SEED = 20240826
RECENT = 28  # days whose arrivals are taken to go on when a test outlasts the window


@dataclass(frozen=True)
class Requirement:
    """What a test of one metric needs and what the one at hand can see.

    Attributes:
        metric: "converted" (share of users) or "revenue" (cents a user).
        baseline: the metric before the test, with its 95% interval.
        sd: standard deviation over users.
        planned: smallest groups that see `RELEVANT_LIFT` with `POWER`.
        weeks: from the first assignment until enough users have come, without the horizon; None
            where they stopped coming.
        at_hand: power of the test's own groups for `RELEVANT_LIFT`; None without such groups.
        detectable: the smallest lift that they see with `POWER`; None if there is none.
    """

    metric: str
    baseline: Interval
    sd: float
    planned: Plan
    weeks: float | None
    at_hand: Plan | None
    detectable: Plan | None


@dataclass(frozen=True)
class Design:
    """The plan of the paywall test.

    Attributes:
        alpha, target_power, relevant_lift, horizon: what was fixed in advance; days.
        assignment_days: from the first to the last assignment.
        control, test: users with a whole horizon in the test itself.
        before: what the plan is measured on; None without data of before the test.
        users_a_week: users who came first in each week of the window, of seven days.
        primary: for the share who buy at a paywall; None if it was 0 or everybody before.
        revenue: for revenue a user; None if there was none.
        size_table: users a group, by `baseline` (a multiple of the measured one) and `lift`:
            `share`, `per_group`, `weeks`; missing where the lift would lead beyond everybody.
        metric_table: by `lift`: `converted`, `revenue` (users a group), and the weeks of both.
        simulation: by `lift`: `power` as computed and `simulated` from `SIMULATIONS` tests of
            binomial draws with groups of the size at hand, the simulation's `error`, and
            `exaggeration`: the mean estimate among those significant in the right direction over
            the true difference (missing without one).
    """

    alpha: float
    target_power: float
    relevant_lift: float
    horizon: int
    assignment_days: int
    control: int
    test: int
    before: Before | None
    users_a_week: tuple[int, ...]
    primary: Requirement | None
    revenue: Requirement | None
    size_table: pd.DataFrame
    metric_table: pd.DataFrame
    simulation: pd.DataFrame


def design(test: PaywallTest) -> Design:
    """Plans the paywall test."""
    groups = test.groups.set_index("group")
    control, treated = int(groups.loc["control", "users"]), int(groups.loc["test", "users"])
    sizes = (control, treated) if min(control, treated) > 1 else None
    before = test.before
    primary = revenue = None
    if before is not None and 0 < before.converters < before.users:
        primary = _share_requirement(before, sizes)
    if before is not None and before.revenue > 0 and before.revenue_variance > 0:
        revenue = _revenue_requirement(before, sizes)
    assigned = test.by_date.loc[test.by_date["assigned"] > 0, "day"]
    span = pd.to_datetime(assigned)
    return Design(
        alpha=ALPHA,
        target_power=POWER,
        relevant_lift=RELEVANT_LIFT,
        horizon=HORIZON,
        assignment_days=0 if assigned.empty else (span.max() - span.min()).days + 1,
        control=control,
        test=treated,
        before=before,
        users_a_week=() if before is None else _users_a_week(before),
        primary=primary,
        revenue=revenue,
        size_table=_size_table(primary, before),
        metric_table=_metric_table(primary, revenue, before),
        simulation=_simulation(primary, sizes),
    )


def relevant_difference(plan: Design, control: float, test: float) -> float:
    """The smallest difference of the primary metric worth having: `RELEVANT_LIFT` of the baseline.

    Without a baseline from before the test it is that of the control group's share, or, if nobody
    converted there, of the test group's.
    """
    return RELEVANT_LIFT * (plan.primary.baseline.estimate if plan.primary else control or test)


def weeks_until(before: Before, users: int) -> float | None:
    """Weeks until so many users have come, at the pace of before the test.

    A user is assigned once, so a window gathers most in its first weeks, when the regulars come
    by; beyond it, new users are taken to come as in its last `RECENT` days. None if none come.
    """
    reached = np.cumsum(before.firsts)
    if users <= reached[-1]:
        return float(np.searchsorted(reached, users) + 1) / 7
    rate = float(before.firsts[-RECENT:].mean())
    return (before.days + (users - int(reached[-1])) / rate) / 7 if rate > 0 else None


def plan_share(share: float, lift: float) -> Plan | None:
    """Users a group that see a lift of a share with `POWER`; None if it leads beyond everybody."""
    if share * (1 + lift) >= 1:
        return None
    return power.proportions(share_a=share, share_b=share * (1 + lift), power=POWER, alpha=ALPHA)


def plan_revenue(mean: float, sd: float, lift: float) -> Plan:
    """Users a group that see a lift of revenue a user with `POWER`."""
    return power.lift(mean=mean, sd=sd, lift=lift, power=POWER, alpha=ALPHA)


def power_of_share(share: float, lift: float, control: int, test: int) -> float:
    """Power for a lift of a share with groups of given sizes; `ALPHA` for none."""
    if lift == 0:
        return ALPHA
    b = min(share * (1 + lift), 1 - 1e-12)
    return power.proportions(
        share_a=share, share_b=b, n_a=control, ratio=test / control, alpha=ALPHA
    ).power


def _users_a_week(before: Before) -> tuple[int, ...]:
    whole = before.days // 7 * 7
    return tuple(before.firsts[:whole].reshape(-1, 7).sum(axis=1).tolist())


def _share_requirement(before: Before, sizes: tuple[int, int] | None) -> Requirement | None:
    baseline = intervals.proportion(before.converters, before.users)
    share = baseline.estimate
    planned = plan_share(share, RELEVANT_LIFT)
    if planned is None:
        return None
    at_hand = detectable = None
    if sizes:
        options = {"share_a": share, "n_a": sizes[0], "ratio": sizes[1] / sizes[0], "alpha": ALPHA}
        at_hand = power.proportions(share_b=planned.baseline + planned.difference, **options)
        detectable = _or_none(power.proportions, power=POWER, **options)
    return Requirement(
        "converted", baseline, float(np.sqrt(share * (1 - share))), planned,
        weeks_until(before, planned.n_a + planned.n_b), at_hand, detectable,
    )


def _revenue_requirement(before: Before, sizes: tuple[int, int] | None) -> Requirement:
    moments = Moments(before.users, before.revenue / before.users, before.revenue_variance)
    planned = plan_revenue(moments.mean, moments.sd, RELEVANT_LIFT)
    at_hand = detectable = None
    if sizes:
        options = {"mean": moments.mean, "sd": moments.sd, "n_a": sizes[0],
                   "ratio": sizes[1] / sizes[0], "alpha": ALPHA}
        at_hand = power.lift(lift=RELEVANT_LIFT, **options)
        detectable = _or_none(power.lift, power=POWER, **options)
    return Requirement(
        "revenue", intervals.mean_t(moments), moments.sd, planned,
        weeks_until(before, planned.n_a + planned.n_b), at_hand, detectable,
    )


def _or_none(plan, **options) -> Plan | None:
    """A plan; None where groups are too small to see any effect."""
    try:
        return plan(**options)
    except ValueError:
        return None


def _size_table(primary: Requirement | None, before: Before | None) -> pd.DataFrame:
    columns = ["baseline", "lift", "share", "per_group", "weeks"]
    rows = []
    if primary is not None and before is not None:
        for factor in BASELINES:
            share = primary.baseline.estimate * factor
            for lift in LIFTS:
                plan = plan_share(share, lift) if share < 1 else None
                size = plan.n_a if plan else None
                weeks = weeks_until(before, 2 * size) if size else None
                rows.append((factor, lift, share, size, weeks))
    return pd.DataFrame(rows, columns=columns).astype({"per_group": "Int64", "weeks": float})


def _metric_table(
    primary: Requirement | None, revenue: Requirement | None, before: Before | None
) -> pd.DataFrame:
    columns = ["lift", "converted", "converted_weeks", "revenue", "revenue_weeks"]
    rows = []
    if before is not None and (primary or revenue):
        for lift in LIFTS:
            plans = (
                plan_share(primary.baseline.estimate, lift) if primary else None,
                plan_revenue(revenue.baseline.estimate, revenue.sd, lift) if revenue else None,
            )
            row: list = [lift]
            for plan in plans:
                row += [plan.n_a, weeks_until(before, 2 * plan.n_a)] if plan else [None, None]
            rows.append(row)
    kinds = {"converted": "Int64", "revenue": "Int64",
             "converted_weeks": float, "revenue_weeks": float}
    return pd.DataFrame(rows, columns=columns).astype(kinds)


def _simulation(primary: Requirement | None, sizes: tuple[int, int] | None) -> pd.DataFrame:
    columns = ["lift", "power", "simulated", "error", "exaggeration"]
    rows = []
    if primary is not None:
        share = primary.baseline.estimate
        control, test = sizes or (primary.planned.n_a, primary.planned.n_b)
        rng, critical = np.random.default_rng(SEED), stats.norm.isf(ALPHA / 2)
        for lift in SIMULATED_LIFTS:
            if share * (1 + lift) >= 1:
                continue
            old = rng.binomial(control, share, SIMULATIONS)
            new = rng.binomial(test, share * (1 + lift), SIMULATIONS)
            z = z_statistics(new, test, old, control)
            found = float((np.abs(z) >= critical).mean())
            won = z >= critical
            exaggeration = None
            if lift and won.any():
                exaggeration = float(
                    (new[won] / test - old[won] / control).mean() / (share * lift))
            rows.append((
                lift, power_of_share(share, lift, control, test), found,
                float(np.sqrt(found * (1 - found) / SIMULATIONS)), exaggeration,
            ))
    return pd.DataFrame(rows, columns=columns).astype({"exaggeration": float})
