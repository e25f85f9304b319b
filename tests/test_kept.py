"""Studies are analysed once a build, and never where nobody asked for it."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from analysis import engagement, mooc
from analysis.kept import FOLDER, kept, or_kept


@dataclass(frozen=True)
class Place:
    """As much of tables as tells where they are."""

    study: str = "engagement"
    origin: str = "here"
    fallback: bool = False


class Counting:
    """An analysis that counts its runs."""

    def __init__(self):
        self.runs = 0

    def __call__(self, tables):
        self.runs += 1
        return {"of": tables.origin, "run": self.runs}

    __name__ = __qualname__ = "analyse"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def test_without_a_folder_every_call_analyses(monkeypatch):
    monkeypatch.delenv(FOLDER, raising=False)
    counting = Counting()
    analyse = kept(counting)
    assert [analyse(Place())["run"] for _ in range(3)] == [1, 2, 3]


def test_a_place_is_analysed_once(folder):
    counting = Counting()
    analyse, part = kept(counting), or_kept(lambda tables: "part")
    assert part(Place()) == "part"
    places = [Place(), Place(), Place(origin="there"), Place(fallback=True), Place(study="mooc")]
    found = [analyse(place) for place in places]
    assert [each["run"] for each in found] == [1, 1, 2, 3, 4]
    assert part(Place()) == found[0]
    assert not [path for path in folder.iterdir() if path.suffix not in (".pickle", ".lock")]


def test_those_who_ask_at_once_wait_for_the_first(folder):
    counting = Counting()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: kept(counting)(Place()), range(8)))
    assert counting.runs == 1 and all(each == found[0] for each in found)


def test_an_error_is_not_kept(folder):
    def failing(tables):
        raise ValueError("too few")

    for _ in range(2):
        with pytest.raises(ValueError, match="too few"):
            kept(failing)(Place())
    assert kept(Counting())(Place())["run"] == 1


def test_a_kept_study_is_the_study(folder, engagement_study, mooc_tables, mooc_study):
    """What comes back has the same numbers, and its headline is the whole."""
    again = mooc.analyse(mooc_tables)
    assert repr(again.value) == repr(mooc_study.value)
    assert repr(mooc.headline(mooc_tables).funnel) == repr(mooc_study.funnel)
    assert mooc.headline(mooc_tables).rules is not None  # the kept one holds more than its part
    assert set(vars(engagement_study)) == set(engagement.Study.__dataclass_fields__)
