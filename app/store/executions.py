"""SQL of what the execution of definitions keeps: executions, frames, steps and their warnings."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    column,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by, insert

from app.db.engine import Parameters, Tx
from app.domain.json_texts import JsonText, JsonValue
from app.domain.records import ExecutionRow, FrameRow, StepRow
from app.models import (
    Task,
    Workflow,
    WorkflowExecution,
    WorkflowFrame,
    WorkflowRun,
    WorkflowStep,
    WorkflowWarning,
)
from app.models.base import ReadJson, constant
from app.store.locks import Rank
from app.store.parts import Query
from app.store.recordsets import as_rows, rows_like
from milepost.schemas.steps import StepStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_RUN = bindparam("of_run", type_=Uuid)
_MOST = bindparam("most", type_=Integer)
_PATHS = bindparam("paths", type_=ARRAY(Text))
_EITHER_ID = and_(WorkflowRun.workflow_run_id == any_(_IDS), WorkflowExecution.workflow_run_id == any_(_IDS))
"""Said of both tables, for otherwise one of them may be read as a whole while it is small."""
_STATE = tuple(WorkflowStep.__table__.c[name] for name in StepRow._fields)
"""Everything about a step but its result."""
_OF_RUN = WorkflowStep.workflow_run_id == _RUN
_place = (
    func.unnest(bindparam("runs", type_=ARRAY(Uuid)), _PATHS)
    .table_valued(column("workflow_run_id", Uuid), column("path", Text))
    .render_derived(name="place")
)
_NEW_EXECUTION = (
    "workflow_run_id",
    "workflow_id",
    "strict_templates",
    "run",
    "memory",
    "breakers",
    "parent_step",
    "parent_child",
    "deadline_at",
)
_new = rows_like(WorkflowExecution, _NEW_EXECUTION)
_INSERT = insert(WorkflowExecution).from_select(_NEW_EXECUTION, select(*(_new.c[name] for name in _NEW_EXECUTION)))


async def insert_executions(tx: Tx, executions: Sequence[ExecutionRow]) -> None:
    """INSERT what is kept of new executed runs."""
    rows = [{name: getattr(execution, name) for name in _NEW_EXECUTION} for execution in executions]
    await tx.execute(_INSERT, as_rows(rows))


class ExecutedRun(NamedTuple):
    """A run that is executed."""

    workflow_run_id: UUID
    workflow_id: UUID
    parent: UUID | None
    """The run that started it as a child."""


_LIST_PARENTS = (
    select(
        WorkflowExecution.workflow_run_id,
        WorkflowExecution.workflow_id,
        case((WorkflowExecution.parent_step.is_not(None), WorkflowRun.parent_workflow_run_id)).label("parent"),
    )
    .join(WorkflowRun, WorkflowRun.workflow_run_id == WorkflowExecution.workflow_run_id)
    .where(_EITHER_ID)
)


async def list_parents(tx: Tx, ids: Sequence[UUID]) -> Sequence[ExecutedRun]:
    """SELECT which of the runs are executed, of what definition, and the `parent` that started each as a child."""
    return await tx.fetch(ExecutedRun, _LIST_PARENTS, {"ids": list(ids)})


_LOCK = (
    select(
        WorkflowRun.workflow_run_id,
        WorkflowRun.status,
        WorkflowRun.inputs,
        WorkflowRun.queue,
        WorkflowRun.workflow_hash,
        WorkflowRun.started_at,
        WorkflowRun.cancel_requested_at,
        WorkflowRun.parent_workflow_run_id,
        WorkflowExecution.workflow_id,
        WorkflowExecution.strict_templates,
        WorkflowExecution.run,
        WorkflowExecution.memory,
        WorkflowExecution.breakers,
        WorkflowExecution.parent_step,
        WorkflowExecution.parent_child,
        WorkflowExecution.deadline_at,
        WorkflowRun.paused_at,
        func.now().label("now"),
    )
    .join(WorkflowExecution, WorkflowExecution.workflow_run_id == WorkflowRun.workflow_run_id)
    .where(_EITHER_ID)
    .order_by(WorkflowRun.workflow_run_id)
    .with_for_update(key_share=True, of=(WorkflowRun, WorkflowExecution))
    .execution_options(locks=Rank.runs)
)


async def lock_executions(tx: Tx, ids: Sequence[UUID]) -> Sequence[ExecutionRow]:
    """SELECT executed runs FOR UPDATE in the order of their ids, with their executions and `now`.

    Both tables are locked: of one that is only joined, who has waited would see what was there before.
    """
    return await tx.fetch(ExecutionRow, _LOCK, {"ids": list(ids)})


_GET_DOCUMENT = select(Workflow.document).where(Workflow.workflow_id == bindparam("of_workflow", type_=Uuid))


async def get_document(tx: Tx, workflow_id: UUID) -> JsonText:
    """SELECT the document of a definition."""
    return await tx.fetch_value(_GET_DOCUMENT, {"of_workflow": workflow_id})


_KEPT = ("workflow_run_id", "memory", "breakers", "deadline_at")
_kept = rows_like(WorkflowExecution, _KEPT)
_UPDATE = (
    update(WorkflowExecution)
    .where(WorkflowExecution.workflow_run_id == _kept.c.workflow_run_id)
    .values({name: _kept.c[name] for name in _KEPT[1:]})
    .execution_options(locks=Rank.runs.held)
)


async def update_executions(tx: Tx, rows: Sequence[Parameters]) -> None:
    """UPDATE memory, circuit breakers and deadlines."""
    await tx.execute(_UPDATE, as_rows(rows))


_OF_PLACE = (
    select(*_STATE, WorkflowStep.sequence)
    .where(WorkflowStep.workflow_run_id == _place.c.workflow_run_id, WorkflowStep.scope == _place.c.path)
    .offset(0)  # a fence: each scope is looked up by the index, however few steps the planner believes there are
    .lateral("step")
)
_LIST_OF_SCOPES = (
    select(*(_OF_PLACE.c[column.key] for column in _STATE))
    .select_from(_place, _OF_PLACE)
    .order_by(_OF_PLACE.c.sequence)
)


async def list_steps_of_scopes(tx: Tx, scopes: Sequence[tuple[UUID, str]]) -> Sequence[StepRow]:
    """SELECT the steps of scopes, each of a run, without their results."""
    return await tx.fetch(StepRow, _LIST_OF_SCOPES, _as_places(scopes))


def _as_places(places: Sequence[tuple[UUID, str]]) -> Parameters:
    return {"runs": [workflow_run_id for workflow_run_id, _ in places], "paths": [path for _, path in places]}


_LIST_FIRST = select(*_STATE).where(_OF_RUN).order_by(WorkflowStep.sequence).limit(_MOST)


async def list_first_steps(tx: Tx, workflow_run_id: UUID, most: int) -> Sequence[StepRow]:
    """SELECT the first steps of a run, without their results."""
    return await tx.fetch(StepRow, _LIST_FIRST, {"of_run": workflow_run_id, "most": most})


_LIST_OPEN = (
    select(*_STATE)
    .where(_OF_RUN, func.starts_with(WorkflowStep.path, bindparam("prefix", type_=Text)))
    .where(or_(WorkflowStep.completed_at.is_(None), WorkflowStep.facts["submitted"].as_string() == "open"))
    .order_by(WorkflowStep.sequence)
    .limit(_MOST)
)


async def list_open_steps(tx: Tx, workflow_run_id: UUID, prefix: str, most: int | None) -> Sequence[StepRow]:
    """SELECT the open steps of a run whose path begins with ``prefix``, and those whose work item is open."""
    return await tx.fetch(StepRow, _LIST_OPEN, {"of_run": workflow_run_id, "prefix": prefix, "most": most})


_has_begun = or_(
    WorkflowStep.status != constant(StepStatus.waiting),
    WorkflowStep.attempt > func.coalesce(cast(WorkflowStep.facts["before"].as_string(), Integer), 0),
)
_SWEEP = (
    update(WorkflowStep)
    .where(_OF_RUN, WorkflowStep.completed_at.is_(None))
    .values(
        status=case((_has_begun, constant(StepStatus.cancelled)), else_=constant(StepStatus.skipped)),
        due_at=None,
        awaits=None,
        completed_at=func.now(),
    )
    .execution_options(locks=Rank.runs.held)
)
_SWEEP_SUBMITTED = (
    update(WorkflowStep)
    .where(_OF_RUN, WorkflowStep.facts["submitted"].as_string() == "open")
    .values(
        facts=cast(cast(WorkflowStep.facts, JSONB).concat(func.jsonb_build_object("submitted", "dropped")), JSON),
        due_at=None,
    )
    .execution_options(locks=Rank.runs.held)
)


async def sweep_steps(tx: Tx, workflow_run_id: UUID) -> None:
    """UPDATE what is open of a run that ends, as the engine ends single steps: what has not begun is skipped."""
    await tx.execute(_SWEEP_SUBMITTED, {"of_run": workflow_run_id})
    await tx.execute(_SWEEP, {"of_run": workflow_run_id})


_LIST_AWAITING = select(*_STATE).where(_OF_RUN, WorkflowStep.awaits == bindparam("name", type_=Text))


async def list_steps_awaiting(tx: Tx, workflow_run_id: UUID, name: str) -> Sequence[StepRow]:
    """SELECT the steps of a run that await an event."""
    return await tx.fetch(StepRow, _LIST_AWAITING, {"of_run": workflow_run_id, "name": name})


_GET_RESULTS = select(WorkflowStep.path, WorkflowStep.result).where(_OF_RUN, WorkflowStep.path == any_(_PATHS))


async def get_results(tx: Tx, workflow_run_id: UUID, paths: Sequence[str]) -> dict[str, JsonValue]:
    """SELECT results of steps, by path."""
    rows = await tx.execute(_GET_RESULTS, {"of_run": workflow_run_id, "paths": list(paths)})
    return {row.path: row.result for row in rows}


_FRAME = tuple(WorkflowFrame.__table__.c[name] for name in FrameRow._fields)
_frame_there = (
    select(*_FRAME)
    .where(WorkflowFrame.workflow_run_id == _place.c.workflow_run_id, WorkflowFrame.path == _place.c.path)
    .offset(0)
    .lateral("frame")
)
_GET_FRAMES = select(*(_frame_there.c[column.key] for column in _FRAME)).select_from(_place, _frame_there)


async def get_frames(tx: Tx, frames: Sequence[tuple[UUID, str]]) -> Sequence[FrameRow]:
    """SELECT frames, each of a run."""
    return await tx.fetch(FrameRow, _GET_FRAMES, _as_places(frames))


_wanted = func.unnest(_PATHS).table_valued("path", with_ordinality="place").render_derived(name="wanted")
_GET_VALUES = (
    select(func.json_agg(aggregate_order_by(WorkflowFrame.value, _wanted.c.place), type_=ReadJson).label("all_values"))
    .select_from(_wanted)
    .outerjoin(WorkflowFrame, (WorkflowFrame.workflow_run_id == _RUN) & (WorkflowFrame.path == _wanted.c.path))
)


async def get_values(tx: Tx, workflow_run_id: UUID, paths: Sequence[str]) -> list[JsonValue]:
    """SELECT the values of frames, in the order of ``paths``; None for those without."""
    values = await tx.fetch_value(_GET_VALUES, {"of_run": workflow_run_id, "paths": list(paths)})
    return values if isinstance(values, list) else []


_SAVED_FRAME = FrameRow._fields
_frame = rows_like(WorkflowFrame, _SAVED_FRAME)
_insert_frames = insert(WorkflowFrame).from_select(_SAVED_FRAME, select(*(_frame.c[name] for name in _SAVED_FRAME)))
_SAVE_FRAMES = _insert_frames.on_conflict_do_update(
    index_elements=["workflow_run_id", "path"],
    set_={name: _insert_frames.excluded[name] for name in ("variables", "names", "value")},
).execution_options(locks=Rank.runs.held)


async def save_frames(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT frames, or UPDATE those that are there."""
    await tx.execute(_SAVE_FRAMES, as_rows(rows))


