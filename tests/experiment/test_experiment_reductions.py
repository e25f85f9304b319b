"""The trialer study's reductions: a plain-Python reference, invariances, the planted effects."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from held import held

from analysis import experiment
from analysis.experiment.reductions import (
    CHANNELS,
    COHORTS,
    CS,
    HORIZON,
    TASKS,
    Durations,
    Reductions,
    TooFewCustomers,
    reduced,
)
from analysis.simulate import trialers
from analysis.sources import Tables

Frames = dict[str, pd.DataFrame]
MINUTE = pd.Timedelta(minutes=1)


def numbers(study: experiment.Study) -> dict:
    return experiment.flatten(study, experiment.KEYS)


def tables(frames: Frames) -> Tables:
    """Tables as the study gets them from any source."""
    return Tables("trialers", "a test", False, False, held(frames))


def messy(seed: int, n: int = 60) -> Frames:
    """Customers whose events come in any order: every fault that stays in the tables, and ties."""
    rng = np.random.default_rng(seed)
    ids = np.array([f"c{i}" for i in range(n)])
    base = pd.Timestamp("2021-05-05 20:00")

    def times(size: int) -> pd.Series:
        # Few distinct times, so that events of a task meet in the same second; some are days off,
        # before and after the horizon.
        days = rng.choice([0, 0, 0, 0, 2, 3], size)
        minutes = rng.integers(0, 12, size) * 25 + days * 1440
        seconds = rng.choice([0, 0, 17, 59], size)
        return pd.Series(base + pd.to_timedelta(minutes * 60 + seconds, unit="s"))

    stray = np.array([*ids, "nobody"])
    activity = pd.DataFrame({
        "customer_id": rng.choice(stray[: n * 3 // 4], 5 * n),
        "task": rng.integers(1, 4, 5 * n),
        "action": rng.choice(["start", "complete"], 5 * n),
        "timestamp": times(5 * n),
    })
    asked = pd.DataFrame({
        "customer_id": rng.choice(stray[n // 8:], 2 * n),
        "task": rng.integers(1, 4, 2 * n),
        "timestamp": times(2 * n),
        "channel": rng.choice(CHANNELS, 2 * n, p=[0.1, 0.1, 0.1, 0.2, 0.5]),
    })
    # Two choices in the same second.
    twins = asked.iloc[: n // 2].assign(channel=rng.choice(CHANNELS, n // 2))
    asked = pd.concat([asked, twins])
    converted = (rng.random(n) < 0.4).astype(int)
    at = times(n) + pd.to_timedelta(rng.integers(-1, 8, n), unit="D")
    conversion = pd.DataFrame({
        "customer_id": ids, "converted": converted,
        "converted_at": at.where((converted == 1) & (rng.random(n) < 0.9)),
    })
    cohorts = pd.DataFrame({"customer_id": ids, "cohort": rng.choice(["Control", "Test"], n)})
    return {
        "test_cohorts": cohorts,
        "product_activity": activity.drop_duplicates(ignore_index=True),
        "help_activity": asked.drop_duplicates(ignore_index=True),
        "conversion": conversion.drop(index=[3]).reset_index(drop=True),
    }


def as_seen(frames: Frames) -> Frames:
    """What `open_study` leaves: known customers, each event once."""
    known = frames["test_cohorts"].merge(frames["conversion"]).customer_id
    seen = {name: frame if name == "planned_split" else frame[frame.customer_id.isin(known)]
            for name, frame in frames.items()}
    for name in ("product_activity", "help_activity"):
        seen[name] = seen[name].drop_duplicates()
    return {name: frame.reset_index(drop=True) for name, frame in seen.items()}


# The reference: loops over the events of one customer at a time.


def reference(frames: Frames) -> dict[str, Counter]:
    """Every reduction of the study as {key: count}, slowly."""
    events = defaultdict(lambda: defaultdict(list))
    for row in frames["product_activity"].itertuples():
        events[row.customer_id][row.task].append((row.timestamp, row.action))
    for row in frames["help_activity"].itertuples():
        events[row.customer_id][row.task].append((row.timestamp, row.channel))
    last = max(frames[name].timestamp.max() for name in ("product_activity", "help_activity"))
    conversion = frames["conversion"].set_index("customer_id")
    found = defaultdict(Counter)
    tried = []
    first_dates = Counter()
    customers = []
    for customer in frames["test_cohorts"].itertuples():
        if customer.customer_id not in conversion.index:
            continue
        outcome = conversion.loc[customer.customer_id]
        own = [one_task(task, rows) for task, rows in
               sorted(events[customer.customer_id].items())]
        helped = [case for case in own if case["asked"]]
        if helped:
            min(helped, key=lambda case: (case["asked"], case["task"]))["first"] = 1
        by_task = {case["task"]: case for case in own}
        for case in own:
            task, before = case["task"], by_task.get(case["task"] - 1)
            case["series"] = task == 1 or bool(
                before and before["completed"] and case["started"]
                and before["completed"] <= case["started"])
            case["earlier_troubles"] = sum(
                bool(other["asked"]) for other in own if other["task"] < task)
            case |= {
                "earlier_time": seconds(before["started"], before["completed"]) if before else None,
                "cohort": customer.cohort, "converted": int(outcome.converted),
            }
        tried += own
        customer = {
            "cohort": customer.cohort, "converted": int(outcome.converted),
            "at": None if pd.isna(outcome.converted_at) else outcome.converted_at,
            "attempted": len(own), "troubles": len(helped),
            "completions": sum(bool(case["completed"]) for case in own),
            "help": "none" if not helped else
                    "CS" if any(case["channel"] in CS for case in helped) else "OTHER",
            "start": min((case["started"] for case in own if case["started"]), default=None),
            "end": max((case["completed"] for case in own if case["completed"]), default=None),
            "tasks": own,
        }
        customers.append(customer)
        if customer["start"]:
            first_dates[customer["start"].normalize()] += 1
    day = max(sorted(first_dates), key=first_dates.get)

    for c in customers:
        cohort = c["cohort"]
        stages = [("assigned", True), ("attempted", c["attempted"]), ("trouble", c["troubles"]),
                  ("CS", c["help"] == "CS"), ("OTHER", c["help"] == "OTHER"),
                  ("completed", c["completions"]), ("converted", c["converted"])]
        for stage, reached in stages:
            found["flow"][stage, 0, cohort] += bool(reached)
        for case in c["tasks"]:
            for stage, reached in (
                ("attempted", True), ("trouble", case["asked"]), ("CS", case["channel"] in CS),
                ("OTHER", case["channel"] == "OTHER"), ("completed", case["completed"]),
            ):
                found["flow"][stage, case["task"], cohort] += bool(reached)
        found["paths"][cohort, c["attempted"], c["help"], c["completions"], c["converted"]] += 1
        if c["start"]:
            hour = str(c["start"].date()), c["start"].hour, cohort
            measures = (1, c["troubles"] > 0, c["help"] == "CS", c["completions"],
                        c["completions"] == 3, c["converted"])
            for i, measure in enumerate(measures):
                found["starts"][(*hour, i)] += int(measure)
        days = (c["at"] - day) // pd.Timedelta(days=1) if c["at"] else None
        found["decisions"][cohort, c["completions"], c["converted"], days] += 1
        faults = found["faults"]
        faults["conversion without time"] += c["converted"] == 1 and not c["at"]
        faults["conversion before first start"] += bool(c["at"] and c["start"]
                                                        and c["at"] < c["start"])
        faults["conversion before last completion"] += bool(c["at"] and c["end"]
                                                            and c["at"] < c["end"])

    limits = {}
    in_time = [case for case in tried if case["asked"]
               and not (case["completed"] and case["completed"] < case["asked"])]
    for case in in_time:
        case["onset"] = seconds(case["started"], case["asked"])
    for name in ("onset", "earlier_time"):
        for task in TASKS:
            values = [case[name] for case in in_time
                      if case["task"] == task and case[name] is not None]
            limits[name, task] = np.quantile(values, [0.25, 0.5, 0.75]) if values else ()

    def quarter(case, name):
        if case[name] is None:
            return 0
        return 1 + sum(case[name] > limit for limit in limits[name, case["task"]])

    for case in tried:
        task, cohort = case["task"], case["cohort"]
        hour = case["started"].hour if case["started"] else None
        for i, measure in enumerate((1, bool(case["asked"]), bool(case["completed"]))):
            found["tasks"][cohort, task, hour, i] += measure
        faults = found["faults"]
        started, completed, asked = case["started"], case["completed"], case["asked"]
        faults["task out of series"] += bool(started and not case["series"])
        faults["completion without start"] += bool(completed and not started)
        faults["completion before start"] += bool(completed and started and completed < started)
        faults["help without start"] += bool(asked and not started)
        faults["help before start"] += bool(asked and started and asked < started)
        faults["help after completion"] += bool(asked and completed and completed < asked)
        help_ = "none" if not asked else "OTHER" if case["channel"] == "OTHER" else "CS"
        follow(found["from_start"], (task, cohort, help_), started, completed, last)
        if asked:
            follow(found["from_help"], (task, case["channel"]), asked, completed, last)
        if case["first"]:
            follow(found["from_first_help"], (cohort, int(case["channel"] in CS)), asked,
                   completed, last)
    for case in in_time:
        outcomes = 1, bool(case["finished"]), case["converted"]
        cell = (case["task"], case["cohort"], int(case["channel"] in CS), case["first"],
                case["asked"].hour // 6, int(case["restarts"] > 0), quarter(case, "onset"),
                case["earlier_troubles"], quarter(case, "earlier_time"))
        for i, measure in enumerate(outcomes):
            chosen = case["cohort"], case["task"], case["channel"], case["first"]
            found["help"][(*chosen, i)] += measure
            found["cells"][(*cell, i)] += measure
    return found


def one_task(task: int, rows: list[tuple[pd.Timestamp, str]]) -> dict:
    """What one customer did in one task."""
    starts = sorted(time for time, kind in rows if kind == "start")
    completions = sorted(time for time, kind in rows if kind == "complete")
    asked = sorted((time, CHANNELS.index(kind)) for time, kind in rows if kind in CHANNELS)
    first = asked[0][0] if asked else None
    return {
        "task": task, "first": 0,
        "started": starts[0] if starts else None,
        "completed": completions[0] if completions else None,
        "finished": next((time for time in completions if not first or time >= first), None),
        "asked": first, "channel": CHANNELS[asked[0][1]] if asked else None,
        "restarts": max(0, sum(1 for time in starts if not first or time < first) - 1),
    }


def seconds(begin, end) -> float | None:
    """Whole seconds between two times, None unless they are in that order."""
    known = begin is not None and end is not None and end >= begin
    return (end - begin).total_seconds() if known else None


def follow(found: Counter, group: tuple, begin, completed, last) -> None:
    """Counts a task as completed or censored in the minute after its origin."""
    if begin is None or (completed is not None and completed < begin):
        found["left out"] += 1
        return
    minute = (completed - begin) // MINUTE + 1 if completed is not None else math.inf
    if minute <= HORIZON:
        found[(*group, minute, "completed")] += 1
    else:
        found[(*group, min((last - begin) // MINUTE + 1, HORIZON), "censored")] += 1


def as_counter(frame: pd.DataFrame, measures: list[str], names=None) -> Counter:
    """A frame of counts as {key: count}; missing keys are None."""
    keys = [name for name in frame if name not in measures]
    counted = Counter()
    for row in frame.to_dict("records"):
        key = tuple(None if pd.isna(row[name]) else row[name] for name in keys)
        for i, measure in enumerate(measures):
            label = (names[i],) if names else (i,) if len(measures) > 1 else ()
            counted[(*key, *label)] += row[measure]
    return counted


def counters(study: Reductions) -> dict[str, Counter]:
    """The study's reductions as `reference` has them."""
    found = {
        "flow": as_counter(study.flow, ["customers"]),
        "paths": as_counter(study.paths, ["customers"]),
        "starts": as_counter(study.starts, ["customers", "trouble", "cs", "completions",
                                            "completed_all", "converted"]),
        "tasks": as_counter(study.tasks, ["tasks", "trouble", "completed"]),
        "help": as_counter(study.help, ["tasks", "completed", "converted"]),
        "cells": as_counter(study.cells.to_frame(), ["n", "completed", "converted"]),
        "decisions": as_counter(study.decisions, ["customers"]),
        "faults": Counter(dict(zip(study.faults.fault, study.faults.cases, strict=True))),
    }
    for name in ("from_start", "from_help", "from_first_help"):
        times = getattr(study, name)
        found[name] = as_counter(times.to_frame(), ["completed", "censored"],
                                 ["completed", "censored"])
        found[name]["left out"] += times.without_time
    return found


