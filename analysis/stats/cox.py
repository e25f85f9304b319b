"""Cox's regression of times to an event, from counts of equal subjects.

Subjects with the same covariates and the same time share a row, so minutes or days with many ties
cost what the distinct rows cost. Censoring must be independent given the covariates. Nothing is
assumed about the hazard over time but that covariates multiply it by the same factor at all times;
`proportional_hazards` tests that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.stats._common import Record, Values, as_sample, check_fraction
from analysis.stats.regression import Design, aliased

# A step that gains less of the log-likelihood moves no coefficient by more than 2e-9 of its error.
STANDSTILL = 1e-18
ROUNDING = 1e-12  # of the log-likelihood, relative
MOST_STEPS, MOST_HALVINGS = 50, 30
FAR = 20.0  # a log hazard ratio beyond this, over a column's range, has no finite estimate
LEAST = 1e-10  # information an event, over a column's range, below which it is only rounding


@dataclass(frozen=True, slots=True, eq=False)
class Cox(Record):
    """A fitted regression of hazards.

    Attributes:
        n: Subjects.
        events: Of them, those with the event.
        ties: How equal times were treated, "efron" or "breslow".
        confidence: Of the intervals.
        log_likelihood, log_likelihood_null: Partial, with the covariates and without.
        likelihood_ratio, df, p_value: Test that no covariate changes the hazard.
        coefficients: One row a column of the design: `factor`, `level`, `reference`, `estimate`
            (log hazard ratio), `standard_error`, `statistic` (z), `p_value`, `low`, `high`, and
            the hazard ratio `ratio` with `ratio_low`, `ratio_high`.
        params: Coefficients, in the order of the design's columns.
        covariance: Of the coefficients, from the observed information.
    """

    n: int
    events: int
    ties: str
    confidence: float
    log_likelihood: float
    log_likelihood_null: float
    likelihood_ratio: float
    df: int
    p_value: float
    coefficients: pd.DataFrame = field(repr=False)
    params: Values = field(repr=False)
    covariance: Values = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Proportional(Record):
    """Whether hazard ratios stay the same over time.

    Attributes:
        columns: One row a column of the design: `factor`, `level`, `statistic` (chi-squared with
            one degree of freedom), `p_value`, and `slope`: the sign and, to a first
            approximation, the size of the change of the log hazard ratio from the first event to
            the last.
        statistic, df, p_value: The same for all columns together.
    """

    columns: pd.DataFrame = field(repr=False)
    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Distinct rows in order of time. Arrays of shape (k,), `x` (k, p); events only in `d`."""

    x: Values
    d: Values
    n: Values
    time: Values
    begin: Values  # the first row of each row's time, as an index into the rows
    efron: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Moments:
    """What the likelihood is made of, by distinct time with an event."""

    log_likelihood: float
    times: Values
    residual: Values  # observed less expected covariates of those with the event, shape (t, p)
    information: Values  # shape (t, p, p)


def cox(
    x: Design, time: ArrayLike, events: ArrayLike, censored: ArrayLike, *,
    ties: Literal["efron", "breslow"] = "efron", confidence: float = 0.95,
) -> Cox:
    """Cox's (1972) proportional hazards model, by maximum partial likelihood.

    Ties are treated by Efron's (1977) approximation, the better one where many are tied, or by
    Breslow's (1974). Newton's method, with steps halved where they overshoot.

    Args:
        x: The design, one row a group of equal subjects; its intercept is not used, as the
            hazard over time takes its place.
        time: Time of each row, from 0 up.
        events: Subjects of each row who have the event then.
        censored: Subjects last seen then, without it; at equal times they leave after the events.
        ties: "efron" or "breslow".
        confidence: Of the intervals.

    Raises:
        ValueError: Rows that do not fit together, times below 0, counts that are not whole numbers
            from 0 up, no event, columns that cannot be told apart, or an estimate that is not
            finite: all who have the event, or none, are on one side of a column.
    """
    check_fraction(confidence, "confidence")
    rows = _prepared(x, time, events, censored, ties)
    params, reach = np.zeros(rows.x.shape[1]), np.ptp(rows.x, axis=0)
    found = _moments(rows, params)
    null = found.log_likelihood
    for _ in range(MOST_STEPS):
        gradient, information = found.residual.sum(axis=0), found.information.sum(axis=0)
        step, *_ = np.linalg.lstsq(information, gradient, rcond=1e-12)
        gain = float(gradient @ step) / 2
        if not gain > STANDSTILL:
            break
        for halving in range(MOST_HALVINGS):
            tried = _moments(rows, params + step / 2**halving)
            if tried.log_likelihood >= found.log_likelihood - ROUNDING * abs(null):
                break
        else:
            break
        params, found = params + step / 2**halving, tried
        if np.abs(params * reach).max() > FAR:
            break
    information = found.information.sum(axis=0)
    scaled = information / np.outer(reach, reach) / rows.d.sum()
    if np.abs(params * reach).max() > FAR or np.linalg.eigvalsh(scaled).min() < LEAST:
        raise ValueError("x: no finite estimate exists; events are on one side of a column only")
    covariance = np.linalg.inv(information)
    statistic = max(0.0, 2 * (found.log_likelihood - null))
    return Cox(
        n=int(rows.n.sum()), events=int(rows.d.sum()), ties=ties, confidence=confidence,
        log_likelihood=found.log_likelihood, log_likelihood_null=null,
        likelihood_ratio=statistic, df=len(params),
        p_value=float(stats.chi2.sf(statistic, len(params))),
        coefficients=_coefficients(x, params, covariance, confidence),
        params=params, covariance=covariance,
    )


