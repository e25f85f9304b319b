"""The paywall test looked at while it runs: what peeking costs, and a plan that allows it.

A look at the end of a day compares the users assigned so far by the share of them who have bought
at a paywall so far. Those assigned lately have had less time, but in both groups alike. A look's
statistic is the pooled z of the two shares. Its effect is their difference over the share p of both
groups together, which stays the same as long as the lift does although p grows, and its information

    n_control n_test / n  x  p / (1 - p),

so that z = effect x sqrt(information), and with no difference two looks' z are correlated as
sequential methods take them to be (`rules` checks that).

No difference is simulated by tossing the coin again: everybody is assigned and buys on the day that
they did, only the group is left to chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from analysis.customers import events, paywall
from analysis.customers.design import ALPHA, POWER
from analysis.customers.events import Period
from analysis.customers.paywall import GROUPS, HORIZON, PaywallTest
from analysis.days import SECONDS_A_DAY, iso_day
from analysis.sources import Tables
from analysis.stats import sequential
from analysis.stats.intervals import Interval
from analysis.stats.sequential import Boundary, SequentialPlan
from analysis.stats.two_proportions import z_statistics

WEEK = 7
LEAST_CONVERTERS = 10  # of both groups: with fewer, z is far from normal and no look is taken
LEAST_NEW = 0.001  # a look that adds less information than this share is no new look
CLASSIC = (1, 2, 3, 4, 5, 10, 20, 50)
RUNS = 4_000
SEED = 1969

ONCE, NAIVE_WEEKLY, NAIVE_DAILY = "once", "weekly", "daily"
SPENT, POCOCK, ALWAYS = "weekly, O'Brien-Fleming", "weekly, Pocock", "daily, always valid"


@dataclass(frozen=True)
class Peeks:
    """What somebody who looks every day would have seen.

    Attributes:
        days: Number of days looked at.
        significant: Days on which p was at most 5%.
        first: The first such day, or None.
        first_lift: The lift on that day, or None.
        changes: How often p went from one side of 5% to the other.
        last_p: p on the last day.
    """

    days: int
    significant: int
    first: str | None
    first_lift: float | None
    changes: int
    last_p: float


@dataclass(frozen=True)
class Stop:
    """Where the weekly plan with the O'Brien-Fleming boundary ends.

    Attributes:
        crossed: Whether the boundary was reached; if not, the plan ran to its last look.
        week: Of the stop, from 1.
        day: Its last day.
        users, converters: Of both groups, until then.
        days_saved: From then to the last look.
        z, p_value: The statistic, and its two-sided p-value allowing for the looks before.
        lift: The test group's share over the control group's, less 1, allowing for them too.
        naive: The same as if this had been the only look.
    """

    crossed: bool
    week: int
    day: str
    users: int
    converters: int
    days_saved: int
    z: float
    p_value: float
    lift: Interval
    naive: Interval


@dataclass(frozen=True)
class Looks:
    """The running test.

    Attributes:
        first_day, last_day: The days from the first assignment to the last look.
        ended: Whether everybody's horizon was over by then.
        repeated: Chance of at least one significant result at 5% each when there is no difference,
            by the number of equally spaced `looks`: column `error`.
        running: One row a day, from the first with `LEAST_CONVERTERS`: `users` and `converters` of
            both groups so far, `z` (test against control) and `p_value`.
        peeks: What the daily p-values would have said.
        always_valid_day: The first day on which |z| reached the bound that may be watched every
            day (`sequential.always_valid`, tuned to `lift`), or None.
        weekly: One row a look at the end of a week: `day`, `users`, `converters`, `information`,
            `z`, `p_value`, the O'Brien-Fleming `bound` for |z| (infinite: no stop), the error
            `spent` so far, and the repeated confidence interval of the `lift`, `low` to `high`.
        stop: Where the weekly plan ends.
        plan: What the weekly plan costs and saves, for a power of 80%.
        lift: The lift that this test, looked at once, finds with a power of 80%; infinite if that
            takes more than nobody buying in control.
        rules: One row a `rule`: `looks`; the chance of a significant result with no difference
            (`error`) and with `lift` (`power`), by integration (None for the power of rules that
            do not keep the error at 5%), and simulated with its standard error
            (`error_simulated`, `error_se` ...); the mean `days` until the test ends, simulated,
            with no difference (`days_none`) and with `lift` (`days_effect`).
        runs: Simulated tests behind each of these.
    """

    first_day: str
    last_day: str
    ended: bool
    repeated: pd.DataFrame
    running: pd.DataFrame
    peeks: Peeks
    always_valid_day: str | None
    weekly: pd.DataFrame
    stop: Stop
    plan: SequentialPlan
    lift: float
    rules: pd.DataFrame
    runs: int


@dataclass(frozen=True)
class _Days:
    """The test by calendar day.

    Attributes:
        names: The days (ISO), without a gap.
        assigned, converters: New users, and first purchases at a paywall, shape (days, 2), control
            first.
        start, end, buyers: How many of those assigned on day `start` first bought on day `end`.
    """

    names: list[str]
    assigned: np.ndarray
    converters: np.ndarray
    start: np.ndarray
    end: np.ndarray
    buyers: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Users in the test group so far, as a share of all, at the end of each day."""
        so_far = np.cumsum(self.assigned, axis=0)
        return so_far[:, 1] / np.maximum(so_far.sum(axis=1), 1)

    @property
    def share(self) -> float:
        """Users in the test group, as a share of all."""
        return float(self.shares[-1])


