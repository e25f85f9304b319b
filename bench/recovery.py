"""Simulates a study's tables again and again, and asks whether it finds what was planted.

Run as `python bench/recovery.py [STUDY ...] [--workers N]`; writes `bench/recovery/STUDY.csv`,
which the methods appendix shows, one row a world, seed and quantity. The worlds, their number of
runs and what is planted in them stand in `recovery_STUDY.py`. Either study takes half an hour on
two cores or more. The same seeds give the same file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pandas as pd
from rich.progress import track

from analysis import recovery

STUDIES = ("customers", "trialers")
sys.path.insert(0, str(Path(__file__).parent))  # where the studies' scripts are


def worlds(study: str) -> dict[str, int]:
    """The worlds of a study, with the number of runs of each."""
    return importlib.import_module(f"recovery_{study}").WORLDS


def truths(study: str, world: str) -> dict[str, float]:
    """What is planted in a world, by the name of the quantity."""
    return importlib.import_module(f"recovery_{study}").truths(world)


def run(study: str, world: str, seed: int) -> pd.DataFrame:
    """What the study finds in one simulation of a world; the rows are those of the stored file."""
    rows = importlib.import_module(f"recovery_{study}").estimates(world, seed)
    found = pd.DataFrame(rows, columns=recovery.COLUMNS)
    found.insert(0, "world", world)
    found.insert(1, "seed", seed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help=f"default: {', '.join(STUDIES)}")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="default: all cores")
    options = parser.parse_args()
    if unknown := sorted({*options.studies} - {*STUDIES}):
        parser.error(f"no simulations of {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    for study in options.studies or STUDIES:
        tasks = [(study, world, seed) for world, runs in worlds(study).items()
                 for seed in range(1, runs + 1)]
        with ProcessPoolExecutor(options.workers) as pool:
            done = pool.map(run, *zip(*tasks, strict=True))
            frames = list(track(done, f"simulating {study}", total=len(tasks)))
        path = recovery.RUNS / f"{study}.csv"
        aside = path.with_suffix(".new")
        # Six digits, so that the last bits of another machine make no other file.
        pd.concat(frames).to_csv(aside, index=False, float_format="%.6g", lineterminator="\n")
        aside.replace(path)


if __name__ == "__main__":
    main()
