"""A build executes again exactly what may have changed: never less, never more.

Each cell leaves a mark in a file outside the project, so that every execution is counted by
something else than the renderer's own word.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_book import build, minimal

from render import execute

MARK = "open({log!r}, 'a').write({name!r} + '\\n')"
TABLES = """\
# Tables {{#sec-tables}}

```{{python}}
#| label: count
{mark}
import os, pathlib
import near
where = pathlib.Path(os.environ.get("BOOK_DATA", "data"))
try:
    extra = (where / "extra.csv").read_text()
except FileNotFoundError:
    extra = "no extra"
```

Rows: `{{python}} len((where / "rows.csv").read_text().split())`, far `{{python}} near.far.X`,
`{{python}} extra`.
"""
PLAIN = """\
# Plain {{#sec-plain}}

```{{python}}
{mark}
import installed
total = 1 + 1
```

Two: `{{python}} total`.
"""


class Project:
    """A book of two chapters and a page without code."""

    def __init__(self, folder: Path):
        self.log = folder / "log.txt"
        self.root = minimal(
            folder / "book",
            "tables.qmd",
            "plain.qmd",
            **{
                "tables.qmd": TABLES.format(mark=MARK.format(log=str(self.log), name="tables")),
                "plain.qmd": PLAIN.format(mark=MARK.format(log=str(self.log), name="plain")),
                "near.py": "import far\n",
                "far.py": "X = 7\n",
                "data/rows.csv": "a\nb\n",
                "data/unrelated.csv": "a\n",
            },
        )
        self.library = folder / "library"
        self.library.mkdir()
        (self.library / "installed.py").write_text("")
        self.install("1.0")

    def install(self, version: str) -> None:
        """Sets the version of a distribution that plain.qmd imports."""
        info = self.library / "installed-0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: installed\nVersion: {version}\n"
        )
        (info / "top_level.txt").write_text("installed\n")
        (info / "RECORD").write_text("installed.py,,\n")

    def replace(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text("utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), encoding="utf-8")

    def build(self) -> list[str]:
        """Builds; the chapters that were executed."""
        self.log.write_text("")
        assert build(self.root, "--html") == 0
        return sorted(self.log.read_text().split())

    def page(self, name: str) -> str:
        return (self.root / "_book" / f"{name}.html").read_text("utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The project after its first build; tests undo what they change."""
    project = Project(tmp_path_factory.mktemp("stale"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(project.library))
        patch.syspath_prepend(str(project.library))
        assert project.build() == ["plain", "tables"]
        assert "Rows: 2, far 7" in project.page("tables")
        yield project


def test_nothing_changed(built):
    stamp = (built.root / "_book" / ".build.json").stat().st_mtime_ns
    assert built.build() == []
    assert (built.root / "_book" / ".build.json").stat().st_mtime_ns == stamp


def test_prose_and_options_execute_nothing_but_show(built):
    built.replace("tables.qmd", "Rows: ", "Paragraph.\n\nThe rows: ")
    built.replace("tables.qmd", "#| label: count", "#| label: counted\n#| echo: false")
    built.replace("plain.qmd", "Two: ", "Both: ")
    assert built.build() == []
    assert "The rows: 2, far 7" in built.page("tables")
    assert "import near" not in built.page("tables")
    assert "Both: 2" in built.page("plain")
    built.replace("tables.qmd", "Paragraph.\n\nThe rows: ", "Rows: ")
    built.replace("tables.qmd", "#| label: counted\n#| echo: false", "#| label: count")
    built.replace("plain.qmd", "Both: ", "Two: ")
    assert built.build() == []


def test_prose_between_two_cells_executes_nothing(built):
    built.replace("plain.qmd", "total = 1 + 1\n", "```\n\nWords.\n\n```{python}\ntotal = 1 + 1\n")
    assert built.build() == ["plain"]  # another cell: another program
    built.replace("plain.qmd", "\nWords.\n", "")
    assert built.build() == []
    built.replace("plain.qmd", "```\n\n```{python}\ntotal", "total")
    assert built.build() == []


CHANGES = {
    "code": ("plain.qmd", "1 + 1", "1 + 2", ["plain"], "plain", "Two: 3"),
    "inline code": ("plain.qmd", "} total`", "} total * 5`", ["plain"], "plain", "Two: 10"),
    "a table": ("data/rows.csv", "b\n", "b\nc\n", ["tables"], "tables", "Rows: 3"),
    "a module": ("near.py", "import far", "import far\nfar.X = 8", ["tables"], "tables", "far 8"),
    "a module's module": ("far.py", "7", "9", ["tables"], "tables", "far 9"),
    "a table that nobody reads": ("data/unrelated.csv", "a", "b", [], "tables", "Rows: 2"),
    "the other chapter's prose": ("index.qmd", "# Start", "# Begin", [], "index", "Begin"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "old", "new", "executed", "page", "text"), CHANGES.values(), ids=CHANGES
)
def test_a_change_executes_what_depends_on_it(built, file, old, new, executed, page, text):
    built.replace(file, old, new)
    assert built.build() == executed
    assert text in built.page(page)
    built.replace(file, new, old)
    assert built.build() == [], "a change that is undone finds the earlier run"


def test_a_file_that_was_missing_appears_and_goes(built):
    assert "no extra" in built.page("tables")
    (built.root / "data" / "extra.csv").write_text("found it")
    assert built.build() == ["tables"]
    assert "found it" in built.page("tables")
    (built.root / "data" / "extra.csv").unlink()
    assert built.build() == []
    assert "no extra" in built.page("tables")


def test_a_distribution_changes_its_version(built):
    built.install("2.0")
    assert built.build() == ["plain"]
    built.install("1.0")
    assert built.build() == []


def test_other_data_execute_only_who_asks_for_them(built, monkeypatch, tmp_path):
    (tmp_path / "rows.csv").write_text("a\n")
    monkeypatch.setenv("BOOK_DATA", str(tmp_path))
    assert built.build() == ["tables"]
    assert "Rows: 1" in built.page("tables")
    (tmp_path / "rows.csv").write_text("a\nb\nc\nd\n")
    assert built.build() == ["tables"]
    assert "Rows: 4" in built.page("tables")
    monkeypatch.delenv("BOOK_DATA")
    assert built.build() == []
    assert "Rows: 2" in built.page("tables")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("depends.json", None),
        ("depends.json", b'{"files": {'),
        ("depends.json", b'{"files": {}}'),
        ("run.ipynb", None),
        ("run.ipynb", b"\xff"),
        ("run.ipynb", b"{}"),
        ("run.ipynb", b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}'),
    ],
)
def test_a_broken_entry_is_not_believed(built, name, content):
    for entry in (built.root / ".book/cache/plain").rglob(name):
        entry.unlink() if content is None else entry.write_bytes(content)
    assert built.build() == ["plain"]
    assert "Two: 2" in built.page("plain")


