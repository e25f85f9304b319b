"""Devices and engagement: tables, figures and sentences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.devices import ALPHA, LEAST_VALUES, MARGIN, MOST_VALUES, TRAITS
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.churn.mix import MOST_SHOWN, axis_labels, word
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    count,
    interval,
    listing,
    low_to_high,
    number,
    p_cell,
    p_value,
    percent,
)
from analysis.stats.decision import Finding

REPORTED = 7.2  # the highest mean, as the published report's text has it
SMALL, MEDIUM = 0.2, 0.5  # standard deviations (Cohen 1988)
CONSTANT = Prose("All who use the same device have the same score, so no pair of devices needs a test.")
MOST_PAIRS = 15  # rows of the table of pairs
KINDS = ("mean with 95% interval", "where random groups lie")
FEW = Prose(
    f"Fewer than two devices are used by {LEAST_VALUES} subscribers or more, so their engagement cannot be compared.")
FEW_ANY = Prose(
    f"No trait has two values with {LEAST_VALUES} subscribers or more, so no means can be compared.")
ALIKE = Prose("All subscribers have the same engagement, so nothing goes with it.")


def _device(s: Study) -> pd.Series:
    return s.devices.tests.loc["device"]


def _traits(s: Study) -> list[str]:
    """Traits whose means can be compared with those of random groups."""
    return [trait for trait in TRAITS if np.isfinite(s.devices.tests.loc[trait, "range_p_value"])]


def _without(s: Study) -> Prose | None:
    """Why devices cannot be compared, if they cannot."""
    if _device(s)["groups"] < 2:
        return FEW
    return None if np.isfinite(_device(s)["range_p_value"]) else ALIKE


def _none(s: Study) -> Prose:
    """Why no trait's means can be compared, where none can."""
    return ALIKE if (s.devices.tests["groups"] > 1).any() else FEW_ANY


def _divisions(share: float) -> str:
    """A share of random divisions, in a sentence."""
    if share < 0.001:
        return "fewer than one in a thousand random divisions"
    return f"{percent(share, 1 if share < 0.1 else 0)} of random divisions"


def _of(n: int, total: int) -> str:
    """How many of several, with the verb: "none is", "one is", "all are"."""
    said = "none" if n == 0 else "all" if n == total > 1 else word(n)
    return f"{said} {'is' if n < 2 else 'are'}"


def _points(value: float) -> Prose:
    return Prose(f"{number(value, 2)} points")


def _ends(s: Study) -> tuple[tuple[str, pd.Series], tuple[str, pd.Series]]:
    """The compared devices of the highest and of the lowest mean, with their rows."""
    rows = s.devices.groups.loc["device"]
    rows = rows[rows["compared"]]
    return (rows.index[0], rows.iloc[0]), (rows.index[-1], rows.iloc[-1])


def _mean(row: pd.Series) -> Prose:
    """A mean with its interval."""
    if not np.isfinite(row["low"]):
        return number(row["mean"], 2)
    return Prose(f"{number(row['mean'], 2)} ({interval(row['low'], row['high'], 2)})")


def means_table(s: Study) -> Prose:
    """Mean engagement by device, beside what random groups of the same sizes would have."""
    rows = s.devices.groups.loc["device"]
    rest = rows.iloc[MOST_SHOWN:]
    shown = [(labels.name("device", value), number(row["n"]), _mean(row),
              interval(row["band_low"], row["band_high"], 2))
             for value, row in rows.head(MOST_SHOWN).iterrows()]
    if len(rest):
        shown.append((f"{count(len(rest), 'other')} together", number(rest["n"].sum()),
                      number(np.average(rest["mean"], weights=rest["n"]), 2), Prose(MISSING)))
    columns = ["Device", "Subscribers", "Mean engagement", "Random groups"]
    return table(pd.DataFrame(shown, columns=columns), dict.fromkeys(columns[1:], Prose))


