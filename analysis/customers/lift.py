"""The paywall test as it is read: may it be trusted, did the new paywall win, and what else moved?

Test against control throughout: differences are test minus control, ratios test over control. The
rule that turns the result into a recommendation is `action`; it was written before the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import pandas as pd
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from analysis.customers.design import ALPHA, Design, relevant_difference
from analysis.customers.paywall import COMPLETE, COVARIATES, GROUPS, INTERACTIONS, PaywallTest
from analysis.stats import effects, intervals, multiplicity, two_proportions, two_sample
from analysis.stats.association import association, goodness_of_fit
from analysis.stats.decision import Decision, Finding, decide
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval
from analysis.stats.moments import Counts, Moments, PairMoments, expanded
from analysis.stats.power import smallest_n_for_normal_mean
from analysis.stats.resampling import resampled
from analysis.stats.results import TestResult
from analysis.stats.two_proportions import Share
from analysis.stats.two_sample import Covariates, Omnibus

# A broken assignment shows in thousands of users as a tiny p; 5% would cry wolf in every 20th test.
RATIO_ALPHA = 0.001
LEVELS = (0.10, 0.05, 0.01)
SIZES = (10, 100, 1000)  # users a sample, to watch the central limit theorem at work
SAMPLES = 5_000
RESAMPLES = 4_999
CAPS = (0.50, 0.75, 0.90, 0.99)  # quantiles of what payers spent
CUT = 0.2
EXACT_UP_TO = 20_000  # users; beyond, an exact test takes minutes and says what z says
EXPAND_UP_TO = 1_000_000  # users; beyond, SciPy gets moments instead of values
SEED = 20241216


class Action(StrEnum):
    """What to do about the new paywall."""

    DISTRUST = "distrust"
    """The assignment is broken: mend it and test again, whatever the result."""
    SHIP = "ship"
    """Shown to win, by what is most likely worth having: give it to everybody."""
    KEEP = "keep"
    """Shown to lose, or a win worth having is ruled out: keep the old paywall."""
    LONGER = "longer"
    """Neither is shown: go on until the planned size, or plan anew."""
    UNKNOWN = "unknown"
    """Nothing to read: no users with a whole horizon in both groups, or nobody bought."""


@dataclass(frozen=True)
class Assignment:
    """Whether users were split as intended.

    Attributes:
        control, test: users assigned.
        intended: the share that the test group was meant to get. None: the tables do not say; then
            the split can't be tested, and the tests are None as well.
        share: of users, in the test group, with its Wilson interval.
        chi_squared, p_value: goodness of fit of the split, 1 degree of freedom.
        exact_p: of the exact binomial test.
        alpha: below this p the assignment is not to be trusted.
    """

    control: int
    test: int
    intended: float | None
    share: Interval
    chi_squared: float | None
    p_value: float | None
    exact_p: float | None
    alpha: float

    @property
    def trusted(self) -> bool:
        """Whether nothing shows that the split is another than the intended one."""
        return self.exact_p is None or self.exact_p >= self.alpha


@dataclass(frozen=True)
class Balance:
    """Whether the groups were alike before the test.

    Attributes:
        standardised: one row a covariate and level (`level` "mean" for numbers): values of
            `control` and `test` (means, or shares of users), the standardised mean difference
            `smd` (over the root of the mean of the two variances; missing without variation) and
            `users`.
        balance_tests: one row a covariate: the `method`, `p_value` and `p_adjusted` (Holm).
        omnibus: all of `paywall.COMPLETE` at once; None where they don't vary.
        noise: 1.96 standard errors of a standardised difference that is chance alone.
    """

    standardised: pd.DataFrame
    balance_tests: pd.DataFrame
    omnibus: Omnibus | None
    noise: float


@dataclass(frozen=True)
class Primary:
    """The primary metric: users who bought at a paywall within the horizon.

    Attributes:
        control, test: shares of users with Wilson intervals.
        z: pooled z test; its interval is Newcombe's.
        lift: ratio of the shares with its interval; None where a group has no success.
        fisher: the exact test; None beyond `EXACT_UP_TO` users.
        relevant_difference: the smallest worth having; see `design.relevant_difference`.
        decision: the test against that.
        cumulative: by `group` and `day` since assignment: `share` of users who had bought by the
            end of that day, `low`, `high` (Wilson).
    """

    control: Interval
    test: Interval
    z: TestResult
    lift: Effect | None
    fisher: TestResult | None
    relevant_difference: float
    decision: Decision
    cumulative: pd.DataFrame


@dataclass(frozen=True)
class Secondary:
    """Metrics that were not to decide.

    Attributes:
        tests: by name: `bought` (anywhere; share of users), `revenue` (cents a user), `purchases`
            (a user).
        metric_values: by `metric`: value of `control` and `test`, and `lift` with `lift_low` and
            `lift_high` (missing where a value is 0).
        corrected: the tests corrected by Holm's method; see `multiplicity.adjust`.
    """

    tests: Mapping[str, TestResult]
    metric_values: pd.DataFrame
    corrected: pd.DataFrame


@dataclass(frozen=True)
class TTest:
    """Welch's t test of revenue a user, step by step and by two libraries.

    Attributes:
        t_steps: by `step`: the value `by_hand`, of `scipy` and of `statsmodels` (missing where a
            library does not give it).
        gap: the largest relative difference between by hand and a library.
        t_levels: by significance `level`: `critical_value`, `reject`.
        welch: the same test as a result.
        student: with one variance for both groups.
    """

    t_steps: pd.DataFrame
    gap: float
    t_levels: pd.DataFrame
    welch: TestResult
    student: TestResult


@dataclass(frozen=True)
class Normality:
    """Revenue a user against the normal distribution, and its mean.

    Attributes:
        shapes: by `group`: `users`, `mean`, `sd`, `skewness`, `excess_kurtosis`, `zero_share`,
            `jarque_bera` (statistic), `p_value`, and `needed`: users for a mean that is normal
            enough by the rule of thumb.
        sampling: by `statistic` ("mean" of the control group's users, "difference" of the two
            means) and `size` (users a sample): `skewness` of the simulated distribution and
            `theory` for it, `coverage` of the 95% t interval, and how often the truth lay
            `below` and `above` it.
        means, differences: the simulated values, by size, shape (`SAMPLES`,).
    """

    shapes: pd.DataFrame
    sampling: pd.DataFrame
    means: Mapping[int, np.ndarray]
    differences: Mapping[int, np.ndarray]


@dataclass(frozen=True)
class Skewed:
    """Revenue a user told in ways that a long tail does not decide.

    Attributes:
        answers: by `question`: values of `control` and `test`, `estimate` with `low` and `high`,
            and `p_value` (missing for the bootstrap). Cents, save for the probabilities of
            superiority. Those of payers compare people whom the test itself made payers.
        bootstrap: BCa interval of the difference of means.
        parts: revenue a user as a product: by `part` (payers, revenue per payer, revenue per
            user) the values of `control` and `test` with their intervals, and `ratio`.
    """

    answers: pd.DataFrame
    bootstrap: Interval
    parts: pd.DataFrame


@dataclass(frozen=True)
class Lift:
    """The reading of the paywall test; parts that the tables can't tell are None.

    Attributes:
        horizon: days.
        alpha: significance level.
        users: with a whole horizon, control and test.
        assignment, balance, primary, secondary, t_test, normality, skewed: see there.
        ratios: tests of ratio metrics by the delta method: `paywall_purchases` and `revenue`
            (cents) per view.
        views: views a user, on which a rate per view rests; None if they don't vary.
        naive: the z test of paywall purchases per view that takes views as independent; None
            without views or purchases.
        adjusted: by `outcome` (converted, revenue) and `covariates` ("none", one, or "all"): the
            adjusted difference, `low`, `high`, `p_value`, and the share of variance removed,
            `reduction`.
        by_segment: by `dimension` and `value`: users, shares of `control` and `test`, `ratio`,
            `ratio_low`, `ratio_high` (missing where a group has no converter).
        interactions: by `dimension`: Cochran's `q`, `df`, `p_value`, `p_adjusted` (Holm), and how
            many times as large the ratio of test to control is in one segment (`value`) as in the
            other (`other`): `times`, `low`, `high`.
        action: what to do.
    """

    horizon: int
    alpha: float
    users: tuple[int, int]
    assignment: Assignment | None
    balance: Balance | None
    primary: Primary | None
    secondary: Secondary | None
    t_test: TTest | None
    normality: Normality | None
    skewed: Skewed | None
    ratios: Mapping[str, TestResult]
    views: TestResult | None
    naive: TestResult | None
    adjusted: pd.DataFrame
    by_segment: pd.DataFrame
    interactions: pd.DataFrame
    action: Action


def lift(test: PaywallTest, plan: Design) -> Lift:
    """Reads the paywall test.

    Args:
        test: the reductions.
        plan: the design, which holds the baseline of before the test.
    """
    groups = test.groups.set_index("group")
    users = tuple(int(groups.loc[name, "users"]) for name in GROUPS)
    there = min(users) >= 2
    assignment = _assignment(groups, test.planned)
    primary = _primary(test, groups, plan) if there else None
    revenue = {name: Counts.of(counts.index, counts.to_numpy())
               for name, counts in test.revenue.items() if len(counts)}
    varied = there and any(sample.values.size > 1 for sample in revenue.values())
    by_segment, interactions = _segments(test)
    return Lift(
        horizon=test.horizon,
        alpha=ALPHA,
        users=users,
        assignment=assignment,
        balance=_balance(test, groups) if there else None,
        primary=primary,
        secondary=_secondary(groups) if there else None,
        t_test=_t_test(revenue["control"], revenue["test"]) if varied else None,
        normality=_normality(revenue["control"], revenue["test"]) if varied else None,
        skewed=_skewed(revenue["control"], revenue["test"]) if varied else None,
        ratios=_ratios(groups) if there else {},
        views=_told(two_sample.welch, *(_outcome(groups, name, "views") for name in GROUPS[::-1]),
                    alpha=ALPHA) if there else None,
        naive=_naive(groups),
        adjusted=_adjusted(test, groups) if there else _adjusted_frame([]),
        by_segment=by_segment,
        interactions=interactions,
        action=action(assignment, primary),
    )


def action(assignment: Assignment | None, primary: Primary | None) -> Action:
    """The rule, fixed before the result.

    A broken assignment comes first. The new paywall ships if it is shown to win and the estimate
    reaches the smallest difference worth having. It is dropped if it is shown to lose, or if the
    whole interval lies below that difference. Anything else is not decided yet.
    """
    if assignment is not None and not assignment.trusted:
        return Action.DISTRUST
    if assignment is None or primary is None:
        return Action.UNKNOWN
    z, relevant = primary.z, primary.relevant_difference
    if primary.decision.finding is Finding.LOWER or z.interval.high < relevant:
        return Action.KEEP
    if primary.decision.finding is Finding.HIGHER and z.estimate >= relevant:
        return Action.SHIP
    return Action.LONGER


def estimates(found: Lift) -> pd.DataFrame:
    """What the test estimates, by `name`: `estimate`, `low`, `high`; for checks against a truth.

    Shares and cents a user of each group, their differences and ratios, and the ratio of
    purchases per view, which is the paywall's factor on a view.
    """
    rows: list[tuple[str, float, float, float]] = []

    def add(name: str, size: Interval | Effect | None) -> None:
        if size is not None:
            value = size.value if isinstance(size, Effect) else size.estimate
            rows.append((name, value, size.low, size.high))

    if found.primary:
        add("converted.control", found.primary.control)
        add("converted.test", found.primary.test)
        add("converted.difference", found.primary.z.interval)
        add("converted.ratio", found.primary.lift)
    if found.secondary:
        for name, result in found.secondary.tests.items():
            add(f"{name}.difference", result.interval)
            for effect in result.effects:
                if effect.name in ("ratio of shares", "ratio of means"):
                    add(f"{name}.ratio", effect)
    if found.skewed:
        add("revenue.difference.bootstrap", found.skewed.bootstrap)
    for name, result in found.ratios.items():
        for effect in result.effects:
            add(f"{name}_per_view.ratio", effect)
    for row in found.adjusted.itertuples():
        if row.covariates == "all":
            rows.append((f"{row.outcome}.difference.adjusted", row.estimate, row.low, row.high))
    return pd.DataFrame(rows, columns=["name", "estimate", "low", "high"])


def _told(test: Callable[..., TestResult], *args, **options) -> TestResult | None:
    """A test, or None where its data are too few or do not vary."""
    try:
        return test(*args, **options)
    except ValueError:
        return None


def _assignment(groups: pd.DataFrame, intended: float | None) -> Assignment | None:
    control, treated = (int(groups.loc[name, "assigned"]) for name in GROUPS)
    if control + treated == 0:
        return None
    tests = (None, None, None)
    if intended is not None:
        exact = scipy_stats.binomtest(treated, control + treated, intended)
        fit = goodness_of_fit([control, treated], (1 - intended, intended))
        tests = (fit.statistic, fit.p_asymptotic, float(exact.pvalue))
    share = intervals.proportion(treated, control + treated)
    return Assignment(control, treated, intended, share, *tests, RATIO_ALPHA)


def _balance(test: PaywallTest, groups: pd.DataFrame) -> Balance:
    rows, tests = [], {}
    covariates = test.covariates.set_index(["covariate", "group"])
    for name in COVARIATES:
        control, treated = (covariates.loc[(name, group)] for group in GROUPS)
        if min(control["users"], treated["users"]) < 2:
            continue
        spread = np.sqrt((control["variance"] + treated["variance"]) / 2)
        gap = treated["mean"] - control["mean"]
        rows.append((name, "mean", control["mean"], treated["mean"],
                     gap / spread if spread > 0 else np.nan,
                     int(control["users"] + treated["users"])))
        result = _told(two_sample.welch, _moments(treated), _moments(control))
        if result is not None:
            tests[name] = ("Welch", result.p_value)
    for name, counts in test.balance.groupby("dimension", sort=False):
        sizes = counts[list(GROUPS)].to_numpy()
        totals = sizes.sum(axis=0)
        if not (totals > 0).all():
            continue
        shares = sizes / totals
        spread = np.sqrt((shares * (1 - shares)).mean(axis=1))
        smd = np.divide(shares[:, 1] - shares[:, 0], spread, where=spread > 0,
                        out=np.full(len(spread), np.nan))
        rows += [(name, value, *pair, gap, int(size)) for value, pair, gap, size in zip(
            counts["value"], shares, smd, sizes.sum(axis=1), strict=True)]
        if len(counts) > 1:
            found = association(sizes)
            tests[name] = ("chi-squared", found.p_value)
    frame = pd.DataFrame(
        [(name, method, p) for name, (method, p) in tests.items()],
        columns=["covariate", "method", "p_value"])
    frame["p_adjusted"] = multiplicity.holm(frame["p_value"])
    before = {group: _known_before(test, group, "converted") for group in GROUPS}
    sizes = [int(groups.loc[name, "users"]) for name in GROUPS]
    try:
        omnibus = two_sample.hotelling(sizes[1], sizes[0], before["test"], before["control"])
    except ValueError:
        omnibus = None
    return Balance(
        pd.DataFrame(rows, columns=["covariate", "level", "control", "test", "smd", "users"]),
        frame, omnibus, float(1.959964 * np.sqrt(1 / sizes[0] + 1 / sizes[1])),
    )


def _moments(row: pd.Series) -> Moments:
    return Moments(int(row["users"]), float(row["mean"]), float(row["variance"]))


def _known_before(test: PaywallTest, group: str, outcome: str) -> Covariates:
    """The covariates of a group that everybody has, with their covariances with an outcome."""
    rows = test.covariates[test.covariates["group"] == group].set_index("covariate").loc[
        list(COMPLETE)]
    pairs = test.covariances[test.covariances["group"] == group]
    matrix = pd.DataFrame(0.0, COMPLETE, COMPLETE)
    for pair in pairs.itertuples():
        matrix.loc[pair.covariate, pair.other] = matrix.loc[pair.other, pair.covariate] = (
            pair.covariance)
    return Covariates(
        rows["mean"].to_numpy(), matrix.to_numpy(), rows[f"{outcome}_covariance"].to_numpy())


def _share(groups: pd.DataFrame, group: str, column: str) -> Share:
    return Share(int(groups.loc[group, column]), int(groups.loc[group, "users"]))


def _primary(test: PaywallTest, groups: pd.DataFrame, plan: Design) -> Primary | None:
    control, treated = (_share(groups, name, "converters") for name in GROUPS)
    z = _told(two_proportions.pooled_z, treated, control, alpha=ALPHA)
    if z is None:
        return None
    relevant = relevant_difference(plan, control.value, treated.value)
    small = control.n + treated.n <= EXACT_UP_TO
    curve = test.by_day[["group", "day"]].copy()
    bought = test.by_day.groupby("group")["converters"].cumsum()
    size = test.by_day["group"].map(groups["users"])
    shares = [intervals.proportion(int(x), int(n)) for x, n in zip(bought, size, strict=True)]
    curve["share"] = [share.estimate for share in shares]
    curve["low"], curve["high"] = ([getattr(s, end) for s in shares] for end in ("low", "high"))
    return Primary(
        control=intervals.proportion(control.successes, control.n),
        test=intervals.proportion(treated.successes, treated.n),
        z=z,
        lift=two_proportions.ratio(treated, control),
        fisher=_told(two_proportions.fisher, treated, control, alpha=ALPHA) if small else None,
        relevant_difference=relevant,
        decision=decide(z, smallest_effect=relevant),
        cumulative=curve,
    )


def _outcome(groups: pd.DataFrame, group: str, column: str) -> Moments:
    row = groups.loc[group]
    return Moments(int(row["users"]), row[column] / row["users"], row[f"{column}_variance"])


def _secondary(groups: pd.DataFrame) -> Secondary | None:
    bought = {name: _share(groups, name, "buyers") for name in GROUPS}
    found: dict[str, TestResult | None] = {
        "bought": _told(two_proportions.pooled_z, bought["test"], bought["control"], alpha=ALPHA)
    }
    values = [("bought", bought["control"].value, bought["test"].value)]
    for metric in ("revenue", "purchases"):
        control, treated = (_outcome(groups, name, metric) for name in GROUPS)
        found[metric] = _told(two_sample.welch, treated, control, alpha=ALPHA)
        values.append((metric, control.mean, treated.mean))
    tests = {name: result for name, result in found.items() if result is not None}
    if not tests:
        return None
    frame = pd.DataFrame(values, columns=["metric", "control", "test"])
    ratios = {
        name: effect for name, result in tests.items() for effect in result.effects
        if effect.name in ("ratio of shares", "ratio of means")
    }
    for column, part in (("lift", "value"), ("lift_low", "low"), ("lift_high", "high")):
        frame[column] = [
            getattr(ratios[name], part) - 1 if name in ratios else np.nan
            for name in frame["metric"]
        ]
    return Secondary(tests, frame, multiplicity.adjust(tests, alpha=ALPHA))


def _t_test(control: Counts, treated: Counts) -> TTest:
    a, b = treated.moments, control.moments
    welch = two_sample.welch(a, b, alpha=ALPHA)

    # By hand, each line from those above it.
    squared_a, squared_b = a.variance / a.n, b.variance / b.n
    error = np.sqrt(squared_a + squared_b)
    t = (a.mean - b.mean) / error
    df = (squared_a + squared_b) ** 2 / (
        squared_a**2 / (a.n - 1) + squared_b**2 / (b.n - 1))
    critical = float(scipy_stats.t.isf(ALPHA / 2, df))
    p = float(2 * scipy_stats.t.sf(abs(t), df))
    by_hand = {
        "control_mean": b.mean, "test_mean": a.mean, "control_variance": b.variance,
        "test_variance": a.variance, "difference": a.mean - b.mean, "standard_error": error,
        "t": t, "df": df, "critical_value": critical, "low": a.mean - b.mean - critical * error,
        "high": a.mean - b.mean + critical * error, "p_value": p,
    }
    steps = pd.DataFrame({"step": list(by_hand), "by_hand": list(by_hand.values())})
    libraries = {"scipy": _by_scipy(control, treated), "statsmodels": _by_statsmodels(
        control, treated)}
    for name, found in libraries.items():
        steps[name] = [found.get(step, np.nan) for step in steps["step"]]
    gaps = [
        np.abs(steps[name] - steps["by_hand"]) / np.maximum(np.abs(steps["by_hand"]), 1e-12)
        for name in libraries
    ]
    levels = pd.DataFrame({
        "level": LEVELS,
        "critical_value": [float(scipy_stats.t.isf(level / 2, df)) for level in LEVELS],
        "reject": [bool(p <= level) for level in LEVELS],
    })
    return TTest(steps, float(np.nanmax(gaps)), levels, welch,
                 two_sample.student(a, b, alpha=ALPHA))


def _by_scipy(control: Counts, treated: Counts) -> dict[str, float]:
    if control.n + treated.n > EXPAND_UP_TO:
        a, b = treated.moments, control.moments
        t, p = scipy_stats.ttest_ind_from_stats(
            a.mean, a.sd, a.n, b.mean, b.sd, b.n, equal_var=False)
        return {"t": float(t), "p_value": float(p)}
    found = scipy_stats.ttest_ind(expanded(treated), expanded(control), equal_var=False)
    low, high = found.confidence_interval(1 - ALPHA)
    return {"t": float(found.statistic), "df": float(found.df), "low": float(low),
            "high": float(high), "p_value": float(found.pvalue)}


def _by_statsmodels(control: Counts, treated: Counts) -> dict[str, float]:
    a, b = (DescrStatsW(sample.values, weights=sample.counts) for sample in (treated, control))
    both = CompareMeans(a, b)
    t, p, df = both.ttest_ind(usevar="unequal")
    low, high = both.tconfint_diff(ALPHA, usevar="unequal")
    return {
        "control_mean": float(b.mean), "test_mean": float(a.mean),
        "control_variance": float(b.std_ddof(1) ** 2), "test_variance": float(a.std_ddof(1) ** 2),
        "difference": float(a.mean - b.mean),
        "standard_error": float(both.std_meandiff_separatevar),
        "t": float(t), "df": float(df), "low": float(low), "high": float(high),
        "p_value": float(p),
    }


def _normality(control: Counts, treated: Counts) -> Normality:
    samples = {"control": control, "test": treated}
    shape = []
    for name, sample in samples.items():
        m = sample.moments
        skewness, kurtosis = m.skewness, m.excess_kurtosis
        told = skewness is not None and kurtosis is not None
        bera = sample.jarque_bera if told else np.nan
        zero = int(sample.counts[sample.values == 0].sum()) / sample.n
        shape.append((
            name, m.n, m.mean, m.sd, skewness, kurtosis, zero, bera,
            float(scipy_stats.chi2.sf(bera, 2)) if told else np.nan,
            smallest_n_for_normal_mean(skewness) if told else None,
        ))
    frame = pd.DataFrame(shape, columns=[
        "group", "users", "mean", "sd", "skewness", "excess_kurtosis", "zero_share",
        "jarque_bera", "p_value", "needed"])
    rng = np.random.default_rng(SEED)
    rows, means, differences = [], {}, {}
    a, b = treated.moments, control.moments
    third = {name: sample.central(3) for name, sample in samples.items()}
    second = {name: sample.central(2) for name, sample in samples.items()}
    total = second["control"] + second["test"]
    theory = {
        "mean": third["control"] / second["control"] ** 1.5 if second["control"] else np.nan,
        "difference": (third["test"] - third["control"]) / total**1.5,
    }
    for size in SIZES:
        m, variance = resampled(control, size, SAMPLES, rng)
        n, spread = resampled(treated, size, SAMPLES, rng)
        means[size], differences[size] = m, n - m
        df = size - 1
        rows.append(_covered("mean", size, m, variance / size, df, b.mean, theory["mean"]))
        squared = variance + spread
        with np.errstate(invalid="ignore", divide="ignore"):
            welch = np.where(squared > 0, squared**2 * df / (variance**2 + spread**2), df)
        rows.append(_covered("difference", size, n - m, squared / size, welch, a.mean - b.mean,
                             theory["difference"]))
    sampling = pd.DataFrame(rows, columns=[
        "statistic", "size", "skewness", "theory", "coverage", "below", "above"])
    return Normality(frame, sampling, means, differences)


def _covered(name, size, values, squared, df, truth, skewness) -> tuple:
    """Skewness of simulated values, and how often their t intervals hold the truth."""
    margin = scipy_stats.t.isf(ALPHA / 2, df) * np.sqrt(squared)
    below, above = float((truth < values - margin).mean()), float((truth > values + margin).mean())
    seen = Moments.of(values).skewness
    return name, size, seen, skewness / np.sqrt(size), 1 - below - above, below, above


def _skewed(control: Counts, treated: Counts) -> Skewed:
    rows: list[tuple] = []
    bootstrap = effects.bootstrap_difference(treated, control, resamples=RESAMPLES, seed=SEED)

    def add(question: str, old: float | None, new: float | None, result: TestResult | None):
        if result is not None:
            i = result.interval
            rows.append((question, old, new, i.estimate, i.low, i.high, result.p_value))

    a, b = treated.moments, control.moments
    add("mean", b.mean, a.mean, two_sample.welch(a, b, alpha=ALPHA))
    rows.append(("mean, bootstrap", b.mean, a.mean, bootstrap.estimate, bootstrap.low,
                 bootstrap.high, np.nan))
    payers = Counts.of(*_pooled(control, treated)).above(0)
    if payers is not None:
        for level, cap in zip(CAPS, payers.quantiles(CAPS), strict=True):
            if cap < payers.values[-1]:
                new, old = treated.capped(cap).moments, control.capped(cap).moments
                add(f"mean, capped at the payers' {level:.0%} quantile", old.mean, new.mean,
                    _told(two_sample.welch, new, old, alpha=ALPHA))
    add("trimmed mean", control.trimmed_mean(CUT), treated.trimmed_mean(CUT),
        _told(two_sample.yuen_of_counts, treated, control, cut=CUT, alpha=ALPHA))
    add("superiority", None, None, _told(two_sample.mann_whitney_of_counts, treated, control,
                                         alpha=ALPHA))
    spent, spent_before = treated.above(0), control.above(0)
    parts = []
    if spent is not None and spent_before is not None and min(spent.n, spent_before.n) > 1:
        add("trimmed mean of payers", spent_before.trimmed_mean(CUT), spent.trimmed_mean(CUT),
            _told(two_sample.yuen_of_counts, spent, spent_before, cut=CUT, alpha=ALPHA))
        add("superiority among payers", None, None, _told(
            two_sample.mann_whitney_of_counts, spent, spent_before, alpha=ALPHA))
        parts = _parts(control, treated, spent_before, spent)
    names = ["question", "control", "test", "estimate", "low", "high", "p_value"]
    of_parts = ["part", "control", "control_low", "control_high", "test", "test_low", "test_high",
                "ratio", "ratio_low", "ratio_high"]
    answers = pd.DataFrame(rows, columns=names).astype({"control": float, "test": float})
    return Skewed(answers, bootstrap, pd.DataFrame(parts, columns=of_parts))


def _pooled(a: Counts, b: Counts) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate((a.values, b.values)), np.concatenate((a.counts, b.counts))


def _parts(control: Counts, treated: Counts, old_payers: Counts, new_payers: Counts) -> list[tuple]:
    """Share of payers, revenue a payer and their product, each with intervals and its ratio."""
    old, new = Share(old_payers.n, control.n), Share(new_payers.n, treated.n)
    rows = [("payers", intervals.proportion(old.successes, old.n),
             intervals.proportion(new.successes, new.n), two_proportions.ratio(new, old))]
    for name, before, after in (("revenue per payer", old_payers, new_payers),
                                ("revenue per user", control, treated)):
        x, y = before.moments, after.moments
        if not (x.variance > 0 and y.variance > 0):
            return []
        rows.append((name, intervals.mean_t(x), intervals.mean_t(y), effects.ratio_of_means(y, x)))
    return [
        (name, x.estimate, x.low, x.high, y.estimate, y.low, y.high, r.value, r.low, r.high)
        for name, x, y, r in rows
    ]


def _ratios(groups: pd.DataFrame) -> dict[str, TestResult]:
    found = {}
    for name in ("paywall_purchases", "revenue"):
        pairs = {}
        for group in GROUPS:
            row = groups.loc[group]
            n = int(row["users"])
            pairs[group] = PairMoments(
                n, row[name] / n, row["views"] / n, row[f"{name}_variance"],
                row["views_variance"], row[f"{name}_views_covariance"])
        result = _told(two_sample.ratio_of_sums, pairs["test"], pairs["control"], alpha=ALPHA)
        if result is not None:
            found[name] = result
    return found


def _naive(groups: pd.DataFrame) -> TestResult | None:
    shares = []
    for group in GROUPS[::-1]:
        views = int(groups.loc[group, "views"])
        if not views:
            return None
        shares.append(Share(int(groups.loc[group, "paywall_purchases"]), views))
    return _told(two_proportions.pooled_z, *shares, alpha=ALPHA)


def _adjusted(test: PaywallTest, groups: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for outcome in ("converted", "revenue"):
        if outcome == "converted":
            shares = {name: _share(groups, name, "converters") for name in GROUPS}
            moments = {name: Moments(s.n, s.value, s.value * (1 - s.value) * s.n / (s.n - 1))
                       for name, s in shares.items()}
        else:
            moments = {name: _outcome(groups, name, "revenue") for name in GROUPS}
        plain = _told(two_sample.welch, moments["test"], moments["control"], alpha=ALPHA)
        if plain is None:
            continue
        rows.append(_adjusted_row(outcome, "none", plain, plain))
        before = {name: _known_before(test, name, outcome) for name in GROUPS}
        for label, chosen in (*((name, [i]) for i, name in enumerate(COMPLETE)),
                              ("all", list(range(len(COMPLETE))))):
            some = {
                name: Covariates(known.means[chosen], known.covariance[np.ix_(chosen, chosen)],
                                 known.with_outcome[chosen])
                for name, known in before.items()
            }
            result = _told(two_sample.adjusted, moments["test"], moments["control"],
                           some["test"], some["control"], alpha=ALPHA)
            if result is not None:
                rows.append(_adjusted_row(outcome, label, result, plain))
    return _adjusted_frame(rows)


def _adjusted_row(outcome: str, label: str, result: TestResult, plain: TestResult) -> tuple:
    i = result.interval
    reduction = 1 - (result.standard_error / plain.standard_error) ** 2
    return outcome, label, i.estimate, i.low, i.high, result.p_value, reduction


def _adjusted_frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[
        "outcome", "covariates", "estimate", "low", "high", "p_value", "reduction"])


def _segments(test: PaywallTest) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, found = [], []
    for dimension in INTERACTIONS:
        part = test.segments[test.segments["dimension"] == dimension]
        pairs = {}
        for value, cell in part.groupby("value", sort=True):
            cell = cell.set_index("group")
            if (cell["users"] == 0).any():
                continue
            control, treated = (Share(int(cell.loc[name, "converters"]),
                                      int(cell.loc[name, "users"])) for name in GROUPS)
            ratio = two_proportions.ratio(treated, control)
            size = (ratio.value, ratio.low, ratio.high) if ratio else (np.nan,) * 3
            rows.append((dimension, value, control.n + treated.n, control.value, treated.value,
                         *size))
            if ratio and ratio.low < ratio.high:
                pairs[value] = treated, control
        if len(pairs) > 1:
            found.append(_interaction(dimension, pairs))
    frame = pd.DataFrame(found, columns=[
        "dimension", "q", "df", "p_value", "value", "other", "times", "low", "high"])
    frame["p_adjusted"] = multiplicity.holm(frame["p_value"])
    by_segment = pd.DataFrame(rows, columns=[
        "dimension", "value", "users", "control", "test", "ratio", "ratio_low", "ratio_high"])
    return by_segment, frame


def _interaction(dimension: str, pairs: Mapping[str, tuple[Share, Share]]) -> tuple:
    """Whether the ratio differs between the two segments of a dimension, and by how much."""
    q = two_proportions.homogeneity(list(pairs.values()))
    other, value = pairs
    times = two_proportions.ratio_of_ratios(pairs[value], pairs[other])
    return dimension, q.statistic, q.df, q.p_value, value, other, times.value, times.low, times.high
