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
from analysis.stats.moments import Counts, PairMoments

WINDOWS = (7, 28)  # days since registration, the day of registration is the first of them
BLOCK = 28  # days: what users spend is followed in blocks of so many days since registration
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


def _with_views(tables: Tables) -> ir.Table:
    """One row a user: the columns of `spending`, paywall `views`, and those that were `paid`."""
    seen = events.views(tables)
    viewers = seen.group_by("uid").aggregate(views=seen.count(), paid=seen.purchase.sum())
    return attach(spending(tables), viewers, ("views", "paid"))


def totals(tables: Tables, period: Period) -> Totals:
    """Everything in the period."""
    users = _with_views(tables)
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


def first_purchase(
    tables: Tables, period: Period, by: tuple[str, ...] = ()
) -> pd.DataFrame:
    """Time from registration to the first purchase, ready for survival analysis.

    Args:
        tables: the study's tables.
        period: the days that they cover.
        by: what to tell users apart by: columns of `events.people`, or `registered`, the "earlier"
            or the "later" half of the period's days.

    Returns:
        Columns `by`; `days` since registration; `purchased`, users whose first purchase came on
        that day; `censored`, users who had not bought when the period ended so many days after
        they registered. Ordered; every user is counted once.
    """
    spent = spending(tables)
    later = spent.reg_day * 2 > period.first + period.last
    spent = spent.mutate(registered=later.ifelse("later", "earlier"))
    bought = spent.first_purchase.notnull()
    waited = spent.select(
        *by, days=spent.first_purchase.fill_null(period.last - spent.reg_day), bought=bought)
    frame = waited.group_by([*by, "days"]).aggregate(
        purchased=waited.bought.sum(), censored=(~waited.bought).sum()
    ).to_pandas().sort_values([*by, "days"], ignore_index=True)
    return frame.astype({name: "int64" for name in ("days", "purchased", "censored")})


