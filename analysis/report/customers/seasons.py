"""What moves views, purchases and revenue over time: averages, seasons, releases, a forecast."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers import seasons as study
from analysis.customers.lift import Action
from analysis.report import figures
from analysis.report.customers.app import money
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    capital,
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
from analysis.stats import intervals
from analysis.stats import time_series as ts
from analysis.stats.decision import Finding
from analysis.stats.intervals import Interval

LABELS = {"views": "Paywall views", "purchases": "Purchases", "revenue": "Revenue"}
NAMES = {"views": "paywall views", "purchases": "purchases", "revenue": "revenue"}
SHORT = {"rolling, 7 days": "7-day rolling", "rolling, 28 days": "28-day rolling",
         "exponential, span 7": "7-day exponential", "exponential, span 28": "28-day exponential"}
DAY_NAMES = dict(zip(ts.WEEKDAYS, ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday",
                                   "Saturday", "Sunday"), strict=True))
NO_STEP = Prose("No step of a release can be told (@sec-customers-release).")
NO_FORECAST = Prose("There is no forecast to show.")
NO_EARLIER = Prose("There is no earlier forecast to show.")
ZOOM = 56  # days to either side of a release in the close-up


# --- Averages -------------------------------------------------------------------------------------

def averages_table(s: Study) -> Prose:
    """What each moving average keeps and hides."""
    frame = s.seasons.averages
    shown = pd.DataFrame({
        "Average": [SHORT[name] for name in frame["average"]],
        "Lag, days": frame["lag"],
        "Half-life, days": frame["half_life"],
        "Weekly wave left": frame["week_left"],
        "Noise left": frame["noise"],
        "Days to 50%": frame["half"],
        "Days to 90%": frame["most"],
        "Peak shown": frame["newest"],
    })
    one, share = partial(number, digits=1), partial(percent, digits=0)
    return table(shown, {
        "Lag, days": one, "Half-life, days": one, "Weekly wave left": share,
        "Noise left": share, "Days to 50%": number, "Days to 90%": number,
        "Peak shown": share,
    })


def _smoothed(s: Study, measure: str, averages, scale: float = 1.0) -> pd.DataFrame:
    values = s.daily[measure].to_numpy(dtype=float) / scale
    dates = pd.to_datetime(s.daily["day"])
    return pd.concat([
        pd.DataFrame({"day": dates, "value": average.of(values), "measure": LABELS[measure],
                      "average": SHORT[average.name], "width": SHORT[average.name].split("-")[0],
                      "kind": SHORT[average.name].split()[-1]})
        for average in averages
    ]).dropna()


def averages_figure(s: Study) -> p9.ggplot:
    """Daily revenue and purchases with both rolling averages."""
    rolling = [average for average in study.AVERAGES if average.half_life is None]
    frames, dots = [], []
    for measure, scale in (("revenue", 100.0), ("purchases", 1.0)):
        frames.append(_smoothed(s, measure, rolling, scale))
        dots.append(pd.DataFrame({
            "day": pd.to_datetime(s.daily["day"]), "value": s.daily[measure] / scale,
            "measure": LABELS[measure]}))
    order = [LABELS["revenue"], LABELS["purchases"]]
    lines, points = (
        frame.assign(measure=pd.Categorical(frame["measure"], order))
        for frame in (pd.concat(frames), pd.concat(dots))
    )
    names = [SHORT[average.name] for average in rolling]
    lines["average"] = pd.Categorical(lines["average"], names)
    return (
        figures.Plot(lines, p9.aes("day", "value"))
        + p9.geom_line(data=points, color="#c3cad1", size=0.25)
        + p9.geom_line(p9.aes(color="average", size="average"))
        + p9.facet_wrap("measure", ncol=1, scales="free_y")
        + p9.scale_color_manual(dict(zip(names, (figures.SKY, figures.INK), strict=True)))
        + p9.scale_size_manual(dict(zip(names, (0.5, 0.9), strict=True)))
        + _dates(s.seasons.days)
        + p9.scale_y_continuous(labels=figures.thousands)
        + p9.labs(x="", y="A day")
        + figures.theme(height=4.2)
    )


def _dates(days: int) -> p9.scale_x_datetime:
    """A scale of dates with four to eight labels."""
    for limit, width in ((35, "1 week"), (75, "2 weeks"), (240, "1 month")):
        if days <= limit:
            return p9.scale_x_datetime(date_breaks=width, date_labels="%-d %b")
    months = max(1, round(days / 30.4 / 8))
    return p9.scale_x_datetime(date_breaks=f"{months} months", date_labels="%b\n%Y")


def step_figure(s: Study) -> p9.ggplot:
    """All four averages of purchases around the latest release, or over the last days."""
    release = _latest(s)
    dates = pd.to_datetime(s.daily["day"])
    centre = pd.Timestamp(release) if release else dates.iloc[-1] - pd.Timedelta(ZOOM, "D")
    frame = _smoothed(s, "purchases", study.AVERAGES)
    frame = frame[(frame["day"] - centre).abs() <= pd.Timedelta(ZOOM, "D")]
    frame["width"] = pd.Categorical(frame["width"], ["7", "28"])
    frame["kind"] = pd.Categorical(frame["kind"], ["rolling", "exponential"])
    points = pd.DataFrame({"day": dates, "value": s.daily["purchases"].astype(float)})
    points = points[(points["day"] - centre).abs() <= pd.Timedelta(ZOOM, "D")]
    plot = (
        figures.Plot(frame, p9.aes("day", "value"))
        + p9.geom_line(data=points, color="#c3cad1", size=0.4)
        + p9.geom_line(p9.aes(color="kind", linetype="kind"))
        + p9.facet_wrap("width", ncol=2, labeller=lambda width: f"{width} days")
        + figures.colours(("rolling", "exponential"))
        + p9.scale_linetype_manual({"rolling": "solid", "exponential": "dashed"})
        + p9.scale_x_datetime(date_breaks="1 month", date_labels="%b")
        + p9.labs(x="", y="Purchases a day")
        + figures.theme(height=2.9)
    )
    if release:
        plot += p9.geom_vline(xintercept=centre, color=figures.INK, linetype="dotted")
    return plot


def averages_hide(s: Study) -> Prose:
    """What the four averages hide, from the table's numbers."""
    a = s.seasons.averages.set_index("average")
    week, month = a.loc["rolling, 7 days"], a.loc["rolling, 28 days"]
    fast, slow = a.loc["exponential, span 7"], a.loc["exponential, span 28"]
    return Prose(
        f"A rolling mean of 7 days hides the week wholly and runs {number(week.lag)} days late; one "
        f"of 28 days runs {number(month.lag, 1)} days late, so a month that it shows as good is "
        f"half over. Half of a new level shows after {number(week.half)} and {number(month.half)} "
        f"days, nine tenths after {number(week.most)} and {number(month.most)}. The exponential "
        f"averages have the same lag and let through as much noise, but spend both otherwise: half of a step "
        f"shows sooner, after {number(fast.half)} and {number(slow.half)} days, and the rest "
        f"later, after {number(fast.most)} and {number(slow.most)}; and because their weights fit "
        f"no whole week, {percent(fast.week_left, 0)} and {percent(slow.week_left, 0)} of a weekly "
        "wave stay in."
    )


