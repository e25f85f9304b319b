"""How people learn: the clusters, how sure they are, and what they did not see."""

from __future__ import annotations

import textwrap

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.behaviour import (
    ENROLLED,
    LEAST_USERS,
    LOG_MINUTES,
    MARGIN,
    MINUTES,
    NEVER,
    QUIZ,
    RATE,
    REVENUE,
    SLIGHT,
)
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    NBSP,
    Prose,
    capital,
    count,
    interval,
    listing,
    number,
    p_value,
    percent,
)

ALPHA = 0.05
MEASURES = {LOG_MINUTES: "minutes watched per course", RATE: "the share of videos completed",
            QUIZ: "the quiz score"}
TRUSTED, SOLID = 0.6, 0.85  # Jaccard similarity (Hennig 2007)
ALIKE = 0.05  # correlations that differ by less are about the same
LEAST_SHOWN = 0.001  # of the enrolled: places with fewer are left out of the picture
SHAPES = ("o", "s", "^", "D", "v", "P")


def _who(name: str) -> str:
    """Users of a segment, in a sentence."""
    if name == NEVER:
        return "those who never enrolled"
    if name == ENROLLED:
        return "the enrolled"
    return f"those who {'are ' if name.startswith('average') else ''}{name}"


def _clusters(s: Study) -> pd.DataFrame:
    """The segments that are clusters; none where none were found."""
    b = s.behaviour
    return b.segments.loc[list(b.centres.index)]


def _sure(row: pd.Series, name: str, digits: int = 1) -> Prose:
    """A mean with its interval; a dash for what is not there."""
    value, low, high = (row[f"{name}{end}"] for end in ("", "_low", "_high"))
    if not np.isfinite(value):
        return Prose(MISSING)
    limits = f" ({interval(low, high, digits)})" if np.isfinite(low) else ""
    return Prose(f"{number(value, digits)}{limits}")


def _share(row: pd.Series, name: str) -> Prose:
    """A share with its interval."""
    low, high = 100 * row[f"{name}_low"], 100 * row[f"{name}_high"]
    return Prose(f"{percent(row[name])} ({interval(low, high, 1, '%')})")


def _none(s: Study) -> Prose:
    """Why there are no clusters."""
    b = s.behaviour
    if b.enrolled == 0:
        return Prose("Nobody has enrolled in a course, so nobody's way of learning can be told.")
    if b.reason == "alike":
        return Prose(
            "All enrolled users have the same minutes per course, completion rate and quiz score, "
            "so there is nothing to divide them by."
        )
    if b.reason == "few":
        return Prose(
            f"{count(b.enrolled, 'user')} {'has' if b.enrolled == 1 else 'have'} enrolled, and "
            f"fewer than {LEAST_USERS} have all the measures: too few to look for clusters among."
        )
    return Prose(
        "There are no clear clusters: in these measures the enrolled users shade into one another, "
        "and dividing them into groups would draw lines where there are none."
    )


def _no_clusters(s: Study) -> Prose:
    """That there are none, in few words; `choice` says why."""
    return Prose("There are no clear clusters (@sec-mooc-clusters)." if s.behaviour.reason == "none" else
                 "No clusters could be looked for (@sec-mooc-clusters).")


def measured(s: Study) -> Prose:
    """Whether the total or the minutes per course hang more on the number of courses."""
    total, each = s.behaviour.courses_with_total, s.behaviour.courses_with_minutes
    if total is None or each is None:
        return Prose("Here that can't be checked: fewer than three users have enrolled, or all of them "
                     "in as many courses or for as many minutes.")
    text = (f"Here the correlation of the number of courses with the logarithm of the total is "
            f"{number(total, 2)}, and with that of the minutes per course {number(each, 2)}")
    if abs(total) > abs(each) + ALIKE:
        return Prose(f"{text}: the total would have sorted users by how much they bought.")
    if abs(each) > abs(total) + ALIKE:
        return Prose(f"{text}: it is the minutes per course that hang more on how much users "
                     "bought, and groups made by them may differ in that as well.")
    return Prose(f"{text}: neither hangs on how much users bought much more than the other.")


