"""What is seen of every request: its id, its time, and what was slow or went wrong."""

import re
from collections.abc import Iterable
from functools import cache

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import Scope
from uuid_utils import uuid7

from app.api.kernel import Kernel
from app.metrics import REQUEST_SECONDS, REQUESTS

SLOW_SECONDS = 1.0
LONG_POLLS = frozenset(
    {"claim_tasks", "complete_tasks", "list_changes", "stream_changes", "wait_for_task", "wait_for_workflow_run"}
)
"""Operations that take their time because they were asked to."""
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")

log = structlog.get_logger()


def take_request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the id that a request brings, or a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return str(text)
    return str(uuid7())


@cache
def _counter(operation: str, status: int) -> Counter:
    return REQUESTS.labels(operation=operation, status=status)


@cache
def _timer(operation: str) -> Histogram:
    return REQUEST_SECONDS.labels(operation=operation)


def record(scope: Scope, operation: str, status: int, seconds: float) -> None:
    """Count an answered request, and log what was slow or went wrong."""
    _counter(operation, status).inc()
    slow = seconds > SLOW_SECONDS and operation not in LONG_POLLS
    if operation not in LONG_POLLS:
        _timer(operation).observe(seconds)
    failed = status >= 500  # noqa: PLR2004 - server errors
    if slow or failed:
        write = log.debug if failed and _is_known(scope) else log.warning
        why = {"error": scope["failure"]} if "failure" in scope else {}
        write(
            "slow_request" if slow else "request_failed",
            **why,
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=round(seconds, 3),
            request_id=scope["request_id"],
        )


def _is_known(scope: Scope) -> bool:
    """Return whether the log says already why requests fail: the database is away."""
    kernel: Kernel | None = getattr(scope["app"].state, "kernel", None) if "app" in scope else None
    return kernel is not None and kernel.database.outage.is_under_way
