"""What moves views, purchases and revenue over time: trend, week, year and a release.

One model a measure (`stats.time_series.log_linear`): the log of a day's expected value is the sum
of a trend, a yearly wave, factors of the weekdays, a step for each release, and the share of the
day's views that showed the paywall test's new paywall. The last is a confounder: while the test
runs, part of the users see another app. No table says when those users went back to the old
paywall, so the test is taken to end as its outcomes do, `paywall.HORIZON` days after the last
assignment; views after that count as views of the old paywall. If the new paywall stayed, what it
does from then on is in the other terms.

What is in the model depends on the length of the period (`WEEKLY_FROM`, `TREND_FROM`,
`YEARLY_FROM`) and, for a release or the test, on `SIDE` days of data with and without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from analysis.customers.paywall import HORIZON
from analysis.stats import time_series as ts
from analysis.stats.decision import decide
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.results import TestResult

MEASURES = ("views", "purchases", "revenue")
TESTED = ("purchases", "revenue", "views")  # the order in which a release is tested on them
FORECAST = ("purchases", "revenue")
AVERAGES = (ts.rolling(7), ts.exponential(7), ts.rolling(28), ts.exponential(28))

WEEKLY_FROM = 28  # days of data for the weekdays' factors
TREND_FROM = 56  # ... for trend, releases and the test
YEARLY_FROM = 724  # ... for the yearly wave: two years less a week
SIDE = 28  # days of data with and without a release or the test
DAYS_A_TERM = 3  # days with at least one event, for each term

LAGS = 7  # days of autocorrelation in the errors; more of them cover less well here
AHEAD = 28  # days forecast
ORIGINS = 12  # of the backtest, `AHEAD` days apart
RELEVANT = 1.10  # a release that changes a measure by less is too small to matter
ENOUGH_ORIGINS = 6  # of the backtest, to learn from its errors how wide intervals should be
GRID = 7  # days between the other dates at which a step is tried
DAILY_SCAN = 1500  # days of data up to which one is tried on every day instead of the release
SEED = 1607


@dataclass(frozen=True)
class Seasons:
    """Trend, seasons, releases and forecasts of daily views, purchases and revenue.

    Frames have no rows for what the period is too short for, or what was too rare to tell; `fits`
    says why. Effects are on the log scale (a factor is exp of it) unless said otherwise; low and
    high are 95% limits. Revenue is in cents.

    Attributes:
        days: days of data.
        first_day, last_day: ISO dates.
        test_days: days on which the model has part of the views on the test's new paywall.
        test_end: ISO date of the last of them; None without a test.
        averages: one row a moving average (`average`): see `ts.Average`; `week_left`, what is left
            of a weekly wave; `on_largest_day`, the average on the day of the largest revenue.
        largest_day, largest_revenue, median_revenue: the day of the largest revenue, its revenue,
            and that of the middle day.
        fits: one row a measure: `reason` why there is no model ("short", "empty" or "sparse"; ""
            where there is one), which terms it has (`weekly`, `trend`, `yearly`, `test`), their
            number (`terms`), `dispersion`, p-values of the weekdays (`weekly_p`) and of the yearly
            wave (`yearly_p`); of a second one, half a year long, the amplitude (`second_wave`,
            `second_wave_low`, `second_wave_high`) and `second_wave_p`; p-values of
            autocorrelation up to 7 and 28 days (`ljung_box_7`, `ljung_box_28`) and the same
            corrected by Holm for all measures and both spans (`..._adjusted`); the
            `autocorrelation` with the day before (`autocorrelation_low`, `autocorrelation_high`);
            and `error_ratio`, the root mean ratio of the HAC variances of the terms to those of
            independent days.
        terms: one row a measure and term: `estimate`, `error`, `low`, `high`, `p`. Terms: "trend"
            (a year), "cos" and "sin" (of the angle 2 pi (days since 1 January of the first year) /
            365.25), "amplitude", "peak" (days since 1 January; not logs), "Mon" to "Sun" (against
            the geometric mean of the week), "test" (all views on the new paywall against none) and
            "release DATE".
        yearly_curve: by measure and `year_day` (since 1 January), the yearly wave with its band.
        releases: `day`, `name`, and `reason` why it is not in the model: "outside" the period, too
            near to its "edge", too "close" after another; "" where it is.
        release_effects: by `release` (ISO date) and measure: the step (`estimate`, `low`, `high`,
            `p`), `p_adjusted` for testing the measures in the fixed order `TESTED`, each only if
            those before it are significant (Maurer, Hothorn & Lehmacher 1995), with it `finding`
            and `relevance` (see `stats.decision`, against `RELEVANT`), the change
            of the trend with it (`slope`, `slope_low`, `slope_high`, `slope_p`; a year), the sums
            of the `SIDE` days `before` it and from it on (`after`), `since`,
            what there was from the release to the end of the period, and `extra`, `extra_low`,
            `extra_high`: the part of it that the step brought.
        placebo: for the latest release in the model, by measure and other `day`: z of a step there
            `instead` of the release, and `beside` it (missing near the release).
        placebo_checks: by measure: `dates` tried instead, every day's or, in a long
            period (`DAILY_SCAN`), each week's; `stronger`, at how many of
            them a step is stronger than at the release, and `stronger_alike`, of them those in the
            same direction; `best`, the strongest date; the z there (`best_z`) and at the release
            (`release_z`); `others`, the dates `SIDE` days or more
            from the release at which a further step was tried beside it, `GRID` days apart, and of
            them those with |z| above 1.96 (`significant`) and above the release's (`as_strong`).
        residual_acf: by measure and `lag`, the autocorrelation of the residuals.
        decomposition: by measure, STL of the square root, without a model of its shape.
        forecast_days: by measure and `day`: `mean`, `low`, `high` and the seasonal `naive`
            forecast.
        forecast_totals: by measure: the same of the sum; `wide_low` and `wide_high`, the interval
            times `backtest.stretch`; and `last`, the sum of the last `AHEAD` days.
        backtest_origins: by measure and `origin`, the first day of `AHEAD` forecast from the days
            before it only: `actual`, `total`, `low`, `high` of the sum, whether the interval
            `covered` it, `covered_days`, whether something `changed` that the model could not know
            yet (a release, or the test, began within `AHEAD` days from the origin or less than
            `SIDE` days before it), mean absolute errors of days (`error`, `naive_error`,
            `month_error`: as last week, as the weekdays of the last four weeks) and `scale`, that
            of "as a week ago" in the days before.
        backtest: by measure: `origins`, `covered`, of the others those where something `changed`,
            share of days covered (`covered_days`), errors
            over `scale` (`mase`, `naive_mase`, `month_mase`; Hyndman & Koehler 2006), the mean
            absolute error of the sum as a share of it (`total_error`), and `stretch`, the root mean
            square of the sums' errors in standard errors, at least 1: how many times as large the
            errors were as the intervals allow (missing with fewer than `ENOUGH_ORIGINS`).
        backtest_yearly: whether the backtest's models have the yearly wave, from a year of data on.
    """

    days: int
    first_day: str
    last_day: str
    test_days: int
    test_end: str | None
    averages: pd.DataFrame
    largest_day: str
    largest_revenue: int
    median_revenue: float
    fits: pd.DataFrame
    terms: pd.DataFrame
    yearly_curve: pd.DataFrame
    releases: pd.DataFrame
    release_effects: pd.DataFrame
    placebo: pd.DataFrame
    placebo_checks: pd.DataFrame
    residual_acf: pd.DataFrame
    decomposition: dict[str, ts.Decomposition]
    forecast_days: pd.DataFrame
    forecast_totals: pd.DataFrame
    backtest_origins: pd.DataFrame
    backtest: pd.DataFrame
    backtest_yearly: bool

    def effect(self, measure: str, term: str) -> Interval | None:
        """A term of a measure's model on the log scale, None where it has none."""
        found = self.terms[(self.terms["measure"] == measure) & (self.terms["term"] == term)]
        if found.empty:
            return None
        return Interval(*found.iloc[0][["estimate", "low", "high"]], 0.95, "HAC")


