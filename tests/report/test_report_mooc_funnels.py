"""What the chapter says about the funnel follows from the results, on any log."""

from __future__ import annotations

import functools
import inspect
import re
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import plotnine as p9
import pytest
from funnel_logs import MARKUP, platform, reads_well, study, worlds

from analysis.report.mooc import durations as say_durations
from analysis.report.mooc import funnels as say
from analysis.results import flatten

WORLDS = worlds()
made = functools.cache(lambda world: study(WORLDS[world]))


def functions(module):
    """What the chapter calls: functions of the study alone."""
    return [
        f for name, f in inspect.getmembers(module, inspect.isfunction)
        if f.__module__ == module.__name__ and not name.startswith("_")
        and list(inspect.signature(f).parameters) == ["s"]
    ]


@pytest.mark.parametrize("world", WORLDS)
def test_every_log_is_told_without_a_mistake(world):
    s = made(world)
    numbers = flatten({name: part for name, part in vars(s).items() if part is not None})
    assert len(numbers) > 20
    for module in (say, say_durations):
        for function in functions(module):
            shown = function(s)
            if isinstance(shown, p9.ggplot):
                # Drawing is slow, and takes the same path everywhere.
                if world in ("markup", "a day"):
                    shown._repr_mimebundle_()
            elif function.__name__ != "recommendation" or shown:
                assert reads_well(shown), function.__name__


def test_the_shipped_study_in_words(mooc_study):
    s = mooc_study
    assert "165%" in say.counts(s) and "11 users" in say.counts(s)
    assert "54.9%" in say.losses(s) and "9,907 users" in say.losses(s)
    assert "between sign-up and enrolment" in say.losses(s)
    assert "Social Media in India" in say.together(s)
    assert "one is shown to differ" in say.together(s)
    assert "too small to be named" in say.together(s)
    assert "differences between countries are not shown" in say.countries(s)
    assert "explains next to nothing" in say.mix(s)
    assert "no difference" not in say.countries(s).lower()
    gap = s.funnel.adjustment.loc["overall"]
    for name in ("crude", "adjusted"):
        low, high = (100 * gap[f"{name}_range_{end}"] for end in ("low", "high"))
        assert f"{low:.1f}\u00a0to\u00a0{high:.1f}" in say.mix(s)
    v = s.funnel.homogeneity.loc[("course_id", "fair")]
    assert f"{v.v:.2f}, {v.v_low:.2f}\u00a0to\u00a0{v.v_high:.2f})" in say.courses(s)
    even = s.funnel.adjusted.loc[("overall", "Friend")]
    assert (f"{100 * even.adjusted:.1f}% ({100 * even.low:.1f}\u00a0to\u00a0{100 * even.high:.1f})"
            in next(line for line in say.sources_table(s).splitlines() if "Friend" in line))
    row = s.funnel.rates.loc[("referral_source", "Social Media", "overall")]
    assert f"{100 * row.share:.1f}%" in say.answer(s)
    assert f"{-row.difference * row.users:,.0f} more of 4,657 sign-ups" in say.recommendation(s)
    assert say.recommendation(s).startswith("**Start with the step to enrolment.**")
    table = say.sources_table(s)
    assert len(table.splitlines()) == 2 + 7
    line = next(line for line in table.splitlines() if "Social Media" in line)
    assert line.count("▼") == 3


def test_figures_show_the_results(mooc_study):
    s = mooc_study
    frame = say.funnel_figure(s).data
    everybody = frame[frame.who.astype(str).str.startswith("Everybody")].set_index("stage").share
    assert everybody["enrolled"] == s.funnel.steps.of_first["enrolled_in_course"]
    assert frame.who.nunique() == 8
    points = say.sources_figure(s).data.set_index(["source", "panel"])
    rates = s.funnel.rates.loc["referral_source"]
    assert points.share["Friend", "Completed, of enrolled"] == rates.share["Friend", "completed"]
    assert points.adjusted["Friend", "Enrolled, of sign-ups"] == (
        s.funnel.adjusted.adjusted["enrolled", "Friend"])


