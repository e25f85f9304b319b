"""What the chapter says of its table as a whole."""

from __future__ import annotations

from analysis.churn import Study
from analysis.report import sentences
from analysis.report.text import Prose, count


def provenance(s: Study) -> Prose:
    """Whose table this is."""
    return sentences.provenance(
        s, "to agree with the counts and means of the source's dashboard, while all else is chance "
        "or a planted effect")


def cleaning(s: Study) -> Prose:
    """What was cleaned."""
    rows = s.cleaning
    if rows.empty:
        return Prose("No row was at odds with another, and none was dropped.")
    gone = int(rows["count"][~rows["handling"].str.startswith("kept")].sum())
    told = count(int(rows["count"].sum()), "row was", "rows were")
    return Prose(f"{told} at odds with others, of which {count(gone, 'was', 'were')} left out.")


def limits(s: Study) -> Prose:
    """What follows from where the table is from."""
    if s.shipped:
        return Prose(
            "The shipped table is made, not recorded: what is found in it is what was planted, or "
            "chance, and says nothing about real subscribers (@sec-netflix-real). On a table of your "
            "own the same chapter does.")
    return Prose(
        "The findings are about the subscribers in this table; of those who will come later they "
        "speak only as far as these will be like them.")
