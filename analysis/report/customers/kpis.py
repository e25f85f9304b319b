"""Who stays and who pays: the indicators, conversion, waiting times, cohorts and concentration."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers.events import NOT_STATED
from analysis.customers.indicators import ALL, LEAST_USERS, OTHERS, TOPS, retention_band
from analysis.customers.kpis import BLOCK, WINDOWS
from analysis.report import figures
from analysis.report.customers import labels
from analysis.report.customers.app import money
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    capital,
    count,
    country,
    day,
    digits_of_points,
    escape,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
    percents,
    significant,
)

WINDOW = max(WINDOWS)  # days since registration of the conversion that the chapter follows
MOST_COUNTRIES = 30  # shown in the figure
MOST_COHORTS = 36  # shown in the table and the heat map, the latest ones
MOST_TIMES = 100  # of a curve
FIRST_DAYS = 28  # of which the figure of retention shows each, and then one a week
TABLE_MONTHS = (0, 1, 2, 3, 6, 12, 18)
DIMENSIONS = {"device": "Device", "gender": "Gender", "age_band": "Age"}
NO_PURCHASES = Prose("Nothing was bought in the period.")
NO_MONTH = Prose("The period holds no complete calendar month with active users.")
TOO_SHORT = Prose(f"The period is too short: nobody was observed for {WINDOW} days.")
TOO_FEW = Prose(f"Fewer than {LEAST_USERS} users were observed for {BLOCK} days.")

_percent0 = partial(percent, digits=0)
_number1 = partial(number, digits=1)


def _month(iso: str) -> Prose:
    """A month as people write it: "March 2024"."""
    return Prose(day(f"{iso}-01").split(NBSP, 1)[1])


def _sure(row) -> Prose:
    """A share with its interval, for a sentence."""
    value = row.share if hasattr(row, "share") else row.value
    return Prose(f"{percent(value)} (95% interval {percents(row.low, row.high)})")


def _or_missing(show, row) -> Prose:
    """An interval, or a dash where there is none."""
    return show(row.low, row.high) if np.isfinite(row.low) else Prose(MISSING)


def _money_range(low: float, high: float) -> Prose:
    return interval(low / 100, high / 100, 2)


# What the indicators are called, what is divided by what, how the value and the limits are shown.
_COUNT = (number, lambda low, high: interval(low, high, 0))
_SHARE = (percent, percents)
_MONEY = (money, _money_range)
_MEAN = (partial(number, digits=2), lambda low, high: interval(low, high, 2))
INDICATORS = {
    "dau": ("Daily active users (DAU)", "active users of a day, mean of the last {days}", _COUNT),
    "wau": ("Weekly active users (WAU)", "active users of a week, mean of the last {weeks}", _COUNT),
    "mau": ("Monthly active users (MAU)", "users active in the last {days}", _COUNT),
    "stickiness": ("Stickiness", "active days of a monthly active user / {days}", _SHARE),
    "arpu_month": ("Revenue per user (ARPU), {month}", "revenue of the month / active users", _MONEY),
    "arppu_month": ("Revenue per payer (ARPPU), {month}", "revenue of the month / payers", _MONEY),
    "conversion_month": ("Payers, {month}", "payers of the month / active users", _SHARE),
    "conversion_7": ("Conversion in 7 days", "buyers / users seen for 7 days", _SHARE),
    "conversion_28": ("Conversion in 28 days", "buyers / users seen for 28 days", _SHARE),
    "arpu_28": ("Revenue per user in 28 days", "revenue / users seen for 28 days", _MONEY),
    "arppu_28": ("Revenue per payer in 28 days", "revenue / their buyers", _MONEY),
    "payer_share": ("Payers so far", "users who ever bought / registered users", _SHARE),
    "viewer_conversion": ("Conversion of viewers",
                          "users who bought at a paywall / users who saw one", _SHARE),
    "view_conversion": ("Conversion of views", "views with a purchase / views", _SHARE),
    "repeat_share": ("Repeat buyers", "users who bought twice or more / payers", _SHARE),
    "frequency": ("Purchases a payer", "purchases / payers", _MEAN),
    "order_value": ("Average order value", "revenue / purchases", _MONEY),
    "revenue_28": ("Revenue in 28 days of tenure",
                   "revenue / days since registration, all users, x 28", _MONEY),
}


def indicators_table(s: Study) -> Prose:
    """Every indicator: what is divided by what, its value and its interval."""
    i = s.indicators
    said = {"days": count(i.recent_days, "day"), "weeks": count(i.recent_days // 7, "week"),
            "month": _month(i.month) if i.month else ""}
    rows = []
    for row in i.kpis.itertuples():
        name, formula, (show, limits) = INDICATORS[row.indicator]
        rows.append({
            "Indicator": name.format(**said),
            "What is divided by what": formula.format(**said).replace(" x ", " × "),
            "Value": show(row.value) if np.isfinite(row.value) else Prose(MISSING),
            "95% interval": _or_missing(limits, row),
        })
    return table(pd.DataFrame(rows), {"Value": Prose, "95% interval": Prose})


def _kpi(s: Study, name: str):
    """A row of the indicators; None where it can't be told."""
    rows = s.indicators.kpis[s.indicators.kpis["indicator"] == name]
    row = next(rows.itertuples(), None)
    return row if row is not None and np.isfinite(row.value) else None


def usage(s: Study) -> Prose:
    """How often the monthly active users come."""
    mau, sticky = _kpi(s, "mau"), _kpi(s, "stickiness")
    if mau is None or sticky is None:
        return Prose("The period is shorter than 28 days, or nobody was active in its last 28: "
                     "there are no monthly active users to speak of.")
    days = sticky.value * s.indicators.recent_days
    return Prose(
        f"In the last {s.indicators.recent_days} days {count(int(mau.value), 'user')} "
        f"{'was' if mau.value == 1 else 'were'} active, {percent(mau.value / s.totals.users)} of "
        f"all who ever registered; the average one came on {number(days, 1)} of these days, a "
        f"stickiness of {percent(sticky.value)}"
        + (f" (95% interval {percents(sticky.low, sticky.high)})." if np.isfinite(sticky.low)
           else ".")
    )


