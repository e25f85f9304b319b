"""The methods appendix on simulations whose coverage, errors and power are known."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from analysis import recovery
from analysis.report import agreement
from analysis.report import methods as say

COLUMNS = ["world", "seed", "quantity", "truth", "estimate", "low", "high"]
HOSTILE = "a|b *c* <script> $x$ {=html}"


def made(world, quantity, truth, held, runs=100, test=None, decided=None):
    """Runs of which so many intervals hold the truth; the others lie above it."""
    rows = [(world, seed, quantity, truth, truth + 0.5, truth - 1 if seed < held else truth + 0.2,
             truth + 1) for seed in range(runs)]
    if test is not None:
        rows += [(world, seed, f"{recovery.TEST}minutes_rose", None, float(seed < test), None, None)
                 for seed in range(runs)]
    if decided is not None:
        taken = ["act" if seed < decided else "wait_longer" for seed in range(runs)]
        rows += [(world, seed, f"decision: {name}", None, float(name == taken[seed]), None, None)
                 for seed in range(runs) for name in ("act", "wait_longer", "never")]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture
def runs():
    return {
        "engagement": pd.concat([
            made("null", "minutes: difference_22", 0.0, 96, test=5, decided=3),
            made("planted", "minutes: difference_22", 2.0, 95, test=81, decided=80),
        ]),
        "trialers": pd.concat([
            made("null", "conversion", 0.0, 94), made("null", "rate of old", 0.2, 95),
            made("works", "conversion", 0.2, 60), made("works", "rate of old", 0.3, 93),
            made("harms", "conversion", -1.5, 95),
        ]),
    }


def cells(table):
    """The rows of a Markdown table; a name that stands once is that of the rows below, too."""
    rows = []
    for line in table.splitlines()[2:]:
        row = [cell.strip().replace("\u00a0", " ") for cell in line[1:-1].split(" | ")]
        rows.append([row[0] or rows[-1][0], *row[1:]])
    return rows


def test_coverage_is_counted_by_world(runs):
    found = {(row[0], row[1]): row for row in cells(say.coverage_summary(runs))}
    assert len(found) == 5
    assert found["Engagement", "nothing planted"][2:5] == ["100", "1", "96.0%"]
    broken = found["Trialers", "widget works"]
    assert broken[4:] == ["76.5%", r"60\.0\%, converted, difference", "1"]
    assert found["Trialers", "widget harms"][6] == "0"
    said = say.coverage_sentence(runs)
    assert "Over 7 quantities" in said and "60.0% to 96.0%" in said
    assert said.endswith("allowed for, is converted, difference (Trialers, widget works: 60.0%).")
    shown = cells(say.coverage_table(runs))
    assert [row[0] for row in shown] == ["Engagement", "Trialers", "Trialers"]  # the first world
    assert shown[0][1:] == [r"minutes\: difference 22", "2.000", "2.500", "95.0% (89 to 98)"]


def test_intervals_that_are_right_are_not_blamed(runs):
    del runs["trialers"]
    assert say.coverage_sentence(runs).endswith("than chance would put it.")
    assert say.size(runs) == "Engagement 100 times in each of 2 worlds"


def test_stored_tests_are_shown_rather_than_intervals(runs):
    found = cells(say.rejections_table(runs))
    assert found[0] == ["Engagement", "minutes rose", "5.0% (2 to 11)", "81.0% (72 to 87)"]
    # Without them, intervals of effects that the null world lacks are read as tests: 94 hold 0;
    # in "harms" all end below 0, in "works" the 40 that leave 0.2 out lie above it, too.
    (row,) = [row for row in found if row[0] == "Trialers"]
    assert row[1:3] == ["converted, difference", "6.0% (3 to 12)"]
    assert row[3] == "40.0% (31 to 50)"  # the first world
    every = say._rejections(runs).set_index(["study", "world"])["rejected"]
    assert every["trialers", "works"] == 0.4 and every["trialers", "harms"] == 1
    assert "2 tests at 5% reject in 5.0% to 6.0%" in say.rejections_sentence(runs)


def test_a_test_that_cries_wolf_is_named(runs):
    runs["engagement"] = pd.concat([
        made("null", "x", 0.0, 95, test=20), made("planted", "x", 1.0, 95, test=80)])
    assert say.rejections_sentence(runs).endswith("allowed for: Engagement\\: minutes rose.")


def test_decisions_are_shares_and_those_never_taken_are_left_out(runs):
    found = cells(say.decisions_table(runs))
    assert [[cell.replace("\\", "") for cell in row] for row in found] == [
        ["Engagement", "nothing planted", "wait longer 97.0% and act 3.0%"],
        ["Engagement", "as planted", "act 80.0% and wait longer 20.0%"]]
    del runs["trialers"]
    assert say.decisions_sentence(runs) == ""


@pytest.mark.parametrize(("kept", "said"), [
    (0, "The rest is not lost but undecided"), (7, "7.0% keep the old one, and give away")])
def test_what_becomes_of_an_effect_that_is_not_found_is_told_as_it_is(kept, said):
    rows = [(world, seed, f"{recovery.DECISION}{name}", None, float(name == taken), None, None)
            for world in ("null", "planted") for seed in range(100)
            for taken in [("keep" if seed < kept else "longer") if seed < 20 else "ship"]
            for name in ("ship", "longer", "keep")]
    text = say.decisions_sentence({"customers": pd.DataFrame(rows, columns=COLUMNS)})
    assert "where it works as planted, 80% do. " + said in text


def test_tests_of_one_kind_share_a_row():
    parts = [made("null", "x", 0.0, 95), made("works", "x", 1.0, 95)]
    for world, shares in (("null", (3, 6, 8)), ("works", (50, 70, 99))):
        for name, rejected in zip(("a", "b", "c"), shares, strict=True):
            part = made(world, "x", 0.0, 95, test=rejected)
            part = part[part["quantity"].str.startswith(recovery.TEST)]
            parts.append(part.assign(quantity=f"{recovery.TEST}alike: {name}"))
    (row,) = cells(say.rejections_table({"trialers": pd.concat(parts)}))
    assert row == ["Trialers", r"alike \(3 tests\)", "3.0% to 8.0%", "50.0% to 99.0%"]


def test_readings_are_held_against_the_truth():
    parts = [made("works", "conversion", 0.1, 95)]
    for name, truth, held in (("naive", 0.25, 0), ("adjusted", 0.25, 3), ("moved", 0.28, 96)):
        part = made("works", f"{recovery.READING}{name}", truth, held)
        parts.append(part.assign(estimate=truth - 0.3 if name != "moved" else truth))
    runs = {"trialers": pd.concat(parts)}
    found = cells(say.readings_table(runs))
    assert [row[2:] for row in found] == [
        ["as customers come", "+25.0", "\u22125.0", "0.0% (0 to 4)"],
        ["adjusted", "+25.0", "\u22125.0", "3.0% (1 to 8)"],
        ["by the lot", "+28.0", "+28.0", "96.0% (90 to 98)"]]
    said = say.readings_sentence(runs)
    assert "finds \u22125.0 on average: 0% of its intervals hold the truth" in said
    assert "96% of the intervals hold that" in said
    assert say.coverage_sentence(runs).startswith("Over 1 quantity")  # readings are no estimates


def test_names_of_quantities_are_no_markup():
    part = pd.concat([made("null", HOSTILE, 0.0, 95), made(HOSTILE, HOSTILE, 1.0, 50)])
    runs = {"mooc": part}
    for text in (say.coverage_summary(runs), say.coverage_table(runs), say.coverage_sentence(runs),
                 say.rejections_table(runs)):
        assert not re.search(r"(?<!\\)(<script|\*c|\$x|\{=)", text), text
    for figure in (say.coverage_figure(runs), say.rejections_figure(runs)):
        assert "<script" not in str(figure._repr_mimebundle_()[0])


def test_days_of_the_week_are_counted_together():
    held = (90, 92, 94, 96, 98, 95, 93)
    part = pd.concat([made("planted", f"views: {day}", 0.1, times)
                      for day, times in zip(say.WEEKDAYS, held, strict=True)])
    (row,) = cells(say.coverage_table({"customers": part}))
    assert row[1:] == ["weekdays of views, all seven", "–", "–", "94.0%"]
    # The summary counts what the sentence counts: the quantities that stand alone.
    runs = {"customers": pd.concat([part, made("planted", "split", 0.5, 97)])}
    (row,) = cells(say.coverage_summary(runs))
    assert row[2:] == ["100", "1", "97.0%", r"97\.0\%, share in Test", "0"]
    assert say.coverage_sentence(runs).startswith("Over 1 quantity")


def test_the_summary_and_the_sentence_count_the_same_quantities():
    runs = say.stored()
    counted = sum(int(row[3]) for row in cells(say.coverage_summary(runs)))
    assert say.coverage_sentence(runs).startswith(f"Over {counted} quantities")


def test_studies_without_runs_are_named(runs):
    assert say.not_simulated(runs).startswith(
        "Customer analytics, MOOC and Netflix have no such runs: ")
    assert say.not_simulated(dict.fromkeys(list(say.STUDIES)[1:])).startswith(
        "Engagement has no such runs: ")
    assert say.not_simulated(dict.fromkeys(say.STUDIES)) == ""


def test_studies_without_runs_say_nothing(monkeypatch, tmp_path, runs):
    for study, part in runs.items():
        part.to_csv(tmp_path / f"{study}.csv", index=False)
    monkeypatch.setattr(recovery, "RUNS", tmp_path)
    found = say.stored()
    assert list(found) == ["engagement", "trialers"]
    assert say.coverage_summary(found) == say.coverage_summary(runs)
    assert say.rejections_table(found) == say.rejections_table(runs)


def test_every_stored_study_has_names_and_shares():
    """Of all files that there are: shares within 0 and 1, a coverage that is one."""
    runs = say.stored()
    assert "customers" in runs
    for table in (say.coverage_summary, say.coverage_table, say.rejections_table,
                  say.decisions_table):
        text = table(runs)
        assert set(row[0] for row in cells(text)) <= set(say.STUDIES.values())
        assert not re.search(r"\bnan\b|_|\bNone\b", text), text
        assert all(0 <= float(share) <= 100 for share in re.findall(r"(\d+\.\d)%", text))


@pytest.mark.parametrize(("value", "said"), [
    (0, "0"), (3e-5, "10^−4^"), (1e-4, "10^−4^"), (8e-16, "10^−12^"), (0.4, "10^0^")])
def test_deviations_are_told_by_the_power_of_ten_above_them(value, said):
    assert agreement.power_of_ten(value) == said


def test_a_method_that_disagrees_is_named():
    frame = agreement.methods()
    assert "Further apart" not in agreement.methods_sentence(frame)
    frame.loc[3, "deviation"] = 0.5
    assert agreement.methods_sentence(frame).endswith(f"than allowed: {frame.loc[3, 'method']}.")


def test_printed_values_are_compared_to_their_last_digit():
    frame = pd.DataFrame({"source": ["NIST StRD", "wilson1927"], "quantity": ["a", "b"],
                          "published": ["-0.12", "0.30"], "ours": [-0.1249, 0.306]})
    rows = cells(agreement.published_table(frame))
    assert rows[0] == ["a", "NIST StRD", "−0.12", "−0.12", "0"]
    assert rows[1] == ["b", "@wilson1927", "0.30", "0.31", "10^−1^"]
    assert agreement.published_sentence(frame).startswith("1 of 2 printed values")
