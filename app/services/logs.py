"""Logs of workflow runs and tasks: lines are appended, and read page by page."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.batching import batched
from app.db.engine import Parameters, Tx
from app.domain.cursors import LinePosition, read_line_cursor, write_line_cursor
from app.domain.json_texts import Storable, write_json
from app.domain.log_lines import LEVELS, cut_text
from app.domain.records import LogLineRow
from app.errors import NotFound, Refusal, ValidationFailed
from app.moves.runs import run_not_found
from app.moves.tasks import task_not_found
from app.services.tasks import get_task
from app.services.workflow_runs.read import get_run
from app.store import log_lines as store
from app.store.log_lines import SeenLine
from milepost.schemas.logs import LogAppend, LogAppended, LogLine, LogOrder, LogPage, LogQuery

LINES_A_BATCH = 32
"""How many calls are written together: each may have a thousand lines."""
LOOKS = (1_000, 10_000)
"""At how many lines a page looks for some that match, first and then; others follow by its cursor."""
SHOWN_MOST = 8 * 1024 * 1024
"""Bytes of lines after which it does not look on."""
DEFAULT_LIMIT = 50
_RUN, _TASK = "workflow_run_id", "task_id"


@dataclass(frozen=True, slots=True)
class Append:
    """A request to append lines to the log of a run or of a task."""

    owner: UUID
    body: LogAppend
    key: IdempotencyKey | None = None


Insert = Callable[[Tx, Sequence[UUID], Sequence[Parameters]], Awaitable[set[UUID]]]


async def _append_to_runs(tx: Tx, appends: Sequence[Append]) -> Sequence[Reply | Refusal]:
    """Append lines to logs of runs: those of a call all, or none."""

    async def perform(tx: Tx, new: Sequence[Append]) -> Sequence[Reply | Refusal]:
        return await _insert(tx, new, _RUN, store.insert_lines_of_runs, run_not_found)

    return await answer_once(tx, appends, perform)


append_to_run = batched(_append_to_runs, LINES_A_BATCH)
"""Append lines to the log of a run. Raises NotFound."""


async def _append_to_tasks(tx: Tx, appends: Sequence[Append]) -> Sequence[Reply | Refusal]:
    """Append lines to logs of tasks, and of the runs that these belong to: those of a call all, or none."""

    async def perform(tx: Tx, new: Sequence[Append]) -> Sequence[Reply | Refusal]:
        return await _insert(tx, new, _TASK, store.insert_lines_of_tasks, task_not_found)

    return await answer_once(tx, appends, perform)


append_to_task = batched(_append_to_tasks, LINES_A_BATCH)
"""Append lines to the log of a task, and of its run. Raises NotFound."""


async def _insert(
    tx: Tx, appends: Sequence[Append], owner: str, insert: Insert, not_found: Callable[[UUID], NotFound]
) -> Sequence[Reply | Refusal]:
    lines = [(append.owner, call, line) for call, append in enumerate(appends) for line in append.body.lines]
    rows: list[Parameters] = []
    for place, (owner_id, call, line) in enumerate(lines):
        text, is_truncated = cut_text(line.text)
        row: dict[str, Storable] = {owner: owner_id, "place": place, "call": call, "level": LEVELS.index(line.level)}
        rows.append(row | {"text": text, "is_truncated": is_truncated, "at": line.at, "fields": line.fields or None})
    found = await insert(tx, sorted({append.owner for append in appends}), rows)
    return [
        Reply(write_json(LogAppended(appended=len(append.body.lines))))
        if append.owner in found
        else not_found(append.owner)
        for append in appends
    ]


async def list_run_lines(tx: Tx, workflow_run_id: UUID, query: LogQuery) -> LogPage:
    """Return a page of the log of a run, with the lines of its tasks. Raises NotFound, ValidationFailed."""
    page = await _list_lines(tx, _RUN, workflow_run_id, query)
    if not page.items:
        await get_run(tx, workflow_run_id)
    return page


async def list_task_lines(tx: Tx, task_id: UUID, query: LogQuery) -> LogPage:
    """Return a page of the log of a task. Raises NotFound, ValidationFailed."""
    page = await _list_lines(tx, _TASK, task_id, query)
    if not page.items:
        await get_task(tx, task_id)
    return page


async def _list_lines(tx: Tx, owner: str, owner_id: UUID, query: LogQuery) -> LogPage:
    _check_tail(query)
    order = LogOrder.newest_at if query.tail is not None else query.order or LogOrder.at
    limit = query.tail or query.limit or DEFAULT_LIMIT
    filters = _read_filters(owner, owner_id, query)
    after = None if query.cursor is None else read_line_cursor(query.cursor, order, filters)
    lines, more = await _look_for(tx, owner, filters, after, limit, newest_first=order is LogOrder.newest_at)
    items = [_show_line(line) for line in lines]
    if query.tail is not None:
        return LogPage.model_construct(items=items[::-1], next_cursor=None)
    cursor = None if more is None else write_line_cursor(more, order, filters)
    return LogPage.model_construct(items=items, next_cursor=cursor)


def _check_tail(query: LogQuery) -> None:
    """Raise ValidationFailed if the last lines are asked for by a place or in an order."""
    for name in ("cursor", "order"):
        if query.tail is not None and getattr(query, name) is not None:
            raise ValidationFailed.at(name, "does not go with tail, which gives the last lines, oldest first")


def _read_filters(owner: str, owner_id: UUID, query: LogQuery) -> dict[str, Storable]:
    given: dict[str, Storable] = {
        "level": None if query.level is None else LEVELS.index(query.level),
        "after": query.after,
        "before": query.before,
        "q": query.q,
        "attempt": query.attempt,
    }
    filters: dict[str, Storable] = {name: value for name, value in given.items() if value is not None}
    filters[owner] = owner_id
    return filters


async def _look_for(
    tx: Tx, owner: str, filters: Parameters, after: LinePosition | None, limit: int, *, newest_first: bool
) -> tuple[Sequence[LogLineRow], LinePosition | None]:
    """Return up to ``limit`` lines that match, and where to go on; None at the end of the log."""
    found: list[LogLineRow] = []
    size = 0
    for scanned in LOOKS:
        most = limit + 1 - len(found)
        seen = await store.list_lines(tx, owner, filters, after, most, max(scanned, most), newest_first=newest_first)
        matching = [line.line for line in seen if line.matches]
        found += matching
        if len(found) > limit:
            return found[:limit], _position_of(found[limit - 1])
        if not seen or _is_end(seen):
            return found, None
        after = _position_of(seen[-1].line)
        size += sum(map(_size_of, matching))
        if size > SHOWN_MOST:
            break
    return found, after


def _is_end(seen: Sequence[SeenLine]) -> bool:
    return seen[-1].is_last


def _position_of(line: LogLineRow) -> LinePosition:
    return LinePosition(line.at, line.sequence)


def _size_of(line: LogLineRow) -> int:
    return len(line.text) + (0 if line.fields is None else len(line.fields.text))


def _show_line(row: LogLineRow) -> LogLine:
    shown = {name: getattr(row, name) for name in LogLine.model_fields if hasattr(row, name)}
    shown |= {"line_id": row.sequence, "level": LEVELS[row.level], "truncated": row.is_truncated}
    return LogLine.model_construct(None, **shown | {"fields": {} if row.fields is None else row.fields})
