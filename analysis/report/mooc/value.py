"""What customers are worth: so far, by the simple formula, and as the models expect it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.value import (
    CONFIDENCE,
    HORIZON,
    LEAST_CUSTOMERS,
    MARGIN,
    MARGINS,
    SMALL_CORRELATION,
    Forecast,
    Holdout,
    Purchases,
)
from analysis.report import figures
from analysis.report.mooc import labels
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    change,
    count,
    day,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_value,
    paragraph,
    percent,
    percents,
    significant,
)
from analysis.stats.intervals import Interval

ALPHA = 0.05
MOST_CHANNELS = 12  # in the table, the largest
MOST_STARTS = 8  # quarters in the table, the latest
RATE = 0.1  # a year, to say what a discount would change
MEANING = {
    "r": "How alike customers’ rates are (shape)",
    "alpha": "Scale of the rates, weeks",
    "a": "Leaving after a repeat purchase (first shape)",
    "b": "Leaving after a repeat purchase (second shape)",
    "p": "How alike one customer’s purchases are (shape)",
    "q": "How alike customers’ mean values are (shape)",
    "gamma": "Scale of the values, currency",
}
SYMBOLS = {"alpha": "α", "gamma": "γ"}

_money = partial(number, digits=2)
_percent0 = partial(percent, digits=0)


def _limits(low: float, high: float, digits: int = 2) -> Prose:
    """The ends of an interval, as far as they are finite."""
    return interval(low, high, digits) if np.isfinite(high) else Prose(MISSING)


def _sure(i: Interval, digits: int = 2) -> Prose:
    """An estimate with its interval, for a sentence."""
    if not np.isfinite(i.high):
        return number(i.estimate, digits)
    return Prose(f"{number(i.estimate, digits)} (95% interval {_limits(i.low, i.high, digits)})")


# Each says where to read why.
NO_FORMULA = Prose("There is no churn for the formula (@sec-mooc-value-formula).")
NO_MODEL = Prose("There is no model of repeat purchases (@sec-mooc-value-model).")
NO_FORECAST = Prose("There is no prediction of value (@sec-mooc-value-forecast).")
NO_SEGMENTS = Prose("There are no segments (@sec-mooc-segments-names).")
NO_HOLDOUT = Prose("There is no check against later purchases (@sec-mooc-value-check).")


def _purchases(s: Study) -> Purchases | Prose:
    """The model of how often, if there is one; `how_often` says why there is none."""
    return NO_MODEL if s.value.purchases is None else s.value.purchases


def _forecast(s: Study) -> Forecast | Prose:
    """What is to come, if it can be told; `forecast` says why it can't."""
    return NO_FORECAST if s.value.forecast is None else s.value.forecast


def _holdout(s: Study) -> Holdout | Prose:
    """The check against the held-out days, if there is one; `held_out` says why there is none."""
    return NO_HOLDOUT if s.value.holdout is None else s.value.holdout


# So far


def history(s: Study) -> Prose:
    """What a user and a customer have brought."""
    h = s.value.history
    if not h.revenue > 0:
        return Prose(
            f"{count(h.customers, 'user has', 'users have')} ordered something, and nobody has paid "
            "anything: everything was free."
        )
    user = _sure(h.per_user) if h.per_user else _money(h.revenue / max(1, h.users))
    customer = _sure(h.per_customer) if h.per_customer else _money(h.revenue / h.customers)
    return Prose(
        f"{count(h.customers, 'customer')} {'has' if h.customers == 1 else 'have'} bought "
        f"{count(h.purchases, 'time')} for {number(h.revenue)} in all. "
        f"That is {user} a user, of {number(h.users)} who signed up, and {customer} a customer."
    )


def history_uneven(s: Study) -> Prose:
    """How unevenly it is spread, and how many came back."""
    h = s.value.history
    if not h.revenue > 0:
        return Prose("So there is nothing to spread.")
    if h.top_share is None or h.customers < LEAST_CUSTOMERS:
        again = round(h.again * h.customers)
        if not again:
            return Prose("Nobody has bought on a second day.")
        return Prose(
            f"{count(again, 'customer has', 'customers have')} bought on more than one day.")
    again = (
        "nobody has bought on a second day" if h.again == 0 else
        f"{percent(h.again, 0)} have bought on more than one day"
    )
    return Prose(
        f"Half of the customers have spent less than {_money(h.median)}, a tenth more than "
        f"{_money(h.upper)}; the tenth who spent most have brought "
        f"{percent(h.top_share.estimate, 0)} of all revenue (95% interval "
        f"{percents(h.top_share.low, h.top_share.high, 0)}), and {again}."
    )


# The simple formula


def formula_table(s: Study) -> Prose:
    """The ingredients of the formula for several definitions of who is lost."""
    frame = s.value.formula
    if frame.empty:
        return NO_FORMULA
    rows = [
        {
            "Lost after": Prose(count(days, "day")),
            "Churn a period": Prose(
                f"{percent(row.churn)} ({percents(row.churn_low, row.churn_high)})"),
            "Purchases a period": number(row.purchases, 2),
            "Value of one": _money(row.order_value),
            "Lifetime, days": number(row.lifetime),
            "Lifetime revenue": _money(row.value),
            f"At {percent(MARGIN, 0)} margin": _money(MARGIN * row.value),
        }
        for days, row in frame.iterrows()
    ]
    shown = pd.DataFrame(rows)
    return table(shown, dict.fromkeys(shown.columns, Prose))


