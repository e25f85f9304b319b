"""What tests of several files share: studies, analysed once a run; the order of the files."""

import atexit
import gc
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from analysis import churn, customers, engagement, experiment, kept, mooc
from analysis.simulate import mooc as simulated_mooc
from analysis.sources import open_study

# Queries are made of many small objects that live long: looking for garbage among them at every
# 700 new ones, as Python does, takes a tenth of the time.
gc.set_threshold(50_000, 20, 50)


def pytest_configure():
    """The same for the kernels in which nbval runs the notebooks."""
    if "IPYTHONDIR" not in os.environ:
        profile = Path(tempfile.mkdtemp(prefix="ipython-"))
        startup = profile / "profile_default" / "startup" / "garbage.py"
        startup.parent.mkdir(parents=True)
        startup.write_text(f"import gc\ngc.set_threshold{gc.get_threshold()}\n")
        os.environ["IPYTHONDIR"] = str(profile)
        atexit.register(shutil.rmtree, profile, ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left with them at the end.

    Keeps the order within files; `make test` has one file after another run by a worker.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def analysed(tmp_path_factory):
    """Analyses tables that no test changes, once for all workers."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "studies"
    folder.mkdir(exist_ok=True)

    def study(analyse, tables):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(kept.FOLDER, str(folder))
            return analyse(tables)

    return study


@pytest.fixture(scope="session")
def engagement_study(analysed):
    """The analysis of the shipped students."""
    return analysed(engagement.analyse, open_study("engagement", "data"))


@pytest.fixture(scope="session")
def customers_tables():
    """The shipped tables of the app."""
    return open_study("customers", "data")


@pytest.fixture(scope="session")
def customers_study(analysed, customers_tables):
    """Their analysis."""
    return analysed(customers.analyse, customers_tables)


@pytest.fixture(scope="session")
def mooc_tables():
    """The shipped tables of the MOOC."""
    return open_study("mooc", "data")


@pytest.fixture(scope="session")
def mooc_study(analysed, mooc_tables):
    """Their analysis."""
    return analysed(mooc.analyse, mooc_tables)


@pytest.fixture(scope="session")
def mooc_truth():
    """What the generator of the shipped tables of the MOOC has planted in them."""
    return simulated_mooc.generate()[1]


@pytest.fixture(scope="session")
def trialers_study(analysed):
    """The analysis of the shipped test of the widget."""
    return analysed(experiment.analyse, open_study("trialers", "data"))


@pytest.fixture(scope="session")
def netflix_study(analysed):
    """The analysis of the shipped subscribers."""
    return analysed(churn.analyse, open_study("netflix", "data"))
