"""Calls about schedules."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from milepost.client.calls import Call, Operation, Paging, change, create, delete, get, post
from milepost.client.encoding import write_body, write_path
from milepost.client.fields import Id, PageFields, Time
from milepost.schemas.schedules import (
    BackfilledFirings,
    Firings,
    Overlap,
    Schedule,
    SchedulePage,
    ScheduleSlotPage,
)
from milepost.schemas.why import Explanation

SCHEDULES = "/v1/schedules"
SCHEDULE = SCHEDULES + "/{}"


class ScheduleSettings(TypedDict, total=False):
    """What is set on a schedule; None is null."""

    workflow_version: str | None
    timezone: str
    end_at: Time | None
    catchup: bool
    max_active_runs: int
    overlap: Overlap | str
    paused: bool
    queue: str
    inputs: Any
    tags: Mapping[str, Any]
    created_by: str | None


class ScheduleChangeFields(ScheduleSettings, total=False):
    """What may be changed on a schedule at any time."""

    cron: str
    start_at: Time


class ScheduleFields(ScheduleSettings, total=False):
    """What a schedule may be made with, beside its workflow and its cron expression."""

    start_at: Time | None


class ScheduleQueryFields(PageFields, total=False):
    """Which schedules."""

    workflow_name: str | None
    paused: bool | None


class ScheduleCalls:
    """Every operation on schedules."""

    @Operation
    def create_schedule(
        self,
        workflow_name: str,
        cron: str,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[ScheduleFields],
    ) -> Call[Schedule]:
        """Make a schedule that creates runs of a registered definition."""
        content = write_body({"workflow_name": workflow_name, "cron": cron, **fields})
        return create(SCHEDULES, Schedule, content, idempotency_key)

    @Operation
    def list_schedules(self, **query: Unpack[ScheduleQueryFields]) -> Call[SchedulePage]:
        """List schedules, newest first."""
        return get(SCHEDULES, SchedulePage, **query)

    @Operation
    def get_schedule(self, schedule_id: Id) -> Call[Schedule]:
        """Return one schedule."""
        return get(write_path(SCHEDULE, schedule_id), Schedule)

    @Operation
    def explain_schedule(self, schedule_id: Id) -> Call[Explanation]:
        """Return why a schedule fires or does not, and the call that would change it."""
        return get(write_path(SCHEDULE + "/why", schedule_id), Explanation)

    @Operation
    def update_schedule(
        self, schedule_id: Id, *, if_match: int | str | None = None, **changes: Unpack[ScheduleChangeFields]
    ) -> Call[Schedule]:
        """Change a schedule; what is not given stays, tags are merged.

        ``if_match`` is a revision: the change holds only for that one.
        """
        return change("PATCH", write_path(SCHEDULE, schedule_id), Schedule, changes, if_match)

    @Operation
    def delete_schedule(self, schedule_id: Id, *, if_match: int | str | None = None) -> Call[None]:
        """Delete a schedule; its runs stay."""
        return delete(write_path(SCHEDULE, schedule_id), if_match)

    @Operation
    def pause_schedule(self, schedule_id: Id) -> Call[Schedule]:
        """Pause a schedule: it fires nothing until it is resumed."""
        return post(write_path(SCHEDULE + "/pause", schedule_id), Schedule, repeatable=True)

    @Operation
    def resume_schedule(self, schedule_id: Id) -> Call[Schedule]:
        """Let a paused schedule go on."""
        return post(write_path(SCHEDULE + "/resume", schedule_id), Schedule, repeatable=True)

    @Operation
    def list_next_firings(
        self, schedule_id: Id, *, count: int | None = None, after: Time | None = None
    ) -> Call[Firings]:
        """List the next slots of a schedule: five unless ``count`` says otherwise, from now unless ``after`` does."""
        return get(write_path(SCHEDULE + "/next", schedule_id), Firings, count=count, after=after)

    @Operation
    def backfill_schedule(
        self, schedule_id: Id, start: Time, end: Time, *, idempotency_key: str | None = None
    ) -> Call[BackfilledFirings]:
        """Create a run for each firing from ``start`` on and before ``end`` that has none."""
        content = write_body({"start": start, "end": end})
        return create(write_path(SCHEDULE + "/backfill", schedule_id), BackfilledFirings, content, idempotency_key)

    @Operation
    def list_schedule_slots(self, schedule_id: Id, **query: Unpack[PageFields]) -> Call[ScheduleSlotPage]:
        """List the slots that have been fired, missed or skipped, newest first."""
        return get(write_path(SCHEDULE + "/slots", schedule_id), ScheduleSlotPage, **query)

    iterate_schedules = Paging(list_schedules)
    iterate_schedule_slots = Paging(list_schedule_slots)