@pytest.mark.parametrize("seed", range(5))
def test_reductions_equal_loops_over_the_events(seed):
    frames = messy(seed)
    expected = reference(frames)
    found = counters(reduced(tables(frames)))
    assert found.keys() == expected.keys()
    for name, counts in expected.items():
        assert +found[name] == +counts, name  # without zeros


def test_messy_tables_have_every_fault():
    """The reference test means something only if its tables have what it is about."""
    total = sum((reference(messy(seed))["faults"] for seed in range(5)), Counter())
    assert len(total) == 9 and min(total.values()) >= 5, total


@pytest.fixture(scope="module")
def shipped(trialers_study) -> experiment.Study:
    return trialers_study


def arrays(study: Reductions) -> dict[str, Counter]:
    return {name: +counts for name, counts in counters(study).items()}


def test_order_of_rows_and_names_of_customers_do_not_matter():
    frames = messy(21)
    rng = np.random.default_rng(1)
    ids = frames["test_cohorts"].customer_id
    names = dict(zip(ids, rng.permutation([f"x{i:04d}" for i in range(len(ids))]), strict=True))
    mixed = {
        name: frame.assign(customer_id=frame.customer_id.map(lambda i: names.get(i, i)))
        .sample(frac=1, random_state=5).reset_index(drop=True)
        for name, frame in frames.items()
    }
    before, after = (experiment.analyse(tables(held)) for held in (frames, mixed))
    # Identifiers are a trace of their own in the question whether the tables are real.
    one, other = (
        {name: value for name, value in numbers(study).items() if not name.startswith("real.")}
        for study in (before, after)
    )
    assert one == other
    assert before.real.named.equals(after.real.named)
    assert arrays(before) == arrays(after)


