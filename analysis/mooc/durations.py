"""How long enrolments take to completion, counted where the events are.

An enrolment that is not completed when the table ends is censored there: it may still be. The
counts by whole days that come out are all that Kaplan-Meier and log-rank need.

A user may be enrolled in several courses, and who completes one tends to complete the others. The
estimates do not mind, but their errors would be too small if every enrolment were taken as
independent. So what each enrolment adds to an estimate is summed by user before it is squared
(`by_user`), which leaves users independent and their enrolments free to go together. Within a
course every enrolment is another user's, so there it changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from analysis.days import SECONDS_A_DAY, seconds
from analysis.mooc.funnels import (
    ALPHA,
    COURSE,
    EVERYBODY,
    OTHERS,
    SOURCE,
    Funnel,
    waits,
)
from analysis.mooc.reduce import MISSING, collect, first_touch, groups
from analysis.stats import survival
from analysis.stats.multiplicity import holm
from analysis.stats.survival import KaplanMeier, LogRank

ENROLLED, COMPLETED = "enrolled_in_course", "completed_course"

MOST_SOURCES = 6
LEAST_ENROLMENTS = 100  # of a source that stands for itself
HORIZONS = (30, 90, 180, 365)  # days after enrolment at which curves are read
LEAST_AT_RISK = 50  # enrolments still observed where curves are compared
LEAST_OF_COURSE = 5  # the same for courses, whose restricted means are compared one by one
LEAST_COMPLETED = 20  # of a group that is compared with others
QUANTILES = (0.25, 0.5)  # shares of all enrolments whose day of completion is told
CONFIDENCE = 1 - ALPHA


@dataclass(frozen=True)
class Durations:
    """Time from enrolment to completion, censored at the last event.

    Intervals of sources and of everybody allow for users with several enrolments; those of courses
    need not.

    Attributes:
        total: One row; see `summary`.
        by_course: The same by course, for the courses of `Funnel.courses`, the largest.
        by_source: The same by referral source at the user's first event.
        days, days_by_course, days_by_source: Their counts by day; see `time_to_completion`.
        curve: Kaplan-Meier over all enrolments, limits as if they were independent.
        curves: The same by source, small ones as "(others)".
        horizons: By `source` ("(everybody)" too) and `within` days: the share `completed` by then
            with `low`, `high` (log-log), `at_risk` (still observed then), and `design_effect`: the
            variance over what it would be if enrolments were independent. Only where `at_risk` is
            at least `LEAST_AT_RISK`.
        times: By `source` ("(everybody)" too): `enrolments`, `completed`; days by which a quarter
            and half of all enrolments are completed, `q25`, `q50`, with `..._low`, `..._high`
            (missing: not reached while anybody was observed); `last_completed`, the share completed
            by the end of the curve, at `last_day`; `naive_mean_days`; the mean days without
            completion within `until` days, `mean`, `mean_low`, `mean_high`.
        course_times: The same by `course_id`, with `title`, and beside them the difference of the
            mean from that of all other courses, `difference`, `difference_low`,
            `difference_high`, the `hazard_ratio` (this course over the others; Peto) with its
            `hazard_ratio_low`, `hazard_ratio_high`, the log-rank `p_value`, `p_adjusted` (Holm,
            over the courses) and `side`: "faster", "slower" or "" (not shown).
        until: Days within which restricted means are taken for everybody and sources, the longest
            of `HORIZONS` at which `LEAST_AT_RISK` of each large source (or, failing that, of all)
            are observed; None where there is none.
        course_until: The same for courses, with `LEAST_OF_COURSE`.
        log_rank: The textbook test over the known sources, which takes enrolments as independent;
            None where it can't be made.
        course_log_rank: The same over the courses.
        pairs: By `source_a`, `source_b`: the log-rank test that allows for users with several
            enrolments: `statistic`, `p_value`, `p_adjusted` (Holm, over the pairs), `p_textbook`
            without that; the `hazard_ratio` of a over b (Peto) with its limits, widened in the same
            measure; and mean days of a less those of b, `difference`, `difference_low`,
            `difference_high`.
        proportional: By `source`, each against all others: the hazard ratio until `split` and
            after it, `early`, `early_low`, `early_high`, `late`, `late_low`, `late_high`; whether
            they are equal: `p_value`, `p_adjusted` (Holm, over the sources).
        split: The day by which half of the completions were over.
        crossings: Pairs of sources whose curves are shown to cross: each above the other at some
            horizon, beyond both 95% intervals of the difference.
        fair: By `within` days: enrolments `followed` so long, those completed by then
            (`completed`), and the mean days these took, `mean_days`.
    """

    total: pd.DataFrame
    by_course: pd.DataFrame
    by_source: pd.DataFrame
    days: pd.DataFrame
    days_by_course: pd.DataFrame
    days_by_source: pd.DataFrame
    curve: KaplanMeier
    curves: Mapping[str, KaplanMeier]
    horizons: pd.DataFrame
    times: pd.DataFrame
    course_times: pd.DataFrame
    until: int | None
    course_until: int | None
    log_rank: LogRank | None
    course_log_rank: LogRank | None
    pairs: pd.DataFrame
    proportional: pd.DataFrame
    split: int | None
    crossings: int
    fair: pd.DataFrame


def enrolments(events: ir.Table) -> ir.Table:
    """Every enrolment: one row a user and course.

    Returns:
        `user_id`, `course_id`, `enrolled` (the first time), `completed` (the first time at or after
        it; missing: not yet). Enrolling again, completing again, and completions before the
        enrolment or without one leave no trace.
    """
    return waits(events, ENROLLED, COMPLETED).rename(enrolled="started", completed="ended")


def time_to_completion(
    events: ir.Table, by: Sequence[str] = (), only: Sequence[str] | None = None
) -> pd.DataFrame:
    """Enrolments by whole days to completion, or to the table's last event where censored.

    Args:
        events: mooc/events.
        by: Groups: `course_id`, or columns of `events` as they were at the user's first event.
        only: The courses to count; None: all.

    Returns:
        Index `by`, `days` (whole days passed, cut) and `completed` (False: censored); columns
        `enrolments` and `total_days` (sum of the exact durations in days).
    """
    by = tuple(by)
    rows, keys = _spans(events, by, only)
    reduced = rows.group_by(*keys, "days", "completed").agg(
        enrolments=_.count(), total_days=_.passed.sum() / SECONDS_A_DAY
    )
    if "group" in keys:
        reduced = reduced.join(groups(events, _touch(by)), "group").drop("group")
    return collect(reduced, (*by, "days", "completed"))


def _touch(by: Sequence[str]) -> tuple[str, ...]:
    return tuple(column for column in by if column != COURSE)


def _spans(
    events: ir.Table, by: Sequence[str], only: Sequence[str] | None = None
) -> tuple[ir.Table, tuple[str, ...]]:
    """Every enrolment with the seconds `passed`, whole `days` and whether `completed`; its keys."""
    end = events.agg(end=seconds(_.event_timestamp).max())
    rows = enrolments(events)
    if only is not None:
        rows = rows.filter(_[COURSE].isin(list(only)))
    touch = _touch(by)
    if touch:
        rows = rows.join(first_touch(events, touch), "user_id")
    rows = rows.cross_join(end)
    passed = ibis.coalesce(seconds(rows.completed), rows.end) - seconds(rows.enrolled)
    rows = rows.mutate(passed=passed, completed=rows.completed.notnull())
    rows = rows.mutate(days=(_.passed // SECONDS_A_DAY).cast("int64"))
    return rows, (("group",) if touch else ()) + ((COURSE,) if COURSE in by else ())


def by_user(events: ir.Table, values: pd.DataFrame) -> pd.DataFrame:
    """Sums of values over each user's enrolments, squared and added up by source.

    Args:
        events: mooc/events.
        values: What an enrolment adds: index `referral_source`, `days` and `completed`, as of
            `time_to_completion`; its columns are reduced.

    Returns:
        Index `referral_source`, the columns of `values`.
    """
    names = {name: f"v{place}" for place, name in enumerate(values.columns)}
    table = ibis.memtable(values.rename(columns=names).reset_index())
    rows, _keys = _spans(events, (SOURCE,))
    rows = rows.join(groups(events, (SOURCE,)), "group")
    rows = rows.mutate(**{SOURCE: _[SOURCE].fill_null(MISSING)})
    rows = rows.select("user_id", SOURCE, "days", "completed")
    rows = rows.join(table, [SOURCE, "days", "completed"])
    users = rows.group_by("user_id", SOURCE).agg(**{v: _[v].sum() for v in names.values()})
    squares = users.group_by(SOURCE).agg(**{v: (_[v] * _[v]).sum() for v in names.values()})
    return collect(squares, (SOURCE,)).rename(columns={v: name for name, v in names.items()})


def summary(counts: pd.DataFrame) -> pd.DataFrame:
    """Totals of `time_to_completion` by group.

    Returns:
        Its group columns as index (one row without any); `enrolments`, `completed`, `censored`,
        and `naive_mean_days`: the mean duration of those completed. It leaves out the enrolments
        that take long, because they are not completed yet, so it is too short.
    """
    levels = [name for name in counts.index.names if name not in ("days", "completed")]
    flat = counts.reset_index()
    flat["completions"] = flat.enrolments.where(flat.completed, 0)
    flat["completed_days"] = flat.total_days.where(flat.completed, 0.0)
    columns = ["enrolments", "completions", "completed_days"]
    by = flat.groupby(levels)[columns].sum() if levels else flat[columns].sum().to_frame().T
    return pd.DataFrame(
        {
            "enrolments": by.enrolments.astype("int64"),
            "completed": by.completions.astype("int64"),
            "censored": (by.enrolments - by.completions).astype("int64"),
            "naive_mean_days": by.completed_days / by.completions.where(by.completions > 0),
        }
    )


def durations(events: ir.Table, funnel: Funnel) -> Durations | None:
    """Time to completion, by course and source; None where nobody is enrolled in anything.

    Args:
        events: mooc/events.
        funnel: Of the same events; its courses are taken.
    """
    if funnel.by_course.empty:
        return None
    days_by_course = time_to_completion(events, (COURSE,), only=sorted(funnel.courses.index))
    days_by_source = time_to_completion(events, (SOURCE,))
    days = days_by_source.groupby(["days", "completed"]).sum()
    by_source = summary(days_by_source)
    labels = _labels(by_source)
    of_label = days_by_source.index.get_level_values(SOURCE).map(labels)
    groups_of = {EVERYBODY: days} | {
        name: rows.groupby(["days", "completed"]).sum()
        for name, rows in days_by_source.groupby(of_label)
    }
    counts = {name: _counts(rows) for name, rows in groups_of.items()}
    curves = {name: survival.kaplan_meier(*c, CONFIDENCE) for name, c in counts.items()}
    known = [name for name in curves if _comparable(name, counts[name])]
    until = _until([curves[name] for name in known]) or _until([curves[EVERYBODY]])
    split = _split(counts[EVERYBODY])
    at = {"mean": until, "split": split} | {f"at_{days}": days for days in HORIZONS}

    values = _values(days_by_source.index, labels, counts, curves, known, at)
    squares = by_user(events, values)
    own = squares.filter(like="own_").groupby(squares.index.map(labels)).sum()
    own.loc[EVERYBODY] = squares.filter(like="all_").sum().to_numpy()
    own.columns = list(at)
    against = squares.filter(like="against_").groupby(squares.index.map(labels)).sum()

    known = [name for name in known if not until or _at_risk(curves[name], until) >= LEAST_AT_RISK]
    horizons = _horizons(curves, own)
    pairs = _pairs({name: counts[name] for name in known}, curves, own, against, until)
    return Durations(
        total=summary(days),
        by_course=summary(days_by_course),
        by_source=by_source,
        days=days,
        days_by_course=days_by_course,
        days_by_source=days_by_source,
        curve=curves[EVERYBODY],
        curves={name: curve for name, curve in curves.items() if name != EVERYBODY},
        horizons=horizons,
        times=pd.DataFrame([
            {"source": name}
            | _times(curve, summary(groups_of[name]).iloc[0], until, own.loc[name], split)
            for name, curve in curves.items()
        ]).set_index("source"),
        until=until,
        log_rank=_log_rank({name: counts[name] for name in known}),
        pairs=pairs,
        proportional=_proportional({name: counts[name] for name in known}, curves, own, split),
        split=split,
        crossings=_crossings(curves, own, pairs),
        fair=_fair(funnel.followed),
        **_courses(days_by_course, summary(days_by_course), funnel.courses["title"]),
    )


def _counts(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts by day and completed as `survival` takes them: time, events, censored."""
    wide = rows["enrolments"].unstack("completed", fill_value=0)
    wide = wide.reindex(columns=[True, False], fill_value=0)
    return wide.index.to_numpy(dtype=float), wide[True].to_numpy(), wide[False].to_numpy()


