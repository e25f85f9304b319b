"""Runs the book's statistics against other programs and published results, value by value.

Run as `python bench/agreement.py`; writes, beside this file, `agreement.csv`, a row a method, and
`published.csv`, a row a published value. The methods appendix shows both, a test makes them again.
R's results are those stored with the tests (`tests/*/oracle`, with the scripts that make them);
Python's libraries are run here.
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import math
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter, GammaGammaFitter
from mlxtend.frequent_patterns import apriori, association_rules
from scipy import stats
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.stats.weightstats import ttost_ind

from analysis.churn import offers
from analysis.experiment import steps
from analysis.stats import (
    association,
    bayes,
    cox,
    descriptive,
    discrimination,
    effects,
    instrument,
    intervals,
    multiplicity,
    power,
    purchases,
    regression,
    rules,
    sequential,
    several_means,
    shrinkage,
    spending,
    stratified,
    survival,
    time_series,
    two_proportions,
    two_sample,
)
from analysis.stats.moments import Moments

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
SIDES = ("two-sided", "less", "greater")
INDEPENDENT = ("skewed", "tied", "small")
PAIRED = {"pair": ("pair_a", "pair_b"), "before": ("before", "after"),
          "smooth": ("smooth_a", "smooth_b")}
Z = stats.norm.isf(0.025)
R = "R 4.2.2"

Values = Iterator[tuple[object, object]]  # ours and theirs, numbers or arrays


class Comparison(NamedTuple):
    """A method of ours and a program that computes the same.

    Attributes:
        method: As the appendix calls it.
        module: Which of `analysis` computes it.
        against: The other program with its version.
        tolerance: How far apart, relatively, the two may be.
        values: Yields what both give.
    """

    method: str
    module: str
    against: str
    tolerance: float
    values: Callable[[], Values]


COMPARISONS: list[Comparison] = []


def compared(method: str, module: str, against: str, tolerance: float):
    """Adds a function that yields both programs' values to the list."""
    def add(values: Callable[[], Values]) -> Callable[[], Values]:
        COMPARISONS.append(Comparison(method, module, against, tolerance, values))
        return values
    return add


def oracle(name: str, of: str = "stats") -> dict:
    """Stored results of R, with the data that they are about."""
    return json.loads((TESTS / of / "oracle" / f"{name}.json").read_text())


def library(name: str) -> str:
    """A Python package with its version."""
    return f"{name} {importlib.metadata.version(name)}"


REFERENCE = oracle("reference")
SAMPLES = REFERENCE["samples"]


def both(name: str) -> tuple[list[float], list[float]]:
    return SAMPLES[f"{name}_a"], SAMPLES[f"{name}_b"]


def ends(found) -> list[float]:
    return [found.low, found.high]


def cases(table: dict) -> Iterator[dict]:
    """The rows of a table stored by column."""
    for values in zip(*table.values(), strict=True):
        yield dict(zip(table, values, strict=True))


# --- One sample, two samples ----------------------------------------------------------------------

@compared("Mean, spread, skewness, quantiles", "stats/descriptive", R, 1e-10)
def describing() -> Values:
    for name, sample in SAMPLES.items():
        d, r = descriptive.describe(sample), REFERENCE["describe"][name]
        fields = ("mean", "median", "sd", "skewness", "excess_kurtosis", "trimmed_mean_20")
        yield [getattr(d, f) for f in fields], [r[f] for f in fields]
        yield ([d.minimum, d.p01, d.p05, d.p10, d.p25, d.p75, d.p90, d.p95, d.p99, d.maximum],
               r["quantiles"])


@compared("Gini coefficient", "stats/descriptive", R, 1e-10)
def concentration() -> Values:
    for name, sample in SAMPLES.items():
        if min(sample) >= 0:
            yield descriptive.gini(sample), REFERENCE["describe"][name]["gini"]


@compared("t interval of a mean", "stats/intervals", R, 1e-10)
def mean_interval() -> Values:
    for name, limits in REFERENCE["mean_t"].items():
        yield ends(intervals.mean_t(SAMPLES[name])), limits