def seasons(daily: pd.DataFrame, releases: pd.DataFrame, by_date: pd.DataFrame) -> Seasons:
    """Fits the models.

    Args:
        daily: see `series.daily`.
        releases: columns `day` (ISO date) and `name`; may be empty.
        by_date: the paywall test by calendar day, see `paywall.PaywallTest`; may be empty.
    """
    calendar = _calendar(daily, releases, by_date)
    n = len(daily)
    yearly = n >= YEARLY_FROM
    values = {name: daily[name].to_numpy(dtype=float) for name in MEASURES}
    reasons, models = {}, {}
    for name in MEASURES:
        reasons[name], model = _fit(calendar, values[name], n, yearly)
        if model is not None:
            models[name] = model

    largest = int(np.argmax(values["revenue"]))
    forecasts = {name: _forecast(calendar, models[name], n, yearly, name)
                 for name in FORECAST if name in models and n >= TREND_FROM}
    origins = _backtest_origins(calendar, values, forecasts, n, yearly)
    backtest = _backtest(origins)
    steps = [pos for pos in calendar.steps.values() if pos <= n - SIDE]
    placebo, checks = _placebo(calendar, models, n, yearly, steps[-1] if steps else None)
    used = calendar.shares(n, 0)
    return Seasons(
        days=n,
        first_day=daily["day"].iloc[0],
        last_day=daily["day"].iloc[-1],
        test_days=int((used > 0).sum()) if calendar.has_test(n) else 0,
        test_end=calendar.iso(np.flatnonzero(used)[-1]) if calendar.has_test(n) else None,
        averages=_averages(values["revenue"], largest),
        largest_day=daily["day"].iloc[largest],
        largest_revenue=int(values["revenue"][largest]),
        median_revenue=float(np.median(values["revenue"])),
        fits=_fits(calendar, values, models, reasons, n),
        terms=_terms(models),
        yearly_curve=_yearly_curve(models),
        releases=calendar.releases,
        release_effects=_release_effects(calendar, values, models, n, yearly),
        placebo=placebo,
        placebo_checks=checks,
        residual_acf=_residual_acf(models),
        decomposition=_decompositions(values, n),
        forecast_days=_forecast_days(calendar, values, forecasts, n),
        forecast_totals=_forecast_totals(values, forecasts, backtest),
        backtest_origins=origins,
        backtest=backtest,
        backtest_yearly=yearly and len(origins) > 0,
    )


