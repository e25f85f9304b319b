"""Studies are analysed, and tables read, once a build, and never where nobody asked for it."""

import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from analysis import engagement, simulate, sources, templates
from analysis.checks import ContractError
from analysis.kept import FOLDER, kept, or_kept
from analysis.results import flatten
from analysis.sources import open_study


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


def test_tables_made_of_text_are_read_and_checked_once(folder, tmp_path, monkeypatch):
    """Found again they hold the same, at whatever page, and are announced as what was read."""
    templates.write(tmp_path / "own", ["customers"])
    checks = []
    check = sources.check_study
    monkeypatch.setattr(
        sources, "check_study", lambda *at: checks.append(at) or check(*at))
    heard = []
    sys.addaudithook(
        lambda event, args: heard.append(args[0]) if event == "analysis.read" else None)

    for study, fallback in (("customers", False), ("trialers", True)):
        first = open_study(study, tmp_path / "own")
        announced = set(heard)
        heard.clear()
        again = open_study(study, tmp_path / "own")
        assert set(heard) == announced
        heard.clear()
        assert again.fallback == first.fallback == fallback
        assert bool(first.warnings) == fallback
        assert replace(again, tables={}) == replace(first, tables={})
        assert list(again.tables) == list(first.tables)
        for name, table in first.tables.items():
            assert again.tables[name].schema() == table.schema()
            assert_frame_equal(again.tables[name].to_pandas(), table.to_pandas())
    assert len(checks) == 2
    open_study("trialers", "data")
    assert len(checks) == 3  # another place


def test_tables_at_fault_and_tables_that_stay_in_place_are_not_kept(folder, tmp_path):
    own = tmp_path / "own"
    templates.write(own, ["trialers"])
    table = next((own / "trialers").glob("*.csv"))
    good = table.read_text()
    table.write_text("nothing\n1\n")
    for _ in range(2):
        with pytest.raises(ContractError):
            open_study("trialers", own)
    table.write_text(good)
    open_study("trialers", own)
    assert [path.name for path in folder.glob("*-tables-*/about.pickle")] == ["about.pickle"]
    other = tmp_path / "other" / "engagement"
    other.mkdir(parents=True)
    students = pd.read_csv("data/engagement/students.csv", dtype=str, keep_default_na=False)
    students.head(50).to_parquet(other / "students.parquet")
    open_study("engagement", other.parent)
    assert not list(folder.glob("engagement-tables-*/*"))


def test_a_kept_study_is_the_study(folder, tmp_path, monkeypatch):
    """What comes back has the same numbers, and its headline is the whole."""
    simulate.write("engagement", tmp_path / "own", seed=11, scale=0.02)
    tables = open_study("engagement", tmp_path / "own")
    first, again = engagement.analyse(tables), engagement.analyse(tables)
    assert again is not first and flatten(again, engagement.KEYS) == flatten(first, engagement.KEYS)
    assert flatten(engagement.headline(tables), engagement.KEYS) == flatten(first, engagement.KEYS)
    monkeypatch.delenv(FOLDER)
    part = flatten(engagement.headline(tables), engagement.KEYS)
    assert part.items() < flatten(first, engagement.KEYS).items()
