"""What customers are worth: so far, by the simple formula, and as BG/NBD and Gamma-Gamma expect it.

A purchase is all that a customer ordered on one calendar day. What a customer will spend is told
from all purchases so far, the first, too, unless first purchases are unlike later ones
(`like_first`): most customers have no other. The models are fitted to counts of customers with the
same history (`transactions`); what they expect of each history then goes back to where the orders
are, is joined to the customers there, and comes home summed by group. So a customer's expected
value rests on his own purchases and amounts, and no customer is fetched.

Three kinds of uncertainty make the intervals of expected value. Parameters: the delta method, from
the observed information of both fits. Customers: two with the same history differ in rate, in
whether they have left and in what they spend; how much follows from the models, too. Sampling: a
channel's customers are taken for a sample of those that it brings, so the spread of their
expectations counts as well. The intervals are normal on the scale of the logarithm.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from analysis.days import day_of, iso_day
from analysis.mooc import segments
from analysis.mooc.reduce import MISSING, collect
from analysis.mooc.transactions import (
    STEPS_A_LOG_UNIT,
    Transactions,
    customers,
    transaction_days,
    transactions,
)
from analysis.stats import intervals, several_means
from analysis.stats.association import GoodnessOfFit, goodness_of_fit
from analysis.stats.intervals import Interval
from analysis.stats.likelihood import Fitted, NoFit
from analysis.stats.moments import Counts, PairMoments
from analysis.stats.multiplicity import holm
from analysis.stats.purchases import BgNbd, bg_nbd
from analysis.stats.several_means import Anova
from analysis.stats.spending import GammaGamma, gamma_gamma, independence

SEED = 2005
CONFIDENCE = 0.95
WEEK = 7  # days: the unit of time of the models
HORIZON = 365  # days ahead
HOLDOUT_SHARE = 1 / 3  # of the days, the last ones, to check predictions against
LEAST_CUSTOMERS = 10  # for an interval of what they have paid
LEAST_AGAIN = 30  # customers who bought again, for a model
FIRST_ALIKE = 0.1  # first purchases count, unless shown to be further than this from later ones
LEAST_HELD = 30  # customers of a group in the check against the holdout
MOST_REPEATS = 7  # repeat purchases that stand for themselves; more are put together
LEAST_EXPECTED = 5.0  # customers in a class of the test of fit
PERIODS = (30, 91, 182)  # days of silence after which the simple formula calls a customer lost
MARGINS = (0.25, 0.5, 0.75, 1.0)
MARGIN = 0.5  # assumed share of revenue that is left: the tables hold no cost
TENTHS = 10
TOP = 0.1
RESAMPLES = 999
FREQUENCIES = (1, 2, 3, 4, 6, 8, 12)  # of the matrix of frequency and recency
SILENCES = (1, 4, 8, 13, 20, 26, 39, 52, 65, 78, 104)  # its weeks since the last purchase
SMALL_CORRELATION = 0.1
CENT = 0.005  # less than half of one is what float sums leave of nothing


@dataclass(frozen=True)
class History:
    """What has been paid so far; money in the currency of the tables.

    Attributes:
        users, customers: All users, and those with a purchase.
        purchases: Days on which a customer ordered, over all customers.
        revenue: Sum of all orders.
        per_user, per_customer: Mean revenue so far, with an interval (Hall); None where it can't
            be told, or with fewer than `LEAST_CUSTOMERS`.
        median, upper: Revenue that half, and that nine tenths of the customers stay below.
        top_share: Share of the revenue that the tenth of customers who spent most has brought;
            None if nothing was paid.
        first_mean: Mean of the customers' first purchases.
        first_value: The same with its t interval; None if they do not vary.
        again: Share of the customers who bought again.
    """

    users: int
    customers: int
    purchases: int
    revenue: float
    per_user: Interval | None
    per_customer: Interval | None
    median: float
    upper: float
    top_share: Interval | None
    first_mean: float
    first_value: Interval | None
    again: float


@dataclass(frozen=True)
class Purchases:
    """The fitted BG/NBD model.

    Attributes:
        fitted: The model; time in weeks.
        matrix: Index `frequency` (repeat purchases) and `silence` (weeks since the last purchase),
            for a customer first seen `matrix_age` weeks ago: `alive`, the probability, and
            `purchases` expected in the next `HORIZON` days.
        matrix_age: Weeks since the first purchase of the customer who has been one longest.
        new: Repeat purchases expected of a new customer within `HORIZON` days of the first.
        repeats: Customers by number of repeat purchases, against what the model expects of
            customers observed as long, tested by chi-squared; None with a single class.
        p_low: p of the same statistic with a degree of freedom less for each of the four
            parameters; None where that leaves none. The true p lies between this and `repeats`'
            (Chernoff & Lehmann 1954).
    """

    fitted: BgNbd
    matrix: pd.DataFrame
    matrix_age: int
    new: Interval
    repeats: GoodnessOfFit | None
    p_low: float | None


@dataclass(frozen=True)
class Holdout:
    """Predictions from the first days against what came later.

    Attributes:
        split, end: Last day of the calibration and of the holdout, ISO.
        days: Length of the holdout.
        fitted: BG/NBD, fitted to the calibration alone.
        by_frequency: Index `frequency` (repeat purchases in the calibration, the last one and
            more); `customers`; mean purchases in the holdout `predicted`, `naive` (had everybody
            gone on at the pace so far) and `actual`, with `low`, `high`: what customers with the
            same histories might as well have done; `z`, actual less predicted in standard errors
            of both, and `p_adjusted` (Holm over the groups).
        predicted, naive, actual: Purchases in the holdout of all who were customers by the split.
        ratio: Actual over predicted, with an interval for both uncertainties; None without any
            purchase.
        predicted_value, actual_value, value_ratio: The same for revenue; None if `spending` could
            not be fitted to the calibration.
        tracking: Index `day` (ISO, ends of weeks since the first order); cumulative repeat
            purchases of all customers, also of those who came later: `actual`, and `expected` with
            the calibration's parameters, given the days on which customers first bought.
    """

    split: str
    end: str
    days: int
    fitted: BgNbd
    by_frequency: pd.DataFrame
    predicted: float
    naive: float
    actual: int
    ratio: Interval | None
    predicted_value: float | None
    actual_value: float
    value_ratio: Interval | None
    tracking: pd.DataFrame


@dataclass(frozen=True)
class Forecast:
    """What the customers are expected to bring in the next `HORIZON` days, without their first one.

    Attributes:
        alive: Expected number of customers who have not left.
        purchases: Expected purchases of all customers.
        value: Expected value of a customer, mean of all; intervals for parameters and customers.
        total: Of all of them together.
        by_channel: Index `channel` (`referral_channel`): `customers`; means `spent` so far,
            `alive`, `purchases`, `value`, with `low`, `high` for parameters, customers and
            sampling.
        channel_test: Whether the channels' means of expected value differ (Welch); None where
            fewer than two channels have it.
        against_rest: Each channel against all others; see `several_means.against_rest`.
        tenths: Index `tenth`, of the customers by expected value, 1 the highest: `customers`;
            `least`, the smallest expected value; means `spent`, `alive`, `purchases`, `value`, with
            `low`, `high` for parameters and customers; `share` of the total. Customers with equal
            expectations (within half a per cent) stay together, so tenths can differ in size.
        top_share: Share of the total that the highest tenth is expected to bring.
        by_segment: Index `segment` (those of `segments.NAMES` that have customers at the end of
            observation): `customers`; means `spent`, `alive`, `purchases`, `value`, with `low`,
            `high` for parameters and customers; `share` of the total. None where the customers
            can't be told apart.
        segment_pairs: Index `above`, `below`, every two segments in their order: mean value of the
            one below less that of the one above, `difference`, with `low`, `high` (normal) for the
            parameters, which both share, and for customers; `p_value`, `p_adjusted` (Holm over the
            pairs). None likewise.
        by_start: Index `quarter` of the first purchase ("2024Q1"): `customers`, means `spent`,
            `alive`, `value`, with `low`, `high` for parameters and customers.
        by_period: Index `days` (`PERIODS`): of customers who bought within the last so many days,
            `customers` and mean `value` with `low`, `high`.
        new: Value of a new customer within `HORIZON` days, first purchase included.
    """

    alive: float
    purchases: float
    value: Interval
    total: Interval
    by_channel: pd.DataFrame
    channel_test: Anova | None
    against_rest: pd.DataFrame
    tenths: pd.DataFrame
    top_share: Interval
    by_segment: pd.DataFrame | None
    segment_pairs: pd.DataFrame | None
    by_start: pd.DataFrame
    by_period: pd.DataFrame
    new: Interval


@dataclass(frozen=True)
class Value:
    """Customer lifetime value.

    Attributes:
        transactions: What the models rest on: of all orders ("all"), and with the last third of
            the days held out ("calibration").
        history: What has been paid so far.
        formula: The simple formula: index `days` (of `PERIODS`, those that fit twice into the
            orders); `active` customers of the period before the last; `churn`, the share of them
            who bought nothing in the last, with `churn_low`, `churn_high` (Wilson); of the last
            period `purchases` a customer who bought in it and `order_value`; `lifetime`, days
            (period over churn); `value`, order value x purchases / churn, at a margin of 100%, and
            `year_value`, the part of it that falls into `HORIZON` days. Missing without churn.
        purchases: BG/NBD, or None; then `no_purchases` says why.
        first_like: Mean first purchase over the mean of the later ones, of the customers who bought
            again; None where one of them is 0, or a single customer did.
        spending: Gamma-Gamma, or None; then `no_spending` says why. It rests on all purchases
            (`transactions["all"].with_first`) unless `first_like` is further than `FIRST_ALIKE`
            from 1, its whole interval; then on the later ones alone.
        parameters: Index `parameter`, of both models: `estimate`, `standard_error`, `low`, `high`.
        independence: Correlation of the number and the mean value of the purchases that count.
        holdout: The check, or None; then `no_holdout` says why.
        forecast: None without both models.
    """

    transactions: Mapping[str, Transactions]
    history: History
    formula: pd.DataFrame
    purchases: Purchases | None
    no_purchases: str | None
    first_like: Interval | None
    spending: GammaGamma | None
    no_spending: str | None
    parameters: pd.DataFrame
    independence: Interval | None
    holdout: Holdout | None
    no_holdout: str | None
    forecast: Forecast | None


def value(orders: ir.Table, users: ir.Table, first: dt.date, end: dt.date) -> Value:
    """Customer value at the end of a day.

    Args:
        orders: mooc/orders.
        users: mooc/users.
        first: Day of the first order.
        end: Last day of observation.

    Raises:
        ValueError: No order up to `end`.
    """
    held = round(HOLDOUT_SHARE * (end - first).days)
    first_like = like_first(orders, end)
    with_first = first_like is None or (
        first_like.low <= 1 + FIRST_ALIKE and first_like.high >= 1 - FIRST_ALIKE)
    full = transactions(orders, end, with_first=with_first)
    calibration = transactions(
        orders, end, end - dt.timedelta(days=held), with_first=with_first)
    fitted, no_purchases = _fitted(_purchases_of, full)
    spending, no_spending = _fitted(_spending_of, full)
    holdout, no_holdout = None, "the orders span too few days to hold any out"
    if held:
        early, no_holdout = _fitted(_purchases_of, calibration)
        if early is not None:
            holdout = _holdout(calibration, early, first)
    history = _history(orders, users, full)
    models = [model for model in (fitted, spending) if model is not None]
    rows = [
        (name, model.interval(name, CONFIDENCE), model.standard_error(name))
        for model in models for name in model.NAMES
    ]
    paid = full.values.reset_index()
    return Value(
        transactions={"all": full, "calibration": calibration},
        history=history,
        formula=_formula(orders, first, end),
        purchases=_purchases(full, fitted) if fitted is not None else None,
        no_purchases=no_purchases,
        first_like=first_like,
        spending=spending,
        no_spending=no_spending,
        parameters=pd.DataFrame(
            [(name, i.estimate, error, i.low, i.high) for name, i, error in rows],
            columns=["parameter", "estimate", "standard_error", "low", "high"],
        ).set_index("parameter"),
        independence=independence(paid.counted, paid.mean_value, paid.customers, CONFIDENCE)
        if len(paid) else None,
        holdout=holdout,
        no_holdout=no_holdout,
        forecast=_forecast(orders, users, full, fitted, spending, history)
        if fitted is not None and spending is not None else None,
    )


def like_first(orders: ir.Table, end: dt.date) -> Interval | None:
    """Mean first purchase over the mean of the later ones, of customers who bought again by `end`.

    Amounts that vary as Gamma-Gamma have it that every purchase of a customer, the first too, is
    drawn from one distribution; then this is 1. Each customer counts once, with the mean of the
    later purchases. The interval is the delta method's, over customers.

    Returns:
        None with fewer than two such customers, or where a mean is 0.
    """
    later = _.value / _.frequency
    first = _.first_value
    row = customers(orders, end).filter(_.frequency > 0).agg(
        n=_.count(), first=first.mean(), later=later.mean(), first_variance=first.var(how="sample"),
        later_variance=later.var(how="sample"), product=(first * later).mean(),
    ).to_pandas().iloc[0]
    if row.n < 2 or not min(row["first"], row.later) > CENT:
        return None
    covariance = (row["product"] - row["first"] * row.later) * row.n / (row.n - 1)
    pair = PairMoments(int(row.n), float(row["first"]), float(row.later), float(row.first_variance),
                       float(row.later_variance), float(covariance))
    return intervals.ratio_of_means(pair, CONFIDENCE)


def _need_repeats(t: Transactions) -> None:
    if t.repeat_customers < LEAST_AGAIN:
        raise NoFit(f"fewer than {LEAST_AGAIN} customers bought again")


def _purchases_of(t: Transactions) -> BgNbd:
    _need_repeats(t)
    frame = t.histories.reset_index()
    return bg_nbd(frame.frequency, frame.recency / WEEK, frame.age / WEEK, frame.customers)


def _spending_of(t: Transactions) -> GammaGamma:
    _need_repeats(t)
    frame = t.values.reset_index()
    if frame.customers.sum() < LEAST_AGAIN:
        raise NoFit(f"fewer than {LEAST_AGAIN} customers paid for what they bought")
    model = gamma_gamma(frame.counted, frame.mean_value, frame.customers)
    if model.q <= 1:
        raise NoFit("customers differ so much in what they spend that the mean has no limit")
    return model


def _fitted(fit: Callable[[Transactions], Fitted], t: Transactions) -> tuple:
    """The model and None, or None and the reason."""
    try:
        return fit(t), None
    except NoFit as reason:
        return None, str(reason)


def _log_interval(estimate: float, error: float, method: str = "delta method") -> Interval:
    """Normal on the scale of the logarithm, for what is above 0."""
    if not estimate > 0:
        return Interval(estimate, 0.0, math.inf, CONFIDENCE, method)
    with np.errstate(over="ignore"):
        reach = float(np.exp(stats.norm.ppf((1 + CONFIDENCE) / 2) * error / estimate))
    return Interval(float(estimate), estimate / reach, estimate * reach, CONFIDENCE, method)


def _mean_or_none(find: Callable[..., Interval], *arguments) -> Interval | None:
    """An interval of a mean where the values allow one."""
    try:
        return find(*arguments, CONFIDENCE)
    except ValueError:
        return None


# So far


def _log_step(amount: ir.FloatingValue) -> ir.IntegerValue:
    """The number of an amount's step of half a per cent; nudged, so that no backend's rounding
    decides on which side of an edge it lies."""
    return ((amount * (1 + 1e-9)).ln() * STEPS_A_LOG_UNIT).floor().cast("int64")


def _history(orders: ir.Table, users: ir.Table, full: Transactions) -> History:
    each = customers(orders, dt.date.fromisoformat(full.end))
    paid = _.spent > CENT
    step = ibis.ifelse(paid, _log_step(ibis.greatest(_.spent, CENT)), -(10**6))
    first = _.first_value
    frame = collect(
        each.group_by(step=step).agg(
            customers=_.count(), spent=_.spent.sum(), purchases=(_.frequency + 1).sum(),
            first=first.sum(), first_squared=(first * first).sum(),
        ),
        ("step",),
    )
    free = frame.index == -(10**6)
    mean = np.where(free, 0.0, frame.spent / frame.customers)
    spent = Counts.of(mean, frame.customers)
    number, n = int(users.count().to_pandas()), int(frame.customers.sum())
    silent = max(0, number - n)
    everybody = Counts.of(np.append(mean, 0.0), np.append(frame.customers, silent))
    revenue = float(frame.spent.sum())
    firsts = several_means.moments_of_sums(n, frame["first"].sum(), frame.first_squared.sum())
    enough = n >= LEAST_CUSTOMERS
    return History(
        users=number,
        customers=n,
        purchases=int(frame.purchases.sum()),
        revenue=revenue,
        per_user=_mean_or_none(intervals.mean_skewed, everybody.moments) if enough else None,
        per_customer=_mean_or_none(intervals.mean_skewed, spent.moments) if enough else None,
        median=float(spent.quantiles(0.5)),
        upper=float(spent.quantiles(0.9)),
        top_share=intervals.top_share(spent, TOP, CONFIDENCE, resamples=RESAMPLES, seed=SEED)
        if revenue > CENT and n > 1 else None,
        first_mean=firsts.mean,
        first_value=_mean_or_none(intervals.mean_t, firsts),
        again=full.repeat_customers / full.customers,
    )


def _formula(orders: ir.Table, first: dt.date, end: dt.date) -> pd.DataFrame:
    """The simple formula for several definitions of who is lost."""
    span = (end - first).days + 1
    last_day = day_of(end)
    days = transaction_days(orders, end)
    each, totals = {}, {}
    for length in (period for period in PERIODS if 2 * period <= span):
        last = _.day > last_day - length
        before = (_.day > last_day - 2 * length) & (_.day <= last_day - length)
        each |= {
            f"last{length}": _.count(where=last), f"before{length}": _.count(where=before),
            f"amount{length}": _.amount.sum(where=last).fill_null(0.0),
        }
        totals |= {
            f"active{length}": (_[f"before{length}"] > 0).sum(),
            f"stayed{length}": ((_[f"before{length}"] > 0) & (_[f"last{length}"] > 0)).sum(),
            f"buyers{length}": (_[f"last{length}"] > 0).sum(),
            f"purchases{length}": _[f"last{length}"].sum(),
            f"revenue{length}": _[f"amount{length}"].sum(),
        }
    rows = []
    if totals:
        found = days.group_by("user_id").agg(**each).agg(**totals).to_pandas().iloc[0]
        for length in (period for period in PERIODS if f"active{period}" in found):
            active, stayed, buyers, purchases, revenue = (
                found[f"{name}{length}"]
                for name in ("active", "stayed", "buyers", "purchases", "revenue")
            )
            if not active or not buyers:
                continue
            lost = intervals.proportion(int(active - stayed), int(active), CONFIDENCE)
            churn, often, each_value = lost.estimate, purchases / buyers, revenue / purchases
            ever = churn > 0
            kept_year = 1 - (1 - churn) ** (HORIZON / length)
            rows.append({
                "days": length, "active": int(active), "churn": churn, "churn_low": lost.low,
                "churn_high": lost.high, "purchases": often, "order_value": each_value,
                "lifetime": length / churn if ever else math.nan,
                "value": each_value * often / churn if ever else math.nan,
                "year_value": each_value * often / churn * kept_year if ever else math.nan,
            })
    columns = ["days", "active", "churn", "churn_low", "churn_high", "purchases", "order_value",
               "lifetime", "value", "year_value"]
    return pd.DataFrame(rows, columns=columns).set_index("days")


# How often


def _purchases(t: Transactions, model: BgNbd) -> Purchases:
    frame = t.histories.reset_index()
    age = max(1, int(frame.age.max()) // WEEK)
    most = int(frame.frequency.max())
    cells = [(x, w) for x in FREQUENCIES if x <= most for w in SILENCES if w < age]
    x, silence = (np.array([cell[i] for cell in cells], dtype=float) for i in (0, 1))
    ahead = HORIZON / WEEK
    matrix = pd.DataFrame({
        "frequency": x.astype(int), "silence": silence.astype(int),
        "alive": model.alive(x, age - silence, age),
        "purchases": model.expected(ahead, x, age - silence, age),
    }).set_index(["frequency", "silence"]) if cells else pd.DataFrame(
        columns=["alive", "purchases"],
        index=pd.MultiIndex.from_arrays([[], []], names=["frequency", "silence"]))
    new = float(model.expected_of_new(ahead))
    by = model.sensitivity(lambda m: m.expected_of_new(ahead))
    repeats, p_low = _repeats(frame, model)
    return Purchases(
        fitted=model,
        matrix=matrix,
        matrix_age=age,
        new=_log_interval(new, math.sqrt(by @ model.covariance @ by)),
        repeats=repeats,
        p_low=p_low,
    )


def _repeats(frame: pd.DataFrame, model: BgNbd) -> tuple[GoodnessOfFit | None, float | None]:
    """Customers by number of repeat purchases, against the model."""
    n = frame.customers.sum()
    by_age = frame.groupby("age").customers.sum()
    single = np.arange(MOST_REPEATS)
    chance = model.probability(single, by_age.index.to_numpy()[:, None] / WEEK)
    expected = by_age.to_numpy() @ chance
    # As many classes as have enough expected customers, the last one and more included.
    classes = MOST_REPEATS
    while classes > 0 and (n - expected[:classes].sum() < LEAST_EXPECTED
                           or expected[:classes].min() < LEAST_EXPECTED):
        classes -= 1
    if not classes:
        return None, None
    of = frame.frequency.clip(upper=classes)
    observed = frame.groupby(of).customers.sum().reindex(range(classes + 1), fill_value=0)
    shares = np.append(expected[:classes] / n, 0.0)
    shares[-1] = 1 - shares.sum()
    names = list(map(str, observed.index))
    found = goodness_of_fit(
        dict(zip(names, map(int, observed), strict=True)),
        dict(zip(names, map(float, shares), strict=True)), confidence=CONFIDENCE, seed=SEED)
    left = found.df - len(model.NAMES)
    return found, float(stats.chi2.sf(found.statistic, left)) if left > 0 else None


def _holdout(t: Transactions, model: BgNbd, first: dt.date) -> Holdout:
    """The check of a model fitted up to `t.split`."""
    frame = t.histories.reset_index()
    split, end = dt.date.fromisoformat(t.split), dt.date.fromisoformat(t.end)
    days = (end - split).days
    x, n = frame.frequency.to_numpy(dtype=float), frame.customers.to_numpy(dtype=float)
    history = x, frame.recency.to_numpy() / WEEK, frame.age.to_numpy() / WEEK
    predicted = model.expected(days / WEEK, *history)
    by = model.sensitivity(lambda m: m.expected(days / WEEK, *history))
    actual = frame.holdout_transactions.to_numpy(dtype=float)
    squared = frame.holdout_transactions_squared - 2 * predicted * actual + n * predicted**2
    naive = np.divide(x * days, frame.age, out=np.zeros(len(x)), where=frame.age.to_numpy() > 0)
    sums = pd.DataFrame({
        "customers": n, "predicted": n * predicted, "naive": n * naive, "actual": actual,
        "squared": squared.clip(lower=0),  # rounding
    })
    at_least = [frame.customers[x >= repeats].sum() for repeats in range(MOST_REPEATS + 1)]
    most = max(k for k, many in enumerate(at_least) if many >= min(LEAST_HELD, at_least[0]))
    grouped = sums.groupby(np.minimum(x, most).astype(int)).sum().rename_axis("frequency")
    means = grouped[["predicted", "naive", "actual"]].div(grouped.customers, axis=0)
    reach = stats.norm.ppf((1 + CONFIDENCE) / 2) * np.sqrt(grouped.squared) / grouped.customers
    by_frequency = means.assign(low=(means.actual - reach).clip(lower=0), high=means.actual + reach)
    by_frequency.insert(0, "customers", grouped.customers.astype("int64"))
    slopes = pd.DataFrame(n[:, None] * by).groupby(np.minimum(x, most).astype(int)).sum()
    known = np.einsum("ij,jk,ik->i", slopes, model.covariance, slopes)
    z = (grouped.actual - grouped.predicted) / np.sqrt(grouped.squared + known)
    by_frequency = by_frequency.assign(z=z, p_adjusted=holm(2 * stats.norm.sf(np.abs(z))))

    total = sums.sum()
    slope = n @ by
    predicted_value = value_ratio = None
    spending, _reason = _fitted(_spending_of, t)
    if spending is not None:
        predicted_value, value_ratio = _held_value(t, predicted, by, model, spending)
    return Holdout(
        split=t.split,
        end=t.end,
        days=days,
        fitted=model,
        by_frequency=by_frequency,
        predicted=float(total.predicted),
        naive=float(total.naive),
        actual=int(total.actual),
        ratio=_ratio(total.actual, total.squared, total.predicted,
                     slope @ model.covariance @ slope),
        predicted_value=predicted_value,
        actual_value=float(frame.holdout_value.sum()),
        value_ratio=value_ratio,
        tracking=_tracking(t, model, first, end),
    )


def _held_value(
    t: Transactions, expected: np.ndarray, by: np.ndarray, model: BgNbd, spending: GammaGamma
) -> tuple[float, Interval | None]:
    """Revenue predicted for the holdout, and actual over predicted."""
    frame = t.histories.reset_index()
    n, paid = frame.customers.to_numpy(dtype=float), frame.value.to_numpy()

    def each(m: GammaGamma) -> np.ndarray:
        fixed, share = m.expectation(frame.frequency + t.with_first)
        return n * fixed + share * paid  # sums over the customers of a history

    worth = each(spending)
    predicted = expected * worth
    total = float(predicted.sum())
    slopes = by.T @ worth, expected @ spending.sensitivity(each)
    variance = sum(
        slope @ m.covariance @ slope for slope, m in zip(slopes, (model, spending), strict=True))
    actual = frame.holdout_value.to_numpy()
    mean = predicted / n
    squared = float((frame.holdout_value_squared - 2 * mean * actual + n * mean**2).sum())
    return total, _ratio(actual.sum(), squared, total, variance)


def _ratio(actual: float, scatter: float, predicted: float, variance: float) -> Interval | None:
    """Actual over predicted, from the variances of both."""
    if not (actual > 0 and predicted > 0):
        return None
    error = math.sqrt(max(0.0, scatter) / actual**2 + variance / predicted**2)
    ratio = float(actual / predicted)
    return _log_interval(ratio, ratio * error)


def _tracking(t: Transactions, model: BgNbd, first: dt.date, end: dt.date) -> pd.DataFrame:
    days = np.arange(day_of(first), day_of(end) + 1)
    daily = t.daily.reindex(iso_day(days), fill_value=0)
    expected = model.expected_of_new(np.arange(days.size) / WEEK)
    cumulative = np.convolve(daily["first"].to_numpy(dtype=float), expected)[: days.size]
    frame = pd.DataFrame({
        "actual": daily["repeat"].cumsum().to_numpy(), "expected": cumulative,
    }, index=daily.index)
    ends = np.arange(WEEK - 1, days.size, WEEK)
    if not ends.size or ends[-1] != days.size - 1:
        ends = np.append(ends, days.size - 1)
    return frame.iloc[ends]


# What is to come


def _forecast(
    orders: ir.Table, users: ir.Table, t: Transactions, purchases: BgNbd, spending: GammaGamma,
    history: History,
) -> Forecast:
    cells = _expectations(t, purchases, spending)
    each = customers(orders, dt.date.fromisoformat(t.end), with_first=t.with_first)
    valued = each.inner_join(ibis.memtable(cells), ["frequency", "recency", "age"])
    covariance = np.zeros((7, 7))
    covariance[:4, :4], covariance[4:, 4:] = purchases.covariance, spending.covariance

    expected = valued.fixed + valued.share * valued.value
    ranked = _sums(valued, spending, step=_log_step(ibis.greatest(expected, 1e-12)))
    # By the middle of a step, counted from the highest.
    above = ranked.customers.sum() - ranked.customers.cumsum() + ranked.customers / 2
    tenth = np.minimum(TENTHS * above // ranked.customers.sum(), TENTHS - 1).astype(int) + 1
    ranked["least"] = np.exp(ranked.index / STEPS_A_LOG_UNIT)
    least = ranked.groupby(tenth)["least"].min()
    sums = ranked.drop(columns="least").groupby(tenth).sum().rename_axis("tenth")
    total = sums.sum()
    tenths = _means(sums, covariance)
    tenths.insert(1, "least", least)

    of_users = users.select("user_id", channel=_.referral_channel)
    with_channel = valued.left_join(of_users, "user_id")
    channels = _sums(with_channel, spending, channel=_.channel)
    parts = _sums(valued, spending, quarter=_.quarter, period=_.period)
    starts = parts.groupby(level="quarter").sum()
    periods = parts.groupby(level="period").sum().sort_index()
    periods = periods[periods.index > 0].reindex(PERIODS, fill_value=0).cumsum()
    periods = periods[periods.customers > 0].rename_axis("days")
    groups = {
        str(channel): found for channel, row in channels.drop(MISSING, errors="ignore").iterrows()
        if (found := several_means.moments_of_sums(int(row.customers), row.value, row.square))
        and found.n > 1 and found.variance > 0
    }
    segment_sums = _segment_sums(orders, valued, spending, dt.date.fromisoformat(t.end))
    return Forecast(
        alive=float(total.alive),
        purchases=float(total.purchases),
        value=_mean_interval(total, covariance),
        total=_mean_interval(total, covariance, of=1.0),
        by_channel=_means(channels, covariance, sampled=True),
        channel_test=several_means.welch_anova(groups, CONFIDENCE) if len(groups) > 1 else None,
        against_rest=several_means.against_rest(groups, CONFIDENCE) if len(groups) > 1
        else several_means.against_rest({}),
        tenths=tenths.assign(share=sums.value / total.value),
        top_share=_top_share(sums, covariance),
        by_segment=None if segment_sums is None else _means(segment_sums, covariance).assign(
            share=segment_sums.value / segment_sums.value.sum()),
        segment_pairs=None if segment_sums is None else _pairs(segment_sums, covariance),
        by_start=_means(starts, covariance).drop(columns="purchases"),
        by_period=_means(periods, covariance)[["customers", "value", "low", "high"]],
        new=_new(purchases, spending, history, covariance),
    )


def _segment_sums(
    orders: ir.Table, valued: ir.Table, spending: GammaGamma, end: dt.date
) -> pd.DataFrame | None:
    """`_sums` by segment, in the order of the segments; None where there are none."""
    named = segments.customers_at(orders, end)
    if named is None:
        return None
    with_segment = valued.inner_join(named.select("user_id", "segment"), "user_id")
    sums = _sums(with_segment, spending, segment=_.segment).sort_index()
    sums.index = pd.Index([segments.NAMES[place] for place in sums.index], name="segment")
    return sums


def _pairs(sums: pd.DataFrame, covariance: np.ndarray) -> pd.DataFrame:
    """Every two groups, the mean of the later one less that of the earlier; see `Forecast`.

    The parameters move both means together, so their part of the variance is that of the
    difference of the slopes; the customers of two groups are independent.
    """
    means = sums.value / sums.customers
    slopes = sums[SLOPES].div(sums.customers, axis=0).astype(float)
    scatter = sums.latent.clip(lower=0) / sums.customers**2
    rows = []
    for above, below in combinations(sums.index, 2):
        slope = (slopes.loc[below] - slopes.loc[above]).to_numpy()
        known = max(0.0, float(slope @ covariance @ slope))
        error = math.sqrt(known + scatter[above] + scatter[below])
        rows.append((above, below, means[below] - means[above], error))
    frame = pd.DataFrame(rows, columns=["above", "below", "difference", "error"])
    frame = frame.set_index(["above", "below"]).astype(float)
    error = frame.pop("error")
    reach = stats.norm.ppf((1 + CONFIDENCE) / 2) * error
    p_value = 2 * stats.norm.sf(np.abs(frame.difference) / error)
    return frame.assign(
        low=frame.difference - reach, high=frame.difference + reach, p_value=p_value,
        p_adjusted=holm(p_value))


def _expectations(t: Transactions, purchases: BgNbd, spending: GammaGamma) -> pd.DataFrame:
    """What is expected of each history, one a row; value is a line in what counts of the spending.

    `fixed` and `share` are its intercept and slope, `fixed0` ... `share6` their derivatives by the
    logarithms of the seven parameters; `square` is the mean square of value over (gamma + spent)^2.
    `quarter` is that of the first purchase, `period` the shortest of `PERIODS` which reaches back
    to the last (0: none does).
    """
    keys = t.histories.index.to_frame(index=False)
    ahead = HORIZON / WEEK
    history = keys.frequency.to_numpy(float), keys.recency / WEEK, keys.age / WEEK
    history = tuple(np.asarray(values, dtype=float) for values in history)
    expected = purchases.expected(ahead, *history)
    counted = history[0] + t.with_first
    line = np.stack(spending.expectation(counted))  # intercept and slope, shape (2, cells)
    derivatives = np.concatenate([
        line[..., None] * purchases.sensitivity(lambda m: m.expected(ahead, *history)),
        expected[:, None] * spending.sensitivity(lambda m: np.stack(m.expectation(counted))),
    ], axis=-1)
    frame = keys.assign(
        alive=purchases.alive(*history),
        purchases=expected,
        fixed=expected * line[0],
        share=expected * line[1],
        square=purchases.expected_square(ahead, *history) * spending.expected_square(counted),
    )
    for k in range(derivatives.shape[-1]):
        frame[f"fixed{k}"], frame[f"share{k}"] = derivatives[0, :, k], derivatives[1, :, k]
    start = pd.to_datetime(t.end) - pd.to_timedelta(keys.age, unit="D")
    silence = (keys.age - keys.recency).to_numpy()
    period = np.array([*PERIODS, 0])[np.searchsorted(PERIODS, silence, side="right")]
    return frame.assign(quarter=start.dt.to_period("Q").astype(str), period=period)


def _sums(valued: ir.Table, spending: GammaGamma, **by: ir.Value) -> pd.DataFrame:
    """Sums over the customers of a group: what means and their intervals are made from."""
    value = _.fixed + _.share * _.value
    spread = _.square_each - value * value
    reductions = {
        "customers": _.count(), "spent": _.spent.sum(), "alive": _.alive.sum(),
        "purchases": _.purchases.sum(), "value": value.sum(), "square": (value * value).sum(),
        "latent": spread.sum(),
    }
    reductions |= {
        f"slope{k}": (_[f"fixed{k}"] + _[f"share{k}"] * _.value).sum() for k in range(7)}
    rows = valued.mutate(
        square_each=_.square * (_.value + spending.gamma) * (_.value + spending.gamma))
    return collect(rows.group_by(**by).agg(**reductions), tuple(by))


SLOPES = [f"slope{k}" for k in range(7)]


def _mean_interval(
    sums: pd.Series, covariance: np.ndarray, *, of: float | None = None, sampled: bool = False
) -> Interval:
    """The mean of the expected value over a group's customers (or the total, `of` 1)."""
    n = float(sums.customers)
    slope = sums[SLOPES].to_numpy(dtype=float)
    scatter = max(0.0, float(sums.latent))
    if sampled:
        scatter += max(0.0, float(sums.square - sums.value**2 / n)) * n / max(1.0, n - 1)
    error = math.sqrt(max(0.0, float(slope @ covariance @ slope)) + scatter)
    over = of or n
    return _log_interval(float(sums.value) / over, error / over)


