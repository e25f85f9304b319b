"""Runs every benchmark in turn and writes what they print to bench/RESULTS.md, one after another.

Run as `python bench/all.py [--only SCRIPT ...]`, on a machine with nothing else to do; the results
of scripts that are not run stay as they are. `--quick` takes small tables and single runs, to try
the benchmarks; it writes nothing and prints.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
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


HEAD = """\
# Benchmarks

Made by `python bench/all.py`. Seconds are those of the machine that is named; compare what stands
side by side in one table. Load is other work on the machine before the benchmark, if above 0.5.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="small tables, single runs; prints")
    parser.add_argument("--only", nargs="+", metavar="SCRIPT", help="such as funnel.py")
    options = parser.parse_args()
    for heading, script, whole, quick in BENCHES:
        if options.only and script not in options.only:
            continue
        print(f"{script} ...", file=sys.stderr)
        said = measured(script, quick if options.quick else whole)
        if options.quick:
            print(f"## {heading}\n\n{said}\n")
        else:
            put(heading, said)


def measured(script: str, arguments: tuple[str, ...]) -> str:
    """What a benchmark prints, after a line on when and where it was run."""
    about = where()
    done = subprocess.run(
        [sys.executable, str(HERE / script), *arguments], cwd=HERE.parent, stdout=subprocess.PIPE,
        text=True, env=os.environ | {"PYTHONPATH": str(HERE.parent), "OPENBLAS_NUM_THREADS": "1"})
    said = f"`bench/{script}`, {about}.\n\n{done.stdout.strip()}"
    return said + (f"\n\nEnded with exit code {done.returncode}." if done.returncode else "")


def put(heading: str, said: str) -> None:
    """Writes a benchmark's results in the place of its earlier ones."""
    there = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    parts = dict(re.findall(r"^## (.+)\n\n((?:(?!^## ).*\n?)*)", there, re.M)) | {heading: said}
    told = [f"## {name}\n\n{parts[name].strip()}\n" for name, *_ in BENCHES if name in parts]
    RESULTS.write_text("\n".join([HEAD, *told]), encoding="utf-8")


def where() -> str:
    """The day, the machine and the versions; ratios within a table travel better than seconds."""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PACKAGES)
    load = os.getloadavg()[0]
    busy = f"load {load:.1f}, " if load > 0.5 else ""
    return (f"{dt.date.today()}, {processor()}, {os.cpu_count()} cores, {busy}{platform.system()}, "
            f"Python {platform.python_version()}, {versions}")


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
