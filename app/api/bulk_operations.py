"""Bulk operations over HTTP: one verb for all runs or tasks that match a filter."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import answer, answer_page, answer_queued
from app.api.calls import CurrentCaller, InKernel, OnceKey, ReadTx, WriteTx
from app.api.door import Door, needs
from app.api.known_names import describe_known
from app.api.problems import explain_invalid, problems
from app.domain.text_tables import write_table
from app.errors import CountDiffers, IdempotencyKeyReused, NotFound, TokenInvalid, ValidationFailed
from app.services import bulk_operations as service
from milepost.schemas.bulk_operations import (
    BulkDryRun,
    BulkOperation,
    BulkOperationCreate,
    BulkOperationPage,
    BulkOutcomePage,
    BulkResource,
    RunMatch,
    TaskMatch,
)
from milepost.schemas.operations import Scope
from milepost.schemas.problems import FieldError
from milepost.schemas.wire import NoBody, PageQuery

ADDRESS = "/v1/bulk-operations"
_BEGUN: dict[int | str, dict[str, Any]] = {202: {"model": BulkOperation, "description": "It has begun."}}
_REFUSALS = problems(CountDiffers, ValidationFailed, TokenInvalid, IdempotencyKeyReused)
_MATCHES: Mapping[BulkResource, type[RunMatch | TaskMatch]] = {
    BulkResource.workflow_runs: RunMatch,
    BulkResource.tasks: TaskMatch,
}
router = APIRouter(prefix=ADDRESS, tags=["bulk operations"], route_class=Door)


@router.post("", response_model=BulkDryRun | BulkOperation, responses={**_BEGUN, **_REFUSALS})
@needs(Scope.write)
async def create_bulk_operation(
    body: BulkOperationCreate, kernel: InKernel, caller: CurrentCaller, tx: WriteTx, key: OnceKey
) -> Response:
    """Do a verb to all runs or tasks that match now; at first only say how many these are (`dry_run`).

    The answer to a dry run has a token. Sent with it, or with `expect_count`, and with `"dry_run": false`, the same
    request begins (202) if still as many match. It is about what matched then, whatever changes later, and is done item
    by item by the housekeeping; each has one outcome, as if it had been asked for alone.
    """
    request = service.BulkRequest(body, _read_filter(body), caller, key, kernel.settings.bulk_token_seconds)
    return answer_queued(await service.create_bulk_operation(tx, request), ADDRESS)


@router.get("", response_model=BulkOperationPage)
@needs(Scope.read)
async def list_bulk_operations(request: Request, query: Annotated[PageQuery, Query()], tx: ReadTx) -> Response:
    """Return bulk operations, newest first.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await service.list_bulk_operations(tx, query), _operation_table)


@router.get("/{bulk_operation_id}", response_model=BulkOperation, responses=problems(NotFound))
@needs(Scope.read)
async def get_bulk_operation(bulk_operation_id: UUID, tx: ReadTx) -> Response:
    """Return one bulk operation, and how far it is."""
    return answer(await service.get_bulk_operation(tx, bulk_operation_id))


@router.get("/{bulk_operation_id}/outcomes", response_model=BulkOutcomePage, responses=problems(NotFound))
@needs(Scope.read)
async def list_bulk_outcomes(
    request: Request, bulk_operation_id: UUID, query: Annotated[PageQuery, Query()], tx: ReadTx
) -> Response:
    """Return how it went with each run or task that has its outcome, the oldest first.

    With `Accept: text/plain` the page is an aligned table for a terminal.
    """
    return answer_page(request, await service.list_bulk_outcomes(tx, bulk_operation_id, query), _outcome_table)


@router.post("/{bulk_operation_id}/cancel", response_model=BulkOperation, responses=problems(NotFound))
@needs(Scope.write)
async def cancel_bulk_operation(bulk_operation_id: UUID, tx: WriteTx, body: NoBody | None = None) -> Response:
    """End a bulk operation after the item under way; what is done stays done. One that is over stays as it is."""
    del body
    return answer(await service.cancel_bulk_operation(tx, bulk_operation_id))


def _read_filter(body: BulkOperationCreate) -> RunMatch | TaskMatch:
    """Return the filter as the resource has it. Raises ValidationFailed, at the places of the body."""
    kind = _MATCHES[body.resource]
    try:
        return kind.model_validate({} if body.filter is None else body.filter)
    except ValidationError as error:
        found = [_placed(dict(each), body.filter) for each in error.errors(include_url=False)]
    errors = explain_invalid(found, None, body.filter)
    raise ValidationFailed([_with_known(each, kind, found[place]) for place, each in enumerate(errors)])


def _placed(error: dict[str, Any], given: Any) -> dict[str, Any]:
    """Return an error at its place in the body: what was given alone stands in no list there."""
    path = error["loc"]
    if len(path) > 1 and not isinstance(given[path[0]], list):
        path = path[:1]
    return {**error, "loc": ("body", "filter", *path)}


def _with_known(error: FieldError, kind: type[RunMatch | TaskMatch], found: Mapping[str, Any]) -> FieldError:
    """Return an error of an unknown name with those that are known."""
    if found["type"] != "extra_forbidden":
        return error
    known = describe_known(str(found["loc"][-1]), list(kind.model_fields))
    return FieldError(pointer=error.pointer, detail=f"is not known here; {known}")


_COLUMNS = (
    "bulk_operation_id",
    "resource",
    "verb",
    "status",
    "total",
    "done",
    "refused",
    "created_by",
    "created_at",
)
_OUTCOME_COLUMNS = ("id", "status", "code")


def _operation_table(page: BulkOperationPage) -> str:
    return write_table(_COLUMNS, [[getattr(item, name) for name in _COLUMNS] for item in page.items]) + _more(page)


def _outcome_table(page: BulkOutcomePage) -> str:
    rows = [[getattr(item, name) for name in _OUTCOME_COLUMNS] for item in page.items]
    return write_table(_OUTCOME_COLUMNS, rows) + _more(page)


def _more(page: BulkOperationPage | BulkOutcomePage) -> str:
    return "" if page.next_cursor is None else f"\nmore: add cursor={page.next_cursor}\n"
