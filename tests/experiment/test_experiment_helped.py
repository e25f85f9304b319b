"""CS against OTHER: definitions, independent implementations, the planted effects, odd tables."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import survdiff
from statsmodels.sandbox.regression.gmm import IV2SLS
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep

from analysis.experiment import helped as study
from analysis.experiment.reductions import CHANNELS, COHORTS, CS, Cells, Durations, reduced
from analysis.results import flatten
from analysis.simulate import trialers
from analysis.sources import open_study
from analysis.stats.instrument import TwoStage, two_stage

TRUTH = trialers.EFFECTS["cs_effect"]
MINUTE = pd.Timedelta(minutes=1)


@pytest.fixture(scope="module")
def opened():
    return open_study("trialers", "data")


@pytest.fixture(scope="module")
def base(opened):
    return reduced(opened)


@pytest.fixture(scope="module")
def found(base):
    return study.helped(base)


def firsts(frames) -> pd.DataFrame:
    """One row a customer: the first trouble, reduced by pandas instead of the study's queries."""
    asked = frames["help_activity"].drop_duplicates()
    asked = asked.assign(place=asked.channel.map(CHANNELS.index))
    asked = asked.sort_values(["timestamp", "task", "place"]).drop_duplicates("customer_id")
    done = frames["product_activity"].query("action == 'complete'")
    done = done.groupby(["customer_id", "task"], as_index=False).timestamp.min()
    rows = asked.merge(done, on=["customer_id", "task"], how="left", suffixes=("", "_done"))
    rows = rows.merge(frames["test_cohorts"], on="customer_id")
    rows = rows.merge(frames["conversion"][["customer_id"]], on="customer_id")
    minutes = (rows.timestamp_done - rows.timestamp) // MINUTE + 1
    return rows.assign(cs=(rows.channel != "OTHER").astype(int), minutes=minutes,
                       completed=rows.timestamp_done.notna().astype(int))


def counted(rows: pd.DataFrame) -> SimpleNamespace:
    """What `study._moved` needs of the reductions; nothing is known before the help."""
    keys = ["cohort", "task", "channel"]
    help_ = rows.assign(first=1, converted=0, cs=rows.cs).groupby([*keys, "first", "cs"])
    help_ = help_.agg(tasks=("completed", "size"), completed=("completed", "sum")).reset_index()
    seen = rows.assign(minutes=rows.minutes.where(rows.minutes <= 2880, 2880).astype(int),
                       done=(rows.minutes <= 2880).astype(int))
    times = seen.groupby(["cohort", "cs", "minutes"]).done.agg(["sum", "size"]).reset_index()
    cells = rows.groupby(["task", "cohort", "cs"]).completed.agg(["size", "sum"]).reset_index()
    same = np.ones(len(cells), dtype=int)
    sizes = rows.cohort.value_counts()
    return SimpleNamespace(
        help=help_, customers={cohort: int(sizes[cohort]) * 2 for cohort in COHORTS},
        from_first_help=Durations(
            "help", {"cohort": times.cohort.to_numpy(), "cs": times.cs.to_numpy()},
            times.minutes.to_numpy(), times["sum"].to_numpy(),
            (times["size"] - times["sum"]).to_numpy(), len(rows), 0),
        cells=Cells(task=cells.task.to_numpy(), cohort=cells.cohort.to_numpy(),
                    cs=cells.cs.to_numpy(), n=cells["size"].to_numpy(),
                    completed=cells["sum"].to_numpy(), converted=0 * same, first=same,
                    **dict.fromkeys(("part_of_day", "restarted", "onset", "earlier_troubles",
                                     "earlier_time"), same)),
        flow=pd.DataFrame({"stage": "trouble", "task": 0, "cohort": list(COHORTS),
                           "customers": [int(sizes[cohort]) for cohort in COHORTS]}),
    )


def resimulated(seed: int, world: trialers.World) -> tuple[TwoStage, TwoStage]:
    """The effect on completion and on minutes in a new table of 1,800 customers.

    Nobody leaves within the horizon, so that the people's own times can stand for the curves, as
    `test_the_quick_way_of_these_tests_is_that_of_the_study` makes sure.
    """
    rows = firsts(next(trialers.parts(seed, 0.15, world)))
    z = rows.cohort == "Test"
    minutes = (rows.minutes - 0.5).clip(upper=study.HORIZON).fillna(study.HORIZON)
    return two_stage(rows.completed, rows.cs, z), two_stage(minutes, rows.cs, z)


# The planted effects.


