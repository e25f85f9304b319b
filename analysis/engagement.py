"""Study 1: did new features raise the minutes that students watch?

The unit is a student who was active in a quarter; the outcome is minutes watched in that quarter.
Four groups are compared: paying and free-plan students, Q4 2021 (before the features) and Q4 2022
(after). Every function is pure; `analyse` runs the whole study once and the chapter reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import ibis
import numpy as np
import pandas as pd
from scipy import stats

from analysis.kept import kept, or_kept
from analysis.results import Scalar, flatten
from analysis.sources import Tables
from analysis.stats import (
    descriptive,
    effects,
    intervals,
    multiplicity,
    power,
    resampling,
    two_sample,
)
from analysis.stats.descriptive import Description
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval
from analysis.stats.results import TestResult

PLANS = ("paid", "free")
QUARTERS = ("Q4 2021", "Q4 2022")
COLUMNS = dict(zip(QUARTERS, ("minutes_watched_21", "minutes_watched_22"), strict=True))

TRIM = 0.99  # the source drops the extreme top of each group: values above this quantile
ALPHA = 0.05
TRIMS = (1.0, 0.999, 0.99, 0.98, 0.95, 0.90)  # quantiles kept in the sensitivity analysis
SUBSET = (1.0, 100.0)  # minutes in the first quarter: the source's low-engagement students
RELEVANT_LIFT = 0.10  # the smallest relative change of mean minutes that would matter
POWER = 0.80
TOP = 0.95  # the quantile that stands for the busiest students
RESAMPLES = 5000
RESAMPLES_OF_MANY = 1000  # of a million values or more, where each takes long
SEED = 20221001
# The columns that name the rows of the study's frames.
KEYS = {"students": ("who",), "family": ("test",), "sensitivity": ("plan", "kept")}
COUNTRY_NAMES = {"US": "the United States", "IN": "India"}


class TooFewStudents(ValueError):
    """A plan and quarter has fewer students than any comparison needs."""


@dataclass(frozen=True)
class Group:
    """Minutes watched by the students of one plan who were active in one quarter.

    Attributes:
        plan: "paid" or "free".
        quarter: "Q4 2021" or "Q4 2022".
        raw: Minutes of every student, shape (n,).
        minutes: Minutes after trimming: those at or below `threshold`.
        threshold: The `TRIM` quantile of `raw`, in minutes.
        summary: Description of `minutes`.
        raw_summary: Description of `raw`.
        t_interval: 95% t interval of the mean of `minutes`.
    """

    plan: str
    quarter: str
    raw: np.ndarray
    minutes: np.ndarray
    threshold: float
    summary: Description
    raw_summary: Description
    t_interval: Interval


@dataclass(frozen=True)
class Comparison:
    """Two groups of students compared on trimmed minutes; `first` minus `second` throughout.

    Attributes:
        name: What is compared, as a heading: "Paid plan".
        labels: Names of the two groups.
        f_test: Equality of the variances, assuming normal data.
        brown_forsythe: Equality of the spreads, without that assumption.
        welch: The test of the means that the study's question asks for.
        student: The same with pooled variances, to show what the choice costs.
        mann_whitney: Whether one group tends to watch more (ranks, untouched by outliers).
        means: Mean minutes of the two groups.
        medians: Median minutes of the two groups.
        top: The `TOP` quantiles of minutes in the two groups.
        top_difference: Their difference, with a distribution-free interval.
        equivalence: Two one-sided tests against a change of `RELEVANT_LIFT` of the first mean.
    """

    name: str
    labels: tuple[str, str]
    f_test: TestResult
    brown_forsythe: TestResult
    welch: TestResult
    student: TestResult
    mann_whitney: TestResult
    means: tuple[float, float]
    medians: tuple[float, float]
    top: tuple[float, float]
    top_difference: Effect
    equivalence: TestResult


@dataclass(frozen=True)
class Turnover:
    """Who the students of a plan were in the two quarters, on untrimmed minutes.

    Attributes:
        plan: "paid" or "free".
        students: Students who left, stayed and came; a frame with columns `who`, `students`,
            `mean_before`, `mean_after` (minutes; missing where not active), and `total_after`.
        total_before: Minutes watched by everybody in the first quarter.
        total_after: Minutes in the second.
        mean_before: Mean minutes of an active student in the first quarter.
        mean_after: Mean minutes in the second.
        from_stayers: Part of the change of the mean that comes from the same students watching
            more or less (minutes).
        from_exchange: Part from newcomers watching more or less than those who left.
        from_weights: Part from stayers being a larger or smaller share of the active students.
    """

    plan: str
    students: pd.DataFrame
    total_before: float
    total_after: float
    mean_before: float
    mean_after: float
    from_stayers: float
    from_exchange: float
    from_weights: float

    @property
    def students_before(self) -> int:
        """Students active in the first quarter: those who left and those who stayed."""
        return int(self.students.students[:2].sum())

    @property
    def students_after(self) -> int:
        """Students active in the second quarter: those who stayed and those who came."""
        return int(self.students.students[1:].sum())

    @property
    def growth(self) -> float:
        """Active students of the second quarter as a multiple of the first's."""
        return self.students_after / self.students_before


