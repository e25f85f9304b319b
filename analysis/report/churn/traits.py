"""The key metrics, and every trait alone against churn: tables, figures and sentences."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.reductions import CATEGORIES, NUMBERS
from analysis.churn.traits import (
    ALL,
    ALPHA,
    EVERYBODY,
    NOBODY,
    ONE_GROUP,
    OTHERS,
    POWER,
    TOO_FEW,
)
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table, with_interval
from analysis.report.text import (
    Prose,
    capital,
    count,
    escape,
    interval,
    listing,
    number,
    p_cell,
    p_value,
    paragraph,
    percent,
    percents,
    quotient,
    significant,
)
from analysis.stats.association import ASYMPTOTIC
from analysis.stats.decision import Finding

KEY = ("satisfaction_score", "support_queries", "profiles")
WHOLE = ("monthly_income",)  # means without decimals
MOST_ROWS = 30  # of a table of groups
MOST_LINES = 40  # of the figure of groups
WORTH = 0.1  # a difference of churn rates by which one would choose whom to keep
VAGUE = 0.5  # beyond it, a bound of a difference of rates rules out next to nothing
MOST_TOLD = 6  # traits with their figures in one sentence
MOST_NAMED = 4  # traits or groups in one enumeration
FAR = 0.2  # standard deviations between mean and median that are worth a word
LINE = 0.17  # inches that a line of a figure takes
KINDS = ("groups shown to differ", "not shown")
SIDES = {Finding.HIGHER.value: "above the others", Finding.LOWER.value: "below the others"}
OPEN = "not shown to differ"


# Names and numbers


def _digits(column: str) -> int:
    return 0 if column in WHOLE else 2


def _plain(column: str, row: pd.Series) -> str:
    """A group as plain text, for figures."""
    if column in NUMBERS:
        return labels.group(column, row["from_value"], row["to_value"])
    if row["pooled"]:
        return f"{OTHERS} ({row['pooled']:.0f} values)"
    return labels.name(column, row.name)


def _group(column: str, row: pd.Series) -> Prose:
    """A group in a sentence: "1 to 12", "“Delayed”"."""
    text = escape(_plain(column, row))
    return text if column in NUMBERS or row["pooled"] else Prose(f"“{text}”")


def _rate(row: pd.Series) -> Prose:
    """A group's churn rate in a sentence."""
    if row["churned"] == 0:
        return Prose("none")
    return Prose("all") if row["churned"] == row["subscribers"] else percent(row["rate"])


def _two(value: float) -> Prose:
    return number(value, 2)


def _points(value: float) -> Prose:
    return number(100 * value, 1)


def _ends(low: float, high: float) -> Prose:
    """The ends of an interval of a difference, in points."""
    return interval(100 * low, 100 * high, 1)


def _names(columns: Iterable[str], last: str = "and") -> Prose:
    return listing((labels.trait(column) for column in columns), last)


def _groups(s: Study, column: str) -> pd.DataFrame:
    return s.traits.groups.xs(column, level="trait")


def _found(s: Study) -> list[str]:
    """The traits that the test of groups found, the closest association first."""
    tests = s.traits.tests
    return list(tests.index[tests["found"]])


def _directed(s: Study) -> list[str]:
    """The numbers of which only the test of direction found something."""
    direction = s.traits.direction
    return [column for column in direction.index[direction["found"]] if column not in _found(s)]


def _rest(s: Study) -> list[str]:
    """The traits that a test was made of and none found, categories first."""
    t = s.traits
    tested = set(t.tests.index) | set(t.direction.index)
    return [c for c in ALL if c in tested and c not in (*_found(s), *_directed(s))]


def _nothing(s: Study) -> Prose:
    """Why no trait could be tested."""
    reasons = set(s.traits.left_out.values())
    if NOBODY in reasons:
        return Prose("Nobody has churned, so no trait can go with churn.")
    if EVERYBODY in reasons:
        return Prose("Everybody has churned, so no trait can go with churn.")
    return Prose("In every trait all subscribers fall into one group, so there is nothing to compare.")


# The key metrics


def metrics(s: Study) -> Prose:
    """How many there are, and how many have churned."""
    n, churned = s.subscribers, s.churned
    ends = percents(s.churn_rate.low, s.churn_rate.high)
    if n == 1:
        return Prose(f"The table holds 1 subscriber, who has {'churned' if churned else 'not churned'}; one subscriber tells nothing about a rate (95% interval {ends}).")
    lead = f"The table holds {count(n, 'subscriber')}"
    if churned == n:
        return Prose(f"{lead}, all of whom have churned (95% interval of the rate {ends}).")
    if churned == 0:
        return Prose(f"{lead}, of whom nobody has churned (95% interval of the rate {ends}).")
    has = "has" if churned == 1 else "have"
    return Prose(f"{lead}, of whom {number(churned)} {has} churned: a rate of {percent(s.churn_rate.estimate)} (95% interval {ends}).")


