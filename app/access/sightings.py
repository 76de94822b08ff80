"""Which workers were seen: noted in memory, stored now and then."""

from app.db.engine import Tx
from app.store import queues as queues_store


class Sightings:
    """Workers that have claimed since the last time they were stored."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str]] = set()

    def note(self, queue: str, worker_id: str) -> None:
        """Remember that a worker has claimed from a queue."""
        self._seen.add((queue, worker_id))

    def take(self) -> list[tuple[str, str]]:
        """Return who was seen since the last time, as (queue, worker id)."""
        seen, self._seen = self._seen, set()
        return sorted(seen)


async def record_sightings(tx: Tx, sightings: Sightings) -> int:
    """Store which workers have claimed since the last time; how many they were."""
    seen = sightings.take()
    if seen:
        await queues_store.see_workers(tx, seen)
    return len(seen)


async def forget_workers(tx: Tx, _most: int) -> int:
    """Forget workers that have not been seen for a day; how many they were."""
    return await queues_store.forget_workers(tx)
