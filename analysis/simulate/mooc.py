"""Synthetic users of a MOOC platform: who signs up, enrols, buys, completes, and comes back.

No row is a real person. 22,000 users sign up from 1 July 2023 to 31 December 2024 (`DAYS` days);
whatever would happen later is not in the tables, so enrolments, purchases and completions are
censored there. All times are UTC. What is true of the tables:

**Users.** Sign-ups grow by `GROWTH` over the window and follow the week and the year. Country is
drawn from `COUNTRIES`, referral channel given the country's region (`SOURCES`), occupation
(`OCCUPATIONS`) and age group given the occupation (`AGES`) independently of both.

**Funnel.** A user ever enrols with probability `enrol_probability()[source, country]`: the
source's rate times the factor of the country's region, two interactions (`ENROL_TOGETHER`) and
three countries of their own (`ENROL_COUNTRY`). The first enrolment follows sign-up after a
log-normal delay (`ENROL_DELAY`). With probability `PAID_FIRST[source]` it is a purchase, else a
free course, after which a first purchase follows with probability `LATER_PAID` and a log-normal
delay (`PAID_DELAY`). A user who enrolled takes a further free course with probability
`FREE_AGAIN`. Buying a course enrols in it in the same second.

**Completion.** Every enrolment is one day completed with probability 1 / (1 + exp(-logit)), logit =
`COMPLETE_SOURCE` + `COMPLETE_REGION` + `COMPLETE_TOGETHER` + course (`completion_logit()`) + the
user's cluster (`CLUSTERS`). Time to completion is log-normal: median = the course's `median_days`
times `DURATION_FACTOR[source]`, sd of the log `DURATION_SIGMA`. A course is completed by passing
its assessment; nobody has to watch every video.

**Purchases** follow the BG/NBD model (Fader, Hardie & Lee 2005) with `BGNBD`, time in weeks since
the first order: orders come at a rate lambda ~ Gamma(r, rate alpha), and after each repeat order
the customer leaves for good with probability p ~ Beta(a, b). **Order values** follow the
Gamma-Gamma model (Fader & Hardie 2005; Fader, Hardie & Lee 2005) with `GAMMA_GAMMA`: value ~
Gamma(p, rate nu), nu ~ Gamma(q, rate gamma), mean p gamma / (q - 1) = 72 US dollars, independent of
the order rate. Nothing of this depends on source, country, occupation or age, so users differ in
value between these groups only by whether and when they first buy.

*How fixed prices and random order values go together.* A list price is fixed; the amount paid for
it is not: coupons and regional discounts lower it, sales tax or VAT raises it. The values and the
baskets are drawn apart, each from its own law, and then matched by rank: the order with the
largest value gets the basket with the largest list total, and so on, with some noise
(`MATCH_NOISE`). So order values are exactly Gamma-Gamma, baskets exactly independent (below), and
the value is 0.5 to 1.1 times the list total in nine orders of ten (median 0.8, hardly ever above
1.4). The items of a basket share its value in proportion to their list prices, to the cent. A
customer of large mean value thus buys dearer courses, so *over all orders of a customer* dear
courses go together.

**Baskets.** Each paid course is in a basket independently of the others, with rate `BASKET` times
its share of popularity, given that the basket is not empty. In addition, an order with any course
of a bundle takes the whole bundle with its probability (`BUNDLES` in `mooc_courses`). Among orders
the lift of any other pair is 1 - exp(-`BASKET`) = 0.50, below 1 since nobody sees empty baskets.
Among *customers* every pair has a lift above 1 because some buy a lot and others little: mine
pairs by order. Hardly anybody buys a course twice: baskets are swapped between orders of nearly the
same value until that holds, up to `SWAPS` times; about 4 items in 1,000 stay a course bought again,
which is no second enrolment (there are customers with more than twenty orders).

**Ladders.** After an order of the first course of a ladder (`LADDERS` in `mooc_courses`), a later
order of one single course of `LADDER_REACH` times the second's list price becomes an order of the
second with the ladder's probability, unless the customer has it. Baskets of several courses stay
as they are, so ladders make no pairs. Order by order, what is in a basket depends on the customer
only through the order's value, the ladders, and the courses the customer has: among later orders
*of about the same value*, having the first course makes the second 2 to 5 times as likely (having a
course bundled with the first does a little), and any other hardly more likely than not having it.
Without that condition all dear courses follow one another.

**Behaviour.** Each user belongs to one of four clusters (`CLUSTERS`), with shares by occupation
(`CLUSTER_SHARES`). Of users who enrolled: minutes watched per enrolled course are log-normal
around the cluster's median, video completion rate and quiz score are normal, cut to 0..100;
nobody watches more than a quarter of the time since the first enrolment. A share of a
cluster's users has taken no quiz (missing score), unless they completed a course. Who never
enrolled has 0 minutes, 0 percent and no score.

**Sales channel** of an order: `SALES_CHANNELS`, shares moving in a straight line over the window.

**Hour of the day.** Every time of day, drawn evenly, is stretched by one increasing map to the
profile `HOURS`, the same for all events: order in time and calendar day stay what they were,
durations move by some hours at most.

**Dirt**, in expected shares (`DIRT`): accounts deleted later, whose row in users is gone and whose
events and orders are not; a country, source, occupation, age group or sales channel that was not
recorded (missing); `watched_preview` events; completions recorded before the enrolment; completions
of a course without any enrolment; exact duplicates of events.

The tables agree: `total_revenue` is the sum of the user's orders, to the cent;
`total_courses_enrolled` the number of courses in the user's `enrolled_in_course` events;
`enrollment_date` the day of the first (of sign-up, if there is none); country and source of an
event are those of its user.
"""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import betaincinv, expit, gammaincinv, ndtr, ndtri

