"""The committed reference values are what R gives today."""

import json
import math
from pathlib import Path

from r_scripts import made_by_r

ORACLE = Path(__file__).parent / "oracle"


def leaves(value, path=""):
    """Every number or string with its path."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from leaves(inner, f"{path}/{i}")
    else:
        yield path, value


def test_r_still_gives_the_committed_values(tmp_path):
    fresh = dict(leaves(made_by_r(ORACLE / "reference.R", tmp_path)))
    committed = dict(leaves(json.loads((ORACLE / "reference.json").read_text())))
    assert fresh.keys() == committed.keys()
    for path, value in committed.items():
        # Roots are found to a tolerance, which other versions of R may reach differently.
        assert math.isclose(fresh[path], value, rel_tol=1e-6, abs_tol=1e-9), path
