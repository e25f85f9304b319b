"""Where two sections ask the same question, the chapter says how their answers go together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from analysis.report.mooc import twice


def with_(s, **parts):
    """The study with some of its parts replaced."""
    return SimpleNamespace(**{
        name: parts.get(name, getattr(s, name))
        for name in ("funnel", "geography", "channels", "audience")})


def by_country(s, *, spread, chi, groups=None):
    """What is said with other corrected p-values of the two tests of completion by country."""
    tests = s.funnel.homogeneity.copy()
    tests.loc[("user_country", "completed"), "p_adjusted"] = chi
    if groups:
        tests.loc[("user_country", "completed"), "groups"] = groups
    g = s.geography
    return twice.completion_by_country(with_(
        s, funnel=replace(s.funnel, homogeneity=tests),
        geography=replace(g, spreads=g.spreads.assign(p_adjusted=spread))))


def test_opposite_verdicts_on_completion_by_country_are_reconciled(mooc_study):
    s, prior = mooc_study, mooc_study.geography.completion.prior
    said = twice.completion_by_country(s).replace("\u00a0", " ")
    assert "there it is shown (corrected p = 0.024)" in said
    assert "each of 69 countries stands for itself" in said and "one of 20 groups" in said
    assert f"{100 * prior.spread:.1f} percentage points (95% interval" in said
    assert f"{100 * prior.spread_low:.1f} to {100 * prior.spread_high:.1f})" in said
    assert "there it is not shown" in by_country(s, spread=0.4, chi=0.01)
    assert "small ones" not in by_country(s, spread=0.01, chi=0.4, groups=69)


@pytest.mark.parametrize("p", [0.001, 0.5])
def test_verdicts_that_agree_need_no_word(mooc_study, p):
    assert by_country(mooc_study, spread=p, chi=p) == ""
    nothing = replace(mooc_study.geography, completion=None)
    assert twice.completion_by_country(with_(mooc_study, geography=nothing)) == ""


def test_a_difference_within_the_margin_is_called_small(mooc_study):
    s = mooc_study
    said = twice.value_by_channel(s)
    assert said.startswith("The difference of Organic Search is shown") and "Friend" not in said
    assert f"{s.audience.measures.margin['revenue']:.1f} a user: too small" in said
    c = s.audience.comparisons
    every = with_(s, audience=replace(s.audience, comparisons=c.assign(
        adjusted_finding="equivalent")))
    said = twice.value_by_channel(every)
    assert "Friend" in said and "are shown" in said
    # Without a regression the comparison as users come decides.
    alone = with_(s, audience=replace(s.audience, comparisons=c.assign(
        adjusted_finding=None, finding="higher")))
    assert twice.value_by_channel(alone) == ""
    none = with_(s, channels=replace(
        s.channels, differences=replace(s.channels.differences, user_p=0.4)))
    assert twice.value_by_channel(none) == ""


def test_sources_are_called_channels_where_they_are(mooc_study):
    s = mooc_study
    assert "by another name" in twice.source_or_channel(s)
    frame = s.channels.referrals.copy()
    frame.loc["Email", "users"] += 1
    other = with_(s, channels=replace(s.channels, referrals=frame))
    assert "need not be" in twice.source_or_channel(other)
    unknown = replace(s.funnel, by_source=s.funnel.by_source.loc[["(not given)"]])
    assert twice.source_or_channel(with_(s, funnel=unknown)) == "Here no source is known."
