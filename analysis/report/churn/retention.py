"""Whom to call first: tables, figures and sentences of risk, calls and what they earn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn import retention as study
from analysis.churn.retention import EVERYBODY, MODEL, SINGLE, Retention
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.churn.model import NOT_MADE
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    percent,
    percents,
)

PAYS, LOSES, OPEN = "pays", "loses", "open"
LINES = ("the model", "one trait", "everybody")
LEAST_SHOWN = -0.05  # of net benefit in the figure; calling everybody falls without end
FULL = 0.999  # of all churned: as good as all
# Where there is no model; the section on it says why.
NO_ORDER = Prose("Without a model there is no order of risk (@sec-netflix-model).")
NO_CALLS = Prose("Without a model nothing about calls follows from the table.")


def _found(s: Study) -> Retention | None:
    return s.retention


def _amount(value: float, low: float = 0, high: float = 0) -> Prose:
    """An amount in the cost of one offer, with as many decimals as the ends of its interval."""
    if max(abs(low), abs(high)) > 0:
        return number(value, _decimals(low, high))
    return number(value, 0 if abs(value) >= 10 or float(value).is_integer() else 1)


def _amounts(low: float, high: float) -> Prose:
    return interval(low, high, _decimals(low, high))


def _decimals(low: float, high: float) -> int:
    return 0 if max(abs(low), abs(high)) >= 10 else 1


def _group(row: pd.Series) -> str:
    """A group by its place in the order of risk: "0–10%"."""
    return f"{100 * row['from_share']:.0f}–{100 * row['to_share']:.0f}%"


def _plain(value: float) -> str:
    """An assumption as it was made, without needless zeros."""
    return f"{value:,.4f}".rstrip("0").rstrip(".")


# The assumptions


def assumptions(s: Study) -> Prose:
    """What is assumed, and the risk from which a call pays."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    text = (
        f"An offer costs {_plain(r.cost)} (the unit of all amounts here, say one monthly fee), for everybody who is called. "
        f"It keeps {percent(r.success, 0)} of those who would have left. Whoever is kept is worth {_plain(r.value)}. "
        f"Then a call pays where the risk of churn is above {_plain(r.cost)} / ({_plain(r.success)} × {_plain(r.value)})")
    if r.break_even > 1:
        return Prose(f"{text} = {number(r.break_even, 2)}, which no risk is: under these assumptions the offer never pays.")
    return Prose(f"{text} = {percent(r.break_even)}, the *break-even risk*.")


def assumptions_table(s: Study) -> Prose:
    """The three assumptions and what follows from them."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    rows = [
        ("Cost of an offer, for everybody called", _plain(r.cost)),
        ("Value of a subscriber who is kept, in offers", _plain(r.value / r.cost)),
        ("Share of leavers that an offer keeps", percent(r.success, 0)),
        ("Break-even risk", percent(r.break_even) if r.break_even <= 1 else Prose("none")),
    ]
    return table(pd.DataFrame(rows, columns=["Assumption", "Value"]), {"Value": Prose})


# Risk by tenths


def tenths_table(s: Study) -> Prose:
    """Subscribers in the order of their risk."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    frame = pd.DataFrame([{
        "In order of risk": _group(row),
        "Subscribers": row["subscribers"],
        "Predicted, %": Prose(number(100 * row["predicted"], 1)),
        "Churned, %": Prose(f"{number(100 * row['rate'], 1)} ({interval(100 * row['low'], 100 * row['high'], 1)})"),
        "Lift": Prose(f"{number(row['lift'], 1)} ({interval(row['lift_low'], row['lift_high'], 1)})"),
        "Caught so far, %": Prose(f"{number(100 * row['caught'], 0)} ({interval(100 * row['caught_low'], 100 * row['caught_high'], 0)})"),
    } for _, row in r.tenths.iterrows()])
    return table(frame, {"Subscribers": number} | dict.fromkeys(frame.columns[2:], Prose))


