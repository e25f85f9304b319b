"""What the source recommends, judged by the evidence of the chapter's other parts.

Every recommendation rests on something that the table can support or not: that churn is highest in
the first months, that some genres keep subscribers, that some devices engage less. `judge` looks
each of these up where it was tested, with that part's correction for many tests, and keeps, changes
or drops the recommendation. No table of this kind shows what a measure would do, so what is kept is
kept as something to try, not as something that works.
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


class Verdict(StrEnum):
    """What becomes of a recommendation."""

    KEEP = "keep"
    CHANGE = "change"
    DROP = "drop"
    OPEN = "can’t be judged"


Judgement = tuple[Verdict, str]
UNTOLD: Judgement = (Verdict.OPEN, "untold")


@dataclass(frozen=True)
class Recommendations:
    """The source's recommendations, judged.

    Attributes:
        judged: Index `advice`, in the source's order; `verdict` and `reason`, a word that names the
            rule which led to it (see the functions of this module).
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
    judged = {
        "first_months": first_months(lengths),
        "genres": _by_trait(traits, "genre"),
        "after_year": after_year(lengths),
        "inactive": _by_direction(
            traits, ("daily_watch_hours", "engagement_rate"), more="higher", fewer="lower"),
        "devices": _devices(devices, traits),
        "support": _by_direction(traits, ("support_queries",), more="more", fewer="fewer"),
        "profiles": _profiles(profiles),
        "markets": _by_trait(traits, "region"),
        "offers": _offers(offers) if 0 < base.churned < base.subscribers else UNTOLD,
        "test": (Verdict.KEEP, "planned") if len(plans.sizes) else UNTOLD,
        "watch": (Verdict.KEEP, "planned") if plans.limits else UNTOLD,
        "feedback": (Verdict.CHANGE, "planned"),
    }
    frame = pd.DataFrame.from_dict(judged, orient="index", columns=["verdict", "reason"])
    found = model.fit.drivers if model.fit else traits.tests.index[traits.tests["found"]]
    return Recommendations(
        judged=frame.rename_axis("advice"),
        profiles=profiles,
        unaddressed=tuple(trait for trait in found if trait not in ADDRESSED),
    )


def first_months(lengths: Lengths) -> Judgement:
    """Keep what aims at the first months if churn is higher there than in the rest of two years.

    Reasons: "higher", "lower", "alike" (not shown to differ), "untold".
    """
    if "early_less_two_years" not in lengths.comparisons.index:
        return UNTOLD
    return {
        Finding.HIGHER: (Verdict.KEEP, "higher"), Finding.LOWER: (Verdict.DROP, "lower"),
    }.get(lengths.comparisons.loc["early_less_two_years", "finding"], (Verdict.CHANGE, "alike"))


def after_year(lengths: Lengths) -> Judgement:
    """Rewards after a year are for those who might still leave then.

    Reasons: "ends" (from some later month on nobody leaves, more than chance explains),
    "ended" (that is within the first year), "lower" and "higher" (churn after a year against the
    first year's), "alike" (not shown to differ), "untold".
    """
    tail = lengths.tail
    if tail is not None and 10**tail.log10_p <= ALPHA:
        return (Verdict.CHANGE, "ends") if tail.month > YEAR else (Verdict.DROP, "ended")
    if "first_year_less_later" not in lengths.comparisons.index:
        return UNTOLD
    return {
        Finding.HIGHER: (Verdict.DROP, "lower"), Finding.LOWER: (Verdict.KEEP, "higher"),
    }.get(lengths.comparisons.loc["first_year_less_later", "finding"], (Verdict.KEEP, "alike"))


def _by_trait(traits: Traits, trait: str) -> Judgement:
    """What aims at groups of a trait needs groups that differ: "differs", "alike", "untold"."""
    if trait not in traits.tests.index:
        return UNTOLD
    return (Verdict.CHANGE, "differs") if traits.tests.loc[trait, "found"] else (
        Verdict.DROP, "alike")


def _by_direction(traits: Traits, columns: tuple[str, ...], more: str, fewer: str) -> Judgement:
    """Whether those who churned have more, or fewer, of any of these numbers.

    What is done about queries needs more of them among those who churned; what is done about
    inactive subscribers needs less activity.
    """
    rows = traits.direction.reindex([c for c in columns if c in traits.direction.index])
    if rows.empty:
        return UNTOLD
    found = rows[rows["found"].astype(bool)]
    if found.empty:
        return Verdict.CHANGE if more == "more" else Verdict.DROP, "alike"
    above = bool((found["superiority"] > 0.5).any())
    wanted = above == (more == "more")
    return (Verdict.KEEP if wanted else Verdict.DROP), (more if above else fewer)


def _devices(devices: Devices, traits: Traits) -> Judgement:
    """Reasons: "lower" (a device of the source's is shown to engage less than another one),
    "churn" (churn differs by device), "alike", "untold"."""
    pairs = devices.pairs.reset_index()
    if pairs.empty:
        return UNTOLD
    second, first = (
        pairs[end].astype(str).str.casefold().isin(LOWER_DEVICES) for end in ("second", "first"))
    if (second & ~first & (pairs["finding"] == Finding.HIGHER)).any():
        return Verdict.KEEP, "lower"
    if "device" in traits.tests.index and traits.tests.loc["device", "found"]:
        return Verdict.CHANGE, "churn"
    return Verdict.DROP, "alike"


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
    if test is None:
        return UNTOLD
    if not test.reject:
        return Verdict.DROP, "alike"
    return (Verdict.KEEP, "lower") if test.estimate < 1 else (Verdict.DROP, "higher")


def _offers(offers: Offers) -> Judgement:
    """Reasons: "fewer", "more" (churn among those who used an offer), "open", "untold"."""
    if "promo_used" not in offers.effects.index:
        return UNTOLD
    row = offers.effects.loc["promo_used"]
    if not row["p_adjusted"] <= ALPHA:
        return Verdict.CHANGE, "open"
    return (Verdict.KEEP, "fewer") if row["difference"] < 0 else (Verdict.DROP, "more")
