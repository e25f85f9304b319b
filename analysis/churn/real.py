"""Is the table recorded or made? The signs that `analysis.forensics` knows, asked of subscribers.

Everything rests on what is reduced where the table is: how often each value of the numbers occurs,
and counts by combinations of the categories, with sums of the numbers in each.

The source's published figures are asked the same, as far as they go, in `published`. They are all
that can be known here about the table behind the source: the shipped table is made after them.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis.churn.reductions import (
    CATEGORIES,
    FEW_VALUES,
    NUMBERS,
    CrossMoments,
    Reductions,
    Values,
    labels,
)
from analysis.forensics import digits, edges, rates, ties, uniformity
from analysis.forensics.digits import FirstDigits, Numbering
from analysis.forensics.edges import Cliff
from analysis.forensics.pvalues import partial_conjunction
from analysis.forensics.rates import Additivity, Homogeneity, Trend
from analysis.forensics.ties import Picture, Tie
from analysis.forensics.verdict import Sign, Verdict, judge
from analysis.stats.multiplicity import holm

ALPHA = 0.05
CELLS = 10
STEPS = (1000.0, 100.0, 10.0, 1.0, 0.1, 0.01)  # of the grids that are looked for
WINDOW = 12  # months on either side of a cliff
MOST_MONTHS = 1_200  # beyond, months are taken as they come, without the empty ones
LEAST_SHARE = 0.05  # of a value of a category that stands for itself in pairs of columns
FACTORS = 3  # whose interplay is tested
# What people say of themselves, and every how many steps of the grid they would stop.
STATED = {"age": 5, "monthly_income": 10}
LEAST_CYCLES = 3  # round places that heaping needs
FIRST_DIGITS = "monthly_income"
# Pairs that go together in the world; why, is told in the chapter.
EXPECTED = (
    ("daily_watch_hours", "engagement_rate"), ("satisfaction_score", "engagement_rate"),
    ("satisfaction_score", "churned"), ("daily_watch_hours", "churned"),
    ("age", "monthly_income"), ("monthly_income", "plan"), ("monthly_income", "region"),
    ("profiles", "plan"),
)

# What the source's dashboard shows, and its text: see `published`.
PUBLISHED_COUNTS = {
    "genre": {"Comedy": 733, "Sci-Fi": 704, "Action": 697, "Drama": 685, "Romance": 681},
    "region": {"Oceania": 607, "Europe": 604, "North America": 600, "Asia": 568,
               "South America": 561, "Africa": 560},
    "device": {"Smart TV": 892, "Tablet": 877, "Laptop": 876, "Mobile": 855},
    "plan": {"Basic": 1714, "Standard": 1069, "Premium": 717},
}
# Mean, half of its last printed digit, least and largest value.
PUBLISHED_MEANS = {
    "subscription_months": (30.5, 0.05, 1, 60), "age": (43.9, 0.05, 18, 70),
    "monthly_income": (5492, 0.5, 1010, 9990), "daily_watch_hours": (3.51, 0.005, 1, 6),
    "satisfaction_score": (6.93, 0.005, 1, 10), "engagement_rate": (6.95, 0.005, 1, 10),
    "support_queries": (5.02, 0.005, 0, 10),
}
PUBLISHED_ENGAGEMENT = {"Smart TV": 7.02, "Laptop": 7.00, "Mobile": 6.93, "Tablet": 6.87}
PUBLISHED_SD = 2.67  # of engagement
PUBLISHED_R = -0.01  # of age and support queries
PUBLISHED_SUBSCRIBERS, PUBLISHED_CHURNED = 3500, 397
# Churn in each of the first 24 of 60 months, about; none later.
PUBLISHED_RATE, PUBLISHED_EDGE, PUBLISHED_LAST = 0.28, 24, 60


@dataclass(frozen=True)
class Published:
    """What the source's printed figures alone tell about the table behind them.

    Attributes:
        subscribers: Subscribers in it.
        counts: Index `trait`: the printed counts against equal shares; columns as `Real.spread`.
        means: Index `trait`: `mean`, `low`, `high` (of the values), `offset` (mean less middle, as
            a share of the range) with `offset_low` and `offset_high`, `p_off`, `p_middle`.
        device: Engagement by device, from the printed means and their common sd.
        queries: Age and support queries, from the printed correlation.
        cliff: Churn by month, from the printed rate and its last month, with subscribers spread
            evenly over the months on either side.
        verdict: From these.
    """

    subscribers: int
    counts: pd.DataFrame
    means: pd.DataFrame
    device: Tie
    queries: Tie
    cliff: Cliff
    verdict: Verdict


@dataclass(frozen=True)
class Real:
    """The signs in the table, what each says, and the verdict.

    Attributes:
        subscribers: Subscribers in the table.
        spread: Index `trait`, columns that vary, numbers over `cells` of equal width and categories
            over their values, against an even spread: `cells`, `n`, `statistic`, `df`,
            `p_uneven`, `p_closer`, `w` with `low` and `high`, `bits`, `bits_by_chance`, `p_even`
            (see `uniformity.Evenness`), `even` (shown to be, Holm over the rows), for numbers
            their `step` (nan without a grid), `from_value`, `to_value`, and, of more than a few
            values, the relative density at both ends, `low_end`, `high_end`, with `p_full` and
            `full` (shown to be full up to both, Holm).
        cells: Index `trait`, `cell`, the numbers' cells: `from_value`, `to_value`, `n`, `expected`
            (share in an even spread), `density` (the share there over the expected one).
        pairs: Index `first`, `second`, all pairs of columns that could be tested: `size`,
            `p_value`, `p_absent` (see `ties.Tie`).
        picture: All pairs without churn together; None if there are none.
        largest: The most closely tied of those; None if there are none.
        named: Index `first`, `second`, `EXPECTED` pairs that could be tested: `measure`, `size`,
            `low`, `high`, `p_value`, `p_absent`, both corrected (Holm, each), `finding`:
            "present" (shown to be tied), "absent" (shown to be tied by less than the margin), both
            together ("weak"), or "open".
        cliff: The last month with churn, if later months have subscribers.
        last: That month, or the last month at all; what follows is of the months up to it.
        edge: The same, where churn is shown to stop there at once; otherwise None.
        flat: The trend of churn along the months.
        homogeneity: Churn by month against one rate.
        factors: The categories whose interplay was tested: those most closely tied to churn.
        interplay: Churn by their combinations against a logistic model without interactions.
        heaping: Index `trait`, of `STATED` ones that could be tested: `round` (multiples of which
            value), `n`, `ratio`, `low`, `high`, `p_heaped`, `p_smooth`; see `digits.Heaping`.
        first_digits: Of income, against Benford's law.
        numbering: Identifiers that are whole numbers, and whether they go with time.
        verdict: The signs and what follows from them.
        published: The same asked of the source's printed figures.
    """

    subscribers: int
    spread: pd.DataFrame
    cells: pd.DataFrame
    pairs: pd.DataFrame
    picture: Picture | None
    largest: tuple[str, str] | None
    named: pd.DataFrame
    cliff: Cliff | None
    last: int
    edge: int | None
    flat: Trend | None
    homogeneity: Homogeneity | None
    factors: tuple[str, ...]
    interplay: Additivity | None
    heaping: pd.DataFrame
    first_digits: FirstDigits | None
    numbering: Numbering | None
    verdict: Verdict
    published: Published


def real(table: ir.Table, base: Reductions) -> Real:
    """Looks for the signs.

    Args:
        table: netflix/subscribers.
        base: Its reductions.
    """
    grids = {column: _grid(base.values[column]) for column in NUMBERS}
    cells = _cells(base, grids)
    spread = _spread(cells, base, grids)
    cliff, last, edge = _cliff(base.months)
    span = base.months[base.months["month"] <= last]
    combinations = _combinations(table, base, last)
    found = _ties(combinations, base)
    inner = {pair: tie for pair, tie in found.items() if "churned" not in pair}
    picture = ties.picture(list(inner.values()))
    named = _named(found)
    flat = rates.trend(span["churned"], span["subscribers"], span["month"])
    homogeneity = rates.homogeneity(span["churned"], span["subscribers"])
    factors, interplay = _interplay(combinations)
    heaping = _heaping(base, grids)
    first_digits = _first_digits(base.values[FIRST_DIGITS])
    numbering = _numbering(table, base)
    signs = _signs(spread, picture, named, cliff, flat, homogeneity, interplay, heaping,
                   first_digits, numbering)
    return Real(
        subscribers=base.subscribers, spread=spread, cells=cells, pairs=_pairs(found),
        picture=picture, largest=list(inner)[picture.largest] if picture else None,
        named=named, cliff=cliff, last=last, edge=edge, flat=flat, homogeneity=homogeneity,
        factors=factors, interplay=interplay, heaping=heaping,
        first_digits=first_digits, numbering=numbering, verdict=judge(signs),
        published=published(),
    )


# What is counted.


def _grid(values: Values) -> float | None:
    """The coarsest of `STEPS` of which all values are multiples; None if they are of none.

    Beyond 2^53 every float is a whole number, so of such values it can't be told.
    """
    steps = [step for step in STEPS if values.value[-1] / step < 1e15]
    on = {step: int(values.subscribers[_is_multiple(values.value, step)].sum()) for step in steps}
    return digits.grid(on, int(values.subscribers.sum()))


def _is_multiple(value: NDArray[np.float64], step: float) -> NDArray[np.bool_]:
    scaled = value / step if step >= 1 else value * float(round(1 / step))
    return np.abs(scaled - np.round(scaled)) < 1e-6


def _first_digits(values: Values) -> FirstDigits | None:
    """First digits of values from a hundredth up; None without any."""
    # Beyond is more than all the money there is.
    powers = np.array([10.0**order for order in range(-2, 17)])
    there = (values.value >= powers[0]) & (values.value < powers[-1])
    amount = values.value[there]
    if not amount.size:
        return None
    place = np.searchsorted(powers, amount, "right") - 1
    # Times a hundred is exact where by a hundredth is not.
    scaled = np.where(place < 2, amount * powers[4 - place], amount / powers[place])
    counts = np.bincount(scaled.astype(int), values.subscribers[there], 10)
    return digits.first_digits(
        counts[1:].astype(int).tolist(), float(amount[0]), float(amount[-1]))


def _numbering(table: ir.Table, base: Reductions) -> Numbering | None:
    """How subscribers are numbered; None without two identifiers that are whole numbers."""
    text = table.customer_id.cast("string")
    whole = text.re_search(r"^[0-9]{1,15}$")
    number = whole.ifelse(text, ibis.null("string")).cast("float64")
    row = table.aggregate(
        n=number.nunique(), low=number.min(), high=number.max(), mean=number.mean(),
    ).to_pandas().iloc[0]
    if int(row["n"]) < 2:
        return None
    r = _id_and_months(table, number, float(row["mean"]), base)
    return digits.numbering(int(row["n"]), float(row["low"]), float(row["high"]), r)


def _id_and_months(
    table: ir.Table, number: ir.NumericValue, mean: float, base: Reductions
) -> float:
    """Correlation of numeric identifiers with months of subscription; nan without variation."""
    months = table.subscription_months.cast("float64") - base.numbers["subscription_months"].mean
    x = number - mean
    y = number.isnull().ifelse(ibis.null("float64"), months)
    row = table.aggregate(
        n=x.count(), x=x.sum(), y=y.sum(), xx=(x * x).sum(), yy=(y * y).sum(), xy=(x * y).sum(),
    ).to_pandas().iloc[0]
    n = float(row["n"])
    ss_x, ss_y = row["xx"] - row["x"] ** 2 / n, row["yy"] - row["y"] ** 2 / n
    if not (ss_x > 0 and ss_y > 0):
        return math.nan
    return float((row["xy"] - row["x"] * row["y"] / n) / math.sqrt(ss_x * ss_y))


def _cells(base: Reductions, grids: Mapping[str, float | None]) -> pd.DataFrame:
    """Subscribers by cells of equal width of each number that varies; see `Real.cells`."""
    rows = []
    for column in NUMBERS:
        values = base.values[column]
        if values.value.size < 2:
            continue
        layout = _layout(values.value[0], values.value[-1], grids[column])
        counts = np.bincount(layout.cell(values.value), values.subscribers, layout.cells_)
        for cell, (low, high, expected) in enumerate(layout.cells()):
            n = int(counts[cell])
            rows.append((column, cell, low, high, n, expected, n / base.subscribers / expected))
    columns = ["trait", "cell", "from_value", "to_value", "n", "expected", "density"]
    return pd.DataFrame(rows, columns=columns).set_index(["trait", "cell"])


@dataclass(frozen=True)
class _Layout:
    """How the range of a number is cut: `places` values of the grid, or None without a grid."""

    low: float
    high: float
    step: float | None
    places: int | None
    cells_: int

    def cells(self) -> list[tuple[float, float, float]]:
        """First and last value, and share of the range, of each cell."""
        if self.places is None:
            width = (self.high - self.low) / self.cells_
            return [(self.low + c * width, self.low + (c + 1) * width, 1 / self.cells_)
                    for c in range(self.cells_)]
        starts = [-(-c * self.places // self.cells_) for c in range(self.cells_ + 1)]
        return [(round(self.low + a * self.step, 10), round(self.low + (b - 1) * self.step, 10),
                 (b - a) / self.places) for a, b in itertools.pairwise(starts)]

    def cell(self, value: NDArray[np.float64]) -> NDArray[np.int64]:
        """The cell of each value."""
        if self.places is None:
            share = (value - self.low) / (self.high - self.low) * self.cells_
            return np.clip(share.astype(int), 0, self.cells_ - 1)
        place = np.round((value - self.low) / self.step).astype(int)
        return place * self.cells_ // self.places


def _layout(low: float, high: float, step: float | None) -> _Layout:
    places = round((high - low) / step) + 1 if step else None
    if places is not None and places > 1e9:
        places = None
    if places is not None and places <= FEW_VALUES:
        return _Layout(low, high, step, places, places)
    return _Layout(low, high, step, places, CELLS)


def _heaping(base: Reductions, grids: Mapping[str, float | None]) -> pd.DataFrame:
    """Round values against their neighbours; see `Real.heaping`."""
    rows = []
    for column, every in STATED.items():
        values = base.values[column]
        unit = max(grids[column] or 1.0, 1.0)
        if values.value[-1] / unit > 1e12:
            continue
        half = (every - 1) // 2
        place = np.floor(values.value / unit + 0.5).astype(int)
        # Whole cycles about round values only, so that all distances are equally frequent.
        first, last = -(-(place[0] + half) // every), (place[-1] - half) // every
        if last - first + 1 < LEAST_CYCLES:
            continue
        within = (place >= first * every - half) & (place <= last * every + half)
        counts = np.bincount(place[within] % every, values.subscribers[within], every).astype(int)
        near = {distance % every for distance in range(-half, half + 1)}
        found = digits.heaping(int(counts[0]), [int(counts[place]) for place in near - {0}])
        if found:
            rows.append((column, unit * every, found.n, found.ratio, found.low, found.high,
                         found.p_heaped, found.p_smooth))
    columns = ["trait", "round", "n", "ratio", "low", "high", "p_heaped", "p_smooth"]
    return pd.DataFrame(rows, columns=columns).set_index("trait")


def _combinations(table: ir.Table, base: Reductions, last: int) -> pd.DataFrame:
    """Subscribers, churned and sums of the numbers by combination of the categories.

    Values of a category that less than `LEAST_SHARE` of the subscribers have are taken together, so
    that there are at most twenty of each. The numbers are centred, so that sums of squares keep
    their digits. `early` is 1 up to the last month with churn.
    """
    keys = {}
    for column in CATEGORIES:
        counts = base.churn_by_category[column]
        kept = counts.loc[counts["subscribers"] >= LEAST_SHARE * base.subscribers, "value"]
        value = labels(table, column)
        cases = [(value == name, place) for place, name in enumerate(kept)]
        keys[column] = ibis.cases(*cases, else_=-1) if cases else ibis.literal(-1)
    keys["early"] = (table.subscription_months <= last).ifelse(1, 0)
    sums = {"subscribers": table.count(), "churned": table.churned.sum()}
    for column in NUMBERS:
        centred = table[column].cast("float64") - base.numbers[column].mean
        sums |= {f"sum_{column}": centred.sum(), f"squares_{column}": (centred * centred).sum()}
    return table.group_by(**keys).aggregate(**sums).to_pandas().sort_values(list(keys))


# Statistics of what was reduced.


def _spread(
    cells: pd.DataFrame, base: Reductions, grids: Mapping[str, float | None]
) -> pd.DataFrame:
    """Columns against an even spread; see `Real.spread`."""
    rows = []
    for column in cells.index.get_level_values("trait").unique():
        mine = cells.loc[column]
        counts = mine["n"].to_numpy().copy()
        # The least and the largest value set the ends; only the others could have been anywhere.
        counts[0] -= 1
        counts[-1] -= 1
        if counts.sum() < 1 or len(counts) < 2:
            continue
        row = _even_row(counts.tolist(), mine["expected"].tolist())
        row |= {"trait": column, "step": grids[column] or math.nan,
                "from_value": base.numbers[column].low, "to_value": base.numbers[column].high}
        if base.numbers[column].distinct > FEW_VALUES:
            found = uniformity.ends(
                int(counts[0]), int(counts[-1]), int(counts.sum()),
                float(mine["expected"].iloc[0]), float(mine["expected"].iloc[-1]))
            row |= {"low_end": found.low, "high_end": found.high, "p_full": found.p_full}
        rows.append(row)
    for column in CATEGORIES:
        counts = base.churn_by_category[column]["subscribers"].tolist()
        # Fewer subscribers than five a value can't be shown to be equally frequent.
        if 2 < len(counts) <= base.subscribers / 5:
            rows.append({"trait": column} | _even_row(counts))
    frame = pd.DataFrame(rows, columns=[
        "trait", "cells", "n", "statistic", "df", "p_uneven", "p_closer", "w", "low", "high",
        "bits", "bits_by_chance", "p_even", "step", "from_value", "to_value", "low_end", "high_end",
        "p_full"]).set_index("trait")
    frame["even"] = _holm(frame["p_even"]) <= ALPHA
    frame["full"] = _holm(frame["p_full"]) <= ALPHA
    return frame


def _even_row(counts: Sequence[int], shares: Sequence[float] | None = None) -> dict:
    found = uniformity.evenness(counts, shares)
    names = ("cells", "n", "statistic", "df", "p_uneven", "p_closer", "w", "low", "high", "bits",
             "bits_by_chance", "p_even")
    return {name: getattr(found, name) for name in names}


def _holm(p_values: pd.Series) -> pd.Series:
    """Holm's adjusted p-values of those that there are."""
    adjusted = pd.Series(np.nan, p_values.index, dtype=float)
    there = p_values.notna()
    adjusted[there] = holm(p_values[there].astype(float))
    return adjusted


