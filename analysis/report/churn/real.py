"""Is the table real: what each sign shows in the subscribers, the verdict, and what follows from it."""

from __future__ import annotations

import math

import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.real import ALPHA, EXPECTED, WINDOW
from analysis.churn.reductions import CATEGORIES, NUMBERS
from analysis.forensics import measured
from analysis.forensics.ties import MARGIN
from analysis.forensics.verdict import Reading
from analysis.report import forensics
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
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
    percents,
)

# Why the columns of a pair go together in the world.
REASONS = {
    ("daily_watch_hours", "engagement_rate"): "engagement is watching",
    ("satisfaction_score", "engagement_rate"): "who likes it uses it",
    ("satisfaction_score", "churned"): "the dissatisfied leave",
    ("daily_watch_hours", "churned"): "who no longer watches leaves",
    ("age", "monthly_income"): "incomes rise in working life",
    ("monthly_income", "plan"): "the dearer plan takes money",
    ("monthly_income", "region"): "some regions are richer",
    ("profiles", "plan"): "plans limit profiles",
}
FINDINGS = {"present": "tied", "absent": "shown not to be", "weak": "tied, too weakly to count",
            "open": "open"}
MOST_DRAWN = 4
UNTOLD = Prose("not to be told")


def question(s: Study) -> Prose:
    """Whose table is judged, and what is known of it beforehand."""
    if s.shipped:
        return Prose(
            "Of the table that is shipped with this book the answer is known: it was made, by a generator that "
            "agrees with the source’s published figures. Judging it tests the method. It also takes apart what "
            "can be said about the source’s own table, of which only those figures are known."
        )
    return Prose(
        f"What is judged here is the table from {escape(s.origin)}; the source’s own table, of which only published "
        "figures are known, is judged apart (@sec-netflix-real-source).")


def kinds_table(s: Study) -> Prose:
    """What a recorded and what a made table would show."""
    return forensics.kinds_table(s.real.verdict)


def rule(s: Study) -> Prose:
    """The rule of the verdict."""
    return forensics.rule(s.real.verdict)


def confusion_table(s: Study) -> Prose:
    """How tables of known origin were judged."""
    return forensics.confusion_table(measured.confusion())


def reliability(s: Study) -> Prose:
    """How often the verdict was right."""
    return forensics.confusion_sentence(measured.confusion())


def margins(s: Study) -> Prose:
    """What is still called missing."""
    return forensics.margins()


def signs_table(s: Study) -> Prose:
    """All signs: found, tested, read."""
    found = {sign: f(s) for sign, f in FOUND.items()}
    return forensics.signs_table(s.real.verdict, found)


# What each sign found, as an entry of the table.


def _of(rows: pd.DataFrame, column: str, what: str) -> Prose:
    """How many of some columns are shown to be something."""
    if rows.empty:
        return UNTOLD
    return Prose(f"{number(int(rows[column].sum()))} of {number(len(rows))} {what}")


def _spread(s: Study, columns: tuple[str, ...]) -> pd.DataFrame:
    return s.real.spread[s.real.spread.index.isin(columns)]


def _even_numbers(s: Study) -> Prose:
    rows = _spread(s, NUMBERS)
    return _of(rows[rows["p_even"].notna()], "even", "shown to be even")


def _full_ends(s: Study) -> Prose:
    rows = _spread(s, NUMBERS)
    return _of(rows[rows["p_full"].notna()], "full", "shown to be full")


def _equal_categories(s: Study) -> Prose:
    rows = _spread(s, CATEGORIES)
    return _of(rows[rows["p_even"].notna()], "even", "shown to be equal")


def _named_ties(s: Study) -> Prose:
    named = s.real.named["finding"]
    if named.empty:
        return UNTOLD
    there = int(named.isin(["present", "weak"]).sum())
    gone = int(named.isin(["absent", "weak"]).sum())
    return Prose(f"of {number(len(named))}, {number(there)} tied, {number(gone)} shown not to be")


def _all_pairs(s: Study) -> Prose:
    p = s.real.picture
    if p is None:
        return UNTOLD
    return Prose(f"{number(p.tied)} of {number(p.pairs)} tied at 5%, by chance {number(p.by_chance, 1)}")


