"""Runs a chapter, cell by cell and sentence by sentence, on the tables that BOOK_DATA names."""

from __future__ import annotations

import re
from pathlib import Path

import plotnine as p9

from analysis.report.text import Prose
from render import qmd
from render.qmd import Cell

ROOT = Path(__file__).resolve().parents[1]
# Names of things that are markup where they are not escaped, and how they would show.
HOSTILE = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")
MARKUP = ("<b>", "@fig-a", "[now](", "`x`")


def run(chapter: Path, draw: bool) -> dict:
    """Runs all of a chapter's code; every result must be a figure or prose without a gap.

    Args:
        chapter: Its file.
        draw: Whether figures are drawn, too, which takes time.

    Returns:
        The names that the cells have made.
    """
    names: dict = {}
    for block in qmd.read(ROOT, chapter).blocks:
        if isinstance(block, Cell):
            *first, last = re.split(r"\n(?=\S)", block.source.strip())
            exec("\n".join(first), names)
            try:
                shown = eval(last, names)
            except SyntaxError:
                exec(last, names)
                continue
            if shown is None and block.options.get("label") == "banner":
                continue  # the tables are the reader's, or nobody has named others
            assert isinstance(shown, (Prose, p9.ggplot)), last
            if isinstance(shown, Prose):
                check(shown, last)
            elif draw:
                shown.draw()
        else:
            for code, _ in block.expressions():
                check(str(eval(code, names)), code)
    return names


def check(said: str, code: str) -> None:
    """No gap where a value should be, and no name that acts as markup."""
    assert said.strip(), code
    assert not re.search(r"\b(nan|inf|NaT|None(?! of| lags))\b", said), (code, said)
    for markup in MARKUP:
        assert markup not in said, (code, said)


def techniques(chapter: Path) -> dict[str, str]:
    """The techniques that a chapter's head lists, with their sections.

    Every section is one of the chapter's, and the reader's table at its end says the same.
    """
    where = qmd.read(ROOT, chapter).meta["techniques"]
    text = (ROOT / chapter).read_text(encoding="utf-8")
    sections = re.findall(r"^#+ .*\{#(sec-[\w-]+)\}$", text, re.MULTILINE)
    assert set(where.values()) <= set(sections)
    assert re.findall(r"^\| (.+) \| @(sec-[\w-]+) \|$", text, re.MULTILINE) == list(where.items())
    return where