def order(s: Study) -> Prose:
    """How far the order of risk sorts those who churn from those who stay."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    if len(r.tenths) < 2:
        return Prose("All subscribers have the same risk, so there is no order in which to call them.")
    top, second = r.tenths.iloc[0], r.tenths.iloc[1]
    text = (
        f"Of the {count(int(top['subscribers']), 'subscriber')} with the highest risk ({percent(top['to_share'], 0)} of all), {percent(top['rate'])} have churned "
        f"(95% interval {percents(top['low'], top['high'])}), {number(top['lift'], 1)} times the share of all; ")
    text += f"these are {percent(top['caught'], 0)} of all who churned."
    if second["caught"] < FULL:
        text += f" With the next group, {percent(second['to_share'], 0)} of the subscribers hold {percent(second['caught'], 0)} of the churned."
    full = r.tenths[r.tenths["caught"] >= FULL]
    end = full.iloc[0]["to_share"] if len(full) else 1.0
    if end < FULL:
        before = r.tenths.loc[:full.index[0], ["subscribers", "churned"]].sum()
        rest, left = r.subscribers - before["subscribers"], r.churned - before["churned"]
        text += (f" After {percent(end, 0)} of them, {'nobody' if left == 0 else 'hardly anybody'} who churned is left "
                 f"among the other {number(rest)}.")
    return Prose(text)


def gains_figure(s: Study) -> p9.ggplot | Prose:
    """The share of all churned that a share of the subscribers holds, in the order of risk."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    g = r.gains.reset_index()
    ends = pd.DataFrame({"share": [0.0, 1.0], "value": [0.0, 1.0]})
    lines = []
    for name, column in (("the model", "model"), ("one trait", "single")):
        part = g[["share", column]].set_axis(["share", "value"], axis=1)
        lines.append(pd.concat([ends.head(1), part, ends.tail(1)]).assign(line=name))
    lines.append(ends.assign(line="chance"))
    names = ("the model", "one trait", "chance")
    rows = pd.concat(lines, ignore_index=True)
    rows["line"] = pd.Categorical(rows["line"], names)
    return (
        figures.Plot(rows, p9.aes("share", "value"))
        + p9.geom_ribbon(p9.aes("share", ymin="model_low", ymax="model_high"), data=g, inherit_aes=False,
                         fill=figures.BLUE, alpha=0.18)
        + p9.geom_line(p9.aes(color="line"))
        + p9.scale_color_manual(dict(zip(names, (figures.BLUE, figures.VERMILION, figures.GREY), strict=True)))
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.labs(x="Subscribers called, riskiest first", y="Churned among them, of all churned")
        + figures.theme(height=3.3)
    )


def single(s: Study) -> Prose:
    """What the best trait alone would reach with as many calls."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    name = labels.trait(r.single)
    called = int(r.policies.loc[MODEL, "called"])
    calls = count(called, "call") if 0 < called < r.subscribers else f"calls to {percent(1 / study.GROUPS, 0)} of the subscribers"
    text = (
        f"By {name} alone, the best single trait for this, {calls} would reach {percent(r.single_caught, 0)} of those who churned; "
        f"by the model {'it is' if called == 1 else 'they are'} {percent(r.model_caught, 0)}")
    if r.model_caught > r.single_caught + 0.005:
        return Prose(f"{text}.")
    return Prose(f"{text}: the other traits add nothing to it here.")


# What calls earn


def _verdict(row: pd.Series, break_even: float) -> str:
    if row["low"] > break_even:
        return PAYS
    return LOSES if row["high"] < break_even else OPEN


def pays(s: Study) -> Prose:
    """Which groups pay for their calls."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    if r.break_even > 1:
        return Prose("No group pays for its calls, whatever its risk.")
    found: dict[str, list[str]] = {PAYS: [], LOSES: [], OPEN: []}
    for _, row in r.tenths.iterrows():
        found[_verdict(row, r.break_even)].append(_group(row))
    parts = []
    if found[PAYS]:
        parts.append(f"calling pays in {_places(found[PAYS])}")
    if found[OPEN]:
        parts.append(f"whether it pays is open in {_places(found[OPEN])}, whose interval holds the break-even risk"
                     if len(found[OPEN]) == 1 else
                     f"whether it pays is open in {_places(found[OPEN])}, whose intervals hold the break-even risk")
    if found[LOSES]:
        parts.append(f"it costs more than it brings in {_places(found[LOSES])}" if parts else
                     f"calling costs more than it brings in {_places(found[LOSES])}")
    return Prose(f"{capital('; '.join(parts))}.")


