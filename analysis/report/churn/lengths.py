"""Churn by length of subscription: early or late, at a cliff or along a slope, and how to read it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.lengths import (
    ALPHA,
    COMPARISONS,
    EARLY,
    MOST_MONTHS,
    TWO_YEARS,
    YEAR,
    Span,
)
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
    percents,
)
from analysis.stats.decision import Finding

REACHED = 0.1  # share of the subscribers who have got to a month, for the figure of hazards
MOST_STEPS = 120  # of the survival curve in the figure
CLEAR = 2  # difference of Akaike's criterion below which two models are about as good
SELDOM = -3  # log10 of a probability below which a cause is asked for
UNLIKELY = -9  # log10 of a probability below which it is told by the digits of its inverse
NOBODY = Prose("Nobody has churned, so there is no churn to look for in lengths of subscription.")
EVERYBODY = Prose("Everybody in the table has churned, so churn is the same at every length of subscription.")


def _nothing(s: Study) -> Prose | None:
    """What to say where all subscribers have the same status or the same length."""
    found = s.lengths
    if found.churned == 0:
        return NOBODY
    if found.churned == found.subscribers:
        return EVERYBODY
    if found.curve.time.size == 1:
        return Prose(
            f"All subscriptions are {count(int(found.curve.time[0]), 'month')} long, so there are no lengths to compare."
        )
    return None


def _span(span: Span) -> str:
    """A span of months: "up to 3 months", "4 to 12 months", "more than 24 months"."""
    above, up_to = span
    if above is None:
        return f"up to {count(up_to, 'month')}"
    return f"more than {count(above, 'month')}" if up_to is None else f"{above + 1} to {up_to} months"


def _of_row(row) -> str:
    """The span of a row of windows."""
    return _span((
        row.from_month - 1 if row.from_month else None,
        None if math.isnan(row.to_month) else int(row.to_month),
    ))


def _last_churn(s: Study) -> int:
    """The last month in which anybody churned."""
    curve = s.lengths.curve
    return int(curve.time[curve.events > 0][-1])


def _breaks(limits: tuple[float, float]) -> list[int]:
    """Places on an axis of months: whole years, few of them."""
    years = max(1, math.ceil(limits[1] / 12 / 8))
    return list(range(0, int(limits[1]) + 1, 12 * years)) if limits[1] > 12 else list(range(int(limits[1]) + 1))


def have_churned(churned: int, n: int, of: str) -> str:
    """How many of some subscribers have churned: "28.7% of the 174 subscribers of up to 3 months have churned".

    Args:
        churned, n: Of `n` subscribers, at least 1, `churned` have.
        of: Who they are, to follow "subscribers": "of up to 3 months".
    """
    if n == 1:
        return f"the one subscriber {of} has {'' if churned else 'not '}churned"
    if churned == 0:
        return f"none of the {number(n)} subscribers {of} has churned"
    if churned == n:
        return f"all {number(n)} subscribers {of} have churned"
    return f"{percent(churned / n)} of the {number(n)} subscribers {of} have churned"


def _points(value: float) -> Prose:
    return Prose(f"{number(100 * value, 1)} points")


def _sure(low: float, high: float, p: float) -> str:
    return f"95% interval {interval(100 * low, 100 * high, 1)}; corrected {p_value(p)}"


def _compared(row: pd.Series, spans: tuple[Span, Span]) -> str:
    """Both shares and their difference."""
    a, b = (
        have_churned(int(row[f"churned_{part}"]), int(row[f"subscribers_{part}"]), f"of {_span(span)}")
        for part, span in zip("ab", spans, strict=True)
    )
    return capital(
        f"{a}, and {b}: a difference of {_points(row['difference'])} "
        f"({_sure(row['low'], row['high'], row['p_adjusted'])})."
    )


def _comparison(s: Study, name: str) -> pd.Series | None:
    rows = s.lengths.comparisons
    return rows.loc[name] if name in rows.index else None


def _finding(row: pd.Series | None) -> Finding | None:
    return None if row is None else Finding(row["finding"])


def _lacking(s: Study, name: str) -> str:
    """Which of a comparison's spans hold nobody."""
    months = s.lengths.curve.time
    empty = [
        span for span in COMPARISONS[name]
        if not any((span[0] is None or m > span[0]) and (span[1] is None or m <= span[1]) for m in months)
    ]
    return f"Nobody has been subscribed for {listing((_span(span) for span in empty), 'or')}"


