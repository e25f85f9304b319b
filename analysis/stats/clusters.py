"""Clusters of weighted points by k-means, how many there are, and how stable they are.

Points may be the users themselves or cells of a fine grid with the mean of those in each, weighted
by their number: then the work grows with the cells. What a grid loses is the variance within its
cells, which the caller knows and passes on as `inside`.

k-means (Lloyd 1957/1982; started by k-means++, Arthur & Vassilvitskii 2007) looks for round groups
of similar spread. Distances are Euclidean, so measures in different units have to be standardised
before. It divides whatever it is given: whether there are clusters at all, `choose` asks.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from threadpoolctl import ThreadpoolController

from analysis.stats._common import Record, Values, as_sample, check_count

STARTS = 10
REFERENCE_SIZE = 1_000  # points of a reference set, at most
REFERENCES = 20
SPLITS = 3

# One thread: points are few here, and threads that wait for one another on a busy machine make a
# run ten times as long.
_THREADS = ThreadpoolController()
_one_thread = _THREADS.wrap(limits=1)


@dataclass(frozen=True, slots=True)
class Clusters(Record):
    """A division of points into clusters.

    Attributes:
        k: Number of clusters.
        within: Mean squared distance of a unit of weight to its cluster's centre.
        explained: Share of the variance that lies between the clusters.
        sizes: Weight of each cluster.
        centres: Shape (k, measures), in descending order of their sums.
        labels: Cluster of each point, from 0.
    """

    k: int
    within: float
    explained: float
    sizes: Values = field(repr=False, compare=False)
    centres: Values = field(repr=False, compare=False)
    labels: Values = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Choice(Record):
    """How many clusters there are.

    Attributes:
        k: The number chosen; 1 says that there are none to tell apart.
        settled: Whether the criterion was met; if not, its best value among the numbers tried
            was taken, and more clusters might be found.
        criteria: One row a number of `clusters` tried: `gap`, `gap_error`, `enough` (whether one
            more cluster adds no more than chance), `prediction_strength`, `silhouette`,
            `explained`; the index is `clusters`.
    """

    k: int
    settled: bool
    criteria: pd.DataFrame = field(repr=False, compare=False)


@_one_thread
def kmeans(
    points: ArrayLike, weights: ArrayLike | None = None, k: int = 2, *, seed: int,
    starts: int = STARTS, inside: float = 0.0,
) -> Clusters:
    """The best of several runs of weighted k-means.

    Args:
        points: Shape (points, measures), in comparable units.
        weights: How many each stands for; 1 each without it.
        k: Number of clusters.
        seed: For the starting centres.
        starts: Number of runs.
        inside: Sum of squared distances of what a point stands for to the point.

    Raises:
        ValueError: Points that are not finite numbers, weights of another length or not above 0,
            or fewer distinct points than clusters.
    """
    x, w = _points(points, weights)
    k = check_count(k, "k")
    if not _has_distinct(x, k):
        raise ValueError(f"k: {k} clusters need as many distinct points")
    if k == 1:
        labels = np.zeros(len(x), dtype=np.int64)
    else:
        labels = KMeans(k, n_init=starts, random_state=seed).fit(x, sample_weight=w).labels_
    # Means once more from the labels, so that the last digit does not depend on threads.
    sizes = np.bincount(labels, w, k)
    centres = np.column_stack([np.bincount(labels, w * column, k) for column in x.T])
    centres /= sizes[:, None]
    order = np.lexsort((*centres.T, -centres.sum(axis=1)))
    place = np.argsort(order)
    centres, sizes, labels = centres[order], sizes[order], place[labels]
    total = float(w @ ((x - w @ x / w.sum()) ** 2).sum(axis=1)) + inside
    left = float(w @ ((x - centres[labels]) ** 2).sum(axis=1)) + inside
    explained = 1 - left / total if total > 0 else 0.0
    return Clusters(k, left / float(w.sum()), explained, sizes, centres, labels)


def nearest(points: ArrayLike, centres: Values) -> Values:
    """Position of the nearest centre; where two are as near, the first."""
    return _distances(np.asarray(points, dtype=float), centres).argmin(axis=1)


def choose(
    points: ArrayLike, weights: ArrayLike | None = None, *, most: int = 6, seed: int,
    inside: float = 0.0, references: int = REFERENCES, splits: int = SPLITS,
) -> Choice:
    """Chooses the number of clusters by the gap statistic (Tibshirani, Walther & Hastie 2001).

    The gap is how much smaller the logarithm of the distances within k clusters is than in data
    without any: points drawn evenly from the box around the data along its principal axes. The
    smallest k is chosen whose gap is not below that of k + 1 by more than the latter's error, which
    may be 1: no clusters. References have at most `REFERENCE_SIZE` points, so their error is that
    of a sample of this size however many points there are; this errs towards fewer clusters.

    Beside it, for comparison only: the prediction strength (Tibshirani & Walther 2005; the least
    share, over the clusters of one half of the data, of pairs that the centres of the other half
    keep together) and the mean silhouette, distances taken to centres (Rousseeuw 1987; Hruschka et
    al. 2004). With many points any division that has one best solution is stable, also of data
    without clusters (Ben-David, von Luxburg & Pal 2006), so neither can say that there are none.

    Args:
        points, weights, inside: See `kmeans`; weights are whole numbers.
        most: Largest number of clusters.
        seed: For starting centres, references and splits.
        references, splits: How many are drawn.

    Raises:
        ValueError: See `kmeans`.
    """
    x, w = _points(points, weights)
    n = float(w.sum())
    most = min(check_count(most, "most"), len(np.unique(x, axis=0)) - 1)
    if most < 1:
        return Choice(1, True, _criteria([(1, 0.0, 0.0, True, 1.0, np.nan, 0.0)]))
    tried = range(1, most + 2)
    axes = _principal(x, w)
    found = {k: kmeans(axes, w, k, seed=seed, inside=inside) for k in tried}
    low, high = axes.min(axis=0), axes.max(axis=0)
    rng = np.random.default_rng([seed, 1])
    size = int(min(n, REFERENCE_SIZE))
    size = max(size, most + 2)
    logs = np.empty((references, most + 1))
    for i in range(references):
        drawn = low + rng.random((size, axes.shape[1])) * (high - low)
        logs[i] = [np.log(kmeans(drawn, None, k, seed=seed, starts=2).within) for k in tried]
    # A division without anything left within has an infinite gap.
    with np.errstate(divide="ignore"):
        gap = logs.mean(axis=0) - np.log([found[k].within for k in tried])
    error = logs.std(axis=0) * np.sqrt(1 + 1 / references)
    enough = gap[:-1] >= gap[1:] - error[1:]
    rng = np.random.default_rng([seed, 2])
    halves = [rng.binomial(w.astype(np.int64), 0.5) for _ in range(splits)]
    rows = [
        (k, gap[k - 1], error[k - 1], bool(enough[k - 1]),
         _prediction_strength(axes, w, halves, k, seed),
         silhouette(axes, w, found[k]) if k > 1 else np.nan, found[k].explained)
        for k in range(1, most + 1)
    ]
    settled = bool(enough.any())
    k = 1 + int(enough.argmax() if settled else gap[:-1].argmax())
    return Choice(k, settled, _criteria(rows))


def silhouette(points: ArrayLike, weights: ArrayLike | None, found: Clusters) -> float:
    """Mean of (b - a) / max(a, b): a and b are a point's distances to its and the next centre.

    Near 1 for clusters far apart, near 0 where they touch (Rousseeuw 1987, with distances to
    centres as Hruschka, de Castro & Campello 2004, so that no pairs of points are needed).
    """
    x, w = _points(points, weights)
    distance = np.sqrt(_distances(x, found.centres))
    own = distance[np.arange(len(x)), found.labels]
    distance[np.arange(len(x)), found.labels] = np.inf
    other = distance.min(axis=1)
    larger = np.maximum(own, other)
    width = np.divide(other - own, larger, out=np.zeros_like(own), where=larger > 0)
    return float(w @ width / w.sum())


def stability(
    points: ArrayLike, weights: ArrayLike, found: Clusters, *, resamples: int = 50, seed: int
) -> Values:
    """Mean Jaccard similarity of each cluster to its like in bootstrap samples (Hennig 2007).

    The weights are resampled (multinomial), k-means is run afresh, and everybody is put to the
    nearest of the new centres; a cluster's like is the new cluster with the largest share of common
    members among the members of either. Hennig's reading: above 0.85 highly stable, below 0.6 not
    to be trusted.

    Returns:
        Shape (k,), from 0 to 1.
    """
    x, w = _points(points, weights)
    rng = np.random.default_rng([seed, 3])
    n = int(w.sum())
    total = np.zeros(found.k)
    for _ in range(resamples):
        drawn = rng.multinomial(n, w / w.sum())
        there = drawn > 0
        if not _has_distinct(x[there], found.k):
            continue  # the cluster is not found again: similarity 0
        again = kmeans(x[there], drawn[there], found.k, seed=seed, starts=2)
        common = _common(found.labels, nearest(x, again.centres), w, found.k)
        either = found.sizes[:, None] + common.sum(axis=0) - common
        total += (common / either).max(axis=1)
    return total / resamples


def agreement(a: ArrayLike, b: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Adjusted Rand index of two divisions (Hubert & Arabie 1985): 1 the same, 0 as by chance.

    Args:
        a, b: Cluster of each point, from 0.
        weights: How many each point stands for.
    """
    a, b = (np.unique(np.asarray(labels), return_inverse=True)[1] for labels in (a, b))
    w = np.ones(len(a)) if weights is None else as_sample(weights, "weights")
    table = _common(a, b, w, max(a.max(), b.max()) + 1)

    def pairs(counts: Values) -> float:
        return float((counts * (counts - 1) / 2).sum())

    rows, columns, both = pairs(table.sum(axis=1)), pairs(table.sum(axis=0)), pairs(table)
    chance = rows * columns / pairs(w.sum(keepdims=True))
    best = (rows + columns) / 2
    return 1.0 if best == chance else (both - chance) / (best - chance)


