"""Monitors over HTTP: when runs of a workflow should come, whoever makes them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer_page, answer_put, answer_revision, answer_verb
from app.api.calls import CurrentCaller, OnceKey, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.api.tables import monitor_facts, monitor_table
from app.errors import IdempotencyKeyReused, NotFound
from app.services import monitors as service
from milepost.schemas.monitors import Monitor, MonitorPage, MonitorPing, MonitorQuery, MonitorSettings
from milepost.schemas.operations import Scope
from milepost.schemas.wire import MonitorName
from milepost.schemas.workflow_runs import WorkflowRun

Name = Annotated[MonitorName, Path(description="Name of the monitor.")]
router = APIRouter(prefix="/v1/monitors", tags=["monitors"], route_class=Door)


@router.get("", response_model=MonitorPage)
@needs(Scope.read)
async def list_monitors(request: Request, query: Annotated[MonitorQuery, Query()], tx: ReadTx) -> Response:
    """Return monitors by name, and how they stand.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await service.list_monitors(tx, query), monitor_table)


@router.get("/{name}", response_model=Monitor, responses=problems(NotFound))
@needs(Scope.read)
async def get_monitor(request: Request, name: Name, tx: ReadTx) -> Response:
    """Return one monitor, and how it stands.

    With `Accept: text/plain` it is written one fact a line for a terminal.
    """
    return answer_revision(await service.get_monitor(tx, name), request=request, text=monitor_facts)


@router.put(
    "/{name}",
    response_model=Monitor,
    responses={201: {"model": Monitor, "description": "The monitor was made."}},
)
@needs(Scope.write)
async def put_monitor(name: Name, body: MonitorSettings, tx: WriteTx) -> Response:
    """Say when runs of a workflow should come, whoever makes them; the monitor is made if need be (201).

    A time is met by a run of the name and the tags that is created after the time before and until the grace is over;
    else the monitor is `late`. When a run fails, or runs longer than it may, it is `failing`; the next that completes
    makes it `ok`. All is told in the change feed within two seconds. The same again changes nothing; with another
    schedule the monitor starts as new, and one that is new or resumed waits for its next time.
    """
    monitor, is_new = await service.put_monitor(tx, name, body)
    return answer_put(monitor, is_new=is_new)


@router.delete("/{name}", status_code=204, responses=problems(NotFound))
@needs(Scope.write)
async def delete_monitor(name: Name, tx: WriteTx) -> None:
    """Delete a monitor; the runs stay."""
    await service.delete_monitor(tx, name)


@router.post("/{name}/ping", response_model=WorkflowRun, responses=problems(NotFound, IdempotencyKeyReused))
@needs(Scope.write)
async def ping_monitor(
    name: Name, tx: WriteTx, caller: CurrentCaller, key: OnceKey, body: MonitorPing | None = None
) -> Response:
    """Record what has happened to a run of a monitor, for who does not record runs; without a body it has completed.

    `started` creates a run; `completed` and `failed` end the newest that is running, or record one that is over.
    A paused monitor records too. With an `Idempotency-Key` a repeat is answered as the first was.
    """
    return answer_verb(await service.ping_monitor(tx, service.Ping(name, body or MonitorPing(), caller, key)))
