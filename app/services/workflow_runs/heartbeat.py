"""Saying that the processes behind workflow runs are alive."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from pydantic import MISSING

from app.db.batching import batched
from app.db.engine import Parameters, Tx
from app.domain.records import RunRow
from app.domain.reported_progress import ReportedChange, read_report
from app.domain.run_changes import allowed_for
from app.domain.shown_runs import show_run
from app.errors import HeartbeatNotDeclared, Refusal
from app.moves.runs import run_not_found
from app.store import run_heartbeats as beats_store
from app.store import workflow_runs as runs_store
from app.store.reported_progress import report_row
from milepost.schemas.workflow_runs import RunBeat, RunHeartbeat, RunStatus


class Beat(NamedTuple):
    """A heartbeat of a run."""

    workflow_run_id: UUID
    body: RunBeat


async def _beat_runs(tx: Tx, beats: Sequence[Beat]) -> Sequence[RunHeartbeat | Refusal]:
    """Set the clocks of running runs back, keep what is reported, and return where each run stands."""
    tx.commit_each()
    workflow_run_ids = [beat.workflow_run_id for beat in beats]
    ids = list(dict.fromkeys(workflow_run_ids))
    beaten = {row.workflow_run_id: row for row in await beats_store.beat_runs(tx, _beat_rows(beats))}
    others = [workflow_run_id for workflow_run_id in ids if workflow_run_id not in beaten]
    still = {row.workflow_run_id: row for row in await runs_store.get_runs(tx, others)} if others else {}
    return [
        _heartbeat_of(beaten.get(workflow_run_id) or still.get(workflow_run_id), workflow_run_id)
        for workflow_run_id in workflow_run_ids
    ]


heartbeat_run = batched(_beat_runs)
"""Set the clock of a running run back, and return where it stands. Raises NotFound, HeartbeatNotDeclared."""


def _beat_rows(beats: Sequence[Beat]) -> list[Parameters]:
    """Return one row for each run: what is reported together is merged in the order in which it came."""
    changes: dict[UUID, ReportedChange | None] = {}
    for workflow_run_id, body in beats:
        before = changes.setdefault(workflow_run_id, None)
        if body.reported_progress is not MISSING:
            told = read_report(body.reported_progress)
            changes[workflow_run_id] = told if before is None else before.then(told)
    return [{"workflow_run_id": run_id, **report_row(change)} for run_id, change in changes.items()]


def _heartbeat_of(row: beats_store.BeatenRun | RunRow | None, workflow_run_id: UUID) -> RunHeartbeat | Refusal:
    if row is None:
        return run_not_found(workflow_run_id)
    if row.heartbeat_seconds is None:
        return HeartbeatNotDeclared(
            "the run was created without heartbeat_seconds", current=show_run(row), allowed=allowed_for(row)
        )
    return RunHeartbeat.model_construct(
        status=RunStatus(row.status),
        cancel_requested=row.cancel_requested_at is not None,
        heartbeat_expires_at=row.heartbeat_expires_at,
    )
