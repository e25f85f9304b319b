"""Chooses between Quarto and the embedded renderer, and runs Quarto."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from render.book import Book
from render.errors import BookError
from render.pages import swap

MINIMUM = (1, 9)
QUARTO = "quarto-cli==1.9.38"
INSTALL_SECONDS = 180


def choose(wanted: str) -> tuple[str, str]:
    """Which renderer to use, and why.

    Args:
        wanted: "quarto", "embedded" or "auto".

    Raises:
        BookError: Quarto is demanded and can't be had.
    """
    if wanted == "embedded":
        return "embedded", "asked for"
    version, _ = _newest()
    if version >= MINIMUM:
        return "quarto", f"{'asked for' if wanted == 'quarto' else 'on PATH'}, {_dotted(version)}"
    why = f"quarto {_dotted(version)} is too old" if version else "no quarto on PATH"
    if problem := _install(again=wanted == "quarto"):
        if wanted == "quarto":
            raise BookError(f"{why}, and {problem}; install Quarto >= {_dotted(MINIMUM)}")
        return "embedded", f"{why}, and {problem}"
    return "quarto", f"{why}; installed {QUARTO}"


def run_quarto(book: Book) -> None:
    """Renders with Quarto, aside, and swaps the result in when all of it has worked."""
    with tempfile.TemporaryDirectory(dir=book.root, prefix=f".{book.output_dir.name}.") as aside:
        site = Path(aside, "site")
        done = subprocess.run(
            [_newest()[1], "render", "--output-dir", str(site.relative_to(book.root))],
            cwd=book.root,
            env=os.environ | {"QUARTO_PYTHON": sys.executable},
        )
        if done.returncode:
            raise BookError(f"quarto render ended with exit code {done.returncode}")
        swap(site, book.output_dir, Path(aside))


def _newest() -> tuple[tuple[int, ...], str]:
    """Version and program of the newest Quarto, on PATH or beside this Python; () if none works."""
    beside = Path(sys.executable).with_name("quarto")
    found: list[tuple[tuple[int, ...], str]] = [((), "quarto")]
    for program in (shutil.which("quarto"), str(beside) if beside.exists() else None):
        if program:
            told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
            if numbers := re.match(r"\s*(\d+)\.(\d+)(?:\.(\d+))?", told):
                found.append((tuple(int(n) for n in numbers.groups(default="0")), program))
    return max(found)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(n) for n in version)


def _install(again: bool) -> str | None:
    """Tries to install Quarto, unless an earlier try failed; what went wrong, or None."""
    tried = Path(sys.prefix, ".quarto-not-installable")
    problem = f"it could not be installed (why: {tried}; delete that file to have it tried again)"
    if tried.exists() and not again:
        return problem
    print(f"trying, once, to install {QUARTO}", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "install", "--quiet", QUARTO]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        said = done.stderr
    except subprocess.TimeoutExpired:
        said = f"no end after {INSTALL_SECONDS} s\n"
    if _newest()[0] >= MINIMUM:
        return None
    tried.write_text(said, encoding="utf-8")
    return problem
