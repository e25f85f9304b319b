"""The engagement study: published decisions, known truths, invariances, true sentences."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import engagement
from analysis.report import text
from analysis.report.engagement import figures as fig
from analysis.report.engagement import sentences as say
from analysis.report.engagement import tables as tbl
from analysis.sources import SHIPPED, Tables
from analysis.stats import two_sample

# plan, quarter -> students, mean, sd, median, as published after trimming.
PUBLISHED = {
    ("paid", "Q4 2021"): (3433, 332.50, 485.86, 133.43),
    ("paid", "Q4 2022"): (5104, 368.35, 596.41, 131.81),
    ("free", "Q4 2021"): (32171, 133.93, 367.26, 16.92),
    ("free", "Q4 2022"): (120658, 69.15, 255.62, 3.40),
}


def tables(frame: pd.DataFrame) -> Tables:
    """A students table held in memory, as the study gets it from any source."""
    return Tables("engagement", "a test", False, False, {"students": ibis.memtable(frame)})


def students(seed: int, paid=(1.0, 1.0), free=(1.0, 1.0), n: int = 400) -> pd.DataFrame:
    """Simple students: log-normal minutes, each group's scaled by its factor."""
    rng = np.random.default_rng(seed)
    size = 4 * n
    frame = pd.DataFrame(
        {
            "student_id": np.arange(size),
            "student_country": rng.choice(["US", "IN"], size),
            "paid": np.repeat([1, 0], 2 * n),
            "minutes_watched_21": rng.lognormal(4, 0.6, size),
            "minutes_watched_22": rng.lognormal(4, 0.6, size),
        }
    )
    for value, (before, after) in ((1, paid), (0, free)):
        frame.loc[frame.paid == value, "minutes_watched_21"] *= before
        frame.loc[frame.paid == value, "minutes_watched_22"] *= after
    # A quarter of the students left after the first, a quarter came for the second.
    frame.loc[rng.random(size) < 0.25, "minutes_watched_22"] = np.nan
    came = frame.minutes_watched_22.notna() & (rng.random(size) < 0.33)
    frame.loc[came, "minutes_watched_21"] = np.nan
    return frame


@pytest.fixture(scope="module")
def shipped(engagement_study) -> engagement.Study:
    return engagement_study


@pytest.mark.parametrize("group", PUBLISHED, ids=" ".join)
def test_description_has_the_published_figures(shipped, group):
    n, mean, sd, median = PUBLISHED[group]
    summary = shipped.groups[group].summary
    assert summary.n == n
    assert summary.mean == pytest.approx(mean, rel=0.01)
    assert summary.sd == pytest.approx(sd, rel=0.01)
    assert summary.median == pytest.approx(median, rel=0.05)


def test_published_decisions_come_out(shipped):
    assert shipped.comparisons["paid"].welch.reject
    assert shipped.comparisons["paid"].welch.alternative == "less"
    assert not shipped.comparisons["free"].welch.reject
    assert not shipped.countries.welch.reject
    assert shipped.countries.welch.alternative == "two-sided"
    assert list(shipped.family.reject) == [True, False, False]


def test_subset_of_the_source(shipped):
    paid, free = shipped.low_pairs["paid"], shipped.low_pairs["free"]
    assert (len(paid.before), len(free.before)) == (457, 2065)
    assert paid.before.mean() == pytest.approx(33.80, rel=0.01)
    assert paid.after.mean() == pytest.approx(273.02, rel=0.01)
    assert free.before.mean() == pytest.approx(25.39, rel=0.01)
    assert free.after.mean() == pytest.approx(117.64, rel=0.01)


def test_what_trimming_decides_is_told(shipped):
    """With the longest watchers out the same students have not changed; with all in they have."""
    for plan in engagement.PLANS:
        everybody, kept = shipped.pairs[plan], shipped.trimmed_pairs[plan]
        assert everybody.paired_t.reject and not kept.paired_t.reject
        assert len(kept.before) < len(everybody.before) < everybody.needed
        said = say.pairs_sentence(shipped, plan)
        assert "rests on the longest watchers" in said
        assert f"asks for {everybody.needed:,} pairs, more than there are" in said
    raw = {key: g.raw.mean() for key, g in shipped.groups.items()}
    assert raw["free", "Q4 2022"] / raw["free", "Q4 2021"] == pytest.approx(0.79, abs=0.005)
    assert "−48%" in say.answer_plan(shipped, "free")
    assert "−21% with the top 1% in" in say.answer_plan(shipped, "free")
    first = shipped.sensitivity[shipped.sensitivity.kept == 1].set_index("plan")
    for plan, test in shipped.untrimmed.items():
        assert first.difference[plan] == -test.estimate


