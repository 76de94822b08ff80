"""Records are what is stored: column by column."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, NamedTuple, get_type_hints
from uuid import UUID

import pytest
from sqlalchemy.sql.elements import KeyedColumnElement

from app import models, store
from app.domain import records

LEFT_OUT: dict[type[Any], set[str]] = {
    records.RunRow: {"tag_texts"},
    records.TaskRow: {"sequence", "spec_hash"},
    records.VersionRow: {"document", "source"},
    records.ApiKeyRow: {"secret_hash", "is_from_environment"},
    records.IdempotencyKeyRow: {"created_at"},
    records.EventRow: {"queue"},
    records.ExecutionRow: {"children_dropped_at"},
    records.MonitorRow: {"tag_texts"},
    records.StepRow: {"sequence", "result", "queue"},
}
"""Columns that only serve statements, are too large to be read along, or are known to whoever reads."""
COMPUTED = {"now", "task_counts"}
OF_RUN = set(records.RunRow._fields) - COMPUTED - {"workflow_run_id", "workflow_id", "deadline_at"}
"""What an execution is read with of its run."""
RECORDS: dict[type[Any], type[models.Base]] = {
    records.RunRow: models.WorkflowRun,
    records.VersionRow: models.Workflow,
    records.WorkflowRow: models.Workflow,
    records.ScheduleRow: models.Schedule,
    records.MonitorRow: models.Monitor,
    records.SlotRow: models.ScheduleSlot,
    records.TaskRow: models.Task,
    records.AttemptRow: models.TaskAttempt,
    records.CheckpointRow: models.Checkpoint,
    records.SpentLeaseRow: models.SpentLease,
    records.LateReportRow: models.LateReport,
    records.ApiKeyRow: models.ApiKey,
    records.IdempotencyKeyRow: models.AnsweredKey,
    records.QueueRow: models.Queue,
    records.WorkerRow: models.QueueWorker,
    records.LogLineRow: models.LogLine,
    records.EventRow: models.Event,
    records.DeliveryRow: models.EventDelivery,
    records.HistoryRow: models.WorkflowRunHistory,
    records.ExecutionRow: models.WorkflowExecution,
    records.FrameRow: models.WorkflowFrame,
    records.StepRow: models.WorkflowStep,
    records.WarningRow: models.WorkflowWarning,
}
each = pytest.mark.parametrize(("record", "model"), RECORDS.items(), ids=lambda given: given.__name__)


class Reading(NamedTuple):
    """A call in the store that reads the rows of a statement as records."""

    place: str
    record: type[NamedTuple]
    statement: Any

    def columns(self) -> list[str]:
        """Return the names of what the statement gives, in its order."""
        return list(self.statement.exported_columns.keys())


def all_readings() -> Iterator[Reading]:
    """Yield the calls of `fetch`, `fetch_one` and `read_page` that name both their record and their statement."""
    for found in pkgutil.iter_modules(store.__path__):
        module = import_module(f"{store.__name__}.{found.name}")
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                names = [argument.id for argument in node.args if isinstance(argument, ast.Name)]
                names = names[1:] if called == "read_page" else names
                if called in ("tx.fetch", "tx.fetch_one", "read_page") and len(names) > 1 and names[1].isupper():
                    yield Reading(f"{found.name}:{names[1]}", getattr(module, names[0]), getattr(module, names[1]))


READINGS = [*all_readings()]


def allows_null(hint: Any) -> bool:
    return type(None) in getattr(hint, "__args__", ())


def columns_of(record: type[NamedTuple], model: type[models.Base]) -> Mapping[str, KeyedColumnElement[Any]]:
    """Return what the members of a record are stored as."""
    columns = {column.name: column for column in model.__table__.c}
    if record is records.ExecutionRow:
        of_run = models.WorkflowRun.__table__.c
        columns |= {name: of_run[name] for name in record._fields if name in OF_RUN}
    return columns


class TestRecords:
    def test_every_record_has_its_model(self) -> None:
        found = {value for name, value in vars(records).items() if name.endswith("Row")}
        assert found == set(RECORDS)

    @each
    def test_members_are_the_columns_in_their_order(self, model: type[models.Base], record: type[NamedTuple]) -> None:
        left_out = LEFT_OUT.get(record, set())
        columns = [column.name for column in model.__table__.c if column.name not in left_out]
        computed = COMPUTED | OF_RUN if record is records.ExecutionRow else COMPUTED
        assert [name for name in record._fields if name not in computed] == columns

    @each
    def test_what_may_be_null_may_be_none(self, model: type[models.Base], record: type[NamedTuple]) -> None:
        hints = get_type_hints(record)
        columns = columns_of(record, model)
        for name in set(record._fields) - COMPUTED:
            column = columns[name]
            assert allows_null(hints[name]) == column.nullable, name
            if column.type.python_type is UUID:
                assert UUID in (hints[name], *getattr(hints[name], "__args__", ())), name

    def test_the_store_reads_them_by_its_statements(self) -> None:
        assert len(READINGS) > 50

    @pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.place)
    def test_a_statement_gives_the_members_in_their_order(self, reading: Reading) -> None:
        assert reading.columns() == list(reading.record._fields)
