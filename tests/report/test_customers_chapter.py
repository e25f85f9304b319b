"""The chapter on an app: its map of techniques, and every sentence on other people's tables."""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from types import SimpleNamespace

import every_sentence
import pandas as pd
import pytest
import small_tables

from analysis.customers import drivers
from analysis.customers.lift import Action
from analysis.report.customers import app, belief, design, looks, summary

CHAPTER = Path("chapters/customer-analytics.qmd")
# What the source lists as applied, in its words.
LISTED = """
data import; data exploration; statistics; data aggregation; data grouping; pivot-tables;
data merging; data visualization; data cleaning; regression analysis; chi-squared test;
time series analysis; identifying seasonal trends; constructing key performance indicators (kpis);
developing a variety of conversion rates; paywalls; rolling revenue averages;
marketing measures and conversion rates; statistical power and sample size; sensitivities;
a/b testing; checking the assumption of normality; skewness; sampling distributions;
central limit theorem; t-test step by step; t-test with scipy.stats.ttest_ind;
t statistic, critical value, p-value, significance levels
"""


def test_every_technique_has_a_section_of_the_chapter():
    listed = [name.strip().replace("\n", " ") for name in LISTED.split(";")]
    # The whole book's test follows the links.
    assert [name.lower() for name in every_sentence.techniques(CHAPTER)] == listed


def test_captions_say_what_the_cells_hold():
    text = (every_sentence.ROOT / CHAPTER).read_text(encoding="utf-8")
    captions = dict(re.findall(r"#\| label: (\S+)\n#\| tbl-cap: \"(.*)\"\n", text))
    assert f"in the first {drivers.WINDOW} days" in captions["tbl-customers-spend"]
    assert "units of the currency" in captions["tbl-customers-spend"]
    for label in ("tbl-customers-spend", "tbl-customers-odds"):
        assert "Who states no age is compared with somebody of the mean age" in captions[label]


def said_of(**of) -> SimpleNamespace:
    totals = {"users": 200, "payers": 40, "repeat_payers": 10, "payer_share": 0.2,
              "active_users": 150} | of
    nothing = pd.DataFrame(columns=["base", "measure", "value"])
    return SimpleNamespace(
        totals=SimpleNamespace(**totals), indicators=SimpleNamespace(inequality=nothing),
        lift=SimpleNamespace(primary=None, action=Action.UNKNOWN, users=(0, 0)), looks=None,
        seasons=SimpleNamespace(effect=lambda *_: None),
        drivers=SimpleNamespace(models=SimpleNamespace(area=None)))


def test_who_did_not_come_is_told_up_to_the_end_of_the_period():
    said = summary.conclusion(said_of())
    assert "80% of those who registered had not bought by the end of the period" in said
    assert "and 25% had not even come to a paywall" in said
    told = summary.recommendations(said_of())
    assert "25% of users had not come to a paywall or a purchase by the end of the period" in told
    assert "first day" not in summary.recommendations(said_of(active_users=195))
    for high, words in ((0.65, "registration hardly tells who"), (0.8, "is not shown to tell who")):
        weak = said_of()
        weak.drivers.models.area = SimpleNamespace(estimate=0.6, high=high)
        assert words in summary.recommendations(weak)
    for text in (said, told):
        assert "never" not in text and "no later change" not in text


def test_who_bought_and_bought_again_is_told_as_it_is():
    assert "of those who bought, 25% bought again" in summary.conclusion(said_of())
    every = summary.conclusion(said_of(payers=200, payer_share=1.0, active_users=200))
    assert every == (
        "All who registered had bought by the end of the period; of them, 5% bought again.")
    assert "nobody bought again" in summary.conclusion(said_of(repeat_payers=0))
    assert "not even come" not in summary.conclusion(said_of(active_users=200))


def bought(low=199, high=999, **totals):
    of = {"users": 5, "active_users": 5, "viewers": 4, "payers": 3, "payer_share": 0.6,
          "purchases": 4, "paid_views": 1} | totals
    skus = pd.DataFrame({"price_low": [low, high], "price_high": [low, high]})
    return SimpleNamespace(totals=SimpleNamespace(**of), skus=skus)


def test_prices_and_where_was_sold_are_told_from_the_tables():
    assert "cost from 1.99 to 9.99, so" in app.prices(bought())
    assert "cost the same, 9.99, so" in app.prices(bought(low=999))
    nothing = bought()
    nothing.skus = nothing.skus[:0]
    assert "Nothing was bought" in app.prices(nothing)
    assert app.skus_table(nothing) == app.skus_figure(nothing) == app.NOTHING_SOLD
    assert "Of 4 purchases, 25% were made at a paywall" in app.at_the_paywall(bought())
    assert app.at_the_paywall(bought(paid_views=4)) == "4 purchases were all made at a paywall."
    assert app.at_the_paywall(bought(purchases=1)) == "1 purchase was made at a paywall."
    assert "none at a paywall" in app.at_the_paywall(bought(paid_views=0))
    assert "left no trace" not in app.merging(bought())
    assert "; 1 user left no trace" in app.merging(bought(users=6))
    assert "would lose nobody" in app.why_left_join(bought())
    assert "would leave nobody" in app.why_left_join(bought(active_users=0))


