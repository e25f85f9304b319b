"""The source's recommendations, kept, changed or dropped, and what it did not think of."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.churn import Study
from analysis.churn.lengths import EARLY, TWO_YEARS, YEAR
from analysis.churn.offers import FACTORS, PAYMENT
from analysis.churn.recommendations import HEADINGS, MANY_PROFILES, STEPS, Verdict
from analysis.report.churn import labels, plans
from analysis.report.text import (
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    p_value,
    percent,
    percents,
)

# The source's words, in brief; more than one where they rest on the same evidence.
ADVICE = {
    "first_months": "A better first quarter: longer trials, a discount for three months, weekly reminders",
    "genres": "Recommendations and advertisements for the three largest genres",
    "after_year": "Discounts and exclusive content after twelve months",
    "inactive": "E-mails with recommendations to inactive users",
    "devices": "A better app on mobile and tablet",
    "support": "Chatbots, for faster answers to queries",
    "profiles": "Family and group plans, since accounts with three profiles or more stay",
    "markets": "Content, prices and bundles of their own for regions with fewer users",
    "test": "Next: A/B tests of new offers",
    "watch": "Next: watch churn for a quarter",
    "feedback": "Next: ask customers about the mobile app",
    "offers": "A finding of the report: promotional offers reduce churn",
}
VERDICTS = {
    Verdict.KEEP: "Keep", Verdict.CHANGE: "Change", Verdict.DROP: "Drop",
    Verdict.OPEN: "Can’t be judged",
}


def _untold(s: Study) -> str:
    """Why a recommendation can't be judged."""
    if s.churned == 0:
        return "Nobody in the table has churned, so there is no churn to prevent."
    if s.churned == s.subscribers:
        return "Everybody in the table has churned, so it does not show what stayers do otherwise."
    return "The subscribers are too few, or too much alike, to compare them."


def _second(row: pd.Series) -> str:
    """The second rate of a comparison against the first, and what is known of their difference."""
    return (
        f"{percent(row['rate_b'])} against {percent(row['rate_a'])}, difference "
        f"{number(-100 * row['difference'], 1)} points, 95% interval "
        f"{interval(-100 * row['high'], -100 * row['low'])}; corrected {p_value(row['p_adjusted'])}"
    )


def _first_months(s: Study, reason: str) -> str:
    row = s.lengths.comparisons.loc["early_less_two_years"]
    first = (
        f"Of those in their first {EARLY} months {percent(row['rate_a'])} have churned, of those in "
        f"months {EARLY + 1} to {TWO_YEARS} {percent(row['rate_b'])} (difference "
        f"{number(100 * row['difference'], 1)} points, 95% interval "
        f"{interval(100 * row['low'], 100 * row['high'])}; corrected {p_value(row['p_adjusted'])})"
    )
    return {
        "higher": f"{first}: the first months are where to try it.",
        "lower": f"{first}: the first months are the last place to begin.",
        "ends": f"{first}: that the first months are worse is not shown. What is shown is that churn ends with month {number(s.plans.last_month)}: whatever is tried, try it over all months up to then (@sec-netflix-lengths).",
        "alike": f"{first}: that the first months are worse is not shown (@sec-netflix-lengths).",
    }[reason]


def _after_year(s: Study, reason: str) -> str:
    if reason in ("ends", "ended"):
        tail = s.lengths.tail
        none = (
            f"After month {number(tail.month)} none of the {count(tail.subscribers, 'subscriber')} has "
            "churned, far from what chance would leave"
        )
        return (
            f"{none}: a reward for staying after a year should end with that month, or it is paid to people who were not going to leave (@sec-netflix-lengths)."
            if reason == "ends" else
            f"{none}, and that is within the first year: a reward after a year is paid to people who were not going to leave."
        )
    row = s.lengths.comparisons.loc["first_year_less_later"]
    said = _second(row)
    left = f"{number(row['churned_b'])} of {count(int(row['subscribers_b']), 'subscriber')} of more than {YEAR} months {'has' if row['churned_b'] == 1 else 'have'} churned"
    return {
        "none": f"Of the {count(int(row['subscribers_b']), 'subscriber')} of more than {YEAR} months nobody has churned: that there is churn to prevent by then is not shown.",
        "lower": f"{left}, so there is something to prevent; but churn is lower than in the first {YEAR} months ({said}): begin the reward earlier, where more leave.",
        "higher": f"{left}, more than in the first {YEAR} months ({said}): there is something to prevent.",
        "alike": f"{left}, so there is something to prevent; that it is more or less than in the first {YEAR} months is not shown ({said}).",
    }[reason]