from analysis.simulate.mooc_courses import BUNDLES, COURSES, LADDERS

SEED = 2024
USERS = 22_000
START = np.datetime64("2023-07-01T00:00:00", "s")
DAYS = 550  # to the end of 2024
FUTURE_DAYS = 365  # horizon of a customer's true future value

GROWTH = 0.8
WEEKDAYS = (1.10, 1.12, 1.08, 1.05, 0.92, 0.80, 0.93)  # sign-ups, Monday first
MONTHS = (1.30, 1.12, 1.05, 0.98, 0.92, 0.85, 0.82, 0.85, 1.15, 1.10, 1.00, 0.80)
HOURS = (7, 5, 4, 3, 3, 4, 6, 9, 12, 14, 15, 15, 14, 14, 15, 16, 17, 17, 18, 20, 21, 19, 15, 11)

# Per mille weights of the countries, by region.
COUNTRIES = {
    "North America": {"US": 190, "CA": 32},
    "Europe": {
        "GB": 55, "DE": 38, "FR": 28, "ES": 26, "IT": 20, "TR": 18, "PL": 17, "NL": 15, "PT": 12,
        "UA": 9, "RO": 8, "SE": 8, "CH": 8, "IE": 8, "BE": 8, "GR": 6, "AT": 6, "CZ": 6, "DK": 5,
        "NO": 5, "FI": 5, "HU": 4, "BG": 4, "RS": 3, "EE": 2, "LU": 1, "MT": 1, "IS": 1,
    },
    "South Asia": {"IN": 165, "PK": 20, "BD": 13, "LK": 5, "NP": 4},
    "Latin America": {
        "BR": 45, "MX": 28, "CO": 15, "AR": 12, "PE": 7, "CL": 6, "EC": 3, "CR": 2, "UY": 2,
    },
    "Africa and Middle East": {
        "NG": 34, "EG": 20, "KE": 18, "ZA": 16, "SA": 12, "AE": 11, "MA": 7, "GH": 7, "IL": 6,
        "ET": 4, "TZ": 3, "UG": 3, "NA": 1,
    },
    "East Asia and Pacific": {
        "PH": 24, "AU": 22, "ID": 22, "JP": 14, "VN": 13, "MY": 11, "SG": 10, "KR": 9, "TH": 7,
        "NZ": 5, "TW": 5, "HK": 4,
    },
}
REGION = {code: region for region, codes in COUNTRIES.items() for code in codes}
SOURCES = pd.DataFrame(
    {
        "North America": (0.30, 0.24, 0.14, 0.12, 0.10, 0.10),
        "Europe": (0.34, 0.18, 0.14, 0.14, 0.10, 0.10),
        "South Asia": (0.26, 0.12, 0.30, 0.08, 0.18, 0.06),
        "Latin America": (0.26, 0.14, 0.30, 0.08, 0.15, 0.07),
        "Africa and Middle East": (0.24, 0.10, 0.30, 0.08, 0.21, 0.07),
        "East Asia and Pacific": (0.32, 0.18, 0.18, 0.12, 0.12, 0.08),
    },
    index=["Organic Search", "Paid Search", "Social Media", "Blog Post", "Friend", "Email"],
)

# Sign-up to enrolment.
ENROL_SOURCE = {
    "Organic Search": 0.62, "Paid Search": 0.50, "Social Media": 0.42, "Blog Post": 0.65,
    "Friend": 0.72, "Email": 0.68,
}
ENROL_REGION = {
    "North America": 1.0, "Europe": 1.0, "South Asia": 0.88, "Latin America": 0.92,
    "Africa and Middle East": 0.85, "East Asia and Pacific": 0.95,
}
ENROL_TOGETHER = {
    ("Social Media", "South Asia"): 1.35, ("Paid Search", "Africa and Middle East"): 0.60,
}
ENROL_COUNTRY = {"KE": 1.25, "PT": 1.25, "JP": 0.70}
ENROL_DELAY = (0.3, 1.5)  # median in days, sd of the log
PAID_FIRST = {
    "Organic Search": 0.60, "Paid Search": 0.70, "Social Media": 0.45, "Blog Post": 0.55,
    "Friend": 0.65, "Email": 0.68,
}
LATER_PAID = 0.35
PAID_DELAY = (21, 1.0)
FREE_AGAIN = 0.25
FREE_AGAIN_DELAY = (30, 1.0)

# Enrolment to completion: sums of logits. The course's is `completion_logit()`.
COMPLETE_SOURCE = {
    "Organic Search": 0.40, "Paid Search": -0.15, "Social Media": -0.45, "Blog Post": 0.50,
    "Friend": 0.55, "Email": 0.30,
}
COMPLETE_REGION = {
    "North America": 0.0, "Europe": 0.1, "South Asia": 0.25, "Latin America": -0.1,
    "Africa and Middle East": -0.25, "East Asia and Pacific": 0.15,
}
COMPLETE_TOGETHER = {
    ("Email", "North America"): -0.7, ("Friend", "Africa and Middle East"): 0.7,
}
DURATION_FACTOR = {
    "Organic Search": 1.0, "Paid Search": 1.15, "Social Media": 1.4, "Blog Post": 0.9,
    "Friend": 0.75, "Email": 1.0,
}
DURATION_SIGMA = 0.7

