"""Key performance indicators, each defined once, with its denominator."""

from __future__ import annotations

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from analysis.customers import events
from analysis.customers.events import Period, attach, stated
from analysis.days import iso_day, iso_month
from analysis.sources import Tables

WINDOWS = (7, 28)  # days since registration, the day of registration is the first of them
TOP_SHARES = (0.01, 0.05, *(tenth / 10 for tenth in range(1, 11)))


@dataclass(frozen=True)
class Totals:
    """Everything that was registered, seen and bought in the period.

    Attributes:
        first_day, last_day: ISO dates of the period.
        days: days in it.
        users: registered users.
        active_users: users who ever saw a paywall or bought.
        viewers: users who ever saw a paywall.
        paywall_buyers: users who ever bought at a paywall.
        payers: users who ever bought, at a paywall or elsewhere.
        repeat_payers: users who bought more than once.
        views: paywall views.
        paid_views: views that ended in a purchase.
        purchases: purchases, at a paywall or elsewhere.
        revenue: cents.
        revenue_variance: sample variance of the revenue of a registered user, cents squared.
        payer_variance: sample variance of the revenue of a payer, cents squared.
    """

    first_day: str
    last_day: str
    days: int
    users: int
    active_users: int
    viewers: int
    paywall_buyers: int
    payers: int
    repeat_payers: int
    views: int
    paid_views: int
    purchases: int
    revenue: int
    revenue_variance: float
    payer_variance: float

    @property
    def arpu(self) -> float:
        """Revenue a registered user, cents."""
        return self.revenue / self.users

    @property
    def arppu(self) -> float:
        """Revenue a payer, cents; nan where nobody paid."""
        return self.revenue / self.payers if self.payers else float("nan")

    @property
    def payer_share(self) -> float:
        """Share of registered users who ever bought."""
        return self.payers / self.users

    @property
    def view_conversion(self) -> float:
        """Share of paywall views that ended in a purchase; nan where there were none."""
        return self.paid_views / self.views if self.views else float("nan")

    @property
    def viewer_conversion(self) -> float:
        """Share of those who ever saw a paywall who bought at one; nan where nobody did."""
        return self.paywall_buyers / self.viewers if self.viewers else float("nan")


@dataclass(frozen=True)
class Concentration:
    """How unevenly revenue is spread.

    Attributes:
        users: registered users.
        payers: users whose revenue is above 0.
        shares: a frame with `base` ("users" or "payers"), `top` (share of the base, the highest
            revenues first) and `revenue_share` (of all revenue; missing where there is none). A
            share that cuts through a user takes that part of the user (Lorenz 1905).
        gini_users: Gini coefficient over all registered users (Gini 1912); nan without revenue.
        gini_payers: the same over payers.
        counts: users by revenue in cents, ascending, those without revenue included.
    """

    users: int
    payers: int
    shares: pd.DataFrame
    gini_users: float
    gini_payers: float
    counts: pd.Series


def with_rates(frame: pd.DataFrame) -> pd.DataFrame:
    """Adds the ratios of `users`, `payers` and `revenue`; missing where the denominator is 0.

    conversion: payers / users. arpu: revenue / users, cents. arppu: revenue / payers, cents.
    """
    users, payers = (frame[name].where(frame[name] > 0) for name in ("users", "payers"))
    return frame.assign(
        conversion=frame["payers"] / users,
        arpu=frame["revenue"] / users,
        arppu=frame["revenue"] / payers,
    )


def spending(tables: Tables) -> ir.Table:
    """One row a user: the columns of `events.people` and what the user bought.

    Columns: `purchases`, `revenue` (cents), `first_purchase` (days since registration, missing for
    who never bought), and for each of `WINDOWS` `purchases_7`, `revenue_7` and so on (within so
    many days, 0 where none).
    """
    people, sold = events.people(tables), events.sales(tables)
    aged = sold.join(people.select("uid", "reg_day"), "uid")
    aged = aged.mutate(age=aged.day - aged.reg_day)
    measures = {"purchases": aged.count(), "revenue": aged.price.sum()}
    for days in WINDOWS:
        measures[f"purchases_{days}"] = (aged.age < days).sum()
        measures[f"revenue_{days}"] = (aged.age < days).ifelse(aged.price, 0).sum()
    bought = aged.group_by("uid").aggregate(**measures, first_purchase=aged.age.min())
    return attach(people, bought, tuple(measures))


def totals(tables: Tables, period: Period) -> Totals:
    """Everything in the period."""
    spent, seen = spending(tables), events.views(tables)
    viewers = seen.group_by("uid").aggregate(
        views=seen.count(), paid=seen.purchase.sum())
    users = attach(spent, viewers, ("views", "paid"))
    bought = users.purchases > 0
    found = users.aggregate(
        users=users.count(),
        active_users=(bought | (users.views > 0)).sum(),
        viewers=(users.views > 0).sum(),
        paywall_buyers=(users.paid > 0).sum(),
        payers=bought.sum(),
        repeat_payers=(users.purchases > 1).sum(),
        views=users.views.sum(),
        paid_views=users.paid.sum(),
        purchases=users.purchases.sum(),
        revenue=users.revenue.sum(),
        revenue_variance=users.revenue.var(how="sample"),
        payer_variance=users.revenue.var(how="sample", where=bought),
    ).to_pandas().to_dict("records")[0]
    variances = {name: _number(found.pop(name)) for name in ("revenue_variance", "payer_variance")}
    first, last = iso_day([period.first, period.last])
    counts = {name: int(value) for name, value in found.items()}
    return Totals(first, last, len(period.days), **counts, **variances)


