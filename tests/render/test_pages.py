"""The website and the PDF that the embedded renderer makes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import site_check
import tiny_book
from bs4 import BeautifulSoup
from hypothesis import given, settings
from hypothesis import strategies as st
from page_text import PageText, read_site, squeeze
from tiny_book import build, minimal

from analysis.report.text import escape
from render import pages


@pytest.fixture(scope="module")
def site(tiny_site) -> Path:
    return tiny_site / "_book"


@pytest.fixture(scope="module")
def said(site) -> dict[str, PageText]:
    return read_site(site)


@pytest.fixture(scope="module")
def pdf_text(site) -> str:
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not on PATH")
    command = ["pdftotext", "-layout", str(site / "tiny-book.pdf"), "-"]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout


def soup(site: Path, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text("utf-8"), "html.parser")


# --- numbers ---------------------------------------------------------------------------------


def test_a_table_is_followed_by_a_link_to_its_numbers(site):
    after = soup(site, "chapters/first.html").find(id="tbl-plain").find_next_sibling()
    link = after.find("a")
    assert after["class"] == ["numbers"] and link.get_text() == "CSV"
    assert link["download"] == "tbl-plain.csv"
    assert link["aria-label"].startswith('CSV: A table\'s "caption", with emphasis, ')
    given = (site / "chapters" / link["href"]).read_bytes()
    assert given == b"name,value\r\nx,1\r\ny,2\r\nz,1200\r\n"


def test_hostile_numbers_are_text(site):
    given = pd.read_csv(site / "chapters/second_files/figure-html/tbl-hostile.csv")
    columns = soup(site, "chapters/second.html").find(id="tbl-hostile").find_all("tr")[1:]
    shown = [squeeze(row.find("td").get_text()) for row in columns]
    assert len(shown) > 15
    for value, cell in zip(given["value"], shown, strict=True):
        assert squeeze(value) in (cell, f"'{cell}")
    assert not given["value"].str.match(r"[=+@\t\r\n-]").any()


def test_numbers_are_no_part_of_the_pdf_nor_of_the_search(site, pdf_text):
    assert "CSV" not in pdf_text
    assert "CSV" not in (site / "search-index.js").read_text("utf-8")


# --- the whole site --------------------------------------------------------------------------


def test_addresses_are_quartos(site):
    assert sorted(str(path.relative_to(site)) for path in site.rglob("*.html")) == [
        "chapters/first.html",
        "chapters/proofs.html",
        "chapters/second.html",
        "index.html",
    ]


def test_links_anchors_ids_and_loads(site):
    assert site_check.problems(site) == []


def test_the_checker_finds_what_is_broken(tmp_path):
    (tmp_path / "a.html").write_text(
        '<p id=x></p><p id=x></p><a href="b.html">1</a><a href="#y">2</a>'
        '<script src="https://example.org/x.js"></script><p aria-labelledby="z"></p>'
    )
    assert site_check.problems(tmp_path) == [
        "a.html: id 'x' 2 times",
        "a.html: no id 'z'",
        "a.html: loads https://example.org/x.js from elsewhere",
        "a.html: b.html leads to no file",
        "a.html: #y leads to no id",
    ]


def test_no_style_or_script_loads_from_elsewhere(site):
    for path in [*site.rglob("*.css"), *site.rglob("*.js"), *site.rglob("*.svg")]:
        loads = re.findall(
            r"(?:url\(|@import|import\(|fetch\()\s*['\"]?(https?:)?//", path.read_text()
        )
        assert not loads, path


# --- numbers and references ------------------------------------------------------------------


def of_kind(page: PageText, *kinds: str) -> list[tuple]:
    return [item for item in page.items if item[0] in kinds]


def test_numbers_of_chapters_and_sections(said):
    headings = {name: [item[-1] for item in of_kind(page, "h1", "h2", "h3", "h4")]
                for name, page in said.items()}  # fmt: skip
    assert headings == {
        "index.html": ["Five questions", "How to read", "Deeper", "Another"],
        "chapters/first.html": [
            "1 Did *tea* & “2 < 3” biscuits `raise` $x^2$?",
            "1.1 First section",
            "1.1.1 A subsection",
            "1.1.1.1 Too deep for the contents",
            "1.2 Second section",
            "1.3 Second section again",
        ],
        "chapters/second.html": [
            "2 Second chapter", "2.1 Nested *thing*", "Not numbered", "2.2 Numbered again",
        ],
        "chapters/proofs.html": ["Appendix A — Proofs", "A.1 Lemma"],
    }  # fmt: skip


def test_numbers_of_figures_tables_and_equations(said):
    first = of_kind(said["chapters/first.html"], "caption", "equation")
    assert [item[1:3] for item in first] == [
        ("fig-line", "Figure 1.1: A *figure* of $y$ and “quotes”."),
        ("eq-welch", "1.1"),
        ("tbl-plain", "Table 1.1: A table’s “caption”, with *emphasis*, $x$ and Welch (1947)."),
        ("tbl-hand", "Table 1.2: A table by *hand*"),
    ]
    proofs = of_kind(said["chapters/proofs.html"], "caption")
    assert proofs == [("caption", "fig-proof", "Figure A.1: A proof.")]


def test_references_are_links_that_say_where(said):
    first, links = "chapters/first.html", said["chapters/first.html"].links
    for target, text in [
        (f"{first}#fig-line", "Figure 1.1"),
        (f"{first}#tbl-plain", "Table 1.1"),
        (f"{first}#eq-welch", "Equation 1.1"),
        (f"{first}#fig-line", "1.1"),
        (f"{first}#fig-line", "Fig. 1.1"),
        (f"{first}#tbl-hand", "Table 1.2"),
        ("chapters/second.html", "the other page"),
        ("chapters/second.html#sec-nested", "its section"),
        (f"{first}#second-section-again", "here"),
    ]:
        assert (target, text) in links
    assert links.count((f"{first}#fig-line", "Figure 1.1")) == 2  # once alone, once in brackets
    second = said["chapters/second.html"].links
    assert [link for link in second if link[0].startswith(first)] == [
        (first, "Chapter 1"), (f"{first}#sec-deep", "Section 1.2"), (f"{first}#sec-deep", "1.2"),
    ]  # fmt: skip
    assert ("chapters/proofs.html", "Appendix A — Proofs") in said["index.html"].links


def test_a_page_without_a_number_calls_chapters_by_their_titles(said):
    assert said["index.html"].links[:2] == [
        ("chapters/first.html", "1 Did tea & “2 < 3” biscuits raise x^2?"),
        ("chapters/second.html", "2 Second chapter"),
    ]


def test_citations_and_the_list_of_what_is_cited(said):
    first = said["chapters/first.html"]
    assert (
        "p",
        "Text with a citation (Welch 1947, 29) and another by Mann and Whitney (1947). "
        "Two at once (Welch 1947; Mann and Whitney 1947).^1^",
    ) in first.items
    listed = of_kind(first, "reference")
    assert [item[1] for item in listed] == ["ref-mann1947", "ref-welch1947"]
    assert "“On a Test of Whether" in listed[0][2]
    assert [item[1] for item in of_kind(said["chapters/second.html"], "reference")] == [
        "ref-welch1947"
    ]
    assert not of_kind(said["index.html"], "reference")


# --- blocks ----------------------------------------------------------------------------------


def test_footnotes_lead_there_and_back(site):
    page = soup(site, "chapters/first.html")
    notes = page.select('[role="doc-endnotes"] li')
    texts = [squeeze(note.get_text()) for note in notes]
    assert [text.split(" ")[:2] for text in texts] == [["The", "first"], ["The", "second"]]
    for number, note in enumerate(notes, 1):
        call = page.find(id=f"fnref{number}")
        assert call["href"] == f"#{note['id']}"
        assert note.select_one(".footnote-back")["href"] == f"#{call['id']}"


def test_callouts(said, site):
    callouts = [item[1:] for item in of_kind(said["chapters/first.html"], "callout")]
    assert callouts == [
        ("callout-note", "fixed", "What *it* means"),
        ("callout-warning", "closed", "Hidden **body**"),
        ("callout-tip", "open", "Tip"),
        ("callout-important", "fixed", "Important"),
    ]
    hidden = soup(site, "chapters/first.html").select_one("details.callout-warning")
    assert [item.get_text() for item in hidden.select(".callout-body li")] == ["one", "two"]


def test_mathematics_is_mathml(site):
    page = soup(site, "chapters/first.html")
    formulas = page.find_all("math")
    assert {formula.get("display") for formula in formulas} == {"block", "inline"}
    assert page.select_one("h1 math") and page.select_one("#eq-welch math mfrac")
    assert "\\frac" not in squeeze("".join(
        text for text in page.find("main").find_all(string=True) if text.parent.name != "annotation"
    ))  # fmt: skip


def test_code_is_there_folded_as_asked(site):
    page = soup(site, "chapters/first.html")
    folds = page.select("details.code-fold")
    assert [fold.summary.get_text() for fold in folds].count("Code") == len(folds) - 1
    (shown,) = [fold for fold in folds if fold.has_attr("open")]
    assert shown.summary.get_text() == "Look & see"
    (bare,) = [code for code in page.select("pre.cell-code") if not code.find_parent("details")]
    assert bare.get_text() == (
        '# A comment with ```ticks``` and #| no option\nprint("not shown")\n'
        '#| not: an option\n"also not shown"'
    )
    assert page.select("pre.python:not(.cell-code)")[0].get_text() == "not_run = True"


def test_figures_have_their_alternative_text(site):
    page = soup(site, "chapters/first.html")
    image = page.select_one("#fig-line img")
    assert image["alt"] == "A rising line; it's 5 < 6."
    assert (site / "chapters" / image["src"]).read_text().startswith("<svg")


def test_titles_with_special_characters_and_markup(site):
    page = soup(site, "chapters/first.html")
    title = "Did tea & “2 < 3” biscuits raise x^2?"
    assert page.title.get_text().startswith(f"1 {title} – Tea & “2 < 3” biscuits")
    assert page.select_one("h1 em").get_text() == "tea"
    assert page.select_one("h1 code").get_text() == "raise"
    beside = soup(site, "chapters/second.html").select_one('nav a[href$="chapters/first.html"]')
    assert (
        beside.em.get_text() == "tea" and beside.find("math") and "& “2 < 3”" in beside.get_text()
    )
    meta = soup(site, "index.html").find("meta", attrs={"name": "description"})
    assert meta["content"] == "Two “small” chapters."


def test_contents_of_a_page_go_three_levels_deep(said):
    assert [text for _, text in said["chapters/first.html"].contents] == [
        "1.1 First section", "1.1.1 A subsection", "1.2 Second section", "1.3 Second section again",
    ]  # fmt: skip


# --- what data may not do --------------------------------------------------------------------

HOSTILE: list[str] = []
exec(tiny_book.HELPER.replace("import deeper", ""), hostile := {})
HOSTILE = hostile["HOSTILE"]


def test_hostile_values_are_plain_text_in_a_table(site):
    rows = soup(site, "chapters/second.html").select("#tbl-hostile tr")
    assert rows[0].find_all("th")[1].get_text() == "<b>n</b>|$"
    assert [row.find("td").get_text() for row in rows[1:]] == HOSTILE
    assert not [row for row in rows if row.find(["b", "em", "a", "script", "math", "code"])]


def test_hostile_values_are_plain_text_in_a_sentence(said):
    (sentence,) = [
        item[1] for item in of_kind(said["chapters/second.html"], "p") if "Inline:" in item[1]
    ]
    assert sentence == f"Inline: {', '.join(HOSTILE[:-1])} and {HOSTILE[-1]}."


def test_hostile_values_are_plain_text_in_the_pdf(pdf_text):
    flat = squeeze(pdf_text).replace("…", "...")
    for number, value in enumerate(HOSTILE):
        assert f"{value} {number}" in flat


VALUES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=12
)


@settings(max_examples=5)
@given(st.lists(VALUES | st.sampled_from(HOSTILE), min_size=40, max_size=40))
def test_any_value_is_plain_text(tmp_path_factory, values):
    """Forty values a page, since a page costs half a second."""
    root = tmp_path_factory.mktemp("values")
    text = "".join(f"| {escape(value)} | {i} |\n" for i, value in enumerate(values))
    lines = "\n\n".join(f"x {escape(value)} y" for value in values)
    minimal(root, **{"index.qmd": f"# A\n\n| a | b |\n|---|---|\n{text}\n{lines}\n"})
    assert build(root, "--html") == 0
    page = soup(root / "_book", "index.html")
    assert [row.find("td").get_text() for row in page.select("tbody tr")] == values
    assert [p.get_text() for p in page.select(".content p")] == [f"x {value} y" for value in values]


# --- search ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def index(site) -> list[dict]:
    text = (site / "search-index.js").read_text("utf-8")
    assert "<" not in text, "nothing can end a script element"
    return json.loads(re.fullmatch(r"window.SEARCH_INDEX = (.*);\n", text, re.S)[1])


def test_the_search_knows_every_section(index, said):
    wanted = []
    for page in ("index", "chapters/first", "chapters/second", "chapters/proofs"):
        headings = of_kind(said[f"{page}.html"], "h1", "h2", "h3", "h4")
        wanted.append(f"{page}.html")
        wanted += [f"{page}.html#{heading[1]}" for heading in headings[1:]]
    assert [entry["href"] for entry in index] == wanted


def test_the_search_finds_the_words_of_every_section(index):
    text = {entry["href"]: entry["text"] for entry in index}
    first = "chapters/first.html"
    for href, words in [
        (first, ["citation", "Mann and Whitney", "The first note"]),
        (f"{first}#first-section", ["Figure 1.1", "A figure of y", "\\frac"]),
        (f"{first}#sec-deep", ["1,200", "x 1 y 2", "What it means", "Hidden body",
                               "The second note", "nested again", "A quotation", "Table 1.2"]),
        (f"{first}#second-section-again", ["The answer", "Term Definition of it", "End."]),
        ("chapters/second.html#sec-nested", ["<script>alert(1)</script> 0 a|b 1", "Figure 2.1"]),
    ]:  # fmt: skip
        assert all(word in text[href] for word in words), (href, text[href])
    assert not any("drawing" in value for value in text.values()), "code is not searched"


# --- PDF -------------------------------------------------------------------------------------


def test_the_pdf_says_what_the_site_says(pdf_text, said):
    flat = squeeze(pdf_text)
    assert "Tea & “2 < 3” biscuits A ‘tiny’ book" in flat
    for page in said.values():
        for _, label, text in of_kind(page, "caption"):
            assert re.sub(r"[*$]", "", text).split(" $")[0][:22] in flat, label
    for text in [
        "Chapter 1", "Appendix A", "A.1 Lemma", "1.1.1 A subsection", "(2.1)", "What it means",
        "hello 3", "somewhere.py:7: UserWarning: shown", "not_run = True", "References",
        "with emphasis, 𝑥 and Welch (1947).", "The second note.",
    ]:  # fmt: skip
        assert text in flat, text
    assert "never run" not in flat, "code stays out, as _quarto.yml asks"
    assert "@" not in flat.replace("@fig-line", "")
    assert "??" not in flat


def test_a_short_table_stays_with_its_caption(pdf_text):
    (page,) = [page for page in pdf_text.split("\f") if "Table 1.1: A" in page]
    assert re.search(r"x\s+1\s.*y\s+2\s.*z\s+1,200", page, re.S)


def test_no_row_of_a_long_table_is_lost(tmp_path):
    if not shutil.which("pdftotext"):
        pytest.skip("pdftotext is not on PATH")
    rows = "".join(f"| cell{i} |\n" for i in range(100))
    tables = f"| a |\n|---|\n{rows}\n: Long {{#tbl-long}}\n\n| b |\n|---|\n{rows}"
    minimal(tmp_path, **{"index.qmd": f"# A\n\n{tables}"})
    config = tmp_path / "_quarto.yml"
    config.write_text(config.read_text().replace("\nbook:", "\nbook:\n  downloads: [pdf]"))
    assert build(tmp_path) == 0
    command = ["pdftotext", str(tmp_path / "_book" / "minimal.pdf"), "-"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert sorted(re.findall(r"cell\d+", text)) == sorted(2 * [f"cell{i}" for i in range(100)])


# --- refusals --------------------------------------------------------------------------------

TABLE = "| a |\n|---|\n| 1 |\n\n"
REFUSED = {
    "tabs": ("\n::: {.panel-tabset}\nx\n:::\n", 2, "div class '.panel-tabset'"),
    "margin": ("\n::: {.column-margin}\nx\n:::\n", 2, "'.column-margin'"),
    "condition": ("\n::: {.content-visible}\nx\n:::\n", 2, "'.content-visible'"),
    "condition by format": ("::: {.lead when-format=html}\nx\n:::\n", 1, "attribute 'when-format'"),
    "layout": ("::: {layout-ncol=2}\nx\n:::\n", 1, "attribute 'layout-ncol'"),
    "aside": ("\n\n[x]{.aside}\n", 3, "span class '.aside'"),
    "marker": ("[x]{.mark}\n", 1, "span class '.mark'"),
    "figure div": ("::: {#fig-x}\nx\n:::\n", 1, "an id on a div"),
    "theorem": ("::: {#thm-x}\nx\n:::\n", 1, "an id on a div"),
    "anchor in a line": ("[x]{#here}\n", 1, "an id on a span"),
    "callout's look": ('::: {.callout-note appearance="simple"}\nx\n:::\n', 1, "'appearance'"),
    "unknown callout": ("::: {.callout-danger}\nx\n:::\n", 1, "'.callout-danger'"),
    "code with a file name": ('``` {.python filename="x.py"}\nx\n```\n', 1, "'filename'"),
    "listing": ("``` {#lst-x .python}\nx\n```\n", 1, "an id on a code block"),
    "heading's class": ("## A {.scrollable}\n", 1, "heading class '.scrollable'"),
    "heading in a div": ("x\n\n::: {.answer}\n## Inside\n:::\n", 4, "heading inside"),
    "heading in a quotation": ("> ## Inside\n", 1, "heading inside"),
    "link's attribute": ("[a](https://a.org){target=x}\n", 1, "link attribute 'target'"),
    "table's attribute": (f'{TABLE}: C {{#tbl-x tbl-colwidths="[1]"}}\n', 5, "'tbl-colwidths'"),
    "image": ("![A](a.png)\n", 1, "an image from a file"),
    "image in a line": ("x ![A](a.png) y\n", 1, "an image from a file"),
    "raw HTML": ("\n<br>\n", 2, "raw html"),
    "raw HTML in a line": ("a <b>c</b>\n", 1, "raw html"),
    "raw LaTeX": ("\\newpage\n", 1, "raw tex"),
    "raw LaTeX in a line": ("a \\input{x} b\n", 1, "raw tex"),
    "raw block": ("```{=typst}\nx\n```\n", 2, "raw typst"),
    "second title": ("# Another\n", 1, "second level-1 heading"),
    "front matter in the middle": ("x\n\n---\ntitle: y\n---\n", 3, "only the top of a file"),
    "equation beside text": ("$$ a $$ and {#eq-x}\n", 1, "a numbered equation stands alone"),
    "formula": ("\n$\\nosuch{x}$\n", 2, "Could not convert TeX math"),
    "section missing": ("See @sec-fine and\n@sec-fin.\n", 2, "nothing has the label 'sec-fin'"),
    "figure missing": ("See [-@fig-none].\n", 1, "nothing has the label 'fig-none'"),
    "section without a number": ("## A {#sec-a .unnumbered}\n\nSee @sec-a.\n", 3, "has no number"),
    "section of a page without numbers": ("See @sec-start.\n", 1, "has no number"),
    "citation missing": ("x @welch1947 y\n\nx @welch y\n", 3, "no entry 'welch' in the bib"),
    "label of another kind": ("See @lst-x.\n", 1, "no entry 'lst-x'"),
    "reference with a citation": ("[@sec-here; @welch1947]\n", 1, "a reference and a citation"),
    "reference with a page": ("[@sec-here, p. 3]\n", 1, "drops text that follows"),
    "label in two chapters": ("See @sec-x.\n\n## A {#sec-start}\n", 3, "already used in index.qmd"),
    "label twice": ("## A {#sec-a}\n\n## B {#sec-a}\n", 3, "already used in c.qmd"),
    "link to no chapter": ("[a](none.qmd)\n", 1, "no chapter none.qmd"),
    "link to no section": ("[a](other.qmd#none)\n", 1, "nothing in other.qmd has the id 'none'"),
    "link to no anchor": ("[a](#none)\n", 1, "nothing in c.qmd has the id 'none'"),
    "link to a file": ("[a](data/x.csv)\n", 1, "no chapter data/x.csv"),
    "id of the page's own": ("## Main\n", 1, "the id 'main'"),
}  # fmt: skip
OTHER = f"# Other {{#sec-other}}\n\n$$ a $$ {{#eq-a}}\n\n{TABLE}\n\n## Fine {{#sec-fine}}\n"


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A book that is built once; what is refused later must leave its output alone."""
    root = minimal(
        tmp_path_factory.mktemp("kept"),
        "c.qmd",
        "other.qmd",
        **{
            "c.qmd": "# Here {#sec-here}\n\nSee @sec-fine, @eq-a and @welch1947.\n",
            "other.qmd": OTHER,
            "index.qmd": "# Start {.unnumbered}\n\n## From here {#sec-start}\n",
            "references.bib": tiny_book.REFERENCES,
        },
    )
    config = root / "_quarto.yml"
    config.write_text(config.read_text() + "bibliography: references.bib\n")
    assert build(root, "--html") == 0
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_and_the_last_book_untouched(kept, capsys, text, line, reason):
    before, names = contents(kept / "_book"), sorted(path.name for path in kept.iterdir())
    (kept / "c.qmd").write_text("# Here {#sec-here}\n\n" + text)
    assert build(kept, "--html") == 1
    said = capsys.readouterr().err
    assert reason in said
    assert f"error: c.qmd:{line + 2}: " in said
    assert contents(kept / "_book") == before
    assert sorted(path.name for path in kept.iterdir()) == names, "nothing is left behind"


