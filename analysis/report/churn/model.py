"""What moves churn: tables, figures and sentences of the model of all traits together."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn import model as study
from analysis.churn.model import ALPHA, PER_UNIT, Fitted
from analysis.churn.reductions import NUMBERS
from analysis.report import figures
from analysis.report.churn import labels
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    interval,
    listing,
    low_to_high,
    number,
    p_cell,
    p_value,
    percent,
    percents,
)

MISFIT = 0.01  # below it a check of the model's form is taken as a warning
INFLATED = 2.0  # times that a standard error grows: above it traits are hard to tell apart
SETTLED = 0.95  # probability of a trait to be the first from which it is told as settled
MOST_ROWS = 40  # of the figure of odds ratios
MOST_LABEL = 38  # characters of a label in a figure
FLAT = 0.5  # of an area under the ROC curve: a coin
# Traits whose name is a plural.
MANY = ("subscription_months", "daily_watch_hours", "support_queries")
MATTERS = ("shown to matter", "not shown to matter")
# Where there is no model: `no_model` says why, once; these stand for all that would rest on it.
UNTOLD = Prose("There is no model here to tell it (@sec-netflix-model).")
NOT_MADE = Prose("Not made, for want of a model.")


# How traits, values and groups are called


def _trait(trait: str) -> str:
    return labels.trait(trait)


def _is(traits: list[str]) -> str:
    return "are" if len(traits) > 1 or traits[0] in MANY else "is"


def _with(trait: str, value: object) -> str:
    """Whose value of a trait is this: "who have used an offer", "whose main device is X"."""
    if trait == "promo_used" and value in ("Yes", "No"):
        return "who have used an offer" if value == "Yes" else "who have not used an offer"
    if trait in NUMBERS:
        return f"with {_trait(trait)} at {labels.figure(float(value))}"
    return f"whose {_trait(trait)} is {_value(trait, value)}"


def _value(trait: str, value: object) -> Prose:
    """A value in a sentence."""
    if trait in NUMBERS:
        return Prose(labels.figure(float(value)))
    return labels.value(trait, value)


def _told(trait: str, value: object) -> str:
    """A value in a sentence, a number with its unit: "24 months"."""
    if trait not in NUMBERS:
        return _value(trait, value)
    return f"{_value(trait, value)} {labels.UNITS[trait][0 if float(value) == 1 else 1]}"


def _unit(trait: str) -> str:
    """What a coefficient of a number is told for: "point", "12 months"."""
    size = study.UNITS.get(trait, 1.0)
    one, many = labels.UNITS[trait]
    return one if size == 1 else f"{labels.figure(size)} {many}"


def _beyond(rule: pd.Series) -> str:
    """Whose outcome a rule decides, after "subscribers"."""
    if rule["trait"] == "subscription_months" and np.isfinite(rule["cut"]):
        side = "more" if rule["group"] == study.ABOVE else "less"
        return f"of {side} than {count(int(rule['cut']), 'month')}"
    if rule["group"] in (study.ABOVE, study.BELOW) and np.isfinite(rule["cut"]):
        unit = labels.UNITS[rule["trait"]][0 if rule["cut"] == 1 else 1]
        named = rule["trait"] in MANY or rule["trait"] == "profiles"
        return (f"with {_trait(rule['trait'])} {rule['group']} {labels.figure(rule['cut'])}"
                f"{'' if named else f' {unit}'}")
    return _with(rule["trait"], rule["group"])


def _points(value: float, digits: int = 1) -> Prose:
    return number(100 * value, digits)


def _range(low: float, high: float, digits: int = 1) -> Prose:
    """The two ends of an interval of shares, in points."""
    return interval(100 * low, 100 * high, digits)


def _ratio(value: float) -> Prose:
    """An odds ratio: two decimals, but figures that count where it is tiny or large."""
    if value >= 1000:
        return Prose("over 1,000")
    if value >= 100:
        return number(value, 0)
    if value >= 10:
        return number(value, 1)
    return number(value, 2) if value >= 0.095 else number(value, 3)


def _ratios(low: float, high: float) -> Prose:
    if low >= 1000:
        return Prose("above 1,000")
    return low_to_high(_ratio(low), _ratio(high))


# Where there is no model


def no_model(s: Study) -> Prose:
    """Why there is no model; empty where there is one."""
    m = s.model
    if m.reason is None:
        return Prose("")
    if m.reason == study.NOBODY:
        return Prose(
            "The only subscriber has not churned, so there is nothing to model." if m.subscribers == 1 else
            f"None of the {number(m.subscribers)} subscribers has churned, so there is nothing to model.")
    if m.reason == study.EVERYBODY:
        return Prose(
            "The only subscriber has churned, so there is nothing to model." if m.subscribers == 1 else
            f"All {number(m.subscribers)} subscribers have churned, so there is nothing to model.")
    if m.reason == study.DECIDED:
        names = list(dict.fromkeys(m.decided["trait"]))
        return Prose(
            f"There is nothing left to model: {listing(map(_trait, names))} {'decides' if _is(names) == 'is' else 'decide'} "
            "the outcome of every subscriber.")
    people = count(m.at_risk, "subscriber")
    if m.reason == study.NO_TRAIT:
        return Prose(f"No model can be fitted: the {people} at risk {'is' if m.at_risk == 1 else 'are'} not told apart by any trait.")
    if m.reason == study.SEPARATED:
        return Prose(
            f"No model can be fitted: together the traits tell those who churned from those who stayed without error, "
            f"among the {people} at risk, so that no finite coefficients fit best.")
    who = "churned" if m.at_risk_churned <= m.at_risk - m.at_risk_churned else "stayed"
    return Prose(
        f"No model is fitted: {number(m.events)} of {people} {'has' if m.events == 1 else 'have'} {who}, and the traits need "
        f"{count(m.parameters, 'coefficient')}. With fewer than {study.LEAST_EVENTS} for each of them a logit finds patterns in chance.")


def _fit(s: Study) -> Fitted | None:
    return s.model.fit


def drivers(s: Study) -> list[str]:
    """The columns that are shown to matter, strongest first; empty without a model."""
    return list(s.model.fit.drivers) if s.model.fit is not None else []


# Who is at risk


def _outcome(rule: pd.Series) -> str:
    n = int(rule["subscribers"])
    if n == 1:
        return f"the one subscriber {_beyond(rule)} has {'' if rule['churned'] else 'not '}churned"
    if rule["churned"]:
        return f"all {number(n)} subscribers {_beyond(rule)} have churned"
    return f"of the {number(n)} subscribers {_beyond(rule)} nobody has churned"


def at_risk(s: Study) -> Prose:
    """Whose outcome one trait decides alone, and who is left."""
    m = s.model
    if m.reason in (study.NOBODY, study.EVERYBODY):
        return Prose("Where there is one outcome only, that cannot be asked.")
    if m.decided.empty:
        text = f"Here no trait does: as far as chance can tell, all {number(m.subscribers)} subscribers are at risk"
        return Prose(f"{text}." if m.fit is None else f"{text}, and the model is of all of them.")
    parts = []
    for step, rule in m.decided.iterrows():
        if step == 1:
            name = _trait(rule["trait"])
            parts.append(f"The first thing that decides is {name}: {_outcome(rule)}.")
        else:
            parts.append(f"Among the others, {_outcome(rule)}.")
    rest = "the others" if m.at_risk else "them"
    if m.at_risk == 0:
        parts.append("Nobody is left whose outcome is open.")
    elif m.at_risk_churned in (0, m.at_risk):
        parts.append(
            f"Of {rest}, {'nobody' if m.at_risk_churned == 0 else 'everybody'} has churned, so nobody's outcome is left open.")
    else:
        parts.append(
            f"Of the {count(m.at_risk, 'other subscriber')} {percent(m.at_risk_churned / m.at_risk)} have churned ({number(m.at_risk_churned)}); "
            f"they are the subscribers at risk{'' if m.fit is None else ', and the model is of them'}.")
    return Prose(" ".join(parts))


def decided_by(s: Study) -> Prose:
    """Why neither chance nor a smooth curve explains the first group without the other outcome."""
    m = s.model
    if m.decided.empty:
        return Prose(
            "No trait has a group with one outcome only that chance, or a smooth curve, would not explain.")
    rule = m.decided.iloc[0]
    name, missing = _trait(rule["trait"]), "stayed" if rule["churned"] else "churned"
    n = int(rule["subscribers"])
    text = (
        f"If {name} had nothing to do with churn, the chance that so large a group, {count(n, 'subscriber')}, would hold nobody who has {missing} "
        f"would be tiny ({p_value(rule['p_adjusted'])}, corrected for all places where such a group could have been).")
    if np.isfinite(rule["p_curve"]):
        text += (
            f" Nor does it come from a smooth curve: a logit in {name} and {'their' if rule['trait'] in MANY else 'its'} square alone expects {number(rule['expected'], 1)} of them to have {missing}, "
            f"and by it none is as improbable ({p_value(rule['p_curve'])}).")
    elif rule["trait"] in NUMBERS:
        text += f" A smooth curve cannot be told from it: the two outcomes hardly overlap in {name}."
    return Prose(text)


def level(s: Study) -> Prose:
    """The level at which subscribers are taken out of the model: "0.1%"."""
    return percent(study.ALPHA_DECIDED)


# What enters


def enters(s: Study) -> Prose:
    """How the traits enter the model, and which do not."""
    m = s.model
    if m.fit is None:
        return no_model(s)
    used = list(m.fit.tests.index)
    text = f"{count(len(used), 'trait')} {'enters' if len(used) == 1 else 'enter'} with {count(m.parameters, 'coefficient')}"
    per = m.events / m.parameters
    who = "churned" if m.at_risk_churned <= m.at_risk - m.at_risk_churned else "stayed"
    text += f", for which {number(m.events)} {who}: {number(per, 1)} for each"
    text += (
        f", more than the {study.CUSTOMARY_EVENTS} that are customary." if per >= study.CUSTOMARY_EVENTS else
        f", fewer than the {study.CUSTOMARY_EVENTS} that are customary, so that the intervals are to be read with care.")
    if len(m.pooled):
        groups = []
        for trait, part in m.pooled.groupby(level="trait", sort=False):
            names = [_value(trait, value) for value in part.index.get_level_values("value")]
            shown = listing(names) if len(names) <= 5 else f"{number(len(names))} values"
            groups.append(f"{shown} ({_trait(trait)})")
        text += f" Values with fewer than {count(m.least, 'subscriber')} at risk stand together: {listing(groups)}."
    why = {
        study.ONE_VALUE: "of which all at risk have the same value",
        study.SMALL: "of which no two values are frequent enough",
        study.NOT_TOLD: "which the other traits already tell",
        study.SEPARATED: "which tells both outcomes apart without error",
    }
    for reason, told in why.items():
        names = [_trait(t) for t, r in m.left_out.items() if r == reason]
        if names:
            text += f" The model does without {listing(names)}, {told}."
    return Prose(text)


# The coefficients


def _level(trait: str, level: str) -> str:
    """What a coefficient is of, as plain text."""
    return f"per {_unit(trait)}" if level == PER_UNIT else labels.name(trait, level)


def odds_table(s: Study) -> Prose:
    """Every coefficient, as an odds ratio and in points of risk."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    rows = []
    before = None
    for (trait, level), row in f.coefficients.iterrows():
        rows.append({
            "Trait": capital(_trait(trait)) if trait != before else "",
            "Value": _level(trait, level),
            "Against": MISSING if level == PER_UNIT else labels.name(trait, row["reference"]),
            "Odds ratio (95% interval)": Prose(f"{_ratio(row['odds_ratio'])} ({_ratios(row['odds_low'], row['odds_high'])})"),
            "Risk, points (95% interval)": Prose(
                f"{_points(row['difference'])} ({_range(row['difference_low'], row['difference_high'])})"),
        })
        before = trait
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[3:], Prose))


