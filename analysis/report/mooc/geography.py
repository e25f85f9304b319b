"""Geography: where the sales come from, and which countries truly stand out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.geography import LEAST_COUNTRIES, TOP, Rates
from analysis.mooc.reduce import MISSING
from analysis.report import figures, world
from analysis.report.mooc import labels
from analysis.report.tables import table
from analysis.report.text import (
    NBSP,
    Prose,
    capital,
    count,
    escape,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
)
from analysis.stats.shrinkage import limits

SHADES = ("#cfe2f1", "#9ac4e0", "#5ba3d0", "#1a78b4", "#083f6b")  # light to dark, few to many
LAND, NO_DATA = "#d9dde1", "no data"
STEPS = (0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.1, 0.2)  # width of a class of the map
ABOVE, BELOW = "above the others", "below the others"
POINTS = 60  # of each limit of the funnel plot
LEAST_BUBBLE = 0.004  # share of the revenue: smaller areas are hardly seen
BUBBLES = (0.01, 0.05, 0.2)  # shares of the revenue in the legend
MOST_NAMED = 6
BOUGHT = "the share of users who bought"
COMPLETED = "the share of enrolled users who completed a course"
NO_SALES = Prose("There are no sales by country (@sec-mooc-geography-revenue).")  # `concentration` says why
FEW = Prose("Countries cannot be compared (@sec-mooc-smoothing).")  # `spread` says why
WHY_FEW = Prose(
    f"Fewer than {LEAST_COUNTRIES} countries are known, or their users all did the same, so countries cannot be compared."
)


def name(code: str) -> Prose:
    """A country in a sentence."""
    called = labels.country(code)
    plural = called.startswith("United ") or called.endswith(("Islands", "Netherlands", "Philippines"))
    return escape(f"the {called}" if plural else called)


def _names(codes, called: Callable[[str], Prose] = name) -> Prose:
    """Some countries in a sentence, the rest counted."""
    codes = list(codes)
    shown = [called(code) for code in codes[:MOST_NAMED]]
    if len(codes) > MOST_NAMED:
        shown.append(count(len(codes) - MOST_NAMED, "more country", "more countries"))
    return listing(shown)


def concentration(s: Study) -> Prose:
    """How few countries the revenue comes from."""
    c = s.geography.concentration
    if c is None:
        return Prose("No revenue comes from a user whose country is known, so there is nothing to show by country.")
    if c.countries == 1:
        return Prose(f"All users whose country is known are in {name(c.first)}.")
    said = f"{percent(c.first_share)} of the revenue whose country is known comes from {name(c.first)}"
    if c.selling > TOP:
        said += (
            f" and {percent(c.top_share)} from the ten countries that bring most; "
            f"{count(c.half, 'country makes', 'countries make')} half of it"
        )
    if c.selling == c.countries:
        return Prose(f"{said}. All {number(c.countries)} countries with users have sales.")
    return Prose(
        f"{said}. {number(c.selling)} of {number(c.countries)} countries with users "
        f"{'has' if c.selling == 1 else 'have'} sales.")


def not_given(s: Study) -> Prose:
    """Users and revenue that no country is known of; empty where there are none."""
    frame = s.geography.countries
    if MISSING not in frame.index:
        return Prose("")
    row, users = frame.loc[MISSING], frame.users.sum()
    total = frame.revenue.sum()
    money = f", with {percent(row.revenue / total)} of the revenue" if total > 0 else ""
    return Prose(
        f"The country of {count(int(row.users), 'user')} ({percent(row.users / users)}{money}) is not given; they are left out of every comparison."
    )


def countries_table(s: Study) -> Prose:
    """The countries that bring most."""
    if s.geography.concentration is None:
        return NO_SALES
    frame = s.geography.countries.drop(index=MISSING, errors="ignore")
    total = frame.revenue.sum()
    top = frame.sort_values("revenue", ascending=False, kind="stable").head(TOP)
    rows = pd.DataFrame({
        "Country": [labels.country(code) for code in top.index],
        "Users": top.users, "Bought": top.customers / top.users, "Revenue": top.revenue,
        "Share of revenue": top.revenue / total, "Revenue a user": top.revenue / top.users,
    })
    return table(rows, {
        "Users": number, "Bought": percent, "Revenue": number, "Share of revenue": percent,
        "Revenue a user": lambda value: number(value, 1),
    })


def sales_figure(s: Study) -> p9.ggplot | Prose:
    """A map with the revenue of each country as an area."""
    if s.geography.concentration is None:
        return NO_SALES
    frame = s.geography.countries.drop(index=MISSING, errors="ignore")
    # Sums differ in the last bits with the order of the rows; the drawing must not.
    shares = (frame.revenue / frame.revenue.sum()).round(6).rename("share")
    spots = _placed(shares[shares >= LEAST_BUBBLE].to_frame()).sort_values("share", ascending=False)
    if spots.empty:
        return Prose("None of the countries in the tables is on the map.")
    plot = (
        figures.Plot(world.shapes(), p9.aes("x", "y"))
        + p9.geom_polygon(p9.aes(group="part"), fill=LAND, color="white", size=0.25)
        + p9.geom_point(
            p9.aes(size="share"), data=spots, fill=figures.BLUE, color="white", alpha=0.8,
            stroke=0.3, shape="o",
        )
        + p9.scale_size_area(
            max_size=17, limits=(0, float(spots.share.max())), labels=figures.percents,
            breaks=[b for b in BUBBLES if b < spots.share.max()] or [float(spots.share.max())],
        )
        + _map_look()
    )
    return figures.with_numbers(plot, frame[["revenue"]].assign(share=shares).reset_index())


def _placed(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows by country with the place of each on the map; those without one are left out."""
    return frame.rename_axis("country").join(world.places(), how="inner").reset_index()


