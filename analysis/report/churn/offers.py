"""Offers and late payment against churn: the two readings, the strata, and what they cannot say."""

from __future__ import annotations

import math
import textwrap

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.churn import Study
from analysis.churn.offers import (
    ALPHA,
    CLAIMED,
    FACTORS,
    LENGTH,
    OFFER,
    OTHER_PLANS,
    PAYMENT,
    PLAN,
    STRATIFIERS,
    TOGETHER,
)
from analysis.report import figures
from analysis.report.churn.lengths import have_churned
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
    percents,
)

# The exposed and the others, to follow "subscribers".
WHO = {
    OFFER: ("who used an offer", "who used none"),
    PAYMENT: ("who paid late", "who paid on time"),
}
DOING = {OFFER: "using an offer", PAYMENT: "paying late"}
CALLED = {OFFER: "offers", PAYMENT: "payment history", PLAN: "plan", LENGTH: "length of subscription"}
STATUS = {"Yes": "churned", "No": "stayed"}
WEAKER, STRONGER = 0.8, 1.25  # log ratios in strata over that of all, beyond which it has moved
LITTLE = 0.1  # Cramér's V below which a thing is too loosely tied to explain much
MOST_BREAKS = 6  # on an axis
MOST_LABEL = 24  # characters of a stratum's name in the figure
SHORT = {OFFER: "offers", PAYMENT: "payment", PLAN: "plan", LENGTH: "length"}
PANELS = {OFFER: "Offer used", PAYMENT: "Paid late"}
WHERE = {OFFER: "@tbl-netflix-offers-strata", PAYMENT: "@fig-netflix-offers-odds"}  # the strata stand


def _status(s: Study) -> Prose | None:
    """What to say where all have the same status."""
    if s.offers.churned == 0:
        return Prose("Nobody has churned, so nothing can go with churn.")
    if s.offers.churned == s.offers.subscribers:
        return Prose("Everybody in the table has churned, so nothing can go with churn.")
    return None


def _one_value(s: Study, factor: str) -> Prose | None:
    """What to say where a factor has one value only."""
    if factor in s.offers.effects.index:
        return None
    value = s.readings[factor]["value"].iloc[0]
    exposed = value == FACTORS[factor][0]
    if factor == OFFER:
        said = "Everybody has used an offer" if exposed else "Nobody has used an offer"
    else:
        said = "Everybody has paid late" if exposed else "Everybody has paid on time"
    return Prose(f"{said}, so there is nothing to compare.")


def _nothing(s: Study, factor: str) -> Prose | None:
    return _status(s) or _one_value(s, factor)


def _in_brackets(low: float, high: float, digits: int = 2) -> str:
    """Limits of a ratio, as far as anything bounds it: " (0.35 to 0.53)"."""
    if not math.isfinite(low) and not math.isfinite(high):
        return ""
    if not math.isfinite(high):
        return f" ({number(low, digits)} or more)"
    if low == 0:
        return f" (at most {number(high, digits)})"
    return f" ({interval(low, high, digits)})"


def _ratio(row: pd.Series, name: str) -> Prose:
    """A ratio with its limits for a table; a dash where there is none."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return Prose(MISSING)
    shown = number(value, 2) if math.isfinite(value) else "∞"
    return Prose(f"{shown}{_in_brackets(low, high)}")


def _ratio_said(row: pd.Series, name: str, what: str) -> str:
    """A ratio in a sentence: "an odds ratio of 0.43 (0.35 to 0.53)"; empty where there is none."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return f"{what} of at least {number(low, 2)}, with nothing to bound it above"
    if value == 0:
        return f"{what} of at most {number(high, 2)}, with nothing to bound it below"
    return f"{what} of {number(value, 2)}{_in_brackets(low, high)}"


def _stratum(by: str, name: str) -> str:
    """A stratum as people call it: plain text."""
    if by in (OFFER, PAYMENT):
        return WHO[by][FACTORS[by].index(name)]
    if by == LENGTH:
        words = name.replace("_", " ")
        return f"{words.replace('over', 'more than')} months"
    return "all other plans" if name == OTHER_PLANS else name


def _said(by: str, name: str) -> str:
    """A stratum in a sentence, to follow "subscribers"."""
    called = escape(_stratum(by, name))
    if by == PLAN:
        return "on all other plans" if name == OTHER_PLANS else f"on plan {called}"
    return f"of {called}" if by == LENGTH else called