def _chance(log10_p: float) -> Prose:
    """A probability by its logarithm, however small it is."""
    if log10_p < UNLIKELY:
        return Prose(f"one in a number of {number(math.floor(-log10_p) + 1)} digits")
    return Prose("less than one in a thousand") if log10_p < SELDOM else number(10**log10_p, 3)


# By windows and months


def windows_table(s: Study) -> Prose:
    """Churn by windows of months."""
    rows = [{
        "Subscribed for": capital(_of_row(row)),
        "Subscribers": row.subscribers,
        "Churned": row.churned,
        "Share churned": Prose(f"{percent(row.rate)} ({percents(row.low, row.high)})"),
    } for row in s.lengths.windows.itertuples()]
    return table(pd.DataFrame(rows), {"Subscribers": number, "Churned": number, "Share churned": Prose})


def months_figure(s: Study) -> p9.ggplot | Prose:
    """The churned share by month, over the windows' shares."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found = s.lengths
    rows = found.by_month.reset_index()
    rows["month"] = (rows["from_month"] + rows["to_month"]) / 2
    first, last = float(rows["from_month"].min()), float(rows["to_month"].max())
    windows = found.windows.reset_index()
    windows["left"] = windows["from_month"].clip(lower=first) - 0.5
    windows["right"] = windows["to_month"].fillna(last).clip(upper=last) + 0.5
    what = "Churned, by month" if found.width == 1 else f"Churned, by {found.width} months"
    return (
        figures.Plot(rows, p9.aes("month", "rate"))
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), color="#c3c9d0", size=0.7)
        + p9.geom_rect(p9.aes(xmin="left", xmax="right", ymin="low", ymax="high"), data=windows,
                       inherit_aes=False, fill=figures.ORANGE, alpha=0.3)
        + p9.geom_segment(p9.aes(x="left", xend="right", y="rate", yend="rate"), data=windows,
                          inherit_aes=False, color=figures.VERMILION, size=1)
        + p9.geom_point(color=figures.BLUE, size=1.7)
        + p9.scale_x_continuous(breaks=_breaks)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.coord_cartesian(ylim=(0, min(1.0, 1.05 * float(rows["high"].max()))))
        + p9.labs(x="Months subscribed", y=what)
        + figures.theme(height=3.2)
    )


def hazard_figure(s: Study) -> p9.ggplot | Prose:
    """The hazard by month, where lengths of those who stay are read as censored lifetimes."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    rows = s.months[s.months["at_risk"] >= REACHED * s.lengths.subscribers].head(MOST_MONTHS)
    return (
        figures.Plot(rows, p9.aes("month", "hazard"))
        + p9.geom_linerange(p9.aes(ymin="hazard_low", ymax="hazard_high"), color=figures.SKY, size=0.9)
        + p9.geom_point(color=figures.BLUE, size=1.7)
        + p9.scale_x_continuous(breaks=_breaks)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + p9.labs(x="Months since joining", y="Churned of those at risk")
        + figures.theme(height=2.8)
    )


