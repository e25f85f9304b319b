"""What tests of several files share: studies, analysed once a run; the order of the files."""

import atexit
import functools
import gc
import os
import shutil
import tempfile
from pathlib import Path

import compiled_once
import hypothesis
import ibis
import pandas as pd
import pytest

from analysis import churn, customers, engagement, experiment, kept, mooc
from analysis.simulate import mooc as simulated_mooc
from analysis.sources import open_study

# Queries are made of many small objects that live long: looking for garbage among them at every
# 700 new ones, as Python does, takes a tenth of the time.
gc.set_threshold(50_000, 20, 50)
compiled_once.start()
# For small tables DuckDB's threads cost more than they bring: see `sources.SMALL`.
ibis.duckdb.connect = functools.partial(ibis.duckdb.connect, threads=1)
ibis.set_backend(ibis.duckdb.connect())
# For frames of some rows, Arrow's strings cost more than they bring.
pd.set_option("mode.string_storage", "python")
# On a machine that has other work an example may take long; that is no fault.
hypothesis.settings.register_profile("any machine", hypothesis.settings.default, deadline=None)
hypothesis.settings.load_profile("any machine")
SHARED = "TESTS_SHARED"  # names the folder of what all workers and notebooks share


def pytest_configure(config):
    if SHARED not in os.environ:
        folder = os.environ[SHARED] = tempfile.mkdtemp(prefix="tests-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        startup = Path(folder, "profile_default", "startup", "shared.py")
        startup.parent.mkdir(parents=True)
        startup.write_text(
            f"import gc, os\ngc.set_threshold{gc.get_threshold()}\n"
            f"os.environ.setdefault({kept.FOLDER!r}, {folder!r})\n"
            "import plotnine\n"
            "drawn = {'image/svg+xml': '<svg></svg>\\n'}, {}\n"
            "plotnine.ggplot._repr_mimebundle_ = lambda *_: drawn\n"
        )
    config.pluginmanager.register(KernelsOfNbval())


class KernelsOfNbval:
    """The kernels in which nbval runs the notebooks share the studies, and draw nothing.

    nbval compares no drawings. The test of the whole book draws every figure of the chapters, and
    holds the notebooks against them.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        if item.path.suffix != ".ipynb":
            return (yield)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IPYTHONDIR", os.environ[SHARED])
            return (yield)


def pytest_collection_modifyitems(items):
    """Files with slow tests first, so that no worker is left with them at the end.

    Keeps the order within files; `make test` has one file after another run by a worker.
    """
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish():
    """What is there before the first test stays until the last: no garbage to look for in it."""
    gc.collect()
    gc.freeze()


def shared(make, *arguments):
    """What is made of tables that no test changes, once for all workers and notebooks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(kept.FOLDER, os.environ[SHARED])
        return make(*arguments)


@pytest.fixture(scope="session")
def shared_folder():
    """Where the studies are that are shared so."""
    return os.environ[SHARED]


@pytest.fixture(scope="session")
def engagement_study():
    """The analysis of the shipped students."""
    return shared(engagement.analyse, shared(open_study, "engagement"))


@pytest.fixture(scope="session")
def customers_tables():
    """The shipped tables of the app."""
    return shared(open_study, "customers")


@pytest.fixture(scope="session")
def customers_study(customers_tables):
    """Their analysis."""
    return shared(customers.analyse, customers_tables)


@pytest.fixture(scope="session")
def mooc_tables():
    """The shipped tables of the MOOC."""
    return shared(open_study, "mooc")


@pytest.fixture(scope="session")
def mooc_study(mooc_tables):
    """Their analysis."""
    return shared(mooc.analyse, mooc_tables)


@pytest.fixture(scope="session")
def mooc_truth():
    """What the generator of the shipped tables of the MOOC has planted in them."""
    return simulated_mooc.generate()[1]


@pytest.fixture(scope="session")
def trialers_study():
    """The analysis of the shipped test of the widget."""
    return shared(experiment.analyse, shared(open_study, "trialers"))


@pytest.fixture(scope="session")
def netflix_study():
    """The analysis of the shipped subscribers."""
    return shared(churn.analyse, shared(open_study, "netflix"))