def means_figure(s: Study) -> p9.ggplot | Prose:
    """Mean engagement by device and by the other traits, over where means of random groups lie."""
    traits = _traits(s)
    if not traits:
        return _none(s)
    rows = s.devices.groups.reset_index()
    rows = rows[rows["compared"] & rows["trait"].isin(traits)]
    keys = list(zip(rows["trait"], rows["value"], strict=True))
    names = axis_labels(keys)
    rows["label"] = pd.Categorical([names[key] for key in keys], list(names.values())[::-1])
    rows["panel"] = pd.Categorical(rows["trait"].str.capitalize(), [t.capitalize() for t in traits])
    rows["kind"], rows["band"] = (pd.Categorical([kind] * len(rows), KINDS) for kind in KINDS)
    return (
        figures.Plot(rows, p9.aes(yend="label", y="label"))
        + p9.geom_segment(p9.aes(x="band_low", xend="band_high", color="band", size="band"))
        + p9.geom_segment(p9.aes(x="low", xend="high", color="kind", size="kind"), na_rm=True)
        + p9.geom_point(p9.aes("mean", "label"), data=rows, inherit_aes=False, color=figures.BLUE, size=1.9)
        + p9.facet_grid("panel", scales="free_y", space="free_y")
        + p9.scale_color_manual(dict(zip(KINDS, (figures.BLUE, "#ccd2d8"), strict=True)))
        + p9.scale_size_manual(dict(zip(KINDS, (0.8, 4.5), strict=True)))
        + p9.labs(x="Mean engagement, points of 10", y="")
        + figures.theme(height=1.2 + 0.2 * len(rows))
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def highest(s: Study) -> Prose:
    """The highest and the lowest mean, and how they look in a chart."""
    if (why := _without(s)) is not None:
        return why
    (first, top), (last, low) = _ends(s)
    text = (f"The highest mean engagement is that of {labels.value('device', first)}, {_mean(top)}, and the lowest "
            f"that of {labels.value('device', last)}, {_mean(low)}.")
    if s.shipped:
        held = "within" if top["low"] <= REPORTED <= top["high"] else "outside"
        text += (f" The report's text has {REPORTED} for the highest, which lies {held} that interval.")
    if low["mean"] > 0:
        text += (f" Drawn from nought, the longest bar would be {percent(top['mean'] / low['mean'] - 1)} longer than "
                 "the shortest.")
    return Prose(text)


def test(s: Study) -> Prose:
    """Whether mean engagement differs by device, by means and by ranks."""
    if (why := _without(s)) is not None:
        return why
    row = _device(s)
    by_ranks = np.isfinite(row["rank_p_adjusted"])
    ranks = bool(row["rank_p_adjusted"] <= ALPHA)
    if not np.isfinite(row["p_adjusted"]):
        return Prose(
            "Welch's test needs scores that vary on every device, which they do not; by ranks, devices are "
            f"{'' if ranks else 'not '}shown to differ (Kruskal–Wallis, corrected {p_value(row['rank_p_adjusted'])}).")
    f = (f"F = {number(row['statistic'], 2)} on {number(row['df'])} and {number(row['df_denominator'])} degrees of "
         f"freedom, corrected {p_value(row['p_adjusted'])}")
    differ = bool(row["p_adjusted"] <= ALPHA)
    if differ:
        text = (f"Mean engagement differs by device ({f}): the device accounts for {percent(row['omega'])} of the "
                f"variance of the score ({low_to_high(percent(row['omega_low']), percent(row['omega_high']))}).")
    else:
        most = row["omega_high"]
        # An F below what chance gives has an interval that ends at 0, which bounds nothing.
        bound = (f"; the device accounts for at most {percent(most, 1 if most >= 0.001 else 2)} of the variance of the score, "
                 "where the interval ends" if most > 0 else "")
        text = f"Mean engagement is not shown to differ by device ({f}){bound}."
    if by_ranks:
        said = f"Kruskal–Wallis, corrected {p_value(row['rank_p_adjusted'])}"
        text += (f" A score from 1 to 10 has an order but perhaps no even steps; a test of the ranks alone agrees ({said})."
                 if ranks is differ else
                 f" A test of the ranks alone, which needs no even steps of the score, "
                 f"{'does' if ranks else 'does not'} show a difference ({said}).")
    return Prose(text)


def yardstick_table(s: Study) -> Prose:
    """The range of the means of each trait beside that of random groups, and the tests."""
    rows = []
    for trait in _traits(s):
        row = s.devices.tests.loc[trait]
        omega = (f"{number(100 * row['omega'], 1)} ({interval(100 * row['omega_low'], 100 * row['omega_high'])})"
                 if np.isfinite(row["omega"]) else MISSING)
        rows.append((
            trait.capitalize(), number(row["groups"]), number(row["range"], 2),
            Prose(f"{number(row['range_expected'], 2)} ({interval(row['range_low'], row['range_high'], 2)})"),
            percent(row["range_p_value"], 0 if row["range_p_value"] >= 0.01 else 2),
            p_cell(row["p_adjusted"]), Prose(omega),
        ))
    if not rows:
        return _none(s)
    columns = ["Trait", "Groups", "Range", "At random", "As large", "p", "ω², %"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], Prose))


