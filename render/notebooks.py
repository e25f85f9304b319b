"""Writes each executed chapter as a notebook, and tells when one is out of date.

The notebooks serve two readers: a person, who gets the prose with its numbers filled in, and
nbval, which runs the code again and compares the outputs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path

import nbformat

from render.execute import Run
from render.markdown import IMAGES, inline_text
from render.qmd import Cell

FOLDER = Path("notebooks")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def write(root: Path, runs: Sequence[Run]) -> list[str]:
    """Writes the notebooks that changed; returns a line for each."""
    (root / FOLDER).mkdir(exist_ok=True)
    wanted = {path_of(run.chapter.path): run for run in runs}
    told = []
    for path, run in wanted.items():
        text = nbformat.writes(to_notebook(run))
        if not (root / path).is_file() or (root / path).read_text("utf-8") != text:
            (root / path).write_text(text, encoding="utf-8")
            told.append(f"wrote {path}")
    for old in sorted((root / FOLDER).glob("*.ipynb")):
        if old.relative_to(root) not in wanted:
            old.unlink()
            told.append(f"removed {old.relative_to(root)}: no such chapter")
    return told


def check(root: Path, runs: Sequence[Run]) -> list[str]:
    """A line for each notebook that differs from its chapter; images are not compared."""
    told = []
    for run in runs:
        path = path_of(run.chapter.path)
        try:
            kept = nbformat.read(root / path, as_version=4)
        except (OSError, ValueError):
            told.append(f"{path} is missing or unreadable: run `make notebooks`")
            continue
        fresh = to_notebook(run)
        differing = next(
            (i for i, (a, b) in enumerate(zip(kept.cells, fresh.cells)) if _text(a) != _text(b)),
            None if len(kept.cells) == len(fresh.cells) else len(fresh.cells),
        )
        if differing is not None:
            told.append(
                f"{path} is older than {run.chapter.path} (from its cell {differing + 1} on): "
                "run `make notebooks`"
            )
    return told


def path_of(source: Path) -> Path:
    """Where a chapter's notebook is kept, relative to the project."""
    return FOLDER / f"{source.stem}.ipynb"


def to_notebook(run: Run) -> nbformat.NotebookNode:
    """The run as a notebook to read: inline results in place, nothing that changes by chance."""
    notebook = copy.deepcopy(run.notebook)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"]}
    for block, cell in zip(run.chapter.blocks, notebook.cells, strict=True):
        if not isinstance(block, Cell):
            cell.source = inline_text(block.source, cell.metadata.pop("user_expressions", []))
            continue
        for output in cell.outputs:
            for mime, value in output.get("data", {}).items():
                if isinstance(value, str) and mime not in IMAGES:
                    output.data[mime] = ADDRESS.sub("at 0x0", value)
    return notebook


def _text(cell) -> tuple:
    outputs = [
        [
            output.output_type,
            output.get("text"),
            sorted((mime, mime in IMAGES or value) for mime, value in output.get("data", {}).items()),
        ]
        for output in cell.get("outputs", [])
    ]
    return cell.cell_type, cell.source, outputs
