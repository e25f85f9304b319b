"""Who the subscribers are: tables, figures and sentences of the shares by genre, region, device, plan."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.mix import ALPHA, FACTORS, Majority
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    p_cell,
    p_value,
    paragraph,
    percent,
    percents,
)

NOUNS = {"genre": ("genre", "genres"), "region": ("region", "regions"),
         "device": ("device", "devices"), "plan": ("plan", "plans")}
TOP = 3  # how many genres the published report puts first
NEAR = 0.25  # shares that lie within this part of the equal one are about equal
LEAST_VALUE = 10  # subscribers a value, on average, from which on a normal approximation is told
MOST_SHOWN = 12  # values of a factor in a table or a figure
MOST_LABEL = 24  # characters of a value's name in a figure
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# Conventions for the size of w, by their lower ends (Cohen 1988).
SIZES = ((0.5, "large"), (0.3, "medium"), (0.1, "small"))
VERDICTS = {Majority.SHOWN: "yes", Majority.EXCLUDED: "no", Majority.OPEN: "open"}
ALIKE = Prose("All subscribers have the same genre, region, device and plan, so there is nothing to compare.")


def word(n: int) -> str:
    """A small whole number in words, others in figures."""
    return WORDS[n] if n < len(WORDS) else number(n)


def axis_labels(keys: Iterable[tuple[str, object]]) -> dict[tuple[str, object], str]:
    """Labels for values of traits on an axis, no two alike, whatever was cut off.

    Args:
        keys: Trait and value.
    """
    made: dict[tuple[str, object], str] = {}
    for trait, value in keys:
        text = figures.short(labels.name(trait, value), MOST_LABEL)
        while text in made.values():
            text += " "
        made[trait, value] = text
    return made


def _compared(s: Study) -> list[str]:
    """Factors with two values or more."""
    return [factor for factor in FACTORS if s.mix.tests.loc[factor, "values"] > 1]


def _uneven(s: Study) -> list[str]:
    """Factors whose shares are shown to differ from equal ones."""
    return [f for f in _compared(s) if s.mix.tests.loc[f, "p_adjusted"] <= ALPHA]


def _even(s: Study) -> list[str]:
    """Factors whose shares are not."""
    return [f for f in _compared(s) if f not in _uneven(s)]


def _near(s: Study, factors: Iterable[str]) -> bool:
    """Whether all shares are shown to lie near the equal one."""
    tests = s.mix.tests
    return all(tests.loc[f, "deviation_high"] <= NEAR * tests.loc[f, "equal"] for f in factors)


def _names(s: Study, factor: str, n: int) -> list[Prose]:
    """The n largest values, in order."""
    return [labels.value(factor, value) for value in s.mix.shares.loc[factor].index[:n]]


def _share(row: pd.Series) -> Prose:
    """A share with its interval, in a sentence."""
    return Prose(f"{percent(row['share'])} ({percents(row['low'], row['high'])})")


def _share_cell(row: pd.Series) -> Prose:
    """The same in a column of percentages."""
    return Prose(f"{number(100 * row['share'], 1)} ({interval(100 * row['low'], 100 * row['high'])})")


def who(s: Study) -> Prose:
    """How many subscribers there are, and how many values of each factor."""
    kinds = listing(count(int(s.mix.tests.loc[f, "values"]), *NOUNS[f]) for f in FACTORS)
    return Prose(f"The table holds {count(s.mix.subscribers, 'subscriber')}, of {kinds}.")


def shares_table(s: Study) -> Prose:
    """Each value with its share and the ranks that are open to it."""
    rows = []
    for factor in FACTORS:
        shares = s.mix.shares.loc[factor]
        for value, row in shares.head(MOST_SHOWN).iterrows():
            first, last = int(row["rank_low"]), int(row["rank_high"])
            rows.append((
                factor.capitalize(), labels.name(factor, value), number(row["subscribers"]),
                _share_cell(row), number(first) if first == last else interval(first, last, 0),
            ))
        rest = shares.iloc[MOST_SHOWN:]
        if len(rest):
            rows.append((
                factor.capitalize(), f"{count(len(rest), 'other')} together",
                number(rest["subscribers"].sum()), number(100 * rest["share"].sum(), 1),
                Prose(MISSING),
            ))
    columns = ["Factor", "Value", "Subscribers", "Share, %", "Rank may be"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[2:], Prose))


def shares_figure(s: Study) -> p9.ggplot | Prose:
    """Each value's share with its interval, beside the equal share."""
    factors = _compared(s)
    if not factors:
        return ALIKE
    rows = s.mix.shares.groupby(level="factor", sort=False).head(MOST_SHOWN).reset_index()
    rows = rows[rows["factor"].isin(factors)]
    keys = list(zip(rows["factor"], rows["value"], strict=True))
    names = axis_labels(keys)
    rows["label"] = pd.Categorical([names[key] for key in keys], list(names.values())[::-1])
    panels = [f.capitalize() for f in factors]
    rows["panel"] = pd.Categorical(rows["factor"].str.capitalize(), panels)
    equal = pd.DataFrame({
        "panel": pd.Categorical(panels, panels), "equal": s.mix.tests.loc[factors, "equal"].to_numpy()})
    return (
        figures.Plot(rows, p9.aes("share", "label"))
        + p9.geom_vline(p9.aes(xintercept="equal"), data=equal, color=figures.VERMILION,
                        linetype="dashed")
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="label"), color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1.9)
        + p9.facet_grid("panel", scales="free_y", space="free_y")
        + p9.scale_x_continuous(labels=figures.percents, limits=(0, None))
        + p9.labs(x="Share of the subscribers", y="")
        + figures.theme(height=0.9 + 0.2 * len(rows))
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def tests_table(s: Study) -> Prose:
    """The tests of equal shares."""
    rows = []
    for f in _compared(s):
        row = s.mix.tests.loc[f]
        rows.append((
            f.capitalize(), Prose(f"{number(row['statistic'], 1)} ({number(row['df'])})"),
            p_cell(row["p_adjusted"]),
            _w(row),
            Prose(f"{number(100 * row['deviation'], 1)} of {number(100 * row['equal'], 1)}, at most "
                  f"{number(100 * row['deviation_high'], 1)}"),
        ))
    if not rows:
        return ALIKE
    columns = ["Factor", "χ² (df)", "p, corrected", "Cohen’s w", "Largest deviation, points"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], Prose))