BGNBD = {"r": 0.8, "alpha": 18.0, "a": 0.7, "b": 2.2}  # weeks
GAMMA_GAMMA = {"p": 4.0, "q": 6.0, "gamma": 90.0}  # US dollars
MATCH_NOISE = 0.15  # sd of the log of the list total
BASKET = 0.7
SWAPS = 30  # rounds of swapping baskets whose customer has a course already,
SWAP_WITHIN = 0.2  # with orders of a value within this, on the log scale, so that
PAID_SHARE = (0.3, 1.4)  # value to list total of both stay between these
LADDER_REACH = (0.5, 1.5)
SALES_CHANNELS = {  # shares at the start and at the end of the window
    "Website": (0.58, 0.44), "Mobile App": (0.20, 0.38), "Email Campaign": (0.14, 0.11),
    "Partner": (0.08, 0.07),
}

AGE_GROUPS = ("18-24", "25-34", "35-44", "45-54", "55-64", "65+")
OCCUPATIONS = {
    "Student": 0.24, "Software Engineer": 0.15, "Data Analyst": 0.11, "Manager": 0.12,
    "Marketing Specialist": 0.09, "Teacher": 0.08, "Designer": 0.06, "Accountant": 0.06,
    "Job Seeker": 0.09,
}
AGES = {
    "Student": (0.74, 0.20, 0.04, 0.01, 0.005, 0.005),
    "Software Engineer": (0.12, 0.48, 0.27, 0.10, 0.02, 0.01),
    "Data Analyst": (0.12, 0.50, 0.26, 0.09, 0.02, 0.01),
    "Manager": (0.02, 0.26, 0.38, 0.23, 0.09, 0.02),
    "Marketing Specialist": (0.12, 0.46, 0.27, 0.11, 0.03, 0.01),
    "Teacher": (0.05, 0.28, 0.30, 0.23, 0.11, 0.03),
    "Designer": (0.14, 0.47, 0.26, 0.10, 0.02, 0.01),
    "Accountant": (0.08, 0.36, 0.31, 0.17, 0.06, 0.02),
    "Job Seeker": (0.22, 0.36, 0.22, 0.12, 0.06, 0.02),
}
CLUSTERS = pd.DataFrame(
    {
        "minutes": (540.0, 300.0, 110.0, 35.0),  # median of the minutes per enrolled course
        "minutes_sigma": (0.35, 0.40, 0.40, 0.55),  # sd of their log
        "rate": (88.0, 62.0, 34.0, 10.0),  # video completion rate, percent
        "rate_sd": (6.0, 8.0, 7.0, 5.0),
        "quiz": (86.0, 73.0, 89.0, 55.0),  # average quiz score
        "quiz_sd": (6.0, 7.0, 5.0, 9.0),
        "no_quiz": (0.0, 0.01, 0.02, 0.40),  # share without a score, of those who completed nothing
        "complete": (1.6, 0.4, 0.0, -2.6),  # logit of completing a course
    },
    index=["Finisher", "Steady Learner", "Selective Expert", "Sampler"],
)
CLUSTER_SHARES = {
    "Student": (0.20, 0.30, 0.10, 0.40),
    "Software Engineer": (0.20, 0.25, 0.33, 0.22),
    "Data Analyst": (0.24, 0.28, 0.26, 0.22),
    "Manager": (0.18, 0.32, 0.22, 0.28),
    "Marketing Specialist": (0.20, 0.34, 0.16, 0.30),
    "Teacher": (0.36, 0.34, 0.12, 0.18),
    "Designer": (0.20, 0.34, 0.18, 0.28),
    "Accountant": (0.28, 0.34, 0.16, 0.22),
    "Job Seeker": (0.24, 0.30, 0.10, 0.36),
}

DIRT = {
    "deleted_account": 0.001,  # of the users
    "no_country": 0.006, "no_source": 0.005, "no_occupation": 0.008, "no_age_group": 0.005,
    "no_sales_channel": 0.004,  # of the orders
    "preview": 0.012,  # of the enrolments: a `watched_preview` event up to an hour before
    "completed_before": 0.002,  # of the completions: recorded between sign-up and enrolment
    "completed_without": 0.001,  # of the users who enrolled
    "duplicate": 0.002,  # of the events
}

_CODES = list(REGION)
_SOURCES = list(SOURCES.index)
_PRICE = COURSES["price"].to_numpy()
_PAID = np.flatnonzero(_PRICE > 0)
_FREE = np.flatnonzero(_PRICE == 0)
_POSITION = {course: i for i, course in enumerate(COURSES["course_id"])}
_EVENT_TYPES = ("signed_up", "watched_preview", "enrolled_in_course", "completed_course")
_SIGNED_UP, _PREVIEW, _ENROLLED, _COMPLETED = range(4)


def enrol_probability() -> pd.DataFrame:
    """Probability that a user ever enrols: a row a source, a column a country."""
    return pd.DataFrame({
        code: [
            ENROL_SOURCE[source] * ENROL_REGION[region] * ENROL_COUNTRY.get(code, 1)
            * ENROL_TOGETHER.get((source, region), 1)
            for source in _SOURCES
        ]
        for code, region in REGION.items()
    }, index=_SOURCES)


def completion_logit() -> tuple[pd.DataFrame, pd.Series]:
    """Logit of completing an enrolment: by source and country, and by course (both are added)."""
    people = pd.DataFrame({
        code: [
            COMPLETE_SOURCE[source] + COMPLETE_REGION[region]
            + COMPLETE_TOGETHER.get((source, region), 0)
            for source in _SOURCES
        ]
        for code, region in REGION.items()
    }, index=_SOURCES)
    # Long courses are left more often, and so are free ones.
    course = 0.8 - 0.018 * COURSES["median_days"] - 0.8 * (COURSES["price"] == 0)
    return people, course.set_axis(COURSES["course_id"])


