"""Synthetic trialers: one day's new customers, three tasks in series, and a randomised help widget.

No row is a real customer. The people, the tasks and the sizes follow the source study (30% Test and
70% Control, one day, help from Customer Success, "CS", or OTHER, 30 days to convert); it published
no results, so every effect here is planted. `World` holds the parameters, `EFFECTS` what they come
to in the shipped world, and `effects` computes the same for any other.

How a trialer lives (e, z: independent standard normal numbers; Phi: their distribution function):

1. **Arrival.** On `DAY`, as in a Poisson process of given size whose rate over the hours is `RATE`.
   Account numbers rise with the arrival, with gaps for the accounts that are not trials. The cohort
   is Test with probability 0.3, whoever it is, so the realised split is random.
2. **Who it is.** Two unobserved numbers: how hard the case is, `d`, and how motivated the person
   is, `m`. A third one, a liking for CS, ties the choices of one person together.
3. **Going on.** Task 1 is started, and task 2 or 3 after the one before is complete, with a
   probability that rises with `m`; at once (minutes) or on the next day.
4. **A task.** Its difficulty is U = task + loading d + sqrt(1 - loading^2) e. The harder, the more
   likely a restart (a further row of `start`), and the more likely and the sooner the *trouble*
   that the system notices.
   - Without trouble the task takes a log-normal time.
   - In trouble the person chooses CS if z < choose + choose_difficulty U - out_of_hours +
     widget x Test, where z holds the liking: harder cases choose CS more. Within CS the harder
     cases go to CHATBOT and AGENT (no agents out of `OFFICE` hours). From then on the task takes a
     log-normal time, longer for harder cases, cut by the factor exp(-benefit) of the channel;
     OTHER cuts nothing.
   - The task is completed if that time is below the person's patience (log-normal; longer for the
     motivated, shorter late in the day), otherwise it is given up. Some who complete do so on the
     next day.
   - Some ask a second time in the same task: OTHER again, or after any CS channel an AGENT.
5. **Conversion** within 30 days: logit = a constant for each number of completions + m - d (each
   with its coefficient). Many decide in the same session, most within days, a few when the trial
   ends.

What follows, and what an analysis should find:

- The widget is a randomised *encouragement*. It changes nothing but the choice (exclusion) and
  moves nobody away from CS (monotonicity). At the **first trouble** of each customer, which comes
  before any widget, so that the troubled of both cohorts are alike, the cohort is therefore an
  instrument for CS. Later troubles are reached by different people in the two cohorts.
- CS against OTHER as they come is confounded by difficulty: CS gets the hard cases, AGENT the
  hardest. CS looks worse and slower than OTHER, and is far better and faster. Restarts, a quick
  trouble, earlier trouble and earlier slowness are traces of difficulty; adjusting for them goes
  part of the way.
- Conversion by number of completions shows the causal rise and, on top, that the motivated with
  easy cases both complete and convert.
- Completion rates rise from task to task because the people who get there are ever more selected.
  For the same people they fall: each task is harder than the one before, and `learning` makes up
  for a part of that only.
- Later hours complete a little less: `late`, and no agents.
- The widget's effect on the use of CS is plain at the shipped size. That on conversion is real, 2.0
  percentage points on 23.2%, and no more than one day can show: a two-sided test at 5% finds it on
  64 of 100 such days. `SEED` was taken, of the first ten, because its draw lies near the truth.

Worlds: `WORKS` (the shipped one), `NOTHING` (nobody notices the widget), `ENGAGES` (the widget
raises the use of CS, but CS is no better than OTHER), `HARMS` (as `WORKS`, but who sees the widget
is put off: for conversion, though not for completion, the exclusion fails), and `NULL`, where every
effect that the study looks for is absent: customers are all alike and nothing depends on anything.

A little dirt, `DIRT`, is strewn over the finished tables: well below 1% of the rows.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.special import expit, ndtri

SEED = 5
DAY = np.datetime64("2021-05-05T00:00:00", "s")
CUSTOMERS = 12_000
TASKS = (1, 2, 3)
CHANNELS = ("ARTICLE", "VIDEO", "CHATBOT", "AGENT", "OTHER")
AGENT, CHATBOT, OTHER = (CHANNELS.index(channel) for channel in ("AGENT", "CHATBOT", "OTHER"))
OFFICE = (8, 20)  # agents answer from 8 to 20 h
TRIAL_DAYS = 30
HOURS = 4  # `effects` tells speed as mean hours to completion, restricted to so many
FIRST_ACCOUNT = 40_000_001
ACCOUNT_GAP = 3.0  # mean distance of two trialers' account numbers

# Arrivals by hour of the day, relative; linear between the middles of the hours.
RATE = (8, 5, 4, 4, 6, 12, 25, 48, 78, 95, 100, 96, 80, 86, 97, 92, 80, 62, 50, 47, 45, 38, 25, 14)

# Faults strewn over the tables of one shipped size. The first four stay in the tables that the
# analysis sees; the last three are rows that it never sees.
DIRT = {
    "start lost": 15,  # a completed task without a start
    "completion lost": 12,  # task 1 or 2, so that the next task is out of series
    "completion before start": 8,  # a clock that was 1 to 20 minutes slow
    "help before start": 8,  # the same clock, 10 seconds to 5 minutes
    "duplicate rows": 20,  # 15 of product_activity, 5 of help_activity
    "unknown customers": 5,  # staff trying the workflow: a start and a completion each
    "no conversion row": 4,
}


@dataclass(frozen=True)
class World:
    """The parameters of the process. Triples are of tasks 1 to 3; times are medians in minutes.

    Attributes:
        test: probability of the cohort Test.
        go: logit of starting each task once the one before is complete.
        go_motivation: its rise with motivation.
        tomorrow: probability that each task is started on a later day.
        task: difficulty that each task adds.
        loading: correlation of a task's difficulty with the customer's.
        restart: probit of a restart.
        restart_difficulty: its rise with difficulty.
        trouble: probit of trouble in each task.
        trouble_difficulty: its rise with difficulty.
        onset: time from start to trouble.
        onset_difficulty: fall of its log with difficulty.
        choose: probit of choosing CS.
        choose_difficulty: its rise with difficulty.
        out_of_hours: its fall outside of `OFFICE` hours.
        liking: share of the choice's variance that belongs to the person.
        widget: its rise in the cohort Test.
        channels: shares of ARTICLE, VIDEO, CHATBOT, AGENT among those in CS with average cases.
        channel_difficulty: how far, in standard deviations, difficulty moves people up that list.
        benefit: by how much each CS channel lowers the log of the time that is left.
        smooth: time to complete each task without trouble.
        rest: time to complete from trouble on, with OTHER.
        work_difficulty: rise of the log of both times with difficulty.
        work_noise: their sd in logs.
        learning: fall of the log of both times with each task completed before.
        next_day: probability that a completion comes on a later day.
        patience: time after which the task is given up.
        patience_motivation: rise of its log with motivation.
        patience_noise: its sd in logs.
        late: fall of its log from noon to midnight (and rise from noon back).
        again: probability of asking a second time, if the time allows.
        conversion: logit of conversion after 0, 1, 2 and 3 completions.
        conversion_motivation: its rise with motivation.
        conversion_difficulty: its fall with the difficulty of the case.
        annoyance: its fall for those who saw the widget; 0 except in `HARMS`.
        dirt: multiplies the faults of `DIRT`.
    """

    test: float = 0.30
    go: tuple[float, float, float] = (2.2, 2.6, 2.8)
    go_motivation: float = 0.5
    tomorrow: tuple[float, float, float] = (0.03, 0.12, 0.12)
    task: tuple[float, float, float] = (0.0, 0.15, 0.3)
    loading: float = 0.7
    restart: float = -1.9
    restart_difficulty: float = 0.3
    trouble: tuple[float, float, float] = (0.0, 0.0, 0.0)
    trouble_difficulty: float = 0.6
    onset: float = 9.0
    onset_difficulty: float = 0.3
    choose: float = -0.65
    choose_difficulty: float = 1.2
    out_of_hours: float = 0.35
    liking: float = 0.2
    widget: float = 1.2
    channels: tuple[float, float, float, float] = (0.36, 0.22, 0.26, 0.16)
    channel_difficulty: float = 0.5
    benefit: tuple[float, float, float, float] = (0.7, 0.75, 0.9, 1.5)
    smooth: tuple[float, float, float] = (14.0, 18.0, 22.0)
    rest: float = 45.0
    work_difficulty: float = 1.3
    work_noise: float = 0.5
    learning: float = 0.15
    next_day: float = 0.05
    patience: float = 60.0
    patience_motivation: float = 0.35
    patience_noise: float = 0.5
    late: float = 0.2
    again: float = 0.12
    conversion: tuple[float, float, float, float] = (-3.0, -2.4, -1.6, -0.3)
    conversion_motivation: float = 0.5
    conversion_difficulty: float = 0.3
    annoyance: float = 0.0
    dirt: float = 1.0


WORKS = World()
NOTHING = replace(WORKS, widget=0.0)
ENGAGES = replace(WORKS, benefit=(0.0,) * 4)
HARMS = replace(WORKS, annoyance=0.5)
NULL = replace(
    WORKS,
    go_motivation=0.0, task=(0.0,) * 3, restart_difficulty=0.0, trouble_difficulty=0.0,
    onset_difficulty=0.0, choose_difficulty=0.0, out_of_hours=0.0, widget=0.0,
    channel_difficulty=0.0, benefit=(0.0,) * 4, smooth=(18.0,) * 3, work_difficulty=0.0,
    learning=0.0, patience_motivation=0.0, late=0.0, conversion=(-1.4,) * 4,
    conversion_motivation=0.0, conversion_difficulty=0.0,
)
WORLDS = {
    "works": WORKS, "nothing": NOTHING, "engages": ENGAGES, "harms": HARMS, "null": NULL,
}

# `effects(WORKS)` of a million customers.
EFFECTS = {
    "cohorts": {
        "trouble": (0.7069, 0.7069),
        "cs": (0.3542, 0.5675),
        "cs_at_first": (0.4220, 0.7305),
        "completed_at_first": (0.5988, 0.6842),
        "completed_1": (0.6574, 0.6966),
        "completed_2": (0.4736, 0.5248),
        "completed_3": (0.3579, 0.4107),
        "completions": (1.4889, 1.6321),
        "converted": (0.2319, 0.2515),
    },
    "moved": 0.3085,
    "cs_effect": {
        "completed": {"moved": 0.2768, "everybody": 0.2516, "naive": -0.0861},
        "hours": {"moved": -1.0755, "everybody": -0.9451, "naive": 0.3277},
    },
    "channels": {
        "causal": (0.6647, 0.6776, 0.7144, 0.8380, 0.4735),
        "naive": (0.6445, 0.5665, 0.5204, 0.6206, 0.6685),
    },
    "conversion": {
        "causal": (0.0546, 0.0940, 0.1829, 0.4311),
        "naive": (0.0409, 0.0810, 0.1755, 0.5069),
    },
    "tasks": {"causal": (0.7330, 0.7108, 0.6917), "naive": (0.7499, 0.7867, 0.8098)},
    "evening": -0.0604,
}


@dataclass(frozen=True)
class Lives:
    """What n customers did. Times are seconds after `DAY`, NaN: never; shape (n, 3), a task each.

    Attributes:
        start, restart, complete: times of the first start, of a second one, of the completion.
        help, channel: time of trouble and position of the choice in `CHANNELS` (-1: no trouble).
        again, again_channel: the same of a second row of help for the task.
        conversion: probability of conversion, shape (n,).
        converted_at: time of conversion, shape (n,).
    """

    start: np.ndarray
    restart: np.ndarray
    complete: np.ndarray
    help: np.ndarray
    channel: np.ndarray
    again: np.ndarray
    again_channel: np.ndarray
    conversion: np.ndarray
    converted_at: np.ndarray

    @property
    def completions(self) -> np.ndarray:
        """Tasks completed, shape (n,)."""
        return (~np.isnan(self.complete)).sum(axis=1)

    @property
    def cs(self) -> np.ndarray:
        """Whether CS was chosen at the trouble, shape (n, 3)."""
        return (self.channel >= 0) & (self.channel != OTHER)

    @property
    def first_trouble(self) -> np.ndarray:
        """Position of the first task in trouble, shape (n,); 3: none."""
        return np.where((self.channel >= 0).any(axis=1), (self.channel >= 0).argmax(axis=1), 3)


PER_CUSTOMER = (
    "cohort", "arrival", "account", "case", "motivation", "liking",
    "conversion", "decision", "decision_day", "decision_time",
)
PER_TASK = (
    "go", "pause", "pause_length", "tomorrow", "difficulty", "restart", "restart_time", "trouble",
    "onset", "choice", "channel", "work", "patience", "next_day", "next_day_time", "again",
    "again_time",
)


def _chances(n: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Uniform numbers, one for everything that chance decides in n lives, shape (n,) or (n, 3).

    All of them are drawn whatever the world, so two worlds, or the same world with and without the
    widget, can be lived by the same people: potential outcomes.
    """
    chances = {name: rng.random(n) for name in PER_CUSTOMER}
    chances |= {name: rng.random((n, len(TASKS))) for name in PER_TASK}
    chances["arrival"].sort()
    return chances