def base(s: Study) -> Prose:
    """Who is clustered, who is a group by definition, and who has no score."""
    b = s.behaviour
    never = b.users - b.enrolled
    if never:
        text = (f"Of {count(b.users, 'user')} {number(never)} never enrolled: "
                f"{'this one has' if never == 1 else 'they have'} nothing to watch and "
                f"{'is' if never == 1 else 'are'} a group by definition.")
    else:
        text = f"All {number(b.users)} users enrolled."
    if b.enrolled == 0:
        return Prose(text)
    without = b.enrolled - b.scored
    if b.enrolled == 1:
        has = f"has {'no' if without else 'a'} quiz score"
        return Prose(f"{text} The one who did {has}." if never else f"The only user enrolled, and {has}.")
    text += f" Of the {number(b.enrolled)} who did, "
    if b.scored == 0:
        return Prose(text + "none has a quiz score, so the clusters rest on the other measures.")
    if without == 0:
        return Prose(text + "all have a quiz score.")
    text += (f"{number(without)} ({percent(without / b.enrolled)}) "
             f"{'has' if without == 1 else 'have'} no quiz score. ")
    if QUIZ not in b.measures:
        why = ("those who have one all have the same" if b.scored >= b.enrolled / 2 else
               "that is more than half")
        return Prose(text + f"Since {why}, the quiz is left out of the clusters and only reported.")
    text += ("A missing score is not a score of nought, and it need not be missing at random: who "
             "tries little may take no quiz")
    if b.found is None:
        return Prose(text + "; clusters are looked for among those with a score.")
    rows = _clusters(s)
    gone = rows["users"] - rows["scored"]
    top = gone.idxmax()
    return Prose(
        f"{text}. So clusters are found among those with a score, and the others join the nearest "
        f"cluster by the two measures that they have. {percent(gone[top] / without, 0)} of them "
        f"join {_who(top)}."
    )


def grid(s: Study) -> Prose:
    """How many cells stand for the users, and what they lose."""
    b = s.behaviour
    if b.lost is None:
        return Prose("Here there was nothing to reduce.")
    n = int(b.scored if QUIZ in b.measures else b.enrolled)
    lost = "nothing" if b.lost < 5e-6 else f"{percent(b.lost, 2)} of the variance"
    return Prose(
        f"Here {count(n, 'user')} {'falls' if n == 1 else 'fall'} into {count(b.cells, 'cell')}, "
        f"and {lost} is lost within them."
    )


def choice_table(s: Study) -> Prose:
    """What each number of clusters scores by each criterion."""
    choice = s.behaviour.choice
    if choice is None:
        return _no_clusters(s)
    frame = choice.criteria.reset_index()
    shown = pd.DataFrame({
        "Clusters": [Prose(f"**{k}**" if k == choice.k else f"{k}") for k in frame["clusters"]],
        "Gap (± error)": [
            Prose(f"{number(row.gap, 3)}{NBSP}±{NBSP}{number(row.gap_error, 3)}") if np.isfinite(row.gap)
            else Prose(MISSING) for row in frame.itertuples()],
        "One more adds no more than chance": [Prose("yes" if e else "no") for e in frame["enough"]],
        "Variance explained": frame["explained"],
        "Prediction strength": frame["prediction_strength"],
        "Silhouette": frame["silhouette"],
    })
    two = lambda value: number(value, 2)  # noqa: E731
    return table(shown, {
        "Clusters": Prose, "Gap (± error)": Prose, "One more adds no more than chance": Prose,
        "Variance explained": lambda value: percent(value, 0), "Prediction strength": two,
        "Silhouette": two,
    })


def choice(s: Study) -> Prose:
    """How many clusters there are, by which criterion, and what the others say."""
    b = s.behaviour
    if b.choice is None:
        return _none(s)
    criteria = b.choice.criteria
    if b.found is None:
        return Prose("The first row of the table settles it: one cluster is enough, by the "
                     f"criterion. {_none(s)}")
    k = b.choice.k
    text = (f"The gap statistic chooses {k} clusters: the smallest number at which one more "
            "gains no more than it would in data without clusters")
    if not b.choice.settled:
        text = (f"The gap still rises at {k} clusters, the most that were tried, so there may be "
                "more and finer ones")
    text += f". They hold {percent(b.found.explained, 0)} of the variance"
    strength = criteria["prediction_strength"]
    enough = strength.index[strength >= 0.8]
    best = criteria["silhouette"].idxmax()
    others = (
        ("prediction strength, by its usual bar of 0.8,", enough.max() if len(enough) else None),
        ("the silhouette", best),
    )
    told = [f"{name} would take {number(other)}{' as well' if other == k else ''}"
            for name, other in others if other is not None and np.isfinite(other)]
    return Prose(f"{text}; {listing(told)}.")