def _points(points: ArrayLike, weights: ArrayLike | None) -> tuple[Values, Values]:
    x = np.asarray(points, dtype=float)
    if x.ndim != 2 or not x.size or not np.isfinite(x).all():
        raise ValueError("points: must be rows of finite numbers, a column a measure")
    w = np.ones(len(x)) if weights is None else as_sample(weights, "weights")
    if len(w) != len(x) or not (w > 0).all():
        raise ValueError("weights: needs one above 0 for each point")
    return x, w


def _has_distinct(x: Values, k: int) -> bool:
    """Whether there are k distinct points."""
    # One measure mostly tells, and is sorted much faster than whole rows.
    return len(np.unique(x[:, 0])) >= k or len(np.unique(x, axis=0)) >= k


def _criteria(rows: list[tuple]) -> pd.DataFrame:
    columns = ["clusters", "gap", "gap_error", "enough", "prediction_strength", "silhouette",
               "explained"]
    return pd.DataFrame(rows, columns=columns).set_index("clusters")


def _principal(x: Values, w: Values) -> Values:
    """The points along their principal axes, whose signs are set."""
    centred = x - w @ x / w.sum()
    _, vectors = np.linalg.eigh((centred * w[:, None]).T @ centred)
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return centred @ vectors


def _distances(x: Values, centres: Values) -> Values:
    """Squared distances, shape (points, centres)."""
    return ((x[:, None, :] - centres[None]) ** 2).sum(axis=2)


def _common(a: Values, b: Values, w: Values, k: int) -> Values:
    """Weight by cluster of either division, shape (k, k)."""
    return np.bincount(a * k + b, w, k * k).reshape(k, k)


def _prediction_strength(x: Values, w: Values, halves: list[Values], k: int, seed: int) -> float:
    """Mean over the splits; see `choose`. 1 for one cluster, nan where a half has too few."""
    if k == 1:
        return 1.0
    strengths = []
    for half in halves:
        parts = []
        for counts in (half, w - half):
            there = counts > 0
            if not _has_distinct(x[there], k):
                return float("nan")
            parts.append((there, counts[there],
                          kmeans(x[there], counts[there], k, seed=seed, starts=2)))
        (_, _, train), (there, counts, test) = parts
        common = _common(test.labels, nearest(x[there], train.centres), counts, k)
        size = common.sum(axis=1)
        kept = (common * (common - 1)).sum(axis=1)
        whole = size * (size - 1)
        # A cluster of one has no pairs to lose.
        strengths.append(np.divide(kept, whole, out=np.ones(k), where=whole > 0).min())
    return float(np.mean(strengths))
