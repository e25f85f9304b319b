"""The same query is turned into SQL once a process.

Ibis does it anew for every query, which takes a third of the time of reading a small table. The
tests read one small table after another, and often all that differs between two queries is the
connection, which the SQL does not name. Tables that `cache` makes are numbered by connection,
instead of named at random; frames are best put into a database (`held`), since of tables in memory
each has a name of its own, too.
"""

import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.duckdb import Backend
from ibis.backends.sql.compilers import DuckDBCompiler

MOST = 4_000  # queries
to_sqlglot = DuckDBCompiler.to_sqlglot


class _AnyConnection:
    """Equals every connection to a DuckDB."""

    def __eq__(self, other):
        return isinstance(other, Backend | _AnyConnection)

    def __hash__(self):
        return hash(_AnyConnection)


def start() -> None:
    """From now on DuckDB's queries are turned into SQL once."""
    compiled = {}

    def once(compiler, expr, *, limit=None, params=None):
        if params or isinstance(limit, str):
            return to_sqlglot(compiler, expr, limit=limit, params=params)
        op = expr.as_table().op()
        text = compiled.get((op, limit))
        if text is None:
            text = to_sqlglot(compiler, expr, limit=limit).sql("duckdb", copy=False)
            if not op.find(ops.InMemoryTable):  # it has a name of its own
                if len(compiled) == MOST:
                    compiled.clear()
                compiled[_of_any_connection(op), limit] = text
        return sge.Var(this=text)  # stands in a longer statement as it is

    create = Backend._create_cached_table

    def numbered(backend, name, expr):
        backend.cached = getattr(backend, "cached", 0) + 1
        return create(backend, f"cached_{backend.cached}", expr)

    Backend._create_cached_table = numbered
    Backend.__hash__ = lambda backend: hash(_AnyConnection)
    DuckDBCompiler.to_sqlglot = once


def _of_any_connection(op: ops.Node) -> ops.Node:
    """The query without its connection, which would stay open."""
    tables = op.find((ops.DatabaseTable, ops.SQLQueryResult))
    return op.replace({table: table.copy(source=_AnyConnection()) for table in tables})
