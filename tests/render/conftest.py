"""What the tests of the renderer share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_book

from render import execute, qmd
from render.__main__ import main

MINIMAL = """\
project:
  type: book
  execute-dir: project
book:
  title: Minimal
  output-file: minimal
  chapters: [index.qmd{more}]
number-sections: true
toc: true
format:
  html:
    html-math-method: mathml
    code-fold: true
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    """No variable of the caller's may decide a test."""
    for name in list(os.environ):
        if name.startswith("BOOK_") or name == "ENGINE":
            monkeypatch.delenv(name)


def minimal(root: Path, *chapters: str, **files: str) -> Path:
    """Writes a book of bare files; `chapters` come after index.qmd."""
    more = "".join(f", {name}" for name in chapters)
    contents = {"_quarto.yml": MINIMAL.format(more=more), "index.qmd": "# Start\n"} | files
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


@pytest.fixture
def run_chapter(tmp_path) -> Callable[..., execute.Run]:
    """Executes the text of one chapter, with other files beside it."""

    def run(text: str, **files: str) -> execute.Run:
        minimal(tmp_path, **{"index.qmd": text}, **files)
        return execute.execute(tmp_path, [qmd.read(tmp_path, Path("index.qmd"))])[0]

    return run


def build(root: Path, *options: str) -> int:
    """`python -m render book` with the embedded renderer; the exit code."""
    return main(["--root", str(root), "book", "--engine", "embedded", *options])


@pytest.fixture(scope="module")
def tiny_site(tmp_path_factory) -> Path:
    """The tiny book, built once with website and PDF; the project's folder."""
    root = tiny_book.write(tmp_path_factory.mktemp("tiny"))
    assert build(root) == 0
    return root
