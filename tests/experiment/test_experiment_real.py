"""Signs in trialers' events: slow references, invariances, odd tables, what was planted."""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "experiment"), str(TESTS / "forensics")]

from test_experiment_reductions import as_seen, messy, tables  # noqa: E402

from analysis.experiment import real as study  # noqa: E402
from analysis.experiment import reductions  # noqa: E402
from analysis.experiment.reductions import CS  # noqa: E402
from analysis.forensics.verdict import Reading  # noqa: E402
from analysis.results import flatten  # noqa: E402
from analysis.simulate import trialers  # noqa: E402

Frames = dict[str, pd.DataFrame]


def judged(frames: Frames) -> study.Real:
    held = tables(frames)
    with reductions.per_customer(held).cache() as customers:
        return study.real(reductions.reduce(held, customers), customers, held)


@pytest.fixture(scope="module")
def shipped() -> tuple[Frames, study.Real]:
    frames = as_seen(trialers.generate()[0])
    return frames, judged(frames)


def first(frames: Frames, action: str, task: int) -> pd.Series:
    rows = frames["product_activity"]
    rows = rows[(rows["action"] == action) & (rows["task"] == task)]
    return rows.groupby("customer_id")["timestamp"].min()


def asked(frames: Frames, task: int) -> pd.DataFrame:
    rows = frames["help_activity"]
    rows = rows[rows["task"] == task].sort_values("timestamp")
    return rows.groupby("customer_id")[["timestamp", "channel"]].first()


# What the generator has planted.


def test_a_generator_that_takes_trouble_is_not_found_out(shipped):
    """It has what recorded logs have, but for the mixtures in its durations: no verdict."""
    found = shipped[1].verdict
    assert found.reading == Reading.NOTHING
    kinds = found.kinds["reading"]
    assert kinds["shapes"] == "simulated" and found.simulated == 1
    for kind in ("arrivals", "log", "people", "ties", "habits"):
        assert kinds[kind] == "recorded", kind
    assert (found.signs.query("kind == 'closeness'")["reading"] == "nothing").all()


def test_planted_processes_are_recovered(shipped):
    found = shipped[1]
    # Arrivals are Poisson given the day, timed by a clock that nobody has rounded.
    assert (found.bursts["low"] < 1).all() and (found.bursts["high"] > 1).all()
    assert found.gaps.low < 1 < found.gaps.high
    assert found.coincidences.low < 1 < found.coincidences.high
    assert found.seconds.p_rounded > 0.01 and found.clock == 1
    # The pause is log-normal; the onset nearly so.
    assert {found.shapes[name].family for name in ("onset", "pause")} == {"log-normal"}
    assert found.shapes["pause"].p_other > 0.01
    dirt = trialers.DIRT
    assert found.faults.cases == sum(dirt[name] for name in (
        "start lost", "completion lost", "completion before start", "help before start"))
    assert found.share == trialers.WORKS.test
    used = 1 / trialers.ACCOUNT_GAP
    assert found.numbering.used == pytest.approx(used, abs=0.01)
    rate = np.array(trialers.RATE)
    angle = 2 * np.pi * (np.arange(24) + 0.5) / 24
    planted = abs((rate * np.exp(1j * angle)).sum()) / rate.sum()
    assert found.rhythm.resultant == pytest.approx(planted, abs=0.03)


def test_a_world_without_persons_lacks_them():
    (frames,) = trialers.parts(8, 1, trialers.NULL)
    found = judged(as_seen(frames))
    assert found.verdict.signs.loc["same_person", "reading"] == "simulated"
    # What a person keeps there is a liking for CS, and nothing else.
    sizes = found.people["size"]
    assert sizes[["time", "trouble"]].abs().max() < 0.06 < sizes["choice"].min()
    # What there is of ties, the generator makes by the course of a task.
    assert ("trouble", "time") in found.named.index[found.named["adjusted_value"] < 0.05]
    assert found.named.loc[("restart", "trouble"), "adjusted_value"] > 0.05


