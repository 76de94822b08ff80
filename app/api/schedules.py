"""Schedules over HTTP: rules that create runs of registered definitions at given times."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_created, answer_page, answer_revision
from app.api.calls import Creating, IfMatch, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.problems import problems
from app.domain.json_texts import write_json
from app.domain.text_tables import write_facts, write_table
from app.errors import IdempotencyKeyReused, MoveNotAllowed, NotFound, PreconditionFailed, ValidationFailed
from app.services import schedules as service
from milepost.schemas.operations import Scope
from milepost.schemas.schedules import (
    Backfill,
    BackfilledFirings,
    FiringQuery,
    Firings,
    Schedule,
    ScheduleCreate,
    SchedulePage,
    ScheduleQuery,
    ScheduleSlotPage,
    ScheduleUpdate,
)
from milepost.schemas.wire import NoBody, PageQuery

ADDRESS = "/v1/schedules"
router = APIRouter(prefix=ADDRESS, tags=["schedules"], route_class=Door)


@router.post("", status_code=201, response_model=Schedule, responses=problems(ValidationFailed, IdempotencyKeyReused))
@needs(Scope.write)
async def create_schedule(body: ScheduleCreate, call: Creating) -> Response:
    """Make a schedule: a run of a registered definition is created whenever its cron expression fires.

    The run of a firing is about the time from the firing before up to it. The first firing is the one whose whole
    interval lies after `start_at`. With `catchup` those that have passed are fired too, in order, and without it the
    first is the next to come; when several pass while the service is down, the newest is fired and the others are
    missed. Fields are local times: where clocks are set back a local time fires once, the first time, and where they
    are set forward over it at the first moment after the gap.
    """
    creation = service.ScheduleCreation(body, call.key)
    return answer_created(await service.create_schedule(call.kernel.batching, creation), ADDRESS)


@router.get("", response_model=SchedulePage)
@needs(Scope.read)
async def list_schedules(request: Request, query: Annotated[ScheduleQuery, Query()], tx: ReadTx) -> Response:
    """Return schedules, newest first.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await service.list_schedules(tx, query), _schedule_table)


@router.get("/{schedule_id}", response_model=Schedule, responses=problems(NotFound))
@needs(Scope.read)
async def get_schedule(request: Request, schedule_id: UUID, tx: ReadTx) -> Response:
    """Return one schedule.

    With `Accept: text/plain` it is written one fact a line for a terminal.
    """
    return answer_revision(await service.get_schedule(tx, schedule_id), request=request, text=_schedule_facts)


@router.patch("/{schedule_id}", response_model=Schedule, responses=problems(NotFound, PreconditionFailed))
@needs(Scope.write)
async def update_schedule(schedule_id: UUID, body: ScheduleUpdate, tx: WriteTx, if_match: IfMatch) -> Response:
    """Change a schedule; what is absent stays as it is, tags are merged.

    With another `cron` or `timezone` it goes on with the next slot to come, and those that were due are missed.
    """
    return answer_revision(await service.update_schedule(tx, schedule_id, body, if_match))


@router.delete("/{schedule_id}", status_code=204, responses=problems(NotFound, PreconditionFailed))
@needs(Scope.write)
async def delete_schedule(schedule_id: UUID, tx: WriteTx, if_match: IfMatch) -> None:
    """Delete a schedule and the record of its slots; its runs stay."""
    await service.delete_schedule(tx, schedule_id, if_match)


@router.post("/{schedule_id}/pause", response_model=Schedule, responses=problems(NotFound))
@needs(Scope.write)
async def pause_schedule(schedule_id: UUID, tx: WriteTx, body: NoBody | None = None) -> Response:
    """Pause a schedule: it fires nothing until it is resumed. Its definition can still be started by hand."""
    del body
    return answer_revision(await service.pause_schedule(tx, schedule_id))


@router.post("/{schedule_id}/resume", response_model=Schedule, responses=problems(NotFound))
@needs(Scope.write)
async def resume_schedule(schedule_id: UUID, tx: WriteTx, body: NoBody | None = None) -> Response:
    """Let a paused schedule go on: with catch-up with the slots that passed, else they are missed."""
    del body
    return answer_revision(await service.resume_schedule(tx, schedule_id))


@router.get("/{schedule_id}/next", response_model=Firings, responses=problems(NotFound))
@needs(Scope.read)
async def list_next_firings(schedule_id: UUID, query: Annotated[FiringQuery, Query()], tx: ReadTx) -> Response:
    """Return the next slots of a schedule, whether it is paused or not; fewer where it ends."""
    return answer(await service.list_next_firings(tx, schedule_id, query))


@router.post(
    "/{schedule_id}/backfill",
    status_code=201,
    response_model=BackfilledFirings,
    responses=problems(NotFound, MoveNotAllowed, ValidationFailed, IdempotencyKeyReused),
)
@needs(Scope.write)
async def backfill_schedule(schedule_id: UUID, body: Backfill, call: Creating) -> Response:
    """Create a run for each firing from `start` on and before `end` that has none, also before `start_at`.

    As many are running at a time as the schedule's `max_active_runs` says; the others are `pending` and begin one after
    the other, the oldest first, and the schedule's own firings come after them. A paused schedule does it too. At most
    1000 firings at a time; those to come are left to the schedule itself.
    """
    backfilling = service.Backfilling(schedule_id, body, call.caller, call.key)
    return answer_created(await service.backfill_schedule(call.kernel.batching, backfilling))


@router.get("/{schedule_id}/slots", response_model=ScheduleSlotPage, responses=problems(NotFound))
@needs(Scope.read)
async def list_schedule_slots(
    request: Request, schedule_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return the slots of a schedule that have been fired, missed or skipped, newest first."""
    return answer_page(request, await service.list_schedule_slots(tx, schedule_id, query), _slot_table)


_COLUMNS = ("schedule_id", "workflow_name", "cron", "timezone", "paused", "next_fire_at", "last_fire_at", "active_runs")
_JSON = ("inputs", "tags")
_SLOT_COLUMNS = ("fire_at", "outcome", "workflow_run_id", "at")


def _schedule_table(page: SchedulePage) -> str:
    return write_table(_COLUMNS, [[getattr(item, name) for name in _COLUMNS] for item in page.items]) + _more(page)


def _slot_table(page: ScheduleSlotPage) -> str:
    return write_table(_SLOT_COLUMNS, [[getattr(i, name) for name in _SLOT_COLUMNS] for i in page.items]) + _more(page)


def _more(page: SchedulePage | ScheduleSlotPage) -> str:
    return "" if page.next_cursor is None else f"\nmore: add cursor={page.next_cursor}\n"


def _schedule_facts(schedule: Schedule) -> str:
    facts = {name: getattr(schedule, name) for name in Schedule.model_fields}
    return write_facts({name: write_json(fact).decode() if name in _JSON else fact for name, fact in facts.items()})