def _number(value) -> float:
    """A number of a reduced result; what a backend calls missing is nan."""
    return float("nan") if pd.isna(value) else float(value)


def conversion(tables: Tables, period: Period) -> pd.DataFrame:
    """Who buys, and how much, within 7 and 28 days of registration: overall and by segment.

    The denominator is the users whose window lies wholly in the period: with w days, those who
    registered w - 1 days before the last day or earlier.

    Columns:
        dimension: "all", "cohort" (month of registration), "country", "device", "gender" or
            "age_band".
        value: which one, as text.
        window: days since registration.
        users: the denominator; rows without users are left out.
        payers: of them, who bought within the window.
        purchases, revenue: theirs within it, revenue in cents.
        revenue_variance, payer_variance: sample variances of the revenue within the window of a
            user and of a payer, cents squared.
        conversion, arpu, arppu: see `with_rates`.
    """
    spent = spending(tables)
    measures = {}
    for days in WINDOWS:
        whole = spent.reg_day + (days - 1) <= period.last
        revenue = spent[f"revenue_{days}"]
        bought = whole & (spent[f"purchases_{days}"] > 0)
        measures |= {
            (days, "users"): whole.sum(),
            (days, "payers"): bought.sum(),
            (days, "purchases"): whole.ifelse(spent[f"purchases_{days}"], 0).sum(),
            (days, "revenue"): whole.ifelse(revenue, 0).sum(),
            (days, "revenue_variance"): revenue.var(how="sample", where=whole),
            (days, "payer_variance"): revenue.var(how="sample", where=bought),
        }
    named = {f"{name}_{days}": measure for (days, name), measure in measures.items()}
    frames = []
    for dimension in ("all", "cohort", *events.SEGMENTS):
        key = ibis.literal("all") if dimension == "all" else spent[dimension]
        found = spent.group_by(value=key).aggregate(**named).to_pandas()
        value = found["value"]
        value = iso_month(value) if dimension == "cohort" else stated(value)
        for days in WINDOWS:
            columns = {f"{name}_{d}": name for d, name in measures if d == days}
            frame = found[list(columns)].rename(columns=columns)
            frame.insert(0, "dimension", dimension)
            frame.insert(1, "value", value)
            frame.insert(2, "window", days)
            frames.append(frame[frame["users"] > 0].sort_values("value"))
    return with_rates(pd.concat(frames, ignore_index=True))


def first_purchase(tables: Tables, period: Period) -> pd.DataFrame:
    """Time from registration to the first purchase, ready for survival analysis.

    Columns: `days` since registration; `purchased`, users whose first purchase came on that day;
    `censored`, users who had not bought when the period ended so many days after they registered.
    Ordered by `days`; every user is counted once.
    """
    spent = spending(tables)
    bought = spent.first_purchase.notnull()
    waited = spent.select(
        days=spent.first_purchase.fill_null(period.last - spent.reg_day), bought=bought)
    return waited.group_by("days").aggregate(
        purchased=waited.bought.sum(), censored=(~waited.bought).sum()
    ).order_by("days").to_pandas().astype("int64")


def retention(tables: Tables, period: Period) -> pd.DataFrame:
    """Who is active on each day since registration.

    Columns: `day` since registration (0 is the day of registration), `at_risk` (users whose that
    day lies in the period), `active` (of them, who saw a paywall or bought on it), `retention`.
    """
    people = events.people(tables)
    registered = people.group_by("reg_day").aggregate(users=people.count()).order_by("reg_day")
    registered = registered.to_pandas().set_index("reg_day")["users"]
    # Users who registered k days before the end, or earlier, are at risk on day k.
    at_risk = registered.reindex(period.days, fill_value=0).cumsum()[::-1].to_numpy()
    active = events.active_days(tables).join(people.select("uid", "reg_day"), "uid")
    active = active.group_by(age=active.day - active.reg_day).aggregate(
        active=lambda t: t.count()).order_by("age")
    active = active.to_pandas().set_index("age")["active"]
    frame = pd.DataFrame({"day": np.arange(len(at_risk)), "at_risk": at_risk})
    frame = frame[frame["at_risk"] > 0]
    frame["active"] = active.reindex(frame["day"], fill_value=0).to_numpy()
    frame["retention"] = frame["active"] / frame["at_risk"]
    return frame


