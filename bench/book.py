"""Times whole builds of the book, side by side: cold and warm, embedded and (where it is) Quarto.

Run as `python bench/book.py [--runs N]`; prints a Markdown table of medians in seconds.
Cold: no execution cache, no earlier output. Warm: nothing has changed since the last build.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILT = ("_book", "_freeze", ".book", ".quarto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="runs of each build (default: 3)")
    runs = parser.parse_args().runs
    engines = ["embedded"] + (["quarto"] if shutil.which("quarto") else [])
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder, "book")
        ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", *BUILT)
        shutil.copytree(ROOT, book, ignore=ignored)
        for _ in range(runs):
            for engine in engines:
                clean(book)
                rows.setdefault((engine, "cold"), []).append(build(book, engine))
                rows.setdefault((engine, "warm"), []).append(build(book, engine))
    print(f"{os.cpu_count()} cores, {runs} runs; median seconds (least to most)\n")
    print("| renderer | build | seconds | times as long as embedded |\n|:--|:--|--:|--:|")
    for (engine, kind), seconds in rows.items():
        spread, middle = f"{min(seconds):.1f} to {max(seconds):.1f}", statistics.median(seconds)
        ratio = middle / statistics.median(rows["embedded", kind])
        print(f"| {engine} | {kind} | {middle:.1f} ({spread}) | {ratio:.2f} |")


def clean(book: Path) -> None:
    for name in BUILT:
        shutil.rmtree(book / name, ignore_errors=True)


def build(book: Path, engine: str) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "render", "book", "--engine", engine],
        cwd=book,
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