def _map_look() -> list:
    frame = world.shapes()
    return [
        p9.coord_fixed(expand=False, xlim=(frame.x.min(), frame.x.max()),
                       ylim=(frame.y.min(), frame.y.max())),
        figures.theme(height=3.4, legend="bottom"),
        p9.theme(
            axis_text=p9.element_blank(), axis_title=p9.element_blank(),
            panel_grid_major=p9.element_blank(), legend_box="horizontal",
            legend_box_spacing=0.02,
        ),
    ]


def unplaced(s: Study) -> Prose:
    """Which codes the maps don't show; empty where they show all."""
    frame = s.geography.countries.drop(index=MISSING, errors="ignore")
    left = [code for code in frame.index if code not in world.places().index]
    if not left:
        return Prose("")
    return Prose(
        f"Not on the maps: {listing(escape(code) for code in left[:MOST_NAMED])}"
        + (f" and {count(len(left) - MOST_NAMED, 'more')}" if len(left) > MOST_NAMED else "")
        + ", which have no place there."
    )


def hot_spot_figure(s: Study) -> p9.ggplot | Prose:
    """A map of the smoothed share of users who bought, with the countries that stand out marked."""
    found = s.geography.conversion
    if found is None:
        return FEW
    frame = found.countries
    edges = _edges(frame.smoothed)
    names = [f"{100 * a:g} to {100 * b:g}%" for a, b in pairwise(edges)]
    kinds = pd.cut(frame.smoothed, edges, labels=names, include_lowest=True)
    shades = dict(zip(names, _shades(len(names)), strict=True)) | {NO_DATA: LAND}
    shapes = world.shapes()
    known = shapes.country.map(kinds.astype(object)).fillna(NO_DATA)
    shapes = shapes.assign(kind=pd.Categorical(known, [*names, NO_DATA]))
    spots = _placed(frame.assign(kind=pd.Categorical(kinds.astype(object), [*names, NO_DATA])))
    marked = spots[spots.stands_out != 0].copy()
    marked["side"] = pd.Categorical(
        np.where(marked.stands_out > 0, ABOVE, BELOW), [ABOVE, BELOW])
    plot = (
        figures.Plot(shapes, p9.aes("x", "y"))
        + p9.geom_polygon(p9.aes(group="part", fill="kind"), color="white", size=0.25)
        + p9.geom_point(p9.aes(fill="kind"), data=spots[spots.small], color=figures.INK,
                        stroke=0.3, shape="o", size=2.2, show_legend=False)
        + p9.scale_fill_manual(shades, limits=[*names, NO_DATA])
    )
    if len(marked):
        plot += p9.geom_point(p9.aes(shape="side"), data=marked, fill="white",
                              color=figures.VERMILION, size=2.6, stroke=0.9)
        plot += p9.scale_shape_manual({ABOVE: "^", BELOW: "v"}, limits=[
            side for side in (ABOVE, BELOW) if (marked.side == side).any()])
    plot = (
        plot + _map_look()
        + p9.guides(fill=p9.guide_legend(nrow=2, order=1), shape=p9.guide_legend(nrow=2, order=2))
    )
    return figures.with_numbers(plot, frame.reset_index())


def _edges(values: pd.Series) -> list[float]:
    """Round edges of at most as many classes as there are shades, around all values."""
    low, high = float(values.min()), float(values.max())
    for step in STEPS:
        first, last = np.floor(low / step + 1e-9), np.ceil(high / step - 1e-9)
        if last - first <= len(SHADES):
            break
    last = max(last, first + 1)
    return [round(float(k * step), 6) for k in np.arange(first, last + 1)]


