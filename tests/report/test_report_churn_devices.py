"""What the chapter says about engagement by device follows from the comparisons."""

from __future__ import annotations

import inspect
import re
from types import SimpleNamespace

import held
import numpy as np
import pandas as pd
import plotnine as p9
import pytest

from analysis.churn import devices as study
from analysis.churn.reductions import moments_by
from analysis.report.churn import devices as report
from analysis.report.text import Prose

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__
    and list(inspect.signature(f).parameters) == ["s"] and not name.startswith("_")
}
MARKUP = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)", "d")
SENTENCES = (
    "highest", "test", "yardstick", "margin", "pairs", "split", "answer", "means", "limits")


def made(sizes, means=(6.0,), sd=2.5, seed=1, shipped=False, names=None, regions=(), whole=True,
         traits=4):
    """Subscribers of devices with these numbers, true means and sd, and of the other traits."""
    rng = np.random.default_rng(seed)
    names = names or [f"D{i}" for i in range(len(sizes))]
    means = means if len(means) == len(sizes) else means * len(sizes)
    device = np.repeat(names[:len(sizes)], sizes)
    score = np.repeat(means, sizes) + sd * rng.standard_normal(len(device))
    region = rng.choice(["R0", "R1", "R2"], len(device))
    for i, shift in enumerate(regions):
        score[region == f"R{i}"] += shift
    score = np.clip(np.round(score) if whole else score, 1, 10)
    n = len(device)
    frame = pd.DataFrame({
        "device": device, "engagement_rate": score,
        "genre": rng.choice(["G0", "G1"], n) if traits > 1 else "G0",
        "region": region if traits > 2 else "R0",
        "plan": rng.choice(["P0", "P1", "P2"], n) if traits > 3 else "P0",
    })
    table = held.subscribers(frame)
    sd_of = float(frame["engagement_rate"].std()) if n > 1 else np.nan
    base = SimpleNamespace(
        subscribers=n,
        numbers={"engagement_rate": SimpleNamespace(mean=float(score.mean()), sd=sd_of)},
        engagement_by_device=moments_by(table, "device", "engagement_rate"))
    return SimpleNamespace(subscribers=n, shipped=shipped, devices=study.devices(base, table))


CASES = {
    "alike": {"sizes": (900, 880, 870, 860), "means": (7.0,), "sd": 3.2, "shipped": True},
    "apart": {"sizes": (300, 280, 290), "means": (7.5, 6.0, 4.5)},
    "small difference": {"sizes": (6000, 5800, 6100), "means": (6.0, 6.2, 6.25), "sd": 2.0},
    "open": {"sizes": (40, 35, 30)},
    "two devices": {"sizes": (2000, 1900), "means": (6.0, 6.05)},
    "two open": {"sizes": (20, 22)},
    "two apart": {"sizes": (120, 130), "means": (8.0, 3.0)},
    "narrow score": {"sizes": (100, 90, 80), "means": (5.0,), "sd": 0.3, "whole": False},
    "regions differ": {"sizes": (500, 480, 510), "regions": (-2, 0, 2), "seed": 4},
    "one device": {"sizes": (200,)},
    "alone": {"sizes": (200,), "traits": 1},
    "only devices": {"sizes": (150, 160), "traits": 1},
    "one subscriber": {"sizes": (1,)},
    "two subscribers": {"sizes": (1, 1)},
    "three subscribers": {"sizes": (2, 1)},
    "forty subscribers": {"sizes": (12, 11, 9, 8)},
    "all alike": {"sizes": (60, 50, 40), "means": (7.0,), "sd": 0.0},
    "alike within": {"sizes": (60, 50, 40), "means": (7.0, 5.0, 3.0), "sd": 0.0},
    "halves alike within": {"sizes": (60, 50, 40, 30), "means": (7.0, 7.0, 3.0, 3.0), "sd": 0.0},
    "one constant": {"sizes": (200, 180, 150), "means": (7.0, 6.8, 40.0)},
    "odd names": {"sizes": (300, 280, 270, 20), "means": (7.0, 5.0, 3.0, 6.0), "names": MARKUP},
    "many devices": {"sizes": tuple(range(60, 40, -1))},
}
DRAWN = ("odd names", "many devices", "three subscribers", "all alike", "two devices")


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
    assert set(SENTENCES) < set(FUNCTIONS)
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
        assert not re.search(r"(?<![\d.,])1 (subscribers|pairs|devices|points)\b", found), found
        if "|:--" not in plain:
            assert "  " not in found and found.endswith("."), (name, function, found)
            assert found[0].isupper() or found[0] == "\\", (name, function, found)