def tests_table(s: Study) -> Prose:
    """Each trait of the logit as a whole."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    frame = pd.DataFrame([{
        "Trait": capital(_trait(trait)), "df": int(row["df"]), "Wald χ²": row["wald"],
        "Likelihood ratio χ²": row["likelihood_ratio"], "p, corrected": p_cell(row["p_adjusted"]),
        "Inflation": row["inflation"],
    } for trait, row in f.tests.iterrows()])
    tenth = partial(number, digits=1)
    return table(frame, {"df": number, "Wald χ²": tenth, "Likelihood ratio χ²": tenth, "p, corrected": Prose,
                         "Inflation": partial(number, digits=2)})


def _labels(texts: list[str]) -> list[str]:
    """No two labels are the same, whatever was cut off."""
    found: list[str] = []
    for text in texts:
        label = figures.short(text, MOST_LABEL)
        while label in found:
            label += " "
        found.append(label)
    return found


def _colours() -> p9.scale_color_manual:
    return p9.scale_color_manual(dict(zip(MATTERS, (figures.BLUE, figures.GREY), strict=True)))


def odds_figure(s: Study) -> p9.ggplot | Prose:
    """Odds ratios with their intervals; a number from its tenth to its ninetieth percentile."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    order = {trait: place for place, trait in enumerate(f.ranking.index)}
    rows = f.coefficients.reset_index()
    rows["place"] = rows["trait"].map(order)
    rows = rows.sort_values("place", kind="stable").head(MOST_ROWS)
    rows["label"] = _labels([
        f"{_trait(r.trait)}: {labels.group(r.trait, r.from_value, r.to_value)}" if r.level == PER_UNIT
        else f"{_trait(r.trait)}: {labels.name(r.trait, r.level)}" for r in rows.itertuples()])
    rows["label"] = pd.Categorical(rows["label"], rows["label"].tolist()[::-1])
    shown = f.tests["p_adjusted"].reindex(rows["trait"]) <= ALPHA
    rows["matters"] = pd.Categorical(np.where(shown, *MATTERS), MATTERS)
    return (
        figures.Plot(rows, p9.aes("contrast", "label", color="matters"))
        + p9.geom_vline(xintercept=1, color=figures.GREY, linetype="dotted")
        + p9.geom_segment(p9.aes(x="contrast_low", xend="contrast_high", yend="label"))
        + p9.geom_point(size=1.9)
        + _colours()
        + figures.log_x(labels=lambda values: [f"{value:g}" for value in values])
        + p9.labs(x="Odds ratio of churn", y="")
        + figures.theme(height=1.1 + 0.19 * len(rows))
    )


