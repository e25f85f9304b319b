"""`python -m analysis`: write templates, check tables, print every number of a study, simulate.

Exit codes: 0 fine, 1 the data is at fault, 2 the call is wrong.
"""

import argparse
import importlib
import json
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.progress import track
from tabulate import tabulate

from analysis import checks, contracts, simulate, sources, templates
from analysis.results import scalar

log = logging.getLogger("analysis")
_DESCRIPTION = (
    "Write templates for tables of your own, check tables, print every number of a study, write "
    "synthetic tables."
)
_EXAMPLES = """\
examples:
  python -m analysis template my-tables netflix         a form to fill with my own rows
  python -m analysis check --data my-tables netflix     do my tables fit?
  python -m analysis results netflix --data my-tables   every number of the chapter, as JSON
  python -m analysis simulate mooc --out big --scale 20 a larger example to try things on

exit code: 0 fine, 1 the data is at fault, 2 the call is wrong.
What each table must look like is in data/README.md.
"""
_TEMPLATE = """\
Writes every table of a study as CSV, DIR/STUDY/TABLE.csv: the header and two example rows that fit
the contracts. Where a table is there already, nothing is written.
"""
_CHECK = """\
Holds tables against their contracts (data/README.md) and prints, as one table, all that does not
fit: file, column, row, value, rule, and how many rows. An error stops the book (exit code 1), and
so does a study that is named and not there; a warning says how the book handles the rows.
"""
_RESULTS = """\
Prints every number that a study's chapter reports, by name, on standard output; warnings go to
standard error. Exit code 1: the tables do not fit, or are too few to compute with.
"""
_SIMULATE = """\
Writes the synthetic tables of a study, in parts, so that memory stays flat at any scale. The same
seed and scale give the same bytes.
"""
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
    except duckdb.Error as error:  # of the machine: files that do not fit are told as problems
        need = f"free memory, or disk space in {tempfile.gettempdir()}"
        print(f"error: {str(error).splitlines()[0]}; it may need {need}", file=sys.stderr)
        return 2
    except (sources.SourceError, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of a pipe has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"error: {error}", file=sys.stderr)
        return 2


@contextmanager
def _progress() -> Iterator[None]:
    """On a terminal, what is going on stands in the last line while it lasts.

    Nothing may be printed meanwhile: it would go to the line's stream, standard error.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status("") as status:
        handler = logging.Handler()
        handler.emit = lambda record: status.update(escape(record.getMessage()))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        try:
            yield
        finally:
            log.removeHandler(handler)


def _parser() -> argparse.ArgumentParser:
    def formatter(prog: str) -> argparse.HelpFormatter:
        return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=96)

    parser = argparse.ArgumentParser(
        prog="python -m analysis", description=_DESCRIPTION, epilog=_EXAMPLES,
        formatter_class=formatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    studies = f"one of {', '.join(STUDIES)}"
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", metavar="WHERE",
        help="a folder with STUDY/TABLE.csv or .parquet, or the URL of a database that has tables "
        "STUDY_TABLE: duckdb://shop.ddb, postgres://user@host/base, pyspark://, ... (default: "
        "what BOOK_DATA names, or else the shipped tables)",
    )

    template = commands.add_parser(
        "template", help="write empty tables to fill with your own rows",
        description=_TEMPLATE, formatter_class=formatter,
    )
    template.add_argument("folder", metavar="DIR", type=Path, help="made if it is not there")
    template.add_argument("studies", nargs="*", metavar="STUDY", default=[],
                          help=f"{studies}; several may be named (default: all)")
    template.set_defaults(run=_template)

    check = commands.add_parser(
        "check", parents=[data], help="tell what in your tables does not fit",
        description=_CHECK, formatter_class=formatter,
    )
    check.add_argument("studies", nargs="*", metavar="STUDY", default=[],
                       help=f"{studies}; several may be named (default: all that are there)")
    check.set_defaults(run=_check)

    results = commands.add_parser(
        "results", parents=[data], help="print every number of a study",
        description=_RESULTS, formatter_class=formatter,
    )
    results.add_argument("study", metavar="STUDY", choices=STUDIES, help=studies)
    results.add_argument("--format", choices=("json", "table"), default="json",
                         help="default: json")
    results.set_defaults(run=_results)

    write = commands.add_parser(
        "simulate", help="write a study's synthetic tables", description=_SIMULATE,
        formatter_class=formatter,
    )
    write.add_argument("study", metavar="STUDY", choices=simulate.GENERATORS, help=studies)
    write.add_argument("--out", metavar="DIR", type=Path,
                       help="where to write STUDY/TABLE.csv (default: over the shipped tables, "
                       "which then stay the same, byte for byte)")
    write.add_argument("--format", choices=simulate.FORMATS, default="csv", dest="file_format",
                       help="default: csv")
    write.add_argument("--seed", metavar="N", type=int,
                       help="a whole number, 0 or more (default: that of the shipped tables)")
    write.add_argument("--scale", metavar="K", type=float, default=1.0,
                       help="multiplies the number of customers: 0.01 or more (default: 1)")
    write.set_defaults(run=_simulate)
    return parser


def _template(options: argparse.Namespace) -> int:
    for path in templates.write(options.folder, options.studies):
        print(path)
    return 0


def _check(options: argparse.Namespace) -> int:
    """Print what does not fit as a table; what was read is said on standard error."""
    problems, fits, lacking = [], [], []
    for study in options.studies or contracts.CONTRACTS:
        with _progress():
            own = sources.check_own(study, options.data)
            if own is None:
                lacking.append(study)
                continue
            tables, found = own
            faults = any(problem.severity == "error" for problem in found)
            rows = {} if faults else {
                name: table.count().to_pyarrow().as_py() for name, table in tables.tables.items()
            }
        print(f"{study}: {tables.origin}", file=sys.stderr)
        problems += found
        fits += [_fits(f"{study}/{name}", n) for name, n in rows.items()]
    print(*fits, sep="\n", end="\n" if fits else "")
    if problems:
        frame = checks.to_frame(problems)
        cells = frame.astype(object).where(frame.notna(), "").values
        print(tabulate(cells, headers=list(frame.columns), disable_numparse=True))
    for study in lacking if options.studies else ():
        print(f"error: {study}: {sources.lacking(study, options.data)}", file=sys.stderr)
    if lacking and not options.studies:
        print(f"nothing for {', '.join(lacking)}", file=sys.stderr)
    faults = any(problem.severity == "error" for problem in problems)
    return 1 if faults or (lacking and (options.studies or not fits)) else 0


def _fits(table: str, rows: int) -> str:
    if not rows:  # others would not have come this far
        return f"{table}: no rows, and none needed"
    return f"{table}: {rows:,} row{'s fit' if rows > 1 else ' fits'} the contract"


def _results(options: argparse.Namespace) -> int:
    with _progress():
        tables = sources.open_study(options.study, options.data)
        if tables.fallback:
            print(f"error: {options.study}: {sources.lacking(options.study, options.data)}",
                  file=sys.stderr)
            return 1
        log.info("computing the numbers of %s", options.study)
        try:
            found = importlib.import_module(STUDIES[options.study]).results(tables)
        except ValueError as error:  # tables that fit and are still too few, or all alike
            print(f"error: {options.study}: {error}", file=sys.stderr)
            return 1
    for problem in tables.warnings:
        print(f"warning: {problem}; {problem.handling}", file=sys.stderr)
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


if __name__ == "__main__":
    sys.exit(main())
