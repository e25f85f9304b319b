"""What the source recommends, judged by the evidence of the chapter's other parts.

Every recommendation rests on something that the table can support or not: that churn is highest in
the first months, that some genres keep subscribers, that some devices engage less. Each is looked
up where it was tested, with that part's correction for many tests, and what is found (`Evidence`)
decides alone what becomes of the recommendation (`RULE`). No table of this kind shows what a
measure would do, so what is kept is kept as something to try, not as something that works.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from analysis.churn.devices import Devices
from analysis.churn.lengths import YEAR, Lengths
from analysis.churn.model import Model
from analysis.churn.offers import Offers
from analysis.churn.plans import Plans
from analysis.churn.reductions import Reductions
from analysis.churn.traits import Traits
from analysis.stats import two_proportions
from analysis.stats.decision import Finding
from analysis.stats.results import TestResult
from analysis.stats.two_proportions import Share

ALPHA = 0.05
MANY_PROFILES = 3  # "accounts with 3+ profiles"
LOWER_DEVICES = ("mobile", "tablet")  # on which the source sees less engagement
# Of which traits the source's recommendations speak.
ADDRESSED = (
    "subscription_months", "genre", "device", "support_queries", "profiles", "region", "promo_used",
    "daily_watch_hours", "engagement_rate",
)


# How many of the source's headings a line judges, where it is not one: those that rest on the same
# evidence stand together, and one line is about a finding that is no advice of the source's.
HEADINGS = {"genres": 2, "markets": 2, "offers": 0}
STEPS = ("test", "watch", "feedback")  # what the source would do next


class Verdict(StrEnum):
    """What becomes of a recommendation."""

    KEEP = "keep"
    CHANGE = "change"
    DROP = "drop"
    OPEN = "can’t be judged"


class Evidence(StrEnum):
    """What is found of that on which a recommendation rests."""

    SHOWN = "shown"
    ELSEWHERE = "shown elsewhere"  # not as the source has it; the same tests show where it is
    CONTRARY = "the contrary is shown"
    NOT_SHOWN = "not shown"
    NOT_NEEDED = "not needed"  # to find something out is right whatever is found
    UNTOLD = "untold"  # nothing can be compared


RULE = {
    Evidence.SHOWN: Verdict.KEEP, Evidence.ELSEWHERE: Verdict.CHANGE,
    Evidence.CONTRARY: Verdict.DROP, Evidence.NOT_SHOWN: Verdict.DROP,
    Evidence.NOT_NEEDED: Verdict.KEEP, Evidence.UNTOLD: Verdict.OPEN,
}
# What was found, and a word that tells why (see the functions of this module).
Judgement = tuple[Evidence, str]
UNTOLD: Judgement = (Evidence.UNTOLD, "untold")


@dataclass(frozen=True)
class Recommendations:
    """The source's recommendations, judged.

    Attributes:
        judged: Index `advice`, in the source's order; `verdict`, by `RULE`, and `reason`, a word
            that names what led to it (see the functions of this module).
        profiles: Churn of accounts with `MANY_PROFILES` profiles or more (a) against others (b);
            None where either is empty, or nobody or everybody churned.
        unaddressed: Traits that go with churn and of which no recommendation speaks, strongest
            first.
    """

    judged: pd.DataFrame
    profiles: TestResult | None
    unaddressed: tuple[str, ...]


def recommendations(
    base: Reductions, traits: Traits, lengths: Lengths, devices: Devices, offers: Offers,
    model: Model, plans: Plans,
) -> Recommendations:
    """Judges every recommendation of the source."""
    profiles = many_profiles(base)
    by_device = _devices(devices, traits)
    found = {
        "first_months": _first_months(lengths),
        "genres": _by_trait(traits, "genre"),
        "after_year": _after_year(lengths),
        "inactive": _by_direction(
            traits, ("daily_watch_hours", "engagement_rate"), more="higher", fewer="lower"),
        "devices": by_device,
        "support": _by_direction(traits, ("support_queries",), more="more", fewer="fewer"),
        "profiles": _profiles(profiles),
        "markets": _by_trait(traits, "region"),
        "test": _step(plans),
        "watch": _step(plans),
        "feedback": (
            (Evidence.NOT_NEEDED, "behind") if by_device[1] == "lower" else
            (Evidence.ELSEWHERE, "everybody")),
        "offers": _offers(offers) if 0 < base.churned < base.subscribers else UNTOLD,
    }
    judged = {advice: (RULE[evidence], reason) for advice, (evidence, reason) in found.items()}
    frame = pd.DataFrame.from_dict(judged, orient="index", columns=["verdict", "reason"])
    matters = model.fit.drivers if model.fit else traits.tests.index[traits.tests["found"]]
    return Recommendations(
        judged=frame.rename_axis("advice"),
        profiles=profiles,
        unaddressed=tuple(trait for trait in matters if trait not in ADDRESSED),
    )


def _first_months(lengths: Lengths) -> Judgement:
    """Rests on churn that is higher in the first months than in the rest of two years.

    Reasons: "higher", "lower", "ends" (not shown to differ, but the same table shows when
    subscribers leave: up to a month, and not later), "alike" (not shown to differ), "untold".
    """
    if _alike(lengths) or "early_less_two_years" not in lengths.comparisons.index:
        return UNTOLD
    alike = (Evidence.ELSEWHERE, "ends") if _ends(lengths) else (Evidence.NOT_SHOWN, "alike")
    return {
        Finding.HIGHER: (Evidence.SHOWN, "higher"), Finding.LOWER: (Evidence.CONTRARY, "lower"),
    }.get(lengths.comparisons.loc["early_less_two_years", "finding"], alike)


def _alike(lengths: Lengths) -> bool:
    """Whether nobody has churned, or everybody."""
    return lengths.churned in (0, lengths.subscribers)


def _ends(lengths: Lengths) -> bool:
    """Whether it is shown that from some month on nobody leaves."""
    return lengths.tail is not None and 10**lengths.tail.log10_p <= ALPHA


def _after_year(lengths: Lengths) -> Judgement:
    """Rests on subscribers who leave after a year.

    Reasons: "ended" (nobody leaves any more from a month within the first year on), "ends" (from
    a later one on), "none" (nobody has left after a year, and that may be chance), "lower" (fewer
    leave than in the first year), "higher", "alike" (not shown to differ), "untold".
    """
    if _ends(lengths):
        return (Evidence.ELSEWHERE, "ends") if lengths.tail.month > YEAR else (
            Evidence.CONTRARY, "ended")
    if _alike(lengths) or "first_year_less_later" not in lengths.comparisons.index:
        return UNTOLD
    row = lengths.comparisons.loc["first_year_less_later"]
    if row["churned_b"] == 0:
        return Evidence.NOT_SHOWN, "none"
    return {
        Finding.HIGHER: (Evidence.ELSEWHERE, "lower"), Finding.LOWER: (Evidence.SHOWN, "higher"),
    }.get(row["finding"], (Evidence.SHOWN, "alike"))


def _by_trait(traits: Traits, trait: str) -> Judgement:
    """Rests on groups that the source chose by their size; churn may differ between others.

    Reasons: "differs", "alike" (not shown to differ), "untold".
    """
    if trait not in traits.tests.index:
        return UNTOLD
    return (Evidence.ELSEWHERE, "differs") if traits.tests.loc[trait, "found"] else (
        Evidence.NOT_SHOWN, "alike")


def _by_direction(traits: Traits, columns: tuple[str, ...], more: str, fewer: str) -> Judgement:
    """Rests on those who churned having more of a number, or fewer.

    What is done about queries needs more of them among those who churned; what is done about
    inactive subscribers needs less activity. Reasons: what they have, "mixed" (more of one number
    and less of another), "alike" (not shown), "untold".
    """
    rows = traits.direction.reindex([c for c in columns if c in traits.direction.index])
    if rows.empty:
        return UNTOLD
    found = rows[rows["found"].astype(bool)]
    if found.empty:
        return Evidence.NOT_SHOWN, "alike"
    sides = found["superiority"] > 0.5
    if sides.nunique() > 1:
        return Evidence.NOT_SHOWN, "mixed"
    above = bool(sides.iloc[0])
    wanted = above == (more == "more")
    return (Evidence.SHOWN if wanted else Evidence.CONTRARY), (more if above else fewer)


def _devices(devices: Devices, traits: Traits) -> Judgement:
    """Rests on a device of the source's that engages less than another one.

    Reasons: "lower", "higher" (one of them is shown to engage more, and none less), "churn" (that
    is not shown, but churn differs by device), "unnamed" (none that is compared has a name of the
    source's), "alike", "untold".
    """
    pairs = devices.pairs.reset_index()
    if pairs.empty:
        return UNTOLD
    apart = pairs["finding"] == Finding.HIGHER
    first, second = (
        pairs[end].astype(str).str.casefold().isin(LOWER_DEVICES) for end in ("first", "second"))
    if (apart & second & ~first).any():
        return Evidence.SHOWN, "lower"
    if (apart & first & ~second).any():
        return Evidence.CONTRARY, "higher"
    if "device" in traits.tests.index and traits.tests.loc["device", "found"]:
        return Evidence.ELSEWHERE, "churn"
    if not (first | second).any():
        return Evidence.UNTOLD, "unnamed"
    return Evidence.NOT_SHOWN, "alike"


def _step(plans: Plans) -> Judgement:
    """Reasons: "planned", "gone" (nobody at risk is still there), "untold" (nobody was)."""
    if len(plans.sizes):
        return Evidence.NOT_NEEDED, "planned"
    return (Evidence.UNTOLD, "gone") if plans.churned else UNTOLD


def many_profiles(base: Reductions) -> TestResult | None:
    """Churn of accounts with many profiles against that of others; a test named in advance."""
    frame = base.churn_by_number["profiles"]
    many = frame["from_value"] >= MANY_PROFILES
    groups = [
        Share(int(part["churned"].sum()), int(part["subscribers"].sum()))
        for part in (frame[many], frame[~many]) if len(part)
    ]
    if len(groups) < 2 or not 0 < base.churned < base.subscribers:
        return None
    return two_proportions.fisher(*groups)


def _profiles(test: TestResult | None) -> Judgement:
    """Rests on less churn of accounts with many profiles: "lower", "higher", "alike", "untold"."""
    if test is None:
        return UNTOLD
    if not test.reject:
        return Evidence.NOT_SHOWN, "alike"
    return (Evidence.SHOWN, "lower") if test.estimate < 1 else (Evidence.CONTRARY, "higher")


def _offers(offers: Offers) -> Judgement:
    """Rests on less churn of those who used an offer: "fewer", "more", "open", "untold"."""
    if "promo_used" not in offers.effects.index:
        return UNTOLD
    row = offers.effects.loc["promo_used"]
    if not row["p_adjusted"] <= ALPHA:
        return Evidence.NOT_SHOWN, "open"
    return (Evidence.SHOWN, "fewer") if row["difference"] < 0 else (Evidence.CONTRARY, "more")
