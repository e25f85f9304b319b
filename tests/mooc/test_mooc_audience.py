"""Which groups differ, alone and with the others held equal: what was planted, and no more."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from mooc_logs import random_users, user_table

from analysis.mooc import audience as study
from analysis.mooc.audience import (
    BOUGHT,
    FACTORS,
    MEASURES,
    MINUTES,
    OTHERS,
    QUIZ,
    RATE,
    REVENUE,
    SPENT,
    VALUE,
)
from analysis.stats import several_means
from analysis.stats.moments import Moments

JOB, AGE, CHANNEL = FACTORS
ENGAGEMENT = (MINUTES, RATE, QUIZ)


def analysed(users: pd.DataFrame) -> study.Audience:
    return study.audience(user_table(users))


def values(users: pd.DataFrame) -> pd.DataFrame:
    """The measures of each user, beside the factors."""
    revenue = users["total_revenue"].astype(float)
    courses = users["total_courses_enrolled"].astype(float)
    enrolled = courses > 0
    return users[list(FACTORS)].assign(**{
        REVENUE: revenue, BOUGHT: (revenue > 0).astype(float),
        SPENT: revenue.where(revenue > 0),
        MINUTES: users["total_time_watched_minutes"].astype(float) / courses.where(enrolled),
        RATE: users["video_completion_rate"].astype(float).where(enrolled),
        QUIZ: users["quiz_score_average"].astype(float).where(enrolled),
    })


@pytest.fixture(scope="module")
def shipped(mooc_tables, mooc_study):
    return values(mooc_tables.table("users").to_pandas()), mooc_study.audience


def test_planted_differences_are_found_and_no_others(shipped):
    """Learning depends on the occupation only, value on the channel only (by who buys)."""
    tests = shipped[1].tests
    for measure in ENGAGEMENT:
        assert tests.loc[(JOB, measure), ["p_adjusted", "adjusted_p"]].max() < 1e-6
        # Ages differ in learning as occupations do of which they are made, and not beside them.
        assert tests.loc[(AGE, measure), "adjusted_p"] > 0.05
        assert tests.loc[(CHANNEL, measure), ["p_adjusted", "adjusted_p"]].min() > 0.05
    assert tests.loc[(AGE, QUIZ), "p_adjusted"] < 0.001
    for measure in VALUE:
        for factor in (JOB, AGE):
            assert tests.loc[(factor, measure), ["p_adjusted", "adjusted_p"]].min() > 0.05
    assert tests.loc[(CHANNEL, BOUGHT), "adjusted_p"] < 1e-20
    assert tests.loc[(CHANNEL, SPENT), "adjusted_p"] > 0.05


def test_planted_comparisons(shipped):
    """A cluster's share of an occupation shows; the young differ only as they come."""
    c = shipped[1].comparisons
    assert c.loc[(JOB, "Teacher", RATE), "adjusted_finding"] == "higher"
    assert c.loc[(JOB, "Student", QUIZ), "adjusted_finding"] == "lower"
    assert c.loc[(AGE, "18-24", QUIZ), "finding"] == "lower"
    assert c.loc[(AGE, "18-24", QUIZ), "adjusted_finding"] not in ("higher", "lower")
    value = c[c.index.get_level_values("measure").isin(VALUE)
              & (c.index.get_level_values("factor") != CHANNEL)]
    assert not value["adjusted_finding"].isin(["higher", "lower"]).any()
    assert (value["adjusted_finding"] == "equivalent").sum() > 5
    wide = c[c["finding"] == "equivalent"]
    margin = wide.index.get_level_values("measure").map(shipped[1].measures["margin"])
    assert (wide["wide_low"] > -margin).all() and (wide["wide_high"] < margin).all()
    tied = shipped[1].tied
    assert tied.loc[(JOB, AGE), "v_low"] > 0.25
    assert tied.drop(index=(JOB, AGE))["p_adjusted"].min() > 0.05


def test_means_and_differences_equal_pandas(shipped):
    rows, found = shipped
    for measure in MEASURES:
        known = rows[rows[JOB].notna() & rows[measure].notna()]
        group = known[known[JOB] == "Teacher"][measure]
        rest = known[known[JOB] != "Teacher"][measure]
        row = found.groups.loc[(JOB, "Teacher", measure)]
        assert row["n"] == len(group) and row["mean"] == pytest.approx(group.mean())
        assert found.comparisons.loc[(JOB, "Teacher", measure), "difference"] == pytest.approx(
            group.mean() - rest.mean())
    spent = Moments.of(rows.loc[(rows[JOB] == "Teacher"), SPENT].dropna())
    ours = found.comparisons.loc[(JOB, "Teacher", SPENT)]
    others = Moments.of(rows.loc[rows[JOB].notna() & (rows[JOB] != "Teacher"), SPENT].dropna())
    expected = several_means.against_rest({"a": spent, "b": others}).loc["a"]
    for name in ("low", "high", "p_value"):
        assert ours[name] == pytest.approx(expected[name], rel=1e-7)


