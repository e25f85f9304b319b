"""Time to an event of which some subjects have only been seen without it (right censoring).

Everything starts from counts by time, so a million subjects cost what their distinct times cost.
Censoring must be independent: whoever leaves observation at a time has the same future as those
who stay. At equal times events come before censorings, so a subject censored at t was at risk at t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.stats._common import Record, Values, as_sample, check_fraction
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval

_TIE = 1e-12  # survival that is equal differs by rounding


@dataclass(frozen=True, slots=True, eq=False)
class KaplanMeier(Record):
    """The Kaplan-Meier estimate: the share of subjects still without the event after each time.

    Attributes:
        n: Subjects.
        confidence: Nominal confidence of the limits.
        time: Times with an event or a censoring, ascending, shape (k,) like all that follow.
        at_risk: Subjects under observation and without the event just before each time.
        events: Of them, those who have the event at it.
        censored: Of them, those last seen at it, without the event.
        survival: Share without the event after it.
        standard_error: Of the survival (Greenwood 1926); nan once the survival is 0.
        low, high: Limits of the survival; nan once it is 0.
    """

    n: int
    confidence: float
    time: Values = field(repr=False)
    at_risk: NDArray[np.int64] = field(repr=False)
    events: NDArray[np.int64] = field(repr=False)
    censored: NDArray[np.int64] = field(repr=False)
    survival: Values = field(repr=False)
    standard_error: Values = field(repr=False)
    low: Values = field(repr=False)
    high: Values = field(repr=False)

    @property
    def hazard(self) -> Values:
        """Share of those at risk who have the event at each time, shape (k,)."""
        return self.events / self.at_risk

    def to_frame(self) -> pd.DataFrame:
        """One row a time: all the arrays."""
        names = [name for name in self.__slots__ if name not in ("n", "confidence")]
        return pd.DataFrame({name: getattr(self, name) for name in names})

    def survival_at(self, time: float) -> Interval:
        """The share without the event after a time, log-log limits (Kalbfleisch & Prentice 1980).

        The limits are symmetric for log(-log S), so they stay within 0 and 1.

        Raises:
            ValueError: The time is below 0, or beyond the last one while the survival is above 0:
                nobody was seen there.
        """
        self._check_time(time, "time")
        i = int(np.searchsorted(self.time, time, "right")) - 1
        s, low, high = (self.survival[i], self.low[i], self.high[i]) if i >= 0 else (1.0,) * 3
        return Interval(float(s), float(low), float(high), self.confidence, "Kaplan-Meier, log-log")

    def share_at(self, time: float) -> Interval:
        """The share who have had the event by a time, that time included: 1 - `survival_at`."""
        s = self.survival_at(time)
        return Interval(1 - s.estimate, 1 - s.high, 1 - s.low, s.confidence, s.method)

    def error_at(self, time: float) -> float:
        """Greenwood's standard error of the survival after a time; 0 before the first event.

        Raises:
            ValueError: See `survival_at`.
        """
        self._check_time(time, "time")
        i = int(np.searchsorted(self.time, time, "right")) - 1
        return float(self.standard_error[i]) if i >= 0 else 0.0

    def quantile(self, share: float) -> Interval:
        """The time by which a share of all subjects have had the event; 0.5 gives the median.

        The limits are where the limits of the curve reach the share (Brookmeyer & Crowley 1982).
        Infinite where it is not reached while anybody is observed. Where the curve stays exactly
        at the share from one event to the next, the middle of the two, as in R.

        Raises:
            ValueError: The share is not within (0, 1).
        """
        check_fraction(share, "share")
        value, low, high = (
            self._first_at(curve, 1 - share) for curve in (self.survival, self.low, self.high)
        )
        return Interval(value, low, high, self.confidence, "Brookmeyer-Crowley, log-log")

    def _first_at(self, curve: Values, level: float) -> float:
        below = np.flatnonzero(curve <= level + _TIE)
        if not below.size:
            return float("inf")
        first = below[0]
        lower = np.flatnonzero(curve < level - _TIE)
        if abs(curve[first] - level) <= _TIE and lower.size:
            return float(self.time[first] + self.time[lower[0]]) / 2
        return float(self.time[first])

    def restricted_mean(self, until: float) -> Interval:
        """Mean time without the event within the first `until` units: the area under the curve.

        The standard error is Greenwood's carried over to the area (Klein & Moeschberger 2003,
        section 4.5), the limits are normal. It is the mean of min(time, until), which is known
        even where most subjects never have the event.

        Raises:
            ValueError: `until` is not above 0, or see `survival_at`.
        """
        if not until > 0:
            raise ValueError(f"until: must be above 0, got {until!r}")
        self._check_time(until, "until")
        before = self.time < until
        edges = np.concatenate([[0.0], self.time[before], [until]])
        area = np.diff(edges) * np.concatenate([[1.0], self.survival[before]])
        ahead = area[1:][::-1].cumsum()[::-1]
        n, d = self.at_risk[before].astype(float), self.events[before]
        left = np.maximum(n - d, 1)  # where nobody is left, nothing lies ahead
        error = float(np.sqrt((ahead**2 * d / (n * left)).sum()))
        mean, margin = float(area.sum()), _z(self.confidence) * error
        return Interval(mean, mean - margin, mean + margin, self.confidence, "area, Greenwood")

    def survival_influence(self, time: float) -> tuple[Values, Values]:
        """How far one subject more would move the survival after a time (infinitesimal jackknife).

        The derivative of the estimate by a subject's weight (Jaeckel 1972; Lin & Wei 1989). Squared
        and summed over independent subjects it gives Greenwood's variance; where subjects come in
        clusters, sum it over each cluster before squaring.

        Returns:
            For a subject with the event, and for one censored, at each of `time`: shape (k,) each.

        Raises:
            ValueError: See `survival_at`.
        """
        self._check_time(time, "time")
        s = self.survival_at(time).estimate
        n, d = self.at_risk.astype(float), self.events
        counts = (self.time <= time) & (s > 0)  # a survival of 0 stays 0, whoever joins
        passed = np.cumsum(np.where(counts, d / (n * np.maximum(n - d, 1)), 0.0))
        had = np.concatenate([[0.0], passed[:-1]]) - np.where(counts, 1 / n, 0.0)
        return s * had, s * passed

    def mean_influence(self, until: float) -> tuple[Values, Values]:
        """The same of the restricted mean within the first `until` units.

        Raises:
            ValueError: See `restricted_mean`.
        """
        if not until > 0:
            raise ValueError(f"until: must be above 0, got {until!r}")
        self._check_time(until, "until")
        n, d = self.at_risk.astype(float), self.events
        before = self.time < until
        width = np.diff(np.append(np.minimum(self.time, until), until))
        area = width * self.survival
        ahead = area[::-1].cumsum()[::-1]  # under the curve from each time on
        counts = before & (self.survival > 0)
        passed = np.cumsum(np.where(counts, ahead * d / (n * np.maximum(n - d, 1)), 0.0))
        had = np.concatenate([[0.0], passed[:-1]]) - np.where(counts, ahead / n, 0.0)
        return had, passed

    def widened(self, factor: float) -> KaplanMeier:
        """The same curve with standard errors multiplied by a factor, and limits to match.

        For subjects that come in clusters, whose independence Greenwood's error takes for granted.

        Raises:
            ValueError: The factor is not above 0.
        """
        if not factor > 0:
            raise ValueError(f"factor: must be above 0, got {factor!r}")
        error = factor * self.standard_error
        low, high = _log_log(self.survival, error, self.confidence)
        return replace(self, standard_error=error, low=low, high=high)

    def _check_time(self, time: float, name: str) -> None:
        if not time >= 0:
            raise ValueError(f"{name}: must be at least 0, got {time!r}")
        if time > self.time[-1] and self.survival[-1] > 0:
            raise ValueError(f"{name}: nobody was observed beyond {self.time[-1]:g}, got {time!r}")


def kaplan_meier(
    time: ArrayLike, events: ArrayLike, censored: ArrayLike, confidence: float = 0.95
) -> KaplanMeier:
    """The product-limit estimate from counts by time (Kaplan & Meier 1958).

    Args:
        time: Times from 0 up, in any order; equal ones are put together.
        events: How many subjects have the event at each.
        censored: How many are last seen at each, without the event.
        confidence: Of the limits.

    Raises:
        ValueError: Different lengths, times below 0, counts that are not whole numbers from 0
            up, no subjects, or see `as_sample`.
    """
    check_fraction(confidence, "confidence")
    t, d, c = _by_time(time, events, censored)
    at_risk = (d + c)[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - d / at_risk)
    left = (at_risk - d).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(d / (at_risk * left))
        error = np.where(survival > 0, survival * np.sqrt(greenwood), np.nan)
    low, high = _log_log(survival, error, confidence)
    return KaplanMeier(
        int(at_risk[0]), confidence, t, at_risk, d, c, survival, error, low, high)


def _log_log(survival: Values, error: Values, confidence: float) -> tuple[Values, Values]:
    """Limits of a survival that are symmetric for log(-log S)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.exp(_z(confidence) * (error / survival) / -np.log(survival))
        low, high = survival**spread, survival ** (1 / spread)
    for limit in (low, high):
        limit[survival == 1] = 1.0
        limit[survival == 0] = np.nan
    return low, high


