"""The test of the help widget simulated again and again, for `bench/recovery.py`.

Worlds: those of `analysis.simulate.trialers`. In `null` every effect that the study looks for is
absent, so that its tests reject by chance alone; the other four are those between which the
recommendation has to tell.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from analysis import recovery
from analysis.experiment import (
    Verdict,
    decision,
    experience,
    helped,
    metrics,
    per_customer,
    reduce,
    steps,
    trust,
)
from analysis.experiment.decision import Action
from analysis.experiment.reductions import CHANNELS
from analysis.simulate import trialers
from analysis.simulate.trialers import EFFECTS, WORKS, effects
from analysis.sources import open_study
from analysis.stats.instrument import INTERVAL, Region
from analysis.stats.intervals import Interval

WORLDS = {"works": 200, "null": 200, "nothing": 100, "engages": 100, "harms": 100}
ALPHA = 0.05


def truths(world: str) -> dict[str, float]:
    """What a world's parameters come to, by the name of the quantity; see `trialers.effects`.

    Shares, but "minutes" and "completions". What no world's instrument can find, because it moves
    nobody or nothing, is left out.
    """
    planted = trialers.WORLDS[world]
    true = EFFECTS if planted == WORKS else effects(planted, 1_000_000)
    of_cohorts = {name: test - control for name, (control, test) in true["cohorts"].items()}
    of_cs, first = true["cs_effect"], "first trouble: "
    found = {
        "split": planted.test,
        "engagement": of_cohorts["cs"],
        "conversion": of_cohorts["converted"],
        "all three tasks": of_cohorts["completed_3"],
        "completions": of_cohorts["completions"],
        f"{first}CS chosen": of_cohorts["cs_at_first"],
        f"{first}task completed": of_cohorts["completed_at_first"],
        f"{first}CS as it comes, completed": of_cs["completed"]["naive"],
        f"{first}CS as it comes, minutes": 60 * of_cs["hours"]["naive"],
    }
    found |= {f"{first}completed with {channel}": share
              for channel, share in zip(CHANNELS, true["channels"]["naive"], strict=True)}
    found |= {f"converted after {k}": share
              for k, share in enumerate(true["conversion"]["naive"])}
    found |= {f"task {k} completed": share for k, share in enumerate(true["tasks"]["naive"], 1)}
    if world == "null":  # all are alike: better told than by a finite population
        same = true["cohorts"]["completed_at_first"][0]
        found |= {name: same for name in found if "completed with" in name}
        found |= {name: 0.0 for name in found if "as it comes" in name}
    if true["moved"]:
        found |= {
            f"{first}CS by the lot, completed": of_cs["completed"]["moved"],
            f"{first}CS by the lot, completed (Wald)": of_cs["completed"]["moved"],
            f"{first}CS by the lot, minutes": 60 * of_cs["hours"]["moved"],
            # What the readings of one effect are held against: the plain and the adjusted speak of
            # everybody, the lot of those whom it moves.
            f"{recovery.READING}naive": of_cs["completed"]["everybody"],
            f"{recovery.READING}adjusted": of_cs["completed"]["everybody"],
            f"{recovery.READING}moved": of_cs["completed"]["moved"],
        }
    if abs(of_cohorts["completions"]) > 0.01:
        found["conversion a completion"] = of_cohorts["converted"] / of_cohorts["completions"]
    return found


def estimates(world: str, seed: int) -> list[tuple]:
    """The study's estimates of `truths`, its tests and recommendation, from tables of a seed."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "trialers").mkdir()
        (frames,) = trialers.parts(seed, 1, trialers.WORLDS[world])
        for name, frame in frames.items():
            frame.to_parquet(Path(folder, "trialers", f"{name}.parquet"), index=False)
        tables = open_study("trialers", folder)
        with per_customer(tables).cache() as customers:
            base = reduce(tables, customers)
            trusted = trust.trust(base, customers, tables)
            measured = metrics.metrics(base, customers)
            grown = experience.experience(base, customers)
    help_, done = helped.helped(base), steps.steps(base)
    decided = decision.decision(measured, trusted.trusted is not Verdict.REFUSED)
    found = _found(trusted, measured, help_, done, grown)
    rows = [(quantity, truth, *found[quantity]) for quantity, truth in truths(world).items()]
    rejected = _p_values(trusted, measured, help_, done, grown)
    rows += [(f"{recovery.TEST}{test}", math.nan, float(p <= ALPHA), math.nan, math.nan)
             for test, p in rejected.items() if p is not None and not math.isnan(p)]
    return rows + recovery.decided(Action, decided.action)


def _ends(found: Interval) -> tuple[float, float, float]:
    return found.estimate, found.low, found.high


def _region(estimate: float, region: Region) -> tuple[float, float, float]:
    """A region that is no interval leaves out too little to be told from one without ends."""
    if region.shape == INTERVAL:
        return estimate, region.low, region.high
    return estimate, -math.inf, math.inf


def _row(row, value: str, low: str, high: str) -> tuple[float, float, float]:
    return row[value], row[low], row[high]


