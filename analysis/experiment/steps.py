"""Conversion by tasks completed: the relation, its shape, and how much of it can be an effect.

Nobody was made to complete a task, so the relation alone says who converts. The widget was assigned
by lot and moves completion, so its two effects, on completions and on conversion, give a second,
far less precise answer that no motive of the customers can have made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.experiment.reductions import COHORTS, HELP, TASKS, Reductions
from analysis.forensics import rates
from analysis.stats import association, intervals, regression, stratified, two_proportions
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Column, Design, Sums
from analysis.stats.two_proportions import Share

CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
# Events and non-events for each coefficient of a logit (Peduzzi et al. 1996).
LEAST_EVENTS = 10
LEAST_EXPECTED = 5  # counts for a chi-squared or normal distribution (Cochran 1954)
LEAST_CUSTOMERS = 30  # of each cohort, for normal means
WEAK = 10  # a first-stage F below it makes an instrument weak (Staiger & Stock 1997)
RESAMPLES = 9_999
SEED = 1955
DEADLINES = (0, 3, 7)  # days after the day of the test
NO_TROUBLE, TROUBLE = "no trouble", "trouble"
COMPLETIONS = "completions"
# What an interval of a ratio can be: see `anderson_rubin`.
BOUNDED, OUTSIDE, EVERYTHING = "bounded", "outside", "everything"


@dataclass(frozen=True)
class Comparison:
    """Conversion, or another share, of one group (a) against another (b).

    Attributes:
        a, b: Their shares, with Wilson's interval.
        n_a, n_b: Their customers.
        difference: a less b (Newcombe 1998).
        ratio: a over b (Katz et al. 1978); None where either is 0.
        odds_ratio: Conditional estimate with exact limits (Cornfield 1956); its ends can be 0 or
            infinite.
        p_value: Two-sided, of equal shares; 1 where nobody or everybody counts.
        method: How p was found.
    """

    a: Interval
    b: Interval
    n_a: int
    n_b: int
    difference: Interval
    ratio: Interval | None
    odds_ratio: Interval
    p_value: float
    method: str


@dataclass(frozen=True)
class Trend:
    """The test of a trend in shares (Cochran 1954, Armitage 1955).

    Attributes:
        slope: Change of the share a step of the scale.
        z: The statistic; its square is R's `prop.trend.test`.
        p_value: Two-sided.
        exact: Whether p comes from outcomes dealt at random instead of the normal distribution,
            because few counts are expected in some group.
    """

    slope: float
    z: float
    p_value: float
    exact: bool


@dataclass(frozen=True)
class Logistic:
    """A logit that is linear in a number, held against one free term a value.

    Attributes:
        odds_ratio: Of one unit more (Wald).
        log_odds, standard_error: The coefficient.
        p_value: Of no relation (likelihood ratio).
        curvature: Likelihood-ratio statistic of the free terms; nan without three values, or where
            the line predicts fewer than `LEAST_EXPECTED` customers of a kind.
        curvature_df: Its degrees of freedom.
        curvature_p: Its p-value: small where a straight line does not fit.
    """

    odds_ratio: Interval
    log_odds: float
    standard_error: float
    p_value: float
    curvature: float
    curvature_df: int
    curvature_p: float


@dataclass(frozen=True)
class Instrument:
    """What the cohorts say of completions and conversion, with the cohort as the instrument.

    Attributes:
        completions: Effect of the test on the mean number of completions.
        conversion: Effect of the test on conversion, of the same customers (Newcombe 1998).
        estimate: The second over the first (Wald 1940): conversion gained a completion gained.
        kind: "bounded": the interval runs from `low` to `high`; "outside": it is all that lies
            below `low` or above `high`; "everything": it excludes no value.
        low, high: Ends of Anderson & Rubin's (1949) interval, which is Fieller's (1954); nan for
            "everything".
        p_value: Of no effect of completions, by the same test.
        f: First-stage F, the squared z of the effect on completions.
        slope: What the plain relation says instead: least squares of conversion on completions.
        slope_inside: Whether the slope lies in the interval.
    """

    completions: Interval
    conversion: Interval
    estimate: float
    kind: str
    low: float
    high: float
    p_value: float
    f: float
    slope: Interval
    slope_inside: bool


@dataclass(frozen=True)
class Decisions:
    """When those who convert do so, in whole days after the day of the test.

    Attributes:
        converted, dated: Customers who converted, and those of them whose day is known.
        deadlines: Index `days`, of `DEADLINES`: `decided` by the end of that day, `share` of
            the dated, `low`, `high` (Wilson).
        curve: Index `day`: `decided` that day, `share` decided by its end, `low`, `high`: a band
            for the whole curve (Massart 1990).
        by_completions: Index `completions`: `dated`, `same_day`, `share` of the dated, `low`,
            `high` (Wilson), `within` the last of the deadlines (share), `median` day.
        median: Day by which half have decided; nan without any.
        last: The last day on which anybody converted; None without any.
        before_completing: Share of those who converted, completed a task and have both times known
            who did so before their last completion; None without any.
    """

    converted: int
    dated: int
    deadlines: pd.DataFrame
    curve: pd.DataFrame
    by_completions: pd.DataFrame
    median: float
    last: int | None
    before_completing: Interval | None


@dataclass(frozen=True)
class Steps:
    """Conversion by number of tasks completed.

    Attributes:
        customers, converted: All of both cohorts.
        levels: Index `completions`, those that occur: `customers`, `converted`, `rate`, `low`,
            `high` (Wilson).
        finishing: All three tasks completed against fewer; None where one of them is empty.
        trend: Over the levels; None where nobody or everybody converted, or there is one level.
        logistic: Conversion on the number of completions; None where there is no trend, or fewer
            than `LEAST_EVENTS` converted or did not, or the model has no finite estimate.
        jumps: Index `step` (k: from k - 1 to k completions), where both occur: `difference` with
            `low`, `high` (Newcombe), `odds_ratio` with `odds_low`, `odds_high` (exact), `p_value`,
            `p_adjusted` (Holm over the steps); and `adjusted` with `adjusted_low`,
            `adjusted_high`: the difference with cohort and help held equal, averaged over all
            customers (marginal effect of a logit); missing where it cannot be fitted.
        last_first: By how much the last step's difference exceeds the first's, normal interval;
            None where a level has fewer than `LEAST_EXPECTED` who converted or who did not.
        last_first_p: Two-sided; nan where that is None.
        last_first_odds: Odds ratio of the last step over that of the first; None as well.
        groups: Index `group`: the cohorts, and customers never and ever in trouble: `customers`,
            `odds_ratio` a completion with `low`, `high`; `fewer` and `all_three`: conversion of
            those groups. Missing where it cannot be told.
        interactions: Index `between` ("cohort", "trouble"): `ratio` of the odds ratios a
            completion (Test over Control, never over ever in trouble) with `low`, `high`,
            `p_value`, `p_adjusted` (Holm). Those that cannot be told are left out.
        instrument: None with fewer than `LEAST_CUSTOMERS` in a cohort, or without variation of
            conversion or completions in one.
        instrument_trouble: The same of those ever in trouble, the only ones whom the widget can
            reach. It can't change who they are, since the first trouble comes before it.
        decisions: When those who convert do so.
    """

    customers: int
    converted: int
    levels: pd.DataFrame
    finishing: Comparison | None
    trend: Trend | None
    logistic: Logistic | None
    jumps: pd.DataFrame
    last_first: Interval | None
    last_first_p: float
    last_first_odds: Interval | None
    groups: pd.DataFrame
    interactions: pd.DataFrame
    instrument: Instrument | None
    instrument_trouble: Instrument | None
    decisions: Decisions


def steps(base: Reductions) -> Steps:
    """Relates conversion to the number of tasks completed.

    Args:
        base: The reductions; `paths`, `decisions` and `faults` are read.
    """
    paths = base.paths
    levels = tally(paths, COMPLETIONS)
    shares = {int(k): Share(row.converted, row.customers)
              for k, row in zip(levels.index, levels.itertuples(), strict=True)}
    groups, slopes = _groups(paths)
    last_first, p, odds = last_against_first(shares)
    return Steps(
        customers=int(levels.customers.sum()),
        converted=int(levels.converted.sum()),
        levels=with_rates(levels),
        finishing=_finishing(levels),
        trend=trend(levels.converted, levels.customers, levels.index),
        logistic=logistic(levels.converted, levels.customers, levels.index),
        jumps=_jumps(shares, paths),
        last_first=last_first,
        last_first_p=p,
        last_first_odds=odds,
        groups=groups,
        interactions=_interactions(slopes),
        instrument=instrument(tally(paths, "cohort", COMPLETIONS)),
        instrument_trouble=instrument(
            tally(paths[paths.help != HELP[0]], "cohort", COMPLETIONS)),
        decisions=_decisions(base.decisions, base.faults),
    )


def tally(paths: pd.DataFrame, *keys: str) -> pd.DataFrame:
    """Customers and those who converted by the keys, as its index."""
    won = paths.assign(converted=paths.customers * paths.converted)
    return won.groupby(list(keys))[["customers", "converted"]].sum().astype("int64")


def with_rates(
    counts: pd.DataFrame, good: str = "converted", n: str = "customers"
) -> pd.DataFrame:
    """Counts with the share, `rate`, and its Wilson interval, `low` and `high`."""
    found = [intervals.proportion(x, of, CONFIDENCE)
             for x, of in zip(counts[good], counts[n], strict=True)]
    return counts.assign(
        rate=[float(i.estimate) for i in found], low=[i.low for i in found],
        high=[i.high for i in found])


def compare(a: Share, b: Share) -> Comparison:
    """One share against another."""
    try:
        # Fisher's where few counts are expected.
        found = association.association(
            [[a.successes, a.n - a.successes], [b.successes, b.n - b.successes]])
        p, method = found.p_value, found.method
    except ValueError:
        p, method = 1.0, "none"
    ratio = two_proportions.ratio(a, b, CONFIDENCE)
    return Comparison(
        a=intervals.proportion(a.successes, a.n, CONFIDENCE),
        b=intervals.proportion(b.successes, b.n, CONFIDENCE),
        n_a=a.n, n_b=b.n,
        difference=two_proportions.difference(a, b, CONFIDENCE),
        ratio=ratio and Interval(ratio.value, ratio.low, ratio.high, CONFIDENCE, "Katz, log scale"),
        odds_ratio=stratified.Conditional.of(
            a.successes, a.n, a.successes + b.successes, a.n + b.n).interval(CONFIDENCE),
        p_value=p, method=method,
    )


def trend(successes, trials, scale) -> Trend | None:
    """The trend of a share along a scale, exact (Monte Carlo) where counts are small.

    Args:
        successes, trials, scale: By group.

    Returns:
        None where the shares or the scale do not vary.
    """
    found = rates.trend(list(successes), list(trials), list(scale))
    if found is None:
        return None
    x, n, at = (np.asarray(list(v), dtype=float) for v in (successes, trials, scale))
    expected = n[n > 0] * min(found.rate, 1 - found.rate)
    exact = bool(expected.min() < 1 or (expected < LEAST_EXPECTED).mean() > 0.2)
    p = found.p_trend
    if exact:
        drawn = np.random.default_rng(SEED).multivariate_hypergeometric(
            n.astype("int64"), int(x.sum()), size=RESAMPLES, method="marginals")
        score = at - n @ at / n.sum()
        extreme = np.abs(drawn @ score) >= abs(x @ score) * (1 - 1e-9) - 1e-12
        p = (1 + int(extreme.sum())) / (RESAMPLES + 1)
    return Trend(slope=found.slope, z=found.statistic, p_value=p, exact=exact)


def logistic(successes, trials, scale) -> Logistic | None:
    """The logit of a share on a number, and whether a line is enough; see `Logistic`."""
    y, n, x = (np.asarray(list(v), dtype=float) for v in (successes, trials, scale))
    y, n, x = y[n > 0], n[n > 0], x[n > 0]
    if min(y.sum(), (n - y).sum()) < LEAST_EVENTS or len(set(x)) < 2:
        return None
    line = regression.design([(Column("x", "one", "0", numeric=True), x)], len(x))
    try:
        fit = regression.logit(line, y, n, CONFIDENCE)
    except ValueError:  # no finite estimate
        return None
    row = fit.coefficient("x", "one")
    expected = n * np.minimum(fit.fitted, 1 - fit.fitted)
    curvature, df = math.nan, len(set(x)) - 2
    if df and expected.min() >= LEAST_EXPECTED:
        free = regression.design(regression.indicators(x, "x"), len(x))
        more = regression.refit_logit(free, y, n).log_likelihood
        curvature = max(0.0, 2 * (more - fit.log_likelihood))
    return Logistic(
        odds_ratio=Interval(row.ratio, row.ratio_low, row.ratio_high, CONFIDENCE, "Wald"),
        log_odds=float(row.estimate), standard_error=float(row.standard_error),
        p_value=float(fit.tests.p_value.iloc[0]),
        curvature=curvature, curvature_df=df,
        curvature_p=float(stats.chi2.sf(curvature, df)) if df else math.nan,
    )


def _finishing(levels: pd.DataFrame) -> Comparison | None:
    every = levels.index == len(TASKS)
    parts = [levels[every].sum(), levels[~every].sum()]
    if not all(part.customers for part in parts):
        return None
    return compare(*(Share(part.converted, part.customers) for part in parts))


_JUMP = ["difference", "low", "high", "odds_ratio", "odds_low", "odds_high", "p_value"]


def _jumps(shares: dict[int, Share], paths: pd.DataFrame) -> pd.DataFrame:
    """Each step against the one before, as they come and with cohort and help held equal."""
    rows = {}
    for k in TASKS:
        if k in shares and k - 1 in shares:
            c = compare(shares[k], shares[k - 1])
            rows[k] = (c.difference.estimate, c.difference.low, c.difference.high,
                       c.odds_ratio.estimate, c.odds_ratio.low, c.odds_ratio.high, c.p_value)
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=_JUMP, dtype=float)
    frame["p_adjusted"] = holm(frame.p_value)
    adjusted = pd.DataFrame([_adjusted(paths, k) for k in rows], index=frame.index,
                            columns=["adjusted", "adjusted_low", "adjusted_high"], dtype=float)
    return frame.join(adjusted).rename_axis("step")


def _adjusted(paths: pd.DataFrame, step: int) -> tuple[float, float, float]:
    counts = tally(paths, COMPLETIONS, "cohort", "help").reset_index()
    columns = [pair for name, reference in ((COMPLETIONS, step - 1), ("cohort", None),
                                            ("help", None))
               for pair in regression.indicators(counts[name], name, reference)]
    x: Design = regression.design(columns, len(counts))
    events = min(counts.converted.sum(), (counts.customers - counts.converted).sum())
    if events < LEAST_EVENTS * x.matrix.shape[1]:
        return (math.nan,) * 3
    try:
        fit = regression.logit(x, counts.converted, counts.customers, CONFIDENCE)
    except ValueError:  # nobody, or everybody, converts in some level
        return (math.nan,) * 3
    effects = regression.marginal_effects(fit, x, counts.customers, CONFIDENCE)
    row = effects[(effects.factor == COMPLETIONS) & (effects.level == step)].iloc[0]
    return row.difference, row.difference_low, row.difference_high


def last_against_first(
    shares: dict[int, Share]
) -> tuple[Interval | None, float, Interval | None]:
    """Whether the last step adds more to conversion than the first, in points and in odds."""
    ends = [shares.get(k) for k in (0, 1, len(TASKS) - 1, len(TASKS))]
    if not all(s and min(s.successes, s.n - s.successes) >= LEAST_EXPECTED for s in ends):
        return None, math.nan, None
    signs, reach = np.array([1, -1, -1, 1]), stats.norm.isf(ALPHA / 2)
    p, n = (np.array([getattr(s, name) for s in ends]) for name in ("value", "n"))
    gap, error = float(signs @ p), float(np.sqrt((p * (1 - p) / n).sum()))
    log = float(signs @ np.log(p / (1 - p)))
    margin = reach * math.sqrt((1 / (n * p * (1 - p))).sum())
    return (
        Interval(gap, gap - reach * error, gap + reach * error, CONFIDENCE, "normal"),
        float(2 * stats.norm.sf(abs(gap) / error)),
        Interval(math.exp(log), math.exp(log - margin), math.exp(log + margin), CONFIDENCE,
                 "normal, log scale"),
    )


_GROUP = ["customers", "odds_ratio", "low", "high", "fewer", "all_three"]


def _groups(paths: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Logistic | None]]:
    """The relation in each cohort, and in customers without and with trouble."""
    calm = paths.help == HELP[0]
    parts = {**{cohort: paths[paths.cohort == cohort] for cohort in COHORTS},
             NO_TROUBLE: paths[calm], TROUBLE: paths[~calm]}
    rows, slopes = {}, {}
    for name, part in parts.items():
        levels = tally(part, COMPLETIONS)
        found = slopes[name] = logistic(levels.converted, levels.customers, levels.index)
        ends = [found.odds_ratio.estimate, found.odds_ratio.low, found.odds_ratio.high] if (
            found) else [math.nan] * 3
        every = levels.index == len(TASKS)
        rates_of = [float(of.converted / of.customers) if of.customers else math.nan
                    for of in (levels[~every].sum(), levels[every].sum())]
        rows[name] = [int(levels.customers.sum()), *ends, *rates_of]
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=_GROUP)
    return frame.astype({"customers": "int64"}).rename_axis("group"), slopes


def _interactions(slopes: dict[str, Logistic | None]) -> pd.DataFrame:
    """Whether the odds ratio a completion differs between groups: z test of two logits."""
    rows = {}
    for name, pair in {"cohort": COHORTS[::-1], "trouble": (NO_TROUBLE, TROUBLE)}.items():
        a, b = (slopes[group] for group in pair)
        if a and b:
            gap, error = a.log_odds - b.log_odds, math.hypot(a.standard_error, b.standard_error)
            reach = stats.norm.isf(ALPHA / 2) * error
            rows[name] = (*np.exp([gap, gap - reach, gap + reach]),
                          2 * stats.norm.sf(abs(gap) / error))
    frame = pd.DataFrame.from_dict(
        rows, orient="index", columns=["ratio", "low", "high", "p_value"], dtype=float)
    return frame.assign(p_adjusted=holm(frame.p_value)).rename_axis("between")


# The cohort as an instrument.


def instrument(counts: pd.DataFrame) -> Instrument | None:
    """Conversion gained a completion gained, from the two effects of the test.

    Args:
        counts: `customers`, `converted` by cohort and number of completions.

    Returns:
        See `Steps.instrument`.
    """
    cells = counts.reset_index()
    found, shares = {}, {}
    for cohort in COHORTS:
        part = cells[cells.cohort == cohort]
        n, x, y = (part[name].to_numpy(dtype=float)
                   for name in ("customers", COMPLETIONS, "converted"))
        total = n.sum()
        if total < LEAST_CUSTOMERS:
            return None
        mean_x, mean_y = n @ x / total, y.sum() / total
        products = np.array([n @ x**2 / total - mean_x**2, y @ x / total - mean_x * mean_y,
                             mean_y * (1 - mean_y)])
        if min(products[0], products[2]) <= 1e-12:
            return None
        found[cohort] = mean_x, mean_y, products / (total - 1)
        shares[cohort] = Share(int(y.sum()), int(total))
    (x0, y0, v0), (x1, y1, v1) = (found[cohort] for cohort in COHORTS)
    dx, dy = x1 - x0, y1 - y0
    vxx, vxy, vyy = v0 + v1
    reach = float(stats.norm.isf(ALPHA / 2))
    kind, low, high = anderson_rubin(dy, dx, vyy, vxy, vxx, reach)
    line = regression.design(
        [(Column("x", "one", "0", numeric=True), cells[COMPLETIONS].to_numpy(dtype=float))],
        len(cells))
    won = cells.converted.to_numpy(dtype=float)
    fit = regression.least_squares(
        line, Sums(cells.customers.to_numpy(dtype=float), won, won), CONFIDENCE)
    row = fit.coefficient("x", "one")
    slope = Interval(float(row.estimate), float(row.low), float(row.high), CONFIDENCE, "HC3")
    gap = dy - slope.estimate * dx
    variance = vyy - 2 * slope.estimate * vxy + slope.estimate**2 * vxx
    return Instrument(
        completions=_normal(dx, math.sqrt(vxx), reach),
        conversion=two_proportions.difference(shares[COHORTS[1]], shares[COHORTS[0]], CONFIDENCE),
        estimate=dy / dx if dx else math.nan,
        kind=kind, low=low, high=high,
        p_value=float(2 * stats.norm.sf(abs(dy) / math.sqrt(vyy))),
        f=dx**2 / vxx,
        slope=slope,
        slope_inside=bool(gap**2 <= reach**2 * variance),
    )


def anderson_rubin(
    dy: float, dx: float, vyy: float, vxy: float, vxx: float, reach: float
) -> tuple[str, float, float]:
    """The values b for which dy - b dx is within `reach` standard errors of 0.

    Anderson & Rubin's (1949) interval for one instrument and one regressor: it holds its
    confidence however weak the instrument is. The set is that of a quadratic inequality in b
    (Fieller 1954), so it need not be an interval.

    Args:
        dy, dx: Numerator and denominator of the ratio.
        vyy, vxy, vxx: Their variances and covariance.
        reach: Standard errors, 1.96 for 95%.

    Returns:
        The kind and its ends; see `Instrument`.
    """
    a, b, c = dx**2 - reach**2 * vxx, dy * dx - reach**2 * vxy, dy**2 - reach**2 * vyy
    within = b**2 - a * c
    if a == 0 or (a < 0 and within <= 0):
        return EVERYTHING, math.nan, math.nan
    root = math.sqrt(max(within, 0.0))
    low, high = sorted(((b - root) / a, (b + root) / a))
    return (BOUNDED if a > 0 else OUTSIDE), low, high


def _normal(value: float, error: float, reach: float) -> Interval:
    return Interval(float(value), float(value - reach * error), float(value + reach * error),
                    CONFIDENCE, "normal")


# When they decide.


def _decisions(decisions: pd.DataFrame, faults: pd.DataFrame) -> Decisions:
    won = decisions[decisions.converted == 1]
    dated = won[won.day.notna()].astype({"day": "int64"})
    n = int(dated.customers.sum())
    by_day = dated.groupby("day").customers.sum()
    # No more than so far from the true curve anywhere, in 95 of 100 samples (Massart 1990).
    reach = math.sqrt(math.log(2 / ALPHA) / (2 * n)) if n else math.nan
    share = by_day.cumsum() / max(n, 1)
    curve = pd.DataFrame({"decided": by_day, "share": share, "low": (share - reach).clip(lower=0),
                          "high": (share + reach).clip(upper=1)}).rename_axis("day")
    deadlines = pd.DataFrame(
        {"decided": [int(by_day[by_day.index <= days].sum()) for days in DEADLINES], "dated": n},
        index=pd.Index(DEADLINES, name="days"))
    deadlines = with_rates(deadlines if n else deadlines.head(0), "decided", "dated")
    rows = {}
    for k, part in dated.groupby(COMPLETIONS):
        days = part.groupby("day").customers.sum()
        rows[int(k)] = (int(days.sum()), int(days[days.index <= 0].sum()),
                        float(days[days.index <= DEADLINES[-1]].sum() / days.sum()), _median(days))
    groups = pd.DataFrame.from_dict(
        rows, orient="index", columns=["dated", "same_day", "within", "median"])
    groups = groups.astype({"dated": "int64", "same_day": "int64", "within": float,
                            "median": float}).rename_axis(COMPLETIONS)
    order = faults.set_index("fault").loc["conversion before last completion"]
    before = intervals.proportion(int(order.cases), int(order["of"]), CONFIDENCE) if (
        order["of"]) else None
    return Decisions(
        converted=int(won.customers.sum()),
        dated=n,
        deadlines=deadlines.rename(columns={"rate": "share"}).drop(columns="dated"),
        curve=curve,
        by_completions=with_rates(groups, "same_day", "dated").rename(columns={"rate": "share"}),
        median=_median(by_day),
        last=int(by_day.index.max()) if n else None,
        before_completing=before,
    )


def _median(days: pd.Series) -> float:
    """The day by whose end half have decided."""
    if days.empty:
        return math.nan
    done = days.cumsum()
    return float(days.index[(done >= done.iloc[-1] / 2).to_numpy()][0])
