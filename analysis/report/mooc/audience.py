"""Who the users are: value and engagement by occupation, age and channel."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.audience import (
    BOUGHT,
    FACTORS,
    MARGIN,
    MEASURES,
    MINUTES,
    OTHERS,
    QUIZ,
    RATE,
    REVENUE,
    SPENT,
    VALUE,
)
from analysis.report import figures
from analysis.report.mooc.labels import group
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    count,
    escape,
    interval,
    listing,
    number,
    p_cell,
    p_value,
    paragraph,
    percent,
)
from analysis.stats.decision import Finding

ALPHA = 0.05
NAMES = {"user_occupation": "occupation", "user_age_group": "age group",
         "referral_channel": "referral channel"}
GROUPS = {"user_occupation": "occupations", "user_age_group": "age groups",
          "referral_channel": "referral channels"}
LABELS = {
    REVENUE: "revenue per user", BOUGHT: "share who bought", SPENT: "revenue per buyer",
    MINUTES: "minutes per course", RATE: "videos completed", QUIZ: "quiz score",
}
ENGAGEMENT = (MINUTES, RATE, QUIZ)
SHOWN = (REVENUE, RATE)  # in the figure: one measure of value, one of engagement
KINDS = ("as they come", "the other two held equal")
ALONE = Prose("There are no two groups of users to compare (@sec-mooc-audience).")  # `who` says why
MOST_LABEL = 22  # characters of a group's name in the figure


def _compared(s: Study) -> list[str]:
    """Factors with two groups or more that could be compared."""
    a = s.audience
    there = set(a.comparisons.index.get_level_values("factor"))
    return [factor for factor in FACTORS if factor in there]


def _test(s: Study, factor: str, measure: str) -> pd.Series | None:
    """A factor's test, if it could be made."""
    tests = s.audience.tests
    if (factor, measure) not in tests.index:
        return None
    row = tests.loc[(factor, measure)]
    return row if np.isfinite(row["p_adjusted"]) else None


def _differ(s: Study, factor: str, measures: tuple[str, ...], column: str = "p_adjusted") -> list[str]:
    """Measures in which a factor's groups are shown to differ."""
    rows = [(m, _test(s, factor, m)) for m in measures]
    return [m for m, row in rows if row is not None and row[column] <= ALPHA]


def _name(value: str) -> Prose:
    """A group's name in a sentence."""
    return escape(group(value))


def _value(measure: str, value: float) -> Prose:
    if measure == BOUGHT:
        return percent(value)
    if measure == RATE:
        return Prose(f"{number(value, 1)}%")
    return number(value, 0 if measure == MINUTES else 1)


def _limits(row: pd.Series, measure: str) -> Prose:
    """A mean with its interval."""
    if not np.isfinite(row["mean"]):
        return Prose(MISSING)
    scale, digits = (100, 1) if measure == BOUGHT else (1, 0 if measure == MINUTES else 1)
    text = number(scale * row["mean"], digits)
    if not np.isfinite(row["low"]):
        return text
    return Prose(f"{text} ({interval(scale * row['low'], scale * row['high'], digits)})")


def who(s: Study) -> Prose:
    """What is known of whom."""
    return paragraph(
        _known(s), _together(s),
        "" if _compared(s) else
        "There are no two groups of users to compare: every occupation, age group and referral channel "
        "that is given is the same for all, or held by too few users.")


def _known(s: Study) -> str:
    """How many users each factor is known of."""
    a = s.audience
    if not any(a.missing.values()):
        every = "the only user" if a.users == 1 else f"all {number(a.users)} users"
        return f"The tables give the {listing(NAMES.values())} of {every}."
    known = {factor: a.users - a.missing[factor] for factor in FACTORS}
    parts = [f"the {NAMES[factor]} of {percent(n / a.users) if n else 'none'}"
             for factor, n in known.items()]
    return (f"Of {count(a.users, 'user')} the tables give {listing(parts)}; the others are left out "
            "where that factor is compared.")