def test_what_planted_tables_can_show_is_measured_elsewhere():
    said = summary.limit_of_data(SimpleNamespace(shipped=True))
    methods = (every_sentence.ROOT / "chapters/methods.qmd").read_text(encoding="utf-8")
    links = re.findall(r"@(sec-[\w-]+)", said)
    assert len(links) == 2 and all(f"{{#{link}}}" in methods for link in links)
    assert "synthetic" not in summary.limit_of_data(SimpleNamespace(shipped=False))


# Tables of other people, from small ones that fit. Each has what once broke something.


def tiny():
    """Forty users in two months, with names that would be markup."""
    tables = small_tables.good("customers")
    for row in tables["purchases"] + tables["paywall_views"]:
        monthly, coins, _ = every_sentence.HOSTILE
        row["sku"] = {"monthly": monthly, "coins": coins}.get(row["sku"], row["sku"])
    tables["releases"][0]["name"] = every_sentence.HOSTILE[2]
    return tables


def nothing_bought():
    """Nobody buys; a table must have a row, so one thing was free."""
    tables = small_tables.good("customers")
    tables["paywall_views"] = [
        row | {"purchase": 0, "sku": "", "price": ""} for row in tables["paywall_views"]]
    tables["purchases"] = [tables["purchases"][0] | {"price": 0}]
    return tables


def alike():
    """One device, one country, no gender, no age, one group of the test, no release, no plan."""
    tables = small_tables.good("customers")
    tables["users"] = [
        row | {"device": "iOS", "country": "DEU", "gender": "", "age": ""}
        for row in tables["users"]]
    tables["paywall_test"] = [row | {"group": "test"} for row in tables["paywall_test"]]
    del tables["releases"], tables["planned_split"]
    return tables


def one_day():
    """Everything happens on one day."""
    tables = small_tables.good("customers")
    day = small_tables.START
    for row in tables["users"]:
        row["reg_date"] = day.date()
    for i, row in enumerate(tables["purchases"] + tables["paywall_views"]):
        row["date"] = day.replace(hour=11, minute=i % 60, second=i // 60)
    bought = {row["uid"]: row for row in tables["paywall_views"] if row["purchase"]}
    for row in tables["purchases"]:
        if row["sku"] == "monthly":
            row["date"] = bought[row["uid"]]["date"]
    for row in tables["paywall_test"]:
        row["assigned_at"] = day
    tables["releases"][0]["date"] = day.date()
    return tables


WORLDS = (tiny, nothing_bought, alike, one_day)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The chapter on one of the worlds: its study, and all that it says, with the code."""
    @functools.cache  # two tests look at what one run says
    def ran(world):
        folder = tmp_path_factory.mktemp(world.__name__)
        small_tables.write(folder, "customers", copy.deepcopy(world()))
        names, told = every_sentence.run(CHAPTER, folder, draw=world is tiny)
        return names["s"], told

    return ran


@pytest.mark.parametrize("world", WORLDS)
def test_every_sentence_table_and_figure_on_other_tables(world, ran):
    s, said = ran(world)
    assert not s.shipped
    told = "\n".join(text for text, _ in said)
    for reason in (design.NOTHING, belief.NOTHING, looks.NOTHING):
        assert told.count(reason) <= 1, reason
    assert told.count("no step and no effect of one") <= 1
    assert not re.search(r"(?<![\d.,])1 (users|customers|days|purchases|views|months)\b", told)


def test_no_sentence_is_told_twice_in_a_row(ran):
    """Not even where nothing can be told: the second refers to the first."""
    _, told = ran(one_day)
    mine = {code: said for said, code in told if re.match(r"design|looks|belief|paragraph", code)}
    assert design.NO_PLAN in mine["paragraph(design.requirement(s), design.detectable(s))"]
    for code, said in mine.items():
        sentences = re.split(r"(?<=\.) (?=[A-Z])", said)
        assert len(sentences) == len(set(sentences)), (code, said)


def test_texts_of_figures_describe_marks_and_no_results():
    text = (every_sentence.ROOT / CHAPTER).read_text(encoding="utf-8")
    texts = re.findall(r'fig-alt: "(.*)"', text)
    assert len(texts) == len(re.findall(r"label: fig-", text))
    results = (r"\b(ris(es?|ing)|fall(s|ing)?|steep(ly)?|flat(tens)?|widens|narrow|fades?|far|"
               r"ragged|further|close|slowly|crossing|turn up|scattered)\b")
    assert not [said for said in texts if re.search(results, said)]