def test_other_data_gives_another_sentence():
    apart, alike = made("apart"), made("alike")
    assert "differences between sources are not shown" in say.sources(alike)
    assert "The loss is largest for ads" in say.answer(apart)
    assert "largest" not in say.answer(alike)
    assert "none is shown to differ" in say.together(apart)
    assert "Nobody signed up" in say.answer(made("no sign-ups"))
    assert "no two sources" in say.sources(made("one user"))
    assert "no two countries" in say.countries(made("nothing given"))
    completion = study(platform(2_000, enrol=0.9, complete=0.2))
    assert say.recommendation(completion).startswith("**Start with the step to completion.**")
    assert "between enrolment and completion" in say.losses(completion)


def test_a_gap_that_countries_make_is_called_so():
    """In one country everybody enrols, in the other few; the sources bring different ones."""
    parts = [
        platform(users, enrol=enrol, countries=(country,), sources=(source,), seed=seed)
        .assign(user_id=lambda rows, tag=(country, source): rows.user_id + "".join(tag))
        for seed, (country, source, users, enrol) in enumerate([
            ("US", "ads", 900, 0.2), ("US", "blog", 100, 0.2),
            ("IN", "ads", 100, 0.8), ("IN", "blog", 900, 0.8),
        ])
    ]
    s = study(pd.concat(parts))
    assert "most of the gap is who comes from where" in say.mix(s) or (
        "differences between sources are not shown" in say.mix(s))
    assert s.funnel.adjustment.adjusted_range["overall"] < (
        0.4 * s.funnel.adjustment.crude_range["overall"])


def test_names_that_would_be_markup_are_text():
    said = say.sources_table(made("markup")) + say.courses_table(made("markup"))
    assert not any(name in said for name in MARKUP)
    assert r"\<b\>\=\| \`x\`" in said


def test_equal_follow_up_is_explained_where_courses_are_compared(mooc_study):
    assert "So courses are compared at equal follow-up" in say.fair(mooc_study)
    none = made("one user")
    assert "cannot be compared" in say.fair(none)
    assert "So courses are compared" not in say.fair(none)
    assert say.courses(none) == say.courses_table(none) == say.NO_COURSES
    rows = mooc_study.funnel.courses
    above = SimpleNamespace(funnel=replace(
        mooc_study.funnel, courses=rows.assign(share=rows["fair"] + 0.1)))
    assert "lies below the other in none of" in say.fair(above)


def test_that_nobody_signed_up_is_said_once():
    s = made("no sign-ups")
    said = {f.__name__: str(f(s)) for f in functions(say)}
    assert sorted(name for name in said if str(say.NOBODY) in said[name]) == ["answer", "counts"]
    assert said["losses"] == said["steps_table"] == say.NO_FUNNEL


def test_one_more_user_is_one(mooc_study):
    steps = mooc_study.funnel.steps.assign(one_point=1.2)
    one = SimpleNamespace(funnel=replace(mooc_study.funnel, steps=steps))
    assert "would bring 1 more user into a course" in say.losses(one)
    assert re.search(r"would bring \d+ more users into a course", say.losses(mooc_study))


def test_why_there_is_no_time_to_completion_is_said_once():
    nobody = study(platform(200, enrol=0.5, complete=0.0))
    said = {f.__name__: str(f(nobody)) for f in functions(say_durations)}
    assert sorted(name for name in said if str(say_durations.NOBODY) in said[name]) == [
        "answer", "naive"]
    assert said["median"] == said["times_table"] == (
        "There is no time to completion (@sec-mooc-durations).")
    one = made("one user")
    assert "There are no two sources" in say_durations.pairs_table(one) or (
        "There is no time" in say_durations.pairs_table(one))