def _w(row: pd.Series) -> Prose:
    """Cohen's w with its interval, which is none where shares are more equal than chance makes them."""
    ends = f" ({interval(row['w_low'], row['w_high'], 2)})" if row["w_high"] > 0 else ""
    return Prose(f"{number(row['w'], 2)}{ends}")


def _deviations(s: Study, factors: list[str]) -> Prose:
    """How far from equal shares may be."""
    return listing(
        f"{number(100 * s.mix.tests.loc[f, 'deviation_high'], 1)} percentage points of "
        f"{percent(s.mix.tests.loc[f, 'equal'])} by {f}" for f in factors)


def _size(w: float) -> str:
    return next((f"{name} by Cohen’s convention" for least, name in SIZES if w >= least),
                "below what Cohen calls small")


def equal(s: Study) -> Prose:
    """Which shares differ from equal ones, and how far from equal the others may be."""
    if not _compared(s):
        return ALIKE
    tests, parts = s.mix.tests, []
    even, uneven = _even(s), _uneven(s)
    if even:
        several = len(even) > 1
        parts.append(
            f"By {listing(even)}, the shares are not shown to differ from equal ones "
            f"({'smallest ' if several else ''}corrected {p_value(tests.loc[even, 'p_adjusted'].min())}).")
        within = f"every share lies within {_deviations(s, even)}"
        parts.append(
            f"{capital(within)}, so the values are about equally common." if _near(s, even) else
            f"That {within} is all that can be said, which leaves room for differences that matter.")
    for f in uneven:
        row, shares = tests.loc[f], s.mix.shares.loc[f]
        (first, most), (last, least) = ((labels.value(f, i), shares.loc[i]) for i in shares.index[[0, -1]])
        parts.append(
            f"By {f} the shares differ: {first} has {_share(most)} of the subscribers and {last} {_share(least)}, "
            f"where {percent(row['equal'])} would be equal (corrected {p_value(row['p_adjusted'])}; Cohen’s w "
            f"{number(row['w'], 2)}, {interval(row['w_low'], row['w_high'], 2)}, {_size(row['w'])}).")
    return Prose(" ".join(parts))


