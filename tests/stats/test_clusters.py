"""Clusters against scikit-learn, definitions, planted structure and data without any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from analysis.stats import clusters

SEED = 11


def blobs(sizes=(300, 200, 100), apart=6.0, seed=1, measures=2):
    """Round clusters on the corners of a simplex-like arrangement, and who is of which."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), measures))
    centres = apart * centres / np.linalg.norm(centres, axis=1)[:, None]
    if measures == 2:
        angle = 2 * np.pi * np.arange(len(sizes)) / len(sizes)
        centres = apart * np.column_stack([np.cos(angle), np.sin(angle)])
    labels = np.repeat(np.arange(len(sizes)), sizes)
    return centres[labels] + rng.normal(size=(len(labels), measures)), labels


def test_weighted_points_are_repeated_points():
    x, _ = blobs()
    x = np.round(x, 1)
    distinct, counts = np.unique(x, axis=0, return_counts=True)
    found = clusters.kmeans(distinct, counts, 3, seed=SEED)
    rows = clusters.kmeans(x, None, 3, seed=SEED)
    np.testing.assert_allclose(found.centres, rows.centres)
    np.testing.assert_allclose(found.sizes, rows.sizes)
    assert found.within == pytest.approx(rows.within)
    sklearn = KMeans(3, n_init=10, random_state=SEED).fit(x)
    assert found.within * len(x) == pytest.approx(sklearn.inertia_)
    order = np.argsort(-sklearn.cluster_centers_.sum(axis=1))
    np.testing.assert_allclose(found.centres, sklearn.cluster_centers_[order], atol=1e-8)


def test_what_lies_inside_cells_is_counted():
    """With the variance within cells passed on, a grid gives the distances of the points."""
    x, _ = blobs(seed=3)
    _, place, n = np.unique(
        np.floor(x / 0.3), axis=0, return_inverse=True, return_counts=True)
    place = place.ravel()
    means = np.column_stack([np.bincount(place, column) / n for column in x.T])
    inside = float(((x - means[place]) ** 2).sum())
    found = clusters.kmeans(means, n, 3, seed=SEED, inside=inside)
    rows = clusters.kmeans(x, None, 3, seed=SEED)
    assert found.within == pytest.approx(rows.within, rel=1e-6)
    assert found.explained == pytest.approx(rows.explained, rel=1e-6)


@pytest.mark.parametrize("sizes", [(300, 200), (300, 200, 100), (150, 150, 150, 150)])
def test_planted_number_is_chosen(sizes):
    x, labels = blobs(sizes)
    choice = clusters.choose(x, seed=SEED, references=10)
    assert choice.k == len(sizes) and choice.settled
    found = clusters.kmeans(x, None, choice.k, seed=SEED)
    assert clusters.agreement(found.labels, labels) > 0.95
    assert clusters.stability(x, np.ones(len(x)), found, resamples=15, seed=SEED).min() > 0.9
    assert choice.criteria["prediction_strength"][choice.k] > 0.8
    assert choice.criteria["silhouette"].idxmax() == choice.k


@pytest.mark.parametrize("kind", ["even", "normal", "correlated", "skewed", "few"])
def test_data_without_clusters_have_none(kind):
    rng = np.random.default_rng(8)
    x = {
        "even": lambda: rng.random((1_500, 3)),
        "normal": lambda: rng.normal(size=(1_500, 3)),
        "correlated": lambda: rng.multivariate_normal(
            [0, 0, 0], [[1, 0.8, 0.5], [0.8, 1, 0.5], [0.5, 0.5, 1]], 1_500),
        "skewed": lambda: rng.exponential(size=(1_500, 2)),
        "few": lambda: rng.normal(size=(60, 2)),
    }[kind]()
    choice = clusters.choose(x, seed=SEED, references=10)
    assert choice.k == 1 and choice.settled
    if kind == "correlated":
        # The reason why stability does not choose: two halves of one cloud are stable.
        assert choice.criteria["prediction_strength"][2] > 0.8


def test_rows_order_and_direction_do_not_matter():
    x, _ = blobs((120, 80, 60))
    order = np.random.default_rng(2).permutation(len(x))
    found = clusters.kmeans(x, None, 3, seed=SEED)
    mixed = clusters.kmeans(x[order], None, 3, seed=SEED)
    np.testing.assert_allclose(found.centres, mixed.centres, atol=1e-9)
    assert (found.labels[order] == mixed.labels).all()
    turned = clusters.kmeans(x @ np.array([[0.6, -0.8], [0.8, 0.6]]), None, 3, seed=SEED)
    assert clusters.agreement(found.labels, turned.labels) == 1
    assert turned.within == pytest.approx(found.within)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_agreement_equals_scikit_learn(pairs):
    a, b = (np.array(labels) for labels in zip(*pairs, strict=True))
    assert clusters.agreement(a, b) == pytest.approx(adjusted_rand_score(a, b))
    distinct, counts = np.unique(np.column_stack([a, b]), axis=0, return_counts=True)
    weighted = clusters.agreement(distinct[:, 0], distinct[:, 1], counts)
    assert weighted == pytest.approx(adjusted_rand_score(a, b))


def test_silhouette_by_hand():
    """Two points at 0 and 2 in one cluster (centre 1), one at 11: widths 0.9, 8/9 and 1."""
    found = clusters.kmeans([[0.0], [2.0], [11.0]], None, 2, seed=SEED)
    widths = [(11 - 1) / 11, (9 - 1) / 9, 1.0]
    assert clusters.silhouette([[0.0], [2.0], [11.0]], None, found) == pytest.approx(
        np.mean(widths))


def test_unstable_clusters_are_told():
    """Round clouds cut in five: the cuts turn with the sample, so no pattern (Hennig: 0.75)."""
    found = []
    for seed in range(3):
        x = np.random.default_rng(seed).normal(size=(200, 2))
        cut = clusters.kmeans(x, None, 5, seed=SEED)
        found.append(clusters.stability(x, np.ones(len(x)), cut, resamples=10, seed=SEED))
    assert np.mean(found) < 0.75


def test_points_that_are_few_or_equal():
    alone = clusters.choose([[1.0, 2.0]], [50], seed=SEED)
    assert alone.k == 1 and len(alone.criteria) == 1
    three = clusters.choose([[0.0], [1.0], [5.0]], [10, 10, 10], seed=SEED, references=5)
    assert len(three.criteria) == 2
    one = clusters.kmeans([[1.0], [1.0]], None, 1, seed=SEED)
    assert one.explained == 0 and one.within == 0
    with pytest.raises(ValueError, match="distinct"):
        clusters.kmeans([[1.0], [1.0]], None, 2, seed=SEED)
    with pytest.raises(ValueError, match="weights"):
        clusters.kmeans([[1.0], [2.0]], [1, 0], 1, seed=SEED)
    with pytest.raises(ValueError, match="points"):
        clusters.kmeans([[np.nan]], None, 1, seed=SEED)