@dataclass(frozen=True)
class Pairs:
    """Students active in both quarters, each compared with himself or herself.

    Attributes:
        plan: "paid" or "free".
        selection: Which of them.
        before: Minutes in the first quarter, shape (n,).
        after: Minutes in the second, shape (n,).
        paired_t: Test of the mean change.
        wilcoxon: Signed-rank test of the change.
        watched_more: Share who watched more in the second quarter, with its interval.
        rank_correlation: Spearman's correlation of the two quarters.
        needed: Pairs that the rule of thumb for a mean that is about normal asks for.
    """

    plan: str
    selection: str
    before: np.ndarray
    after: np.ndarray
    paired_t: TestResult
    wilcoxon: TestResult
    watched_more: Interval
    rank_correlation: float
    needed: int


@dataclass(frozen=True)
class Experiment:
    """What a randomised test of such features would need in one plan.

    Attributes:
        plan: "paid" or "free".
        per_arm: Students an arm to detect `RELEVANT_LIFT` in mean minutes, two-sided 5%, power 80%,
            if the extreme top of each arm is dropped.
        per_arm_untrimmed: The same if nobody is dropped.
        per_arm_adjusted: The same when each student's earlier minutes are used as a covariate.
        detectable_lift: Smallest relative lift that one quarter's students, split in two, detect.
        mean: Mean minutes that the plan is based on.
        sd: Their standard deviation.
    """

    plan: str
    per_arm: int
    per_arm_untrimmed: int
    per_arm_adjusted: int
    detectable_lift: float
    mean: float
    sd: float


@dataclass(frozen=True)
class Headline:
    """What the front page tells: the answers, without the parts that take long to compute.

    Attributes:
        origin: Where the tables are, for people.
        fallback: Whether they are the shipped ones because the place named has none.
        shipped: Whether they are the shipped ones.
        registered: Students in the table.
        groups: The four groups of students, by plan and quarter.
        comparisons: First against second quarter, by plan.
        untrimmed: Welch's test of all students, the extreme top included, by plan.
        countries: Two countries in the free plan; None where the table has no two to compare.
        family: The tests of the study's questions, three or two, with Holm's correction.
        turnover: Who left, stayed and came, by plan.
    """

    origin: str
    fallback: bool
    shipped: bool
    registered: int
    groups: Mapping[tuple[str, str], Group]
    comparisons: Mapping[str, Comparison]
    untrimmed: Mapping[str, TestResult]
    countries: Comparison | None
    family: pd.DataFrame
    turnover: Mapping[str, Turnover]


@dataclass(frozen=True)
class Study(Headline):
    """The whole study; every number of the chapter is in here.

    Attributes:
        bca: 95% bootstrap BCa interval of each group's mean, beside its t interval.
        permutations: The difference of means against random relabelling, by plan.
        pairs: Students of both quarters, by plan; nothing is trimmed.
        trimmed_pairs: Those of them who are in the extreme top of neither quarter; None where
            too few are.
        low_pairs: Those of them with a low first quarter.
        mirror_pairs: Those of them with a low second quarter.
        sensitivity: The increase under other outlier rules; see `sensitivity`.
        experiments: What a randomised experiment would need, by plan.
    """

    bca: Mapping[tuple[str, str], Interval]
    permutations: Mapping[str, TestResult]
    pairs: Mapping[str, Pairs]
    trimmed_pairs: Mapping[str, Pairs | None]
    low_pairs: Mapping[str, Pairs]
    mirror_pairs: Mapping[str, Pairs]
    sensitivity: pd.DataFrame
    experiments: Mapping[str, Experiment]


@or_kept
def headline(tables: Tables) -> Headline:
    """Answers the study's questions; see `analyse`."""
    return Headline(**_headline(tables, load(tables)))


