"""Runs the R scripts that made the committed values of `oracle/`, where there is R."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


def made_by_r(script: Path, folder: Path, *arguments: str) -> Any:
    """What a script makes today; skips the test where R, or a package of its, is not there.

    Args:
        script: Writes JSON to the file that its last argument names, or prints it.
        folder: An empty one, for that file.
        arguments: What the script takes before it.
    """
    if shutil.which("Rscript") is None:
        pytest.skip("Rscript is not on PATH (Debian: r-base-core)")
    out = folder / "made.json"
    done = subprocess.run(["Rscript", "--vanilla", script, *arguments, out], cwd=ROOT,
                          capture_output=True, text=True)
    lacks = r"no package called .(\w+)|package .(\w+). must be installed"
    if done.returncode and (lacking := re.search(lacks, done.stderr)):
        name = lacking[1] or lacking[2]
        pytest.skip(f"R's package {name} is missing (Debian: r-cran-{name.lower()}, if it has it)")
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text(encoding="utf-8") if out.exists() else done.stdout)