def _shades(n: int) -> list[str]:
    """`n` of the shades, from the lightest to the darkest."""
    return [SHADES[i] for i in np.linspace(0, len(SHADES) - 1, n).round().astype(int)]


def funnel_figure(s: Study) -> p9.ggplot | Prose:
    """Raw rates by size, with the limits that chance alone would seldom leave."""
    found = s.geography.conversion
    if found is None:
        return FEW
    frame = found.countries.reset_index()
    target = found.prior.pooled
    sizes = np.unique(np.geomspace(
        max(0.9 * frame.trials.min(), 1), 1.1 * frame.trials.max(), POINTS).round())
    names = ("95% limits of chance", "99.8% limits")
    lines = []
    for kind, confidence in zip(names, (0.95, 0.998), strict=True):
        for side, values in enumerate(limits(target, sizes, confidence)):
            lines.append(pd.DataFrame({
                "trials": sizes, "rate": values, "limits": kind, "part": f"{kind}{side}"}))
    curves = pd.concat(lines, ignore_index=True)
    curves["limits"] = pd.Categorical(curves.limits, names)
    marked = frame[frame.stands_out != 0].assign(
        code=lambda f: f.user_country, side=lambda f: np.where(f.stands_out > 0, 1, -1))
    top = min(1.0, 1.15 * max(float(frame.rate.max()), target))
    return (
        figures.Plot(curves, p9.aes("trials", "rate"))
        + p9.geom_hline(yintercept=target, color=figures.GREY, size=0.6)
        + p9.geom_line(p9.aes(linetype="limits", group="part"), color=figures.INK, size=0.5)
        + p9.geom_point(data=frame[frame.stands_out == 0], color=figures.BLUE, size=1.5, alpha=0.7)
        + p9.geom_point(data=marked, color=figures.VERMILION, shape="D", size=2)
        + p9.geom_label(
            p9.aes(label="code", y=f"rate + {0.055 * top} * side"), data=marked, size=8.5,
            color=figures.INK, fill="white", label_size=0, label_padding=0.08,
        )
        + p9.scale_linetype_manual(dict(zip(names, ("solid", "dashed"), strict=True)))
        + figures.log_x(labels=figures.thousands)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.coord_cartesian(ylim=(0, top))
        + p9.labs(x="Users of the country (log scale)", y="Share of users who bought")
        + figures.theme(height=3.3)
    )


def codes(s: Study) -> Prose:
    """The countries whose codes the figure shows."""
    found = s.geography.conversion
    if found is None:
        return Prose("")
    marked = found.countries[found.countries.stands_out != 0].index
    if not len(marked):
        return Prose("")
    told = listing(f"{escape(code)} is {name(code)}" for code in marked)
    return Prose(f"In the figure, {told}.")


def spread(s: Study) -> Prose:
    """Whether, and how much, countries truly differ in the share of users who bought."""
    return WHY_FEW if s.geography.conversion is None else _spread(s, "conversion", BOUGHT, "users")


def completion(s: Study) -> Prose:
    """The same of completion, with those that stand out."""
    found = s.geography.completion
    if found is None:
        return Prose(
            f"Completion is not compared: fewer than {LEAST_COUNTRIES} countries of enrolled users are known, or these all did the same.")
    return paragraph(
        _spread(s, "completion", COMPLETED, "enrolled users"),
        _standing_out(found, COMPLETED, partial(_with_size, found.countries)),
    )


def _corrected(s: Study, measure: str) -> float:
    """The p-value of a spread between countries, corrected for the measures that were asked."""
    return float(s.geography.spreads.p_adjusted[measure])


def _spread(s: Study, measure: str, what: str, who: str) -> Prose:
    found = getattr(s.geography, measure)
    prior, p = found.prior, _corrected(s, measure)
    tested = f"corrected {p_value(p)}"
    low, high = 100 * prior.spread_low, 100 * prior.spread_high
    reach = f"between {number(low, 1)} and {number(high, 1)}{NBSP}percentage points"
    if p > 0.05:
        return Prose(
            f"Countries are not shown to differ in {what} ({tested}), around a mean of {percent(prior.mean)}: the standard deviation of the true shares may lie {reach} (95%)."
        )
    return Prose(
        f"Countries do differ in {what} ({tested}): the true shares have a mean of {percent(prior.mean)} and a standard deviation of {number(100 * prior.spread, 1)}{NBSP}percentage points (95% interval {interval(low, high)}). "
        f"In a country of {count(round(prior.weight), who[:-1], who)} its own share and the mean of all weigh alike; in a smaller one the mean weighs more."
    )


