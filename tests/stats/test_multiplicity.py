"""Corrections against R's p.adjust."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.stats import multiplicity, two_sample

REFERENCE = json.loads((Path(__file__).parent / "oracle" / "reference.json").read_text())
RESULT = two_sample.welch([1, 2, 4, 7], [2, 5, 6, 9])


def family(p_values):
    return {f"test {i}": replace(RESULT, p_value=p) for i, p in enumerate(p_values)}


@pytest.mark.parametrize("method", ["holm", "benjamini-hochberg"])
def test_equals_r(method):
    frame = multiplicity.adjust(family(REFERENCE["p_values"]), method=method)
    expected = REFERENCE[method.replace("-", "_")]
    assert frame["p_adjusted"].tolist() == pytest.approx(expected, rel=1e-12)
    assert frame["reject"].tolist() == [p <= 0.05 for p in expected]
    assert frame["p_value"].tolist() == REFERENCE["p_values"]
    assert frame["test"].tolist() == [f"test {i}" for i in range(7)]
    assert (frame["estimate"] == RESULT.estimate).all()
    assert (frame["low"] == RESULT.interval.low).all()


@pytest.mark.parametrize("seed", range(4))
def test_order_does_not_matter_and_holm_is_the_stricter(seed):
    rng = np.random.default_rng(seed)
    tests = family((rng.uniform(size=3 + seed) ** 3).tolist())
    shuffled = {name: tests[name] for name in rng.permutation(list(tests))}
    holm = multiplicity.adjust(tests).set_index("test")
    other = multiplicity.adjust(shuffled).set_index("test")
    assert holm["p_adjusted"].to_dict() == pytest.approx(other["p_adjusted"].to_dict())
    discovery = multiplicity.adjust(tests, method="benjamini-hochberg").set_index("test")
    assert (discovery["p_adjusted"] <= holm["p_adjusted"] + 1e-12).all()
    assert (holm["p_adjusted"] >= holm["p_value"]).all()


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda: multiplicity.adjust({}), "tests: a family needs at least one test"),
        (lambda: multiplicity.adjust({"a": RESULT}, method="bonferroni"), "method: must be one"),
        (lambda: multiplicity.adjust({"a": RESULT}, alpha=0), "alpha: must lie strictly"),
    ],
)
def test_bad_input_is_named(call, rule):
    with pytest.raises(ValueError, match=rule):
        call()
