"""Runs the chapters' cells in Jupyter kernels, side by side, and remembers the result.

A run is kept under `.book/cache/` and used again as long as everything that it depended on is
unchanged: the chapter's code, the project files that it imported or read, the tables that it
looked for, and the versions of the distributions that it loaded. The dependencies are not
declared but observed: a hook inside the kernel records them while the chapter runs. Changing
prose re-runs nothing, since text is not part of the run.
"""

from __future__ import annotations

import ast
import asyncio
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from render.errors import BookError
from render.qmd import Cell, Chapter

CACHE = Path(".book/cache")
KEEP_RUNS = 6  # a chapter: enough to switch between a few data folders without re-running
CELL_TIMEOUT = int(os.environ.get("BOOK_CELL_TIMEOUT", "600"))  # seconds

# Runs in the kernel before the first cell. SVG figures serve website and PDF alike. `open` sees
# what Python reads; tables that DuckDB reads are announced as `analysis.read`, even when missing.
PROLOGUE = """
import sys as _sys
_book_read = set()
def _book_hook(event, args):
    if event == "analysis.read":
        _book_read.add(str(args[0]))
    elif event == "open" and isinstance(args[0], str) and not (args[2] or 0) & 0o3:
        _book_read.add(args[0])
_sys.addaudithook(_book_hook)
from matplotlib_inline.backend_inline import set_matplotlib_formats as _formats
_formats("svg")
"""
EPILOGUE = """
import importlib.metadata as _metadata, json as _json, os as _os, sys as _sys
_files = {m.__file__ for m in list(_sys.modules.values()) if getattr(m, "__file__", None)}
_owners = _metadata.packages_distributions()
_tops = {name.partition(".")[0] for name in list(_sys.modules)}
_book_observed = _json.dumps({
    "files": sorted(_files | _book_read),
    "distributions": sorted({d for top in _tops for d in _owners.get(top, [])}),
})
"""

Progress = Callable[[Chapter, int, int, str], None]


@dataclass(frozen=True)
class Run:
    """An executed chapter.

    Attributes:
        chapter: What was executed.
        notebook: One notebook cell a block of the chapter; a text cell's metadata hold its
            inline results under `user_expressions`.
        seconds: Time that the execution took; 0 when it came from the cache.
    """

    chapter: Chapter
    notebook: nbformat.NotebookNode
    seconds: float

    @property
    def cached(self) -> bool:
        return self.seconds == 0


def execute(
    root: Path, chapters: Sequence[Chapter], progress: Progress = lambda *_: None
) -> list[Run]:
    """Executes the chapters, at most one a core at a time; reuses runs that are still true.

    Args:
        root: Project folder; the kernels' working directory.
        chapters: What to run.
        progress: Called with chapter, cells done, cells in all and the label of the next cell.

    Raises:
        BookError: a cell or an inline expression failed, hung, or gave nothing.
    """
    return asyncio.run(_execute_all(root, chapters, progress))


async def _execute_all(root, chapters, progress) -> list[Run]:
    slots = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(chapter: Chapter) -> Run:
        if notebook := _remembered(root, chapter):
            return Run(chapter, notebook, 0)
        async with slots:
            return await _run(root, chapter, progress)

    tasks = [asyncio.ensure_future(one(chapter)) for chapter in chapters]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _run(root: Path, chapter: Chapter, progress: Progress) -> Run:
    started = time.perf_counter()
    notebook = to_notebook(chapter)
    client = _Client(notebook, chapter, root, progress)
    try:
        async with client.async_setup_kernel():
            await client.evaluate(PROLOGUE)
            for index, cell in enumerate(notebook.cells):
                await client.run_block(index, cell)
            (observed,) = await client.evaluate(EPILOGUE, ["_book_observed"])
    except DeadKernelError:
        raise BookError(
            "the kernel died in this cell (out of memory?)",
            chapter.path,
            client.block.line,
            client.block_name,
        ) from None
    _remember(root, chapter, notebook, json.loads(ast.literal_eval(observed["data"]["text/plain"])))
    return Run(chapter, notebook, time.perf_counter() - started)


