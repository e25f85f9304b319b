"""What the chapter says of the table's origin follows from the signs, on every kind of table."""

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
sys.path[:0] = [str(TESTS / "churn"), str(TESTS / "forensics")]

import held  # noqa: E402
from forensics_worlds import WORLDS  # noqa: E402
from test_churn_reductions import subscribers  # noqa: E402

from analysis.churn import real as study  # noqa: E402
from analysis.churn import reductions  # noqa: E402
from analysis.forensics import measured  # noqa: E402
from analysis.forensics.verdict import Reading, Sign, judge  # noqa: E402
from analysis.report import forensics  # noqa: E402
from analysis.report.churn import real as report  # noqa: E402
from analysis.report.text import Prose  # noqa: E402

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
MARKUP = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")
NEVER_EMPTY = set(FUNCTIONS) - {"copied", "recommendation"}


ORIGIN = "/data/<b>x"


def told(frame: pd.DataFrame) -> SimpleNamespace:
    table = held.subscribers(frame)
    base = reductions.reduce(table)
    return SimpleNamespace(
        **vars(base), origin=ORIGIN, shipped=False, fallback=False, real=study.real(table, base))


CASES = {
    "recorded": lambda: WORLDS["recorded"](3, 3_500),
    "bells": lambda: WORLDS["bells"](3, 3_500),
    **{str(n): lambda n=n: subscribers(n, n) for n in (1, 2, 3, 40)},
    "nobody churned": lambda: subscribers(1, 200, churned=0),
    "all churned": lambda: subscribers(2, 200, churned=1),
    "constants": lambda: subscribers(
        4, 200, subscription_months=7, satisfaction_score=10.0, profiles=1, age=30,
        monthly_income=0.0, daily_watch_hours=0.0, engagement_rate=1.0, support_queries=0),
    "markup": lambda: subscribers(
        6, 300, **{column: np.random.default_rng(i).choice(MARKUP, 300)
                   for i, column in enumerate(("genre", "region", "device", "plan"))}),
}


@pytest.fixture(scope="module")
def cases(netflix_study):
    found = {"shipped": SimpleNamespace(**vars(netflix_study) | {"origin": ORIGIN})}

    def get(name):
        if name not in found:
            found[name] = told(CASES[name]())
        return found[name]

    return get


def check(found: Prose, name: str) -> None:
    """No gap, no wrong number of a noun, no data that acts as markup."""
    assert isinstance(found, Prose), name
    plain = re.sub(r"\\", "", found)
    assert not re.search(r"\b(nan|inf|None(?! of)|NaT|True|False)\b", plain), (name, found)
    assert "|" in found or not re.search(r"[({]\s*[)}]|\s[.,;](?!\d)|\.\.|  ", found), (name, found)
    nouns = "subscribers|pairs|months|kinds|tables|signs"
    assert not re.search(rf"(?<![\d.,])1 ({nouns})\b", found), (name, found)
    assert not re.search(r"(?<![\d.,])(?!1 )\d+ (subscriber|pair|kind|table)\b", found), name
    for markup in ("<b>", "[now](", "`x`"):
        assert markup not in found, (name, found)
    if "|" not in found:
        assert found.endswith("."), (name, found)