def test_the_widget_recovers_the_effect_and_the_plain_comparison_does_not(found):
    moved = found.moved
    completed, minutes = moved.effects["completed"], moved.effects["minutes"]
    assert completed.effect.contains(TRUTH["completed"]["moved"])
    assert completed.region.contains(TRUTH["completed"]["moved"])
    assert minutes.region.contains(60 * TRUTH["hours"]["moved"])
    assert completed.first_stage.contains(trialers.EFFECTS["moved"])
    for cohort, truth in zip(COHORTS, trialers.EFFECTS["cohorts"]["cs_at_first"], strict=True):
        assert moved.used[cohort].contains(truth)
    naive = found.complete.loc[("first", "CS")]
    assert naive.difference_low < TRUTH["completed"]["naive"] < naive.difference_high
    assert naive.difference_high < 0 < min(
        TRUTH["completed"]["moved"], TRUTH["completed"]["everybody"], completed.region.low)
    slow = found.faster.loc[("first", "CS")]
    assert slow.difference_low < 60 * TRUTH["hours"]["naive"] < slow.difference_high
    assert slow.difference_low > 0 > minutes.region.high
    # Holding equal what is known goes part of the way.
    adjusted = found.adjusted["first"].difference
    assert naive.difference < adjusted.low and adjusted.high < 0
    assert moved.with_cs.estimate - moved.without_cs.estimate == pytest.approx(
        completed.effect.estimate)
    assert found.readings.index.tolist() == ["naive", "adjusted", "moved"]


def test_intervals_cover_over_resimulations():
    covered = np.zeros(3)
    for seed in range(40):
        completed, minutes = resimulated(1_000 + seed, trialers.WORKS)
        covered += [completed.region.contains(TRUTH["completed"]["moved"]),
                    completed.effect.contains(TRUTH["completed"]["moved"]),
                    minutes.region.contains(60 * TRUTH["hours"]["moved"])]
    error = math.sqrt(40 * 0.05 * 0.95)
    assert (np.abs(covered - 38) <= 2 * error).all(), covered


def test_nothing_is_found_where_nothing_is():
    """The test keeps its level, and the instrument, which moves nobody there, is called weak."""
    error = math.sqrt(40 * 0.05 * 0.95)
    null = [resimulated(2_000 + seed, trialers.NULL) for seed in range(40)]
    for outcome in (0, 1):
        assert abs(sum(found[outcome].p_value < 0.05 for found in null) - 2) <= 2 * error
    assert sum(found[0].weak for found in null) >= 38  # F above 10: once in 640


def test_the_quick_way_of_these_tests_is_that_of_the_study(found, opened):
    frames = {name: opened.table(name).to_pandas() for name in (
        "test_cohorts", "product_activity", "help_activity", "conversion")}
    rows = firsts(frames)
    counts = counted(rows)
    quick = study._moved(counts, counts.help, found.horizon)
    assert len(rows) == found.customers
    for name, effect in found.moved.effects.items():
        assert quick.effects[name].effect.estimate == pytest.approx(effect.effect.estimate)
        assert quick.effects[name].f == pytest.approx(effect.f)
    z = rows.cohort == "Test"
    minutes = (rows.minutes - 0.5).clip(upper=study.HORIZON).fillna(study.HORIZON)
    for name, outcome in (("completed", rows.completed), ("minutes", minutes)):
        plain, effect = two_stage(outcome, rows.cs, z), found.moved.effects[name]
        assert plain.effect.low == pytest.approx(effect.effect.low)
        assert plain.region.high == pytest.approx(effect.region.high)


# Definitions and independent implementations.


def people(times: Durations) -> pd.DataFrame:
    """One row a subject: groups, time and event."""
    frame = times.to_frame()
    parts = [frame.loc[frame.index.repeat(frame[name])].assign(event=event)
             for name, event in (("completed", 1), ("censored", 0))]
    rows = pd.concat(parts, ignore_index=True)
    return rows.assign(time=rows.minutes - 0.5)


