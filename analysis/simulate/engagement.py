"""Synthetic students of an e-learning platform: minutes watched in Q4 2021 and in Q4 2022.

No row is a real student. The population is calibrated to the published aggregates of the source
study (per plan and quarter: students, mean, sd, median, quartiles; the United States and India in
the free plan; the students of both quarters who watched 1 to 100 minutes in 2021).

How a population is made, for each plan:

1. **Minutes.** Each quarter has one smooth quantile function, `TRUTH["minutes"]`: log minutes are
   a natural cubic spline of the normal score z of the probability, from 0.05 minutes up (the
   knots are listed as z -> minutes, `z_low` is the score at 0.05 minutes). Values are drawn
   stratified, one a probability slice, which keeps sampling error far below the calibration
   tolerance. The published figures hold after the values above the group's 99th percentile are
   dropped (`TRIM`), so the raw table has that extreme top, and dropping it leaves exactly the
   published number of students.
2. **Retention.** A student of 2021 returns in 2022 with a probability that depends smoothly on
   the minutes of 2021, `TRUTH["retention"]` (constant below 1 and above 100 minutes), so students
   of both quarters are the 457 paid and 2,065 free of the published subset and about as many
   again who watched less or more (about 620 paid, 1,215 free). Which of the 2022 values belong to
   the subset follows `TRUTH["returning"]`; those who watched less or more get values in proportion
   to minutes ** `RETURN_EXPONENT`. Within each of these three groups the two quarters are tied by
   a Gaussian copula with correlation `RANK_CORRELATION`; over all returning students the rank
   correlation is between 0.4 and 0.5. The subset's figures are of *untrimmed* minutes: after
   trimming, an sd of 854.58 in 2022 among the 457 paid students (9% of the plan) would take half
   of all the plan's values above 3,000 minutes.
3. **Country.** In the free plan the chance that a student of 2022 is from the US or from India
   depends smoothly on minutes, `TRUTH["country"]`; everybody else follows the fixed mix
   `COUNTRIES`, unrelated to minutes. `None` is a country that was not recorded.

A knot table {minutes: probability} is read as a natural cubic spline of log probability on log
minutes, constant outside its ends. The parameters are solved from the published figures by
`analysis.simulate.engagement_calibration`, which looks for the smoothest curves that meet them.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.interpolate import CubicSpline
from scipy.special import ndtr, ndtri

SEED = 2022
TRIM = 0.99  # values above this quantile (linear) of a plan and quarter are trimmed
LEAST_MINUTES = 0.05
RANK_CORRELATION = 0.3
RETURN_EXPONENT = {"paid": {"less": -0.4, "more": 0.1}, "free": {"less": -0.3, "more": 0.4}}
# The subset's moments hang on a few very large values: the best of so many draws is taken.
DRAWS = 400
CLOSE_ENOUGH = 0.002

# Students kept after trimming, by plan and quarter, and of the free plan in 2022 by country;
# students of both quarters who watched 1 to 100 minutes in 2021.
SIZES = {
    ("paid", 21): 3433, ("paid", 22): 5104, ("free", 21): 32171, ("free", 22): 120658,
    "US": 6459, "IN": 21210, ("paid", "returning"): 457, ("free", "returning"): 2065,
}


@dataclass(frozen=True)
class Minutes:
    """The quantile function of a plan's minutes in a quarter, before trimming.

    Attributes:
        z_low: normal score of the least value, 0.05 minutes; scores below do not occur.
        knots: minutes watched at further normal scores.
    """

    z_low: float
    knots: dict[float, float]


def minutes_at(spec: Minutes, probability: np.ndarray) -> np.ndarray:
    """Minutes at a probability in [0, 1); beyond the last knot the value stays at the knot's."""
    low = ndtr(spec.z_low)
    z = ndtri(low + (1 - low) * probability)
    log_minutes = CubicSpline(
        (spec.z_low, *spec.knots), np.log((LEAST_MINUTES, *spec.knots.values())), bc_type="natural"
    )
    return np.exp(log_minutes(np.minimum(z, max(spec.knots))))