def _cliff(s: Study) -> Prose:
    c = s.real.cliff
    if c is None:
        return Prose("nobody churned" if s.churned == 0 else "no: some churn in the last month")
    return Prose(f"{percent(c.rate.estimate)} in the last {count(WINDOW, 'month')} up to month "
                 f"{number(s.real.last)}, none of {number(c.trials_beyond)} beyond")


def _trend(s: Study) -> Prose:
    t = s.real.flat
    if t is None:
        return UNTOLD
    return Prose(f"{percent(t.size, 0)} ({percents(t.low, t.high, 0)}) of the mean for a standard deviation of "
                 "months")


def _interplay(s: Study) -> Prose:
    a = s.real.interplay
    if a is None:
        return UNTOLD
    return Prose(f"χ² {number(a.statistic, 1)} on {number(a.df)} degrees of freedom")


def _too_even(s: Study) -> Prose:
    rows = s.real.spread[s.real.spread["p_closer"].notna()]
    if rows.empty:
        return UNTOLD
    nearest = rows["p_closer"].idxmin()
    row = rows.loc[nearest]
    return Prose(f"nearest: {labels.trait(nearest)}, χ² {number(row['statistic'], 1)} on {number(row['df'])}")


def _too_constant(s: Study) -> Prose:
    h = s.real.homogeneity
    if h is None:
        return UNTOLD
    return Prose(f"months vary {percent(h.dispersion, 0)} as much as chance makes them")


def _heaping(s: Study) -> Prose:
    rows = s.real.heaping
    if rows.empty:
        return UNTOLD
    multiples = [f"multiples of {number(row['round'])} in {labels.trait(trait)} {number(row['ratio'], 2)} times"
                 for trait, row in rows.iterrows()]
    return Prose(f"{listing(multiples)} as frequent as the average around them")


def _first_digits(s: Study) -> Prose:
    f = s.real.first_digits
    if f is None:
        return UNTOLD
    orders = f"incomes span {number(f.orders, 1)} orders of magnitude"
    return Prose(f"{orders}, w {number(f.fit.w, 2)}" if f.applies else f"{orders}, too few")


def _numbering(s: Study) -> Prose:
    n = s.real.numbering
    if n is None or not math.isfinite(n.p_ordered):
        return UNTOLD
    gaps = "no gaps" if n.consecutive else f"{percent(n.used, 0)} in use"
    return Prose(f"{gaps}, r with months {number(n.r, 2)}")


FOUND = {
    "even_numbers": _even_numbers, "full_ends": _full_ends, "equal_categories": _equal_categories,
    "named_ties": _named_ties, "all_pairs": _all_pairs, "cliff": _cliff, "trend": _trend,
    "interplay": _interplay, "too_even": _too_even, "too_constant": _too_constant,
    "heaping": _heaping, "first_digits": _first_digits, "numbering": _numbering,
}


# Some of them in sentences and figures.


def _traits(index) -> Prose:
    return listing(labels.trait(trait) for trait in index)


def spread(s: Study) -> Prose:
    """Which numbers are evenly spread, and which are not."""
    rows = _spread(s, NUMBERS)
    tested = rows[rows["p_even"].notna()]
    if tested.empty:
        return Prose("There are too few subscribers, or too few different values, to say how the numbers are "
                     "spread.")
    even = tested[tested["even"]]
    uneven = tested[~tested["even"] & (tested["p_uneven"] * len(tested) <= ALPHA)]
    parts = []
    if len(even):
        many = len(even) > 1
        parts.append(
            f"{capital(_traits(even.index))} {'are' if many else 'is'} shown to be even from the least to the "
            f"largest value (w at most {number(even['high'].max(), 2)}, where the "
            f"{'intervals end' if many else 'interval ends'}).")
    if len(uneven):
        many = len(uneven) > 1
        parts.append(
            f"{capital(_traits(uneven.index))} {'are' if many else 'is'} not even (w "
            f"{'from ' if many else ''}{number(uneven['w'].min(), 2)}"
            f"{f' to {number(uneven.w.max(), 2)}' if many else ''}).")
    if not parts:
        parts.append("Of no number is it shown that it is evenly spread, nor that it is not.")
    return paragraph(*parts)


