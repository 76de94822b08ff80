"""What is known of things that are asked about; the store reads it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.domain.json_texts import JsonValue
from milepost.schemas.tasks import TaskStatus
from milepost.schemas.workflow_runs import RunStatus


class TaskFacts(NamedTuple):
    """A task, with what may be in its way that hangs on it alone."""

    task_id: UUID
    task_name: str
    queue: str
    workflow_run_id: UUID | None
    step: str | None
    status: str
    error: JsonValue
    attempt: int
    claimed_by: str | None
    lease_expires_at: datetime | None
    concurrency_key: str | None
    ready_at: datetime | None
    due_at: datetime | None
    wake_at: datetime | None
    wait_step: str | None
    cancel_requested_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    updated_at: datetime
    now: datetime
    run_status: str | None
    run_paused_at: datetime | None
    run_cancel_requested_at: datetime | None
    isolated_until: datetime | None
    """Until when the circuit breaker of its function keeps its step from beginning; None: it does not."""
    holder_task_id: UUID | None
    """The running task of its concurrency key."""
    ready_before: int
    """Ready tasks of its queue that are claimed before it, up to some number."""


class QueueFacts(NamedTuple):
    """A queue, with what it may hand out."""

    queue: str
    paused: bool
    updated_at: datetime
    max_concurrency: int | None
    running: int
    """Running tasks, as far as it matters for its limit."""


class Crew(NamedTuple):
    """Who works on a queue, as far as tasks of one name are concerned."""

    queue: str
    task_name: str
    living: int
    """Workers that are living; only the newest are looked at."""
    takers: int
    """Those of them that take tasks of this name."""
    last_seen_at: datetime | None
    """When a worker has claimed last, living or not; None: nobody is known."""


class AwaitedName(NamedTuple):
    """An event that a sleeping task awaits, and that has not come."""

    task_id: UUID
    event_name: str


class ExplainedRun(NamedTuple):
    """A workflow run, with what its execution and its schedule say."""

    workflow_run_id: UUID
    status: RunStatus
    reason: str | None
    queue: str
    error: JsonValue
    workflow_id: UUID | None
    schedule_id: UUID | None
    cancel_requested_at: datetime | None
    cancel_due_at: datetime | None
    paused_at: datetime | None
    deadline_at: datetime | None
    heartbeat_seconds: float | None
    heartbeat_expires_at: datetime | None
    expected_by: datetime | None
    late_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    now: datetime
    execution_deadline_at: datetime | None
    max_active_runs: int | None
    """Of its schedule; None: it has none any more."""


class StepFacts(NamedTuple):
    """A step of an executed run."""

    path: str
    scope: str
    operator_type: str
    status: str
    task_id: UUID | None
    awaits: str | None
    due_at: datetime | None
    started_at: datetime | None
    completed_at: datetime | None
    error: JsonValue
    cause: str | None
    """Path of the step that made it fail, or that will; None: it did so by itself."""
    is_isolated: bool
    """Whether the circuit breaker of its function keeps it from beginning."""


class ChildFacts(NamedTuple):
    """An open run that a step has started."""

    workflow_run_id: UUID
    workflow_name: str
    status: str
    path: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TaskView:
    """All that is known of a task that is asked about."""

    task: TaskFacts
    queue: QueueFacts
    crew: Crew
    awaited: Sequence[str] = ()

    @property
    def is_waiting(self) -> bool:
        """Return whether no worker has it, and it has not ended."""
        return self.task.status in (TaskStatus.pending, TaskStatus.sleeping)

    @property
    def is_ready(self) -> bool:
        """Return whether a claim may take it: also where a claim would first see that its time has come."""
        task = self.task
        has_come_due = task.due_at is not None and task.due_at <= task.now and task.wait_step is None
        return self.is_waiting and (task.ready_at is not None or has_come_due)

    @property
    def ready_since(self) -> datetime | None:
        """Return since when a claim may take it."""
        return self.task.ready_at or self.task.due_at


@dataclass(frozen=True, slots=True)
class RunView:
    """All that is known of a run that is asked about."""

    run: ExplainedRun
    tasks: Sequence[TaskView] = ()
    """Open ones, up to some number."""
    open_tasks: int = 0
    """How many there are."""
    steps: Sequence[StepFacts] = ()
    """Open ones that have begun, up to some number."""
    failed: Sequence[StepFacts] = ()
    """Steps that have failed, and those that did not begin because of them."""
    waiting: Sequence[str] = ()
    """Steps of the top level that wait for others, up to some number."""
    children: Sequence[ChildFacts] = field(default_factory=tuple)
    active_runs: int = 0
    """Running runs of its schedule."""

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended."""
        return self.run.completed_at is None

    @property
    def is_executed(self) -> bool:
        """Return whether the service moves it, and not its owner."""
        return self.run.workflow_id is not None or self.run.schedule_id is not None
