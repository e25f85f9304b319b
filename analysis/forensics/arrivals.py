"""Is a process of events Poisson, does it know the time of day, and who has rounded its clock?

Arrivals of many people who know nothing of each other make a Poisson process whose rate follows the
day. A simple generator forgets the day, or spreads the events too evenly; a real log has a night, a
noon, bursts after mailings, and clocks of limited resolution.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.forensics.uniformity import Evenness, evenness
from analysis.stats import intervals
from analysis.stats._common import Record, Values, as_sample, check_count, check_fraction
from analysis.stats.association import noncentrality
from analysis.stats.intervals import Interval

SEED = 1837
RESAMPLES = 999
DRAWS = 2**20  # gaps drawn at once
CYCLE_MARGIN = 0.1
# Variance of 3 ((a - b) / (a + b))^2 for two exponential gaps, and its covariance for two pairs
# that share a gap (by numerical integration).
_LOCAL_VARIANCE, _LOCAL_COVARIANCE = 0.8, 0.18707876602


@dataclass(frozen=True, slots=True)
class Dispersion(Record):
    """How much counts in equal spans vary, against a Poisson process.

    Attributes:
        events: Events in all.
        spans: Number of spans.
        statistic: Sum of (count - mean)^2 / mean.
        df: Spans less the number of means.
        index, low, high: Variance over mean, with its 95% interval (that of a variance): 1 for a
            Poisson process, more with bursts or a changing rate, less if events keep their
            distance.
        p_over: Small if the counts vary by more than Poisson.
        p_under: Small if they vary by less.
    """

    events: int
    spans: int
    statistic: float
    df: int
    index: float
    low: float
    high: float
    p_over: float
    p_under: float


def dispersion(counts: ArrayLike, *, confidence: float = 0.95) -> Dispersion | None:
    """Fisher's (1925) index of dispersion of counts of events in equal spans of time.

    Args:
        counts: In order; one dimension for one rate throughout, two dimensions (hours, spans
            within the hour) to let every row have a rate of its own, so that a daily rhythm does
            not count as bursts. Rows without events tell nothing and are left out. Expected counts
            should be 1 or more.
        confidence: Of the interval of the index.

    Returns:
        None without events or with a single span.

    Raises:
        ValueError: Counts that are not whole numbers of at least 0, or of other dimensions.
    """
    check_fraction(confidence, "confidence")
    found = np.asarray(counts, dtype=float)
    if found.ndim not in (1, 2) or not (
        np.isfinite(found) & (found >= 0) & (found == np.floor(found))
    ).all():
        raise ValueError("counts: must be whole numbers of at least 0 in one or two dimensions")
    rows = np.atleast_2d(found)
    rows = rows[rows.sum(axis=1) > 0]
    df = rows.size - len(rows)
    if df < 1:
        return None
    mean = rows.mean(axis=1, keepdims=True)
    statistic = float(((rows - mean) ** 2 / mean).sum())
    tail = (1 - confidence) / 2
    return Dispersion(
        events=int(rows.sum()), spans=rows.size, statistic=statistic, df=df, index=statistic / df,
        low=statistic / float(stats.chi2.isf(tail, df)),
        high=statistic / float(stats.chi2.ppf(tail, df)),
        p_over=float(stats.chi2.sf(statistic, df)), p_under=float(stats.chi2.cdf(statistic, df)),
    )


def spread_within(times: ArrayLike, resolution: float, seed: int = SEED) -> Values:
    """Times that a clock has cut to its resolution, put back at random within each unit, ascending.

    A Poisson process that was cut and put back is a Poisson process again, so that ties of a coarse
    clock do not look like bursts.

    Args:
        times: Events, each the beginning of its unit.
        resolution: The clock's unit; 0 leaves them as they are.
        seed: Of the places within.
    """
    found = as_sample(times, "times", least=0)
    if resolution < 0:
        raise ValueError(f"resolution: must be at least 0, got {resolution!r}")
    return np.sort(found + resolution * np.random.default_rng(seed).random(found.size))


@dataclass(frozen=True, slots=True)
class EvenTimes(Record):
    """Times of events against a constant rate.

    Attributes:
        n: Events.
        ks: Kolmogorov's distance from the uniform distribution.
        p_ks: Its p-value, two-sided.
        ad: Anderson and Darling's A^2, which looks more at both ends.
        p_ad: Its p-value.
    """

    n: int
    ks: float
    p_ks: float
    ad: float
    p_ad: float


def even_times(times: ArrayLike, start: float, stop: float) -> EvenTimes:
    """Whether events came at a constant rate: given their number they are then uniform in time.

    p of Anderson & Darling's (1952) statistic by Marsaglia & Marsaglia (2004).

    Args:
        times: Of the events; see `spread_within` for those of a coarse clock.
        start, stop: The span that was watched.

    Raises:
        ValueError: No times, or times outside the span.
    """
    found = np.sort(as_sample(times, "times"))
    if not start < stop or found[0] < start or found[-1] > stop:
        raise ValueError("times: must lie between start and stop")
    u = (found - start) / (stop - start)
    ks = stats.kstest(u, "uniform")
    n = u.size
    inner = np.clip(u, 1e-16, 1 - 1e-16)
    weight = 2 * np.arange(1, n + 1) - 1
    ad = float(-n - (weight * (np.log(inner) + np.log1p(-inner[::-1]))).sum() / n)
    return EvenTimes(n, float(ks.statistic), float(ks.pvalue), ad, anderson_darling_p(ad, n))


def anderson_darling_p(statistic: float, n: int) -> float:
    """Right tail of A^2 for a fully specified distribution (Marsaglia & Marsaglia 2004)."""
    z = statistic
    if z <= 0:
        return 1.0
    if z < 2:
        x = math.exp(-1.2337141 / z) / math.sqrt(z) * np.polynomial.polynomial.polyval(
            z, (2.00012, 0.247105, -0.0649821, 0.0347962, -0.0116720, 0.00168691))
    else:
        x = math.exp(-math.exp(np.polynomial.polynomial.polyval(
            z, (1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146))))
    return float(min(1.0, max(0.0, 1 - x - _finite(n, float(x)))))


def _finite(n: int, x: float) -> float:
    """Marsaglia and Marsaglia's correction of the limiting distribution for n values."""
    polynomial = np.polynomial.polynomial.polyval
    if x > 0.8:
        return float(polynomial(
            x, (-130.2137, 745.2337, -1705.091, 1950.646, -1116.360, 255.7844))) / n
    c = 0.01265 + 0.1757 / n
    if x < c:
        t = x / c
        t = math.sqrt(t) * (1 - t) * (49 * t - 102)
        return t * (0.0037 / n**2 + 0.00078 / n + 0.00006) / n
    t = (x - c) / (0.8 - c)
    t = float(polynomial(t, (-0.00022633, 6.54034, -14.6538, 14.458, -8.259, 1.91864)))
    return t * (0.04213 + 0.01365 / n) / n