def spread_figure(s: Study) -> p9.ggplot | Prose:
    """The numbers of many values, as densities over their range."""
    rows = _spread(s, NUMBERS)
    shown = [trait for trait in NUMBERS if trait in rows.index and pd.notna(rows.loc[trait, "p_full"])]
    cells = s.real.cells.reset_index()
    cells = cells[cells["trait"].isin(shown[:MOST_DRAWN])]
    return forensics.density_figure(cells.assign(panel=cells["trait"].map(labels.heading)), "Value")


def pairs(s: Study) -> Prose:
    """How many pairs of columns are tied, and the closest of them."""
    p = s.real.picture
    if p is None:
        return forensics.NO_PAIRS
    text = (
        f"Of {count(p.pairs, 'pair')} of columns, churn left out, {number(p.tied)} "
        f"{'is' if p.tied == 1 else 'are'} tied at the 5% level; if no columns were tied, chance alone would put "
        f"{number(p.by_chance, 1)} there")
    spread = p.spread
    if spread.p_uniform <= ALPHA:
        text += f", and the p-values are not as uniform as they would be then ({p_value(spread.p_uniform)})."
    else:
        text += (f", and that the p-values are less uniform than they would be then is not shown (Kolmogorov–Smirnov distance "
                 f"{number(spread.ks, 2)}, {p_value(spread.p_uniform)}).")
    first, second = (labels.trait(trait) for trait in s.real.largest)
    if p.largest_low > 0:
        text += (f" The closest tie is that of {first} and {second}, {number(p.largest_low, 2)} to "
                 f"{number(p.largest_high, 2)} on the scale of correlations, all pairs allowed for.")
    else:
        text += (f" Even the closest, that of {first} and {second}, is not shown to be one once all pairs are "
                 f"allowed for (at most {number(p.largest_high, 2)} on the scale of correlations).")
    if p.power < 0.8:
        text += (f" With so few subscribers a weak tie would show in {percent(p.power, 0)} of cases only, so "
                 "missing ones say little.")
    return Prose(text)


def pairs_figure(s: Study) -> p9.ggplot | Prose:
    """The p-values of all pairs without churn against uniform ones."""
    rows = s.real.pairs.reset_index()
    inner = rows[(rows["first"] != "churned") & (rows["second"] != "churned")]
    return forensics.p_values_figure(inner["p_value"])


def ties_table(s: Study) -> Prose:
    """The pairs that have to go together."""
    rows = []
    for pair, row in s.real.named.iterrows():
        first, second = (labels.trait(trait) for trait in pair)
        size = f"{number(abs(row['size']), 2)} ({interval(row['low'], row['high'], 2)})"
        rows.append((capital(f"{first}, {second}"), REASONS[pair], Prose(size), FINDINGS[row["finding"]]))
    if not rows:
        return forensics.NO_PAIRS
    columns = ["Pair", "Because", "Size", "Shown"]
    return table(pd.DataFrame(rows, columns=columns), {"Size": Prose})


def ties(s: Study) -> Prose:
    """Which of the pairs that have to go together do."""
    finding = s.real.named["finding"]
    if finding.empty:
        return Prose("None of the pairs that have to go together can be looked at.")
    there = int(finding.isin(["present", "weak"]).sum())
    gone = int(finding.isin(["absent", "weak"]).sum())
    left = int((finding == "open").sum())
    parts = []
    if there:
        parts.append(f"{number(there)} {'does' if there == 1 else 'do'}")
    if gone:
        parts.append(f"{number(gone)} {'is' if gone == 1 else 'are'} shown not to (a tie, if there is any, is "
                     f"weaker than {number(MARGIN, 1)} on the scale of correlations)")
    if left:
        parts.append(f"{number(left)} {'stays' if left == 1 else 'stay'} open")
    missing = len(EXPECTED) - len(finding)
    text = f"Of {count(len(finding), 'pair')} that {'has' if len(finding) == 1 else 'have'} to go together, "
    text += f"{listing(parts)}"
    if missing:
        text += f"; {number(missing)} more can't be looked at here"
    return Prose(f"{text}.")


