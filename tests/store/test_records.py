"""Records are what is stored: column by column."""

from typing import Any, NamedTuple, get_type_hints
from uuid import UUID

import pytest
from sqlalchemy import inspect

from app.domain import records
from app.models import Base, Schedule, Task, TaskAttempt, Workflow, WorkflowRun

LEFT_OUT: dict[type[Any], set[str]] = {
    records.RunRow: {"tag_texts"},
    records.TaskRow: {"sequence", "spec_hash"},
    records.VersionRow: {"document", "source"},
}
"""Columns that only serve statements, or are too large to be read along."""
COMPUTED = {"now", "task_counts"}
RECORDS: dict[type[Any], type[Base]] = {
    records.RunRow: WorkflowRun,
    records.VersionRow: Workflow,
    records.WorkflowRow: Workflow,
    records.ScheduleRow: Schedule,
    records.TaskRow: Task,
    records.AttemptRow: TaskAttempt,
}
each = pytest.mark.parametrize(("record", "model"), RECORDS.items(), ids=lambda given: given.__name__)


def allows_null(hint: Any) -> bool:
    return hint is Any or type(None) in getattr(hint, "__args__", ())


class TestRecords:
    def test_every_record_has_its_model(self) -> None:
        found = {value for name, value in vars(records).items() if name.endswith("Row")}
        assert found == set(RECORDS)

    @each
    def test_members_are_the_columns_in_their_order(self, model: type[Base], record: type[NamedTuple]) -> None:
        columns = [column.name for column in inspect(model).columns if column.name not in LEFT_OUT.get(record, ())]
        assert [name for name in record._fields if name not in COMPUTED] == columns

    @each
    def test_what_may_be_null_may_be_none(self, model: type[Base], record: type[NamedTuple]) -> None:
        hints = get_type_hints(record)
        for name in set(record._fields) - COMPUTED:
            column = inspect(model).columns[name]
            assert allows_null(hints[name]) == column.nullable or hints[name] is Any, name
            if column.type.python_type is UUID:
                assert UUID in (hints[name], *getattr(hints[name], "__args__", ())), name
