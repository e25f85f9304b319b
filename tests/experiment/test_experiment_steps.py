"""Conversion by completions: R, statsmodels, planted effects, error rates, invariances."""

import json
import math
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from r_scripts import made_by_r
from scipy import stats

from analysis.experiment import steps as study
from analysis.experiment.steps import BOUNDED, EVERYTHING, OUTSIDE, last_against_first
from analysis.results import flatten
from analysis.simulate import trialers
from analysis.stats import two_proportions
from analysis.stats.two_proportions import Share

ORACLE = Path(__file__).parent / "oracle"
REFERENCE = json.loads((ORACLE / "steps.json").read_text())
CASES = ("rising", "flat", "falling")
KEYS = ["cohort", "attempted", "help", "completions", "converted"]
FAULTS = pd.DataFrame({
    "fault": ["conversion before last completion"], "cases": [0], "of": [0]})
NO_DATES = pd.DataFrame({"cohort": [], "completions": [], "converted": [], "customers": []}).assign(
    day=pd.array([], dtype="Int64"))


def paths_of(rows) -> pd.DataFrame:
    """Counts of customers by what they went through, as the reductions have them."""
    frame = pd.DataFrame(rows, columns=[*KEYS, "customers"])
    return frame.groupby(KEYS, as_index=False).customers.sum()


def from_table(n, won, help_="none") -> pd.DataFrame:
    """Paths from customers and converts by cohort (rows) and completions (columns)."""
    rows = []
    for i, cohort in enumerate(("Control", "Test")):
        for k, (of, good) in enumerate(zip(n[i], won[i], strict=True)):
            rows += [(cohort, min(k + 1, 3), help_, k, 1, good),
                     (cohort, min(k + 1, 3), help_, k, 0, of - good)]
    return paths_of([row for row in rows if row[-1]])


def of(paths, decisions=NO_DATES, faults=FAULTS) -> study.Steps:
    return study.steps(SimpleNamespace(paths=paths, decisions=decisions, faults=faults))


