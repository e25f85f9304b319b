"""What the chapter says of the paywall test: true for other data, and whole where data lack."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "customers"))  # the made-up apps live there

from paywall_worlds import app, study

from analysis.report import text
from analysis.report.customers import announced, design, lift
from analysis.report.text import Prose

PARTS = [
    function for module in (design, lift) for name, function in inspect.getmembers(
        module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
]
WORLDS = {
    "works": {"test": 0.24},
    "nothing": {"users": (6000, 6000), "before": 3000},
    "harms": {"test": 0.09},
    "too small": {"test": 0.17, "users": (120, 120), "before": 300},
    "broken split": {"test": 0.24, "users": (1500, 1250)},
    "other plan": {"test": 0.24, "users": (1500, 1250), "planned": 0.455},
    "no plan": {"test": 0.24, "users": (1500, 1250), "planned": None},
    "nobody buys": {"control": 0.0, "test": 0.0, "users": (200, 200), "before": 200},
    "everybody buys": {"control": 1.0, "test": 1.0, "users": (2, 2), "before": 5},
    "one buyer": {"control": 0.0, "test": 0.02, "users": (40, 40), "before": 40},
    "one group": {"users": (60, 0), "before": 60},
    "no test": {"users": (0, 0), "before": 60},
    "no time before": {"users": (300, 300), "before": 0, "test_day": 0},
    "no horizon": {"users": (60, 60), "before": 60, "days": 60},
    "all alike": {"users": (90, 90), "before": 90, "devices": ("and",), "price": (99,),
                  "ages": False},
    "free": {"users": (90, 90), "before": 90, "price": (0,)},
}
DRAWN = ("works", "one group", "all alike", "free")  # drawing takes most of the time


@pytest.fixture(scope="module")
def worlds():
    return {name: study(app(**options)) for name, options in WORLDS.items()}


@pytest.mark.parametrize("name", WORLDS)
def test_every_part_is_prose_or_a_figure_and_names_no_missing_number(worlds, name):
    for function in PARTS:
        if list(inspect.signature(function).parameters) not in (["s"], []):
            continue
        made = function(worlds[name]) if inspect.signature(function).parameters else function()
        if isinstance(made, p9.ggplot):
            if name in DRAWN:
                made.draw()
            continue
        assert isinstance(made, Prose), function.__name__
        assert not re.search(r"\bnan\b|\bNone\b|\binf\b|<NA>|np\.", made), (
            function.__name__, made)
        assert "  " not in re.sub(r"\|.*", "", made), (function.__name__, made)
        assert not re.search(r"\b1 (users|weeks|days)\b", made.replace("\u00a0", " ")), made


@pytest.mark.parametrize(
    ("name", "advice", "verdict"),
    [
        ("works", "Give the new paywall to everybody", "sells to more users"),
        ("nothing", "Keep the old paywall", "ruled out|equal for practical purposes"),
        ("harms", "Keep the old paywall", "sells to fewer users"),
        ("too small", "Run the test longer", "Neither a difference nor its absence is shown"),
        ("broken split", "Do not decide on this test",
         "^The share goes from .*, p.* is broken .* not to be read as the paywall’s effect"),
        ("other plan", "Give the new paywall to everybody", "sells to more users"),
        ("no plan", "Give the new paywall to everybody", "sells to more users"),
        ("nobody buys", "nothing to decide yet", "Nobody, or everybody"),
        ("everybody buys", "nothing to decide yet", "Nobody, or everybody"),
        ("one group", "Do not decide on this test", "not yet two users"),
        ("no test", "nothing to decide yet", "not yet two users"),
        ("no horizon", "nothing to decide yet", "not yet two users"),
    ],
)
def test_advice_and_verdict_follow_the_data(worlds, name, advice, verdict):
    s = worlds[name]
    assert advice in lift.recommendation(s)
    assert re.search(verdict, lift.verdict(s)), lift.verdict(s)


def test_the_rule_names_its_mark_and_what_it_is_of(worlds):
    s = worlds["works"]
    points = 100 * s.lift.primary.relevant_difference
    assert points == pytest.approx(20 * s.design.primary.baseline.estimate)
    of = f"{points:.1f} percentage points, a lift of 20% on the baseline from before the test"
    for said in (lift.rule(s), lift.recommendation(s)):
        assert of in said, said
    none = worlds["no time before"]
    own = 20 * none.lift.primary.control.estimate
    of = f"{own:.1f} percentage points, a lift of 20% on the old paywall's share"
    assert of in lift.rule(none)
    assert "for want of a baseline" in design.practical(none)
    new = study(app(control=0.0, test=0.3, users=(60, 60), before=60))
    own = 20 * new.lift.primary.test.estimate
    assert f"{own:.1f} percentage points, 20% of the new paywall's share" in lift.rule(new)
    nobody = lift.rule(worlds["nobody buys"])
    assert "the mark of a lift of 20% on the old paywall's share" in nobody


def test_what_is_not_shown_is_never_told_as_nothing(worlds):
    for s in worlds.values():
        for said in (lift.verdict(s), lift.secondary(s), lift.t_test(s), lift.answer(s),
                     lift.segments(s)):
            assert not re.search(r"no (difference|effect|change) (exists|between|in)|has no effect|"
                                 r"are the same\b", said), said


def test_a_p_value_of_an_interaction_stands_beside_its_size(worlds):
    for name in ("works", "nothing", "harms"):
        s = worlds[name]
        said = lift.segments(s).replace("\u00a0", " ")
        for row in s.lift.interactions.itertuples():
            assert f"{row.times:.2f} times as large" in said
            assert f"{row.low:.2f} to {row.high:.2f}; p" in said, said
        assert "on iOS as on Android" in said
        assert "for those who registered that day as for those who registered before" in said
        assert ("is shown to differ" in said) == (s.lift.interactions["p_adjusted"].min() <= 0.05)
    assert "cannot be told" in lift.segments(worlds["no test"])


def test_the_split_is_named_as_broken_or_as_chance(worlds):
    assert "Chance does not give such a split" in lift.split(worlds["broken split"])
    assert "what chance gives" in lift.split(worlds["works"])
    assert "Nobody was assigned" in lift.split(worlds["no test"])
    assert "where 45.5% was intended" in lift.split(worlds["other plan"])
    assert "what chance gives" in lift.split(worlds["other plan"])
    untold = lift.split(worlds["no plan"])
    assert untold.startswith("1,500 users were assigned to the old paywall and 1,250 to the new")
    assert untold.endswith(
        ". The tables do not say what split was planned, so whether one group lost people can’t be "
        "told from its size; the table `customers/planned_split` would say it "
        "(@sec-your-data-customers).")
    assert "intended" not in untold and "may be read" not in untold


def test_numbers_of_a_sentence_add_up(worlds):
    s = study(app(0.0657, 0.0835, (6000, 6000), before=3000, seed=8))
    p = s.lift.primary
    one = [float(text.rounded(100 * x, 1))
           for x in (p.control.estimate, p.test.estimate, p.z.estimate)]
    assert one[1] - one[0] != pytest.approx(one[2])  # with one digit they would not
    for said, shares in ((lift.verdict(s), r"from ([\d.]+)% to ([\d.]+)%"),
                         (lift.answer(s), r": ([\d.]+)% bought .* and ([\d.]+)% at the new")):
        old, new = map(float, re.search(shares, said).groups())
        gap = float(re.search(r"([\d.]+) percentage points", said)[1])
        assert new - old == pytest.approx(gap) and (old, new) == pytest.approx(
            (100 * p.control.estimate, 100 * p.test.estimate), abs=0.006)
    for name in ("works", "nothing", "harms", "too small"):
        plan = re.search(r"is ([\d.]+) percentage points: from ([\d.]+)% to ([\d.]+)%",
                         design.relevant(worlds[name]))
        gap, low, high = map(float, plan.groups())
        assert high - low == pytest.approx(gap)


def test_what_the_test_has_is_announced_only_where_it_is_there(worlds):
    full, none = worlds["works"], worlds["no test"]
    for announce, label in ((announced.balance, "@fig-customers-balance compares"),
                            (announced.primary, "@tbl-customers-primary reads"),
                            (announced.t_steps, "@tbl-customers-t-steps works it out"),
                            (announced.sampling, "thousands of samples of 10, 100 and 1,000")):
        assert label in announce(full)
        assert "@" not in announce(none) and announce(none).endswith(".")
    for name, s in worlds.items():
        figure = lift.sampling_figure(s)
        assert isinstance(figure, p9.ggplot) == ("@fig" in announced.sampling(s)), name
        assert lift.t_steps_table(s).startswith("|") == ("@tbl" in announced.t_steps(s)), name
        assert lift.primary_table(s).startswith("|") == ("@tbl" in announced.primary(s)), name


@pytest.mark.parametrize("times, said", [
    (0.9, "needs fewer users"), (0.98, "needs about as many users"),
    (1.04, "needs about as many users"), (1.3, "needs 1.3 times as many users")])
def test_how_many_more_users_revenue_needs_is_told_by_its_size(worlds, times, said):
    d = worlds["works"].design
    n = d.primary.planned.n_a
    planned = replace(d.revenue.planned, n_a=round(times * n))
    s = SimpleNamespace(design=replace(d, revenue=replace(d.revenue, planned=planned)))
    assert said in design.revenue(s)


def test_a_gap_of_powers_is_in_percentage_points(worlds):
    s = worlds["works"]
    gap = (s.design.simulation["simulated"] - s.design.simulation["power"]).abs().max()
    assert f"{100 * gap:.2f} percentage points" in design.simulation(s)


def test_the_plan_says_what_it_lacks(worlds):
    none = worlds["no time before"]
    assert design.baseline(none) == design.relevant(none) == design.NOTHING
    for f in (design.requirement, design.detectable, design.size_table, design.weeks_table,
              design.revenue, design.metric, design.power_figure, design.simulation_table,
              design.simulation):
        assert f(none) == design.NO_PLAN != f(worlds["works"])
    assert "takes no days before the test" in design.source(none)
    assert "computed from days before the test" in design.source(worlds["works"])
    assert "cannot be planned" in design.requirement(worlds["no time before"])
    assert "cannot be planned" in design.size_table(worlds["nobody buys"])
    assert "no revenue" in design.revenue(worlds["free"])
    small, large = design.requirement(worlds["too small"]), design.requirement(worlds["nothing"])
    assert "of what it needs" in small and "enough, with a power of" in large