def _together(s: Study) -> str:
    """How many small groups of each factor stand together; empty where none do."""
    pooled = s.audience.pooled["users"]
    parts = []
    for factor in FACTORS:
        mine = pooled[pooled.index.get_level_values("factor") == factor]
        if len(mine):
            parts.append(f"{count(len(mine), 'small group')} by {NAMES[factor]} "
                         f"({count(int(mine.sum()), 'user')})")
    return f"“{capital(OTHERS)}” stands for {listing(parts)}." if parts else ""


def margin(s: Study) -> Prose:
    """What the smallest difference worth acting on amounts to."""
    m = s.audience.measures
    told = [f"{number(m.loc[name, 'margin'], 1)} in {LABELS[name]}"
            for name in (REVENUE, MINUTES) if m.loc[name, "margin"] > 0]
    if m.loc[RATE, "margin"] > 0:
        told.append(f"{number(m.loc[RATE, 'margin'], 1)} points in the share of videos completed")
    if not told:
        return Prose("Here no measure varies, so the margin is nought.")
    return Prose(f"Here that is {listing(told)}.")


def tied(s: Study) -> Prose:
    """Which of the factors go together."""
    t = s.audience.tied
    if t.empty:
        return Prose("Here no two of the factors have groups to compare, so none can stand for another.")
    found = t[t["p_adjusted"] <= ALPHA].sort_values("v", ascending=False, kind="stable")
    parts = []
    for (first, second), row in found.iterrows():
        parts.append(f"{NAMES[first]} and {NAMES[second]} (Cramér's V {number(row['v'], 2)}, "
                     f"{interval(row['v_low'], row['v_high'], 2)})")
    rest = t[t["p_adjusted"] > ALPHA]
    text = f"Here {listing(parts)} go together." if parts else ""
    if len(rest):
        names = listing((f"{NAMES[a]} and {NAMES[b]}" for a, b in rest.index), "or")
        text += (f"{' ' if text else ''}That {names} go together is not shown (V at most "
                 f"{number(rest['v_high'].max(), 2)}).")
    return Prose(text)


def tests_table(s: Study) -> Prose:
    """How much of each measure's variance lies between the groups, alone and with the others equal."""
    a = s.audience
    rows = []
    for (factor, measure), row in a.tests.iterrows():
        told = np.isfinite(row["p_value"])
        rows.append({
            "Factor": NAMES[factor].capitalize(),
            "Measure": LABELS[measure].capitalize(),
            "Variance explained, %": Prose(
                f"{number(100 * row['explained'], 2)} "
                f"({interval(100 * row['explained_low'], 100 * row['explained_high'], 2)})")
            if told else Prose(MISSING),
            "p": p_cell(row["p_adjusted"]) if told else Prose(MISSING),
            "Added to the other two, %": Prose(number(100 * row["added"], 2)),
            "p, others equal": p_cell(row["adjusted_p"]),
        })
    if not rows:
        return ALONE
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def groups_table(s: Study) -> Prose:
    """Value and engagement of every group, with intervals."""
    a = s.audience
    if a.groups.empty:
        return ALONE
    rows = []
    for factor in FACTORS:
        if factor not in a.groups.index.get_level_values("factor"):
            continue
        mine = a.groups.loc[factor]
        for name in dict.fromkeys(mine.index.get_level_values("group")):
            found = {m: mine.loc[(name, m)] for m in MEASURES if (name, m) in mine.index}
            shown = {"Factor": capital(NAMES[factor]), "Group": group(name),
                     "Users": found[REVENUE]["n"]}
            for measure, title in ((BOUGHT, "Bought, %"), (REVENUE, "Revenue per user"),
                                   (RATE, "Videos completed, %"), (QUIZ, "Quiz score")):
                shown[title] = _limits(found[measure], measure) if measure in found else Prose(
                    MISSING)
            rows.append(shown)
    frame = pd.DataFrame(rows)
    return table(frame, {"Users": number} | dict.fromkeys(frame.columns[3:], Prose))


