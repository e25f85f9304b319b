"""Regression from rows or from groups of equal rows: logit, least squares, log-linear means.

Customers with the same covariates share a row of the design matrix, so counts, sums and sums of
squares by such groups hold all that the coefficients and their errors, robust ones included, need:
a million customers in a few hundred groups give the same fit. One row a customer is a group of
one.

Intervals and p-values of coefficients come from the normal distribution (large samples).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats
from statsmodels.genmod import families
from statsmodels.genmod.generalized_linear_model import GLM

from analysis.stats._common import Record, Values, as_sample, check_count, check_fraction
from analysis.stats.intervals import Interval, proportion
from analysis.stats.multiplicity import holm

INTERCEPT = "intercept"
FAR = 15.0  # a fitted log odds beyond this has a probability below 1 in 3 million
SEED = 1980
# Each step doubles the correct digits, so coefficients are exact once the deviance stands still.
CONVERGED = {"maxiter": 100, "tol": 0, "rtol": 1e-12}
# For `refit_logit`: a step that gains less of the log-likelihood moves no coefficient by more than
# a millionth of its standard error, and the next one would move it by the square of that.
STANDSTILL = 1e-12
MOST_STEPS, MOST_HALVINGS = 100, 30


@dataclass(frozen=True, slots=True)
class Column:
    """What a column of a design matrix means.

    Attributes:
        factor: What it belongs to; the columns of a factor are tested together.
        level: The level whose 0/1 indicator it is, or the unit of a number ("ten years").
        reference: The level that it is compared with; for a number, where it is 0.
        numeric: Whether it is a number instead of an indicator.
    """

    factor: str
    level: str
    reference: str
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Design(Record):
    """A design matrix with what its columns mean.

    Attributes:
        columns: What the columns mean, the intercept left out.
        matrix: Shape (rows, 1 + columns); the first column is the intercept.
    """

    columns: tuple[Column, ...]
    matrix: Values = field(repr=False, compare=False)

    @property
    def factors(self) -> list[str]:
        """Names of the factors, in the order of their columns."""
        return list(dict.fromkeys(column.factor for column in self.columns))

    def positions(self, factor: str) -> list[int]:
        """Columns of the matrix that belong to a factor."""
        return [i for i, c in enumerate(self.columns, start=1) if c.factor == factor]

    def without(self, factor: str) -> Design:
        """The design less one factor."""
        kept = [0, *(i for i, c in enumerate(self.columns, start=1) if c.factor != factor)]
        return Design(tuple(self.columns[i - 1] for i in kept[1:]), self.matrix[:, kept])

    def take(self, rows: ArrayLike) -> Design:
        """The design for some of the rows (positions or a mask)."""
        return Design(self.columns, self.matrix[np.asarray(rows)])


@dataclass(frozen=True, slots=True)
class Sums(Record):
    """Power sums of an outcome by group: what a regression of its mean needs.

    Attributes:
        n: Number of values in each group.
        total: Their sums.
        squares: Sums of their squares.
        cubes, fourths: Sums of third and fourth powers, for the shape of the residuals; or None.
    """

    n: Values
    total: Values
    squares: Values
    cubes: Values | None = None
    fourths: Values | None = None

    @classmethod
    def of(cls, values: ArrayLike) -> Sums:
        """Groups of one: one value a row."""
        y = as_sample(values, "values")
        return cls(np.ones_like(y), y, y**2, y**3, y**4)

    def about(self, centre: Values, power: int) -> Values:
        """Sums of (value - centre of its group)^power, for power 2, 3 or 4."""
        raw = [self.n, self.total, self.squares, self.cubes, self.fourths][: power + 1]
        if any(sums is None for sums in raw):
            raise ValueError(f"power: sums of powers up to {power} are needed")
        binomial = special.comb(power, np.arange(power + 1))
        return np.sum([
            binomial[k] * sums * (-centre) ** (power - k) for k, sums in enumerate(raw)
        ], axis=0)


@dataclass(frozen=True, slots=True)
class Check(Record):
    """A test of a model's form.

    Attributes:
        statistic: z where `df` is None, otherwise chi-squared.
        df: Degrees of freedom.
        p_value: Small where the form does not fit.
    """

    statistic: float
    df: int | None
    p_value: float


@dataclass(frozen=True, slots=True)
class Fit(Record):
    """A fitted regression.

    Attributes:
        n: Observations, as customers and not groups.
        parameters: Coefficients, the intercept included.
        errors: How the standard errors were made: "model" or a robust kind ("HC3", "HC1").
        confidence: Of the intervals.
        coefficients: One row a coefficient: `factor`, `level`, `reference`, `estimate`,
            `standard_error`, `statistic` (z), `p_value`, `low`, `high`. On a logit or log scale
            also `ratio` = exp(estimate), `ratio_low`, `ratio_high`.
        tests: One row a factor, all its coefficients 0 under the null hypothesis: `factor`, `df`,
            `wald` (chi-squared), `wald_p`, `likelihood_ratio` and `likelihood_ratio_p` (missing
            where the model has no likelihood), `p_value` (of the likelihood ratio where there is
            one) and `p_adjusted` (Holm 1979, over the factors).
        params: Coefficients, in the order of the design's matrix.
        covariance: Of the coefficients.
        fitted: Fitted mean of each row of the design.
    """

    n: int
    parameters: int
    errors: str
    confidence: float
    coefficients: pd.DataFrame = field(repr=False, compare=False)
    tests: pd.DataFrame = field(repr=False, compare=False)
    params: Values = field(repr=False, compare=False)
    covariance: Values = field(repr=False, compare=False)
    fitted: Values = field(repr=False, compare=False)

    def coefficient(self, factor: str, level: str) -> pd.Series:
        """The row of one coefficient.

        Raises:
            KeyError: There is none of that factor and level.
        """
        rows = self.coefficients
        rows = rows[(rows["factor"] == factor) & (rows["level"] == level)]
        if rows.empty:
            raise KeyError(f"no coefficient {factor!r}, {level!r}")
        return rows.iloc[0]


@dataclass(frozen=True, slots=True)
class Logit(Fit):
    """A logistic regression.

    Attributes:
        successes: Number of successes.
        log_likelihood, log_likelihood_null: Of the 0/1 outcomes, with the model and with an
            intercept only.
        mcfadden: 1 - log_likelihood / log_likelihood_null (McFadden 1974).
        tjur: Mean fitted probability of the successes less that of the failures (Tjur 2009).
    """

    successes: int
    log_likelihood: float
    log_likelihood_null: float
    mcfadden: float
    tjur: float


@dataclass(frozen=True, slots=True)
class Refit(Record):
    """What `refit_logit` finds.

    Attributes:
        params: Coefficients, in the order of the design's matrix.
        log_likelihood: Of the 0/1 outcomes.
        information: Fisher's, the inverse of the coefficients' covariance.
    """

    params: Values = field(repr=False, compare=False)
    log_likelihood: float
    information: Values = field(repr=False, compare=False)

    def ratio(self, other: Refit) -> float:
        """Likelihood-ratio statistic of this model against a smaller one of the same data."""
        return max(0.0, 2 * (self.log_likelihood - other.log_likelihood))


@dataclass(frozen=True, slots=True)
class LeastSquares(Fit):
    """A regression of a mean by ordinary least squares.

    Attributes:
        r_squared: Share of the variance that the fitted means explain.
        residual_sd: Root of the residual variance (divisor n - parameters), outcome's unit.
        skewness: Of the residuals; nan without third powers.
        excess_kurtosis: Of the residuals; nan without fourth powers.
        breusch_pagan, breusch_pagan_p: Koenker's (1981) studentised form of Breusch & Pagan's
            (1979) test that the residual variance does not depend on the covariates: statistic and
            p-value; nan without fourth powers.
        ratio_of_errors: The largest robust standard error over the one that assumes equal
            variances, over the coefficients.
    """

    r_squared: float
    residual_sd: float
    skewness: float
    excess_kurtosis: float
    breusch_pagan: float
    breusch_pagan_p: float
    ratio_of_errors: float


@dataclass(frozen=True, slots=True)
class LogMean(Fit):
    """A log-linear regression of a mean by quasi-Poisson likelihood.

    Attributes:
        dispersion: Pearson's chi-squared over its degrees of freedom, in the outcome's unit.
    """

    dispersion: float


def indicators(
    values: Iterable, factor: str, reference: str | None = None
) -> list[tuple[Column, Values]]:
    """A factor's indicator columns, one a level except the reference.

    Args:
        values: One level a row.
        factor: Its name.
        reference: The level that the others are compared with; the first one without it.

    Raises:
        ValueError: The reference is not among the values.
    """
    found = np.array(list(values), dtype=object)
    levels = sorted(set(found), key=str)
    reference = levels[0] if reference is None else reference
    if reference not in levels:
        raise ValueError(f"reference: {reference!r} is not a level of {factor}")
    return [
        (Column(factor, level, reference), (found == level).astype(float))
        for level in levels if level != reference
    ]


def design(columns: Iterable[tuple[Column, Values]], rows: int) -> Design:
    """The design matrix of an intercept and the columns.

    Args:
        columns: What each means and its values, the columns of a factor together.
        rows: Length of the columns.

    Raises:
        ValueError: Columns of another length.
    """
    columns = list(columns)
    if any(len(values) != rows for _, values in columns):
        raise ValueError(f"columns: each needs one value a row, {rows}")
    matrix = np.column_stack([np.ones(rows), *(values for _, values in columns)])
    return Design(tuple(column for column, _ in columns), matrix)


def aliased(x: Design) -> bool:
    """Whether some column is a linear combination of others, so that none is identified."""
    scale = np.sqrt((x.matrix**2).sum(axis=0))
    if not (scale > 0).all():
        return True
    return bool(np.linalg.matrix_rank(x.matrix / scale) < x.matrix.shape[1])


def logit(
    x: Design, successes: ArrayLike, trials: ArrayLike | None = None, confidence: float = 0.95
) -> Logit:
    """Logistic regression of counts of successes (Cox 1958), by maximum likelihood.

    Assumes independent observations, a log odds that is linear in the columns and no column that
    separates successes from failures. Errors are the model's; per factor both the Wald and the
    likelihood-ratio test.

    Args:
        x: The design, one row a group.
        successes: Successes in each group.
        trials: Observations in each group; 1 each without it.
        confidence: Of the intervals.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials, only successes
            or only failures, aliased columns, or separation, for which no finite estimate exists
            (Albert & Anderson 1984); the message names the columns.
    """
    check_fraction(confidence, "confidence")
    y, n = _counts(x, successes, trials)
    found = _identified(x.take(n > 0))
    y, n = y[n > 0], n[n > 0]
    if y.sum() in (0, n.sum()):
        raise ValueError("successes: need both successes and failures")
    result = _fit_logit(found.matrix, y, n)
    if np.abs(found.matrix @ result.params).max() > FAR:
        _check_separation(found, rising=y > 0, falling=y < n)
    likelihood = _log_likelihood(found.matrix @ result.params, y, n)
    reduced = []
    for factor in found.factors:
        start = np.delete(result.params, found.positions(factor))
        reduced.append(refit_logit(found.without(factor), y, n, start).log_likelihood)
    p = special.expit(found.matrix @ result.params)
    null = _log_likelihood(np.full(len(y), special.logit(y.sum() / n.sum())), y, n)
    return Logit(
        **_summary(x, result.params, np.asarray(result.cov_params()), n, "model", confidence,
                   likelihood_ratios=[2 * (likelihood - less) for less in reduced], ratios=True),
        fitted=special.expit(x.matrix @ result.params),
        successes=int(y.sum()),
        log_likelihood=likelihood,
        log_likelihood_null=null,
        mcfadden=1 - likelihood / null,
        tjur=float(y @ p / y.sum() - (n - y) @ p / (n - y).sum()),
    )


def refit_logit(
    x: Design, successes: ArrayLike, trials: ArrayLike | None = None,
    start: ArrayLike | None = None,
) -> Refit:
    """The coefficients of `logit` and their likelihood alone, for models by the hundred.

    Newton's method, its steps halved where they gain too little likelihood. Unlike `logit` it
    takes what it is given: of columns that cannot be told apart it gives one solution of many, the
    coefficient of a column of zeros stays where it started, and where columns separate the outcomes
    the log odds grow until the likelihood stands still.

    Args:
        x: The design, one row a group.
        successes, trials: Counts of each group; one trial each without `trials`.
        start: Coefficients to begin with, unless 0 has the higher likelihood.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials.
    """
    y, n = _counts(x, successes, trials)
    there = n > 0
    matrix, y, n = x.matrix[there], y[there], n[there]
    params = np.zeros(matrix.shape[1])
    score = matrix @ params
    likelihood = _log_likelihood(score, y, n)
    if start is not None:
        begun = np.array(start, dtype=float)
        if (known := _log_likelihood(matrix @ begun, y, n)) >= likelihood:
            params, score, likelihood = begun, matrix @ begun, known
    for _ in range(MOST_STEPS):
        p = special.expit(score)
        information = (matrix * (n * p * (1 - p))[:, None]).T @ matrix
        gradient = matrix.T @ (y - n * p)
        size = np.sqrt(np.diag(information))
        size[size == 0] = 1.0
        step, *_ = np.linalg.lstsq(
            information / np.outer(size, size), gradient / size, rcond=1e-12)
        step = step / size
        gain = float(gradient @ step) / 2  # what a quadratic likelihood would rise by
        if not gain > STANDSTILL:
            break
        for halving in range(MOST_HALVINGS):
            tried = params + step / 2**halving
            risen = _log_likelihood(matrix @ tried, y, n)
            # A quarter of what the step promises (Armijo 1966), but for rounding.
            if risen >= likelihood + gain / 4 / 2**halving - STANDSTILL * abs(likelihood):
                break
        else:
            break
        params, score, likelihood = tried, matrix @ tried, risen
    return Refit(params, likelihood, information)


def least_squares(x: Design, outcome: Sums, confidence: float = 0.95) -> LeastSquares:
    """Ordinary least squares with errors that allow for unequal variances (HC3).

    HC3 (MacKinnon & White 1985) divides each squared residual by (1 - leverage)^2. Observations of
    a group share their leverage, and the sum of their squared residuals follows from the sums, so
    that groups give what one row an observation gives.

    Raises:
        ValueError: Fewer observations than coefficients, an outcome without variation, aliased
            columns, or an observation with leverage 1.
    """
    check_fraction(confidence, "confidence")
    outcome, found = _observed(x, outcome)
    n, matrix = outcome.n, found.matrix
    _, size = matrix.shape
    root = np.sqrt(n)[:, None]
    params, *_ = np.linalg.lstsq(matrix * root, outcome.total / root[:, 0], rcond=None)
    bread = np.linalg.inv((matrix * n[:, None]).T @ matrix)
    fitted = matrix @ params
    left = np.maximum(outcome.about(fitted, 2), 0.0)  # squared residuals, by group
    leverage = np.einsum("ij,jk,ik->i", matrix, bread, matrix)
    if leverage.max() > 1 - 1e-9:
        raise ValueError("x: an observation that alone decides a coefficient leaves no error")
    total = float(n.sum())
    residual = float(left.sum())
    spread = float(outcome.squares.sum() - outcome.total.sum() ** 2 / total)
    if not spread > 1e-12 * float(outcome.squares.sum()):
        raise ValueError("outcome: values are all equal")
    covariance = _sandwich(matrix, bread, left / (1 - leverage) ** 2)
    variance = residual / (total - size)
    shape = {"skewness": np.nan, "excess_kurtosis": np.nan}
    pagan = (np.nan, np.nan)
    if outcome.cubes is not None:
        shape["skewness"] = float(
            outcome.about(fitted, 3).sum() / total / (residual / total) ** 1.5)
    if outcome.fourths is not None:
        fourth = float(outcome.about(fitted, 4).sum())
        shape["excess_kurtosis"] = fourth / total / (residual / total) ** 2 - 3
        pagan = _breusch_pagan(matrix, n, left, fourth)
    naive = np.sqrt(np.diag(bread) * variance)
    robust = np.sqrt(np.maximum(np.diag(covariance), 0))  # as in `_summary`
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio_of_errors = float((robust / naive).max())
    return LeastSquares(
        **_summary(x, params, covariance, n, "HC3", confidence),
        fitted=x.matrix @ params,
        r_squared=1 - residual / spread,
        residual_sd=float(np.sqrt(variance)),
        **shape,
        breusch_pagan=pagan[0],
        breusch_pagan_p=pagan[1],
        ratio_of_errors=ratio_of_errors,
    )


def log_mean(x: Design, outcome: Sums, confidence: float = 0.95) -> LogMean:
    """Ratios of means: a log link with Poisson estimating equations and robust errors (HC1).

    The estimates only need the mean to be right, not Poisson counts: money with many zeros and a
    long tail will do (Gourieroux, Monfort & Trognon 1984; Santos Silva & Tenreyro 2006). The
    sandwich errors hold whatever the variance is.

    Raises:
        ValueError: Negative sums, an outcome that is 0 throughout, aliased columns, or separation:
            a level without any of the outcome, whose ratio would be 0.
    """
    check_fraction(confidence, "confidence")
    outcome, found = _observed(x, outcome)
    n, matrix = outcome.n, found.matrix
    if (outcome.total < 0).any():
        raise ValueError("outcome: a mean on a log scale needs values of at least 0")
    if not outcome.total.sum() > 0:
        raise ValueError("outcome: is 0 throughout")
    overall = outcome.total.sum() / n.sum()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # In units of the overall mean, so that convergence does not depend on the currency.
        result = GLM(
            outcome.total / n / overall, matrix, family=families.Poisson(), freq_weights=n,
        ).fit(**CONVERGED)
    params = np.array(result.params)
    if np.abs(matrix @ params).max() > FAR:
        _check_separation(found, rising=outcome.total > 0, falling=np.ones(len(n), dtype=bool))
    params[0] += np.log(overall)
    fitted = np.exp(matrix @ params)
    bread = np.linalg.inv((matrix * (n * fitted)[:, None]).T @ matrix)
    left = np.maximum(outcome.about(fitted, 2), 0.0)
    free = n.sum() - matrix.shape[1]
    covariance = _sandwich(matrix, bread, left) * n.sum() / free
    return LogMean(
        **_summary(x, params, covariance, n, "HC1", confidence, ratios=True),
        fitted=np.exp(x.matrix @ params),
        dispersion=float((left / fitted).sum() / free),
    )


def marginal_effects(
    fit: Logit, x: Design, trials: ArrayLike | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """What a logit says in shares: average probabilities with everything else left as it is.

    For a level, every observation's probability is computed as if it had that level and as if it
    had the reference, and both are averaged (standardisation, g-computation: Lane & Nelder 1982).
    For a number, as it is and one unit higher, where the factor is stated. Unlike an odds ratio,
    these do not change just because another cause of the outcome enters the model. Errors by the
    delta method, for the covariates as they were observed.

    Returns:
        One row a column of the design: `factor`, `level`, `reference`, `share_reference`, `share`
        (averages), `difference`, `difference_low`, `difference_high` (average marginal effect),
        `ratio`, `ratio_low`, `ratio_high` (of the two averages; log scale).
    """
    check_fraction(confidence, "confidence")
    n = np.ones(len(x.matrix)) if trials is None else np.asarray(trials, dtype=float)
    z = stats.norm.isf((1 - confidence) / 2)
    rows = []
    for place, column in enumerate(x.columns, start=1):
        mine = x.positions(column.factor)
        low, high, weight = x.matrix.copy(), x.matrix.copy(), n
        if column.numeric:
            others = [i for i in mine if i != place]
            weight = np.where((x.matrix[:, others] == 0).all(axis=1), n, 0.0)
            high[:, place] += 1
        else:
            low[:, mine] = 0
            high[:, mine] = 0
            high[:, place] = 1
        shares, slopes = [], []
        for matrix in (low, high):
            p = special.expit(matrix @ fit.params)
            shares.append(float(weight @ p / weight.sum()))
            slopes.append((weight * p * (1 - p)) @ matrix / weight.sum())
        by_difference = slopes[1] - slopes[0]
        by_ratio = slopes[1] / shares[1] - slopes[0] / shares[0]
        error, log_error = (
            float(np.sqrt(g @ fit.covariance @ g)) for g in (by_difference, by_ratio)
        )
        difference, ratio = shares[1] - shares[0], shares[1] / shares[0]
        rows.append({
            "factor": column.factor, "level": column.level, "reference": column.reference,
            "share_reference": shares[0], "share": shares[1],
            "difference": difference,
            "difference_low": difference - z * error, "difference_high": difference + z * error,
            "ratio": ratio, "ratio_low": ratio * np.exp(-z * log_error),
            "ratio_high": ratio * np.exp(z * log_error),
        })
    return pd.DataFrame(rows, columns=[
        "factor", "level", "reference", "share_reference", "share", "difference",
        "difference_low", "difference_high", "ratio", "ratio_low", "ratio_high"])


def stratified_folds(
    successes: ArrayLike, trials: ArrayLike, folds: int = 10, seed: int = SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Deals observations to folds that are alike (stratified; Kohavi 1995).

    The successes of any two folds differ by one at most, and so do their observations.

    Args:
        successes, trials: Counts of each group of equal observations, which are interchangeable.
        folds: How many.
        seed: Of the deal.

    Returns:
        Successes and failures by group and fold, shape (groups, folds) each.

    Raises:
        ValueError: Fewer than two folds, or counts that are not whole numbers with
            0 <= successes <= trials.
    """
    check_count(folds, "folds", least=2)
    y, n = _whole_counts(successes, trials, len(np.asarray(trials)))
    rng = np.random.default_rng(seed)
    dealt, before = [], 0
    for counts in (y, n - y):
        rows = rng.permutation(np.repeat(np.arange(y.size), counts.astype("int64")))
        fold = (before + np.arange(rows.size)) % folds  # on from where the successes ended
        cells = np.bincount(rows * folds + fold, minlength=y.size * folds)
        dealt.append(cells.reshape(y.size, folds))
        before += rows.size
    return dealt[0], dealt[1]


