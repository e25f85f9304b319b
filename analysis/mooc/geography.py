"""Countries: users, customers, revenue, completions; which of them truly stand out.

The tables know countries only, no regions or cities in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from analysis.mooc.channels import by_user_group
from analysis.mooc.durations import enrolments
from analysis.mooc.reduce import MISSING, collect, whole
from analysis.stats import multiplicity, shrinkage, two_proportions
from analysis.stats.shrinkage import BetaBinomial, Normal
from analysis.stats.two_proportions import Share

COUNTRY = "user_country"
ALPHA = 0.05
CONFIDENCE = 0.95
TOP = 10  # rows of the rankings that are laid side by side
LEAST_COUNTRIES = 3  # to tell a spread between countries from chance


@dataclass(frozen=True)
class Rates:
    """A rate by country, raw and smoothed.

    Attributes:
        prior: How countries differ, and the smoothed rates.
        dispersion: Over-dispersion of the rates against the overall one (1: as chance makes).
        countries: Index `user_country`, missing ones left out; columns `successes`, `trials`,
            `rate` (raw), `smoothed` with its 95% credible limits `low` and `high`, `above`
            (probability that the true rate lies above the mean between countries), `z` (against
            the overall rate), `difference` from all other countries together with its 95% limits
            `difference_low` and `difference_high`, `p_value` (Fisher's exact test), `p_adjusted`
            (Benjamini-Hochberg over the countries) and `stands_out`: 1 above the others, -1 below,
            0 not shown.
    """

    prior: BetaBinomial
    dispersion: float
    countries: pd.DataFrame


@dataclass(frozen=True)
class Means:
    """Revenue a user by country, raw and smoothed.

    Attributes:
        prior: How countries differ, and the smoothed means.
        sd: Standard deviation of revenue between users within countries, all pooled (currency).
        countries: Index `user_country`; columns `users`, `mean` (currency a user), `error` (of it:
            `sd` by the root of the users), `smoothed` with its 95% credible limits `low`, `high`.
    """

    prior: Normal
    sd: float
    countries: pd.DataFrame


@dataclass(frozen=True)
class Concentration:
    """How few countries the revenue comes from; countries not given are left out.

    Attributes:
        countries: With a user.
        selling: With revenue.
        first: Code of the country with most revenue.
        first_share: Its share of the revenue.
        top_share: Share of the `TOP` countries with most revenue.
        half: Least number of countries that make half of the revenue.
        not_given: Share of all revenue that has no country.
    """

    countries: int
    selling: int
    first: str
    first_share: float
    top_share: float
    half: int
    not_given: float


@dataclass(frozen=True)
class Geography:
    """Attributes:
        countries: See `by_country`.
        concentration: None without any revenue from a known country.
        conversion: Users who bought, of all; None with fewer than three countries.
        completion: Users who completed a course, of those who enrolled; None likewise.
        revenue: Revenue a user; None likewise, or where it is the same for everybody.
        spreads: Whether countries differ at all: index `measure` (those of the three that there
            are), `p_value` of its prior and `p_adjusted` (Holm over the measures).
    """

    countries: pd.DataFrame
    concentration: Concentration | None
    conversion: Rates | None
    completion: Rates | None
    revenue: Means | None
    spreads: pd.DataFrame


def geography(users: ir.Table, orders: ir.Table, events: ir.Table) -> Geography:
    """What is told of countries.

    Args:
        users: mooc/users.
        orders: mooc/orders.
        events: mooc/events.
    """
    frame = by_country(users, orders, events)
    known = frame.drop(index=MISSING, errors="ignore")
    found = {
        "conversion": rates(known.customers, known.users),
        "completion": rates(known.completed_users, known.enrolled_users),
        "revenue": _revenue(known),
    }
    return Geography(
        countries=frame,
        concentration=_concentration(known, float(frame.revenue.sum())),
        **found,
        spreads=spreads(found),
    )


def by_country(users: ir.Table, orders: ir.Table, events: ir.Table) -> pd.DataFrame:
    """Countries as the users table gives them.

    Returns:
        Index `user_country` (ISO 3166-1 alpha-2); columns as in `channels.by_user_group`, and
        `revenue_squares` (sum of the squared revenue of each user), `enrolments`, `completions`
        (courses, of `durations.enrolments`), `enrolled_users` and `completed_users`.
    """
    home = users.select("user_id", COUNTRY)
    courses = enrolments(events).group_by("user_id").agg(
        enrolments=_.count(), completions=_.completed.count()
    )
    learned = (
        courses.join(home, "user_id")
        .group_by(COUNTRY)
        .agg(
            enrolments=_.enrolments.sum(),
            completions=_.completions.sum(),
            enrolled_users=_.count(),
            completed_users=_.count(where=_.completions > 0),
        )
    )
    spent = orders.group_by("user_id").agg(revenue=_.amount.cast("float64").sum())
    squares = spent.join(home, "user_id").group_by(COUNTRY).agg(
        revenue_squares=(_.revenue * _.revenue).sum()
    )
    frame = by_user_group(orders, users, COUNTRY)
    for more in (squares, learned):
        frame = frame.join(collect(more, (COUNTRY,)))
    frame = frame.assign(revenue_squares=frame.revenue_squares.fillna(0.0))
    return whole(frame, ("enrolments", "completions", "enrolled_users", "completed_users"))


def spreads(found: Mapping[str, Rates | Means | None]) -> pd.DataFrame:
    """The tests of a spread between countries, corrected together; see `Geography`.

    Args:
        found: What was compared, by measure.
    """
    p = pd.Series({name: part.prior.p_value for name, part in found.items() if part is not None},
                  dtype=float)
    frame = pd.DataFrame({"p_value": p, "p_adjusted": multiplicity.holm(p) if len(p) else p})
    return frame.rename_axis("measure")


def _concentration(known: pd.DataFrame, total: float) -> Concentration | None:
    revenue = float(known.revenue.sum())
    if not revenue > 0:
        return None
    ranked = known.revenue.sort_values(ascending=False, kind="stable")
    shares = ranked / revenue
    return Concentration(
        countries=len(known),
        selling=int((ranked > 0).sum()),
        first=str(ranked.index[0]),
        first_share=float(shares.iloc[0]),
        top_share=float(shares.head(TOP).sum()),
        half=int(np.searchsorted(shares.cumsum().to_numpy(), 0.5) + 1),
        not_given=float(1 - revenue / total),
    )


def rates(successes: pd.Series, trials: pd.Series) -> Rates | None:
    """A rate by country; countries without a trial are left out.

    None with fewer than `LEAST_COUNTRIES`, or where nobody or everybody counts: then there is
    nothing that could differ.
    """
    trials = trials[trials > 0].astype("int64")
    successes = successes.reindex(trials.index).astype("int64")
    yes, n = int(successes.sum()), int(trials.sum())
    if len(trials) < LEAST_COUNTRIES or yes in (0, n):
        return None
    prior = shrinkage.beta_binomial(successes, trials, CONFIDENCE)
    overall = yes / n
    frame = pd.DataFrame({
        "successes": successes, "trials": trials, "rate": successes / trials,
        "smoothed": prior.rates, "low": prior.lows, "high": prior.highs, "above": prior.above,
        "z": (successes / trials - overall) / np.sqrt(overall * (1 - overall) / trials),
    }).rename_axis(COUNTRY)
    others = [
        (Share(int(k), int(m)), Share(yes - int(k), n - int(m)))
        for k, m in zip(successes, trials, strict=True)
    ]
    p_values = [
        stats.fisher_exact([[a.successes, a.n - a.successes],
                            [b.successes, b.n - b.successes]]).pvalue
        for a, b in others
    ]
    intervals = [two_proportions.difference(a, b, CONFIDENCE) for a, b in others]
    frame = frame.assign(
        difference=[d.estimate for d in intervals],
        difference_low=[d.low for d in intervals],
        difference_high=[d.high for d in intervals],
        p_value=p_values,
        p_adjusted=multiplicity.benjamini_hochberg(p_values),
    )
    found = frame.p_adjusted <= ALPHA
    return Rates(
        prior=prior,
        dispersion=shrinkage.over_dispersion(frame.z),
        countries=frame.assign(
            stands_out=(np.sign(frame.difference) * found).astype("int64")
        ),
    )


def _revenue(known: pd.DataFrame) -> Means | None:
    """The error of each mean is that of the pooled standard deviation.

    A country's own would be smallest where by chance nobody spent much, which would give the most
    trust to the countries that happened to be poor.
    """
    known = known[known.users > 0]
    users, means = known.users.astype(float), known.revenue / known.users
    within = float((known.revenue_squares - users * means**2).sum())
    freedom = float(users.sum() - len(known))
    if len(known) < LEAST_COUNTRIES or freedom < 1 or not within > 1e-9 * float(
        known.revenue_squares.sum()
    ):
        return None
    sd = float(np.sqrt(within / freedom))
    error = sd / np.sqrt(users)
    # Sums of amounts differ in the last places by the order of rows; a search for a maximum would
    # make that more.
    digits = 9 - int(np.floor(np.log10(sd)))
    prior = shrinkage.normal(means.round(digits), error.round(digits), CONFIDENCE)
    frame = pd.DataFrame({
        "users": known.users, "mean": means, "error": error,
        "smoothed": prior.means, "low": prior.lows, "high": prior.highs,
    }).rename_axis(COUNTRY)
    return Means(prior=prior, sd=sd, countries=frame)
