"""Generators of the shipped tables: a module a study, each with `SEED` and `parts(seed, scale)`."""

import importlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

GENERATORS = {"engagement": "analysis.simulate.engagement"}
SMALLEST_SCALE = 0.01


def parts(
    study: str, seed: int | None = None, scale: float = 1
) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield a study's tables in parts of at most one shipped size each, so memory stays flat.

    Args:
        study: a key of `GENERATORS`.
        seed: a whole number >= 0; None is the seed of the shipped tables.
        scale: multiplies the number of customers; at least 0.01.

    Raises:
        ValueError: a study, seed or scale outside these bounds.
    """
    if study not in GENERATORS:
        raise ValueError(f"no generator for study {study!r}; there is {', '.join(GENERATORS)}")
    if not (math.isfinite(scale) and scale >= SMALLEST_SCALE):
        raise ValueError(f"scale must be a number of {SMALLEST_SCALE} or more, not {scale}")
    if seed is not None and seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    module = importlib.import_module(GENERATORS[study])
    return module.parts(module.SEED if seed is None else seed, scale)


def write(study: str, out: Path, seed: int | None = None, scale: float = 1) -> dict[Path, int]:
    """Write a study's tables as CSV into `out/STUDY/`; returns the rows of each file written.

    The bytes depend on seed and scale alone. Every file is written aside and swapped in when all
    are whole, so a run that is interrupted leaves the old tables as they were.
    """
    tables = parts(study, seed, scale)
    folder = Path(out) / study
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[Path, int] = {}
    aside: dict[Path, Path] = {}
    try:
        for part in tables:
            for name, frame in part.items():
                path = folder / f"{name}.csv"
                aside[path] = folder / f".{name}.csv.{os.getpid()}"
                frame.to_csv(
                    aside[path], mode="a" if path in rows else "w", header=path not in rows,
                    index=False, lineterminator="\n", encoding="utf-8", float_format="%.2f",
                )
                rows[path] = rows.get(path, 0) + len(frame)
        for path, written in aside.items():
            written.replace(path)
    finally:
        for written in aside.values():
            written.unlink(missing_ok=True)
    return rows
