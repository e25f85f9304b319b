"""Solves the parameters of `analysis.simulate.netflix` from the published figures.

Run by hand, `python -m analysis.simulate.netflix_calibration`, when a target changes; the output is
what stands in `netflix.TRUTH`. A score's distribution is the one of maximum entropy with the
published mean and standard deviation. The churn model's intercept, delay and offer parameters are
those at which the expected counts of churned subscribers, in the first 24 months and over scores
distributed so, are the published ones.
"""

import pprint

import numpy as np
from scipy.optimize import root
from scipy.special import expit

from analysis.simulate.netflix import EARLY_DELAYED, TRUTH, score_probabilities

# Published mean and standard deviation of the scores.
SCORES = {"satisfaction_score": (6.93, 2.67), "engagement_rate": (6.95, 2.67)}
# Published counts of churned subscribers: delayed, on time, offer used.
CHURNED = (302, 95, 172)
SCORE_EFFECTS = {name: TRUTH["churn"][name] for name in SCORES}  # chosen, not solved


def _solved(residuals, start) -> list[float]:
    found = root(residuals, start)
    if not found.success:
        raise RuntimeError(f"calibration failed: {found.message}")
    return [float(f"{value:.5g}") for value in found.x]


def solve_score(mean: float, sd: float) -> tuple[float, float]:
    """Tilt and curve of a score with this mean and standard deviation."""

    def residuals(parameters):
        probabilities = score_probabilities(*parameters)
        scores = np.arange(1, 11)
        expected = probabilities @ scores
        return expected - mean, np.sqrt(probabilities @ (scores - expected) ** 2) - sd

    return tuple(_solved(residuals, (0.2, 0.0)))


def expected_churned(churn: dict[str, float], scores: dict) -> tuple[float, float, float]:
    """Expected counts of churned subscribers who pay late, who pay on time, who used an offer."""
    scale = np.arange(1, 11) - 7
    weight = np.outer(*(score_probabilities(*scores[name]) for name in SCORE_EFFECTS))
    shift = np.add.outer(*(effect * scale for effect in SCORE_EFFECTS.values()))

    def count(delayed, promo):
        share = TRUTH["promo_used"] if promo else 1 - TRUTH["promo_used"]
        logits = churn["intercept"] + churn["delayed"] * delayed + churn["promo_used"] * promo
        return EARLY_DELAYED[not delayed] * share * np.sum(weight * expit(logits + shift))

    table = {(delayed, promo): count(delayed, promo) for delayed in (0, 1) for promo in (0, 1)}
    return table[1, 0] + table[1, 1], table[0, 0] + table[0, 1], table[0, 1] + table[1, 1]


def solve() -> dict:
    """Every solved parameter, shaped like `netflix.TRUTH`, to five significant digits."""
    scores = {name: solve_score(*targets) for name, targets in SCORES.items()}
    names = ("intercept", "delayed", "promo_used")

    def residuals(parameters):
        churn = dict(zip(names, parameters, strict=True))
        return np.subtract(expected_churned(churn, scores), CHURNED)

    churn = dict(zip(names, _solved(residuals, (-1.5, 3.0, -1.5)), strict=True))
    return {"scores": scores, "churn": churn | SCORE_EFFECTS}


if __name__ == "__main__":
    pprint.pp(solve(), width=100)