def orders(s: Study) -> Prose:
    """Of how many pairs of values it is shown which is the larger."""
    factors = _compared(s)
    if not factors:
        return ALIKE
    pairs, shown = (s.mix.tests.loc[factors, name].astype(int) for name in ("pairs", "pairs_shown"))
    text = "Which of two values is the more common is shown for " + listing(
        f"{number(shown[f])} of {count(int(pairs[f]), 'pair')} of {NOUNS[f][1]}" for f in factors) + "."
    full = [f for f in factors if shown[f] == pairs[f] and len(s.mix.shares.loc[f]) <= MOST_SHOWN]
    parts = [f"of the {NOUNS[f][1]}, {listing(_names(s, f, MOST_SHOWN), 'then')}" for f in full]
    return Prose(f"{text} Shown in full is the order {listing(parts)}." if full else text)


def _top(s: Study) -> tuple[list[Prose], list[Prose]]:
    """The first genres: those shown to be among the first, and those not."""
    rows = s.mix.shares.loc["genre"].head(TOP)
    names = _names(s, "genre", TOP)
    there = (rows["rank_high"] <= TOP).tolist()
    return ([name for name, yes in zip(names, there, strict=True) if yes],
            [name for name, yes in zip(names, there, strict=True) if not yes])


def top(s: Study) -> Prose:
    """Whether the first genres can be told from the others."""
    shares, test = s.mix.shares.loc["genre"], s.mix.tests.loc["genre"]
    k, pairs, shown = (int(test[name]) for name in ("values", "pairs", "pairs_shown"))
    if k == 1:
        return Prose(f"All subscribers prefer the same genre, {_names(s, 'genre', 1)[0]}.")
    if k <= TOP:
        return Prose(f"There are only {word(k)} genres, so a list of the first {word(TOP)} leaves none out.")
    most, least = (int(shares["subscribers"].iloc[i]) for i in (0, -1))
    text = [f"The {word(k)} genres are preferred by {number(least)} to {number(most)} subscribers each."
            if most > least else
            f"Each of the {word(k)} genres is preferred by {count(most, 'subscriber')}."]
    if s.mix.subscribers / k >= LEAST_VALUE:
        text.append(
            f"In a table of this size two genres have to differ by about {count(round(test['resolves']), 'subscriber')} "
            f"to be told apart"
            + (f"; the first and the last differ by {number(most - least)}." if most > least else "."))
    text.append(
        f"Of {number(pairs)} pairs of genres, it is shown of {'all' if shown == pairs else word(shown) if shown else 'none'} "
        "which is the more popular.")
    yes, no = _top(s)
    if not no:
        first = shares.head(TOP)
        ordered = (first["rank_low"] == first["rank_high"]).all()
        text.append(f"The first {word(TOP)}, {listing(yes)}, are shown to be the first {word(TOP)}"
                    f"{', in this order' if ordered else '; in which order is left open'}.")
    elif yes:
        text.append(f"Of the first {word(TOP)}, {listing(yes)} {'is' if len(yes) == 1 else 'are'} shown to belong "
                    f"there; of {listing(no)} it is not shown.")
    elif (shares["rank_low"] == 1).all() and (shares["rank_high"] == k).all():
        text.append(f"So every genre may have any rank from first to last, and the line below the first {word(TOP)} "
                    "is drawn by chance.")
    else:
        text.append(f"It is shown of no genre among the first {word(TOP)}, {listing(no)}, that it belongs there.")
    return Prose(" ".join(text))


def majority_table(s: Study) -> Prose:
    """The largest value of each factor, and the two largest, against a half."""
    rows = []
    for (factor, n), row in s.mix.leaders.iterrows():
        names = [labels.name(factor, value) for value in s.mix.shares.loc[factor].index[:n]]
        rows.append((factor.capitalize(), listing(names), _share_cell(row),
                     VERDICTS[Majority(row["majority"])]))
    if not rows:
        return ALIKE
    columns = ["Factor", "Largest", "Share, %", "More than half?"]
    return table(pd.DataFrame(rows, columns=columns), {"Share, %": Prose})


def _verdicts(s: Study, factor: str) -> list[Majority]:
    """Whether the largest value, and whether the two largest, are a majority."""
    return [Majority(row["majority"]) for (f, _), row in s.mix.leaders.iterrows() if f == factor]


