"""The older library over HTTP: its client, and the functions beside it."""

import threading
from typing import Any
from uuid import UUID

from milepost.client.absurd_client import AbsurdClient, AbsurdSleepError
from milepost.client.absurd_records import given
from milepost.client.client import Client

__all__ = ["AbsurdClient", "AbsurdSleepError", "get_absurd_client", "spawn_cancellable_task", "spawn_retry_task"]

_lock = threading.Lock()
_shared: list[AbsurdClient] = []


def spawn_retry_task(
    client: AbsurdClient,
    conn: Client,
    task_name: str,
    params: Any = None,
    max_attempts: int = 3,
    retry_kind: str = "exponential",
    base_seconds: float = 30,
    factor: float = 2.0,
    max_seconds: float | None = None,
) -> tuple[UUID, UUID, UUID]:
    """Spawn a task that is tried up to ``max_attempts`` times, with growing pauses."""
    strategy = given(kind=retry_kind, base_seconds=base_seconds, factor=factor, max_seconds=max_seconds)
    return client.spawn_task(conn, task_name, params, retry_strategy=strategy, max_attempts=max_attempts)


def spawn_cancellable_task(
    client: AbsurdClient,
    conn: Client,
    task_name: str,
    params: Any = None,
    max_delay_seconds: float | None = None,
    max_duration_seconds: float | None = None,
) -> tuple[UUID, UUID, UUID]:
    """Spawn a task that ends unless it starts, and is done, in time."""
    limits = given(max_delay=max_delay_seconds or None, max_duration=max_duration_seconds or None)
    return client.spawn_task(conn, task_name, params, cancellation=limits or None)


def get_absurd_client(queue_name: str | None = None, worker_id: str | None = None) -> AbsurdClient:
    """Return the client that the whole process shares; the first call decides its queue and worker."""
    with _lock:
        if not _shared:
            _shared.append(AbsurdClient(queue_name, worker_id))
        return _shared[0]
