"""How time and memory of each study's analysis grow with its tables.

Run as `python bench/growth.py [--scales K...] [--studies STUDY...]`; prints a Markdown table. A
scale multiplies the customers of the shipped tables, and each analysis (`python -m analysis
results`, from Parquet) is a process of its own. Linux and macOS: memory is its peak resident size.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from big_tables import ROOT, STUDIES, run

SCALES = (1, 10, 100)


def measure(scales: tuple[float, ...], studies: tuple[str, ...]) -> list[tuple]:
    """One row a study and scale: study, scale, rows of its tables, seconds, peak GiB."""
    rows = []
    for study in studies:
        for scale in scales:
            with tempfile.TemporaryDirectory() as folder:
                # In a process of its own, so that its memory is not ours.
                write = ["simulate", study, "--out", folder, "--scale", str(scale)]
                subprocess.run([sys.executable, "-m", "analysis", *write, "--format", "parquet"],
                               cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
                size = sum(pq.read_metadata(p).num_rows for p in Path(folder, study).iterdir())
                seconds, _, peak = run(["results", study, "--data", folder])
            rows.append((study, scale, size, seconds, peak))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scales", type=float, nargs="+", default=SCALES, help="default: 1 10 100")
    parser.add_argument("--studies", nargs="+", default=STUDIES, choices=STUDIES,
                        help="default: all")
    options = parser.parse_args()
    found = measure(options.scales, options.studies)
    base = {study: (rows, seconds, peak) for study, scale, rows, seconds, peak in reversed(found)}
    print(f"{os.cpu_count()} cores, one run each; times of the study's first scale in brackets\n")
    print("| study | scale | rows | seconds | peak GiB |\n|:--|--:|--:|--:|--:|")
    for study, scale, rows, seconds, peak in found:
        first = base[study]
        print(f"| {study} | {scale:g} | {rows:,} ({rows / first[0]:.1f}) "
              f"| {seconds:.1f} ({seconds / first[1]:.1f}) | {peak:.2f} ({peak / first[2]:.1f}) |")


if __name__ == "__main__":
    main()
