"""When schedules fire: the slots of a cron expression between a start and an end."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from app.domain.cron import Cron, firings_after, firings_before, first_firing, next_firing, parse_cron, previous_firing
from app.domain.records import ScheduleRow

RESOLUTION = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """When a schedule fires: the slots of a cron expression, from the first with a whole interval up to the end."""

    cron: Cron
    timezone: str
    start_at: datetime
    end_at: datetime | None

    def first(self) -> datetime | None:
        """Return its first slot."""
        return self._unless_over(first_firing(self.cron, self.timezone, self.start_at))

    def next_after(self, moment: datetime) -> datetime | None:
        """Return its first slot after ``moment``."""
        first = first_firing(self.cron, self.timezone, self.start_at)
        if first is not None and first <= moment:
            first = next_firing(self.cron, self.timezone, moment)
        return self._unless_over(first)

    def slots_after(self, moment: datetime) -> Iterator[datetime]:
        """Yield its slots after ``moment``, in order."""
        slot = self.next_after(moment)
        return iter(()) if slot is None else self._slots_from(slot)

    def due_from(self, slot: datetime, now: datetime) -> Iterator[datetime]:
        """Yield its slots that are due at ``now`` from ``slot`` on, which is one of them, in order."""
        return takewhile(lambda firing: firing <= now, self._slots_from(slot))

    def due_back_to(self, slot: datetime, now: datetime) -> Iterator[datetime]:
        """Yield its slots that are due at ``now`` back to ``slot``, which is one of them, the newest first."""
        until = now if self.end_at is None else min(now, self.end_at)
        firings = firings_before(self.cron, self.timezone, until + RESOLUTION)
        return takewhile(lambda firing: firing >= slot, firings)

    def interval(self, slot: datetime) -> tuple[datetime, datetime]:
        """Return the time that the run of ``slot`` is about: from the slot before it to itself."""
        return previous_firing(self.cron, self.timezone, slot) or slot, slot

    def _slots_from(self, slot: datetime) -> Iterator[datetime]:
        firings = firings_after(self.cron, self.timezone, slot - RESOLUTION)
        return takewhile(lambda firing: self._unless_over(firing) is not None, firings)

    def _unless_over(self, slot: datetime | None) -> datetime | None:
        return None if slot is None or (self.end_at is not None and slot > self.end_at) else slot


def rhythm_of(schedule: ScheduleRow) -> Rhythm:
    """Return when a schedule fires."""
    return Rhythm(parse_cron(schedule.cron), schedule.timezone, schedule.start_at, schedule.end_at)
