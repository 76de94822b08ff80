"""RESULTS.md: what people wrote stays, the tables between their markers are replaced."""

import re
from collections.abc import Mapping
from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")


def write_results(tables: Mapping[str, str]) -> None:
    """Put each table between the markers `<!-- name -->` and `<!-- /name -->` of the file."""
    text = FILE.read_text()
    for name, table in tables.items():
        text = _replace(text, name, table)
    FILE.write_text(text)


def _replace(text: str, name: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = pattern.subn(lambda found: f"{found[1]}{table}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"{FILE.name} has no place for {name}")
    return replaced