def _cliff(months: pd.DataFrame) -> tuple[Cliff | None, int, int | None]:
    """Where churn stops for good: the drop, its month, and again if it is shown to stop at once."""
    first, last = int(months["month"].iloc[0]), int(months["month"].iloc[-1])
    by_month = months.set_index("month")[["churned", "subscribers"]]
    if last - first < MOST_MONTHS:
        by_month = by_month.reindex(range(first, last + 1), fill_value=0)
    found = edges.cliff(by_month["churned"], by_month["subscribers"], WINDOW)
    if found is None:
        return None, last, None
    month = int(by_month.index[found.place])
    return found, month, month if found.p_edge <= ALPHA else None


def _ties(combinations: pd.DataFrame, base: Reductions) -> dict[tuple[str, str], Tie]:
    """All pairs of columns that can be tested."""
    found: dict[tuple[str, str], Tie | None] = {}
    moments: Mapping[tuple[str, str], CrossMoments] = base.cross_moments
    for first, second in itertools.combinations((*NUMBERS, "churned"), 2):
        m = moments[first, second]
        found[first, second] = ties.between_numbers(m.r, m.n)
    for category in CATEGORIES:
        grouped = combinations.groupby(category)
        sizes = grouped["subscribers"].sum()
        for column in NUMBERS:
            found[column, category] = ties.between_number_and_groups(
                sizes, grouped[f"sum_{column}"].sum(), combinations[f"squares_{column}"].sum())
        churned = grouped["churned"].sum()
        found[category, "churned"] = ties.between_categories(
            np.column_stack([churned, sizes - churned]))
    for first, second in itertools.combinations(CATEGORIES, 2):
        found[first, second] = ties.between_categories(_crossed(combinations, first, second))
    return {pair: tie for pair, tie in found.items() if tie is not None}