def differences_figure(s: Study) -> p9.ggplot | Prose:
    """Each group less the rest, in standard deviations, as they come and adjusted."""
    rows = s.audience.comparisons.reset_index()
    rows = rows[rows["measure"].isin(SHOWN) & np.isfinite(rows["standardised"])]
    if rows.empty:
        return ALONE
    order = []
    for factor in FACTORS:
        order += [(factor, name) for name in dict.fromkeys(rows.loc[rows["factor"] == factor, "group"])]
    labels = {}
    for key in order:  # no two labels are the same, whatever was cut off
        if key[1] == OTHERS:
            labels[key] = f"{OTHERS} {GROUPS[key[0]]}"
            continue
        text = textwrap.shorten(group(key[1]), MOST_LABEL, placeholder="…")
        text = text if len(text) > 1 else group(key[1])[:MOST_LABEL - 1] + "…"
        while text in labels.values():
            text += " "
        labels[key] = text
    rows["label"] = pd.Categorical(
        [labels[key] for key in zip(rows["factor"], rows["group"], strict=True)],
        list(labels.values())[::-1])
    rows["panel"] = pd.Categorical(
        rows["measure"].map(lambda m: LABELS[m].capitalize()),
        [LABELS[m].capitalize() for m in SHOWN])
    rows["factor"] = pd.Categorical(rows["factor"], FACTORS).remove_unused_categories()
    prefix = "adjusted_" if np.isfinite(rows["adjusted_standardised"]).any() else ""
    line = rows.rename(columns={f"{prefix}standardised_low": "from", f"{prefix}standardised_high": "to"})
    points = pd.concat([
        rows.assign(value=rows["standardised"], kind=KINDS[0]),
        rows.assign(value=rows["adjusted_standardised"], kind=KINDS[1])])
    points = points[np.isfinite(points["value"])]
    points["kind"] = pd.Categorical(points["kind"], KINDS[::-1])
    return (
        figures.Plot(points, p9.aes("value", "label", color="kind", shape="kind"))
        + p9.geom_vline(xintercept=[-MARGIN, MARGIN], color=figures.GREY, linetype="dotted")
        + p9.geom_segment(p9.aes(x="from", xend="to", y="label", yend="label", group=1), data=line,
                          inherit_aes=False, color=figures.BLUE, na_rm=True)
        + p9.geom_point(size=1.9)
        + p9.facet_grid("factor", "panel", scales="free_y", space="free_y")
        + figures.colours(KINDS[::-1])
        + p9.scale_shape_manual(dict(zip(KINDS[::-1], ("o", "x"), strict=True)))
        + p9.scale_x_continuous(breaks=_breaks)
        + p9.labs(x="Group less the rest, standard deviations", y="")
        + figures.theme(height=1.35 + 0.185 * len(order))
        + p9.theme(strip_text_y=p9.element_blank(), panel_grid_major=p9.element_blank())
    )


def _breaks(limits: tuple[float, float]) -> list[float]:
    """Few round places, none near the ends, where labels of neighbouring panels would meet."""
    low, high = limits
    step = next(step for step in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 1e300)
                if (high - low) / step <= 4)
    inset = 0.08 * (high - low)
    places = np.arange(np.ceil((low + inset) / step), np.floor((high - inset) / step) + 1) * step
    return [float(place) for place in np.round(places, 10) + 0.0]


def _extremes(s: Study, factor: str, measure: str) -> str:
    """The groups at both ends that are shown to differ from the rest, with their means."""
    a = s.audience
    rows = a.comparisons.xs((factor, measure), level=("factor", "measure"))
    means = a.groups["mean"].xs((factor, measure), level=("factor", "measure"))
    parts = []
    for finding, pick in ((Finding.HIGHER, "idxmax"), (Finding.LOWER, "idxmin")):
        mine = rows[rows["finding"] == finding.value]
        if len(mine):
            name = getattr(mine["standardised"], pick)()
            row = mine.loc[name]
            size = interval(row["standardised_low"], row["standardised_high"], 2)
            parts.append(
                f"{'highest' if finding is Finding.HIGHER else 'lowest'} for {_name(name)} "
                f"({_value(measure, means[name])}; {number(row['standardised'], 2)} standard "
                f"deviations from the rest, {size})")
    return listing(parts)