def cross_validated(
    x: Design, successes: ArrayLike, trials: ArrayLike | None = None, folds: int = 10,
    seed: int = SEED,
) -> pd.DataFrame:
    """Each observation's log odds from a model that was fitted without it (Stone 1974).

    Observations are put into folds at random; equal ones are interchangeable, so their counts are
    dealt out instead, successes and failures apart.

    Returns:
        One row a group and fold with observations: `group` (row of the design), `score` (log
        odds), `successes`, `trials`.

    Raises:
        ValueError: Fewer than two folds, or a fold whose rest has no successes or no failures.
    """
    check_count(folds, "folds", least=2)
    y, n = _counts(x, successes, trials)
    rng = np.random.default_rng(seed)
    shares = np.full(folds, 1 / folds)
    whole = _fit_logit(x.matrix[n > 0], y[n > 0], n[n > 0]).params  # only where to start
    won = rng.multinomial(y.astype("int64"), shares)
    lost = rng.multinomial((n - y).astype("int64"), shares)
    parts = []
    for k in range(folds):
        rest_y, rest_n = y - won[:, k], n - won[:, k] - lost[:, k]
        if rest_y.sum() in (0, rest_n.sum()):
            raise ValueError(f"folds: {folds} leave a rest without successes or failures")
        kept = rest_n > 0
        params = _fit_logit(x.matrix[kept], rest_y[kept], rest_n[kept], whole).params
        size = won[:, k] + lost[:, k]
        group = np.flatnonzero(size)
        parts.append(pd.DataFrame({
            "group": group, "score": x.matrix[group] @ params,
            "successes": won[group, k], "trials": size[group],
        }))
    return pd.concat(parts, ignore_index=True)


