"""What tests create."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
from sqlalchemy import text

from app.db.engine import Tx
from app.domain.records import RunRow, TaskRow
from milepost.schemas.workflow_runs import RunStatus

RUNS = "/v1/workflow-runs"
TASKS = "/v1/tasks"
QUEUES = "/v1/queues"
SCHEDULES = "/v1/schedules"
JSON = {"Content-Type": "application/json"}
STATUSES = ("pending", "running", "completed", "failed", "cancelled")
UNKNOWN_ID = UUID("01890000-0000-7000-8000-000000000000")


def run_body(**changes: Any) -> dict[str, Any]:
    """Return the body that creates a workflow run."""
    return {"workflow_name": "nightly_etl", "workflow_version": "1.0.0", **changes}


def address(run: dict[str, Any], *parts: str) -> str:
    """Return where ``run`` is, or what belongs to it."""
    return "/".join([RUNS, run["workflow_run_id"], *parts])


async def create_run(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Return a workflow run that was just created."""
    response = await client.post(RUNS, json=run_body(**changes))
    assert response.status_code == 201, response.text
    run: dict[str, Any] = response.json()
    return run


async def patch_run(client: httpx.AsyncClient, run: dict[str, Any], **change: Any) -> httpx.Response:
    """Return the answer to a PATCH of ``run``."""
    return await client.patch(f"{RUNS}/{run['workflow_run_id']}", json=change)


async def run_in(client: httpx.AsyncClient, status: str, **changes: Any) -> dict[str, Any]:
    """Return a workflow run in ``status``."""
    run = await create_run(client, **changes)
    if status == "pending":
        return run
    response = await patch_run(client, run, status=status)
    assert response.status_code == 200, response.text
    moved: dict[str, Any] = response.json()
    return moved


