"""Support queries against age: tables, figures and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.queries import (
    ALPHA,
    BAND,
    LEAST_AGES,
    LINEAR,
    MARGIN,
    MONOTONE,
    REPORTED,
    YEAR,
)
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    count,
    interval,
    listing,
    number,
    p_value,
    percent,
    percents,
    significant,
)

RANGE = f"{REPORTED[0]} to {REPORTED[1]}"
EVEN = 0.1  # a Cohen's w below it is less than small (Cohen 1988)
LEAST_KINDS = 5  # numbers of queries, from which on it is odd that all are equally common
QUANTITIES = {
    "queries": "queries in all", "mean": "mean queries of a subscriber",
    "subscribers": "number of subscribers", "asking": "number of subscribers with a query",
}
GROUPINGS = {"years": "a year of age", "five_years": "five years of age", "bands": "a band of ages"}
POINTS = 40  # of each limit of the figure of totals


def _relation(s: Study, name: str) -> pd.Series | None:
    """A relation, if it could be tested."""
    row = s.queries.relations.loc[name]
    return row if np.isfinite(row["p_adjusted"]) else None


def _no_correlation(s: Study) -> Prose:
    """Why there is no correlation to test."""
    n = s.subscribers
    if s.numbers["support_queries"].distinct == 1:
        one = s.numbers["support_queries"].low
        if n == 1:
            return Prose("There is only one subscriber, so queries cannot be set against age.")
        return Prose("Nobody has logged a query, so queries cannot go with age." if one == 0 else
                     f"Each subscriber has logged {count(int(one), 'query', 'queries')}, so queries cannot go with age.")
    if s.numbers["age"].distinct == 1:
        return Prose("All subscribers have the same age, so queries cannot go with it.")
    if n < 4:
        return Prose(f"With {count(n, 'subscriber')} a correlation says nothing.")
    r = s.queries.relations.loc[LINEAR, "effect"]
    return Prose(f"In this table the queries follow from the age, {'rising' if r > 0 else 'falling'} in a straight line with it, so "
                 "that no interval can be given.")


def linear(s: Study) -> Prose:
    """Whether queries rise or fall with age, or are shown to do neither."""
    row = _relation(s, LINEAR)
    if row is None:
        return _no_correlation(s)
    said = (f"Pearson's correlation {number(row['effect'], 2)}, 95% interval {interval(row['low'], row['high'], 2)}, corrected "
            f"{p_value(row['p_adjusted'])}")
    within = s.queries.equivalence
    small = within.p_value <= ALPHA
    most = max(row["low"] ** 2, row["high"] ** 2)
    if row["p_adjusted"] <= ALPHA:
        text = f"Older subscribers log {'more' if row['effect'] > 0 else 'fewer'} queries ({said})"
        text += (f", but the correlation is shown to lie within ±{within.margin} ({p_value(within.p_value)}): a straight line in age accounts "
                 f"for at most {percent(most)} of the variance of the queries." if small else
                 f"; a straight line in age accounts for {percent(row['effect'] ** 2)} of the variance of the queries, and at most for {percent(most)}.")
        return Prose(text)
    text = f"Queries are not shown to rise or fall with age ({said})."
    text += (
        f" And more than that: the correlation is shown to lie within ±{within.margin} ({p_value(within.p_value)}), so a straight "
        f"line in age accounts for at most {percent(most)} of the variance of the queries, where the interval ends." if small else
        f" Nor is it shown that they do not: a correlation beyond ±{within.margin} is not excluded ({p_value(within.p_value)}).")
    return Prose(text)


def _between(most: float) -> str:
    """How much of the variance lies between groups at most; F below what chance gives bounds nothing."""
    return f", at most {percent(most, 1 if most >= 0.001 else 2)} of the variance between them" if most > 0 else ""


def shapes(s: Study) -> Prose:
    """Whether another than a straight relation shows."""
    parts, found, bounds = [], [], []
    names = {MONOTONE: "by ranks", BAND: "by band of ages", YEAR: "by year of age"}
    for name, how in names.items():
        row = _relation(s, name)
        if row is None:
            continue
        value = (f"Spearman's correlation {number(row['effect'], 2)}, {interval(row['low'], row['high'], 2)}" if name == MONOTONE
                 else f"{number(row['groups'])} groups{_between(row['high'])}")
        parts.append(f"{how} ({value}; corrected {p_value(row['p_adjusted'])})")
        (found if row["p_adjusted"] <= ALPHA else bounds).append(how)
    if not parts:
        return Prose("Other shapes of a relation cannot be tested here.")
    text = f"A relation that is no straight line could show {listing(parts)}"
    if not found:
        return Prose(f"{text}; none is shown.")
    if not bounds:
        return Prose(f"{text}, and it does{' in each' if len(parts) > 1 else ''}.")
    return Prose(f"{text}; it does {listing(found)}, and not {listing(bounds, 'or')}.")


def bands_table(s: Study) -> Prose:
    """Subscribers and queries by band of ages."""
    frame = s.queries_by_age_band
    rows = pd.DataFrame({
        "Ages": [labels.group("age", row.from_age, row.to_age) for row in frame.itertuples()],
        "Subscribers": frame["n"], "Queries": frame["queries"],
        "Queries a subscriber": [
            Prose(number(row.mean, 2) + (f" ({interval(row.low, row.high, 2)})" if np.isfinite(row.low) else ""))
            for row in frame[["mean", "low", "high"]].itertuples(index=False)],
    })
    return table(rows, {"Subscribers": number, "Queries": number, "Queries a subscriber": Prose})


def bands_figure(s: Study) -> p9.ggplot | Prose:
    """Mean queries of a subscriber by band of ages."""
    frame = s.queries_by_age_band
    if len(frame) < 2:
        return Prose("All subscribers are in one band of ages, so there is nothing to compare.")
    names = [labels.group("age", row.from_age, row.to_age) for row in frame.itertuples()]
    rows = frame.assign(label=pd.Categorical(names, names))
    return (
        figures.Plot(rows, p9.aes("label", "mean"))
        + p9.geom_hline(yintercept=s.numbers["support_queries"].mean, color=figures.VERMILION, linetype="dashed")
        + p9.geom_linerange(p9.aes(ymin="low", ymax="high"), color=figures.BLUE, na_rm=True)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.expand_limits(y=0)
        + p9.labs(x="Age", y="Queries a subscriber")
        + figures.theme(height=2.6)
        + p9.theme(panel_grid_major_x=p9.element_blank())
    )


def dispersion(s: Study) -> Prose:
    """How queries are spread over the subscribers."""
    found = s.queries.dispersion
    if found is None:
        return Prose("All subscribers have logged the same number of queries, so their spread is nought."
                     if s.subscribers > 1 else "With one subscriber there is no spread.")
    text = (
        f"A subscriber logs {number(found.mean, 1)} queries on average, and {percent(found.none.estimate)} "
        f"({percents(found.none.low, found.none.high)}) log none. Queries that come at random, at one rate for all, would leave "
        f"{percent(found.poisson_none)} without, and their variance would equal their mean; here it is {number(found.ratio, 2)} "
        f"times the mean ({interval(found.low, found.high, 2)})")
    if found.low > 1:
        text += ", so subscribers differ in how much they ask, by more than chance."
    elif found.high < 1:
        text += ", so their numbers are more alike than chance would make them."
    else:
        text += ", so that they differ from chance is not shown."
    if found.kinds >= LEAST_KINDS and found.even_p_value > ALPHA and found.even_w_high < EVEN:
        text += (
            f" Every number from {found.least} to {found.most} is about equally common ({p_value(found.even_p_value)}; Cohen's w at most "
            f"{number(found.even_w_high, 2)}). That is how numbers fall that are drawn by lot between two ends, and not how people "
            "ask for help, of whom most ask little and a few much; so ask where this column comes from before acting on it.")
    return Prose(text)


def totals(s: Study) -> Prose:
    """What the totals by year of age owe to how many subscribers are of that age."""
    ages, found = s.queries.ages, s.queries.head_counts
    if found is None:
        if len(ages) < LEAST_AGES:
            return Prose(f"There {'is' if len(ages) == 1 else 'are'} only {count(len(ages), 'year')} of age in the table, too few to set "
                         "totals against head counts.")
        if ages["subscribers"].nunique() == 1:
            return Prose("All ages have as many subscribers, so their totals owe nothing to head counts.")
        return Prose("All ages have as many queries in all, so there is nothing to explain.")
    if s.queries.dispersion is None:
        return Prose("Each subscriber has logged as many queries, so the total of an age is its head count times that number.")
    low, high = (int(pick(ages["queries"])) for pick in (min, max))
    text = (
        f"The totals of the {number(found.ages)} years of age run from {number(low)} to {count(high, 'query', 'queries')}. Of their variance "
        f"{percent(found.explained, 0)} goes with the number of subscribers of that age; if all ages asked alike, that would be "
        f"{percent(found.expected, 0)} on average, and {percents(found.low, found.high, 0)} in 95 of 100 tables")
    if found.explained >= found.low - 1e-9:
        text += ". So these totals count heads; that more than chance is left is not shown."
    else:
        text += (". That is less than head counts alone would give, so subscribers of some ages log more than those of others.")
    return Prose(text)


def totals_figure(s: Study) -> p9.ggplot | Prose:
    """Total queries of each year of age against its head count."""
    ages = s.queries.ages
    if len(ages) < LEAST_AGES:
        return totals(s)
    n = np.linspace(0, ages["subscribers"].max() * 1.04, POINTS)
    number_of = s.numbers["support_queries"]
    spread = 1.96 * np.sqrt(n) * number_of.sd
    line = pd.DataFrame({"n": n, "mean": n * number_of.mean, "low": np.maximum(n * number_of.mean - spread, 0),
                         "high": n * number_of.mean + spread})
    low, high = REPORTED
    return (
        figures.Plot(ages.reset_index(), p9.aes("subscribers", "queries"))
        + p9.geom_ribbon(p9.aes("n", ymin="low", ymax="high"), data=line, inherit_aes=False, fill="#dfe4e9")
        + p9.annotate("rect", xmin=0, xmax=float(n[-1]), ymin=low, ymax=high, fill=figures.ORANGE, alpha=0.35)
        + p9.geom_line(p9.aes("n", "mean"), data=line, color=figures.GREY, linetype="dashed")
        + p9.geom_point(color=figures.BLUE, size=1.5)
        + p9.labs(x="Subscribers of that age", y="Queries of that age")
        + figures.theme(height=3.0)
    )


def reported_table(s: Study) -> Prose:
    """How many groups of ages have figures within the published range."""
    frame = s.queries.reported.reset_index()
    rows = pd.DataFrame({
        "Figure": [QUANTITIES[q].capitalize() for q in frame["quantity"]],
        "Of": [GROUPINGS[g] for g in frame["grouping"]],
        "From": [significant(v, 3) if q == "mean" else number(v) for q, v in zip(frame["quantity"], frame["least"], strict=True)],
        "To": [significant(v, 3) if q == "mean" else number(v) for q, v in zip(frame["quantity"], frame["largest"], strict=True)],
        f"Groups with {RANGE}": [
            Prose(f"{number(w)} of {number(g)}") for w, g in zip(frame["within"], frame["groups"], strict=True)],
    })
    return table(rows, dict.fromkeys(rows.columns[2:], Prose))


def _matches(s: Study) -> list[tuple[str, str]]:
    """Groupings and quantities that lie within the published range for most groups, the best first."""
    frame = s.queries.reported
    found = frame[frame["share"] > 0.5].sort_values("share", ascending=False, kind="stable")
    return list(found.index)


def _read(s: Study, key: tuple[str, str]) -> str:
    """A figure of a group of ages, and in how many groups it lies within the range."""
    row = s.queries.reported.loc[key]
    return (f"the {QUANTITIES[key[1]]} of {GROUPINGS[key[0]]} (in {number(row['within'])} of "
            f"{number(row['groups'])})")


def reported(s: Study) -> Prose:
    """What the published figure of 60 to 80 must have counted."""
    matches = _matches(s)
    sums = [key for key in matches if key[1] == "queries"]
    if sums:
        return Prose(f"For most groups of ages, queries do come to {RANGE}: {_read(s, sums[0])}.")
    years = s.queries.reported.loc["years", "queries"]
    low, high = REPORTED
    text = f"No grouping of ages that was tried gives totals of {RANGE} queries for most groups."
    if s.queries.queries >= high * years["groups"]:
        text += (
            f" Nor can one easily: to leave so many in each, {number(s.queries.queries)} queries would have to be divided among "
            f"{number(np.ceil(s.queries.queries / high))} to {number(s.queries.queries // low)} groups, and the table has "
            f"{count(int(years['groups']), 'year')} of age.")
    if not matches:
        return Prose(f"{text} No mean and no number of subscribers does so either; what the report counted cannot be told from here.")
    first, *others = matches
    text += f" What does lie there for most is {_read(s, first)}"
    text += f", and less often {listing(_read(s, key) for key in others)}." if others else "."
    if first[1] == "subscribers":
        text += " A chart that counts the rows of the table, where it should add up a column of it, shows just that."
    elif first[1] == "asking":
        text += " A chart that counts who has asked, where it should add up what they asked, shows just that."
    return Prose(text)


def answer(s: Study) -> Prose:
    """The result in a few words."""
    row = _relation(s, LINEAR)
    if row is None:
        return _no_correlation(s)
    within = s.queries.equivalence.p_value <= ALPHA
    r = f"{number(row['effect'], 2)} ({interval(row['low'], row['high'], 2)})"
    others = [name for name in (MONOTONE, BAND, YEAR) if (o := _relation(s, name)) is not None and o["p_adjusted"] <= ALPHA]
    if row["p_adjusted"] <= ALPHA:
        text = f"Support queries {'rise' if row['effect'] > 0 else 'fall'} with age, by a correlation of {r}"
        text += f", which is shown to lie within ±{MARGIN}." if within else "."
    elif others:
        text = f"Support queries go with age, though not in a straight line: the correlation is {r}."
    elif within:
        text = (f"Support queries are shown neither to rise nor to fall with age by more than a trifle: the correlation is {r}, "
                f"within ±{MARGIN}, and no other shape of a relation shows.")
    else:
        text = f"Support queries are not shown to go with age, nor shown not to: the correlation is {r}."
    matches = _matches(s)
    if matches and matches[0][1] in ("subscribers", "asking") and not any(key[1] == "queries" for key in matches):
        text += f" The {RANGE} “queries” that the report gives each age agree with the {QUANTITIES[matches[0][1]]}, not with queries."
    return Prose(text)


def means(s: Study) -> Prose:
    """What it means, and what to do."""
    topic = (
        "What the queries are about cannot be read from this at all: a technical fault, a wrong bill and a film not found may "
        "each trouble all ages alike, or some more than others. The table holds no topic; to know, have the support record one.")
    row = _relation(s, LINEAR)
    if row is None:
        return Prose(topic)
    others = [name for name in (MONOTONE, BAND, YEAR) if (o := _relation(s, name)) is not None and o["p_adjusted"] <= ALPHA]
    if row["p_adjusted"] <= ALPHA or others:
        small = s.queries.equivalence.p_value <= ALPHA and not others
        first = ("The relation with age is too weak to plan by." if small else
                 "How much support a group of subscribers needs goes with its ages as well as with its size.")
    elif s.queries.equivalence.p_value <= ALPHA:
        mean = s.numbers["support_queries"].mean
        first = (f"Plan the support by the number of subscribers, about {number(mean, 1)} queries each over the time that the table "
                 "covers, and not by their ages.")
    else:
        first = "There are too few subscribers to say whether age matters for the support."
    return Prose(f"{first} {topic}")


def limits(s: Study) -> Prose:
    """What these counts cannot say."""
    text = "The table does not say over what time the queries were logged."
    found = s.queries.months
    if found is not None:
        r = f"correlation {number(found.estimate, 2)}, {interval(found.low, found.high, 2)}"
        text += (f" Logged since the subscription began, they would grow with its length, and they do ({r})." if found.low > 0 else
                 f" Logged since the subscription began, they would grow with its length, which is not shown ({r}); so they may be "
                 "of one and the same period for all." if found.high > 0 else
                 f" Logged since the subscription began, they would grow with its length, but they fall ({r}).")
    text += (" Fisher's interval takes both columns as about normal, which they need not be, though where there is little or no "
             "correlation that matters little; the test by ranks needs no such shape.")
    return Prose(text)