def to_notebook(chapter: Chapter) -> nbformat.NotebookNode:
    """The chapter as a notebook that has not been run."""
    cells = [
        new_code_cell(block.source, id=f"b{i}")
        if isinstance(block, Cell)
        else new_markdown_cell(block.source, id=f"b{i}")
        for i, block in enumerate(chapter.blocks)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


class _Client(NotebookClient):
    """Adds to nbclient what Quarto adds: inline expressions, and errors that name their place."""

    def __init__(self, notebook, chapter: Chapter, root: Path, progress: Progress):
        super().__init__(
            notebook,
            timeout=CELL_TIMEOUT,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(root)}},
        )
        self.chapter, self.progress = chapter, progress
        self.total = len(chapter.cells)
        self.block = chapter.blocks[0] if chapter.blocks else None

    @property
    def block_name(self) -> str | None:
        return self.chapter.name(self.block) if isinstance(self.block, Cell) else None

    async def evaluate(self, code: str, expressions: Sequence[str] = ()) -> list[dict]:
        """Runs code that leaves no trace in the notebook, then evaluates expressions."""
        wanted = {str(i): expression for i, expression in enumerate(expressions)}
        message = self.kc.execute(code, user_expressions=wanted, store_history=False)
        reply = (await self.async_wait_for_reply(message))["content"]
        if reply["status"] != "ok":
            raise RuntimeError(f"{reply['ename']}: {reply['evalue']}")
        return [reply["user_expressions"][key] for key in wanted]

    async def run_block(self, index: int, cell) -> None:
        self.block = self.chapter.blocks[index]
        if not isinstance(self.block, Cell):
            await self._inline(cell)
        elif self.block.options.get("eval", True):
            done = self.chapter.cells.index(self.block)
            self.progress(self.chapter, done, self.total, self.block_name)
            await self._code(index, cell)

    async def _code(self, index: int, cell) -> None:
        place = (self.chapter.path, self.block.line, self.block_name)
        try:
            await self.async_execute_cell(cell, index)
        except CellTimeoutError:
            raise BookError(
                f"still running after {CELL_TIMEOUT} s (BOOK_CELL_TIMEOUT sets the limit)", *place
            ) from None
        except CellExecutionError as error:
            line = _failing_line(error.traceback, self.block)
            raise BookError(
                f"{error.ename}: {error.evalue}", place[0], line or place[1], place[2]
            ) from None

    async def _inline(self, cell) -> None:
        expressions = self.block.expressions()
        if not expressions:
            return
        answers = await self.evaluate("", [code for code, _ in expressions])
        results = []
        for (code, line), answer in zip(expressions, answers, strict=True):
            if answer["status"] != "ok":
                problem = f"{answer['ename']}: {answer['evalue']}"
            elif answer["data"].get("text/plain") in ("", "''", "None"):
                problem = "it gave nothing to print"
            else:
                results.append({"expression": code, "result": answer})
                continue
            raise BookError(f"inline code '{code}': {problem}", self.chapter.path, line)
        cell.metadata["user_expressions"] = results


def _failing_line(traceback: str, cell: Cell) -> int | None:
    """Line of the .qmd at which the cell failed, from the last arrow in its own frame."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", traceback)
    frame = re.search(r"Cell In\[\d+\](?:, line (\d+))?.*?(?:\n\s*-+> (\d+))?", plain)
    if not frame:
        return None
    inside = frame[1] or frame[2]
    return cell.line + int(inside) if inside else None


# --- remembering -----------------------------------------------------------------------------


def _place(root: Path, chapter: Chapter) -> Path:
    """Where a run of exactly this code on this data setting is kept."""
    code = [
        ["cell", block.options.get("eval", True), block.code]
        if isinstance(block, Cell)
        else ["inline", [expression for expression, _ in block.expressions()]]
        for block in chapter.blocks
    ]
    setting = [code, PROLOGUE, platform.python_version(), os.environ.get("BOOK_DATA", "")]
    key = hashlib.sha256(json.dumps(setting).encode()).hexdigest()[:16]
    return root / CACHE / chapter.path.with_suffix("") / key


def _remembered(root: Path, chapter: Chapter) -> nbformat.NotebookNode | None:
    """The notebook of an earlier run with the chapter's present text, if it still holds."""
    place = _place(root, chapter)
    try:
        manifest = json.loads((place / "depends.json").read_text())
        notebook = nbformat.read(place / "run.ipynb", as_version=4)
    except (OSError, ValueError):
        return None
    if fingerprint(root, manifest["files"], manifest["distributions"]) != manifest:
        return None
    os.utime(place)
    for block, cell in zip(chapter.blocks, notebook.cells, strict=True):
        cell.source = block.source  # prose and cell options may have changed since
    return notebook


def _remember(root: Path, chapter: Chapter, notebook, observed: dict) -> None:
    manifest = fingerprint(root, _project_files(root, observed["files"]), observed["distributions"])
    if any("://" in name for name in manifest["files"]):
        return  # a database may change unseen: such a run holds only once
    place = _place(root, chapter)
    aside = place.with_name(f"{place.name}.{os.getpid()}")
    aside.mkdir(parents=True)
    nbformat.write(notebook, aside / "run.ipynb")
    (aside / "depends.json").write_text(json.dumps(manifest, indent=1))
    shutil.rmtree(place, ignore_errors=True)
    aside.rename(place)
    runs = sorted(place.parent.iterdir(), key=lambda run: run.stat().st_mtime, reverse=True)
    for old in runs[KEEP_RUNS:]:
        shutil.rmtree(old, ignore_errors=True)


def _project_files(root: Path, names: list[str]) -> list[str]:
    """Keeps the project's own sources and every table; installed packages go by version."""
    outside = (root / ".venv", root / ".book", root / ".git")
    data = os.environ.get("BOOK_DATA", "")
    kept = set()
    for name in names:
        if "://" in name:
            kept.add(name)
            continue
        path = Path(os.path.abspath(root / name))
        mine = path.is_relative_to(root) and not any(path.is_relative_to(o) for o in outside)
        if mine or (data and path.is_relative_to(os.path.abspath(root / data))):
            kept.add(os.path.relpath(path, root))
    return sorted(name for name in kept if "__pycache__" not in name and not Path(name).is_dir())


def fingerprint(root: Path, files, distributions) -> dict:
    """What the files and distributions are now; equal fingerprints mean nothing has changed."""
    return {
        "files": {name: _digest(root / name) for name in files},
        "distributions": {name: _version(name) for name in distributions},
    }


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return "absent"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