def test_rates_are_compared_as_elsewhere(base, found):
    table = base.help
    other = table[table.channel == "OTHER"]
    b, nb = int(other.completed.sum()), int(other.tasks.sum())
    p = []
    for channel in CS:
        mine = table[table.channel == channel]
        a, na = int(mine.completed.sum()), int(mine.tasks.sum())
        row = found.complete.loc[("channel", channel)]
        assert (row.completed, row.tasks, row.other_completed, row.other_tasks) == (a, na, b, nb)
        ends = confint_proportions_2indep(a, na, b, nb, compare="diff", method="newcomb")
        assert (row.difference_low, row.difference_high) == pytest.approx(ends)
        odds = sm.stats.Table2x2([[a, na - a], [b, nb - b]])
        assert row.odds_ratio == pytest.approx(odds.oddsratio)
        assert (row.odds_ratio_low, row.odds_ratio_high) == pytest.approx(
            odds.oddsratio_confint())
        p.append(stats.chi2_contingency([[a, na - a], [b, nb - b]], correction=False).pvalue)
        assert row.p_value == pytest.approx(p[-1])
    assert found.complete.loc["channel"].p_adjusted.tolist() == pytest.approx(
        multipletests(p, method="holm")[1].tolist())
    tasks = found.complete.loc["task"]
    assert tasks.tasks.sum() == found.complete.loc[("all", "CS"), "tasks"]
    assert found.tasks == table.tasks.sum()
    assert found.customers == table[table["first"] == 1].tasks.sum()


def test_speed_is_that_of_the_people(base, found):
    rows = people(base.from_first_help)
    a, b = (rows[rows.cs == cs] for cs in (1, 0))
    row, speed = found.faster.loc[("first", "CS")], found.speed.loc["first"]
    for name, part in (("CS", a), ("OTHER", b)):
        taken = np.where(part.event == 1, part.time, np.inf)
        mine = speed.loc[name]
        # Nobody is censored within the horizon here, so these are plain means.
        assert part.time[part.event == 0].min() > found.horizon == 240
        assert mine["mean"] == pytest.approx(np.minimum(taken, 240).mean())
        assert mine.hour == pytest.approx((taken <= 60).mean())
        assert mine["median"] == pytest.approx(np.quantile(taken, 0.5))
        assert mine.mean_completed == pytest.approx(taken[part.event == 1].mean())
    assert row.log_rank == pytest.approx(survdiff(rows.time, rows.event, rows.cs)[0])
    fit = PHReg(rows.time, rows[["cs"]], rows.event, ties="efron").fit(disp=0)
    assert math.log(row.ratio) == pytest.approx(fit.params[0], rel=1e-5)
    assert math.log(row.ratio_high / row.ratio) == pytest.approx(
        stats.norm.isf(0.025) * fit.bse[0], rel=1e-4)
    early = PHReg(np.minimum(rows.time, 60), rows[["cs"]], rows.event * (rows.time <= 60),
                  ties="efron").fit(disp=0)
    late = rows[rows.time > 60]
    late = PHReg(late.time, late[["cs"]], late.event, ties="efron").fit(disp=0)
    assert [math.log(row.early), math.log(row.late)] == pytest.approx(
        [early.params[0], late.params[0]], rel=1e-4)


def test_adjusted_is_g_computation_by_hand(base, found):
    cells = base.cells.to_frame()
    cells = cells[cells["first"] == 1].drop(columns=["cohort", "first", "earlier_troubles"])
    # The few without a time join the most common quarter.
    for name, lacking in (("onset", cells.onset == 0),
                          ("earlier_time", (cells.earlier_time == 0) & (cells.task > 1))):
        assert 0 < cells.n[lacking].sum() < 20
        cells.loc[lacking, name] = cells[cells[name] > 0].groupby(name).n.sum().idxmax()
    known = ["task", "part_of_day", "restarted", "onset", "earlier_time"]
    dummies = pd.get_dummies(cells[known].astype(str), drop_first=True, dtype=float)
    dummies = dummies.drop(columns="earlier_time_4")  # of those in task 2 or 3
    exog = sm.add_constant(dummies.assign(cs=cells.cs.to_numpy(float)))
    fit = sm.GLM(np.column_stack([cells.completed, cells.n - cells.completed]), exog,
                 family=sm.families.Binomial()).fit()
    one, none = (np.average(fit.predict(exog.assign(cs=value)), weights=cells.n)
                 for value in (1.0, 0.0))
    mine = found.adjusted["first"]
    assert (mine.share_cs, mine.share_other) == pytest.approx((one, none), rel=1e-6)
    assert mine.ratio.estimate == pytest.approx(one / none, rel=1e-6)
    assert mine.odds_ratio.low == pytest.approx(math.exp(fit.conf_int().loc["cs", 0]), rel=1e-5)
    chance = sm.GLM(np.column_stack([cells.cs * cells.n, (1 - cells.cs) * cells.n]),
                    sm.add_constant(dummies), family=sm.families.Binomial()).fit().fittedvalues
    assert found.overlap.bins[["cs", "other"]].to_numpy().sum() == found.customers
    low = max(chance[cells.cs == 1].min(), chance[cells.cs == 0].min())
    assert found.overlap.low == pytest.approx(low, rel=1e-6)


