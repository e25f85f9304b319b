"""Bootstrap and permutation kernels: fast, seedable, bounded in memory."""

import numpy as np

from analysis.stats._common import Values
from analysis.stats.moments import Counts

# Draws held at once: about 3 MB, which stays in the cache. The numbers don't depend on it.
DRAWS = 2**18
# From so many values on, how often each distinct one is drawn is cheaper to draw than the values,
# which no longer fit in a cache.
MANY = 1_000_000


def bootstrap_means(sample: Values, resamples: int, rng: np.random.Generator) -> Values:
    """Means of samples drawn with replacement, shape (resamples,) (Efron 1979)."""
    if sample.size >= MANY:
        return resampled(Counts(*np.unique(sample, return_counts=True)), sample.size, resamples,
                         rng)[0]
    means = np.empty(resamples)
    rows = max(1, DRAWS // sample.size)
    for start in range(0, resamples, rows):
        shape = (min(rows, resamples - start), sample.size)
        draws = rng.integers(0, sample.size, size=shape, dtype=np.uint32)
        means[start : start + shape[0]] = sample[draws].mean(axis=1)
    return means


def permuted_t(a: Values, b: Values, resamples: int, rng: np.random.Generator) -> Values:
    """Welch's t statistic of a against b after random relabelling, shape (resamples,).

    Only the smaller group is drawn (without replacement); the other one's sums are what is
    left of the pooled sums. From `MANY` values on, what is drawn is how often each distinct one
    is (multivariate hypergeometric).
    """
    pooled = np.concatenate((a, b))
    pooled -= pooled.mean()
    pooled /= np.abs(pooled).max()
    size = min(a.size, b.size)
    sums = np.empty((resamples, 2))
    if pooled.size >= MANY:
        values, counts = np.unique(pooled, return_counts=True)
        powers = np.column_stack((values, values**2))
        for i in range(resamples):
            sums[i] = rng.multivariate_hypergeometric(counts, size, method="marginals") @ powers
    else:
        for i in range(resamples):
            drawn = pooled[rng.choice(pooled.size, size, replace=False, shuffle=False)]
            sums[i] = drawn.sum(), drawn @ drawn
    rest = np.array([pooled.sum(), pooled @ pooled]) - sums
    mean_drawn, error_drawn = _mean_and_error(sums, size, pooled)
    mean_rest, error_rest = _mean_and_error(rest, pooled.size - size, pooled)
    difference = mean_drawn - mean_rest if a.size <= b.size else mean_rest - mean_drawn
    error = np.sqrt(error_drawn + error_rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A relabelling that leaves both groups constant separates them without error.
        return np.where(error > 0, difference / error, np.copysign(np.inf, difference))


def _mean_and_error(sums: Values, n: int, pooled: Values) -> tuple[Values, Values]:
    """Means and squared standard errors from sums and sums of squares, shape (resamples,) each."""
    mean = sums[:, 0] / n
    variance = (sums[:, 1] - n * mean**2) / (n - 1)
    rounding = 1e-12 * float(pooled @ pooled) / (pooled.size - 1)
    return mean, np.where(variance > rounding, variance, 0.0) / n


def resampled(
    sample: Counts, size: int, resamples: int, rng: np.random.Generator
) -> tuple[Values, Values]:
    """Means and variances of samples of `size` drawn with replacement, shape (resamples,) each.

    Drawn from the counts: as multinomial counts of the distinct values where these are fewer than
    `size`, otherwise one value at a time. So 10 million values cost no more than their distinct
    ones. With `size` = `sample.n` it is the bootstrap (Efron 1979). Variances have the divisor
    size - 1, and are nan for a size of 1.
    """
    centre = float(sample.shares @ sample.values)
    values = sample.values - centre  # small numbers, so that squares lose no digits
    edges = np.cumsum(sample.shares)
    sums = np.empty((resamples, 2))
    multinomial = values.size < size
    rows = max(1, DRAWS // min(values.size, size))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        if multinomial:
            drawn = rng.multinomial(size, sample.shares, size=count)
            sums[start : start + count] = np.column_stack((drawn @ values, drawn @ values**2))
        else:
            u = rng.random((count, size)) * edges[-1]
            drawn = values[np.searchsorted(edges[:-1], u, "right")]
            sums[start : start + count] = np.column_stack((drawn.sum(1), (drawn**2).sum(1)))
    means = sums[:, 0] / size
    rounding = 1e-12 * float(np.abs(values).max()) ** 2
    spread = sums[:, 1] / size - means**2
    with np.errstate(invalid="ignore", divide="ignore"):
        variances = np.where(spread > rounding, spread, 0.0) * size / np.float64(size - 1)
    return centre + means, variances