def _places(groups: list[str]) -> str:
    one = len(groups) == 1
    return f"the group{'' if one else 's'} at {listing(groups)} of the order"


def net_figure(s: Study) -> p9.ggplot | Prose:
    """What calling each group earns per subscriber called."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    rows = r.tenths.copy()
    for name in ("net", "net_low", "net_high"):
        rows[name] = rows[name] / rows["subscribers"]
    rows["label"] = [_group(row) for _, row in rows.iterrows()]
    rows["label"] = pd.Categorical(rows["label"], list(dict.fromkeys(rows["label"])))
    rows["sign"] = pd.Categorical(np.where(rows["net"] > 0, "earns", "costs"), ["earns", "costs"])
    return (
        figures.Plot(rows, p9.aes("label", "net", fill="sign"))
        + p9.geom_col(width=0.65)
        + p9.geom_linerange(p9.aes(ymin="net_low", ymax="net_high"), color=figures.INK)
        + p9.geom_hline(yintercept=0, color=figures.GREY)
        + p9.scale_fill_manual({"earns": figures.BLUE, "costs": figures.VERMILION})
        + p9.labs(x="Subscribers in order of risk, riskiest first", y="Net value of a call, in offers")
        + figures.theme(height=3.2)
        + p9.theme(axis_text_x=p9.element_text(rotation=45 if len(rows) > 6 else 0))
    )


def policies_table(s: Study) -> Prose:
    """What three ways to choose whom to call would earn."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    names = {MODEL: "Risk by the model", SINGLE: f"Risk by {labels.trait(r.single)} alone",
             EVERYBODY: "Everybody"}
    frame = pd.DataFrame([{
        "Called by": names[policy],
        "Called": int(row["called"]),
        "Of them churned, %": percent(row["rate"]) if row["called"] else Prose(MISSING),
        "Kept": number(row["kept"], 0 if row["kept"] >= 10 or row["called"] == 0 else 1),
        "Net value (95% interval)": _with_limits(row["net"], row["net_low"], row["net_high"]),
    } for policy, row in r.policies.iterrows()])
    return table(frame, {"Called": number} | dict.fromkeys(frame.columns[2:], Prose))


def _with_limits(value: float, low: float, high: float) -> Prose:
    """An amount with its interval, where it has one: calling nobody earns exactly nothing."""
    return Prose(f"{_amount(value, low, high)} ({_amounts(low, high)})") if high > low else _amount(value)


def policy(s: Study) -> Prose:
    """How many are called, what it earns, and what the other ways would."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    row = r.policies.loc[MODEL]
    called = int(row["called"])
    everybody = r.policies.loc[EVERYBODY]
    if called == 0:
        worse = ("earns less than nothing" if everybody["net"] < 0 else "earns more than nothing" if everybody["net"] > 0 else "earns nothing")
        return Prose(
            f"Nobody's risk reaches the break-even risk, so under these assumptions the model calls nobody; calling everybody {worse} "
            f"({_with_limits(everybody['net'], everybody['net_low'], everybody['net_high'])}).")
    churned = int(row["churned"])
    have = "has" if churned == 1 else "have"
    text = (
        f"The rule is to call those whose risk reaches {percent(r.break_even)}: {count(called, 'subscriber')} ({percent(called / r.subscribers)} of all), "
        f"of whom {number(churned)} {have} churned ({percent(row['rate'])}). Among as many subscribers like these, before any has left, the offers would keep {_kept(row['kept'])}, and the calls earn {_amount(row['net'], row['net_low'], row['net_high'])} offers "
        f"net of their cost (95% interval {_amounts(row['net_low'], row['net_high'])})")
    text += "." if row["net_low"] > 0 else ", so that they lose money." if row["net_high"] < 0 else ", which is not shown to be a gain."
    return Prose(f"{text} {_against(r)}")


def _kept(kept: float) -> str:
    return f"about {number(kept, 0)}" if kept >= 10 else f"about {number(kept, 1)}"


def _against(r: Retention) -> str:
    """The model's policy against the others."""
    parts = []
    for other, told in ((EVERYBODY, "calling everybody"), (SINGLE, f"calling by {labels.trait(r.single)} alone")):
        gap, row = r.advantage.loc[other], r.policies.loc[other]
        subject = "It" if parts else "That"
        if other == SINGLE and row["called"] == 0:
            parts.append(f"By {labels.trait(r.single)} alone nobody would be called, since no group's risk reaches the break-even risk.")
        elif gap["low"] > 0:
            parts.append(f"{subject} is {_amount(gap['difference'], gap['low'], gap['high'])} more than {told} would earn (95% interval {_amounts(gap['low'], gap['high'])}).")
        elif gap["high"] < 0:
            parts.append(f"{subject} is {_amount(-gap['difference'], gap['low'], gap['high'])} less than {told} would earn (95% interval {_amounts(-gap['high'], -gap['low'])}).")
        elif gap["low"] == gap["high"]:
            parts.append(f"{subject} is what {told} would earn.")
        else:
            parts.append(f"{subject} is not shown to differ from what {told} would earn (difference {_amount(gap['difference'], gap['low'], gap['high'])}, "
                         f"95% interval {_amounts(gap['low'], gap['high'])}).")
    return " ".join(parts)


