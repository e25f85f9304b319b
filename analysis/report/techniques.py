"""Which technique a chapter uses where: a map kept in the chapter's metadata."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import yaml

from analysis.report.tables import table
from analysis.report.text import Prose

CHAPTERS = Path(__file__).resolve().parents[2] / "chapters"


def techniques(chapter: str) -> dict[str, str]:
    """The map in a chapter's front matter: technique -> id of the section that does it.

    Args:
        chapter: The file's name without `.qmd`.

    Raises:
        KeyError: The chapter has no such map.
    """
    text = (CHAPTERS / f"{chapter}.qmd").read_text(encoding="utf-8")
    front = text.split("---\n", 2)[1]
    return yaml.safe_load(front)["techniques"]


def techniques_table(chapter: str) -> Prose:
    """The map as a table with links; see `techniques`."""
    frame = pd.DataFrame([
        {"Technique": name, "Where": f"@{section}"}
        for name, section in techniques(chapter).items()
    ])
    return table(frame, {"Where": Prose})
