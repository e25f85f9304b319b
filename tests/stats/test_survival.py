"""Kaplan-Meier, log-rank and mean cumulative function against R, definitions and known truth."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.stats import survival
from analysis.stats.moments import Moments

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "survival.json").read_text())
CLUSTERED = json.loads((ORACLE / "clustered_survival.json").read_text())
SHARES = (0.1, 0.25, 0.5, 0.8)
Z = stats.norm.isf(0.025)


def counts(group):
    return tuple(REFERENCE["counts"][group][name] for name in ("time", "events", "censored"))


def close(found, expected, **limits):
    np.testing.assert_allclose(found, expected, **({"rtol": 1e-10, "atol": 1e-13} | limits))


@pytest.mark.parametrize(
    ("name", "committed"), [("survival", REFERENCE), ("clustered_survival", CLUSTERED)])
def test_r_still_gives_the_committed_values(tmp_path, name, committed):
    fresh = made_by_r(ORACLE / f"{name}.R", tmp_path)

    def same(a, b):
        if isinstance(b, dict):
            assert a.keys() == b.keys()
            for key in b:
                same(a[key], b[key])
        else:
            close(a, b, rtol=1e-7)

    same(fresh, committed)


@pytest.mark.parametrize("group", list(REFERENCE["curves"]))
def test_curve_equals_r(group):
    found, r = survival.kaplan_meier(*counts(group)), REFERENCE["curves"][group]
    close(found.time, r["time"])
    close(found.survival, r["survival"])
    close(found.standard_error, r["error"])
    close(found.low, r["low"])
    close(found.high, r["high"])
    for share, value, low, high in zip(
        SHARES, r["quantile"], r["quantile_low"], r["quantile_high"], strict=True
    ):
        q = found.quantile(share)
        # R calls missing what is not reached.
        expected = [math.inf if math.isnan(x) else x for x in (value, low, high)]
        assert [q.estimate, q.low, q.high] == expected
    mean = found.restricted_mean(r["until"])
    close([mean.estimate, mean.high - mean.estimate], [r["mean"], Z * r["mean_error"]])


@pytest.mark.parametrize(("name", "groups"), [("two", "ab"), ("three", "abc")])
def test_log_rank_equals_r(name, groups):
    found = survival.log_rank({group: counts(group) for group in groups})
    r = REFERENCE["logrank"][name]
    close([found.statistic, found.df, found.p_value], [r["statistic"], r["df"], r["p"]])
    close(found.groups["observed"], r["observed"])
    close(found.groups["expected"], r["expected"])
    assert list(found.groups["n"]) == [sum(counts(g)[1]) + sum(counts(g)[2]) for g in groups]
    assert (found.hazard_ratio is None) == (len(groups) > 2)


def test_observed_and_expected_agree_in_total_and_order_does_not_matter():
    groups = {name: counts(name) for name in "abc"}
    one = survival.log_rank(groups)
    other = survival.log_rank(dict(reversed(groups.items())))
    close(one.groups["observed"].sum(), one.groups["expected"].sum())
    close([one.statistic, one.p_value], [other.statistic, other.p_value])
    ab, ba = (survival.log_rank({n: groups[n] for n in names}) for names in ("ab", "ba"))
    close([ab.hazard_ratio.value, ab.hazard_ratio.low, ab.hazard_ratio.high],
          [1 / ba.hazard_ratio.value, 1 / ba.hazard_ratio.high, 1 / ba.hazard_ratio.low])


def test_a_group_that_left_before_the_first_event_does_not_count():
    early = ([0.5], [0], [4])
    with_it = survival.log_rank({"a": counts("a"), "c": counts("c")} | {"early": ([0], [0], [3])})
    late = {name: (np.array(counts(name)[0]) + 1, *counts(name)[1:]) for name in "ac"}
    assert survival.log_rank(late | {"early": early}).df == 1
    assert with_it.df == 2  # at risk at the events of day 0


def rows_of(*groups):
    """User, time and status of R's clustered rows, of some groups."""
    r = {name: np.array(CLUSTERED[name]) for name in ("user", "group", "time", "status")}
    here = np.isin(r["group"], groups)
    return r["user"][here], r["time"][here], r["status"][here] == 1


