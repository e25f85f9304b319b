"""Synthetic subscribers of a video service: one row a subscriber, some of whom have churned.

No row is a real subscriber. At scale 1 every published count of the source study is exact and every
published mean, standard deviation and correlation rounds to its printed digits, at any seed.

How a table is made:

1. **Columns are independent of each other**, except where 3 and 4 say otherwise, as the near-zero
   relations in the source suggest. Genre, region, device and plan have the published counts, dealt
   at random. Months of subscription, hours watched, support queries, age, income (in steps of 10)
   and profiles are uniform between their published ends, `TRUTH["uniform"]`. Satisfaction and
   engagement have on 1..10 the least informative distribution with the published mean and standard
   deviation, probability proportional to exp(tilt * c + curve * c**2) with c = score - 5.5,
   `TRUTH["scores"]`.
2. **Conditioning on what was published.** A column is drawn whole, again and again, until its mean
   (standard deviation, correlation) rounds to the printed one. So the rows vary as a sample of the
   population does, while the published figures hold exactly. Two of these figures look like effects
   and are none in the population: mean engagement by device (7.02 to 6.87) and the correlation of
   age and support queries (-0.01). The four device means give 6.955 +- 0.005 in all, so that they
   lie below their printed values on average if 6.95 is to hold too; here each of them does.
3. **Delayed payment.** 22% of the subscribers pay late: 35% of those in their first 24 months and
   13.4% of the others, `TRUTH["delayed"]`. The source has the 22% only; the split is chosen, and
   some such split is needed: were delays unrelated to months and to offers, 308 delayed
   subscribers would be in their first 24 months, nearly all of them (302) churned, and about 186
   of these would have used an offer; yet only 172 of all who churned had.
4. **Churn** happens in the first 24 months only, to 397 of 1,400 subscribers (28%), and there its
   probability is logistic, `TRUTH["churn"]`: delayed payment raises it, a promotional offer used
   and each point of satisfaction and of engagement lower it, the month and everything else do not
   matter. The effects of satisfaction and engagement are chosen; intercept, delay and offer follow
   from the published counts (302 of 771 delayed churned and 95 of 2,729 on time; 172 of 397
   churned had used an offer and 1,982 of 3,103 stayed). Each subscriber's latent risk is the linear
   predictor plus logistic noise; those above a threshold churn. In each table the three solved
   parameters move a little so that those counts come out exactly.
5. **Flat hazard.** Months are dealt to the subscribers of the first 24 so that each has about 28%
   churned, closer than chance alone would keep it (`MONTH_JITTER`).

The parameters in `TRUTH` are solved by `analysis.simulate.netflix_calibration`.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from scipy.special import logit

from analysis.simulate import check_scale

SEED = 3500
LAST_CHURN_MONTH = 24
MONTH_JITTER = 8  # subscribers (sorted by month) over which the even spread of churn is blurred
# A month's churned may be off an even spread by this share of its subscribers, or by so many.
MONTH_SPREAD, MONTH_LEAST = 0.05, 1.5
CANDIDATES = 16  # draws of a column that are looked at together

# Published counts; each group sums to its total.
SUBSCRIBERS = 3500
CHURNED = {"Yes": 397, "No": 3103}
DELAYED = {"Yes": (302, 95), "No": (469, 2634)}  # by churn: delayed, on time
PROMO = {"Yes": (172, 225), "No": (1982, 1121)}  # by churn: offer used, not used
DEALT = {
    "device": {"Smart TV": 892, "Tablet": 877, "Laptop": 876, "Mobile": 855},
    "genre": {"Comedy": 733, "Sci-Fi": 704, "Action": 697, "Drama": 685, "Romance": 681},
    "region": {"Oceania": 607, "Europe": 604, "North America": 600, "Asia": 568,
               "South America": 561, "Africa": 560},
    "plan": {"Basic": 1714, "Standard": 1069, "Premium": 717},
}
# Published means and how far from them a table may be: half the last printed digit.
MEANS = {
    "subscription_months": (30.5, 0.05), "satisfaction_score": (6.93, 0.005),
    "daily_watch_hours": (3.51, 0.005), "support_queries": (5.02, 0.005), "age": (43.9, 0.05),
    "monthly_income": (5492, 0.5), "profiles": (3, 0.05),  # printed as 3; 0.5 would be too loose
}
SCORE_SD = (2.67, 0.005)
AGE_QUERIES_R = (-0.01, 0.005)
DEVICE_ENGAGEMENT = {"Smart TV": 7.02, "Laptop": 7.00, "Mobile": 6.93, "Tablet": 6.87}
# Within this of a device's mean, so that it rounds as printed and so does the mean of all devices.
BELOW_DEVICE_MEAN = (0.00275, 0.00225)  # centre, half width
# Chosen, not published: subscribers in their first 24 months, and how many of them pay late.
EARLY = (1400, 2100)
EARLY_DELAYED = (490, 910)

TRUTH = {
    # Lowest, highest value and step, all values equally likely.
    "uniform": {
        "subscription_months": (1, 60, 1), "daily_watch_hours": (1, 6, 0.01),
        "support_queries": (0, 10, 1), "age": (18, 70, 1), "monthly_income": (1010, 9990, 10),
        "profiles": (1, 5, 1),
    },
    # Tilt and curve of the log probability of a score, from its middle, 5.5.
    "scores": {"satisfaction_score": (0.18016, 0.0023213), "engagement_rate": (0.18211, 0.0030651)},
    # Share who pay late in the first 24 months and later.
    "delayed": {"early": 490 / 1400, "late": 281 / 2100},
    "promo_used": 2154 / 3500,
    # Log odds of churn in the first 24 months, scores from 7; no churn later.
    "churn": {"last_month": LAST_CHURN_MONTH, "intercept": -1.4803, "delayed": 3.0922,
              "promo_used": -1.6846, "satisfaction_score": -0.15, "engagement_rate": -0.10},
    "correlation_age_support_queries": 0.0,
    "difference_of_engagement_by_device": 0.0,
}


def score_probabilities(tilt: float, curve: float) -> np.ndarray:
    """Probabilities of the scores 1 to 10."""
    c = np.arange(1, 11) - 5.5
    weight = np.exp(tilt * c + curve * c**2)
    return weight / weight.sum()


def apportion(counts: tuple[int, ...], n: int) -> np.ndarray:
    """Whole numbers in proportion to `counts` that sum to `n` (largest remainders)."""
    exact = np.array(counts) * n / sum(counts)
    whole = np.floor(exact).astype(int)
    largest = np.argsort(whole - exact, kind="stable")[: n - whole.sum()]
    whole[largest] += 1
    return whole


def _sizes(n: int) -> dict:
    """Counts of everything among the first `n` subscribers."""
    early = apportion(EARLY, n)[0]
    by_churn = dict(zip(CHURNED, apportion(tuple(CHURNED.values()), n), strict=True))
    delayed = {status: apportion(DELAYED[status], of) for status, of in by_churn.items()}
    promo = {status: apportion(PROMO[status], of) for status, of in by_churn.items()}
    return {
        "all": n,
        "early": early,
        "delayed": delayed["Yes"][0] + delayed["No"][0],
        "early_delayed": apportion(EARLY_DELAYED, early)[0],
        "promo": promo["Yes"][0] + promo["No"][0],
        "churned_delayed": delayed["Yes"][0],
        "churned_on_time": delayed["Yes"][1],
        "churned_promo": promo["Yes"][0],
        **{column: apportion(tuple(counts.values()), n) for column, counts in DEALT.items()},
    }


def _shuffled(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return values[np.argsort(rng.random(len(values)), kind="stable")]


def _until(draw: Callable[[], np.ndarray], accept: Callable[[np.ndarray], np.ndarray]):
    """The first of the rows that `draw` makes, batch after batch, which `accept` takes."""
    while True:
        rows = draw()
        accepted = np.flatnonzero(accept(rows))
        if len(accepted):
            return rows[accepted[0]]


def _near(values: np.ndarray, target: float, within: float, step: float) -> np.ndarray:
    """Whether a mean over the last axis is the target, as closely as values in steps can be."""
    # A hair less than half a digit, so that rounding the mean never meets a tie; never less than
    # the means of so few values are apart.
    within = max(within - 1e-9, 0.5000001 * step / values.shape[-1])
    return np.abs(values.mean(axis=-1) - target) <= within


def _uniform(column: str, n: int, rng: np.random.Generator) -> np.ndarray:
    """A uniform column that reaches its lowest and its highest value."""
    low, high, step = TRUTH["uniform"][column]
    count = round((high - low) / step) + 1
    target, within = MEANS[column]

    def draw():
        places = (rng.random((CANDIDATES, n)) * count).astype(int)
        places[:, 0], places[:, 1] = 0, count - 1
        return np.round(low + places * step, 2)

    return _shuffled(_until(draw, lambda drawn: _near(drawn, target, within, step)), rng)


def _months(early: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """Months, ascending, of which exactly `early` are among the first 24."""
    low, high, _ = TRUTH["uniform"]["subscription_months"]

    def draw():
        u = rng.random((CANDIDATES, n))
        return np.concatenate([
            low + np.floor(u[:, :early] * (LAST_CHURN_MONTH + 1 - low)),
            LAST_CHURN_MONTH + 1 + np.floor(u[:, early:] * (high - LAST_CHURN_MONTH)),
        ], axis=1)

    months = _until(draw, lambda m: _near(m, *MEANS["subscription_months"], 1))
    return np.sort(months).astype(int)


def _scores(column: str, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    edges = np.cumsum(score_probabilities(*TRUTH["scores"][column]))
    return 1 + np.searchsorted(edges[:-1], rng.random(shape), side="right")


def _sd_near(scores: np.ndarray) -> np.ndarray:
    target, within = SCORE_SD
    return np.abs(scores.std(axis=-1, ddof=1) - target) <= max(within - 1e-9, 1 / scores.shape[-1])


def _satisfaction(n: int, rng: np.random.Generator) -> np.ndarray:
    target, within = MEANS["satisfaction_score"]
    return _until(
        lambda: _scores("satisfaction_score", (CANDIDATES, n), rng),
        lambda drawn: _near(drawn, target, within, 1) & _sd_near(drawn),
    )


def _engagement(device: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Engagement, drawn device by device until each mean and the common spread are as published."""
    below, within = BELOW_DEVICE_MEAN

    def of_device(n, mean):
        return _until(
            lambda: _scores("engagement_rate", (CANDIDATES, n), rng),
            lambda drawn: _near(drawn, mean - below, within, 1),
        )

    def draw():
        scores = np.empty((1, len(device)), dtype=int)
        for name, mean in DEVICE_ENGAGEMENT.items():
            there = device == name
            scores[0, there] = of_device(there.sum(), mean)
        return scores

    return _until(draw, _sd_near)