def early(s: Study) -> Prose:
    """Whether the first months are worse than those that follow."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    near, wide = (_comparison(s, f"early_less_{name}") for name in ("year", "two_years"))
    if wide is None:
        return Prose(
            f"{_lacking(s, 'early_less_two_years')}, so the first {EARLY} months cannot be compared with those that follow."
        )
    two_years = COMPARISONS["early_less_two_years"]
    if near is None:
        text = _compared(wide, two_years)
    else:
        text = _compared(near, COMPARISONS["early_less_year"])
        if near["subscribers_b"] < wide["subscribers_b"]:
            text += (
                f" Against all of {_span(two_years[1])} it is {_points(wide['difference'])} "
                f"({_sure(wide['low'], wide['high'], wide['p_adjusted'])})."
            )
    return Prose(f"{text} {_early_said(_finding(near), _finding(wide))}")


def _early_said(near: Finding | None, wide: Finding | None) -> str:
    found = {near, wide} - {None}
    if found == {Finding.INCONCLUSIVE}:
        return f"That more churn within the first {EARLY} months is not shown."
    if found <= {Finding.HIGHER, Finding.INCONCLUSIVE}:
        return f"More have churned among those within their first {EARLY} months, as the source says."
    if found <= {Finding.LOWER, Finding.INCONCLUSIVE}:
        return f"Fewer have churned among those within their first {EARLY} months: the opposite of what the source says."
    return f"So whether more churn within the first {EARLY} months depends on whom they are compared with."


def year(s: Study) -> Prose:
    """Whether churn drops after a year, and whether that is where it drops."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    later = _comparison(s, "first_year_less_later")
    if later is None:
        return Prose(
            f"{_lacking(s, 'first_year_less_later')}, so whether retention improves after {YEAR} months cannot be told."
        )
    text = _compared(later, COMPARISONS["first_year_less_later"])
    found = _finding(later)
    if found is Finding.INCONCLUSIVE:
        return Prose(f"{text} That retention is better after {YEAR} months is not shown.")
    if found is Finding.LOWER:
        return Prose(f"{text} So retention is worse after {YEAR} months, the opposite of what the source says.")
    text += f" Taken together, then, those beyond month {YEAR} have churned less, as the source says."
    second, two = (_comparison(s, name) for name in ("first_year_less_second", "two_years_less_later"))
    if second is None:
        return Prose(f"{text} {_lacking(s, 'first_year_less_second')}, so these windows do not tell where churn drops.")
    of_second = have_churned(
        int(second["churned_b"]), int(second["subscribers_b"]), f"of {_span((YEAR, TWO_YEARS))}")
    said = f"difference from those of {_span((None, YEAR))}: {_points(second['difference'])}; {_sure(second['low'], second['high'], second['p_adjusted'])}"
    if _finding(second) is Finding.HIGHER:
        return Prose(f"{text} The drop shows in the second year already: {of_second} ({said}).")
    if _finding(second) is Finding.LOWER:
        text += f" But the second year is worse than the first: {of_second} ({said})."
    else:
        text += f" But month {YEAR} is not shown to be where churn drops: {of_second} ({said})."
    if _finding(two) is Finding.HIGHER:
        beyond = have_churned(int(two["churned_b"]), int(two["subscribers_b"]), f"of {_span((TWO_YEARS, None))}")
        text += f" What makes the difference lies beyond month {TWO_YEARS}: {beyond}."
    return Prose(text)


# Where it drops, and how it is before


def cliff(s: Study) -> Prose:
    """Where the rate changes, if once."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    change = s.lengths.change
    if change.p_value > ALPHA:
        return Prose(
            f"That the rate changes anywhere is not shown: the clearest single change is after month {number(change.month)}, and chance "
            f"alone often makes as clear a one ({p_value(change.p_value)})."
        )
    moved = "drops" if change.after.estimate < change.before.estimate else "rises"
    possible = (
        "no other month" if change.places == 1
        else f"{count(change.places, 'month')}, from {number(change.low)} to {number(change.high)}"
    )
    text = (
        f"Taken to change once, the rate {moved} after month {number(change.month)}, from {percent(change.before.estimate)} "
        f"({percents(change.before.low, change.before.high)}) to {percent(change.after.estimate)} "
        f"({percents(change.after.low, change.after.high)}). The 95% set of possible months holds {possible}, and chance alone seldom makes "
        f"so clear a change anywhere ({p_value(change.p_value)})."
    )
    inside = [m for m in (EARLY, YEAR) if change.low <= m <= change.high]
    if not inside:
        text += f" Neither month {EARLY} nor month {YEAR} comes into question."
    elif change.places == 1:
        text += f" That is the source’s month {inside[0]}."
    else:
        text += f" Of the source’s two, {listing(f'month {m}' for m in inside)} {'is' if len(inside) == 1 else 'are'} within that range."
    if change.advantage is None:
        return Prose(text)
    criterion = f"Akaike’s criterion differs by {number(abs(change.advantage), 1)}"
    if change.advantage > CLEAR:
        return Prose(f"{text} One step describes the months better than a steady slope would ({criterion}).")
    if change.advantage < -CLEAR:
        return Prose(f"{text} But a steady slope describes the months better than one step ({criterion}), so that month is no border.")
    return Prose(f"{text} A steady slope would describe the months about as well as one step ({criterion}).")


def tail(s: Study) -> Prose:
    """The lengths beyond the last churn."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found = s.lengths.tail
    if found is None:
        return Prose("Somebody has churned among those with the longest subscriptions, so there is no length beyond which churn ends.")
    text = (
        f"The last length at which anybody has churned is {count(found.month, 'month')}. "
        + (f"{count(found.subscribers, 'subscriber')} {'has' if found.subscribers == 1 else 'have'} been subscribed for longer"
           + (f", at {count(found.months, 'different length')}" if found.months > 1 else "")
           + f", and {'has not' if found.subscribers == 1 else 'none of them has'} churned.")
        + f" If chance had dealt churn to as many of all subscribers, the probability of so many at the end without any would be {_chance(found.log10_p)}"
    )
    if found.log10_p > math.log10(ALPHA):
        return Prose(f"{text}: often enough to need no explanation.")
    if found.log10_p > SELDOM:
        return Prose(f"{text}: seldom enough to look for a cause.")
    return Prose(
        f"{text}. So sharp an end asks for a cause: a rule of the contract, a rule of what the table keeps, or a table that was made."
    )


