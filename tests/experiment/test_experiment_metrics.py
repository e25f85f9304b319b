"""The success metrics: counts against loops, tests against R, the planted effects, false alarms."""

from __future__ import annotations

import functools
import json
import math
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from r_scripts import made_by_r
from test_experiment_reductions import as_seen, messy, one_task, tables

from analysis.experiment import metrics as study
from analysis.experiment.metrics import KEYS, MATTERS, PRIMARY, metric
from analysis.experiment.reductions import (
    COHORTS,
    CS,
    decisions_of,
    per_customer,
    reduce,
    starts_of,
)
from analysis.results import flatten
from analysis.simulate import trialers
from analysis.stats import two_proportions
from analysis.stats.decision import Finding
from analysis.stats.stratified import Conditional
from analysis.stats.two_proportions import Share

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "metrics.json").read_text())
E = trialers.EFFECTS["cohorts"]


@functools.cache
def shipped():
    """The cells, hours and decisions of the shipped tables, and their metrics."""
    day = str(trialers.DAY)[:10]
    with per_customer(tables(as_seen(trialers.generate()[0]))).cache() as customers:
        arguments = (
            study.cells_of(customers), starts_of(customers), decisions_of(customers, day), day)
    return arguments, study.of_cells(*arguments)


# Counts --------------------------------------------------------------------------------------


def reference(frames) -> Counter:
    """`cells_of` by loops over the events of one customer at a time."""
    events = defaultdict(lambda: defaultdict(list))
    for name, kind in (("product_activity", "action"), ("help_activity", "channel")):
        for row in frames[name].itertuples():
            events[row.customer_id][row.task].append((row.timestamp, getattr(row, kind)))
    converted = frames["conversion"].set_index("customer_id").converted
    found = Counter()
    for row in frames["test_cohorts"].itertuples():
        cases = [one_task(task, rows) for task, rows in sorted(events[row.customer_id].items())]
        helped = [case for case in cases if case["asked"]]
        first = min(helped, key=lambda case: (case["asked"], case["task"]), default=None)
        begun = [case["started"] for case in cases if case["started"]]
        before = [case for case in cases if first is None or case["task"] <= first["task"]]
        key = (
            row.cohort, min(begun).hour // 6 if begun else -1, first["task"] if first else 0,
            int(any(case["restarts"] for case in before)),
            sum(bool(case["completed"]) for case in cases), int(converted[row.customer_id]),
        )
        found[key, "customers"] += 1
        found[key, "cs"] += any(case["channel"] in CS for case in helped)
        found[key, "cs_first"] += bool(first and first["channel"] in CS)
        found[key, "finished"] += bool(first and first["finished"])
    return +found


@pytest.mark.parametrize("seed", range(3))
def test_cells_equal_loops_over_the_events(seed):
    frames = as_seen(messy(seed))
    cells = study.cells_of(per_customer(tables(frames)))
    found = Counter({
        (tuple(row[name] for name in KEYS), measure): row[measure]
        for row in cells.to_dict("records") for measure in study.COUNTED})
    assert +found == reference(frames)


def test_cells_agree_with_the_reductions_and_their_order_does_not_matter():
    seen = tables(as_seen(messy(9, 150)))
    base, cells = reduce(seen, per_customer(seen)), study.cells_of(per_customer(seen))
    frames, day = (cells, base.starts, base.decisions), base.window.day
    m = study.of_cells(*frames, day)
    assert m.customers == cells.customers.sum() == sum(base.customers.values())
    used = base.flow[(base.flow.stage == "CS") & (base.flow.task == 0)].customers.sum()
    assert m.engagement.control.successes + m.engagement.test.successes == used
    again = flatten(study.of_cells(*(f.sample(frac=1, random_state=3) for f in frames), day))
    for name, value in flatten(m).items():
        same = again[name] == pytest.approx(value, rel=1e-12) if isinstance(value, float) else (
            again[name] == value)
        assert same, name


