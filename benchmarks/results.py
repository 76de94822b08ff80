"""RESULTS.md: what people wrote stays, the tables between their markers are replaced."""

import re
from pathlib import Path

FILE = Path(__file__).with_name("RESULTS.md")


def write_result(name: str, table: str) -> None:
    """Put a table between the markers `<!-- name -->` and `<!-- /name -->` of the file."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    replaced, count = pattern.subn(lambda found: f"{found[1]}{table}\n{found[2]}", FILE.read_text())
    if count != 1:
        raise ValueError(f"{FILE.name} has no place for {name}")
    FILE.write_text(replaced)