def stability(s: Study) -> Prose:
    """Whether the clusters come back in other samples of the users."""
    b = s.behaviour
    if b.found is None:
        return _no_clusters(s)
    rows = _clusters(s)
    least, name = rows["stability"].min(), rows["stability"].idxmin()
    if least >= SOLID:
        text = (f"All {len(rows)} come back nearly whole: the least stable keeps "
                f"{percent(least, 0)} of its members (mean Jaccard similarity).")
    elif least >= TRUSTED:
        text = (f"All {len(rows)} come back, the least stable, {_who(name)}, with a mean Jaccard "
                f"similarity of {number(least, 2)}: a pattern, with borders that are not sure.")
    else:
        weak = rows.index[rows["stability"] < TRUSTED]
        text = (f"Not all of them come back: {listing(_who(n) for n in weak)} "
                f"{'lies' if len(weak) == 1 else 'lie'} below {TRUSTED} (mean Jaccard similarity) "
                "and should not be trusted.")
    return Prose(text)


def without_quiz(s: Study) -> Prose:
    """What the clusters would be without the quiz."""
    b = s.behaviour
    if b.found is None or b.agreement is None:
        return _no_clusters(s) if b.found is None else Prose("The quiz has no part in these clusters.")
    text = (f"Clusters by minutes and completion rate alone, as many of them, agree with these at "
            f"an adjusted Rand index of {number(b.agreement, 2)} (1: the same; 0: as by chance)")
    if b.agreement >= 0.8:
        return Prose(f"{text}, so little hangs on how missing scores are handled.")
    return Prose(f"{text}, so the quiz has much to say in them.")


def segments_table(s: Study) -> Prose:
    """The clusters and who never enrolled: size, the three measures, stability."""
    b = s.behaviour
    frame = b.segments
    shown = pd.DataFrame({
        "Users who": [capital(name) for name in frame.index],
        "Users": frame["users"].to_numpy(),
        "Of all users": frame["share"].to_numpy(),
        "Minutes per course": [_sure(row, MINUTES, 0) for _, row in frame.iterrows()],
        "Videos completed, %": [_sure(row, RATE) for _, row in frame.iterrows()],
        "Quiz score": [_sure(row, QUIZ) for _, row in frame.iterrows()],
        "Have one": (frame["scored"] / frame["users"]).to_numpy(),
        "Stability": frame["stability"].to_numpy(),
    })
    return table(shown, {
        "Users": number, "Of all users": lambda v: percent(v, 0), "Minutes per course": Prose,
        "Videos completed, %": Prose, "Quiz score": Prose, "Have one": lambda v: percent(v, 0),
        "Stability": lambda v: number(v, 2),
    })


def segments(s: Study) -> Prose:
    """The largest cluster, and what else there is."""
    b = s.behaviour
    if b.found is None:
        return _no_clusters(s)
    rows = _clusters(s).sort_values("users", ascending=False, kind="stable")
    told = [f"{_who(name)} ({percent(row['users'] / b.enrolled, 0)})" for name, row in rows.iterrows()]
    return Prose(f"Of the enrolled, the largest cluster is that of {told[0]}; then come {listing(told[1:])}.")


def map_figure(s: Study) -> p9.ggplot | Prose:
    """Where the enrolled lie by minutes per course and completion rate, and in which cluster."""
    b = s.behaviour
    if b.places.empty:
        return _no_clusters(s) if b.found is None else Prose(
            "Minutes and completion rate do not both vary, so there is no such picture.")
    frame = b.places[b.places["users"] >= LEAST_SHOWN * b.enrolled].reset_index()
    order = list(b.centres.index) or [ENROLLED]
    frame["segment"] = pd.Categorical(frame["segment"], order)
    # A tenth of a minute is as good as none, and has a place on the axis.
    frame[MINUTES] = frame[MINUTES].clip(lower=0.1)
    frame = frame.sort_values("users", ascending=False, kind="stable")
    return (
        figures.Plot(frame, p9.aes(MINUTES, "completion_rate", color="segment", shape="segment",
                                   size="users"))
        + p9.geom_point()
        + figures.log_x(breaks=[0.1, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000],
                           labels=lambda values: [f"{v:,.10g}" for v in values])
        + p9.scale_size_area(max_size=7, guide=None)
        + figures.colours(order)
        + p9.scale_shape_manual(dict(zip(order, SHAPES, strict=False)))
        + p9.guides(color=p9.guide_legend(ncol=1, override_aes={"size": 3}),
                    shape=p9.guide_legend(ncol=1))
        + p9.labs(x="Minutes watched per enrolled course (log scale)", y="Videos completed, %")
        + figures.theme(height=3.2 + 0.19 * len(order))
    )


