"""Time and peak memory of the command line on big tables: simulate, check, results.

Run as `python bench/big_tables.py [STUDY] [--scale K] [--format csv|parquet] [--keep DIR]`; prints
a Markdown table. The default is the MOOC at some 50 million events, which takes half an hour and
10 GB of disk. Linux and macOS: memory is the peak resident size of the process.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STUDIES = ("engagement", "customers", "mooc", "netflix", "trialers")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study", nargs="?", default="mooc", choices=STUDIES)
    parser.add_argument("--scale", type=float, default=646, help="default: 646")
    parser.add_argument("--format", default="csv", choices=("csv", "parquet"), dest="file_format",
                        help="default: csv")
    parser.add_argument("--keep", type=Path, help="folder for the tables, kept for the next run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = options.keep or Path(folder)
        runs = {} if (out / options.study).is_dir() else {
            "simulate": ["simulate", options.study, "--out", out, "--scale", options.scale,
                         "--format", options.file_format],
        }
        runs |= {
            "check": ["check", options.study, "--data", out],
            "results": ["results", options.study, "--data", out],
        }
        measured = {name: run([*map(str, arguments)]) for name, arguments in runs.items()}
        size = sum(path.stat().st_size for path in (out / options.study).iterdir())
    about = f"{options.study}, {size / 1e9:.1f} GB of {options.file_format}, {os.cpu_count()} cores"
    print(f"{about}\n")
    print("| command | wall s | CPU s | peak GiB |\n|:--|--:|--:|--:|")
    for name, (wall, cpu, peak) in measured.items():
        print(f"| {name} | {wall:.0f} | {cpu:.0f} | {peak:.2f} |")


def run(arguments: list[str]) -> tuple[float, float, float]:
    """Seconds of the clock, seconds of the processor, and peak GiB of a command."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "analysis", *arguments], cwd=ROOT,
                               stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)}: exit status {status}")
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    return (time.perf_counter() - started, usage.ru_utime + usage.ru_stime,
            usage.ru_maxrss * unit / 2**30)


if __name__ == "__main__":
    main()