# --- The model ----------------------------------------------------------------------------------

@dataclass(frozen=True)
class _Calendar:
    """What is known of every day: its date, the releases, and the views of the new paywall.

    Attributes:
        first: the first day.
        share: share of a day's views by the test's new group, 0 where there are no views.
        assigned: positions of days on which users were assigned to the test, ascending.
        releases: see `Seasons.releases`.
        steps: position of the first day of each release in the model, by term.
    """

    first: np.datetime64
    share: np.ndarray
    assigned: np.ndarray
    releases: pd.DataFrame
    steps: Mapping[str, int]

    def iso(self, position: int) -> str:
        """The ISO date of a position."""
        return str(self.first + int(position))

    def shares(self, n: int, ahead: int) -> np.ndarray:
        """Share of views on the new paywall over n days and `ahead` more, as known after n days.

        Days ahead while the test runs are taken to go on like the last week.
        """
        before = self.assigned[self.assigned < n]
        if not before.size:
            return np.zeros(n + ahead)
        now = self.share[max(n - 7, 0) : n].mean()
        share = np.concatenate([self.share[:n], np.full(ahead, now)])
        day = np.arange(n + ahead)
        return share * ((day >= before[0]) & (day <= before[-1] + HORIZON))

    def has_test(self, n: int) -> bool:
        """Whether the test's effect can be told from n days."""
        shown = (self.shares(n, 0) > 0).sum()
        return n >= TREND_FROM and shown >= SIDE and n - shown >= SIDE

    def design(self, n: int, yearly: bool, ahead: int = 0) -> pd.DataFrame:
        """The regressors of n days and `ahead` more, with the terms that n days can tell."""
        t = np.arange(n + ahead)
        x = {"const": np.ones(len(t))}
        if n >= TREND_FROM:
            x["trend"] = t / ts.YEAR
        if yearly:
            x["cos"], x["sin"] = _wave(self.year_day() + t)
        if n >= WEEKLY_FROM:
            weekday = (self.first.astype("int64") + 3 + t) % 7  # 1970-01-01 was a Thursday
            for i, name in enumerate(ts.WEEKDAYS[:-1]):
                x[name] = (weekday == i) * 1.0 - (weekday == 6)
        if n >= TREND_FROM:
            for term, position in self.steps.items():
                if position <= n - SIDE:
                    x[term] = (t >= position) * 1.0
        if self.has_test(n):
            x["test"] = self.shares(n, ahead)
        return pd.DataFrame(x)

    def year_day(self) -> int:
        """Days of the first day since 1 January."""
        return int((self.first - self.first.astype("M8[Y]").astype("M8[D]")).astype(int))


