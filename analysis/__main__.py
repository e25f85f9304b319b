"""`python -m analysis`: check tables, print every number of a study, write synthetic tables.

Exit codes: 0 fine, 1 the data is at fault, 2 the call is wrong.
"""

import argparse
import importlib
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import track
from tabulate import tabulate

from analysis import checks, contracts, simulate, sources
from analysis.results import scalar

_DESCRIPTION = "Check tables, print every number of a study, write synthetic tables."
# Modules with `results(tables: sources.Tables) -> dict`: a chapter's numbers by dotted name.
STUDIES = {
    "engagement": "analysis.engagement",
    "customers": "analysis.customers",
    "mooc": "analysis.mooc",
    "netflix": "analysis.churn",
    "trialers": "analysis.experiment",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
        return code
    except checks.ContractError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (sources.SourceError, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description=_DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", metavar="WHERE",
        help="folder with STUDY/TABLE.csv or .parquet, or an Ibis connection URL with tables "
        "STUDY_TABLE (default: BOOK_DATA, or else the shipped tables)",
    )

    check = commands.add_parser("check", parents=[data], help="check tables against contracts")
    check.add_argument("studies", nargs="*", metavar="STUDY", default=[],
                       help=f"{', '.join(contracts.CONTRACTS)} (default: all)")
    check.set_defaults(run=_check)

    results = commands.add_parser("results", parents=[data], help="print every number of a study")
    results.add_argument("study", metavar="STUDY", choices=STUDIES, help=", ".join(STUDIES))
    results.add_argument("--format", choices=("json", "table"), default="json",
                         help="default: json")
    results.set_defaults(run=_results)

    write = commands.add_parser("simulate", help="write a study's synthetic tables")
    write.add_argument("study", metavar="STUDY", choices=simulate.GENERATORS,
                       help=", ".join(simulate.GENERATORS))
    write.add_argument("--out", metavar="DIR", type=Path,
                       help="writes DIR/STUDY/TABLE.csv (default: the shipped tables' folder)")
    write.add_argument("--format", choices=simulate.FORMATS, default="csv", dest="file_format",
                       help="default: csv")
    write.add_argument("--seed", metavar="N", type=int, help="default: that of the shipped tables")
    write.add_argument("--scale", metavar="K", type=float, default=1.0,
                       help="multiplies the number of customers (default: 1)")
    write.set_defaults(run=_simulate)
    return parser


def _check(options: argparse.Namespace) -> int:
    """Print what does not fit as a table; what was read is said on standard error."""
    problems = []
    for study in options.studies or contracts.CONTRACTS:
        tables, found = sources.check_study(study, options.data)
        _say_where(tables)
        problems += found
        faults = any(problem.severity == "error" for problem in found)
        for name, table in tables.tables.items() if not faults else ():
            print(f"{study}/{name}: {table.count().to_pyarrow().as_py():,} rows fit the contract")
    if problems:
        frame = checks.to_frame(problems)
        cells = frame.astype(object).where(frame.notna(), "").values
        print(tabulate(cells, headers=list(frame.columns), disable_numparse=True))
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def _results(options: argparse.Namespace) -> int:
    tables = sources.open_study(options.study, options.data)
    if tables.fallback:
        _say_where(tables)
    for problem in tables.warnings:
        print(f"warning: {problem}; {problem.handling}", file=sys.stderr)
    study = importlib.import_module(STUDIES[options.study])
    try:
        found = study.results(tables)
    except ValueError as error:  # tables that fit the contract and are still too few or all alike
        print(f"error: {options.study}: {error}", file=sys.stderr)
        return 1
    values = {name: scalar(value) for name, value in found.items()}
    if options.format == "json":
        print(json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False))
    else:
        print(tabulate(values.items(), headers=("name", "value"), disable_numparse=True))
    return 0


def _simulate(options: argparse.Namespace) -> int:
    as_shipped = (options.seed, options.scale, options.file_format) == (None, 1, "csv")
    if options.out is None and not as_shipped:
        raise ValueError(
            "another seed, scale or format would replace the shipped tables: name --out DIR"
        )

    def watch(parts: Iterator) -> Iterator:
        return track(parts, options.study, math.ceil(options.scale), console=Console(stderr=True),
                     disable=not sys.stderr.isatty())

    written = simulate.write(options.study, options.out or sources.SHIPPED, options.seed,
                             options.scale, options.file_format, watch)
    for path, rows in written.items():
        print(f"{path}: {rows:,} rows", file=sys.stderr)
    return 0


def _say_where(tables: sources.Tables) -> None:
    note = " (nothing for this study in the place named)" if tables.fallback else ""
    print(f"{tables.study}: {tables.origin}{note}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
