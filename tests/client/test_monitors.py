"""Monitors through both clients, against a running service."""

from typing import get_type_hints
from uuid import uuid4

import pytest

from milepost.client import AsyncClient, Client, NotFound, ValidationFailed
from milepost.client.monitors import MonitorFields, MonitorQueryFields
from milepost.schemas.monitors import Monitor, MonitorQuery, MonitorSettings, PingState
from milepost.schemas.workflow_runs import RunStatus


@pytest.fixture
def name() -> str:
    """Return a name that no other test uses."""
    return f"m{uuid4().hex}"


class TestArguments:
    def test_keyword_arguments_are_the_fields_of_the_wire(self) -> None:
        assert {"workflow_name", *get_type_hints(MonitorFields)} == set(MonitorSettings.model_fields)
        assert set(get_type_hints(MonitorQueryFields)) == set(MonitorQuery.model_fields)


class TestMonitors:
    def test_life_of_a_monitor(self, client: Client, name: str) -> None:
        monitor = client.put_monitor(name, name, cron="0 2 * * *", timezone="Europe/Berlin", tags={"team": "data"})
        assert isinstance(monitor, Monitor)
        assert client.get_monitor(name) == monitor
        assert list(client.iterate_monitors(workflow_name=name, limit=1)) == [monitor]
        started = client.ping_monitor(name, "started", message="begins")
        ended = client.ping_monitor(name, PingState.failed, message="disk full", result={"rows": 0})
        assert (ended.workflow_run_id, ended.status) == (started.workflow_run_id, RunStatus.failed)
        assert client.ping_monitor(name).status is RunStatus.completed
        client.delete_monitor(name)
        with pytest.raises(NotFound):
            client.get_monitor(name)

    def test_same_key_records_one_run(self, client: Client, name: str) -> None:
        client.put_monitor(name, name, every_seconds=60)
        key = uuid4().hex
        first, second = (client.ping_monitor(name, idempotency_key=key) for _ in range(2))
        assert first == second

    def test_refusal_is_raised(self, client: Client, name: str) -> None:
        with pytest.raises(ValidationFailed):
            client.put_monitor(name, name)

    async def test_async_client_has_the_same(self, async_client: AsyncClient, name: str) -> None:
        await async_client.put_monitor(name, name, every_seconds=60)
        assert (await async_client.ping_monitor(name)).workflow_name == name
