"""The funnel by country and source: ours, hand-written DuckDB SQL and pandas, side by side.

Run as `python bench/funnel.py [--events N] [--pandas-events M] [--runs R] [--keep DIR]`; prints
Markdown tables. The default is 50 million events, which takes some minutes and 1.5 GB of disk: the
shipped events over and over, every time as other users. Each run is a process of its own, whose
peak memory is that of the process (Linux and macOS); runs take turns, and the median counts. All
must give the same counts.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import ibis
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analysis.mooc.funnels import COUNTRY, SOURCE, STAGES, funnel  # noqa: E402
from analysis.sources import MEMORY, open_study  # noqa: E402

EVENTS, PANDAS_EVENTS = 50_000_000, 10_000_000
LARGEST = 20 * 2**30  # bytes that pandas may take, where the machine has them
MISSING = "(not given)"

# Events of one moment count as in order; where a user's first events differ, the first in order.
SQL = """
with users as (
    select user_id,
           min(event_timestamp) filter (event_type = 'signed_up') as signed_up,
           arg_min(user_country, event_timestamp) as user_country,
           arg_min(referral_source, event_timestamp) as referral_source
    from events group by user_id
), enrolled as (
    select e.user_id, e.course_id, min(e.event_timestamp) as enrolled
    from events e join users u on e.user_id = u.user_id and e.event_timestamp >= u.signed_up
    where e.event_type = 'enrolled_in_course' and e.course_id is not null
    group by e.user_id, e.course_id
), completed as (
    select distinct e.user_id
    from events e join enrolled n
      on e.user_id = n.user_id and e.course_id = n.course_id and e.event_timestamp >= n.enrolled
    where e.event_type = 'completed_course'
)
select u.user_country, u.referral_source, count(*) as signed_up,
       count(n.user_id) as enrolled_in_course, count(c.user_id) as completed_course
