"""What the chapter says about time to completion follows from the results."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from funnel_logs import platform, reads_well, study

from analysis.report.mooc import durations as say

made = functools.cache(lambda **options: study(platform(**options)))


def with_times(s, **columns):
    """The study with other times for everybody."""
    times = s.durations.times.copy()
    for name, value in columns.items():
        times.loc["(everybody)", name] = value
    return SimpleNamespace(durations=replace(s.durations, times=times))


def test_the_shipped_study_in_words(mooc_study):
    s, row = mooc_study, mooc_study.durations.times.loc["(everybody)"]
    assert f"{row.naive_mean_days:.1f} days" in say.naive(s) and "shorter" in say.naive(s)
    assert f"by day {row.q50:.0f}" in say.median(s)
    assert "For Social Media and Paid Search there is no median" in say.median(s)
    assert say.plateau(s).startswith("The curve flattens")
    assert "Not shown to differ: Blog Post from Organic Search" in say.sources(s)
    assert "between Friend and Social Media" in say.sources(s)
    assert "hazard ratio of Friend" in say.proportional(s)
    assert f"**day {row.q25:.0f}**" in say.answer(s)
    lines = say.pairs_table(s).splitlines()
    assert len(lines) == 2 + 15
    assert [cell.strip() for cell in lines[2].split("|")[1:3]] == ["Friend", "Social Media"]
    assert "not reached" in next(
        line for line in say.times_table(s).splitlines() if "Social Media" in line)


def test_the_pair_is_told_from_the_one_that_completes_sooner(mooc_study):
    """Ratios are above 1 and days sooner above 0 but where the two measures disagree."""
    s = mooc_study
    for line in say.pairs_table(s).splitlines()[2:]:
        ratio, days = (float(cell.split("(")[0].replace("−", "-"))
                       for cell in line.split("|")[3:5])
        assert ratio >= 1 and days > 0


def test_no_median_is_made_up():
    s = made(users=800, complete=0.2)
    assert math.isnan(s.durations.times.q50["(everybody)"])
    assert "Not even a quarter" in say.median(s) and "none is made up" in say.median(s)
    s = made(users=800, complete=0.4)
    assert "So the median does not exist" in say.median(s)
    assert "half never while anybody is observed" in say.answer(s)
    s = made(users=800, complete=0.9)
    assert "the Kaplan–Meier median" in say.median(s) and "day" in say.answer(s)
    assert "not reached" not in say.times_table(s)


def test_slow_courses_have_not_flattened_yet():
    s = made(users=800, median=300, days=400)
    assert say.plateau(s).startswith("The curve still rises")
    assert "shorter" in say.naive(s)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"q25": np.nan, "q50": np.nan}, "Not even a quarter"),
        ({"q50": np.nan}, "So the median does not exist"),
        ({"q50": 12.0, "q50_low": 9.0, "q50_high": np.nan}, "by day 12 (9 or later)"),
        ({"q25": 3.0, "q25_low": np.nan, "q25_high": np.nan}, "by day 3,"),
    ],
)
def test_medians_are_told_as_far_as_they_are_known(changes, said):
    s = with_times(made(users=800, complete=0.9), **changes)
    assert said in say.median(s) and reads_well(say.median(s))


def test_not_shown_is_not_called_equal():
    s = made(users=800, complete=0.5)
    assert s.durations.pairs.p_adjusted.min() > 0.05
    assert "not shown to differ" in say.sources(s) or "no difference between two" in say.sources(s)
    assert "how large one could be" in say.sources(s)
    assert "not shown" in say.courses(s)


def test_a_curve_is_drawn_with_few_points(mooc_study):
    frame = say.curve_figure(mooc_study).data
    assert frame.groupby("source", observed=True).size().max() <= say.MOST_POINTS + 2
    for source, curve in mooc_study.durations.curves.items():
        rows = frame[frame.source == source]
        for row in rows.iloc[1::7].itertuples():
            assert row.completed == pytest.approx(1 - curve.survival_at(row.day).estimate)
