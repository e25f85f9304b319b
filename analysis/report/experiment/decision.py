"""Double down or pivot? The rule, the recommendation, and what would change it, in words."""

from __future__ import annotations

import math

import pandas as pd
import plotnine as p9

from analysis.experiment import Study
from analysis.experiment import decision as study
from analysis.experiment import metrics as tests
from analysis.experiment.decision import Action, Decision
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    percent,
)

ACTIONS = {
    Action.DISTRUST: "do not decide", Action.UNKNOWN: "do not decide",
    Action.DOUBLE_DOWN: "double down", Action.LONGER: "run longer", Action.PIVOT: "pivot",
}
ASSUMPTIONS = {
    "prior_sd": "the prior", "cost": "the cost of the widget", "horizon": "the horizon",
    "test_cost": "the cost of testing",
}
NEAR = 0.99  # of the worth of rolling out: testing on that is worth more makes a near thing
EVEN = 0.05  # so near to halves that halves would gain nothing
STEPS = 121  # points of a curve
SPAN = 0.04  # shares: how far to either side of 0 the figure looks at least


def _unread(d: Decision) -> str:
    """Why there is nothing to weigh, or nothing."""
    if d.action is Action.DISTRUST:
        return "The test is not trusted (@sec-trialers-trust), so its result is not weighed."
    if d.action is Action.UNKNOWN:
        return "Nobody, or everybody, converted, so there is no effect to weigh."
    return ""


def _plain(value: float) -> str:
    """An assumption as it was made, without needless zeros."""
    return f"{value:,.4f}".rstrip("0").rstrip(".")


def _points(share: float) -> str:
    value = _plain(100 * share)
    return f"{value} point{'' if value == '1' else 's'}"


def _price(value: float) -> str:
    """What something costs a customer: "0.002 conversions"."""
    return f"{_plain(value)} conversion{'' if value == 1 else 's'}"


def _amount(value: float) -> Prose:
    """An amount in conversions."""
    return number(value)


def _conversions(value: float) -> str:
    if 0 < value < 0.5:
        return "less than 1 conversion"
    return str(count(round(value), "conversion"))


def _expected(d: Decision) -> str:
    """What rolling out is expected to be worth, with its interval, to three figures of the largest."""
    w, customers = d.worth, d.assumed.horizon * d.customers_a_day
    values = [w.roll_out, *(customers * (end - d.assumed.cost) for end in (w.effect.low, w.effect.high))]
    digits = 2 - math.floor(math.log10(max(map(abs, values))))
    value, low, high = (round(x, min(digits, 0)) for x in values)
    return (f"{f'about {number(value)} conversions' if value >= 1 else 'less than 1 conversion'} "
            f"({percent(w.effect.confidence, 0)} credible interval {interval(low, high, 0)}) over "
            f"{count(d.assumed.horizon, 'day')} like that of the test, its cost taken off")


def _near(d: Decision) -> bool:
    """Whether to test on first would be worth nearly as much as to roll out."""
    return d.worth.longer > NEAR * d.worth.roll_out


def _others(d: Decision) -> pd.DataFrame:
    """The decision under all other assumptions."""
    return d.sensitivity.drop(index="assumed", level="assumption")


def _near_thing(d: Decision) -> str:
    """That the decision to roll out is a near thing, if it is one."""
    if not _near(d):
        return ""
    days = d.worth.best_days
    others = _others(d)
    longer = int((others.action == str(Action.LONGER)).sum())
    say = f", and under {number(longer)} of {number(len(others))} other assumptions the rule says “{ACTIONS[Action.LONGER]}”" if longer else ""
    return (f", but it is a near thing: {count(days, 'more day')} of testing {'is' if days == 1 else 'are'} worth "
            f"nearly as much{say}")


def _difference(share: float, digits: int = 1) -> str:
    return f"{number(100 * share, digits)} points"


# The rule ------------------------------------------------------------------------------------


def assumptions(s: Study) -> Prose:
    """What is assumed."""
    d = s.decision
    a = d.assumed
    cost = (
        f"The widget costs {_price(a.cost)} a customer, in trouble or not: one conversion pays for "
        f"{count(round(1 / a.cost), 'customer')}." if a.cost > 0 else "The widget costs nothing.")
    return Prose(
        f"All amounts are in conversions, since the tables hold no money. {cost} The decision holds for "
        f"{count(a.horizon, 'day')} of such traffic, that is {number(a.horizon * d.customers_a_day)} customers, and "
        f"testing costs {_price(a.test_cost)} for every customer who comes during it, in effort and in other "
        f"tests that wait. Before the test the effect on conversion is taken to be normal "
        f"around 0 with a standard deviation of {_points(a.prior_sd)}: most widgets that are tried move conversion by less.")


