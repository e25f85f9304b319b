"""Success by hour and task: loops over the events, SciPy, planted effects, error rates, bounds."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.api import OLS, add_constant
from statsmodels.stats.contingency_tables import mcnemar
from test_experiment_reductions import as_seen, messy, tables

from analysis.experiment import experience as study
from analysis.experiment.reductions import (
    TASKS,
    cases,
    durations,
    per_customer,
    starts_of,
    tasks_of,
)
from analysis.results import flatten
from analysis.simulate import trialers

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "steps.json").read_text())
PAIRS = ((1, 2), (1, 3), (2, 3))


def analysed(frames) -> study.Experience:
    """What comes of tables, with as many of the reductions as are needed."""
    held = tables(frames)
    with per_customer(held).cache() as customers:
        tried = cases(customers)
        starts = starts_of(customers)
        last = max(frames[name].timestamp.max() for name in ("product_activity", "help_activity"))
        base = SimpleNamespace(
            starts=starts, tasks=tasks_of(tried),
            window=SimpleNamespace(day=starts.groupby("date").customers.sum().idxmax()),
            from_start=durations(tried, "start", ("task", "cohort", "help"), last.isoformat()))
        return study.experience(base, customers)


@pytest.fixture(scope="module")
def day():
    frames = as_seen(trialers.generate(21, 1.5)[0])
    return frames, analysed(frames)


def by_loops(frames) -> list[dict]:
    """Each customer's tasks from the events, one at a time."""
    known = set(frames["test_cohorts"].customer_id) & set(frames["conversion"].customer_id)
    people = {customer: {k: {"start": [], "complete": [], "help": []} for k in TASKS}
              for customer in known}
    for row in frames["product_activity"].itertuples():
        if row.customer_id in people:
            people[row.customer_id][row.task][row.action].append(row.timestamp)
    for row in frames["help_activity"].itertuples():
        if row.customer_id in people:
            people[row.customer_id][row.task]["help"].append(row.timestamp)
    return list(people.values())


def dense(seed) -> dict[str, pd.DataFrame]:
    """Messy tables in which some customers go through everything: a few with all the events."""
    frames = messy(seed, 160)
    for name in ("product_activity", "help_activity"):
        number = frames[name].customer_id.str.removeprefix("c")
        few = "c" + (pd.to_numeric(number, errors="coerce").fillna(0) % 30).astype(int).astype(str)
        frames[name] = frames[name].assign(customer_id=few)
    return as_seen(frames)


@pytest.mark.parametrize("seed", range(3))
def test_reductions_equal_loops_over_the_events(seed):
    frames = dense(seed)
    people = by_loops(frames)
    with per_customer(tables(frames)).cache() as customers:
        found, times = study.patterns(customers), study.log_times(customers)
    assert found.n.sum() == len(people)
    for k in TASKS:
        for name, flag in {
            "attempted": lambda t: any(t.values()), "trouble": lambda t: bool(t["help"]),
            "completed": lambda t: bool(t["complete"]),
            "restart": lambda t: sum(
                not t["help"] or x < min(t["help"]) for x in t["start"]) > 1,
        }.items():
            assert found.n @ found[f"{name}_{k}"] == sum(flag(p[k]) for p in people), (name, k)
    seconds = []
    for person in people:
        own = [(min(t["complete"]) - min(t["start"])).total_seconds()
               for t in person.values() if t["start"] and t["complete"]]
        if len(own) == len(TASKS) and min(own) >= 0:
            seconds.append(own)
    assert times["n"] == len(seconds) > 1
    logs = np.log(np.maximum(np.array(seconds), 1))
    for j, k in PAIRS:
        gap = logs[:, k - 1] - logs[:, j - 1]
        raw = np.array(seconds)[:, k - 1] - np.array(seconds)[:, j - 1]
        expected = [gap.sum(), (gap**2).sum(), (raw > 0).sum(), (raw < 0).sum()]
        np.testing.assert_allclose(
            [times[f"{name}_{j}{k}"] for name in ("sum", "square", "more", "less")], expected,
            atol=1e-9)


