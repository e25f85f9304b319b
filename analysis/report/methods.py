"""The methods appendix: whether intervals, tests and decisions keep their promises.

`Runs` are the stored simulations of the studies, by study (`recovery.runs`). Studies, worlds,
quantities, tests and decisions are taken as the files name them; for those that are known here a
reader's name is shown, for the others one made of the file's.
"""

from __future__ import annotations

import sys

import pandas as pd
import plotnine as p9
from scipy import stats

from analysis import recovery
from analysis.report import figures
from analysis.report.tables import table
from analysis.report.text import (
    MISSING,
    Prose,
    count,
    escape,
    interval,
    listing,
    number,
    percent,
    percents,
)
from analysis.stats import intervals

Runs = dict[str, pd.DataFrame]

NOMINAL, ALPHA = 0.95, 0.05
NULL = "null"  # the world in which nothing is planted
STUDIES = {
    "engagement": "Engagement", "customers": "Customer analytics", "mooc": "MOOC",
    "netflix": "Netflix", "trialers": "Trialers",
}
WORLDS = {
    "planted": "as planted", NULL: "nothing planted", "works": "widget works",
    "nothing": "widget does nothing", "engages": "widget engages only", "harms": "widget harms",
}
MEASURES = ("views", "purchases", "revenue")
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
NAMES = {
    "test: converted.difference": "bought at a paywall, difference",
    "test: converted.ratio": "bought at a paywall, ratio",
    "test: converted.difference.adjusted": "bought at a paywall, difference, adjusted",
    "test: bought.difference": "bought anywhere, difference",
    "test: bought.ratio": "bought anywhere, ratio",
    "test: revenue.difference": "revenue a user, difference in cents",
    "test: revenue.difference.bootstrap": "revenue a user, difference, bootstrap",
    "test: revenue.ratio": "revenue a user, ratio",
    "test: paywall_purchases_per_view.ratio": "purchases per view, ratio",
    "belief: lift": "lift, Bayesian interval",
    "split": "share in Test",
    "engagement": "used CS, difference", "conversion": "converted, difference",
    "all three tasks": "completed all three tasks, difference",
    "completions": "tasks completed, difference",
    "conversion a completion": "conversion a completion, by the lot",
} | {
    f"{measure}: {term}": name.format(measure) for measure in MEASURES for term, name in {
        "trend": "trend of {}, a year (log)", "amplitude": "yearly wave of {} (log)",
        "peak": "peak of {}, day of the year", "test": "new paywall, on daily {} (log)",
    }.items()
}
DECISIONS = {
    "customers": {
        "ship": "give the new paywall to everybody", "longer": "run the test longer",
        "keep": "keep the old paywall", "distrust": "mend the assignment",
        "unknown": "nothing to decide",
    },
    "trialers": {
        "double down": "double down on the widget", "run longer": "run the test longer",
        "pivot": "pivot to something else", "distrust": "mend the test",
        "unknown": "nothing to decide",
    },
}
READINGS = {"naive": "as customers come", "adjusted": "adjusted", "moved": "by the lot"}


def stored() -> Runs:
    """The stored runs of the studies that have some."""
    found = {}
    for study in STUDIES:
        path = recovery.RUNS / f"{study}.csv"
        # A file that is not there yet is one that the chapter depends on.
        sys.audit("analysis.read", str(path))
        if path.is_file():
            found[study] = recovery.runs(study)
    return found


def _name(quantity: str) -> str:
    """A quantity, test or decision for a reader, plain; the days of the week share one name."""
    if quantity in NAMES:
        return NAMES[quantity]
    head, _, tail = quantity.rpartition(": ")
    if head in MEASURES and tail in WEEKDAYS:
        return f"weekdays of {head}, all seven"
    if head in MEASURES and tail.startswith("release "):
        return f"release, on {head} (log)"
    if head == "first trouble":
        return f"{tail}, at the first trouble"
    return " ".join(quantity.replace("_", " ").replace(".", ", ").split())