def flat(s: Study) -> Prose:
    """Whether the rate has a trend before the last churn, and whether the months scatter as chance has it."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    w = s.lengths.within
    last = _last_churn(s)
    if w is None:
        return Prose(f"Everybody of up to {count(last, 'month')} has churned, so there is no rate to follow up to there.")
    if w.months == 1:
        return Prose(f"All churn is at one length, {count(last, 'month')}, and nobody has been subscribed for less, so there is no trend up to there.")
    first = int(s.lengths.curve.time[0])
    text = f"Over the {number(w.months)} lengths from {first} to {count(last, 'month')}, the last with any churn, "
    said = f"Cochran and Armitage’s z = {number(w.z, 2)}, {p_value(w.p_trend)}"
    if w.slope is None:
        text += f"a trend of the churned share is {'' if w.p_trend <= ALPHA else 'not '}shown ({said})."
    else:
        text += (
            f"the churned share changes by {number(100 * w.slope.estimate, 2)} points a month "
            f"(95% interval {interval(100 * w.slope.low, 100 * w.slope.high, 2)}): "
        )
        span = [float(np.clip((last - first) * end, -1, 1)) for end in (w.slope.low, w.slope.high)]
        if w.p_trend > ALPHA:
            text += (
                f"a trend is not shown ({said}). If there is one, it makes between {number(100 * span[0], 0)} and "
                f"{number(100 * span[1], 0)} points from the first month to the last."
            )
        else:
            text += f"it {'falls' if w.z < 0 else 'rises'}, more steadily than chance alone would make it ({said})."
    statistic = f"χ² = {number(w.chi_squared, 1)}, where one rate and chance would give about {w.df}"
    if w.p_even <= ALPHA / 2:
        text += (
            f" The months are too much alike, though: {statistic}, and chance alone seldom makes them so even ({p_value(w.p_even)}). "
            "Shares of so few subscribers scatter, and these hardly do; @sec-netflix-real takes that up."
        )
    elif w.p_uneven <= ALPHA / 2:
        text += f" The months differ by more than chance would make them ({statistic}; {p_value(w.p_uneven)})."
    else:
        text += f" The months scatter as chance would have it ({statistic}; {p_value(min(1.0, 2 * min(w.p_even, w.p_uneven)))})."
    return Prose(text)


# As lifetimes


def survival_table(s: Study) -> Prose:
    """Survival at some months, read as lifetimes."""
    found = s.lengths.survival
    if found.empty:
        return Prose("Nobody has been observed for as long as the first month at which survival would be read.")
    rows = [{
        "Month": row.Index,
        "Subscribed that long": row.at_risk,
        "Still subscribed after it": Prose(
            percent(row.survival) + (f" ({percents(row.low, row.high)})" if row.low < row.high else "")),
    } for row in found.itertuples()]
    return table(pd.DataFrame(rows), {
        "Month": number, "Subscribed that long": number, "Still subscribed after it": Prose})


def survival_figure(s: Study) -> p9.ggplot | Prose:
    """The Kaplan-Meier curve with its band."""
    if s.lengths.churned == 0:
        return NOBODY
    curve = s.lengths.curve
    start = pd.DataFrame({"month": [0.0], "survival": [1.0], "low": [1.0], "high": [1.0]})
    steps = pd.DataFrame({
        "month": curve.time, "survival": curve.survival, "low": curve.low, "high": curve.high})
    if len(steps) > MOST_STEPS:
        steps = steps.iloc[np.unique(np.linspace(0, len(steps) - 1, MOST_STEPS).astype(int))]
    if curve.time[0] > 0:
        steps = pd.concat([start, steps], ignore_index=True)
    # A band of steps: each value holds until the next month.
    held = steps.loc[steps.index.repeat(2)].reset_index(drop=True)
    band = held[["low", "high"]].iloc[:-1].assign(month=held["month"].iloc[1:].to_numpy()).dropna()
    least = float(np.nanmin([*steps["survival"], *steps["low"]]))
    bottom = max(0.0, math.floor(10 * least - 0.5) / 10)
    return (
        figures.Plot(steps, p9.aes("month", "survival"))
        + p9.geom_ribbon(p9.aes("month", ymin="low", ymax="high"), data=band, inherit_aes=False,
                         fill=figures.SKY, alpha=0.4)
        + p9.geom_step(color=figures.BLUE, size=0.9)
        + p9.scale_x_continuous(breaks=_breaks)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.coord_cartesian(ylim=(bottom, 1))
        + p9.labs(x="Months since joining", y="Still subscribed")
        + figures.theme(height=2.9)
    )


def survival(s: Study) -> Prose:
    """How many stay how long, read as lifetimes."""
    found = s.lengths
    if found.churned == 0:
        return NOBODY
    if found.survival.empty:
        return Prose(f"Nobody has been observed for more than {count(int(found.curve.time[-1]), 'month')}, too short a time to read survival from.")
    first, *rest = (
        (percent(row.survival), count(int(row.Index), "month")) for row in found.survival.itertuples()
    )
    parts = [f"{first[0]} stay subscribed for {first[1]}", *(f"{share} for {months}" for share, months in rest)]
    text = f"Read so, {listing(parts)}."
    events = found.curve.events
    last = _last_churn(s)
    if found.curve.survival[-1] == 0:
        return Prose(f"{text} Nobody stays for longer than {count(last, 'month')}.")
    if events[-1] > 0:
        return Prose(f"{text} The curve falls up to its last month, {number(last)}.")
    return Prose(f"{text} Beyond month {number(last)} the curve is level at {percent(found.curve.survival[-1])}.")


def risks(s: Study) -> Prose:
    """The source's claims with the monthly risk of leaving in place of the churned share."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    rows = s.lengths.hazards
    parts = []
    for name, (one, other) in (
        ("early_less_year", (f"the first {EARLY} months", f"months {EARLY + 1} to {YEAR}")),
        ("first_year_less_second", (f"the first {YEAR} months", f"months {YEAR + 1} to {TWO_YEARS}")),
    ):
        if name not in rows.index:
            continue
        row = rows.loc[name]
        ratio = (
            f"ratio {number(row['ratio'], 2)}, 95% interval {interval(row['low'], row['high'], 2)}; "
            if math.isfinite(row["ratio"]) else "")
        told = f"{percent(row['hazard_a'], 2)} a month against {percent(row['hazard_b'], 2)} ({ratio}corrected {p_value(row['p_adjusted'])})"
        found = Finding(row["finding"])
        if found is Finding.INCONCLUSIVE:
            parts.append(f"in {one} it is not shown to differ from that in {other}: {told}")
        else:
            parts.append(f"in {one} it is {'higher' if found is Finding.HIGHER else 'lower'} than in {other}: {told}")
    if not parts:
        return Prose(f"Nobody was subscribed in month {EARLY + 1} or later, so the monthly risk of leaving cannot be compared between spans of months.")
    return Prose(f"The monthly risk of leaving is the churned over all months in which somebody could have left: {'; '.join(parts)}.")


