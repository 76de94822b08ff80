"""Refusals: every way in which the service says no, one class a problem type.

Refusal
├── NotJson, NotYaml 400         ├── PreconditionFailed 412
├── HeaderRepeated 400           ├── PayloadTooLarge 413
├── MalformedRequest 400         ├── UriTooLong 414, HeadersTooLarge 431
├── RequestTimeout 408           ├── TooManyConnections 503
├── Unauthenticated 401          ├── UnsupportedMediaType 415
├── Forbidden, CrossSite 403     ├── ValidationFailed 422
├── NotFound 404                 │   └── IdempotencyKeyReused, TokenInvalid
├── MethodNotAllowed 405         ├── InternalError 500
├── ChangesForgotten 410         └── Unavailable 503
├── Conflict 409
│   ├── MoveNotAllowed
│   ├── HeartbeatNotDeclared
│   ├── LeaseLost, TaskCancelled, AttemptFailed
│   ├── WorkflowExists, TooManyLinks
│   └── OpenTasks
├── CountDiffers 409

The docstring of each class is its page under ``/problems/{code}``.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from milepost.schemas.problems import (
    ConflictProblem,
    CountProblem,
    FieldError,
    ForgottenProblem,
    Problem,
    ValidationProblem,
)

ERRORS_MOST = 100
"""Places that one refusal names; a body can have a hundred thousand."""


class Refusal(Exception):
    """A request that was refused: nothing was written."""

    status: ClassVar[int]
    code: ClassVar[str]
    title: ClassVar[str]
    body: ClassVar[type[Problem]] = Problem

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})

    def members(self) -> dict[str, Any]:
        """Return what this problem says beyond the standard members."""
        return {}


class NotJson(Refusal):
    """The body could not be read as JSON (RFC 8259).

    The detail says at which byte reading stopped. `NaN` and `Infinity` are not JSON; send null or a text instead.
    """

    status, code, title = 400, "not-json", "The body is not JSON"


class NotYaml(Refusal):
    """The body could not be read as one YAML document.

    The detail says in which line and column reading stopped. Tags, merge keys and keys that stand twice are not taken.
    """

    status, code, title = 400, "not-yaml", "The body is not YAML"


class HeaderRepeated(Refusal):
    """A header stands twice in the request that can only mean one thing: which of the two counts is not guessed.

    Send `Authorization`, `Idempotency-Key` and `Host` at most once each. Some clients add a header where they should
    replace it.
    """

    status, code, title = 400, "header-repeated", "A header stands twice"


class MalformedRequest(Refusal):
    """What arrived is not HTTP/1.1, or not one request of it: the detail says what cannot be read.

    The connection is closed, because nobody knows where the next request would begin. HTTP/2 and TLS are not spoken
    here; a proxy in front does that.
    """

    status, code, title = 400, "malformed-request", "The request cannot be read"


class Unauthenticated(Refusal):
    """The request carries no API key that this service knows.

    Send `Authorization: Bearer KEY`. Keys are made with `milepost keys create` and may have been revoked since.
    """

    status, code, title = 401, "unauthenticated", "An API key is needed"


class Forbidden(Refusal):
    """The API key is known, but does not have the scope that this operation needs.

    Make a key that has it: `milepost keys create NAME --scope write`.
    """

    status, code, title = 403, "forbidden", "The API key lacks a scope"


class CrossSite(Refusal):
    """There are no API keys, and this request may come from a page of another site in somebody's browser.

    While nobody proves with a key who calls, the service answers only what is sent to it by a name of its own (`Host`
    is `localhost`, an address of loopback, `MILEPOST_HOST` or one of `MILEPOST_ALLOWED_HOSTS`) and not by a page of
    another site (`Origin` and `Sec-Fetch-Site`, where a browser sends them, name this one).

    Make a key: `milepost keys create NAME`. With keys any name will do. Or add the name to `MILEPOST_ALLOWED_HOSTS`.
    """

    status, code, title = 403, "cross-site", "It may come from another site"


class NotFound(Refusal):
    """There is nothing under this address: it never existed, or it was deleted."""

    status, code, title = 404, "not-found", "Not found"


class MethodNotAllowed(Refusal):
    """The address exists, but not for this method. The `Allow` header lists the methods it has."""

    status, code, title = 405, "method-not-allowed", "Method not allowed"


class RequestTimeout(Refusal):
    """The request did not arrive in time, and its connection is closed.

    A head has to be complete ten seconds after its first byte, and a body must not pause for more than thirty.
    """

    status, code, title = 408, "request-timeout", "The request did not arrive in time"


class Conflict(Refusal):
    """A refusal because of where the resource stands."""

    status = 409
    body = ConflictProblem

    def __init__(self, detail: str, *, current: Any = None, allowed: Sequence[str] = ()) -> None:
        super().__init__(detail)
        self.current = current
        self.allowed = list(allowed)

    def members(self) -> dict[str, Any]:
        """Return the resource as it stands and what it can do from there."""
        return {"current": self.current, "allowed": self.allowed}


class MoveNotAllowed(Conflict):
    """The resource stands where this change is not allowed.

    `current` is the resource as it stands, and `allowed` lists what it can do from there: statuses first, then verbs.
    Somebody else may have moved it: read `current` before you decide what to do next. A final status never changes,
    but by a verb that says so.
    """

    code, title = "move-not-allowed", "Not allowed from where it stands"


class HeartbeatNotDeclared(Conflict):
    """The workflow run was created without `heartbeat_seconds`, so there is no clock that a heartbeat could extend."""

    code, title = "heartbeat-not-declared", "This run has no heartbeat"


class LeaseLost(Conflict):
    """You do not hold this task: the token is not that of its current lease, or the lease is past its end.

    Stop working on it: somebody else may be at it already. What you reported is kept as evidence on the attempt
    (`late_reports`), and not applied.
    """

    code, title = "lease-lost", "You do not hold this task any more"


class TaskCancelled(Conflict):
    """The task was cancelled. Stop working on it; what you reported is kept as evidence, and not applied."""

    code, title = "task-cancelled", "The task was cancelled"


class AttemptFailed(Conflict):
    """You have reported this attempt as failed. What comes after that is for the next attempt, under a new lease."""

    code, title = "attempt-failed", "You have reported this attempt as failed"


class OpenTasks(Conflict):
    """The run has open tasks, and you asked with `"open_tasks": "refuse"` that it does not end before they have."""

    code, title = "open-tasks", "The run has open tasks"


class TooManyLinks(Conflict):
    """A run has at most 50 links. Delete one that nobody needs, or put another URL under a name that is there."""

    code, title = "too-many-links", "The run has no room for another link"


class WorkflowExists(Conflict):
    """This version of the workflow is registered, with other content. A version never changes once it is registered.

    `current` is the version as it was registered. Give the new definition a new `version`.
    """

    code, title = "workflow-exists", "The version is registered with other content"


class PreconditionFailed(Conflict):
    """The resource has changed since you read it: `If-Match` names another revision than it has now.

    `current` is the resource as it stands. Apply your change to that, and send its revision as `If-Match`.
    """

    status = 412
    code, title = "precondition-failed", "It has changed since you read it"


class CountDiffers(Refusal):
    """Another number of runs or tasks match the filter of a bulk operation than you expect; `count` is how many.

    Nothing was done. Make a dry run, look at what it counts, and send its token or its count.
    """

    status, code, title = 409, "count-differs", "Another number matches"
    body = CountProblem

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} match now")
        self.count = count

    def members(self) -> dict[str, Any]:
        """Return how many match."""
        return {"count": self.count}


class ChangesForgotten(Refusal):
    """The changes behind this position are not kept any more; `oldest` is the first that is.

    Read the resources that you show anew, then go on with `after` = `oldest` - 1, or without `after` from now on.
    Changes are kept for a day unless the service is configured otherwise (`MILEPOST_CHANGES_RETENTION_SECONDS`).
    """

    status, code, title = 410, "changes-forgotten", "These changes are not kept any more"
    body = ForgottenProblem

    def __init__(self, oldest: int) -> None:
        super().__init__(f"changes are kept from position {oldest} on")
        self.oldest = oldest

    def members(self) -> dict[str, Any]:
        """Return where what is kept begins."""
        return {"oldest": self.oldest}


class PayloadTooLarge(Refusal):
    """The body is larger than this service takes (1 MiB unless it is configured otherwise).

    Keep large results elsewhere and store a reference to them.
    """

    status, code, title = 413, "payload-too-large", "The body is too large"


class UriTooLong(Refusal):
    """The address is longer than this service takes (16 KiB with its query). The connection is closed.

    Ask for less at once: a list of names or ids can be split over several requests.
    """

    status, code, title = 414, "uri-too-long", "The address is too long"


class UnsupportedMediaType(Refusal):
    """The body's `Content-Type` is not JSON.

    Send `application/json` (or `application/merge-patch+json` with PATCH). `curl -d` alone announces a form:
    use `curl --json '{...}'`. A workflow definition may also be sent as `application/yaml`.
    """

    status, code, title = 415, "unsupported-media-type", "Send JSON"


class ValidationFailed(Refusal):
    """The request was understood, but something in it cannot be accepted.

    `errors` names each place: a JSON pointer (RFC 6901) into the body such as `/workflow_runs/1/workflow_name`, or the
    bare name of a parameter or header; the first hundred, where there are more. Unknown members and parameters are
    refused, and so is a name that stands twice in an object, so that a typing error never silently changes what a
    request means.
    """

    status, code, title = 422, "validation-failed", "Something in the request cannot be accepted"
    body = ValidationProblem

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("; ".join(f"{error.pointer or 'body'}: {error.detail}" for error in errors[:3]))
        self.errors = list(errors)

    @classmethod
    def at(cls, pointer: str, detail: str) -> "ValidationFailed":
        """Return the refusal of one place."""
        return cls([FieldError(pointer=pointer, detail=detail)])

    def members(self) -> dict[str, Any]:
        """Return each place that cannot be accepted."""
        return {"errors": self.errors}


class IdempotencyKeyReused(ValidationFailed):
    """The `Idempotency-Key` was used before, on the same address and by the same caller, with another body.

    A key stands for one request. Make a new one for each new request, and keep it for repeats of the same.
    """

    code, title = "idempotency-key-reused", "The idempotency key belongs to another request"


class TokenInvalid(ValidationFailed):
    """The token is of no dry run of the same resource, verb and filter, or it has expired.

    A token is good for 15 minutes unless the service is configured otherwise (`MILEPOST_BULK_TOKEN_SECONDS`). Make a
    dry run of what you want to do, and send its token.
    """

    code, title = "token-invalid", "The token is not good for this"


class HeadersTooLarge(Refusal):
    """The headers are more than this service takes: 100 lines, 64 KiB with the address. The connection is closed.

    Also extensions of chunks and trailers, which nothing here reads, and which may be no more than a little.
    """

    status, code, title = 431, "headers-too-large", "The headers are too large"


class InternalError(Refusal):
    """Something went wrong here that should not have. The request id finds it in the service's log."""

    status, code, title = 500, "internal-error", "An error of ours"