def test_the_effect_equals_statsmodels_on_the_people(base, found):
    rows = people(base.from_first_help)
    z, one = (rows.cohort == "Test").astype(float), np.ones(len(rows))
    taken = np.where(rows.event == 1, rows.time, np.inf)
    for name, y in (("hour", taken <= 60), ("horizon", taken <= 240),
                    ("minutes", np.minimum(taken, 240))):
        fit = IV2SLS(np.asarray(y, float), np.column_stack([one, rows.cs]),
                     np.column_stack([one, z])).fit()
        assert found.moved.effects[name].effect.estimate == pytest.approx(fit.params[1], rel=1e-8)


def test_where_some_are_not_followed_long_enough_curves_take_the_place_of_means(base):
    """The reduced form is the difference of the cohorts' restricted means by Kaplan-Meier."""
    times = base.from_first_help
    cut = times.to_frame()
    rng = np.random.default_rng(1)
    lost = rng.binomial(cut.completed, 0.2)
    lost = Durations("help", times.groups, times.minutes, times.completed - lost,
                     times.censored + lost, times.tasks, 0)
    found = study._moved(replace(base, from_first_help=lost), base.help.assign(
        cs=(base.help.channel != "OTHER").astype(int)), 240).effects["minutes"]
    frame = study._rows(lost)
    mean, error = {}, {}
    for cohort in COHORTS:
        found_mean = study._curve(frame[frame.cohort == cohort]).restricted_mean(240)
        mean[cohort], error[cohort] = found_mean.estimate, found_mean.high - found_mean.estimate
    assert found.reduced_form.estimate == pytest.approx(mean["Test"] - mean["Control"])
    assert found.reduced_form.high - found.reduced_form.estimate == pytest.approx(
        math.hypot(*error.values()), rel=0.01)


# What must not matter.


def test_swapped_cohorts_give_the_same_effect(base, found):
    flip = {"Test": "Control", "Control": "Test"}
    swapped = replace(
        base, help=base.help.assign(cohort=base.help.cohort.map(flip)),
        from_first_help=replace(base.from_first_help, groups={
            **base.from_first_help.groups,
            "cohort": np.array([flip[c] for c in base.from_first_help.groups["cohort"]])}))
    table = swapped.help.assign(cs=(swapped.help.channel != "OTHER").astype(int))
    other = study._moved(swapped, table, found.horizon)
    for name, effect in found.moved.effects.items():
        assert other.effects[name].effect.estimate == pytest.approx(effect.effect.estimate)
        assert other.effects[name].region.low == pytest.approx(effect.region.low)
    assert other.implications.excess.tolist() == pytest.approx(
        found.moved.implications.excess.tolist())
    assert (other.always, other.never) == pytest.approx((found.moved.always, found.moved.never))


@settings(max_examples=40)
@given(counts=st.lists(st.integers(1, 40), min_size=4, max_size=4))
def test_swapped_groups_turn_the_comparison_round(counts):
    a, more, b, others = counts
    one = study._against(a, a + more, b, b + others)
    other = study._against(b, b + others, a, a + more)
    assert one["difference_low"] == pytest.approx(-other["difference_high"])
    assert one["odds_ratio_low"] == pytest.approx(1 / other["odds_ratio_high"], rel=1e-6)
    assert one["p_value"] == pytest.approx(other["p_value"])
    fewer = study._against(more, a + more, others, b + others)
    assert fewer["odds_ratio"] == pytest.approx(1 / one["odds_ratio"], rel=1e-6)


def test_a_widget_that_does_more_than_remind_is_noticed():
    """It puts people off who would have chosen OTHER: fewer complete with OTHER than it moved."""
    rng = np.random.default_rng(6)
    n = 4_000
    test = rng.random(n) < 0.5
    cs = rng.random(n) < np.where(test, 0.5, 0.4)
    done = rng.random(n) < np.where(cs, np.where(test, 0.3, 0.6), 0.6)
    rows = pd.DataFrame({
        "cohort": np.where(test, "Test", "Control"), "cs": cs.astype(int), "task": 1,
        "channel": np.where(cs, "VIDEO", "OTHER"), "completed": done.astype(int),
        "minutes": np.where(done, 10.0, np.nan)})
    counts = counted(rows)
    against = study._moved(counts, counts.help, 240).implications
    assert against.loc[("CS", 1), "p_adjusted"] < 1e-6
    assert against.loc[("CS", 1), "excess"] < 0
    assert against.drop(index=("CS", 1)).p_adjusted.min() > 0.05


