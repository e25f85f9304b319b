"""Sentences that are chosen from results, so that other data gives another true sentence."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Protocol

from analysis.report.text import Prose, day, escape, interval, listing, number, p_value, rounded
from analysis.stats.decision import Finding, decide
from analysis.stats.effects import Effect
from analysis.stats.intervals import Interval
from analysis.stats.results import TestResult


class Study(Protocol):
    """What every study says about its tables: see `sources.Tables`."""

    origin: str
    shipped: bool
    fallback: bool


def provenance(s: Study, made: str) -> Prose:
    """Whose tables these are.

    Args:
        s: The study.
        made: What the shipped tables were made for, as the end of "made by a seeded generator ...".
    """
    if s.shipped:
        return Prose(f"The tables are synthetic: made by a seeded generator {made}.")
    return Prose(f"The tables come from {escape(s.origin)}.")


def banner(s: Study) -> Prose | None:
    """A box for the top of a chapter whose study the reader's own data lack; else nothing."""
    if not s.fallback:
        return None
    return _not_your_data(
        "Your data hold no tables for this study, so this chapter is shown on the shipped ones."
    )


def banner_of_several(studies: Mapping[str, Study]) -> Prose | None:
    """The same for a page about several studies.

    Args:
        studies: By what the reader calls them.
    """
    lacking = [name for name, s in studies.items() if s.fallback]
    if not lacking:
        return None
    return _not_your_data(
        f"Your data hold no tables for {listing(lacking)}; what this page says of "
        f"{'it' if len(lacking) == 1 else 'them'} is about the shipped ones."
    )


def _not_your_data(text: str) -> Prose:
    return Prose(
        '::: {.callout-warning title="Not your data"}\n'
        f"{text} They are synthetic: nothing in them is about your customers. "
        "@sec-your-data says how to bring tables of your own.\n"
        ":::"
    )


def whose(studies: Mapping[str, Study]) -> Prose:
    """Whose tables the book was made from, for its front page.

    Args:
        studies: By what the reader calls them.
    """
    own = {name: s for name, s in studies.items() if not s.shipped}
    shipped = listing(name for name, s in studies.items() if s.shipped)
    made = (
        "synthetic: made by seeded generators, to agree with published figures or to hold planted "
        "effects. No row is a real person"
    )
    if not own:
        return Prose(f"All tables of this edition are {made}.")
    places = listing(f"{escape(s.origin)} ({name})" for name, s in own.items())
    # Of the shipped tables nothing is dated, so that the same tables make the same page.
    text = f"This edition was made from {places} on {day(dt.date.today().isoformat())}."
    return Prose(f"{text} The tables of {shipped} are {made}." if shipped else text)


def decision(reject: bool) -> Prose:
    """The bare decision of a test about its null hypothesis."""
    return Prose("reject" if reject else "do not reject")


def digits_of_ends(low: float, high: float, digits: int = 1) -> int:
    """Decimals for an interval: up to two more where an end beside 0 would look like 0.

    "0.0 to 3.4" would not say on which side of 0 the interval lies: "0.04 to 3.40" does.
    """
    ends = [end for end in (low, high) if end != 0 and math.isfinite(end)]
    for more in range(3):
        if not any(rounded(end, digits + more) == 0 for end in ends):
            return digits + more
    return digits


def planned(share: float) -> Prose:
    """A planned share, which is stated and so has the digits that it needs: "30%", "12.5%"."""
    return Prose(f"{round(100 * share, 4):g}%")


def untold_split(study: str, group: str) -> str:
    """That the tables name no planned split, what follows, and how to name one.

    Args:
        study: The study.
        group: What its test's groups are called.
    """
    return (
        f"The tables do not say what split was planned, so whether one {group} lost people can’t be "
        f"told from its size; the table `{study}/planned_split` would say it "
        f"(@sec-your-data-{study})."
    )


def rise(test: TestResult) -> tuple[float, float, float]:
    """Second minus first group: the estimate and the ends of its interval."""
    return -test.estimate, -test.interval.high, -test.interval.low


def effect_text(
    effect: Effect | Interval,
    *,
    inverse: bool = False,
    negate: bool = False,
    complement: bool = False,
) -> Prose:
    """An effect size with its interval, read as second group against first where asked.

    Args:
        effect: As the test gives it, first group against second.
        inverse: Turn a ratio around (1 / value).
        negate: Turn a difference around (-value).
        complement: Turn a probability around (1 - value).
    """
    value = effect.value if isinstance(effect, Effect) else effect.estimate
    low, high = effect.low, effect.high
    if inverse:
        value, low, high = 1 / value, 1 / high, 1 / low
    if negate:
        value, low, high = -value, -high, -low
    if complement:
        value, low, high = 1 - value, 1 - high, 1 - low
    return Prose(f"{number(value, 2)} ({interval(low, high, 2)})")


def second_minus_first(test: TestResult, digits: int = 1, unit: str = "minutes") -> Prose:
    """The change and its 95% interval: "35.9 minutes (95% interval 12.5 to 59.3)"."""
    value, low, high = rise(test)
    return Prose(f"{number(value, digits)} {unit} (95% interval {interval(low, high, digits)})")


def increase_sentence(test: TestResult, means: tuple[float, float], who: str) -> Prose:
    """Whether a mean rose, from a left-tailed test of first against second group.

    The sentence has three forms: a rise that the test supports; a fall that the two-sided
    interval supports; and a change that the data leave open, with what they allow.

    Args:
        test: Left-tailed; its interval is the two-sided 95% interval of first minus second.
        means: Mean of the first and of the second group, in minutes.
        who: Whose mean it is, as the end of "The mean of ...".
    """
    finding = decide(test).finding
    moved = f"from {number(means[0], 1)} to {number(means[1], 1)} minutes"
    said = f"one-sided {p_value(test.p_value)}"
    if finding is Finding.LOWER:
        return Prose(
            f"The mean of {who} rose {moved}, by {second_minus_first(test)}; "
            f"a rise that chance alone would seldom produce ({said})."
        )
    if finding is Finding.CONTRARY:
        return Prose(
            f"The mean of {who} did not rise: it fell {moved}, by "
            f"{number(test.estimate, 1)} minutes (95% interval {interval(test.interval.low, test.interval.high)}), "
            f"so no increase can be claimed ({said})."
        )
    return Prose(
        f"The mean of {who} went {moved}, a change of {second_minus_first(test)}; "
        f"the data support no increase ({said}), but do not rule one out either."
    )


def difference_sentence(test: TestResult, what: str, labels: tuple[str, str]) -> Prose:
    """Whether two groups differ, from a two-sided test; never "no difference" for "not shown"."""
    said = f"two-sided {p_value(test.p_value)}"
    first, second = labels
    if test.reject:
        more, less = (first, second) if test.estimate > 0 else (second, first)
        return Prose(
            f"{what} differ: {more} lies above {less} by {number(abs(test.estimate), 1)} minutes "
            f"({said})."
        )
    return Prose(
        f"{what} are not shown to differ ({said}): {first} minus {second} is "
        f"{number(test.estimate, 1)} minutes, with a 95% interval of "
        f"{interval(test.interval.low, test.interval.high)}."
    )


def equivalence_sentence(test: TestResult, margin_text: str) -> Prose:
    """What an equivalence test adds to a difference that was not shown."""
    if test.reject:
        return Prose(
            f"They are shown to be equal for practical purposes: the difference lies within "
            f"{margin_text} ({p_value(test.p_value)})."
        )
    return Prose(
        f"Nor are they shown to be equal: a difference of {margin_text} cannot be ruled out "
        f"({p_value(test.p_value)})."
    )
