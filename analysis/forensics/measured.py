"""How often the verdict was right on tables whose origin is known.

The counts are written here by two programs: by `tests/forensics/forensics_measure.py` for the
subscribers of `tests/forensics/forensics_worlds.py`, as the churn study judges them, and by
`tests/forensics/trialer_measure.py` for the trialers of `tests/forensics/trialer_worlds.py`, as the
study of the test judges their log.
"""

from __future__ import annotations

import pandas as pd

from analysis.stats import intervals

# World, subscribers, and how many of the tables were judged simulated, recorded, or neither.
SUBSCRIBERS = (
    # <measured>
    ("recorded", 350, 0, 96, 4),
    ("recorded", 1050, 0, 93, 7),
    ("recorded", 3500, 0, 89, 11),
    ("shipped", 350, 28, 0, 12),
    ("shipped", 1050, 40, 0, 0),
    ("shipped", 3500, 40, 0, 0),
    ("uniform", 350, 2, 0, 38),
    ("uniform", 1050, 35, 0, 5),
    ("uniform", 3500, 40, 0, 0),
    ("bells", 350, 5, 0, 35),
    ("bells", 1050, 32, 0, 8),
    ("bells", 3500, 40, 0, 0),
    ("shuffled", 350, 0, 0, 40),
    ("shuffled", 1050, 30, 0, 10),
    ("shuffled", 3500, 40, 0, 0),
    ("copied", 350, 0, 25, 15),
    ("copied", 1050, 0, 32, 8),
    ("copied", 3500, 0, 23, 17),
    # </measured>
)
# World, trialers, and the same counts.
TRIALERS = (
    # <trialers>
    ("recorded", 1200, 0, 71, 29),
    ("recorded", 12000, 0, 69, 31),
    ("shipped", 1200, 0, 20, 0),
    ("shipped", 12000, 0, 3, 17),
    ("uniform", 1200, 6, 0, 14),
    ("uniform", 12000, 20, 0, 0),
    ("bells", 1200, 0, 0, 20),
    ("bells", 12000, 20, 0, 0),
    ("shuffled", 1200, 1, 5, 14),
    ("shuffled", 12000, 5, 2, 13),
    ("copied", 1200, 0, 17, 3),
    ("copied", 12000, 0, 15, 5),
    # </trialers>
)
# The worlds, and what would be a wrong verdict in each. `copied` is made, too, but not simply: the
# rule does not claim to find it out.
WRONG = {"recorded": "simulated", "shipped": "recorded", "uniform": "recorded",
         "bells": "recorded", "shuffled": "recorded", "copied": "recorded"}


def confusion(rows=SUBSCRIBERS) -> pd.DataFrame:
    """Verdicts by world and number of rows.

    Returns:
        Index `world`, `rows`: `runs`; `simulated`, `recorded`, `nothing`, how many tables were
        judged so; `wrong`, the share of wrong verdicts, with its 95% interval, `low` to `high`.
    """
    found = []
    for world, size, simulated, recorded, nothing in rows:
        runs = simulated + recorded + nothing
        wrong = {"simulated": simulated, "recorded": recorded}[WRONG[world]]
        share = intervals.proportion(wrong, runs)
        found.append((world, size, runs, simulated, recorded, nothing, share.estimate, share.low,
                      share.high))
    columns = ["world", "rows", "runs", "simulated", "recorded", "nothing", "wrong", "low", "high"]
    return pd.DataFrame(found, columns=columns).set_index(["world", "rows"])
