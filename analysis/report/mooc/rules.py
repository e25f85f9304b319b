"""Cross-selling and upselling: what sells together, what leads to what, what to offer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.rules import AFTER, BESIDE, MOST_OFFERS, Pairs, Trial
from analysis.mooc.steps import Steps
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    capital,
    count,
    day,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    paragraph,
    percent,
    percents,
    significant,
)
from analysis.stats.intervals import Interval
from analysis.stats.rules import ALPHA

MOST_ROWS = 15  # of a table
MOST_SHOWN = 20  # of a figure
MOST_NAMED = 3  # in a sentence
LINE = 34  # letters of a title in a figure
KINDS = {BESIDE: "In the same order", AFTER: "In a later order"}
NO_PAIRS = Prose(
    "No order holds two courses, or there is one course only, so nothing can be said about courses that sell together."
)
PAIRLESS = Prose("There are no pairs of courses to look at (@sec-mooc-pairs).")  # `usual` says why
NONE_FOUND = Prose("No pair of courses stands out, so there is none to show.")
NO_STEPS = Prose(
    "Nobody bought a second time, or no course is dearer than another, so there is no step up to look at."
)
STEPLESS = Prose("There is no step up to look at (@sec-mooc-steps).")  # `purchases` says why
NONE_UP = Prose("No step up stands out at equal order value, so there is none to show.")
NO_TRIAL = Prose(
    "The offers could not be tried out: the first two thirds of the days give no pair and no step up to learn from."
)


def _name(s: Study, course: str) -> str:
    """A course's title: plain text, not Markdown."""
    return " ".join(str(s.products.by_course.title.get(course, course)).split())


def _title(s: Study, course: str) -> Prose:
    """A course in a sentence."""
    return Prose(f"“{escape(_name(s, course))}”")


def _label(s: Study, one: str, other: str, sign: str) -> str:
    """Two courses on the axis of a figure."""
    first, second = (
        name if len(name) <= LINE else f"{name[:LINE - 1].rstrip()}…"
        for name in (_name(s, one), _name(s, other))
    )
    return f"{first}\n{sign} {second}"


def _times(value: float) -> Prose:
    """A factor: "5.0 times"."""
    if not math.isfinite(value):
        return Prose("infinitely many times")
    return Prose(f"{significant(value, 2) if value < 1 else number(value, 1 if value < 100 else 0)}{NBSP}times")


def _adjusted(p: float) -> Prose:
    return Prose(f"<{NBSP}0.001") if p < 0.001 else number(p, 3)


def _limits(low: float, high: float, digits: int = 1) -> Prose:
    if not math.isfinite(low):
        return Prose(MISSING)
    return interval(low, high, digits) if math.isfinite(high) else Prose(f"{number(low, digits)} or more")


def _sure(value: float, low: float, high: float, digits: int = 1) -> Prose:
    """A value with its interval, for a table; alone where it has none."""
    if not math.isfinite(low):
        return number(value, digits)
    return Prose(f"{number(value, digits)} ({_limits(low, high, digits)})")


def _mined(pairs: Pairs) -> bool:
    """Whether there are pairs to speak of."""
    return pairs.possible > 0 and pairs.baskets.sets(2) > 0 and math.isfinite(pairs.null.usual)


# Pairs


def sizes(s: Study) -> Prose:
    """How large orders are, and which were left out."""
    b = s.rules.pairs.baskets
    several = b.baskets - int(b.sizes.baskets.get(1, 0))
    text = (
        f"Of {count(b.baskets, 'order')}, {number(several)} ({percent(several / b.baskets)}) {'holds' if several == 1 else 'hold'} more than one course."
        if several else f"{'The only order holds' if b.baskets == 1 else f'All {number(b.baskets)} orders hold'} a single course."
    )
    if b.left_out:
        text += (
            f" {count(b.left_out, 'order')} of more than {count(b.largest, 'course')} {'is' if b.left_out == 1 else 'are'} left out: a basket that holds nearly everything says nothing about any pair."
        )
    return Prose(text)


