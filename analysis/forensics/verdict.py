"""The rule by which signs become a verdict: recorded, made by a simple generator, or open.

The rule is the same for every table, and is stated before its result:

1. Each sign has up to two p-values. One is small if what recorded tables have is shown to be
   *missing*, by more than a margin (it speaks for a made table); the other if what simple
   generators do not make is shown to be *there* (it speaks for a recorded one). A sign that shows
   both, or neither, tells nothing.
2. Each direction is corrected for its number of signs (Holm 1979), so that the probability of any
   false sign for a made table is at most alpha if a recorded table bears what all the signs look
   for, and likewise the other way.
3. Signs of one kind look at one thing, and stand or fall together: a kind speaks for an origin if
   one of its signs does, and none for the other.
4. "simulated" if at least two kinds speak for it, and more than speak for "recorded"; "recorded" if
   at least two kinds speak for it, and none for "simulated"; otherwise it can't be told.

So p-values are not counted, and one surprising column is not enough. The rule knows simple
generators: who copies the ties, the tails and the habits of a recorded table into a made one is not
found out by it, and "recorded" never means more than that no such simplicity was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import pandas as pd

from analysis.stats._common import Record, check_count, check_fraction
from analysis.stats.multiplicity import holm

ALPHA = 0.05
KINDS = 2  # that must agree


class Reading(StrEnum):
    """What a sign, a kind or all of them speak for."""

    SIMULATED = "simulated"
    """A table made by a simple generator."""
    RECORDED = "recorded"
    """A table in which the world has left its traces."""
    NOTHING = "nothing"
    """Neither, or both."""


_ORIGINS = (Reading.SIMULATED, Reading.RECORDED)


@dataclass(frozen=True, slots=True)
class Sign(Record):
    """One thing by which tables of either origin differ.

    Attributes:
        name: Its name; what either origin would show is told where results are presented.
        kind: What it looks at; signs of one kind rest on the same rows and columns in the same
            respect.
        p_simulated: Small if what recorded tables have is shown to be missing; nan if this sign
            can't speak for a made table, or could not be looked at.
        p_recorded: Small if what simple generators don't make is shown; nan likewise.
        size: Of what was looked at, in the sign's own measure; nan if there is none.
        low, high: Its 95% interval; nan if there is none.
    """

    name: str
    kind: str
    p_simulated: float = math.nan
    p_recorded: float = math.nan
    size: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Verdict(Record):
    """The verdict and how it came about.

    Attributes:
        reading: The verdict; `Reading.NOTHING` means that it can't be told.
        simulated, recorded: How many kinds speak for each.
        looked_at: How many signs could be looked at.
        needed: How many kinds must agree.
        alpha: The probability of any false sign, in each direction.
        signs: Index `sign`: `kind`, `size`, `low`, `high`, `p_simulated`, `p_recorded`, the same
            corrected, `adjusted_simulated` and `adjusted_recorded`, and `reading`.
        kinds: Index `kind`: `reading`.
    """

    reading: Reading
    simulated: int
    recorded: int
    looked_at: int
    needed: int
    alpha: float
    signs: pd.DataFrame = field(repr=False, compare=False)
    kinds: pd.DataFrame = field(repr=False, compare=False)


def judge(signs: Sequence[Sign], *, alpha: float = ALPHA, needed: int = KINDS) -> Verdict:
    """Applies the rule; see the module.

    Raises:
        ValueError: No signs, two of one name, or p-values that are not between 0 and 1.
    """
    check_fraction(alpha, "alpha")
    needed = check_count(needed, "needed")
    names = [sign.name for sign in signs]
    if not names or len(set(names)) < len(names):
        raise ValueError("signs: need at least one, and a name of its own for each")
    columns = ("kind", "size", "low", "high", "p_simulated", "p_recorded")
    frame = pd.DataFrame(
        {column: [getattr(sign, column) for sign in signs] for column in columns},
        index=pd.Index(names, name="sign"),
    )
    for origin in ("simulated", "recorded"):
        p = frame[f"p_{origin}"].to_numpy(dtype=float)
        there = np.isfinite(p)
        if ((p[there] < 0) | (p[there] > 1)).any():
            raise ValueError(f"signs: p_{origin} must be between 0 and 1")
        adjusted = np.full(p.size, np.nan)
        adjusted[there] = holm(p[there])
        frame[f"adjusted_{origin}"] = adjusted
    made = frame["adjusted_simulated"] <= alpha
    real = frame["adjusted_recorded"] <= alpha
    frame["reading"] = [_reading(*pair).value for pair in zip(made, real, strict=True)]
    by_kind = frame.groupby("kind", sort=False)["reading"]
    said = [by_kind.agg(lambda part, r=r: bool((part == r.value).any())) for r in _ORIGINS]
    kinds = pd.DataFrame({"reading": [_reading(*pair).value for pair in zip(*said, strict=True)]},
                         index=said[0].index)
    simulated = int((kinds["reading"] == Reading.SIMULATED).sum())
    recorded = int((kinds["reading"] == Reading.RECORDED).sum())
    reading = Reading.NOTHING
    if simulated >= needed and simulated > recorded:
        reading = Reading.SIMULATED
    elif recorded >= needed and simulated == 0:
        reading = Reading.RECORDED
    looked = frame[["p_simulated", "p_recorded"]].notna().any(axis=1)
    return Verdict(
        reading=reading, simulated=simulated, recorded=recorded, looked_at=int(looked.sum()),
        needed=needed, alpha=alpha, signs=frame, kinds=kinds,
    )


def _reading(made: bool, real: bool) -> Reading:
    if made == real:
        return Reading.NOTHING
    return Reading.SIMULATED if made else Reading.RECORDED