def _crossed(combinations: pd.DataFrame, first: str, second: str) -> np.ndarray:
    """Subscribers by the values of two categories."""
    places = [np.unique(combinations[name], return_inverse=True) for name in (first, second)]
    (rows, row), (columns, column) = places
    counts = np.zeros((rows.size, columns.size))
    np.add.at(counts, (row, column), combinations["subscribers"].to_numpy())
    return counts


def _pairs(found: Mapping[tuple[str, str], Tie]) -> pd.DataFrame:
    rows = [(*pair, tie.size, tie.p_value, tie.p_absent) for pair, tie in found.items()]
    columns = ["first", "second", "size", "p_value", "p_absent"]
    return pd.DataFrame(rows, columns=columns).set_index(["first", "second"])


def _named(found: Mapping[tuple[str, str], Tie]) -> pd.DataFrame:
    """The pairs that have to go together; see `Real.named`."""
    rows = []
    for pair in EXPECTED:
        if pair in found:
            tie, interval = found[pair], found[pair].interval()
            rows.append((*pair, tie.measure, tie.size, interval.low, interval.high, tie.p_value,
                         tie.p_absent))
    columns = ["first", "second", "measure", "size", "low", "high", "p_value", "p_absent"]
    frame = pd.DataFrame(rows, columns=columns).set_index(["first", "second"])
    frame["adjusted_value"] = _holm(frame["p_value"])
    frame["adjusted_absent"] = _holm(frame["p_absent"])
    findings = {(True, False): "present", (False, True): "absent", (True, True): "weak",
                (False, False): "open"}
    frame["finding"] = [
        findings[bool(there), bool(gone)] for there, gone in zip(
            frame["adjusted_value"] <= ALPHA, frame["adjusted_absent"] <= ALPHA, strict=True)]
    return frame