def usual(s: Study) -> Prose:
    """What the usual lift is, by order and by customer, and what independence would make of it."""
    p, c = s.rules.pairs, s.rules.by_customer
    if not _mined(p):
        return NO_PAIRS
    share = (
        "about as many orders as" if number(p.null.usual, 2) == "1.00" else
        f"{'fewer' if p.null.usual < 1 else 'more'} orders than"
    )
    text = (
        f"Among orders the usual lift is {number(p.null.usual, 2)}: pairs that have nothing to do with each other share "
        f"{share} independence says. "
    )
    if _mined(c):
        text += (
            f"Among customers, all of whose orders make one basket, it is {number(c.null.usual, 2)}. "
            f"With independence as the yardstick, {number(p.by_independence)} of {count(p.possible, 'pair')} would be found among orders and {number(c.by_independence)} among customers"
        )
        text += (
            ", which says that some customers buy much and others little, and nothing about courses."
            if c.by_independence > max(2 * p.by_independence, 0.2 * c.possible) else "."
        )
    return Prose(text)


def spread(s: Study) -> Prose:
    """Whether pairs vary more than chance alone makes them."""
    p = s.rules.pairs
    if not _mined(p):
        return PAIRLESS
    n = p.null
    if n.spread == 1.0:
        told = (
            "The pairs that don't stand out vary around the usual lift no more than chance makes them, so the p-values stand as they are."
            if n.reference >= 30 else
            "Too few pairs are common enough to see whether they vary more than chance makes them; the p-values take it that they don't."
        )
    else:
        told = (
            f"The pairs that don't stand out vary around the usual lift {number(n.spread, 2)} times as much as chance alone would make them, so all z-values are divided by that."
        )
    return Prose(told)


def family(s: Study) -> Prose:
    """How many tests the correction is for."""
    p = s.rules.pairs
    if not _mined(p):
        return PAIRLESS
    b = p.baskets
    return Prose(
        f"Of {count(p.possible, 'pair')} that the courses sold could make, {number(b.pairs_seen)} {'was' if b.pairs_seen == 1 else 'were'} seen together at least once, and {number(len(b.pairs))} in {number(b.least)} orders or more. "
        f"Only the last are tested, but all {number(p.possible)} count in the correction, those too rare to test as not significant, so that leaving them out buys no significance."
    )


def pairs(s: Study) -> Prose:
    """Which pairs stand out."""
    p = s.rules.pairs
    if not _mined(p):
        return PAIRLESS
    found = p.found
    if found.empty:
        return Prose(
            "No pair of courses is shown to share more orders than is usual. That is no proof that none does: weak ones, and pairs of courses that few buy, can't be told from chance."
        )
    (first, second), top = found.index[0], found.iloc[0]
    text = f"{count(len(found), 'pair')} {'stands' if len(found) == 1 else 'stand'} out{', most of all' if len(found) > 1 else ':'} {_title(s, first)} and {_title(s, second)}, together in {count(int(top.baskets), 'order')}, {_times(top.times_usual)} as often as is usual for courses as popular (lift {number(top.lift, 1)}, 95% interval {_limits(top.low, top.high)})."
    if len(found) > 1:
        least = found.times_usual.min()
        text += f" Even the least of them {'is' if least >= 2 else 'is only'} {_times(least)} as common as usual."
    return Prose(text)


