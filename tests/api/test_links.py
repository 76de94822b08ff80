"""Links of workflow runs."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.factories import RUNS, UNKNOWN_ID, address, code, create_run, create_runs, get_run, history_of, run_in

URL = "https://example.com/report?day=1#top"


async def put(client: httpx.AsyncClient, run: dict[str, Any], name: str = "report", **body: Any) -> httpx.Response:
    return await client.put(address(run, "links", quote(name, safe="")), json={"url": URL, **body})


class TestPutLink:
    async def test_new_one_is_201_and_stands_in_the_run(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert run["links"] == {}
        response = await put(client, run, title="Report")
        assert response.status_code == 201
        assert response.json() == {"name": "report", "url": URL, "title": "Report", "revision": 2}
        after = await get_run(client, run)
        assert after["links"] == {"report": {"url": URL, "title": "Report"}}
        assert (after["revision"], response.headers["ETag"]) == (2, '"2"')

    async def test_other_link_of_the_name_takes_its_place(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await put(client, run, title="Report")
        response = await put(client, run)
        assert response.status_code == 200
        after = await get_run(client, run)
        assert (after["links"], after["revision"]) == ({"report": {"url": URL, "title": None}}, 3)

    async def test_same_link_changes_nothing(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await put(client, run)
        before = await get_run(client, run)
        assert (await put(client, run)).status_code == 200
        assert await get_run(client, run) == before
        assert len(await history_of(client, run)) == 1

    @pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
    async def test_run_that_has_ended_takes_links(self, client: httpx.AsyncClient, status: str) -> None:
        run = await run_in(client, status)
        assert (await put(client, run)).status_code == 201
        assert (await client.delete(address(run, "links", "report"))).status_code == 204
        assert (await get_run(client, run))["links"] == {}

    async def test_fifty_first_is_refused(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        for number in range(50):
            assert (await put(client, run, str(number))).status_code == 201
        response = await put(client, run, "50")
        assert (response.status_code, code(response)) == (409, "too-many-links")
        assert len(response.json()["current"]["links"]) == 50
        assert (await put(client, run, "49", title="again")).status_code == 200
        assert (await client.delete(address(run, "links", "0"))).status_code == 204
        assert (await put(client, run, "50")).status_code == 201

    @pytest.mark.parametrize("url", ["http://example.com", "HTTPS://EXAMPLE.COM/x", "http://[::1]:80/"])
    async def test_http_and_https_are_taken(self, client: httpx.AsyncClient, url: str) -> None:
        run = await create_run(client)
        assert (await put(client, run, url=url)).status_code == 201
        assert (await get_run(client, run))["links"]["report"]["url"] == url

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "example.com",
            "/report",
            "//example.com",
            "javascript:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "ftp://example.com",
            "http://",
            "http:///x",
            "https:example.com",
            "http://exa mple.com",
            "http://example.com/\nx",
            "http://example.com:port/",
            "http://[::1/",
            "https://example.com\\@evil.example",
            "https://example.com/" + "x" * 2000,
            None,
            1,
        ],
    )
    async def test_other_urls_are_refused(self, client: httpx.AsyncClient, url: Any) -> None:
        run = await create_run(client)
        response = await put(client, run, url=url)
        assert response.status_code == 422, response.text
        assert [error["pointer"] for error in response.json()["errors"]] == ["/url"]
        assert await get_run(client, run) == run

    @pytest.mark.parametrize("name", ["a", "n" * 100, "a/b", "ä ö", "..", "50%"])
    async def test_name_is_any_text(self, client: httpx.AsyncClient, name: str) -> None:
        run = await create_run(client)
        path = address(run, "links", quote(name, safe="").replace("..", "%2E%2E"))
        assert (await client.put(path, json={"url": URL})).status_code == 201
        assert list((await get_run(client, run))["links"]) == [name]
        assert (await client.delete(path)).status_code == 204

    @pytest.mark.parametrize("name", ["n" * 101, "n" * 200])
    async def test_name_has_1_to_100_characters(self, client: httpx.AsyncClient, name: str) -> None:
        run = await create_run(client)
        assert (await put(client, run, name)).status_code == 422

    async def test_if_match_is_honoured(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        path, stale, current = address(run, "links", "report"), {"If-Match": '"7"'}, {"If-Match": '"1"'}
        assert (await client.put(path, json={"url": URL}, headers=stale)).status_code == 412
        assert (await client.put(path, json={"url": URL}, headers=current)).status_code == 201
        assert (await client.delete(path, headers=stale)).status_code == 412

    async def test_change_of_the_run_keeps_its_links(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await put(client, run)
        await client.patch(address(run), json={"status": "running"})
        await client.patch(address(run), json={"status": "completed"})
        after = await get_run(client, run)
        assert (after["status"], list(after["links"])) == ("completed", ["report"])

    async def test_batch_of_runs_has_no_links(self, client: httpx.AsyncClient) -> None:
        assert [run["links"] for run in await create_runs(client, {}, {"deadline_seconds": 60})] == [{}, {}]


class TestDeleteLink:
    async def test_none_is_not_found(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        assert (await client.delete(address(run, "links", "report"))).status_code == 404
        assert (await client.delete(f"{RUNS}/{UNKNOWN_ID}/links/report")).status_code == 404
        assert (await client.put(f"{RUNS}/{UNKNOWN_ID}/links/report", json={"url": URL})).status_code == 404
        assert await get_run(client, run) == run