def cliff(s: Study) -> Prose:
    """Whether churn stops at once, and how it runs before."""
    r = s.real
    if s.churned == 0:
        return Prose("Nobody has churned, so there is no rate to look at.")
    if s.churned == s.subscribers:
        return Prose("Everybody has churned, so there is no rate to look at.")
    c, t = r.cliff, r.flat
    parts = []
    if c is None:
        parts.append("Churn goes on to the longest subscription, so it doesn't stop anywhere.")
    elif r.edge is None:
        parts.append(
            f"Nobody whose subscription is longer than {count(r.last, 'month')} has churned, but it is not "
            "shown that churn stops there at once instead of tapering off.")
    else:
        parts.append(
            f"Churn stops at once after {count(r.edge, 'month')}: in the {count(WINDOW, 'month')} up to there "
            f"{percent(c.rate.estimate)} ({percents(c.rate.low, c.rate.high)}) have churned, and none of "
            f"{count(c.trials_beyond, 'subscriber')} beyond. "
            f"A rate that tapers off, however fast, doesn't break off like that: that the odds fall to less than "
            f"{percent(c.margin, 0)} of where their course leads is shown ({p_value(c.p_edge)}, all months allowed "
            "for). "
            "A snapshot of a service hardly looks like that: the longer the time, the fewer have come long enough "
            "ago to leave after it, so that the churned get rarer from month to month and end in a trickle.")
    if t is not None:
        before = "Up to there it" if c is not None else "It"
        verdicts = r.verdict.signs.loc["trend", "reading"]
        if verdicts == Reading.SIMULATED.value:
            parts.append(f"{before} is shown to run level, neither falling nor rising with the months.")
        elif verdicts == Reading.RECORDED.value:
            parts.append(f"{before} falls with the months, as rates of leaving do.")
        elif t.p_trend <= ALPHA:
            parts.append(f"{before} {'falls' if t.size < 0 else 'rises'} with the months, if it is looked at alone "
                         f"({p_value(t.p_trend)}).")
        else:
            parts.append(f"{before} is not shown to fall, nor to run level.")
    if r.verdict.signs.loc["too_constant", "reading"] == Reading.SIMULATED.value:
        h = r.homogeneity
        parts.append(
            "The rates of its months are closer to each other than chance allows: their variance is "
            f"{percent(h.dispersion, 0)} of what people who leave independently would bring about "
            f"({p_value(h.p_closer)}).")
    return paragraph(*parts)


# The verdict, and what follows.


def verdict(s: Study) -> Prose:
    """The verdict on the table."""
    return forensics.verdict(s.real.verdict, "this table")


def copied(s: Study) -> Prose:
    """For the shipped table: which of its signs are the source's, which ours; empty for others."""
    if not s.shipped:
        return Prose("")
    p = s.real.published
    even = _traits(p.counts.index[p.counts["even"]])
    said = s.real.verdict.signs["reading"] == Reading.SIMULATED.value
    ours = [name for sign, name in (
        ("named_ties", "that even what has to go together does not"), ("heaping", "that nobody rounds"),
        ("full_ends", "that numbers are even between their ends"),
        ("too_constant", "that churn is dealt more evenly to the months than chance would"),
    ) if said[sign]]
    theirs = [name for sign, name in (
        ("equal_categories", f"how nearly equal the shares of {even} are"),
        ("cliff", f"that churn stops after {count(s.real.edge or 0, 'month')}"),
        ("trend", "that it runs level before"),
    ) if said[sign]]
    parts = []
    if theirs:
        parts.append(f"Some of its signs were copied from the source: {listing(theirs)}.")
    if ours:
        parts.append(f"Others are choices of the generator, and say nothing about the source: {listing(ours)}.")
    return paragraph(*parts)