def pairs_figure(s: Study) -> p9.ggplot | Prose:
    """The lift of each pair found, with its interval, and the usual lift."""
    p = s.rules.pairs
    if not _mined(p):
        return PAIRLESS
    if p.found.empty:
        return NONE_FOUND
    rows = p.found.head(MOST_SHOWN).reset_index()
    labels = _unlike([_label(s, a, b, "+") for a, b in zip(rows["first"], rows["second"], strict=True)])
    rows["pair"] = pd.Categorical(labels, labels[::-1])
    lines = pd.DataFrame({"x": [p.null.usual, 1.0], "line": ["usual", "independence"]})
    said = [f"usual: {p.null.usual:.2f}", "1: independence"]
    if abs(math.log(p.null.usual)) < 0.25:
        lines, said = lines[:1], said[:1]
    top = len(rows) + 0.75
    return (
        figures.Plot(rows, p9.aes("lift", "pair"))
        + p9.geom_vline(p9.aes(xintercept="x", linetype="line"), data=lines, color=figures.GREY)
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="pair"), color=figures.BLUE, size=1.2)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.geom_text(p9.aes(x="x", label="said"), data=lines.assign(said=said, y=top),
                       y=top, ha="left", nudge_x=0.015, size=7.5, color="#4a5560")
        + p9.scale_linetype_manual({"usual": "dashed", "independence": "dotted"}, guide=None)
        + figures.log_x(breaks=_ticks(min(p.null.usual, 1), rows["high"].max()),
                           labels=lambda values: [f"{value:g}" for value in values])
        + p9.scale_y_discrete(expand=(0, 0.6, 0, 1.3))
        + p9.labs(x="Lift (log scale), with 95% interval", y="")
        + figures.theme(height=_height(len(rows)), legend="none")
        + p9.theme(axis_text_y=p9.element_text(size=7.5, ha="right", ma="right", linespacing=1.05),
                   panel_grid_major_y=p9.element_blank())
    )


def _unlike(labels: list[str]) -> list[str]:
    """Labels that were alike after shortening, numbered."""
    seen: dict[str, int] = {}
    out = []
    for label in labels:
        seen[label] = seen.get(label, 0) + 1
        out.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return out


def _ticks(low: float, high: float) -> list[float]:
    ticks = [m * 10.0**k for k in range(-3, 6) for m in (1, 2, 5)]
    return [tick for tick in ticks if 0.99 * low <= tick <= 1.2 * high] or [1.0]


def _height(rows: int) -> float:
    return 0.9 + 0.31 * rows


def pairs_table(s: Study) -> Prose:
    """Pairs found, with what their two rules say."""
    p = s.rules.pairs
    if not _mined(p):
        return PAIRLESS
    if p.found.empty:
        return NONE_FOUND
    items = p.baskets.items.baskets
    rows = []
    for (first, second), row in p.found.head(MOST_ROWS).iterrows():
        # The course that fewer buy leads: of its orders more hold the other.
        one, other = sorted((first, second), key=lambda course: (items[course], course))
        rows.append({
            "Course": _name(s, one), "and": _name(s, other),
            "Orders (support)": f"{number(row.baskets)} ({percent(row.support)})",
            "Confidence (back)": f"{percent(row.baskets / items[one], 0)} ({percent(row.baskets / items[other], 0)})",
            "Lift": _sure(row.lift, row.low, row.high),
            "Times the usual": row.times_usual,
            "Adjusted p": row.p_adjusted,
        })
    return table(pd.DataFrame(rows), {
        "Orders (support)": Prose, "Confidence (back)": Prose, "Lift": Prose,
        "Times the usual": lambda v: number(v, 1), "Adjusted p": _adjusted,
    })


def not_shown(s: Study) -> Prose:
    """How many pairs the table leaves out; empty if none."""
    more = len(s.rules.pairs.found) - MOST_ROWS
    return Prose(f"The {MOST_ROWS} pairs of largest lift are shown; {number(more)} more {'was' if more == 1 else 'were'} found." if more > 0 else "")


def sets(s: Study) -> Prose:
    """Sets of three that are more than their pairs."""
    t = s.rules.triples
    if not t.possible or not _mined(s.rules.pairs):
        return Prose("There are too few courses, or orders of more than one, for sets of three.")
    tried = (
        f"The only possible set of three is {'' if t.listed else 'not '}in {number(t.least)} orders or more" if t.possible == 1 else
        f"Of {number(t.possible)} possible sets of three, {number(t.listed)} {'is' if t.listed == 1 else 'are'} in {number(t.least)} orders or more"
    )
    if t.found.empty:
        return Prose(f"{tried}; none is shown to be more than its pairs explain.")
    names, top = t.found.index[0], t.found.iloc[0]
    least = top[["lift_first", "lift_second", "lift_third"]].min()
    text = f"{tried}, and is more than its pairs explain" if t.possible == 1 else f"{tried}, and {number(len(t.found))} {'is' if len(t.found) == 1 else 'are'} more than {'its' if len(t.found) == 1 else 'their'} pairs explain"
    return Prose(
        f"{text}{', first of all' if len(t.found) > 1 else ''}: {listing(_title(s, name) for name in names)}, bought together {count(int(top.baskets), 'time')}. "
        f"Whichever of the three an order holds, the other two go together at least {_times(least)} as often in it as if they were independent there."
    )


