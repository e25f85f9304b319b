"""Whom to call first: subscribers in the order of their cross-validated risk, and what calls earn.

A call makes an offer. It costs `COST` for everybody called, also for those who would have stayed
and for those who leave all the same; of those who would have left it keeps the share `SUCCESS`, and
each one kept is worth `VALUE`. The table holds none of the three, so they are assumptions that the
reader may change; all amounts are in the cost of one offer. Calling a subscriber pays if the risk
of churn is above COST / (SUCCESS * VALUE), the break-even risk.

Every risk comes from a model that has not seen the subscriber, so who would have been called, and
how many of them had churned, are what the rule does for subscribers like these, and not a look at
its own data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.churn.model import HeldOut, Model
from analysis.stats import discrimination, intervals

CONFIDENCE = 0.95
COST = 1.0  # of an offer, say a month free of charge: the unit of all amounts
VALUE = 12.0  # of a subscriber who is kept: a year of fees, if the offer is a month
SUCCESS = 0.2  # share of those who would have left that an offer keeps
VALUES = (6.0, 12.0, 24.0)
SUCCESSES = (0.1, 0.2, 0.3, 0.4)
GROUPS = 10
SHARES = tuple(i / 20 for i in range(1, 20))  # of the subscribers called, for the curve of gains
THRESHOLDS = tuple(i / 50 for i in range(1, 50))  # break-even risks, for the decision curve
MODEL, EVERYBODY, SINGLE = "model", "everybody", "single trait"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Retention:
    """What calls earn; amounts in the cost of one offer.

    Attributes:
        value, success, cost: The assumptions.
        break_even: The risk from which a call pays; above 1 if none does.
        subscribers, churned: In the table.
        tenths: Subscribers by cross-validated risk, the riskiest tenth first, those of equal risk
            together: index `tenth` (1 to 10; of equal risks over several tenths the one in their
            middle; less than half a tenth joins the group before it);
            `from_share`, `to_share` (of the subscribers, in order of risk), `subscribers`,
            `churned`, `predicted` (mean risk), `rate` with its Wilson interval `low`, `high`;
            `lift`, the rate over that of all, with `lift_low`, `lift_high`; `caught`, the share of
            all churned in this group and the ones before it, with `caught_low`, `caught_high`
            (Wilson); `net`, what calling the group earns, with `net_low`, `net_high` (from the
            interval of the rate), and `net_so_far`, with the groups before it.
        policies: Whom to call: index `policy`: `MODEL` (those whose risk reaches the break-even
            risk), `SINGLE` (the same by the risk that `single` alone gives) and `EVERYBODY`;
            `called`, `churned` (among the called), `rate`, `kept` (whom the offers keep), `net`
            with `net_low`, `net_high` (normal, for as many subscribers like these).
        advantage: What the model's policy earns more than another: index `policy`: `SINGLE`,
            `EVERYBODY`; `difference`, `low`, `high` (normal, of the same subscribers).
        single: The trait that alone earns most; of several (where none earns anything) the one by
            which as many calls as the model's reach most churned.
        single_caught: The share of all churned whom those calls reach (as many as a tenth of the
            subscribers, where the model's policy calls nobody), and `model_caught`, whom the same
            number reaches by the model.
        still_here: Subscribers whom the model's policy calls and who have not churned.
        sensitivity: The model's policy under other assumptions: index `success`, `value`;
            `break_even`, `called`, `net`, `net_low`, `net_high`, and `everybody`, what calling
            everybody earns.
        gains: Share of all churned that are caught by calling a share of the subscribers: index
            `share`; `model` with `model_low`, `model_high` (Wilson), `single`.
        curve: Net benefit by break-even risk (Vickers & Elkin 2006), in churned caught per
            subscriber less those called in vain, weighed by the odds of the risk: index
            `threshold`; `model`, `single`, `everybody`.
    """

    value: float
    success: float
    cost: float
    break_even: float
    subscribers: int
    churned: int
    tenths: pd.DataFrame
    policies: pd.DataFrame
    advantage: pd.DataFrame
    single: str
    single_caught: float
    model_caught: float
    still_here: int
    sensitivity: pd.DataFrame
    gains: pd.DataFrame
    curve: pd.DataFrame


def retention(
    model: Model, *, value: float = VALUE, success: float = SUCCESS, cost: float = COST
) -> Retention | None:
    """Ranks the subscribers by risk; None where there is no model.

    Args:
        model: The model of churn.
        value: What a subscriber who is kept is worth.
        success: Share of those who would have left that an offer keeps.
        cost: Of an offer, borne for everybody called.

    Raises:
        ValueError: A value or a cost that is not above 0, or a success that is not within (0, 1].
    """
    if not (value > 0 and cost > 0 and 0 < success <= 1):
        raise ValueError("value, cost: must be above 0, success: within (0, 1]")
    if model.fit is None:
        return None
    held = model.fit.held_out
    n, y = held.subscribers, held.churned
    break_even = cost / (success * value)

    def earned(risk: Array) -> tuple[Array, Array]:
        """What calling by a risk earns from one who churned, and from one who stayed."""
        called = risk >= break_even
        return called * (success * value - cost), called * -cost

    called = held.risk >= break_even
    share = n[called].sum() / n.sum()
    share = share if 0 < share < 1 else 1 / GROUPS
    caught = {trait: discrimination.top_share(risk, n, y, share)
              for trait, risk in (held.alone | {MODEL: held.order}).items()}
    alone = {trait: _net(earned(risk), held)[0] for trait, risk in held.alone.items()}
    single = max(alone, key=lambda trait: (round(alone[trait], 6), caught[trait]))
    risks = {MODEL: held.risk, SINGLE: held.alone[single], EVERYBODY: np.full_like(held.risk, 1.0)}
    everybody = (np.full_like(n, success * value - cost), np.full_like(n, -cost))
    earnings = {MODEL: earned(risks[MODEL]), SINGLE: earned(risks[SINGLE]), EVERYBODY: everybody}
    return Retention(
        value=float(value), success=float(success), cost=float(cost), break_even=break_even,
        subscribers=model.subscribers, churned=model.churned,
        tenths=_tenths(held, success * value, cost),
        policies=_policies(held, risks, earnings, break_even, success),
        advantage=_advantage(held, earnings),
        single=single,
        single_caught=caught[single],
        model_caught=caught[MODEL],
        still_here=int((n - y)[called].sum()),
        sensitivity=_sensitivity(held, cost),
        gains=_gains(held, single),
        curve=_curve(held, single),
    )


def _net(earned: tuple[Array, Array], held: HeldOut) -> tuple[float, float, float]:
    """Sum of what subscribers earn, with a normal interval for as many others like them."""
    n, y = held.subscribers, held.churned
    total = n.sum()
    net = float(y @ earned[0] + (n - y) @ earned[1])
    mean = net / total
    squares = float(y @ (earned[0] - mean) ** 2 + (n - y) @ (earned[1] - mean) ** 2)
    margin = float(stats.norm.isf((1 - CONFIDENCE) / 2) * np.sqrt(squares))
    return net, net - margin, net + margin


def _tenths(held: HeldOut, gain: float, cost: float) -> pd.DataFrame:
    """See `Retention.tenths`; `gain` is what calling one who would leave brings in on average."""
    frame = pd.DataFrame({
        "order": held.order, "subscribers": held.subscribers, "churned": held.churned,
        "sum": held.risk * held.subscribers,
    }).groupby("order", as_index=False).sum().sort_values("order", ascending=False)
    total, churned = frame["subscribers"].sum(), frame["churned"].sum()
    middle = frame["subscribers"].cumsum() - frame["subscribers"] / 2
    frame["tenth"] = np.minimum((GROUPS * middle / total).astype(int), GROUPS - 1) + 1
    found = _merged(frame.groupby("tenth")[["subscribers", "churned", "sum"]].sum())
    so_far = found.cumsum()
    rows = []
    for tenth, row in found.iterrows():
        n, c = int(row["subscribers"]), int(row["churned"])
        caught = int(so_far.loc[tenth, "churned"])
        rate = intervals.proportion(c, n, CONFIDENCE)
        part = intervals.proportion(c, int(churned), CONFIDENCE)
        gained = intervals.proportion(caught, int(churned), CONFIDENCE)
        share = n / total
        end = so_far.loc[tenth, "subscribers"] / total
        net = {name: n * (gain * getattr(rate, of) - cost)
               for name, of in (("net", "estimate"), ("net_low", "low"), ("net_high", "high"))}
        rows.append({
            "tenth": tenth, "from_share": end - share, "to_share": end, "subscribers": n,
            "churned": c, "predicted": row["sum"] / n, "rate": rate.estimate, "low": rate.low,
            "high": rate.high, "lift": part.estimate / share, "lift_low": part.low / share,
            "lift_high": part.high / share, "caught": gained.estimate, "caught_low": gained.low,
            "caught_high": gained.high, **net,
        })
    frame = pd.DataFrame(rows).set_index("tenth")
    return frame.assign(net_so_far=frame["net"].cumsum())


def _merged(groups: pd.DataFrame) -> pd.DataFrame:
    """The groups without those of less than half a tenth, which join the ones before them."""
    least = groups["subscribers"].sum() / GROUPS / 2
    kept: list[int] = []
    place = []
    for tenth, size in groups["subscribers"].items():
        if not kept or size >= least:
            kept.append(tenth)
        place.append(kept[-1])
    return groups.groupby(pd.Index(place, name="tenth")).sum()


def _policies(
    held: HeldOut, risks: Mapping[str, Array], earnings: Mapping[str, tuple[Array, Array]],
    break_even: float, success: float,
) -> pd.DataFrame:
    """See `Retention.policies`."""
    rows = []
    for policy in (MODEL, SINGLE, EVERYBODY):
        called = np.full(len(held.risk), True) if policy == EVERYBODY else (
            risks[policy] >= break_even)
        n, c = int(held.subscribers[called].sum()), int(held.churned[called].sum())
        net, low, high = _net(earnings[policy], held)
        rows.append({"policy": policy, "called": n, "churned": c, "rate": c / n if n else np.nan,
                     "kept": success * c, "net": net, "net_low": low, "net_high": high})
    return pd.DataFrame(rows).set_index("policy")


def _advantage(
    held: HeldOut, earnings: Mapping[str, tuple[Array, Array]]
) -> pd.DataFrame:
    """See `Retention.advantage`."""
    rows = []
    for other in (SINGLE, EVERYBODY):
        gap = tuple(a - b for a, b in zip(earnings[MODEL], earnings[other], strict=True))
        difference, low, high = _net(gap, held)
        rows.append({"policy": other, "difference": difference, "low": low, "high": high})
    return pd.DataFrame(rows).set_index("policy")


def _sensitivity(held: HeldOut, cost: float) -> pd.DataFrame:
    """See `Retention.sensitivity`."""
    n, y = held.subscribers, held.churned
    rows = []
    for success in SUCCESSES:
        for value in VALUES:
            called = held.risk >= cost / (success * value)
            net, low, high = _net((called * (success * value - cost), called * -cost), held)
            rows.append({
                "success": success, "value": value * cost, "break_even": cost / (success * value),
                "called": int(n[called].sum()), "net": net, "net_low": low, "net_high": high,
                "everybody": float(success * value * y.sum() - cost * n.sum()),
            })
    return pd.DataFrame(rows).set_index(["success", "value"])


def _gains(held: HeldOut, single: str) -> pd.DataFrame:
    """See `Retention.gains`."""
    total = int(held.churned.sum())
    rows = []
    for share in SHARES:
        caught, alone = (
            discrimination.top_share(risk, held.subscribers, held.churned, share)
            for risk in (held.order, held.alone[single]))
        limits = intervals.proportion(round(caught * total), total, CONFIDENCE)
        rows.append({"share": share, "model": caught, "model_low": limits.low,
                     "model_high": limits.high, "single": alone})
    return pd.DataFrame(rows).set_index("share")


def _curve(held: HeldOut, single: str) -> pd.DataFrame:
    """See `Retention.curve`."""
    counts = held.churned, held.subscribers
    risks = {"model": held.risk, "single": held.alone[single],
             "everybody": np.ones_like(held.risk)}
    return pd.DataFrame(
        {name: discrimination.net_benefit(risk, *counts, THRESHOLDS)
         for name, risk in risks.items()},
        index=pd.Index(THRESHOLDS, name="threshold"))
