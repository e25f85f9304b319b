"""The claims of the Netflix churn report, and of the dashboard that it reads.

They rest on the reductions of the subscribers alone. Names of categories are the source's; in a
table they are found in small or large letters. A table that lacks one of them may have the same
thing under another name, so a claim that sets it apart from the others cannot be told of it.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from analysis.churn.reductions import Reductions, reduce
from analysis.claims import compare
from analysis.claims.claim import (
    Arithmetic,
    CannotTell,
    Cause,
    Counted,
    Difference,
    Direction,
    Equality,
    Printed,
    Source,
    Unseen,
    Verdict,
)
from analysis.stats.moments import Moments
from analysis.stats.several_means import together
from analysis.stats.two_proportions import Share

# The dashboard's counts.
SUBSCRIBERS, CHURNED = 3500, 397
POPULAR = {"Comedy": 733, "Sci-Fi": 704, "Action": 697}
LESS_POPULAR = {"Drama": 685, "Romance": 681}
REGIONS = {
    "Oceania": 607, "Europe": 604, "North America": 600, "Asia": 568, "South America": 561,
    "Africa": 560,
}
STAYED_WITH, STAYED_WITHOUT = 1982, 1121  # by whether an offer was used
CHURNED_WITH, CHURNED_WITHOUT = 172, 225

TV = 7.2  # what the report calls the engagement of Smart TV users

HOME, EMERGING = ("North America", "Europe"), ("Asia", "South America")
HANDHELD = ("Mobile", "Tablet")

NETFLIX = Source(
    study="netflix",
    name="Netflix",
    measure=lambda tables, study: study or reduce(tables.table("subscribers")),
)


def _rows(frame: pd.DataFrame, names: Iterable[str]) -> pd.Series:
    """Which rows of a frame hold one of these values."""
    return frame.value.str.casefold().isin([name.casefold() for name in names])


def _counts(s: Reductions, column: str, names: Iterable[str]) -> dict[str, int]:
    """Subscribers with each of these values, as far as the table has them."""
    frame = s.churn_by_category[column]
    found = {name: int(frame.subscribers[_rows(frame, [name])].sum()) for name in names}
    return {name: n for name, n in found.items() if n}


def _check_named(s: Reductions, column: str, names: Iterable[str]) -> None:
    """The table must have all of these values: one that it lacks may be there by another name."""
    found = _counts(s, column, names)
    if missing := [name for name in names if name not in found]:
        raise CannotTell(
            "the table has no {column} called {names}", column=column, names=" or ".join(missing))


def _check_churn(s: Reductions) -> None:
    """There must be both, subscribers who churned and subscribers who stayed."""
    if s.churned in (0, s.subscribers):
        raise CannotTell(
            f"{'everybody' if s.churned else 'nobody'} in the table has churned")


def _churn(s: Reductions, column: str, *names: str) -> tuple[Share, Share]:
    """Churned among the subscribers with these values of a column, and among all others."""
    _check_churn(s)
    _check_named(s, column, names)
    frame = s.churn_by_category[column]
    mine = _rows(frame, names)
    who = " or ".join(names)
    return (
        compare.share(frame.churned[mine].sum(), frame.subscribers[mine].sum(),
                      f"subscribers with {who}"),
        compare.share(frame.churned[~mine].sum(), frame.subscribers[~mine].sum(),
                      f"subscribers without {who}"),
    )


def _months(s: Reductions, first: float, last: float) -> Share:
    """Churned among the subscriptions of so many months, both ends included."""
    _check_churn(s)
    rows = s.months[s.months.month.between(first, last)]
    return compare.share(
        rows.churned.sum(), rows.subscribers.sum(), "subscriptions of the lengths to compare")


def _engagement(frame: pd.DataFrame, who: str) -> Moments:
    """Engagement of all subscribers in rows of `engagement_by_device`."""
    if frame.empty:
        raise CannotTell("the table has no {who}", who=who)
    rows = zip(frame.n, frame["mean"], frame.sd, strict=True)
    return together(*(Moments.published(int(n), mean, sd) for n, mean, sd in rows))


def _engagement_on(s: Reductions, *devices: str) -> tuple[Moments, Moments]:
    """Engagement of the subscribers on these devices, and of all others."""
    _check_named(s, "device", devices)
    frame, names = s.engagement_by_device, " or ".join(devices)
    mine = _rows(frame, devices)
    return (_engagement(frame[mine], f"subscribers on {names}"),
            _engagement(frame[~mine], f"subscribers on anything but {names}"))


def _by_churn(s: Reductions, column: str) -> tuple[Moments, Moments]:
    """A number over those who churned and those who stayed."""
    _check_churn(s)
    found = (s.numbers_by_churn[column, status] for status in ("Yes", "No"))
    churned, stayed = (Moments.published(f.n, f.mean, f.sd) for f in found)
    return churned, stayed


# Key metrics.


@NETFLIX.claim(Printed, "Total Customers: 3,500", where="sec-netflix-metrics")
def customers(s: Reductions) -> Printed:
    """The table holds that many subscribers."""
    return Printed(
        said="{n:subscriber}", values={"n": s.subscribers},
        numbers=((SUBSCRIBERS, 0, s.subscribers),))


@NETFLIX.claim(Printed, "Churned Customers: 397 (~11.3%)", where="sec-netflix-metrics")
def churned(s: Reductions) -> Printed:
    """That many have churned, and that share of all."""
    return Printed(
        said="{k} of {n:subscriber}, {rate:2%}",
        values={"k": s.churned, "n": s.subscribers, "rate": s.churn_rate.estimate},
        numbers=((CHURNED, 0, s.churned), (11.3, 1, 100 * s.churn_rate.estimate)))


def _mean(s: Reductions, column: str, printed: float, digits: int) -> Printed:
    mean = s.numbers[column].mean
    return Printed(said="a mean of {mean:2}", values={"mean": mean},
                   numbers=((printed, digits, mean),))


@NETFLIX.claim(Printed, "Average Satisfaction Score: 6.9/10", where="sec-netflix-metrics")
def satisfaction(s: Reductions) -> Printed:
    """The mean satisfaction score rounds to that."""
    return _mean(s, "satisfaction_score", 6.9, 1)


@NETFLIX.claim(Printed, "Average Queries per Customer: 5", where="sec-netflix-metrics")
def queries(s: Reductions) -> Printed:
    """The mean number of support queries rounds to that."""
    return _mean(s, "support_queries", 5, 0)


@NETFLIX.claim(Printed, "Average Profiles per Account: 3", where="sec-netflix-metrics")
def profiles(s: Reductions) -> Printed:
    """The mean number of profiles rounds to that."""
    return _mean(s, "profiles", 3, 0)


# Customer behaviour: genres.


def _printed_counts(s: Reductions, printed: dict[str, int]) -> Printed:
    """Evidence from the genres that the table has: one other count is enough to contradict."""
    found = _counts(s, "genre", printed)
    evidence = Printed(
        said=", ".join(f"{name} {{n{i}}}" for i, name in enumerate(found)),
        values={f"n{i}": n for i, n in enumerate(found.values())},
        numbers=tuple((printed[name], 0, n) for name, n in found.items()))
    if evidence.verdict(None) is Verdict.SUPPORTED:
        _check_named(s, "genre", printed)
    return evidence


@NETFLIX.claim(
    Printed, "Top 3 Preferred Genres: Comedy (733 users), Sci-Fi (704 users), Action (697 users)",
    where="sec-netflix-metrics")
def top_genres(s: Reductions) -> Printed:
    """That many subscribers prefer each."""
    return _printed_counts(s, POPULAR)


@NETFLIX.claim(
    Printed, "Less Popular Genres: Drama (685 users), Romance (681 users)",
    where="sec-netflix-metrics")
def last_genres(s: Reductions) -> Printed:
    """That many subscribers prefer each."""
    return _printed_counts(s, LESS_POPULAR)


@NETFLIX.claim(
    Difference, "Top 3 Preferred Genres … Less Popular Genres", where="sec-netflix-mix")
def genres_differ(s: Reductions) -> Difference:
    """Some genres are preferred by more subscribers than others, beyond what chance makes of equal
    popularity."""
    frame = s.churn_by_category["genre"]
    counts = dict(zip(frame.value, frame.subscribers, strict=True))
    return compare.unequal(
        counts, "from {least} to {most:subscriber} a genre; w, 0 for equal shares, is {effect:3}",
        least=int(frame.subscribers.min()), most=int(frame.subscribers.max()))


@NETFLIX.claim(
    Direction, "Netflix should focus on promoting high-performing genres",
    where="sec-netflix-mix", planted=True)
def genres_perform(s: Reductions) -> Direction:
    """Subscribers who prefer one of the top three genres churn less often than the others."""
    return compare.gap_of_shares(
        *_churn(s, "genre", *POPULAR),
        "{a:1%} have churned, of the others {b:1%}; difference {gap:points}",
        below=True)


@NETFLIX.claim(Unseen, "while improving content for lower-ranked ones")
def genres_improve(s: Reductions) -> Unseen:
    """More subscribers would prefer a genre if its titles were better."""
    return Unseen(said="the table does not say which titles there are, or what was thought of them")


# Customer behaviour: devices.


@NETFLIX.claim(
    Printed, "Highest Engagement: Smart TV users (7.2/10 engagement score)",
    where="sec-netflix-devices")
def tv_figure(s: Reductions) -> Printed:
    """The mean engagement of Smart TV users rounds to that."""
    return _printed_engagement(s, "Smart TV", TV)


def _printed_engagement(s: Reductions, device: str, printed: float) -> Printed:
    _check_named(s, "device", [device])
    frame = s.engagement_by_device
    mean = _engagement(frame[_rows(frame, [device])], f"subscribers on {device}").mean
    return Printed(said="a mean of {mean:2}", values={"mean": mean}, numbers=((printed, 1, mean),))


@NETFLIX.claim(
    Arithmetic, "Smart TV users (7.2/10 engagement score)", where="sec-netflix-devices")
def tv_dashboard(s: Reductions) -> Arithmetic:
    """The dashboard that the report reads prints the same."""
    dashboard = 7.02
    return Arithmetic(
        said="the dashboard says {dashboard:2}, not {printed:1}",
        values={"dashboard": dashboard, "printed": TV}, holds=round(dashboard, 1) == TV)


@NETFLIX.claim(Printed, "Laptop users (7.0/10)", where="sec-netflix-devices")
def laptop_figure(s: Reductions) -> Printed:
    """The mean engagement of laptop users rounds to that."""
    return _printed_engagement(s, "Laptop", 7.0)


@NETFLIX.claim(Direction, "Highest Engagement: Smart TV users", where="sec-netflix-devices")
def tv_highest(s: Reductions) -> Direction:
    """The mean engagement of Smart TV users lies above that of all other subscribers."""
    return compare.gap_of_means(
        *_engagement_on(s, "Smart TV"), "{a:2} against {b:2}; difference {gap:2}")


@NETFLIX.claim(
    Direction, "Mobile & Tablet users show lower engagement", where="sec-netflix-devices")
def handheld_lower(s: Reductions) -> Direction:
    """The mean engagement of mobile and tablet users lies below that of all other subscribers."""
    return compare.gap_of_means(
        *_engagement_on(s, *HANDHELD), "{a:2} against {b:2}; difference {gap:2}", below=True)


@NETFLIX.claim(
    Cause, "Optimizing the mobile and tablet experience may improve engagement",
    where="sec-netflix-devices")
def handheld_improve(s: Reductions) -> Cause:
    """Engagement on these devices would rise if they were easier to use."""
    found = handheld_lower(s)
    return Cause(
        said="nobody's device was chosen by lot, and the experience is in no column; users of the "
        "two devices differ from the others by {gap:2}", values=found.values)


# Customer behaviour: offers.


def _possible(
    rate: float, stayed: int, churned: int, who: str, of: str
) -> Arithmetic:
    """Whether a churn rate among so many leaves no more churned than there were."""
    would = round(rate * (stayed + churned))
    return Arithmetic(
        said="{rate:0%} of the {n} subscribers {who} an offer would be {would}, and {all} churned "
        "in all; the dashboard's {rate:0%} is the share of offer users among those who {of}",
        values={"rate": rate, "n": stayed + churned, "who": who, "would": would, "all": CHURNED,
                "of": of},
        holds=would <= CHURNED)


@NETFLIX.claim(
    Arithmetic, "Churn Rate for Customers Without Offers: 64%", where="sec-netflix-offers")
def rate_without(s: Reductions) -> Arithmetic:
    """So many of those without offers can have churned, by the dashboard's own counts."""
    return _possible(0.64, STAYED_WITHOUT, CHURNED_WITHOUT, "without", "stayed")


