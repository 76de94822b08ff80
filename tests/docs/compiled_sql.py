"""docs/inside/statements.sql: each statement of the store as Postgres gets it, broken into lines."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Any

from sqlalchemy.dialects.postgresql import psycopg

from tests.store.statements import all_statements

STATEMENTS = Path(__file__).parents[2] / "docs" / "inside" / "statements.sql"
_WIDTH = 120
_HEAD = (
    "-- The statements of app/store that are built once; `make docs` writes them down. Parameters stand as %(name)s.\n"
)
_TOKEN = re.compile(
    r"'[^']*'|\((?=(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b)|[()]"
    r"|(?<!DISTINCT )\bFROM\b|\b(?:WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|OFFSET|RETURNING|VALUES|ON CONFLICT)\b"
    r"|\b(?:UNION ALL|UNION|LEFT OUTER JOIN|JOIN|SELECT|INSERT INTO|UPDATE(?! SET)|DO UPDATE SET|SET)\b"
    r"|\bDELETE(?= FROM)|\bWITH(?! ORDINALITY| TIME ZONE)\b|\bFOR (?:NO KEY |KEY )?(?:UPDATE|SHARE)\b"
)
_INLINE = frozenset({"DO UPDATE SET"})
"""What stands on the line of the keyword before it."""


def write_statements() -> str:
    """Return the page."""
    return _HEAD + "".join(f"\n-- {each}\n{_lay_out(_compile(each.value))};\n" for each in all_statements())


def _compile(statement: Any) -> str:
    dialect = psycopg.dialect()  # type: ignore[no-untyped-call]
    return " ".join(str(statement.compile(dialect=dialect)).split())


def _lay_out(text: str) -> str:
    """Return ``text`` with a line for each clause, and what is in a parenthesis of its own further to the right."""
    lines = (f"{'    ' * depth}{line}" for depth, line in _lines_of(text))
    return "\n".join(
        part
        for line in lines
        for part in wrap(
            line,
            _WIDTH,
            subsequent_indent=" " * (len(line) - len(line.lstrip()) + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
    )


def _lines_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield the clauses with their depths."""
    parentheses: list[bool] = []
    began, depth = 0, 0
    for token in _TOKEN.finditer(text):
        place, word = token.span()[0], token[0]
        if word == "(":
            parentheses.append(text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"), token.end()))
            if parentheses[-1]:
                yield depth, text[began : token.end()].strip()
                began, depth = token.end(), depth + 1
        elif word == ")":
            if parentheses.pop():
                yield depth, text[began:place].strip()
                began, depth = place, depth - 1
        elif word[0] != "'" and all(parentheses[-1:]) and word not in _INLINE and text[began:place].strip():
            yield depth, text[began:place].strip()
            began = place
    yield depth, text[began:].strip()