@dataclass(frozen=True, slots=True)
class Gaps(Record):
    """Times between events against an exponential distribution, and against their neighbours.

    Attributes:
        n: Gaps.
        mean: Their mean, in the unit of the times.
        distance: Kolmogorov's distance from the exponential distribution of that mean.
        p_exponential: Its simulated p-value: small if the rate is not constant or the process not
            Poisson.
        local: Local variation Lv (Shinomoto, Shima & Tanji 2003), which compares each gap with the
            next only, so that slow changes of the rate do not matter: 1 for a Poisson process,
            more with bursts, 0 for a clockwork.
        local_low, local_high: What a Poisson process leaves possible for it, 95%.
        p_local: Two-sided: small if the process is not Poisson from one event to the next.
    """

    n: int
    mean: float
    distance: float
    p_exponential: float
    local: float
    local_low: float
    local_high: float
    p_local: float


def gaps(
    times: ArrayLike, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Gaps | None:
    """Whether times between events are exponential (Lilliefors 1969) and forget what came before.

    The mean is estimated, so that Kolmogorov's own distribution does not hold; the null
    distribution is simulated instead, with gaps of the same number.

    Args:
        times: Of the events; see `spread_within` for those of a coarse clock.
        resamples: Simulated processes.
        seed: Of these.

    Returns:
        None with fewer than four events, or where all are at one time.
    """
    found = np.sort(as_sample(times, "times", least=0))
    between = np.diff(found)
    if between.size < 3 or not between.sum() > 0:
        return None
    n = between.size
    distance = float(_lilliefors(between[np.newaxis])[0])
    rng = np.random.default_rng(seed)
    part = max(1, DRAWS // n)
    beyond = sum(
        int(np.count_nonzero(
            _lilliefors(rng.standard_exponential((min(part, resamples - done), n))) >= distance))
        for done in range(0, resamples, part)
    )
    pairs = between[:-1] + between[1:]
    there = pairs > 0
    local = float(3 * (((between[:-1] - between[1:])[there] / pairs[there]) ** 2).mean())
    m = int(np.count_nonzero(there))
    error = math.sqrt((m * _LOCAL_VARIANCE + 2 * (m - 1) * _LOCAL_COVARIANCE) / m**2)
    reach = float(stats.norm.isf(0.025)) * error
    return Gaps(
        n=n, mean=float(between.mean()), distance=distance,
        p_exponential=(1 + beyond) / (resamples + 1), local=local, local_low=1 - reach,
        local_high=1 + reach, p_local=float(2 * stats.norm.sf(abs(local - 1) / error)),
    )


def _lilliefors(between: Values) -> Values:
    """Kolmogorov's distance of each row from the exponential distribution of its mean."""
    n = between.shape[1]
    u = -np.expm1(-np.sort(between, axis=1) / between.mean(axis=1, keepdims=True))
    above, below = np.arange(1, n + 1) / n - u, u - np.arange(n) / n
    return np.maximum(above.max(axis=1), below.max(axis=1))


@dataclass(frozen=True, slots=True)
class Cycle(Record):
    """How events are spread over a cycle, such as a day.

    Attributes:
        n: Events.
        resultant: Length of the mean direction: 0 without a cycle, 1 if all fall into one moment;
            a rate that swings by the share a about its mean has a / 2.
        low, high: Its 95% interval.
        peak: Where in the cycle it points, from 0 to 1.
        p_cycle: Rayleigh's: small if there is a cycle.
        p_absent: Of the hypothesis that the resultant is the margin or more: small if the events
            are shown not to know the cycle.
        margin: That resultant.
    """

    n: int
    resultant: float
    low: float
    high: float
    peak: float
    p_cycle: float
    p_absent: float
    margin: float


def cycle(counts: Sequence[int], *, margin: float = CYCLE_MARGIN) -> Cycle | None:
    """Whether events know the time of day (Rayleigh's test; Mardia & Jupp 2000).

    2 n R^2 is noncentral chi-squared with 2 degrees of freedom, about. R is corrected for the width
    of the spans (Batschelet 1981).

    Args:
        counts: Events in equal spans of the cycle, in order, three spans or more.
        margin: The largest resultant that still counts as no cycle.

    Returns:
        None without events.

    Raises:
        ValueError: Fewer than three spans, or counts that are not whole numbers of at least 0.
    """
    check_fraction(margin, "margin")
    found = np.array([check_count(count, "counts", least=0) for count in counts], dtype=float)
    if found.size < 3:
        raise ValueError(f"counts: need three spans or more, got {found.size}")
    n = int(found.sum())
    if n == 0:
        return None
    angle = 2 * np.pi * (np.arange(found.size) + 0.5) / found.size
    mean = (found * np.exp(1j * angle)).sum() / n
    blur = (np.pi / found.size) / math.sin(np.pi / found.size)
    plain, resultant = float(abs(mean)), min(1.0, float(abs(mean)) * blur)
    statistic = 2 * n * plain**2
    low, high = (min(1.0, math.sqrt(end / (2 * n)) * blur) for end in noncentrality(statistic, 2))
    return Cycle(
        n=n, resultant=resultant, low=low, high=high,
        peak=float(np.angle(mean) / (2 * np.pi) % 1),
        p_cycle=float(stats.chi2.sf(statistic, 2)),
        p_absent=float(stats.ncx2.cdf(statistic, 2, 2 * n * (margin / blur) ** 2)), margin=margin,
    )


@dataclass(frozen=True, slots=True)
class Seconds(Record):
    """The seconds of timestamps.

    Attributes:
        fit: Counts of the seconds 0 to 59 against equal shares.
        on_the_minute: Share of the timestamps at second 0, with its interval; a sixtieth if nobody
            has rounded.
        p_rounded: Small if there are more.
    """

    fit: Evenness
    on_the_minute: Interval
    p_rounded: float


def seconds(counts: Sequence[int]) -> Seconds | None:
    """Whether a clock counted the seconds, or somebody, or a scheduler, has rounded to minutes.

    Args:
        counts: Timestamps by their second, 0 to 59.

    Returns:
        None without timestamps.

    Raises:
        ValueError: Not sixty counts, or counts that are not whole numbers of at least 0.
    """
    if len(counts) != 60:
        raise ValueError(f"counts: need one for each second, got {len(counts)}")
    n = sum(check_count(count, "counts", least=0) for count in counts)
    if n == 0:
        return None
    return Seconds(
        evenness(counts), intervals.proportion(int(counts[0]), n),
        float(stats.binom.sf(counts[0] - 1, n, 1 / 60)),
    )


@dataclass(frozen=True, slots=True)
class Bursts(Record):
    """How unevenly events fall into neighbouring spans, against a Poisson process.

    Attributes:
        events: Events in the triples.
        triples: Threes of neighbouring spans with events.
        statistic: Sum over the triples of (3 m - n)^2 / (2 n), m of n events in the middle one.
        index, low, high: statistic / triples, with its 95% interval (that of a variance): 1 for a
            Poisson process, more with bursts, less if events keep their distance.
        p_over: Small if there are bursts.
        p_under: Small if the events are too even.
    """

    events: int
    triples: int
    statistic: float
    index: float
    low: float
    high: float
    p_over: float
    p_under: float


def bursts(counts: Sequence[int], *, confidence: float = 0.95) -> Bursts | None:
    """Whether events come in bursts, or too evenly, whatever the course of their rate.

    `dispersion` takes a rate that changes within a row for bursts, which large numbers of events
    always show. Here three neighbouring spans are taken at a time: where the rate of a Poisson
    process runs in a straight line through them, the middle one has a third of their n events on
    average, with the variance 2 n / 9, however steep the line.

    Args:
        counts: Events in equal spans of time, in order; a rest of one or two spans is left out.
        confidence: Of the interval of the index.

    Returns:
        None with fewer than two triples that have five events or more: fewer tell next to nothing,
        and the squared distance of so small a count from its mean is not chi-squared.

    Raises:
        ValueError: Counts that are not whole numbers of at least 0.
    """
    check_fraction(confidence, "confidence")
    found = np.array([check_count(count, "counts", least=0) for count in counts], dtype=float)
    rows = found[: found.size // 3 * 3].reshape(-1, 3)
    rows = rows[rows.sum(axis=1) >= 5]
    if len(rows) < 2:
        return None
    n = rows.sum(axis=1)
    statistic, df = float(((3 * rows[:, 1] - n) ** 2 / (2 * n)).sum()), len(rows)
    tail = (1 - confidence) / 2
    return Bursts(
        events=int(n.sum()), triples=df, statistic=statistic, index=statistic / df,
        low=statistic / float(stats.chi2.isf(tail, df)),
        high=statistic / float(stats.chi2.ppf(tail, df)),
        p_over=float(stats.chi2.sf(statistic, df)), p_under=float(stats.chi2.cdf(statistic, df)),
    )


@dataclass(frozen=True, slots=True)
class Regularity(Record):
    """Whole-numbered gaps between events against those of a Poisson process.

    Attributes:
        n: Gaps.
        index, low, high: Their variance over that of geometric gaps, with its 95% interval: 1 for a
            Poisson process, more with bursts, 0 for a clockwork.
        p_over: Small if the gaps vary by more.
        p_under: Small if they vary by less.
    """

    n: int
    index: float
    low: float
    high: float
    p_over: float
    p_under: float


def regularity(
    rows: ArrayLike, gaps: ArrayLike, counts: ArrayLike, *, least: int = 10,
    confidence: float = 0.95,
) -> Regularity | None:
    """Whether gaps between events are exponential, from counts of gaps in units of the clock.

    The units with any event of a Poisson process are independent of each other, so their distances
    are geometric, the exponential distribution of a clock. Given the sum of n of them with the mean
    m, every way to divide it is equally likely, so that their variance has the mean
    m (m - 1) n / (n + 1) exactly; its quotient with that has the variance
    4 n^2 / ((n - 1) (n + 2) (n + 3)) where m is large (Greenwood 1946; Moran 1947). The quotients
    of stretches of constant rate are averaged with the reciprocals of these for weights.

    Args:
        rows: For each entry, the stretch of time in which the gaps begin.
        gaps: Their length in units of the clock, 1 or more.
        counts: How many there are.
        least: Stretches with fewer gaps are left out.
        confidence: Of the interval.

    Returns:
        None where no stretch has so many gaps that are not all 1.

    Raises:
        ValueError: Gaps below 1.
    """
    check_fraction(confidence, "confidence")
    row, gap, n = (np.asarray(values, dtype=float) for values in (rows, gaps, counts))
    if gap.size and gap.min() < 1:
        raise ValueError("gaps: must be at least 1")
    _, place = np.unique(row, return_inverse=True)
    size, total, squares = (
        np.bincount(place, weights=values) for values in (n, n * gap, n * gap**2))
    kept = (size >= max(least, 2)) & (total > size)
    if not kept.any():
        return None
    size, mean, squares = size[kept], total[kept] / size[kept], squares[kept]
    found = (squares - size * mean**2) / (size - 1)
    weight = (size - 1) * (size + 2) * (size + 3) / (4 * size**2)
    index = float(np.average(found * (size + 1) / (mean * (mean - 1) * size), weights=weight))
    error = 1 / math.sqrt(float(weight.sum()))
    reach = float(stats.norm.isf((1 - confidence) / 2)) * error
    z = (index - 1) / error
    return Regularity(
        n=int(size.sum()), index=index, low=max(0.0, index - reach), high=index + reach,
        p_over=float(stats.norm.sf(z)), p_under=float(stats.norm.cdf(z)),
    )


@dataclass(frozen=True, slots=True)
class Coincidences(Record):
    """Pairs of events in the same unit of the clock.

    Attributes:
        pairs: How many there are.
        expected: How many chance brings about, given the events of each stretch.
        ratio, low, high: Their quotient, with its 95% interval (exact, Garwood 1936).
        p_over: Small if there are more: events written together.
        p_under: Small if there are fewer: times drawn without replacement.
    """

    pairs: int
    expected: float
    ratio: float
    low: float
    high: float
    p_over: float
    p_under: float


def coincidences(
    pairs: int, events: Sequence[int], units: int, *, confidence: float = 0.95
) -> Coincidences | None:
    """Whether more, or fewer, events share a unit of the clock than chance lets meet.

    The number of pairs is about Poisson where few units have more than one event.

    Args:
        pairs: Pairs of events in the same unit.
        events: Events in each stretch of time, over which the rate is taken to be constant.
        units: Units of the clock in a stretch.
        confidence: Of the interval.

    Returns:
        None where chance lets less than one pair meet.
    """
    check_fraction(confidence, "confidence")
    pairs = check_count(pairs, "pairs", least=0)
    n = np.array([check_count(count, "events", least=0) for count in events], dtype=float)
    expected = float((n * (n - 1)).sum()) / (2 * check_count(units, "units"))
    if expected < 1:
        return None
    tail = (1 - confidence) / 2
    low = float(stats.chi2.ppf(tail, 2 * pairs)) / 2 if pairs else 0.0
    high = float(stats.chi2.isf(tail, 2 * pairs + 2)) / 2
    return Coincidences(
        pairs=pairs, expected=expected, ratio=pairs / expected, low=low / expected,
        high=high / expected, p_over=float(stats.poisson.sf(pairs - 1, expected)),
        p_under=float(stats.poisson.cdf(pairs, expected)),
    )