def metrics_table(s: Study) -> Prose:
    """The figures of a dashboard, with how sure they are."""
    rate = s.churn_rate
    rows = [
        {"Figure": "Subscribers", "Value": number(s.subscribers)},
        {"Figure": "Churned", "Value": number(s.churned)},
        {"Figure": "Churn rate, %", "Value": _points(rate.estimate),
         "95% interval": _ends(rate.low, rate.high)},
    ]
    order = (*KEY, *(column for column in NUMBERS if column not in KEY))
    for column in order:
        row, digits = s.traits.key.loc[column], _digits(column)
        rows.append({
            "Figure": f"Mean {labels.trait(column)}" + (
                f", {labels.UNITS[column][1]}" if column in ("age", "monthly_income") else ""),
            "Value": number(row["mean"], digits),
            "95% interval": interval(row["low"], row["high"], digits),
            "Median": Prose(labels.figure(row["median"])),
            "Standard deviation": number(row["sd"], digits),
            "Range": Prose(labels.group(column, row["least"], row["largest"])),
        })
    frame = pd.DataFrame(rows).astype(object)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def averages(s: Study) -> Prose:
    """What the means of the key metrics hide."""
    key = s.traits.key.loc[list(KEY)]
    far = {
        side: key.index[sign * (key["median"] - key["mean"]) > FAR * key["sd"]]
        for side, sign in (("above", 1), ("below", -1))
    }
    parts = []
    for side, columns in far.items():
        if len(columns):
            told = listing(
                f"{labels.trait(c)} (median {labels.figure(key.loc[c, 'median'])}, mean {number(key.loc[c, 'mean'], 2)})"
                for c in columns)
            parts.append(f"At least half of the subscribers lie {side} the mean in {told}.")
    spread = key[key["largest"] > key["least"]]
    if spread.empty:
        parts.append(f"In {_names(KEY)} all subscribers are alike.")
    else:
        told = listing(
            f"from {labels.figure(row['least'])} to {labels.figure(row['largest'])} ({labels.trait(c)})"
            for c, row in spread.iterrows())
        parts.append(f"Behind the means there are values {told}.")
    return Prose(" ".join(parts))


# The family of tests of groups


def _v(row: pd.Series) -> Prose:
    return Prose(f"V = {number(row['v'], 2)}, {interval(row['v_low'], row['v_high'], 2)}")


def tests_table(s: Study) -> Prose:
    """Whether the churn rates of each trait's groups differ."""
    if s.traits.tests.empty:
        return _nothing(s)
    frame = pd.DataFrame([{
        "Trait": capital(labels.trait(column)),
        "Groups": row["groups"],
        "χ²": row["statistic"],
        "p": row["p_value"],
        "p, corrected": row["p_adjusted"],
        "Cramér’s V (95% interval)": with_interval(_two, lambda low, high: interval(low, high, 2), row, "v"),
    } for column, row in s.traits.tests.iterrows()])
    return table(frame, {
        "Groups": number, "χ²": lambda x: number(x, 1), "p": p_cell, "p, corrected": p_cell,
        "Cramér’s V (95% interval)": Prose})


def found(s: Study) -> Prose:
    """Which traits have groups that differ in churn, of which that is not shown, which have no test."""
    tests = s.traits.tests
    if tests.empty:
        return _nothing(s)
    rows, rest = tests[tests["found"]], tests[~tests["found"]]
    told = [
        f"{labels.trait(column)} ({_v(row)}; corrected {p_value(row['p_adjusted'])})"
        for column, row in rows.head(MOST_TOLD).iterrows()]
    if len(rows) > MOST_TOLD:
        told.append(f"{number(len(rows) - MOST_TOLD)} more")
    least = rest["p_adjusted"].min()
    of = f", of {labels.trait(rest['p_adjusted'].idxmin())}" if len(rest) > 1 and least < 0.999 else ""
    if len(tests) == 1:
        column, row = tests.index[0], tests.iloc[0]
        parts = [f"One trait can be tested, {labels.trait(column)}; the churn rates of its groups are {'' if row['found'] else 'not '}shown to differ ({p_value(row['p_value'])})."]
    elif rows.empty:
        parts = [f"Of the {number(len(tests))} traits that can be tested, none has groups whose churn rates are shown to differ (smallest corrected {p_value(least)}{of})."]
    elif rest.empty:
        parts = [f"All {number(len(tests))} traits that can be tested have groups whose churn rates are shown to differ: {listing(told)}."]
    else:
        parts = [
            f"Of the {number(len(tests))} traits that can be tested, {number(len(rows))} {'has' if len(rows) == 1 else 'have'} groups whose churn rates are shown to differ: {listing(told)}.",
            f"For the other {number(len(rest))} that is not shown (smallest corrected {p_value(least)}{of})." if len(rest) > 1 else
            f"For the other one, {labels.trait(rest.index[0])}, that is not shown (corrected {p_value(least)}).",
        ]
    alone = [column for column, why in s.traits.left_out.items() if why == ONE_GROUP]
    if alone:
        parts.append(f"There is no test for {_names(alone)}: all subscribers fall into one group.")
    return Prose(" ".join(parts))