def test_the_rise_sits_where_the_sentence_says(shipped):
    paid = shipped.comparisons["paid"]
    assert paid.top == tuple(shipped.groups["paid", q].summary.p95 for q in engagement.QUARTERS)
    assert paid.top_difference.high < 0 and "reached further" in say.shape_sentence(shipped, "paid")
    even = engagement.analyse(tables(students(5)))
    assert abs(even.comparisons["paid"].medians[1] / even.comparisons["paid"].medians[0] - 1) < 0.05
    assert "that the busiest twentieth did is not shown" in say.shape_sentence(even, "paid")
    few = engagement.analyse(tables(students(5, n=30)))
    assert "too few students for an interval" in say.shape_sentence(few, "paid")


def test_mirror_shows_regression_to_the_mean(shipped):
    for plan in engagement.PLANS:
        there, back = shipped.low_pairs[plan], shipped.mirror_pairs[plan]
        assert there.after.mean() > there.before.mean()
        assert back.before.mean() > back.after.mean()
    assert "steep *fall*" in say.mirror_sentence(shipped)
    some = engagement.analyse(tables(students(4, n=100)))
    assert "a *fall*" in say.mirror_sentence(some)  # from 62 to 48 minutes
    # Where everybody watches about as long as before, nobody is picked in a low moment.
    frame = students(4, n=100)
    noise = np.random.default_rng(4).normal(1, 0.01, len(frame))
    same = frame.assign(minutes_watched_22=(frame.minutes_watched_21 * noise).where(
        frame.minutes_watched_21.notna(), frame.minutes_watched_22))
    assert "a fall among both is not shown" in say.mirror_sentence(
        engagement.analyse(tables(same)))


@pytest.fixture(scope="module")
def small() -> engagement.Study:
    return engagement.analyse(tables(students(1, paid=(1.0, 1.3), free=(1.0, 0.7))))


def numbers(study: engagement.Study) -> dict:
    return engagement.flatten(study, engagement.KEYS)


def test_order_and_ids_of_rows_do_not_matter(small):
    frame = students(1, paid=(1.0, 1.3), free=(1.0, 0.7))
    mixed = frame.sample(frac=1, random_state=3)
    mixed["student_id"] = mixed.student_id.sample(frac=1, random_state=4).to_numpy() + 10_000
    assert numbers(engagement.analyse(tables(mixed))) == pytest.approx(numbers(small), nan_ok=True)


def test_hours_give_the_same_tests_and_scaled_estimates(small):
    frame = students(1, paid=(1.0, 1.3), free=(1.0, 0.7))
    hours = frame.assign(
        minutes_watched_21=frame.minutes_watched_21 / 60,
        minutes_watched_22=frame.minutes_watched_22 / 60,
    )
    scaled = engagement.analyse(tables(hours))
    for plan in engagement.PLANS:
        a, b = small.comparisons[plan], scaled.comparisons[plan]
        for test in ("f_test", "brown_forsythe", "welch", "student", "mann_whitney"):
            assert getattr(b, test).p_value == pytest.approx(getattr(a, test).p_value)
        assert b.welch.estimate == pytest.approx(a.welch.estimate / 60)
        assert scaled.experiments[plan].per_arm == small.experiments[plan].per_arm


def test_known_effects_are_covered_at_the_nominal_rate():
    """95% intervals of the ratio of means hold the planted ratio in 100 draws, within 3 SE."""
    covered = {"paid": 0, "free": 0}
    planted = {"paid": 1.3, "free": 0.7}
    for seed in range(100):
        frame = students(seed, paid=(1.0, 1.3), free=(1.0, 0.7), n=300)
        loaded = engagement.load(tables(frame))
        for plan, ratio in planted.items():
            a, b = (loaded.loc[loaded.plan == plan, q].dropna() for q in engagement.QUARTERS)
            effect = two_sample.welch(a, b, alternative="less").effect("ratio of means")
            covered[plan] += 1 / effect.high < ratio < 1 / effect.low
    margin = 3 * math.sqrt(0.95 * 0.05 / 100)
    assert all(n / 100 > 0.95 - margin for n in covered.values()), covered


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(0, 1e4)), st.one_of(st.none(), st.floats(0, 1e4))),
        min_size=4,
        max_size=40,
    ).filter(
        lambda rows: any(a is not None for a, _ in rows) and any(b is not None for _, b in rows)
    )
)
def test_decomposition_adds_up_to_the_change(rows):
    before, after = (
        np.array([np.nan if v is None else v for v in col]) for col in zip(*rows, strict=True)
    )
    frame = pd.DataFrame({"plan": "paid", "Q4 2021": before, "Q4 2022": after})
    t = engagement.turnover(frame, "paid")
    parts = t.from_stayers + t.from_exchange + t.from_weights
    assert parts == pytest.approx(t.mean_after - t.mean_before, abs=1e-6)
    assert t.students.students.sum() == sum(a is not None or b is not None for a, b in rows)


