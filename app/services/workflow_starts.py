"""Starting runs of registered definitions."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.engine import Tx
from app.domain.json_texts import write_json
from app.errors import Refusal
from app.execution.session import Start, start_runs
from app.services import workflow_runs, workflows
from milepost.schemas.workflows import LATEST, WorkflowStart


@dataclass(frozen=True, slots=True)
class RunStart:
    """A request to start a run of a definition."""

    name: str
    version: str
    body: WorkflowStart
    caller: Caller
    key: IdempotencyKey | None = None


async def start_each(tx: Tx, starts: Sequence[RunStart]) -> Sequence[Reply | Refusal]:
    """Start the run of each request; what is not registered is refused."""
    return await answer_once(tx, starts, _start_each)


async def _start_each(tx: Tx, starts: Sequence[RunStart]) -> Sequence[Reply | Refusal]:
    return [await _start(tx, start) for start in starts]


async def _start(tx: Tx, start: RunStart) -> Reply | Refusal:
    row = await workflows.find_workflow(tx, start.name, None if start.version == LATEST else start.version)
    if row is None:
        return workflows.not_found(start.name, start.version)
    body = start.body
    new = Start(
        workflow=row,
        inputs=body.inputs,
        tags=body.tags,
        created_by=body.created_by,
        queue=body.queue,
        strict_templates=body.strict_templates,
        caller=start.caller,
    )
    (run_id,) = await start_runs(tx, [new])
    run = await workflow_runs.get_run(tx, run_id)
    return Reply(write_json(run), run_id)
