"""Runs of schedules that were created without room for them to begin: they begin by the housekeeping."""

from collections.abc import Sequence
from uuid import UUID

from app.access.callers import HOUSEKEEPING
from app.db.engine import Tx
from app.domain.json_texts import read_json
from app.domain.records import RunRow
from app.domain.run_changes import end_run
from app.execution.session import Executions, ExecutionStart
from app.moves.runs import change_of
from app.store import planned_runs as store
from app.store import schedules as schedules_store
from app.store import workflow_runs as runs_store
from app.store import workflows as workflows_store
from milepost.schemas.workflow_runs import HistoryVerb, RunStatus

_NO_LIMIT = 1_000_000


async def find_planned_runs(tx: Tx, most: int) -> Sequence[UUID]:
    """Return up to ``most`` pending runs of schedules for which there is room."""
    ids = await store.list_planning_schedules(tx, most)
    found: list[UUID] = []
    for schedule_id, room in (await _find_room(tx, ids) if ids else {}).items():
        found += await store.find_planned_runs(tx, schedule_id, max(0, min(room, most - len(found))))
    return found


async def _find_room(tx: Tx, schedule_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return how many more runs of each schedule may begin; no others do until the transaction ends.

    The schedule is locked, so that no more than its `max_active_runs` are running; of one that was deleted all begin.
    """
    schedules = {row.schedule_id: row for row in await schedules_store.lock_schedules(tx, schedule_ids)}
    running = await store.count_running_runs(tx, schedule_ids)
    return {
        schedule_id: schedules[schedule_id].max_active_runs - running.get(schedule_id, 0)
        if schedule_id in schedules
        else _NO_LIMIT
        for schedule_id in schedule_ids
    }


async def begin_planned_runs(tx: Tx, workflow_run_ids: Sequence[UUID]) -> int:
    """Let those of the pending runs of schedules begin for which there is room; how many they were."""
    room = await _find_room(tx, await store.list_schedules_of_runs(tx, workflow_run_ids))
    executions = Executions(tx)
    done = 0
    for run in await store.lock_planned_runs(tx, workflow_run_ids):
        if run.schedule_id is not None and executions.room > 0 and room[run.schedule_id] > 0:
            room[run.schedule_id] -= 1
            await _begin(executions, run)
            done += 1
    await executions.write()
    return done


async def _begin(executions: Executions, run: RunRow) -> None:
    """Let one pending run begin; one whose definition has been deleted has failed."""
    tx = executions.tx
    workflow = await workflows_store.share_workflow(tx, run.workflow_name, run.workflow_version)
    if workflow is None:
        error = {"name": "WorkflowDeleted", "message": "the definition was deleted before the run began"}
        failed = end_run(run, RunStatus.failed, run.now, run.now)._replace(error=error)
        await runs_store.update_runs(tx, [change_of(run, failed, HOUSEKEEPING, HistoryVerb.execute)])
        return
    start = ExecutionStart(
        workflow,
        inputs=read_json(run.inputs),
        tags=run.tags,
        created_by=run.created_by,
        queue=run.queue,
        schedule_id=run.schedule_id,
        data_interval=run.data_interval,
    )
    await executions.begin_planned(start, run.workflow_run_id, run.now)