# The two readings


def readings_table(s: Study, factor: str = OFFER) -> Prose:
    """Both readings side by side, a row a value."""
    frame = s.readings[factor].set_index(["value", "churned"])
    rows = []
    for value in sorted(set(frame.index.get_level_values("value")), key=FACTORS[factor].index):
        yes, no = frame.loc[(value, "Yes")], frame.loc[(value, "No")]
        rows.append({
            "Subscribers": capital(WHO[factor][FACTORS[factor].index(value)]),
            "All": yes["subscribers"] + no["subscribers"],
            "Churned": yes["subscribers"],
            "Churn rate": _share(yes, "of_value"),
            "Share of the churned": _share(yes, "of_status"),
            "Share of those who stayed": _share(no, "of_status"),
        })
    shares = dict.fromkeys(("Churn rate", "Share of the churned", "Share of those who stayed"), Prose)
    return table(pd.DataFrame(rows), {"All": number, "Churned": number} | shares)


def _share(row: pd.Series, reading: str) -> Prose:
    if not math.isfinite(row[reading]):
        return Prose(MISSING)
    return Prose(f"{percent(row[reading])} ({percents(row[f'{reading}_low'], row[f'{reading}_high'])})")


def _effect(s: Study, factor: str) -> str:
    """Both churn rates, and how far they are apart."""
    row = s.offers.effects.loc[factor]
    a, b = (
        have_churned(int(row[f"{part}_churned"]), int(row[part]), who)
        for part, who in zip(("exposed", "others"), WHO[factor], strict=True)
    )
    gap = row["difference"]
    low, high = sorted((abs(row["difference_low"]), abs(row["difference_high"])))
    if row["difference_low"] * row["difference_high"] > 0:
        size = f"{number(100 * abs(gap), 1)} points {'fewer' if gap < 0 else 'more'} (95% interval {interval(100 * low, 100 * high, 1)})"
    else:
        ends = interval(100 * row["difference_low"], 100 * row["difference_high"], 1)
        size = f"a difference of {number(100 * gap, 1)} points (95% interval {ends})"
    ratios = [_ratio_said(row, "ratio", "a ratio"), _ratio_said(row, "odds_ratio", "an odds ratio")]
    return capital(f"{a}, and {b}: {listing([size, *filter(None, ratios)])}; corrected {p_value(row['p_adjusted'])}.")


def rates(s: Study, factor: str = OFFER) -> Prose:
    """The reading that answers the question: churn rates with and without."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    text = _effect(s, factor)
    row = s.offers.effects.loc[factor]
    if row["p_adjusted"] > ALPHA:
        return Prose(f"{text} That {DOING[factor]} goes with churn is not shown.")
    more = row["difference"] > 0
    return Prose(f"{text} {capital(DOING[factor])} goes with {'more' if more else 'less'} churn.")


def turned(s: Study, factor: str = OFFER) -> Prose:
    """The other reading: how many of the churned and of those who stayed were exposed."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    frame = s.readings[factor].set_index(["value", "churned"])
    value = FACTORS[factor][0]
    done = {OFFER: "used an offer", PAYMENT: "paid late"}[factor]
    parts = []
    for status, people in (("Yes", "churned"), ("No", "stayed")):
        n = s.offers.churned if status == "Yes" else s.offers.subscribers - s.offers.churned
        row = frame.loc[(value, status)]
        if n == 1:
            parts.append(f"the one who {people} {'had' if row['subscribers'] else 'had not'} {done}")
        else:
            parts.append(f"of the {number(n)} who {people} {percent(row['of_status'])} had {done}")
    return Prose(f"Turned around, {listing(parts)}: shares that answer another question.")


