"""The next steps that the source proposes, planned: a test of offers, a chart, a survey.

The table holds no dates: of those at risk it says how many have ever churned, not how many do in a
month or in the time of a test. So a test is planned for parts of that share, and the chart for
monthly rates: the one that follows if lengths of subscription are lifetimes, and some that are
assumed. Both are for those at risk who are still there, since nobody else can be enrolled or leave.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.churn.lengths import months_at_risk
from analysis.churn.reductions import Reductions
from analysis.stats import control_charts, intervals, power
from analysis.stats.control_charts import Limits
from analysis.stats.intervals import Interval

ALPHA, POWER = 0.05, 0.8
REDUCTIONS = (0.1, 0.2, 0.3)  # of the churn rate, by an offer: what a test should be able to see
PARTS = (1.0, 0.5, 0.25)  # of the share who have churned, that may fall into the time of a test
LIFETIMES = "lifetimes"  # the monthly rate of those whose lengths are read as lifetimes
# Other monthly rates, by the names of their rows: assumptions, and nothing else.
ASSUMED = {"assumed_low": 0.01, "assumed_middle": 0.02, "assumed_high": 0.05}
RISES = (0.2, 0.5, 1.0)  # of the monthly rate, that a chart should notice
QUARTER = 3  # months
MARGINS = (0.1, 0.05, 0.03)  # half widths of the interval of a share, from a survey
DIFFERENCE = 0.5  # of a score from 1 to 10: the least that matters
RESPONSES = (0.1, 0.3, 0.6, 0.9)  # shares of those asked that may answer


@dataclass(frozen=True)
class Plans:
    """What the next steps need.

    Attributes:
        last_month: Last month of subscription in which anybody churned; None if nobody did.
        at_risk: Subscribers of that month or less.
        churned: Those of them who churned: all who did.
        still_here: Those of them who did not: who can be enrolled, and who can leave.
        rate: The share of those at risk who have churned, ever.
        sizes: A randomised test of an offer, two equal groups, two-sided 5%, power 80%: index
            `part` (of the share who have churned, that falls into the time of the test), `fewer`
            (share of it that the offer prevents); `rate` without and `with_offer`, `group` (number
            of subscribers each), `enough` (whether those still here are as many as both groups).
            Empty where nobody at risk has churned, or nobody is still here.
        seen: Least reduction that all those still here, halved, would show with that power if the
            whole share fell into the time of the test, as a part of it; None if there is none.
        chart: Share who have churned by month of subscription, of those at risk, as a chart of
            shares; index `month`; see `control_charts.p_chart`. Empty where `sizes` is.
        monthly: The share who churn in a month, if lengths are lifetimes: churned over months at
            risk up to the last month (Wilson); None where `sizes` is empty.
        limits: Of a coming month, for those still here at that rate; None without it.
        watch: Index `case` (`LIFETIMES` and those of `ASSUMED`), `rise` (of the monthly rate): the
            monthly `rate`, the limits `low` and `high` of a month at it; `quarter`, the chance
            that one of three months signals after the rise; `run`, months until the first signal
            on average. Empty where `sizes` is.
        survey: Index `margin`: `answers`, the fewest for a 95% interval (Wilson) of a share whose
            ends are at most that far from it, whatever the share.
        score: Index `score` (satisfaction, engagement): `sd` and `answers` a group, for a
            difference of `DIFFERENCE` points between two groups; empty if no score varies.
        silence: Index `response` (share of those asked who answer): `low` and `high`, what the
            share of all may be when half of the answers say yes (Manski 1989).
    """

    last_month: int | None
    at_risk: int
    churned: int
    still_here: int
    rate: Interval
    sizes: pd.DataFrame
    seen: float | None
    chart: pd.DataFrame
    monthly: Interval | None
    limits: Limits | None
    watch: pd.DataFrame
    survey: pd.DataFrame
    score: pd.DataFrame
    silence: pd.DataFrame


def plans(base: Reductions) -> Plans:
    """Plans the next steps for the subscribers at risk: up to the last month with churn."""
    with_churn = base.months.month[base.months.churned > 0]
    last = int(with_churn.max()) if len(with_churn) else None
    months = base.months if last is None else base.months[base.months.month <= last]
    at_risk, churned = int(months.subscribers.sum()), int(months.churned.sum())
    rate = intervals.proportion(churned, at_risk)
    still_here = at_risk - churned
    can_change = 0 < churned < at_risk
    monthly = _monthly(base.months, churned, last) if can_change else None
    limits = control_charts.limits(still_here, monthly.estimate) if monthly else None
    return Plans(
        last_month=last,
        at_risk=at_risk,
        churned=churned,
        still_here=still_here,
        rate=rate,
        sizes=_sizes(rate.estimate, still_here),
        seen=_seen(rate.estimate, still_here),
        chart=_chart(months) if can_change else _chart(months.head(0)),
        monthly=monthly,
        limits=limits,
        watch=_watch(limits),
        survey=pd.DataFrame(
            {"answers": [_answers(margin) for margin in MARGINS]},
            index=pd.Index(MARGINS, name="margin")),
        score=_score(base),
        silence=pd.DataFrame(
            {"low": [r / 2 for r in RESPONSES], "high": [1 - r / 2 for r in RESPONSES]},
            index=pd.Index(RESPONSES, name="response")),
    )


def _monthly(months: pd.DataFrame, churned: int, last: int) -> Interval:
    """Churned over the months in which those of any length were at risk, up to the last one."""
    month, n = (months[name].to_numpy(dtype="int64") for name in ("month", "subscribers"))
    return intervals.proportion(churned, months_at_risk(month, n, (None, last)))


def _sizes(rate: float, still_here: int) -> pd.DataFrame:
    rows = []
    if 0 < rate < 1:
        for part in PARTS:
            for fewer in REDUCTIONS:
                baseline = part * rate
                # `proportions` plans a larger share in group b: the group without the offer.
                plan = power.proportions(
                    share_a=baseline * (1 - fewer), share_b=baseline, power=POWER, alpha=ALPHA)
                rows.append((part, fewer, baseline, baseline * (1 - fewer), plan.n_a,
                             2 * plan.n_a <= still_here))
    columns = ["part", "fewer", "rate", "with_offer", "group", "enough"]
    return pd.DataFrame(rows, columns=columns).set_index(["part", "fewer"])


def _seen(rate: float, still_here: int) -> float | None:
    """Searches the least reduction on a grid of per cents: the share in the group of the offer is
    what `power.proportions` takes as given, not what it finds."""
    group = still_here // 2
    if not 0 < rate < 1 or group < 2:
        return None
    for fewer in np.arange(1, 100) / 100:
        plan = power.proportions(
            share_a=rate * (1 - fewer), share_b=rate, n_a=group, alpha=ALPHA)
        if plan.power >= POWER:
            return float(fewer)
    return None


def _chart(months: pd.DataFrame) -> pd.DataFrame:
    index = pd.Index(months.month, name="month")
    if months.empty:
        columns = ["n", "successes", "share", "centre", "low", "high", "side"]
        return pd.DataFrame(columns=columns, index=index)
    return control_charts.p_chart(months.churned, months.subscribers).set_index(index)


def _watch(limits: Limits | None) -> pd.DataFrame:
    rows = []
    if limits is not None:
        cases = {LIFETIMES: limits} | {
            case: control_charts.limits(limits.n, rate) for case, rate in ASSUMED.items()}
        for case, found in cases.items():
            for rise in RISES:
                share = found.centre * (1 + rise)
                if share < 1:
                    rows.append((case, rise, found.centre, found.low, found.high,
                                 1 - (1 - found.signal(share)) ** QUARTER, found.run_length(share)))
    columns = ["case", "rise", "rate", "low", "high", "quarter", "run"]
    return pd.DataFrame(rows, columns=columns).set_index(["case", "rise"])


def _answers(margin: float) -> int:
    """Wilson's interval is widest at a half, where its half width is z / (2 sqrt(n + z^2))."""
    z2 = stats.norm.isf(ALPHA / 2) ** 2
    return int(np.ceil(z2 / (4 * margin**2) - z2))


def _score(base: Reductions) -> pd.DataFrame:
    scores = {name: base.numbers[name] for name in ("satisfaction_score", "engagement_rate")}
    rows = {
        name: (s.sd, power.means(sd=s.sd, difference=DIFFERENCE, power=POWER, alpha=ALPHA).n_a)
        for name, s in scores.items() if s.n > 1 and s.sd > 0
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["sd", "answers"])
    return frame.rename_axis("score")