def largest_day(s: Study) -> Prose:
    """What the averages make of the day with the largest revenue."""
    z = s.seasons
    if not z.largest_revenue:
        return Prose("There is no revenue, so there is no largest day to flatten.")
    times = ""
    if z.median_revenue > 0:
        times = f", {number(z.largest_revenue / z.median_revenue, 1)} times that of the middle day"
    parts = [
        f"{money(row.on_largest_day, 0)} ({SHORT[row.average]})"
        for row in z.averages.itertuples() if math.isfinite(row.on_largest_day)
    ]
    shown = f" On that day the averages stood at {listing(parts)}." if parts else ""
    return Prose(
        f"The largest day, {day(z.largest_day)}, brought {money(z.largest_revenue, 0)}{times}.{shown}"
    )


def which_average(s: Study) -> Prose:
    """Which average to watch, and for what."""
    a = s.seasons.averages.set_index("average")
    week, month = a.loc["rolling, 7 days"], a.loc["rolling, 28 days"]
    return Prose(
        "Watch the 7-day rolling mean for what happens now: it is the shortest that no weekday "
        f"can sway, and a new level is in it after {count(int(week.most), 'day')}. Read the 28-day "
        "mean for the level, and never for the date of a change: what it turns on "
        f"happened about {number(math.ceil(month.lag))} days ago."
    )


# --- The model ------------------------------------------------------------------------------------

def model_terms(s: Study) -> Prose:
    """What the length of the period lets the model hold."""
    z = s.seasons
    if z.days < study.WEEKLY_FROM:
        return Prose(
            f"The tables cover {count(z.days, 'day')}, too few for a model: the weekdays take "
            f"{study.WEEKLY_FROM} days, trend, releases and a forecast {study.TREND_FROM}."
        )
    if z.days < study.TREND_FROM:
        return Prose(
            f"With {count(z.days, 'day')} of data the model holds the weekdays only: trend, "
            f"releases and a forecast take {study.TREND_FROM} days."
        )
    if z.days < study.YEARLY_FROM:
        return Prose(
            f"The tables cover {count(z.days, 'day')}. A yearly wave takes two years less a week "
            f"({study.YEARLY_FROM} days), so the model has none, and what the season does within this "
            "period is in the trend: the trend here is not to be read as growth, nor to be carried "
            "on for long."
        )
    return Prose(
        f"The tables cover {count(z.days, 'day')}, which is enough for all of it: the weekdays "
        f"take {study.WEEKLY_FROM} days, the trend and a release {study.TREND_FROM}, and the yearly "
        f"wave {study.YEARLY_FROM}, two years less a week, because only a second year can tell a "
        "season from growth."
    )


def _too_short(what: str, least: int) -> Prose:
    return Prose(f"{capital(what)} cannot be told from fewer than {least} days of data.")


def lags(s: Study) -> Prose:
    """Days of autocorrelation that the errors allow for."""
    return number(study.LAGS)


def not_modelled(s: Study) -> Prose:
    """The measures without a model, and why; empty where all have one."""
    why = {
        "empty": "there are none" if s.seasons.days else "",
        "sparse": "there are too few, or none under one of the model's terms (a weekday, say)",
    }
    z = s.seasons
    parts = [
        f"{NAMES[row.measure].capitalize()} cannot be modelled: {why[row.reason]}."
        for row in z.fits.itertuples() if row.reason in why
    ]
    return Prose(" ".join(parts))


def _without_model(s: Study, what: str, least: int) -> Prose:
    """Why something of the model cannot be shown."""
    if s.seasons.days < least:
        return _too_short(what, least)
    return not_modelled(s) or Prose(f"There is no model to tell {what} from.")


def _fitted(s: Study) -> list[str]:
    return [row.measure for row in s.seasons.fits.itertuples() if not row.reason]


def _ratio(low: float, high: float, estimate: float) -> str:
    return (f"×{number(math.exp(estimate), 2)} "
            f"({number(math.exp(low), 2)}{NBSP}to{NBSP}{number(math.exp(high), 2)})")


def _span(s: Study) -> tuple[float, str]:
    """In which time a trend is told, in years and in words: a year only where there is one."""
    if s.seasons.days >= ts.YEAR:
        return 1.0, "a year"
    return study.SIDE / ts.YEAR, f"in {study.SIDE} days"


def _trend(s: Study, measure: str) -> Interval | None:
    """The trend of a measure in the time in which it is told; None without one."""
    found, years = s.seasons.effect(measure, "trend"), _span(s)[0]
    if found is None:
        return None
    return replace(found, **{end: years * getattr(found, end) for end in ("estimate", "low", "high")})


def _term_cell(s: Study, measure: str, term: str) -> str:
    found = _trend(s, measure) if term == "trend" else s.seasons.effect(measure, term)
    return _ratio(found.low, found.high, found.estimate) if found else MISSING


def terms_table(s: Study) -> Prose:
    """The model's terms as ratios, a column a measure."""
    fitted = _fitted(s)
    if not fitted:
        return _without_model(s, "the terms of the model", study.WEEKLY_FROM)
    names = {row.day: row.name for row in s.seasons.releases.itertuples() if not row.reason}
    rows = {"trend": f"Trend, {_span(s)[1]}", "amplitude": "Yearly peak against the year’s middle"}
    rows |= {f"release {date}": f"{name}, from {day(date)}" for date, name in names.items()}
    rows |= {"test": "New paywall in all views"}
    have = set(s.seasons.terms["term"])
    frame = pd.DataFrame([
        {"Term": label} | {LABELS[m]: _term_cell(s, m, term) for m in fitted}
        for term, label in rows.items() if term in have
    ] + [
        {"Term": label} | {LABELS[m]: _term_cell(s, m, _weekday(s, m, pick)) for m in fitted}
        for label, pick in (("Busiest weekday against the week’s middle", max),
                            ("Quietest weekday", min))
    ])
    return table(frame, {LABELS[m]: Prose for m in fitted})


def _weekday(s: Study, measure: str, pick) -> str:
    return pick(ts.WEEKDAYS, key=lambda name: s.seasons.effect(measure, name).estimate)


def paywall_term(s: Study) -> Prose:
    """What the row of the new paywall is, and what the randomised test says; empty without it."""
    rows = {m: found for m in _fitted(s) if (found := s.seasons.effect(m, "test"))}
    if not rows:
        return Prose("")
    return Prose(
        "The row of the new paywall compares the days of the test with those before and after, with "
        "whatever else happened then; it stands there to keep that out of the other terms. What the "
        f"paywall itself does is for the randomised test to say{_by_the_test(s, rows)}"
    )


def _by_the_test(s: Study, rows: Mapping[str, Interval]) -> str:
    """The lifts of the randomised test, held beside the row of the model."""
    if s.lift.action is Action.DISTRUST:
        return ", whose split of users is broken (@sec-customers-trust)."
    values = () if s.lift.secondary is None else s.lift.secondary.metric_values.itertuples()
    lifts = {row.metric: row for row in values
             if row.metric in NAMES and math.isfinite(row.lift)}
    if not lifts:
        return (", which has no lift of purchases or revenue a user to tell "
                "(@sec-customers-secondary).")
    told = listing(
        f"{change(1 + lifts[m].lift)} ({change(1 + lifts[m].lift_low)} to "
        f"{change(1 + lifts[m].lift_high)}) for {NAMES[m]} a user"
        for m in study.TESTED if m in lifts)
    text = f" (@sec-customers-secondary): its lift is {told}; 95% intervals in brackets."
    unsure = [NAMES[m] for m in study.TESTED if m in lifts and m in rows
              and not rows[m].contains(0) and lifts[m].lift_low <= 0 <= lifts[m].lift_high]
    if unsure:
        text += (f" For {listing(unsure)} the interval of the row leaves out ×1 and that of the test "
                 "does not: what else happened on those days may be why, and an effect of the paywall "
                 "there is not shown.")
    return text