def recent_use(tables: Tables, period: Period, days: int) -> pd.DataFrame:
    """Users by how often they were active in the last `days` days of the period.

    Columns: `active_days`; `active_weeks`, of the whole weeks that end with the period's last day;
    `users`. Users who were never active in those days are left out.
    """
    active = events.active_days(tables).filter(lambda t: t.day > period.last - days)
    active = active.mutate(week=((period.last - active.day) // 7).cast("int64"))
    users = active.group_by("uid").aggregate(
        active_days=active.count(),
        active_weeks=active.week.nunique(where=active.week < days // 7),
    )
    keys = ["active_days", "active_weeks"]
    frame = users.group_by(keys).aggregate(users=users.count()).to_pandas().astype("int64")
    return frame.sort_values(keys, ignore_index=True)


def revenue_by_month(tables: Tables) -> pd.DataFrame:
    """Active users by what they spent in a month: the distribution behind a month's ARPU.

    Columns: `month` (ISO), `revenue` (cents, of a user in the month), `users`.
    """
    spent = events.activity(tables).group_by(["uid", "month"]).aggregate(
        revenue=lambda t: t.revenue.sum())
    frame = spent.group_by(["month", "revenue"]).aggregate(users=spent.count()).to_pandas()
    frame = frame.astype("int64").sort_values(["month", "revenue"], ignore_index=True)
    return frame.assign(month=iso_month(frame["month"]))


def revenue_within(tables: Tables, period: Period, days: int) -> Counts | None:
    """Users by revenue (cents) within `days` of registration, one of `WINDOWS`.

    Over the users whose window lies wholly in the period; None if there are none.
    """
    spent = spending(tables)
    spent = spent.filter(spent.reg_day + (days - 1) <= period.last)
    return _counts(spent, f"revenue_{days}")


def purchases_a_payer(tables: Tables) -> Counts | None:
    """Payers by number of purchases; None if nobody bought."""
    spent = spending(tables)
    return _counts(spent.filter(spent.purchases > 0), "purchases")


def _counts(users: ir.Table, column: str) -> Counts | None:
    """Users by the value of a column; None if there are no users."""
    frame = users.group_by(value=column).aggregate(users=users.count()).to_pandas()
    return Counts.of(frame["value"], frame["users"]) if len(frame) else None


def ratios(tables: Tables, period: Period) -> dict[str, PairMoments | None]:
    """What ratios over rows of the same users need: the user is the unit, not the row.

    Returns:
        `view_conversion`: paid views and views of those who saw a paywall. `order_value`: revenue
        (cents) and purchases of payers. `revenue_per_day`: revenue and days since registration
        (the day of registration included) of all users. None with fewer than two such users.
    """
    users = _with_views(tables).mutate(tenure=lambda t: period.last - t.reg_day + 1)
    pairs = {
        "view_conversion": (users.paid, users.views, users.views > 0),
        "order_value": (users.revenue, users.purchases, users.purchases > 0),
        "revenue_per_day": (users.revenue, users.tenure, users.tenure > 0),
    }
    measures = {}
    for name, (x, y, where) in pairs.items():
        measures |= {
            f"{name}_n": where.sum(),
            f"{name}_numerator": x.mean(where=where),
            f"{name}_denominator": y.mean(where=where),
            f"{name}_numerator_variance": x.var(how="sample", where=where),
            f"{name}_denominator_variance": y.var(how="sample", where=where),
            f"{name}_covariance": x.cov(y, how="sample", where=where),
        }
    row = users.aggregate(**measures).to_pandas().iloc[0]
    found = {}
    for name in pairs:
        fields = {key.removeprefix(f"{name}_"): row[key]
                  for key in measures if key.startswith(f"{name}_")}
        n = int(fields.pop("n"))
        found[name] = (
            PairMoments(n, **{key: float(value) for key, value in fields.items()})
            if n > 1 else None
        )
    return found


def revenue_blocks(tables: Tables, period: Period) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What users spend in the blocks of `BLOCK` days since they registered.

    A user counts in the blocks that lie wholly in the period.

    Returns:
        The arguments of `survival.mean_cumulative`: users by block, shape (k,), revenue (cents)
        in block i of the users observed through block j, shape (k, k), and the sum over them of
        the products of the revenues in both (cents squared), shape (k, k).
    """
    people = events.people(tables)
    people = people.select(
        "uid", "reg_day", blocks=((period.last - people.reg_day + 1) // BLOCK).cast("int64"))
    whole = people.group_by("blocks").aggregate(users=people.count()).to_pandas()
    k = int(whole["blocks"].max())
    users = np.bincount(whole["blocks"], whole["users"], k + 1)
    at_risk = users[::-1].cumsum()[::-1][1:]
    sold = events.sales(tables).join(people, "uid")
    sold = sold.mutate(block=((sold.day - sold.reg_day) // BLOCK).cast("int64"))
    spent = sold.filter(sold.block < sold.blocks).group_by(["uid", "block", "blocks"]).aggregate(
        revenue=lambda t: t.price.sum().cast("float64"))
    carried, products = np.zeros((k, k)), np.zeros((k, k))
    totals = spent.group_by(["block", "blocks"]).aggregate(
        revenue=spent.revenue.sum()).to_pandas().astype({"block": int, "blocks": int})
    # What was spent in a block is carried by every later one through which the user was observed.
    np.add.at(carried, (totals["block"], totals["blocks"] - 1), totals["revenue"])
    carried = carried[:, ::-1].cumsum(axis=1)[:, ::-1]
    other = spent.select("uid", later="block", more="revenue")
    pairs = spent.join(other, "uid").filter(lambda t: t.later >= t.block)
    found = pairs.group_by(["block", "later"]).aggregate(
        product=(pairs.revenue * pairs.more).sum()
    ).to_pandas().astype({"block": int, "later": int})
    products[found["block"], found["later"]] = found["product"]
    return at_risk, carried, products


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
        Columns `country`, `device`, `gender`, `age_band`, `users`, `age_total` (years, 0 where not
        stated), `payers`, `revenue` (cents), `revenue_variance` (sample variance over the users,
        missing for a single one), and `revenue_squares`, `revenue_cubes` and `revenue_fourths`,
        the sums of these powers.
    """
    keys = list(events.SEGMENTS)
    spent = spending(tables)
    spent = spent.filter(spent.reg_day + (days - 1) <= period.last)
    revenue = spent[f"revenue_{days}"]
    cents = revenue.cast("float64")  # powers of whole numbers would overflow
    frame = spent.group_by(keys).aggregate(
        users=spent.count(), age_total=spent.age.sum().fill_null(0),
        payers=(spent[f"purchases_{days}"] > 0).sum(), revenue=revenue.sum(),
        revenue_variance=revenue.var(how="sample"), revenue_squares=(cents**2).sum(),
        revenue_cubes=(cents**3).sum(), revenue_fourths=(cents**4).sum(),
    ).to_pandas()
    frame[keys] = frame[keys].apply(stated)
    return frame.sort_values(keys, ignore_index=True)