@compared("Interval of a trimmed mean", "stats/intervals", R, 1e-9)
def trimmed() -> Values:
    for name, limits in REFERENCE["trimmed"].items():
        yield ends(intervals.trimmed_mean(SAMPLES[name])), limits


@compared("Wilson and Clopper–Pearson intervals", "stats/intervals", "statsmodels", 1e-9)
def shares() -> Values:
    from statsmodels.stats.proportion import proportion_confint
    for n in (7, 48, 1000):
        for k in (0, 1, n // 3, n):
            for ours, theirs in (("wilson", "wilson"), ("clopper-pearson", "beta")):
                limits = proportion_confint(k, n, method=theirs)
                # It leaves a rounding error where the limit is 0 or 1.
                yield ends(intervals.proportion(k, n, method=ours)), np.round(limits, 15)


@compared("BCa bootstrap interval of a mean", "stats/intervals", "scipy", 0.02)
def bca() -> Values:
    sample = SAMPLES["skewed_a"]
    other = stats.bootstrap((sample,), np.mean, n_resamples=20_000, method="BCa",
                            rng=np.random.default_rng(2)).confidence_interval
    yield ends(intervals.mean_bootstrap(sample, resamples=20_000, seed=1)), [other.low, other.high]


def of_sides(test: Callable, expected: dict, a, b) -> Values:
    """Statistic, p and interval of a test for every alternative."""
    for side in SIDES:
        found, r = test(a, b, alternative=side), expected[side]
        limits = found.interval if side == "two-sided" else found.bound
        yield [found.statistic, found.p_value, *ends(limits)], [r["statistic"], r["p"],
                                                                *r["interval"]]


@compared("Welch's and Student's t-tests", "stats/two_sample", R, 1e-8)
def means() -> Values:
    for name in INDEPENDENT:
        for key in ("student", "welch"):
            yield from of_sides(getattr(two_sample, key), REFERENCE["mean_tests"][name][key],
                                *both(name))


@compared("F and Brown–Forsythe tests of variances", "stats/two_sample", R, 1e-8)
def variances() -> Values:
    for name in INDEPENDENT:
        r = REFERENCE["mean_tests"][name]
        yield from of_sides(two_sample.f_test, r["variances"], *both(name))
        found = two_sample.brown_forsythe(*both(name))
        yield [found.statistic, found.p_value], r["brown_forsythe"]


@compared("Mann–Whitney test", "stats/two_sample", R, 1e-8)
def ranks() -> Values:
    for name in INDEPENDENT:
        for side in SIDES:
            found = two_sample.mann_whitney(*both(name), alternative=side)
            r = REFERENCE["rank_tests"][name]["tests"][side]
            yield [found.statistic, found.p_value], [r["statistic"], r["p"]]


@compared("Paired t, sign and Wilcoxon tests", "stats/two_sample", R, 1e-8)
def paired() -> Values:
    for name, parts in PAIRED.items():
        a, b = (SAMPLES[part] for part in parts)
        r = REFERENCE["pair_tests"][name]
        yield from of_sides(two_sample.paired_t, r["t"], a, b)
        yield from of_sides(two_sample.sign_test, r["sign"], a, b)
        for side in SIDES:
            yield two_sample.wilcoxon(a, b, alternative=side).p_value, r["wilcoxon"][side]["p"]


@compared("Equivalence (two one-sided tests)", "stats/two_sample", "statsmodels", 1e-8)
def alike() -> Values:
    for name in INDEPENDENT:
        a, b = both(name)
        for margin in (0.5, 5.0, 50.0):
            yield (two_sample.equivalence(a, b, low=-margin, high=margin).p_value,
                   ttost_ind(a, b, -margin, margin, usevar="unequal")[0])


@compared("Cohen's d", "stats/effects", R, 1e-9)
def standardised() -> Values:
    for name in INDEPENDENT:
        yield (effects.standardised_difference(*both(name))[0].value,
               REFERENCE["mean_tests"][name]["d"])


@compared("Welch's analysis of variance", "stats/several_means", R, 1e-7)
def several() -> Values:
    for r in oracle("several_means").values():
        groups = {name: Moments.of(values) for name, values in r["groups"].items()}
        found = several_means.welch_anova(groups)
        yield ([found.statistic, found.df, found.df_denominator, found.p_value],
               [r["statistic"], *r["df"], r["p"]])
        rest = several_means.against_rest(groups)
        for name, values in r["rest"].items():
            yield rest.loc[name, ["difference", "low", "high", "p_value"]].to_numpy(float), values


# --- Counts ---------------------------------------------------------------------------------------

@compared("Two shares: z-test, Newcombe, Katz", "stats/two_proportions", R, 1e-6)
def two_shares() -> Values:
    for r in cases(oracle("experiments")["tables"]):
        a, b = (two_proportions.Share(r[x], r[n]) for x, n in (("x", "n"), ("y", "m")))
        z = two_proportions.pooled_z(a, b)
        yield ([z.statistic**2, z.p_value, *ends(z.interval)],
               [r["chi"], r["p"], r["low"], r["high"]])
        if (ratio := two_proportions.ratio(a, b)) is not None:
            yield ends(ratio), [r["ratio_low"], r["ratio_high"]]


@compared("Fisher's exact test", "stats/two_proportions", R, 1e-6)
def exact() -> Values:
    for r in cases(oracle("experiments")["tables"]):
        a, b = (two_proportions.Share(r[x], r[n]) for x, n in (("x", "n"), ("y", "m")))
        found = two_proportions.fisher(a, b)
        odds = [found.estimate, *ends(found.interval)]
        # Stored as -1: infinite.
        yield ([found.p_value, *odds],
               [r["fisher"], *(math.inf if r[n] == -1 else r[n]
                               for n in ("odds", "odds_low", "odds_high"))])


@compared("Chi-squared test and goodness of fit", "stats/association", R, 1e-8)
def chi_squared() -> Values:
    stored = oracle("regression")
    r = stored["hair"]
    found = association.association(np.reshape(r["counts"], (4, 4)))
    yield [found.statistic, found.p_value], [r["statistic"], r["p"]]
    yield found.cells["residual"], r["residuals"]
    r = stored["mendel"]
    found = association.goodness_of_fit([315, 101, 108, 32], [9 / 16, 3 / 16, 3 / 16, 1 / 16])
    yield [found.statistic, found.p_value], [r["statistic"], r["p"]]


@compared("Mantel–Haenszel odds ratio", "stats/stratified", R, 1e-8)
def strata() -> Values:
    for case in oracle("stratified")["strata"]:
        found = stratified.mantel_haenszel(*np.array(case["tables"]).T)
        yield ([float(found.estimate), float(found.low), float(found.high)],
               [case["mh"], case["mh_low"], case["mh_high"]])


@compared("Conditional odds ratio, exact p", "stats/stratified", R, 1e-8)
def conditional() -> Values:
    stored = oracle("stratified")
    for case in stored["single"]:
        table = stratified.Conditional.of(*case["table"], case["odds_ratio"])
        yield math.exp(table.log_p_greater(case["odds_ratio"])), case["p_greater"]
    for case in stored["strata"]:
        table = stratified.Conditional.of(*np.array(case["tables"]).T)
        yield math.exp(table.log_p_greater()), case["p_greater"]


@compared("Trend of shares", "experiment/steps", R, 1e-8)
def trends() -> Values:
    stored = oracle("steps", "experiment")
    for name in ("rising", "flat", "falling"):
        # Two cohorts, each by the number of completed tasks.
        good, n = (np.reshape(stored[name][of], (2, 4)).sum(axis=0).tolist()
                   for of in ("converted", "customers"))
        found = steps.trend(good, n, [0, 1, 2, 3])
        yield [abs(found.z), found.p_value], stored[name]["trend"]


@compared("Cochran–Mantel–Haenszel, Tarone", "churn/offers", R, 1e-8)
def equal_odds() -> Values:
    for name, r in oracle("offers", "churn").items():
        counted = pd.DataFrame({"exposed": r["n1"], "exposed_churned": r["a"],
                                "others": r["n2"], "others_churned": r["c"]})
        yield offers.homogeneity(counted)["homogeneity"], r["tarone"]
        yield offers.common_ratio(counted), [r["ratio"], r["ratio_low"], r["ratio_high"]]
        if name != "sparse":
            yield offers.null_odds_test(counted)[0], r["p"]


@compared("Holm and Benjamini–Hochberg", "stats/multiplicity", R, 1e-12)
def many() -> Values:
    p = REFERENCE["p_values"]
    yield multiplicity.holm(p), REFERENCE["holm"]
    yield multiplicity.benjamini_hochberg(p), REFERENCE["benjamini_hochberg"]


# --- Regression and prediction --------------------------------------------------------------------

def customers() -> tuple[regression.Design, dict, pd.DataFrame]:
    """The stored customers, what R gives for them."""
    stored = oracle("regression")
    frame = pd.DataFrame(stored["customers"])
    x = regression.design([
        *regression.indicators(frame["device"], "device", "and"),
        (regression.Column("age", "ten years", "35", numeric=True), frame["age"].to_numpy(float)),
        *regression.indicators(frame["country"], "country", "A"),
    ], len(frame))
    return x, stored, frame


def errors(covariance: object) -> np.ndarray:
    """Standard errors of a covariance, square or in one row."""
    flat = np.ravel(covariance)
    size = math.isqrt(flat.size)
    return np.sqrt(np.diag(flat.reshape(size, size)))


@compared("Logistic regression", "stats/regression", R, 1e-6)
def logit() -> Values:
    x, r, frame = customers()
    fit = regression.logit(x, frame["paid"], np.ones(len(frame)))
    yield fit.params, r["logit"]["params"]
    yield errors(fit.covariance), errors(r["logit"]["covariance"])
    yield fit.log_likelihood, r["logit"]["log_likelihood"]
    yield fit.tests["likelihood_ratio"], r["logit"]["lr"]
    yield regression.generalised_vif(fit, x)["gvif"], r["logit"]["gvif"]


@compared("Average marginal effects", "stats/regression", "statsmodels", 1e-6)
def marginal() -> Values:
    from statsmodels.api import Logit
    x, _, frame = customers()
    n = np.ones(len(frame))
    fit = regression.logit(x, frame["paid"], n)
    other = Logit(frame["paid"], x.matrix).fit(disp=0).get_margeff(dummy=True)
    found = regression.marginal_effects(fit, x, n).iloc[0]  # of the device
    half = (found["difference_high"] - found["difference_low"]) / 2
    yield [found["difference"], half / Z], [other.margeff[0], other.margeff_se[0]]


@compared("Least squares with HC3 errors", "stats/regression", "R sandwich 3.0-2, lmtest 0.9-40",
          1e-7)
def line() -> Values:
    x, stored, frame = customers()
    fit, r = regression.least_squares(x, regression.Sums.of(frame["revenue"])), stored["line"]
    yield fit.params, r["params"]
    yield errors(fit.covariance), errors(r["hc3"])
    yield ([fit.r_squared, fit.residual_sd, fit.breusch_pagan, fit.breusch_pagan_p],
           [r["r_squared"], r["sigma"], r["bp"], r["bp_p"]])


@compared("Quasi-Poisson regression", "stats/regression", "R sandwich 3.0-2", 1e-6)
def log_mean() -> Values:
    x, stored, frame = customers()
    fit, r = regression.log_mean(x, regression.Sums.of(frame["revenue"])), stored["quasi"]
    yield fit.params, r["params"]
    yield errors(fit.covariance), errors(r["hc1"])
    yield fit.dispersion, r["dispersion"]


@compared("Areas under ROC curves, DeLong", "stats/discrimination", "R pROC 1.18.0", 1e-8)
def areas() -> Values:
    stored = oracle("discrimination")
    y = np.array(stored["successes"], float)
    scores = {name: np.array(values, float) for name, values in stored["scores"].items()}
    found = discrimination.auc_differences(scores, y, 1 - y)
    for row, r in zip(found.to_dict("records"), stored["compared"], strict=True):
        names = [name for name in row if name not in ("first", "second")]
        yield [row[name] for name in names], [r[name] for name in names]


# --- Time -----------------------------------------------------------------------------------------

def counts(group: str) -> tuple:
    return tuple(oracle("survival")["counts"][group][n] for n in ("time", "events", "censored"))


@compared("Kaplan–Meier curve, restricted mean", "stats/survival", "R survival 3.5-3", 1e-8)
def curves() -> Values:
    for group, r in oracle("survival")["curves"].items():
        found = survival.kaplan_meier(*counts(group))
        # Where nobody is left, the limits are not numbers.
        known = np.isfinite(np.array(r["low"], float))
        for ours, theirs in ((found.survival, "survival"), (found.standard_error, "error"),
                             (found.low, "low"), (found.high, "high")):
            yield np.array(ours)[known], np.array(r[theirs], float)[known]
        mean = found.restricted_mean(r["until"])
        yield [mean.estimate, (mean.high - mean.estimate) / Z], [r["mean"], r["mean_error"]]


@compared("Log-rank test", "stats/survival", "R survival 3.5-3", 1e-8)
def log_rank() -> Values:
    for name, groups in (("two", "ab"), ("three", "abc")):
        found = survival.log_rank({group: counts(group) for group in groups})
        r = oracle("survival")["logrank"][name]
        yield [found.statistic, found.p_value], [r["statistic"], r["p"]]
        yield found.groups["expected"], r["expected"]


def veterans() -> tuple[regression.Design, dict]:
    """Stored trial of lung cancer, the example of R's package survival."""
    r = oracle("cox")
    kinds, number = np.array(r["celltype"]), {"numeric": True}
    columns = [(regression.Column("trt", "one", "0", **number), np.array(r["trt"], float))]
    columns += [(regression.Column("celltype", name, "squamous"), (kinds == name).astype(float))
                for name in ("smallcell", "adeno", "large")]
    columns += [(regression.Column("karno", "one", "0", **number), np.array(r["karno"], float))]
    return regression.design(columns, len(kinds)), r


@compared("Cox regression, proportional hazards", "stats/cox", "R survival 3.5-3", 1e-6)
def hazards() -> Values:
    x, r = veterans()
    status = np.array(r["status"])
    for unit in ("days", "months"):
        for ties in ("efron", "breslow"):
            data, other = (x, r[unit], status, 1 - status), r["fits"][f"{unit}_{ties}"]
            fit = cox.cox(*data, ties=ties)
            check = cox.proportional_hazards(fit, *data)
            yield fit.params, other["params"]
            yield fit.coefficients.standard_error, other["error"]
            yield fit.log_likelihood, other["loglik"]
            yield [*check.columns.statistic, check.statistic], other["zph"]


@compared("Cox regression", "stats/cox", "statsmodels", 1e-6)
def hazards_again() -> Values:
    x, r = veterans()
    status = np.array(r["status"])
    fit = cox.cox(x, r["months"], status, 1 - status, ties="efron")
    other = PHReg(r["months"], x.matrix[:, 1:], status, ties="efron").fit(disp=0)
    yield fit.params, other.params
    yield fit.coefficients.standard_error, other.bse


@compared("Log-linear daily regression, Newey-West", "stats/time_series", "R sandwich 3.0-2", 1e-5)
def daily() -> Values:
    r = oracle("time_series")
    t = np.arange(len(r["y"]))
    terms = pd.DataFrame({"const": 1.0, "trend": t / time_series.YEAR, "step": (t >= 70) * 1.0,
                          "sine": np.sin(2 * np.pi * t / 7)})
    fit = time_series.log_linear(r["y"], terms, 7)
    factor = fit.n / (fit.n - 4) * time_series.fixed_b(7, fit.n) ** 2
    yield fit.estimates, r["estimates"]
    yield errors(np.asarray(fit.robust) / factor), errors(r["hac"])
    yield ([fit.dispersion, time_series.ljung_box(fit.residuals, 7)],
           [r["dispersion"], r["ljung_box"]])


@compared("STL decomposition", "stats/time_series", R, 1e-5)
def decomposition() -> Values:
    r = oracle("time_series")
    parts = time_series.decompose(np.sqrt(r["y"]), trend_days=29)
    yield parts.trend, r["trend"]


# --- Experiments and causes -----------------------------------------------------------------------

@compared("Power and size of a test", "stats/power", R, 1e-8)
def sizes() -> Values:
    grid, sides = oracle("experiments"), {1: "one-sided", 2: "two-sided"}
    for r in cases(grid["shares"]):
        yield power.proportions(
            share_a=r["p1"], share_b=r["p2"], alpha=r["alpha"], alternative=sides[r["sides"]],
            n_a=r["size"]).power, r["chance"]
    for r in cases(grid["means"]):
        yield power.means(sd=r["sd"], difference=r["delta"], alpha=r["alpha"], n_a=r["size"],
                          alternative=sides[r["sides"]]).power, r["chance"]


@compared("Group-sequential boundaries", "stats/sequential", "R rpact 3.3.4", 1e-5)
def looks() -> Values:
    for r in oracle("sequential")["designs"]:
        design = sequential.boundary(r["information"], r["spending"])
        theirs = np.array(r["z"], float)
        # So far out, boundaries meet probabilities to a rounding error only.
        known = np.isfinite(theirs) & (theirs < 5)
        yield np.array(design.z)[known], theirs[known]
        plan = sequential.plan(design, r["power"][0])
        yield ([plan.inflation, plan.expected_effect, plan.expected_none],
               [r["inflation"][0], r["expected_effect"][0], r["expected_none"][0]])


@compared("Beta-binomial chance to be better", "stats/bayes", "scipy", 1e-7)
def beliefs() -> Values:
    for a, b in (((3, 9), (5, 6)), ((40, 400), (55, 390)), ((1, 1), (2, 5))):
        one, other = stats.beta(*a), stats.beta(*b)
        theirs = other.expect(one.cdf, epsabs=1e-13, epsrel=1e-12)
        yield bayes.exceeds(bayes.Beta(*a), bayes.Beta(*b)), theirs


@compared("Two-stage least squares, Anderson–Rubin", "stats/instrument", "R AER 1.2-10", 1e-7)
def instruments() -> Values:
    for name, r in oracle("instrument").items():
        column = (regression.Column("x", "one", "0", numeric=True), np.array(r.get("x", []), float))
        x = regression.design([column], len(r["x"])) if name == "continuous" else None
        found = instrument.two_stage(r["y"], r["d"], r["z"], covariates=x)
        yield [found.effect.estimate, found.standard_error, found.f], [*r["effect"], r["f"]]
        yield found.first_stage.estimate, r["stage"][0]
        if "region" in r:
            yield ends(found.region), r["region"]


# --- Customers and baskets ------------------------------------------------------------------------

def cdnow(name: str = "cdnow_customers_summary.csv") -> pd.DataFrame:
    """A tenth of CDNOW's new customers of early 1997, as `lifetimes` carries them."""
    return pd.read_csv(importlib.resources.files("lifetimes") / "datasets" / name)


@compared("BG/NBD: parameters, chance to be alive", "stats/purchases", "lifetimes", 1e-3)
def bg_nbd() -> Values:
    history = tuple(cdnow()[name] for name in ("frequency", "recency", "T"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its optimiser steps where logarithms have no value
        other = BetaGeoFitter().fit(*history)
        alive = other.conditional_probability_alive(*history)
    found = purchases.bg_nbd(*history)
    yield [getattr(found, name) for name in found.NAMES], [other.params_[n] for n in found.NAMES]
    yield found.alive(*history), alive


@compared("Beta-binomial shrinkage", "stats/shrinkage", "R VGAM 1.1-7", 1e-3)
def smoothing() -> Values:
    r = oracle("shrinkage")["beta_binomial"]
    found = shrinkage.beta_binomial(r["successes"], r["trials"])
    yield ([found.mean, 1 / (found.weight + 1), found.log_likelihood],
           [r["mean"], r["rho"], r["log_likelihood"]])


@compared("Gamma-Gamma: parameters, expected values", "stats/spending", "lifetimes", 1e-3)
def gamma_gamma() -> Values:
    spent = cdnow("cdnow_customers_summary_with_transactions.csv").query("x > 0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = GammaGammaFitter().fit(spent.x, spent.zbar)
        values = other.conditional_expected_average_profit(spent.x, spent.zbar)
    found = spending.gamma_gamma(spent.x, spent.zbar)
    yield [found.p, found.q, found.gamma], [other.params_[name] for name in ("p", "q", "v")]
    yield found.expected(spent.x, spent.x * spent.zbar), values


@compared("Normal shrinkage, mixed regression", "stats/shrinkage", "R metafor 3.8-1", 1e-4)
def mixed() -> Values:
    r = oracle("shrinkage")["mixed"]
    found = shrinkage.normal(r["y"], np.sqrt(r["v"]))
    yield ([found.spread, found.mean, found.standard_error, found.q, found.p_value],
           [r["only"][name] for name in ("spread", "mean", "se", "q", "p")])
    found = shrinkage.mixed(r["y"], r["v"], np.column_stack([np.ones(15), r["x"]]), r["g"])
    yield [found.between, found.between_groups], [r["between"], r["between_groups"]]
    yield found.coefficients, r["coefficients"]
    yield found.standard_errors, r["standard_errors"]


@compared("Association rules", "stats/rules", "mlxtend", 1e-9)
def baskets() -> Values:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.random((400, 5)) < [0.5, 0.4, 0.3, 0.3, 0.2], columns=list("abcde"))
    frame["e"] |= frame["a"] & (rng.random(400) < 0.4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = association_rules(
            apriori(frame, min_support=1e-9, use_colnames=True, max_len=2),
            metric="support", min_threshold=0)
    for row in found.itertuples():
        (a,), (c,) = row.antecedents, row.consequents
        ours = rules.measures(
            [(frame[a] & frame[c]).sum()], [frame[a].sum()], [frame[c].sum()], len(frame))
        names = ["support", "confidence", "lift", "leverage", "conviction"]
        yield ours.loc[0, names], [getattr(row, name) for name in names]


# --- Both tables ----------------------------------------------------------------------------------

def deviation(ours: object, theirs: object) -> tuple[int, float]:
    """How many values were compared, and the largest relative deviation (absolute from 0)."""
    a, b = np.ravel(np.asarray(ours, float)), np.ravel(np.asarray(theirs, float))
    finite = np.isfinite(b)
    if a.shape != b.shape or (a[~finite] != b[~finite]).any() or not np.isfinite(a[finite]).all():
        return b.size, math.inf
    scale = np.abs(b[finite])
    apart = np.abs(a[finite] - b[finite]) / np.where(scale > 0, scale, 1)
    return b.size, float(apart.max(initial=0.0))


def agreement() -> pd.DataFrame:
    """A row a method and other program."""
    rows = []
    for each in COMPARISONS:
        found = [deviation(*pair) for pair in each.values()]
        against = each.against if " " in each.against else library(each.against)
        rows.append({
            "method": each.method, "module": f"analysis/{each.module}.py",
            "against": against, "values": sum(n for n, _ in found),
            "deviation": max(apart for _, apart in found), "tolerance": each.tolerance,
        })
    return pd.DataFrame(rows)


def numacc(centre: float, low: float, high: float) -> list[float]:
    """NIST's rule for the sets NumAcc2 to NumAcc4: the centre, then 500 times low and high."""
    return [centre] + [low, high] * 500


def published() -> pd.DataFrame:
    """A row a published value, as printed, and ours."""
    rows = []

    def add(source: str, quantity: str, value: str, ours: float) -> None:
        rows.append({"source": source, "quantity": quantity, "published": value, "ours": ours})

    nist = oracle("nist_univariate")
    # NIST certifies fifteen digits; where the value is exact they are written out all the same, so
    # that the table shows the digits in which ours is not.
    sets = {
        "Lew": (nist["Lew"]["values"], "-177.435000000000", "277.332168044316"),
        "Lottery": (nist["Lottery"]["values"], "518.958715596330", "291.699727470969"),
        "Mavro": (nist["Mavro"]["values"], "2.00185600000000", "0.000429123454003053"),
        "Michelso": (REFERENCE["michelson"]["values"], "299.852400000000", "0.0790105478190518"),
        "NumAcc1": ([10000001, 10000003, 10000002], "10000002.0000000", "1.00000000000000"),
        "NumAcc2": (numacc(1.2, 1.1, 1.3), "1.20000000000000", "0.100000000000000"),
        "NumAcc3": (numacc(1000000.2, 1000000.1, 1000000.3), "1000000.20000000",
                    "0.100000000000000"),
        "NumAcc4": (numacc(10000000.2, 10000000.1, 10000000.3), "10000000.2000000",
                    "0.100000000000000"),
    }
    for name, (values, mean, sd) in sets.items():
        moments = Moments.of(values)
        add("NIST StRD", f"{name}, mean", mean, moments.mean)
        add("NIST StRD", f"{name}, standard deviation", sd, moments.sd)
    silver = oracle("nist_atmwtag")
    t = two_sample.student(silver["instrument_1"], silver["instrument_2"]).statistic
    add("NIST StRD", "AtmWtAg, F", "15.9467335677930", t**2)
    fitted = purchases.bg_nbd(*(cdnow()[name] for name in ("frequency", "recency", "T")))
    for name, value in (("r", "0.243"), ("alpha", "4.414"), ("a", "0.793"), ("b", "2.426")):
        add("fader2005bgnbd", f"CDNOW, {name}", value, getattr(fitted, name))
    add("fader2005bgnbd", "CDNOW, log-likelihood", "-9582.4", fitted.log_likelihood)
    spent = cdnow("cdnow_customers_summary_with_transactions.csv").query("x > 0")
    values = spending.gamma_gamma(spent.x, spent.zbar)
    # Their maximum is a spreadsheet's, to about a hundredth.
    for name, value in (("p", "6.25"), ("q", "3.74"), ("gamma", "15.44")):
        add("faderhardie2013", f"CDNOW, {name}", value, getattr(values, name))
    for (x, n), (y, m), limits in (
        ((56, 70), (48, 80), ("0.0524", "0.3339")), ((9, 10), (3, 10), ("0.1705", "0.8090")),
        ((5, 56), (0, 29), ("-0.0381", "0.1926")),
    ):
        found = two_proportions.difference(two_proportions.Share(x, n),
                                           two_proportions.Share(y, m))
        for end, value, ours in zip(("lower", "upper"), limits, ends(found), strict=True):
            add("newcombe1998", f"{x}/{n} less {y}/{m}, {end} limit", value, ours)
    for count, value in ((2, "0.083"), (5, "0.142"), (10, "0.193")):
        add("armitage1969", f"type-I error of {count} looks", value, sequential.peeking(count))
    bound = sequential.boundary(np.arange(1, 6) / 5).z
    for look, value in ((2, "3.357"), (3, "2.680"), (4, "2.290"), (5, "2.031")):
        add("Program of Lan & DeMets", f"O'Brien–Fleming spending, five looks, bound {look}", value,
            bound[look - 1])
    return pd.DataFrame(rows)


def main() -> None:
    agreement().to_csv(HERE / "agreement.csv", index=False, float_format="%.2g")
    published().to_csv(HERE / "published.csv", index=False, float_format="%.15g")


if __name__ == "__main__":
    main()