def _by_trait(s: Study, trait: str, reason: str, aim: str) -> str:
    row = s.traits.tests.loc[trait]
    said = f"V = {number(row['v'], 2)}, 95% interval {interval(row['v_low'], row['v_high'], 2)}, corrected {p_value(row['p_adjusted'])}"
    if reason == "differs":
        group = s.traits.groups.loc[(trait, row["highest"])]
        return (
            f"Churn differs by {labels.trait(trait)} ({said}), but size is not need: aim at where it is highest, "
            f"{_group(trait, row['highest'], group)} ({percent(group['rate'])}), whatever its number of subscribers."
        )
    open_ = row["left_open"]
    bound = f"; no group can lie further than {number(100 * open_, 1)} points from the others" if np.isfinite(open_) else ""
    return f"Churn is not shown to differ by {labels.trait(trait)} ({said}){bound}. {aim}"


def _group(trait: str, name: str, row: pd.Series) -> str:
    return labels.value(trait, name) if not np.isfinite(row["from_value"]) else labels.group(
        trait, row["from_value"], row["to_value"])


def _genres(s: Study, reason: str) -> str:
    known = "genre" in s.mix.tests.index
    row = s.mix.tests.loc["genre"] if known else None
    ranked = (
        f"Nor do the genres differ in size as a ranking suggests: of {count(int(row['pairs']), 'pair')} of genres, "
        f"{number(row['pairs_shown']) if row['pairs_shown'] else 'none'} {'is' if row['pairs_shown'] < 2 else 'are'} shown to differ (@sec-netflix-mix)."
        if known and np.isfinite(row["pairs"]) and row["pairs_shown"] < row["pairs"] else
        "And that a genre is preferred by many does not say that it keeps anybody."
    )
    return _by_trait(s, "genre", reason, ranked)


def _markets(s: Study, reason: str) -> str:
    return _by_trait(
        s, "region", reason,
        "How many could be won in a region depends on people and prices that no table of present subscribers holds (@sec-netflix-mix).")


def _inactive(s: Study, reason: str) -> str:
    rows = s.traits.direction.reindex(
        [c for c in ("daily_watch_hours", "engagement_rate") if c in s.traits.direction.index])
    told = listing(
        f"{percent(row['superiority'])} by {labels.trait(trait)} (95% interval {percents(row['superiority_low'], row['superiority_high'])}, corrected {p_value(row['p_adjusted'])})"
        for trait, row in rows.iterrows())
    chance = f"The chance that of two subscribers the one who left was the more active, which is 50% if activity tells nothing, is {told}"
    return {
        "lower": f"{chance}: those who are less active do leave more, so they are the ones to write to, in a test.",
        "higher": f"{chance}: it is not the inactive who leave.",
        "mixed": f"{chance}: the two contradict each other, so that the inactive leave more is not shown.",
        "alike": f"{chance}: that the inactive leave more is not shown.",
    }[reason]


def _devices(s: Study, reason: str) -> str:
    pairs = s.devices.pairs
    widest = pairs.loc[pairs["difference"].abs().idxmax()]
    said = (
        f"The largest difference of mean engagement between two devices is {number(widest['difference'], 2)} points "
        f"(95% interval {interval(widest['wide_low'], widest['wide_high'], 2)}, for all pairs)"
    )
    equal = bool((pairs["finding"] == "equivalent").all())
    return {
        "unnamed": "No device of those compared is called mobile or tablet, as the source has it, so whether these lie behind cannot be told (@sec-netflix-devices).",
        "lower": f"{said}, and these devices do lie behind: a reason to ask why, before rebuilding anything (@sec-netflix-devices).",
        "higher": f"{said}, and users of mobile or tablet are shown to engage more than those of another device, not less (@sec-netflix-devices).",
        "churn": f"{said}, and that mobile or tablet lie behind is not shown; but churn differs by device (@sec-netflix-traits): begin where it is highest.",
        "alike": f"{said}: " + (
            f"all devices are shown to be equal to within {number(s.devices.margin, 1)} points, and churn is not shown to differ by device either (@sec-netflix-devices)."
            if equal else
            "that mobile or tablet lie behind is not shown, and neither is it that churn differs by device (@sec-netflix-devices)."),
    }[reason]