def hints(s: Study) -> Prose:
    """What one test on its own would have found, had it been the only one."""
    t = s.traits
    made = len(t.tests) + len(t.direction)
    if not made:
        return Prose("No test could be made, so there is nothing to correct.")
    if made == 1:
        return Prose("A single test needs no correction.")
    told = []
    for frame, what in ((t.tests, "its groups"), (t.direction, "its direction")):
        near = frame[(frame["p_value"] <= ALPHA) & frame.index.isin(_rest(s))]
        told += [f"{labels.trait(c)} ({p_value(row['p_value'])} for {what})" for c, row in near.iterrows()]
    if not told:
        return Prose(
            "Here the correction changes no conclusion: no trait is lost by it."
            if len(_rest(s)) < len(set(t.tests.index) | set(t.direction.index)) else
            f"Here the correction changes nothing: no test passes {percent(ALPHA, 0)} even alone.")
    chance = percent(1 - (1 - ALPHA) ** made, 0)
    return Prose(
        f"Alone, {listing(told)} would have passed the usual {percent(ALPHA, 0)}; but {number(made)} tests were made, and if they were independent, "
        f"{chance} of all tables in which nothing goes with churn would have a test that passes. "
        f"{'This is a hint' if len(told) == 1 else 'These are hints'} to look into with new data, not {'a finding' if len(told) == 1 else 'findings'}."
    )


def small_counts(s: Study) -> Prose:
    """Whether the chi-squared distribution could be used."""
    tests = s.traits.tests
    if tests.empty:
        return Prose("Here there is no test.")
    small = tests[tests["method"] != ASYMPTOTIC]
    least = significant(tests["smallest_expected"].min(), 2)
    if small.empty:
        return Prose(f"Here they are large enough (the smallest is {least}).")
    where = (
        "every test" if len(small) == len(tests) else
        f"{count(len(small), 'test')}, {'that' if len(small) == 1 else 'those'} of {_names(small.index)}")
    return Prose(
        f"Here they are too small in {where}; the smallest is {least}. There the p-value comes from tables with the same margins instead: "
        "from all of them for two groups, which is Fisher’s exact test, and from a random sample for more.")


def tests_figure(s: Study) -> p9.ggplot | Prose:
    """Cramér's V of every trait, with its interval."""
    tests = s.traits.tests
    if tests.empty:
        return _nothing(s)
    frame = tests[["v", "v_low", "v_high"]].assign(
        kind=pd.Categorical(np.where(tests["found"], *KINDS), KINDS),
        label=pd.Categorical(
            [capital(labels.trait(c)) for c in tests.index],
            [capital(labels.trait(c)) for c in tests.index[::-1]]),
    )
    return (
        figures.Plot(frame, p9.aes("v", "label", color="kind", shape="kind"))
        + p9.geom_segment(p9.aes(x="v_low", xend="v_high", yend="label"), show_legend=False)
        + p9.geom_point(size=2.2)
        + p9.scale_color_manual(dict(zip(KINDS, (figures.BLUE, figures.GREY), strict=True)))
        + p9.scale_shape_manual(dict(zip(KINDS, ("o", "D"), strict=True)))
        + p9.labs(x="Cramér’s V", y="")
        + p9.expand_limits(x=0)
        + figures.theme(height=1.15 + 0.2 * len(frame))
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


# Rates by group


def categories_table(s: Study) -> Prose:
    """The churn rate of every group of the categories."""
    rows = [
        {"Trait": capital(labels.trait(column)), "Group": _plain(column, row),
         "Subscribers": row["subscribers"], "Churned": row["churned"],
         "Rate, % (95% interval)": _share(row)}
        for column in CATEGORIES for _, row in _groups(s, column).iterrows()
    ]
    return table(pd.DataFrame(rows), {
        "Subscribers": number, "Churned": number, "Rate, % (95% interval)": Prose})


def _share(row: pd.Series) -> Prose:
    return Prose(f"{_points(row['rate'])} ({_ends(row['low'], row['high'])})")


def pooled(s: Study) -> Prose:
    """Which traits have more values than are told apart."""
    pools = s.traits.groups[s.traits.groups["pooled"] > 0].reset_index("trait")
    if pools.empty:
        return Prose("Every value stands for itself.")
    told = listing(f"{number(row['pooled'])} of {labels.trait(row['trait'])}" for _, row in pools.iterrows())
    return Prose(f"The values that fewest subscribers have ({told}) stand together as “{OTHERS}”.")


def _drawn(s: Study) -> list[str]:
    """The traits of the figure of groups: those found, otherwise the first few, as far as they fit."""
    tests = s.traits.tests
    chosen = _found(s) or list(tests.index[:3])
    lines = tests.loc[chosen, "groups"].cumsum() + np.arange(1, len(chosen) + 1)
    return [column for i, column in enumerate(chosen) if i == 0 or lines.iloc[i] <= MOST_LINES]


def rates_figure(s: Study) -> p9.ggplot | Prose:
    """Churn rates by group for the traits found."""
    if s.traits.tests.empty:
        return _nothing(s)
    rows, text = [], {}
    for column in _drawn(s):
        text[column] = capital(labels.trait(column))
        rows.append({"key": column, "kind": OPEN})
        for name, row in _groups(s, column).iterrows():
            key = f"{column}\n{name}"
            text[key] = f"\u2003{figures.short(_plain(column, row), 26)}"
            rows.append({"key": key, "rate": row["rate"], "low": row["low"], "high": row["high"],
                         "kind": SIDES.get(row["finding"], OPEN)})
    frame = pd.DataFrame(rows)
    frame["key"] = pd.Categorical(frame["key"], list(text)[::-1])
    kinds = [kind for kind in (*SIDES.values(), OPEN) if kind in set(frame["kind"].where(frame["rate"].notna()))]
    frame["kind"] = pd.Categorical(frame["kind"].where(frame["rate"].notna(), kinds[0]), kinds)
    colour = dict(zip((*SIDES.values(), OPEN), (figures.VERMILION, figures.BLUE, figures.GREY), strict=True))
    shape = dict(zip((*SIDES.values(), OPEN), ("^", "v", "o"), strict=True))
    return (
        figures.Plot(frame, p9.aes("rate", "key", color="kind", shape="kind"))
        + p9.geom_vline(xintercept=s.churn_rate.estimate, linetype="dotted", color=figures.INK)
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="key"), show_legend=False, na_rm=True)
        + p9.geom_point(size=2.2, na_rm=True)
        + p9.scale_color_manual({kind: colour[kind] for kind in kinds})
        + p9.scale_shape_manual({kind: shape[kind] for kind in kinds})
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_discrete(labels=lambda keys: [text[key] for key in keys])
        + p9.labs(x="Churn rate", y="")
        + p9.expand_limits(x=0)
        + figures.theme(height=1.1 + LINE * len(frame))
        + p9.theme(axis_text_y=p9.element_text(ha="left"), panel_grid_major_y=p9.element_blank())
    )