def by_day(time, event):
    return time, event.astype(int), (~event).astype(int)


def summed_by_cluster(curve, influence, user, time, event):
    """Squares of the sums over each user's subjects."""
    place = np.searchsorted(curve.time, time)
    each = np.where(event, influence[0][place], influence[1][place])
    return (np.bincount(user, each) ** 2).sum()


def test_clustered_errors_equal_r():
    user, time, event = rows_of(*range(1, 7))
    curve = survival.kaplan_meier(*by_day(time, event))
    for at, error, naive in zip(
        CLUSTERED["at"], CLUSTERED["error"], CLUSTERED["naive_error"], strict=True
    ):
        influence = curve.survival_influence(at)
        close(math.sqrt(summed_by_cluster(curve, influence, user, time, event)), error)
        close(curve.error_at(at), naive)
    influence = curve.mean_influence(CLUSTERED["until"])
    close(math.sqrt(summed_by_cluster(curve, influence, user, time, event)),
          CLUSTERED["mean_error"])


@pytest.mark.parametrize(("name", "groups"), [("pair", (1, 6)), ("other_pair", (2, 3))])
def test_robust_log_rank_equals_the_robust_score_test_of_r(name, groups):
    parts = [rows_of(group) for group in groups]
    counts = [by_day(*part[1:]) for part in parts]
    test = survival.log_rank(dict(zip("ab", counts, strict=True)))
    close(test.statistic, CLUSTERED[name]["plain"])
    close(test.groups["expected"], CLUSTERED[name]["expected"])
    scores = survival.log_rank_scores(*counts)
    excess, variance = 0.0, 0.0
    for group, (user, time, event) in zip("ab", parts, strict=True):
        mine = scores[scores["group"] == group]
        place = np.searchsorted(mine["time"], time)
        each = np.where(event, mine["event"].to_numpy()[place], mine["censored"].to_numpy()[place])
        excess += each.sum()
        variance += (np.bincount(user, each) ** 2).sum()
    close(excess, test.groups["observed"][0] - test.groups["expected"][0])
    close(excess**2 / variance, CLUSTERED[name]["robust"], rtol=1e-9)


def test_six_groups_and_their_medians_equal_r():
    parts = {f"g{group}": by_day(*rows_of(group)[1:]) for group in range(1, 7)}
    test, r = survival.log_rank(parts), CLUSTERED["six"]
    close([test.statistic, test.df, test.p_value], [r["statistic"], r["df"], r["p"]])
    close(test.groups["observed"], r["observed"])
    close(test.groups["expected"], r["expected"])
    for name, counted in parts.items():
        curve, r = survival.kaplan_meier(*counted), CLUSTERED["medians"][name]
        for share, value, low, high in zip(
            (0.25, 0.5), r["value"], r["low"], r["high"], strict=True
        ):
            found = curve.quantile(share)
            expected = [math.inf if math.isnan(x) else x for x in (value, low, high)]
            assert [found.estimate, found.low, found.high] == expected


tables = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12
).filter(lambda rows: sum(d + c for _, d, c in rows) > 0)


