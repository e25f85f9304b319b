"""Runs the chapters' cells in Jupyter kernels, side by side, and remembers the result.

A run is kept under `.book/cache/` and used again as long as everything that it depended on is
unchanged, or is again what it was: the chapter's code, the project files that it imported or read,
the tables that it looked for, the versions of the distributions that it loaded, and the `BOOK_...`
environment variables that it asked for. The dependencies are not declared but observed: a hook
inside the kernel records them while the chapter runs (it does not see what compiled code or another
process opens, so `analysis.sources` announces its tables). Changing prose re-runs nothing, since
text is not part of the run.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from render import book as books
from render import leftovers, qmd
from render.errors import BookError
from render.progress import Progress
from render.qmd import Cell, Chapter, Text

CACHE = Path(".book/cache")
STUDIES = "KEPT_STUDIES"  # where the pages of one build keep their studies for each other
KEEP_RUNS = 6  # a chapter: enough to switch between a few data folders without re-running

# Runs in the kernel before the first cell: `open` sees what Python reads; tables that DuckDB reads
# are announced as `analysis.read`, even when missing. Only here are tables and figures asked for
# their numbers as CSV: a notebook would hold them twice.
# Objects of queries and drawings are many and live long: looking for garbage among them at every
# 700 new ones, as Python does, takes a tenth of the time.
PROLOGUE = """
import gc as _gc, os as _os, sys as _sys
_gc.set_threshold(50_000, 20, 50)
_book_read, _book_asked = set(), set()
class _BookEnviron(type(_os.environ)):
    def __getitem__(self, name):
        _book_asked.add(str(name))  # os.get_exec_path asks for bytes
        return super().__getitem__(name)
_os.environ.__class__ = _BookEnviron
from IPython.core.formatters import BaseFormatter as _BookFormatter
class _BookNumbers(_BookFormatter):
    format_type, print_method = "text/csv", "_repr_csv_"
get_ipython().display_formatter.register_formatter(_BookNumbers())
def _book_hook(event, args):
    if event == "analysis.read":
        _book_read.add(str(args[0]))
    elif event == "open" and not isinstance(args[0], int) and not (args[2] or 0) & 0o3:
        _book_read.add(_os.path.abspath(_os.fsdecode(args[0])))
