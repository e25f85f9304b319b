"""Is help from Customer Success (CS) better than OTHER: as they come, adjusted, and by the widget.

Three readings of one question. *As they come*, those who chose CS are compared with those who chose
OTHER; whatever makes people ask for CS is then taken for its effect. *Adjusted*, people are
compared who were alike in all that is known before the help (`who` shows what that is). *By the
widget*, chance decides: it reminds some customers of CS and not others, and at each customer's
first trouble, which comes before any widget, the cohort is an instrument for CS (see
`stats.instrument`).

A task in trouble that was complete before the help does not count. Customers may have several tasks
in trouble; what is "first" has each customer once, so only there are rows independent.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiment.reductions import CHANNELS, COHORTS, CS, TASKS, Durations, Reductions
from analysis.stats import association, regression, stratified, survival, two_proportions
from analysis.stats import cox as hazards
from analysis.stats.instrument import INTERVAL, TwoStage, two_stage
from analysis.stats.intervals import Interval, proportion
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Column, Design
from analysis.stats.survival import KaplanMeier, kaplan_meier
from analysis.stats.two_proportions import Share

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
HOUR = 60  # minutes
HORIZON = 4 * HOUR  # minutes within which speed is measured
LEAST_EXPECTED = 5  # in a cell of a table of four, for large-sample odds ratios
LEAST_LEVEL = 10  # tasks with either help, and with either outcome, for a level of its own
BINS = 10  # of the propensity
OTHER = CHANNELS[-1]
# What is known before the help.
TRAITS = ("task", "part_of_day", "restarted", "onset", "earlier_time", "earlier_troubles")
QUARTERED = ("onset", "earlier_time")
UNORDERED = ("part_of_day",)  # a trend over them means nothing
NO_FIT = (None, math.nan, math.nan)
SEVERAL = ("earlier_troubles",)  # known of later troubles only, of which a customer has several


@dataclass(frozen=True)
class Adjusted:
    """CS against OTHER with all that is known before the help held equal.

    Attributes:
        tasks: Tasks in trouble.
        naive: Share completed with CS less that with OTHER, as they come.
        difference: The same averaged over all these tasks, were all helped by CS or all by OTHER.
        share_cs, share_other: The two averages.
        ratio: The first over the second.
        odds_ratio: Of the model, holding equal.
        parameters: Coefficients of the model.
    """

    tasks: int
    naive: Interval
    difference: Interval
    share_cs: float
    share_other: float
    ratio: Interval
    odds_ratio: Interval
    parameters: int


@dataclass(frozen=True)
class Overlap:
    """Whether those helped by CS and by OTHER can be compared: chances of choosing CS.

    Attributes:
        bins: Index `from_chance` (lower end of a tenth): first troubles helped by `cs`, by `other`,
            whose chance of CS, by what is known before, lies in it; `share_cs`, `share_other` of
            all with that help.
        low, high: Chances that occur with either help (the common support).
        outside: Share of the first troubles beyond them.
        area: How well what is known tells who chooses CS (area under the ROC curve, fitted).
    """

    bins: pd.DataFrame
    low: float
    high: float
    outside: float
    area: Interval


@dataclass(frozen=True)
class Moved:
    """What the widget does at the first trouble, and so what CS does for those whom it moves there.

    Attributes:
        customers: With a first trouble.
        enough: Whether each cohort has `LEAST_LEVEL` of them who completed and as many who did not:
            the errors here are those of large samples.
        used: By cohort: share who chose CS.
        done: By cohort: share who completed.
        effects: Of CS for those moved, by outcome: "completed" (ever, share), "hour" (within
            one), "horizon" (within the speed's horizon), "minutes" (to completion within it;
            whoever needs longer counts as needing all of it).
        known: The same on completion with all that is known before held equal; None where no model
            could be fitted.
        with_cs, without_cs: Share of those moved who complete with and without CS; None where it is
            not identified.
        always, never: Shares of the customers who choose CS with and without the widget, and of
            those who choose OTHER either way.
        implications: Index `help` ("CS", "OTHER"), `completed` (0/1): share of each cohort's first
            troubles with both, `control`, `test`. If the widget does nothing but bring people to
            CS, it can only raise what is with CS and lower what is with OTHER: `excess`, the change
            in that direction (below 0: against it), `p_value` (one-sided, of a change against it)
            and `p_adjusted` (Holm).
        alike: Index `trait`: whether the cohorts are alike before any widget, in the share of
            customers in trouble ("trouble") and, of those, in `TRAITS`: `n`, `v` (Cramér, with
            bias correction), `p_value`, `p_adjusted` (Holm).
    """

    customers: int
    enough: bool
    used: Mapping[str, Interval]
    done: Mapping[str, Interval]
    effects: Mapping[str, TwoStage]
    known: TwoStage | None
    with_cs: Interval | None
    without_cs: Interval | None
    always: float
    never: float
    implications: pd.DataFrame
    alike: pd.DataFrame


@dataclass(frozen=True)
class Helped:
    """Help from CS against OTHER.

    Attributes:
        tasks: Tasks in trouble, and not complete before the help.
        customers: Customers with a task in trouble whose first one is among these.
        complete: Index `by`, `value`: "all" CS, "first" CS (first troubles), "task" 1 to 3,
            "channel" and "first_channel" of `CS`; each against OTHER, in a task within it: `tasks`,
            `completed`, `rate` with `_low`, `_high` (Wilson), the same of the others (`other_...`);
            `difference` with limits (Newcombe); `odds_ratio` with limits (Woolf, or exact where a
            cell is expected to hold fewer than `LEAST_EXPECTED`; infinite where nothing bounds it),
            `p_value` (chi-squared or exact), `p_adjusted` (Holm, over the values of `by`). Missing
            where either has no task, or none or all of both complete.
        horizon: Minutes after the help within which speed is measured: `HORIZON`, or as long as
            every group is observed.
        speed: Index `by` ("all", "first", "channel"), `value` (CS, OTHER, channels): `tasks`,
            `completed`, `hour` and `horizon` (shares done within), `median` (minutes; infinite
            where fewer than half complete), `mean` (minutes within the horizon; whoever needs
            longer counts as needing all of it), each with `_low` and `_high`; `mean_completed`,
            minutes of those who completed. Shares and means are missing where nobody was observed
            so long.
        faster: Index `by`, `value`: against OTHER, `difference` of the mean within the horizon
            (minutes) with limits; `log_rank` (chi-squared), `log_rank_p`; `ratio` of hazards (Cox)
            with limits, `p_value`, `p_adjusted` (Holm over `by`); `changes_p`, the test that the
            ratio is the same at all times; `early` and `late`, the ratio within the first hour and
            after it, with limits.
        curves: By choice (CS, OTHER), for all tasks and for first troubles: the share not yet done.
        who: Index `trait` (of `TRAITS`), `value`: first troubles (tasks 2 and 3 for those of
            `SEVERAL`) with a known value, `tasks`, and the share who chose CS, `cs` with `_low`,
            `_high`; the share who completed with OTHER, `done` with limits.
        choice: Index `trait`: association of the value with choosing CS (`v`, `v_low`, `v_high`,
            `p_value`, `p_adjusted` by Holm) and, for ordered values, the odds ratio of one step up
            for choosing CS (`step` with limits, `step_p`) and for completing with OTHER (`done`
            with limits, `done_p`), both with `_p_adjusted` (Holm).
        agent: Share of AGENT within CS at first and at later troubles (`proportion`), by "first",
            "later"; `agent_p`: test that it is the same.
        adjusted: By scope, "first" and "all"; without a scope where no model could be fitted.
        overlap: None where choosing CS could not be modelled.
        moved: None where CS, or completion, or the cohort does not vary among first troubles.
        reason: Why there is no `moved`; None if there is.
        readings: Index `reading` ("naive", "adjusted", "moved"): CS less OTHER in the share of
            first troubles completed: `estimate`, `low`, `high`. The last with the limits of
            Anderson & Rubin, and only if they are an interval.
    """

    tasks: int
    customers: int
    complete: pd.DataFrame
    horizon: float
    speed: pd.DataFrame
    faster: pd.DataFrame
    curves: Mapping[str, Mapping[str, KaplanMeier]]
    who: pd.DataFrame
    choice: pd.DataFrame
    agent: Mapping[str, Interval]
    agent_p: float | None
    adjusted: Mapping[str, Adjusted]
    overlap: Overlap | None
    moved: Moved | None
    reason: str | None
    readings: pd.DataFrame


def helped(base: Reductions) -> Helped:
    """Compares CS with OTHER in all three ways."""
    table = base.help.assign(cs=(base.help["channel"] != OTHER).astype(int))
    cells = base.cells.to_frame()
    complete = _complete(table)
    groups = _groups(base)
    horizon = _horizon(groups)
    who, choice = _who(cells)
    agent, agent_p = _agent(table)
    scopes = {"first": cells[cells["first"] == 1], "all": cells}
    adjusted = {scope: found for scope, rows in scopes.items() if (found := _adjusted(rows))}
    try:
        moved, reason = _moved(base, table, horizon), None
    except ValueError as error:
        moved, reason = None, str(error)
    return Helped(
        tasks=int(table["tasks"].sum()),
        customers=int(table["tasks"][table["first"] == 1].sum()),
        complete=complete,
        horizon=horizon,
        speed=_speed(groups, horizon),
        faster=_faster(groups, horizon),
        curves={scope: {name: _curve(rows) for name, rows in groups[scope].items()}
                for scope in ("all", "first")},
        who=who, choice=choice, agent=agent, agent_p=agent_p,
        adjusted=adjusted,
        overlap=_overlap(scopes["first"]),
        moved=moved, reason=reason,
        readings=_readings(complete, adjusted, moved),
    )


# Completion


def _ends(name: str, interval: Interval | None) -> dict[str, float]:
    """An interval as columns; missing ones without one."""
    ends = (interval.estimate, interval.low, interval.high) if interval else (math.nan,) * 3
    return dict(zip((name, f"{name}_low", f"{name}_high"), map(float, ends), strict=True))


def _columns(*names: str) -> list[str]:
    return [f"{name}{end}" for name in names for end in ("", "_low", "_high")]


def _share(successes: int, n: int) -> Interval | None:
    return proportion(int(successes), int(n), CONFIDENCE) if n else None


def _adjusted_p(p_values: pd.Series) -> pd.Series:
    """Holm's p-values of those that there are."""
    known = p_values.dropna()
    return pd.Series(holm(known.astype(float)), known.index).reindex(p_values.index)


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """See `Helped.complete`."""
    first, other = table["first"] == 1, table["cs"] == 0
    compared = {
        ("all", "CS"): (~other, other),
        ("first", "CS"): (first & ~other, first & other),
        **{("task", str(task)): (~other & (table["task"] == task), other & (table["task"] == task))
           for task in TASKS},
        **{("channel", channel): (table["channel"] == channel, other) for channel in CS},
        **{("first_channel", channel): (first & (table["channel"] == channel), first & other)
           for channel in CS},
    }
    rows = []
    for (by, value), parts in compared.items():
        (n_a, a), (n_b, b) = (
            (int(table.loc[part, "tasks"].sum()), int(table.loc[part, "completed"].sum()))
            for part in parts)
        rows.append({
            "by": by, "value": value, "tasks": n_a, "completed": a, **_ends("rate", _share(a, n_a)),
            "other_tasks": n_b, "other_completed": b, **_ends("other_rate", _share(b, n_b)),
            **_against(a, n_a, b, n_b),
        })
    frame = pd.DataFrame(rows).set_index(["by", "value"])
    frame["p_adjusted"] = frame.groupby("by")["p_value"].transform(_adjusted_p)
    return frame