def formula(s: Study) -> Prose:
    """The formula with its numbers, for the longest period."""
    frame = s.value.formula
    if frame.empty:
        return Prose(
            "The orders do not reach over two periods in which customers bought, so there is no churn "
            "to put into the formula."
        )
    days, row = int(frame.index[-1]), frame.iloc[-1]
    if not row.order_value > 0:
        return Prose("Nobody has paid of late, so the formula gives 0, whatever the churn.")
    text = (
        f"Call a customer lost who buys nothing for {count(days, 'day')}. Of the "
        f"{count(int(row.active), 'customer')} who bought in the {days} days before the last {days}, "
        f"{percent(row.churn)} bought nothing in these (95% interval "
        f"{percents(row.churn_low, row.churn_high)}): that is the churn. "
        f"Who did buy in the last {days} days bought {number(row.purchases, 2)} times, for "
        f"{_money(row.order_value)} each. "
    )
    if not np.isfinite(row.value):
        return Prose(text + "Nobody was lost, so the formula divides by 0: an endless lifetime.")
    return Prose(
        text + f"The formula makes {number(row.purchases, 2)} × {_money(row.order_value)} / "
        f"{number(row.churn, 3)} of it; with these factors unrounded that is {_money(row.value)}, of which {_money(MARGIN * row.value)} "
        f"would be left at a margin of {percent(MARGIN, 0)}."
    )


def formula_depends(s: Study) -> Prose:
    """How much hangs on the definition of who is lost."""
    frame = s.value.formula.dropna(subset=["value"])
    frame = frame[frame["value"] > 0]
    if len(frame) < 2:
        return NO_FORMULA if s.value.formula.empty else Prose(
            "No two definitions of who is lost give a value here, so none can be compared with another.")
    low, high = frame["value"].idxmin(), frame["value"].idxmax()
    times = frame["value"].max() / frame["value"].min()
    text = (
        f"The answer depends on a definition: {_money(frame['value'].min())} if customers count as "
        f"lost after {low} days, {_money(frame['value'].max())} after {high}"
    )
    if times < 1.1:
        return Prose(text + ", which here is nearly the same.")
    return Prose(
        text + f", {significant(times, 2)} times as much, from the same orders. Nobody gives notice "
        "here, so silence has to stand for leaving, and how much silence is a matter of taste."
    )


def formula_against_model(s: Study) -> Prose:
    """The formula and the model on the same customers, over the same days."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = s.value.formula.dropna(subset=["value"])
    if frame.empty or frame.index[-1] not in f.by_period.index:
        return Prose("The formula gives no value that the model below could be held against.")
    days = int(frame.index[-1])
    promised, model = frame["year_value"].iloc[-1], f.by_period.loc[days]
    text = (
        f"For the {count(int(model.customers), 'customer')} who bought within the last {days} days "
        f"it promises {_money(promised)} each in the next {HORIZON} days alone; the model below, on "
        f"the same customers and days, expects {_money(model.value)} (95% interval "
        f"{_limits(model.low, model.high)})"
    )
    if model.low <= promised <= model.high:
        return Prose(text + ". Here the two agree, which they need not.")
    way = "more" if promised > model.value else "less"
    return Prose(
        text + f". The formula promises {percent(abs(promised / model.value - 1), 0)} {way}."
    )


# How often, and how much


def parameters_table(s: Study) -> Prose:
    """The parameters of both models."""
    if isinstance(found := _purchases(s), Prose):
        return found
    frame = s.value.parameters.reset_index()
    figure = partial(significant, figures=3)
    shown = pd.DataFrame({
        "Parameter": frame["parameter"].map(lambda name: SYMBOLS.get(name, name)),
        "What it says": frame["parameter"].map(MEANING),
        "Estimate": frame["estimate"],
        "Standard error": frame["standard_error"],
        "95% interval": [
            low_to_high(figure(low), figure(high)) if np.isfinite(high) else Prose(MISSING)
            for low, high in zip(frame["low"], frame["high"], strict=True)
        ],
    })
    return table(shown, {"Estimate": figure, "Standard error": figure, "95% interval": Prose})


def how_often(s: Study) -> Prose:
    """What the parameters mean for an average customer."""
    p = s.value.purchases
    if p is None:
        return Prose(f"No model of repeat purchases can be fitted: {s.value.no_purchases}.")
    m = p.fitted
    return Prose(
        f"A customer who is still there buys every {significant(m.alpha / m.r, 2)} weeks on average, and "
        f"after a repeat purchase leaves for good with a probability of "
        f"{percent(m.a / (m.a + m.b), 0)}. Averages hide much: "
        + (f"with r = {number(m.r, 2)} most customers buy more seldom than that and a few far more "
           "often. " if m.r < 1.5 else
           f"r = {number(m.r, 2)} is the shape of the distribution of rates between customers. ")
        + f"A new customer is expected to buy {_sure(p.new)} more times within {HORIZON} days of "
        "the first purchase."
    )


def how_much(s: Study) -> Prose:
    """What an average purchase brings, and how far a customer's own amounts count."""
    m = s.value.spending
    if m is None:
        return Prose(f"No model of amounts can be fitted: {s.value.no_spending}.")
    weights = [m.p * x / (m.p * x + m.q - 1) for x in (1, 5)]
    t = s.value.transactions["all"]
    counted = "purchase" if t.with_first else "repeat purchase"
    text = (
        f"A {counted} brings {_money(m.mean)} on average. After one of them the expectation "
        f"for a customer rests to {percent(weights[0], 0)} on the own amount and for the rest on "
        f"everybody’s mean, after five to {percent(weights[1], 0)}."
    )
    if t.free:
        text += (
            f" {count(t.free, 'customer')} whose {counted}s were all free "
            f"{'is' if t.free == 1 else 'are'} not part of the fit, so the mean is one of those who "
            "pay."
        )
    return Prose(text)


