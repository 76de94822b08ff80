"""Which workers were seen: noted in memory, stored now and then."""

from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from app.db.engine import Parameters, Tx
from app.store import workers as workers_store


class Sighting(NamedTuple):
    """A claim that a worker has begun."""

    task_names: Sequence[str] | None
    """Tasks that it is for; None: any."""
    at: float
    """By the clock of `monotonic`."""


class Sightings:
    """Workers that have claimed since the last time they were stored."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], Sighting] = {}

    def note(self, queue: str, worker_id: str, task_names: Sequence[str] | None) -> None:
        """Remember that a worker has begun to claim from a queue."""
        self._seen[queue, worker_id] = Sighting(task_names, monotonic())

    def forget(self, queue: str, worker_id: str) -> None:
        """Leave out a worker that has signed off."""
        self._seen.pop((queue, worker_id), None)

    def take(self) -> list[Parameters]:
        """Return who was seen since the last time, in the order of their keys, as it is stored."""
        seen, self._seen = self._seen, {}
        now = monotonic()
        return [
            {"queue": queue, "worker_id": worker_id, "task_names": sighting.task_names, "age": now - sighting.at}
            for (queue, worker_id), sighting in sorted(seen.items())
        ]


async def record_sightings(tx: Tx, sightings: Sightings) -> int:
    """Store which workers have claimed since the last time; how many they were."""
    seen = sightings.take()
    if seen:
        await workers_store.see_workers(tx, seen)
    return len(seen)


async def forget_workers(tx: Tx, _most: int) -> int:
    """Forget workers that have not been seen for a day; how many they were."""
    return await workers_store.forget_workers(tx)
