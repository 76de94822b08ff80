"""The handbook in docs/inside says what is so: its places exist, its picture is current, its costs are measured."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.db.engine import Tx
from tests.docs import generate
from tests.docs.rooms import PACKAGES
from tests.docs.statements import asking, execute
from tests.factories import (
    QUEUES,
    RUNS,
    claim_task,
    get_run,
    get_task,
    patch_run,
    put_checkpoint,
    reported,
    run_body,
    run_in,
    spawn_task,
)
from tests.processes import ROOT

INSIDE = ROOT / "docs" / "inside"
PAGES = sorted(INSIDE.glob("*.md"))
PLACE = re.compile(r"`((?:app|milepost|tests|alembic|docs|benchmarks|examples)/[\w./-]*\w)(?::(\w+))?`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
ROW = re.compile(
    r"^\| ([^|`]*(?:`Idempotency-Key`[^|`]*)?) \| (`[a-z_]+\.[a-z_]+`(?:, `[a-z_]+\.[a-z_]+`)*) \|$", re.MULTILINE
)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def defines(path: Path, name: str) -> bool:
    """Return whether a module defines a name on its top level."""
    return re.search(rf"^(?:(?:async )?def|class) {name}\b|^{name}\b.*=", path.read_text(), re.MULTILINE) is not None


@each_page
class TestPlaces:
    def test_every_place_exists(self, page: Path) -> None:
        for place, name in PLACE.findall(page.read_text()):
            assert (ROOT / place).exists(), place
            assert not name or defines(ROOT / place, name), f"{place}:{name}"

    def test_every_link_leads_somewhere(self, page: Path) -> None:
        for path in LINK.findall(page.read_text()):
            assert (page.parent / path).is_file(), path

    def test_every_page_is_linked_from_the_first(self, page: Path) -> None:
        first = INSIDE / "architecture.md"
        assert page == first or f"]({page.name})" in first.read_text()


class TestRooms:
    def test_picture_is_drawn_from_the_imports(self) -> None:
        page = generate.ARCHITECTURE
        assert generate.rewrite(page) == page.read_text(), "docs/inside/architecture.md is not current: run `make docs`"

    def test_every_room_is_explained(self) -> None:
        page = generate.ARCHITECTURE.read_text()
        for room in [path.parent for package in PACKAGES for path in (ROOT / package).glob("*/__init__.py")]:
            assert f"`{room.relative_to(ROOT)}`" in page, room.name


class Calls:
    """The calls of which docs/inside/hot-path.md tells what they cost, by the names that they have there."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.costs: dict[str, Sequence[str]] = {}

    async def post(self, name: str, path: str, body: Mapping[str, Any], *, key: str | None = None) -> dict[str, Any]:
        """Take note of what a call asks for."""
        headers = {"Idempotency-Key": key} if key else {}
        with asking() as asked:
            answer = await self._client.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        self.costs[name] = asked
        said: dict[str, Any] = answer.json()
        return said

    async def create(self) -> None:
        await self.post("create a run", RUNS, run_body())
        await self.post("the same, with an `Idempotency-Key` that is new", RUNS, run_body(), key="new")
        await self.post("the same, with tasks", RUNS, run_body(tasks=[{"task_name": "work", "queue": "aside"}]))

    async def change(self, run: dict[str, Any]) -> None:
        with asking() as asked:
            await patch_run(self._client, run, tags={"env": "prod"})
        self.costs["change a run"] = asked
        with asking() as asked:
            await patch_run(self._client, run, status="completed")
        self.costs["end a run"] = asked
        with asking() as asked:
            await get_run(self._client, run)
        self.costs["read a run"] = asked

    async def work(self) -> None:
        claim = {"worker_id": "worker"}
        for _ in range(3):
            await self.post("spawn a task", "/v1/tasks", {"task_name": "work"})
        many = {"tasks": [{"task_name": "work"}] * 2}
        await self.post("spawn tasks, with an `Idempotency-Key` that is new", "/v1/tasks/batch", many, key="many")
        (held,) = (await self.post("claim", f"{QUEUES}/default/claim", claim))["tasks"]
        with asking() as asked:
            await reported(self._client, held, "heartbeat")
        self.costs["heartbeat"] = asked
        with asking() as asked:
            assert (await put_checkpoint(self._client, held, "step", state=1)).status_code == 200
        self.costs["write a checkpoint"] = asked
        with asking() as asked:
            await reported(self._client, held, "complete")
        self.costs["complete a task"] = asked
        with asking() as asked:
            await get_task(self._client, held)
        self.costs["read a task"] = asked
        named = "claim, with an `Idempotency-Key`"
        (held,) = (await self.post(named, f"{QUEUES}/default/claim", claim, key="claim"))["tasks"]
        done = {"tasks": [{name: held[name] for name in ("task_id", "lease_token")}], "claim": claim}
        await self.post("complete tasks and claim the next", f"{QUEUES}/default/complete", done)


class TestHotPath:
    async def test_calls_cost_what_the_page_says(
        self, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Tx, "execute", execute)
        run = await run_in(client, "running")
        await spawn_task(client)
        await reported(client, await claim_task(client), "complete")
        calls = Calls(client)
        await calls.create()
        await calls.change(run)
        await calls.work()
        page = (INSIDE / "hot-path.md").read_text()
        told = {call: re.findall(r"`([a-z_.]+)`", statements) for call, statements in ROW.findall(page)}
        assert calls.costs == told