def _against(a: int, n_a: int, b: int, n_b: int) -> dict[str, float]:
    """Difference, odds ratio and test of two shares."""
    gap = odds = None
    p = math.nan
    if n_a and n_b:
        gap = two_proportions.difference(Share(a, n_a), Share(b, n_b), CONFIDENCE)
        if 0 < a + b < n_a + n_b:
            p = association.association([[a, n_a - a], [b, n_b - b]]).p_value
            odds = _odds_ratio(a, n_a, b, n_b)
    return {**_ends("difference", gap), **_ends("odds_ratio", odds), "p_value": p}


def _odds_ratio(a: int, n_a: int, b: int, n_b: int) -> Interval:
    margins = [np.array([float(x)]) for x in (a, n_a, a + b, n_a + n_b)]
    rest = n_a + n_b - a - b
    if min(n_a, n_b) * min(a + b, rest) / (n_a + n_b) < LEAST_EXPECTED:
        return stratified.Conditional.of(*margins).interval(CONFIDENCE)
    found = stratified.mantel_haenszel(*margins, CONFIDENCE)
    if not math.isfinite(found.low):
        return stratified.Conditional.of(*margins).interval(CONFIDENCE)
    return Interval(*map(float, (found.estimate, found.low, found.high)), CONFIDENCE, "Woolf")