def _effect(s: Study, trait: str) -> str:
    """What the logit says of a trait: the odds ratio of one value, and points of risk."""
    rows = s.model.fit.coefficients.xs(trait, level="trait")
    level = rows["z"].abs().idxmax()
    row = rows.loc[level]
    odds = f"(95% interval {_ratios(row['odds_low'], row['odds_high'])})"
    ends = sorted(np.sign(row["difference"]) * row[["difference_low", "difference_high"]].to_numpy(dtype=float))
    risk = f"{_points(abs(row['difference']))} points {'more' if row['difference'] > 0 else 'less'} ({_range(*ends)})"
    if level == PER_UNIT:
        return (f"each further {_unit(trait)} of {_trait(trait)} multiplies the odds by {_ratio(row['odds_ratio'])} {odds}, "
                f"{risk} of risk")
    one, other = f"those {_with(trait, level)}", f"those {_with(trait, row['reference'])}"
    if len(rows) == 1:
        return f"{one} have {_ratio(row['odds_ratio'])} times the odds of {other} {odds}, {risk} of risk"
    return f"against {other}, most sure to differ are {one}, with {_ratio(row['odds_ratio'])} times the odds {odds}, {risk} of risk"


def _shown(s: Study) -> list[str]:
    """Traits of the logit whose test shows that they matter, strongest first."""
    ranking = s.model.fit.ranking
    return list(ranking.index[(ranking["p_adjusted"] <= ALPHA).to_numpy()])