@pytest.mark.parametrize("kind", ["tbl", "fig"])
def test_a_cell_for_a_table_or_figure_that_shows_none(tmp_path, capsys, kind):
    cell = f"```{{python}}\n#| label: {kind}-x\n#| {kind}-cap: C\nNone\n```\n"
    minimal(tmp_path, **{"index.qmd": f"# A\n\n{cell}"})
    assert build(tmp_path, "--html") == 1
    assert f"index.qmd:4: the cell '{kind}-x' shows nothing" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "word"), [("tbl", "Table"), ("fig", "Figure")])
def test_a_sentence_in_place_of_a_table_or_figure(tmp_path, kind, word):
    """Too little data for it: the reference leads to the reason."""
    shown = "from IPython.display import Markdown\nMarkdown('Too *few* orders.')"
    cell = f"```{{python}}\n#| label: {kind}-x\n#| {kind}-cap: Orders.\n{shown}\n```\n"
    minimal(tmp_path, **{"index.qmd": f"# A {{#sec-a}}\n\nSee @{kind}-x.\n\n{cell}"})
    assert build(tmp_path) == 0
    soup = BeautifulSoup((tmp_path / "_book/index.html").read_text(encoding="utf-8"), "html.parser")
    link = soup.find("a", href=f"#{kind}-x")
    assert link.get_text() == f"{word}\u00a01.1"
    said = soup.find(id=f"{kind}-x").get_text(" ", strip=True)
    assert said == f"{word}\u00a01.1: Orders. Too few orders."


