"""Schedules through both clients, against a running service."""

from datetime import UTC, datetime, timedelta
from typing import get_type_hints
from uuid import uuid4

import pytest

from milepost.client import AsyncClient, Client, NotFound, PreconditionFailed, ValidationFailed
from milepost.client.schedules import ScheduleChangeFields, ScheduleFields, ScheduleQueryFields
from milepost.schemas.schedules import Overlap, Schedule, ScheduleCreate, ScheduleQuery, ScheduleUpdate, SlotOutcome
from tests.api.test_schedules import document

NEW_YEAR = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture
def name(client: Client) -> str:
    """Return the name of a definition that no other test uses."""
    name = f"w{uuid4().hex}"
    client.register_workflow(document(name=name))
    return name


class TestArguments:
    def test_keyword_arguments_are_the_fields_of_the_wire(self) -> None:
        assert {"workflow_name", "cron", *get_type_hints(ScheduleFields)} == set(ScheduleCreate.model_fields)
        assert set(get_type_hints(ScheduleChangeFields)) == set(ScheduleUpdate.model_fields)
        assert set(get_type_hints(ScheduleQueryFields)) == set(ScheduleQuery.model_fields)


class TestSchedules:
    def test_life_of_a_schedule(self, client: Client, name: str) -> None:
        schedule = client.create_schedule(name, "0 2 * * *", start_at=NEW_YEAR, overlap=Overlap.skip)
        assert isinstance(schedule, Schedule)
        assert client.get_schedule(schedule.schedule_id) == schedule
        assert list(client.iterate_schedules(workflow_name=name, paused=False)) == [schedule]
        changed = client.update_schedule(schedule.schedule_id, if_match=schedule.revision, tags={"team": "data"})
        assert (changed.tags, changed.revision) == ({"team": "data"}, 2)
        with pytest.raises(PreconditionFailed):
            client.update_schedule(schedule.schedule_id, if_match=1, queue="q")
        assert client.pause_schedule(schedule.schedule_id).paused
        assert not client.resume_schedule(schedule.schedule_id).paused
        client.delete_schedule(schedule.schedule_id)
        with pytest.raises(NotFound):
            client.get_schedule(schedule.schedule_id)

    def test_same_key_makes_one(self, client: Client, name: str) -> None:
        key = uuid4().hex
        first, second = (client.create_schedule(name, "0 2 * * *", idempotency_key=key) for _ in range(2))
        assert first == second

    def test_bad_cron_is_refused_at_its_place(self, client: Client, name: str) -> None:
        with pytest.raises(ValidationFailed) as caught:
            client.create_schedule(name, "0 2 * *")
        assert [error.pointer for error in caught.value.errors] == ["/cron"]


class TestSlots:
    def test_next_firings_are_told(self, client: Client, name: str) -> None:
        schedule = client.create_schedule(name, "0 2 * * *", start_at=NEW_YEAR)
        (first,) = client.list_next_firings(schedule.schedule_id, count=1, after=NEW_YEAR).items
        assert first.fire_at == NEW_YEAR + timedelta(days=1, hours=2)
        assert first.data_interval_start == NEW_YEAR + timedelta(hours=2)

    async def test_backfilled_slots_are_found(self, async_client: AsyncClient, name: str) -> None:
        schedule = await async_client.create_schedule(name, "0 2 * * *", start_at=NEW_YEAR)
        filled = await async_client.backfill_schedule(schedule.schedule_id, NEW_YEAR, NEW_YEAR + timedelta(days=3))
        slots = [slot async for slot in async_client.iterate_schedule_slots(schedule.schedule_id, limit=2)]
        assert [slot.workflow_run_id for slot in slots] == [item.workflow_run_id for item in filled.items][::-1]
        assert {slot.outcome for slot in slots} == {SlotOutcome.fired}
