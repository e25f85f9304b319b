"""The paywall test as it is read: trust, result, t test, normality, skew, adjustment, advice."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9
from scipy import stats

from analysis.customers import Study
from analysis.customers import lift as study
from analysis.customers.lift import Action
from analysis.customers.paywall import GROUPS
from analysis.report import figures
from analysis.report.customers import design, labels
from analysis.report.customers.app import money
from analysis.report.sentences import decision, planned, untold_split
from analysis.report.tables import table, typeset
from analysis.report.text import (
    MISSING,
    Prose,
    change,
    count,
    digits_of_points,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_cell,
    p_value,
    percent,
)
from analysis.stats.decision import Finding
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval

NAMES = {"control": "old paywall", "test": "new paywall"}
METRICS = {"bought": "bought anywhere", "revenue": "revenue a user", "purchases": "purchases a user"}
COVARIATES = {
    "age": "age", "days_registered": "days registered", "prior_views": "views before",
    "prior_purchases": "purchases before", "prior_revenue": "revenue before",
    "country": "country", "device": "device", "gender": "gender", "age_band": "age band",
    "newcomer": "time of registration",
}
ADJUSTED = COVARIATES | {"none": "none", "all": "all four"}
NEWCOMER = {"yes": "registered that day", "no": "registered before"}
MOST_LEVELS = 5  # of a covariate, in the figure
STEPS = {
    "control_mean": "Mean, old paywall", "test_mean": "Mean, new paywall",
    "control_variance": "Variance, old paywall", "test_variance": "Variance, new paywall",
    "difference": "Difference of the means", "standard_error": "Standard error",
    "t": "t statistic", "df": "Degrees of freedom", "critical_value": "Critical value at 5%",
    "low": "95% interval, from", "high": "95% interval, to", "p_value": "p-value",
}
NOBODY = Prose(
    "In one group of the test there are not yet two users whose whole horizon was observed, so "
    "there is no result to read."
)
NO_BUYERS = Prose("Nobody, or everybody, bought at a paywall, so there is nothing to compare.")
NO_REVENUE = Prose("Revenue does not vary between the users of the test, so there is nothing to test.")


def _points(low: float, high: float, digits: int = 1) -> Prose:
    """An interval of a difference of shares in percentage points."""
    return interval(100 * low, 100 * high, digits)


def _shares(i: Interval) -> Prose:
    return Prose(f"{percent(i.estimate)} ({interval(100 * i.low, 100 * i.high, 1, '%')})")


def _lift(effect: Effect | None) -> Prose:
    """A ratio as a relative change with its interval."""
    if effect is None:
        return Prose(MISSING)
    return Prose(f"{change(effect.value)} ({low_to_high(change(effect.low), change(effect.high))})")


def _cents(value: float, low: float, high: float) -> Prose:
    return Prose(f"{money(value)} ({low_to_high(money(low), money(high))})")


def _missing(s: Study) -> Prose:
    """Why there is no result."""
    return NOBODY if min(s.lift.users) < 2 else NO_BUYERS


# Trust ---------------------------------------------------------------------------------------


def split(s: Study) -> Prose:
    """Whether users were split as intended."""
    a = s.lift.assignment
    if a is None:
        return Prose("Nobody was assigned to the test.")
    sizes = (
        f"{number(a.control)} users were assigned to the old paywall and {number(a.test)} to the "
        f"new one, {percent(a.share.estimate)} of them to the new one "
        f"(95% interval {interval(100 * a.share.low, 100 * a.share.high, 1, '%')})"
    )
    if a.intended is None:
        return Prose(f"{sizes}. {untold_split('customers', 'group')}")
    told = (
        f"{sizes} where {planned(a.intended)} was intended (χ² = {number(a.chi_squared, 2)}, "
        f"{p_value(a.p_value)}; exact binomial {p_value(a.exact_p)})"
    )
    if a.trusted:
        return Prose(f"{told}: such a split is what chance gives, and the test may be read.")
    return Prose(
        f"{told}. **Chance does not give such a split.** Something lost or moved users of one "
        "group, and whoever is missing may be just those who matter: what follows is not to be "
        "trusted until the cause is found."
    )


def ratio_alpha() -> Prose:
    """The threshold of the sample-ratio check."""
    return Prose(f"{study.RATIO_ALPHA:g}")


def balance_figure(s: Study) -> p9.ggplot | Prose:
    """Standardised differences of what was known before the test."""
    b = s.lift.balance
    if b is None:
        return NOBODY
    frame = b.standardised.dropna(subset=["smd"])
    rows = []
    for name, part in frame.groupby("covariate", sort=False):
        top = part.nlargest(MOST_LEVELS, "users") if len(part) > MOST_LEVELS else part
        if len(part) == 2:  # the second level mirrors the first
            top = part.iloc[:1]
        for row in top.itertuples():
            rows.append((_level(name, row.level), row.smd))
    if not rows:
        return Prose("Nothing that was known of users before the test varies between them.")
    shown = pd.DataFrame(rows, columns=["label", "smd"])
    shown["label"] = pd.Categorical(shown["label"], list(dict.fromkeys(shown["label"]))[::-1])
    return (
        figures.Plot(shown, p9.aes("smd", "label"))
        + p9.annotate("rect", xmin=-b.noise, xmax=b.noise, ymin=-math.inf, ymax=math.inf,
                      fill="#dfe4e9", alpha=0.6)
        + p9.geom_vline(xintercept=0, color=figures.GREY)
        + p9.geom_vline(xintercept=[-0.1, 0.1], color=figures.GREY, linetype="dotted")
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.labs(x="Standardised difference, new less old paywall", y="")
        + figures.theme(height=0.9 + 0.18 * len(shown), legend="none")
    )


def _level(covariate: str, level: str) -> str:
    """A covariate's level as a figure names it: plain text."""
    if level == "mean":
        return COVARIATES[covariate]
    if covariate == "newcomer":
        return NEWCOMER.get(level, level)
    return f"{COVARIATES[covariate]}: {labels.group(covariate, level)}"