def first(s: Study) -> Prose:
    """Whether first purchases are like later ones, and what that means for the model."""
    r = s.value.first_like
    if r is None:
        return Prose(
            "Whether first purchases are like later ones can't be told: too few have paid for both.")
    said = (
        f"Of customers who bought again, the first purchase brought {number(r.estimate, 2)} times as "
        f"much as the later ones (95% interval {interval(r.low, r.high, 2)})"
    )
    if s.value.transactions["all"].with_first:
        return Prose(
            f"{said}. So the first counts like any other, and the amounts of those who have bought "
            "only once tell something of what they will spend."
        )
    return Prose(
        f"{said}. First purchases are another matter than later ones, so only the later ones tell what "
        "is to come, and of those who have bought once no amount is known that counts."
    )


def independent(s: Study) -> Prose:
    """Whether those who buy often spend more at a time."""
    r = s.value.independence
    if r is None:
        return Prose(
            "Whether those who buy often also spend more can't be told: too few have paid, or all "
            "alike."
        )
    said = (
        f"The correlation of the number of a customer’s purchases with their mean value is "
        f"{number(r.estimate, 2)} (95% interval {interval(r.low, r.high, 2)})"
    )
    if max(-r.low, r.high) < SMALL_CORRELATION:
        return Prose(f"{said}: small enough for the model, which takes the two for independent.")
    if r.low > 0 or r.high < 0:
        way = "more" if r.low > 0 else "less"
        error = "too low" if r.low > 0 else "too high"
        return Prose(
            f"{said}. Customers who buy often spend {way} at a time, against what the model assumes; "
            f"its values for them are rather {error}."
        )
    return Prose(
        f"{said}: that the two are independent, as the model takes them to be, is neither shown nor "
        "refuted."
    )


def repeats_table(s: Study) -> Prose:
    """Customers by number of repeat purchases, actual and expected."""
    if isinstance(p := _purchases(s), Prose):
        return p
    if p.repeats is None:
        return Prose("There are too few customers to count them by number of repeat purchases.")
    cells = p.repeats.cells
    last = len(cells) - 1
    shown = pd.DataFrame({
        "Repeat purchases": [
            name if i < last else f"{name} or more" for i, name in enumerate(cells["category"])],
        "Customers": cells["observed"],
        "Expected": cells["expected"],
        "Difference": [
            Prose(change(row.observed / row.expected, 1)) for row in cells.itertuples()],
    })
    return table(shown, {"Customers": number, "Expected": number, "Difference": Prose})


def fit(s: Study) -> Prose:
    """Whether the numbers of repeat purchases look like the model's."""
    if isinstance(p := _purchases(s), Prose):
        return p
    g = p.repeats
    if g is None:
        return Prose("There are too few customers to hold the model's numbers against theirs.")
    low = p.p_low if p.p_low is not None else 0.0
    between = (
        f"lies between {number(p.p_low, 3)} and" if p.p_low is not None else "is no larger than")
    said = (
        f"χ² = {number(g.statistic, 1)} over {count(len(g.cells), 'class', 'classes')}; since the "
        f"parameters come from the same customers, p {between} {number(g.p_value, 3)}; Cohen’s w = {number(g.effect.value, 3)}, "
        f"95% interval {interval(g.effect.low, g.effect.high, 3)}"
    )
    how = (
        "A chi-squared test compares the two columns, and Cohen's w says how far they are apart: 0 where "
        "they agree in all classes, and 0.1 is called small."
    )
    if g.p_value < ALPHA:
        return Prose(f"{how} The counts differ from the model’s by more than chance would make them "
                     f"({said}); the table shows where, and by how much.")
    if low < ALPHA:
        return Prose(f"{how} Whether the counts differ from the model’s by more than chance is open "
                     f"({said}).")
    return Prose(
        f"{how} The counts are as near to the model’s as chance would bring them ({said}). That does not "
        "prove the model; it says that this many customers do not refute it."
    )


def matrix_figure(s: Study) -> p9.ggplot | Prose:
    """Expected purchases by number of repeat purchases and silence."""
    if isinstance(p := _purchases(s), Prose):
        return p
    frame = p.matrix.reset_index()
    if frame.empty:
        return Prose("Customers have been observed for too short a time to tell them by silence.")
    names = [f"{silence}" for silence in sorted(frame["silence"].unique())]
    frame = frame.assign(
        silence=pd.Categorical(frame["silence"].astype(str), names[::-1]),
        frequency=pd.Categorical(
            frame["frequency"].astype(str), list(map(str, sorted(frame["frequency"].unique())))),
        label=[f"{value:.1f}" for value in frame["purchases"]],
        ink=np.where(frame["purchases"] > 0.6 * frame["purchases"].max(), "light", "dark"),
    )
    return (
        figures.Plot(frame, p9.aes("frequency", "silence", fill="purchases"))
        + p9.geom_tile(color="white", size=0.4)
        + p9.geom_text(p9.aes(label="label", color="ink"), size=8)
        + p9.scale_fill_gradient(low="#eef3f7", high=figures.BLUE)
        + p9.scale_color_manual({"light": "white", "dark": figures.INK})
        + p9.labs(x="Repeat purchases so far", y="Weeks since the last purchase")
        + figures.theme(height=1.1 + 0.26 * len(names), legend="none")
        + p9.theme(panel_grid_major=p9.element_blank())
    )