def sets_table(s: Study) -> Prose:
    """The rules of the sets found."""
    rules = s.rules.set_rules
    if rules.empty:
        return Prose("No set of three courses stands out, so there is no rule to show.")
    rows = pd.DataFrame([
        {
            "Who takes": f"{_name(s, row.antecedent)} and {_name(s, row.also)}",
            "also takes": _name(s, row.consequent), "Orders": row.baskets, "Support": row.support,
            "Confidence": Prose(
                f"{percent(row.confidence)} "
                f"({percents(row.confidence_low, row.confidence_high, 0)})"),
            "Lift": _sure(row.lift, row.lift_low, row.lift_high),
        }
        for row in rules.head(MOST_ROWS).itertuples()
    ])
    return table(rows, {
        "Orders": number, "Support": percent, "Confidence": Prose, "Lift": Prose,
    })


# Categories


def _between(s: Study, one: str, other: str) -> pd.DataFrame:
    """Course pairs found between two categories."""
    found = s.rules.pairs.found
    category = s.products.by_course.category
    first, second = (
        category.reindex(found.index.get_level_values(i)).to_numpy() for i in (0, 1)
    )
    return found[((first == one) & (second == other)) | ((first == other) & (second == one))]


def categories_table(s: Study) -> Prose:
    """Categories that stand out, and the pairs of courses that make it."""
    c = s.rules.categories
    if not _mined(c) or c.found.empty:
        return Prose("No two categories stand out, so there are none to show.")
    rows = []
    for (one, other), row in c.found.head(MOST_ROWS).iterrows():
        between = _between(s, one, other)
        shown = [
            f"{_name(s, a)} and {_name(s, b)}" for a, b in list(between.index)[:MOST_NAMED]
        ]
        if len(between) > MOST_NAMED:
            shown.append(f"{len(between) - MOST_NAMED} more")
        rows.append({
            "Category": one, "and": other, "Pairs of courses found between them":
            "; ".join(shown) or "none", "Orders": row.baskets,
            "Lift": _sure(row.lift, row.low, row.high, 2), "Times the usual": row.times_usual,
        })
    return table(pd.DataFrame(rows), {
        "Orders": number, "Lift": Prose,
        "Times the usual": lambda v: number(v, 1),
    })


def categories(s: Study) -> Prose:
    """Whether categories sell together, or a few courses of them."""
    c = s.rules.categories
    if not _mined(c):
        return Prose("No order holds courses of two categories, so nothing can be said about them.")
    if c.found.empty:
        one = c.possible == 1
        return Prose(
            f"{'The only pair of categories is not' if one else f'None of {number(c.possible)} pairs of categories is'} shown to share more orders than is usual (usual lift {number(c.null.usual, 2)})."
        )
    excess, made = 0.0, 0.0
    without = 0
    for (one, other), row in c.found.iterrows():
        between = _between(s, one, other)
        excess += row.baskets - row.expected
        made += (between.baskets - between.expected).sum()
        without += between.empty
    text = f"{number(len(c.found))} of {count(c.possible, 'pair')} of categories {'stands' if len(c.found) == 1 else 'stand'} out against a usual lift of {number(c.null.usual, 2)}. "
    if without == len(c.found):
        return Prose(f"{text}No single pair of courses makes that: here it is the categories that go together.")
    share = min(made / excess, 1.0)
    text += f"Pairs of courses found above make about {percent(share, 0)} of the orders in excess"
    return Prose(text + (
        ": it is a few courses that go together, not their categories." if share > 0.7 and not without else
        "; the rest goes beyond these courses."
    ))


# Steps up


def purchases(s: Study) -> Prose:
    """What the steps rest on."""
    t = s.rules.steps
    if t is None:
        return NO_STEPS
    text = f"{count(t.customers, 'customer')} made {count(t.purchases, 'later purchase')}, in {count(len(t.edges) + 1, 'stratum', 'strata')} of value."
    if t.left_out:
        text += f" {count(t.left_out, 'customer')} with very many courses {'is' if t.left_out == 1 else 'are'} left out."
    return Prose(text)


