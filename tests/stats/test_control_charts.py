"""Control charts: exact limits against enumeration, known charts, and simulated run lengths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.stats import control_charts


@given(st.integers(1, 300), st.floats(0.001, 0.999), st.floats(1e-5, 0.3))
@settings(max_examples=80)
def test_limits_are_those_of_enumeration(n, centre, tail):
    found = control_charts.limits(n, centre, tail)
    chance = stats.binom.pmf(np.arange(n + 1), n, centre)
    below, above = np.cumsum(chance), np.cumsum(chance[::-1])[::-1]
    # Beyond a limit at most `tail`; one count further in would be more.
    assert (below[found.low - 1] if found.low else 0) <= tail + 1e-12
    assert below[found.low] > tail - 1e-12
    assert (above[found.high + 1] if found.high < n else 0) <= tail + 1e-12
    assert above[found.high] > tail - 1e-12
    inside = chance[found.low : found.high + 1].sum()
    assert found.false_alarm == pytest.approx(1 - inside, abs=1e-9)
    assert found.signal(centre) == pytest.approx(found.false_alarm)


def test_large_periods_have_the_textbook_s_three_standard_errors():
    """Montgomery (2009), example 7.1: 30 samples of 50, common share 0.2313, limits 0.0524, 0.4102.

    There the limits are three normal standard errors; for large samples both agree.
    """
    for n, places in ((50, 0.03), (100_000, 1e-4)):
        error = 3 * np.sqrt(0.2313 * 0.7687 / n)
        found = control_charts.limits(n, 0.2313)
        assert found.low / n == pytest.approx(0.2313 - error, abs=places)
        assert found.high / n == pytest.approx(0.2313 + error, abs=places)
    error = 3 * np.sqrt(0.2313 * 0.7687 / 50)
    assert (round(0.2313 - error, 4), round(0.2313 + error, 4)) == (0.0524, 0.4102)


def test_run_length_is_that_of_simulated_months():
    found = control_charts.limits(400, 0.1, tail=0.01)
    rng = np.random.default_rng(7)
    counts = rng.binomial(400, 0.13, size=(4000, 200))
    out = (counts < found.low) | (counts > found.high)
    assert out.any(axis=1).all()
    runs = out.argmax(axis=1) + 1
    error = runs.std() / np.sqrt(runs.size)
    assert abs(runs.mean() - found.run_length(0.13)) < 4 * error
    assert found.run_length(0.1) > found.run_length(0.12) > found.run_length(0.15) > 1
    assert control_charts.limits(2, 0.5).run_length(0.5) == np.inf


def test_chart_marks_the_month_that_differs_and_no_other():
    n = np.full(12, 500)
    churned = np.random.default_rng(3).binomial(500, 0.2, 12)
    churned[4], churned[9] = 160, 50
    chart = control_charts.p_chart(churned, n)
    assert chart.side[chart.side != ""].to_dict() == {4: "above", 9: "below"}
    assert chart.centre.iloc[0] == pytest.approx(churned.sum() / n.sum())
    stayed = control_charts.p_chart(n - churned, n)
    assert stayed.side[stayed.side != ""].to_dict() == {4: "below", 9: "above"}


def test_what_does_not_fit_is_refused():
    for successes, n in (([1], [1, 2]), ([3], [2]), ([-1], [2]), ([0], [0])):
        with pytest.raises(ValueError, match="successes"):
            control_charts.p_chart(successes, n)
    with pytest.raises(ValueError, match="centre"):
        control_charts.p_chart([0, 0], [4, 5])
    with pytest.raises(ValueError, match="share"):
        control_charts.limits(10, 0.5).signal(1.5)