def test_another_day_gives_the_same_numbers():
    frames = messy(22)
    later = {name: frame.copy() for name, frame in frames.items()}
    for name, column in (("product_activity", "timestamp"), ("help_activity", "timestamp"),
                         ("conversion", "converted_at")):
        later[name][column] = later[name][column] + pd.Timedelta(days=300)
    before, after = (reduced(tables(held)) for held in (frames, later))
    assert pd.Timestamp(after.window.day) - pd.Timestamp(before.window.day) == pd.Timedelta(
        days=300)
    one, other = arrays(before), arrays(after)
    for counts in (one, other):  # the dates themselves
        counts["starts"] = sorted(
            (key[1:], count) for key, count in counts["starts"].items())
    assert one == other


def test_swapped_cohorts_swap_the_numbers():
    frames = messy(23)
    swapped = dict(frames)
    swapped["test_cohorts"] = frames["test_cohorts"].assign(
        cohort=frames["test_cohorts"].cohort.map({"Test": "Control", "Control": "Test"}))
    before, after = (reduced(tables(held)) for held in (frames, swapped))
    assert before.customers["Test"] == after.customers["Control"]
    flow = before.flow.set_index(["stage", "task", "cohort"]).customers
    other = after.flow.set_index(["stage", "task", "cohort"]).customers
    for stage, task, cohort in flow.index:
        assert flow[stage, task, cohort] == other[stage, task, COHORTS[cohort == COHORTS[0]]]


