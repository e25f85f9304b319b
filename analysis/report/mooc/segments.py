"""Who the customers are by recency, frequency and value, where they go, and what names are worth."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.channels import LEAST_CUSTOMERS
from analysis.mooc.segments import MOVES, NAMES, NEW, RULES, TOP, Prediction
from analysis.report import figures
from analysis.report.tables import table, with_interval
from analysis.report.text import (
    MISSING,
    Prose,
    count,
    day,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
    percents,
    significant,
)

# Light enough for dark text; segments that ask for alike things have alike colours.
TINTS = dict(zip(
    NAMES,
    ("#8cc0e4", "#b7d8ee", "#a8dcc8", "#cdebdf", "#e0f2ea", "#f7e2ab", "#fbefd0", "#f0b48f",
     "#f6d2bb", "#dde2e6", "#c9d0d6"), strict=True,
))
VALUES = {"recency": "Recency", "frequency": "Frequency", "monetary": "Monetary value"}
BASES = {"users": "the users table", "orders": "orders"}
WHAT = {
    ("users", "recency"): "days since the first enrolment",
    ("users", "frequency"): "courses enrolled in",
    ("users", "monetary"): "revenue",
    ("orders", "recency"): "days since the last order",
    ("orders", "frequency"): "orders",
    ("orders", "monetary"): "revenue",
}
SCORES = {
    "recency": "recency alone", "frequency": "frequency alone", "monetary": "monetary value alone",
    "segment": "the segments, in their order", "sum": "the sum of the three scores",
}
CHANGES = {
    "7 days earlier": "Looked at 7 days earlier",
    "30 days earlier": "Looked at 30 days earlier",
    "orders counted": "Frequency scored as the number of orders, 5 and more as 5",
    "money alone": "Value from the monetary score alone",
}

_percent0 = partial(percent, digits=0)
_money = partial(number, digits=2)


def _moneys(low: float, high: float) -> Prose:
    return interval(low, high, 2) if np.isfinite(low) else Prose(MISSING)


def _or_dash(show, value: float) -> Prose:
    return show(value) if value is not None and np.isfinite(value) else Prose(MISSING)


UNTOLD = Prose(
    "The customers can't be put into segments: they all bought last on the same day, or all bought "
    "equally often for equal amounts."
)


def _untold(s: Study) -> Prose | None:
    """What to say where customers can't be told apart; `value_score` says why."""
    return Prose("There are no segments (@sec-mooc-segments-names).") if s.segments.value_by is None else None


def _unfollowed(s: Study) -> Prose | None:
    """What to say where nobody could be followed; `prediction` says why."""
    if (said := _untold(s)) is not None:
        return said
    if s.segments.prediction is None:
        return Prose("Nobody could be followed (@sec-mooc-segments-future).")
    return None


# Scores and ties


def rules_table(s: Study) -> Prose:
    """Which scores make which segment."""

    def span(ends: tuple[int, int]) -> Prose:
        return Prose(f"{ends[0]}" if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}")

    rows = [{"Segment": rule.name, "Recency score": span(rule.r), "Value score": span(rule.v),
             "Who they are": rule.who} for rule in RULES]
    return table(pd.DataFrame(rows), {"Recency score": Prose, "Value score": Prose})


def ties_table(s: Study) -> Prose:
    """How many users share a value, and how many have each score."""
    rows = []
    for (base, value), row in s.segments.ties.iterrows():
        digits = 2 if value == "monetary" else 0
        rows.append({
            "From": BASES[base], "Score of": WHAT[base, value],
            "Commonest": number(row.commonest, digits), "Shared by": percent(row.share, 1),
        } | {str(i): number(row[f"score_{i}"]) if row[f"score_{i}"] else Prose(MISSING)
             for i in range(1, 6)})
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def ties(s: Study) -> Prose:
    """What ties do to the scores of orders."""
    row = s.segments.ties.loc[("orders", "frequency")]
    empty = [str(i) for i in range(1, 6) if not row[f"score_{i}"]]
    orders = int(row.commonest)
    if not empty:
        return Prose(
            f"The commonest number of orders, {number(orders)}, is shared by {percent(row.share, 0)} of the "
            "customers, yet every score of frequency has somebody."
        )
    return Prose(
        f"{percent(row.share, 0)} of the customers have {count(orders, 'order')} each. "
        f"They can't be split into fifths without lot or alphabet deciding, so they share a score, "
        f"and {'the score' if len(empty) == 1 else 'the scores'} {listing(empty)} of frequency "
        f"{'is' if len(empty) == 1 else 'are'} nobody's."
    )