def _support(s: Study, reason: str) -> str:
    row = s.traits.direction.loc["support_queries"]
    said = (
        f"The chance that of two subscribers the one who left had more queries is {percent(row['superiority'])} "
        f"(95% interval {percents(row['superiority_low'], row['superiority_high'])}, corrected {p_value(row['p_adjusted'])})"
    )
    return {
        "more": f"{said}: more queries go with more churn, so better answers are worth a test.",
        "fewer": f"{said}: those who ask leave less, not more.",
        "alike": f"{said}: that queries go with leaving is not shown, and the table does not say what they were about or how fast they were answered, which a survey would (@sec-netflix-next-survey).",
    }[reason]


def _profiles(s: Study, reason: str) -> str:
    test = s.recommendations.profiles
    low = percent(_rate(s, many=True))
    said = (
        f"Of accounts with {MANY_PROFILES} profiles or more {low} have churned, of the others {percent(_rate(s, many=False))} "
        f"(odds ratio {number(test.estimate, 2)}, 95% interval {interval(test.interval.low, test.interval.high, 2)}; {p_value(test.p_value)})"
    )
    return {
        "lower": f"{said}. They do stay more; whether a plan would make others do so is for a test.",
        "higher": f"{said}: they leave more, not less.",
        "alike": f"{said}: that they stay more is not shown.",
    }[reason]


def _rate(s: Study, many: bool) -> float:
    frame = s.churn_by_number["profiles"]
    part = frame[(frame["from_value"] >= MANY_PROFILES) == many]
    return part["churned"].sum() / part["subscribers"].sum()


def _offers(s: Study, reason: str) -> str:
    row = s.offers.effects.loc["promo_used"]
    said = (
        f"Of those who have used an offer {percent(row['exposed_rate'])} have churned, of the others {percent(row['others_rate'])} "
        f"(difference {number(100 * row['difference'], 1)} points, 95% interval {interval(100 * row['difference_low'], 100 * row['difference_high'])}; corrected {p_value(row['p_adjusted'])})"
    )
    return {
        "fewer": f"{said}. Who takes an offer may have been going to stay, so: keep, as a randomised test (@sec-netflix-next-test).",
        "more": f"{said}: offers go with more churn, not less. Stop giving them to everybody, and find out by a randomised test what they do.",
        "open": f"{said}: that offers go with less churn is not shown. Test before giving more of them.",
    }[reason]


def _test(s: Study, reason: str) -> str:
    return plans.no_plan(s) if reason == "gone" else plans.answer(s)


def _watch(s: Study, reason: str) -> str:
    if reason == "gone":
        return plans.no_plan(s)
    return (
        "With control limits, so that chance is not explained. The table does not say how many leave in a month; if lengths are lifetimes, "
        f"{plans.within(s)} without meaning anything (@sec-netflix-next-chart).")


def _feedback(_s: Study, reason: str) -> str:
    whom = (
        "Ask a random sample of all users, not only those on mobile" if reason == "everybody" else
        "Ask users of the devices that are shown to lie behind, and a random sample of the others to compare them with")
    return (
        f"{whom}, and about what the table lacks: what queries were about, where "
        "trouble came, whether leaving was thought of (@sec-netflix-next-survey)."
    )


WHY = {
    "first_months": _first_months, "genres": _genres, "after_year": _after_year,
    "inactive": _inactive, "devices": _devices, "support": _support, "profiles": _profiles,
    "markets": _markets, "offers": _offers, "test": _test, "watch": _watch, "feedback": _feedback,
}


def why(s: Study, advice: str) -> Prose:
    """The reason for a verdict, from the results."""
    reason = s.recommendations.judged.loc[advice, "reason"]
    return Prose(_untold(s) if reason == "untold" else WHY[advice](s, reason))


def judged(s: Study) -> Prose:
    """Every recommendation of the source with its verdict and reason, as a list."""
    return Prose("\n".join(
        f"- **{ADVICE[advice]}.** *{VERDICTS[row['verdict']]}.* {why(s, advice)}"
        for advice, row in s.recommendations.judged.iterrows()))


