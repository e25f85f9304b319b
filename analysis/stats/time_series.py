"""Daily series: averages and what they hide, log-linear regression with robust errors, forecasts.

A series here is one number a day, in order, without gaps. The regression is quasi-Poisson: the
expected value is the exponential of a sum of terms, so that effects are ratios; the variance is
taken to be in proportion to the expected value, which holds for counts and for money that comes in
payments. That proportion, and how days depend on one another, need not be known for the standard
errors, which are heteroskedasticity and autocorrelation consistent (HAC).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.seasonal import STL
from statsmodels.tsa.stattools import acf

from analysis.stats._common import Record, as_sample, check_count, check_fraction
from analysis.stats.intervals import Interval

WEEK = 7
YEAR = 365.25
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


# --- Averages -----------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Average(Record):
    """A trailing average: a weighted mean of the day itself and the days before.

    Attributes:
        name: for example "rolling, 7 days".
        lag: by how many days it runs behind a steady trend: the mean age of what it averages.
        half_life: days after which a day's weight has halved; None for equal weights.
        newest: weight of the last day, so the share of a single day's peak that is seen at once.
        noise: standard deviation of independent daily noise that is left, as a share.
        half, most: days of a new level, its first day included, until 50% and 90% of it show.
        weights: weight by age in days, adding up to 1.
    """

    name: str
    lag: float
    half_life: float | None
    newest: float
    noise: float
    half: int
    most: int
    weights: NDArray[np.float64] = field(repr=False, compare=False)

    def wave(self, period: float) -> float:
        """Share of a wave's amplitude that is left: the gain of the filter at that period, days."""
        turns = np.exp(-2j * np.pi * np.arange(self.weights.size) / period)
        return float(abs(self.weights @ turns))

    def of(self, series: ArrayLike) -> NDArray[np.float64]:
        """The average on each day.

        Equal weights are missing until a whole window is there. Others are rescaled over the days
        that there are so far, as in pandas' `ewm(adjust=True)`.
        """
        y = as_sample(series, "series")
        sums = np.convolve(y, self.weights)[: y.size]
        if self.half_life is None:
            sums[: self.weights.size - 1] = np.nan
            return sums
        reached = np.cumsum(self.weights)[: y.size]
        return sums / np.pad(reached, (0, y.size - reached.size), constant_values=1.0)


def rolling(window: int) -> Average:
    """The mean of the last `window` days; lag (window - 1) / 2."""
    window = check_count(window, "window")
    return _average(f"rolling, {window} days", np.full(window, 1 / window), None)


def exponential(span: int) -> Average:
    """The exponential average whose lag and noise are those of a rolling mean of `span` days.

    Weights fall by 1 - a a day with a = 2 / (span + 1), so the mean age is (1 - a) / a =
    (span - 1) / 2 days and independent noise keeps the share sqrt(a / (2 - a)) = 1 / sqrt(span)
    (Hunter 1986).
    """
    span = check_count(span, "span", least=2)
    kept = 1 - 2 / (span + 1)
    ages = np.arange(math.ceil(math.log(1e-15) / math.log(kept)))
    half_life = math.log(0.5) / math.log(kept)
    return _average(f"exponential, span {span}", (1 - kept) * kept**ages, half_life)


def _average(name: str, weights: NDArray, half_life: float | None) -> Average:
    weights = weights / weights.sum()
    ages = np.arange(weights.size)
    reached = np.cumsum(weights) + 1e-12
    return Average(
        name=name, lag=float(weights @ ages), half_life=half_life, newest=float(weights[0]),
        noise=float(np.sqrt(weights @ weights)), half=int(np.argmax(reached >= 0.5)) + 1,
        most=int(np.argmax(reached >= 0.9)) + 1, weights=weights,
    )