def _by_time(*columns: ArrayLike) -> tuple[Values, NDArray[np.int64], NDArray[np.int64]]:
    """Distinct times in order with their counts, those without a subject left out."""
    t, *counts = (
        as_sample(column, name)
        for column, name in zip(columns, ("time", "events", "censored"), strict=True)
    )
    if len({t.size, *(c.size for c in counts)}) > 1:
        raise ValueError("time, events, censored: must have equal lengths")
    if t.min() < 0:
        raise ValueError(f"time: must be at least 0, got {t.min():g}")
    for c, name in zip(counts, ("events", "censored"), strict=True):
        if c.min() < 0 or (c != np.floor(c)).any():
            raise ValueError(f"{name}: must be whole numbers of at least 0")
    distinct, position = np.unique(t, return_inverse=True)
    d, c = (np.bincount(position, x, distinct.size).astype(np.int64) for x in counts)
    there = d + c > 0
    if not there.any():
        raise ValueError("events, censored: there are no subjects")
    return distinct[there], d[there], c[there]


def _z(confidence: float) -> float:
    return float(stats.norm.isf((1 - confidence) / 2))


@dataclass(frozen=True, slots=True, eq=False)
class LogRank(Record):
    """The log-rank test of equal survival in several groups.

    Attributes:
        groups: A frame, one row a group in the order given: `group`, `n` (subjects), `observed`
            (events) and `expected` (events, if all groups had the hazard of all together).
        df: Degrees of freedom: groups that were at risk when an event happened, less one.
        statistic: Chi-squared.
        p_value: Its upper tail.
        hazard_ratio: For two groups, hazard of the first over that of the second, by Peto's
            one-step estimate exp((observed - expected) / variance) with its interval (Yusuf et al.
            1985); it lies too near 1 where the true ratio is far from it, say beyond 2. None for
            more groups.
    """

    groups: pd.DataFrame = field(repr=False)
    df: int
    statistic: float
    p_value: float
    hazard_ratio: Effect | None