def verdicts(s: Study) -> Prose:
    """How many of the source's headings are kept, changed and dropped."""
    rows = s.recommendations.judged["verdict"]
    headings = pd.Series({advice: HEADINGS.get(advice, 1) for advice in rows.index})
    found = headings.groupby(rows).sum()
    words = {Verdict.KEEP: "kept", Verdict.CHANGE: "changed", Verdict.DROP: "dropped",
             Verdict.OPEN: "left open, since the table can’t judge"}
    told = listing(
        f"{number(found[v])} {'is' if found[v] == 1 else 'are'} {word}"
        for v, word in words.items() if found.get(v, 0))
    return Prose(
        f"Of the source’s {number(headings.drop(list(STEPS)).sum())} recommendations and {number(len(STEPS))} next steps {told}.")


def _matter(s: Study) -> bool:
    """Whether any trait is found to go with churn: by the model or, without one, alone."""
    return bool(s.model.fit.drivers if s.model.fit else s.traits.tests["found"].any())


def _where(s: Study) -> str:
    """The section that shows which traits go with churn."""
    return "@sec-netflix-model" if s.model.fit else "@sec-netflix-traits"


def _behind(s: Study, trait: str) -> str:
    """What to find the cause of, where a trait goes with churn."""
    late = FACTORS[PAYMENT][0]
    if trait == PAYMENT and trait in s.traits.tests.index and s.traits.tests.loc[trait, "highest"] == late:
        return "late payment"
    return f"the differences by {labels.trait(trait)}"


def unaddressed(s: Study) -> Prose:
    """What goes with churn and has no recommendation."""
    names = s.recommendations.unaddressed
    if not 0 < s.churned < s.subscribers:
        return Prose(_untold(s))
    if not names:
        return Prose(
            "Of every trait that is found to go with churn, some recommendation speaks." if _matter(s) else
            "No trait is found to go with churn, so there is none that the recommendations leave out.")
    first = names[0]
    lead = f"No recommendation speaks of {listing(map(labels.trait, names), 'or')}, though the evidence does ({_where(s)})."
    if first not in s.traits.tests.index:
        return Prose(lead)
    row = s.traits.tests.loc[first]
    high, low = (s.traits.groups.loc[(first, row[end])] for end in ("highest", "lowest"))
    return Prose(
        f"{lead} By {labels.trait(first)}, churn runs from {percent(low['rate'])} ({_group(first, row['lowest'], low)}) "
        f"to {percent(high['rate'])} ({_group(first, row['highest'], high)}): that is where to look for a cause and to try a remedy."
    )


def own(s: Study) -> Prose:
    """What to do instead, in order."""
    if not 0 < s.churned < s.subscribers:
        return Prose(f"- {_untold(s)}")
    parts = []
    names = s.recommendations.unaddressed
    if names:
        parts.append(
            f"**Begin with {labels.trait(names[0])}.** It goes with churn, and no recommendation speaks of it ({_where(s)}). "
            f"Find out what lies behind {_behind(s, names[0])}, whether it comes before the wish to leave or after, and test a remedy on those concerned.")
    if s.retention is not None and s.retention.policies.loc["model", "net_low"] > 0:
        r = s.retention
        called, here = int(r.policies.loc["model", "called"]), r.still_here
        parts.append(
            f"**Call by risk.** At the costs assumed in @sec-netflix-retention a call pays from a risk of {percent(r.break_even, 0)}. The rule names "
            f"{count(called, 'subscriber')} of {number(r.subscribers)}; {'nobody' if here == 0 else number(here)} of them {'is' if here < 2 else 'are'} still there to be called, "
            "and whoever comes to that risk later is to be called before leaving.")
    if len(s.plans.sizes):
        parts.append(f"**Test offers before giving them to everybody.** {plans.answer(s)}")
    parts.append("**Write down when.** The table holds no dates: with the day of joining and of leaving in it, churn a month could be told, and most open questions of this chapter with it (@sec-netflix-lengths).")
    return Prose("\n".join(f"{place}. {part}" for place, part in enumerate(parts, 1)))


def answer(s: Study) -> Prose:
    """The verdicts in a sentence."""
    text = f"{verdicts(s)}"
    names = s.recommendations.unaddressed
    if names and 0 < s.churned < s.subscribers:
        text += f" {capital(labels.trait(names[0]))}, which goes with churn, is mentioned in none of them."
    return Prose(text)