@NETFLIX.claim(Arithmetic, "Churn Rate for Customers With Offers: 43%", where="sec-netflix-offers")
def rate_with(s: Reductions) -> Arithmetic:
    """So many of those with offers can have churned, by the dashboard's own counts."""
    return _possible(0.43, STAYED_WITH, CHURNED_WITH, "with", "churned")


def _offers(s: Reductions) -> tuple[Share, Share]:
    """Churned among the subscribers who used an offer, and among those who did not."""
    frame = s.churn_by_category["promo_used"].set_index("value")
    if len(frame) < 2:
        raise CannotTell(f"{'everybody' if 'Yes' in frame.index else 'nobody'} has used an offer")
    used, unused = (Share(int(frame.churned[v]), int(frame.subscribers[v])) for v in ("Yes", "No"))
    return used, unused


@NETFLIX.claim(
    Printed, "Churn Rate for Customers Without Offers: 64% … Churn Rate for Customers With Offers: "
    "43%",
    where="sec-netflix-offers")
def offer_rates(s: Reductions) -> Printed:
    """Recomputed from the table, the two rates round to that."""
    used, unused = _offers(s)
    return Printed(
        said="{without:1%} without, {used:1%} with offers",
        values={"without": unused.value, "used": used.value},
        numbers=((64, 0, 100 * unused.value), (43, 0, 100 * used.value)))