def propensity(knots: dict[float, float], minutes: np.ndarray) -> np.ndarray:
    """Probability at a number of minutes, from a table {minutes: probability}."""
    at = np.log(tuple(knots))
    log_probability = CubicSpline(at, np.log(tuple(knots.values())), bc_type="natural")
    return np.exp(log_probability(np.clip(np.log(minutes), at[0], at[-1])))


def even(spec: Minutes, n: int) -> np.ndarray:
    """Minutes of `n` students spread evenly over the quantile function, ascending."""
    return minutes_at(spec, (np.arange(n) + 0.5) / n)


def raw_size(kept: int) -> int:
    """How many students leave `kept` when the values above the `TRIM` quantile are dropped."""
    n = kept
    while math.floor(TRIM * (n - 1)) + 1 < kept:
        n += 1
    return n


# Minutes by normal score; probability of returning by minutes of 2021; probability that a value of
# 2022 belongs to the returning subset; probability of a country by minutes of 2022 (free plan).
TRUTH = {
    "minutes": {
        ("paid", 21): Minutes(-2.5, {-1.2: 4.4216, -0.5: 43.428, 0.0: 134.65, 0.5: 319.05,
                                     1.0: 704.08, 1.5: 1333.8, 2.0: 2181.2, 2.5: 3295.5, 3.0: 4823,
                                     5.2: 25000}),
        ("paid", 22): Minutes(-2.5, {-1.2: 4.8971, -0.5: 40.306, 0.0: 133.14, 0.5: 334.71,
                                     1.0: 715.61, 1.5: 1520, 2.0: 2847.7, 2.5: 4531.1, 3.0: 6638.3,
                                     5.2: 30000}),
        ("free", 21): Minutes(-2.0, {-1.2: 0.60712, -0.5: 4.327, 0.0: 16.224, 0.5: 55.497,
                                     1.0: 166.78, 1.5: 580.45, 2.0: 1898.6, 2.5: 4008.9,
                                     3.0: 6760.6, 5.2: 45000}),
        ("free", 22): Minutes(-1.5, {-1.2: 0.099802, -0.5: 0.56587, 0.0: 2.6433, 0.5: 15.776,
                                     1.0: 71.027, 1.5: 229.5, 2.0: 1021.4, 2.5: 5173.8, 3.0: 11371,
                                     5.2: 60000}),
    },
    "retention": {
        "paid": {1: 0.31831, 3: 0.30575, 10: 0.32201, 30: 0.38279, 100: 0.29275},
        "free": {1: 0.074057, 3: 0.094462, 10: 0.10086, 30: 0.097756, 100: 0.12215},
    },
    "returning": {
        "paid": {0.05: 0.062947, 0.5: 0.10059, 3: 0.14056, 10: 0.16299, 30: 0.15776, 100: 0.096303,
                 300: 0.042698, 1000: 0.028942, 3000: 0.060672, 9000: 0.28539},
        "free": {0.05: 0.014547, 0.5: 0.013013, 3: 0.012832, 10: 0.014325, 30: 0.01856,
                 100: 0.02832, 300: 0.035762, 1000: 0.026029, 3000: 0.010534, 9000: 0.0030196},
    },
    "country": {
        "US": {0.05: 0.0048684, 0.5: 0.023982, 3: 0.073637, 10: 0.1133, 30: 0.091444, 100: 0.042981,
               300: 0.027821, 1000: 0.040664, 3400: 0.13049},
        "IN": {0.05: 0.10644, 0.5: 0.17326, 3: 0.22448, 10: 0.21519, 30: 0.1713, 100: 0.13079,
               300: 0.12804, 1000: 0.18844, 3400: 0.38616},
    },
}