def matrix(s: Study) -> Prose:
    """That the same silence means different things."""
    if isinstance(p := _purchases(s), Prose):
        return p
    if p.matrix.empty:
        return Prose("What silence means can't be told yet.")
    shown = (
        "The purchases in @fig-mooc-value-matrix rest on how probable it is that a customer is still "
        "there, which the model says as well."
    )
    frame = p.matrix["alive"].unstack("frequency")
    if frame.shape[1] < 2:
        return Prose(f"{shown} All who bought again did so equally often, so there is one kind of silence.")
    seldom = int(frame.columns[0])
    often = int(max(x for x in frame.columns if x <= 8))
    turned = frame[frame[often] < frame[seldom]].dropna()
    times = count(seldom, "repeat purchase")
    if turned.empty:
        row, weeks = frame.iloc[-1], int(frame.index[-1])
        return Prose(
            f"{shown} After {count(weeks, 'week')} of silence, a customer with {times} is still there with "
            f"a probability of {percent(row[seldom], 0)}, one with {often} with {percent(row[often], 0)}."
        )
    longer = turned[turned[often] < 0.5 * turned[seldom]]
    row = (longer if len(longer) else turned).iloc[0]
    return Prose(
        f"{shown} Silence has no fixed meaning. After {count(int(row.name), 'week')} of it, a customer with "
        f"{times} is still there with a probability of {percent(row[seldom], 0)}; one with {often}, "
        f"who used to buy often, only with {percent(row[often], 0)}. "
        "For the first it is an ordinary pause, for the second a break with the habit."
    )


# The check against later purchases


def held_out(s: Study) -> Prose:
    """How predictions are checked, or why they can't be."""
    if s.value.holdout is None:
        return Prose(
            f"Predictions can't be checked against later purchases: {s.value.no_holdout}.")
    return Prose(
        "The last third of the days is held out, both models are fitted to the days before, and their "
        "predictions are compared with what came: over time in @fig-mooc-value-tracking, and by "
        "customers' earlier purchases in @fig-mooc-value-holdout.")


