"""Reads `_quarto.yml`: the one description of the book that every renderer shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

import yaml

from render.errors import BookError

CONFIG = Path("_quarto.yml")
ANYTHING = object  # concerns only Quarto's own look, which the embedded renderer's theme replaces

# Every key that `_quarto.yml` may hold: the type of its value, or the one value supported.
KEYS = {
    "project.type": "book",
    "project.output-dir": str,
    "project.execute-dir": "project",
    "project.pre-render": ANYTHING,
    "project.resources": ANYTHING,  # the notebooks and the picture of links to the book
    "lang": str,
    "book.title": str,
    "book.subtitle": str,
    "book.author": (str, list),
    "book.description": str,
    "book.search": True,
    "book.downloads": list,
    "book.output-file": str,
    "book.chapters": list,
    "book.appendices": list,
    "book.site-url": str,
    "book.open-graph": True,
    "book.twitter-card": True,
    "book.image": str,
    "book.image-alt": str,
    "book.repo-url": ANYTHING,
    "book.favicon": ANYTHING,
    "bibliography": (str, list),
    "number-sections": True,
    "toc": True,
    "toc-depth": int,
    # book.lua reads tables the same way, and takes the second; the theme has the link.
    "filters": ["assets/natural-widths.lua", "render/together.lua", "assets/notebook-link.lua"],
    "execute.freeze": ANYTHING,
    "execute.echo": bool,
    "execute.warning": bool,
    "format.html.theme": ANYTHING,
    "format.html.css": ANYTHING,
    "format.html.respect-user-color-scheme": ANYTHING,
    "format.html.code-fold": bool,
    "format.html.code-summary": str,
    "format.html.fig-format": ANYTHING,
    "format.html.html-math-method": "mathml",
    "format.html.toc-title": ANYTHING,
    "format.typst.bibliographystyle": "chicago-author-date",
    "format.typst.fig-format": ANYTHING,
    "format.typst.include-in-header": ANYTHING,
    "format.typst.papersize": str,
    "format.typst.echo": bool,
}
# Where Quarto's default differs from what the embedded renderer does, the key must be written.
NEEDED = (
    "project.type",
    "project.execute-dir",
    "book.title",
    "book.output-file",
    "book.chapters",
    "number-sections",
    "toc",
    "format.html.html-math-method",
)


@dataclass(frozen=True)
class Page:
    """One chapter of the book.

    Attributes:
        source: The .qmd, relative to the project.
        appendix: It is numbered by letter.
    """

    source: Path
    appendix: bool = False

    @property
    def href(self) -> str:
        """Address of the page from the root of the site, as Quarto gives it."""
        return str(PurePosixPath(self.source).with_suffix(".html"))


@dataclass(frozen=True)
class Book:
    """What `_quarto.yml` says, with Quarto's defaults filled in.

    Attributes:
        site_url: Where the website will be, ending in a slash; empty where nobody said.
        image: The picture that stands for the book where somebody links to it.
    """

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
    site_url: str = ""
    image: str = ""
    image_alt: str = ""

    @property
    def site_path(self) -> str:
        """The path of the website's root at its host."""
        return urlsplit(self.site_url).path or "/"


def read(root: Path) -> Book:
    """Reads `root/_quarto.yml`.

    Raises:
        BookError: missing, unreadable, or holding something this renderer would not follow.
    """
    root = Path(root).resolve()
    values, lines = _flatten(_parse(root))
    for key, value in values.items():
        _check(key, value, lines[key])
    for key in NEEDED:
        if key not in values:
            raise BookError(f"'{key}' is missing", CONFIG)
    pages = tuple(_pages(root, values, lines))
    sources = {page.source.parts[0] for page in pages}
    for key in ("project.output-dir", "book.output-file"):
        name = values.setdefault(key, "_book")
        # The output folder is replaced as a whole: it must not be, or hold, anything else.
        if Path(name).name != name or name == ".." or name in sources:
            raise BookError(f"'{key}: {name}' must be a name of its own", CONFIG, lines[key])
    downloads = values.get("book.downloads", [])
    if downloads not in ([], ["pdf"]):
        raise BookError("only pdf can be downloaded", CONFIG, lines["book.downloads"])
    bibliography = _names(values.get("bibliography", []))
    for name in bibliography:
        if not (root / name).is_file():
            raise BookError(f"no such file: {name}", CONFIG, lines["bibliography"])
    return Book(
        root=root,
        title=values["book.title"],
        subtitle=values.get("book.subtitle", ""),
        authors=_names(values.get("book.author", [])),
        description=values.get("book.description", ""),
        lang=values.get("lang", "en"),
        pages=pages,
        bibliography=tuple(Path(name) for name in bibliography),
        output_dir=root / values["project.output-dir"],
        output_file=values["book.output-file"],
        pdf="pdf" in downloads,
        toc_depth=values.get("toc-depth", 3),
        code_fold=values.get("format.html.code-fold", False),
        code_summary=values.get("format.html.code-summary", "Code"),
        echo=values.get("execute.echo", True),
        warning=values.get("execute.warning", True),
        pdf_echo=values.get("format.typst.echo", values.get("execute.echo", True)),
        papersize=values.get("format.typst.papersize", "us-letter"),
        site_url=_site_url(values, lines),
        image=_image(root, values, lines),
        image_alt=values.get("book.image-alt", ""),
    )