# Tests ---------------------------------------------------------------------------------------


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = pd.json_normalize(made_by_r(ORACLE / "metrics.R", tmp_path)).iloc[0]
    for name, expected in pd.json_normalize(REFERENCE).iloc[0].items():
        np.testing.assert_allclose(fresh[name], expected, rtol=1e-7, err_msg=name)


@pytest.mark.parametrize("case", list(REFERENCE["shares"]))
def test_primary_tests_equal_r(case):
    r = REFERENCE["shares"][case]
    m = metric("conversion", Share(*r["control"]), Share(*r["test"]), 0.02, tested=True)
    assert m.z.statistic == pytest.approx(r["z"], rel=1e-12)
    assert m.z.p_value == pytest.approx(r["p"], rel=1e-10)
    assert m.z.effect("Cohen's h").value == pytest.approx(r["h"], rel=1e-12)
    assert m.fisher.p_value == pytest.approx(r["exact"], rel=1e-9)
    # R finds the limits to about three digits only; what they are is told by the tails.
    assert m.fisher.estimate == pytest.approx(r["odds"], rel=1e-3)
    (a, n), (c, of) = r["test"], r["control"]
    exact = Conditional.of(a, n, a + c, n + of).interval()
    for end in ("estimate", "low", "high"):
        assert getattr(m.fisher.interval, end) == pytest.approx(getattr(exact, end), rel=1e-6)
    assert m.p_value == (m.fisher if case == "sparse" else m.z).p_value


def test_time_and_completions_equal_r():
    r = REFERENCE["times"]
    rows = [(cohort, day, n) for cohort in COHORTS
            for day, n in enumerate(r[cohort.lower()]) if n]
    dated = pd.DataFrame(rows, columns=["cohort", "day", "customers"])
    found = study._time_to_convert(dated)
    pairs = sum(r["control"]) * sum(r["test"])
    assert found["p_value"] == pytest.approx(r["p"], rel=1e-10)
    assert found["difference"] + 0.5 == pytest.approx(r["u"] / pairs, rel=1e-12)
    r = REFERENCE["completions"]
    cells = pd.DataFrame([(cohort, k, n) for cohort in COHORTS
                          for k, n in enumerate(r[cohort.lower()])],
                         columns=["cohort", "completions", "customers"])
    found = study._completions(cells)
    for name, expected in (("p_value", "p"), ("low", "low"), ("high", "high")):
        assert found[name] == pytest.approx(r[expected], rel=1e-9)


def test_days_needed_equal_r():
    for effect, r in zip(MATTERS, REFERENCE["plans"].values(), strict=True):
        assert r["rise"] == effect
        m = metric("conversion", Share(234, 1_000), Share(250, 1_000), 0.02, tested=True)
        days, _ = study._plans(m, m.control, m.test)
        # Where everybody is reached, nothing is gained by leaving the others out.
        np.testing.assert_allclose(days.reached_days, days.days, rtol=1e-12)
        # In halves, two groups of R's n.
        assert days.even_days[effect] * 2_000 == pytest.approx(2 * math.ceil(r["n"]), abs=2)


def test_plans_are_consistent():
    _, m = shipped()
    assert m.days.power[MATTERS[0]] == pytest.approx(m.conversion.power)
    assert (m.days.even_days < m.days.days).all()
    # Those whom the widget can't reach only add noise.
    assert (m.days.reached_days < m.days.even_days).all()
    # What so many days see, so many days are needed for.
    back = two_proportions_days(m)
    np.testing.assert_allclose(back, m.detectable.index, rtol=1e-3)
    assert m.detectable.split[1] == pytest.approx(m.conversion.detectable, rel=1e-6)
    assert (m.detectable.even < m.detectable.split).all()
    assert all(a > b for a, b in pairwise(m.detectable.split))


def two_proportions_days(m: study.Metrics) -> list[float]:
    """The days that the smallest effects of `detectable` would take."""
    share, n = m.conversion.control.value, m.conversion.control.n
    ratio = m.conversion.test.n / n
    plans = [study.power.proportions(share_a=share, share_b=share + effect, power=study.POWER,
                                     ratio=ratio) for effect in m.detectable.split]
    return [plan.n_a / n for plan in plans]


