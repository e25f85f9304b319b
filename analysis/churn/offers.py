"""Promotional offers and late payment: two readings of one table, and what else could explain it.

A table of four counts has two sets of shares. P(churned | offer) is a churn rate; P(offer |
churned) is the share of those who used an offer among the churned. `Offers.matches` holds the
figures that the source prints as churn rates against all of them.

Whether the association of an offer (or of paying late) with churn is that of something else is
looked at in strata: `Offers.strata` compares subscribers who are alike in payment, plan or length
of subscription, `Offers.common` joins the strata. What is not in the table cannot be held equal;
how strong it would have to be is told by E-values.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from analysis.churn import lengths
from analysis.churn.reductions import Reductions, churn_counts
from analysis.stats import association, stratified, two_proportions
from analysis.stats.multiplicity import holm
from analysis.stats.stratified import Conditional
from analysis.stats.two_proportions import Share

SEED = 1959
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
RESAMPLES = 9_999
OFFER, PAYMENT, PLAN, LENGTH = "promo_used", "payment_history", "plan", "length"
STRATIFIERS = (OFFER, PAYMENT, PLAN, LENGTH)
TOGETHER = "together"  # strata alike in all stratifiers
# What is compared, with the value of those who are exposed to it, and that of the others.
FACTORS = {OFFER: ("Yes", "No"), PAYMENT: ("Delayed", "On-Time")}
# What the source prints as churn rates of those without and with an offer, and how finely.
CLAIMED = {"No": 0.64, "Yes": 0.43}
PRINTED = 0.01
MOST_PLANS = 8  # that stand for themselves
OTHER_PLANS = "all other"
LEAST_EXPECTED = 5  # in a cell, for large-sample tests

COUNTS = ["exposed", "exposed_churned", "others", "others_churned"]


@dataclass(frozen=True)
class Offers:
    """Offers used and late payment against churn.

    Attributes:
        subscribers, churned: In the table.
        effects: Index `factor`, of `FACTORS`: those with its first value, `exposed`, of whom
            `exposed_churned`, their `exposed_rate`; the same of the `others`; the first rate less
            the other, `difference` with `_low`, `_high` (Newcombe), and over it, `ratio` (Katz;
            missing where a rate is 0); `odds_ratio` (limits of Woolf, or exact conditional where a
            cell is expected to hold fewer than `LEAST_EXPECTED`; infinite where nothing bounds it);
            `p_value`, `method`, `p_adjusted` (Holm); `e_value` and `e_value_limit` of the ratio
            (see `e_value`). A factor of which the table has one value is left out.
        claims: Index `claim` (a value of `OFFER`): `claimed`, the source's figure; `actual`, the
            churn rate of that value (missing where nobody has it); `same`, whether they agree as
            printed.
        implied_rate: Overall churn rate if the claimed ones were true, given how many used an
            offer.
        possible: Whether the overall churn rate lies between the claimed ones, as printed: a whole
            is never beyond both of its parts.
        matches: Index `claim`, `reading` ("of_value", "of_status"), `value`, `churned` ("Yes",
            "No"): the shares of `Reductions.readings` that round to the claimed figure, `share`.
        strata: Index `factor`, `by` (of `STRATIFIERS`; lengths in the windows of `lengths`),
            `stratum`: counts and rates as in `effects`; `difference` with limits (missing where
            either group is empty); `informative`, whether both groups and both statuses are there;
            where they are, `odds_ratio` with limits (exact conditional; infinite where nothing
            bounds it).
        common: Index `factor`, `by` (also `TOGETHER`), where a stratum is informative: how many
            `strata` are, their `subscribers`; the common `odds_ratio` with limits
            (Mantel-Haenszel; exact conditional where that has none), `p_value`
            (Cochran-Mantel-Haenszel, or exact), `method`, `p_adjusted` (Holm, over all rows); the
            common `ratio` of rates with limits (Greenland & Robins), its `e_value` and
            `e_value_limit`; whether the odds ratios of the strata are equal, `homogeneity` (Breslow
            & Day, Tarone), `homogeneity_df`, `homogeneity_p`, `homogeneity_method`,
            `homogeneity_p_adjusted` (Holm, over all rows; missing with fewer than two informative
            strata or an odds ratio without bounds); `same_side`, informative strata with an odds
            ratio on the side of 1 where the whole table's is, `other_side`, and
            `other_side_shown`, those whose interval leaves out 1.
        tied: Index `factor`, `by`: whether the stratifier goes with the factor at all, without
            which it cannot explain anything: Cramér's V (bias-corrected) `v`, `v_low`, `v_high`,
            `p_value`, `p_adjusted` (Holm). Left out where either has one value.
        pooled_plans: How many plans stand together as `OTHER_PLANS`, beyond the `MOST_PLANS`
            largest.
    """

    subscribers: int
    churned: int
    effects: pd.DataFrame
    claims: pd.DataFrame
    implied_rate: float
    possible: bool
    matches: pd.DataFrame
    strata: pd.DataFrame
    common: pd.DataFrame
    tied: pd.DataFrame
    pooled_plans: int


def offers(base: Reductions, table: ir.Table) -> Offers:
    """Compares offers and payments in the whole table and in strata of the rest.

    Args:
        base: The reduced subscribers.
        table: netflix/subscribers.
    """
    cells, pooled = _cells(table)
    whole = {factor: _tables(cells, factor, ()).iloc[0] for factor in FACTORS}
    others = {factor: [by for by in STRATIFIERS if by != factor] for factor in FACTORS}
    strata = {
        (factor, by): _tables(cells, factor, (by,)) for factor in FACTORS for by in others[factor]
    }
    together = {(factor, TOGETHER): _tables(cells, factor, others[factor]) for factor in FACTORS}
    claims, implied, possible = _claims(whole[OFFER])
    return Offers(
        subscribers=base.subscribers,
        churned=base.churned,
        effects=_effects(whole),
        claims=claims,
        implied_rate=implied,
        possible=possible,
        matches=_matches(base.readings[OFFER]),
        strata=_in_strata(strata),
        common=_common(whole, strata | together),
        tied=_tied(strata),
        pooled_plans=pooled,
    )


def _cells(table: ir.Table) -> tuple[pd.DataFrame, int]:
    """Counts by offer, payment, plan and window of length, small plans pooled; and how many are."""
    above = [(table.subscription_months > end).ifelse(1, 0) for end in lengths.WINDOWS]
    frame = churn_counts(table, **{
        OFFER: table[OFFER], PAYMENT: table[PAYMENT], PLAN: table[PLAN],
        LENGTH: sum(above, ibis.literal(0)),
    }).to_pandas()
    ends = (None, *lengths.WINDOWS, None)
    windows = [lengths.window(span) for span in itertools.pairwise(ends)]
    frame[OFFER] = np.where(frame[OFFER].astype(int) == 1, *FACTORS[OFFER])
    sizes = frame.groupby(PLAN)["subscribers"].sum().sort_index()
    kept = sizes.sort_values(ascending=False, kind="stable").index[:MOST_PLANS]
    frame[PLAN] = frame[PLAN].where(frame[PLAN].isin(kept), OTHER_PLANS)
    levels = {
        OFFER: FACTORS[OFFER], PAYMENT: FACTORS[PAYMENT], PLAN: sorted(set(frame[PLAN])),
        LENGTH: windows,
    }
    frame[LENGTH] = [windows[place] for place in frame[LENGTH]]
    for name, order in levels.items():
        frame[name] = pd.Categorical(frame[name], order)
    sums = frame.groupby(list(STRATIFIERS), observed=True)[["subscribers", "churned"]].sum()
    return sums.astype("int64").reset_index(), max(0, len(sizes) - MOST_PLANS)


def _tables(cells: pd.DataFrame, factor: str, by: Sequence[str]) -> pd.DataFrame:
    """A factor's counts, `COUNTS`, in each stratum."""
    keys = [cells[name] for name in by] or [pd.Series(0, cells.index, name="all")]
    counts = {}
    for value, name in zip(FACTORS[factor], ("exposed", "others"), strict=True):
        mine = cells[factor] == value
        counts[name] = cells["subscribers"] * mine
        counts[f"{name}_churned"] = cells["churned"] * mine
    return pd.DataFrame(counts, columns=COUNTS).groupby(keys, observed=True).sum()