def drawn(s: Study) -> Prose:
    """Which traits the figure of groups shows."""
    if s.traits.tests.empty:
        return _nothing(s)
    shown, every = _drawn(s), _found(s)
    if not every:
        return Prose(f"Since no trait’s groups are shown to differ, it shows what comes closest: {_names(shown)}.")
    if len(shown) < len(every):
        return Prose(f"Of the {number(len(every))} traits found it shows those that go with churn most closely: {_names(shown)}.")
    return Prose(f"It shows {'the one that is' if len(every) == 1 else 'all that are'} found: {_names(shown)}.")


def _standing(s: Study) -> pd.DataFrame:
    """The comparisons of the traits found, in order; of two groups, the one with the higher rate."""
    parts = []
    for column in _found(s):
        rows = _groups(s, column)
        if len(rows) == 2:
            rows = rows.loc[[rows["rate"].idxmax()]]
        parts.append(rows.assign(trait=column))
    return pd.concat(parts) if parts else pd.DataFrame()


def standing_table(s: Study) -> Prose:
    """The groups of the traits found, each against all others together."""
    rows = _standing(s)
    if rows.empty:
        return _nothing(s) if s.traits.tests.empty else Prose(
            "No trait has groups that are shown to differ, so none is held against the others.")
    if len(rows) > MOST_ROWS:
        furthest = np.argsort(-rows["difference"].abs().to_numpy(), kind="stable")[:MOST_ROWS]
        rows = rows.iloc[np.sort(furthest)]
    frame = pd.DataFrame([{
        "Trait": capital(labels.trait(row["trait"])),
        "Group": _plain(row["trait"], row),
        "Subscribers": row["subscribers"],
        "Rate, % (95% interval)": _share(row),
        "Less the others, points (95% interval)": with_interval(_points, _ends, row, "difference"),
        "p, corrected": row["p_adjusted"],
    } for _, row in rows.iterrows()])
    return table(frame, {
        "Subscribers": number, "Rate, % (95% interval)": Prose,
        "Less the others, points (95% interval)": Prose, "p, corrected": p_cell})


def standing(s: Study) -> Prose:
    """Which groups of the traits found stand out against all others together."""
    if not _found(s):
        return standing_table(s) if s.traits.tests.empty else Prose(
            "No trait has groups that are shown to differ, so to ask which of them stands out would be fishing.")
    told = [_stands_out(s, column) for column in _found(s)]
    kept, left = told[:3], len(told) - 3
    if left > 0:
        kept.append(f"The table has the other {count(left, 'trait')}." if left > 1 else "The table has the other one.")
    rows = len(_standing(s))
    if rows > MOST_ROWS:
        kept.append(f"Of {number(rows)} groups the table shows the {MOST_ROWS} that lie furthest from the others.")
    return Prose(" ".join(kept))