@NETFLIX.claim(Direction, "Promotional offers reduce churn", where="sec-netflix-offers")
def offers_go_with_less(s: Reductions) -> Direction:
    """Subscribers who used an offer churn less often than those who did not."""
    _check_churn(s)
    return compare.gap_of_shares(
        *_offers(s),
        "{a:1%} have churned, of those without {b:1%}; difference {gap:points}", below=True)


@NETFLIX.claim(Cause, "Promotional offers reduce churn", where="sec-netflix-offers")
def offers_reduce(s: Reductions) -> Cause:
    """They churn less often because of the offer."""
    found = offers_go_with_less(s)
    return Cause(
        said="offers were not given by lot, and who stays longer has more time to use one; the "
        "churn rates differ by {gap:points}", values=found.values)


@NETFLIX.claim(Counted, "but are not enough alone", where="sec-netflix-offers")
def offers_not_enough(s: Reductions) -> Counted:
    """Of those who used an offer, some have churned all the same."""
    used, _ = _offers(s)
    return Counted(
        said="{k} of {n:subscriber} with an offer", values={"k": used.successes, "n": used.n},
        holds=used.successes > 0)


@NETFLIX.claim(Unseen, "other engagement strategies are needed")
def strategies_needed(s: Reductions) -> Unseen:
    """Other strategies would keep subscribers whom offers do not keep."""
    return Unseen(said="no other strategy is in the table")