def test_traces_are_those_planted(found):
    """Quick trouble, restarts and slowness go with CS and with failing; the hour hardly does."""
    rows = found.choice
    for trait, sign in (("onset", -1), ("restarted", 1), ("earlier_time", 1)):
        assert rows.loc[trait, "step_p_adjusted"] < 0.001
        assert np.sign(rows.loc[trait, "step"] - 1) == sign == -np.sign(rows.loc[trait, "done"] - 1)
    assert rows.loc["part_of_day", "v"] < 0.1 and math.isnan(rows.loc["part_of_day", "step"])
    assert found.who.loc["onset", "tasks"].sum() < found.customers
    assert (found.moved.alike.p_adjusted > 0.05).all()


# Odd tables.


def kept(base, cs=None, done=None, nobody=False):
    """The tables with one kind of help only, with one outcome only, or with no trouble."""
    table, cells = base.help, base.cells.to_frame()
    parts = {name: getattr(base, name) for name in ("from_help", "from_first_help")}
    rows = {name: part.to_frame() for name, part in parts.items()}
    is_cs = {"from_help": rows["from_help"].channel != "OTHER",
             "from_first_help": rows["from_first_help"].cs == 1}
    for name in rows:
        if nobody:
            rows[name] = rows[name].iloc[:0]
        elif cs is not None:
            rows[name] = rows[name][is_cs[name] == bool(cs)]
        if done is not None:
            n = rows[name].completed + rows[name].censored
            rows[name] = rows[name].assign(completed=n * done, censored=n * (1 - done))
    if nobody:
        table, cells = table.iloc[:0], cells.iloc[:0]
    elif cs is not None:
        table = table[(table.channel != "OTHER") == bool(cs)]
        cells = cells[cells.cs == cs]
    if done is not None:
        table = table.assign(completed=table.tasks * done)
        cells = cells.assign(completed=cells.n * done)
    made = {
        name: Durations(part.origin, {key: rows[name][key].to_numpy() for key in part.groups},
                        *(rows[name][key].to_numpy() for key in (
                            "minutes", "completed", "censored")), 0, 0)
        for name, part in parts.items()}
    return replace(base, help=table.reset_index(drop=True),
                   cells=Cells(**{name: cells[name].to_numpy() for name in cells}), **made)


def few(base, n, seed=0):
    """Reductions of about n first troubles, drawn from the cells of the large ones."""
    rng = np.random.default_rng(seed)
    table = base.help[base.help["first"] == 1]
    share = n / table.tasks.sum()
    tasks = rng.binomial(table.tasks, share)
    table = table.assign(tasks=tasks, completed=rng.binomial(
        tasks, table.completed / table.tasks), converted=0)
    cells = base.cells.to_frame().query("first == 1")
    size = rng.binomial(cells.n, share)
    cells = cells.assign(n=size, completed=rng.binomial(size, cells.completed / cells.n),
                         converted=0).query("n > 0")
    made = {}
    for name in ("from_help", "from_first_help"):
        part = getattr(base, name)
        rows = part.to_frame()
        rows = rows.assign(completed=rng.binomial(rows.completed, share),
                           censored=rng.binomial(rows.censored, share))
        rows = rows[rows.completed + rows.censored > 0]
        made[name] = Durations("help", {key: rows[key].to_numpy() for key in part.groups},
                               *(rows[key].to_numpy() for key in (
                                   "minutes", "completed", "censored")), 0, 0)
    return replace(base, help=table[table.tasks > 0].reset_index(drop=True),
                   cells=Cells(**{key: cells[key].to_numpy() for key in cells}), **made)


ODD = {
    "nobody": dict(nobody=True), "no CS": dict(cs=0), "only CS": dict(cs=1),
    "none done": dict(done=0), "all done": dict(done=1), "only CS, all done": dict(cs=1, done=1),
}


@pytest.mark.parametrize("name", [*ODD, 1, 2, 3, 5, 30])
def test_odd_tables_give_results_that_json_can_hold(base, name):
    odd = kept(base, **ODD[name]) if name in ODD else few(base, int(name), seed=int(name))
    found = study.helped(odd)
    named = flatten({"helped": found})
    assert json.loads(json.dumps(named, allow_nan=False)) == named
    if name in ODD:
        assert found.moved is None and found.reason
        assert name == "none done" or name == "all done" or found.readings.empty
    if name == "nobody":
        assert found.tasks == found.customers == 0 and found.who.empty and found.speed.empty