def _wave(day: np.ndarray, times: int = 1) -> tuple[np.ndarray, np.ndarray]:
    angle = 2 * np.pi * times * day / ts.YEAR
    return np.cos(angle), np.sin(angle)


def _calendar(daily: pd.DataFrame, releases: pd.DataFrame, by_date: pd.DataFrame) -> _Calendar:
    first = np.datetime64(daily["day"].iloc[0], "D")
    views = daily["views"].to_numpy(dtype=float)
    share = np.divide(daily["views_test_group"].to_numpy(dtype=float), views,
                      out=np.zeros(len(daily)), where=views > 0)
    given = by_date[by_date["assigned"] > 0]["day"]
    assigned = np.unique(given.to_numpy(dtype="M8[D]") - first).astype(int)
    told = releases[["day", "name"]].sort_values(["day", "name"]).reset_index(drop=True)
    reasons, steps = [], {}
    for day in told["day"]:
        position = int((np.datetime64(day, "D") - first).astype(int))
        reasons.append(_not_told(position, len(daily), list(steps.values())))
        if not reasons[-1]:
            steps[f"release {day}"] = position
    return _Calendar(first, share, assigned, told.assign(reason=reasons), steps)


def _not_told(position: int, n: int, steps: list[int]) -> str:
    """Why a release is not in the model; "" if it is."""
    if not 0 <= position < n:
        return "outside"
    if position < SIDE or n - position < SIDE or n < TREND_FROM:
        return "edge"
    return "close" if steps and position - steps[-1] < SIDE else ""


def _fit(
    calendar: _Calendar, y: np.ndarray, n: int, yearly: bool
) -> tuple[str, ts.LogLinear | None]:
    """The model of the first n days, or why there is none."""
    y = y[:n]
    if n < WEEKLY_FROM:
        return "short", None
    if not y.any():
        return "empty", None
    design = calendar.design(n, yearly)
    if (y > 0).sum() < DAYS_A_TERM * design.shape[1]:
        return "sparse", None
    model = ts.log_linear(y, design, LAGS)
    return ("", model) if model is not None else ("sparse", None)