# --- Log-linear regression ------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class LogLinear(Record):
    """A quasi-Poisson regression of a daily series, E(y) = exp(x b), with HAC errors.

    Attributes:
        n: days.
        lags: lags of the HAC covariance.
        dispersion: Pearson's chi-squared / (n - number of terms): variance over expected value; 1
            for a Poisson process.
        terms: names of the columns of the design.
        estimates: b.
        covariance: of b: `robust`, with no term's standard error below the `naive` one.
        robust: of b, HAC, small-sample factors included.
        naive: of b, from the quasi-likelihood alone: as if days were independent.
        design: the regressors, shape (n, terms).
        fitted: expected values.
        residuals: Pearson's, (y - fitted) / sqrt(fitted).
    """

    n: int
    lags: int
    dispersion: float
    terms: tuple[str, ...]
    estimates: pd.Series = field(repr=False)
    covariance: pd.DataFrame = field(repr=False)
    robust: pd.DataFrame = field(repr=False)
    naive: pd.DataFrame = field(repr=False)
    design: pd.DataFrame = field(repr=False)
    fitted: NDArray[np.float64] = field(repr=False)
    residuals: NDArray[np.float64] = field(repr=False)

    def combine(self, weights: dict[str, float], confidence: float = 0.95) -> Interval:
        """A weighted sum of the terms, with its interval."""
        w = np.array([weights.get(name, 0.0) for name in self.terms])
        estimate = float(w @ self.estimates.to_numpy())
        error = math.sqrt(max(float(w @ self.covariance.to_numpy() @ w), 0.0))
        margin = float(stats.norm.isf((1 - confidence) / 2)) * error
        return Interval(estimate, estimate - margin, estimate + margin, confidence, "HAC")

    def error(self, name: str) -> float:
        """Standard error of a term."""
        return math.sqrt(self.covariance.loc[name, name])

    def p_value(self, names: list[str]) -> float:
        """Whether terms are all 0: a Wald test, read as F with n - terms degrees of freedom.

        nan where days do not vary enough for the errors of the terms to be told.
        """
        at = [self.terms.index(name) for name in names]
        b = self.estimates.to_numpy()[at]
        covariance = self.covariance.to_numpy()[np.ix_(at, at)]
        if np.linalg.matrix_rank(covariance, hermitian=True) < len(names):
            return math.nan
        wald = float(b @ np.linalg.solve(covariance, b))
        if len(names) == 1:
            return float(2 * stats.norm.sf(math.sqrt(wald)))
        return float(stats.f.sf(wald / len(names), len(names), self.n - len(self.terms)))


def fixed_b(lags: int, n: int) -> float:
    """What a Newey-West standard error is to be multiplied by for honest 95% normal limits.

    With M = lags + 1 of n days in the kernel, t does not follow the normal distribution but one
    that depends on b = M / n (Kiefer & Vogelsang 2005, table 1, Bartlett kernel); the factor is
    its 97.5% point over the normal one, 1 when b is 0.

    Raises:
        ValueError: a kernel as long as the series or longer.
    """
    b = (lags + 1) / n
    if b >= 1:
        raise ValueError(f"lags: {lags} need more than {lags + 1} days, got {n}")
    return (1.96 + 2.9694 * b + 0.4160 * b**2 - 0.5324 * b**3) / 1.96


def log_linear(series: ArrayLike, design: pd.DataFrame, lags: int = WEEK) -> LogLinear | None:
    """Fits a quasi-Poisson regression; None where the terms cannot be told apart or told at all.

    The robust covariance is Newey & West's (1987), the Bartlett kernel over `lags` lags, times n /
    (n - terms) for what the fit takes out of the residuals, times the square of `fixed_b`. For
    slow terms, such as a trend, it is still too small on average, since the fit takes slow swings
    out of the residuals; so a term's standard error is the larger of the robust one and the one of
    independent days (Angrist & Pischke 2009, section 8.1).

    Args:
        series: what happened on each day, >= 0.
        design: a column a term, a row a day; with a constant.
        lags: lags of the covariance.

    Raises:
        ValueError: negative values, a design of another length, or see `as_sample`.
    """
    y = as_sample(series, "series")
    if y.min() < 0:
        raise ValueError(f"series: must not be negative, got {y.min():g}")
    if len(design) != y.size:
        raise ValueError(f"design: needs {y.size} rows, got {len(design)}")
    x = design.to_numpy(dtype=float)
    n, k = x.shape
    if n <= k + lags + 1 or np.linalg.matrix_rank(x) < k or not y.any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            fit = GLM(y, x, family=families.Poisson()).fit()
        except (ConvergenceWarning, ValueError, np.linalg.LinAlgError):
            return None
    mu = np.asarray(fit.fittedvalues, dtype=float)
    # Where nothing ever happens under some term, its estimate runs off to minus infinity.
    if not np.isfinite(fit.params).all() or mu.min() < 1e-6 * y.mean():
        return None
    residuals = (y - mu) / np.sqrt(mu)
    dispersion = float(residuals @ residuals) / (n - k)
    bread = np.linalg.inv((x * mu[:, None]).T @ x)
    meat = newey_west(x * (y - mu)[:, None], lags)
    robust = n / (n - k) * fixed_b(lags, n) ** 2 * bread @ meat @ bread
    naive = dispersion * bread
    names = list(design.columns)

    def named(matrix):
        return pd.DataFrame(matrix, index=names, columns=names)

    return LogLinear(
        n=n, lags=lags, dispersion=dispersion, terms=tuple(names),
        estimates=pd.Series(np.asarray(fit.params), index=names),
        covariance=named(_larger(robust, naive)), robust=named(robust), naive=named(naive),
        design=design, fitted=mu, residuals=residuals,
    )