def test_alike_is_shown_and_not_merely_unshown(cases):
    s = cases("alike")
    assert "is not shown to differ by device" in report.test(s)
    assert "agrees (Kruskal–Wallis" in report.test(s)
    assert report.pairs(s).startswith(
        "Of 6 pairs of devices, none is shown to differ, and all are shown to lie within 0.5")
    assert report.answer(s).endswith("and all are shown to lie within 0.5 points of each other.")
    assert "Little or no engagement is to be won" in report.means(s)
    s = cases("open")
    assert "for all of them, neither is shown" in report.pairs(s)
    assert "within" not in report.answer(s)
    assert "larger differences are not excluded" in report.means(s)


def test_differences_are_told(cases):
    s = cases("apart")
    assert report.test(s).startswith("Mean engagement differs by device (F = ")
    assert "all are shown to differ, and none is shown to lie within" in report.pairs(s)
    assert report.answer(s).startswith("Engagement differs by device: their means span")
    assert "from D0 down to D2" in report.answer(s) and "is for an experiment" in report.means(s)
    assert "fewer than one in a thousand random divisions give so much" in report.split(s)
    assert "so the devices differ more than that choice explains" in report.split(s)
    small = cases("small difference")
    assert "yet all devices are shown to lie within 0.5 points" in report.answer(small)
    assert "The difference is shown, and it is small" in report.means(small)
    assert "all are shown to lie within" in report.pairs(small)


def test_two_devices(cases):
    assert report.split(cases("two devices")).startswith("With two devices to compare there is no")
    assert "and both are shown to lie within 0.5 points" in report.answer(cases("two devices"))
    alike = report.pairs(cases("two devices"))
    assert "not shown to differ" in alike
    assert "and the difference is shown to be smaller than 0.5 points" in alike
    assert "not shown to lie within 0.5 points" in report.pairs(cases("two open"))
    apart = report.pairs(cases("two apart"))
    assert "are shown to differ" in apart
    assert "that it is less than 0.5 points is not shown" in apart


def test_what_cannot_be_compared_is_said(cases):
    for name in ("one device", "one subscriber", "two subscribers", "alone"):
        s = cases(name)
        assert report.test(s) == report.pairs(s) == report.split(s) == report.FEW
        assert report.answer(s) == report.FEW and "nothing follows" in report.means(s)
    assert report.means_figure(cases("alone")) == report.FEW_ANY
    assert not isinstance(report.means_figure(cases("one device")), Prose)
    alike = cases("all alike")
    assert report.answer(alike) == report.means_figure(alike) == report.ALIKE
    within = cases("alike within")
    assert report.pairs(within) == report.pairs_table(within) == report.CONSTANT
    assert report.test(within).startswith("Welch's test needs scores that vary on every device")
    assert "are shown to differ" in report.test(within)
    assert report.answer(within).startswith("Engagement differs by device")
    assert report.split(cases("halves alike within")).startswith("Neither the scores of the two")
    one = report.test(cases("one constant"))
    assert "which they do not; by ranks, devices are shown to differ" in one


def test_the_yardstick_is_told_with_its_most_extreme_trait(cases):
    text = report.yardstick(cases("alike"))
    tests = cases("alike").devices.tests
    assert f"span {tests.loc['device', 'range']:.2f} points" in text
    assert f"span {tests.loc['device', 'range_expected']:.2f} on average" in text
    regions = report.yardstick(cases("regions differ"))
    assert "Had somebody asked by region instead of by device, a larger difference" in regions
    assert "yet one that chance gives" not in regions
    assert "fewer than one in a thousand random divisions go as far" in regions
    assert "The span is" not in report.yardstick(cases("only devices"))
    rows = report.yardstick_table(cases("alike")).splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["Device", "Genre", "Region", "Plan"]


