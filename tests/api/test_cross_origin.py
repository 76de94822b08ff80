"""Pages of other origins that may call the service from a browser."""

from collections.abc import AsyncIterator

import httpx
import pytest

from app.api.kernel import Kernel
from tests.api.test_keys import make_key
from tests.factories import JSON, RUNS, code, run_body
from tests.replicas import replica
from tests.waiting import eventually

PAGE = "https://ops.example"
OTHER = "http://localhost:5173"
ORIGIN = "access-control-allow-origin"
PREFLIGHT = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization,if-match"}
STRANGERS = [
    "https://ops.example.evil.example",
    "https://ops.example:443",
    "http://ops.example",
    "https://a.ops.example",
    "https://OPS.example",
    f"{PAGE},{OTHER}",
    "null",
    "",
]


@pytest.fixture
async def shared(database_url: str, client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client of a service that two origins may call."""
    del client  # it empties the tables
    async with replica(database_url, cors_origins=f" {PAGE} , {OTHER},") as other:
        yield other


class TestCrossOrigin:
    @pytest.mark.parametrize("origin", [PAGE, OTHER])
    async def test_preflight_needs_no_key(self, shared: httpx.AsyncClient, kernel: Kernel, origin: str) -> None:
        await make_key(kernel, "ada")
        for path in (RUNS, f"{RUNS}/7", "/nowhere"):
            response = await shared.options(path, headers={"Origin": origin, **PREFLIGHT})
            assert (response.status_code, response.content) == (204, b"")
            assert response.headers[ORIGIN] == origin
            assert "Origin" in response.headers["vary"]
            assert {"PATCH", "DELETE", "PUT"} <= {*response.headers["access-control-allow-methods"].split(", ")}
            allowed = response.headers["access-control-allow-headers"].lower().split(", ")
            assert {"authorization", "content-type", "if-match", "idempotency-key", "last-event-id"} <= {*allowed}

    async def test_answers_show_what_clients_read(self, shared: httpx.AsyncClient) -> None:
        response = await shared.post(RUNS, json=run_body(), headers={"Origin": PAGE, "Sec-Fetch-Site": "cross-site"})
        assert (response.status_code, response.headers[ORIGIN]) == (201, PAGE)
        shown = {*response.headers["access-control-expose-headers"].split(", ")}
        assert shown == {"ETag", "Location", "Link", "X-Request-ID", "Retry-After", "Idempotency-Replayed"}
        assert (await shared.head(RUNS, headers={"Origin": PAGE})).headers[ORIGIN] == PAGE

    async def test_refusals_carry_the_headers_too(self, shared: httpx.AsyncClient, kernel: Kernel) -> None:
        headers = {"Origin": PAGE}
        refused = [
            await shared.get(f"{RUNS}?limit=0", headers=headers),
            await shared.get("/nowhere", headers=headers),
            await shared.put(RUNS, headers=headers),
            await shared.options(RUNS, headers=headers),
            await shared.post(RUNS, content=b"{", headers=headers | JSON),
            await shared.post(RUNS, content=b"x" * 2_000_000, headers=headers | JSON),
        ]
        await make_key(kernel, "ada")

        async def needs_key() -> httpx.Response | None:
            response = await shared.get(RUNS, headers=headers)
            return response if response.status_code == 401 else None

        refused.append(await eventually(needs_key))
        assert [response.status_code for response in refused] == [422, 404, 405, 405, 400, 413, 401]
        assert {response.headers[ORIGIN] for response in refused} == {PAGE}

    @pytest.mark.parametrize("origin", STRANGERS)
    async def test_other_origins_get_nothing(self, shared: httpx.AsyncClient, origin: str) -> None:
        preflight = await shared.options(RUNS, headers={"Origin": origin, **PREFLIGHT})
        assert preflight.status_code == 405
        response = await shared.get(RUNS, headers={"Origin": origin})
        assert code(response) == "cross-site"
        for answer in (preflight, response):
            assert "Origin" in answer.headers["vary"]
            assert not [name for name in answer.headers if name.startswith("access-control-")]

    async def test_two_origins_are_none(self, shared: httpx.AsyncClient) -> None:
        response = await shared.get("/livez", headers=[("Origin", PAGE), ("Origin", PAGE)])
        assert ORIGIN not in response.headers

    async def test_nothing_is_said_when_none_is_configured(self, client: httpx.AsyncClient) -> None:
        for response in (
            await client.options(RUNS, headers={"Origin": PAGE, **PREFLIGHT}),
            await client.get("/livez", headers={"Origin": PAGE}),
        ):
            assert not [name for name in response.headers if name.startswith("access-control-")]
            assert "Origin" not in response.headers.get("vary", "")
