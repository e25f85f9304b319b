"""What the chapter says about belief and about looks follows from the results."""

from __future__ import annotations

import functools
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import plotnine as p9
import pytest

from analysis.customers import belief, looks, paywall
from analysis.report.customers import belief as say_belief
from analysis.report.customers import looks as say_looks
from analysis.report.text import Prose
from analysis.stats import power

BELIEF = ("posterior_table", "posterior_figure", "probability", "loss_table", "decision", "worth",
          "contrast", "prior_table", "priors", "answer")
LOOKS = ("repeated_table", "p_figure", "z_figure", "rules_table", "peeking", "exaggeration", "cost",
         "agreement", "stop", "after_the_stop", "plan", "always", "recommendation")


def believed(control, test, before=(150, 1_000), revenue=10_000, baseline=None):
    groups = pd.DataFrame({
        "group": paywall.GROUPS, "users": [control[1], test[1]],
        "converters": [control[0], test[0]], "buyers": [control[0], test[0]],
        "revenue": [revenue, revenue]})
    known = None if before is None else SimpleNamespace(converters=before[0], users=before[1])
    planned = baseline and SimpleNamespace(baseline=SimpleNamespace(estimate=baseline))
    return SimpleNamespace(belief=belief.belief(
        SimpleNamespace(groups=groups, before=known), SimpleNamespace(primary=planned)))


def steady(days, users, control, test):
    """A test with as many new users and, at once, buyers in each group on each day."""
    names = pd.date_range("2024-03-01", periods=days).strftime("%Y-%m-%d")
    by_date = pd.concat([
        pd.DataFrame({"group": name, "day": names, "assigned": users, "converters": buyers})
        for name, buyers in zip(paywall.GROUPS, (control, test), strict=True)])
    cells = pd.DataFrame({"assigned": names, "day": names, "converters": control + test})
    with pytest.MonkeyPatch.context() as patch:
        # Fewer simulated tests than for the chapter: what is told of them has the same form.
        patch.setattr(looks, "RUNS", 500)
        patch.setattr(looks, "simulate", functools.partial(looks.simulate, runs=500))
        return SimpleNamespace(
            looks=looks.looks(SimpleNamespace(by_date=by_date, horizon=28), cells))


@pytest.fixture(scope="module")
def s():
    return SimpleNamespace(
        belief=believed((195, 1_260), (234, 1_243)).belief, looks=steady(70, 100, 10, 12).looks)


def test_where_there_is_nothing_it_is_said():
    nothing = SimpleNamespace(belief=None, looks=None)
    for module, names in ((say_belief, BELIEF), (say_looks, LOOKS)):
        for name in names:
            said = getattr(module, name)(nothing)
            assert isinstance(said, Prose) and said.endswith(".") and "None" not in said, name


def test_why_there_is_nothing_is_said_once_and_referred_to(s):
    nothing = SimpleNamespace(belief=None, looks=None)
    assert say_belief.probability(nothing) == say_belief.answer(nothing) == say_belief.NOTHING
    for name in set(BELIEF) - {"probability", "answer"}:
        assert getattr(say_belief, name)(nothing) == say_belief.NO_POSTERIOR, name
        assert getattr(say_belief, name)(s) != say_belief.NO_POSTERIOR, name
    assert say_looks.repeated_table(nothing) == say_looks.NOTHING
    for name in set(LOOKS) - {"repeated_table", "recommendation"}:
        assert getattr(say_looks, name)(nothing) == say_looks.NO_LOOKS, name
        assert getattr(say_looks, name)(s) != say_looks.NO_LOOKS, name
    for announced, words in (
        (say_belief.computed, "integrals over both"), (say_belief.readers, "other readers know"),
        (say_looks.day_by_day, "Now this very test"),
    ):
        assert announced(nothing) == "" and words in announced(s)
    assert say_belief.readers(believed((5, 10), (6, 10), before=None)) == ""
    for announced, words in ((say_looks.cost, "How often would a useless"),
                             (say_looks.always, "The last row of @tbl-customers-rules")):
        assert announced(s).startswith(words)


