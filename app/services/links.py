"""Links of workflow runs: where a person finds more."""

from typing import NamedTuple
from uuid import UUID

from app.access.callers import Caller
from app.db.engine import Tx
from app.domain import run_changes
from app.domain.preconditions import Precondition
from app.domain.records import RunRow
from app.moves.runs import change_of, check_precondition, lock_run
from app.store import workflow_runs as runs_store
from milepost.schemas.links import Link, LinkPut
from milepost.schemas.workflow_runs import HistoryVerb


class PutLink(NamedTuple):
    """A link that was put, and whether there was none of its name before."""

    link: Link
    is_new: bool


async def put_link(
    tx: Tx, workflow_run_id: UUID, name: str, body: LinkPut, caller: Caller, precondition: Precondition | None
) -> PutLink:
    """Put a link of a run; the same again changes nothing. Raises NotFound, PreconditionFailed, TooManyLinks."""
    run = await lock_run(tx, workflow_run_id)
    check_precondition(run, precondition)
    after = run_changes.put_link(run, name, body.model_dump(), run.now)
    await _store(tx, run, after, caller)
    return PutLink(
        Link(name=name, url=body.url, title=body.title, revision=after.revision), name not in (run.links or {})
    )


async def delete_link(
    tx: Tx, workflow_run_id: UUID, name: str, caller: Caller, precondition: Precondition | None
) -> None:
    """Delete a link of a run. Raises NotFound, PreconditionFailed."""
    run = await lock_run(tx, workflow_run_id)
    check_precondition(run, precondition)
    await _store(tx, run, run_changes.delete_link(run, name, run.now), caller)


async def _store(tx: Tx, before: RunRow, after: RunRow, caller: Caller) -> None:
    if after is not before:
        await runs_store.update_runs(tx, [change_of(before, after, caller, HistoryVerb.update)])