def _site_url(values: dict, lines: dict[str, int]) -> str:
    url = values.get("book.site-url", "")
    if url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise BookError(f"'{url}' is not the address of a website", CONFIG, lines["book.site-url"])
    return url and url.rstrip("/") + "/"


def _image(root: Path, values: dict, lines: dict[str, int]) -> str:
    # From the root, since Quarto takes another path for one beside each page.
    name = values.get("book.image", "")
    if name and not (name.startswith("/") and (root / name[1:]).is_file()):
        raise BookError(f"'{name}' is no file: write /FOLDER/NAME", CONFIG, lines["book.image"])
    return name[1:]


def _check(key: str, value: object, line: int) -> None:
    if key not in KEYS:
        raise BookError(f"'{key}' is not supported by the embedded renderer", CONFIG, line)
    wanted = KEYS[key]
    if not isinstance(wanted, (type, tuple)):
        if value != wanted:
            told = str(wanted).lower() if wanted is True else wanted
            raise BookError(f"'{key}: {value}' is not supported; only '{told}'", CONFIG, line)
    elif not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise BookError(f"'{key}: {value}' has a wrong type", CONFIG, line)


def _names(value: str | list) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(str(name) for name in value)


def _parse(root: Path) -> yaml.MappingNode:
    try:
        node = yaml.compose((root / CONFIG).read_text(encoding="utf-8"), yaml.SafeLoader)
    except OSError as error:
        raise BookError(f"cannot be read: {error.strerror}", CONFIG) from None
    except UnicodeDecodeError:
        raise BookError("not UTF-8; save it as UTF-8", CONFIG) from None
    except yaml.YAMLError as error:
        raise BookError(*yaml_problem(error, CONFIG)) from None
    if not isinstance(node, yaml.MappingNode):
        raise BookError("expected 'name: value' lines", CONFIG, 1)
    return node


def yaml_problem(error: yaml.YAMLError, path: Path, first: int = 1) -> tuple[str, Path, int]:
    """Message, file and line of a YAML error; `first` is the file's line where the YAML begins."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    return f"unreadable YAML: {problem}", path, first + (mark.line if mark else 0)


def _flatten(node: yaml.MappingNode, prefix: str = "") -> tuple[dict, dict[str, int]]:
    """Nested mappings as dotted keys; the values, and the lines of the keys and list entries."""
    values, lines = {}, {}
    constructor = yaml.SafeLoader("")
    for key_node, value_node in node.value:
        key = f"{prefix}{key_node.value}"
        line = key_node.start_mark.line + 1
        if key in lines:
            raise BookError(f"'{key}' stands here twice", CONFIG, line)
        lines[key] = line
        if isinstance(value_node, yaml.MappingNode) and KEYS.get(key) is not ANYTHING:
            more_values, more_lines = _flatten(value_node, f"{key}.")
            values |= more_values
            lines |= more_lines
            continue
        try:
            values[key] = constructor.construct_object(value_node, deep=True)
        except yaml.YAMLError as error:
            raise BookError(*yaml_problem(error, CONFIG)) from None
        if isinstance(value_node, yaml.SequenceNode):
            for i, entry in enumerate(value_node.value):
                lines[f"{key}.{i}"] = entry.start_mark.line + 1
    return values, lines


def _pages(root: Path, values: dict, lines: dict[str, int]):
    stems: dict[str, str] = {}
    for key in ("book.chapters", "book.appendices"):
        for i, entry in enumerate(values.get(key, [])):
            line = lines[f"{key}.{i}"]
            if not isinstance(entry, str) or not entry.endswith(".qmd"):
                raise BookError(f"'{entry}' is not the name of a .qmd file", CONFIG, line)
            path = PurePosixPath(entry)
            if not (root / path).is_file() or path.is_absolute() or ".." in path.parts:
                raise BookError(f"no such file in the project: {entry}", CONFIG, line)
            if not stems and entry != "index.qmd":
                raise BookError("the first chapter must be index.qmd", CONFIG, line)
            if other := stems.get(path.stem):
                # Notebooks and their links go by the bare name.
                raise BookError(
                    f"{entry} is listed twice"
                    if other == entry
                    else f"{other} and {entry} have the same name",
                    CONFIG,
                    line,
                )
            stems[path.stem] = entry
            yield Page(Path(entry), appendix=key == "book.appendices")
