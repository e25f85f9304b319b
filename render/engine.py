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
    version = _version()
    if version and version >= MINIMUM:
        return "quarto", f"{'asked for' if wanted == 'quarto' else 'on PATH'}, {_dotted(version)}"
    why = f"quarto {_dotted(version)} is too old" if version else "no quarto on PATH"
    if problem := _install():
        if wanted == "quarto":
            raise BookError(f"{why}, and {problem}; install Quarto >= {_dotted(MINIMUM)}")
        return "embedded", f"{why}, and {problem}"
    return "quarto", f"{why}; installed {QUARTO}"


def run_quarto(book: Book) -> int:
    """Renders with Quarto, aside, and swaps the result in when all of it has worked."""
    with tempfile.TemporaryDirectory(dir=book.root, prefix=f".{book.output_dir.name}.") as aside:
        site = Path(aside, "site")
        done = subprocess.run(
            [_program(), "render", "--output-dir", str(site.relative_to(book.root))],
            cwd=book.root,
            env=os.environ | {"QUARTO_PYTHON": sys.executable},
        )
        if done.returncode:
            raise BookError(f"quarto render ended with exit code {done.returncode}")
        swap(site, book.output_dir, Path(aside))
    return 0


def _program() -> str | None:
    beside = Path(sys.executable).with_name("quarto")
    return shutil.which("quarto") or (str(beside) if beside.exists() else None)


def _version() -> tuple[int, ...] | None:
    program = _program()
    if not program:
        return None
    told = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
    numbers = re.match(r"(\d+)\.(\d+)\.?(\d+)?", told.strip())
    return tuple(int(n) for n in numbers.groups(default="0")) if numbers else None


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(n) for n in version)


def _install() -> str | None:
    """Tries, once an environment, to install Quarto; what went wrong, or None."""
    tried = Path(sys.prefix, ".quarto-not-installable")
    problem = "it could not be installed (its installer needs the open internet)"
    if tried.exists():
        return problem
    command = [sys.executable, "-m", "pip", "install", "--quiet", QUARTO]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired:
        done = None
    if done and not done.returncode and _version():
        return None
    tried.write_text(done.stderr if done else f"no end after {INSTALL_SECONDS} s\n")
    return problem
