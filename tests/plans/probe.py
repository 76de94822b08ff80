"""Explains statements as the service sends them, prepared on the server, and counts the rows they read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from pydantic_core import to_json
from sqlalchemy import Engine, Executable, create_engine, event

from app.db.engine import read_url

EXPLAIN = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE probe"


@dataclass(frozen=True)
class Plan:
    """What one execution of a statement did."""

    root: dict[str, Any]

    def nodes(self) -> Iterator[dict[str, Any]]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])

    def scans_whole(self, table: str) -> bool:
        """Whether some node reads all of ``table``."""
        return any(node["Node Type"] == "Seq Scan" and node["Relation Name"] == table for node in self.nodes())

    def rows_read(self, table: str) -> float:
        """Rows of ``table`` that were looked at, kept or not; entries of its indexes that led to a bitmap too."""
        return float(
            sum(
                node["Actual Loops"]
                * (
                    node["Actual Rows"]
                    + node.get("Rows Removed by Filter", 0)
                    + node.get("Rows Removed by Index Recheck", 0)
                )
                for node in self.nodes()
                if _reads(node, table)
            )
        )

    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes() if "Index Name" in node}

    def rows_returned(self) -> float:
        return float(self.root["Actual Rows"])


def _reads(node: Mapping[str, Any], table: str) -> bool:
    if node["Node Type"] == "Bitmap Index Scan":
        return table.rstrip("s") in node["Index Name"]
    return node.get("Relation Name") == table and "Scan" in node["Node Type"]


class _ExplainedError(Exception):
    """The plan is there; the statement itself is not to run once more."""


class Probe:
    """Explains statements in transactions that are rolled back."""

    def __init__(self, url: str) -> None:
        self._engine = make_sync_engine(url)
        self._plans: list[Plan] = []
        self._mode = ""
        event.listen(self._engine, "before_cursor_execute", self._explain)

    def explain(self, statement: Executable, values: Mapping[str, Any], *, generic: bool = False) -> Plan:
        """Return the plan of ``statement``: for these values, or ``generic`` for all."""
        self._mode = "force_generic_plan" if generic else "force_custom_plan"
        with self._engine.connect() as connection:
            try:
                connection.execute(statement, values)
            except _ExplainedError:
                return self._plans.pop()
        raise AssertionError

    def _explain(self, _connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        query = PostgresQuery(Transformer(cursor.connection))
        query.convert(statement, values)
        names = dict.fromkeys(re.findall(r"%\((\w+)\)s", statement))
        literals = [sql.Literal(values[name]).as_bytes(cursor.connection) for name in names]
        with psycopg.Cursor[Any](cursor.connection) as own:
            own.execute(sql.SQL("SET LOCAL plan_cache_mode = {}").format(sql.Literal(self._mode)))
            own.execute(b"DEALLOCATE ALL")
            types = [_type_name(own, oid) for oid in query.types]
            own.execute(_call(b"PREPARE probe", types) + b" AS " + query.query, prepare=False)
            own.execute(_call(EXPLAIN, literals))
            row = own.fetchone()
        assert row
        self._plans.append(Plan(row[0][0]["Plan"]))
        raise _ExplainedError

    def close(self) -> None:
        self._engine.dispose()


def _call(name: bytes, arguments: Sequence[bytes]) -> bytes:
    return name + b" (" + b", ".join(arguments) + b")" if arguments else name


def _type_name(cursor: psycopg.Cursor[Any], oid: int) -> bytes:
    row = cursor.execute("SELECT CASE %s WHEN 0 THEN 'unknown' ELSE %s::regtype::text END", (oid, oid)).fetchone()
    assert row
    return str(row[0]).encode()


def make_sync_engine(url: str) -> Engine:
    """Return an engine that compiles and binds as the service's own, without its event loop."""
    return create_engine(read_url(url), json_serializer=lambda value: to_json(value).decode())