def _stands_out(s: Study, column: str) -> str:
    rows = _groups(s, column)
    by = f"By {labels.trait(column)}"
    if len(rows) == 2:
        row = rows.loc[rows["rate"].idxmax()]
        other = rows.drop(index=row.name).iloc[0]
        return (f"{by}, {_rate(row)} of those in {_group(column, row)} and {_rate(other)} of those in {_group(column, other)} "
                f"churned, a difference of {_points(row['difference'])} points (95% interval {_ends(row['difference_low'], row['difference_high'])}).")
    parts = []
    for finding, side, sign in ((Finding.HIGHER, "above", 1), (Finding.LOWER, "below", -1)):
        mine = rows[rows["finding"] == finding.value]
        if mine.empty:
            continue
        furthest = np.argsort(-mine["difference"].abs().to_numpy(), kind="stable")[:MOST_NAMED]
        told = []
        for _, row in mine.iloc[np.sort(furthest)].iterrows():
            ends = sorted((sign * row["difference_low"], sign * row["difference_high"]))
            told.append(f"{_group(column, row)} ({_rate(row)}; {_points(sign * row['difference'])} points {'more' if sign > 0 else 'less'}, {_ends(*ends)})")
        if len(mine) > MOST_NAMED:
            told.append(f"{number(len(mine) - MOST_NAMED)} more")
        parts.append(f"{side} {'it' if parts else 'that of all others together'} for {listing(told)}")
    if not parts:
        return f"{by}, rates differ, yet no single group is shown to differ from all others together."
    return f"{by}, the rate is {', and '.join(parts)}."


# What could have been found