@kept
def analyse(tables: Tables) -> Study:
    """Runs the study.

    Args:
        tables: The tables of the study `engagement`.

    Raises:
        TooFewStudents: a plan and quarter has under three students, or no spread of minutes.
    """
    students = load(tables)
    answers = _headline(tables, students)
    groups = answers["groups"]
    return Study(
        **answers,
        bca={
            key: intervals.mean_bootstrap(
                g.minutes, resamples=_resamples(g.minutes.size), seed=SEED)
            for key, g in groups.items()
        },
        permutations={plan: permutation(groups, plan) for plan in PLANS},
        pairs={plan: pairs(students, plan) for plan in PLANS},
        trimmed_pairs={plan: trimmed_pairs(students, groups, plan) for plan in PLANS},
        low_pairs={plan: low_pairs(students, plan) for plan in PLANS},
        mirror_pairs={plan: low_pairs(students, plan, mirror=True) for plan in PLANS},
        sensitivity=sensitivity(groups),
        experiments={plan: experiment(groups, students, plan) for plan in PLANS},
    )


def _headline(tables: Tables, students: pd.DataFrame) -> dict:
    groups = {key: group(students, *key) for key in product(PLANS, QUARTERS)}
    comparisons = {plan: compare_quarters(groups, plan) for plan in PLANS}
    countries = compare_countries(students, groups["free", QUARTERS[1]])
    questions = [*comparisons.values(), *([countries] if countries else [])]
    return {
        "origin": tables.origin,
        "fallback": tables.fallback,
        "shipped": tables.shipped,
        "registered": len(students),
        "groups": groups,
        "comparisons": comparisons,
        "untrimmed": {plan: _increase(groups, plan, level=1.0) for plan in PLANS},
        "countries": countries,
        "family": multiplicity.adjust({c.name: c.welch for c in questions}, alpha=ALPHA),
        "turnover": {plan: turnover(students, plan) for plan in PLANS},
    }


def load(tables: Tables) -> pd.DataFrame:
    """One row a student: `plan`, `country` and each quarter's minutes (missing = not active)."""
    students = tables.table("students")
    return students.select(
        plan=ibis.cases((students.paid == 1, "paid"), else_="free"),
        country=students.student_country,
        **{quarter: students[column] for quarter, column in COLUMNS.items()},
    ).to_pandas()


def group(students: pd.DataFrame, plan: str, quarter: str) -> Group:
    """Describes one plan in one quarter, before and after trimming."""
    # Sorted, so that resampling does not depend on the order of the rows.
    raw = np.sort(students.loc[students.plan == plan, quarter].dropna().to_numpy(float))
    if len(raw) < 3 or np.ptp(raw) == 0:
        raise TooFewStudents(
            f"engagement/students: {len(raw)} {plan} {'student' if len(raw) == 1 else 'students'} "
            f"with minutes in {quarter} ({COLUMNS[quarter]}); a comparison needs at least three, "
            "with different minutes"
        )
    trimmed = descriptive.trim_upper(raw, TRIM)
    return Group(
        plan=plan,
        quarter=quarter,
        raw=raw,
        minutes=trimmed.kept,
        threshold=trimmed.threshold,
        summary=descriptive.describe(trimmed.kept),
        raw_summary=descriptive.describe(raw),
        t_interval=intervals.mean_t(trimmed.kept),
    )


def compare(
    name: str, labels: tuple[str, str], a: np.ndarray, b: np.ndarray, alternative: str
) -> Comparison:
    """Compares two samples of minutes in every way that the chapter shows."""
    margin = RELEVANT_LIFT * float(np.mean(a))
    return Comparison(
        name=name,
        labels=labels,
        f_test=two_sample.f_test(a, b, alpha=ALPHA),
        brown_forsythe=two_sample.brown_forsythe(a, b, alpha=ALPHA),
        welch=two_sample.welch(a, b, alternative=alternative, alpha=ALPHA),
        student=two_sample.student(a, b, alternative=alternative, alpha=ALPHA),
        mann_whitney=two_sample.mann_whitney(a, b, alternative=alternative, alpha=ALPHA),
        means=(float(np.mean(a)), float(np.mean(b))),
        medians=(float(np.median(a)), float(np.median(b))),
        top=(float(np.quantile(a, TOP)), float(np.quantile(b, TOP))),
        top_difference=effects.quantile_difference(a, b, TOP),
        equivalence=two_sample.equivalence(a, b, low=-margin, high=margin, alpha=ALPHA),
    )


def compare_quarters(groups: Mapping[tuple[str, str], Group], plan: str) -> Comparison:
    """First against second quarter of a plan; left-tailed, since an increase is expected."""
    a, b = (groups[plan, quarter] for quarter in QUARTERS)
    return compare(f"{plan.capitalize()} plan", QUARTERS, a.minutes, b.minutes, "less")