def claims(s: Study) -> Prose:
    """What the source's figures are, and that they cannot be churn rates."""
    c = s.offers.claims
    rate = s.offers.churned / s.offers.subscribers
    text = f"The source gives churn rates of {percent(CLAIMED['No'], 0)} without and {percent(CLAIMED['Yes'], 0)} with an offer. "
    if s.offers.possible:
        text += f"The churn rate of all subscribers, {percent(rate)}, lies between the two, so arithmetic does not rule them out."
    else:
        where = "above" if rate < min(CLAIMED.values()) else "below"
        text += (
            f"Both are {where} the churn rate of all subscribers, {percent(rate)}, and that cannot be: with as many users of offers as here, such rates "
            f"would mean that {percent(s.offers.implied_rate)} of all had churned"
        )
        # Of a few subscribers no whole number may be nearer to the rate than that which churned.
        would = round(s.offers.implied_rate * s.offers.subscribers)
        text += "." if would == s.offers.churned else f", {count(would, 'subscriber')} and not {number(s.offers.churned)}."
    known = c["actual"].notna()
    if known.all():
        actual = f"{percent(c.loc['No', 'actual'])} without and {percent(c.loc['Yes', 'actual'])} with an offer"
        text += (
            f" As churn rates they agree with this table: it has {actual}." if c["same"].all()
            else f" The churn rates of this table are {actual}."
        )
    named, absent = [], []
    for claim, figure in CLAIMED.items():
        found = [key[1:] for key in s.offers.matches.index if key[0] == claim]
        if found:
            named.append(f"{percent(figure, 0)} is {listing((_matched(*key) for key in found), 'or')}")
        else:
            absent.append(percent(figure, 0))
    if named:
        text += f" In this table {listing(named)}."
    if absent:
        text += f" No share of this table, in either reading, rounds to {listing(absent, 'or')}."
    return Prose(text)


def _matched(reading: str, value: str, churned: str) -> str:
    people = WHO[OFFER][FACTORS[OFFER].index(value)]
    if reading == "of_status":
        return f"the share of those {people} among those who {STATUS[churned]}"
    if churned == "Yes":
        return f"the churn rate of those {people}"
    return f"the share of those {people} that stayed"


def readings_figure(s: Study) -> p9.ggplot | Prose:
    """Churn rates by offer beside shares of offer users by status."""
    if (nothing := _nothing(s, OFFER)) is not None:
        return nothing
    frame = s.readings[OFFER]
    panels = ("Share who churned", "Share who used an offer")
    used = {value: who.removeprefix("who ") for value, who in zip(FACTORS[OFFER], WHO[OFFER], strict=True)}
    rates_ = frame[frame["churned"] == "Yes"].assign(
        panel=panels[0], bar=lambda f: f["value"].map(used),
        share=lambda f: f["of_value"], low=lambda f: f["of_value_low"], high=lambda f: f["of_value_high"])
    shares = frame[frame["value"] == FACTORS[OFFER][0]].assign(
        panel=panels[1], bar=lambda f: f["churned"].map(STATUS),
        share=lambda f: f["of_status"], low=lambda f: f["of_status_low"], high=lambda f: f["of_status_high"])
    rows = pd.concat([rates_, shares])[["panel", "bar", "share", "low", "high"]]
    rows["panel"] = pd.Categorical(rows["panel"], panels)
    rows["bar"] = pd.Categorical(rows["bar"], [*used.values(), *STATUS.values()])
    rows["label"] = [str(percent(value, 0)) for value in rows["share"]]
    return (
        figures.Plot(rows, p9.aes("bar", "share", fill="panel"))
        + p9.geom_col(width=0.6)
        + p9.geom_errorbar(p9.aes(ymin="low", ymax="high"), width=0.12, color=figures.INK, size=0.5)
        + p9.geom_text(p9.aes(y="high", label="label"), va="bottom", nudge_y=0.015, size=9, color=figures.INK)
        + p9.facet_wrap("panel", scales="free_x")
        + figures.fills(panels)
        + p9.scale_y_continuous(labels=figures.percents, limits=(0, min(1.1, float(rows["high"].max()) + 0.1)))
        + p9.labs(x="of those who …", y="")
        + figures.theme(height=2.9, legend="none")
        + p9.theme(panel_grid_major_x=p9.element_blank())
    )


# Strata


def _strata(s: Study, factor: str, by: str | None = None) -> pd.DataFrame:
    """A factor's strata, all of them (index `by`, `stratum`) or those of one kind (index `stratum`)."""
    rows = s.offers.strata.xs(factor, level="factor")
    return rows if by is None else rows.xs(by, level="by")