def balance(s: Study) -> Prose:
    """Whether the groups were alike before the test, with how many comparisons that is."""
    b = s.lift.balance
    if b is None:
        return NOBODY
    tests = b.balance_tests
    parts = []
    if b.omnibus is not None:
        alike = "no sign of a difference" if b.omnibus.p_value > 0.05 else "a difference"
        parts.append(
            f"One test of all four numbers from before the test at once (Hotelling's T²) shows "
            f"{alike} ({p_value(b.omnibus.p_value)})."
        )
    if not tests.empty:
        small = tests[tests["p_value"] <= 0.05]
        kept = tests[tests["p_adjusted"] <= 0.05]
        names = listing(COVARIATES[name] for name in small["covariate"])
        if small.empty:
            parts.append(
                f"Of {count(len(tests), 'covariate')}, none differs at 5% on its own.")
        elif kept.empty:
            parts.append(
                f"Of {count(len(tests), 'covariate')}, {number(len(small))} "
                f"{'differs' if len(small) == 1 else 'differ'} at 5% on "
                f"{'its' if len(small) == 1 else 'their'} own ({names}), and none once the number of "
                f"comparisons is allowed for (smallest corrected "
                f"{p_value(float(tests['p_adjusted'].min()))})."
            )
        else:
            names = listing(COVARIATES[name] for name in kept["covariate"])
            parts.append(
                f"Even after correction for {count(len(tests), 'comparison')} the groups differ in "
                f"{names}: the assignment should be looked into before the result is believed."
            )
    largest = b.standardised.loc[b.standardised["level"] == "mean"].dropna(subset=["smd"])
    if not largest.empty:
        row = largest.loc[largest["smd"].abs().idxmax()]
        more = "more" if row["smd"] > 0 else "less"
        parts.append(
            f"The largest gap among the numbers is in {COVARIATES[row['covariate']]}: the new "
            f"paywall's users have {more} of it, by {number(abs(row['smd']), 2)} standard deviations."
        )
    return Prose(" ".join(parts) or "There is too little known of users to compare the groups.")


# The result ----------------------------------------------------------------------------------


def rule(s: Study) -> Prose:
    """The rule of decision, as a list, as fixed before the result."""
    return Prose(
        "1. If the split of users is broken, nothing is decided: mend it and test again.\n"
        "2. If the new paywall is shown to sell more (two-sided test at "
        f"{percent(s.lift.alpha, 0)}) and the estimate of the difference reaches the mark of "
        f"{design.mark(s)}, everybody gets it.\n"
        "3. If it is shown to sell less, or the whole interval of the difference lies below that "
        "mark, the old one stays.\n"
        "4. Otherwise the test goes on to its planned size."
    )


def primary_table(s: Study) -> Prose:
    """The primary metric: shares, difference, lift, tests."""
    p = s.lift.primary
    if p is None:
        return _missing(s)
    z = p.z
    rows = [
        ("Users", number(s.lift.users[0]), number(s.lift.users[1])),
        ("Bought at a paywall", _shares(p.control), _shares(p.test)),
        ("Difference, percentage points", "",
         f"{number(100 * z.estimate, 1)} ({_points(z.interval.low, z.interval.high)})"),
        ("Lift", "", _lift(p.lift)),
        ("Pooled z test", "", f"z = {number(z.statistic, 2)}, {p_value(z.p_value)}"),
    ]
    if p.fisher is not None:
        rows.append(("Fisher’s exact test", "", p_value(p.fisher.p_value)))
    frame = pd.DataFrame(rows, columns=["Measure", "Old paywall", "New paywall"])
    return table(frame, {"Old paywall": Prose, "New paywall": Prose})


def verdict(s: Study) -> Prose:
    """What the primary metric shows."""
    p = s.lift.primary
    if p is None:
        return _missing(s)
    z, relevant = p.z, 100 * p.relevant_difference
    digits = digits_of_points(p.control.estimate, p.test.estimate)
    moved = f"from {percent(p.control.estimate, digits)} to {percent(p.test.estimate, digits)}"
    size = (
        f"{number(100 * z.estimate, digits)} percentage points "
        f"(95% interval {_points(z.interval.low, z.interval.high, digits)})"
    )
    if p.lift is not None:
        size += f", a relative change of {_lift(p.lift)}"
    if s.lift.action is Action.DISTRUST:
        return Prose(
            f"The share goes {moved}, a difference of {size}, {p_value(z.p_value)}; since the split of "
            "users is broken (@sec-customers-trust), that is a difference between the groups, which is "
            "not to be read as the paywall’s effect."
        )
    goal = f"{number(relevant, 1)} points"
    finding = p.decision.finding
    if finding is Finding.HIGHER:
        told = (
            f"The new paywall sells to more users: the share rises {moved}, by {size}, "
            f"{p_value(z.p_value)}"
        )
        if z.interval.low >= p.relevant_difference:
            return Prose(f"{told}; all of the interval reaches the {goal} that are worth having.")
        if z.interval.high < p.relevant_difference:
            return Prose(
                f"{told}; but all of the interval is below the {goal} that would be worth having.")
        least = "next to nothing" if z.interval.low < 0.25 * p.relevant_difference else "too little"
        return Prose(
            f"{told}. That it is better is shown; whether by enough is not: the interval reaches "
            f"from {least} to more than the {goal} worth having."
        )
    if finding is Finding.LOWER:
        return Prose(
            f"The new paywall sells to fewer users: the share falls {moved}, a difference of {size}, "
            f"{p_value(z.p_value)}."
        )
    if finding is Finding.EQUIVALENT:
        return Prose(
            f"The paywalls are equal for practical purposes: the share goes {moved}, a difference of {size}, and "
            f"all of the interval is smaller than the {goal} that would matter ({p_value(z.p_value)})."
        )
    if z.interval.high < p.relevant_difference:
        return Prose(
            f"No difference is shown, and a win worth having is ruled out: the share goes {moved}, a "
            f"difference of {size}, {p_value(z.p_value)}, and the interval ends below {goal}."
        )
    return Prose(
        f"Neither a difference nor its absence is shown: the share goes {moved}, a difference of {size}, "
        f"{p_value(z.p_value)}; the interval holds 0 as well as the {goal} worth having."
    )