def concentration(tables: Tables) -> Concentration:
    """Shares of revenue by rank, and Gini coefficients, computed in the backend."""
    spent = spending(tables)
    # Users with the same revenue share a row: what is ranked is short, and ties need no order.
    levels = spent.group_by("revenue").aggregate(n=spent.count())
    found = {base: _ranked(levels if base == "users" else levels.filter(levels.revenue > 0))
             for base in ("users", "payers")}
    counts = levels.order_by("revenue").to_pandas().astype("int64").set_index("revenue")["n"]
    shares = pd.DataFrame([
        {"base": base, "top": top, "revenue_share": row[f"top_{i}"]}
        for base, row in found.items() for i, top in enumerate(TOP_SHARES)
    ])
    return Concentration(
        users=int(found["users"]["n"]),
        payers=int(found["payers"]["n"]),
        shares=shares,
        gini_users=found["users"]["gini"],
        gini_payers=found["payers"]["gini"],
        counts=counts.rename("users"),
    )


def _ranked(levels: ir.Table) -> dict[str, float]:
    """Users, share of revenue of each of `TOP_SHARES`, and Gini, of levels of revenue."""
    descending = ibis.window(order_by=ibis.desc("revenue"), preceding=None, following=0)
    ranked = levels.mutate(up_to=levels.n.sum().over(descending), size=levels.n.sum().over())
    ranked = ranked.mutate(
        above=(ranked.up_to - ranked.n).cast("float64"),
        size=ranked["size"].cast("float64"),
        revenue=ranked.revenue.cast("float64"),
        n=ranked.n.cast("float64"),
    )
    total = (ranked.revenue * ranked.n).sum().nullif(0)
    tops = {}
    for i, share in enumerate(TOP_SHARES):
        taken = ibis.least(ibis.greatest(share * ranked["size"] - ranked.above, 0.0), ranked.n)
        tops[f"top_{i}"] = (taken * ranked.revenue).sum() / total
    # Ranks from the richest: sum of (size + 1 - 2 rank) x revenue over the users of a level.
    spread = ranked.n * (ranked["size"] - 2 * ranked.above - ranked.n) * ranked.revenue
    row = ranked.aggregate(
        n=ranked.n.sum().fill_null(0), gini=spread.sum() / (total * ranked["size"].max()), **tops
    ).to_pandas().iloc[0]
    return {name: _number(value) for name, value in row.items()}


def skus(tables: Tables) -> pd.DataFrame:
    """What was bought.

    Columns: `sku`; `price_low` and `price_high`, cents; `purchases`; `paywall_purchases` (views
    that ended in one); `buyers` (unique users); `revenue` (cents); `revenue_share`. Ordered by
    revenue, highest first.
    """
    sold, seen = events.sales(tables), events.views(tables)
    items = sold.group_by("sku").aggregate(
        price_low=sold.price.min(), price_high=sold.price.max(), purchases=sold.count(),
        buyers=sold.uid.nunique(), revenue=sold.price.sum(),
    )
    paid = seen.filter(seen.purchase == 1)
    paid = paid.group_by("sku").aggregate(paywall_purchases=paid.count())
    joined = items.left_join(paid, "sku").drop("sku_right")
    joined = joined.mutate(paywall_purchases=joined.paywall_purchases.fill_null(0))
    frame = joined.to_pandas().sort_values(["revenue", "sku"], ascending=[False, True])
    frame["revenue_share"] = frame["revenue"] / max(frame["revenue"].sum(), 1)
    return frame[["sku", "price_low", "price_high", "purchases", "paywall_purchases", "buyers",
                  "revenue", "revenue_share"]].reset_index(drop=True)


def country_by_device(tables: Tables) -> pd.DataFrame:
    """Users and what they spent in the whole period: one row a country and device.

    Columns: `country`, `device`, `users`, `payers`, `purchases`, `revenue` (cents), and those of
    `with_rates`. Ordered by country and device; pairs without users are left out.
    """
    spent = spending(tables)
    frame = spent.group_by(["country", "device"]).aggregate(
        users=spent.count(), payers=(spent.purchases > 0).sum(), purchases=spent.purchases.sum(),
        revenue=spent.revenue.sum(),
    ).order_by(["country", "device"]).to_pandas()
    return with_rates(frame)


def profiles(tables: Tables, period: Period, days: int = 28) -> pd.DataFrame:
    """Spending within a window by combination of covariates: all that a regression needs.

    Users who share country, device, gender and age band also share their row of a design matrix,
    so the counts, sums and variances here give the same logit of paying and the same least
    squares of revenue, robust errors included, as one row a user would.

    Args:
        tables: the study's tables.
        period: the days that they cover.
        days: one of `WINDOWS`; users whose window is not wholly in the period are left out.

    Returns:
        Columns `country`, `device`, `gender`, `age_band`, `users`, `payers`, `revenue` (cents),
        `revenue_variance` (sample variance over the users, missing for a single one).
    """
    keys = list(events.SEGMENTS)
    spent = spending(tables)
    spent = spent.filter(spent.reg_day + (days - 1) <= period.last)
    revenue = spent[f"revenue_{days}"]
    frame = spent.group_by(keys).aggregate(
        users=spent.count(), payers=(spent[f"purchases_{days}"] > 0).sum(), revenue=revenue.sum(),
        revenue_variance=revenue.var(how="sample"),
    ).to_pandas()
    frame[keys] = frame[keys].apply(stated)
    return frame.sort_values(keys, ignore_index=True)
