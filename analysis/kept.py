"""What several pages need is worked out once a build of the book: studies, and tables made of text.

A build names a folder of its own in `KEPT_STUDIES`, which goes with it; what was worked out is kept
there, and found again by the other pages of that build. Without that setting nothing is kept.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.sources import Tables

try:
    import fcntl
except ImportError:  # Windows has no such locks; there two pages may analyse the same study
    fcntl = None

FOLDER = "KEPT_STUDIES"

Analysis = Callable[["Tables"], Any]


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
        folder = place(f"{tables.study}-study", f"{tables.origin} {tables.fallback}")
        if folder is None:
            return analyse(tables)
        path = folder.with_suffix(".pickle")
        with alone(path):
            if path.exists():
                return pickle.loads(path.read_bytes())
            found = analyse(tables)
            if keep:
                aside = path.with_suffix(f".{os.getpid()}")
                aside.write_bytes(pickle.dumps(found))
                aside.replace(path)
            return found

    return once


def place(what: str, of: str) -> Path | None:
    """Where something is kept; None: nowhere.

    Args:
        what: What it is.
        of: What it was made of, in any words.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        return None
    return Path(folder, f"{what}-{hashlib.sha256(of.encode()).hexdigest()[:16]}")


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Lets one process at a time look after what is kept there; the lock ends with the process."""
    if fcntl is None:
        yield
        return
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