def test_adjustment_equals_statsmodels_on_rows(shipped, measure=QUIZ):
    """Contrast, error and joint test of a least-squares fit with HC3 errors, one row a user."""
    rows, found = shipped
    known = rows.dropna(subset=[*FACTORS, measure]).rename(columns={measure: "y"})
    fit = smf.ols("y ~ C(user_occupation) + C(user_age_group) + C(referral_channel)",
                  known).fit(cov_type="HC3")
    share = known[AGE].value_counts(normalize=True)
    contrast = pd.Series(0.0, fit.params.index)
    for level, part in share.items():
        name = f"C(user_age_group)[T.{level}]"
        if name in contrast:
            contrast[name] = 1.0 if level == "35-44" else -part / (1 - share["35-44"])
    test = fit.t_test(contrast.to_numpy())
    row = found.comparisons.loc[(AGE, "35-44", measure)]
    assert row["adjusted_difference"] == pytest.approx(test.effect[0], rel=1e-6)
    assert [row["adjusted_low"], row["adjusted_high"]] == pytest.approx(
        test.conf_int()[0].tolist(), rel=1e-6)
    less = smf.ols("y ~ C(user_occupation) + C(referral_channel)", known).fit()
    assert found.tests.loc[(AGE, measure), "added"] == pytest.approx(
        fit.rsquared - less.rsquared, rel=1e-6)
    positions = [i for i, name in enumerate(fit.params.index) if "user_age_group" in name]
    wald = fit.wald_test(np.eye(len(fit.params))[positions], use_f=False, scalar=True)
    assert found.tests.loc[(AGE, measure), "adjusted_p_value"] == pytest.approx(
        float(wald.pvalue), rel=1e-5)


def test_confounding_is_taken_out():
    """Jobs decide the rate, ages go with jobs: ages differ alone, and not with jobs held equal."""
    rng = np.random.default_rng(4)
    n = 3_000
    job = rng.choice(["A", "B"], n)
    age = np.where(rng.random(n) < np.where(job == "A", 0.8, 0.2), "young", "old")
    users = random_users(4, n).assign(
        user_occupation=job, user_age_group=age, total_courses_enrolled=1,
        video_completion_rate=np.clip(np.where(job == "A", 40, 60) + rng.normal(0, 15, n), 0, 100))
    found = analysed(users)
    alone = found.comparisons.loc[(AGE, "young", RATE)]
    assert alone["finding"] == "lower" and alone["difference"] == pytest.approx(-12, abs=2)
    assert alone["adjusted_low"] < 0 < alone["adjusted_high"]
    by_job = found.comparisons.loc[(JOB, "A", RATE)]
    assert by_job["adjusted_difference"] == pytest.approx(-20, abs=2)
    assert found.tests.loc[(AGE, RATE), "added"] < 0.005 < 0.02 < found.tests.loc[
        (AGE, RATE), "explained"]


def test_small_groups_stand_together():
    users = random_users(6, 1_000)
    users["user_occupation"] = [f"job {i % 300}" if i < 400 else "Clerk" for i in range(1_000)]
    found = analysed(users)
    groups = found.groups.loc[JOB].index.get_level_values("group").unique()
    assert list(groups) == ["Clerk", OTHERS]
    assert found.pooled.loc[JOB, "users"].sum() == 400
    many = users.assign(user_occupation=[f"job {i % 16:02d}" for i in range(1_000)])
    found = analysed(many)
    groups = found.groups.loc[JOB].index.get_level_values("group").unique()
    assert len(groups) == study.MOST_GROUPS + 1 and OTHERS in groups


@pytest.mark.parametrize("case", ["nothing given", "free", "one user", "equal", "together"])
def test_odd_users(case):
    users = random_users(7, 1 if case == "one user" else 300)
    if case == "nothing given":
        users[list(FACTORS)] = None
    elif case == "free":
        users["total_revenue"] = 0.0
    elif case == "equal":
        users = users.assign(
            total_revenue=5.0, total_time_watched_minutes=60.0, total_courses_enrolled=2,
            video_completion_rate=50.0, quiz_score_average=70.0)
    elif case == "together":
        users["user_age_group"] = users["user_occupation"]
    found = analysed(users)
    assert found.users == len(users)
    if case in ("nothing given", "one user"):
        assert found.comparisons.empty and found.tests.empty and found.tied.empty
    elif case == "free":
        assert np.isnan(found.tests.loc[(JOB, REVENUE), "p_value"])
        assert (JOB, SPENT) not in found.tests.index
        assert found.groups.loc[(JOB, "Student", BOUGHT), "mean"] == 0
    elif case == "equal":
        assert found.tests["p_value"].isna().all() and found.comparisons["finding"].isna().all()
    elif case == "together":
        assert found.tests["adjusted_p"].isna().all() and found.tests["p_value"].notna().any()


def test_order_and_labels_do_not_matter():
    users = random_users(9, 500)
    again = users.sample(frac=1, random_state=1).assign(
        user_id=lambda u: "x" + u.user_id, user_occupation=lambda u: "a " + u.user_occupation)
    a, b = analysed(users), analysed(again)
    pd.testing.assert_frame_equal(a.tests, b.tests)
    np.testing.assert_allclose(
        a.comparisons["adjusted_difference"], b.comparisons["adjusted_difference"], atol=1e-8)
    assert a.comparisons["finding"].tolist() == b.comparisons["finding"].tolist()
