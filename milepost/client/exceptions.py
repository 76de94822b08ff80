"""What can go wrong when the service is called: one tree.

MilepostError
├── UnreachableError            no answer came
├── UnreadableAnswerError       an answer came that is not the service's
└── RefusedError                the service said no: ``status``, ``code``, ``problem``
    ├── NotJson, NotYaml 400        ├── Conflict 409: ``current``, ``allowed``
    ├── Unauthenticated 401         │   ├── MoveNotAllowed
    ├── Forbidden 403               │   ├── OpenTasks
    ├── NotFound 404                │   ├── HeartbeatNotDeclared
    ├── MethodNotAllowed 405        │   ├── LeaseLost
    ├── PayloadTooLarge 413         │   ├── TaskCancelled
    ├── UnsupportedMediaType 415    │   ├── AttemptFailed
    ├── ValidationFailed 422        │   ├── WorkflowExists, TooManyLinks
    │   ├── IdempotencyKeyReused    │   └── PreconditionFailed 412
    │   └── TokenInvalid            ├── CountDiffers 409
    ├── Unavailable 503             ├── InternalError 500
    │   └── TooManyConnections      ├── HeaderRepeated, MalformedRequest 400
    ├── CrossSite 403               ├── RequestTimeout 408
    └── UriTooLong 414              └── HeadersTooLarge 431

A refusal with a code that is not known here is a plain ``RefusedError``.
"""

from collections.abc import Mapping
from typing import Any

from milepost.schemas.problems import FieldError


class MilepostError(Exception):
    """A call that did not bring what was asked for."""


class UnreachableError(MilepostError):
    """No answer came: no connection, a broken one, or a time-out."""

    def __init__(self, message: str, *, maybe_done: bool = True) -> None:
        super().__init__(message)
        self.maybe_done = maybe_done
        """False when the request certainly never reached the service."""


class UnreadableAnswerError(MilepostError):
    """An answer came that the service does not give: perhaps another program listens there."""


class RefusedError(MilepostError):
    """The service said no, and wrote nothing."""

    def __init__(self, status: int, code: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(status, code, problem)
        self.status = status
        self.code = code
        """The last part of the problem's type: branch on this, or on the class."""
        self.problem = dict(problem or {})
        """The problem details as they came (RFC 9457)."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"

    @property
    def detail(self) -> str:
        """What is wrong, for a person."""
        return str(self.problem.get("detail") or self.problem.get("title") or "no details were given")

    @property
    def request_id(self) -> str | None:
        """What finds this request in the service's log."""
        return self.problem.get("request_id")


class NotJson(RefusedError):
    """The body could not be read as JSON."""


class NotYaml(RefusedError):
    """The body could not be read as one YAML document."""


class Unauthenticated(RefusedError):
    """An API key is needed, and none that is known was sent."""


class Forbidden(RefusedError):
    """The API key lacks the scope that this call needs."""


class NotFound(RefusedError):
    """There is nothing under this address."""


class MethodNotAllowed(RefusedError):
    """The address does not take this method: client and service may be of different versions."""


class Conflict(RefusedError):
    """Refused because of where the resource stands."""

    @property
    def current(self) -> Any:
        """The resource as it stands, as JSON; None where there is none."""
        return self.problem.get("current")

    @property
    def allowed(self) -> list[str]:
        """What the resource can do from there: statuses first, then verbs."""
        return list(self.problem.get("allowed") or [])


class MoveNotAllowed(Conflict):
    """The resource stands where this change is not allowed."""


class OpenTasks(Conflict):
    """The run still has open tasks, and the change asked to be refused then."""


class TooManyLinks(Conflict):
    """The run has as many links as a run may have."""


class HeartbeatNotDeclared(Conflict):
    """The run was created without ``heartbeat_seconds``."""


class LeaseLost(Conflict):
    """The lease token is not, or no longer, that of the task: somebody else may be working it."""


class TaskCancelled(Conflict):
    """The task was cancelled: stop working it."""


class AttemptFailed(Conflict):
    """This lease's own report already ended the attempt as failed."""


class WorkflowExists(Conflict):
    """This version of the workflow is registered with other content: a new definition needs a new version."""


class PreconditionFailed(Conflict):
    """The resource has another revision than ``if_match`` says."""


class PayloadTooLarge(RefusedError):
    """The body is larger than the service takes."""


class UnsupportedMediaType(RefusedError):
    """The body is of a type that the call does not take."""


class ValidationFailed(RefusedError, ValueError):
    """Something in the request cannot be accepted; ``errors`` names each place."""

    @property
    def errors(self) -> list[FieldError]:
        """Each place that cannot be accepted."""
        return [FieldError.model_validate(error) for error in self.problem.get("errors") or []]


class IdempotencyKeyReused(ValidationFailed):
    """The idempotency key belongs to another request."""


class TokenInvalid(ValidationFailed):
    """The token is of no dry run of the same bulk operation, or has expired."""


class InternalError(RefusedError):
    """An error of the service's own."""


class Unavailable(RefusedError):
    """The service cannot answer at the moment."""

    def __init__(
        self,
        status: int,
        code: str,
        problem: Mapping[str, Any] | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(status, code, problem)
        self.retry_after_seconds = retry_after_seconds
        """When the service asks to be called again; None when it does not say."""


class TooManyConnections(Unavailable):
    """More connections are open than one process of the service takes."""


class CrossSite(RefusedError):
    """There are no API keys, and the service was not called by a name of its own."""


class CountDiffers(RefusedError):
    """Another number matches than was expected; ``problem["count"]`` is how many."""


class ChangesForgotten(RefusedError):
    """The changes behind this position are not kept any more; ``problem["oldest"]`` is the first that is."""


class HeaderRepeated(RefusedError):
    """A header stands twice that can only mean one thing."""


class MalformedRequest(RefusedError):
    """What arrived could not be read as a request."""


class RequestTimeout(RefusedError):
    """The request did not arrive in time."""


class UriTooLong(RefusedError):
    """The address is longer than the service takes."""


class HeadersTooLarge(RefusedError):
    """The headers are more than the service takes."""


REFUSALS: Mapping[str, type[RefusedError]] = {
    "not-json": NotJson,
    "not-yaml": NotYaml,
    "unauthenticated": Unauthenticated,
    "forbidden": Forbidden,
    "not-found": NotFound,
    "method-not-allowed": MethodNotAllowed,
    "move-not-allowed": MoveNotAllowed,
    "open-tasks": OpenTasks,
    "too-many-links": TooManyLinks,
    "count-differs": CountDiffers,
    "token-invalid": TokenInvalid,
    "heartbeat-not-declared": HeartbeatNotDeclared,
    "lease-lost": LeaseLost,
    "task-cancelled": TaskCancelled,
    "attempt-failed": AttemptFailed,
    "workflow-exists": WorkflowExists,
    "precondition-failed": PreconditionFailed,
    "changes-forgotten": ChangesForgotten,
    "payload-too-large": PayloadTooLarge,
    "unsupported-media-type": UnsupportedMediaType,
    "validation-failed": ValidationFailed,
    "idempotency-key-reused": IdempotencyKeyReused,
    "internal-error": InternalError,
    "unavailable": Unavailable,
    "too-many-connections": TooManyConnections,
    "cross-site": CrossSite,
    "header-repeated": HeaderRepeated,
    "malformed-request": MalformedRequest,
    "request-timeout": RequestTimeout,
    "uri-too-long": UriTooLong,
    "headers-too-large": HeadersTooLarge,
}
"""Every refusal by its code."""
