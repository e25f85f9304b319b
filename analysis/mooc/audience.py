"""Who the users are: value and engagement by occupation, age group and referral channel.

Everything starts from power sums of the measures by combination of the three factors, reduced where
the users are. Users whose value of a factor is missing are counted, and left out of what compares
its groups.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy.stats import norm

from analysis.mooc.reduce import MISSING, collect
from analysis.stats import association, intervals, regression, several_means
from analysis.stats.decision import Finding
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm
from analysis.stats.regression import LeastSquares, Sums

SEED = 1951
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
FACTORS = ("user_occupation", "user_age_group", "referral_channel")
METRICS = (
    "total_revenue", "total_time_watched_minutes", "video_completion_rate", "quiz_score_average",
)
# What is compared, and among whom: all users, those who bought, the enrolled, those with a score.
REVENUE, BOUGHT, SPENT = "revenue", "bought", "spent_by_buyers"
MINUTES, RATE, QUIZ = "minutes_a_course", "completion_rate", "quiz_score"
MEASURES = (REVENUE, BOUGHT, SPENT, MINUTES, RATE, QUIZ)
VALUE = (REVENUE, BOUGHT, SPENT)
SKEWED = (REVENUE, SPENT, MINUTES)
LEAST_USERS = 50  # of a group that stands for itself
LEAST_VALUES = 10  # of a group whose mean is compared
MOST_GROUPS = 12  # of a factor
OTHERS = "all other"
MARGIN = 0.1  # standard deviations; a difference of means below it is too small to act on


@dataclass(frozen=True)
class Audience:
    """Value and engagement by group; money in the currency of the tables.

    Attributes:
        users: All users.
        missing: Users whose value is missing, by factor.
        pooled: Small groups that stand for less than `LEAST_USERS` users, or beyond the
            `MOST_GROUPS` largest: index `factor`, `group`; `users`. Together they are `OTHERS`.
        metrics: Number, mean and sd of the columns of the users table by group, by factor; see
            `moments`.
        measures: Index `measure`; of all users: `n`, `mean`, `sd`, `margin` (`MARGIN` times sd).
        groups: Index `factor`, `group`, `measure`: `n`, `mean`, `low`, `high`.
        comparisons: Index `factor`, `group`, `measure`, a group less the rest of its factor:
            `difference`, `low`, `high`, `p_value`, `p_adjusted` (Holm over the groups and measures
            of a factor), `wide_low` and `wide_high` (widened for these, Bonferroni), `finding` (see
            `Finding`; "equivalent" if the wide limits lie within the margin), in standard
            deviations `standardised`, `_low`, `_high`; and the same with the other factors held
            equal, prefixed `adjusted_`.
        tests: Index `factor`, `measure`: `statistic`, `df`, `p_value`, `p_adjusted` (Holm over all
            rows), `method`; `explained` (share of the variance between the groups, less what chance
            puts there) with `explained_low`, `explained_high`; with the other factors held equal
            `adjusted_p_value`, `adjusted_p` (Holm) and `added` (share of the variance that the
            factor adds to the others).
        tied: Index `first`, `second`, pairs of factors: Cramér's V (bias-corrected) `v`, `v_low`,
            `v_high`, `p_value`, `p_adjusted` (Holm).
    """

    users: int
    missing: Mapping[str, int]
    pooled: pd.DataFrame
    metrics: Mapping[str, pd.DataFrame]
    measures: pd.DataFrame
    groups: pd.DataFrame
    comparisons: pd.DataFrame
    tests: pd.DataFrame
    tied: pd.DataFrame


def audience(users: ir.Table) -> Audience:
    """Compares the groups.

    Args:
        users: mooc/users.
    """
    metrics = {column: moments(users, column) for column in FACTORS}
    sizes = {
        factor: metrics[factor].xs(METRICS[0], level="metric")[["n", "missing"]].sum(axis=1)
        for factor in FACTORS
    }
    kept = {factor: _kept(size.drop(MISSING, errors="ignore")) for factor, size in sizes.items()}
    cells = _cells(users, kept)
    measures = _measures(cells)
    groups, tests, against = [], [], []
    for factor in FACTORS:
        found = _compare(cells, factor)
        groups += found[0]
        tests += found[1]
        against += found[2]
    comparisons = pd.concat(against) if against else _no_comparisons()
    frame = pd.DataFrame(tests, columns=_TESTS).set_index(["factor", "measure"])
    adjusted, factors = _adjusted(cells)
    comparisons = comparisons.join(adjusted)
    frame = frame.join(factors)
    frame.insert(3, "p_adjusted", _holm(frame["p_value"]))
    frame["adjusted_p"] = _holm(frame["adjusted_p_value"])
    return Audience(
        users=int(cells["users"].sum()),
        missing={factor: int(size.get(MISSING, 0)) for factor, size in sizes.items()},
        pooled=_pooled(sizes, kept),
        metrics=metrics,
        measures=measures,
        groups=pd.DataFrame(groups, columns=["factor", "group", "measure", "n", "mean", "low",
                                             "high"]).set_index(["factor", "group", "measure"]),
        comparisons=_decided(comparisons, measures),
        tests=frame,
        tied=_tied(cells),
    )


def moments(users: ir.Table, by: str) -> pd.DataFrame:
    """Number, mean and standard deviation of the metrics by group.

    Args:
        users: mooc/users.
        by: A column of `users`.

    Returns:
        Index `by` and `metric`; columns `n` (values there), `missing`, `mean` and `sd` (sample,
        missing for fewer than two values; in the metric's unit).
    """
    reductions = {}
    for metric in METRICS:
        value = users[metric].cast("float64")
        reductions |= {
            f"n__{metric}": value.count(),
            f"missing__{metric}": value.isnull().sum(),
            f"mean__{metric}": value.mean(),
            f"sd__{metric}": value.std(how="sample"),
        }
    wide = collect(users.group_by(by).agg(**reductions), (by,))
    wide.columns = pd.MultiIndex.from_tuples(name.split("__") for name in wide.columns)
    frame = wide.stack(future_stack=True).rename_axis([by, "metric"])
    frame = frame.reindex(columns=["n", "missing", "mean", "sd"])
    return frame.astype({"n": "int64", "missing": "int64"}).sort_index()


def _kept(size: pd.Series) -> list[str]:
    """Groups that stand for themselves; if the rest is too small, the smallest of them join it."""
    size = size.sort_index().sort_values(ascending=False, kind="stable")
    kept = min(int((size >= LEAST_USERS).sum()), MOST_GROUPS)
    while 0 < kept < len(size) and size.iloc[kept:].sum() < LEAST_USERS:
        kept -= 1
    return list(size.index[:kept])


def _pooled(sizes: Mapping[str, pd.Series], kept: Mapping[str, list[str]]) -> pd.DataFrame:
    rows = [
        (factor, group, int(n)) for factor, size in sizes.items()
        for group, n in size.drop(MISSING, errors="ignore").items() if group not in kept[factor]
    ]
    columns = ["factor", "group", "users"]
    return pd.DataFrame(rows, columns=columns).set_index(["factor", "group"])


def _cells(users: ir.Table, kept: Mapping[str, list[str]]) -> pd.DataFrame:
    """Power sums of the measures by combination of the factors, small groups pooled."""
    courses = users.total_courses_enrolled.cast("float64").nullif(0.0)
    enrolled = users.total_courses_enrolled > 0
    paid = users.total_revenue.cast("float64")
    nothing = ibis.null("float64")
    values = {
        REVENUE: paid,
        BOUGHT: (paid > 0).cast("float64"),
        SPENT: paid.nullif(0.0),
        MINUTES: users.total_time_watched_minutes.cast("float64") / courses,
        RATE: ibis.ifelse(enrolled, users.video_completion_rate.cast("float64"), nothing),
        QUIZ: ibis.ifelse(enrolled, users.quiz_score_average.cast("float64"), nothing),
    }
    keys = {}
    for factor, groups in kept.items():
        pooled = ibis.ifelse(users[factor].isnull(), MISSING, OTHERS)
        keys[factor] = ibis.ifelse(
            users[factor].isin(groups), users[factor], pooled) if groups else pooled
    rows = users.select(**keys, **values)
    sums = {"users": _.count()}
    for name in MEASURES:
        sums[f"n__{name}"] = rows[name].count()
        sums |= {f"sum{power}__{name}": (rows[name] ** power).sum().fill_null(0.0)
                 for power in (1, 2, 3)}
    frame = collect(rows.group_by(*FACTORS).agg(**sums), FACTORS)
    return frame.reset_index()


def _moments(row: Mapping, measure: str) -> Moments | None:
    return several_means.moments_of_sums(
        int(row[f"n__{measure}"]), *(row[f"sum{power}__{measure}"] for power in (1, 2, 3)))


def _measures(cells: pd.DataFrame) -> pd.DataFrame:
    total = cells.drop(columns=list(FACTORS)).sum()
    rows = []
    for name in MEASURES:
        found = _moments(total, name)
        sd = found.sd if found is not None and found.n > 1 else math.nan
        rows.append({"measure": name, "n": found.n if found else 0,
                     "mean": found.mean if found else math.nan, "sd": sd, "margin": MARGIN * sd})
    return pd.DataFrame(rows).set_index("measure")


_TESTS = ["factor", "measure", "statistic", "df", "p_value", "method", "explained",
          "explained_low", "explained_high"]


def _compare(
    cells: pd.DataFrame, factor: str
) -> tuple[list[dict], list[dict], list[pd.DataFrame]]:
    """Means of a factor's groups, tests that they are equal, and each group against the rest."""
    known = cells[cells[factor] != MISSING]
    sums = known.drop(columns=list(FACTORS)).groupby(known[factor]).sum()
    groups, tests, against = [], [], []
    for measure in MEASURES:
        found = {name: _moments(row, measure) for name, row in sums.iterrows()}
        found = {name: m for name, m in found.items() if m is not None}
        key = {"factor": factor, "measure": measure}
        for name, m in found.items():
            low, high = _limits(m, measure)
            groups.append(key | {"group": name, "n": m.n, "mean": m.mean, "low": low,
                                 "high": high})
        # Without the skewness, which only the intervals above have a use for.
        compared = {name: replace(m, skewness=None) for name, m in found.items()
                    if m.n >= LEAST_VALUES}
        if len(compared) < 2:
            continue
        tests.append(key | _test(compared, measure))
        frame = several_means.against_rest(compared, CONFIDENCE).reset_index()
        against.append(frame.assign(**key).set_index(["factor", "group", "measure"]))
    if against:
        # One family a factor: all its groups in all measures.
        frame = pd.concat(against)
        frame["p_adjusted"] = _holm(frame["p_value"])
        widen = _widening(len(frame))
        for end in ("low", "high"):
            frame[f"wide_{end}"] = frame["difference"] + widen * (
                frame[end] - frame["difference"])
        against = [frame]
    return groups, tests, against


def _widening(comparisons: int) -> float:
    """How much wider normal limits are that hold for so many comparisons together (Bonferroni)."""
    return float(norm.isf(ALPHA / 2 / comparisons) / norm.isf(ALPHA / 2))


def _limits(m: Moments, measure: str) -> tuple[float, float]:
    if measure == BOUGHT:
        found = intervals.proportion(round(m.n * m.mean), m.n, CONFIDENCE)
    elif m.n < 3 or not m.variance > 0:
        return math.nan, math.nan
    elif measure in SKEWED:
        found = intervals.mean_skewed(m, CONFIDENCE)
    else:
        found = intervals.mean_t(m, CONFIDENCE)
    return max(found.low, 0.0), found.high


def _test(found: Mapping[str, Moments], measure: str) -> dict:
    """Welch's test of equal means, or for the share who bought the chi-squared test."""
    nothing = {"statistic": math.nan, "df": math.nan, "p_value": math.nan, "method": None,
               "explained": math.nan, "explained_low": math.nan, "explained_high": math.nan}
    try:
        if measure == BOUGHT:
            yes = {name: round(m.n * m.mean) for name, m in found.items()}
            table = pd.DataFrame({"yes": yes, "no": {n: m.n - yes[n] for n, m in found.items()}})
            result = association.association(table, confidence=CONFIDENCE, seed=SEED)
            # The square of V is what the groups explain of the variance of a 0/1 outcome.
            v = result.effect
            return {"statistic": result.statistic, "df": float(result.df),
                    "p_value": result.p_value, "method": "chi-squared", "explained": v.value**2,
                    "explained_low": v.low**2, "explained_high": v.high**2}
        result = several_means.welch_anova(found, CONFIDENCE)
    except ValueError:  # a group that does not vary, or nobody or everybody bought
        return nothing
    return {"statistic": result.statistic, "df": float(result.df), "p_value": result.p_value,
            "method": "Welch", "explained": result.effect.value,
            "explained_low": result.effect.low, "explained_high": result.effect.high}


def _adjusted(cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Each group less the rest with the other factors held equal, and each factor's test.

    Least squares of the measure on the indicators of all factors that have two groups, without
    interactions; the contrast is a group's coefficient less the mean of the others', weighted by
    their users.
    """
    rows, tests = [], []
    for measure in MEASURES:
        there = cells[(cells[f"n__{measure}"] > 0)
                      & (cells[list(FACTORS)] != MISSING).all(axis=1)]
        for factor in FACTORS:
            n = there.groupby(factor)[f"n__{measure}"].transform("sum")
            there = there[n >= LEAST_VALUES]
        factors = [factor for factor in FACTORS if there[factor].nunique() > 1]
        fit, design, outcome = _fit(there, measure, factors)
        if fit is None or len(factors) < 2:
            continue
        n, x = outcome.n, design.matrix
        bread = np.linalg.inv((x * n[:, None]).T @ x)
        spread = outcome.squares.sum() - outcome.total.sum() ** 2 / n.sum()
        for factor in factors:
            # What the residual sum of squares would grow by without the factor.
            mine = design.positions(factor)
            own = fit.params[mine]
            added = float(own @ np.linalg.solve(bread[np.ix_(mine, mine)], own) / spread)
            row = fit.tests.set_index("factor").loc[factor]
            tests.append({"factor": factor, "measure": measure,
                          "adjusted_p_value": float(row["p_value"]), "added": added})
            share = there.groupby(factor)[f"n__{measure}"].sum() / n.sum()
            position = dict(zip((design.columns[i - 1].level for i in design.positions(factor)),
                                design.positions(factor), strict=True))
            for group in share.index:
                contrast = np.zeros(design.matrix.shape[1])
                for level, part in share.items():
                    if level in position:
                        weight = 1.0 if level == group else -part / (1 - share[group])
                        contrast[position[level]] = weight
                value = float(contrast @ fit.params)
                error = math.sqrt(max(0.0, float(contrast @ fit.covariance @ contrast)))
                rows.append({"factor": factor, "group": group, "measure": measure,
                             "value": value, "error": error})
    frame = pd.DataFrame(rows, columns=["factor", "group", "measure", "value", "error"])
    frame = frame.set_index(["factor", "group", "measure"]).astype(float)
    return frame, pd.DataFrame(
        tests, columns=["factor", "measure", "adjusted_p_value", "added"]
    ).set_index(["factor", "measure"]).astype(float)


def _fit(there: pd.DataFrame, measure: str, factors: list[str]):
    outcome = Sums(*(there[name].to_numpy(dtype=float) for name in (
        f"n__{measure}", f"sum1__{measure}", f"sum2__{measure}")))
    columns = [pair for factor in factors
               for pair in regression.indicators(there[factor], factor)]
    design = regression.design(columns, len(there))
    try:
        fit: LeastSquares = regression.least_squares(design, outcome, CONFIDENCE)
    except ValueError:  # factors that cannot be told apart, or no variation
        return None, design, outcome
    return fit, design, outcome


def _decided(frame: pd.DataFrame, measures: pd.DataFrame) -> pd.DataFrame:
    """The comparisons with what they show, as they come and with the other factors held equal."""
    margin = frame.index.get_level_values("measure").map(measures["margin"]).to_numpy(dtype=float)
    sd = margin / MARGIN
    frame = frame.copy()
    frame["finding"] = _findings(frame, margin)
    value, error = frame.pop("value"), frame.pop("error")
    reach = norm.isf(ALPHA / 2) * error
    frame["adjusted_difference"] = value
    frame["adjusted_low"], frame["adjusted_high"] = value - reach, value + reach
    with np.errstate(divide="ignore", invalid="ignore"):
        frame["adjusted_p_value"] = 2 * norm.sf(np.abs(value / error.where(error > 0)))
    other = pd.DataFrame(index=frame.index)
    factor = frame.index.get_level_values("factor")
    frame["adjusted_p_adjusted"] = np.nan
    widen = np.ones(len(frame))
    for name in dict.fromkeys(factor):
        mine = factor == name
        frame.loc[mine, "adjusted_p_adjusted"] = _holm(frame.loc[mine, "adjusted_p_value"])
        widen[mine] = _widening(int(mine.sum()))
    other["difference"], other["p_adjusted"] = value, frame["adjusted_p_adjusted"]
    other["wide_low"], other["wide_high"] = value - widen * reach, value + widen * reach
    frame["adjusted_finding"] = _findings(other, margin)
    for name in ("difference", "low", "high"):
        frame[f"adjusted_{name}_sd"] = frame[f"adjusted_{name}"] / sd
    return frame.rename(columns={
        "adjusted_difference_sd": "adjusted_standardised",
        "adjusted_low_sd": "adjusted_standardised_low",
        "adjusted_high_sd": "adjusted_standardised_high"})


def _findings(frame: pd.DataFrame, margin: np.ndarray) -> list[str | None]:
    found = []
    for row, limit in zip(frame.itertuples(), margin, strict=True):
        if not np.isfinite(row.p_adjusted):
            found.append(None)
        elif row.p_adjusted <= ALPHA:
            found.append((Finding.HIGHER if row.difference > 0 else Finding.LOWER).value)
        elif -limit < row.wide_low and row.wide_high < limit:
            found.append(Finding.EQUIVALENT.value)
        else:
            found.append(Finding.INCONCLUSIVE.value)
    return found


def _no_comparisons() -> pd.DataFrame:
    frame = several_means.against_rest({}).reset_index().assign(factor="", measure="")
    return frame.set_index(["factor", "group", "measure"])


def _holm(p_values: pd.Series) -> pd.Series:
    """Holm's adjusted p-values of those that there are."""
    adjusted = pd.Series(np.nan, p_values.index, dtype=float)
    there = p_values.notna()
    adjusted[there] = holm(p_values[there].astype(float))
    return adjusted


def _tied(cells: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for i, first in enumerate(FACTORS):
        for second in FACTORS[i + 1:]:
            known = cells[(cells[first] != MISSING) & (cells[second] != MISSING)]
            table = known.pivot_table(
                index=first, columns=second, values="users", aggfunc="sum", fill_value=0)
            if min(table.shape) < 2:
                continue
            found = association.association(table, confidence=CONFIDENCE, seed=SEED)
            rows.append({"first": first, "second": second, "v": found.effect.value,
                         "v_low": found.effect.low, "v_high": found.effect.high,
                         "p_value": found.p_value})
    frame = pd.DataFrame(rows, columns=["first", "second", "v", "v_low", "v_high", "p_value"])
    frame["p_adjusted"] = _holm(frame["p_value"])
    return frame.set_index(["first", "second"])