# Speed


def _rows(times: Durations) -> pd.DataFrame:
    """Counts with `time`, the middle of each minute."""
    frame = times.to_frame()
    return frame.assign(time=frame["minutes"] - 0.5)


def _groups(base: Reductions) -> dict[str, dict[str, pd.DataFrame]]:
    """Tasks by how they were helped, for all and for first troubles; those that are empty left out.
    """
    every, first = _rows(base.from_help), _rows(base.from_first_help)
    other = every["channel"] == OTHER
    found = {
        "all": {"OTHER": every[other], "CS": every[~other]},
        "first": {"OTHER": first[first["cs"] == 0], "CS": first[first["cs"] == 1]},
        "channel": {"OTHER": every[other],
                    **{name: every[every["channel"] == name] for name in CS}},
    }
    return {by: {name: rows for name, rows in parts.items() if len(rows)}
            for by, parts in found.items()}


def _curve(rows: pd.DataFrame) -> KaplanMeier:
    return kaplan_meier(rows["time"], rows["completed"], rows["censored"], CONFIDENCE)


def _seen(curve: KaplanMeier) -> float:
    """How long a curve is known, minutes."""
    return math.inf if curve.survival[-1] == 0 else float(curve.time[-1])


def _horizon(groups: Mapping[str, Mapping[str, pd.DataFrame]]) -> float:
    curves = [_curve(rows) for by in ("all", "first") for rows in groups[by].values()]
    return float(min([HORIZON, *(math.floor(min(_seen(curve), HORIZON)) for curve in curves)]))


