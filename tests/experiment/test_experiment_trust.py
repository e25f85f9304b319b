"""The way of the customers and the trust in their test: pandas, R, planted truth, broken tests."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats
from statsmodels.stats.proportion import proportion_confint
from test_experiment_reductions import Frames, as_seen, messy, tables

from analysis.experiment import trust as study
from analysis.experiment.reductions import CHANNELS, COHORTS, CS, Reductions, per_customer, reduce
from analysis.experiment.trust import MISMATCH, POWER, Trust, Verdict
from analysis.results import flatten
from analysis.simulate import trialers
from analysis.sources import Tables, open_study
from analysis.stats.multiplicity import holm

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "trust.json").read_text())
KEYS = {"profile": ("table", "column"), "cleaning": ("table", "column", "rule")}
CONTROL, TEST = COHORTS
PLANNED = 0.3  # as in the shipped tables


def plan(share: float) -> pd.DataFrame:
    """The table of a planned split with such a share in Test."""
    return pd.DataFrame({"cohort": [TEST, CONTROL], "share": [share, 1 - share]})


@dataclass
class Case:
    """Tables with all that is made of them; `again` judges changed reductions of the same."""

    tables: Tables
    base: Reductions
    customers: ir.Table
    trust: Trust

    def again(self, **changed) -> Trust:
        return study.trust(replace(self.base, **changed), self.customers, self.tables)

    def planned(self, split: pd.DataFrame) -> Trust:
        """With another plan; nothing else is read from that table."""
        changed = self.tables.tables | {"planned_split": ibis.memtable(split)}
        return study.trust(self.base, self.customers, replace(self.tables, tables=changed))

    def without_conversion(self, lost: int) -> Trust:
        """With so many more customers without a row in conversion."""
        return self.again(without_outcome=self.base.without_outcome + lost)


@pytest.fixture(scope="module")
def made():
    cached = []

    def make(given: Tables | Frames) -> Case:
        held = given if isinstance(given, Tables) else tables(given)
        customers = per_customer(held).cache()
        cached.append(customers)
        base = reduce(held, customers)
        return Case(held, base, customers, study.trust(base, customers, held))

    yield make
    for customers in cached:
        customers.release()


@pytest.fixture(scope="module")
def shipped(made) -> Case:
    return made(open_study("trialers", "data"))


@pytest.fixture(scope="module")
def untidy(made) -> tuple[Frames, Trust]:
    """Tables with every fault."""
    frames = messy(23) | {"planned_split": plan(PLANNED)}
    return frames, made(frames).trust


# The way through the trial -------------------------------------------------------------------


def sets(frames: Frames, cohort: str) -> dict[tuple[str, int], set]:
    """Who reached each stage, straight from the rows."""
    known = frames["test_cohorts"].merge(frames["conversion"])
    own = set(known.loc[known.cohort == cohort, "customer_id"])
    activity, asked = frames["product_activity"], frames["help_activity"]
    asked = asked.assign(place=asked.channel.map(CHANNELS.index))
    first = asked.sort_values(["timestamp", "place"]).groupby(["customer_id", "task"]).first()
    cs = set(first[first.channel.isin(CS)].reset_index().customer_id)
    trouble = set(asked.customer_id)
    found = {("assigned", 0): own, ("trouble", 0): trouble, ("CS", 0): cs,
             ("OTHER", 0): trouble - cs,
             ("converted", 0): set(known.loc[known.converted == 1, "customer_id"])}
    for task in (1, 2, 3):
        mine = activity[activity.task == task]
        found["attempted", task] = set(mine.customer_id) | set(
            asked.loc[asked.task == task, "customer_id"])
        found["completed", task] = set(mine.loc[mine.action == "complete", "customer_id"])
    return {stage: members & own for stage, members in found.items()}


def test_stages_equal_sets_of_customers(untidy):
    frames, t = untidy
    gone = dict.fromkeys(study.SERIES, 0)
    for cohort in COHORTS:
        reached = sets(frames, cohort)
        for stage, before in study.STEPS.items():
            row = t.stages.loc[(*stage, cohort)]
            both = reached[stage] & reached[before]
            assert row["customers"] == len(reached[stage]), stage
            assert (row["before"], row["both"]) == (len(reached[before]), len(both)), stage
            assert row["skipped"] == len(reached[stage] - reached[before])
            assert row["of_all"] == len(reached[stage]) / len(reached["assigned", 0])
            assert [row["low"], row["high"]] == pytest.approx(
                proportion_confint(len(both), len(reached[before]), method="wilson"))
            if stage in gone:
                gone[stage] += len(reached[before] - reached[stage])
    assert t.losses["customers"].to_dict() == gone
    assert t.stages["skipped"].sum() > 5  # messy tables that were in series would test nothing


def test_the_shipped_way(shipped):
    t, dirt = shipped.trust, trialers.DIRT
    assert t.split.lost == dirt["no conversion row"]
    assert t.unknown == 2 * dirt["unknown customers"] and t.repeated == dirt["duplicate rows"]
    assert t.stages["skipped"].sum() == dirt["completion lost"]
    done = t.finished.estimate * sum(shipped.base.customers.values())
    # Lost on the way and arrived are all, but for those whose lost completions hide a step.
    arrived = t.stages.loc[[("completed", 3, cohort) for cohort in COHORTS], "customers"].sum()
    assigned = sum(shipped.base.customers.values())
    assert t.losses["customers"].sum() + arrived - dirt["completion lost"] == assigned
    assert arrived - dirt["completion lost"] <= done <= arrived
    assert {name: row["cases"] for name, row in t.disorder.iterrows() if row["cases"]} == {
        "task out of series": dirt["completion lost"],
        "completion without start": dirt["start lost"],
        "completion before start": dirt["completion before start"],
        "help before start": dirt["help before start"]}
    faults = shipped.base.faults.set_index("fault")
    pd.testing.assert_frame_equal(t.disorder[["cases", "of"]], faults)


def test_shipped_test_is_trusted(shipped):
    t = shipped.trust
    assert t.trusted is Verdict.TRUSTED and not any(t.reasons.values())
    assert t.split.share.contains(PLANNED) and t.split.p_worst < t.split.p_exact
    found = flatten(t, KEYS)
    assert found["checks.trouble.value"] == pytest.approx(0.001, abs=0.0005)
    assert found["trusted"] == "trusted" and found["stages.attempted.1.test.customers"] == 3227
    assert found["disorder.help_before_start.cases"] == 8 and "hours.9.share" in found


# The split -----------------------------------------------------------------------------------


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "trust.R", tmp_path)
    for case, values in REFERENCE.items():
        for name, expected in values.items():
            np.testing.assert_allclose(fresh[case][name], expected, rtol=1e-9)


@pytest.mark.parametrize("case", ["even", "off", "few"])
def test_split_equals_r(case):
    r = REFERENCE[case]
    a = study.split(r["n"] - r["test"], r["test"], PLANNED)
    assert a.p_exact == pytest.approx(r["exact"], rel=1e-9)
    assert a.p_chi_squared == pytest.approx(r["chi"], rel=1e-9)
    assert [a.share.low, a.share.high] == pytest.approx(r["wilson"], rel=1e-9)


@pytest.mark.parametrize("n", [30, 400, 11_996])
def test_what_the_check_sees_is_what_it_says(n):
    """By the binomial distribution, count by count: never above the level, and the power."""
    k = np.arange(n + 1)
    fewest = stats.binom.ppf(MISMATCH / 2, n, PLANNED) - 1
    most = stats.binom.isf(MISMATCH / 2, n, PLANNED) + 1
    alarm = (k <= fewest) | (k >= most)
    assert stats.binom.pmf(k, n, PLANNED)[alarm].sum() <= MISMATCH
    low, high = study.seen(n, PLANNED)
    for share, side in ((low, k <= fewest), (high, k >= most)):
        if share is None:
            assert not side.any()
        else:
            assert stats.binom.pmf(k, n, share)[side].sum() == pytest.approx(POWER, rel=1e-6)
    # The p-value that decides gives the alarm in (nearly) the same counts.
    rng = np.random.default_rng(n)
    drawn = rng.binomial(n, high, 400)
    power = np.mean([study.exact_p(int(x), n, PLANNED) < MISMATCH for x in drawn])
    assert power == pytest.approx(POWER, abs=0.12 if n < 100 else 0.07)


def test_losses_that_the_check_sees_are_those_that_make_the_share(shipped):
    a = shipped.trust.split
    test, control = PLANNED * (1 - a.hidden_test), 1 - PLANNED
    assert test / (test + control) == pytest.approx(a.seen_low)
    test, control = PLANNED, (1 - PLANNED) * (1 - a.hidden_control)
    assert test / (test + control) == pytest.approx(a.seen_high)
    assert 0 < a.hidden_test < 0.1 and not a.blind


def test_the_worst_that_lost_customers_could_hide(shipped):
    control, test = shipped.base.customers.values()
    lost = 300 + trialers.DIRT["no conversion row"]
    t = shipped.without_conversion(300)
    every = [study.exact_p(test + x, control + test + lost, PLANNED) for x in range(lost + 1)]
    assert t.split.lost == lost and t.split.p_worst == pytest.approx(min(every))
    assert t.split.p_worst < MISMATCH < t.split.p_exact
    assert t.reasons["losses"] and t.trusted is Verdict.RESERVED
    assert t.left_out == pytest.approx(lost / (lost + control + test)) and t.left_out < 0.05


@settings(max_examples=60)
@given(st.integers(1, 4000))
def test_the_range_that_escapes_holds_the_plan(n):
    low, high = study.seen(n, PLANNED)
    assert low is None or 0 <= low < PLANNED
    assert high is None or PLANNED < high <= 1
    larger = study.seen(4 * n + 40, PLANNED)
    assert low is None or larger[0] > low
    assert high is None or larger[1] < high


def test_a_split_is_held_against_the_plan_of_its_own_tables(made, tmp_path):
    """A sound test in halves: with its plan, with another's, and with none."""
    (part,) = trialers.parts(3, 0.3, replace(trialers.WORKS, test=0.5))
    folder = tmp_path / "trialers"
    folder.mkdir()
    for name, frame in part.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    case = made(open_study("trialers", tmp_path))
    own = case.trust
    assert own.split.planned == 0.5 and own.split.p_exact > MISMATCH
    assert own.trusted is Verdict.TRUSTED

    wrong = case.planned(plan(0.3))
    assert wrong.split.planned == 0.3 and wrong.reasons["mismatch"]
    assert wrong.trusted is Verdict.REFUSED

    # What `open_study` makes of a plan that is not there, says tests/test_sources.py.
    untold = case.planned(plan(0.3).iloc[:0])
    assert untold.split == study.split(own.split.control, own.split.test, None, own.split.lost)
    assert untold.split.share == own.split.share
    assert untold.split.planned is untold.split.p_exact is untold.split.p_worst is None
    assert untold.split.chi_squared is untold.split.seen_low is untold.split.hidden_test is None
    assert untold.reasons == own.reasons and untold.trusted is Verdict.TRUSTED
    # Far from halves, and of four customers, it is not judged either.
    for sizes in ((2000, 20), (3, 1)):
        bare = study.split(*sizes, None, 1)
        assert not (bare.mismatch or bare.hides or bare.too_exact or bare.blind)
    # What else speaks against a test still does.
    assert study.verdict(untold.reasons | {"unbalanced": True}) is Verdict.RESERVED