def _world(world: str) -> str:
    return WORLDS.get(world, world.replace("_", " "))


def _first(part: pd.DataFrame) -> str:
    """The world that a study's table shows: the first in which something is planted."""
    worlds = list(dict.fromkeys(part["world"]))
    return next((world for world in worlds if world != NULL), worlds[0])


def _coverage(runs: Runs) -> pd.DataFrame:
    """How often intervals hold the truth: a row a study, world and quantity by reader's name.

    Quantities that share a name are counted together (`pooled`); those have no interval, since
    the ones of a run depend on one another.
    """
    rows = []
    for study, part in runs.items():
        frame = recovery.coverage(part)
        frame["name"] = frame["quantity"].map(_name)
        for (world, name), same in frame.groupby(["world", "name"], sort=False):
            one = same.iloc[0]
            pooled = len(same) > 1
            held = (same["covered"] * same["runs"]).round().sum()
            rows.append({
                "study": study, "world": world, "name": name, "pooled": pooled,
                "runs": int(one["runs"]), "covered": float(held / same["runs"].sum()),
                "truth": None if pooled else one["truth"], "mean": None if pooled else one["mean"],
                "low": one["covered_low"], "high": one["covered_high"],
            })
    return pd.DataFrame(rows).astype({"truth": float, "mean": float})


def _off(frame: pd.DataFrame) -> pd.Series:
    """Whether a coverage is further from 95% than chance puts one of so many (Bonferroni)."""
    confidence = 1 - ALPHA / (~frame["pooled"]).sum()

    def beyond(row) -> bool:
        held = _exact(row["covered"], row["runs"], confidence)
        return not row["pooled"] and not held.low <= NOMINAL <= held.high

    return frame.apply(beyond, axis=1)


def _exact(share: float, runs: int, confidence: float) -> intervals.Interval:
    """The interval of a share of runs by Clopper and Pearson."""
    return intervals.proportion(round(share * runs), runs, confidence, method="clopper-pearson")


def _by_study(rows: pd.DataFrame, formats: dict) -> Prose:
    """A table whose rows go study by study, each study named once."""
    named = rows["Study"].where(rows["Study"] != rows["Study"].shift(), "")
    return table(rows.assign(Study=named), formats)


def size(runs: Runs) -> Prose:
    """How many populations were simulated, by study."""
    parts = []
    for study, part in runs.items():
        times = part.groupby("world")["seed"].nunique()
        least, most = int(times.min()), int(times.max())
        often = number(most) if least == most else interval(least, most, 0)
        worlds = count(len(times), "world")
        parts.append(f"{STUDIES[study]} {often} times in {'each of ' * (len(times) > 1)}{worlds}")
    return listing(parts)


def not_simulated(runs: Runs) -> Prose:
    """Which studies have no stored runs, and what is known of these instead."""
    names = [name for study, name in STUDIES.items() if study not in runs]
    if not names:
        return Prose("")
    return Prose(
        f"{listing(names)} {'has' if len(names) == 1 else 'have'} no such runs: there tests hold "
        "single results against what was planted, in the shipped tables and in other worlds, "
        "mostly smaller ones, so that the coverage of the whole study is not known.")


