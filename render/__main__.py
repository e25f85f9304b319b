"""Builds the book: with Quarto where it is, with the embedded renderer elsewhere."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from pathlib import Path

from render import book as books
from render import engine, markdown, notebooks, pages
from render.errors import BookError
from render.execute import execute_book
from render.leftovers import tidied

ENGINES = ("auto", "quarto", "embedded")


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if options.command == "book" and options.engine not in ENGINES:
        print(f"error: ENGINE is quarto or embedded, not '{options.engine}'", file=sys.stderr)
        return 2
    try:
        if options.command == "notebooks":
            return _notebooks(options.root, check=options.check)
        chosen, why = engine.choose(options.engine)
        print(f"renderer: {chosen} ({why})", file=sys.stderr)
        book = books.read(options.root)
        with tidied(book.output_dir):
            if chosen == "quarto":
                engine.run_quarto(book)
                return 0
            return _embedded(options.root, pdf=not options.html)
    except (BookError, OSError) as error:  # OSError: the disk is full, or may not be written to
        if isinstance(error, shutil.Error):  # a list of (from, to, why)
            error = error.args[0][0][2]
        print(f"error: {error}", file=sys.stderr)
        print("The book was not built; the last one, if any, is untouched.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def _stop_like_an_interrupt() -> None:
    """Lets SIGTERM, which ends CI jobs, end kernels and take files away as Ctrl-C does."""
    # A script's background begins with the interrupt ignored, and would ignore both.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m render", description=__doc__)
    parser.add_argument(
        "--root", type=Path, default=Path.cwd(), help="folder of _quarto.yml (default: here)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    book = commands.add_parser("book", help="website and PDF into the output folder")
    book.add_argument(
        "--engine",
        default=os.environ.get("ENGINE") or "auto",
        help="quarto, embedded or auto (default: the environment variable ENGINE, else auto)",
    )
    book.add_argument("--html", action="store_true", help="embedded: the website only, no PDF")
    notebook = commands.add_parser("notebooks", help="each chapter, executed, as a notebook")
    notebook.add_argument(
        "--check", action="store_true", help="write nothing; fail where one is out of date"
    )
    return parser


def _embedded(root: Path, *, pdf: bool) -> int:
    started = time.perf_counter()
    book, runs = execute_book(root)
    rendered = [markdown.render(run, echo=book.echo, warning=book.warning) for run in runs]
    written = pages.build(book, runs, rendered, pdf=book.pdf and pdf)
    executed = sum(not run.cached for run in runs)
    print(
        f"{book.output_dir.name}/: {len(runs)} pages, {executed} executed, "
        f"{len(runs) - executed} unchanged{'' if written else ', nothing to write'} "
        f"({time.perf_counter() - started:.1f} s)",
        file=sys.stderr,
    )
    return 0


def _notebooks(root: Path, *, check: bool) -> int:
    book, runs = execute_book(root)
    stale = notebooks.check(book.root, runs) if check else notebooks.write(book.root, runs)
    for line in stale:
        print(line, file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    _stop_like_an_interrupt()
    sys.exit(main())