def follows(s: Study) -> Prose:
    """What the verdict means for all other sections."""
    reading = s.real.verdict.reading
    if s.shipped or reading == Reading.SIMULATED:
        return Prose(
            "A made table can't show how subscribers behave: what no one has put in is not in it, and what was put "
            "in is what its maker believed. "
            "So the methods of this chapter stand, and its findings are true of the table; none of them is "
            "evidence about people.")
    if reading == Reading.RECORDED:
        return Prose(
            "So nothing here forbids to read the findings of this chapter as findings about subscribers, within "
            "the limits that each section names. "
            "Where the table comes from is still better asked than inferred.")
    return Prose(
        "So the findings of this chapter are about the table, and about subscribers only if it was recorded: where "
        "it comes from, from which system and of which day, has to be asked.")


def recommendation(s: Study) -> Prose:
    """What to do; empty where nothing follows."""
    if s.shipped:
        if s.real.published.verdict.reading == Reading.RECORDED:
            return Prose("")
        return Prose(
            "**Ask where the source’s table comes from, before anything is decided on its report.** "
            "Its published figures bear the marks of a simply made table (@sec-netflix-real-source).")
    if s.real.verdict.reading == Reading.RECORDED:
        return Prose("")
    why = ("It bears the marks of a table made by a simple generator"
           if s.real.verdict.reading == Reading.SIMULATED else
           "Whether it was recorded can't be told from the table itself")
    return Prose(
        f"**Ask where the table comes from, before anything is decided on it.** {why} (@sec-netflix-real).")


# The source.


def published_shares(s: Study) -> Prose:
    """What the printed counts tell."""
    counts = s.real.published.counts
    even, uneven = counts[counts["even"]], counts[~counts["even"]]
    text = (f"The printed counts of {_traits(even.index)} are shown to be equal shares for practical purposes (w at "
            f"most {number(even['high'].max(), 2)}, where the 95% intervals end; the margin is "
            f"{number(MARGIN, 1)})")
    if len(uneven):
        text += f"; those of {_traits(uneven.index)} are not equal (w {number(uneven['w'].max(), 2)})"
    return Prose(f"{text}.")


def published_means(s: Study) -> Prose:
    """What the printed means tell."""
    means = s.real.published.means
    inside = means[means["p_middle"] * len(means) <= ALPHA]
    off = means[means["p_off"] * len(means) <= ALPHA]
    return Prose(
        f"Of {number(len(means))} printed means, those of {_traits(inside.index)} lie within "
        f"{percent(inside['offset'].abs().max(), 1)} of the range from its middle, where an even spread puts them "
        f"and a skewed one does not; those of {_traits(off.index)} lie above it.")


def published_relations(s: Study) -> Prose:
    """What the printed means by device, the printed correlation and the monthly churn tell."""
    p = s.real.published
    device, queries, c = p.device.interval(), p.queries.interval(), p.cliff
    return Prose(
        f"That mean engagement differs by device is not shown ({p_value(p.device.p_value)}; η at most "
        f"{number(device.high, 2)}), and age goes with support queries by at most {number(queries.high, 2)} "
        f"({p_value(p.queries.p_value)}). "
        f"And churn of {percent(c.rate.estimate, 0)} up to its last month, with none beyond, is a cliff that no "
        f"smooth rate has ({p_value(c.p_edge)}).")


def published_verdict(s: Study) -> Prose:
    """The verdict on the source's table, from its printed figures."""
    return forensics.verdict(s.real.published.verdict, "the table behind the source")


def answer(s: Study) -> Prose:
    """The result in two sentences."""
    source = {
        Reading.SIMULATED: "The source’s published figures have the marks of a simply made table",
        Reading.RECORDED: "The source’s published figures look recorded",
        Reading.NOTHING: "Whether the source’s table was recorded can't be told from its published figures",
    }[s.real.published.verdict.reading]
    if s.shipped:
        return Prose(f"{source}. The table shipped here is synthetic anyway.")
    own = {
        Reading.SIMULATED: "This table has the marks of a simple generator, so none of its findings is evidence "
                           "about people",
        Reading.RECORDED: "This table has none of the marks of a simple generator",
        Reading.NOTHING: "Whether this table was recorded or made can't be told from it",
    }[s.real.verdict.reading]
    return Prose(f"{own}. {source}.")