def conversions(tables: Tables, period: Period) -> pd.DataFrame:
    """Users by the day of their assignment, `assigned`, and of their first purchase at a paywall.

    Within the horizon, both groups together: columns `assigned`, `day` (ISO) and `converters`.
    """
    seen, test = events.views(tables), paywall.assigned(tables, period)
    paid = seen.filter(seen.purchase == 1).join(test, "uid")
    elapsed = paid.second - paid.assigned
    paid = paid.filter((elapsed >= 0) & (elapsed < HORIZON * SECONDS_A_DAY))
    firsts = paid.group_by("uid", start=paid.assigned_day).aggregate(day=paid.day.min())
    counts = firsts.group_by(["start", "day"]).aggregate(converters=firsts.count())
    frame = counts.order_by(["start", "day"]).to_pandas()
    return pd.DataFrame({"assigned": iso_day(frame["start"]), "day": iso_day(frame["day"]),
                         "converters": frame["converters"].astype("int64")})


def looks(test: PaywallTest, conversions: pd.DataFrame) -> Looks | None:
    """The running test; None if a group is empty or there are too few conversions for a look.

    Args:
        test: Of which `by_date` and `horizon` are used.
        conversions: See the function of that name.
    """
    days = _days(test.by_date, conversions)
    if days is None:
        return None
    users, converters = (np.cumsum(x, axis=0) for x in (days.assigned, days.converters))
    z, information = _z(users, converters)
    enough = (converters.sum(axis=1) >= LEAST_CONVERTERS) & np.isfinite(z)
    if not enough[-1] or not information[-1] > 0:
        return None
    fraction = information / information[-1]
    daily = _new(np.flatnonzero(enough), fraction)
    ends = np.arange(WEEK - 1, len(days.names), WEEK)
    weeks = _new(np.union1d(ends[enough[ends]], [len(days.names) - 1]), fraction)
    design = sequential.boundary(fraction[weeks], "O'Brien-Fleming", ALPHA)
    effect = sequential.fixed_effect(ALPHA, POWER) / math.sqrt(information[-1])
    always = np.full(len(days.names), math.inf)
    always[enough] = sequential.always_valid(information[enough], effect, ALPHA)
    watched = pd.DataFrame({
        "day": days.names, "users": users.sum(axis=1), "converters": converters.sum(axis=1),
        "z": z, "p_value": _p(z),
    })
    beyond = np.flatnonzero(enough & (np.abs(np.nan_to_num(z)) >= always))
    weekly = _weekly(watched.iloc[weeks], weeks, design, information[weeks], days)
    return Looks(
        first_day=days.names[0],
        last_day=days.names[-1],
        ended=_ended(days, test.horizon),
        repeated=pd.DataFrame(
            {"looks": CLASSIC, "error": [sequential.peeking(k, ALPHA) for k in CLASSIC]}),
        running=watched[enough].reset_index(drop=True),
        peeks=_peeks(watched[enough], information[enough], days.shares[enough]),
        always_valid_day=days.names[beyond[0]] if beyond.size else None,
        weekly=weekly,
        stop=_stop(weekly, weeks, design, z[weeks], information[-1], days),
        plan=sequential.plan(design, POWER),
        lift=float(_lift(effect, days.share)),
        rules=_rules(days, daily, weeks, fraction, information[-1], always, effect),
        runs=RUNS,
    )