def test_a_test_is_told_with_its_numbers(s):
    r, e = s.belief.main, s.looks.stop
    assert f"{100 * r.better:.1f}%" in say_belief.probability(s)
    assert f"{100 * r.lift.low:.1f}% and {100 * r.lift.high:.1f}%" in say_belief.probability(s)
    assert f"week {e.week}" in say_looks.stop(s) and f"{e.z:.2f}" in say_looks.stop(s)
    assert f"{100 * e.lift.low:.1f}%" in say_looks.stop(s)
    assert f"on {s.looks.peeks.significant} days" in say_looks.peeking(s)
    cells = [line.split("|") for line in say_looks.repeated_table(s).splitlines()]
    assert [c.strip() for c in cells[0][2:-1]] == ["1", "2", "3", "4", "5", "10", "20", "50"]
    assert [c.strip() for c in cells[2][2:5]] == ["5.0%", "8.3%", "10.7%"]
    assert len(say_looks.rules_table(s).splitlines()) == 2 + len(s.looks.rules)
    assert len(say_belief.prior_table(s).splitlines()) == 2 + len(s.belief.readings)


def test_figures_show_the_results(s):
    p = say_looks.p_figure(s)
    assert len(p.data) == s.looks.peeks.days
    assert len(p.layers[2]._data) == s.looks.peeks.significant
    z = say_looks.z_figure(s)
    frame = z.data[z.data["line"] == "z of this test"]
    assert frame["z"].tolist() == s.looks.weekly["z"].tolist()
    filled = say_belief.posterior_figure(s).layers[1]._data
    area = (filled["density"].rolling(2).mean() * filled["x"].diff()).sum()
    assert area == pytest.approx(s.belief.main.better, abs=0.002)


def test_the_mark_is_told_in_points_and_only_if_there_is_one():
    counts = (195, 1_260), (234, 1_243)
    for baseline, points in ((0.14, "2.8"), (None, "3.1")):
        s = believed(*counts, baseline=baseline)
        assert f"by {points} percentage points or more, the mark of the rule" in (
            say_belief.probability(s))
        assert f"with one of {100 * s.belief.main.worthwhile:.1f}%" in say_belief.probability(s)
    assert "mark" not in say_belief.probability(believed((0, 400), (0, 500), revenue=0))


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (((150, 1_000), (220, 1_000)), "the new paywall, which is expected to lose"),
        (((220, 1_000), (150, 1_000)), "the old paywall, which is expected to lose"),
        (((150_000, 1_000_000), (150_010, 1_000_000)), "both are good enough"),
        (((15, 100), (15, 100)), "neither is good enough"),
    ],
)
def test_the_decision_is_told_as_it_falls(counts, told):
    assert told in say_belief.decision(believed(*counts))
    assert "1 converter in 1,000 users" in say_belief.decision(believed(*counts))


def test_the_prior_is_named_where_it_decides():
    settled = believed((1_500, 10_000), (2_200, 10_000))
    assert "stays the same: the new paywall" in say_belief.priors(settled)
    assert "no other prior" in say_belief.priors(believed((5, 10), (6, 10), before=None))
    torn = believed((30, 200), (52, 200), before=(1_500, 10_000))
    choices = {r.choice for r in torn.belief.readings}
    said = say_belief.priors(torn)
    assert ("depends on the prior" in said) == (len(choices) > 1)


def test_certainty_is_never_claimed_and_few_users_are_no_normal_curve():
    sure = believed((100, 100_000), (900, 100_000))
    said = say_belief.probability(sure)
    assert "over 99.9%" in said and "100.0%" not in said
    assert "nearly agree" in say_belief.contrast(sure)
    few = believed((0, 4), (3, 5))
    assert "few users" in say_belief.contrast(few)
    none = believed((0, 400), (0, 500), revenue=0)
    assert "cannot be had" in say_belief.contrast(none)
    assert "no revenue" in say_belief.worth(none) and "Revenue" not in say_belief.loss_table(none)