def proportional_hazards(
    fit: Cox, x: Design, time: ArrayLike, events: ArrayLike, censored: ArrayLike
) -> Proportional:
    """Score test of hazard ratios that change with time (Grambsch & Therneau 1994).

    It asks whether the Schoenfeld residuals, the covariates of those who have the event less what
    the model expects, go with time; time is scaled as the share that had the event before, over
    all subjects (Kaplan-Meier), so that a few late events do not decide. As R's `cox.zph` since
    version 3.0 of survival: the score test proper, not its older approximation.

    Args:
        fit: The model.
        x, time, events, censored: What it was fitted to.

    Raises:
        ValueError: Events at fewer than two times, without which nothing can change, or see `cox`.
    """
    rows = _prepared(x, time, events, censored, fit.ties)
    found = _moments(rows, fit.params)
    if len(found.times) < 2:
        raise ValueError("events: need at least two times with events")
    scale = _before(rows, found.times)
    d = np.bincount(np.searchsorted(found.times, rows.time[rows.d > 0]), rows.d[rows.d > 0])
    scale = scale - (d @ scale) / d.sum()
    p = len(fit.params)
    # Of the coefficients, and of their changes with the scale.
    whole = np.block([
        [found.information.sum(axis=0), np.tensordot(scale, found.information, 1)],
        [np.tensordot(scale, found.information, 1), np.tensordot(scale**2, found.information, 1)],
    ])
    score = np.concatenate([np.zeros(p), scale @ found.residual])

    def tested(places: list[int]) -> tuple[float, float]:
        kept = [*range(p), *(p + place for place in places)]
        solved, *_ = np.linalg.lstsq(whole[np.ix_(kept, kept)], score[kept], rcond=1e-12)
        return max(0.0, float(score[kept] @ solved)), float(solved[-1])

    each = [tested([place]) for place in range(p)]
    statistic, _ = tested(list(range(p)))
    spread = float(np.ptp(scale))
    return Proportional(
        columns=pd.DataFrame({
            "factor": [column.factor for column in x.columns],
            "level": [column.level for column in x.columns],
            "statistic": [value for value, _ in each],
            "p_value": [float(stats.chi2.sf(value, 1)) for value, _ in each],
            "slope": [slope * spread for _, slope in each],
        }),
        statistic=statistic, df=p, p_value=float(stats.chi2.sf(statistic, p)),
    )


def _prepared(x: Design, time, events, censored, ties: str) -> _Rows:
    if ties not in ("efron", "breslow"):
        raise ValueError(f"ties: must be 'efron' or 'breslow', got {ties!r}")
    if not x.columns:
        raise ValueError("x: needs at least one column")
    t, d, c = (as_sample(values, name) for values, name in (
        (time, "time"), (events, "events"), (censored, "censored")))
    if not t.size == d.size == c.size == len(x.matrix):
        raise ValueError(f"time, events, censored: need one value a row, {len(x.matrix)}")
    if t.min() < 0:
        raise ValueError(f"time: must be at least 0, got {t.min():g}")
    if min(d.min(), c.min()) < 0 or (d != np.floor(d)).any() or (c != np.floor(c)).any():
        raise ValueError("events, censored: must be whole numbers of at least 0")
    if not d.sum():
        raise ValueError("events: there are none")
    there = d + c > 0
    if aliased(x.take(there)):
        raise ValueError("x: columns cannot be told apart (one is a combination of others)")
    order = np.flatnonzero(there)[np.argsort(t[there], kind="stable")]
    # About their mean, so that large covariates do not overflow; hazard ratios are the same.
    matrix = x.matrix[order, 1:]
    matrix = matrix - matrix.mean(axis=0)
    return _Rows(matrix, d[order], (d + c)[order], t[order],
                 np.searchsorted(t[order], t[order], "left"), ties == "efron")


