"""How people learn: clusters of users by watch time, video completion rate and quiz score.

Total minutes grow with the number of courses that a user has taken, so the measure is minutes *per
enrolled course*, on the log scale because a few watch very much. Who never enrolled has nothing to
watch; that is a group by definition and not a cluster. A user who took no quiz has no score to
compare: clusters are found among those with a score, and the others join the nearest centre on the
two measures that they have. Where fewer than `LEAST_SCORED` of the enrolled have a score, the quiz
is left out for all.

Users are reduced in the backend to the cells of a fine grid of the measures, with the mean of those
in a cell, so that all else costs what the distinct cells cost. Cells are about `CELL` standard
deviations wide, at round numbers, so that a user falls into the same cell on every backend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from analysis.mooc.durations import enrolments
from analysis.stats import association, clusters, intervals, several_means
from analysis.stats.association import Association
from analysis.stats.clusters import Choice, Clusters
from analysis.stats.intervals import Interval
from analysis.stats.moments import Moments
from analysis.stats.multiplicity import holm
from analysis.stats.several_means import Anova

SEED = 2007
CONFIDENCE = 0.95
LOG_MINUTES, RATE, QUIZ = "log_minutes", "video_completion_rate", "quiz_score_average"
MEASURES = (LOG_MINUTES, RATE, QUIZ)
MINUTES, REVENUE = "minutes_a_course", "total_revenue"
NEVER, ENROLLED = "never enrolled", "enrolled"
CELL = 0.25  # width of a cell in standard deviations, at most
STEPS = (1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8)  # times a power of ten: widths of cells
MOST = 6  # clusters: more cannot be told apart in words, nor treated differently
LEAST_USERS = 100  # to look for clusters among
LEAST_SCORED = 0.5  # share of the enrolled with a quiz score, for the quiz to count
MARGIN = 0.1  # standard deviations; a difference of means below it is too small to act on
SLIGHT, STRONG = 0.25, 1.0  # distances from the average, in standard deviations, that names tell
FINISHED = ((85, "nearly all"), (60, "most"), (40, "about half"), (20, "about a third"), (5, "few"),
            (-1, "hardly any"))  # videos, by the mean rate in percent


@dataclass(frozen=True)
class Behaviour:
    """Clusters of users by how they learn, and what the clusters did not see.

    Attributes:
        users: All users.
        enrolled: Of them, with a course.
        scored: Of these, with a quiz score.
        measures: Those that the clusters are made of; see `MEASURES`.
        reason: Why there are no clusters: "few" users, all "alike" in every measure, "none" told
            apart from chance; None where there are.
        courses_with_total, courses_with_minutes: Correlation of the number of courses with the log
            of 1 + minutes, in total and per course; None without variation or for fewer than three
            enrolled users.
        cells: Distinct cells of users that clusters are looked for among.
        lost: Share of the variance that lies within cells, which the clusters do not see.
        scale: Index `measure`; `mean` and `sd` that the measures are standardised by (of the users
            that clusters are looked for among), `width` of a cell.
        choice: How the number of clusters was chosen; None where none was looked for.
        found: The clusters; None where there are none.
        centres: Index `segment`, a column a measure: the clusters' means of the users that they
            were found among, in standard deviations from the average.
        segments: Index `segment`: the clusters, most active first (or all enrolled users where
            there are none), and `NEVER`. `users`, `share` of all; `scored`; `stability` (mean
            Jaccard similarity over bootstrap samples); means of `minutes_a_course`,
            `video_completion_rate`, `quiz_score_average` (of those with one), `total_revenue`, and
            shares `bought` and `completed` (some course), each with `_low` and `_high`.
        places: For a picture, coarser cells: index `minutes_cell`, `rate_cell`, `segment`; `users`,
            and their means `minutes_a_course` (of the log, taken back) and `completion_rate`; empty
            where one of the two is not among the measures.
        agreement: Adjusted Rand index with the division into as many clusters by the first two
            measures alone; None where the quiz is not among the measures.
        revenue: Welch's test that revenue is the same in all clusters; None where it can't be told.
        completion: The same for who has completed a course (chi-squared).
        revenue_p, completion_p: Their p-values, corrected for there being two (Holm).
        revenue_against_rest: See `several_means.against_rest`, by cluster.
        margin: `MARGIN` in units of revenue; None without variation.
    """

    users: int
    enrolled: int
    scored: int
    measures: tuple[str, ...]
    reason: str | None
    courses_with_total: float | None
    courses_with_minutes: float | None
    cells: int
    lost: float | None
    scale: pd.DataFrame
    choice: Choice | None
    found: Clusters | None
    centres: pd.DataFrame
    segments: pd.DataFrame
    places: pd.DataFrame
    agreement: float | None
    revenue: Anova | None
    completion: Association | None
    revenue_p: float | None
    completion_p: float | None
    revenue_against_rest: pd.DataFrame
    margin: float | None


@dataclass(frozen=True)
class _Grid:
    """The cells that clusters are looked for among."""

    scale: pd.DataFrame
    points: np.ndarray = field(repr=False)  # standardised means, a column a measure
    weights: np.ndarray = field(repr=False)
    inside: float  # squared distances of the users to their cells' means


def behaviour(users: ir.Table, events: ir.Table) -> Behaviour:
    """Finds the clusters.

    Args:
        users: mooc/users.
        events: mooc/events, for who has completed a course.
    """
    rows = _measured(users)
    about = _summary(rows)
    enrolled, scored = int(about.enrolled), int(about.scored)
    measures = tuple(
        name for name in MEASURES
        if (name != QUIZ or scored >= LEAST_SCORED * enrolled) and about[f"varies__{name}"]
    )
    by_quiz = QUIZ in measures
    base = "scored" if by_quiz else "all"
    widths = {name: _width(float(about[f"sd_{base}__{name}"])) for name in measures}
    cells = _cells(rows, events, widths)
    used = cells["enrolled"] & (cells[f"n__{QUIZ}"] > 0 if by_quiz else True)
    grid = _grid(cells[used], measures)

    reason = choice = found = stability = agreement = None
    if not measures:
        reason = "alike" if enrolled >= LEAST_USERS else "few"
    elif grid.weights.sum() < LEAST_USERS:
        reason = "few"
    else:
        choice = clusters.choose(
            grid.points, grid.weights, most=MOST, seed=SEED, inside=grid.inside)
        reason = "none" if choice.k == 1 else None
    label = pd.Series(0, cells.index)
    labels = [ENROLLED] if enrolled else []
    centres = pd.DataFrame(columns=list(measures), dtype=float).rename_axis("segment")
    if choice is not None and choice.k > 1:
        found = clusters.kmeans(
            grid.points, grid.weights, choice.k, seed=SEED, inside=grid.inside)
        stability = clusters.stability(grid.points, grid.weights, found, seed=SEED)
        label[used] = found.labels
        rest = cells["enrolled"] & ~used
        if rest.any():
            had = [i for i, name in enumerate(measures) if name != QUIZ]
            points = _points(cells[rest], grid.scale.iloc[had])
            label[rest] = clusters.nearest(points, found.centres[:, had])
        if by_quiz and len(measures) > 1:
            agreement = _without_quiz(grid, measures, found)
        centres = pd.DataFrame(found.centres, columns=list(measures))
        rates = _means(cells, label, RATE)
        labels = names(centres, rates)
        centres.index = pd.Index(labels, name="segment")
    place = label.where(cells["enrolled"], len(labels))
    segments = _profile(cells, place, [*labels, NEVER], stability)
    revenue, completion, against, margin = _unseen(cells[cells["enrolled"]], label, labels)
    p = dict(zip(
        [name for name, test in (("revenue", revenue), ("completion", completion)) if test],
        holm([test.p_value for test in (revenue, completion) if test]), strict=True))
    return Behaviour(
        users=int(about.users), enrolled=enrolled, scored=scored, measures=measures, reason=reason,
        courses_with_total=_finite(about.with_total) if enrolled > 2 else None,
        courses_with_minutes=_finite(about.with_minutes) if enrolled > 2 else None,
        cells=len(grid.weights), lost=_lost(grid), scale=grid.scale.assign(
            width=[widths[name] for name in measures]),
        choice=choice, found=found, centres=centres, segments=segments,
        places=_places(cells[cells["enrolled"]], label, labels, widths), agreement=agreement,
        revenue=revenue, completion=completion, revenue_p=_number(p.get("revenue")),
        completion_p=_number(p.get("completion")), revenue_against_rest=against, margin=margin,
    )


def segment_of(users: ir.Table, found: Behaviour) -> ir.Table:
    """Each user's segment, for a list of whom to write to: the nearest centre, by their own values.

    A user near a border may have been counted with the other side, where most of the cell lies.

    Returns:
        `user_id`, `segment`.
    """
    rows = _measured(users)
    if found.found is None:
        name = ibis.cases((rows.enrolled, ENROLLED), else_=NEVER)
        return rows.select("user_id", segment=name)
    standard = [
        (rows[name] - mean) / sd for name, mean, sd in zip(
            found.scale.index, found.scale["mean"], found.scale["sd"], strict=True)
    ]
    # A missing score adds no distance to any centre.
    distances = [
        sum((((z - float(at)) ** 2).fill_null(0.0) for z, at in zip(standard, centre, strict=True)),
            ibis.literal(0.0))
        for centre in found.found.centres
    ]
    least = ibis.least(*distances)
    cases = [(~rows.enrolled, NEVER)]
    cases += [(distance == least, name)
              for distance, name in zip(distances, found.centres.index, strict=True)]
    return rows.select("user_id", segment=ibis.cases(*cases, else_=NEVER))


def names(centres: pd.DataFrame, rates: Sequence[float]) -> list[str]:
    """What sets each cluster apart from the average user, in a few words, no two the same.

    Measures within `SLIGHT` standard deviations of the average go unmentioned; "far" is `STRONG`
    standard deviations or more. What points the other way than the first comes after a "but".

    Args:
        centres: A row a cluster, a column a measure, in standard deviations from the average.
        rates: Mean completion rate of each, in percent.
    """
    called = []
    for row, rate in zip(centres.to_dict("records"), rates, strict=True):
        told = [(value, _words(name, value, rate)) for name, value in row.items()
                if abs(value) >= SLIGHT]
        if not told:
            called.append("average in all")
            continue
        up = told[0][0] > 0
        same, other = ([text for value, text in told if (value > 0) == way] for way in (up, not up))
        text = _listing(same)
        called.append(f"{text}, but {_listing(other)}" if other else text)
    return _told_apart(called, centres)


def _words(measure: str, value: float, rate: float) -> str:
    far = "far " if abs(value) >= STRONG else ""
    if measure == RATE:
        return f"finish {next(word for least, word in FINISHED if rate > least)}"
    if measure == LOG_MINUTES:
        return f"watch {far}{'longer' if value > 0 else 'less'}"
    return f"score {far}{'higher' if value > 0 else 'lower'}"


def _listing(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


_SHORT = {LOG_MINUTES: "watch time", RATE: "videos finished", QUIZ: "quiz score"}


def _told_apart(called: list[str], centres: pd.DataFrame) -> list[str]:
    """Names that several clusters share are numbered by the measure in which they differ most."""
    found = list(called)
    for name in set(called):
        mine = [i for i, other in enumerate(called) if other == name]
        if len(mine) == 1:
            continue
        rows = centres.iloc[mine]
        measure = (rows.max() - rows.min()).idxmax()
        order = rows[measure].rank(method="first", ascending=False).astype(int)
        for i, rank in zip(mine, order, strict=True):
            found[i] = f"{name} ({rank} of {len(mine)} by {_SHORT[measure]})"
    return found


def _measured(users: ir.Table) -> ir.Table:
    """The measures of each user; missing for who never enrolled."""
    enrolled = users.total_courses_enrolled > 0
    courses = users.total_courses_enrolled.cast("float64").nullif(0.0)
    minutes = users.total_time_watched_minutes.cast("float64") / courses
    return users.select(
        "user_id",
        enrolled=enrolled,
        courses=courses,
        total=ibis.ifelse(enrolled, (users.total_time_watched_minutes.cast("float64") + 1).ln(),
                          ibis.null("float64")),
        **{
            MINUTES: minutes,
            LOG_MINUTES: (minutes + 1).ln(),
            RATE: ibis.ifelse(enrolled, users[RATE].cast("float64"), ibis.null("float64")),
            QUIZ: ibis.ifelse(enrolled, users[QUIZ].cast("float64"), ibis.null("float64")),
            REVENUE: users[REVENUE].cast("float64"),
        },
    )


def _summary(rows: ir.Table) -> pd.Series:
    """Counts, spread of the measures, and what goes with the number of courses: one row."""
    has_quiz = rows[QUIZ].notnull()
    found = {
        "users": rows.count(), "enrolled": rows.enrolled.sum(), "scored": has_quiz.sum(),
        "with_total": rows.courses.corr(rows.total, how="pop"),
        "with_minutes": rows.courses.corr(rows[LOG_MINUTES], how="pop"),
    }
    for name in MEASURES:
        found |= {
            f"varies__{name}": (rows[name].max() > rows[name].min()).fill_null(False),
            f"sd_all__{name}": rows[name].std(how="pop"),
            f"sd_scored__{name}": rows[name].std(how="pop", where=has_quiz),
        }
    row = rows.agg(**found).to_pandas().iloc[0]
    undefined = ["with_total", "with_minutes"]  # stay so, where 0 would be a finding
    return row.where(row.notna() | row.index.isin(undefined), 0)


def _width(sd: float) -> float:
    """A round number of at most `CELL` standard deviations; 1 without spread."""
    if not sd > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(CELL * sd))
    return max((step * power for step in STEPS if step * power <= CELL * sd), default=power)


def _cells(rows: ir.Table, events: ir.Table, widths: Mapping[str, float]) -> pd.DataFrame:
    """Users by cell of the measures, with the sums that means, variances and skewness need."""
    done = enrolments(events).filter(_.completed.notnull()).select("user_id").distinct()
    rows = rows.left_join(done.rename(done_by="user_id"), [("user_id", "done_by")])
    keys = {f"cell__{name}": (rows[name] / width).floor() for name, width in widths.items()}
    sums = {
        "users": rows.count(), "completed": rows.done_by.notnull().sum(),
        "bought": (rows[REVENUE] > 0).sum(),
    }
    for name in (LOG_MINUTES, MINUTES, RATE, QUIZ, REVENUE):
        sums[f"n__{name}"] = rows[name].count()
        for power in (1, 2, 3):
            sums[f"sum{power}__{name}"] = (rows[name] ** power).sum()
    frame = rows.group_by(enrolled=rows.enrolled, **keys).agg(**sums).to_pandas()
    frame = frame.sort_values(["enrolled", *keys], kind="stable", ignore_index=True)
    counted = [name for name in frame if name.startswith("n__")]
    frame[counted] = frame[counted].fillna(0).astype("int64")
    frame["enrolled"] = frame["enrolled"].astype(bool)
    return frame.fillna({name: 0.0 for name in frame if name.startswith("sum")})


def _grid(cells: pd.DataFrame, measures: Sequence[str]) -> _Grid:
    """The cells' standardised means; the measures' mean and sd are those of the users."""
    n = cells["users"].to_numpy(dtype=float)
    total = n.sum()
    rows, inside = [], 0.0
    for name in measures:
        first, second = (cells[f"sum{power}__{name}"].to_numpy() for power in (1, 2))
        mean = first.sum() / total
        sd = math.sqrt(max(0.0, second.sum() / total - mean**2))
        rows.append({"measure": name, "mean": mean, "sd": sd})
        inside += float(np.maximum(0.0, second - first**2 / n).sum()) / sd**2 if sd > 0 else 0.0
    scale = pd.DataFrame(rows, columns=["measure", "mean", "sd"]).set_index("measure")
    return _Grid(scale, _points(cells, scale), n, inside)


def _points(cells: pd.DataFrame, scale: pd.DataFrame) -> np.ndarray:
    n = cells["users"].to_numpy(dtype=float)
    columns = [
        (cells[f"sum1__{name}"].to_numpy() / n - mean) / sd if sd > 0 else np.zeros(len(n))
        for name, mean, sd in zip(scale.index, scale["mean"], scale["sd"], strict=True)
    ]
    return np.column_stack(columns) if columns else np.empty((len(n), 0))


def _lost(grid: _Grid) -> float | None:
    users = grid.weights.sum()
    varying = (grid.scale["sd"] > 0).sum()
    return float(grid.inside / (users * varying)) if users and varying else None


def _without_quiz(grid: _Grid, measures: Sequence[str], found: Clusters) -> float:
    had = [i for i, name in enumerate(measures) if name != QUIZ]
    points = grid.points[:, had]
    try:
        other = clusters.kmeans(points, grid.weights, found.k, seed=SEED)
    except ValueError:  # fewer distinct points than clusters
        return 0.0
    return clusters.agreement(found.labels, other.labels, grid.weights)


def _means(cells: pd.DataFrame, label: pd.Series, name: str) -> list[float]:
    of = cells[cells["enrolled"]]
    sums = of.groupby(label[of.index])[[f"sum1__{name}", f"n__{name}"]].sum()
    return (sums.iloc[:, 0] / sums.iloc[:, 1]).to_list()


def _moments(row: pd.Series, name: str) -> Moments | None:
    sums = (row[f"sum{power}__{name}"] for power in (1, 2, 3))
    return several_means.moments_of_sums(int(row[f"n__{name}"]), *sums)


def _mean(moments: Moments | None, skewed: bool) -> tuple[float, float, float]:
    """A mean of what is never below 0, with limits where they can be told."""
    if moments is None:
        return (math.nan,) * 3
    if moments.n < 3 or not moments.variance > 0:
        return moments.mean, math.nan, math.nan
    found = (intervals.mean_skewed if skewed else intervals.mean_t)(moments, CONFIDENCE)
    return found.estimate, max(found.low, 0.0), found.high


def _share(part: int, whole: int) -> Interval | None:
    return intervals.proportion(int(part), int(whole), CONFIDENCE) if whole else None


def _profile(
    cells: pd.DataFrame, place: pd.Series, labels: list[str], stability: np.ndarray | None
) -> pd.DataFrame:
    columns = [name for name in cells if not name.startswith("cell__")]
    sums = cells[columns].groupby(place).sum()
    everybody = cells["users"].sum()
    rows = []
    for i, name in enumerate(labels):
        if i not in sums.index:
            continue
        row = sums.loc[i]
        found = {
            "segment": name, "users": int(row["users"]), "share": row["users"] / everybody,
            "scored": int(row[f"n__{QUIZ}"]),
            "stability": float(stability[i]) if stability is not None and i < len(stability)
            else math.nan,
        }
        for measure, skewed in ((MINUTES, True), (RATE, False), (QUIZ, False), (REVENUE, True)):
            limits = _mean(_moments(row, measure), skewed)
            found |= dict(zip((measure, f"{measure}_low", f"{measure}_high"), limits, strict=True))
        for what in ("bought", "completed"):
            share = _share(row[what], row["users"])
            found |= {what: share.estimate, f"{what}_low": share.low, f"{what}_high": share.high}
        rows.append(found)
    return pd.DataFrame(rows).set_index("segment")


def _unseen(
    cells: pd.DataFrame, label: pd.Series, labels: list[str]
) -> tuple[Anova | None, Association | None, pd.DataFrame, float | None]:
    """Revenue and completion by cluster: neither was among the measures."""
    groups: dict[str, Moments] = {}
    table = []
    if len(labels) > 1:
        columns = [name for name in cells if not name.startswith("cell__")]
        for i, row in cells[columns].groupby(label[cells.index]).sum().iterrows():
            found = _moments(row, REVENUE)
            groups[labels[i]] = replace(found, skewness=None)
            table.append((int(row["completed"]), int(row["users"] - row["completed"])))
    against = several_means.against_rest(groups, CONFIDENCE)
    against.index.name = "segment"
    try:
        revenue = several_means.welch_anova(groups, CONFIDENCE)
    except ValueError:  # no clusters, or one in which all pay the same
        revenue = None
    try:
        completion = association.association(np.array(table).reshape(-1, 2), seed=SEED)
    except ValueError:  # no clusters, or all have completed a course, or nobody
        completion = None
    spread = several_means.together(*groups.values()).variance if groups else 0.0
    return revenue, completion, against, MARGIN * math.sqrt(spread) if spread > 0 else None


def _places(
    cells: pd.DataFrame, label: pd.Series, labels: list[str], widths: Mapping[str, float]
) -> pd.DataFrame:
    """Users by two of the measures and segment, four cells (two by two) put together."""
    keys = ["minutes_cell", "rate_cell", "segment"]
    if not {LOG_MINUTES, RATE} <= set(widths):
        return pd.DataFrame(columns=[*keys, "users", MINUTES, "completion_rate"]).set_index(keys)
    sums = cells[["users", f"sum1__{LOG_MINUTES}", f"sum1__{RATE}"]].groupby([
        (cells[f"cell__{LOG_MINUTES}"] // 2).astype("int64").rename(keys[0]),
        (cells[f"cell__{RATE}"] // 2).astype("int64").rename(keys[1]),
        label[cells.index].map(dict(enumerate(labels))).rename(keys[2]),
    ]).sum()
    return pd.DataFrame({
        "users": sums["users"].astype("int64"),
        MINUTES: np.expm1(sums[f"sum1__{LOG_MINUTES}"] / sums["users"]),
        "completion_rate": sums[f"sum1__{RATE}"] / sums["users"],
    })


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _finite(value: float) -> float | None:
    return float(value) if pd.notna(value) and math.isfinite(value) else None