def unseen_figure(s: Study) -> p9.ggplot | Prose:
    """What the clusters did not see: who completes a course, and revenue, with intervals."""
    b = s.behaviour
    if b.found is None:
        return _no_clusters(s)
    rows = _clusters(s)
    labels = {name: textwrap.fill(name, 27) for name in rows.index}
    panels = {"completed": "Completed a course, %", REVENUE: "Revenue per user"}
    frame = pd.concat([
        pd.DataFrame({
            "segment": [labels[n] for n in rows.index], "panel": title,
            "value": rows[name] * scale, "low": rows[f"{name}_low"] * scale,
            "high": rows[f"{name}_high"] * scale,
        })
        for name, title, scale in (("completed", panels["completed"], 100),
                                   (REVENUE, panels[REVENUE], 1))
    ])
    frame["segment"] = pd.Categorical(frame["segment"], list(labels.values())[::-1])
    frame["panel"] = pd.Categorical(frame["panel"], list(panels.values()))
    return (
        figures.Plot(frame, p9.aes("value", "segment"))
        + p9.geom_segment(p9.aes(x="low", xend="high", y="segment", yend="segment", group=1),
                          color=figures.SKY, size=1.3, na_rm=True)
        + p9.geom_point(color=figures.BLUE, size=2)
        + p9.facet_wrap("panel", scales="free_x")
        + p9.expand_limits(x=0)
        + p9.labs(x="", y="")
        + figures.theme(height=0.9 + 0.48 * len(rows))
        + p9.theme(panel_grid_major_y=p9.element_blank(),
                   axis_text_y=p9.element_text(ha="right", ma="right"))
    )


def completion(s: Study) -> Prose:
    """Whether the clusters differ in who completes a course."""
    b = s.behaviour
    if b.found is None:
        return _no_clusters(s)
    if b.completion is None:
        some = b.segments["completed"].max() > 0
        return Prose(f"{'Everybody' if some else 'Nobody'} enrolled has completed a course, so the "
                     "clusters cannot differ in that.")
    rows = _clusters(s)
    high, low = rows["completed"].idxmax(), rows["completed"].idxmin()
    if b.completion_p > ALPHA:
        return Prose(
            f"The clusters are not shown to differ in who completes a course "
            f"({p_value(b.completion_p)}): the shares run from {_share(rows.loc[low], 'completed')} "
            f"to {_share(rows.loc[high], 'completed')}."
        )
    return Prose(
        f"The clusters tell who gets to the end: {_share(rows.loc[high], 'completed')} of "
        f"{_who(high)} have completed a course, {_share(rows.loc[low], 'completed')} of "
        f"{_who(low)} (Cramér's V {number(b.completion.effect.value, 2)}, "
        f"{interval(b.completion.effect.low, b.completion.effect.high, 2)}; "
        f"{p_value(b.completion_p)})."
    )


def revenue(s: Study) -> Prose:
    """Whether the clusters differ in revenue; never "alike" for "not shown to differ"."""
    b = s.behaviour
    if b.found is None:
        return _no_clusters(s)
    if b.revenue is None:
        return Prose("Within one of the clusters all brought the same revenue, so the test for "
                     "differences cannot be made.")
    rows = _clusters(s)
    high, low = rows[REVENUE].idxmax(), rows[REVENUE].idxmin()
    ends = (f"from {_sure(rows.loc[low], REVENUE)} for {_who(low)} to "
            f"{_sure(rows.loc[high], REVENUE)} for {_who(high)}")
    test = f"Welch's F = {number(b.revenue.statistic, 2)}, {p_value(b.revenue_p)}"
    if b.revenue_p <= ALPHA:
        return Prose(
            f"They differ in revenue as well: the mean a user runs {ends} ({test}; "
            f"{percent(b.revenue.effect.value)} of the variance lies between the clusters)."
        )
    against = b.revenue_against_rest
    text = f"In revenue they are not shown to differ: the mean a user runs {ends} ({test})."
    if _alike(s):
        return Prose(
            f"{text} More than that, they are shown to be alike for practical purposes: each "
            f"cluster's mean lies within {number(b.margin, 1)} of the others' ({MARGIN} standard "
            "deviations), even with intervals widened for their number."
        )
    widest = max(abs(against["wide_low"]).max(), abs(against["wide_high"]).max())
    return Prose(f"{text} Nor are they shown to be alike: a cluster may differ from the others by "
                 f"up to {number(widest, 1)}.")


