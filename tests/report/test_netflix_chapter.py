"""The chapter on churn: its sentences on other people's tables, and the conclusions that follow."""

from __future__ import annotations

import csv
import functools
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import every_sentence
import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "churn"))
from test_churn_reductions import ORIGINAL_HEADERS, subscribers, tables

from analysis.exploration import profile
from analysis.report import exploration
from analysis.report.churn import (
    model,
    offers,
    plans,
    recommendations,
    retention,
    summary,
    traits,
)

CHAPTER = Path("chapters/netflix-churn.qmd")


def raised(frame: pd.DataFrame, where, rate: float, otherwise: float = 0.15) -> pd.DataFrame:
    """Those marked churn at one rate, the others at another."""
    chance = np.random.default_rng(9).random(len(frame))
    return frame.assign(churned=(chance < np.where(where, rate, otherwise)).astype(int))


def no_churn():
    return subscribers(21, 300, churned=0)


def one_device():
    """One device, one genre, one region, one plan; late payment decides."""
    frame = subscribers(22, 600, device="TV", genre="News", region="North", plan="A")
    return raised(frame, frame.payment_history == "Delayed", 0.6)


def offers_raise_churn():
    """Whoever has used an offer leaves more, and nothing else matters."""
    frame = subscribers(23, 1500)
    return raised(frame, frame.promo_used == 1, 0.45)


def tiny():
    """Forty subscribers, with names that would be markup."""
    first, second, third = every_sentence.HOSTILE
    rng = np.random.default_rng(24)
    return subscribers(
        24, 40, device=rng.choice([first, "TV"], 40), genre=second, plan=third,
        region=rng.choice([second, third], 40),
    )


def all_churned():
    return subscribers(25, 80, churned=1)


def one():
    return subscribers(26, 1)


def nobody_left_at_risk():
    """All who have been subscribed for up to five months have churned, and nobody else."""
    frame = subscribers(27, 900, subscription_months=np.arange(900) % 40)
    return frame.assign(churned=(frame.subscription_months <= 5).astype(int))


WORLDS = (no_churn, one_device, offers_raise_churn, tiny, all_churned, one, nobody_left_at_risk)


