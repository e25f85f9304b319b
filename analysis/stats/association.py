"""Chi-squared tests of counts: association of two factors, and goodness of fit to given shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import special, stats

from analysis.stats._common import Record, Values, check_count, check_fraction
from analysis.stats.effects import Effect

SEED = 1954
RESAMPLES = 9_999  # with the observed one, p-values are multiples of 1/10,000
ASYMPTOTIC = "chi-squared approximation"
MONTE_CARLO = "Monte Carlo"
HUGE = 1e9  # statistic beyond which its noncentral distribution can't be computed, and is normal


@dataclass(frozen=True, slots=True)
class Association(Record):
    """Pearson's chi-squared test of association in a table of counts.

    Attributes:
        n: Total count.
        rows, columns: Size of the table, rows and columns without counts left out.
        statistic: Sum of (observed - expected)^2 / expected, without continuity correction.
        df: (rows - 1)(columns - 1).
        p_asymptotic: From the chi-squared distribution.
        p_value: The one to read: the same where `rule_holds`, otherwise Fisher's exact p (2x2) or
            a Monte-Carlo p with fixed margins.
        method: Where `p_value` comes from.
        p_standard_error: Monte-Carlo standard error of `p_value`; None if it was not simulated.
        smallest_expected: The smallest expected count.
        share_below_5: Share of cells with an expected count below 5.
        rule_holds: Cochran's (1954) rule: every expected count at least 1 and at most a fifth of
            them below 5; in a 2x2 table, every one at least 5.
        v: Cramér's V = sqrt(statistic / (n min(rows - 1, columns - 1))) (Cramér 1946), 0 to 1.
            It is biased upwards: without any association its square still expects
            df / (n min(...)).
        effect: Bergsma's (2013) bias-corrected V with an interval of the population's V (`limits`).
        cells: One row a cell: `row`, `column` (labels), `observed`, `expected`, `contribution` (to
            the statistic) and `residual`, the adjusted standardised residual (Haberman 1973),
            about standard normal where the factors are independent.
    """

    n: int
    rows: int
    columns: int
    statistic: float
    df: int
    p_asymptotic: float
    p_value: float
    method: str
    p_standard_error: float | None
    smallest_expected: float
    share_below_5: float
    rule_holds: bool
    v: float
    effect: Effect
    cells: pd.DataFrame = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class GoodnessOfFit(Record):
    """Pearson's chi-squared test of counts against given shares.

    Attributes:
        n: Total count.
        statistic: Sum of (observed - expected)^2 / expected.
        df: Number of categories less 1.
        p_asymptotic: From the chi-squared distribution.
        p_value: The one to read: the same where `rule_holds`, otherwise the exact binomial p (two
            categories) or a Monte-Carlo p.
        method: Where `p_value` comes from.
        p_standard_error: Monte-Carlo standard error of `p_value`; None if it was not simulated.
        smallest_expected: The smallest expected count.
        rule_holds: Every expected count at least 1 and at most a fifth of them below 5; with two
            categories, both at least 5 (Cochran 1954).
        effect: Cohen's (1988) w = sqrt(statistic / n), with an interval of the population's w
            (`limits`). w is biased upwards: without any difference its square still expects df / n.
        cells: One row a category: `category`, `observed`, `expected`, `share` (observed),
            `expected_share` and `residual`, the standardised residual.
    """

    n: int
    statistic: float
    df: int
    p_asymptotic: float
    p_value: float
    method: str
    p_standard_error: float | None
    smallest_expected: float
    rule_holds: bool
    effect: Effect
    cells: pd.DataFrame = field(repr=False, compare=False)


def goodness_of_fit(
    counts: Mapping[str, int] | Sequence[int],
    shares: Mapping[str, float] | Sequence[float],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> GoodnessOfFit:
    """Whether counts agree with shares that were fixed before they were seen (Pearson 1900).

    Args:
        counts: Observed counts, by category or in order.
        shares: What each category's share should be, by the same categories or in the same order;
            above 0 and adding up to 1.
        confidence: Of the interval of w.
        resamples: Multinomial samples for the Monte-Carlo p-value, where that is needed.
        seed: Of those samples.

    Raises:
        ValueError: Fewer than two categories, shares that do not match them, are not above 0 or do
            not add up to 1, counts that are not whole numbers of at least 0, or none at all.
    """
    check_fraction(confidence, "confidence")
    names = list(counts) if isinstance(counts, Mapping) else list(map(str, range(len(counts))))
    if isinstance(counts, Mapping) != isinstance(shares, Mapping) or len(shares) != len(names) or (
        isinstance(shares, Mapping) and set(shares) != set(names)
    ):
        raise ValueError("shares: must be given for the same categories as counts")
    if len(names) < 2:
        raise ValueError(f"counts: need at least 2 categories, got {len(names)}")
    keys = names if isinstance(counts, Mapping) else range(len(names))
    observed = np.array([check_count(counts[key], "counts", least=0) for key in keys], dtype=float)
    share = np.array([shares[key] for key in keys], dtype=float)
    if not (share > 0).all() or abs(share.sum() - 1) > 1e-9:
        raise ValueError(f"shares: must be above 0 and add up to 1, got {share.tolist()}")
    n = int(observed.sum())
    if n == 0:
        raise ValueError("counts: all are 0")
    expected = n * share
    statistic = float(((observed - expected) ** 2 / expected).sum())
    df = len(names) - 1
    p_asymptotic = float(special.chdtrc(df, statistic))
    rule_holds = _rule_holds(expected, least=5 if df == 1 else 1)
    p, method, error = p_asymptotic, ASYMPTOTIC, None
    if not rule_holds and df == 1:
        p = float(stats.binomtest(int(observed[0]), n, share[0]).pvalue)
        method = "exact binomial"
    elif not rule_holds:
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(n, share / share.sum(), size=resamples)
        p, error = _monte_carlo(((drawn - expected) ** 2 / expected).sum(axis=1), statistic)
        method = MONTE_CARLO
    # The largest w is that of all counts in the rarest category.
    most = np.sqrt(1 / share.min() - 1)
    low, high = (min(most, np.sqrt(x / n)) for x in limits(statistic, df, confidence))
    w = np.sqrt(statistic / n)
    return GoodnessOfFit(
        n=n,
        statistic=statistic,
        df=df,
        p_asymptotic=p_asymptotic,
        p_value=p,
        method=method,
        p_standard_error=error,
        smallest_expected=float(expected.min()),
        rule_holds=rule_holds,
        effect=Effect("Cohen's w", float(w), float(low), float(max(high, w)), confidence),
        cells=pd.DataFrame({
            "category": names,
            "observed": observed.astype("int64"),
            "expected": expected,
            "share": observed / n,
            "expected_share": share,
            "residual": (observed - expected) / np.sqrt(expected * (1 - share)),
        }),
    )


def association(
    table: pd.DataFrame | ArrayLike,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Association:
    """Whether two factors are associated, from their table of counts (Pearson 1900).

    Every counted unit must stand in one cell only, and units must be independent of each other.
    The chi-squared distribution is an approximation for large expected counts. Where Cochran's
    (1954) rule says that they are too small, the p-value is Fisher's (1935) in a 2x2 table and
    otherwise that of tables drawn at random with the same margins (Patefield 1981), counting the
    observed table among them (Davison & Hinkley 1997, section 4.2).

    The interval of V is that of the noncentrality (`limits`): the population's V is
    sqrt(noncentrality / (n min(rows - 1, columns - 1))). In large tables the plain V can lie above
    the interval, which is its bias showing.

    Args:
        table: Counts; the index and the columns of a data frame are the labels.
        confidence: Of the interval of V.
        resamples: Tables drawn for the Monte-Carlo p-value, where that is needed.
        seed: Of those tables.

    Raises:
        ValueError: Counts that are not whole numbers of at least 0, or fewer than two rows or
            columns that hold any.
    """
    check_fraction(confidence, "confidence")
    frame = table if isinstance(table, pd.DataFrame) else pd.DataFrame(np.asarray(table))
    counts = frame.to_numpy(dtype=float)
    if not (np.isfinite(counts) & (counts >= 0) & (counts == np.floor(counts))).all():
        raise ValueError("table: must hold whole numbers of at least 0")
    kept = counts.sum(axis=1) > 0, counts.sum(axis=0) > 0
    if not all(some.all() for some in kept):  # mostly all are, and a selection takes long
        frame = frame.loc[kept]
    rows, columns = frame.shape
    if min(rows, columns) < 2:
        raise ValueError(
            f"table: needs at least 2 rows and 2 columns with counts, got {rows} and {columns}")
    observed = frame.to_numpy(dtype=float)
    of_row, of_column = observed.sum(axis=1), observed.sum(axis=0)
    n = int(observed.sum())
    expected = np.outer(of_row, of_column) / n
    contribution = (observed - expected) ** 2 / expected
    statistic = float(contribution.sum())
    df = (rows - 1) * (columns - 1)
    p_asymptotic = float(special.chdtrc(df, statistic))
    two_by_two = rows == columns == 2
    rule_holds = _rule_holds(expected, least=5 if two_by_two else 1)
    p, method, error = p_asymptotic, ASYMPTOTIC, None
    if not rule_holds and two_by_two:
        p, method = float(stats.fisher_exact(observed.astype("int64")).pvalue), "Fisher's exact"
    elif not rule_holds:
        drawn = _random_statistics(of_row, of_column, expected, resamples, seed)
        p, error = _monte_carlo(drawn, statistic)
        method = MONTE_CARLO

    least = min(rows, columns) - 1
    low, high = (
        min(1.0, float(np.sqrt(x / (n * least)))) for x in limits(statistic, df, confidence)
    )
    v = bias_corrected_v(statistic, n, rows, columns)
    spread = np.outer(1 - of_row / n, 1 - of_column / n)
    labels = frame.index.to_numpy(), frame.columns.to_numpy()
    return Association(
        n=n,
        rows=rows,
        columns=columns,
        statistic=statistic,
        df=df,
        p_asymptotic=p_asymptotic,
        p_value=p,
        method=method,
        p_standard_error=error,
        smallest_expected=float(expected.min()),
        share_below_5=float((expected < 5).mean()),
        rule_holds=rule_holds,
        v=float(np.sqrt(statistic / (n * least))),
        effect=Effect("Cramér's V, bias-corrected", v, low, max(high, v), confidence),
        cells=pd.DataFrame({
            "row": np.repeat(labels[0], columns),
            "column": np.tile(labels[1], rows),
            "observed": observed.ravel().astype("int64"),
            "expected": expected.ravel(),
            "contribution": contribution.ravel(),
            "residual": ((observed - expected) / np.sqrt(expected * spread)).ravel(),
        }),
    )


def bias_corrected_v(statistic: float, n: int, rows: int, columns: int) -> float:
    """Cramér's V with its bias of order 1/n taken away (Bergsma 2013); nan for n = 1."""
    if n < 2:
        return float("nan")
    squared = max(0.0, statistic / n - (rows - 1) * (columns - 1) / (n - 1))
    least = min(size - (size - 1) ** 2 / (n - 1) for size in (rows, columns)) - 1
    return float(min(1.0, np.sqrt(squared / least))) if least > 0 else 0.0