# Customer behaviour: regions.


@NETFLIX.claim(
    Direction, "Most customers are from North America & Europe", where="sec-netflix-mix")
def most_from_home(s: Reductions) -> Direction:
    """More than half of the subscribers are from these two regions."""
    found = sum(_counts(s, "region", HOME).values())
    if 2 * found <= s.subscribers:  # more than half are so, whatever the others are called
        _check_named(s, "region", HOME)
    return compare.share_against(Share(found, s.subscribers), 0.5, "{share:1%}")


@NETFLIX.claim(
    Arithmetic, "Most customers are from North America & Europe", where="sec-netflix-mix")
def home_first(s: Reductions) -> Arithmetic:
    """By the dashboard's own counts they are more than half, or at least no other region has more
    than either."""
    largest, of_home = max(REGIONS, key=REGIONS.get), sum(REGIONS[name] for name in HOME)
    return Arithmetic(
        said="the two have {first} and {second}, together {share:0%}; {largest} has most, {n}",
        values={"largest": largest, "n": REGIONS[largest], "first": REGIONS[HOME[0]],
                "second": REGIONS[HOME[1]], "share": of_home / SUBSCRIBERS},
        holds=2 * of_home > SUBSCRIBERS or largest in HOME)


@NETFLIX.claim(
    Arithmetic, "Asia & South America have fewer users", where="sec-netflix-mix")
