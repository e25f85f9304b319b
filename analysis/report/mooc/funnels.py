"""The way from sign-up to a completed course: where it loses users, and which groups differ."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.funnels import (
    ALPHA,
    COUNTRY,
    COURSE,
    EVERYBODY,
    LEAST_EXPECTED,
    LEAST_USERS,
    OTHERS,
    SOURCE,
    STAGES,
)
from analysis.mooc.reduce import MISSING
from analysis.report import figures, text
from analysis.report.mooc import labels
from analysis.report.tables import table
from analysis.report.text import (
    NBSP,
    Prose,
    count,
    escape,
    interval,
    listing,
    number,
    p_value,
    paragraph,
    percent,
)

DASH = Prose(text.MISSING)
SHOWN = 5  # courses at either end
MOST_COUNTRIES = 10  # in the table
STAGE_NAMES = ("signed up", "enrolled", "completed")
OF_STEP = {
    "enrolled": "enrolled, of those who signed up",
    "completed": "completed, of those who enrolled",
    "overall": "completed, of those who signed up",
}
NOBODY = Prose("Nobody signed up in the period, so there is no funnel.")
NO_FUNNEL = Prose("There is no funnel (@sec-mooc-funnels-counts).")  # `counts` says why
NO_COURSES = Prose("Completion cannot be compared between courses (@sec-mooc-funnels-courses).")


def source_name(source: str) -> str:
    """What a source is called: plain text, not yet Markdown."""
    return {EVERYBODY: "everybody", OTHERS: "other sources"}.get(source, labels.group(source))


def _country_name(country: str) -> str:
    return "other countries" if country == OTHERS else labels.country(country)


def _some(s: Study) -> bool:
    return bool(s.funnel.steps["users"].iloc[0])


def _share(row, name: str = "share") -> Prose:
    """A share with its interval, for a sentence."""
    low, high = (
        (row["low"], row["high"]) if name == "share" else (row[f"{name}_low"], row[f"{name}_high"])
    )
    return Prose(f"{percent(row[name])} (95% interval {_ends(low, high)})")


def _ends(low: float, high: float, digits: int = 1) -> Prose:
    return interval(100 * low, 100 * high, digits, "%")


def _points(low: float, high: float) -> Prose:
    return interval(100 * low, 100 * high, 1)


def _cell(share: float, low: float, high: float, side: str = "") -> Prose:
    """A share with its interval and the mark of the side of the rest that it is on."""
    if not math.isfinite(share):
        return DASH
    mark = {"above": f"{NBSP}▲", "below": f"{NBSP}▼"}.get(side, "")
    return Prose(f"{percent(share)} ({_points(low, high)}){mark}")


def counts_table(s: Study) -> Prose:
    """Each stage counted in five ways."""
    f = s.funnel
    rows = []
    for stage, name in zip(STAGES, STAGE_NAMES, strict=True):
        alone = f.stages.loc[stage] if stage in f.stages.index else {"events": 0, "users": 0}
        rows.append({
            "Stage": name,
            "Events": number(alone["events"]),
            "Users, stage alone": number(alone["users"]),
            "Users, any order": number(f.any_order[stage].iloc[0]),
            "Users, in order": number(f.total[stage].iloc[0]),
            f"In order, within {f.window} days": number(f.windowed[stage].iloc[0]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def counts(s: Study) -> Prose:
    """Why the simple count can mislead, on these very numbers."""
    f = s.funnel
    alone = f.stages.reindex(STAGES, fill_value=0)
    signed, enrolled, _completed = alone["events"]
    users = alone["users"].tolist()
    if not signed:
        return NOBODY
    rate = enrolled / signed
    events = (
        f"Events divided by events say {percent(rate, 0)}: {count(int(enrolled), 'enrolment')} for "
        f"{count(int(signed), 'sign-up')}"
    )
    if rate > 1:
        events += ", because one user can enrol in several courses; no share can exceed 100%, so this is none"
    else:
        events += ", but a user who enrols twice counts twice"
    strict = f.total.iloc[0].tolist()
    extra = [users[i] - strict[i] for i in (1, 2)]
    lacking = listing(
        f"{count(n, 'user')} at the stage “{name}”"
        for n, name in zip(extra, STAGE_NAMES[1:], strict=True) if n
    )
    if lacking:
        said = (
            f"Counting unique users at each stage alone is better, but ties no stage to the one before: it holds {lacking} "
            "who skipped a stage, or whose stages came in another order or in different courses."
        )
    else:
        said = (
            "Counting unique users at each stage alone gives the same as the strict funnel here: nobody skipped a stage or "
            "went through them out of order. Nothing in such a count would show it."
        )
    return Prose(f"{events}. {said}")


def steps_table(s: Study) -> Prose:
    """Conversion and drop-off at each stage, and what a point more would bring."""
    if not _some(s):
        return NO_FUNNEL
    rows = []
    for (_, row), name in zip(s.funnel.steps.iterrows(), STAGE_NAMES, strict=True):
        first = name == STAGE_NAMES[0]
        rows.append({
            "Stage": name,
            "Users": number(row["users"]),
            "Of the stage before": DASH if first else _cell(
                row["of_previous"], row["of_previous_low"], row["of_previous_high"]),
            "Of all who signed up": DASH if first else _cell(
                row["of_first"], row["of_first_low"], row["of_first_high"]),
            "Lost before it": DASH if first or not math.isfinite(row["of_previous"]) else
                Prose(f"{number(row['lost'])} ({percent(1 - row['of_previous'])})"),
            "Completers a point more brings": number(row["one_point_last"]),
        })
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def funnel_figure(s: Study) -> p9.ggplot | Prose:
    """Shares of sign-ups at each stage, for everybody and by source."""
    if not _some(s):
        return NO_FUNNEL
    total = s.funnel.total.iloc[0]
    parts = {f"Everybody ({total.iloc[0]:,})": total}
    for source, row in _sources(s).iterrows():
        parts[f"{figures.short(source_name(source), 20)} ({row.iloc[0]:,})"] = row
    frame = pd.DataFrame([
        {"who": who, "stage": stage, "share": row.iloc[place] / row.iloc[0],
         "label": f"{100 * row.iloc[place] / row.iloc[0]:.0f}%"}
        for who, row in parts.items() for place, stage in enumerate(STAGE_NAMES)
    ])
    frame["who"] = pd.Categorical(frame["who"], list(parts))
    frame["stage"] = pd.Categorical(frame["stage"], STAGE_NAMES[::-1])
    rows = math.ceil(len(parts) / 2)
    return (
        figures.Plot(frame, p9.aes("stage", "share", fill="stage"))
        + p9.geom_col(width=0.8)
        + p9.geom_text(p9.aes(label="label"), nudge_y=0.02, ha="left", size=8.5,
                       color=figures.INK)
        + p9.facet_wrap("who", ncol=2)
        + p9.coord_flip()
        + p9.scale_y_continuous(limits=(0, 1.18), breaks=[0, 0.5, 1], labels=figures.percents)
        + figures.fills(STAGE_NAMES)
        + p9.labs(x="", y="Share of those who signed up")
        + figures.theme(height=0.95 * rows + 0.6, legend="none")
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def _sources(s: Study) -> pd.DataFrame:
    """Users at the stages by source as the rates group them, the largest first, unknown ones last."""
    rates = s.funnel.rates.xs(SOURCE, level="by")
    wide = pd.DataFrame({
        "first": rates.xs("enrolled", level="step")["users"],
        "second": rates.xs("enrolled", level="step")["reached"],
        "third": rates.xs("overall", level="step")["reached"],
    })
    return wide[wide["first"] > 0].loc[_order(wide)]


def _order(wide: pd.DataFrame) -> list[str]:
    """Named groups by size, then the others, then those not given."""
    last = {OTHERS: 1, MISSING: 2}
    sizes = wide[wide["first"] > 0]["first"]
    return sorted(sizes.index, key=lambda group: (last.get(group, 0), -sizes[group]))


def losses(s: Study) -> Prose:
    """Where most users are lost, and what a point more at each step would bring."""
    if not _some(s):
        return NO_FUNNEL
    steps = s.funnel.steps.iloc[1:]
    lost = steps["lost"]
    if not lost.sum():
        return Prose("Nobody is lost: everybody who signed up enrolled, and completed a course.")
    second = steps.iloc[1]
    names = ("between sign-up and enrolment", "between enrolment and completion")
    where = names[int(lost.argmax())] if lost.iloc[0] != lost.iloc[1] else "equally at both steps"
    total = int(s.funnel.steps["users"].iloc[0])
    said = (
        f"Of {count(total, 'user')} who signed up, {percent(steps['of_first'].iloc[0])} enrolled in a course and "
        f"{percent(second['of_first'])} completed one after that. "
        f"Most are lost {where}: {count(int(lost.max()), 'user')}, {percent(lost.max() / total)} of all who signed up."
        if lost.iloc[0] != lost.iloc[1] else
        f"Of {count(total, 'user')} who signed up, as many are lost before enrolling as before completing, {number(lost.max())} each."
    )
    gain = steps["one_point_last"].to_numpy()
    if not np.isfinite(gain).all() or gain.max() < 1:
        return Prose(said)
    return Prose(
        f"{said} One percentage point more of sign-ups who enrol would bring {count(round(steps['one_point'].iloc[0]), 'more user')} into a course, and, "
        f"if they went on as the others do, {number(gain[0])} more who complete; one point more of the enrolled who complete brings {number(gain[1])}."
    )


def windowed(s: Study) -> Prose:
    """The funnel with a time window, and why it is not a rate."""
    if not _some(s):
        return NO_FUNNEL
    f = s.funnel
    inside, whole = f.windowed.iloc[0], f.total.iloc[0]
    if not whole.iloc[2]:
        return Prose(f"Nobody completed a course, within {f.window} days of sign-up or later.")
    return Prose(
        f"Within {f.window} days of sign-up, {percent(inside.iloc[1] / inside.iloc[0])} enrolled and {percent(inside.iloc[2] / inside.iloc[0])} completed a course: "
        f"{percent(inside.iloc[2] / whole.iloc[2], 0)} of those who have completed one so far."
    )


def cohorts(s: Study) -> Prose:
    """Conversion among those who had the time, next to the naive one."""
    waits = s.funnel.waits
    rows = waits[waits.index.get_level_values("source") == EVERYBODY].droplevel("source")
    if not _some(s) or rows.empty:
        return Prose("Nobody was followed for a week after sign-up, so conversion within a fixed time cannot be told.")
    naive = s.funnel.steps["of_first"].iloc[1]
    told = listing(
        f"{percent(row['share'])} ({_ends(row['low'], row['high'])}) within {days} days" for days, row in rows.iterrows()
    )
    last = rows.iloc[-1]
    start = f"Users who signed up lately have had little time to enrol. Among those followed long enough, {told} enrolled"
    if last["low"] <= naive <= last["high"]:
        return Prose(f"{start}. The naive rate, {percent(naive)}, lies within the last interval: here the youngest sign-ups hardly move it.")
    return Prose(f"{start}. The naive rate, {percent(naive)}, lies {'below' if naive < last['low'] else 'above'} the last interval: part of what it says is how long users have had.")


def sources_table(s: Study) -> Prose:
    """Conversion by source at both steps and overall, as it is and adjusted for country."""
    if not _some(s):
        return NO_FUNNEL
    rates, adjusted = s.funnel.rates.xs(SOURCE, level="by"), s.funnel.adjusted
    rows = []
    for source in _sources(s).index:
        row = {"Source": source_name(source)}
        for step, name in (("enrolled", "Enrolled"), ("completed", "Completed, of enrolled"), ("overall", "Completed, of all")):
            found = rates.loc[(source, step)]
            row[name] = _cell(found["share"], found["low"], found["high"], found["side"])
        if adjusted is not None:
            there = ("overall", source) in adjusted.index
            row["Of all, adjusted"] = _cell(*adjusted.loc[("overall", source), ["adjusted", "low", "high"]]) if there else DASH
        rows.append(row)
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def sources_figure(s: Study) -> p9.ggplot | Prose:
    """Both conversions by source with intervals, as they are and adjusted for country."""
    if not _some(s):
        return NO_FUNNEL
    rates = s.funnel.rates.xs(SOURCE, level="by")
    kept = [source for source in _sources(s).index if source not in (OTHERS, MISSING)]
    if len(kept) < 2:
        return Prose("Fewer than two sources are large enough to be compared.")
    panels = {"enrolled": "Enrolled, of sign-ups", "completed": "Completed, of enrolled"}
    rows = [
        {"source": figures.short(source_name(source), 20), "panel": panel, "share": row["share"],
         "low": row["low"], "high": row["high"], "adjusted": _adjusted_share(s, step, source)}
        for step, panel in panels.items() for source in kept for row in (rates.loc[(source, step)],)
        if row["users"] > 0
    ]
    frame = pd.DataFrame(rows)
    order = frame[frame["panel"] == panels["enrolled"]].sort_values("share")["source"]
    frame["source"] = pd.Categorical(frame["source"], list(dict.fromkeys(order)))
    frame["panel"] = pd.Categorical(frame["panel"], list(panels.values()))
    names = ("as it is, 95% interval", "adjusted for country")
    frame["crude"], frame["even"] = names
    plot = (
        figures.Plot(frame, p9.aes("source", "share"))
        + p9.geom_errorbar(p9.aes(ymin="low", ymax="high"), width=0.25, color=figures.BLUE)
        + p9.geom_point(p9.aes(color="crude", shape="crude"), size=2.4)
    )
    if s.funnel.adjusted is not None:
        plot += p9.geom_point(p9.aes(y="adjusted", color="even", shape="even"), size=3, fill="none")
        plot += p9.guides(shape=p9.guide_legend(override_aes={"fill": [figures.BLUE, "none"]}))
    return (
        plot
        + p9.facet_wrap("panel", scales="free_x")
        + p9.coord_flip()
        + p9.scale_y_continuous(labels=figures.percents)
        + p9.scale_shape_manual(dict(zip(names, ("o", "D"), strict=True)))
        + figures.colours(names)
        + p9.labs(x="", y="")
        + figures.theme(height=0.28 * len(kept) + 1.2)
    )


def _adjusted_share(s: Study, step: str, source: str) -> float:
    adjusted = s.funnel.adjusted
    if adjusted is None or (step, source) not in adjusted.index:
        return np.nan
    return float(adjusted.loc[(step, source), "adjusted"])


def sources(s: Study) -> Prose:
    """Whether sources differ, by how much, and which stand out."""
    return _differences(s, SOURCE, source_name, "source", "sources")


def countries(s: Study) -> Prose:
    """The same of countries."""
    return paragraph(_countries_compared(s), _differences(s, COUNTRY, _country_name, "country", "countries"))


def _countries_compared(s: Study) -> Prose:
    """Which countries are compared, where the table has not all of them."""
    rates = s.funnel.rates
    groups = rates[rates.index.get_level_values("by") == COUNTRY].index.unique("group")
    named = [group for group in groups if group not in (OTHERS, MISSING)]
    if len(named) <= MOST_COUNTRIES:
        return Prose("")
    rest = "; the others are one group" if OTHERS in groups else ""
    return Prose(
        f"Compared are all {number(len(named))} countries with at least {LEAST_USERS[COUNTRY]} "
        f"sign-ups, of which the table has the largest {number(MOST_COUNTRIES)}{rest}."
    )


def _differences(s: Study, by: str, called, one: str, many: str) -> Prose:
    f = s.funnel
    tests = f.homogeneity[f.homogeneity.index.get_level_values("by") == by].droplevel("by")
    rates = f.rates[f.rates.index.get_level_values("by") == by].droplevel("by")
    rates = rates[~rates.index.get_level_values("group").isin([OTHERS, MISSING])]
    said = []
    for step in ("enrolled", "completed"):
        if step not in tests.index:
            continue
        test, rows = tests.loc[step], rates.xs(step, level="step")
        rows = rows[rows["share"].notna()]
        if len(rows) < 2:
            continue
        # The group that is furthest from the rest is told with its effect.
        best, worst = rows["share"].idxmax(), rows["share"].idxmin()
        base = OF_STEP[step].split(", of those ")[1]
        figures_said = (
            f"χ²{NBSP}={NBSP}{number(test['statistic'], 1)} with {count(int(test['df']), 'degree')} of freedom, {p_value(test['p_adjusted'])} corrected; "
            f"Cramér’s V{NBSP}={NBSP}{number(test['v'], 2)}, {interval(test['v_low'], test['v_high'], 2)}"
        )
        spread = (
            f"from {percent(rows.loc[worst, 'share'])} ({escape(called(worst))}) to {percent(rows.loc[best, 'share'])} ({escape(called(best))})"
        )
        shown = rows[rows["side"] != ""]
        if test["p_adjusted"] > ALPHA:
            said.append(
                f"For the share who {step}, of those {base}, differences between {many} are not shown ({figures_said}); it goes {spread}, and the interval of V says how much could still be there."
            )
        elif shown.empty:
            said.append(
                f"The share who {step}, of those {base}, differs between {many} ({figures_said}), {spread}, but no single {one} can be told from the rest."
            )
        else:
            edge = shown["difference"].abs().idxmax()
            row = shown.loc[edge]
            said.append(
                f"The share who {step}, of those {base}, differs between {many} ({figures_said}), {spread}. "
                f"Each against all others, corrected, {_sides(shown, called)}; furthest off is {escape(called(edge))}, "
                f"{number(abs(100 * row['difference']), 1)} points {row['side']} the others (95% interval {_beyond(row)})."
            )
    if not said:
        return Prose(f"There are no two {many} large enough to compare ({LEAST_USERS[by]} sign-ups each).")
    return paragraph(*said)


def _beyond(row: pd.Series) -> Prose:
    """The interval of a difference, as a distance."""
    ends = sorted(abs(100 * row[f"difference_{end}"]) for end in ("low", "high"))
    return interval(*ends, 1)


def _sides(shown: pd.DataFrame, called) -> str:
    parts = []
    for side in ("above", "below"):
        names = [escape(called(group)) for group in shown.index[shown["side"] == side]]
        if names:
            parts.append(f"{listing(names)} {'lies' if len(names) == 1 else 'lie'} {side}")
    return " and ".join(parts)


def mix(s: Study) -> Prose:
    """Whether the countries of their users explain the differences between sources."""
    a = s.funnel.adjustment
    if a is None:
        return Prose(
            "Whether the countries that sources bring explain their differences cannot be told here: it takes two large sources, two countries, and users on both sides of each step."
        )
    row = a.loc["overall"]
    before, after = 100 * row["crude_range"], 100 * row["adjusted_range"]
    model = f"likelihood ratio of source, given country: χ²{NBSP}={NBSP}{number(row['statistic'], 1)}, {count(int(row['df']), 'degree')} of freedom, {p_value(row['p_adjusted'])}"
    said = (
        f"Between the best and the worst source lie {number(before, 1)} points (95% interval {_points(row['crude_range_low'], row['crude_range_high'])}) in the share of sign-ups who complete. "
        f"If all sources brought users of the same countries, it would be {number(after, 1)} ({_points(row['adjusted_range_low'], row['adjusted_range_high'])}; {model})"
    )
    if row["p_adjusted"] > ALPHA:
        return Prose(f"{said}: with country held fixed, differences between sources are not shown.")
    ratio = after / before if before else 1.0
    if ratio > 0.9:
        return Prose(f"{said}: who comes from where explains next to nothing of it.")
    if ratio > 0.5:
        return Prose(f"{said}: who comes from where explains {percent(1 - ratio, 0)} of the gap, the larger part remains.")
    return Prose(f"{said}: most of the gap is who comes from where.")


def countries_table(s: Study) -> Prose:
    """Conversion in the largest countries."""
    if not _some(s):
        return NO_FUNNEL
    rates = s.funnel.rates.xs(COUNTRY, level="by")
    wide = pd.DataFrame({"first": rates.xs("enrolled", level="step")["users"]})
    order = _order(wide)
    named = [country for country in order if country not in (OTHERS, MISSING)]
    if not named:
        return Prose(f"No country has {LEAST_USERS[COUNTRY]} sign-ups.")
    rows = []
    for country in [*named[:MOST_COUNTRIES], *(c for c in order if c in (OTHERS,))]:
        called = (f"all with fewer than {LEAST_USERS[COUNTRY]}" if country == OTHERS
                  else _country_name(country))
        row = {"Country": called, "Sign-ups": number(wide.loc[country, "first"])}
        for step, name in (("enrolled", "Enrolled"), ("completed", "Completed, of enrolled"), ("overall", "Completed, of all")):
            found = rates.loc[(country, step)]
            row[name] = _cell(found["share"], found["low"], found["high"], found["side"])
        rows.append(row)
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def together_table(s: Study) -> Prose:
    """The sources and countries furthest from what both on their own would say."""
    t = s.funnel.together
    if t is None or t.empty:
        return Prose("There are too few sources and countries, or users in them, to look for pairs that go together.")
    rows = [
        {
            "Source": source_name(source), "Country": _country_name(country),
            "Step": step, "Users": number(row["users"]),
            "Share": percent(row["share"]),
            "Without the pair": percent(row["without"]) if pd.notna(row["without"]) else DASH,
            "Odds ratio": Prose(f"{number(row['odds'], 2)} ({interval(row['odds_low'], row['odds_high'], 2)})")
            if pd.notna(row["odds"]) else DASH,
            "p, corrected": number(row["p_adjusted"], 3) if row["p_adjusted"] >= 0.001 else Prose("< 0.001"),
        }
        for (step, source, country), row in t.iterrows()
    ]
    frame = pd.DataFrame(rows)
    return table(frame, {name: Prose for name in frame.columns[3:]})


def together(s: Study) -> Prose:
    """Whether some sources work otherwise in some countries."""
    i, t = s.funnel.interaction, s.funnel.together
    if i is None or t is None:
        return Prose("Whether some sources do better in some countries than elsewhere cannot be told from these tables.")
    found = t[t["found"]]
    cells = int(i["cells"].sum())
    searched = f"Of {count(cells, 'pair')} of a source and a country at the two steps"
    if found.empty:
        far = t.loc[t["residual"].abs().idxmax()] if len(t) else None
        said = f"{searched}, none is shown to differ from what source and country on their own would say."
        if far is not None:
            step, source, country = far.name
            said += (
                f" The furthest, {escape(source_name(source))} in {escape(_country_name(country))} ({step}: {percent(far['share'])} of {count(int(far['users']), 'user')}), cannot be told from chance among so many "
                f"comparisons ({p_value(far['p_adjusted'])} after correction)."
                if far["p_adjusted"] > ALPHA else ""
            )
    else:
        told = [
            f"{escape(source_name(source))} in {escape(_country_name(country))}, where {percent(row['share'])} {'enrol' if step == 'enrolled' else 'complete'} instead of {percent(row['without'])} "
            f"(odds ratio {number(row['odds'], 2)}, {interval(row['odds_low'], row['odds_high'], 2)}; {p_value(row['p_adjusted'])} after correction)"
            if pd.notna(row["odds"]) else
            f"{escape(source_name(source))} in {escape(_country_name(country))}, where {percent(row['share'])} {'enrol' if step == 'enrolled' else 'complete'} ({p_value(row['p_adjusted'])} after correction)"
            for (step, source, country), row in found.iterrows()
        ]
        said = f"{searched}, {'one is' if len(found) == 1 else f'{number(len(found))} are'} shown to differ: {listing(told)}."
    for step, row in i.iterrows():
        if row["p_left"] <= ALPHA:
            rest = "The others together" if row["found"] else "All of them together"
            said += (
                f" {rest} still depart from the plain model of who {'enrols' if step == 'enrolled' else 'completes'} by more than chance would ({p_value(row['p_left'])}): "
                "there are probably more such pairs, too small to be named one by one."
            )
    return Prose(said)


def courses_table(s: Study) -> Prose:
    """The courses that are completed most and least at equal follow-up, beside the naive share."""
    f = s.funnel
    rows = _compared(s)
    if rows.empty:
        return NO_COURSES
    rows = rows.sort_values(["fair", "followed"], ascending=False, kind="stable")
    if len(rows) > 2 * SHOWN:
        rows = pd.concat([rows.head(SHOWN), rows.tail(SHOWN)])
    shown = [
        {
            "Course": row["title"],
            f"Followed {f.course_window} days": number(row["followed"]),
            f"Completed by day {f.course_window}": _cell(row["fair"], row["fair_low"], row["fair_high"], row["side"]),
            "All enrolments": number(row["enrolled"]),
            "Completed so far": percent(row["share"]),
        }
        for _, row in rows.iterrows()
    ]
    frame = pd.DataFrame(shown)
    return table(frame, {name: Prose for name in frame.columns[1:]})


def _compared(s: Study) -> pd.DataFrame:
    """Courses with enough enrolments followed for a rate that means something."""
    rows = s.funnel.courses
    return rows[rows["followed"] * 0.5 >= LEAST_EXPECTED] if s.funnel.course_window else rows.iloc[:0]


def fair(s: Study) -> Prose:
    """Why completion is compared at equal follow-up, and what the naive share does."""
    rows, days = _compared(s), s.funnel.course_window
    if rows.empty:
        return Prose(
            "No enrolment was followed for a week, or of every course too few were, so completion cannot be compared between courses."
        )
    every = s.funnel.courses
    naive = every["completed"].sum() / every["enrolled"].sum()
    level = every["within"].sum() / every["followed"].sum()
    low = int((rows["share"] < rows["fair"]).sum())
    return Prose(
        f"An enrolment of last week has had no time to be completed, and counts as a failure in the naive share. Taken over all enrolments {percent(naive)} are completed; "
        f"of those that were followed for {days} days, {percent(level)} were completed within them. "
        f"The naive share lies below the other in {number(low) if low else 'none'} of {count(len(rows), 'course')}. "
        "So courses are compared at equal follow-up: of those who enrolled at least so long ago, how many had completed within that time? "
        "It throws away the youngest enrolments, and is fair; @sec-mooc-durations uses them too."
    )


def courses(s: Study) -> Prose:
    """Which courses differ at equal follow-up, and how the naive ranking misleads."""
    f, rows = s.funnel, _compared(s)
    if rows.empty:
        return NO_COURSES
    if len(rows) < 2:
        return Prose("There is only one course to speak of, so there is nothing to compare.")
    test = f.homogeneity.loc[(COURSE, "fair")] if (COURSE, "fair") in f.homogeneity.index else None
    if test is None:
        return Prose("Either all or none of the followed enrolments were completed, in every course, so courses do not differ in it.")
    told = f"χ²{NBSP}={NBSP}{number(test['statistic'], 1)}, {count(int(test['df']), 'degree')} of freedom, {p_value(test['p_adjusted'])} corrected; Cramér’s V{NBSP}={NBSP}{number(test['v'], 2)}, {interval(test['v_low'], test['v_high'], 2)}"
    if test["p_adjusted"] > ALPHA:
        return Prose(
            f"Differences between the {number(len(rows))} courses in completion by day {f.course_window} are not shown ({told}); their intervals say what each could be."
        )
    above, below = ((rows["side"] == side).sum() for side in ("above", "below"))
    best, worst = rows["fair"].idxmax(), rows["fair"].idxmin()
    said = (
        f"Courses differ in it ({told}): from {_fair(rows.loc[worst])} in {_title(rows.loc[worst])} to {_fair(rows.loc[best])} in {_title(rows.loc[best])}. "
        f"Each against all others, corrected for {count(int(rows['p_value'].notna().sum()), 'comparison')}, {'one lies' if above == 1 else f'{number(above)} lie'} above and {'one' if below == 1 else number(below)} below; "
        "for the rest neither a difference nor its absence is shown."
    )
    ranks = rows[["share", "fair"]].rank(ascending=False, method="min")
    moved = (ranks["share"] - ranks["fair"]).abs()
    if moved.max() >= 3:
        which = moved.idxmax()
        said += (
            f" The naive ranking would mislead most about {_title(rows.loc[which])}: place {number(ranks.loc[which, 'share'])} of {number(len(rows))} instead of {number(ranks.loc[which, 'fair'])}."
        )
    return Prose(said)


def _fair(row: pd.Series) -> Prose:
    return Prose(f"{percent(row['fair'])} ({_ends(row['fair_low'], row['fair_high'])})")


def _title(row: pd.Series) -> Prose:
    return Prose(f"“{escape(row['title'])}”")


def answer(s: Study) -> Prose:
    """The topic's result in a sentence or two."""
    if not _some(s):
        return NOBODY
    steps = s.funnel.steps
    enrolled, completed = steps.iloc[1], steps.iloc[2]
    said = (
        f"Of those who sign up, **{percent(enrolled['of_first'], 0)} enrol** (95% interval {_ends(enrolled['of_first_low'], enrolled['of_first_high'])}) and "
        f"**{percent(completed['of_first'], 0)} complete a course** ({_ends(completed['of_first_low'], completed['of_first_high'])})"
    )
    worst = _worst(s)
    if worst is None:
        return Prose(f"{said}.")
    source, row = worst
    return Prose(
        f"{said}. The loss is largest for {escape(source_name(source))}: {percent(row['share'])} of its sign-ups complete a course, of the others {percent(row['rest'])}."
    )