def constant(s: Study) -> Prose:
    """Whether one hazard followed by none is plausible."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found, end = s.lengths.constant, s.lengths.tail
    if found is None:
        return Prose("Churn goes on to the longest subscriptions, so there is no sudden end that a steady risk would have to explain.")
    text = (
        f"Up to month {number(end.month)}, {number(s.lengths.churned)} churned in {count(found.before, 'month')} at risk, {percent(found.hazard, 2)} a month. "
        f"Had that risk gone on, {number(found.expected, 1 if found.expected < 10 else 0)} more would be expected to have churned in the {count(found.after, 'month')} at risk "
        "beyond it, and nobody has. With one risk throughout, the probability of that, given how many churned, "
        f"is {_chance(found.log10_p)}"
    )
    if found.log10_p > math.log10(ALPHA):
        return Prose(f"{text}: the table does not rule out that the risk is the same at all lengths.")
    if found.log10_p > SELDOM:
        return Prose(f"{text}: one risk for all lengths is unlikely.")
    return Prose(
        f"{text}. Subscribers who leave at a steady risk and then, from one month to the next, not at all are hard to imagine; "
        "@sec-netflix-real asks what that says about the table."
    )


# What a cross-section does


def implied(s: Study) -> Prose:
    """How the monthly risk behind the same share depends on how long leavers are kept."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    rows = s.lengths.implied
    if rows.empty:
        return Prose("Here everybody up to the last churn has churned, which no such risk below 100% a month gives.")
    w = s.lengths.within
    parts = [
        f"{percent(row.hazard, 1)} a month ({percents(row.low, row.high)}) if the table keeps the leavers of {'one month' if row.Index == 1 else f'{row.Index} months'}"
        for row in rows.itertuples()
    ]
    last = _last_churn(s)
    return Prose(
        f"If the risk is the same in every month, the {percent(w.rate.estimate)} churned among those of up to {count(last, 'month')} mean one of {listing(parts, 'or')}; "
        "the table does not say which."
    )


