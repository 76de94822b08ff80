"""Calls about bulk operations: one verb for all runs or tasks that match a filter."""

from collections.abc import Mapping
from typing import Any, Unpack

from milepost.client.calls import Call, Operation, Paging, create, get, post
from milepost.client.encoding import write_body, write_path
from milepost.client.fields import Id, PageFields
from milepost.schemas.bulk_operations import (
    BulkDryRun,
    BulkOperation,
    BulkOperationPage,
    BulkOutcomePage,
    BulkResource,
    BulkVerb,
)

BULK_OPERATIONS = "/v1/bulk-operations"
BULK_OPERATION = BULK_OPERATIONS + "/{}"


class BulkOperationCalls:
    """Every operation on bulk operations."""

    @Operation
    def create_bulk_operation(
        self,
        resource: BulkResource | str,
        verb: BulkVerb | str,
        filter: Mapping[str, Any],  # noqa: A002 - the name that the API has
        *,
        reason: str | None = None,
        dry_run: bool = True,
        token: str | None = None,
        expect_count: int | None = None,
        idempotency_key: str | None = None,
    ) -> Call[BulkDryRun | BulkOperation]:
        """Say how many match, as `BulkDryRun`; with ``dry_run=False`` do the verb to each, as `BulkOperation`.

        ``filter`` has the filters of the list, each a value or several. ``token`` is from the dry run of the same;
        without one ``expect_count`` says how many must match.
        """
        content = write_body(
            {"resource": resource, "verb": verb, "filter": filter, "dry_run": dry_run},
            reason=reason,
            token=token,
            expect_count=expect_count,
        )
        call: Call[Any] = create(BULK_OPERATIONS, BulkDryRun if dry_run else BulkOperation, content, idempotency_key)
        return call

    @Operation
    def list_bulk_operations(self, **query: Unpack[PageFields]) -> Call[BulkOperationPage]:
        """List bulk operations, newest first."""
        return get(BULK_OPERATIONS, BulkOperationPage, **query)

    @Operation
    def get_bulk_operation(self, bulk_operation_id: Id) -> Call[BulkOperation]:
        """Return one bulk operation, and how far it is."""
        return get(write_path(BULK_OPERATION, bulk_operation_id), BulkOperation)

    @Operation
    def list_bulk_outcomes(self, bulk_operation_id: Id, **query: Unpack[PageFields]) -> Call[BulkOutcomePage]:
        """List how it went with each run or task that has its outcome, the oldest first."""
        return get(write_path(BULK_OPERATION + "/outcomes", bulk_operation_id), BulkOutcomePage, **query)

    @Operation
    def cancel_bulk_operation(self, bulk_operation_id: Id) -> Call[BulkOperation]:
        """End a bulk operation; what is done stays done."""
        return post(write_path(BULK_OPERATION + "/cancel", bulk_operation_id), BulkOperation, repeatable=True)

    iterate_bulk_operations = Paging(list_bulk_operations)
    iterate_bulk_outcomes = Paging(list_bulk_outcomes)