def why_equal(s: Study) -> Prose:
    """What comparing at equal value changes."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    found, explained = len(t.found), len(t.explained)
    text = (
        f"If later purchases of any value are compared, {number(t.crude_found) if t.crude_found else 'none'} of {count(t.null.tests, 'possible step')} up would be significant; "
        f"at equal value {number(found + explained) if found + explained else 'none'} {'stands' if found + explained < 2 else 'stand'} out"
    )
    if explained:
        text += f", and {number(found)} {'is' if found == 1 else 'are'} left once courses that lead to the same one are held against each other"
    text += "."
    if len(t.only_crude):
        (lower, upper), row = t.only_crude.index[0], t.only_crude.iloc[0]
        text += (
            f" From {_title(s, lower)} to {_title(s, upper)}, for example, the odds ratio is {number(row.crude, 1)} at any value"
            f" and {number(row.odds_ratio, 1)} at equal value{f' (95% interval {_limits(row.odds_low, row.odds_high)})' if math.isfinite(row.odds_low) else ''}."
        )
    return Prose(text)


def steps(s: Study) -> Prose:
    """Which steps up stand out."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    if t.found.empty:
        return Prose(
            "No course is shown to lead to a dearer one. Steps that few customers take can't be told from chance."
        )
    first = t.found.sort_values("odds_ratio", ascending=False, kind="stable")
    (lower, upper), row = first.index[0], first.iloc[0]
    text = f"{count(len(t.found), 'step')} up {'stands' if len(t.found) == 1 else 'stand'} out. "
    text += (
        f"{'The strongest leads' if len(t.found) > 1 else 'It leads'} from {_title(s, lower)} to {_title(s, upper)}: "
        f"{percent(row.share)} of the later purchases of customers who have the first and not the second are the second (95% interval {percents(row.low, row.high)}), "
        f"and at equal value the odds are {_times(row.odds_ratio)} those of customers who don't have the first ({_limits(row.odds_low, row.odds_high)})."
    )
    return Prose(text)


def usual_step(s: Study) -> Prose:
    """What is usual among steps up."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    if not math.isfinite(t.null.usual):
        return Prose("Steps up are too few to tell what is usual among them.")
    text = f"The usual odds ratio, over all steps up but those found, is {number(t.null.usual, 2)}"
    if t.null.spread > 1:
        text += f", and they vary {number(t.null.spread, 2)} times as much as chance alone would make them"
    return Prose(f"{text}; {number(t.null.tests)} tests count in the correction.")


def explained(s: Study) -> Prose:
    """Steps that another course explains; empty if there are none."""
    t = s.rules.steps
    if t is None or t.explained.empty:
        return Prose("")
    told = []
    for (lower, upper), row in list(t.explained.iterrows())[:MOST_NAMED]:
        told.append(f"{_title(s, lower)} to {_title(s, upper)} ({_title(s, row.rival)}; odds ratio {number(row.odds_ratio, 1)}, then {_odds(row)})")
    if len(t.explained) > MOST_NAMED:
        told.append(f"{number(len(t.explained) - MOST_NAMED)} more")
    one = len(t.explained) == 1
    return Prose(
        f"{'One step no longer stands' if one else f'{number(len(t.explained))} steps no longer stand'} out once the strongest course that leads to the same one (in brackets) is held against {'it' if one else 'them'}: {listing(told)}. "
        "Who has the one often has the other, so what looked like its lead is, in part or in whole, the other's."
    )


def _odds(row) -> Prose:
    limits = f" (95% interval {_limits(row.direct_low, row.direct_high)})" if math.isfinite(row.direct_low) else ""
    return Prose(f"{number(row.direct, 1)}{limits}")


def naive(s: Study) -> Prose:
    """What plain sequences would have said."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    claims = t.naive[t.naive.found.astype(bool)]
    hold = int(claims.holds.sum()) if len(claims) else 0
    found = len(t.found)
    if claims.empty:
        return Prose(
            f"Plain sequences, from the first purchase to the second, find no step up{f', and so miss all {number(found)}' if found > 1 else ' either' if not found else ', and so miss it'}."
        )
    text = f"Plain sequences, from the first purchase to the second, find {count(len(claims), 'step')} up, of which {number(hold) if hold else 'none'} {'holds' if hold < 2 else 'hold'} at equal value"
    if found > hold:
        text += f", and miss {number(found - hold)} of the {number(found)} that {'does' if found == 1 else 'do'}"
    return Prose(f"{text}.")


