"""Calls about monitors."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from milepost.client.calls import Call, Operation, Paging, change, create, delete, get
from milepost.client.encoding import NOT_GIVEN, write_body, write_path
from milepost.client.fields import PageFields, Texts
from milepost.schemas.monitors import Monitor, MonitorPage, MonitorState, PingState
from milepost.schemas.workflow_runs import WorkflowRun

MONITORS = "/v1/monitors"
MONITOR = MONITORS + "/{}"


class MonitorFields(TypedDict, total=False):
    """What a monitor may be given, beside its workflow: ``cron`` or ``every_seconds`` is needed."""

    cron: str | None
    timezone: str | None
    every_seconds: float | None
    grace_seconds: float
    max_runtime_seconds: float | None
    tags: Mapping[str, Any]
    paused: bool
    created_by: str | None


class MonitorQueryFields(PageFields, total=False):
    """Which monitors."""

    workflow_name: str | None
    state: MonitorState | Texts | None


class MonitorCalls:
    """Every operation on monitors."""

    @Operation
    def put_monitor(self, name: str, workflow_name: str, **fields: Unpack[MonitorFields]) -> Call[Monitor]:
        """Say when runs of a workflow should come; what is not given gets its default, the same changes nothing."""
        return change("PUT", write_path(MONITOR, name), Monitor, {"workflow_name": workflow_name, **fields})

    @Operation
    def list_monitors(self, **query: Unpack[MonitorQueryFields]) -> Call[MonitorPage]:
        """List monitors by name."""
        return get(MONITORS, MonitorPage, **query)

    @Operation
    def get_monitor(self, name: str) -> Call[Monitor]:
        """Return one monitor, and how it stands."""
        return get(write_path(MONITOR, name), Monitor)

    @Operation
    def delete_monitor(self, name: str) -> Call[None]:
        """Delete a monitor; the runs stay."""
        return delete(write_path(MONITOR, name))

    @Operation
    def ping_monitor(
        self,
        name: str,
        state: PingState | str = PingState.completed,
        *,
        message: str | None = None,
        result: object = NOT_GIVEN,
        idempotency_key: str | None = None,
    ) -> Call[WorkflowRun]:
        """Record that a run of a monitor has started, completed or failed, and return the run."""
        content = write_body({"state": state, "result": result}, message=message)
        return create(write_path(MONITOR + "/ping", name), WorkflowRun, content, idempotency_key)

    iterate_monitors = Paging(list_monitors)
