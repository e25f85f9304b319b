"""What the chapter says of the log's origin follows from the signs, on every kind of table."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "experiment"), str(TESTS / "forensics")]

from test_experiment_reductions import as_seen, messy, tables  # noqa: E402
from trialer_worlds import WORLDS  # noqa: E402

from analysis.experiment import real as study  # noqa: E402
from analysis.experiment import reductions  # noqa: E402
from analysis.forensics import measured  # noqa: E402
from analysis.forensics.verdict import Reading  # noqa: E402
from analysis.report import forensics  # noqa: E402
from analysis.report.experiment import real as report  # noqa: E402
from analysis.report.text import Prose  # noqa: E402
from analysis.simulate import trialers  # noqa: E402

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}


ORIGIN = "/data/<b>=| `x` $a_$"


def told(frames: dict[str, pd.DataFrame]) -> SimpleNamespace:
    held = tables(frames)
    with reductions.per_customer(held).cache() as customers:
        base = reductions.reduce(held, customers)
        found = study.real(base, customers, held)
    return SimpleNamespace(**vars(base), origin=ORIGIN, shipped=False, fallback=False, real=found)


def small(**changed) -> dict[str, pd.DataFrame]:
    """300 simulated trialers, with other columns where told."""
    frames = as_seen(trialers.generate(3, 300 / 12_000)[0])
    for name, columns in changed.items():
        frames[name] = frames[name].assign(**columns)
    return frames


def without_help() -> dict[str, pd.DataFrame]:
    frames = small(conversion={"converted": 0, "converted_at": pd.NaT})
    return frames | {"help_activity": frames["help_activity"].iloc[:0]}


def by_the_minute() -> dict[str, pd.DataFrame]:
    frames = small()
    for name in ("product_activity", "help_activity"):
        frames[name]["timestamp"] = frames[name]["timestamp"].dt.floor("min")
    return frames


def two_each() -> dict[str, pd.DataFrame]:
    frames = small()
    activity = frames["product_activity"]
    cohorts = frames["test_cohorts"]
    starters = cohorts[cohorts["customer_id"].isin(activity["customer_id"])]
    kept = starters.groupby("cohort").head(2)["customer_id"]
    return {name: frame[frame["customer_id"].isin(kept)] for name, frame in frames.items()
            if "customer_id" in frame}


CASES = {
    "recorded": lambda: WORLDS["recorded"](1, 4_000),
    "uniform": lambda: WORLDS["uniform"](2, 4_000),
    "messy": lambda: messy(2, 600),
    "40": lambda: as_seen(trialers.generate(3, 40 / 12_000)[0]),
    "two each": two_each,
    "no help": without_help,
    "all CS": lambda: small(help_activity={"channel": "VIDEO"}),
    "all converted": lambda: small(conversion={"converted": 1}),
    "minutes": by_the_minute,
}


@pytest.fixture(scope="module")
def cases(trialers_study):
    found = {"shipped": SimpleNamespace(**vars(trialers_study) | {"origin": ORIGIN})}

    def get(name):
        if name not in found:
            found[name] = told(CASES[name]())
        return found[name]

    return get


def check(found: Prose, name: str) -> None:
    """No gap, no wrong number of a noun, no data that acts as markup."""
    assert isinstance(found, Prose), name
    plain = found.replace("\\", "")
    assert not re.search(r"\b(nan|inf|None(?! of)|NaT|True|False)\b", plain), (name, found)
    assert "|" in found or not re.search(r"[({]\s*[)}]|\s[.,;](?!\d)|\.\.|  ", found), (name, found)
    nouns = "customers|events|faults|pairs|kinds|repeats|seconds|degrees|hours|minutes"
    assert not re.search(rf"(?<![\d.,])1 ({nouns})\b", plain), (name, found)
    assert not re.search(
        r"(?<![\d.,])(?!1 )\d+ (customer|event|fault|pair|kind|repeat|degree|hour)\b", plain), name
    for markup in ("<b>", "`x`", "$a_$"):
        assert markup not in found, (name, found)
    if "|" not in found:
        assert found.endswith((".", "**")), (name, found)


@pytest.mark.parametrize("name", ("shipped", *CASES))
def test_every_sentence_on_every_table(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in ("shipped", "40"):
                found.draw()
        else:
            assert found, (name, function)
            check(found, f"{name}: {function}")


def test_the_shipped_tables_are_synthetic_whatever_the_rule_says(cases):
    s = cases("shipped")
    text = report.answer(s)
    assert s.real.verdict.reading == Reading.NOTHING
    assert text.startswith("**Simulated, but the tables alone don’t give it away**: 6 kinds of")
    assert "1 speaks for a made one (the shapes of durations)" in text
    assert "synthetic" in text and "not published" in text
    assert "gives no verdict here is no accident" in report.means(s)
    assert "it can’t be told" in report.verdict(s)
    assert "are too simple" in report.durations(s) and "log-normal" in report.durations(s)
    assert "alike from task to task" in report.people(s)
    assert "is not shown to" not in report.people(s)
    assert "nothing is shown that a Poisson process" in report.arrivals(s)
    assert "43 events are lost or out of order" in report.log(s)
    for reading, start in ((Reading.SIMULATED, "**Simulated, and it shows**"),
                           (Reading.RECORDED, "**Simulated, but only because we know it**")):
        other = SimpleNamespace(**{**vars(s), "real": replace(
            s.real, verdict=replace(s.real.verdict, reading=reading))})
        assert report.answer(other).startswith(start)
        check(report.means(other), "means")


def test_own_tables_are_told_by_the_rule(cases):
    real = cases("recorded")
    assert report.answer(real).startswith("**It looks real**")
    assert "synthetic" not in report.answer(real) + report.means(real)
    assert "still better asked than inferred" in report.means(real)
    assert "done twice within seconds" in report.log(real)
    assert "none of the simple shapes" in report.durations(real)
    made = cases("uniform")
    assert report.answer(made).startswith("**Simulated, by a simple generator**")
    assert "for a made log (" in report.answer(made)
    assert "Ask for the log of the product" in report.means(made)
    assert "as if there were no night" in report.arrivals(made)
    assert "there is no person" in report.people(made)
    assert "as a simple generator has them" in report.durations(made)
    open_ = cases("messy")
    assert report.answer(open_).startswith("**That can’t be told from the tables**")
    assert "\\<b\\>" in report.means(open_) and "one answer tells more" in report.means(open_)


def test_what_cannot_be_looked_at_is_not_told(cases):
    few = cases("two each")
    assert report.durations(few).startswith("There are too few durations")
    assert isinstance(report.durations_figure(few), Prose)
    assert "None of the pairs" in report.people(few)
    nobody = cases("no help")
    assert "None of the pairs" in report.people(nobody)
    assert "the clock shows minutes only" in report.signs_table(cases("minutes"))
    messy_ = cases("messy")
    assert "out of order, far too many" in report.log(messy_)
    late = SimpleNamespace(**{**vars(few), "real": replace(
        few.real, rhythm=None, arrived=np.zeros(1_440, dtype=int))})
    assert report.arrivals(late).startswith("Nobody started") and isinstance(
        report.arrivals_figure(late), Prose)


def with_readings(s, reading: Reading, *signs: str) -> SimpleNamespace:
    frame = s.real.verdict.signs.copy()
    frame["reading"] = "nothing"
    frame.loc[list(signs), "reading"] = reading.value
    return SimpleNamespace(**{**vars(s), "real": replace(
        s.real, verdict=replace(s.real.verdict, signs=frame))})


def test_every_branch_of_the_sentences(cases):
    s = cases("shipped")
    nothing = with_readings(s, Reading.NOTHING)
    assert "not shown, all signs allowed for" in report.log(nothing)
    assert "not enough to count" in report.durations(nothing)
    assert "is not shown (correlations" in report.people(nothing)
    assert "gather around 13:" in report.arrivals(nothing)
    made = with_readings(s, Reading.SIMULATED, *s.real.verdict.signs.index)
    assert "too even from one span to the next, at too even distances and too seldom" in (
        report.arrivals(made))
    assert "one simple shape (gamma)" in report.arrivals(made)
    assert "Too exact: the cohorts have" in report.log(made) and "small blocks" in report.log(made)
    real = with_readings(s, Reading.RECORDED, *s.real.verdict.signs.index)
    assert "more in the same second than chance puts there: something" in report.arrivals(real)
    assert "Actions are done twice within seconds, some times are" in report.log(real)
    for changed in (nothing, made, real):
        for function in ("arrivals", "people", "durations", "log"):
            check(FUNCTIONS[function](changed), function)
    bare = SimpleNamespace(**{**vars(nothing), "real": replace(nothing.real, allocation=None)})
    assert report.log(bare) == "Neither faults nor habits of a log are shown."
    flat = replace(s.real.rhythm, p_cycle=0.4)
    calm = SimpleNamespace(**{**vars(nothing), "real": replace(nothing.real, rhythm=flat)})
    assert report.arrivals(calm).startswith("No course of the day is shown")
    open_ = {name: replace(f, p_simple=0.5, p_other=0.5) for name, f in s.real.shapes.items()}
    unsure = SimpleNamespace(**{**vars(nothing), "real": replace(nothing.real, shapes=open_)})
    assert "it is not shown that they have a simple shape" in report.durations(unsure)


def test_signs_and_kinds_are_all_told(cases):
    v = cases("shipped").real.verdict
    assert set(report.FOUND) == set(v.signs.index) <= set(forensics.SIGNS)
    assert set(v.kinds.index) <= set(forensics.KINDS)
    assert set(report.PAIRS) == set(study.EXPECTED)
    assert set(report.DURATIONS) == set(report.SPOKEN) == set(study.DURATIONS)
    assert set(report.WORLDS) == set(WORLDS) and set(report.CAREFUL) < set(WORLDS)
    rows = report.signs_table(cases("shipped")).splitlines()[2:]
    for reading, word in ((Reading.RECORDED, "recorded"), (Reading.SIMULATED, "made")):
        told_so = sum(row.rstrip(" |").endswith(word) for row in rows)
        assert told_so == (v.signs["reading"] == reading.value).sum()
    assert set(report.SAME) == set(cases("shipped").real.people.index.get_level_values("what"))


def test_reliability_is_told_as_it_was_measured():
    found = measured.confusion(measured.TRIALERS)
    text = report.reliability(None)
    assert text.startswith("None of 200 tables that look recorded") and "customers" in text
    assert "Careful imitations pass" in text and " rows" not in text
    table = report.confusion_table(None).splitlines()
    assert len(table) == 2 + len(WORLDS) and "12,000 customers" in table[0]
    row = found.loc[("shipped", 12_000)]
    assert f"{row['simulated']:.0f} / {row['nothing']:.0f} / {row['recorded']:.0f}" in table[3]


def test_figures_show_what_they_say(cases):
    s = cases("shipped")
    data = report.arrivals_figure(s).data
    assert len(data) == 96 and data["n"].sum() == s.real.rhythm.n
    ratio = report.durations_figure(s).data
    assert ratio["panel"].nunique() == 3 and ratio["ratio"].between(0.5, 1.5).all()
    inside = ratio["ratio"].between(ratio["low"], ratio["high"])
    simple = ratio["panel"].str.contains("trouble, task 1|Between")
    assert inside[simple].mean() > 0.85
