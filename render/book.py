"""Reads `_quarto.yml`: the one description of the book that every renderer shares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import yaml

from render.errors import BookError

CONFIG = Path("_quarto.yml")

# Every key that `_quarto.yml` may hold. True: the embedded renderer follows it; False: it only
# concerns Quarto's own look, which the embedded renderer replaces by its theme.
KNOWN = {
    "project.type": True,
    "project.output-dir": True,
    "project.execute-dir": True,
    "project.pre-render": False,
    "lang": True,
    "book.title": True,
    "book.subtitle": True,
    "book.author": True,
    "book.description": True,
    "book.search": True,
    "book.downloads": True,
    "book.output-file": True,
    "book.chapters": True,
    "book.appendices": True,
    "book.site-url": False,
    "book.repo-url": False,
    "book.favicon": False,
    "bibliography": True,
    "csl": True,
    "link-citations": True,
    "number-sections": True,
    "toc": True,
    "toc-depth": True,
    "execute.freeze": False,
    "execute.echo": True,
    "execute.warning": True,
    "format.html.theme": False,
    "format.html.css": False,
    "format.html.code-fold": True,
    "format.html.code-summary": True,
    "format.html.fig-format": False,
    "format.html.html-math-method": True,
    "format.html.toc-title": False,
    "format.typst.bibliographystyle": True,
    "format.typst.fig-format": False,
    "format.typst.papersize": True,
    "format.typst.echo": True,
}
FIXED = {
    "project.type": "book",
    "project.execute-dir": "project",
    "number-sections": True,
    "toc": True,
    "format.html.html-math-method": "mathml",
    "format.typst.bibliographystyle": "chicago-author-date",
}


@dataclass(frozen=True)
class Page:
    """One chapter of the book.

    Attributes:
        source: The .qmd, relative to the project.
        number: "1", "2", ... or "A", "B", ... for appendices; "" where unnumbered.
    """

    source: Path
    number: str

    @property
    def href(self) -> str:
        """Address of the page from the root of the site, as Quarto gives it."""
        return str(PurePosixPath(self.source).with_suffix(".html"))


@dataclass(frozen=True)
class Book:
    """What `_quarto.yml` says, with Quarto's defaults filled in."""

    root: Path
    title: str
    subtitle: str
    authors: tuple[str, ...]
    description: str
    lang: str
    pages: tuple[Page, ...]
    bibliography: tuple[Path, ...]
    output_dir: Path
    output_file: str
    pdf: bool
    toc_depth: int
    code_fold: bool
    code_summary: str
    echo: bool
    warning: bool
    pdf_echo: bool
    papersize: str


def read(root: Path) -> Book:
    """Reads `root/_quarto.yml`.

    Raises:
        BookError: missing, unreadable, or holding something this renderer would not follow.
    """
    root = Path(root).resolve()
    flat, lines = _flatten(_parse(root))
    for key, value in flat.items():
        if key not in KNOWN:
            raise BookError(f"'{key}' is not supported by the embedded renderer", CONFIG, lines[key])
        if key in FIXED and value != FIXED[key]:
            raise BookError(
                f"'{key}: {value}' is not supported; only '{FIXED[key]}'", CONFIG, lines[key]
            )
    for key in ("book.title", "book.chapters"):
        if key not in flat:
            raise BookError(f"'{key}' is missing", CONFIG)
    authors = flat.get("book.author", [])
    bibliography = flat.get("bibliography", [])
    return Book(
        root=root,
        title=flat["book.title"],
        subtitle=flat.get("book.subtitle", ""),
        authors=tuple([authors] if isinstance(authors, str) else authors),
        description=flat.get("book.description", ""),
        lang=flat.get("lang", "en"),
        pages=tuple(_pages(root, flat, lines)),
        bibliography=tuple(
            Path(p) for p in ([bibliography] if isinstance(bibliography, str) else bibliography)
        ),
        output_dir=root / flat.get("project.output-dir", "_book"),
        output_file=flat.get("book.output-file", flat["book.title"]),
        pdf="pdf" in flat.get("book.downloads", []),
        toc_depth=flat.get("toc-depth", 3),
        code_fold=flat.get("format.html.code-fold", False),
        code_summary=flat.get("format.html.code-summary", "Code"),
        echo=flat.get("execute.echo", True),
        warning=flat.get("execute.warning", True),
        pdf_echo=flat.get("format.typst.echo", flat.get("execute.echo", True)),
        papersize=flat.get("format.typst.papersize", "us-letter"),
    )


def _parse(root: Path) -> yaml.MappingNode:
    try:
        node = yaml.compose((root / CONFIG).read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        raise BookError(f"cannot be read: {error.strerror}", CONFIG) from None
    except UnicodeDecodeError:
        raise BookError("not UTF-8; save it as UTF-8", CONFIG) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise BookError(f"unreadable YAML: {problem}", CONFIG, mark and mark.line + 1) from None
    if not isinstance(node, yaml.MappingNode):
        raise BookError("expected 'name: value' lines", CONFIG, 1)
    return node


def _flatten(node: yaml.MappingNode, prefix: str = "") -> tuple[dict, dict[str, int]]:
    """Nested mappings as dotted keys; the values, and the line of each key."""
    values, lines = {}, {}
    constructor = yaml.SafeLoader("")
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        if isinstance(value_node, yaml.MappingNode) and key not in KNOWN:
            more_values, more_lines = _flatten(value_node, f"{key}.")
            values |= more_values
            lines |= more_lines
        else:
            values[key] = constructor.construct_object(value_node, deep=True)
        lines[key] = key_node.start_mark.line + 1
    return values, lines


def _pages(root: Path, flat: dict, lines: dict):
    number = 0
    for key, letters in (("book.chapters", False), ("book.appendices", True)):
        for position, entry in enumerate(flat.get(key, []), 1):
            if not isinstance(entry, str):
                raise BookError(f"entry {position} is not a file name", CONFIG, lines[key])
            if not (root / entry).is_file():
                raise BookError(f"no such file: {entry}", CONFIG, lines[key])
            if letters:
                yield Page(Path(entry), chr(ord("A") + position - 1))
            elif _unnumbered(root / entry):
                yield Page(Path(entry), "")
            else:
                number += 1
                yield Page(Path(entry), str(number))


def _unnumbered(path: Path) -> bool:
    """Quarto does not number index.qmd, nor a chapter whose title is marked `.unnumbered`."""
    return path.name == "index.qmd"
