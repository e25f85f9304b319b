"""The paywall test read with Bayes' theorem: how probable is it that the new paywall is better?

The outcome is the test's primary metric, bought at a paywall within the horizon, over users whose
horizon was observed. Three priors, each the same for both groups: one that knows nothing, and two
that know the share of before the test (`paywall.Before`) and differ in how much they trust it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from analysis.customers.design import Design, relevant_difference
from analysis.customers.paywall import GROUPS, Before, PaywallTest
from analysis.stats import bayes, two_proportions
from analysis.stats.bayes import Beta
from analysis.stats.intervals import Interval
from analysis.stats.two_proportions import Share

THRESHOLD = 0.001  # expected loss that nobody cares about: one converter in 1,000 users
WEIGHTS = {"history": 100, "sceptic": 1_000}  # users that a prior's knowledge is worth


class Choice(StrEnum):
    """What the expected losses say: a choice is good enough if it loses at most `THRESHOLD`."""

    TEST = "test"
    """Only the new paywall is good enough."""
    CONTROL = "control"
    """Only the old one is."""
    EITHER = "either"
    """Both are: it does not matter which."""
    OPEN = "open"
    """Neither is: more data are worth having."""


@dataclass(frozen=True)
class Reading:
    """What the test says to somebody with a prior.

    Attributes:
        name: "uniform" knows nothing; "history" and "sceptic" know the share before the test.
        prior: Of either group's share.
        posteriors: Of the share in each group.
        control, test: Share of converters, with credible intervals.
        difference: Test less control, in shares.
        lift: Test over control, less 1; the estimate is the median.
        better: Probability that the test group's share is larger.
        worthwhile: Probability that the difference is at least the relevant one.
        loss_test, loss_control: Expected share of converters lost by choosing the new paywall, or
            by keeping the old one.
        choice: What follows.
    """

    name: str
    prior: Beta
    posteriors: dict[str, Beta]
    control: Interval
    test: Interval
    difference: Interval
    lift: Interval
    better: float
    worthwhile: float
    loss_test: float
    loss_control: float
    choice: Choice


@dataclass(frozen=True)
class Belief:
    """The Bayesian reading.

    Attributes:
        control, test: Converters among users.
        relevant_difference: The smallest worth having, the mark of the rule of decision; see
            `design.relevant_difference`. 0 if nobody converted, now or before.
        threshold: See `THRESHOLD`.
        value: Mean revenue of a user who bought anything within the horizon, in cents; None
            without buyers. What a lost converter costs, if such users are alike.
        p_value: Two-sided, of the pooled z test; None where all users or none converted.
        readings: One a prior, the uniform one first.
    """

    control: Share
    test: Share
    relevant_difference: float
    threshold: float
    value: float | None
    p_value: float | None
    readings: tuple[Reading, ...]

    @property
    def main(self) -> Reading:
        """The reading with the uniform prior."""
        return self.readings[0]


def belief(test: PaywallTest, plan: Design) -> Belief | None:
    """Reads the test; None if a group has no user whose horizon was observed.

    Args:
        test: The reductions.
        plan: The design, which holds the baseline of before the test.
    """
    by = test.groups.set_index("group")
    if (by["users"] == 0).any():
        return None
    control, treated = (
        Share(int(by.loc[name, "converters"]), int(by.loc[name, "users"])) for name in GROUPS
    )
    buyers = int(by["buyers"].sum())
    constant = control.successes + treated.successes in (0, control.n + treated.n)
    relevant = relevant_difference(plan, control.value, treated.value)
    return Belief(
        control=control,
        test=treated,
        relevant_difference=relevant,
        threshold=THRESHOLD,
        value=float(by["revenue"].sum()) / buyers if buyers else None,
        p_value=None if constant else two_proportions.pooled_z(control, treated).p_value,
        readings=tuple(
            read(name, prior, control, treated, relevant)
            for name, prior in priors(test.before).items()),
    )


def priors(before: Before | None) -> dict[str, Beta]:
    """The priors by name; without converters (or others) before the test only the uniform one."""
    known = {"uniform": Beta(1, 1)}
    if before is not None and 0 < before.converters < before.users:
        share = before.converters / before.users
        for name, weight in WEIGHTS.items():
            # However rare converters are, the prior is worth a tenth of one at least.
            least = 0.1 / weight
            known[name] = bayes.baseline_prior(min(max(share, least), 1 - least), weight)
    return known


def read(name: str, prior: Beta, control: Share, test: Share, relevant: float) -> Reading:
    """What the test says to somebody with this prior; `relevant` is a difference of shares."""
    a, b = (prior.after(share.successes, share.n) for share in (control, test))
    loss_test, loss_control = bayes.expected_loss(b, a), bayes.expected_loss(a, b)
    return Reading(
        name=name,
        prior=prior,
        posteriors={"control": a, "test": b},
        control=a.interval(),
        test=b.interval(),
        difference=bayes.difference(a, b),
        lift=bayes.lift(a, b),
        better=bayes.exceeds(a, b),
        worthwhile=bayes.exceeds(a, b, difference=relevant),
        loss_test=loss_test,
        loss_control=loss_control,
        choice=_choice(loss_test <= THRESHOLD, loss_control <= THRESHOLD),
    )


def _choice(test: bool, control: bool) -> Choice:
    if test:
        return Choice.EITHER if control else Choice.TEST
    return Choice.CONTROL if control else Choice.OPEN