def _fits(calendar, values, models, reasons, n: int) -> pd.DataFrame:
    rows = []
    for name in MEASURES:
        model = models.get(name)
        row = {"measure": name, "reason": reasons[name], "weekly": False, "trend": False,
               "yearly": False, "test": False, "terms": 0, "dispersion": math.nan,
               "weekly_p": math.nan, "yearly_p": math.nan, **_second_wave(None),
               "ljung_box_7": math.nan, "ljung_box_28": math.nan, "autocorrelation": math.nan,
               "autocorrelation_low": math.nan, "autocorrelation_high": math.nan,
               "error_ratio": math.nan}
        if model is not None:
            waves = ["cos", "sin"] if "cos" in model.terms else []
            robust, naive = np.diag(model.robust), np.diag(model.naive)
            row |= {
                "weekly": True, "trend": "trend" in model.terms, "yearly": bool(waves),
                "test": "test" in model.terms, "terms": len(model.terms),
                "dispersion": model.dispersion,
                "weekly_p": model.p_value(list(ts.WEEKDAYS[:-1])),
                "yearly_p": model.p_value(waves) if waves else math.nan,
                "ljung_box_7": ts.ljung_box(model.residuals, 7),
                "ljung_box_28": ts.ljung_box(model.residuals, 28) if n > 56 else math.nan,
                "error_ratio": float(np.sqrt(np.mean(robust / naive))),
                **_day_before(model),
            }
            if waves:
                row |= _second_wave(_with_second_wave(calendar, values[name], n))
        rows.append(row)
    frame = pd.DataFrame(rows)
    boxes = ["ljung_box_7", "ljung_box_28"]
    p = frame[boxes].to_numpy(copy=True)
    told = np.isfinite(p)
    p[told] = holm(p[told])
    frame[[f"{name}_adjusted" for name in boxes]] = p
    return frame


def _day_before(model: ts.LogLinear) -> dict[str, float]:
    """Correlation of the residuals with the day before, with Fisher's interval."""
    r = float(ts.autocorrelation(model.residuals, 1)[0])
    reach = stats.norm.isf(0.025) / math.sqrt(model.n - 3)
    return {"autocorrelation": r, "autocorrelation_low": math.tanh(math.atanh(r) - reach),
            "autocorrelation_high": math.tanh(math.atanh(r) + reach)}


def _with_second_wave(calendar: _Calendar, y: np.ndarray, n: int) -> ts.LogLinear | None:
    design = calendar.design(n, True)
    design["cos2"], design["sin2"] = _wave(calendar.year_day() + np.arange(n), 2)
    return ts.log_linear(y, design, LAGS)


def _second_wave(model: ts.LogLinear | None) -> dict[str, float]:
    """Amplitude and p-value of a second wave; missing without a model that has one."""
    names = ["second_wave", "second_wave_low", "second_wave_high", "second_wave_p"]
    if model is None:
        return dict.fromkeys(names, math.nan)
    size, _ = _amplitude(model, "cos2", "sin2")
    return dict(zip(names, (size.estimate, size.low, size.high, model.p_value(["cos2", "sin2"])),
                    strict=True))


def _terms(models: Mapping[str, ts.LogLinear]) -> pd.DataFrame:
    rows = []

    def add(measure, term, interval, error, p):
        rows.append({"measure": measure, "term": term, "estimate": interval.estimate,
                     "error": error, "low": interval.low, "high": interval.high, "p": p})

    for name, model in models.items():
        for term in model.terms:
            if term != "const":
                add(name, term, model.combine({term: 1.0}), model.error(term),
                    model.p_value([term]))
        if "Mon" in model.terms:
            sunday = model.combine({day: -1.0 for day in ts.WEEKDAYS[:-1]})
            error = (sunday.high - sunday.low) / (2 * stats.norm.isf(0.025))
            add(name, "Sun", sunday, error, float(2 * stats.norm.sf(abs(sunday.estimate) / error)))
        if "cos" in model.terms:
            for term, interval, error in _peak(model):
                add(name, term, interval, error, model.p_value(["cos", "sin"]))
    return _frame(rows, ["measure", "term", "estimate", "error", "low", "high", "p"])


def _peak(model: ts.LogLinear) -> list[tuple[str, Interval, float]]:
    """Amplitude of the yearly wave and its peak in days since 1 January, by the delta method.

    Where the wave is not told from none, its peak is anywhere, and so has no limits.
    """
    a, b = model.estimates["cos"], model.estimates["sin"]
    size, of_size = _amplitude(model, "cos", "sin")
    day = math.atan2(b, a) / (2 * math.pi) * ts.YEAR % ts.YEAR
    of_day = _error(model, {"cos": -b, "sin": a}) / size.estimate**2 / (2 * math.pi) * ts.YEAR
    reach = stats.norm.isf(0.025) * of_day
    if model.p_value(["cos", "sin"]) > 0.05 or reach > ts.YEAR / 4:
        reach = math.inf
    return [
        ("amplitude", size, of_size),
        ("peak", Interval(day, day - reach, day + reach, 0.95, "delta method"), of_day),
    ]


