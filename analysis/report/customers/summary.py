"""What to do about it all, and what the study cannot tell."""

from __future__ import annotations

from analysis.customers import Study
from analysis.customers.lift import Action
from analysis.report.customers import lift, looks, seasons
from analysis.report.text import Prose, percent

FEW = 0.01  # of the users, who may bring
MUCH = 0.25  # ... so much of the revenue that averages depend on them


def conclusion(s: Study) -> Prose:
    """What kind of business this is, in a paragraph."""
    t = s.totals
    if not t.payers:
        return Prose("Nobody bought anything in the period, so there is no business to describe yet.")
    repeat = t.repeat_payers / t.payers
    again = "nobody" if not t.repeat_payers else percent(repeat, 0)
    if t.payers == t.users:
        text = f"All who registered had bought by the end of the period; of them, {again} bought again."
    else:
        silent = 1 - t.active_users / t.users
        text = (
            f"{percent(1 - t.payer_share, 0)} of those who registered had not bought by the end of the "
            f"period{f', and {percent(silent, 0)} had not even come to a paywall or a purchase' * (silent > 0)}"
            f"; of those who bought, {again} bought again."
        )
    top = _top_share(s)
    if top is not None and top > MUCH:
        text += (
            " Revenue rests on few users, so it is noisy by nature: what the team does is seen first "
            "in the share who buy, and in revenue only much later."
        )
    return Prose(text)


def _top_share(s: Study) -> float | None:
    """The share of revenue that the highest `FEW` of users bring."""
    rows = s.indicators.inequality
    rows = rows[(rows["base"] == "users") & (rows["measure"] == "top_1")]
    return None if rows.empty else float(rows["value"].iloc[0])


def recommendations(s: Study) -> Prose:
    """What to do, each item with the result that it rests on."""
    items = [lift.recommendation(s), looks.recommendation(s)]
    t = s.totals
    silent = 1 - t.active_users / t.users
    if silent > 0.1:
        items.append(
            f"**Look at the first day.** {percent(silent, 0)} of users had not come to a paywall or "
            "a purchase by the end of the period (@sec-customers-retention)."
        )
    top = _top_share(s)
    if top is not None and top > MUCH:
        items.append(
            "**Steer by the share who buy, report revenue with its interval.** "
            f"{percent(FEW, 0)} of users bring {percent(top, 0)} of revenue, so that a month's "
            "average says more about them than about the app (@sec-customers-concentration)."
        )
    if s.seasons.effect("purchases", "trend"):
        items.append(
            f"**Compare with the model, not with last month.** {seasons.against_the_model(s)}"
        )
    if s.drivers.models.area is not None and s.drivers.models.area.estimate < 0.7:
        tells = "hardly tells" if s.drivers.models.area.high < 0.7 else "is not shown to tell"
        items.append(
            f"**Do not aim offers by device or country alone.** What is known at registration {tells} "
            "who will pay; what users do in their first days is the next thing to look at "
            "(@sec-customers-prediction)."
        )
    return Prose("\n".join(f"{i}. {item}" for i, item in enumerate(items, 1)))


def limit_of_test(s: Study) -> Prose:
    """How far the test's result reaches."""
    if s.lift.action in (Action.UNKNOWN, Action.DISTRUST):
        return Prose("The test has no result to generalise from.")
    return Prose(
        f"The test followed each user for {s.lift.horizon} days; what a paywall does to a year of "
        "revenue, to trust in the app, or to users who come in another season it does not say."
    )


def limit_of_data(s: Study) -> Prose:
    """What the origin of the tables limits."""
    if s.shipped:
        return Prose(
            "The shipped tables are synthetic, with planted effects: nothing in them says what an "
            "app is like. How often the methods find such effects again, and how often they find some "
            "where there are none, is measured on many such tables (@sec-methods-recovery and "
            "@sec-methods-power)."
        )
    return Prose(
        "The tables are taken as they are: a view that was not logged, or a purchase that was "
        "refunded later, cannot be seen in them."
    )
