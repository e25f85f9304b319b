"""The paywall test read with Bayes' theorem: posteriors, probabilities, expected losses."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.customers import Study
from analysis.customers.belief import Choice, Reading
from analysis.report import figures
from analysis.report.customers.app import money
from analysis.report.customers.lift import NAMES
from analysis.report.tables import table
from analysis.report.text import Prose, count, interval, listing, number, p_value, percent
from analysis.stats import bayes
from analysis.stats.intervals import Interval

PRIOR_NAMES = {"uniform": "knows nothing", "history": "trusts history a little",
               "sceptic": "trusts history a lot"}
CHOICES = {Choice.TEST: "the new paywall", Choice.CONTROL: "the old paywall",
           Choice.EITHER: "either", Choice.OPEN: "go on testing"}
POINTS = 301  # of a drawn density
NOTHING = Prose(
    "One of the two groups has no user whose time is over, so there is nothing to update a belief with."
)


NO_POSTERIOR = Prose("There is no posterior to read (@sec-customers-belief).")


def posterior_table(s: Study) -> Prose:
    """Both shares, their difference and the lift: estimate and credible interval."""
    if s.belief is None:
        return NO_POSTERIOR
    r = s.belief.main
    rows = [
        {"Quantity": f"Share of converters, {NAMES[group]}", "Estimate": percent(i.estimate, 2),
         "95% credible interval": _shares(i, 2)}
        for group, i in (("control", r.control), ("test", r.test))
    ]
    rows.append({"Quantity": "Difference, percentage points",
                 "Estimate": number(100 * r.difference.estimate, 2),
                 "95% credible interval": _points(r.difference)})
    rows.append({"Quantity": "Lift, relative", "Estimate": percent(r.lift.estimate),
                 "95% credible interval": _shares(r.lift)})
    return table(pd.DataFrame(rows), {"Estimate": Prose, "95% credible interval": Prose})


def posterior_figure(s: Study) -> p9.ggplot | Prose:
    """The posterior of both shares, and that of the lift with the part above 0 filled."""
    if s.belief is None:
        return NO_POSTERIOR
    r = s.belief.main
    panels = ("Share of converters", "Lift of the new paywall")
    low, high = _reach(*r.posteriors.values())
    shares = np.linspace(low, high, POINTS)
    curves = pd.concat(
        pd.DataFrame({"panel": panels[0], "x": shares, "density": beta.density(shares),
                      "group": NAMES[group]})
        for group, beta in r.posteriors.items()
    )
    names = tuple(NAMES.values())
    curves["group"] = pd.Categorical(curves["group"], names)
    wide = bayes.lift(*r.posteriors.values(), confidence=0.999)
    lifts = np.linspace(wide.low, min(wide.high, 10 * max(r.lift.estimate, 1)), POINTS)
    if lifts[0] < 0 < lifts[-1]:  # the filled part ends at 0 exactly
        lifts = np.sort(np.append(lifts, 0.0))
    lift = pd.DataFrame({"panel": panels[1], "x": lifts,
                         "density": bayes.lift_density(*r.posteriors.values(), lifts)})
    curves, lift, zero = (
        frame.assign(panel=pd.Categorical(frame["panel"], panels))
        for frame in (curves, lift, pd.DataFrame({"panel": [panels[1]], "x": [0.0]}))
    )
    return (
        figures.Plot(mapping=p9.aes("x", "density"))
        + p9.geom_line(p9.aes(color="group", linetype="group"), curves, size=0.9)
        + p9.geom_area(data=lift[lift["x"] >= 0], fill=figures.VERMILION, alpha=0.3)
        + p9.geom_line(data=lift, color=figures.INK)
        + p9.geom_vline(p9.aes(xintercept="x"), zero, color=figures.GREY, linetype="dotted")
        + p9.facet_wrap("panel", scales="free")
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=lambda values: [""] * len(values))
        + p9.scale_linetype_manual(dict(zip(names, ("dashed", "solid"), strict=True)))
        + figures.colours(names)
        + p9.labs(x="", y="Posterior density")
        + figures.theme(height=2.9)
    )


def computed(s: Study) -> Prose:
    """How the probabilities are computed; empty where there are none."""
    if s.belief is None:
        return Prose("")
    return Prose("The probabilities below are integrals over both posteriors, computed exactly rather "
                 "than simulated.")


def probability(s: Study) -> Prose:
    """How probable it is that the new paywall is better, and better by what matters."""
    if s.belief is None:
        return NOTHING
    b, r = s.belief, s.belief.main
    text = (
        f"Of {count(b.control.n, 'user')} with the old paywall {number(b.control.successes)} converted, of "
        f"{number(b.test.n)} with the new one {number(b.test.successes)}. "
        f"Given that, the new paywall converts better with a probability of {_chance(r.better)}"
    )
    if b.relevant_difference:
        text += (
            f", and by {number(100 * b.relevant_difference, 1)} percentage points or more, the mark of the rule of decision "
            f"(@sec-customers-metrics), with one of {_chance(r.worthwhile)}"
        )
    return Prose(f"{text}. The lift lies between {_ends(r.lift)} with a probability of 95%.")


def loss_table(s: Study) -> Prose:
    """What either choice is expected to cost."""
    if s.belief is None:
        return NO_POSTERIOR
    b, r = s.belief, s.belief.main
    rows = []
    for name, wrong, loss in (("new paywall", 1 - r.better, r.loss_test),
                              ("old paywall", r.better, r.loss_control)):
        row = {"Choice": f"The {name}", "Probability that it is the worse one": _chance(wrong),
               "Converters lost": _per_thousand(loss)}
        if b.value:
            row["Revenue lost"] = money(1_000 * loss * b.value)
        row["Good enough"] = "yes" if loss <= b.threshold else "no"
        rows.append(row)
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def decision(s: Study) -> Prose:
    """What the expected losses say to do."""
    if s.belief is None:
        return NO_POSTERIOR
    b, r = s.belief, s.belief.main
    care = f"{count(round(1_000 * b.threshold), 'converter')} in 1,000 users"
    new, old = _per_thousand(r.loss_test), _per_thousand(r.loss_control)
    ends = {
        Choice.TEST: f"the new paywall, which is expected to lose {new}, is good enough, and the old one, with {old}, is not",
        Choice.CONTROL: f"the old paywall, which is expected to lose {old}, is good enough, and the new one, with {new}, is not",
        Choice.EITHER: f"both are good enough ({new} with the new paywall, {old} with the old one), so that other reasons may decide",
        Choice.OPEN: f"neither is good enough ({new} with the new paywall, {old} with the old one), and more data are worth having",
    }
    return Prose(f"If a loss of {care} is too small to care about, {ends[r.choice]}.")


def worth(s: Study) -> Prose:
    """What the losses in money rest on."""
    if s.belief is None:
        return NO_POSTERIOR
    if not s.belief.value:
        return Prose("There is no revenue to put a price on a converter, so the loss is told in converters only.")
    return Prose(
        f"In money, a converter is counted as {money(s.belief.value)}, the mean revenue of a user of the test who bought "
        "anything; whoever converts only because of the new paywall may well bring less."
    )


def contrast(s: Study) -> Prose:
    """How the probability differs from the p-value, on this very test."""
    if s.belief is None:
        return NO_POSTERIOR
    b, r = s.belief, s.belief.main
    if b.p_value is None:
        return Prose(
            "A p-value cannot be had, since in both groups together nobody converted, or everybody did; the posterior can, and leans on its prior."
        )
    worse = min(r.better, 1 - r.better)
    which = "worse" if r.better >= 0.5 else "better"
    text = (
        f"The two-sided test of the same comparison has {p_value(b.p_value)}. "
        f"Half of that is {percent(b.p_value / 2, 2)}; the posterior probability that the new paywall is {which} is {percent(worse, 2)}. "
    )
    if abs(b.p_value / 2 - worse) < 0.005:
        return Prose(
            f"{text}That the two numbers nearly agree is no accident: with a uniform prior and many users they must. What they say differs all the same."
        )
    return Prose(
        f"{text}The numbers differ because there are few users, or few who converted, and the prior still has a say."
    )


def readers(s: Study) -> Prose:
    """Who else reads the test; empty where nothing from before it is known."""
    if s.belief is None or len(s.belief.readings) == 1:
        return Prose("")
    return Prose(
        "The other readers know the share of converters from before the test, and expect both paywalls "
        "to be about like that; they differ in how many users that knowledge is worth."
    )


def prior_table(s: Study) -> Prose:
    """The reading under each prior."""
    if s.belief is None:
        return NO_POSTERIOR
    frame = pd.DataFrame([
        {
            "Somebody who": PRIOR_NAMES[r.name],
            "Prior worth": number(r.prior.successes + r.prior.failures),
            "Prior share": percent(r.prior.mean),
            "Lift": f"{percent(r.lift.estimate)} ({_shares(r.lift)})",
            "New is better": _chance(r.better),
            "Lost, new": _per_thousand(r.loss_test),
            "Lost, old": _per_thousand(r.loss_control),
            "Choice": CHOICES[r.choice].removeprefix("the ").removesuffix(" paywall"),
        }
        for r in s.belief.readings
    ])
    return table(frame, {name: Prose for name in frame.columns[1:-1]})


def priors(s: Study) -> Prose:
    """Whether the prior decides."""
    if s.belief is None:
        return NO_POSTERIOR
    readings = s.belief.readings
    if len(readings) == 1:
        return Prose("No share from before the test is known, so there is no other prior to hold against it.")
    last = readings[-1]
    chances = f"The probability that the new paywall is better goes from {_chance(readings[0].better)} to {_chance(last.better)}"
    pulled = f"as {number(last.prior.successes + last.prior.failures)} imagined users a group, all with the old share, pull the two groups together"
    if len({r.choice for r in readings}) == 1:
        return Prose(f"{chances} {pulled}. The choice stays the same: {CHOICES[last.choice]}.")
    told = listing(f"{CHOICES[r.choice]} for somebody who {PRIOR_NAMES[r.name]}" for r in readings)
    return Prose(f"{chances} {pulled}, and the choice depends on the prior: {told}. The data alone do not settle it.")


def answer(s: Study) -> Prose:
    """The reading in one sentence, for a summary."""
    if s.belief is None:
        return NOTHING
    r: Reading = s.belief.main
    return Prose(
        f"Read with Bayes' theorem, the new paywall converts better with a probability of {_chance(r.better)}, "
        f"and choosing it is expected to lose {_per_thousand(r.loss_test)} converters in 1,000 users, against {_per_thousand(r.loss_control)} for keeping the old one."
    )


def _reach(*posteriors: bayes.Beta) -> tuple[float, float]:
    """Where the densities are worth drawing; never 0 or 1 themselves."""
    wide = [beta.interval(0.9995) for beta in posteriors]
    return max(min(i.low for i in wide), 1e-9), min(max(i.high for i in wide), 1 - 1e-9)


def _chance(p: float) -> Prose:
    """A probability, never as certain as 0% or 100%."""
    if p > 0.9995:
        return Prose("over 99.9%")
    return Prose("under 0.1%") if p < 0.0005 else percent(p)


def _per_thousand(share: float) -> Prose:
    """Converters in 1,000 users."""
    return Prose("under 0.01") if 0 < share < 5e-6 else number(1_000 * share, 2 if share < 0.01 else 1)


def _shares(i: Interval, digits: int = 1) -> Prose:
    return interval(100 * i.low, 100 * i.high, digits, "%")


def _ends(i: Interval) -> Prose:
    return Prose(f"{percent(i.low)} and {percent(i.high)}")


def _points(i: Interval) -> Prose:
    return interval(100 * i.low, 100 * i.high, 2)