# Shares of countries among everybody whose country is not drawn by minutes, in per mille.
COUNTRIES = {
    "IN": 176, "US": 54, "NG": 48, "EG": 42, "GB": 38, "PH": 32, "DE": 28, "CA": 27, "PK": 26,
    "BR": 25, "TR": 24, "ID": 23, "KE": 22, "BD": 21, "MX": 20, "ZA": 20, "ES": 19, "FR": 19,
    "SG": 17, "AU": 16, "NL": 16, "MA": 15, "VN": 15, "IT": 14, "PL": 14, "SA": 14, "GH": 13,
    "AE": 13, "CO": 13, "RO": 11, "GR": 11, "BG": 10, "AR": 10, "PE": 10, "UA": 10, "PT": 9, "MY":
    9, "NP": 9, "LK": 8, "IL": 8, "SE": 7, "CH": 7, "IE": 6, "JP": 6, "KR": 5, "TH": 5, "CL": 5,
    "NZ": 4, "NA": 2, None: 30,
}


def _draw(minutes, weight, n, rng, target=None):
    """Ascending indices of `n` students drawn in proportion to `weight`; `minutes` must ascend.

    Systematic sampling along a locally shuffled order. With `target` (mean and sd of the minutes)
    the best of up to `DRAWS` draws is returned, or the first that is close enough.
    """
    if n == 0:
        return np.empty(0, dtype=int)
    best, least = None, math.inf
    for _ in range(DRAWS if target else 1):
        order = np.argsort(np.arange(len(minutes)) + 20 * rng.random(len(minutes)), kind="stable")
        edges = np.cumsum(weight[order])
        edges *= n / edges[-1]
        edges[-1] = n
        drawn = np.sort(order[np.diff(np.floor(edges + rng.random()), prepend=0) > 0])
        if target is None:
            return drawn
        picked = minutes[drawn]
        error = max(abs(picked.mean() / target[0] - 1), abs(picked.std() / target[1] - 1))
        if error < least:
            best, least = drawn, error
        if error < CLOSE_ENOUGH:
            break
    return best


def _mix(n, rng, without=()):
    """Countries of `n` students from the fixed mix."""
    codes = np.array([code for code in COUNTRIES if code not in without], dtype=object)
    shares = np.cumsum([COUNTRIES[code] for code in codes])
    return codes[np.searchsorted(shares, rng.random(n) * shares[-1], side="right")]


def _countries_by_minutes(minutes, kept, sizes, rng):
    """Countries of the free plan in 2022; `minutes` ascend, trimming leaves the first `kept`."""
    country = _mix(len(minutes), rng, without=TRUTH["country"])
    left = np.ones(len(minutes))  # probability of none of the countries before
    unassigned = np.ones(len(minutes), dtype=bool)
    for code, knots in TRUTH["country"].items():
        chance = propensity(knots, minutes)
        free = np.flatnonzero(unassigned[:kept])
        drawn = free[_draw(minutes[free], (chance / left)[free], sizes[code], rng)]
        lucky = rng.random(len(minutes)) < chance / left
        top = kept + np.flatnonzero((unassigned & lucky)[kept:])
        for chosen in (drawn, top):
            country[chosen] = code
            unassigned[chosen] = False
        left -= chance
    return country


def _pair(first, second, rng):
    """Order `second` (ascending) so that its ranks go with those of `first` (ascending)."""
    # Normal scores of uniform numbers: NumPy's stream of `random` is stabler than that of `normal`.
    score = RANK_CORRELATION * ndtri((np.arange(len(first)) + 0.5) / len(first))
    score += math.sqrt(1 - RANK_CORRELATION**2) * ndtri(np.maximum(rng.random(len(first)), 1e-12))
    return second[np.argsort(np.argsort(score, kind="stable"), kind="stable")]