def still_here(s: Study) -> Prose:
    """Whom of those called one can still reach."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    called = int(r.policies.loc[MODEL, "called"])
    if called == 0:
        return Prose("Under these assumptions there is nobody to call today either.")
    if r.still_here == 0:
        return Prose("All of those whom the rule names have churned, so there is nobody of them left to call today.")
    return Prose(
        f"Whoever has churned cannot be called any more: of the {count(called, 'subscriber')} whom the rule names, {number(r.still_here)} "
        f"{'is' if r.still_here == 1 else 'are'} still there. They head the list for today, and the rule is for those who will be like them.")


# Other assumptions


def sensitivity_table(s: Study) -> Prose:
    """Calls and net value of the model's policy by value and success."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    frame = pd.DataFrame([{
        "Keeps, %": Prose(number(100 * success, 0)),
        "Value": Prose(_plain(value)),
        "Break-even risk": percent(row["break_even"]) if row["break_even"] <= 1 else Prose("none"),
        "Called": int(row["called"]),
        "Net value (95% interval)": _with_limits(row["net"], row["net_low"], row["net_high"]),
        "Everybody called": _amount(row["everybody"]),
    } for (success, value), row in r.sensitivity.iterrows()])
    return table(frame, {"Called": number} | dict.fromkeys([c for c in frame.columns if c != "Called"], Prose))


