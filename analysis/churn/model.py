"""A logit of churn on all traits together: which of them moves churn, and how well it predicts.

Before a model is fitted, the population at risk is found. Where beyond some value of a number, or
at a value of a category, nobody has churned (or everybody has), and neither chance nor a smooth
curve explains that, the outcome of these subscribers is decided by that trait alone (`Rule`). The
logit is of the others, and the rules and the logit together predict for everybody: two parts of one
model, whose traits compete on one scale, the share of the deviance that is lost without them.

All that is told of prediction is cross-validated: also the point beyond which nobody is at risk is
looked up anew in each fold's training data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats
from threadpoolctl import ThreadpoolController

from analysis.churn.reductions import CATEGORIES, NUMBERS, Reductions, churn_counts, labels
from analysis.stats import discrimination, regression
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Check, Column, Design, Logit

TRAITS = (*CATEGORIES, *NUMBERS)
SEED = 1958
CONFIDENCE = 0.95
ALPHA = 1 - CONFIDENCE
# To take subscribers out of the model asks for more than the usual 5%.
ALPHA_DECIDED = 0.001
# A smooth curve explains an empty end if it gives it this probability at least.
EXPLAINED = 0.01
ABOVE, BELOW = "above", "below"
# What a coefficient of a number is told for; 1 of all others.
UNITS = {"subscription_months": 12.0, "age": 10.0, "monthly_income": 1000.0}
PER_UNIT = "per unit"
# The values with which the others are compared; of other categories the most frequent one.
REFERENCES = {"payment_history": "On-Time", "promo_used": "No"}
# Churned, and others, that a value of a category should be expected to have to stand alone.
EXPECTED_EVENTS = 10
MOST_LEVELS = 12
OTHERS = "all other"
# Churned, or others if they are fewer, per coefficient: below the first, no model is fitted
# (Vittinghoff & McCulloch 2007); the second is the customary rule (Peduzzi et al. 1996).
LEAST_EVENTS, CUSTOMARY_EVENTS = 5, 10
FOLDS = 10
BINS = 10
RANKED = 10_000  # draws for the uncertainty of ranks
LOW, HIGH = 0.1, 0.9  # quantiles of a number between which its effect is told
MOST_PAIRED = 6  # drivers whose products are tested
# Why there is no model.
NOBODY, EVERYBODY, DECIDED = "nobody churned", "everybody churned", "decided"
NO_TRAIT, FEW, SEPARATED = "no trait", "few events", "separated"
# Why a trait is not in it (SEPARATED is another reason).
ONE_VALUE, SMALL, NOT_TOLD = "one value", "small groups", "not told apart"

Array = NDArray[np.float64]

# One thread: the matrices are small, and threads that wait for one another on a busy machine make a
# fit ten times as long.
_one_thread = ThreadpoolController().wrap(limits=1)


@dataclass(frozen=True)
class Rule:
    """A trait that decides the outcome of some subscribers alone.

    Attributes:
        trait: The column.
        group: `ABOVE` or `BELOW` for a number, the value for a category.
        cut: The last value of a number that leaves the outcome open; None for a category.
        churned: Whether all of them have churned; otherwise nobody has.
        subscribers: How many they are.
    """

    trait: str
    group: str
    cut: float | None
    churned: bool
    subscribers: int

    @property
    def risk(self) -> float:
        """Their risk of churn, with half a subscriber of the other outcome added (Jeffreys)."""
        other = 0.5 / (self.subscribers + 1)
        return 1 - other if self.churned else other

    def holds(self, values: pd.Series) -> NDArray[np.bool_]:
        """Of which values of the trait it decides."""
        if self.cut is None:
            return (values == self.group).to_numpy(dtype=bool)
        beyond = values > self.cut if self.group == ABOVE else values < self.cut
        return beyond.to_numpy(dtype=bool)


@dataclass(frozen=True)
class HeldOut:
    """Risks of churn from models that had not seen the subscribers; arrays of equal length.

    Attributes:
        risk: Predicted probability.
        order: The mean of these risks over the subscribers whose traits in the model are equal.
            They are in several folds, whose models differ, and a little the wrong way round: by
            how many of them churned in the others. So this is what puts subscribers in order.
        subscribers, churned: How many have it, how many of them have churned.
        alone: By trait, the risk that its rules and a logit in it alone give, fitted to all
            subscribers, so that those of equal values have equal risks. With so little fitted, the
            look at its own data flatters it hardly; as far as it does, against the model.
    """

    risk: Array = field(repr=False)
    order: Array = field(repr=False)
    subscribers: Array = field(repr=False)
    churned: Array = field(repr=False)
    alone: Mapping[str, Array] = field(repr=False)


@dataclass(frozen=True)
class Validation:
    """How well the model predicts; of those at risk unless stated otherwise.

    Attributes:
        folds: Of the cross-validation.
        area_fitted: Area under the ROC curve on the data that were fitted (DeLong).
        area: The same cross-validated, risks of one fold compared; see
            `discrimination.auc_within`.
        area_all: So over all subscribers, by rules and logit.
        slope, intercept: Calibration slope and calibration in the large of the cross-validated log
            odds; None where those tell both outcomes apart without error.
        brier_fitted, brier, brier_base: Mean squared error of the probabilities: on the data that
            were fitted, cross-validated, and of the base rate for everybody.
        explained_fitted, explained: Share of the deviance of all subscribers about the overall
            rate that rules and logit explain: on the data that were fitted, and cross-validated
            (below 0 where the overall rate predicts better).
        calibration: Groups of cross-validated risk: index `bin`; `trials`, `successes`,
            `predicted`, `observed`, `low`, `high`; see `regression.calibration`.
    """

    folds: int
    area_fitted: Interval
    area: Interval
    area_all: Interval
    slope: Interval | None
    intercept: Interval | None
    brier_fitted: float
    brier: float
    brier_base: float
    explained_fitted: float
    explained: float
    calibration: pd.DataFrame


@dataclass(frozen=True)
class Fitted:
    """The logit of churn of those at risk, and what it is worth.

    Attributes:
        mcfadden, tjur: Of the logit; see `regression.Logit`.
        coefficients: Index `trait`, `level` (a value, or `PER_UNIT` for a number): `reference` (the
            value that it is compared with, or the mean of a number), `unit` (of a number, in its
            own unit), `estimate`, `standard_error`, `z`, `p_value`, `low`, `high` (log odds, Wald);
            `odds_ratio`, `odds_low`, `odds_high`; the average marginal effect among those at risk,
            `difference`, `difference_low`, `difference_high` (shares; delta method); and for a
            number from its tenth to its ninetieth percentile among those at risk, `from_value` to
            `to_value`, `contrast`, `contrast_low`, `contrast_high` (odds ratio; for a value of a
            category the odds ratio itself).
        tests: Each trait of the logit as a whole: index `trait`; `df`, `wald`, `wald_p`,
            `likelihood_ratio`, `p_value` (of the likelihood ratio), `p_adjusted` (Holm), `gvif`,
            `inflation` (see `regression.generalised_vif`).
        ranking: The traits of rules and logit, strongest first: index `trait`; `lost`, share of the
            deviance of all subscribers that is no longer explained without the trait
            (cross-validated), with `lost_low`, `lost_high`; `rank` with the limits `rank_low`,
            `rank_high` (95%) and `first`, the probability to be the first, as far as subscribers
            like these could have been others; `p_adjusted` (missing where it is in a rule only);
            `decides`, whether a rule rests on it; `found`, whether that or its test shows that it
            matters. And the average predicted risk of all subscribers if each had the value
            `from_value` or `to_value`, all else as it is: `risk_from`, `risk_to` and their
            difference `spread` with `spread_low`, `spread_high` (delta method, widened for the
            pairs of values from which the two were picked; Bonferroni).
        bounds: How far a trait of the logit may move the average risk of those at risk, all else as
            it is: by trait, the largest distance from 0 (a share) of the limits of the difference
            between its tenth and its ninetieth percentile among them, or between any two values of
            a category (delta method, widened for the pairs; Bonferroni).
        drivers: The traits found, strongest first.
        curvature: Whether the square of a number adds to its line: index `trait`; `statistic`
            (likelihood ratio, 1 df), `p_value`, `p_adjusted` (Holm), `estimate` (log odds per
            squared standard deviation).
        link: The link test; see `regression.link_test`. None where it cannot be made.
        interactions: Products of every pair of drivers in the logit: index `first`, `second`;
            `df`, `statistic` (likelihood ratio), `p_value`, `p_adjusted` (Holm); where it is one
            product `ratio`, `ratio_low`, `ratio_high`: by what the second trait's odds ratio is
            multiplied for one more of the first (in the coefficients' units; otherwise missing).
        validation: How well it predicts.
        held_out: Cross-validated risks of all subscribers.
        params, covariance: Of the logit, the intercept first, then as `coefficients`.
    """

    mcfadden: float
    tjur: float
    coefficients: pd.DataFrame
    tests: pd.DataFrame
    ranking: pd.DataFrame
    bounds: Mapping[str, float]
    drivers: tuple[str, ...]
    curvature: pd.DataFrame
    link: Check | None
    interactions: pd.DataFrame
    validation: Validation
    held_out: HeldOut
    params: Array = field(repr=False)
    covariance: Array = field(repr=False)


@dataclass(frozen=True)
class Model:
    """Which trait moves churn.

    Attributes:
        subscribers, churned: In the table.
        at_risk, at_risk_churned: Those whose outcome no rule decides, and the churned of them.
        decided: The rules, in the order in which they were found, each among those whom the ones
            before leave: index `step`; `trait`, `group`, `cut` (missing for a category), `churned`,
            `subscribers` (see `Rule`); `log10_p`, the log (base 10) of the probability that churned
            dealt at random leave so many without (or with nothing but) them, and `p_adjusted`, the
            probability after Holm over all places where such a group could have been; `expected`,
            how many of the missing outcome a logit in the number and its square expects there, and
            `p_curve`, its probability of none (missing for a category, and where no finite logit
            fits).
        events: Churned at risk, or those at risk who stayed if they are fewer.
        parameters: Coefficients of the logit that was fitted or would have been, without the
            intercept.
        left_out: Why a trait is not in the logit: `ONE_VALUE`, `SMALL`, `NOT_TOLD`, `SEPARATED`.
        pooled: Values of categories with fewer subscribers at risk than `least`: index `trait`,
            `value`; `subscribers`. Together they are `OTHERS`.
        least: Subscribers at risk that a value needs to stand alone.
        reason: Why there is no logit; None where there is one.
        fit: It.
    """

    subscribers: int
    churned: int
    at_risk: int
    at_risk_churned: int
    decided: pd.DataFrame
    events: int
    parameters: int
    left_out: Mapping[str, str]
    pooled: pd.DataFrame
    least: int
    reason: str | None
    fit: Fitted | None


def model(table: ir.Table, base: Reductions) -> Model:
    """Fits the model.

    Args:
        table: netflix/subscribers.
        base: The reductions of the table.
    """
    if base.churned in (0, base.subscribers):
        nothing = NOBODY if base.churned == 0 else EVERYBODY
        return _without(base.subscribers, base.churned, nothing)
    return from_people(people(table))


def people(table: ir.Table) -> pd.DataFrame:
    """The subscribers by combination of all traits, which is what a logit needs.

    The one place where the study fetches about a row a subscriber: 14 traits, one of them income,
    hardly ever agree in two people. It is the table of people, without ids, in 16 columns; there
    are no events in this study.

    Returns:
        The columns of `TRAITS` (offers used are Yes or No, numbers are floats), `subscribers` and
        `churned`, in the order of the traits.
    """
    columns = {name: labels(table, name) for name in CATEGORIES}
    columns |= {name: table[name].cast("float64") for name in NUMBERS}
    rows = churn_counts(table, **columns).to_pandas()
    return rows.sort_values(list(TRAITS), ignore_index=True)


@_one_thread
def from_people(rows: pd.DataFrame) -> Model:
    """The same from the columns of `people`."""
    subscribers, churned = int(rows["subscribers"].sum()), int(rows["churned"].sum())
    if churned in (0, subscribers):
        return _without(subscribers, churned, NOBODY if churned == 0 else EVERYBODY)
    rules, decided = _decided(rows)
    open_ = rows[_open(rules, rows)].reset_index(drop=True)
    n, c = int(open_["subscribers"].sum()), int(open_["churned"].sum())
    found = _without(subscribers, churned, DECIDED)
    found = replace(found, at_risk=n, at_risk_churned=c, decided=decided)
    if c in (0, n):
        return found
    events = min(c, n - c)
    least = int(np.ceil(EXPECTED_EVENTS * n / events))
    codings, left_out, pooled = _codings(open_, least)
    parameters = len(_design(codings, open_.head(1)).columns)
    found = replace(
        found, events=events, parameters=parameters, left_out=left_out, pooled=pooled, least=least,
        reason=FEW if codings else NO_TRAIT)
    if not codings or events < LEAST_EVENTS * parameters:
        return found
    codings, separated = _not_separating(codings, open_)
    left_out = left_out | dict.fromkeys(separated, SEPARATED)
    if not codings:
        return replace(found, left_out=left_out, reason=SEPARATED)
    parameters = len(_design(codings, open_.head(1)).columns)
    fit = _fitted(rows, open_, rules, codings)
    return replace(found, parameters=parameters, left_out=left_out, reason=None, fit=fit)


def _without(subscribers: int, churned: int, reason: str) -> Model:
    return Model(
        subscribers=subscribers, churned=churned, at_risk=subscribers, at_risk_churned=churned,
        decided=_rules_frame([]), events=min(churned, subscribers - churned), parameters=0,
        left_out={}, pooled=_pooled_frame([]), least=0, reason=reason, fit=None,
    )


# The population at risk


def _rules_frame(rows: list[dict]) -> pd.DataFrame:
    columns = ["trait", "group", "cut", "churned", "subscribers", "log10_p", "p_adjusted",
               "expected", "p_curve"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.set_axis(pd.RangeIndex(1, len(frame) + 1, name="step"))


def _decided(rows: pd.DataFrame) -> tuple[list[Rule], pd.DataFrame]:
    """The rules that decide outcomes, the one for most subscribers first; see `Model.decided`."""
    rules: list[Rule] = []
    found: list[dict] = []
    left = rows
    while 0 < left["churned"].sum() < left["subscribers"].sum():
        places, tested = [], []
        for trait in TRAITS:
            counts = left.groupby(trait, sort=True)[["subscribers", "churned"]].sum()
            places.append(4 if trait in NUMBERS else 2 * len(counts))
            tested += [rule | {"log10_p": _by_chance(rule, counts), "counts": counts}
                       for rule in _candidates(trait, counts)]
        # Where no such group is, there is nothing to reject: p = 1.
        p = np.ones(sum(places))
        p[: len(tested)] = [10 ** row["log10_p"] for row in tested]
        adjusted = holm(p)
        shown = []
        for row, q in zip(tested, adjusted[: len(tested)], strict=True):
            counts = row.pop("counts")
            if q <= ALPHA_DECIDED:
                row |= {"p_adjusted": float(q)} | _by_curve(row, counts)
                if not row["p_curve"] > EXPLAINED:  # also where it is missing
                    shown.append(row)
        if not shown:
            break
        row = max(shown, key=lambda row: row["subscribers"])
        cut = None if np.isnan(row["cut"]) else row["cut"]
        rule = Rule(row["trait"], row["group"], cut, row["churned"], row["subscribers"])
        rules.append(rule)
        found.append(row)
        left = left[~rule.holds(left[rule.trait])]
    return rules, _rules_frame(found)


def _candidates(trait: str, counts: pd.DataFrame) -> Iterator[dict]:
    """Groups at the ends of a number, or values of a category, that have one outcome only."""
    n = counts["subscribers"].to_numpy()
    for churned in (False, True):
        other = n - counts["churned"].to_numpy() if churned else counts["churned"].to_numpy()
        there = np.flatnonzero(other)
        if trait in NUMBERS:
            first, last = there[0], there[-1]
            groups = [(ABOVE, counts.index[last], n[last + 1:]),
                      (BELOW, counts.index[first], n[:first])]
        else:
            groups = [(counts.index[i], np.nan, n[[i]]) for i in np.flatnonzero(other == 0)]
        for group, cut, sizes in groups:
            if sizes.sum():
                yield {"trait": trait, "group": group, "cut": float(cut), "churned": churned,
                       "subscribers": int(sizes.sum())}


def _by_chance(rule: Mapping, counts: pd.DataFrame) -> float:
    """The log (base 10) of the probability that chance leaves so many without the other outcome.

    The churned, dealt at random to the subscribers, all fall outside a group of m with probability
    C(n - m, c) / C(n, c). For the end of a number that is also the distribution of m, so that it
    does not matter that its beginning was looked up in the data: the number of values beyond the
    largest one of another sample (Rosenbaum 1954).
    """
    n, c = counts["subscribers"].sum(), counts["churned"].sum()
    other = n - c if rule["churned"] else c
    m = rule["subscribers"]
    log_p = (special.gammaln(n - m + 1) - special.gammaln(n - m - other + 1)
             - special.gammaln(n + 1) + special.gammaln(n - other + 1))
    return float(min(log_p, 0.0) / np.log(10))


def _by_curve(rule: Mapping, counts: pd.DataFrame) -> dict:
    """Whether a smooth curve may have emptied the end of a number; see `Model.decided`."""
    missing = {"expected": np.nan, "p_curve": np.nan}
    if rule["trait"] not in NUMBERS:
        return missing
    values = counts.index.to_numpy(dtype=float)
    line = (values - values.mean()) / values.std()
    y, n = _counts(counts)
    x = regression.design([
        (Column(rule["trait"], power, "", numeric=True), line**exponent)
        for power, exponent in (("line", 1), ("square", 2)) if exponent < len(values)
    ], len(values))
    if regression.separating(x, y > 0, y < n):
        return missing
    score = x.matrix @ regression.refit_logit(x, y, n).params
    beyond = values > rule["cut"] if rule["group"] == ABOVE else values < rule["cut"]
    # The log odds of the outcome that is not there.
    score, n = (-score if rule["churned"] else score)[beyond], n[beyond]
    return {"expected": float(n @ special.expit(score)),
            "p_curve": float(np.exp(-n @ np.logaddexp(0, score)))}


def _open(rules: Sequence[Rule], rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Whose outcome no rule decides."""
    found = np.ones(len(rows), dtype=bool)
    for rule in rules:
        found &= ~rule.holds(rows[rule.trait])
    return found


# The columns of the logit


@dataclass(frozen=True)
class _Coding:
    """How a trait enters the logit.

    Attributes:
        trait: The column.
        levels: Of a category, `OTHERS` among them if there is one; the reference first.
        centre, unit: Of a number.
    """

    trait: str
    levels: tuple[str, ...] = ()
    centre: float = 0.0
    unit: float = 1.0

    def columns(self, values: pd.Series) -> list[tuple[Column, Array]]:
        """The columns of the design for some values of the trait; unknown ones are `OTHERS`."""
        if not self.levels:
            column = Column(self.trait, PER_UNIT, f"{self.centre:.9g}", numeric=True)
            return [(column, (values.to_numpy(dtype=float) - self.centre) / self.unit)]
        reference, *rest = self.levels
        known = values.where(values.isin(self.levels), OTHERS)
        return [(Column(self.trait, level, reference), (known == level).to_numpy(dtype=float))
                for level in rest]


def _design(codings: Sequence[_Coding], rows: pd.DataFrame) -> Design:
    columns = [column for coding in codings for column in coding.columns(rows[coding.trait])]
    return regression.design(columns, len(rows))


def _pooled_frame(rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["trait", "value", "subscribers"])
    return frame.set_index(["trait", "value"])


def _codings(
    rows: pd.DataFrame, least: int
) -> tuple[list[_Coding], dict[str, str], pd.DataFrame]:
    """How each trait enters, which do not and why, and which values stand together."""
    codings: list[_Coding] = []
    left_out: dict[str, str] = {}
    pooled: list[tuple] = []
    for trait in TRAITS:
        if rows[trait].nunique() < 2:
            left_out[trait] = ONE_VALUE
            continue
        if trait in NUMBERS:
            values, n = rows[trait].to_numpy(), rows["subscribers"].to_numpy()
            mean = float(n @ (values - values[0]) / n.sum() + values[0])
            codings.append(_Coding(trait, centre=mean, unit=UNITS.get(trait, 1.0)))
            continue
        sizes = rows.groupby(trait)["subscribers"].sum()
        levels, rest = _levels(trait, sizes, least)
        pooled += [(trait, value, int(sizes[value])) for value in rest]
        if len(levels) < 2:
            left_out[trait] = SMALL
        else:
            codings.append(_Coding(trait, levels))
    if codings and regression.aliased(_design(codings, rows)):
        kept: list[_Coding] = []
        for coding in codings:
            if regression.aliased(_design([*kept, coding], rows)):
                left_out[coding.trait] = NOT_TOLD
            else:
                kept.append(coding)
        codings = kept
    return codings, left_out, _pooled_frame(pooled)


def _levels(trait: str, sizes: pd.Series, least: int) -> tuple[tuple[str, ...], list[str]]:
    """Values that stand alone, the reference first, and those that stand together."""
    sizes = sizes.sort_index().sort_values(ascending=False, kind="stable")
    kept = min(int((sizes >= least).sum()), MOST_LEVELS)
    while 0 < kept < len(sizes) and sizes.iloc[kept:].sum() < least:
        kept -= 1
    levels, rest = list(sizes.index[:kept]), list(sizes.index[kept:])
    if rest:
        levels = [*(level for level in levels if level != OTHERS), OTHERS]
    reference = REFERENCES.get(trait)
    reference = reference if reference in levels else levels[0]
    return (reference, *sorted(set(levels) - {reference})), rest


def _not_separating(
    codings: list[_Coding], rows: pd.DataFrame
) -> tuple[list[_Coding], list[str]]:
    """The traits without those whose columns tell both outcomes apart, so that no logit fits."""
    y, n = _counts(rows)
    separated: list[str] = []
    while codings:
        x = _design(codings, rows)
        if np.abs(x.matrix @ regression.refit_logit(x, y, n).params).max() <= regression.FAR:
            break
        factors = {column.factor for column in regression.separating(x, y > 0, y < n)}
        if not factors:
            break
        separated += [coding.trait for coding in codings if coding.trait in factors]
        codings = [coding for coding in codings if coding.trait not in factors]
    return codings, separated


def _counts(rows: pd.DataFrame) -> tuple[Array, Array]:
    """Churned and subscribers of each row."""
    return rows["churned"].to_numpy(dtype=float), rows["subscribers"].to_numpy(dtype=float)


# The logit


def _fitted(
    rows: pd.DataFrame, open_: pd.DataFrame, rules: list[Rule], codings: list[_Coding]
) -> Fitted:
    """All that is told of the logit of the rows at risk, `open_`."""
    x = _design(codings, open_)
    y, n = _counts(open_)
    logit = regression.logit(x, y, n, CONFIDENCE)
    tests = logit.tests.rename(columns={"factor": "trait"}).drop(columns="likelihood_ratio_p")
    inflation = regression.generalised_vif(logit, x).set_index("factor")[["gvif", "inflation"]]
    tests = tests.set_index("trait").join(inflation)
    folds = _Folds(rows, rules, codings, logit.params)
    ranking = _ranking(rows, rules, codings, logit, tests, folds)
    return Fitted(
        mcfadden=logit.mcfadden,
        tjur=logit.tjur,
        coefficients=_coefficients(logit, x, open_, codings),
        tests=tests,
        ranking=ranking,
        bounds=_bounds(open_, x, codings, logit),
        drivers=tuple(ranking.index[ranking["found"]]),
        curvature=_curvature(x, y, n, logit),
        link=regression.link_test(logit, x, y, n),
        interactions=_interactions(x, y, n, logit, tests),
        validation=_validation(rows, rules, codings, logit, folds),
        held_out=HeldOut(
            risk=folds.risk, order=folds.order(ranking.index), subscribers=folds.subscribers,
            churned=folds.churned,
            alone={trait: folds.alone(trait) for trait in ranking.index}),
        params=logit.params,
        covariance=logit.covariance,
    )


def _quantiles(rows: pd.DataFrame, trait: str) -> tuple[float, float]:
    """Tenth and ninetieth percentile of a number; where they agree, its least and largest value."""
    values, n = rows[trait].to_numpy(dtype=float), rows["subscribers"].to_numpy()
    low, high = np.quantile(values, [LOW, HIGH], weights=n, method="inverted_cdf")
    if low == high:
        low, high = values.min(), values.max()
    return float(low), float(high)


def _coefficients(
    logit: Logit, x: Design, open_: pd.DataFrame, codings: Sequence[_Coding]
) -> pd.DataFrame:
    """See `Fitted.coefficients`."""
    _, n = _counts(open_)
    effects = regression.marginal_effects(logit, x, n, CONFIDENCE)
    frame = logit.coefficients.iloc[1:].rename(columns={
        "factor": "trait", "statistic": "z", "ratio": "odds_ratio", "ratio_low": "odds_low",
        "ratio_high": "odds_high"}).reset_index(drop=True)
    parts = ["difference", "difference_low", "difference_high"]
    frame[parts] = effects[parts].to_numpy()
    units = {coding.trait: coding.unit for coding in codings if not coding.levels}
    frame["unit"] = frame["trait"].map(units).astype(float)
    ends = {trait: _quantiles(open_, trait) for trait in units}
    frame["from_value"] = [ends.get(trait, (np.nan, np.nan))[0] for trait in frame["trait"]]
    frame["to_value"] = [ends.get(trait, (np.nan, np.nan))[1] for trait in frame["trait"]]
    times = ((frame["to_value"] - frame["from_value"]) / frame["unit"]).fillna(1.0)
    for end, of in (("", "estimate"), ("_low", "low"), ("_high", "high")):
        # A number's contrast may leave the range of floats where its unit is tiny.
        frame[f"contrast{end}"] = np.exp(np.clip(frame[of] * times, -700, 700))
    return frame.set_index(["trait", "level"])


def _curvature(x: Design, y: Array, n: Array, logit: Logit) -> pd.DataFrame:
    """See `Fitted.curvature`."""
    rows = []
    for place, column in enumerate(x.columns, start=1):
        if not column.numeric:
            continue
        line = x.matrix[:, place]
        mean = n @ line / n.sum()
        spread = np.sqrt(n @ (line - mean) ** 2 / n.sum())
        bent = Column("square", column.factor, column.reference, numeric=True)
        larger = Design((*x.columns, bent),
                        np.column_stack([x.matrix, ((line - mean) / spread) ** 2]))
        if regression.aliased(larger):  # a number of two values has no curve
            continue
        found = regression.refit_logit(larger, y, n, np.append(logit.params, 0.0))
        statistic = max(0.0, 2 * (found.log_likelihood - logit.log_likelihood))
        rows.append({"trait": column.factor, "statistic": statistic,
                     "p_value": float(stats.chi2.sf(statistic, 1)),
                     "estimate": float(found.params[-1])})
    frame = pd.DataFrame(rows, columns=["trait", "statistic", "p_value", "estimate"])
    frame.insert(3, "p_adjusted", holm(frame["p_value"].astype(float)))
    return frame.set_index("trait")


def _interactions(
    x: Design, y: Array, n: Array, logit: Logit, tests: pd.DataFrame
) -> pd.DataFrame:
    """See `Fitted.interactions`."""
    shown = tests[tests["p_adjusted"] <= ALPHA].sort_values("likelihood_ratio", ascending=False)
    drivers = list(shown.index[:MOST_PAIRED])
    z = float(stats.norm.isf(ALPHA / 2))
    rows = []
    for i, first in enumerate(drivers):
        for second in drivers[i + 1:]:
            products = np.column_stack([
                x.matrix[:, a] * x.matrix[:, b]
                for a in x.positions(first) for b in x.positions(second)])
            # Combinations that nobody has say nothing.
            products = products[:, np.ptp(products, axis=0) > 0]
            names = tuple(Column("product", str(k), "", numeric=True)
                          for k in range(products.shape[1]))
            larger = Design((*x.columns, *names), np.column_stack([x.matrix, products]))
            df = int(np.linalg.matrix_rank(larger.matrix / np.sqrt((larger.matrix**2).sum(axis=0)))
                     - x.matrix.shape[1])
            if df < 1:
                continue
            start = np.append(logit.params, np.zeros(len(names)))
            found = regression.refit_logit(larger, y, n, start)
            statistic = max(0.0, 2 * (found.log_likelihood - logit.log_likelihood))
            row = {"first": first, "second": second, "df": df, "statistic": statistic,
                   "p_value": float(stats.chi2.sf(statistic, df)),
                   **dict.fromkeys(("ratio", "ratio_low", "ratio_high"), np.nan)}
            if len(x.positions(first)) == len(x.positions(second)) == 1:
                error = float(np.sqrt(np.linalg.inv(found.information)[-1, -1]))
                ends = found.params[-1] + z * error * np.array([0, -1, 1])
                if np.abs(ends).max() < regression.FAR:
                    row |= dict(zip(("ratio", "ratio_low", "ratio_high"),
                                    map(float, np.exp(ends)), strict=True))
            rows.append(row)
    frame = pd.DataFrame(rows, columns=["first", "second", "df", "statistic", "p_value", "ratio",
                                        "ratio_low", "ratio_high"])
    frame.insert(5, "p_adjusted", holm(frame["p_value"].astype(float)))
    return frame.set_index(["first", "second"])


# Prediction


class _Folds:
    """Cross-validated risks, by row and fold with subscribers.

    Attributes:
        row, fold: Of each.
        subscribers, churned: How many are held out there.
        risk: By rules and logit.
        score: Log odds by the logit alone, whether or not a rule decides.
        undecided: Whether none does, by the rules of the whole table.
    """

    def __init__(
        self, rows: pd.DataFrame, rules: list[Rule], codings: list[_Coding], params: Array
    ) -> None:
        self._rows, self._rules, self._codings = rows, rules, codings
        self._y, self._n = _counts(rows)
        self._x, self._params = _design(codings, rows), params
        won, lost = regression.stratified_folds(self._y, self._n, FOLDS, SEED)
        size = won + lost
        self.fold, self.row = np.nonzero(size.T)
        self.subscribers = size[self.row, self.fold].astype(float)
        self.churned = won[self.row, self.fold].astype(float)
        self._won, self._size = won, size
        self.score, self.risk = self._held_out(rules, self._x, params)
        self.undecided = _open(rules, rows)[self.row]

    def without(self, trait: str) -> Array:
        """Risks by all other traits."""
        x = self._x.without(trait)
        start = np.delete(self._params, self._x.positions(trait))
        return self._held_out([r for r in self._rules if r.trait != trait], x, start)[1]

    def alone(self, trait: str) -> Array:
        """Risks by a trait without the others, fitted to all subscribers."""
        x = self._x
        for other in x.factors:
            if other != trait:
                x = x.without(other)
        rules = [rule for rule in self._rules if rule.trait == trait]
        kept = _open(rules, self._rows)
        params = regression.refit_logit(x.take(kept), self._y[kept], self._n[kept]).params
        score = np.clip(x.matrix @ params, -regression.FAR, regression.FAR)
        return _by_rules(rules, self._rows, special.expit(score))[self.row]

    def order(self, traits: Sequence[str]) -> Array:
        """Mean risks of subscribers who are equal in these traits."""
        cell = self._rows.groupby(list(traits)).ngroup().to_numpy()[self.row]
        total = np.bincount(cell, self.risk * self.subscribers)
        mean = total / np.bincount(cell, self.subscribers)
        return np.round(mean, 12)[cell]  # equal risks stay equal, whatever they were summed with

    def loss(self, risk: Array) -> tuple[Array, Array]:
        """Minus the logarithm of the probability of churning, and of staying."""
        return -np.log(risk), -np.log1p(-risk)

    def _held_out(self, rules: list[Rule], x: Design, start: Array) -> tuple[Array, Array]:
        score, risk = np.empty(len(self.row)), np.empty(len(self.row))
        for k in range(FOLDS):
            y, n = self._y - self._won[:, k], self._n - self._size[:, k]
            cut = _cut(rules, self._rows, y, n)
            kept = _open(cut, self._rows) & (n > 0)
            here = np.flatnonzero(self.fold == k)
            row = self.row[here]
            training = x.take(kept)
            # Of a value that nobody in the training data has, nothing may be known.
            begin = np.where((training.matrix != 0).any(axis=0), start, 0.0)
            params = regression.refit_logit(training, y[kept], n[kept], begin).params
            far = regression.FAR
            score[here] = np.clip(x.matrix[row] @ params, -far, far)
            risk[here] = special.expit(score[here])
            undecided = np.ones(len(row), dtype=bool)
            for rule, whole in zip(cut, rules, strict=True):
                mine = undecided & rule.holds(self._rows[rule.trait])[row]
                risk[here[mine]] = whole.risk
                undecided &= ~mine
        return score, risk


def _cut(rules: Sequence[Rule], rows: pd.DataFrame, y: Array, n: Array) -> list[Rule]:
    """The rules with the ends of their groups as other counts of the same rows have them."""
    found: list[Rule] = []
    left = n > 0
    for rule in rules:
        if rule.cut is not None:
            other = left & ((n - y if rule.churned else y) > 0)
            values = rows[rule.trait].to_numpy()[other]
            if values.size:
                end = values.max() if rule.group == ABOVE else values.min()
                rule = replace(rule, cut=float(end))
        found.append(rule)
        left = left & ~rule.holds(rows[rule.trait])
    return found


def _validation(
    rows: pd.DataFrame, rules: list[Rule], codings: list[_Coding], logit: Logit, folds: _Folds
) -> Validation:
    """See `Validation`."""
    y, n = _counts(rows)
    score = _design(codings, rows).matrix @ logit.params
    undecided = _open(rules, rows)
    risk = _by_rules(rules, rows, special.expit(np.clip(score, -regression.FAR, regression.FAR)))
    held = folds.undecided
    at_risk = (folds.score[held], folds.churned[held], folds.subscribers[held])
    p = special.expit(at_risk[0])
    base = at_risk[1].sum() / at_risk[2].sum()
    null = _entropy(y.sum() / n.sum())
    calibration = regression.calibration(p, at_risk[1], at_risk[2], BINS, CONFIDENCE)
    return Validation(
        folds=FOLDS,
        area_fitted=regression.auc(score[undecided], y[undecided], n[undecided], CONFIDENCE),
        area=discrimination.auc_within(*at_risk, folds.fold[held], CONFIDENCE),
        area_all=discrimination.auc_within(
            folds.risk, folds.churned, folds.subscribers, folds.fold, CONFIDENCE),
        slope=_or_none(regression.calibration_slope, *at_risk),
        intercept=_or_none(regression.calibration_in_the_large, *at_risk),
        brier_fitted=_brier(special.expit(score[undecided]), y[undecided], n[undecided]),
        brier=_brier(p, *at_risk[1:]),
        brier_base=float(base * (1 - base)),
        explained_fitted=1 - _mean_loss(risk, y, n) / null,
        explained=1 - _mean_loss(folds.risk, folds.churned, folds.subscribers) / null,
        calibration=calibration.set_index("bin"),
    )


def _by_rules(rules: Sequence[Rule], rows: pd.DataFrame, risk: Array) -> Array:
    """The risks, where a rule decides its own."""
    found, undecided = risk.copy(), np.ones(len(rows), dtype=bool)
    for rule in rules:
        mine = undecided & rule.holds(rows[rule.trait])
        found[mine] = rule.risk
        undecided &= ~mine
    return found


def _or_none(measure, *scores: Array) -> Interval | None:
    try:
        return measure(*scores, CONFIDENCE)
    except ValueError:  # scores that are all equal, or that tell both outcomes apart
        return None


def _brier(p: Array, y: Array, n: Array) -> float:
    """Mean squared error of probabilities (Brier 1950)."""
    return float((y @ (1 - p) ** 2 + (n - y) @ p**2) / n.sum())


def _mean_loss(p: Array, y: Array, n: Array) -> float:
    return float((y @ -np.log(p) + (n - y) @ -np.log1p(-p)) / n.sum())


def _entropy(share: float) -> float:
    """Mean loss of a share that is predicted for everybody."""
    return float(-special.xlogy(share, share) - special.xlogy(1 - share, 1 - share))


# Which trait moves churn


def _ranking(
    rows: pd.DataFrame, rules: list[Rule], codings: list[_Coding], logit: Logit,
    tests: pd.DataFrame, folds: _Folds,
) -> pd.DataFrame:
    """See `Fitted.ranking`."""
    deciding = {rule.trait for rule in rules}
    traits = [t for t in TRAITS if t in deciding or t in tests.index]
    frame = pd.DataFrame({"trait": traits}).set_index("trait")
    won, lost = folds.churned, folds.subscribers - folds.churned
    total = folds.subscribers.sum()
    full = folds.loss(folds.risk)
    # By trait, what a subscriber who churned, and one who stayed, loses without it.
    more = [[a - b for a, b in zip(folds.loss(folds.without(t)), full, strict=True)]
            for t in traits]
    if_churned, if_stayed = (np.array([m[i] for m in more]) for i in (0, 1))
    mean = (if_churned @ won + if_stayed @ lost) / total
    centred = [(values - mean[:, None]) for values in (if_churned, if_stayed)]
    covariance = sum((d * w) @ d.T for d, w in zip(centred, (won, lost), strict=True)) / total**2
    null = _entropy(won.sum() / total)
    error = np.sqrt(np.diag(covariance))
    z = stats.norm.isf(ALPHA / 2)
    for end, sign in (("", 0.0), ("_low", -1.0), ("_high", 1.0)):
        frame[f"lost{end}"] = (mean + sign * z * error) / null
    frame["rank"] = stats.rankdata(-mean, method="min").astype(int)
    ranks = _ranks(mean, covariance)
    ends = np.quantile(ranks, [ALPHA / 2, 1 - ALPHA / 2], axis=0, method="inverted_cdf")
    frame["rank_low"], frame["rank_high"] = ends.astype(int)
    frame["first"] = (ranks == 1).mean(axis=0)
    frame["p_adjusted"] = tests["p_adjusted"].reindex(frame.index)
    frame["decides"] = [trait in deciding for trait in traits]
    frame["found"] = frame["decides"] | (frame["p_adjusted"] <= ALPHA)
    x = _design(codings, rows)
    spread = pd.DataFrame([_spread(t, rows, x, rules, codings, logit) for t in traits],
                          index=frame.index)
    return frame.join(spread).sort_values(["rank", "lost"], ascending=[True, False], kind="stable")


def _ranks(mean: Array, covariance: Array) -> NDArray[np.int64]:
    """Ranks of the traits, the largest loss first, as often as `RANKED`; shape (draws, traits).

    Means of so many subscribers are about normal, so a bootstrap of the subscribers needs no more
    than their covariance (Goldstein & Spiegelhalter 1996).
    """
    rng = np.random.default_rng(SEED)
    drawn = rng.multivariate_normal(mean, covariance, RANKED, method="eigh", check_valid="ignore")
    return np.argsort(np.argsort(-drawn, axis=1), axis=1) + 1


def _spread(
    trait: str, rows: pd.DataFrame, x: Design, rules: list[Rule], codings: list[_Coding],
    logit: Logit,
) -> dict:
    """Average predicted risks of all subscribers at two values of a trait, and their difference.

    `x` is the design of their rows as they are.
    """
    values = _values(trait, rows, rules, codings)
    found = [_average(trait, value, rows, x, rules, codings, logit) for value in values]
    risks = np.array([risk for risk, _ in found])
    # Two values are told in their order, more of them from the lowest risk to the highest.
    start, end = (0, 1) if len(values) == 2 else (int(risks.argmin()), int(risks.argmax()))
    pairs = max(1, len(values) * (len(values) - 1) // 2)
    slope = found[end][1] - found[start][1]
    margin = stats.norm.isf(ALPHA / 2 / pairs) * np.sqrt(slope @ logit.covariance @ slope)
    spread = risks[end] - risks[start]
    plain = float if trait in NUMBERS else str
    return {
        "from_value": plain(values[start]), "to_value": plain(values[end]),
        "risk_from": risks[start], "risk_to": risks[end], "spread": spread,
        "spread_low": spread - margin, "spread_high": spread + margin,
    }


def _bounds(
    rows: pd.DataFrame, x: Design, codings: list[_Coding], logit: Logit
) -> dict[str, float]:
    """See `Fitted.bounds`; `rows` are those at risk, and `x` their design."""
    found = {}
    for trait in dict.fromkeys(coding.trait for coding in codings):
        values = [_average(trait, value, rows, x, [], codings, logit)
                  for value in _values(trait, rows, [], codings)]
        pairs = list(itertools.combinations(values, 2))
        z = stats.norm.isf(ALPHA / 2 / max(1, len(pairs)))
        ends = [0.0]
        for (risk, slope), (other, less) in pairs:
            error = np.sqrt((slope - less) @ logit.covariance @ (slope - less))
            ends.append(abs(risk - other) + z * float(error))
        found[trait] = max(ends)
    return found


def _values(trait: str, rows: pd.DataFrame, rules: list[Rule], codings: list[_Coding]) -> list:
    """The values between which a trait's effect is told; a category's reference first."""
    if trait in NUMBERS:
        return list(_quantiles(rows, trait))
    levels = [level for coding in codings if coding.trait == trait for level in coding.levels]
    if not levels:  # of those at risk all have the same, or it is too small to tell apart
        open_ = rows[_open(rules, rows)]
        levels = [open_.groupby(trait)["subscribers"].sum().idxmax()]
    return levels + [rule.group for rule in rules if rule.trait == trait]


def _average(
    trait: str, value: object, rows: pd.DataFrame, x: Design, rules: list[Rule],
    codings: list[_Coding], logit: Logit,
) -> tuple[float, Array]:
    """Average predicted risk if all had that value, and its slope in the coefficients.

    What a rule decides is taken for certain here.
    """
    moved = pd.Series([value])
    _, n = _counts(rows)
    certain, undecided = 0.0, np.ones(len(rows), dtype=bool)
    for rule in rules:
        mine = undecided & rule.holds(moved if rule.trait == trait else rows[rule.trait])
        certain += float(n[mine].sum()) * rule.churned
        undecided &= ~mine
    matrix = x.matrix[undecided]
    for coding in codings:
        if coding.trait == trait:
            matrix[:, x.positions(trait)] = [column[0] for _, column in coding.columns(moved)]
    p = special.expit(matrix @ logit.params)
    weight = n[undecided]
    return (float(certain + weight @ p) / n.sum(),
            (weight * p * (1 - p)) @ matrix / n.sum())