def _days(by_date: pd.DataFrame, conversions: pd.DataFrame) -> _Days | None:
    if by_date.empty:
        return None
    wide = {name: by_date.pivot(index="day", columns="group", values=name)[list(GROUPS)]
            for name in ("assigned", "converters")}
    assigned, converters = (wide[name].to_numpy() for name in ("assigned", "converters"))
    if (assigned.sum(axis=0) == 0).any():
        return None
    names = [str(day) for day in wide["assigned"].index]
    place = {day: i for i, day in enumerate(names)}
    start, end = (np.array([place[day] for day in conversions[name]], dtype="int64")
                  for name in ("assigned", "day"))
    return _Days(names, assigned, converters, start, end, conversions["converters"].to_numpy())


def _ended(days: _Days, horizon: int) -> bool:
    last = int(np.flatnonzero(days.assigned.sum(axis=1))[-1])
    return len(days.names) - 1 >= last + horizon


def _z(users: np.ndarray, converters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pooled z, test against control, and the information; nan and 0 where there is none.

    Args:
        users, converters: So far; the last axis holds control and test.
    """
    n, successes = users.sum(axis=-1), converters.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = z_statistics(converters[..., 1], users[..., 1], converters[..., 0], users[..., 0])
        information = users[..., 0] * (users[..., 1] / n) * successes / (n - successes)
    known = np.isfinite(information) & (information > 0)
    return np.where(known, z, np.nan), np.where(known, information, 0.0)


def _p(z: np.ndarray) -> np.ndarray:
    return np.array([math.erfc(abs(value) / math.sqrt(2)) for value in z])


def _new(positions: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    """Looks that add information, backwards from the last, which stays."""
    kept = [int(positions[-1])]
    for position in positions[-2::-1]:
        if fraction[position] <= fraction[kept[-1]] - LEAST_NEW and fraction[position] > 0:
            kept.append(int(position))
    return np.array(kept[::-1])


def _peeks(running: pd.DataFrame, information: np.ndarray, shares: np.ndarray) -> Peeks:
    significant = (running["p_value"] <= ALPHA).to_numpy()
    day, z = running["day"].to_numpy(), running["z"].to_numpy()
    first = int(significant.argmax()) if significant.any() else None
    return Peeks(
        days=len(running),
        significant=int(significant.sum()),
        first=None if first is None else str(day[first]),
        first_lift=None if first is None else float(
            _lift(z[first] / math.sqrt(information[first]), shares[first])),
        changes=int((significant[1:] != significant[:-1]).sum()),
        last_p=float(running["p_value"].iloc[-1]),
    )


def _weekly(
    rows: pd.DataFrame, weeks: np.ndarray, design: Boundary, information: np.ndarray,
    days: _Days,
) -> pd.DataFrame:
    z, bound, error = rows["z"].to_numpy(), np.array(design.z), 1 / np.sqrt(information)
    share = days.shares[weeks]
    frame = rows.reset_index(drop=True)
    frame.insert(0, "week", -(-(weeks + 1) // WEEK))
    return frame.assign(
        information=design.information, bound=bound, spent=design.spent,
        lift=_lift(z * error, share), low=_lift((z - bound) * error, share),
        high=_lift((z + bound) * error, share))


def _lift(effect: np.ndarray | float, share: np.ndarray | float) -> np.ndarray:
    """Test over control, less 1, of an effect; infinite where it leaves nobody to buy in control.

    Args:
        effect: Difference of the shares over the share of both groups together.
        share: Of users who are in the test group.
    """
    test, control = 1 + (1 - share) * np.asarray(effect), 1 - share * np.asarray(effect)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Nobody is a share of 1e-12 for the arithmetic.
        return np.where(control > 1e-12, np.maximum(test, 0) / control - 1, math.inf)


def _stop(
    weekly: pd.DataFrame, weeks: np.ndarray, design: Boundary, z: np.ndarray, information: float,
    days: _Days,
) -> Stop:
    ended = sequential.stopped(design, z, information)
    row, last = weekly.iloc[ended.look - 1], int(weeks[ended.look - 1])
    share = days.shares[last]
    return Stop(
        crossed=ended.crossed,
        week=int(row["week"]),
        day=str(row["day"]),
        users=int(row["users"]),
        converters=int(row["converters"]),
        days_saved=len(days.names) - 1 - last,
        z=ended.z,
        p_value=ended.p_value,
        lift=_as_lift(ended.interval, share),
        naive=_as_lift(ended.naive, share),
    )


def _as_lift(effect: Interval, share: float) -> Interval:
    estimate, low, high = _lift(np.array([effect.estimate, effect.low, effect.high]), share)
    return Interval(float(estimate), float(low), float(high), effect.confidence, effect.method)


def _rules(
    days: _Days, daily: np.ndarray, weeks: np.ndarray, fraction: np.ndarray, information: float,
    always: np.ndarray, effect: float,
) -> pd.DataFrame:
    """Error and power of each way to look at this very test."""
    fixed = sequential.fixed_bound(ALPHA)
    last = weeks[-1:]
    rules = {
        ONCE: (last, [fixed]),
        NAIVE_WEEKLY: (weeks, np.full(weeks.size, fixed)),
        NAIVE_DAILY: (daily, np.full(daily.size, fixed)),
        SPENT: (weeks, sequential.boundary(fraction[weeks], "O'Brien-Fleming", ALPHA).z),
        POCOCK: (weeks, sequential.boundary(fraction[weeks], "Pocock", ALPHA).z),
        ALWAYS: (daily, always[daily]),
    }
    drift = effect * math.sqrt(information)
    rng = np.random.default_rng(SEED)
    none, found = simulate(days, 0.0, rng), simulate(days, effect, rng)
    rows = []
    for rule, (looks_at, bounds) in rules.items():
        keeps = rule not in (NAIVE_WEEKLY, NAIVE_DAILY)
        row = {"rule": rule, "looks": len(looks_at)}
        for name, z, at in (("error", none, 0.0), ("power", found, drift)):
            share, stop_day = _stops(z[:, looks_at], np.asarray(bounds), looks_at)
            exact = float(sequential.crossings(bounds, fraction[looks_at], at).sum())
            row[name] = exact if keeps or not at else None
            row[f"{name}_simulated"] = share
            row[f"{name}_se"] = math.sqrt(share * (1 - share) / RUNS)
            row["days_effect" if at else "days_none"] = stop_day
        rows.append(row)
    return pd.DataFrame(rows).astype({"power": "float64"})


def simulate(
    days: _Days, effect: float, rng: np.random.Generator, runs: int = RUNS
) -> np.ndarray:
    """z at the end of each day in simulated tests, shape (runs, days); nan where there is none.

    Everybody is assigned and buys when they did; the groups are drawn anew. Without an effect that
    is the toss of a coin for each user. With one, users are drawn into the test group with the
    probability that they belong there, given whether they bought (Bayes' theorem): of those in the
    test group, 1 + effect x (share in control) times the observed share buy.
    """
    share = days.buyers.sum() / days.assigned.sum()
    bought = share * np.clip(1 + (1 - days.share) * effect, 0, 1 / share)  # of the test group
    chance = min(1.0, days.share * bought / share)
    other = min(1.0, days.share * (1 - bought) / (1 - share))
    in_test = rng.binomial(days.buyers, chance, (runs, days.buyers.size))
    size, cells = len(days.names), np.arange(days.buyers.size)
    by_start, by_end = (
        sparse.csr_array((np.ones(cells.size, dtype="int64"), (cells, at)), (cells.size, size))
        for at in (days.start, days.end)
    )
    assigned, buyers = days.assigned.sum(axis=1), np.bincount(days.end, days.buyers, size)
    never = assigned - np.bincount(days.start, days.buyers, size).astype("int64")
    users = rng.binomial(never, other, (runs, size)) + in_test @ by_start
    converters = in_test @ by_end
    return _z(*(np.cumsum(np.stack([both - test, test], axis=-1), axis=1)
                for both, test in ((assigned, users), (buyers, converters))))[0]


def _stops(z: np.ndarray, bounds: np.ndarray, days: np.ndarray) -> tuple[float, float]:
    """Share of tests that a rule stops as significant, and the mean days until a test ends."""
    with np.errstate(invalid="ignore"):
        beyond = np.abs(z) >= bounds
    crossed = beyond.any(axis=1)
    ends = np.where(crossed, days[beyond.argmax(axis=1)], days[-1]) + 1
    return float(crossed.mean()), float(ends.mean())
