"""Doing executed runs again from one of their steps, as new runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from app.access.callers import Caller
from app.access.idempotency import IdempotencyKey, Reply, answer_once
from app.db.batching import batched
from app.db.engine import Tx
from app.domain.highway.compiler.plan import Region
from app.domain.highway.engine.state import SATISFIED, StepState
from app.domain.highway.language.paths import TOP
from app.domain.json_texts import read_json, write_json
from app.domain.moves import FINAL
from app.domain.run_changes import is_executed, move_refused
from app.errors import Refusal, ValidationFailed
from app.execution.session import Executions, ExecutionStart
from app.moves.runs import lock_run
from app.services.workflow_runs.read import get_run
from app.store import workflows as workflows_store
from milepost.schemas.steps import WorkflowRunRerun


@dataclass(frozen=True, slots=True)
class Rerun:
    """A request to do a run again from one of its steps."""

    workflow_run_id: UUID
    body: WorkflowRunRerun
    caller: Caller
    key: IdempotencyKey | None = None


async def _rerun_runs(tx: Tx, reruns: Sequence[Rerun]) -> Sequence[Reply | Refusal]:
    """Start a new run for each request, which takes over what the step it begins with does not follow from."""
    return await answer_once(tx, reruns, _rerun_new)


rerun_run = batched(_rerun_runs)
"""Do a run again from one of its steps, as a new run."""


async def _rerun_new(tx: Tx, reruns: Sequence[Rerun]) -> Sequence[Reply | Refusal]:
    await Executions(tx).lock({rerun.workflow_run_id for rerun in reruns})  # all at once, as their rank wants it
    return [await _try_rerun(tx, rerun) for rerun in reruns]


async def _try_rerun(tx: Tx, rerun: Rerun) -> Reply | Refusal:
    try:
        workflow_run_id = await _rerun(tx, rerun)
    except Refusal as refusal:
        return refusal
    run = await get_run(tx, workflow_run_id)
    return Reply(write_json(run), workflow_run_id)


async def _rerun(tx: Tx, rerun: Rerun) -> UUID:
    run = await lock_run(tx, rerun.workflow_run_id)
    if not is_executed(run):
        raise move_refused(run, "only runs that the service executes can be done again from a step")
    if run.status not in FINAL:
        raise move_refused(run, f"the run is {run.status}; it has to end first")
    executions = Executions(tx, rerun.caller)
    await executions.lock([run.workflow_run_id])
    old = executions.runs[run.workflow_run_id]
    await old.load_all(tx)
    kept = _kept_steps(old.plan.region(TOP), old.state.scopes.get(TOP, {}), rerun.body.from_step)
    workflow = await workflows_store.share_workflow(tx, run.workflow_name, run.workflow_version)
    if workflow is None:
        raise move_refused(run, f"version {run.workflow_version} of {run.workflow_name} is not registered any more")
    start = ExecutionStart(
        workflow,
        inputs=read_json(run.inputs),
        tags=run.tags,
        created_by=run.created_by,
        queue=run.queue,
        strict_templates=old.row.strict_templates,
        schedule_id=run.schedule_id,
        data_interval=run.data_interval,
        caller=rerun.caller,
        rerun_of=run.workflow_run_id,
        kept=kept,
    )
    (workflow_run_id,) = await executions.begin([start])
    await executions.write()
    return workflow_run_id


def _kept_steps(region: Region, states: dict[str, StepState], from_step: str) -> frozenset[str]:
    """Return the steps of the top level that do not follow from a step, and need not be done again."""
    if from_step not in region.scopes[TOP].steps:
        raise ValidationFailed.at("/from_step", "there is no such step on the top level of the run")
    again = {from_step, *(name for name, state in states.items() if name in region.steps and not _is_whole(state))}
    waiting = list(again)
    while waiting:
        following = set(region.dependents.get(waiting.pop(), ())) - again
        again |= following
        waiting += following
    ended = {name for name in states if "#" not in name}
    inside = {region.steps[name].scope.partition(".")[0] for name in again if region.steps[name].scope}
    return frozenset(ended - again - inside)


def _is_whole(state: StepState) -> bool:
    """Return whether a step went well with all that it began: forks and submitted activities end before that does."""
    is_left_open = state.facts.get("open") or state.facts.get("failed")
    return state.status in SATISFIED and not is_left_open and state.facts.get("submitted") in (None, "done")
