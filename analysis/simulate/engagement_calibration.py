"""Solves the parameters of `analysis.simulate.engagement` from the published aggregates.

Run by hand, `python -m analysis.simulate.engagement_calibration`, when a target changes; the output
is what stands in `engagement.TRUTH`. Among all curves that meet the targets on an evenly spread
population the smoothest is taken, as a smoothing spline under equality constraints: for minutes the
one whose density on the log scale bends least, for a propensity the one whose logarithm does.
"""

import pprint

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize

from analysis.simulate.engagement import LEAST_MINUTES, SIZES, Minutes, even, propensity, raw_size

# mean, sd, median, p25, p75 of the minutes after trimming (published-figures: engagement).
PUBLISHED = {
    ("paid", 21): (332.50, 485.86, 133.43, 26.65, 411.70),
    ("paid", 22): (368.35, 596.41, 131.81, 25.34, 427.38),
    ("free", 21): (133.93, 367.26, 16.92, 3.05, 80.65),
    ("free", 22): (69.15, 255.62, 3.40, 0.52, 30.92),
}
# mean, sd, median: of the free plan by country after trimming, of the returning subset before it.
COUNTRY = {"US": (73.07, 308.56, 9.47), "IN": (78.42, 319.34, 3.57)}
RETURNING = {
    ("paid", 21): (33.80, 28.21, 26.33),
    ("paid", 22): (273.02, 854.58, 40.28),
    ("free", 21): (25.39, 26.23, 14.17),
    ("free", 22): (117.64, 468.93, 11.83),
}
# Chosen, not published: the normal score of the least minute and the minutes at z = 5.2 (a quarter
# has 132,480 minutes).
ENDS = {("paid", 21): (-2.5, 25_000), ("paid", 22): (-2.5, 30_000),
        ("free", 21): (-2.0, 45_000), ("free", 22): (-1.5, 60_000)}
# Chosen too: free-plan trimming in 2022 starts here. A lower start leaves no room for the published
# sds of the US and of India without a hump at the top of both.
TRIM_START = {("free", 22): (3_400,)}
SCORES = (-1.2, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
TOP_SCORE = 5.2
SUBSET_2021 = (1, 3, 10, 30, 100)
SUBSET_2022 = (0.05, 0.5, 3, 10, 30, 100, 300, 1000, 3000, 9000)
COUNTRY_KNOTS = (0.05, 0.5, 3, 10, 30, 100, 300, 1000, 3400)


def _smoothest(start, roughness, ratios) -> np.ndarray:
    """The parameters of least roughness at which every ratio to its target is 1."""
    found = minimize(roughness, start, method="SLSQP", options={"maxiter": 500, "ftol": 1e-9},
                     constraints={"type": "eq", "fun": lambda p: np.log(ratios(p))})
    if not (found.success and np.allclose(ratios(found.x), 1, atol=1e-5)):
        raise RuntimeError(f"calibration failed: {found.message}")
    return found.x


def solve_minutes(plan: str, quarter: int) -> Minutes:
    """The quantile function of a plan and quarter."""
    targets = PUBLISHED[plan, quarter] + TRIM_START.get((plan, quarter), ())
    mean, _, median, p25, p75 = PUBLISHED[plan, quarter]
    z_low, top = ENDS[plan, quarter]
    kept = SIZES[plan, quarter]
    n = raw_size(kept)
    grid = np.linspace(z_low, 4.5, 400)

    def spec(p):
        return Minutes(z_low, dict(zip((*SCORES, TOP_SCORE), (*np.exp(p), top), strict=True)))

    def ratios(p):
        x = np.sort(even(spec(p), n))[:kept]
        got = (x.mean(), x.std(ddof=1), *np.quantile(x, (0.5, 0.25, 0.75)), x[-1])
        return np.array(got[: len(targets)]) / targets

    def roughness(p):
        log_minutes = CubicSpline(
            (z_low, *SCORES, TOP_SCORE), (np.log(LEAST_MINUTES), *p, np.log(top)), bc_type="natural"
        )
        slope = np.maximum(log_minutes(grid, 1), 0.05)
        log_density = -(grid**2) / 2 - np.log(slope)  # of log minutes
        bend = np.gradient(np.gradient(log_density, grid) / slope, grid) / slope
        steps = np.abs(np.gradient(log_minutes(grid)))
        rising = 100 * np.mean(np.minimum(log_minutes(grid, 1) - 0.1, 0) ** 2)
        return np.sum(bend**2 * steps) / steps.sum() + rising

    start = np.interp(SCORES, (z_low, -0.67, 0, 0.67, 2.3, 4.2),
                      np.log((LEAST_MINUTES, p25, median, p75, 10 * mean, 40 * mean)))
    return spec(_smoothest(start, roughness, ratios))


def solve_propensity(x: np.ndarray, knots: tuple, n: int, targets: tuple) -> dict[float, float]:
    """The propensity by minutes at which `n` drawn from `x` (ascending) have mean, sd, median."""
    grid = np.linspace(np.log(knots[0]), np.log(knots[-1]), 200)

    def ratios(p):
        weight = propensity(dict(zip(knots, np.exp(p), strict=True)), x)
        total = weight.sum()
        mean = weight @ x / total
        sd = np.sqrt(weight @ (x - mean) ** 2 / total * n / (n - 1))
        median = np.interp(total / 2, np.cumsum(weight) - weight / 2, x)
        return np.array((total, mean, sd, median)) / (n, *targets)

    def roughness(p):
        return np.mean(CubicSpline(np.log(knots), p, bc_type="natural")(grid, 2) ** 2)

    start = np.log(n / len(x)) + 0.05 * np.log(knots)
    return dict(zip(knots, np.exp(_smoothest(start, roughness, ratios)), strict=True))


def solve() -> dict:
    """Every solved parameter, shaped like `engagement.TRUTH`, to five significant digits."""
    minutes, retention, returning = {}, {}, {}
    for plan, quarter in PUBLISHED:
        minutes[plan, quarter] = solve_minutes(plan, quarter)
        x = even(minutes[plan, quarter], raw_size(SIZES[plan, quarter]))
        n, targets = SIZES[plan, "returning"], RETURNING[plan, quarter]
        if quarter == 21:
            x = x[(x >= SUBSET_2021[0]) & (x <= SUBSET_2021[-1])]
            retention[plan] = solve_propensity(x, SUBSET_2021, n, targets)
        else:
            returning[plan] = solve_propensity(x, SUBSET_2022, n, targets)
    free = even(minutes["free", 22], raw_size(SIZES["free", 22]))[: SIZES["free", 22]]
    country = {code: solve_propensity(free, COUNTRY_KNOTS, SIZES[code], targets)
               for code, targets in COUNTRY.items()}

    def rounded(knots):
        return {at: float(f"{value:.5g}") for at, value in knots.items()}

    return {
        "minutes": {key: Minutes(m.z_low, rounded(m.knots)) for key, m in minutes.items()},
        "retention": {plan: rounded(knots) for plan, knots in retention.items()},
        "returning": {plan: rounded(knots) for plan, knots in returning.items()},
        "country": {code: rounded(knots) for code, knots in country.items()},
    }


if __name__ == "__main__":
    pprint.pp(solve(), width=100)