def _normal(uniform: np.ndarray) -> np.ndarray:
    # Normal scores of uniform numbers: NumPy's stream of `random` is stabler than that of `normal`.
    return ndtri(np.maximum(uniform, 1e-12))


_MINUTE = np.arange(24 * 60 + 1)
_RATE = np.interp(_MINUTE / 60, np.arange(-1, 25) + 0.5, (RATE[-1], *RATE, RATE[0]))
_ARRIVED = np.concatenate([[0], np.cumsum((_RATE[1:] + _RATE[:-1]) / 2)])
_ARRIVED /= _ARRIVED[-1]


def _time_of_day(uniform: np.ndarray) -> np.ndarray:
    """Second of the day at which a person is there, by the daily shape of `RATE`."""
    return np.floor(np.interp(uniform, _ARRIVED, _MINUTE * 60.0))


def _later_day(time: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """A time on the day after `time`."""
    return (np.floor(time / 86_400) + 1) * 86_400 + _time_of_day(uniform)


def _minutes(median: float, log_shift: np.ndarray) -> np.ndarray:
    """A duration in whole seconds, at least one."""
    return np.ceil(60 * median * np.exp(log_shift))


def _hour(time: np.ndarray) -> np.ndarray:
    return time % 86_400 / 3600


def _live(
    world: World, chances: dict[str, np.ndarray], widget: np.ndarray,
    choice: str | None = None, all_tasks: bool = False,
) -> Lives:
    """The lives of n customers, as they are or as they would be.

    Args:
        world: the parameters of the process.
        chances: see `_chances`.
        widget: who sees the widget when in trouble, shape (n,).
        choice: what everybody in trouble uses: a channel, or "CS" with the channel of their own
            choice; None: what they choose.
        all_tasks: whether everybody starts every task, whatever came before.
    """
    n = len(widget)
    case, motivation = _normal(chances["case"]), _normal(chances["motivation"])
    liking = math.sqrt(world.liking) * _normal(chances["liking"])
    of_task = {name: [] for name in ("start", "restart", "complete", "help", "channel", "again",
                                     "again_channel")}
    before = _time_of_day(chances["arrival"])  # when the task before was complete
    last = before.copy()  # the last that the person did
    shares = np.cumsum(world.channels)[:-1]
    thresholds = np.array([*ndtri(shares / sum(world.channels)), np.inf])

    for j in range(len(TASKS)):
        u = {name: chances[name][:, j] for name in PER_TASK}
        z = {name: _normal(u[name]) for name in (
            "pause_length", "difficulty", "restart", "trouble", "onset", "choice", "channel",
            "work", "patience")}
        goes = u["go"] < expit(world.go[j] + world.go_motivation * motivation)
        goes = np.full(n, True) if all_tasks else goes & ~np.isnan(before)
        at_once = before + _minutes(4.0, 1.1 * z["pause_length"])
        start = np.where(u["pause"] < world.tomorrow[j],
                         _later_day(before, u["tomorrow"]), at_once)
        start = np.where(goes, start, np.nan)

        difficulty = (world.task[j] + world.loading * case
                      + math.sqrt(1 - world.loading**2) * z["difficulty"])
        slower = (world.work_difficulty * difficulty + world.work_noise * z["work"]
                  - world.learning * j)
        patience = _minutes(world.patience, world.patience_motivation * motivation
                            + world.patience_noise * z["patience"]
                            - world.late * (_hour(start) - 12) / 12)
        trouble = goes & (z["trouble"] < world.trouble[j] + world.trouble_difficulty * difficulty)
        onset = _minutes(world.onset, 0.7 * z["onset"] - world.onset_difficulty * difficulty)
        asked = np.where(trouble, start + onset, np.nan)

        hour = _hour(asked)
        office = (hour >= OFFICE[0]) & (hour < OFFICE[1])
        leaning = (world.choose + world.choose_difficulty * difficulty
                   - world.out_of_hours * ~office + world.widget * widget)
        cs = liking + math.sqrt(1 - world.liking) * z["choice"] < leaning
        channel = np.searchsorted(thresholds, z["channel"] + world.channel_difficulty * difficulty)
        channel = np.where((channel == AGENT) & ~office, CHATBOT, channel)
        if choice in CHANNELS:
            channel = np.full(n, CHANNELS.index(choice))
        elif choice is None:
            channel = np.where(cs, channel, OTHER)
        channel = np.where(trouble, channel, -1)

        benefit = np.where(trouble, np.array([*world.benefit, 0.0])[channel], 0.0)
        work = _minutes(np.where(trouble, world.rest, world.smooth[j]), slower - benefit)
        completes = goes & (work < patience)
        began = np.where(trouble, asked, start)
        ends = began + np.minimum(work, patience)
        tomorrow = completes & (u["next_day"] < world.next_day)
        ends = np.where(tomorrow, np.maximum(ends, _later_day(began, u["next_day_time"])), ends)
        complete = np.where(completes, ends, np.nan)

        restarts = goes & (z["restart"] < world.restart + world.restart_difficulty * difficulty)
        until = np.where(trouble, onset, np.minimum(work, patience)) - 1
        restart = start + np.ceil(u["restart_time"] * until)
        restart = np.where(restarts & (restart > start), restart, np.nan)
        left = np.minimum(work, patience) - 1
        again = asked + np.ceil(u["again_time"] * left)
        again = np.where((u["again"] < world.again) & (again > asked), again, np.nan)

        last = np.where(goes, ends, last)
        before = ends if all_tasks else complete
        values = (start, restart, complete, asked, channel, again,
                  np.where(channel == OTHER, OTHER, AGENT))
        for name, value in zip(of_task, values, strict=True):
            of_task[name].append(value)

    lived = {name: np.stack(values, axis=1) for name, values in of_task.items()}
    completions = (~np.isnan(lived["complete"])).sum(axis=1)
    seen = widget & (lived["channel"] >= 0).any(axis=1)
    chance = expit(np.array(world.conversion)[completions]
                   + world.conversion_motivation * motivation
                   - world.conversion_difficulty * case - world.annoyance * seen)
    decided = _decision(last, chances)
    converted_at = np.where(chances["conversion"] < chance, decided, np.nan)
    return Lives(**lived, conversion=chance, converted_at=converted_at)


def _decision(last: np.ndarray, chances: dict[str, np.ndarray]) -> np.ndarray:
    """When converts decide: 45% in the same session, 6% as the trial ends, the rest between."""
    at_once = last + _minutes(12.0, 1.0 * _normal(chances["decision_day"]))
    days = np.ceil(np.exp(1.0 + 0.9 * _normal(chances["decision_day"])))
    days = np.where(chances["decision"] > 0.94, TRIAL_DAYS, days)
    day = np.minimum(np.floor(last / 86_400) + days, TRIAL_DAYS - 1)
    later = day * 86_400 + _time_of_day(chances["decision_time"])
    return np.where(chances["decision"] < 0.45, at_once, np.maximum(later, last + 60))


def _strew(world: World, lives: Lives, size: float, rng: np.random.Generator) -> Lives:
    """The lives as a faulty log has them; `size` is the part's share of a shipped size."""
    start, complete, asked = lives.start.copy(), lives.complete.copy(), lives.help.copy()
    clean = np.ones(len(start), dtype=bool)  # one fault a customer

    def cases(fault: str, possible: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        customer, task = np.nonzero(possible & clean[:, None])
        chosen = _choose(DIRT[fault] * size * world.dirt, len(customer), rng)
        # A customer who comes up with two tasks keeps the first of them.
        _, first = np.unique(customer[chosen], return_index=True)
        customer, task = customer[chosen][first], task[chosen][first]
        clean[customer] = False
        return customer, task

    smooth = ~np.isnan(complete) & np.isnan(asked) & np.isnan(lives.restart)
    start[cases("start lost", smooth)] = np.nan
    goes_on = np.column_stack([~np.isnan(start[:, 1:]), np.zeros(len(start), dtype=bool)])
    complete[cases("completion lost", goes_on)] = np.nan
    at = cases("completion before start", smooth)
    complete[at] = start[at] - np.floor(60 + 1140 * rng.random(len(at[0])))
    at = cases("help before start", ~np.isnan(asked) & np.isnan(lives.again))
    asked[at] = start[at] - np.floor(10 + 290 * rng.random(len(at[0])))
    return replace(lives, start=start, complete=complete, help=asked)


def _choose(expected: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions, in order, of `expected` (rounded) of n at random."""
    return np.sort(np.argsort(rng.random(n), kind="stable")[: round(expected)])


def _rows(ids: np.ndarray, times: np.ndarray, **columns) -> pd.DataFrame:
    """One row for each time in `times` (n, 3) but NaN; further columns are (n, 3) or one value."""
    customer, task = np.nonzero(~np.isnan(times))
    return pd.DataFrame({
        "customer_id": ids[customer], "task": np.array(TASKS)[task],
        **{name: value[customer, task] if isinstance(value, np.ndarray) else value
           for name, value in columns.items()},
        "timestamp": _timestamp(times[customer, task]),
    })


def _timestamp(seconds: np.ndarray) -> np.ndarray:
    known = ~np.isnan(seconds)
    times = np.full(len(seconds), np.datetime64("NaT"), dtype="datetime64[s]")
    times[known] = DAY + seconds[known].astype("timedelta64[s]")
    return times


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["timestamp", "customer_id"], kind="stable", ignore_index=True)


def _part(
    world: World, customers: int, first_account: int, rng: np.random.Generator
) -> tuple[dict[str, pd.DataFrame], int]:
    """The tables of one part, and the first account number after it."""
    size = customers / CUSTOMERS
    chances = _chances(customers, rng)
    in_test = chances["cohort"] < world.test
    lives = _strew(world, _live(world, chances, in_test), size, rng)

    gaps = 1 + np.floor(np.log1p(-chances["account"]) / math.log1p(-1 / ACCOUNT_GAP))
    accounts = first_account + np.cumsum(gaps).astype(np.int64)
    strangers = round(DIRT["unknown customers"] * size * world.dirt)
    accounts = np.append(accounts, accounts[-1] + np.arange(1, strangers + 1))
    ids = np.array([f"C{number:08d}" for number in accounts], dtype=object)
    known, unknown = ids[:customers], ids[customers:]

    began = _time_of_day(rng.random(strangers))[:, None]
    activity = pd.concat([
        _rows(known, lives.start, action="start"),
        _rows(known, lives.restart, action="start"),
        _rows(known, lives.complete, action="complete"),
        _rows(unknown, began, action="start"),
        _rows(unknown, began + np.floor(30 + 300 * rng.random((strangers, 1))), action="complete"),
    ])
    channels = np.array(CHANNELS, dtype=object)
    asked = pd.concat([
        _rows(known, lives.help, channel=channels[lives.channel]),
        _rows(known, lives.again, channel=channels[lives.again_channel]),
    ])
    conversion = pd.DataFrame({
        "customer_id": known,
        "converted": (~np.isnan(lives.converted_at)).astype(np.int64),
        "converted_at": _timestamp(lives.converted_at),
    })
    twice = DIRT["duplicate rows"] * size * world.dirt
    activity = _repeat(activity, 0.75 * twice, rng)
    asked = _repeat(asked, 0.25 * twice, rng)
    lost = _choose(DIRT["no conversion row"] * size * world.dirt, customers, rng)
    tables = {
        "test_cohorts": pd.DataFrame({
            "customer_id": known, "cohort": np.where(in_test, "Test", "Control"),
        }),
        "product_activity": _in_order(activity),
        "help_activity": _in_order(asked[["customer_id", "task", "timestamp", "channel"]]),
        "conversion": conversion.drop(index=lost).reset_index(drop=True),
    }
    return tables, int(accounts[-1]) + 1


def _repeat(rows: pd.DataFrame, expected: float, rng: np.random.Generator) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[_choose(expected, len(rows), rng)]])


def parts(
    seed: int, scale: float, world: World = WORKS
) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield the tables in equal parts of at most the shipped size.

    The planned split is in the first part.
    """
    count = math.ceil(scale)
    account = FIRST_ACCOUNT
    for part in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, part]))
        tables, account = _part(world, max(1, round(CUSTOMERS * scale / count)), account, rng)
        if part == 0:
            tables["planned_split"] = pd.DataFrame({
                "cohort": ["Test", "Control"], "share": [world.test, 1 - world.test],
            })
        yield tables


