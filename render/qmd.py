"""Reads a Quarto Markdown file into text and code cells, keeping line numbers.

Only what this book uses is accepted; everything else that Quarto would treat specially stops
the build with its place, so that no page can differ silently from Quarto's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from render.book import yaml_problem
from render.errors import BookError

INLINE = re.compile(r"(?<!`)`\{python\}[ \t]([^`]+)`")
OTHER_INLINE = re.compile(r"(?<!`)`\{(?!python\})([A-Za-z]+)\}[ \t]+[^`]+`")
FENCE = re.compile(r"^(?P<indent>[ ]*)(?P<ticks>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)$")
CELL = re.compile(r"\{+[A-Za-z]")  # after a fence: what Quarto takes for a cell of some engine
SHORTCODE = re.compile(r"\{\{<.*?>\}\}")
DIV = re.compile(r"^ {0,3}:{3,}[ ]*(?P<attributes>.*?)[ :]*$")
NOTE = re.compile(r"\[\^([^\]\s]+)\](:?)")

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
# `techniques`, which section does what, is for the tests; no renderer shows it.
FRONT_MATTER = {"description", "techniques"}


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
        """The source without the `#|` lines that it begins with and the blank lines around."""
        return re.sub(r"\A(#\|.*\n?)*", "", self.source).strip("\n")


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

    def name(self, cell: Cell) -> str:
        """The cell's label, or its ordinal in the chapter."""
        return cell.options.get("label") or f"cell-{self.cells.index(cell) + 1}"


def read(root: Path, path: Path) -> Chapter:
    """Reads `root / path`.

    Raises:
        BookError: the file is missing, is not UTF-8 or uses what the renderer does not support.
    """
    try:
        lines = (root / path).read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise BookError(f"cannot be read: {error.strerror}", path) from None
    except UnicodeDecodeError as error:
        raise BookError(f"not UTF-8 (byte {error.start}); save it as UTF-8", path) from None
    meta, start = _front_matter(path, lines)
    chapter = Chapter(path, meta, tuple(_blocks(path, lines, start)))
    _check_whole(chapter)
    return chapter


def _front_matter(path: Path, lines: list[str]) -> tuple[dict, int]:
    """The YAML between the first two `---`, and the index of the first line after it."""
    if lines[0].rstrip() != "---":
        return {}, 0
    end = next((i for i, line in enumerate(lines) if i and line.rstrip() in ("---", "...")), None)
    if end is None:
        raise BookError("the front matter opened with --- is never closed", path, 1)
    meta = _yaml(path, lines[1:end], 2)
    for key in meta:
        if key not in FRONT_MATTER:
            raise BookError(
                f"front matter '{key}' is not supported; known: {', '.join(sorted(FRONT_MATTER))}",
                path,
                _line_of(key, lines[1:end], 2),
            )
    return meta, end + 1


def _yaml(path: Path, lines: list[str], first: int) -> dict:
    try:
        value = yaml.safe_load("\n".join(lines)) or {}
    except yaml.YAMLError as error:
        raise BookError(*yaml_problem(error, path, first)) from None
    if not isinstance(value, dict):
        raise BookError("expected 'name: value' lines", path, first)
    return value


def _line_of(key: str, lines: list[str], first: int) -> int:
    """Line of the file at which a YAML key stands."""
    return first + next((i for i, line in enumerate(lines) if line.startswith(f"{key}:")), 0)


def _blocks(path: Path, lines: list[str], index: int):
    start = index  # of the text before the next cell
    while index < len(lines):
        fence = FENCE.match(lines[index])
        if not fence:
            _check_line(path, lines[index], index + 1)
            index += 1
            continue
        close = _closing(path, lines, index, fence["ticks"])
        info = fence["info"].strip()
        if info == "{python}" and not fence["indent"]:
            yield from _text(lines[start:index], start + 1)
            yield _cell(path, lines[index + 1 : close], index + 1)
            start = close + 1
        elif CELL.match(info):
            raise BookError(
                f"code cell '{info}' is not supported; this book runs unindented {{python}} only",
                path,
                index + 1,
            )
        else:
            for number, line in enumerate(lines[index:close], index + 1):
                _check_line(path, line, number)
        index = close + 1
    yield from _text(lines[start:], start + 1)