@pytest.mark.parametrize("title", ["A @welch1947", "A^[note]"])
def test_a_title_that_cites(tmp_path, capsys, title):
    minimal(tmp_path, **{"index.qmd": f"text\n\n# {title}\n"})
    assert build(tmp_path, "--html") == 1
    assert "in a chapter's title" in capsys.readouterr().err


def test_no_title(tmp_path, capsys):
    minimal(tmp_path, **{"index.qmd": "## A\n"})
    assert build(tmp_path, "--html") == 1
    assert "index.qmd: no title" in capsys.readouterr().err


def test_an_unreadable_bibliography(tmp_path, capsys):
    minimal(tmp_path, **{"refs.bib": "@article{a, title = {x}"})
    with (tmp_path / "_quarto.yml").open("a") as file:
        file.write("bibliography: refs.bib\n")
    assert build(tmp_path, "--html") == 1
    assert re.search(r"refs\.bib.*line 1", capsys.readouterr().err, re.S)


def test_html_comments_are_dropped(tmp_path):
    minimal(tmp_path, **{"index.qmd": "# A\n\n<!-- secret\nwords -->\n\nx <!-- more --> y\n"})
    assert build(tmp_path, "--html") == 0
    text = (tmp_path / "_book" / "index.html").read_text("utf-8")
    assert "secret" not in text and "more" not in text
    assert squeeze(BeautifulSoup(text, "html.parser").select_one(".content").get_text()) == "x y"


