"""Monitors: put, read, deleted, and pinged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import MISSING

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_alone
from app.db.engine import Tx
from app.domain.cron import CronError, parse_cron, read_timezone
from app.domain.cursors import read_name, write_name
from app.domain.json_texts import Json, JsonValue, Storable
from app.domain.json_values import same_json
from app.domain.log_lines import LEVELS, cut_text
from app.domain.monitors import begin_watch
from app.domain.records import MonitorRow
from app.errors import NotFound, Refusal, ValidationFailed
from app.services.workflow_runs.create import Creation, create_new_runs
from app.services.workflow_runs.update import Update, update_locked_runs
from app.services.workflow_runs.update import answer as answer_run
from app.store import log_lines as lines_store
from app.store import monitors as monitors_store
from app.store import schedules as schedules_store
from milepost.schemas.logs import LogLevel
from milepost.schemas.monitors import (
    Monitor,
    MonitorPage,
    MonitorPing,
    MonitorQuery,
    MonitorSettings,
    MonitorState,
    PingState,
)
from milepost.schemas.problems import FieldError
from milepost.schemas.workflow_runs import RunStatus, WorkflowRunCreate, WorkflowRunUpdate

VERSION = "ping"
"""Of the runs that are made by ping."""
_SETTINGS = tuple(MonitorSettings.model_fields)
_SHOWN = tuple(name for name in Monitor.model_fields if name in MonitorRow._fields)
_SCHEDULE = frozenset({"cron", "timezone", "every_seconds"})
_WATCHED = frozenset({"workflow_name", "tags"})
_STATUSES = {
    PingState.started: RunStatus.running,
    PingState.completed: RunStatus.completed,
    PingState.failed: RunStatus.failed,
}


def monitor_not_found(name: str) -> NotFound:
    """Return the refusal for a monitor that does not exist."""
    return NotFound(f"there is no monitor {name}; it is made by PUT")


async def list_monitors(tx: Tx, query: MonitorQuery) -> MonitorPage:
    """Return a page of the monitors that match, by name. Raises ValidationFailed."""
    given: dict[str, Storable] = {"workflow_name": query.workflow_name, "states": [*query.state] or None}
    filters = {name: value for name, value in given.items() if value is not None}
    after = read_name(query.cursor) if query.cursor is not None else ""
    page = await monitors_store.list_monitors(tx, filters, after, query.limit)
    more = write_name(page.rows[-1].name) if page.has_more else None
    return MonitorPage.model_construct(items=[_show(row) for row in page.rows], next_cursor=more)


async def get_monitor(tx: Tx, name: str) -> Monitor:
    """Return one monitor. Raises NotFound."""
    return _show(await _get_row(tx, name))


async def _get_row(tx: Tx, name: str) -> MonitorRow:
    row = await monitors_store.get_monitor(tx, name)
    if row is None:
        raise monitor_not_found(name)
    return row


def _show(row: MonitorRow) -> Monitor:
    shown = {name: getattr(row, name) for name in _SHOWN}
    return Monitor.model_construct(None, **shown | {"state": MonitorState(row.state)})


async def put_monitor(tx: Tx, name: str, body: MonitorSettings) -> tuple[Monitor, bool]:
    """Let a monitor be as ``body`` says, and make it if need be; whether it was made. Raises ValidationFailed.

    What is so already stays as it is. With another schedule it starts as new, and when it is resumed it waits for its
    next slot.
    """
    settings = _read_settings(body)
    while (before := await monitors_store.lock_monitor(tx, name)) is None:
        new = _new_monitor(name, settings, await schedules_store.read_now(tx))
        if (made := await monitors_store.insert_monitor(tx, new)) is not None:
            return _show(made), True
    changed = {name for name in _SETTINGS if not _is_same(getattr(before, name), settings[name])}
    if not changed:
        return _show(before), False
    return _show(await monitors_store.update_monitor(tx, _change(before, settings, changed))), False


def _is_same(stored: JsonValue, given: JsonValue) -> bool:
    return same_json(stored, given) if isinstance(given, dict) else stored == given


def _read_settings(body: MonitorSettings) -> dict[str, Json]:
    """Return what a body says, with all defaults. Raises ValidationFailed."""
    if (body.cron is None) == (body.every_seconds is None):
        place = "/cron" if body.cron is None else "/every_seconds"
        raise ValidationFailed.at(place, "give either cron or every_seconds")
    if body.cron is None and body.timezone is not None:
        raise ValidationFailed.at("/timezone", "belongs to cron")
    settings = {name: getattr(body, name) for name in _SETTINGS}
    if body.cron is not None:
        settings["timezone"] = body.timezone or "UTC"
        if errors := _find_errors(body.cron, settings["timezone"]):
            raise ValidationFailed(errors)
    return settings


def _find_errors(cron: str, timezone: str) -> list[FieldError]:
    errors = []
    for name, value, read in (("cron", cron, parse_cron), ("timezone", timezone, read_timezone)):
        try:
            read(value)
        except CronError as error:
            errors.append(FieldError(pointer=f"/{name}", detail=str(error)))
    return errors


def _new_monitor(name: str, settings: Mapping[str, Json], now: datetime) -> MonitorRow:
    """Return a monitor that has seen nothing yet."""
    nothing: dict[str, Json] = dict.fromkeys(MonitorRow._fields) | {
        "created_at": now,
        "updated_at": now,
        "revision": 1,
        "now": now,
    }
    return begin_watch(MonitorRow(**{**nothing, **settings, "name": name}), now)


def _change(before: MonitorRow, settings: Mapping[str, Json], changed: set[str]) -> MonitorRow:
    """Return a monitor as it is to be."""
    after = before._replace(**settings)
    if changed & _SCHEDULE:
        return begin_watch(after._replace(last_run_id=None, last_ok_at=None), before.now)
    if "paused" in changed:
        return begin_watch(after, before.now)
    if changed & _WATCHED:
        after = after._replace(followed={}, seen_from=before.now)
    return after if after.paused else after._replace(look_at=before.now)


async def delete_monitor(tx: Tx, name: str) -> None:
    """Delete a monitor; the runs stay. Raises NotFound."""
    if not await monitors_store.delete_monitor(tx, name):
        raise monitor_not_found(name)


@dataclass(frozen=True, slots=True)
class Ping:
    """A request to record what has happened to a run of a monitor."""

    name: str
    body: MonitorPing
    caller: Caller
    key: IdempotencyKey | None = None


async def ping_monitor(tx: Tx, ping: Ping) -> Reply:
    """Record what has happened to a run of a monitor, paused or not, and return the run. Raises NotFound.

    A start makes a run, an end ends the newest that is running; where none is, it records one that is over.
    """

    async def record() -> Reply:
        monitor = await _get_row(tx, ping.name)
        running = None if ping.body.state is PingState.started else await _lock_running(tx, monitor)
        reply = await (_record_new(tx, monitor, ping) if running is None else _end(tx, running, ping))
        if ping.body.message is not None and ping.body.state is not PingState.failed and reply.resource_id is not None:
            await _append(tx, reply.resource_id, ping.body.message)
        return reply

    return await answer_alone(tx, ping.key, record)


async def _lock_running(tx: Tx, monitor: MonitorRow) -> UUID | None:
    """Return the newest run of a monitor that is running, locked; those that the service executes end by themselves.

    Where another one has ended it just now, it is the newest of those that nobody else is ending.
    """
    found = await monitors_store.find_newest_running(tx, monitor)
    if found is None or await monitors_store.lock_running(tx, found):
        return found
    return await monitors_store.try_lock_newest_running(tx, monitor)


async def _record_new(tx: Tx, monitor: MonitorRow, ping: Ping) -> Reply:
    told: dict[str, Json] = {} if ping.body.result is MISSING else {"result": ping.body.result}
    run = WorkflowRunCreate(
        workflow_name=monitor.workflow_name,
        workflow_version=VERSION,
        tags=monitor.tags,
        created_by=monitor.created_by,
        status=_STATUSES[ping.body.state],
        error=_error_of(ping.body),
        **told,
    )
    (reply,) = await create_new_runs(tx, [Creation([run], ping.caller)])
    return _accept(reply)


async def _end(tx: Tx, workflow_run_id: UUID, ping: Ping) -> Reply:
    change = WorkflowRunUpdate(status=_STATUSES[ping.body.state], result=ping.body.result)
    if (error := _error_of(ping.body)) is not None:
        change.error = error
    (outcome,) = await update_locked_runs(tx, [Update(workflow_run_id, change, ping.caller)])
    if isinstance(outcome, Refusal):
        raise outcome
    return Reply(answer_run(outcome).body, workflow_run_id)


def _accept(outcome: Reply | Refusal) -> Reply:
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


def _error_of(body: MonitorPing) -> dict[str, str] | None:
    return {"message": body.message} if body.state is PingState.failed and body.message is not None else None


async def _append(tx: Tx, workflow_run_id: UUID, message: str) -> None:
    """Append a line to the log of a run."""
    text, is_truncated = cut_text(message)
    line: dict[str, Storable] = {
        "workflow_run_id": workflow_run_id,
        "place": 0,
        "call": 0,
        "level": LEVELS.index(LogLevel.info),
    }
    row = line | {"text": text, "is_truncated": is_truncated, "at": None, "fields": None}
    await lines_store.insert_lines_of_runs(tx, [workflow_run_id], [row])
