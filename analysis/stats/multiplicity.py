"""Correction for several tests."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.stats._common import Values, as_sample, check_fraction
from analysis.stats.results import TestResult


def adjust(
    tests: Mapping[str, TestResult],
    *,
    method: Literal["holm", "benjamini-hochberg"] = "holm",
    alpha: float = 0.05,
) -> pd.DataFrame:
    """Adjusted p-values and decisions for a family of tests.

    "holm" bounds the chance of any false rejection at alpha, whatever the dependence (Holm
    1979). "benjamini-hochberg" bounds the expected share of false ones among the rejections,
    for independent or positively dependent tests (Benjamini & Hochberg 1995). The intervals are
    those of each test alone: they are not widened for the family.

    Returns:
        One row a test, in the order given: `test` (its key), `method` (its name),
        `alternative`, `estimate`, `low`, `high`, `p_value`, `p_adjusted`, `reject`.

    Raises:
        ValueError: An empty family, an unknown method, or alpha outside (0, 1).
    """
    check_fraction(alpha, "alpha")
    if not tests:
        raise ValueError("tests: a family needs at least one test")
    methods = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}
    if method not in methods:
        raise ValueError(f"method: must be one of {sorted(methods)}, got {method!r}")
    p_values = [test.p_value for test in tests.values()]
    adjusted = methods[method](p_values)
    return pd.DataFrame(
        {
            "test": list(tests),
            "method": [test.name for test in tests.values()],
            "alternative": [test.alternative for test in tests.values()],
            "estimate": [test.estimate for test in tests.values()],
            "low": [test.interval.low for test in tests.values()],
            "high": [test.interval.high for test in tests.values()],
            "p_value": p_values,
            "p_adjusted": adjusted,
            "reject": adjusted <= alpha,
        }
    )


def holm(p_values: ArrayLike) -> Values:
    """Holm's (1979) adjusted p-values, for those that no `TestResult` holds."""
    p = as_sample(p_values, "p_values", least=0)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def benjamini_hochberg(p_values: ArrayLike, tests: int | None = None) -> Values:
    """Benjamini and Hochberg's (1995) adjusted p-values, for those that no `TestResult` holds.

    Args:
        p_values: Of the tests that could be rejected.
        tests: How many tests there were; those without a p-value here count as p = 1. None: these.

    Raises:
        ValueError: Fewer tests than p-values.
    """
    p = as_sample(p_values, "p_values", least=0)
    m = p.size if tests is None else tests
    if m < p.size:
        raise ValueError(f"tests: must be at least the {p.size} p-values, got {tests!r}")
    order = np.argsort(p, kind="stable")[::-1]
    steps = np.minimum.accumulate(p[order] * m / np.arange(p.size, 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted
