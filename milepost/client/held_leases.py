"""What this process claimed by the older calls, which name a task by its run alone."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from uuid import UUID

from milepost.schemas.tasks import ClaimedTask

HELD_MOST = 200_000
NO_TOKEN = "not-claimed-here"  # noqa: S105 - the service refuses it, and says where the task stands


@dataclass(frozen=True, slots=True)
class HeldTask:
    """A task, and the lease token that this process has for it."""

    task_id: UUID
    run_id: UUID
    lease_token: str = NO_TOKEN


class HeldLeases:
    """Lease tokens by run and by task, the newest ones; may be shared by threads."""

    def __init__(self) -> None:
        self._held: OrderedDict[UUID, HeldTask] = OrderedDict()
        self._lock = threading.Lock()

    def spawned(self, task_id: UUID, run_id: UUID) -> None:
        """Remember a task that was spawned here, unless it has been claimed here already."""
        with self._lock:
            self._held.setdefault(run_id, HeldTask(task_id, run_id))
            self._held.setdefault(task_id, HeldTask(task_id, run_id))
            self._forget_oldest()

    def claimed(self, task: ClaimedTask) -> None:
        """Remember a lease."""
        held = HeldTask(task.task_id, task.run_id, task.lease_token)
        with self._lock:
            for key in (task.run_id, task.task_id):
                self._held[key] = held
                self._held.move_to_end(key)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        while len(self._held) > HELD_MOST:
            self._held.popitem(last=False)

    def find(self, run_or_task_id: UUID | str) -> HeldTask:
        """Return what is known of a run or task; of an unknown one its id alone, which the service then judges."""
        key = UUID(str(run_or_task_id))
        with self._lock:
            return self._held.get(key) or HeldTask(key, key)