def _interplay(combinations: pd.DataFrame) -> tuple[tuple[str, ...], Additivity | None]:
    """Churn by combinations of the categories that are most closely tied to it."""
    early = combinations[combinations["early"] == 1]
    strength = {}
    for column in CATEGORIES:
        sums = early.groupby(column)[["churned", "subscribers"]].sum()
        tie = ties.between_categories(np.column_stack(
            [sums["churned"], sums["subscribers"] - sums["churned"]]))
        if tie is not None:
            strength[column] = tie.p_value
    factors = tuple(sorted(strength, key=lambda column: (strength[column], column))[:FACTORS])
    if len(factors) < 2:
        return factors, None
    sums = early.groupby(list(factors))[["churned", "subscribers"]].sum().reset_index()
    found = rates.additivity(sums[list(factors)], sums["churned"], sums["subscribers"])
    return factors, found


def _signs(
    spread: pd.DataFrame, picture: Picture | None, named: pd.DataFrame, cliff: Cliff | None,
    flat: Trend | None, homogeneity: Homogeneity | None, interplay: Additivity | None,
    heaping: pd.DataFrame, first_digits: FirstDigits | None, numbering: Numbering | None,
) -> list[Sign]:
    """Everything that was looked at, as signs for either origin."""
    numbers = spread[spread.index.isin(NUMBERS)]
    many = numbers[numbers["p_full"].notna()]
    categories = spread[spread.index.isin(CATEGORIES)]
    share = picture.share if picture else None
    signs = [
        Sign("even_numbers", "spread", _some(numbers["p_even"], 1 / 3),
             size=_median(numbers["w"])),
        Sign("full_ends", "spread", _some(many["p_full"], 1 / 3),
             size=_median(many[["low_end", "high_end"]].min(axis=1))),
        Sign("equal_categories", "spread", _some(categories["p_even"], 1 / 2),
             size=_median(categories["w"])),
        Sign("named_ties", "ties", _some(named["p_absent"], 1 / 2),
             _some(named["p_value"], 1 / 2), size=_median(named["size"].abs())),
        Sign("all_pairs", "ties",
             picture.p_few if picture else math.nan, picture.p_many if picture else math.nan,
             *((share.estimate, share.low, share.high) if share else ())),
        Sign("cliff", "rate", cliff.p_edge if cliff else math.nan,
             size=cliff.rate.estimate if cliff else math.nan,
             low=cliff.rate.low if cliff else math.nan,
             high=cliff.rate.high if cliff else math.nan),
        Sign("trend", "rate", flat.p_flat if flat else math.nan,
             flat.p_falling if flat else math.nan,
             *((flat.size, flat.low, flat.high) if flat else ())),
        Sign("interplay", "rate", p_recorded=interplay.p_interplay if interplay else math.nan,
             size=interplay.statistic / interplay.df if interplay else math.nan),
        Sign("too_even", "closeness", _least(spread["p_closer"])),
        Sign("too_constant", "closeness", homogeneity.p_closer if homogeneity else math.nan,
             size=homogeneity.dispersion if homogeneity else math.nan),
        Sign("heaping", "habits", heaping["p_smooth"].max() if len(heaping) else math.nan,
             _least(heaping["p_heaped"]),
             size=heaping["ratio"].max() if len(heaping) else math.nan),
        Sign("first_digits", "habits", p_recorded=(
                first_digits.fit.p_even if first_digits and first_digits.applies else math.nan),
             size=first_digits.orders if first_digits else math.nan),
        Sign("numbering", "habits", p_recorded=numbering.p_ordered if numbering else math.nan,
             size=numbering.r if numbering else math.nan),
    ]
    return signs


