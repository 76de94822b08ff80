"""The chores of the housekeeping."""

from datetime import timedelta

from app.background.housekeeping import Chore
from app.db.engine import Tx
from app.services.idempotency import forget_old_keys
from app.services.workflow_runs import end_overdue_runs
from app.settings import Settings

PRUNE_PAUSE_SECONDS = 60.0


def make_chores(settings: Settings) -> list[Chore]:
    """Return every chore, with the pauses that ``settings`` ask for."""
    keep_keys = timedelta(hours=settings.idempotency_hours)

    async def prune_idempotency_keys(tx: Tx, most: int) -> int:
        return await forget_old_keys(tx, keep_keys, most)

    return [
        Chore("end_overdue_runs", end_overdue_runs, settings.housekeeping_seconds),
        Chore("prune_idempotency_keys", prune_idempotency_keys, PRUNE_PAUSE_SECONDS),
    ]
