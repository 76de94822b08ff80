"""The browser of whoever runs the service without keys: pages of other sites reach nothing through it."""

from typing import Any

import httpx
import pytest

from app.api.kernel import Kernel
from tests.api.test_conventions import OPERATIONS
from tests.api.test_keys import OPEN, make_key
from tests.factories import RUNS, code, count_all, run_body
from tests.replicas import replica

GUARDED = [operation for operation in OPERATIONS if operation.path not in OPEN]
HERE = "localhost:8000"


def is_cross_site(response: httpx.Response) -> bool:
    """Return whether the caller is told that another site may have made the browser send this."""
    if response.status_code != 403:
        return False
    assert code(response) == "cross-site"
    return True


class TestPagesOfOtherSites:
    async def test_no_operation_is_open_to_them(self, client: httpx.AsyncClient) -> None:
        headers = {"Host": HERE, "Origin": "https://evil.example"}
        for operation in GUARDED:
            response = await client.request(operation.method, operation.url, headers=headers)
            assert is_cross_site(response), operation

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://localhost"},
            {"Origin": "http://localhost:8001"},
            {"Origin": "http://127.0.0.1:8000"},
            {"Origin": "http://localhost:8000.evil.example"},
            {"Origin": "ftp://localhost:8000"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "x"},
            {"Origin": "http://localhost:8000", "Sec-Fetch-Site": "same-site"},
            {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
        ],
        ids=str,
    )
    async def test_nothing_is_written_for_them(self, client: httpx.AsyncClient, headers: dict[str, str]) -> None:
        assert is_cross_site(await client.post(RUNS, json=run_body(), headers={"Host": HERE, **headers}))
        assert await count_all(client) == 0

    async def test_second_origin_is_looked_at_too(self, client: httpx.AsyncClient) -> None:
        headers = [("Host", HERE), ("Origin", f"http://{HERE}"), ("Origin", "http://evil.example")]
        assert is_cross_site(await client.get(RUNS, headers=headers))

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": f"http://{HERE}"},
            {"Origin": f"http://{HERE}", "Sec-Fetch-Site": "same-origin"},
            {"Origin": f"https://{HERE}"},
            {"Sec-Fetch-Site": "none"},
        ],
        ids=str,
    )
    async def test_own_pages_and_programs_are_answered(
        self, client: httpx.AsyncClient, headers: dict[str, str]
    ) -> None:
        assert (await client.get(RUNS, headers={"Host": HERE, **headers})).status_code == 200

    async def test_with_a_key_anybody_is_answered(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        headers = {**await make_key(kernel, "one"), "Host": "evil.example", "Origin": "http://evil.example"}
        assert (await client.get(RUNS, headers=headers)).status_code == 200

    @pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/v1/version", "/problems/cross-site"])
    async def test_what_needs_no_key_is_open_under_every_name(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.get(path, headers={"Host": "10.0.0.7:8000", "Origin": "http://evil.example"})
        assert response.status_code in (200, 503)


class TestNames:
    @pytest.mark.parametrize(
        "host",
        [
            "localhost",
            "LOCALHOST:8000",
            "localhost.:8000",
            "milepost.localhost:8000",
            "127.0.0.1",
            "127.1.2.3:1",
            "[::1]:8000",
            "[::1]",
        ],
    )
    async def test_loopback_is_answered(self, client: httpx.AsyncClient, host: str) -> None:
        assert (await client.get(RUNS, headers={"Host": host})).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "",
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "evillocalhost",
            "127.0.0.1.evil.example",
            "localhost@evil.example",
            "evil.example:8000:localhost",
            "localhost:8000 evil.example",
            "milepost",
            "0.0.0.0:8000",
            "192.0.2.1",
            "[2001:db8::1]:8000",
            "[::1",
            "[localhost]",
            b"localhost\xe9",
        ],
        ids=repr,
    )
    async def test_names_that_may_be_rebound_are_refused(self, client: httpx.AsyncClient, host: Any) -> None:
        assert is_cross_site(await client.get(RUNS, headers={"Host": host}))

    async def test_configured_names_are_answered(self, new_database: Any) -> None:
        names = {"allowed_hosts": "milepost.example, Other.Example"}
        async with replica(new_database(), **names) as client:
            for host in ("milepost.example:8000", "other.example", "localhost"):
                assert (await client.get(RUNS, headers={"Host": host})).status_code == 200
            assert is_cross_site(await client.get(RUNS, headers={"Host": "example"}))

    async def test_on_a_network_names_that_nobody_can_rebind_are_answered(self, new_database: Any) -> None:
        settings = {"host": "0.0.0.0", "allow_unauthenticated": True}  # noqa: S104 - in a process of its own
        async with replica(new_database(), **settings) as client:
            for host in ("milepost:8000", "192.0.2.1:8000", "[2001:db8::1]", "localhost:8000"):
                assert (await client.get(RUNS, headers={"Host": host})).status_code == 200
            for host in ("evil.example", "milepost.evil.example:8000"):
                assert is_cross_site(await client.get(RUNS, headers={"Host": host}))
            headers = {"Host": "milepost:8000", "Origin": "http://evil.example"}
            assert is_cross_site(await client.post(RUNS, json=run_body(), headers=headers))