def sensitivity(s: Study) -> Prose:
    """What changes with the assumptions, and what does not."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    f = r.sensitivity
    better = int((f["everybody"] > f["net"] + 1e-9).sum())
    gains = int((f["net_low"] > 0).sum())
    text = (
        f"The order of the subscribers does not depend on any of the assumptions, only the place where to stop does: the calls run from {number(f['called'].min())} to "
        f"{number(f['called'].max())}. In {number(gains)} of the {number(len(f))} cases a gain is shown")
    text += (", and in none of them is calling everybody better." if better == 0 else
             f"; in {number(better)} calling everybody would have been better.")
    return Prose(text)


def curve_figure(s: Study) -> p9.ggplot | Prose:
    """The decision curve: net benefit by break-even risk."""
    r = _found(s)
    if r is None:
        return NOT_MADE
    rows = r.curve.reset_index().melt("threshold", var_name="line", value_name="benefit")
    rows["line"] = pd.Categorical(rows["line"].map(dict(zip(("model", "single", "everybody"), LINES, strict=True))), LINES)
    rows = rows[rows["benefit"] >= LEAST_SHOWN]
    plot = (
        figures.Plot(rows, p9.aes("threshold", "benefit", color="line"))
        + p9.geom_hline(yintercept=0, color=figures.GREY)
        + p9.geom_line()
        + figures.colours(LINES)
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.labs(x="Break-even risk", y="Net benefit")
        + figures.theme(height=3.2)
    )
    if r.break_even < 1:
        plot += p9.geom_vline(xintercept=r.break_even, color=figures.GREY, linetype="dotted")
    return plot


def curve(s: Study) -> Prose:
    """Over which break-even risks the model is the best guide."""
    r = _found(s)
    if r is None:
        return NO_ORDER
    others = r.curve[["single", "everybody"]].max(axis=1).clip(lower=0)
    best = r.curve["model"] > others + 1e-12
    if not best.any():
        return Prose("At no break-even risk does the model earn more than the best of the other ways: one trait, everybody, nobody.")
    places = np.flatnonzero(best.to_numpy())
    low, high = best.index[places[0]], best.index[places[-1]]
    if len(places) == places[-1] - places[0] + 1:
        where = f"at a break-even risk of {percent(low, 0)}" if low == high else f"at every break-even risk from {percent(low, 0)} to {percent(high, 0)}"
    else:
        where = f"at {number(len(places))} of the {number(len(best))} break-even risks drawn, between {percent(low, 0)} and {percent(high, 0)}"
    rest = "" if best.all() else "; elsewhere one of these does as well or better"
    return Prose(
        f"The model is a better guide than {labels.trait(r.single)} alone, than calling everybody and than calling nobody {where}{rest}.")


# What it means


def means(s: Study) -> Prose:
    """The result in plain words."""
    r = _found(s)
    if r is None:
        return NO_CALLS
    called = int(r.policies.loc[MODEL, "called"])
    net = r.policies.loc[MODEL]
    if called == 0:
        return Prose(
            "A call list in the order of risk is worth having, but at this price no call on it pays: the offer has to become cheaper, or keep more of those who want to leave.")
    text = f"Call from the top of the list and stop where the risk falls below {percent(r.break_even)}"
    text += f", after {percent(called / r.subscribers)} of the subscribers. " if called < r.subscribers else ", which is nowhere: everybody is worth a call. "
    if net["net_low"] > 0 and r.policies.loc[EVERYBODY, "net_high"] < 0:
        text += "The same offer to everybody would cost more than it brings: most of it would go to those who stay anyway."
    elif net["net_low"] > 0:
        text += "That pays under the assumptions made"
        text += "." if _beats_everybody(r) or called >= r.subscribers else ", but it is not shown to pay better than calling everybody."
    else:
        text += "That such calls pay is not shown, even under the assumptions made."
    return Prose(text)


def limits(s: Study) -> Prose:
    """What the order of risk cannot say."""
    if _found(s) is None:
        return NO_CALLS
    return Prose(
        "The net value is for subscribers like these, if their risk is the same next time. The table has no dates, so a risk here is the share who have churned, not the chance to do so "
        "within a month. What an offer costs, brings and achieves is assumed, and that it achieves the same with everybody is the boldest assumption: those most at risk are not "
        "always those who can be kept. Only a test can tell, in which some of those on the list, drawn at random, are not called.")


def _beats_everybody(r: Retention) -> bool:
    return bool(r.advantage.loc[EVERYBODY, "low"] > 0)


def answer(s: Study) -> Prose:
    """Whom to call first, in a sentence or two."""
    r = _found(s)
    if r is None:
        return Prose("**Whom to call first** cannot be told without a model (@sec-netflix-model).")
    if len(r.tenths) < 2:
        return Prose("**Whom to call first** cannot be said: all subscribers have the same risk.")
    top = r.tenths.iloc[0]
    row = r.policies.loc[MODEL]
    text = (
        f"**Whom to call first**: the {percent(top['to_share'], 0)} of the subscribers with the highest risk by the model hold {percent(top['caught'], 0)} of those who churned")
    if row["called"] == 0:
        return Prose(f"{text}, but under the assumptions made no call pays.")
    text += f". If an offer keeps {percent(r.success, 0)} of those who would leave and one who is kept is worth {_plain(r.value / r.cost)} offers, "
    called = int(row["called"])
    rule = (
        f"every call pays by their risks, and calling everybody would take {count(called, 'call')}" if called >= r.subscribers else
        f"calling those whose risk is high enough would take {count(called, 'call')}")
    net = f"{_amount(row['net'], row['net_low'], row['net_high'])} offers net (95% interval {_amounts(row['net_low'], row['net_high'])})"
    earns = f" and earn {net}" if row["net_low"] > 0 else f", which is not shown to earn anything: {net}"
    here = "nobody" if r.still_here == 0 else "everybody" if r.still_here == called else number(r.still_here)
    is_ = "is" if r.still_here == 1 or here in ("nobody", "everybody") else "are"
    return Prose(
        f"{text}then among as many subscribers like these, before any has left, {rule}{earns}; of those who are named today, {here} {is_} still there.")