def _moments(rows: _Rows, params: Values) -> _Moments:
    score = rows.x @ params
    top = score.max()
    risk = np.exp(score - top)
    square = rows.x[:, :, None] * rows.x[:, None, :]

    def at_risk(weight: Values) -> tuple[Values, ...]:
        """Sums over each row's time and all later ones."""
        parts = (weight, weight[:, None] * rows.x, weight[:, None, None] * square)
        return tuple(part[::-1].cumsum(axis=0)[::-1] for part in parts)

    first = np.unique(rows.begin)  # where each time begins
    d = np.add.reduceat(rows.d, first)
    with_event = d > 0
    first, d = first[with_event], d[with_event].astype(np.int64)
    all0, all1, all2 = (part[first] for part in at_risk(rows.n * risk))
    place = np.searchsorted(rows.begin[first], rows.begin[rows.d > 0])
    mine = rows.d > 0

    def of_events(values: Values) -> Values:
        total = np.zeros((len(first), *values.shape[1:]))
        np.add.at(total, place, values)
        return total

    dead = (rows.d * risk)[mine]
    dead0 = of_events(dead)
    dead1 = of_events(dead[:, None] * rows.x[mine])
    dead2 = of_events(dead[:, None, None] * square[mine])
    observed = of_events(rows.d[mine, None] * rows.x[mine])

    # Of d events at a time, the l-th is drawn from all at risk less l/d of those with the event.
    which = np.repeat(np.arange(len(first)), d)
    gone = np.arange(d.sum()) - np.repeat(np.cumsum(d) - d, d)
    share = gone / d[which] if rows.efron else np.zeros(len(which))
    left = all0[which] - share * dead0[which]

    def summed(values: Values) -> Values:
        return np.bincount(which, values, len(first))

    a, b = summed(1 / left)[:, None], summed(share / left)[:, None]
    aa, ab, bb = (summed(w / left**2)[:, None, None] for w in (1.0, share, share**2))

    def outer(u: Values, v: Values) -> Values:
        return u[:, :, None] * v[:, None, :]

    information = a[:, :, None] * all2 - b[:, :, None] * dead2 - (
        aa * outer(all1, all1) - ab * (outer(all1, dead1) + outer(dead1, all1))
        + bb * outer(dead1, dead1)
    )
    likelihood = float(rows.d @ (score - top) - np.log(left).sum())
    return _Moments(
        likelihood, rows.time[first], observed - (a * all1 - b * dead1), information)


def _before(rows: _Rows, times: Values) -> Values:
    """The share of all subjects who had the event before each time (Kaplan-Meier)."""
    at_risk = rows.n[::-1].cumsum()[::-1]
    first = np.searchsorted(rows.time, times, "left")
    d = np.bincount(np.searchsorted(times, rows.time[rows.d > 0]), rows.d[rows.d > 0])
    survival = np.cumprod(1 - d / at_risk[first])
    return 1 - np.concatenate([[1.0], survival[:-1]])


def _coefficients(x: Design, params: Values, covariance: Values, confidence: float) -> pd.DataFrame:
    z = stats.norm.isf((1 - confidence) / 2)
    error = np.sqrt(np.diag(covariance))
    frame = pd.DataFrame({
        "factor": [column.factor for column in x.columns],
        "level": [column.level for column in x.columns],
        "reference": [column.reference for column in x.columns],
        "estimate": params,
        "standard_error": error,
        "statistic": params / error,
        "p_value": 2 * stats.norm.sf(np.abs(params / error)),
        "low": params - z * error,
        "high": params + z * error,
    })
    names = {"ratio": "estimate", "ratio_low": "low", "ratio_high": "high"}
    return frame.assign(**{name: np.exp(frame[of]) for name, of in names.items()})