def views_clustered(s: Study) -> Prose:
    """Why the interval of the views' conversion counts users, and what counting views would do."""
    row, naive = _kpi(s, "view_conversion"), s.indicators.view_conversion_by_views
    if row is None:
        return Prose("Nobody saw a paywall, and so there is no such share.")
    if not np.isfinite(row.low):
        ends = {0: "No view ended in a purchase", 1: "Every view ended in a purchase"}
        return Prose(f"{ends.get(row.value, 'Too few users saw a paywall')}, and so there is no such "
                     "interval.")
    wider = (row.high - row.low) / (naive.high - naive.low)
    mean = row.denominator / s.totals.viewers
    text = (
        f"A viewer sees {significant(mean, 2)} paywalls on average, and where some users convert "
        "more often than others, the views of one user are not independent draws. "
    )
    if wider > 1.1:
        return Prose(
            text + f"With the user as the unit the interval is {percents(row.low, row.high, 2)}; "
            f"Wilson's interval over views, {percents(naive.low, naive.high, 2)}, would claim "
            f"{significant(wider, 2)} times the precision that there is."
        )
    return Prose(
        text + f"Here it hardly matters: {percents(row.low, row.high, 2)} with the user as the unit, "
        f"{percents(naive.low, naive.high, 2)} over views."
    )


def two_averages(s: Study) -> Prose:
    """How far the average over all and the average over payers are apart, and why."""
    arpu, arppu, share = (_kpi(s, f"{name}_{WINDOW}") for name in ("arpu", "arppu", "conversion"))
    if arpu is None:
        return Prose(f"Nobody was seen for {WINDOW} days after registering, so there are no averages "
                     "to compare.")
    if arppu is None or not arpu.value > 0:
        return Prose(f"No revenue within {WINDOW} days of registration was observed, so there are "
                     "no averages to compare.")
    if share.value == 1:
        return Prose(f"Within {WINDOW} days every user pays, so the two averages are one, "
                     f"{money(arpu.value)}.")
    return Prose(
        f"Within {WINDOW} days a registered user brings {money(arpu.value)} and a paying one "
        f"{money(arppu.value)}: the two averages differ by the share who pay, {percent(share.value)}, "
        "and by nothing else."
    )


def marketing(s: Study) -> Prose:
    """Order value, frequency and repeat rate in a sentence."""
    value, often, again = (_kpi(s, name) for name in ("order_value", "frequency", "repeat_share"))
    if value is None or often is None or again is None:
        return NO_PURCHASES
    return Prose(
        f"A purchase brings {money(value.value)} on average, a payer buys {number(often.value, 1)} "
        f"times so far, and {percent(again.value, 0)} of payers have bought more than once "
        f"(95% interval {percents(again.low, again.high, 0)})."
    )


def monthly_figure(s: Study) -> p9.ggplot | Prose:
    """Revenue per active user and share who pay, by month, with intervals."""
    frame = s.indicators.monthly
    if frame.empty:
        return NO_MONTH
    parts = {"arpu": ("Revenue per active user", 100), "conversion": ("Active users who buy, %", 0.01)}
    long = pd.concat([
        pd.DataFrame({
            "month": pd.to_datetime(frame["month"]), "what": label,
            "value": frame[name] / scale, "low": frame[f"{name}_low"] / scale,
            "high": frame[f"{name}_high"] / scale,
        })
        for name, (label, scale) in parts.items()
    ])
    long["what"] = pd.Categorical(long["what"], [label for label, _ in parts.values()])
    return (
        figures.Plot(long, p9.aes("month", "value"))
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), color=figures.SKY, size=1.1,
                            na_rm=True)
        + p9.geom_line(color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1.4)
        + p9.facet_wrap("what", ncol=1, scales="free_y")
        + p9.expand_limits(y=0)
        + _dates(long["month"])
        + p9.labs(x="", y="")
        + figures.theme(height=4.4)
    )


