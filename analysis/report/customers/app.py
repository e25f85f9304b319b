"""Whose tables the app's are, how they join, and what was sold."""

from __future__ import annotations

from functools import partial

import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.report import exploration, figures, sentences
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    count,
    escape,
    low_to_high,
    number,
    paragraph,
    percent,
)

MOST_SKUS = 12  # shown; the rest are summed up
OTHERS = "all others"
NOTHING_SOLD = Prose("There are no items to show.")


def money(cents: float, digits: int = 2) -> Prose:
    """Cents as an amount of the currency: "12.34". The tables do not say which currency it is."""
    return number(cents / 100, digits)


def provenance(s: Study) -> Prose:
    """Whose tables these are."""
    return sentences.provenance(
        s, "so that an analysis has planted effects to find; no row is a real person or purchase"
    )


def gaps(s: Study) -> Prose:
    """Which columns of the users have gaps, and what is done about them."""
    handling = (
        "They are kept, and compared as a group of their own where a column makes groups: leaving them "
        "out would change who is being described, and filling them in would invent data."
    )
    return paragraph(exploration.gaps(s), handling if exploration.incomplete(s) else "")


def merging(s: Study) -> Prose:
    """How the tables meet: who has events, who has purchases, and who only one of them."""
    t = s.totals
    only_shop = t.active_users - t.viewers
    text = (
        f"Of {count(t.users, 'registered user')}, {number(t.viewers)} "
        f"({percent(t.viewers / t.users)}) ever saw a paywall and {number(t.payers)} "
        f"({percent(t.payer_share)}) ever bought"
    )
    if t.active_users < t.users:
        text += f"; {count(t.users - t.active_users, 'user')} left no trace after registering"
    if only_shop:
        text += f", and {count(only_shop, 'user')} bought without ever having seen a paywall"
    return Prose(text + ".")


def why_left_join(s: Study) -> Prose:
    """What an inner join would have done to the share who buy."""
    t = s.totals
    if t.active_users == t.users:
        return Prose("Here every user has an event, so that an inner join would lose nobody.")
    if not t.active_users:
        return Prose("Here no user has an event, so that an inner join would leave nobody.")
    return Prose(
        "So users are joined to their events from the left, and who has none counts as a zero: an "
        f"inner join would quietly turn a share of {percent(t.payer_share)} who bought into one of "
        f"{percent(t.payers / t.active_users)}."
    )


def at_the_paywall(s: Study) -> Prose:
    """How much is sold at the paywall, and how much elsewhere in the app."""
    t = s.totals
    if not t.purchases:
        return Prose("Nothing was bought in the period.")
    if t.paid_views in (0, t.purchases):
        where = "at a paywall" if t.paid_views else "elsewhere in the app, none at a paywall"
        verb = "was" if t.purchases == 1 else "were all"
        return Prose(f"{count(t.purchases, 'purchase')} {verb} made {where}.")
    return Prose(
        f"Of {count(t.purchases, 'purchase')}, {percent(t.paid_views / t.purchases, 0)} "
        "were made at a paywall and the others elsewhere in the app."
    )


def prices(s: Study) -> Prose:
    """How far apart the prices are, and what to look at for it."""
    if s.skus.empty:
        return Prose("Nothing was bought in the period, so there are no prices to compare.")
    low, high = s.skus["price_low"].min(), s.skus["price_high"].max()
    if low == high:
        return Prose(f"All that was bought cost the same, {money(low)}, so an item's share of "
                     "purchases is its share of revenue (@fig-customers-items).")
    return Prose(f"What was bought cost from {money(low)} to {money(high)}, so an item's share of "
                 "purchases (@fig-customers-items) need not be its share of revenue.")


def _items(s: Study) -> pd.DataFrame:
    """What was sold, highest revenue first; beyond `MOST_SKUS` summed up."""
    top, rest = s.skus.head(MOST_SKUS), s.skus.iloc[MOST_SKUS:]
    if rest.empty:
        return top
    others = rest[["purchases", "revenue", "revenue_share"]].sum().to_dict()
    others |= {"sku": OTHERS, "price_low": rest.price_low.min(), "price_high": rest.price_high.max()}
    return pd.concat([top, pd.DataFrame([others])], ignore_index=True)


def skus_table(s: Study) -> Prose:
    """What was bought, and what share of revenue it brought."""
    items = _items(s)
    if items.empty:
        return NOTHING_SOLD
    frame = pd.DataFrame({
        "Item": items["sku"],
        "Price": [
            money(low) if low == high else low_to_high(money(low), money(high))
            for low, high in zip(items["price_low"], items["price_high"], strict=True)
        ],
        "Purchases": items["purchases"],
        "Share of purchases": items["purchases"] / items["purchases"].sum(),
        "Revenue": items["revenue"],
        "Share of revenue": items["revenue_share"],
    })
    return table(frame, {"Price": Prose, "Purchases": number, "Share of purchases": percent,
                         "Revenue": partial(money, digits=0), "Share of revenue": percent})


def skus_figure(s: Study) -> p9.ggplot | Prose:
    """Share of purchases against share of revenue, by item."""
    items = _items(s)
    if items.empty:
        return NOTHING_SOLD
    shares = {"purchases": items["purchases"] / items["purchases"].sum(),
              "revenue": items["revenue_share"]}
    frame = pd.concat([
        pd.DataFrame({"sku": items["sku"], "of": f"share of {name}", "share": share})
        for name, share in shares.items()
    ])
    order = list(items["sku"])[::-1]
    frame["sku"] = pd.Categorical(frame["sku"], order)
    kinds = [f"share of {name}" for name in shares]
    frame["of"] = pd.Categorical(frame["of"], kinds)
    return (
        figures.Plot(frame, p9.aes("sku", "share", fill="of"))
        + p9.geom_col(position=p9.position_dodge2(reverse=True), width=0.75)
        + p9.coord_flip()
        + p9.scale_y_continuous(labels=figures.percents)
        + figures.fills(kinds)
        + p9.labs(x="", y="")
        + figures.theme(height=1.3 + 0.36 * len(order))
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def skus(s: Study) -> Prose:
    """Whether what sells most often is what earns most."""
    if s.skus.empty or not s.skus["revenue"].sum():
        return Prose("There is no revenue to share out.")
    earns = s.skus.iloc[0]
    sells = s.skus.loc[s.skus["purchases"].idxmax()]
    whole = s.skus["purchases"].sum()
    if len(s.skus) == 1:
        return Prose(f"A single item, {escape(earns.sku)}, brings all revenue.")
    if earns.sku == sells.sku:
        return Prose(
            f"The item that sells most often, {escape(earns.sku)}, earns most too: "
            f"{percent(earns.purchases / whole, 0)} of purchases and "
            f"{percent(earns.revenue_share, 0)} of revenue."
        )
    return Prose(
        f"What sells most often, {escape(sells.sku)} with {percent(sells.purchases / whole, 0)} of "
        f"purchases, brings {percent(sells.revenue_share, 0)} of revenue; {escape(earns.sku)}, with "
        f"{percent(earns.purchases / whole, 0)} of purchases, brings "
        f"{percent(earns.revenue_share, 0)}. Whatever is said about revenue is said about few, "
        "large purchases."
    )