def survivors_table(s: Study) -> Prose:
    """What a constant risk would show by length, beside the table."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found = s.lengths
    if found.survivors.empty:
        return Prose("All subscriptions are in their first month, so nothing can be worked out for longer ones.")
    joined = found.survivors.join(found.windows[["from_month", "to_month"]])
    rows = [{
        "Subscribed for": capital(_of_row(row)),
        "This table": row.rate,
        "One risk, all leavers kept": row.all_kept,
        f"One risk, leavers of {YEAR} months kept": row.year_kept,
    } for row in joined.itertuples()]
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], percent))


def survivors(s: Study) -> Prose:
    """How a constant risk makes long subscriptions look loyal."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found = s.lengths
    if len(found.survivors) < 2:
        return Prose("The table’s lengths lie in one window, so there is no fall with length to explain.")
    names = [_of_row(row) for row in found.windows.itertuples()]
    first, last = found.survivors.iloc[0], found.survivors.iloc[-1]
    fall = (
        "a fall that looks like loyalty and is none"
        if percent(first["all_kept"]) != percent(last["all_kept"])
        else "the longer, the fewer, though with so little churn the digits do not show it"
    )
    return Prose(
        f"With a risk of {percent(found.all_kept_hazard, 2)} in every month of everybody’s subscription, as many would have churned in all as have here, and "
        f"the table would show {percent(first['all_kept'])} churned among those of {names[0]} and {percent(last['all_kept'])} among those of {names[-1]}: "
        f"{fall}. "
        f"If the table dropped leavers {YEAR} months after they left, the risk would have to be {percent(found.year_kept_hazard, 2)} and the two shares would be "
        f"{percent(first['year_kept'])} and {percent(last['year_kept'])}. The table has {percent(first['rate'])} and {percent(last['rate'])}."
    )


# What it means