def yardstick(s: Study) -> Prose:
    """How far apart random groups lie, and whether devices lie further."""
    if (why := _without(s)) is not None:
        return why
    row = _device(s)
    share = row["range_p_value"]
    text = (
        f"From the highest to the lowest, the means of the {word(int(row['groups']))} devices span {_points(row['range'])}. "
        f"Groups of the same sizes, drawn at random, span {number(row['range_expected'], 2)} on average and "
        f"{interval(row['range_low'], row['range_high'], 2)} in 95 of 100 divisions; "
        f"{'only ' if 0.001 <= share <= ALPHA else ''}{_divisions(share)} span as much as the devices or more.")
    tests = s.devices.tests
    others = [trait for trait in _traits(s) if trait != "device"]
    if others:
        text += " The span is " + listing(
            f"{number(tests.loc[t, 'range'], 2)} by {t} ({_divisions(tests.loc[t, 'range_p_value'])} go as far)"
            for t in others) + "."
        furthest = tests.loc[["device", *others], "range_p_value"].idxmin()
        if furthest != "device":
            larger = tests.loc[furthest, "range"] > row["range"]
            text += (f" Had somebody asked by {furthest} instead of by device, a larger difference would have been found"
                     if larger else f" The division by {furthest} is further from chance than that by device")
            chance = tests.loc[furthest, "range_p_value"] > ALPHA
            text += ", yet one that chance gives as well." if chance else "."
    return Prose(text)


def left_out(s: Study) -> Prose:
    """Which values of the traits are not compared, and how many subscribers they have."""
    rest = s.devices.groups[~s.devices.groups["compared"]]
    if rest.empty:
        return Prose("No value of these traits is left out.")
    told = listing(
        f"{count(len(part), trait)} with {count(int(part['n'].sum()), 'subscriber')}"
        for trait, part in rest.groupby(level="trait", sort=False))
    small = rest["n"] < LEAST_VALUES
    why = {f"with fewer than {LEAST_VALUES} subscribers": small.any(),
           f"beyond the {MOST_VALUES} largest of a trait": not small.all()}
    return Prose(f"Values {listing((x for x, so in why.items() if so), 'or')} are not compared: {told}.")


def margin(s: Study) -> Prose:
    """What the margin amounts to."""
    if not s.devices.sd > 0:
        return Prose(f"The margin is {MARGIN} points of the score, fixed for every table.")
    size = MARGIN / s.devices.sd
    return Prose(
        f"The margin is {MARGIN} points of the score, fixed for every table. The score has here a standard deviation of "
        f"{number(s.devices.sd, 2)}, so that is {number(size, 2)} standard deviations, "
        + ("less than what Cohen calls a small effect." if size < SMALL else
           "between what Cohen calls a small and a medium effect, so the margin is a wide one." if size < MEDIUM else
           "more than what Cohen calls a medium effect, so being within it means little."))


