"""The history of a workflow run over HTTP."""

import httpx
import pytest

from tests.factories import RUNS, UNKNOWN_ID, address, create_run, history_of, patch_run, pointers, run_in


class TestListWorkflowRunHistory:
    async def test_first_entry_is_the_creation(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        [entry] = await history_of(client, run)
        assert {**entry, "request_id": "?"} == {
            "at": run["created_at"],
            "verb": "create",
            "from": None,
            "to": "pending",
            "attempt": 1,
            "actor": "anonymous",
            "reason": None,
            "request_id": "?",
        }

    async def test_every_status_change_is_told_oldest_first(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await patch_run(client, run, status="running")
        ended = (await patch_run(client, run, status="failed", error={"message": "x"})).json()
        entries = await history_of(client, run)
        moves = [(entry["from"], entry["to"]) for entry in entries]
        assert moves == [(None, "pending"), ("pending", "running"), ("running", "failed")]
        assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
        assert entries[-1]["at"] == ended["completed_at"] == ended["updated_at"]

    async def test_what_moves_no_status_is_not_told(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        for change in ({}, {"status": "pending"}, {"tags": {"a": 1}}, {"result": 1}, {"task_count": 3}):
            await patch_run(client, run, **change)
        assert len(await history_of(client, run)) == 1

    async def test_refused_change_is_not_told(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "completed")
        assert (await patch_run(client, run, status="running")).status_code == 409
        assert len(await history_of(client, run)) == 2

    async def test_it_keeps_the_request_ids(self, client: httpx.AsyncClient) -> None:
        created = await client.post(
            RUNS, json={"workflow_name": "a", "workflow_version": "1"}, headers={"X-Request-ID": "made/1"}
        )
        run = created.json()
        await client.patch(address(run), json={"status": "running"}, headers={"X-Request-ID": "moved:2"})
        assert [entry["request_id"] for entry in await history_of(client, run)] == ["made/1", "moved:2"]

    async def test_request_id_that_was_made_is_kept_too(self, client: httpx.AsyncClient) -> None:
        created = await client.post(RUNS, json={"workflow_name": "a", "workflow_version": "1"})
        [entry] = await history_of(client, created.json())
        assert entry["request_id"] == created.headers["x-request-id"]

    async def test_pages_hold_every_entry_once(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        await patch_run(client, run, status="completed")
        found, response = [], await client.get(address(run, "history"), params={"limit": 1})
        while True:
            found += response.json()["items"]
            if "next" not in response.links:
                break
            response = await client.get(response.links["next"]["url"])
        assert [entry["to"] for entry in found] == ["pending", "running", "completed"]

    async def test_histories_of_runs_do_not_mix(self, client: httpx.AsyncClient) -> None:
        one, other = await run_in(client, "running"), await run_in(client, "failed")
        await patch_run(client, one, status="completed")
        assert [entry["to"] for entry in await history_of(client, other)] == ["pending", "failed"]

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("limit", "0"),
            ("limit", "201"),
            ("cursor", "x"),
            ("cursor", ""),
            ("cursor", "LTE"),
            ("order", "at"),
            ("x", ""),
        ],
    )
    async def test_other_parameter_is_refused(self, client: httpx.AsyncClient, name: str, value: str) -> None:
        run = await create_run(client)
        assert pointers(await client.get(address(run, "history"), params={name: value})) == [name]

    async def test_cursor_of_another_list_is_refused(self, client: httpx.AsyncClient) -> None:
        runs = [await run_in(client, "running") for _ in range(2)]
        of_runs = (await client.get(RUNS, params={"limit": 1})).json()["next_cursor"]
        of_other = (await client.get(address(runs[1], "history"), params={"limit": 1})).json()["next_cursor"]
        for cursor in (of_runs, of_other):
            assert pointers(await client.get(address(runs[0], "history"), params={"cursor": cursor})) == ["cursor"]

    async def test_unknown_run_is_not_found(self, client: httpx.AsyncClient) -> None:
        assert (await client.get(f"{RUNS}/{UNKNOWN_ID}/history")).status_code == 404

    async def test_text_is_one_entry_a_line(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "running")
        response = await client.get(address(run, "history"), headers={"Accept": "text/plain"})
        assert response.headers["content-type"].startswith("text/plain")
        heading, *lines = response.text.splitlines()
        assert heading.split()[:4] == ["AT", "VERB", "FROM", "TO"]
        assert [line.split()[2:4] for line in lines] == [["-", "pending"], ["pending", "running"]]
