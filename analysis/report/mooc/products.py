"""Products: what sells, how sure its class is, and which courses sell less than they should."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotnine as p9

from analysis.mooc import Study
from analysis.mooc.products import (
    A_TO,
    B_TO,
    CLASSES,
    KEEP,
    LAG,
    LEAST_COURSES,
    LEAST_FREE,
    NEW_DAYS,
    PROMOTE,
    RETIRE,
    STEADY,
    WAIT,
    WORTH,
    Shift,
)
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    capital,
    change,
    count,
    day,
    escape,
    interval,
    listing,
    low_to_high,
    number,
    p_value,
    paragraph,
    percent,
)

MOST_NAMED = 5
MOST_ROWS = 12
LONGEST = 28  # letters of a title in a figure
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)  # between ticks
DECISIONS = {PROMOTE: "promote", RETIRE: "retire", KEEP: "keep", WAIT: "wait"}
NOTHING = Prose(
    "No course brought any revenue, so there is none to share out."
)
FEW = Prose(
    f"Fewer than {LEAST_COURSES} courses with a price have been sold or taken, so what a course should sell cannot be told."
)


def title(s: Study, course: str) -> Prose:
    """A course in a sentence."""
    return escape(s.products.by_course.title[course])


def _titles(s: Study, courses) -> Prose:
    """Some courses in a sentence, the rest counted."""
    courses = list(courses)
    shown = [title(s, course) for course in courses[:MOST_NAMED]]
    if len(courses) > MOST_NAMED:
        shown.append(f"{number(len(courses) - MOST_NAMED)} more")
    return listing(shown)


def categories_table(s: Study) -> Prose:
    """Categories by revenue."""
    frame = s.products.by_category.sort_values("revenue", ascending=False, kind="stable")
    frame = frame.head(MOST_ROWS)
    rows = pd.DataFrame({
        "Category": frame.index, "Courses": frame.courses, "Units": frame.units,
        "Share of units": frame.unit_share, "Revenue": frame.revenue,
        "Share of revenue": frame.revenue_share, "Customers": frame.customers,
    })
    return table(rows, {
        "Courses": number, "Units": number, "Share of units": percent, "Revenue": number,
        "Share of revenue": percent, "Customers": number,
    })


def mix(s: Study) -> Prose:
    """Which categories bring the revenue."""
    if s.products.concentration is None:
        return NOTHING
    frame = s.products.by_category.sort_values("revenue_share", ascending=False, kind="stable")
    top = frame.iloc[0]
    if len(frame) == 1:
        return Prose(f"All courses are in one category, {escape(frame.index[0])}.")
    ratio = frame.revenue_share / frame.unit_share.where(frame.unit_share > 0)
    dear = ratio.idxmax()
    said = f"{escape(frame.index[0])} brings most, {percent(top.revenue_share)} of the revenue"
    if ratio[dear] > 1.05:
        said += (
            f"; {escape(dear)} brings most for what it sells: {percent(frame.revenue_share[dear])} of the revenue with {percent(frame.unit_share[dear])} of the units"
        )
    return Prose(f"{said}.")


def courses_table(s: Study) -> Prose:
    """The courses with most revenue, and their classes."""
    if s.products.concentration is None:
        return NOTHING
    frame = s.products.by_course
    frame = frame[frame.abc != "free"].sort_values("revenue", ascending=False, kind="stable")
    rows = frame.head(10)
    cumulated = frame.revenue_share.cumsum().reindex(rows.index)
    shown = pd.DataFrame({
        "Course": rows.title, "Price": rows.price, "Units": rows.units,
        "Customers": rows.customers, "Revenue": rows.revenue, "Share": rows.revenue_share,
        "Up to here": cumulated, "Class": rows.abc,
    })
    return table(shown, {
        "Price": lambda value: number(value, 2), "Units": number, "Customers": number,
        "Revenue": number, "Share": percent, "Up to here": percent,
    })


def classes_table(s: Study) -> Prose:
    """How many courses make each class."""
    if s.products.concentration is None:
        return NOTHING
    frame = s.products.by_course
    rows = []
    for name in (*CLASSES, "free"):
        some = frame[frame.abc == name]
        if len(some):
            sure = some.same_class.dropna()
            rows.append({
                "Class": name, "Courses": len(some), "Share of courses": len(some) / len(frame),
                "Share of revenue": some.revenue_share.sum(), "Units": some.units.sum(),
                "Enrolments": some.enrolments.sum(),
                "Class not sure": number((sure < STEADY).sum()) if len(sure) else MISSING,
            })
    return table(pd.DataFrame(rows), {
        "Courses": number, "Share of courses": percent, "Share of revenue": percent,
        "Units": number, "Enrolments": number, "Class not sure": Prose,
    })


def pareto(s: Study) -> Prose:
    """How concentrated revenue is, and whether the 80/20 rule holds."""
    c = s.products.concentration
    if c is None:
        return NOTHING
    if c.courses < 5:
        return Prose(
            f"Only {count(c.courses, 'course has', 'courses have')} a price or revenue, too few for a fifth of them to mean anything."
        )
    rule = (
        "about what the rule of thumb of 80/20 says" if 0.7 <= c.top_20_share <= 0.9 else
        "far from the 80% of the rule of thumb" if c.top_20_share < 0.7 else
        "more than the rule of thumb of 80/20 says"
    )
    return Prose(
        f"The fifth of the courses that sell most brings {percent(c.top_20_share)} of the revenue, {rule}; the Gini coefficient is {number(c.gini, 2)} (0: all courses earn alike, 1: one earns everything). "
        f"It takes {number(c.to_a)} of {count(c.courses, 'course')} to reach {percent(A_TO, 0)}."
    )


def borders(s: Study) -> Prose:
    """Courses whose class is not sure."""
    c = s.products.concentration
    if c is None:
        return NOTHING
    frame = s.products.by_course
    unsure = frame[frame.same_class < STEADY].sort_values("same_class", kind="stable")
    if unsure.empty:
        return Prose(
            f"Drawn again with other customers like these, every course keeps its class in at least {percent(STEADY, 0)} of the draws."
        )
    shown = [
        f"{title(s, course)} ({row.abc}, {percent(row.same_class, 0)})"
        for course, row in unsure.head(MOST_NAMED).iterrows()
    ]
    if len(unsure) > MOST_NAMED:
        shown.append(f"{number(len(unsure) - MOST_NAMED)} more")
    return Prose(
        f"{count(len(unsure), 'course lies', 'courses lie')} near a border: drawn again with other customers like these, {'it keeps its' if len(unsure) == 1 else 'they keep their'} class in fewer than {percent(STEADY, 0)} of the draws: {listing(shown)}. "
        "All others are surer of theirs."
    )


def pareto_figure(s: Study) -> p9.ggplot | Prose:
    """The Pareto curve, its classes, and the courses at their borders."""
    c = s.products.concentration
    if c is None:
        return NOTHING
    if c.courses < 2:
        return Prose("A single course makes no curve.")
    frame = s.products.by_course
    ranked = frame[frame.abc != "free"].sort_values("revenue", ascending=False, kind="stable")
    curve = c.curve.reset_index()
    shares = ranked.revenue_share.cumsum()
    n = len(ranked)
    # A course that is several of these is named once.
    what = {0: "first"}
    for kind in "AB":
        if (ranked.abc == kind).any():
            last = int((ranked.abc <= kind).sum()) - 1
            what[last] = f"{what[last]}, last of {kind}" if last in what else f"last of {kind}"
    # Below the curve; the first course's above the line of 0%.
    below = np.where(np.array(list(what)) > 0, -0.012, 0.035)
    marked = pd.DataFrame({
        "rank": [i + 1 for i in what], "revenue": shares.iloc[list(what)].to_numpy() + below,
        "label": [f"{called}: {figures.short(ranked.title.iloc[i], LONGEST)}"
                  for i, called in what.items()],
    })
    points = ranked.assign(rank=np.arange(1, n + 1), revenue=shares)
    ends = [int((ranked.abc <= kind).sum()) for kind in CLASSES]
    places = pd.DataFrame({
        "rank": [(a + b) / 2 + 0.5 for a, b in zip([0, *ends], ends, strict=False)],
        "revenue": 0.13, "abc": list(CLASSES),
    })[np.diff([0, *ends]) > 0]
    plot = (
        figures.Plot(curve, p9.aes("rank", "revenue"))
        + p9.geom_vline(xintercept=[e + 0.5 for e in ends[:2] if 0 < e < n], color=figures.GREY,
                        linetype="dotted")
        + p9.geom_line(p9.aes(y="courses"), color=figures.GREY, linetype="dashed", size=0.6)
        + p9.geom_line(color=figures.BLUE, size=0.9)
    )
    if n <= 200:
        plot += p9.geom_point(p9.aes(shape="abc"), data=points, color=figures.BLUE, size=1.5)
        plot += p9.scale_shape_manual({"A": "o", "B": "s", "C": "^"}, guide=None)
    return (
        plot
        + p9.geom_text(p9.aes(label="abc"), data=places, size=11, fontweight="bold",
                       color=figures.INK)
        + p9.geom_label(p9.aes(label="label"), data=marked, size=8, color=figures.INK, ha="left",
                        va="top", nudge_x=0.012 * n, fill="white", label_size=0, label_padding=0.1)
        + p9.scale_y_continuous(labels=figures.percents, breaks=[0, 0.2, 0.4, 0.6, A_TO, B_TO])
        + p9.scale_x_continuous(
            expand=(0.01, 0, 0.05, 0),
            breaks=range(0, n + 1, next((k for k in STEPS if n <= 6 * k), n)))
        + p9.coord_cartesian(ylim=(0, 1.01), xlim=(0, 1.42 * n))
        + p9.labs(x="Courses, most revenue first", y="Share of revenue, cumulated")
        + figures.theme(height=3.3, legend="none")
    )


def shift(s: Study) -> Prose:
    """Whether the mix changed over time."""
    found = s.products.shift
    if found is None:
        return Prose(
            "Whether the mix changes over time cannot be told: it takes orders on more than one day, in more than one category."
        )
    moves = found.categories.change
    if not moves.abs().max() > 0:
        said = "no category's share of the units moved"
    else:
        said = f"of the units, the share of {_move(found, moves.idxmax())} gained most and that of {_move(found, moves.idxmin())} lost most"
    if found.p_value is None:
        return Prose(
            f"From {day(found.split)} on, compared with before, {said}; there are too few units for a test."
        )
    rough = (
        "The test takes units as independent; where customers buy several courses, its p is rather too small than too large, and the intervals are rather too narrow."
    )
    tested = f"chi-square {number(found.statistic, 1)}, {p_value(found.p_value)}, Cramér’s V {number(found.cramers_v.value, 2)}, 95% interval {interval(found.cramers_v.low, found.cramers_v.high, 2)}"
    if found.p_value <= 0.05:
        size = "but little" if found.cramers_v.high < 0.1 else "and perhaps not little"
        return Prose(
            f"The mix of categories changed, {size}, from before {day(found.split)} to after ({tested}): {said}. {rough}"
        )
    return Prose(
        f"The mix of categories is not shown to differ between the days before {day(found.split)} and those from it on ({tested}); {said}. {rough}"
    )


def _move(found: Shift, category: str) -> str:
    """A category with the change of its share and the interval that holds for all of them."""
    row = found.categories.loc[category]
    return (
        f"{escape(category)} ({number(100 * row.change, 1)} percentage points, 95% interval for {'both' if len(found.categories) == 2 else f'all {number(len(found.categories))}'} categories "
        f"{interval(100 * row.low, 100 * row.high)})"
    )


def expectation(s: Study) -> Prose:
    """What price and category say about units."""
    d = s.products.demand
    if d is None:
        return FEW
    said = f"The expectation rests on {count(d.courses, 'course')}"
    if d.elasticity is not None:
        sure = d.elasticity_high < 0 or d.elasticity_low > 0
        said += (
            f": twice the list price goes with {change(2**d.elasticity)} in units (95% interval {low_to_high(change(2**d.elasticity_low), change(2**d.elasticity_high))}) within a category"
            + ("" if sure else ", so that the price tells little")
        )
    return Prose(
        f"{said}. Beyond price, category and chance, courses differ by a factor of {number(np.exp(d.between), 1)} up or down (one standard deviation), categories by {number(np.exp(d.between_categories), 1)}. "
        "That is a comparison between courses, not what a change of a price would do."
    )


def regression_to_the_mean(s: Study) -> Prose:
    """Whether those that were lowest stayed so."""
    d = s.products.demand
    if d is None or d.halves is None:
        why = "without an expectation no course is known to be low" if d is None else "the orders are too few to be halved"
        return Prose(f"Whether the lowest courses stay low cannot be checked: {why}.")
    one, two = np.exp(d.first), np.exp(d.second)
    back = 1 - d.second / d.first if d.first else 0.0
    kept = (
        "they stayed where they were: chance plays a small part in these ranks" if abs(back) < 0.2 else
        "part of their place was chance" if 0.2 <= back < 1 else
        "their place was chance, or is past" if back >= 1 else
        "they fell further behind"
    )
    return Prose(
        f"{'The course that was' if d.lowest == 1 else f'The {d.lowest} courses that were'} lowest in the first half of the time sold {percent(one, 0)} of what was expected then, and {percent(two, 0)} in the second half, so {kept} (correlation of the halves {number(d.halves, 2)})."
    )


def _laggards(s: Study) -> pd.DataFrame:
    judged = s.products.judged
    if judged.empty:
        return judged
    return judged[judged.laggard.astype(bool)].sort_values("ratio", kind="stable")


def laggards(s: Study) -> Prose:
    """Which courses lag."""
    judged = s.products.judged
    if judged.empty:
        return FEW
    some = _laggards(s)
    compared = count(len(judged), "course compared", "courses compared")
    if some.empty:
        return Prose(f"None of the {compared} is a laggard: none falls short of half of what is expected of it with enough certainty.")
    return Prose(
        f"{number(len(some))} of the {compared} {'is a laggard' if len(some) == 1 else 'are laggards'}: {_titles(s, some.index)}."
    )


def not_compared(s: Study) -> Prose:
    """Courses that no comparison holds; empty where it holds all."""
    frame, judged = s.products.by_course, s.products.judged
    untouched = s.products.untouched
    left = len(frame) - len(judged) - untouched
    parts = []
    if untouched:
        parts.append(
            f"{count(untouched, 'course has', 'courses have')} neither an order nor an enrolment; the tables do not say since when {'it is' if untouched == 1 else 'they are'} on offer."
        )
    if left and len(judged):
        parts.append(
            f"{count(left, 'course is', 'courses are')} left out: fewer than {LEAST_COURSES} with a price, or fewer than {LEAST_FREE} free ones, make no comparison."
        )
    return Prose(" ".join(parts))


def laggards_table(s: Study) -> Prose:
    """The laggards, the decision and its reason."""
    some = _laggards(s)
    if some.empty:
        return Prose("There is no laggard to show.")
    some = some.head(MOST_ROWS)
    rows = pd.DataFrame([
        {
            "Course": s.products.by_course.title[course],
            "Price": number(s.products.by_course.price[course], 2),
            "Sold of expected": f"{number(row.units)} of {number(row.expected)}",
            "Share of it": f"{percent(row.ratio, 0)} ({interval(100 * row.ratio_low, 100 * row.ratio_high, 0)})",
            "Completed (expected)": f"{percent(row.completion, 0)} ({percent(row.completion_expected, 0)})",
            "Bought later (expected)": f"{percent(row.went_on, 0)} ({percent(row.went_on_expected, 0)})",
            "To win at most": MISSING if row.free else number(row.gain),
            "Decision": f"{DECISIONS[row.decision]}: {reason(row)}",
        }
        for course, row in some.iterrows()
    ])
    return table(rows, dict.fromkeys(list(rows)[1:-1], Prose))


def reason(row) -> Prose:
    """Why a laggard gets its decision; the order is that of `analysis.mooc.products.decide`."""
    if row.decision == WAIT:
        return Prose(f"on sale for {count(int(row.days_on_sale), 'day')} only")
    if row.decision == KEEP:
        return Prose("those who take it go on to buy more")
    if row.decision == RETIRE and row.completion_finding < 0:
        return Prose("completed less than others")
    if row.decision == RETIRE:
        return Prose("too little to win")
    return Prose("completed more than others" if row.completion_finding > 0
                 else "not shown to be completed less")


def _family(s: Study) -> str:
    """For how many courses the p-values are corrected: free ones are compared with one another."""
    judged = s.products.judged
    free = int(judged.free.astype(bool).sum()) if len(judged) else 0
    paid = len(judged) - free
    parts = [f"the {count(paid, 'course')} with a price"] if paid else []
    if free:
        parts.append(f"the {count(free, 'free course')} among themselves")
    return "p at most 0.05" + (f", corrected for {listing(parts)}" if parts else "")


def rule(s: Study) -> Prose:
    """The rule in words."""
    total = s.products.by_course.revenue.sum()
    return Prose(
        f"A course lags if it sells at most {percent(LAG, 0)} of what is expected, even after the part that chance makes is taken off, and is shown to sell less than expected ({_family(s)}). "
        f"On sale for less than {NEW_DAYS} days: wait. Completed less than expected (95% interval): retire or repair. Its takers later buy more than expected: keep. "
        f"Otherwise promote, if reaching the expected units would win at least {percent(WORTH)} of all revenue ({number(WORTH * total)}); if not, retire."
    )


def laggards_meaning(s: Study) -> Prose:
    """What the decisions come to."""
    some = _laggards(s)
    if some.empty:
        return Prose("There is nothing to promote or retire on this evidence.")
    parts = []
    for decision in (PROMOTE, RETIRE, KEEP, WAIT):
        chosen = some[some.decision == decision]
        if len(chosen):
            parts.append(f"{DECISIONS[decision]} {_titles(s, chosen.index)}")
    said = "; ".join(parts)
    low = some[~some.free.astype(bool)]
    share = s.products.by_course.revenue_share.reindex(some.index).sum()
    win = low[low.decision == PROMOTE].gain.sum()
    total = s.products.by_course.revenue.sum()
    more = (
        f" At the units expected of them, those to promote would bring {number(win)} more ({percent(win / total)} of all revenue): the most that can be hoped for, as they may lack buyers for reasons that no promotion mends."
        if win > 0 else ""
    )
    return Prose(
        f"The rule says: {said}. All laggards together bring {percent(share)} of the revenue.{more}"
    )


def free_courses(s: Study) -> Prose:
    """Free courses, by what they are there for."""
    frame = s.products.by_course
    free = frame[(frame.abc == "free") & (frame.takers > 0)]
    if free.empty:
        return Prose("No course that costs nothing and brought nothing has been taken.")
    on = free.went_on.sum() / free.takers.sum()
    rate = free.completions.sum() / free.enrolments.sum() if free.enrolments.sum() else float("nan")
    judged = s.products.judged
    mine = judged[judged.free.astype(bool)] if len(judged) else judged
    lag = mine[mine.laggard.astype(bool)] if len(mine) else mine
    said = (
        f"{count(len(free), 'free course earns', 'free courses earn')} nothing by design and {'has' if len(free) == 1 else 'have'} {number(free.enrolments.sum())} enrolments, {percent(rate, 0)} of them completed; of those who took one, {percent(on, 0)} have bought something later."
    )
    if len(mine) == 0:
        return Prose(f"{said} They are too few to be compared with one another.")
    best = [c for c in mine.index if mine.went_on_finding[c] > 0]
    worst = [c for c in mine.index if mine.went_on_finding[c] < 0]
    told = (
        "No free course is shown to lead to a purchase more or less often than the others."
        if not best and not worst else
        " ".join(
            f"{_titles(s, some)} {'leads' if len(some) == 1 else 'lead'} to a purchase {word} often than the others."
            for some, word in ((best, "more"), (worst, "less")) if some
        )
    )
    lags = "None lags in enrolments." if lag.empty else f"In enrolments, {_titles(s, lag.index)} {'lags' if len(lag) == 1 else 'lag'}."
    return Prose(f"{said} {told} {lags}")


def answer(s: Study) -> Prose:
    """Products in two sentences."""
    if s.products.concentration is None:
        return paragraph(NOTHING, laggards(s) if len(s.products.judged) else "")
    return paragraph(mix(s), laggards(s))


def _or_repair(s: Study, retire: pd.DataFrame) -> str:
    """Repair is for those that are completed less than expected; the others only win too little."""
    worse = retire[retire.completion_finding < 0]
    if worse.empty:
        return ""
    if len(worse) == len(retire):
        return f", or repair {'it' if len(worse) == 1 else 'them'}"
    return f", or repair {_titles(s, worse.index)}"


def recommendation(s: Study) -> Prose:
    """What to do with the laggards."""
    some = _laggards(s)
    promote, retire = (some[some.decision == d] if len(some) else some for d in (PROMOTE, RETIRE))
    if len(promote) == 0 and len(retire) == 0:
        return Prose("")
    does = []
    if len(promote):
        does.append(f"promote {_titles(s, promote.index)}")
    if len(retire):
        does.append(f"retire {_titles(s, retire.index)}{_or_repair(s, retire)}")
    said = listing(does)
    return Prose(
        f"**{capital(said)}.** {'It sells' if len(promote) + len(retire) == 1 else 'They sell'} less than half of what courses of that price and category do (@sec-mooc-laggards). Test a promotion on a part of the visitors, and set a date at which to retire what does not move."
    )
