"""The tables, one file a noun; importing this package makes the metadata complete."""

from app.models.api_keys import ApiKey
from app.models.base import Base
from app.models.idempotency_keys import IdempotencyKey
from app.models.queues import Event, EventWait, Queue, QueueWorker
from app.models.tasks import Checkpoint, LateReport, SpentLease, Task, TaskAttempt
from app.models.workflow_run_history import WorkflowRunHistory
from app.models.workflow_runs import WorkflowRun

__all__ = [
    "ApiKey",
    "Base",
    "Checkpoint",
    "Event",
    "EventWait",
    "IdempotencyKey",
    "LateReport",
    "Queue",
    "QueueWorker",
    "SpentLease",
    "Task",
    "TaskAttempt",
    "WorkflowRun",
    "WorkflowRunHistory",
]
