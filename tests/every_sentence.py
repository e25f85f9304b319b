"""Runs a chapter, cell by cell and sentence by sentence, on the tables of a folder."""

from __future__ import annotations

import re
from pathlib import Path

import plotnine as p9
import pytest

from analysis.report.text import Prose
from render import qmd
from render.qmd import Cell

ROOT = Path(__file__).resolve().parents[1]
# Names of things that are markup where they are not escaped, and how they would show.
HOSTILE = ("<b>=| `x` $a_$", "= @fig-a", "# 2.0 [now](x)")
MARKUP = ("<b>", "@fig-a", "[now](", "`x`")


def run(chapter: Path, tables: Path, draw: bool) -> tuple[dict, list[tuple[str, str]]]:
    """Runs all of a chapter's code; every result must be a figure or prose without a gap.

    Args:
        chapter: Its file.
        tables: The folder that `BOOK_DATA` names meanwhile.
        draw: Whether figures are drawn, too, which takes time.

    Returns:
        The names that the cells have made; all that is said, each with the code that says it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BOOK_DATA", str(tables))
        return _run(chapter, draw)


def _run(chapter: Path, draw: bool) -> tuple[dict, list[tuple[str, str]]]:
    names: dict = {}
    told: list[tuple[str, str]] = []
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
                told.append((shown, last))
            elif draw:
                shown.draw()
        else:
            for code, _ in block.expressions():
                told.append((str(eval(code, names)), code))
    for said, code in told:
        check(said, code)
    return names, told


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