_ENROL = enrol_probability().to_numpy()
_COMPLETE, _COMPLETE_COURSE = (logit.to_numpy() for logit in completion_logit())


def _open(n, rng):
    """Uniform numbers that are not 0. All else is drawn from these: NumPy's stream of `random` is
    stabler than those of other distributions."""
    return np.maximum(rng.random(n), 1e-12)


def _pick(shares, n, rng):
    """`n` positions in `shares`, drawn in proportion to them."""
    edges = np.cumsum(shares)
    return np.searchsorted(edges[:-1] / edges[-1], rng.random(n), side="right")


def _pick_by(table, group, rng):
    """A position in row `group[i]` of `table` for each i, drawn in proportion to the row."""
    edges = np.cumsum(np.asarray(table, dtype=float), axis=1)
    edges /= edges[:, -1:]
    drawn = rng.random(len(group))
    position = np.zeros(len(group), dtype=np.int64)
    for k in range(edges.shape[1] - 1):
        position += drawn >= edges[group, k]
    return position


def _lognormal(median, sigma, n, rng):
    return median * np.exp(sigma * ndtri(_open(n, rng)))


def _sign_up_edges():
    """Cumulative weights of the days of the window."""
    days = START.astype("datetime64[D]") + np.arange(DAYS)
    weekday = (days.astype(np.int64) + 3) % 7  # 1 January 1970 was a Thursday
    month = days.astype("datetime64[M]").astype(np.int64) % 12
    weight = np.array(WEEKDAYS)[weekday] * np.array(MONTHS)[month]
    return np.concatenate([[0], np.cumsum(weight * (1 + GROWTH * np.arange(DAYS) / DAYS))])


def _people(n, rng):
    """Users in the order of their sign-up, as positions in the lists of what they can be."""
    edges = _sign_up_edges()
    weights = [weight for codes in COUNTRIES.values() for weight in codes.values()]
    regions = {region: i for i, region in enumerate(COUNTRIES)}
    region_of = np.array([regions[REGION[code]] for code in _CODES])
    country = _pick(weights, n, rng)
    occupation = _pick(list(OCCUPATIONS.values()), n, rng)
    return {
        "signed_up": np.interp(np.sort(rng.random(n)) * edges[-1], edges, np.arange(DAYS + 1.0)),
        "country": country,
        "source": _pick_by(SOURCES.T, region_of[country], rng),
        "occupation": occupation,
        "age": _pick_by(list(AGES.values()), occupation, rng),
        "cluster": _pick_by(list(CLUSTER_SHARES.values()), occupation, rng),
    }


def _free_enrolments_and_first_orders(people, rng):
    """Free enrolments (user, course, day), and the day of each user's first order (inf: none)."""
    n = len(people["source"])
    source = people["source"]
    enrols = rng.random(n) < _ENROL[source, people["country"]]
    first = people["signed_up"] + _lognormal(*ENROL_DELAY, n, rng)
    first[~enrols] = np.inf
    paid = rng.random(n) < np.array([PAID_FIRST[name] for name in _SOURCES])[source]
    pays_later = rng.random(n) < LATER_PAID
    order = np.where(paid, first, first + _lognormal(*PAID_DELAY, n, rng))
    order[~paid & ~pays_later] = np.inf

    popularity = COURSES["popularity"].to_numpy()[_FREE]
    course = _FREE[_pick(popularity, n, rng)]
    other = _FREE[_pick(popularity, n, rng)]
    again = first + _lognormal(*FREE_AGAIN_DELAY, n, rng)
    has_again = (rng.random(n) < FREE_AGAIN) & (paid | (other != course)) & (again < DAYS)
    has_free = ~paid & (first < DAYS)
    user = np.concatenate([np.flatnonzero(has_free), np.flatnonzero(has_again)])
    day = np.concatenate([first[has_free], again[has_again]])
    return user, np.concatenate([course[has_free], other[has_again]]), day, order


def _repeat_orders(start, end, rate, leave, rng):
    """Orders after `start` and before `end` (days) by BG/NBD, for each of a row of customers.

    Args:
        rate: orders a week while active.
        leave: probability to leave for good after each of these orders.

    Returns:
        Customer (position) and day of each order, a customer's orders in time; who is still active.
    """
    active = np.ones(len(start), dtype=bool)
    customer, day = np.arange(len(start)), np.asarray(start, dtype=float)
    customers, days = [customer[:0]], [day[:0]]
    while len(customer):
        day = day - 7 * np.log(_open(len(customer), rng)) / rate[customer]
        inside = day < end
        customer, day = customer[inside], day[inside]
        customers.append(customer)
        days.append(day)
        stays = rng.random(len(customer)) >= leave[customer]
        active[customer[~stays]] = False
        customer, day = customer[stays], day[stays]
    return np.concatenate(customers), np.concatenate(days), active


def _baskets(n, rng):
    """`n` baskets: a boolean row each, a column a paid course."""
    sizes = np.arange(1, 20)
    poisson = np.exp(sizes * math.log(BASKET) - np.cumsum(np.log(sizes)))
    drawn = 1 + _pick(poisson, n, rng)  # at least one; a course drawn twice counts once
    baskets = np.zeros((n, len(_PAID)), dtype=bool)
    rows = np.repeat(np.arange(n), drawn)
    baskets[rows, _pick(COURSES["popularity"].to_numpy()[_PAID], len(rows), rng)] = True
    for bundle, probability in BUNDLES.items():
        members = np.searchsorted(_PAID, [_POSITION[course] for course in bundle])
        some = np.flatnonzero(baskets[:, members].any(axis=1))
        whole = some[rng.random(len(some)) < probability]
        baskets[whole[:, None], members] = True
    return baskets