def sizes_table(s: Study) -> Prose:
    """The extremes of each trait's rates, and how large a difference could have been missed."""
    if s.traits.tests.empty:
        return _nothing(s)
    rows = []
    for column, test in s.traits.tests.iterrows():
        groups = _groups(s, column)
        ends = [groups.loc[test[end]] for end in ("lowest", "highest")]
        low, high = (Prose(f"{escape(_plain(column, row))} ({_points(row['rate'])})") for row in ends)
        rows.append({
            "Trait": capital(labels.trait(column)),
            "Lowest rate, %": low,
            "Highest rate, %": high,
            "Difference, points": with_interval(_points, _ends, test, "spread"),
            "Would be found": _points(test["detectable"]),
            "Left open": _points(test["left_open"]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def power(s: Study) -> Prose:
    """How small a difference the tests could have found."""
    tests = s.traits.tests
    if tests.empty:
        return _nothing(s)
    seen, blind = tests["detectable"].dropna(), tests.index[tests["detectable"].isna()]
    chance = percent(POWER, 0)
    if seen.empty:
        return Prose(f"The table is so small that no test would find a difference, however large, with a chance of {chance}.")
    first, last = seen.idxmin(), seen.idxmax()
    size = (
        f"{_points(seen[first])} points apart" if len(seen) == 1 else
        f"{_points(seen[first])} ({labels.trait(first)}) to {_points(seen[last])} points ({labels.trait(last)}) apart")
    text = (
        f"With these numbers of subscribers, a test has a chance of {chance} to find that the largest group of its trait differs from the others if their rates are "
        f"{size}, even at the strictest level that the correction may ask for; the overall rate is {percent(s.churn_rate.estimate)}.")
    if len(blind):
        text += f" Of {_names(blind, 'or')} it would not find a difference, however large, with that chance: the groups are too small."
    return Prose(text)


def left_open(s: Study) -> Prose:
    """What may still be there, of what is not shown."""
    tests = s.traits.tests
    if tests.empty:
        return _nothing(s)
    rest = tests[~tests["found"]].sort_values("left_open", kind="stable")
    if rest.empty:
        return Prose("Here every trait that can be tested is found, so nothing of the kind is left open.")
    if rest["left_open"].min() > VAGUE:
        return Prose(f"The intervals of the groups are so wide, {_points(rest['left_open'].min())} points or more, that next to nothing is ruled out: “not shown” says little here.")
    categories = [c for c in CATEGORIES if c in rest.index]
    numbers = [c for c in rest.index if c in NUMBERS]
    parts = []
    if categories:
        told = listing(
            f"{_points(rest.loc[c, 'left_open'])}{' points' if i == 0 else ''} for {labels.trait(c)}"
            for i, c in enumerate(categories))
        parts.append(f"The intervals of the groups, widened for their number, rule out that one of them differs from the others of its trait by more than {told}.")
    if numbers:
        first, last = numbers[0], numbers[-1]
        bound = (
            f"{_points(rest.loc[first, 'left_open'])} points" if len(numbers) == 1 else
            f"{_points(rest.loc[first, 'left_open'])} ({labels.trait(first)}) to {_points(rest.loc[last, 'left_open'])} points ({labels.trait(last)})")
        parts.append(f"For groups of {'the number that is' if len(numbers) == 1 else 'the numbers that are'} not found the bound is {bound}; it is wide where groups are small.")
    return Prose(" ".join(parts))


# Numbers and their direction


def numbers_figure(s: Study) -> p9.ggplot | Prose:
    """Churn rates by group of every number."""
    columns = [c for c in NUMBERS if c in s.traits.tests.index]
    if s.traits.tests.empty:
        return _nothing(s)
    if not columns:
        return Prose("In every number all subscribers fall into one group, so there is nothing to draw.")
    frame = pd.concat([_groups(s, c).assign(panel=labels.heading(c)) for c in columns])
    frame["panel"] = pd.Categorical(frame["panel"], [labels.heading(c) for c in columns])
    frame["middle"] = (frame["from_value"] + frame["to_value"]) / 2
    return (
        figures.Plot(frame, p9.aes("middle", "rate"))
        + p9.geom_hline(yintercept=s.churn_rate.estimate, linetype="dotted", color=figures.INK)
        + p9.geom_segment(p9.aes(xend="middle", y="low", yend="high"), color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=1.8)
        + p9.facet_wrap("panel", ncol=2, scales="free_x")
        + p9.scale_x_continuous(labels=lambda values: [labels.figure(v) for v in values], breaks=_breaks)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.expand_limits(y=0)
        + p9.labs(x="", y="Churn rate")
        + figures.theme(height=0.6 + 1.4 * math.ceil(len(columns) / 2), legend="none")
        + p9.theme(panel_spacing_y=0.05)
    )


def _breaks(limits: tuple[float, float]) -> list[float]:
    """Few round places."""
    low, high = limits
    if not high > low:
        return [low]
    unit = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(step * unit for step in (1, 2, 5, 10, 20) if (high - low) / (step * unit) <= 5)
    places = np.arange(math.ceil(low / step), math.floor(high / step) + 1) * step
    return [float(place) for place in places]


def direction_table(s: Study) -> Prose:
    """Whether those who churned have larger or smaller values."""
    if s.traits.direction.empty:
        return _undirected(s)
    rows = []
    for column, row in s.traits.direction.iterrows():
        digits = _digits(column)
        rows.append({
            "Trait": labels.heading(column),
            "Mean, churned": number(row["mean_churned"], digits),
            "Mean, stayed": number(row["mean_stayed"], digits),
            "Difference (95% interval)": with_interval(
                lambda x, d=digits: number(x, d), lambda a, b, d=digits: interval(a, b, d), row, "difference"),
            "Probability, % (95% interval)": with_interval(_points, _ends, row, "superiority"),
            "p": p_cell(row["p_value"]),
            "p, corrected": p_cell(row["p_adjusted"]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[1:], Prose))


def _undirected(s: Study) -> Prose:
    """Why no number could be tested for a direction."""
    reasons = set(s.traits.undirected.values())
    if TOO_FEW in reasons:
        few = "churned" if s.churned < 2 else "stayed"
        return Prose(f"Only one subscriber has {few}: too few to say in which direction those who churned differ.")
    if reasons == {ONE_GROUP}:
        return Prose("In every number all subscribers are alike, so there is no direction to look for.")
    return _nothing(s)


def direction(s: Study) -> Prose:
    """Which numbers are larger or smaller among those who churned."""
    rows = s.traits.direction
    if rows.empty:
        return _undirected(s)
    sure = rows[rows["found"]]
    parts = []
    for side, mine in (("larger", sure[sure["superiority"] > 0.5]), ("smaller", sure[sure["superiority"] <= 0.5])):
        if len(mine):
            told = [
                f"{labels.trait(column)} ({percent(row['superiority'])}, {percents(row['superiority_low'], row['superiority_high'])})"
                for column, row in mine.head(MOST_TOLD).iterrows()]
            if len(mine) > MOST_TOLD:
                told.append(f"{number(len(mine) - MOST_TOLD)} more")
            parts.append(f"Those who churned tend to have {side} values in {listing(told)}.")
    if len(sure):
        furthest = (sure["superiority"] - 0.5).abs().idxmax()
        row, digits = sure.loc[furthest], _digits(furthest)
        gap = (f", a difference of {number(row['difference'], digits)} ({interval(row['difference_low'], row['difference_high'], digits)})"
               if math.isfinite(row["difference_low"]) else "")
        mean = f"They are furthest apart in {labels.trait(furthest)}, where the mean" if len(sure) > 1 else "The mean"
        parts.append(f"{mean} is {number(row['mean_churned'], digits)} for those who churned and {number(row['mean_stayed'], digits)} for those who stayed{gap}.")
    rest = rows[~rows["found"]]
    if rest.empty:
        return Prose(" ".join(parts))
    near = rest["p_value"].idxmin()
    row = rest.loc[near]
    probability = f"{percent(row['superiority'])} ({percents(row['superiority_low'], row['superiority_high'])})"
    said = p_value(row["p_value"]) + (f" alone and {p_value(row['p_adjusted'])} corrected for {number(len(rows))} tests" if len(rows) > 1 else "")
    if len(rest) == 1:
        parts.append(f"In {labels.trait(near)} no direction is shown: the probability is {probability}, {said}.")
    else:
        which = f"In the other {number(len(rest))} numbers no direction is shown" if len(sure) else f"In none of the {number(len(rest))} numbers is a direction shown"
        parts.append(f"{which}; the nearest to one is {labels.trait(near)}, where the probability is {probability}, {said}.")
    return Prose(" ".join(parts))


def agree(s: Study) -> Prose:
    """What the test of groups and the test of direction say of the same number."""
    tests, rows = s.traits.tests, s.traits.direction
    both = [c for c in rows.index if c in tests.index]
    if not both:
        return _undirected(s) if rows.empty else Prose("No number has both tests, so they cannot be compared.")
    by = {
        (groups, way): [c for c in both if bool(tests.loc[c, "found"]) is groups and bool(rows.loc[c, "found"]) is way]
        for groups in (True, False) for way in (True, False)
    }
    parts = []
    if by[True, True]:
        parts.append(f"For {_names(by[True, True])} both tests find something: the rates differ, and they lean one way.")
    if by[True, False]:
        parts.append(
            f"For {_names(by[True, False])} the groups differ, but no direction is shown: rates need not rise or fall steadily, and a mean or a straight line can miss what groups show.")
    if by[False, True]:
        parts.append(
            f"For {_names(by[False, True])} a direction is shown, and that the groups differ is not: a test of groups looks for any pattern, a test of direction for a steady drift only, so that it can find one that is too weak for the first.")
    neither = by[False, False]
    if len(neither) == len(both):
        return Prose("Here neither test finds anything in any number." if len(both) > 1 else f"Here neither test finds anything in {labels.trait(both[0])}.")
    if neither:
        parts.append(f"In {labels.trait(neither[0]) if len(neither) == 1 else f'the other {number(len(neither))} numbers'} neither finds anything.")
    return Prose(" ".join(parts))


# One at a time


def related(s: Study) -> Prose:
    """Which of the traits found go with each other."""
    t = s.traits
    every = [*_found(s), *_directed(s)]
    if not every:
        return _nothing(s) if t.tests.empty and t.direction.empty else Prose(
            "No trait is found, so none can stand for another; but one that works may be hidden behind another that works against it.")
    pairs = t.related
    if pairs.empty:
        return Prose(f"With {labels.trait(every[0])} alone no other trait found can be behind it; traits that no column holds can." if len(every) == 1 else
                     "The traits found have no two sets of groups to compare.")
    parts = []
    together = pairs[pairs["p_adjusted"] <= ALPHA].sort_values("v", ascending=False, kind="stable")
    if len(together):
        told = [
            f"{labels.trait(first)} and {labels.trait(second)} (V = {number(row['v'], 2)}, {interval(row['v_low'], row['v_high'], 2)})"
            for (first, second), row in together.head(MOST_NAMED).iterrows()]
        if len(together) > MOST_NAMED:
            told.append(f"{number(len(together) - MOST_NAMED)} more pairs" if len(together) > MOST_NAMED + 1 else "one more pair")
        go = "so either may owe a part of its difference to the other" if len(together) == 1 else "so each may owe a part of its difference to its partners"
        parts.append(f"Among the traits found, these go together: {listing(told)}, {go}.")
    rest = pairs[pairs["p_adjusted"] > ALPHA]
    if len(rest):
        told = [f"{labels.trait(first)} with {labels.trait(second)}" for first, second in rest.index[:MOST_NAMED]]
        if len(rest) > MOST_NAMED:
            told.append(f"{number(len(rest) - MOST_NAMED)} other pairs" if len(rest) > MOST_NAMED + 1 else "one other pair")
        bound = f"V at most {number(rest['v_high'].max(), 2)}"
        parts.append(
            f"That is not shown for {listing(told, 'or')} ({bound})." if len(together) else
            f"That the traits found go together is not shown ({listing(told)}: {bound}).")
    return Prose(" ".join(parts))


def correlated(s: Study) -> Prose:
    """Which of the numbers, and the use of offers, are correlated."""
    rows = s.traits.correlations
    if rows.empty:
        return Prose("No two numbers can be correlated here.")
    top = rows["r"].abs().idxmax()
    row = rows.loc[top]
    pair = f"{labels.trait(top[0])} and {labels.trait(top[1])}, r = {number(row['r'], 2)} ({interval(row['r_low'], row['r_high'], 2)})"
    shown = int((rows["p_adjusted"] <= ALPHA).sum())
    if len(rows) == 1:
        return Prose(f"One pair of numbers varies, {pair}; it is {'' if shown else 'not '}shown to be correlated ({p_value(row['p_value'])}).")
    lead = f"Of the {number(len(rows))} pairs of numbers, where the use of offers counts as one,"
    if not shown:
        return Prose(f"{lead} none is shown to be correlated; the largest correlation is that of {pair}, corrected {p_value(row['p_adjusted'])}.")
    return Prose(f"{lead} {number(shown)} {'is' if shown == 1 else 'are'} shown to be correlated; the largest correlation is that of {pair}.")


# The answer


def _told(s: Study, column: str, first: bool) -> str:
    """A trait found with what sets its groups, or its values, apart."""
    if column in s.traits.tests.index and s.traits.tests.loc[column, "found"]:
        rows = _groups(s, column)
        test = s.traits.tests.loc[column]
        high, low = (rows.loc[test[end]] for end in ("highest", "lowest"))
        return (f"{labels.trait(column)} ({'churn rate ' if first else ''}{percent(high['rate'])} for {_group(column, high)}, "
                f"{percent(low['rate'])} for {_group(column, low)})")
    row, digits = s.traits.direction.loc[column], _digits(column)
    return (f"{labels.trait(column)} (mean {number(row['mean_churned'], digits)} of those who churned, "
            f"{number(row['mean_stayed'], digits)} of those who stayed)")


def answer(s: Study) -> Prose:
    """What goes with churn, and what is not shown to."""
    t = s.traits
    if t.tests.empty and t.direction.empty:
        return _nothing(s)
    every, rest = [*_found(s), *_directed(s)], _rest(s)
    if not every:
        return Prose(
            f"None of the {number(len(rest))} traits tested is shown to go with churn." if len(rest) > 1 else
            f"The one trait that can be tested, {labels.trait(rest[0])}, is not shown to go with churn.")
    told = [_told(s, c, first=c == every[0]) for c in every[:MOST_NAMED]]
    more = len(every) - MOST_NAMED
    if more > 0:
        told.append(f"{number(more)} more {'trait' if more == 1 else 'traits'}")
    closely = "goes most closely with" if len(every) > 1 else "goes with"
    parts = [f"Taken one at a time, churn {closely} {listing(told)}."]
    if len(rest) > MOST_NAMED:
        parts.append(f"For {number(len(rest))} others, among them {_names(rest[:MOST_NAMED])}, it is not shown.")
    elif rest:
        parts.append(f"That it goes with {_names(rest, 'or')} is not shown.")
    return Prose(" ".join(parts))


def means(s: Study) -> Prose:
    """What the tests mean and what to do, in plain words."""
    t = s.traits
    if t.tests.empty and t.direction.empty:
        return _nothing(s)
    parts = []
    every = [*_found(s), *_directed(s)]
    if every:
        parts.append(_look(s, every[0]))
    else:
        parts.append("Nothing in the table is shown to tell leavers from others by itself; asking those who leave would tell more than another cut of this table.")
    near = [c for c in _rest(s) if (c in t.tests.index and t.tests.loc[c, "p_value"] <= ALPHA)
            or (c in t.direction.index and t.direction.loc[c, "p_value"] <= ALPHA)]
    idle = [c for c in _rest(s) if c in CATEGORIES and c not in near and t.tests.loc[c, "left_open"] <= WORTH]
    if idle:
        most = t.tests.loc[idle, "left_open"].max()
        parts.append(
            f"Do not choose whom to keep by {_names(idle, 'or')}: groups are not shown to differ, and as far as the intervals tell, none of them "
            f"differs from the others by more than {_points(most)} points.")
    if near:
        parts.append(f"Keep an eye on {_names(near)}: a hint, not a finding.")
    return Prose(" ".join(parts))


def _look(s: Study, column: str) -> str:
    """Where those who churned are, by the trait that goes with churn most closely."""
    name = labels.trait(column)
    tests = s.traits.tests
    if column in tests.index and tests.loc[column, "found"]:
        rows = _groups(s, column)
        high = rows[rows["finding"] == Finding.HIGHER.value]
        if len(high) and high["churned"].sum():
            groups = listing(_group(column, row) for _, row in high.iterrows())
            of_churned = quotient(high["churned"].sum(), s.churned)
            return (f"Look at {name} first: those with {groups} are {percent(of_churned, 0)} of all who churned and "
                    f"{percent(high['subscribers'].sum() / s.subscribers, 0)} of all subscribers.")
        return f"Look at {name} first, which goes with churn most closely, though no single group of it is shown to lie above the others."
    return f"Look at {name} first, in which those who churned differ from those who stayed, though only as a tendency."


def limits(s: Study) -> Prose:
    """What these tests cannot say."""
    cut = [c for c in NUMBERS if c in s.traits.tests.index
           and (_groups(s, c)["from_value"] < _groups(s, c)["to_value"]).any()]
    cuts = (f"Where the groups of {_names(cut)} are cut is a convention, and another cut gives another χ²; the test of direction needs no cut."
            if cut else "")
    return paragraph(
        "One trait at a time holds no other equal, and a trait that goes with churn need not be its cause; @sec-netflix-model takes them together.",
        "The two families of tests are corrected each for itself, and so are the groups within a trait.",
        cuts,
        "“Not shown” says that the table could not tell, not that there is nothing.",
    )