def test_prose_alone_starts_no_kernel(tmp_path, monkeypatch, capsys):
    from render import execute

    monkeypatch.setattr(execute, "_Client", None)
    assert build(minimal(tmp_path), "--html") == 0
    assert "0 executed" in capsys.readouterr().err


# --- swapping in -----------------------------------------------------------------------------


def test_a_file_that_was_removed_is_made_again(tmp_path, capsys):
    root = minimal(tmp_path)
    assert build(root, "--html") == 0
    (root / "_book" / "index.html").unlink()
    assert build(root, "--html") == 0
    assert (root / "_book" / "index.html").is_file()
    assert build(root, "--html") == 0
    assert "nothing to write" in capsys.readouterr().err


def test_the_notebook_is_that_of_the_run(tmp_path):
    root = minimal(tmp_path)
    assert build(root, "--html") == 0
    assert not (root / "_book" / "notebooks").exists()
    (root / "notebooks").mkdir()
    (root / "notebooks" / "index.ipynb").write_text('{"cells": ["of other tables"]}')
    assert build(root, "--html") == 0
    assert site_check.problems(root / "_book") == []
    given = nbformat.read(root / "_book" / "notebooks" / "index.ipynb", as_version=4)
    assert "of other tables" not in str(given) and given.cells[0].source.strip()
    assert "notebooks/index.ipynb" in (root / "_book" / "index.html").read_text("utf-8")