def tracking_figure(s: Study) -> p9.ggplot | Prose:
    """Cumulative repeat purchases, actual and expected, with the start of the holdout."""
    if isinstance(h := _holdout(s), Prose):
        return h
    frame = h.tracking.reset_index()
    step = max(1, len(frame) // 90)
    frame = pd.concat([frame.iloc[:-1:step], frame.iloc[-1:]])
    frame["day"] = pd.to_datetime(frame["day"])
    names = {"actual": "Actual", "expected": "Expected"}
    long = frame.melt("day", var_name="what", value_name="purchases")
    long["what"] = pd.Categorical(long["what"].map(names), list(names.values()))
    months = max(1, round((frame["day"].max() - frame["day"].min()).days / 30 / 6))
    dates = (p9.scale_x_datetime(date_breaks=f"{months} months", date_labels="%b %Y")
             if (frame["day"].max() - frame["day"].min()).days > 60
             else p9.scale_x_datetime(date_labels="%-d %b"))
    return (
        figures.Plot(long, p9.aes("day", "purchases", color="what", linetype="what"))
        + p9.geom_vline(xintercept=pd.Timestamp(h.split), linetype="dotted", color=figures.INK)
        + p9.geom_line(size=0.8)
        + figures.colours(names.values())
        + p9.scale_linetype_manual({"Actual": "solid", "Expected": "dashed"})
        + dates
        + p9.scale_y_continuous(labels=figures.thousands)
        + p9.labs(x="", y="Repeat purchases since the start")
        + figures.theme(height=3.0)
    )


def tracking(s: Study) -> Prose:
    """How far the two curves are apart at the end."""
    if isinstance(h := _holdout(s), Prose):
        return h
    last = h.tracking.iloc[-1]
    if not last.expected > 0:
        return Prose("No repeat purchase was expected, so there is nothing to track.")
    off = last.actual / last.expected
    near = "within 5% of" if abs(off - 1) <= 0.05 else "above" if off > 1 else "below"
    return Prose(
        f"On {day(h.end)} there have been {number(last.actual)} repeat purchases in all, {near} the "
        f"{number(last.expected)} that the model expected ({change(off, 1)}), which was fitted to "
        f"nothing after {day(h.split)}."
    )


def holdout_figure(s: Study) -> p9.ggplot | Prose:
    """Purchases in the holdout by purchases before it, actual and predicted."""
    if isinstance(h := _holdout(s), Prose):
        return h
    frame = h.by_frequency.reset_index()
    names = [str(x) for x in frame["frequency"]]
    names[-1] += "+" if len(names) > 1 else ""
    frame["group"] = pd.Categorical(names, names)
    parts = {"actual": "Actual", "predicted": "Predicted", "naive": "At the pace so far"}
    long = frame.melt(["group", "low", "high"], list(parts), "what", value_name="purchases")
    long["what"] = pd.Categorical(long["what"].map(parts), list(parts.values()))
    return (
        figures.Plot(long, p9.aes("group", "purchases", color="what", shape="what"))
        + p9.geom_linerange(
            p9.aes("group", ymin="low", ymax="high"), frame, inherit_aes=False,
            color=figures.SKY, size=1.4)
        + p9.geom_line(p9.aes(group="what", linetype="what"), size=0.6)
        + p9.geom_point(size=2.4)
        + figures.colours(parts.values())
        + p9.scale_shape_manual(dict(zip(parts.values(), ("o", "^", "s"), strict=True)))
        + p9.scale_linetype_manual(
            dict(zip(parts.values(), ("solid", "dashed", "dotted"), strict=True)))
        + p9.expand_limits(y=0)
        + p9.labs(x="Repeat purchases before the held-out days",
                  y=f"Purchases in the next {h.days} days")
        + figures.theme(height=3.3)
    )


def holdout(s: Study) -> Prose:
    """The totals of the holdout: purchases and revenue, predicted and actual."""
    if isinstance(h := _holdout(s), Prose):
        return h
    customers = int(h.by_frequency["customers"].sum())
    text = (
        f"Fitted to the purchases up to {day(h.split)} alone, the model predicts "
        f"{number(h.predicted)} further purchases of the {count(customers, 'customer')} of that day "
        f"by {day(h.end)}, {count(h.days, 'day')} later; they made {number(h.actual)}."
    )
    if h.ratio is None:
        return Prose(f"{text} Nobody came back, so a ratio of the two says nothing.")
    text += f" That is {change(h.ratio.estimate, 1)}"
    text += f" (95% interval {low_to_high(change(h.ratio.low, 1), change(h.ratio.high, 1))}), "
    if h.ratio.contains(1):
        text += "no more than the uncertainty of both allows."
    else:
        text += f"too {'few' if h.ratio.estimate > 1 else 'many'} predicted, and not by chance."
    if h.value_ratio is not None:
        text += (
            f" In money, it is {number(h.actual_value)} against a predicted "
            f"{number(h.predicted_value)} ({change(h.value_ratio.estimate, 1)}, 95% interval "
            f"{low_to_high(change(h.value_ratio.low, 1), change(h.value_ratio.high, 1))})."
        )
    return Prose(text)


def holdout_groups(s: Study) -> Prose:
    """Whether the model is right for each group, and how wrong the pace so far would be."""
    if isinstance(h := _holdout(s), Prose):
        return h
    groups = h.by_frequency
    off = int((groups["p_adjusted"] < ALPHA).sum())
    widest = groups["z"].abs().max()
    if off:
        text = (
            f"In {off} of {count(len(groups), 'group')} by earlier purchases, actual and predicted "
            "differ by more than chance (at 5%, corrected for the number of groups)."
        )
    else:
        where = "In the one group" if len(groups) == 1 else f"In none of the {len(groups)} groups"
        text = (
            f"{where} by earlier purchases actual and predicted differ "
            + ("no more than chance would make them" if len(groups) == 1 else
               "by more than chance (at 5%, corrected for the number of groups)")
            + f"; the largest gap is {number(widest, 1)} standard errors."
        )
    if min(h.naive, h.predicted, h.actual) > 0:
        naive, model = h.actual / h.naive, h.actual / h.predicted
        text += (
            f" Had everybody been taken to go on at the pace so far, the prediction would have been "
            f"{number(h.naive)}; against that, what came is {change(naive, 1)} instead of "
            f"{change(model, 1)}"
        )
        text += (
            ": the pace takes no account of those who have left, and gives nothing to those who have "
            "bought once." if abs(naive - 1) > abs(model - 1) else
            ", so here the simple rule does no worse."
        )
    return Prose(text)


# What is to come


def forecast(s: Study) -> Prose:
    """How many are left, and what they will bring."""
    f = s.value.forecast
    if s.value.purchases is None:
        return Prose(
            "What customers will bring can't be told: no model of repeat purchases can be fitted, "
            f"since {s.value.no_purchases}."
        )
    if f is None:
        return Prose(
            "How often customers will buy can be told, not for how much: no model of amounts can be "
            f"fitted, since {s.value.no_spending}."
        )
    customers, again = s.value.history.customers, s.value.transactions["all"].repeat_customers
    once = customers - again
    return Prose(
        f"Together the {count(customers, 'customer')} are expected to buy {number(f.purchases)} "
        f"times in the next {HORIZON} days, for {_sure(f.total, 0)}: {_sure(f.value)} a customer. "
        f"Of the {number(again)} who have bought again, an expected {percent((f.alive - once) / again, 0)} "
        "have not left for good."
        + (f" {'The one' if once == 1 else f'The {number(once)}'} with a single purchase "
           f"{'counts' if once == 1 else 'all count'} as still there: the model lets customers leave only "
           "after a repeat purchase, and those who will never come back are to it customers who buy very "
           "seldom." if once else "")
    )


def _expected_table(head: str, names: Iterable[object], frame: pd.DataFrame, *parts: str) -> Prose:
    """Groups of customers and what is expected of them.

    Args:
        head: What the groups are.
        names: The groups' names, a row each.
        frame: The groups, as `Forecast` holds them.
        parts: Which of `purchases` and `share` of the total to show as well.
    """
    extra = {"purchases": "Purchases", "share": "Share"}
    shown = pd.DataFrame({
        head: list(names),
        "Customers": frame["customers"].to_numpy(),
        "Spent so far": frame["spent"].to_numpy(),
        "Still there": frame["alive"].to_numpy(),
        "Purchases": frame["purchases"].to_numpy() if "purchases" in parts else np.nan,
        "Value": frame["value"].to_numpy(),
        "95% interval": [_limits(*ends) for ends in zip(frame["low"], frame["high"], strict=True)],
        "Share": frame["share"].to_numpy() if "share" in parts else np.nan,
    }).drop(columns=[column for part, column in extra.items() if part not in parts])
    formats = {
        "Tenth": number, "Customers": number, "Spent so far": _money, "Still there": _percent0,
        "Purchases": partial(number, digits=2), "Value": _money, "95% interval": Prose,
        "Share": percent,
    }
    return table(shown, {name: show for name, show in formats.items() if name in shown.columns})


def tenths_table(s: Study) -> Prose:
    """Customers by expected value."""
    if isinstance(f := _forecast(s), Prose):
        return f
    return _expected_table("Tenth", f.tenths.index, f.tenths, "purchases", "share")


def tenths_figure(s: Study) -> p9.ggplot | Prose:
    """Expected value by tenth, with intervals, beside what they have spent."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = f.tenths.reset_index()
    frame["group"] = pd.Categorical(frame["tenth"].astype(str), frame["tenth"].astype(str))
    frame["high"] = frame["high"].where(np.isfinite(frame["high"]), frame["value"])
    parts = {"value": f"Expected in the next {HORIZON} days", "spent": "Spent so far"}
    long = frame.melt("group", list(parts), "what", value_name="money")
    long["what"] = pd.Categorical(long["what"].map(parts), list(parts.values()))
    return (
        figures.Plot(long, p9.aes("group", "money", color="what", shape="what"))
        + p9.geom_linerange(
            p9.aes("group", ymin="low", ymax="high"), frame, inherit_aes=False,
            color=figures.SKY, size=1.6)
        + p9.geom_line(p9.aes(group="what", linetype="what"), size=0.5)
        + p9.geom_point(size=2.4)
        + figures.colours(parts.values())
        + p9.scale_shape_manual(dict(zip(parts.values(), ("o", "^"), strict=True)))
        + p9.scale_linetype_manual(dict(zip(parts.values(), ("solid", "dotted"), strict=True)))
        + p9.expand_limits(y=0)
        + p9.labs(x="Tenth of the customers by expected value, highest first", y="A customer")
        + figures.theme(height=3.2)
    )


def concentration(s: Study) -> Prose:
    """How much of the value to come the top holds, and how well spending so far tells it."""
    if isinstance(f := _forecast(s), Prose):
        return f
    if len(f.tenths) < 2:
        return Prose("The same is expected of all customers, so there is no top to speak of.")
    top = f.tenths.iloc[0]
    part = top.customers / f.tenths["customers"].sum()
    text = (
        f"The {percent(part, 0)} of customers with the highest expectations are expected to bring "
        f"{percent(f.top_share.estimate, 0)} of the value to come (95% interval "
        f"{percents(f.top_share.low, f.top_share.high, 0)})."
    )
    last = f.tenths.iloc[-1]
    passed = f.tenths.iloc[:-1][f.tenths["spent"].iloc[:-1] < last.spent]
    if len(passed):
        text += (
            f" What somebody has spent is a poor guide to that: the group at the bottom has spent "
            f"more so far ({_money(last.spent)} each) than {number(len(passed))} of the "
            f"{count(len(f.tenths) - 1, 'group')} above it, but only {percent(last.alive, 0)} of it "
            "are still there."
        )
    return Prose(text)


def against_segments(s: Study) -> Prose:
    """What the table by segment compares."""
    if isinstance(f := _forecast(s), Prose):
        return f
    if f.by_segment is None:
        return NO_SEGMENTS
    return Prose(
        "The segments of @sec-mooc-segments-names rest on what customers did, the model on how purchases "
        "come about. @tbl-mooc-value-segments holds one against the other, for the same customers.")


def segments_table(s: Study) -> Prose:
    """Customers by segment."""
    if isinstance(f := _forecast(s), Prose):
        return f
    if f.by_segment is None:
        return NO_SEGMENTS
    return _expected_table("Segment", f.by_segment.index, f.by_segment, "purchases", "share")


def segments(s: Study) -> Prose:
    """Which segments the value to come lies in, and whether their order is that of value."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = f.by_segment
    if frame is None:
        return NO_SEGMENTS
    if len(frame) < 2:
        return Prose("All customers are in one segment, so there is nothing to compare.")
    most = frame["share"].idxmax()
    row = frame.loc[most]
    whole = frame["customers"].sum()
    text = (
        f"The largest part of the value to come lies with the segment {most}: {percent(row.share, 0)}, "
        f"from {percent(row.customers / whole, 0)} of the customers, {_sure(_expected(row))} each."
    )
    pairs = f.segment_pairs
    shown = pairs[pairs["p_adjusted"] < ALPHA]
    ordered, turned = shown[shown["difference"] < 0], shown[shown["difference"] > 0]
    text += (
        f" Of {count(len(pairs), 'pair')} of segments, the one above is shown to be worth more in "
        f"{number(len(ordered)) if len(ordered) else 'none'} and the one below in "
        f"{number(len(turned)) if len(turned) else 'none'} (p-values corrected for their number)"
    )
    if len(turned):
        return Prose(f"{text}, so the order of the names is not the order of value: {_turned(turned)}.")
    if len(pairs) == len(ordered):
        return Prose(f"{text}: the order of the names is the order of the value to come.")
    if not pairs["difference"].max() > 0:
        return Prose(f"{text}; for the others the order is not shown.")
    return Prose(f"{text}; for the others the order is not shown. Nearest to the opposite is this: "
                 f"{_turned(pairs)}.")


def _expected(row: pd.Series) -> Interval:
    """The expected value of a group of customers."""
    return Interval(row.value, row.low, row.high, CONFIDENCE, "delta method")


def _turned(pairs: pd.DataFrame) -> Prose:
    """Of some pairs the one that speaks most against the order of the names."""
    row = pairs[pairs["difference"] > 0].sort_values("p_value", kind="stable").iloc[0]
    above, below = row.name
    return Prose(
        f"{below} stands below {above}, and a customer there is expected to bring "
        f"{_money(row.difference)} more (95% interval {_limits(row.low, row.high)}, corrected "
        f"{p_value(row.p_adjusted)})"
    )


def channels_table(s: Study) -> Prose:
    """Customers by the channel that they came through."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = f.by_channel.sort_values("customers", ascending=False, kind="stable")
    frame = frame.head(MOST_CHANNELS).sort_values("value", ascending=False, kind="stable")
    return _expected_table(
        "Referral channel", frame.index.map(labels.group), frame, "purchases")


def channels(s: Study) -> Prose:
    """Whether a channel's customers are worth more."""
    if isinstance(f := _forecast(s), Prose):
        return f
    if f.channel_test is None:
        return Prose("There are no two known referral channels to compare.")
    return paragraph(
        _channels_told(f),
        "All channels share the parameters of one model, which draws them together; a channel whose "
        "customers behave differently from the first day on shows it with delay.")


def _channels_told(f: Forecast) -> str:
    """Which channels' customers are shown to be worth more, or what their difference could be."""
    test = f.channel_test
    known = f.against_rest.dropna(subset=["p_adjusted"])
    said = (
        f"Welch’s F = {number(test.statistic, 2)}, {p_value(test.p_value)}, of the variance between "
        f"customers {percent(test.effect.value, 1)} lies between channels, 95% interval "
        f"{percents(test.effect.low, test.effect.high)}"
    )
    apart = known[known["p_adjusted"] < ALPHA]
    if test.p_value < ALPHA and len(apart):
        told = listing(
            f"{escape(labels.group(name))} ({'+' if row.difference > 0 else ''}"
            f"{_money(row.difference)}, 95% interval {_limits(row.low, row.high)})"
            for name, row in apart.head(MOST_CHANNELS).iterrows()
        )
        return Prose(
            f"The channels’ customers differ in expected value ({said}). Against all others together "
            f"(corrected for their number), {told} {'stands' if len(apart) == 1 else 'stand'} out."
        )
    if test.p_value < ALPHA:
        return Prose(
            f"The channels’ customers differ in expected value ({said}), but no single channel "
            "stands out from the others once their number is allowed for."
        )
    text = f"That a channel’s customers are worth more than another’s is not shown ({said})."
    if len(known):
        most = float(known[["wide_low", "wide_high"]].abs().max().max())
        text += (
            f" Nor is it ruled out: a channel could lie up to {_money(most)} a customer above or "
            f"below the others ({percent(most / f.value.estimate, 0)} of the mean), as far as "
            "these customers tell."
        )
    return Prose(text)


def starts_table(s: Study) -> Prose:
    """Customers by the quarter of their first purchase."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = f.by_start.tail(MOST_STARTS)
    quarters = (f"{name[:4]}, quarter {name[-1]}" for name in frame.index)
    return _expected_table("First purchase", quarters, frame)


def starts(s: Study) -> Prose:
    """That history rewards age and the future need not."""
    if isinstance(f := _forecast(s), Prose):
        return f
    frame = f.by_start.tail(MOST_STARTS)
    if len(frame) < 2:
        return Prose("All customers came within one quarter, so there are no older and newer ones.")
    old, new = frame.iloc[0], frame.iloc[-1]
    text = (
        f"The oldest of these customers have spent {_money(old.spent)} each, the newest "
        f"{_money(new.spent)}"
    )
    if old.spent > new.spent and old.high < new.low:
        return Prose(
            f"{text}; of the next {HORIZON} days the opposite is expected, {_money(old.value)} and "
            f"{_money(new.value)}: the old have had more time to spend, and more to leave. "
            "Ranking customers by what they have spent ranks them by age as well."
        )
    return Prose(
        f"{text}; in the next {HORIZON} days {_money(old.value)} and {_money(new.value)} are "
        "expected of them."
    )


# What it means


def margins(s: Study) -> Prose:
    """That the margin is an assumption."""
    shown = s.value.forecast is not None or s.value.formula["value"].notna().any()
    return Prose(
        "The tables hold no cost, so the margin is an assumption"
        + (", and @tbl-mooc-value-ceilings shows what hangs on it." if shown else "."))


def ceilings_table(s: Study) -> Prose:
    """What customers are worth at several margins, new ones and those so far."""
    rows = []
    if s.value.forecast is not None:
        f, h = s.value.forecast, s.value.history
        bought = h.customers / max(h.users, h.customers)
        rows += [
            ("A new customer", f.new.estimate),
            ("A new sign-up", f.new.estimate * bought),
            ("A customer so far: mean of all", f.value.estimate),
        ]
        if len(f.tenths) > 1:
            rows += [
                ("One of the highest tenth", f.tenths["value"].iloc[0]),
                ("One of the lowest tenth", f.tenths["value"].iloc[-1]),
            ]
    told = s.value.formula.dropna(subset=["value"])
    rows += [(f"Simple formula, lost after {days} days", row.value) for days, row in told.iterrows()]
    if not rows:
        return Prose("There is no value to set a ceiling by.")
    shown = pd.DataFrame([
        {"What is valued": name} | {f"Margin {percent(m, 0)}": m * worth for m in MARGINS}
        for name, worth in rows
    ])
    return table(shown, {name: _money for name in shown.columns[1:]})


def ceilings(s: Study) -> Prose:
    """How much may be spent on winning and keeping, at the margin that is assumed."""
    if isinstance(f := _forecast(s), Prose):
        return f
    text = (
        f"A new customer brings {_sure(f.new)} in the first {HORIZON} days, the first purchase "
        f"included. At a margin of {percent(MARGIN, 0)}, winning one may cost "
        f"{_money(MARGIN * f.new.estimate)} if it is to pay within a year. A customer so far is worth "
        f"{_money(MARGIN * f.value.estimate)} on average, counting the chance of having left"
    )
    if len(f.tenths) > 1:
        top, last = f.tenths["value"].iloc[0], f.tenths["value"].iloc[-1]
        text += (
            f", from {_money(MARGIN * last)} in the lowest tenth to {_money(MARGIN * top)} in the "
            "highest"
        )
    gone = s.value.history.customers - f.alive
    return paragraph(
        f"{text}. That is what would be lost if all who are still there left today, so an effort that "
        "keeps one in ten of them from leaving brings a tenth of it for each customer that it reaches.",
        "One who is known to be still there is worth more than the mean of customers with the same "
        "history, which counts those who have left with nothing; and what bringing one of these back "
        "would be worth, the model does not say." if gone >= 1 else "",
    )


def discount(s: Study) -> Prose:
    """What a discount would change."""
    return Prose(
        f"Nothing is discounted: over {HORIZON} days, a rate of {percent(RATE, 0)} a year would "
        f"take off less than {percent(1 - 1 / (1 + RATE), 0)}."
    )


def limits(s: Study) -> Prose:
    """How far beyond what was seen the prediction reaches."""
    t = s.value.transactions["all"]
    ages = t.histories.index.get_level_values("age") if len(t.histories) else [0]
    seen = int(max(ages)) + 1
    text = f"The customer known longest has been observed for {count(seen, 'day')}"
    if s.value.forecast is None:
        return Prose(
            f"{text}. " + (
                f"A prediction of the {HORIZON} days ahead would rest on the shape of a model more than "
                "on what was seen." if seen < HORIZON else
                f"Predicting {HORIZON} would take for granted that customers go on as they did."))
    if seen < HORIZON:
        return Prose(
            f"{text}, less than the {HORIZON} days ahead: the prediction rests on the shape of the "
            "model more than on what was seen."
        )
    return Prose(f"{text}; predicting {HORIZON} takes for granted that customers go on as they did.")


def answer(s: Study) -> Prose:
    """The result in a sentence or two."""
    h, f = s.value.history, s.value.forecast
    if not h.revenue > 0:
        return Prose("Nobody has paid anything yet.")
    so_far = f"**A customer has brought {_money(h.revenue / h.customers)}** so far"
    if f is None:
        return Prose(f"{so_far}; what is to come can't be told.")
    text = f"{so_far} and is expected to bring {_sure(f.value)} more in the next {HORIZON} days"
    if len(f.tenths) > 1:
        part = f.tenths["customers"].iloc[0] / f.tenths["customers"].sum()
        text += (
            f"; {percent(f.top_share.estimate, 0)} of that comes from the "
            f"{percent(part, 0)} of whom most is expected"
        )
    return Prose(f"{text}.")


def recommendation(s: Study) -> Prose:
    """What to do about it."""
    f, told = s.value.forecast, s.value.formula.dropna(subset=["value"])
    if f is None:
        return Prose("")
    text = paragraph(
        "**Let the value to come set the limit of what a customer may cost.** At a margin of "
        f"{percent(MARGIN, 0)}, to be replaced by the true one, that is "
        f"{_money(MARGIN * f.new.estimate)} to win one",
    )
    if len(f.tenths) > 1:
        top, last = f.tenths["value"].iloc[0], f.tenths["value"].iloc[-1]
        text += (
            f"; a customer so far is worth between {_money(MARGIN * last)} and {_money(MARGIN * top)}, "
            "so weigh efforts to keep one by what is expected of the customer rather than by what the "
            "customer has spent"
        )
    text += " (@sec-mooc-value-ceiling)."
    if len(told) and told.index[-1] in f.by_period.index:
        promised, model = told["year_value"].iloc[-1], f.by_period.loc[told.index[-1]]
        if promised > model.high:
            text += (
                " For recent customers the simple formula would allow "
                f"{percent(promised / model.value - 1, 0)} more, money that they are not expected to "
                "bring back."
            )
    return Prose(text)
