"""The shipped students: exact sizes, published moments, natural shapes, the same bytes."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis import simulate
from analysis.simulate import engagement

SHIPPED = Path(__file__).parents[2] / "data" / "engagement" / "students.csv"

# Typed from the published table, not read from the generator: n, mean, sd, median, p25, p75.
PUBLISHED = {
    (1, 21): (3433, 332.50, 485.86, 133.43, 26.65, 411.70),
    (1, 22): (5104, 368.35, 596.41, 131.81, 25.34, 427.38),
    (0, 21): (32171, 133.93, 367.26, 16.92, 3.05, 80.65),
    (0, 22): (120658, 69.15, 255.62, 3.40, 0.52, 30.92),
}
COUNTRY = {"US": (6459, 73.07, 308.56, 9.47), "IN": (21210, 78.42, 319.34, 3.57)}
SUBSET = {
    (1, 21): (457, 33.80, 28.21, 26.33),
    (1, 22): (457, 273.02, 854.58, 40.28),
    (0, 21): (2065, 25.39, 26.23, 14.17),
    (0, 22): (2065, 117.64, 468.93, 11.83),
}


@pytest.fixture(scope="module", params=["shipped", 1, 77])
def students(request):
    """The shipped file, and what other seeds make."""
    if request.param == "shipped":
        return pd.read_csv(SHIPPED, keep_default_na=False, na_values=[""])
    return engagement.generate(seed=request.param)[0]["students"]


def minutes(students, plan, quarter):
    return students.loc[students["paid"] == plan, f"minutes_watched_{quarter}"].dropna()


def trimmed(students, plan, quarter):
    values = minutes(students, plan, quarter)
    return values[values <= np.quantile(values, 0.99)]


def returning(students, plan):
    both = students[(students["paid"] == plan) & students["minutes_watched_22"].notna()]
    return both[both["minutes_watched_21"].between(1, 100)]


def assert_published(values, n, mean, sd, median, p25=None, p75=None):
    assert len(values) == n
    assert np.mean(values) == pytest.approx(mean, rel=0.01)
    assert np.std(values, ddof=1) == pytest.approx(sd, rel=0.01)
    assert np.median(values) == pytest.approx(median, rel=0.05)
    if p25:
        assert np.quantile(values, (0.25, 0.75)) == pytest.approx((p25, p75), rel=0.05)


@pytest.mark.parametrize(("plan", "quarter"), PUBLISHED)
def test_trimmed_group_is_the_published_one(students, plan, quarter):
    assert_published(trimmed(students, plan, quarter), *PUBLISHED[plan, quarter])


@pytest.mark.parametrize("country", COUNTRY)
def test_trimmed_country_is_the_published_one(students, country):
    kept = trimmed(students, 0, 22)
    assert_published(kept[students["student_country"] == country], *COUNTRY[country])


@pytest.mark.parametrize(("plan", "quarter"), SUBSET)
def test_returning_subset_is_the_published_one(students, plan, quarter):
    values = returning(students, plan)[f"minutes_watched_{quarter}"]
    assert_published(values, *SUBSET[plan, quarter])


@pytest.mark.parametrize("plan", [0, 1])
def test_minutes_of_the_two_quarters_go_together(students, plan):
    both = students[students["paid"] == plan].dropna(
        subset=["minutes_watched_21", "minutes_watched_22"]
    )
    r = both["minutes_watched_21"].corr(both["minutes_watched_22"], method="spearman")
    assert 0.35 < r < 0.6
    inside = returning(students, plan)
    assert inside["minutes_watched_21"].corr(inside["minutes_watched_22"], method="spearman") > 0.15
    # The published subset is about a third to two thirds of the students of both quarters.
    assert 1.5 < len(both) / len(inside) < 3


def test_values_are_possible(students):
    ids = students["student_id"]
    assert ids.is_unique and ids.notna().all()
    assert set(students["paid"]) == {0, 1}
    watched = students[["minutes_watched_21", "minutes_watched_22"]]
    assert watched.notna().any(axis=1).all()
    assert watched.min().tolist() == [0.05, 0.05]
    assert watched.max().max() < 92 * 24 * 60  # minutes in a quarter
    assert np.array_equal(watched.round(2), watched, equal_nan=True)
    countries = students["student_country"]
    assert countries.nunique() >= 30
    assert 0.01 < countries.isna().mean() < 0.06
    assert countries.dropna().str.fullmatch("[A-Z]{2}").all()


def test_row_order_and_id_tell_nothing(students):
    order = np.arange(len(students))
    for column in ("paid", "minutes_watched_21", "minutes_watched_22"):
        values = students[column].to_numpy(dtype=float)
        there = ~np.isnan(values)
        for other in (order, students["student_id"].to_numpy()):
            r = pd.Series(values[there]).corr(pd.Series(other[there]), method="spearman")
            assert abs(r) < 4.5 / np.sqrt(there.sum())


@pytest.mark.parametrize(("plan", "quarter"), PUBLISHED)
def test_shapes_have_no_lumps(students, plan, quarter):
    values = minutes(students, plan, quarter)
    above = values[values > 1]
    assert above.value_counts().iloc[0] / len(above) < 0.01
    # Neighbouring bins of a log histogram differ by no more than chance and a gentle slope explain
    # (above half a minute: below it the two decimals of the source show as a comb).
    counts, _ = np.histogram(np.log(values[values > 0.5]), bins=np.arange(np.log(0.5), 9, 0.2))
    counts = counts[counts > 30].astype(float)
    steps = np.abs(np.diff(counts))
    assert (steps < 0.3 * np.maximum(counts[1:], counts[:-1]) + 3 * np.sqrt(counts[1:])).all()
    # Heavy right tail that thins out: the log density is falling from the last mode on.
    smooth = np.convolve(counts, np.ones(3) / 3, mode="valid")
    after_mode = smooth[np.argmax(smooth):]
    assert (np.diff(after_mode) < 0.05 * after_mode[:-1]).all()
    assert pd.Series(np.log(values)).kurt() < 1.5


def test_the_shipped_file_is_what_the_generator_writes(tmp_path):
    written = simulate.write("engagement", tmp_path)
    assert list(written) == [tmp_path / "engagement" / "students.csv"]
    assert [path.name for path in (tmp_path / "engagement").iterdir()] == ["students.csv"]
    assert next(iter(written)).read_bytes() == SHIPPED.read_bytes()
    content = SHIPPED.read_bytes()
    assert b"\r" not in content and content.endswith(b"\n")
    assert len(content) < 4_000_000


def test_another_seed_makes_another_population(tmp_path):
    def digest(seed):
        path = next(iter(simulate.write("engagement", tmp_path / str(seed), seed, scale=0.02)))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    assert digest(1) != digest(2)


def test_the_smallest_scale_still_has_every_group():
    students = engagement.generate(seed=5, scale=simulate.SMALLEST_SCALE)[0]["students"]
    for (plan, quarter), (n, *_) in PUBLISHED.items():
        assert len(trimmed(students, plan, quarter)) == round(n * simulate.SMALLEST_SCALE)
        assert len(returning(students, plan)) == round(SUBSET[plan, 21][0] / 100)


@pytest.mark.parametrize("scale", [0.1, 2.01])  # the latter in three parts
def test_scale_multiplies_students_and_keeps_the_calibration(scale):
    parts = list(simulate.parts("engagement", seed=5, scale=scale))
    assert len(parts) == np.ceil(scale)
    students = pd.concat([part["students"] for part in parts])
    assert students["student_id"].is_unique
    for (plan, quarter), (n, mean, sd, median, *_) in PUBLISHED.items():
        values = trimmed(students, plan, quarter)
        assert len(values) == pytest.approx(scale * n, rel=0.03)
        # Trimming is a whole number of students: one at its edge moves the mean by this share.
        edge = values.max() / mean / len(values)
        assert (values.mean(), values.std(), values.median()) == pytest.approx(
            (mean, sd, median), rel=0.01 + edge
        )


@pytest.mark.parametrize("scale", [0, -1, 0.001, float("nan"), float("inf")])
def test_impossible_scale_is_refused(scale, tmp_path):
    with pytest.raises(ValueError, match="scale must be"):
        simulate.write("engagement", tmp_path, scale=scale)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_run_leaves_the_old_table(tmp_path, monkeypatch):
    path = next(iter(simulate.write("engagement", tmp_path, seed=1, scale=0.01)))
    before = path.read_bytes()
    whole = engagement.parts

    def interrupted(seed, scale):
        yield from whole(seed, 0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(engagement, "parts", interrupted)
    with pytest.raises(KeyboardInterrupt):
        simulate.write("engagement", tmp_path, seed=2)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == ["students.csv"]


def test_truth_is_what_the_calibration_solves():
    from analysis.simulate import engagement_calibration

    solved = engagement_calibration.solve()
    truth = engagement.TRUTH
    for key, spec in solved["minutes"].items():
        assert spec.z_low == truth["minutes"][key].z_low
        assert spec.knots == pytest.approx(truth["minutes"][key].knots, rel=0.002)
    for table in ("retention", "returning", "country"):
        for key, knots in solved[table].items():
            assert knots == pytest.approx(truth[table][key], rel=0.005)
    assert engagement.generate(scale=0.01)[1].items() >= truth.items()