def test_sums_agree_with_each_other(shipped):
    """The same people, counted in different ways."""
    flow = shipped.flow.set_index(["stage", "task", "cohort"]).customers.sort_index()
    paths, help_, starts = shipped.paths, shipped.help, shipped.starts
    for cohort in COHORTS:
        of = paths[paths.cohort == cohort]
        assert flow["assigned", 0, cohort] == of.customers.sum() == shipped.customers[cohort]
        assert flow["attempted", 0, cohort] == of.customers[of.attempted > 0].sum()
        assert flow["CS", 0, cohort] == of.customers[of.help == "CS"].sum()
        assert flow["converted", 0, cohort] == (of.customers * of.converted).sum()
        completions = sum(flow["completed", task, cohort] for task in TASKS)
        assert completions == (of.customers * of.completions).sum()
        of = shipped.decisions[shipped.decisions.cohort == cohort]
        assert flow["assigned", 0, cohort] == of.customers.sum()
        of = shipped.tasks[shipped.tasks.cohort == cohort]
        assert sum(flow["attempted", task, cohort] for task in TASKS) == of.tasks.sum()
        # Each customer in trouble has one first trouble.
        of = help_[help_.cohort == cohort]
        assert flow["trouble", 0, cohort] == of.tasks[of["first"] == 1].sum()
    assert shipped.cells.n.sum() == help_.tasks.sum() == shipped.from_help.tasks
    assert shipped.cells.completed.sum() == help_.completed.sum()
    assert starts.customers.sum() <= flow["attempted", 0].sum()
    assert shipped.from_first_help.tasks == flow["trouble", 0].sum()