def coverage_figure(runs: Runs) -> p9.ggplot:
    """Coverage of every quantity, a row a world of a study, against what chance allows."""
    frame = _coverage(runs)
    frame = frame[~frame["pooled"]]
    frame["row"] = [f"{STUDIES[row.study]}: {_world(row.world)}" for row in frame.itertuples()]
    order = list(dict.fromkeys(frame["row"]))[::-1]
    frame["row"] = pd.Categorical(frame["row"], order)
    frame["kind"] = (frame["world"] == NULL).map({True: "nothing planted", False: "planted"})
    # Equal runs make equal shares: each stands beside the last, not on it.
    places = frame.groupby(["row", "covered"], observed=True).cumcount()
    many = frame.groupby(["row", "covered"], observed=True)["name"].transform("size")
    frame["at"] = frame["row"].cat.codes + 1 + 0.12 * (places - (many - 1) / 2).clip(-3.5, 3.5)
    bands = pd.DataFrame([
        {"at": order.index(row) + 1, "low": low, "high": high}
        for row, part in frame.groupby("row", observed=True)
        for low, high in [_chance(int(part["runs"].iloc[0]))]
    ])
    return (
        figures.Plot(frame)
        + p9.geom_rect(bands, p9.aes(xmin="low", xmax="high", ymin="at - 0.44", ymax="at + 0.44"),
                       fill="#dfe4e9", alpha=0.6)
        + p9.geom_vline(xintercept=NOMINAL, color=figures.GREY, linetype="dotted")
        + p9.geom_point(p9.aes("covered", "at", color="kind", shape="kind"), size=1.9, alpha=0.85)
        + p9.scale_x_continuous(labels=figures.percents)
        + p9.scale_y_continuous(breaks=list(range(1, len(order) + 1)), labels=order)
        + figures.colours(["planted", "nothing planted"])
        + p9.labs(x="Intervals that hold the truth", y="")
        + figures.theme(height=1.2 + 0.42 * len(order))
        + p9.theme(panel_grid_major_y=p9.element_blank())
    )


def _chance(n: int) -> tuple[float, float]:
    """Between which shares 95% of exact intervals' coverages lie in n runs."""
    low, high = stats.binom.interval(0.95, n, NOMINAL)
    return low / n, high / n


def coverage_summary(runs: Runs) -> Prose:
    """A row a world of a study: how many quantities, how their intervals do, the worst of them.

    As in the sentence, without those that are counted together.
    """
    frame = _coverage(runs)
    frame["off"] = _off(frame)
    frame = frame[~frame["pooled"]]
    rows = []
    for (study, world), part in frame.groupby(["study", "world"], sort=False):
        worst = part.loc[part["covered"].idxmin()]
        rows.append({
            "Study": STUDIES[study], "World": _world(world), "Runs": int(part["runs"].max()),
            "Quantities": len(part),
            "Mean coverage": float(part["covered"].mean()),
            "Lowest": f"{percent(worst['covered'])}, {worst['name']}",
            "Beyond chance": int(part["off"].sum()),
        })
    return _by_study(pd.DataFrame(rows), {
        "Runs": number, "Quantities": number, "Mean coverage": percent,
        "Beyond chance": number})


def coverage_table(runs: Runs) -> Prose:
    """What was planted, what was found, and how often the interval held it."""
    frame = _coverage(runs)
    first = {study: _first(part) for study, part in runs.items()}
    frame = frame[frame["world"] == frame["study"].map(first)]
    shown = pd.DataFrame({
        "Study": frame["study"].map(STUDIES),
        "Quantity": frame["name"],
        "Planted": frame["truth"].map(_value),
        "Mean found": frame["mean"].map(_value),
        "Intervals that hold it": [
            percent(row.covered) if row.pooled else
            f"{percent(row.covered)} ({interval(100 * row.low, 100 * row.high, 0)})"
            for row in frame.itertuples()
        ],
    })
    return _by_study(shown, {name: Prose for name in shown.columns[2:]})


def _value(value: float) -> Prose:
    return number(value, 1 if abs(value) >= 10 else 3)


def coverage_sentence(runs: Runs) -> Prose:
    """Whether the intervals keep their promise, and which do not."""
    frame = _coverage(runs)
    off = frame[_off(frame)]
    single = frame[~frame["pooled"]]
    text = (
        f"Over {count(len(single), 'quantity', 'quantities')}, each counted in every world, the "
        f"intervals hold the truth in {percent(single['covered'].min())} to "
        f"{percent(single['covered'].max())} of the runs, {percent(single['covered'].mean())} on "
        f"average"
    )
    if off.empty:
        return Prose(
            f"{text}; allowing for the number of them, none is further from "
            f"{percent(NOMINAL, 0)} than chance would put it.")
    names = listing(
        f"{escape(quantity)} ({STUDIES[study]}, {escape(_world(world))}: {percent(covered)})"
        for study, world, quantity, covered in
        zip(off["study"], off["world"], off["name"], off["covered"], strict=True)
    )
    return Prose(
        f"{text}. Further from {percent(NOMINAL, 0)} than chance would put them, their number "
        f"allowed for, {'is' if len(off) == 1 else 'are'} {names}.")


