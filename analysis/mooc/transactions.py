"""What BG/NBD and Gamma-Gamma need to know of orders (Fader, Hardie & Lee 2005), reduced.

All orders of a customer on one day are one transaction. A customer's first transaction starts the
clock: `frequency` counts the *repeat* transactions, `recency` is when the last of them was and
`age` when observation ended, both in days since the first (the models take weeks: divide by 7).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from analysis.days import day_number, day_of
from analysis.mooc.reduce import collect

# Mean values of repeat transactions are counted in steps of half a per cent.
STEPS_A_LOG_UNIT = 200


@dataclass(frozen=True)
class Transactions:
    """Counts of customers that are sufficient for BG/NBD, and all but so for Gamma-Gamma.

    Attributes:
        end: Last day observed, ISO.
        split: Last day of the calibration period, ISO; equal to `end` without a holdout.
        customers: Customers with a transaction up to `split`.
        repeat_customers: Those with a repeat transaction up to `split`.
        with_first: Whether the amount of a customer's first transaction counts, beside those of
            the repeat transactions.
        free: Customers whose counted transactions cost nothing, so that a mean value of them is no
            Gamma variable; they are not in `values`.
        histories: Index (the group columns,) `frequency`, `recency`, `age`; columns `customers`,
            `value` (currency, all counted transactions up to `split`), `holdout_transactions` and
            `holdout_value` (after `split` up to `end`), and the sums of their squares over the
            customers, `holdout_transactions_squared` and `holdout_value_squared`.
        values: Index (the group columns,) `counted` (the number of counted transactions), `step`;
            columns `customers` and `mean_value`, the mean over those customers of their mean
            counted transaction.
        daily: Index `day` (ISO); columns `first` and `repeat` transactions of all customers.
    """

    end: str
    split: str
    customers: int
    repeat_customers: int
    with_first: bool
    free: int
    histories: pd.DataFrame
    values: pd.DataFrame
    daily: pd.DataFrame


def transaction_days(orders: ir.Table, end: dt.date) -> ir.Table:
    """One row a customer and day with orders, up to and with `end`: `day` since 1970, `amount`."""
    days = orders.group_by("user_id", day=day_number(_.order_timestamp)).agg(amount=_.amount.sum())
    return days.filter(_.day <= day_of(end))


def customers(
    orders: ir.Table, end: dt.date, split: dt.date | None = None, *, with_first: bool = False
) -> ir.Table:
    """One row a customer with a transaction up to `split`.

    Args:
        orders: mooc/orders.
        end, split: See `transactions`.
        with_first: Whether `value` has the first transaction, too.

    Returns:
        `user_id`, `frequency`, `recency`, `age`; `first_value` (of the first transaction), `value`
        (of the `counted` ones: the repeat transactions, or all) and `spent` (of all) up to `split`;
        `holdout_transactions` and `holdout_value` from the day after
        `split` to `end`.
    """
    split_day = day_of(split or end)
    before = _.day <= split_day
    summed = transaction_days(orders, end).group_by("user_id").agg(
        transactions=_.count(where=before),
        first=_.day.min(),
        last=_.day.max(where=before),
        amount=_.amount.sum(where=before),
        first_amount=_.amount.argmin(_.day),
        holdout_transactions=_.count(where=_.day > split_day),
        holdout_value=_.amount.sum(where=_.day > split_day).fill_null(0.0),
    )
    known = summed.filter(_.transactions > 0)
    repeats = (_.transactions > 1).ifelse(_.amount - _.first_amount, 0.0)
    return known.select(
        "user_id",
        frequency=_.transactions - 1,
        recency=_.last - _.first,
        age=split_day - _.first,
        first_value=_.first_amount,
        counted=_.transactions if with_first else _.transactions - 1,
        value=_.amount if with_first else repeats,
        spent=_.amount,
        holdout_transactions=_.holdout_transactions,
        holdout_value=_.holdout_value,
    )


def transactions(
    orders: ir.Table,
    end: dt.date,
    split: dt.date | None = None,
    *,
    with_first: bool = False,
    users: ir.Table | None = None,
    by: Sequence[str] = (),
) -> Transactions:
    """Reduces orders to what the models of customer value need.

    Args:
        orders: mooc/orders.
        end: Last day of observation; later orders are left out.
        split: Last day of the calibration period; None: `end`, no holdout.
        with_first: Whether the amount of a customer's first transaction counts, too.
        users: A table with one row a `user_id` and the columns `by`; needed with `by`.
        by: Groups of customers, for example `referral_channel`.

    Raises:
        ValueError: `split` is after `end`, no order up to it, or `by` without `users`.
    """
    split = split or end
    if split > end:
        raise ValueError(f"split: must not be after the end, {end}, not {split}")
    by = tuple(by)
    if by and users is None:
        raise ValueError(f"users: needed to group customers by {', '.join(by)}")
    each = customers(orders, end, split, with_first=with_first)
    if by:
        each = each.left_join(users.select("user_id", *by), "user_id").drop("user_id_right")
    totals = each.agg(
        customers=_.count(),
        repeat_customers=_.count(where=_.frequency > 0),
        free=_.count(where=(_.counted > 0) & (_.value <= 0.005)),
    ).to_pandas().iloc[0]
    if totals.customers == 0:
        raise ValueError(f"no order up to {split}, so no customer to value")
    histories = each.group_by(*by, "frequency", "recency", "age").agg(
        customers=_.count(),
        value=_.value.sum(),
        holdout_transactions=_.holdout_transactions.sum(),
        holdout_value=_.holdout_value.sum(),
        holdout_transactions_squared=(_.holdout_transactions * _.holdout_transactions).sum(),
        holdout_value_squared=(_.holdout_value * _.holdout_value).sum(),
    )
    # Less than half a cent is what is left of nothing after a float subtraction.
    paid = each.filter((_.counted > 0) & (_.value > 0.005)).mutate(mean_value=_.value / _.counted)
    # A value can stand on the edge of a step: nudged, so that no backend's rounding decides.
    step = ((_.mean_value * (1 + 1e-9)).ln() * STEPS_A_LOG_UNIT).floor().cast("int64")
    values = paid.group_by(*by, "counted", step=step).agg(
        customers=_.count(), mean_value=_.mean_value.mean()
    )
    return Transactions(
        end=end.isoformat(),
        split=split.isoformat(),
        customers=int(totals.customers),
        repeat_customers=int(totals.repeat_customers),
        with_first=with_first,
        free=int(totals.free),
        histories=collect(histories, (*by, "frequency", "recency", "age")),
        values=collect(values, (*by, "counted", "step")),
        daily=daily(orders, end),
    )


def daily(orders: ir.Table, end: dt.date) -> pd.DataFrame:
    """First and repeat transactions by day; see `Transactions`."""
    days = transaction_days(orders, end)
    firsts = days.group_by("user_id").agg(first_day=_.day.min())
    # Every customer has one first transaction, so only firsts need a second count.
    all_days = collect(days.group_by("day").agg(all=_.count()), ("day",))["all"]
    first = collect(firsts.group_by(day=_.first_day).agg(first=_.count()), ("day",))["first"]
    frame = pd.DataFrame({"first": first.reindex(all_days.index, fill_value=0)})
    frame["repeat"] = all_days - frame["first"]
    iso = [(dt.date(1970, 1, 1) + dt.timedelta(days=int(day))).isoformat() for day in frame.index]
    return frame.set_axis(pd.Index(iso, name="day"))