def pairs_table(s: Study) -> Prose:
    """Every pair of devices, or those that differ most."""
    pairs = s.devices.pairs
    if pairs.empty:
        return _without(s) or CONSTANT
    rows = [
        (f"{labels.name('device', first)} less {labels.name('device', second)}",
         Prose(f"{number(row['difference'], 2)} ({interval(row['wide_low'], row['wide_high'], 2)})"),
         p_cell(row["p_adjusted"]), p_cell(row["equivalence_p_adjusted"]))
        for (first, second), row in pairs.nlargest(MOST_PAIRS, "difference").iterrows()
    ]
    columns = ["Devices", "Difference, points", "p, differ", "p, within margin"]
    return table(pd.DataFrame(rows, columns=columns), dict.fromkeys(columns[1:], Prose))


def _counts(s: Study) -> tuple[int, int, int, int]:
    """Pairs in all, shown to differ, shown to lie within the margin, and neither."""
    pairs = s.devices.pairs
    differ = pairs["finding"] == Finding.HIGHER.value
    within = pairs["equivalence_p_adjusted"] <= ALPHA
    return len(pairs), int(differ.sum()), int(within.sum()), int((~differ & ~within).sum())


def pairs(s: Study) -> Prose:
    """How many pairs of devices differ, are alike, or are left open."""
    found = s.devices.pairs
    if found.empty:
        return _without(s) or CONSTANT
    n, differ, within, left = _counts(s)
    (first, second), row = found["difference"].idxmax(), found.loc[found["difference"].idxmax()]
    a, b = (labels.value("device", value) for value in (first, second))
    limits = (f"{_points(row['difference'])}, with limits for all pairs together of "
              f"{interval(row['wide_low'], row['wide_high'], 2)}" if n > 1 else
              f"{_points(row['difference'])} ({interval(row['low'], row['high'], 2)})")
    if n == 1:
        text = f"The two devices are {'' if differ else 'not '}shown to differ ({p_value(row['p_adjusted'])})"
        text += (f", {'but' if differ else 'and'} the difference is shown to be smaller than {MARGIN} points "
                 f"({p_value(row['equivalence_p_adjusted'])})." if within else
                 f", and not shown to lie within {MARGIN} points of each other."
                 if not differ else f"; that it is less than {MARGIN} points is not shown.")
        return Prose(f"{text} {a} lies above {b} by {limits}.")
    text = (f"Of {number(n)} pairs of devices, {_of(differ, n)} shown to differ, and {_of(within, n)} shown to lie within "
            f"{MARGIN} points of each other")
    if left:
        text += f"; for {'all of them' if left == n else word(left)}, neither is shown"
    return Prose(f"{text}. The largest difference is that of {a} over {b}: {limits}.")


def split(s: Study) -> Prose:
    """The two highest devices against the others, and what it means that they were chosen as such."""
    if (why := _without(s)) is not None:
        return why
    found = s.devices.split
    if found is None:
        return Prose("With two devices to compare there is no second way to divide them." if _device(s)["groups"] == 2 else
                     "Neither the scores of the two highest devices nor those of the others vary, so they need no test.")
    first, second = (labels.value("device", value) for value in (found.first, found.second))
    others = int(_device(s)["groups"]) - 2
    text = (
        f"Together {first} and {second} have a mean of {number(found.mean, 2)}, the other "
        f"{f'{word(others)} devices' if others > 1 else 'device'} of {number(found.mean_others, 2)}: a difference of "
        f"{_points(found.difference)} ({interval(found.low, found.high, 2)}), {p_value(found.p_value)} if the two had "
        f"been named beforehand. They were named because they are highest; so are the two highest of random groups, which "
        f"lie {number(found.expected, 2)} above the others on average. "
    )
    share = found.p_selected
    if share <= ALPHA:
        text += (f"But {'only ' if share >= 0.001 else ''}{_divisions(share)} give so much or more, so the devices differ more than "
                 "that choice explains.")
    else:
        text += f"And {_divisions(share)} give so much or more, so that choice alone can account for the difference."
    return Prose(text)


