"""The calls of the hot path, as clients make them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

from pydantic_core import from_json

from benchmarks.http import make_request
from benchmarks.load import NextRequest

RUNS = "/v1/workflow-runs"
RUN = (
    b'{"workflow_name":"nightly_etl","workflow_version":"1.4.0","created_by":"cron@db1",'
    b'"inputs":{"date":"2026-01-31","source":"warehouse","limit":1000},"tags":{"env":"prod","team":"data"}}'
)
QUEUE = "bench"
TASK: Mapping[str, object] = {"task_name": "count", "queue": QUEUE, "params": {"n": 1}}
_START = b'{"status":"running"}'


def create_with_key(_last: bytes = b"") -> bytes:
    """Return a create with an idempotency key of its own."""
    return make_request("POST", RUNS, RUN, f"Idempotency-Key: {uuid4()}\r\n")


def always(request: bytes) -> NextRequest:
    """Return a source of the same request."""
    return lambda _last: request


create_without_key = always(make_request("POST", RUNS, RUN))


def start_each(runs: Iterator[object]) -> NextRequest:
    """Return a source that moves each of ``runs`` to running, once."""
    return lambda _last: next((make_request("PATCH", f"{RUNS}/{run}", _START) for run in runs), None)


def spawn(size: int) -> NextRequest:
    """Return a source of calls that spawn ``size`` tasks each."""
    target, body = ("/v1/tasks", TASK) if size == 1 else ("/v1/tasks/batch", {"tasks": [TASK] * size})
    return always(make_request("POST", target, json.dumps(body).encode()))


def claim_request(size: int, wait_seconds: float = 0, worker: str = "bench") -> bytes:
    """Return a claim of up to ``size`` tasks."""
    return make_request("POST", f"/v1/queues/{QUEUE}/claim", json.dumps(_claim(size, worker, wait_seconds)).encode())


def complete_and_claim(size: int) -> NextRequest:
    """Return a source of calls that complete what the last one gave, and claim ``size`` tasks more."""
    claim = _claim(size, "bench")
    return lambda last: complete_request(from_json(last)["tasks"] if last else [], claim)


def complete_request(tasks: list[dict[str, Any]], claim: Mapping[str, object] | None = None) -> bytes:
    """Return a report that claimed tasks are completed, with a claim of more or without."""
    reports = [{"task_id": task["task_id"], "lease_token": task["lease_token"], "result": 1} for task in tasks]
    body = {"tasks": reports} if claim is None else {"tasks": reports, "claim": claim}
    return make_request("POST", f"/v1/queues/{QUEUE}/complete", json.dumps(body).encode())


def _claim(size: int, worker: str, wait_seconds: float = 0) -> dict[str, object]:
    return {"worker_id": worker, "limit": size, "lease_seconds": 600, "wait_seconds": wait_seconds}