def limits(statistic: float, df: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the noncentrality, for effect sizes (Steiger & Fouladi 1997; Smithson 2003).

    It inverts the noncentral chi-squared distribution (`noncentrality`), but a statistic below its
    mean without any effect, df, gives the upper limit that df would. An improbably small statistic
    would otherwise have an interval that shrinks towards 0 and at last is empty: it would claim to
    know the effect the better the more the counts are even more alike than chance makes them, which
    says something of the sample and nothing in favour of a small effect. The interval becomes
    longer by that and never shorter, so it covers at least as often.
    """
    return (
        noncentrality(statistic, df, confidence)[0],
        noncentrality(max(statistic, df), df, confidence)[1],
    )


def noncentrality(statistic: float, df: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the noncentrality of a chi-squared statistic, by inverting its distribution.

    A limit is the noncentrality at which the statistic would be the (1 + confidence) / 2 or the
    (1 - confidence) / 2 quantile; 0 where even the central distribution puts it below that.
    """
    tail = (1 - confidence) / 2
    return (
        _noncentrality(statistic, df, 1 - tail),
        _noncentrality(statistic, df, tail),
    )


def _noncentrality(statistic: float, df: int, quantile: float) -> float:
    if special.chdtr(df, statistic) <= quantile:
        return 0.0
    if statistic > HUGE:
        # There the distribution is normal, with mean df + x and variance 2 (df + 2 x).
        z = float(stats.norm.ppf(quantile))
        root = np.sqrt(z**2 + statistic - df / 2) - z
        return max(0.0, float(root**2 - df / 2))
    return float(special.chndtrinc(statistic, df, quantile))


def _rule_holds(expected: Values, least: float) -> bool:
    return bool(expected.min() >= least and (expected < 5).mean() <= 0.2)


def _monte_carlo(drawn: Values, statistic: float) -> tuple[float, float]:
    """p-value and its standard error; draws equal up to rounding count as at least as large."""
    n = len(drawn) + 1
    p = (1 + int((drawn >= statistic * (1 - 1e-9) - 1e-12).sum())) / n
    return p, float(np.sqrt(p * (1 - p) / n))


def _random_statistics(of_row, of_column, expected: Values, resamples: int, seed: int) -> Values:
    tables = stats.random_table(
        of_row.astype("int64"), of_column.astype("int64"), seed=np.random.default_rng(seed))
    # In parts, so that a table of many cells does not fill the memory.
    part = max(1, 2**20 // expected.size)
    found = [
        ((tables.rvs(min(part, resamples - start)) - expected) ** 2 / expected).sum(axis=(1, 2))
        for start in range(0, resamples, part)
    ]
    return np.concatenate(found)
