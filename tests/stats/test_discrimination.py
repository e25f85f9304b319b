"""Scores compared in pairs: against pROC, against every pair counted, and as expected of chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from analysis.stats import discrimination, regression

ORACLE = json.loads((Path(__file__).parent / "oracle" / "discrimination.json").read_text())


def test_differences_of_areas_are_those_of_proc():
    """Person by person, and counted by combination of scores."""
    y = np.array(ORACLE["successes"], float)
    scores = {name: np.array(values, float) for name, values in ORACLE["scores"].items()}
    combinations, place = np.unique(np.column_stack(list(scores.values())), axis=0,
                                    return_inverse=True)
    place = place.ravel()
    counted = dict(zip(scores, combinations.T, strict=True))
    won, lost = (np.bincount(place, w, len(combinations)) for w in (y, 1 - y))
    assert len(combinations) < len(y)
    for found in (
        discrimination.auc_differences(scores, y, 1 - y),
        discrimination.auc_differences(counted, won, lost),
    ):
        for row, expected in zip(found.to_dict("records"), ORACLE["compared"], strict=True):
            assert (row.pop("first"), row.pop("second")) == (expected["first"], expected["second"])
            for name, value in row.items():
                assert value == pytest.approx(expected[name], rel=1e-9, abs=1e-12), name


def test_difference_is_that_of_the_areas_and_turns_with_the_order():
    rng = np.random.default_rng(3)
    x, z, won, lost = (rng.integers(1, 9, 40) for _ in range(4))
    row = discrimination.auc_differences({"x": x, "z": z}, won, lost).iloc[0]
    areas = [regression.auc(score, won, won + lost).estimate for score in (x, z)]
    assert row.difference == pytest.approx(areas[0] - areas[1])
    back = discrimination.auc_differences({"z": z, "x": x}, won, lost).iloc[0]
    assert (back.difference, back.low, back.high, back.p_value) == pytest.approx(
        (-row.difference, -row.high, -row.low, row.p_value))
    same = discrimination.auc_differences({"x": x, "twice": 2 * x + 1}, won, lost).iloc[0]
    assert same.difference == pytest.approx(0, abs=1e-15) and same.p_value == 1


def test_scores_without_meaning_differ_at_the_nominal_rate():
    rng = np.random.default_rng(11)
    p = []
    for _ in range(400):
        x = rng.integers(1, 6, 200)
        z = np.clip(x + rng.integers(-1, 2, 200), 1, 5)
        y = rng.integers(0, 2, 200)
        p.append(discrimination.auc_differences({"x": x, "z": z}, y, 1 - y).p_value[0])
    assert 0.03 < np.mean(np.array(p) <= 0.05) < 0.08


def test_top_share_takes_the_best_first_and_ties_in_proportion():
    share = discrimination.top_share
    assert share([3, 2, 1], [10, 10, 30], [70, 20, 10], 0.2) == pytest.approx(0.7)
    assert share([3, 2, 1], [10, 10, 30], [70, 20, 10], 0.3) == pytest.approx(0.8)
    # Drawing among the tied at random gives it on average.
    rng = np.random.default_rng(5)
    score, amount = rng.integers(1, 4, 60), rng.gamma(1, 10, 60)
    drawn = []
    for _ in range(4000):
        order = np.lexsort((rng.random(60), -score))
        drawn.append(amount[order[:12]].sum() / amount.sum())
    assert share(score, np.ones(60), amount, 0.2) == pytest.approx(np.mean(drawn), abs=0.005)


def test_areas_within_groups_are_every_pair_of_a_group_counted():
    rng = np.random.default_rng(6)
    score, group = rng.integers(0, 9, 60), rng.integers(0, 4, 60)
    trials = rng.integers(1, 4, 60)
    won = rng.binomial(trials, 0.4)
    right = pairs = 0.0
    for i in range(60):
        for j in range(60):
            if group[i] == group[j]:
                weight = won[i] * (trials - won)[j]
                pairs += weight
                right += weight * ((score[i] > score[j]) + (score[i] == score[j]) / 2)
    found = discrimination.auc_within(score, won, trials, group)
    assert found.estimate == pytest.approx(right / pairs, rel=1e-12)
    one = discrimination.auc_within(score, won, trials, np.zeros(60))
    whole = regression.auc(score, won, trials)
    assert (one.estimate, one.low, one.high) == pytest.approx(
        (whole.estimate, whole.low, whole.high))
    # A group's level does not matter, and one without successes says nothing.
    moved = discrimination.auc_within(score + 100 * group, won, trials, group)
    assert moved == found
    alone = discrimination.auc_within(
        np.append(score, 50), np.append(won, 0), np.append(trials, 3), np.append(group, 9))
    assert alone == found
    sure = discrimination.auc_within([1, 2, 1, 2], [0, 1, 0, 1], np.ones(4), [0, 0, 1, 1])
    assert (sure.estimate, sure.low, sure.high) == (1, 1, 1)
    with pytest.raises(ValueError, match="one length"):
        discrimination.auc_within(score, won, trials, group[1:])
    with pytest.raises(ValueError, match="two successes"):
        discrimination.auc_within([1, 2], [0, 1], [1, 1], [0, 1])


def test_areas_within_folds_are_not_pulled_below_the_coin():
    """One score for all of a fold, lower where more successes were held out."""
    rng = np.random.default_rng(7)
    inside, pooled, within = [], [], []
    for _ in range(200):
        y = (rng.random(200) < 0.3).astype(float)
        won, lost = regression.stratified_folds(y, np.ones(200), 10, int(rng.integers(1 << 30)))
        fold = np.argmax(won + lost, axis=1)
        x = rng.normal(size=200).round(1)
        level = np.array([y[fold != k].mean() for k in range(10)])[fold]
        pooled.append(regression.auc(level, y).estimate)
        found = discrimination.auc_within(x + 5 * level, y, np.ones(200), fold)
        within.append(found.estimate)
        inside.append(found.contains(0.5))
    assert np.mean(pooled) < 0.485 and np.mean(within) == pytest.approx(0.5, abs=0.01)
    assert 0.9 < np.mean(inside) < 0.99


def test_net_benefit_counts_who_is_acted_on():
    rng = np.random.default_rng(8)
    risk = rng.integers(0, 11, 50) / 10
    trials = rng.integers(1, 4, 50)
    won = rng.binomial(trials, 0.4)
    thresholds = [0.05, 0.3, 0.5, 0.85]
    found = discrimination.net_benefit(risk, won, trials, thresholds)
    for t, value in zip(thresholds, found, strict=True):
        there = risk >= t
        true, false = won[there].sum(), (trials - won)[there].sum()
        assert value == pytest.approx((true - false * t / (1 - t)) / trials.sum())
    share = won.sum() / trials.sum()
    everybody = discrimination.net_benefit(np.ones(50), won, trials, thresholds)
    assert everybody == pytest.approx([share - (1 - share) * t / (1 - t) for t in thresholds])
    assert discrimination.net_benefit(np.zeros(50), won, trials, [0.2])[0] == 0
    perfect = discrimination.net_benefit([0, 1], [0, 5], [7, 5], [0.5])
    assert perfect[0] == pytest.approx(5 / 12)
    for wrong in ((risk, won[1:], trials, [0.5]), (risk, won, trials, [1.0])):
        with pytest.raises(ValueError, match="must"):
            discrimination.net_benefit(*wrong)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="at least two to compare"):
        discrimination.auc_differences({"x": [1, 2]}, [1, 1], [1, 1])
    with pytest.raises(ValueError, match="one length"):
        discrimination.auc_differences({"x": [1, 2], "z": [1, 2, 3]}, [1, 1], [1, 1])
    with pytest.raises(ValueError, match="two successes"):
        discrimination.auc_differences({"x": [1, 2], "z": [1, 2]}, [1, 0], [1, 1])
    with pytest.raises(ValueError, match="more than 0"):
        discrimination.top_share([1, 2], [1, 1], [0, 0], 0.2)