def test_the_margin_is_measured_against_the_spread(cases):
    for case in ("alike", "all alike"):
        assert report.margin(cases(case)).startswith(
            f"The margin is {report.MARGIN} points of the score, fixed for every table.")
    assert "less than what Cohen calls a small effect" in report.margin(cases("alike"))
    assert "so the margin is a wide one" in report.margin(cases("open"))
    assert "so being within it means little" in report.margin(cases("narrow score"))
    assert "standard deviation" not in report.margin(cases("all alike"))


def test_the_report_is_held_against_its_own_table_only(cases):
    told = report.highest(cases("alike"))
    (_, top), _ = report._ends(cases("alike"))
    held = "within" if top["low"] <= report.REPORTED <= top["high"] else "outside"
    assert f"has 7.2 for the highest, which lies {held} that interval" in told
    for name in CASES:
        if name != "alike":
            assert "report" not in report.highest(cases(name))
    assert "longer than the shortest." in report.highest(cases("apart"))


def test_gain_is_what_the_highest_device_would_give_all(cases):
    s = cases("apart")
    rows = s.devices.groups.loc["device"]
    gain = rows["mean"].max() - s.devices.mean
    assert report._gain(s) == pytest.approx(gain)
    assert f"would rise by {gain:.2f} points" in report.means(s)


def test_tables_show_the_largest_and_count_the_rest(cases):
    rows = report.means_table(cases("many devices")).splitlines()[2:]
    assert len(rows) == report.MOST_SHOWN + 1 and "8 others together" in rows[-1]
    counted = sum(int(row.split("|")[2]) for row in rows)
    assert counted == cases("many devices").subscribers
    pairs = report.pairs_table(cases("many devices")).splitlines()[2:]
    assert len(pairs) == report.MOST_PAIRS
    assert "are not compared" in report.limits(cases("many devices"))
    assert "are not compared" not in report.limits(cases("alike"))


def test_the_figure_shows_every_compared_mean_with_its_band(cases):
    s = cases("alike")
    data = report.means_figure(s).data
    assert len(data) == s.devices.groups["compared"].sum() == 4 + 2 + 3 + 3
    assert (data["band_low"] < data["band_high"]).all() and data["label"].nunique() == 12
    assert set(data["panel"]) == {"Device", "Genre", "Region", "Plan"}


def test_data_values_stay_text(cases):
    s = cases("odd names")
    for name, f in FUNCTIONS.items():
        text = f(s)
        if isinstance(text, Prose):
            assert "<b>" not in text and "](x)" not in text and "`x`" not in text, name
            assert not re.search(r"(?<!\\)@fig", text), name


def test_shares_of_divisions_in_words():
    assert report._divisions(0.0005) == "fewer than one in a thousand random divisions"
    assert report._divisions(0.0421) == "4.2% of random divisions"
    assert report._divisions(0.51) == "51% of random divisions"
    assert [report._of(*n) for n in ((0, 3), (1, 3), (3, 3), (2, 3), (1, 1))] == [
        "none is", "one is", "all are", "two are", "one is"]


def test_values_that_are_left_out_are_counted(cases):
    assert report.left_out(cases("open")) == "No value of these traits is left out."
    names = [f"D{i}" for i in range(4)]
    small = made((40, 35, 9, 4), names=names, traits=1)
    assert report.left_out(small) == (
        "Values with fewer than 10 subscribers are not compared: 2 devices with 13 subscribers.")
    assert report.left_out(made((40, 1), traits=1)).endswith("1 device with 1 subscriber.")
    many = report.left_out(cases("many devices"))
    assert many == (
        "Values beyond the 12 largest of a trait are not compared: "
        f"8 devices with {sum(range(41, 49))} subscribers.")
    both = made((*range(60, 46, -1), 3), traits=1)
    assert report.left_out(both) == (
        "Values with fewer than 10 subscribers or beyond the 12 largest of a trait are not "
        f"compared: 3 devices with {47 + 48 + 3} subscribers.")
    of_two = made((5, 3))  # all traits are small
    said = report.left_out(of_two)
    assert said.startswith("Values with fewer than 10") and "genres with 8 subscribers" in said
