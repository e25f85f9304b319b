"""What the chapter says about offers and late payment follows from the counts."""

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

from analysis.churn import offers as study
from analysis.churn import reductions
from analysis.churn.offers import FACTORS, OFFER, PAYMENT, TOGETHER
from analysis.report.churn import offers as report
from analysis.report.text import Prose

sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("churn", ".")]
import held  # noqa: E402
from every_sentence import HOSTILE, check  # noqa: E402
from test_churn_reductions import subscribers  # noqa: E402

FUNCTIONS = {
    name: f for name, f in vars(report).items()
    if inspect.isfunction(f) and f.__module__ == report.__name__ and not name.startswith("_")
}


def studied(table):
    used = reductions.churn_by_categories(table, list(FACTORS))
    total = used[OFFER][["subscribers", "churned"]].sum()
    base = SimpleNamespace(
        subscribers=int(total["subscribers"]), churned=int(total["churned"]),
        readings={name: reductions.readings(frame) for name, frame in used.items()})
    return SimpleNamespace(readings=base.readings, offers=study.offers(base, table))


def made(frame):
    return studied(held.subscribers(frame))


def drawn(seed, n=1_500, offer=1.0, late=1.0, share_late=0.4, uptake=(0.5, 0.5), base=0.3):
    """Subscribers whose churn is `base`, times `offer` with one and times `late` with late payment;
    uptake of offers by those who pay on time and late."""
    rng = np.random.default_rng(seed)
    pays_late = rng.random(n) < share_late
    used = rng.random(n) < np.where(pays_late, uptake[1], uptake[0])
    p = base * np.where(used, offer, 1) * np.where(pays_late, late, 1)
    return subscribers(
        seed, n, payment_history=np.where(pays_late, "Delayed", "On-Time"),
        promo_used=used.astype(np.int64), churned=(rng.random(n) < p).astype(np.int64),
        subscription_months=rng.integers(1, 40, n))