def log_rank(
    groups: Mapping[str, tuple[ArrayLike, ArrayLike, ArrayLike]], confidence: float = 0.95
) -> LogRank:
    """The k-sample log-rank test from counts (Mantel 1966; Peto & Peto 1972).

    It sees differences best where the hazards are proportional, and may miss curves that cross.

    Args:
        groups: For each group the arguments of `kaplan_meier`: time, events, censored.
        confidence: Of the hazard ratio's interval.

    Raises:
        ValueError: Fewer than two groups, no event while two groups were at risk, or see
            `kaplan_meier`.
    """
    check_fraction(confidence, "confidence")
    if len(groups) < 2:
        raise ValueError(f"groups: needs at least 2, got {len(groups)}")
    parts = [_by_time(*counts) for counts in groups.values()]
    times = np.unique(np.concatenate([t for t, _, _ in parts]))
    d, at_risk = _on(times, parts)
    total, n = d.sum(axis=0), at_risk.sum(axis=0)
    share = at_risk / n
    expected = share @ total
    observed = d.sum(axis=1)
    spread = total * (n - total) / np.maximum(n - 1, 1)
    variance = np.diag(share @ spread) - (share * spread) @ share.T
    compared = expected > _TIE
    df = int(compared.sum()) - 1
    if df < 1 or np.trace(variance) <= _TIE:
        raise ValueError("groups: no event happened while two groups were at risk")
    excess = (observed - expected)[compared][:-1]
    matrix = variance[compared][:, compared][:-1, :-1]
    statistic = float(excess @ np.linalg.pinv(matrix, hermitian=True) @ excess)
    ratio = None
    if len(parts) == 2:
        log, margin = excess[0] / matrix[0, 0], _z(confidence) / np.sqrt(matrix[0, 0])
        value, low, high = map(float, np.exp([log, log - margin, log + margin]))
        ratio = Effect("hazard ratio", value, low, high, confidence)
    frame = pd.DataFrame({
        "group": list(groups),
        "n": at_risk[:, 0].astype(np.int64),
        "observed": observed.astype(np.int64),
        "expected": expected,
    })
    return LogRank(frame, df, statistic, float(stats.chi2.sf(statistic, df)), ratio)


