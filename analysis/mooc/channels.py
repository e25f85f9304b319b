"""Channels, in both senses: where an order was sold, and how a user found the platform.

People are the units of every interval. A customer's orders go together (who spends much on one
spends much on the next), and the same customers buy through several sales channels, so what a
channel earns an order is a ratio of two sums over customers, and its distance from the other
channels allows for the customers that they share.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.tools.sm_exceptions import PerfectSeparationWarning

from analysis.days import day_number, iso_day, iso_month, month_number
from analysis.mooc.reduce import MISSING, collect, sales, whole
from analysis.stats import effects, intervals, two_proportions
from analysis.stats.association import association
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments, PairMoments
from analysis.stats.multiplicity import holm
from analysis.stats.several_means import welch_anova
from analysis.stats.two_proportions import Share

SOLD = ("units", "orders", "customers")
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
LEAST_MONTHS = 4  # for a trend with its own spread
LEAST_CUSTOMERS = 30  # in a group and in the rest, for a normal interval of their difference
POWERS = ("people", "amount", "amount2", "amount3", "orders", "orders2", "both")


@dataclass(frozen=True)
class Differences:
    """Whether groups differ at all, in one test for all of them.

    Attributes:
        groups: Groups compared; those whose value is missing, or with fewer than two people, are
            not.
        conversion_p: Pearson's chi-squared test that the share of customers is the same.
        conversion_v, conversion_v_low, conversion_v_high: Cramér's V, corrected for its bias
            (Bergsma 2013), with its interval.
        customer_p: Welch's (1951) analysis of variance of the value a customer.
        user_p: The same of the value a user.
    """

    groups: int
    conversion_p: float | None
    conversion_v: float | None
    conversion_v_low: float | None
    conversion_v_high: float | None
    customer_p: float | None
    user_p: float | None


@dataclass(frozen=True)
class Halves:
    """Orders of the first and the second half of the period, split into growth and mix.

    The method is Kitagawa's (1955). A channel's change in orders is its mean share times the
    change of all orders (growth), plus the mean number of all orders times the change of its share
    (mix); the change of the mean order value is the sum over channels of (mean share x change of
    the channel's mean) and (mean of the means x change of the share). Both sums are exact.

    Attributes:
        first_end: Last day of the first half, ISO.
        second_start: First day of the second, ISO; halves are equally long, so that of an odd
            number of days the middle one is left out.
        days: Days in each.
        by_channel_and_half: Index `channel`; `orders_first`, `orders_second`, `revenue_first`,
            `revenue_second`, `share_first`, `share_second` (of the orders), `growth` and `mix`
            (orders).
        order_value_first, order_value_second: Mean order value; None without orders.
        within, mix: Of its change, what happened within channels and what the mix did; None where
            a half has no orders.
    """

    first_end: str
    second_start: str
    days: int
    by_channel_and_half: pd.DataFrame
    order_value_first: float | None
    order_value_second: float | None
    within: float | None
    mix: float | None


@dataclass(frozen=True)
class Channels:
    """What channels sold, and what the users are worth that came through them.

    Limits are of 95% intervals; those of a difference or ratio to the others are of each alone,
    their p-values Holm's (1979) over all groups that have a name.

    Attributes:
        sold: Index `channel`, of orders; see `by_channel`; and `order_value` with `_low` and
            `_high` (revenue an order), `share_of_orders` and `share_of_revenue` with limits,
            `order_value_ratio` with limits (to the orders of all other channels) and
            `order_value_p`.
        monthly: Index `month`, `channel`; see `by_month`; and `share` of the month's orders.
        trends: Index `channel`; a logistic regression of its share of the orders on the month:
            `odds_ratio` for a year (365.25 days) with limits, `first` and `last`, the fitted shares
            in the first and last month, `dispersion` (Pearson's chi-squared over its degrees of
            freedom; above 1 the months scatter more than independent orders would, and the errors
            are widened by its root, McCullagh & Nelder 1989) and `p_value`, `p_adjusted`.
        halves: Growth and mix; None where the orders are of a single day.
        referrals: Index `referral_channel`, of users; see `by_user_group`; and `share_of_users`,
            `share_of_revenue`; `conversion` (users with an order), `value_per_user` and
            `value_per_customer` with limits; `conversion_difference` (to all other users),
            `user_ratio` and `customer_ratio` (to all others) with limits and `_p`;
            `relative_value` (value a user over that of all users), which is `relative_conversion`
            times `relative_customer`; `adjusted_conversion`: customers over those that there would
            be if users of each country converted as their country does, with limits.
        differences: All referral channels at once.
    """

    sold: pd.DataFrame
    monthly: pd.DataFrame
    trends: pd.DataFrame
    halves: Halves | None
    referrals: pd.DataFrame
    differences: Differences


def channels(orders: ir.Table, users: ir.Table) -> Channels:
    """Reduces orders and users by channel and puts intervals on what comes out.

    Args:
        orders: mooc/orders, of known users.
        users: mooc/users.
    """
    monthly = by_month(orders)
    total = monthly.orders.groupby(level="month").transform("sum")
    referrals, differences = _referrals(orders, users)
    return Channels(
        sold=_sold(orders),
        monthly=monthly.assign(share=monthly.orders / total),
        trends=_trends(monthly),
        halves=_halves(orders),
        referrals=referrals,
        differences=differences,
    )


def by_channel(orders: ir.Table) -> pd.DataFrame:
    """What each channel sold.

    Returns:
        Index `channel`; columns `revenue` (currency), `units`, `orders`, `customers` (distinct in
        the channel) and `value_per_customer`.
    """
    frame = collect(sales(orders, ("channel",)), ("channel",))
    return frame.assign(value_per_customer=frame.revenue / frame.customers)


def by_month(orders: ir.Table) -> pd.DataFrame:
    """What each channel sold in each month.

    Returns:
        Index `month` ("2024-03") and `channel`; columns as in `by_channel`, customers distinct in
        channel and month.
    """
    months = orders.mutate(month=month_number(_.order_timestamp))
    frame = collect(sales(months, ("month", "channel")), ("month", "channel"))
    frame.index = frame.index.set_levels(iso_month(frame.index.levels[0]), level="month")
    return frame.assign(value_per_customer=frame.revenue / frame.customers)


def by_user_group(orders: ir.Table, users: ir.Table, column: str) -> pd.DataFrame:
    """Users by a column of theirs, and what they bought.

    Args:
        orders: mooc/orders.
        users: mooc/users.
        column: For example `referral_channel` or `user_country`.

    Returns:
        Index `column`; columns `users`, `customers` (users with an order), `orders`, `units`,
        `revenue` (currency) and `value_per_user`.
    """
    people = collect(users.group_by(column).agg(users=_.count()), (column,))
    sold = collect(sales(orders.join(users.select("user_id", column), "user_id"), (column,)),
                   (column,))
    frame = whole(people.join(sold), SOLD)
    frame = frame.assign(revenue=frame.revenue.fillna(0.0))
    frame = frame[["users", "customers", "orders", "units", "revenue"]]
    return frame.assign(value_per_user=frame.revenue / frame.users)


# People by what they spent: power sums, which add up, and what follows from them


def spending(people: ir.Table, by: Sequence[str], centre: float) -> pd.DataFrame:
    """Power sums of what people spent, by group; those of several groups add up.

    Args:
        people: One row a person: the columns `by`, `amount` (currency) and `orders`.
        by: Columns that make the groups.
        centre: What is taken off amounts before they are raised to powers, so that small
            differences lose no digits: about the mean.

    Returns:
        Index `by`; `people`; `revenue`; `centre`; sums of `amount`, `amount2`, `amount3`: powers of
        the amount less `centre`; of `orders`, `orders2` and `both` (the product of the first of
        each).
    """
    less = _.amount.cast("float64") - centre
    orders = _.orders.cast("float64")
    frame = collect(
        people.group_by(*by).agg(
            people=_.count(), revenue=_.amount.sum(), amount=less.sum(),
            amount2=(less * less).sum(), amount3=(less * less * less).sum(),
            orders=orders.sum(), orders2=(orders * orders).sum(), both=(less * orders).sum(),
        ),
        by,
    )
    return frame.assign(centre=centre)


def pooled(rows: pd.DataFrame) -> pd.Series:
    """The power sums of several groups as those of one."""
    row = rows[[*POWERS, "revenue"]].sum()
    row["centre"] = rows.centre.iloc[0] if len(rows) else 0.0
    return row


def moments(row: pd.Series) -> Moments | None:
    """Moments of the amounts of a group of `spending`; None for nobody."""
    n = int(row.people)
    if n == 0:
        return None
    shift = row.amount / n
    mean = float(row.centre + shift)
    second = row.amount2 / n - shift**2
    # What rounding leaves of equal amounts is no variation.
    if n == 1 or second <= 1e-12 * (mean**2 + row.centre**2):
        return Moments(n, mean, 0.0 if n > 1 else float("nan"))
    third = row.amount3 / n - 3 * shift * row.amount2 / n + 2 * shift**3
    skewness = float(np.sqrt(n * (n - 1)) / (n - 2) * third / second**1.5) if n > 2 else None
    return Moments(n, mean, float(second * n / (n - 1)), skewness)


def mean(row: pd.Series) -> Interval | None:
    """The mean amount with its interval (Hall 1992), as amounts are skewed; never below 0.

    None with fewer than three people or equal amounts.
    """
    m = moments(row)
    if m is None or m.n < 3 or not m.variance > 0:
        return None
    found = intervals.mean_skewed(m, CONFIDENCE)
    return replace(found, low=max(found.low, 0.0))


def an_order(row: pd.Series) -> Interval | None:
    """Amount an order with its interval, over people; None where it can't be told."""
    n = int(row.people)
    if n < 2 or not (row.orders > 0 and row.revenue > 0):
        return None
    x, y = row.amount / n, row.orders / n
    pair = PairMoments(
        n, float(row.revenue / n), float(y), max(0.0, row.amount2 / n - x**2) * n / (n - 1),
        max(0.0, row.orders2 / n - y**2) * n / (n - 1), (row.both / n - x * y) * n / (n - 1),
    )
    return _ratio(pair)


def share_of_total(row: pd.Series, all_: pd.Series) -> Interval | None:
    """A group's share of the amount of everybody, over people; None where it can't be told.

    The interval is that of the odds, the group's amount to that of all others, so that the limits
    stay within 0 and 1.
    """
    n = int(all_.people)
    if n < 2 or not (row.revenue > 0 and all_.revenue > 0):
        return None
    part, rest = row.revenue / n, (all_.revenue - row.revenue) / n
    if not rest > 1e-9 * part:
        return None
    # Of a person one of the two amounts is 0, so they go against each other by their means alone.
    squares = [
        (r.amount2 + 2 * r.centre * r.amount + r.people * r.centre**2) / n for r in (row, all_)]
    scale = n / (n - 1)
    odds = _ratio(PairMoments(
        n, float(part), float(rest), max(0.0, squares[0] - part**2) * scale,
        max(0.0, squares[1] - squares[0] - rest**2) * scale, -part * rest * scale))
    if odds is None:
        return None
    share, low, high = (x / (1 + x) for x in (odds.estimate, odds.low, odds.high))
    return Interval(share, low, high, CONFIDENCE, "delta method, logit")


def _ratio(pair: PairMoments) -> Interval | None:
    if not pair.standard_error > 1e-7 * pair.ratio:  # the same ratio for everybody
        return None
    return intervals.ratio_of_means(pair, CONFIDENCE)


def against(a: Moments | None, b: Moments | None) -> tuple[float, float, float, float]:
    """Ratio of two means, its limits, and p of the z test of its logarithm (delta method).

    Missing where a group has fewer than `LEAST_CUSTOMERS` people, no variation or nothing paid.
    """
    if a is None or b is None or min(a.n, b.n) < LEAST_CUSTOMERS:
        return (np.nan,) * 4
    if not (a.variance > 0 and b.variance > 0 and a.mean > 0 and b.mean > 0):
        return (np.nan,) * 4
    ratio = effects.ratio_of_means(a, b, CONFIDENCE)
    # On the log scale, as the interval is: the two then agree.
    error = np.sqrt((a.standard_error / a.mean) ** 2 + (b.standard_error / b.mean) ** 2)
    p = float(2 * stats.norm.sf(abs(np.log(ratio.value)) / error))
    return ratio.value, ratio.low, ratio.high, p


def adjusted(p_values: pd.Series) -> np.ndarray:
    """Holm's p-values of those that there are, missing ones left missing."""
    found = np.full(len(p_values), np.nan)
    known = p_values.notna().to_numpy()
    if known.any():
        found[known] = holm(p_values[known])
    return found


def limits(found: Sequence[Interval | None], name: str, index: pd.Index) -> pd.DataFrame:
    """Columns `name`_low and `name`_high."""
    return pd.DataFrame(
        [(i.low, i.high) if i else (np.nan, np.nan) for i in found],
        index, [f"{name}_low", f"{name}_high"], dtype="float64",
    )


# Sales channels


def _sold(orders: ir.Table) -> pd.DataFrame:
    frame = by_channel(orders)
    frame["order_value"] = frame.revenue / frame.orders
    order = orders.group_by("channel", "user_id", "order_id").agg(amount=_.amount.sum())
    each = order.group_by("channel", "user_id").agg(amount=_.amount.sum(), orders=_.count())
    whole_ = each.group_by("user_id").agg(
        total=_.amount.sum().cast("float64"), all=_.orders.sum().cast("float64"))
    parts = each.join(whole_, "user_id").mutate(
        y=_.amount.cast("float64"), n=_.orders.cast("float64"))
    names = ("y", "n", "total", "all")
    products = {
        f"{a}_{b}": (parts[a] * parts[b]).sum()
        for i, a in enumerate(names) for b in names[i:]
    }
    of_channel = collect(parts.group_by("channel").agg(**products), ("channel",))
    everybody = whole_.agg(
        customers=_.count(), total=_.total.sum(), all=_["all"].sum(),
        total_total=(_.total * _.total).sum(), total_all=(_.total * _["all"]).sum(),
        all_all=(_["all"] * _["all"]).sum(),
    ).to_pandas().iloc[0].astype("float64")

    rows = [_channel(frame.loc[name], of_channel.loc[name], everybody) for name in frame.index]
    return _with_p(frame.join(pd.DataFrame(rows, frame.index).astype("float64")), "order_value")


def _channel(row: pd.Series, p: pd.Series, t: pd.Series) -> dict[str, float]:
    """Intervals of a sales channel, by linearisation over customers (Deng, Knoblich & Lu 2018).

    A customer's vector is (y, n, total, all): amount and orders in the channel and in all. Each
    statistic is a function of their sums whose variance is that of the gradient's inner product.
    """
    names = ("y", "n", "total", "all")
    customers = t.customers
    sums = np.array([row.revenue, row.orders, t.total, t["all"]])
    squares = np.empty((4, 4))
    for i, a in enumerate(names):
        for j, b in enumerate(names[i:], i):
            of_all = i > 1  # products of the totals are over all customers
            squares[i, j] = squares[j, i] = (t if of_all else p)[f"{a}_{b}"]
    out: dict[str, float] = {}

    def told(name: str, value: float, gradient: np.ndarray) -> float:
        """A value with limits on the log scale; `gradient` is of the log. The standard error."""
        mean_ = gradient @ sums / customers
        variance = gradient @ squares @ gradient - customers * mean_**2
        error = np.sqrt(max(0.0, variance) * customers / max(customers - 1, 1))
        known = customers > 1 and error > 1e-7
        reach = np.exp(stats.norm.isf(ALPHA / 2) * error) if known else np.nan
        out.update({name: value, f"{name}_low": value / reach, f"{name}_high": value * reach})
        return error if known else np.nan

    def share(name: str, part: int, whole_: int) -> None:
        """A share of a sum, with limits of its odds, so that they stay within 0 and 1."""
        rest = sums[whole_] - sums[part]
        if sums[part] > 0 and rest > 1e-9 * sums[part]:
            gradient = np.zeros(4)
            gradient[part], gradient[whole_] = 1 / sums[part] + 1 / rest, -1 / rest
            told(name, sums[part] / rest, gradient)
            for column in (name, f"{name}_low", f"{name}_high"):
                out[column] = out[column] / (1 + out[column])
        else:
            value = sums[part] / sums[whole_] if sums[whole_] > 0 else np.nan
            out.update({name: value, f"{name}_low": np.nan, f"{name}_high": np.nan})

    y, n, total, every = sums
    share("share_of_orders", 1, 3)
    share("share_of_revenue", 0, 2)
    nothing = np.full(4, np.nan)
    told("order_value", y / n, np.array([1 / y, -1 / n, 0, 0]) if y > 0 else nothing)
    rest_y, rest_n = total - y, every - n
    ratio = {f"order_value_ratio{end}": np.nan for end in ("", "_low", "_high")}
    out |= ratio | {"order_value_p": np.nan}
    if y > 0 and rest_y > 1e-9 * total and rest_n > 0 and row.customers >= LEAST_CUSTOMERS:
        value = (y / n) / (rest_y / rest_n)
        error = told("order_value_ratio", value, np.array([
            1 / y + 1 / rest_y, -1 / n - 1 / rest_n, -1 / rest_y, 1 / rest_n]))
        out["order_value_p"] = float(2 * stats.norm.sf(abs(np.log(value)) / error))
    out.pop("order_value", None)
    return out


def _with_p(frame: pd.DataFrame, *names: str) -> pd.DataFrame:
    """p-values corrected over the groups that have a name; that of the rest is left out."""
    for name in names:
        frame.loc[frame.index == MISSING, f"{name}_p"] = np.nan
        frame[f"{name}_p"] = adjusted(frame[f"{name}_p"])
    return frame


def _trends(monthly: pd.DataFrame) -> pd.DataFrame:
    columns = ["odds_ratio", "odds_ratio_low", "odds_ratio_high", "first", "last", "dispersion",
               "p_value", "p_adjusted"]
    orders = monthly.orders.unstack("channel", fill_value=0)
    rows = {}
    if len(orders) >= LEAST_MONTHS:
        start = pd.to_datetime([f"{month}-01" for month in orders.index])
        years = ((start - start[0]).days / 365.25).to_numpy(float)
        total = orders.sum(axis=1).to_numpy(float)
        for name in orders.columns:
            if name != MISSING and 0 < orders[name].sum() < total.sum():
                found = _trend(orders[name].to_numpy(float), total, years)
                if found is not None:
                    rows[name] = found
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns[:-1], dtype="float64")
    frame["p_adjusted"] = adjusted(frame.p_value)
    return frame.rename_axis("channel")