def leave_out(
    fit: Logit, x: Design, successes: ArrayLike, trials: ArrayLike, groups: ArrayLike
) -> pd.DataFrame:
    """How much the coefficients depend on any one group of rows: refits without each of them.

    Args:
        fit: The logit of all rows.
        x: Its design.
        successes, trials: Its counts.
        groups: The group of each row, for example the customer's country.

    Returns:
        One row a group and column that varies within groups: `left_out`, `trials` (of the group),
        `factor`, `level`, `estimate`.
    """
    y, n = _counts(x, successes, trials)
    labels = np.asarray(groups, dtype=object)
    shown = [(i, c) for i, c in enumerate(x.columns, start=1)
             if _varies_within(x.matrix[:, i], labels)]
    rows = []
    for label in sorted(set(labels), key=str):
        kept = (labels != label) & (n > 0)
        if y[kept].sum() in (0, n[kept].sum()):
            continue
        # The group's own column is 0 then, which leaves the other coefficients as they are.
        params = _fit_logit(x.matrix[kept], y[kept], n[kept], fit.params).params
        rows += [{"left_out": label, "trials": int(n[labels == label].sum()), "factor": c.factor,
                  "level": c.level, "estimate": params[i]} for i, c in shown]
    return pd.DataFrame(rows, columns=["left_out", "trials", "factor", "level", "estimate"])


