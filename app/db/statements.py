"""Statements as the driver executes them: compiled once, with how values go in and how rows come out."""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import psycopg
from sqlalchemy import Executable, Row
from sqlalchemy.dialects.postgresql.psycopg import PGDialectAsync_psycopg
from sqlalchemy.exc import MultipleResultsFound, NoResultFound
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from app.domain.json_texts import JsonText, write_json

Process: TypeAlias = Callable[[Any], Any]


def write_json_text(value: Any) -> str:
    """Return a value as the JSON that is stored."""
    return write_json(value).decode()


DIALECT = PGDialectAsync_psycopg(  # type: ignore[no-untyped-call]
    json_serializer=write_json_text, json_deserializer=JsonText
)
KEPT_MOST = 512
"""Some 200 statements are constants. The others are built by shape, and callers can ask for very many shapes.

Each of those costs about 0.3 MB here, so only those are kept that are used.
"""


class Rows:
    """What a statement gave: its rows as named tuples, and how many it found or changed."""

    __slots__ = ("_rows", "rowcount")

    def __init__(self, rows: Sequence[Row[Any]], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Row[Any]]:
        return iter(self._rows)

    def all(self) -> Sequence[Row[Any]]:
        """Return all rows."""
        return self._rows

    def one(self) -> Row[Any]:
        """Return the only row. Raises NoResultFound, MultipleResultsFound."""
        row = self.one_or_none()
        if row is None:
            raise NoResultFound("there is no row")
        return row

    def one_or_none(self) -> Row[Any] | None:
        """Return the only row, or None where there is none. Raises MultipleResultsFound."""
        if len(self._rows) > 1:
            raise MultipleResultsFound("there is more than one row")
        return self._rows[0] if self._rows else None

    def scalars(self) -> Sequence[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self._rows]

    def scalar_one(self) -> Any:
        """Return the first column of the only row. Raises NoResultFound, MultipleResultsFound."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any:
        """Return the first column of the only row, or None where there is none. Raises MultipleResultsFound."""
        row = self.one_or_none()
        return None if row is None else row[0]


class Prepared:
    """One statement for the driver.

    Rows come and values go as the types of SQLAlchemy say. What takes time, its compiler does once.
    """

    __slots__ = ("_columns", "_defaults", "_make_row", "_required", "_to_driver", "_types", "sql")

    def __init__(self, statement: Executable, names: Sequence[str]) -> None:
        compiled: Any = statement.compile(dialect=DIALECT, column_keys=list(names))  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - what a statement is compiled by
        assert not compiled.post_compile_params, "lists go in as arrays"  # noqa: S101 - seen by the first test
        self.sql = compiled.string.encode()
        binds = {name: bind for bind, name in compiled.bind_names.items()}
        self._required = [name for name, bind in binds.items() if bind.required]
        self._defaults = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        processors = {name: _bind_processor(bind.type) for name, bind in binds.items()}
        self._to_driver = [(name, process) for name, process in processors.items() if process]
        self._types = [column.type for column in compiled._result_columns]  # noqa: SLF001
        self._columns: list[tuple[int, Process]] = []
        self._make_row: Callable[[Sequence[Any]], Any] | None = None

    def fill_in(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a call as the driver takes them. Raises KeyError for one that is missing."""
        values = self._defaults | {name: parameters[name] for name in self._required}
        values |= {name: value for name, value in parameters.items() if name in self._defaults}
        for name, process in self._to_driver:
            values[name] = process(values[name])
        return values

    def read(self, cursor: psycopg.AsyncCursor[Any], found: Sequence[Sequence[Any]]) -> Sequence[Any]:
        """Return rows of the driver as named tuples."""
        make = self._make_row or self._learn(cursor.description or ())
        if not self._columns:
            return [make(row) for row in found]
        return [make(self._convert(row)) for row in found]

    def _learn(self, columns: Sequence[psycopg.Column]) -> Callable[[Sequence[Any]], Any]:
        """Return what makes a row, once it is known which columns there are, and of which types they come."""
        processors = [
            _result_processor(kind, column.type_code) for kind, column in zip(self._types, columns, strict=False)
        ]
        self._columns = [(place, process) for place, process in enumerate(processors) if process]
        make: Callable[[Sequence[Any]], Any] = _named([column.name for column in columns])._make
        self._make_row = make
        return make

    def _convert(self, row: Sequence[Any]) -> Sequence[Any]:
        values = list(row)
        for place, process in self._columns:
            values[place] = process(values[place])
        return values


def _named(names: Sequence[str]) -> Any:
    """Return the class of rows with these columns; what can be no name of a member is `_` and its place."""
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - the statement says the names


@lru_cache(maxsize=KEPT_MOST)
def prepare(statement: Executable, names: frozenset[str]) -> Prepared:
    """Return ``statement`` for the driver, when it is called with parameters of these ``names``."""
    return Prepared(statement, sorted(names))


def _bind_processor(kind: TypeEngine[Any]) -> Process | None:
    process: Process | None = kind.dialect_impl(DIALECT).bind_processor(DIALECT)
    return process


def _result_processor(kind: TypeEngine[Any], code: int) -> Process | None:
    process: Process | None = kind.dialect_impl(DIALECT).result_processor(DIALECT, code)
    return process