def _trend(sold: np.ndarray, total: np.ndarray, years: np.ndarray) -> tuple | None:
    """Quasi-binomial regression of a share on time; None where it has no finite estimate."""
    design = np.column_stack((np.ones_like(years), years))
    with warnings.catch_warnings():
        warnings.simplefilter("error", PerfectSeparationWarning)
        try:
            fit = GLM(np.column_stack((sold, total - sold)), design,
                      family=families.Binomial()).fit()
        except (PerfectSeparationWarning, np.linalg.LinAlgError):
            return None
    df = len(years) - 2
    dispersion = float(fit.pearson_chi2 / df)
    slope, error = float(fit.params[1]), float(fit.bse[1]) * np.sqrt(max(1.0, dispersion))
    if not (np.isfinite(error) and 0 < error < 100):
        return None
    t = stats.t(df)
    ends = np.exp(slope + np.array([-1, 1]) * t.isf(ALPHA / 2) * error)
    fitted = fit.fittedvalues
    return (np.exp(slope), *ends, float(fitted[0]), float(fitted[-1]), dispersion,
            float(2 * t.sf(abs(slope / error))))


def _halves(orders: ir.Table) -> Halves | None:
    days = orders.agg(
        first=day_number(_.order_timestamp).min(), last=day_number(_.order_timestamp).max()
    ).to_pandas().iloc[0]
    first, last = int(days["first"]), int(days["last"])
    half = (last - first + 1) // 2
    if half == 0:
        return None
    ends = first + half - 1, last - half + 1
    day = day_number(_.order_timestamp)
    kept = orders.mutate(day=day).filter((_.day <= ends[0]) | (_.day >= ends[1]))
    kept = kept.mutate(half=(_.day >= ends[1]).ifelse(1, 0))
    sums = collect(sales(kept, ("channel", "half")), ("channel", "half"))
    wide = sums[["orders", "revenue"]].unstack("half").reindex(
        columns=pd.MultiIndex.from_product([("orders", "revenue"), (0, 1)])).fillna(0.0)
    n0, n1 = wide["orders", 0], wide["orders", 1]
    y0, y1 = wide["revenue", 0], wide["revenue", 1]
    s0, s1 = (n / n.sum() if n.sum() else n * np.nan for n in (n0, n1))
    frame = pd.DataFrame({
        "orders_first": n0.astype("int64"), "orders_second": n1.astype("int64"),
        "revenue_first": y0, "revenue_second": y1, "share_first": s0, "share_second": s1,
        "growth": (s0 + s1) / 2 * (n1.sum() - n0.sum()),
        "mix": (n0.sum() + n1.sum()) / 2 * (s1 - s0),
    })
    within = mix = None
    values = [float(y.sum() / n.sum()) if n.sum() else None for y, n in ((y0, n0), (y1, n1))]
    if None not in values:
        # A channel without orders in a half has the mean of its other half there.
        m0 = (y0 / n0.where(n0 > 0)).fillna(y1 / n1.where(n1 > 0))
        m1 = (y1 / n1.where(n1 > 0)).fillna(y0 / n0.where(n0 > 0))
        within = float(((s0 + s1) / 2 * (m1 - m0)).sum())
        mix = float(((m0 + m1) / 2 * (s1 - s0)).sum())

    return Halves(*iso_day(ends), half, frame, *values, within, mix)


