"""The page of the service as it is served: to browsers, packed, kept, and locked in by its policy."""

import re

import httpx
import pytest

from app.dashboard.assets import accepted_codings
from app.dashboard.screens import SCREENS

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'none'; frame-ancestors 'none'"


async def find_assets(client: httpx.AsyncClient) -> list[str]:
    """Return the addresses that the page loads first."""
    page = (await client.get("/", headers=HTML)).text
    return re.findall(r'(?:src|href)="(/assets/[^"]+)"', page)


class TestPage:
    @pytest.mark.parametrize("address", ["/", "/?period=day", "/runs?status=failed&tag=a:b", "/runs/no-uuid?tab=logs"])
    async def test_browsers_get_it_wherever_a_screen_is(self, client: httpx.AsyncClient, address: str) -> None:
        answer = await client.get(address, headers=HTML)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.text == (await client.get("/", headers=HTML)).text

    async def test_terminals_get_text_at_the_root_and_a_problem_elsewhere(self, client: httpx.AsyncClient) -> None:
        assert (await client.get("/")).text.startswith("Milepost ")
        for screen in SCREENS:
            answer = await client.get(f"/{screen}")
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")

    @pytest.mark.parametrize("address", ["/nothing", "/v1/nothing", "/v1/runs", "/assets/nothing.js", "/assets/../x"])
    async def test_other_addresses_stay_problems(self, client: httpx.AsyncClient, address: str) -> None:
        answer = await client.get(address, headers=HTML)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")

    async def test_it_is_sent_once_until_it_changes(self, client: httpx.AsyncClient) -> None:
        first = await client.get("/", headers=HTML)
        assert first.headers["cache-control"] == "no-cache"
        again = await client.get("/runs", headers=HTML | {"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    async def test_nothing_stands_in_it_that_its_policy_forbids(self, client: httpx.AsyncClient) -> None:
        page = (await client.get("/", headers=HTML)).text
        assert not re.search(r"<style|style=|<script(?![^>]* src=)|\son\w+=|https?://", page)


class TestAssets:
    async def test_each_is_kept_for_ever(self, client: httpx.AsyncClient) -> None:
        addresses = await find_assets(client)
        assert len(addresses) == 3
        for address in addresses:
            answer = await client.get(address)
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"

    async def test_they_come_packed_to_whom_takes_that(self, client: httpx.AsyncClient) -> None:
        for address in await find_assets(client):
            plain = await client.get(address, headers={"accept-encoding": "identity"})
            assert "content-encoding" not in plain.headers
            packed = await client.get(address, headers={"accept-encoding": "gzip"})
            assert (packed.headers["content-encoding"], packed.content) == ("gzip", plain.content)
            both = await client.head(address, headers={"accept-encoding": "gzip, deflate, br, zstd"})
            assert (both.headers["content-encoding"], both.headers["vary"]) == ("br", "Accept-Encoding")

    @pytest.mark.parametrize(
        ("header", "codings"),
        [
            ("", {""}),
            ("gzip, br", {"gzip", "br"}),
            ("br;q=1.0, GZIP ; q=0", {"br"}),
            ("br; q=0.5, gzip;q=0.000", {"br"}),
        ],
    )
    def test_refused_codings_are_not_sent(self, header: str, codings: set[str]) -> None:
        assert accepted_codings(header) == codings
