"""How often is the verdict on logs of trialers right? Tables of known origin, judged again.

Run as `python tests/forensics/trialer_measure.py` from the root of the project; writes the counts
into `analysis/forensics/measured.py`, between the two marks. Takes some fifteen minutes of two
cores; the same seeds give the same counts.

The rule was built with tables of seeds below `FIRST_SEED` in view, so they can't measure it.
"""

from __future__ import annotations

import collections
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import ibis
import ibis.expr.types as ir

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "forensics")]

from trialer_worlds import WORLDS  # noqa: E402

from analysis.experiment import reductions  # noqa: E402
from analysis.experiment.real import real  # noqa: E402
from analysis.forensics.verdict import Reading  # noqa: E402
from analysis.sources import Tables  # noqa: E402

FILE = ROOT / "analysis" / "forensics" / "measured.py"
SIZES = (1_200, 12_000)
RUNS = collections.defaultdict(lambda: 20, recorded=100)
FIRST_SEED = 1_001


def verdict(world: str, seed: int, n: int) -> Reading:
    """The verdict on the tables of one test."""
    held = {name: ibis.memtable(frame) for name, frame in WORLDS[world](seed, n).items()}
    tables = Tables("trialers", world, False, False, held)
    with reductions.per_customer(tables).cache() as customers:
        return real(looked_at(tables, customers), customers, tables).verdict.reading


def looked_at(tables: Tables, customers: ir.Table) -> SimpleNamespace:
    """Those of the study's reductions that the signs look at."""
    starts, paths = reductions.starts_of(customers), reductions.paths_of(customers)
    window = reductions.window_of(tables, starts)
    tried = reductions.cases(customers)
    return SimpleNamespace(
        window=window, customers=paths.groupby("cohort")["customers"].sum().to_dict(),
        starts=starts, paths=paths, cells=reductions.cells_of(tried),
        decisions=reductions.decisions_of(customers, window.day),
        faults=reductions.faults_of(customers, tried))


def main() -> None:
    rows = []
    with ProcessPoolExecutor(2) as pool:
        for world in WORLDS:
            for n in SIZES:
                runs = RUNS[world]
                seeds = range(FIRST_SEED, FIRST_SEED + runs)
                found = collections.Counter(
                    pool.map(verdict, [world] * runs, seeds, [n] * runs))
                rows.append((world, n, *(found[reading] for reading in Reading)))
                print(*rows[-1], flush=True)
    made = "".join(f"    {row!r},\n".replace("'", '"') for row in rows)
    text = re.sub(r"(?s)(# <trialers>\n).*(    # </trialers>)", rf"\g<1>{made}\g<2>",
                  FILE.read_text(encoding="utf-8"))
    FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
