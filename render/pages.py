"""Turns executed chapters into the website and the PDF, aside, and swaps them in whole."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pypandoc
import typst
import yaml

from render.book import CONFIG, Book, Page
from render.errors import BookError
from render.markdown import Rendered
from render.qmd import Chapter

HERE = Path(__file__).parent
THEME = HERE / "theme"
NOTEBOOKS = Path("notebooks")
STAMP = ".build.json"


def build(
    book: Book, chapters: Sequence[Chapter], rendered: Sequence[Rendered], *, pdf: bool = True
) -> bool:
    """Writes `book.output_dir` anew; it stays as it was when anything fails.

    Args:
        book: What `_quarto.yml` says.
        chapters: The chapters, one a page of the book.
        rendered: Their Markdown and images, in the same order.
        pdf: Make the PDF beside the website.

    Returns:
        False where the output already is what would be written.

    Raises:
        BookError: a missing reference or citation, an unsupported feature, a Typst error.
    """
    stamp = _stamp(book, rendered, pdf)
    try:
        if (book.output_dir / STAMP).read_text() == stamp:
            return False
    except OSError:
        pass
    with tempfile.TemporaryDirectory(dir=book.root, prefix=f".{book.output_dir.name}.") as name:
        aside = Path(name)
        work, site = aside / "work", aside / "site"
        site.mkdir()
        made = _pandoc(book, chapters, rendered, work, pdf)
        _write_site(book, made["pages"], rendered, site)
        if pdf:
            _write_pdf(book, made["typst"], rendered, work, site / _pdf_name(book))
        (site / STAMP).write_text(stamp)
        swap(site, book.output_dir, aside / "old")
    return True


def _stamp(book: Book, rendered: Sequence[Rendered], pdf: bool) -> str:
    """Fingerprint of all that decides the output, this program included."""
    digest = hashlib.sha256(repr((book, pdf)).encode())
    for page in rendered:
        digest.update(page.text.encode())
        for name, content in sorted(page.images.items()):
            digest.update(name.encode() + content)
    sources = [path for path in sorted(HERE.rglob("*")) if path.suffix not in ("", ".pyc")]
    for path in [*sources, *(book.root / p for p in book.bibliography)]:
        if path.is_file():
            digest.update(path.read_bytes())
    return json.dumps({"inputs": digest.hexdigest()})


def _pdf_name(book: Book) -> str:
    return f"{book.output_file}.pdf"


# --- Pandoc ----------------------------------------------------------------------------------


def _pandoc(book: Book, chapters, rendered, work: Path, pdf: bool) -> dict:
    work.mkdir()
    pages = []
    for number, (page, chapter, text) in enumerate(zip(book.pages, chapters, rendered, strict=True)):
        markdown = work / f"{number}.md"
        markdown.write_text(text.text, encoding="utf-8")
        notebook = NOTEBOOKS / f"{page.source.stem}.ipynb"
        pages.append(
            {
                "source": str(page.source),
                "number": page.number,
                "href": page.href,
                "root": "../" * (len(PurePosixPath(page.href).parts) - 1),
                "markdown": str(markdown),
                "description": chapter.meta.get("description", book.description),
                "notebook": str(notebook) if (book.root / notebook).is_file() else "",
            }
        )
    plan = {
        "title": book.title,
        "subtitle": book.subtitle,
        "authors": list(book.authors),
        "lang": book.lang,
        "pages": pages,
        "bibliography": [str(book.root / path) for path in book.bibliography],
        "keys": _citation_keys(book),
        "toc_depth": book.toc_depth,
        "code_fold": book.code_fold,
        "code_summary": book.code_summary,
        "template": str(THEME / "page.html"),
        "pdf": pdf,
        "pdf_href": _pdf_name(book) if pdf else "",
        "pdf_echo": book.pdf_echo,
        "output": str(work / "made.json"),
    }
    (work / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "lua", str(HERE / "book.lua"), str(work / "plan.json")],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if done.returncode:
        raise _pandoc_error(book, done.stderr)
    return json.loads((work / "made.json").read_text(encoding="utf-8"))


def _citation_keys(book: Book) -> dict[str, bool]:
    keys = {}
    for path in book.bibliography:
        try:
            text = (book.root / path).read_text(encoding="utf-8")
        except OSError as error:
            raise BookError(f"the bibliography cannot be read: {error.strerror}", path) from None
        keys |= dict.fromkeys(re.findall(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", text, re.M), True)
    return keys or {"": True}


def _pandoc_error(book: Book, stderr: str) -> BookError:
    match = re.search(r"^BOOK-ERROR (.*)$", stderr, re.M)
    if not match:
        return BookError(f"Pandoc failed: {stderr.strip()}")
    told = json.loads(match[1])
    return BookError(told["message"], told["file"], _line_of(book, told["file"], told["needle"]))


def _line_of(book: Book, file: str, needle: str) -> int | None:
    lines = (book.root / file).read_text(encoding="utf-8-sig").splitlines()
    return next((i for i, line in enumerate(lines, 1) if needle and needle in line), None)


# --- website ---------------------------------------------------------------------------------


def _write_site(book: Book, pages: list[dict], rendered: Sequence[Rendered], site: Path) -> None:
    for page, made, text in zip(book.pages, pages, rendered, strict=True):
        target = site / made["href"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made["html"], encoding="utf-8")
        _write_images(site / page.source.parent, text)
    shutil.copytree(THEME, site / "theme", ignore=shutil.ignore_patterns("page.html"))
    index = [entry for made in pages for entry in made["search"]]
    # "<" is escaped so that the text can never end a script element.
    text = json.dumps(index, ensure_ascii=False).replace("<", "\\u003c")
    (site / "search-index.js").write_text(f"window.SEARCH_INDEX = {text};\n", encoding="utf-8")
    for page in book.pages:
        notebook = book.root / NOTEBOOKS / f"{page.source.stem}.ipynb"
        if notebook.is_file():
            (site / NOTEBOOKS).mkdir(exist_ok=True)
            shutil.copy(notebook, site / NOTEBOOKS)


def _write_images(folder: Path, text: Rendered) -> None:
    for name, content in text.images.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# --- PDF -------------------------------------------------------------------------------------


def _write_pdf(book: Book, manuscript: str, rendered, work: Path, target: Path) -> None:
    for page, text in zip(book.pages, rendered, strict=True):
        _write_images(work / page.source.parent, text)
    values = {
        "title": book.title,
        "subtitle": book.subtitle,
        "authors": list(book.authors),
        "description": book.description,
        "lang": book.lang,
        "paper": book.papersize,
    }
    head = "".join(f"#let book-{key} = {_typst_value(value)}\n" for key, value in values.items())
    source = work / "book.typ"
    source.write_text(head + (HERE / "book.typ").read_text("utf-8") + manuscript, encoding="utf-8")
    try:
        # System fonts are left out, so that the PDF is the same on every machine.
        typst.compile(source, output=target, root=work, ignore_system_fonts=True, timestamp=0)
    except typst.TypstError as error:
        raise BookError(f"Typst could not set the PDF: {error}") from None


def _typst_value(value: str | list[str]) -> str:
    if isinstance(value, list):
        return "(" + "".join(f"{_typst_value(item)}, " for item in value) + ")"
    return json.dumps(value, ensure_ascii=False)


# --- swapping in -----------------------------------------------------------------------------


def swap(new: Path, target: Path, old: Path) -> None:
    """Puts `new` at `target`; what stood there goes to `old`, and back if the move fails."""
    if target.exists():
        target.rename(old)
    try:
        new.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