async def create_runs(client: httpx.AsyncClient, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return workflow runs that were just created together, one for each of ``changes``."""
    response = await client.post(f"{RUNS}/batch", json={"workflow_runs": [run_body(**change) for change in changes]})
    assert response.status_code == 201, response.text
    runs: list[dict[str, Any]] = response.json()["items"]
    return runs


async def get_run(client: httpx.AsyncClient, run: dict[str, Any]) -> dict[str, Any]:
    """Return ``run`` as it stands now."""
    response = await client.get(address(run))
    assert response.status_code == 200, response.text
    current: dict[str, Any] = response.json()
    return current


async def list_runs(client: httpx.AsyncClient, query: Any = None, **more: Any) -> list[str]:
    """Return the ids on the page that ``query`` asks for."""
    response = await client.get(RUNS, params=query or more)
    assert response.status_code == 200, response.text
    return ids(response.json()["items"])


def ids(runs: list[dict[str, Any]]) -> list[str]:
    """Return the ids of ``runs``."""
    return [run["workflow_run_id"] for run in runs]


async def history_of(client: httpx.AsyncClient, run: dict[str, Any]) -> list[dict[str, Any]]:
    """Return everything that happened to ``run``, oldest first."""
    response = await client.get(address(run, "history"), params={"limit": 200})
    assert response.status_code == 200, response.text
    entries: list[dict[str, Any]] = response.json()["items"]
    return entries


async def count_all(client: httpx.AsyncClient) -> int:
    """Return how many workflow runs there are."""
    response = await client.get(RUNS, params={"count": "exact", "limit": 1})
    total: int = response.json()["total"]
    return total


def pointers(response: httpx.Response) -> list[str]:
    """Return the places that a 422 names."""
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    return [error["pointer"] for error in response.json()["errors"]]


def code(response: httpx.Response) -> str:
    """Return the code of a refusal."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem = response.json()
    assert problem["status"] == response.status_code
    assert problem["type"] == f"/problems/{problem['code']}"
    found: str = problem["code"]
    return found


def task_body(**changes: Any) -> dict[str, Any]:
    """Return the body that spawns a task."""
    return {"task_name": "send_invoice", **changes}


def task_address(task: dict[str, Any], *parts: str) -> str:
    """Return where ``task`` is, or what belongs to it."""
    return "/".join([TASKS, task["task_id"], *parts])


async def spawn_task(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Return what spawning a task was answered; by then it is there."""
    response = await client.post(TASKS, json=task_body(**changes))
    assert response.status_code == 201, response.text
    spawned: dict[str, Any] = response.json()
    return spawned


async def spawn_tasks(client: httpx.AsyncClient, *changes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what spawning tasks together was answered, one for each of ``changes``."""
    response = await client.post(f"{TASKS}/batch", json={"tasks": [task_body(**change) for change in changes]})
    assert response.status_code == 201, response.text
    spawned: list[dict[str, Any]] = response.json()["items"]
    return spawned


async def get_task(client: httpx.AsyncClient, task: dict[str, Any]) -> dict[str, Any]:
    """Return ``task`` as it stands now."""
    response = await client.get(task_address(task))
    assert response.status_code == 200, response.text
    current: dict[str, Any] = response.json()
    return current


async def attempts_of(client: httpx.AsyncClient, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every attempt of ``task``, oldest first."""
    response = await client.get(task_address(task, "attempts"))
    assert response.status_code == 200, response.text
    attempts: list[dict[str, Any]] = response.json()["items"]
    return attempts


async def claim_tasks(client: httpx.AsyncClient, queue: str = "default", **changes: Any) -> list[dict[str, Any]]:
    """Return the tasks that a claim hands out."""
    response = await client.post(f"{QUEUES}/{queue}/claim", json={"worker_id": "worker-1", **changes})
    assert response.status_code == 200, response.text
    tasks: list[dict[str, Any]] = response.json()["tasks"]
    return tasks


async def claim_task(client: httpx.AsyncClient, queue: str = "default", **changes: Any) -> dict[str, Any]:
    """Return the one task that a claim hands out."""
    (task,) = await claim_tasks(client, queue, **changes)
    return task


async def start_task(client: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    """Return a task that was just spawned and claimed, with its lease."""
    spawned = await spawn_task(client, **changes)
    claimed = await claim_task(client, changes.get("queue", "default"))
    assert claimed["task_id"] == spawned["task_id"]
    return claimed


async def report(client: httpx.AsyncClient, held: dict[str, Any], call: str, **body: Any) -> httpx.Response:
    """Return the answer to a worker call about the task ``held``, with its lease."""
    return await client.post(task_address(held, call), json={"lease_token": held["lease_token"], **body})


async def reported(client: httpx.AsyncClient, held: dict[str, Any], call: str, **body: Any) -> dict[str, Any]:
    """Return what a worker call that is accepted brings."""
    response = await report(client, held, call, **body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def put_checkpoint(client: httpx.AsyncClient, held: dict[str, Any], name: str, **body: Any) -> httpx.Response:
    """Return the answer to writing a checkpoint of the task ``held``, with its lease."""
    path = task_address(held, "checkpoints", quote(name, safe=""))
    return await client.put(path, json={"lease_token": held["lease_token"], **body})


async def task_in(client: httpx.AsyncClient, status: str, **changes: Any) -> dict[str, Any]:
    """Return a task in ``status``; sleeping for an hour, or ended without another attempt."""
    if status == "pending":
        return await get_task(client, await spawn_task(client, **changes))
    held = await start_task(client, **changes)
    match status:
        case "sleeping":
            await reported(client, held, "sleep", seconds=3600)
        case "completed":
            await reported(client, held, "complete", result={"sent": 1})
        case "failed":
            await reported(client, held, "fail", error={"name": "Broken", "message": "it broke"}, retryable=False)
        case "cancelled":
            assert (await client.post(task_address(held, "cancel"))).status_code == 200
    return {**held, **await get_task(client, held)}


async def expire_lease(tx: Tx, task: dict[str, Any]) -> None:
    """Let the lease of ``task`` be past its end, as if the clock had gone on."""
    await tx.execute(
        text("UPDATE tasks SET lease_expires_at = now() - interval '1 second' WHERE task_id = CAST(:id AS uuid)"),
        {"id": task["task_id"]},
    )


async def pass_time(tx: Tx, task: dict[str, Any], seconds: float) -> None:
    """Move all times of ``task`` that are still to come into the past, as if the clock had gone on."""
    columns = ("due_at", "limit_at", "wake_at", "lease_expires_at", "available_at")
    changes = ", ".join(f"{name} = {name} - make_interval(secs => :seconds)" for name in columns)
    await tx.execute(
        text(f"UPDATE tasks SET {changes} WHERE task_id = CAST(:id AS uuid)"),
        {"seconds": seconds, "id": task["task_id"]},
    )


async def emit_event(client: httpx.AsyncClient, name: str, queue: str = "default", **body: Any) -> httpx.Response:
    """Return the answer to emitting an event."""
    return await client.post(f"{QUEUES}/{queue}/events/{quote(name, safe='')}", json=body)


def task_row(**changes: Any) -> TaskRow:
    """Return a pending task as it is stored, with these ``changes``."""
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    numbers = {"priority": 0, "max_attempts": 3, "max_lost": 5, "lost_count": 0, "forgiven_count": 0, "attempt": 1}
    times = dict.fromkeys(("available_at", "ready_at", "created_at", "updated_at", "now"), moment)
    names = {"task_id": UNKNOWN_ID, "run_id": UNKNOWN_ID, "queue": "default", "task_name": "t", "status": "pending"}
    given = {"params": {}, "headers": {}, "revision": 1, **numbers, **times, **names, **changes}
    return TaskRow._make(given.get(name) for name in TaskRow._fields)


def run_row(**changes: Any) -> RunRow:
    """Return a pending run as it is stored, with these ``changes``."""
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    names = {"workflow_run_id": UNKNOWN_ID, "workflow_name": "w", "workflow_version": "1", "queue": "default"}
    times = dict.fromkeys(("created_at", "updated_at", "now"), moment)
    state = {"status": RunStatus.pending, "attempt": 1, "revision": 1, "tags": {}, "task_counts": {}}
    given = {**names, **times, **state, **changes}
    return RunRow._make(given.get(name) for name in RunRow._fields)