def _amplitude(model: ts.LogLinear, cos: str, sin: str) -> tuple[Interval, float]:
    """The amplitude of a wave, by the delta method, and its standard error."""
    a, b = model.estimates[cos], model.estimates[sin]
    size = math.hypot(a, b)
    error = _error(model, {cos: a, sin: b}) / size
    reach = stats.norm.isf(0.025) * error
    return Interval(size, max(size - reach, 0.0), size + reach, 0.95, "delta method"), error


def _error(model: ts.LogLinear, weights: Mapping[str, float]) -> float:
    """The standard error of a weighted sum of terms."""
    terms, gradient = list(weights), np.array(list(weights.values()))
    return math.sqrt(gradient @ model.covariance.loc[terms, terms].to_numpy() @ gradient)


def _yearly_curve(models: Mapping[str, ts.LogLinear]) -> pd.DataFrame:
    rows = []
    for name, model in models.items():
        if "cos" in model.terms:
            for day in range(0, 366, 7):
                cos, sin = _wave(np.array(day))
                i = model.combine({"cos": float(cos), "sin": float(sin)})
                rows.append({"measure": name, "year_day": day, "estimate": i.estimate,
                             "low": i.low, "high": i.high})
    return _frame(rows, ["measure", "year_day", "estimate", "low", "high"])