from users u
left join (select distinct user_id from enrolled) n on n.user_id = u.user_id
left join completed c on c.user_id = u.user_id
where u.signed_up is not null
group by u.user_country, u.referral_source
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--events", type=int, default=EVENTS, help=f"default: {EVENTS:,}")
    parser.add_argument("--pandas-events", type=int, default=PANDAS_EVENTS,
                        help=f"of the smaller table (default: {PANDAS_EVENTS:,})")
    parser.add_argument("--runs", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--keep", type=Path, help="folder for the tables, kept for the next run")
    parser.add_argument("--once", nargs=2, metavar=("WAY", "TABLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.once:
        way, file = options.once[0], Path(options.once[1])
        if way == "build":
            build(file)
        else:
            print(json.dumps(once(way, file)))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = options.keep or Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        print(f"{os.cpu_count()} cores, {options.runs} runs; median (least to most)\n")
        small = min(options.pandas_events, options.events)
        compare(table(place, options.events), ("ours", "SQL"), options.runs)
        compare(table(place, small), ("ours", "SQL", "pandas"), options.runs)
        if options.events > small:
            compare(table(place, options.events), ("pandas",), 1)


def table(folder: Path, events: int) -> Path:
    """The events in a DuckDB file and, for pandas, in a Parquet file beside it."""
    file = folder / f"events_{events}.ddb"
    if not file.exists():
        # In a process of its own, whose memory the others would inherit as their peak.
        subprocess.run([sys.executable, __file__, "--once", "build", str(file)], check=True,
                       cwd=ROOT)
    return file


def build(file: Path) -> None:
    events = int(file.stem.split("_")[1])
    with duckdb.connect(str(file), config={"memory_limit": MEMORY}) as connection:
        shipped = open_study("mooc", ROOT / "data").table("events").to_pyarrow()
        connection.register("shipped", shipped)
        connection.execute(f"""
            create table events as
            select user_id || '-' || copy as user_id, event_timestamp, event_type, course_id,
                   user_country, referral_source
            from range({-(-events // shipped.num_rows)}) copies(copy), shipped
            limit {events}
        """)
        connection.execute(f"copy events to '{file.with_suffix('.parquet')}' (format parquet)")


def compare(file: Path, ways: tuple[str, ...], runs: int) -> None:
    """Runs the ways in turn and prints a table of them."""
    events = int(file.stem.split("_")[1])
    found: dict[str, list[dict]] = {way: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            found[way].append(run(way, file))
    print(f"{events:,} events\n")
    print("| way | wall s | CPU s | of it reading | peak GiB |\n|:--|--:|--:|--:|--:|")
    for way, results in found.items():
        if any("failed" in result for result in results):
            print(f"| {way} | {results[-1]['failed']} | | | |")
            continue
        wall, cpu, peak = ([r[name] for r in results] for name in ("wall", "cpu", "peak"))
        reading = statistics.median(r["reading"] for r in results)
        print(f"| {way} | {statistics.median(wall):.2f} ({min(wall):.2f} to {max(wall):.2f}) "
              f"| {statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f}) "
              f"| {reading:.2f} | {max(peak):.2f} |")
    counts = [r["counts"] for results in found.values() for r in results if "counts" in r]
    if any(one != counts[0] for one in counts):
        raise SystemExit("the ways give different counts")
    if "ours" in found:
        for way in ways[1:]:
            times = {
                name: statistics.median(r[name] for r in found[way])
                / statistics.median(r[name] for r in found["ours"]) for name in ("wall", "cpu")
            }
            if way == "SQL":
                print(f"\nours / SQL: {1 / times['wall']:.2f} wall, {1 / times['cpu']:.2f} CPU")
            else:
                computing = statistics.median(r["wall"] - r["reading"] for r in found[way])
                ours = statistics.median(r["wall"] for r in found["ours"])
                print(f"{way} / ours: {times['wall']:.1f} wall, {times['cpu']:.1f} CPU; "
                      f"{computing / ours:.1f} without pandas' reading")
    print(flush=True)


def run(way: str, file: Path) -> dict:
    """One way in a process of its own."""
    command = [sys.executable, __file__, "--once", way, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        # Arrow has its own words for it; on the smaller table the same code has worked.
        said = (done.stderr.strip().splitlines() or [""])[-1]
        if way == "pandas" and re.search("[Mm]emory|alloc|ArrowException", said):
            return {"failed": f"does not fit into {allowed() / 2**30:.0f} GiB"}
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def once(way: str, file: Path) -> dict:
    """Seconds of the clock and of the processor, peak GiB, and the counts."""
    started, before = time.perf_counter(), time.process_time()
    frame, reading = {"ours": ours, "SQL": by_hand, "pandas": with_pandas}[way](file)
    wall, cpu = time.perf_counter() - started, time.process_time() - before
    unit = 1 if sys.platform == "darwin" else 1024  # of ru_maxrss, in bytes
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
    counts = {"|".join(key): row for key, row in zip(frame.index, frame.to_numpy().tolist(),
                                                     strict=True)}
    return {"wall": wall, "cpu": cpu, "reading": reading, "peak": peak,
            "counts": dict(sorted(counts.items()))}


def ours(file: Path) -> tuple[pd.DataFrame, float]:
    connection = ibis.duckdb.connect(file, read_only=True, memory_limit=MEMORY)
    return funnel(connection.table("events"), by=(COUNTRY, SOURCE)), 0.0


def by_hand(file: Path) -> tuple[pd.DataFrame, float]:
    with duckdb.connect(str(file), True, {"memory_limit": MEMORY}) as connection:
        frame = connection.execute(SQL).df()
    return frame.fillna(MISSING).set_index([COUNTRY, SOURCE]).astype("int64"), 0.0


def allowed() -> int:
    """Bytes that pandas may take, so that it never pushes the machine out of memory."""
    known = Path("/proc/meminfo")
    if not known.exists():
        return LARGEST
    lines = dict(line.split(":") for line in known.read_text().splitlines())
    return min(LARGEST, int(0.9 * 1024 * int(lines["MemAvailable"].split()[0])))


def with_pandas(file: Path) -> tuple[pd.DataFrame, float]:
    resource.setrlimit(resource.RLIMIT_AS, (allowed(),) * 2)
    started = time.perf_counter()
    events = pd.read_parquet(file.with_suffix(".parquet"))
    reading = time.perf_counter() - started

    of_stage = {stage: events[events["event_type"] == stage] for stage in STAGES}
    signed, enrolled, completed = of_stage.values()
    first = events.loc[events.groupby("user_id")["event_timestamp"].idxmin()]
    users = first.set_index("user_id")[[COUNTRY, SOURCE]].fillna(MISSING)
    signed = signed.groupby("user_id")["event_timestamp"].min().rename("start")
    enrolled = enrolled.join(signed, on="user_id", how="inner")
    enrolled = enrolled[enrolled["event_timestamp"] >= enrolled["start"]]
    start = enrolled.groupby(["user_id", "course_id"])["event_timestamp"].min().rename("start")
    completed = completed.join(start, on=["user_id", "course_id"], how="inner")
    completed = completed[completed["event_timestamp"] >= completed["start"]]
    reached = (signed.index, enrolled["user_id"].unique(), completed["user_id"].unique())
    columns = {
        stage: users.loc[ids].groupby([COUNTRY, SOURCE]).size()
        for stage, ids in zip(STAGES, reached, strict=True)
    }
    return pd.DataFrame(columns).fillna(0).astype("int64"), reading


if __name__ == "__main__":
    main()
