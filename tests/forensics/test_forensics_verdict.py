"""The rule does what it says; and it was right as often as the book says."""

from __future__ import annotations

import math

import ibis
import numpy as np
import pytest
from forensics_worlds import COLUMNS, WORLDS
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.churn import reductions
from analysis.churn.real import real
from analysis.forensics import measured
from analysis.forensics.verdict import Reading, Sign, judge

YES, NO = 1e-6, 0.9


def signs(**kinds: str) -> list[Sign]:
    """One sign for each letter: m speaks for made, r for recorded, b both, n neither."""
    p = {"m": (YES, NO), "r": (NO, YES), "b": (YES, YES), "n": (NO, NO), "-": (math.nan, math.nan)}
    return [Sign(f"{kind}{i}", kind, *p[letter]) for kind, letters in kinds.items()
            for i, letter in enumerate(letters)]


@pytest.mark.parametrize(("kinds", "expected"), [
    ({"a": "m", "b": "m"}, "simulated"),
    ({"a": "mmmm"}, "nothing"),  # one kind is not enough
    ({"a": "m", "b": "m", "c": "r"}, "simulated"),
    ({"a": "m", "b": "m", "c": "r", "d": "r"}, "nothing"),
    ({"a": "r", "b": "rn"}, "recorded"),
    ({"a": "r", "b": "r", "c": "m"}, "nothing"),  # nothing may speak against it
    ({"a": "mr", "b": "m", "c": "m"}, "simulated"),  # a kind that contradicts itself is silent
    ({"a": "mr", "b": "m"}, "nothing"),
    ({"a": "b", "b": "m"}, "nothing"),  # a sign that shows both tells nothing
    ({"a": "n", "b": "-"}, "nothing"),
])
def test_rule(kinds, expected):
    found = judge(signs(**kinds))
    assert found.reading == expected
    assert found.simulated == sum(
        "m" in letters and "r" not in letters for letters in kinds.values())
    assert found.looked_at == sum(letter != "-" for text in kinds.values() for letter in text)
    assert list(found.kinds.index) == list(kinds)


def test_each_direction_is_corrected_for_its_signs():
    found = judge([Sign("a", "x", 0.02), Sign("b", "y", 0.03), Sign("c", "z", p_recorded=0.04)])
    assert found.signs["adjusted_simulated"].tolist()[:2] == pytest.approx([0.04, 0.04])
    assert found.signs.loc["c", "adjusted_recorded"] == 0.04
    assert (found.simulated, found.recorded) == (2, 1) and found.reading == Reading.SIMULATED
    # One sign more, and neither of the first two is left.
    more = judge([Sign("a", "x", 0.02), Sign("b", "y", 0.03), Sign("d", "w", 0.5)])
    assert more.simulated == 0
    for bad in ([], [Sign("a", "x"), Sign("a", "y")], [Sign("a", "x", 1.5)]):
        with pytest.raises(ValueError):
            judge(bad)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.floats(0, 1), st.floats(0, 1)),
                min_size=1, max_size=12), st.randoms())
def test_order_does_not_matter_and_origins_are_mirror_images(rows, random):
    made = [Sign(str(i), kind, p, q) for i, (kind, p, q) in enumerate(rows)]
    shuffled = made[:]
    random.shuffle(shuffled)
    a, b = judge(made), judge(shuffled)
    assert (a.reading, a.simulated, a.recorded) == (b.reading, b.simulated, b.recorded)
    other = judge([Sign(s.name, s.kind, s.p_recorded, s.p_simulated) for s in made])
    assert (other.simulated, other.recorded) == (a.recorded, a.simulated)


def test_noise_hardly_ever_makes_a_verdict():
    """Where all p-values are uniform, two kinds are wrong together far less often than one."""
    rng = np.random.default_rng(1)
    wrong = sum(
        judge([Sign(str(i), str(i % 5), *rng.random(2)) for i in range(13)]).reading
        != Reading.NOTHING for _ in range(100))
    assert wrong <= 2


# Tables of known origin.


def judged(world: str, seed: int, n: int) -> Reading:
    table = ibis.memtable(WORLDS[world](seed, n))
    return real(table, reductions.reduce(table)).verdict.reading


@pytest.mark.parametrize(("world", "expected"), [
    ("recorded", {"recorded"}), ("uniform", {"simulated"}),
    ("shuffled", {"simulated", "nothing"}), ("copied", {"recorded", "nothing"}),
])
def test_new_tables_are_judged_as_the_stored_ones(world, expected):
    """Seeds that the stored run has not used; a shuffled table keeps what people have rounded."""
    assert judged(world, 1_000, 3_500) in expected


def test_recorded_tables_that_nobody_has_rounded_are_not_called_made():
    for seed in range(2_000, 2_002):
        table = ibis.memtable(WORLDS["recorded"](seed, 1_500, rounds=False))
        assert real(table, reductions.reduce(table)).verdict.reading != Reading.SIMULATED


def test_stored_run_is_of_these_worlds_and_keeps_its_promise():
    found = measured.confusion()
    assert set(found.index.get_level_values("world")) == set(WORLDS) == set(measured.WRONG)
    assert (found[["simulated", "recorded", "nothing"]].sum(axis=1) == found["runs"]).all()
    recorded = found.loc["recorded"]
    # At most 5% of tables that look recorded are called made, at every size, interval included.
    assert (recorded["high"] <= 0.05).all() and (recorded["runs"] >= 100).all()
    assert recorded["recorded"].sum() >= 0.85 * recorded["runs"].sum()
    for world in ("shipped", "uniform", "bells", "shuffled"):
        assert found.loc[(world, 3_500), "simulated"] >= 0.9 * found.loc[(world, 3_500), "runs"]
        assert (found.loc[world, "recorded"] == 0).all()
    # A careful imitation passes, as the book says.
    assert found.loc["copied", "simulated"].sum() == 0


def test_worlds_are_tables_of_the_contract():
    for make in WORLDS.values():
        frame = make(1, 120)
        assert tuple(frame.columns) == COLUMNS and len(frame) == 120
        assert frame["customer_id"].is_unique and frame.notna().all().all()
        assert frame["satisfaction_score"].between(1, 10).all()
        assert (frame["subscription_months"] >= 1).all() and frame["churned"].isin([0, 1]).all()
        other = make(1, 120)
        assert frame.equals(other)
        assert not frame.equals(make(2, 120))