def _found(trusted, measured, help_, done, grown) -> dict[str, tuple[float, float, float]]:
    """Estimates with their intervals, by the names of `truths`."""
    links, first = measured.mechanism.links, "first trouble: "
    channels = help_.complete.loc["first_channel"]
    plain = help_.complete.loc[("first", "CS")]
    found = {
        "split": _ends(trusted.split.share),
        "engagement": _ends(measured.engagement.difference),
        "conversion": _ends(measured.conversion.difference),
        "all three tasks": _ends(measured.guardrails.completion),
        "completions": _ends(done.instrument.completions),
        f"{first}CS chosen": _row(links.loc["cs"], "difference", "low", "high"),
        f"{first}task completed": _row(links.loc["finished"], "difference", "low", "high"),
        f"{first}CS as it comes, completed": _row(
            plain, "difference", "difference_low", "difference_high"),
        f"{first}CS as it comes, minutes": _row(
            help_.faster.loc[("first", "CS")], "difference", "difference_low", "difference_high"),
        f"{first}completed with OTHER": _row(plain, "other_rate", "other_rate_low",
                                             "other_rate_high"),
        "conversion a completion": (
            done.instrument.estimate, done.instrument.low, done.instrument.high)
        if done.instrument.kind == steps.BOUNDED else (
            done.instrument.estimate, -math.inf, math.inf),
    }
    found |= {f"{first}completed with {channel}": _row(row, "rate", "rate_low", "rate_high")
              for channel, row in channels.iterrows()}
    found |= {f"converted after {k}": _row(row, "rate", "low", "high")
              for k, row in done.levels.iterrows()}
    found |= {f"task {k} completed": _row(row, "rate", "low", "high")
              for k, row in grown.by_task.iterrows()}
    if help_.moved:
        moved = help_.moved.effects
        completed, minutes = moved["completed"], moved["minutes"]
        found |= {
            f"{first}CS by the lot, completed": _region(
                completed.effect.estimate, completed.region),
            f"{first}CS by the lot, completed (Wald)": _ends(completed.effect),
            f"{first}CS by the lot, minutes": _region(minutes.effect.estimate, minutes.region),
        }
    return found | {f"{recovery.READING}{reading}": _row(row, "estimate", "low", "high")
                    for reading, row in help_.readings.iterrows()}


def _p_values(trusted, measured, help_, done, grown) -> dict[str, float]:
    """The p-values that the study shows, each without the correction for the others."""
    found = {"split as planned": trusted.split.p_exact}
    found |= {f"cohorts alike: {check}": p for check, p in trusted.checks.p_value.items()}
    found |= {f"metrics: {name}, {family}": p
              for (family, name), p in measured.tests.p_value.items()
              if family != "guardrail"}  # which is the check "untouched"
    found |= {f"subgroups alike: {outcome}, {dimension}": p
              for (outcome, dimension), p in measured.interactions.p_value.items()}
    found |= {f"drift over the hours: {outcome}": p
              for outcome, p in measured.drift.p_value.items()}

    rates, faster = help_.complete.p_value, help_.faster
    found |= {f"completed with CS: {value}, {by}": rates[by, value]
              for by, value in rates.index if by in ("first", "all", "first_channel")}
    if "first" in help_.adjusted:
        adjusted = help_.adjusted["first"].difference
        found["completed with CS: adjusted"] = float(adjusted.contains(0))  # 0: rejected
    of_cs = faster.loc[("first", "CS")]
    found |= {"faster with CS: log-rank": of_cs.log_rank_p, "faster with CS: Cox": of_cs.p_value,
              "faster with CS: proportional hazards": of_cs.changes_p}
    found |= {f"who chooses CS: {trait}": p for trait, p in help_.choice.p_value.items()}
    if help_.moved:
        found |= {f"CS by the lot: {outcome}": effect.p_value
                  for outcome, effect in help_.moved.effects.items()}
        found |= {f"cohorts alike before the widget: {trait}": p
                  for trait, p in help_.moved.alike.p_value.items()}

    steps_ = {"trend": done.trend.p_value, "logit": done.logistic.p_value,
              "curved": done.logistic.curvature_p, "last step": done.last_first_p,
              "by the lot": done.instrument.p_value}
    steps_ |= {f"step {step}": p for step, p in done.jumps.p_value.items()}
    steps_ |= {f"alike by {between}": p for between, p in done.interactions.p_value.items()}
    found |= {f"conversion by completions: {name}": p for name, p in steps_.items()}

    for column, name in (("p_value", "trend"), ("bend_p", "bend"), ("parts_p", "parts")):
        found |= {f"success over the hours: {outcome}, {name}": p
                  for outcome, p in grown.by_hour[column].items()}
    found |= {f"task against task: {later} and {earlier}": p
              for (later, earlier), p in grown.naive.p_value.items()}
    found |= {f"task against task, same people: {what}, {later} and {earlier}": p
              for (what, later, earlier), p in grown.same.p_value.items()}
    return found
