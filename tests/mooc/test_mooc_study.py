"""The whole study: what was planted comes out, nothing large is fetched, names are stable."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from ibis.backends.duckdb import Backend
from mooc_logs import as_tables, random_frames
from scipy import stats

from analysis import mooc
from analysis.mooc import segments, transactions
from analysis.mooc.funnels import STAGES


@pytest.fixture(scope="module")
def planted(mooc_tables, mooc_truth):
    """The shipped tables, without what a contract leaves out, and what is planted in them."""
    return {name: mooc_tables.table(name).to_pandas() for name in ("users", "orders")}, mooc_truth


@pytest.fixture(scope="module")
def study(mooc_study):
    return mooc_study


def test_planted_funnel_is_recovered(planted, study):
    """Counts by source are as far from their expectations as counts of yes and no are."""
    truth = planted[1]["funnel"].groupby("source").sum(numeric_only=True)
    # Some users' source was not recorded; they are a few of each.
    counts = study.funnel.by_source.drop("(not given)")
    recorded = (counts[STAGES[0]] / truth.users).rename("recorded")
    assert recorded.between(0.98, 1).all()
    for stage, column in zip(STAGES[1:], ("expected_enrolled", "expected_completed"), strict=True):
        expected = truth[column] * recorded
        z = (counts[stage] - expected) / np.sqrt(expected * (1 - expected / counts[STAGES[0]]))
        assert z.abs().max() < 4
    total = study.funnel.total.iloc[0]
    assert total[STAGES[0]] == len(planted[0]["users"])
    assert (study.funnel.any_order.iloc[0] >= total).all()


def test_completions_are_as_many_as_planted(planted, study):
    truth = planted[1]["enrolments"].groupby("course_id").completed_by_end.agg(["sum", "size"])
    frame = study.durations.by_course
    assert (frame.enrolments == truth["size"][frame.index]).all()
    # Out-of-order completions are dirt, a known share of them.
    kept = frame.completed.sum() / truth["sum"].sum()
    assert kept == pytest.approx(1, abs=0.03)
    variance = truth["sum"] * (1 - truth["sum"] / truth["size"])
    z = (frame.completed - kept * truth["sum"]) / np.sqrt(variance)
    assert z.abs().max() < 4.5
    # What is seen of the durations is short: those that take long are still censored.
    assert (frame.censored > 0).all()


def test_planted_pairs_stand_out_among_orders(planted, study):
    truth = planted[1]
    found = study.rules.pairs.baskets
    items = found.items.baskets
    pairs = found.pairs.baskets
    first, second = (items.reindex(pairs.index.get_level_values(i)).to_numpy() for i in (0, 1))
    lift = pairs * found.baskets / (first * second)
    together = {(a, b) for a, b, _ in truth["pairs"].itertuples(index=False)}
    is_planted = pd.Series([pair in together for pair in lift.index], lift.index)
    assert together <= set(lift.index)
    assert lift[is_planted].min() > lift[~is_planted].quantile(0.99)
    others = pairs[~is_planted].sum() / (first * second / found.baskets)[~is_planted].sum()
    assert others == pytest.approx(truth["lift_of_other_pairs"], rel=0.2)


def test_ladders_lead_up(planted, study):
    """The dearer course of a ladder follows the cheaper one more often than other firsts."""
    found, ladders = study.rules.sequences, planted[1]["ladders"]
    missed = []
    for lower, upper, _ in ladders.itertuples(index=False):
        assert found.pairs.price_ratio[(lower, upper)] > 1
        hits, goers = int(found.pairs.customers[(lower, upper)]), int(found.firsts.went_on[lower])
        share = (found.nexts.customers[upper] - hits) / (found.went_on - goers)
        assert hits / goers > 1.3 * share
        if stats.binomtest(hits, goers, share, "greater").pvalue > 0.05 / len(ladders):
            missed.append(upper)
    # A ladder to a course that many buy anyway can be too weak to tell.
    assert len(missed) <= 1


def test_repeat_purchases_fit_the_planted_rate(planted, study):
    """Mean repeat transactions are those that BG/NBD expects with the planted parameters."""
    parameters = planted[1]["bgnbd"]
    r, alpha, a, b = (parameters[name] for name in ("r", "alpha", "a", "b"))
    rng = np.random.default_rng(1)
    counts = study.value.transactions["all"].histories.reset_index()
    weeks = np.repeat(counts.age / 7, counts.customers)
    draws = []
    for _ in range(5):
        rate, leave = rng.gamma(r, 1 / alpha, len(weeks)), rng.beta(a, b, len(weeks))
        # E(X(t) | rate, leave), Fader, Hardie & Lee 2005, equation 8 before mixing.
        draws.append(-np.expm1(-rate * leave * weeks) / leave)
    expected = np.mean(draws)
    observed = (counts.frequency * counts.customers).sum() / counts.customers.sum()
    # Orders of one day are one transaction, so slightly fewer are seen.
    assert 0.9 * expected < observed < 1.04 * expected


def test_parts_agree_with_each_other(planted, study):
    frames = planted[0]
    revenue = frames["orders"].amount.sum()
    for frame in (study.products.by_course, study.products.by_category, study.channels.sold,
                  study.channels.monthly, study.channels.referrals, study.geography.countries):
        assert frame.revenue.sum() == pytest.approx(revenue)
        assert frame.units.sum() == len(frames["orders"])
    values = study.value.transactions["all"]
    assert values.customers == study.rules.sequences.customers == study.segments.rfm["orders"].users
    assert values.daily["first"].sum() == values.customers
    assert values.daily["repeat"].sum() == (
        values.histories.customers * values.histories.index.get_level_values("frequency")
    ).sum()
    held = study.value.transactions["calibration"]
    rows = values.daily[values.daily.index > held.split]
    early = held.histories.holdout_transactions.sum()
    assert 0 < early <= rows["repeat"].sum()
    assert study.funnel.by_country.sum().equals(study.funnel.by_source.sum())
    assert study.segments.migration.customers.sum() == values.customers
    assert study.cohorts.active_users.xs(0, level="months").sum() == len(frames["users"])


@pytest.fixture(scope="module")
def small():
    return random_frames(12, users=5_000)


@pytest.fixture(scope="module")
def watched(small):
    """The results of 5,000 users, and how many rows each query gave."""
    fetched = []

    def counted(method):
        def call(*arguments, **options):
            result = method(*arguments, **options)
            fetched.append(len(result) if hasattr(result, "__len__") else 1)
            return result

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("execute", "to_pyarrow"):
            patch.setattr(Backend, name, counted(getattr(Backend, name)))
        patch.delattr(Backend, "to_pyarrow_batches")
        return mooc.results(as_tables(small)), fetched


@pytest.fixture(scope="module")
def printed(watched):
    return watched[0]


def test_only_reduced_results_are_fetched(small, watched):
    """With 5,000 users no query returns as many rows, let alone one an event."""
    customers, (_, fetched) = small["orders"].user_id.nunique(), watched
    assert len(fetched) > 30
    assert max(fetched) < customers < 5_000 < len(small["events"]) / 5
    # Only the histories of customers come near them.
    assert sorted(fetched)[-6] < 1_000


def test_order_of_rows_and_ids_do_not_matter(small, printed):
    mixed = {n: f.sample(frac=1, random_state=7, ignore_index=True) for n, f in small.items()}
    for name in ("users", "events", "orders"):
        numbers = mixed[name].user_id.str[1:].astype(int)
        mixed[name]["user_id"] = "user-" + (90_000 - numbers).astype(str)
    mixed["orders"]["order_id"] = mixed["orders"].order_id.str[::-1] + "!"
    again = mooc.results(as_tables(mixed))
    assert again == {
        name: pytest.approx(value) if isinstance(value, float) else value
        for name, value in printed.items()
    }


def test_results_are_named_by_their_groups(small, printed):
    assert printed["scope.users"] == 5_000
    stage = "funnel.by_country_and_source.us.ads.enrolled_in_course"
    assert printed[stage] <= printed["funnel.by_country.us.enrolled_in_course"]
    assert printed["products.by_course.c9.units"] == 0
    assert printed["products.by_category.law.courses"] == 1
    assert "segments.rfm.orders.cells.5.5.5.users" in printed
    assert not any(f".{name}." in key for name in mooc.MATERIAL for key in printed)
    # Names that differ in signs only are told apart.
    counts = small["users"].user_occupation.value_counts()
    for group, job in (("c_developer", "C# Developer"), ("c_developer_2", "C++ Developer")):
        assert printed[f"audience.metrics.user_occupation.{group}.total_revenue.n"] == counts[job]
    assert all(not isinstance(v, float) or math.isfinite(v) for v in printed.values())


@pytest.mark.parametrize("name", ["users", "events", "orders", "courses"])
def test_a_table_without_rows_is_named(small, name):
    empty = small | {name: small[name].iloc[:0]}
    with pytest.raises(ValueError, match=f"no row in {name}"):
        mooc.analyse(as_tables(empty))


def test_few_weeks_of_orders_have_no_migration(small):
    early = small["orders"].order_timestamp < small["orders"].order_timestamp.min() + pd.Timedelta(
        days=5
    )
    tables = as_tables(small | {"orders": small["orders"][early]})
    orders, end = tables.table("orders"), small["orders"].order_timestamp[early].max().date()
    assert segments.segments(orders, tables.table("users"), end).migration is None
    assert transactions.transactions(orders, end).customers == early.groupby(
        small["orders"].user_id).any().sum()