def rule(s: Study) -> Prose:
    """The rule of decision, as a list."""
    a = s.decision.assumed
    return Prose(
        "1. A test that is not trusted is not read; and where nobody or everybody converted there is nothing to read.\n"
        "2. **Pivot** if the widget fails on its way: the use of CS is shown to fall, or is not shown to rise and a "
        f"rise of {_points(tests.MOVES)} is ruled out; if the 95% interval of the effect on conversion ends below what "
        f"pays ({_points(a.cost)}); or if the probability of harm is at least {percent(study.HARM, 0)}.\n"
        "3. **Run longer** if some number of further days of the test is worth more, its cost and its delay "
        "included, than both rolling out and keeping things as they are.\n"
        "4. **Double down** if rolling out is worth most and the use of CS is shown to rise; if it is not shown, "
        "run longer.\n"
        "5. **Pivot** if keeping things as they are is worth most.")


# The recommendation --------------------------------------------------------------------------


def recommendation(s: Study) -> Prose:
    """What to do and why."""
    d = s.decision
    if d.action is Action.DISTRUST:
        return Prose("**Do not decide on this test.** Something is wrong with it (@sec-trialers-trust): find the "
                     "cause, mend it, and run the test again.")
    if d.action is Action.UNKNOWN:
        return Prose(f"**There is nothing to decide yet.** {_unread(d)}")
    w = d.worth
    size = (f"{_difference(d.observed)} of conversion, or {_difference(w.effect.estimate)} after the prior’s "
            "caution")
    if d.action is Action.DOUBLE_DOWN:
        near = ""
        if _near(d):
            near = (f" It is a near thing: to test for {count(w.best_days, 'more day')} first would be worth only "
                    f"{_conversions(w.roll_out - w.longer)} less.")
        return Prose(
            f"**Double down: make the widget the default.** With {size}, it is expected to be worth "
            f"{_expected(d)}, and no further test is worth its delay.{near} Keep a small group without it for some weeks: it costs little, "
            "and shows how large the effect is and whether it lasts.")
    if d.action is Action.LONGER:
        if d.reason == "gate":
            return Prose(
                f"**Run the test longer.** Conversion alone would speak for the widget ({size}), but the use of CS is "
                "not shown to rise, and without that the widget has no way to help.")
        now = "rolling out now" if w.roll_out > 0 else "keeping things as they are"
        least = "at least " if w.best_days == study.MOST_DAYS else ""
        return Prose(
            f"**Run the test longer**, by {least}{count(w.best_days, 'day')} of such traffic. With {size}, the choice is not "
            f"clear enough: those days are worth {_conversions(w.longer - max(w.roll_out, 0.0))} more than {now}, "
            f"what they cost and delay included.{_so_far(s)}")
    why = {
        "falls": "fewer customers use CS with it than without",
        "unmoved": f"it does not move the use of CS: a rise of {_points(tests.MOVES)} is ruled out",
        "below": f"its effect on conversion is shown to lie below the {_points(d.assumed.cost)} that pay for it",
        "harm": f"with a probability of {_chance(w.harm)} it does harm to conversion",
        "kept": "things as they are are worth more than the widget, and than a longer test",
    }[d.reason]
    return Prose(
        f"**Pivot away from this widget**: {why}. The difference of conversion is {_difference(d.observed)}. "
        f"{_instead(s)}")


def _chance(p: float) -> str:
    return "more than 99.9%" if p > 0.999 else "less than 0.1%" if p < 0.001 else str(percent(p))


def _so_far(s: Study) -> str:
    """What of the chain is there already, when the decision is open."""
    if s.metrics.engagement.shown and not s.metrics.conversion.shown:
        return (" What is shown so far is engagement; that it brings conversion is not, and engagement alone is a cost.")
    return ""


def _instead(s: Study) -> str:
    if s.decision.reason in ("falls", "unmoved"):
        return "What was tested is the invitation to CS, not CS itself; another invitation may still be worth a test."
    if s.metrics.engagement.shown:
        return "Customers do take up the offer of help, so what to change is the help, or the moment, not the wish to help."
    return "That customers take up the offer of help is not shown either."