def _items(user, value, rng):
    """What each order holds.

    Args:
        user: of each order; orders come by user and time.
        value: of each order, in cents.

    Returns:
        Order (position) and course of each item, by order.
    """
    n = len(user)
    baskets = _baskets(n, rng)
    size = baskets.sum(axis=1)
    total = baskets @ _PRICE[_PAID]
    by_value = np.argsort(value, kind="stable")
    basket = np.empty(n, dtype=np.int64)
    noise = MATCH_NOISE * ndtri(_open(n, rng))
    basket[by_value] = np.argsort(np.log(total) + noise, kind="stable")

    # Item k of basket j is members[first[j] + k].
    members = np.nonzero(baskets)[1]
    first = np.cumsum(size) - size

    def unroll(orders):
        counts = size[basket[orders]]
        order = np.repeat(orders, counts)
        within = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
        return order, members[first[basket[order]] + within]

    # A basket with a course that its customer has already changes places with one of an order of
    # nearly the same value; then the customers of both are looked at again.
    ascending, orders = value[by_value], np.arange(n)
    for _ in range(SWAPS):
        order, course = unroll(orders)
        again = np.unique(order[_repeated(user[order] * len(_PAID) + course)])
        near = value[again] * np.exp(SWAP_WITHIN * (2 * rng.random(len(again)) - 1))
        near = by_value[np.minimum(np.searchsorted(ascending, near), n - 1)]
        partner, position = np.unique(near, return_index=True)
        here = again[position]
        apart = ~np.isin(partner, again)
        for order, other in ((here, partner), (partner, here)):
            paid_share = value[order] / 100 / total[basket[other]]
            apart &= (paid_share > PAID_SHARE[0]) & (paid_share < PAID_SHARE[1])
        here, there = here[apart], partner[apart]
        basket[here], basket[there] = basket[there], basket[here]
        orders = np.flatnonzero(np.isin(user, user[np.concatenate([again, there])]))

    order, course = unroll(np.arange(n))
    course = _PAID[course]
    single = size[basket[order]] == 1
    for (lower, upper), probability in LADDERS.items():
        lower, upper = _POSITION[lower], _POSITION[upper]
        reached = np.full(user[-1] + 1, n)  # the user's first order of the lower course
        has_lower = np.flatnonzero(course == lower)[::-1]
        reached[user[order[has_lower]]] = order[has_lower]
        owned = np.zeros(len(reached), dtype=bool)
        owned[user[order[course == upper]]] = True
        fit = single & (order > reached[user[order]]) & ~owned[user[order]]
        relative = _PRICE[course] / _PRICE[upper]
        fit = np.flatnonzero(fit & (relative >= LADDER_REACH[0]) & (relative <= LADDER_REACH[1]))
        fit = fit[rng.random(len(fit)) < probability]
        fit = fit[np.unique(user[order[fit]], return_index=True)[1]]  # nobody's second
        course[fit] = upper
    return order, course


def _repeated(key):
    """Which entries have the key of an entry before them."""
    by_key = np.argsort(key, kind="stable")
    repeated = np.zeros(len(key), dtype=bool)
    repeated[by_key[1:]] = key[by_key[1:]] == key[by_key[:-1]]
    return repeated


def _share_out(cents, order, price):
    """Split each order's cents over its items in proportion to list prices, to the last cent."""
    total = np.bincount(order, weights=price)
    before = np.cumsum(total) - total
    reached = np.rint(cents[order] * ((np.cumsum(price) - before[order]) / total[order]))
    begins = np.diff(order, prepend=-1) > 0
    return np.where(begins, reached, np.diff(reached, prepend=0)).astype(np.int64)


def _clock(day):
    """Timestamps of days since the start, times of day stretched to the profile `HOURS`."""
    whole = np.floor(day)
    edges = np.concatenate([[0], np.cumsum(HOURS)]) / sum(HOURS)
    seconds = np.interp(day - whole, edges, np.arange(25) * 3600.0)
    return START + (whole * 86400 + np.minimum(np.floor(seconds), 86399)).astype("timedelta64[s]")


def _missing(labels, position, share, rng):
    """Labels at positions; None for a share of them, drawn at random."""
    labels = np.array([*labels, None], dtype=object)
    return labels[np.where(rng.random(len(position)) < share, len(labels) - 1, position)]


def _purchases(first_day, rng):
    """Customers and their orders.

    Args:
        first_day: of each user's first order; beyond the window: none.

    Returns:
        Latent quantities by customer (`user` is a position), and `user`, `day` and `cents` of each
        order, by customer and time.
    """
    user = np.flatnonzero(first_day < DAYS)
    n = len(user)
    rate = gammaincinv(BGNBD["r"], _open(n, rng)) / BGNBD["alpha"]
    leave = betaincinv(BGNBD["a"], BGNBD["b"], _open(n, rng))
    nu = gammaincinv(GAMMA_GAMMA["q"], _open(n, rng)) / GAMMA_GAMMA["gamma"]
    repeat, day, active = _repeat_orders(first_day[user], DAYS, rate, leave, rng)
    of = np.concatenate([np.arange(n), repeat])
    day = np.concatenate([first_day[user], day])
    by_customer = np.argsort(of, kind="stable")
    of = of[by_customer]
    cents = np.rint(100 * gammaincinv(GAMMA_GAMMA["p"], _open(len(of), rng)) / nu[of])
    customers = {
        "user": user, "rate": rate, "leave": leave, "active": active,
        "mean_value": GAMMA_GAMMA["p"] / nu,
    }
    return customers, {"user": user[of], "day": day[by_customer], "cents": cents}


