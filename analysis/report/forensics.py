"""Is a table recorded or made: the tables, figures and sentences that two chapters share.

What a chapter found for each sign it says itself; here stand the rule, the expectations, the
verdict, and how often it was right on tables of known origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotnine as p9
from numpy.typing import ArrayLike

from analysis.forensics import digits, edges, rates, ties, uniformity
from analysis.forensics.verdict import Reading, Verdict
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    listing,
    number,
    p_cell,
    percent,
)

# What signs of a kind look at, and what a recorded and a made table would show.
KINDS = {
    "spread": (
        "how columns are spread",
        "numbers heap up somewhere and thin out towards their ends; some categories are popular",
        "all values between two ends, and all categories, are equally frequent",
    ),
    "ties": (
        "what goes together",
        "much goes together, above all what has to",
        "columns know nothing of each other",
    ),
    "rate": (
        "how the rate runs",
        "it changes with time and tapers off; its causes act on each other",
        "it stays the same and stops at once; its causes add up",
    ),
    "closeness": (
        "how near to expectation counts lie",
        "as far from it as chance puts them",
        "nearer than that, where numbers were dealt so as to fit",
    ),
    "habits": (
        "habits of people and registers",
        "people round what they say; numbers are given out in the order of arrival",
        "nobody rounds, and numbers mean nothing",
    ),
    "arrivals": (
        "when events come",
        "with the hours of the day, and in bursts when many are called at once",
        "at all hours alike, as one simple distribution has it, or at too even distances",
    ),
    "log": (
        "what happens to a log",
        "actions done twice at once, round times, a few events lost or timed by a wrong clock",
        "no such thing, or events in an order that can’t be",
    ),
    "people": (
        "what stays the same in a person",
        "who is slow, in trouble or fond of help once is so again",
        "every task is drawn anew, whoever does it",
    ),
    "shapes": (
        "the shapes of durations",
        "mixtures: those who know and those who don’t, work and breaks",
        "one distribution of two parameters",
    ),
}
SIGNS = {
    "even_numbers": "Numbers evenly spread",
    "full_ends": "Numbers full up to their ends",
    "equal_categories": "Categories equally frequent",
    "middle_means": "Means in the middle of the range",
    "named_ties": "Pairs that have to go together",
    "all_pairs": "All pairs",
    "published_ties": "The two published relations",
    "cliff": "The rate stops at once",
    "trend": "The rate along time",
    "interplay": "Causes that act on each other",
    "too_even": "Columns too even for chance",
    "too_constant": "Rate too constant for chance",
    "heaping": "Round values preferred",
    "first_digits": "First digits",
    "numbering": "Identifiers in order of time",
    "rhythm": "A course of the day",
    "profile": "Arrivals over the day of a simple shape",
    "bursts": "Arrivals in bursts",
    "gaps": "Gaps between arrivals exponential",
    "coincidences": "Arrivals in the same second",
    "seconds": "Times at the full minute",
    "quarters": "Times at the quarters of the hour",
    "retries": "Actions done twice at once",
    "faults": "Events lost or out of order",
    "same_person": "The same person again",
    "simple_shapes": "Durations of a simple shape",
    "decisions": "Conversions along the days",
    "allocation": "Sizes of the cohorts too exact",
    "turns": "Cohorts that take turns",
    "constant": "Share of Test too constant over the hours",
    "even_seconds": "Seconds too even for chance",
}
ORIGINS = {Reading.SIMULATED.value: "made", Reading.RECORDED.value: "recorded",
           Reading.NOTHING.value: MISSING}
# The worlds of `forensics.measured`.
WORLDS = {
    "recorded": "looks recorded: skewed, tied, rounded, seasonal",
    "shipped": "made as the shipped table is",
    "uniform": "made: even columns, each by itself",
    "bells": "made: bell-shaped columns, each by itself",
    "shuffled": "made: columns as recorded, each shuffled",
    "copied": "made with care: columns and ties copied",
}
NO_PAIRS = Prose("No two columns could be compared.")
NO_NUMBERS = Prose("No column of numbers has enough values to be drawn.")


def kinds_table(v: Verdict) -> Prose:
    """What either kind of table would show, by kind of sign."""
    rows = [(capital(KINDS[kind][0]), *KINDS[kind][1:]) for kind in v.kinds.index]
    return table(pd.DataFrame(rows, columns=["Signs", "A recorded table", "A simple made one"]))


def rule(v: Verdict) -> Prose:
    """The rule, before its result."""
    return Prose(
        f"A table is judged *made* if at least {number(v.needed)} kinds of signs speak for that, and more "
        f"than for the contrary; *recorded* if at least {number(v.needed)} kinds speak for that, and none "
        "against; otherwise it can't be told. "
        "A sign speaks for a made table only if what recorded ones have, were it only their distance from "
        "perfection, is *shown to be missing*; that it was not found is not enough. It speaks for a recorded "
        "one only if that is *shown to be there*. A kind speaks with one voice or not at all. "
        "In each direction the signs are corrected together [@holm1979], so that the probability of any false "
        f"one among them is at most {percent(v.alpha, 0)}."
    )


def margins() -> Prose:
    """What is still called missing, sign by sign."""
    return Prose(
        f"Missing is what is shown to be smaller than a margin: a distance from an even spread, or a tie, of "
        f"{number(uniformity.MARGIN, 1)} on the scales of Cohen’s w and of correlations, which is small by "
        f"convention; a density at the ends within {percent(uniformity.END_MARGIN, 0)} of the average; ties in "
        f"fewer than {percent(ties.FEW, 0)} of the pairs; a rate that changes by less than "
        f"{percent(rates.MARGIN, 0)} of its mean for a standard deviation of time, or whose odds fall at once to less "
        f"than {percent(edges.MARGIN, 0)} of where their course leads; round values less than {number(digits.MARGIN, 2)} times as frequent as "
        "the average around them.")


def signs_table(v: Verdict, found: Mapping[str, str], names: Mapping[str, str] = SIGNS) -> Prose:
    """Each sign with what was found, both corrected p-values, and what it speaks for.

    Args:
        v: The verdict.
        found: For each sign, plain text that says what was found.
        names: For each sign, what readers call it.
    """
    rows = []
    for sign, row in v.signs.iterrows():
        rows.append((
            names[sign], found[sign], _p(row["adjusted_simulated"]),
            _p(row["adjusted_recorded"]), ORIGINS[row["reading"]],
        ))
    columns = ["Sign", "Found", "Missing, p", "There, p", "Speaks for"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[2:4], Prose))


def _p(p: float) -> Prose:
    return p_cell(p) if np.isfinite(p) else Prose(MISSING)


def kinds_said(v: Verdict, reading: Reading) -> Prose:
    """The kinds that speak for an origin, as an enumeration."""
    return listing(KINDS[kind][0] for kind in v.kinds.index[v.kinds["reading"] == reading.value])


def verdict(v: Verdict, what: str = "the table") -> Prose:
    """The verdict with its reasons.

    Args:
        v: The verdict.
        what: What is judged, as it stands within a sentence.
    """
    if v.looked_at == 0:
        return Prose(f"None of the signs can be looked at here, so whether {what} was recorded or made "
                     "can't be told.")
    sides = []
    for n, reading, what_for in ((v.simulated, Reading.SIMULATED, "a made table"),
                                 (v.recorded, Reading.RECORDED, "a recorded one" if v.simulated else
                                  "a recorded table")):
        if n:
            sides.append(f"{number(n)} {'speaks' if n == 1 else 'speak'} for {what_for} "
                         f"({kinds_said(v, reading)})")
    total = len(v.kinds)
    of = f"Of {count(total, 'kind')} of signs"
    if not sides:
        text = f"{of} none speaks for a made table, and none for a recorded one"
    elif v.simulated and v.recorded:
        text = f"{of} {listing(sides)}"
    elif total == max(v.simulated, v.recorded) > 1:
        every = "Both" if total == 2 else f"All {number(total)}"
        text = f"{every} kinds of signs {sides[0].removeprefix(f'{number(total)} ')}"
    else:
        text = f"{of} {sides[0]}, and none for {'a recorded one' if v.simulated else 'a made one'}"
    ends = {
        Reading.SIMULATED: f"By the rule, **{what} was made**, by a simple generator.",
        Reading.RECORDED: (
            f"By the rule, **{what} looks recorded**: it has none of the marks of a simple generator. "
            "A careful imitation would not have them either."),
        Reading.NOTHING: f"By the rule, **it can’t be told** whether {what} was recorded or made.",
    }
    return Prose(f"{text}. {ends[v.reading]}")


def confusion_table(
    confusion: pd.DataFrame, worlds: Mapping[str, str] = WORLDS, units: str = "rows"
) -> Prose:
    """How tables of known origin were judged: made / not to be told / recorded, by their size.

    Args:
        confusion: See `forensics.measured.confusion`.
        worlds: For each world, what readers call it.
        units: What the size counts, in the plural.
    """
    sizes = sorted(set(confusion.index.get_level_values("rows")))
    rows = []
    for world in dict.fromkeys(confusion.index.get_level_values("world")):
        cells = [capital(worlds[world])]
        for size in sizes:
            row = confusion.loc[(world, size)]
            cells.append(Prose(" / ".join(
                number(row[name]) for name in ("simulated", "nothing", "recorded"))))
        rows.append(cells)
    columns = ["Table", *(f"{number(size)} {units}" for size in sizes)]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], Prose))


def confusion_sentence(
    confusion: pd.DataFrame, careful_worlds: Sequence[str] = ("copied",), units: str = "rows"
) -> Prose:
    """How often the verdict was right and wrong.

    Args:
        confusion: See `forensics.measured.confusion`.
        careful_worlds: Made ones that the rule does not claim to find out.
        units: What the size counts, in the plural.
    """
    worlds = confusion.index.get_level_values("world")
    real = confusion[worlds == "recorded"]
    careful = confusion[worlds.isin(careful_worlds)]
    simple = confusion[~worlds.isin(["recorded", *careful_worlds])]
    sizes = simple.index.get_level_values("rows")
    most, least = sizes.max(), sizes.min()

    def share(rows: pd.DataFrame, name: str) -> Prose:
        return percent(rows[name].sum() / rows["runs"].sum(), 0)

    worst = real["high"].max()
    found = int(real["simulated"].sum())
    wrong = "None" if found == 0 else number(found)
    passes = "A careful imitation passes" if len(careful_worlds) == 1 else "Careful imitations pass"
    return Prose(
        f"{wrong} of {count(int(real['runs'].sum()), 'table')} that look recorded {'was' if found < 2 else 'were'} "
        f"judged made (at any size at most {percent(worst)}, where the 95% intervals end), and "
        f"{share(real, 'recorded')} of them recorded. "
        f"Of tables that a simple generator made, {share(simple[sizes == most], 'simulated')} were found out "
        f"with {number(most)} {units}, {share(simple[sizes == least], 'simulated')} with {number(least)}, where "
        f"most signs have no power yet; {_few(simple)} judged recorded. "
        f"{passes}: {share(careful, 'recorded')} of those were judged recorded."
    )


def _few(simple: pd.DataFrame) -> str:
    wrong = int(simple["recorded"].sum())
    return "none was" if wrong == 0 else f"{number(wrong)} {'was' if wrong == 1 else 'were'}"


def density_figure(cells: pd.DataFrame, axis: str) -> p9.ggplot | Prose:
    """How densely values lie over the range of each column, against an even spread.

    Args:
        cells: `panel` (text), `from_value`, `to_value`, `density` (1 if even).
        axis: What the panels' x axes show.
    """
    if cells.empty:
        return NO_NUMBERS
    width = cells["to_value"] - cells["from_value"]
    step = cells.groupby("panel", sort=False)["from_value"].transform(
        lambda starts: (starts.iloc[-1] - starts.iloc[0]) / max(1, len(starts) - 1))
    rows = cells.assign(
        middle=cells["from_value"] + width / 2, width=0.9 * step,
        panel=pd.Categorical(cells["panel"], list(dict.fromkeys(cells["panel"]))))
    panels = rows["panel"].nunique()
    return (
        figures.Plot(rows, p9.aes("middle", "density"))
        + p9.geom_col(p9.aes(width="width"), fill=figures.SKY)
        + p9.geom_hline(yintercept=1, color=figures.VERMILION, linetype="dashed")
        + p9.facet_wrap("panel", scales="free_x", ncol=2)
        + p9.scale_x_continuous(labels=_short)
        + p9.labs(x=axis, y="Density (even = 1)")
        + figures.theme(height=0.7 + 1.5 * ((panels + 1) // 2))
        + p9.theme(panel_grid_major_x=p9.element_blank(), panel_spacing_y=0.06)
    )


def _short(values) -> list[str]:
    return [f"{value:,.10g}" for value in values]


def p_values_figure(p_values: ArrayLike) -> p9.ggplot | Prose:
    """The distribution function of p-values, beside the line on which those of pure chance lie."""
    p = np.sort(np.asarray(p_values, dtype=float))
    if p.size < 2:
        return NO_PAIRS
    rows = pd.DataFrame({"p": np.concatenate([[0.0], p, [1.0]]),
                         "share": np.concatenate([[0.0], np.arange(1, p.size + 1) / p.size, [1.0]])})
    return (
        figures.Plot(rows, p9.aes("p", "share"))
        + p9.geom_abline(intercept=0, slope=1, color=figures.VERMILION, linetype="dashed")
        + p9.geom_step(color=figures.BLUE, size=0.9)
        + p9.scale_x_continuous(limits=(0, 1))
        + p9.scale_y_continuous(limits=(0, 1), labels=figures.percents)
        + p9.labs(x="p-value of independence", y="Pairs with a p-value up to it")
        + figures.theme(height=3.0)
    )
