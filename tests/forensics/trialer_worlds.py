"""Event tables of trialers whose origin is known, to measure how often the verdict is right.

`recorded` imitates how such logs come about, with what a simple generator forgets: mailings that
bring people in bursts, breaks, people who are fast or slow in all they do, timers, office hours,
double clicks, clocks that are wrong, events that are lost. It is a program, too; what is measured
with it is whether tables that *look* recorded are left alone. The other functions make tables as
simple generators do, and two that are not simple.

All tables are as `open_study` leaves them: known customers only, and each event once.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis.simulate import trialers

DAY = pd.Timestamp("2023-03-15")
DAY_SECONDS = 86_400
CHANNELS = np.array(["ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER"], dtype=object)
Frames = dict[str, pd.DataFrame]


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _arrivals(rng, n: int) -> np.ndarray:
    """Seconds of the day at which people come: a daily course, mailings, an outage."""
    hours = np.arange(24)
    morning, evening = rng.uniform(9, 12), rng.uniform(18, 21)
    rate = (0.06 + np.exp(-(((hours - morning) / rng.uniform(2, 3.5)) ** 2))
            + rng.uniform(0.3, 1) * np.exp(-(((hours - evening) / rng.uniform(2, 3)) ** 2))
            + 0.7 * np.exp(-(((hours - 15) / 2.5) ** 2))) * np.exp(rng.normal(0, 0.12, 24))
    minute = np.interp(np.arange(1440) / 60, hours, rate) * np.exp(
        rng.normal(0, 0.08, 96).repeat(15))
    times = 60.0 * rng.choice(1440, n, p=minute / minute.sum()) + 60 * rng.random(n)
    for _ in range(rng.poisson(1.6)):  # mailings, posts, a mention on television
        who = rng.random(n) < rng.uniform(0.02, 0.08)
        start = rng.uniform(8, 21) * 3600
        times[who] = start + rng.exponential(60 * rng.uniform(6, 25), who.sum())
    if rng.random() < 0.4:  # nobody gets in for some minutes; most try again
        start, length = rng.uniform(9, 20) * 3600, rng.uniform(4, 20) * 60
        out = (times >= start) & (times < start + length)
        times[out] = start + length + rng.exponential(240, out.sum())
    return np.minimum(times, DAY_SECONDS - 1)


def _after(rng, n: int, quick: float, short: float) -> np.ndarray:
    """Seconds between one task and the next: at once, after a look around, after a break."""
    kind = rng.random(n)
    at_once = rng.gamma(2, quick / 2, n) + 1
    look = np.exp(np.log(short) + rng.normal(0, 0.8, n))
    leave = np.exp(np.log(5_400) + rng.normal(0, 0.9, n))
    return np.where(kind < 0.55, at_once, np.where(kind < 0.85, look, leave))


def recorded(seed: int, n: int) -> Frames:
    """Tables with the marks of recorded ones, of a product whose parameters the seed draws."""
    rng = np.random.default_rng([1, seed, n])
    arrival = np.sort(_arrivals(rng, n))
    same = rng.uniform(0.35, 0.8)  # how much of a task is the person
    person, motive, liking = rng.normal(0, 1, (3, n))
    skims = rng.random(n) < rng.uniform(0.08, 0.25)
    share = rng.choice([0.3, 0.3, 0.5, 0.2])
    if rng.random() < 0.2:  # dealt in blocks, as some systems do
        block = np.tile(np.arange(10) < 10 * share, n // 10 + 1)[: n // 10 * 10 + 10]
        test = rng.permuted(block.reshape(-1, 10), axis=1).ravel()[:n]
    else:
        test = rng.random(n) < share
    opens, closes = rng.choice([7, 8, 9]), rng.choice([17, 18, 20, 22])
    weight = rng.uniform(0.5, 1.2)
    timer = rng.choice([180, 300, 600]) if rng.random() < 0.6 else 0
    widget = rng.uniform(0.0, 1.5)
    events, asked = [], []
    done = np.zeros(n, dtype=int)
    before, last = arrival.copy(), arrival.copy()
    for task in (1, 2, 3):
        goes = ~np.isnan(before) & (rng.random(n) < _logistic(2.2 + 0.6 * motive))
        pause = _after(rng, n, rng.uniform(6, 20), rng.uniform(120, 400))
        tomorrow = rng.random(n) < (0.03 if task == 1 else 0.12)
        start = before + pause + tomorrow * rng.integers(1, 4, n) * rng.uniform(0.7, 1.1) * (
            DAY_SECONDS)
        hard = 0.15 * task + same * person + np.sqrt(1 - same**2) * rng.normal(0, 1, n)
        hour = start % DAY_SECONDS / 3600
        tired = 0.15 * np.cos((hour - 3) / 12 * np.pi)
        trouble = goes & (rng.random(n) < _logistic(-0.3 + weight * hard + tired - 0.4 * skims))
        errors = rng.weibull(0.8, n) * 500 * np.exp(-0.3 * hard) + 3
        idle = timer + rng.exponential(2, n)
        onset = np.where((rng.random(n) < 0.3) & (timer > 0), idle, errors)
        office = (hour >= opens) & (hour < closes)
        cs = trouble & (rng.random(n) < _logistic(
            -0.9 + weight * hard + 0.8 * liking + widget * test - 0.5 * ~office))
        kind = np.clip(np.floor(1.3 + hard + rng.normal(0, 1, n) + 0.4 * liking), 0, 3).astype(int)
        kind = np.where((kind == 3) & ~office, 2, kind)
        channel = np.where(cs, kind, 4)
        work = np.exp(6.6 + 0.15 * task + 0.55 * same * person + 0.25 * hard - 1.6 * skims
                      + 0.35 * rng.standard_t(4, n) + 0.7 * trouble - 0.5 * cs)
        breaks = rng.random(n) < 0.12 + 0.06 * (hour > 18)
        work = np.clip(work, 4, 9e5) + breaks * np.exp(np.log(1_500) + rng.normal(0, 1, n))
        ok = goes & (rng.random(n) < _logistic(
            1.7 + 0.5 * motive - weight * 0.5 * hard - 1.1 * trouble + 0.9 * cs - tired))
        ends = start + np.where(trouble, onset, 0) + work
        restart = goes & (rng.random(n) < _logistic(-2.6 + 0.4 * hard + 0.9 * trouble))
        again = start + rng.random(n) ** 1.5 * np.where(trouble, onset, work)
        events += [(task, "start", start, goes), (task, "start", again, restart),
                   (task, "complete", ends, ok)]
        second = trouble & (rng.random(n) < 0.12)
        asked += [(task, channel, start + onset, trouble),
                  (task, np.where(channel == 4, 4, 3), start + onset + rng.random(n) * work,
                   second & (office | (channel == 4)))]
        last = np.where(goes, ends, last)
        before = np.where(ok, ends, np.nan)
        done += ok
    value = (-2.6 + 0.75 * done + 0.6 * motive - 0.3 * person + 0.5 * (done == 3) * (motive > 0)
             - 0.8 * skims * (done > 1))
    converted = rng.random(n) < _logistic(value)
    later = np.floor(rng.exponential(rng.uniform(2, 6), n)) + 1
    reminded = rng.random(n) < 0.15
    later = np.where(reminded, rng.choice([7, 14, 29]), np.minimum(later, 29))
    at = np.where(rng.random(n) < rng.uniform(0.3, 0.6), last + rng.gamma(1.2, 500, n),
                  later * DAY_SECONDS + _arrivals(rng, n))
    return _logged(rng, test, events, asked, converted, np.maximum(at, last + 5))


def _logged(rng, test, events, asked, converted, at) -> Frames:
    """What happened as a log has it: retries, faults, the clock, the register's numbers."""
    n = len(test)
    clicks = rng.uniform(0.004, 0.03) if rng.random() < 0.75 else 0.0
    faulty = rng.random() < 0.65
    skew = np.where(rng.random(n) < 0.006 * faulty, -rng.gamma(2, 300, n), 0.0)
    minutes = rng.random() < 0.12  # an export without seconds
    rounded = rng.uniform(0.02, 0.2) if rng.random() < 0.3 else 0.0  # scheduled or typed in

    def rows(values, names) -> list[pd.DataFrame]:
        found = []
        for task, what, times, there in values:
            who = np.flatnonzero(there & ~(faulty & (rng.random(n) < 0.001)))
            time = np.floor(times[who] + (skew[who] if names == "activity" else 0))
            label = what if isinstance(what, str) else CHANNELS[what[who]]
            if names == "asked":
                time = np.where(rng.random(len(who)) < rounded, 60 * np.round(time / 60), time)
            frame = pd.DataFrame({"who": who, "task": task, "kind": label, "time": time})
            twice = frame[rng.random(len(frame)) < clicks]
            found += [frame, twice.assign(time=twice["time"] + rng.integers(1, 4, len(twice)))]
        return found

    activity = pd.concat(rows(events, "activity"), ignore_index=True)
    helped = pd.concat(rows(asked, "asked"), ignore_index=True)
    number = 70_001 + np.cumsum(rng.geometric(rng.uniform(0.1, 0.9), n))
    way = rng.random()
    if way < 0.6:
        ids = np.array([f"U-{value}" for value in number], dtype=object)
    elif way < 0.8:  # made anonymous
        ids = np.array([f"{value:016x}" for value in rng.integers(2**62, size=n)], dtype=object)
    else:
        ids = np.array([f"P{value:06d}" for value in rng.permutation(n) + 1], dtype=object)
    return _tables(ids, np.where(test, "Test", "Control"), activity, helped, converted, at,
                   60 if minutes else 1)