def _means(sums: pd.DataFrame, covariance: np.ndarray, sampled: bool = False) -> pd.DataFrame:
    found = [_mean_interval(row, covariance, sampled=sampled) for _i, row in sums.iterrows()]
    frame = sums[["spent", "alive", "purchases", "value"]].div(sums.customers, axis=0)
    frame.insert(0, "customers", sums.customers.astype("int64"))
    return frame.assign(low=[i.low for i in found], high=[i.high for i in found])


def _top_share(sums: pd.DataFrame, covariance: np.ndarray) -> Interval:
    """The highest tenth's share of the expected value; the tenths' customers are independent."""
    top, rest = sums.iloc[0], sums.iloc[1:].sum()
    total = float(top.value + rest.value)
    share = float(top.value / total)
    slope = ((1 - share) * top[SLOPES] - share * rest[SLOPES]).to_numpy(dtype=float) / total
    scatter = (1 - share) ** 2 * max(0.0, top.latent) + share**2 * max(0.0, rest.latent)
    variance = max(0.0, float(slope @ covariance @ slope)) + scatter / total**2
    found = _log_interval(share, math.sqrt(variance))
    return Interval(share, found.low, min(1.0, found.high), CONFIDENCE, found.method)


def _new(
    purchases: BgNbd, spending: GammaGamma, history: History, covariance: np.ndarray
) -> Interval:
    """Value of a new customer: the first purchase, and what follows in `HORIZON` days."""
    ahead = HORIZON / WEEK
    often = float(purchases.expected_of_new(ahead))
    slope = np.concatenate([
        spending.mean * purchases.sensitivity(lambda m: m.expected_of_new(ahead)),
        often * spending.sensitivity(lambda m: np.asarray(m.mean)),
    ])
    first = history.first_value
    error = (first.high - first.low) / 2 / stats.norm.ppf((1 + CONFIDENCE) / 2) if first else 0.0
    variance = float(slope @ covariance @ slope) + error**2
    return _log_interval(history.first_mean + often * spending.mean, math.sqrt(variance))