def answer(s: Study) -> Prose:
    """The recommendation in a sentence."""
    d = s.decision
    if d.worth is None:
        return Prose("**Do not decide yet**: " + _unread(d)[0].lower() + _unread(d)[1:])
    w = d.worth
    pays = f"the widget pays with a probability of {_chance(w.pays)}"
    text = {
        Action.DOUBLE_DOWN: f"**Double down**: {pays}, and rolling it out is expected to be worth {_expected(d)}{_near_thing(d)}",
        Action.LONGER: f"**Run longer**: {pays}, and {count(w.best_days, 'more day')} of testing would be worth more than "
                       "deciding now" if d.reason == "information" else
                       f"**Run longer**: {pays}, but by what way is not shown",
        Action.PIVOT: f"**Pivot**: {pays}, and " + {
            "falls": "fewer customers use CS with it", "unmoved": "it does not move the use of CS",
            "below": "its effect on conversion is shown to lie below its cost",
            "harm": "it is likely to do harm", "kept": "keeping things as they are is worth most",
        }.get(d.reason, ""),
    }[d.action]
    return Prose(f"{text}.")


# What it rests on ----------------------------------------------------------------------------


def worth_table(s: Study) -> Prose:
    """What each choice is worth."""
    d = s.decision
    if d.worth is None:
        return Prose(_unread(d))
    w = d.worth
    rows = [("Keep things as they are", Prose("0")), ("Roll out now", _amount(w.roll_out))]
    shown = {}
    for days, value in ((study.ONE_DAY, w.day), (study.ONE_WEEK, w.week), (w.best_days, w.longer)):
        if value is not None:
            shown[days] = value
    rows += [(f"Test {count(days, 'more day')}, then choose" + (", the best number" if days == w.best_days else ""),
              _amount(value)) for days, value in sorted(shown.items())]
    rows += [
        ("To know the effect at once, before its price", _amount(w.certainty)),
        ("Expected loss if rolled out", _amount(w.regret)),
        ("Expected loss if kept", _amount(w.regret_keeping)),
    ]
    return table(pd.DataFrame(rows, columns=["Choice", "Conversions"]), {"Conversions": Prose})


def posterior(s: Study) -> Prose:
    """What is believed of the effect after the test."""
    d = s.decision
    if d.worth is None:
        return Prose(_unread(d))
    w = d.worth
    return Prose(
        f"The test saw {_difference(d.observed)} with a standard error of {number(100 * d.error, 2)}. The prior draws that "
        f"towards 0: what is to be expected is {_difference(w.effect.estimate)} (95% credible interval "
        f"{interval(100 * w.effect.low, 100 * w.effect.high, 1)}). The effect pays for the widget with a probability of "
        f"{_chance(w.pays)} and is harmful with one of {_chance(w.harm)}.")


def errors(s: Study) -> Prose:
    """What either error costs, and what data are worth."""
    d = s.decision
    if d.worth is None:
        return Prose(_unread(d))
    w = d.worth
    dearer = "keeping" if w.regret_keeping > w.regret else "rolling out"
    return Prose(
        f"The two errors do not cost the same. Rolling out a widget that does not pay is expected to lose "
        f"{_conversions(w.regret)}, and keeping things where it would have paid {_conversions(w.regret_keeping)}, so "
        f"{dearer} is the dearer risk. {_information(d)}")


def _information(d: Decision) -> str:
    w = d.worth
    days = count(w.best_days, "more day")
    if d.action is Action.LONGER and d.reason == "information":
        return f"What {days} of testing would tell is worth {_conversions(w.information)} before its cost, and its cost is less."
    if w.longer > max(w.roll_out, 0.0):
        return (f"What {days} of testing would tell is worth {_conversions(w.information)} before its cost, which by the "
                "worth alone would speak for going on; another part of the rule decides here.")
    return (f"What {days} of testing would tell, the best number, is worth {_conversions(w.information)} before its cost, "
            "and its cost, in delay and in the effort of testing, is more.")


def worth_figure(s: Study) -> p9.ggplot | Prose:
    """What the choices would be worth for other observed differences."""
    d = s.decision
    if d.worth is None:
        return Prose(_unread(d))
    reach = max(SPAN, 1.25 * abs(d.observed))
    per = 100 / (d.assumed.horizon * d.customers_a_day)
    rows = []
    for i in range(STEPS):
        x = -reach + 2 * reach * i / (STEPS - 1)
        w = study.worth(x, d.error, d.customers_a_day, d.test_share, d.assumed)
        rows.append((100 * x, per * w.roll_out, 0.0, per * w.longer))
    names = ["Roll out", "Keep", "Run longer"]
    frame = pd.DataFrame(rows, columns=["x", *names]).melt("x", var_name="choice", value_name="worth")
    frame["choice"] = pd.Categorical(frame["choice"], names)
    return (
        figures.Plot(frame, p9.aes("x", "worth", color="choice", linetype="choice"))
        + p9.geom_vline(xintercept=100 * d.observed, color=figures.GREY, linetype="dotted")
        + p9.geom_line(size=0.9)
        + figures.colours(names)
        + p9.labs(x="Observed difference of conversion, points", y="Worth, conversions\nper 100 customers")
        + figures.theme(height=2.9)
    )


