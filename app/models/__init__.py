"""The tables, one file a noun; importing this package makes the metadata complete."""

from app.models.api_keys import ApiKey
from app.models.base import Base
from app.models.idempotency_keys import IdempotencyKey
from app.models.workflow_run_history import WorkflowRunHistory
from app.models.workflow_runs import WorkflowRun

__all__ = ["ApiKey", "Base", "IdempotencyKey", "WorkflowRun", "WorkflowRunHistory"]