def _alike(s: Study) -> bool:
    """Whether every cluster's revenue is shown to lie within the margin of the others'."""
    b = s.behaviour
    against = b.revenue_against_rest
    return bool(b.margin is not None and (against["wide_low"] > -b.margin).all()
                and (against["wide_high"] < b.margin).all())


def _signs(s: Study, name: str) -> tuple[float, float | None]:
    """How active a cluster is, and its quiz score, in standard deviations from the average."""
    row = s.behaviour.centres.loc[name]
    seen = [row[m] for m in (LOG_MINUTES, RATE) if m in row]
    return (float(np.mean(seen)) if seen else 0.0), (float(row[QUIZ]) if QUIZ in row else None)


def _action(s: Study, name: str) -> tuple[str, str]:
    """What to try with a cluster, and what to judge it by."""
    active, score = _signs(s, name)
    if active >= SLIGHT:
        if score is not None and score < SLIGHT:
            return ("exercises before each quiz, with hints where answers went wrong",
                    "quiz scores, courses completed")
        return "an offer of the next course when one is completed", "orders per user"
    if active <= -SLIGHT:
        if score is not None and score >= SLIGHT:
            return ("a placement test and a short way to the certificate, not reminders to watch",
                    "courses completed")
        return "a short first lesson, and a reminder in the first week", "courses completed"
    return "telling how little is left to the end", "courses completed"


def actions_table(s: Study) -> Prose:
    """For each cluster what to try, and what would show that it works."""
    if s.behaviour.found is None:
        return _no_clusters(s)
    rows = _clusters(s)
    shown = pd.DataFrame([
        {"Users who": capital(name), "Users": row["users"],
         "Not completed any": round(row["users"] * (1 - row["completed"])),
         "Worth trying": _action(s, name)[0], "Judged by": _action(s, name)[1]}
        for name, row in rows.iterrows()
    ])
    return table(shown, {"Users": number, "Not completed any": number})


def meaning(s: Study) -> Prose:
    """What a cluster says and what it doesn't."""
    if s.behaviour.found is None:
        return _no_clusters(s)
    return Prose(
        "A cluster describes how people learn, not why. Where few of those who watch little complete a "
        "course, that does not say that they would if they were made to watch: who lacks the time does "
        "neither. So each line of @tbl-mooc-actions wants a test on a random half of its cluster. "
        "`analysis.mooc.behaviour.segment_of` gives the list of users."
    )


def answer(s: Study) -> Prose:
    """The result in two sentences, for the top of the chapter."""
    b = s.behaviour
    if b.found is None:
        return _none(s)
    rows = _clusters(s)
    high, low = rows["completed"].idxmax(), rows["completed"].idxmin()
    text = (f"Those who enrol fall into **{len(rows)} ways of learning** by what they watch, finish "
            "and score.")
    if b.completion is not None and b.completion_p <= ALPHA:
        text += (f" Of {_who(high)}, {percent(rows.loc[high, 'completed'], 0)} complete a course; "
                 f"of {_who(low)}, {percent(rows.loc[low, 'completed'], 0)} do.")
    if b.revenue is not None:
        text += (" In revenue the clusters differ too." if b.revenue_p <= ALPHA else
                 " In revenue they are alike for practical purposes." if _alike(s) else
                 " In revenue they are not shown to differ.")
    return Prose(text)


def recommendation(s: Study) -> Prose:
    """What to do first; empty without clusters."""
    b = s.behaviour
    if b.found is None:
        return Prose("")
    rows = _clusters(s)
    left = (rows["users"] * (1 - rows["completed"])).round()
    name = left.idxmax()
    if not left[name] > 0:
        return Prose("")
    action, judged = _action(s, name)
    return Prose(
        f"**Begin with {_who(name)}.** They are {percent(rows.loc[name, 'users'] / b.enrolled, 0)} "
        f"of the enrolled, and {number(left[name])} of them have completed nothing yet. Worth "
        f"trying: {action}, for a random half of them, judged by {judged} "
        "(@sec-mooc-behaviour)."
    )
