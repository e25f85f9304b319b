"""Empirical Bayes: rates and means of many groups, each with as much trust as its size earns.

Of many groups the smallest have the highest rates, and the lowest: chance alone moves them most.
Taken together the groups show how much they truly differ, and each one's estimate is drawn to the
common value by as much as its own data are unsure (Efron & Morris 1975). The spread between groups
is estimated too, and not exactly: every interval here carries that uncertainty.

`beta_binomial` is for rates from counts, `normal` for estimates with known standard errors,
`mixed` for those with covariates and groups among them, with what each is expected to be without
itself. `limits` are those of a funnel plot, for comparing rates with a target by size.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special, stats

from analysis.stats._common import Record, Values, as_sample, check_fraction

# Groups that are all alike have no spread; so near to 0 it can't be told from none.
LEAST_RHO = 1e-8
MEANS, SPREADS = 21, 41  # points of the grid that hyperparameters are averaged over
HEAVY = 0.003  # of the largest weight: less hardly moves a probability
NEGLIGIBLE = 1e-6  # weight of a point of the grid that is left out
UNLIKELY = 12.0  # below the largest log-likelihood by so much, hyperparameters count for nothing
WINSORISED = 0.1  # share of z values pulled in at either end, for over-dispersion


@dataclass(frozen=True, slots=True)
class BetaBinomial(Record):
    """Rates that vary between groups as a beta distribution.

    Attributes:
        groups: How many have a trial.
        alpha, beta: Of the beta distribution, by maximum likelihood; infinite (nan) where the
            groups show no more spread than chance makes.
        mean: Mean rate between groups, alpha / (alpha + beta): each group counts by what it tells,
            not by its size.
        pooled: Rate of all trials together.
        spread: Standard deviation of the true rates between groups, by maximum likelihood.
        spread_low, spread_high: 95% limits of the spread; see `beta_binomial`.
        weight: alpha + beta: trials at which a group's own rate counts as much as the mean.
        log_likelihood: At the maximum, with binomial coefficients.
        statistic, p_value: Likelihood ratio against equal rates; half of p is at 0 spread, the
            border of what it can be (Self & Liang 1987).
        rates: Smoothed rate of each group given: the mean of what is known about it.
        lows, highs: Limits of its credible interval.
        above: Probability that its true rate lies above the mean between groups.
        confidence: Of the credible intervals.
    """

    groups: int
    alpha: float
    beta: float
    mean: float
    pooled: float
    spread: float
    spread_low: float
    spread_high: float
    weight: float
    log_likelihood: float
    statistic: float
    p_value: float
    confidence: float
    rates: Values = field(repr=False)
    lows: Values = field(repr=False)
    highs: Values = field(repr=False)
    above: Values = field(repr=False)


def beta_binomial(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> BetaBinomial:
    """Smooths rates of groups by a beta prior that the groups themselves give.

    The prior is fitted by marginal maximum likelihood. What is said of each group is averaged over
    the priors that the data allow (uniform in the mean and in the square root of rho =
    1 / (alpha + beta + 1), so about in the spread), and its interval is that of the beta
    distribution with the mean and the variance which come out (Kass & Steffey 1989, who show how
    far intervals at the best prior alone are too short; Gelman 2006 for the uniform spread).

    It rests on groups that differ as draws from one smooth distribution, and on trials that are
    independent within a group.

    Args:
        successes, trials: Of each group; a group without a trial gets what is known of any.
        confidence: Of the credible intervals.

    Raises:
        ValueError: Counts that are not whole numbers with 0 <= successes <= trials, or no trial.
    """
    check_fraction(confidence, "confidence")
    x, n = as_sample(successes, "successes"), as_sample(trials, "trials")
    if x.size != n.size:
        raise ValueError("successes: must be as many as trials")
    if (x != np.round(x)).any() or (n != np.round(n)).any() or (x < 0).any() or (x > n).any():
        raise ValueError("successes: must be whole numbers from 0 to the number of trials")
    if n.sum() == 0:
        raise ValueError("trials: there is none")
    # Equal groups are counted once: a group of one trial is no other than the next.
    pairs, times = np.unique(np.column_stack([x, n])[n > 0], axis=0, return_counts=True)
    binomial = float(times @ (-np.log1p(pairs[:, 1]) - special.betaln(
        pairs[:, 0] + 1, pairs[:, 1] - pairs[:, 0] + 1)))
    pooled = float(x.sum() / n.sum())

    def likelihood(mean, root) -> Values:
        """Of arrays of priors, without the binomial coefficients."""
        size = 1 / np.maximum(np.square(root), LEAST_RHO) - 1
        a, b = (np.asarray(p * size)[..., None] for p in (mean, 1 - mean))
        s, f = pairs[:, 0], pairs[:, 1] - pairs[:, 0]
        return (special.betaln(a + s, b + f) - special.betaln(a, b)) @ times

    mean, root, best = _most_likely(likelihood, pooled)
    alone = float(special.xlogy(x.sum(), pooled) + special.xlog1py((n - x).sum(), -pooled))
    statistic = max(0.0, 2 * (best - alone))
    none = root**2 <= LEAST_RHO or statistic < 1e-6
    statistic = 0.0 if none else statistic
    size = np.inf if none else 1 / root**2 - 1

    means, roots, weights = _grid(likelihood, mean, root, best)
    sizes = 1 / np.maximum(np.square(roots), LEAST_RHO) - 1
    spreads = np.sqrt(means * (1 - means) / (sizes + 1))
    order = np.argsort(spreads, kind="stable")
    below = np.cumsum(weights[order])
    spread_low, spread_high = spreads[order][np.searchsorted(below, (0.025, 0.975))]

    # Mean and variance of each group's rate given its counts, averaged over the priors.
    a = (means * sizes)[:, None] + pairs[:, 0]
    total = sizes[:, None] + pairs[:, 1]
    given = a / total
    centre = weights @ given
    variance = weights @ (given * (1 - given) / (total + 1) + np.square(given - centre))
    common = float(weights @ means)
    # A group's rate and the mean depend on the same prior, so they are compared within it; the
    # incomplete beta function is slow, so only where there is weight.
    heavy = weights > HEAVY * weights.max()
    above = weights[heavy] @ special.betaincc(
        a[heavy], total[heavy] - a[heavy], means[heavy, None]) / weights[heavy].sum()
    of_pair = {tuple(pair): i for i, pair in enumerate(pairs)}
    free = weights @ (means * (1 - means) / (sizes + 1) + np.square(means - common))
    at = np.array([of_pair.get(pair, -1) for pair in zip(x, n, strict=True)])
    centre, variance = np.append(centre, common), np.append(variance, free)
    own = np.append(above, 0.5)[at]
    rates, spread_of = centre[at], variance[at]
    strength = np.maximum(rates * (1 - rates) / spread_of - 1, 1e-6)
    tail = (1 - confidence) / 2
    lows, highs = (
        special.betaincinv(rates * strength, (1 - rates) * strength, q) for q in (tail, 1 - tail)
    )
    return BetaBinomial(
        groups=int(times.sum()),
        alpha=float("nan") if none else mean * size,
        beta=float("nan") if none else (1 - mean) * size,
        mean=pooled if none else mean,
        pooled=pooled,
        spread=0.0 if none else float(np.sqrt(mean * (1 - mean)) * root),
        spread_low=float(spread_low),
        spread_high=float(spread_high),
        weight=float(size),
        log_likelihood=(alone if none else best) + binomial,
        statistic=statistic,
        p_value=_half(statistic),
        confidence=confidence,
        rates=rates, lows=lows, highs=highs, above=own,
    )


def _half(statistic: float) -> float:
    """p of a likelihood ratio of a variance against 0: half a chi-square of one degree."""
    return 1.0 if statistic <= 0 else float(stats.chi2.sf(statistic, 1) / 2)


def _most_likely(likelihood, pooled: float) -> tuple[float, float, float]:
    """Mean and root of rho at the maximum, and the log-likelihood there."""
    start = float(np.clip(pooled, 1e-6, 1 - 1e-6))
    bounds = [(-25.0, 25.0), (np.sqrt(LEAST_RHO), 1 - 1e-6)]
    best = None
    for root in (0.02, 0.15, 0.5):
        found = optimize.minimize(
            lambda v: -float(likelihood(special.expit(v[0]), v[1])),
            (special.logit(start), root), method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
        )
        if best is None or found.fun < best.fun:
            best = found
    # Differences of gamma functions are exact to 1e-7 or so; a simplex brings the rest.
    found = optimize.minimize(
        lambda v: -float(likelihood(
            special.expit(np.clip(v[0], *bounds[0])), np.clip(v[1], *bounds[1]))),
        best.x, method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-11, "maxiter": 1_000,
                 "initial_simplex": best.x + np.array([[0, 0], [1e-3, 0], [0, 1e-3]])},
    )
    at = found.x if found.fun < best.fun else best.x
    return float(special.expit(at[0])), float(np.clip(at[1], *bounds[1])), -min(
        float(found.fun), float(best.fun))


def _grid(likelihood, mean: float, root: float, best: float) -> tuple[Values, Values, Values]:
    """Priors (means, roots of rho) that the data allow, and their weights, which sum to 1."""

    def reach(function, inside: float, outside: float) -> float:
        """Between the two, where the likelihood has become negligible."""
        if function(outside) > best - UNLIKELY:
            return outside
        for _ in range(30):
            middle = (inside + outside) / 2
            if function(middle) > best - UNLIKELY:
                inside = middle
            else:
                outside = middle
        return outside

    centre = float(special.logit(np.clip(mean, 1e-9, 1 - 1e-9)))
    high = reach(lambda r: float(likelihood(mean, r)), root, 1 - 1e-6)
    low = reach(lambda r: float(likelihood(mean, r)), root, float(np.sqrt(LEAST_RHO)))
    # The mean reaches furthest where the spread is largest.
    limits = [
        max((reach(lambda m, r=r: float(likelihood(special.expit(m), r)), centre, end)
             for r in (root, high)), key=lambda v: abs(v - centre))
        for end in (-25.0, 25.0)
    ]
    logits, roots = np.linspace(*limits, MEANS), np.linspace(low, high, SPREADS)
    means = special.expit(logits)
    table = likelihood(means[:, None], roots[None, :]) - best
    # Uniform in the mean: the slope of the logistic curve turns steps of the logit into it.
    weights = np.exp(table) * (means * (1 - means))[:, None]
    m, r = np.meshgrid(means, roots, indexing="ij")
    weights /= weights.sum()
    keep = weights.ravel() > NEGLIGIBLE
    kept = weights.ravel()[keep]
    return m.ravel()[keep], r.ravel()[keep], kept / kept.sum()


@dataclass(frozen=True, slots=True)
class Normal(Record):
    """Means that vary between groups as a normal distribution.

    Attributes:
        groups: How many there are.
        mean, standard_error: Mean between groups and its error, at the most likely spread.
        spread: Standard deviation of the true means between groups, by restricted maximum
            likelihood; in the unit of the means.
        spread_low, spread_high: 95% limits of the spread (uniform prior).
        q, p_value: Cochran's Q against equal means, and its p by chi-square.
        means: Smoothed mean of each group.
        lows, highs: Limits of its credible interval.
        confidence: Of the credible intervals.
    """

    groups: int
    mean: float
    standard_error: float
    spread: float
    spread_low: float
    spread_high: float
    q: float
    p_value: float
    confidence: float
    means: Values = field(repr=False)
    lows: Values = field(repr=False)
    highs: Values = field(repr=False)


def normal(means: ArrayLike, errors: ArrayLike, confidence: float = 0.95) -> Normal:
    """Smooths means of groups whose standard errors are known.

    Averaged over the spreads that the data allow, with a uniform prior for the spread and for the
    mean between groups (Gelman et al. 2013, section 5.4, who show it on eight schools).

    It rests on estimates that are about normal with errors that do not depend on the estimates
    themselves, and on groups that differ as draws from one normal distribution.

    Args:
        means, errors: Of each group.
        confidence: Of the credible intervals.

    Raises:
        ValueError: Fewer than three groups (the spread has no proper distribution), or an error
            that is not above 0.
    """
    check_fraction(confidence, "confidence")
    y, error = as_sample(means, "means", least=3), as_sample(errors, "errors")
    if y.size != error.size or not (error > 0).all():
        raise ValueError("errors: must be as many as means, each above 0")
    fitted = mixed(y, np.square(error), np.ones((y.size, 1)))
    fixed = 1 / np.square(error)
    q = float(fixed @ np.square(y - fixed @ y / fixed.sum()))

    def known(spread: Values) -> tuple[Values, Values, Values]:
        """Log posterior of spreads, and the mean between groups with its variance for each."""
        w = 1 / (np.square(error) + np.square(spread)[:, None])
        variance = 1 / w.sum(axis=1)
        centre = (w @ y) * variance
        left = np.square(y - centre[:, None])
        log = 0.5 * (np.log(w).sum(axis=1) + np.log(variance) - (w * left).sum(axis=1))
        return log, centre, variance

    most = float(np.ptp(y) + error.max())
    top = known(np.linspace(0, most, 400))[0].max()
    # With few groups the tail is long: until what lies beyond counts for nothing.
    while known(np.array([most]))[0][0] > top - UNLIKELY and most < 1e4 * np.ptp(y):
        most *= 1.5
    spreads = np.linspace(0, most, 2_000)
    log, centre, variance = known(spreads)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    below = np.cumsum(weights)
    spread_low, spread_high = (spreads[np.searchsorted(below, q)] for q in (0.025, 0.975))

    keep = np.square(spreads)[:, None] / (np.square(spreads)[:, None] + np.square(error))
    given = centre[:, None] + keep * (y - centre[:, None])
    smoothed = weights @ given
    spread_of = weights @ (
        keep * np.square(error) + np.square(1 - keep) * variance[:, None]
        + np.square(given - smoothed)
    )
    margin = float(stats.norm.isf((1 - confidence) / 2)) * np.sqrt(spread_of)
    return Normal(
        groups=y.size,
        mean=float(fitted.coefficients[0]),
        standard_error=float(fitted.standard_errors[0]),
        spread=fitted.between,
        spread_low=float(spread_low),
        spread_high=float(spread_high),
        q=q,
        p_value=float(stats.chi2.sf(q, y.size - 1)),
        confidence=confidence,
        means=smoothed, lows=smoothed - margin, highs=smoothed + margin,
    )


@dataclass(frozen=True, slots=True)
class Mixed(Record):
    """What each of many items is expected to be, from covariates and the others of its group.

    Attributes:
        items: How many there are.
        between: Standard deviation between items of a group beyond what chance makes.
        between_groups: Standard deviation between groups.
        log_likelihood: Restricted, without its constant.
        coefficients, standard_errors: Of the columns of the design.
        expected: Of each item, from all others alone.
        deviation: The item minus that.
        deviation_se: Error of the deviation of the item's true value from what is expected on
            average: chance, and how well the expectation is known.
        prediction_se: That and the spread between items: how far an item like the others may lie.
        shrunk: The deviation that is left when the part which chance makes is taken off.
    """

    items: int
    between: float
    between_groups: float
    log_likelihood: float
    coefficients: Values = field(repr=False)
    standard_errors: Values = field(repr=False)
    expected: Values = field(repr=False)
    deviation: Values = field(repr=False)
    deviation_se: Values = field(repr=False)
    prediction_se: Values = field(repr=False)
    shrunk: Values = field(repr=False)


def mixed(
    y: ArrayLike, variances: ArrayLike, design: ArrayLike, groups: ArrayLike | None = None
) -> Mixed:
    """A linear model with known sampling variances, items that differ, and groups that differ.

    y = design @ coefficients + group + item + chance, the last three normal and independent, with
    the variances of groups and items by restricted maximum likelihood. A group of few items is so
    drawn to the others. What an item is expected to be comes from all items but itself, without
    fitting again (Dubrule 1983), so that one far off does not hide itself; the two variances are
    of all items.

    Args:
        y: One estimate an item.
        variances: Sampling variance of each.
        design: A row an item, a column a coefficient, of full rank.
        groups: Label of each item's group; None: there are none.

    Raises:
        ValueError: Not more items than coefficients plus one, a design that is not of full rank,
            or variances that are not above 0.
    """
    y, v = as_sample(y, "y"), as_sample(variances, "variances")
    x = np.asarray(design, dtype=float)
    if not y.size == v.size == len(x) or not (v > 0).all():
        raise ValueError("variances: must be as many as items, each above 0, as rows of the design")
    if y.size < x.shape[1] + 2:
        raise ValueError(f"y: needs at least {x.shape[1] + 2} items, got {y.size}")
    if np.linalg.matrix_rank(x) < x.shape[1]:
        raise ValueError("design: must be of full rank")
    labels, of = np.unique(np.arange(y.size) if groups is None else np.asarray(groups),
                           return_inverse=True)
    # Groups of one item, or one group of all, can't be told from the items or from the constant.
    grouped = groups is not None and 1 < labels.size < y.size

    def inverted(item: float, group: float):
        """log |V|, and a function that multiplies by the inverse of V."""
        weight = 1 / (v + item)
        sums = np.bincount(of, weight)
        pull = group / (1 + group * sums)

        def solve(a: NDArray) -> NDArray:
            weighed = (a.T * weight).T
            within = np.zeros((labels.size, *a.shape[1:]))
            np.add.at(within, of, weighed)
            return weighed - ((within.T * pull).T[of].T * weight).T

        return -np.log(weight).sum() + np.log1p(group * sums).sum(), solve, weight, pull

    def restricted(roots: NDArray) -> float:
        log, solve, *_ = inverted(roots[0] ** 2, roots[1] ** 2 if grouped else 0.0)
        inner = x.T @ solve(x)
        coefficients = np.linalg.solve(inner, x.T @ solve(y))
        left = y - x @ coefficients
        return -0.5 * (log + np.linalg.slogdet(inner)[1] + left @ solve(left))

    raw = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    scale = max(float(raw.std()), 1e-9)
    best = None
    for start in ((0.9, 0.5), (0.3, 0.1), (0.1, 0.9)):
        found = optimize.minimize(
            lambda r: -restricted(np.abs(r) * scale), start[: 1 + grouped], method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 2_000},
        )
        if best is None or found.fun < best.fun - 1e-12:
            best = found
    roots = np.abs(best.x) * scale
    roots[roots < 1e-6 * scale] = 0.0  # at the border
    between, between_groups = float(roots[0]), float(roots[1]) if grouped else 0.0

    _, solve, weight, pull = inverted(between**2, between_groups**2)
    solved = solve(x)
    covariance = np.linalg.inv(x.T @ solved)
    coefficients = covariance @ (x.T @ solve(y))
    # Deviation (P y) / diag P, variance 1 / diag P; P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1.
    diagonal = weight - weight**2 * pull[of] - np.einsum("ij,jk,ik->i", solved, covariance, solved)
    diagonal = np.where(diagonal > 1e-10 * weight, diagonal, np.nan)  # nothing else tells of it
    deviation = solve(y - x @ coefficients) / diagonal
    total = 1 / diagonal
    return Mixed(
        items=y.size,
        between=between,
        between_groups=between_groups,
        log_likelihood=float(restricted(roots)),
        coefficients=coefficients,
        standard_errors=np.sqrt(np.diag(covariance)),
        expected=y - deviation,
        deviation=deviation,
        deviation_se=np.sqrt(np.maximum(total - between**2, 0)),
        prediction_se=np.sqrt(total),
        shrunk=deviation * between**2 / total,
    )


def limits(target: float, sizes: ArrayLike, confidence: float, inflation: float = 1.0) -> tuple[
    Values, Values
]:
    """Limits of a funnel plot: between which rates of groups of a size lie, if all have the target.

    Of the binomial distribution, interpolated between the whole numbers that it can take
    (Spiegelhalter 2005, appendix A.1.1); with an inflation, of the normal distribution with its
    variance times the inflation (the same, section 3).

    Args:
        target: The common rate, within (0, 1).
        sizes: Trials.
        confidence: For example 0.95 or 0.998.
        inflation: Over-dispersion, from `over_dispersion`; 1: none.

    Raises:
        ValueError: A target or confidence outside (0, 1), sizes that are not whole numbers of at
            least 1, or an inflation below 1.
    """
    check_fraction(target, "target")
    check_fraction(confidence, "confidence")
    n = as_sample(sizes, "sizes")
    if (n < 1).any() or (n != np.round(n)).any() or not inflation >= 1:
        raise ValueError("sizes: must be whole numbers of at least 1, inflation at least 1")
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    if inflation > 1:
        margin = stats.norm.isf(tails[0]) * np.sqrt(inflation * target * (1 - target) / n)
        return np.maximum(target - margin, 0), np.minimum(target + margin, 1)
    found = []
    for p in tails:
        r = stats.binom.ppf(p, n, target)
        upper, lower = stats.binom.cdf(r, n, target), stats.binom.cdf(r - 1, n, target)
        found.append(np.clip((r - (upper - p) / (upper - lower)) / n, 0, 1))
    return found[0], found[1]


def over_dispersion(z: ArrayLike) -> float:
    """By how much the variance of standardised values exceeds 1 (Spiegelhalter 2005, section 3).

    The mean square of z, the outermost tenth at either end pulled in to the next value so that the
    few groups which are looked for do not hide themselves. Not below 1.

    Raises:
        ValueError: See `as_sample`.
    """
    x = as_sample(z, "z")
    low, high = np.quantile(x, [WINSORISED, 1 - WINSORISED])
    return max(1.0, float(np.mean(np.square(np.clip(x, low, high)))))