@settings(max_examples=80)
@given(rows=tables)
def test_survival_is_the_product_over_days_and_stays_within_its_limits(rows):
    found = survival.kaplan_meier(*zip(*rows, strict=True))
    people = [(t, 1) for t, d, _ in rows for _ in range(d)]
    people += [(t, 0) for t, _, c in rows for _ in range(c)]
    s = 1.0
    for t in sorted({t for t, _ in people}):
        at_risk = sum(u >= t for u, _ in people)
        s *= 1 - sum(u == t and event for u, event in people) / at_risk
        here = found.survival_at(t)
        assert here.estimate == pytest.approx(s, abs=1e-12)
        if s > 0:
            assert 0 <= here.low <= here.estimate + 1e-12 <= here.high + 2e-12 <= 1 + 3e-12
        bought = found.share_at(t)
        close([bought.estimate, bought.low, bought.high],
              [1 - here.estimate, 1 - here.high, 1 - here.low])
    assert found.n == len(people)
    close(found.hazard, found.events / found.at_risk)


@settings(max_examples=60)
@given(rows=tables, seed=st.integers(0, 99), unit=st.sampled_from([0.5, 7.0]))
def test_order_of_rows_splits_and_units_do_not_matter(rows, seed, unit):
    whole = survival.kaplan_meier(*zip(*rows, strict=True))
    split = [part for t, d, c in rows for part in ((t, d, 0), (t, 0, c))]
    np.random.default_rng(seed).shuffle(split)
    other = survival.kaplan_meier(*zip(*split, strict=True))
    for name in ("time", "survival", "low", "high", "standard_error"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))
    t, d, c = zip(*rows, strict=True)
    scaled = survival.kaplan_meier(unit * np.array(t), d, c)
    np.testing.assert_array_equal(scaled.survival, whole.survival)
    assert scaled.quantile(0.3).estimate == unit * whole.quantile(0.3).estimate


@settings(max_examples=60)
@given(rows=tables, at=st.integers(0, 12))
def test_influences_sum_to_nothing_and_their_squares_to_greenwood(rows, at):
    """Each the derivative by a subject's weight: seen by making one kind of subject heavier."""
    curve = survival.kaplan_meier(*zip(*rows, strict=True))
    until = at + 1
    if until > curve.time[-1]:
        return
    mean = curve.restricted_mean(until)
    for (event, censored), error in (
        (curve.survival_influence(at), curve.error_at(at)),
        (curve.mean_influence(until), (mean.high - mean.estimate) / Z),
    ):
        close(curve.events @ event + curve.censored @ censored, 0, atol=1e-12)
        squares = curve.events @ event**2 + curve.censored @ censored**2
        close(math.sqrt(squares), 0 if math.isnan(error) else error, atol=1e-9)
    weight, place = 10**6, int(np.flatnonzero(curve.events + curve.censored)[0])
    d, c = weight * curve.events, weight * curve.censored
    heavier = c + (np.arange(len(c)) == place)
    moved = survival.kaplan_meier(curve.time, d, heavier)
    for before, after, influence in (
        (curve.survival_at(at), moved.survival_at(at), curve.survival_influence(at)),
        (mean, moved.restricted_mean(until), curve.mean_influence(until)),
    ):
        close((after.estimate - before.estimate) * weight, influence[1][place], rtol=1e-3,
              atol=1e-4)


def test_intervals_that_allow_for_clusters_cover_where_the_textbook_does_not():
    """200 samples in which a user's five subjects have one hazard in common."""
    rng = np.random.default_rng(4)
    truth = 1 / (1 + 0.8)  # of a gamma(1) frailty at 8 of a mean of 10
    covered = np.zeros(2)
    user = np.repeat(np.arange(60), 5)
    for _ in range(200):
        hazard = rng.gamma(1, 0.1, 60)[user]
        t, c = rng.exponential(1 / hazard), rng.uniform(0, 30, user.size)
        time, event = np.minimum(t, c), t <= c
        curve = survival.kaplan_meier(*by_day(time, event))
        squares = summed_by_cluster(curve, curve.survival_influence(8), user, time, event)
        wide = curve.widened(math.sqrt(squares) / curve.error_at(8))
        covered += [wide.survival_at(8).contains(truth), curve.survival_at(8).contains(truth)]
    assert abs(covered[0] / 200 - 0.95) < 3.5 * math.sqrt(0.05 * 0.95 / 200), covered
    assert covered[1] / 200 < 0.88