def _labels(by_source: pd.DataFrame) -> dict[str, str]:
    """What each source is called: itself where it is large, otherwise "(others)"."""
    known = by_source["enrolments"].drop(MISSING, errors="ignore")
    known = known.sort_values(ascending=False, kind="stable")
    named = set(known[known >= LEAST_ENROLMENTS].index[:MOST_SOURCES])
    return {name: name if name in named or name == MISSING else OTHERS for name in by_source.index}


def _comparable(name: str, counts: tuple) -> bool:
    return name not in (EVERYBODY, MISSING, OTHERS) and counts[1].sum() >= LEAST_COMPLETED


def _at_risk(curve: KaplanMeier, day: float) -> int:
    """Enrolments observed, and not completed, through so many days."""
    place = int(np.searchsorted(curve.time, day))
    return int(curve.at_risk[place]) if place < len(curve.time) else 0


def _until(curves: Sequence[KaplanMeier], least: int = LEAST_AT_RISK) -> int | None:
    """The longest horizon at which enough are observed on every curve."""
    seen = [h for h in HORIZONS if curves and all(_at_risk(c, h) >= least for c in curves)]
    return max(seen, default=None)


def _split(counts: tuple) -> int | None:
    """The day by which half of the completions were over."""
    time, events, _censored = counts
    if not events.sum():
        return None
    return int(time[np.searchsorted(events.cumsum(), events.sum() / 2)])