def strata_table(s: Study, factor: str = OFFER) -> Prose:
    """Churn rates and odds ratios in every stratum."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    exposed, others = (who.removeprefix("who ") for who in WHO[factor])
    rows = []
    for (by, name), row in _strata(s, factor).iterrows():
        rows.append({
            "By": capital(CALLED[by]),
            "Subscribers": _stratum(by, name),
            f"Churn rate, {exposed}": _of(row, "exposed"),
            f"Churn rate, {others}": _of(row, "others"),
            "Odds ratio": _ratio(row, "odds_ratio"),
        })
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def _of(row: pd.Series, part: str) -> Prose:
    if not row[part]:
        return Prose(MISSING)
    return Prose(f"{percent(row[f'{part}_rate'])} of {number(row[part])}")


def common_table(s: Study) -> Prose:
    """Common ratios of both factors over each stratification."""
    if (nothing := _status(s)) is not None:
        return nothing
    rows = []
    for factor in FACTORS:
        if factor not in s.offers.effects.index:
            continue
        whole = s.offers.effects.loc[factor]
        rows.append({"Compared": PANELS[factor], "Alike in": Prose("nothing"), "Ratio of rates": _ratio(whole, "ratio"),
                     "Odds ratio": _ratio(whole, "odds_ratio"), "p, odds ratios equal": Prose(MISSING)})
        for by in (*STRATIFIERS, TOGETHER):
            if (factor, by) not in s.offers.common.index:
                continue
            row = s.offers.common.loc[(factor, by)]
            equal = row["homogeneity_p_adjusted"]
            rows.append({
                "Compared": PANELS[factor], "Alike in": Prose("all of these" if by == TOGETHER else CALLED[by]),
                "Ratio of rates": _ratio(row, "ratio"), "Odds ratio": _ratio(row, "odds_ratio"),
                "p, odds ratios equal": p_cell(equal) if math.isfinite(equal) else Prose(MISSING),
            })
    if not rows:
        return Prose("Neither offers nor payment history differ between subscribers, so there are no ratios.")
    frame = pd.DataFrame(rows)
    return table(frame, dict.fromkeys(frame.columns[2:], Prose))


def odds_figure(s: Study) -> p9.ggplot | Prose:
    """Odds ratios by stratum, and what the strata of a kind have in common."""
    if (nothing := _status(s)) is not None:
        return nothing
    kinds = ("in the stratum", "common to the strata")
    rows, names = [], _names(s)
    for factor in FACTORS:
        for by in (*STRATIFIERS, TOGETHER):
            if (factor, by) not in s.offers.common.index:
                continue
            if by != TOGETHER:
                mine = _strata(s, factor, by)
                rows += [(PANELS[factor], by, names[by, name], kinds[0], *_ends(row))
                         for name, row in mine.iterrows() if row["informative"]]
            common = s.offers.common.loc[(factor, by)]
            rows.append((PANELS[factor], by, names[by, ""], kinds[1], *_ends(common)))
    if not rows:
        return Prose("No stratum has both groups and both statuses, so there are no odds ratios to draw.")
    frame = pd.DataFrame(rows, columns=["panel", "by", "label", "kind", "value", "low", "high"])
    ends = frame[["value", "low", "high"]].to_numpy()
    bounded = ends[np.isfinite(ends) & (ends > 0)]
    least, most = float(min(bounded.min(initial=1.0), 0.5)) / 1.3, float(max(bounded.max(initial=1.0), 2.0)) * 1.3
    frame[["value", "low", "high"]] = frame[["value", "low", "high"]].clip(least, most)
    frame["label"] = pd.Categorical(frame["label"], list(names.values())[::-1]).remove_unused_categories()
    frame["by"] = pd.Categorical(frame["by"], (*STRATIFIERS, TOGETHER)).remove_unused_categories()
    frame["panel"] = pd.Categorical(frame["panel"], PANELS.values()).remove_unused_categories()
    frame["kind"] = pd.Categorical(frame["kind"], kinds).remove_unused_categories()
    kept = list(frame["kind"].cat.categories)
    return (
        figures.Plot(frame, p9.aes("value", "label", color="kind", shape="kind"))
        + p9.geom_vline(xintercept=1, color=figures.GREY, linetype="dashed")
        + p9.geom_segment(p9.aes(x="low", xend="high", yend="label"), size=0.7)
        + p9.geom_point(size=2)
        + p9.facet_grid("by", "panel", scales="free", space={"y": frame.groupby("by", observed=True)["label"].nunique().tolist(), "x": [1] * frame["panel"].nunique()})
        + p9.expand_limits(x=1)
        + figures.log_x(breaks=_breaks, labels=lambda values: [f"{value:g}" for value in values])
        + figures.colours(kept)
        + p9.scale_shape_manual(dict(zip(kept, ("o", "D"), strict=False)))
        + p9.labs(x="Odds ratio of churn", y="")
        + figures.theme(height=1.3 + 0.2 * frame["label"].nunique())
        + p9.theme(strip_text_y=p9.element_blank())
    )


def _ends(row: pd.Series) -> tuple[float, float, float]:
    value, low, high = (float(row[f"odds_ratio{end}"]) for end in ("", "_low", "_high"))
    return value, low, high


def _names(s: Study) -> dict[tuple[str, str], str]:
    """How strata are called in the figure, and "" of each kind what they have in common; no two alike."""
    strata = s.offers.strata.index.droplevel("factor").unique()
    names: dict[tuple[str, str], str] = {}
    for by in (*STRATIFIERS, TOGETHER):
        common = "alike in all of these" if by == TOGETHER else f"common, by {SHORT[by]}"
        for name, text in [*((n, _stratum(by, n)) for b, n in strata if b == by), ("", common)]:
            label = textwrap.shorten(text.removeprefix("who "), MOST_LABEL, placeholder="…")
            label = label if len(label) > 1 else text[:MOST_LABEL]
            while label in names.values():
                label += " "
            names[by, name] = label
    return names


def _breaks(limits: tuple[float, float]) -> list[float]:
    """Round places on a logarithmic axis, few of them."""
    low, high = limits
    for steps, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 10)):
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        places = [step * 10.0**k for k in decades if k % every == 0 for step in steps]
        inside = [place for place in places if low <= place <= high]
        if len(inside) <= MOST_BREAKS:
            break
    return inside


def holds(s: Study, factor: str = OFFER) -> Prose:
    """Whether the association is there in each stratum."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    whole = s.offers.effects.loc[factor]
    rows = _strata(s, factor)
    told = rows[rows["informative"]]
    if told.empty:
        return Prose("No stratum has both groups and both statuses, so none says anything.")
    more = whole["difference"] > 0
    up, down = (told["difference"] > 0), (told["difference"] < 0)
    tell = count(len(told), "stratum", "strata")
    if whole["difference"] == 0:
        text = (
            f"In the table as a whole the two rates are equal; of {tell} that can tell, {number(up.sum())} {'has' if up.sum() == 1 else 'have'} more churn among those "
            f"{WHO[factor][0]} and {number(down.sum())} less ({WHERE[factor]})."
        )
    else:
        same = int((up if more else down).sum())
        where = (
            f"{number(same)} of {tell} that can tell" if same < len(told) else
            "the one stratum that can tell" if same == 1 else f"each of the {tell} that can tell"
        )
        text = f"As in the table as a whole, those {WHO[factor][0]} have churned {'more' if more else 'less'} in {where}"
        contrary = told[down if more else up]
        beyond = contrary[(contrary["odds_ratio_low"] > 1) | (contrary["odds_ratio_high"] < 1)]
        if len(beyond):
            names = listing(f"subscribers {_said(by, name)}" for by, name in beyond.index)
            text += f", and {'less' if more else 'more'} among {names}, by more than the interval of that stratum allows for chance"
        elif len(contrary):
            text += "; that it is the other way round in any is not shown"
        text += f" ({WHERE[factor]})."
    return Prose(text)