# Referral channels


def _referrals(orders: ir.Table, users: ir.Table) -> tuple[pd.DataFrame, Differences]:
    column = "referral_channel"
    frame = by_user_group(orders, users, column)
    order = orders.group_by("user_id", "order_id").agg(amount=_.amount.sum())
    bought = order.group_by("user_id").agg(amount=_.amount.sum(), orders=_.count())
    people = users.select("user_id", column, "user_country").left_join(bought, "user_id").mutate(
        customer=_.orders.notnull().cast("int64"),
        amount=_.amount.cast("float64").fill_null(0.0), orders=_.orders.fill_null(0),
    )
    centre = float(frame.revenue.sum() / frame.users.sum())
    sums = spending(people.drop("user_id_right"), (column, "customer"), centre)
    cells = collect(
        people.group_by(column, "user_country").agg(
            users=_.count(), customers=_.customer.sum()), (column, "user_country"))

    index = frame.index
    of_users = pd.DataFrame({name: pooled(sums.loc[[name]]) for name in index}).T
    buyers = sums[sums.index.get_level_values("customer") == 1].droplevel("customer")
    everyone = pooled(of_users)
    customers = buyers.reindex(index, fill_value=0).assign(centre=everyone.centre)
    frame["share_of_users"] = frame.users / frame.users.sum()
    revenue = frame.revenue.sum()
    frame["share_of_revenue"] = frame.revenue / revenue if revenue > 0 else np.nan
    frame["conversion"] = frame.customers / frame.users
    frame["value_per_customer"] = frame.revenue / frame.customers.where(frame.customers > 0)
    frame = frame.join([
        limits([share_of_total(of_users.loc[i], everyone) for i in index],
               "share_of_revenue", index),
        limits([intervals.proportion(r.customers, r.users, CONFIDENCE)
                for r in frame.itertuples()], "conversion", index),
        limits([mean(of_users.loc[i]) for i in index], "value_per_user", index),
        limits([mean(customers.loc[i]) for i in index], "value_per_customer", index),
    ])
    rows = []
    for name in index:
        inside, rest = frame.loc[name], frame.drop(name)
        row = dict.fromkeys(
            ("conversion_difference", "conversion_difference_low", "conversion_difference_high",
             "conversion_p"), np.nan)
        a = Share(int(inside.customers), int(inside.users))
        if rest.users.sum() and 0 < frame.customers.sum() < frame.users.sum():
            test = two_proportions.pooled_z(
                a, Share(int(rest.customers.sum()), int(rest.users.sum())), alpha=ALPHA)
            row = dict(zip(row, (test.estimate, test.interval.low, test.interval.high,
                                 test.p_value), strict=True))
        for kind, sums_ in (("user", of_users), ("customer", customers)):
            found = against(moments(sums_.loc[name]), moments(pooled(sums_.drop(name))))
            row |= dict(zip((f"{kind}_ratio", f"{kind}_ratio_low", f"{kind}_ratio_high",
                             f"{kind}_p"), found, strict=True))
        rows.append(row)
    frame = frame.join(pd.DataFrame(rows, index).astype("float64"))
    frame = _with_p(frame, "conversion", "user", "customer")
    n, c = frame.users.sum(), frame.customers.sum()
    told = c > 0 and revenue > 0
    frame["relative_value"] = frame.value_per_user / (revenue / n) if told else np.nan
    frame["relative_conversion"] = frame.conversion / (c / n) if c else np.nan
    frame["relative_customer"] = frame.value_per_customer / (revenue / c) if told else np.nan
    frame = frame.join(_adjusted_conversion(cells, frame))
    return frame, _differences(frame, of_users, customers)


