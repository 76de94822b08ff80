"""What Postgres does for a call: its statements, counted by pg_stat_statements."""

from collections.abc import Callable, Mapping

from benchmarks.load import Block
from benchmarks.postgres import connect
from benchmarks.tables import Cell, render_table

_BY_STATEMENT = """
    SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 64), calls, rows::float / calls,
           mean_exec_time, wal_bytes::float / calls, total_exec_time / %s * 1000
    FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
    WHERE datname = %s AND calls > 5
    ORDER BY total_exec_time DESC LIMIT 6"""
_HEADER = ["statement", "calls", "rows each", "ms each", "WAL bytes each", "us an answer"]


def measure_statements(server_url: str, database: str, loads: Mapping[str, Callable[[], Block]]) -> str:
    """Return a table of the statements that take most time, for each of ``loads``; each runs twice, and counts once."""
    rows: list[list[Cell]] = []
    with connect(server_url) as server:
        server.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        for name, load in loads.items():
            load()
            server.execute("SELECT pg_stat_statements_reset()")
            answers = len(load().latencies)
            found = server.execute(_BY_STATEMENT, [answers, database]).fetchall()
            rows += [[f"{name}: `{text}`", *figures] for text, *figures in found]
    return render_table(_HEADER, rows)
