"""Headers that stand twice, and what every answer carries."""

import httpx

from app.api.kernel import Kernel
from tests.api.test_conventions import OPERATIONS
from tests.api.test_keys import make_key
from tests.factories import RUNS, code, count_all, run_body


class TestRepeatedHeaders:
    async def test_every_operation_refuses_two_keys(self, client: httpx.AsyncClient, kernel: Kernel) -> None:
        key = (await make_key(kernel, "one"))["Authorization"]
        headers = [("Authorization", key), ("Authorization", key)]
        for operation in OPERATIONS:
            response = await client.request(operation.method, operation.url, headers=headers)
            assert (response.status_code, code(response)) == (400, "header-repeated"), operation
            assert "Authorization" in response.json()["detail"]
            assert key.removeprefix("Bearer ") not in response.text

    async def test_two_idempotency_keys_create_nothing(self, client: httpx.AsyncClient) -> None:
        headers = [("Idempotency-Key", "a"), ("idempotency-key", "b")]
        response = await client.post(RUNS, json=run_body(), headers=headers)
        assert (response.status_code, code(response)) == (400, "header-repeated")
        assert "Idempotency-Key" in response.json()["detail"]
        assert await count_all(client) == 0

    async def test_two_hosts_are_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.get(RUNS, headers=[("Host", "localhost"), ("Host", "evil.example")])
        assert (response.status_code, code(response)) == (400, "header-repeated")

    async def test_other_headers_may_stand_twice(self, client: httpx.AsyncClient) -> None:
        headers = [("Accept", "text/plain"), ("Accept", "application/json"), ("X-Forwarded-For", "a")] * 2
        assert (await client.get(RUNS, headers=headers)).status_code == 200
