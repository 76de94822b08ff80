"""The way of a request: which operation an address means, and what is asked for before anything is done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from app.api.addresses import Addresses
from app.api.door import Door, Entry, leaves_other_methods, needs
from app.api.kernel import Kernel
from app.api.plans import CallPlan
from app.db.engine import Database, Tx
from tests.factories import RUNS, UNKNOWN_ID


async def inner() -> str:
    """Return what another dependency needs."""
    return ""


async def outer(value: Annotated[str, Depends(inner)]) -> str:
    """Return what it needs."""
    return value


Outer = Annotated[str, Depends(outer)]


def declare(*operations: tuple[str, str]) -> Addresses:
    """Return the addresses of operations that are declared by method and path; `*` leaves other methods."""
    router = APIRouter(route_class=Door)
    for method, path in operations:

        async def endpoint() -> Response:
            return Response()

        endpoint.__name__ = f"{method}_{path}"
        endpoint.__doc__ = "Answer."
        declared = needs(None)(endpoint)
        if method.endswith("*"):
            declared = leaves_other_methods(declared)
        router.add_api_route(path, declared, methods=[method.removesuffix("*")], responses={})
    return Addresses([Entry(route) for route in router.routes if isinstance(route, Door)])


ADDRESSES = declare(
    ("GET", "/"),
    ("GET", "/things"),
    ("POST", "/things"),
    ("POST", "/things/counts"),
    ("POST*", "/things/validate"),
    ("GET", "/things/{name}"),
    ("GET", "/things/{name}/diff"),
    ("GET", "/things/{name}/{version:version}"),
    ("DELETE", "/things/{name}/{version:version}"),
    ("GET", "/notes"),
    ("PUT", "/notes/{owner}/{title:text}"),
)


class TestAddresses:
    @pytest.mark.parametrize(
        ("method", "address", "path", "names"),
        [
            ("GET", "/", "/", {}),
            ("POST", "/things", "/things", {}),
            ("GET", "/things/x", "/things/{name}", {"name": "x"}),
            ("GET", "/things/validate", "/things/{name}", {"name": "validate"}),
            ("POST", "/things/validate", "/things/validate", {}),
            ("GET", "/things/x/diff", "/things/{name}/diff", {"name": "x"}),
            ("GET", "/things/diff/1", "/things/{name}/{version:version}", {"name": "diff", "version": "1"}),
            ("GET", "/things/x/different", "/things/{name}/{version:version}", {"name": "x", "version": "different"}),
            ("PUT", "/notes/me/a", "/notes/{owner}/{title:text}", {"owner": "me", "title": "a"}),
            ("PUT", "/notes/me/a/b//c\n", "/notes/{owner}/{title:text}", {"owner": "me", "title": "a/b//c\n"}),
            ("PUT", "/notes/me/", "/notes/{owner}/{title:text}", {"owner": "me", "title": ""}),
        ],
    )
    def test_address_means_the_operation_that_spells_most_of_it_out(
        self, method: str, address: str, path: str, names: dict[str, str]
    ) -> None:
        found = ADDRESSES.find(method, address)
        assert found.entry
        assert (found.entry.door.path, found.names) == (path, names)

    @pytest.mark.parametrize(
        ("method", "address", "taken"),
        [
            ("DELETE", "/things", {"GET", "POST"}),
            ("GET", "/things/counts", {"POST"}),
            ("DELETE", "/things/x/diff", {"GET"}),
            ("PATCH", "/things/x/1", {"GET", "DELETE"}),
            ("GET", "/notes/me/a", {"PUT"}),
            ("GET", "/nowhere", set()),
            ("GET", "/things/", set()),
            ("GET", "/things//1", set()),
            ("GET", "/things/x/1/more", set()),
            ("GET", "", set()),
            ("GET", "//", set()),
            ("PUT", "/notes//a", set()),
            ("PUT", "/notes/me", set()),
        ],
    )
    def test_what_it_does_not_mean_is_told_by_the_methods_that_it_takes(
        self, method: str, address: str, taken: set[str]
    ) -> None:
        found = ADDRESSES.find(method, address)
        assert not found.entry
        assert set(found.methods) == taken

    def test_operation_cannot_be_declared_twice(self) -> None:
        with pytest.raises(AssertionError, match="declared twice"):
            declare(("GET", "/{one}"), ("GET", "/{other}"))


class TestPlan:
    async def test_nothing_is_opened_for_a_request_that_is_refused(
        self, client: httpx.AsyncClient, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened = []

        @asynccontextmanager
        async def transaction(database: Database, **options: bool) -> AsyncIterator[Tx]:
            if options.get("is_promise"):  # not by the housekeeping
                opened.append(options)
            async with really_open(database, **options) as tx:
                yield tx

        really_open = Database.transaction
        monkeypatch.setattr(Database, "transaction", transaction)
        assert (await client.post(f"{RUNS}/{UNKNOWN_ID}/cancel", json={"grace_seconds": -1})).status_code == 422
        assert (await client.post(f"{RUNS}/no-id/cancel")).status_code == 422
        assert not opened
        assert (await client.post(f"{RUNS}/{UNKNOWN_ID}/cancel")).status_code == 404
        assert opened

    async def test_everything_that_is_wrong_is_told_at_once(self, client: httpx.AsyncClient) -> None:
        answer = await client.post(RUNS, json={"workflow_version": []}, headers={"Idempotency-Key": "x" * 256})
        assert [error["pointer"] for error in answer.json()["errors"]] == [
            "Idempotency-Key",
            "/workflow_name",
            "/workflow_version",
        ]

    def test_dependency_of_a_dependency_is_refused_at_the_start(self) -> None:
        router = APIRouter(route_class=Door)

        async def endpoint(needed: Outer) -> Response:
            """Answer."""
            return Response(needed)

        router.add_api_route("/nested", needs(None)(endpoint), responses={})
        (route,) = router.routes
        assert isinstance(route, Door)
        with pytest.raises(AssertionError, match="none of its own"):
            CallPlan(route.dependant, None)


class TestDoor:
    async def test_nobody_gets_past_it_by_the_framework(self, app: FastAPI) -> None:
        """The router of FastAPI knows all operations, too, and none of their checks."""
        transport = httpx.ASGITransport(app=app.router)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as past:
            with pytest.raises(RuntimeError, match="past its door"):
                await past.get("/livez")