def most(s: Study) -> Prose:
    """Whether most subscribers come from one or two regions."""
    test = s.mix.tests.loc["region"]
    k, half = int(test["values"]), int(test["half"])
    names = _names(s, "region", 2)
    if k == 1:
        return Prose(f"All subscribers are in the same region, {names[0]}.")
    rows = [row for _, row in s.mix.leaders.xs("region", level="factor").iterrows()]
    text = f"The largest region, {names[0]}, has {_share(rows[0])} of the subscribers"
    if k > 2:
        text += f", and the two largest, {listing(names)}, have {_share(rows[1])} together"
    one, *two = _verdicts(s, "region")
    last = two[0] if two else one
    if one is Majority.SHOWN:
        text += ": most subscribers are in that one region." if k == 2 else f": most are in {names[0]} alone."
    elif last is Majority.SHOWN:
        text += ": most subscribers are in these two."
    elif last is Majority.EXCLUDED:
        text += ", which is not most of them: a majority in any two regions is excluded."
    elif two:
        text += ", and whether that is more than half is left open."
    else:
        text += ", and whether that is more than half is left open; the other region has the rest."
    if half > 2:
        text += f" It takes {word(half)} of {word(k)} regions to hold more than half."
    return Prose(text)


def answer(s: Study) -> Prose:
    """The result in a few words."""
    if not _compared(s):
        return ALIKE
    even, uneven = _even(s), _uneven(s)
    parts = []
    if even:
        ordered = s.mix.tests.loc[even, "pairs_shown"].sum() > 0
        plural = listing(NOUNS[f][1] for f in even)
        said = (f"Subscribers are spread about evenly over {plural}" if _near(s, even) else
                f"That subscribers are spread unevenly over {plural} is not shown")
        parts.append(said if ordered else f"{said}, and none of these is shown to be more common than another")
    if uneven:
        largest = {f: s.mix.shares.loc[f].iloc[0] for f in uneven}
        parts.append(f"{'they' if even else 'subscribers'} divide unevenly " + listing(
            f"by {f} ({_names(s, f, 1)[0]} is the largest, with {percent(row['share'])}, "
            f"{percents(row['low'], row['high'])})" for f, row in largest.items()))
    text = f"{capital('; '.join(parts))}."
    verdicts = _verdicts(s, "region")
    if verdicts and verdicts[-1] is Majority.EXCLUDED:
        text += " No two regions hold a majority."
    return Prose(text)


def means(s: Study) -> Prose:
    """What it means, and what to do."""
    k = int(s.mix.tests.loc["genre", "values"])
    parts = []
    if k > TOP:
        yes, no = _top(s)
        if not yes:
            parts.append(
                f"A list of the first {word(TOP)} genres is here no ground for what to advertise: another sample of "
                "subscribers could put others first.")
        elif no:
            parts.append(f"Of the first {word(TOP)} genres, {listing(yes)} can be named as such; the others could "
                         "change places with those below them.")
        else:
            parts.append(f"The first {word(TOP)} genres may be named as such.")
    verdicts = _verdicts(s, "region")
    if verdicts:
        held = Majority.SHOWN in verdicts
        parts.append(
            "Where most subscribers are can be told; where more could be won cannot, since" if held else
            "The regions do not tell where to grow, for")
        parts[-1] += (" a count of subscribers means something only beside the number of people who might "
                      "subscribe, which the table does not hold.")
    if not parts:
        parts.append("Nothing here calls for a decision.")
    return paragraph(*parts)


def limits(s: Study) -> Prose:
    """What shares of subscribers cannot say."""
    text = (
        "A preferred genre is what a subscriber names, once; the table holds no titles and no hours by genre, so a "
        "genre that many prefer is not shown to perform well, nor one that few prefer to perform badly. "
        "The shares are those of everybody in the table, "
    )
    if s.churned == 0:
        text += "none of whom has churned. "
    elif s.churned == s.subscribers:
        text += "all of whom have churned. "
    else:
        text += "with those who have churned. "
    return Prose(text + (
        "The intervals take them as a random sample of all who might have subscribed; a service that has its whole list "
        "before it knows the shares exactly, and asks with them what another year would bring."))
