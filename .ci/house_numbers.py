"""Prints the house's own numbers, and fails where one of them has left its bounds."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "milepost")
FUNCTION_MEDIAN, FUNCTION_MOST, FILE_MOST = 6, 40, 500
ANY_MOST = 0.5
"""How often `Any` may stand in 1,000 lines of the rooms that know what is stored."""
STORED = {("app", room) for room in ("services", "execution", "moves", "access", "store", "domain")}
LINES = 1000


def functions(tree: ast.AST) -> Iterator[int]:
    """Yield how many lines each function has, its docstring left out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            has_docstring = ast.get_docstring(node) is not None and len(node.body) > 1
            first = node.body[1 if has_docstring else 0]
            last = node.body[-1].end_lineno or first.lineno
            yield last - first.lineno + 1


def say(name: str, value: float, most: float) -> bool:
    """Print a number, and return whether it is within its bound."""
    is_good = value <= most
    print(f"{name:<44} {value:>8.1f}   at most {most:g}{'' if is_good else '   TOO MUCH'}")
    return is_good


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
    good = [
        say("lines of a function, median", median(lengths), FUNCTION_MEDIAN),
        say("lines of the longest function", max(lengths), FUNCTION_MOST),
        say("lines of the longest file", max(sizes.values()), FILE_MOST),
        say("`Any` per 1,000 lines where things are stored", LINES * anys / lines, ANY_MOST),
    ]
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