_sys.addaudithook(_book_hook)
"""
# Runs after the last cell. Modules of the environment go by their distribution's version.
EPILOGUE = """
import json as _json, sysconfig as _sysconfig
_installed = tuple(
    _os.path.join(_sysconfig.get_path(name), "")
    for name in ("stdlib", "platstdlib", "purelib", "platlib")
)
_modules = [getattr(module, "__file__", None) for module in list(_sys.modules.values())]
_book_observed = _json.dumps({
    "modules": [
        name for name in _modules
        if name and _os.path.isabs(name) and not name.startswith(_installed)
    ],
    "read": sorted(_book_read),
    "settings": sorted(name for name in _book_asked if name.startswith("BOOK_")),
    "packages": sorted({name.partition(".")[0] for name in list(_sys.modules)}),
})
"""

Report = Callable[[Chapter, int, int, str], None]


@dataclass(frozen=True)
class Run:
    """An executed chapter.

    Attributes:
        chapter: What was executed.
        notebook: One notebook cell a block of the chapter; a text cell's metadata hold its
            inline results under `user_expressions`.
        cached: It was executed by an earlier build.
    """

    chapter: Chapter
    notebook: nbformat.NotebookNode
    cached: bool


def execute_book(root: Path) -> tuple[books.Book, list[Run]]:
    """Reads the book at `root` and executes its chapters, telling the progress."""
    book = books.read(root)
    chapters = [qmd.read(book.root, page.source) for page in book.pages]
    with leftovers.tidied(book.output_dir), Progress() as progress:
        return book, execute(book.root, chapters, progress)


def execute(root: Path, chapters: Sequence[Chapter], report: Report = lambda *_: None) -> list[Run]:
    """Executes the chapters, at most one a core at a time; reuses runs that are still true.

    Args:
        root: Project folder; the kernels' working directory.
        chapters: What to run.
        report: Called with chapter, cells done, cells in all and the name of the next cell.

    Raises:
        BookError: a cell or an inline expression failed, hung, or gave nothing.
    """
    with tempfile.TemporaryDirectory(prefix=leftovers.prefix(root)) as studies:
        return asyncio.run(_execute_all(_Build(root, report, time.time(), studies), chapters))


@dataclass(frozen=True)
class _Build:
    """What the chapters of a build share.

    Attributes:
        root: Project folder.
        report: See `execute`.
        started: When the build began, in seconds since 1970.
        studies: A folder for what the kernels keep for each other, and for their temporary files;
            it goes with the build.
    """

    root: Path
    report: Report
    started: float
    studies: str

    @functools.cached_property
    def distributions(self) -> Mapping[str, list[str]]:
        """The installed distributions, by the packages that they bring."""
        return importlib.metadata.packages_distributions()

    def environment(self) -> dict[str, str]:
        """Of the kernels; who calls for a build may name another folder for the studies."""
        # They run side by side: threads of linear algebra would wait for each other.
        defaults = {"OPENBLAS_NUM_THREADS": "1", STUDIES: self.studies}
        return defaults | os.environ | {"TMPDIR": self.studies}


async def _execute_all(build: _Build, chapters: Sequence[Chapter]) -> list[Run]:
    slots = asyncio.Semaphore(os.cpu_count() or 1)

    async def one(chapter: Chapter) -> Run:
        if notebook := _remembered(build.root, chapter):
            return Run(chapter, notebook, cached=True)
        async with slots:
            return await _run(build, chapter)

    # The first page, the book's front, comes last: it tells of the studies that the others keep.
    tasks = [asyncio.ensure_future(one(chapter)) for chapter in chapters[1:]]
    tasks[:0] = [asyncio.ensure_future(one(chapter)) for chapter in chapters[:1]]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _run(build: _Build, chapter: Chapter) -> Run:
    notebook = to_notebook(chapter)
    client = _Client(notebook, chapter, build.root, build.report)
    try:
        async with client.kernel(build.environment()):
            await client.evaluate(PROLOGUE)
            for index, cell in enumerate(notebook.cells):
                await client.run_block(index, cell)
            build.report(chapter, client.total, client.total, "")
            (observed,) = await client.evaluate(EPILOGUE, ["_book_observed"])
    except DeadKernelError:
        if asyncio.current_task().cancelling():  # nbclient says the same of an interrupt
            raise asyncio.CancelledError from None
        raise BookError("the kernel died here (out of memory?)", *client.place) from None
    except CellTimeoutError:
        limit = f"{client.timeout} s (BOOK_CELL_TIMEOUT sets the limit)"
        raise BookError(f"still running after {limit}", *client.place) from None
    observed = json.loads(ast.literal_eval(observed["data"]["text/plain"]))
    _remember(build, chapter, notebook, observed)
    return Run(chapter, notebook, cached=False)


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

    def __init__(self, notebook, chapter: Chapter, root: Path, report: Report):
        super().__init__(
            notebook,
            timeout=_timeout(),
            kernel_name="python3",
            record_timing=False,
            coalesce_streams=True,
            shutdown_kernel="immediate",  # nothing is left to do; tidying up would take a second
            # SVG figures serve website and PDF alike.
            extra_arguments=["--log-level=CRITICAL", "--InlineBackend.figure_formats=svg"],
            resources={"metadata": {"path": str(root)}},
        )
        self.chapter, self.report = chapter, report
        self.total = len(chapter.cells)
        self.place: tuple = (chapter.path,)  # file, line and cell of what runs now

    @contextlib.asynccontextmanager
    async def kernel(self, environment: dict[str, str]):
        """A kernel with this environment for as long as the context lasts.

        Unlike nbclient's own context it leaves signals alone: an interrupt cancels every chapter.
        """
        self.create_kernel_manager()
        try:
            await self.async_start_new_kernel(env=environment)
        except OSError as error:  # nbclient's cleaning up would fail on what is not there yet
            raise BookError(f"no Jupyter kernel could be started: {error}") from None
        try:
            await self.async_start_new_kernel_client()
            yield
        finally:
            await self._async_cleanup_kernel()

    async def evaluate(self, code: str, expressions: Sequence[str] = ()) -> list[dict]:
        """Runs code that leaves no trace in the notebook, then evaluates expressions."""
        wanted = {str(i): expression for i, expression in enumerate(expressions)}
        message = self.kc.execute(code, user_expressions=wanted, store_history=False)
        reply = (await self.async_wait_for_reply(message, new_code_cell(code)))["content"]
        if reply["status"] != "ok":
            raise BookError(f"{reply['ename']}: {reply['evalue']}", *self.place)
        return [reply["user_expressions"][key] for key in wanted]

    async def run_block(self, index: int, cell) -> None:
        block = self.chapter.blocks[index]
        if not _runs(block):
            return
        if isinstance(block, Cell):
            name = self.chapter.name(block)
            self.place = (self.chapter.path, block.line, name)
            self.report(self.chapter, self.chapter.cells.index(block), self.total, name)
            try:
                await self.async_execute_cell(cell, index)
            except CellExecutionError as error:
                line = block.line + _failing_line(error.traceback)
                problem = f"{error.ename}: {error.evalue}"
                raise BookError(problem, self.chapter.path, line, name) from None
        else:
            await self._inline(block.expressions(), cell)

    async def _inline(self, expressions: list[tuple[str, int]], cell) -> None:
        self.place = (self.chapter.path, expressions[0][1])
        answers = await self.evaluate("", [code for code, _ in expressions])
        for (code, line), answer in zip(expressions, answers, strict=True):
            if answer["status"] != "ok":
                problem = f"{answer['ename']}: {answer['evalue']}"
            elif _nothing(answer["data"]):
                problem = "it gave nothing to print"
            else:
                continue
            raise BookError(f"inline code '{code}': {problem}", self.chapter.path, line)
        cell.metadata["user_expressions"] = [
            {"expression": code, "result": answer}
            for (code, _), answer in zip(expressions, answers, strict=True)
        ]


def _timeout() -> int:
    """Seconds that a cell may take."""
    told = os.environ.get("BOOK_CELL_TIMEOUT", "600")
    if not told.isdecimal() or told == "0":
        raise BookError(f"BOOK_CELL_TIMEOUT is '{told}'; it must be a number of seconds above 0")
    return int(told)


def _runs(block: Text | Cell) -> bool:
    if isinstance(block, Cell):
        return block.options.get("eval", True)
    return bool(block.expressions())


def _ran(chapter: Chapter, notebook) -> list[nbformat.NotebookNode]:
    """The notebook's cells that hold results."""
    both = zip(chapter.blocks, notebook.cells, strict=True)
    return [cell for block, cell in both if _runs(block)]


