"""How well several scores of the same people tell two groups of them apart, compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.stats._common import Values, as_sample, check_fraction
from analysis.stats.intervals import Interval


def auc_differences(
    scores: Mapping[str, ArrayLike], successes: ArrayLike, failures: ArrayLike,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Differences of areas under ROC curves that the same people make (DeLong et al. 1988).

    Scores of the same people go together, so the variance of a difference needs the covariance of
    the placements of every person under both scores. It is computed from counts: rows are distinct
    combinations of scores, so that it costs what those cost. Ties count half.

    Args:
        scores: By name, a score a row; higher means that success is more likely.
        successes, failures: People in the row that are one or the other.
        confidence: Of the normal interval of a difference.

    Returns:
        One row a pair, in the order given: `first`, `second`, `difference` (first less second),
        `low`, `high`, `p_value` (1 where the two areas are the same by construction).

    Raises:
        ValueError: Fewer than two scores, different lengths, or fewer than two successes or
            failures.
    """
    check_fraction(confidence, "confidence")
    if len(scores) < 2:
        raise ValueError(f"scores: need at least two to compare, got {len(scores)}")
    won, lost = as_sample(successes, "successes"), as_sample(failures, "failures")
    columns = {name: as_sample(values, name) for name, values in scores.items()}
    if len({won.size, lost.size, *(values.size for values in columns.values())}) > 1:
        raise ValueError("scores, successes, failures: must be of one length")
    if min(won.sum(), lost.sum()) < 2:
        raise ValueError("successes: need at least two successes and two failures")
    placed = {name: _placements(values, won, lost) for name, values in columns.items()}
    z = stats.norm.isf((1 - confidence) / 2)
    rows = []
    for first, second in combinations(columns, 2):
        gap = [a - b for a, b in zip(placed[first], placed[second], strict=True)]
        difference = float(won @ gap[0] / won.sum())
        variance = sum(
            float(w @ (d - difference) ** 2) / (w.sum() - 1) / w.sum()
            for w, d in ((won, gap[0]), (lost, gap[1]))
        )
        error = float(np.sqrt(variance))
        told = error > 1e-12
        p = float(2 * stats.norm.sf(abs(difference) / error)) if told else 1.0
        rows.append((first, second, difference, difference - z * error, difference + z * error, p))
    return pd.DataFrame(rows, columns=["first", "second", "difference", "low", "high", "p_value"])


def _placements(score: Values, won: Values, lost: Values) -> tuple[Values, Values]:
    """For each row, the share of failures below it and of successes above it, ties half."""
    levels, place = np.unique(score, return_inverse=True)
    a, b = (np.bincount(place, counts, len(levels)) for counts in (won, lost))
    below = (np.cumsum(b) - b / 2) / b.sum()
    above = 1 - (np.cumsum(a) - a / 2) / a.sum()
    return below[place], above[place]


