"""One workflow run read over HTTP."""

import json
from datetime import datetime

import httpx
import pytest

from tests.factories import RUNS, STATUSES, UNKNOWN_ID, address, code, create_run, get_run, patch_run, pointers, run_in

FIELDS = {
    "workflow_run_id",
    "workflow_name",
    "workflow_version",
    "display_name",
    "workflow_hash",
    "status",
    "queue",
    "inputs",
    "result",
    "error",
    "tags",
    "created_by",
    "absurd_run_id",
    "parent_workflow_run_id",
    "task_count",
    "attempt",
    "revision",
    "cancel_requested_at",
    "reason",
    "deadline_at",
    "heartbeat_expires_at",
    "created_at",
    "started_at",
    "completed_at",
    "updated_at",
    "progress",
}


class TestGetWorkflowRun:
    async def test_it_has_every_field_of_the_contract(self, client: httpx.AsyncClient) -> None:
        run = await get_run(client, await create_run(client))
        assert run.keys() >= FIELDS
        assert set(run["progress"]) == {
            "total",
            "pending",
            "running",
            "sleeping",
            "completed",
            "failed",
            "cancelled",
            "percent",
        }

    @pytest.mark.parametrize("status", STATUSES)
    async def test_etag_is_the_quoted_revision(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        response = await client.get(address(run))
        assert response.headers["etag"] == f'"{run["revision"]}"'

    async def test_times_are_utc_and_end_in_z(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running", deadline_seconds=3600, heartbeat_seconds=60)
        await patch_run(client, run, status="completed")
        current = await get_run(client, run)
        times = [text for name, text in current.items() if name.endswith("_at") and text is not None]
        assert len(times) == 5
        assert all(text.endswith("Z") and datetime.fromisoformat(text) for text in times)

    async def test_run_without_tasks_has_no_percent(self, client: httpx.AsyncClient) -> None:
        run = await get_run(client, await create_run(client))
        assert (run["progress"]["total"], run["progress"]["percent"]) == (0, None)

    async def test_declared_task_count_is_the_total(self, client: httpx.AsyncClient) -> None:
        run = await get_run(client, await create_run(client, task_count=8))
        assert (run["progress"]["total"], run["progress"]["percent"]) == (8, 0)

    async def test_upper_case_id_is_the_same_id(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        response = await client.get(f"{RUNS}/{run['workflow_run_id'].upper()}")
        assert response.json() == run

    @pytest.mark.parametrize("tail", ["", "/history", "/wait?timeout_seconds=0"])
    async def test_unknown_id_is_not_found(self, client: httpx.AsyncClient, tail: str) -> None:
        response = await client.get(f"{RUNS}/{UNKNOWN_ID}{tail}")
        assert response.status_code == 404
        assert code(response) == "not-found"

    @pytest.mark.parametrize("bad", ["abc", "1", "null", "01890000-0000-7000-8000-00000000000g", "%00", "%F0%9F%92%A9"])
    async def test_what_is_no_uuid_is_refused_by_name(self, client: httpx.AsyncClient, bad: str) -> None:
        assert pointers(await client.get(f"{RUNS}/{bad}")) == ["workflow_run_id"]


class TestTextOfAWorkflowRun:
    TEXT = {"Accept": "text/plain"}  # noqa: RUF012 - never changed

    async def test_it_is_one_fact_a_line(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, inputs={"day": "2026-01-31"}, tags={"env": "prod"})
        response = await client.get(address(run), headers=self.TEXT)
        assert response.headers["content-type"].startswith("text/plain")
        assert response.headers["etag"] == '"1"'
        facts = dict(line.split(None, 1) for line in response.text.splitlines())
        assert facts["workflow_run_id"] == run["workflow_run_id"]
        assert facts["status"] == "pending"
        assert json.loads(facts["inputs"]) == {"day": "2026-01-31"}

    async def test_control_characters_cannot_reach_the_terminal(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client, created_by="a\x1b[31m\nb\u2028c", inputs="\x1b]0;x\x07")
        text = (await client.get(address(run), headers=self.TEXT)).text
        assert all(character.isprintable() or character == "\n" for character in text)
        assert len(text.splitlines()) == len(text.split("\n")) - 1

    @pytest.mark.parametrize(
        ("accept", "kind"),
        [
            ("*/*", "application/json"),
            ("application/json", "application/json"),
            ("text/html,*/*;q=0.1", "application/json"),
            ("text/plain", "text/plain"),
            ("TEXT/PLAIN", "text/plain"),
            ("text/plain, */*;q=0.1", "text/plain"),
            ("text/plain;q=0.2, application/json;q=0.9", "application/json"),
            ("text/plain;q=nonsense", "application/json"),
            (",;,;q=,", "application/json"),
        ],
    )
    async def test_accept_chooses_the_form(self, client: httpx.AsyncClient, accept: str, kind: str) -> None:
        response = await client.get(address(await create_run(client)), headers={"Accept": accept})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kind)