def test_widened_limits_are_those_of_the_larger_error():
    curve = survival.kaplan_meier(*counts("a"))
    wide = curve.widened(2)
    close(wide.standard_error, 2 * curve.standard_error)
    inside = (curve.survival > 0) & (curve.survival < 1)

    def reach(c):
        return np.log(-np.log(c.low[inside])) - np.log(-np.log(c.survival[inside]))

    close(reach(wide), 2 * reach(curve))
    np.testing.assert_array_equal(curve.widened(1).low, curve.low)
    assert wide.quantile(0.25).estimate == curve.quantile(0.25).estimate
    assert wide.quantile(0.25).high >= curve.quantile(0.25).high
    with pytest.raises(ValueError, match="factor"):
        curve.widened(0)


def test_without_censoring_it_is_the_plain_share_and_the_plain_mean():
    t = np.array([0, 1, 1, 3, 4, 4, 4, 9])
    found = survival.kaplan_meier(t, np.ones(8), np.zeros(8))
    for day in range(10):
        assert found.survival_at(day).estimate == pytest.approx((t > day).mean())
    mean = found.restricted_mean(50)
    m = Moments.of(t)
    assert mean.estimate == pytest.approx(m.mean)
    # Greenwood's variance has the divisor n where the sample variance has n - 1.
    assert mean.high - mean.estimate == pytest.approx(Z * m.standard_error * math.sqrt(7 / 8))
    assert found.restricted_mean(3.5).estimate == pytest.approx(np.minimum(t, 3.5).mean())


def test_intervals_cover_the_truth_of_censored_data():
    """200 samples of exponential times, half of them censored: 95% intervals cover 95%."""
    rng = np.random.default_rng(8)
    covered = np.zeros(3)
    for _ in range(200):
        t, c = rng.exponential(10, 120), rng.uniform(0, 20, 120)
        seen = np.minimum(t, c)
        found = survival.kaplan_meier(seen, t <= c, t > c)
        covered += [
            found.survival_at(8).contains(math.exp(-0.8)),
            found.quantile(0.5).contains(10 * math.log(2)),
            found.restricted_mean(9).contains(10 * (1 - math.exp(-0.9))),
        ]
    assert (np.abs(covered / 200 - 0.95) < 3.5 * math.sqrt(0.95 * 0.05 / 200)).all(), covered


def test_log_rank_keeps_its_level_and_the_hazard_ratio_its_truth():
    rng = np.random.default_rng(3)
    rejected, covered = 0, 0
    for _ in range(200):
        groups = {}
        for name, scale in (("a", 10), ("same", 10), ("slow", 14)):
            t, c = rng.exponential(scale, 90), rng.uniform(0, 25, 90)
            groups[name] = (np.minimum(t, c), t <= c, t > c)
        rejected += survival.log_rank({n: groups[n] for n in ("a", "same")}).p_value <= 0.05
        ratio = survival.log_rank({n: groups[n] for n in ("a", "slow")}).hazard_ratio
        covered += ratio.low <= 1.4 <= ratio.high
    error = math.sqrt(0.05 * 0.95 / 200)
    assert abs(rejected / 200 - 0.05) < 3.5 * error
    assert abs(covered / 200 - 0.95) < 3.5 * error


def test_beyond_the_last_time_nothing_is_said():
    found = survival.kaplan_meier(*counts("a"))
    for ask in (found.survival_at, found.share_at, found.error_at, found.restricted_mean):
        with pytest.raises(ValueError, match="nobody was observed beyond 31"):
            ask(31.5)
    gone = survival.kaplan_meier(*counts("c"))
    assert gone.survival_at(1000).estimate == 0
    assert gone.restricted_mean(1000).estimate == pytest.approx(
        gone.restricted_mean(14).estimate)
    assert found.survival_at(0).estimate < 1  # events on day 0 count on day 0
    assert gone.survival_at(0.5).estimate == 1 and gone.error_at(0.5) == 0


