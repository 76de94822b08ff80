"""The keyword arguments that several calls share; their names are those of the API."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Required, TypeAlias, TypedDict
from uuid import UUID

from milepost.schemas.logs import LogLevel, LogOrder
from milepost.schemas.reasons import Reason
from milepost.schemas.steps import StepStatus
from milepost.schemas.tasks import Cancellation, RetryStrategy, TaskOrder, TaskStatus
from milepost.schemas.wire import CountTotal
from milepost.schemas.workflow_runs import RunOrder, RunStatus

Id: TypeAlias = UUID | str
Time: TypeAlias = datetime | str
Texts: TypeAlias = str | Sequence[str]


class PageFields(TypedDict, total=False):
    """Which part of a list."""

    limit: int | None
    cursor: str | None


class RunFilterFields(TypedDict, total=False):
    """Which workflow runs; all that is given must hold."""

    workflow_name: Texts | None
    workflow_version: Texts | None
    status: RunStatus | Texts | None
    reason: Reason | Texts | None
    late: bool | None
    created_by: str | None
    queue: str | None
    parent_workflow_run_id: Id | None
    tag: Texts | None
    created_after: Time | None
    created_before: Time | None
    started_after: Time | None
    started_before: Time | None
    completed_after: Time | None
    completed_before: Time | None
    updated_after: Time | None
    updated_before: Time | None


class RunQueryFields(RunFilterFields, PageFields, total=False):
    """Which workflow runs, in which order."""

    order: RunOrder | str | None
    count: CountTotal | str | None


class TaskFilterFields(TypedDict, total=False):
    """Which tasks; all that is given must hold."""

    queue: str | None
    status: TaskStatus | Texts | None
    task_name: str | None
    workflow_run_id: Id | None
    parent_task_id: Id | None
    claimed_by: str | None
    created_after: Time | None
    created_before: Time | None


class TaskQueryFields(TaskFilterFields, PageFields, total=False):
    """Which tasks, in which order."""

    order: TaskOrder | str | None
    count: CountTotal | str | None


class RunTaskQueryFields(PageFields, total=False):
    """Which tasks of a workflow run."""

    status: TaskStatus | Texts | None
    task_name: str | None
    order: TaskOrder | str | None
    count: CountTotal | str | None


class StepQueryFields(PageFields, total=False):
    """Which steps of an executed run."""

    status: StepStatus | Texts | None


class LogLineFields(TypedDict, total=False):
    """A line to append to a log."""

    text: Required[str]
    at: Time | None
    level: LogLevel | str
    fields: Mapping[str, Any]


class LogQueryFields(PageFields, total=False):
    """Which lines of a log, in which order."""

    level: LogLevel | str | None
    after: Time | None
    before: Time | None
    q: str | None
    attempt: int | None
    order: LogOrder | str | None
    tail: int | None


class LinkedSpawnFields(TypedDict, total=False):
    """What a task of a given run may be spawned with, beside its name and parameters."""

    headers: Mapping[str, Any]
    queue: str | None
    parent_task_id: Id | None
    priority: int
    available_at: Time | None
    delay_seconds: float | None
    max_attempts: int
    max_lost: int
    retry_strategy: RetryStrategy | Mapping[str, Any] | None
    cancellation: Cancellation | Mapping[str, Any] | None
    idempotency_key: str | None
    concurrency_key: str | None


class SpawnFields(LinkedSpawnFields, total=False):
    """What a task may be spawned with, beside its name and parameters."""

    workflow_run_id: Id | None


class TaskFields(SpawnFields, total=False):
    """A task to spawn."""

    task_name: Required[str]
    params: Any


class RunFields(TypedDict, total=False):
    """What a workflow run may be created with, beside its name and version."""

    inputs: Any
    created_by: str | None
    tags: Mapping[str, Any]
    workflow_hash: str | None
    absurd_run_id: str | UUID | None
    queue: str
    parent_workflow_run_id: Id | None
    task_count: int | None
    deadline_seconds: float | None
    heartbeat_seconds: float | None
    expected_by: Time | None
    status: RunStatus | str
    result: Any
    error: Mapping[str, Any] | None
    started_at: Time | None
    completed_at: Time | None
    tasks: Sequence[TaskFields]


class NewRunFields(RunFields, total=False):
    """A workflow run to create."""

    workflow_name: Required[str]
    workflow_version: Required[str]


class ProgressFields(TypedDict, total=False):
    """How far it is; what is absent stays, and None clears."""

    done: float | None
    total: float | None
    unit: str | None
    message: str | None


class RunChangeFields(TypedDict, total=False):
    """What to change on a workflow run beside its status; what is absent stays, and None is null."""

    result: Any
    error: Mapping[str, Any] | None
    started_at: Time | None
    completed_at: Time | None
    task_count: int | None
    tags: Mapping[str, Any]
    reported_progress: ProgressFields | None
    open_tasks: str


class QueueFields(TypedDict, total=False):
    """The limits of a queue; None is null."""

    paused: bool
    max_concurrency: int | None
    default_lease_seconds: float
    retention_seconds: float | None


class ClaimFields(TypedDict, total=False):
    """What a worker asks for."""

    worker_id: Required[str]
    limit: int
    lease_seconds: float
    wait_seconds: float
    task_names: Sequence[str]


class StartFields(TypedDict, total=False):
    """What a run of a definition may start with, beside its inputs."""

    tags: Mapping[str, Any]
    created_by: str | None
    queue: str
    strict_templates: bool


class SimulationFields(TypedDict, total=False):
    """What a script is played with, beside its definition and steps."""

    inputs: Any
    run: Mapping[str, Any]
    start_time: Time | None
    strict_templates: bool
