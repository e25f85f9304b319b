"""Turns executed chapters into the website and the PDF, aside, and swaps them in whole."""

from __future__ import annotations

import contextlib
import hashlib
import html
import importlib.metadata
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import nbformat
import pypandoc
import typst

from render import qmd
from render.book import Book, Page
from render.errors import BookError
from render.execute import Run
from render.markdown import Rendered
from render.notebooks import path_of, to_notebook
from render.qmd import Chapter

HERE = Path(__file__).parent
THEME = HERE / "theme"
STAMP = ".build.json"
LOST = Path("404.qmd")  # what a server shows for an address that leads nowhere
TRIES = 5


def build(
    book: Book, runs: Sequence[Run], rendered: Sequence[Rendered], *, pdf: bool = True
) -> bool:
    """Writes `book.output_dir` anew; it stays as it was when anything fails.

    Args:
        book: What `_quarto.yml` says.
        runs: The executed chapters, one a page of the book.
        rendered: Their Markdown and files, in the same order.
        pdf: Make the PDF beside the website.

    Returns:
        False where the output already is what would be written.

    Raises:
        BookError: a missing reference or citation, an unsupported feature, a Typst error.
    """
    if book.output_dir.exists() and not book.output_dir.is_dir():
        raise BookError("is not a folder; move it away", book.output_dir.name)
    stamp = _stamp(book, rendered, pdf)
    if _is_current(book.output_dir, stamp):
        return False
    with tempfile.TemporaryDirectory(dir=book.root, prefix=f".{book.output_dir.name}.") as name:
        aside = Path(name)
        work, site = aside / "work", aside / "site"
        site.mkdir()
        _plan(book, runs, rendered, work, pdf)
        # Website and PDF at the same time, each from a Pandoc of its own.
        with ThreadPoolExecutor(1) as beside:
            printing = beside.submit(_write_pdf, book, rendered, work, site) if pdf else None
            _write_site(book, runs, rendered, work, site)
            if printing:
                printing.result()
        (site / STAMP).write_text(json.dumps({"inputs": stamp, "files": _files(site)}))
        swap(site, book.output_dir, aside)
    return True


def _stamp(book: Book, rendered: Sequence[Rendered], pdf: bool) -> str:
    """Fingerprint of all that decides the output, this program included."""
    versions = [importlib.metadata.version(name) for name in ("pypandoc_binary", "typst")]
    offered = [page.href for page in book.pages if _offers_notebook(book, page)]
    digest = hashlib.sha256(repr((book, pdf, versions, offered)).encode())
    for page in rendered:
        digest.update(page.text.encode())
        for name, content in sorted(page.files.items()):
            digest.update(name.encode() + content)
    sources = [path for path in sorted(HERE.rglob("*")) if path.suffix != ".pyc"]
    others = (*book.bibliography, LOST, book.image)
    for path in [*sources, *(book.root / path for path in others)]:
        if path.is_file():
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _files(site: Path) -> list[str]:
    return sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.name != STAMP)