@pytest.mark.parametrize(("arguments", "message"), [
    (([1, 2], [1], [0, 0]), "equal lengths"),
    (([-1, 2], [1, 1], [0, 0]), "time: must be at least 0"),
    (([1, 2], [1, 0.5], [0, 0]), "events: must be whole"),
    (([1, 2], [1, 1], [0, -1]), "censored: must be whole"),
    (([1, 2], [0, 0], [0, 0]), "no subjects"),
    (([1, math.nan], [1, 1], [0, 0]), "time: every value must be a finite number"),
])
def test_bad_counts_get_one_clear_error(arguments, message):
    with pytest.raises(ValueError, match=message):
        survival.kaplan_meier(*arguments)


def test_log_rank_needs_two_groups_and_an_event():
    with pytest.raises(ValueError, match="at least 2"):
        survival.log_rank({"a": counts("a")})
    with pytest.raises(ValueError, match="no event"):
        survival.log_rank({"a": ([3], [0], [5]), "b": ([2], [0], [5])})
    with pytest.raises(ValueError, match="no event"):  # one is gone before the other's events
        survival.log_rank({"a": ([9], [4], [0]), "b": ([2], [0], [5])})


def blocks(spans, amounts):
    """The arguments of `mean_cumulative`, by their definition."""
    k = amounts.shape[1]
    there = [spans > j for j in range(k)]
    at_risk = [rows.sum() for rows in there]
    carried, products = np.zeros((k, k)), np.zeros((k, k))
    for i in range(k):
        for j in range(i, k):
            carried[i, j] = amounts[there[j], i].sum()
            products[i, j] = (amounts[there[j], i] * amounts[there[j], j]).sum()
    return at_risk, carried, products


def test_mean_cumulative_function_equals_r():
    r = REFERENCE["recurrent"]
    events = np.array(r["events"]).reshape(40, 6)
    found = survival.mean_cumulative(*blocks(np.array(r["spans"]), np.nan_to_num(events)))
    close(found.mean, r["mean"])
    close(found.standard_error, r["error"])


def test_mean_cumulative_function_without_censoring_is_the_mean():
    x = np.random.default_rng(1).lognormal(1, 1, (50, 4))
    found = survival.mean_cumulative(*blocks(np.full(50, 4), x))
    total = x.cumsum(axis=1)
    close(found.mean, total.mean(axis=0))
    close(found.standard_error, total.std(axis=0) / math.sqrt(50))
    close(np.log(found.high / found.mean), Z * found.standard_error / found.mean)
    close(found.low * found.high, found.mean**2)


def test_mean_cumulative_function_covers_the_truth():
    """Subjects who spend more do so in every span; a random part leaves in each."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(200):
        spans = rng.integers(1, 6, 300)
        amounts = rng.gamma(0.7, 1, (300, 1)) * rng.poisson(1.0, (300, 5)) * 3
        amounts[np.arange(5) >= spans[:, None]] = 0
        found = survival.mean_cumulative(*blocks(spans, amounts))
        covered += found.low[-1] <= 5 * 0.7 * 3 <= found.high[-1]
    assert abs(covered / 200 - 0.95) < 3.5 * math.sqrt(0.05 * 0.95 / 200)


def test_mean_cumulative_function_rejects_what_does_not_fit():
    with pytest.raises(ValueError, match="square"):
        survival.mean_cumulative([2, 1], np.zeros((1, 2)), np.zeros((2, 2)))
    with pytest.raises(ValueError, match="never grow"):
        survival.mean_cumulative([1, 2], np.zeros((2, 2)), np.zeros((2, 2)))
    nothing = survival.mean_cumulative([2, 1], np.zeros((2, 2)), np.zeros((2, 2)))
    assert (nothing.mean == 0).all() and np.isnan(nothing.low).all()
