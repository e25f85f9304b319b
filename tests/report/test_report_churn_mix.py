"""What the chapter says about genres, regions, devices and plans follows from their counts."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.churn import mix as study
from analysis.report.churn import mix as report
from analysis.report.text import Prose

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}
MARKUP = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")


def made(genre, region=(5, 4, 1), device=(10,), plan=(6, 4), names=None, churned=3):
    """Subscribers with these counts by genre, region, device and plan."""
    tables = {}
    for factor, counts in zip(study.FACTORS, (genre, region, device, plan), strict=True):
        called = names or [f"{factor[0].upper()}{i}" for i in range(len(counts))]
        tables[factor] = pd.DataFrame({"value": called[:len(counts)], "subscribers": counts})
    n = int(sum(genre))
    base = SimpleNamespace(subscribers=n, churn_by_category=tables)
    return SimpleNamespace(subscribers=n, churned=min(churned, n), mix=study.mix(base))


SHIPPED = {"genre": (733, 704, 697, 685, 681), "region": (607, 604, 600, 568, 561, 560),
           "device": (892, 877, 876, 855), "plan": (1714, 1069, 717)}
CASES = {
    "shipped": SHIPPED,
    "top shown": {"genre": (500, 400, 300, 60, 40), "region": (800, 300, 200)},
    "top shown, order open": {"genre": (400, 398, 396, 60, 46), "region": (450, 445, 405)},
    "one of the top shown": {"genre": (600, 180, 178, 175, 167), "region": (500, 490, 160, 150)},
    "partly ordered": {"genre": (215, 212, 210, 208, 155), "region": (700, 300)},
    "equal": {"genre": (200,) * 5, "region": (510, 490), "plan": (500, 500), "device": (250,) * 4},
    "three genres": {"genre": (40, 35, 30), "region": (60, 45)},
    "one of each": {"genre": (40,), "region": (40,), "device": (40,), "plan": (40,)},
    "one subscriber": {"genre": (1,), "region": (1,), "device": (1,), "plan": (1,), "churned": 0},
    "two subscribers": {"genre": (1, 1), "region": (1, 1), "device": (2,), "plan": (1, 1),
                        "churned": 2},
    "five subscribers": {"genre": (1,) * 5, "region": (3, 2), "device": (2, 2, 1), "plan": (5,)},
    "many values": {"genre": tuple(range(60, 30, -1)), "region": (1,) * 45, "churned": 0},
    "odd names": {"genre": (30, 20, 10), "region": (30, 20, 10), "device": (25, 24, 11),
                  "plan": (40, 15, 5), "names": list(MARKUP)},
    "long names": {"genre": (9, 8, 7, 6), "region": (20, 10),
                   "names": [f"A very long name that goes on {i}" for i in range(4)]},
}
DRAWN = ("odd names", "long names", "two subscribers", "many values")


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = made(**CASES[name])
        return found[name]

    return get


@pytest.mark.parametrize("name", list(CASES))
def test_nothing_is_told_that_is_no_number(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose) and found.strip(), (name, function)
        plain = re.sub(r"\\", "", found)
        assert not re.search(r"\b(nan|inf|None|NaT)\b", plain), (name, function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.", found), (name, function, found)
        assert not re.search(
            r"(?<![\d.,])1 (subscribers|genres|regions|devices|plans|pairs)\b", found), found
        assert not re.search(r"(?<![\d.,])([02-9]|\d\d+) (subscriber|genre|region|device|plan)\b",
                             found), found
        if "|---" not in plain and "|:--" not in plain:
            assert "  " not in found, (name, function, found)
            assert found.endswith("."), (name, function, found)
            assert found[0].isupper(), (name, function, found)


def test_even_shares_are_told_as_not_shown_and_bounded(cases):
    text = report.equal(cases("shipped"))
    assert text.startswith("By genre, region and device, the shares are not shown to differ")
    assert "so the values are about equally common" in text and "By plan the shares differ" in text
    assert "medium by Cohen’s convention" in text
    row = cases("shipped").mix.tests.loc["genre"]
    assert f"within {100 * row['deviation_high']:.1f} percentage points of 20.0% by genre" in text
    few = report.equal(cases("five subscribers"))
    assert "is all that can be said, which leaves room for differences that matter" in few
    assert "about equally common" not in few
    assert report.equal(cases("one of each")) == report.ALIKE == report.answer(cases("one of each"))


def test_a_word_for_each_size_of_w():
    assert [report._size(w) for w in (0.05, 0.2, 0.4, 0.6)] == [
        "below what Cohen calls small", "small by Cohen’s convention",
        "medium by Cohen’s convention", "large by Cohen’s convention"]


def test_the_first_three_genres(cases):
    shipped = report.top(cases("shipped"))
    assert "it is shown of none which is the more popular" in shipped
    assert "every genre may have any rank from first to last" in shipped
    assert "by 681 to 733 subscribers each" in shipped and "differ by 52." in shipped
    assert "G0, G1 and G2, are shown to be the first three, in this order." in report.top(
        cases("top shown"))
    assert "G0, G1 and G2, are shown to be the first three; in which order is left open." in (
        report.top(cases("top shown, order open")))
    assert "Of the first three, G0 is shown to belong there; of G1 and G2 it is not shown." in (
        report.top(cases("one of the top shown")))
    partly = report.top(cases("partly ordered"))
    assert "It is shown of no genre among the first three, G0, G1 and G2, that it" in partly
    assert "Each of the five genres is preferred by 200 subscribers." in report.top(cases("equal"))
    assert "There are only three genres" in report.top(cases("three genres"))
    assert report.top(cases("one of each")) == "All subscribers prefer the same genre, G0."
    # Where a count is too small for the normal approximation, none is told.
    assert "to be told apart" not in report.top(cases("five subscribers"))


def test_most(cases):
    said = {name: report.most(cases(name)) for name in CASES}
    assert "which is not most of them: a majority in any two regions is excluded" in said["shipped"]
    assert "It takes three of six regions to hold more than half." in said["shipped"]
    assert "most are in R0 alone." in said["top shown"]
    assert said["one of the top shown"].endswith("most subscribers are in these two.")
    assert said["partly ordered"].endswith("most subscribers are in that one region.")
    assert "the other region has the rest" in said["equal"]
    assert said["one of each"] == "All subscribers are in the same region, R0."
    open_two = made((1000,), region=(260, 250, 245, 245))
    assert "whether that is more than half is left open. It takes two" not in report.most(open_two)
    assert "together, and whether that is more than half is left open." in report.most(open_two)
    table = report.majority_table(cases("shipped"))
    assert table.count("| no ") == 5 and table.count("| open ") == 2 and table.count("| yes ") == 1
    assert "No two regions hold a majority." in report.answer(cases("shipped"))
    assert "majority" not in report.answer(cases("top shown"))


def test_answer_and_meaning_follow(cases):
    answers = {name: report.answer(cases(name)) for name in CASES}
    assert answers["shipped"].startswith(
        "Subscribers are spread about evenly over genres, regions and devices, and none of these")
    assert "; they divide unevenly by plan (P0 is the largest, with 49.0%," in answers["shipped"]
    assert answers["five subscribers"].startswith(
        "That subscribers are spread unevenly over genres, regions and devices is not shown")
    assert answers["top shown"].startswith("That subscribers are spread unevenly over plans is not")
    assert "; they divide unevenly by genre (G0 is the largest, with 38.5%," in answers["top shown"]
    meaning = {name: report.means(cases(name)) for name in CASES}
    assert "no ground for what to advertise" in meaning["shipped"]
    assert meaning["top shown"].startswith("The first three genres may be named as such.")
    assert meaning["one of the top shown"].startswith("Of the first three genres, G0 can be named")
    assert "Where most subscribers are can be told" in meaning["top shown"]
    assert "The regions do not tell where to grow" in meaning["shipped"]
    assert meaning["one of each"] == "Nothing here calls for a decision."


def test_orders(cases):
    text = report.orders(cases("shipped"))
    assert "0 of 10 pairs of genres" in text and "3 of 3 pairs of plans" in text
    assert text.endswith("Shown in full is the order of the plans, P0, P1 then P2.")
    assert "Shown in full" not in report.orders(cases("equal"))


def test_who_is_counted(cases):
    assert "with those who have churned" in report.limits(cases("shipped"))
    assert "none of whom has churned" in report.limits(cases("many values"))
    assert "all of whom have churned" in report.limits(cases("two subscribers"))
    assert report.who(cases("one subscriber")) == (
        "The table holds 1 subscriber, of 1 genre, 1 region, 1 device and 1 plan.")


def test_tables_show_every_value_or_count_the_rest(cases):
    rows = report.shares_table(cases("shipped")).splitlines()[2:]
    assert len(rows) == 5 + 6 + 4 + 3
    many = report.shares_table(cases("many values")).splitlines()[2:]
    assert len(many) == 2 * (report.MOST_SHOWN + 1) + 1 + 2
    assert sum("18 others together" in row for row in many) == 1
    figure = report.shares_figure(cases("many values"))
    assert figure.data.groupby("factor")["label"].size().max() == report.MOST_SHOWN
    counted = [int(row.split("|")[3].replace(",", "")) for row in many if row.startswith("| Genre")]
    assert sum(counted) == sum(CASES["many values"]["genre"])


def test_the_figure_has_the_intervals_and_the_equal_shares(cases):
    s = cases("shipped")
    data = report.shares_figure(s).data
    merged = data.set_index(["factor", "value"])
    pd.testing.assert_frame_equal(
        merged[["share", "low", "high"]], s.mix.shares[["share", "low", "high"]])
    assert data["label"].nunique() == 18
    long = report.shares_figure(cases("long names")).data
    assert long.groupby("factor")["label"].nunique()["genre"] == 4
    assert isinstance(report.shares_figure(cases("one of each")), Prose)


def test_data_values_stay_text(cases):
    s = cases("odd names")
    for name, f in FUNCTIONS.items():
        text = f(s)
        if isinstance(text, Prose):
            assert "<b>" not in text and "](x)" not in text and "`x`" not in text, name
            assert not re.search(r"(?<!\\)@fig", text), name


def test_labels_on_an_axis_are_never_alike():
    keys = [("genre", f"{'x' * 40}{i}") for i in range(5)] + [("region", "x"), ("plan", "x")]
    labels = report.axis_labels(keys)
    assert len(set(labels.values())) == len(keys)
    assert np.max([len(label.strip()) for label in labels.values()]) <= report.MOST_LABEL
