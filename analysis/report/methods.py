"""The methods appendix: whether intervals and decisions keep their promises."""

from __future__ import annotations

import pandas as pd
import plotnine as p9
from scipy import stats

from analysis.recovery import coverage, decisions
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import Prose, count, interval, listing, number, percent
from analysis.stats import intervals

NOMINAL = 0.95
# Quantities of the app's study: how the stored runs name them, how a reader would.
MEASURES = {"views": "views", "purchases": "purchases", "revenue": "revenue"}
TERMS = {
    "trend": "trend of {}, a year (log)", "amplitude": "yearly wave of {} (log)",
    "peak": "peak of {}, day of the year", "release": "release, on {} (log)",
    "test": "new paywall, on daily {} (log)",
}
TEST = {
    "test: converted.difference": "bought at a paywall, difference",
    "test: converted.ratio": "bought at a paywall, ratio",
    "test: converted.difference.adjusted": "the same difference, adjusted",
    "test: bought.difference": "bought anywhere, difference",
    "test: bought.ratio": "bought anywhere, ratio",
    "test: revenue.difference": "revenue a user, difference in cents",
    "test: revenue.difference.bootstrap": "the same, bootstrap",
    "test: revenue.ratio": "revenue a user, ratio",
    "test: paywall_purchases_per_view.ratio": "purchases per view, ratio",
    "belief: lift": "lift, Bayesian interval",
}
DECISIONS = {
    "ship": "give the new paywall to everybody", "longer": "run the test longer",
    "keep": "keep the old paywall", "distrust": "mend the assignment",
    "unknown": "nothing to decide",
}


def _name(quantity: str) -> str | None:
    """A quantity's name; None for the weekdays, which are shown together."""
    if quantity in TEST:
        return TEST[quantity]
    measure, term = quantity.split(": ")
    form = TERMS.get(term.split()[0])
    return form and form.format(MEASURES[measure])


def _shown(runs: pd.DataFrame, world: str) -> pd.DataFrame:
    """Coverage of a world, with readers' names; the weekdays' terms pooled by measure."""
    frame = coverage(runs)
    frame = frame[frame["world"] == world]
    names = frame["quantity"].map(_name)
    single = frame[names.notna()].assign(name=names.dropna())
    rest = frame[names.isna()]
    measure = rest["quantity"].str.split(": ").str[0]
    pooled = [
        {"name": f"weekdays of {MEASURES[name]}, all seven", "runs": int(part["runs"].sum()),
         "covered": float((part["covered"] * part["runs"]).sum() / part["runs"].sum())}
        for name, part in rest.groupby(measure, sort=False)
    ]
    return pd.concat([single, pd.DataFrame(pooled)], ignore_index=True)


def size(runs: pd.DataFrame) -> Prose:
    """How many populations were simulated."""
    seeds = runs.groupby("world")["seed"].nunique()
    return count(int(seeds.min()), "time")


def coverage_table(runs: pd.DataFrame, world: str = "planted") -> Prose:
    """What was planted, what was found, and how often the interval held it."""
    frame = _shown(runs, world)
    shown = pd.DataFrame({
        "Quantity": frame["name"],
        "Planted": [_value(v) for v in frame["truth"]],
        "Mean found": [_value(v) for v in frame["mean"]],
        "Intervals that hold it": [
            percent(row.covered) if pd.isna(row.covered_low) else
            f"{percent(row.covered)} ({interval(100 * row.covered_low, 100 * row.covered_high, 0)})"
            for row in frame.itertuples()
        ],
    })
    return table(shown, {name: Prose for name in shown.columns[1:]})


def _value(value: float) -> Prose:
    digits = 1 if abs(value) >= 10 else 3
    return number(value, digits)


def coverage_figure(runs: pd.DataFrame) -> p9.ggplot:
    """Coverage of every quantity in both worlds, against what chance allows around 95%."""
    worlds = {"planted": "effects planted", "null": "no effects"}
    frame = pd.concat([_shown(runs, world).assign(world=name) for world, name in worlds.items()])
    frame = frame.dropna(subset=["covered_low"])
    order = list(dict.fromkeys(frame["name"]))[::-1]
    frame["name"] = pd.Categorical(frame["name"], order)
    frame["world"] = pd.Categorical(frame["world"], list(worlds.values()))
    low, high = _chance(int(frame["runs"].iloc[0]))
    return (
        figures.Plot(frame, p9.aes("covered", "name", color="world", shape="world"))
        + p9.annotate("rect", xmin=low, xmax=high, ymin=-float("inf"), ymax=float("inf"),
                      fill="#dfe4e9", alpha=0.6)
        + p9.geom_vline(xintercept=NOMINAL, color=figures.GREY, linetype="dotted")
        + p9.geom_point(size=2.2, alpha=0.9)
        + p9.scale_x_continuous(labels=figures.percents)
        + figures.colours(worlds.values())
        + p9.labs(x="Intervals that hold the truth", y="")
        + figures.theme(height=1.1 + 0.175 * len(order))
        + p9.theme(axis_text_y=p9.element_text(size=8))
    )


def _chance(n: int) -> tuple[float, float]:
    """Between which shares 95% of exact intervals' coverages lie in n runs."""
    low, high = stats.binom.interval(0.95, n, NOMINAL)
    return low / n, high / n


def coverage_sentence(runs: pd.DataFrame) -> Prose:
    """Whether the intervals keep their promise, and which do not."""
    frame = pd.concat([_shown(runs, world).assign(world=world) for world in ("planted", "null")])
    single = frame.dropna(subset=["covered_low"])
    # As many intervals are looked at, each is held to a correspondingly wider range.
    z = 1 - 0.05 / len(single)
    off = [
        row for row in single.itertuples()
        if not _within(round(row.covered * row.runs), row.runs, z)
    ]
    least, most = single["covered"].min(), single["covered"].max()
    text = (
        f"Over {number(len(single))} quantities in both worlds the intervals hold the truth in "
        f"{percent(least)} to {percent(most)} of the runs, {percent(single['covered'].mean())} on "
        f"average"
    )
    if not off:
        return Prose(
            f"{text}; allowing for the number of them, none is further from "
            f"{percent(NOMINAL, 0)} than chance would put it."
        )
    names = listing(dict.fromkeys(f"{row.name} ({percent(row.covered)})" for row in off))
    return Prose(
        f"{text}. Further from {percent(NOMINAL, 0)} than chance would put them, their number "
        f"allowed for, {'is' if len(off) == 1 else 'are'} {names}."
    )


def _within(held: int, n: int, confidence: float) -> bool:
    share = intervals.proportion(held, n, confidence, method="clopper-pearson")
    return share.low <= NOMINAL <= share.high


def decisions_table(runs: pd.DataFrame) -> Prose:
    """How often the rule decides what, with and without an effect."""
    shares = decisions(runs)
    shares = shares[(shares > 0).any(axis=1)]
    frame = pd.DataFrame({
        "Decision": [DECISIONS[name] for name in shares.index],
        "Effect as planted": shares["planted"],
        "No effect": shares["null"],
    })
    return table(frame, {"Effect as planted": percent, "No effect": percent})


def decisions_sentence(runs: pd.DataFrame) -> Prose:
    """What the rule's errors are."""
    shares = decisions(runs)
    wrong, right = shares.loc["ship", "null"], shares.loc["ship", "planted"]
    return Prose(
        f"Where the new paywall does nothing, {percent(wrong)} of such tests would have given it to "
        f"everybody; where it works as planted, {percent(right, 0)} do. The rest is not lost but "
        "undecided: that is what a test of this size can do."
    )
