"""Prints the house's own numbers, and fails where one of them has left its bounds.

An operation of the API is in its own file if its endpoint in `app/api/RESOURCE.py` calls services, and calls only those
of `app/services/RESOURCE.py`, or of the package `app/services/RESOURCE/`.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "milepost")
FUNCTION_MEDIAN, FUNCTION_MOST, FILE_MOST = 6, 40, 500
ANY_MOST = 0.5
"""How often `Any` may stand in 1,000 lines of the rooms that know what is stored."""
STORED = {("app", room) for room in ("services", "execution", "moves", "access", "store", "domain")}
LINES = 1000
PAGES = ("docs", "pages")
"""Files of the API with texts about the service, which belong to no resource."""
ROUTES = {f"router.{method}" for method in ("get", "post", "put", "patch", "delete")}


def functions(tree: ast.AST) -> Iterator[int]:
    """Yield how many lines each function has, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[1 if has_docstring else 0]
            last = node.body[-1].end_lineno or first.lineno
            yield last - first.lineno + 1


class Operation(NamedTuple):
    """An endpoint: what it is called, the resource whose file it stands in, and the services that it calls."""

    name: str
    resource: str
    services: frozenset[str]

    @property
    def is_in_its_file(self) -> bool:
        """Return whether it calls services of its own resource, and of no other."""
        return self.services == {self.resource}


def operations(path: Path, tree: ast.Module) -> Iterator[Operation]:
    """Yield the endpoints that a file of the API has."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and f"{node.module}.".startswith("app.services."):
            for name in node.names:
                names[name.asname or name.name] = f"{node.module}.{name.name}".split(".")[2]
    for function in tree.body:
        if isinstance(function, ast.AsyncFunctionDef) and any(map(is_route, function.decorator_list)):
            called = [node.func for node in ast.walk(function) if isinstance(node, ast.Call)]
            roots = [f.value if isinstance(f, ast.Attribute) else f for f in called]
            services = {names[root.id] for root in roots if isinstance(root, ast.Name) and root.id in names}
            yield Operation(function.name, path.stem, frozenset(services))


def is_route(decorator: ast.expr) -> bool:
    """Return whether a decorator makes an operation of a function: `@router.get(...)`."""
    return isinstance(decorator, ast.Call) and ast.unparse(decorator.func) in ROUTES


def say(name: str, value: float, most: float) -> bool:
    """Print a number, and return whether it is within its bound."""
    is_good = value <= most
    print(f"{name:<44} {value:>8.1f}   at most {most:g}{'' if is_good else '   TOO MUCH'}")
    return is_good


def say_operations(found: Sequence[Operation]) -> bool:
    """Print how many operations are in their own file, and those that are not; return whether all are."""
    elsewhere = [each for each in found if not each.is_in_its_file]
    print(f"operations in their own file: {len(found) - len(elsewhere)} of {len(found)}   bound to be all")
    for each in elsewhere:
        print(f"  {each.resource}.{each.name} calls services of: {', '.join(sorted(each.services)) or 'none'}")
    return bool(found) and not elsewhere


def main() -> None:
    """Measure everything that is installed."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    texts = {path: path.read_text() for path in paths}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    lengths = [length for tree in trees.values() for length in functions(tree)]
    sizes = {path: text.count("\n") for path, text in texts.items()}
    stored = [text for path, text in texts.items() if path.relative_to(ROOT).parts[:2] in STORED]
    anys = sum(len(re.findall(r"\bAny\b", text)) for text in stored)
    lines = sum(text.count("\n") for text in stored)
    print(f"{len(lengths)} functions in {len(texts)} files of {sum(sizes.values())} lines")
    found = [each for path, tree in trees.items() if path.parent == ROOT / "app/api" for each in operations(path, tree)]
    good = [
        say_operations([each for each in found if each.resource not in PAGES]),
        say("lines of a function, median", median(lengths), FUNCTION_MEDIAN),
        say("lines of the longest function", max(lengths), FUNCTION_MOST),
        say("lines of the longest file", max(sizes.values()), FILE_MOST),
        say("`Any` per 1,000 lines where things are stored", LINES * anys / lines, ANY_MOST),
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