def _speed(groups, horizon: float) -> pd.DataFrame:
    """See `Helped.speed`."""
    rows = []
    for by, parts in groups.items():
        for value, counts in parts.items():
            curve = _curve(counts)
            seen = _seen(curve)
            done = int(curve.events.sum())
            rows.append({
                "by": by, "value": value, "tasks": curve.n, "completed": done,
                **_ends("hour", curve.share_at(HOUR) if seen >= HOUR else None),
                **_ends("horizon", curve.share_at(horizon) if 0 < horizon <= seen else None),
                **_ends("median", curve.quantile(0.5)),
                **_ends("mean", curve.restricted_mean(horizon) if 0 < horizon <= seen else None),
                "mean_completed": float(curve.events @ curve.time / done) if done else math.nan,
            })
    columns = ["by", "value", "tasks", "completed", *_columns("hour", "horizon", "median", "mean"),
               "mean_completed"]
    return pd.DataFrame(rows, columns=columns).set_index(["by", "value"])


def _faster(groups, horizon: float) -> pd.DataFrame:
    """See `Helped.faster`."""
    rows = []
    for by, parts in groups.items():
        if OTHER not in parts:
            continue
        whole = _hazards(parts, lambda counts: counts)
        early = _hazards(parts, _within_hour)
        late = _hazards(parts, lambda counts: counts[counts["time"] > HOUR])
        for value in parts:
            if value == OTHER:
                continue
            row = {"by": by, "value": value, **_gap(parts[value], parts[OTHER], horizon)}
            row |= _log_rank(parts[value], parts[OTHER])
            for name, fitted in (("ratio", whole), ("early", early), ("late", late)):
                row |= _ends(name, fitted.get(value, NO_FIT)[0])
            _, row["p_value"], row["changes_p"] = whole.get(value, NO_FIT)
            rows.append(row)
    columns = ["by", "value", *_columns("difference"), "log_rank", "log_rank_p", *_columns("ratio"),
               "p_value", "changes_p", *_columns("early", "late")]
    frame = pd.DataFrame(rows, columns=columns).set_index(["by", "value"])
    frame["p_adjusted"] = (
        frame.groupby("by")["p_value"].transform(_adjusted_p) if len(frame) else frame["p_value"])
    return frame


def _within_hour(counts: pd.DataFrame) -> pd.DataFrame:
    """The counts as if observation ended after an hour."""
    later = counts["time"] > HOUR
    left = (counts["completed"] + counts["censored"]).where(later, counts["censored"])
    return counts.assign(time=counts["time"].where(~later, HOUR),
                         completed=counts["completed"].where(~later, 0), censored=left)


def _gap(rows: pd.DataFrame, others: pd.DataFrame, horizon: float) -> dict[str, float]:
    """Difference of the mean minutes within the horizon."""
    curves = _curve(rows), _curve(others)
    if not 0 < horizon <= min(map(_seen, curves)):
        return _ends("difference", None)
    a, b = (curve.restricted_mean(horizon) for curve in curves)
    margin = math.hypot(a.high - a.estimate, b.high - b.estimate)
    gap = a.estimate - b.estimate
    return _ends("difference", Interval(gap, gap - margin, gap + margin, CONFIDENCE, "areas"))