# What would change it ------------------------------------------------------------------------


def sensitivity_table(s: Study) -> Prose:
    """The decision under other assumptions."""
    d = s.decision
    if d.sensitivity.empty:
        return Prose(_unread(d))
    frame = pd.DataFrame([{
        "Assumption": _case(name, value), "Roll out": _amount(row.roll_out), "Longer": _amount(row.longer),
        "Days": number(row.best_days), "Expected effect, points": number(100 * row.effect, 1),
        "Recommendation": capital(ACTIONS[Action(row.action)]),
    } for (name, value), row in d.sensitivity.iterrows()])
    return table(frame, dict.fromkeys(("Roll out", "Longer", "Days", "Expected effect, points"), Prose))


def _case(name: str, value: float) -> str:
    if name == "assumed":
        return "As assumed"
    return {
        "prior_sd": lambda: f"Prior: standard deviation {_points(value)}",
        "cost": lambda: f"Cost of the widget: {_points(value)} of conversion",
        "horizon": lambda: f"Horizon: {count(int(value), 'day')}",
        "test_cost": lambda: f"Cost of testing: {_price(value)} a customer",
    }[name]()


def sensitivity(s: Study) -> Prose:
    """Which assumptions would change the recommendation."""
    d = s.decision
    if d.sensitivity.empty:
        return Prose(_unread(d))
    others = _others(d)
    changed = others[others.action != str(d.action)]
    if changed.empty:
        return Prose(f"Under none of the {number(len(others))} other assumptions does the recommendation change.")
    names = listing(dict.fromkeys(ASSUMPTIONS[name] for name, _ in changed.index))
    to = listing(f"“{ACTIONS[Action(action)]}”" for action in dict.fromkeys(changed.action))
    verb = "changes" if len(changed) == 1 else "change"
    return Prose(
        f"Of {number(len(others))} other assumptions {number(len(changed))} {verb} the recommendation, to {to}: "
        f"it depends on {names}.")


def thresholds(s: Study) -> Prose:
    """Which observed difference would have led to another recommendation."""
    d = s.decision
    if d.worth is None:
        return Prose(_unread(d))
    if d.reason in ("falls", "unmoved"):
        return Prose("No difference of conversion would change it: the use of CS decides here.")
    parts = []
    if d.least_difference is not None:
        parts.append(f"“double down” from a difference of {_difference(d.least_difference, 2)} on")
    if d.most_pivot is not None:
        parts.append(f"“pivot” up to {_difference(d.most_pivot, 2)}")
    if not parts:
        return Prose("With so few customers no difference of conversion that there can be would be enough to decide.")
    between = "; between the two it says “run longer”" if len(parts) == 2 and d.least_difference > d.most_pivot + 1e-6 else ""
    if len(parts) == 1:
        between = "; otherwise it says “run longer”"
    near = ""
    if d.least_difference is not None and abs(d.observed - d.least_difference) < d.error / 4:
        near = (" So the recommendation hangs on a difference far smaller than the standard error: another day’s customers "
                "could well have tipped it. What is close is also cheap to get wrong: near the border both choices are worth "
                "about the same.")
    return Prose(f"With an error like this test’s the rule says {listing(parts)}{between}. Seen is "
                 f"{_difference(d.observed, 2)}.{near}")


def means(s: Study) -> Prose:
    """What to do next."""
    d = s.decision
    if d.worth is None:
        return Prose("Mend the test, or wait for outcomes, before anything else.")
    if d.action is Action.DOUBLE_DOWN:
        return Prose(
            "To double down is more than to switch the widget on: keep a group without it to measure what lasts, and put the "
            "next effort where the chain loses most (@sec-trialers-metrics-mechanism).")
    if d.action is Action.LONGER:
        halves = ", in halves rather than in this split" if abs(d.test_share - 0.5) > EVEN else ""
        return Prose(
            f"If the test goes on, let it take whole weeks{halves}, and decide by the same rule; a rule that changes after "
            "each look is none.")
    return Prose("To pivot is not to give up on customers in trouble: the next test should change what this one shows to fail.")


def limits(s: Study) -> Prose:
    """What the decision leaves out."""
    a = s.decision.assumed
    return Prose(
        "The rule counts conversions within the trial only: success in the years to come, which the experience is meant for, "
        "would speak for it, and calls to agents beyond those assumed against it. It takes the effect of one day to hold for "
        f"{count(a.horizon, 'day')}; if the widget wears off, the horizon is shorter in effect. The costs and the prior are "
        "assumptions, and a reader who knows better should change them: they are constants of the module.")