def test_faults_are_those_strewn(shipped):
    dirt = trialers.DIRT
    faults = dict(zip(shipped.faults.fault, shipped.faults.cases, strict=True))
    assert faults == {
        "task out of series": dirt["completion lost"],
        "completion without start": dirt["start lost"],
        "completion before start": dirt["completion before start"],
        "help without start": 0,
        "help before start": dirt["help before start"],
        "help after completion": 0,
        "conversion without time": 0,
        "conversion before first start": 0,
        "conversion before last completion": 0,
    }
    assert shipped.from_start.without_time == (
        dirt["start lost"] + dirt["completion before start"])
    assert sum(shipped.customers.values()) == 12_000 - dirt["no conversion row"]
    assert shipped.without_outcome == dirt["no conversion row"]
    assert shipped.window.day == "2021-05-05"
    # The reduced tables stay small whatever the number of customers.
    assert max(map(len, (shipped.paths, shipped.starts, shipped.tasks, shipped.help,
                         shipped.decisions))) < 500


def test_results_are_numbers_by_name(shipped):
    found = numbers(shipped)
    assert found["customers.test"] == shipped.customers["Test"]
    assert found["window.rows.conversion"] == 11_996
    assert all(isinstance(value, (int, float, str, bool, type(None))) for value in found.values())


# The planted effects, on eight times the shipped customers.


@pytest.fixture(scope="module")
def big() -> Reductions:
    parts = list(trialers.parts(77, 8))
    frames = {name: pd.concat([part[name] for part in parts if name in part]) for name in parts[0]}
    return reduced(tables(as_seen(frames)))


def difference(good: dict, n: dict) -> tuple[float, float]:
    """Test minus Control of a proportion, and its standard error."""
    share = {cohort: good[cohort] / n[cohort] for cohort in COHORTS}
    error = sum(share[c] * (1 - share[c]) / n[c] for c in COHORTS) ** 0.5
    return share["Test"] - share["Control"], error


def test_effects_of_the_widget_are_recovered(big):
    flow = big.flow.set_index(["stage", "task"])
    n = big.customers
    stages = {"cs": ("CS", 0), "converted": ("converted", 0),
              **{f"completed_{task}": ("completed", task) for task in TASKS}}
    for name, stage in stages.items():
        estimate, error = difference(flow.loc[[stage]].set_index("cohort").customers, n)
        control, test = trialers.EFFECTS["cohorts"][name]
        assert abs(estimate - (test - control)) < 3.5 * error, name
    estimate, error = difference(
        flow.loc[[("trouble", 0)]].set_index("cohort").customers, n)
    assert abs(estimate) < 3.5 * error  # the widget prevents no trouble