def _text(lines: list[str], first: int):
    if any(line.strip() for line in lines):
        yield Text("\n".join(lines).rstrip("\n") + "\n", first)


def _closing(path: Path, lines: list[str], index: int, ticks: str) -> int:
    for close in range(index + 1, len(lines)):
        stripped = lines[close].strip()
        if set(stripped) == {ticks[0]} and len(stripped) >= len(ticks):
            return close
    raise BookError("this code fence is never closed", path, index + 1)


def _check_line(path: Path, line: str, number: int) -> None:
    if match := SHORTCODE.search(line):
        raise BookError(f"shortcode {match[0]} is not supported", path, number)
    if match := OTHER_INLINE.search(line):
        raise BookError(f"inline code in '{match[1]}' is not supported", path, number)


def _cell(path: Path, body: list[str], line: int) -> Cell:
    count = next((i for i, text in enumerate(body) if not text.startswith("#|")), len(body))
    head = [text[2:].removeprefix(" ") for text in body[:count]]
    for number, text in enumerate(head, line + 1):
        _check_line(path, text, number)
    options = _yaml(path, head, line + 1)
    cell = Cell("\n".join(body), line, options)
    for key, value in options.items():
        if problem := _option_problem(key, value):
            raise BookError(problem, path, _line_of(key, head, line + 1), options.get("label"))
    for prefix, key in (("fig-", "fig-cap"), ("tbl-", "tbl-cap")):
        if str(options.get("label", "")).startswith(prefix) != (key in options):
            raise BookError(f"label '{prefix}...' and '{key}' belong together", path, line)
    return cell


def _option_problem(key: str, value: object) -> str | None:
    if key not in CELL_OPTIONS:
        return f"cell option '{key}' is not supported; known: {', '.join(CELL_OPTIONS)}"
    if not isinstance(value, CELL_OPTIONS[key]):
        return f"cell option '{key}: {value}' has a wrong type"
    if key == "echo" and value:
        return "'echo: true' would override the PDF's echo; leave it out"
    if key == "output" and value not in (True, False, "asis"):
        return "cell option 'output' is true, false or asis"
    if key == "code-fold" and value not in (True, False, "show"):
        return "cell option 'code-fold' is true, false or show"
    if key == "label" and not re.fullmatch(r"[A-Za-z][\w-]*", value, re.ASCII):
        return f"label '{value}' may hold letters, digits, - and _ only"
    return None


def _check_whole(chapter: Chapter) -> None:
    """What can be said only of all blocks together."""
    seen: dict[str, int] = {}
    for cell in chapter.cells:
        label = cell.options.get("label")
        if label in seen:
            problem = f"label '{label}' is also on the cell at line {seen[label]}"
            raise BookError(problem, chapter.path, cell.line)
        if label:
            seen[label] = cell.line
    open_divs: list[int] = []
    notes: dict[str, int] = {}  # footnotes that are called, and where
    defined = set()
    for block in chapter.blocks:
        if not isinstance(block, Text):
            continue
        if not chapter.cells and (expressions := block.expressions()):
            # Quarto picks its Jupyter engine by the first cell.
            raise BookError(
                f"inline code '{expressions[0][0]}' in a file without any code cell would be "
                "printed, not run, by Quarto; add a cell",
                chapter.path,
                expressions[0][1],
            )
        for number, line in _prose(block):
            if div := DIV.match(line):
                if div["attributes"]:
                    open_divs.append(number)
                elif not open_divs:
                    raise BookError("this ::: closes no div", chapter.path, number)
                else:
                    open_divs.pop()
            for note in NOTE.finditer(re.sub(r"`[^`]*`", "", line)):
                if note[2] and not line[: note.start()].strip():
                    defined.add(note[1])
                else:
                    notes.setdefault(note[1], number)
    if open_divs:
        raise BookError("this div is never closed with :::", chapter.path, open_divs[-1])
    for note in notes.keys() - defined:
        raise BookError(f"no footnote '[^{note}]:'", chapter.path, notes[note])


def _prose(block: Text):
    """The lines of a text outside its code fences, each with its number."""
    fence = ""
    for number, line in enumerate(block.source.split("\n"), block.line):
        mark = FENCE.match(line)
        if fence:
            if set(line.strip()) == {fence[0]} and len(line.strip()) >= len(fence):
                fence = ""
        elif mark:
            fence = mark["ticks"]
        else:
            yield number, line
