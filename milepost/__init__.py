"""The Python client and worker of Milepost."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from milepost.client import (
        AbsurdClient,
        AbsurdSleepError,
        AsyncClient,
        AsyncTaskContext,
        AttemptFailed,
        ChangesForgotten,
        Client,
        Conflict,
        CrossSite,
        EventTimeout,
        Forbidden,
        HeaderRepeated,
        HeadersTooLarge,
        HeartbeatNotDeclared,
        IdempotencyKeyReused,
        InternalError,
        LeaseLost,
        MalformedRequest,
        MethodNotAllowed,
        MilepostError,
        MoveNotAllowed,
        NonRetryable,
        NotFound,
        NotJson,
        NotYaml,
        OpenTasks,
        PayloadTooLarge,
        PreconditionFailed,
        RefusedError,
        RequestTimeout,
        RetryLater,
        TaskCancelled,
        TaskContext,
        TimeLimitExceeded,
        TooManyConnections,
        TooManyLinks,
        Unauthenticated,
        Unavailable,
        UnreachableError,
        UnreadableAnswerError,
        UnsupportedMediaType,
        UriTooLong,
        ValidationFailed,
        Worker,
        WorkflowExists,
        get_absurd_client,
        spawn_cancellable_task,
        spawn_retry_task,
    )

__all__ = [
    "AbsurdClient",
    "AbsurdSleepError",
    "AsyncClient",
    "AsyncTaskContext",
    "AttemptFailed",
    "ChangesForgotten",
    "Client",
    "Conflict",
    "CountDiffers",
    "CrossSite",
    "EventTimeout",
    "Forbidden",
    "HeaderRepeated",
    "HeadersTooLarge",
    "HeartbeatNotDeclared",
    "IdempotencyKeyReused",
    "InternalError",
    "LeaseLost",
    "MalformedRequest",
    "MethodNotAllowed",
    "MilepostError",
    "MoveNotAllowed",
    "NonRetryable",
    "NotFound",
    "NotJson",
    "NotYaml",
    "OpenTasks",
    "PayloadTooLarge",
    "PreconditionFailed",
    "RefusedError",
    "RequestTimeout",
    "RetryLater",
    "TaskCancelled",
    "TaskContext",
    "TimeLimitExceeded",
    "TokenInvalid",
    "TooManyConnections",
    "TooManyLinks",
    "Unauthenticated",
    "Unavailable",
    "UnreachableError",
    "UnreadableAnswerError",
    "UnsupportedMediaType",
    "UriTooLong",
    "ValidationFailed",
    "Worker",
    "WorkflowExists",
    "get_absurd_client",
    "spawn_cancellable_task",
    "spawn_retry_task",
]


if not TYPE_CHECKING:  # else a misspelt name would have a type

    def __getattr__(name: str) -> Any:
        """Return what is in the client by that name; who needs only the types of the wire does not load it."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("milepost.client"), name)


def __dir__() -> list[str]:
    """Return what can be imported from here."""
    return sorted(__all__)