def _queries(age: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Support queries, dealt until their correlation with age is the published one."""
    queries = _uniform("support_queries", len(age), rng).astype(int)
    target, within = AGE_QUERIES_R
    within = max(within - 1e-9, 1 / len(age))
    return _until(
        lambda: _shuffled(queries, rng)[np.newaxis],
        lambda dealt: np.abs(np.corrcoef(age, dealt[0])[:1, 1] - target) <= within,
    )


def _churned(risk: np.ndarray, promo: np.ndarray, sizes: dict) -> np.ndarray | None:
    """Who of the first 24 months churns: those of the highest latent risk, as many as published.

    Args:
        risk: latent risk; those who pay late come first.
        promo: whether an offer was used.
        sizes: how many pay late, and how many churn; see `_sizes`.

    Returns:
        A flag a subscriber; None where these subscribers cannot meet the counts.
    """
    delayed, churners = sizes["early_delayed"], np.zeros(len(risk), dtype=bool)
    low, high = -30.0, 30.0  # the correction of the offer's effect: higher, more of its users churn
    for _ in range(80):
        correction = (low + high) / 2
        churners[:] = False
        latent = risk + correction * promo
        for group, count in ((slice(0, delayed), sizes["churned_delayed"]),
                             (slice(delayed, None), sizes["churned_on_time"])):
            riskiest = np.argsort(-latent[group], kind="stable")[:count]
            churners[group][riskiest] = True
        used = np.count_nonzero(promo & churners)
        if used == sizes["churned_promo"]:
            return churners
        low, high = (correction, high) if used < sizes["churned_promo"] else (low, correction)
    return None


def _deal_months(months: np.ndarray, churned: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Months (ascending) dealt to subscribers so that the churned are spread evenly over them."""
    n, share = len(months), np.mean(churned)
    size = np.bincount(months)
    even = False
    while not even:
        blurred = np.argsort(np.arange(n) + MONTH_JITTER * rng.random(n), kind="stable")
        passed = np.floor(np.arange(n + 1) * np.count_nonzero(churned) / n + rng.random())
        marked = np.diff(passed) > 0
        there = np.bincount(months[blurred[marked]], minlength=len(size))
        even = (np.abs(there - share * size) <= np.maximum(MONTH_SPREAD * size, MONTH_LEAST)).all()
    dealt = np.empty(n, dtype=int)
    dealt[churned] = _shuffled(months[blurred[marked]], rng)
    dealt[~churned] = _shuffled(months[blurred[~marked]], rng)
    return dealt


def _subscribers(sizes: dict, rng: np.random.Generator) -> pd.DataFrame:
    """Subscribers in random order, without ids."""
    n, early, early_delayed = sizes["all"], sizes["early"], sizes["early_delayed"]
    # Here the first 24 months come first, and in them, as later, those who pay late.
    delayed = np.zeros(n, dtype=bool)
    delayed[:early_delayed] = True
    delayed[early : early + sizes["delayed"] - early_delayed] = True

    columns = {
        name: _shuffled(np.repeat(np.array(tuple(dealt), dtype=object), sizes[name]), rng)
        for name, dealt in DEALT.items()
    }
    satisfaction, engagement = _satisfaction(n, rng), _engagement(columns["device"], rng)
    age = _uniform("age", n, rng).astype(int)

    truth = TRUTH["churn"]
    churned = None
    while churned is None:
        promo = _shuffled(np.arange(n) < sizes["promo"], rng)
        risk = (
            truth["intercept"] + truth["delayed"] * delayed + truth["promo_used"] * promo
            + truth["satisfaction_score"] * (satisfaction - 7)
            + truth["engagement_rate"] * (engagement - 7)
            + logit(np.maximum(rng.random(n), 1e-16))
        )
        churned = _churned(risk[:early], promo[:early], sizes)
    churned = np.concatenate([churned, np.zeros(n - early, dtype=bool)])
    months = _months(early, n, rng)
    months = np.concatenate([
        _deal_months(months[:early], churned[:early], rng), _shuffled(months[early:], rng)
    ])

    subscribers = pd.DataFrame({
        "subscription_months": months,
        "satisfaction_score": satisfaction,
        "daily_watch_hours": _uniform("daily_watch_hours", n, rng),
        "engagement_rate": engagement,
        "device": columns["device"],
        "genre": columns["genre"],
        "region": columns["region"],
        "payment_history": np.where(delayed, "Delayed", "On-Time"),
        "plan": columns["plan"],
        "churned": np.where(churned, "Yes", "No"),
        "support_queries": _queries(age, rng),
        "age": age,
        "monthly_income": _uniform("monthly_income", n, rng).astype(int),
        "promo_used": np.where(promo, "Yes", "No"),
        "profiles": _uniform("profiles", n, rng).astype(int),
    })
    order = np.argsort(rng.random(n), kind="stable")
    return subscribers.iloc[order].reset_index(drop=True)


def parts(seed: int, scale: float) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield table `subscribers` in equal parts of at most the shipped size.

    Raises:
        ValueError: a scale below `SMALLEST_SCALE`. A handful of subscribers can't have the
            published figures (one of each device, each near its published mean, have no spread),
            and drawing until they do would never end.
    """
    check_scale(scale)
    count = math.ceil(scale)
    before = _sizes(0)
    for part in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, part]))
        after = _sizes(round(SUBSCRIBERS * scale * (part + 1) / count))
        subscribers = _subscribers({key: after[key] - before[key] for key in after}, rng)
        subscribers.insert(0, "customer_id", np.arange(before["all"], after["all"]) + 1)
        before = after
        yield {"subscribers": subscribers}


def generate(seed: int = SEED, scale: float = 1) -> tuple[dict[str, pd.DataFrame], dict]:
    """The whole table `subscribers` in memory, and the true parameters that made it.

    Args:
        seed: a whole number >= 0.
        scale: multiplies the number of subscribers, 0.01 or more. At 1 the published counts are
            exact.

    Returns:
        `{"subscribers": frame}` with the columns of the contract; `churned` and `promo_used` are
        Yes or No. And `TRUTH`.
    """
    tables = [part["subscribers"] for part in parts(seed, scale)]
    return {"subscribers": pd.concat(tables, ignore_index=True)}, TRUTH
