"""Tidies up after a build that was killed: what it could not do itself, the next one does."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no such locks; there leftovers stay
    fcntl = None


def prefix(root: Path) -> str:
    """How the names of a project's folders among the system's temporary ones begin."""
    return f"book-{hashlib.sha256(str(root.resolve()).encode()).hexdigest()[:16]}-"


@contextlib.contextmanager
def tidied(target: Path) -> Iterator[None]:
    """For as long as a build lasts: no leftovers of dead builds, and none taken for dead.

    Every build shares a lock on the project's folder, which ends with its process, however that
    ends. Whoever can have it alone knows that the folders beside `target`, and those among the
    temporary ones, are of dead builds. One that died between taking the last book away and bringing
    its own has left the last one in there; it is put back.

    Args:
        target: The output folder.
    """
    if fcntl is None:
        yield
        return
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # another build runs, or the disk knows no locks
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _tidy(target)
        with contextlib.suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_SH)
        yield
    finally:
        os.close(folder)


def _tidy(target: Path) -> None:
    for leftover in target.parent.glob(f".{target.name}.*"):
        if not target.exists():
            for old in sorted(leftover.glob("old-*"))[:1]:
                old.rename(target)
        shutil.rmtree(leftover, ignore_errors=True)
    for leftover in Path(tempfile.gettempdir()).glob(f"{prefix(target.parent)}*"):
        shutil.rmtree(leftover, ignore_errors=True)
