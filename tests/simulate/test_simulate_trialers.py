"""The trialers: a randomised encouragement whose every effect is known."""

import io
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.simulate import trialers
from analysis.simulate.trialers import DIRT, EFFECTS, HARMS, NULL, WORKS, WORLDS

CLEAN = replace(WORKS, dirt=0.0)


def csv(tables: dict[str, pd.DataFrame]) -> dict[str, bytes]:
    """The tables as `simulate.write` has them."""
    written = {}
    for name, frame in tables.items():
        buffer = io.BytesIO()
        frame.to_csv(buffer, index=False, lineterminator="\n", float_format="%.2f")
        written[name] = buffer.getvalue()
    return written


def merged(seed: int, scale: float, world=WORKS) -> dict[str, pd.DataFrame]:
    """All parts of the tables."""
    parts = list(trialers.parts(seed, scale, world))
    return {name: pd.concat([p[name] for p in parts if name in p], ignore_index=True)
            for name in parts[0]}


def first_rows(activity: pd.DataFrame, action: str) -> pd.Series:
    """First time of an action by customer and task."""
    rows = activity[activity.action == action]
    return rows.groupby(["customer_id", "task"]).timestamp.min().rename(action)


def cases(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a customer and task in trouble, first choice; with cohort, completion, conversion."""
    asked = tables["help_activity"].sort_values("timestamp", kind="stable")
    asked = asked.drop_duplicates(["customer_id", "task"])
    rows = asked.merge(tables["test_cohorts"]).merge(tables["conversion"])
    rows = rows.join(first_rows(tables["product_activity"], "complete"), on=["customer_id", "task"])
    rows["cs"] = rows.channel != "OTHER"
    rows["completed"] = rows.complete.notna()
    rows["hours"] = np.fmin((rows.complete - rows.timestamp).dt.total_seconds() / 3600,
                            trialers.HOURS)
    rows["first"] = ~rows.duplicated("customer_id")
    rows["test"] = rows.cohort == "Test"
    return rows


def difference(values: pd.Series, group: pd.Series) -> tuple[float, float]:
    """Difference of means, group minus rest, and its standard error."""
    a, b = values[group].astype(float), values[~group].astype(float)
    return a.mean() - b.mean(), math.sqrt(a.var() / len(a) + b.var() / len(b))


def wald(outcome: pd.Series, cs: pd.Series, test: pd.Series) -> tuple[float, float]:
    """Effect of CS by the instrument, and its standard error (delta method)."""
    effect = difference(outcome, test)[0] / difference(cs, test)[0]
    residual = outcome.astype(float) - effect * cs
    return effect, difference(residual, test)[1] / abs(difference(cs, test)[0])


@pytest.fixture(scope="module")
def shipped() -> dict[str, pd.DataFrame]:
    return merged(trialers.SEED, 1)


@pytest.fixture(scope="module")
def big() -> dict[str, pd.DataFrame]:
    return merged(77, 8)


def test_columns_values_and_size(shipped):
    cohorts, activity, asked, conversion = (
        shipped[name] for name in ("test_cohorts", "product_activity", "help_activity",
                                   "conversion"))
    assert list(cohorts) == ["customer_id", "cohort"]
    assert list(activity) == ["customer_id", "task", "action", "timestamp"]
    assert list(asked) == ["customer_id", "task", "timestamp", "channel"]
    assert list(conversion) == ["customer_id", "converted", "converted_at"]
    assert len(cohorts) == 12_000
    assert cohorts.customer_id.is_unique and conversion.customer_id.is_unique
    assert set(cohorts.cohort) == {"Test", "Control"}
    assert set(activity.task) == set(asked.task) == {1, 2, 3}
    assert set(activity.action) == {"start", "complete"}
    assert set(asked.channel) == {"ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER"}
    assert set(conversion.converted) == {0, 1}
    assert (conversion.converted_at.notna() == (conversion.converted == 1)).all()
    for frame, column in ((activity, "timestamp"), (asked, "timestamp"),
                          (conversion, "converted_at")):
        assert frame[column].dtype == "datetime64[s]"
    written = csv(shipped)
    assert sum(map(len, written.values())) < 4_000_000
    assert not any(b"\r" in content for content in written.values())


def test_the_planned_split_is_the_world_s():
    for world in (WORKS, replace(WORKS, test=0.45)):
        plan = merged(1, 1.5, world)["planned_split"]  # of two parts, but one plan
        assert plan.set_index("cohort").share.to_dict() == pytest.approx(
            {"Test": world.test, "Control": 1 - world.test})
        assert len(plan) == 2


def test_rows_come_in_an_order_that_tells_nothing_hidden(shipped):
    for name in ("product_activity", "help_activity"):
        assert shipped[name].timestamp.is_monotonic_increasing
    for name in ("test_cohorts", "conversion"):
        assert shipped[name].customer_id.is_monotonic_increasing
    merged_rows = shipped["test_cohorts"].merge(shipped["conversion"])
    order = np.arange(len(merged_rows))
    for value in (merged_rows.cohort == "Test", merged_rows.converted):
        assert abs(np.corrcoef(order, value)[0, 1]) < 4 / math.sqrt(len(order))


def test_same_seed_same_bytes_other_seed_other_bytes():
    again = csv(merged(3, 0.1))
    assert csv(merged(3, 0.1)) == again
    assert csv(merged(4, 0.1)) != again
    assert csv(merged(3, 0.1, NULL)) != again


@pytest.mark.parametrize("scale", [0.01, 0.3, 1, 2.25])
def test_scale_multiplies_customers_in_parts_of_at_most_one_shipped_size(scale):
    parts = list(trialers.parts(1, scale))
    assert len(parts) == math.ceil(scale)
    sizes = [len(part["test_cohorts"]) for part in parts]
    assert max(sizes) <= trialers.CUSTOMERS
    assert sum(sizes) == pytest.approx(trialers.CUSTOMERS * scale, abs=len(parts))
    ids = pd.concat([part["test_cohorts"].customer_id for part in parts])
    assert ids.is_unique and ids.is_monotonic_increasing
    # No customer's rows are in two parts.
    users = [set(part["product_activity"].customer_id) for part in parts]
    assert len(set.union(*users)) == sum(map(len, users))


def test_generate_returns_the_tables_of_the_parts_and_the_truth():
    tables, truth = trialers.generate(seed=6, scale=0.02)
    assert csv(tables) == csv(merged(6, 0.02))
    assert truth["effects"] == EFFECTS
    assert truth["parameters"]["widget"] == WORKS.widget
    assert truth["dirt"] == DIRT


def test_without_dirt_every_order_holds():
    tables = merged(8, 1, CLEAN)
    activity, asked = tables["product_activity"], tables["help_activity"]
    known = set(tables["test_cohorts"].customer_id)
    assert known == set(tables["conversion"].customer_id)
    assert set(activity.customer_id) | set(asked.customer_id) <= known
    assert not activity.duplicated().any() and not asked.duplicated().any()
    frame = pd.concat([first_rows(activity, "start"), first_rows(activity, "complete"),
                       asked.groupby(["customer_id", "task"]).timestamp.agg(["min", "max"])],
                      axis=1)
    assert frame.start.notna().all()
    assert not (frame.complete <= frame.start).any()
    assert not (frame["min"] <= frame.start).any()
    assert not (frame.complete <= frame["max"]).any()
    wide = frame.unstack()
    for task in (2, 3):
        reached = wide["start", task].notna()
        assert (wide["complete", task - 1] < wide["start", task])[reached].all()
    # One completion a task; restarts come before the trouble.
    assert not activity[activity.action == "complete"].duplicated(["customer_id", "task"]).any()
    starts = activity[activity.action == "start"]
    again = starts[starts.duplicated(["customer_id", "task"])].join(
        frame, on=["customer_id", "task"])
    assert len(again) > 500
    assert not (again.timestamp >= again["min"]).any()
    assert not (again.timestamp >= again.complete).any()
    decided = tables["conversion"].set_index("customer_id").converted_at
    last = activity.groupby("customer_id").timestamp.max()
    assert not (decided <= last.reindex(decided.index)).any()
    day = np.datetime64("2021-05-05")
    assert activity.timestamp.min() >= day
    assert decided.max() < day + np.timedelta64(30, "D")
    late = activity.timestamp >= day + np.timedelta64(1, "D")
    assert 0.1 < late.mean() < 0.4  # past midnight, and on the days after
    assert (decided < day + np.timedelta64(7, "D")).sum() / decided.notna().sum() > 0.7


def test_dirt_is_what_the_list_says(shipped):
    activity, asked = shipped["product_activity"], shipped["help_activity"]
    known = set(shipped["test_cohorts"].customer_id)
    repeated = activity.duplicated(), asked.duplicated()
    assert sum(rows.sum() for rows in repeated) == DIRT["duplicate rows"]
    strangers = activity[~activity.customer_id.isin(known)]
    assert strangers.customer_id.nunique() == DIRT["unknown customers"]
    assert asked.customer_id.isin(known).all()
    assert len(known - set(shipped["conversion"].customer_id)) == DIRT["no conversion row"]
    frame = pd.concat([first_rows(activity, "start"), first_rows(activity, "complete"),
                       asked.groupby(["customer_id", "task"]).timestamp.min()], axis=1)
    assert (frame.start.isna() & frame.complete.notna()).sum() == DIRT["start lost"]
    assert (frame.complete < frame.start).sum() == DIRT["completion before start"]
    assert (frame.timestamp < frame.start).sum() == DIRT["help before start"]
    wide = frame.unstack()
    lost = sum((wide["start", task].notna() & wide["complete", task - 1].isna()).sum()
               for task in (2, 3))
    assert lost == DIRT["completion lost"]
    # Well below 1% of the rows.
    assert sum(DIRT.values()) < 0.002 * sum(map(len, shipped.values()))


def test_cohorts_are_random_and_so_is_their_size():
    shares = []
    for seed in range(40):
        rng = np.random.Generator(np.random.PCG64([seed, 0]))
        tables, _ = trialers._part(WORKS, 3000, 1, rng)
        shares.append((tables["test_cohorts"].cohort == "Test").sum())
    assert len(set(shares)) > 25
    statistic = sum((n - 900) ** 2 / (3000 * 0.3 * 0.7) for n in shares)
    assert 0.001 < stats.chi2.sf(statistic, 40) < 0.999


def test_arrivals_follow_the_hours_of_the_day():
    uniform = np.random.default_rng(1).random(200_000)
    hours = np.bincount((trialers._time_of_day(uniform) // 3600).astype(int), minlength=24)
    share = hours / hours.sum()
    expected = np.array(trialers.RATE) / sum(trialers.RATE)
    assert share == pytest.approx(expected, rel=0.12, abs=0.001)
    assert trialers._time_of_day(np.array([0.0, 1 - 1e-12])).tolist() == [0, 86_399]


@pytest.mark.parametrize("world", WORLDS)
def test_the_widget_works_through_the_choice_alone(world):
    parameters = WORLDS[world]
    n = 30_000
    chances = trialers._chances(n, np.random.default_rng(2))
    off = trialers._live(parameters, chances, np.zeros(n, dtype=bool))
    on = trialers._live(parameters, chances, np.ones(n, dtype=bool))
    # The first trouble comes before any widget; nobody is moved away from CS there (no defiers).
    assert np.array_equal(off.first_trouble, on.first_trouble)
    who = np.flatnonzero(off.first_trouble < 3)
    at = who, off.first_trouble[who]
    assert not (off.cs[at] & ~on.cs[at]).any()
    moved = (on.cs[at] & ~off.cs[at]).mean()
    assert moved == 0 if parameters.widget == 0 else moved > 0.25
    # Whoever chooses as before lives as before (exclusion).
    same = (off.channel == on.channel).all(axis=1)
    assert same.mean() > 0.5
    for name in ("start", "restart", "complete", "help", "again"):
        before, after = getattr(off, name)[same], getattr(on, name)[same]
        assert np.array_equal(before, after, equal_nan=True)
    put_off = off.conversion[same] > on.conversion[same]
    in_trouble = off.first_trouble[same] < 3
    if world == "harms":  # the one that the widget itself annoys
        assert np.array_equal(put_off, in_trouble)
    else:
        assert np.array_equal(off.conversion[same], on.conversion[same])


def test_effects_are_those_listed():
    found = trialers.effects(WORKS, customers=100_000, seed=9)

    def assert_close(found, listed, path):
        if isinstance(listed, dict):
            assert found.keys() == listed.keys()
            for key, value in listed.items():
                assert_close(found[key], value, (*path, key))
        else:
            wide = "completions" in path or "hours" in path
            assert found == pytest.approx(listed, abs=0.02 if wide else 0.012), path

    assert_close(found, EFFECTS, ())
    # Differences between lives of the same people are much sharper than their levels.
    for name, (control, test) in EFFECTS["cohorts"].items():
        off, on = found["cohorts"][name]
        assert on - off == pytest.approx(test - control, abs=0.006)


def test_the_plain_comparison_of_cs_has_the_wrong_sign():
    for outcome, better in (("completed", 1), ("hours", -1)):
        effect = EFFECTS["cs_effect"][outcome]
        assert effect["moved"] * better > 0 and effect["everybody"] * better > 0
        assert effect["naive"] * better < 0
    causal, naive = (dict(zip(trialers.CHANNELS, EFFECTS["channels"][kind], strict=True))
                     for kind in ("causal", "naive"))
    assert max(causal, key=causal.get) == "AGENT" and min(causal, key=causal.get) == "OTHER"
    assert max(naive, key=naive.get) == "OTHER"
    assert np.all(np.diff(EFFECTS["tasks"]["causal"]) < 0)
    assert np.all(np.diff(EFFECTS["tasks"]["naive"]) > 0)
    causal, naive = (np.array(EFFECTS["conversion"][kind]) for kind in ("causal", "naive"))
    assert np.all(np.diff(causal) > 0) and naive[3] - naive[0] > causal[3] - causal[0]


def test_tables_show_the_listed_effects(big):
    rows = cases(big)
    first = rows[rows["first"]]
    cohorts = EFFECTS["cohorts"]
    estimates = {
        "cs_at_first": difference(first.cs, first.test),
        "completed_at_first": difference(first.completed, first.test),
    }
    customers = big["test_cohorts"].merge(big["conversion"])
    estimates["converted"] = difference(customers.converted, customers.cohort == "Test")
    for name, (estimate, error) in estimates.items():
        truth = cohorts[name][1] - cohorts[name][0]
        assert abs(estimate - truth) < 3.5 * error, name
    for outcome in ("completed", "hours"):
        truth = EFFECTS["cs_effect"][outcome]
        estimate, error = wald(first[outcome], first.cs, first.test)
        assert abs(estimate - truth["moved"]) < 3.5 * error + 0.003
        estimate, error = difference(first[outcome], first.cs)
        assert abs(estimate - truth["naive"]) < 3.5 * error + 0.003
        assert abs(estimate - truth["moved"]) > 20 * error
    for channel, truth in zip(trialers.CHANNELS, EFFECTS["channels"]["naive"], strict=True):
        seen = first.completed[first.channel == channel]
        assert abs(seen.mean() - truth) < 3.5 * math.sqrt(0.25 / len(seen)) + 0.003
    done = first_rows(big["product_activity"], "complete").groupby("customer_id").size()
    completions = done.reindex(customers.customer_id).fillna(0).to_numpy()
    for count, truth in enumerate(EFFECTS["conversion"]["naive"]):
        seen = customers.converted[completions == count]
        assert abs(seen.mean() - truth) < 3.5 * math.sqrt(truth / len(seen)) + 0.003


SIMULATIONS = 80


def experiments(seed, world):
    """Many tests of a quarter of the shipped size, made together: troubles, customers, tries.

    Customers live independently of each other, so any of them make an experiment.
    """
    # Ids as numbers: text would take most of the time.
    tables = {
        name: frame.assign(customer_id=frame.customer_id.str[1:].astype(int))
        for name, frame in merged(seed, SIMULATIONS / 4, world).items() if "customer_id" in frame
    }
    customers = tables["test_cohorts"].merge(tables["conversion"])
    activity = tables["product_activity"]
    done = first_rows(activity, "complete")
    customers["completions"] = customers.customer_id.map(
        done.groupby("customer_id").size()).fillna(0)
    tries = pd.concat([first_rows(activity, "start"), done], axis=1).reset_index()
    number = pd.Series(
        np.random.default_rng(seed).permutation(len(customers)) % SIMULATIONS,
        customers.customer_id)
    parts = [
        rows.groupby(rows.customer_id.map(number))
        for rows in (cases(tables), customers, tries[tries.start.notna()])
    ]
    return [[part.get_group(place) for part in parts] for place in range(SIMULATIONS)]


def test_intervals_hold_the_truth_at_the_nominal_rate():
    covered = dict.fromkeys(("cs", "completed", "converted", "effect of CS"), 0)
    for rows, customers, _ in experiments(1000, WORKS):
        first = rows[rows["first"]]
        found = {
            "cs": (difference(first.cs, first.test), "cs_at_first"),
            "completed": (difference(first.completed, first.test), "completed_at_first"),
            "converted": (difference(customers.converted, customers.cohort == "Test"),
                          "converted"),
        }
        for name, ((estimate, error), key) in found.items():
            control, test = EFFECTS["cohorts"][key]
            covered[name] += abs(estimate - (test - control)) < 1.96 * error
        estimate, error = wald(first.completed, first.cs, first.test)
        covered["effect of CS"] += (
            abs(estimate - EFFECTS["cs_effect"]["completed"]["moved"]) < 1.96 * error
        )
    margin = 3 * math.sqrt(0.95 * 0.05 / SIMULATIONS)
    assert all(abs(n / SIMULATIONS - 0.95) < margin for n in covered.values()), covered


def test_in_the_null_world_tests_reject_at_their_level():
    rejected = dict.fromkeys(
        ("cs use", "conversion", "cs", "hours", "completions", "hour of start", "task"), 0)
    for rows, customers, tries in experiments(0, NULL):
        completed = tries["complete"].notna()
        p_values = {
            "cs use": _p(difference(rows.cs[rows["first"]], rows.test[rows["first"]])),
            "conversion": _p(difference(customers.converted, customers.cohort == "Test")),
            "cs": _p(difference(rows.completed, rows.cs)),
            "hours": _p(difference(rows.hours, rows.cs)),
            "completions": stats.pearsonr(customers.completions, customers.converted).pvalue,
            "hour of start": stats.pearsonr(tries.start.dt.hour, completed).pvalue,
            "task": stats.pearsonr(tries.task, completed).pvalue,
        }
        for name, p_value in p_values.items():
            rejected[name] += p_value < 0.05
    margin = 3 * math.sqrt(0.05 * 0.95 / SIMULATIONS)
    assert all(abs(n / SIMULATIONS - 0.05) < margin for n in rejected.values()), rejected


def _p(estimate: tuple[float, float]) -> float:
    return float(2 * stats.norm.sf(abs(estimate[0] / estimate[1])))


@pytest.mark.parametrize(("world", "cs", "completions", "conversion"), [
    ("works", 1, 1, 1), ("nothing", 0, 0, 0), ("engages", 1, 0, 0), ("harms", 1, 1, -1),
    ("null", 0, 0, 0),
])
def test_worlds_are_what_their_names_say(world, cs, completions, conversion):
    effects = trialers.effects(WORLDS[world], customers=20_000)["cohorts"]
    least = {"cs": 0.1, "completions": 0.1, "converted": 0.012}
    signs = {"cs": cs, "completions": completions, "converted": conversion}
    for name, sign in signs.items():
        difference = effects[name][1] - effects[name][0]
        if sign:
            assert difference * sign > least[name]
        else:
            assert difference == pytest.approx(0, abs=1e-12)


def test_harms_differs_from_works_by_the_annoyance_alone():
    assert replace(HARMS, annoyance=0.0) == WORKS
    annoyed, pleased = (trialers.effects(world, customers=20_000)["cohorts"]
                        for world in (HARMS, WORKS))
    assert annoyed["completions"] == pleased["completions"]
    assert annoyed["converted"][0] == pleased["converted"][0]
