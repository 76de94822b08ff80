"""The two clients: all operations on one of two transports."""

from milepost.client.bulk_operations import BulkOperationCalls
from milepost.client.changes import ChangeCalls
from milepost.client.logs import LogCalls
from milepost.client.monitors import MonitorCalls
from milepost.client.operations import OperationCalls
from milepost.client.queues import QueueCalls
from milepost.client.schedules import ScheduleCalls
from milepost.client.tasks import TaskCalls
from milepost.client.transport import AsyncTransport, Transport
from milepost.client.worker_calls import WorkerCalls
from milepost.client.workflow_runs import WorkflowRunCalls
from milepost.client.workflows import WorkflowCalls


class Client(
    WorkflowRunCalls,
    WorkflowCalls,
    ScheduleCalls,
    MonitorCalls,
    TaskCalls,
    BulkOperationCalls,
    WorkerCalls,
    LogCalls,
    QueueCalls,
    ChangeCalls,
    OperationCalls,
    Transport,
):
    """Calls the service and waits for its answers. May be shared by threads."""

    def commit(self) -> None:
        """Do nothing: what a call wrote is committed when it returns. For code that had a database connection."""

    def rollback(self) -> None:
        """Do nothing: what a call wrote stays. For code that had a database connection."""


class AsyncClient(
    WorkflowRunCalls,
    WorkflowCalls,
    ScheduleCalls,
    MonitorCalls,
    TaskCalls,
    BulkOperationCalls,
    WorkerCalls,
    LogCalls,
    QueueCalls,
    ChangeCalls,
    OperationCalls,
    AsyncTransport,
):
    """Calls the service from an event loop: the methods of ``Client``, to be awaited."""
