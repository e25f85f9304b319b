"""Quarto and the embedded renderer make the same book.

Runs where `quarto` is on PATH. Each book is rendered by Quarto in its own execution (without the
pre-render step) and by the embedded renderer; `page_text` says what is compared and what is
presentation.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_book
from bs4 import BeautifulSoup
from page_text import differences, read_site
from tiny_book import build

from render import book as books

pytestmark = [
    pytest.mark.skipif(not shutil.which("quarto"), reason="quarto is not on PATH"),
    pytest.mark.slow,
]

NOT_COPIED = shutil.ignore_patterns(
    ".*", "_book", "_freeze", "notebooks", "tests", "*_files", "__pycache__", "*.egg-info"
)


def quarto(root: Path, *options: str) -> str:
    """`quarto render`; what it said."""
    done = subprocess.run(
        ["quarto", "render", *options],
        cwd=root,
        env=os.environ | {"QUARTO_PYTHON": sys.executable, "PYTHONPATH": str(tiny_book.REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def without_freezing(root: Path) -> Path:
    """Makes Quarto execute the chapters itself."""
    config = root / "_quarto.yml"
    text = re.sub(r"^ *pre-render:.*\n", "", config.read_text("utf-8"), flags=re.M)
    config.write_text(text.replace("freeze: auto", "freeze: false"), encoding="utf-8")
    return root


def captions(site: Path) -> list[str]:
    """First lines of the captions in the PDF."""
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not on PATH")
    (pdf,) = site.glob("*.pdf")
    command = ["pdftotext", "-layout", str(pdf), "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return re.findall(r"^ *((?:Figure|Table) [\dA-Z]+(?:\.\d+)?: \S+(?: \S+)?)", text, re.M)


@pytest.fixture(scope="module")
def tiny_by_quarto(tmp_path_factory):
    root = without_freezing(tiny_book.write(tmp_path_factory.mktemp("tiny-quarto")))
    assert "Executing" in quarto(root)
    return root / "_book"


def real_book(folder: Path) -> Path:
    root = folder / "book"
    shutil.copytree(tiny_book.REPOSITORY, root, ignore=NOT_COPIED)
    return root


@pytest.fixture(scope="module")
def real_by_quarto(tmp_path_factory):
    root = without_freezing(real_book(tmp_path_factory.mktemp("real-quarto")))
    quarto(root)
    return root / "_book"


@pytest.fixture(scope="module")
def real_by_us(tmp_path_factory):
    root = real_book(tmp_path_factory.mktemp("real"))
    assert build(root) == 0
    return root / "_book"


def test_the_tiny_book_says_the_same(tiny_site, tiny_by_quarto):
    ours = read_site(tiny_site / "_book")
    assert differences(ours, read_site(tiny_by_quarto)) == []
    assert sum(len(page.items) for page in ours.values()) > 100, "something was compared"


def test_the_real_book_says_the_same(real_by_us, real_by_quarto):
    ours = read_site(real_by_us)
    pages = books.read(tiny_book.REPOSITORY).pages
    assert sorted(ours) == sorted(["404.html", *(page.href for page in pages)])
    assert differences(ours, read_site(real_by_quarto)) == []


def test_a_difference_would_be_found(tiny_by_quarto, tmp_path):
    """One changed word, number, cell, heading, target or formula is enough."""
    page = "chapters/first.html"
    text = (tiny_by_quarto / page).read_text("utf-8")
    for old, new in [
        ("More.", "Less."),
        ("1,200", "1,201"),
        (">1.1.1<", ">1.1.2<"),
        ('href="#tbl-hand"', 'href="#tbl-plain"'),
        ("e^{x}", "e^{y}") if "e^{x}" in text else (r"\bar x_1", r"\bar y_1"),
        ("hello 3", "hello  3"),
        ("callout-tip", "callout-note"),
        ("text-align: right", "text-align: left"),
    ]:
        assert old in text
        changed = tmp_path / "changed" / page
        changed.parent.mkdir(parents=True, exist_ok=True)
        changed.write_text(text.replace(old, new), encoding="utf-8")
        one = {page: read_site(tiny_by_quarto)[page]}
        assert differences(read_site(tmp_path / "changed"), one), (old, new)


def test_the_pdfs_have_the_same_captions(tiny_site, tiny_by_quarto):
    ours = captions(tiny_site / "_book")
    assert len(ours) == 6
    assert ours == captions(tiny_by_quarto)


def test_the_real_pdfs_have_the_same_captions(real_by_us, real_by_quarto):
    assert captions(real_by_us) == captions(real_by_quarto)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """The tiny book, rendered with the pre-render step, and what Quarto said."""
    root = tiny_book.write(tmp_path_factory.mktemp("frozen"))
    return root, quarto(root)


def test_after_the_pre_render_step_quarto_executes_nothing(frozen, tiny_by_quarto):
    root, said = frozen
    assert [line for line in said.splitlines() if line.startswith("executing ")]
    assert "Executing '" not in said and "Starting python3 kernel" not in said
    assert differences(read_site(root / "_book"), read_site(tiny_by_quarto)) == []
    assert captions(root / "_book") == captions(tiny_by_quarto)


def test_quarto_takes_the_links_to_numbers_over(frozen, tiny_site):
    ours, its = tiny_site / "_book", frozen[0] / "_book"
    given, taken = (
        {path.relative_to(site): path.read_bytes() for path in site.rglob("*_files/**/*.csv")}
        for site in (ours, its)
    )
    assert len(given) == 2 and given == taken
    for file in ("chapters/first.html", "chapters/second.html"):
        links = [
            BeautifulSoup((site / file).read_text("utf-8"), "html.parser").select(".numbers a")
            for site in (ours, its)
        ]
        assert [link.attrs for link in links[0]] == [link.attrs for link in links[1]] != []
    assert not list(its.rglob("figure-typst/*.csv"))


@pytest.mark.parametrize(
    ("file", "old", "new", "executed", "page", "said"),
    [
        (
            "data/second.csv",
            "v,6",
            "v,6\nw,7",
            "chapters/second.qmd",
            "chapters/second",
            "It has 3 rows",
        ),
        ("deeper.py", "100", "90", "chapters/first.qmd", "chapters/first", "The sum is 1203"),
        (
            "chapters/proofs.qmd",
            "one = 1\n```",
            "one = 1\n```\n\n```{python}\nprint('{{< env HOME >}}')\n```",
            "chapters/proofs.qmd",
            "chapters/proofs",
            "<code>{{&lt; env HOME &gt;}}</code>",
        ),
        ("index.qmd", "Last words.", "Very last words.", None, "index", "Very last words."),
    ],
    ids=["a table", "a module of a module", "a shortcode in the data", "prose"],
)
def test_quarto_shows_what_changed_and_no_other_chapter_runs(
    frozen, file, old, new, executed, page, said
):
    root, _ = frozen
    text = (root / file).read_text("utf-8")
    (root / file).write_text(text.replace(old, new), encoding="utf-8")
    told = quarto(root, "--to", "html")
    ran = re.findall(r"^executing (\S+)", told, re.M)
    uses_helper = {"chapters/first.qmd", "chapters/second.qmd", "chapters/proofs.qmd"}
    assert set(ran) == (uses_helper if file == "deeper.py" else {executed} - {None})
    assert "Executing '" not in told
    assert said in (root / "_book" / f"{page}.html").read_text("utf-8")
    if file == "deeper.py":
        (figure,) = (root / "_book/chapters/first_files/figure-html").glob("*.svg")
        assert "y1='90'" in figure.read_text()