def _sentence(s: Study, factor: str, measures: tuple[str, ...], what: str) -> str:
    """Whether a factor's groups differ in some measures."""
    made = [m for m in measures if _test(s, factor, m) is not None]
    if not made:
        return f"whether {GROUPS[factor]} differ in {what} cannot be tested here"
    found = _differ(s, factor, measures)
    if not found:
        top = max(_test(s, factor, m)["explained_high"] for m in made)
        least = min(_test(s, factor, m)["p_adjusted"] for m in made)
        bound = (
            "the groups lie closer together than chance would bring them, so that no interval says how "
            "much of any variance could lie between them" if top < 5e-5 else
            f"at most {percent(top, 2)} of any variance lies between them, where the intervals end")
        return (f"{GROUPS[factor]} are not shown to differ in {what} (smallest corrected "
                f"{p_value(least)}; {bound})")
    best = max(found, key=lambda m: _test(s, factor, m)["explained"])
    row = _test(s, factor, best)
    up_to = "up to " if len(found) > 1 else ""
    text = (f"{GROUPS[factor]} differ in {listing(LABELS[m] for m in found)}, and account for "
            f"{up_to}{percent(row['explained'])} of the variance ({p_value(row['p_adjusted'])})")
    ends = _extremes(s, factor, best)
    return f"{text}; {LABELS[best]} is {ends}" if ends else text


def value(s: Study) -> Prose:
    """Which factors go with what users are worth."""
    if not _compared(s):
        return ALONE
    return Prose(" ".join(
        f"{capital(_sentence(s, factor, VALUE, 'value'))}." for factor in _compared(s)))


def engagement(s: Study) -> Prose:
    """Which factors go with how users learn."""
    if not _compared(s):
        return ALONE
    return Prose(" ".join(
        f"{capital(_sentence(s, factor, ENGAGEMENT, 'how they learn'))}."
        for factor in _compared(s)))


def carries(s: Study) -> Prose:
    """Which of the factors that go together carries a difference, once the others are held equal."""
    a = s.audience
    if a.tests["adjusted_p"].notna().sum() == 0:
        return Prose("The factors cannot be held equal here: fewer than two of them have groups, or "
                     "they cannot be told apart.")
    stays, goes, comes = [], [], []
    for factor in _compared(s):
        for kind, measures in (("value", VALUE), ("how users learn", ENGAGEMENT)):
            told = [m for m in measures if (factor, m) in a.tests.index
                    and np.isfinite(a.tests.loc[(factor, m), "adjusted_p"])]
            alone = _differ(s, factor, tuple(told))
            equal = [m for m in told if a.tests.loc[(factor, m), "adjusted_p"] <= ALPHA]
            both = [m for m in alone if m in equal]
            lost = [m for m in alone if m not in equal]
            new = [m for m in equal if m not in alone]
            if both:
                stays.append(f"{NAMES[factor]} for {kind}")
            for m in lost:
                goes.append((factor, m))
            for m in new:
                comes.append((factor, m))
    parts = []
    if stays:
        parts.append(f"With the other factors held equal, differences remain by {listing(stays)}.")
    for factor in _compared(s):
        mine = [m for f, m in goes if f == factor]
        if mine:
            most = max(mine, key=lambda m: a.tests.loc[(factor, m), "explained"])
            row = a.tests.loc[(factor, most)]
            with_it = _partners(s, factor)
            parts.append(
                f"Those by {NAMES[factor]} in {listing(LABELS[m] for m in mine)} are no longer "
                f"shown: alone it explains {percent(row['explained'], 2)} of the variance of "
                f"{LABELS[most]}, and to the others it adds {percent(row['added'], 2)} "
                f"({p_value(row['adjusted_p'])})."
                + (f" What looked like an effect of {NAMES[factor]} is what comes with "
                   f"{listing(with_it)}." if with_it else ""))
        mine = [m for f, m in comes if f == factor]
        if mine:
            parts.append(f"By {NAMES[factor]}, differences in {listing(LABELS[m] for m in mine)} "
                         "show only once the others are held equal.")
    if not parts:
        return Prose("Held equal or not, none of the factors is shown to make a difference.")
    return Prose(" ".join(parts))


def _partners(s: Study, factor: str) -> list[str]:
    """Factors that one is shown to go with and whose groups differ with the others held equal."""
    found = []
    for pair, row in s.audience.tied.iterrows():
        if factor in pair and row["p_adjusted"] <= ALPHA:
            other = next(name for name in pair if name != factor)
            if _differ(s, other, MEASURES, "adjusted_p"):
                found.append(NAMES[other])
    return found