def cumulative_figure(s: Study) -> p9.ggplot | Prose:
    """Share of users who have bought at a paywall, by day since assignment."""
    p = s.lift.primary
    if p is None:
        return _missing(s)
    names = list(NAMES.values())
    frame = p.cumulative.assign(
        group=pd.Categorical(p.cumulative["group"].map(NAMES), names), day=p.cumulative["day"] + 1)
    return (
        figures.Plot(frame, p9.aes("day", "share", color="group", fill="group", linetype="group"))
        + p9.geom_ribbon(p9.aes(ymin="low", ymax="high"), alpha=0.18, color="none", size=0)
        + p9.geom_step(size=0.9)
        + p9.scale_x_continuous(breaks=[1, 7, 14, 21, 28])
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, None))
        + figures.colours(names)
        + figures.fills(names)
        + p9.labs(x="Days since assignment", y="Have bought at a paywall")
        + figures.theme(height=3.0)
    )


def when(s: Study) -> Prose:
    """How much of the difference is there on the first day."""
    p = s.lift.primary
    if p is None:
        return _missing(s)
    wide = p.cumulative.pivot(index="day", columns="group", values="share")
    first, last = (wide.loc[day, "test"] - wide.loc[day, "control"]
                   for day in (wide.index[0], wide.index[-1]))
    sold = wide.iloc[0].sum() / wide.iloc[-1].sum()
    told = (
        f"{'All' if sold == 1 else f'{percent(sold, 0)} of all'} who buy within {count(s.lift.horizon, 'day')} do so in the first "
        "24 hours"
    )
    if last <= 0:
        return Prose(f"{told}; at the end the new paywall is not ahead.")
    if first <= 0:
        return Prose(f"{told}; the new paywall's lead comes only after them.")
    part = first / last
    if part > 1:
        return Prose(f"{told}, and the new paywall's lead shrinks after them, "
                     f"from {number(100 * first, 1)} to {number(100 * last, 1)} points.")
    return Prose(f"{told}, and {percent(part, 0)} of the new paywall's lead at the end is there by "
                 "then.")


