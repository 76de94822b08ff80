"""Calls about logs and links."""

from collections.abc import Sequence
from typing import Unpack

from milepost.client.calls import Call, Operation, Paging, create, get
from milepost.client.encoding import write_body, write_path
from milepost.client.fields import Id, LogLineFields, LogQueryFields
from milepost.schemas.logs import LogAppended, LogLineAppend, LogPage

RUN_LOGS = "/v1/workflow-runs/{}/logs"
TASK_LOGS = "/v1/tasks/{}/logs"


class LogCalls:
    """Every operation on logs."""

    @Operation
    def append_run_logs(
        self,
        workflow_run_id: Id,
        lines: Sequence[LogLineAppend | LogLineFields],
        *,
        idempotency_key: str | None = None,
    ) -> Call[LogAppended]:
        """Append up to 1000 lines to the log of a workflow run: all of them or none."""
        content = write_body({"lines": lines})
        return create(write_path(RUN_LOGS, workflow_run_id), LogAppended, content, idempotency_key)

    @Operation
    def append_task_logs(
        self,
        task_id: Id,
        lines: Sequence[LogLineAppend | LogLineFields],
        *,
        idempotency_key: str | None = None,
    ) -> Call[LogAppended]:
        """Append up to 1000 lines to the log of a task, and of its run: all of them or none."""
        content = write_body({"lines": lines})
        return create(write_path(TASK_LOGS, task_id), LogAppended, content, idempotency_key)

    @Operation
    def list_run_logs(self, workflow_run_id: Id, **query: Unpack[LogQueryFields]) -> Call[LogPage]:
        """List the log of a workflow run with the lines of its tasks, oldest first unless ``order`` says otherwise."""
        return get(write_path(RUN_LOGS, workflow_run_id), LogPage, **query)

    @Operation
    def list_task_logs(self, task_id: Id, **query: Unpack[LogQueryFields]) -> Call[LogPage]:
        """List the log of a task, oldest first unless ``order`` says otherwise."""
        return get(write_path(TASK_LOGS, task_id), LogPage, **query)

    iterate_run_logs = Paging(list_run_logs)
    iterate_task_logs = Paging(list_task_logs)