def _shares(row: pd.Series) -> tuple[Share, Share]:
    return (Share(int(row["exposed_churned"]), int(row["exposed"])),
            Share(int(row["others_churned"]), int(row["others"])))


def _compared(row: pd.Series) -> dict[str, float]:
    """Rates and their difference, as far as either group is there."""
    found = {name: row[name] for name in COUNTS}
    for name in ("exposed", "others"):
        found[f"{name}_rate"] = row[f"{name}_churned"] / row[name] if row[name] else math.nan
    ends = (math.nan,) * 3
    if row["exposed"] and row["others"]:
        gap = two_proportions.difference(*_shares(row), CONFIDENCE)
        ends = (gap.estimate, gap.low, gap.high)
    return found | dict(zip(("difference", "difference_low", "difference_high"), ends, strict=True))


def _margins(tables: pd.DataFrame) -> tuple[np.ndarray, ...]:
    """Counts as `stratified` takes them: exposed and churned, exposed, churned, all."""
    a, exposed, c, others = (
        tables[name].to_numpy(float)
        for name in ("exposed_churned", "exposed", "others_churned", "others")
    )
    return a, exposed, a + c, exposed + others


def _informative(tables: pd.DataFrame) -> pd.Series:
    """Strata with both groups and both statuses."""
    churned = tables["exposed_churned"] + tables["others_churned"]
    n = tables["exposed"] + tables["others"]
    return (tables["exposed"] > 0) & (tables["others"] > 0) & (churned > 0) & (churned < n)


