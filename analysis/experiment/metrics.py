"""Did the test work? Engagement with CS, then conversion, and the way from one to the other.

The two primary metrics are named in advance and tested in a fixed sequence, each at 5%: conversion
is tested only if the test has shown that more customers of the cohort Test engage with CS. A false
claim about conversion then needs a false one about engagement, or comes with a true one, so the
chance of any false claim stays at 5% without a correction (Maurer, Hothorn & Lehmacher 1995;
Westfall & Krishen 2001). All other tests are families of their own, corrected by Holm's method.

Whoever was assigned counts, in trouble or not (intention to treat). Differences are Test less
Control, in shares of customers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats as scipy_stats

from analysis.experiment.reductions import COHORTS, CS, PART_OF_DAY, TASKS, Reductions
from analysis.stats import bayes, intervals, power, two_proportions, two_sample
from analysis.stats.bayes import Beta
from analysis.stats.decision import Decision, Finding, decide
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval
from analysis.stats.moments import Counts, Moments
from analysis.stats.multiplicity import holm
from analysis.stats.power import Plan
from analysis.stats.results import TestResult
from analysis.stats.two_proportions import Share

ALPHA = 0.05  # two-sided: harm must be found as well
POWER = 0.80
MATTERS = (0.02, 0.01)  # rises of conversion worth having; the first is the one planned for
MOVES = 0.05  # smallest rise in the use of CS that would be called engagement, in shares
MARGIN = MATTERS[0]  # within which conversion, or completion, is called unharmed
TRIAL_DAYS = 30
LEAST_EXPECTED = 5  # in a cell; below, Fisher's test decides instead of z
EXACT_UP_TO = 20_000  # customers; beyond, an exact test takes long and says what z says
PLANNED_DAYS = (1, 2, 3, 5, 7, 10, 14, 21, 28)  # of traffic, for the smallest visible effect
PRIOR = Beta(1, 1)  # of either cohort's share: knows nothing
PRIMARY = ("engagement", "conversion")
DIMENSIONS = ("part_of_day", "first_task", "restarted")
COUNTED = ("customers", "cs", "cs_first", "finished")
KEYS = ("cohort", "part_of_day", "first_task", "restarted", "completions", "converted")


@dataclass(frozen=True)
class Belief:
    """A metric read with Bayes' theorem and a uniform prior; see `stats.bayes`.

    Attributes:
        better: Probability that the share is larger in Test.
        loss_test, loss_control: Share of customers that is lost, on average over all that may be
            true, by choosing Test, or Control.
        difference: Test less Control, with its credible interval.
        lift: Test over Control, less 1; the estimate is the median.
    """

    better: float
    loss_test: float
    loss_control: float
    difference: Interval
    lift: Interval


@dataclass(frozen=True)
class Metric:
    """A primary metric, a share of all customers assigned.

    Attributes:
        name: One of `PRIMARY`.
        control, test: Successes and customers of each cohort.
        control_rate, test_rate: Their shares with Wilson intervals.
        difference: Test less Control, with Newcombe's interval.
        z: Pooled z test, with Newcombe's interval of the difference, and Cohen's h among its
            effects; None where nobody or everybody succeeded.
        fisher: The exact test; None as `z`, and beyond `EXACT_UP_TO` customers.
        lift: Ratio of the shares with its interval; None where a cohort has no success.
        p_value: The one that decides: z's, or Fisher's where a cell is expected to hold fewer than
            `LEAST_EXPECTED`; 1 without tests.
        smallest_effect: The rise that matters, in shares.
        decision: What the test shows, held against `smallest_effect`; None without a test.
        shown: Whether a rise is shown: it took its turn in the sequence, p is at most `ALPHA`, and
            Test lies above.
        tested: Whether its turn in the sequence came.
        belief: The Bayesian reading.
        power: Of the test as run, for `smallest_effect`; None where it leads beyond everybody.
        detectable: The smallest rise that the test as run sees with `POWER`; None if there is none.
    """

    name: str
    control: Share
    test: Share
    control_rate: Interval
    test_rate: Interval
    difference: Interval
    z: TestResult | None
    fisher: TestResult | None
    lift: Effect | None
    p_value: float
    smallest_effect: float
    decision: Decision | None
    shown: bool
    tested: bool
    belief: Belief
    power: float | None
    detectable: float | None


@dataclass(frozen=True)
class Mechanism:
    """The way from widget to conversion.

    Attributes:
        reach: Share of all customers who are ever in trouble, so that the widget could reach them.
        links: Index `link`: the effect of the widget on `cs` (CS chosen at the first trouble),
            `finished` (that task completed after it), `completed_all` (all three tasks) and
            `converted`, all of them of customers in trouble, and `everybody`, conversion of all
            assigned: `control`, `test` (shares), `difference`, `low`, `high`.
        seen: The difference of conversion between all assigned, Test less Control (Wald).
        predicted: What it would be if Test's customers converted as Control's with as many tasks
            completed do: the change in the number of completions times its conversion. None if
            Control has nobody with a number of completions that Test has.
        remainder: Seen less predicted: the difference of conversion at equal completions
            (Kitagawa 1955). All three have delta intervals.
    """

    reach: Interval
    links: pd.DataFrame
    seen: Interval
    predicted: Interval | None
    remainder: Interval | None


@dataclass(frozen=True)
class Guardrails:
    """What must not happen.

    Attributes:
        margin: See `MARGIN`.
        completion: Difference in the share completing all three tasks; harm beyond the margin is
            ruled out if its interval ends above -`margin`.
        never: Customers never in trouble: how many converted, in Control and Test.
        placebo: Their difference of conversion, which no widget can cause: pooled z; None where
            nobody or everybody converted, or a cohort has nobody.
        alike: Two one-sided tests that it lies within the margin; None as `placebo`.
    """

    margin: float
    completion: Interval
    never: Mapping[str, Mapping[str, int]]
    placebo: TestResult | None
    alike: TestResult | None


@dataclass(frozen=True)
class Metrics:
    """The success metrics of the test.

    Attributes:
        alpha: Significance level, two-sided.
        customers: Assigned, both cohorts.
        engagement, conversion: The primary metrics, in their order.
        troubled: Index `reading`: `ever` (used CS at least once) and `first` (at the first
            trouble), of customers in trouble: `control_n`, `test_n`, `control`, `test`,
            `difference`, `low`, `high`.
        tests: All tests in order, index `family` (primary, secondary, mechanism, guardrail),
            `metric`: `control`, `test` and their `difference` with `low` and `high`, in `unit`
            ("share", "tasks" or, for the time to convert, "probability": that a convert of Test
            took longer than one of Control, over 0.5); `method`, `p_value`, `p_adjusted` (Holm,
            within the family; for the primary metrics p itself), `tested`, `shown` (p_adjusted at
            most `alpha`, and it was tested). Tests without variation are left out.
        mechanism, guardrails: See there.
        subgroups: Index `outcome` (of `PRIMARY`), `dimension` (of `DIMENSIONS`), `value`:
            `control_n`, `test_n`, `control`, `test`, `difference`, `low`, `high`, `p_value`,
            `p_adjusted` (Holm, over an outcome's subgroups).
        interactions: Index `outcome`, `dimension`: whether the ratio of shares is the same in all
            subgroups, Cochran's `q`, `df`, `p_value`, `p_adjusted` (Holm, over all rows).
        hours: Index `hour` of the first start on the day of the test: `control_n`, `test_n`, and
            the differences `engagement`, `conversion`.
        drift: Index `outcome`: change of the difference an hour, `slope` with `low`, `high`,
            `p_value`, `p_adjusted` (Holm); empty with fewer than three hours.
        days: Index `effect` (of `MATTERS`): `power` of the test as run; `customers` and `days` of
            such traffic, in this split, that see it with `POWER`; `even_days`, in halves;
            `reached_days`, in this split, if only customers in trouble are compared, all of whom
            the widget can reach (missing where that can't be planned). Effects that lead beyond
            everybody are left out.
        detectable: Index `days` (of `PLANNED_DAYS`): smallest rise of conversion seen with `POWER`,
            in this split (`split`) and in halves (`even`).
        undated, late: Conversions without a time, and later than `TRIAL_DAYS` after the test; they
            count as the table has them.
    """

    alpha: float
    customers: int
    engagement: Metric
    conversion: Metric
    troubled: pd.DataFrame
    tests: pd.DataFrame
    mechanism: Mechanism
    guardrails: Guardrails
    subgroups: pd.DataFrame
    interactions: pd.DataFrame
    hours: pd.DataFrame
    drift: pd.DataFrame
    days: pd.DataFrame
    detectable: pd.DataFrame
    undated: int
    late: int


def metrics(base: Reductions, customers: ir.Table) -> Metrics:
    """Tests the success metrics.

    Args:
        base: The test as counts.
        customers: One row a customer, from `reductions.per_customer`.
    """
    return of_cells(cells_of(customers), base.starts, base.decisions, base.window.day)


def cells_of(customers: ir.Table) -> pd.DataFrame:
    """Customers counted by what is known before any widget, and by how they ended.

    Returns:
        One row a combination of `KEYS`: `part_of_day` of the first start (0 night, from 0 h, to 3
        evening; -1: never started), `first_task`, that of the first trouble (0: none), `restarted`
        (1: a task was started again before any trouble was over), `completions`, `converted`; with
        `customers`, of them `cs` (used CS at least once), `cs_first` (at the first trouble) and
        `finished` (completed the task of the first trouble after it).
    """
    first = ibis.cases(
        *((customers[f"asked_{k}"] == customers.first_asked, k) for k in TASKS), else_=0)
    rows = customers.mutate(first_task=first.cast("int64"))
    restarted, cs_first, finished = (ibis.literal(False) for _ in range(3))
    for k in TASKS:
        here = rows.first_task == k
        before = (rows.first_task == 0) | (rows.first_task >= k)
        restarted |= (rows[f"restarts_{k}"] > 0) & before
        cs_first |= here & rows[f"channel_{k}"].isin(CS).fill_null(False)
        finished |= here & rows[f"finished_{k}"].notnull()
    rows = rows.mutate(
        part_of_day=(rows.first_started.hour() // PART_OF_DAY).cast("int64").fill_null(-1),
        restarted=restarted.cast("int64"),
        used=(rows.help == "CS").cast("int64"),
        cs_first=cs_first.cast("int64"),
        finished=finished.cast("int64"),
    )
    found = rows.group_by(*KEYS).aggregate(
        customers=rows.count(), cs=rows.used.sum(), cs_first=rows.cs_first.sum(),
        finished=rows.finished.sum(),
    ).to_pandas()
    numbers = [name for name in (*KEYS, *COUNTED) if name != "cohort"]
    return found.astype(dict.fromkeys(numbers, "int64")).sort_values(list(KEYS), ignore_index=True)


def of_cells(
    cells: pd.DataFrame, starts: pd.DataFrame, decisions: pd.DataFrame, day: str
) -> Metrics:
    """Tests the success metrics.

    Args:
        cells: See `cells_of`.
        starts, decisions, day: See `Reductions` and `Window`.
    """
    engagement, conversion = primary(cells)
    troubled = cells[cells.first_task > 0]
    dated = decisions[(decisions.converted == 1) & decisions.day.notna()]
    converted = decisions[decisions.converted == 1].customers.sum()
    secondary = {
        "completed_all": _of_shares(*_pair(cells, _completed_all(cells))),
        "completions": _completions(cells),
        "time_to_convert": _time_to_convert(dated),
    }
    links = {
        "cs": _of_shares(*_pair(troubled, troubled.cs_first)),
        "finished": _of_shares(*_pair(troubled, troubled.finished)),
        "completed_all": _of_shares(*_pair(troubled, _completed_all(troubled))),
        "converted": _of_shares(*_pair(troubled, _converted(troubled))),
    }
    never = cells[cells.first_task == 0]
    placebo = _of_shares(*_pair(never, _converted(never)))
    subgroups, interactions = _subgroups(cells)
    hours, drift = _drift(starts[starts.date == day])
    days, detectable = _plans(conversion, *_pair(troubled, _converted(troubled)))
    return Metrics(
        alpha=ALPHA,
        customers=int(cells.customers.sum()),
        engagement=engagement,
        conversion=conversion,
        troubled=_rows({
            "ever": _of_shares(*_pair(troubled, troubled.cs)), "first": links["cs"],
        }, "reading", ("control_n", "test_n", *EFFECT)),
        tests=_tests((engagement, conversion), secondary, links, {"never_in_trouble": placebo}),
        mechanism=_mechanism(cells, links, conversion),
        guardrails=_guardrails(cells, never),
        subgroups=subgroups,
        interactions=interactions,
        hours=hours,
        drift=drift,
        days=days,
        detectable=detectable,
        undated=int(converted - dated.customers.sum()),
        late=int(dated[dated.day >= TRIAL_DAYS].customers.sum()),
    )


# Shares of the two cohorts -------------------------------------------------------------------

EFFECT = ("control", "test", "difference", "low", "high")


def _pair(cells: pd.DataFrame, successes: pd.Series) -> tuple[Share | None, Share | None]:
    """Control and Test as shares of customers; None for a cohort without any."""
    by = pd.DataFrame({"n": cells.customers, "successes": successes}).groupby(cells.cohort).sum()
    return tuple(
        Share(int(by.loc[name, "successes"]), int(by.loc[name, "n"])) if name in by.index else None
        for name in COHORTS
    )


def _completed_all(cells: pd.DataFrame) -> pd.Series:
    return cells.customers.where(cells.completions == len(TASKS), 0)


def _converted(cells: pd.DataFrame) -> pd.Series:
    return cells.customers * cells.converted


def _told(test: Callable, *args, **options):
    """A test or plan, or None where its data are too few or do not vary."""
    try:
        return test(*args, **options)
    except ValueError:
        return None


def _sparse(control: Share, test: Share) -> bool:
    """Whether a cell of the table is expected to hold fewer than `LEAST_EXPECTED`."""
    successes, n = control.successes + test.successes, control.n + test.n
    return min(successes, n - successes) * min(control.n, test.n) / n < LEAST_EXPECTED


def _of_shares(control: Share | None, test: Share | None) -> dict | None:
    """A comparison as a row; p is missing where nothing varies. None without one of the cohorts."""
    if control is None or test is None:
        return None
    gap = two_proportions.difference(test, control, 1 - ALPHA)
    z = _told(two_proportions.pooled_z, test, control, alpha=ALPHA)
    if z is not None and _sparse(control, test):
        z = two_proportions.fisher(test, control, alpha=ALPHA)
    return {
        "control_n": control.n, "test_n": test.n, "control": control.value, "test": test.value,
        "difference": gap.estimate, "low": gap.low, "high": gap.high, "unit": "share",
        "method": z.name if z else None, "p_value": z.p_value if z else math.nan,
    }


def _rows(found: Mapping, names: str | tuple[str, ...], columns: tuple[str, ...]) -> pd.DataFrame:
    """The comparisons that there are, by name."""
    kept = {name: row for name, row in found.items() if row is not None}
    levels = [names] if isinstance(names, str) else list(names)
    keys = [(name,) if isinstance(name, str) else name for name in kept]
    rows = [{column: row[column] for column in columns} for row in kept.values()]
    frame = pd.DataFrame(rows, columns=list(columns))
    for level, values in zip(levels, zip(*keys, strict=True) if keys else [()] * len(levels),
                             strict=True):
        frame[level] = list(values)
    return frame.set_index(levels)


# Primary metrics -----------------------------------------------------------------------------


def primary(cells: pd.DataFrame) -> tuple[Metric, Metric]:
    """Engagement and conversion of all assigned, tested in this order; see `cells_of`."""
    engagement = metric("engagement", *_pair(cells, cells.cs), MOVES, tested=True)
    conversion = metric(
        "conversion", *_pair(cells, _converted(cells)), MATTERS[0], tested=engagement.shown)
    return engagement, conversion


def metric(name: str, control: Share, test: Share, smallest: float, *, tested: bool) -> Metric:
    """Tests a primary metric.

    Args:
        name: One of `PRIMARY`.
        control, test: Successes among the customers of each cohort.
        smallest: The rise that matters, in shares.
        tested: Whether its turn in the sequence has come.
    """
    z = _told(two_proportions.pooled_z, test, control, alpha=ALPHA)
    exact = (_told(two_proportions.fisher, test, control, alpha=ALPHA)
             if control.n + test.n <= EXACT_UP_TO else None)
    sparse = exact is not None and _sparse(control, test)
    p = 1.0 if z is None else exact.p_value if sparse else z.p_value
    decision = None if z is None else decide(z, smallest_effect=smallest, p_value=p)
    a, b = (PRIOR.after(share.successes, share.n) for share in (control, test))
    sizes = {"share_a": control.value, "n_a": control.n, "ratio": test.n / control.n,
             "alpha": ALPHA}
    planned = _told(power.proportions, share_b=control.value + smallest, **sizes)
    seen = _told(power.proportions, power=POWER, **sizes)
    return Metric(
        name=name, control=control, test=test,
        control_rate=intervals.proportion(control.successes, control.n),
        test_rate=intervals.proportion(test.successes, test.n),
        difference=two_proportions.difference(test, control, 1 - ALPHA),
        z=z, fisher=exact, lift=two_proportions.ratio(test, control), p_value=p,
        smallest_effect=smallest, decision=decision,
        shown=bool(tested and decision is not None and decision.finding is Finding.HIGHER),
        tested=tested,
        belief=Belief(
            better=bayes.exceeds(a, b), loss_test=bayes.expected_loss(b, a),
            loss_control=bayes.expected_loss(a, b), difference=bayes.difference(a, b),
            lift=bayes.lift(a, b),
        ),
        power=planned.power if planned else None,
        detectable=seen.difference if seen else None,
    )


# All tests -----------------------------------------------------------------------------------


def _completions(cells: pd.DataFrame) -> dict | None:
    """Tasks completed a customer."""
    samples = []
    for name in COHORTS:
        part = cells[cells.cohort == name]
        samples.append(Counts.of(part.completions, part.customers))
    control, test = samples
    welch = _told(two_sample.welch, test.moments, control.moments, alpha=ALPHA)
    return None if welch is None else _of_result(welch, control.moments.mean, test.moments.mean,
                                                 "tasks")


def _time_to_convert(dated: pd.DataFrame) -> dict | None:
    """Days to conversion of those who converted at a known time."""
    parts = [dated[dated.cohort == name] for name in COHORTS]
    if any(part.empty for part in parts) or dated.day.nunique() < 2:
        return None
    control, test = (Counts.of(part.day.astype(float), part.customers) for part in parts)
    found = _told(two_sample.mann_whitney_of_counts, test, control, alpha=ALPHA)
    if found is None:
        return None
    row = _of_result(found, control.moments.mean, test.moments.mean, "probability")
    return row | {name: row[name] - 0.5 for name in ("difference", "low", "high")}


def _of_result(found: TestResult, control: float, test: float, unit: str) -> dict:
    return {
        "control_n": found.n_b, "test_n": found.n_a, "control": control, "test": test,
        "difference": found.estimate, "low": found.interval.low, "high": found.interval.high,
        "unit": unit, "method": found.name, "p_value": found.p_value,
    }


def _tests(first: tuple[Metric, Metric], secondary: Mapping, links: Mapping,
           guardrails: Mapping) -> pd.DataFrame:
    """Every test in order; see `Metrics.tests`."""
    columns = (*EFFECT, "unit", "method", "p_value")
    families = {
        "primary": {m.name: _of_shares(m.control, m.test) for m in first},
        "secondary": secondary, "mechanism": links, "guardrail": guardrails,
    }
    parts = []
    for family, found in families.items():
        part = _rows({(family, name): row for name, row in found.items()},
                     ("family", "metric"), columns)
        part = part[part.p_value.notna()].copy()
        part["p_adjusted"] = part.p_value if family == "primary" else holm(part.p_value)
        part["tested"] = True
        parts.append(part)
    tests = pd.concat([part for part in parts if len(part)] or parts)
    tests["tested"] = [
        first[1].tested if key == ("primary", "conversion") else True for key in tests.index]
    tests["shown"] = tests.tested & (tests.p_adjusted <= ALPHA)
    return tests


# Mechanism and guardrails --------------------------------------------------------------------


def _mechanism(cells: pd.DataFrame, links: Mapping, conversion: Metric) -> Mechanism:
    in_trouble = int(cells.customers[cells.first_task > 0].sum())
    seen, predicted, remainder = _decomposed(cells)
    everybody = _of_shares(conversion.control, conversion.test)
    return Mechanism(
        reach=intervals.proportion(in_trouble, int(cells.customers.sum())),
        links=_rows({**links, "everybody": everybody}, "link", EFFECT),
        seen=seen, predicted=predicted, remainder=remainder,
    )


def _decomposed(cells: pd.DataFrame) -> tuple[Interval, Interval | None, Interval | None]:
    """The difference of conversion in two parts, through completions and at equal completions.

    With shares p (Test) and q (Control) of customers by completions, and conversion d and c there,
    sum(p d) - sum(q c) = sum((p - q) c) + sum(p (d - c)), Kitagawa's (1955) components. The errors
    come from influence functions: what one customer more of a kind adds to the estimate.
    """
    levels = range(len(TASKS) + 1)
    n = {(cohort, k, y): 0 for cohort in COHORTS for k in levels for y in (0, 1)}
    sums = cells.groupby(["cohort", "completions", "converted"]).customers.sum()
    n |= {key: int(value) for key, value in sums.items()}
    counts = np.array([[[n[cohort, k, y] for y in (0, 1)] for k in levels] for cohort in COHORTS])
    customers, total = counts.sum(axis=2), counts.sum(axis=(1, 2))
    (q, p), (c, d) = customers / total[:, None], counts[:, :, 1] / np.maximum(customers, 1)
    y = np.array([0.0, 1.0])

    def interval(value: float, of_control: np.ndarray, of_test: np.ndarray) -> Interval:
        variance = 0.0
        for influence, cohort in ((of_control, 0), (of_test, 1)):
            weights = counts[cohort] / total[cohort]
            mean = float((weights * influence).sum())
            variance += float((weights * (influence - mean) ** 2).sum()) / total[cohort]
        reach = scipy_stats.norm.isf(ALPHA / 2) * math.sqrt(variance)
        return Interval(value, float(value - reach), float(value + reach), 1 - ALPHA, "delta")

    outcome = np.broadcast_to(y, counts.shape[1:])
    seen = interval(float(p @ d - q @ c), outcome, outcome)
    if ((customers[0] == 0) & (customers[1] > 0)).any():
        return seen, None, None
    conversion, away = c[:, None] + 0 * y, y - c[:, None]
    share = np.divide(p, q, out=np.zeros_like(p), where=q > 0)[:, None]
    predicted = interval(
        float((p - q) @ c), (share - 1) * away - conversion, conversion)
    remainder = interval(float(p @ (d - c)), share * away, away)
    return seen, predicted, remainder


def _guardrails(cells: pd.DataFrame, never: pd.DataFrame) -> Guardrails:
    control, test = _pair(cells, _completed_all(cells))
    shares = dict(zip(COHORTS, _pair(never, _converted(never)), strict=True))
    placebo = alike = None
    if all(shares.values()):
        pair = shares["Test"], shares["Control"]
        placebo = _told(two_proportions.pooled_z, *pair, alpha=ALPHA)
        if all(share.n > 1 for share in pair):
            alike = _told(two_sample.equivalence, *map(_moments, pair), low=-MARGIN, high=MARGIN,
                          alpha=ALPHA)
    return Guardrails(
        margin=MARGIN,
        completion=two_proportions.difference(test, control, 1 - ALPHA),
        never={name: {"converted": share.successes if share else 0,
                      "customers": share.n if share else 0} for name, share in shares.items()},
        placebo=placebo,
        alike=alike,
    )


def _moments(share: Share) -> Moments:
    return Moments(share.n, share.value, share.value * (1 - share.value) * share.n / (share.n - 1))


# Subgroups, drift, plans ---------------------------------------------------------------------


def _subgroups(cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    begun = cells[cells.part_of_day >= 0]
    rows, tests = {}, {}
    for outcome in PRIMARY:
        for dimension in DIMENSIONS:
            whole = cells[cells.first_task > 0] if dimension == "first_task" else begun
            pairs = []
            for value, part in whole.groupby(dimension):
                control, test = _pair(part, part.cs if outcome == "engagement"
                                      else _converted(part))
                rows[outcome, dimension, int(value)] = _of_shares(control, test)
                if control and test and not _sparse(control, test):
                    pairs.append((test, control))
            tests[outcome, dimension] = _told(two_proportions.homogeneity, pairs)
    columns = ("control_n", "test_n", *EFFECT, "p_value")
    frame = _rows(rows, ("outcome", "dimension", "value"), columns)
    frame["p_adjusted"] = math.nan
    for outcome in PRIMARY:
        mine = (frame.index.get_level_values("outcome") == outcome) & frame.p_value.notna()
        frame.loc[mine, "p_adjusted"] = holm(frame.p_value[mine])
    found = {key: {"q": q.statistic, "df": q.df, "p_value": q.p_value}
             for key, q in tests.items() if q is not None}
    interactions = _rows(found, ("outcome", "dimension"), ("q", "df", "p_value"))
    interactions["p_adjusted"] = holm(interactions.p_value.astype(float))
    return frame, interactions


def _drift(starts: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The effects by hour, and their trend: least squares with the hours' known precision.

    The precision of an hour's difference takes each cohort's share of the whole day, so that an
    hour in which nobody converted is not taken for certain.
    """
    columns = ["customers", "cs", "converted"]
    wide = starts.pivot_table(index="hour", columns="cohort", values=columns, aggfunc="sum")
    wide = wide.reindex(columns=pd.MultiIndex.from_product([columns, COHORTS])).dropna()
    n = wide["customers"]
    hours = pd.DataFrame({"control_n": n["Control"], "test_n": n["Test"]}).astype("int64")
    rows = []
    for column, outcome in zip(("cs", "converted"), PRIMARY, strict=True):
        successes = wide[column]
        hours[outcome] = successes["Test"] / n["Test"] - successes["Control"] / n["Control"]
        share = successes.sum() / n.sum()
        variance = (share * (1 - share) / n).sum(axis=1).to_numpy()
        if len(hours) < 3 or not (variance > 0).all():
            continue
        x, weight = hours.index.to_numpy(float), 1 / variance
        x = x - np.average(x, weights=weight)
        precision = float((weight * x**2).sum())
        slope = float((weight * x * hours[outcome].to_numpy()).sum()) / precision
        error = 1 / math.sqrt(precision)
        reach = scipy_stats.norm.isf(ALPHA / 2) * error
        rows.append((outcome, slope, slope - reach, slope + reach,
                     float(2 * scipy_stats.norm.sf(abs(slope) / error))))
    names = ["outcome", "slope", "low", "high", "p_value"]
    drift = pd.DataFrame(rows, columns=names).set_index("outcome")
    drift["p_adjusted"] = holm(drift.p_value.astype(float))
    return hours.rename_axis("hour"), drift


def _plan(m: Metric, ratio: float, **options) -> Plan | None:
    return _told(power.proportions, share_a=m.control.value, ratio=ratio, alpha=ALPHA, **options)


def _reached(m: Metric, control: Share | None, test: Share | None, effect: float) -> float:
    """Days that see an effect of all, if it is that of those in trouble and only they count."""
    if control is None or test is None:
        return math.nan
    a_day = control.n + test.n
    share = control.value
    rise = effect * (m.control.n + m.test.n) / a_day
    plan = _told(power.proportions, share_a=share, share_b=share + rise, power=POWER, alpha=ALPHA,
                 ratio=test.n / control.n)
    return (plan.n_a + plan.n_b) / a_day if plan else math.nan


def _plans(
    m: Metric, control: Share | None, test: Share | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What it takes to see an effect on conversion, in days of such traffic.

    Args:
        m: Conversion of all assigned.
        control, test: That of those in trouble.
    """
    a_day, ratio = m.control.n + m.test.n, m.test.n / m.control.n
    rows = []
    for effect in MATTERS:
        goal = m.control.value + effect
        split, even = (_plan(m, r, share_b=goal, power=POWER) for r in (ratio, 1.0))
        run = _plan(m, ratio, share_b=goal, n_a=m.control.n)
        if split is None or even is None:
            continue
        rows.append((effect, run.power if run else math.nan, split.n_a + split.n_b,
                     (split.n_a + split.n_b) / a_day, (even.n_a + even.n_b) / a_day,
                     _reached(m, control, test, effect)))
    days = pd.DataFrame(
        rows, columns=["effect", "power", "customers", "days", "even_days", "reached_days"])
    curve = []
    for number in PLANNED_DAYS:
        sizes = {"split": (number * m.control.n, ratio), "even": (number * a_day // 2, 1.0)}
        found = {name: _plan(m, r, n_a=n, power=POWER) for name, (n, r) in sizes.items()}
        if all(found.values()):
            curve.append((number, *(plan.difference for plan in found.values())))
    detectable = pd.DataFrame(curve, columns=["days", "split", "even"])
    return days.set_index("effect"), detectable.set_index("days")
