"""The very statements that the service executes for one call, to be executed again without it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg
from sqlalchemy import Executable

from app.db.batching import Work
from app.db.engine import Parameters, Tx
from app.db.sessions import Connection, Sessions
from app.db.statements import Rows, prepare
from app.errors import Refusal

_CONNECT_SECONDS = 10
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Said(NamedTuple):
    """A statement as the driver got it."""

    sql: bytes
    values: Mapping[str, Any]


class _Recorder(Tx):
    """A transaction that remembers its statements."""

    __slots__ = ("said",)

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, is_wary=False, is_promise=True)
        self.said: list[Said] = []

    async def execute(self, statement: Executable, parameters: Parameters | None = None) -> Rows:
        """Execute one statement, and remember it."""
        prepared = prepare(statement, frozenset(parameters or {}))
        self.said.append(Said(prepared.sql, prepared.fill_in(parameters or {})))
        return await super().execute(statement, parameters)


class Script:
    """What was executed for one call; can be executed again, about other ids."""

    def __init__(self, said: Sequence[Said], *, is_transaction: bool) -> None:
        self.said = said
        self.is_transaction = is_transaction
        """Whether BEGIN and COMMIT stood around it."""

    def find_ids(self) -> set[str]:
        """Return all UUIDs among its values."""
        texts = [value for said in self.said for value in said.values.values() if isinstance(value, str)]
        return {found for text in texts for found in _UUID.findall(text)}

    def about(self, others: Mapping[str, str]) -> "Script":
        """Return the same with ``others`` in the place of the texts that they are named by."""
        said = [
            Said(each.sql, {name: _replace(value, others) for name, value in each.values.items()}) for each in self.said
        ]
        return Script(said, is_transaction=self.is_transaction)

    def execute(self, connection: psycopg.Connection[Any]) -> Sequence[Any]:
        """Execute it; return the rows of the last statement."""
        rows: Sequence[Any] = ()
        if self.is_transaction:
            connection.execute("BEGIN")
        for said in self.said:
            rows = connection.execute(said.sql, said.values).fetchall()
        if self.is_transaction:
            connection.execute("COMMIT")
        return rows


def _replace(value: Any, others: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for text, other in others.items():
            value = value.replace(text, other)
    return value


async def record(url: str, work: Work[Item, Outcome], item: Item) -> tuple[Outcome, Script]:
    """Do the work of one item in a transaction; return its outcome and what was executed for it. Raises its Refusal."""
    connection = await Sessions(_CONNECT_SECONDS).open(url)
    async with connection:
        tx = _Recorder(connection)
        outcomes = await work(tx, [item])
        await tx.commit()
    outcome = outcomes[0]
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome, Script(tx.said, is_transaction=not tx.commits_each)
