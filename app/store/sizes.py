"""How many bytes of JSON are stored, and how many of them are read at once."""

from sqlalchemy import ColumnElement, Integer, Text, case, cast, func

from app.store.parts import Expression

BYTES_MOST = 16 * 1024 * 1024
"""Where a page or a claim ends, and what the checkpoints of a task are together at most."""


def size_of(*values: Expression) -> ColumnElement[int]:
    """Return how many bytes of JSON the ``values`` are together; NULL is none.

    Only what is stored compressed is read for it: of everything else Postgres knows the size without.
    """
    return sum((_size_of(value) for value in values[1:]), _size_of(values[0]))


def _size_of(value: Expression) -> ColumnElement[int]:
    as_stored = func.pg_column_size(value, type_=Integer)
    is_plain = func.pg_column_compression(value).is_(None)
    return func.coalesce(case((is_plain, as_stored), else_=func.octet_length(cast(value, Text))), 0, type_=Integer)
