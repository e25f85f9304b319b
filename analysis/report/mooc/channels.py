"""Channels: where orders are sold, how users found the platform, and what either is worth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.channels import ALPHA, LEAST_MONTHS
from analysis.mooc.reduce import MISSING as NO_CHANNEL
from analysis.mooc.value import MARGIN
from analysis.report import figures
from analysis.report.mooc import labels
from analysis.report.tables import table, with_interval
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    day,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_cell,
    p_value,
    percent,
    percents,
    significant,
)

MOST = 12  # channels in a table or a figure of points, the largest
LINES = 5  # channels in the figure by month, the largest
LONGEST = 22  # letters of a label in a figure
SMALL_PRICE = 0.1  # of the mean order value: what counts as about the same
NOTHING_PAID = Prose("Nothing was paid, so there is no revenue to compare.")
NO_REFERRALS = Prose("No user's referral channel is known.")
NO_MONTHS = Prose(
    f"Orders fall in fewer than {LEAST_MONTHS} months, or name no channel: there is no trend of the mix "
    "to test.")
NO_TREND = Prose("There is no trend of the mix to test (@sec-mooc-channels-sales).")  # `mix` says why

_money = partial(number, digits=2)
_percent0 = partial(percent, digits=0)


def _hundreds(share: float) -> Prose:
    return number(100 * share, 1)


def _points(low: float, high: float) -> Prose:
    return interval(100 * low, 100 * high, 1)


def _moneys(low: float, high: float) -> Prose:
    return interval(low, high, 2)


def _times(low: float, high: float) -> Prose:
    return interval(low, high, 2)


def _largest(frame: pd.DataFrame, size: str, most: int = MOST) -> pd.DataFrame:
    """The largest groups, in order of size, those without a name last."""
    frame = frame.sort_index().sort_values(size, ascending=False, kind="stable")
    named = frame[frame.index != NO_CHANNEL].head(most)
    return pd.concat([named, frame[frame.index == NO_CHANNEL]])


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame.index != NO_CHANNEL]


def _listing(names) -> Prose:
    """Names of channels, escaped, at most as many as a sentence bears."""
    names = list(names)
    shown = [escape(labels.group(name)) for name in names[:MOST]]
    if len(names) > MOST:
        shown.append(Prose(f"{count(len(names) - MOST, 'other')}"))
    return listing(shown)


# Sales channels


def sold_table(s: Study) -> Prose:
    """What each sales channel sold, with intervals."""
    rows = [
        {
            "Channel": labels.group(name), "Orders": number(row.orders),
            "Of orders, %": with_interval(_hundreds, _points, row, "share_of_orders"),
            "Of revenue, %": with_interval(_hundreds, _points, row, "share_of_revenue"),
            "An order": with_interval(_money, _moneys, row, "order_value"),
            "To the others": with_interval(partial(number, digits=2), _times, row, "order_value_ratio"),
            "p": p_cell(row.order_value_p),
        }
        for name, row in _largest(s.channels.sold, "orders").iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def sold(s: Study) -> Prose:
    """Which channel sells most."""
    frame = _named(s.channels.sold)
    if frame.empty:
        return Prose("No order says through which channel it was sold.")
    if len(frame) == 1:
        return Prose(f"All orders that name their channel were sold through {_listing(frame.index)}.")
    by_orders = frame.loc[frame.orders.idxmax()]
    text = (
        f"{escape(by_orders.name)} takes most orders, "
        f"{with_interval(percent, percents, by_orders, 'share_of_orders')} of them"
    )
    if not frame.revenue.sum() > 0:
        return Prose(f"{text}. {NOTHING_PAID}")
    by_revenue = frame.loc[frame.revenue.idxmax()]
    sure = with_interval(percent, percents, by_revenue, "share_of_revenue")
    if by_revenue.name == by_orders.name:
        return Prose(f"{text}, and most revenue, {sure}.")
    return Prose(f"{text}; most revenue comes through {escape(by_revenue.name)}, {sure}.")


def order_value(s: Study) -> Prose:
    """Whether orders of some channels are larger."""
    frame = _named(s.channels.sold)
    told = frame[frame.order_value_p.notna()]
    if told.empty:
        return Prose("There are too few customers, or too few channels, to compare the value of an "
                     "order between channels.")
    apart = told[told.order_value_p <= ALPHA]
    if apart.empty:
        low, high = told.order_value_ratio_low.min(), told.order_value_ratio_high.max()
        text = ("No channel's orders are shown to be worth more or less than those of the others "
                f"(smallest corrected {p_value(told.order_value_p.min())}")
        if low > 1 - SMALL_PRICE and high < 1 + SMALL_PRICE:
            return Prose(
                f"{text}), and the 95% intervals leave little room: {percent(low - 1)} to "
                f"{percent(high - 1)} against the others is the most that any of them allows.")
        return Prose(f"{text}); the intervals still allow {low_to_high(percent(low - 1), percent(high - 1))}.")
    parts = [
        f"an order through {escape(name)} brings {number(row.order_value_ratio, 2)} times as much as "
        f"one through the others (95% interval "
        f"{_times(row.order_value_ratio_low, row.order_value_ratio_high)}, corrected "
        f"{p_value(row.order_value_p)})"
        for name, row in apart.iterrows()
    ]
    text = listing(parts)
    return Prose(f"{capital(text)}.")


def mix(s: Study) -> Prose:
    """Where the mix by month and its trend are shown, or why they are not."""
    drawn = (len(s.channels.monthly.index.levels[0]) >= LEAST_MONTHS
             and not _named(s.channels.sold).empty)
    if not drawn:
        return NO_MONTHS
    text = "@fig-mooc-mix shows each channel's share of the orders of a month"
    if s.channels.trends.empty:
        return Prose(f"{text}; no trend is tested, with a single channel or with shares that none can be fitted to.")
    return Prose(f"{text}, and @tbl-mooc-trends the test of its trend.")


def mix_figure(s: Study) -> p9.ggplot | Prose:
    """Each channel's share of the orders, by month."""
    monthly = s.channels.monthly
    months = monthly.index.levels[0]
    if len(months) < LEAST_MONTHS:
        return Prose(f"Orders fall in {count(len(months), 'month')}, too few to draw a line through.")
    names = list(_named(_largest(s.channels.sold, "orders", LINES)).index)
    if not names:
        return Prose("No order says through which channel it was sold.")
    wide = monthly["share"].unstack("channel", fill_value=0.0)[names]
    long = wide.stack().rename("share").reset_index()
    long["month"] = pd.to_datetime(long["month"])
    called = _short(names)
    long["channel"] = pd.Categorical(long["channel"].map(called), list(called.values()))
    kinds = ("solid", "dashed", "dashdot", "dotted", (0, (6, 1)))
    span = (long["month"].max() - long["month"].min()).days / 30
    step = next((m for m in (1, 2, 3, 4, 6, 12) if m >= span / 6), 12 * max(1, round(span / 72)))
    shown = list(called.values())
    return (
        figures.Plot(long, p9.aes("month", "share", color="channel", linetype="channel"))
        + p9.geom_line(size=1)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.scale_x_datetime(date_breaks=f"{step} months", date_labels="%b %Y")
        + p9.expand_limits(y=0)
        + figures.colours(shown)
        + p9.scale_linetype_manual(dict(zip(shown, kinds, strict=False)))
        + p9.labs(x="", y="Share of the month's orders")
        + figures.theme(height=3.2)
        + p9.guides(color=p9.guide_legend(nrow=1 if sum(map(len, shown)) < 50 else 3))
    )


