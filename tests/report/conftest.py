"""What the tests of the reports share."""

import pytest
from ibis.backends.duckdb import Backend


@pytest.fixture(scope="module", autouse=True)
def numbered_caches():
    """Tables that `cache` makes are numbered by connection, instead of named at random.

    So the queries of one world after another are the same, and are turned into SQL once (see
    `compiled_once`).
    """
    create = Backend._create_cached_table

    def numbered(backend, name, expr):
        backend.cached = getattr(backend, "cached", 0) + 1
        return create(backend, f"cached_{backend.cached}", expr)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backend, "_create_cached_table", numbered)
        yield
