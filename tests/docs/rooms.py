"""The picture of the rooms in docs/inside/architecture.md, drawn from the imports."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from tests.processes import ROOT

PACKAGE = "app"


def write_rooms() -> str:
    """Return the rooms and who imports whom, as Mermaid; an arrow that follows from others is left out."""
    imports = read_imports()
    below = {room: _below(room, imports) for room in TopologicalSorter(imports).static_order()}
    arrows = [
        f"    {room} --> {used}\n"
        for room in sorted(imports)
        for used in sorted(imports[room])
        if not any(used in below[other] for other in imports[room])
    ]
    return "".join(["```mermaid\n", "flowchart TD\n", *arrows, "```\n"])


def _below(room: str, imports: Mapping[str, set[str]]) -> set[str]:
    """Return all rooms that a room imports, by itself or by others."""
    return imports[room].union(*(_below(used, imports) for used in imports[room]))


def read_imports() -> dict[str, set[str]]:
    """Return which rooms each room imports from."""
    imports: dict[str, set[str]] = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT / PACKAGE).with_suffix("").parts
        if parts != ("__init__",):
            used = {module.partition(".")[0] for module in _modules_of(path)}
            imports.setdefault(parts[0], set()).update(used - {parts[0]})
    return imports


def _modules_of(path: Path) -> Iterator[str]:
    """Yield the modules of the package that a file imports, by their names in the package."""
    here = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            base = ".".join(here[: len(here) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            names = [f"{module}.{alias.name}" for alias in node.names] if module == PACKAGE else [module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (name.removeprefix(f"{PACKAGE}.") for name in names if name.startswith(f"{PACKAGE}."))