def auc_within(
    scores: ArrayLike, successes: ArrayLike, trials: ArrayLike, groups: ArrayLike,
    confidence: float = 0.95,
) -> Interval:
    """Area under the ROC curve where only scores of one group may be compared.

    For cross-validation, with the folds as groups: each fold's model has a level of its own, a
    little lower the more successes were held out, so that comparing scores across folds makes a
    model look worse than it is. A success is placed among the failures of its own group; variance
    from these placements, as DeLong's (LeDell, Petersen & van der Laan 2015), and a normal
    interval on the logit scale. Groups without successes or without failures are left out. With
    one group it is `regression.auc`.

    Args:
        scores: One a row; higher means that success is more likely.
        successes, trials: Counts of each row.
        groups: The group of each row.
        confidence: Of the interval.

    Raises:
        ValueError: Different lengths, or fewer than two successes or failures that can be placed.
    """
    check_fraction(confidence, "confidence")
    score, y, n = (as_sample(v, k) for v, k in ((scores, "scores"), (successes, "successes"),
                                                (trials, "trials")))
    labels = np.asarray(groups)
    if not score.size == y.size == n.size == labels.size:
        raise ValueError("scores, successes, trials, groups: must be of one length")
    below, above, won, lost, pairs = [], [], [], [], []
    for label in np.unique(labels):
        mine = labels == label
        a, b = y[mine], n[mine] - y[mine]
        if a.sum() > 0 and b.sum() > 0:
            places = _placements(score[mine], a, b)
            below.append(places[0])
            above.append(places[1])
            won.append(a)
            lost.append(b)
            pairs.append(a.sum() * b.sum())
    if min(sum(w.sum() for w in won), sum(w.sum() for w in lost)) < 2:
        raise ValueError("successes: need at least two successes and two failures in such groups")
    areas = [float(w @ p / w.sum()) for w, p in zip(won, below, strict=True)]
    area = float(np.average(areas, weights=pairs))
    variance = sum(
        float(w @ (p - area) ** 2) / (w.sum() - 1) / w.sum()
        for w, p in ((np.concatenate(won), np.concatenate(below)),
                     (np.concatenate(lost), np.concatenate(above)))
    )
    if not 0 < area < 1:
        return Interval(area, area, area, confidence, "DeLong, within groups")
    margin = stats.norm.isf((1 - confidence) / 2) * np.sqrt(variance) / (area * (1 - area))
    low, high = special.expit(special.logit(area) + np.array([-margin, margin]))
    return Interval(area, float(low), float(high), confidence, "DeLong, within groups")


def top_share(
    score: ArrayLike, people: ArrayLike, amount: ArrayLike, fraction: float
) -> float:
    """Share of the amount that the `fraction` of people with the highest scores hold.

    Of people with equal scores at the border as many are taken as there is room for, each standing
    for their mean: what drawing among them at random would give on average.

    Args:
        score, people, amount: A row a group of people of one score: their number, their total.
        fraction: Within (0, 1).

    Raises:
        ValueError: The fraction is not within (0, 1), nobody, or an amount that is not above 0.
    """
    check_fraction(fraction, "fraction")
    s, n, y = (as_sample(v, k) for v, k in ((score, "score"), (people, "people"),
                                            (amount, "amount")))
    if not (n.sum() > 0 and y.sum() > 0):
        raise ValueError("people, amount: must add up to more than 0")
    levels, place = np.unique(-s, return_inverse=True)
    count, total = (np.bincount(place, v, len(levels)) for v in (n, y))
    before = np.cumsum(count) - count
    taken = np.clip(fraction * n.sum() - before, 0, count)
    return float((total * np.divide(taken, count, out=np.zeros_like(taken), where=count > 0)).sum()
                 / total.sum())


def net_benefit(
    risk: ArrayLike, successes: ArrayLike, trials: ArrayLike, thresholds: ArrayLike
) -> Values:
    """Net benefit of acting on everybody whose risk reaches a threshold (Vickers & Elkin 2006).

    Acting at a threshold t is indifferent to one success against (1 - t) / t failures, so each
    failure that is acted on costs t / (1 - t) successes:

        (successes acted on - failures acted on * t / (1 - t)) / observations

    0 is acting on nobody; the share of successes is acting on all of them and nobody else.

    Args:
        risk: Predicted probability of each row.
        successes, trials: Observations of the row.
        thresholds: Each within (0, 1).

    Returns:
        One value a threshold.

    Raises:
        ValueError: Different lengths, nobody, or a threshold that is not within (0, 1).
    """
    p, y, n = (as_sample(v, k) for v, k in ((risk, "risk"), (successes, "successes"),
                                            (trials, "trials")))
    t = as_sample(thresholds, "thresholds")
    if not p.size == y.size == n.size:
        raise ValueError("risk, successes, trials: must be of one length")
    if not n.sum() > 0:
        raise ValueError("trials: must add up to more than 0")
    if not ((t > 0) & (t < 1)).all():
        raise ValueError("thresholds: must lie strictly between 0 and 1")
    order = np.argsort(p, kind="stable")
    first = np.searchsorted(p[order], t, side="left")  # whoever reaches it is acted on
    won, lost = (np.append(np.cumsum(v[order][::-1])[::-1], 0.0)[first] for v in (y, n - y))
    return (won - lost * t / (1 - t)) / n.sum()
