"""Pages for browsers: what they say of themselves, and that `/docs` needs nobody else."""

import re

import httpx
import pytest

from app.api.docs import FOLDER, SWAGGER_UI
from tests.factories import RUNS

ASSETS = f"/docs/{SWAGGER_UI}"
PAGES = ["/docs", "/problems", "/problems/not-found"]
HTML = {"Accept": "text/html"}


def policy_of(response: httpx.Response) -> dict[str, str]:
    """Return the directives of the Content-Security-Policy."""
    directives = (part.strip().partition(" ") for part in response.headers["content-security-policy"].split(";"))
    return {name: sources for name, _, sources in directives}


class TestHeaders:
    @pytest.mark.parametrize("path", [*PAGES, "/", "/livez", "/openapi.json", RUNS, "/nowhere", f"{ASSETS}/LICENSE"])
    async def test_no_type_is_guessed(self, client: httpx.AsyncClient, path: str) -> None:
        assert (await client.get(path, headers=HTML)).headers["x-content-type-options"] == "nosniff"

    @pytest.mark.parametrize("path", PAGES)
    async def test_page_cannot_be_framed_and_runs_no_foreign_script(self, client: httpx.AsyncClient, path: str) -> None:
        page = await client.get(path, headers=HTML)
        assert page.headers["content-type"].startswith("text/html")
        assert page.headers["referrer-policy"] == "no-referrer"
        policy = policy_of(page)
        assert policy["frame-ancestors"] == policy["default-src"] == policy["base-uri"] == "'none'"
        assert policy.get("script-src", "'self'") == "'self'"
        assert "unsafe" not in str(policy)


class TestDocs:
    async def test_everything_on_the_page_comes_from_the_service(self, client: httpx.AsyncClient) -> None:
        page = (await client.get("/docs")).text
        links = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert len(links) == 5
        for link in links:
            assert "//" not in link
            assert (await client.get(f"/{link}")).status_code == 200

    async def test_files_are_kept_by_browsers(self, client: httpx.AsyncClient) -> None:
        script = await client.get(f"{ASSETS}/swagger-ui-bundle.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        again = await client.get(f"{ASSETS}/swagger-ui-bundle.js", headers={"If-None-Match": script.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")

    @pytest.mark.parametrize("path", ["", "/", "/../docs.py", "/%2e%2e/docs.py", "/nothing.js", "/%2Fetc/passwd"])
    async def test_nothing_else_is_served(self, client: httpx.AsyncClient, path: str) -> None:
        assert (await client.get(f"{ASSETS}{path}")).status_code == 404

    async def test_licence_comes_along(self, client: httpx.AsyncClient) -> None:
        assert "Apache License" in (await client.get(f"{ASSETS}/LICENSE")).text
        assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= {file.name for file in FOLDER.iterdir()}
