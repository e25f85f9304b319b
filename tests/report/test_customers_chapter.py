"""The chapter on an app: its map of techniques, and every sentence of it on other people's tables."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from types import SimpleNamespace

import every_sentence
import pandas as pd
import pytest
import small_tables

from analysis.customers import drivers
from analysis.customers.lift import Action
from analysis.report.customers import summary

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
    for text in (said, told):
        assert "never" not in text and "no later change" not in text


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


@pytest.mark.parametrize("world", WORLDS)
def test_every_sentence_table_and_figure_on_other_tables(world, tmp_path, monkeypatch):
    small_tables.write(tmp_path, "customers", copy.deepcopy(world()))
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert not every_sentence.run(CHAPTER, draw=world is tiny)["s"].shipped
