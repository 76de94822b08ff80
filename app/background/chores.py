"""The chores of the housekeeping."""

from datetime import timedelta

from app.background.housekeeping import Chore
from app.db.engine import Tx
from app.services.advancing import (
    advance_due_steps,
    deliver_events,
    end_runs_past_deadline,
    expire_step_leases,
)
from app.services.api_keys import keep_key_of_environment
from app.services.claims import record_sightings
from app.services.events import wake_due_tasks
from app.services.idempotency import forget_old_keys
from app.services.leases import expire_leases
from app.services.queues import forget_workers, prune_tasks
from app.services.run_verbs import finish_cancelled_runs
from app.services.schedule_firings import fire_schedules
from app.services.sightings import Sightings
from app.services.tasks import fail_limited_tasks
from app.services.workflow_runs import end_overdue_runs
from app.settings import Settings

PRUNE_PAUSE_SECONDS = 60.0
SIGHTINGS_PAUSE_SECONDS = 2.0
FIRST_KEY_PAUSE_SECONDS = 5.0


def make_chores(settings: Settings, sightings: Sightings) -> list[Chore]:
    """Return every chore, with the pauses that ``settings`` ask for."""
    keep_keys = timedelta(hours=settings.idempotency_hours)
    keep_tasks_seconds = timedelta(days=settings.task_retention_days).total_seconds()

    async def make_first_key(tx: Tx, _most: int) -> int:
        """Make the API key that the environment gives, where that failed at the start."""
        if settings.api_key:
            await keep_key_of_environment(tx, settings.api_key.get_secret_value())
        return 0

    async def prune_idempotency_keys(tx: Tx, most: int) -> int:
        """Forget answers to creating requests that are older than their repeats can be."""
        return await forget_old_keys(tx, keep_keys, most)

    async def prune_ended_tasks(tx: Tx, most: int) -> int:
        """Delete ended tasks of no run that are older than their queue keeps them."""
        return await prune_tasks(tx, keep_tasks_seconds, most)

    async def store_sightings(tx: Tx, _most: int) -> int:
        """Store which workers have claimed since the last round."""
        return await record_sightings(tx, sightings)

    pause = settings.housekeeping_seconds
    return [
        Chore("end_overdue_runs", end_overdue_runs, pause),
        Chore("finish_cancelled_runs", finish_cancelled_runs, pause),
        Chore("expire_leases", expire_leases, pause),
        Chore("expire_step_leases", expire_step_leases, pause),
        Chore("advance_due_steps", advance_due_steps, pause),
        Chore("end_runs_past_deadline", end_runs_past_deadline, pause),
        Chore("deliver_events", deliver_events, pause),
        Chore("fire_schedules", fire_schedules, pause),
        Chore("wake_due_tasks", wake_due_tasks, pause),
        Chore("fail_limited_tasks", fail_limited_tasks, pause),
        Chore("store_sightings", store_sightings, SIGHTINGS_PAUSE_SECONDS),
        Chore("forget_workers", forget_workers, PRUNE_PAUSE_SECONDS),
        Chore("make_first_key", make_first_key, FIRST_KEY_PAUSE_SECONDS),
        Chore("prune_idempotency_keys", prune_idempotency_keys, PRUNE_PAUSE_SECONDS),
        Chore("prune_ended_tasks", prune_ended_tasks, PRUNE_PAUSE_SECONDS),
    ]