def dispersion(s: Study) -> Prose:
    """How much more the rates scatter than chance alone makes them."""
    found = s.geography.conversion
    if found is None:
        return FEW
    frame = found.countries
    low, high = limits(found.prior.pooled, frame.trials, 0.95)
    outside = int(((frame.rate < low) | (frame.rate > high)).sum())
    said = (
        f"{number(outside) if outside else 'None'} of {count(len(frame), 'country', 'countries')} {'lies' if outside < 2 else 'lie'} outside the 95% limits, where chance alone would put about {number(0.05 * len(frame), 1)}"
    )
    if found.dispersion < 1.05:
        return Prose(f"{said}; the rates scatter no more than chance makes them.")
    low, high = limits(found.prior.pooled, frame.trials, 0.95, found.dispersion)
    wide = int(((frame.rate < low) | (frame.rate > high)).sum())
    return Prose(
        f"{said}. The variance of the standardised rates is {number(found.dispersion, 1)} times what chance makes, as where many countries differ a little from the common share. "
        f"Measured against that wider scatter, {count(wide, 'country is', 'countries are')} still outside."
    )


def rankings_table(s: Study) -> Prose:
    """The best ten by the raw share and by the smoothed one, side by side."""
    found = s.geography.conversion
    if found is None:
        return FEW
    raw, smoothed = _top(found)
    rows = [
        {
            "Rank": str(i + 1),
            "By raw share": f"{labels.country(a.Index)} ({100 * a.rate:.1f}%)", "Users": a.trials,
            "By smoothed share": f"{labels.country(b.Index)} ({100 * b.smoothed:.1f}%)",
            "95% interval": interval(100 * b.low, 100 * b.high, 1, "%"), "Their users": b.trials,
        }
        for i, (a, b) in enumerate(zip(raw.itertuples(), smoothed.itertuples(), strict=True))
    ]
    return table(pd.DataFrame(rows), {
        "Users": number, "95% interval": Prose, "Their users": number})


def _top(found: Rates) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tuple(
        found.countries.sort_values(by, ascending=False, kind="stable").head(TOP)
        for by in ("rate", "smoothed")
    )


def rankings(s: Study) -> Prose:
    """How the raw ranking picks small countries."""
    found = s.geography.conversion
    if found is None:
        return FEW
    raw, smoothed = _top(found)
    if len(found.countries) <= TOP:
        return Prose(
            f"With {count(len(found.countries), 'country', 'countries')}, both rankings hold all of them; only the order can differ."
        )
    middle = float(found.countries.trials.median())
    small, left = (int((f.trials < middle).sum()) for f in (raw, smoothed))
    out = [code for code in raw.index if code not in smoothed.index]
    first = raw.iloc[0]
    said = (
        f"Of the ten countries with the highest raw share, {number(small)} {'is' if small == 1 else 'are'} smaller than the middle country ({count(round(middle), 'user')}); of the ten with the highest smoothed share, {number(left)}. "
        f"The raw list is led by {name(raw.index[0])} with {percent(first.rate)} of {count(int(first.trials), 'user')}; smoothed it is {percent(first.smoothed)}"
    )
    if not out:
        return Prose(f"{said}. The same ten countries lead both lists.")
    return Prose(
        f"{said}. On the raw list only {'is' if len(out) == 1 else 'are'} {_names(out)}: {'its' if len(out) == 1 else 'their'} numbers are too small for the place."
    )


def stand_outs(s: Study) -> Prose:
    """Which countries are shown to convert better or worse than the others."""
    found = s.geography.conversion
    return FEW if found is None else _standing_out(found, BOUGHT, name)


def _with_size(frame: pd.DataFrame, code: str) -> Prose:
    """A country in a sentence, with its share and how far it lies from the others."""
    row = frame.loc[code]
    ends = sorted(abs(100 * row[f"difference_{end}"]) for end in ("low", "high"))
    side = "above" if row.difference > 0 else "below"
    return Prose(
        f"{name(code)} ({percent(row.rate)} of {number(row.trials)}, smoothed {percent(row.smoothed)}; "
        f"{number(abs(100 * row.difference), 1)}{NBSP}points {side} the others, 95% interval "
        f"{interval(*ends)}, corrected {p_value(row.p_adjusted)})"
    )