def _dates(moments: pd.Series) -> p9.scale_x_datetime:
    """A time axis with about six labels, whatever the span."""
    months = max(1, round((moments.max() - moments.min()).days / 30 / 6))
    step = next((m for m in (1, 2, 3, 4, 6, 12) if m >= months), 12 * -(-months // 12))
    return p9.scale_x_datetime(date_breaks=f"{step} months", date_labels="%b %Y")


def monthly(s: Study) -> Prose:
    """What the first and the last month say, and how sure."""
    frame = s.indicators.monthly
    if len(frame) < 2:
        return NO_MONTH if frame.empty else Prose(
            "There is one complete month, and so nothing to compare it with.")
    a, b = frame.iloc[0], frame.iloc[-1]
    parts = []
    for name, what, show, limits in (
        ("arpu", "revenue per active user", money, _money_range),
        ("conversion", "the share of active users who buy", percent, percents),
    ):
        old, new = (f"{show(r[name])} ({limits(r[f'{name}_low'], r[f'{name}_high'])})"
                    if np.isfinite(r[f"{name}_low"]) else str(show(r[name])) for r in (a, b))
        parts.append(f"{what} was {old} in {_month(a['month'])} and {new} in {_month(b['month'])}")
    text = "; ".join(parts)
    text = f"{capital(text)}."
    steps = frame.shift()
    apart = int(((frame["arpu_low"] > steps["arpu_high"])
                 | (frame["arpu_high"] < steps["arpu_low"])).sum())
    half = (b["arpu_high"] - b["arpu_low"]) / 2 / b["arpu"] if b["arpu"] else np.nan
    if half < 1:
        text += (
            f" The last month's revenue per active user is known to about {percent(half, 0)} either "
            f"way; of {count(len(frame) - 1, 'step')} from a month to the next "
            f"{number(apart) if apart else 'none'} {'leads' if apart == 1 else 'lead'} from one "
            "interval to another that does not overlap it"
        )
        text += ("." if apart else
                 ", so by that strict measure no single step is news.")
    return Prose(text)


def lifetime_value_figure(s: Study) -> p9.ggplot | Prose:
    """Mean cumulative revenue a user, by time since registration."""
    frame = s.indicators.lifetime_value
    if frame.empty:
        return TOO_FEW
    zero = pd.DataFrame({"blocks": [0], "value": [0.0], "low": [0.0], "high": [0.0]})
    frame = pd.concat([zero, frame], ignore_index=True)
    money_columns = ["value", "low", "high"]
    frame[money_columns] /= 100
    frame["days"] = frame["blocks"] * BLOCK
    return (
        figures.Plot(frame, p9.aes("days", "value", ymin="low", ymax="high"))
        + p9.geom_ribbon(fill=figures.SKY, alpha=0.4, na_rm=True)
        + p9.geom_line(color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1.2)
        + p9.labs(x="Days since registration", y="Revenue per registered user")
        + figures.theme(height=3.0)
    )


def lifetime_value(s: Study) -> Prose:
    """What a user has brought after a month, a quarter, a year."""
    frame = s.indicators.lifetime_value
    if frame.empty:
        return TOO_FEW
    if not frame["value"].iloc[-1] > 0:
        return Prose("No user has brought any revenue, at any age.")
    last = int(frame["blocks"].iloc[-1])
    shown = frame[frame["blocks"].isin({1, 3, 13, last})]
    told = listing(
        f"{money(r.value)} ({_or_missing(_money_range, r)}) after "
        f"{count(int(r.blocks) * BLOCK, 'day')}"
        for r in shown.itertuples()
    )
    text = f"A registered user has brought {told}, on average."
    if frame["users"].iloc[0] > frame["users"].iloc[-1]:
        text += (f" {count(int(frame['users'].iloc[0]), 'user')} could be followed for the first of "
                 f"these spans, {number(frame['users'].iloc[-1])} to the end of the last, the "
                 "earliest to register.")
    year = frame[frame["blocks"] == 13]
    if len(year) and year["value"].item() > 0:
        first = frame["value"].iloc[0] / year["value"].item()
        text += (f" The first {BLOCK} days bring {percent(first, 0)} of what the first year of "
                 f"{13 * BLOCK} days does.")
    return Prose(text)


# Conversion of several kinds


def _rates(s: Study, dimension: str, window: int = WINDOW) -> pd.DataFrame:
    frame = s.indicators.conversion
    return frame[(frame["dimension"] == dimension) & (frame["window"] == window)]


def conversion(s: Study) -> Prose:
    """Who buys within each window."""
    rows = [_kpi(s, f"conversion_{window}") for window in WINDOWS]
    told = [f"{percent(r.value)} buy within {window} days ({percents(r.low, r.high)}, "
            f"{count(r.denominator, 'user')})"
            for window, r in zip(WINDOWS, rows, strict=True) if r is not None]
    if not told:
        return Prose("Nobody was observed for a week after registering, so conversion can't be told.")
    return Prose(f"Of those who were seen long enough, {listing(told)}.")


def cohort_conversion_figure(s: Study) -> p9.ggplot | Prose:
    """Conversion by month of registration, with intervals and the rate of all."""
    frame, overall = _rates(s, "cohort"), _rates(s, ALL)
    if frame.empty:
        return TOO_SHORT
    frame = frame.assign(month=pd.to_datetime(frame["value"]))
    return (
        figures.Plot(frame, p9.aes("month", "rate", ymin="low", ymax="high"))
        + p9.geom_hline(yintercept=overall["rate"].item(), color=figures.GREY, linetype="dotted")
        + p9.geom_linerange(color=figures.SKY, size=1.1)
        + p9.geom_point(color=figures.BLUE, size=1.8)
        + _dates(frame["month"])
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + p9.labs(x="Month of registration", y=f"Buy within {WINDOW} days")
        + figures.theme(height=2.8)
    )


def _sides(frame: pd.DataFrame, name) -> list[str]:
    """What lies above and what below the rate of all, after widening; parts of a sentence."""
    parts = []
    for side in ("above", "below"):
        values = [name(v) for v in frame.loc[frame["side"] == side, "value"]]
        if values:
            parts.append(f"{listing(values)} {'lies' if len(values) == 1 else 'lie'} {side} it")
    return parts


def _alike(overall: pd.DataFrame) -> Prose | None:
    """What to say where nobody or everybody buys, so that no group can differ."""
    rate = overall["rate"].item()
    if 0 < rate < 1:
        return None
    who = "Nobody" if rate == 0 else "Everybody"
    return Prose(f"{who} who could be followed bought within {WINDOW} days, so no group differs.")


def cohort_conversion(s: Study) -> Prose:
    """Whether cohorts differ in conversion, allowing for their number."""
    frame, overall = _rates(s, "cohort"), _rates(s, ALL)
    if frame.empty:
        return TOO_SHORT
    if len(frame) == 1:
        return Prose("There is a single cohort, and so nothing to compare it with.")
    if alike := _alike(overall):
        return alike
    parts = _sides(frame, _month)
    said = (listing(parts) if parts else
            "no single month can be told from it, though together they may still hold a trend")
    return Prose(
        f"The dotted line is the rate of all users, {percent(overall['rate'].item())}; with intervals "
        f"widened because {number(len(frame))} months are looked at, {said}."
    )


def countries_figure(s: Study) -> p9.ggplot | Prose:
    """Conversion by country, highest first, with the rate of all."""
    frame, overall = _rates(s, "country"), _rates(s, ALL)
    if frame.empty:
        return TOO_SHORT
    if len(frame) == 1:
        return Prose("All users seen long enough are from one country.")
    frame = frame.nlargest(MOST_COUNTRIES, "users", keep="first").sort_values(["rate", "value"])
    names = frame["value"].map(country)
    frame["value"] = pd.Categorical(names, list(names))
    kinds = {"": "not told apart from all users", "above": "above", "below": "below"}
    frame["kind"] = pd.Categorical(frame["side"].map(kinds), list(kinds.values()))
    shades = dict(zip(kinds.values(), (figures.GREY, figures.BLUE, figures.VERMILION), strict=True))
    marks = dict(zip(kinds.values(), ("o", "^", "v"), strict=True))
    return (
        figures.Plot(frame, p9.aes("value", "rate", ymin="low", ymax="high", color="kind",
                                shape="kind"))
        + p9.geom_hline(yintercept=overall["rate"].item(), color=figures.INK, linetype="dotted")
        + p9.geom_linerange(size=0.9)
        + p9.geom_point(size=2.2)
        + p9.coord_flip()
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.scale_color_manual(shades)
        + p9.scale_shape_manual(marks)
        + p9.labs(x="", y=f"Buy within {WINDOW} days of registration")
        + figures.theme(height=1.2 + 0.155 * len(frame))
        + p9.theme(panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=8))
    )


def countries(s: Study) -> Prose:
    """What so many intervals at once can show."""
    frame, overall = _rates(s, "country"), _rates(s, ALL)
    if frame.empty:
        return TOO_SHORT
    if len(frame) < 2:
        return Prose("With fewer than two countries there is nothing to compare.")
    if alike := _alike(overall):
        return alike
    rate = overall["rate"].item()
    off = int(((frame["low"] > rate) | (frame["high"] < rate)).sum())
    chance = 0.05 * len(frame)
    parts = _sides(frame, lambda value: escape(country(value)))
    said = listing(parts) if parts else "none can be told from it"
    shown = ""
    if len(frame) > MOST_COUNTRIES:
        shown = f" (the figure shows the {MOST_COUNTRIES} with the most users)"
    return Prose(
        f"With {number(len(frame))} countries{shown}, some intervals miss the rate of all, "
        f"{percent(rate)}, by chance alone, {number(chance, 1)} at 95% on average; here "
        f"{number(off) if off else 'none'} {'do' if off > 1 else 'does'}. With intervals widened for that "
        f"(Bonferroni), {said}.{_extremes(frame)}"
    )


def _extremes(frame: pd.DataFrame) -> str:
    """A warning where the ends of the order are countries smaller than the middle one."""
    middle = frame["users"].median()
    ends = frame.loc[[frame["rate"].idxmax(), frame["rate"].idxmin()]]
    if not (ends["users"] < middle).all() or len(frame) < 5:
        return ""
    (high, few), (low, little) = (
        (escape(country(r.value)), r.users) for r in ends.itertuples())
    return (
        f" The ends of the order, {high} with {count(few, 'user')} and {low} with {number(little)}, are "
        f"small countries (the one in the middle has {count(middle, 'user')}): small groups swing most, so "
        "the order itself says little."
    )


def segments_table(s: Study) -> Prose:
    """Conversion by device, gender and age band."""
    long = s.indicators.conversion
    long = long[long["dimension"].isin(DIMENSIONS)]
    if long.empty:
        return Prose("Nobody was observed for a week after registering.")
    rows = []
    for (dimension, value), part in long.groupby(["dimension", "value"], sort=False):
        cells = {int(r.window): r for r in part.itertuples()}
        rows.append({
            "By": DIMENSIONS[dimension], "Users": labels.group(dimension, value),
            "Number": int(part["users"].max()),
        } | {
            f"Buy within {w} days": Prose(f"{percent(cells[w].rate)} "
                                          f"({percents(cells[w].low, cells[w].high)})")
            if w in cells else Prose(MISSING) for w in WINDOWS
        })
    frame = pd.DataFrame(rows)
    frame["By"] = frame["By"].where(~frame["By"].duplicated(), "")
    return table(frame, {"Number": number} | {f"Buy within {w} days": Prose for w in WINDOWS})


def segments(s: Study) -> Prose:
    """Which segments differ from all users, allowing for their number."""
    said, alike = [], []
    overall = _rates(s, ALL)
    if overall.empty:
        return TOO_SHORT
    if same := _alike(overall):
        return same
    for dimension, name in DIMENSIONS.items():
        frame = _rates(s, dimension)
        if len(frame) < 2:
            continue
        parts = _sides(frame, lambda value, of=dimension: escape(labels.group(of, value)))
        if parts:
            said.append(f"by {name.lower()}, {listing(parts)}")
        else:
            alike.append(name.lower())
    if not said and not alike:
        return Prose("There is one value of each, and so nothing to compare.")
    text = ""
    if said:
        text = ("Against the rate of all users, with intervals widened for the number of groups: "
                f"{'; '.join(said)}.")
    if alike:
        text += (f" By {listing(alike)} no group can be told from all users, which is not to say "
                 "that there is no difference.")
    return Prose(text.strip())


# Time to the first purchase


def waiting_table(s: Study) -> Prose:
    """Share who buy within each window, users followed so long, and the mean wait of buyers."""
    frame = s.indicators.waiting.horizons
    if frame.empty:
        return Prose("Nobody was observed for a week after registering.")
    return table(pd.DataFrame({
        "Within": [Prose(count(int(w), "day")) for w in frame["window"]],
        "Have bought": frame["share"],
        "95% interval": [percents(r.low, r.high) for r in frame.itertuples()],
        "Users seen so long": frame["followed"],
        "Their buyers waited (mean days)": frame["mean_wait"],
    }), {"Within": Prose, "Have bought": percent, "95% interval": Prose,
         "Users seen so long": number, "Their buyers waited (mean days)": _number1})


def watched(s: Study) -> Prose:
    """How long the first and the last to register could be watched."""
    seen = s.retention[s.retention["at_risk"] > 0]
    longest = int(seen["day"].max())
    shortest = int(seen.loc[seen["at_risk"] == s.totals.users, "day"].max())
    if longest == shortest:
        who = f"every user had been watched for {count(longest, 'day')}"
    else:
        who = (f"those who registered first had been watched for {count(longest, 'day')} and those who "
               f"registered last for {count(shortest, 'day')}")
    return Prose(f"The tables end on {day(s.totals.last_day)}, and by then {who}.")


def naive_share(s: Study) -> Prose:
    """How dividing buyers by registered users misleads."""
    w = s.indicators.waiting
    if not s.totals.payers or w.horizons.empty:
        return NO_PURCHASES if not s.totals.payers else Prose(
            "Nobody was observed for a week after registering, so waiting can't be told.")
    last = w.horizons.iloc[-1]
    short = 1 - last["followed"] / s.totals.users
    window = count(int(last["window"]), "day")
    text = (
        f"Dividing the {count(s.totals.payers, 'buyer')} by all who registered gives "
        f"{percent(w.naive_share)}. But {percent(short, 0)} of users registered too late to be seen "
        f"for {window}, and count as if they would never buy; "
    )
    if last["low"] <= w.naive_share <= last["high"]:
        return Prose(text + f"allowing for that, {_sure(last)} buy within {window}, which "
                     "does not contradict it here, and may elsewhere.")
    verb = "too low" if w.naive_share < last["share"] else "no share of any fixed time"
    return Prose(text + f"allowing for that, {_sure(last)} buy within {window}. As an answer to "
                 f"“how many buy within {window}?” the first figure is {verb}.")


def naive_wait(s: Study) -> Prose:
    """How averaging the waits of buyers misleads."""
    w = s.indicators.waiting
    rows = w.horizons[w.horizons["mean_wait"].notna()]
    if w.naive_wait is None or len(rows) < 2:
        return Prose("There are too few purchases to compare waiting times over several spans.")
    a, b = rows.iloc[0], rows.iloc[-1]
    return Prose(
        f"Nor does the mean wait of buyers, {count(round(w.naive_wait), 'day')}, describe anything: "
        f"it leaves out everybody who is still waiting, and grows with the time that one watches, from "
        f"{number(a['mean_wait'], 1)} days in {number(a['window'])} days of watching to "
        f"{number(b['mean_wait'], 1)} in {number(b['window'])}."
    )


def median(s: Study) -> Prose:
    """Whether half of the users ever buy, and when."""
    w = s.indicators.waiting
    if not s.totals.payers:
        return NO_PURCHASES
    longest = int(w.curve.time[-1])
    if np.isfinite(w.median.estimate):
        if not np.isfinite(w.median.low):
            return Prose(
                f"Half of all users have bought by day {number(w.median.estimate)} after "
                "registration, of too few to put an interval on it."
            )
        high = (f" to {number(w.median.high)}" if np.isfinite(w.median.high)
                else " upwards without a limit")
        return Prose(
            f"Half of all users have bought by day {number(w.median.estimate)} after registration "
            f"(95% interval from day {number(w.median.low)}{high})."
        )
    return Prose(
        f"By day {number(longest)}, the longest wait observed, {percent(w.final.estimate)} of users "
        f"have bought ({percents(w.final.low, w.final.high)}). The curve does not reach one half, so "
        "there is no median time to the first purchase to report; a report that has one has left "
        "out those who did not buy."
    )


def waiting_figure(s: Study) -> p9.ggplot | Prose:
    """Cumulative share of users who have bought, with its band."""
    w = s.indicators.waiting
    if not s.totals.payers:
        return NO_PURCHASES
    frame = _bought(w.curve)
    return (
        figures.Plot(frame, p9.aes("day", "share"))
        + p9.geom_hline(yintercept=w.naive_share, color=figures.GREY, linetype="dotted")
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill=figures.SKY, alpha=0.4, na_rm=True)
        + p9.geom_step(color=figures.BLUE)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + p9.labs(x="Days since registration", y="Have bought at least once")
        + figures.theme(height=3.0)
    )