def auc(
    scores: ArrayLike, successes: ArrayLike, trials: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Area under the ROC curve: how often a success has a higher score than a failure.

    Ties count half. The variance is that of the placements (DeLong, DeLong & Clarke-Pearson 1988),
    computed from counts; the interval is normal on the logit scale.

    Raises:
        ValueError: Fewer than two successes or failures, or see `logit`.
    """
    check_fraction(confidence, "confidence")
    score = as_sample(scores, "scores")
    y, n = _whole_counts(successes, trials, score.size)
    levels, place = np.unique(score, return_inverse=True)
    won = np.bincount(place, y, len(levels))
    lost = np.bincount(place, n - y, len(levels))
    if min(won.sum(), lost.sum()) < 2:
        raise ValueError("successes: need at least two successes and two failures")
    below = (np.cumsum(lost) - lost / 2) / lost.sum()  # placements of successes
    above = 1 - (np.cumsum(won) - won / 2) / won.sum()  # placements of failures
    area = float(won @ below / won.sum())
    variance = sum(
        float(w @ (placement - area) ** 2) / (w.sum() - 1) / w.sum()
        for w, placement in ((won, below), (lost, above))
    )
    if not 0 < area < 1:
        return Interval(area, area, area, confidence, "DeLong")
    margin = stats.norm.isf((1 - confidence) / 2) * np.sqrt(variance) / (area * (1 - area))
    low, high = special.expit(special.logit(area) + np.array([-margin, margin]))
    return Interval(area, float(low), float(high), confidence, "DeLong")


def calibration(
    probabilities: ArrayLike, successes: ArrayLike, trials: ArrayLike | None = None,
    bins: int = 10, confidence: float = 0.95,
) -> pd.DataFrame:
    """Predicted against observed shares, in bins of about equal size by predicted probability.

    Equal predictions stay together.

    Returns:
        One row a bin: `bin` (from 1), `trials`, `successes`, `predicted` (mean), `observed`, `low`,
        `high` (Wilson interval of the observed share).
    """
    p = as_sample(probabilities, "probabilities")
    y, n = _whole_counts(successes, trials, p.size)
    frame = pd.DataFrame({"p": p, "successes": y, "trials": n, "sum": p * n})
    frame = frame.groupby("p", as_index=False).sum()
    middle = frame["trials"].cumsum() - frame["trials"] / 2
    frame["bin"] = np.minimum((bins * middle / frame["trials"].sum()).astype(int), bins - 1)
    found = frame.groupby("bin", as_index=False)[["trials", "successes", "sum"]].sum()
    found["bin"] = np.arange(1, len(found) + 1)
    found["predicted"] = found.pop("sum") / found["trials"]
    found["observed"] = found["successes"] / found["trials"]
    ends = [proportion(int(r.successes), int(r.trials), confidence) for r in found.itertuples()]
    found["low"], found["high"] = [e.low for e in ends], [e.high for e in ends]
    return found.astype({"trials": "int64", "successes": "int64"})


def calibration_slope(
    scores: ArrayLike, successes: ArrayLike, trials: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Slope of a logit of the outcome on log odds that were predicted for it (Cox 1958b).

    1 where predictions are as spread as they should be; below 1 where they are too extreme, the
    mark of overfitting. Predictions of the very data that were fitted have slope 1 by construction,
    so it says something about other data or about `cross_validated` only.

    Raises:
        ValueError: Scores that are all equal, or see `logit`.
    """
    score = as_sample(scores, "scores")
    x = design([(Column("score", "one", "0", numeric=True), score)], len(score))
    fit = logit(x, successes, trials, confidence)
    row = fit.coefficient("score", "one")
    return Interval(row["estimate"], row["low"], row["high"], confidence, "Wald")


def calibration_in_the_large(
    scores: ArrayLike, successes: ArrayLike, trials: ArrayLike | None = None,
    confidence: float = 0.95,
) -> Interval:
    """What must be added to log odds that were predicted, to predict the right total (Cox 1958b).

    0 where as many successes came as were predicted; below it where they were fewer. Of the very
    data that were fitted it is 0 by construction. Wald's interval.

    Raises:
        ValueError: Only successes or only failures, or scores that are not finite.
    """
    check_fraction(confidence, "confidence")
    score = as_sample(scores, "scores")
    y, n = _whole_counts(successes, trials, score.size)
    if y.sum() in (0, n.sum()):
        raise ValueError("successes: need both successes and failures")
    # The logit of the whole is within the range of the scores of the answer.
    overall = special.logit(y.sum() / n.sum())
    shift = optimize.brentq(
        lambda a: float(y.sum() - n @ special.expit(a + score)),
        overall - score.max() - 1, overall - score.min() + 1, xtol=1e-12)
    p = special.expit(shift + score)
    margin = float(stats.norm.isf((1 - confidence) / 2) / np.sqrt(n @ (p * (1 - p))))
    return Interval(float(shift), shift - margin, shift + margin, confidence, "Wald")


def link_test(
    fit: Logit, x: Design, successes: ArrayLike, trials: ArrayLike | None = None
) -> Check | None:
    """Pregibon's (1980) link test: whether the squared log odds adds to the log odds.

    A small p-value says that the scale or the form of the covariates does not fit. None where the
    log odds takes fewer than three values.
    """
    score = x.matrix @ fit.params
    score = score - np.average(score, weights=_counts(x, successes, trials)[1])
    both = design([(Column("score", "linear", "0", numeric=True), score),
                   (Column("score", "square", "0", numeric=True), score**2)], len(score))
    if aliased(both):
        return None
    row = logit(both, successes, trials).coefficient("score", "square")
    return Check(float(row["statistic"]), None, float(row["p_value"]))


def generalised_vif(fit: Fit, x: Design) -> pd.DataFrame:
    """Generalised variance-inflation factors (Fox & Monette 1992), one row a factor.

    Columns: `factor`, `df`, `gvif`, and `inflation` = gvif^(1 / (2 df)): by how much the factor's
    standard errors are larger, per coefficient, than if it were unrelated to the others.
    """
    error = np.sqrt(np.diag(fit.covariance)[1:])
    correlation = fit.covariance[1:, 1:] / np.outer(error, error)
    whole = np.linalg.det(correlation)
    rows = []
    for factor in x.factors:
        mine = np.array(x.positions(factor)) - 1
        rest = np.setdiff1d(np.arange(len(error)), mine)
        gvif = float(
            np.linalg.det(correlation[np.ix_(mine, mine)])
            * np.linalg.det(correlation[np.ix_(rest, rest)]) / whole
        )
        rows.append({"factor": factor, "df": len(mine), "gvif": gvif,
                     "inflation": gvif ** (1 / (2 * len(mine)))})
    return pd.DataFrame(rows, columns=["factor", "df", "gvif", "inflation"])


def separating(x: Design, rising: ArrayLike, falling: ArrayLike) -> list[Column]:
    """Columns along which the likelihood rises for ever, found by linear programming (Konis 2007).

    Args:
        x: The design.
        rising: For each row, whether it has an outcome that keeps its log odds from falling.
        falling: Whether it has one that keeps it from rising.
    """
    up, down = np.asarray(rising, dtype=bool), np.asarray(falling, dtype=bool)
    signed = np.where(down & ~up, -1.0, 1.0)[:, None] * x.matrix
    both = up & down
    # Row by row: 0 where both outcomes are seen, else whatever moves towards the one that is.
    result = optimize.linprog(
        -signed[~both].sum(axis=0),
        A_ub=-signed[~both], b_ub=np.zeros(int((~both).sum())),
        A_eq=x.matrix[both], b_eq=np.zeros(int(both.sum())),
        bounds=(-1, 1), method="highs",
    )
    if result.x is None:
        return []
    return [c for c, move in zip(x.columns, result.x[1:], strict=True) if abs(move) > 1e-6]


def _varies_within(values: Values, labels) -> bool:
    found = pd.Series(values).groupby(labels)
    return bool((found.max() > found.min()).any())


def _check_separation(x: Design, rising, falling) -> None:
    if columns := separating(x, rising, falling):
        names = ", ".join(f"{column.factor} {column.level!r}" for column in columns)
        raise ValueError(f"x: no finite estimate exists; the outcome is separated by {names}")


def _whole_counts(successes, trials, size: int) -> tuple[Values, Values]:
    y = as_sample(successes, "successes")
    n = np.ones_like(y) if trials is None else as_sample(trials, "trials")
    if y.size != size or n.size != size:
        raise ValueError(f"successes, trials: need one value a row, {size}")
    if (y != np.floor(y)).any() or (n != np.floor(n)).any() or (y < 0).any() or (y > n).any():
        raise ValueError("successes: must be whole numbers of at least 0 and at most trials")
    return y, n


def _counts(x: Design, successes, trials) -> tuple[Values, Values]:
    return _whole_counts(successes, trials, len(x.matrix))


def _observed(x: Design, outcome: Sums) -> tuple[Sums, Design]:
    """The groups with observations: their sums and their rows of the design."""
    if len(outcome.n) != len(x.matrix):
        raise ValueError(f"outcome: needs one group a row, {len(x.matrix)}")
    there = np.asarray(outcome.n) > 0
    found = _identified(x.take(there))
    sums = [getattr(outcome, name) for name in ("n", "total", "squares", "cubes", "fourths")]
    sums = [None if s is None else np.asarray(s, dtype=float)[there] for s in sums]
    if sums[0].sum() <= found.matrix.shape[1]:
        raise ValueError("outcome: needs more observations than there are coefficients")
    return Sums(*sums), found


def _identified(x: Design) -> Design:
    if aliased(x):
        raise ValueError("x: columns cannot be told apart (one is a combination of others)")
    return x


def _fit_logit(matrix: Values, successes: Values, trials: Values, start: Values | None = None):
    with warnings.catch_warnings():
        # Separation is looked for by the caller, who can name the columns.
        warnings.simplefilter("ignore")
        outcome = np.column_stack([successes, trials - successes])
        model = GLM(outcome, matrix, family=families.Binomial())
        return model.fit(start_params=start, **CONVERGED)


def _log_likelihood(score: Values, successes: Values, trials: Values) -> float:
    """Of the 0/1 outcomes: without the binomial coefficients of their grouping."""
    return float(successes @ score - trials @ np.logaddexp(0, score))


def _sandwich(matrix: Values, bread: Values, squares: Values) -> Values:
    return bread @ ((matrix * squares[:, None]).T @ matrix) @ bread


def _breusch_pagan(matrix, n, left, fourth: float) -> tuple[float, float]:
    """n R^2 of the squared residuals on the covariates, and its p-value (Koenker 1981)."""
    total, size = n.sum(), matrix.shape[1]
    root = np.sqrt(n)
    coefficients, *_ = np.linalg.lstsq(matrix * root[:, None], left / root, rcond=None)
    mean = left.sum() / total
    explained = float(n @ (matrix @ coefficients - mean) ** 2)
    statistic = float(total * explained / (fourth - total * mean**2))
    return statistic, float(stats.chi2.sf(statistic, size - 1))


def _summary(
    x: Design, params: Values, covariance: Values, n: Values, errors: str, confidence: float, *,
    likelihood_ratios: Sequence[float] | None = None, ratios: bool = False,
) -> dict:
    """The fields that every fit shares."""
    z = -special.ndtri((1 - confidence) / 2)
    # Where a coefficient is known exactly, rounding may leave its variance a little below 0.
    error = np.sqrt(np.maximum(np.diag(covariance), 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = params / error
    columns = {
        "factor": [INTERCEPT, *(c.factor for c in x.columns)],
        "level": ["reference", *(c.level for c in x.columns)],
        "reference": ["", *(c.reference for c in x.columns)],
        "estimate": params,
        "standard_error": error,
        "statistic": statistic,
        "p_value": 2 * special.ndtr(-np.abs(statistic)),
        "low": params - z * error,
        "high": params + z * error,
    }
    if ratios:
        names = {"ratio": "estimate", "ratio_low": "low", "ratio_high": "high"}
        columns |= {name: np.exp(columns[of]) for name, of in names.items()}
    rows = []
    for i, factor in enumerate(x.factors):
        mine = x.positions(factor)
        wald = float(params[mine] @ np.linalg.solve(covariance[np.ix_(mine, mine)], params[mine]))
        row = {"factor": factor, "df": len(mine), "wald": wald,
               "wald_p": float(stats.chi2.sf(wald, len(mine)))}
        ratio = max(0.0, likelihood_ratios[i]) if likelihood_ratios else np.nan
        row["likelihood_ratio"] = ratio
        row["likelihood_ratio_p"] = float(stats.chi2.sf(ratio, len(mine)))
        row["p_value"] = row["likelihood_ratio_p" if likelihood_ratios else "wald_p"]
        rows.append(row)
    tests = pd.DataFrame(rows, columns=[
        "factor", "df", "wald", "wald_p", "likelihood_ratio", "likelihood_ratio_p", "p_value"])
    tests["p_adjusted"] = holm(tests["p_value"].astype(float))
    return {
        "n": int(n.sum()), "parameters": len(params), "errors": errors, "confidence": confidence,
        "coefficients": pd.DataFrame(columns), "tests": tests, "params": params,
        "covariance": covariance,
    }