def write(folder: Path, frame: pd.DataFrame) -> None:
    """A table as the source has it: its own headers, and words for flags."""
    words = {1: "Yes", 0: "No"}
    shown = frame.assign(
        churned=frame.churned.map(words), promo_used=frame.promo_used.map(words))
    (folder / "netflix").mkdir()
    shown[list(ORIGINAL_HEADERS)].rename(columns=ORIGINAL_HEADERS).to_csv(
        folder / "netflix" / "subscribers.csv", index=False, quoting=csv.QUOTE_MINIMAL)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The chapter on one of the worlds: its study, and all that it says."""
    @functools.cache  # two tests look at what one run says
    def ran(world):
        folder = tmp_path_factory.mktemp(world.__name__)
        write(folder, world())
        names, told = every_sentence.run(CHAPTER, folder, draw=world in (tiny, one_device))
        return names["s"], [said for said, _ in told]

    return ran


@pytest.mark.parametrize("world", WORLDS)
def test_every_sentence_table_and_figure_on_other_tables(world, ran):
    s, _ = ran(world)
    assert not s.shipped
    check = CONCLUSIONS.get(world)
    if check:
        check(s)


@pytest.mark.parametrize("world", [tiny, no_churn])
def test_why_there_is_no_model_is_said_in_short_and_where_it_would_be(world, ran):
    s, told = ran(world)
    why = model.no_model(s)
    assert why and [why in said for said in told].count(True) == 2
    # Nor does the front page, which has both answers in a row, say it twice.
    assert f"{model.answer(s)} {retention.answer(s)}".count(why) == 1
    assert "{python} model.answer(service)" in Path("index.qmd").read_text()
    for said in told:
        sentences = re.split(r"(?<=[.]) ", said)
        assert len(sentences) == len(set(sentences)), said


def test_ranges_have_the_digits_that_they_need():
    frame = subscribers(45, 45, satisfaction_score=6.5, churned=1)
    frame["daily_watch_hours"] = [0.52, 1.4, 1.05] * 15
    frame["engagement_rate"] = [1.0, 9.5, 9.0] * 15
    frame["monthly_income"] = [1000.25, 0.004, 30.0] * 15
    s = SimpleNamespace(profile=profile(tables(frame)))
    rows = {
        line.split("|")[1].strip(): line.split("|")[4].strip()
        for line in exploration.columns_table(s, "netflix", "subscribers").splitlines()}
    assert rows["daily\\_watch\\_hours"] == "0.52 to 1.4"
    assert rows["satisfaction\\_score"] == "6.5"
    assert rows["engagement\\_rate"] == "1 to 9.5"
    assert rows["monthly\\_income"] == "0.0040 to 1,000.25"
    assert rows["age"] == f"{frame.age.min()} to {frame.age.max()}"


def _nobody_leaves(s):
    assert traits.answer(s).startswith("Nobody has churned")
    assert s.retention is None and s.model.fit is None
    assert plans.at_risk(s) == "Nobody has churned, so there is no rate that could change."
    assert "no churn to prevent" in recommendations.judged(s)
    assert "has churned" in offers.answer(s) or "churned" in offers.answer(s)


def _late_payers_leave(s):
    assert model.drivers(s)[0] == "payment_history"
    assert s.recommendations.unaddressed[0] == "payment_history"
    assert "Begin with payment history" in recommendations.own(s)
    assert s.recommendations.judged.verdict["genres"].startswith("can")
    assert s.recommendations.judged.verdict["devices"].startswith("can")


def _offers_do_harm(s):
    assert model.drivers(s)[0] == "promo_used"
    row = s.offers.effects.loc["promo_used"]
    assert row.ratio_low > 2
    assert tuple(s.recommendations.judged.loc["offers"]) == ("drop", "more")
    assert "offers go with more churn, not less" in recommendations.judged(s)
    assert s.recommendations.unaddressed == ()


def _nobody_can_be_enrolled(s):
    assert 0 < s.plans.at_risk == s.churned < s.subscribers
    gone = ("Everybody in the first 5 months has churned, and nobody later, so nobody at risk is "
            "left who could be enrolled or watched.")
    for said in (plans.at_risk(s), plans.sizes(s), plans.watch(s), plans.watch_table(s),
                 recommendations.why(s, "test"), recommendations.why(s, "watch")):
        assert said == gone
    assert s.retention is None and "decide" in model.answer(s)
    assert retention.answer(s).endswith("cannot be told without a model (@sec-netflix-model).")


def _everybody_has_left(s):
    gone = "All have churned, so nobody at risk is left who could be enrolled or watched."
    assert plans.at_risk(s) == plans.watch(s) == recommendations.why(s, "test") == gone
    assert "Everybody in the table has churned" in recommendations.judged(s)


CONCLUSIONS = {no_churn: _nobody_leaves, one_device: _late_payers_leave,
               offers_raise_churn: _offers_do_harm, all_churned: _everybody_has_left,
               nobody_left_at_risk: _nobody_can_be_enrolled}


def test_figures_that_the_source_published(netflix_study):
    s = netflix_study
    assert (s.subscribers, s.churned) == (3500, 397)
    assert "3,500 subscribers, of whom 397" in traits.metrics(s)
    assert "11.3%" in traits.metrics(s)
    # Counts and means are the dashboard's; the text of the report has other figures beside them.
    assert "agree with the counts and means of the source's dashboard" in summary.provenance(s)
    # 64% and 43% are shares of offer users within each status, and found to be so.
    matches = s.offers.matches.reset_index()
    assert set(matches.reading) == {"of_status"}
    assert not s.offers.possible