def test_an_exact_split_is_noticed():
    n = 10_000
    a = study.split(7 * n // 10, 3 * n // 10, PLANNED)
    assert a.too_exact and a.p_closer == a.p_closest
    density = 1 / math.sqrt(2 * math.pi * n * PLANNED * (1 - PLANNED))
    assert a.p_closer == pytest.approx(density, rel=0.01)
    assert not a.mismatch  # noticed, and no reason against the test


# The cohorts before the widget ---------------------------------------------------------------


def starts_of(base: Reductions, hour, control, test) -> pd.DataFrame:
    """First starts on the day of the test with these counts."""
    rows = [(base.window.day, h, cohort, n) for h, *pair in zip(hour, control, test, strict=True)
            for cohort, n in zip(COHORTS, pair, strict=True)]
    return pd.DataFrame(rows, columns=["date", "hour", "cohort", "customers"])


@pytest.mark.parametrize(("hours", "shares"), [("busy", "common"), ("drifting", "rare")])
def test_checks_equal_r(shipped, hours, shares):
    r = REFERENCE[shares]
    flow = shipped.base.flow.set_index(["stage", "task", "cohort"])["customers"].copy()
    for cohort, yes, n in zip(COHORTS, r["yes"], r["n"], strict=True):
        flow["trouble", 0, cohort], flow["attempted", 0, cohort] = yes, n
    h = REFERENCE[hours]
    t = shipped.again(flow=flow.reset_index(),
                      starts=starts_of(shipped.base, h["hour"], h["control"], h["test"]))
    trouble, drift = t.checks.loc["trouble"], t.checks.loc["drift"]
    assert trouble["p_value"] == pytest.approx(
        r["chi" if shares == "common" else "fisher"], rel=1e-9)
    assert trouble["value"] == pytest.approx(r["yes"][1] / r["n"][1] - r["yes"][0] / r["n"][0])
    assert trouble["low"] < trouble["value"] < trouble["high"]
    assert drift["p_value"] == pytest.approx(h["trend"], rel=1e-9)
    assert drift["value"] == pytest.approx(h["slope"], rel=1e-9)
    reach = stats.norm.isf(0.025) * abs(h["slope"]) / h["z"]
    assert drift["high"] - drift["low"] == pytest.approx(2 * reach, rel=1e-6)
    assert t.checks.loc["hours", "p_value"] == pytest.approx(h["spread"], rel=1e-9)
    assert t.hours["test"].tolist() == h["test"] and t.hours.index.tolist() == h["hour"]
    assert t.checks.loc["drift", "failed"] == (hours == "drifting")


def test_all_comparisons_are_one_family(shipped):
    t = shipped.trust
    p = pd.concat([t.checks[["p_value", "p_adjusted"]], t.disorder[["p_value", "p_adjusted"]]])
    p = p.dropna()
    assert len(p) == 7 + 4  # faults that nobody shows have nothing to compare
    np.testing.assert_allclose(p["p_adjusted"], holm(p["p_value"]))


# Broken tests --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frames() -> Frames:
    (part,) = trialers.parts(seed=4, scale=0.3, world=trialers.HARMS)
    return as_seen(part)


def of_cohort(frames: Frames, name: str, cohort: str) -> pd.Series:
    cohorts = frames["test_cohorts"].set_index("customer_id").cohort
    return frames[name].customer_id.map(cohorts) == cohort


def test_an_effect_of_the_widget_is_no_reason(made, frames):
    """Also where it harms: what it does comes after what is compared here."""
    assert made(frames).trust.trusted is Verdict.TRUSTED


def test_each_break_is_found(made, frames):
    rng = np.random.default_rng(7)
    broken = {name: frame.copy() for name, frame in frames.items()}
    asked, activity = broken["help_activity"], broken["product_activity"]
    # The widget swallows the log of trouble, and stops a clock: both in Test only.
    out = of_cohort(frames, "help_activity", TEST) & (rng.random(len(asked)) < 0.4)
    broken["help_activity"] = asked[~out]
    late = of_cohort(frames, "product_activity", TEST) & (activity.action == "complete")
    late &= rng.random(len(activity)) < 0.2
    activity.loc[late, "timestamp"] -= pd.Timedelta(days=2)
    # In Control customers of the night are lost with all that they did, and 8% lack an outcome.
    start = frames["product_activity"].groupby("customer_id").timestamp.min()
    night = set(start.index[(start.dt.hour >= 21) | (start.dt.hour < 6)])
    cohorts = broken["test_cohorts"]
    gone = (cohorts.cohort == CONTROL) & cohorts.customer_id.isin(night)
    broken["test_cohorts"] = cohorts[~gone]
    broken["conversion"] = broken["conversion"].iloc[len(cohorts) // 12:]
    t = made(broken).trust
    failed = set(t.checks.index[t.checks["failed"]])
    assert {"hours", "trouble"} <= failed
    assert "attempted" not in failed
    assert t.checks.loc["trouble", "high"] < 0
    assert t.disorder.index[t.disorder["failed"]].tolist() == [
        "completion before start", "help after completion"]
    assert t.disorder.loc["completion before start", "share"] > 0.05
    assert {name for name, found in t.reasons.items() if found} >= {
        "unbalanced", "faults", "uneven", "losses"}
    assert t.trusted is not Verdict.TRUSTED


def test_lost_customers_of_one_cohort_are_a_mismatch(shipped):
    a, b = shipped.base.customers.values()
    assert study.split(a, int(0.85 * b), PLANNED).mismatch
    assert study.split(int(0.85 * a), b, PLANNED).mismatch
    # Both cohorts 15% smaller: nothing that a split can show.
    assert not study.split(int(0.85 * a), int(0.85 * b), PLANNED).mismatch
    # In whole tables the split decides alone, whatever else is in order.
    t = shipped.again(customers={CONTROL: a + 600, TEST: b - 600})
    assert t.trusted is Verdict.REFUSED
    assert [name for name, found in t.reasons.items() if found] == ["mismatch", "losses"]


@given(st.fixed_dictionaries({name: st.booleans() for name in (
    "mismatch", "blind", "unbalanced", "faults", "uneven", "losses")}))
def test_rule(reasons):
    found = study.verdict(reasons)
    assert (found is Verdict.REFUSED) == reasons["mismatch"]
    assert (found is Verdict.TRUSTED) == (not any(reasons.values()))


# Invariance and odd tables -------------------------------------------------------------------


def test_order_and_other_days_do_not_matter_and_swapped_cohorts_swap(made, untidy):
    frames, a = untidy
    other = {name: frame.sample(frac=1, random_state=2).reset_index(drop=True)
             for name, frame in frames.items()}
    for name, column in (("product_activity", "timestamp"), ("help_activity", "timestamp"),
                         ("conversion", "converted_at")):
        other[name][column] = other[name][column] + pd.Timedelta(days=90)
    other["test_cohorts"]["cohort"] = other["test_cohorts"].cohort.map(
        {TEST: CONTROL, CONTROL: TEST})
    b = made(other).trust
    for one, two in ((a.checks, b.checks), (a.disorder, b.disorder)):
        shares = (one["measure"] == "difference").to_numpy()
        # Simulated p-values are those of other tables drawn: equal up to five standard errors.
        simulated = (one["method"] == "Monte Carlo").to_numpy()
        np.testing.assert_allclose(one["p_value"][~simulated], two["p_value"][~simulated],
                                   atol=1e-9)
        np.testing.assert_allclose(one["p_value"][simulated], two["p_value"][simulated],
                                   atol=5 * math.sqrt(2 * 0.25 / 10_000))
        np.testing.assert_allclose(one.loc[shares, "value"], -two.loc[shares, "value"], atol=1e-12)
        np.testing.assert_allclose(one.loc[shares, "low"], -two.loc[shares, "high"], atol=1e-9)
        np.testing.assert_array_equal(one["test"], two["control"])
    assert a.losses.equals(b.losses) and a.finished == b.finished
    assert a.before_day == b.before_day and a.after_day == b.after_day
    assert a.reasons["blind"] and a.reasons["faults"] and b.reasons["faults"]