def _standing_out(found: Rates, what: str, called: Callable[[str], Prose]) -> Prose:
    """Which countries are shown to differ.

    Args:
        found: The rates.
        what: What they are rates of.
        called: How a sentence names a country by its code.
    """
    frame = found.countries
    family = f"with the false discovery rate held at 5% over {count(len(frame), 'country', 'countries')}"
    parts = []
    for side, word in ((1, "higher"), (-1, "lower")):
        some = frame[frame.stands_out == side].sort_values(
            "difference", ascending=side < 0, kind="stable")
        if len(some):
            parts.append(f"{word} in {_names(some.index, called)}")
    if not parts:
        return Prose(
            f"No single country is shown to differ from the others in {what}, {family}; that is not to say that none does."
        )
    return Prose(
        f"{capital(what)} is {', and '.join(parts)} than in all other countries together, {family}."
    )


def stand_outs_table(s: Study) -> Prose:
    """Countries whose share differs from that of all others."""
    found = s.geography.conversion
    if found is None:
        return FEW
    frame = found.countries
    some = frame[frame.stands_out != 0].sort_values("difference", ascending=False, kind="stable")
    if some.empty:
        return Prose("No country is shown to stand out.")
    if len(some) > 2 * TOP:
        some = pd.concat([some.head(TOP), some.tail(TOP)])
    rows = pd.DataFrame({
        "Country": [labels.country(code) for code in some.index],
        "Users": some.trials,
        "Bought": some.rate,
        "Smoothed": [f"{percent(r.smoothed)} ({interval(100 * r.low, 100 * r.high)})"
                     for r in some.itertuples()],
        "Against the others, points": [
            f"{number(100 * r.difference, 1)} ({interval(100 * r.difference_low, 100 * r.difference_high)})"
            for r in some.itertuples()],
        "p, corrected": [p_value(p).split(NBSP, 1)[1].removeprefix(f"={NBSP}")
                         for p in some.p_adjusted],
    })
    return table(rows, {
        "Users": number, "Bought": percent, "Smoothed": Prose,
        "Against the others, points": Prose, "p, corrected": Prose,
    })


def revenue(s: Study) -> Prose:
    """Whether countries differ in revenue a user."""
    found = s.geography.revenue
    if found is None:
        return Prose(
            f"Revenue a user is not compared: fewer than {LEAST_COUNTRIES} countries are known, or all their users spent alike."
        )
    prior, frame = found.prior, found.countries
    raw = frame.sort_values("mean", kind="stable")
    calm = frame.sort_values("smoothed", kind="stable")
    reach, p = interval(prior.spread_low, prior.spread_high), _corrected(s, "revenue")
    start = (
        f"Countries differ in revenue a user (corrected {p_value(p)}), with a standard deviation of {number(prior.spread, 1)} between them"
        if p <= 0.05 else
        f"Countries are not shown to differ in revenue a user (corrected {p_value(p)}); the standard deviation between them is estimated as {number(prior.spread, 1)}"
    )
    return Prose(
        f"{start} (95% interval {reach}) around a mean of {number(prior.mean, 1)}, in the currency of the tables. "
        f"Raw means run from {number(raw['mean'].iloc[0], 1)} ({name(raw.index[0])}) to {number(raw['mean'].iloc[-1], 1)} ({name(raw.index[-1])}), smoothed ones only from {number(calm.smoothed.iloc[0], 1)} ({name(calm.index[0])}) to {number(calm.smoothed.iloc[-1], 1)} ({name(calm.index[-1])})."
    )


def answer(s: Study) -> Prose:
    """Where in the world, in two sentences."""
    if s.geography.conversion is None:
        return paragraph(concentration(s))
    return paragraph(concentration(s), stand_outs(s))


def recommendation(s: Study) -> Prose:
    """Where to look."""
    found = s.geography.conversion
    if found is None:
        return Prose("")
    frame = found.countries
    up, down = (
        frame[frame.stands_out == side].sort_values("difference", ascending=side < 0, kind="stable")
        for side in (1, -1)
    )
    if up.empty and down.empty:
        return Prose(
            "**Treat countries alike for now.** No country's conversion is shown to differ from the others, so a ranking of countries could be chance alone (@sec-mooc-geography)."
        )
    parts = []
    if len(up):
        parts.append(f"what is done right in {_names(up.index)}")
    if len(down):
        parts.append(f"what keeps users from buying in {_names(down.index)}")
    raw, smoothed = _top(found)
    out = [code for code in raw.index if code not in smoothed.index]
    warn = (
        f" Leave {_names(out)} out of the list of hot spots for now: so few users say too little"
        if out and len(frame) > TOP else ""
    )
    return Prose(
        f"**Find out {listing(parts)}.** Their conversion differs from that of the other countries by more than chance allows; the tables don't say why{f'.{warn}' if warn else ''} (@sec-mooc-geography)."
    )