# --- Tests ----------------------------------------------------------------------------------------

def _rejections(runs: Runs) -> pd.DataFrame:
    """How often each test rejects at 5%: a row a study, world and test.

    A test is one that the study makes and the runs store (`recovery.TEST`). Of a study whose runs
    store none, intervals are read as tests: those of differences and ratios of which the null
    world has none (0 or 1), which they leave out or not. Tests of one kind, named "KIND: ...",
    share a `kind`.
    """
    rows = []
    for study, part in runs.items():
        made = part[part["quantity"].str.startswith(recovery.TEST)]
        made = made.assign(
            quantity=made["quantity"].str.removeprefix(recovery.TEST),
            rejected=made["estimate"] == 1)
        tests = made if len(made) else _as_tests(part)
        for (world, quantity), same in tests.groupby(["world", "quantity"], sort=False):
            share = intervals.proportion(int(same["rejected"].sum()), len(same))
            name = _name(quantity)
            rows.append({
                "study": study, "world": world, "name": name,
                "kind": name.partition(": ")[0] if len(made) else name, "runs": len(same),
                "rejected": share.estimate, "low": share.low, "high": share.high,
            })
    return pd.DataFrame(
        rows, columns=["study", "world", "name", "kind", "runs", "rejected", "low", "high"])


def _as_tests(part: pd.DataFrame) -> pd.DataFrame:
    """Intervals of effects that some world has, and the null world not, with `rejected`."""
    held = part.dropna(subset=["truth", "low", "high"])
    null = held[held["world"] == NULL].groupby("quantity")["truth"].agg(["min", "max"])
    none = null.loc[(null["min"] == null["max"]) & null["min"].isin([0.0, 1.0]), "min"]
    truth = held.groupby("quantity")["truth"].agg(["min", "max"])
    effects = none.index.intersection(truth.index[truth["min"] < truth["max"]])
    read = held[held["quantity"].isin(effects)]
    value = read["quantity"].map(none)
    return read.assign(rejected=(value < read["low"]) | (value > read["high"]))


def rejections_figure(runs: Runs) -> p9.ggplot:
    """How often each test rejects, in the null world and where something is planted.

    Tests of one kind stand in one row, without their intervals.
    """
    frame = _rejections(runs)
    frame["row"] = [figures.short(name, 48) for name in frame["kind"]]
    several = frame.groupby(["study", "world", "kind"])["name"].transform("size") > 1
    frame.loc[several, ["low", "high"]] = float("nan")
    frame["row"] = pd.Categorical(frame["row"], list(dict.fromkeys(frame["row"]))[::-1])
    frame["study"] = pd.Categorical(frame["study"].map(STUDIES), list(STUDIES.values()))
    frame["study"] = frame["study"].cat.remove_unused_categories()
    frame["kind"] = (frame["world"] == NULL).map({True: "nothing planted", False: "planted"})
    tests = frame.groupby("study", observed=True)["row"].nunique()
    return (
        figures.Plot(frame, p9.aes("rejected", "row", color="kind", shape="kind"))
        + p9.geom_vline(xintercept=ALPHA, color=figures.GREY, linetype="dotted")
        + p9.geom_segment(frame.dropna(subset="low"), p9.aes(x="low", xend="high", yend="row"),
                          size=0.6, alpha=0.6)
        + p9.geom_point(size=1.9, alpha=0.9)
        + p9.facet_grid(rows="study", scales="free_y", space={"x": [1], "y": tests.tolist()})
        + p9.scale_x_continuous(labels=figures.percents, limits=(0, 1))
        + figures.colours(["planted", "nothing planted"])
        + p9.labs(x="Runs in which the test rejects at 5%", y="")
        + figures.theme(height=1.2 + 0.2 * int(tests.sum()) + 0.2 * len(tests))
        + p9.theme(axis_text_y=p9.element_text(size=8), strip_text=p9.element_text(size=8.5))
    )


