"""HEAD wherever GET is."""

import asyncio
import time

import httpx
import pytest
from fastapi import FastAPI

from app.access import api_keys
from app.api.kernel import Kernel
from milepost.schemas.operations import Scope
from tests.api.test_conventions import OPERATIONS, Operation
from tests.conftest import make_client
from tests.factories import RUNS, TASKS, UNKNOWN_ID, address, create_run, task_body

READING = [operation for operation in OPERATIONS if operation.method == "GET"]
PAGES = ["/", "/docs", "/openapi.json", "/problems", "/problems/not-found", "/livez", "/v1/version", RUNS, "/nowhere"]


async def assert_same_but_the_body(client: httpx.AsyncClient, url: str, **headers: str) -> None:
    headers["X-Request-ID"] = "me"
    asked, read = await client.head(url, headers=headers), await client.get(url, headers=headers)
    assert (asked.status_code, asked.content) == (read.status_code, b"")
    assert asked.headers == read.headers


class TestHead:
    @pytest.mark.parametrize("path", PAGES)
    @pytest.mark.parametrize("accept", ["application/json", "text/plain", "text/html"])
    async def test_page_has_the_headers_of_its_get(self, client: httpx.AsyncClient, path: str, accept: str) -> None:
        await create_run(client)
        await assert_same_but_the_body(client, path, Accept=accept)

    async def test_resource_has_the_headers_of_its_get(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        await create_run(client)
        for url in (address(run), address(run, "history"), f"{RUNS}?limit=1", f"{RUNS}?limit=0"):
            await assert_same_but_the_body(client, url)
        assert (await client.head(address(run))).headers["etag"] == '"1"'
        assert 'rel="next"' in (await client.head(f"{RUNS}?limit=1")).headers["link"]

    @pytest.mark.parametrize("operation", READING, ids=str)
    async def test_every_operation_that_reads_takes_it(self, client: httpx.AsyncClient, operation: Operation) -> None:
        asked, read = await client.head(operation.url), await client.get(operation.url)
        assert asked.status_code == read.status_code
        assert asked.headers.keys() == read.headers.keys()

    async def test_allow_names_it_where_get_is(self, client: httpx.AsyncClient) -> None:
        assert (await client.put(RUNS)).headers["allow"] == "GET, HEAD, POST"
        refused = await client.head(f"{RUNS}/batch")
        assert (refused.status_code, refused.headers["allow"], refused.content) == (405, "POST", b"")

    async def test_wait_answers_at_once(self, client: httpx.AsyncClient) -> None:
        run = await create_run(client)
        task = (await client.post(TASKS, json=task_body())).json()
        for url in (address(run, "wait"), f"{TASKS}/{task['task_id']}/wait"):
            async with asyncio.timeout(30):
                began = time.monotonic()
                asked = await client.head(f"{url}?timeout_seconds=60")
                assert asked.status_code == 200
                assert time.monotonic() - began < 30

    async def test_it_needs_the_scope_of_its_get(self, app: FastAPI, kernel: Kernel, clean_database: None) -> None:
        async with kernel.database.transaction() as tx:
            secret = await api_keys.create_key(tx, "worker", {Scope.work})
        kernel.doorkeeper.forget()
        async with make_client(app) as stranger:
            assert (await stranger.head(RUNS)).status_code == 401
            asked = await stranger.head(f"{RUNS}/{UNKNOWN_ID}", headers={"Authorization": f"Bearer {secret}"})
            assert asked.status_code == 403

    def test_it_is_no_operation_of_the_document(self, app: FastAPI) -> None:
        assert not [path for path, item in app.openapi()["paths"].items() if "head" in item]
        assert "HEAD" in app.openapi()["info"]["description"]
