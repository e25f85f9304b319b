"""What the key performance indicators say and how sure they are: intervals, waiting times, cohorts.

The intervals treat users as independent draws from those who could have registered, whatever the
rows of one user share. So they tell how far a figure would move with other users of the same kind;
they don't know of days that are odd for everybody, such as an outage.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from analysis.customers import kpis
from analysis.customers.events import Period
from analysis.customers.kpis import BLOCK, Concentration, Totals
from analysis.sources import Tables
from analysis.stats import intervals, survival
from analysis.stats.intervals import Interval
from analysis.stats.moments import Counts
from analysis.stats.survival import KaplanMeier, LogRank

SEED = 4104
CONFIDENCE = 0.95
RECENT = 28  # days behind DAU, WAU and MAU
HORIZONS = (7, 28, 90, 365)  # days in which users buy for the first time
RETENTION_DAYS = (0, 1, 7, 28, 90, 365)
TOPS = (0.01, 0.1)
PIVOT_COUNTRIES = 8
COHORT_MONTHS = (3, 2, 1)  # months since registration at which cohorts are compared
LEAST_COHORTS = 6
OUTLYING = 3.5  # robust score (Iglewicz & Hoaglin 1993)
LEAST_USERS = 30  # followed through a block of lifetime value, for a normal interval
ALL, OTHERS = "all", "others"


@dataclass(frozen=True)
class Strata:
    """Time to the first purchase in groups of users.

    Attributes:
        curves: Kaplan-Meier by group, in order of the name.
        group_horizons: one row a `group` and `window` (days): the `share` who buy within it, `low`
            and `high`; windows that are observed in every group.
        differences: for two groups, one row a `window`: first minus second share, `difference`,
            with `low` and `high` (normal limits from Greenwood's errors, missing where a group has
            no purchase), and `apart`: whether it differs from 0 even with intervals widened for
            the number of windows (Bonferroni); empty otherwise.
        test: the log-rank test; None with a single group or without purchases.
    """

    curves: dict[str, KaplanMeier]
    group_horizons: pd.DataFrame
    differences: pd.DataFrame
    test: LogRank | None


@dataclass(frozen=True)
class Waiting:
    """Time from registration to the first purchase, in days; 0 is the day of registration.

    Attributes:
        curve: Kaplan-Meier over all users.
        horizons: one row a `window` (days) that is observed: `share` who buy within it, `low` and
            `high` (where nobody or everybody has bought, Wilson's over those followed), `followed`
            (users who registered early enough to be seen through it), and `mean_wait` (mean days of
            those who buy within it; missing if nobody does).
        final: the share who have bought by the longest time observed.
        median: days until half of all users have bought; infinite if that is not reached.
        restricted_mean: mean of the days to the first purchase, those beyond the last day of the
            longest window counted as that day; None if there is no window.
        naive_share: buyers / registered users.
        naive_wait: mean days that buyers took; None without buyers.
        devices: by device.
        registered: "earlier" and "later" half of the period's days, as the check that late users
            are like early ones.
    """

    curve: KaplanMeier
    horizons: pd.DataFrame
    final: Interval
    median: Interval
    restricted_mean: Interval | None
    naive_share: float
    naive_wait: float | None
    devices: Strata
    registered: Strata


@dataclass(frozen=True)
class Indicators:
    """The indicators with 95% intervals; money in cents.

    Attributes:
        month: the last complete month in which anybody was active (ISO), or None.
        recent_days: days behind DAU, WAU and MAU.
        kpis: one row an `indicator`: `numerator`, `denominator`, `value`, `low`, `high` and
            `method` of the interval. What can't be told is missing.
        view_conversion_by_views: view conversion with the interval that would hold if views, not
            users, were independent; None without views.
        monthly: complete months with active users: `month`, `users`, `payers`, `conversion` and
            `arpu`, each with `_low` and `_high`.
        conversion: who buys within so many days of registration: `dimension`, `value`, `window`,
            `users`, `payers`, `rate`, `low`, `high`, and `side`: "above" or "below" where the
            rate differs from that of all users even with intervals widened for the number of
            values of the dimension (Bonferroni), else "".
        lifetime_value: mean cumulative revenue a user: `blocks` of 28 days since registration,
            `users` observed through the last (at least `LEAST_USERS`), `value`, `low`, `high`.
        retention_days: retention at `RETENTION_DAYS`, as `retention_band`.
        retention_blocks: the same pooled over the whole blocks of 28 days since registration:
            `block` (from 0), `first_day`, `users` seen on its last day, `retention` (active
            user-days over user-days).
        waiting: time to the first purchase.
        cohort_month: months since registration at which cohorts are compared, or None.
        cohort_size: users of a cohort of the middle size that has been seen so long, or None.
        cohort_margin: retention in that month of a cohort of that size that stays as all do: how
            sure a single cell of the cohort table is. None without such a month.
        odd_cohorts: cohorts that are outlying in size or in retention; see `_odd_cohorts`.
        pivot: by `country` (largest first, the rest as "others") and `device`, margins "all":
            `users`, `payers`, `revenue`, `conversion` (ever bought) with `low` and `high`, `arpu`.
        inequality: one row a `base` ("users" or "payers") and `measure` ("gini", "top_1",
            "top_10"): `value`, `low`, `high`; empty without revenue.
    """

    month: str | None
    recent_days: int
    kpis: pd.DataFrame
    view_conversion_by_views: Interval | None
    monthly: pd.DataFrame
    conversion: pd.DataFrame
    lifetime_value: pd.DataFrame
    retention_days: pd.DataFrame
    retention_blocks: pd.DataFrame
    waiting: Waiting
    cohort_month: int | None
    cohort_size: int | None
    cohort_margin: Interval | None
    odd_cohorts: pd.DataFrame
    pivot: pd.DataFrame
    inequality: pd.DataFrame


def indicators(
    tables: Tables,
    period: Period,
    *,
    totals: Totals,
    daily: pd.DataFrame,
    monthly: pd.DataFrame,
    conversion: pd.DataFrame,
    cohorts: pd.DataFrame,
    retention: pd.DataFrame,
    concentration: Concentration,
    country_by_device: pd.DataFrame,
) -> Indicators:
    """Puts intervals on the study's reductions; see the fields of the same names in `Study`."""
    by_month = _monthly(tables, monthly)
    month = by_month["month"].iloc[-1] if len(by_month) else None
    recent = min(RECENT, len(period.days))
    cohort_month, odd = _odd_cohorts(cohorts, daily)
    size, margin = _cohort_margin(cohorts, cohort_month)
    return Indicators(
        month=month,
        recent_days=recent,
        kpis=_kpis(tables, period, totals, by_month, conversion, recent),
        view_conversion_by_views=_share(totals.paid_views, totals.views),
        monthly=by_month.drop(columns=["revenue", "arppu", "arppu_low", "arppu_high"]),
        conversion=_conversion(conversion),
        lifetime_value=_lifetime_value(tables, period),
        retention_days=retention_band(retention[retention["day"].isin(RETENTION_DAYS)]),
        retention_blocks=_retention_blocks(retention),
        waiting=_waiting(tables, period, totals, retention),
        cohort_month=cohort_month,
        cohort_size=size,
        cohort_margin=margin,
        odd_cohorts=odd,
        pivot=_pivot(country_by_device),
        inequality=_inequality(concentration),
    )


def _mean(sample: Counts | None, scale: float = 1.0) -> Interval | None:
    """The mean times a number; None with fewer than three users or no differences among them.

    What is averaged is never below 0, so neither is the lower limit.
    """
    if sample is None or sample.n < 3 or sample.values.size < 2:
        return None
    found = _scaled(intervals.mean_skewed(sample.moments, CONFIDENCE), scale)
    return replace(found, low=max(found.low, 0.0))


def _scaled(found: Interval, scale: float) -> Interval:
    return replace(found, estimate=found.estimate * scale, low=found.low * scale,
                   high=found.high * scale)


def _share(part: int, whole: int) -> Interval | None:
    return intervals.proportion(int(part), int(whole), CONFIDENCE) if whole else None


def _ratio(pair, scale: float = 1.0) -> Interval | None:
    if pair is None or not (pair.numerator > 0 and pair.denominator > 0):
        return None
    if not pair.standard_error > 1e-9 * pair.ratio:  # the same ratio for every user
        return None
    return _scaled(intervals.ratio_of_means(pair, CONFIDENCE), scale)


def _payers(spent: Counts, payers: int) -> Counts | None:
    """Of users by revenue, the payers: all but as many users without revenue as never bought."""
    counts = spent.counts.copy()
    if spent.values[0] == 0:
        counts[0] -= spent.n - payers
    return Counts.of(spent.values, counts) if payers else None


def _kpis(
    tables: Tables,
    period: Period,
    totals: Totals,
    by_month: pd.DataFrame,
    conversion: pd.DataFrame,
    recent: int,
) -> pd.DataFrame:
    rows = []

    def add(name, numerator, denominator, found: Interval | None, scale: float = 1.0):
        """A row; the value stands even where no interval can be told."""
        value = scale * numerator / denominator if denominator else np.nan
        rows.append({
            "indicator": name, "numerator": int(numerator), "denominator": int(denominator),
            "value": value, "low": found.low if found else np.nan,
            "high": found.high if found else np.nan, "method": found.method if found else None,
        })

    use = kpis.recent_use(tables, period, recent)
    registered, active = totals.users, int(use["users"].sum())

    def of_registered(counts: pd.Series) -> Counts:
        return Counts.of([*counts, 0], [*use["users"], registered - active])

    weeks = recent // 7
    days_active, weeks_active = use["active_days"], use["active_weeks"]
    user_days, user_weeks = (int((x * use["users"]).sum()) for x in (days_active, weeks_active))
    add("dau", user_days, recent, _mean(of_registered(days_active), registered / recent))
    if weeks:
        add("wau", user_weeks, weeks, _mean(of_registered(weeks_active), registered / weeks))
    if recent == RECENT:
        share = _share(active, registered)
        add("mau", active, 1, _scaled(share, registered) if share else None)
        days = Counts.of(days_active, use["users"]) if active else None
        add("stickiness", user_days, recent * active, _mean(days, 1 / recent))

    if len(by_month):
        last = by_month.iloc[-1]
        for name, top, bottom in (
            ("arpu", "revenue", "users"), ("arppu", "revenue", "payers"),
            ("conversion", "payers", "users"),
        ):
            found = None
            if np.isfinite(last[f"{name}_low"]):
                method = "Wilson" if name == "conversion" else "Hall"
                found = Interval(last[name], last[f"{name}_low"], last[f"{name}_high"],
                                 CONFIDENCE, method)
            add(f"{name}_month", last[top], last[bottom], found)

    for row in conversion[conversion["dimension"] == "all"].itertuples():
        add(f"conversion_{row.window}", row.payers, row.users, _share(row.payers, row.users))
        if row.window == max(kpis.WINDOWS):
            spent = kpis.revenue_within(tables, period, row.window)
            add(f"arpu_{row.window}", row.revenue, row.users, _mean(spent))
            add(f"arppu_{row.window}", row.revenue, row.payers, _mean(_payers(spent, row.payers)))

    pairs = kpis.ratios(tables, period)
    frequency = kpis.purchases_a_payer(tables)
    add("payer_share", totals.payers, registered, _share(totals.payers, registered))
    add("viewer_conversion", totals.paywall_buyers, totals.viewers,
        _share(totals.paywall_buyers, totals.viewers))
    add("view_conversion", totals.paid_views, totals.views, _ratio(pairs["view_conversion"]))
    add("repeat_share", totals.repeat_payers, totals.payers,
        _share(totals.repeat_payers, totals.payers))
    add("frequency", totals.purchases, totals.payers, _mean(frequency))
    add("order_value", totals.revenue, totals.purchases, _ratio(pairs["order_value"]))
    tenure = pairs["revenue_per_day"]
    if tenure is not None:
        days = round(tenure.denominator * tenure.n)
        add("revenue_28", totals.revenue, days, _ratio(tenure, 28), scale=28)
    return pd.DataFrame(rows)


def _monthly(tables: Tables, monthly: pd.DataFrame) -> pd.DataFrame:
    """Complete months in which anybody was active, with intervals."""
    spent = dict(iter(kpis.revenue_by_month(tables).groupby("month")))
    kept = monthly[monthly["complete"] & (monthly["users"] > 0)]
    kept = kept[["month", "users", "payers", "revenue", "conversion", "arpu", "arppu"]]
    limits = []
    for row in kept.itertuples():
        users = Counts.of(spent[row.month]["revenue"], spent[row.month]["users"])
        found = {
            "conversion": _share(row.payers, row.users),
            "arpu": _mean(users),
            "arppu": _mean(_payers(users, row.payers)),
        }
        limits.append({
            f"{name}_{end}": getattr(i, end) if i else np.nan
            for name, i in found.items() for end in ("low", "high")
        })
    columns = [f"{name}_{end}" for name in ("conversion", "arpu", "arppu")
               for end in ("low", "high")]
    return kept.join(pd.DataFrame(limits, kept.index, columns, dtype=float)).reset_index(drop=True)


def _wilson(part: pd.Series, whole: pd.Series) -> pd.DataFrame:
    """Limits of shares, row by row; see `intervals.proportion`."""
    low, high = proportion_confint(part, whole, alpha=1 - CONFIDENCE, method="wilson")
    return pd.DataFrame({
        "low": np.where(part == 0, 0.0, low), "high": np.where(part == whole, 1.0, high),
    }, part.index)


def _conversion(conversion: pd.DataFrame) -> pd.DataFrame:
    frame = conversion[["dimension", "value", "window", "users", "payers"]].copy()
    frame["rate"] = frame["payers"] / frame["users"]
    frame = frame.join(_wilson(frame["payers"], frame["users"]))
    frame["side"] = ""
    overall = frame[frame["dimension"] == ALL].set_index("window")["rate"]
    for (_, window), rows in frame.groupby(["dimension", "window"]):
        for i, row in rows.iterrows():
            wide = intervals.proportion(
                int(row["payers"]), int(row["users"]), 1 - (1 - CONFIDENCE) / len(rows))
            if wide.low > overall[window]:
                frame.loc[i, "side"] = "above"
            elif wide.high < overall[window]:
                frame.loc[i, "side"] = "below"
    return frame


def retention_band(retention: pd.DataFrame) -> pd.DataFrame:
    """Retention by day with the Wilson limits `low` and `high` of each day."""
    return retention.join(_wilson(retention["active"], retention["at_risk"]))


def _retention_blocks(retention: pd.DataFrame) -> pd.DataFrame:
    blocks = retention.assign(block=retention["day"] // BLOCK).groupby("block")
    frame = blocks.agg(
        first_day=("day", "min"), days=("day", "size"), users=("at_risk", "min"),
        active=("active", "sum"), seen=("at_risk", "sum"),
    ).reset_index()
    frame = frame[frame["days"] == BLOCK]
    frame["retention"] = frame["active"] / frame["seen"]
    return frame[["block", "first_day", "users", "retention"]]


def _lifetime_value(tables: Tables, period: Period) -> pd.DataFrame:
    at_risk, carried, products = kpis.revenue_blocks(tables, period)
    k = int((at_risk >= LEAST_USERS).sum())
    at_risk, carried, products = at_risk[:k], carried[:k, :k], products[:k, :k]
    if not k:
        return pd.DataFrame(columns=["blocks", "users", "value", "low", "high"], dtype=float)
    found = survival.mean_cumulative(at_risk, carried, products, CONFIDENCE)
    return pd.DataFrame({
        "blocks": np.arange(1, len(at_risk) + 1), "users": found.at_risk, "value": found.mean,
        "low": found.low, "high": found.high,
    })


def _waiting(
    tables: Tables, period: Period, totals: Totals, retention: pd.DataFrame
) -> Waiting:
    waits = kpis.first_purchase(tables, period, ("device", "registered"))
    curve = _curve(waits)
    bought = curve.time[curve.events > 0]
    followed = retention.set_index("day")["at_risk"]
    rows = []
    for window in _observed(period, curve):
        inside = curve.time < window
        share = curve.share_at(window - 1)
        seen = int(followed.get(window - 1, 0))
        if share.estimate in (0, 1) and seen:  # where Greenwood's error says nothing
            share = intervals.proportion(seen * round(share.estimate), seen, CONFIDENCE)
        gains = -np.diff(curve.survival[inside], prepend=1.0)
        mean = float(gains @ curve.time[inside]) / gains.sum() if share.estimate > 0 else np.nan
        rows.append({
            "window": window, "share": share.estimate, "low": share.low, "high": share.high,
            "followed": seen, "mean_wait": mean,
        })
    columns = ["window", "share", "low", "high", "followed", "mean_wait"]
    horizons = pd.DataFrame(rows, columns=columns)
    longest = rows[-1]["window"] if rows else None
    return Waiting(
        curve=curve,
        horizons=horizons,
        final=curve.share_at(curve.time[-1]),
        median=curve.quantile(0.5),
        restricted_mean=curve.restricted_mean(longest - 1) if longest else None,
        naive_share=totals.payers / totals.users,
        naive_wait=float(curve.events @ curve.time / totals.payers) if len(bought) else None,
        devices=_strata(period, waits, "device"),
        registered=_strata(period, waits, "registered"),
    )


def _curve(waits: pd.DataFrame) -> KaplanMeier:
    return survival.kaplan_meier(waits["days"], waits["purchased"], waits["censored"], CONFIDENCE)


def _observed(period: Period, *curves: KaplanMeier) -> list[int]:
    """Windows through which somebody is seen in every curve; day w - 1 is the last of w days.

    Where all have bought, nobody is left to be seen, and later windows are known too.
    """
    last = min([period.last - period.first,
                *(curve.time[-1] for curve in curves if curve.survival[-1] > 0)])
    return [window for window in HORIZONS if window - 1 <= last]


def _strata(period: Period, waits: pd.DataFrame, by: str) -> Strata:
    groups = {str(name): rows for name, rows in waits.groupby(by)}
    curves = {name: _curve(rows) for name, rows in groups.items()}
    windows = _observed(period, *curves.values())
    rows = [
        {"group": name, "window": window, "share": share.estimate, "low": share.low,
         "high": share.high}
        for name, curve in curves.items() for window in windows
        for share in (curve.share_at(window - 1),)
    ]
    try:
        test = survival.log_rank({
            name: (rows["days"], rows["purchased"], rows["censored"])
            for name, rows in groups.items()
        })
    except ValueError:  # one group, or no purchase while two were observed
        test = None
    return Strata(
        curves=curves,
        group_horizons=pd.DataFrame(rows, columns=["group", "window", "share", "low", "high"]),
        differences=_differences(list(curves.values()), windows),
        test=test,
    )


def _differences(curves: list[KaplanMeier], windows: list[int]) -> pd.DataFrame:
    rows = []
    tail = (1 - CONFIDENCE) / 2
    for window in windows if len(curves) == 2 else []:
        shares = [curve.share_at(window - 1).estimate for curve in curves]
        errors = [curve.error_at(window - 1) for curve in curves]
        error = float(np.hypot(*errors)) if min(errors) > 0 else np.nan
        gap = shares[0] - shares[1]
        margin = stats.norm.isf(tail) * error
        rows.append({"window": window, "difference": gap, "low": gap - margin,
                     "high": gap + margin,
                     "apart": bool(abs(gap) > stats.norm.isf(tail / len(windows)) * error)})
    return pd.DataFrame(rows, columns=["window", "difference", "low", "high", "apart"])


def _odd_cohorts(cohorts: pd.DataFrame, daily: pd.DataFrame) -> tuple[int | None, pd.DataFrame]:
    """Cohorts that stand out; and the months since registration at which retention is compared.

    A robust line (Theil 1950; Sen 1968) through the logs of the cohorts' sizes, and one through
    their retention in that month, say what is typical; the score of a cohort is its distance from
    the line over 1.4826 times the median distance, or over the noise of counting (Poisson,
    binomial) where that is larger, and beyond `OUTLYING` it stands out. Needs `LEAST_COHORTS`
    cohorts of complete months.

    Columns: `cohort`; `users`; `typical_users`; `size_score`; `retention` and `typical_retention`
    in that month; `retention_score`; `others` (retention of all other cohorts together);
    `difference` from them with `low` and `high` (Newcombe 1998); `busiest_day` (ISO) and
    `busiest_users`, registered on it.
    """
    columns = ["cohort", "users", "typical_users", "size_score", "retention", "typical_retention",
               "retention_score", "others", "difference", "low", "high", "busiest_day",
               "busiest_users"]
    whole = cohorts[cohorts["complete"]]
    sizes = whole[whole["months_since"] == 0].set_index("cohort")["users"].astype(float)
    found = pd.DataFrame(index=sizes.index)
    found["users"] = sizes.astype("int64")
    typical, found["size_score"] = _robust_line(
        np.log(sizes), lambda typical: np.exp(-np.minimum(typical, np.log(sizes)) / 2))
    found["typical_users"] = np.exp(typical)
    months = whole["months_since"]
    month = next((m for m in COHORT_MONTHS if (months == m).sum() >= LEAST_COHORTS), None)
    if month is not None:
        there = whole[months == month].set_index("cohort")
        found["retention"] = there["retention"]
        line, score = _robust_line(
            there["retention"],
            lambda share: np.sqrt(share.clip(0, 1) * (1 - share.clip(0, 1)) / there["users"]))
        found["typical_retention"], found["retention_score"] = line, score
        for cohort in there.index:
            rest = there.drop(index=cohort)
            active, users = int(there.loc[cohort, "active"]), int(there.loc[cohort, "users"])
            other_active, others = int(rest["active"].sum()), int(rest["users"].sum())
            low, high = confint_proportions_2indep(
                active, users, other_active, others, method="newcomb", compare="diff",
                alpha=1 - CONFIDENCE)
            found.loc[cohort, ["others", "difference", "low", "high"]] = (
                other_active / others, active / users - other_active / others, low, high)
    registrations = daily.set_index("day")["registrations"]
    by_month = registrations.groupby(registrations.index.str[:7])
    found["busiest_day"] = by_month.idxmax().reindex(found.index)
    found["busiest_users"] = by_month.max().reindex(found.index)
    found = found.reset_index().reindex(columns=columns)
    odd = (found[["size_score", "retention_score"]].abs() > OUTLYING).any(axis=1)
    return month, found[odd].reset_index(drop=True)


def _cohort_margin(
    cohorts: pd.DataFrame, month: int | None
) -> tuple[int | None, Interval | None]:
    there = cohorts[cohorts["complete"] & (cohorts["months_since"] == month)]
    if there.empty:
        return None, None
    size = int(there["users"].median())
    return size, _share(round(size * there["active"].sum() / there["users"].sum()), size)


def _robust_line(
    values: pd.Series, noise: Callable[[pd.Series], pd.Series]
) -> tuple[pd.Series, pd.Series]:
    """A robust line through values in order, and their scores; no scores from too few values.

    Args:
        values: one a cohort.
        noise: standard error of counting for cohorts that lie on the line.
    """
    if len(values) < LEAST_COHORTS:
        return pd.Series(np.nan, values.index), pd.Series(np.nan, values.index)
    x = np.arange(len(values))
    slope, intercept, *_ = stats.theilslopes(values, x)
    line = pd.Series(intercept + slope * x, values.index)
    distance = values - line
    spread = np.maximum(1.4826 * distance.abs().median(), noise(line))
    return line, (distance / spread).where(spread > 1e-12, 0.0)


def _pivot(country_by_device: pd.DataFrame) -> pd.DataFrame:
    frame = country_by_device.astype({"country": str, "device": str})
    sizes = frame.groupby("country")["users"].sum().sort_values(ascending=False, kind="stable")
    # One country too many is shown by its name rather than as "others".
    top = list(sizes.index[:PIVOT_COUNTRIES if len(sizes) > PIVOT_COUNTRIES + 1 else None])
    frame["country"] = frame["country"].where(frame["country"].isin(top), OTHERS)
    counts = ["users", "payers", "revenue"]
    wide = frame.pivot_table(
        index="country", columns="device", values=counts, aggfunc="sum", fill_value=0,
        margins=True, margins_name=ALL, observed=True)
    order = [name for name in (*top, OTHERS, ALL) if name in wide.index]
    long = wide.loc[order].stack("device", future_stack=True)[counts].astype("int64").reset_index()
    there = long["users"] > 0
    long["conversion"] = long["payers"] / long["users"].where(there)
    limits = _wilson(long.loc[there, "payers"], long.loc[there, "users"])
    long = long.join(limits)
    long["arpu"] = long["revenue"] / long["users"].where(there)
    return long


def _inequality(concentration: Concentration) -> pd.DataFrame:
    rows = []
    levels = concentration.counts
    everybody = Counts.of(levels.index.to_numpy(), levels.to_numpy())
    for base, sample in (("users", everybody), ("payers", everybody.above(0))):
        if sample is None or sample.n < 2 or sample.values[-1] == 0:
            continue
        measures = {"gini": intervals.gini(sample, CONFIDENCE, seed=SEED)}
        measures |= {
            f"top_{round(100 * top)}": intervals.top_share(sample, top, CONFIDENCE, seed=SEED)
            for top in TOPS
        }
        rows += [{"base": base, "measure": name, "value": i.estimate, "low": i.low, "high": i.high}
                 for name, i in measures.items()]
    return pd.DataFrame(rows, columns=["base", "measure", "value", "low", "high"])