def _larger(robust: NDArray, naive: NDArray) -> NDArray:
    """The robust covariance, its errors raised to the naive ones where those are larger."""
    own, other = np.sqrt(np.diag(robust)), np.sqrt(np.diag(naive))
    raised = np.divide(np.maximum(own, other), own, out=np.ones_like(own), where=own > 0)
    return robust * np.outer(raised, raised)


def newey_west(scores: NDArray, lags: int) -> NDArray:
    """Long-run covariance of the sum of the rows (Newey & West 1987), shape (columns, columns)."""
    total = scores.T @ scores
    for lag in range(1, lags + 1):
        cross = scores[lag:].T @ scores[:-lag]
        total = total + (1 - lag / (lags + 1)) * (cross + cross.T)
    return total


def step_scan(model: LogLinear, days: ArrayLike) -> NDArray[np.float64]:
    """For each day, the evidence (z) that the level changed then, over and above the model.

    A further term, 0 before the day and 1 from it on, is estimated by one Newton step from the fit
    without it, and divided by its HAC error, whose residuals are those with the term: close to what
    a refit gives, and quick enough to try every day. Read as one test, 1.96 is its 5% limit; the
    largest of many dates exceeds that by chance (Andrews 1993).

    Args:
        model: the fit without those terms.
        days: positions within the series, from 1 to n - 1.
    """
    x, mu = model.design.to_numpy(dtype=float), model.fitted
    errors = model.residuals * np.sqrt(mu)
    steps = (np.arange(model.n)[:, None] >= np.asarray(days)[None, :]).astype(float)
    weighted = x * mu[:, None]
    own = steps - x @ np.linalg.solve(weighted.T @ x, weighted.T @ steps)
    # A step that the terms there already make up has nothing of its own to test.
    information = mu @ own**2
    told_apart = information > 1e-9 * (mu @ steps)
    slopes = errors @ own
    sizes = np.divide(slopes, information, out=np.zeros_like(slopes), where=told_apart)
    scores = own * (errors[:, None] - mu[:, None] * own * sizes)
    variance = (scores**2).sum(axis=0)
    for lag in range(1, model.lags + 1):
        weight = 2 * (1 - lag / (model.lags + 1))
        variance = variance + weight * (scores[lag:] * scores[:-lag]).sum(axis=0)
    factor = math.sqrt(model.n / (model.n - len(model.terms) - 1)) * fixed_b(model.lags, model.n)
    told_apart &= variance > 0
    z = np.full(steps.shape[1], np.nan)
    z[told_apart] = slopes[told_apart] / np.sqrt(variance[told_apart]) / factor
    return z


def autocorrelation(residuals: ArrayLike, lags: int) -> NDArray[np.float64]:
    """Correlation of residuals with those `lag` days before, for lags 1 to `lags`."""
    return acf(as_sample(residuals, "residuals"), nlags=lags, fft=True)[1:]


def ljung_box(residuals: ArrayLike, lags: int) -> float:
    """p-value of the null hypothesis of no autocorrelation up to a lag (Ljung & Box 1978)."""
    found = acorr_ljungbox(as_sample(residuals, "residuals"), lags=[lags])
    return float(found["lb_pvalue"].iloc[0])


# --- Decomposition --------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Decomposition(Record):
    """A series as a sum of trend, week and remainder (STL).

    Attributes:
        trend_strength, week_strength: from 0 to 1, the share of the variance of part and remainder
            together that goes with the part (Wang, Smith & Hyndman 2006).
        trend, week, remainder: by day.
    """

    trend_strength: float
    week_strength: float
    trend: NDArray[np.float64] = field(repr=False)
    week: NDArray[np.float64] = field(repr=False)
    remainder: NDArray[np.float64] = field(repr=False)


