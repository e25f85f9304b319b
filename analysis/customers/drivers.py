"""What goes with paying: associations, and regressions on what is known at registration.

Everything starts from `kpis.profiles`, the users by combination of country, device, gender and age
band whose first `WINDOW` days lie wholly in the period. The factors of the models are device,
gender, country (small ones pooled) and age (see `_age`). The reference of a factor is its level
with most users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import special

from analysis.customers import events, kpis
from analysis.customers.events import NOT_STATED, Period
from analysis.sources import Tables
from analysis.stats import association, regression
from analysis.stats.intervals import Interval
from analysis.stats.multiplicity import holm
from analysis.stats.regression import Check, Column, Design, Logit, Sums

WINDOW = 28  # days since registration, the day of registration is the first of them
SEED = 1963
FOLDS = 10
BINS = 10
PAYING = {True: "paid", False: "did not pay"}
PAIRS = (*((factor, "paying") for factor in events.SEGMENTS), ("country", "device"))
# Payers, and others, that a level of a factor should be expected to have (Peduzzi et al. 1996).
# Money would need more for its intervals, but large pools mix countries that differ in devices and
# spending, and then the devices are compared with the countries' differences still in.
EXPECTED_EVENTS = 10
MOST_LEVELS = 30
OTHERS = "all other"
PER_TEN_YEARS = "ten years"


@dataclass(frozen=True)
class Models:
    """Regressions on the factors, each None where it could not be fitted (see `Drivers.reasons`).

    Attributes:
        paying: logit of paying within the window, with all factors.
        effects: what it says in shares; see `regression.marginal_effects`.
        alone: the same from one logit a factor, which compares users as they come: unadjusted. Its
            `odds`, `odds_low` and `odds_high` are the unadjusted odds ratios.
        area_fitted: area under the ROC curve on the data that were fitted.
        area: the same cross-validated, without that optimism.
        slope: calibration slope, cross-validated.
        calibration: tenths of the users by cross-validated probability; see
            `regression.calibration`.
        link: the link test; see `regression.link_test`.
        age_bands: likelihood-ratio test of age bands against a straight line in age; None with
            fewer than three bands.
        inflation: see `regression.generalised_vif`.
        without: the odds ratio of the device with any one country left out: `left_out`, `level`,
            `users` (of that country), `ratio`; None unless both are factors.
        mean: least squares of revenue within the window, cents.
        negative: users for whom it predicts a revenue below 0; None without `mean`.
        spread: tenths of the users by that prediction: `tenth`, `users`, `predicted`, `mean`, `sd`
            (cents).
        ratio: ratios of mean revenue; see `regression.log_mean`.
        ratio_alone: the same with the device only, if it is a factor.
    """

    paying: Logit | None = None
    effects: pd.DataFrame | None = None
    alone: pd.DataFrame | None = None
    area_fitted: Interval | None = None
    area: Interval | None = None
    slope: Interval | None = None
    calibration: pd.DataFrame | None = None
    link: Check | None = None
    age_bands: Check | None = None
    inflation: pd.DataFrame | None = None
    without: pd.DataFrame | None = None
    mean: regression.LeastSquares | None = None
    negative: int | None = None
    spread: pd.DataFrame | None = None
    ratio: regression.LogMean | None = None
    ratio_alone: regression.LogMean | None = None


@dataclass(frozen=True)
class Drivers:
    """Who pays within `window` days of registration, and how much.

    Attributes:
        window: days since registration.
        users: users whose window lies wholly in the period, the base of everything here.
        payers: of them, who bought within it.
        revenue: theirs within it, cents.
        associations: chi-squared tests, one row a pair of factors: `row_factor`, `column_factor`,
            `n`, `rows`, `columns`, `statistic`, `df`, `p_value`, `p_adjusted` (Holm over the rows),
            `method`, `smallest_expected`, `rule_holds`, `v`, `v_corrected`, `v_low`, `v_high`; see
            `stats.association.Association`. Pairs with only one level of a factor are left out.
        association_cells: their tables: `row_factor`, `column_factor`, and the columns of
            `Association.cells`.
        least_users: users that a level of a factor needs to stand alone in the models: enough to
            expect `EXPECTED_EVENTS` payers, and others, at the overall rate.
        pooled: levels that do not stand alone: `factor`, `level`, `users`, and `reason`: "small",
            "many" (there are `MOST_LEVELS` larger ones), or "joined" (the small ones were too few
            without it); together they are level `OTHERS`.
        left_out: factors that the models do without: `factor`, `reason` ("one group" or "not told
            apart").
        models: the regressions.
        reasons: for what is missing among the models ("paying", "mean", "ratio", "validation"):
            why.
    """

    window: int
    users: int
    payers: int
    revenue: int
    associations: pd.DataFrame
    association_cells: pd.DataFrame
    least_users: int
    pooled: pd.DataFrame
    left_out: pd.DataFrame
    models: Models = field(default_factory=Models)
    reasons: dict[str, str] = field(default_factory=dict)


def drivers(tables: Tables, period: Period) -> Drivers:
    """Runs the tests and the regressions on the study's tables."""
    return from_profiles(kpis.profiles(tables, period, WINDOW))


def from_profiles(profiles: pd.DataFrame) -> Drivers:
    """The same from the columns of `kpis.profiles`."""
    users, payers, revenue = (int(profiles[c].sum()) for c in ("users", "payers", "revenue"))
    tests, cells = _associations(profiles)
    rarer = min(payers, users - payers)
    least = int(np.ceil(EXPECTED_EVENTS * users / rarer)) if rarer else users + 1
    frame, pooled = _pooled(profiles, least)
    columns, left_out = _columns(frame, least)
    reasons: dict[str, str] = {}
    of_paying = _models_of_paying(frame, columns, reasons)
    of_money = _models_of_money(frame, columns, reasons)
    return Drivers(
        window=WINDOW, users=users, payers=payers, revenue=revenue,
        associations=tests, association_cells=cells,
        least_users=least, pooled=pooled, left_out=left_out,
        models=Models(**of_paying, **of_money), reasons=reasons,
    )


def _associations(profiles: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    tests, cells = [], []
    for rows, columns in PAIRS:
        if columns == "paying":
            counts = profiles.groupby(rows)[["payers", "users"]].sum()
            table = pd.DataFrame({
                PAYING[True]: counts["payers"], PAYING[False]: counts["users"] - counts["payers"]})
        else:
            table = profiles.pivot_table(
                index=rows, columns=columns, values="users", aggfunc="sum", fill_value=0)
        if min((table.sum(axis=axis) > 0).sum() for axis in (0, 1)) < 2:
            continue
        found = association.association(table, seed=SEED)
        names = {"row_factor": rows, "column_factor": columns}
        tests.append(names | {
            "n": found.n, "rows": found.rows, "columns": found.columns,
            "statistic": found.statistic, "df": found.df, "p_value": found.p_value,
            "p_adjusted": np.nan, "method": found.method,
            "smallest_expected": found.smallest_expected, "rule_holds": found.rule_holds,
            "v": found.v, "v_corrected": found.effect.value, "v_low": found.effect.low,
            "v_high": found.effect.high,
        })
        cells.append(found.cells.assign(**names))
    keys = ["row_factor", "column_factor"]
    frame = pd.DataFrame(tests, columns=[
        *keys, "n", "rows", "columns", "statistic", "df", "p_value", "p_adjusted", "method",
        "smallest_expected", "rule_holds", "v", "v_corrected", "v_low", "v_high"])
    frame["p_adjusted"] = holm(frame["p_value"].astype(float))
    columns = [*keys, "row", "column", "observed", "expected", "contribution", "residual"]
    return frame, pd.concat(cells, ignore_index=True)[columns] if cells else pd.DataFrame(
        columns=columns)


def _pooled(profiles: pd.DataFrame, least: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Profiles with small levels pooled, and which those are.

    A level stays if it has `least` users and is among the `MOST_LEVELS` largest. If the rest
    together has fewer, the smallest of those that would stay join it.
    """
    frame, rows = profiles.copy(), []
    for factor in ("device", "gender", "country"):
        sizes = profiles.groupby(factor)["users"].sum().sort_index()
        sizes = sizes.sort_values(ascending=False, kind="stable")
        large = kept = min(int((sizes >= least).sum()), MOST_LEVELS)
        while 0 < kept < len(sizes) and sizes.iloc[kept:].sum() < least:
            kept -= 1
        rest = sizes.iloc[kept:]
        frame[factor] = frame[factor].where(~frame[factor].isin(rest.index), OTHERS)
        rows += [
            {"factor": factor, "level": level, "users": int(n),
             "reason": "joined" if place < large else "many" if n >= least else "small"}
            for place, (level, n) in enumerate(rest.items(), start=kept)
        ]
    return frame, pd.DataFrame(rows, columns=["factor", "level", "users", "reason"])


def _columns(
    frame: pd.DataFrame, least: int
) -> tuple[list[tuple[Column, np.ndarray]], pd.DataFrame]:
    """The columns of the models, and the factors that had to be left out."""
    columns: list[tuple[Column, np.ndarray]] = []
    left_out = []
    for factor in ("device", "gender", "age", "country"):
        if factor == "age":
            mine = _age(frame, least)
        else:
            sizes = frame.groupby(factor)["users"].sum()
            mine = regression.indicators(
                frame[factor], factor, sizes.idxmax()) if len(sizes) > 1 else []
        if not mine:
            left_out.append({"factor": factor, "reason": "one group"})
        elif regression.aliased(regression.design([*columns, *mine], len(frame))):
            left_out.append({"factor": factor, "reason": "not told apart"})
        else:
            columns += mine
    return columns, pd.DataFrame(left_out, columns=["factor", "reason"])


def _age(frame: pd.DataFrame, least: int) -> list[tuple[Column, np.ndarray]]:
    """Age as a straight line, and whether it is stated.

    A band stands for the mean age of its users, in tens of years from the mean of all whose age is
    stated; where it is not stated the line is 0 and an indicator takes over.
    """
    stated = (frame["age_band"] != NOT_STATED).to_numpy()
    known = frame[stated]
    if known["users"].sum() < least or known["age_band"].nunique() < 2:
        return []
    sums = known.groupby("age_band")[["age_total", "users"]].sum()
    means = sums["age_total"] / sums["users"]
    centre = known["age_total"].sum() / known["users"].sum()
    score = ((frame["age_band"].map(means) - centre) / 10).fillna(0.0).to_numpy(dtype=float)
    reference = f"{centre:.0f} years"
    columns = [(Column("age", PER_TEN_YEARS, reference, numeric=True), score)]
    if frame["users"][~stated].sum() >= least:
        columns.append((Column("age", NOT_STATED, reference), (~stated).astype(float)))
    return columns


def _attempt(reasons: dict[str, str], name: str, fit: Callable):
    """What `fit` gives; other people's data may separate or be too few, then the reason is kept."""
    try:
        return fit()
    except ValueError as error:
        reasons[name] = str(error)
        return None


def _models_of_paying(frame: pd.DataFrame, columns, reasons: dict[str, str]) -> dict:
    if not columns:
        reasons |= dict.fromkeys(("paying", "validation"), "no factor")
        return {}
    x = regression.design(columns, len(frame))
    y, n = (frame[name].to_numpy(dtype=float) for name in ("payers", "users"))
    paying = _attempt(reasons, "paying", lambda: regression.logit(x, y, n))
    if paying is None:
        reasons["validation"] = reasons["paying"]
        return {}
    found = {"paying": paying} | _of_paying(paying, x, y, n, frame, columns)
    return found | (_attempt(reasons, "validation", lambda: _validated(x, y, n)) or {})


def _models_of_money(frame: pd.DataFrame, columns, reasons: dict[str, str]) -> dict:
    if not columns:
        reasons |= dict.fromkeys(("mean", "ratio"), "no factor")
        return {}
    x = regression.design(columns, len(frame))
    money = Sums(*(frame[name].to_numpy(dtype=float) for name in (
        "users", "revenue", "revenue_squares", "revenue_cubes", "revenue_fourths")))
    found = {
        "mean": _attempt(reasons, "mean", lambda: regression.least_squares(x, money)),
        "ratio": _attempt(reasons, "ratio", lambda: regression.log_mean(x, money)),
    }
    mean = found["mean"]
    if mean is not None:
        found["negative"] = int(money.n[mean.fitted < 0].sum())
        found["spread"] = _spread(mean.fitted, money)
    if found["ratio"] is not None and "device" in x.factors:
        device = regression.design([c for c in columns if c[0].factor == "device"], len(frame))
        found["ratio_alone"] = regression.log_mean(device, money)
    return found


def _of_paying(paying: Logit, x: Design, y, n, frame: pd.DataFrame, columns) -> dict:
    """What the logit says, and the checks of it that need no second look at the data."""
    alone = []
    for factor in x.factors:
        one = regression.design([c for c in columns if c[0].factor == factor], len(frame))
        fit = regression.logit(one, y, n)
        odds = fit.coefficients.iloc[1:]
        alone.append(regression.marginal_effects(fit, one, n).assign(
            odds=odds["ratio"].to_numpy(), odds_low=odds["ratio_low"].to_numpy(),
            odds_high=odds["ratio_high"].to_numpy()))
    without = None
    if {"device", "country"} <= set(x.factors):
        without = regression.leave_out(paying, x, y, n, frame["country"])
        without = without[without["factor"] == "device"].reset_index(drop=True)
        without = without.rename(columns={"trials": "users"}).assign(
            ratio=np.exp(without["estimate"]))[["left_out", "level", "users", "ratio"]]
    return {
        "effects": regression.marginal_effects(paying, x, n),
        "alone": pd.concat(alone, ignore_index=True),
        "area_fitted": regression.auc(x.matrix @ paying.params, y, n),
        "link": regression.link_test(paying, x, y, n),
        "age_bands": _bands_against_line(paying, x, y, n, frame),
        "inflation": regression.generalised_vif(paying, x),
        "without": without,
    }


def _bands_against_line(paying: Logit, x: Design, y, n, frame) -> Check | None:
    bands = frame["age_band"][frame["age_band"] != NOT_STATED]
    if "age" not in x.factors or bands.nunique() < 3:
        return None
    # The line lies among the bands, so all but two of them leave it and the intercept free.
    spare = sorted(bands.unique())[2:]
    extra = [(Column("band", band, "line"), (frame["age_band"] == band).to_numpy(dtype=float))
             for band in spare]
    line = [(c, x.matrix[:, i]) for i, c in enumerate(x.columns, start=1)]
    try:
        test = regression.logit(regression.design([*line, *extra], len(frame)), y, n).tests
    except ValueError:  # a small band may hold payers only, or none
        return None
    row = test[test["factor"] == "band"].iloc[0]
    return Check(float(row["likelihood_ratio"]), int(row["df"]), float(row["p_value"]))


def _validated(x: Design, y, n) -> dict:
    """Checks on users that the model had not seen."""
    held = regression.cross_validated(x, y, n, FOLDS, SEED)
    score, won, size = held["score"], held["successes"], held["trials"]
    return {
        "area": regression.auc(score, won, size),
        "slope": regression.calibration_slope(score, won, size),
        "calibration": regression.calibration(special.expit(score), won, size, BINS),
    }


def _spread(predicted: np.ndarray, money: Sums) -> pd.DataFrame:
    """Mean and standard deviation of revenue by tenths of the users, least predicted first."""
    frame = pd.DataFrame({"predicted": predicted, "users": money.n, "sum": predicted * money.n,
                          "total": money.total, "squares": money.squares})
    frame = frame.groupby("predicted", as_index=False).sum()
    middle = frame["users"].cumsum() - frame["users"] / 2
    tenth = np.minimum((BINS * middle / frame["users"].sum()).astype(int), BINS - 1)
    sums = frame.groupby(tenth)[["users", "sum", "total", "squares"]].sum()
    mean = sums["total"] / sums["users"]
    variance = (sums["squares"] - sums["users"] * mean**2) / (sums["users"] - 1).where(
        sums["users"] > 1)
    return pd.DataFrame({
        "tenth": np.arange(1, len(sums) + 1), "users": sums["users"].astype("int64"),
        "predicted": sums["sum"] / sums["users"], "mean": mean,
        "sd": np.sqrt(variance.clip(lower=0)),
    }).reset_index(drop=True)