def _observed(curve: KaplanMeier, day: float | None) -> bool:
    """Whether the curve says anything about a day."""
    return day is not None and (day <= curve.time[-1] or curve.survival[-1] == 0)


def _values(
    index: pd.MultiIndex, labels: Mapping[str, str], counts: Mapping, curves: Mapping,
    known: Sequence[str], at: Mapping[str, int | None],
) -> pd.DataFrame:
    """What each enrolment adds to the estimates of its source and of everybody, for `by_user`.

    Columns: `own_...` and `all_...`, to the restricted mean ("mean") and to survival on days; and
    `against_...`, to the log-rank test of its source against another.
    """
    label = index.get_level_values(SOURCE).map(labels).to_numpy()
    day = index.get_level_values("days").to_numpy(dtype=float)
    done = index.get_level_values("completed").to_numpy(dtype=bool)
    columns = {f"{side}_{name}": np.zeros(len(index)) for side in ("own", "all") for name in at}
    columns |= {f"against_{name}": np.zeros(len(index)) for name in known}

    def fill(column: str, rows: np.ndarray, time: np.ndarray, event, censored) -> None:
        place = np.searchsorted(time, day[rows])
        columns[column][rows] = np.where(done[rows], np.asarray(event)[place],
                                         np.asarray(censored)[place])

    for name, curve in curves.items():
        whole = name == EVERYBODY
        rows = np.flatnonzero(np.ones(len(label), bool) if whole else label == name)
        for what, until in at.items():
            if not _observed(curve, until):
                continue
            influence = (
                curve.mean_influence(until) if what == "mean" else curve.survival_influence(until)
            )
            fill(f"{'all' if whole else 'own'}_{what}", rows, curve.time, *influence)
    for pair in combinations(known, 2):
        try:
            scores = survival.log_rank_scores(*(counts[name] for name in pair))
        except ValueError:
            continue
        for side, name, other in zip("ab", pair, pair[::-1], strict=True):
            mine = scores[scores["group"] == side]
            rows = np.flatnonzero(label == name)
            fill(f"against_{other}", rows, mine["time"].to_numpy(), mine["event"], mine["censored"])
    return pd.DataFrame(columns, index=index)