def _adjusted_conversion(cells: pd.DataFrame, frame: pd.DataFrame) -> pd.DataFrame:
    """Indirect standardisation: customers seen over those expected from users' countries."""
    by_country = cells.groupby(level="user_country").sum()
    rate = by_country.customers / by_country.users
    expected = (cells.users * rate.reindex(
        cells.index.get_level_values("user_country")).to_numpy()).groupby(level=0).sum()
    expected = expected.reindex(frame.index)
    scale = frame.users / expected.where(expected > 0)
    return pd.DataFrame({
        "adjusted_conversion": frame.conversion * scale,
        "adjusted_conversion_low": frame.conversion_low * scale,
        "adjusted_conversion_high": frame.conversion_high * scale,
    })


def _differences(
    frame: pd.DataFrame, of_users: pd.DataFrame, customers: pd.DataFrame
) -> Differences:
    named = [name for name in frame.index if name != MISSING and frame.users[name] > 1]
    p = v = low = high = None
    table = frame.loc[named, ["customers", "users"]].assign(
        users=lambda t: t.users - t.customers)
    if len(named) > 1 and (table.sum() > 0).all():
        found = association(table)
        p, v, low, high = found.p_value, found.effect.value, found.effect.low, found.effect.high
    return Differences(len(named), p, v, low, high, *(
        _p_of_means({name: moments(sums.loc[name]) for name in named})
        for sums in (customers, of_users)
    ))


def _p_of_means(groups: Mapping[str, Moments | None]) -> float | None:
    """p of Welch's analysis of variance of the groups that vary; None with fewer than two."""
    told = {name: m for name, m in groups.items() if m is not None and m.n > 1 and m.variance > 0}
    return welch_anova(told).p_value if len(told) > 1 else None