def _bought(curve) -> pd.DataFrame:
    """A Kaplan-Meier curve as the share who have had the event, as many times as a figure shows."""
    frame = curve.to_frame()
    # Closer together at first, where the curve is steep.
    frame = frame.iloc[np.unique(np.geomspace(1, len(frame), MOST_TIMES).round().astype(int)) - 1]
    return pd.DataFrame({"day": frame["time"], "share": 1 - frame["survival"],
                         "low": 1 - frame["high"], "high": 1 - frame["low"]})


def devices(s: Study) -> Prose:
    """Whether buyers come sooner on one device, by how much, and what that is not."""
    d = s.indicators.waiting.devices
    if d.test is None or d.differences.empty:
        return Prose("Waiting times can't be compared by device: there is one device only, or too "
                     "little was bought.")
    gap = d.differences.iloc[-1]
    if not np.isfinite(gap["low"]):
        return Prose("On one of the devices nobody bought, or everybody did, in the longest span "
                     "that was watched, so no interval can be put on the difference.")
    window = int(gap["window"])
    shares = d.group_horizons[d.group_horizons["window"] == window].set_index("group")["share"]
    names = [labels.group("device", name) for name in d.curves]
    digits = digits_of_points(*(shares[name] for name in d.curves))
    told = listing(f"{percent(shares[name], digits)} on {label}"
                   for name, label in zip(d.curves, names, strict=True))
    ratio = d.test.hazard_ratio
    text = (
        f"Within {number(window)} days {told} have bought, {names[0]} minus {names[1]} "
        f"{number(100 * gap['difference'], digits)} percentage points "
        f"(95% interval {interval(100 * gap['low'], 100 * gap['high'], digits)}); on a given day somebody "
        f"who has not bought yet does so {number(ratio.value, 2)} times as often on {names[0]} "
        f"({interval(ratio.low, ratio.high, 2)}; log-rank test, {p_value(d.test.p_value)})."
    )
    if d.test.p_value > 0.05:
        return Prose(text + " A difference is not shown, nor is its absence.")
    return Prose(text + " Countries differ in their devices, so this is a difference between users, "
                 "not yet the device's own; @sec-customers-drivers takes the two apart.")