_SAVED_STEP = (
    "workflow_run_id",
    "path",
    "region",
    "scope",
    "operator_type",
    "status",
    "attempt",
    "task_id",
    "result",
    "error",
    "facts",
    "due_at",
    "awaits",
    "queue",
    "started_at",
    "completed_at",
)
_step = rows_like(WorkflowStep, _SAVED_STEP)
_INSERT_STEPS = insert(WorkflowStep).from_select(_SAVED_STEP, select(*(_step.c[name] for name in _SAVED_STEP)))


async def insert_steps(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT steps that have come into being."""
    await tx.execute(_INSERT_STEPS, as_rows(rows))


_CHANGED = ("status", "attempt", "task_id", "error", "facts", "due_at", "awaits", "started_at", "completed_at")
_changed = rows_like(WorkflowStep, ("workflow_run_id", "path", "result", *_CHANGED), column("has_result", Boolean))
_UPDATE_STEPS = (
    update(WorkflowStep)
    .where(WorkflowStep.workflow_run_id == _changed.c.workflow_run_id, WorkflowStep.path == _changed.c.path)
    .values({name: _changed.c[name] for name in _CHANGED})
    .values(result=case((_changed.c.has_result, _changed.c.result), else_=WorkflowStep.result))
    .execution_options(locks=Rank.runs.held)
)


async def update_steps(tx: Tx, rows: Sequence[Parameters]) -> None:
    """UPDATE steps of locked runs; the result only where `has_result`."""
    await tx.execute(_UPDATE_STEPS, as_rows(rows))


_WARNED = ("workflow_run_id", "path", "code", "expression")
_warning = rows_like(WorkflowWarning, _WARNED)
_INSERT_WARNINGS = (
    insert(WorkflowWarning)
    .from_select(_WARNED, select(*(_warning.c[name] for name in _WARNED)))
    .on_conflict_do_nothing()
)


async def insert_warnings(tx: Tx, rows: Sequence[Parameters]) -> None:
    """INSERT warnings, each once."""
    await tx.execute(_INSERT_WARNINGS, as_rows(rows))


_FIND_WORK = select(Task.task_id, Task.workflow_run_id).where(Task.task_id == any_(_IDS), Task.step.is_not(None))


async def find_work(tx: Tx, task_ids: Sequence[UUID]) -> dict[UUID, UUID]:
    """SELECT which of the tasks are work items of steps; the run of each."""
    return {row.task_id: row.workflow_run_id for row in await tx.execute(_FIND_WORK, {"ids": list(task_ids)})}


_LIST_RUNS_AWAITING = (
    select(WorkflowStep.workflow_run_id)
    .where(WorkflowStep.queue == bindparam("of_queue", type_=Text))
    .where(WorkflowStep.awaits == bindparam("name", type_=Text))
    .where(or_(_RUN.is_(None), WorkflowStep.workflow_run_id == _RUN))
    .distinct()
)


async def list_runs_awaiting(tx: Tx, queue: str, name: str, workflow_run_id: UUID | None) -> Sequence[UUID]:
    """SELECT the runs with a step that awaits an event on a queue; or whether the one run has."""
    return await tx.fetch_values(_LIST_RUNS_AWAITING, {"of_queue": queue, "name": name, "of_run": workflow_run_id})


_LIST_CHILDREN = (
    select(WorkflowRun.workflow_run_id)
    .join(WorkflowExecution, WorkflowExecution.workflow_run_id == WorkflowRun.workflow_run_id)
    .where(WorkflowRun.parent_workflow_run_id == _RUN, WorkflowRun.completed_at.is_(None))
    .where(WorkflowExecution.parent_step.is_not(None))
    .where(or_(_PATHS.is_(None), WorkflowExecution.parent_step == any_(_PATHS)))
    .order_by(WorkflowRun.workflow_run_id)
)


async def list_open_children(tx: Tx, workflow_run_id: UUID, steps: Sequence[str] | None) -> Sequence[UUID]:
    """SELECT the open runs that these steps of a run, or any of its steps, have started."""
    parameters = {"of_run": workflow_run_id, "paths": None if steps is None else list(steps)}
    return await tx.fetch_values(_LIST_CHILDREN, parameters)


def _runs_below() -> Query:
    """Return the statement that goes from a run to the open runs that it has started, and on from each of these."""
    started = (
        select(WorkflowRun.workflow_run_id)
        .join(WorkflowExecution, WorkflowExecution.workflow_run_id == WorkflowRun.workflow_run_id)
        .where(WorkflowRun.completed_at.is_(None), WorkflowExecution.parent_step.is_not(None))
    )
    below = started.where(WorkflowRun.parent_workflow_run_id == _RUN).cte("below", recursive=True)
    below = below.union_all(started.where(WorkflowRun.parent_workflow_run_id == below.c.workflow_run_id))
    return select(below.c.workflow_run_id)


_LIST_BELOW = _runs_below()


async def list_open_runs_below(tx: Tx, workflow_run_id: UUID) -> Sequence[UUID]:
    """SELECT the open runs that steps of a run have started, and those that these have started, and so on."""
    return await tx.fetch_values(_LIST_BELOW, {"of_run": workflow_run_id})