def test_swap_gives_back_what_was_there_when_it_fails(tmp_path):
    target, aside = tmp_path / "site", tmp_path / "aside"
    target.mkdir()
    aside.mkdir()
    (target / "old").write_text("old")
    with pytest.raises(OSError):
        pages.swap(tmp_path / "none", target, aside)
    assert contents(target) == {"old": b"old"}


def test_swap_wins_against_another_build(tmp_path, monkeypatch):
    """The other build puts its result in place between our two moves."""
    target, new, aside = (tmp_path / name for name in ("site", "new", "aside"))
    for folder in (target, new, aside):
        folder.mkdir()
    (new / "mine").write_text("mine")
    rename, calls = Path.rename, []

    def other_build_interferes(self, to):
        calls.append(self)
        if len(calls) == 2:
            target.mkdir()
            (target / "theirs").write_text("theirs")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", other_build_interferes)
    pages.swap(new, target, aside)
    assert contents(target) == {"mine": b"mine"}


LOST = "# Not {.unnumbered}\n\nBegin [here](index.qmd), not at [the other](more/a.qmd#sec-a).\n"


def tell(root: Path, keys: str) -> None:
    """Adds keys to what `_quarto.yml` says of the book."""
    config = (root / "_quarto.yml").read_text()
    (root / "_quarto.yml").write_text(config.replace("book:\n", f"book:\n{keys}", 1))


