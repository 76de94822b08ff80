"""A transaction that watches in which order it takes its locks: tests run with it in the place of the service's own."""

import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, TypeAlias
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import Executable, TextClause
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

from app.db.engine import Tx
from app.db.sessions import Connection
from app.db.statements import Rows
from app.store.locks import AT_ANY_TIME, IN_ANY_ORDER, Lock, Rank, Way

_LOCKS = re.compile(r"\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b|pg_(try_)?advisory_xact_lock")
_CHANGES = re.compile(r"\bUPDATE \w+ SET\b|\bDELETE FROM\b|\bDO UPDATE SET\b")
_WAITS_FOR_MANY = re.compile(r"\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b(?!.*SKIP LOCKED)", re.DOTALL)
_DIALECT = postgresql.dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
_NAMES: Mapping[Rank, Sequence[str]] = {
    Rank.deliveries: ["keys"],
    Rank.scheduled_names: ["names"],
    Rank.schedules: ["ids", "names", "of_schedule", "schedule_id"],
    Rank.runs: ["ids", "of_run", "workflow_run_id"],
    Rank.tasks: ["ids", "task_id"],
    Rank.queues: ["of_queue"],
    Rank.monitors: ["names", "of_monitor", "name"],
}
"""What parameters are called, or columns of the parameter `rows`, that name what is locked."""


BROKEN: list[str] = []
"""What transactions have done wrong, also where that was answered by a failed request or by another round."""


class LockOrderError(AssertionError):
    """A statement locks what it must not, or does not say what it locks."""


def compiled(statement: Executable) -> str:
    """Return the SQL of ``statement``, with its parameters named."""
    assert isinstance(statement, ClauseElement)
    return str(statement.compile(dialect=_DIALECT))


@lru_cache(maxsize=4096)
def declared(statement: Executable) -> Lock | None:
    """Return what ``statement`` says that it locks. Raises LockOrderError if it locks and says nothing."""
    said = statement.get_execution_options().get("locks")
    if said is None and must_declare(statement):
        raise LockOrderError(f"says nothing of what it locks: {compiled(statement)}")
    return Lock(said, Way.waits) if isinstance(said, Rank) else said


def must_declare(statement: Executable) -> bool:
    """Return whether ``statement`` locks what was there before; what tests change by texts is their own business."""
    text = compiled(statement)
    return bool(_LOCKS.search(text) or (_CHANGES.search(text) and not isinstance(statement, TextClause)))


def is_ordered(statement: Executable) -> bool:
    """Return whether a statement that waits for rows takes them in an order, or names a single one."""
    text = compiled(statement)
    return not _WAITS_FOR_MANY.search(text) or "ORDER BY" in text or "= %(" in text


class LockOrder:
    """What one transaction has locked so far."""

    def __init__(self) -> None:
        self.rank: Rank | None = None
        """The highest that it has."""
        self.keys: dict[Rank, set[Any]] = {}
        """What is known of the rows that it has, by rank."""

    def copy(self) -> "LockOrder":
        """Return what is locked now, for a savepoint to come back to."""
        other = LockOrder()
        other.rank, other.keys = self.rank, {rank: set(keys) for rank, keys in self.keys.items()}
        return other

    def take(self, statement: Executable, parameters: Any) -> None:
        """Take note of a statement that is about to run. Raises LockOrderError if it must not wait now."""
        lock = declared(statement)
        if lock is None or _is_of_none(parameters):
            return
        keys = set(_keys_of(lock.rank, parameters))
        known = self.keys.setdefault(lock.rank, set())
        if lock.way is Way.waits and not (keys and keys <= known):
            self._check(lock.rank, keys - known, statement)
        if lock.way is Way.held and lock.rank not in self._seen():
            raise LockOrderError(f"has locked no {lock.rank.name} before: {compiled(statement)}")
        known |= keys
        if lock.way in (Way.waits, Way.skipped, Way.new):
            known.add(None)
        if lock.way is Way.waits:
            self.rank = max(lock.rank, self.rank or lock.rank)

    def learn(self, statement: Executable, rows: Iterable[Sequence[Any]]) -> None:
        """Take note of what a statement has found and locked: its first column says what."""
        if lock := declared(statement):
            self.keys.setdefault(lock.rank, set()).update(row[0] for row in rows if row and isinstance(row[0], UUID))

    def _seen(self) -> set[Rank]:
        return {rank for rank, keys in self.keys.items() if None in keys}

    def _check(self, rank: Rank, new: set[Any], statement: Executable) -> None:
        if self.rank is None or rank > self.rank or rank in AT_ANY_TIME:
            return
        if rank < self.rank:
            raise LockOrderError(f"waits for {rank.name} after {self.rank.name}: {sorted(new)} {compiled(statement)}")
        known = self.keys[rank] - {None}
        if rank not in IN_ANY_ORDER and not (new and known and min(new) > max(known)):
            raise LockOrderError(f"takes {rank.name} again, and not higher ones: {compiled(statement)}")


def _is_of_none(parameters: Any) -> bool:
    return isinstance(parameters, Mapping) and "ids" in parameters and not parameters["ids"]


def _keys_of(rank: Rank, parameters: Any) -> Iterator[Any]:
    if not isinstance(parameters, Mapping):
        return
    rows = from_json(parameters["rows"]) if "rows" in parameters else []
    for values in (parameters, *rows):
        for name in _NAMES.get(rank, ()):
            if (value := values.get(name)) is not None:
                yield from map(_as_id, value) if isinstance(value, list | tuple | set) else [_as_id(value)]


def _as_id(value: Any) -> Any:
    try:
        return UUID(value) if isinstance(value, str) else value
    except ValueError:
        return value


Watcher: TypeAlias = Callable[[Connection, str], None]
WATCHERS: list[Watcher] = []
"""Who is told of every statement that is executed, and on which connection."""


class OrderedTx(Tx):
    """A transaction whose locks are taken in the one order, or else the test fails."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.order = LockOrder()

    def commit_together(self) -> None:
        if self.commits_each:
            self.order = LockOrder()
        super().commit_together()

    async def _run(self, statement: Executable, parameters: Mapping[str, Any], *, prepare: bool | None = None) -> Rows:
        if self.commits_each:
            self.order = LockOrder()
        try:
            self.order.take(statement, parameters)
        except LockOrderError as failure:
            BROKEN.append(str(failure))
            raise
        for watch in WATCHERS:
            watch(self._connection, compiled(statement))
        rows = await super()._run(statement, parameters, prepare=prepare)
        if declared(statement) is not None:
            self.order.learn(statement, rows)
        return rows

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        before = self.order.copy()
        try:
            async with super().savepoint():
                yield
        except BaseException:
            self.order = before
            raise


@contextmanager
def watching(watch: Watcher) -> Iterator[None]:
    """Tell ``watch`` of every statement in the block."""
    WATCHERS.append(watch)
    try:
        yield
    finally:
        WATCHERS.remove(watch)
