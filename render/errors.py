"""The one error that a build ends in: where it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass
class BookError(Exception):
    """A fault in the book's own files, told with its place.

    Attributes:
        message: What is wrong, and what to do next.
        file: The file at fault, relative to the project where possible.
        line: Line in that file, counted from 1.
        cell: Label (or ordinal) of the code cell at fault.
    """

    message: str
    file: Path | str | None = None
    line: int | None = None
    cell: str | None = None

    def __str__(self) -> str:
        place = str(self.file) if self.file else ""
        if place and self.line:
            place += f":{self.line}"
        if self.cell:
            place += f": cell '{self.cell}'" if place else f"cell '{self.cell}'"
        return f"{place}: {self.message}" if place else self.message
