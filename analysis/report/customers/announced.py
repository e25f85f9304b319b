"""What the chapter announces of the test's figures and tables, only where there is something in them."""

from __future__ import annotations

from analysis.customers import Study
from analysis.customers.lift import SIZES
from analysis.report.text import Prose, listing, number


def balance(s: Study) -> Prose:
    """The figure of what was known before the assignment."""
    if s.lift.balance is None:
        return Prose("That takes two groups.")
    return Prose("@fig-customers-balance compares everything that was known of users when they were "
                 "assigned, in standard deviations.")


def primary(s: Study) -> Prose:
    """The table of the metric that decides."""
    if s.lift.primary is None:
        return Prose("The one metric that was named to decide has no result yet.")
    return Prose("@tbl-customers-primary reads the one metric that was named to decide.")


def t_steps(s: Study) -> Prose:
    """The table of the t-test's steps."""
    if s.lift.t_test is None:
        return Prose("Here there is no t to work out.")
    return Prose(
        "@tbl-customers-t-steps works it out line by line from means and variances (in cents), beside "
        "what `scipy.stats.ttest_ind` and statsmodels make of the same users."
    )


def sampling(s: Study) -> Prose:
    """The figure of sampling distributions."""
    if s.lift.normality is None:
        return Prose("Only users whose revenue varies can tell.")
    sizes = listing(number(size) for size in SIZES)
    return Prose(
        f"These very users can tell: @fig-customers-sampling draws thousands of samples of {sizes} of "
        "them and shows the **sampling distributions** of their means."
    )