def secondary_table(s: Study) -> Prose:
    """The secondary metrics, corrected."""
    m = s.lift.secondary
    if m is None:
        return _missing(s)
    corrected = m.corrected.set_index("test")
    rows = []
    for row in m.metric_values.itertuples():
        if row.metric not in m.tests:
            continue
        show = {"bought": percent, "revenue": money}.get(row.metric, partial(number, digits=3))
        test = corrected.loc[row.metric]
        scale = 100 if row.metric == "bought" else 1
        value = (money(test["estimate"]) if row.metric == "revenue"
                 else number(scale * test["estimate"], 1 if scale == 100 else 3))
        ends = (low_to_high(money(test["low"]), money(test["high"])) if row.metric == "revenue"
                else interval(scale * test["low"], scale * test["high"], 1 if scale == 100 else 3))
        rows.append({
            "Metric": METRICS[row.metric].capitalize(), "Old": show(row.control),
            "New": show(row.test), "Difference": f"{value} ({ends})",
            "Lift": MISSING if math.isnan(row.lift) else
            f"{change(1 + row.lift)} ({low_to_high(change(1 + row.lift_low), change(1 + row.lift_high))})",
            "p": p_value(test["p_value"]), "p, corrected": p_value(test["p_adjusted"]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def secondary(s: Study) -> Prose:
    """What the secondary metrics show."""
    m = s.lift.secondary
    if m is None:
        return _missing(s)
    shown = m.corrected[m.corrected["reject"]]
    names = METRICS | {"bought": "the share who bought anywhere"}
    up = [names[row.test] for row in shown.itertuples() if row.estimate > 0]
    down = [names[row.test] for row in shown.itertuples() if row.estimate < 0]
    rest = [names[row.test] for row in m.corrected[~m.corrected["reject"]].itertuples()]
    parts = []
    if up:
        parts.append(f"After correction a rise is shown in {listing(up)}.")
    if down:
        parts.append(f"After correction a fall is shown in {listing(down)}.")
    if rest:
        parts.append(
            f"{'For' if parts else 'After correction, for'} {listing(rest)} neither a change nor "
            "its absence is shown; what the data allow stands in the intervals.")
    if "revenue" in m.tests:
        i = m.tests["revenue"].interval
        if i.low <= 0 <= i.high:
            parts.append(
                f"Revenue, which pays the bills, may have fallen by as much as {money(abs(i.low))} "
                f"a user or risen by {money(i.high)}."
            )
    return Prose(" ".join(parts))


# The t test ----------------------------------------------------------------------------------


def t_steps_table(s: Study) -> Prose:
    """Welch's test line by line, by hand and by two libraries."""
    t = s.lift.t_test
    if t is None:
        return NO_REVENUE
    rows = [
        {"Step": STEPS[row.step], "By hand": _step(row.step, row.by_hand),
         "SciPy": _step(row.step, row.scipy), "statsmodels": _step(row.step, row.statsmodels)}
        for row in t.t_steps.itertuples()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def _step(step: str, value: float) -> Prose:
    digits = {"t": 4, "critical_value": 4, "p_value": 4, "df": 1}.get(step, 2)
    if step.endswith("variance"):
        digits = 0
    return number(value, digits)


def agreement(s: Study) -> Prose:
    """How far the columns are from each other."""
    t = s.lift.t_test
    if t is None:
        return NO_REVENUE
    if t.gap < 1e-12:
        return Prose("The columns agree to twelve digits and more, far beyond what is printed.")
    return Prose(f"The largest relative difference between the columns is {t.gap:.0e}.")


def t_levels_table(s: Study) -> Prose:
    """The decision at three levels."""
    t = s.lift.t_test
    if t is None:
        return NO_REVENUE
    frame = pd.DataFrame({
        "Significance level": [percent(x, 0) for x in t.t_levels["level"]],
        "Critical value": [number(x, 3) for x in t.t_levels["critical_value"]],
        "|t|": [number(abs(t.welch.statistic), 3)] * len(t.t_levels),
        "Equal means": [decision(x) for x in t.t_levels["reject"]],
    })
    return table(frame, {name: Prose for name in frame.columns})


def t_figure(s: Study) -> p9.ggplot | Prose:
    """The t distribution with its critical regions and the statistic."""
    t = s.lift.t_test
    if t is None:
        return NO_REVENUE
    welch = t.welch
    reach = max(4.0, abs(welch.statistic) + 0.5)
    x = np.linspace(-reach, reach, 401)
    frame = pd.DataFrame({"t": x, "density": stats.t.pdf(x, welch.df)})
    tails = pd.concat([
        frame[frame["t"] <= -welch.critical_value].assign(side="left"),
        frame[frame["t"] >= welch.critical_value].assign(side="right"),
    ])
    top = float(frame["density"].max())
    note = pd.DataFrame({
        "t": [welch.statistic], "density": [top * 1.08], "label": [f"t = {welch.statistic:.2f}"]})
    return (
        figures.Plot(frame, p9.aes("t", "density"))
        + p9.geom_area(p9.aes(group="side"), tails, fill=figures.VERMILION, alpha=0.5)
        + p9.geom_line(color=figures.INK, size=0.7)
        + p9.geom_vline(xintercept=[-welch.critical_value, welch.critical_value],
                        color=figures.VERMILION, linetype="dashed")
        + p9.geom_segment(
            p9.aes(x="t", xend="t", y=0, yend="density"), note, color=figures.BLUE, size=1)
        + p9.geom_text(p9.aes(label="label"), note, color=figures.BLUE, size=9, va="bottom")
        + p9.scale_y_continuous(limits=(0, top * 1.2))
        + p9.labs(x="t if both paywalls earned the same", y="Density")
        + figures.theme(height=2.7)
    )


def t_test(s: Study) -> Prose:
    """What the test of revenue decides."""
    t = s.lift.t_test
    if t is None:
        return NO_REVENUE
    w = t.welch
    chance = f"{percent(w.p_value, 0 if w.p_value > 0.1 else 1)}"
    said = (
        f"If both paywalls earned the same, a t as far from 0 as {number(w.statistic, 2)} would come "
        f"up in {chance} of such tests ({p_value(w.p_value)})"
    )
    i = w.interval
    if w.reject:
        way = "more" if w.estimate > 0 else "less"
        return Prose(
            f"{said}: revenue a user is shown to be {way} with the new paywall, by "
            f"{_cents(abs(w.estimate), *sorted((abs(i.low), abs(i.high))))}."
        )
    return Prose(
        f"{said}, so equal revenue is not rejected at {percent(w.alpha, 0)}. That is not to say that "
        f"revenue is equal: the difference is {_cents(w.estimate, i.low, i.high)} a user."
    )


# Normality -----------------------------------------------------------------------------------


def shape_table(s: Study) -> Prose:
    """Skewness and kurtosis of revenue a user, and the users that a mean needs."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    frame = pd.DataFrame({
        "Group": [NAMES[g].capitalize() for g in n.shapes["group"]],
        "Users": [number(x) for x in n.shapes["users"]],
        "Paid nothing": [percent(x) for x in n.shapes["zero_share"]],
        "Mean": [money(x) for x in n.shapes["mean"]],
        "SD": [money(x) for x in n.shapes["sd"]],
        "Skewness": [_float(x, 1) for x in n.shapes["skewness"]],
        "Excess kurtosis": [_float(x, 0) for x in n.shapes["excess_kurtosis"]],
        "Jarque–Bera": [p_value(x) for x in n.shapes["p_value"]],
        "Users a mean needs": [_float(x, 0) for x in n.shapes["needed"]],
    })
    return table(frame, {name: Prose for name in frame.columns[1:]})


def _float(value: float | None, digits: int) -> Prose:
    return Prose(MISSING) if value is None or pd.isna(value) else number(value, digits)


def quantile_figure(s: Study) -> p9.ggplot | Prose:
    """Quantiles of revenue a user against those of a normal distribution."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    levels = np.unique(np.concatenate((np.linspace(0.01, 0.99, 34), [0.998, 0.999])))
    rows = []
    for name in GROUPS:
        counts = s.test.revenue[name]
        reached = (counts.cumsum() / counts.sum()).to_numpy()
        position = np.minimum(np.searchsorted(reached, levels - 1e-12), len(counts) - 1)
        rows.append(pd.DataFrame({
            "group": NAMES[name], "normal": stats.norm.ppf(levels),
            "value": counts.index.to_numpy()[position] / 100}))
    frame = pd.concat(rows)
    names = list(NAMES.values())
    frame["group"] = pd.Categorical(frame["group"], names)
    lines = pd.DataFrame({
        "group": pd.Categorical([NAMES[g] for g in n.shapes["group"]], names),
        "mean": n.shapes["mean"] / 100, "sd": n.shapes["sd"] / 100})
    return (
        figures.Plot(frame, p9.aes("normal", "value"))
        + p9.geom_abline(p9.aes(intercept="mean", slope="sd"), lines, color=figures.GREY,
                         linetype="dashed")
        + p9.geom_point(color=figures.BLUE, size=1.2)
        + p9.facet_wrap("group", ncol=2)
        + p9.labs(x="Standard normal quantile", y="Revenue of a user")
        + figures.theme(height=2.8)
    )


def normality(s: Study) -> Prose:
    """Whether revenue could be normal, and what that is worth knowing."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    skew = n.shapes["skewness"].dropna()
    if skew.empty:
        return Prose("There are too few users to tell the shape of revenue.")
    most = float(skew.abs().max())
    zero = float(n.shapes["zero_share"].min())
    if most > 1:
        told = (
            f"Revenue of a user is nothing like normal: skewness is up to {number(most, 1)}"
            + (f", and at least {percent(zero, 0)} of users in either group paid nothing" if zero > 0.1
               else "")
        )
    else:
        told = f"Revenue of a user is not far from symmetric, with a skewness of {number(most, 1)}"
    return Prose(
        f"{told}. A formal test adds little: with many users it rejects normality for departures "
        "that do no harm, and with few it misses those that do. What the t test needs normal is "
        "not the revenue of a user but the mean."
    )


def sampling_figure(s: Study) -> p9.ggplot | Prose:
    """Distributions of means and of differences of means at three sizes, with normal curves."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    bars, curves, order = [], [], []
    for what, found in (("mean", n.means), ("difference", n.differences)):
        for size, values in found.items():
            panel = f"{what}, n = {size:,}"
            order.append(panel)
            values = values / 100
            sd = values.std()
            if not sd > 0:
                continue
            low, high = np.quantile(values, [0.001, 0.998])
            density, edges = np.histogram(values, bins=21, range=(low, high), density=True)
            bars.append(pd.DataFrame({"panel": panel, "x": (edges[1:] + edges[:-1]) / 2,
                                      "density": density * sd, "width": np.diff(edges)}))
            x = np.linspace(low, high, 50)
            curves.append(pd.DataFrame({
                "panel": panel, "x": x, "density": stats.norm.pdf(x, values.mean(), sd) * sd}))
    if not bars:
        return NO_REVENUE
    bar, curve = pd.concat(bars), pd.concat(curves)
    for frame in (bar, curve):
        frame["panel"] = pd.Categorical(frame["panel"], order)
    return (
        figures.Plot(bar, p9.aes("x", "density"))
        + p9.geom_col(p9.aes(width="width"), fill=figures.SKY)
        + p9.geom_line(data=curve, color=figures.INK, size=0.7)
        + p9.facet_wrap("panel", ncol=3, scales="free")
        + p9.labs(x="Revenue a user", y="")
        + figures.theme(height=3.9)
        + p9.theme(strip_text=p9.element_text(weight="bold", size=9, ha="left"),
                   axis_text=p9.element_text(size=8), axis_text_y=p9.element_blank(),
                   panel_spacing_y=0.055)
    )


def sampling_table(s: Study) -> Prose:
    """Skewness and coverage of means by sample size."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    frame = pd.DataFrame({
        "Of": ["mean" if x == "mean" else "difference" for x in n.sampling["statistic"]],
        "Users a sample": [number(x) for x in n.sampling["size"]],
        "Skewness": [number(x, 2) for x in n.sampling["skewness"]],
        "Skewness by theory": [number(x, 2) for x in n.sampling["theory"]],
        "95% t interval right": [percent(x) for x in n.sampling["coverage"]],
        "Too high": [percent(x) for x in n.sampling["below"]],
        "Too low": [percent(x) for x in n.sampling["above"]],
    }).sort_values("Of", ascending=False, kind="stable")
    return table(frame, {name: Prose for name in frame.columns[1:]})


def sampling(s: Study) -> Prose:
    """What the central limit theorem does to means and intervals of these data."""
    n = s.lift.normality
    if n is None:
        return NO_REVENUE
    rows = n.sampling.set_index(["statistic", "size"])
    small, large = study.SIZES[0], study.SIZES[-1]
    few, many = rows.loc[("mean", small)], rows.loc[("mean", large)]
    both = rows.loc[("difference", large)]
    parts = [
        f"With {number(small)} users the 95% t interval of a mean holds the truth in only "
        f"{percent(few['coverage'], 0)} of samples, with {number(large)} in "
        f"{percent(many['coverage'])}."
        if few["coverage"] < 0.93 else
        f"Even with {number(small)} users the 95% t interval of a mean holds the truth in "
        f"{percent(few['coverage'], 0)} of samples."
    ]
    needed = n.shapes["needed"].max()
    if pd.notna(needed):
        have = min(s.lift.users)
        if have < needed:
            sides = sorted((many["below"], many["above"]))
            uneven = "do lie unevenly" if sides[1] > 1.5 * sides[0] else "yet lie about evenly"
            parts.append(
                f"The rule of thumb asks for up to {number(needed)} users a group and the test has "
                f"{number(have)}, and the misses at {number(large)} {uneven}: {percent(sides[0])} on "
                f"one side and {percent(sides[1])} on the other, where 2.5% on each were meant."
            )
        else:
            parts.append(
                f"The rule of thumb asks for {number(needed)} users a group, and there are more."
            )
    better = "better" if abs(both["coverage"] - 0.95) <= abs(many["coverage"] - 0.95) else "no better"
    parts.append(
        f"The difference of two means fares {better}, {percent(both['coverage'])}: where both groups "
        "are skewed alike, the skewness cancels."
        if better == "better" and abs(both["theory"]) < abs(many["theory"]) else
        f"The difference of two means is held in {percent(both['coverage'])}."
    )
    return Prose(" ".join(parts))


# A skewed metric -----------------------------------------------------------------------------


def answers_table(s: Study) -> Prose:
    """Revenue of both groups compared in several ways."""
    f = s.lift.skewed
    if f is None:
        return NO_REVENUE
    rows = []
    for row in f.answers.itertuples():
        chance = row.question.startswith("superiority")
        value = (
            f"{percent(row.estimate)} ({interval(100 * row.low, 100 * row.high, 1, '%')})" if chance
            else _cents(row.estimate, row.low, row.high)
        )
        rows.append({
            "Compared": typeset(_question(row.question)),
            "Old": MISSING if math.isnan(row.control) else money(row.control),
            "New": MISSING if math.isnan(row.test) else money(row.test),
            "Difference, or chance to spend more": value,
            "p": MISSING if math.isnan(row.p_value) else p_value(row.p_value),
        })
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def _question(name: str) -> str:
    return {
        "mean": "mean, Welch", "superiority": "ranks, all users (Mann–Whitney)",
        "trimmed mean": "20% trimmed mean, all users",
        "trimmed mean of payers": "20% trimmed mean, payers",
        "superiority among payers": "ranks, payers (Mann–Whitney)",
    }.get(name, name)


def answers(s: Study) -> Prose:
    """What each way asks, and what it says here."""
    f = s.lift.skewed
    if f is None:
        return NO_REVENUE
    rows = f.answers.set_index("question")
    parts = []
    boot, mean = rows.loc["mean, bootstrap"], rows.loc["mean"]
    half = (mean["high"] - mean["low"]) / 2
    lean = ((boot["low"] + boot["high"]) / 2 - mean["estimate"]) / half
    parts.append(
        f"The bootstrap interval reaches from {money(boot['low'])} to {money(boot['high'])}, "
        + (f"its middle {percent(abs(lean), 0)} of a half-width {'above' if lean > 0 else 'below'} "
           "that of Welch's: the tail shows, but decides nothing."
           if abs(lean) >= 0.02 and (boot["low"] > 0) == (mean["low"] > 0)
           and (boot["high"] > 0) == (mean["high"] > 0)
           else "next to Welch's." if abs(lean) < 0.02
           else "and differs from Welch's about whether 0 is within.")
    )
    capped = rows[rows.index.str.startswith("mean, capped")]
    if not capped.empty:
        up = (capped["estimate"] > 0).all()
        down = (capped["estimate"] < 0).all()
        narrow = float(((capped["high"] - capped["low"]) / 2).min() / half)
        same = "is above 0" if up else "is below 0" if down else "changes its sign"
        parts.append(
            f"With the largest spenders capped the interval becomes as narrow as "
            f"{percent(narrow, 0)} of Welch's, and the difference {same} under "
            f"{'every cap' if up or down else 'different caps'}; but a capped mean is another "
            "quantity, and the business is paid in the uncapped one."
        )
    if "trimmed mean" in rows.index:
        row = rows.loc["trimmed mean"]
        if row["control"] == 0 or row["test"] == 0:
            parts.append(
                "A 20% trimmed mean of all users drops nearly everybody who paid, so it is "
                "about 0 whatever the paywall earns: trimming suits long tails on both sides, not "
                "a metric that most have at 0."
            )
    elif min(s.lift.normality.shapes["zero_share"]) > 0.8:
        parts.append(
            "A 20% trimmed mean of all users is 0 in both groups and says nothing, because more "
            "than four in five paid nothing."
        )
    if "superiority" in rows.index:
        row = rows.loc["superiority"]
        ties = sum(float(x) for x in s.lift.normality.shapes["zero_share"]) / 2
        parts.append(
            f"The rank test asks whether a random user of the new paywall spends more than one of "
            f"the old: {percent(row['estimate'])} with ties counted half ({p_value(row['p_value'])}), "
            + (f"which, with about {percent(ties, 0)} of users tied at 0, is little else than the "
               "question of who pays at all." if ties > 0.5 else "whatever the sums are.")
        )
    return Prose(" ".join(parts))


def parts_table(s: Study) -> Prose:
    """Revenue a user as share of payers times revenue a payer."""
    f = s.lift.skewed
    if f is None or f.parts.empty:
        return NO_REVENUE
    names = {"payers": "Users who paid", "revenue per payer": "× revenue a payer",
             "revenue per user": "revenue a user, their product"}
    rows = []
    for row in f.parts.itertuples():
        values = [
            f"{percent(v)} ({interval(100 * lo, 100 * hi, 1, '%')})" if row.part == "payers"
            else _cents(v, lo, hi)
            for v, lo, hi in ((row.control, row.control_low, row.control_high),
                              (row.test, row.test_low, row.test_high))
        ]
        rows.append({
            "Part": names[row.part], "Old paywall": values[0], "New paywall": values[1],
            "Lift": f"{change(row.ratio)} ({low_to_high(change(row.ratio_low), change(row.ratio_high))})"})
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def parts(s: Study) -> Prose:
    """Which of the two factors moved, with the caution about payers."""
    f = s.lift.skewed
    if f is None or f.parts.empty:
        return NO_REVENUE
    rows = f.parts.set_index("part")
    who, much = rows.loc["payers"], rows.loc["revenue per payer"]
    share = math.log(who["ratio"]) / math.log(rows.loc["revenue per user", "ratio"]) \
        if rows.loc["revenue per user", "ratio"] != 1 else math.nan
    told = (
        f"The share of payers changes by {change(who['ratio'])} and what a payer brings by "
        f"{change(much['ratio'])}"
    )
    if 0 <= share <= 1:
        told += (
            f", so {percent(share, 0)} of the change of revenue (on the log scale) comes from more "
            "or fewer users paying"
        )
    wide = "far less surely than the first" if (
        math.log(much["ratio_high"] / much["ratio_low"])
        > 1.5 * math.log(who["ratio_high"] / who["ratio_low"])) else "about as surely as the first"
    return Prose(
        f"{told}; the second factor is known {wide}. Payers of the two groups are not comparable "
        "people, because the paywall itself decides who becomes one, so the second factor "
        "describes and does not prove."
    )


def ratios_table(s: Study) -> Prose:
    """Metrics per view, by the delta method and as if views were independent."""
    if not s.lift.ratios:
        return Prose("Without views and purchases in both groups there is no rate per view.")
    rows = []
    names = {"paywall_purchases": "Purchases per view", "revenue": "Revenue per view"}
    for name, result in s.lift.ratios.items():
        show = percent if name == "paywall_purchases" else money
        scale = 100 if name == "paywall_purchases" else 1
        i = result.interval
        size = (f"{number(scale * i.estimate, 1)} ({interval(scale * i.low, scale * i.high, 1)})"
                if scale == 100 else _cents(i.estimate, i.low, i.high))
        effect = result.effects[0] if result.effects else None
        old, new = _per_view(s, name)
        rows.append({"Metric": names[name], "Method": "delta", "Old": show(old), "New": show(new),
                     "Difference": size, "Lift": _lift(effect), "p": p_value(result.p_value)})
        if name == "paywall_purchases" and s.lift.naive is not None:
            n = s.lift.naive
            rows.append({
                "Metric": names[name], "Method": "naive", "Old": show(old), "New": show(new),
                "Difference": f"{number(100 * n.estimate, 1)} "
                f"({_points(n.interval.low, n.interval.high)})",
                "Lift": _lift(n.effect("ratio of shares") if len(n.effects) > 1 else None),
                "p": p_value(n.p_value)})
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def _per_view(s: Study, name: str) -> tuple[float, float]:
    groups = s.test.groups.set_index("group")
    return tuple(groups.loc[g, name] / groups.loc[g, "views"] for g in GROUPS)


def ratios(s: Study) -> Prose:
    """What taking views as independent would have done."""
    result, naive = s.lift.ratios.get("paywall_purchases"), s.lift.naive
    if result is None or naive is None:
        return Prose("Without views and purchases in both groups there is no rate per view.")
    delta = result.standard_error
    wrong = (naive.interval.high - naive.interval.low) / 2 / stats.norm.isf(naive.alpha / 2)
    inflation = (delta / wrong) ** 2
    effect = result.effects[0] if result.effects else None
    told = (
        f"A view of the new paywall sells {number(effect.value, 2)} times as often as one of the old "
        f"({interval(effect.low, effect.high, 2)})" if effect else
        "In one group no view sold anything"
    )
    if inflation > 1.1:
        return Prose(
            f"{told}. Views of one user are alike: the variance of the difference is "
            f"{number(inflation, 1)} times what independent views would have. The naive test takes "
            f"repetition for evidence: its z is {number(naive.statistic, 1)}, that of the delta "
            f"method {number(result.statistic, 1)}."
        )
    return Prose(
        f"{told}. Here the naive test does little harm: the variance is {number(inflation, 2)} times "
        "what independent views would have."
    )


def views(s: Study) -> Prose:
    """Whether the paywall changed the number of views, which a rate per view takes as given."""
    v = s.lift.views
    if v is None:
        return Prose("The number of views does not vary between users.")
    size = f"{number(v.estimate, 2)} ({interval(v.interval.low, v.interval.high, 2)})"
    if v.reject:
        return Prose(
            f"But the groups differ in views a user, by {size}, {p_value(v.p_value)}: if the paywall "
            "itself changes how often it is seen, a rate per view compares different views, and the "
            "metrics a user are the ones to read.")
    return Prose(
        f"A rate per view is only fair if the paywall leaves the number of views alone; that it "
        f"changes it is not shown (difference a user {size}, {p_value(v.p_value)}).")


def adjusted_table(s: Study) -> Prose:
    """Differences adjusted for covariates from before the assignment."""
    if s.lift.adjusted.empty:
        return _missing(s)
    rows = []
    for row in s.lift.adjusted.itertuples():
        share = row.outcome == "converted"
        rows.append({
            "Outcome": "bought at a paywall" if share else "revenue a user",
            "Adjusted for": ADJUSTED[row.covariates],
            "Difference": f"{number(100 * row.estimate, 1)} ({_points(row.low, row.high)})" if share
            else _cents(row.estimate, row.low, row.high),
            "Variance removed": percent(row.reduction), "p": p_value(row.p_value)})
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[2:]})


def adjusted(s: Study) -> Prose:
    """How much the adjustment brings, and where it moves the estimate."""
    frame = s.lift.adjusted.set_index(["outcome", "covariates"])
    if ("converted", "all") not in frame.index:
        return Prose("Nothing that was known of users before varies, so nothing can be adjusted for.")
    share, plain = frame.loc[("converted", "all")], frame.loc[("converted", "none")]
    parts = []
    most = max(frame.loc[(o, "all"), "reduction"] for o in ("converted", "revenue")
               if (o, "all") in frame.index)
    if most < 0.15:
        parts.append(
            f"The gain is small: what was known before removes {percent(share['reduction'])} of the "
            "variance of conversion"
            + (f" and {percent(frame.loc[('revenue', 'all'), 'reduction'])} of revenue's"
               if ("revenue", "all") in frame.index else "")
            + f", as if the test had {percent(1 / (1 - most) - 1, 0)} more users at best. Most users "
            "of the test had bought nothing in the weeks before, so there is little to go by."
        )
    else:
        parts.append(
            f"What was known before removes {percent(share['reduction'])} of the variance of "
            f"conversion and up to {percent(most)} of an outcome's, as if the test had "
            f"{percent(1 / (1 - most) - 1, 0)} more users."
        )
    told = (
        f"The estimate goes from {number(100 * plain['estimate'], 1)} points to {number(100 * share['estimate'], 1)} "
        f"({_points(share['low'], share['high'])})"
    )
    before, after = plain["p_value"] <= s.lift.alpha, share["p_value"] <= s.lift.alpha
    if before and not after:
        told += (
            f", and {p_value(plain['p_value'])} becomes {p_value(share['p_value'])}: the new paywall "
            "happened to get users who had bought a little more before. The unadjusted test was "
            "named in advance and stands, but it won by a margin that this bit of luck covers"
        )
    elif after and not before:
        told += (
            f", and {p_value(plain['p_value'])} becomes {p_value(share['p_value'])}; but the "
            "unadjusted test was named in advance, and to change to the better-looking one now "
            "would be to choose the result"
        )
    else:
        told += f" ({p_value(share['p_value'])}), and the finding stays what it was"
    parts.append(f"{told}.")
    return Prose(" ".join(parts))


def segments_table(s: Study) -> Prose:
    """Shares and lifts by device and newcomer."""
    frame = s.lift.by_segment
    if frame.empty:
        return _missing(s)
    shown = pd.DataFrame({
        "Users": [_segment(r.dimension, r.value) for r in frame.itertuples()],
        "Number": [number(n) for n in frame["users"]],
        "Old paywall": [percent(x) for x in frame["control"]],
        "New paywall": [percent(x) for x in frame["test"]],
        "Lift": [
            MISSING if math.isnan(r.ratio) else
            f"{change(r.ratio)} ({low_to_high(change(r.ratio_low), change(r.ratio_high))})"
            for r in frame.itertuples()],
    })
    return table(shown, {name: Prose for name in shown.columns[1:]})


def _segment(dimension: str, value: str) -> str:
    return NEWCOMER.get(value, value) if dimension == "newcomer" else labels.group(dimension, value)


def _who(dimension: str, value: str) -> str:
    if dimension == "newcomer":
        return f"for those who {NEWCOMER[value]}"
    return f"on {escape(labels.group(dimension, value))}"


def segments(s: Study) -> Prose:
    """Whether the lift differs between segments."""
    frame = s.lift.interactions
    if frame.empty:
        return Prose("There is no pair of segments with buyers in every group, so whether the lift "
                     "differs between them cannot be told.")
    said = "the new paywall's share over the old one's is " + listing(
        f"{number(row.times, 2)} times as large {_who(row.dimension, row.value)} as "
        f"{_who(row.dimension, row.other)} ({'95% interval ' if row.Index == 0 else ''}"
        f"{interval(row.low, row.high, 2)}; {p_value(row.p_value)})" for row in frame.itertuples())
    found = frame[frame["p_adjusted"] <= s.lift.alpha]
    corrected = "" if len(frame) == 1 else (
        f"; the smaller p is {p_cell(frame['p_adjusted'].min())} after correction")
    if found.empty:
        return Prose(
            f"That the lift differs is not shown: {said}{corrected}. Nor is it shown to be the "
            "same: an interaction needs about four times the users that the effect itself does, "
            "so the rows of the table are not a reason to give the paywall to some only."
        )
    names = listing(COVARIATES[name] for name in found["dimension"])
    return Prose(
        f"The lift is shown to differ by {names}: {said}{corrected}. That deserves a test of its own "
        "before the segments are treated differently."
    )


# The advice ----------------------------------------------------------------------------------


def recommendation(s: Study) -> Prose:
    """What to do, by the rule."""
    p, action = s.lift.primary, s.lift.action
    if action is Action.DISTRUST:
        return Prose(
            "**Do not decide on this test.** The split of users is broken; find the cause, mend it "
            "and run the test again.")
    if action is Action.UNKNOWN or p is None:
        return Prose(f"**There is nothing to decide yet.** {_missing(s)}")
    i = p.z.interval
    size = f"{number(100 * i.estimate, 1)} percentage points ({_points(i.low, i.high)})"
    goal = f"{number(100 * p.relevant_difference, 1)}"
    if action is Action.SHIP:
        thin = s.lift.adjusted
        thin = thin[(thin["outcome"] == "converted") & (thin["covariates"] == "all")]
        caution = ""
        if i.low < 0.25 * p.relevant_difference or (
                not thin.empty and float(thin["p_value"].iloc[0]) > s.lift.alpha):
            caution = (
                " The margin is thin, so keep a small group on the old paywall for some "
                "months: it costs little, and it is the only way to learn how large the lift is "
                "and what it does to revenue."
            )
        return Prose(
            f"**Give the new paywall to everybody.** It is shown to sell to more users, and the "
            f"estimate, {size}, reaches the mark of the rule: {design.mark(s)}.{caution}")
    if action is Action.KEEP:
        why = ("it is shown to sell to fewer users" if p.decision.finding is Finding.LOWER
               else f"a win of the {goal} points that would be worth having is ruled out")
        return Prose(f"**Keep the old paywall**: {why}. The difference is {size}.")
    planned = s.design.primary
    longer = ""
    if planned is not None and min(s.lift.users) < planned.planned.n_a:
        longer = (
            f" The plan asks for {number(planned.planned.n_a)} users a group and there are "
            f"{number(min(s.lift.users))}; what is there already counts only if the looks are "
            "paid for, as the section on peeking shows."
        )
    elif planned is not None:
        longer = (
            " The planned size is reached, so a larger test has to be worth its cost, or the "
            "cheaper paywall to keep is the answer."
        )
    return Prose(
        f"**Run the test longer.** The difference is {size}, which neither shows a win worth having "
        f"({goal} points) nor rules one out.{longer}")


def answer(s: Study) -> Prose:
    """The fourth question's answer in a sentence."""
    p = s.lift.primary
    if p is None:
        return Prose(f"The paywall test has no answer yet: {_lower(_missing(s))}")
    if s.lift.action is Action.DISTRUST:
        return Prose("The paywall test cannot be trusted, because its split of users is broken.")
    i, digits = p.z.interval, digits_of_points(p.control.estimate, p.test.estimate)
    size = (f"{number(100 * i.estimate, digits)} percentage points, 95% interval "
            f"{_points(i.low, i.high, digits)}")
    told = {
        Action.SHIP: "The **new paywall** sells to more users and should go to everybody",
        Action.KEEP: "The **old paywall** should stay",
        Action.LONGER: "Whether the **new paywall** is worth having is not decided",
    }[s.lift.action]
    money_told = ""
    if s.lift.t_test is not None:
        money_told = (
            "; what it does to revenue a user is not shown" if not s.lift.t_test.welch.reject
            else "; revenue a user is shown to rise" if s.lift.t_test.welch.estimate > 0
            else "; revenue a user is shown to fall")
    return Prose(
        f"{told}: {percent(p.control.estimate, digits)} bought at the old one within "
        f"{count(s.lift.horizon, 'day')} and {percent(p.test.estimate, digits)} at the new ({size}, "
        f"{p_value(p.z.p_value)}){money_told}.")


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
