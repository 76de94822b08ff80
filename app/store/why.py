"""SQL of why: what is known of things that are asked about, each by an index and up to some number."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    case,
    cast,
    false,
    func,
    select,
    type_coerce,
)
from sqlalchemy.orm import aliased

from app.db.engine import Parameters, Tx
from app.domain.highway.engine.attempts import ISOLATED
from app.domain.moves import OPEN, TASK_OPEN
from app.domain.why.facts import AwaitedName, ChildFacts, ExplainedRun, QueueFacts, StepFacts, TaskFacts
from app.models import Event, EventWait, Queue, Schedule, Task, WorkflowExecution, WorkflowRun, WorkflowStep
from app.models.base import KeptJson, constant, is_among
from app.store.parts import Expression, Query
from milepost.schemas.steps import StepStatus
from milepost.schemas.tasks import TaskStatus

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_RUN = bindparam("of_run", type_=Uuid)
_MOST = bindparam("most", type_=Integer)
_NOW = func.clock_timestamp(type_=DateTime(timezone=True))
_RUNNING = constant(TaskStatus.running)
SPARE_PLACES = 1000
"""How many running tasks are counted beyond the limit of a queue: a limit may be lowered while more run."""
CHILDREN_MOST = 1000
"""How many of the newest runs that a run has started are looked at."""


def _member(column: Expression, name: str) -> ColumnElement[str]:
    """Return a member of a JSON object as a text."""
    return func.json_extract_path_text(column, name, type_=Text)


_is_isolated = func.coalesce(_member(WorkflowStep.facts, "again") == constant(ISOLATED), false())
_holder = aliased(Task)
_rival = aliased(Task)
_holder_id = (
    select(_holder.task_id)
    .where(_holder.queue == Task.queue, _holder.concurrency_key == Task.concurrency_key, _holder.status == _RUNNING)
    .where(_holder.concurrency_key.is_not(None))
    .correlate(Task)
    .scalar_subquery()
)


def _count_ready(*conditions: ColumnElement[bool]) -> ColumnElement[int]:
    """Return how many ready tasks of the same queue there are, counted in the order of their index up to a number."""
    ready = select(_rival.task_id).where(_rival.queue == Task.queue, _rival.ready_at.is_not(None), *conditions)
    # in that order, or where there are few of them the whole table would be looked through for more
    some = ready.order_by(_rival.priority.desc(), _rival.sequence).limit(_MOST).correlate(Task).subquery("ready")
    return cast(select(func.count()).select_from(some).scalar_subquery(), BigInteger)


_higher = _count_ready(_rival.priority > Task.priority)
_older = _count_ready(_rival.priority == Task.priority, _rival.sequence < Task.sequence)
_before = case((Task.ready_at.is_(None), 0), else_=func.least(_higher + _older, _MOST))
_COMPUTED: dict[str, Expression] = {
    "now": _NOW,
    "run_status": WorkflowRun.status,
    "run_paused_at": WorkflowRun.paused_at,
    "run_cancel_requested_at": WorkflowRun.cancel_requested_at,
    "isolated_until": case((_is_isolated, WorkflowStep.due_at)),
    "holder_task_id": _holder_id,
    "ready_before": _before,
}
_TASK = tuple(
    (_COMPUTED[name] if name in _COMPUTED else Task.__table__.c[name]).label(name) for name in TaskFacts._fields
)
_GET_TASKS = (
    select(*_TASK)
    .outerjoin(WorkflowRun, WorkflowRun.workflow_run_id == Task.workflow_run_id)
    .outerjoin(WorkflowStep, and_(WorkflowStep.workflow_run_id == Task.workflow_run_id, WorkflowStep.path == Task.step))
    .where(Task.task_id == any_(_IDS))
    .order_by(Task.sequence)
)


async def get_tasks(tx: Tx, task_ids: Sequence[UUID], count_most: int) -> Sequence[TaskFacts]:
    """SELECT what is known of tasks, oldest first; ready tasks before each are counted up to ``count_most``."""
    return await tx.fetch(TaskFacts, _GET_TASKS, {"ids": list(task_ids), "most": count_most})


_LIST_OPEN_TASKS = (
    select(Task.task_id).where(Task.workflow_run_id == _RUN, is_among(Task.status, TASK_OPEN)).limit(_MOST)
)


async def list_open_tasks(tx: Tx, workflow_run_id: UUID, most: int) -> Sequence[UUID]:
    """SELECT up to ``most`` open tasks of a run."""
    return await tx.fetch_values(_LIST_OPEN_TASKS, {"of_run": workflow_run_id, "most": most})


_some_open = (
    select(Task.task_id).where(Task.workflow_run_id == _RUN, is_among(Task.status, TASK_OPEN)).limit(_MOST).subquery()
)
_COUNT_OPEN_TASKS = select(func.count()).select_from(_some_open)


async def count_open_tasks(tx: Tx, workflow_run_id: UUID, most: int) -> int:
    """SELECT how many open tasks a run has, up to ``most``."""
    return await tx.fetch_value(_COUNT_OPEN_TASKS, {"of_run": workflow_run_id, "most": most})


_places_taken = (
    select(Task.task_id)
    .where(Task.queue == Queue.queue, Task.status == _RUNNING)
    .limit(func.coalesce(Queue.max_concurrency, 0) + SPARE_PLACES)
    .correlate(Queue)
    .subquery("places")
)
_count_running = select(func.count()).select_from(_places_taken).correlate(Queue).scalar_subquery()
_GET_QUEUES = select(
    Queue.queue,
    Queue.paused,
    Queue.updated_at,
    Queue.max_concurrency,
    case((Queue.max_concurrency.is_(None), 0), else_=_count_running).label("running"),
).where(Queue.queue == any_(bindparam("queues", type_=ARRAY(Text))))


async def get_queues(tx: Tx, queues: Sequence[str]) -> dict[str, QueueFacts]:
    """SELECT what queues hand out, by name; what runs is counted where there is a limit, up to a little more."""
    return {row.queue: row for row in await tx.fetch(QueueFacts, _GET_QUEUES, {"queues": list(queues)})}


_has_come = (
    select(1)
    .where(Event.queue == EventWait.queue, Event.event_name == EventWait.event_name)
    .where(Event.workflow_run_id.is_(None) | (Event.workflow_run_id == EventWait.workflow_run_id))
    .exists()
)
_LIST_AWAITED = (
    select(EventWait.task_id, EventWait.event_name)
    .where(EventWait.task_id == any_(_IDS), ~_has_come)
    .order_by(EventWait.task_id, EventWait.event_name)
    .limit(_MOST)
)


async def list_awaited_names(tx: Tx, task_ids: Sequence[UUID], most: int) -> Sequence[AwaitedName]:
    """SELECT up to ``most`` events that tasks await, and that have not been emitted."""
    return await tx.fetch(AwaitedName, _LIST_AWAITED, {"ids": list(task_ids), "most": most})


_OF_RUN: dict[str, Expression] = {
    "now": _NOW,
    "execution_deadline_at": WorkflowExecution.deadline_at,
    "max_active_runs": Schedule.max_active_runs,
}
_RUN_FACTS = tuple(
    (_OF_RUN[name] if name in _OF_RUN else WorkflowRun.__table__.c[name]).label(name) for name in ExplainedRun._fields
)
_GET_RUN = (
    select(*_RUN_FACTS)
    .outerjoin(WorkflowExecution, WorkflowExecution.workflow_run_id == WorkflowRun.workflow_run_id)
    .outerjoin(Schedule, Schedule.schedule_id == WorkflowRun.schedule_id)
    .where(WorkflowRun.workflow_run_id == _RUN)
)


async def get_run(tx: Tx, workflow_run_id: UUID) -> ExplainedRun | None:
    """SELECT what is known of a run."""
    return await tx.fetch_one(ExplainedRun, _GET_RUN, {"of_run": workflow_run_id})


_STEP_FACTS: dict[str, Expression] = {
    "error": type_coerce(WorkflowStep.error, KeptJson),
    "cause": _member(WorkflowStep.facts, "cause"),
    "is_isolated": cast(_is_isolated, Boolean),
}
_STEP = tuple(
    (_STEP_FACTS[name] if name in _STEP_FACTS else WorkflowStep.__table__.c[name]).label(name)
    for name in StepFacts._fields
)
_LIST_OPEN_STEPS = (
    select(*_STEP)
    .where(WorkflowStep.workflow_run_id == _RUN)
    .where(is_among(WorkflowStep.status, (StepStatus.runnable, StepStatus.running)) | WorkflowStep.due_at.is_not(None))
    .limit(_MOST)
)


async def list_open_steps(tx: Tx, workflow_run_id: UUID, most: int) -> Sequence[StepFacts]:
    """SELECT up to ``most`` steps of a run that have begun, or that something happens to by itself."""
    return await tx.fetch(StepFacts, _LIST_OPEN_STEPS, {"of_run": workflow_run_id, "most": most})


_LIST_FAILED_STEPS = (
    select(*_STEP)
    .where(WorkflowStep.workflow_run_id == _RUN, WorkflowStep.scope == any_(bindparam("scopes", type_=ARRAY(Text))))
    .where(is_among(WorkflowStep.status, (StepStatus.failed, StepStatus.upstream_failed)))
    .order_by(WorkflowStep.completed_at, WorkflowStep.path)
    .limit(_MOST)
)


async def list_failed_steps(tx: Tx, workflow_run_id: UUID, scopes: Sequence[str], most: int) -> Sequence[StepFacts]:
    """SELECT up to ``most`` steps in scopes of a run that failed, or did not begin because of others; oldest first."""
    parameters: Parameters = {"of_run": workflow_run_id, "scopes": list(scopes), "most": most}
    return await tx.fetch(StepFacts, _LIST_FAILED_STEPS, parameters)


_GET_STEPS = (
    select(*_STEP)
    .where(WorkflowStep.workflow_run_id == _RUN, WorkflowStep.path == any_(bindparam("paths", type_=ARRAY(Text))))
    .order_by(WorkflowStep.completed_at, WorkflowStep.path)
)


async def get_steps(tx: Tx, workflow_run_id: UUID, paths: Sequence[str]) -> Sequence[StepFacts]:
    """SELECT steps of a run by their paths; those first that ended first."""
    return await tx.fetch(StepFacts, _GET_STEPS, {"of_run": workflow_run_id, "paths": list(paths)})


_LIST_WAITING = (
    select(WorkflowStep.path)
    .where(WorkflowStep.workflow_run_id == _RUN, WorkflowStep.scope == "")
    .where(WorkflowStep.status == constant(StepStatus.waiting), WorkflowStep.due_at.is_(None))
    .order_by(WorkflowStep.sequence)
    .limit(_MOST)
)


async def list_waiting_steps(tx: Tx, workflow_run_id: UUID, most: int) -> Sequence[str]:
    """SELECT up to ``most`` steps of the top level that wait for others."""
    return await tx.fetch_values(_LIST_WAITING, {"of_run": workflow_run_id, "most": most})


def _open_children() -> Query:
    """Return the statement that finds the open ones among the newest runs that a run has started."""
    newest = (
        select(WorkflowRun.workflow_run_id, WorkflowRun.workflow_name, WorkflowRun.status, WorkflowRun.created_at)
        .where(WorkflowRun.parent_workflow_run_id == _RUN)
        .order_by(WorkflowRun.created_at.desc())
        .limit(CHILDREN_MOST)
        .subquery("newest")
    )
    execution = WorkflowExecution
    return (
        select(
            newest.c.workflow_run_id,
            newest.c.workflow_name,
            newest.c.status,
            execution.parent_step.label("path"),
            newest.c.created_at,
        )
        .join(execution, execution.workflow_run_id == newest.c.workflow_run_id)
        .where(is_among(newest.c.status, OPEN), execution.parent_step.is_not(None))
        .order_by(newest.c.created_at)
        .limit(_MOST)
    )


_LIST_CHILDREN = _open_children()


async def list_open_children(tx: Tx, workflow_run_id: UUID, most: int) -> Sequence[ChildFacts]:
    """SELECT up to ``most`` open runs that steps of a run have started, oldest first."""
    return await tx.fetch(ChildFacts, _LIST_CHILDREN, {"of_run": workflow_run_id, "most": most})