def emerging_below_home(s: Reductions) -> Arithmetic:
    """By the dashboard's own counts each has fewer than North America and than Europe."""
    most, least = max(REGIONS[name] for name in EMERGING), min(REGIONS[name] for name in HOME)
    return Arithmetic(
        said="at most {most}, against at least {least}", values={"most": most, "least": least},
        holds=most < least)


@NETFLIX.claim(Direction, "Asia & South America have fewer users", where="sec-netflix-mix")
def emerging_fewer(s: Reductions) -> Direction:
    """They have fewer subscribers than two regions would have if all had equally many."""
    regions = len(s.churn_by_category["region"])
    if regions <= len(EMERGING):
        raise CannotTell("the table has too few regions to compare")
    _check_named(s, "region", EMERGING)
    found = sum(_counts(s, "region", EMERGING).values())
    return compare.share_against(
        Share(found, s.subscribers), len(EMERGING) / regions,
        "{share:1%}, where {regions} equal regions would give {null:1%}", below=True,
        regions=regions)


@NETFLIX.claim(Unseen, "indicating potential growth opportunities", where="sec-netflix-mix")
def growth(s: Reductions) -> Unseen:
    """More people could be won in Asia and South America than elsewhere."""
    return Unseen(said="the table does not say how many people live there, or watch something else")


# Churn analysis.


@NETFLIX.claim(
    Direction, "Higher churn occurs within the first few months", where="sec-netflix-lengths")
def early_against_later(s: Reductions) -> Direction:
    """Of subscriptions of up to three months a larger share has churned than of all longer ones."""
    return compare.gap_of_shares(
        _months(s, 0, 3), _months(s, 4, float("inf")),
        "{a:1%} against {b:1%}; difference {gap:points}")


@NETFLIX.claim(
    Direction, "Higher churn occurs within the first few months", where="sec-netflix-lengths")
def early_against_first_year(s: Reductions) -> Direction:
    """Of subscriptions of up to three months a larger share has churned than of those of four to
    twelve."""
    return compare.gap_of_shares(
        _months(s, 0, 3), _months(s, 4, 12), "{a:1%} against {b:1%}; difference {gap:points}")


@NETFLIX.claim(
    Direction, "Retention improves after 12+ months", where="sec-netflix-lengths")
def after_a_year(s: Reductions) -> Direction:
    """Of subscriptions of more than twelve months a smaller share has churned than of others."""
    return compare.gap_of_shares(
        _months(s, 13, float("inf")), _months(s, 0, 12),
        "{a:1%} against {b:1%}; difference {gap:points}",
        below=True)


@NETFLIX.claim(
    Direction, "Retention improves after 12+ months", where="sec-netflix-lengths")
def at_a_year(s: Reductions) -> Direction:
    """It improves there: of subscriptions of thirteen to twenty-four months a smaller share has
    churned than of shorter ones."""
    return compare.gap_of_shares(
        _months(s, 13, 24), _months(s, 0, 12),
        "{a:1%} against {b:1%}; difference {gap:points}", below=True)


@NETFLIX.claim(
    Cause, "indicating long-term subscribers are more loyal", where="sec-netflix-lengths")
def loyal(s: Reductions) -> Cause:
    """People become more loyal the longer they subscribe."""
    return Cause(
        said="who leaves early never becomes a long-term subscriber, so those who are left churn "
        "less even if nobody changes; the table sees each subscriber once")