def late_users(s: Study) -> Prose:
    """Whether later users are like earlier ones, on which the curve rests."""
    r = s.indicators.waiting.registered
    if r.differences.empty or r.test is None:
        return Prose("Whether late users are like early ones can't be checked: only one half of the "
                     "period holds registrations, or too little was bought.")
    off = r.differences[r.differences["apart"]]
    ratio = r.test.hazard_ratio
    said = (f"hazard ratio, earlier against later, {number(ratio.value, 2)}, "
            f"{interval(ratio.low, ratio.high, 2)}; log-rank test, {p_value(r.test.p_value)}")
    if off.empty and r.test.p_value > 0.05:
        return Prose(
            "Between users of the earlier and of the later half of the period no difference is "
            f"shown ({said}), so nothing speaks against it; nor does that prove it."
        )
    if off.empty:
        return Prose(
            f"Users of the earlier and of the later half of the period differ ({said}), so the "
            "right end of the curve, which only early users reach, need not hold for those of today."
        )
    gap = off.iloc[0]
    window = int(gap["window"])
    shares = r.group_horizons[r.group_horizons["window"] == window].set_index("group")["share"]
    word = "less" if gap["difference"] < 0 else "more"
    digits = digits_of_points(shares["earlier"], shares["later"])
    ends = sorted(100 * abs(gap[["low", "high"]].astype(float)))
    text = (
        f"It does not quite hold here: within {number(window)} days {percent(shares['earlier'], digits)} "
        f"of the users of the earlier half of the period had bought and {percent(shares['later'], digits)} "
        f"of the later half, so {number(100 * abs(gap['difference']), digits)} percentage points {word} of "
        f"the earlier (95% interval {interval(*ends, digits)})"
    )
    last = r.differences.iloc[-1]
    closer = last["window"] > window and abs(last["difference"]) < abs(gap["difference"])
    if r.test.p_value > 0.05:
        text += (f". The log-rank test does not see this ({said}): it looks for a constant ratio"
                 + (f", and the curves draw together, to {number(100 * abs(last['difference']), 1)} "
                    f"percentage points within {number(last['window'])} days" if closer else ""))
    else:
        text += f" ({said})"
    return Prose(text + ". The right end of the curve rests on early users only: read it as what "
                 "they did, not as a forecast for those of today.")


