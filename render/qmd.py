"""Reads a Quarto Markdown file into text and code cells, keeping line numbers.

Only what this book uses is accepted; everything else that Quarto would treat specially stops
the build with its place, so that no page can differ silently from Quarto's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from render.errors import BookError

INLINE = re.compile(r"(?<!`)`\{python\}[ \t]([^`]+)`")
ANY_INLINE = re.compile(r"`\{([a-z]+)\}[ \t]+[^`]+`")
FENCE = re.compile(r"^(?P<indent>[ ]*)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$")
SHORTCODE = re.compile(r"\{\{<.*?>\}\}")

CELL_OPTIONS = {
    "label": str,
    "echo": bool,
    "eval": bool,
    "include": bool,
    "output": (bool, str),
    "warning": bool,
    "code-fold": (bool, str),
    "code-summary": str,
    "fig-cap": str,
    "fig-alt": str,
    "tbl-cap": str,
}
FRONT_MATTER = {"title", "subtitle", "description", "execute"}


@dataclass(frozen=True)
class Text:
    """Markdown between code cells; `line` is where it starts, counted from 1."""

    source: str
    line: int

    def expressions(self) -> list[tuple[str, int]]:
        """Inline `{python}` expressions in order, each with its line."""
        return [
            (match[1].strip(), self.line + self.source.count("\n", 0, match.start()))
            for match in INLINE.finditer(self.source)
        ]


@dataclass(frozen=True)
class Cell:
    """A `{python}` cell; `line` is that of its opening fence."""

    source: str
    line: int
    options: dict = field(default_factory=dict)

    @property
    def code(self) -> str:
        """The source without its `#|` lines and the blank lines around."""
        lines = [line for line in self.source.splitlines() if not line.startswith("#|")]
        return "\n".join(lines).strip("\n")


@dataclass(frozen=True)
class Chapter:
    """One .qmd file.

    Attributes:
        path: File, relative to the project.
        meta: Its YAML front matter.
        blocks: Text and cells in order.
    """

    path: Path
    meta: dict
    blocks: tuple[Text | Cell, ...]

    @property
    def cells(self) -> list[Cell]:
        return [block for block in self.blocks if isinstance(block, Cell)]

    def label(self, cell: Cell) -> str:
        """The cell's label, or its ordinal in the chapter."""
        return cell.options.get("label") or f"cell {self.cells.index(cell) + 1}"


def read(root: Path, path: Path) -> Chapter:
    """Reads `root / path`.

    Raises:
        BookError: the file is missing, is not UTF-8 or uses what the renderer does not support.
    """
    try:
        text = (root / path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BookError("no such file; _quarto.yml lists it as a chapter", path) from None
    except UnicodeDecodeError as error:
        raise BookError(f"not UTF-8 (byte {error.start}); save it as UTF-8", path) from None
    lines = text.splitlines()
    meta, start = _front_matter(path, lines)
    blocks = tuple(_blocks(path, lines, start))
    chapter = Chapter(path, meta, blocks)
    _check_engine(chapter)
    return chapter


def _front_matter(path: Path, lines: list[str]) -> tuple[dict, int]:
    """The YAML between the first two `---`, and the index of the first line after it."""
    if not lines or lines[0].rstrip() != "---":
        return {}, 0
    try:
        end = next(i for i, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "..."))
    except StopIteration:
        raise BookError("the front matter opened with --- is never closed", path, 1) from None
    meta = _yaml(path, "\n".join(lines[1:end]), 2)
    for key in meta:
        if key not in FRONT_MATTER:
            line = next(i for i, text in enumerate(lines, 1) if text.startswith(f"{key}:"))
            raise BookError(
                f"front matter '{key}' is not supported; known: {', '.join(sorted(FRONT_MATTER))}",
                path,
                line,
            )
    return meta, end + 1


def _yaml(path: Path, text: str, line: int) -> dict:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = line + mark.line if mark else line
        raise BookError(f"unreadable YAML: {error.problem}", path, place) from None
    if not isinstance(value, dict):
        raise BookError("expected 'name: value' lines", path, line)
    return value


def _blocks(path: Path, lines: list[str], index: int):
    text_start, text = index, []
    while index < len(lines):
        fence = FENCE.match(lines[index])
        if not fence:
            _check_text(path, lines[index], index + 1)
            text.append(lines[index])
            index += 1
            continue
        close = _closing(path, lines, index, fence["ticks"])
        info = fence["info"].strip()
        if info == "{python}" and not fence["indent"]:
            if text:
                yield Text("\n".join(text) + "\n", text_start + 1)
            yield _cell(path, lines[index + 1 : close], index + 1)
            text_start, text = close + 1, []
        elif re.match(r"\{[a-z]", info) or info.startswith("{{"):
            raise BookError(
                f"code cell '{info}' is not supported; this book runs unindented {{python}} only",
                path,
                index + 1,
            )
        else:
            text.extend(lines[index : close + 1])
        index = close + 1
    if text:
        yield Text("\n".join(text) + "\n", text_start + 1)


def _closing(path: Path, lines: list[str], index: int, ticks: str) -> int:
    for close in range(index + 1, len(lines)):
        stripped = lines[close].strip()
        if set(stripped) == {ticks[0]} and len(stripped) >= len(ticks):
            return close
    raise BookError("this code fence is never closed", path, index + 1)


def _check_text(path: Path, line: str, number: int) -> None:
    if match := SHORTCODE.search(line):
        raise BookError(f"shortcode {match[0]} is not supported", path, number)
    for match in ANY_INLINE.finditer(line):
        if match[1] != "python":
            raise BookError(f"inline code in '{match[1]}' is not supported", path, number)


def _cell(path: Path, body: list[str], line: int) -> Cell:
    count = next((i for i, text in enumerate(body) if not text.startswith("#|")), len(body))
    options = _yaml(path, "\n".join(text[2:].removeprefix(" ") for text in body[:count]), line + 1)
    for key, value in options.items():
        place = line + 1 + next(
            (i for i, text in enumerate(body[:count]) if text[2:].strip().startswith(f"{key}:")), 0
        )
        if key not in CELL_OPTIONS:
            raise BookError(
                f"cell option '{key}' is not supported; known: {', '.join(CELL_OPTIONS)}",
                path,
                place,
                options.get("label"),
            )
        if not isinstance(value, CELL_OPTIONS[key]):
            raise BookError(f"cell option '{key}: {value}' has a wrong type", path, place)
        if key == "echo" and value:
            raise BookError("'echo: true' would override the PDF's echo; leave it out", path, place)
        if key == "output" and value not in (True, False, "asis"):
            raise BookError("cell option 'output' is true, false or asis", path, place)
        if key == "label" and not re.fullmatch(r"[A-Za-z][\w-]*", value):
            raise BookError(f"label '{value}' may hold letters, digits, - and _ only", path, place)
    return Cell("\n".join(body), line, options)


def _check_engine(chapter: Chapter) -> None:
    """Quarto picks its Jupyter engine by the first cell, and a label may occur only once."""
    if not chapter.cells:
        for text in chapter.blocks:
            for expression, line in text.expressions():
                raise BookError(
                    f"inline code '{expression}' in a file without any code cell would be printed, "
                    "not run, by Quarto; add a cell",
                    chapter.path,
                    line,
                )
    seen: dict[str, int] = {}
    for cell in chapter.cells:
        label = cell.options.get("label")
        if label in seen:
            raise BookError(
                f"label '{label}' is also on the cell at line {seen[label]}", chapter.path, cell.line
            )
        if label:
            seen[label] = cell.line