# The planted effects -------------------------------------------------------------------------


def test_planted_effects_lie_within_their_intervals():
    _, m = shipped()
    reach = E["trouble"][0]
    planted = {
        ("primary", "engagement"): E["cs"], ("primary", "conversion"): E["converted"],
        ("secondary", "completed_all"): E["completed_3"],
        ("secondary", "completions"): E["completions"],
        ("mechanism", "cs"): E["cs_at_first"], ("mechanism", "finished"): E["completed_at_first"],
        ("guardrail", "never_in_trouble"): (0, 0),
    }
    truth = {key: test - control for key, (control, test) in planted.items()}
    # Nobody but those in trouble is touched, so among them the effects are larger by this.
    for link, of in (("completed_all", "completed_all"), ("converted", "conversion")):
        family = "secondary" if of == "completed_all" else "primary"
        truth["mechanism", link] = truth[family, of] / reach
    for key, effect in truth.items():
        row = m.tests.loc[key]
        assert row.low <= effect <= row.high, key
    assert m.mechanism.reach.contains(reach)
    assert m.mechanism.seen.contains(truth["primary", "conversion"])
    assert m.conversion.belief.difference.contains(truth["primary", "conversion"])
    assert m.engagement.shown and m.conversion.shown
    assert m.conversion.power == pytest.approx(0.64, abs=0.03)  # as the generator says
    causal, naive = (np.array(trialers.EFFECTS["conversion"][kind]) for kind in ("causal", "naive"))
    at_least = np.array([E[f"completed_{k}"] for k in (1, 2, 3)])
    rise = at_least[:, 1] - at_least[:, 0]
    # The chain takes for causal what is not, so it predicts more than there is.
    assert rise @ np.diff(naive) > rise @ np.diff(causal)
    assert m.mechanism.predicted.contains(rise @ np.diff(naive))


def test_the_two_parts_add_up_and_equal_a_bootstrap():
    (cells, *_), m = shipped()
    k = m.mechanism
    assert k.predicted.estimate + k.remainder.estimate == pytest.approx(k.seen.estimate, abs=1e-15)
    rng = np.random.default_rng(1955)
    by = cells.groupby(["cohort", "completions", "converted"]).customers.sum()
    counts = {name: by[name].to_numpy() for name in COHORTS}
    drawn = {name: rng.multinomial(n.sum(), n / n.sum(), 4_000).reshape(4_000, 4, 2)
             for name, n in counts.items()}
    p, q = (drawn[name].sum(axis=2) / counts[name].sum() for name in ("Test", "Control"))
    d, c = (drawn[name][:, :, 1] / drawn[name].sum(axis=2) for name in ("Test", "Control"))
    for part, values in ((k.predicted, ((p - q) * c).sum(axis=1)),
                         (k.remainder, (p * (d - c)).sum(axis=1)),
                         (k.seen, (p * d).sum(axis=1) - (q * c).sum(axis=1))):
        assert values.std() == pytest.approx((part.high - part.low) / 2 / 1.959964, rel=0.04)
        assert values.mean() == pytest.approx(part.estimate, abs=3e-4)


# False alarms --------------------------------------------------------------------------------


@functools.cache
def null_shares(size: int = 600) -> list[dict[str, tuple[Share, Share]]]:
    """Engagement and conversion of 200 tests of a world in which nothing has an effect."""
    found = []
    for part in trialers.parts(31, 200 * size / trialers.CUSTOMERS, trialers.NULL):
        rows = part["test_cohorts"].merge(part["conversion"])
        helped = part["help_activity"]
        rows["cs"] = rows.customer_id.isin(helped.customer_id[helped.channel.isin(CS)])
        rows["lot"] = np.arange(len(rows)) * trialers.CUSTOMERS // (size * len(rows))
        sums = rows.groupby(["lot", "cohort"])[["cs", "converted"]].agg(["sum", "count"])
        for _, lot in sums.groupby("lot"):
            lot = lot.droplevel("lot")
            found.append({
                name: tuple(Share(*map(int, lot.loc[cohort, column])) for cohort in COHORTS)
                for name, column in zip(PRIMARY, ("cs", "converted"), strict=True)})
    return found