# Reductions against slow references.


def test_arrivals_equal_pandas(shipped):
    frames, found = shipped
    begun = pd.concat([first(frames, "start", task) for task in (1, 2, 3)], axis=1).min(axis=1)
    second = (begun - pd.Timestamp("2021-05-05")).dt.total_seconds().astype(int)
    second = second[(second >= 0) & (second < 86_400)]
    assert found.arrived.tolist() == np.bincount(second // 60, minlength=1440).tolist()
    assert found.rhythm.n == len(second)
    counts = Counter(second)
    assert found.coincidences.pairs == sum(n * (n - 1) // 2 for n in counts.values())
    minutes = found.arrived.astype(float)
    assert found.coincidences.expected == pytest.approx((minutes * (minutes - 1)).sum() / 120)
    at = np.sort(np.array(list(counts)))
    gaps = pd.DataFrame({"stretch": at[:-1] // 600, "gap": np.diff(at)})
    ratios, weights = [], []
    for _, part in gaps.groupby("stretch")["gap"]:
        n, m = len(part), part.mean()
        if n >= 10:
            ratios.append(part.var() * (n + 1) / (n * m * (m - 1)))
            weights.append((n - 1) * (n + 2) * (n + 3) / n**2)
    assert found.gaps.index == pytest.approx(np.average(ratios, weights=weights))


def test_clock_and_repeats_equal_pandas(shipped):
    frames, found = shipped
    events = pd.concat([
        frames["product_activity"].rename(columns={"action": "kind"}),
        frames["help_activity"].rename(columns={"channel": "kind"})])
    assert found.events == len(events)
    at = events["timestamp"].dt
    assert found.seconds.fit.statistic == pytest.approx(
        stats.chisquare(np.bincount(at.second, minlength=60)).statistic)
    whole = int((at.minute % 15 == 0).sum())
    assert found.quarters.ratio == pytest.approx(15 * whole / len(events))
    gap = events.sort_values("timestamp").groupby(["customer_id", "task", "kind"])[
        "timestamp"].diff().dt.total_seconds()
    assert (found.retries.retries, found.retries.repeats) == (
        (gap <= 5).sum(), (gap <= 60).sum())


def test_durations_equal_pandas(shipped):
    frames, found = shipped
    start, done = first(frames, "start", 1), first(frames, "complete", 1)
    help_ = asked(frames, 1)["timestamp"]
    untroubled = done[~done.index.isin(help_.index)]
    for name, span in {"onset": help_ - start, "pause": first(frames, "start", 2) - done,
                       "time": untroubled - start}.items():
        seconds = span.dt.total_seconds().dropna()
        seconds = seconds[seconds.between(1, 6 * 3600)]
        shape = found.shapes[name]
        assert shape.n == len(seconds) == shape.cells["n"].sum()
        for low, high, n in zip(*(shape.cells[c] for c in ("from_value", "to_value", "n")),
                                strict=True):
            assert ((seconds >= low) & (seconds < high)).sum() == n
        assert shape.cells["expected"].sum() == pytest.approx(shape.n)


def test_ties_equal_scipy_on_rows(shipped):
    frames, found = shipped
    rows = pd.DataFrame({"start": first(frames, "start", 1)})
    rows["done"], rows["help"] = first(frames, "complete", 1), asked(frames, 1)["timestamp"]
    rows["channel"] = asked(frames, 1)["channel"]
    rows["converted"] = frames["conversion"].set_index("customer_id")["converted"]
    rows = rows[rows["start"].notna()]
    trouble, completed = rows["help"].notna(), rows["done"].notna()
    expected = stats.chi2_contingency(pd.crosstab(trouble, completed), correction=False).pvalue
    assert found.named.loc[("trouble", "completed"), "p_value"] == pytest.approx(
        expected, abs=1e-300)
    hour = rows["start"].dt.hour // 6
    expected = stats.chi2_contingency(pd.crosstab(hour, rows["converted"]), correction=False).pvalue
    assert found.pairs.loc[("hour", "converted"), "p_value"] == pytest.approx(expected)
    span = {name: (rows[end] - rows["start"]).dt.total_seconds() for name, end in
            (("onset", "help"), ("time", "done"))}
    logs = pd.DataFrame({name: np.log(s.where(s.between(1, 6 * 3600))) for name, s in span.items()})
    both = logs.dropna()
    expected = stats.pearsonr(both["onset"], both["time"])
    assert found.pairs.loc[("onset", "time"), "size"] == pytest.approx(expected.statistic)
    groups = [logs["onset"][rows["converted"] == value].dropna() for value in (0, 1)]
    assert found.pairs.loc[("converted", "onset"), "p_value"] == pytest.approx(
        stats.f_oneway(*groups).pvalue, rel=1e-6)
    cs = rows[rows["channel"].isin(CS)]
    agents = pd.crosstab(cs["help"].dt.hour // 6, cs["channel"] == "AGENT")
    assert found.named.loc[("hour", "agent"), "p_value"] == pytest.approx(
        stats.chi2_contingency(agents, correction=False).pvalue)
    assert not set(found.pairs.index) & study.STRUCTURAL


def test_the_same_person_equals_rows_centred_within_groups(shipped):
    frames, found = shipped
    columns = {}
    for end, task in (("a", 1), ("b", 2)):
        start, done = first(frames, "start", task), first(frames, "complete", task)
        seconds = (done - start).dt.total_seconds()
        columns[f"time_{end}"] = np.log(seconds.where(seconds.between(1, 6 * 3600)))
        columns[f"start_{end}"] = start
        channel = asked(frames, task)["channel"]
        columns[f"help_{end}"] = channel.isin(CS).astype(int)
    rows = pd.DataFrame(columns)
    rows = rows[rows["start_a"].notna() & rows["start_b"].notna()]
    rows[["help_a", "help_b"]] = rows[["help_a", "help_b"]].fillna(-1)
    timed = rows.dropna(subset=["time_a", "time_b"])
    centred = timed.groupby(["help_a", "help_b"])[["time_a", "time_b"]].transform(
        lambda values: values - values.mean())
    row = found.people.loc[("time", "1-2")]
    assert row["size"] == pytest.approx(np.corrcoef(centred.T)[0, 1])
    assert row["n"] == len(timed) - 8
    trouble = (rows[["help_a", "help_b"]] >= 0).astype(int)
    assert found.people.loc[("trouble", "1-2"), "size"] == pytest.approx(
        np.corrcoef(trouble.T)[0, 1])
    helped = rows[trouble.all(axis=1)].copy()
    helped["cohort"] = frames["test_cohorts"].set_index("customer_id")["cohort"]
    flags = helped.groupby("cohort")[["help_a", "help_b"]].transform(lambda v: v - v.mean())
    assert found.people.loc[("choice", "1-2"), "size"] == pytest.approx(
        np.corrcoef(flags.T)[0, 1])


def test_lots_and_numbers_equal_pandas(shipped):
    frames, found = shipped
    rows = frames["test_cohorts"].sort_values("customer_id")
    rows = rows[rows["customer_id"].isin(frames["conversion"]["customer_id"])]
    changes = (rows["cohort"] != rows["cohort"].shift()).sum() - 1
    assert found.turns.changes == changes
    number = rows.set_index("customer_id").index.str[1:].astype(int)
    assert (found.numbering.low, found.numbering.high) == (number.min(), number.max())
    begun = pd.concat([first(frames, "start", task) for task in (1, 2, 3)], axis=1).min(axis=1)
    begun = begun[begun < "2021-05-06"]
    expected = np.corrcoef(begun.index.str[1:].astype(int), begun.astype("int64"))[0, 1]
    assert found.numbering.r == pytest.approx(expected)


# What else logs can be like.


def test_retries_bursts_rounding_and_blocks_are_found():
    rng = np.random.default_rng(3)
    frames = as_seen(trialers.generate(3, 0.25)[0])
    activity = frames["product_activity"]
    twice = activity[rng.random(len(activity)) < 0.03].copy()
    twice["timestamp"] += pd.to_timedelta(rng.integers(1, 4, len(twice)), unit="s")
    late = activity["timestamp"].where(
        rng.random(len(activity)) > 0.1, activity["timestamp"].dt.floor("min"))
    frames["product_activity"] = pd.concat([activity.assign(timestamp=late), twice])
    n = len(frames["test_cohorts"])
    dealt = np.where(np.arange(n) % 10 < 3, "Test", "Control")
    frames["test_cohorts"] = frames["test_cohorts"].assign(
        cohort=rng.permuted(dealt[: n // 10 * 10].reshape(-1, 10), axis=1).ravel().tolist()
        + dealt[n // 10 * 10:].tolist())
    found = judged(frames)
    signs = found.verdict.signs["reading"]
    assert signs["retries"] == signs["seconds"] == "recorded"
    assert signs["turns"] == "simulated" and found.turns.ratio > 1.05
    assert found.share == 0.3


def test_a_clock_of_minutes_is_not_taken_for_rounding():
    frames = as_seen(trialers.generate(4, 0.1)[0])
    for name in ("product_activity", "help_activity"):
        frames[name] = frames[name].assign(timestamp=frames[name]["timestamp"].dt.floor("min"))
    found = judged(frames)
    assert found.clock == 60
    assert found.seconds is found.gaps is found.coincidences is found.retries is None


def test_names_order_and_day_do_not_matter():
    frames = as_seen(trialers.generate(6, 0.1)[0])
    later = {name: frame.sample(frac=1, random_state=1) for name, frame in frames.items()}
    for name, column in (("product_activity", "timestamp"), ("help_activity", "timestamp"),
                         ("conversion", "converted_at")):
        later[name] = later[name].assign(**{column: later[name][column] + pd.Timedelta(days=99)})
    one, other = (flatten(judged(held)) for held in (frames, later))
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert other[name] == (pytest.approx(value, rel=1e-9, abs=1e-12)
                               if isinstance(value, float) else value), name


@pytest.mark.parametrize("frames", [
    messy(1, 8), messy(2, 60), messy(3, 600), as_seen(trialers.generate(3, 6 / 12_000)[0]),
], ids=["8", "60", "600", "clean 6"])
def test_odd_tables_have_signs_between_0_and_1(frames):
    found = judged(frames)
    for p in (found.verdict.signs["p_simulated"], found.verdict.signs["p_recorded"]):
        assert p.dropna().between(0, 1).all()
    assert found.verdict.reading != Reading.SIMULATED
    assert all(not isinstance(value, float) or math.isfinite(value)
               for value in flatten(found).values())


def test_without_help_and_without_conversions():
    frames = as_seen(trialers.generate(5, 0.05)[0])
    frames["help_activity"] = frames["help_activity"].iloc[:0]
    frames["conversion"] = frames["conversion"].assign(converted=0, converted_at=pd.NaT)
    found = judged(frames)
    assert found.decisions is found.deciders is found.interplay is None
    assert found.named.empty and "onset" not in found.shapes


def test_events_that_are_out_of_order_by_half_are_no_faults_of_a_clock():
    frames = as_seen(trialers.generate(5, 0.1)[0])
    rng = np.random.default_rng(1)
    activity = frames["product_activity"]
    frames["product_activity"] = activity.assign(
        timestamp=rng.permutation(activity["timestamp"].to_numpy()))
    found = judged(frames)
    assert found.faults.disorder.estimate > 0.3
    assert found.verdict.signs.loc["faults", "reading"] == "simulated"
