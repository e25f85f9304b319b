"""Double down, pivot or run longer: the rule, and what it says about this test.

A decision weighs what the widget is worth, not whether it is shown to work. The unit of all amounts
is one conversion, since the tables hold no money. The effect of the widget on conversion has a
normal prior; with the test's difference and its error it has a normal posterior, so that the worth
of deciding now and of more data before deciding are closed forms (Raiffa & Schlaifer 1961,
preposterior analysis with a normal prior and a linear loss).

Over a horizon of N customers, of whom n come a day, with posterior mean m and cost c a customer:

- keeping things as they are is worth 0;
- rolling out is worth N (m - c);
- testing for d days more, with the share s in Test, and then choosing what is better, is worth
  d n (s (m - c) - k) + (N - d n) E[max(M - c, 0)], where k is what testing costs a customer and M,
  the mean after those days, is today normal with mean m and the variance that the data will remove.
  The second term needs no simulation: E[max(X, 0)] = sd phi(z) + mean Phi(z), z = mean / sd.

The rule, in this order:

1. A test that is not trusted is not read.
2. Without converts, or without others, there is nothing to read.
3. **Pivot** if the widget fails on the way: the use of CS is shown to fall, or is not shown to rise
   and a rise of `metrics.MOVES` is ruled out; if the effect on conversion is shown to be below its
   cost; or if harm is likely (probability of a negative effect at least `HARM`).
4. **Run longer** if more days are worth more than both rolling out and keeping, now.
5. **Double down** if rolling out is worth most and the use of CS is shown to rise. (If it is not
   shown, whatever moved conversion may be chance: run longer.)
6. **Pivot** if keeping things as they are is worth most.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import optimize
from scipy.special import ndtr, ndtri

from analysis.experiment.metrics import MOVES, Metrics
from analysis.stats.intervals import Interval

HARM = 0.95  # probability of a negative effect from which harm is called likely
MOST_DAYS = 56  # of further test that are looked at; who needs more should find a stronger widget
ONE_DAY, ONE_WEEK = 1, 7


@dataclass(frozen=True)
class Assumptions:
    """What is assumed, not measured.

    Attributes:
        prior_sd: Standard deviation of the effect on conversion before the test, in shares, around
            0: two thirds of the widgets that are tried move conversion by less than this.
        cost: What the widget costs a customer, in trouble or not, in conversions: agents and
            articles for those whom it brings.
        horizon: Days of such traffic to which the decision applies, at least 2.
        test_cost: What testing costs a customer who comes during it, in conversions: two versions
            to look after, and other tests that wait.
    """

    prior_sd: float = 0.02
    cost: float = 0.002
    horizon: int = 365
    test_cost: float = 0.002


ASSUMED = Assumptions()
# What each assumption could be instead.
ALTERNATIVES = {
    "prior_sd": (0.005, 0.01, 0.04),
    "cost": (0.0, 0.005, 0.01),
    "horizon": (30, 90, 1095),
    "test_cost": (0.0, 0.02),
}


class Action(StrEnum):
    """What to do about the widget."""

    DISTRUST = "distrust"
    """Something is wrong with the test: mend it and test again, whatever the result."""
    UNKNOWN = "unknown"
    """Nothing to read: nobody, or everybody, converted."""
    DOUBLE_DOWN = "double down"
    """Make the widget the default and build on it."""
    LONGER = "run longer"
    """More data are worth more than they cost."""
    PIVOT = "pivot"
    """Leave this kind of experience."""


@dataclass(frozen=True)
class Worth:
    """What the choices are worth under some assumptions, in conversions over the horizon.

    Attributes:
        effect: Posterior of the effect on conversion, in shares: mean, 95% credible interval.
        sd: Its standard deviation.
        pays: Probability that the effect is above the cost.
        harm: Probability that it is below 0.
        roll_out: Worth of the widget for everybody, from now on; keeping things is worth 0.
        day, week: Worth of `ONE_DAY`, or `ONE_WEEK`, of the same test more and then choosing; None
            where the horizon is not longer.
        best_days: The number of days, at most `MOST_DAYS`, that is worth most.
        longer: What they are worth.
        information: What the data of these days are worth before their cost: the choice after them
            against the best choice now, over the customers who come after them.
        certainty: What it would be worth to know the effect at once.
        regret: Expected loss of rolling out now, against knowing the effect.
        regret_keeping: Expected loss of keeping things as they are.
    """

    effect: Interval
    sd: float
    pays: float
    harm: float
    roll_out: float
    day: float | None
    week: float | None
    best_days: int
    longer: float
    information: float
    certainty: float
    regret: float
    regret_keeping: float


@dataclass(frozen=True)
class Decision:
    """The recommendation and what it rests on.

    Attributes:
        action: What to do.
        reason: Why, one word: "untrusted", "nothing" (to read); "falls" or "unmoved" (the use of
            CS), "below" (the cost, shown), "harm" (likely), "kept" (keeping is worth most);
            "information" (worth its cost), "gate" (rolling out is worth most, but the use of CS is
            not shown to rise); "gain".
        trusted: Whether the test may be read.
        assumed: The assumptions.
        customers_a_day: Customers assigned on the day of the test.
        test_share: The share of them in Test.
        observed, error: Difference of conversion and its standard error, in shares; None where the
            test is not read.
        below_cost: Whether the 95% interval of the difference ends below the cost.
        worth: Under the assumptions; None where the test is not read.
        sensitivity: Index `assumption`, `value`: one assumption changed at a time (and `assumed`,
            as they are): posterior mean `effect`, `roll_out`, `longer`, `best_days`, `action`.
        least_difference: Smallest observed difference of conversion, with the test's error, from
            which the rule says double down; None if no difference within reach does.
        most_pivot: Largest one for which it says pivot; None likewise.
    """

    action: Action
    reason: str
    trusted: bool
    assumed: Assumptions
    customers_a_day: int
    test_share: float
    observed: float | None
    error: float | None
    below_cost: bool
    worth: Worth | None
    sensitivity: pd.DataFrame
    least_difference: float | None
    most_pivot: float | None


@dataclass(frozen=True)
class _Evidence:
    """What the rule reads off the test; see `Metrics`."""

    difference: float
    error: float
    high: float
    engagement: str  # "rises", "falls", "unmoved" or "open"
    customers: int
    test_share: float


def decision(
    metrics: Metrics, trusted: bool = True, assumed: Assumptions = ASSUMED
) -> Decision:
    """Applies the rule of this module's head.

    Args:
        metrics: The success metrics.
        trusted: Whether the test may be read: the cohorts are as assigned, alike, and complete.
        assumed: The assumptions.
    """
    m = metrics.conversion
    customers = m.control.n + m.test.n
    found = Decision(
        action=Action.DISTRUST, reason="untrusted", trusted=trusted, assumed=assumed,
        customers_a_day=customers, test_share=m.test.n / customers,
        observed=None, error=None, below_cost=False, worth=None, sensitivity=_frame([]),
        least_difference=None, most_pivot=None,
    )
    if not trusted:
        return found
    if m.z is None:
        return replace(found, action=Action.UNKNOWN, reason="nothing")
    e = _Evidence(m.z.estimate, m.z.standard_error, m.z.interval.high, engagement(metrics),
                  customers, found.test_share)
    action, reason = rule(e, assumed)
    double, pivot = _thresholds(e, assumed)
    return replace(
        found, action=action, reason=reason, observed=e.difference, error=e.error,
        below_cost=e.high < assumed.cost,
        worth=worth(e.difference, e.error, customers, e.test_share, assumed),
        sensitivity=_sensitivity(e, assumed), least_difference=double, most_pivot=pivot)


def engagement(metrics: Metrics) -> str:
    """Whether the use of CS "rises" or "falls", as shown, is "unmoved", or "open".

    It is unmoved if a rise is not shown and one of `metrics.MOVES` is ruled out.
    """
    m = metrics.engagement
    if m.shown:
        return "rises"
    if m.decision is not None and m.decision.significant:
        return "falls"
    return "unmoved" if m.difference.high < MOVES else "open"


def rule(e: _Evidence, assumed: Assumptions) -> tuple[Action, str]:
    """The action and its reason, of a test that is trusted and can be read."""
    if e.engagement in ("falls", "unmoved"):
        return Action.PIVOT, e.engagement
    if e.high < assumed.cost:
        return Action.PIVOT, "below"
    w = worth(e.difference, e.error, e.customers, e.test_share, assumed)
    if w.harm >= HARM:
        return Action.PIVOT, "harm"
    if w.longer > max(w.roll_out, 0.0):
        return Action.LONGER, "information"
    if w.roll_out > 0:
        return (Action.DOUBLE_DOWN, "gain") if e.engagement == "rises" else (
            Action.LONGER, "gate")
    return Action.PIVOT, "kept"


def expected_positive(mean: float, sd: ArrayLike) -> np.ndarray | float:
    """E[max(X, 0)] of a normal X: the unit normal loss (Raiffa & Schlaifer 1961, table 2).

    Args:
        mean: Of X.
        sd: Its standard deviation, above 0; a number or an array of them.
    """
    sd = np.asarray(sd, dtype=float)
    z = mean / sd
    return (sd * np.exp(-z * z / 2) / math.sqrt(2 * math.pi) + mean * ndtr(z))[()]


def posterior(difference: float, error: float, prior_sd: float) -> tuple[float, float]:
    """Mean and standard deviation of a normal effect with prior N(0, prior_sd²)."""
    weight = prior_sd**2 / (prior_sd**2 + error**2)
    return weight * difference, math.sqrt(weight) * error


def worth(
    difference: float, error: float, customers: int, test_share: float, assumed: Assumptions
) -> Worth:
    """What the choices are worth; see the module's head.

    Args:
        difference, error: Of conversion, Test less Control, and its standard error, in shares.
        customers: Assigned a day.
        test_share: Of them, in Test.
        assumed: The assumptions.
    """
    mean, sd = posterior(difference, error, assumed.prior_sd)
    net, whole = mean - assumed.cost, assumed.horizon * customers
    best_now = max(net, 0.0)

    days = np.arange(1, min(MOST_DAYS, assumed.horizon - 1) + 1)
    # The sd that the mean after these days has today: the variance that they will remove.
    preposterior = sd * np.sqrt(sd**2 / (sd**2 + error**2 / days))
    choosing = expected_positive(net, preposterior)
    gains = (days * customers * (test_share * net - assumed.test_cost)
             + (whole - days * customers) * choosing)
    best = int(np.argmax(gains))
    reach = float(ndtri(0.975)) * sd
    knowing = float(expected_positive(net, sd))
    return Worth(
        effect=Interval(mean, mean - reach, mean + reach, 0.95, "normal posterior"),
        sd=sd,
        pays=float(ndtr(net / sd)),
        harm=float(ndtr(-mean / sd)),
        roll_out=whole * net,
        day=_of(gains, ONE_DAY),
        week=_of(gains, ONE_WEEK),
        best_days=best + 1,
        longer=float(gains[best]),
        information=(whole - (best + 1) * customers) * max(float(choosing[best]) - best_now, 0.0),
        certainty=whole * (knowing - best_now),
        regret=whole * (knowing - net),
        regret_keeping=whole * knowing,
    )


def _of(gains: np.ndarray, days: int) -> float | None:
    return float(gains[days - 1]) if days <= len(gains) else None


# What would change it ------------------------------------------------------------------------


def _sensitivity(e: _Evidence, assumed: Assumptions) -> pd.DataFrame:
    """The decision with one assumption changed at a time."""
    cases = [("assumed", math.nan, assumed)]
    for name, values in ALTERNATIVES.items():
        cases += [(name, float(value), replace(assumed, **{name: value}))
                  for value in values if value != asdict(assumed)[name]]
    rows = []
    for name, value, case in cases:
        w = worth(e.difference, e.error, e.customers, e.test_share, case)
        rows.append((name, value, w.effect.estimate, w.roll_out, w.longer, w.best_days,
                     str(rule(e, case)[0])))
    return _frame(rows)


def _frame(rows: list[tuple]) -> pd.DataFrame:
    names = ["assumption", "value", "effect", "roll_out", "longer", "best_days", "action"]
    return pd.DataFrame(rows, columns=names).set_index(["assumption", "value"])


def _thresholds(e: _Evidence, assumed: Assumptions) -> tuple[float | None, float | None]:
    """Observed differences from which the rule says double down, and up to which pivot.

    Everything else is held: the error, the use of CS, and the interval's length. The larger the
    difference, the better rolling out is against more data, and more data against keeping, so
    either action has one border.
    """
    margin = e.high - e.difference

    def at(difference: float) -> Action:
        return rule(replace(e, difference=difference, high=difference + margin), assumed)[0]

    def border(action: Action, inside: float) -> float | None:
        if at(inside) is not action or at(-inside) is action:
            return None
        return float(optimize.bisect(
            lambda x: 0.5 if at(x) is action else -0.5, -inside, inside, xtol=1e-9))

    return border(Action.DOUBLE_DOWN, 1.0), border(Action.PIVOT, -1.0)