def rejections_table(runs: Runs) -> Prose:
    """Type-I error and power of each test; of tests of one kind the least and the most.

    Power is that in the first world in which something is planted.
    """
    rows = []
    for (study, world, kind), same in _rejections(runs).groupby(
            ["study", "world", "kind"], sort=False):
        one, shares = same.iloc[0], same["rejected"]
        rows.append({
            "study": study, "world": world, "name": kind, "tests": same["name"].nunique(),
            "shown": f"{percent(one['rejected'])} "
                     f"({interval(100 * one['low'], 100 * one['high'], 0)})"
            if len(same) == 1 else percents(shares.min(), shares.max())
            if shares.min() < shares.max() else percent(shares.min())})
    frame = pd.DataFrame(rows, columns=["study", "world", "name", "tests", "shown"])
    most = frame.groupby(["study", "name"])["tests"].transform("max")
    frame["name"] = [name if n == 1 else f"{name} ({count(int(n), 'test')})"
                     for name, n in zip(frame["name"], most, strict=True)]
    first = {study: _first(part) for study, part in runs.items()}
    rows = []
    for (study, name), part in frame.groupby(["study", "name"], sort=False):
        shown = part.set_index("world")["shown"]
        rows.append({"Study": STUDIES[study], "Test": name,
                     "Nothing planted": Prose(shown.get(NULL, MISSING)),
                     "Planted": Prose(shown.get(first[study], MISSING))})
    return _by_study(pd.DataFrame(rows), {"Nothing planted": Prose, "Planted": Prose})


def rejections_sentence(runs: Runs) -> Prose:
    """How the type-I errors stand to 5%."""
    frame = _rejections(runs)
    null = frame[frame["world"] == NULL]
    if null.empty:
        return Prose("")
    # Of the two ends one is looked at, so that each has half of the error.
    confidence = 1 - 2 * ALPHA / len(null)
    off = [
        f"{STUDIES[row.study]}: {row.name}" for row in null.itertuples(index=False)
        if _exact(row.rejected, row.runs, confidence).low > ALPHA
    ]
    text = (
        f"Where there is nothing to find, {count(len(null), 'test')} at {percent(ALPHA, 0)} "
        f"{'rejects' if len(null) == 1 else 'reject'} in {percent(null['rejected'].min())} to "
        f"{percent(null['rejected'].max())} of the runs, {percent(null['rejected'].mean())} on "
        f"average"
    )
    more = "more often than the level and chance allow, the number of tests allowed for"
    if not off:
        return Prose(f"{text}; none does {more}.")
    return Prose(f"{text}; {more}: {listing(map(escape, off))}.")


# --- Decisions ------------------------------------------------------------------------------------

def _decisions(runs: Runs) -> pd.DataFrame:
    """How often each decision is taken: a row a study, world and decision taken at all."""
    rows = []
    for study, part in runs.items():
        if not part["quantity"].str.startswith(recovery.DECISION).any():
            continue
        shares = recovery.decisions(part)
        shares = shares[(shares > 0).any(axis=1)]
        names = DECISIONS.get(study, {})
        rows += [
            {"study": study, "world": world, "share": share,
             "name": names.get(decision, _name(decision))}
            for decision, taken in shares.iterrows() for world, share in taken.items()
            if pd.notna(share)
        ]
    return pd.DataFrame(rows, columns=["study", "world", "share", "name"])