def log_rank_scores(
    a: tuple[ArrayLike, ArrayLike, ArrayLike], b: tuple[ArrayLike, ArrayLike, ArrayLike]
) -> pd.DataFrame:
    """What each subject of two groups adds to the log-rank test's observed less expected events.

    Over all subjects they sum to the excess of events in the first group (the score of Cox's
    partial likelihood with no difference, by Breslow's way with ties). Squares of their sums by
    cluster, added up, are its variance where subjects of a cluster go together in any way (Lee, Wei
    & Amato 1992); excess^2 over that is chi-squared with one degree of freedom.

    Args:
        a, b: For each group the arguments of `kaplan_meier`: time, events, censored.

    Returns:
        One row a group ("a", "b") and time with a subject in it: `group`, `time`, and the score of
        a subject with the event then, `event`, and of one censored then, `censored`.

    Raises:
        ValueError: See `kaplan_meier`.
    """
    parts = [_by_time(*counts) for counts in (a, b)]
    times = np.unique(np.concatenate([t for t, _, _ in parts]))
    d, at_risk = _on(times, parts)
    total, n = d.sum(axis=0), at_risk.sum(axis=0)
    share = at_risk[0] / n
    frames = []
    for name, (t, _, _), in_a in zip("ab", parts, (1.0, 0.0), strict=True):
        own = in_a - share
        expected = np.cumsum(own * total / n)
        place = np.searchsorted(times, t)
        frames.append(pd.DataFrame({
            "group": name, "time": t,
            "event": (own - expected)[place], "censored": -expected[place],
        }))
    return pd.concat(frames, ignore_index=True)


def _on(times: Values, parts: list) -> tuple[Values, Values]:
    """Events and subjects at risk at common times, shape (groups, times)."""
    d = np.zeros((len(parts), times.size))
    at_risk = np.zeros_like(d)
    for j, (t, events, censored) in enumerate(parts):
        position = np.searchsorted(times, t)
        gone = np.zeros(times.size)
        d[j, position], gone[position] = events, events + censored
        at_risk[j] = gone[::-1].cumsum()[::-1]
    return d, at_risk


@dataclass(frozen=True, slots=True, eq=False)
class MeanCumulative(Record):
    """Mean of what subjects have accumulated by the end of each span of observation.

    Attributes:
        confidence: Nominal confidence of the limits.
        at_risk: Subjects observed through each span, shape (k,) like all that follow.
        mean: Mean accumulated by the end of it, in the unit of the amounts.
        standard_error: Of the mean.
        low, high: Limits; nan where the mean is 0.
    """

    confidence: float
    at_risk: NDArray[np.int64] = field(repr=False)
    mean: Values = field(repr=False)
    standard_error: Values = field(repr=False)
    low: Values = field(repr=False)
    high: Values = field(repr=False)

    def to_frame(self) -> pd.DataFrame:
        """One row a span: all the arrays."""
        return pd.DataFrame(
            {name: getattr(self, name) for name in self.__slots__ if name != "confidence"})


def mean_cumulative(
    at_risk: ArrayLike, carried: ArrayLike, products: ArrayLike, confidence: float = 0.95
) -> MeanCumulative:
    """The mean cumulative function with its robust standard error (Lawless & Nadeau 1995).

    What Kaplan-Meier is to a first event, this is to amounts that recur: in each span the mean is
    taken over those observed through it, and the means add up, so nobody's history is thrown away
    for being short. A subject's spans may depend on each other in any way; subjects are
    independent. The limits are normal on the logarithmic scale.

    Args:
        at_risk: Subjects observed through each span, shape (k,); they never grow.
        carried: Row i, column j >= i: what the subjects observed through span j took in span i,
            summed, shape (k, k). The lower triangle is not read.
        products: The same of each subject's amount in span i times that in span j.
        confidence: Of the limits.

    Raises:
        ValueError: No spans, shapes that do not fit, or subjects that are not at least 1 and
            falling.
    """
    check_fraction(confidence, "confidence")
    y = as_sample(at_risk, "at_risk")
    s, c = (np.triu(np.asarray(x, dtype=float)) for x in (carried, products))
    if s.shape != (y.size, y.size) or c.shape != s.shape:
        raise ValueError("carried, products: must be square, with a row a span")
    if y.min() < 1 or (np.diff(y) > 0).any():
        raise ValueError("at_risk: must be at least 1 and never grow")
    means = np.diag(s) / y
    # With i <= j, the sum of (x_i - m_i)(x_j - m_j) over those observed through j.
    covariance = (c - s * means) / np.outer(y, y)
    covariance += np.triu(covariance, 1).T
    variance = covariance.cumsum(axis=0).cumsum(axis=1).diagonal()
    mean, error = means.cumsum(), np.sqrt(np.maximum(variance, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.exp(_z(confidence) * error / mean)
        low, high = (np.where(mean > 0, limit, np.nan) for limit in (mean / reach, mean * reach))
    return MeanCumulative(confidence, y.astype(np.int64), mean, error, low, high)