def _some(p_values: pd.Series, part: float) -> float:
    """p-value of fewer than a part of the effects, and than two; nan where there are not two."""
    if p_values.notna().sum() < 2:
        return math.nan
    return partial_conjunction(p_values, max(2, math.ceil(part * len(p_values) - 1e-9)))


def _least(p_values: pd.Series) -> float:
    """The smallest p-value, corrected for their number (Bonferroni); nan without any."""
    there = p_values.dropna()
    return min(1.0, float(there.min()) * len(there)) if len(there) else math.nan


def _median(values: pd.Series) -> float:
    return float(values.median()) if values.notna().any() else math.nan


# The source.


def _dealt(total: int, cells: int) -> list[int]:
    """Whole numbers as even as can be whose sums up to any cell are right to within a half.

    Each cell rounded by itself would add up to another total, and to another rate.
    """
    return np.diff(np.rint(np.linspace(0, total, cells + 1))).astype(int).tolist()


@functools.cache
def published() -> Published:
    """What the source's printed figures tell: shares, means, two relations, churn by month.

    Figures from the source's dashboard: the counts of four categories, the means and the ends of
    seven numbers, mean engagement by device and its standard deviation, the correlation of age and
    support queries, 397 of 3,500 churned, all of them within the first 24 of 60 months, at about
    28% in every month.
    """
    n = PUBLISHED_SUBSCRIBERS
    counts = pd.DataFrame([
        {"trait": trait} | _even_row(list(values.values()))
        for trait, values in PUBLISHED_COUNTS.items()
    ]).set_index("trait")
    counts["even"] = _holm(counts["p_even"]) <= ALPHA
    rows = []
    for trait, (mean, rounding, low, high) in PUBLISHED_MEANS.items():
        sd = PUBLISHED_SD if trait in ("satisfaction_score", "engagement_rate") else None
        found = uniformity.middle(mean, low, high, n, sd=sd, rounding=rounding)
        rows.append((trait, mean, low, high, found.offset, found.low, found.high, found.p_off,
                     found.p_middle))
    means = pd.DataFrame(rows, columns=["trait", "mean", "low", "high", "offset", "offset_low",
                                        "offset_high", "p_off", "p_middle"]).set_index("trait")
    sizes = np.array([PUBLISHED_COUNTS["device"][name] for name in PUBLISHED_ENGAGEMENT])
    by_device = np.array(list(PUBLISHED_ENGAGEMENT.values()))
    centred = by_device - sizes @ by_device / sizes.sum()
    device = ties.between_number_and_groups(
        sizes, sizes * centred, (n - 1) * PUBLISHED_SD**2)
    queries = ties.between_numbers(PUBLISHED_R, n)
    # Subscribers of each month follow from the churned and their rate.
    early = round(PUBLISHED_CHURNED / PUBLISHED_RATE)
    later = PUBLISHED_LAST - PUBLISHED_EDGE
    at_risk = _dealt(early, PUBLISHED_EDGE) + _dealt(n - early, later)
    churned = _dealt(PUBLISHED_CHURNED, PUBLISHED_EDGE) + [0] * later
    cliff = edges.cliff(churned, at_risk, WINDOW)
    share = cliff.rate
    signs = [
        Sign("equal_categories", "spread", _some(counts["p_even"], 1 / 2),
             size=_median(counts["w"])),
        Sign("middle_means", "spread", _some(means["p_middle"], 1 / 3),
             size=_median(means["offset"].abs())),
        Sign("published_ties", "ties", _some(pd.Series([device.p_absent, queries.p_absent]), 1.0),
             _some(pd.Series([device.p_value, queries.p_value]), 1.0),
             size=max(device.size, abs(queries.size))),
        Sign("cliff", "rate", cliff.p_edge, size=share.estimate, low=share.low, high=share.high),
    ]
    return Published(
        subscribers=n, counts=counts, means=means, device=device, queries=queries, cliff=cliff,
        verdict=judge(signs),
    )
