"""What one task, one page and one claim may hold at most, with payloads that are really that large."""

from typing import Any
from uuid import UUID

import httpx

from app.db.engine import Database
from tests.conftest import connect
from tests.factories import (
    claim_task,
    code,
    emit_event,
    pass_time,
    pointers,
    put_checkpoint,
    report,
    reported,
    start_task,
    task_address,
)

MIB = 1024 * 1024
LARGE = "x" * (MIB - 200)
"""A state that Postgres compresses to a hundredth."""
SMALL_MOST = 10_000


async def names_of(client: httpx.AsyncClient, task: dict[str, Any]) -> list[str]:
    """Return the names of the checkpoints of ``task``, as its list has them."""
    names: list[str] = []
    query: dict[str, Any] = {"limit": 200}
    while True:
        page = (await client.get(task_address(task, "checkpoints"), params=query)).json()
        names += [checkpoint["name"] for checkpoint in page["items"]]
        if page["next_cursor"] is None:
            return names
        query["cursor"] = page["next_cursor"]


async def fill(client: httpx.AsyncClient, held: dict[str, Any]) -> None:
    """Write checkpoints until 16 MiB hold no further large one."""
    for number in range(16):
        assert (await put_checkpoint(client, held, f"large-{number}", state=LARGE)).status_code == 200


def add_small_ones(url: str, held: dict[str, Any], amount: int) -> None:
    """Insert ``amount`` checkpoints of a few bytes."""
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO checkpoints (task_id, name, state, is_outcome, attempt, run_id)"
            " SELECT %s, 'small-' || n, '1', false, 1, %s FROM generate_series(1, %s) AS n",
            [UUID(held["task_id"]), UUID(held["run_id"]), amount],
        )


def assert_refused(response: httpx.Response, place: str) -> None:
    assert (response.status_code, code(response), pointers(response)) == (422, "validation-failed", [place])


class TestCheckpoints:
    async def test_states_beyond_the_total_are_refused(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await fill(client, held)
        assert_refused(await put_checkpoint(client, held, "one-more", state=LARGE), "/state")
        assert await names_of(client, held) == [f"large-{number}" for number in range(16)]

    async def test_overwriting_counts_only_the_new_state(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await fill(client, held)
        assert (await put_checkpoint(client, held, "large-3", state=LARGE)).status_code == 200
        assert (await put_checkpoint(client, held, "large-3", state=1)).status_code == 200
        assert (await put_checkpoint(client, held, "one-more", state=LARGE)).status_code == 200

    async def test_more_names_than_the_total_are_refused(self, client: httpx.AsyncClient, database_url: str) -> None:
        held = await start_task(client)
        add_small_ones(database_url, held, SMALL_MOST)
        assert_refused(await put_checkpoint(client, held, "one-more", state=1), "/state")
        assert (await put_checkpoint(client, held, "small-7", state=2)).status_code == 200
        response = await report(client, held, "await-event", step_name="s", event_name="never", timeout_seconds=60)
        assert_refused(response, "/step_name")

    async def test_each_task_has_its_own_total(self, client: httpx.AsyncClient) -> None:
        full, other = await start_task(client), await start_task(client)
        await fill(client, full)
        assert (await put_checkpoint(client, other, "large", state=LARGE)).status_code == 200


class TestAwaitedEvents:
    NAMES = tuple(f"large-{number}" for number in range(17))

    async def emit_all(self, client: httpx.AsyncClient) -> None:
        for name in self.NAMES:
            assert (await emit_event(client, name, payload=LARGE)).status_code == 201

    async def test_payloads_beyond_the_total_are_refused(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await self.emit_all(client)
        wanted = {"step_name": "s", "all_of": self.NAMES}
        assert_refused(await report(client, held, "await-event", **wanted), "/all_of")
        assert await names_of(client, held) == []
        assert (await report(client, held, "complete")).status_code == 200

    async def test_task_that_waited_for_them_wakes_and_is_told(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        wanted = {"step_name": "s", "all_of": self.NAMES}
        assert (await reported(client, held, "await-event", **wanted))["outcome"] == "suspended"
        await self.emit_all(client)
        again = await claim_task(client)
        assert (again["task_id"], again["checkpoints"]) == (held["task_id"], {})
        assert_refused(await report(client, again, "await-event", **wanted), "/all_of")

    async def test_task_without_room_for_its_event_wakes_and_is_told(self, client: httpx.AsyncClient) -> None:
        held = await start_task(client)
        await fill(client, held)
        wanted = {"step_name": "s", "event_name": "large-0"}
        assert (await reported(client, held, "await-event", **wanted))["outcome"] == "suspended"
        assert (await emit_event(client, "large-0", payload=LARGE)).status_code == 201
        again = await claim_task(client)
        assert (len(again["checkpoints"]), again["event_payload"]) == (16, None)
        assert_refused(await report(client, again, "await-event", **wanted), "/step_name")

    async def test_full_task_still_learns_that_its_wait_timed_out(
        self, client: httpx.AsyncClient, database: Database
    ) -> None:
        held = await start_task(client)
        await fill(client, held)
        wanted = {"step_name": "s", "event_name": "never", "timeout_seconds": 60}
        assert (await reported(client, held, "await-event", **wanted))["outcome"] == "suspended"
        async with database.transaction() as tx:
            await pass_time(tx, held, 60)
        again = await claim_task(client, wait_seconds=20)
        assert again["checkpoints"]["s"] == {"outcome": "timed_out"}
