"""What the tests of the renderer share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_book import build, minimal, write

from render import execute, qmd


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch):
    """No variable of the caller's may decide a test."""
    for name in list(os.environ):
        if name.startswith("BOOK_") or name == "ENGINE":
            monkeypatch.delenv(name)


@pytest.fixture
def run_chapter(tmp_path) -> Callable[..., execute.Run]:
    """Executes the text of one chapter, with other files beside it."""

    def run(text: str, **files: str) -> execute.Run:
        minimal(tmp_path, **{"index.qmd": text}, **files)
        return execute.execute(tmp_path, [qmd.read(tmp_path, Path("index.qmd"))])[0]

    return run


@pytest.fixture(scope="module")
def tiny_site(tmp_path_factory) -> Path:
    """The tiny book, built once with website and PDF; the project's folder."""
    root = write(tmp_path_factory.mktemp("tiny"))
    assert build(root) == 0
    return root
