"""What parts of statements are made of, where it does not matter which columns they have."""

from typing import Any, TypeAlias

from sqlalchemy import Select
from sqlalchemy.sql.elements import SQLColumnExpression

Expression: TypeAlias = SQLColumnExpression[object]
"""A column, or what is computed of some, of whatever type."""
Query: TypeAlias = Select[*tuple[Any, ...]]
"""A SELECT, whatever its columns are: SQLAlchemy's own word for that is a tuple of any length."""
