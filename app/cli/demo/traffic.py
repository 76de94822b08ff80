"""What goes on in the demo: runs and tasks that come at a gentle pace, and what of that goes wrong."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random

from app.cli.demo.definitions import APPROVAL, DEFINITION, ORDERS, QUEUE
from milepost.client.client import AsyncClient
from milepost.client.exceptions import MilepostError
from milepost.client.fields import NewRunFields, ProgressFields, TaskFields

IMPORT, REPORT, BACKUP = "demo_import", "demo_report", "demo_backup"
NOBODY = "demo-nobody"
"""A queue that nobody claims from."""
_TAGS = {"demo": True, "team": "shop"}
_OWNER = "milepost demo"
_BACKUPS = 24
_PARTS = 8
_chance = Random()  # noqa: S311 - nothing here is a secret
Say = Callable[[str], None]


async def prepare(client: AsyncClient) -> None:
    """Register the definition, and leave what stays as it is: a past, and something that is stuck."""
    await client.register_workflow(DEFINITION)
    await client.create_workflow_runs(_past(datetime.now(UTC)))
    stuck: TaskFields = {"task_name": "translate", "params": {"text": "große Straße"}, "queue": NOBODY}
    await client.create_workflow_run(
        "demo_translation", "1", queue=NOBODY, tags=_TAGS, created_by=_OWNER, status="running", tasks=[stuck]
    )
    await client.create_workflow_run(IMPORT, "1", tags=_TAGS, created_by=_OWNER, status="running", heartbeat_seconds=10)


def _past(now: datetime) -> Sequence[NewRunFields]:
    """Return a day of backups that are over, two of which failed."""
    runs: list[NewRunFields] = []
    for hours in range(_BACKUPS, 0, -1):
        began = now - timedelta(hours=hours)
        ended = began + timedelta(seconds=90 + 7 * hours)
        run: NewRunFields = {
            "workflow_name": BACKUP,
            "workflow_version": "1",
            "tags": _TAGS,
            "created_by": "cron@db1",
            "status": "completed",
            "started_at": began,
            "completed_at": ended,
            "expected_by": began + timedelta(minutes=5),
            "result": {"bytes": 52_428_800 + hours},
        }
        if hours in (5, 17):
            run |= {
                "status": "failed",
                "result": None,
                "error": {"type": "OSError", "message": "no space left on device"},
            }
        runs.append(run)
    return runs


async def keep_coming(client: AsyncClient, every_seconds: float, say: Say) -> None:
    """Create runs and tasks until cancelled; a service that is away for a moment is asked again."""
    first = int(datetime.now(UTC).timestamp()) % 1_000_000
    async with asyncio.TaskGroup() as group:
        for number in count():
            for make in _wanted(number):
                group.create_task(_try(make, client, first + number, say))
            await asyncio.sleep(every_seconds)


def _wanted(number: int) -> list[Callable[[AsyncClient, int], Awaitable[str]]]:
    """Return what is made in a turn: an order in each, the others now and then."""
    wanted: list[Callable[[AsyncClient, int], Awaitable[str]]] = [_order]
    wanted += [_import] if number % 4 == 1 else []
    wanted += [_report] if number % 6 == 2 else []  # noqa: PLR2004 - in turns
    wanted += [_pictures] if number % 3 == 0 else []
    return wanted


async def _try(make: Callable[[AsyncClient, int], Awaitable[str]], client: AsyncClient, number: int, say: Say) -> None:
    try:
        say(await make(client, number))
    except MilepostError as error:
        say(f"{make.__name__.strip('_')}: {error}")


async def _order(client: AsyncClient, order: int) -> str:
    """Start an order; most are approved after a while, the others wait."""
    run = await client.start_workflow(ORDERS, inputs={"order": order}, queue=QUEUE, tags=_TAGS, created_by=_OWNER)
    url = f"https://shop.example/orders/{order}"
    await client.put_link(run.workflow_run_id, "order", url, title=f"Order {order} in the shop")
    if order % 4:
        await asyncio.sleep(_chance.uniform(8, 20))
        await client.emit_event(QUEUE, APPROVAL.format(order), {"by": "ada"})
        return f"order {order} is approved"
    return f"order {order} waits for its approval"


async def _import(client: AsyncClient, number: int) -> str:
    """Do something that the service only tracks: with heartbeats, lines of log, and a bad end now and then."""
    run = await client.create_workflow_run(
        IMPORT, "1", tags=_TAGS, created_by=_OWNER, status="running", heartbeat_seconds=10, inputs={"file": number}
    )
    rows = 0
    for part in range(1, _PARTS + 1):
        await asyncio.sleep(1.5)
        rows += _chance.randint(100, 900)
        done: ProgressFields = {"done": part, "total": _PARTS, "unit": "files", "message": f"file {part}"}
        beat = await client.heartbeat_workflow_run(run.workflow_run_id, reported_progress=done)
        await client.append_run_logs(run.workflow_run_id, [{"text": f"file {part}: {rows} rows so far"}])
        if beat.cancel_requested:
            await client.update_workflow_run_status(run.workflow_run_id, "cancelled")
            return f"import {number} was cancelled"
    if number % 3 == 0:
        error = {"type": "ValueError", "message": f"file {_PARTS}: line 7 has 11 columns instead of 12"}
        await client.append_run_logs(run.workflow_run_id, [{"text": error["message"], "level": "error"}])
        await client.update_workflow_run_status(run.workflow_run_id, "failed", error=error)
        return f"import {number} has failed"
    await client.update_workflow_run_status(run.workflow_run_id, "completed", result={"rows": rows})
    return f"import {number} is done"


async def _report(client: AsyncClient, number: int) -> str:
    """Do something that takes longer than it should: it is late, and ends all the same."""
    expected = datetime.now(UTC) + timedelta(seconds=5)
    run = await client.create_workflow_run(
        REPORT, "2", tags=_TAGS, created_by="cron@db1", status="running", expected_by=expected
    )
    await asyncio.sleep(30)
    await client.update_workflow_run_status(run.workflow_run_id, "completed", result={"pages": number % 50})
    return "a report was late"


async def _pictures(client: AsyncClient, number: int) -> str:
    """Spawn tasks that are of no run, and of one that nobody moves."""
    retry = {"kind": "exponential", "base_seconds": 1, "factor": 2}
    await client.spawn_task(
        "resize_image", {"image": f"{number}.png"}, queue=QUEUE, max_attempts=3, retry_strategy=retry
    )
    await client.spawn_task("remind", {"who": "ada"}, queue=QUEUE)
    return f"picture {number} is resized"