def _log_rank(rows: pd.DataFrame, others: pd.DataFrame) -> dict[str, float]:
    try:
        test = survival.log_rank({
            name: (part["time"], part["completed"], part["censored"])
            for name, part in (("a", rows), ("b", others))})
    except ValueError:
        return {"log_rank": math.nan, "log_rank_p": math.nan}
    return {"log_rank": test.statistic, "log_rank_p": test.p_value}


def _hazards(
    parts: Mapping[str, pd.DataFrame], seen: Callable[[pd.DataFrame], pd.DataFrame]
) -> dict[str, tuple[Interval, float, float]]:
    """By group, the hazard ratio to OTHER, its p-value and that of its change; none without a fit.
    """
    rows = pd.concat([seen(counts).assign(group=name) for name, counts in parts.items()])
    if not (rows["group"] == OTHER).any():
        return {}
    x = regression.design(regression.indicators(rows["group"], "help", OTHER), len(rows))
    data = x, rows["time"], rows["completed"], rows["censored"]
    try:
        fit = hazards.cox(*data, confidence=CONFIDENCE)
    except ValueError:
        return {}
    try:
        changes = hazards.proportional_hazards(fit, *data).columns.set_index("level")["p_value"]
    except ValueError:
        changes = pd.Series(math.nan, fit.coefficients["level"])
    return {
        row.level: (Interval(row.ratio, row.ratio_low, row.ratio_high, CONFIDENCE, "Cox"),
                    row.p_value, float(changes[row.level]))
        for row in fit.coefficients.itertuples()
    }


# Who asks for CS


def _of_trait(cells: pd.DataFrame, trait: str) -> pd.DataFrame:
    """The cells in which a trait is known and can be looked at."""
    rows = cells[cells["task"] > TASKS[0]] if trait in SEVERAL else cells[cells["first"] == 1]
    return rows[rows[trait] > 0] if trait in QUARTERED else rows


