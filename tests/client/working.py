"""Workers that run in a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from milepost.client import Client, Worker
from milepost.schemas.tasks import Task
from tests.waiting import PATIENCE_SECONDS, wait_until

PROMPT = {"wait_seconds": 0.2, "drain_seconds": 5.0}
"""Options of a worker that stops soon."""


def make_worker(client: Client, queue: str, **options: Any) -> Worker:
    """Return a worker that stops soon."""
    return Worker(client, queue=queue, **{**PROMPT, **options})


@contextmanager
def working(worker: Worker) -> Iterator[None]:
    """Let ``worker`` work for the time of the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            worker.run()
        except BaseException as error:
            failures.append(error)
            raise

    thread = threading.Thread(target=run, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        if not worker._stops:
            worker.stop()
        thread.join(timeout=PATIENCE_SECONDS)
    assert not thread.is_alive(), "the worker did not stop"
    assert not failures


def ended(client: Client, task_id: UUID) -> Task:
    """Return the task once it has ended."""

    wait_until(lambda: client.wait_for_task(task_id, timeout_seconds=1).completed_at)
    return client.get_task(task_id)