def _nothing(data: dict) -> bool:
    if "text/markdown" in data:
        return not data["text/markdown"].strip()
    return data.get("text/plain", "").strip("'\" ") in ("", "None")


def _failing_line(traceback: str) -> int:
    """The line of the cell's source at which it failed, even if deep in a call; 0 if unknown."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", traceback)
    found = re.search(r"Cell In\[\d+\], line (\d+)", plain)
    return int(found[1]) if found else 0


# --- remembering -----------------------------------------------------------------------------


def _place(root: Path, chapter: Chapter) -> Path:
    """Where the runs of exactly this code are kept, one folder a state of its dependencies."""
    code = [
        block.code if isinstance(block, Cell) else [code for code, _ in block.expressions()]
        for block in filter(_runs, chapter.blocks)
    ]
    setting = [code, PROLOGUE, EPILOGUE, platform.python_version()]
    return root / CACHE / chapter.path.with_suffix("") / _hash(json.dumps(setting))


def _remembered(root: Path, chapter: Chapter) -> nbformat.NotebookNode | None:
    """The notebook of an earlier run with the chapter's present text, if one still holds."""
    notebook = to_notebook(chapter)
    ran = _ran(chapter, notebook)
    if not ran:
        return notebook
    for place in _place(root, chapter).glob("*"):
        try:
            manifest = json.loads((place / "depends.json").read_text(encoding="utf-8"))
            if fingerprint(root, manifest) != manifest:
                continue
            kept = nbformat.read(place / "run.ipynb", as_version=4).cells
            for cell, old in zip(ran, kept, strict=True):
                # Prose and cell options may have changed since.
                cell.update({key: old[key] for key in old if key not in ("id", "source")})
            os.utime(place / "depends.json")
        except (OSError, ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
            continue  # written only in part, or removed meanwhile
        return notebook
    return None


def _remember(build: _Build, chapter: Chapter, notebook, observed: dict) -> None:
    root = build.root
    files = _dependencies(root, observed)
    if any("://" in name or _changed(root / name) > build.started for name in files):
        return  # a database may change unseen, and what changed meanwhile was not what was read
    owners = build.distributions
    names = {name for package in observed["packages"] for name in owners.get(package, [])}
    manifest = fingerprint(root, observed | {"files": files, "distributions": sorted(names)})
    ran = _ran(chapter, notebook)
    place = _place(root, chapter) / _hash(json.dumps(manifest))
    write_file(place / "run.ipynb", nbformat.writes(new_notebook(cells=ran)).encode())
    write_file(place / "depends.json", json.dumps(manifest, indent=1).encode())
    runs = sorted(place.parent.parent.glob("*/*/depends.json"), key=_changed, reverse=True)
    for old in runs[KEEP_RUNS:]:
        shutil.rmtree(old.parent, ignore_errors=True)


def write_file(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all, even if another build writes it too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _changed(path: Path) -> float:
    """When the file last changed, 0 if there is none."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def _dependencies(root: Path, observed: dict) -> list[str]:
    """Modules that are not installed, and files read from the project or from BOOK_DATA."""
    outside = [root / name for name in (".venv", ".book", ".git")]
    data = os.environ.get("BOOK_DATA")
    kept = {Path(name) for name in observed["modules"]}
    for name in observed["read"]:
        path = Path(os.path.abspath(root / name))
        if (
            "://" not in name
            and path.suffix != ".pyc"
            and (
                (path.is_relative_to(root) and not any(path.is_relative_to(o) for o in outside))
                or (data and path.is_relative_to(os.path.abspath(root / data)))
            )
        ):
            kept.add(path)
    urls = [name for name in observed["read"] if "://" in name]
    return urls + sorted(os.path.relpath(path, root) for path in kept if not path.is_dir())


def fingerprint(root: Path, depends: dict) -> dict:
    """What a run's dependencies are now; equal fingerprints mean that nothing has changed."""
    return {
        "files": {name: _digest(root / name) for name in depends["files"]},
        "distributions": {name: _version(name) for name in depends["distributions"]},
        # Hashed, since BOOK_DATA may hold a password.
        "settings": {name: _hash(os.environ.get(name, "")) for name in depends["settings"]},
    }


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