def test_the_instrument_recovers_the_effect_of_cs_and_the_plain_comparison_does_not(big):
    first = big.help[big.help["first"] == 1].assign(cs=lambda rows: rows.channel != "OTHER")
    tasks = first.groupby(["cohort", "cs"])[["tasks", "completed"]].sum()
    n = {cohort: tasks.loc[cohort].tasks.sum() for cohort in COHORTS}
    used, e_used = difference({c: tasks.loc[(c, True), "tasks"] for c in COHORTS}, n)
    done, e_done = difference({c: tasks.loc[c].completed.sum() for c in COHORTS}, n)
    truth = trialers.EFFECTS["cs_effect"]["completed"]
    assert abs(used - trialers.EFFECTS["moved"]) < 3.5 * e_used
    assert abs(done / used - truth["moved"]) < 3.5 * e_done / used
    by_cs = first.groupby("cs")[["tasks", "completed"]].sum()
    rate = by_cs.completed / by_cs.tasks
    assert rate[True] - rate[False] == pytest.approx(truth["naive"], abs=0.015)


def restricted_hours(times: Durations, hours: int) -> pd.DataFrame:
    """Tasks and mean hours to completion, restricted, by the groups; nothing is censored before."""
    frame = times.to_frame()
    frame["taken"] = np.where(frame.completed > 0, frame.minutes - 0.5, math.inf)
    frame["n"] = frame.completed + frame.censored
    # A group and minute holds completed or censored tasks: the latter have not got there.
    hours_each = frame.completed * np.fmin(frame.taken / 60, hours) + frame.censored * hours
    grouped = frame.assign(total=hours_each).groupby(list(times.groups))[["n", "total"]].sum()
    return grouped


def test_speed_is_recovered_from_the_counts(big):
    grouped = restricted_hours(big.from_first_help, trialers.HOURS)
    mean = grouped.groupby("cohort").sum()
    cs = grouped.n.xs(1, level="cs") / mean.n
    effect = (mean.total / mean.n).diff()["Test"] / cs.diff()["Test"]
    truth = trialers.EFFECTS["cs_effect"]["hours"]
    assert effect == pytest.approx(truth["moved"], abs=0.15)  # 3.5 standard errors
    plain = grouped.groupby("cs").sum()
    plain = (plain.total / plain.n).diff()[1]
    assert plain == pytest.approx(truth["naive"], abs=0.06)


def test_what_is_known_before_the_help_takes_away_part_of_the_bias(big):
    """Standardisation over the cells comes closer to the truth, and not all the way."""
    cells = big.cells.to_frame()
    cells = cells[cells["first"] == 1]
    columns = ["task", "part_of_day", "restarted", "onset", "earlier_time"]
    dummies = pd.get_dummies(cells[columns].astype(str), drop_first=True, dtype=float)
    exog = sm.add_constant(dummies.assign(cs=cells.cs.to_numpy(float)))
    fit = sm.GLM(np.column_stack([cells.completed, cells.n - cells.completed]), exog,
                 family=sm.families.Binomial()).fit()
    adjusted = np.average(fit.predict(exog.assign(cs=1.0)) - fit.predict(exog.assign(cs=0.0)),
                          weights=cells.n)
    truth = trialers.EFFECTS["cs_effect"]["completed"]
    error = fit.bse["cs"] * 0.25
    assert truth["naive"] + 4 * error < adjusted < truth["everybody"] - 4 * error


@pytest.mark.parametrize("cohort", COHORTS)
def test_an_empty_cohort_is_refused(cohort):
    frames = messy(1)
    frames["test_cohorts"] = frames["test_cohorts"].assign(cohort=cohort)
    with pytest.raises(TooFewCustomers, match=r"test_cohorts: .* 0 in|test_cohorts: 0"):
        experiment.analyse(tables(frames))


def test_no_start_at_all_is_refused():
    frames = messy(1)
    activity = frames["product_activity"]
    frames["product_activity"] = activity[activity.action == "complete"]
    with pytest.raises(TooFewCustomers, match="product_activity: no customer"):
        experiment.analyse(tables(frames))


def test_nobody_in_trouble_is_fine():
    frames = messy(1)
    frames["help_activity"] = frames["help_activity"].assign(customer_id="nobody")
    study = experiment.analyse(tables(frames))
    assert study.help.empty and len(study.cells.n) == 0
    assert study.from_help.tasks == study.from_first_help.tasks == 0
    assert set(study.paths.help) == {"none"}
    assert numbers(study)