def decompose(series: ArrayLike, trend_days: int = 91, season_weeks: int = 25) -> Decomposition:
    """Splits a series by STL, robust (Cleveland et al. 1990): shapes taken from the data alone.

    Args:
        series: at least two weeks; on a scale on which the parts add up.
        trend_days: width of the trend's smoother, odd.
        season_weeks: width of the smoother of each weekday, odd.

    Raises:
        ValueError: fewer than two weeks, or see `as_sample`.
    """
    y = as_sample(series, "series", least=2 * WEEK)
    # Smoothers are evaluated at every tenth of their width and joined by lines, as in R.
    fit = STL(y, period=WEEK, trend=trend_days, seasonal=season_weeks, robust=True,
              trend_jump=math.ceil(trend_days / 10),
              seasonal_jump=math.ceil(season_weeks / 10)).fit()

    def strength(part):
        whole = np.var(part + fit.resid)
        if whole <= 1e-20 * np.mean(y**2):  # nothing but rounding
            return 0.0
        return float(max(0.0, 1 - np.var(fit.resid) / whole))

    return Decomposition(strength(fit.trend), strength(fit.seasonal), fit.trend, fit.seasonal,
                         fit.resid)


# --- Forecast -------------------------------------------------------------------------------------

@dataclass(frozen=True, slots=True)
class Forecast(Record):
    """A forecast with prediction intervals.

    Attributes:
        confidence: of the intervals.
        total: the sum over all days.
        total_low, total_high: its interval.
        mean, low, high: by day.
    """

    confidence: float
    total: float
    total_low: float
    total_high: float
    mean: NDArray[np.float64] = field(repr=False)
    low: NDArray[np.float64] = field(repr=False)
    high: NDArray[np.float64] = field(repr=False)


def forecast(
    model: LogLinear,
    design: pd.DataFrame,
    *,
    paths: int = 2_000,
    block: int = 14,
    whole: bool = False,
    confidence: float = 0.95,
    seed: int | np.random.Generator,
) -> Forecast:
    """What the model expects of days to come, with intervals from simulated paths.

    A path draws the terms from their normal distribution (HAC covariance) and then adds residuals
    of the model in blocks of consecutive days (moving blocks: Kuensch 1989). Residuals are on the
    scale of square roots, on which the spread of counts and payments hardly depends on the expected
    value and the skewness is small. So the intervals hold what is not known of the terms, the
    over-dispersion, the tail and the dependence between days near to each other; not that the world
    may change. Where most days have no value at all, the lower limit of a day is too high.

    Args:
        model: the fit.
        design: regressors of the days to come.
        paths: paths simulated.
        block: days in a block; at most an eighth of the series.
        whole: whether values are whole numbers.
        confidence: of the intervals.
        seed: of the paths.
    """
    check_fraction(confidence, "confidence")
    rng = np.random.default_rng(seed)
    x = design[list(model.terms)].to_numpy(dtype=float)
    days = len(x)
    mean = np.exp(x @ model.estimates.to_numpy())
    # The root of the covariance by its eigenvalues, which rounding may leave a little below 0. Of
    # all roots the symmetric one: it does not depend on the signs of the eigenvectors, which
    # another machine may choose otherwise.
    values, vectors = np.linalg.eigh(model.covariance.to_numpy())
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    drawn = model.estimates.to_numpy() + rng.standard_normal((paths, x.shape[1])) @ root
    expected = np.exp(np.clip(drawn @ x.T, -50, 50))

    roots = np.sqrt(model.fitted)
    residuals = np.sqrt(np.maximum(model.fitted + model.residuals * roots, 0)) - roots
    centre = residuals.mean()  # below 0, as the root of a mean is above the mean of roots
    residuals = centre + (residuals - centre) * math.sqrt(model.n / (model.n - len(model.terms)))
    block = max(1, min(block, model.n // 8))
    starts = rng.integers(0, model.n - block + 1, (paths, -(-days // block)))
    noise = residuals[starts[:, :, None] + np.arange(block)].reshape(paths, -1)[:, :days]
    future = np.maximum(np.sqrt(expected) + noise, 0) ** 2
    if whole:
        future = np.rint(future)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(future, tails, axis=0)
    total_low, total_high = np.quantile(future.sum(axis=1), tails)
    return Forecast(confidence, float(mean.sum()), float(total_low), float(total_high), mean, low,
                    high)


def seasonal_naive(series: ArrayLike, days: int, weeks: int = 1) -> NDArray[np.float64]:
    """Each day as the same weekday was, on average over the last `weeks` weeks.

    Raises:
        ValueError: a series shorter than that.
    """
    y = as_sample(series, "series", least=WEEK * weeks)
    last = y[-WEEK * weeks :].reshape(weeks, WEEK).mean(axis=0)
    return last[np.arange(days) % WEEK]