def _bent(f: Fitted) -> list[str]:
    """Traits that are shown to matter in a curve only, which their straight line misses."""
    bent = f.curvature.index[(f.curvature["p_adjusted"] <= ALPHA).to_numpy()]
    return [trait for trait in bent if trait not in f.drivers]


def _in_curve(f: Fitted) -> str:
    """That they do; empty where there is none."""
    bent = _bent(f)
    if not bent:
        return ""
    told = listing(f"{_trait(t)} ({p_value(f.curvature.loc[t, 'p_adjusted'])})" for t in bent)
    return (f" But churn is shown to follow {told} in a curve, which the straight line of this model misses: "
            "what is told of it here understates it.")


def effects(s: Study) -> Prose:
    """What the traits that are shown to matter do, the others held equal."""
    if _fit(s) is None:
        return UNTOLD
    shown = _shown(s)
    if not shown:
        return Prose(
            f"None of the traits in the model is shown to matter beside the others, numbers taken as straight lines "
            f"(smallest corrected {p_value(s.model.fit.tests['p_adjusted'].min())}).{_in_curve(s.model.fit)}")
    parts = [f"{_trait(trait)} ({_test(s, trait)}): {_effect(s, trait)}" for trait in shown]
    return Prose(
        f"{'With all others held equal, ' if len(s.model.fit.tests) > 1 else ''}{count(len(shown), 'trait')} {'is' if len(shown) == 1 else 'are'} shown to matter among those at risk. "
        + " ".join(f"{capital(part)}." for part in parts))


def _test(s: Study, trait: str) -> Prose:
    return p_value(s.model.fit.tests.loc[trait, "p_adjusted"])