# Retention


def retention_table(s: Study) -> Prose:
    """Retention on chosen days."""
    frame = s.indicators.retention_days
    return table(pd.DataFrame({
        "Day since registration": frame["day"],
        "Users seen on it": frame["at_risk"],
        "Active": frame["active"],
        "Retention": frame["retention"],
        "95% interval": [percents(r.low, r.high) for r in frame.itertuples()],
    }), {"Day since registration": number, "Users seen on it": number, "Active": number,
         "Retention": percent, "95% interval": Prose})


def _curve(s: Study) -> pd.DataFrame:
    """Retention on the days that the figure shows."""
    frame = retention_band(s.retention)
    frame = frame[(frame["day"] > 0) & (frame["active"] > 0)]
    return frame[(frame["day"] <= FIRST_DAYS) | (frame["day"] % 7 == 0)]


def follows(s: Study) -> Prose:
    """What the curve of retention follows, where there is one."""
    if len(_curve(s)) < 2:
        return Prose("Too few users were active later to draw a curve.")
    return Prose("@fig-customers-retention follows users from the day on which they registered.")


def retention_figure(s: Study) -> p9.ggplot | Prose:
    """Share of users active on each day since registration."""
    frame = _curve(s)
    if frame.empty:
        return Prose("Nobody was active after the day of registration.")
    if len(frame) < 2:
        return Prose("Users were active on one day after that of registration only: there is no curve.")
    return (
        figures.Plot(frame, p9.aes("day", "retention"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill=figures.SKY, alpha=0.4)
        + p9.geom_line(color=figures.BLUE, size=0.45)
        + figures.log_x(breaks=[d for d in (1, 3, 7, 28, 90, 365, 1000)
                                   if d <= frame["day"].max()])
        + figures.log_y(labels=figures.percents)
        + p9.labs(x="Day since registration (log scale)", y="Active on that day (log scale)")
        + figures.theme(height=3.2)
    )


def day_zero(s: Study) -> Prose:
    """What being active means on the day of registration."""
    t = s.totals
    never = t.users - t.active_users
    zero = s.indicators.retention_days
    zero = zero[zero["day"] == 0].iloc[0]
    text = (
        "Active means that a user saw a paywall or bought; merely opening the app leaves no row. "
        f"By that measure {percent(zero['retention'])} were active on the very day that they registered"
    )
    if never:
        text += (f", and {count(never, 'user')} ({percent(never / t.users, 0)}) had not been by the "
                 "end of the period")
    return Prose(text + ".")


def retention_tail(s: Study) -> Prose:
    """Whether the curve turns up at its end, and why it may."""
    blocks = s.indicators.retention_blocks
    if (blocks["users"] >= LEAST_USERS).sum() < 3 or not blocks["retention"].max() > 0:
        return Prose(f"Too few users could be followed over three spans of {BLOCK} days.")
    followed = blocks[blocks["users"] >= LEAST_USERS]
    last, lowest = followed.iloc[-1], followed.loc[followed["retention"].idxmin()]
    if last["retention"] <= 1.25 * lowest["retention"] or last["retention"] < 0.001:
        return Prose("Towards its end, where few users are left to follow, the curve does not turn "
                     "up.")
    return Prose(
        f"Towards its end the curve turns up, from {percent(lowest['retention'])} a day in the "
        f"{BLOCK} days from day {number(lowest['first_day'])} to {percent(last['retention'])} in those "
        f"from day {number(last['first_day'])}. That does not mean that users came back: only the "
        f"{number(last['users'])} who registered first can be followed so long, and they may be "
        "other users than those who came after them (@sec-customers-cohorts)."
    )


def retention(s: Study) -> Prose:
    """How the curve falls."""
    frame = s.indicators.retention_days.set_index("day")
    days = [d for d in (1, 7, 28, 90) if d in frame.index]
    if not days or not s.totals.active_users:
        return Prose("There is too little to follow users for a day.")
    told = listing(f"{percent(frame.loc[d, 'retention'])} on day {d}" for d in days)
    text = f"Of those who could be seen on a day, as many were active: {told}."
    if len(days) == 4 and frame.loc[28, "retention"] > 0:
        first = frame.loc[1, "retention"]
        early = frame.loc[7, "retention"] / first if first else np.nan
        late = frame.loc[90, "retention"] / frame.loc[28, "retention"]
        if np.isfinite(early) and early < late:
            text += (
                f" From day 1 to day 7 it falls to {percent(early, 0)} of what it was, in six days; "
                f"from day 28 to day 90 to {percent(late, 0)}, in sixty-two: whoever has stayed for a "
                "month is a different kind of user from the one who registered."
            )
    return Prose(text)


# Cohorts


def _cohorts(s: Study) -> pd.DataFrame:
    """Complete cells of the latest cohorts."""
    frame = s.cohorts[s.cohorts["complete"]]
    latest = sorted(frame["cohort"].unique())[-MOST_COHORTS:]
    return frame[frame["cohort"].isin(latest)]


def cohort_table(s: Study) -> Prose:
    """Cumulative revenue a user by cohort and months since registration."""
    frame = _cohorts(s)
    if frame.empty:
        return NO_MONTH
    wide = frame.pivot(index="cohort", columns="months_since", values="revenue_per_user")
    months = [m for m in TABLE_MONTHS if m in wide.columns]
    sizes = s.cohorts.drop_duplicates("cohort").set_index("cohort")["users"]
    shown = pd.DataFrame({"Cohort": list(wide.index), "Users": sizes[wide.index].to_numpy()})
    for m in months:
        shown[str(m)] = wide[m].to_numpy()
    return table(shown, {"Users": number} | {str(m): money for m in months})


def cohort_figure(s: Study) -> p9.ggplot | Prose:
    """Heat map of retention by cohort and months since registration."""
    frame = _cohorts(s)
    if frame.empty:
        return NO_MONTH
    highest = max(frame["retention"].max(), 1e-9)
    names = sorted(frame["cohort"].unique())
    frame = frame.assign(
        cohort=pd.Categorical(frame["cohort"], names[::-1]),
        label=[f"{100 * share:.0f}" for share in frame["retention"]],
        ink=np.where(frame["retention"] > 0.6 * highest, "light", "dark"),
    )
    plot = (
        figures.Plot(frame, p9.aes("months_since", "cohort", fill="retention"))
        + p9.geom_tile(color="white", size=0.4)
        + p9.scale_fill_gradient(low="#eef3f7", high=figures.BLUE, labels=figures.percents)
        + p9.scale_x_continuous(breaks=range(0, int(frame["months_since"].max()) + 1, 3))
        + p9.labs(x="Months since the month of registration", y="Month of registration")
        + figures.theme(height=1.3 + 0.165 * len(names), legend="none")
        + p9.theme(panel_grid_major=p9.element_blank(), axis_text_y=p9.element_text(size=7.5))
    )
    if frame["months_since"].nunique() <= 27:
        shown = frame[frame["months_since"].isin(TABLE_MONTHS)]
        plot += p9.geom_text(p9.aes(label="label", color="ink"), shown, size=5.6)
        plot += p9.scale_color_manual({"light": "white", "dark": figures.INK})
    return plot


def cohort_cell(s: Study) -> Prose:
    """How sure a single cell is."""
    i = s.indicators
    if i.cohort_margin is None:
        return Prose("There are too few cohorts to compare.")
    margin = i.cohort_margin
    return Prose(
        f"In a cohort of the middle size, {count(i.cohort_size, 'user')}, the interval of a typical "
        f"retention after {count(i.cohort_month, 'month')} is {percents(margin.low, margin.high, 0)}: "
        "read the table by columns and blocks, not by single cells."
    )


def odd_cohorts(s: Study) -> Prose:
    """Cohorts that stand out, found from the data."""
    i = s.indicators
    if i.cohort_month is None:
        return Prose("There are too few complete cohorts to say which of them stands out.")
    if i.odd_cohorts.empty:
        return Prose("No cohort stands out from the others, by its size or by how many stayed.")
    n = len(i.odd_cohorts)
    text = ["One cohort stands out." if n == 1 else f"{number(n)} cohorts stand out."]
    text += [_odd_cohort(r, count(i.cohort_month, "month")) for r in i.odd_cohorts.itertuples()]
    share = i.odd_cohorts["users"].sum() / s.totals.users
    text.append(
        f"Together {percent(share, 0)} of all users are of this kind"
        if n > 1 else f"Its users are {percent(share, 0)} of all")
    text[-1] += ("; users who came early weigh more than that in everything that takes long to "
                 "observe.")
    return Prose(" ".join(text))


def _odd_cohort(r, later: str) -> str:
    """What is odd about one cohort."""
    said = (f"That of {_month(r.cohort)} holds {count(r.users, 'user')}, where the line through the "
            f"sizes of all has {number(r.typical_users)}")
    if r.busiest_users > 0.3 * r.users:
        said += (f"; {number(r.busiest_users)} of them registered on a single day, "
                 f"{day(r.busiest_day)}, as after a launch, a campaign or an import of accounts")
    said += "."
    if not np.isfinite(r.difference):
        return said
    shares = f"{percent(r.retention, 0)}, against {percent(r.others, 0)} of all other cohorts"
    if r.low * r.high > 0:
        ends = sorted((100 * abs(r.low), 100 * abs(r.high)))
        return said + (
            f" Active {later} after the month of registration were {shares}: "
            f"{number(100 * abs(r.difference))} percentage points {'more' if r.low > 0 else 'less'} "
            f"(95% interval {interval(*ends, 0)})."
        )
    return said + (
        f" Whether more or fewer of them stayed can't be told: active {later} after the month of "
        f"registration were {shares} (95% interval of the difference "
        f"{interval(100 * r.low, 100 * r.high, 0)} percentage points)."
    )


# Pivot table and concentration


def pivot_table(s: Study) -> Prose:
    """Share who ever bought by country and device, with margins, and revenue a user."""
    frame = s.indicators.pivot
    devices = [d for d in dict.fromkeys(frame["device"]) if d != ALL]
    rows = []
    for code, part in frame.groupby("country", sort=False):
        cells = {r.device: r for r in part.itertuples()}
        names = {OTHERS: "all others", ALL: "all countries"}
        row = {"Country": names.get(code, country(code)), "Users": cells[ALL].users}
        for d in (*devices, ALL):
            cell = cells.get(d)
            row[labels.group("device", d) if d != ALL else "Both"] = (
                Prose(f"{percent(cell.conversion)} ({percents(cell.low, cell.high, 0)})")
                if cell is not None and cell.users else Prose(MISSING))
        row["Revenue a user"] = cells[ALL].arpu
        rows.append(row)
    shown = pd.DataFrame(rows)
    if len(devices) == 1:
        shown = shown.drop(columns="Both")
    formats = {name: Prose for name in shown.columns[2:-1]}
    return table(shown, {"Users": number} | formats | {"Revenue a user": money})


def pivot(s: Study) -> Prose:
    """What the pivot table shows, margins against cells."""
    frame = s.indicators.pivot
    devices = [d for d in dict.fromkeys(frame["device"]) if d != ALL]
    cells = frame[(frame["country"] != ALL) & (frame["users"] > 0)]
    if len(devices) != 2 or cells["country"].nunique() < 2:
        return Prose("With one device or one country the table is a list.")
    wide = cells.pivot(index="country", columns="device", values="conversion")[devices].dropna()
    margin = frame[frame["country"] == ALL].set_index("device")["conversion"]
    a, b = devices
    gap = margin[b] - margin[a]
    agree = int(((wide[b] - wide[a]) * gap > 0).sum())
    if gap == 0:
        return Prose("In the margin the devices are level.")
    better, other = (b, a) if gap > 0 else (a, b)
    return Prose(
        f"In the margin {labels.group('device', better)} lies "
        f"{number(100 * abs(gap), 1)} percentage points above {labels.group('device', other)}, and it is "
        f"ahead in {number(agree)} of the {number(len(wide))} rows. A margin mixes the rows by how "
        "many users each has, so a gap between devices there is partly a gap between countries."
    )


def lorenz_figure(s: Study) -> p9.ggplot | Prose:
    """Lorenz curves of revenue over users and over payers."""
    counts = s.concentration.counts
    if not (counts.index * counts).sum() > 0:
        return Prose("There is no revenue to share out.")
    parts = []
    for label, levels in (("registered users", counts), ("payers", counts[counts.index > 0])):
        people = np.concatenate([[0], levels.cumsum()]) / levels.sum()
        revenue = np.concatenate([[0], (levels.index * levels).cumsum()])
        parts.append(pd.DataFrame(
            {"people": people, "revenue": revenue / revenue[-1], "base": label}))
    names = [part["base"].iloc[0] for part in parts]
    frame = pd.concat(parts)
    frame["base"] = pd.Categorical(frame["base"], names)
    return (
        figures.Plot(frame, p9.aes("people", "revenue", color="base", linetype="base"))
        + p9.geom_abline(slope=1, intercept=0, color=figures.GREY, linetype="dotted")
        + p9.geom_line()
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents)
        + figures.colours(names)
        + p9.labs(x="People, those who spend least first", y="Share of all revenue")
        + figures.theme(height=3.2)
    )