def permutation(groups: Mapping[tuple[str, str], Group], plan: str) -> TestResult:
    """The increase of a plan's mean against random relabelling of its students."""
    a, b = (groups[plan, quarter].minutes for quarter in QUARTERS)
    return two_sample.permutation(
        a, b, alternative="less", alpha=ALPHA, resamples=_resamples(a.size + b.size), seed=SEED
    )


def _resamples(n: int) -> int:
    """How often so many values are drawn anew."""
    return RESAMPLES if n < resampling.MANY else RESAMPLES_OF_MANY


def compare_countries(students: pd.DataFrame, free: Group) -> Comparison | None:
    """Two countries in the free plan's second quarter, two-sided, trimmed as the plan is.

    They are the United States and India where both have students, else the two largest; None where
    fewer than two have three students with different minutes.
    """
    quarter = free.quarter
    rows = students[(students.plan == "free") & (students[quarter] <= free.threshold)]
    minutes = rows.groupby("country")[quarter]
    counts = minutes.size()[(minutes.size() >= 3) & (minutes.nunique() > 1)]
    if len(counts) < 2:
        return None
    largest = counts.sort_values(ascending=False, kind="stable").index[:2]
    first, second = COUNTRY_NAMES if set(COUNTRY_NAMES) <= set(counts.index) else largest
    a, b = (np.sort(rows.loc[rows.country == c, quarter].to_numpy(float)) for c in (first, second))
    labels = tuple(COUNTRY_NAMES.get(c, c) for c in (first, second))
    return compare(f"{first} against {second}, free plan", labels, a, b, "two-sided")


def turnover(students: pd.DataFrame, plan: str) -> Turnover:
    """Splits the change of mean minutes into behaviour and exchange of students.

    The method is Kitagawa's (1955): with two strata, stayers and the rest, the change of a mean is
    the sum over strata of (mean share x change of mean) and (mean of means x change of share).
    """
    rows = students[students.plan == plan]
    before, after = (rows[quarter] for quarter in QUARTERS)
    left, came = before[after.isna() & before.notna()], after[before.isna() & after.notna()]
    both = before.notna() & after.notna()
    frame = pd.DataFrame(
        {
            "who": ["left", "stayed", "came"],
            "students": [len(left), int(both.sum()), len(came)],
            "mean_before": [left.mean(), before[both].mean(), np.nan],
            "mean_after": [np.nan, after[both].mean(), came.mean()],
            "total_before": [left.sum(), before[both].sum(), 0.0],
            "total_after": [0.0, after[both].sum(), came.sum()],
        }
    )
    stay_share = np.array([both.sum() / before.notna().sum(), both.sum() / after.notna().sum()])
    stay_mean = np.nan_to_num([before[both].mean(), after[both].mean()])
    else_mean = np.nan_to_num([left.mean(), came.mean()])
    return Turnover(
        plan=plan,
        students=frame,
        total_before=float(before.sum()),
        total_after=float(after.sum()),
        mean_before=float(before.mean()),
        mean_after=float(after.mean()),
        from_stayers=float(stay_share.mean() * np.diff(stay_mean)[0]),
        from_exchange=float((1 - stay_share).mean() * np.diff(else_mean)[0]),
        from_weights=float(np.diff(stay_share)[0] * (stay_mean.mean() - else_mean.mean())),
    )


def pairs(students: pd.DataFrame, plan: str) -> Pairs:
    """All students of a plan who were active in both quarters."""
    rows = students[students.plan == plan].dropna(subset=list(QUARTERS))
    return _pairs(rows, plan, "active in both quarters")


def trimmed_pairs(
    students: pd.DataFrame, groups: Mapping[tuple[str, str], Group], plan: str
) -> Pairs | None:
    """Students of both quarters whom the main comparison keeps in both; None if too few are."""
    rows = students[students.plan == plan]
    for quarter in QUARTERS:
        rows = rows[rows[quarter] <= groups[plan, quarter].threshold]
    try:
        return _pairs(rows, plan, "active in both, in the extreme top of neither")
    except TooFewStudents:
        return None


def low_pairs(students: pd.DataFrame, plan: str, *, mirror: bool = False) -> Pairs:
    """Those of both quarters who watched `SUBSET` minutes in the first (or, mirrored, the second).

    The mirror shows regression to the mean (Galton, 1886): students chosen for a low quarter look
    better in the other one, whichever comes first.
    """
    chosen = QUARTERS[1] if mirror else QUARTERS[0]
    rows = students[students.plan == plan].dropna(subset=list(QUARTERS))
    rows = rows[rows[chosen].between(*SUBSET)]
    return _pairs(rows, plan, f"{SUBSET[0]:.0f} to {SUBSET[1]:.0f} minutes in {chosen}")


