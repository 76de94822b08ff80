"""The chores of the housekeeping."""

from datetime import timedelta
from typing import Any

from app.access.feed import forget_old_changes
from app.access.idempotency import forget_old_keys
from app.access.sightings import Sightings, forget_workers, record_sightings
from app.background.rounds import Chore, Job, Retries, Sweep
from app.db.engine import Tx
from app.execution.cancelled_runs import find_cancelled_runs, finish_cancelled_runs
from app.execution.deliveries import deliver_events, find_deliveries, give_up_delivery, read_delivery
from app.execution.dropped_children import cancel_dropped_children
from app.execution.due_runs import RUNS_PER_ROUND, advance_due_steps, end_runs_past_deadline, expire_step_leases
from app.execution.firings import fire_schedules
from app.execution.giving_up import give_up_dropped_children, give_up_run, give_up_task, pause_monitor, pause_schedule
from app.execution.planned_runs import begin_planned_runs, find_planned_runs
from app.moves.attempts import expire_leases
from app.moves.event_waits import wake_due_tasks
from app.moves.monitors import MONITORS_PER_ROUND, watch_monitors
from app.moves.runs import end_overdue_runs, mark_late_runs
from app.moves.tasks import cancel_limited_tasks
from app.services.bulk_operations import do_bulk_items, give_up_bulk_item
from app.settings import Settings
from app.store.bulk_operations import CHORE as BULK
from app.store.bulk_operations import delete_old_operations, find_items
from app.store.bulk_tokens import delete_expired_tokens
from app.store.dropped_children import find_runs_with_dropped_children as find_dropping
from app.store.due_executions import find_due_runs, find_expired_work, find_runs_past_deadline
from app.store.due_tasks import find_due_tasks, find_expired_tasks, find_limited_tasks
from app.store.late_runs import find_late_runs
from app.store.monitors import find_due_monitors
from app.store.run_ends import find_overdue_runs
from app.store.schedules import find_due_schedules
from app.store.tasks import delete_old_tasks

PRUNE_PAUSE_SECONDS = 60.0
FORGET_PAUSE_SECONDS = 10.0
SIGHTINGS_PAUSE_SECONDS = 1.0
RETRY_PAUSE_SECONDS = 0.5
MONITORS_PAUSE_SECONDS = 0.5
"""It is told within two seconds that a monitor is late, whatever the pause of the others is."""
BULK_STEP = 100
"""How many items of a bulk operation are done before another one has its turn."""


def make_chores(settings: Settings, sightings: Sightings) -> list[Job]:
    """Return every chore, with the pauses that ``settings`` ask for."""
    keep_keys = timedelta(hours=settings.idempotency_hours)
    keep_tasks_seconds = timedelta(days=settings.task_retention_days).total_seconds()

    async def prune_idempotency_keys(tx: Tx, most: int) -> int:
        """Forget answers to creating requests that are older than their repeats can be."""
        return await forget_old_keys(tx, keep_keys, most)

    async def prune_ended_tasks(tx: Tx, most: int) -> int:
        """Delete ended tasks of no run that are older than their queue keeps them."""
        return await delete_old_tasks(tx, keep_tasks_seconds, most)

    async def prune_bulk_operations(tx: Tx, most: int) -> int:
        """Forget bulk operations that have ended as long ago as ended tasks of no run are kept."""
        return await delete_old_operations(tx, keep_tasks_seconds, most)

    async def store_sightings(tx: Tx, _most: int) -> int:
        """Store which workers have claimed since the last round."""
        return await record_sightings(tx, sightings)

    async def forget_changes(tx: Tx, most: int) -> int:
        """Forget changes that are older than they are kept for late readers."""
        return await forget_old_changes(tx, settings.changes_retention_seconds, most)

    pause = settings.housekeeping_seconds
    chores = _make_chores(pause)
    return [
        *chores,
        Retries(chores, min(pause, RETRY_PAUSE_SECONDS)),
        Sweep("store_sightings", store_sightings, SIGHTINGS_PAUSE_SECONDS),
        Sweep("forget_workers", forget_workers, PRUNE_PAUSE_SECONDS),
        Sweep("forget_changes", forget_changes, FORGET_PAUSE_SECONDS),
        Sweep("prune_idempotency_keys", prune_idempotency_keys, PRUNE_PAUSE_SECONDS),
        Sweep("prune_ended_tasks", prune_ended_tasks, PRUNE_PAUSE_SECONDS),
        Sweep("prune_bulk_operations", prune_bulk_operations, PRUNE_PAUSE_SECONDS),
        Sweep("prune_bulk_tokens", delete_expired_tokens, PRUNE_PAUSE_SECONDS),
    ]


def _make_chores(pause: float) -> list[Chore[Any]]:
    """Return the chores that are about rows."""
    runs, monitors = RUNS_PER_ROUND, MONITORS_PER_ROUND
    return [
        Chore("end_overdue_runs", find_overdue_runs, end_overdue_runs, give_up_run, pause),
        Chore("mark_late_runs", find_late_runs, mark_late_runs, give_up_run, pause),
        Chore("finish_cancelled_runs", find_cancelled_runs, finish_cancelled_runs, give_up_run, pause),
        Chore("cancel_dropped_children", find_dropping, cancel_dropped_children, give_up_dropped_children, pause, runs),
        Chore("expire_leases", find_expired_tasks, expire_leases, give_up_task, pause),
        Chore("expire_step_leases", find_expired_work, expire_step_leases, give_up_task, pause),
        Chore("advance_due_steps", find_due_runs, advance_due_steps, give_up_run, pause, runs),
        Chore("begin_planned_runs", find_planned_runs, begin_planned_runs, give_up_run, pause, runs),
        Chore("end_runs_past_deadline", find_runs_past_deadline, end_runs_past_deadline, give_up_run, pause, runs),
        Chore("deliver_events", find_deliveries, deliver_events, give_up_delivery, pause, runs, read_delivery),
        Chore("fire_schedules", find_due_schedules, fire_schedules, pause_schedule, pause),
        Chore(
            "watch_monitors",
            find_due_monitors,
            watch_monitors,
            pause_monitor,
            min(pause, MONITORS_PAUSE_SECONDS),
            monitors,
            str,
        ),
        Chore("wake_due_tasks", find_due_tasks, wake_due_tasks, give_up_task, pause),
        Chore(BULK, find_items, do_bulk_items, give_up_bulk_item, pause, BULK_STEP, int, each_alone=True),
        Chore("cancel_limited_tasks", find_limited_tasks, cancel_limited_tasks, give_up_task, pause),
    ]
