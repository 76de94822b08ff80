"""The statements that move tasks in bulk: each moves them as the table of moves says, from where it says that they are.

Tasks that are moved one by one are moved by `app/domain/task_moves.py`, which refuses what the table does not know.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import BinaryExpression, BindParameter, Cast, ColumnClause, Update
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import ColumnElement, Null

from app.domain.moves import TASK_MOVES, TASK_OPEN, TASK_WAITING
from app.store import claims
from milepost.schemas.tasks import TaskStatus
from tests.store.statements import all_statements

MOVED_ONE_BY_ONE = "tasks._UPDATE"
MOVES = {
    "claims._claim(named=False)": (set(TASK_WAITING), TaskStatus.running),
    "claims._claim(named=True)": (set(TASK_WAITING), TaskStatus.running),
    "claims._COMPLETE": ({TaskStatus.running}, TaskStatus.completed),
    "claims._COMPLETE_SHOWN": ({TaskStatus.running}, TaskStatus.completed),
    "due_tasks._FAIL": (set(TASK_OPEN), TaskStatus.failed),
    "due_tasks._CANCEL_OF_RUN": (set(TASK_OPEN), TaskStatus.cancelled),
    "tasks._CANCEL_OF_RUNS": (set(TASK_OPEN), TaskStatus.cancelled),
}
"""Which tasks each statement moves, and where to."""


def statements() -> Iterator[tuple[str, Any]]:
    """Yield all statements of the store, with those that are built at their first use."""
    for statement in all_statements():
        yield str(statement), statement.value
    for named in (False, True):
        yield f"claims._claim(named={named})", claims._claim(named=named)


def is_column(value: Any, name: str) -> bool:
    """Return whether an expression is a column of the tasks themselves, and of no other use of their table."""
    return isinstance(value, ColumnClause) and value.name == name and getattr(value.table, "name", "") == "tasks"


def updates_of_status(statement: Any) -> Iterator[ColumnElement[Any]]:
    """Yield what the parts of a statement that change tasks set their status to."""
    for part in visitors.iterate(statement):
        if isinstance(part, Update):
            yield from (value for column, value in (part._values or {}).items() if is_column(column, "status"))


def read_status(value: Any) -> TaskStatus:
    """Return the status that an expression is."""
    inner = value.clause if isinstance(value, Cast) else value
    return TaskStatus(str(inner.value) if isinstance(inner, BindParameter) else inner.name.strip("'"))


def named_before(statement: Any) -> set[TaskStatus]:
    """Return where tasks are that a statement moves, as far as its conditions say."""
    found = set(TaskStatus)
    for part in visitors.iterate(statement):
        if not isinstance(part, BinaryExpression):
            continue
        if is_column(part.left, "status") and part.operator is operators.eq:
            found &= {read_status(part.right)}
        elif is_column(part.left, "status") and part.operator is operators.in_op:
            found &= {read_status(each) for each in part.right.element.clauses}
        elif is_column(part.left, "ready_at") and part.operator is operators.is_not and isinstance(part.right, Null):
            found &= set(TASK_WAITING)  # by the constraint `ready_waits`
    return found


MOVING = {name: statement for name, statement in statements() if list(updates_of_status(statement))}


class TestMovesInBulk:
    def test_each_statement_that_moves_tasks_is_known(self) -> None:
        assert MOVING.keys() == {*MOVES, MOVED_ONE_BY_ONE}

    @pytest.mark.parametrize("name", MOVES)
    def test_each_moves_what_it_says(self, name: str) -> None:
        before, after = MOVES[name]
        assert {read_status(value) for value in updates_of_status(MOVING[name])} == {after}
        assert named_before(MOVING[name]) == before

    @pytest.mark.parametrize("name", MOVES)
    def test_each_moves_as_the_table_says(self, name: str) -> None:
        before = named_before(MOVING[name])
        [after] = set(map(read_status, updates_of_status(MOVING[name])))
        assert all(after in TASK_MOVES[status] for status in before)