def not_shown(s: Study) -> Prose:
    """Which traits are not shown to matter, and how much they still may."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    rest = f.ranking[~f.ranking["found"] & ~f.ranking.index.isin(_bent(f))]
    if rest.empty:
        return Prose(f"Every trait in the model is shown to matter.{_in_curve(f)}".replace(" But churn", " Churn"))
    most = max(f.bounds[trait] for trait in rest.index)
    names = listing([_trait(trait) for trait in rest.index], "or")
    numbers, categories = (any((t in NUMBERS) == is_number for t in rest.index) for is_number in (True, False))
    spans = ["from the tenth to the ninetieth percentile of a number"] * numbers + ["between two values of a category"] * categories
    whose = "the average risk" if s.model.decided.empty else "the average risk of those at risk"
    bound = (
        f"if {'it does' if len(rest) == 1 else 'one of them does'}, then {listing(spans, 'or')} it moves {whose} by at most "
        f"{_points(most)} points, where the {'95% interval ends' if len(rest) == 1 else 'widest of their 95% intervals ends'}"
        f"{', widened for all pairs of values of a category' if categories else ''}")
    one = len(rest) == 1 and rest.index[0] not in MANY
    return Prose(f"That {names} {'matters' if one else 'matter'} is not shown; {bound}.{_in_curve(f)}")


# What moves churn most


def ranking_table(s: Study) -> Prose:
    """The traits by what is lost without them, with what they move."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    rows = []
    for trait, row in f.ranking.iterrows():
        ranks = (low_to_high(int(row["rank_low"]), int(row["rank_high"])) if row["rank_low"] < row["rank_high"]
                 else f"{int(row['rank_low'])}")
        rows.append({
            "Trait": capital(_trait(trait)),
            "Deviance lost without it, points": Prose(
                f"{_points(row['lost'])} ({_range(row['lost_low'], row['lost_high'])})"),
            "Rank (95%)": Prose(f"{int(row['rank'])} ({ranks})"),
            "From, to": _move(trait, row["from_value"], row["to_value"]),
            "Average risk, %": Prose(f"{_points(row['risk_from'])} → {_points(row['risk_to'])}"),
            "Difference, points": Prose(
                f"{_points(row['spread'])} ({_range(row['spread_low'], row['spread_high'])})"),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys([c for c in frame.columns if c not in ("Trait", "From, to")], Prose))


def _move(trait: str, one: object, other: object) -> str:
    """From one value to another, numbers with equally many decimals."""
    ends = [_plain(trait, value) for value in (one, other)]
    if trait in NUMBERS:
        digits = max(len(end.partition(".")[2]) for end in ends)
        ends = [number(float(value), digits) for value in (one, other)]
    return " → ".join(ends)


def _plain(trait: str, value: object) -> str:
    return labels.figure(float(value)) if trait in NUMBERS else labels.name(trait, value)


def ranking_figure(s: Study) -> p9.ggplot | Prose:
    """Both measures of what a trait moves, one panel each."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    names = dict(zip(f.ranking.index, _labels([capital(_trait(t)) for t in f.ranking.index]), strict=True))
    panels = ("Deviance lost, points", "Risk moved, points")
    frames = []
    for panel, of, sign in ((panels[0], "lost", 1.0), (panels[1], "spread", None)):
        part = f.ranking[[of, f"{of}_low", f"{of}_high", "found"]].set_axis(["value", "low", "high", "found"], axis=1)
        # A risk that falls is moved as much as one that rises.
        turn = np.sign(part["value"]).replace(0.0, 1.0) if sign is None else 1.0
        ends = pd.DataFrame({"a": 100 * turn * part["low"], "b": 100 * turn * part["high"]})
        frames.append(part.assign(
            value=100 * turn * part["value"], low=ends.min(axis=1), high=ends.max(axis=1), panel=panel))
    rows = pd.concat(frames).reset_index(names="trait")
    rows["label"] = pd.Categorical(rows["trait"].map(names), list(names.values())[::-1])
    rows["panel"] = pd.Categorical(rows["panel"], panels)
    rows["matters"] = pd.Categorical(np.where(rows["found"], *MATTERS), MATTERS)
    return (
        figures.Plot(rows, p9.aes("value", "label", color="matters"))
        + p9.geom_vline(xintercept=0, color=figures.GREY, linetype="dotted")
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="label"))
        + p9.geom_point(size=1.9)
        + p9.facet_wrap("panel", ncol=2, scales="free_x")
        + _colours()
        + p9.labs(x="", y="")
        + figures.theme(height=1.3 + 0.19 * len(names))
    )


def _lost(row: pd.Series) -> str:
    return f"{_points(row['lost'])} points (95% interval {_range(row['lost_low'], row['lost_high'])})"


def ranking(s: Study) -> Prose:
    """What moves churn most, how surely, and whether both measures agree."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    explained = f.validation.explained
    whole = (
        f"{capital(_trait(f.ranking.index[0]))}, the only trait in the model, {'explain' if f.ranking.index[0] in MANY else 'explains'} {percent(explained)} "
        "of the deviance of subscribers that the model has not seen"
        if explained > 0 and len(f.ranking) == 1 else
        f"All traits together explain {percent(explained)} of the deviance of subscribers that the model has not seen"
        if explained > 0 else
        "For subscribers that the model has not seen, all traits together predict no better than the overall churn rate")
    if len(f.ranking) == 1 and f.drivers:
        return Prose(f"{whole}.")
    if not f.drivers:
        row = f.ranking.iloc[0]
        return Prose(
            f"{whole}. No trait is shown to move churn, so there is none to name first; most would be lost without {_trait(f.ranking.index[0])}: "
            f"{_lost(row)}.{_in_curve(f)}")
    rows = f.ranking.loc[list(f.drivers)]
    first, top = rows.index[0], rows.iloc[0]
    text = f"{whole}. Most would be lost without {_trait(first)}: {_lost(top)}"
    if len(rows) > 1:
        rest = [f"{_trait(t)} ({_points(rows.loc[t, 'lost'])})" for t in rows.index[1:]]
        text += f"; then {'comes' if len(rest) == 1 else 'come'} {listing(rest)}"
    text += "."
    if len(f.ranking) > 1:
        sure = top["first"]
        if sure >= SETTLED:
            text += (f" That {_trait(first)} {'come' if first in MANY else 'comes'} first is settled: "
                     f"among subscribers like these {'they do' if first in MANY else 'it does'} so with a probability of {_sure(sure)}.")
        else:
            rival = f.ranking["first"].drop(first).idxmax()
            text += (f" Which trait comes first is not settled: among subscribers like these {_trait(first)} would with a probability of {_sure(sure)}, "
                     f"{_trait(rival)} with one of {_sure(f.ranking.loc[rival, 'first'])}.")
    return Prose(text)


def _sure(share: float) -> Prose:
    if share > 0.999:
        return Prose("more than 99.9%")
    return percent(share, 0) if share >= 0.01 else Prose("less than 1%")


def moves(s: Study) -> Prose:
    """How far the average risk goes from one end of a trait's values to the other."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    if not f.drivers:
        return Prose("No trait is shown to move the average risk from one end of its values to the other.")
    rows = f.ranking.loc[list(f.drivers)]
    order = rows["spread"].abs().sort_values(ascending=False, kind="stable").index
    parts = []
    for trait in order:
        row = rows.loc[trait]
        parts.append(
            f"{_trait(trait)} {'move' if trait in MANY else 'moves'} it from {percent(row['risk_from'])} ({_told(trait, row['from_value'])}) to "
            f"{percent(row['risk_to'])} ({_told(trait, row['to_value'])})")
    text = f"Put all subscribers at one value of a trait and then at another, everything else as it is, and the average predicted risk moves with it: {listing(parts)}."
    if len(rows) > 1:
        text += (" Both measures name the same trait first." if order[0] == rows.index[0] else
                 f" By this measure {_trait(order[0])} {'come' if order[0] in MANY else 'comes'} first, by the deviance {_trait(rows.index[0])}: "
                 "a trait may move the risk of few far, or that of many a little.")
    return Prose(text)


def inside(s: Study) -> Prose:
    """Whether a trait that decides who is at risk also matters among those at risk."""
    f = _fit(s)
    if f is None or s.model.decided.empty:
        return Prose("")
    parts = []
    for trait in dict.fromkeys(s.model.decided["trait"]):
        name = _trait(trait)
        if trait not in f.tests.index:
            parts.append(f"Those at risk are not told apart by {name} any more.")
        elif f.tests.loc[trait, "p_adjusted"] <= ALPHA:
            parts.append(f"Among those at risk {name} {'matter' if trait in MANY else 'matters'} as well ({_test(s, trait)}).")
        else:
            rows = f.coefficients.xs(trait, level="trait")
            row = rows.loc[rows["z"].abs().idxmax()]
            parts.append(
                f"Among those at risk {name} {'are' if trait in MANY else 'is'} not shown to matter any more ({_test(s, trait)}; "
                f"odds ratio {_ratio(row['odds_ratio'])}, {_ratios(row['odds_low'], row['odds_high'])}"
                f"{f', per {_unit(trait)}' if trait in NUMBERS else ''}): {'they decide' if trait in MANY else 'it decides'} who can churn, not who does.")
    return Prose(" ".join(parts))


# Does one trait change another?


def interactions(s: Study) -> Prose:
    """The product of two drivers with the strongest evidence."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    if f.interactions.empty:
        return Prose("Here fewer than two traits of the logit are shown to matter, so there is no pair to ask about.")
    (first, second), row = next(iter(f.interactions.sort_values("p_value", kind="stable").iterrows()))
    size = ""
    if np.isfinite(row["ratio"]):
        times = f"{_ratio(row['ratio'])} times"
        sure = f"(95% interval {_ratios(row['ratio_low'], row['ratio_high'])})"
        if first in NUMBERS:
            size = f": with each further {_unit(first)} of {_trait(first)} the odds ratio of {_trait(second)} is {times} as large {sure}"
        else:
            level = f.coefficients.xs(first, level="trait")
            size = (f": among those {_with(first, level.index[0])} the odds ratio of {_trait(second)} is {times} that among those "
                    f"{_with(first, level['reference'].iloc[0])} {sure}")
    asked = f"Of {count(len(f.interactions), 'pair')} the strongest evidence is for" if len(f.interactions) > 1 else "There is one pair,"
    pair = f"{_trait(first)} and {_trait(second)}"
    if row["p_adjusted"] <= ALPHA:
        return Prose(f"{asked} {pair} (corrected {p_value(row['p_adjusted'])}){size}. One changes what the other does, and the model without their product simplifies.")
    return Prose(
        f"{asked} {pair}, and it is weak (corrected {p_value(row['p_adjusted'])}){size}. That one trait changes what another does to the odds is not shown.")


# How well it predicts


def calibration_figure(s: Study) -> p9.ggplot | Prose:
    """Predicted against observed shares by groups of cross-validated risk."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    frame = f.validation.calibration
    return (
        figures.Plot(frame, p9.aes("predicted", "observed", ymin="low", ymax="high"))
        + p9.geom_abline(slope=1, intercept=0, color=figures.GREY, linetype="dashed")
        + p9.geom_hline(yintercept=s.model.at_risk_churned / s.model.at_risk, color=figures.GREY, linetype="dotted")
        + p9.geom_linerange(color=figures.BLUE)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.labs(x="Predicted risk", y="Share who have churned")
        + figures.theme(height=3.2)
    )


def _area(found) -> Prose:
    return Prose(f"{number(found.estimate, 3)} ({interval(found.low, found.high, 3)})")


def checks_table(s: Study) -> Prose:
    """What is known of the model's worth."""
    f = _fit(s)
    if f is None:
        return NOT_MADE
    v = f.validation
    rows = [
        ("Deviance explained, same subscribers", percent(v.explained_fitted)),
        ("The same, subscribers not seen", percent(v.explained)),
        ("Area under the ROC curve, those at risk, same subscribers", _area(v.area_fitted)),
        ("The same, subscribers not seen", _area(v.area)),
        ("The same, all subscribers, not seen", _area(v.area_all)),
        ("Brier score, those at risk, same subscribers", number(v.brier_fitted, 4)),
        ("The same, subscribers not seen", number(v.brier, 4)),
        ("Brier score of their churn rate", number(v.brier_base, 4)),
    ]
    if v.slope is not None:
        rows.append(("Calibration slope, not seen (1 is right)", Prose(
            f"{number(v.slope.estimate, 2)} ({interval(v.slope.low, v.slope.high, 2)})")))
    if v.intercept is not None:
        rows.append(("Calibration in the large, not seen (0 is right)", Prose(
            f"{number(v.intercept.estimate, 2)} ({interval(v.intercept.low, v.intercept.high, 2)})")))
    if f.link is not None:
        rows.append(("Link test", p_value(f.link.p_value)))
    if len(f.curvature):
        rows.append(("Curvature of a number, smallest corrected p", p_value(f.curvature["p_adjusted"].min())))
    rows.append(("Largest inflation of a standard error", number(f.tests["inflation"].max(), 2)))
    return table(pd.DataFrame(rows, columns=["Check", "Found"]), {"Found": Prose})


def prediction(s: Study) -> Prose:
    """How well those who churn are told from those who stay."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    v, m = f.validation, s.model
    area = v.area
    word = (
        "no better than a coin as far as these data show" if area.low <= FLAT else "hardly better than a coin" if area.estimate < 0.6
        else "somewhat better than a coin" if area.estimate < 0.7 else "well" if area.estimate < 0.85 else "very well")
    text = (
        f"Of two subscribers at risk whom the model has not seen, one who churned and one who stayed, it gives the churned one the higher risk in "
        f"{percent(area.estimate, 0)} of pairs (95% interval {percents(area.low, area.high, 0)}): it tells them apart {word}.")
    if len(m.decided):
        text += f" With those whose outcome is decided it is {percent(v.area_all.estimate, 0)} of pairs, which is easy: for them {_decides(s)} enough."
    gain = 1 - v.brier / v.brier_base
    text += (
        f" Its squared error is {percent(gain, 0)} smaller than if everybody at risk were given their churn rate." if gain > 0.005 else
        " Its squared error is not smaller than if everybody at risk were given their churn rate.")
    return Prose(text)


def _decides(s: Study) -> str:
    names = list(dict.fromkeys(s.model.decided["trait"]))
    return f"{listing(map(_trait, names))} {_is(names)}"


def optimism(s: Study) -> Prose:
    """What the look at its own data flatters, and whether the risks are right."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    v = f.validation
    text = (
        f"The area is {number(v.area_fitted.estimate, 3)} on the very subscribers that were fitted and {number(v.area.estimate, 3)} on those not seen; "
        f"of the deviance {percent(v.explained_fitted)} and {percent(v.explained)} are explained. "
        "What is lost from the first figure to the second, the model had learnt by heart.")
    if v.slope is None:
        return Prose(f"{text} Calibration cannot be measured here: the risks tell both outcomes apart without error, or do not vary.")
    slope = f"the calibration slope is {number(v.slope.estimate, 2)} (95% interval {interval(v.slope.low, v.slope.high, 2)}), where 1 is right"
    if v.slope.low <= 0:
        text += f" Its risks are not shown to mean anything for subscribers whom it has not seen: {slope}."
    elif v.slope.high < 1:
        text += f" Its risks are somewhat too extreme: {slope}."
    elif v.slope.low > 1:
        text += f" Its risks are not extreme enough: {slope}."
    else:
        text += f" Its risks are not shown to be too extreme or too timid: {slope}."
    if v.intercept is not None and not v.intercept.contains(0):
        text += f" Altogether it expects {'too few' if v.intercept.estimate > 0 else 'too many'} to churn."
    return Prose(text)


def form(s: Study) -> Prose:
    """Whether the form of the model is in doubt."""
    f = _fit(s)
    if f is None:
        return UNTOLD
    doubts = []
    if f.link is not None and f.link.p_value < MISFIT:
        doubts.append(f"the link test warns ({p_value(f.link.p_value)})")
    bent = f.curvature.index[f.curvature["p_adjusted"] <= ALPHA]
    if len(bent):
        told = [f"{_trait(t)} ({p_value(f.curvature.loc[t, 'p_adjusted'])})" for t in bent]
        doubts.append(f"a straight line is too simple for {listing(told)}, whose effect it may understate")
    worst = f.tests["inflation"].idxmax()
    if f.tests.loc[worst, "inflation"] > INFLATED:
        doubts.append(f"the standard error of {_trait(worst)} is {number(f.tests.loc[worst, 'inflation'], 1)} times what it would be if the traits were unrelated")
    if len(f.interactions) and f.interactions["p_adjusted"].min() <= ALPHA:
        doubts.append("one trait changes what another does")
    if not doubts:
        return Prose("Nothing in these checks speaks against the form of the model, which does not prove it right.")
    return Prose(f"The form of the model is in doubt: {listing(doubts)}.")


# What it means


def means(s: Study) -> Prose:
    """The result in plain words."""
    f = _fit(s)
    if f is None:
        return Prose("Without a model nothing is learnt here beyond what single traits tell.")
    if not f.drivers:
        if bent := _bent(f):
            return Prose(
                f"Who churns goes with {listing(map(_trait, bent))} in a curve: high or low in the middle of its values, not at one end. "
                "No other trait is shown to matter, and this model, which draws straight lines, is not the one to predict with.")
        return Prose("None of the traits is shown to go with churn when all are looked at together, so the table gives no handle on who leaves.")
    text = ""
    for _, rule in s.model.decided.iterrows():
        text += f"{capital(_outcome(rule))}. "
    shown = _shown(s)
    if shown:
        who = "Among those whose outcome that leaves open, who" if text else "Who"
        equal = "" if len(f.tests) == 1 else ", the others held equal" if len(shown) == 1 else ", each with the others held equal"
        text += f"{who} churns goes with {listing(map(_trait, shown))}{equal}. "
    v = f.validation
    text += (
        f"Together the traits are enough to say well who is at risk ({percent(v.area_all.estimate, 0)} of pairs in the right order)."
        if v.area_all.low > 0.7 else
        f"Even so, the traits tell little about a single subscriber ({percent(v.area_all.estimate, 0)} of pairs in the right order).")
    return Prose(text)


def limits(s: Study) -> Prose:
    """What a model of one cross-section cannot say."""
    f = _fit(s)
    if f is None:
        return Prose("The table is one picture of subscribers at one time, without dates, so any model of it tells of associations only.")
    text = (
        "The table is one picture of subscribers at one time, without dates: some left and some stayed, and traits were noted at an unknown moment. "
        "So all of this is association.")
    found = set(f.drivers)
    if "promo_used" in found:
        text += " Offers may have been given to those who were content anyway, or refused by those who had decided to leave."
    if "payment_history" in found:
        text += " A late payment may be the first sign of a decision to leave instead of its cause."
    text += " Holding other traits equal holds only those equal that the table has"
    text += (
        "; and that nobody beyond a point has churned may say how the table was made rather than how subscribers behave."
        if len(s.model.decided) else ".")
    return Prose(text)


def answer(s: Study) -> Prose:
    """What moves churn most, in a sentence or two."""
    f = _fit(s)
    if f is None:
        return no_model(s)
    if not f.drivers:
        if bent := _bent(f):
            return Prose(
                f"**Churn goes with {listing(map(_trait, bent))}** in a curve; that any other trait matters is not shown.")
        if len(f.ranking) == 1:
            return Prose(f"**What moves churn** is not shown: {_trait(f.ranking.index[0])}, the only trait that can be compared, is not shown to matter.")
        return Prose(f"**What moves churn** is not shown: with {count(len(f.ranking), 'trait')} in one model, none of them is shown to matter.")
    rows = f.ranking.loc[list(f.drivers)]
    first = rows.index[0]
    text = f"**Churn goes most with {_trait(first)}**"
    rules = s.model.decided
    if first in set(rules["trait"]):
        text += f" ({_outcome(rules[rules['trait'] == first].iloc[0])})"
    if len(rows) > 1:
        text += f", then with {listing([_trait(t) for t in rows.index[1:]])}"
    rest = [t for t in f.ranking.index[~f.ranking["found"].to_numpy()] if t not in _bent(f)]
    if len(rest):
        one = _trait(rest[0]) if len(rest) == 1 else f"any of the other {number(len(rest))} traits"
        text += f"; that {one} {'matter' if len(rest) == 1 and rest[0] in MANY else 'matters'} is not shown"
    v = f.validation
    text += (f". A model of {'all traits' if len(f.ranking) > 1 else 'it'} ranks a churned subscriber above one who stayed in {percent(v.area_all.estimate, 0)} of pairs of subscribers that it has not seen.")
    return Prose(text)