def _large(tables: pd.DataFrame) -> bool:
    """Whether every cell is expected to hold `LEAST_EXPECTED` where nothing is associated."""
    _, row, column, n = _margins(tables)
    cells = [r * c / n for r in (row, n - row) for c in (column, n - column)]
    return bool(np.min(cells) >= LEAST_EXPECTED)


def e_value(ratio: float, low: float, high: float) -> tuple[float, float]:
    """The E-value of a ratio of rates and of its confidence limit (VanderWeele & Ding 2017).

    An unmeasured cause of churn can explain a ratio away, or move its limit to 1, only if it goes
    with the exposure and with churn by ratios of at least this each, beyond what is held equal.

    Returns:
        Both values, from 1 up; that of the limit is 1 where the interval holds 1. Missing where
        the ratio is.
    """
    if not ratio > 0:
        return math.nan, math.nan
    near = 1.0 if low <= 1 <= high else (high if ratio < 1 else low)

    def strength(value: float) -> float:
        away = max(value, 1 / value)
        return away + math.sqrt(away * (away - 1))

    return strength(ratio), strength(near)


def _effects(whole: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Each factor's effect in the whole table."""
    rows = []
    for factor, row in whole.items():
        if not (row["exposed"] and row["others"]):
            continue
        a, b = _shares(row)
        ratio = two_proportions.ratio(a, b, CONFIDENCE)
        ends = (ratio.value, ratio.low, ratio.high) if ratio else (math.nan,) * 3
        tables = row.to_frame().T
        odds = (math.nan,) * 3
        p, method = 1.0, "none"
        if _informative(tables).all():
            odds = _odds(tables, exact=not _large(tables))
            test = association.association(
                [[a.successes, a.n - a.successes], [b.successes, b.n - b.successes]])
            p, method = test.p_value, test.method
        found = {"factor": factor} | _compared(row)
        found |= _named("ratio", ends) | _named("odds_ratio", odds)
        found |= {"p_value": p, "method": method}
        found |= dict(zip(("e_value", "e_value_limit"), e_value(*ends), strict=True))
        rows.append(found)
    columns = [
        "factor", *COUNTS, "exposed_rate", "others_rate", *_names("difference"), *_names("ratio"),
        *_names("odds_ratio"), "p_value", "method", "e_value", "e_value_limit",
    ]
    frame = pd.DataFrame(rows, columns=columns).set_index("factor")
    frame["p_adjusted"] = holm(frame["p_value"].astype(float))
    return frame


def _names(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _named(name: str, ends: Sequence[float]) -> dict[str, float]:
    return dict(zip(_names(name), map(float, ends), strict=True))


def _odds(tables: pd.DataFrame, exact: bool = False) -> tuple[float, float, float]:
    """The common odds ratio of informative tables with its limits."""
    counts = _margins(tables)
    if not exact:
        found = stratified.mantel_haenszel(*counts, CONFIDENCE)
        if math.isfinite(found.low):
            return float(found.estimate), float(found.low), float(found.high)
    return _exact_odds(*counts)


def _exact_odds(
    both: ArrayLike, exposed: ArrayLike, churned: ArrayLike, n: ArrayLike
) -> tuple[float, float, float]:
    """The same, exact conditional; of `_margins`, or of one table's."""
    interval = Conditional.of(both, exposed, churned, n).interval(CONFIDENCE)
    return interval.estimate, interval.low, interval.high


def _claims(whole: pd.Series) -> tuple[pd.DataFrame, float, bool]:
    """The source's figures as churn rates: against the table's, and against arithmetic."""
    counts = {"Yes": "exposed", "No": "others"}
    rows = []
    for value, claimed in CLAIMED.items():
        n, churned = int(whole[counts[value]]), int(whole[f"{counts[value]}_churned"])
        actual = churned / n if n else math.nan
        rows.append({"claim": value, "claimed": claimed, "actual": actual,
                     "same": bool(_prints_as(actual, claimed))})
    n = whole["exposed"] + whole["others"]
    implied = sum(CLAIMED[value] * whole[counts[value]] for value in CLAIMED) / n
    rate = (whole["exposed_churned"] + whole["others_churned"]) / n
    low, high = min(CLAIMED.values()) - PRINTED / 2, max(CLAIMED.values()) + PRINTED / 2
    return pd.DataFrame(rows).set_index("claim"), float(implied), bool(low <= rate <= high)


def _prints_as(share: float, printed: float) -> bool:
    """Whether a share rounds to a printed one; a tie may have been rounded either way."""
    return abs(share - printed) <= PRINTED / 2 + 1e-12


def _matches(readings: pd.DataFrame) -> pd.DataFrame:
    """The shares in either reading that a claimed figure could be."""
    rows = [
        {"claim": claim, "reading": reading, "value": row["value"], "churned": row["churned"],
         "share": float(row[reading])}
        for claim, claimed in CLAIMED.items()
        for reading in ("of_value", "of_status")
        for _, row in readings.iterrows()
        if _prints_as(row[reading], claimed)
    ]
    keys = ["claim", "reading", "value", "churned"]
    return pd.DataFrame(rows, columns=[*keys, "share"]).set_index(keys)


def _in_strata(strata: Mapping[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """Each stratum's counts, rates and odds ratio."""
    rows = []
    for (factor, by), tables in strata.items():
        for (stratum, row), informative, counts in zip(
            tables.iterrows(), _informative(tables), zip(*_margins(tables), strict=True),
            strict=True,
        ):
            odds = _exact_odds(*counts) if informative else (math.nan,) * 3
            rows.append(
                {"factor": factor, "by": by, "stratum": str(stratum)} | _compared(row)
                | {"informative": bool(informative)} | _named("odds_ratio", odds))
    return pd.DataFrame(rows).set_index(["factor", "by", "stratum"])


_COMMON = [
    "factor", "by", "strata", "subscribers", *_names("odds_ratio"), "p_value", "method",
    *_names("ratio"), "e_value", "e_value_limit", "homogeneity", "homogeneity_df",
    "homogeneity_p", "homogeneity_method", "same_side", "other_side", "other_side_shown",
]


def _common(
    whole: Mapping[str, pd.Series], strata: Mapping[tuple[str, str], pd.DataFrame]
) -> pd.DataFrame:
    """What the strata of a stratification say together."""
    rows = []
    for (factor, by), tables in strata.items():
        told = tables[_informative(tables)]
        if told.empty:
            continue
        p, method = null_odds_test(told)
        ratio = common_ratio(tables)
        side, crude = _side(told), _side(whole[factor].to_frame().T)[0]
        other = side * crude < 0
        odds_of_other = [_exact_odds(*counts) for counts in np.column_stack(_margins(told))[other]]
        row = {"factor": factor, "by": by, "strata": len(told),
               "subscribers": int(told[["exposed", "others"]].to_numpy().sum()),
               "p_value": p, "method": method}
        row |= _named("odds_ratio", _odds(told)) | _named("ratio", ratio)
        row |= dict(zip(("e_value", "e_value_limit"), e_value(*ratio), strict=True))
        row |= homogeneity(told)
        row |= {
            "same_side": int((side == crude).sum()),
            "other_side": int(other.sum()),
            "other_side_shown": sum(low > 1 or high < 1 for _, low, high in odds_of_other),
        }
        rows.append(row)
    frame = pd.DataFrame(rows, columns=_COMMON).set_index(["factor", "by"])
    frame["p_adjusted"] = holm(frame["p_value"].astype(float))
    frame["homogeneity_p_adjusted"] = math.nan
    there = frame["homogeneity_p"].notna()
    frame.loc[there, "homogeneity_p_adjusted"] = holm(
        frame.loc[there, "homogeneity_p"].astype(float))
    return frame


def _side(tables: pd.DataFrame) -> np.ndarray:
    """Whether more (1) or fewer (-1) of the exposed have churned than of the others, by stratum."""
    a, row, column, n = _margins(tables)
    return np.sign(a * n - row * column)


def null_odds_test(tables: pd.DataFrame) -> tuple[float, str]:
    """The test that the common odds ratio is 1 (Cochran 1954; Mantel & Haenszel 1959).

    Chi-squared without a continuity correction where the number of exposed and churned could lie at
    least 5 from what is expected either way (Mantel & Fleiss 1980); otherwise twice the smaller
    exact tail.

    Args:
        tables: `COUNTS` by stratum, all informative.

    Returns:
        The two-sided p-value and the method's name.
    """
    a, row, column, n = _margins(tables)
    mean, variance = stratified.expected(row, column, n)
    least, most = np.maximum(0, row + column - n), np.minimum(row, column)
    if min(mean.sum() - least.sum(), most.sum() - mean.sum()) >= LEAST_EXPECTED:
        statistic = (a.sum() - mean.sum()) ** 2 / variance.sum()
        return float(stats.chi2.sf(statistic, 1)), "Cochran-Mantel-Haenszel"
    tails = (
        stratified.log_p_greater(a, row, column, n),
        stratified.log_p_greater(column - a, n - row, column, n),
    )
    return float(min(1.0, 2 * math.exp(min(tails)))), "exact conditional"


def common_ratio(tables: pd.DataFrame) -> tuple[float, float, float]:
    """The Mantel-Haenszel ratio of rates over strata, with limits (Greenland & Robins 1985).

    Unlike the odds ratio, the ratio of rates in strata averages to that in the whole table when
    the strata are not tied to the factor: what moves it is confounding, not the arithmetic of odds
    (Greenland, Robins & Pearl 1999).

    Args:
        tables: `COUNTS` by stratum.

    Returns:
        Estimate and limits; missing where nobody in one of the groups churned.
    """
    a, row, column, n = _margins(tables[(tables["exposed"] > 0) & (tables["others"] > 0)])
    c, others = column - a, n - row
    r, q = (a * others / n).sum(), (c * row / n).sum()
    if not (r > 0 and q > 0):
        return (math.nan,) * 3
    variance = ((row * others * column - a * c * n) / n**2).sum() / (r * q)
    reach = math.exp(float(stats.norm.isf(ALPHA / 2)) * math.sqrt(max(variance, 0.0)))
    value = float(r / q)
    return value, value / reach, value * reach


def homogeneity(tables: pd.DataFrame) -> dict[str, float | str | None]:
    """Whether the odds ratio is the same in all strata (Breslow & Day 1980; Tarone 1985).

    Where a cell is expected to hold fewer than `LEAST_EXPECTED`, the statistic is held against
    tables drawn with the margins of each stratum and the common odds ratio.

    Args:
        tables: `COUNTS` by stratum, all informative.

    Returns:
        `homogeneity` (the statistic), `homogeneity_df`, `homogeneity_p`, `homogeneity_method`;
        missing with fewer than two strata, or where nothing bounds the common odds ratio.
    """
    a, row, column, n = _margins(tables)
    common = float(stratified.mantel_haenszel(a, row, column, n).estimate)
    if len(tables) < 2 or not 0 < common < math.inf:
        return dict.fromkeys(("homogeneity", "homogeneity_df", "homogeneity_p"), math.nan) | {
            "homogeneity_method": None}
    mean, variance = stratified.expected(row, column, n, common)

    def statistic(both: np.ndarray) -> np.ndarray:
        apart = both - mean
        whole = apart.sum(axis=-1) ** 2 / variance.sum()
        return (apart**2 / variance).sum(axis=-1) - whole

    found, df = float(statistic(a)), len(tables) - 1
    cells = np.array([mean, row - mean, column - mean, n - row - column + mean])
    if cells.min() >= LEAST_EXPECTED:
        p, method = float(stats.chi2.sf(found, df)), "chi-squared approximation"
    else:
        rng = np.random.default_rng(SEED)
        drawn = np.column_stack([
            _drawn(Conditional.of(*table, odds_ratio=common), common, rng)
            for table in zip(a, row, column, n, strict=True)
        ])
        extreme = int((statistic(drawn) >= found * (1 - 1e-9) - 1e-12).sum())
        p, method = (1 + extreme) / (1 + RESAMPLES), "Monte Carlo"
    return {"homogeneity": found, "homogeneity_df": float(df), "homogeneity_p": p,
            "homogeneity_method": method}


def _drawn(table: Conditional, odds_ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Numbers of exposed and churned, drawn given a stratum's margins."""
    log = table.log_weights + table.counts * math.log(odds_ratio)
    weights = np.exp(log - log.max())
    return rng.choice(table.counts, size=RESAMPLES, p=weights / weights.sum())


def _tied(strata: Mapping[tuple[str, str], pd.DataFrame]) -> pd.DataFrame:
    """Whether the stratifiers go with the factors."""
    rows = []
    for (factor, by), tables in strata.items():
        try:
            found = association.association(tables[["exposed", "others"]], seed=SEED)
        except ValueError:  # one value of either
            continue
        rows.append((factor, by, found.effect.value, found.effect.low, found.effect.high,
                     found.p_value))
    frame = pd.DataFrame(rows, columns=["factor", "by", *_names("v"), "p_value"])
    frame["p_adjusted"] = holm(frame["p_value"].astype(float))
    return frame.set_index(["factor", "by"])