@NETFLIX.claim(
    Equality, "No significant correlation between customer age and support queries",
    where="sec-netflix-queries")
def age_and_queries(s: Reductions) -> Equality:
    """The correlation is too small to matter: between −0.1 and 0.1."""
    found = s.cross_moments["age", "support_queries"]
    return compare.unrelated(found.r, found.n, "a correlation of {r:3}")


@NETFLIX.claim(
    Counted, "Most age groups log between 60-80 queries", where="sec-netflix-queries")
def queries_by_age(s: Reductions) -> Counted:
    """More than half of the ages, by year, log 60 to 80 queries in all."""
    frame = s.queries_by_age
    logged, people = (int(column.between(60, 80).sum()) for column in (frame.queries, frame.n))
    return Counted(
        said="ages with so many queries: {logged} of {ages}; an age logs {least} to "
        "{most:query:queries}, and {people} of the {ages} have 60 to 80 subscribers",
        values={"logged": logged, "ages": len(frame), "least": int(frame.queries.min()),
                "most": int(frame.queries.max()), "people": people},
        holds=2 * logged > len(frame))


@NETFLIX.claim(
    Unseen, "the issues are likely related to billing, content discovery, or UI/UX rather than "
    "technical problems", where="sec-netflix-queries")
def issues(s: Reductions) -> Unseen:
    """Most queries are about billing, finding something to watch, or the interface."""
    return Unseen(said="the table counts queries and does not say what they were about")


# Recommendations, and the claims that they rest on.


@NETFLIX.claim(
    Direction, "Improve First 3 Months Experience", where="sec-netflix-lengths")
def churn_is_early(s: Reductions) -> Direction:
    """More than half of those who churned did so within three months."""
    _check_churn(s)
    early = int(s.months.churned[s.months.month <= 3].sum())
    return compare.share_against(
        Share(early, s.churned), 0.5, "{k} of {n}, {share:1%}", k=early, n=s.churned)


@NETFLIX.claim(
    Cause, "Reduce churn in early months by offering discounts & better onboarding",
    where="sec-netflix-offers")
def early_discounts(s: Reductions) -> Cause:
    """A discount in the first months keeps subscribers who would have left."""
    return Cause(
        said="the table does not say when an offer was used, and nobody was given one by lot")


@NETFLIX.claim(
    Direction, "Send personalized emails … to inactive users", where="sec-netflix-traits",
    planted=True)
def inactive_churn(s: Reductions) -> Direction:
    """Subscribers who churned watched less a day than those who stayed."""
    return compare.gap_of_means(
        *_by_churn(s, "daily_watch_hours"),
        "{a:2} against {b:2} hours a day; difference {gap:2}", below=True)


@NETFLIX.claim(
    Unseen, "Use AI-based recommendations for Comedy, Sci-Fi, and Action lovers")
def recommendations(s: Reductions) -> Unseen:
    """Subscribers who are recommended titles of their genre stay longer."""
    return Unseen(said="the table does not say what was recommended to whom")


@NETFLIX.claim(
    Direction, "Provide discounts after 12 months for long-term retention",
    where="sec-netflix-lengths")
def churn_is_late(s: Reductions) -> Direction:
    """More than half of those who churned had subscribed for more than twelve months, so that a
    discount from then on could have reached them."""
    _check_churn(s)
    late = int(s.months.churned[s.months.month > 12].sum())
    return compare.share_against(
        Share(late, s.churned), 0.5, "{k} of {n}, {share:1%}", k=late, n=s.churned)


@NETFLIX.claim(
    Direction, "Optimize Mobile & Tablet UI", where="sec-netflix-traits", planted=True)
def handheld_churn(s: Reductions) -> Direction:
    """Users of mobiles and tablets churn more often than the others."""
    return compare.gap_of_shares(
        *_churn(s, "device", *HANDHELD),
        "{a:1%} have churned, of the others {b:1%}; difference {gap:points}")


@NETFLIX.claim(
    Direction, "Enhance Customer Support", where="sec-netflix-traits", planted=True)
