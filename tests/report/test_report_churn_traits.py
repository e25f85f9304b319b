"""What the chapter says about traits and churn follows from the tests; names, groups and units."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import plotnine as p9
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "churn"))
import held
from test_churn_reductions import subscribers

from analysis.churn import reductions
from analysis.churn import traits as study
from analysis.report.churn import labels
from analysis.report.churn import traits as report
from analysis.report.text import Prose

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}
FIGURES = {"tests_figure", "rates_figure", "numbers_figure"}
ODD = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")
N = 800


def frame(seed: int, chance=None, n: int = N, **columns) -> pd.DataFrame:
    """Subscribers of whom everyone churns with the given chance, a function of the table."""
    rng = np.random.default_rng(seed)
    made = subscribers(seed, n, **columns)
    if chance is None:
        return made
    return made.assign(churned=(rng.random(n) < chance(made)).astype(int))


def scores(seed: int, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 11, n).astype(float)


def everything_matters() -> pd.DataFrame:
    """Five numbers and two categories follow one hidden scale, and so does churn."""
    rng = np.random.default_rng(12)
    made, hidden = subscribers(12, N), rng.random(N)
    for column in reductions.NUMBERS[3:]:
        order = np.argsort(np.argsort(hidden + rng.normal(0, 0.3, N)))
        made[column] = np.sort(made[column].to_numpy())[order]
    return made.assign(
        churned=(hidden > 0.7).astype(int), device=np.where(hidden > 0.5, "A", "B"),
        genre=[f"g{int(h * 30)}" for h in hidden])


CASES = {
    "one": lambda: frame(1, n=1, churned=0),
    "one gone": lambda: frame(1, n=1, churned=1),
    "two": lambda: frame(2, n=2, churned=[0, 1]),
    "three": lambda: frame(3, n=3, churned=[0, 1, 1]),
    "forty": lambda: frame(4, n=40, churned=[1] * 8 + [0] * 32),
    "nobody": lambda: frame(5, churned=0, n=60),
    "everybody": lambda: frame(6, churned=1, n=60),
    "alike": lambda: frame(7, n=60, churned=[0, 1] * 30, **{
        c: frame(7)[c].iloc[0] for c in (*reductions.CATEGORIES, *reductions.NUMBERS)}),
    "only a device": lambda: CASES["alike"]().assign(device=["TV", "phone"] * 30),
    "offers raise": lambda: frame(9, lambda f: np.where(f.promo_used == 1, 0.6, 0.2), device="TV"),
    "valley": lambda: frame(
        10, lambda f: np.where(abs(f.satisfaction_score - 5.5) > 3, 0.6, 0.15),
        satisfaction_score=scores(10)),
    "drift": lambda: frame(
        13, lambda f: 0.2 + 0.017 * f.engagement_rate, engagement_rate=scores(13)),
    "odd names": lambda: frame(
        14, lambda f: np.where(f.device == ODD[1], 0.7, 0.1),
        device=np.array(ODD, dtype=object)[np.arange(N) % 3],
        region=[f"{ODD[0]} {i % 30}" for i in range(N)]),
    "everything": everything_matters,
}


def analysed(made: pd.DataFrame) -> SimpleNamespace:
    table = held.subscribers(made)
    base = reductions.reduce(table)
    return SimpleNamespace(**vars(base), traits=study.traits(base, table))


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = analysed(CASES[name]())
        return found[name]

    return get


@pytest.fixture
def shipped(netflix_study):
    return SimpleNamespace(**vars(netflix_study))


def with_tests(s: SimpleNamespace, **changed) -> SimpleNamespace:
    """The same with other results."""
    return SimpleNamespace(**{**vars(s), "traits": replace(s.traits, **changed)})


# Every sentence


@pytest.mark.parametrize("name", list(CASES))
def test_every_sentence_is_whole(name, cases):
    s = cases(name)
    for function, f in FUNCTIONS.items():
        found = f(s)
        if isinstance(found, p9.ggplot):
            assert function in FIGURES
            if name in ("odd names", "two"):
                found.draw()
            continue
        assert isinstance(found, Prose) and found.strip(), (name, function)
        plain = re.sub(r"\\", "", found)
        assert not re.search(r"\b(nan|inf|NaT)\b|\bNone\b(?! of)", plain), (function, found)
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|  ", re.sub(r"\|.*\|", "", found)), found
        assert not re.search(r"(?<![\d.,])1 (subscribers|traits|tests|numbers|pairs|groups)\b",
                             found), (function, found)
        assert not re.search(r"(?<![\d.,])[02-9] (subscriber|trait|test|number|pair|group)\b",
                             found), (function, found)
        assert not re.search(r"\bno differences?\b", found), (function, found)
        if not found.startswith("|"):
            assert found.endswith("."), (function, found)
        for markup in ("<b>", "](x)", "`x`"):
            assert markup not in found, (function, found)
        assert not re.search(r"(?<!\\)@fig", found), (function, found)


def test_without_two_fates_it_says_so(cases):
    for name, said in (("nobody", "Nobody has churned"), ("one", "Nobody has churned"),
                       ("everybody", "Everybody has churned"), ("one gone", "Everybody has"),
                       ("alike", "all subscribers fall into one group")):
        s = cases(name)
        silent = [report.found, report.answer, report.means, report.power, report.left_open,
                  report.standing, report.related, *map(FUNCTIONS.get, FIGURES)]
        assert {f(s) for f in silent} == {report.answer(s)} and said in report.answer(s)
        assert report.hints(s) == "No test could be made, so there is nothing to correct."
    assert "of whom nobody has churned" in report.metrics(cases("nobody"))
    assert "all of whom have churned" in report.metrics(cases("everybody"))
    assert "1 subscriber, who has not churned" in report.metrics(cases("one"))
    assert "1 subscriber, who has churned" in report.metrics(cases("one gone"))
    assert "of whom 1 has churned: a rate of 50.0%" in report.metrics(cases("two"))
    assert "Only one subscriber has churned" in report.direction(cases("two"))
    assert "Only one subscriber has stayed" in report.direction(cases("three"))


# The shipped table


def test_the_answer_to_the_shipped_table(shipped):
    rates = shipped.traits.groups["rate"]
    text = report.answer(shipped).replace("\\", "")
    assert text == (
        "Taken one at a time, churn goes most closely with payment history (churn rate "
        f"{rates['payment_history', 'Delayed']:.1%} for “Delayed”, "
        f"{rates['payment_history', 'On-Time']:.1%} for “On-Time”), months of subscription "
        f"({rates['subscription_months', '1']:.1%} for 1 to 12, 0.0% for 25 to 36) and use of "
        f"promotional offers ({rates['promo_used', 'No']:.1%} for “no offer used”, "
        f"{rates['promo_used', 'Yes']:.1%} for “offer used”). For 11 others, among them preferred "
        "genre, region, main device and subscription plan, it is not shown.")
    assert "those with “Delayed” are 76% of all who churned and 22% of all" in report.means(shipped)
    assert "Do not choose whom to keep by preferred genre, region or main device:" in (
        report.means(shipped))
    assert "Keep an eye on subscription plan and satisfaction score: a hint" in (
        report.means(shipped))


def test_a_lone_small_p_is_a_hint(shipped):
    """Two of 22 tests pass alone; by chance one or more would in two tables of three."""
    text = report.hints(shipped)
    assert "subscription plan (p\u00a0=\u00a00.017 for its groups)" in text
    assert "satisfaction score (p\u00a0=\u00a00.014 for its direction)" in text
    assert f"{1 - 0.95**22:.0%} of all tables" in text and "not findings" in text
    t = shipped.traits
    one = with_tests(shipped, tests=t.tests.assign(p_value=t.tests["p_adjusted"]))
    assert "This is a hint" in report.hints(one) and "not a finding." in report.hints(one)
    none = with_tests(one, direction=t.direction.assign(p_value=t.direction["p_adjusted"]))
    assert report.hints(none).endswith("no trait is lost by it.")
    alone = with_tests(none, tests=none.traits.tests.assign(found=False),
                       direction=none.traits.direction.assign(found=False, p_value=0.5))
    alone.traits.tests["p_value"] = 0.5
    assert "no test passes 5% even alone" in report.hints(alone)


def test_ties_of_the_shipped_table(shipped):
    text = report.related(shipped)
    assert "payment history and months of subscription (V = 0.25" in text
    assert "so either may owe a part" in text
    assert "not shown for payment history with use of promotional offers or months" in text
    pairs = shipped.traits.related
    assert f"V at most {pairs['v_high'].iloc[1:].max():.2f}" in text
    apart = report.related(with_tests(shipped, related=pairs.assign(p_adjusted=1.0)))
    assert apart.startswith("That the traits found go together is not shown")
    every = report.related(with_tests(shipped, related=pairs.assign(p_adjusted=0.0)))
    assert "so each may owe a part" in every and "not shown" not in every
    t = shipped.traits.correlations
    assert "none is shown to be correlated" in report.correlated(shipped)
    assert "1 is shown to be correlated" in report.correlated(
        with_tests(shipped, correlations=t.assign(p_adjusted=[0.01] + [1.0] * (len(t) - 1))))


def test_bounds_of_what_is_not_shown(shipped):
    tests = shipped.traits.tests
    text = report.left_open(shipped)
    for column in ("genre", "region", "device", "plan"):
        assert f"{100 * tests.loc[column, 'left_open']:.1f}" in text
    power = report.power(shipped)
    assert f"are {100 * tests['detectable'].min():.1f} (use of promotional offers)" in power
    assert f"to {100 * tests['detectable'].max():.1f} points (support queries) apart" in power
    wide = with_tests(shipped, tests=tests.assign(left_open=0.8))
    assert "next to nothing is ruled out" in report.left_open(wide)
    assert "Do not choose" not in report.means(wide)
    found = with_tests(shipped, tests=tests.assign(found=True))
    assert "nothing of the kind is left open" in report.left_open(found)
    blind = with_tests(shipped, tests=tests.assign(detectable=np.nan))
    assert "no test would find a difference, however large" in report.power(blind)


# Other tables


def test_offers_that_raise_churn_are_said_to(cases):
    s = cases("offers raise")
    rows = s.traits.groups.loc["promo_used"]
    text = report.standing(s)
    assert text == (
        f"By use of promotional offers, {rows.loc['Yes', 'rate']:.1%} of those in “offer used” and "
        f"{rows.loc['No', 'rate']:.1%} of those in “no offer used” churned, a difference of "
        f"{100 * rows.loc['Yes', 'difference']:.1f} points (95% interval "
        f"{100 * rows.loc['Yes', 'difference_low']:.1f}\u00a0to\u00a0"
        f"{100 * rows.loc['Yes', 'difference_high']:.1f}).")
    assert "those with “offer used” are" in report.means(s)
    assert "There is no test for main device: all subscribers fall into one group." in (
        report.found(s))
    assert "With use of promotional offers alone no other trait found" in report.related(s)
    assert len(report.standing_table(s).splitlines()) == 3


def test_a_valley_has_groups_and_a_drift_a_direction(cases):
    valley, drift = cases("valley"), cases("drift")
    assert "For satisfaction score the groups differ, but no direction is shown" in (
        report.agree(valley))
    assert "In none of the 8 numbers is a direction shown" in report.direction(valley)
    standing = report.standing(valley)
    above, below = standing.split(", and below it for ")
    assert all(f"{group} (" in above for group in (1, 2, 9, 10))
    lower = (valley.traits.groups.loc["satisfaction_score", "finding"] == "lower").sum()
    assert lower > 4 and below.count("points less") == 4
    assert below.endswith(f" and {lower - 4} more.")
    assert re.search(r"10 \(\d\d\.\d%; \d\d\.\d points more, \d\d\.\d", above)
    assert "For engagement rate a direction is shown, and that the groups differ is not:" in (
        report.agree(drift))
    assert "tend to have larger values in engagement rate (" in report.direction(drift)
    row = drift.traits.direction.loc["engagement_rate"]
    assert (
        f"churn goes with engagement rate (mean {row['mean_churned']:.2f} of those who churned, "
        f"{row['mean_stayed']:.2f} of those who stayed)") in report.answer(drift)
    assert "though only as a tendency" in report.means(drift)
    assert "fishing" in report.standing(drift) and "what comes closest" in report.drawn(drift)


def test_much_is_told_in_few_words(cases):
    s = cases("everything")
    found = len(report._found(s))
    assert found >= 7 and f" and {found - 6} more." in report.found(s)
    assert report.found(s).count("V = ") == 6
    assert f" and {found - 4} more traits." in report.answer(s)
    assert f"The table has the other {found - 3} traits." in report.standing(s)
    assert "those who churned tend to have larger values in" in report.direction(s).lower()
    assert "They are furthest apart in" in report.direction(s)
    rows = len(report._standing(s))
    assert f"Of {rows} groups the table shows the 30" in report.standing(s)
    assert len(report.standing_table(s).splitlines()) == 30 + 2
    assert len(report._drawn(s)) < found
    assert "it shows those that go with churn most closely" in report.drawn(s)
    assert "stand together as “all other”" in report.pooled(s)
    assert "more pairs, so each may owe" in report.related(s)
    assert "both tests find something" in report.agree(s)


def test_small_tables_claim_little(cases):
    for name in ("two", "three", "forty"):
        s = cases(name)
        assert "They" not in report.direction(s) and "too small in" in report.small_counts(s)
    assert "None of the" in report.answer(cases("two"))
    assert "next to nothing is ruled out" in report.left_open(cases("two"))
    assert "no test would find a difference" in report.power(cases("three"))
    assert "Do not choose" not in report.means(cases("forty"))
    only = cases("only a device")
    assert report.found(only).startswith("One trait can be tested, main device; the churn rates")
    assert report.answer(only) == (
        "Taken one at a time, churn goes with main device (churn rate 100.0% for “phone”, 0.0% for "
        "“TV”).")
    lost = with_tests(only, tests=only.traits.tests.assign(found=False))
    assert report.answer(lost) == (
        "The one trait that can be tested, main device, is not shown to go with churn.")
    assert "groups are not shown to differ" in report.found(lost)
    assert report.hints(only) == "A single test needs no correction."


def test_tables_and_figures_show_every_group(shipped):
    rows = report.categories_table(shipped).splitlines()[2:]
    t = shipped.traits
    assert len(rows) == sum(len(t.groups.loc[c]) for c in reductions.CATEGORIES)
    assert len(report.tests_table(shipped).splitlines()) == len(t.tests) + 2
    assert len(report.sizes_table(shipped).splitlines()) == len(t.tests) + 2
    assert len(report.direction_table(shipped).splitlines()) == len(t.direction) + 2
    numbers = report.numbers_figure(shipped).data
    assert len(numbers) == sum(len(t.groups.loc[c]) for c in reductions.NUMBERS)
    drawn = report.rates_figure(shipped).data
    assert drawn["rate"].notna().sum() == 9 and drawn["rate"].isna().sum() == 3
    assert set(drawn["kind"]) == {"above the others", "below the others"}
    v = report.tests_figure(shipped).data
    assert (v["kind"] == report.KINDS[0]).sum() == 3 and v["label"].cat.categories[-1] == (
        "Payment history")


# Labels


def test_labels_name_every_column():
    columns = {*reductions.CATEGORIES, *reductions.NUMBERS}
    assert set(labels.TRAITS) == {*columns, "churned"} and set(labels.UNITS) == set(
        reductions.NUMBERS)
    assert len(set(labels.TRAITS.values())) == len(labels.TRAITS)
    assert labels.heading("age") == "Age (years)" and labels.heading("plan") == "Subscription plan"


@pytest.mark.parametrize(("low", "high", "said"), [
    (25, 34, "25 to 34"), (5.0, 5.0, "5"), (1010, 2843.5, "1,010 to 2,843.5"),
    (0.0, 0.125, "0 to 0.12"), (2.0049, 2.0051, "2 to 2.01"), (1e12, 1e12, "1,000,000,000,000"),
])
def test_groups_of_numbers(low, high, said):
    assert labels.group("age", low, high) == said


def test_values_are_escaped_and_flags_have_words():
    assert labels.value("promo_used", "Yes") == labels.value("promo_used", 1) == "offer used"
    assert labels.value("promo_used", 0) == "no offer used"
    assert labels.value("churned", "No") == "stayed"
    assert labels.value("device", "Yes") == "Yes" and labels.name("device", ODD[0]) == ODD[0]
    assert "<b>" not in labels.value("device", ODD[0])
    with pytest.raises(KeyError, match="device"):
        labels.group("device", 1, 2)
