"""What the chapter says of its tables as a whole."""

from __future__ import annotations

from analysis.experiment import Study
from analysis.report import sentences
from analysis.report.text import Prose


def provenance(s: Study) -> Prose:
    """Whose tables these are."""
    return sentences.provenance(
        s, "after the source’s description of the test, which published no results, so every effect "
        "in them is planted")


def limits(s: Study) -> Prose:
    """What follows from where the tables are from."""
    if s.shipped:
        return Prose(
            "The shipped tables are made: what is found in them is what was planted, or chance, and "
            "says nothing about real customers. On tables of your own the same chapter does.")
    return Prose(
        "The findings are about the customers of this test; of others they speak only as far as "
        "these will be like them.")