def _apart(s: Study) -> list[str]:
    """What the model tells apart from the trend, but the week."""
    told = int(s.seasons.releases["reason"].eq("").sum())
    there = {"season": s.seasons.days >= study.YEARLY_FROM,
             "release" if told == 1 else "releases": told > 0,
             "paywall test": s.seasons.test_end is not None}
    return [name for name, is_there in there.items() if is_there]


def trend(s: Study) -> Prose:
    """The growth of each measure: of a year, or of less where the tables hold less."""
    fitted = [m for m in _fitted(s) if _trend(s, m)]
    if not fitted:
        return _without_model(s, "a trend", study.TREND_FROM)
    first, *others = (f"by {_changed(_trend(s, m))}" for m in fitted)
    parts = [f"{NAMES[fitted[0]]} {_one_or_many(fitted[0], 'changes', 'change')} {first}"]
    parts += [f"{NAMES[m]} {by}" for m, by in zip(fitted[1:], others, strict=True)]
    apart = f"{listing(_apart(s))} apart, " if _apart(s) else ""
    text = f"{capital(apart + listing(parts))} {_span(s)[1]}; 95% intervals in brackets."
    if s.seasons.days < study.YEARLY_FROM:
        text += " With less than two years of data this is trend and season together."
    return Prose(text)


def _one_or_many(measure: str, one: str, many: str) -> str:
    """A verb for a measure: of revenue there is one, of purchases and views there are many."""
    return one if measure == "revenue" else many


def _changed(i: Interval, also: str = "") -> str:
    """A log ratio as a signed change with its interval, and what else stands in its brackets."""
    return (f"{change(math.exp(i.estimate))} ({change(math.exp(i.low))} to "
            f"{change(math.exp(i.high))}{also})")


def confounder(s: Study) -> Prose:
    """What the paywall test does to the series, and when it is taken to end."""
    z = s.seasons
    if z.test_end is None:
        return Prose(
            "No paywall test ran long enough within the period to have a term of its own."
        )
    text = (
        "While the paywall test runs, part of the views show another paywall; left out of the "
        "model, what that does would be laid to the season or the release. So the share of a day's "
        f"views by the test group is a term, up to {day(z.test_end)}: "
    )
    if z.test_end >= z.last_day:
        text += "the end of the tables, before which the outcomes of the test do not end."
    else:
        text += (f"{study.HORIZON} days after the last assignment, when the outcomes of the test end."
                 " No table says what those users saw afterwards; the model takes it that the old "
                 "paywall came back.")
    return Prose(text)