@pytest.mark.parametrize(
    ("paid", "said", "not_said"),
    [
        ((1.0, 1.5), "rose from", "did not rise"),
        ((1.5, 1.0), "did not rise: it fell", "rose from"),
        ((1.0, 1.0), "support no increase", "rose from"),
    ],
    ids=["rise", "fall", "nothing"],
)
def test_sentences_follow_the_data(paid, said, not_said):
    # Seed 5 draws no significant difference where there is none.
    study = engagement.analyse(tables(students(5, paid=paid)))
    sentence = say.increase(study, "paid")
    assert said in sentence
    assert not_said not in sentence
    (corrected,) = study.family.p_adjusted[study.family.test == study.countries.name]
    assert say.p_value(corrected) in say.answer_countries(study)
    whole = " ".join(
        [say.answer_plan(study, "paid"), say.conclusion(study), say.recommendations(study)]
    )
    assert ("watched more" in say.answer_plan(study, "paid")) == study.comparisons[
        "paid"
    ].welch.reject
    assert "nan" not in whole.lower()


def test_not_shown_is_never_told_as_equal():
    study = engagement.analyse(tables(students(5, n=60)))
    countries = say.countries_difference(study) + say.countries_equivalence(study)
    assert not study.countries.welch.reject
    assert "not shown to differ" in countries
    assert "Nor are they shown to be equal" in countries


def mostly_idle() -> pd.DataFrame:
    """Two students of three watched nothing in the quarters that they were active in."""
    frame = students(2)
    idle = np.random.default_rng(2).random(len(frame)) < 0.67
    minutes = ["minutes_watched_21", "minutes_watched_22"]
    frame.loc[idle, minutes] = frame.loc[idle, minutes] * 0
    return frame


def one_country() -> pd.DataFrame:
    """All of one country, but two students of another."""
    frame = students(3).assign(student_country="DE")
    frame.loc[frame.index[-2:], "student_country"] = "FR"
    return frame


@pytest.fixture(scope="module")
def two_countries() -> engagement.Study:
    return engagement.analyse(tables(students(3)))


@pytest.mark.parametrize("country", [None, "DE"])
def test_a_business_with_one_country_has_a_study_of_two_questions(country, two_countries):
    study = engagement.analyse(tables(one_country().assign(student_country=country)))
    assert study.countries is None and len(study.family) == 2
    assert "countries are not compared" in say.answer_countries(study)
    assert "Both of the first two are tested" in say.tested(study)
    three = two_countries
    assert list(three.countries.labels) == ["the United States", "India"]
    assert "All three" in say.tested(three) and len(three.family) == 3


@pytest.mark.parametrize(
    "frame",
    [students(1, paid=(1.0, 1.3), free=(1.0, 0.7)), mostly_idle(), one_country()],
    ids=["plain", "medians of 0", "one country"],
)
def test_every_sentence_and_table_works_on_other_data(frame):
    study = engagement.analyse(tables(frame))
    source = (SHIPPED.parent / "chapters" / "engagement.qmd").read_text(encoding="utf-8")
    scope = {
        "s": study,
        "say": say,
        "fig": fig,
        "tbl": tbl,
        "paid": study.comparisons["paid"],
        "free": study.comparisons["free"],
        "countries": [study.countries] if study.countries else [],
        "number": text.number,
    }
    calls = re.findall(r"`\{python\} ([^`]+)`", source) + re.findall(
        r"^((?:fig|tbl)\..*)$", source, re.M
    )
    assert len(calls) > 50
    for call in calls:
        value = eval(call, scope)  # the chapter's own expressions
        unsaid = study.countries is None and "countries" in call
        assert value is not None and (str(value).strip() or unsaid), call
        assert not re.search(r"\b(nan|inf)\b", str(value)), call
        if call.startswith("fig."):
            value.draw()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            lambda f: f[(f.paid == 0) | f.minutes_watched_21.isna()],
            "0 paid students with minutes in Q4 2021",
        ),
        (lambda f: f.assign(minutes_watched_22=5.0), "400 paid students|minutes_watched_22"),
        (
            lambda f: f.assign(
                minutes_watched_21=f.minutes_watched_21.where(f.minutes_watched_22.isna())
            ),
            "active in both",
        ),
    ],
    ids=["no paid students", "all equal", "nobody stayed"],
)
def test_too_few_students_are_named(change, named):
    with pytest.raises(engagement.TooFewStudents, match=named):
        engagement.analyse(tables(change(students(1, n=100))))


def test_results_command_prints_the_chapters_numbers(shipped, small, tmp_path):
    """A process of its own prints what the study finds here."""
    (tmp_path / "engagement").mkdir()
    students(1, paid=(1.0, 1.3), free=(1.0, 0.7)).to_csv(
        tmp_path / "engagement" / "students.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-m", "analysis", "results", "engagement", "--data", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed = json.loads(done.stdout)
    here = numbers(small) | {"origin": str(tmp_path / "engagement")}
    assert printed == {
        k: pytest.approx(v) if isinstance(v, float) else v for k, v in here.items()
    }
    assert all(v is None or not isinstance(v, float) or math.isfinite(v) for v in printed.values())
    assert numbers(shipped)["comparisons.paid.welch.p_value"] == pytest.approx(0.0012, abs=1e-4)