def _design_effect(curve: KaplanMeier, day: int | None, variance: float) -> float:
    """The variance of survival on a day over the one that takes enrolments as independent."""
    if not _observed(curve, day):
        return 1.0
    error = curve.error_at(day)
    return float(variance / error**2) if error > 0 else 1.0


def _horizons(curves: Mapping[str, KaplanMeier], own: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for name, curve in curves.items():
        for day in HORIZONS:
            if (at_risk := _at_risk(curve, day)) < LEAST_AT_RISK:
                continue
            effect = _design_effect(curve, day, own.loc[name, f"at_{day}"])
            share = curve.widened(math.sqrt(effect)).share_at(day)
            rows.append({"source": name, "within": day, "completed": share.estimate,
                         "low": share.low, "high": share.high, "at_risk": at_risk,
                         "design_effect": effect})
    columns = ["source", "within", "completed", "low", "high", "at_risk", "design_effect"]
    return pd.DataFrame(rows, columns=columns).set_index(["source", "within"])


def _times(
    curve: KaplanMeier, totals: pd.Series, until: int | None, own: pd.Series | None = None,
    split: int | None = None,
) -> dict[str, float]:
    """The row of a curve in `Durations.times`; `own` are variances that allow for clusters.

    Args:
        totals: The group's row of `summary`.
    """
    row = {"enrolments": int(totals.enrolments), "completed": int(totals.completed)}
    if own is not None:
        effect = _design_effect(curve, split, own["split"])
        curve = curve.widened(math.sqrt(effect))
    for share in QUANTILES:
        day = curve.quantile(share)
        ends = {"": day.estimate, "_low": day.low, "_high": day.high}
        row |= {f"q{100 * share:.0f}{end}": value if math.isfinite(value) else np.nan
                for end, value in ends.items()}
    row |= {"last_day": int(curve.time[-1]), "last_completed": 1 - float(curve.survival[-1]),
            "naive_mean_days": float(totals.naive_mean_days),
            "mean": np.nan, "mean_low": np.nan, "mean_high": np.nan}
    if _observed(curve, until):
        mean = curve.restricted_mean(until)
        margin = (mean.high - mean.low) / 2 if own is None else _z() * math.sqrt(own["mean"])
        row |= {"mean": mean.estimate, "mean_low": mean.estimate - margin,
                "mean_high": mean.estimate + margin}
    return row


def _z() -> float:
    return float(stats.norm.isf(ALPHA / 2))


def _log_rank(counts: Mapping[str, tuple]) -> LogRank | None:
    try:
        return survival.log_rank(counts, CONFIDENCE)
    except ValueError:  # one group, or no completion while two were observed
        return None


def _ratio(test: LogRank, effect: float = 1.0) -> tuple[float, float, float, float, float]:
    """Peto's hazard ratio with limits of `effect` times the variance; its log and error."""
    log = math.log(test.hazard_ratio.value)
    error = math.sqrt(effect) * math.log(test.hazard_ratio.high / test.hazard_ratio.low) / 2 / _z()
    margin = _z() * error
    return math.exp(log), math.exp(log - margin), math.exp(log + margin), log, error


def _pairs(
    counts: Mapping[str, tuple], curves: Mapping[str, KaplanMeier], own: pd.DataFrame,
    against: pd.DataFrame, until: int | None,
) -> pd.DataFrame:
    rows = []
    for a, b in combinations(counts, 2):
        test = _log_rank({name: counts[name] for name in (a, b)})
        if test is None:
            continue
        excess = float(test.groups["observed"].iloc[0] - test.groups["expected"].iloc[0])
        variance = against.loc[a, f"against_{b}"] + against.loc[b, f"against_{a}"]
        if not variance > 0:
            continue
        statistic = excess**2 / variance
        # Under independence the variance is excess^2 / statistic.
        effect = test.statistic / statistic if statistic > 0 else 1.0
        ratio, low, high, *_rest = _ratio(test, effect)
        row = {"source_a": a, "source_b": b, "statistic": statistic,
               "p_value": float(stats.chi2.sf(statistic, 1)), "p_textbook": test.p_value,
               "hazard_ratio": ratio, "hazard_ratio_low": low, "hazard_ratio_high": high}
        if until:
            means = [curves[name].restricted_mean(until).estimate for name in (a, b)]
            gap = means[0] - means[1]
            margin = _z() * math.sqrt(own.loc[a, "mean"] + own.loc[b, "mean"])
            row |= {"difference": gap, "difference_low": gap - margin,
                    "difference_high": gap + margin}
        rows.append(row)
    columns = ["source_a", "source_b", "statistic", "p_value", "p_textbook", "hazard_ratio",
               "hazard_ratio_low", "hazard_ratio_high", "difference", "difference_low",
               "difference_high"]
    frame = pd.DataFrame(rows, columns=columns).set_index(["source_a", "source_b"]).astype(float)
    frame.insert(2, "p_adjusted", holm(frame["p_value"]))
    return frame


def _parts(counts: tuple, split: int) -> tuple[tuple, tuple]:
    """Counts until a day, those not completed by then censored at it, and those of what follows."""
    time, events, censored = counts
    early = time <= split
    left = int((events + censored)[~early].sum())
    until = (np.append(time[early], split + 0.5), np.append(events[early], 0),
             np.append(censored[early], left))
    return until, (time[~early], events[~early], censored[~early])


def _proportional(
    counts: Mapping[str, tuple], curves: Mapping[str, KaplanMeier], own: pd.DataFrame,
    split: int | None,
) -> pd.DataFrame:
    """Hazard ratios of each source against all others, early and late (see `Durations`)."""
    rows = []
    for name in counts if split is not None and len(counts) > 1 else ():
        mine = _parts(counts[name], split)
        others = [_parts(c, split) for other, c in counts.items() if other != name]
        row, logs, errors = {"source": name}, [], []
        effect = max(1.0, _design_effect(curves[name], split, own.loc[name, "split"]))
        for place, when in enumerate(("early", "late")):
            rest = tuple(np.concatenate([part[place][i] for part in others]) for i in range(3))
            test = None
            if mine[place][1].sum() >= LEAST_COMPLETED <= rest[1].sum():
                test = _log_rank({"this": mine[place], "others": rest})
            if test is None:
                break
            ratio, low, high, log, error = _ratio(test, effect)
            row |= {when: ratio, f"{when}_low": low, f"{when}_high": high}
            logs.append(log)
            errors.append(error)
        if len(logs) == 2:
            z = (logs[0] - logs[1]) / math.hypot(*errors)
            rows.append(row | {"p_value": 2 * float(stats.norm.sf(abs(z)))})
    columns = ["source", "early", "early_low", "early_high", "late", "late_low", "late_high",
               "p_value"]
    frame = pd.DataFrame(rows, columns=columns).set_index("source").astype(float)
    return frame.assign(p_adjusted=holm(frame["p_value"]))


def _crossings(
    curves: Mapping[str, KaplanMeier], own: pd.DataFrame, pairs: pd.DataFrame
) -> int:
    """How many pairs of curves are shown to lie in both orders, at one horizon or another."""
    crossed = 0
    for a, b in pairs.index:
        signs = set()
        for day in HORIZONS:
            if min(_at_risk(curves[name], day) for name in (a, b)) < LEAST_AT_RISK:
                continue
            gap = curves[a].survival_at(day).estimate - curves[b].survival_at(day).estimate
            if abs(gap) > _z() * math.sqrt(own.loc[[a, b], f"at_{day}"].sum()):
                signs.add(gap > 0)
        crossed += len(signs) == 2
    return crossed


def _fair(followed: pd.DataFrame) -> pd.DataFrame:
    sums = followed.groupby("within").sum()
    sums = sums[sums["followed"] > 0].rename(columns={"reached": "completed"})
    sums["mean_days"] = sums.pop("total_days") / sums["completed"].where(sums["completed"] > 0)
    return sums


def _courses(
    days_by_course: pd.DataFrame, totals: pd.DataFrame, titles: pd.Series
) -> dict[str, object]:
    """The fields of `Durations` about courses, each against all others that are shown."""
    rows = {name: part.droplevel(COURSE) for name, part in days_by_course.groupby(level=COURSE)}
    counts = {name: _counts(part) for name, part in rows.items()}
    curves = {name: survival.kaplan_meier(*c, CONFIDENCE) for name, c in counts.items()}
    tested = [name for name, c in counts.items() if _comparable(name, c)]
    until = _until([curves[name] for name in tested], LEAST_OF_COURSE)
    found = []
    for name, curve in curves.items():
        row = {COURSE: name, "title": titles[name]} | _times(curve, totals.loc[name], until)
        if name in tested and len(tested) > 1:
            row |= _against([counts[name]], [counts[n] for n in tested if n != name], until)
        found.append(row)
    columns = [*found[0], *(c for c in AGAINST if c not in found[0])]
    frame = pd.DataFrame(found, columns=columns).set_index(COURSE)
    frame = frame.astype(dict.fromkeys(AGAINST, float)).assign(p_adjusted=np.nan, side="")
    there = frame["p_value"].notna()
    frame.loc[there, "p_adjusted"] = holm(frame.loc[there, "p_value"])
    shown = frame["p_adjusted"] <= ALPHA
    frame.loc[shown, "side"] = np.where(frame.loc[shown, "hazard_ratio"] > 1, "faster", "slower")
    return {"course_times": frame, "course_until": until,
            "course_log_rank": _log_rank({name: counts[name] for name in tested})}


AGAINST = ("difference", "difference_low", "difference_high", "hazard_ratio", "hazard_ratio_low",
           "hazard_ratio_high", "p_value")


def _against(mine: list[tuple], others: list[tuple], until: int | None) -> dict[str, float]:
    """One course against all others together."""
    pooled = [tuple(map(np.concatenate, zip(*part, strict=True))) for part in (mine, others)]
    test = _log_rank(dict(zip(("this", "others"), pooled, strict=True)))
    if test is None:
        return {}
    ratio = test.hazard_ratio
    row = {"hazard_ratio": ratio.value, "hazard_ratio_low": ratio.low,
           "hazard_ratio_high": ratio.high, "p_value": test.p_value}
    if until:
        means = [survival.kaplan_meier(*c, CONFIDENCE).restricted_mean(until) for c in pooled]
        gap = means[0].estimate - means[1].estimate
        margin = math.hypot(*((m.high - m.low) / 2 for m in means))
        row |= {"difference": gap, "difference_low": gap - margin, "difference_high": gap + margin}
    return row