def steps_table(s: Study) -> Prose:
    """Steps found."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    if t.found.empty:
        return NONE_UP
    rows = pd.DataFrame([
        {
            "From": _name(s, lower), "to": _name(s, upper),
            "Price": low_to_high(number(row.price_lower, 2), number(row.price_upper, 2)),
            "Purchases": row.purchases,
            "of them the second": Prose(f"{percent(row.share)} ({percents(row.low, row.high)})"),
            "Odds ratio": _sure(row.odds_ratio, row.odds_low, row.odds_high),
            "At any value": row.crude,
        }
        for (lower, upper), row in t.found.sort_values(
            "odds_ratio", ascending=False, kind="stable").head(MOST_ROWS).iterrows()
    ])
    return table(rows, {
        "Price": Prose, "Purchases": number, "of them the second": Prose, "Odds ratio": Prose,
        "At any value": lambda v: number(v, 1),
    })


def steps_figure(s: Study) -> p9.ggplot | Prose:
    """Odds ratios at equal value and at any value, of steps that hold and of steps that don't."""
    t = s.rules.steps
    if t is None:
        return STEPLESS
    if t.found.empty and t.only_crude.empty and t.explained.empty:
        return NONE_UP
    parts = _parts(t)
    frame = pd.concat([
        rows.assign(part=f"{name} ({total})") for name, rows, total in parts
    ]).reset_index()
    if "direct" in frame:
        for shown, direct in (("odds_ratio", "direct"), ("odds_low", "direct_low"), ("odds_high", "direct_high")):
            frame[shown] = frame[direct].fillna(frame[shown])
    frame = frame[np.isfinite(frame["odds_low"]) & (frame["crude"] > 0) & np.isfinite(frame["crude"])]
    if frame.empty:
        return NONE_UP
    labels = _unlike([_label(s, a, b, "→") for a, b in zip(frame["lower"], frame["upper"], strict=True)])
    frame["step"] = pd.Categorical(labels, labels[::-1])
    frame["part"] = pd.Categorical(frame["part"], list(dict.fromkeys(frame["part"])))
    names = ("at equal order value", "at any value")
    points = pd.concat([
        frame.assign(odds=frame["odds_ratio"], how=names[0]),
        frame.assign(odds=frame["crude"], how=names[1]),
    ])
    points["how"] = pd.Categorical(points["how"], names)
    return (
        figures.Plot(points, p9.aes("odds", "step"))
        + p9.geom_vline(xintercept=t.null.usual, linetype="dashed", color=figures.GREY)
        + p9.geom_segment(p9.aes(x="odds_low", xend="odds_high", yend="step"), data=frame,
                          color=figures.BLUE, size=0.9)
        + p9.geom_point(p9.aes(color="how", shape="how"), size=2.2, fill="white")
        + p9.facet_grid("part ~ .", scales="free_y", space="free_y")
        + p9.scale_shape_manual(dict(zip(names, ("o", "D"), strict=True)))
        + figures.colours(names)
        + figures.log_x(breaks=_ticks(frame["odds_low"].min(), max(frame["odds_high"].max(), frame["crude"].max())),
                           labels=lambda values: [f"{value:g}" for value in values])
        + p9.labs(x="Odds ratio (log scale), with 95% interval; dashed: usual", y="")
        + figures.theme(height=_height(len(frame)) + 0.5)
        + p9.theme(axis_text_y=p9.element_text(size=7.5, ha="right", ma="right", linespacing=1.05),
                   panel_grid_major_y=p9.element_blank(),
                   strip_text_y=p9.element_text(size=8.5, weight="normal", rotation=-90, ha="center"))
    )


