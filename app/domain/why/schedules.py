"""Why a schedule fires, or does not: one rule a code."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.domain.records import ScheduleRow
from app.domain.why.reasons import Rule, Saying, call
from app.domain.why.texts import at, many
from milepost.schemas.why import WhyCode


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """All that is known of a schedule that is asked about."""

    schedule: ScheduleRow
    active_runs: int
    """Open runs of it."""

    @property
    def status(self) -> str:
        """Return where it stands, in a word."""
        if self.schedule.paused:
            return "paused"
        return "active" if self.schedule.next_fire_at is not None else "ended"


def _held_by_schedule(view: ScheduleView) -> Iterator[Saying]:
    schedule, most = view.schedule, view.schedule.max_active_runs
    subject = {"schedule_id": schedule.schedule_id, "count": view.active_runs}
    if schedule.paused:
        fix = call("POST", "schedules", schedule.schedule_id, "resume")
        why = f": {schedule.paused_reason}" if schedule.paused_reason else ""
        yield Saying(f"the schedule is paused{why}", subject, schedule.updated_at, fix=fix)
    if schedule.next_fire_at is not None and view.active_runs >= most:
        fix = call("PATCH", "schedules", schedule.schedule_id, body={"max_active_runs": view.active_runs + 1})
        text = f"{many(view.active_runs, 'run')} of it {'is' if view.active_runs == 1 else 'are'} open; {most} may be"
        yield Saying(text, subject, fix=fix)


def _not_due_yet(view: ScheduleView) -> Iterator[Saying]:
    due = view.schedule.next_fire_at
    if due is not None and not view.schedule.paused and due > view.schedule.now:
        subject = {"schedule_id": view.schedule.schedule_id}
        yield Saying(f"it fires next at {at(due)}", subject, view.schedule.last_fire_at, due)


def _claimable(view: ScheduleView) -> Iterator[Saying]:
    due, schedule = view.schedule.next_fire_at, view.schedule
    is_held = schedule.paused or view.active_runs >= schedule.max_active_runs
    if due is not None and due <= schedule.now and not is_held:
        yield Saying("it is due, and fires in a moment", {"schedule_id": schedule.schedule_id}, due)


def _ended(view: ScheduleView) -> Iterator[Saying]:
    if view.schedule.next_fire_at is None:
        subject = {"schedule_id": view.schedule.schedule_id}
        yield Saying("it has ended: no firing is to come", subject, view.schedule.end_at)


SCHEDULE_RULES: Mapping[WhyCode, Rule[ScheduleView]] = {
    WhyCode.held_by_schedule: _held_by_schedule,
    WhyCode.not_due_yet: _not_due_yet,
    WhyCode.claimable: _claimable,
    WhyCode.ended: _ended,
}
"""What may be said of a schedule."""