def test_false_alarms_are_as_frequent_as_they_should_be():
    lots = null_shares()
    assert len(lots) == 200
    error = 2 * math.sqrt(0.05 * 0.95 / len(lots))
    rejected = pd.DataFrame([
        {name: study._of_shares(*lot[name])["p_value"] <= study.ALPHA for name in PRIMARY}
        for lot in lots])
    for name in PRIMARY:
        assert abs(rejected[name].mean() - 0.05) <= error, name
    # The sequence raises no more: conversion counts only where engagement does.
    sequence = rejected.engagement | (rejected.engagement & rejected.conversion)
    assert sequence.mean() == rejected.engagement.mean()


def test_conversion_is_tested_only_after_engagement(monkeypatch):
    monkeypatch.setattr(study, "EXACT_UP_TO", 0)
    rising, flat = (Share(300, 1_000), Share(420, 1_000)), (Share(300, 1_000), Share(301, 1_000))
    for engagement, tested in ((rising, True), (flat, False), (rising[::-1], False)):
        parts = []
        for cohort, used, sold in zip(COHORTS, engagement, (200, 300), strict=True):
            parts += [(cohort, 1, used.successes, sold), (cohort, 0, used.n - used.successes, 0)]
        cells = pd.DataFrame([
            {"cohort": cohort, "converted": y, "customers": n, "cs": n * cs}
            for cohort, cs, of, sold in parts for y, n in ((1, sold), (0, of - sold))])
        first, second = study.primary(cells)
        assert first.shown is tested and second.tested is tested and second.shown is tested
        assert second.decision.finding is Finding.HIGHER


counts = st.integers(2, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, counts)
def test_a_comparison_is_the_mirror_of_its_reverse(a, b):
    one, other = (study._of_shares(Share(*x), Share(*y)) for x, y in ((a, b), (b, a)))
    for name, mirror in (("difference", "difference"), ("low", "high"), ("high", "low")):
        assert one[name] == pytest.approx(-other[mirror], abs=1e-9)
    assert one["p_value"] == pytest.approx(other["p_value"], rel=1e-6, nan_ok=True)
    assert one["low"] <= one["difference"] <= one["high"]
    # p comes from a test that keeps its level with so few.
    if not math.isnan(one["p_value"]) and study._sparse(Share(*a), Share(*b)):
        assert one["p_value"] == two_proportions.fisher(Share(*b), Share(*a)).p_value


def test_subgroups_add_up_and_hours_find_a_planted_drift():
    (_, starts, _, day), m = shipped()
    for outcome in PRIMARY:
        rows = m.subgroups.loc[outcome]
        by_part, by_restart = (rows.loc[name] for name in ("part_of_day", "restarted"))
        for cohort in ("control", "test"):
            assert by_part[f"{cohort}_n"].sum() == by_restart[f"{cohort}_n"].sum()
            total = [(r[cohort] * r[f"{cohort}_n"]).sum() for r in (by_part, by_restart)]
            assert total[0] == pytest.approx(total[1])
    assert (m.subgroups.p_adjusted >= m.subgroups.p_value).all()
    rows = [(day, hour, cohort, 2_000, 0, int(2_000 * share), 0, 0, 400)
            for hour in range(24) for cohort in COHORTS
            for share in [0.4 + (0.005 * hour if cohort == "Test" else 0)]]
    made = pd.DataFrame(rows, columns=[*starts.columns])
    made = made.assign(cs=[row[5] for row in rows], converted=400)
    _, drift = study._drift(made)
    assert drift.slope["engagement"] == pytest.approx(0.005, abs=1e-4)
    assert drift.low["engagement"] > 0 and drift.p_value["conversion"] == 1