def within(s: Study) -> Prose:
    """Whether either association is there in each stratum, and which strata say nothing."""
    return paragraph(holds(s), holds(s, PAYMENT), _silent(s))


def _silent(s: Study) -> str:
    """Which strata say nothing of either; empty where all do, or none."""
    told: dict[str, dict[str, None]] = {}
    for factor in FACTORS:
        if _nothing(s, factor) is None:
            rows = _strata(s, factor)
            # Where none says anything, `holds` has said so.
            silent_ = rows[~rows["informative"] & rows["informative"].any()]
            for (by, name), row in silent_.iterrows():
                told.setdefault(_silence(row, factor), {})[_said(by, name)] = None
    return " ".join(
        f"Among subscribers {listing(names, 'or')}, {why}, so there is nothing to compare."
        for why, names in told.items())


def _silence(row: pd.Series, factor: str) -> str:
    """Why a stratum says nothing of an odds ratio."""
    churned = row["exposed_churned"] + row["others_churned"]
    if not row["exposed"]:
        return f"all are among those {WHO[factor][1]}"
    if not row["others"]:
        return f"all are among those {WHO[factor][0]}"
    return "nobody has churned" if churned == 0 else "everybody has churned"


def differ(s: Study, factor: str = OFFER) -> Prose:
    """Whether the odds ratios of the strata are equal, and where they are not."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    every = s.offers.common
    every = every[(every.index.get_level_values("factor") == factor) & every["homogeneity_p"].notna()].droplevel("factor")
    rows = every.drop(index=TOGETHER, errors="ignore")
    if rows.empty:
        return Prose("Whether the odds ratio is the same in all strata cannot be tested here.")
    parts = []
    for by, row in rows[rows["homogeneity_p_adjusted"] <= ALPHA].iterrows():
        told = _strata(s, factor, by)
        told = told[told["informative"]]
        ends = listing(
            f"{_odds(told.loc[name, 'odds_ratio'])} among those {_said(by, name)}"
            for name in (told["odds_ratio"].idxmin(), told["odds_ratio"].idxmax()))
        parts.append(f"The odds ratios differ by {CALLED[by]}: {ends} (corrected {p_value(row['homogeneity_p_adjusted'])}).")
    rest = rows[rows["homogeneity_p_adjusted"] > ALPHA]
    if len(rest):
        parts.append(
            f"That {'they' if parts else 'the odds ratios'} differ by {listing((CALLED[by] for by in rest.index), 'or')} is not shown "
            f"({'corrected' if len(rest) == 1 else 'smallest corrected'} {p_value(rest['homogeneity_p_adjusted'].min())})."
        )
    if TOGETHER in every.index:
        row = every.loc[TOGETHER]
        equal = row["homogeneity_p_adjusted"] > ALPHA
        parts.append(
            f"Between the {count(int(row['strata']), 'stratum', 'strata')} of subscribers alike in all of these a difference is "
            f"{'not ' if equal else ''}shown (corrected {p_value(row['homogeneity_p_adjusted'])})"
            + ("; so the differences above may come from what is mixed within the strata of one thing alone." if equal and len(rest) < len(rows) else ".")
        )
    return Prose(" ".join(parts))


def _odds(value: float) -> Prose:
    return number(value, 2) if math.isfinite(value) else Prose("an unbounded one")


def moved(s: Study, factor: str = OFFER) -> Prose:
    """Whether the rest of the table explains the association."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    t = s.offers.tied
    t = t[t.index.get_level_values("factor") == factor].droplevel("factor")
    shown, rest = t[t["p_adjusted"] <= ALPHA], t[t["p_adjusted"] > ALPHA]
    parts = []
    if len(shown):
        names = listing(f"{CALLED[by]} (V = {number(row['v'], 2)}, {interval(row['v_low'], row['v_high'], 2)})" for by, row in shown.iterrows())
        parts.append(f"{capital(DOING[factor])} goes with {names}.")
    if len(rest):
        most = rest["v_high"].max()
        parts.append(
            f"That {'it' if len(shown) else DOING[factor]} goes with {listing((CALLED[by] for by in rest.index), 'or')} is not shown (V at most {number(most, 2)})"
            + (", so there is little that they could explain." if len(shown) == 0 and most < LITTLE else ".")
        )
    whole = s.offers.effects.loc[factor]
    row = s.offers.common.loc[(factor, TOGETHER)] if (factor, TOGETHER) in s.offers.common.index else None
    if row is None or not row["ratio"] > 0 or not whole["ratio"] > 0:
        parts.append("A ratio of rates among subscribers alike in all of these cannot be had here.")
        return Prose(" ".join(parts))
    crude, common = math.log(whole["ratio"]), math.log(row["ratio"])
    text = (
        f"Among subscribers alike in all of these the ratio of churn rates is {number(row['ratio'], 2)} "
        f"({interval(row['ratio_low'], row['ratio_high'], 2)}), against {number(whole['ratio'], 2)} "
        f"({interval(whole['ratio_low'], whole['ratio_high'], 2)}) in the table as a whole"
    )
    if row["ratio_low"] <= 1 <= row["ratio_high"]:
        text += ": an association beside them is not shown."
    elif crude * common < 0:
        text += ": held alike, it turns round."
    elif abs(common) < WEAKER * abs(crude):
        text += ": part of the association is that of these, and the rest is not."
    elif abs(common) > STRONGER * abs(crude):
        text += ": held alike, it is stronger."
    else:
        text += ": they explain little of it."
    parts.append(text)
    odds = whole["odds_ratio"], row["odds_ratio"]
    if shown.empty and not row["ratio_low"] <= 1 <= row["ratio_high"] and all(0 < value < math.inf for value in odds):
        step = abs(math.log(odds[1] / odds[0]))
        if step > math.log(STRONGER) and step > 2 * abs(common - crude):
            parts.append(
                f"The odds ratio goes from {number(odds[0], 2)} to {number(odds[1], 2)}, more by arithmetic than by anything about subscribers: "
                "the odds ratio of a whole is no average of those of its parts, even where these are equal and nothing is confounded."
            )
    return Prose(" ".join(parts))