@pytest.mark.parametrize("path", ["", "/", "/sub/path", "/sub/path/"])
def test_a_page_for_lost_readers_knows_where_the_site_is(tmp_path, path):
    minimal(tmp_path, "more/a.qmd", **{"404.qmd": LOST, "more/a.qmd": "# A {#sec-a}\n"})
    tell(tmp_path, f"  site-url: https://host.example{path}\n")
    assert build(tmp_path) == 0
    site, root = tmp_path / "_book", path.rstrip("/") + "/"
    lost = soup(site, "404.html")
    assert lost.title.text == "Not – Minimal"
    addresses = [e.get("href") or e["src"] for e in lost.find_all(["a", "link", "script"])
                 if e.get("href") or e.get("src")]
    assert {f"{root}index.html", f"{root}more/a.html", f"{root}theme/site.css"} <= set(addresses)
    assert all(address.startswith((root, "#")) for address in addresses), addresses
    # Where the host serves the site at that path, every address leads somewhere.
    (host := tmp_path / "host" / path.strip("/")).parent.mkdir(parents=True, exist_ok=True)
    site.rename(host)
    assert site_check.problems(tmp_path / "host") == []
    index = (host / "search-index.js").read_text()
    assert "404" not in index
    named = re.findall("<loc>(.*?)</loc>", (host / "sitemap.xml").read_text())
    assert named == [f"https://host.example{root}{page}" for page in ("index.html", "more/a.html")]


