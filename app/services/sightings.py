"""Which workers were seen: noted in memory, stored now and then."""


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