def _students(plan, scale, rng):
    """The students of one plan, students of both quarters first."""
    sizes = {key: max(1, round(n * scale)) for key, n in SIZES.items()}
    minutes = {}
    for quarter in (21, 22):
        n = raw_size(sizes[plan, quarter])
        drawn = minutes_at(TRUTH["minutes"][plan, quarter], (np.arange(n) + rng.random(n)) / n)
        minutes[quarter] = np.maximum(np.round(drawn, 2), LEAST_MINUTES)
    x21, x22 = minutes[21], minutes[22]
    if plan == "free":
        country = _countries_by_minutes(x22, sizes["free", 22], sizes, rng)
    else:
        country = _mix(len(x22), rng)

    # Who of 2021 returns: the published subset, and the students who watched less or more.
    chance = propensity(TRUTH["retention"][plan], x21)
    groups = {"subset": (x21 >= 1) & (x21 <= 100), "less": x21 < 1, "more": x21 > 100}
    back21 = {}
    for group, members in groups.items():
        of = np.flatnonzero(members)
        n = sizes[plan, "returning"] if group == "subset" else round(chance[of].sum())
        back21[group] = of[_draw(x21[of], chance[of], n, rng)]

    # Which values of 2022 are theirs.
    knots = TRUTH["returning"][plan]
    expected = even(TRUTH["minutes"][plan, 22], raw_size(SIZES[plan, 22]))
    mean = np.average(expected, weights=propensity(knots, expected))
    variance = np.average((expected - mean) ** 2, weights=propensity(knots, expected))
    left, back22 = np.arange(len(x22)), {}
    for group, drawn in back21.items():
        if group == "subset":
            weight, target = propensity(knots, x22), (mean, math.sqrt(variance))
        else:
            weight, target = x22[left] ** RETURN_EXPONENT[plan][group], None
        values = left[_draw(x22[left], weight, len(drawn), rng, target)]
        left = np.setdiff1d(left, values)
        back22[group] = _pair(drawn, values, rng)

    back21, back22 = (np.concatenate(tuple(back.values())) for back in (back21, back22))
    gone = np.setdiff1d(np.arange(len(x21)), back21)
    new = np.setdiff1d(np.arange(len(x22)), back22)
    return pd.DataFrame({
        "student_country": np.concatenate([country[back22], _mix(len(gone), rng), country[new]]),
        "paid": int(plan == "paid"),
        "minutes_watched_21": np.concatenate([x21[back21], x21[gone], np.full(len(new), np.nan)]),
        "minutes_watched_22": np.concatenate([x22[back22], np.full(len(gone), np.nan), x22[new]]),
    })


def parts(seed: int, scale: float) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield table `students` in equal parts of at most the shipped size."""
    next_id = 1
    count = math.ceil(scale)
    for part in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, part]))
        students = pd.concat([_students(plan, scale / count, rng) for plan in ("paid", "free")])
        students = students.iloc[np.argsort(rng.random(len(students)), kind="stable")]
        students.insert(0, "student_id", np.arange(next_id, next_id + len(students)))
        next_id += len(students)
        yield {"students": students.reset_index(drop=True)}


def generate(seed: int = SEED, scale: float = 1) -> tuple[dict[str, pd.DataFrame], dict]:
    """The whole table `students` in memory, and the true parameters that made it.

    Args:
        seed: a whole number >= 0.
        scale: multiplies the number of students. At 1 the published sizes are exact.

    Returns:
        `{"students": frame}` with columns `student_id`, `student_country`, `paid` (0/1),
        `minutes_watched_21`, `minutes_watched_22` (NaN: not on the platform in that quarter), and
        `TRUTH` with the settings beside it.
    """
    students = pd.concat([part["students"] for part in parts(seed, scale)], ignore_index=True)
    return {"students": students}, TRUTH | {
        "sizes": SIZES, "trim": TRIM, "rank_correlation": RANK_CORRELATION,
        "return_exponent": RETURN_EXPONENT, "countries": COUNTRIES,
    }