def _completions(people, user, course, enrolled, rng):
    """What becomes of enrolments: `done` are the positions of those completed in the window."""
    source = people["source"][user]
    chance = expit(
        _COMPLETE[source, people["country"][user]] + _COMPLETE_COURSE[course]
        + CLUSTERS["complete"].to_numpy()[people["cluster"][user]]
    )
    factor = np.array([DURATION_FACTOR[name] for name in _SOURCES])
    median = COURSES["median_days"].to_numpy()[course] * factor[source]
    completed = enrolled + _lognormal(median, DURATION_SIGMA, len(user), rng)
    done = np.flatnonzero((rng.random(len(user)) < chance) & (completed < DAYS))
    return {
        "user": user, "course": course, "enrolled": enrolled, "chance": chance, "median": median,
        "done": done, "completed": completed[done],
    }


def _behaviour(people, enrolments, rng):
    """Enrolled courses of each user, day of the first (inf: none), minutes, video rate, quiz."""
    n = len(people["cluster"])
    courses = np.bincount(enrolments["user"], minlength=n)
    begun = np.full(n, np.inf)
    np.minimum.at(begun, enrolments["user"], enrolments["enrolled"])
    passed = np.bincount(enrolments["user"][enrolments["done"]], minlength=n) > 0
    kind = {name: values.to_numpy()[people["cluster"]] for name, values in CLUSTERS.items()}
    minutes = courses * _lognormal(kind["minutes"], kind["minutes_sigma"], n, rng)
    quarter = (DAYS - np.minimum(begun, DAYS)) * 24 * 60 / 4
    rate = np.clip(kind["rate"] + kind["rate_sd"] * ndtri(_open(n, rng)), 0, 100)
    quiz = np.clip(kind["quiz"] + kind["quiz_sd"] * ndtri(_open(n, rng)), 0, 100)
    no_quiz = (rng.random(n) < kind["no_quiz"]) & ~passed
    return {
        "courses": courses,
        "begun": begun,
        "minutes": np.minimum(minutes, quarter),
        "rate": np.where(courses, rate, 0),
        "quiz": np.where(no_quiz | (courses == 0), np.nan, quiz),
    }


def _events(people, enrolments, behaviour, rng):
    """User, course (-1: none), day and type of each event, in time, and the rows of dirt by kind.

    The dirt comes in here; what users add up to is made before.
    """
    n, signed_up = len(people["signed_up"]), people["signed_up"]
    user, course, enrolled = (enrolments[name] for name in ("user", "course", "enrolled"))
    done, completed = enrolments["done"], enrolments["completed"].copy()
    # A clock that went wrong, ...
    wrong = np.flatnonzero(rng.random(len(done)) < DIRT["completed_before"])
    joined = signed_up[user[done[wrong]]]
    completed[wrong] = joined + rng.random(len(wrong)) * (enrolled[done[wrong]] - joined)
    # ... certificates without an enrolment, ...
    begun = behaviour["begun"]
    lost = np.flatnonzero((begun < DAYS) & (rng.random(n) < DIRT["completed_without"]))
    lost_course = (rng.random(len(lost)) * len(COURSES)).astype(np.int64)
    lost_day = begun[lost] + rng.random(len(lost)) * (DAYS - begun[lost])
    unknown = ~np.isin(lost * len(COURSES) + lost_course, user * len(COURSES) + course)
    lost, lost_course, lost_day = lost[unknown], lost_course[unknown], lost_day[unknown]
    # ... an event type that the funnel does not know, ...
    seen = np.flatnonzero(rng.random(len(user)) < DIRT["preview"])
    seen_day = np.maximum(enrolled[seen] - rng.random(len(seen)) / 24, signed_up[user[seen]])

    day = np.concatenate([signed_up, seen_day, enrolled, completed, lost_day])
    # ... and events sent twice.
    copies = np.flatnonzero(rng.random(len(day)) < DIRT["duplicate"])
    rows = np.concatenate([np.arange(len(day)), copies])
    rows = rows[np.argsort(day[rows], kind="stable")]
    of = np.concatenate([np.arange(n), user[seen], user, user[done], lost])
    course = np.concatenate([np.full(n, -1), course[seen], course, course[done], lost_course])
    kind = np.repeat(
        [_SIGNED_UP, _PREVIEW, _ENROLLED, _COMPLETED],
        [n, len(seen), len(user), len(done) + len(lost)],
    )
    dirt = {
        "preview": len(seen), "completed_before": len(wrong), "completed_without": len(lost),
        "duplicate": len(copies),
    }
    return of[rows], course[rows], day[rows], kind[rows], dirt


def _sales_channel(day, rng):
    """Sales channels of orders on these days, as positions."""
    ends = np.array(list(SALES_CHANNELS.values()))
    shares = ends[:, 0] + (day / DAYS)[:, None] * (ends[:, 1] - ends[:, 0])
    return (rng.random((len(day), 1)) >= np.cumsum(shares, axis=1)[:, :-1]).sum(axis=1)