def test_times_of_the_same_people_equal_scipy(day):
    frames, found = day
    rows = []
    for person in by_loops(frames):
        own = [(min(t["complete"]) - min(t["start"])).total_seconds()
               for t in person.values() if t["start"] and t["complete"]]
        if len(own) == len(TASKS) and min(own) >= 0:
            rows.append(np.log(np.maximum(own, 1)))
    logs = np.array(rows)
    assert found.timed == len(logs)
    for j, k in PAIRS:
        row = found.same.loc[("time", k, j)]
        test = stats.ttest_rel(logs[:, k - 1], logs[:, j - 1])
        ends = test.confidence_interval()
        np.testing.assert_allclose(
            [row.effect, row.low, row.high, row.p_value],
            [math.exp((logs[:, k - 1] - logs[:, j - 1]).mean()), *np.exp([*ends]), test.pvalue],
            rtol=1e-8)
        assert found.typical.minutes[k] == pytest.approx(math.exp(logs[:, k - 1].mean()) / 60)


def test_paired_shares_equal_r_and_statsmodels():
    r = REFERENCE["paired"]
    for more, less, n, p in zip(r["more"], r["less"], (100, 900, 2000), r["p"], strict=True):
        more, less = int(more), int(less)
        found = study.paired(more, less, n)
        assert found[3] == pytest.approx((more - less) / n) and found[4] < found[3] < found[5]
        assert found[6] == pytest.approx(p, rel=1e-9)
    few = study.paired(9, 2, 40)[6]
    assert few == pytest.approx(mcnemar([[20, 9], [2, 9]], exact=True).pvalue)
    # Agresti & Min (2005): Wald's of 0.5 more in each of the four cells.
    cells = np.array([20.5, 9.5, 2.5, 9.5]) / 42
    gap = cells[1] - cells[2]
    reach = 1.959963984540054 * math.sqrt((cells[1] + cells[2] - gap**2) / 42)
    np.testing.assert_allclose(study.paired(9, 2, 40)[4:6], [gap - reach, gap + reach])
    assert study.paired(0, 0, 10)[6] == 1 and math.isnan(study.paired(0, 0, 1)[3])


@settings(max_examples=60)
@given(more=st.integers(0, 60), less=st.integers(0, 60), rest=st.integers(2, 60))
def test_paired_shares_mirror(more, less, rest):
    one = study.paired(more, less, more + less + rest)
    other = study.paired(less, more, more + less + rest)
    assert one[3] == -other[3] and one[4] == pytest.approx(-other[5])
    assert one[6] == pytest.approx(other[6])


# The planted effects.


def test_rates_rise_though_each_task_is_harder(day):
    """What the chapter is about: the naive rise, and the fall for the same people."""
    truth, found = trialers.EFFECTS["tasks"], day[1]
    for k, row in found.by_task.iterrows():
        error = math.sqrt(row.rate * (1 - row.rate) / row.attempted)
        assert abs(row.rate - truth["naive"][k - 1]) < 3.5 * error
        # The bounds hold what would happen if everybody attempted each task (Control's truth).
        assert row.least_low < truth["causal"][k - 1] < row.most_high or k == 1
    assert found.naive.low[3, 1] > 0 and found.naive.p_adjusted[3, 1] < 0.001
    same = found.same
    assert same.low["trouble", 3, 1] > 0 and same.low["time", 3, 1] > 1
    assert found.typical.minutes.is_monotonic_increasing
    last = found.by_task.loc[3]
    assert truth["causal"][2] < last.standardised < last.rate < last.most
    assert last.no_better == pytest.approx(last.rate, abs=0.002)


def test_later_hours_complete_less(day):
    found = day[1].by_hour
    first = found.loc["completed_first"]
    # Of a straight line over the 12 hours of the planted effect of arriving late.
    error = 12 * abs(first.slope / first.z)
    assert abs(12 * first.slope - trialers.EFFECTS["evening"]) < 3.5 * error
    assert found.odds_ratio["completed_all"] < 1 and found.p_adjusted["completed_all"] < 0.01