# What is not in the table


def strength(s: Study, factor: str = OFFER) -> Prose:
    """How strong an unmeasured cause would have to be."""
    if (nothing := _nothing(s, factor)) is not None:
        return nothing
    row = s.offers.effects.loc[factor]
    if not math.isfinite(row["e_value"]):
        return Prose("With nobody churned in one of the two groups there is no ratio, and so no E-value.")
    if row["e_value_limit"] == 1:
        return Prose("The interval of the ratio holds 1, so no unmeasured cause is needed to explain it: the E-value of the limit is 1.")
    near = row["ratio_high"] if row["ratio"] < 1 else row["ratio_low"]
    group = WHO[factor][1 if row["ratio"] < 1 else 0]
    text = (
        f"To explain the ratio of {number(row['ratio'], 2)} away, something not in the table would have to make churn at least {number(row['e_value'], 1)} times as likely "
        f"and also be {number(row['e_value'], 1)} times as frequent among those {group} as among the others; to move the near end of the interval, {number(near, 2)}, to 1, "
        f"{number(row['e_value_limit'], 1)} times of each would do. If it did less of the one, it would have to do more of the other."
    )
    if (factor, TOGETHER) in s.offers.common.index:
        both = s.offers.common.loc[(factor, TOGETHER)]
        if both["e_value_limit"] > 1:
            text += (
                f" For the ratio among subscribers alike in the rest of the table these are {number(both['e_value'], 1)} and {number(both['e_value_limit'], 1)}."
            )
    return Prose(text)