def _part(seed, part, n, first_user, first_order):
    """One part of the tables, and what it was made from (users are positions in the part)."""
    rng = np.random.Generator(np.random.PCG64([seed, part]))
    people = _people(n, rng)
    free_user, free_course, free_day, first_day = _free_enrolments_and_first_orders(people, rng)
    customers, orders = _purchases(first_day, rng)
    order, bought = _items(orders["user"], orders["cents"], rng)
    cents = _share_out(orders["cents"], order, _PRICE[bought])
    buyer = orders["user"][order]
    new = ~_repeated(buyer * len(COURSES) + bought)
    enrolments = _completions(
        people,
        np.concatenate([free_user, buyer[new]]),
        np.concatenate([free_course, bought[new]]),
        np.concatenate([free_day, orders["day"][order[new]]]),
        rng,
    )
    behaviour = _behaviour(people, enrolments, rng)
    event_user, event_course, event_day, event_type, dirt = _events(
        people, enrolments, behaviour, rng
    )
    deleted = rng.random(n) < DIRT["deleted_account"]

    ids = np.array([f"U{i:07d}" for i in range(first_user, first_user + n)], dtype=object)
    country = _missing(_CODES, people["country"], DIRT["no_country"], rng)
    source = _missing(_SOURCES, people["source"], DIRT["no_source"], rng)
    course = np.array([*COURSES["course_id"], None], dtype=object)
    first_day = _clock(np.where(behaviour["courses"], behaviour["begun"], people["signed_up"]))
    users = pd.DataFrame({
        "user_id": ids,
        "enrollment_date": first_day.astype("datetime64[D]").astype("datetime64[s]"),
        "total_courses_enrolled": behaviour["courses"],
        "total_revenue": np.bincount(buyer, weights=cents, minlength=n) / 100,
        "total_time_watched_minutes": np.round(behaviour["minutes"], 2),
        "video_completion_rate": np.round(behaviour["rate"], 2),
        "quiz_score_average": np.round(behaviour["quiz"], 2),
        "user_occupation": _missing(OCCUPATIONS, people["occupation"], DIRT["no_occupation"], rng),
        "user_age_group": _missing(AGE_GROUPS, people["age"], DIRT["no_age_group"], rng),
        "referral_channel": source,
        "user_country": country,
    })
    events = pd.DataFrame({
        "user_id": ids[event_user],
        "event_timestamp": _clock(event_day),
        "event_type": np.array(_EVENT_TYPES, dtype=object)[event_type],
        "course_id": course[event_course],
        "user_country": country[event_user],
        "referral_source": source[event_user],
    })

    by_day = np.argsort(orders["day"], kind="stable")
    number = np.empty(len(by_day), dtype=np.int64)  # order ids go up with time
    number[by_day] = np.arange(len(by_day))
    order_ids = np.array(
        [f"O{i:07d}" for i in range(first_order, first_order + len(by_day))], dtype=object
    )
    channel = _missing(
        SALES_CHANNELS, _sales_channel(orders["day"], rng), DIRT["no_sales_channel"], rng
    )
    rows = np.argsort(number[order], kind="stable")
    row = order[rows]
    items = pd.DataFrame({
        "order_id": order_ids[number[row]],
        "user_id": ids[orders["user"][row]],
        "course_id": course[bought[rows]],
        "order_timestamp": _clock(orders["day"])[row],
        "amount": cents[rows] / 100,
        "channel": channel[row],
    })
    tables = {"users": users[~deleted].reset_index(drop=True), "events": events, "orders": items}
    return tables, {
        "ids": ids, "deleted": deleted, "people": people, "customers": customers,
        "enrolments": enrolments, "dirt": {"deleted_account": int(deleted.sum()), **dirt},
        "orders": len(by_day),
    }


def _parts(seed, scale):
    count = math.ceil(scale)
    edges = [round(USERS * scale * part / count) for part in range(count + 1)]
    orders = 0
    for part in range(count):
        n = edges[part + 1] - edges[part]
        tables, latent = _part(seed, part, n, edges[part] + 1, orders + 1)
        orders += latent["orders"]
        if part == 0:
            tables["courses"] = COURSES[["course_id", "title", "category", "price"]]
        yield tables, latent


