"""How often is the verdict right? Tables of known origin, judged again and again.

Run as `python tests/forensics/forensics_measure.py` from the root of the project; writes the counts
into `analysis/forensics/measured.py`, between the two marks. Takes some ten minutes; the
same seeds give the same counts.
"""

from __future__ import annotations

import collections
import re
import sys
from pathlib import Path

import ibis

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from forensics_worlds import WORLDS  # noqa: E402

from analysis.churn import reductions  # noqa: E402
from analysis.churn.real import real  # noqa: E402
from analysis.forensics.verdict import Reading  # noqa: E402

FILE = ROOT / "analysis" / "forensics" / "measured.py"
SIZES = (350, 1_050, 3_500)
RUNS = collections.defaultdict(lambda: 40, recorded=100)


def verdict(world: str, seed: int, n: int) -> Reading:
    """The verdict on one table."""
    table = ibis.memtable(WORLDS[world](seed, n))
    return real(table, reductions.reduce(table)).verdict.reading


def main() -> None:
    rows = []
    for world in WORLDS:
        for n in SIZES:
            found = collections.Counter(
                verdict(world, seed, n) for seed in range(1, RUNS[world] + 1))
            rows.append((world, n, *(found[reading] for reading in Reading)))
            print(*rows[-1], flush=True)
    made = "".join(f"    {row!r},\n".replace("'", '"') for row in rows)
    text = re.sub(r"(?s)(# <measured>\n).*(    # </measured>)", rf"\g<1>{made}\g<2>",
                  FILE.read_text(encoding="utf-8"))
    FILE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
