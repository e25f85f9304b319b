"""What two sections ask in different ways, and how their answers go together."""

from __future__ import annotations

from analysis.mooc import Study
from analysis.mooc.audience import MARGIN, REVENUE
from analysis.mooc.funnels import ALPHA, COUNTRY, STAGES
from analysis.mooc.reduce import MISSING
from analysis.report.mooc import labels
from analysis.report.text import NBSP, Prose, count, escape, interval, listing, number, p_value
from analysis.stats.decision import Finding

CHANNEL = "referral_channel"


def source_or_channel(s: Study) -> Prose:
    """Whether the sources of the events are the channels of the users."""
    sources = s.funnel.by_source[STAGES[0]]
    channels = s.channels.referrals["users"]
    sources, channels = (
        part[part > 0].drop(MISSING, errors="ignore") for part in (sources, channels))
    if sources.empty:
        return Prose("Here no source is known.")
    channel = "the referral channel of @sec-mooc-channels-referral"
    if sources.to_dict() == channels.to_dict():
        return Prose(
            f"Here it is {channel} by another name: each has as many users in the events as in the "
            "table of users.")
    return Prose(f"It need not be {channel}: here the events and the table of users count other users by them.")


def completion_by_country(s: Study) -> Prose:
    """Why countries are shown to differ in completion in one section only; empty where they agree."""
    found, tests = s.geography.completion, s.funnel.homogeneity
    if found is None or (COUNTRY, "completed") not in tests.index:
        return Prose("")
    test, p = tests.loc[(COUNTRY, "completed")], float(s.geography.spreads.p_adjusted["completion"])
    if (p <= ALPHA) == (test["p_adjusted"] <= ALPHA):
        return Prose("")
    prior, countries = found.prior, count(len(found.countries), "country", "countries")
    alone = f"it tests a single number of {countries}"
    if test["groups"] < len(found.countries):
        alone = (
            f"each of {countries} stands for itself, where here the small ones stand together in one of "
            f"{number(test['groups'])} groups, and a single number is tested")
    return Prose(
        f"@sec-mooc-geography-more asks the same otherwise, and there it is {'' if p <= ALPHA else 'not '}"
        f"shown (corrected {p_value(p)}): {alone}, the spread of the true shares, where χ² looks for "
        "differences of any kind. Near the border of what can be shown two such tests may well part; "
        "what counts is the size, a standard deviation between countries of "
        f"{number(100 * prior.spread, 1)}{NBSP}percentage points (95% interval "
        f"{interval(100 * prior.spread_low, 100 * prior.spread_high)})."
    )


def value_by_channel(s: Study) -> Prose:
    """Channels whose users are shown to be worth more or less, but too little to act on."""
    d, frame, c = s.channels.differences, s.channels.referrals, s.audience.comparisons
    if d.user_p is None or d.user_p > ALPHA:
        return Prose("")
    finding = c["adjusted_finding"].where(c["adjusted_finding"].notna(), c["finding"])
    small = [
        channel for channel in frame.index[frame["user_p"] <= ALPHA]
        if finding.get((CHANNEL, channel, REVENUE)) == Finding.EQUIVALENT.value
    ]
    if not small:
        return Prose("")
    names = listing(escape(labels.group(channel)) for channel in small)
    one = len(small) == 1
    return Prose(
        f"The {'difference' if one else 'differences'} of {names} {'is' if one else 'are'} shown to be "
        f"there, and shown in @sec-mooc-alike to lie within {number(MARGIN, 1)} standard deviations, "
        f"{number(s.audience.measures.loc[REVENUE, 'margin'], 1)} a user: too small to act on."
    )