def _gain(s: Study) -> float:
    """By how much the mean would rise if every compared device had the highest mean."""
    rows = s.devices.groups.loc["device"]
    rows = rows[rows["compared"]]
    return float(rows["mean"].max() - np.average(rows["mean"], weights=rows["n"]))


def _differ(s: Study) -> bool:
    """Whether devices are shown to differ: by means, or by ranks where means cannot be tested."""
    row = _device(s)
    p = row["p_adjusted"] if np.isfinite(row["p_adjusted"]) else row["rank_p_adjusted"]
    return bool(p <= ALPHA)


def answer(s: Study) -> Prose:
    """The result in a few words."""
    if (why := _without(s)) is not None:
        return why
    row = _device(s)
    n, differ, within, _ = _counts(s)
    every = "both" if row["groups"] == 2 else "all"
    span = (f"their means span {_points(row['range'])}, where random groups of the same sizes span "
            f"{number(row['range_expected'], 2)} on average")
    if _differ(s):
        (first, _), (last, _) = _ends(s)
        text = (f"Engagement differs by device: {span}, from {labels.value('device', first)} down to "
                f"{labels.value('device', last)}")
        if n and within == n:
            text += f"; yet {every} devices are shown to lie within {MARGIN} points of each other"
        return Prose(f"{text}.")
    text = f"Engagement is not shown to differ by device: {span}"
    if n and within == n:
        text += f", and {every} are shown to lie within {MARGIN} points of each other"
    elif differ:
        text += f", although {count(differ, 'pair')} of them {'is' if differ == 1 else 'are'} shown to differ"
    return Prose(f"{text}.")


def means(s: Study) -> Prose:
    """What it means, and what to do."""
    if _without(s) is not None:
        return Prose("Nothing is learnt here about devices, so nothing follows for any of them.")
    n, _, within, _ = _counts(s)
    (first, _), _ = _ends(s)
    top = labels.value("device", first)
    gain = (f"If every device had the mean of the highest, {top}, the mean of all would rise by {_points(_gain(s))}")
    if _differ(s):
        alike = n and within == n
        text = (f"The difference is shown, and it is small; {gain[0].lower()}{gain[1:]}, and that is the most that an improvement of "
                "the others could aim at." if alike else
                f"Some devices go with less engagement. {gain}; whether improving them would do that is for an experiment.")
        return Prose(f"{text} Those who prefer a device may differ in other ways, so the device need not be the reason.")
    if n and within == n:
        chance = (", and even that chance alone may have put between such groups" if _device(s)["range_p_value"] > ALPHA
                  else "")
        return Prose(
            f"Little or no engagement is to be won by bringing one device up to another. {gain}{chance}. Improve an "
            "application because its users complain or leave, not because of the order of these means.")
    return Prose(
        f"The order of the devices is no ground for improving some of them. {gain}, but with so few subscribers larger "
        "differences are not excluded; more data would tell.")


def limits(s: Study) -> Prose:
    """What these means cannot say."""
    return Prose(
        "The device is the one that a subscriber uses most often, not the only one, so differences between devices "
        "themselves may be larger than those between their users. How the score is made up is not told; if hours watched "
        "enter it, it says nothing about how well an application works. And nobody was given a device by lot: who "
        "prefers one may differ in age, income or plan, so a difference of means would not be an effect of the device."
        + ("" if s.devices.tests.loc["device", "groups"] == len(s.devices.groups.loc["device"]) else
           f" Devices with fewer than {LEAST_VALUES} subscribers, and those beyond the {MOST_VALUES} largest, are not compared."))

