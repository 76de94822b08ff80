"""Bulk operations: one verb for all that matched when it was asked for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_urlsafe
from uuid import UUID

from uuid_utils.compat import uuid7

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_alone
from app.db.engine import Tx
from app.domain.bulk_filters import purpose_of, read_match
from app.domain.cursors import Position, read_cursor, read_offset, write_cursor, write_offset
from app.domain.json_texts import Storable, write_json
from app.errors import Conflict, CountDiffers, NotFound, TokenInvalid, ValidationFailed
from app.services import tasks
from app.services.workflow_runs.cancel import cancel_run
from app.services.workflow_runs.delete import delete_run
from app.services.workflow_runs.pause import pause_run, resume_run
from app.services.workflow_runs.retry import retry_run
from app.store import bulk_operations as store
from app.store import bulk_tokens as tokens_store
from app.store import task_lists as task_lists_store
from app.store import workflow_run_lists as run_lists_store
from app.store.bulk_operations import BulkItem, BulkOperationRow
from milepost.schemas.bulk_operations import (
    SAMPLE_MOST,
    BulkDryRun,
    BulkOperation,
    BulkOperationCreate,
    BulkOperationPage,
    BulkOutcome,
    BulkOutcomePage,
    BulkResource,
    BulkStatus,
    BulkVerb,
    RunMatch,
    TaskMatch,
)
from milepost.schemas.problems import FieldError
from milepost.schemas.tasks import TaskRetry
from milepost.schemas.wire import PageQuery
from milepost.schemas.workflow_runs import WorkflowRunCancel, WorkflowRunRetry

VERBS_OF_TASKS = frozenset({BulkVerb.cancel, BulkVerb.retry})
OF_OURS = "internal-error"
"""The code of an item that could not be done, however often it was tried."""
_NEWEST_FIRST = "-bulk_operation_id"
_DONE, _GONE, _REFUSED = 200, 404, 409


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """A request for a bulk operation, its filter read."""

    body: BulkOperationCreate
    match: RunMatch | TaskMatch
    caller: Caller
    key: IdempotencyKey | None
    token_seconds: float


async def create_bulk_operation(tx: Tx, request: BulkRequest) -> Reply:
    """Begin a bulk operation, or say what one would be about; once for each key.

    Raises ValidationFailed, TokenInvalid, CountDiffers, IdempotencyKeyReused.
    """

    async def perform() -> Reply:
        body = request.body
        filters = read_match(request.match)
        _check(body, filters)
        if body.dry_run:
            return Reply(write_json(await _count(tx, body, filters, request.token_seconds)))
        operation = await _begin(tx, body, filters, request.caller)
        return Reply(write_json(operation), operation.bulk_operation_id)

    return await answer_alone(tx, request.key, perform)


def _check(body: BulkOperationCreate, filters: Mapping[str, Storable]) -> None:
    """Raise ValidationFailed for what cannot be meant."""
    errors = []
    if body.resource is BulkResource.tasks and body.verb not in VERBS_OF_TASKS:
        errors.append(FieldError(pointer="/verb", detail="of tasks must be one of cancel, retry"))
    if not filters:
        errors.append(
            FieldError(pointer="/filter", detail="must have a condition: an empty one would match everything")
        )
    if not body.dry_run and body.token is None and body.expect_count is None:
        errors.append(FieldError(pointer="/token", detail="is required, or expect_count, unless it is a dry run"))
    if errors:
        raise ValidationFailed(errors)


async def _count(
    tx: Tx, body: BulkOperationCreate, filters: Mapping[str, Storable], token_seconds: float
) -> BulkDryRun:
    """Return how many match, some of them, and a token that lets it be done."""
    if body.resource is BulkResource.workflow_runs:
        count = (await run_lists_store.count_runs(tx, (), filters))[0].amount
        runs = await run_lists_store.list_runs(tx, "-created_at", filters, None, SAMPLE_MOST)
        sample = [run.workflow_run_id for run in runs.rows]
    else:
        count = await task_lists_store.count_tasks(tx, filters)
        found = await task_lists_store.list_tasks(tx, "-created_at", filters, None, SAMPLE_MOST)
        sample = [task.task_id for task in found.rows]
    token = token_urlsafe(24)
    purpose = purpose_of(body.resource, body.verb, filters)
    await tokens_store.insert_token(tx, _hash(token), purpose, count, token_seconds)
    return BulkDryRun(count=count, sample=sample, token=token)


def _hash(token: str) -> bytes:
    return sha256(token.encode()).digest()


async def _begin(tx: Tx, body: BulkOperationCreate, filters: Mapping[str, Storable], caller: Caller) -> BulkOperation:
    """Keep what matches, if it is as many as was expected. Raises TokenInvalid, CountDiffers."""
    expected = {body.expect_count} if body.expect_count is not None else set()
    if body.token is not None:
        counted = await tokens_store.get_count(tx, _hash(body.token), purpose_of(body.resource, body.verb, filters))
        if counted is None:
            detail = "is of no dry run of this resource, verb and filter, or has expired"
            raise TokenInvalid([FieldError(pointer="/token", detail=detail)])
        expected.add(counted)
    row = {
        "bulk_operation_id": uuid7(),
        "resource": body.resource,
        "verb": body.verb,
        "filter": body.filter,
        "reason": body.reason,
        "total": min(expected),
        "created_by": caller.name,
        "request_id": caller.request_id,
    }
    operation = await store.insert_operation(tx, row)
    matching = await store.insert_matching(tx, operation.bulk_operation_id, body.resource, filters)
    if expected != {matching}:
        raise CountDiffers(matching)
    return _show(operation)


def _show(row: BulkOperationRow) -> BulkOperation:
    shown = row._asdict() | {
        "resource": BulkResource(row.resource),
        "verb": BulkVerb(row.verb),
        "status": BulkStatus(row.status),
    }
    return BulkOperation.model_construct(None, **shown)


async def get_bulk_operation(tx: Tx, bulk_operation_id: UUID) -> BulkOperation:
    """Return one bulk operation as it stands. Raises NotFound."""
    row = await store.get_operation(tx, bulk_operation_id)
    if row is None:
        raise _not_found(bulk_operation_id)
    return _show(row)


def _not_found(bulk_operation_id: UUID) -> NotFound:
    return NotFound(f"there is no bulk operation {bulk_operation_id}")


async def list_bulk_operations(tx: Tx, query: PageQuery) -> BulkOperationPage:
    """Return a page of the bulk operations, newest first. Raises ValidationFailed."""
    after = read_cursor(query.cursor, _NEWEST_FIRST, {}) if query.cursor is not None else None
    page = await store.list_operations(tx, after, query.limit)
    items = [_show(row) for row in page.rows]
    more = None
    if page.has_more:
        more = write_cursor(Position(None, items[-1].bulk_operation_id), _NEWEST_FIRST, {})
    return BulkOperationPage.model_construct(items=items, next_cursor=more)


async def list_bulk_outcomes(tx: Tx, bulk_operation_id: UUID, query: PageQuery) -> BulkOutcomePage:
    """Return a page of the outcomes of a bulk operation. Raises NotFound, ValidationFailed."""
    await get_bulk_operation(tx, bulk_operation_id)
    after = read_offset(query.cursor, bulk_operation_id) if query.cursor is not None else 0
    page = await store.list_outcomes(tx, bulk_operation_id, after, query.limit)
    items = [BulkOutcome(id=row.resource_id, status=row.status, code=row.code) for row in page.rows]
    more = write_offset(page.rows[-1].sequence, bulk_operation_id) if page.has_more else None
    return BulkOutcomePage.model_construct(items=items, next_cursor=more)


async def cancel_bulk_operation(tx: Tx, bulk_operation_id: UUID) -> BulkOperation:
    """End a bulk operation after the item under way; one that is over stays as it is. Raises NotFound."""
    row = await store.lock_operation(tx, bulk_operation_id)
    if row is None:
        raise _not_found(bulk_operation_id)
    if row.status != BulkStatus.running:
        return _show(row)
    return _show(await store.cancel_operation(tx, bulk_operation_id))


async def do_bulk_items(tx: Tx, sequences: Sequence[int]) -> int:
    """Do the next item of bulk operations, by the same services as a call for one run or task.

    What is done and that it is done are committed together: a process that dies has done both or neither.
    """
    done = 0
    for sequence in sequences:
        item = await store.lock_item(tx, sequence)
        if item is not None:
            await store.set_outcome(tx, sequence, *await _do(tx, item))
            done += 1
    return done


async def _do(tx: Tx, item: BulkItem) -> tuple[int, str | None]:
    """Return how it went, as a status and the code of a refusal."""
    try:
        async with tx.savepoint():
            await _VERBS[BulkResource(item.resource), BulkVerb(item.verb)](tx, item)
    except NotFound as refusal:
        return _GONE, refusal.code
    except Conflict as refusal:
        return _REFUSED, refusal.code
    return _DONE, None


async def give_up_bulk_item(tx: Tx, sequence: int, why: str) -> None:
    """Give an item its outcome that cannot be done; the log says ``why``."""
    del why
    if await store.lock_item(tx, sequence) is not None:
        await store.set_outcome(tx, sequence, _REFUSED, OF_OURS)


async def _cancel_run(tx: Tx, item: BulkItem) -> None:
    await cancel_run(tx, item.resource_id, WorkflowRunCancel(reason=item.reason), _caller(item))


async def _retry_run(tx: Tx, item: BulkItem) -> None:
    await retry_run(tx, item.resource_id, WorkflowRunRetry(reason=item.reason), _caller(item))


async def _delete_run(tx: Tx, item: BulkItem) -> None:
    await delete_run(tx, item.resource_id, None)


async def _pause_run(tx: Tx, item: BulkItem) -> None:
    await pause_run(tx, item.resource_id, _caller(item), item.reason)


async def _resume_run(tx: Tx, item: BulkItem) -> None:
    await resume_run(tx, item.resource_id, _caller(item), item.reason)


async def _cancel_task(tx: Tx, item: BulkItem) -> None:
    await tasks.cancel_task(tx, item.resource_id)


async def _retry_task(tx: Tx, item: BulkItem) -> None:
    await tasks.retry_task(tx, item.resource_id, TaskRetry())


def _caller(item: BulkItem) -> Caller:
    return Caller(item.created_by, item.request_id)


_VERBS: Mapping[tuple[BulkResource, BulkVerb], Callable[[Tx, BulkItem], Awaitable[None]]] = {
    (BulkResource.workflow_runs, BulkVerb.cancel): _cancel_run,
    (BulkResource.workflow_runs, BulkVerb.retry): _retry_run,
    (BulkResource.workflow_runs, BulkVerb.delete): _delete_run,
    (BulkResource.workflow_runs, BulkVerb.pause): _pause_run,
    (BulkResource.workflow_runs, BulkVerb.resume): _resume_run,
    (BulkResource.tasks, BulkVerb.cancel): _cancel_task,
    (BulkResource.tasks, BulkVerb.retry): _retry_task,
}