def _tables(ids, cohort, activity, helped, converted, at, unit: int = 1) -> Frames:
    """The four tables from rows with `who`, `task`, `kind` and `time` (seconds after `DAY`)."""
    n = len(ids)

    def stamped(seconds) -> pd.Series:
        whole = np.floor(np.asarray(seconds, dtype=float) / unit) * unit
        return pd.Series(DAY + pd.to_timedelta(whole, unit="s")).astype("datetime64[us]")

    def log(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
        rows = rows.reset_index(drop=True)
        frame = pd.DataFrame({
            "customer_id": ids[rows["who"].to_numpy()], "task": rows["task"].astype("int64"),
            kind: rows["kind"].astype(object), "timestamp": stamped(rows["time"])})
        return frame.drop_duplicates().sort_values(
            ["timestamp", "customer_id", "task", kind], ignore_index=True)

    when = stamped(at).where(pd.Series(np.asarray(converted, dtype=bool)))
    return {
        "test_cohorts": pd.DataFrame({"customer_id": ids, "cohort": cohort}),
        "product_activity": log(activity, "action"),
        "help_activity": log(helped, "channel")[["customer_id", "task", "timestamp", "channel"]],
        "conversion": pd.DataFrame({
            "customer_id": ids, "converted": np.asarray(converted, dtype="int64"),
            "converted_at": when.to_numpy()}).iloc[:n],
    }


def shipped(seed: int, n: int) -> Frames:
    """The generator of the shipped tables."""
    frames = trialers.generate(seed, n / trialers.CUSTOMERS)[0]
    known = frames["test_cohorts"].merge(frames["conversion"])["customer_id"]
    return {name: frame[frame["customer_id"].isin(known)].drop_duplicates().reset_index(drop=True)
            for name, frame in frames.items() if "customer_id" in frame}


def _simple(rng, arrival, span, again, days) -> Frames:
    """Customers who do one thing after the other, each drawn by itself.

    Args:
        rng: Draws.
        arrival: Seconds of the day, one a customer.
        span: A function of n and a number of minutes that draws durations about as long.
        again: Probability that a task is started twice.
        days: Day of the conversion, one a customer.
    """
    n = len(arrival)
    test = rng.permutation(n) < round(0.3 * n)
    before, done = arrival + span(n, 3), np.zeros(n, dtype=int)
    events, asked = [], []
    for task in (1, 2, 3):
        goes = ~np.isnan(before) & (rng.random(n) < 0.9)
        trouble = goes & (rng.random(n) < 0.45)
        cs = rng.random(n) < np.where(test, 0.6, 0.4)
        channel = np.where(cs, rng.integers(0, 4, n), 4)
        onset = before + span(n, 8)
        work = np.where(trouble, onset, before) + span(n, 18) * np.where(trouble, 1.5, 1)
        ok = goes & (rng.random(n) < np.where(trouble, np.where(cs, 0.7, 0.6), 0.8))
        events += [(task, "start", before, goes),
                   (task, "start", before + span(n, 3), goes & (rng.random(n) < again)),
                   (task, "complete", work, ok)]
        asked += [(task, CHANNELS[channel], onset, trouble)]
        done += ok
        before = np.where(ok, work + span(n, 4), np.nan)
    converted = rng.random(n) < _logistic(-2.5 + 0.8 * done)

    def rows(values) -> pd.DataFrame:
        return pd.concat([
            pd.DataFrame({"who": np.flatnonzero(there), "task": task,
                          "kind": what if isinstance(what, str) else what[there],
                          "time": times[there]}) for task, what, times, there in values])

    ids = np.array([f"C{i:06d}" for i in range(1, n + 1)], dtype=object)
    return _tables(ids, np.where(test, "Test", "Control"), rows(events), rows(asked), converted,
                   days * DAY_SECONDS + arrival + 7_200)


def uniform(seed: int, n: int) -> Frames:
    """Every step by itself, every time between two ends equally likely."""
    rng = np.random.default_rng([2, seed, n])
    return _simple(rng, rng.uniform(0, DAY_SECONDS - 60, n),
                   lambda size, minutes: rng.uniform(30, 120 * minutes, size), 0.0,
                   rng.integers(0, 30, n))


def bells(seed: int, n: int) -> Frames:
    """Every step by itself, times of the day normal, durations log-normal."""
    rng = np.random.default_rng([3, seed, n])
    arrival = np.sort(np.clip(rng.normal(13.5, 3.5, n), 0, 23.9)) * 3600
    return _simple(rng, arrival, lambda size, minutes: np.ceil(
        60 * minutes * np.exp(rng.normal(0, 0.8, size))), 0.08, rng.geometric(0.25, n) - 1)


def shuffled(seed: int, n: int) -> Frames:
    """The columns of `recorded`, each as it is, but dealt to the rows at random."""
    rng = np.random.default_rng([4, seed, n])
    frames = recorded(seed, n)
    for frame in frames.values():
        for column in frame.columns:
            if column not in ("customer_id", "converted_at"):
                order = rng.permutation(len(frame))
                frame[column] = frame[column].to_numpy()[order]
                if column == "converted":
                    frame["converted_at"] = frame["converted_at"].to_numpy()[order]
    return {name: frame.drop_duplicates(ignore_index=True) for name, frame in frames.items()}


def copied(seed: int, n: int) -> Frames:
    """A careful imitation of `recorded`: whole lives are copied, at new times and speeds.

    Every customer is one of the recorded ones, who comes some minutes earlier or later, as if the
    arrivals had been smoothed, and takes a little more or less time for everything.
    """
    rng = np.random.default_rng([5, seed, n])
    frames = recorded(seed, n)
    source = frames["test_cohorts"].merge(frames["conversion"])
    activity = frames["product_activity"].rename(columns={"action": "kind"})
    asked = frames["help_activity"].rename(columns={"channel": "kind"})
    first = activity.groupby("customer_id")["timestamp"].min()
    origin = source["customer_id"].map(first).fillna(DAY + pd.Timedelta(hours=12))
    seconds = (origin - DAY).dt.total_seconds().to_numpy()
    drawn = rng.integers(0, n, n)
    began = seconds[drawn] + rng.normal(0, 900, n)
    on_day = seconds[drawn] < DAY_SECONDS
    began = np.where(on_day, DAY_SECONDS - abs(DAY_SECONDS - abs(began)), began)  # reflected
    order = np.argsort(began, kind="stable")
    drawn, began = drawn[order], began[order]
    pace = np.exp(rng.normal(0, 0.15, n))

    def relived(rows: pd.DataFrame) -> pd.DataFrame:
        place = pd.Series(np.arange(n), source["customer_id"])
        mine = rows.assign(old=rows["customer_id"].map(place))
        both = pd.DataFrame({"who": np.arange(n), "old": drawn}).merge(mine, on="old")
        since = (both["timestamp"] - DAY).dt.total_seconds() - seconds[both["old"]]
        return both.assign(time=began[both["who"]] + since * pace[both["who"]])

    old = source.iloc[drawn].reset_index(drop=True)
    since = (old["converted_at"] - DAY).dt.total_seconds().to_numpy() - seconds[drawn]
    ids = np.array([f"U-{i}" for i in 70_001 + np.cumsum(rng.geometric(0.4, n))], dtype=object)
    return _tables(ids, old["cohort"].to_numpy(), relived(activity), relived(asked),
                   old["converted"].to_numpy(), began + np.nan_to_num(since) * pace)


WORLDS = {
    "recorded": recorded, "shipped": shipped, "uniform": uniform, "bells": bells,
    "shuffled": shuffled, "copied": copied,
}