def test_two_builds_at_once_end_well(built):
    """Both find everything out of date, execute, and swap their result in."""
    built.replace("far.py", "7", "11")
    built.replace("plain.qmd", "1 + 1", "1 + 3")
    command = [
        sys.executable,
        "-m",
        "render",
        "--root",
        str(built.root),
        "book",
        "--engine",
        "embedded",
    ]
    both = [subprocess.Popen([*command, "--html"], stderr=subprocess.PIPE, text=True) for _ in "ab"]
    said = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert "far 11" in built.page("tables")
    assert "Two: 4" in built.page("plain")
    assert not [path.name for path in built.root.iterdir() if path.name.startswith("._book")]
    assert built.build() == []
    built.replace("far.py", "11", "7")
    built.replace("plain.qmd", "1 + 3", "1 + 1")
    assert built.build() == []


def test_only_the_last_runs_are_kept(built, monkeypatch):
    monkeypatch.setattr(execute, "KEEP_RUNS", 2)
    for _ in range(2):
        built.replace("plain.qmd", "total = ", "total = 9 + ")
        assert built.build() == ["plain"]
    kept = list((built.root / ".book/cache/plain").glob("*/*/depends.json"))
    assert len(kept) == 2
    built.replace("plain.qmd", "9 + 9 + ", "")
    assert built.build() == ["plain"], "the oldest run is gone"


def test_a_database_is_asked_every_time(tmp_path, monkeypatch):
    """What is behind an address may change unseen."""
    monkeypatch.setenv("BOOK_DATA", "somewhere://user:secret@host/database")
    code = "import os, sys\nsys.audit('analysis.read', os.environ['BOOK_DATA'])\n"
    minimal(tmp_path, **{"index.qmd": f"# A\n\n```{{python}}\n{code}```\n"})
    for _ in range(2):
        _, (run,) = execute.execute_book(tmp_path)
        assert not run.cached
    assert not [path for path in (tmp_path / ".book").rglob("*") if path.is_file()]


def test_no_secret_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_DATA", "pa55word")
    code = "import os\nos.environ['BOOK_DATA'] and None\n"
    minimal(tmp_path, **{"index.qmd": f"# A\n\n```{{python}}\n{code}```\n"})
    execute.execute_book(tmp_path)
    (manifest,) = (tmp_path / ".book").rglob("depends.json")
    assert list(json.loads(manifest.read_text())["settings"]) == ["BOOK_DATA"]
    assert not any("pa55word" in path.read_text() for path in (tmp_path / ".book").rglob("*.*"))
