"""Churn by length of subscription, and what a cross-section can and cannot say of it.

Of each subscriber the table says how long the subscription has lasted and whether it has ended.
That can be read in two ways. Of those whose subscription is m months long, some share has churned
(`Lengths.by_month`, `Lengths.windows`): a description that assumes nothing. Or the length of those
who stay is a lifetime that is not over, so that everybody was at risk in all months up to their own
(`Lengths.curve`, `Lengths.survival`, `Lengths.hazards`): survival, right if whether somebody is in
the table does not depend on having left.

Where a statistic has no distribution in small counts, it gets one by dealing the churned at random
to the subscribers, which leaves the number of both by month as it is and takes any relation away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import gammaln, xlogy

from analysis.churn.reductions import Reductions
from analysis.stats import association, intervals, regression, two_proportions
from analysis.stats.decision import Finding
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Sums
from analysis.stats.survival import KaplanMeier, kaplan_meier
from analysis.stats.two_proportions import Share

SEED = 1970
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
RESAMPLES = 9_999
DRAWS = 2**20  # counts drawn at once
# Upper ends of the windows, in months; the last window is open. The first two are those of the
# source, which reports high churn within 3 months and better retention after 12.
EARLY, YEAR, TWO_YEARS = 3, 12, 24
WINDOWS = (EARLY, YEAR, TWO_YEARS)
HORIZONS = (3, 6, 12, 24)  # months at which survival is read
KEPT = (1, 12, 24)  # months for which those who left may stay in the table
LEAST_FOR_SLOPE = 10  # churned, and as many who stayed: with fewer an interval tells nothing
MOST_MONTHS = 120  # rows of `Lengths.by_month`

Span = tuple[int | None, int | None]  # months above the first, up to the second

# What is compared: the first span less the second.
COMPARISONS: dict[str, tuple[Span, Span]] = {
    "early_less_year": ((None, EARLY), (EARLY, YEAR)),
    "early_less_two_years": ((None, EARLY), (EARLY, TWO_YEARS)),
    "first_year_less_second": ((None, YEAR), (YEAR, TWO_YEARS)),
    "first_year_less_later": ((None, YEAR), (YEAR, None)),
    "two_years_less_later": ((None, TWO_YEARS), (TWO_YEARS, None)),
}


@dataclass(frozen=True)
class Change:
    """One change of the churn rate: a rate up to some month, another beyond it.

    Attributes:
        month: The last month of the first rate, by maximum likelihood.
        low, high: The first and the last month that the data leave possible (95% set).
        places: How many months that set holds.
        before, after: Both rates with Wilson intervals at the estimated place.
        statistic: Twice the log of the likelihood ratio against one rate throughout.
        p_value: Of one rate throughout, from churned dealt at random.
        advantage: By how much Akaike's (1974) criterion is better for this change than for a log
            odds of churn that is linear in the months; below 0 the slope is better. None where no
            slope can be fitted.
    """

    month: int
    low: int
    high: int
    places: int
    before: Interval
    after: Interval
    statistic: float
    p_value: float
    advantage: float | None


@dataclass(frozen=True)
class Tail:
    """The months after the last one in which anybody churned.

    Attributes:
        month: The last month in which anybody churned.
        subscribers: How many have been subscribed for longer.
        months: Of how many different lengths these are.
        log10_p: Log (base 10) of the probability that churned dealt at random to all subscribers
            leave a tail of so many.
    """

    month: int
    subscribers: int
    months: int
    log10_p: float


@dataclass(frozen=True)
class Within:
    """Churn within the months up to the last one in which anybody churned.

    Attributes:
        months: How many different lengths there are.
        subscribers, churned: Of these lengths.
        rate: Churned of them (Wilson).
        slope: Change of the rate a month, as a share; limits from HC3 errors. None with one
            month, or fewer than `LEAST_FOR_SLOPE` churned or stayed.
        z: Cochran and Armitage's statistic of the trend; 0 for a flat rate.
        p_trend: Two-sided, from churned dealt at random.
        chi_squared: Pearson's statistic of the counts by month about one rate.
        df: Its degrees of freedom, about which it lies where there is one rate and chance.
        p_uneven: Probability of months that differ as much or more, from churned dealt at random.
        p_even: The same of months that differ as little or less.
    """

    months: int
    subscribers: int
    churned: int
    rate: Interval
    slope: Interval | None
    z: float
    p_trend: float
    chi_squared: float
    df: int
    p_uneven: float
    p_even: float


@dataclass(frozen=True)
class ConstantHazard:
    """One monthly hazard for all months, held against the last month in which anybody churned.

    Attributes:
        hazard: Churned over months at risk, up to that month.
        before, after: Months at risk, all subscribers together, up to that month and beyond it.
        expected: Churned beyond it, if the hazard went on.
        log10_p: Log (base 10) of the probability that, given the churned, none of them falls into
            so many last months at risk.
    """

    hazard: float
    before: int
    after: int
    expected: float
    log10_p: float


@dataclass(frozen=True)
class Lengths:
    """Churn by length of subscription.

    Attributes:
        subscribers, churned: In the table.
        width: Months that a row of `by_month` spans; 1 unless there are more than `MOST_MONTHS`.
        by_month: Index `from_month`: `to_month`, `subscribers`, `churned`, `rate` with limits `low`
            and `high` that hold for all rows together (Wilson, Bonferroni).
        windows: Index `window`: `from_month`, `to_month` (missing: open), `subscribers`,
            `churned`, `rate`, `low`, `high` (Wilson, for all windows together). Those without
            subscribers are left out.
        comparisons: Index `comparison`, of `COMPARISONS`: `subscribers_a`, `churned_a`, `rate_a`,
            `subscribers_b`, `churned_b`, `rate_b`; `difference` a less b with `low`, `high`
            (Newcombe, for each alone); `p_value`, `method`, `p_adjusted` (Holm),
            `finding` (see `Finding`). Spans without subscribers are left out.
        hazards: Index `comparison`, the spans where lengths of those who stay are read as
            censored lifetimes, as far as anybody was at risk in both: months at risk, all
            subscribers together, `at_risk_a`, `at_risk_b`; churned a month at risk `hazard_a`,
            `hazard_b`; `ratio` a over b with `low`, `high` (Katz, for each alone; missing where
            either is 0); `p_value`, `method`, `p_adjusted` (Holm), `finding`.
        change: A single change of the rate; None where everybody or nobody churned, or all have
            one length.
        tail: The months without any churned at the end; None where nobody churned or there are no
            such months.
        within: The months before that; None where everybody or nobody there churned.
        curve: Kaplan-Meier, lengths of those who stay read as censored lifetimes.
        survival: Index `months`, of `HORIZONS`, as far as anybody was observed: `survival` with
            `low`, `high` (log-log; missing where it is 0), `at_risk` (subscribed that long or
            longer).
        constant: A constant hazard against `tail`; None where that is.
        implied: Index `kept_months`, of `KEPT`: the monthly `hazard` with `low`, `high` that gives
            the rate of `within` where leavers stay so long in the table; see `implied_hazard`.
            Empty where `within` is missing.
        survivors: Index `window`: `rate`, and the churned share that a constant hazard would show:
            `all_kept`, with all leavers in the table, `year_kept`, with those of the last `YEAR`
            months. Empty where no hazard gives the table's share of churned; see `shown_shares`.
        all_kept_hazard, year_kept_hazard: These hazards, a month; None where there are none.
    """

    subscribers: int
    churned: int
    width: int
    by_month: pd.DataFrame
    windows: pd.DataFrame
    comparisons: pd.DataFrame
    hazards: pd.DataFrame
    change: Change | None
    tail: Tail | None
    within: Within | None
    curve: KaplanMeier
    survival: pd.DataFrame
    constant: ConstantHazard | None
    implied: pd.DataFrame
    survivors: pd.DataFrame
    all_kept_hazard: float | None
    year_kept_hazard: float | None


def lengths(base: Reductions) -> Lengths:
    """Churn by length of subscription, from the counts by month.

    Args:
        base: The reduced subscribers.
    """
    counts = base.months[["month", "subscribers", "churned"]].astype("int64")
    month, n, churned = (counts[name].to_numpy() for name in counts)
    width = max(1, math.ceil((month[-1] - month[0] + 1) / MOST_MONTHS))
    tail = _tail(month, n, churned)
    within = _within(month, n, churned)
    windows = _windows(counts)
    curve = kaplan_meier(month, churned, n - churned, CONFIDENCE)
    hazards = {kept: _matching_hazard(month, n, churned, kept) for kept in (None, YEAR)}
    return Lengths(
        subscribers=int(n.sum()),
        churned=int(churned.sum()),
        width=width,
        by_month=_months(counts, width),
        windows=windows,
        comparisons=_comparisons(counts),
        hazards=_hazards(counts),
        change=change_point(month, n, churned),
        tail=tail,
        within=within,
        curve=curve,
        survival=_survival(curve),
        constant=constant_hazard(month, n, churned) if tail else None,
        implied=_implied(within),
        survivors=_survivors(windows, int(month[-1]), hazards),
        all_kept_hazard=hazards[None],
        year_kept_hazard=hazards[YEAR],
    )


def window(span: Span) -> str:
    """A span's name: "up_to_3", "4_to_12", "over_24"."""
    above, up_to = span
    if above is None:
        return f"up_to_{up_to}"
    return f"over_{above}" if up_to is None else f"{above + 1}_to_{up_to}"


