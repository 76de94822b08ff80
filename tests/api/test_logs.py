"""Logs of workflow runs and tasks: appending lines, and reading them page by page."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.access import api_keys
from app.api.kernel import Kernel
from app.services import logs as service
from app.store import log_lines as store
from milepost.schemas.operations import Scope
from tests.factories import RUNS, TASKS, UNKNOWN_ID, address, create_run, get_run, run_in

KINDS = ("run", "task")
BODY = {"lines": [{"text": "x"}]}


async def make_owner(client: httpx.AsyncClient, kind: str) -> str:
    """Return the address of the log of a new run or task."""
    if kind == "run":
        return address(await create_run(client), "logs")
    return f"{TASKS}/{(await spawn(client))['task_id']}/logs"


async def spawn(client: httpx.AsyncClient, **spec: Any) -> dict[str, Any]:
    response = await client.post(TASKS, json={"task_name": "load", **spec})
    assert response.status_code == 201, response.text
    task: dict[str, Any] = response.json()
    return task


async def append(client: httpx.AsyncClient, log: str, *lines: dict[str, Any] | str, **headers: str) -> httpx.Response:
    body = {"lines": [{"text": line} if isinstance(line, str) else line for line in lines]}
    response = await client.post(log, json=body, headers=headers)
    assert response.is_success, response.text
    return response


async def read(client: httpx.AsyncClient, log: str, **query: Any) -> list[dict[str, Any]]:
    response = await client.get(log, params=query)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def texts(client: httpx.AsyncClient, log: str, **query: Any) -> list[str]:
    return [line["text"] for line in await read(client, log, **query)]


async def walk(client: httpx.AsyncClient, log: str, **query: Any) -> list[list[str]]:
    """Return the texts of all pages of a log."""
    pages: list[list[str]] = []
    more: dict[str, str] = {}
    while True:
        response = await client.get(log, params={**query, **more})
        assert response.status_code == 200, response.text
        page = response.json()
        pages.append([line["text"] for line in page["items"]])
        if page["next_cursor"] is None:
            return pages
        assert 'rel="next"' in response.headers["Link"]
        more = {"cursor": page["next_cursor"]}


def chain(pages: list[list[str]]) -> list[str]:
    return [text for page in pages for text in page]


def at(second: int) -> str:
    return f"2026-01-31T02:00:{second:02}Z"


@pytest.mark.parametrize("kind", KINDS)
class TestAppend:
    async def test_answers_how_many(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        response = await append(client, log, "one", "two")
        assert (response.status_code, response.json()) == (201, {"appended": 2})
        assert "ETag" not in response.headers
        assert "Location" not in response.headers

    async def test_line_comes_back_as_given(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        given = {
            "text": " ä\tb ",
            "at": "2026-01-31T03:00:00.123456+01:00",
            "level": "error",
            "fields": {"b": 1, "a": {}},
        }
        await append(client, log, given)
        [line] = await read(client, log)
        assert {name: line[name] for name in ("text", "level", "fields", "truncated", "attempt")} == {
            "text": " ä\tb ",
            "level": "error",
            "fields": {"b": 1, "a": {}},
            "truncated": False,
            "attempt": 1,
        }
        assert line["at"] == "2026-01-31T02:00:00.123456Z"

    async def test_what_is_absent_has_a_default(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        before = datetime.now(UTC)
        await append(client, log, "")
        [line] = await read(client, log)
        assert (line["text"], line["level"], line["fields"]) == ("", "info", {})
        assert abs((datetime.fromisoformat(line["at"]) - before).total_seconds()) < 60

    @pytest.mark.parametrize(
        ("text", "kept", "truncated"),
        [
            ("a" * 16384, "a" * 16384, False),
            ("a" * 16385, "a" * 16384, True),
            ("ä" * 8192, "ä" * 8192, False),
            ("a" + "ä" * 8192, "a" + "ä" * 8191, True),
            ("😀" * 5000, "😀" * 4096, True),
            ("aa" + "😀" * 5000, "aa" + "😀" * 4095, True),
        ],
        ids=["ascii", "longer", "two_bytes", "within_two", "four_bytes", "within_four"],
    )
    async def test_long_text_is_cut_between_two_characters(
        self, client: httpx.AsyncClient, kind: str, text: str, kept: str, truncated: bool
    ) -> None:
        log = await make_owner(client, kind)
        await append(client, log, text)
        [line] = await read(client, log)
        assert line["truncated"] is truncated
        assert line["text"] == kept

    async def test_idempotency_key_appends_once(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        first = await append(client, log, "one", **{"Idempotency-Key": "k"})
        again = await append(client, log, "one", **{"Idempotency-Key": "k"})
        assert (first.status_code, again.status_code) == (201, 200)
        assert (again.json(), again.headers["Idempotency-Replayed"]) == (first.json(), "true")
        other = await client.post(log, json={"lines": [{"text": "two"}]}, headers={"Idempotency-Key": "k"})
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
        assert await texts(client, log) == ["one"]

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/lines"),
            ({"lines": []}, "/lines"),
            ({"lines": [{"text": "x"}] * 1001}, "/lines"),
            ({"lines": "x"}, "/lines"),
            ({"lines": [{"text": "x"}, {}]}, "/lines/1/text"),
            ({"lines": [{"text": None}]}, "/lines/0/text"),
            ({"lines": [{"text": 1}]}, "/lines/0/text"),
            ({"lines": [{"text": "a\0b"}]}, "/lines/0/text"),
            ({"lines": [{"text": "x", "level": "fatal"}]}, "/lines/0/level"),
            ({"lines": [{"text": "x", "level": None}]}, "/lines/0/level"),
            ({"lines": [{"text": "x", "at": "2026-01-31T02:00:00"}]}, "/lines/0/at"),
            ({"lines": [{"text": "x", "fields": []}]}, "/lines/0/fields"),
            ({"lines": [{"text": "x", "fields": None}]}, "/lines/0/fields"),
            ({"lines": [{"text": "x", "line": 1}]}, "/lines/0/line"),
            ({"lines": [{"text": "x"}], "level": "info"}, "/level"),
        ],
    )
    async def test_refusal_names_the_place(
        self, client: httpx.AsyncClient, kind: str, body: dict[str, Any], pointer: str
    ) -> None:
        log = await make_owner(client, kind)
        response = await client.post(log, json=body)
        assert response.status_code == 422, response.text
        assert pointer in [error["pointer"] for error in response.json()["errors"]]
        assert await texts(client, log) == []

    async def test_unknown_owner_is_not_found(self, client: httpx.AsyncClient, kind: str) -> None:
        log = f"{RUNS if kind == 'run' else TASKS}/{UNKNOWN_ID}/logs"
        assert (await client.post(log, json=BODY)).status_code == 404
        assert (await client.get(log)).status_code == 404

    async def test_write_or_work_will_do(self, client: httpx.AsyncClient, kernel: Kernel, kind: str) -> None:
        log = await make_owner(client, kind)
        async with kernel.database.transaction() as tx:
            secrets = {scope: await api_keys.create_key(tx, scope.value, [scope]) for scope in Scope}
        kernel.doorkeeper.forget()
        statuses = {}
        for scope, secret in secrets.items():
            headers = {"Authorization": f"Bearer {secret}"}
            statuses[scope] = (await client.post(log, json=BODY, headers=headers)).status_code
        assert statuses == {Scope.read: 403, Scope.write: 201, Scope.work: 201, Scope.admin: 201}


@pytest.mark.parametrize("kind", KINDS)
class TestPages:
    async def test_oldest_come_first_and_equal_times_in_the_order_of_arrival(
        self, client: httpx.AsyncClient, kind: str
    ) -> None:
        log = await make_owner(client, kind)
        await append(client, log, {"text": "c", "at": at(2)}, {"text": "a", "at": at(1)}, {"text": "b", "at": at(1)})
        await append(client, log, {"text": "d", "at": at(2)})
        assert await texts(client, log) == ["a", "b", "c", "d"]
        assert await texts(client, log, order="at") == ["a", "b", "c", "d"]
        assert await texts(client, log, order="-at") == ["d", "c", "b", "a"]

    @pytest.mark.parametrize("order", ["at", "-at"])
    async def test_walk_gives_each_line_once(self, client: httpx.AsyncClient, kind: str, order: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, *({"text": str(i), "at": at(i // 4)} for i in range(23)))
        pages = await walk(client, log, order=order, limit=5)
        assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
        expected = [str(i) for i in range(23)]
        assert chain(pages) == (expected if order == "at" else expected[::-1])

    async def test_page_that_is_just_full_is_the_last(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, "a", "b")
        assert await walk(client, log, limit=2) == [["a", "b"]]

    async def test_lines_appended_meanwhile_come_once(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, *(str(i) for i in range(5)))
        first = (await client.get(log, params={"limit": 3})).json()
        await append(client, log, "late")
        rest = await texts(client, log, cursor=first["next_cursor"])
        assert [*(line["text"] for line in first["items"]), *rest] == ["0", "1", "2", "3", "4", "late"]

    async def test_levels_are_from_this_one_on(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        levels = ["debug", "info", "warning", "error"]
        await append(client, log, *({"text": level, "level": level} for level in levels))
        for place, level in enumerate(levels):
            assert await texts(client, log, level=level) == levels[place:]

    async def test_bounds_are_exclusive(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, *({"text": str(i), "at": at(i)} for i in range(5)))
        assert await texts(client, log, after=at(1)) == ["2", "3", "4"]
        assert await texts(client, log, before=at(3)) == ["0", "1", "2"]
        assert await texts(client, log, after=at(1), before=at(3)) == ["2"]
        assert await texts(client, log, after=at(2), before=at(2)) == []

    async def test_part_of_the_text_is_literal_and_of_either_case(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, "100% done", "1000 done", "a_b", "acb", "c:\\x", "ÄRGER", ".*")
        assert await texts(client, log, q="100%") == ["100% done"]
        assert await texts(client, log, q="DONE") == ["100% done", "1000 done"]
        assert await texts(client, log, q="A_B") == ["a_b"]
        assert await texts(client, log, q="\\") == ["c:\\x"]
        assert await texts(client, log, q="ärger") == ["ÄRGER"]
        assert await texts(client, log, q=".*") == [".*"]

    async def test_walk_with_a_filter_goes_on_where_it_has_looked_enough(
        self, client: httpx.AsyncClient, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(service, "LOOKS", (4, 16))
        log = await make_owner(client, kind)
        await append(client, log, *("needle" if i in (45, 46, 90) else f"hay {i}" for i in range(100)))
        for order in ("at", "-at"):
            pages = await walk(client, log, q="needle", order=order, limit=10)
            assert len(pages) >= 4
            assert chain(pages) == ["needle"] * 3
            assert chain(await walk(client, log, q="needle", order=order, limit=1)) == ["needle"] * 3

    async def test_tail_is_the_last_lines_oldest_first(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        await append(client, log, *({"text": str(i), "level": "error" if i % 2 else "info"} for i in range(10)))
        response = (await client.get(log, params={"tail": 3})).json()
        assert [line["text"] for line in response["items"]] == ["7", "8", "9"]
        assert response["next_cursor"] is None
        assert await texts(client, log, tail=2, level="error") == ["7", "9"]
        assert await texts(client, log, tail=1000) == [str(i) for i in range(10)]

    @pytest.mark.parametrize(
        ("query", "name"),
        [
            ({"tail": 0}, "tail"),
            ({"tail": 1001}, "tail"),
            ({"tail": 5, "order": "at"}, "order"),
            ({"limit": 0}, "limit"),
            ({"limit": 1001}, "limit"),
            ({"level": "loud"}, "level"),
            ({"order": "text"}, "order"),
            ({"after": "yesterday"}, "after"),
            ({"before": "2026-01-31T02:00:00"}, "before"),
            ({"attempt": "first"}, "attempt"),
            ({"cursor": "x"}, "cursor"),
            ({"grep": "x"}, "grep"),
        ],
    )
    async def test_refusal_names_the_parameter(
        self, client: httpx.AsyncClient, kind: str, query: dict[str, Any], name: str
    ) -> None:
        log = await make_owner(client, kind)
        response = await client.get(log, params=query)
        assert response.status_code == 422, response.text
        assert [error["pointer"] for error in response.json()["errors"]] == [name]

    async def test_cursor_belongs_to_its_order_filters_and_log(self, client: httpx.AsyncClient, kind: str) -> None:
        log, other = await make_owner(client, kind), await make_owner(client, kind)
        for each in (log, other):
            await append(client, each, "a", "b", "c")
        cursor = (await client.get(log, params={"limit": 1})).json()["next_cursor"]
        queries: list[dict[str, Any]] = [{"order": "-at"}, {"q": "b"}, {"level": "debug"}, {"tail": 1}]
        for query in queries:
            assert (await client.get(log, params={**query, "cursor": cursor})).status_code == 422
        assert (await client.get(other, params={"cursor": cursor})).status_code == 422
        assert await texts(client, log, cursor=cursor, limit=1) == ["b"]

    async def test_text_is_one_line_each_and_further_ones_are_indented(
        self, client: httpx.AsyncClient, kind: str
    ) -> None:
        log = await make_owner(client, kind)
        await append(client, log, {"text": "one\ntwo\r\nthree", "at": at(1)}, {"text": "red \x1b[31m", "at": at(2)})
        response = await client.get(log, headers={"Accept": "text/plain"})
        assert response.headers["Content-Type"].startswith("text/plain")
        assert response.text == (
            "2026-01-31T02:00:01.000Z info one\n  two\n  three\n2026-01-31T02:00:02.000Z info red \\x1b[31m\n"
        )

    async def test_large_lines_make_short_pages(self, client: httpx.AsyncClient, kind: str) -> None:
        log = await make_owner(client, kind)
        for _ in range(20):
            await append(client, log, {"text": "x", "fields": {"blob": "y" * 1_000_000}})
        pages = await walk(client, log, limit=1000)
        assert [len(page) for page in pages] == [16, 4]


class TestOwners:
    async def test_line_of_a_task_stands_in_the_log_of_its_run_too(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        task = await spawn(client, workflow_run_id=run["workflow_run_id"])
        log = f"{TASKS}/{task['task_id']}/logs"
        await append(client, address(run, "logs"), "of the run")
        await append(client, log, "of the task")
        assert await texts(client, log) == ["of the task"]
        own, of_task = await read(client, address(run, "logs"))
        assert (own["task_id"], own["workflow_run_id"]) == (None, run["workflow_run_id"])
        assert (of_task["task_id"], of_task["workflow_run_id"]) == (task["task_id"], run["workflow_run_id"])

    async def test_lines_keep_the_attempt_of_the_run(self, client: httpx.AsyncClient) -> None:
        run = await run_in(client, "failed")
        await append(client, address(run, "logs"), "first")
        assert (await client.post(address(run, "retry"))).status_code == 200
        await append(client, address(run, "logs"), "second")
        assert [line["attempt"] for line in await read(client, address(run, "logs"))] == [1, 2]
        assert await texts(client, address(run, "logs"), attempt=2) == ["second"]

    async def test_lines_keep_the_attempt_of_the_task(self, client: httpx.AsyncClient) -> None:
        task = await spawn(client)
        log = f"{TASKS}/{task['task_id']}/logs"
        await append(client, log, "first")
        assert (await client.post(f"{TASKS}/{task['task_id']}/cancel")).status_code == 200
        assert (await client.post(f"{TASKS}/{task['task_id']}/retry")).status_code == 200
        await append(client, log, "second")
        assert [line["attempt"] for line in await read(client, log)] == [1, 2]
        assert await texts(client, log, attempt=1) == ["first"]

    @pytest.mark.parametrize("status", ["pending", "running", "completed", "failed", "cancelled"])
    async def test_run_takes_lines_in_every_status_and_keeps_its_revision(
        self, client: httpx.AsyncClient, status: str
    ) -> None:
        run = await run_in(client, status)
        await append(client, address(run, "logs"), "x")
        assert await get_run(client, run) == run

    async def test_log_goes_with_its_run(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        run = await run_in(client, "completed")
        await append(client, address(run, "logs"), "x")
        assert (await client.delete(address(run))).status_code == 204
        assert (await client.get(address(run, "logs"))).status_code == 404
        async with kernel.database.reading() as tx:
            seen = await store.list_lines(
                tx, "workflow_run_id", {"workflow_run_id": run["workflow_run_id"]}, None, 10, 10, newest_first=False
            )
        assert seen == []