def early_sign(s: Study) -> Prose:
    """How far late payment marks those who churn."""
    if (nothing := _nothing(s, PAYMENT)) is not None:
        return nothing
    row = s.offers.effects.loc[PAYMENT]
    late, churned = int(row["exposed"]), int(row["exposed_churned"])
    text = (
        f"Those who paid late are {percent(late / s.offers.subscribers)} of the subscribers and {percent(churned / s.offers.churned)} of the churned; "
        f"of every 100 of them, {number(100 * row['exposed_rate'])} have churned and {number(100 - round(100 * row['exposed_rate']))} have not."
    )
    if row["p_adjusted"] > ALPHA:
        return Prose(f"{text} As a mark of those who churn, that is not shown to be better than chance.")
    if row["difference"] < 0:
        return Prose(f"{text} Paying late marks those who stay.")
    return Prose(
        f"{text} As a mark it is good, as a cause it is open: who has made up their mind to leave may stop paying first, and the table does not say which came first."
    )


# What it means


def _direction(s: Study, factor: str) -> int | None:
    """1 or -1 where more or less churn goes with a factor, 0 where neither is shown, None where there is no telling."""
    if _nothing(s, factor) is not None:
        return None
    row = s.offers.effects.loc[factor]
    return 0 if row["p_adjusted"] > ALPHA else int(np.sign(row["difference"]))


def _alike(s: Study, factor: str) -> int | None:
    """The same among subscribers alike in the rest of the table."""
    if _nothing(s, factor) is not None or (factor, TOGETHER) not in s.offers.common.index:
        return None
    row = s.offers.common.loc[(factor, TOGETHER)]
    if not row["ratio"] > 0:
        return None
    return 0 if row["ratio_low"] <= 1 <= row["ratio_high"] else int(np.sign(math.log(row["ratio"])))