def _inside(month: NDArray[np.int64], span: Span) -> NDArray[np.bool_]:
    above, up_to = span
    inside = np.ones(month.size, dtype=bool)
    if above is not None:
        inside &= month > above
    if up_to is not None:
        inside &= month <= up_to
    return inside


def _rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Counts with the churned share and limits that hold for all rows together."""
    confidence = 1 - ALPHA / len(frame)
    found = [
        intervals.proportion(churned, n, confidence)
        for n, churned in zip(frame["subscribers"], frame["churned"], strict=True)
    ]
    return frame.assign(
        rate=[i.estimate for i in found], low=[i.low for i in found], high=[i.high for i in found])


def _months(counts: pd.DataFrame, width: int) -> pd.DataFrame:
    first = counts["month"].iloc[0]
    place = (counts["month"] - first) // width
    grouped = counts.groupby(place)[["subscribers", "churned"]].sum()
    grouped.insert(0, "to_month", first + (grouped.index + 1) * width - 1)
    grouped.index = pd.Index(first + grouped.index * width, name="from_month")
    return _rates(grouped)


def _windows(counts: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for above, up_to in zip((None, *WINDOWS), (*WINDOWS, None), strict=True):
        inside = counts[_inside(counts["month"].to_numpy(), (above, up_to))]
        if len(inside):
            rows.append({
                "window": window((above, up_to)),
                "from_month": 0 if above is None else above + 1,
                "to_month": math.nan if up_to is None else float(up_to),
                "subscribers": int(inside["subscribers"].sum()),
                "churned": int(inside["churned"].sum()),
            })
    return _rates(pd.DataFrame(rows).set_index("window"))


_COMPARED = [
    "comparison", "subscribers_a", "churned_a", "rate_a", "subscribers_b", "churned_b", "rate_b",
    "difference", "low", "high", "p_value", "method",
]


def _comparisons(counts: pd.DataFrame) -> pd.DataFrame:
    """Differences of the churned share between spans of months."""
    month, rows = counts["month"].to_numpy(), []
    for name, pair in COMPARISONS.items():
        parts = [counts[_inside(month, span)] for span in pair]
        if not all(map(len, parts)):
            continue
        a, b = (Share(*part[["churned", "subscribers"]].sum()) for part in parts)
        gap = two_proportions.difference(a, b, CONFIDENCE)
        p, method = _test(a, b)
        rows.append((name, a.n, a.successes, a.value, b.n, b.successes, b.value, gap.estimate,
                     gap.low, gap.high, p, method))
    frame = pd.DataFrame(rows, columns=_COMPARED).set_index("comparison")
    return _decided(frame, frame["difference"])


_AT_RISK = [
    "comparison", "at_risk_a", "hazard_a", "at_risk_b", "hazard_b", "ratio", "low", "high",
    "p_value", "method",
]


def _hazards(counts: pd.DataFrame) -> pd.DataFrame:
    """Ratios of the churned a month at risk between spans of months."""
    month, n, churned = (counts[name].to_numpy() for name in ("month", "subscribers", "churned"))
    rows = []
    for name, pair in COMPARISONS.items():
        at_risk = [months_at_risk(month, n, span) for span in pair]
        if not all(at_risk):
            continue
        a, b = (
            Share(int(churned[_inside(month, span)].sum()), size)
            for span, size in zip(pair, at_risk, strict=True)
        )
        found = two_proportions.ratio(a, b, CONFIDENCE)
        ends = (found.value, found.low, found.high) if found else (math.nan,) * 3
        rows.append((name, a.n, a.value, b.n, b.value, *ends, *_test(a, b)))
    frame = pd.DataFrame(rows, columns=_AT_RISK).set_index("comparison")
    return _decided(frame, frame["hazard_a"] - frame["hazard_b"])


def months_at_risk(month: NDArray[np.int64], n: NDArray[np.int64], span: Span) -> int:
    """Months of a span in which somebody was subscribed, over all subscribers.

    Somebody whose subscription is m months long was subscribed in months 1 to m, and in month 0
    where the table counts one.

    Args:
        month: Months that occur, ascending.
        n: Subscribers by month.
        span: The months that count.
    """
    above, up_to = span
    above = max(-1 if above is None else above, min(1, int(month[0])) - 1)
    until = month if up_to is None else np.minimum(month, up_to)
    return int(n @ np.maximum(until - above, 0))


def _decided(frame: pd.DataFrame, difference: pd.Series) -> pd.DataFrame:
    """A family of tests with corrected p-values and what they show."""
    frame["p_adjusted"] = holm(frame["p_value"].astype(float))
    frame["finding"] = [
        (Finding.INCONCLUSIVE if p > ALPHA else Finding.HIGHER if gap > 0 else Finding.LOWER).value
        for p, gap in zip(frame["p_adjusted"], difference, strict=True)
    ]
    return frame


def _test(a: Share, b: Share) -> tuple[float, str]:
    """The p-value of equal shares; 1 where nobody or everybody counts, as no table says less."""
    try:
        found = association.association(
            [[a.successes, a.n - a.successes], [b.successes, b.n - b.successes]])
    except ValueError:
        return 1.0, "none"
    return found.p_value, found.method


def _dealt(n: NDArray[np.int64], churned: int, rng: np.random.Generator):
    """Churned by month, dealt at random to the subscribers, in parts that fit the memory."""
    rows = max(1, DRAWS // n.size)
    for start in range(0, RESAMPLES, rows):
        yield rng.multivariate_hypergeometric(
            n, churned, size=min(rows, RESAMPLES - start), method="marginals")


def _p(as_extreme: int) -> float:
    """A p-value that counts the observed table among the drawn (Davison & Hinkley 1997, 4.2)."""
    return (1 + as_extreme) / (1 + RESAMPLES)


def split_statistics(n: NDArray[np.int64], churned: NDArray[np.int64]) -> NDArray[np.float64]:
    """Likelihood-ratio statistics of two rates against one, for a split after each month.

    Args:
        n: Subscribers by month, shape (k,).
        churned: Churned by month, shape (..., k).

    Returns:
        Shape (..., k - 1): twice the log-likelihood ratio.
    """
    n_before, y_before = np.cumsum(n)[:-1], np.cumsum(churned, axis=-1)
    n_all, y_all = n.sum(), y_before[..., -1:]
    y_before = y_before[..., :-1]

    def fitted(y, total):
        """The largest log-likelihood of y churned of a total."""
        return xlogy(y, y / total) + xlogy(total - y, (total - y) / total)

    apart = fitted(y_before, n_before) + fitted(y_all - y_before, n_all - n_before)
    return 2 * (apart - fitted(y_all, n_all))


def change_point(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64]
) -> Change | None:
    """A single change of the churn rate along the months (Hinkley & Hinkley 1970; Worsley 1983).

    The place is where two rates fit best. The largest statistic over all places is tested against
    the largest ones of tables in which the churned are dealt at random. The set of possible places
    holds those whose statistic is short of the largest by no more than it is in 95% of tables drawn
    with the fitted rates and place.

    Args:
        month: Months that occur, ascending, shape (k,).
        n, churned: Subscribers and churned by month.

    Returns:
        None where nobody or everybody churned, or there is one month only.
    """
    total = int(churned.sum())
    if month.size < 2 or total in (0, int(n.sum())):
        return None
    rng = np.random.default_rng(SEED)
    found = split_statistics(n, churned)
    place = int(found.argmax())
    tie = 1e-9 * (1 + found[place])  # statistics that are equal differ by rounding
    extreme = sum(
        int((split_statistics(n, drawn).max(axis=-1) >= found[place] - tie).sum())
        for drawn in _dealt(n, total, rng)
    )
    left = slice(0, place + 1), slice(place + 1, None)
    before, after = (
        intervals.proportion(int(churned[part].sum()), int(n[part].sum()), CONFIDENCE)
        for part in left
    )
    rate = np.where(np.arange(month.size) <= place, before.estimate, after.estimate)
    short = []
    rows = max(1, DRAWS // n.size)
    for start in range(0, RESAMPLES, rows):
        drawn = rng.binomial(n, rate, size=(min(rows, RESAMPLES - start), n.size))
        statistics = split_statistics(n, drawn)
        short.append(statistics.max(axis=-1) - statistics[:, place])
    allowed = float(np.quantile(np.concatenate(short), CONFIDENCE))
    possible = month[:-1][found >= found[place] - allowed - tie]
    return Change(
        month=int(month[place]), low=int(possible[0]), high=int(possible[-1]),
        places=int(possible.size), before=before, after=after,
        statistic=float(found[place]), p_value=_p(extreme),
        advantage=_advantage(month, n, churned, float(found[place])),
    )


def _advantage(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64], statistic: float
) -> float | None:
    column = regression.Column("month", "month", "0", numeric=True)
    try:
        fit = regression.logit(
            regression.design([(column, month - float(month.mean()))], month.size), churned, n)
    except ValueError:  # months that tell churned and stayed apart
        return None
    slope = 2 * (fit.log_likelihood - fit.log_likelihood_null)
    # A change has a rate and a place more than one rate has, a slope one coefficient.
    return float((statistic - 2 * 2) - (slope - 2 * 1))


def _last(churned: NDArray[np.int64]) -> int:
    """The position of the last month in which anybody churned."""
    return int(np.flatnonzero(churned)[-1])


def _tail(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64]
) -> Tail | None:
    if not churned.any() or _last(churned) == month.size - 1:
        return None
    last = _last(churned)
    later = int(n[last + 1:].sum())
    return Tail(
        month=int(month[last]), subscribers=later, months=month.size - 1 - last,
        log10_p=_log10_none(int(churned.sum()), later, int(n.sum())),
    )


def _log10_none(drawn: int, marked: int, total: int) -> float:
    """log10 of the probability that none of the drawn is among the marked (hypergeometric)."""
    free = total - marked
    log = (gammaln(free + 1) - gammaln(free - drawn + 1)
           - gammaln(total + 1) + gammaln(total - drawn + 1))
    return float(min(log, 0.0) / math.log(10))


def _within(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64]
) -> Within | None:
    """Whether the rate is flat over the months in which there is churn at all."""
    total = int(churned.sum())
    if not total:
        return None
    part = slice(0, _last(churned) + 1)
    month, n, churned = month[part], n[part], churned[part]
    everybody = int(n.sum())
    if total == everybody:
        return None
    share = total / everybody
    centred = month - n @ month / everybody
    variance = share * (1 - share)
    spread = math.sqrt(variance * (n @ centred**2))
    expected = n * share
    score = float(churned @ centred)
    chi_squared = float(((churned - expected) ** 2 / (n * variance)).sum())
    steeper, more, less = 0, 0, 0
    rng = np.random.default_rng(SEED)
    for drawn in _dealt(n, total, rng):
        steeper += int((np.abs(drawn @ centred) >= abs(score) - 1e-9 * (1 + spread)).sum())
        statistics = ((drawn - expected) ** 2 / (n * variance)).sum(axis=1)
        more += int((statistics >= chi_squared * (1 - 1e-9) - 1e-9).sum())
        less += int((statistics <= chi_squared * (1 + 1e-9) + 1e-9).sum())
    return Within(
        months=month.size, subscribers=everybody, churned=total,
        rate=intervals.proportion(total, everybody, CONFIDENCE),
        slope=_slope(month, n, churned),
        z=score / spread if spread > 0 else 0.0,
        p_trend=_p(steeper), chi_squared=chi_squared, df=month.size - 1,
        p_uneven=_p(more), p_even=_p(less),
    )


def _slope(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64]
) -> Interval | None:
    """Change of the churned share a month, by least squares."""
    if month.size < 2 or min(churned.sum(), (n - churned).sum()) < LEAST_FOR_SLOPE:
        return None
    column = regression.Column("month", "month", "0", numeric=True)
    values = month - float(month.mean())
    y = churned.astype(float)
    try:
        fit = regression.least_squares(
            regression.design([(column, values)], month.size), Sums(n.astype(float), y, y),
            CONFIDENCE)
    except ValueError:  # one subscriber alone decides
        return None
    row = fit.coefficient("month", "month")
    value, low, high = (float(row[name]) for name in ("estimate", "low", "high"))
    return Interval(value, low, high, CONFIDENCE, "least squares, HC3")


def _survival(curve: KaplanMeier) -> pd.DataFrame:
    rows = []
    for months in HORIZONS:
        if months <= curve.time[-1] or curve.survival[-1] == 0:
            found = curve.survival_at(months)
            rows.append({
                "months": months, "survival": found.estimate, "low": found.low, "high": found.high,
                "at_risk": int((curve.events + curve.censored)[curve.time >= months].sum()),
            })
    columns = ["months", "survival", "low", "high", "at_risk"]
    return pd.DataFrame(rows, columns=columns).set_index("months")


def constant_hazard(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64]
) -> ConstantHazard:
    """A hazard that goes on beyond the last month in which anybody churned.

    With one hazard, all months at risk (see `months_at_risk`) are alike, and given their number and
    that of the churned, each choice of months for the churned is as likely as any other.

    Args:
        month: Months that occur, ascending, the last ones without churned.
        n, churned: Subscribers and churned by month.
    """
    last = int(month[_last(churned)])
    before, after = (months_at_risk(month, n, span) for span in ((None, last), (last, None)))
    total = int(churned.sum())
    return ConstantHazard(
        hazard=total / before, before=before, after=after, expected=total / before * after,
        log10_p=_log10_none(total, after, before + after),
    )


def implied_hazard(share: float, kept_months: int) -> float:
    """The constant monthly hazard behind a churned share, when leavers stay so long in the table.

    With steady joining and a hazard h, each month loses h for every 1 - h who stay on at the same
    length, and the table collects `kept_months` such losses beside the stayers: the odds of having
    churned are kept_months h / (1 - h), at every length.

    Args:
        share: Churned among all of some length, below 1.
        kept_months: Months for which leavers stay in the table, at least 1.
    """
    odds = share / (1 - share)
    return odds / (kept_months + odds)


def shown_shares(
    hazard: float, longest: int, kept_months: int | None = None, first: int = 1
) -> pd.DataFrame:
    """What a table shows by length when nobody grows loyal.

    Somebody joins each month, over `longest` months, and leaves with the same probability in each
    month; the table holds all who stay, and those who left within the last `kept_months`, with the
    length at which they left. Leavers of length t must have joined between t months ago and the
    first month, so there are the fewer of them the longer t is, in proportion to the stayers of the
    same length: the churned share falls without any loyalty.

    Args:
        hazard: Probability of leaving in a month, within (0, 1).
        longest: Months since the first joined.
        kept_months: Months for which leavers stay in the table; None: for ever.
        first: The first month asked for.

    Returns:
        Index `month`, `first` to `longest`: `stay` and `left`, in relation to one subscriber a
        month who gets as far as `first`.
    """
    month = np.arange(first, longest + 1)
    cohorts = longest - month + 1
    if kept_months is not None:
        cohorts = np.minimum(cohorts, kept_months)
    reached = np.exp((month - first) * np.log1p(-hazard))
    return pd.DataFrame(
        {"stay": (1 - hazard) * reached, "left": cohorts * hazard * reached},
        index=pd.Index(month, name="month"),
    )


def _matching_hazard(
    month: NDArray[np.int64], n: NDArray[np.int64], churned: NDArray[np.int64],
    kept_months: int | None,
) -> float | None:
    """The constant hazard that shows the table's share of churned over all lengths."""
    longest = int(month[-1])
    share = float(churned.sum() / n.sum())
    if longest < 1 or share in (0.0, 1.0):
        return None

    def excess(log_odds: float) -> float:
        return _left(shown_shares(1 / (1 + math.exp(-log_odds)), longest, kept_months)) - share

    return 1 / (1 + math.exp(-optimize.brentq(excess, -40, 36, xtol=1e-12)))