def _short(names: list[str]) -> dict[str, str]:
    """Labels for a figure: plain, cut, and told apart."""
    called: dict[str, str] = {}
    for name in names:
        label = figures.short(labels.group(name), LONGEST)
        while label in called.values():
            label += "′"
        called[name] = label
    return called


def trends_table(s: Study) -> Prose:
    """The trend of each channel's share of the orders."""
    t = s.channels.trends
    if t.empty:
        return NO_TREND
    order = _largest(s.channels.sold.loc[s.channels.sold.index.isin(t.index)], "orders").index
    rows = [
        {
            "Channel": labels.group(name), "First month": percent(row["first"]),
            "Last month": percent(row["last"]),
            "Odds ratio a year": with_interval(partial(number, digits=2), _times, row, "odds_ratio"),
            "Scatter": number(row.dispersion, 2), "p": p_cell(row.p_adjusted),
        }
        for name, row in t.loc[order].iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def trends(s: Study) -> Prose:
    """Which channels gain and which lose."""
    t = s.channels.trends
    if t.empty:
        return NO_TREND
    apart = t[t.p_adjusted <= ALPHA]
    if apart.empty:
        return Prose("No channel's share of the orders is shown to rise or fall; the intervals of the "
                     "odds ratios say how much it may.")

    def told(rows: pd.DataFrame) -> str:
        return listing(
            f"{escape(name)} from {percent(row['first'], 0)} to {percent(row['last'], 0)}"
            for name, row in rows.iterrows())

    up, down = apart[apart.odds_ratio > 1], apart[apart.odds_ratio < 1]
    text = ""
    if len(up):
        text += f"Gaining: {told(up)} of a month's orders"
    if len(down):
        text += ("; losing: " if text else "Losing: ") + told(down)
        text += "" if len(up) else " of a month's orders"
    rest = t[t.p_adjusted > ALPHA]
    if len(rest):
        ends = rest.odds_ratio_low.min(), rest.odds_ratio_high.max()
        text += (f". For {_listing(rest.index)} no trend is shown; the intervals of the odds ratio a "
                 f"year allow {_times(*ends)}")
    return Prose(text + ".")


def halves_table(s: Study) -> Prose:
    """Orders of both halves of the period, and what growth and mix did."""
    h = s.channels.halves
    if h is None:
        return Prose("All orders are of a single day, so there are no two halves to compare.")
    sizes = h.by_channel_and_half.assign(
        orders=h.by_channel_and_half[["orders_first", "orders_second"]].sum(axis=1))

    def signed(value: float) -> Prose:
        return Prose(f"+{number(value)}" if round(value) > 0 else number(value))

    rows = [
        {
            "Channel": labels.group(name), "First half": number(row.orders_first),
            "Second half": number(row.orders_second),
            "Change": signed(row.orders_second - row.orders_first),
            "From growth": signed(row.growth) if np.isfinite(row.growth) else Prose(MISSING),
            "From mix": signed(row.mix) if np.isfinite(row.mix) else Prose(MISSING),
        }
        for name, row in _largest(sizes, "orders").iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def halves(s: Study) -> Prose:
    """Whether what changed was the size of the business or its mix."""
    h = s.channels.halves
    if h is None or h.within is None:
        return Prose(
            f"{'With orders of a single day' if h is None else 'With no orders in one of the halves'}, "
            "growth and mix can't be told apart.")
    f = h.by_channel_and_half
    n0, n1 = f.orders_first.sum(), f.orders_second.sum()
    text = (
        f"From the first half of the period (to {day(h.first_end)}) to the second (from "
        f"{day(h.second_start)}; {count(h.days, 'day')} each) orders went from {number(n0)} to "
        f"{number(n1)}."
    )
    masked = _named(f)
    masked = masked[(masked.mix < -0.5) & (masked.orders_second > masked.orders_first)]
    if len(masked):
        row = masked.loc[masked.mix.idxmin()]
        text += (
            f" {escape(row.name)} sold {count(int(row.orders_second - row.orders_first), 'order')} more, "
            f"although its share fell: growth of the whole brought it {number(row.growth)}, the mix "
            f"took {number(-row.mix)} away."
        )
    if h.order_value_first > 0 or h.order_value_second > 0:
        text += (
            f" The mean order value went from {number(h.order_value_first, 2)} to "
            f"{number(h.order_value_second, 2)}. Of this change the shift "
            f"between channels accounts for {number(h.mix, 2)}, changes within channels for "
            f"{number(h.within, 2)}."
        )
    return Prose(text)


# Referral channels


def referrals_table(s: Study) -> Prose:
    """Users and what they are worth by referral channel, with intervals."""
    rows = [
        {
            "Channel": labels.group(name), "Users": number(row.users),
            "Conversion": with_interval(percent, percents, row, "conversion"),
            "Value a user": with_interval(_money, _moneys, row, "value_per_user"),
            "Value a customer": with_interval(_money, _moneys, row, "value_per_customer"),
            "Of revenue": with_interval(percent, percents, row, "share_of_revenue"),
        }
        for name, row in _largest(s.channels.referrals, "users").iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def comparisons_table(s: Study) -> Prose:
    """Each referral channel against all other users."""
    rows = []
    for name, row in _named(_largest(s.channels.referrals, "users")).iterrows():
        rows.append({
            "Channel": labels.group(name),
            "Conversion, points": with_interval(
                _hundreds, _points, row, "conversion_difference"),
            "p, conversion": p_cell(row.conversion_p),
            "Value a user, ratio": with_interval(partial(number, digits=2), _times, row, "user_ratio"),
            "p, user": p_cell(row.user_p),
            "Value a customer, ratio": with_interval(
                partial(number, digits=2), _times, row, "customer_ratio"),
            "p, customer": p_cell(row.customer_p),
        })
    if len(rows) < 2:
        return Prose("There are no two referral channels to compare.")
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def relative_table(s: Study) -> Prose:
    """The value a user as a product of conversion and value a customer, relative to all users."""
    frame = _named(_largest(s.channels.referrals, "users"))
    if frame.empty:
        return NO_REFERRALS
    if not s.channels.referrals.revenue.sum() > 0:
        return NOTHING_PAID
    show = partial(number, digits=2)

    def told(value: float) -> Prose:
        return show(value) if np.isfinite(value) else Prose(MISSING)

    rows = [
        {
            "Channel": labels.group(name), "Value a user": told(row.relative_value),
            "Conversion": told(row.relative_conversion),
            "Value a customer": told(row.relative_customer),
            "Conversion, countries alike": with_interval(show, _times, row, "adjusted_conversion"),
        }
        for name, row in frame.iterrows()
    ]
    table_ = pd.DataFrame(rows)
    return table(table_, dict.fromkeys(table_.columns[1:], Prose))


def referral_figure(s: Study) -> p9.ggplot | Prose:
    """Conversion, value a user and value a customer by referral channel."""
    frame = _named(_largest(s.channels.referrals, "users"))
    if len(frame) < 2:
        return Prose("There are no two referral channels to compare.")
    everybody = s.channels.referrals
    users, customers, revenue = (everybody[c].sum() for c in ("users", "customers", "revenue"))
    parts = {"Conversion, %": ("conversion", 100, "conversion_p", "conversion_difference", 0.0,
                               customers / users)}
    if revenue > 0:
        parts |= {
            "Value a user": ("value_per_user", 1, "user_p", "user_ratio", 1.0, revenue / users),
            "Value a customer": ("value_per_customer", 1, "customer_p", "customer_ratio", 1.0,
                                 revenue / customers),
        }
    kinds = ("above the others", "below the others", "not told apart")
    called = _short(list(frame.index))
    order = frame.conversion.sort_values(kind="stable").index
    long = pd.concat([
        pd.DataFrame({
            "channel": pd.Categorical(frame.index.map(called), [called[name] for name in order]),
            "what": what, "value": scale * frame[name].to_numpy(),
            "low": scale * frame[f"{name}_low"].to_numpy(),
            "high": scale * frame[f"{name}_high"].to_numpy(), "all": scale * mean,
            "side": np.select(
                [(frame[p] <= ALPHA) & (frame[gap] > none), (frame[p] <= ALPHA) & (frame[gap] < none)],
                kinds[:2], kinds[2]),
        })
        for what, (name, scale, p, gap, none, mean) in parts.items()
    ], ignore_index=True)
    long["what"] = pd.Categorical(long["what"], list(parts))
    long["side"] = pd.Categorical(long["side"], kinds)
    return (
        figures.Plot(long, p9.aes("channel", "value", ymin="low", ymax="high", color="side",
                                  shape="side"))
        + p9.geom_hline(p9.aes(yintercept="all"), long.drop_duplicates("what"),
                        color=figures.INK, linetype="dotted")
        + p9.geom_linerange(size=0.9, na_rm=True, show_legend=False)
        + p9.geom_point(size=2.2, na_rm=True)
        + p9.coord_flip()
        + p9.facet_wrap("what", scales="free_x")
        + p9.expand_limits(y=0)
        + p9.scale_color_manual(dict(zip(kinds, (figures.BLUE, figures.VERMILION, figures.GREY),
                                         strict=True)))
        + p9.scale_shape_manual(dict(zip(kinds, ("^", "v", "o"), strict=True)))
        + p9.labs(x="", y="")
        + figures.theme(height=1.6 + 0.2 * len(frame))
        + p9.theme(panel_grid_major_y=p9.element_blank(), axis_text_y=p9.element_text(size=8.5))
    )


def _sides(frame: pd.DataFrame, p: str, gap: str, none: float) -> tuple[pd.Index, pd.Index]:
    told = frame[frame[p] <= ALPHA]
    return told.index[told[gap] > none], told.index[told[gap] < none]


def conversion(s: Study) -> Prose:
    """Whether referral channels differ in who becomes a customer."""
    d, frame = s.channels.differences, _named(_largest(s.channels.referrals, "users", 10**9))
    if d.groups < 2:
        return Prose("There are no two referral channels to compare.")
    if d.conversion_p is None:
        return Prose("Nobody, or everybody, became a customer, so no channel differs in it.")
    effect = (f"{p_value(d.conversion_p)}; Cramér's V {number(d.conversion_v, 2)}, 95% interval "
              f"{interval(d.conversion_v_low, d.conversion_v_high, 2)}")
    if d.conversion_p > ALPHA:
        return Prose(f"That referral channels differ in conversion is not shown ({effect}), nor that "
                     "they don't.")
    best, worst = frame.loc[frame.conversion.idxmax()], frame.loc[frame.conversion.idxmin()]
    text = (
        f"The share of users who became customers differs between referral channels ({effect}): from "
        f"{with_interval(percent, percents, best, 'conversion')} of those who came through "
        f"{escape(best.name)} to {with_interval(percent, percents, worst, 'conversion')} through "
        f"{escape(worst.name)}."
    )
    up, down = _sides(frame, "conversion_p", "conversion_difference", 0)
    parts = []
    if len(up):
        parts.append(f"{_listing(up)} {'converts' if len(up) == 1 else 'convert'} better")
    if len(down):
        parts.append(f"{_listing(down)} {'converts' if len(down) == 1 else 'convert'} worse")
    if parts:
        text += f" With p-values corrected for all channels, {' and '.join(parts)} than the others."
    return Prose(text)


def user_value(s: Study) -> Prose:
    """Whether users of referral channels differ in what they are worth."""
    d, frame = s.channels.differences, _named(_largest(s.channels.referrals, "users", 10**9))
    if d.user_p is None:
        return Prose("What users of the referral channels are worth can't be compared: there is no "
                     "revenue, or no two channels.")
    up, down = _sides(frame, "user_p", "user_ratio", 1)
    if d.user_p > ALPHA:
        return Prose(f"That users of one referral channel are worth more than those of another is not "
                     f"shown ({p_value(d.user_p)} for all together).")
    if not len(up) + len(down):
        return Prose(f"Users of the referral channels differ in what they are worth ({p_value(d.user_p)} "
                     "for all together), but no single channel can be told from the others.")
    parts = []
    for index, word in ((up, "more"), (down, "less")):
        if len(index):
            told = listing(
                f"{escape(name)} ({number(frame.user_ratio[name], 2)} times, 95% interval "
                f"{_times(frame.user_ratio_low[name], frame.user_ratio_high[name])})"
                for name in index)
            parts.append(f"{told} are worth {word}")
    parts[0] += " than those of the others"
    return Prose(
        f"*Users* of {'; users of '.join(parts)}. All channels together: {p_value(d.user_p)}; the channels "
        "named are those whose p-value, corrected for all, is at most 0.05.")


def customer_value(s: Study) -> Prose:
    """Whether customers of referral channels differ in what they are worth."""
    d, frame = s.channels.differences, _named(_largest(s.channels.referrals, "users", 10**9))
    told = frame[frame.customer_p.notna()]
    if d.customer_p is None or told.empty:
        return Prose("What customers of the referral channels are worth can't be compared: there are "
                     "too few of them, or nothing was paid.")
    up, down = _sides(frame, "customer_p", "customer_ratio", 1)
    said = f"{p_value(d.customer_p)} for all channels together"
    if len(up) + len(down):
        parts = [
            f"{escape(name)} ({number(frame.customer_ratio[name], 2)} times, 95% interval "
            f"{_times(frame.customer_ratio_low[name], frame.customer_ratio_high[name])})"
            for name in (*up, *down)]
        too = " as well" if d.user_p is not None and d.user_p <= ALPHA else ""
        return Prose(f"Among *customers*, value differs{too} ({said}): {listing(parts)} against the "
                     "others.")
    low, high = told.customer_ratio_low.min(), told.customer_ratio_high.max()
    text = (f"Among *customers* no channel is shown to differ from the others ({said}); the intervals "
            f"allow {low_to_high(percent(low - 1, 0), percent(high - 1, 0))} at most")
    if d.user_p is not None and d.user_p <= ALPHA:
        spread = frame.user_ratio.dropna()
        text += (f", where users differ by {percent(spread.min() - 1, 0)} to "
                 f"{percent(spread.max() - 1, 0)}")
    return Prose(text + ".")


def why(s: Study) -> Prose:
    """Whether users differ in value by conversion or by what customers spend."""
    d, frame = s.channels.differences, _named(s.channels.referrals)
    frame = frame[(frame.relative_value > 0) & (frame.relative_conversion > 0)]
    if len(frame) < 2:
        return Prose("There are no two referral channels with revenue, so there is nothing to split.")
    if d.user_p is None or d.user_p > ALPHA:
        return Prose("Users of the channels are not shown to differ in value, so no difference is split "
                     "into conversion and the value a customer.")
    weight = frame.users / frame.users.sum()
    logs = {c: np.log(frame[c]) for c in ("relative_value", "relative_conversion",
                                          "relative_customer")}
    centred = {name: log - (weight * log).sum() for name, log in logs.items()}
    spread = float((weight * centred["relative_value"] ** 2).sum())
    if not spread > 1e-12:
        return Prose("All referral channels bring the same value a user.")
    part = float((weight * centred["relative_value"] * centred["relative_conversion"]).sum()) / spread
    if part > 0.75:
        text = "The difference is mostly one in *whether* a user buys, less in how much a customer spends"
    elif part < 0.25:
        text = "The difference is mostly one in *how much* a customer spends, less in whether a user buys"
    else:
        text = "The difference is one both in whether a user buys and in how much a customer spends"
    text += (
        f": where a channel's users are worth 10% more, {number(10 * part, 1)} points come with conversion "
        f"and {number(10 * (1 - part), 1)} with the value a customer, on average")
    alone = [what for what, p in (("conversion", d.conversion_p), ("the value a customer", d.customer_p))
             if p is None or p > ALPHA]
    return Prose(f"{text}; that channels differ in {listing(alone, 'or')} alone is not shown." if alone
                 else f"{text}.")


def countries(s: Study) -> Prose:
    """Whether the users' countries explain the differences in conversion."""
    frame = _named(_largest(s.channels.referrals, "users", 10**9))
    frame = frame[frame.adjusted_conversion.notna() & (frame.customers > 0)]
    if len(frame) < 2:
        return Prose("There are no two referral channels to compare.")
    crude = frame.relative_conversion.max() / frame.relative_conversion.min()
    alike = frame.adjusted_conversion.max() / frame.adjusted_conversion.min()
    how = (
        "The last column of @tbl-mooc-referral-parts therefore compares with the customers that there would "
        "be if users of each country converted as their country does. "
        if s.channels.referrals.revenue.sum() > 0 else "")
    p = s.channels.differences.conversion_p
    if p is None or p > ALPHA:
        return Prose(f"{how}Channels are not shown to differ in conversion, so no difference is shown that "
                     "countries could explain.")
    text = (f"{how}The best channel converts {significant(crude, 3)} times as well as the worst; with "
            f"countries alike, {significant(alike, 3)} times")
    left = np.log(alike) / np.log(crude) if crude > 1 else 1.0
    if crude <= 1:
        return Prose(text + ".")
    if left > 0.8:
        return Prose(f"{text}, so it is hardly the countries that make the difference.")
    if left > 0.4:
        return Prose(f"{text}, so countries explain a part of the difference.")
    return Prose(f"{text}, so most of the difference is one between countries.")


# Costs


def ceiling_table(s: Study) -> Prose:
    """What a user and a customer from each channel may cost at most, given the value so far."""
    frame = _named(_largest(s.channels.referrals, "users"))
    if frame.empty:
        return NO_REFERRALS
    if not s.channels.referrals.revenue.sum() > 0:
        return NOTHING_PAID
    rows = [
        {
            "Channel": labels.group(name),
            "A user, at most": _money(row.value_per_user),
            "A user, surely": _money(row.value_per_user_low),
            "A customer, at most": _money(row.value_per_customer),
            "A customer, surely": _money(row.value_per_customer_low),
        }
        for name, row in frame.iterrows()
    ]
    shown = pd.DataFrame(rows)
    return table(shown, dict.fromkeys(shown.columns[1:], Prose))


def ceiling(s: Study) -> Prose:
    """What the ceilings say and don't."""
    frame = _named(s.channels.referrals)
    if frame.empty:
        return NO_REFERRALS
    if not frame.revenue.sum() > 0:
        return NOTHING_PAID
    best, worst = (frame.loc[frame.value_per_user.idxmax()], frame.loc[frame.value_per_user.idxmin()])
    if len(frame) == 1:
        return Prose(f"A user from {escape(best.name)} has brought {_money(best.value_per_user)} so "
                     "far; one who cost more has not paid for it yet.")
    return Prose(
        f"A user from {escape(best.name)} may have cost up to {_money(best.value_per_user)} before "
        f"the revenue so far is spent, one from {escape(worst.name)} up to "
        f"{_money(worst.value_per_user)}; any other cost of a course comes off that, and what "
        "customers will still buy is added to it."
    )


def answer(s: Study) -> Prose:
    """What sells and who comes through which channel."""
    if not s.channels.referrals.revenue.sum() > 0:
        return sold(s)
    d, frame = s.channels.differences, _named(s.channels.referrals)
    if d.user_p is None or d.user_p > ALPHA or len(frame) < 2:
        text = sold(s)
        if d.user_p is not None and len(frame) > 1:
            text += (" That users of one referral channel are worth more than those of another is not "
                     "shown.")
        return Prose(text)
    best, worst = (frame.loc[frame.value_per_user.idxmax()], frame.loc[frame.value_per_user.idxmin()])
    text = (
        f"**A user from {escape(best.name)} has brought {_money(best.value_per_user)}**, one from "
        f"{escape(worst.name)} {_money(worst.value_per_user)}"
    )
    up, down = _sides(frame, "customer_p", "customer_ratio", 1)
    if d.customer_p is not None and not len(up) + len(down):
        text += "; of those who buy at all, no channel's are shown to be worth more than the others'"
    gain = s.channels.trends
    gain = gain[(gain.p_adjusted <= ALPHA) & (gain.odds_ratio > 1)]
    if len(gain):
        row = gain.loc[(gain["last"] - gain["first"]).idxmax()]
        text += (f". {escape(labels.group(row.name))} grew from {percent(row['first'], 0)} to "
                 f"{percent(row['last'], 0)} of the orders")
    return Prose(text + ".")


def recommendation(s: Study) -> Prose:
    """What to do about channels."""
    d, frame = s.channels.differences, _named(s.channels.referrals)
    up, down = _sides(frame, "user_p", "user_ratio", 1)
    if d.user_p is None or d.user_p > ALPHA or not len(up) + len(down):
        return Prose("")
    text = "**Pay for users by what their channel's users are worth.** "
    parts = []
    if len(up):
        best = frame.loc[up].value_per_user.idxmax()
        parts.append(f"up to {_money(MARGIN * frame.value_per_user_low[best])} for one from {escape(best)}")
    if len(down):
        worst = frame.loc[down].value_per_user.idxmin()
        parts.append(
            f"not above {_money(MARGIN * frame.value_per_user_low[worst])} for one from {escape(worst)}")
    text += (
        f"At a margin of {percent(MARGIN, 0)}, to be replaced by the true one, that is "
        f"{listing(parts)}: what is left of the revenue that they surely brought so far "
        "(@tbl-mooc-ceiling), to which comes what they will still buy (@sec-mooc-value-ceiling). "
    )
    text += ("Record what each channel costs: without it no table says which one pays.")
    return Prose(text)
