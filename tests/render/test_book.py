"""`_quarto.yml` is followed, or refused with the line at fault."""

from __future__ import annotations

import pytest
import tiny_book

from render import book as books
from render.errors import BookError

CHANGES = {  # what -> (text in the tiny book's _quarto.yml, what replaces it, reason)
    "unreadable": ("lang: en", "lang: en: x", "unreadable YAML"),
    "tab": ("lang: en", "\tlang: en", "unreadable YAML"),
    "unknown key": ("lang: en", "language: en", "'language' is not supported"),
    "unknown deep key": ("    code-fold: true", "    code-tools: true", "'format.html.code-tools'"),
    "other format": ("  typst:", "  pdf:\n    x: 1\n  typst:", "'format.pdf.x'"),
    "not a book": ("type: book", "type: website", "'project.type: website'.*only 'book'"),
    "unnumbered": ("number-sections: true", "number-sections: false", "only 'true'"),
    "math from elsewhere": ("method: mathml", "method: katex", "only 'mathml'"),
    "citation style": ("chicago-author-date", "ieee", "only 'chicago-author-date'"),
    "title that is a number": ("title: \"Tea & \\\"2 < 3\\\" biscuits\"", "title: 7", "wrong type"),
    "depth that is a text": ("toc-depth: 3", "toc-depth: three", "wrong type"),
    "depth that is a yes": ("toc-depth: 3", "toc-depth: true", "wrong type"),
    "chapters that are one name": ("  appendices:\n    -", "  appendices:", "wrong type"),
    "missing chapter": ("chapters/second.qmd", "chapters/none.qmd", "no such file.*none.qmd"),
    "chapter outside": ("chapters/second.qmd", "../second.qmd", "no such file in the project"),
    "chapter listed twice": ("chapters/second.qmd", "chapters/first.qmd", "listed twice"),
    "chapters of one name": ("chapters/second.qmd", "first.qmd", "have the same name"),
    "part": ("- chapters/second.qmd", "- part: chapters/second.qmd", "not the name of a .qmd"),
    "notebook as chapter": ("chapters/second.qmd", "chapters/second.ipynb", "not the name of a"),
    "first page": ("- index.qmd\n    - chapters/first.qmd", "- chapters/first.qmd",
                   "first chapter must be index.qmd"),
    "bibliography missing": ("references.bib", "none.bib", "no such file: none.bib"),
    "download": ("downloads: [pdf]", "downloads: [pdf, epub]", "only pdf"),
    "output over the project": ("output-dir: _book", "output-dir: .", "must be a name of its own"),
    "output outside": ("output-dir: _book", "output-dir: ../site", "must be a name of its own"),
    "output over the chapters": ("output-dir: _book", "output-dir: chapters", "name of its own"),
    "PDF outside": ("output-file: tiny-book", "output-file: ../tiny", "must be a name of its own"),
    "key twice": ("toc: true", "toc: true\ntoc: true", "'toc' stands here twice"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "reason"), CHANGES.values(), ids=CHANGES)
def test_refused_with_line_and_reason(tmp_path, old, new, reason):
    assert tiny_book.CONFIG.count(old) == 1
    config = tiny_book.CONFIG.replace(old, new)
    tiny_book.write(tmp_path, **{"_quarto.yml": config, "first.qmd": "# Again\n"})
    with pytest.raises(BookError, match=reason) as caught:
        books.read(tmp_path)
    before = tiny_book.CONFIG[: tiny_book.CONFIG.index(old)].count("\n") + 1
    assert str(caught.value.file) == "_quarto.yml"
    assert caught.value.line in range(before, before + new.count("\n") + 2)


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n"])
def test_not_a_mapping(tmp_path, text):
    tiny_book.write(tmp_path, **{"_quarto.yml": text})
    with pytest.raises(BookError, match=r"_quarto\.yml:1: expected 'name: value'"):
        books.read(tmp_path)


def test_not_utf8_and_missing(tmp_path):
    with pytest.raises(BookError, match=r"_quarto\.yml: cannot be read"):
        books.read(tmp_path)
    (tmp_path / "_quarto.yml").write_bytes(b"lang: \xff\n")
    with pytest.raises(BookError, match="not UTF-8"):
        books.read(tmp_path)


@pytest.mark.parametrize("key", books.NEEDED)
def test_what_must_be_said(tmp_path, key):
    name = key.rpartition(".")[2]
    kept = [
        line for line in tiny_book.CONFIG.split("\n") if not line.strip().startswith(f"{name}:")
    ]
    if name == "chapters":
        kept = [line for line in kept if not line.startswith("    - ") or "proofs" in line]
    tiny_book.write(tmp_path, **{"_quarto.yml": "\n".join(kept)})
    with pytest.raises(BookError, match=f"'{key}' is missing"):
        books.read(tmp_path)


def test_what_is_said_is_taken(tmp_path):
    book = books.read(tiny_book.write(tmp_path))
    assert book.title == 'Tea & "2 < 3" biscuits'
    assert book.authors == ("Ada A.", "Bo B.")
    assert [(page.href, page.appendix) for page in book.pages] == [
        ("index.html", False),
        ("chapters/first.html", False),
        ("chapters/second.html", False),
        ("chapters/proofs.html", True),
    ]
    assert (book.output_dir, book.output_file) == (tmp_path.resolve() / "_book", "tiny-book")
    assert (book.pdf, book.code_fold, book.echo, book.pdf_echo) == (True, True, True, False)


def test_the_real_configuration_is_supported():
    book = books.read(tiny_book.REPOSITORY)
    assert book.pages[0].href == "index.html"
    assert book.pdf
