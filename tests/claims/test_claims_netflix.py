"""The Netflix report's claims: on tables like the published one, and on others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from held import subscribers

from analysis.churn.reductions import reduce
from analysis.claims import NETFLIX, netflix
from analysis.claims.claim import Arithmetic, Cause, Unseen, Verdict, audit, judge
from analysis.report.claims import filled
from analysis.simulate import netflix as simulated
from analysis.sources import Tables

SUPPORTED, NOT, CONTRADICTED, UNTELLABLE = Verdict


@pytest.fixture(scope="module")
def frame():
    """Subscribers like the published ones."""
    found = simulated.generate()[0]["subscribers"]
    flags = {name: (found[name] == "Yes").astype("int64") for name in ("churned", "promo_used")}
    return found.assign(**flags)


def verdicts(frame: pd.DataFrame) -> dict[str, Verdict]:
    measured = reduce(subscribers(frame))
    return {f.claim.key: f.verdict for f in judge(NETFLIX.claims, measured)}


@pytest.fixture(scope="module")
def published(frame):
    return verdicts(frame)


@pytest.fixture(scope="module")
def without_churn(frame):
    return verdicts(frame.assign(churned=0))


def test_the_published_figures_hold_but_for_two(published):
    printed = {c.key for c in NETFLIX.claims if c.kind.__name__ == "Printed"}
    wrong = {key for key in printed if published[key] is not SUPPORTED}
    assert wrong == {"tv_figure", "offer_rates"}
    assert all(published[key] is CONTRADICTED for key in wrong)


def test_what_the_published_figures_decide(published):
    expected = {
        "offers_go_with_less": SUPPORTED, "offers_not_enough": SUPPORTED,
        "genres_differ": NOT, "tv_highest": NOT, "handheld_lower": NOT,
        "most_from_home": CONTRADICTED, "emerging_fewer": NOT, "early_against_later": SUPPORTED,
        "early_against_first_year": NOT, "after_a_year": SUPPORTED, "at_a_year": NOT,
        "age_and_queries": SUPPORTED, "queries_by_age": CONTRADICTED,
        "churn_is_early": CONTRADICTED, "churn_is_late": NOT,
    }
    assert {key: published[key] for key in expected} == expected


def test_the_source_s_own_arithmetic_needs_no_table(published, without_churn):
    expected = {
        "tv_dashboard": CONTRADICTED, "rate_without": CONTRADICTED, "rate_with": CONTRADICTED,
        "home_first": CONTRADICTED, "emerging_below_home": SUPPORTED,
        "emerging_smallest": CONTRADICTED,
    }
    arithmetic = {c.key for c in NETFLIX.claims if c.kind is Arithmetic}
    assert arithmetic == set(expected)
    for found in (published, without_churn):
        assert {key: found[key] for key in arithmetic} == expected


def test_the_dashboard_s_percentages_are_shares_within_churn():
    """What the report reads as churn rates: offer users among who stayed and who churned."""
    stayed = netflix.STAYED_WITH + netflix.STAYED_WITHOUT
    churned = netflix.CHURNED_WITH + netflix.CHURNED_WITHOUT
    assert (stayed + churned, churned) == (netflix.SUBSCRIBERS, netflix.CHURNED)
    assert round(100 * netflix.STAYED_WITH / stayed) == 64
    assert round(100 * netflix.CHURNED_WITH / churned) == 43
    assert sum(netflix.REGIONS.values()) == netflix.SUBSCRIBERS
    assert sum((netflix.POPULAR | netflix.LESS_POPULAR).values()) == netflix.SUBSCRIBERS


def test_causes_and_what_is_not_there_are_never_decided(published, without_churn):
    for claim in NETFLIX.claims:
        if claim.kind in (Cause, Unseen):
            assert published[claim.key] is without_churn[claim.key] is UNTELLABLE


@pytest.mark.parametrize("churned", [0, 1])
def test_where_nobody_or_everybody_churned_no_churn_can_be_compared(frame, churned):
    found = verdicts(frame.assign(churned=churned))
    about_churn = {
        "genres_perform", "offers_go_with_less", "early_against_later", "early_against_first_year",
        "after_a_year", "at_a_year", "churn_is_early", "churn_is_late", "inactive_churn",
        "handheld_churn", "queries_and_churn", "many_profiles", "emerging_churn", "regions_differ",
        "engagement_and_churn",
    }
    assert {found[key] for key in about_churn} == {UNTELLABLE}
    assert found["churned"] is CONTRADICTED and found["customers"] is SUPPORTED
    assert found["offers_not_enough"] is (SUPPORTED if churned else CONTRADICTED)
    assert found["age_and_queries"] is SUPPORTED


def test_one_device_one_genre_one_region(frame):
    found = verdicts(frame.assign(device="smart tv", genre="Comedy", region="EUROPE"))
    for key in ("tv_highest", "handheld_lower", "laptop_figure", "genres_differ", "genres_perform",
                "emerging_fewer", "emerging_churn", "regions_differ", "handheld_churn"):
        assert found[key] is UNTELLABLE, key
    assert found["most_from_home"] is SUPPORTED  # names are found in any letters
    assert found["top_genres"] is CONTRADICTED


OTHERWISE = {
    "region": ("Europe", "EU", {"most_from_home"}),
    "region, two": ("Asia", "APAC", {"emerging_fewer", "emerging_churn"}),
    "genre": ("Sci-Fi", "Science fiction", {"top_genres", "genres_perform"}),
    "device": ("Mobile", "Phone", {"handheld_lower", "handheld_churn"}),
    "device, two": ("Smart TV", "TV", {"tv_highest", "tv_figure"}),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_a_name_that_is_spelled_otherwise_contradicts_nothing(frame, published, case):
    name, other, about = OTHERWISE[case]
    column = case.split(",")[0]
    renamed = frame.assign(**{column: frame[column].replace(name, other)})
    measured = reduce(subscribers(renamed))
    found = {f.claim.key: f for f in judge(NETFLIX.claims, measured)}
    for key in about:
        assert found[key].verdict is UNTELLABLE, key
        said = filled(found[key].evidence.said, found[key].evidence.values)
        assert said == f"the table has no {column} called {name}", key
    # What does not set the missing one apart is judged as before.
    assert found["genres_differ"].verdict is published["genres_differ"]
    assert found["emerging_below_home"].verdict is SUPPORTED


def test_what_holds_whatever_the_others_are_called_is_still_told(frame):
    """Three quarters are from Europe; and one printed count that is wrong contradicts all three."""
    most = np.where(frame.index % 4 == 0, "N. America", "Europe")
    assert verdicts(frame.assign(region=most))["most_from_home"] is SUPPORTED
    few = np.where(frame.index % 4 == 0, "Europe", "N. America")
    assert verdicts(frame.assign(region=few))["most_from_home"] is UNTELLABLE
    genre = frame.genre.replace({"Sci-Fi": "SF", "Action": "Comedy"})
    measured = reduce(subscribers(frame.assign(genre=genre)))
    found = {f.claim.key: f for f in judge(NETFLIX.claims, measured)}["top_genres"]
    assert found.verdict is CONTRADICTED
    said = filled(found.evidence.said, found.evidence.values)
    assert said == f"Comedy {(genre == 'Comedy').sum():,}"
    others = verdicts(frame.assign(genre="News"))
    assert others["top_genres"] is others["last_genres"] is UNTELLABLE


def test_offers_that_raise_churn(frame):
    found = verdicts(frame.assign(promo_used=1 - frame.promo_used))
    assert found["offers_go_with_less"] is CONTRADICTED
    assert found["offers_reduce"] is UNTELLABLE
    assert found["offer_rates"] is CONTRADICTED
    alone = verdicts(frame.assign(promo_used=1))
    assert alone["offers_go_with_less"] is alone["offers_not_enough"] is UNTELLABLE


def test_offer_rates_as_printed(frame):
    """A table in which 64% of those without and 43% of those with offers churned."""
    frame = frame.head(3400)
    used = np.arange(len(frame)) % 2
    order = np.arange(len(frame)) // 2 % 100
    found = verdicts(frame.assign(
        promo_used=used, churned=(order < np.where(used == 1, 43, 64)).astype(int)))
    assert found["offer_rates"] is SUPPORTED
    assert found["rate_with"] is CONTRADICTED  # of the dashboard's customers


def test_churn_in_the_first_months(frame):
    months = np.where(frame.churned == 1, 1 + np.arange(len(frame)) % 3,
                      1 + np.arange(len(frame)) % 40)
    found = verdicts(frame.assign(subscription_months=months))
    for key in ("early_against_later", "early_against_first_year", "after_a_year",
                "churn_is_early"):
        assert found[key] is SUPPORTED, key
    assert found["churn_is_late"] is CONTRADICTED


def test_churn_in_the_second_year(frame):
    months = np.where(frame.churned == 1, 13 + np.arange(len(frame)) % 12,
                      1 + np.arange(len(frame)) % 24)
    found = verdicts(frame.assign(subscription_months=months))
    for key in ("early_against_later", "after_a_year", "at_a_year", "churn_is_early"):
        assert found[key] is CONTRADICTED, key
    assert found["churn_is_late"] is SUPPORTED
    assert found["early_against_first_year"] is UNTELLABLE  # nobody churned in either


def test_genres_that_differ(frame):
    found = verdicts(frame.assign(genre=np.where(frame.index % 3 == 0, "Drama", "Comedy")))
    assert found["genres_differ"] is SUPPORTED
    churned = (frame.genre.isin(["Drama", "Romance"]) & (frame.index % 4 == 0)).astype(int)
    assert verdicts(frame.assign(churned=churned))["genres_perform"] is SUPPORTED


def test_age_and_queries(frame):
    found = verdicts(frame.assign(support_queries=frame.age // 5))
    assert found["age_and_queries"] is CONTRADICTED
    # Seventy queries an age, whatever the number of subscribers.
    ages = frame.assign(age=20 + np.arange(len(frame)) // 70)
    found = verdicts(ages.assign(support_queries=1))
    assert found["queries_by_age"] is SUPPORTED
    assert found["age_and_queries"] is UNTELLABLE  # everybody logged as many


def test_those_who_churn_are_as_the_report_has_it_or_the_other_way_round(frame):
    """Little watching and engagement, many queries, few profiles, on tablets and mobiles, in Asia
    and South America."""
    keys = ("inactive_churn", "queries_and_churn", "engagement_and_churn", "many_profiles",
            "handheld_churn", "emerging_churn")
    for churn, expected in ((frame.churned == 1, SUPPORTED), (frame.churned == 0, CONTRADICTED)):
        noise = frame.index % 2
        found = verdicts(frame.assign(
            daily_watch_hours=np.where(churn, 1.0, 5.0) + noise,
            support_queries=np.where(churn, 9, 1) + noise,
            engagement_rate=np.where(churn, 2.0, 8.0) + noise,
            profiles=np.where(churn, 1, 4),
            device=np.where(churn, np.where(noise, "Tablet", "Mobile"), "Smart TV"),
            region=np.where(churn, np.where(noise, "Asia", "South America"), "Africa"),
        ))
        assert {key: found[key] for key in keys} == dict.fromkeys(keys, expected)
        assert found["regions_differ"] is SUPPORTED and found["family_plans"] is UNTELLABLE
        assert found["tv_highest"] is found["handheld_lower"] is SUPPORTED


@pytest.mark.parametrize("n", [1, 2, 3, 40])
def test_small_tables(frame, n):
    found = verdicts(frame.head(n))
    assert len(found) == len(NETFLIX.claims)
    decided = {c.key for c in NETFLIX.claims if c.kind.__name__ in ("Direction", "Difference")}
    if n < 40:
        assert {found[key] for key in decided} <= {NOT, UNTELLABLE}


def test_the_order_of_rows_does_not_matter(frame, published):
    assert verdicts(frame.sample(frac=1, random_state=3)) == published


def test_an_audit_says_which_tables_it_saw(frame):
    tables = Tables("netflix", "a test", False, False, {"subscribers": subscribers(frame)})
    found = audit(NETFLIX, tables)
    assert (found.origin, found.shipped, found.fallback) == ("a test", False, False)
    table = found.to_frame()
    assert list(table.index) == [claim.key for claim in NETFLIX.claims]
    row = table.loc["offers_go_with_less"]
    assert row.verdict == "supported" and row.kind == "direction"
    assert row.low < row.estimate < row.high < 0 and row.p_value < row.p_adjusted < 0.05
    assert np.isnan(table.loc["customers", "p_value"])
