"""Writes each executed chapter as a notebook, and tells when one is out of date.

The notebooks serve two readers: a person, who gets the prose with its numbers filled in, and
nbval, which runs the code again and compares the outputs.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

import nbformat

from render.execute import Run, write_file
from render.markdown import IMAGES, inline_text
from render.qmd import Cell

FOLDER = Path("notebooks")
ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+")


def write(root: Path, runs: Sequence[Run]) -> list[str]:
    """Writes the notebooks that changed, images too; returns a line for each."""
    told = []
    for run in runs:
        path, content = path_of(run.chapter.path), nbformat.writes(to_notebook(run)).encode()
        if not (root / path).is_file() or (root / path).read_bytes() != content:
            write_file(root / path, content)
            told.append(f"wrote {path}")
    for path in _extra(root, runs):
        (root / path).unlink()
        told.append(f"removed {path}: no such chapter")
    return told


def check(root: Path, runs: Sequence[Run]) -> list[str]:
    """A line for each notebook that differs from its chapter; images are not compared."""
    told = [f"{path} belongs to no chapter" for path in _extra(root, runs)]
    for run in runs:
        path = path_of(run.chapter.path)
        try:
            kept = nbformat.read(root / path, as_version=4).cells
        except (OSError, ValueError, KeyError, AttributeError, nbformat.ValidationError):
            told.append(f"{path} is missing or unreadable")
            continue
        pairs = zip_longest(map(_compared, kept), map(_compared, to_notebook(run).cells))
        differing = next((i for i, (old, new) in enumerate(pairs, 1) if old != new), None)
        if differing:
            told.append(f"{path} is older than {run.chapter.path} (from its cell {differing} on)")
    return [f"{line}: run `make notebooks`" for line in told]


def _extra(root: Path, runs: Sequence[Run]) -> list[Path]:
    wanted = {path_of(run.chapter.path) for run in runs}
    found = [path.relative_to(root) for path in (root / FOLDER).glob("*.ipynb")]
    return sorted(set(found) - wanted)


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
        if not block.options.get("eval", True):
            cell.metadata["tags"] = ["nbval-skip"]
        for output in cell.outputs:
            output.get("data", {}).pop("text/csv", None)  # no other kernel gives it
            if "text" in output:
                output.text = ADDRESS.sub("at 0x0", output.text)
            for mime, value in output.get("data", {}).items():
                if isinstance(value, str) and mime not in IMAGES:
                    output.data[mime] = ADDRESS.sub("at 0x0", value)
    return notebook


def _compared(cell) -> tuple:
    """What of a cell must be the same."""
    outputs = [
        (
            output.output_type,
            output.get("text"),
            sorted(
                (mime, mime in IMAGES or value) for mime, value in output.get("data", {}).items()
            ),
        )
        for output in cell.get("outputs", [])
    ]
    return cell.cell_type, cell.source, outputs