CASES = {
    **{f"{n} subscribers": lambda n=n: subscribers(n, n) for n in (1, 2, 3, 12, 40)},
    "nobody": lambda: subscribers(10, churned=0),
    "everybody": lambda: subscribers(11, churned=1),
    "all offers": lambda: subscribers(12, 80, promo_used=1),
    "no offers": lambda: subscribers(13, 80, promo_used=0, payment_history="On-Time"),
    "all late": lambda: subscribers(14, 80, payment_history="Delayed"),
    "separated": lambda: subscribers(15, 60, churned=[0, 1] * 30, promo_used=[0, 1] * 30),
    "saved by offers": lambda: subscribers(16, 60, churned=[0, 1] * 30, promo_used=[1, 0] * 30),
    "nothing": lambda: drawn(1),
    "offers help": lambda: drawn(2, offer=0.4),
    "offers raise churn": lambda: drawn(3, offer=2.0),
    "late": lambda: drawn(4, late=2.5, base=0.2),
    "late stay": lambda: drawn(5, late=0.3),
    "turned": lambda: drawn(6, 4_000, offer=0.7, late=6.0, base=0.12, uptake=(0.1, 0.9)),
    "confounded": lambda: drawn(7, 4_000, late=4.0, base=0.15, uptake=(0.2, 0.7)),
    "hidden": lambda: drawn(8, 4_000, offer=0.5, late=2.5, base=0.25, uptake=(0.3, 0.6)),
    "odd names": lambda: drawn(9, 900, offer=0.5).assign(
        plan=[*HOSTILE, "x" * 60 + " a", "x" * 60 + " b", "y " * 40] * 150),
    "many plans": lambda: drawn(10, 900).assign(plan=[f"plan {i % 30}" for i in range(900)]),
    "equal": lambda: subscribers(
        17, 80, churned=[0, 1] * 40, promo_used=[0, 0, 1, 1] * 20, plan="A",
        payment_history="On-Time", subscription_months=1),
    "apart": lambda: subscribers(
        19, 2, churned=[1, 0], promo_used=[0, 1], plan=["A", "B"], subscription_months=[2, 30],
        payment_history=["On-Time", "Delayed"]),
    "same as claimed": lambda: subscribers(
        18, 200, promo_used=[0, 1] * 100,
        churned=[int(i // 2 < (64 if i % 2 == 0 else 43)) for i in range(200)]),
}
DRAWN = ("odd names",)


@pytest.fixture(scope="module")
def cases():
    found = {}

    def get(name):
        if name not in found:
            found[name] = made(CASES[name]())
        return found[name]

    return get


@pytest.fixture
def shipped(netflix_study):
    return netflix_study


def told(s):
    """Everything that is told of a study, by function and factor."""
    for name, f in FUNCTIONS.items():
        factors = FACTORS if "factor" in inspect.signature(f).parameters else (None,)
        for factor in factors:
            yield name, factor, f(s) if factor is None else f(s, factor)


@pytest.mark.parametrize("name", CASES)
def test_every_sentence_is_whole(name, cases):
    for function, factor, found in told(cases(name)):
        if isinstance(found, p9.ggplot):
            if name in DRAWN:
                found.draw()
            continue
        assert isinstance(found, Prose), (function, factor)
        check(found, f"{name}, {function}, {factor}")
        assert not re.search(r"[({]\s*[)}]|\s[.,;]|\.\.|−−", found), (function, found)
        assert not re.search(r"(?<![\d.,−])1 (subscribers|strata|plans)\b", found), found
        if "|" not in found:
            assert found.endswith(".") and "  " not in found, (function, found)
            assert re.match(r"[A-Z\d*\\]", found), (function, found)


def test_without_churn_or_variety_it_says_so(cases):
    for name, said in (("nobody", "Nobody has churned"), ("everybody", "Everybody in the table")):
        s = cases(name)
        for f in (report.rates, report.holds, report.differ, report.moved, report.strength):
            assert f(s).startswith(said) and f(s, PAYMENT).startswith(said)
        assert report.odds_figure(s).startswith(said) and report.answer(s).startswith(said)
    assert report.rates(cases("all offers")).startswith("Everybody has used an offer")
    assert report.rates(cases("no offers")).startswith("Nobody has used an offer")
    assert "Everybody has paid on time" in report.early_sign(cases("no offers"))
    assert "Everybody has paid late" in report.means(cases("all late"))
    assert "Neither offers nor payment history differ" in report.common_table(cases("no offers"))
    assert "takes some who get none" in report.means(cases("no offers"))
    assert "**Offers**: nobody has used an offer" in report.answer(cases("no offers"))
    assert "No stratum has both" in report.odds_figure(cases("no offers"))


def test_the_direction_is_told(cases):
    assert "Using an offer goes with less churn." in report.rates(cases("offers help"))
    assert "points fewer" in report.rates(cases("offers help"))
    assert "Using an offer goes with more churn." in report.rates(cases("offers raise churn"))
    assert "That using an offer goes with churn is not shown." in report.rates(cases("nothing"))
    assert "Paying late goes with more churn." in report.rates(cases("late"), PAYMENT)
    assert "Offers are worth a test: those who used one have churned 0.4" in report.means(
        cases("offers help"))
    assert "That need not be the offer" in report.means(cases("offers raise churn"))
    assert "no ground for spending on them or for ending them" in report.means(cases("nothing"))
    assert "it is no warning to act on" in report.means(cases("nothing"))
    assert "A late payment is the day to ask" in report.means(cases("late"))
    assert "Paying late is no warning here" in report.means(cases("late stay"))
    assert "marks those who stay" in report.early_sign(cases("late stay"))
    assert "not shown to be better than chance" in report.early_sign(cases("nothing"))
    assert "not shown to be more than chance" in report.answer(cases("nothing"))
    assert "nobody who used one has churned" in report.means(cases("saved by offers"))


def test_unbounded_ratios_are_told_by_their_bound(cases):
    assert "with nothing to bound it above" in report.rates(cases("separated"))
    assert "with nothing to bound it below" in report.rates(cases("saved by offers"))
    assert "no E-value" in report.strength(cases("separated"))
    assert "cannot be had here" in report.moved(cases("separated"))
    assert "∞" in report.common_table(cases("separated"))
    figure = report.odds_figure(cases("separated")).data
    assert np.isfinite(figure[["value", "low", "high"]].to_numpy()).all()


def test_claims_are_named_for_what_they_are(cases, shipped):
    said = report.claims(shipped)
    assert "Both are above the churn rate of all subscribers, 11.3%" in said
    assert "51.1% of all had churned, 1,788 subscribers and not 397" in said
    assert "16.7% without and 8.0% with an offer" in said
    assert "64% is the share of those who used an offer among those who stayed" in said
    assert "43% is the share of those who used an offer among those who churned" in said
    assert "64% and 43% are not the churn rates of this table." in report.answer(shipped)
    true = report.claims(cases("same as claimed"))
    assert "lies between the two" in true and "As churn rates they agree with this table" in true
    assert "64% is the churn rate of those who used none" in true
    assert "are not the churn rates" not in report.answer(cases("same as claimed"))
    assert "Both are below" in report.claims(cases("everybody"))
    assert "in either reading, rounds to 64% or 43%" in report.claims(cases("nobody"))
    assert "that stayed" in report._matched("of_value", "Yes", "No")


def test_strata_that_agree_and_that_do_not(cases, shipped):
    assert "in each of the 8 strata that can tell" in report.holds(shipped)
    assert "that can tell (@tbl-netflix-offers-strata)." in report.holds(shipped)
    assert "that can tell (@fig-netflix-offers-odds)." in report.holds(shipped, PAYMENT)
    assert report.within(shipped) == (
        f"{report.holds(shipped)} {report.holds(shipped, PAYMENT)} Among subscribers of more than "
        "24 months, nobody has churned, so there is nothing to compare.")
    assert report.within(cases("apart")).count("No stratum has both groups") == 1
    assert "Among subscribers" not in report.within(cases("nothing"))
    said = report.holds(cases("turned"))
    assert "have churned more in" in said and "and less among" in said
    assert "subscribers who paid late" in said
    assert "the other way round in any is not shown" in report.holds(cases("nothing"))
    assert "The odds ratios differ by payment history" in report.differ(shipped)
    assert "That they differ by plan is not shown" in report.differ(shipped)
    assert "That the odds ratios differ by" in report.differ(cases("nothing"))
    assert "cannot be tested here" in report.differ(cases("equal"))
    assert "the two rates are equal" in report.holds(cases("equal"))
    assert "No stratum has both" in report.holds(cases("apart"))


def test_what_the_rest_of_the_table_explains(cases, shipped):
    said = report.moved(shipped)
    assert "there is little that they could explain" in said and "they explain little of it" in said
    assert "The odds ratio goes from 0.43 to 0.13, more by arithmetic" in said
    late = report.moved(shipped, PAYMENT)
    assert "Paying late goes with length of subscription (V = 0.25" in late
    assert "part of the association is that of these, and the rest is not" in late
    assert "an association beside them is not shown" in report.moved(cases("confounded"))
    assert "held alike, it turns round" in report.moved(cases("turned"))
    assert "held alike, it is stronger" in report.moved(cases("hidden"))


def test_what_it_means_is_taken_from_subscribers_alike(cases):
    turned, gone = cases("turned"), cases("confounded")
    assert "Offers are worth a test: among subscribers alike in the rest" in report.means(turned)
    assert "alike in the rest of the table, those who used an offer have churned less" in (
        report.answer(turned))
    assert "go with churn beside the rest of the table is not shown" in report.means(gone)
    assert "alike in the rest of the table a difference is not shown" in report.answer(gone)
    assert "alike" not in report.answer(cases("offers help"))
    # Shown only among those who are alike, in either direction.
    s = cases("offers raise churn")
    effects = s.offers.effects.assign(p_adjusted=1.0)
    hidden = SimpleNamespace(readings=s.readings, offers=replace(s.offers, effects=effects))
    assert "Among subscribers alike in the rest of the table, those who used an offer have " \
        "churned more. That need not be the offer" in report.means(hidden)


def test_strength_is_that_of_the_ratio(cases, shipped):
    row = shipped.offers.effects.loc[OFFER]
    assert f"at least {row['e_value']:.1f} times as likely" in report.strength(shipped)
    assert "among those who used none" in report.strength(shipped)
    assert "among those who paid late" in report.strength(shipped, PAYMENT)
    assert "the E-value of the limit is 1" in report.strength(cases("nothing"))


def test_names_of_plans_stay_text_and_apart(cases):
    s = cases("odd names")
    figure = report.odds_figure(s).data
    assert figure["label"].astype(str).str.len().max() < 30
    plans = figure[(figure["by"] == "plan") & (figure["kind"] == "in the stratum")]
    counted = plans.groupby("panel", observed=True)["label"].agg(["nunique", "size"])
    assert (counted["nunique"] == counted["size"]).all() and (counted["size"] == 6).all()
    assert "22 small plans are taken together" in report.limits(cases("many plans"))


def test_tables_show_both_readings_and_every_stratum(shipped):
    rows = report.readings_table(shipped).splitlines()
    assert len(rows) == 4 and "Who used an offer" in rows[2] and "43.3%" in rows[2]
    assert "63.9%" in rows[2] and "8.0%" in rows[2]
    assert len(report.strata_table(shipped).splitlines()) == 2 + 2 + 3 + 4
    assert len(report.common_table(shipped).splitlines()) == 2 + 2 * 5
    figure = report.readings_figure(shipped)
    assert len(figure.data) == 4
    assert set(figure.data["label"]) == {"8%", "17%", "43%", "64%"}


def test_equal_strata_take_the_differences_back(shipped):
    rows = shipped.offers.common.copy()
    assert "may come from what is mixed within" in report.differ(shipped)
    rows.loc[(OFFER, TOGETHER), "homogeneity_p_adjusted"] = 0.001
    other = SimpleNamespace(readings=shipped.readings, offers=replace(shipped.offers, common=rows))
    assert "a difference is shown" in report.differ(other)
    assert "may come from what is mixed within" not in report.differ(other)
    assert isinstance(rows, pd.DataFrame)


def test_rates_that_come_to_as_many_churned_are_not_set_against_them():
    one = made(subscribers(3, 1, churned=0, promo_used=1))
    said = report.claims(one)
    assert "such rates would mean that 43.0% of all had churned. " in said
    assert "and not 0" not in said
    ten = report.claims(made(subscribers(3, 10, churned=0, promo_used=1)))
    assert "43.0% of all had churned, 4 subscribers and not 0. " in ten
