"""A statement stands directly above the function that executes it."""

import ast
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from app import store
from tests.store.statements import Statement, all_statements

STATEMENTS = [*all_statements()]


@lru_cache(maxsize=64)
def read_module(name: str) -> ast.Module:
    return ast.parse((Path(store.__path__[0]) / f"{name}.py").read_text())


def lines_of_constants(module: ast.Module) -> Mapping[str, int]:
    """Return the line of each constant of a module."""
    plain = [(target, node.lineno) for node in module.body if isinstance(node, ast.Assign) for target in node.targets]
    typed = [(node.target, node.lineno) for node in module.body if isinstance(node, ast.AnnAssign)]
    return {target.id: line for target, line in [*plain, *typed] if isinstance(target, ast.Name)}


def spaces_above_functions(module: ast.Module) -> Iterator[tuple[ast.AsyncFunctionDef, range]]:
    """Yield the functions that talk to the database, each with the lines between the one before and itself."""
    functions = [node for node in module.body if isinstance(node, ast.AsyncFunctionDef)]
    ends = [0, *(node.end_lineno or node.lineno for node in functions)]
    for node, (before, _) in zip(functions, pairwise([*ends, 0]), strict=False):
        yield node, range(before, node.lineno)


def names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


@pytest.mark.parametrize("statement", STATEMENTS, ids=str)
def test_a_statement_stands_above_its_function(statement: Statement) -> None:
    module = read_module(statement.module)
    line = lines_of_constants(module)[statement.name]
    above = [lines for function, lines in spaces_above_functions(module) if statement.name in names_in(function)]
    assert not above or line in above[0]
