"""The picture of the rooms in docs/inside/architecture.md, drawn from the imports."""

import ast
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

from tests.processes import ROOT

PACKAGES = ("app", "milepost")
"""The rooms of the first are called by their own names, those of the second by both names: `milepost.client`."""


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
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        if (room := _room_of(".".join(path.relative_to(ROOT).with_suffix("").parts))) is not None:
            used = {_room_of(module) for module in _modules_of(path)}
            imports.setdefault(room, set()).update(other for other in used if other not in (None, room))
    return imports


def _room_of(module: str) -> str | None:
    """Return the room that a module stands in, if it is one of ours and not a package itself."""
    package, _, inside = module.partition(".")
    room = inside.partition(".")[0]
    if package not in PACKAGES or room in ("", "__init__"):
        return None
    return room if package == PACKAGES[0] else f"{package}.{room}"


def _modules_of(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.module, f"{path} imports relatively"
            is_package = node.module in PACKAGES
            yield from (f"{node.module}.{alias.name}" if is_package else node.module for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