def weekdays_figure(s: Study) -> p9.ggplot | Prose:
    """Factors of the weekdays with their intervals."""
    frame = s.seasons.terms[s.seasons.terms["term"].isin(ts.WEEKDAYS)]
    if frame.empty:
        return _without_model(s, "the factors of the weekdays", study.WEEKLY_FROM)
    shown = frame.assign(
        measure=pd.Categorical(frame["measure"].map(LABELS), list(LABELS.values())),
        term=pd.Categorical(frame["term"], ts.WEEKDAYS),
        **{name: np.exp(frame[name]) for name in ("estimate", "low", "high")},
    )
    dodge = p9.position_dodge(width=0.55)
    return (
        figures.Plot(shown, p9.aes("term", "estimate", ymin="low", ymax="high", color="measure",
                                shape="measure"))
        + p9.geom_hline(yintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_errorbar(position=dodge, width=0.3)
        + p9.geom_point(position=dodge, size=2)
        + figures.colours(LABELS.values())
        + p9.scale_y_continuous(labels=_times)
        + p9.labs(x="", y="Against the middle of the week")
        + figures.theme(height=3.0)
    )


def _times(values) -> list[str]:
    return [f"×{value:.4g}" for value in values]


def weekly(s: Study) -> Prose:
    """Whether there is a week, and which days make it."""
    fitted = _fitted(s)
    if not fitted:
        return _without_model(s, "the factors of the weekdays", study.WEEKLY_FROM)
    parts, brackets = [], ""
    for m in fitted:
        p = _fit(s, m).weekly_p
        if p <= 0.05:
            brackets = " (95% intervals in brackets)"
            high, low = _weekday(s, m, max), _weekday(s, m, min)
            parts.append(
                f"{NAMES[m]} are highest on {DAY_NAMES[high]}s, {_changed(s.seasons.effect(m, high))}, "
                f"and lowest on {DAY_NAMES[low]}s, {_changed(s.seasons.effect(m, low))}"
                .replace("revenue are", "revenue is")
            )
        else:
            parts.append(f"no weekly pattern is shown for {NAMES[m]} ({p_value(p)})")
    text = "; ".join(parts)
    return Prose(f"{capital(text)}{brackets}.")


def _fit(s: Study, measure: str):
    return next(row for row in s.seasons.fits.itertuples() if row.measure == measure)


def _calendar_day(days: float) -> str:
    """A day of the year from days since 1 January: "16 December"."""
    date = dt.date(2023, 1, 1) + dt.timedelta(math.floor(days % ts.YEAR) % 365)
    return f"{date.day}{NBSP}{date.strftime('%B')}"


def yearly_figure(s: Study) -> p9.ggplot | Prose:
    """The yearly wave of each measure with its band and peak."""
    frame = s.seasons.yearly_curve
    if frame.empty:
        return _without_model(s, "a yearly wave", study.YEARLY_FROM)
    names = [LABELS[m] for m in LABELS if m in set(frame["measure"])]
    dates = pd.Timestamp("2023-01-01") + pd.to_timedelta(frame["year_day"], "D")
    shown = frame.assign(
        date=dates, measure=pd.Categorical(frame["measure"].map(LABELS), names),
        **{name: np.exp(frame[name]) for name in ("estimate", "low", "high")},
    )
    return (
        figures.Plot(shown, p9.aes("date", "estimate"))
        + p9.geom_hline(yintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high", fill="measure"), alpha=0.25)
        + p9.geom_line(p9.aes(color="measure"))
        + p9.facet_wrap("measure", ncol=3)
        + figures.colours(LABELS.values()) + figures.fills(LABELS.values())
        + p9.scale_x_datetime(breaks=[pd.Timestamp(f"2023-{m:02d}-01") for m in (1, 4, 7, 10)],
                              date_labels="%b")
        + p9.scale_y_continuous(labels=_times)
        + p9.labs(x="", y="Against the middle of the year")
        + figures.theme(height=2.7, legend="none")
    )


def yearly(s: Study) -> Prose:
    """The size of the yearly wave and its peak."""
    fitted = [m for m in _fitted(s) if s.seasons.effect(m, "peak")]
    if not fitted:
        return _without_model(s, "a yearly wave", study.YEARLY_FROM)
    parts, brackets = [], ""
    for m in fitted:
        p, peak, size = _fit(s, m).yearly_p, s.seasons.effect(m, "peak"), s.seasons.effect(
            m, "amplitude")
        if not math.isfinite(peak.low):
            parts.append(f"no yearly wave is shown for {NAMES[m]} ({p_value(p)})")
            continue
        brackets = "; 95% intervals in brackets"
        parts.append(
            f"{NAMES[m]} peak around {_calendar_day(peak.estimate)} "
            f"({low_to_high(_calendar_day(peak.low), _calendar_day(peak.high))}), at "
            f"{_changed(size)} against the middle of the year".replace("revenue peak", "revenue peaks")
        )
    text = "; ".join(parts)
    return Prose(f"{capital(text)}{brackets}.{_second_wave(s, fitted)}")


def _second_wave(s: Study, fitted: Sequence[str]) -> str:
    """Whether a second wave is needed, and the size that it would have."""
    shown, open_ = [], []
    for m in fitted:
        r = _fit(s, m)
        if math.isfinite(r.second_wave_p):
            size = Interval(r.second_wave, r.second_wave_low, r.second_wave_high, 0.95, "")
            (shown if r.second_wave_p <= 0.05 else open_).append(
                f"{_changed(size, f'; {p_value(r.second_wave_p)}')} for {NAMES[m]}")
    said = []
    if shown:
        said.append(f"is shown, with peaks at {listing(shown)}")
    if open_:
        said.append(f"is not shown to be needed: its peaks would be at {listing(open_)}")
    return f" A second wave, half a year long, {'; for the rest it '.join(said)}." if said else ""


def decomposition_figure(s: Study) -> p9.ggplot | Prose:
    """Purchases as trend, week and remainder, without a model of their shape."""
    measure = next((m for m in ("purchases", "views") if m in s.seasons.decomposition), None)
    if measure is None:
        return _without_model(s, "trend and week", study.TREND_FROM)
    d = s.seasons.decomposition[measure]
    parts = {"Trend": d.trend, "Week": d.week, "Remainder": d.remainder}
    frame = pd.concat([
        pd.DataFrame({"day": pd.to_datetime(s.daily["day"]), "value": values, "part": name})
        for name, values in parts.items()
    ])
    frame["part"] = pd.Categorical(frame["part"], list(parts))
    plot = (
        figures.Plot(frame, p9.aes("day", "value"))
        + p9.geom_line(color=figures.BLUE, size=0.4)
        + p9.facet_wrap("part", ncol=1, scales="free_y")
        + _dates(s.seasons.days)
        + p9.labs(x="", y=f"{LABELS[measure]} a day, square root")
        + figures.theme(height=4.0)
    )
    release = _latest(s)
    if release:
        plot += p9.geom_vline(xintercept=pd.Timestamp(release), color=figures.INK,
                              linetype="dotted")
    return plot


def strengths(s: Study) -> Prose:
    """How much of the day-to-day variance trend and week account for."""
    d = s.seasons.decomposition
    if not d:
        return _without_model(s, "trend and week", study.TREND_FROM)
    (first, x), *others = d.items()
    text = (
        f"Of the variance of trend and remainder together the trend is {percent(x.trend_strength, 0)}, "
        f"and of week and remainder together the week is {percent(x.week_strength, 0)}, for "
        f"{NAMES[first]}"
    )
    rest = [f"{percent(x.trend_strength, 0)} and {percent(x.week_strength, 0)} for {NAMES[m]}"
            for m, x in others]
    return Prose(f"{'; '.join([text, *rest])}.")


# --- The release ----------------------------------------------------------------------------------

def _latest(s: Study) -> str | None:
    """The latest release in the model."""
    told = [row.day for row in s.seasons.releases.itertuples() if not row.reason]
    return told[-1] if told else None


def _release_row(s: Study, measure: str):
    release = _latest(s)
    return next((row for row in s.seasons.release_effects.itertuples()
                 if row.release == release and row.measure == measure), None)


def _no_release(s: Study) -> Prose:
    """Why no step of a release is told, where it belongs; `_no_step` is for all other places."""
    z = s.seasons
    if z.releases.empty:
        return Prose(
            "The tables name no release (`customers/releases`), so the model has no step and no "
            "effect of one is told."
        )
    if z.releases["reason"].ne("").all():
        return Prose(f"No release can be told from the data. {_left_out(s)}")
    return not_modelled(s)


def _no_step(s: Study, instead: str = NO_STEP) -> Prose:
    """In few words, that no step is told: of any release, or of a measure without a model."""
    if _latest(s) is None:
        return Prose(instead)
    return not_modelled(s)


def _expected(s: Study) -> str:
    """What a release is held against."""
    season = "season" if s.seasons.days >= study.YEARLY_FROM else "weekdays"
    return f"what trend and {season} led to expect"


def releases_left_out(s: Study) -> Prose:
    """The releases without a step beside those with one, and why; empty where there are none."""
    return Prose("") if _latest(s) is None else _left_out(s)


def _left_out(s: Study) -> Prose:
    """The releases without a step, and why."""
    why = {
        "outside": "lies outside the days of the tables",
        "edge": f"has fewer than {study.SIDE} days of data before or after it"
                if s.seasons.days >= study.TREND_FROM
                else f"needs {study.TREND_FROM} days of data",
        "close": f"came less than {study.SIDE} days after another, whose step holds its own as well",
    }
    return Prose(" ".join(
        f"{escape(row.name)} ({day(row.day)}) {why[row.reason]}."
        for row in s.seasons.releases.itertuples(index=False) if row.reason
    ))


def _release_name(s: Study) -> str:
    release = _latest(s)
    row = s.seasons.releases.set_index("day").loc[release]
    return escape(row["name"] if isinstance(row, pd.Series) else row["name"].iloc[0])


def releases_table(s: Study) -> Prose:
    """Each release's step, change of slope, and what it brought."""
    z = s.seasons
    if z.release_effects.empty:
        return _no_step(s)
    names = z.releases.set_index("day")["name"]
    years, per = _span(s)
    rows = []
    for r in z.release_effects.itertuples():
        as_money = partial(money, digits=0) if r.measure == "revenue" else number
        rows.append({
            "Release": names[r.release], "Measure": LABELS[r.measure],
            "Step": _ratio(r.low, r.high, r.estimate), "p": p_value(r.p),
            "p, in sequence": p_value(r.p_adjusted),
            f"Change of trend, {per}": _ratio(
                years * r.slope_low, years * r.slope_high, years * r.slope)
            if math.isfinite(r.slope) else MISSING,
            "More since": f"{as_money(r.extra)} ({as_money(r.extra_low)}{NBSP}to{NBSP}"
                          f"{as_money(r.extra_high)})",
        })
    frame = pd.DataFrame(rows)
    formats = {name: Prose for name in frame.columns[2:]}
    if len(z.release_effects["release"].unique()) == 1:
        frame = frame.drop(columns="Release")
    return table(frame, formats)


def release(s: Study) -> Prose:
    """Where each measure is since the latest release, against what was to be expected."""
    if _latest(s) is None or s.seasons.release_effects.empty:
        return _no_release(s)
    by = {Finding.HIGHER: [], Finding.LOWER: [], Finding.EQUIVALENT: [], Finding.INCONCLUSIVE: []}
    for m in _fitted(s):
        r = _release_row(s, m)
        if r is not None:
            by[Finding(r.finding)].append((m, (
                f"{NAMES[m]} ({change(math.exp(r.estimate))}, {change(math.exp(r.low))} to "
                f"{change(math.exp(r.high))}; {p_value(r.p)})"
            )))
    texts = {
        Finding.HIGHER: "{} above {}", Finding.LOWER: "{} below {}",
        Finding.EQUIVALENT: f"{{}} within {percent(study.RELEVANT - 1, 0)} of {{}}",
        Finding.INCONCLUSIVE: "it is left open whether {} above or below {}",
    }
    parts = []
    for finding, items in by.items():
        if items:
            verb = _one_or_many(items[0][0], "is", "are") if len(items) == 1 else "are"
            parts.append(texts[finding].format(
                f"{listing(told for _, told in items)} {verb}", "that" if parts else _expected(s)))
    return Prose(
        f"Since {_release_name(s)}, out on {day(_latest(s))}, {'; '.join(parts)} (95% intervals in "
        "brackets)."
    )


def around(s: Study) -> Prose:
    """Which days the averages are shown for."""
    if _latest(s) is None:
        return Prose("The last days are shown in @fig-customers-step, since no release can be told "
                     "(@sec-customers-release).")
    return Prose("How does a release look in them? @fig-customers-step shows the days around it.")


def before_and_after(s: Study) -> Prose:
    """What plainly comparing the weeks before and after the release says; empty without one."""
    r = _release_row(s, "purchases")
    if r is None:
        return _no_step(s, "")
    if not r.before:
        return Prose(f"In the {study.SIDE} days before the release there were no purchases.")
    plain, modelled = r.after / r.before, math.exp(r.estimate)
    text = (
        f"In the {study.SIDE} days from the release on there were {count(int(r.after), 'purchase')}, in the "
        f"{study.SIDE} days before it {number(r.before)}: {change(plain)}."
    )
    if abs(math.log(plain) - r.estimate) > math.log(study.RELEVANT):
        text += (
            f" Held against {_expected(s)} it is {change(modelled)}: before/after compares two "
            "seasons as well as two versions."
        )
    else:
        text += f" Held against {_expected(s)} it is {change(modelled)}, not far from that."
    return Prose(text)


def release_mechanism(s: Study) -> Prose:
    """What changed since the release: attention or decisions; empty without a release."""
    views, bought = _release_row(s, "views"), _release_row(s, "purchases")
    if views is None or bought is None:
        return _no_step(s, "")
    moved = {str(Finding.HIGHER), str(Finding.LOWER)}
    if bought.finding in moved and views.finding == Finding.EQUIVALENT:
        return Prose(
            f"Purchases changed, and views by less than {percent(study.RELEVANT - 1, 0)}, if at all: "
            "what changed is above all the decision to buy, not how many come to decide."
        )
    if bought.finding in moved and views.finding in moved:
        return Prose(
            "Views changed as well as purchases, so how many people see a paywall is part of it, not "
            "only what they decide there."
        )
    if bought.finding in moved:
        return Prose(
            "Purchases changed; whether views did is left open, so the data do not say whether "
            "decisions or attention changed."
        )
    if views.finding in moved:
        return Prose("Views changed, but that purchases did is not shown.")
    return Prose("Neither views nor purchases are shown to have changed.")


def slope(s: Study) -> Prose:
    """Whether the trend changed with the release; empty without a release."""
    rows = [r for m in _fitted(s) if (r := _release_row(s, m)) and math.isfinite(r.slope)]
    if not rows:
        return _no_step(s, "")
    bent = [NAMES[r.measure] for r in rows if r.slope_p <= 0.05]
    if bent:
        return Prose(
            f"A step is not all: the trend of {listing(bent)} changed with the release as well, so "
            "how far it is from what was to be expected depends on when one looks."
        )
    widest = max(rows, key=lambda r: r.slope_high - r.slope_low)
    years, per = _span(s)
    return Prose(
        "That the trend changed too is not shown for any measure; but the interval for "
        f"{NAMES[widest.measure]} reaches from {change(math.exp(years * widest.slope_low))} to "
        f"{change(math.exp(years * widest.slope_high))} {per}, so a step that fades or grows is not ruled out."
    )


def placebo_figure(s: Study) -> p9.ggplot | Prose:
    """The strength of a step at every date: in the release's place, and beside the release."""
    frame = s.seasons.placebo
    if frame.empty:
        return _no_step(s)
    kinds = {"instead": "instead of the release", "beside": "beside the release"}
    names = [LABELS[m] for m in LABELS if m in set(frame["measure"])]
    frame = frame.melt(["measure", "day"], list(kinds), "kind", "z")
    frame = frame.assign(
        date=pd.to_datetime(frame["day"]),
        kind=pd.Categorical(frame["kind"].map(kinds), list(kinds.values())),
        measure=pd.Categorical(frame["measure"].map(LABELS), names))
    return (
        figures.Plot(frame, p9.aes("date", "z", color="kind", linetype="kind"))
        + p9.geom_hline(yintercept=[-1.96, 1.96], color=figures.GREY, linetype="dotted")
        + p9.geom_vline(xintercept=pd.Timestamp(_latest(s)), color=figures.INK, linetype="dotted")
        + p9.geom_line(na_rm=True)
        + p9.facet_wrap("measure", ncol=1)
        + figures.colours(kinds.values())
        + p9.scale_linetype_manual(dict(zip(kinds.values(), ("solid", "dashed"), strict=True)))
        + _dates(s.seasons.days)
        # no tick next to the dates below: in steps of 2.5 there is one at -5
        + p9.scale_y_continuous(breaks=lambda z: np.arange(-40, 41, 2 if max(abs(z[0]), z[1]) < 7 else 10))
        + p9.labs(x="Date of the step", y="z of the step")
        + figures.theme(height=4.6)
        + p9.theme(panel_spacing_y=0.03)
    )


def tried(s: Study) -> Prose:
    """On which other dates the step was tried; empty where there is none to try."""
    checks = s.seasons.placebo_checks
    if checks.empty:
        return Prose("")
    often = "every date" if s.seasons.days <= study.DAILY_SCAN else "one date a week"
    return Prose(
        f"The same step was tried on {often} that has {study.SIDE} days of data, and no other release, "
        "on either side: in place of the release, and beside it."
    )


def placebo(s: Study) -> Prose:
    """Where the release's date stands among others."""
    checks = s.seasons.placebo_checks.set_index("measure")
    if checks.empty:
        return _no_step(s, "Without a step there is none to try on another date.")
    m = "purchases" if "purchases" in checks.index else checks.index[0]
    c = checks.loc[m]
    false = percent(c.significant / c.others, 0) if c.others else MISSING
    if c.stronger:
        instead = (
            f"In its place, {count(int(c.stronger), 'other day')} of {number(c.dates)} would show "
            f"a stronger step in {NAMES[m]}, the strongest on {day(c.best)} (z = {number(c.best_z, 1)} against "
            f"{number(c.release_z, 1)}){_elsewhere(_release_row(s, m))}"
        )
    else:
        instead = (
            f"In its place, no other of {number(c.dates)} days would show as strong a step in "
            f"{NAMES[m]} (z = {number(c.release_z, 1)})."
        )
    if not c.others:
        return Prose(instead)
    beside = (
        f"With the release in the model, a further step was tried on {count(int(c.others), 'date')} at least "
        f"{study.SIDE} days away: {count(int(c.significant), 'is', 'are')} significant at 5% "
        f"({false}, where chance gives 5%), and {'none' if not c.as_strong else number(c.as_strong)} "
        f"as strong as the release's."
    )
    return Prose(f"{instead} {beside}")


def _elsewhere(r) -> str:
    """What stronger steps at other dates mean for that of the release, by what it is found to be."""
    if r.finding in (Finding.HIGHER, Finding.LOWER):
        return (
            ": a model without the release bends its trend and its season around it, and a step "
            "elsewhere then mends the bend. So the data alone would not have pointed to the release; "
            "its step is credible because the date was known beforehand."
        )
    if r.finding == Finding.EQUIVALENT:
        return (f". So the data alone would not have pointed to the release, and its step is within "
                f"{percent(study.RELEVANT - 1, 0)} either way.")
    return (". So the data alone would not have pointed to the release, and that there is a step at it "
            "is not shown.")


# --- Diagnostics ----------------------------------------------------------------------------------

def diagnostics_table(s: Study) -> Prose:
    """Dispersion and what is left in the residuals."""
    fits = s.seasons.fits[s.seasons.fits["reason"] == ""]
    if fits.empty:
        return _without_model(s, "residuals", study.WEEKLY_FROM)
    shown = pd.DataFrame({
        "Measure": fits["measure"].map(LABELS),
        "Variance / mean": [significant(r.dispersion / (100 if r.measure == "revenue" else 1), 3)
                            for r in fits.itertuples()],
        "Robust / naive error": fits["error_ratio"],
        "Correlation with the day before": fits["autocorrelation"],
        "Ljung–Box, 7 days": [p_value(p) for p in fits["ljung_box_7"]],
        "Ljung–Box, 28 days": [p_value(p) for p in fits["ljung_box_28"]],
    })
    two = partial(number, digits=2)
    return table(shown, {
        "Variance / mean": Prose, "Robust / naive error": two,
        "Correlation with the day before": two, "Ljung–Box, 7 days": Prose,
        "Ljung–Box, 28 days": Prose})


def residuals_figure(s: Study) -> p9.ggplot | Prose:
    """Autocorrelation of the residuals with the band of pure noise."""
    frame = s.seasons.residual_acf
    if frame.empty:
        return _without_model(s, "residuals", study.WEEKLY_FROM)
    names = [LABELS[m] for m in LABELS if m in set(frame["measure"])]
    shown = frame.assign(measure=pd.Categorical(frame["measure"].map(LABELS), names))
    reach = 1.96 / math.sqrt(s.seasons.days)
    return (
        figures.Plot(shown, p9.aes("lag", "correlation"))
        + p9.geom_hline(yintercept=[-reach, reach], color=figures.VERMILION, linetype="dashed")
        + p9.geom_hline(yintercept=0, color=figures.GREY)
        + p9.geom_segment(p9.aes(xend="lag", yend=0), color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1)
        + p9.facet_wrap("measure", ncol=3)
        + p9.scale_x_continuous(breaks=[7, 14, 21, 28])
        + p9.labs(x="Days apart", y="Correlation")
        + figures.theme(height=2.5)
    )


def diagnostics(s: Study) -> Prose:
    """What the residuals say about the errors."""
    fits = [row for row in s.seasons.fits.itertuples() if not row.reason]
    if not fits:
        return _without_model(s, "residuals", study.WEEKLY_FROM)
    text = _dependence(fits)
    counts = next((r for r in fits if r.measure == "purchases"), None)
    if counts is not None:
        text += (f" Purchases vary {number(counts.dispersion, 2)} times as much as a Poisson process "
                 "would.")
    return Prose(text)


def _dependence(fits: Sequence) -> str:
    """Whether days hang together beyond the model, all tests corrected, and how much they do."""
    tests = [(NAMES[r.measure], p, corrected) for r in fits for p, corrected in (
        (r.ljung_box_7, r.ljung_box_7_adjusted), (r.ljung_box_28, r.ljung_box_28_adjusted))
        if math.isfinite(p)]
    most = max(fits, key=lambda r: abs(r.autocorrelation))
    size = (
        f"the largest correlation with the day before is {number(most.autocorrelation, 2)} (95% "
        f"interval {interval(most.autocorrelation_low, most.autocorrelation_high, 2)}; "
        f"{NAMES[most.measure]})"
    )
    if not tests:
        return f"Whether days hang together beyond what the model says cannot be tested; {size}."
    alone, left = (list(dict.fromkeys(test[0] for test in tests if test[place] <= 0.05))
                   for place in (1, 2))
    said = p_value(min(corrected for *_, corrected in tests))
    least = f"the Ljung–Box test has {said}" if len(tests) == 1 else (
        f"of {number(len(tests))} Ljung–Box tests, corrected by Holm for their number, the clearest "
        f"has {said}")
    if left:
        return (f"Days are not wholly independent given the model: {least}, and something is left in "
                f"{listing(left)}, which is why the errors are robust to it; {size}.")
    if alone:
        own = sum(p <= 0.05 for _, p, _ in tests)
        least += f" (on {'its' if own == 1 else 'their'} own {number(own)} would be significant, in "
        least += f"{listing(alone)})"
    return (f"That days hang together beyond what the model says is not shown: {least}; {size}. Errors "
            "that allow for it are used all the same.")


# --- Forecast -------------------------------------------------------------------------------------

def _amount(measure: str):
    return partial(money, digits=0) if measure == "revenue" else number


def ahead(s: Study) -> Prose:
    """What the forecast and its intervals are made of."""
    if s.seasons.forecast_totals.empty:
        return _without_model(s, "a forecast", study.TREND_FROM)
    return Prose(
        "The same model looks ahead. Its intervals hold what is not known of the terms and the noise "
        "of days, drawn from the model's own residuals in blocks of two weeks [@kunsch1989], so that "
        "the long tail of revenue and days that hang together are in them."
    )


def earlier(s: Study) -> Prose:
    """How earlier forecasts are made and judged; empty where there are none."""
    if s.seasons.backtest.empty:
        return Prose("")
    return Prose(
        "So the model is fitted again at earlier dates, from the days before only, and its forecast "
        "compared with what came. The errors are divided by those of “as a week ago” in the days "
        "before [mean absolute scaled error, MASE, @hyndman2006]."
    )


def forecast_table(s: Study) -> Prose:
    """The next days' total against the last and against the seasonal-naive forecast."""
    frame = s.seasons.forecast_totals
    if frame.empty:
        return NO_FORECAST
    rows = []
    for r in frame.itertuples():
        show = _amount(r.measure)
        rows.append({
            "Measure": LABELS[r.measure], f"Last {study.AHEAD} days": show(r.last),
            f"Next {study.AHEAD} days": show(r.total),
            "95% interval": f"{show(r.low)}{NBSP}to{NBSP}{show(r.high)}",
            "With past errors": f"{show(r.wide_low)}{NBSP}to{NBSP}{show(r.wide_high)}"
            if math.isfinite(r.wide_high) else MISSING,
            "As in the last week": show(r.naive),
        })
    shown = pd.DataFrame(rows)
    return table(shown, {name: Prose for name in shown.columns[1:]})


def forecast_figure(s: Study) -> p9.ggplot | Prose:
    """The last weeks and the forecast with its band, day by day."""
    frame = s.seasons.forecast_days
    if frame.empty:
        return NO_FORECAST
    scale = {"revenue": 100.0, "purchases": 1.0}
    names = [LABELS[m] for m in scale if m in set(frame["measure"])]
    past = pd.concat([
        pd.DataFrame({"day": s.daily["day"], "value": s.daily[m] / scale[m], "measure": m}
                     ).tail(2 * study.AHEAD)
        for m in scale if m in set(frame["measure"])
    ])
    frame = frame.assign(**{
        name: frame[name] / frame["measure"].map(scale) for name in ("mean", "low", "high", "naive")
    })
    past, frame = (
        f.assign(day=pd.to_datetime(f["day"]),
                 measure=pd.Categorical(f["measure"].map(LABELS), names))
        for f in (past, frame)
    )
    lines = frame.melt(["measure", "day"], ["mean", "naive"], "kind", "value")
    kinds = ("model", "as in the last week")
    lines["kind"] = pd.Categorical(
        lines["kind"].map(dict(zip(("mean", "naive"), kinds, strict=True))), kinds)
    return (
        figures.Plot(frame, p9.aes("day"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill=figures.BLUE, alpha=0.18)
        + p9.geom_line(p9.aes(y="value"), data=past, color=figures.INK, size=0.5)
        + p9.geom_line(p9.aes(y="value", color="kind", linetype="kind"), data=lines)
        + p9.facet_wrap("measure", ncol=1, scales="free_y")
        + figures.colours(kinds)
        + p9.scale_linetype_manual(dict(zip(kinds, ("solid", "dashed"), strict=True)))
        + p9.scale_x_datetime(date_breaks="2 weeks", date_labels="%-d %b")
        + p9.scale_y_continuous(labels=figures.thousands)
        + p9.labs(x="", y="A day")
        + figures.theme(height=4.0)
    )


def forecast(s: Study) -> Prose:
    """What the next weeks bring."""
    frame = s.seasons.forecast_totals
    if frame.empty:
        return _without_model(s, "a forecast", study.TREND_FROM)
    parts = []
    for r in frame.itertuples():
        show = _amount(r.measure)
        parts.append(f"{show(r.total)} of {NAMES[r.measure]} (95% interval {show(r.low)} to "
                     f"{show(r.high)}; the last {study.AHEAD} days brought {show(r.last)})"
                     .replace(" of purchases", " purchases"))
    end = dt.date.fromisoformat(s.seasons.last_day)
    first = (end + dt.timedelta(1)).isoformat()
    last = (end + dt.timedelta(study.AHEAD)).isoformat()
    text = f"From {day(first)} to {day(last)} the model expects {listing(parts)}."
    wide = [
        f"{low_to_high(_amount(r.measure)(r.wide_low), _amount(r.measure)(r.wide_high))} ({NAMES[r.measure]})"
        for r in frame.itertuples() if r.wide_high > r.high * (1 + 1e-9)
    ]
    if wide:
        text += f" With surprises as in the past, plan for {listing(wide)}."
    return Prose(text)


def backtest_table(s: Study) -> Prose:
    """How earlier forecasts did."""
    frame = s.seasons.backtest
    if frame.empty:
        return NO_EARLIER
    shown = pd.DataFrame({
        "Measure": frame["measure"].map(LABELS),
        "Days in their interval": frame["covered_days"],
        "Totals in theirs": [f"{r.covered} of {r.origins}" for r in frame.itertuples()],
        "Error of totals": frame["total_error"],
        "MASE, model": frame["mase"],
        "MASE, last week": frame["naive_mase"],
        "MASE, last four weeks": frame["month_mase"],
    })
    two = partial(number, digits=2)
    return table(shown, {
        "Days in their interval": percent, "Totals in theirs": Prose,
        "Error of totals": partial(percent, digits=0), "MASE, model": two, "MASE, last week": two,
        "MASE, last four weeks": two})


def backtest_figure(s: Study) -> p9.ggplot | Prose:
    """Each forecast of a total with its interval, and what came."""
    frame = s.seasons.backtest_origins
    if frame.empty:
        return NO_EARLIER
    scale = frame["measure"].map({"revenue": 100.0, "purchases": 1.0})
    names = [LABELS[m] for m in ("revenue", "purchases") if m in set(frame["measure"])]
    frame = frame.assign(
        day=pd.to_datetime(frame["origin"]),
        measure=pd.Categorical(frame["measure"].map(LABELS), names),
        **{name: frame[name] / scale for name in ("actual", "total", "low", "high")},
    )
    kinds = ("came, inside the interval", "came, outside")
    frame["came"] = pd.Categorical(np.where(frame["covered"], *kinds), kinds)
    return (
        figures.Plot(frame, p9.aes("day"))
        + p9.geom_errorbar(p9.aes(ymin="low", ymax="high"), color=figures.GREY, width=8)
        + p9.geom_point(p9.aes(y="total"), color=figures.GREY, shape="s", size=1.6)
        + p9.geom_point(p9.aes(y="actual", color="came", shape="came"), size=2.4)
        + p9.facet_wrap("measure", ncol=1, scales="free_y")
        + figures.colours(kinds)
        + p9.scale_shape_manual(dict(zip(kinds, ("o", "X"), strict=True)))
        + _dates(study.AHEAD * len(set(frame["origin"])))
        + p9.scale_y_continuous(labels=figures.thousands)
        + p9.labs(x="First day of the forecast", y=f"Total of {study.AHEAD} days")
        + figures.theme(height=4.0)
    )


def backtest(s: Study) -> Prose:
    """Whether the intervals of earlier forecasts held, and what the model is worth."""
    z = s.seasons
    if z.backtest.empty:
        if z.forecast_totals.empty:
            return Prose("Without a forecast there is none to compare with what came.")
        return Prose("The period is too short to try the forecast on days that are known already.")
    texts = []
    for r in z.backtest.itertuples():
        share = intervals.proportion(r.covered, r.origins)
        text = (
            f"Of {count(r.origins, 'earlier forecast')} of the total of {NAMES[r.measure]}, "
            f"{_of_them(r.covered, r.origins)} had what came in their 95% interval"
        )
        if share.high < 0.95:
            text += (f", fewer than promised (a rate of {interval(100 * share.low, 100 * share.high, 0, '%')})")
            missed = r.origins - r.covered
            if r.changed:
                text += (f"; {number(r.changed)} of the {number(missed)} missed came "
                         "when a release or the test had just begun, which no model of the past could know")
        texts.append(f"{text}.")
    texts.append(_stretch(s))
    texts.append(_worth(s))
    return Prose(" ".join(text for text in texts if text))


def _of_them(some: int, every: int) -> str:
    """So many of some things, as the subject of a sentence that has named all."""
    if some == every == 2:
        return "both"
    return f"{'all ' if some == every > 1 else ''}{number(some)}"


def _stretch(s: Study) -> str:
    """How many times as large the past errors of totals were as the intervals allow."""
    wide = [r for r in s.seasons.backtest.itertuples() if r.stretch >= 1.05]
    if not wide:
        return ""
    parts = [f"{number(r.stretch, 1)} ({NAMES[r.measure]})" for r in wide]
    return (
        f"Past errors of totals were, as root mean squares, {listing(parts)} times as large as the intervals allow; "
        "the model's own intervals are right if nothing new happens, the wider ones of @tbl-customers-forecast if "
        "the future brings such surprises as the past did."
    )


def backtest_wave(s: Study) -> Prose:
    """Whether the models of earlier dates have a yearly wave, and data for it; empty without any."""
    z = s.seasons
    if z.backtest_origins.empty:
        return Prose("")
    if not z.backtest_yearly:
        return Prose("Like today's model, those of earlier dates have no yearly wave.")
    first = dt.date.fromisoformat(z.first_day)
    before = [(dt.date.fromisoformat(origin) - first).days
              for origin in z.backtest_origins["origin"].unique()]
    short = [days for days in before if days < study.YEARLY_FROM]
    if not short:
        return Prose(
            "Like today's model, those of earlier dates have a yearly wave, and all have the "
            f"{study.YEARLY_FROM} days that it takes (@sec-customers-trend)."
        )
    have = number(min(short)) if len(set(short)) == 1 else f"{number(min(short))} to {number(max(short))}"
    if len(short) < len(before):
        who = f"{number(len(short))} of the {number(len(before))} dates {'has' if len(short) == 1 else 'have'}"
    else:
        who = f"all {number(len(before))} dates have" if len(before) > 1 else "the only date has"
    return Prose(
        f"Like today's model, those of earlier dates have a yearly wave, although {who} fewer than the "
        f"{study.YEARLY_FROM} days of data that it takes (@sec-customers-trend), {have}: it is the form of "
        "today's model that is tried. With so few days season and growth are told apart less surely "
        "than today."
    )


def _worth(s: Study) -> str:
    better = [r for r in s.seasons.backtest.itertuples() if r.mase < min(r.naive_mase, r.month_mase)]
    if len(better) == len(s.seasons.backtest):
        gains = [f"{percent(1 - r.mase / r.naive_mase, 0)} ({NAMES[r.measure]})" for r in better]
        plain = [f"{percent(1 - r.mase / r.month_mase, 0)} ({NAMES[r.measure]})" for r in better]
        return (
            f"Day by day its errors are smaller than those of repeating the last week, by {listing(gains)}, and "
            f"than those of repeating the weekdays' means of the last four weeks, by {listing(plain)}."
        )
    worse = [NAMES[r.measure] for r in s.seasons.backtest.itertuples() if r not in better]
    return f"For {listing(worse)} a plain repeat of past weeks did as well day by day, or better."


# --- What it means --------------------------------------------------------------------------------

def release_money(s: Study) -> Prose:
    """How far revenue is from what was to be expected since the latest release."""
    r = _release_row(s, "revenue")
    if r is None:
        return _no_step(s)
    if r.finding == Finding.INCONCLUSIVE:
        return Prose(
            f"Whether revenue since {_release_name(s)} is above or below {_expected(s)} is open: the difference "
            f"is {money(r.extra, 0)}, with a 95% interval of {low_to_high(money(r.extra_low, 0), money(r.extra_high, 0))}, of "
            f"{money(r.since, 0)} in all."
        )
    if r.finding == Finding.EQUIVALENT:
        return Prose(
            f"Since {_release_name(s)} revenue is within {percent(study.RELEVANT - 1, 0)} of {_expected(s)}: the "
            f"difference is {money(r.extra, 0)} (95% interval {low_to_high(money(r.extra_low, 0), money(r.extra_high, 0))})."
        )
    side, size = ("above", 1) if r.finding == Finding.HIGHER else ("below", -1)
    low, high = sorted((size * r.extra_low, size * r.extra_high))
    return Prose(
        f"Since {_release_name(s)} revenue is {money(size * r.extra, 0)} (95% interval {money(low, 0)} to "
        f"{money(high, 0)}) {side} {_expected(s)}; it came to {money(r.since, 0)} in all."
    )


def not_an_experiment(s: Study) -> Prose:
    """The limit of an interrupted time series."""
    if _latest(s) is None or s.seasons.release_effects.empty:
        return _no_step(s)
    return Prose(
        f"Everybody got {_release_name(s)} on one day, so nobody is left to compare with: whatever else "
        "began on that day, a campaign or a price, is in the step as well. A test with two groups "
        "has no such doubt."
    )


def against_the_model(s: Study) -> Prose:
    """What to hold a month against, with what the model has told of release and year."""
    peak = s.seasons.effect("purchases", "peak")
    told = peak is not None and math.isfinite(peak.low)
    return paragraph(
        before_and_after(s), next_peak(s) if told else "",
        nothing="Two months differ by trend, week and chance at once (@sec-customers-trend).")


def next_peak(s: Study) -> Prose:
    """When to expect the next peak of purchases."""
    m = next((m for m in ("purchases", "views") if s.seasons.effect(m, "peak")), None)
    if m is None:
        why = _without_model(s, "a yearly wave", study.YEARLY_FROM)
        return Prose(f"When to expect the next peak cannot be said. {why}")
    peak = s.seasons.effect(m, "peak")
    if not math.isfinite(peak.low):
        return Prose(f"When to expect the next peak of {NAMES[m]} cannot be said: a yearly wave of "
                     "them is not shown.")
    return Prose(
        f"Plan for the peak of {NAMES[m]} between {_calendar_day(peak.low)} and "
        f"{_calendar_day(peak.high)}, whatever the trend does."
    )


def answer(s: Study) -> Prose:
    """The second question's answer."""
    m = next((m for m in ("revenue", "purchases", "views") if _trend(s, m)), None)
    if m is None:
        days = s.seasons.days
        covered = f"The tables cover {count(days, 'day')}. " if days < study.TREND_FROM else ""
        return Prose(covered + trend(s))
    grown, peak = _trend(s, m), s.seasons.effect(m, "peak")
    apart = f"{listing(_apart(s))} apart, " if _apart(s) else ""
    text = capital(
        f"{'trend and season together, ' if peak is None else ''}{apart}**{NAMES[m]}** "
        f"{_one_or_many(m, 'changes', 'change')} by {_changed(grown)} {_span(s)[1]}"
    )
    if peak is not None and math.isfinite(peak.low):
        text += f" and {_one_or_many(m, 'peaks', 'peak')} around {_calendar_day(peak.estimate)}"
    return Prose(f"{text}{_since_release(s)}.")


def _since_release(s: Study) -> str:
    """Where purchases are since the latest release, as the end of a sentence; empty without one."""
    r = _release_row(s, "purchases")
    if r is None:
        return ""
    name = f"**{_release_name(s)}**"
    sizes = [math.expm1(value) for value in (r.estimate, r.low, r.high)]
    if r.finding in (Finding.HIGHER, Finding.LOWER):
        low, size, high = sorted(map(abs, sizes))
        side = "above" if r.finding == Finding.HIGHER else "below"
        return (f"; since {name} purchases are {percent(size, 0)} ({percents(low, high, 0)}) {side} "
                f"{_expected(s)}, with no control group to compare with")
    size = _changed(Interval(r.estimate, r.low, r.high, 0.95, ""))
    if r.finding == Finding.EQUIVALENT:
        return (f"; since {name} purchases are within {percent(study.RELEVANT - 1, 0)} of "
                f"{_expected(s)}, {size}")
    return f"; whether purchases are above or below {_expected(s)} since {name} is open, {size}"