def value_score(s: Study) -> Prose:
    """What the score of value is made of."""
    if s.segments.value_by is None:
        return UNTOLD
    return Prose({
        "both": "The score of value is the mean of the scores of frequency and monetary value, "
                "halves rounded up.",
        "frequency": "All amounts are equal, so the score of value is that of frequency.",
        "monetary": "All customers ordered equally often, so the score of value is that of "
                    "monetary value.",
    }[s.segments.value_by])


# Size and value


def _short(n: float) -> str:
    """A number that fits its rectangle."""
    return f"{n:,.0f}" if n < 1e5 else f"{n / 1e3:,.0f}k" if n < 1e6 else f"{n / 1e6:,.1f}m"


def grid_figure(s: Study) -> p9.ggplot | Prose:
    """The segments as rectangles of recency and value, with customers and revenue."""
    if (said := _untold(s)) is not None:
        return said
    sizes = s.segments.sizes
    rows = []
    for rule in RULES:
        row = sizes.loc[rule.name]
        wide, high = rule.r[0] < rule.r[1], rule.v[0] < rule.v[1]
        small = not wide and not high  # one score by one: the name in two lines
        name = rule.name.replace(" ", "\n", 1) if small else rule.name
        lines = [_short(row.customers) + (" customers" if wide else "")]
        if np.isfinite(row.share_of_revenue):
            lines.append(f"{100 * row.share_of_revenue:.1f}%" + (" of revenue" if wide else ""))
        x, y = sum(rule.r) / 2, sum(rule.v) / 2
        rows.append({
            "x0": rule.r[0] - 0.5, "x1": rule.r[1] + 0.5, "y0": rule.v[0] - 0.5,
            "y1": rule.v[1] + 0.5, "x": x, "segment": rule.name, "name": name,
            "name_y": y + 0.22, "numbers_y": y - (0.24 if "\n" in name else 0.14),
            "numbers": "\n".join(lines),
        })
    frame = pd.DataFrame(rows)
    return (
        figures.Plot(frame)
        + p9.geom_rect(p9.aes(xmin="x0", xmax="x1", ymin="y0", ymax="y1", fill="segment"),
                       color="white", size=1)
        + p9.geom_text(p9.aes("x", "name_y", label="name"), size=9, color=figures.INK,
                       lineheight=1.0)
        + p9.geom_text(p9.aes("x", "numbers_y", label="numbers"), size=7, color=figures.INK,
                       lineheight=1.1)
        + p9.scale_fill_manual(TINTS)
        + p9.scale_x_continuous(breaks=range(1, 6), expand=(0.01, 0))
        + p9.scale_y_continuous(breaks=range(1, 6), expand=(0.01, 0))
        + p9.labs(x="Score of recency (5: bought last)", y="Score of value (5: most)")
        + figures.theme(height=4.4, legend="none")
        + p9.theme(panel_grid_major=p9.element_blank())
    )


