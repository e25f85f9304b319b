"""Generators of the shipped tables: a module a study, each with `SEED` and `parts(seed, scale)`."""

import contextlib
import importlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from analysis.contracts import CONTRACTS

GENERATORS = {study: f"analysis.simulate.{study}" for study in CONTRACTS}
FORMATS = ("csv", "parquet")
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
    check_scale(scale)
    if seed is not None and seed < 0:
        raise ValueError(f"seed must be 0 or more, not {seed}")
    module = importlib.import_module(GENERATORS[study])
    return module.parts(module.SEED if seed is None else seed, scale)


def check_scale(scale: float) -> None:
    """Refuses a scale at which tables are too small to be like the shipped ones.

    Raises:
        ValueError: less than `SMALLEST_SCALE`, or no finite number.
    """
    if not (math.isfinite(scale) and scale >= SMALLEST_SCALE):
        raise ValueError(f"scale must be a number of {SMALLEST_SCALE} or more, not {scale}")


def write(
    study: str,
    out: Path,
    seed: int | None = None,
    scale: float = 1,
    file_format: str = "csv",
    watch: Callable[[Iterator], Iterator] = iter,
) -> dict[Path, int]:
    """Write a study's tables into `out/STUDY/`; returns the rows of each file written.

    The bytes of CSV files depend on seed and scale alone. Every file is written aside and swapped
    in when all are whole, so a run that is interrupted leaves the old tables as they were.

    Args:
        study: a key of `GENERATORS`.
        out: the folder for `STUDY/TABLE.csv`.
        seed: see `parts`.
        scale: see `parts`.
        file_format: "csv" or "parquet".
        watch: wraps the parts as they are made, to show progress.

    Raises:
        ValueError: a study, seed, scale or format that is not there.
    """
    if file_format not in FORMATS:
        raise ValueError(f"no format {file_format!r}; there is {', '.join(FORMATS)}")
    tables = parts(study, seed, scale)
    folder = Path(out) / study
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[Path, int] = {}
    aside: dict[Path, Path] = {}
    try:
        with contextlib.ExitStack() as opened:
            append = _csv if file_format == "csv" else _parquet(opened)
            for part in watch(tables):
                for name, frame in part.items():
                    path = folder / f"{name}.{file_format}"
                    aside[path] = folder / f".{path.name}.{os.getpid()}"
                    append(aside[path], frame, path not in rows)
                    rows[path] = rows.get(path, 0) + len(frame)
        for path, written in aside.items():
            written.replace(path)
    finally:
        for written in aside.values():
            written.unlink(missing_ok=True)
    return rows


def _csv(path: Path, frame: pd.DataFrame, first: bool) -> None:
    """Begin a CSV file or append to it."""
    frame.to_csv(
        path, mode="w" if first else "a", header=first, index=False, lineterminator="\n",
        encoding="utf-8", float_format="%.2f",
    )


def _parquet(opened: contextlib.ExitStack) -> Callable[[Path, pd.DataFrame, bool], None]:
    """What begins a Parquet file or appends to it; the files are whole when `opened` is left."""
    writers: dict[Path, pq.ParquetWriter] = {}

    def append(path: Path, frame: pd.DataFrame, first: bool) -> None:
        frame = _rounded(frame)
        if first:
            writers[path] = opened.enter_context(pq.ParquetWriter(path, _schema(frame)))
        schema = writers[path].schema
        writers[path].write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))

    return append


def _rounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Floats as a CSV file holds them, so that both formats give the same results."""
    floats = frame.select_dtypes("float").columns
    return frame.assign(**frame[floats].round(2))


def _schema(frame: pd.DataFrame) -> pa.Schema:
    """The Arrow schema of a table; a column without any value is text."""
    schema = pa.Schema.from_pandas(frame, preserve_index=False).remove_metadata()
    return pa.schema(
        field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in schema
    )
