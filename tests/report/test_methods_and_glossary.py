"""The appendices as text: each method has its parts, each word of the glossary is reached."""

import re
from pathlib import Path

import pytest

CHAPTERS = [Path("index.qmd"), *sorted(Path("chapters").glob("*.qmd"))]
METHODS, GLOSSARY = Path("chapters/methods.qmd"), Path("chapters/glossary.qmd")
ENTRY = re.compile(
    r"^### (?P<title>.+?) \{#(?P<id>\S+?)(?: \.unnumbered)?\}\n\n(?P<text>.*?)(?=^##|\Z)",
    re.M | re.S)
METHOD = {m["id"]: m for m in ENTRY.finditer(METHODS.read_text())}
TERM = {m["id"]: m for m in ENTRY.finditer(GLOSSARY.read_text())}


@pytest.mark.parametrize("method", METHOD.values(), ids=METHOD)
def test_a_method_has_three_sentences_a_formula_a_source_a_use_and_its_code(method):
    assert method["id"].startswith("sec-method-")
    said, formula, last = re.fullmatch(
        r"(.+?)\n\n\$\$\n(.+?)\n\$\$\n\n(Source: .+)\n+", method["text"], re.S).groups()
    assert len(said.splitlines()) == 3 and said.splitlines()[0].endswith("?")
    assert all(line.endswith((".", "?")) for line in said.splitlines())
    assert formula and "Used " in last and "Code: " in last
    # The uses are sections of other chapters, but for what judges the simulations.
    assert re.search(r"Used [^.]*@sec-", last)
    for path in re.findall(r"`([^`]+)`", last):
        assert Path(path).exists(), path


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_no_formula_goes_back_over_itself(chapter):
    r"""Pandoc makes \! a step back of a whole letter in Typst, where it would be a sixth of one."""
    assert r"\!" not in chapter.read_text()


def test_no_method_of_the_package_is_forgotten():
    """Every module of statistics that computes something is named by a method."""
    named = set(re.findall(r"`analysis/stats/(\w+)\.py`", METHODS.read_text()))
    helpers = {"__init__", "_common", "results", "moments", "likelihood", "decision"}
    assert {path.stem for path in Path("analysis/stats").glob("*.py")} - helpers == named


def test_terms_are_in_order_and_under_their_letters():
    def key(title):
        return re.sub(r"[^a-z0-9 ]", "", title.lower())
    titles = [term["title"] for term in TERM.values()]
    assert titles == sorted(titles, key=key) and 50 <= len(titles) <= 80
    parts = re.split(r"^## (.+?) \{\.unnumbered\}$", GLOSSARY.read_text(), flags=re.M)[1:]
    for letters, text in zip(parts[::2], parts[1::2], strict=True):
        first, _, last = letters.partition(" to ")
        for term in ENTRY.finditer(text):
            assert first <= term["title"][0].upper() <= (last or first), term["title"]


def test_terms_are_said_in_few_sentences():
    for term in TERM.values():
        said = [line for line in term["text"].strip().splitlines() if not line.startswith("See @")]
        assert 1 <= len(said) <= 3 and all(line.endswith(".") for line in said), term["id"]


def test_every_term_is_linked_and_every_link_leads_to_one():
    linked = {}
    for chapter in CHAPTERS:
        links = re.findall(r"\]\((?:chapters/)?glossary\.qmd#(gl-[\w-]+)\)", chapter.read_text())
        # From first use only.
        assert len(links) == len(set(links)), chapter
        linked[chapter.name] = set(links)
    assert set().union(*linked.values()) == set(TERM)
    studies = {"engagement.qmd", "customer-analytics.qmd", "mooc-segmentation.qmd",
               "netflix-churn.qmd", "trialer-ab-test.qmd"}
    assert all(len(linked[study]) >= 10 for study in studies), linked
