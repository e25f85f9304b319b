"""Studies that several pages tell of are analysed once a build of the book.

A build names a folder of its own in `KEPT_STUDIES`, which goes with it; a study that was analysed is
kept there, and found again by the other pages of that build. Without that setting nothing is kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from analysis.sources import Tables

try:
    import fcntl
except ImportError:  # Windows has no such locks; there two pages may analyse the same study
    fcntl = None

FOLDER = "KEPT_STUDIES"

Analysis = Callable[[Tables], Any]


def kept(analyse: Analysis) -> Analysis:
    """Makes an analysis keep its study, and give the one that is kept for the tables' place.

    Pages that ask at the same time wait for the first. An error is not kept.
    """
    return _once(analyse, keep=True)


def or_kept(part: Analysis) -> Analysis:
    """Makes an analysis of a part give the whole study where one is kept: it holds the part."""
    return _once(part, keep=False)


def _once(analyse: Analysis, *, keep: bool) -> Analysis:
    @functools.wraps(analyse)
    def once(tables: Tables) -> Any:
        path = _path(tables)
        if path is None:
            return analyse(tables)
        with _alone(path):
            if path.exists():
                return pickle.loads(path.read_bytes())
            found = analyse(tables)
            if keep:
                aside = path.with_suffix(f".{os.getpid()}")
                aside.write_bytes(pickle.dumps(found))
                aside.replace(path)
            return found

    return once


def _path(tables: Tables) -> Path | None:
    """Where the study of these tables is kept; None: nowhere."""
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    place = f"{tables.origin} {tables.fallback}"
    return Path(folder, f"{tables.study}-{hashlib.sha256(place.encode()).hexdigest()[:16]}.pickle")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Lets one process at a time look after a study; the lock ends with the process."""
    if fcntl is None:
        yield
        return
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