def queries_and_churn(s: Reductions) -> Direction:
    """Subscribers who churned had logged more support queries than those who stayed."""
    return compare.gap_of_means(
        *_by_churn(s, "support_queries"), "{a:2} against {b:2} queries; difference {gap:2}")


@NETFLIX.claim(Unseen, "Introduce AI-driven chatbots for faster query resolution")
def chatbots(s: Reductions) -> Unseen:
    """Queries would be resolved faster with a chatbot."""
    return Unseen(said="the table does not say how long a query took, or who answered it")


@NETFLIX.claim(
    Direction, "accounts with 3+ profiles show better retention", where="sec-netflix-traits",
    planted=True)
def many_profiles(s: Reductions) -> Direction:
    """Accounts with three or more profiles churn less often than those with fewer."""
    _check_churn(s)
    frame = s.churn_by_number["profiles"]
    if (frame.from_value.lt(3) & frame.to_value.ge(3)).any():
        raise CannotTell("accounts of two and of three profiles are in one group")
    many = frame.from_value >= 3
    return compare.gap_of_shares(
        compare.share(frame.churned[many].sum(), frame.subscribers[many].sum(),
                      "accounts with three or more profiles"),
        compare.share(frame.churned[~many].sum(), frame.subscribers[~many].sum(),
                      "accounts with fewer than three profiles"),
        "{a:1%} have churned, of the others {b:1%}; difference {gap:points}", below=True)


@NETFLIX.claim(Cause, "Promote family/group plans", where="sec-netflix-traits")
def family_plans(s: Reductions) -> Cause:
    """Subscribers who are brought to add profiles stay longer."""
    found = many_profiles(s)
    return Cause(
        said="who lives with others adds profiles, and no plan for families is in the table; the "
        "churn rates differ by {gap:points}", values=found.values)


@NETFLIX.claim(
    Arithmetic, "Focus on Emerging Markets: … Asia & South America", where="sec-netflix-mix")
def emerging_smallest(s: Reductions) -> Arithmetic:
    """By the dashboard's own counts no other region has fewer subscribers than either."""
    smallest = min(REGIONS, key=REGIONS.get)
    return Arithmetic(
        said="{smallest} has fewest, {n}; the two have {first} and {second}",
        values={"smallest": smallest, "n": REGIONS[smallest], "first": REGIONS[EMERGING[0]],
                "second": REGIONS[EMERGING[1]]},
        holds=smallest in EMERGING)


@NETFLIX.claim(
    Direction, "Localized content and pricing strategies for Asia & South America",
    where="sec-netflix-traits", planted=True)
def emerging_churn(s: Reductions) -> Direction:
    """Subscribers from Asia and South America churn more often than the others."""
    return compare.gap_of_shares(
        *_churn(s, "region", *EMERGING),
        "{a:1%} have churned, of the others {b:1%}; difference {gap:points}")


@NETFLIX.claim(
    Difference, "Offer custom pricing & bundled plans for different markets",
    where="sec-netflix-traits", planted=True)
def regions_differ(s: Reductions) -> Difference:
    """Churn differs between regions."""
    _check_churn(s)
    frame = s.churn_by_category["region"].set_index("value")
    table = pd.DataFrame({"yes": frame.churned, "no": frame.subscribers - frame.churned})
    return compare.related(
        table, "from {least:1%} to {most:1%}; V, 0 without any relation, is {effect:3}",
        least=float(frame.rate.min()), most=float(frame.rate.max()))


@NETFLIX.claim(Unseen, "Promote Comedy, Sci-Fi, and Action genres through social media ads")
def genre_ads(s: Reductions) -> Unseen:
    """Advertisements for these genres win more subscribers than others."""
    return Unseen(said="the table does not say how subscribers were won")


@NETFLIX.claim(
    Direction, "Improve customer retention with engagement-based strategies",
    where="sec-netflix-traits", planted=True)
def engagement_and_churn(s: Reductions) -> Direction:
    """Subscribers who churned were less engaged than those who stayed."""
    return compare.gap_of_means(
        *_by_churn(s, "engagement_rate"), "{a:2} against {b:2}; difference {gap:2}", below=True)