def from_reference(case) -> study.Steps:
    n, won = (np.reshape(REFERENCE[case][name], (2, 4)).astype(int)
              for name in ("customers", "converted"))
    return of(from_table(n.tolist(), won.tolist()))


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = made_by_r(ORACLE / "steps.R", tmp_path)
    for case, values in REFERENCE.items():
        for name, expected in values.items():
            np.testing.assert_allclose(fresh[case][name], expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_everything_equals_r(case):
    r, found = REFERENCE[case], from_reference(case)
    assert abs(found.trend.z) == pytest.approx(r["trend"][0], rel=1e-10)
    assert found.trend.p_value == pytest.approx(r["trend"][1], rel=1e-8)
    m = found.logistic
    np.testing.assert_allclose(
        [m.log_odds, m.standard_error, m.odds_ratio.low, m.odds_ratio.high, m.p_value],
        r["logit"], rtol=1e-6)
    np.testing.assert_allclose([m.curvature, m.curvature_p], r["curvature"], rtol=1e-6)
    assert found.interactions.ratio["cohort"] == pytest.approx(r["cohorts"], rel=1e-6)
    i = found.instrument
    # The effect on conversion has the interval that it has elsewhere, Newcombe's.
    assert i.conversion.method == two_proportions.difference(Share(1, 9), Share(2, 9)).method
    assert i.conversion.estimate == pytest.approx(i.estimate * i.completions.estimate)
    assert i.slope.estimate == pytest.approx(r["slope"], rel=1e-9)
    assert i.kind == BOUNDED
    np.testing.assert_allclose([i.low, i.high], r["rubin"], rtol=1e-7)
    c = found.finishing
    assert c.p_value == pytest.approx(r["finishing"][0], rel=1e-8)
    # R's own search for the limits stops at four digits or so.
    np.testing.assert_allclose([c.odds_ratio.low, c.odds_ratio.high], r["finishing"][1:], rtol=1e-4)


def test_the_cases_differ_in_what_they_show():
    rising, flat, falling = map(from_reference, CASES)
    assert rising.trend.slope > 0 > falling.trend.slope and flat.trend.p_value > 0.5
    assert rising.jumps.p_adjusted[3] < 1e-6 and flat.jumps.p_adjusted.min() > 0.05
    assert rising.logistic.curvature_p < 0.01 < flat.logistic.curvature_p
    assert rising.last_first.low > 0 and rising.last_first_odds.low > 1
    assert flat.instrument.p_value > 0.05


@pytest.mark.parametrize("case", CASES)
def test_models_equal_statsmodels_from_one_row_a_customer(case):
    r = REFERENCE[case]
    n, won = np.array(r["customers"], int), np.array(r["converted"], int)
    k = np.repeat(np.tile(np.arange(4), 2), n).astype(float)
    test = np.repeat(np.repeat([0.0, 1.0], 4), n)
    y = np.concatenate([np.repeat([1.0, 0.0], [w, m - w]) for w, m in zip(won, n, strict=True)])
    found = from_reference(case)
    ols = sm.OLS(y, sm.add_constant(k)).fit(cov_type="HC3")
    slope = found.instrument.slope
    np.testing.assert_allclose([slope.low, slope.high], ols.conf_int()[1], rtol=1e-8)
    # Each step with the cohort held equal, averaged over all customers.
    dummies = np.column_stack([k == 1, k == 2, k == 3, test]).astype(float)
    fit = sm.Logit(y, sm.add_constant(dummies)).fit(disp=0)

    def rate(level):
        x = np.column_stack([np.ones(len(k)), *(np.full(len(k), level == j) for j in (1, 2, 3)),
                             test])
        return fit.predict(x.astype(float)).mean()

    for step in (1, 2, 3):
        assert found.jumps.adjusted[step] == pytest.approx(rate(step) - rate(step - 1), rel=1e-6)
    assert (found.jumps.adjusted_low < found.jumps.adjusted).all()
    # The ratio of the two effects is two-stage least squares.
    first = sm.OLS(k, sm.add_constant(test)).fit()
    second = sm.OLS(y, sm.add_constant(first.fittedvalues)).fit()
    assert found.instrument.estimate == pytest.approx(second.params[1], rel=1e-8)


@settings(max_examples=80)
@given(x=st.lists(st.tuples(st.integers(0, 4), st.integers(1, 4)), min_size=2, max_size=4))
def test_the_trend_of_a_few_equals_every_way_of_dealing_them(x):
    n = [of for _, of in x]
    good = [min(y, of) for y, of in x]
    found = study.trend(good, n, range(len(n)))
    if found is None:
        assert sum(good) in (0, sum(n))
        return
    assert found.exact
    scores = np.arange(len(n)) - np.arange(len(n)) @ np.array(n) / sum(n)
    seen, total, extreme = abs(scores @ good), 0, 0
    for deal in product(*(range(of + 1) for of in n)):
        if sum(deal) == sum(good):
            ways = math.prod(math.comb(of, d) for of, d in zip(n, deal, strict=True))
            total += ways
            extreme += ways * (abs(scores @ deal) >= seen - 1e-9)
    assert found.p_value == pytest.approx(extreme / total, abs=0.02)


# The planted effects.


def lived(seed, scale, world=trialers.WORKS) -> pd.DataFrame:
    """Paths of a simulated day, from the tables' rows by pandas."""
    parts = []
    for frames in trialers.parts(seed, scale, world):
        a, asked = frames["product_activity"], frames["help_activity"]
        people = frames["test_cohorts"].merge(frames["conversion"]).set_index("customer_id")
        done = a[a.action == "complete"].drop_duplicates(["customer_id", "task"])
        tasks = pd.concat([a, asked]).drop_duplicates(["customer_id", "task"])
        first = asked.sort_values("timestamp").drop_duplicates(["customer_id", "task"])
        cs = (first.channel != "OTHER").groupby(first.customer_id).any()
        parts.append(pd.DataFrame({
            "cohort": people.cohort, "converted": people.converted,
            "attempted": tasks.groupby("customer_id").size().reindex(people.index, fill_value=0),
            "completions": done.groupby("customer_id").size().reindex(people.index, fill_value=0),
            "help": cs.map({True: "CS", False: "OTHER"}).reindex(people.index).fillna("none"),
        }))
    return pd.concat(parts).groupby(KEYS, as_index=False).size().rename(
        columns={"size": "customers"})


@pytest.fixture(scope="module")
def big() -> study.Steps:
    return of(lived(8, 4))


def test_the_plain_relation_is_the_planted_one_and_larger_than_the_effect(big):
    truth = trialers.EFFECTS["conversion"]
    for k, row in big.levels.iterrows():
        error = math.sqrt(row.rate * (1 - row.rate) / row.customers)
        assert abs(row.rate - truth["naive"][k]) < 3.5 * error
    gap = truth["causal"][3] - truth["causal"][2]
    assert big.jumps.low[3] > gap  # the plain step overstates the effect, and shows it
    assert big.logistic.curvature_p < 1e-6 and big.last_first_odds.low > 1
    assert big.groups.low["no trouble"] > 2  # without any help, too


def test_the_instrument_recovers_the_effect_of_a_completion(big):
    cohorts = trialers.EFFECTS["cohorts"]
    (c0, c1), (y0, y1) = cohorts["completions"], cohorts["converted"]
    for i in (big.instrument, big.instrument_trouble):
        assert i.kind == BOUNDED and i.f > 50
        assert abs(i.estimate - (y1 - y0) / (c1 - c0)) < 3.5 * (i.high - i.low) / 3.92
    # Those never in trouble add noise only.
    whole, part = big.instrument, big.instrument_trouble
    assert part.high - part.low < whole.high - whole.low
    assert abs(whole.completions.estimate - (c1 - c0)) < 3.5 * (
        whole.completions.high - whole.completions.low) / 3.92


def test_a_widget_that_annoys_breaks_the_instrument(big):
    """The limit that the chapter names: in this world the exclusion fails."""
    harms = of(lived(8, 4, trialers.HARMS)).instrument_trouble
    assert harms.completions.estimate == pytest.approx(
        big.instrument_trouble.completions.estimate)
    assert harms.high < big.instrument_trouble.estimate


# Error rates.


def cells(cohort, completions, converted) -> pd.DataFrame:
    """Customers and converts by cohort and completions, from one entry a customer."""
    place = 4 * cohort + completions
    n, won = np.bincount(place, minlength=8), np.bincount(place, converted, minlength=8)
    index = pd.MultiIndex.from_product([["Control", "Test"], range(4)],
                                       names=["cohort", "completions"])
    frame = pd.DataFrame({"customers": n, "converted": won.astype(int)}, index=index)
    return frame[frame.customers > 0]


def test_no_test_rejects_more_often_than_it_says():
    """People who are all alike; the study's own null world is simulated at length elsewhere."""
    rng, runs, p = np.random.default_rng(5), 80, []
    for _ in range(runs):
        n = 1_500
        counts = cells(rng.random(n) < 0.3, rng.binomial(3, 0.55, n), rng.random(n) < 0.27)
        level = counts.groupby("completions").sum()
        columns = level.converted, level.customers, level.index
        model = study.logistic(*columns)
        shares = {k: Share(*level.loc[k, ["converted", "customers"]]) for k in level.index}
        p.append([study.trend(*columns).p_value, model.p_value, model.curvature_p,
                  last_against_first(shares)[1], study.instrument(counts).p_value])
    rejected = np.mean(np.array(p) <= 0.05, axis=0)
    assert (np.abs(rejected - 0.05) < 2 * math.sqrt(0.05 * 0.95 / runs)).all(), rejected


@pytest.mark.parametrize("moved", [0.0, 0.45])
def test_the_instruments_interval_covers_however_weak_it_is(moved):
    """Motives move both completions and conversion; only the cohort is by lot."""
    rng, runs, n, effect = np.random.default_rng(6), 2_000, 600, 0.1
    test, held, kinds = np.arange(n) < 180, 0, set()
    for _ in range(runs):
        motive = rng.standard_normal(n)
        k = np.clip(np.round(1.5 + motive + moved * test), 0, 3)
        y = rng.random(n) < np.clip(0.2 + 0.1 * motive + effect * k, 0.01, 0.99)
        both = [np.cov(k[part], y[part]) / part.sum() for part in (test, ~test)]
        v = both[0] + both[1]
        kind, low, high = study.anderson_rubin(
            y[test].mean() - y[~test].mean(), k[test].mean() - k[~test].mean(),
            v[1, 1], v[0, 1], v[0, 0], stats.norm.isf(0.025))
        kinds.add(kind)
        held += (kind == EVERYTHING or (kind == BOUNDED and low <= effect <= high)
                 or (kind == OUTSIDE and not low < effect < high))
    assert abs(held / runs - 0.95) < 2 * math.sqrt(0.95 * 0.05 / runs)
    assert kinds == {BOUNDED, EVERYTHING, OUTSIDE} or moved


def test_the_band_of_the_curve_covers_all_of_it():
    rng, runs, n = np.random.default_rng(7), 40, 150
    truth = np.cumsum([0.3, 0.2, 0.2, 0.1, 0.1, 0.1])
    held = 0
    for _ in range(runs):
        days = pd.DataFrame({"day": rng.choice(6, n, p=np.diff(truth, prepend=0))})
        frame = days.groupby("day", as_index=False).size().rename(columns={"size": "customers"})
        frame = frame.assign(cohort="Test", completions=3, converted=1)
        curve = study._decisions(frame.astype({"day": "Int64"}), FAULTS).curve
        at = truth[curve.index]
        held += bool(((curve.low <= at + 1e-12) & (at <= curve.high + 1e-12)).all())
    assert held / runs > 0.95 - 2 * math.sqrt(0.95 * 0.05 / runs)


# Properties.


@settings(max_examples=200)
@given(dy=st.floats(-1, 1), dx=st.floats(-1, 1), sy=st.floats(0.01, 0.5), sx=st.floats(0.01, 0.5),
       r=st.floats(-0.9, 0.9), b=st.floats(-20, 20))
def test_the_set_is_what_it_is_defined_to_be(dy, dx, sy, sx, r, b):
    kind, low, high = study.anderson_rubin(dy, dx, sy**2, r * sx * sy, sx**2, 1.96)
    excess = (dy - b * dx) ** 2 - 1.96**2 * (sy**2 - 2 * b * r * sx * sy + b**2 * sx**2)
    if abs(excess) < 1e-9 or abs(dx**2 - 1.96**2 * sx**2) < 1e-9:
        return
    inside = (kind == EVERYTHING or (kind == BOUNDED and low <= b <= high)
              or (kind == OUTSIDE and (b <= low or b >= high)))
    assert inside == (excess <= 0)
    if kind == BOUNDED:
        assert low <= dy / dx <= high


def numbers(found: study.Steps) -> dict[str, float]:
    return {name: value for name, value in flatten(found).items()
            if isinstance(value, (int, float))}


def test_swapped_cohorts_and_shuffled_rows_change_nothing_else():
    paths = lived(9, 0.2)
    found = numbers(of(paths))
    assert numbers(of(paths.sample(frac=1, random_state=2))) == pytest.approx(found, rel=1e-8)
    swapped = paths.assign(cohort=paths.cohort.map({"Control": "Test", "Test": "Control"}))
    other = numbers(of(swapped))
    assert other["instrument.estimate"] == pytest.approx(found["instrument.estimate"])
    assert other["instrument.low"] == pytest.approx(found["instrument.low"])
    assert other["interactions.cohort.ratio"] == pytest.approx(
        1 / found["interactions.cohort.ratio"])
    assert other["jumps.3.adjusted"] == pytest.approx(found["jumps.3.adjusted"])
    assert other["groups.control.odds_ratio"] == found["groups.test.odds_ratio"]


def test_last_against_first_by_hand():
    shares = {0: Share(10, 100), 1: Share(30, 100), 2: Share(50, 100), 3: Share(90, 100)}
    gap, p, odds = last_against_first(shares)
    assert gap.estimate == pytest.approx(0.4 - 0.2)
    error = math.sqrt(sum(s.value * (1 - s.value) / 100 for s in shares.values()))
    assert p == pytest.approx(2 * stats.norm.sf(0.2 / error))
    assert odds.estimate == pytest.approx((90 / 10) / (50 / 50) / ((30 / 70) / (10 / 90)))
    assert last_against_first({0: Share(4, 100), **{k: shares[k] for k in (1, 2, 3)}})[0] is None


def test_days_of_decision_are_those_of_the_rows():
    rng = np.random.default_rng(3)
    rows = pd.DataFrame({"cohort": "Test", "completions": rng.integers(0, 4, 400),
                         "converted": rng.integers(0, 2, 400), "day": rng.integers(-1, 12, 400)})
    rows["day"] = rows.day.astype("Int64").mask((rows.converted == 0) | (rng.random(400) < 0.1))
    counts = rows.groupby(["cohort", "completions", "converted", "day"], dropna=False,
                          as_index=False).size().rename(columns={"size": "customers"})
    found = study._decisions(counts, FAULTS.assign(cases=[3], of=[10]))
    days = rows.day[(rows.converted == 1) & rows.day.notna()].astype(int)
    assert (found.converted, found.dated) == (rows.converted.sum(), len(days))
    for deadline in (0, 3, 7):
        assert found.deadlines.decided[deadline] == (days <= deadline).sum()
    assert found.curve.share.iloc[-1] == 1 and found.last == days.max()
    assert found.median == sorted(days)[math.ceil(len(days) / 2) - 1]
    every = days[rows.completions == 3]
    assert found.by_completions.loc[3, ["dated", "same_day"]].tolist() == [
        len(every), (every <= 0).sum()]
    assert found.before_completing.estimate == 0.3


@pytest.mark.parametrize("rows", [
    [("Control", 1, "none", 0, 0, 2), ("Test", 1, "none", 0, 0, 2)],
    [("Control", 3, "none", 3, 1, 2), ("Test", 3, "none", 3, 1, 2)],
    [("Control", 3, "none", 3, 1, 1), ("Test", 1, "OTHER", 0, 0, 1)],
    [("Control", 1, "none", 0, 0, 50), ("Control", 3, "CS", 3, 1, 50), ("Test", 1, "none", 0, 0, 9),
     ("Test", 3, "CS", 3, 1, 40)],
])
def test_odd_tables_give_numbers_by_name(rows):
    found = of(paths_of(rows))
    said = flatten(found)
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert found.customers == sum(row[-1] for row in rows)
    if len({row[3] for row in rows}) == 1:
        assert found.finishing is None and found.trend is None and found.jumps.empty
    else:
        assert found.logistic is None  # nobody converts below, everybody above: no finite estimate
