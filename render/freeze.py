"""Quarto's pre-render step: executes what changed, once, and freezes it for every format.

Quarto's own `freeze: auto` compares only the .qmd with a frozen result, so a changed table or a
changed line of `analysis/` would leave old numbers on the page, and without freezing it executes
each chapter once per format. This step runs before Quarto looks: it brings every chapter's run
up to date by all that the run depended on (render/execute.py), and writes it where Quarto expects
the frozen results of each format. Quarto then executes nothing. Should a later Quarto not accept
these files it ignores them and executes the chapters itself: slower, and as correct.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

if __package__ in (None, ""):  # Quarto runs this file as a script
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from render import execute, markdown
from render.book import Book
from render.errors import BookError

FREEZER = Path("_freeze")


def freeze(book: Book, run: execute.Run) -> None:
    """Writes one chapter's run to `_freeze/`, as frozen results for HTML and Typst."""
    source = run.chapter.path
    place = book.root / FREEZER / source.with_suffix("")
    text = (book.root / source).read_text(encoding="utf-8")
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    wanted: dict[Path, bytes] = {}
    for extension, figures, echo in (
        ("html", "figure-html", book.echo),
        ("typ", "figure-typst", book.pdf_echo),
    ):
        rendered = markdown.render(
            run, echo=echo, warning=book.warning, figures=figures, numbers=extension == "html"
        )
        for name, content in rendered.files.items():
            wanted[Path(*Path(name).parts[1:])] = content
        result = {
            "engine": "jupyter",
            "markdown": rendered.text,
            "supporting": [f"{source.stem}_files/{figures}"] if rendered.files else [],
            "filters": [],
        }
        content = json.dumps({"hash": digest, "result": result}, indent=2, ensure_ascii=False)
        wanted[Path("execute-results", f"{extension}.json")] = content.encode()
    for old in place.glob("*/*.*"):
        if old.relative_to(place) not in wanted and not old.name.startswith("."):
            old.unlink(missing_ok=True)
    for name, content in wanted.items():
        if not (place / name).is_file() or (place / name).read_bytes() != content:
            execute.write_file(place / name, content)


def main() -> int:
    try:
        book, runs = execute.execute_book(Path.cwd())
        for run in runs:
            freeze(book, run)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