def _worst(s: Study) -> tuple[str, pd.Series] | None:
    """The source shown to be below the others that costs most completers."""
    rates = s.funnel.rates
    rows = rates[(rates.index.get_level_values("by") == SOURCE)
                 & (rates.index.get_level_values("step") == "overall") & (rates["side"] == "below")]
    if rows.empty:
        return None
    short = rows["users"] * -rows["difference"]
    return short.idxmax()[1], rows.loc[short.idxmax()]


def recommendation(s: Study) -> Prose:
    """Where to work on the funnel."""
    if not _some(s) or not s.funnel.steps["lost"].sum():
        return Prose("")
    steps = s.funnel.steps.iloc[1:]
    gain, worst = steps["one_point_last"], _worst(s)
    # A point is worth more at the step whose conversion is the smaller one.
    first, second = (steps.iloc[i] for i in range(2))
    apart = (first["of_previous_high"] < second["of_previous_low"]
             or second["of_previous_high"] < first["of_previous_low"])
    if apart and gain.max() >= 1:
        what = "enrolment" if gain.iloc[0] > gain.iloc[1] else "completion"
        said = (
            f"**Start with the step to {what}.** A point more there brings {number(gain.max())} more who complete, against {number(gain.min())} at the other step"
        )
        said = said if worst is None else f"{said}; and look at"
    elif worst is None:
        return Prose("")
    else:
        said = "**Start with the source that loses most**,"
    if worst is None:
        return Prose(f"{said} (@sec-mooc-funnels).")
    source, row = worst
    users = row["users"]
    missing = -row["difference"] * users
    ends = sorted(-users * row[f"difference_{end}"] for end in ("low", "high"))
    return Prose(
        f"{said} {escape(source_name(source))}, where {number(missing)} more of {count(int(users), 'sign-up')} would complete if it did as well as the others "
        f"(95% interval {interval(*ends, 0)}). The source is not shown to cause the gap, so try a change on some of its users before it is paid for on all (@sec-mooc-funnels)."
    )