def unequal(s: Study) -> Prose:
    """Where it is seen how unevenly revenue is spread; or why it is not."""
    if s.indicators.inequality.empty:
        return _nothing_to_share(s)
    return Prose(
        "@fig-customers-lorenz lines people up by what they spend and adds up their shares of revenue, "
        "and @tbl-customers-inequality puts numbers to it."
    )


def _nothing_to_share(s: Study) -> Prose:
    """Why revenue cannot be shared out."""
    if s.totals.revenue:
        return Prose("All revenue is that of a single user, who has nobody to share it with.")
    return Prose("There is no revenue to share out.")


def inequality_table(s: Study) -> Prose:
    """Gini coefficient and top shares with bootstrap intervals."""
    frame = s.indicators.inequality
    if frame.empty:
        return _nothing_to_share(s)
    names = {"gini": "Gini coefficient", "top_1": "Share of the top 1%",
             "top_10": "Share of the top 10%"}
    rows = []
    for r in frame.itertuples():
        gini = r.measure == "gini"
        rows.append({
            "Of all": {"users": "registered users", "payers": "payers"}[r.base],
            "Measure": names[r.measure],
            "Value": number(r.value, 3) if gini else percent(r.value),
            "95% interval": interval(r.low, r.high, 3) if gini else percents(r.low, r.high),
        })
    return table(pd.DataFrame(rows), {"Value": Prose, "95% interval": Prose})


