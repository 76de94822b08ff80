"""The two clients: all operations on one of two transports."""

from .operations import OperationCalls
from .queues import QueueCalls
from .schedules import ScheduleCalls
from .tasks import TaskCalls
from .transport import AsyncTransport, Transport
from .worker_calls import WorkerCalls
from .workflow_runs import WorkflowRunCalls
from .workflows import WorkflowCalls


class Client(
    WorkflowRunCalls, WorkflowCalls, ScheduleCalls, TaskCalls, WorkerCalls, QueueCalls, OperationCalls, Transport
):
    """Calls the service and waits for its answers. May be shared by threads."""

    def commit(self) -> None:
        """Do nothing: what a call wrote is committed when it returns. For code that had a database connection."""

    def rollback(self) -> None:
        """Do nothing: what a call wrote stays. For code that had a database connection."""


class AsyncClient(
    WorkflowRunCalls, WorkflowCalls, ScheduleCalls, TaskCalls, WorkerCalls, QueueCalls, OperationCalls, AsyncTransport
):
    """Calls the service from an event loop: the methods of ``Client``, to be awaited."""
