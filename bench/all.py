"""Runs every benchmark in turn and writes what they print to bench/RESULTS.md.

Run as `python bench/all.py [--quick]`, on a machine with nothing else to do. `--quick` takes small
tables and single runs: to try the benchmarks, not to learn from them. `--only SCRIPT ...` writes
nothing and prints.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
# Heading, script, its arguments, and those of --quick.
BENCHES = (
    ("Whole builds of the book", "book.py", (), ("--runs", "1")),
    ("BG/NBD against lifetimes", "customer_value.py", (),
     ("--customers", "20000", "--runs", "1")),
    ("Pairs of courses against mlxtend and pandas", "baskets.py", (), ("--runs", "1")),
    ("Pairs, sets of three and steps up on a large table", "pairs.py", (), ("--lines", "200000")),
    ("The funnel against hand-written SQL and pandas", "funnel.py", (),
     ("--events", "1000000", "--pandas-events", "500000", "--runs", "1")),
    ("Growth with the size of the tables", "growth.py", (), ("--scales", "1", "10")),
)
PACKAGES = ("duckdb", "ibis-framework", "numpy", "pandas", "scipy", "lifetimes", "mlxtend")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small tables, single runs")
    parser.add_argument("--only", nargs="+", metavar="SCRIPT", help="such as funnel.py")
    options = parser.parse_args()
    started, parts = time.perf_counter(), [about(options.quick)]
    for heading, script, whole, quick in BENCHES:
        if options.only and script not in options.only:
            continue
        print(f"{script} ...", file=sys.stderr)
        command = [sys.executable, str(HERE / script), *(quick if options.quick else whole)]
        done = subprocess.run(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True,
                              env=os.environ | {"PYTHONPATH": str(HERE.parent),
                                                "OPENBLAS_NUM_THREADS": "1"})
        said = done.stdout.strip()
        if done.returncode:
            said += f"\n\nEnded with exit code {done.returncode}."
        parts.append(f"## {heading}\n\n`bench/{script}`; {said}")
    parts.append(f"All of it took {(time.perf_counter() - started) / 60:.0f} minutes.")
    told = "\n\n".join(parts) + "\n"
    if options.only:
        print(told)
    else:
        (HERE / "RESULTS.md").write_text(told, encoding="utf-8")


def about(quick: bool) -> str:
    """The machine and the versions; seconds are theirs, ratios within a table travel better."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    note = "" if not quick else (
        "\n\n**Made by `--quick`: small tables, single runs.** "
        "It shows that the benchmarks run; nothing should be concluded from its numbers.")
    load = os.getloadavg()[0]
    return (
        "# Benchmarks\n\n"
        f"Made by `python bench/all.py` on {dt.date.today()}: {processor()}, {os.cpu_count()} "
        f"cores, {platform.system()}, Python {platform.python_version()}, {versions}.\n"
        f"The load before the first was {load:.1f}: other work on the machine, if above 0.5.\n"
        f"Seconds are those of this machine; compare what stands side by side in one table.{note}"
    )


def processor() -> str:
    """The processor's name, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