def inequality(s: Study) -> Prose:
    """What the concentration of revenue means for averages."""
    frame = s.indicators.inequality
    if frame.empty:
        return _nothing_to_share(s)
    value = frame.set_index(["base", "measure"])
    top, gini = value.loc[("users", "top_1")], value.loc[("users", "gini")]
    text = (
        f"The top 1% of registered users bring {percent(top['value'], 0)} of revenue "
        f"({percents(top['low'], top['high'], 0)}); the Gini coefficient is {number(gini['value'], 2)} "
        "over all users"
    )
    if ("payers", "gini") in value.index:
        text += f" and still {number(value.loc[('payers', 'gini'), 'value'], 2)} among payers"
    rest = (1 - top["value"]) / (1 - TOPS[0])  # of the mean of all
    text += (
        f". Without that one percent of users, revenue per user would be {money(s.totals.arpu * rest)} "
        f"instead of {money(s.totals.arpu)}. "
    )
    if top["value"] > 0.1:
        text += (
            "So an average of revenue describes hardly anybody, and moves with whether a few large "
            "spenders happen to be in the group: averages of revenue need many more users than shares "
            "of buyers do."
        )
    else:
        text += "No few users carry the average."
    return Prose(text)


def not_stated(s: Study) -> Prose:
    """What a group without a stated value is."""
    frame = s.indicators.conversion
    if frame.empty:
        return TOO_SHORT
    if (frame["value"] == NOT_STATED).any():
        return Prose("Users who did not state a value are a group of their own "
                     "(@sec-customers-exploration).")
    return Prose("Every user has a value.")


def answer(s: Study) -> Prose:
    """The first question's answer."""
    bought, frame = _kpi(s, "conversion_28"), s.indicators.retention_days.set_index("day")
    if bought is None or not s.totals.payers or WINDOW not in frame.index:
        return paragraph(conversion(s), retention(s))
    stays = frame.loc[WINDOW]
    text = (
        f"Of those who register, **{percent(bought.value, 0)} buy** within {WINDOW} days (95% "
        f"interval {percents(bought.low, bought.high)}) and **{percent(stays['retention'], 0)} are "
        f"active** on day {WINDOW} ({percents(stays['low'], stays['high'])})"
    )
    top = s.indicators.inequality.set_index(["base", "measure"])
    if ("users", "top_1") in top.index:
        share = top.loc[("users", "top_1")]
        text += (
            f"; one user in a hundred brings {percent(share['value'], 0)} of revenue "
            f"({percents(share['low'], share['high'], 0)})"
        )
    return Prose(text + ".")