def parts(seed: int, scale: float) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield the tables in equal parts of at most the shipped size; `courses` comes with the first.

    Ids go on from part to part. Each part covers the whole window, its rows in the order of time.
    """
    for tables, _ in _parts(seed, scale):
        yield tables


def generate(seed: int = SEED, scale: float = 1) -> tuple[dict[str, pd.DataFrame], dict]:
    """The whole tables in memory, and the truth behind them.

    Args:
        seed: a whole number >= 0.
        scale: multiplies the number of users (22,000).

    Returns:
        Tables `users`, `events`, `courses`, `orders`; and the true parameters by name, those of
        this module in lower case, with these beside them (frames without deleted accounts):

        - `dirt_found`: how many rows each kind of dirt has made;
        - `courses`: the catalogue with popularity, median days, logit of completion;
        - `pairs`: the planted pairs `course_a` < `course_b` and the probability of their bundle;
        - `ladders`: `lower`, `upper`, `probability`;
        - `lift_of_other_pairs`: the lift, among orders, of a pair that is not planted;
        - `funnel`: by `source` and `country` (true ones, also where not recorded): `users`, the
          probability to ever enrol, and the expected numbers of users who enrol within the
          window and (given the enrolments) who complete a course within the window;
        - `enrolments`: `user_id`, `course_id`, `source`, `probability` of ever completing,
          `median_days` to completion, `days_left` to the end of the window, and
          `completed_by_end`, the probability of completing within these;
        - `people`: `user_id`, `cluster`;
        - `customers` (users with an order): `user_id`; latent `rate` (orders a week while
          active), `leave`, `mean_value`; `active` at the end of the window; and of the
          `FUTURE_DAYS` days after it the expected purchases and value given these four, and one
          draw of both (`future_purchases`, `future_value`).
    """
    made = list(_parts(seed, scale))
    tables = {
        name: pd.concat([part[name] for part, _ in made if name in part], ignore_index=True)
        for name in ("users", "events", "courses", "orders")
    }
    enrolments, people, customers = (
        pd.concat(frames, ignore_index=True)
        for frames in zip(*(_truth_of(seed, i, part) for i, (_, part) in enumerate(made)),
                          strict=True)
    )
    by_people, by_course = completion_logit()
    pairs = [
        (first, second, probability)
        for bundle, probability in BUNDLES.items()
        for i, first in enumerate(bundle) for second in bundle[i + 1:]
    ]
    parameters = {
        name.lower(): globals()[name] for name in (
            "START", "DAYS", "FUTURE_DAYS", "COUNTRIES", "REGION", "SOURCES", "ENROL_SOURCE",
            "ENROL_REGION", "ENROL_TOGETHER", "ENROL_COUNTRY", "ENROL_DELAY", "PAID_FIRST",
            "LATER_PAID", "PAID_DELAY", "FREE_AGAIN", "FREE_AGAIN_DELAY", "COMPLETE_SOURCE",
            "COMPLETE_REGION", "COMPLETE_TOGETHER", "DURATION_FACTOR", "DURATION_SIGMA", "BGNBD",
            "GAMMA_GAMMA", "BASKET", "SALES_CHANNELS", "OCCUPATIONS", "AGES", "CLUSTERS",
            "CLUSTER_SHARES", "DIRT",
        )
    }
    return tables, parameters | {
        "dirt_found": {
            kind: sum(latent["dirt"][kind] for _, latent in made) for kind in made[0][1]["dirt"]
        },
        "courses": COURSES.assign(logit=by_course.to_numpy()),
        "completion_logit": by_people,
        "enrol_probability": enrol_probability(),
        "pairs": pd.DataFrame(pairs, columns=["course_a", "course_b", "probability"]),
        "ladders": pd.DataFrame(
            [(*ladder, probability) for ladder, probability in LADDERS.items()],
            columns=["lower", "upper", "probability"],
        ),
        "lift_of_other_pairs": 1 - math.exp(-BASKET),
        "funnel": _funnel(people, enrolments),
        "enrolments": enrolments,
        "people": people[["user_id", "cluster"]],
        "customers": customers,
    }


def _truth_of(seed, part, latent):
    """Frames of a part's enrolments, people and customers; a stream of its own for the future."""
    people, kept = latent["people"], ~latent["deleted"]
    ids = latent["ids"]
    source = np.array(_SOURCES, dtype=object)[people["source"]]
    everybody = pd.DataFrame({
        "user_id": ids,
        "source": source,
        "country": np.array(_CODES, dtype=object)[people["country"]],
        "cluster": CLUSTERS.index.to_numpy()[people["cluster"]],
        "enrol_probability": _ENROL[people["source"], people["country"]],
        "days_left": DAYS - people["signed_up"],
    })[kept]
    made = latent["enrolments"]
    user, days_left = made["user"], DAYS - made["enrolled"]
    by_end = ndtr(np.log(days_left / made["median"]) / DURATION_SIGMA)
    enrolments = pd.DataFrame({
        "user_id": ids[user],
        "course_id": COURSES["course_id"].to_numpy()[made["course"]],
        "source": source[user],
        "probability": made["chance"],
        "median_days": made["median"],
        "days_left": days_left,
        "completed_by_end": made["chance"] * by_end,
    })[kept[user]]

    rng = np.random.Generator(np.random.PCG64([seed, part, 1]))
    customer, rate, leave, mean_value, active = (
        latent["customers"][name] for name in ("user", "rate", "leave", "mean_value", "active")
    )
    # The expectation given rate and leave (Fader, Hardie & Lee 2005).
    weeks = FUTURE_DAYS / 7
    expected = active * -np.expm1(-rate * leave * weeks) / leave
    alive = np.flatnonzero(active)
    who, _, _ = _repeat_orders(
        np.zeros(len(alive)), FUTURE_DAYS, rate[alive], leave[alive], rng
    )
    who = alive[who]
    value = gammaincinv(GAMMA_GAMMA["p"], _open(len(who), rng))
    value *= mean_value[who] / GAMMA_GAMMA["p"]
    customers = pd.DataFrame({
        "user_id": ids[customer],
        "rate": rate,
        "leave": leave,
        "mean_value": mean_value,
        "active": active,
        "expected_purchases": expected,
        "expected_value": expected * mean_value,
        "future_purchases": np.bincount(who, minlength=len(customer)),
        "future_value": np.round(np.bincount(who, weights=value, minlength=len(customer)), 2),
    })[kept[customer]]
    return enrolments, everybody, customers


def _funnel(people, enrolments):
    """Expected funnel by source and country."""
    median, sigma = ENROL_DELAY
    in_time = ndtr(np.log(people["days_left"] / median) / sigma)
    none = np.log1p(-enrolments["completed_by_end"]).groupby(enrolments["user_id"]).sum()
    none = people["user_id"].map(none).fillna(0)
    people = people.assign(
        enrol=people["enrol_probability"] * in_time, complete=-np.expm1(none)
    )
    return people.groupby(["source", "country"], as_index=False).agg(
        users=("user_id", "size"),
        enrol_probability=("enrol_probability", "first"),
        expected_enrolled=("enrol", "sum"),
        expected_completed=("complete", "sum"),
    )