def _survivors(
    windows: pd.DataFrame, longest: int, hazards: dict[int | None, float | None]
) -> pd.DataFrame:
    columns = ["rate", "all_kept", "year_kept"]
    if hazards[None] is None:
        return pd.DataFrame(columns=columns, index=pd.Index([], name="window"), dtype=float)
    frame = windows[["rate"]].copy()
    for name, kept in (("all_kept", None), ("year_kept", YEAR)):
        ends = windows["to_month"].fillna(longest)
        frame[name] = [
            _left(shown_shares(hazards[kept], longest, kept, max(first, 1)).loc[:last])
            for first, last in zip(windows["from_month"], ends, strict=True)
        ]
    return frame


def _left(shown: pd.DataFrame) -> float:
    return float(shown["left"].sum() / shown.to_numpy().sum())


def _implied(within: Within | None) -> pd.DataFrame:
    rows = []
    for kept in KEPT if within is not None else ():
        ends = (within.rate.estimate, within.rate.low, within.rate.high)
        hazard, low, high = (implied_hazard(share, kept) for share in ends)
        rows.append({"kept_months": kept, "hazard": hazard, "low": low, "high": high})
    columns = ["kept_months", "hazard", "low", "high"]
    return pd.DataFrame(rows, columns=columns).set_index("kept_months")