def decisions_table(runs: Runs) -> Prose:
    """How often a study's rule decides what, in each of its worlds."""
    rows = []
    for (study, world), part in _decisions(runs).groupby(["study", "world"], sort=False):
        taken = part[part["share"] > 0].sort_values("share", ascending=False, kind="stable")
        rows.append({
            "Study": STUDIES[study], "World": _world(world),
            "Decisions": listing(
                f"{row.name} {percent(row.share)}" for row in taken.itertuples(index=False))})
    return _by_study(pd.DataFrame(rows, columns=["Study", "World", "Decisions"]), {})


def decisions_sentence(runs: Runs) -> Prose:
    """What the errors of the rules are: the app's, and that of the widget in each of its worlds."""
    said = []
    if "customers" in runs:
        shares = recovery.decisions(runs["customers"])
        wrong, right = shares.loc["ship", NULL], shares.loc["ship", "planted"]
        kept = shares["planted"].get("keep", 0.0)
        rest = (
            "The rest is not lost but undecided: that is what a test of this size can do."
            if kept == 0 else
            f"{percent(kept)} keep the old one, and give away what it would have brought.")
        said.append(
            f"Where the new paywall does nothing, {percent(wrong)} of such tests would have given "
            f"it to everybody; where it works as planted, {percent(right, 0)} do. {rest}")
    if "trialers" in runs:
        shares = recovery.decisions(runs["trialers"])

        def often(action: str, world: str) -> Prose:
            return percent(shares.loc[action, world], 0)

        said.append(
            f"The help widget is doubled down on in {often('double down', 'works')} of the tests "
            f"in which it works, and in {often('double down', 'nothing')} of those in which "
            f"nobody notices it, {often('double down', 'engages')} of those in which it brings "
            f"people to CS and CS does not help, and {often('double down', 'harms')} of those in "
            f"which it puts people off. It is left in {often('pivot', 'works')}, "
            f"{often('pivot', 'nothing')}, {often('pivot', 'engages')} and "
            f"{often('pivot', 'harms')} of them.")
    return Prose(" ".join(said))


def _points(share: float) -> Prose:
    """A difference of shares (0..1) in percentage points, signed."""
    return Prose(f"{'+' if share > 0 else ''}{number(100 * share, 1)}")


def readings_table(runs: Runs) -> Prose:
    """Readings of one effect that may be biased: what they find, and whether they hold the truth."""
    rows = []
    for study, part in runs.items():
        for row in recovery.readings(part).itertuples():
            rows.append({
                "Study": STUDIES[study], "World": _world(row.world),
                "Reading": READINGS.get(row.quantity, _name(row.quantity)),
                "True effect": Prose(_points(row.truth)), "Mean found": Prose(_points(row.mean)),
                "Intervals that hold it": Prose(
                    f"{percent(row.covered)} "
                    f"({interval(100 * row.covered_low, 100 * row.covered_high, 0)})"),
            })
    shown = ("True effect", "Mean found", "Intervals that hold it")
    frame = pd.DataFrame(rows, columns=["Study", "World", "Reading", *shown])
    return _by_study(frame, {name: Prose for name in shown})


def readings_sentence(runs: Runs) -> Prose:
    """What the plain reading of the effect of CS makes of it, and what the lot does."""
    if "trialers" not in runs:
        return Prose("")
    frame, world = recovery.readings(runs["trialers"]), _first(runs["trialers"])
    frame = frame[frame["world"] == world].set_index("quantity")
    plain, adjusted, lot = (frame.loc[name] for name in READINGS)
    return Prose(
        f"In the world “{_world(world)}” of the table, Customer Success changes completion by "
        f"{_points(plain['truth'])} percentage points, and "
        f"the comparison of customers as they come finds {_points(plain['mean'])} on average: "
        f"{percent(plain['covered'], 0)} of its intervals hold the truth. "
        f"Holding equal what is known makes {_points(adjusted['mean'])} of it "
        f"({percent(adjusted['covered'], 0)}). "
        f"By the lot it is {_points(lot['mean'])} where {_points(lot['truth'])} is true of those "
        f"whom the widget moves, and {percent(lot['covered'], 0)} of the intervals hold that.")
