"""Runs that the service executes, as tests start them, work on them and look at them."""

from typing import Any

import httpx
from sqlalchemy import text

from app.db.engine import Database
from tests.definitions import WORKFLOWS, register
from tests.factories import QUEUES, RUNS, address, claim_tasks, get_run, reported
from tests.waiting import eventually

Json = dict[str, Any]
DAY = 86_400.0


async def start_run(client: httpx.AsyncClient, name: str = "linear", version: str = "latest", **body: Any) -> Json:
    """Return a run of a registered definition that was just started."""
    response = await client.post(f"{WORKFLOWS}/{name}/{version}/runs", json=body)
    assert response.status_code == 201, response.text
    run: Json = response.json()
    return run


async def start(client: httpx.AsyncClient, *tasks: Json, body: Json | None = None, **members: Any) -> Json:
    """Return a run of a definition of these tasks, which is registered first; ``body`` is that of the start."""
    registered = await register(client, *tasks, **members)
    return await start_run(client, registered["workflow_name"], registered["workflow_version"], **(body or {}))


async def steps_of(client: httpx.AsyncClient, run: Json) -> dict[str, Json]:
    """Return the steps of ``run`` by their paths."""
    found: list[Json] = []
    query: Json = {"limit": 200}
    while True:
        response = await client.get(address(run, "steps"), params=query)
        assert response.status_code == 200, response.text
        page = response.json()
        found += page["items"]
        if page["next_cursor"] is None:
            return {step["path"]: step for step in found}
        query["cursor"] = page["next_cursor"]


async def statuses_of(client: httpx.AsyncClient, run: Json) -> dict[str, str]:
    """Return where the steps of ``run`` stand, by their paths."""
    return {path: step["status"] for path, step in (await steps_of(client, run)).items()}


async def warnings_of(client: httpx.AsyncClient, run: Json) -> list[tuple[str, str]]:
    """Return the warnings of ``run`` as (path, expression)."""
    response = await client.get(address(run, "warnings"), params={"limit": 200})
    assert response.status_code == 200, response.text
    return [(warning["path"], warning["expression"]) for warning in response.json()["items"]]


async def tasks_of(client: httpx.AsyncClient, run: Json) -> list[Json]:
    """Return the work items of ``run``, at most 200, in the order in which they were spawned."""
    response = await client.get(address(run, "tasks"), params={"limit": 200, "order": "created_at"})
    assert response.status_code == 200, response.text
    tasks: list[Json] = response.json()["items"]
    return tasks


async def claim_steps(client: httpx.AsyncClient, queue: str = "default", **claim: Any) -> dict[str, Json]:
    """Return all work items that can be claimed, by the paths of their steps."""
    tasks = await claim_tasks(client, queue, **{"limit": 1000, "lease_seconds": 3600, **claim})
    return {task["step"]: task for task in tasks}


async def do_step(client: httpx.AsyncClient, path: str, result: Any = None, **body: Any) -> Json:
    """Return the task of the only step that can be claimed, after it was completed."""
    held = await claim_steps(client)
    assert list(held) == [path]
    return await reported(client, held[path], "complete", result=result, **body)


async def fail_step(client: httpx.AsyncClient, path: str, **body: Any) -> Json:
    """Return the task of the only step that can be claimed, after an attempt failed that is not to be retried."""
    held = await claim_steps(client)
    assert list(held) == [path]
    error = {"name": "Broken", "message": "it broke"}
    return await reported(client, held[path], "fail", **{"error": error, "retryable": False, **body})


async def work_off(client: httpx.AsyncClient, queue: str = "default") -> list[str]:
    """Complete everything that can be claimed until nothing can; return the paths in the order of the claims."""
    done: list[str] = []
    while held := await claim_tasks(client, queue, limit=1000, lease_seconds=3600):
        items = [{"task_id": t["task_id"], "lease_token": t["lease_token"], "result": t["step"]} for t in held]
        response = await client.post(f"{QUEUES}/{queue}/complete", json={"tasks": items})
        assert {outcome["status"] for outcome in response.json()["outcomes"]} == {200}, response.text
        done += [task["step"] for task in held]
    return done


async def pass_run_time(database: Database, run: Json, seconds: float) -> None:
    """Move all times of ``run`` that are still to come nearer, as if the clock had gone on."""
    values = {"seconds": seconds, "id": run["workflow_run_id"]}
    async with database.transaction() as tx:
        for table, column in (("workflow_steps", "due_at"), ("workflow_executions", "deadline_at")):
            await tx.execute(
                text(
                    f"UPDATE {table} SET {column} = {column} - make_interval(secs => :seconds)"
                    f" WHERE workflow_run_id = CAST(:id AS uuid) AND {column} IS NOT NULL"
                ),
                values,
            )


async def next_due(database: Database, run: Json) -> float | None:
    """Return in how many seconds something happens to ``run`` by itself; None: never."""
    query = """
        SELECT extract(epoch FROM min(at) - clock_timestamp()) FROM (
            SELECT due_at AS at FROM workflow_steps WHERE workflow_run_id = CAST(:id AS uuid)
            UNION ALL
            SELECT deadline_at FROM workflow_executions WHERE workflow_run_id = CAST(:id AS uuid)
        ) AS due
    """
    async with database.transaction() as tx:
        seconds = (await tx.execute(text(query), {"id": run["workflow_run_id"]})).scalar_one()
    return None if seconds is None else float(seconds)


async def let_pass(database: Database, run: Json, seconds: float) -> None:
    """Let time pass for ``run``: everything that comes due happens at its own moment, by the housekeeping."""
    left = seconds
    while (due := await next_due(database, run)) is not None and due <= left:
        await pass_run_time(database, run, max(due, 0))
        left -= max(due, 0)
        await come_due(database, run)
    await pass_run_time(database, run, left)


async def come_due(database: Database, run: Json) -> None:
    """Return when nothing of ``run`` is due any more."""

    async def is_done() -> bool:
        due = await next_due(database, run)
        return due is None or due > 0

    await eventually(is_done)


async def ended_run(client: httpx.AsyncClient, run: Json) -> Json:
    """Return ``run`` when it has ended."""
    response = await client.get(address(run, "wait"), params={"timeout_seconds": 5})
    ended: Json = response.json()
    assert ended["completed_at"], ended
    return ended


async def status_of(client: httpx.AsyncClient, run: Json) -> str:
    """Return where ``run`` stands."""
    status: str = (await get_run(client, run))["status"]
    return status


async def children_of(client: httpx.AsyncClient, run: Json) -> list[Json]:
    """Return the runs that steps of ``run`` have started, oldest first."""
    query = {"parent_workflow_run_id": run["workflow_run_id"], "order": "created_at"}
    response = await client.get(RUNS, params=query)
    children: list[Json] = response.json()["items"]
    return children