def _is_current(site: Path, stamp: str) -> bool:
    try:
        made = json.loads((site / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return made == {"inputs": stamp, "files": _files(site)}


def _pdf_name(book: Book) -> str:
    return f"{book.output_file}.pdf"


# --- Pandoc ----------------------------------------------------------------------------------


def _offers_notebook(book: Book, page: Page) -> bool:
    """Whether a page's executed notebook can be had: where the project keeps one.

    What is given is that of the present run, which may be on other tables than the one kept.
    """
    return (book.root / path_of(page.source)).is_file()


def _plan(book: Book, runs, rendered, work: Path, pdf: bool) -> None:
    """Writes what book.lua is told."""
    work.mkdir()
    pages = []
    for number, (page, run, text) in enumerate(zip(book.pages, runs, rendered, strict=True)):
        markdown = work / f"{number}.md"
        markdown.write_text(text.text, encoding="utf-8")
        notebook = str(path_of(page.source)) if _offers_notebook(book, page) else ""
        root = "../" * (len(PurePosixPath(page.href).parts) - 1)
        pages.append(
            _planned(page, run.chapter, root, markdown)
            | {"file_names": list(text.files), "notebook": notebook}
        )
    plan = {
        **_lost(book, work),
        "site_url": book.site_url,
        "image": book.image,
        "image_alt": book.image_alt,
        "title": book.title,
        "subtitle": book.subtitle,
        "description": book.description,
        "authors": book.authors,
        "lang": book.lang,
        "pages": pages,
        "bibliography": [str(book.root / path) for path in book.bibliography],
        "toc_depth": book.toc_depth,
        "code_fold": book.code_fold,
        "code_summary": book.code_summary,
        "template": str(THEME / "page.html"),
        "typst_template": str(HERE / "book.typ"),
        "paper": book.papersize,
        "pdf": pdf,
        "pdf_href": _pdf_name(book) if pdf else "",
        "pdf_echo": book.pdf_echo,
    }
    (work / "plan.json").write_text(json.dumps(plan), encoding="utf-8")


def _pandoc(book: Book, work: Path, part: str) -> dict:
    """What Pandoc makes of the plan: the pages of the website ("site"), or Typst ("pdf")."""
    plan, made = work / "plan.json", work / f"{part}.json"
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "lua", str(HERE / "book.lua"), str(plan), part, str(made)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if problem := _pandoc_problem(book, done.stderr):
        raise problem
    if done.returncode:
        raise BookError(f"Pandoc failed: {done.stderr.strip()}")
    return json.loads(made.read_text(encoding="utf-8"))


def _lost(book: Book, work: Path) -> dict:
    """The page for addresses that lead nowhere; a server shows it at any depth."""
    if not (book.root / LOST).is_file():
        return {}
    chapter = qmd.read(book.root, LOST)
    for block in chapter.blocks:
        if isinstance(block, qmd.Cell) or block.expressions():
            raise BookError("this page holds no code", LOST, block.line)
    markdown = work / "lost.md"
    markdown.write_text("\n".join(block.source for block in chapter.blocks), encoding="utf-8")
    return {"lost": _planned(Page(LOST), chapter, book.site_path, markdown)}


def _planned(page: Page, chapter: Chapter, root: str, markdown: Path) -> dict:
    """What book.lua is told of a page; `root` leads from it to the root of the site."""
    return {
        "source": str(page.source),
        "appendix": page.appendix,
        "href": page.href,
        "root": root,
        "markdown": str(markdown),
        "file_names": [],
        "description": chapter.meta.get("description", ""),
        "notebook": "",
    }


def _pandoc_problem(book: Book, stderr: str) -> BookError | None:
    """What book.lua stopped at, or the first warning: Pandoc guessed where it should not."""
    if match := re.search(r"^BOOK-ERROR (.*)$", stderr, re.M):
        told = json.loads(match[1])
        return BookError(
            told["message"], told["file"], _line_of(book, told["file"], told["needle"])
        )
    if match := re.search(r"^BOOK-PAGE (.*)\n\[WARNING\] (.*(?:\n .*)*)", stderr, re.M):
        math = re.search(r"^Could not convert TeX math (.*), rendering", match[2])
        return BookError(match[2], match[1], _line_of(book, match[1], math[1] if math else ""))
    return None


def _line_of(book: Book, file: str, needle: str) -> int | None:
    """Where some text is used first in a chapter; `#label`: where a label is given last."""
    wanted = re.escape(needle) + (r"(?![\w-])" if re.search(r"\w$", needle) else "")
    if needle.startswith("#"):
        wanted = r"(#|label:\s*[\"']?)" + wanted.removeprefix(r"\#")
    lines = (book.root / file).read_text(encoding="utf-8-sig").split("\n")
    found = [i for i, line in enumerate(lines, 1) if needle and re.search(wanted, line)]
    return found[-1 if needle.startswith("#") else 0] if found else None


# --- website ---------------------------------------------------------------------------------


def _write_site(
    book: Book, runs: Sequence[Run], rendered: Sequence[Rendered], work: Path, site: Path
) -> None:
    written = _pandoc(book, work, "site")
    if "lost" in written:
        (site / written["lost"]["href"]).write_text(written["lost"]["html"], encoding="utf-8")
    for page, made, run, text in zip(book.pages, written["pages"], runs, rendered, strict=True):
        target = site / made["href"]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made["html"], encoding="utf-8")
        _write_files(site / page.source.parent, text.files)
        if _offers_notebook(book, page):
            notebook = nbformat.writes(to_notebook(run)).encode()
            _write_files(site, {str(path_of(page.source)): notebook})
    shutil.copytree(THEME, site / "theme", ignore=shutil.ignore_patterns("page.html"))
    index = [entry for made in written["pages"] for entry in made["search"]]
    # "<" is escaped so that the text can never end a script element.
    text = json.dumps(index, ensure_ascii=False).replace("<", "\\u003c")
    (site / "search-index.js").write_text(f"window.SEARCH_INDEX = {text};\n", encoding="utf-8")
    if (book.root / book.image).is_file():
        _write_files(site, {book.image: (book.root / book.image).read_bytes()})
    if book.site_url:
        (site / "sitemap.xml").write_text(_sitemap(book), encoding="utf-8")


def _sitemap(book: Book) -> str:
    """The pages for search engines, without dates: those would make each build another."""
    locations = "".join(
        f"  <url><loc>{html.escape(book.site_url + quote(page.href))}</loc></url>\n"
        for page in book.pages
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{locations}</urlset>\n'
    )


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


# --- PDF -------------------------------------------------------------------------------------


def _write_pdf(book: Book, rendered: Sequence[Rendered], work: Path, site: Path) -> None:
    for page, text in zip(book.pages, rendered, strict=True):
        _write_files(work / page.source.parent, text.files)
    source = work / "book.typ"
    source.write_text(_pandoc(book, work, "pdf")["typst"], encoding="utf-8")
    try:
        # System fonts are left out, so that the PDF is the same on every machine.
        typst.compile(source, output=site / _pdf_name(book), root=work,
                      ignore_system_fonts=True, timestamp=0)
    except typst.TypstError as error:
        raise BookError(f"Typst could not set the PDF: {error}") from None


# --- swapping in -----------------------------------------------------------------------------


def swap(new: Path, target: Path, aside: Path) -> None:
    """Puts `new` at `target`; what stood there goes into `aside`, and back if the move fails.

    Another build may do the same at the same moment; then the last one stays.
    """
    for attempt in range(TRIES):
        old = aside / f"old-{attempt}"
        with contextlib.suppress(FileNotFoundError):
            target.rename(old)
        try:
            new.rename(target)
            return
        except BaseException:
            if old.exists() and not target.exists():
                old.rename(target)
            if attempt + 1 == TRIES or not target.exists():
                raise