def generate(
    seed: int = SEED, scale: float = 1, world: World = WORKS
) -> tuple[dict[str, pd.DataFrame], dict]:
    """The tables in memory, and the truth about the world that made them.

    Args:
        seed: a whole number >= 0.
        scale: multiplies the number of customers.
        world: the parameters of the process.

    Returns:
        Tables `test_cohorts`, `product_activity`, `help_activity`, `conversion`, `planned_split`,
        and the truth: `parameters` (of `World`), `dirt` (faults strewn over one shipped size) and
        `effects` (see `effects`).
    """
    found = list(parts(seed, scale, world))
    tables = {name: pd.concat([part[name] for part in found if name in part], ignore_index=True)
              for name in found[0]}
    truth = EFFECTS if world == WORKS else effects(world)
    return tables, {"parameters": asdict(world), "dirt": DIRT, "effects": truth}


@lru_cache
def effects(world: World, customers: int = 200_000, seed: int = 1) -> dict:
    """What a world's parameters come to, by letting the same people live in several ways.

    The potential outcomes of one large population are compared, so that sampling error (below
    0.003 for the probabilities at the default size) is far smaller than in any analysis of tables.

    Returns:
        Probabilities, unless said otherwise:
        - `cohorts`: pairs (Control, Test): `trouble` (any), `cs` (any use), `cs_at_first` (of those
          in trouble, at their first), `completed_at_first` (that task), `completed_1` .. `_3`,
          `completions` (mean number), `converted`. The differences are the widget's effects.
        - `moved`: of those in trouble, the share that the widget moves to CS at their first.
        - `cs_effect`: of CS against OTHER at the first trouble on `completed` and on `hours` to
          completion (restricted to `HOURS`): among those `moved` (what an instrument finds), among
          all in trouble (`everybody`), and what a plain comparison shows (`naive`).
        - `channels`: completion of the first task in trouble with each of `CHANNELS`, if everybody
          there used it (`causal`) and among those who did (`naive`).
        - `conversion`: after 0, 1, 2, 3 completions, if everybody had so many (`causal`) and among
          those who had (`naive`).
        - `tasks`: completion of tasks 1 to 3 if everybody in Control started each (`causal`) and
          among those of both cohorts who did (`naive`).
        - `evening`: effect on completing task 1 of arriving at 21 h instead of 9 h, in Control.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    chances = _chances(customers, rng)
    nobody, everybody = np.zeros(customers, dtype=bool), np.ones(customers, dtype=bool)
    in_test = chances["cohort"] < world.test
    control, test = _live(world, chances, nobody), _live(world, chances, everybody)
    actual = _live(world, chances, in_test)

    # The first trouble comes before any widget: the same in every life.
    who = np.flatnonzero(control.first_trouble < len(TASKS))
    at = who, control.first_trouble[who]

    def completed(lives: Lives) -> np.ndarray:
        return ~np.isnan(lives.complete[at])

    def hours(lives: Lives) -> np.ndarray:
        taken = (lives.complete[at] - lives.help[at]) / 3600
        return np.fmin(taken, HOURS)  # never completed: the longest

    moved = test.cs[at] & ~control.cs[at]
    used = actual.cs[at]
    forced = {choice: _live(world, chances, nobody, choice) for choice in ("CS", *CHANNELS)}

    def of_cs(outcome) -> dict[str, float]:
        effect = outcome(test).astype(float) - outcome(control)
        seen = outcome(actual)
        return {
            "moved": float(effect[moved].mean()) if moved.any() else None,
            "everybody": float(outcome(forced["CS"]).mean() - outcome(forced["OTHER"]).mean()),
            "naive": float(seen[used].mean() - seen[~used].mean()),
        }

    def pair(measure) -> tuple[float, float]:
        return float(measure(control).mean()), float(measure(test).mean())

    started, complete = ~np.isnan(actual.start), ~np.isnan(actual.complete)
    case, motivation = _normal(chances["case"]), _normal(chances["motivation"])
    base = world.conversion_motivation * motivation - world.conversion_difficulty * case
    unselected = _live(world, chances, nobody, all_tasks=True)
    by_hour = {}
    for hour in (9, 21):
        arrival = np.full(customers, _ARRIVED[60 * hour])
        lives = _live(world, chances | {"arrival": arrival}, nobody)
        by_hour[hour] = np.mean(~np.isnan(lives.complete[:, 0]))
    return {
        "cohorts": {
            "trouble": pair(lambda lives: lives.first_trouble < len(TASKS)),
            "cs": pair(lambda lives: lives.cs.any(axis=1)),
            "cs_at_first": pair(lambda lives: lives.cs[at]),
            "completed_at_first": pair(completed),
            **{f"completed_{task}": pair(lambda lives, j=j: ~np.isnan(lives.complete[:, j]))
               for j, task in enumerate(TASKS)},
            "completions": pair(lambda lives: lives.completions),
            "converted": pair(lambda lives: lives.conversion),
        },
        "moved": float(moved.mean()),
        "cs_effect": {"completed": of_cs(completed), "hours": of_cs(hours)},
        "channels": {
            "causal": tuple(float(completed(forced[channel]).mean()) for channel in CHANNELS),
            "naive": tuple(float(completed(actual)[actual.channel[at] == i].mean())
                           for i in range(len(CHANNELS))),
        },
        "conversion": {
            "causal": tuple(float(expit(logit + base).mean()) for logit in world.conversion),
            "naive": tuple(float(actual.conversion[actual.completions == k].mean())
                           for k in range(len(TASKS) + 1)),
        },
        "tasks": {
            "causal": tuple((~np.isnan(unselected.complete)).mean(axis=0).tolist()),
            "naive": tuple((complete.sum(axis=0) / started.sum(axis=0)).tolist()),
        },
        "evening": float(by_hour[21] - by_hour[9]),
    }
