"""Tables that a person reads in a terminal."""

from collections.abc import Mapping, Sequence
from datetime import datetime


def write_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return aligned columns under their headings, two blanks apart."""
    lines = [[heading.upper() for heading in columns], *([write_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    padded = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    return "".join(line.rstrip() + "\n" for line in padded)


def write_facts(facts: Mapping[str, object]) -> str:
    """Return one fact a line, the names aligned."""
    width = max(len(name) for name in facts)
    return "".join(f"{name.ljust(width)}  {write_cell(fact)}".rstrip() + "\n" for name, fact in facts.items())


def write_cell(value: object) -> str:
    """Return ``value`` on one line: `-` for null, times to the second, control characters as escapes."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return "".join(character if character.isprintable() else ascii(character)[1:-1] for character in str(value))
