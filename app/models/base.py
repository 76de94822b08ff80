"""What all tables share: names of constraints and the types of columns."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import JSON, BigInteger, ColumnElement, DateTime, Dialect, MetaData, Text, literal_column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.elements import SQLColumnExpression
from sqlalchemy.types import TypeDecorator, Uuid

from app.domain.json_texts import Json, JsonText, JsonValue


def list_of(statuses: Iterable[str]) -> str:
    """Return ``statuses`` as the list of an SQL condition, in the order in which they are declared."""
    return "(" + ", ".join(f"'{status}'" for status in statuses) + ")"


def constant(value: str) -> ColumnElement[str]:
    """Return ``value`` as a constant in the text of a statement, and not as a parameter.

    A partial index serves a statement only where the planner sees that its condition holds. A plan that is made for all
    values, as Postgres makes one for a prepared statement after a while, knows nothing of a parameter.
    Source: PostgreSQL, Partial Indexes.
    """
    return literal_column(f"'{value}'", Text)


def is_among(column: SQLColumnExpression[str], values: Iterable[str]) -> ColumnElement[bool]:
    """Return the condition that ``column`` has one of these constants."""
    return column.in_([constant(value) for value in values])


class KeptJson(TypeDecorator[JsonValue]):
    """What callers have sent and get back: its text goes from the row to the answer, and nobody parses it."""

    impl = JSON
    cache_ok = True

    def __init__(self) -> None:
        super().__init__(none_as_null=True)


class ReadJson(KeptJson):
    """What the service itself reads: a plain value."""

    cache_ok = True

    def process_result_value(self, value: JsonText | None, dialect: Dialect) -> Json:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the value of the text."""
        return None if value is None else value.read()


class ReadJsonb(ReadJson):
    """The same where statements look into it."""

    impl = JSONB
    cache_ok = True


class Base(DeclarativeBase):
    """The declarative base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own name
        UUID: Uuid(),
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        Any: ReadJson(),  # SQLAlchemy does not come to an end with a type that holds itself
        dict[str, Any]: ReadJson(),
        JsonText: KeptJson(),
    }