def _pairs(rows: pd.DataFrame, plan: str, selection: str) -> Pairs:
    before, after = (rows[quarter].to_numpy(float) for quarter in QUARTERS)
    if len(rows) < 3 or np.ptp(after - before) == 0:
        raise TooFewStudents(
            f"engagement/students: {len(rows)} {plan} students {selection} and active in both; "
            "the paired comparison needs at least three, with different changes"
        )
    return Pairs(
        plan=plan,
        selection=selection,
        before=before,
        after=after,
        paired_t=two_sample.paired_t(after, before, alpha=ALPHA),
        wilcoxon=two_sample.wilcoxon(after, before, alpha=ALPHA),
        watched_more=intervals.proportion(int((after > before).sum()), len(rows)),
        rank_correlation=float(stats.spearmanr(before, after).statistic),
        needed=power.smallest_n_for_normal_mean(float(stats.skew(after - before, bias=False))),
    )


def sensitivity(groups: Mapping[tuple[str, str], Group]) -> pd.DataFrame:
    """The increase under other rules for outliers: one row a plan and share of values kept.

    Columns: `plan`, `kept` (quantile up to which values are kept), `difference` (second minus
    first quarter, minutes), `ratio`, `ratio_low`, `ratio_high` (of the means, 95%), `p_value`
    (left-tailed Welch, as in the main test).
    """
    rows = []
    for plan, level in product(PLANS, TRIMS):
        test = _increase(groups, plan, level)
        # The test's ratio is first over second; the reader wants second over first.
        ratio = test.effect("ratio of means")
        rows.append(
            {
                "plan": plan,
                "kept": level,
                "difference": -test.estimate,
                "ratio": 1 / ratio.value,
                "ratio_low": 1 / ratio.high,
                "ratio_high": 1 / ratio.low,
                "p_value": test.p_value,
            }
        )
    return pd.DataFrame(rows)


def _increase(groups: Mapping[tuple[str, str], Group], plan: str, level: float) -> TestResult:
    """The main test where only values up to a quantile are kept."""
    a, b = (
        g.raw if level == 1 else descriptive.trim_upper(g.raw, level).kept
        for g in (groups[plan, quarter] for quarter in QUARTERS)
    )
    return two_sample.welch(a, b, alternative="less", alpha=ALPHA)


def experiment(
    groups: Mapping[tuple[str, str], Group], students: pd.DataFrame, plan: str
) -> Experiment:
    """Sizes a randomised experiment on the plan's second quarter.

    Earlier minutes as a covariate shrink the variance by 1 - r^2 (CUPED: Deng, Xu, Kohavi &
    Walker, 2013), for the students who have any; r is Pearson's, on trimmed minutes.
    """
    now = groups[plan, QUARTERS[1]]
    rows = students[students.plan == plan].dropna(subset=list(QUARTERS))
    kept = rows[
        (rows[QUARTERS[0]] <= groups[plan, QUARTERS[0]].threshold)
        & (rows[QUARTERS[1]] <= now.threshold)
    ]
    r = kept[QUARTERS[0]].corr(kept[QUARTERS[1]]) if len(kept) > 2 else 0.0
    mean, sd = now.summary.mean, now.summary.sd
    return Experiment(
        plan=plan,
        per_arm=students_per_arm(mean, sd, RELEVANT_LIFT),
        per_arm_untrimmed=students_per_arm(
            now.raw_summary.mean, now.raw_summary.sd, RELEVANT_LIFT
        ),
        per_arm_adjusted=students_per_arm(mean, sd * np.sqrt(1 - r**2), RELEVANT_LIFT),
        detectable_lift=power.lift(
            mean=mean, sd=sd, n_a=len(now.minutes) // 2, power=POWER, alpha=ALPHA
        ).lift,
        mean=mean,
        sd=sd,
    )


def students_per_arm(mean: float, sd: float, lift: float) -> int:
    """Students in each of two equal arms that show a relative lift of the mean (two-sided)."""
    return power.lift(mean=mean, sd=sd, lift=lift, power=POWER, alpha=ALPHA).n_a


def results(tables: Tables) -> dict[str, Scalar]:
    """Every number that the chapter reports, by name."""
    return flatten(analyse(tables), KEYS)