def test_hours_and_tasks_are_those_of_the_rows(day):
    frames, found = day
    starts = frames["product_activity"].query("action == 'start'")
    first = starts.groupby("customer_id").timestamp.min()
    on_day = first[first.dt.date == pd.Timestamp("2021-05-05").date()]
    won = frames["conversion"].set_index("customer_id").converted.reindex(on_day.index)
    assert found.started == len(first) and found.same_day == len(on_day)
    for hour, part in won.groupby(on_day.dt.hour):
        assert found.hours.customers[hour] == len(part)
        assert found.hours.converted[hour] == pytest.approx(part.mean())
    for part, group in won.groupby(on_day.dt.hour // 6):
        assert found.parts.converted[part] == pytest.approx(group.mean())
    table = pd.crosstab(on_day.dt.hour // 6, won)
    assert found.by_hour.parts_p["converted"] == pytest.approx(
        stats.chi2_contingency(table, correction=False).pvalue, rel=1e-8)
    x = stats.linregress(on_day.dt.hour, won)
    assert found.by_hour.slope["converted"] == pytest.approx(x.slope)
    assert found.elapsed.share.groupby("task").agg(lambda v: v.is_monotonic_increasing).all()
    assert (found.by_task.median_low <= found.by_task["median"]).all()


# Error rates, where nothing depends on anything.


def test_no_test_rejects_more_often_than_it_says():
    rng, runs, p = np.random.default_rng(3), 80, []
    for _ in range(runs):
        n = 900
        flags = {f"{name}_{k}": (rng.random(n) < share).astype(int) for k in TASKS
                 for name, share in (("trouble", 0.5), ("restart", 0.1))}
        finishers = pd.DataFrame(flags).assign(n=1)
        logs = rng.normal(7, 1.2, (n, 3))
        times = {"n": n}
        for j, k in PAIRS:
            gap = logs[:, k - 1] - logs[:, j - 1]
            times |= {f"sum_{j}{k}": gap.sum(), f"square_{j}{k}": gap @ gap,
                      f"more_{j}{k}": (gap > 0).sum(), f"less_{j}{k}": (gap < 0).sum()}
        same = study._same(finishers, times)
        hours = np.arange(24)
        of = rng.multinomial(n, np.full(24, 1 / 24))
        good = rng.binomial(of, 0.4)
        p.append([*same.p_value, same.p_adjusted.min(), study.trend(good, of, hours).p_value,
                  study._bend(good, of, hours)[-1], study._parts(good, of, hours)[-1]])
    rejected = np.mean(np.array(p) <= 0.05, axis=0)
    error = math.sqrt(0.05 * 0.95 / runs)
    # Two standard errors for each of thirteen tests; Holm's family is bounded from above only.
    single = np.delete(rejected, 9)
    assert (np.abs(single - 0.05) < 2.9 * error).all(), rejected
    assert abs(single.mean() - 0.05) < 2 * error / math.sqrt(len(single) / 2)
    assert rejected[9] < 0.05 + 2 * error


def test_sizes_of_trend_and_bend_hold_the_truth():
    """In worlds with a straight line, and with log odds that bow by a known ratio."""
    rng, hours, runs = np.random.default_rng(8), np.arange(24), 120
    of = np.full(24, 150)
    line = 0.5 - 0.008 * (hours - 11.5)
    # A parabola of log odds: in the middle of 12 hours above the chord by the log of 1.3.
    bow = -math.log(1.3) / 6**2 * (hours - 11.5) ** 2
    slopes, bends, flat = 0, 0, 0
    for _ in range(runs):
        low, high = study._slope_limits(rng.binomial(of, line), of, hours)
        slopes += low <= -0.008 <= high
        value, low, high, p = study._bend(rng.binomial(of, 1 / (1 + np.exp(-bow))), of, hours)
        bends += low <= 1.3 <= high
        assert (low < value < high and (p <= 0.05) == (not low <= 1 <= high)) or 0.03 < p < 0.08
        flat += study._bend(rng.binomial(of, 0.4), of, hours)[1] <= 1
    least = 0.95 - 3 * math.sqrt(0.95 * 0.05 / runs)
    assert slopes / runs > least and bends / runs > least
    assert flat / runs > 0.9  # one side of it
    assert all(map(math.isnan, study._bend(np.array([5, 6]), np.array([9, 9]), np.array([1, 2]))))
    assert all(map(math.isnan, study._parts(np.array([5, 6]), np.array([9, 9]), np.array([1, 2]))))


def test_the_slopes_interval_is_that_of_one_row_a_customer():
    rng, hours = np.random.default_rng(9), np.arange(8, 20)
    of = rng.integers(20, 60, hours.size)
    good = rng.binomial(of, 0.3)
    y = np.concatenate([np.r_[np.ones(g), np.zeros(n - g)]
                        for g, n in zip(good, of, strict=True)])
    x = add_constant(np.repeat(hours, of).astype(float))
    fit = OLS(y, x).fit(cov_type="HC3", use_t=False)
    np.testing.assert_allclose(
        study._slope_limits(good, of, hours), fit.conf_int()[1], rtol=2e-2)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), first=st.floats(0.3, 0.95), second=st.floats(0.05, 0.95),
       stays=st.floats(0.1, 1))