class Unavailable(Refusal):
    """The service cannot answer at the moment: its database is away, busy, or it is about to stop.

    Send the same request again after `Retry-After` seconds; with an `Idempotency-Key` it has its effect once.
    """

    status, code, title = 503, "unavailable", "Not available at the moment"

    def __init__(self, detail: str, *, retry_after_seconds: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_seconds)})


class TooManyConnections(Unavailable):
    """More connections are open than this process takes, so this one is closed.

    Use one connection for many requests, and close those that are not needed. Idle ones are closed after 75 seconds.
    """

    code, title = "too-many-connections", "Too many connections"


PROBLEMS: Mapping[str, type[Refusal]] = {
    problem.code: problem
    for problem in (
        NotJson,
        NotYaml,
        HeaderRepeated,
        MalformedRequest,
        Unauthenticated,
        Forbidden,
        CrossSite,
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        MoveNotAllowed,
        HeartbeatNotDeclared,
        LeaseLost,
        TaskCancelled,
        AttemptFailed,
        OpenTasks,
        TooManyLinks,
        WorkflowExists,
        PreconditionFailed,
        CountDiffers,
        ChangesForgotten,
        PayloadTooLarge,
        UriTooLong,
        UnsupportedMediaType,
        ValidationFailed,
        IdempotencyKeyReused,
        TokenInvalid,
        HeadersTooLarge,
        InternalError,
        Unavailable,
        TooManyConnections,
    )
}
"""Every problem type by its code."""