def test_without_the_site_s_address_nothing_is_absolute(tmp_path):
    minimal(tmp_path, **{"404.qmd": LOST.split(",")[0], "p.png": "picture"})
    tell(tmp_path, "  image: /p.png\n")
    assert build(tmp_path) == 0
    site = tmp_path / "_book"
    assert not (site / "sitemap.xml").exists() and site_check.problems(site) == []
    head = soup(site, "index.html").head
    assert not head.find("meta", property="og:image")
    assert head.find("meta", attrs={"name": "twitter:card"})["content"] == "summary"


def test_what_a_link_to_a_page_shows_elsewhere(tmp_path):
    chapter = "---\ndescription: 'About \"A\" & <b>'\n---\n\n# A & \"B\"\n"
    minimal(tmp_path, "more/a.qmd", **{"more/a.qmd": chapter, "p.png": "picture"})
    keys = "  site-url: https://host.example/s\n  image: /p.png\n  image-alt: 'A \"p\"'\n"
    tell(tmp_path, keys)
    assert build(tmp_path) == 0
    said = {
        meta.get("property") or meta["name"]: meta["content"]
        for meta in soup(tmp_path / "_book", "more/a.html").find_all("meta", content=True)
        if meta.get("property") or meta.get("name")
    }
    assert said["og:title"] == "2 A & “B”" and said["og:description"] == 'About "A" & <b>'
    assert said["og:type"] == "article" and said["og:site_name"] == "Minimal"
    assert said["og:url"] == "https://host.example/s/more/a.html"
    assert said["og:image"] == "https://host.example/s/p.png"
    assert said["og:image:alt"] == 'A "p"' and said["twitter:card"] == "summary_large_image"
    assert (tmp_path / "_book" / "p.png").read_text() == "picture"


@pytest.mark.parametrize("key, value", [("site-url", "host.example"), ("site-url", "https://h/?q"),
                                        ("image", "p.png"), ("image", "/none.png")])
def test_addresses_that_would_lead_nowhere(tmp_path, capsys, key, value):
    minimal(tmp_path, **{"p.png": "picture"})
    tell(tmp_path, f"  {key}: {value}\n")
    assert build(tmp_path) == 1
    assert f"'{value}' is" in capsys.readouterr().err


def test_code_on_the_page_for_lost_readers(tmp_path, capsys):
    minimal(tmp_path, **{"404.qmd": "# Not {.unnumbered}\n\n`{python} 1`\n"})
    assert build(tmp_path) == 1
    assert "404.qmd" in capsys.readouterr().err