def _who(cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """See `Helped.who` and `Helped.choice`."""
    who, choice = [], []
    for trait in TRAITS:
        rows = _of_trait(cells, trait)
        rows = pd.DataFrame({
            "value": rows[trait], "n": rows["n"], "cs": rows["n"] * rows["cs"],
            "other": rows["n"] * (1 - rows["cs"]), "done": rows["completed"] * (1 - rows["cs"]),
        }).groupby("value").sum()
        for value, row in rows.iterrows():
            who.append({"trait": trait, "value": int(value), "tasks": int(row["n"]),
                        **_ends("cs", _share(row["cs"], row["n"])),
                        **_ends("done", _share(row["done"], row["other"]))})
        if len(rows) < 2 or not 0 < rows["cs"].sum() < rows["n"].sum():
            continue
        found = association.association(rows[["cs", "other"]])
        of_choice = of_done = None
        if trait not in UNORDERED:
            of_choice = _trend(rows.index, rows["cs"], rows["n"])
            of_done = _trend(rows.index, rows["done"], rows["other"])
        choice.append({
            "trait": trait, "v": found.effect.value, "v_low": found.effect.low,
            "v_high": found.effect.high, "p_value": found.p_value,
            **_ends("step", of_choice and of_choice[0]),
            "step_p": of_choice[1] if of_choice else math.nan,
            **_ends("done", of_done and of_done[0]), "done_p": of_done[1] if of_done else math.nan,
        })
    frame = pd.DataFrame(choice, columns=[
        "trait", "v", "v_low", "v_high", "p_value", *_columns("step"), "step_p", *_columns("done"),
        "done_p"]).set_index("trait")
    for name, p in (("p_adjusted", "p_value"), ("step_p_adjusted", "step_p"),
                    ("done_p_adjusted", "done_p")):
        frame[name] = _adjusted_p(frame[p].astype(float))
    columns = ["trait", "value", "tasks", *_columns("cs", "done")]
    return pd.DataFrame(who, columns=columns).set_index(["trait", "value"]), frame


def _trend(values: Iterable[int], successes: pd.Series, n: pd.Series) -> tuple | None:
    """Odds ratio of one step up and its p-value (likelihood ratio); None without a finite one."""
    there = (n > 0).to_numpy()
    score = np.asarray(list(values), dtype=float)[there]
    x = regression.design([(Column("value", "one", "0", numeric=True), score)], len(score))
    try:
        fit = regression.logit(x, successes[there], n[there], CONFIDENCE)
    except ValueError:
        return None
    row = fit.coefficient("value", "one")
    return (Interval(row["ratio"], row["ratio_low"], row["ratio_high"], CONFIDENCE, "logit"),
            float(fit.tests["p_value"].iloc[0]))


def _agent(table: pd.DataFrame) -> tuple[dict[str, Interval], float | None]:
    """The share of AGENT within CS, at first and at later troubles."""
    within = table[table["cs"] == 1]
    agent = within["tasks"].where(within["channel"] == "AGENT", 0)
    rows = pd.DataFrame({"first": within["first"], "n": within["tasks"], "agent": agent})
    rows = rows.groupby("first").sum()
    shares = {name: proportion(int(rows.loc[first, "agent"]), int(rows.loc[first, "n"]), CONFIDENCE)
              for name, first in (("first", 1), ("later", 0)) if first in rows.index}
    if len(shares) < 2 or not 0 < rows["agent"].sum() < rows["n"].sum():
        return shares, None
    counts = np.column_stack([rows["agent"], rows["n"] - rows["agent"]])
    return shares, association.association(counts).p_value


# Adjusted


def _known(rows: pd.DataFrame, taken: list[tuple[Column, np.ndarray]]) -> Design:
    """A design of `taken` and of everything known before the help, as far as it can be told apart.

    A level with fewer than `LEAST_LEVEL` tasks with either help or outcome joins the reference, the
    most common one.
    """
    rows = _told(rows)
    columns = list(taken)
    basis, _ = np.linalg.qr(regression.design(columns, len(rows)).matrix)
    for trait in TRAITS:
        values = rows[trait].to_numpy()
        sizes = rows.groupby(trait)["n"].sum()
        for level in sizes.index:
            mine = (values == level).astype(float)
            if level == sizes.idxmax() or _too_few(rows[mine > 0]):
                continue
            left = mine - basis @ (basis.T @ mine)
            if left @ left > 1e-9 * (mine @ mine):  # else the columns before it make it up
                columns.append((Column(trait, str(level), str(sizes.idxmax())), mine))
                basis = np.column_stack([basis, left / np.sqrt(left @ left)])
    return regression.design(columns, len(rows))


def _too_few(rows: pd.DataFrame) -> bool:
    """Whether some tasks can't stand for a level of their own."""
    n, done, cs = rows["n"].sum(), rows["completed"].sum(), (rows["n"] * rows["cs"]).sum()
    return bool(min(cs, n - cs, done, n - done) < LEAST_LEVEL)


def _told(rows: pd.DataFrame) -> pd.DataFrame:
    """The cells with times that a few tasks lack filled in, by the most common quarter.

    Task 1 has no task before it: there the time that one took is not lacking.
    """
    rows = rows.copy()
    for trait in QUARTERED:
        lacking = rows[trait] == 0
        if trait == "earlier_time":
            lacking &= rows["task"] > TASKS[0]
        known = rows[rows[trait] > 0].groupby(trait)["n"].sum()
        if len(known) and _too_few(rows[lacking]):
            rows.loc[lacking, trait] = known.idxmax()
    return rows


def _without_cohort(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells of both cohorts together."""
    return cells.groupby([*TRAITS, "cs"], as_index=False)[["n", "completed"]].sum()


def _adjusted(rows: pd.DataFrame) -> Adjusted | None:
    """Regression standardisation; None where nothing can be held equal, or the model not fitted."""
    rows = _without_cohort(rows)
    cs, n, done = (rows[name].to_numpy(float) for name in ("cs", "n", "completed"))
    used = cs @ n
    if not 0 < used < n.sum():
        return None
    x = _known(rows, [(Column("cs", "CS", "OTHER"), cs)])
    if len(x.columns) < 2:
        return None
    try:
        fit = regression.logit(x, done, n, CONFIDENCE)
    except ValueError:
        return None
    effect = regression.marginal_effects(fit, x, n, CONFIDENCE).set_index("factor").loc["cs"]
    row = fit.coefficient("cs", "CS")

    def interval(found: pd.Series, name: str, method: str) -> Interval:
        return Interval(*(float(found[f"{name}{end}"]) for end in ("", "_low", "_high")),
                        CONFIDENCE, method)

    return Adjusted(
        tasks=int(n.sum()),
        naive=two_proportions.difference(
            Share(int(cs @ done), int(used)),
            Share(int((1 - cs) @ done), int(n.sum() - used)), CONFIDENCE),
        difference=interval(effect, "difference", "standardised, delta method"),
        share_cs=float(effect["share"]), share_other=float(effect["share_reference"]),
        ratio=interval(effect, "ratio", "standardised, delta method"),
        odds_ratio=interval(row, "ratio", "logit"),
        parameters=fit.parameters,
    )


def _overlap(rows: pd.DataFrame) -> Overlap | None:
    """Chances of CS among first troubles, by what is known before the help and not the cohort."""
    rows = _without_cohort(rows)
    cs, n = rows["cs"].to_numpy(float), rows["n"].to_numpy(float)
    x = _known(rows, [])
    if not x.columns:
        return None
    used = cs * n
    try:
        fit = regression.logit(x, used, n, CONFIDENCE)
        area = regression.auc(x.matrix @ fit.params, used, n, CONFIDENCE)
    except ValueError:
        return None
    chance = fit.fitted
    least, most = zip(*((chance[part].min(), chance[part].max())
                        for part in (used > 0, used < n)), strict=True)
    low, high = float(max(least)), float(min(most))
    frame = pd.DataFrame({
        "from_chance": np.minimum(np.floor(chance * BINS), BINS - 1) / BINS,
        "cs": used, "other": n - used,
    }).groupby("from_chance").sum().astype("int64")
    for name in ("cs", "other"):
        frame[f"share_{name}"] = frame[name] / frame[name].sum()
    outside = (chance < low) | (chance > high)
    return Overlap(frame, low, high, float(n[outside].sum() / n.sum()), area)


# The widget as an instrument


def _moved(base: Reductions, table: pd.DataFrame, horizon: float) -> Moved:
    """See `Moved`.

    Raises:
        ValueError: CS, the outcome or the cohort does not vary among first troubles.
    """
    first = table[table["first"] == 1]
    people = pd.concat([
        first.assign(y=1.0, n=first["completed"]),
        first.assign(y=0.0, n=first["tasks"] - first["completed"]),
    ])
    y, d, n = (people[name].to_numpy(float) for name in ("y", "cs", "n"))
    z = (people["cohort"] == COHORTS[1]).to_numpy(float)
    effects = {"completed": two_stage(y, d, z, n, confidence=CONFIDENCE)}
    for name, measure in _measures(horizon).items():
        if (found := _timed(base.from_first_help, measure)) is not None:
            effects[name] = found

    def mean(outcome: np.ndarray) -> Interval | None:
        try:
            return two_stage(outcome, d, z, n, confidence=CONFIDENCE).effect
        except ValueError:
            return None

    of = {cohort: first[first["cohort"] == cohort] for cohort in COHORTS}
    size = {cohort: int(rows["tasks"].sum()) for cohort, rows in of.items()}
    used = {cohort: int(rows.loc[rows["cs"] == 1, "tasks"].sum()) for cohort, rows in of.items()}
    share = {cohort: used[cohort] / size[cohort] for cohort in COHORTS}
    return Moved(
        customers=sum(size.values()),
        enough=bool(min(min(rows["completed"].sum(), (rows["tasks"] - rows["completed"]).sum())
                        for rows in of.values()) >= LEAST_LEVEL),
        used={cohort: proportion(used[cohort], size[cohort], CONFIDENCE) for cohort in COHORTS},
        done={cohort: proportion(int(rows["completed"].sum()), size[cohort], CONFIDENCE)
              for cohort, rows in of.items()},
        effects=effects,
        known=_moved_known(base),
        with_cs=mean(y * d),
        without_cs=mean(-y * (1 - d)),
        always=min(share.values()),
        never=1 - max(share.values()),
        implications=_implications(of, size, share),
        alike=_alike(base),
    )


def _measures(horizon: float) -> dict[str, Callable[[KaplanMeier], tuple]]:
    """For each outcome of speed: its mean by a curve, and the influence of a subject on it."""
    def share(minutes: float):
        return lambda curve: (curve.share_at(minutes).estimate,
                              *(-each for each in curve.survival_influence(minutes)))

    def minutes(curve: KaplanMeier):
        return (curve.restricted_mean(horizon).estimate, *curve.mean_influence(horizon))

    found = {"hour": share(HOUR)} if horizon >= HOUR else {}
    return found | ({"horizon": share(horizon), "minutes": minutes} if horizon > 0 else {})


def _timed(times: Durations, measure: Callable[[KaplanMeier], tuple]) -> TwoStage | None:
    """The effect of CS on an outcome of speed; None where it does not vary.

    Each customer's outcome is its pseudo-observation (Andersen, Klein & Rosthoj 2003): the estimate
    by the cohort's Kaplan-Meier curve plus n times the influence of this customer. Without
    censoring that is the outcome itself.
    """
    parts = []
    for z, cohort in enumerate(COHORTS):
        rows = _rows(times)
        rows = rows[rows["cohort"] == cohort]
        curve = _curve(rows)
        mean, event, censored = measure(curve)
        place = np.searchsorted(curve.time, rows["time"])
        parts += [
            pd.DataFrame({"y": mean + curve.n * influence[place], "d": rows["cs"], "z": z,
                          "n": rows[name]})
            for name, influence in (("completed", event), ("censored", censored))
        ]
    people = pd.concat(parts)
    try:
        return two_stage(people["y"], people["d"], people["z"], people["n"], confidence=CONFIDENCE)
    except ValueError:
        return None


def _moved_known(base: Reductions) -> TwoStage | None:
    """The effect on completion with everything known before the help held equal."""
    rows = base.cells.to_frame()
    rows = rows[rows["first"] == 1]
    x = _known(rows, [])
    twice = Design(x.columns, np.vstack([x.matrix, x.matrix]))
    done, n = rows["completed"].to_numpy(float), rows["n"].to_numpy(float)
    z = (rows["cohort"] == COHORTS[1]).to_numpy(float)
    try:
        return two_stage(
            np.repeat([1.0, 0.0], len(n)), np.tile(rows["cs"].to_numpy(float), 2), np.tile(z, 2),
            np.concatenate([done, n - done]), covariates=twice, confidence=CONFIDENCE)
    except ValueError:
        return None


def _implications(of, size, share) -> pd.DataFrame:
    """See `Moved.implications` (Balke & Pearl 1997; Kitagawa 2015)."""
    # A widget that lowers the use of CS would be an encouragement to OTHER.
    up = 1 if share[COHORTS[1]] >= share[COHORTS[0]] else -1
    rows = []
    for (cs, choice), done in itertools.product(enumerate(("OTHER", "CS")), (0, 1)):
        counts = []
        for cohort in COHORTS:
            mine = of[cohort][of[cohort]["cs"] == cs]
            total = mine["completed"] if done else mine["tasks"] - mine["completed"]
            counts.append(int(total.sum()))
        sign = up if cs else -up
        z = sign * two_proportions.z_statistics(
            counts[1], size[COHORTS[1]], counts[0], size[COHORTS[0]])
        control, test = (counts[i] / size[cohort] for i, cohort in enumerate(COHORTS))
        rows.append({"help": choice, "completed": done, "control": control, "test": test,
                     "excess": sign * (test - control), "p_value": float(stats.norm.cdf(z))})
    frame = pd.DataFrame(rows).set_index(["help", "completed"])
    frame["p_adjusted"] = _adjusted_p(frame["p_value"])
    return frame


def _alike(base: Reductions) -> pd.DataFrame:
    """See `Moved.alike`."""
    cells = base.cells.to_frame()
    flow = base.flow[(base.flow["stage"] == "trouble") & (base.flow["task"] == 0)]
    trouble = flow.set_index("cohort")["customers"].reindex(COHORTS).fillna(0)
    tables = {"trouble": np.array([
        [trouble[cohort], base.customers[cohort] - trouble[cohort]] for cohort in COHORTS])}
    for trait in TRAITS:
        if trait not in SEVERAL:
            rows = _of_trait(cells, trait)
            tables[trait] = rows.pivot_table(
                index="cohort", columns=trait, values="n", aggfunc="sum", fill_value=0).to_numpy()
    found = []
    for trait, counts in tables.items():
        try:
            test = association.association(counts)
        except ValueError:
            continue
        found.append({"trait": trait, "n": test.n, "v": test.effect.value, "p_value": test.p_value})
    frame = pd.DataFrame(found, columns=["trait", "n", "v", "p_value"]).set_index("trait")
    frame["p_adjusted"] = _adjusted_p(frame["p_value"].astype(float))
    return frame


def _readings(complete: pd.DataFrame, adjusted, moved: Moved | None) -> pd.DataFrame:
    """See `Helped.readings`."""
    rows = {}
    naive = complete.loc[("first", "CS")]
    if math.isfinite(naive["difference"]):
        rows["naive"] = tuple(naive[_columns("difference")])
    if "first" in adjusted:
        found = adjusted["first"].difference
        rows["adjusted"] = (found.estimate, found.low, found.high)
    if moved is not None:
        found = moved.effects["completed"]
        if found.region.shape == INTERVAL:
            rows["moved"] = (found.effect.estimate, found.region.low, found.region.high)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["estimate", "low", "high"])
    return frame.astype(float).rename_axis("reading")
