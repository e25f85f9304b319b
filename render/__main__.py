"""`python -m render`: builds the book without Quarto.

    python -m render            website and PDF into the output folder of _quarto.yml
    python -m render --html     website only
    python -m render notebooks  each chapter, executed, as a notebook
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from render import book as books
from render import execute, markdown, pages, qmd
from render.errors import BookError
from render.progress import Progress


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m render", description=__doc__.split("\n\n")[0])
    parser.add_argument("--html", action="store_true", help="make the website only, no PDF")
    parser.add_argument("--root", type=Path, default=Path.cwd(), help="project folder (default: here)")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    try:
        book = books.read(options.root)
        chapters = [qmd.read(book.root, page.source) for page in book.pages]
        with Progress() as progress:
            runs = execute.execute(book.root, chapters, progress)
        texts = [markdown.render(run, echo=book.echo, warning=book.warning) for run in runs]
        written = pages.build(book, chapters, texts, pdf=book.pdf and not options.html)
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        print(f"{books.CONFIG}: the book was not built; the last one is untouched", file=sys.stderr)
        return 1
    executed = sum(not run.cached for run in runs)
    print(
        f"{book.output_dir.name}/: {len(chapters)} pages, {executed} executed, "
        f"{len(chapters) - executed} unchanged{'' if written else ', nothing to write'} "
        f"({time.perf_counter() - started:.1f} s)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