def _residual_acf(models: Mapping[str, ts.LogLinear]) -> pd.DataFrame:
    rows = [
        {"measure": name, "lag": lag, "correlation": float(value)}
        for name, model in models.items()
        for lag, value in enumerate(
            ts.autocorrelation(model.residuals, min(28, model.n // 4)), start=1)
    ]
    return _frame(rows, ["measure", "lag", "correlation"])


def _frame(rows: list[dict], columns: list[str]) -> pd.DataFrame:
    """Rows as a frame that has its columns even when there are none."""
    return pd.DataFrame(rows, columns=columns)


# --- Averages and the picture ---------------------------------------------------------------------

def _averages(revenue: np.ndarray, largest: int) -> pd.DataFrame:
    return pd.DataFrame([
        {"average": average.name, "lag": average.lag, "half_life": average.half_life,
         "newest": average.newest, "noise": average.noise, "week_left": average.wave(ts.WEEK),
         "half": average.half, "most": average.most,
         "on_largest_day": float(average.of(revenue)[largest])}
        for average in AVERAGES
    ])


def _decompositions(values: Mapping[str, np.ndarray], n: int) -> dict[str, ts.Decomposition]:
    if n < TREND_FROM:
        return {}
    # On the scale of square roots the noise of counts is about the same on busy and on quiet days.
    return {name: ts.decompose(np.sqrt(y), 91 if n >= 2 * 91 else 29)
            for name, y in values.items() if y.any()}


# --- Releases -------------------------------------------------------------------------------------

def _release_effects(calendar, values, models, n: int, yearly: bool) -> pd.DataFrame:
    rows = []
    for term, position in calendar.steps.items():
        gate = 0.0  # a measure's p is at least that of those tested before it
        for name in sorted(models, key=TESTED.index):
            model = models[name]
            step = model.combine({term: 1.0})
            test = TestResult(
                name="Wald, HAC errors", alternative="two-sided", alpha=0.05, n_a=n - position,
                n_b=position, statistic_name="z", statistic=step.estimate / model.error(term),
                p_value=model.p_value([term]), interval=step, estimate_name="log of the ratio",
            )
            gate = max(gate, test.p_value)
            decision = decide(test, smallest_effect=math.log(RELEVANT), p_value=gate)
            design = calendar.design(n, yearly)
            t = np.arange(n)
            design["slope"] = (t >= position) * (t - position) / ts.YEAR
            bent = ts.log_linear(values[name], design, LAGS)
            slope = bent.combine({"slope": 1.0}) if bent is not None else None
            since = float(values[name][position:].sum())
            rows.append({
                "release": calendar.iso(position), "measure": name, "estimate": step.estimate,
                "low": step.low, "high": step.high, "p": test.p_value, "p_adjusted": gate,
                "finding": str(decision.finding), "relevance": str(decision.relevance),
                "slope": slope.estimate if slope else math.nan,
                "slope_low": slope.low if slope else math.nan,
                "slope_high": slope.high if slope else math.nan,
                "slope_p": bent.p_value(["slope"]) if bent is not None else math.nan,
                "before": float(values[name][position - SIDE : position].sum()),
                "after": float(values[name][position : position + SIDE].sum()),
                "since": since,
                "extra": -since * math.expm1(-step.estimate),
                "extra_low": -since * math.expm1(-step.low),
                "extra_high": -since * math.expm1(-step.high),
            })
    return _frame(rows, [
        "release", "measure", "estimate", "low", "high", "p", "p_adjusted", "finding", "relevance",
        "slope", "slope_low", "slope_high", "slope_p", "before", "after", "since", "extra",
        "extra_low", "extra_high"])


def _placebo(calendar, models, n: int, yearly: bool, release: int | None):
    """A step at other dates than the latest release's; see `Seasons.placebo`."""
    curves, checks = [], []
    for name, model in models.items() if release is not None else ():
        term = f"release {calendar.iso(release)}"
        y = model.fitted + model.residuals * np.sqrt(model.fitted)
        without = ts.log_linear(np.maximum(y, 0), model.design.drop(columns=term), LAGS)
        if without is None:
            continue
        stride = 1 if n <= DAILY_SCAN else GRID
        days = np.arange(SIDE, n - SIDE + 1)
        days = days[(days - release) % stride == 0]
        # Next to another release's step there are too few days to tell two steps apart.
        others = np.array([at for at in calendar.steps.values() if at != release], dtype=int)
        days = days[(np.abs(days[:, None] - others) >= SIDE).all(axis=1)]
        instead, beside = ts.step_scan(without, days), ts.step_scan(model, days)
        beside[np.abs(days - release) < SIDE] = np.nan
        strength = np.abs(instead)
        here = int(np.flatnonzero(days == release)[0])
        own = strength[here]
        best = int(np.nanargmax(strength))
        thin = (days - release) % GRID == 0
        others = beside[thin & ~np.isnan(beside)]
        curves.append(pd.DataFrame({
            "measure": name, "day": [calendar.iso(day) for day in days[thin]],
            "instead": instead[thin], "beside": beside[thin]}))
        checks.append({
            "measure": name, "dates": len(days) - 1, "stronger": int((strength > own).sum()),
            "stronger_alike": int((instead * np.sign(instead[here]) > own).sum()),
            "best": calendar.iso(days[best]), "best_z": float(instead[best]),
            "release_z": float(instead[here]), "others": len(others),
            "significant": int((np.abs(others) > stats.norm.isf(0.025)).sum()),
            "as_strong": int((np.abs(others) >= own).sum()),
        })
    columns = ["measure", "day", "instead", "beside"]
    return (pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns),
            _frame(checks, ["measure", "dates", "stronger", "stronger_alike", "best", "best_z",
                            "release_z", "others", "significant", "as_strong"]))


# --- Forecast -------------------------------------------------------------------------------------

def _forecast(calendar, model: ts.LogLinear, n: int, yearly: bool, measure: str) -> ts.Forecast:
    design = calendar.design(n, yearly, AHEAD).iloc[n:]
    seed = np.random.default_rng([SEED, n, MEASURES.index(measure)])
    return ts.forecast(model, design, whole=measure != "revenue", seed=seed)


def _forecast_days(calendar, values, forecasts, n: int) -> pd.DataFrame:
    frames = [
        pd.DataFrame({
            "measure": name, "day": [calendar.iso(n + day) for day in range(AHEAD)],
            "mean": f.mean, "low": f.low, "high": f.high,
            "naive": ts.seasonal_naive(values[name], AHEAD)})
        for name, f in forecasts.items()
    ]
    columns = ["measure", "day", "mean", "low", "high", "naive"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)


def _forecast_totals(values, forecasts, backtest: pd.DataFrame) -> pd.DataFrame:
    stretch = backtest.set_index("measure")["stretch"].reindex(list(forecasts))
    rows = [
        {"measure": name, "total": f.total, "low": f.total_low, "high": f.total_high,
         "wide_low": max(f.total - stretch[name] * (f.total - f.total_low), 0.0)
         if stretch[name] > 0 else math.nan,
         "wide_high": f.total + stretch[name] * (f.total_high - f.total),
         "naive": float(ts.seasonal_naive(values[name], AHEAD).sum()),
         "last": float(values[name][-AHEAD:].sum())}
        for name, f in forecasts.items()
    ]
    return _frame(rows, ["measure", "total", "low", "high", "wide_low", "wide_high", "naive",
                         "last"])


def _backtest_origins(calendar, values, forecasts, n: int, yearly: bool) -> pd.DataFrame:
    """Forecasts from the days before each origin only.

    The yearly wave is there from a year (and `AHEAD` days) on if today's model has it: the form of
    the model is what is tested, and with two years of data no origin would have two years.
    """
    least = math.ceil(ts.YEAR) + AHEAD if yearly else TREND_FROM
    changes = np.array([*calendar.steps.values(), *calendar.assigned[:1]])
    rows = []
    for name in forecasts:
        y = values[name]
        for origin in sorted(n - AHEAD * k for k in range(1, ORIGINS + 1)):
            _, model = _fit(calendar, y, origin, yearly) if origin >= least else ("", None)
            if model is None:
                continue
            f = _forecast(calendar, model, origin, yearly, name)
            past, future = y[:origin], y[origin : origin + AHEAD]

            def error(forecast, future=future):
                return float(np.abs(forecast - future).mean())

            total = float(future.sum())
            rows.append({
                "measure": name, "origin": calendar.iso(origin), "actual": total, "total": f.total,
                "low": f.total_low, "high": f.total_high,
                "covered": f.total_low <= total <= f.total_high,
                "changed": bool((np.abs(changes - origin) < AHEAD).any()),
                "covered_days": int(((f.low <= future) & (future <= f.high)).sum()),
                "error": error(f.mean), "naive_error": error(ts.seasonal_naive(past, AHEAD)),
                "month_error": error(ts.seasonal_naive(past, AHEAD, 4)),
                "scale": float(np.abs(past[ts.WEEK:] - past[: -ts.WEEK]).mean()),
            })
    return _frame(rows, [
        "measure", "origin", "actual", "total", "low", "high", "covered", "changed",
        "covered_days", "error", "naive_error", "month_error", "scale"])


def _backtest(origins: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, part in origins.groupby("measure", sort=False):
        scaled = part[["error", "naive_error", "month_error"]].div(part["scale"], axis=0).mean()
        miss = (part["total"] - part["actual"]).abs().sum()
        errors = (part["total"] - part["actual"]) / (
            (part["high"] - part["low"]) / (2 * stats.norm.isf(0.025)))
        rows.append({
            "measure": name, "origins": len(part), "covered": int(part["covered"].sum()),
            "changed": int((part["changed"] & ~part["covered"]).sum()),
            "covered_days": float(part["covered_days"].sum() / (AHEAD * len(part))),
            "mase": scaled["error"], "naive_mase": scaled["naive_error"],
            "month_mase": scaled["month_error"],
            "total_error": float(miss / part["actual"].sum()) if part["actual"].sum() else math.nan,
            "stretch": max(1.0, float(np.sqrt(np.mean(errors**2))))
            if len(part) >= ENOUGH_ORIGINS else math.nan,
        })
    return _frame(rows, ["measure", "origins", "covered", "changed", "covered_days", "mase",
                         "naive_mase", "month_mase", "total_error", "stretch"])
