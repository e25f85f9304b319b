"""The front page's strip: the one number of each study that matters, with its interval.

The audit of the sources has a number as well, which is a count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from analysis import churn, customers, engagement, experiment, mooc
from analysis.claims import Audit
from analysis.claims.claim import Verdict
from analysis.customers.lift import Action
from analysis.report.engagement.sentences import trimmed_share
from analysis.report.sentences import digits_of_ends, rise
from analysis.report.text import MISSING, Prose, interval, number, percent, percents, rounded
from analysis.stats.intervals import Interval


def key_figures(
    s: engagement.Headline, app: customers.Study, courses: mooc.Headline,
    service: churn.Study, widget: experiment.Study, audits: Sequence[Audit],
) -> Prose:
    """A list, one number a study; a study whose number can't be told is left out."""
    told = [minutes(s), buyers(app), completions(courses), caught(service), converts(widget),
            supported(audits)]
    return Prose("\n".join(f"- {item}" for item in told if item))


def minutes(s: engagement.Headline) -> str:
    """What the mean of paying students has changed by."""
    value, low, high = rise(s.comparisons["paid"].welch)
    return _item(
        f"{_signed(value, 1)} minutes",
        f"a quarter for a paying student, a year later, without the top {trimmed_share()}",
        "engagement", interval(low, high))


def buyers(s: customers.Study) -> str:
    """The effect of the new paywall on the share of users who buy, of a test that is trusted."""
    if s.lift.primary is None or s.lift.action is Action.DISTRUST:
        return ""
    return _points(
        s.lift.primary.z.interval, "of users who buy, with the new paywall", "customer-analytics")


def completions(s: mooc.Headline) -> str:
    """The share of sign-ups that complete a course."""
    row = s.funnel.steps.iloc[-1]
    return _item(
        percent(row["of_first"], 0), "of those who sign up complete a course",
        "mooc-segmentation", percents(row["of_first_low"], row["of_first_high"]))


def caught(s: churn.Study) -> str:
    """The share of those who churn among the subscribers whom the model puts first."""
    if s.retention is None or len(s.retention.tenths) < 2:
        return ""
    row = s.retention.tenths.iloc[0]
    return _item(
        percent(row["caught"], 0),
        f"of churn is in the {percent(row['to_share'], 0)} of subscribers with the highest risk",
        "netflix-churn", percents(row["caught_low"], row["caught_high"], 0))


def converts(s: experiment.Study) -> str:
    """The effect of the widget on the share of customers who convert, of a test that is trusted."""
    z = s.metrics.conversion.z
    if z is None or not s.decision.trusted:
        return ""
    return _points(
        z.interval, "of trialers who convert, with the help widget", "trialer-ab-test")


def supported(audits: Sequence[Audit]) -> str:
    """How many of the published claims are supported."""
    verdicts = [finding.verdict for audit in audits for finding in audit.findings]
    found = number(verdicts.count(Verdict.SUPPORTED))
    return (f"**{found} of {number(len(verdicts))}** "
            "[claims of the sources are supported](chapters/claims.qmd)")


def _points(i: Interval, what: str, chapter: str) -> str:
    """A difference of shares."""
    value, low, high = (100 * end for end in (i.estimate, i.low, i.high))
    digits = digits_of_ends(low, high)
    return _item(f"{_signed(value, digits)} points", what, chapter, interval(low, high, digits))


def _item(value: str, what: str, chapter: str, ends: str) -> str:
    if MISSING in (value, ends):
        return ""
    return f"**{value}** [{what}](chapters/{chapter}.qmd) (95% interval {ends})"


def _signed(value: float, digits: int) -> Prose:
    sign = "+" if math.isfinite(value) and rounded(value, digits) > 0 else ""
    return Prose(f"{sign}{number(value, digits)}")
