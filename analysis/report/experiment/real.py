"""Is the log real: what each sign shows in the trialers' events, the verdict, what follows from it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment.real import (
    ALPHA,
    FEW_FAULTS,
    MANY_FAULTS,
    REPEAT,
    RETRY,
    SESSION,
    STRETCH,
)
from analysis.forensics import measured, rates, shapes, ties, uniformity
from analysis.forensics.verdict import Reading
from analysis.report import figures, forensics
from analysis.report.text import (
    Prose,
    capital,
    count,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_value,
    paragraph,
    percent,
    percents,
)

UNTOLD = Prose("not to be told")
# The worlds of `forensics.measured` as they are for trialers.
WORLDS = {
    "recorded": "looks recorded: bursts, breaks, persons, office hours, faults",
    "shipped": "made as the shipped tables are, with care",
    "uniform": "made: each step by itself, times evenly spread",
    "bells": "made: each step by itself, bell-shaped and log-normal times",
    "shuffled": "made: columns as recorded, each shuffled",
    "copied": "made with care: lives copied at other times and paces",
}
CAREFUL = ("shipped", "copied")
DURATIONS = {
    "onset": "Start to trouble, task 1", "pause": "Between tasks 1 and 2",
    "time": "Task 1 without trouble",
}
SPOKEN = {
    "onset": "the time from start to trouble", "pause": "the pause between two tasks",
    "time": "the time for a task without trouble",
}
PAIRS = {
    ("hour", "agent"): "the hour and the choice of an agent (who has office hours)",
    ("trouble", "time"): "trouble and the time a task takes",
    ("trouble", "completed"): "trouble and completion",
    ("restart", "trouble"): "restarts and trouble",
    ("completions", "converted"): "completed tasks and conversion",
}
SAME = {"time": "time", "trouble": "trouble", "choice": "choice of help"}


def _because(s: Study) -> Prose:
    """The kinds that speak for either side, for the answer."""
    v = s.real.verdict
    sides = []
    if v.recorded:
        sides.append(f"{count(v.recorded, 'kind')} of signs {'speaks' if v.recorded == 1 else 'speak'} for a "
                     f"recorded log ({forensics.kinds_said(v, Reading.RECORDED)})")
    if v.simulated:
        many = number(v.simulated) if v.recorded else Prose(f"{count(v.simulated, 'kind')} of signs")
        sides.append(f"{many} {'speaks' if v.simulated == 1 else 'speak'} for a made {'one' if v.recorded else 'log'} "
                     f"({forensics.kinds_said(v, Reading.SIMULATED)})")
    if not sides:
        return Prose("no kind of sign speaks clearly for either")
    return listing(sides)


def answer(s: Study) -> Prose:
    """The answer to the fun question, with how it is known."""
    reading, because = s.real.verdict.reading, _because(s)
    if s.shipped:
        known = ("the tables shipped with this book are synthetic, made by a generator in it, and we know it because "
                 "they say so")
        told = {
            Reading.SIMULATED: f"**Simulated, and it shows**: {because}. That is right: {known}.",
            Reading.RECORDED: (
                f"**Simulated, but only because we know it**: {because}, so by their look the tables were recorded. "
                f"That is wrong: {known}."),
            Reading.NOTHING: (
                f"**Simulated, but the tables alone don’t give it away**: {because}, which is no verdict. "
                f"Still, {known}."),
        }[reading]
        return Prose(f"{told} The source’s own tables are not published, so of these nothing can be said.")
    return Prose({
        Reading.SIMULATED: f"**Simulated, by a simple generator**: {because}.",
        Reading.RECORDED: (f"**It looks real**: {because}, and none for a made one. A careful simulation would look "
                           "the same."),
        Reading.NOTHING: f"**That can’t be told from the tables**: {because}.",
    }[reading])


def rule(s: Study) -> Prose:
    """The rule of the verdict."""
    return forensics.rule(s.real.verdict)


def margins(s: Study) -> Prose:
    """What is still called missing, or simple."""
    return Prose(
        f"Missing is what is shown to be smaller than a margin: a tie below {number(ties.MARGIN, 1)} on the scale of "
        f"correlations; a shape within {number(uniformity.MARGIN, 1)} of a simple distribution on the scale of Cohen’s "
        f"w (the nearest of {listing(shapes.FAMILIES)}); a rate that changes by less than {percent(rates.MARGIN, 0)} of "
        f"its mean for a standard deviation of time. "
        f"Faults count for a recorded log if they are more than {number(1e4 * FEW_FAULTS)} in 10,000; if more than "
        f"{percent(MANY_FAULTS, 0)} of the events are out of order, no clock has timed them. "
        "That a log has no faults, no retries and no bursts speaks for nothing: logs are cleaned before they are "
        "handed on, and people who know nothing of each other arrive as a Poisson process in any case "
        "[@paxson1995].")


def kinds_table(s: Study) -> Prose:
    """What a recorded and a made log would show."""
    return forensics.kinds_table(s.real.verdict)


def signs_table(s: Study) -> Prose:
    """All signs: found, tested, read."""
    return forensics.signs_table(s.real.verdict, {sign: f(s) for sign, f in FOUND.items()})


def confusion_table(s: Study) -> Prose:
    """How tables of known origin were judged."""
    return forensics.confusion_table(measured.confusion(measured.TRIALERS), WORLDS, "customers")


def reliability(s: Study) -> Prose:
    """How often the verdict was right."""
    confusion = measured.confusion(measured.TRIALERS)
    sizes = [f"{number(row['recorded'])} of {number(row['runs'])} with {number(size)} customers"
             for size, row in confusion.loc["shipped"].iterrows()]
    return paragraph(
        forensics.confusion_sentence(confusion, CAREFUL, "customers"),
        f"Among them are logs made as the shipped one is: {listing(sizes)} were judged recorded, which they are not.")


# What each sign found, as an entry of the table.


def _rhythm(s: Study) -> Prose:
    c = s.real.rhythm
    return UNTOLD if c is None else Prose(
        f"resultant {number(c.resultant, 2)}, 0 without and 1 if all come at one time")


def _profile(s: Study) -> Prose:
    f = s.real.profile
    return UNTOLD if f is None else Prose(f"nearest: {f.family}, w {number(f.w, 2)}")


def _bursts(s: Study) -> Prose:
    rows = s.real.bursts
    if rows.empty:
        return UNTOLD
    parts = [f"{number(row['index'], 2)} in spans of {count(int(width), 'minute')}"
             for width, row in rows.iterrows()]
    return Prose(f"index of dispersion {listing(parts)}; 1 by chance")


def _gaps(s: Study) -> Prose:
    g = s.real.gaps
    return UNTOLD if g is None else Prose(
        f"variance {number(g.index, 2)} times that of exponential gaps ({interval(g.low, g.high, 2)})")


def _coincidences(s: Study) -> Prose:
    c = s.real.coincidences
    return UNTOLD if c is None else Prose(
        f"{count(c.pairs, 'pair')}, by chance {number(c.expected, 0 if c.expected >= 10 else 1)}")


def _seconds(s: Study) -> Prose:
    if s.real.seconds is None:
        return Prose("the clock shows minutes only")
    share = s.real.seconds.on_the_minute
    return Prose(f"{percent(share.estimate)} ({percents(share.low, share.high)}) at second 0, by chance "
                 f"{percent(1 / 60)}")


def _quarters(s: Study) -> Prose:
    q = s.real.quarters
    return UNTOLD if q is None else Prose(
        f"{number(q.ratio, 2)} times ({interval(q.low, q.high, 2)}) as frequent as other minutes")


def _retries(s: Study) -> Prose:
    r = s.real.retries
    if r is None:
        return Prose("none repeated within a minute" if s.real.clock == 1 else "the clock shows minutes only")
    return Prose(f"of {count(r.repeats, 'repeat')} within {count(REPEAT, 'second')}, {number(r.retries)} within "
                 f"{number(RETRY)}")


def _faults(s: Study) -> Prose:
    f = s.real.faults
    if f is None:
        return UNTOLD
    text = f"{count(f.cases, 'fault')} in {number(f.of)} places"
    if f.disorder is not None:
        text += f"; {percent(f.disorder.estimate, 1 if f.disorder.estimate >= 0.01 else 2)} out of order"
    return Prose(text)


def _same_person(s: Study) -> Prose:
    rows = s.real.people
    if rows.empty:
        return UNTOLD
    parts = [f"{SAME[what]} {_range(part['size'])}"
             for what, part in rows.groupby("what", sort=False)]
    return Prose(f"correlations: {listing(parts)}")


def _range(values: pd.Series) -> Prose:
    low, high = number(values.min(), 2), number(values.max(), 2)
    return low if low == high else low_to_high(low, high)


def _there(rows: pd.DataFrame) -> tuple[int, int]:
    """How many pairs are shown to be tied, and how many not to be."""
    return (int((rows["adjusted_value"] <= ALPHA).sum()), int((rows["adjusted_absent"] <= ALPHA).sum()))


def _named_ties(s: Study) -> Prose:
    rows = s.real.named
    if rows.empty:
        return UNTOLD
    there, gone = _there(rows)
    return Prose(f"of {number(len(rows))}, {number(there)} tied, {number(gone)} shown to be tied by less than the "
                 "margin")


def _all_pairs(s: Study) -> Prose:
    p = s.real.picture
    return UNTOLD if p is None else Prose(
        f"{number(p.tied)} of {number(p.pairs)} tied at 5%, by chance {number(p.by_chance, 1)}")


def _simple_shapes(s: Study) -> Prose:
    if not s.real.shapes:
        return UNTOLD
    return listing(f"{SPOKEN[name].removeprefix('the ')}: {shape.family}, w {number(shape.w, 2)}"
                   for name, shape in s.real.shapes.items())


def _decisions(s: Study) -> Prose:
    t = s.real.deciders
    return UNTOLD if t is None else Prose(
        f"rate among those who convert: {percent(t.size, 0)} ({percents(t.low, t.high, 0)}) of its mean for a "
        "standard deviation of days")


def _interplay(s: Study) -> Prose:
    a = s.real.interplay
    return UNTOLD if a is None else Prose(
        f"χ² {number(a.statistic, 1)} on {count(a.df, 'degree')} of freedom")


def _allocation(s: Study) -> Prose:
    a = s.real.allocation
    if a is None:
        return UNTOLD
    test = s.customers["Test"]
    return Prose(f"{percent(test / a.n, 2)} in Test, {number(abs(test - a.n * s.real.share), 0)} customers from "
                 f"{percent(s.real.share, 0)}")


def _turns(s: Study) -> Prose:
    t = s.real.turns
    return UNTOLD if t is None else Prose(
        f"{number(t.ratio, 2)} times ({interval(t.low, t.high, 2)}) as many changes as lots make")


def _constant(s: Study) -> Prose:
    h = s.real.constant
    return UNTOLD if h is None else Prose(
        f"hours vary {percent(h.dispersion, 0)} as much as chance makes them")


def _even_seconds(s: Study) -> Prose:
    f = s.real.seconds.fit if s.real.seconds else None
    return UNTOLD if f is None else Prose(
        f"χ² {number(f.statistic, 1)} on {number(f.df)} degrees of freedom")


def _numbering(s: Study) -> Prose:
    n = s.real.numbering
    if n is None or not math.isfinite(n.p_ordered):
        return UNTOLD
    gaps = "no gaps" if n.consecutive else f"{percent(n.used, 0)} in use"
    return Prose(f"{gaps}, correlation with the first start {number(n.r, 2)}")


FOUND = {
    "rhythm": _rhythm, "profile": _profile, "bursts": _bursts, "gaps": _gaps,
    "coincidences": _coincidences, "seconds": _seconds, "quarters": _quarters, "retries": _retries,
    "faults": _faults, "same_person": _same_person, "named_ties": _named_ties,
    "all_pairs": _all_pairs, "simple_shapes": _simple_shapes, "decisions": _decisions,
    "interplay": _interplay, "allocation": _allocation, "turns": _turns, "constant": _constant,
    "even_seconds": _even_seconds, "numbering": _numbering,
}


# Some of them in sentences and figures.


def _says(s: Study, sign: str, reading: Reading) -> bool:
    return s.real.verdict.signs.loc[sign, "reading"] == reading.value


def arrivals(s: Study) -> Prose:
    """How customers arrive."""
    r = s.real
    if r.rhythm is None:
        return Prose("Nobody started on the day of the test, so there are no arrivals to look at.")
    parts = []
    if _says(s, "rhythm", Reading.SIMULATED):
        parts.append("Customers are shown to arrive at all hours alike, as if there were no night.")
    elif r.rhythm.p_cycle <= ALPHA:
        parts.append(f"Arrivals know the time of day: they gather around {_clock(r.rhythm.peak)} "
                     f"({p_value(r.rhythm.p_cycle)}).")
    else:
        parts.append("No course of the day is shown in the arrivals.")
    if _says(s, "profile", Reading.SIMULATED):
        parts.append(f"Over the day they are shown to have one simple shape ({r.profile.family}), which a day of "
                     "work, meals and sleep does not have.")
    elif _says(s, "profile", Reading.RECORDED):
        parts.append("Their course over the day has none of the simple shapes.")
    odd = [name for sign, name in (("bursts", "bursts"), ("gaps", "gaps too irregular for chance"),
                                   ("coincidences", "more in the same second than chance puts there"))
           if _says(s, sign, Reading.RECORDED)]
    even = [name for sign, name in (("bursts", "too even from one span to the next"),
                                    ("gaps", "at too even distances"),
                                    ("coincidences", "too seldom in the same second"))
            if _says(s, sign, Reading.SIMULATED)]
    if odd:
        parts.append(f"From moment to moment there are {listing(odd)}: something other than single customers has "
                     "a hand in it.")
    if even:
        parts.append(f"They come {listing(even)}: something has spread them.")
    looked = [name for name, found in (("spans of minutes", not r.bursts.empty),
                                       (f"gaps within {count(STRETCH, 'minute')}", r.gaps),
                                       ("pairs in one second", r.coincidences)) if found]
    if looked and not odd and not even:
        parts.append(f"From moment to moment nothing is shown that a Poisson process, people who know nothing of each "
                     f"other, would not do (by {listing(looked)}); that fits either origin.")
    return paragraph(*parts)


def _clock(share: float) -> Prose:
    """A time of day from a share of the day."""
    minutes = round(share * 24 * 60) % (24 * 60)
    return Prose(f"{minutes // 60}:{minutes % 60:02d}")


def people(s: Study) -> Prose:
    """Whether a person is the same in all tasks, and what goes with what."""
    parts = []
    rows = s.real.people
    if _says(s, "same_person", Reading.RECORDED):
        parts.append(f"The same person is alike from task to task ({_same_person(s)}), which draws of one task at a "
                     "time would not bring about.")
    elif _says(s, "same_person", Reading.SIMULATED):
        parts.append(f"From task to task there is no person: {_same_person(s)}, most of them shown to be below "
                     f"{number(ties.MARGIN, 1)}. People are not like that; the slow stay slow.")
    elif not rows.empty:
        parts.append(f"Whether the same person is alike from task to task is not shown ({_same_person(s)}).")
    named = s.real.named
    if named.empty:
        parts.append("None of the pairs that have to go together can be looked at.")
    else:
        tied = [PAIRS[pair] for pair in named.index[named["adjusted_value"] <= ALPHA]]
        rest = [PAIRS[pair] for pair in named.index[named["adjusted_value"] > ALPHA]]
        if tied:
            parts.append(f"What has to go together and does: {'; '.join(tied)}.")
        if rest:
            parts.append(f"What has to go together and is not shown to: {'; '.join(rest)}.")
    return paragraph(*parts)


def durations(s: Study) -> Prose:
    """Whether durations have a simple shape, and how conversions run along the days."""
    found = s.real.shapes
    if not found:
        return paragraph("There are too few durations to see a shape in.", _conversions(s))
    simple = {name: f for name, f in found.items() if len(found) * f.p_simple <= ALPHA}
    other = {name: f for name, f in found.items() if len(found) * f.p_other <= ALPHA and name not in simple}
    parts = []
    if simple:
        many = len(simple) > 1
        parts.append(
            f"{capital(listing(SPOKEN[name] for name in simple))} {'are' if many else 'is'} too simple: shown to be "
            f"within {number(uniformity.MARGIN, 1)} of a {listing(dict.fromkeys(f.family for f in simple.values()), 'or')} "
            f"distribution (w at most {number(max(f.high for f in simple.values()), 2)}, where the 95% "
            f"{'intervals end' if many else 'interval ends'}). What people do has breaks, timers, the quick and the "
            "thorough in it.")
        if not _says(s, "simple_shapes", Reading.SIMULATED):
            parts.append("Among all the signs together that is not enough to count.")
    if other:
        many = len(other) > 1
        parts.append(
            f"{capital(listing(SPOKEN[name] for name in other))} {'have' if many else 'has'} none of the simple shapes "
            f"(w {'at least ' if many else ''}{number(min(f.w for f in other.values()), 2)} from the nearest), as "
            "mixtures of people don’t.")
    if not parts:
        parts.append(f"Of {listing(SPOKEN[name] for name in found)} it is not shown that "
                     f"{'it has' if len(found) == 1 else 'they have'} a simple shape, nor that "
                     f"{'it has' if len(found) == 1 else 'they have'} none.")
    return paragraph(*parts, _conversions(s))


def _conversions(s: Study) -> Prose:
    """How conversions run along the days; empty where that tells nothing."""
    if _says(s, "decisions", Reading.SIMULATED):
        return Prose("Conversions run along the days as a simple generator has them: the same number every day, or "
                     "every day the same share of those who still will.")
    if _says(s, "decisions", Reading.RECORDED):
        return Prose("Conversions taper off faster than if every day took the same share of those who still will: "
                     "some decide at once, others wait.")
    return Prose("")


def log(s: Study) -> Prose:
    """What happened to the log: faults, retries, round times; and whether the lots were too exact."""
    r = s.real
    parts = []
    f = r.faults
    if _says(s, "faults", Reading.RECORDED):
        parts.append(f"{count(f.cases, 'event')} {'is' if f.cases == 1 else 'are'} lost or out of order, as in logs of "
                     "many computers; a program makes none unless it is told to.")
    elif _says(s, "faults", Reading.SIMULATED):
        parts.append(f"{percent(f.disorder.estimate, 0)} of the events are out of order, far too many for faults of a "
                     "clock.")
    habits = [name for sign, name in (("retries", "actions are done twice within seconds"),
                                      ("seconds", "some times are rounded to the minute"),
                                      ("quarters", "times heap at the quarters of the hour"))
              if _says(s, sign, Reading.RECORDED)]
    if habits:
        parts.append(f"{capital(listing(habits))}: the traces of hands and of timetables.")
    if _says(s, "numbering", Reading.RECORDED):
        parts.append("Customers are numbered in the order in which they came, with gaps, as registers do.")
    exact = [name for sign, name in (
        ("allocation", "the cohorts have too exactly the sizes that were to be dealt"),
        ("turns", "cohorts take turns more often than lots would, as if dealt in small blocks"),
        ("constant", "the share of Test is more constant over the hours than lots make it"),
        ("even_seconds", "the seconds are more even than chance")) if _says(s, sign, Reading.SIMULATED)]
    if exact:
        parts.append(f"Too exact: {listing(exact)}.")
    elif r.allocation is not None:
        parts.append(f"That the cohorts’ sizes are too exact for lots is not shown, all signs allowed for (to come so "
                     f"near to {percent(r.share, 0)}, or nearer, has {p_value(r.allocation.p_closer)}).")
    return paragraph(*parts) or Prose("Neither faults nor habits of a log are shown.")


def arrivals_figure(s: Study) -> p9.ggplot | Prose:
    """First starts by quarter of an hour."""
    if not s.real.arrived.sum():
        return Prose("Nobody started on the day of the test, so there is nothing to draw.")
    counts = s.real.arrived.reshape(-1, 15).sum(axis=1)
    rows = pd.DataFrame({"hour": (np.arange(counts.size) + 0.5) / 4, "n": counts})
    return (
        figures.Plot(rows, p9.aes("hour", "n"))
        + p9.geom_col(width=0.25, fill=figures.SKY)
        + p9.geom_hline(yintercept=counts.mean(), color=figures.VERMILION, linetype="dashed")
        + p9.scale_x_continuous(breaks=range(0, 25, 4), labels=[f"{hour}:00" for hour in range(0, 25, 4)])
        + p9.scale_y_continuous(labels=figures.thousands)
        + p9.labs(x="Time of the first start", y="Customers in 15 minutes")
        + figures.theme(height=2.8)
        + p9.theme(panel_grid_major_x=p9.element_blank())
    )


def durations_figure(s: Study) -> p9.ggplot | Prose:
    """Durations against the nearest simple distribution: the share in each cell over that expected."""
    if not s.real.shapes:
        return Prose("There are too few durations to be drawn.")
    parts = []
    for name, f in s.real.shapes.items():
        cells = pd.DataFrame(dict(f.cells))
        parts.append(pd.DataFrame({
            "panel": f"{DURATIONS[name]}: against {f.family}",
            "seconds": np.sqrt(np.maximum(cells["from_value"], 1) * cells["to_value"]),
            "ratio": cells["n"] / cells["expected"],
            "low": np.maximum(0, 1 - 1.96 / np.sqrt(cells["expected"])),
            "high": 1 + 1.96 / np.sqrt(cells["expected"]),
        }))
    rows = pd.concat(parts)
    rows["panel"] = pd.Categorical(rows["panel"], list(dict.fromkeys(rows["panel"])))
    return (
        figures.Plot(rows, p9.aes("seconds", "ratio"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), fill=figures.GREY, alpha=0.25)
        + p9.geom_hline(yintercept=1, color=figures.VERMILION, linetype="dashed")
        + p9.geom_line(color=figures.BLUE, size=0.7)
        + p9.geom_point(color=figures.BLUE, size=1.4)
        + p9.facet_wrap("panel", ncol=1, scales="free_y")
        + figures.log_x(breaks=[1, 10, 60, 600, 3600], labels=_spans)
        + p9.expand_limits(y=[0.5, 1.5])  # so that chance looks small where it is
        + p9.labs(x="Duration", y="Customers over those expected")
        + figures.theme(height=0.9 + 1.35 * len(s.real.shapes))
        + p9.theme(panel_spacing_y=0.04)
    )


def _spans(seconds) -> list[str]:
    """Axis labels of durations: "10 s", "1 min", "1 h"."""
    return ["" if not np.isfinite(value) else f"{value:g} s" if value < 60 else f"{value / 60:g} min"
            if value < 3600 else f"{value / 3600:g} h" for value in seconds]


# The verdict, and what follows.


def verdict(s: Study) -> Prose:
    """The verdict with its reasons, by the rule."""
    return forensics.verdict(s.real.verdict, "this log")


def means(s: Study) -> Prose:
    """What the verdict means for all other sections."""
    reading = s.real.verdict.reading
    if s.shipped:
        missed = {
            Reading.SIMULATED: "The generator is found out",
            Reading.RECORDED: "That the rule is deceived here",
            Reading.NOTHING: "That the rule gives no verdict here",
        }[reading]
        why = ("" if reading == Reading.SIMULATED else
               " is no accident: the generator takes trouble, and gives its people a character, its day a course, its "
               "agents office hours and its log some faults")
        return Prose(
            f"{missed}{why}. "
            "What no one has put into a made table is not in it, so that the findings of this chapter are about the "
            "generator; the methods are the same for a recorded test. "
            "Whoever wants to know whether tables are real should ask where they come from before looking at them.")
    if reading == Reading.SIMULATED:
        return Prose(
            "So none of this chapter’s findings is evidence about customers: what was put in is what the maker "
            "believed. **Ask for the log of the product before the widget is decided on.**")
    if reading == Reading.RECORDED:
        return Prose(
            "So nothing here forbids to read the findings as findings about customers. Where the tables come from, "
            "and what was cleaned or left out on the way, is still better asked than inferred.")
    return Prose(
        f"So the findings are about customers only if the tables were recorded. **Ask who exported {escape(s.origin)}, "
        "from which system and on which day**: one answer tells more than all signs.")


def limits(s: Study) -> Prose:
    """What the method can't catch."""
    return Prose(
        f"The rule knows simple generators. It can’t catch who copies whole lives from a real log, or gives made people "
        f"a character, a day and faults; and it can’t clear a log whose durations happen to be simple. "
        f"Its tables of known origin are programs’ work as well, those that look recorded included. "
        f"Durations above {count(SESSION // 3600, 'hour')} were left out, as people had gone away; conversions "
        "were judged by day only; and all pairs of columns are those of task 1, so that each customer counts once.")