def answer(s: Study) -> Prose:
    """The result in two sentences."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found, change = s.lengths, s.lengths.change
    near, wide, second = (
        _finding(_comparison(s, name)) for name in ("early_less_year", "early_less_two_years", "first_year_less_second"))
    if change.p_value <= ALPHA:
        before, after = (
            (int(found.curve.events[part].sum()), int((found.curve.events + found.curve.censored)[part].sum()))
            for part in (found.curve.time <= change.month, found.curve.time > change.month)
        )
        text = (
            f"**When subscribers leave**: {have_churned(*before, f'of {_span((None, change.month))}')}, "
            f"and {have_churned(*after, f'of {_span((change.month, None))}')}."
        )
    else:
        text = "**When subscribers leave** is not shown to depend on how long they have been subscribed, as far as a single change goes."
    early_found = {near, wide} - {None}
    if not early_found:
        return Prose(text)
    if early_found == {Finding.INCONCLUSIVE}:
        text += f" That the first {EARLY} months are worse than the following is not shown"
    elif Finding.LOWER not in early_found:
        text += f" The first {EARLY} months are worse than the following"
    elif Finding.HIGHER not in early_found:
        text += f" The first {EARLY} months are better than the following"
    else:
        text += f" How the first {EARLY} months compare depends on what they are compared with"
    if second is Finding.INCONCLUSIVE:
        text += f", and the second year is not shown to be better than the first {YEAR} months"
    elif second is not None:
        text += f", and the second year is {'better' if second is Finding.HIGHER else 'worse'} than the first {YEAR} months"
    return Prose(f"{text}.")


def means(s: Study) -> Prose:
    """What follows for the source's two programmes."""
    if (nothing := _nothing(s)) is not None:
        return nothing
    found, change = s.lengths, s.lengths.change
    time, churned = found.curve.time, found.curve.events
    n = churned + found.curve.censored
    near = {_finding(_comparison(s, f"early_less_{name}")) for name in ("year", "two_years")}
    young = int(churned[time <= EARLY].sum())
    if found.churned == 1:
        reach = f"the one who churned {'is' if young else 'is not'} within the first {EARLY} months"
    else:
        reach = (
            f"{number(young) if young else 'none'} of the {number(found.churned)} churned ({percent(young / found.churned)}) "
            f"{'are' if young > 1 else 'is'} within the first {EARLY} months"
        )
    if Finding.HIGHER in near and Finding.LOWER not in near:
        text = f"The source would begin with the first {EARLY} months, and the table is with it: {reach}, and there churn is higher than after."
    else:
        text = (
            f"The source would begin with the first {EARLY} months. {capital(reach)}; nothing here shows that a programme does more "
            "there than later."
        )
    if change.p_value > ALPHA:
        return Prose(f"{text} No length of subscription is shown to set those who churn apart, so don’t choose whom to address by length.")
    if change.after.estimate > change.before.estimate:
        return Prose(f"{text} Churn is higher beyond month {number(change.month)}: look there first for what makes people leave.")
    old = int(n[time > YEAR].sum())
    if old == 0:
        return Prose(f"{text} What makes people leave is to be looked for in all months up to month {number(change.month)}.")
    late = time > max(YEAR, change.month)
    if change.month <= YEAR:
        text += (
            f" It would reward those of {_span((YEAR, None))}, among whom churn is low already: {have_churned(int(churned[late].sum()), old, 'of that length')}; "
            "whoever would have stayed anyway is paid for nothing."
        )
    else:
        beyond, left = int(n[late].sum()), int(churned[late].sum())
        text += (
            f" It would reward those of {_span((YEAR, None))}: {count(old, 'subscriber')}, of whom {number(beyond)} ({percent(beyond / old)}) "
            f"{'is' if beyond == 1 else 'are'} beyond month {number(change.month)}, where "
            + (f"{percent(left / beyond)} have churned; whoever would have stayed anyway is paid for nothing." if left else
               "nobody has churned; there a reward would be paid for staying that takes place without it.")
        )
    return Prose(
        f"{text} Before any money is spent by length, ask why churn drops after month {number(change.month)}; until then treat months up to it alike."
        if found.within is None or found.within.p_trend > ALPHA else
        f"{text} Before any money is spent by length, ask why churn drops after month {number(change.month)}."
    )


def limits(s: Study) -> Prose:
    """What the table cannot say about lengths."""
    churned = s.lengths.churned
    first = (
        "The table has one length a subscriber and no date, so it could not say when anybody leaves."
        if churned == 0 else
        f"The table has one length a subscriber and no date. Whether the length of {'the one subscriber' if churned == 1 else f'the {number(churned)} subscribers'} "
        "who churned ends where the subscription ended, or goes on to the day of the table, it does not say; "
        "nor who joined when, nor how long somebody who left stays in the table."
    )
    return paragraph(
        first,
        "So a low share at great lengths may be loyalty, or early leavers gone, or old leavers dropped; only the dates of joining and leaving of everybody who ever joined can tell these apart.",
    )