def alike(s: Study) -> Prose:
    """What is shown to be alike, and what stays open, among what is not shown to differ."""
    c = s.audience.comparisons
    found = c["adjusted_finding"].where(c["adjusted_finding"].notna(), c["finding"]).dropna()
    if found.empty:
        return ALONE
    sizes = found.value_counts()
    differs = int(sizes.get(Finding.HIGHER.value, 0) + sizes.get(Finding.LOWER.value, 0))
    same = int(sizes.get(Finding.EQUIVALENT.value, 0))
    left = int(sizes.get(Finding.INCONCLUSIVE.value, 0))
    total = len(found)
    how = ", the other factors held equal" if c["adjusted_finding"].notna().any() else ""
    text = (f"Of {count(total, 'comparison')} of a group with the rest{how}, {number(differs)} "
            f"{'shows' if differs == 1 else 'show'} a difference, {number(same)} "
            f"{'shows' if same == 1 else 'show'} that there is none above {MARGIN} standard deviations, "
            f"and {number(left)} {'leaves' if left == 1 else 'leave'} it open")
    if left:
        text += ": these groups are too small to tell, which is not the same as no difference"
    return Prose(f"{text}.")


def answer(s: Study) -> Prose:
    """The result in a few sentences: what goes with how users learn, and what with their worth."""
    compared = _compared(s)
    if not compared:
        return ALONE

    def held(factor: str, measures: tuple[str, ...]) -> bool:
        column = "adjusted_p" if s.audience.tests["adjusted_p"].notna().any() else "p_adjusted"
        return bool(_differ(s, factor, measures, column))

    learning = [NAMES[f] for f in compared if held(f, ENGAGEMENT)]
    worth = [NAMES[f] for f in compared if held(f, VALUE)]
    equal = (", the other factors held equal,"
             if s.audience.tests["adjusted_p"].notna().any() else "")
    every = listing((NAMES[factor] for factor in compared), "or")
    first = (f"How users learn goes{equal} with {listing(learning)}" if learning else
             f"How users learn is not shown to go with {every}")
    second = (f"what they are worth goes with {listing(worth)}" if worth else
              f"what they are worth is not shown to go with {every}")
    rest = [NAMES[f] for f in compared if NAMES[f] not in (*learning, *worth)]
    text = f"{first}; {second}."
    if rest and (learning or worth):
        text += (f" {capital(listing(rest))} {'is' if len(rest) == 1 else 'are'} not shown to "
                 "matter beside the others.")
    return Prose(text)


def recommendation(s: Study) -> Prose:
    """What follows from it; empty where nothing does."""
    a = s.audience
    column = "adjusted_p" if a.tests["adjusted_p"].notna().any() else "p_adjusted"
    learning = {f: _differ(s, f, ENGAGEMENT, column) for f in _compared(s)}
    learning = {f: found for f, found in learning.items() if found}
    if not learning:
        return Prose("")
    factor = max(learning, key=lambda f: max(
        a.tests.loc[(f, m), "explained"] for m in learning[f]))
    measure = max(learning[factor], key=lambda m: a.tests.loc[(factor, m), "explained"])
    rows = a.comparisons.xs((factor, measure), level=("factor", "measure"))
    value = rows["adjusted_standardised"].where(
        rows["adjusted_standardised"].notna(), rows["standardised"])
    finding = rows["adjusted_finding"].where(rows["adjusted_finding"].notna(), rows["finding"])
    low = value[finding == Finding.LOWER.value].drop(OTHERS, errors="ignore")
    if low.empty:
        return Prose("")
    name = low.idxmin()
    mean = a.groups.loc[(factor, name, measure), "mean"]
    text = (f"**Help users whose {NAMES[factor]} is {_name(name)} to learn.** Their {LABELS[measure]} is "
            f"{_value(measure, mean)}, lower than that of the rest by "
            f"{number(-low[name], 2)} standard deviations"
            + (" with the other factors held equal" if column == "adjusted_p" else ""))
    worth = _differ(s, factor, VALUE, column)
    if not worth:
        text += (f". Do not price or advertise by {NAMES[factor]}: it is not shown to go with what "
                 "users are worth")
    return Prose(f"{text} (@sec-mooc-audience).")