def _parts(t: Steps) -> list[tuple[str, pd.DataFrame, int]]:
    """What the figure shows: its name, the rows, how many there are in all."""
    only = t.crude_found - len(t.found) - len(t.explained)
    parts = [
        ("hold", t.found.sort_values("odds_ratio", ascending=False, kind="stable").head(12), len(t.found)),
        ("explained", t.explained.head(3), len(t.explained)),
        ("vanish", t.only_crude.head(3), max(only, len(t.only_crude))),
    ]
    return [part for part in parts if len(part[1])]


# Offers


def offers_table(s: Study) -> Prose:
    """What to offer beside and after the courses that sell most."""
    rows = []
    for course, row in s.rules.courses.head(MOST_ROWS).iterrows():
        cells = {"Course": _name(s, course), "Orders": row.orders}
        for kind, head in KINDS.items():
            cells[head] = _cell(s, course, kind)
        rows.append(cells)
    return table(pd.DataFrame(rows)[["Course", *KINDS.values(), "Orders"]], {"Orders": number})


def _cell(s: Study, course: str, kind: str) -> str:
    offers = s.rules.offers
    found = offers[(offers.course == course) & (offers.kind == kind)]
    if found.empty:
        return "nothing beyond chance"
    sign = "lift" if kind == BESIDE else "odds ratio"
    return "; ".join(
        f"{_name(s, row.offer)} ({percent(row.share, 0)}, {sign} {number(row.strength, 1)})"
        for row in found.itertuples()
    )


def coverage(s: Study) -> Prose:
    """For how many courses there is an offer."""
    c = s.rules.courses
    either = int(((c.beside > 0) | (c.after > 0)).sum())
    if not either:
        return Prose(
            f"{'For the only course sold no offer is' if len(c) == 1 else f'For none of the {number(len(c))} courses sold is an offer'} shown to go beyond chance; until one is, offer the courses that sell best."
        )
    none, both = len(c) - either, int(((c.beside > 0) & (c.after > 0)).sum())
    text = (
        f"Of {count(len(c), 'course')} sold, {number(int((c.beside > 0).sum()))} {'has' if (c.beside > 0).sum() == 1 else 'have'} an offer for the same order and {number(int((c.after > 0).sum()))} one for a later order{f', {number(both)} of them both' if both else ''}."
    )
    if none:
        text += (
            f" For {'the other one' if none == 1 else f'the other {number(none)}'} the tables show nothing beyond chance, and nothing is made up: there, show the best-sellers."
        )
    return Prose(text)


def trial_table(s: Study) -> Prose:
    """Hits of the offers and of best-sellers on days that they were not learned from."""
    if not s.rules.trial:
        return Prose("There were no offers to try out.")
    rows = pd.DataFrame([
        {
            "Offers": KINDS[kind], "Occasions": t.occasions, "Customers": t.customers,
            "Offer bought": _rate(t.rate), "Best-seller bought": _rate(t.popular_rate),
            "Difference, points": _points(t.difference),
        }
        for kind, t in s.rules.trial.items()
    ])
    return table(rows, {
        "Occasions": number, "Customers": number, "Offer bought": Prose,
        "Best-seller bought": Prose, "Difference, points": Prose,
    })


def _rate(i: Interval | None) -> Prose:
    return Prose(MISSING) if i is None else Prose(f"{percent(i.estimate)} ({percents(i.low, i.high)})")


def _points(i: Interval | None) -> Prose:
    if i is None:
        return Prose(MISSING)
    return Prose(f"{number(100 * i.estimate, 1)} ({interval(100 * i.low, 100 * i.high)})")


def trial(s: Study) -> Prose:
    """Whether the offers beat the best-sellers."""
    if not s.rules.trial:
        return NO_TRIAL
    start = f"Learned on the days up to {day(s.rules.split)} and tried on those after it:"
    return Prose(f"{start} {'; '.join(_tried(kind, t) for kind, t in s.rules.trial.items())}.")