def _less_or_more(sign: int) -> str:
    return "more" if sign > 0 else "less"


def answer(s: Study) -> Prose:
    """The result in a few sentences."""
    if (nothing := _status(s)) is not None:
        return nothing
    parts = []
    for factor, name in ((OFFER, "Offers"), (PAYMENT, "Late payment")):
        one = _one_value(s, factor)
        if one is not None:
            parts.append(f"**{name}**: {one[0].lower()}{one[1:]}")
            continue
        row = s.offers.effects.loc[factor]
        text = (
            f"**{name}**: {percent(row['exposed_rate'])} of those {WHO[factor][0]} have churned, and {percent(row['others_rate'])} of those {WHO[factor][1]}"
        )
        found, alike = _direction(s, factor), _alike(s, factor)
        if found == 0:
            text += ", a difference that is not shown to be more than chance"
        if alike is not None and alike != found:
            text += (
                "; among subscribers alike in the rest of the table a difference is not shown" if alike == 0 else
                f"; among subscribers alike in the rest of the table, those {WHO[factor][0]} have churned {_less_or_more(alike)}"
            )
        parts.append(f"{text}.")
    if not s.offers.claims["same"].any() and s.offers.claims["actual"].notna().all():
        parts.append(f"The source’s {percent(CLAIMED['No'], 0)} and {percent(CLAIMED['Yes'], 0)} are not the churn rates of this table.")
    return Prose(" ".join(parts))


def means(s: Study) -> Prose:
    """What follows for offers and for late payment."""
    if (nothing := _status(s)) is not None:
        return nothing
    return Prose(f"{_means_offers(s)} {_means_payment(s)}")


def _means_offers(s: Study) -> str:
    if (one := _one_value(s, OFFER)) is not None:
        return f"{one} To tell whether offers keep anybody takes some who get none."
    crude, alike = _direction(s, OFFER), _alike(s, OFFER)
    sign = crude if alike is None else alike
    test = "only letting chance decide who gets one can say whether the offer did it (@sec-netflix-next)"
    among = "among subscribers alike in the rest of the table, " if crude != sign else ""
    if sign == 0:
        beside = " beside the rest of the table" if crude != 0 else ""
        return f"That offers go with churn{beside} is not shown, so they are no ground for spending on them or for ending them; a test is (@sec-netflix-next)."
    if sign > 0:
        return (
            f"{capital(f'{among}those who used an offer have churned more')}. That need not be the offer: it may be made to those who are about to leave; {test}."
        )
    if crude == sign:
        ratio = s.offers.effects.loc[OFFER, "ratio"]
        less = f"those who used one have churned {number(ratio, 2)} times as often as the others" if ratio > 0 else "nobody who used one has churned"
    else:
        less = f"{among}those who used one have churned less"
    return f"Offers are worth a test: {less}, and {test}."


def _means_payment(s: Study) -> str:
    if (one := _one_value(s, PAYMENT)) is not None:
        return str(one)
    # Whoever looks for those about to leave has no use for holding anything alike.
    crude = _direction(s, PAYMENT)
    if crude == 0:
        return "That paying late goes with churn is not shown, so it is no warning to act on."
    if crude < 0:
        return "Paying late is no warning here: those who paid late have churned less."
    row = s.offers.effects.loc[PAYMENT]
    return (
        f"A late payment is the day to ask whether all is well: whoever writes to all who pay late reaches {percent(row['exposed_churned'] / s.offers.churned)} of those who churn, "
        f"if the payment was late before they left, with {percent(row['exposed'] / s.offers.subscribers)} of the letters that writing to everybody would take."
    )


def limits(s: Study) -> Prose:
    """What the table cannot say about offers and payments."""
    told = (
        "The table says who used an offer, not who was offered one, nor when. Offers made to those who are about to leave would hide an effect, "
        "offers taken up by those who stay anyway would feign one, and whoever has stayed for longer has had more time to use one."
    )
    plans = (
        f" {count(s.offers.pooled_plans, 'small plan')} {'is' if s.offers.pooled_plans == 1 else 'are'} taken together with the rest of the small ones."
        if s.offers.pooled_plans else ""
    )
    return Prose(f"{told} The same holds of payment: when a payment was late, and whether that was before or after somebody had decided to leave, is not in it.{plans}")