def sizes_table(s: Study) -> Prose:
    """Size and value of each segment."""
    if (said := _untold(s)) is not None:
        return said
    rows = [
        {
            "Segment": name, "Customers": number(row.customers), "Share": percent(row["share"]),
            "Of revenue": with_interval(percent, percents, row, "share_of_revenue"),
            "Revenue a customer": with_interval(_money, _moneys, row, "value"),
            "An order": with_interval(_money, _moneys, row, "order_value"),
        }
        for name, row in s.segments.sizes.iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def sizes(s: Study) -> Prose:
    """Which segment brings most of the revenue, and which most beyond its size."""
    if (said := _untold(s)) is not None:
        return said
    frame = s.segments.sizes
    if not frame.revenue.sum() > 0:
        return Prose("Nothing was paid, so the segments differ by how often and when they ordered.")
    most = frame.loc[frame.revenue.idxmax()]
    dense = (frame.share_of_revenue / frame["share"].where(frame["share"] > 0)).idxmax()
    row = frame.loc[dense]
    sure = (f" (95% interval {percents(most.share_of_revenue_low, most.share_of_revenue_high)})"
            if np.isfinite(most.share_of_revenue_low) else "")
    text = (
        f"Most revenue so far came from **{most.name}**: {percent(most.share_of_revenue, 0)}{sure} "
        f"from {percent(most['share'], 0)} of the customers."
    )
    if dense == most.name:
        return Prose(f"{text} They also bring most for their number.")
    return Prose(
        f"{text} Most for their number brought {dense}, "
        f"{percent(row.share_of_revenue, 0)} from {percent(row['share'], 0)}."
    )


# The users table alone


def users_table(s: Study) -> Prose:
    """Segments by the users table alone, beside those from orders."""
    g = s.segments
    if g.users_sizes is None:
        return Prose("The users table alone does not tell its users apart.")
    rows = []
    for name, row in g.users_sizes.iterrows():
        told = {} if g.sizes is None else {
            "Customers, by orders": number(g.sizes.customers[name]),
            "Their revenue": _or_dash(percent, g.sizes.share_of_revenue[name])}
        rows.append({
            "Segment": name, "Users, by the users table": number(row.users),
            "Of revenue": _or_dash(percent, row.share_of_revenue), **told})
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def tenure(s: Study) -> Prose:
    """What it does to take the first enrolment's date for recency."""
    t = s.segments.tenure
    if t is None:
        return Prose("There is nobody whose segments by the users table and by orders could be "
                     "compared.")
    text = (
        f"Of {count(t.customers, 'customer')}, {percent(t.share, 0)} "
        f"(95% interval {percents(t.low, t.high, 0)}) have the same segment by the users table as by "
        "their orders"
    )
    if t.kappa is not None:
        text += f"; Cohen's kappa is {number(t.kappa, 2)}, where 0 is what chance would give"
    text += "."
    if t.old_share is None:
        return Prose(text)
    who = f"Of {count(t.recent, 'customer')} who bought recently (scores 4 and 5)"
    if not t.called_old:
        return Prose(f"{text} {who}, none is called long gone (1 and 2) by the users table.")
    return Prose(
        f"{text} {who}, {percent(t.old_share, 0)} ({percents(t.old_low, t.old_high, 0)}) "
        f"{'is' if t.called_old == 1 else 'are'} called long gone (1 and 2) by the users table, only "
        f"for having come early.")


# Where customers go


def migration_table(s: Study) -> Prose:
    """From which segment to which: per cent of the customers of each at the earlier date."""
    if (said := _unfollowed(s)) is not None:
        return said
    m = s.segments.migration.customers
    rows = []
    for i, name in enumerate((*NAMES, NEW), 1):
        if name not in m.index.get_level_values("before"):
            continue
        part = m.loc[name]
        label = NEW.capitalize() if name == NEW else f"{i} {name}"
        rows.append({"Half a year before": label, "Customers": number(part.sum())} | {
            str(j): number(100 * part[to] / part.sum()) if to in part.index else Prose(MISSING)
            for j, to in enumerate(NAMES, 1)})
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def moves_table(s: Study) -> Prose:
    """Who moved up, stayed and slipped, with intervals."""
    if (said := _unfollowed(s)) is not None:
        return said
    rows = []
    for name, row in s.segments.moves.iterrows():
        cells = {"Segment half a year before": name, "Customers": number(row.customers)}
        for move in ("moved_up", "stayed", "slipped"):
            label = move.replace("_", " ").capitalize()
            cells[label] = Prose(
                f"{percent(row[f'{move}_share'], 0)} "
                f"({percents(row[f'{move}_low'], row[f'{move}_high'], 0)})")
        rows.append(cells)
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def revenue_of_moves_table(s: Study) -> Prose:
    """What those who moved up, stayed, slipped and came bought between the dates."""
    if (said := _unfollowed(s)) is not None:
        return said
    rows = [
        {
            "Between the two dates they": move, "Customers": number(row.customers),
            "Of them bought": _or_dash(_percent0, row.buyers / row.customers
                                       if row.customers else np.nan),
            "Revenue": number(row.revenue), "Share": _or_dash(percent, row.share_of_revenue),
            "A customer": _or_dash(_money, row.value),
            "95% interval": _moneys(row.value_low, row.value_high),
        }
        for move, row in s.segments.revenue_of_moves.iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def moves(s: Study) -> Prose:
    """How many moved, and whose the half year's revenue was."""
    if (said := _unfollowed(s)) is not None:
        return said
    m = s.segments.revenue_of_moves
    known = m.loc[list(MOVES)]
    n = known.customers.sum()
    text = (
        f"Of {count(int(n), 'customer')} of {day(s.segments.before)}, "
        f"{percent(known.customers['stayed'] / n, 0)} were in the same segment "
        f"{s.segments.between} days later, {percent(known.customers['moved up'] / n, 0)} had moved "
        f"up and {percent(known.customers['slipped'] / n, 0)} had slipped; "
        f"{count(int(m.customers['newly came']), 'customer')} had newly come."
    )
    if m.revenue.sum() > 0:
        came = m.share_of_revenue["newly came"]
        text += (
            " What this means in money is in @tbl-mooc-moves-revenue: the newcomers brought "
            f"{percent(came, 0)} of the half year's revenue, those who moved "
            f"up {percent(m.share_of_revenue['moved up'], 0)}, those who stayed "
            f"{percent(m.share_of_revenue['stayed'], 0)} and those who slipped "
            f"{percent(m.share_of_revenue['slipped'], 0)}."
        )
        if came > 0.5:
            text += " So more than half of the revenue is that of customers whom no segment of the " \
                    "earlier date could know."
    return Prose(text)


# Whether the names are stable


def stability_table(s: Study) -> Prose:
    """How many customers keep their segment under another date or rule."""
    if (said := _untold(s)) is not None:
        return said
    rows = [
        {"What is changed": CHANGES[change], "Customers in both": number(row.customers),
         "Same segment": _or_dash(percent, row.share), "95% interval": percents(row.low, row.high),
         "Kappa": _or_dash(partial(number, digits=2), row.kappa)}
        for change, row in s.segments.stability.iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def firm(s: Study) -> Prose:
    """How the firmness of segments is looked at."""
    if (said := _untold(s)) is not None:
        return said
    return Prose(
        "@tbl-mooc-stability names the same customers again at a slightly earlier date, or by a slightly "
        "other rule. Kappa is the agreement beyond chance: 0 is what chance would give, 1 is full "
        "agreement [@cohen1960].")


def stability(s: Study) -> Prose:
    """What moves customers between segments most."""
    if (said := _untold(s)) is not None:
        return said
    frame = s.segments.stability.dropna(subset=["share"])
    least, most = frame.loc[frame["share"].idxmin()], frame.loc[frame["share"].idxmax()]
    if least.same == least.customers:
        return Prose("None of these changes moves a single customer to another segment.")
    changed = CHANGES[least.name]
    return Prose(
        f"The change that moves most customers is “{changed[0].lower()}{changed[1:]}”: it leaves "
        f"{percent(least['share'], 0)} where they were ({percents(least.low, least.high, 0)}); the "
        f"one that moves fewest leaves {percent(most['share'], 0)}. A name is a label for a day and "
        "a rule, not a trait of the customer."
    )


# Whether the names say anything about the future


def _followed(p: Prediction) -> pd.DataFrame:
    return p.by_segment[p.by_segment.customers > 0]


def prediction_figure(s: Study) -> p9.ggplot | Prose:
    """Share who bought in the following half year, and revenue a customer, by segment."""
    if (said := _unfollowed(s)) is not None:
        return said
    p = s.segments.prediction
    frame = _followed(p)
    parts = {
        "Bought, %": ("share", 100, "side", p.buyers / p.customers),
        "Revenue a customer": (
            "value", 1, "value_side", p.revenue / p.customers),
    }
    kinds = {"above": "above the others", "below": "below the others", "": "not told apart"}
    long = pd.concat([
        pd.DataFrame({
            "segment": frame.index, "what": label, "value": scale * frame[name],
            "low": scale * frame[f"{name}_low"], "high": scale * frame[f"{name}_high"],
            "side": frame[side].map(kinds), "all": scale * mean,
        })
        for label, (name, scale, side, mean) in parts.items()
    ], ignore_index=True)
    names = list(kinds.values())
    long["what"] = pd.Categorical(long["what"], list(parts))
    long["side"] = pd.Categorical(long["side"], names)
    long["segment"] = pd.Categorical(long["segment"], [n for n in NAMES[::-1] if n in frame.index])
    return (
        figures.Plot(long, p9.aes("segment", "value", ymin="low", ymax="high", color="side",
                                  shape="side"))
        + p9.geom_hline(p9.aes(yintercept="all"), long.drop_duplicates("what"),
                        color=figures.INK, linetype="dotted")
        + p9.geom_linerange(size=0.9, na_rm=True)
        + p9.geom_point(size=2.2)
        + p9.coord_flip()
        + p9.facet_wrap("what", scales="free_x")
        + p9.expand_limits(y=0)
        + p9.scale_color_manual(dict(zip(names, (figures.BLUE, figures.VERMILION, figures.GREY),
                                         strict=True)))
        + p9.scale_shape_manual(dict(zip(names, ("^", "v", "o"), strict=True)))
        + p9.labs(x="", y="In the half year after")
        + figures.theme(height=3.5)
        + p9.theme(axis_text_y=p9.element_text(size=8.5),
                   panel_grid_major_y=p9.element_blank())
    )


def prediction_table(s: Study) -> Prose:
    """What each segment bought in the half year after, against all other customers."""
    if (said := _unfollowed(s)) is not None:
        return said
    rows = []
    for name, row in _followed(s.segments.prediction).iterrows():
        rows.append({
            "Segment": name, "Customers": number(row.customers),
            "Bought": with_interval(_percent0, partial(percents, digits=0), row, "share"),
            "p, bought": _p(row.share_p),
            "Revenue a customer": with_interval(_money, _moneys, row, "value"),
            "p, revenue": _p(row.value_p),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _p(p: float) -> Prose:
    if not np.isfinite(p):
        return Prose(MISSING)
    return Prose("< 0.001" if p < 0.001 else "> 0.999" if p > 0.999 else number(p, 3))


def _sides(frame: pd.DataFrame, side: str) -> list[str]:
    parts = []
    for where, verb in (("above", "more"), ("below", "less")):
        names = list(frame.index[frame[side] == where])
        if names:
            parts.append((verb, names))
    return parts


def prediction(s: Study) -> Prose:
    """Whether segments differ in who went on to buy."""
    if (said := _untold(s)) is not None:
        return said
    if s.segments.prediction is None:
        return Prose(
            f"The orders don't reach back {s.segments.between} days before {day(s.segments.as_of)} "
            "with customers to tell apart, so nobody could be followed from one date to another."
        )
    p = s.segments.prediction
    start = (f"Of {count(p.customers, 'customer')} of {day(s.segments.before)}, "
             f"{percent(p.buyers / p.customers, 0)} bought in the {s.segments.between} days after.")
    if p.p_value is None:
        return Prose(f"{start} So the segments can't be told apart by it.")
    effect = f"Cramér's V {number(p.v, 2)}, 95% interval {interval(p.v_low, p.v_high, 2)}"
    if p.p_value > 0.05:
        return Prose(
            f"{start} That the segments differ in it is not shown ({p_value(p.p_value)}; {effect}), "
            "nor is it that they don't.")
    frame = _followed(p)
    parts = [
        f"{listing(names)} {'was' if len(names) == 1 else 'were'} {verb} likely to buy than all "
        "other customers"
        for verb, names in _sides(frame, "side")
    ]
    text = f"{start} The segments differ in it ({p_value(p.p_value)}; {effect})"
    if parts:
        text += f": {'; '.join(parts)}; each p-value corrected for all segments"
    best, worst = frame.loc[frame["share"].idxmax()], frame.loc[frame["share"].idxmin()]
    return Prose(
        f"{text}. The most likely to buy, {best.name}, did so in {percent(best['share'], 0)} of cases "
        f"({percents(best.share_low, best.share_high, 0)}), the least, {worst.name}, in "
        f"{percent(worst['share'], 0)} ({percents(worst.share_low, worst.share_high, 0)}).")


def prediction_money(s: Study) -> Prose:
    """Whether segments differ in what a customer went on to spend."""
    if (said := _unfollowed(s)) is not None:
        return said
    p = s.segments.prediction
    frame = _followed(p)
    if not p.revenue > 0:
        return Prose("Nothing was paid in these days, so there is no revenue to compare.")
    parts = [
        f"{listing(names)} brought {verb} a customer than the others"
        for verb, names in _sides(frame, "value_side")
    ]
    if not parts:
        return Prose(
            "In revenue a customer, no segment is shown to differ from the others; the intervals in "
            "the table say how much may be hidden.")
    text = f"In revenue, {'; '.join(parts)}."
    top = frame[frame.value_side == "above"]
    if len(top):
        row = top.loc[top.ratio.idxmax()]
        text += (f" {row.name} brought {significant(row.ratio, 2)} times as much a customer as all "
                 f"others (95% interval {interval(row.ratio_low, row.ratio_high, 1)}).")
    return Prose(text)


def names(s: Study) -> Prose:
    """Names that promise what the customers did not keep: large before, below the others after."""
    if (said := _unfollowed(s)) is not None:
        return said
    frame, g = _followed(s.segments.prediction), s.segments.sizes
    name = "Cannot Lose Them"
    if name not in frame.index or not g.revenue.sum() > 0:
        return Prose("There were no customers of much value who had not bought for long.")
    row = frame.loc[name]
    told = (f"{percent(row['share'], 0)} of them bought "
            f"({percents(row.share_low, row.share_high, 0)})")
    if row.side == "below":
        return Prose(
            f"“{name}” is the name that is easiest to misread: these were among the best customers, "
            f"yet {told}, fewer than of the others. Most of them did not come back: that they can't be "
            "lost is a wish, not a finding." if row["share"] < 0.5 else
            f"“{name}” is the name that is easiest to misread: these were among the best customers, "
            f"yet {told}, fewer than of the others.")
    if row.side == "above":
        return Prose(f"“{name}” is well named: {told}, more than of the others.")
    return Prose(
        f"Whether “{name}” is well named is open: {told}, which can't be told from the others.")


def scores_table(s: Study) -> Prose:
    """How well each score puts those first who go on to buy."""
    if (said := _unfollowed(s)) is not None:
        return said
    rows = [
        {"Ordered by": SCORES[score], "Area under the curve": _or_dash(
            partial(number, digits=3), row.area),
         "95% interval": interval(row.low, row.high, 3) if np.isfinite(row.low) else Prose(MISSING),
         f"Revenue from the best {percent(TOP, 0)}": _or_dash(percent, row.top)}
        for score, row in s.segments.prediction.by_score.iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _gap(p: Prediction, first: str, second: str) -> pd.Series | None:
    """A difference of areas, first less second, whichever way round it stands."""
    if (first, second) in p.area_differences.index:
        return p.area_differences.loc[(first, second)]
    if (second, first) in p.area_differences.index:
        row = p.area_differences.loc[(second, first)].copy()
        row[["difference", "low", "high"]] = -row[["difference", "high", "low"]].to_numpy()
        return row
    return None


def _gap_text(row: pd.Series) -> str:
    return (f"difference {number(row.difference, 3)}, 95% interval "
            f"{interval(row.low, row.high, 3)}, corrected {p_value(row.p_adjusted)}")


def scores(s: Study) -> Prose:
    """Which of recency, frequency and value tells most, and whether segments add to it."""
    if (said := _unfollowed(s)) is not None:
        return said
    p = s.segments.prediction
    if p.area_differences.empty:
        return Prose("Too few customers bought, or too few did not, to compare the scores.")
    alone = p.by_score.loc[list(VALUES)].sort_values("area", ascending=False, kind="stable")
    best, second = alone.index[:2]
    row = _gap(p, best, second)
    label = VALUES[best]
    if row.p_adjusted <= 0.05:
        text = (f"Of the three scores {label.lower()} tells best who will buy: {_gap_text(row)} to "
                f"{VALUES[second].lower()}, the next best.")
    else:
        text = (f"{label} and {VALUES[second].lower()} lead the three scores and can't be told apart "
                f"({_gap_text(row)}).")
    row = _gap(p, "segment", best)
    if row.p_adjusted > 0.05:
        text += (f" The eleven segments, taken in their order, are not shown to do better or worse "
                 f"than {label.lower()} alone ({_gap_text(row)}).")
    elif row.difference > 0:
        text += f" The segments, taken in their order, do better than it ({_gap_text(row)})."
    else:
        text += (f" The segments, taken in their order, do worse than {label.lower()} alone "
                 f"({_gap_text(row)}).")
    area = max(alone.area.max(), p.by_score.area["segment"])
    text += (f" An area of {number(area, 2)} means that of a customer who will buy and one who won't, "
             f"the first has the better score {percent(area, 0)} of the time, where a coin would do "
             "so in 50%.")
    if p.revenue > 0:
        top = p.by_score.top.idxmax()
        text += (f" For *revenue* the best order is {SCORES[top]}: the {percent(TOP, 0)} it ranks "
                 f"highest brought {percent(p.by_score.top[top], 0)} of what was spent.")
    return Prose(text)


# What to do


def _advice(s: Study, name: str) -> str:
    """What to do about a segment, from what it did and what it was worth."""
    row = s.segments.prediction.by_segment.loc[name]
    if row.customers < LEAST_CUSTOMERS:
        return "too few to say"
    if "above" in (row.side, row.value_side):
        return "keep: more come by themselves than of the others, so service and news, no discounts"
    if "below" not in (row.side, row.value_side):
        return "offer the next course, and to a random half only, to see whether it helps"
    g = s.segments.sizes
    if g.value[name] > g.revenue.sum() / g.customers.sum():
        return "once worth much: try to win back a random half, and count what comes of it"
    return "only what costs next to nothing"


def actions_table(s: Study) -> Prose:
    """What to do about each segment."""
    if (said := _unfollowed(s)) is not None:
        return said
    rows = [
        {"Segment": name, "Customers now": number(s.segments.sizes.customers[name]),
         "Bought in the half year after": percent(row["share"], 0),
         "What to do": _advice(s, name)}
        for name, row in _followed(s.segments.prediction).iterrows()
    ]
    return table(pd.DataFrame(rows),
                 {"Customers now": Prose, "Bought in the half year after": Prose})


def answer(s: Study) -> Prose:
    """Who the customers are, and whether their segments say anything."""
    if s.segments.value_by is None:
        return UNTOLD
    frame = s.segments.sizes
    best = frame.loc[["Champions", "Loyal"]]
    n, revenue = best.customers.sum(), best.revenue.sum()
    text = f"**{percent(n / frame.customers.sum(), 0)} of the customers are Champions or Loyal**"
    if frame.revenue.sum() > 0:
        text += f" and brought {percent(revenue / frame.revenue.sum(), 0)} of revenue so far"
    p = s.segments.prediction
    if p is None or p.p_value is None:
        return Prose(f"{text}. Whether they go on to buy more than others these tables can't tell.")
    if p.p_value > 0.05:
        return Prose(f"{text}. That segments tell who goes on to buy is not shown.")
    told = _followed(p)
    top, low = told.loc[told["share"].idxmax()], told.loc[told["share"].idxmin()]
    text += (
        f". Segments say something about the future: within half a year {percent(top['share'], 0)} "
        f"of {top.name} bought again, and {percent(low['share'], 0)} of {low.name}"
    )
    row = _gap(p, "segment", "recency") if len(p.area_differences) else None
    if row is not None and row.p_adjusted > 0.05:
        text += ", though who buys is told about as well by the date of the last order alone" if (
            max(abs(row.low), abs(row.high)) < 0.03
        ) else ", though they are not shown to say more than the date of the last order alone"
    elif row is not None and row.difference < 0:
        text += ", though the date of the last order alone says more"
    return Prose(text + ".")


def recommendation(s: Study) -> Prose:
    """What to do with segments."""
    if _unfollowed(s) is not None or s.segments.prediction.p_value is None:
        return Prose("")
    p = s.segments.prediction
    frame = _followed(p)
    good = frame[(frame.side == "above") | (frame.value_side == "above")]
    lost = [name for name in frame.index if _advice(s, name).startswith("once worth much")]
    if p.p_value > 0.05 or good.empty:
        return Prose("")
    bought, revenue = good.customers.sum() / p.customers, good.revenue.sum()
    text = (
        f"**Spend attention on {listing(good.index)}.** They were {percent(bought, 0)} of the "
        "customers"
    )
    if p.revenue > 0:
        text += (f" and brought {percent(revenue / p.revenue, 0)} of what all of them spent in the "
                 "next half year")
    text += " (@sec-mooc-segments-future)."
    if lost:
        rows = frame.loc[lost]
        told = (
            "come by themselves less than the others ("
            f"{listing(percent(share, 0) for share in rows['share'])} bought in the half year after, of "
            f"all customers {percent(p.buyers / p.customers, 0)})" if (rows.side == "below").all() else
            "brought less than the others in the half year after"
        )
        text += (f" Try to win back {listing(lost)} on a random half only: they once spent much, and "
                 f"{told}.")
    return Prose(text)


def limits(s: Study) -> Prose:
    """What segments can't say."""
    return paragraph(
        "Segments describe what customers did; that a segment buys more does not say that a message "
        "to it would make it buy more still.",
        "Only a random half that is left alone tells that.",
    )