def test_bounds_hold_whatever_those_would_do_who_never_came(seed, first, second, stays):
    rng, n = np.random.default_rng(seed), 400
    one, two = rng.random(n) < first, rng.random(n) < second
    on = one & (rng.random(n) < stays)
    states = pd.DataFrame({
        "attempted_1": 1, "attempted_2": on, "attempted_3": False, "completed_1": one,
        "completed_2": on & two, "completed_3": False,
        **{f"{what}_{k}": False for what in ("trouble", "restart") for k in TASKS},
    }).astype(int)
    found = states.groupby(list(states), as_index=False).size().rename(columns={"size": "n"})
    empty = SimpleNamespace(groups={"task": np.array([], dtype=int)})
    row = study._tasks(found, empty).loc[2]
    assert row.least - 1e-12 <= two.mean() <= row.most + 1e-12
    assert row.most - row.least == pytest.approx(1 - on.mean())
    if not on.any():
        assert math.isnan(row.rate)


# Invariances and odd tables.


def test_order_of_rows_and_names_of_customers_do_not_matter():
    frames = dense(4)
    other = {name: frame.assign(customer_id="x" + frame.customer_id).sample(
        frac=1, random_state=1).reset_index(drop=True) for name, frame in frames.items()}
    one, two = flatten(analysed(frames)), flatten(analysed(other))
    assert one.keys() == two.keys()
    assert one["finishers"] > 1
    for name, value in one.items():
        same = value if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)
        assert two[name] == same, name


@pytest.mark.parametrize("kept", ["no completion", "first task", "one customer"])
def test_odd_tables_give_numbers_by_name(kept):
    frames = as_seen(messy(6, 80))
    activity = frames["product_activity"]
    frames["product_activity"] = {
        "no completion": activity[activity.action == "start"],
        "first task": activity[activity.task == 1],
        "one customer": activity[(activity.customer_id == activity.customer_id[0])
                                 & (activity.action == "start")].head(1),
    }[kept].reset_index(drop=True)
    if kept != "no completion":
        frames["help_activity"] = frames["help_activity"].iloc[:1]
    found = analysed(frames)
    said = flatten(found)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert found.finishers == 0 and found.same.p_value.isna().all()
    assert math.isnan(found.by_hour.p_adjusted["completed_all"])


def test_equal_times_have_a_ratio_and_no_test():
    held = {"n": 5.0, "sum_12": 5 * math.log(2), "square_12": 5 * math.log(2) ** 2,
            "more_12": 5.0, "less_12": 0.0}
    row = study._times(held, 1, 2)
    assert row[:4] == (5, 5, 0, pytest.approx(2)) and all(map(math.isnan, row[4:]))


def test_a_study_in_memory_has_no_ibis_left(day):
    assert not any(isinstance(value, ibis.Expr) for value in vars(day[1]).values())