@pytest.mark.parametrize("name", ("shipped", *CASES))
def test_every_sentence_on_every_table(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in ("shipped", "40"):
                found.draw()
        elif found:
            if function == "recommendation":
                found = Prose(found.removesuffix(")."))  # ends with a reference
                found = Prose(f"{found}).")
            check(found, f"{name}: {function}")
        else:
            assert function not in NEVER_EMPTY, (name, function)


def test_the_shipped_table_is_found_out_and_says_so_of_itself(cases):
    s = cases("shipped")
    assert "this table was made" in report.verdict(s)
    assert "it was made, by a generator" in report.question(s)
    copied = report.copied(s)
    assert "copied from the source" in copied and "say nothing about the source" in copied
    assert "24 months" in copied and "nobody rounds" in copied
    assert "can't show how subscribers behave" in report.follows(s)
    assert "the source’s table comes from" in report.recommendation(s)
    assert "Churn stops at once after 24 months" in report.cliff(s)
    assert "closer to each other than chance allows" in report.cliff(s)
    assert "are shown to be even" in report.spread(s) and "are not even" in report.spread(s)
    assert "synthetic" in report.answer(s)


def test_a_recorded_table_is_left_alone(cases):
    s = cases("recorded")
    assert "looks recorded" in report.verdict(s) and "careful imitation" in report.verdict(s)
    assert report.copied(s) == "" and report.recommendation(s) == ""
    assert "nothing here forbids" in report.follows(s)
    assert "falls with the months, as rates of leaving do" in report.cliff(s)
    assert "none of the marks of a simple generator" in report.answer(s)
    assert "not as uniform" in report.pairs(s) and "closest tie" in report.pairs(s)
    assert "8 do" in report.ties(s)


def test_an_own_made_table(cases):
    s = cases("bells")
    assert "was made" in report.verdict(s) and report.copied(s) == ""
    assert "\\<b\\>x" in report.question(s) and "synthetic" not in report.answer(s)
    assert report.recommendation(s).startswith("**Ask where the table comes from")
    assert "8 are shown not to" in report.ties(s)
    assert "is shown to run level" in report.cliff(s)
    assert "is not shown to be one" in report.pairs(s)


def test_what_cannot_be_told_is_not_told(cases):
    one = cases("1")
    assert "None of the signs can be looked at" in report.verdict(one)
    assert report.pairs_figure(one) == report.ties_table(one) == forensics.NO_PAIRS
    assert report.spread_figure(one) == forensics.NO_NUMBERS
    assert "can't be told" in report.answer(one)
    assert "has to be asked" in report.follows(one)
    assert "can't be told from the table itself" in report.recommendation(one)
    small = cases("40")
    assert "can’t be told" in report.verdict(small)
    assert "so missing ones say little" in report.pairs(small)
    assert report.cliff(cases("nobody churned")).startswith("Nobody has churned")
    assert report.cliff(cases("all churned")).startswith("Everybody has churned")


def test_every_branch_of_the_churn_sentence(cases):
    s = cases("shipped")
    r = s.real

    def cliff(**changed) -> str:
        signs = r.verdict.signs.copy()
        for sign, reading in changed.pop("readings", {}).items():
            signs.loc[sign, "reading"] = reading
        verdict = replace(r.verdict, signs=signs)
        return report.cliff(SimpleNamespace(
            **{**vars(s), "real": replace(r, verdict=verdict, **changed)}))

    assert "doesn't stop anywhere" in cliff(cliff=None, edge=None)
    assert "instead of tapering off" in cliff(edge=None)
    silent = {"trend": "nothing", "too_constant": "nothing"}
    text = cliff(readings=silent)
    assert "not shown to fall, nor to run level" in text and "closer" not in text
    falling = replace(r.flat, p_trend=0.01, size=-0.2)
    assert "falls with the months, if it is looked at alone" in cliff(flat=falling, readings=silent)
    rising = replace(r.flat, p_trend=0.01, size=0.2)
    assert "rises with the months" in cliff(flat=rising, readings=silent)
    assert "as rates of leaving do" in cliff(readings={"trend": "recorded"})
    assert cliff(flat=None, readings=silent).endswith("trickle.")


SPREAD, TIES = forensics.KINDS["spread"][0], forensics.KINDS["ties"][0]


@pytest.mark.parametrize(("signs", "expected"), [
    ([("spread", 0, 1), ("ties", 0, 1)],
     f"Both kinds of signs speak for a made table ({SPREAD} and {TIES}). "),
    ([("spread", 0, 1), ("ties", 1, 1)],
     f"Of 2 kinds of signs 1 speaks for a made table ({SPREAD}), and none for a recorded one. "),
    ([("spread", 1, 0), ("ties", 1, 0), ("rate", 1, 1)],
     f"Of 3 kinds of signs 2 speak for a recorded table ({SPREAD} and {TIES}), and none for a made "
     "one. "),
    ([("spread", 0, 1), ("ties", 1, 0)],
     f"Of 2 kinds of signs 1 speaks for a made table ({SPREAD}) and 1 speaks for a recorded one "
     f"({TIES}). "),
    ([("spread", 1, 1)],
     "Of 1 kind of signs none speaks for a made table, and none for a recorded one. "),
    ([("spread", 1, 0)],
     f"Of 1 kind of signs 1 speaks for a recorded table ({SPREAD}), and none for a made one. "),
    ([("spread", 1, 0), ("ties", 1, 0), ("rate", 1, 0)],
     "All 3 kinds of signs speak for a recorded table ("),
])
def test_verdict_names_its_reasons(signs, expected):
    found = judge([Sign(f"s{i}", kind, float(p), float(q)) for i, (kind, p, q) in enumerate(signs)])
    text = forensics.verdict(found, "it")
    assert text.startswith(expected)
    ends = {Reading.SIMULATED: "**it was made**", Reading.RECORDED: "**it looks recorded**",
            Reading.NOTHING: "**it can’t be told**"}
    assert ends[found.reading] in text


def test_ties_sentence_counts(cases):
    s = cases("shipped")

    def ties(*findings: str) -> str:
        named = s.real.named.iloc[: len(findings)].assign(finding=list(findings))
        return report.ties(SimpleNamespace(**{**vars(s), "real": replace(s.real, named=named)}))

    assert ties("present", "absent", "open").startswith(
        "Of 3 pairs that have to go together, 1 does, 1 is shown not to (")
    assert ties("present", "absent", "open").endswith(
        " and 1 stays open; 5 more can't be looked at here.")
    assert ties("open").startswith("Of 1 pair that has to go together, 1 stays open")
    assert ties(*["present"] * 8) == "Of 8 pairs that have to go together, 8 do."
    assert "None of the pairs" in ties()


def test_signs_are_all_told(cases):
    s = cases("shipped")
    assert set(report.FOUND) == set(s.real.verdict.signs.index)
    assert set(report.FOUND) | set(s.real.published.verdict.signs.index) <= set(forensics.SIGNS)
    assert set(s.real.verdict.kinds.index) <= set(forensics.KINDS)
    assert set(report.REASONS) == set(study.EXPECTED)
    rows = report.signs_table(s).splitlines()[2:]
    assert len(rows) == len(report.FOUND)
    made = (s.real.verdict.signs["reading"] == "simulated").sum()
    assert sum(row.rstrip(" |").endswith("made") for row in rows) == made
    assert len(report.kinds_table(s).splitlines()) == 2 + 5


def test_the_source_is_told_from_its_figures(cases):
    s = cases("bells")
    assert "preferred genre, region and main device are shown to be equal shares" in (
        report.published_shares(s))
    assert "those of subscription plan are not" in report.published_shares(s)
    assert "Of 7 printed means, those of months of subscription, age" in report.published_means(s)
    means = s.real.published.means
    off = means[means["p_off"] < 0.001]
    assert (off["offset"] > 0).all()  # "lie above it"
    assert "the table behind the source was made" in report.published_verdict(s)
    assert "cliff" in report.published_relations(s)
    assert f"churn of {study.PUBLISHED_RATE:.0%} up to its last" in report.published_relations(s)


def test_reliability_is_told_as_it_was_measured():
    rows = (("recorded", 100, 1, 90, 9), ("recorded", 200, 0, 100, 0), ("shipped", 100, 10, 0, 10),
            ("shipped", 200, 20, 0, 0), ("copied", 100, 0, 3, 1), ("copied", 200, 0, 4, 0))
    found = measured.confusion(rows)
    assert found.loc[("recorded", 100), "wrong"] == 0.01
    text = forensics.confusion_sentence(found)
    assert text.startswith("1 of 200 tables that look recorded was judged made") and "5.4%" in text
    assert "95% of them recorded" in text
    assert "100% were found out with 200 rows, 50% with 100" in text and "none was judged" in text
    assert "88% of those were judged recorded" in text
    none = measured.confusion((("recorded", 100, 0, 90, 10), ("bells", 100, 8, 2, 0),
                               ("copied", 100, 0, 3, 1)))
    assert forensics.confusion_sentence(none).startswith("None of 100 tables that look recorded")
    assert "2 were judged recorded" in forensics.confusion_sentence(none)
    table = forensics.confusion_table(found).splitlines()
    assert "1 / 9 / 90" in table[2] and "20 / 0 / 0" in table[3] and len(table) == 5
    check(report.reliability(None), "stored")
    assert len(report.confusion_table(None).splitlines()) == 2 + len(WORLDS)


def test_figures_show_what_they_say(cases):
    s = cases("shipped")
    data = report.pairs_figure(s).data
    inner = s.real.pairs.drop(index="churned", level="second")
    assert len(data) == len(inner) + 2 and data["share"].is_monotonic_increasing
    spread = report.spread_figure(s).data
    assert spread["panel"].nunique() == 4 and spread["density"].between(0.8, 1.2).all()
    assert isinstance(forensics.p_values_figure([0.2]), Prose)
    assert isinstance(forensics.density_figure(pd.DataFrame(
        columns=["panel", "from_value", "to_value", "density"]), "x"), Prose)
