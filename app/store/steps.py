"""SQL of steps as they are listed, and of runs that begin with the steps of another."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    case,
    func,
    insert,
    select,
    type_coerce,
)

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonValue, Storable
from app.domain.records import WarningRow
from app.models import Task, WorkflowFrame, WorkflowStep, WorkflowWarning
from app.models.base import KeptJson
from app.store.pages import Page, read_page
from app.store.parts import Query
from milepost.schemas.steps import StepStatus
from milepost.schemas.tasks import TaskStatus

_RUN = bindparam("of_run", type_=Uuid)
_AFTER = bindparam("after", type_=BigInteger)
_MOST = bindparam("most", type_=Integer)


class ListedStep(NamedTuple):
    """A step as it is listed."""

    path: str
    status: str
    operator_type: str
    attempt: int
    task_id: UUID | None
    result: JsonValue
    error: JsonValue
    awaits: str | None
    due_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    sequence: int


_is_worked_on = (WorkflowStep.status == StepStatus.runnable.value) & (Task.status == TaskStatus.running.value)
_STATUS = case((_is_worked_on, StepStatus.running.value), else_=WorkflowStep.status)
"""A step is running while a worker holds its work item."""
_COLUMNS = (
    WorkflowStep.path,
    _STATUS.label("status"),
    WorkflowStep.operator_type,
    WorkflowStep.attempt,
    WorkflowStep.task_id,
    type_coerce(WorkflowStep.result, KeptJson).label("result"),
    type_coerce(WorkflowStep.error, KeptJson).label("error"),
    WorkflowStep.awaits,
    WorkflowStep.due_at,
    WorkflowStep.started_at,
    WorkflowStep.completed_at,
    WorkflowStep.sequence,
)


@lru_cache(maxsize=2)
def _list_steps(*, by_status: bool) -> Query:
    statement = (
        select(*_COLUMNS)
        .outerjoin(Task, Task.task_id == WorkflowStep.task_id)
        .where(WorkflowStep.workflow_run_id == _RUN, WorkflowStep.sequence > _AFTER)
    )
    if by_status:
        statement = statement.where(any_(bindparam("statuses", type_=ARRAY(Text))) == _STATUS)
    return statement.order_by(WorkflowStep.sequence).limit(_MOST)


async def list_steps(
    tx: Tx, workflow_run_id: UUID, statuses: Sequence[StepStatus], after: int, limit: int
) -> Page[ListedStep]:
    """SELECT up to ``limit`` steps of a run behind ``after``, in the order in which they came into being."""
    parameters: dict[str, Storable] = {"of_run": workflow_run_id, "after": after}
    if statuses:
        parameters["statuses"] = [str(status) for status in statuses]
    return await read_page(tx, ListedStep, _list_steps(by_status=bool(statuses)), parameters, limit)


_LIST_WARNINGS = (
    select(*WorkflowWarning.__table__.c)
    .where(WorkflowWarning.workflow_run_id == _RUN, WorkflowWarning.warning_id > _AFTER)
    .order_by(WorkflowWarning.warning_id)
    .limit(_MOST)
)


async def list_warnings(tx: Tx, workflow_run_id: UUID, after: int, limit: int) -> Page[WarningRow]:
    """SELECT up to ``limit`` warnings of a run behind ``after``, oldest first."""
    return await read_page(tx, WarningRow, _LIST_WARNINGS, {"of_run": workflow_run_id, "after": after}, limit)


_NEW_RUN = bindparam("new_run", type_=Uuid)
_KEPT = bindparam("kept", type_=ARRAY(Text))
_first_name = func.split_part(func.replace(WorkflowStep.path, "[", "."), ".", 1)
_COPIED = tuple(c for c in WorkflowStep.__table__.c if c.name not in ("workflow_run_id", "sequence"))
_COPY_STEPS = insert(WorkflowStep).from_select(
    ["workflow_run_id", *(c.name for c in _COPIED)],
    select(_NEW_RUN, *_COPIED)
    .where(WorkflowStep.workflow_run_id == _RUN, _first_name == any_(_KEPT))
    .order_by(WorkflowStep.sequence),
)
_frame_name = func.split_part(func.replace(WorkflowFrame.path, "[", "."), ".", 1)
_FRAME = (WorkflowFrame.path, WorkflowFrame.variables, WorkflowFrame.names, WorkflowFrame.value)
_COPY_FRAMES = insert(WorkflowFrame).from_select(
    ["workflow_run_id", "path", "variables", "names", "value"],
    select(_NEW_RUN, *_FRAME).where(
        WorkflowFrame.workflow_run_id == _RUN, (_frame_name == any_(_KEPT)) | (WorkflowFrame.path == "")
    ),
)


async def copy_steps(tx: Tx, workflow_run_id: UUID, new_workflow_run_id: UUID, kept: Sequence[str]) -> None:
    """INSERT copies of steps of the top level, and all below them, with their frames, into a new run."""
    parameters: Parameters = {"of_run": workflow_run_id, "new_run": new_workflow_run_id, "kept": list(kept)}
    await tx.execute(_COPY_STEPS, parameters)
    await tx.execute(_COPY_FRAMES, parameters)