def _tried(kind: str, t: Trial) -> str:
    what = "offers for the same order" if kind == BESIDE else "offers for a later order"
    if t.difference is None:
        return f"for {what} there were too few occasions"
    d = t.difference
    sure = f"95% interval of the difference {interval(100 * d.low, 100 * d.high)} points"
    rates = f"{percent(t.rate.estimate)} against {percent(t.popular_rate.estimate)}"
    if d.low > 0:
        return f"{what} are bought more often than as many best-sellers ({rates}; {sure})"
    if d.high < 0:
        return f"{what} are bought less often than as many best-sellers ({rates}; {sure})"
    return f"{what} are not shown to be bought more or less often than as many best-sellers ({rates}; {sure})"


# The chapter's box and its conclusions


def answer(s: Study) -> Prose:
    """What sells together and what leads up, in a sentence or two."""
    p, t = s.rules.pairs, s.rules.steps
    if not _mined(p):
        first = NO_PAIRS
    elif p.found.empty:
        first = Prose("No two courses are shown to be bought together more often than is usual.")
    else:
        (one, other), top = p.found.index[0], p.found.iloc[0]
        first = Prose(
            f"{count(len(p.found), 'pair')} of courses {'is' if len(p.found) == 1 else 'are'} bought together more often than is usual, {'most of all' if len(p.found) > 1 else 'namely'} {_title(s, one)} and {_title(s, other)} ({_times(top.times_usual)} as often)."
        )
    if t is None:
        return first
    if t.found.empty:
        return paragraph(first, Prose("No course is shown to lead its customers to a dearer one."))
    only = t.crude_found > 2 * len(t.found)
    return paragraph(first, Prose(
        f"{count(len(t.found), 'course leads', 'courses lead') if t.found.index.get_level_values(0).nunique() == len(t.found) else count(len(t.found), 'step leads', 'steps lead')} to a dearer one"
        + (f", not the {number(t.crude_found)} steps that it looks like before purchases of equal value are compared." if only else " among purchases of equal value.")
    ))


def recommendation(s: Study) -> Prose:
    """What to offer; empty where nothing was found."""
    p, t = s.rules.pairs, s.rules.steps
    bundles, ups = len(p.found), 0 if t is None else len(t.found)
    if not bundles and not ups:
        return Prose("")
    what, why = [], []
    if bundles:
        (one, other), top = p.found.index[0], p.found.iloc[0]
        what.append(f"offer {'the pair' if bundles == 1 else f'the {number(bundles)} pairs'} at the checkout")
        why.append(f"{_title(s, one)} and {_title(s, other)} are bought together {_times(top.times_usual)} as often as usual")
    if ups:
        (lower, upper), row = t.found.sort_values("odds_ratio", ascending=False, kind="stable").index[0], t.found.odds_ratio.max()
        what.append(f"{'the step' if ups == 1 else f'the {number(ups)} steps'} up after a purchase")
        why.append(f"who has {_title(s, lower)} has {_times(row)} the odds to buy {_title(s, upper)} next at equal value")
    head = " and ".join(what) if bundles else f"offer {what[0]}"
    return Prose(
        f"**{capital(head)}, to a random half of the customers.** "
        f"That is worth a try because {listing(why)} (@sec-mooc-rules). Many of these would be bought unasked, so only the half without the offer tells what it adds."
    )


def experiment(s: Study) -> Prose:
    """What the experiment should measure."""
    either = len(s.rules.offers) > 0
    if not either:
        return Prose("With nothing found there is nothing to try out yet.")
    tried = s.rules.trial.get(BESIDE)
    base = (
        f" The {percent(tried.rate.estimate, 0)} of occasions on which an offer was bought without being made is what the half without it will show, give or take chance."
        if tried is not None and tried.rate is not None else ""
    )
    return Prose(
        "What an offer *adds* can't be read from any of this: the same customers may buy both without being asked, and a bundle at a discount may earn less on what they would have bought anyway. "
        f"Show the offers to a random half of the customers and compare revenue per customer, not clicks on the offer.{base}"
    )


def most_offers(s: Study) -> Prose:
    """How many offers a course has at most."""
    return number(MOST_OFFERS)


def false_share(s: Study) -> Prose:
    """The false discovery rate."""
    return percent(ALPHA, 0)