def test_a_test_that_is_not_stopped_is_not_called_a_draw():
    s = steady(30, 50, 5, 5)
    said = say_looks.stop(s)
    assert "would not have stopped" in said and "no effect, and no absence of one" in said
    assert "still open" in said  # the last users' time is not over
    assert "never at most 5%" in say_looks.peeking(s)
    assert say_looks.after_the_stop(s).startswith("The rule leaves nothing to argue about: before")
    ended = SimpleNamespace(looks=replace(s.looks, ended=True))
    assert "ran to its last look" in say_looks.stop(ended)


def test_a_clear_effect_stops_early_and_stays_beyond():
    s = steady(70, 100, 10, 25)
    assert "would have stopped this test at the end of week" in say_looks.stop(s)
    assert "beyond the boundary as well" in say_looks.after_the_stop(s)
    assert "On this test it was reached on" in say_looks.always(s)
    worse = steady(70, 100, 25, 10)
    assert "lift of −" in say_looks.peeking(worse)
    assert "infinite" in say_looks.stop(steady(30, 20, 0, 4))
    last = steady(7, 100, 10, 25)  # one look, at the end of the only week
    assert "at the last look" in say_looks.stop(last)
    assert say_looks.after_the_stop(last).startswith("Until then the rule left nothing")


def test_two_lifts_are_told_apart_where_they_are_printed_as_two(s):
    def planned(baseline, lift, n=7_000):
        plan = power.Plan(n, n, baseline * lift, 0.8, 0.05, "two-sided", baseline, lift)
        return SimpleNamespace(primary=SimpleNamespace(detectable=plan))

    def said(design, looks=s.looks):
        return say_looks.two_lifts(SimpleNamespace(looks=looks, design=design))

    seen = s.looks.weekly["converters"].iloc[-1] / 14_000
    assert s.looks.weekly["users"].iloc[-1] == 14_000 and seen == pytest.approx(0.11)
    told = said(planned(0.08, s.looks.lift + 0.04))
    assert f"that lift is {100 * s.looks.lift + 4:.0f}%" in told
    assert f"there {100 * 0.08 * (1 + (s.looks.lift + 0.04) / 2):.1f}% of 14,000 users" in told
    assert "the 11.0% of 14,000 who did; the larger the share" in told
    # A reason is named only where it is one: here the larger share would have the larger lift.
    assert "the larger" not in said(planned(0.2, s.looks.lift + 0.04))
    assert "the larger" not in said(planned(0.08, s.looks.lift + 0.04, n=9_000))
    assert said(planned(0.08, s.looks.lift)) == said(SimpleNamespace(primary=None)) == ""
    assert said(planned(0.08, 0.3), replace(s.looks, lift=float("inf"))) == ""


@pytest.mark.parametrize("counts", [(1, 30, 10, 12), (400, 3, 0, 1)])
def test_figures_are_drawn_for_short_long_and_lopsided_tests(counts, tmp_path):
    s = steady(*counts)
    assert s.looks is not None
    for figure in (say_looks.p_figure(s), say_looks.z_figure(s)):
        assert isinstance(figure, p9.ggplot)
        figure.save(tmp_path / "figure.svg", verbose=False)
        assert (tmp_path / "figure.svg").stat().st_size > 2_000


@pytest.mark.parametrize(
    "counts", [((0, 900), (0, 1_000)), ((5, 5), (6, 6)), ((0, 1), (3, 4_000_000))])
def test_posteriors_are_drawn_for_shares_at_the_border(counts, tmp_path):
    figure = say_belief.posterior_figure(believed(*counts))
    assert all(layer._data["density"].notna().all() for layer in figure.layers[:3])
    figure.save(tmp_path / "figure.svg", verbose=False)
